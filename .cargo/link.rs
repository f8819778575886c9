//! Cargo's build script: how programs are linked.
#![allow(clippy::print_stdout, reason = "that is how cargo is told")]

fn main() {
    println!("cargo::rerun-if-changed=.cargo/link.rs");
    let is = |name, what| std::env::var(name).is_ok_and(|found| found == what);
    // Tests start thousands of unoptimised programs, which are ready in half the time where nothing has to be
    // relocated. What is built for use keeps its random addresses.
    if is("PROFILE", "debug")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
    {
        println!("cargo::rustc-link-arg=-no-pie");
    }
}
