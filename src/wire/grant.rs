//! Grants: what a human signed beforehand, so that they are not asked about each message
//! (`SPEC.md` section 15).
//!
//! A grant is as narrow as a sentence that a person reads: whom, which way, what may be found in
//! a message, of which kinds, how large, how many and how fast, until when. It never covers a new peer, a key or a policy.
//! Whether one covers a message is a pure function; counting its use is the store's work.

use ciborium::Value;

use super::{
    VERSION, WireError,
    cbor::{self, Fields, MapBuilder},
    message::Kind,
};
use crate::{
    base::{ApproverId, GrantId, PeerId, Severity, Timestamp, limits},
    identity::{ApproverKey, Domain, PublicKey as _, SIGNATURE_BYTES},
};

/// What a grant allows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum GrantKind {
    /// A message that it covers passes without asking.
    Unasked,
    /// The MCP client may show the question, and its answer counts.
    Inline,
}

/// Which way.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Direction {
    /// From our agent.
    Out,
    /// To our agent.
    In,
}

/// A grant's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id, to be typed.
    pub id: GrantId,
    /// The node that it is for.
    pub node: PeerId,
    /// What it allows.
    pub kind: GrantKind,
    /// With whom. `None` is every trusted peer, and goes with [`GrantKind::Inline`] alone.
    pub peer: Option<PeerId>,
    /// Which way. [`GrantKind::Inline`] goes out alone.
    pub direction: Direction,
    /// The rules whose findings it covers. None named is every rule, and goes with
    /// [`GrantKind::Inline`] alone.
    pub rules: Vec<String>,
    /// The worst finding that it covers.
    pub severity_max: Severity,
    /// The largest text, bytes of UTF-8.
    pub size_bytes_max: u64,
    /// How many messages may pass by it.
    pub messages_max: u64,
    /// From when on.
    pub from: Timestamp,
    /// Until when, at most [`limits::GRANT_LIFE_MAX`] later.
    pub until: Timestamp,
    /// The kinds of message that it covers, among [`KINDS`]. None named is each of them.
    pub kinds: Vec<Kind>,
    /// How many messages may pass by it within an hour. `None` leaves that open.
    pub per_hour_max: Option<u64>,
}

/// The kinds of message that a grant can cover: those that a person can read.
pub const KINDS: [Kind; 3] = [Kind::Text, Kind::Request, Kind::Reply];

/// A message, as far as a grant looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Covered<'m> {
    /// The other side.
    pub peer: PeerId,
    /// Which way.
    pub direction: Direction,
    /// Its kind.
    pub kind: &'m Kind,
    /// What was found: each rule and how bad.
    pub findings: &'m [(&'m str, Severity)],
    /// The text, bytes of UTF-8.
    pub size_bytes: u64,
    /// When it was written (ours) or came (theirs).
    pub at: Timestamp,
}

/// A grant with the approver's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedGrant {
    /// The grant's bytes.
    pub statement: Vec<u8>,
    /// The approver's signature on them.
    pub signature: [u8; SIGNATURE_BYTES],
}

const fn kind_str(kind: GrantKind) -> &'static str {
    match kind {
        GrantKind::Unasked => "unasked",
        GrantKind::Inline => "inline",
    }
}

const fn direction_str(direction: Direction) -> &'static str {
    match direction {
        Direction::Out => "out",
        Direction::In => "in",
    }
}

impl Grant {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        MapBuilder::new()
            .put(1, VERSION)
            .put(2, self.id.as_bytes().as_slice())
            .put(3, self.node.as_bytes().as_slice())
            .put(4, kind_str(self.kind))
            .put_opt(5, self.peer.as_ref().map(|peer| peer.as_bytes().as_slice()))
            .put(6, direction_str(self.direction))
            .put(7, cbor::texts_value(&self.rules))
            .put(8, self.severity_max.as_str())
            .put(9, self.size_bytes_max)
            .put(10, self.messages_max)
            .put(11, self.from.ms())
            .put(12, self.until.ms())
            .put_opt(13, (!self.kinds.is_empty()).then(|| kinds_value(&self.kinds)))
            .put_opt(14, self.per_hour_max)
            .encode()
    }

    /// Reads a grant without asking who signed it.
    ///
    /// # Errors
    /// When the bytes are none, or it is wider than a grant may be.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::read("grant", bytes, limits::GRANT_BYTES_MAX)?;
        let version = fields.uint(1, "version")?;
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        let name = limits::KIND_BYTES_MAX;
        let grant = Self {
            id: fields.id(2, "grant id", GrantId::from_slice)?,
            node: fields.id(3, "node", PeerId::from_slice)?,
            kind: match fields.text(4, "kind", name)?.as_str() {
                "unasked" => GrantKind::Unasked,
                "inline" => GrantKind::Inline,
                _ => return Err(WireError::field("kind", "is neither unasked nor inline")),
            },
            peer: fields.id_opt(5, "peer", PeerId::from_slice)?,
            direction: match fields.text(6, "direction", name)?.as_str() {
                "out" => Direction::Out,
                "in" => Direction::In,
                _ => return Err(WireError::field("direction", "is neither out nor in")),
            },
            rules: rules(fields.need(7, "rules")?)?,
            severity_max: Severity::parse(&fields.text(8, "severity", name)?)
                .ok_or(WireError::field("severity", "is not one that version 1 knows"))?,
            size_bytes_max: fields.uint(9, "size")?,
            messages_max: fields.uint(10, "messages")?,
            from: Timestamp::from_ms(fields.uint(11, "from")?),
            until: Timestamp::from_ms(fields.uint(12, "until")?),
            kinds: fields.take(13).map(kinds).transpose()?.unwrap_or_default(),
            per_hour_max: match fields.take(14) {
                Some(value) => Some(cbor::uint("per hour", &value)?),
                None => None,
            },
        };
        fields.finish()?;
        grant.check().map(|()| grant)
    }

    /// Whether it is no wider than a grant may be.
    ///
    /// # Errors
    /// What is too wide.
    pub fn check(&self) -> Result<(), WireError> {
        let wide = |field, problem| Err(WireError::field(field, problem));
        let open = self.peer.is_none() || self.rules.is_empty();
        let longest = self.from.plus(limits::GRANT_LIFE_MAX);
        let counts = 1..=limits::GRANT_MESSAGES_MAX;
        check_kinds(&self.kinds)?;
        if self.per_hour_max.is_some_and(|most| !counts.contains(&most)) {
            return wide("per hour", "is not 1 to 1000");
        }
        match self.kind {
            GrantKind::Unasked if open => wide("grant", "names no peer or no rule"),
            GrantKind::Inline if self.direction == Direction::In => {
                wide("direction", "is in, and a client is asked about what leaves alone")
            }
            GrantKind::Unasked | GrantKind::Inline if self.until <= self.from => {
                wide("until", "is not after from")
            }
            GrantKind::Unasked | GrantKind::Inline if self.until > longest => {
                wide("until", "is over 30 days after from")
            }
            GrantKind::Unasked | GrantKind::Inline if !counts.contains(&self.messages_max) => {
                wide("messages", "is not 1 to 1000")
            }
            GrantKind::Unasked | GrantKind::Inline => Ok(()),
        }
    }

    /// Whether it covers a message. How often it was used is not looked at here.
    #[must_use]
    pub fn covers(&self, message: &Covered<'_>) -> bool {
        let rule_is_named = |rule: &str| {
            let any = self.kind == GrantKind::Inline && self.rules.is_empty();
            any || self.rules.iter().any(|named| named == rule)
        };
        self.peer.is_none_or(|peer| peer == message.peer)
            && self.direction == message.direction
            && KINDS.contains(message.kind)
            && (self.kinds.is_empty() || self.kinds.contains(message.kind))
            && message.size_bytes <= self.size_bytes_max
            && (self.from..self.until).contains(&message.at)
            && message
                .findings
                .iter()
                .all(|(rule, severity)| *severity <= self.severity_max && rule_is_named(rule))
    }

    /// Signs it.
    ///
    /// # Errors
    /// When it is wider than a grant may be.
    pub fn sign(&self, key: &ApproverKey) -> Result<SignedGrant, WireError> {
        let statement = self.encode();
        // What no node would read must not be signed.
        Self::decode(&statement)?;
        let signature = key.sign(Domain::Grant, &statement);
        Ok(SignedGrant { statement, signature })
    }
}

fn rules(value: Value) -> Result<Vec<String>, WireError> {
    cbor::texts("rules", value, limits::GRANT_RULES_MAX, 2 * limits::KIND_BYTES_MAX)
}

fn kinds_value(kinds: &[Kind]) -> Value {
    Value::Array(kinds.iter().map(|kind| Value::from(kind.as_str())).collect())
}

fn kinds(value: Value) -> Result<Vec<Kind>, WireError> {
    let names = cbor::texts("kinds", value, KINDS.len(), limits::KIND_BYTES_MAX)?;
    if names.is_empty() {
        // Absent says the same, and there is one way to say it.
        return Err(WireError::field("kinds", "is an empty array"));
    }
    Ok(names.iter().map(|name| Kind::parse(name)).collect())
}

fn check_kinds(kinds: &[Kind]) -> Result<(), WireError> {
    let known = kinds.iter().all(|kind| KINDS.contains(kind));
    let once = (1..).zip(kinds).all(|(after, kind)| !kinds.iter().skip(after).any(|k| k == kind));
    if known && once {
        Ok(())
    } else {
        Err(WireError::field("kinds", "is not of text, request and reply, each once"))
    }
}

impl SignedGrant {
    /// Verifies who signed, and reads it.
    ///
    /// # Errors
    /// A wrong signature, or bytes that are no grant.
    pub fn open(&self, approver: &ApproverId) -> Result<Grant, WireError> {
        approver.verify(Domain::Grant, &self.statement, &self.signature)?;
        Grant::decode(&self.statement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(direction: Direction, kinds: &[Kind]) -> Grant {
        Grant {
            id: GrantId::from_bytes([3; 5]),
            node: PeerId::from_bytes([1; 32]),
            kind: GrantKind::Unasked,
            peer: Some(PeerId::from_bytes([2; 32])),
            direction,
            rules: vec!["a.b".to_owned()],
            severity_max: Severity::High,
            size_bytes_max: 1,
            messages_max: 1,
            from: Timestamp::from_ms(1),
            until: Timestamp::from_ms(3),
            kinds: kinds.to_vec(),
            per_hour_max: None,
        }
    }

    fn covered(direction: Direction, kind: &Kind, at_ms: u64) -> Covered<'_> {
        Covered {
            peer: PeerId::from_bytes([2; 32]),
            direction,
            kind,
            findings: &[("a.b", Severity::High)],
            size_bytes: 1,
            at: Timestamp::from_ms(at_ms),
        }
    }

    #[test]
    fn a_grant_covers_its_own_direction_alone() {
        for granted in [Direction::Out, Direction::In] {
            for direction in [Direction::Out, Direction::In] {
                let covers = grant(granted, &[]).covers(&covered(direction, &Kind::Text, 1));
                assert_eq!(covers, direction == granted, "{direction:?}");
            }
        }
    }

    #[test]
    fn a_grant_covers_the_kinds_that_it_names_and_without_names_all_that_can_be_read() {
        let unknown = Kind::Unknown("file".to_owned());
        let all = [Kind::Text, Kind::Request, Kind::Reply, Kind::Receipt, unknown];
        let check = |named: &[Kind], expected: [bool; 5]| {
            let grant = grant(Direction::Out, named);
            let covers = all.each_ref().map(|kind| grant.covers(&covered(Direction::Out, kind, 1)));
            assert_eq!(covers, expected, "{named:?}");
        };
        check(&[], [true, true, true, false, false]);
        check(&[Kind::Text], [true, false, false, false, false]);
        check(&[Kind::Reply, Kind::Request], [false, true, true, false, false]);
        // None that may be signed; none covers it in any case.
        check(&all[3..], [false; 5]);
    }

    #[test]
    fn a_grant_ends_when_its_time_is_over() {
        let covers =
            |at| grant(Direction::Out, &[]).covers(&covered(Direction::Out, &Kind::Text, at));
        assert_eq!([0, 1, 2, 3, 4].map(covers), [false, true, true, false, false]);
    }

    #[test]
    fn what_a_grant_does_not_name_is_not_in_its_bytes() {
        let plain = grant(Direction::Out, &[]);
        assert_eq!(plain.encode().first(), Some(&0xac), "twelve fields, as ever");
        let bound = Grant { kinds: vec![Kind::Text], per_hour_max: Some(9), ..plain.clone() };
        assert_eq!(Grant::decode(&bound.encode()), Ok(bound.clone()));
        for per_hour_max in [Some(0), Some(1001)] {
            assert!(Grant { per_hour_max, ..bound.clone() }.check().is_err());
        }
        for kinds in
            [vec![Kind::Text, Kind::Text], vec![Kind::Receipt], vec![Kind::Unknown("x".to_owned())]]
        {
            assert!(Grant { kinds, ..bound.clone() }.check().is_err());
        }
    }
}
