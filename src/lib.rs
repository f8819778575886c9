//! Countersign.
pub mod audit;
pub mod base;
pub mod daemon;
pub mod gate;
pub mod identity;
pub mod ipc;
pub mod mcp;
pub mod net;
pub mod node;
pub mod policy;
pub mod risk;
pub mod store;
pub mod trust;
pub mod wire;
