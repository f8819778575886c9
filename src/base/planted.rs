//! Bugs that the simulation plants into test builds, to see that its checkers find them. Nothing of
//! this is in a product build. The simulation's own list says which checker finds which.

use std::cell::Cell;

/// A mistake that somebody could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A batch is acknowledged when it is handed to the disk.
    ReceiptBeforeCommit,
    /// A message leaves when it is handed to the disk.
    SendBeforeCommit,
    /// An agent is answered when its message is handed to the disk.
    AnswerBeforeCommit,
    /// Nobody looks whether a message has arrived before.
    DuplicateSkipped,
    /// What has arrived is forgotten an hour after it.
    ArrivalsForgotten,
    /// What is in flight when a link ends counts as delivered.
    DroppedOnLinkLoss,
    /// A new link begins with the newest that waits.
    ResendReversed,
    /// An arrival's audit record is a write of its own.
    AuditApart,
    /// A decision counts for whatever waits.
    OtherItemAccepted,
    /// A decision counts although nothing waits any more.
    ReplayAccepted,
    /// One human's signature makes a peer trusted.
    OneSignature,
    /// A message that is too late stays queued.
    NeverExpires,
    /// One peer may let any number of messages wait for our human.
    PendingUnbounded,
    /// What there was no room for is said to be there.
    BusyAcknowledged,
    /// What waits for our human leaves all the same.
    HeldLeaves,
}

thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug for this thread, or takes it out.
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this thread is to make this mistake.
#[must_use]
pub fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}
