//! Stub: replaced at merge.
pub mod stdio;
