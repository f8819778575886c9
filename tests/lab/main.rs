//! Real `countersign` nodes in network namespaces: behind NATs and firewalls, with relays that die
//! and links that go. `tests/lab/README.md` says what it needs and what each case is.
//!
//! Each case is a process in namespaces of its own (user, network, mount, processes), started by
//! `unshare`: it has no way out, and nothing of it outlives it. That is why this is no test of
//! libtest's.
#![allow(missing_docs, reason = "a program, not a library")]
#![allow(clippy::disallowed_methods, reason = "a test reads the clock and spawns as it needs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it fails as a test does, and its table is what it is for"
)]

mod cases;
mod outcome;
mod run;
mod servers;
mod side;
#[allow(
    dead_code,
    unused_imports,
    reason = "the tests' cast and homes; the lab needs a part of them"
)]
#[path = "../it/support/mod.rs"]
mod support;
mod talk;
mod traffic;
mod world;

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [run::INSIDE, name, result] => run::inside(name, Path::new(result)),
        words => run::run(words),
    }
}
