//! Gate D: what arrives on a link, decoded and verified here, beside the node.

use std::sync::Arc;

use iroh::endpoint::Connection;
use tokio::{
    sync::mpsc,
    task::coop::consume_budget,
    time::{Instant, timeout_at},
};

use super::{
    Inbound, LinkId, NetEvent, code, framing::FrameStream, link::Item, shared::Shared,
    twice::told_twice,
};
use crate::{
    base::{
        PeerId,
        failpoint::{Failpoint, reach},
        limits,
    },
    wire::{Envelope, Frame},
};

/// The reading side of one link.
pub(super) struct Reader {
    shared: Arc<Shared>,
    connection: Connection,
    peer: PeerId,
    link: LinkId,
    queue: mpsc::Sender<Item>,
    frames: FrameStream,
    pulse: Pulse,
    /// When the frame that has begun must be whole.
    due: Option<Instant>,
}

/// Why reading ends: the code to close with.
type Stop = u32;

impl Reader {
    /// Of a stream whose hello was read.
    pub(super) fn new(
        shared: Arc<Shared>,
        connection: Connection,
        (peer, link): (PeerId, LinkId),
        queue: mpsc::Sender<Item>,
        frames: FrameStream,
    ) -> Self {
        let pulse = Pulse { heard: Instant::now(), asked: None };
        Self { shared, connection, peer, link, queue, frames, pulse, due: None }
    }

    /// Reads until the end.
    pub(super) async fn run(mut self) -> Stop {
        loop {
            if let Err(stop) = self.step().await {
                return stop;
            }
        }
    }

    /// Hands on all that is here, or else waits for more.
    async fn step(&mut self) -> Result<(), Stop> {
        let frames = self.batch().await?;
        if frames.is_empty() {
            return self.wait().await;
        }
        self.due = None;
        reach(Failpoint::LinkRead);
        let (peer, link) = (self.peer, self.link);
        self.shared.emit(NetEvent::Frames { peer, link, frames }).await;
        // While the node was busy, the peer may have been sending all the time.
        self.pulse.hear();
        Ok(())
    }

    /// The whole frames that are here.
    async fn batch(&mut self) -> Result<Vec<Inbound>, Stop> {
        let mut batch = Vec::new();
        while batch.len() < limits::NET_BATCH_FRAMES {
            let Some(bytes) = self.frames.buffer.take().map_err(|_| code::PROTOCOL)? else { break };
            let frame = Frame::decode(bytes).map_err(|_| code::PROTOCOL)?;
            self.due = None;
            batch.extend(self.inbound(frame).await?);
            // Signatures take time; others of this thread may run in between.
            consume_budget().await;
        }
        Ok(batch)
    }

    async fn inbound(&self, frame: Frame) -> Result<Option<Inbound>, Stop> {
        let read = |bytes: Vec<u8>| Envelope::decode(&bytes).map(Box::new);
        Ok(match frame {
            Frame::Hello(_) => return Err(code::PROTOCOL),
            Frame::Ping(nonce) => {
                // A full queue is full of what tells the peer as much as a pong.
                self.queue.try_send(Item::Pong(nonce)).ok();
                None
            }
            Frame::Pong(nonce) => {
                self.shared.pings.answer(&self.peer, nonce);
                None
            }
            Frame::Twice => {
                told_twice(&self.shared, &self.peer).await;
                None
            }
            Frame::Unknown(_) => None,
            Frame::Data { seq, envelope } => Some(Inbound::Data { seq, envelope: read(envelope) }),
            Frame::Ack { upto, receipt } => Some(Inbound::Ack { upto, receipt: receipt.map(read) }),
        })
    }

    /// Waits for bytes: no longer than a frame that has begun may take, and no longer than a
    /// peer that is there is silent.
    async fn wait(&mut self) -> Result<(), Stop> {
        let now = Instant::now();
        if self.frames.buffer.has_part() {
            self.due.get_or_insert(now + limits::FRAME_TIMEOUT);
        }
        let pulse = self.pulse.due();
        let until = self.due.map_or(pulse, |due| due.min(pulse));
        match timeout_at(until, self.frames.fill()).await {
            Ok(true) => self.pulse.hear(),
            Ok(false) => return Err(code::BYE),
            Err(_) if self.due.is_some_and(|due| due <= Instant::now()) => return Err(code::SLOW),
            Err(_) => {
                let datagrams = self.connection.stats().udp_rx.datagrams;
                if !self.pulse.check(Instant::now(), datagrams) {
                    return Err(code::SLOW);
                }
                if self.pulse.is_first() {
                    // With a full queue the writer waits for the peer, and the silence counts.
                    self.queue.try_send(Item::Ping(self.link.0)).ok();
                }
            }
        }
        Ok(())
    }
}

/// Whether the peer is there.
///
/// A dead peer's packets stop, and the ping shows it. A peer whose packets arrive is alive, but
/// may be slow to answer: behind a narrow line, or because its node writes to a slow disk.
#[derive(Debug)]
struct Pulse {
    heard: Instant,
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    since: Instant,
    again: Instant,
    datagrams: u64,
    times: u32,
}

impl Pulse {
    /// Something arrived.
    fn hear(&mut self) {
        *self = Self { heard: Instant::now(), asked: None };
    }

    /// When to look next.
    fn due(&self) -> Instant {
        self.asked.as_ref().map_or(self.heard + limits::PING_AFTER, |asked| asked.again)
    }

    /// A ping is to be sent now.
    fn is_first(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.times == 1)
    }

    /// It is time to look: the peer was silent. False when it is dead. `datagrams` is how many
    /// its packets were so far.
    fn check(&mut self, now: Instant, datagrams: u64) -> bool {
        let again = now + limits::PONG_TIMEOUT;
        match &mut self.asked {
            None => {
                self.asked = Some(Asked { since: now, again, datagrams, times: 1 });
                true
            }
            Some(asked) => {
                let lives = datagrams > asked.datagrams;
                *asked = Asked { again, datagrams, times: asked.times + 1, ..*asked };
                lives && now.saturating_duration_since(asked.since) < limits::FRAME_TIMEOUT
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_whose_packets_stop_is_dead_after_one_ping() {
        let now = Instant::now();
        let mut pulse = Pulse { heard: now, asked: None };
        let ping = pulse.due();
        assert_eq!(ping, now + limits::PING_AFTER);
        assert!(pulse.check(ping, 7) && pulse.is_first());
        assert_eq!(pulse.due(), ping + limits::PONG_TIMEOUT);
        assert!(!pulse.check(pulse.due(), 7));
    }

    #[test]
    fn a_peer_whose_packets_arrive_has_longer_to_answer_but_not_forever() {
        let mut pulse = Pulse { heard: Instant::now(), asked: None };
        let ping = pulse.due();
        let mut datagrams = 0;
        while pulse.check(pulse.due(), datagrams) {
            datagrams += 1;
            assert!(datagrams < 20, "it ends");
        }
        let given = pulse.due() - ping;
        assert!(given > limits::FRAME_TIMEOUT && given < limits::FRAME_TIMEOUT * 2);
    }
}
