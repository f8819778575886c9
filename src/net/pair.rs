//! A pairing connection: `countersign/pair/1`, with a stranger. The joiner dials, opens the one
//! stream and speaks first. Everything is small, slow and short-lived.

use std::{sync::Arc, time::Duration};

use iroh::endpoint::{Connection, SendStream};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    LinkId, NetEvent, code, framing,
    framing::FrameStream,
    keep::connect,
    rates::Bucket,
    route::Route,
    shared::{Shared, close, remote},
    table::Slot,
};
use crate::{
    base::{
        Digest, PeerId,
        failpoint::{Failpoint, reach},
        limits,
    },
    wire::{ALPN_PAIR, PairFrame, pair::alpn_of},
};

const MINUTE: Duration = Duration::from_mins(1);

/// Dials once. The proof is shown in the handshake: who is reached through a relay needs it to let
/// us in.
pub(super) async fn dial(
    shared: Arc<Shared>,
    peer: PeerId,
    addresses: Vec<String>,
    proof: Option<Digest>,
) {
    let addresses = shared.places(&shared.rules.dialable(&addresses), false);
    let shown = proof.iter().map(alpn_of).collect();
    let connection = tokio::select! {
        connection = connect(&shared, &peer, addresses, ALPN_PAIR, shown) => connection,
        () = shared.cancel.cancelled() => None,
    };
    if let Some(connection) = connection
        && let Ok((send, recv)) = connection.open_bi().await
    {
        let recv = FrameStream::new(recv, limits::KNOCK_BYTES_MAX);
        return run(&shared, &connection, (send, recv), None).await;
    }
    shared.emit(NetEvent::PairDown { peer, link: None }).await;
}

/// Serves a connection that a stranger dialed, if it speaks at once.
pub(super) async fn serve(shared: Arc<Shared>, connection: Connection) {
    let Some(_place) = shared.gate.pairing_place() else {
        return close(&connection, code::NOT_TRUSTED);
    };
    let begin = async {
        let (send, recv) = connection.accept_bi().await.ok()?;
        let mut recv = FrameStream::new(recv, limits::KNOCK_BYTES_MAX);
        let first = PairFrame::decode(&recv.first().await?).ok()?;
        let known = !matches!(first, PairFrame::Unknown(_));
        known.then_some(((send, recv), first))
    };
    match timeout(limits::HELLO_TIMEOUT, begin).await {
        Ok(Some((streams, first))) => run(&shared, &connection, streams, Some(first)).await,
        Ok(None) => close(&connection, code::PROTOCOL),
        Err(_) => close(&connection, code::SLOW),
    }
}

async fn run(
    shared: &Arc<Shared>,
    connection: &Connection,
    (send, recv): (SendStream, FrameStream),
    first: Option<PairFrame>,
) {
    let (peer, dialed) = (remote(connection), first.is_none());
    let (queue, queued) = mpsc::channel(limits::PAIR_QUEUE_FRAMES);
    let gone = CancellationToken::new();
    let route = Route::of(connection);
    let (held, since) = (connection.clone(), Instant::now());
    let slot = Slot { connection: held, queue, route, dialed, since, run: None, gone };
    // One key takes one place each way, however often it dials.
    let link = shared.pairs.replace(peer, slot);
    shared.emit(NetEvent::PairUp { peer, link, dialed }).await;
    let body = talk(Arc::clone(shared), connection.clone(), link, (recv, first));
    // Its own task: a panic there ends this pairing connection and nothing else.
    let body = shared.tasks.spawn(body);
    let stop = body_and_writer(shared, connection, body, write(send, queued)).await;
    close(connection, stop);
    shared.pairs.remove(peer, link);
    shared.emit(NetEvent::PairDown { peer, link: Some(link) }).await;
}

async fn body_and_writer(
    shared: &Shared,
    connection: &Connection,
    mut body: tokio::task::JoinHandle<u32>,
    writer: impl Future<Output = ()>,
) -> u32 {
    let stop = tokio::select! {
        () = shared.cancel.cancelled() => code::BYE,
        _ = connection.closed() => code::BYE,
        ended = &mut body => ended.unwrap_or(code::PROTOCOL),
        // The node said that this is the end, and the other side did not close in time.
        () = writer => code::BYE,
        () = silence(connection) => code::SLOW,
        () = sleep(limits::PAIR_CONNECTION_LIFE) => code::SLOW,
    };
    body.abort();
    stop
}

/// Ends when no packet came for a while: the other side was killed, or the way to it is gone. Looks
/// are counted, because a process that stood still is late for one look alone, and what came
/// meanwhile is read before the next.
async fn silence(connection: &Connection) {
    let datagrams = || connection.stats().udp_rx.datagrams;
    let (mut before, mut silent) = (datagrams(), 0);
    while silent < limits::PAIR_SILENCE_LOOKS {
        sleep(limits::PAIR_SILENCE / limits::PAIR_SILENCE_LOOKS).await;
        let now = datagrams();
        silent = if now == before { silent + 1 } else { 0 };
        before = now;
    }
}

/// Reads frames until the end; gives the code to close with.
async fn talk(
    shared: Arc<Shared>,
    connection: Connection,
    link: LinkId,
    (mut recv, first): (FrameStream, Option<PairFrame>),
) -> u32 {
    let peer = remote(&connection);
    let mut rate = Bucket::new(limits::PAIR_FRAMES_PER_MINUTE, MINUTE, Instant::now());
    let mut next = first;
    loop {
        match next {
            Some(PairFrame::Unknown(_)) | None => {}
            Some(frame) => shared.emit(NetEvent::Pair { peer, link, frame }).await,
        }
        let frame = match frame(&mut recv).await {
            Ok(frame) => frame,
            Err(stop) => return stop,
        };
        if !rate.take(Instant::now()) {
            return code::PROTOCOL;
        }
        next = Some(frame);
    }
}

/// Waits for a frame, and not long for the rest of one that has begun.
async fn frame(recv: &mut FrameStream) -> Result<PairFrame, u32> {
    let mut due: Option<Instant> = None;
    loop {
        if let Some(bytes) = recv.buffer.take().map_err(|_| code::PROTOCOL)? {
            return PairFrame::decode(bytes).map_err(|_| code::PROTOCOL);
        }
        if recv.buffer.has_part() && due.is_none() {
            due = Some(Instant::now() + limits::HELLO_TIMEOUT);
        }
        let more = match due {
            Some(due) => timeout_at(due, recv.fill()).await.map_err(|_| code::SLOW)?,
            None => recv.fill().await,
        };
        if !more {
            return Err(code::BYE);
        }
    }
}

/// Writes until the node says that this is the end; then waits, not long, for the other side.
async fn write(mut send: SendStream, mut queued: mpsc::Receiver<PairFrame>) {
    while let Some(frame) = queued.recv().await {
        let mut bytes = Vec::new();
        framing::put(&mut bytes, &frame.encode());
        reach(Failpoint::PairFrame);
        if send.write_all(&bytes).await.is_err() {
            return;
        }
        reach(Failpoint::PairFrameWritten);
    }
    // The other side closes when it has read to here: closing from this side could overtake the
    // last frame.
    if send.finish().is_ok() {
        sleep(limits::PAIR_FLUSH_TIMEOUT).await;
    }
}
