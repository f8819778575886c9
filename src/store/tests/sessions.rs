//! Whose a message is, and what is new to which session.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, test_runner::TestRunner};
use rusqlite::TransactionBehavior;

use super::{
    talks::{fill, plan},
    *,
};
use crate::{
    base::{SessionName, ThreadId, limits},
    store::{
        messages::{Filter, HistoryRow},
        page::page,
        sessions::{self, Introduced, Open},
        unread,
    },
};

fn name(text: &str) -> SessionName {
    SessionName::parse(text).unwrap()
}

fn called(text: &str) -> Introduced {
    Introduced { name: name(text), client: None, project: None }
}

fn meet(db: &Connection, text: &str) {
    sessions::remember(db, &called(text), &[], NOW).unwrap();
}

/// What the node does when it shows a message, or answers one, in a session or in none.
fn show(db: &Connection, number: i64, session: Option<&SessionName>) {
    let filter = Filter { after: number - 1, limit: 1, ..Filter::default() };
    let row = messages::page(db, &filter).unwrap().pop().unwrap();
    assert_eq!(row.number, number);
    let unseen = session.map(|name| sessions::unseen(db, name, std::slice::from_ref(&row)));
    if row.state == MessageState::Accepted {
        messages::set_seen(db, number).unwrap();
        move_to(db, number, MessageState::Read);
    }
    if let Some(session) = session {
        sessions::set_seen(db, session, &unseen.unwrap().unwrap()).unwrap();
    }
}

fn move_to(db: &Connection, number: i64, state: MessageState) {
    let step = HistoryRow { state, at: NOW, reason: None };
    messages::set_state(db, number, &step, None).unwrap();
}

fn open(names: &[&str]) -> Open {
    names.iter().map(|text| name(text)).collect()
}

fn new_to(db: &Connection, session: &SessionName, open: &Open) -> Vec<i64> {
    let (session, open) = (Some(session.clone()), open.clone());
    let filter = Filter { unread: true, session, open, limit: 9999, ..Filter::default() };
    messages::page(db, &filter).unwrap().iter().map(|row| row.number).collect()
}

const NAMES: [&str; 3] = ["api", "web", "docs"];

#[derive(Clone, Debug)]
enum Op {
    /// For one of the names or for all; held for the human first.
    Arrives(Option<usize>, bool),
    /// Ours.
    Sent,
    /// The human decides about the first that is held.
    Decided(bool),
    Met(usize),
    /// It opens, or closes where it is open.
    Turned(usize),
    /// By one of the names, or by none; the message is chosen among those that there are.
    Shown(Option<usize>, prop::sample::Index),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let who = || prop::option::of(0..NAMES.len());
    let op = prop_oneof![
        4 => (who(), prop::bool::weighted(0.2)).prop_map(|(whose, held)| Op::Arrives(whose, held)),
        1 => Just(Op::Sent),
        1 => any::<bool>().prop_map(Op::Decided),
        1 => (0..NAMES.len()).prop_map(Op::Met),
        2 => (0..NAMES.len()).prop_map(Op::Turned),
        6 => (who(), any::<prop::sample::Index>()).prop_map(|(who, which)| Op::Shown(who, which)),
    ];
    prop::collection::vec(op, 1..60)
}

/// A message, as simply as it can be remembered.
struct Told {
    number: i64,
    whose: Option<usize>,
    state: MessageState,
    seen: bool,
    by: BTreeSet<usize>,
}

/// The rule, said once more without any index.
#[derive(Default)]
struct Oracle {
    messages: Vec<Told>,
    newest: i64,
    after: BTreeMap<usize, i64>,
    open: BTreeSet<usize>,
}

impl Oracle {
    fn is_new(&self, told: &Told, session: usize) -> bool {
        let after = self.after.get(&session).copied().unwrap_or(self.newest);
        matches!(told.state, MessageState::Accepted | MessageState::Read)
            && told.whose.is_none_or(|whose| {
                whose == session || !(self.open.contains(&whose) || told.by.contains(&whose))
            })
            && !told.by.contains(&session)
            && (!told.seen || told.number > after)
    }

    fn check(&self, db: &Connection) {
        let open: Open = self.open.iter().map(|session| name(NAMES[*session])).collect();
        let to_no_session = Filter { unread: true, open: open.clone(), ..Filter::default() };
        let found = messages::page(db, &Filter { limit: 9999, ..to_no_session }).unwrap();
        let of_none = |told: &&Told| {
            !told.seen
                && told.state == MessageState::Accepted
                && told.whose.is_none_or(|whose| !self.open.contains(&whose))
        };
        assert_eq!(found.len(), self.messages.iter().filter(of_none).count());
        for (session, text) in NAMES.iter().enumerate() {
            let new = self.messages.iter().filter(|told| self.is_new(told, session));
            let new: Vec<i64> = new.map(|told| told.number).collect();
            let session_name = name(text);
            assert_eq!(new_to(db, &session_name, &open), new, "{text}");
            let count = u64::try_from(new.len()).unwrap();
            assert_eq!(sessions::unread(db, &session_name, &open).unwrap(), count);
            let unread = sessions::unread_by_peer(db, &session_name, &open, u32::MAX).unwrap();
            let by_peer = unread.most;
            assert_eq!((unread.all, by_peer.iter().map(|(_, many)| many).sum()), (count, count));
            assert!(by_peer.is_sorted_by(|a, b| a.1 >= b.1), "most first: {by_peer:?}");
            let most = sessions::unread_by_peer(db, &session_name, &open, 1).unwrap();
            assert_eq!(
                (most.all, most.most.as_slice()),
                (count, by_peer.get(..1).unwrap_or_default())
            );
            let mut elsewhere: BTreeMap<String, u64> = BTreeMap::new();
            for other in self.open.iter().copied().filter(|other| *other != session) {
                let its = |told: &&Told| told.whose == Some(other) && self.is_new(told, other);
                let many = self.messages.iter().filter(its).count();
                if many > 0 {
                    elsewhere.insert(NAMES[other].to_owned(), u64::try_from(many).unwrap());
                }
            }
            let found = sessions::elsewhere(db, &session_name, &open).unwrap();
            assert_eq!(found, elsewhere.into_iter().collect::<Vec<_>>(), "beside {text}");
        }
    }

    fn run(&mut self, db: &Connection, op: &Op, n: u8) {
        match op {
            Op::Arrives(whose, held) => {
                // Only a session that is known is one that a message can be for.
                if let Some(session) = whose {
                    self.meet(db, *session);
                }
                let state = if *held { MessageState::HeldByPeer } else { MessageState::Accepted };
                let number = messages::add(db, &envelope(n), false, state, NOW).unwrap();
                let session = whose.map(|whose| name(NAMES[whose]));
                messages::set_session(db, number, session.as_ref()).unwrap();
                let (whose, by) = (*whose, BTreeSet::new());
                self.messages.push(Told { number, whose, state, seen: false, by });
                self.newest = number;
            }
            Op::Sent => {
                let sent = messages::add(db, &envelope(n), true, MessageState::Queued, NOW);
                self.newest = sent.unwrap();
            }
            Op::Decided(yes) => {
                let held = |told: &&mut Told| told.state == MessageState::HeldByPeer;
                let Some(told) = self.messages.iter_mut().find(held) else { return };
                told.state = if *yes { MessageState::Accepted } else { MessageState::Refused };
                move_to(db, told.number, told.state);
                if !yes {
                    messages::set_seen(db, told.number).unwrap();
                    told.seen = true;
                }
            }
            Op::Met(session) => self.meet(db, *session),
            Op::Turned(session) => {
                if !self.open.remove(session) {
                    self.open.insert(*session);
                }
            }
            Op::Shown(session, which) => self.show(db, *session, *which),
        }
    }

    fn meet(&mut self, db: &Connection, session: usize) {
        self.after.entry(session).or_insert(self.newest);
        meet(db, NAMES[session]);
    }

    fn show(&mut self, db: &Connection, session: Option<usize>, which: prop::sample::Index) {
        if let Some(session) = session {
            self.meet(db, session);
        }
        let inbox =
            |told: &&mut Told| matches!(told.state, MessageState::Accepted | MessageState::Read);
        let mut inbox: Vec<&mut Told> = self.messages.iter_mut().filter(inbox).collect();
        if inbox.is_empty() {
            return;
        }
        let at = which.index(inbox.len());
        let told = &mut *inbox[at];
        (told.seen, told.state) = (true, MessageState::Read);
        told.by.extend(session);
        show(db, told.number, session.map(|session| name(NAMES[session])).as_ref());
    }
}

#[test]
fn what_is_new_to_a_session_is_what_the_plain_rule_says() {
    let folder = Folder::new();
    drop(folder.open().unwrap());
    let db = std::cell::RefCell::new(folder.raw());
    let config = ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() };
    let mut runner = TestRunner::new(config);
    let done = runner.run(&ops(), |ops| {
        // Undone at the end of each case.
        let mut db = db.borrow_mut();
        let case = db.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let mut oracle = Oracle::default();
        for (op, n) in ops.iter().zip(1..) {
            oracle.run(&case, op, n);
            oracle.check(&case);
        }
        Ok(())
    });
    done.unwrap();
}

#[test]
fn nothing_that_a_session_asks_walks_the_inbox() {
    let folder = Folder::new();
    let db = folder.made();
    let check = |sql: &str, index: &[&str]| {
        let plan = plan(&db, sql);
        for index in index {
            assert!(plan.iter().any(|line| line.contains(index)), "{index}: {plan:#?}");
        }
        let walks = |line: &&String| {
            ["SCAN messages", "SCAN session_reads", "SCAN r"].iter().any(|walk| line.contains(walk))
        };
        assert_eq!(plan.iter().find(walks), None, "{plan:#?}");
        plan
    };
    let seen = "SEARCH messages USING COVERING INDEX messages_seen (session=? AND number>?)";
    let to_read = "messages_to_read (outgoing=?";
    let reads = "PRIMARY KEY (session=? AND message=?)";
    check(&sessions::seen_by_others(), &[seen, reads]);
    check(unread::FIRST, &["unread_counts USING COVERING INDEX unread_most (session=?)"]);
    check(sessions::ELSEWHERE, &[seen, "SEARCH unread_totals USING PRIMARY KEY", reads]);
    check(sessions::FIRST_UNREAD, &["messages_to_read (outgoing=? AND rowid>?)"]);
    let reads_of_two = "session_reads_by_message (message=? AND session=?)";
    for (sql, reads) in [
        (sessions::FIRST_OF_ALL, reads),
        (sessions::FIRST_OF_ITS, reads),
        (sessions::FIRST_OF_OTHERS, reads_of_two),
    ] {
        let plan = check(sql, &[seen, reads]);
        assert!(plan.iter().all(|line| !line.contains("TEMP B-TREE")), "{plan:#?}");
    }
    check(sessions::SENDER, &["messages_by_id (id=? AND peer=? AND outgoing=?)"]);
    let last = check(sessions::LAST_SPEAKER, &["messages_by_session (peer=? AND thread=?)"]);
    assert_eq!(last.len(), 1, "its order is the index's: {last:#?}");
    let unread = Filter { unread: true, session: Some(name("api")), ..Filter::default() };
    let by_number = "SEARCH messages USING INTEGER PRIMARY KEY (rowid=?)";
    let page = check(&page(&unread, 0).sql, &[seen, to_read, reads, by_number]);
    // Places alone, of what others have left behind: few.
    let sorts = page.iter().filter(|line| line.contains("TEMP B-TREE")).count();
    assert!(sorts <= 1, "{page:#?}");
}

#[test]
fn a_session_that_looked_away_is_a_thousand_messages_behind_at_most() {
    let folder = Folder::new();
    let db = folder.made();
    meet(&db, "api");
    // Every second one came in, and somebody has seen it.
    fill(&db, 5000, 3, 9);
    db.execute("UPDATE messages SET unread = 1 WHERE number = 7", []).unwrap();
    let api = name("api");
    let new = new_to(&db, &api, &Open::default());
    let behind = usize::try_from(limits::SESSION_BEHIND_MAX).unwrap();
    assert_eq!(new.len(), behind / 2 + 1);
    assert_eq!((new[0], new[1]), (7, 4001), "what nobody has seen is new however old");
    // Whoever reads all of it keeps one place, and no list.
    for number in &new {
        show(&db, *number, Some(&api));
    }
    assert!(new_to(&db, &api, &Open::default()).is_empty());
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM session_reads"), 0);
    assert_eq!(count("SELECT after FROM sessions"), 5000);
}

#[test]
fn what_is_for_a_session_that_is_not_open_is_new_to_every_one_until_it_has_read_it() {
    let folder = Folder::new();
    let db = folder.made();
    let (x, x2, web) = (name("x"), name("x-2"), name("web"));
    for text in ["x", "x-2", "web"] {
        meet(&db, text);
    }
    let number = messages::add(&db, &envelope(1), false, MessageState::Accepted, NOW).unwrap();
    messages::set_session(&db, number, Some(&x)).unwrap();
    let all = open(&["x", "x-2", "web"]);
    assert!(new_to(&db, &x2, &all).is_empty());
    assert_eq!(sessions::elsewhere(&db, &x2, &all).unwrap(), [("x".to_owned(), 1)]);
    let without = open(&["x-2", "web"]);
    assert_eq!(new_to(&db, &x2, &without), [number]);
    assert!(sessions::elsewhere(&db, &x2, &without).unwrap().is_empty());
    show(&db, number, Some(&x2));
    assert!(new_to(&db, &x2, &without).is_empty());
    assert_eq!(new_to(&db, &web, &without), [number], "as what is for every one");
    assert_eq!(new_to(&db, &x, &all), [number], "it is told it, too, once it is back");
    assert!(new_to(&db, &web, &all).is_empty());
    show(&db, number, Some(&x));
    assert!(new_to(&db, &web, &without).is_empty(), "whom it was for has read it");
}

#[test]
fn the_session_that_was_seen_longest_ago_is_forgotten_and_what_was_for_it_is_for_all() {
    let folder = Folder::new();
    let db = folder.made();
    let at = |n: u64| Timestamp::from_ms(NOW.ms() + n);
    let open = [called("s0")];
    for n in 0..u64::from(limits::SESSIONS_KNOWN_MAX) {
        sessions::remember(&db, &called(&format!("s{n}")), &open, at(n)).unwrap();
    }
    let add = |n, whose: &str| {
        let number = messages::add(&db, &envelope(n), false, MessageState::Accepted, NOW).unwrap();
        messages::set_session(&db, number, Some(&name(whose))).unwrap();
        number
    };
    let (unseen, seen) = (add(1, "s1"), add(2, "s1"));
    show(&db, seen, Some(&name("s2")));
    show(&db, seen, Some(&name("s1")));
    assert!(new_to(&db, &name("s3"), &self::open(&["s1"])).is_empty());
    assert_eq!(new_to(&db, &name("s3"), &self::open(&["s0"])), [unseen], "it is not there");
    sessions::remember(&db, &called("new"), &open, at(999)).unwrap();
    let known = |text: &str| sessions::is_known(&db, &name(text)).unwrap();
    assert_eq!((known("s0"), known("s1"), known("s2"), known("new")), (true, false, true, true));
    let all = sessions::all_sessions(&db).unwrap();
    assert_eq!(all.len(), usize::try_from(limits::SESSIONS_KNOWN_MAX).unwrap());
    assert_eq!(new_to(&db, &name("s3"), &self::open(&["s1"])), [unseen]);
    let reads = "SELECT count(*) FROM session_reads WHERE session = 's1'";
    assert_eq!(db.query_row(reads, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn a_message_is_its_named_sessions_or_its_askers_or_the_last_speakers() {
    let folder = Folder::new();
    let db = folder.made();
    let (thread, other) = (ThreadId::from_bytes([7; 16]), ThreadId::from_bytes([8; 16]));
    let seal = |n, edit: &dyn Fn(&mut Header)| {
        let mut header = envelope(n).header().clone();
        (header.sender, header.recipient) = (owner().id(), owner().id());
        header.thread = Some(thread);
        edit(&mut header);
        Draft { header, body: envelope(n).body().clone() }.seal(&owner()).unwrap()
    };
    let sent = |n, session: Option<&str>| {
        let number = messages::add(&db, &seal(n, &|_| ()), true, MessageState::Queued, NOW);
        messages::set_session(&db, number.unwrap(), session.map(name).as_ref()).unwrap();
    };
    let id = |n| MessageId::from_bytes([n; 16]);
    meet(&db, "api");
    meet(&db, "web");
    sent(1, Some("api"));
    sent(2, Some("web"));
    sent(3, None);
    sent(4, Some("gone"));
    let whose = |edit: &dyn Fn(&mut Header)| {
        let found = sessions::whose(&db, &seal(9, edit)).unwrap();
        found.map(|name| name.to_string()).unwrap_or_default()
    };
    let named = |header: &mut Header| header.session = Some(name("api"));
    assert_eq!(whose(&named), "api");
    assert_eq!(whose(&|header| (named(header), header.reply_to = Some(id(2))).1), "api");
    assert_eq!(whose(&|header| header.reply_to = Some(id(1))), "api");
    assert_eq!(whose(&|header| header.session = Some(name("gone"))), "", "it is not known");
    meet(&db, "gone");
    assert_eq!(whose(&|_| ()), "gone", "the last that spoke in the thread");
    assert_eq!(whose(&|header| header.reply_to = Some(id(3))), "gone", "a person asked");
    assert_eq!(whose(&|header| header.thread = Some(other)), "");
    let stranger = IdentityKey::from_seed(&Secret::new([5; 32]));
    let theirs = Header { sender: stranger.id(), ..seal(9, &|_| ()).header().clone() };
    let theirs = Header { reply_to: Some(id(1)), ..theirs };
    let theirs = Draft { header: theirs, body: envelope(9).body().clone() }.seal(&stranger);
    assert_eq!(sessions::whose(&db, &theirs.unwrap()).unwrap(), None, "of another's thread");
}
