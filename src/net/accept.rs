//! Takes connections in. Each runs in a task of its own from its first packet.

use std::sync::Arc;

use iroh::{
    Watcher as _,
    endpoint::{Connection, Incoming},
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{
    NetEvent,
    gates::{Verdict, lock},
    link, pair,
    shared::Shared,
};
use crate::{
    base::limits,
    wire::{ALPN_PEER, pair::is_alpn},
};

/// Accepts until the end.
pub(super) async fn accept(shared: Arc<Shared>) {
    loop {
        let incoming = tokio::select! {
            incoming = shared.endpoint.accept() => incoming,
            () = shared.cancel.cancelled() => break,
        };
        match incoming {
            Some(incoming) => admit(&shared, incoming),
            // The endpoint ended, and nobody here ended it.
            None if !shared.cancel.is_cancelled() => {
                tracing::error!("the endpoint ended by itself");
                return shared.emit(NetEvent::Ended).await;
            }
            None => break,
        }
    }
    timeout(limits::CLOSE_TIMEOUT, shared.endpoint.close()).await.ok();
}

fn admit(shared: &Arc<Shared>, incoming: Incoming) {
    match shared.gate.before_handshake(&incoming) {
        Verdict::Accept(permit, alpns) => {
            shared.tasks.spawn(serve(Arc::clone(shared), incoming, permit, alpns));
        }
        Verdict::Retry => {
            // Who cannot be asked again has answered already, and is too many.
            if let Err(error) = incoming.retry() {
                error.into_incoming().refuse();
            }
        }
        Verdict::Refuse => incoming.refuse(),
    }
}

async fn serve(
    shared: Arc<Shared>,
    incoming: Incoming,
    permit: OwnedSemaphorePermit,
    alpns: Option<Vec<Vec<u8>>>,
) {
    let handshake = async {
        match alpns {
            None => incoming.await.ok(),
            Some(alpns) => {
                let config = shared.endpoint.create_server_config_builder(alpns).build();
                incoming.accept_with(Arc::new(config)).ok()?.await.ok()
            }
        }
    };
    // Gate B runs in here. Early data is never taken: it could be played back.
    let Ok(Some(connection)) = timeout(limits::HELLO_TIMEOUT, handshake).await else { return };
    drop(permit);
    route(shared, connection).await;
}

async fn route(shared: Arc<Shared>, connection: Connection) {
    match connection.alpn() {
        ALPN_PEER => link::run(shared, connection, false).await,
        alpn if is_alpn(alpn) => pair::serve(shared, connection).await,
        // No other is offered in the handshake.
        _ => {}
    }
}

/// Tells the node when we can be reached elsewhere, and dials who is down: what failed from
/// there may work from here.
pub(super) async fn watch_addresses(shared: Arc<Shared>) {
    let mut watcher = shared.endpoint.watch_addr();
    let mut known = shared.addresses();
    loop {
        tokio::select! {
            updated = watcher.updated() => if updated.is_err() { return },
            () = shared.cancel.cancelled() => return,
        }
        let now = shared.addresses();
        if now != known {
            known = now;
            lock(&shared.relays).hope();
            shared.wake_all();
            shared.emit(NetEvent::AddressesChanged).await;
        }
    }
}
