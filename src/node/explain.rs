//! Why a message passed, waited or was refused: what was written down of it then, and what the
//! policy would say today.

use rusqlite::Connection;

use super::{
    agent::no_message,
    api::{Explained, FindingInfo, Judgement, PeerRef, Reply},
    judge::{PeerFacts, count},
    state::{Answer, Node, reply, store_failed, usage},
};
use crate::{
    base::MessageId,
    gate::{self, Bench},
    policy::{Decided, Verdict},
    store::{
        messages::{self, MessageRow},
        verdicts::{self, Verdict as Noted, VerdictReason},
    },
    wire::{Direction, Envelope},
};

impl Node {
    /// Says why a message passed or did not.
    pub(super) fn explain(&mut self, id: &str, answer: Answer) {
        let id: MessageId = match id.parse() {
            Ok(id) => id,
            Err(error) => {
                return reply(answer, Err(usage(error, "countersign inbox lists messages")));
            }
        };
        let op = move |db: &Connection| {
            let Some(row) = messages::find(db, &id)? else { return Ok(None) };
            let noted = verdicts::verdict(db, row.number)?;
            Ok(Some((row, noted)))
        };
        self.read(op, move |node, found| {
            let result = match found {
                Ok(Some((row, noted))) => node.explained(&row, noted),
                Ok(None) => Err(no_message(&id)),
                Err(error) => Err(store_failed(&error)),
            };
            reply(answer, result.map(Reply::Explained));
        });
    }

    fn explained(
        &self,
        row: &MessageRow,
        noted: Option<Noted>,
    ) -> Result<Explained, super::api::ApiError> {
        let envelope = Envelope::decode(&row.envelope)
            .map_err(|error| usage(error, "countersign audit verify checks the evidence"))?;
        let facts = self.facts(&row.peer);
        let (direction, way) =
            if row.outgoing { (Direction::Out, "out") } else { (Direction::In, "in") };
        let explanation = self.judged_today(&envelope, &facts, direction);
        Ok(Explained {
            id: row.id.to_string(),
            direction: way.to_owned(),
            peer: PeerRef { id: row.peer.to_string(), name: self.name_of(&row.peer) },
            state: row.state.as_str().to_owned(),
            then: noted.map(|noted| Judgement {
                verdict: noted.verdict,
                rule: noted.rule,
                reasons: noted.reasons.into_iter().map(info).collect(),
                policy: noted.policy,
            }),
            now: self.judgement(&explanation.decided),
            steps: explanation.to_string(),
        })
    }

    fn judged_today(
        &self,
        envelope: &Envelope,
        facts: &PeerFacts,
        direction: Direction,
    ) -> crate::policy::Explanation {
        let created = envelope.header().created;
        let times = self.recent.times(&facts.id, direction);
        // As it was when it was written: what came later is not counted.
        let recent = |window| {
            let before = times.iter().copied().filter(|at| *at < created).collect();
            count(&before, window, created)
        };
        let bench = Bench { rules: &self.rules, peer: facts.peer(), recent: &recent };
        let theirs = self.trusted(&facts.id).map(|(_, approver)| approver);
        gate::explain(envelope, direction, theirs.as_ref(), &bench)
    }

    fn judgement(&self, decided: &Decided) -> Judgement {
        let (verdict, reasons) = match &decided.verdict {
            Verdict::Allow => ("allow", &[][..]),
            Verdict::Ask(reasons) => ("ask", &reasons[..]),
            Verdict::Deny(reasons) => ("deny", &reasons[..]),
        };
        Judgement {
            verdict: verdict.to_owned(),
            rule: decided.rule.clone(),
            reasons: reasons.iter().map(FindingInfo::from).collect(),
            policy: self.rules.policy.digest().to_string(),
        }
    }
}

fn info(reason: VerdictReason) -> FindingInfo {
    let VerdictReason { rule, severity, text } = reason;
    FindingInfo { rule, severity, text }
}
