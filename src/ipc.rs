//! Stub: replaced at merge.
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::node::{
    api::{ApiError, Inbox, InboxRequest, Request, SendRequest, Sent},
    config::Home,
};

/// Stub.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Stub.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Stub.
    #[error("no node runs here")]
    NoNode,
}

/// Stub.
#[derive(Debug)]
pub struct Client;

impl Client {
    /// Stub.
    #[expect(clippy::unused_async, clippy::missing_errors_doc, reason = "stub")]
    pub async fn connect(_: &Home) -> Result<Self, ClientError> {
        Err(ClientError::NoNode)
    }
    /// Stub.
    #[expect(clippy::unused_async, clippy::missing_errors_doc, reason = "stub")]
    pub async fn ask<T: DeserializeOwned>(&mut self, _: Request) -> Result<T, ClientError> {
        Err(ClientError::NoNode)
    }
    /// Stub.
    #[expect(clippy::unused_async, clippy::missing_errors_doc, reason = "stub")]
    pub async fn inbox(&mut self, _: InboxRequest, _: Duration) -> Result<Inbox, ClientError> {
        Err(ClientError::NoNode)
    }
    /// Stub.
    #[expect(clippy::unused_async, clippy::missing_errors_doc, reason = "stub")]
    pub async fn send(&mut self, _: SendRequest, _: Duration) -> Result<Sent, ClientError> {
        Err(ClientError::NoNode)
    }
}
