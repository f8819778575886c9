//! The opaque names that are asked for on a LAN. They are of one day and one direction: who asked
//! yesterday cannot be told from who asks today, nor the asker from the asked.

use data_encoding::BASE32_NOPAD_NOCASE;

use crate::{
    base::{Digest, PeerId, limits},
    net::slots::Slot,
};

/// One name: the first 16 bytes of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label([u8; 16]);

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

/// The days whose names are answered: today, and near midnight (UTC) the neighbouring one, because
/// clocks differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Days {
    /// Since 1970.
    pub(super) today: u32,
    other: Option<u32>,
}

impl Days {
    /// So many seconds after the beginning of 1970.
    pub(super) fn at(seconds: u64) -> Self {
        const DAY_S: u64 = 24 * 60 * 60;
        let (near, into) = (limits::LAN_MIDNIGHT.as_secs(), seconds % DAY_S);
        let today = u32::try_from(seconds / DAY_S).unwrap_or(u32::MAX);
        let other = if into < near {
            today.checked_sub(1)
        } else if into >= DAY_S - near {
            today.checked_add(1)
        } else {
            None
        };
        Self { today, other }
    }

    /// All of them.
    pub(super) fn all(self) -> impl Iterator<Item = u32> {
        std::iter::once(self.today).chain(self.other)
    }
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
    }

    #[test]
    fn a_neighbouring_day_counts_within_an_hour_of_midnight() {
        let days = |day: u64, minutes: u64| {
            Days::at((day * 24 * 60 + minutes) * 60).all().collect::<Vec<_>>()
        };
        assert_eq!(days(5, 0), [5, 4]);
        assert_eq!(days(5, 59), [5, 4]);
        assert_eq!(days(5, 60), [5]);
        assert_eq!(days(5, 23 * 60 - 1), [5]);
        assert_eq!(days(5, 23 * 60), [5, 6]);
        assert_eq!(days(0, 0), [0]);
    }
}
