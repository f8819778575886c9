//! The policy as a human changes it: shown, set, reset. What only tightens needs no signature.

use rusqlite::Connection;

use super::{
    api::{ApiError, ErrorKind, PolicySource, Reply, SignedHex},
    clock,
    effective::Effective,
    orders, review,
    state::{Answer, Node, reply, store_failed, usage},
};
use crate::{
    audit,
    base::Timestamp,
    gate::Rules,
    policy::Policy,
    store::{self, policies},
    wire::{Command, SignedOrder},
};

/// A change that may be made: what will count, and how it is written down.
struct Change {
    effective: Effective,
    rules: Rules,
    signed: Option<(SignedOrder, Timestamp)>,
}

impl Node {
    /// The policy that counts.
    pub(super) fn policy_show(&self) -> Reply {
        Reply::PolicyShown(self.policy.shown())
    }

    /// Another policy is to count; an empty text is the standard.
    pub(super) fn policy_set(&mut self, text: &str, order: Option<&SignedHex>, answer: Answer) {
        let change = match self.change(text, order) {
            Ok(change) => change,
            Err(error) => return reply(answer, Err(error)),
        };
        self.changing_policy = true;
        let now = clock::now();
        let Change { effective, rules, signed } = change;
        if let Some((_, at)) = &signed {
            self.followed = *at;
        }
        let effective = Effective { set_at: Some(now), ..effective };
        let event = event(&effective, text);
        let text = effective.policy.text().to_owned();
        let op = move |db: &Connection| {
            match signed {
                Some((order, at)) => {
                    policies::set_signed(db, &order)?;
                    orders::set_followed(db, at)?;
                }
                None => policies::set_tightened(db, &text)?,
            }
            store::audit::append(db, now, &event).map(drop)
        };
        self.write(op, move |node, done| {
            node.changing_policy = false;
            if let Err(error) = done {
                return reply(answer, Err(store_failed(&error)));
            }
            node.policy = effective;
            node.rules = rules;
            // What is watched for may have changed meanwhile.
            node.watch_anew();
            node.announce();
            reply(answer, Ok(node.policy_show()));
        });
    }

    fn change(&mut self, text: &str, order: Option<&SignedHex>) -> Result<Change, ApiError> {
        if self.changing_policy {
            let message = "another policy is being set";
            return Err(ApiError::new(ErrorKind::Busy, message, "try again in a moment"));
        }
        let repair = "countersign policy check FILE says what to repair";
        let policy = match text {
            "" => Policy::standard().clone(),
            text => review::policy(text)?,
        };
        let (effective, signed) = if let Some(order) = order {
            self.signed(text, policy, order)?
        } else {
            let tightened = self.tightened(policy);
            (tightened.inspect_err(|error| self.note_refusal(error))?, None)
        };
        let known =
            self.known.detector().map_err(|error| usage(error, "countersign known list"))?;
        let rules = effective.rules(known).map_err(|error| usage(error, repair))?;
        Ok(Change { effective, rules, signed })
    }

    fn signed(
        &mut self,
        text: &str,
        policy: Policy,
        order: &SignedHex,
    ) -> Result<(Effective, Option<(SignedOrder, Timestamp)>), ApiError> {
        let (signed, command, at) = self.take_order(order)?;
        let current = self.policy.serial;
        let Command::Policy { serial, text: ordered } = command else {
            return Err(self.another_kind());
        };
        let mut wrong = |message: String| {
            let next = "nothing was changed; sign it anew";
            let error = ApiError::new(ErrorKind::Denied, message, next);
            self.note_refusal(&error);
            error
        };
        let next = current.saturating_add(1);
        if ordered != text {
            return Err(wrong("the order is for another policy than this text".to_owned()));
        }
        if serial != next {
            return Err(wrong(format!("the order is for policy {serial}, and {next} is the next")));
        }
        let source = if text.is_empty() { PolicySource::Standard } else { PolicySource::Signed };
        let policy = std::sync::Arc::new(policy);
        let base = std::sync::Arc::clone(&policy);
        let effective = Effective { source, policy, base, serial, set_at: None, warning: None };
        Ok((effective, Some((signed, at))))
    }

    fn tightened(&self, policy: Policy) -> Result<Effective, ApiError> {
        let looser = || {
            let message = "this policy is looser than the one that counts, so it needs the approval \
                           passphrase";
            let next = "your human runs countersign policy set in a terminal, or uses the page";
            ApiError::new(ErrorKind::WaitsForHuman, message, next)
        };
        let now = &self.policy;
        let tightens = policy.is_no_looser_than(&now.policy) && policy.is_no_looser_than(&now.base);
        if now.source == PolicySource::Closed || !tightens {
            return Err(looser());
        }
        let policy = std::sync::Arc::new(policy);
        Ok(Effective { source: PolicySource::Tightened, policy, ..now.clone() })
    }
}

fn event(effective: &Effective, text: &str) -> audit::Event {
    let serial = effective.serial;
    let tightened = effective.source == PolicySource::Tightened;
    if text.is_empty() && !tightened {
        return audit::Event::PolicyReset { serial };
    }
    audit::Event::PolicySet { digest: effective.policy.digest().to_string(), serial, tightened }
}
