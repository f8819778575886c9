//! An agent: a real MCP client over stdio, in front of `countersign mcp`.

use std::{fs::File, process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use rmcp::{
    RoleClient, ServiceExt as _, model::CallToolRequestParams, service::RunningService,
    transport::TokioChildProcess,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The longest that the demo waits for one tool.
const TOOL_TIMEOUT: Duration = Duration::from_secs(30);

/// One session.
pub(super) struct Agent(RunningService<RoleClient, ()>);

impl Agent {
    /// Starts the server and says hello to it. What it says on stderr goes to `log`.
    pub(super) async fn start(command: tokio::process::Command, log: File) -> anyhow::Result<Self> {
        let builder = TokioChildProcess::builder(command).stderr(Stdio::from(log));
        let (transport, _) = builder.spawn().context("`countersign mcp` does not start")?;
        let hello = tokio::time::timeout(TOOL_TIMEOUT, ().serve(transport)).await;
        Ok(Self(hello.context("`countersign mcp` does not answer")??))
    }

    /// What the server calls itself, and the protocol's version.
    pub(super) fn server(&self) -> String {
        let info = self.0.peer_info();
        let server = info.as_ref().and_then(|info| info.server_info.as_ref());
        let name = server.map(|server| format!("{} {}", server.name, server.version));
        let version = info.as_ref().map(|info| format!("MCP {}", info.protocol_version));
        [name, version].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The names of all tools.
    pub(super) async fn tools(&self) -> anyhow::Result<Vec<String>> {
        let tools = tokio::time::timeout(TOOL_TIMEOUT, self.0.list_all_tools()).await??;
        Ok(tools.into_iter().map(|tool| tool.name.into_owned()).collect())
    }

    /// Calls a tool, and reads its structured result.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        tool: &'static str,
        arguments: Value,
    ) -> anyhow::Result<T> {
        let Value::Object(arguments) = arguments else { bail!("{tool}: no arguments") };
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let result = tokio::time::timeout(TOOL_TIMEOUT, self.0.call_tool(params)).await;
        let result = result.with_context(|| format!("{tool} does not answer"))??;
        if result.is_error == Some(true) {
            bail!("{tool}: {}", serde_json::to_string(&result.content)?);
        }
        let value = result.structured_content.with_context(|| format!("{tool}: no structure"))?;
        let shape = value.to_string();
        serde_json::from_value(value).with_context(|| format!("{tool} gave {shape}"))
    }

    /// Ends the session and the server's process.
    pub(super) async fn end(self) {
        // The server may be gone already, and the demo goes on either way.
        tokio::time::timeout(TOOL_TIMEOUT, self.0.cancel()).await.ok();
    }
}
