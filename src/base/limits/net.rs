//! Net: the bounds of connections.

use std::time::Duration;

use super::{KIB, RECEIPT_ENTRIES_MAX, hours, minutes};

/// Our own bound around iroh's connect, whose own is 30 s.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a start waits for the port that it had before, where somebody holds it: a node that
/// ends lets it go within [`CLOSE_TIMEOUT`](super::CLOSE_TIMEOUT).
pub const PORT_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two tries to have that port.
pub const PORT_RETRY: Duration = Duration::from_millis(50);
/// From an accepted connection to its hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// The first wait after a failed connect.
pub const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// The longest wait between two connects.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The longest wait between two connects to a peer that was linked within [`LOST_LATELY`].
pub const BACKOFF_LATELY_MAX: Duration = Duration::from_millis(500);
/// For so long a peer that was linked is looked for without a pause: most outages end before.
pub const LOST_LATELY: Duration = minutes(3);
/// A link of this age counts as having been one.
pub const LINK_REAL: Duration = Duration::from_secs(1);
/// Dials to one peer at once. A dial that began while the network was away may sit in a wait of
/// its own when it returns, so another begins beside it.
pub const DIALS_BESIDE: usize = 4;
/// How soon it does, while the peer was linked lately.
pub const DIAL_AGAIN: Duration = Duration::from_millis(1500);
/// How soon it does, when something changed.
pub const DIAL_AGAIN_MIN: Duration = Duration::from_millis(500);
/// Two dials within this time are one simultaneous dial.
pub const TIE_WINDOW: Duration = Duration::from_secs(5);
/// Silence with something unacknowledged before we ping.
pub const PING_AFTER: Duration = Duration::from_secs(5);
/// How long a pong may take before the connection counts as dead.
pub const PONG_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a peer waits before it tries again where we answered `busy`.
pub const BUSY_RETRY: Duration = Duration::from_secs(5);
/// How long a peer that says hello anew may take to answer over its older link, before the new one
/// takes its place; at least, and at most where its round trip is long. A peer that was killed
/// waits for this when it is back.
pub const TWICE_PONG_MIN: Duration = Duration::from_secs(1);
/// See [`TWICE_PONG_MIN`].
pub const TWICE_PONG_MAX: Duration = Duration::from_secs(2);
/// How long it is said that a key is in two places, after the last news of it: both places dial
/// within [`BACKOFF_MAX`] while both are there.
pub const TWICE_TOLD: Duration = minutes(10);
/// How often at most a peer's word of two places is news: it may say so in every frame.
pub const TWICE_NEWS_EVERY: Duration = minutes(1);
/// Runs of one peer's node that are remembered.
pub const RUNS_KEPT: usize = 4;
/// Pings of `countersign ping` at most.
pub const PINGS_MAX: u32 = 10;
/// How long `countersign ping` waits for a link at most.
pub const PING_DIAL_MAX: Duration = Duration::from_secs(30);
/// How long each part of a look at the network may take.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that are not yet through a handshake.
pub const HANDSHAKES_MAX: usize = 64;
/// Handshakes a second that strangers may start, and how many at once.
pub const HANDSHAKES_PER_S: u32 = 20;
/// Pairing connections at once.
pub const PAIR_CONNECTIONS_MAX: usize = 16;
/// A pairing connection's total life: both humans may take longer, the joiner dials again.
pub const PAIR_CONNECTION_LIFE: Duration = hours(1);
/// Frames that wait to be written to one peer.
pub const SEND_QUEUE_FRAMES: usize = 1024;
/// Events from the net that wait for the node.
pub const NET_QUEUE_EVENTS: usize = 256;
/// Frames handed to the node in one event: one transaction's batch.
pub const NET_BATCH_FRAMES: usize = RECEIPT_ENTRIES_MAX;
/// From a frame's first byte to its last: the largest one passes at 32 kbit/s. Also how long a
/// peer whose packets arrive may leave a ping unanswered.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(20);
/// QUIC: unread bytes of one stream.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// QUIC: unread bytes of one connection, and bytes that are not acknowledged yet.
pub const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// QUIC: a path that is silent for this long is given up for another. A firewall that swallows UDP
/// from one moment to the next costs so long, and some tenths of a second more, until the relay takes
/// over; iroh's own 15 s cost 15. Two touches may be lost before.
pub const PATH_IDLE_TIMEOUT: Duration = Duration::from_millis(3900);
/// QUIC: how often a silent path is touched.
pub const PATH_KEEP_ALIVE: Duration = Duration::from_millis(1300);
/// How long the home relay may be away before another takes over: a relay that restarts is back
/// before.
pub const RELAY_DOWN: Duration = Duration::from_millis(1500);
/// How long one that was just chosen may take to be connected.
pub const RELAY_CONNECT: Duration = Duration::from_secs(6);
/// The longest time between two looks for a relay that answers.
pub const RELAY_DOWN_MAX: Duration = Duration::from_secs(16);
/// How long a relay that went away is out of use, the first time; then twice as long, and so on.
pub const RELAY_OUT: Duration = minutes(1);
/// The longest time that a relay is out of use.
pub const RELAY_OUT_MAX: Duration = hours(1);
/// Characters of what is said to be wrong with a relay.
pub const RELAY_PROBLEM_CHARS_MAX: usize = 200;
/// How often we look whether this process stood still.
pub const FROZEN_TICK: Duration = Duration::from_secs(1);
/// So much later than it was to be, a look counts as the first one after standing still: a busy
/// machine is not so late.
pub const FROZEN_AFTER: Duration = Duration::from_secs(3);
/// How long a link may be silent after that.
pub const WAKE_TIMEOUT: Duration = Duration::from_secs(2);
/// What is read from one link before it is decoded: one batch of small messages.
pub const READ_BUFFER_BYTES_MAX: usize = 256 * KIB;
/// What is written to one link at once.
pub const WRITE_BYTES_MAX: usize = 128 * KIB;
/// Dials at once, so that a long list of absent peers does not take all sockets and time.
pub const DIALS_MAX: usize = 64;
/// A link of this age ended for a new reason: the next dial comes soon again.
pub const LINK_LONG: Duration = Duration::from_secs(10);
/// Frames a minute on one pairing connection, and how many at once.
pub const PAIR_FRAMES_PER_MINUTE: u32 = 16;
/// Frames that wait to be written to one stranger.
pub const PAIR_QUEUE_FRAMES: usize = 8;
/// A pairing connection on which no packet came for this long is dead: a live one is touched every
/// [`PATH_KEEP_ALIVE`]. Whoever dialed then dials anew, and does not wait for QUIC's own 30 s when the
/// other side's node was killed.
pub const PAIR_SILENCE: Duration = Duration::from_secs(4);
/// How many looks in a row, over that time, must find that no packet came.
pub const PAIR_SILENCE_LOOKS: u32 = 4;
/// How long the last frames of a pairing may take to arrive before it is closed.
pub const PAIR_FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// Handshakes a second from one network (/24, /64) or through one relay, and how many at once.
pub const HANDSHAKES_PER_SOURCE_S: u32 = HANDSHAKES_PER_S / 2;
/// Networks whose handshakes are counted apart; further ones share the count of all.
pub const HANDSHAKE_SOURCES_MAX: usize = 1024;
/// Lookups that are asked and published to.
pub const LOOKUPS_MAX: usize = 8;
/// Addresses in a slot's record: with more, the longest ones would not fit into its 1,000 bytes.
pub const SLOT_ADDRESSES_MAX: usize = 3;
/// One question to one lookup about a slot, or one record for it.
pub const SLOT_TIMEOUT: Duration = Duration::from_secs(8);
/// The empty record that ends a slot, before the process may end.
pub const SLOT_END_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a slot's record is published anew.
pub const SLOT_REPUBLISH: Duration = Duration::from_secs(30);
/// How soon it is tried again after a failure.
pub const SLOT_RETRY: Duration = Duration::from_secs(3);
/// How old a slot's record may be, by its own time stamp: clocks may be minutes apart. What a
/// process left behind that ended without a word is nothing after this.
pub const SLOT_RECORD_AGE_MAX: Duration = minutes(12);
/// How far ahead of our clock a slot's record may be dated. A server keeps the newest, so one that
/// is dated later still would block a slot for good.
pub const SLOT_RECORD_AHEAD_MAX: Duration = minutes(2);
/// One mDNS message: what a link carries in one packet (RFC 6762 section 17).
pub const LAN_MESSAGE_BYTES_MAX: usize = 1500;
/// Questions of one mDNS message that are looked at, and records of one answer.
pub const LAN_RECORDS_MAX: usize = 32;
/// mDNS messages a second that are looked at, and how many at once: a LAN's own chatter is less.
pub const LAN_HEARD_PER_S: u32 = 200;
/// mDNS messages a second that we send, and how many at once.
pub const LAN_SAID_PER_S: u32 = 20;
/// A name is answered once in this time (RFC 6762 section 6).
pub const LAN_ANSWER_EVERY: Duration = Duration::from_secs(1);
/// When a question is repeated, after it was first asked.
pub const LAN_REPEATS: [Duration; 2] = [Duration::from_millis(1200), Duration::from_secs(3)];
/// A neighbouring day's name is answered so long before and after midnight (UTC): clocks differ.
pub const LAN_MIDNIGHT: Duration = hours(1);
/// How often a question of one peer's makes us dial it: somebody may repeat what it asked.
pub const LAN_HERE_EVERY: Duration = Duration::from_secs(10);
/// How long a peer on the LAN may take to answer; less than a dial.
pub const LAN_PEER_WAIT: Duration = Duration::from_millis(4500);
/// How long strangers in a slot may take to answer, and when they are asked again.
pub const LAN_SLOT_WAIT: Duration = Duration::from_millis(2200);
/// Questions that wait for the socket.
pub const LAN_QUEUE: usize = 64;
/// Networks that this machine is in, as far as they are asked.
pub const LAN_LINKS_MAX: usize = 16;
/// How often these are looked up.
pub const LAN_LINKS_EVERY: Duration = Duration::from_secs(5);
/// Answers to one question that are taken.
pub const LAN_ANSWERS_MAX: usize = 4;
