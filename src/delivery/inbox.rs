//! Whether an envelope that arrived may be taken at all, before anyone asks what it says.

use crate::{
    base::{MessageId, PeerId, Timestamp, limits},
    wire::Envelope,
};

/// Why an envelope is not taken. The text goes into the refusal that the sender gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Meant for somebody else.
    #[error("the recipient is another node")]
    NotForMe,
    /// Signed by somebody else than the peer that brought it.
    #[error("the sender is not the connection's node")]
    NotTheSender,
    /// Too late.
    #[error("the message expired before it arrived")]
    Expired,
}

/// Checks what does not depend on what was seen before (`SPEC.md` section 10).
///
/// # Errors
/// Why it is not taken.
pub fn check(
    envelope: &Envelope,
    me: &PeerId,
    from: &PeerId,
    now: Timestamp,
) -> Result<(), Refusal> {
    let header = envelope.header();
    if header.recipient != *me {
        return Err(Refusal::NotForMe);
    }
    if header.sender != *from {
        return Err(Refusal::NotTheSender);
    }
    if header.expires.plus(limits::EXPIRY_SLACK) <= now {
        return Err(Refusal::Expired);
    }
    Ok(())
}

/// Whose turn it is once there was no room: what comes behind that message on the same connection must
/// not pass it. A sender that does not have it any more begins on a new connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The first that had no room.
    first: Option<MessageId>,
}

impl Turn {
    /// Whether this one may be stored now, if there is room.
    #[must_use]
    pub fn is_of(&self, id: &MessageId) -> bool {
        self.first.is_none_or(|first| first == *id)
    }

    /// There was no room for this one.
    pub fn no_room(&mut self, id: &MessageId) {
        self.first.get_or_insert(*id);
    }

    /// This one was answered for good.
    pub fn done(&mut self, id: &MessageId) {
        self.first.take_if(|first| first == id);
    }
}

/// How much of one peer waits unread, and whether more fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Messages that wait.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Room {
    /// Takes `bytes` more, if they fit.
    pub const fn take(&mut self, bytes: u64) -> bool {
        let fits = self.messages < limits::INBOX_UNREAD_MESSAGES_MAX
            && self.bytes.saturating_add(bytes) <= limits::INBOX_UNREAD_BYTES_MAX;
        if fits {
            self.messages += 1;
            self.bytes += bytes;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{MessageText, Secret},
        identity::IdentityKey,
        wire::{Body, Draft, Header, Kind},
    };

    #[test]
    fn an_envelope_is_taken_from_its_sender_by_its_recipient_in_time() {
        let alice = IdentityKey::from_seed(&Secret::new([1; 32]));
        let bob = IdentityKey::from_seed(&Secret::new([2; 32])).id();
        let expires = Timestamp::from_ms(1_000_000);
        let header = Header {
            kind: Kind::Text,
            id: MessageId::from_bytes([3; 16]),
            sender: alice.id(),
            recipient: bob,
            created: Timestamp::from_ms(1),
            expires,
            thread: None,
            reply_to: None,
            human: false,
            session: None,
        };
        let body = Body::Text(MessageText::parse("x").unwrap());
        let envelope = Draft { header, body }.seal(&alice).unwrap();
        assert_eq!(check(&envelope, &bob, &alice.id(), expires), Ok(()));
        assert_eq!(check(&envelope, &alice.id(), &alice.id(), expires), Err(Refusal::NotForMe));
        assert_eq!(check(&envelope, &bob, &bob, expires), Err(Refusal::NotTheSender));
        let late = expires.plus(limits::EXPIRY_SLACK);
        assert_eq!(check(&envelope, &bob, &alice.id(), late), Err(Refusal::Expired));
    }

    #[test]
    fn what_had_no_room_is_not_passed() {
        let id = |n| MessageId::from_bytes([n; 16]);
        let mut turn = Turn::default();
        assert!(turn.is_of(&id(2)));
        turn.no_room(&id(1));
        turn.no_room(&id(2));
        assert!(turn.is_of(&id(1)) && !turn.is_of(&id(2)));
        turn.done(&id(2));
        assert!(!turn.is_of(&id(2)));
        turn.done(&id(1));
        assert!(turn.is_of(&id(2)));
    }

    #[test]
    fn a_full_inbox_takes_no_more() {
        let mut room = Room::default();
        let taken = (0..1000).filter(|_| room.take(10)).count();
        assert_eq!(u64::try_from(taken).unwrap(), limits::INBOX_UNREAD_MESSAGES_MAX);
        let mut room = Room::default();
        assert!(room.take(limits::INBOX_UNREAD_BYTES_MAX));
        assert!(!room.take(1));
    }
}
