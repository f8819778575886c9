//! How fast it is, and what that is made of, in one run: `cargo bench --bench bench`.
//! `tests/bench/README.md` says what each figure means.
//!
//! This process plays both agents. It runs itself twice more as the two ends, which hold a node
//! each and, beside it, a bare iroh endpoint, so that both are measured in the same two processes.
#![allow(missing_docs, reason = "a program, not a library")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock and spawns as it needs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench fails as a test does, and its table is what it is for"
)]

mod agent;
mod ends;
mod figures;
mod filler;
mod links;
mod raw;
mod receiver;
mod relayed;
mod routes;
mod scale;
mod sender;
mod soak;
#[allow(
    dead_code,
    unused_imports,
    reason = "the tests' cast and homes; a bench needs a part of them"
)]
#[path = "../it/support/mod.rs"]
mod support;
mod surfaces;
mod world;

use figures::Table;
use support::pairing::friends;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["receiver", home] => ends::run(receiver::run((*home).to_owned())),
        ["sender", home, to, process] => {
            let process = process.parse().unwrap();
            ends::run(sender::run((*home).to_owned(), (*to).to_owned(), process));
        }
        [relayed::INSIDE] => relayed::inside(),
        [relayed::RELAY] => relayed::relay(),
        words if words.contains(&"relayed") => relayed::measure(),
        words if words.contains(&"scale") => scale::measure(number(words)),
        words if words.contains(&"links") => {
            links::measure(number(words).and_then(|count| usize::try_from(count).ok()));
        }
        words if words.contains(&"soak") => soak::measure(number(words)),
        _ => bench(),
    }
}

/// The number that was given, as `--seconds 60` or `200`.
fn number(words: &[&str]) -> Option<u64> {
    words.iter().find_map(|word| word.parse().ok())
}

/// Everything, with the homes of two owners who said yes at a terminal.
fn bench() {
    let (alice, bob) = friends();
    let mut table = Table::default();
    eprintln!("memory, start and calls: two nodes, {}", support::PROGRAM);
    surfaces::measure(&alice, &bob, &mut table);
    eprintln!("being told: the same two nodes");
    routes::measure(&alice, &bob, &mut table);
    alice.stop();
    bob.stop();
    eprintln!("messages: two processes, each with a node and a bare iroh endpoint");
    ends::measure(&alice, &bob, &mut table);
    println!("\nfigures:\n{table}");
    relayed::measure();
}
