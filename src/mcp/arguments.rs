//! The tools' arguments, with their bounds. The text of a field is what a model reads.

use std::{ops::RangeInclusive, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    base::{
        MessageText,
        limits::{ASK_WAIT_DEFAULT, PAGE_DEFAULT},
    },
    node::api::{AgentRequest, ApiError, ErrorKind, InboxRequest, SendRequest},
    trust::PeerState,
};

const WAIT_SECONDS: RangeInclusive<u64> = 0..=600;
const INVITE_MINUTES: RangeInclusive<u64> = 1..=10_080;
const MESSAGE_HOURS: RangeInclusive<u64> = 1..=720;
const PAGE_MESSAGES: RangeInclusive<u64> = 1..=100;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Invite {
    /// Your human sees it when it is used
    #[schemars(length(max = 200))]
    note: Option<String>,
    #[schemars(range(min = 1, max = 10080), extend("default" = 1440))]
    expires_minutes: Option<u64>,
    /// 3 words to say
    code: Option<bool>,
}

impl Invite {
    pub(super) fn request(self) -> Result<AgentRequest, ApiError> {
        let Self { note, expires_minutes, code } = self;
        within("expires_minutes", expires_minutes, INVITE_MINUTES)?;
        let code = code.unwrap_or_default();
        // A client that fills in defaults does not ask for this one.
        let expires_minutes = expires_minutes.filter(|minutes| !code || *minutes != 1440);
        Ok(AgentRequest::Invite { note, expires_minutes, code })
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Connect {
    /// countersign1... or 3 words
    #[schemars(length(max = 4096))]
    pub(super) invite: String,
    /// What to call the peer: a-z 0-9 . _ -
    #[schemars(length(max = 32))]
    pub(super) name: Option<String>,
    /// A line for the other human
    #[schemars(length(max = 200))]
    pub(super) note: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendText {
    /// Peer name[/session] or id
    to: String,
    /// At most 65536 bytes
    #[schemars(length(min = 1, max = 65536))]
    text: String,
    /// Message id
    reply_to: Option<String>,
    thread: Option<String>,
    #[schemars(range(min = 1, max = 720), extend("default" = 168))]
    expires_hours: Option<u64>,
}

impl SendText {
    pub(super) fn request(self) -> Result<SendRequest, ApiError> {
        let Self { to, text, reply_to, thread, expires_hours } = self;
        sendable(&text)?;
        within("expires_hours", expires_hours, MESSAGE_HOURS)?;
        Ok(SendRequest { to, text, request: false, reply_to, thread, expires_hours })
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// Peer name[/session] or id
    pub(super) to: String,
    /// At most 65536 bytes
    #[schemars(length(min = 1, max = 65536))]
    pub(super) text: String,
    #[schemars(range(max = 600), extend("default" = 45))]
    wait_seconds: Option<u64>,
}

impl Ask {
    pub(super) fn wait(&self) -> Result<Duration, ApiError> {
        sendable(&self.text)?;
        let wait = within("wait_seconds", self.wait_seconds, WAIT_SECONDS)?;
        Ok(wait.map_or(ASK_WAIT_DEFAULT, Duration::from_secs))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// Only from this peer
    from: Option<String>,
    /// Only this conversation
    thread: Option<String>,
    /// With these words
    query: Option<String>,
    /// Only what you have not seen
    unread: Option<bool>,
    /// If none is unread, wait for one
    #[schemars(range(max = 600))]
    wait_seconds: Option<u64>,
    #[schemars(range(min = 1, max = 100), extend("default" = 20))]
    limit: Option<u64>,
    /// `next_cursor` of the last page
    cursor: Option<String>,
}

impl List {
    pub(super) fn wait(&self) -> Result<Duration, ApiError> {
        let wait = within("wait_seconds", self.wait_seconds, WAIT_SECONDS)?;
        Ok(Duration::from_secs(wait.unwrap_or_default()))
    }

    /// The request, which does not mark anything as read yet.
    pub(super) fn request(self) -> Result<InboxRequest, ApiError> {
        let waits = self.wait_seconds.is_some_and(|seconds| seconds > 0);
        let limit = within("limit", self.limit, PAGE_MESSAGES)?;
        let limit = limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(PAGE_DEFAULT);
        let Self { from, thread, query, unread, cursor, .. } = self;
        let unread = unread.unwrap_or(waits);
        let (limit, reply_to, mark_read) = (Some(limit), None, false);
        Ok(InboxRequest { from, thread, query, unread, reply_to, limit, cursor, mark_read })
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    pub(super) id: String,
    /// `next_offset` of the last part
    pub(super) offset: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Status {
    pub(super) id: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    pub(super) state: Option<PeerState>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {
    /// Peer name[/session] or id
    pub(super) peer: String,
    /// Refuse new requests too
    pub(super) block: Option<bool>,
}

fn within(
    name: &str,
    value: Option<u64>,
    bounds: RangeInclusive<u64>,
) -> Result<Option<u64>, ApiError> {
    match value {
        Some(value) if !bounds.contains(&value) => {
            let (min, max) = bounds.into_inner();
            let message = format!("{name} is {value}; it can be {min} to {max}");
            Err(ApiError::new(ErrorKind::Usage, message, "call again with a value within"))
        }
        _ => Ok(value),
    }
}

fn sendable(text: &str) -> Result<(), ApiError> {
    let next = if text.is_empty() { "pass the text" } else { "shorten it, or send it in parts" };
    let refused = |error: crate::base::TextError| {
        ApiError::new(ErrorKind::Usage, error.to_string(), format!("{next}, and call again"))
    };
    MessageText::parse(text).map(drop).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits;

    #[test]
    fn the_bounds_are_those_of_the_product() {
        let seconds = |d: Duration| d.as_secs();
        assert_eq!(*WAIT_SECONDS.end(), seconds(limits::WAIT_MAX));
        assert_eq!(*INVITE_MINUTES.end(), seconds(limits::INVITE_LIFE_MAX) / 60);
        assert_eq!(*MESSAGE_HOURS.end(), seconds(limits::EXPIRY_MAX) / 3600);
        assert_eq!(*PAGE_MESSAGES.end(), u64::from(limits::PAGE_MAX));
        assert_eq!((limits::NOTE_BYTES_MAX, limits::TEXT_BYTES_MAX), (200, 65536));
        assert_eq!((limits::INVITE_BYTES_MAX, limits::PEER_NAME_BYTES_MAX), (4096, 32));
        assert_eq!((limits::PAGE_DEFAULT, seconds(ASK_WAIT_DEFAULT)), (20, 45));
    }
}
