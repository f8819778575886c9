//! How peers are reached and what the network gives, for a human who asks.

use serde::{Deserialize, Serialize};

use super::PeerRef;

/// Whether a peer's node answers. No agent hears of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reached {
    /// Whom.
    pub peer: PeerRef,
    /// It answered.
    pub reachable: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Which ways were tried: `ip:port`, relay URLs, kinds of lookup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<String>,
    /// `direct`, `relay` or `offline`.
    pub path: String,
    /// The relay's URL, where it goes through one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// Since when it is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_since: Option<String>,
    /// The keys were exchanged in a post-quantum way; while it is linked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pq: Option<bool>,
    /// The version of its program; its own claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How long each answer took, milliseconds.
    pub rtt_ms: Vec<f64>,
    /// How many did not come.
    pub lost: u32,
    /// The shortest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ms: Option<f64>,
    /// The mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avg_ms: Option<f64>,
    /// The longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<f64>,
    /// What needs a human's look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// What the node finds of its network when it looks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Checked {
    /// `internet`, `lan` or `loopback`.
    pub mode: String,
    /// The UDP port; 0 when there is no socket.
    pub port: u16,
    /// Where peers are told that we are.
    pub addresses: Vec<String>,
    /// The address at which others saw us, by UDP.
    pub seen_at: Option<String>,
    /// The router gave us a port.
    pub mapped: bool,
    /// The relays.
    pub relays: Vec<RelayChecked>,
    /// Lookups are configured.
    pub lookups: bool,
    /// Those that know us.
    pub found: Vec<String>,
    /// Those that do not, or cannot be asked, with their reason.
    pub failed: Vec<String>,
    /// One of them took too long.
    pub late: bool,
    /// Peers are found by mDNS.
    pub mdns: bool,
    /// The peer whose clock is furthest from ours, and by how many seconds it is ahead.
    pub clock: Option<(String, i64)>,
    /// Where the page is.
    pub page: Option<String>,
    /// A proxy of the configuration is used.
    pub proxy: bool,
    /// Variables of the node's environment that name a proxy, and are not used.
    pub unused: Vec<String>,
    /// Who sees our own key elsewhere too.
    pub twice: Vec<String>,
    /// Only post-quantum key exchanges are taken.
    pub require_pq: bool,
    /// Peers that are linked, and whether their key exchange is post-quantum.
    pub linked: Vec<(String, bool)>,
}

/// One relay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RelayChecked {
    /// Its URL.
    pub url: String,
    /// We are at home there.
    pub connected: bool,
    /// Why it cannot be used.
    pub problem: Option<String>,
    /// It does not want us: what it says.
    pub denied: Option<String>,
}
