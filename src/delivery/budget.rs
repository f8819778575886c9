//! How often a person may be interrupted, as a machine: one prompt at a time, and so many an hour.
//! Whoever is asked too often says yes to get rid of it, so a flood must not be able to ask.
//!
//! A prompt is what interrupts: an alert of the surfaces (a desktop notification, a bell), and a
//! question that a client shows. What lies beyond the budget waits in the list like everything
//! else; the next alert, when there may be one, is about all of it together. What is not here: what
//! waits, and for how long; that is the list's.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use crate::base::{PendingId, Timestamp, limits};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// This is all that waits for the human, and whether each can be decided yet.
    Waits(BTreeMap<PendingId, bool>),
    /// A client could ask its user about an item.
    Ask(PendingId),
    /// The call for which a client asked about an item has ended.
    CallEnded(PendingId),
    /// Time has passed.
    Tick,
}

/// The person is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// The surfaces tell that so many items wait which were not told of before.
    Alert(u64),
    /// The client that could ask does so.
    Client,
}

/// A prompt that was not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    about: BTreeSet<PendingId>,
    /// A client asks.
    in_client: bool,
    until: Timestamp,
}

/// What [`Budget`] counts, for a person to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// A prompt is open.
    pub open: bool,
    /// Prompts within the last hour.
    pub last_hour: u64,
    /// Items that nobody was told of yet.
    pub untold: u64,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Budget {
    /// When the prompts of the last hour began, oldest first.
    began: VecDeque<Timestamp>,
    open: Option<Open>,
    waits: BTreeMap<PendingId, bool>,
    /// What waits and was told of.
    told: BTreeSet<PendingId>,
    most: usize,
}

/// The time within which prompts are counted.
const WINDOW: Duration = limits::PROMPTS_WINDOW;

impl Budget {
    /// A node begins. What waits already is no news: each surface lists it when it begins. `began`
    /// is when prompts began before, oldest first.
    #[must_use]
    pub fn new(waits: BTreeMap<PendingId, bool>, began: Vec<Timestamp>) -> Self {
        Self { began: began.into(), ..Self::of(limits::PROMPTS_MAX, waits) }
    }

    fn of(most: usize, waits: BTreeMap<PendingId, bool>) -> Self {
        let told = waits.keys().copied().collect();
        Self { began: VecDeque::new(), open: None, waits, told, most }
    }

    /// Takes what happened, and says whether the person is interrupted now.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Option<Prompt> {
        self.pass(now);
        match input {
            Input::Waits(waits) => self.waits(waits),
            Input::Ask(id) => return self.ask(id, now),
            Input::CallEnded(id) => self.call_ended(id),
            Input::Tick => {}
        }
        self.alert(now)
    }

    /// When the prompts of the last hour began, oldest first.
    pub fn began(&self) -> impl Iterator<Item = Timestamp> {
        self.began.iter().copied()
    }

    /// How things are at `now`.
    #[must_use]
    pub fn count(&self, now: Timestamp) -> Count {
        let many = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let within = self.began.iter().filter(|at| now.since(**at) < WINDOW).count();
        Count {
            open: self.open.as_ref().is_some_and(|open| open.until > now),
            last_hour: many(within),
            untold: many(self.untold().count()),
        }
    }

    fn pass(&mut self, now: Timestamp) {
        for at in &mut self.began {
            // A clock that was set back must not keep a person from being asked for longer.
            *at = (*at).min(now);
        }
        let longest = now.plus(limits::PROMPT_LIFE);
        self.began.retain(|at| now.since(*at) < WINDOW);
        self.open = self.open.take().filter(|open| open.until > now);
        if let Some(open) = &mut self.open {
            open.until = open.until.min(longest);
        }
    }

    fn waits(&mut self, waits: BTreeMap<PendingId, bool>) {
        self.told.retain(|id| waits.contains_key(id));
        self.waits = waits;
        let waits = |open: &Open| open.about.iter().any(|id| self.waits.contains_key(id));
        self.open = self.open.take().filter(waits);
    }

    fn ask(&mut self, id: PendingId, now: Timestamp) -> Option<Prompt> {
        if !self.waits.contains_key(&id) {
            return None;
        }
        let about = BTreeSet::from([id]);
        if let Some(open) = &mut self.open {
            // The surfaces told of this very item: the question belongs to the same prompt.
            let joins = open.about == about && !open.in_client;
            open.in_client |= joins;
            return joins.then_some(Prompt::Client);
        }
        self.begin(about, true, now).then_some(Prompt::Client)
    }

    fn call_ended(&mut self, id: PendingId) {
        let ended = |open: &Open| open.in_client && open.about.contains(&id);
        self.open = self.open.take().filter(|open| !ended(open));
    }

    fn untold(&self) -> impl Iterator<Item = PendingId> {
        let untold = |(id, ready): &(&PendingId, &bool)| **ready && !self.told.contains(*id);
        self.waits.iter().filter(untold).map(|(id, _)| *id)
    }

    fn alert(&mut self, now: Timestamp) -> Option<Prompt> {
        let about: BTreeSet<_> = self.untold().collect();
        let many = u64::try_from(about.len()).unwrap_or(u64::MAX);
        let begins = self.open.is_none() && many > 0 && self.begin(about, false, now);
        begins.then_some(Prompt::Alert(many))
    }

    /// Opens a prompt, if the hour has room for one more.
    fn begin(&mut self, about: BTreeSet<PendingId>, in_client: bool, now: Timestamp) -> bool {
        if self.began.len() >= self.most {
            return false;
        }
        self.began.push_back(now);
        self.told.extend(about.iter().copied());
        self.open = Some(Open { about, in_client, until: now.plus(limits::PROMPT_LIFE) });
        true
    }
}

#[cfg(test)]
mod tests;
