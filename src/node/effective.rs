//! Which policy counts: found at the start from what is on disk, and fails closed.
//!
//! A policy that the human signed counts with their signature; one that tightens it counts while it
//! does. The audit chain names the policy that was set last. Where the rows hold anything else, a
//! part of what was set is gone or old, and everything is asked about until the human sets a policy
//! anew: never silently the standard.

use std::sync::Arc;

use crate::{
    audit::{self, Event, Record},
    base::{ApproverId, PeerId, Timestamp},
    gate::Rules,
    node::api::{PolicyShown, PolicySource},
    policy::Policy,
    risk::{Known, KnownError, RuleTable, Scanner},
    store::policies::{self, PolicyRows},
    wire::{Command, SignedOrder},
};

/// What counts where it cannot be said what should.
const CLOSED: &str = "\
# The policy that should count here cannot be verified, so everything is asked about.
version = 1

[taint]
hours = 168
reply_bytes = 0
";

/// The policy that counts.
#[derive(Clone, Debug)]
pub(super) struct Effective {
    pub(super) source: PolicySource,
    /// What counts.
    pub(super) policy: Arc<Policy>,
    /// What was signed, or the standard: what it may tighten without a signature.
    pub(super) base: Arc<Policy>,
    /// Of the last policy that was signed; 0 before the first.
    pub(super) serial: u64,
    pub(super) set_at: Option<Timestamp>,
    pub(super) warning: Option<String>,
}

impl Effective {
    /// Everything is asked about, for this reason.
    fn closed(why: &str, serial: u64) -> Self {
        let policy = Arc::new(match Policy::parse(CLOSED) {
            Ok(policy) => policy,
            Err(error) => {
                unreachable!("the closed policy is a constant, which a test reads: {error}")
            }
        });
        let warning = format!(
            "the policy that should count cannot be verified, so everything is asked about: {why}; \
             set it anew with countersign policy set or countersign policy reset"
        );
        tracing::error!(why, "the policy is closed");
        Self {
            source: PolicySource::Closed,
            base: Arc::clone(&policy),
            policy,
            serial,
            set_at: None,
            warning: Some(warning),
        }
    }

    /// As a human reads it.
    pub(super) fn shown(&self) -> PolicyShown {
        PolicyShown {
            source: self.source,
            text: self.policy.text().to_owned(),
            digest: self.policy.digest().to_string(),
            serial: self.serial,
            set_at: self.set_at.map(Timestamp::rfc3339),
            warning: self.warning.clone(),
        }
    }

    /// The gate's rules.
    ///
    /// # Errors
    /// A secret rule in it that cannot be used.
    pub(super) fn rules(&self, known: Known) -> Result<Rules, String> {
        let table = |table: &toml::Table| {
            table.clone().try_into::<RuleTable>().map_err(|error| error.to_string())
        };
        let further: Vec<RuleTable> =
            self.policy.further_rules().iter().map(table).collect::<Result<_, _>>()?;
        let scanner = Scanner::with(&further, known).map_err(|error| error.to_string())?;
        Ok(Rules { policy: Arc::clone(&self.policy), scanner })
    }
}

/// What counts, with the rules that it makes. What cannot be used is closed.
pub(super) fn load(
    rows: &PolicyRows,
    me: &PeerId,
    approver: Option<&ApproverId>,
    known: impl Fn() -> Result<Known, KnownError>,
) -> (Effective, Rules) {
    let found = effective(rows, me, approver);
    let detector = known().map_err(|error| format!("the values to watch for: {error}"));
    let why = match detector.and_then(|known| found.rules(known)) {
        Ok(rules) => return (found, rules),
        Err(why) => why,
    };
    let closed = Effective::closed(&why, found.serial);
    let scanner = known().map(|known| Scanner::with(&[], known));
    let scanner = match scanner {
        Ok(Ok(scanner)) => scanner,
        Ok(Err(_)) | Err(_) => Scanner::standard().clone(),
    };
    let rules = Rules { policy: Arc::clone(&closed.policy), scanner };
    (closed, rules)
}

fn effective(rows: &PolicyRows, me: &PeerId, approver: Option<&ApproverId>) -> Effective {
    counted(rows, me, approver).unwrap_or_else(|why| {
        let signed = rows.signed.as_ref().and_then(|order| open(order, me, approver).ok());
        let named = rows.last.as_ref().and_then(named);
        let last = signed.map_or(0, |signed| signed.0).max(named.map_or(0, |named| named.serial));
        Effective::closed(&why, last)
    })
}

/// The policy that was set last, as the audit chain names it.
struct Named {
    serial: u64,
    /// `None` for a return to the standard.
    digest: Option<String>,
    tightened: bool,
}

fn named(record: &Record) -> Option<Named> {
    audit::check_alone(record).ok()?;
    let event = policies::event_of(record)?;
    if let Event::PolicySet { digest, serial, tightened } = event {
        Some(Named { serial, digest: Some(digest), tightened })
    } else if let Event::PolicyReset { serial } = event {
        Some(Named { serial, digest: None, tightened: false })
    } else {
        None
    }
}

/// What should count, or why it does not.
fn counted(
    rows: &PolicyRows,
    me: &PeerId,
    approver: Option<&ApproverId>,
) -> Result<Effective, String> {
    let Some(record) = &rows.last else {
        return if rows.signed.is_none() && rows.tightened.is_none() {
            Ok(signed(0, Policy::standard().clone(), PolicySource::Standard, None))
        } else {
            Err("the database holds a policy that the audit chain does not name".to_owned())
        };
    };
    let named = named(record).ok_or("the audit chain's record of it cannot be read")?;
    let text = signed_text(rows, named.serial, me, approver)?;
    let base = read(&text)?;
    let (serial, at) = (named.serial, Some(record.at));
    if named.tightened {
        let policy = tightened(rows, &named, &base)?;
        let base = signed(serial, base, PolicySource::Tightened, at);
        return Ok(Effective { policy: Arc::new(policy), ..base });
    }
    let digest = (!text.is_empty()).then(|| base.digest().to_string());
    if rows.tightened.is_some() || digest != named.digest {
        return Err("the database holds another policy than was set last".to_owned());
    }
    let source = if text.is_empty() { PolicySource::Standard } else { PolicySource::Signed };
    Ok(signed(serial, base, source, at))
}

/// The text that was signed under this serial; empty for the standard.
fn signed_text(
    rows: &PolicyRows,
    serial: u64,
    me: &PeerId,
    approver: Option<&ApproverId>,
) -> Result<String, String> {
    match (&rows.signed, serial) {
        (None, 0) => Ok(String::new()),
        (None, _) => Err("what was signed is gone from the database".to_owned()),
        (Some(order), _) => {
            let (found, text) = open(order, me, approver)?;
            if found == serial {
                Ok(text)
            } else {
                Err(format!("policy {serial} was signed last, and {found} is there"))
            }
        }
    }
}

fn tightened(rows: &PolicyRows, named: &Named, base: &Policy) -> Result<Policy, String> {
    let text = rows.tightened.as_deref().ok_or("what tightened it is gone")?;
    let policy = Policy::parse(text).map_err(|error| error.to_string())?;
    if named.digest.as_deref() != Some(policy.digest().to_string().as_str()) {
        return Err("what tightens it was changed".to_owned());
    }
    if policy.is_no_looser_than(base) {
        Ok(policy)
    } else {
        Err("what was to tighten it is looser".to_owned())
    }
}

fn signed(serial: u64, base: Policy, source: PolicySource, set_at: Option<Timestamp>) -> Effective {
    let base = Arc::new(base);
    Effective { source, policy: Arc::clone(&base), base, serial, set_at, warning: None }
}

/// An empty text is the standard.
fn read(text: &str) -> Result<Policy, String> {
    if text.is_empty() {
        return Ok(Policy::standard().clone());
    }
    Policy::parse(text).map_err(|error| error.to_string())
}

/// Verifies a kept policy: its serial and its text.
fn open(
    order: &SignedOrder,
    me: &PeerId,
    approver: Option<&ApproverId>,
) -> Result<(u64, String), String> {
    let approver = approver.ok_or("approvals are not set up")?;
    let order = order.open(approver).map_err(|error| error.to_string())?;
    if order.node != *me {
        return Err("it was signed for another node".to_owned());
    }
    match order.command {
        Command::Policy { serial, text } => Ok((serial, text)),
        Command::TaintClear | Command::KnownForget { .. } => {
            Err("what was signed is no policy".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::Head,
        base::Secret,
        identity::{ApproverKey, IdentityKey},
        wire::Order,
    };

    const LOOSE: &str = "version = 1\n[[allow]]\nname = \"all\"\n";
    const TIGHT: &str = "version = 1\n# nothing passes\n";
    const AT: Timestamp = Timestamp::from_ms(1_000);

    fn human(n: u8) -> ApproverKey {
        ApproverKey::from_seed(&Secret::new([n; 32]))
    }

    fn node(n: u8) -> PeerId {
        IdentityKey::from_seed(&Secret::new([n; 32])).id()
    }

    fn order(serial: u64, text: &str) -> SignedOrder {
        let command = Command::Policy { serial, text: text.to_owned() };
        Order { node: node(1), at: AT, command }.sign(&human(2)).unwrap()
    }

    fn set(text: &str, serial: u64, tightened: bool) -> Event {
        let digest = read(text).unwrap().digest().to_string();
        Event::PolicySet { digest, serial, tightened }
    }

    fn rows(signed: Option<SignedOrder>, tightened: Option<&str>, last: &Event) -> PolicyRows {
        let tightened = tightened.map(str::to_owned);
        PolicyRows { signed, tightened, last: Some(Head::EMPTY.next(AT, last)) }
    }

    fn found(rows: &PolicyRows) -> Effective {
        effective(rows, &node(1), Some(&human(2).id()))
    }

    #[track_caller]
    fn closed(rows: &PolicyRows, why: &str) {
        let found = found(rows);
        assert_eq!(found.source, PolicySource::Closed, "{:?}", found.policy.text());
        assert!(found.warning.as_ref().unwrap().contains(why), "{:?}", found.warning);
        assert!(
            found.policy.is_no_looser_than(Policy::standard()) || found.policy.text() == CLOSED
        );
    }

    #[test]
    fn what_was_set_last_counts() {
        let nothing = found(&PolicyRows::default());
        assert_eq!((nothing.source, nothing.serial), (PolicySource::Standard, 0));
        let loose = found(&rows(Some(order(1, LOOSE)), None, &set(LOOSE, 1, false)));
        assert_eq!((loose.source, loose.serial), (PolicySource::Signed, 1));
        assert_eq!(loose.policy.text(), LOOSE);
        let tight = found(&rows(Some(order(1, LOOSE)), Some(TIGHT), &set(TIGHT, 1, true)));
        assert_eq!((tight.source, tight.policy.text()), (PolicySource::Tightened, TIGHT));
        assert_eq!(tight.base.text(), LOOSE);
        let reset = found(&rows(Some(order(2, "")), None, &Event::PolicyReset { serial: 2 }));
        assert_eq!((reset.source, reset.serial), (PolicySource::Standard, 2));
        assert_eq!(reset.policy.text(), Policy::standard_text());
        let denying = format!("{}\n[[deny]]\nname = \"none\"\n", Policy::standard_text());
        let own = found(&rows(None, Some(&denying), &set(&denying, 0, true)));
        assert_eq!((own.source, own.policy.text()), (PolicySource::Tightened, denying.as_str()));
    }

    #[test]
    fn anything_else_asks_about_everything() {
        let last = set(LOOSE, 2, false);
        closed(&rows(None, None, &last), "gone from the database");
        closed(&rows(Some(order(1, LOOSE)), None, &last), "policy 2 was signed last, and 1");
        closed(&rows(Some(order(2, TIGHT)), None, &last), "another policy");
        closed(&rows(Some(order(2, "nonsense")), None, &last), "line 1");
        closed(&rows(Some(order(2, LOOSE)), Some(TIGHT), &last), "another policy");
        let mut changed = order(2, LOOSE);
        changed.statement[10] ^= 1;
        closed(&rows(Some(changed), None, &last), "does not verify");
        let command = Command::Policy { serial: 2, text: LOOSE.to_owned() };
        let order_of = |n, key| {
            Order { node: node(n), at: AT, command: command.clone() }.sign(&human(key)).unwrap()
        };
        closed(&rows(Some(order_of(9, 2)), None, &last), "another node");
        closed(&rows(Some(order_of(1, 9)), None, &last), "does not verify");
        let clear = Order { node: node(1), at: AT, command: Command::TaintClear };
        closed(&rows(Some(clear.sign(&human(2)).unwrap()), None, &last), "no policy");
        let tightened = set(TIGHT, 1, true);
        closed(&rows(Some(order(1, LOOSE)), None, &tightened), "what tightened it is gone");
        closed(&rows(Some(order(1, LOOSE)), Some("version = 1 #"), &tightened), "was changed");
        closed(&rows(Some(order(1, TIGHT)), Some(LOOSE), &set(LOOSE, 1, true)), "looser");
        closed(&rows(Some(order(1, LOOSE)), None, &Event::PolicyReset { serial: 1 }), "another");
        let unnamed = PolicyRows { signed: Some(order(1, LOOSE)), ..PolicyRows::default() };
        closed(&unnamed, "does not name");
        let unnamed = PolicyRows { tightened: Some(TIGHT.to_owned()), ..PolicyRows::default() };
        closed(&unnamed, "does not name");
        let nobody =
            effective(&rows(Some(order(1, LOOSE)), None, &set(LOOSE, 1, false)), &node(1), None);
        assert_eq!((nobody.source, nobody.serial), (PolicySource::Closed, 1));
    }

    #[test]
    fn what_is_closed_goes_on_with_the_serials() {
        let last = set(LOOSE, 7, false);
        assert_eq!(found(&rows(None, None, &last)).serial, 7);
        assert_eq!(found(&rows(Some(order(9, LOOSE)), None, &last)).serial, 9);
    }

    #[test]
    fn a_secret_rule_that_cannot_be_used_closes_the_policy() {
        let text = "version = 1\n[[rules]]\nid = \"own\"\nregex = '''('''\n";
        assert!(Policy::parse(text).is_ok(), "the scanner reads them");
        let rows = rows(Some(order(1, text)), None, &set(text, 1, false));
        let (found, _) = load(&rows, &node(1), Some(&human(2).id()), || Ok(Known::default()));
        assert_eq!(found.source, PolicySource::Closed);
    }

    #[test]
    fn the_closed_policy_lets_nothing_pass() {
        let policy = Policy::parse(CLOSED).unwrap();
        let no_rules = Policy::parse(TIGHT).unwrap();
        assert!(policy.is_no_looser_than(&no_rules));
        assert_eq!(policy.taint().reply_bytes, 0);
    }
}
