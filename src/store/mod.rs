//! What is on disk.
pub mod keys;
