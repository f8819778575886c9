//! The net against itself and against raw endpoints, on 127.0.0.1.
#![allow(clippy::disallowed_methods, reason = "tests spawn as they need")]
#![allow(clippy::wildcard_enum_match_arm, reason = "tests look for one event among many")]

mod death;
mod links;
mod lookups;
mod pairing;
mod slots;
mod strangers;
mod support;
