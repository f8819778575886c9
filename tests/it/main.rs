//! One binary for all integration tests: one link, one place to look.
#![allow(missing_docs, reason = "tests say what they show in their names")]
#![allow(clippy::disallowed_methods, reason = "tests read the clock and spawn as they need")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test's helpers fail as a test does"
)]

mod architecture;
mod wire;
