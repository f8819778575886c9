//! Bearer tokens of clients that come over HTTP.

use serde::{Deserialize, Serialize};

/// A token that is good. The token itself is known to its client alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenInfo {
    /// What it is called.
    pub name: String,
    /// Since when.
    pub created_at: String,
    /// When a client last came by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<String>,
}

/// The tokens that are good.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tokens {
    /// Oldest first.
    pub tokens: Vec<TokenInfo>,
}
