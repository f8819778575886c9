//! Stub: replaced at merge.
use crate::node::config::Home;

/// Stub.
#[expect(clippy::unused_async, clippy::missing_errors_doc, reason = "stub")]
pub async fn run(_: Home) -> anyhow::Result<()> {
    anyhow::bail!("stub")
}

/// Stub.
#[expect(clippy::unused_async, clippy::missing_errors_doc, reason = "stub")]
pub async fn ensure_running(_: &Home) -> anyhow::Result<()> {
    anyhow::bail!("stub")
}
