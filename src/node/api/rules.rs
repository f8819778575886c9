//! Answers about the human's rules: the policy, what was read, what is watched for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FindingInfo, PeerRef};

/// Where the policy that counts comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum PolicySource {
    /// The program brings it.
    Standard,
    /// The human signed it.
    Signed,
    /// It tightens what the human signed, or the standard.
    Tightened,
    /// What should count cannot be verified, so everything is asked about.
    Closed,
}

impl PolicySource {
    /// The name, as the contract spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Signed => "signed",
            Self::Tightened => "tightened",
            Self::Closed => "closed",
        }
    }
}

/// The policy that counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyShown {
    /// Where it comes from.
    pub source: PolicySource,
    /// Its text.
    pub text: String,
    /// The text's digest.
    pub digest: String,
    /// Of the last policy that was signed; 0 before the first.
    pub serial: u64,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_at: Option<String>,
    /// What needs a human's look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// What the policy said, or would say, of a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Judgement {
    /// `allow`, `ask`, `deny` or `grant`.
    pub verdict: String,
    /// The rule that decided.
    pub rule: String,
    /// Why, where it was no yes.
    pub reasons: Vec<FindingInfo>,
    /// The policy's digest.
    pub policy: String,
}

/// Why a message passed or did not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explained {
    /// The message.
    pub id: String,
    /// `in` or `out`.
    pub direction: String,
    /// The other side.
    pub peer: PeerRef,
    /// Its newest state.
    pub state: String,
    /// What was said of it when it was written down. A message from before such notes has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<Judgement>,
    /// What would be said of it today.
    pub now: Judgement,
    /// Step by step how the policy comes to that.
    pub steps: String,
}

/// A peer whose texts an agent has read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Read {
    /// Whose.
    pub peer: PeerRef,
    /// Until when it counts.
    pub until: String,
}

/// Whose texts were shown to an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaintState {
    /// In the order of their ids.
    pub read: Vec<Read>,
}

/// The key of the hashes of values that are watched for.
#[derive(Clone, Serialize, Deserialize)]
pub struct KnownKey {
    /// Hexadecimal. It goes over the owner's socket alone.
    pub key: String,
}

impl std::fmt::Debug for KnownKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KnownKey(..)")
    }
}

/// One value that is watched for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KnownInfo {
    /// Its id, to be typed.
    pub id: String,
    /// What the human calls it.
    pub label: String,
    /// How long it is, bytes.
    pub length: u16,
    /// Since when.
    pub added_at: String,
}

/// What is watched for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KnownValues {
    /// Oldest first.
    pub values: Vec<KnownInfo>,
    /// How many of those that were given are new.
    #[serde(default)]
    pub added: u64,
}
