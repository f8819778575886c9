//! A grant beside a yes: made from the item that the human looks at, and told as a sentence.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use super::Checked;
use crate::{
    base::{GrantId, Timestamp, limits},
    gate::{Item, What},
    node::api::{ApiError, ErrorKind},
    risk,
    wire::{Direction, Grant, GrantKind, Kind},
};

/// The smallest size that a grant covers: the next message is seldom as short as this one.
const SIZE_BYTES_LEAST: u64 = 4096;

/// The part of a grant for the like of a message that a person chooses.
#[derive(Clone, Copy, Debug)]
pub struct Like {
    /// For how many hours.
    pub hours: u64,
    /// For how many messages.
    pub messages: u64,
    /// For how many of them within an hour.
    pub per_hour: Option<u64>,
    /// For messages of the same kind alone.
    pub same_kind: bool,
}

/// A grant for the like of a message: its peer, its direction, exactly the rules that are found in
/// its bytes, nothing worse, and at most twice as long. It holds from `now` on.
///
/// # Errors
/// For what is no message, for one in which nothing is found, and for bounds that a grant exceeds.
pub fn grant_like(
    checked: &Checked,
    like: Like,
    now: Timestamp,
    id: GrantId,
) -> Result<Grant, ApiError> {
    let (direction, envelope) = match checked.item() {
        Item::Message(What::MessageOut, envelope) => (Direction::Out, envelope),
        Item::Message(_, envelope) => (Direction::In, envelope),
        Item::Peer(..) => return Err(refused("a new peer is never covered by a grant")),
    };
    let text = envelope.body().text().map_or("", |text| text.as_str());
    // From the bytes alone: a rule that somebody wrote into the description widens nothing.
    let found = risk::scan(text);
    let rules: BTreeSet<String> =
        found.iter().map(|finding| finding.rule.clone().into_owned()).collect();
    let Some(severity_max) = found.iter().map(|finding| finding.severity).max() else {
        return Err(refused("no rule found anything in this message, so there is no like of it"));
    };
    let most = u64::try_from(limits::TEXT_BYTES_MAX).unwrap_or(u64::MAX);
    let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
    let grant = Grant {
        id,
        node: *checked.me(),
        kind: GrantKind::Unasked,
        peer: Some(*checked.peer()),
        direction,
        rules: rules.into_iter().collect(),
        severity_max,
        size_bytes_max: size.saturating_mul(2).max(SIZE_BYTES_LEAST).min(most),
        messages_max: like.messages,
        from: now,
        until: now.plus(Duration::from_secs(like.hours.saturating_mul(60 * 60))),
        kinds: if like.same_kind { vec![envelope.header().kind.clone()] } else { Vec::new() },
        per_hour_max: like.per_hour,
    };
    grant.check().map_err(|error| ApiError::new(ErrorKind::Usage, error.to_string(), NARROWER))?;
    Ok(grant)
}

const NARROWER: &str = "use 1 to 720 hours, and 1 to 1000 messages in all and an hour";

fn refused(message: &str) -> ApiError {
    ApiError::new(ErrorKind::Refused, message, "approve it alone")
}

/// What a grant allows, as a plain sentence for whoever signs it or looks at it. `peer` is our name
/// for its peer.
#[must_use]
pub fn grant_text(grant: &Grant, peer: Option<&str>) -> String {
    let whom = peer.unwrap_or(match grant.peer {
        Some(_) => "this peer",
        None => "any trusted peer",
    });
    let (count, until) = (grant.messages_max, grant.until);
    let mut text = format!("Until {until}, ");
    let plural = if count == 1 { "message" } else { "messages" };
    // Writing to a string does not fail.
    match (grant.kind, grant.direction) {
        (GrantKind::Unasked, Direction::Out) => {
            write!(text, "up to {count} {plural} to {whom} leave without asking you")
        }
        (GrantKind::Unasked, Direction::In) => {
            write!(text, "up to {count} {plural} from {whom} reach your agent without asking you")
        }
        (GrantKind::Inline, _) => write!(
            text,
            "the program that your agent runs in may answer for you about up to {count} {plural} \
             to {whom}"
        ),
    }
    .ok();
    if let Some(per_hour_max) = grant.per_hour_max {
        write!(text, ", and not more than {per_hour_max} of them within an hour").ok();
    }
    if !grant.kinds.is_empty() {
        let kinds: Vec<_> = grant.kinds.iter().map(Kind::as_str).collect();
        write!(text, ", each of the kind {}", kinds.join(" or ")).ok();
    }
    write!(text, ", each at most {} bytes long", grant.size_bytes_max).ok();
    if grant.rules.is_empty() {
        text.push_str(", whatever rule found something in it");
    } else {
        write!(text, ", where nothing else is found than {}", grant.rules.join(", ")).ok();
    }
    write!(text, ", and nothing worse than {}.", grant.severity_max.as_str()).ok();
    text
}
