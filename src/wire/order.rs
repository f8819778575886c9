//! Orders: what a human signs that is about their own node alone (`SPEC.md` section 16): which policy
//! counts, that what was read counts no more, that a value is watched for no more.
//!
//! Each of them loosens something, so it takes the approver's signature. What an order does is the
//! node's work; whether it was followed before is for whoever keeps them to say.

use super::{
    VERSION, WireError,
    cbor::{Fields, MapBuilder},
};
use crate::{
    base::{ApproverId, KnownId, PeerId, Timestamp, limits},
    identity::{ApproverKey, Domain, PublicKey as _, SIGNATURE_BYTES},
};

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// From now on this policy counts.
    Policy {
        /// Each is larger than the one before, so that an old one does not come back.
        serial: u64,
        /// The policy's text. An empty one is the node's own standard.
        text: String,
    },
    /// What our agent has read counts no more.
    TaintClear,
    /// A value is watched for no more.
    KnownForget {
        /// Which.
        id: KnownId,
    },
}

/// An order's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The node that it is for.
    pub node: PeerId,
    /// When it was signed.
    pub at: Timestamp,
    /// What is ordered.
    pub command: Command,
}

/// An order with the approver's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOrder {
    /// The order's bytes.
    pub statement: Vec<u8>,
    /// The approver's signature on them.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl Order {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let kind = match &self.command {
            Command::Policy { .. } => "policy",
            Command::TaintClear => "taint_clear",
            Command::KnownForget { .. } => "known_forget",
        };
        let map = MapBuilder::new()
            .put(1, VERSION)
            .put(2, self.node.as_bytes().as_slice())
            .put(3, kind)
            .put(4, self.at.ms());
        match &self.command {
            Command::Policy { serial, text } => map.put(5, *serial).put(6, text.as_str()),
            Command::TaintClear => map,
            Command::KnownForget { id } => map.put(7, id.as_bytes().as_slice()),
        }
        .encode()
    }

    /// Reads an order without asking who signed it.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::read("order", bytes, limits::ORDER_BYTES_MAX)?;
        let version = fields.uint(1, "version")?;
        if version != VERSION {
            return Err(WireError::Version(version));
        }
        let node = fields.id(2, "node", PeerId::from_slice)?;
        let kind = fields.text(3, "kind", limits::KIND_BYTES_MAX)?;
        let at = Timestamp::from_ms(fields.uint(4, "time")?);
        let command = match kind.as_str() {
            "policy" => Command::Policy {
                serial: serial(fields.uint(5, "serial")?)?,
                text: fields.text(6, "text", limits::POLICY_BYTES_MAX)?,
            },
            "taint_clear" => Command::TaintClear,
            "known_forget" => Command::KnownForget { id: fields.id(7, "id", KnownId::from_slice)? },
            _ => return Err(WireError::field("kind", "is not one that version 1 knows")),
        };
        fields.finish()?;
        Ok(Self { node, at, command })
    }

    /// Whether it was signed within [`limits::DECISION_LIFE`] of `now`.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.at) <= limits::DECISION_LIFE && self.at.since(now) <= limits::DECISION_LIFE
    }

    /// Signs it.
    ///
    /// # Errors
    /// When no node would read it.
    pub fn sign(&self, key: &ApproverKey) -> Result<SignedOrder, WireError> {
        let statement = self.encode();
        // What no node would read must not be signed.
        Self::decode(&statement)?;
        let signature = key.sign(Domain::Order, &statement);
        Ok(SignedOrder { statement, signature })
    }
}

/// Zero is before the first.
fn serial(serial: u64) -> Result<u64, WireError> {
    if serial == 0 { Err(WireError::field("serial", "is zero")) } else { Ok(serial) }
}

impl SignedOrder {
    /// Verifies who signed, and reads it.
    ///
    /// # Errors
    /// A wrong signature, or bytes that are no order.
    pub fn open(&self, approver: &ApproverId) -> Result<Order, WireError> {
        approver.verify(Domain::Order, &self.statement, &self.signature)?;
        Order::decode(&self.statement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;

    fn order(command: Command) -> Order {
        Order { node: PeerId::from_bytes([1; 32]), at: Timestamp::from_ms(1_000_000_000), command }
    }

    #[test]
    fn an_order_is_read_as_it_was_signed_and_by_its_approver_alone() {
        let key = |n| ApproverKey::from_seed(&Secret::new([n; 32]));
        let policy = |serial, text: &str| Command::Policy { serial, text: text.to_owned() };
        let id = KnownId::from_bytes([7; 5]);
        for command in [
            policy(1, ""),
            policy(u64::MAX, &"p".repeat(limits::POLICY_BYTES_MAX)),
            Command::TaintClear,
            Command::KnownForget { id },
        ] {
            let order = order(command);
            let signed = order.sign(&key(1)).unwrap();
            assert_eq!(signed.open(&key(1).id()), Ok(order));
            assert!(signed.open(&key(2).id()).is_err());
            let signature = key(1).sign(Domain::Grant, &signed.statement);
            assert!(SignedOrder { signature, ..signed }.open(&key(1).id()).is_err());
        }
        let over = "p".repeat(limits::POLICY_BYTES_MAX + 1);
        assert!(order(policy(1, &over)).sign(&key(1)).is_err());
        assert!(order(policy(0, "")).sign(&key(1)).is_err());
    }

    #[test]
    fn an_order_counts_within_ten_minutes_either_way() {
        let order = order(Command::TaintClear);
        let life = limits::DECISION_LIFE;
        let ms = std::time::Duration::from_millis(1);
        for (now, fresh) in [
            (order.at, true),
            (order.at.plus(life), true),
            (order.at.plus(life + ms), false),
            (order.at.minus(life), true),
            (order.at.minus(life + ms), false),
        ] {
            assert_eq!(order.is_fresh(now), fresh, "{now}");
        }
    }
}
