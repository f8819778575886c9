//! rmcp's sessions, of one token: another token's id is as unknown as one that was never given.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::Stream;
use rmcp::{
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::{
        WorkerTransport,
        streamable_http_server::session::{
            ServerSseMessage, SessionId, SessionManager,
            local::{
                LocalSessionManager, LocalSessionManagerError, LocalSessionWorker,
                create_local_session,
            },
        },
    },
};

use super::rooms::{Clients, Key};
use crate::base::TokenId;

/// What one request can reach.
pub(super) struct OfToken {
    clients: Clients,
    token: TokenId,
    /// The id for the session that this request begins.
    begins: Mutex<Option<SessionId>>,
}

impl OfToken {
    pub(super) fn new(clients: Clients, token: TokenId, begins: Option<SessionId>) -> Self {
        Self { clients, token, begins: Mutex::new(begins) }
    }

    fn all(&self) -> &LocalSessionManager {
        self.clients.sessions()
    }

    fn own(&self, id: &SessionId) -> Result<(), LocalSessionManagerError> {
        if self.clients.knows(id, self.token) {
            return Ok(());
        }
        Err(LocalSessionManagerError::SessionNotFound(Arc::clone(id)))
    }
}

impl Drop for OfToken {
    fn drop(&mut self) {
        // Refused before it began.
        if let Some(id) = self.begins.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            self.clients.end(&Key::Session(id));
        }
    }
}

impl SessionManager for OfToken {
    type Error = LocalSessionManagerError;
    type Transport = WorkerTransport<LocalSessionWorker>;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        let begins = self.begins.lock().unwrap_or_else(PoisonError::into_inner).take();
        let id = begins.ok_or_else(|| LocalSessionManagerError::SessionNotFound("".into()))?;
        let config = self.all().session_config.clone();
        let (handle, worker) = create_local_session(Arc::clone(&id), config);
        self.all().sessions.write().await.insert(Arc::clone(&id), handle);
        Ok((id, WorkerTransport::spawn(worker)))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.own(id)?;
        self.all().initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        Ok(self.own(id).is_ok() && self.all().has_session(id).await?)
    }

    /// Asked by a client that ends its session, and by rmcp when one has ended.
    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        // One that has ended already is known no more, and rmcp has still to forget it.
        if self.clients.is_of_other(id, self.token) {
            return Err(LocalSessionManagerError::SessionNotFound(Arc::clone(id)));
        }
        self.clients.end(&Key::Session(Arc::clone(id)));
        self.all().close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.own(id)?;
        self.all().create_stream(id, message).await
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        self.own(id)?;
        self.all().accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.own(id)?;
        self.all().create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.own(id)?;
        self.all().resume(id, last_event_id).await
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::{sync::CancellationToken, task::TaskTracker};

    use super::*;
    use crate::{
        base::SessionName,
        node::{NodeHandle, tokens::Pass},
    };

    #[tokio::test]
    async fn a_session_is_closed_by_its_own_token_alone_and_forgotten_after_its_end() {
        let (node, _questions) = NodeHandle::channel();
        let cancel = CancellationToken::new();
        let open = move |wish| node.open_session(wish);
        let clients = Clients::new(open, &TaskTracker::new(), &cancel);
        let (one, other) = (TokenId::from_bytes([1; 5]), TokenId::from_bytes([2; 5]));
        let name = SessionName::parse("laptop").unwrap();
        let pass = Pass { id: one, name, ended: CancellationToken::new() };
        let id = clients.begin(&pass, None).unwrap().begins().unwrap();
        let of = |token| OfToken::new(clients.clone(), token, None);
        assert!(of(other).close_session(&id).await.is_err());
        assert!(clients.knows(&id, one), "another token's request ended it");
        of(one).close_session(&id).await.unwrap();
        assert!(!clients.knows(&id, one));
        // As rmcp does when it sees that a session has ended.
        of(one).close_session(&id).await.unwrap();
        cancel.cancel();
    }
}
