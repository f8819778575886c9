//! What passes without a human's word about it: by the policy, or by what they signed before.

use std::{sync::Arc, time::Duration};

use super::{Approved, GateError, Pending, What, taint};
use crate::{
    base::{ApproverId, PeerId, Timestamp, limits},
    identity::IdentityKey,
    policy::{self, Action, Missing, Policy, Reason, Strength, Subject, Verdict},
    risk::{Finding, Matters, Scanner, Severity},
    wire::{
        Body, Countersignature, Covered, Direction, Envelope, Grant, GrantKind, Kind, Method,
        SignedGrant,
    },
};

/// A peer wants this signed by our human.
pub const PEER_REQUIRES: &str = "peer.requires";
/// The rule of a message that lacks the countersignature which our own policy requires.
pub const REQUIRE: &str = "require";
/// Reasons that no grant covers: what was read before, and what the other side wants a human for.
const ALWAYS_ASKED: [&str; 2] = [taint::RULE, PEER_REQUIRES];

/// What our human's rules are: the policy that counts, and the scanner with what it adds.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The policy.
    pub policy: Arc<Policy>,
    /// What looks for findings.
    pub scanner: Scanner,
}

impl Rules {
    /// What holds where the human signed no policy.
    #[must_use]
    pub fn standard() -> Self {
        let policy = Arc::new(Policy::standard().clone());
        Self { policy, scanner: Scanner::standard().clone() }
    }
}

/// What one message is judged by, besides itself.
#[derive(Clone, Copy)]
pub struct Bench<'b> {
    /// The rules.
    pub rules: &'b Rules,
    /// The other side.
    pub peer: policy::Peer<'b>,
    /// How many messages went the same way with it in the time before.
    pub recent: &'b (dyn Fn(Duration) -> u64 + Sync),
}

impl Bench<'_> {
    fn subject<'s>(
        &'s self,
        action: Action,
        envelope: &'s Envelope,
        findings: &'s [Finding],
    ) -> Subject<'s> {
        Subject {
            action,
            peer: self.peer,
            kind: envelope.header().kind.as_str(),
            size_bytes: u64::try_from(body_bytes(envelope)).unwrap_or(u64::MAX),
            findings,
            countersigned: None,
            clock_ahead: false,
            recent: self.recent,
        }
    }
}

/// Which rule decided, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The rule, as [`policy::Decided::rule`] names it.
    pub rule: String,
    /// The reasons for a question or a no.
    pub reasons: Vec<Reason>,
}

/// A message that leaves does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Our human is asked.
    Asked(Ruling),
    /// The policy says no, and nobody is asked.
    Denied(Ruling),
    /// It is not ours to send, or says that our human wrote it, who has not signed it.
    Wrong(GateError),
}

/// How much of a text's end is looked at together with the session's name.
const TAIL_BYTES: usize = 512;

/// Everything that is found in a message, whatever its kind. The session that it names is text of
/// whoever wrote it, too.
#[must_use]
pub fn findings(envelope: &Envelope, scanner: &Scanner) -> Vec<Finding> {
    match (envelope.body(), &envelope.header().session) {
        (Body::Text(text), Some(session)) => {
            let (text, session) = (text.as_str(), session.as_str());
            let mut found = scanner.scan_all(&[text, "\n", session]);
            let tail = text.ceil_char_boundary(text.len().saturating_sub(TAIL_BYTES));
            for finding in scanner.scan_all(&[text.get(tail..).unwrap_or_default(), session]) {
                if !found.iter().any(|known| known.rule == finding.rule) {
                    found.push(finding);
                }
            }
            found
        }
        (body, _) => found_in(body, scanner),
    }
}

fn found_in(body: &Body, scanner: &Scanner) -> Vec<Finding> {
    match body {
        Body::Text(text) => scanner.scan(text.as_str()),
        Body::Unknown(bytes) => scanner.scan_bytes(bytes),
        Body::Receipt(_) => Vec::new(),
    }
}

fn body_bytes(envelope: &Envelope) -> usize {
    match envelope.body() {
        Body::Text(text) => text.as_str().len(),
        Body::Unknown(bytes) => bytes.len(),
        Body::Receipt(_) => 0,
    }
}

/// What a countersignature made in this way is worth.
#[must_use]
pub const fn strength(method: Method) -> Strength {
    match method {
        Method::Client => Strength::Client,
        Method::Grant => Strength::Grant,
        Method::Session => Strength::Session,
        Method::Passphrase => Strength::Passphrase,
        Method::Passkey => Strength::Passkey,
    }
}

/// A strength and what is better than it, as people read it.
#[must_use]
pub fn or_better(strength: Strength) -> String {
    let better = if strength == Strength::Passkey { "" } else { " or better" };
    format!("{}{better}", strength.as_str())
}

/// Asks the policy about a message that leaves, and lets it pass if that is its answer. A valid
/// countersignature of our own approver is a yes. Used for new messages and for every message
/// that is read back from disk, so that a row that somebody wrote there passes no easier.
///
/// `further` are reasons to ask that lie outside of the message: what our agent has read before
/// ([`super::taint`]), and what the peer wants signed.
///
/// # Errors
/// What keeps it here.
pub fn outgoing(
    envelope: Envelope,
    (me, approver): (&PeerId, Option<&ApproverId>),
    bench: &Bench<'_>,
    further: Vec<Reason>,
) -> Result<(Approved<Envelope>, Ruling), Refused> {
    if envelope.header().sender != *me {
        return Err(Refused::Wrong(GateError::NotOurs));
    }
    let by = |rule: &str| Ruling { rule: rule.to_owned(), reasons: Vec::new() };
    if envelope.header().kind == Kind::Receipt {
        return Ok((Approved { item: envelope }, by("receipt")));
    }
    let signed = approver.and_then(|approver| envelope.countersigned_by(approver));
    if signed.is_some_and(|by| by.method.is_human()) {
        return Ok((Approved { item: envelope }, by("countersigned")));
    }
    if envelope.header().human {
        // It says that our human wrote it, and our human has not signed it.
        return Err(Refused::Wrong(GateError::NotApproved));
    }
    let findings = findings(&envelope, &bench.rules.scanner);
    let subject = bench.subject(Action::MessageOut, &envelope, &findings);
    let decided = bench.rules.policy.decide(&subject);
    let grant = approver.and_then(|approver| grant_of(&envelope, approver, &findings));
    let named = |reasons: &[Reason]| grant.as_ref().is_some_and(|grant| names_all(grant, reasons));
    let rule = decided.rule;
    match decided.verdict {
        Verdict::Deny(reasons) => Err(Refused::Denied(Ruling { rule, reasons })),
        // A grant lets pass what it names, and no policy that came later is overruled by it.
        Verdict::Ask(reasons) if further.is_empty() && named(&reasons) => {
            Ok((Approved { item: envelope }, by("grant")))
        }
        Verdict::Allow if further.is_empty() => {
            Ok((Approved { item: envelope }, Ruling { rule, reasons: Vec::new() }))
        }
        Verdict::Allow => {
            let rule = further.first().map_or(rule, |reason| reason.rule.clone());
            Err(Refused::Asked(Ruling { rule, reasons: further }))
        }
        Verdict::Ask(mut reasons) => {
            reasons.extend(further);
            Err(Refused::Asked(Ruling { rule, reasons }))
        }
    }
}

/// The countersignature of an envelope, where it stands for the human behind `approver`: made by
/// their own hand, or by a grant of theirs that covers what is found in it.
#[must_use]
pub fn released_by<'e>(
    envelope: &'e Envelope,
    approver: &ApproverId,
    scanner: &Scanner,
) -> Option<&'e Countersignature> {
    let by = envelope.countersigned_by(approver)?;
    // Their own hand lets go whatever is in it.
    let found = if by.grant.is_some() { findings(envelope, scanner) } else { Vec::new() };
    is_released(envelope, approver, &found).then_some(by)
}

/// Whether the human behind `approver` let these findings out: by their own signature on the
/// message, or by a grant that covers them.
fn is_released(envelope: &Envelope, approver: &ApproverId, findings: &[Finding]) -> bool {
    let by = envelope.countersigned_by(approver);
    by.is_some_and(|by| by.grant.is_none()) || grant_of(envelope, approver, findings).is_some()
}

/// The grant in an envelope's countersignature, where it covers these findings.
fn grant_of(envelope: &Envelope, approver: &ApproverId, findings: &[Finding]) -> Option<Grant> {
    let by = envelope.countersigned_by(approver)?;
    let grant = by.grant.as_ref()?.open(approver).ok()?;
    covers(&grant, envelope, findings, by.at).then_some(grant)
}

/// Whether a grant covers what is found: all that a human would be asked about, which is what
/// matters this way and is bad enough.
fn covers(grant: &Grant, envelope: &Envelope, findings: &[Finding], at: Timestamp) -> bool {
    let header = envelope.header();
    let (peer, passed_over) = match grant.direction {
        Direction::Out => (header.recipient, Matters::Coming),
        Direction::In => (header.sender, Matters::Leaving),
    };
    let counts = |f: &&Finding| f.severity >= policy::ASK_FROM && f.matters != passed_over;
    let found: Vec<_> = findings.iter().filter(counts).map(|f| (&*f.rule, f.severity)).collect();
    let size = envelope.body().text().map_or(0, |text| text.as_str().len());
    // What has no text is not what anybody read in the grant's sentence.
    envelope.body().text().is_some()
        && grant.covers(&Covered {
            peer,
            direction: grant.direction,
            kind: &header.kind,
            findings: &found,
            size_bytes: u64::try_from(size).unwrap_or(u64::MAX),
            at,
        })
}

/// Whether a grant names every reason for which the human would be asked. There are more of them
/// than findings; some take the human each time.
fn names_all(grant: &Grant, reasons: &[Reason]) -> bool {
    let any = grant.kind == GrantKind::Inline && grant.rules.is_empty();
    let named = |reason: &Reason| any || grant.rules.contains(&reason.rule);
    reasons.iter().all(|reason| {
        !ALWAYS_ASKED.contains(&&*reason.rule)
            && named(reason)
            && reason.severity <= grant.severity_max
    })
}

/// Lets a message out that one of the human's grants covers. It leaves with the grant in its
/// countersignature, so that whoever reads it later, here or there, can check the same.
///
/// # Errors
/// When the grant is not this human's, not to pass unasked, for another node, or does not cover it
/// at `now`.
pub fn release_by_grant(
    envelope: Envelope,
    reasons: &[Reason],
    signed: &SignedGrant,
    keys: (&IdentityKey, &ApproverId),
    (scanner, now): (&Scanner, Timestamp),
) -> Result<Approved<Envelope>, GateError> {
    release(envelope, reasons, (signed, GrantKind::Unasked), keys, (scanner, now))
}

impl Pending<Envelope> {
    /// Uses up the item by the word of an MCP client that its user said yes. It counts where the
    /// human signed beforehand that it may, and says of itself that a client asserted it.
    ///
    /// # Errors
    /// When the grant is not this human's, not for clients, for another node, or does not cover
    /// the message with all the `reasons` for which the human is asked, at `now`; for what comes
    /// in; and when the item is too late.
    pub fn decide_by_client(
        self,
        reasons: &[Reason],
        signed: &SignedGrant,
        keys: (&IdentityKey, &ApproverId),
        (scanner, now): (&Scanner, Timestamp),
    ) -> Result<Approved<Envelope>, GateError> {
        if self.what != What::MessageOut || !self.after.is_empty() || self.least.is_some() {
            return Err(GateError::NotApproved);
        }
        if self.expires <= now {
            return Err(GateError::Expired(self.expires));
        }
        release(self.item, reasons, (signed, GrantKind::Inline), keys, (scanner, now))
    }
}

fn release(
    envelope: Envelope,
    reasons: &[Reason],
    (signed, kind): (&SignedGrant, GrantKind),
    (key, approver): (&IdentityKey, &ApproverId),
    (scanner, now): (&Scanner, Timestamp),
) -> Result<Approved<Envelope>, GateError> {
    let grant = signed.open(approver)?;
    if grant.kind != kind || envelope.header().human || !names_all(&grant, reasons) {
        return Err(GateError::NotApproved);
    }
    let seal = Countersignature::sign_by_grant(&envelope, key, approver, signed, now)?;
    let envelope = envelope.with_countersignature(seal)?;
    // Not through the policy: what it would allow anyway needs no grant.
    let findings = findings(&envelope, scanner);
    if envelope.header().sender == key.id() && is_released(&envelope, approver, &findings) {
        Ok(Approved { item: envelope })
    } else {
        Err(GateError::NotApproved)
    }
}

/// Lets a message in that one of the human's grants covers, with all the `reasons` for which they
/// would be asked.
///
/// # Errors
/// When the grant is not this human's, for another node, or does not cover it at `now`.
pub fn admit_by_grant(
    envelope: Envelope,
    reasons: &[Reason],
    (signed, approver): (&SignedGrant, &ApproverId),
    (scanner, now): (&Scanner, Timestamp),
) -> Result<Approved<Envelope>, GateError> {
    let grant = signed.open(approver)?;
    let ours = grant.node == envelope.header().recipient && grant.direction == Direction::In;
    // Looking takes time, and comes last.
    let covered = || covers(&grant, &envelope, &findings(&envelope, scanner), now);
    if ours && names_all(&grant, reasons) && covered() {
        Ok(Approved { item: envelope })
    } else {
        Err(GateError::NotApproved)
    }
}

/// How the policy comes to what it says of a message today, whatever became of it: for people, and
/// no proof of anything. `theirs` is the approver of the peer, of a message that came in.
#[must_use]
pub fn explain(
    envelope: &Envelope,
    direction: Direction,
    theirs: Option<&ApproverId>,
    bench: &Bench<'_>,
) -> policy::Explanation {
    let findings = findings(envelope, &bench.rules.scanner);
    let action = match direction {
        Direction::Out => Action::MessageOut,
        Direction::In => Action::MessageIn,
    };
    let released = direction == Direction::In
        && theirs.is_some_and(|approver| is_released(envelope, approver, &findings));
    let by = envelope.countersignature().filter(|_| released);
    let subject = Subject {
        countersigned: by.map(|by| strength(by.method)),
        ..bench.subject(action, envelope, &findings)
    };
    bench.rules.policy.explain(&subject)
}

/// What the policy says of a message that arrived.
#[derive(Debug)]
pub enum Incoming {
    /// It may go to the inbox.
    Allowed(Approved<Envelope>, Ruling),
    /// Our human is asked.
    Asked(Envelope, Ruling),
    /// It is not taken.
    Refused(Envelope, Ruling),
}

/// Why a message is not taken without a countersignature. Its sender reads this too.
fn lacking(missing: &Missing) -> Ruling {
    let text = format!(
        "the receiver takes this only with its sender's human's countersignature ({}): {}",
        or_better(missing.strength),
        missing.what
    );
    let reason = Reason { rule: "policy.require".to_owned(), severity: Severity::High, text };
    Ruling { rule: REQUIRE.to_owned(), reasons: vec![reason] }
}

/// A message with all that is found in it. Looking takes time, so it is done where nobody waits.
#[derive(Debug)]
pub struct Looked {
    envelope: Envelope,
    findings: Vec<Finding>,
}

impl Looked {
    /// Looks at a message.
    #[must_use]
    pub fn at(envelope: Envelope, scanner: &Scanner) -> Self {
        let findings = findings(&envelope, scanner);
        Self { envelope, findings }
    }

    /// The message.
    #[must_use]
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }
}

/// Asks the policy about a message that arrives from a trusted peer. What it denies is refused,
/// and what lacks a countersignature that it requires, before our human is asked.
#[must_use]
pub fn incoming(
    Looked { envelope, findings }: Looked,
    peer_approver: &ApproverId,
    bench: &Bench<'_>,
    now: Timestamp,
) -> Incoming {
    let released = is_released(&envelope, peer_approver, &findings);
    let by = envelope.countersignature().filter(|_| released);
    let subject = Subject {
        countersigned: by.map(|by| strength(by.method)),
        clock_ahead: envelope.header().created.since(now) > limits::CLOCK_AHEAD_MAX,
        ..bench.subject(Action::MessageIn, &envelope, &findings)
    };
    let decided = bench.rules.policy.decide(&subject);
    let ruling = |reasons| Ruling { rule: decided.rule.clone(), reasons };
    match (decided.verdict, bench.rules.policy.missing(&subject)) {
        (Verdict::Deny(reasons), _) => Incoming::Refused(envelope, ruling(reasons)),
        (Verdict::Ask(_) | Verdict::Allow, Some(missing)) => {
            Incoming::Refused(envelope, lacking(&missing))
        }
        (Verdict::Ask(reasons), None) => Incoming::Asked(envelope, ruling(reasons)),
        (Verdict::Allow, None) => {
            let ruling = ruling(Vec::new());
            Incoming::Allowed(Approved { item: envelope }, ruling)
        }
    }
}
