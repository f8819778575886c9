//! What a human reviews: an item whose bytes agree with what the node says of it. Whoever signs, in
//! a command or for the page, signs through here.

mod grants;

pub use grants::{Like, grant_like, grant_text};

use data_encoding::HEXLOWER;

use super::api::{
    ApiError, ErrorKind, FindingInfo, HumanRequest, PendingItem, PendingShown, SignedHex,
};
use crate::{
    base::{ApproverId, Digest, PeerId, PendingId, Timestamp, text::is_hidden},
    gate::{Answer, Decision, GateError, Item, Statement, What},
    identity::ApproverKey,
    policy::{Policy, Strength},
    risk,
    wire::{ConsentRecord, Envelope, Method, SignedGrant, SignedOrder},
};

/// An item whose bytes were checked against what the node says of them.
pub struct Checked {
    item: Item,
    shown: PendingShown,
    me: PeerId,
    peer: PeerId,
    after: Vec<PeerId>,
}

impl Checked {
    /// Reads the bytes, and compares.
    ///
    /// # Errors
    /// When the bytes are no item, another one than the node says, or another node's than `me`:
    /// whoever answers at the socket says what it likes.
    pub fn new(shown: PendingShown, me: PeerId, approver: &ApproverId) -> Result<Self, ApiError> {
        let bytes = HEXLOWER.decode(shown.bytes.as_bytes()).map_err(|e| differs(&e.to_string()))?;
        let item = Item::decode(&bytes).map_err(|error| differs(&error.to_string()))?;
        let same = |what: &str, a: &str, b: &str| {
            let text = format!("the {what} is {a} in its bytes and {b} in its description");
            if a == b { Ok(()) } else { Err(differs(&text)) }
        };
        same("digest", &item.digest().to_string(), &shown.item.digest)?;
        same("kind", item.what().as_str(), shown.item.what.as_str())?;
        if shown.node != me.to_string() {
            return Err(differs("the node that answers is not this home's"));
        }
        let peer = match &item {
            Item::Peer(_, record) => other_party(record, &me, approver)?,
            Item::Message(what, envelope) => correspondent(*what, envelope, &me)?,
        };
        same("peer", &peer.to_string(), &shown.item.peer.id)?;
        let ids = shown.item.after.iter().map(|peer| peer.id.parse::<PeerId>());
        let after = ids.collect::<Result<Vec<_>, _>>().map_err(|e| differs(&e.to_string()))?;
        Ok(Self { item, shown, me, peer, after })
    }

    /// The item, from its bytes.
    #[must_use]
    pub const fn item(&self) -> &Item {
        &self.item
    }

    /// What the node says, which is for it to answer for.
    #[must_use]
    pub const fn shown(&self) -> &PendingItem {
        &self.shown.item
    }

    /// This home's node.
    #[must_use]
    pub const fn me(&self) -> &PeerId {
        &self.me
    }

    /// The other side's node.
    #[must_use]
    pub const fn peer(&self) -> &PeerId {
        &self.peer
    }

    /// A new peer that was met by a short code. That alone verifies nobody: an agent may have passed
    /// the words on. The human says whether they told or heard them themselves.
    #[must_use]
    pub const fn is_by_code(&self) -> bool {
        matches!(self.item, Item::Peer(..)) && self.shown.item.by_code
    }

    /// All that a yes rests on besides the key, as one value: the bytes, the least countersignature
    /// that they need, and whose texts were read before, in their order.
    #[must_use]
    pub fn seen(&self) -> Digest {
        let digest = self.item.digest();
        let strength = self.shown.item.strength.map_or("", Strength::as_str);
        // No strength's name holds a zero byte, and ids are all of one length.
        let mut parts = vec![digest.as_bytes().as_slice(), strength.as_bytes(), &[0]];
        parts.extend(self.after.iter().map(|peer| peer.as_bytes().as_slice()));
        if self.is_by_code() {
            parts.push(b"by code");
        }
        Digest::of("countersign/seen/v1", &parts)
    }

    /// What the node says, and what is found here in the bytes: whoever changed a row in between
    /// takes no finding away.
    #[must_use]
    pub fn reasons(&self) -> Vec<FindingInfo> {
        let mut reasons = self.shown.item.reasons.clone();
        let found = match &self.item {
            Item::Message(_, envelope) => {
                envelope.body().text().map(|text| risk::scan(text.as_str()))
            }
            Item::Peer(..) => None,
        };
        for finding in found.iter().flatten().map(FindingInfo::from) {
            if reasons.iter().all(|reason| reason.rule != finding.rule) {
                reasons.push(finding);
            }
        }
        reasons
    }

    /// Signs a yes to this item, and to nothing else.
    ///
    /// # Errors
    /// Never for an item that was decoded here.
    pub fn approve(
        &self,
        id: PendingId,
        method: Method,
        verified: bool,
        (key, at): (&ApproverKey, Timestamp),
    ) -> Result<Decision, GateError> {
        let digest = self.item.digest();
        let after = self.after.clone();
        let answer = Answer::Approve;
        let statement = Statement { id, digest, answer, method, at, verified, after };
        Decision::sign(&self.item, &statement, key)
    }
}

/// The request that brings a decision to the node.
#[must_use]
pub fn request(id: PendingId, decision: &Decision, grant: Option<&SignedGrant>) -> HumanRequest {
    HumanRequest::Decide {
        id: id.to_string(),
        statement: HEXLOWER.encode(&decision.statement),
        signature: HEXLOWER.encode(&decision.signature),
        seal: HEXLOWER.encode(&decision.seal),
        block: false,
        grant: grant.map(SignedHex::from),
    }
}

/// A policy that a human may sign, which is read as it is meant: what nobody sees has no place in it.
///
/// # Errors
/// A text that is no policy, or holds characters that are not seen, with their line.
pub fn policy(text: &str) -> Result<Policy, ApiError> {
    let wrong = |problem: String| {
        let next = "repair it; nothing was changed. countersign policy check says more";
        ApiError::new(ErrorKind::Usage, problem, next)
    };
    for (line, number) in text.lines().zip(1..) {
        if let Some(hidden) = line.chars().find(|c| is_hidden(*c) && *c != '\t') {
            let hidden = hidden.escape_unicode();
            return Err(wrong(format!("line {number}: {hidden} is not seen where it stands")));
        }
    }
    Policy::parse(text).map_err(|error| wrong(error.to_string()))
}

impl From<&SignedGrant> for SignedHex {
    fn from(signed: &SignedGrant) -> Self {
        Self {
            statement: HEXLOWER.encode(&signed.statement),
            signature: HEXLOWER.encode(&signed.signature),
        }
    }
}

impl From<&SignedOrder> for SignedHex {
    fn from(signed: &SignedOrder) -> Self {
        Self {
            statement: HEXLOWER.encode(&signed.statement),
            signature: HEXLOWER.encode(&signed.signature),
        }
    }
}

/// Whether `item` can be approved at `now`. What is not ready may have no bytes yet, so this
/// comes before they are looked at.
///
/// # Errors
/// Not ready, or too late.
pub fn ready(item: &PendingItem, now: Timestamp) -> Result<(), ApiError> {
    if let Some(why) = &item.not_ready {
        let message = format!("this cannot be approved yet: {why}");
        let next = "try again when the other side has answered";
        return Err(ApiError::new(ErrorKind::WaitsForHuman, message, next));
    }
    // RFC 3339 in UTC with milliseconds sorts as it reads.
    if *item.expires_at <= *now.rfc3339() {
        let message = format!("this expired at {}", item.expires_at);
        return Err(ApiError::new(ErrorKind::Refused, message, "have it asked for again"));
    }
    Ok(())
}

fn differs(problem: &str) -> ApiError {
    let message = format!("what waits is not what the node says it is: {problem}");
    ApiError::new(ErrorKind::Failed, message, "do not approve it; run `countersign doctor`")
}

fn other_party(
    record: &ConsentRecord,
    me: &PeerId,
    approver: &ApproverId,
) -> Result<PeerId, ApiError> {
    let (mine, other) =
        record.sides(me).ok_or_else(|| differs("the record is not about this node"))?;
    if mine.approver == *approver {
        Ok(other.identity)
    } else {
        Err(differs("the record names another approver than this home's"))
    }
}

fn correspondent(what: What, envelope: &Envelope, me: &PeerId) -> Result<PeerId, ApiError> {
    let header = envelope.header();
    let (mine, other) = match what {
        What::MessageOut => (header.sender, header.recipient),
        What::MessageIn | What::PeerIn | What::PeerOut => (header.recipient, header.sender),
    };
    if mine == *me { Ok(other) } else { Err(differs("the message is not this node's")) }
}
