//! What two homes and their humans do while nodes die: agents send and read, humans say yes, no
//! or nothing, and everything that is answered goes into the journal.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use countersign::node::api::{
    AgentRequest, AuditVerified, ErrorKind, HumanRequest, Inbox, InboxRequest, Outstanding,
    PendingList, SendRequest, Sent,
};
use serde_json::Value;

use crate::{
    journal::{Journal, Wrong},
    plan::Mistake,
    side::{Failed, Side, Started, text_of},
};

/// Messages of one agent in one round.
const MESSAGES: usize = 12;
/// How long what was promised may take once all nodes run.
const SETTLE: Duration = Duration::from_secs(30);
/// Where a planted fault is expected to lose something.
const SETTLE_FAULTY: Duration = Duration::from_secs(6);
/// Between two looks at what comes.
const LOOK: Duration = Duration::from_millis(25);
/// Messages of one look: each look opens and decodes all of its page.
const PAGE: u32 = 25;

/// Two homes that trust each other, and what became of their messages.
pub(crate) struct World {
    pub(crate) sides: [Side; 2],
    pub(crate) journal: Mutex<Journal>,
    /// How far each side's inbox was read: the page, and how many of it.
    places: [Mutex<(Option<String>, usize)>; 2],
    /// Something that the harness does wrong, to see that it is found.
    pub(crate) mistake: Option<Mistake>,
    pub(crate) is_faulty: bool,
}

impl World {
    pub(crate) fn new(sides: [Side; 2], mistake: Option<Mistake>, is_faulty: bool) -> Self {
        let journal = Mutex::new(Journal::default());
        Self { sides, journal, places: Default::default(), mistake, is_faulty }
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, from: &str, what: &str, failed: &Failed) {
        let mut journal = self.journal();
        match failed {
            Failed::NoNode => {}
            Failed::Doubt(why) => journal.note(format!("{from}: {what} is in doubt: {why}")),
            Failed::Refused(ErrorKind::Busy | ErrorKind::NotFound, why) => {
                journal.note(format!("{from}: {what} is refused: {why}"));
            }
            Failed::Refused(_, why) => {
                journal.wrong(Wrong::Broken, format!("{from}: {what} is refused: {why}"));
            }
        }
    }

    fn send(&self, from: usize, text: &str, plain: bool) {
        let (side, to) = (&self.sides[from], self.sides[1 - from].name());
        self.journal().begin(side.name(), text, plain);
        let request =
            SendRequest { to: to.to_owned(), text: text.to_owned(), ..SendRequest::default() };
        match side.agent::<Sent>(AgentRequest::Send(request)) {
            Ok(sent) => self.journal().sent(side.name(), text, (&sent.id, &sent.state)),
            Err(failed) => self.refused(side.name(), text, &failed),
        }
    }

    /// An agent sends one message after the other.
    fn talk(&self, from: usize, round: usize, over: &AtomicBool) {
        for number in 0..MESSAGES {
            if over.load(Ordering::Relaxed) || self.sides[from].is_dead() {
                return;
            }
            self.send(
                from,
                &format!("plain {round}.{number} of {}", self.sides[from].name()),
                true,
            );
            if self.mistake == Some(Mistake::SendTwice) && number == 5 {
                let text = format!("plain {round}.{number} of {}", self.sides[from].name());
                let to = self.sides[1 - from].name().to_owned();
                let request = SendRequest { to, text, ..SendRequest::default() };
                self.sides[from].agent::<Sent>(AgentRequest::Send(request)).ok();
            }
        }
    }

    /// One message that a human is asked about, and what the human says to those that wait.
    fn decide(&self, from: usize, round: usize) {
        let side = &self.sides[from];
        // Put together here, so that no scanner takes it for a real one.
        let secret = ["AKIA", "ABCD2345EFGH6723"].concat();
        self.send(from, &format!("held {round} of {}: {secret}", side.name()), false);
        let Ok(list) = side.human::<PendingList>(HumanRequest::Pending) else { return };
        for item in &list.items {
            let seen = match side.see(&item.id) {
                Ok(seen) => seen,
                Err(failed) => return self.refused(side.name(), "looking", &failed),
            };
            let text = text_of(&seen);
            let number: usize =
                text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
            match number % 8 {
                // Left alone, for as long as a list of them is not too long.
                0 if list.items.len() < 16 => {}
                0 | 7 => {
                    let no = HumanRequest::Deny { id: item.id.clone(), block: false };
                    side.human::<Value>(no).map_err(|e| self.refused(side.name(), "a no", &e)).ok();
                }
                _ => self.approve(side, &item.id, &seen),
            }
        }
    }

    fn approve(&self, side: &Side, id: &str, seen: &countersign::node::review::Checked) {
        let text = text_of(seen);
        if self.mistake != Some(Mistake::HideYes) {
            self.journal().yes(side.name(), &text);
        }
        match side.approve(id, seen) {
            Ok(()) => self.journal().released(side.name(), &text),
            Err(failed) => self.refused(side.name(), "a yes", &failed),
        }
    }

    /// An agent reads what is new. False where its node is gone.
    fn read(&self, at: usize) -> bool {
        let from = self.sides[1 - at].name();
        let mut place = self.places[at].lock().unwrap_or_else(PoisonError::into_inner);
        let request = InboxRequest {
            from: Some(from.to_owned()),
            limit: Some(PAGE),
            cursor: place.0.clone(),
            // That it was read is told to the sender, whose outbox then forgets it: an acknowledgement
            // that a planted fault is not to have.
            mark_read: !self.is_faulty,
            ..InboxRequest::default()
        };
        let Ok(page) = self.sides[at].agent::<Inbox>(AgentRequest::Inbox(request)) else {
            return false;
        };
        let mut journal = self.journal();
        if page.messages.len() < place.1 {
            let why = format!("{} of {} on a page of {from}'s", page.messages.len(), place.1);
            journal.wrong(Wrong::Lost, why);
        }
        for message in page.messages.iter().skip(place.1) {
            journal.shown(from, (&message.id, &message.text));
        }
        drop(journal);
        let count = page.messages.len();
        *place = page.next_cursor.map_or((place.0.clone(), count), |next| (Some(next), 0));
        true
    }

    /// Messages go both ways, are read and decided about, until `over`.
    pub(crate) fn run(&self, round: usize, over: &AtomicBool) {
        thread::scope(|scope| {
            for at in 0..2 {
                scope.spawn(move || self.talk(at, round, over));
                scope.spawn(move || self.decide(at, round));
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) && !self.sides[at].is_dead() {
                        self.read(at);
                        thread::sleep(LOOK);
                    }
                });
            }
        });
    }

    /// Starts whatever is dead, and waits until all that was promised has arrived. Gives how long
    /// each start took.
    pub(crate) fn settle(&self) -> Vec<Duration> {
        let mut starts = Vec::new();
        for side in self.sides.iter().filter(|side| side.is_dead()) {
            match side.start(None) {
                Started::Ready(time) => starts.push(time),
                Started::Died => panic!("{}'s node died though nobody killed it", side.name()),
            }
        }
        let (began, limit) = (Instant::now(), if self.is_faulty { SETTLE_FAULTY } else { SETTLE });
        loop {
            let read = (0..2).all(|at| self.read(at));
            let late = began.elapsed() >= limit;
            let mut waits = usize::from(!read);
            for side in &self.sides {
                let missing = self.journal().missing(side.name());
                waits += missing.len();
                for text in missing.into_iter().filter(|_| late) {
                    let why = format!("{}'s {text:?} did not arrive", side.name());
                    self.journal().wrong(Wrong::Lost, why);
                }
            }
            if waits == 0 || late {
                break;
            }
            thread::sleep(LOOK);
        }
        self.audit();
        starts
    }

    fn audit(&self) {
        for side in &self.sides {
            let verified = side.human::<AuditVerified>(HumanRequest::AuditVerify).unwrap();
            if !verified.ok {
                let why = format!("{}'s audit chain: {:?}", side.name(), verified.problem);
                self.journal().wrong(Wrong::Broken, why);
            }
        }
    }

    /// The whole inbox: ids and texts.
    fn inbox(&self, at: usize) -> Vec<(String, String)> {
        let (mut messages, mut cursor) = (Vec::new(), None);
        loop {
            let request =
                InboxRequest { limit: Some(100), cursor: cursor.take(), ..InboxRequest::default() };
            let page: Inbox = self.sides[at].agent(AgentRequest::Inbox(request)).unwrap();
            messages.extend(page.messages.into_iter().map(|message| (message.id, message.text)));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return messages;
            }
        }
    }

    /// Once all is quiet: the inboxes are what was shown, and each message ends as it should.
    pub(crate) fn check_whole(&self) {
        let outstanding = |side: &Side| {
            side.agent::<Outstanding>(AgentRequest::Outstanding).expect("what is outstanding")
        };
        let began = Instant::now();
        while self.sides.iter().any(|side| outstanding(side).queued > 0) {
            assert!(began.elapsed() < SETTLE, "messages stay queued:\n{}", self.journal().report());
            self.read(0);
            self.read(1);
            thread::sleep(LOOK);
        }
        for (at, side) in self.sides.iter().enumerate() {
            self.read(1 - at);
            let listed = self.inbox(1 - at);
            self.journal().whole(side.name(), &listed);
            let held = outstanding(side).messages;
            for id in held
                .iter()
                .map(|life| &life.id)
                .chain(listed.iter().rev().take(50).map(|(id, _)| id))
            {
                let life: Value = side.agent(AgentRequest::Message { id: id.clone() }).unwrap();
                let state = life["state"].as_str().unwrap_or_default();
                self.journal().ended(side.name(), id, state);
            }
        }
    }
}
