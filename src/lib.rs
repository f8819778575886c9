//! Countersign.
pub mod base;
pub mod identity;
pub mod wire;
