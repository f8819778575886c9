//! Whether one policy lets no more pass than another. Syntactic: `true` is certain, `false` is not.

use super::{
    Policy,
    rule::{List, Rule},
};

impl Policy {
    /// Whether nothing passes, is asked, goes unrequired or flows here that would not under `old`.
    ///
    /// Why that follows:
    /// - What `old` denies is denied here, because each of its deny rules lies within one of ours.
    /// - What a rule of `old` asks about is denied or asked about here, for the same reasons and
    ///   perhaps more: a grant that does not cover the old question does not cover the new one.
    /// - Where no allow rule of `old` matches, none of ours does: the default's reasons are told too.
    /// - What we allow matches one of our allow rules, which lies within one of `old`; so `old`
    ///   allowed it, unless it denied or asked, and then so do we.
    /// - A new peer is denied or asked about; the first two points hold for it.
    #[must_use]
    pub fn is_no_looser_than(&self, old: &Self) -> bool {
        let denied = |rule: &Rule| self.deny.iter().any(|ours| rule.is_within(ours));
        let asked =
            |rule: &Rule| self.ask.iter().any(|ours| rule.is_within(ours) && ours.tells(rule));
        let allowed = |ours: &Rule| old.allow.iter().any(|rule| ours.is_within(rule));
        let judged = old.deny.iter().all(denied)
            && old.ask.iter().all(|rule| denied(rule) || asked(rule))
            && self.allow.iter().all(allowed);
        let required = old.require.iter().all(|(rule, least)| {
            self.require.iter().any(|(ours, strength)| rule.is_within(ours) && strength >= least)
        });
        let flows = self.flows.iter().all(|ours| {
            let within =
                |flow: &super::Flow| ours.from.is_within(&flow.from) && ours.to.is_within(&flow.to);
            old.flows.iter().any(within)
        });
        let taint =
            self.taint.hours >= old.taint.hours && self.taint.reply_bytes <= old.taint.reply_bytes;
        // A further secret rule adds findings, and more findings never loosen.
        let further = old.further.iter().all(|rule| self.further.contains(rule));
        judged && required && flows && taint && further
    }
}

impl Rule {
    /// Whether its reasons are all that `other` gives where both match.
    fn tells(&self, other: &Self) -> bool {
        let own = |rule: &Self| rule.list == List::Ask && rule.tells_itself();
        (self.filter().is_some() || other.filter().is_none())
            && (self.is_of_clock() || !other.is_of_clock())
            && (!own(other) || (own(self) && self.name == other.name))
    }
}
