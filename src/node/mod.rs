//! The node: what can be asked of it, and the loop that answers.

pub mod api;
pub mod clock;
pub mod config;
pub mod handle;

pub use handle::{AgentHandle, NodeHandle};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
#[error("not yet written")]
pub struct NodeError;

/// Starts the node of `home`.
///
/// # Errors
/// When it cannot start.
#[expect(clippy::unused_async, reason = "a stub")]
pub async fn start(
    _: &config::Home,
    _: &TaskTracker,
    _: &CancellationToken,
) -> Result<NodeHandle, NodeError> {
    Err(NodeError)
}
