//! One binary for all integration tests: one link, one place to look.
#![allow(missing_docs, reason = "tests say what they show in their names")]
#![allow(clippy::disallowed_methods, reason = "tests read the clock and spawn as they need")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::print_stderr,
    reason = "a test's helpers fail as a test does, and take `json!` as it is written"
)]

mod architecture;
mod at_rest;
mod audit;
mod channel;
mod cli;
mod codes;
mod elicit;
mod floods;
mod gate;
mod grants;
mod http;
mod hook;
mod inline;
mod join;
mod keeping;
mod mcp;
mod moving;
mod page;
mod page_attacks;
mod page_link;
mod ping;
mod redteam;
mod require;
mod scan;
mod tasks;
mod policy;
mod sessions;
mod support;
mod two_nodes;
mod upgrade;
mod wake;
mod watch;
mod web;
mod wire;
