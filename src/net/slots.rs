//! Where two strangers meet who know nothing of each other but a word: a slot is a place that
//! anybody who knows the word can compute, and so nothing secret is put there.

use crate::base::PeerId;

/// A place to meet, as the 32 secret bytes of the key that its record is signed with. Whoever
/// knows the word knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub [u8; 32]);

/// What is put there: an endpoint that lives as long as the code, and says nothing of who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The endpoint's id.
    pub door: PeerId,
    /// Where it is: relay URLs, or `ip:port` on a LAN.
    pub addresses: Vec<String>,
}

/// Why nobody can be met.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// There is neither mDNS nor a lookup.
    #[error(
        "there is nowhere to meet: this node uses neither mDNS nor a lookup; use an invite, or set \
         lookups or mdns in config.toml"
    )]
    Nowhere,
    /// No lookup took it.
    #[error("no lookup could be reached: {0}; use an invite, or try again")]
    Unreachable(String),
}
