//! Places where a test build can be made to die, and faults that can be planted in it.
//!
//! With the cargo feature `fixtures`, which no release has, `COUNTERSIGN_FAILPOINT=NAME:N` ends the
//! process by SIGKILL when the place of that name is reached for the N-th time, and
//! `COUNTERSIGN_FAULT=NAME` plants a fault that `tests/kills` must find. Without the feature
//! [`reach`] and [`is_planted`] are empty, the names are not compiled, and nothing reads these
//! variables. What is not here: anything that a place does beyond dying.

/// A place around a write, a send or an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failpoint {
    /// The writer thread has a batch, and no transaction yet.
    StoreBegin,
    /// One write of a batch is done, inside its savepoint.
    StoreSavepoint,
    /// All writes of a batch are done, and nothing is committed.
    StoreCommit,
    /// A batch is on disk, and nobody was told.
    StoreCommitted,
    /// A batch is on disk, and all who wait for it were told.
    StoreAnswered,
    /// The log is about to be folded into the database file.
    StoreFold,
    /// The log was folded.
    StoreFolded,
    /// A file of the home is written under its temporary name.
    FileWritten,
    /// A file of the home has its name, and the folder is not on disk yet.
    FileNamed,
    /// The node has read its home, and has no net yet.
    StartLoaded,
    /// The node runs, and answers nobody yet.
    StartReady,
    /// The node was asked for something.
    Asked,
    /// An answer is about to be written to a client.
    AnswerWrite,
    /// An answer was written to a client.
    AnswerWritten,
    /// A message of ours is about to be written down.
    SendWrite,
    /// A message of ours is on disk, and who asked for it is not answered.
    SendWritten,
    /// Who asked for a message is answered, and the peer's outbox does not know of it.
    SendAnswered,
    /// A message goes to the net.
    SendTransmit,
    /// An acknowledged message is about to leave the outbox.
    SendSettle,
    /// Frames with messages are about to be written to a link.
    LinkData,
    /// Frames with messages were written to a link.
    LinkDataWritten,
    /// Frames with acknowledgements are about to be written to a link.
    LinkAck,
    /// Frames with acknowledgements were written to a link.
    LinkAckWritten,
    /// A hello is about to be said.
    LinkHello,
    /// A link is up, and the node does not know of it.
    LinkUp,
    /// Frames were read from a link, and the node does not know of them.
    LinkRead,
    /// A batch that arrived is about to be written down.
    TakeWrite,
    /// A batch that arrived is on disk, and is not acknowledged.
    TakeWritten,
    /// The acknowledgement of a batch went to the net.
    TakeAcked,
    /// A peer's receipt is about to be written down.
    ReceiptWrite,
    /// A peer's receipt is on disk.
    ReceiptWritten,
    /// A peer's acknowledgement is about to be taken.
    AckTake,
    /// Messages are about to be shown, and that is about to be written down.
    ShowWrite,
    /// That messages are shown is on disk, and nobody was shown them.
    ShowWritten,
    /// A decision was verified, and is about to be written down.
    DecideWrite,
    /// A decision is on disk, and whoever decided is not answered.
    DecideWritten,
    /// Whoever decided is answered, and what follows has not begun.
    DecideAnswered,
    /// An invite is about to be written down.
    InviteWrite,
    /// A request to a new peer is about to be written down.
    ConnectWrite,
    /// A request to a new peer is on disk, and the peer was not dialed.
    ConnectWritten,
    /// A step of a pairing is about to be written down.
    PairWrite,
    /// A step of a pairing is on disk, and the other side was not told.
    PairWritten,
    /// Our consent is about to be written down.
    ConsentWrite,
    /// Our consent is on disk, and was not sent.
    ConsentWritten,
    /// A pairing's frame is about to be written to its connection.
    PairFrame,
    /// A pairing's frame was written to its connection.
    PairFrameWritten,
    /// The audit chain's head is about to be signed, from time to time.
    Checkpoint,
    /// The node was told to end, and its last writes are on disk.
    Finish,
}

/// What `tests/kills` must find when it is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A write is answered before it is committed.
    AnswerEarly,
    /// What arrived is acknowledged before it is written down.
    AckEarly,
    /// That a message arrived before is not looked up.
    ForgetArrivals,
    /// What waits in the outbox after a start is sent in the wrong order.
    SendBackwards,
}

#[cfg(feature = "fixtures")]
impl Failpoint {
    /// Every place.
    pub const ALL: [Self; 48] = [
        Self::StoreBegin,
        Self::StoreSavepoint,
        Self::StoreCommit,
        Self::StoreCommitted,
        Self::StoreAnswered,
        Self::StoreFold,
        Self::StoreFolded,
        Self::FileWritten,
        Self::FileNamed,
        Self::StartLoaded,
        Self::StartReady,
        Self::Asked,
        Self::AnswerWrite,
        Self::AnswerWritten,
        Self::SendWrite,
        Self::SendWritten,
        Self::SendAnswered,
        Self::SendTransmit,
        Self::SendSettle,
        Self::LinkData,
        Self::LinkDataWritten,
        Self::LinkAck,
        Self::LinkAckWritten,
        Self::LinkHello,
        Self::LinkUp,
        Self::LinkRead,
        Self::TakeWrite,
        Self::TakeWritten,
        Self::TakeAcked,
        Self::ReceiptWrite,
        Self::ReceiptWritten,
        Self::AckTake,
        Self::ShowWrite,
        Self::ShowWritten,
        Self::DecideWrite,
        Self::DecideWritten,
        Self::DecideAnswered,
        Self::InviteWrite,
        Self::ConnectWrite,
        Self::ConnectWritten,
        Self::PairWrite,
        Self::PairWritten,
        Self::ConsentWrite,
        Self::ConsentWritten,
        Self::PairFrame,
        Self::PairFrameWritten,
        Self::Checkpoint,
        Self::Finish,
    ];

    /// What the variable calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StoreBegin => "store-begin",
            Self::StoreSavepoint => "store-savepoint",
            Self::StoreCommit => "store-commit",
            Self::StoreCommitted => "store-committed",
            Self::StoreAnswered => "store-answered",
            Self::StoreFold => "store-fold",
            Self::StoreFolded => "store-folded",
            Self::FileWritten => "file-written",
            Self::FileNamed => "file-named",
            Self::StartLoaded => "start-loaded",
            Self::StartReady => "start-ready",
            Self::Asked => "asked",
            Self::AnswerWrite => "answer-write",
            Self::AnswerWritten => "answer-written",
            Self::SendWrite => "send-write",
            Self::SendWritten => "send-written",
            Self::SendAnswered => "send-answered",
            Self::SendTransmit => "send-transmit",
            Self::SendSettle => "send-settle",
            Self::LinkData => "link-data",
            Self::LinkDataWritten => "link-data-written",
            Self::LinkAck => "link-ack",
            Self::LinkAckWritten => "link-ack-written",
            Self::LinkHello => "link-hello",
            Self::LinkUp => "link-up",
            Self::LinkRead => "link-read",
            Self::TakeWrite => "take-write",
            Self::TakeWritten => "take-written",
            Self::TakeAcked => "take-acked",
            Self::ReceiptWrite => "receipt-write",
            Self::ReceiptWritten => "receipt-written",
            Self::AckTake => "ack-take",
            Self::ShowWrite => "show-write",
            Self::ShowWritten => "show-written",
            Self::DecideWrite => "decide-write",
            Self::DecideWritten => "decide-written",
            Self::DecideAnswered => "decide-answered",
            Self::InviteWrite => "invite-write",
            Self::ConnectWrite => "connect-write",
            Self::ConnectWritten => "connect-written",
            Self::PairWrite => "pair-write",
            Self::PairWritten => "pair-written",
            Self::ConsentWrite => "consent-write",
            Self::ConsentWritten => "consent-written",
            Self::PairFrame => "pair-frame",
            Self::PairFrameWritten => "pair-frame-written",
            Self::Checkpoint => "checkpoint",
            Self::Finish => "finish",
        }
    }
}

#[cfg(feature = "fixtures")]
impl Fault {
    /// Every fault.
    pub const ALL: [Self; 4] =
        [Self::AnswerEarly, Self::AckEarly, Self::ForgetArrivals, Self::SendBackwards];

    /// What the variable calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AnswerEarly => "answer-early",
            Self::AckEarly => "ack-early",
            Self::ForgetArrivals => "forget-arrivals",
            Self::SendBackwards => "send-backwards",
        }
    }
}

/// Ends the process here, if the environment of a test build says so.
#[cfg(not(feature = "fixtures"))]
pub const fn reach(_: Failpoint) {}

/// Whether a fault is planted: never, but in a test build whose environment says so.
#[cfg(not(feature = "fixtures"))]
#[must_use]
pub const fn is_planted(_: Fault) -> bool {
    false
}

#[cfg(feature = "fixtures")]
pub use armed::{FAULT_VARIABLE, POINT_VARIABLE, is_planted, reach};

#[cfg(feature = "fixtures")]
mod armed {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    };

    use rustix::process::{Signal, getpid, kill_process};

    use super::{Failpoint, Fault};

    /// The variable that names a place, and how many times it is reached until the end.
    pub const POINT_VARIABLE: &str = "COUNTERSIGN_FAILPOINT";
    /// The variable that names a planted fault.
    pub const FAULT_VARIABLE: &str = "COUNTERSIGN_FAULT";

    /// The place, and how many times it may still be reached.
    static ARMED: LazyLock<Option<(Failpoint, AtomicU32)>> = LazyLock::new(|| {
        let armed = std::env::var(POINT_VARIABLE).ok()?;
        let (name, times) = armed.split_once(':')?;
        let point = Failpoint::ALL.into_iter().find(|point| point.name() == name)?;
        Some((point, AtomicU32::new(times.parse().ok()?)))
    });

    static PLANTED: LazyLock<Option<Fault>> = LazyLock::new(|| {
        let name = std::env::var(FAULT_VARIABLE).ok()?;
        Fault::ALL.into_iter().find(|fault| fault.name() == name)
    });

    /// Ends the process here, if the environment of a test build says so.
    pub fn reach(point: Failpoint) {
        let Some((armed, left)) = &*ARMED else { return };
        if *armed == point && left.fetch_sub(1, Ordering::SeqCst) == 1 {
            // As whoever kills a process does: nothing of ours runs after it.
            kill_process(getpid(), Signal::KILL).ok();
            std::process::abort();
        }
    }

    /// Whether a fault is planted: never, but in a test build whose environment says so.
    #[must_use]
    pub fn is_planted(fault: Fault) -> bool {
        *PLANTED == Some(fault)
    }
}
