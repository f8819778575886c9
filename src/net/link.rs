//! One link of `countersign/1`: hello, then frames until it ends.
//!
//! The part that handles what a peer sent runs in a task of its own: if it panics, this link
//! ends and nothing else does.

use std::sync::{Arc, atomic::Ordering};

use iroh::endpoint::{Connection, ConnectionError, RecvStream, SendStream};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    LinkId, NetEvent, Outbound, code, framing,
    framing::FrameStream,
    reader::Reader,
    route::{self, Route},
    shared::{Shared, close, remote},
    table::Slot,
    tried::Tried,
    twice::{refuse_second, tell_twice, told_twice},
};
use crate::{
    base::{
        PeerId,
        failpoint::{Failpoint, reach},
        limits,
    },
    wire::{Frame, Hello},
};

/// What the writer takes.
#[derive(Debug)]
pub(super) enum Item {
    /// From the node.
    Frame(Box<Outbound>),
    /// Are you there?
    Ping(u64),
    /// I am.
    Pong(u64),
    /// Your key is at work in another place too.
    Twice,
}

/// What both sides said first.
struct Met {
    send: SendStream,
    recv: FrameStream,
    /// What we told of ourselves, beside what all are told.
    told: Vec<String>,
    /// What the other side said.
    hello: Hello,
}

/// Runs a connection from its handshake to its end. Nobody else closes it without a reason.
pub(super) async fn run(shared: Arc<Shared>, connection: Connection, dialed: bool) {
    let peer = remote(&connection);
    let gone = CancellationToken::new();
    match meet(&shared, &connection, dialed).await {
        Ok(met) => up(&shared, &connection, (dialed, gone.clone()), met).await,
        Err(code) => close(&connection, code),
    }
    note_rejection(&shared, &peer, connection.close_reason().as_ref()).await;
    // From here on the keeper dials again, and a newer link may be told of.
    gone.cancel();
}

/// Says hello and hears it. The dialer opens the one stream there is, and speaks first. So the
/// other side knows before it answers whether the dialer is there twice.
///
/// # Errors
/// The code to close with.
async fn meet(shared: &Shared, connection: &Connection, dialed: bool) -> Result<Met, u32> {
    if shared.approver.get().is_none() {
        return Err(code::PROTOCOL);
    }
    let (send, recv, told, hello) = if dialed {
        let (mut send, recv) = in_time(async { connection.open_bi().await.ok() }).await?;
        let told = in_time(say(shared, connection, &mut send)).await?;
        let (recv, hello) = in_time(hear(recv)).await?;
        refuse_second(shared, connection, &hello).await?;
        (send, recv, told, hello)
    } else {
        let begun = async {
            let (send, recv) = connection.accept_bi().await.ok()?;
            hear(recv).await.map(|heard| (send, heard))
        };
        let (mut send, (recv, hello)) = in_time(begun).await?;
        refuse_second(shared, connection, &hello).await?;
        let told = in_time(say(shared, connection, &mut send)).await?;
        (send, recv, told, hello)
    };
    Ok(Met { send, recv, told, hello })
}

/// A step of the beginning: too slow, or against the protocol.
async fn in_time<T>(step: impl Future<Output = Option<T>>) -> Result<T, u32> {
    match timeout(limits::HELLO_TIMEOUT, step).await {
        Ok(done) => done.ok_or(code::PROTOCOL),
        Err(_) => Err(code::SLOW),
    }
}

/// Says hello. Gives what was told to this peer.
async fn say(
    shared: &Shared,
    connection: &Connection,
    send: &mut SendStream,
) -> Option<Vec<String>> {
    let told = shared.features(&remote(connection));
    let mut bytes = Vec::new();
    reach(Failpoint::LinkHello);
    framing::put(&mut bytes, &Frame::Hello(shared.hello(&told)?).encode());
    send.write_all(&bytes).await.ok()?;
    Some(told)
}

/// Hears the other side's hello.
async fn hear(recv: RecvStream) -> Option<(FrameStream, Hello)> {
    let mut recv = FrameStream::new(recv, limits::FRAME_BYTES_MAX);
    let first = recv.first().await?;
    match Frame::decode(&first) {
        Ok(Frame::Hello(hello)) => Some((recv, hello)),
        Ok(
            Frame::Ping(_)
            | Frame::Pong(_)
            | Frame::Data { .. }
            | Frame::Ack { .. }
            | Frame::Twice
            | Frame::Unknown(_),
        )
        | Err(_) => None,
    }
}

/// Both said hello: the link is up, if it is the one that stays.
async fn up(
    shared: &Arc<Shared>,
    connection: &Connection,
    (dialed, gone): (bool, CancellationToken),
    Met { send, recv, told, hello }: Met,
) {
    let peer = remote(connection);
    let (queue, queued) = mpsc::channel(limits::SEND_QUEUE_FRAMES);
    let route = Route::of(connection);
    let slot = Slot {
        connection: connection.clone(),
        queue: queue.clone(),
        route: route.clone(),
        dialed,
        since: Instant::now(),
        run: hello.run(),
        gone,
    };
    let admitted = shared.links.admit(&shared.me, peer, slot, || shared.gate.trusts(&peer));
    let (link, former) = match admitted {
        Ok(admitted) => admitted,
        Err(code) => return close(connection, code),
    };
    // They were changed while this link was in no table yet, and so was not closed.
    if shared.features(&peer) != told {
        close(connection, code::BYE);
    }
    // The node hears of one link at a time.
    for former in former {
        former.cancelled().await;
    }
    tracing::debug!(peer = %peer.short(), link = link.0, dialed, "link up");
    shared.trials.forget(&peer);
    let came_back = hello.run().is_some_and(|run| shared.runs.note(peer, run));
    reach(Failpoint::LinkUp);
    shared.emit(NetEvent::LinkUp { peer, link, hello }).await;
    let watcher = route::watch(Arc::clone(shared), connection.clone(), (peer, link), route);
    shared.tasks.spawn(watcher);
    if came_back {
        shared.links.offer(peer, link, Item::Twice);
        tell_twice(shared, peer, false).await;
    }
    let reader = Reader::new(Arc::clone(shared), connection.clone(), (peer, link), queue, recv);
    let body = talk(Arc::clone(shared), connection.clone(), reader, write(send, queued));
    supervise(shared, connection, (peer, link), body).await;
}

/// Runs the body in a task of its own and cleans up after it, however it ends.
pub(super) async fn supervise(
    shared: &Arc<Shared>,
    connection: &Connection,
    (peer, link): (PeerId, LinkId),
    body: impl Future<Output = ()> + Send + 'static,
) {
    let ended = shared.tasks.spawn(body).await;
    close(connection, code::BYE);
    shared.links.remove(peer, link);
    tracing::debug!(peer = %peer.short(), link = link.0, failed = ended.is_err(), "link down");
    shared.emit(NetEvent::LinkDown { peer, link }).await;
}

async fn talk(
    shared: Arc<Shared>,
    connection: Connection,
    reader: Reader,
    writer: impl Future<Output = ()> + Send + 'static,
) {
    // Beside the reader, so that checking signatures does not delay what leaves. It ends with
    // the connection.
    let writer = shared.tasks.spawn(writer);
    tokio::select! {
        () = shared.cancel.cancelled() => close(&connection, code::BYE),
        _ = connection.closed() => {}
        code = reader.run() => close(&connection, code),
        _ = writer => close(&connection, code::BYE),
    }
}

/// Writes what waits, many frames at once.
async fn write(mut send: SendStream, mut queued: mpsc::Receiver<Item>) {
    let mut items = Vec::new();
    let mut bytes = Vec::new();
    while queued.recv_many(&mut items, limits::NET_BATCH_FRAMES).await > 0 {
        let (before, after) = points(&items);
        before.into_iter().flatten().for_each(reach);
        for item in items.drain(..) {
            framing::put(&mut bytes, &encode(item).encode());
            if bytes.len() >= limits::WRITE_BYTES_MAX {
                if send.write_all(&bytes).await.is_err() {
                    return;
                }
                bytes.clear();
            }
        }
        if send.write_all(&bytes).await.is_err() {
            return;
        }
        after.into_iter().flatten().for_each(reach);
        bytes.clear();
        bytes.shrink_to(limits::WRITE_BYTES_MAX);
    }
}

/// Where a test build may die before and after it writes these.
fn points(items: &[Item]) -> ([Option<Failpoint>; 2], [Option<Failpoint>; 2]) {
    let frames = || {
        items.iter().filter_map(|item| match item {
            Item::Frame(frame) => Some(frame.as_ref()),
            Item::Ping(_) | Item::Pong(_) | Item::Twice => None,
        })
    };
    let data = frames().any(|frame| matches!(frame, Outbound::Data { .. }));
    let acks = frames().any(|frame| matches!(frame, Outbound::Ack { .. }));
    let before = [data.then_some(Failpoint::LinkData), acks.then_some(Failpoint::LinkAck)];
    let written = (Failpoint::LinkDataWritten, Failpoint::LinkAckWritten);
    (before, [data.then_some(written.0), acks.then_some(written.1)])
}

/// The one place where an approval is used up.
pub(super) fn encode(item: Item) -> Frame {
    match item {
        Item::Ping(nonce) => Frame::Ping(nonce),
        Item::Pong(nonce) => Frame::Pong(nonce),
        Item::Twice => Frame::Twice,
        Item::Frame(frame) => match *frame {
            Outbound::Data { seq, envelope } => {
                Frame::Data { seq, envelope: envelope.into_item().bytes().to_vec() }
            }
            Outbound::Ack { upto, receipt } => {
                Frame::Ack { upto, receipt: receipt.map(|r| r.into_item().bytes().to_vec()) }
            }
        },
    }
}

/// The code, when the other side closed because it does not want us.
fn rejection(reason: Option<&ConnectionError>) -> Option<u64> {
    let Some(ConnectionError::ApplicationClosed(close)) = reason else { return None };
    let code = close.error_code.into_inner();
    let refusals = [code::NOT_TRUSTED, code::APPROVER_CHANGED, code::NOT_PQ, code::TWICE];
    refusals.map(u64::from).contains(&code).then_some(code)
}

/// Tells the node and the keeper, if the other side does not want us.
pub(super) async fn note_rejection(
    shared: &Shared,
    peer: &PeerId,
    reason: Option<&ConnectionError>,
) {
    let Some(code) = rejection(reason) else { return };
    tracing::info!(peer = %peer.short(), code, "the peer refuses us");
    if let Some(keeper) = shared.keeper(peer) {
        keeper.rejected.store(true, Ordering::Relaxed);
        shared.trials.note(*peer, Tried::Refused(code));
        if code == u64::from(code::TWICE) {
            return told_twice(shared, peer).await;
        }
        shared.emit(NetEvent::Rejected { peer: *peer, code }).await;
    }
}
