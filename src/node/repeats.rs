//! What is like something that the human approved lately: a grant is offered for it.

use std::collections::{BTreeSet, VecDeque};

use super::{clock, state::Node};
use crate::{
    base::{PeerId, Timestamp, limits},
    gate::{Item, What},
    risk,
    store::pending::{GivenYes, PendingRow},
};

/// What was approved within the last day, oldest first.
#[derive(Default)]
pub(super) struct Liked(VecDeque<GivenYes>);

impl Liked {
    /// As the decisions on disk say.
    pub(super) fn of(approved: Vec<GivenYes>) -> Self {
        Self(approved.into())
    }

    /// The human said yes to this.
    pub(super) fn note(&mut self, row: &PendingRow, at: Timestamp) {
        let old = |liked: &GivenYes| at.since(liked.at) > limits::REPEATS_WINDOW;
        while self.0.len() >= limits::REPEATS_KEPT_MAX || self.0.front().is_some_and(old) {
            self.0.pop_front();
        }
        if row.message.is_some() {
            self.0.push_back(GivenYes { what: row.what, peer: row.peer, rules: rules(row), at });
        }
    }

    fn count(&self, (what, peer): (What, PeerId), rules: &BTreeSet<String>, now: Timestamp) -> u64 {
        let like = |liked: &&GivenYes| {
            let lately = now.since(liked.at) <= limits::REPEATS_WINDOW;
            lately && (liked.what, liked.peer) == (what, peer) && liked.rules == *rules
        };
        u64::try_from(self.0.iter().filter(like).count()).unwrap_or(u64::MAX)
    }
}

fn rules(row: &PendingRow) -> BTreeSet<String> {
    row.reasons.iter().map(|reason| reason.rule.clone()).collect()
}

impl Node {
    /// How many like it the human approved lately; none where no grant would cover it, which names
    /// rules that are found in the text alone.
    pub(super) fn repeats(&self, row: &PendingRow) -> u64 {
        let Some(Item::Message(what, envelope)) = &row.item else { return 0 };
        let rules = rules(row);
        let count = self.liked.count((*what, row.peer), &rules, clock::now());
        if count == 0 {
            return 0;
        }
        let found = risk::scan(envelope.body().text().map_or("", |text| text.as_str()));
        let named = |rule: &String| found.iter().any(|finding| finding.rule == *rule);
        if rules.iter().all(named) { count } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_like_is_of_the_same_peer_and_way_with_the_same_rules_within_a_day() {
        let (a, b) = (PeerId::from_bytes([1; 32]), PeerId::from_bytes([2; 32]));
        let at = |hours: u64| Timestamp::from_ms(hours * 3_600_000);
        let set = |rules: &[&str]| rules.iter().map(|rule| (*rule).to_owned()).collect();
        let yes = |what, peer, rules: &[&str], hours| GivenYes {
            what,
            peer,
            rules: set(rules),
            at: at(hours),
        };
        let liked = Liked::of(vec![
            yes(What::MessageOut, a, &["x.y"], 1),
            yes(What::MessageOut, a, &["x.y"], 30),
            yes(What::MessageOut, a, &["x.y", "x.z"], 30),
            yes(What::MessageIn, a, &["x.y"], 30),
            yes(What::MessageOut, b, &["x.y"], 30),
        ]);
        let count =
            |what, peer, rules: &[&str], hours| liked.count((what, peer), &set(rules), at(hours));
        assert_eq!(count(What::MessageOut, a, &["x.y"], 25), 2);
        assert_eq!(count(What::MessageOut, a, &["x.y"], 31), 1);
        assert_eq!(count(What::MessageOut, a, &["x.y"], 60), 0);
        assert_eq!(count(What::MessageOut, a, &["x.z"], 31), 0);
        assert_eq!(count(What::MessageOut, a, &["x.z", "x.y"], 31), 1);
        assert_eq!(count(What::MessageIn, b, &["x.y"], 31), 0);
    }
}
