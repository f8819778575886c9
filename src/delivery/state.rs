//! The states of a message and the only moves between them.

use crate::wire::ReceiptState;

/// Where a message is in its life. The names are part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageState {
    /// Our human is asked.
    Held,
    /// Durable here, on its way.
    Queued,
    /// On the peer's disk.
    Delivered,
    /// Their human is asked.
    HeldByPeer,
    /// In their agent's inbox (or in ours, for what came to us).
    Accepted,
    /// Shown to the agent.
    Read,
    /// Answered.
    Replied,
    /// Our human said no.
    Denied,
    /// The peer will not take it.
    Refused,
    /// Its time is over, and nothing says that it arrived. What left before may have: the receiver's
    /// word follows.
    Expired,
}

impl MessageState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 10] = [
        Self::Held,
        Self::Queued,
        Self::Delivered,
        Self::HeldByPeer,
        Self::Accepted,
        Self::Read,
        Self::Replied,
        Self::Denied,
        Self::Refused,
        Self::Expired,
    ];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::HeldByPeer => "held_by_peer",
            Self::Accepted => "accepted",
            Self::Read => "read",
            Self::Replied => "replied",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// What a peer's receipt says of a message of ours. `None` for `busy`, which is no state.
    #[must_use]
    pub const fn of_receipt(state: ReceiptState) -> Option<Self> {
        match state {
            ReceiptState::Delivered => Some(Self::Delivered),
            ReceiptState::HeldByPeer => Some(Self::HeldByPeer),
            ReceiptState::Accepted => Some(Self::Accepted),
            ReceiptState::Read => Some(Self::Read),
            ReceiptState::Refused => Some(Self::Refused),
            ReceiptState::Busy => None,
        }
    }

    /// The message will not move any more. [`Self::Expired`] is no such state.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Replied | Self::Denied | Self::Refused)
    }

    /// Whether a receipt said so, so that its reason is the receiver's own words.
    #[must_use]
    pub const fn is_peers_word(self) -> bool {
        match self {
            Self::Delivered | Self::HeldByPeer | Self::Accepted | Self::Read | Self::Refused => {
                true
            }
            Self::Held | Self::Queued | Self::Replied | Self::Denied | Self::Expired => false,
        }
    }

    /// Whether a message of ours in this state may be said to be in `next`. Receipts can arrive
    /// late and in any order: a state never goes back. What expired may have arrived before, so the
    /// receiver's word still counts; whether it ever left is not for this to know.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Held, Self::Queued | Self::Denied | Self::Expired) => true,
            (Self::Held, _) => false,
            (Self::Queued, Self::Held | Self::Queued | Self::Denied) => false,
            (Self::Queued, _) => true,
            (Self::Delivered, Self::HeldByPeer | Self::Accepted | Self::Read) => true,
            (Self::Delivered | Self::HeldByPeer, Self::Replied | Self::Refused) => true,
            (Self::HeldByPeer, Self::Accepted | Self::Read) => true,
            (Self::Accepted, Self::Read | Self::Replied) => true,
            (Self::Read, Self::Replied) => true,
            (Self::Expired, Self::Replied) => true,
            (Self::Expired, next) => next.is_peers_word(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_goes_forward_and_ends() {
        use MessageState as S;
        for state in S::ALL {
            assert!(!state.may_become(state), "{state:?}");
            assert_eq!(S::parse(state.as_str()), Some(state));
            if state.is_end() {
                assert!(S::ALL.into_iter().all(|next| !state.may_become(next)), "{state:?}");
            }
            for next in S::ALL {
                let both = state.may_become(next) && next.may_become(state);
                assert!(!both, "{state:?} and {next:?} could go round");
            }
        }
        assert!(!S::Held.may_become(S::Delivered), "nothing is delivered that was not released");
        assert!(!S::Denied.may_become(S::Queued));
    }

    #[test]
    fn what_expired_may_have_arrived_all_the_same() {
        use MessageState as S;
        for next in S::ALL {
            let may = next.is_peers_word() || next == S::Replied;
            assert_eq!(S::Expired.may_become(next), may, "{next:?}");
            assert!(!next.is_peers_word() || !next.may_become(S::Expired), "{next:?}");
        }
        assert!(!S::Expired.is_end());
    }
}
