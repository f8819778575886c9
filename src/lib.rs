#![doc = include_str!("ARCHITECTURE.md")]

// In reading order: a module names only modules above it.
pub mod base;
pub mod identity;
pub mod wire;
pub mod trust;
pub mod audit;
pub mod risk;
pub mod policy;
pub mod gate;
pub mod delivery;
pub mod store;
pub mod net;
pub mod node;
pub mod ipc;
pub mod http;
pub mod mcp;
pub mod web;
pub mod wake;
pub mod daemon;
pub mod cli;
