//! What is made to be handed over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An invite to hand over.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct InviteMade {
    /// The text to give to the other person, over a channel that you trust.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub invite: String,
    /// Instead of it: three words to say to the other person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Until when it can be used, once.
    pub expires_at: String,
}
