//! The receiving end: a node whose agent reads when the sender wants it to.

use std::{io::BufRead as _, time::Duration};

use countersign::node::{
    NodeHandle,
    api::{AgentRequest, InboxRequest, Reply},
};
use serde_json::json;

use crate::{
    ends::{InProcess, say},
    raw::{self, Stream, Wish},
};

/// How long one wait for a message is.
const WAIT: Duration = Duration::from_mins(1);

/// Serves one sender, until the first process says that it is over.
pub(crate) async fn run(home: String) {
    let end = InProcess::start(&home).await;
    let endpoint = raw::endpoint().await;
    say(&json!({"address": raw::address(&endpoint)}));
    let node = end.node.clone();
    let served = tokio::spawn(async move {
        let stream = Stream::accept(&endpoint).await;
        stream.echo(|wish| grant(node.clone(), wish)).await;
        endpoint.close().await;
    });
    tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().next()).await.unwrap();
    served.abort();
    end.stop().await;
}

async fn grant(node: NodeHandle, wish: Wish) {
    match wish {
        Wish::ReadAll => while read_page(&node).await > 0 {},
        Wish::KeepReading => drop(tokio::spawn(keep_reading(node))),
    }
}

fn unread() -> InboxRequest {
    InboxRequest { unread: true, limit: Some(100), mark_read: true, ..InboxRequest::default() }
}

async fn read_page(node: &NodeHandle) -> usize {
    let reply = node.agent().ask(AgentRequest::Inbox(unread())).await.unwrap();
    let Reply::Inbox(inbox) = reply else { panic!("another answer") };
    inbox.messages.len()
}

/// As an agent that calls `peer_inbox` again and again. Ends with the node.
async fn keep_reading(node: NodeHandle) {
    let agent = node.agent();
    while agent.inbox(unread(), WAIT).await.is_ok() {}
}
