//! Deleting messages in small steps: each is one write among the others, so that nobody waits for a
//! clean-up. When the last one is done, the file gives free pages back and the log is emptied, so that
//! nothing of a deleted text is left in any file of the home.

use std::collections::VecDeque;

use rusqlite::Connection;

use super::{
    api::{ApiError, Erased, ErrorKind, Event},
    clock,
    state::{Node, Then},
};
use crate::{
    audit,
    base::{PeerId, Timestamp, limits},
    store::{
        self, StoreError,
        deletion::{self, Choice, Part, Place},
        space,
    },
};

/// What comes after: how it went, as far as it is.
type Finish = Box<dyn FnOnce(&mut Node, Result<Erased, StoreError>) + Send>;

/// A deletion, or a count of what one would delete.
pub(super) struct Erasing {
    choices: VecDeque<Choice>,
    place: Place,
    messages: u64,
    staying: u64,
    dry_run: bool,
    began: Timestamp,
    /// For the audit chain: with whom, where it is one peer; and whether it is by their age.
    about: (Option<PeerId>, bool),
    /// There is something to wipe, whatever is still deleted.
    wipe: bool,
    wipes: u32,
    finish: Option<Finish>,
}

impl Erasing {
    /// Deletes what these choices say, or counts it; `finish` gets the result.
    pub(super) fn new(
        choices: impl IntoIterator<Item = Choice>,
        about: (Option<PeerId>, bool),
        dry_run: bool,
        finish: impl FnOnce(&mut Node, Result<Erased, StoreError>) + Send + 'static,
    ) -> Self {
        Self {
            choices: choices.into_iter().collect(),
            place: Place::default(),
            messages: 0,
            staying: 0,
            dry_run,
            began: clock::now(),
            about,
            wipe: false,
            wipes: 0,
            finish: Some(Box::new(finish)),
        }
    }

    /// So many messages are deleted already; only what comes after a deletion is left.
    pub(super) fn after(
        messages: u64,
        about: (Option<PeerId>, bool),
        finish: impl FnOnce(&mut Node, Result<Erased, StoreError>) + Send + 'static,
    ) -> Self {
        Self { messages, wipe: true, ..Self::new([], about, false, finish) }
    }

    /// It does not come to it.
    pub(super) fn fail(self, node: &mut Node, error: StoreError) {
        self.end(node, Err(error));
    }

    fn result(&self, done: bool) -> Erased {
        let Self { messages, staying, dry_run, .. } = *self;
        Erased { messages, staying, dry_run, done }
    }

    /// Looks at the next parts, and deletes what may go. `false` when all is done.
    fn step(&mut self, db: &Connection, now: Timestamp) -> Result<bool, StoreError> {
        let limit = if self.dry_run { limits::COUNT_BATCH } else { limits::DELETE_BATCH };
        for _ in 0..limits::DELETE_PEERS {
            let Some(choice) = self.choices.front() else { return Ok(false) };
            let Part { going, staying, next } = deletion::part(db, choice, self.place, limit)?;
            if !self.dry_run {
                deletion::delete(db, &going, now)?;
            }
            let gone = u64::try_from(going.len()).unwrap_or(u64::MAX);
            self.messages = self.messages.saturating_add(gone);
            self.staying = self.staying.saturating_add(staying);
            self.place = next.unwrap_or_default();
            if next.is_none() {
                self.choices.pop_front();
            }
            if gone + staying > 0 {
                break;
            }
        }
        Ok(!self.choices.is_empty())
    }

    /// Whoever asked does not wait for ever.
    fn answer_if_late(&mut self, node: &mut Node) {
        if clock::now().since(self.began) > limits::DELETE_ANSWER
            && let Some(finish) = self.finish.take()
        {
            finish(node, Ok(self.result(false)));
        }
    }

    fn end(mut self, node: &mut Node, result: Result<Erased, StoreError>) {
        if !self.dry_run {
            node.chores.erasing = false;
        }
        if let Some(finish) = self.finish.take() {
            finish(node, result);
        }
    }
}

/// Tells the audit chain of what was deleted since it was told last.
pub(super) fn tell_erased(
    db: &Connection,
    (peer, aged): (Option<PeerId>, bool),
    now: Timestamp,
) -> Result<u64, StoreError> {
    let messages = deletion::take_untold(db)?;
    if messages > 0 {
        let peer = peer.map(|peer| peer.to_string());
        let event = audit::Event::Deleted { messages, peer, aged };
        store::audit::append(db, now, &event)?;
    }
    Ok(messages)
}

impl Node {
    /// Nothing is being deleted.
    pub(super) fn may_erase(&self) -> Result<(), ApiError> {
        if !self.chores.erasing && !self.chores.copying {
            return Ok(());
        }
        let what = if self.chores.copying {
            "a backup is being made"
        } else {
            "messages are being deleted"
        };
        Err(ApiError::new(ErrorKind::Busy, what, "try again when that is over"))
    }

    /// Begins. Where it deletes, nothing else may delete: [`Node::may_erase`].
    pub(super) fn erase(&mut self, erasing: Erasing) {
        if erasing.dry_run {
            return self.count_on(erasing);
        }
        self.chores.erasing = true;
        self.erase_on(erasing);
    }

    fn count_on(&mut self, mut erasing: Erasing) {
        let finish = erasing.finish.take();
        let op = move |db: &Connection| {
            let more = erasing.step(db, clock::now())?;
            Ok((erasing, more))
        };
        self.read(op, |node, done| match done {
            Ok((erasing, true)) => node.count_on(Erasing { finish, ..erasing }),
            Ok((erasing, false)) => {
                let result = erasing.result(true);
                Erasing { finish, ..erasing }.end(node, Ok(result));
            }
            Err(error) => {
                if let Some(finish) = finish {
                    finish(node, Err(error));
                }
            }
        });
    }

    fn erase_on(&mut self, mut erasing: Erasing) {
        let last = self.stopping;
        let about = erasing.about;
        let now = clock::now();
        let finish = erasing.finish.take();
        let op = move |db: &Connection| {
            let more = !last && erasing.step(db, now)?;
            if !more {
                tell_erased(db, about, now)?;
            }
            Ok((erasing, more))
        };
        self.write(op, |node, done| match done {
            Ok((erasing, more)) => node.erased(Erasing { finish, ..erasing }, more),
            Err(error) => {
                // The rest stays as it is; what was deleted is told with the next deletion.
                tracing::warn!(%error, "messages could not be deleted");
                node.chores.erasing = false;
                if let Some(finish) = finish {
                    finish(node, Err(error));
                }
            }
        });
    }

    fn erased(&mut self, mut erasing: Erasing, more: bool) {
        if more {
            erasing.answer_if_late(self);
            self.erase_on(erasing);
        } else if erasing.wipe || erasing.messages > 0 {
            self.handle.tell(Event::PeersChanged);
            self.shrink_on(erasing);
        } else {
            let result = erasing.result(true);
            erasing.end(self, Ok(result));
        }
    }

    fn shrink_on(&mut self, mut erasing: Erasing) {
        if self.stopping {
            return self.wipe(erasing);
        }
        self.write(
            |db| space::shrink(db, limits::SHRINK_PAGES),
            move |node, more| {
                erasing.answer_if_late(node);
                match more {
                    Ok(true) => node.shrink_on(erasing),
                    Ok(false) => node.wipe(erasing),
                    Err(error) => {
                        tracing::warn!(%error, "the database keeps its free pages");
                        node.wipe(erasing);
                    }
                }
            },
        );
    }

    /// Empties the log; where somebody reads, again a moment later, and else at the next sweep. A node
    /// that ends does it in any case.
    fn wipe(&mut self, mut erasing: Erasing) {
        let wiped = self.store.wipe_log();
        erasing.wipes += 1;
        self.reads.push(Box::pin(async move {
            let wiped = wiped.await.unwrap_or(false);
            Box::new(move |node: &mut Self| {
                let again = !wiped && !node.stopping && erasing.wipes < limits::WIPE_TRIES;
                if again {
                    return node.wipe(erasing);
                }
                node.log_holds_deleted = !wiped;
                let result = erasing.result(true);
                erasing.end(node, Ok(result));
            }) as Then
        }));
    }

    /// What could not be wiped when it was deleted.
    pub(super) fn wipe_late(&mut self) {
        if !self.log_holds_deleted || self.chores.erasing || self.chores.copying {
            return;
        }
        let wiped = self.store.wipe_log();
        self.reads.push(Box::pin(async move {
            let wiped = wiped.await.unwrap_or(false);
            Box::new(move |node: &mut Self| node.log_holds_deleted &= !wiped) as Then
        }));
    }
}
