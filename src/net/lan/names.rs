//! The opaque names that are asked for on a LAN. They are of one day and one direction: who asked
//! yesterday cannot be told from who asks today, nor the asker from the asked.

use data_encoding::BASE32_NOPAD_NOCASE;

use crate::{
    base::{Digest, PeerId},
    net::slots::Slot,
};

/// One name: the first 16 bytes of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Label([u8; 16]);

impl Label {
    fn of(digest: Digest) -> Self {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest.as_bytes()).for_each(|(byte, from)| *byte = *from);
        Self(bytes)
    }

    /// As a label of a DNS name: 26 characters.
    pub(super) fn text(&self) -> String {
        BASE32_NOPAD_NOCASE.encode(&self.0).to_ascii_lowercase()
    }

    /// From a label of a DNS name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        BASE32_NOPAD_NOCASE.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

/// What `asker` asks for to find `asked`, on a day since 1970. Nobody else can compute it: the
/// secret comes from the consent that both hold.
pub(super) fn peer(secret: &[u8; 32], asked: &PeerId, asker: &PeerId, day: u32) -> Label {
    let parts = [secret.as_slice(), asked.as_bytes(), asker.as_bytes(), &day.to_be_bytes()];
    Label::of(Digest::of("countersign/lan/v1", &parts))
}

/// The days whose names are answered: clocks differ.
pub(super) fn around(day: u32) -> [u32; 3] {
    [day.saturating_sub(1), day, day.saturating_add(1)]
}

/// What is asked for to find who is in a slot. Whoever knows the word can compute it.
pub(super) fn slot(slot: &Slot) -> Label {
    Label::of(Digest::of("countersign/lan-slot/v1", &[&slot.0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_its_secret_its_direction_and_its_day() {
        let (alice, bob) = (PeerId::from_bytes([1; 32]), PeerId::from_bytes([2; 32]));
        let name = peer(&[7; 32], &alice, &bob, 20_000);
        assert_eq!(name, peer(&[7; 32], &alice, &bob, 20_000));
        let others = [
            peer(&[8; 32], &alice, &bob, 20_000),
            peer(&[7; 32], &bob, &alice, 20_000),
            peer(&[7; 32], &alice, &bob, 20_001),
            slot(&Slot([7; 32])),
        ];
        assert!(!others.contains(&name));
        assert_eq!(Label::parse(&name.text()), Some(name));
        assert_eq!(Label::parse(&name.text().to_ascii_uppercase()), Some(name));
        assert_eq!(name.text().len(), 26);
        for bad in ["", "alice", &name.text()[1..], &format!("{}a", name.text())] {
            assert_eq!(Label::parse(bad), None, "{bad}");
        }
        assert_eq!(around(0), [0, 0, 1]);
    }
}
