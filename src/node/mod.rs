//! The node: what can be asked of it, and the loop that answers.

pub mod api;
pub mod clock;
pub mod config;
pub mod guard;
pub mod handle;

pub use handle::{AgentHandle, NodeHandle};
