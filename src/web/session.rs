//! Sessions: who opened a link may read; whoever typed the passphrase there may decide for a while.
//!
//! A session is known by the digest of a random value that only a browser's cookie holds. Whoever has
//! the cookie alone reads; a form needs the session's token and the key of its origin besides. All of
//! it is in memory: the end of the node ends every session. Times are arguments.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use data_encoding::HEXLOWER;
use subtle::ConstantTimeEq as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::view::{Lock, Notice};
use crate::{
    base::{
        Digest, Secret, Timestamp,
        limits::{
            PAGE_SESSION_LIFE, PAGE_SESSIONS_MAX, PAGE_STREAMS_MAX, PAGE_UNLOCK_IDLE,
            PAGE_UNLOCK_LIFE,
        },
    },
    identity::ApproverKey,
    node::api::InviteMade,
};

/// Every open session.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<SessionId, Session>>);

/// Which session: the digest of its cookie's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SessionId(Digest);

/// What a request finds of its session.
#[derive(Clone, Debug)]
pub(super) struct Entered {
    pub(super) id: SessionId,
    pub(super) csrf: String,
    pub(super) lock: Lock,
    origin_key: Option<Digest>,
    /// How often the session was locked by then.
    pub(super) locks: u64,
}

/// What the last action leaves for the next page, once.
#[derive(Default)]
pub(super) struct Left {
    pub(super) notice: Option<Notice>,
    /// An invite that was just made.
    pub(super) made: Option<InviteMade>,
    /// What was typed on which page, and could not be used.
    pub(super) typed: Option<(String, String)>,
}

/// A place for one stream of events, and the end of its session.
pub(super) struct Stream {
    pub(super) ended: CancellationToken,
    pub(super) _place: OwnedSemaphorePermit,
}

struct Session {
    began: Timestamp,
    /// The last request, of a person or of the script.
    heard: Timestamp,
    csrf: String,
    /// What forms of this session carry besides: a key that the page's script made when the link
    /// was opened. A browser sends a cookie to every port of this machine, and keeps what a script
    /// stores apart by port, so that whoever is sent the cookie has not this. `None` without a
    /// script: such a session keeps no approver key.
    origin_key: Option<Digest>,
    unlocked: Option<Unlocked>,
    /// How often a person locked it.
    locks: u64,
    left: Left,
    streams: Arc<Semaphore>,
    ended: CancellationToken,
}

/// The approver key, open. It is wiped when this is dropped. The box keeps it from being copied
/// about when the map grows.
struct Unlocked {
    key: Box<ApproverKey>,
    since: Timestamp,
    /// The last form with the session's token. No page that is only read counts, and so nothing that
    /// a script, a link or another site can make a browser fetch.
    used: Timestamp,
}

impl Unlocked {
    fn holds(&self, now: Timestamp) -> bool {
        now < self.since.plus(PAGE_UNLOCK_LIFE) && now < self.used.plus(PAGE_UNLOCK_IDLE)
    }
}

impl Session {
    fn holds(&self, now: Timestamp) -> bool {
        now < self.began.plus(PAGE_SESSION_LIFE)
    }

    fn wipe_if_over(&mut self, now: Timestamp) {
        self.unlocked.take_if(|unlocked| !unlocked.holds(now));
    }

    /// Between two requests: whoever has no origin's key keeps no approver key either.
    fn wipe_if_due(&mut self, now: Timestamp) {
        self.unlocked.take_if(|_| self.origin_key.is_none());
        self.wipe_if_over(now);
    }

    fn is_as(&self, entered: &Entered, now: Timestamp) -> bool {
        self.holds(now) && self.locks == entered.locks
    }

    /// Ends what streams now. Others may begin.
    fn hang_up(&mut self) {
        std::mem::take(&mut self.ended).cancel();
        self.streams = Arc::new(Semaphore::new(PAGE_STREAMS_MAX));
    }

    fn lock(&self) -> Lock {
        self.unlocked.as_ref().map_or(Lock::Locked, |unlocked| Lock::Unlocked {
            idle_until: unlocked.used.plus(PAGE_UNLOCK_IDLE),
            until: unlocked.since.plus(PAGE_UNLOCK_LIFE),
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

impl Sessions {
    fn all(&self) -> MutexGuard<'_, HashMap<SessionId, Session>> {
        // Whoever panicked left no session half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session from 64 random bytes: its cookie, and what its forms carry. They carry the
    /// origin's key, too, where the browser has one.
    pub(super) fn begin(
        &self,
        random: &Secret<[u8; 64]>,
        origin_key: &str,
        now: Timestamp,
    ) -> Secret<String> {
        let (cookie, csrf) = cookie_and_csrf(random);
        let mut all = self.all();
        all.retain(|_, session| session.holds(now));
        while all.len() >= PAGE_SESSIONS_MAX {
            let silent = all.iter().min_by_key(|(_, session)| session.heard).map(|(id, _)| *id);
            silent.and_then(|id| all.remove(&id));
        }
        let session = Session {
            began: now,
            heard: now,
            csrf,
            origin_key: (!origin_key.is_empty()).then(|| digest_of(origin_key)),
            unlocked: None,
            locks: 0,
            left: Left::default(),
            streams: Arc::new(Semaphore::new(PAGE_STREAMS_MAX)),
            ended: CancellationToken::new(),
        };
        all.insert(SessionId::of(cookie.expose_secret()), session);
        cookie
    }

    /// The session of a cookie. To come in does not put the idle lock off.
    pub(super) fn enter(&self, cookie: &str, now: Timestamp) -> Option<Entered> {
        let id = SessionId::of(cookie);
        let mut all = self.all();
        let session = all.get_mut(&id)?;
        if !session.holds(now) {
            all.remove(&id);
            return None;
        }
        session.wipe_if_due(now);
        session.heard = now;
        let (csrf, lock, locks) = (session.csrf.clone(), session.lock(), session.locks);
        Some(Entered { id, csrf, lock, locks, origin_key: session.origin_key })
    }

    /// A form with the session's token came: this puts the idle lock off.
    pub(super) fn used(&self, id: SessionId, now: Timestamp) {
        let mut all = self.all();
        let Some(session) = all.get_mut(&id) else { return };
        session.wipe_if_due(now);
        if let Some(unlocked) = session.unlocked.as_mut() {
            unlocked.used = now;
        }
    }

    /// Holds the key for the session of `entered` from now on. `false` when it ended or was locked
    /// since: checking a passphrase takes a while, and a lock that comes meanwhile wins.
    pub(super) fn unlock(&self, entered: &Entered, key: Box<ApproverKey>, now: Timestamp) -> bool {
        let mut all = self.all();
        let session = all.get_mut(&entered.id).filter(|session| session.is_as(entered, now));
        session
            .map(|session| session.unlocked = Some(Unlocked { key, since: now, used: now }))
            .is_some()
    }

    /// Whether the session of `entered` neither ended nor was locked since.
    pub(super) fn is_as(&self, entered: &Entered, now: Timestamp) -> bool {
        self.all().get(&entered.id).is_some_and(|session| session.is_as(entered, now))
    }

    /// What `sign` makes with the key. `None` when the session holds none any more.
    pub(super) fn with_key<T>(
        &self,
        id: SessionId,
        now: Timestamp,
        sign: impl FnOnce(&ApproverKey) -> T,
    ) -> Option<T> {
        let mut all = self.all();
        let session = all.get_mut(&id)?;
        session.wipe_if_over(now);
        session.unlocked.as_ref().map(|unlocked| sign(&unlocked.key))
    }

    /// Wipes the key, and ends the streams: a page that comes back reads that it is locked.
    pub(super) fn lock(&self, id: SessionId) {
        if let Some(session) = self.all().get_mut(&id) {
            session.unlocked = None;
            session.locks += 1;
            session.hang_up();
        }
    }

    /// Ends a session, and with it its streams.
    pub(super) fn end(&self, id: SessionId) {
        self.all().remove(&id);
    }

    /// Ends all of them.
    pub(super) fn end_all(&self) {
        self.all().clear();
    }

    /// Ends what is over, and wipes what is due.
    pub(super) fn sweep(&self, now: Timestamp) {
        let mut all = self.all();
        all.retain(|_, session| session.holds(now));
        all.values_mut().for_each(|session| session.wipe_if_due(now));
    }

    /// Leaves something for the next page.
    pub(super) fn leave(&self, id: SessionId, left: Left) {
        if let Some(session) = self.all().get_mut(&id) {
            session.left = left;
        }
    }

    /// What was left, once.
    pub(super) fn take_left(&self, id: SessionId) -> Left {
        self.all().get_mut(&id).map(|session| std::mem::take(&mut session.left)).unwrap_or_default()
    }

    /// What is cancelled when the session ends or is locked.
    pub(super) fn ended(&self, id: SessionId) -> Option<CancellationToken> {
        self.all().get(&id).map(|session| session.ended.clone())
    }

    /// A place for a stream of events. `None` when there are enough, or the session is over.
    pub(super) fn stream(&self, id: SessionId) -> Option<Stream> {
        let all = self.all();
        let session = all.get(&id)?;
        let place = Arc::clone(&session.streams).try_acquire_owned().ok()?;
        Some(Stream { ended: session.ended.clone(), _place: place })
    }
}

fn digest_of(origin_key: &str) -> Digest {
    Digest::of("countersign/page-origin-key/v1", &[origin_key.as_bytes()])
}

fn cookie_and_csrf(random: &Secret<[u8; 64]>) -> (Secret<String>, String) {
    let (cookie, csrf) = random.expose_secret().split_at(32);
    (Secret::new(HEXLOWER.encode(cookie)), HEXLOWER.encode(csrf))
}

impl SessionId {
    fn of(cookie: &str) -> Self {
        Self(Digest::of("countersign/page-session/v1", &[cookie.as_bytes()]))
    }
}

impl Entered {
    /// Whether a form is one of this session's, from the browser that opened it.
    pub(super) fn owns(&self, csrf: &str, origin_key: &str) -> bool {
        let own = self.csrf.as_bytes().ct_eq(csrf.as_bytes());
        let digest = digest_of(origin_key);
        let bound = |key: &Digest| bool::from(key.as_bytes().ct_eq(digest.as_bytes()));
        bool::from(own) && self.origin_key.as_ref().is_none_or(bound)
    }

    /// Whether what this session unlocks stays unlocked.
    pub(super) const fn is_bound(&self) -> bool {
        self.origin_key.is_some()
    }
}

#[cfg(test)]
mod tests;
