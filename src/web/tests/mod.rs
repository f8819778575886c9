//! The page with a browser made of requests and a node made of fixed answers.

#![expect(clippy::disallowed_methods, reason = "tests spawn as they need")]
#![expect(clippy::wildcard_enum_match_arm, reason = "the fake node answers what it was made for")]

mod decisions;
mod hints;
mod rules;
mod sessions;
mod setup;
mod support;
mod writing;
