//! The sessions that were ever here: each is written down when it first asks something, and our
//! human can see them all.

use std::collections::HashMap;

use rusqlite::Connection;

use super::{
    api::{Reply, Session, Sessions},
    clock,
    sessions::SessionInfo,
    state::{Answer, Node, reply, store_failed},
};
use crate::{
    base::{SessionName, Timestamp, limits},
    store::{
        StoreError,
        sessions::{self, Introduced, SessionRow},
    },
    wire::Envelope,
};

/// What was written down of each session since the node began, so that no request writes it again.
#[derive(Debug, Default)]
pub(super) struct Roster(HashMap<SessionName, Introduced>);

impl Roster {
    /// Notes what is said of a session. `false` when that is no news.
    fn note(&mut self, said: &Introduced) -> bool {
        if self.0.get(&said.name) == Some(said) {
            return false;
        }
        let most = usize::try_from(limits::SESSIONS_KNOWN_MAX).unwrap_or(usize::MAX);
        if self.0.len() >= most {
            // What is still there is written down once more.
            self.0.clear();
        }
        self.0.insert(said.name.clone(), said.clone());
        true
    }
}

impl Node {
    /// A session asks something. It is written down where it is new, or its client or project is.
    pub(super) fn meet(&mut self, name: &SessionName) {
        // Of one that ended meanwhile, nothing new is known.
        let Some(said) = self.handle.introduced_as(name) else { return };
        if !self.roster.note(&said) {
            return;
        }
        let (open, now, name) = (self.handle.introduced(), clock::now(), said.name.clone());
        let op = move |db: &Connection| sessions::remember(db, &said, &open, now);
        self.write(op, move |node, done| {
            if let Err(error) = done {
                tracing::warn!(%error, "a session could not be written down");
                node.roster.0.remove(&name);
            }
        });
    }

    /// Every session that is open or known.
    pub(super) fn list_sessions(&mut self, answer: Answer) {
        let open = self.handle.sessions();
        let op = move |db: &Connection| listed(db, &open);
        self.read(op, move |_, found| {
            let result = found.map_err(|e| store_failed(&e));
            reply(answer, result.map(|sessions| Reply::Sessions(Sessions { sessions })));
        });
    }
}

fn listed(db: &Connection, open: &[SessionInfo]) -> Result<Vec<Session>, StoreError> {
    let mut all = Vec::new();
    let names = open.iter().map(|info| info.name.clone()).collect();
    for info in open {
        all.push(of_open(info, sessions::unread(db, &info.name, &names)?));
    }
    for row in sessions::all_sessions(db)? {
        if open.iter().all(|info| info.name != row.name) {
            all.push(of_known(&row, sessions::unread(db, &row.name, &names)?));
        }
    }
    all.sort_by(|a, b| (!a.open, &a.name).cmp(&(!b.open, &b.name)));
    Ok(all)
}

fn of_open(info: &SessionInfo, unread: u64) -> Session {
    let project = info.wish.project.as_ref();
    Session {
        name: info.name.to_string(),
        open: true,
        client: info.client.clone(),
        project: project.map(|folder| folder.to_string_lossy().into_owned()),
        transport: Some(info.wish.transport),
        protocol: info.protocol.clone(),
        since: info.since.rfc3339(),
        routes: info.routes.clone(),
        unread,
    }
}

fn of_known(row: &SessionRow, unread: u64) -> Session {
    Session {
        name: row.name.to_string(),
        open: false,
        client: row.client.clone(),
        project: row.project.clone(),
        transport: None,
        protocol: None,
        since: row.seen.rfc3339(),
        routes: Vec::new(),
        unread,
    }
}

/// The session that a message of a peer's is for. One that is named, and open, and was never heard
/// of, is known from here on: this message is its first.
pub(super) fn whose(
    db: &Connection,
    envelope: &Envelope,
    open: &[Introduced],
    now: Timestamp,
) -> Result<Option<SessionName>, StoreError> {
    let named = envelope.header().session.as_ref();
    if let Some(session) = open.iter().find(|open| Some(&open.name) == named)
        && !sessions::is_known(db, &session.name)?
    {
        sessions::remember(db, session, open, now)?;
    }
    sessions::whose(db, envelope)
}
