//! What a peer signs about audit chains in its receipts: the head of its own, and the newest head of
//! ours that it saw (`SPEC.md` section 4). A chain that was cut or rolled back shows by it.
//!
//! Says what follows from one more such word; keeping it is the store's work.

use super::Head;
use crate::base::{MessageId, Timestamp};

/// A head that a peer signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The head.
    pub head: Head,
    /// The receipt that says so.
    pub receipt: MessageId,
    /// When that was signed, by the peer's clock.
    pub at: Timestamp,
}

/// What one more head of the peer's own chain means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing new, or older than what is known: receipts may be late, and may come twice.
    Keep,
    /// The newest head from now on.
    Advance,
    /// It contradicts what is known: the chain went back, or is another one.
    Contradicts,
}

/// Weighs a head of a peer's own chain against the newest one that is known.
///
/// A lower number contradicts only where the receipt was signed after the known one, by the peer's own
/// clock: a receipt that is late or comes twice was signed before it. A chain never has two records of
/// one number.
#[must_use]
pub fn weigh(known: Option<&Sighting>, new: &Sighting) -> Step {
    let Some(known) = known else { return Step::Advance };
    if new.head.seq > known.head.seq {
        return Step::Advance;
    }
    let forked = new.head.seq == known.head.seq && new.head.hash != known.head.hash;
    let back = new.head.seq < known.head.seq && new.at > known.at;
    if forked || back { Step::Contradicts } else { Step::Keep }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digest;

    fn sighting(seq: u64, hash: u8, at: u64) -> Sighting {
        let head = Head { seq, hash: Digest::from_bytes([hash; 32]) };
        Sighting { head, receipt: MessageId::from_bytes([0; 16]), at: Timestamp::from_ms(at) }
    }

    #[test]
    fn only_what_was_signed_later_can_go_back_and_no_number_has_two_records() {
        let known = sighting(50, 1, 1000);
        let check = |new: Sighting, step| assert_eq!(weigh(Some(&known), &new), step, "{new:?}");
        check(sighting(51, 2, 1001), Step::Advance);
        check(sighting(51, 2, 1), Step::Advance);
        check(sighting(50, 1, 1000), Step::Keep);
        check(sighting(50, 1, 2000), Step::Keep);
        check(sighting(50, 2, 1000), Step::Contradicts);
        check(sighting(50, 2, 1), Step::Contradicts);
        check(sighting(49, 3, 999), Step::Keep);
        check(sighting(49, 3, 1000), Step::Keep);
        check(sighting(49, 3, 1001), Step::Contradicts);
        assert_eq!(weigh(None, &known), Step::Advance);
    }
}
