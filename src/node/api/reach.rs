//! Peers, how they are reached, and what the network gives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GrantInfo, PeerRef};
use crate::trust::PeerState;

/// A peer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Peer {
    /// What we call it.
    pub name: String,
    /// The peer id.
    pub id: String,
    /// What it calls itself; its own claim. Empty unless our human trusts it.
    pub claim: String,
    /// What it is to us.
    pub state: PeerState,
    /// A human compared the words of the pairing, or told or heard its code themselves.
    pub verified: bool,
    /// `direct`, `relay` or `offline`.
    pub path: String,
    /// Round trip, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    /// Since when it is reached this way, or is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_since: Option<String>,
    /// The URL of the relay that it is reached through; for people alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub relay: Option<String>,
    /// The connection's keys were exchanged in a post-quantum way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pq: Option<bool>,
    /// When its node was last heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    /// Standing permissions.
    pub grants: Vec<GrantInfo>,
    /// Which messages it takes only with our human's countersignature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// Which messages of its we take only with its human's countersignature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub we_require: Vec<String>,
    /// What needs a human's look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// All peers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Peers {
    /// By name.
    pub peers: Vec<Peer>,
}

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
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that was looked at")]
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
    /// The lookups.
    pub lookups: Vec<LookupChecked>,
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

/// One lookup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookupChecked {
    /// Its URL, or `dht`.
    pub name: String,
    /// It knows us.
    pub known: bool,
    /// Why it could not be asked.
    pub problem: Option<String>,
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
