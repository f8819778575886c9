//! What every command has: a home, a printer, and a way to ask the node.

use std::{
    io::{IsTerminal as _, Read as _},
    time::Duration,
};

use serde::de::DeserializeOwned;

use super::print::{self, Printer};
use crate::{
    base::limits,
    daemon,
    ipc::{Client, ClientError},
    node::{
        api::{
            AgentRequest, ApiError, ErrorKind, HumanRequest, Inbox, InboxRequest, Request, Sent,
        },
        config::Home,
    },
};

/// What every command has.
pub(super) struct Ctx {
    pub(super) home: Home,
    pub(super) out: Printer,
}

impl Ctx {
    /// Asks as an agent's tool would; starts the node when none runs.
    pub(super) async fn agent<T: DeserializeOwned>(
        &self,
        request: AgentRequest,
    ) -> anyhow::Result<T> {
        Ok(self.client().await?.ask(Request::Agent(request)).await?)
    }

    /// Asks as the human; starts the node when none runs.
    pub(super) async fn human<T: DeserializeOwned>(
        &self,
        request: HumanRequest,
    ) -> anyhow::Result<T> {
        Ok(self.client().await?.ask(Request::Human(request)).await?)
    }

    /// A page of the inbox, waited for.
    pub(super) async fn inbox(
        &self,
        request: InboxRequest,
        wait: Duration,
    ) -> anyhow::Result<Inbox> {
        let mut client = self.client().await?;
        let spinner =
            (!wait.is_zero()).then(|| print::spinner("waiting for a message (Ctrl-C ends)"));
        let inbox = client.inbox(request, wait).await;
        drop(spinner);
        Ok(inbox?)
    }

    /// Sends, and says what became of it. The reply is not waited for here: it would count as
    /// shown to the agent.
    pub(super) async fn send(
        &self,
        request: crate::node::api::SendRequest,
    ) -> anyhow::Result<Sent> {
        Ok(self.client().await?.send(request, Duration::ZERO).await?)
    }

    /// A connection to the node; starts it when none runs.
    pub(super) async fn client(&self) -> anyhow::Result<Client> {
        let spinner = print::spinner("reaching the node");
        daemon::ensure_running(&self.home).await?;
        let client = Client::connect(&self.home).await?;
        drop(spinner);
        Ok(client)
    }

    /// Asks a node that runs; `None` when none does.
    pub(super) async fn if_running<T: DeserializeOwned>(
        &self,
        request: HumanRequest,
    ) -> anyhow::Result<Option<T>> {
        match Client::connect(&self.home).await {
            Ok(mut client) => Ok(Some(client.ask(Request::Human(request)).await?)),
            Err(ClientError::Api(error)) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }
}

/// A text that was given, or stdin for `-` and for none when stdin is no terminal.
pub(super) fn text_or_stdin(text: Option<String>) -> anyhow::Result<String> {
    match text {
        Some(text) if text != "-" => return Ok(text),
        Some(_) => {}
        None if std::io::stdin().is_terminal() => {
            let next = "give it as an argument, or - to read stdin";
            return Err(ApiError::new(ErrorKind::Usage, "there is no text", next).into());
        }
        None => {}
    }
    let wrong = |message: String| {
        let next = format!("send UTF-8, at most {} bytes of it", limits::TEXT_BYTES_MAX);
        ApiError::new(ErrorKind::Usage, message, next)
    };
    let mut bytes = Vec::new();
    // One more for the line feed that a shell adds, and one to see that there is too much.
    let most = u64::try_from(limits::TEXT_BYTES_MAX + 2).unwrap_or(u64::MAX);
    std::io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop(); // Not part of what was said.
    }
    if bytes.len() > limits::TEXT_BYTES_MAX {
        return Err(wrong("the text on stdin is too long".to_owned()).into());
    }
    String::from_utf8(bytes).map_err(|error| wrong(format!("stdin: {error}")).into())
}
