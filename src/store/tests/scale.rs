//! Nothing that a person or an agent waits for costs more where more is stored.
//!
//! Without a clock: every statement in the store's source is explained, and what is asked most is run
//! on two sizes, counting the steps of `SQLite`'s own machine. How long it takes is measured by
//! `cargo bench --bench bench -- scale`.

use std::path::Path;

use rusqlite::{StatementStatus, params_from_iter};

use super::{talks::plan, *};
use crate::{
    base::{SessionName, ThreadId},
    store::{
        messages::Filter,
        page, peers, search,
        sessions::{self, Introduced, Open},
        talks::{self, Part},
        verdicts,
    },
};

/// Of these, there may be millions of rows.
const LONG: [&str; 9] = [
    "messages",
    "history",
    "receipts",
    "arrivals",
    "audit",
    "session_reads",
    "threads",
    "outbox",
    "decisions",
];

/// Statements that walk such a table all the same, by their beginning, and why they may.
const MAY_WALK: [(&str, &str); 3] = [
    ("DELETE FROM receipts WHERE peer = ?1", "a peer is forgotten, once"),
    ("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1", "its end"),
    ("SELECT peer, outgoing, stored_ms FROM messages", "from the end, and whoever reads stops"),
];

/// Statements that sort, by their beginning, and what.
const MAY_SORT: [(&str, &str); 9] = [
    ("SELECT number, peer, stored_ms FROM messages WHERE id = ?1", "messages of one id"),
    ("SELECT * FROM messages WHERE id = ?1", "messages of one id"),
    ("SELECT number FROM messages INDEXED BY messages_waiting", "numbers of what waits"),
    ("SELECT * FROM messages WHERE outgoing = 1 AND state IN", "what is too late now"),
    ("SELECT * FROM pending", "what waits for the human, a hundred at most"),
    ("SELECT name FROM sessions", "sessions, 256 at most"),
    ("WITH talked AS", "one page of threads"),
    ("SELECT history.* FROM history", "the states of one page"),
    ("SELECT messages.number AS number, decisions", "the decisions of one page"),
];

/// The string literals of a source text, with what escapes mean to Rust.
fn literals(source: &str) -> Vec<String> {
    let (mut found, mut chars) = (Vec::new(), source.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '/' if chars.peek() == Some(&'/') => drop(chars.by_ref().find(|c| *c == '\n')),
            '\'' => {
                // A character, perhaps a quote; a lifetime has no second one so near.
                let ahead: String = chars.clone().take(3).collect();
                let length = if ahead.starts_with('\\') { 3 } else { 2 };
                if ahead.chars().nth(length - 1) == Some('\'') {
                    chars.nth(length - 1);
                }
            }
            '"' => {
                let mut text = String::new();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    match (c, chars.peek()) {
                        ('\\', Some('\n')) => {
                            while chars.next_if(|c| c.is_whitespace()).is_some() {}
                        }
                        ('\\', Some(_)) => text.extend(chars.next()),
                        _ => text.push(c),
                    }
                }
                found.push(text);
            }
            _ => {}
        }
    }
    found
}

/// Every statement that is written down in the store's source.
fn statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let sources = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources = sources.filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
    let mut found: Vec<String> = sources
        .flat_map(|path| literals(&std::fs::read_to_string(path).unwrap()))
        .filter(|text| {
            let first = text.split_whitespace().next().unwrap_or_default();
            matches!(first, "SELECT" | "WITH" | "UPDATE" | "DELETE" | "INSERT")
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

fn short(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn may(list: &[(&str, &str)], sql: &str) -> bool {
    list.iter().any(|(begin, _)| short(sql).starts_with(begin))
}

/// What is wrong with the plan of a statement.
fn trouble(db: &Connection, sql: &str) -> Vec<String> {
    let plan = plan(db, sql);
    let walks = |line: &String| {
        let mut words = line.split(' ');
        words.next() == Some("SCAN") && words.next().is_some_and(|table| LONG.contains(&table))
    };
    let sorts = |line: &String| line.contains("TEMP B-TREE FOR ORDER BY");
    let wrong = |line: &String| {
        (walks(line) && !may(&MAY_WALK, sql)) || (sorts(line) && !may(&MAY_SORT, sql))
    };
    if plan.iter().any(wrong) { plan } else { Vec::new() }
}

#[test]
fn no_statement_of_the_store_walks_a_long_table_or_sorts_one() {
    let folder = Folder::new();
    let db = folder.made();
    let statements = statements();
    assert!(statements.len() > 100, "the source is read: {}", statements.len());
    let mut bad = Vec::new();
    for sql in statements.iter().filter(|sql| !sql.contains('{') && !sql.ends_with(' ')) {
        let trouble = trouble(&db, sql);
        if !trouble.is_empty() {
            bad.push((short(sql), trouble));
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
    // It would be seen.
    assert!(!trouble(&db, "SELECT * FROM messages WHERE note = ?1").is_empty());
    assert!(!trouble(&db, "SELECT * FROM messages WHERE peer = ?1 ORDER BY text").is_empty());
}

fn name() -> SessionName {
    SessionName::parse("api").unwrap()
}

/// Every page of the inbox that there is.
fn pages(db: &Connection) -> Vec<(String, page::Query)> {
    let peer = Some(super::talks::filled_peer(2));
    let thread = ThreadId::from_slice(b"0000000200000001");
    let reply_to = Some(MessageId::from_bytes([0; 16]));
    let mut pages = Vec::new();
    for unread in [true, false] {
        for session in [Some(name()), None] {
            for (what, peer, thread, reply_to) in [
                ("all", None, None, None),
                ("peer", peer, None, None),
                ("thread", None, thread, None),
                ("reply", None, None, reply_to),
                ("peer, reply", peer, None, reply_to),
            ] {
                let (session, open) = (session.clone(), [name()].into_iter().collect());
                let of = Filter { peer, thread, unread, session, open, reply_to, ..PAGE };
                let until = sessions::known_until(db, &name()).unwrap();
                pages.push((format!("{what}, unread {unread}"), page::page(&of, until)));
            }
        }
    }
    pages
}

const PAGE: Filter = Filter {
    peer: None,
    thread: None,
    unread: false,
    session: None,
    open: Open::NONE,
    reply_to: None,
    after: 0,
    limit: 21,
};

#[test]
fn no_page_of_the_inbox_walks_it_or_sorts_it() {
    let folder = Folder::new();
    let db = folder.made();
    for (what, page) in pages(&db) {
        let trouble: Vec<_> = plan(&db, &page.sql);
        let walks = |line: &&String| line.starts_with("SCAN messages");
        assert_eq!(trouble.iter().find(walks), None, "{what}: {trouble:#?}");
    }
}

/// A home with so many messages: 50 peers, ten messages a thread, every tenth message unread, three states each, and what
/// belongs to it.
fn home(db: &Connection, count: u32) {
    db.set_prepared_statement_cache_capacity(500);
    // The threads of the store that made the file may still be ending.
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    super::talks::fill(db, count, 50, count / 500);
    sessions::remember(db, &Introduced { name: name(), client: None, project: None }, &[], NOW)
        .unwrap();
    db.execute_batch(
        "UPDATE messages SET unread = 1 WHERE outgoing = 0 AND number / 2 % 5 = 0;
         INSERT INTO history (message, state, at_ms)
         SELECT number, state, created_ms FROM messages, json_each('[1, 2, 3]');
         INSERT INTO arrivals (peer, id, digest, state, forget_ms)
         SELECT peer, id, digest, state, 1000000000 FROM messages WHERE outgoing = 0;
         INSERT INTO receipts (id, peer, envelope, at_ms)
         SELECT id, peer, zeroblob(200), created_ms FROM messages WHERE outgoing = 1;",
    )
    .unwrap();
    while search::index_batch(db, crate::base::limits::INDEX_BATCH).unwrap() {}
    for n in 0..count / 100 {
        let event = Event::refused(format!("{n}"), None);
        audit::append(db, NOW, &event).unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
}

/// The steps of all statements that `run` makes, where they are in the source as they are.
fn steps(db: &Connection, all: &[String], run: impl Fn(&Connection)) -> u64 {
    let sum = || -> i64 {
        let steps = |sql: &String| {
            let statement = db.prepare_cached(sql).ok()?;
            Some(i64::from(statement.reset_status(StatementStatus::VmStep)))
        };
        all.iter().filter_map(steps).sum()
    };
    sum();
    run(db);
    u64::try_from(sum()).unwrap()
}

type Run = (&'static str, fn(&Connection));

/// What an agent or a person waits for, and what the node does for each message and at its start.
const RUNS: [Run; 19] = [
    ("counts", |db| assert!(messages::counts(db).unwrap().unread > 0)),
    ("unread by peer", |db| drop(messages::unread_by_peer(db, 5).unwrap())),
    ("elsewhere", |db| {
        let open = [name(), SessionName::parse("web").unwrap()].into_iter().collect();
        drop(sessions::elsewhere(db, &name(), &open).unwrap());
    }),
    ("see", |db| sessions::set_seen(db, &name(), &[]).unwrap()),
    ("meet", |db| {
        let api = Introduced { name: name(), client: None, project: None };
        sessions::remember(db, &api, &[], NOW).unwrap();
    }),
    ("find", |db| drop(messages::find(db, &MessageId::from_bytes([b'0'; 16])).unwrap())),
    ("history", |db| drop(messages::history(db, 500).unwrap())),
    ("room", |db| assert_eq!(messages::room(db, &owner().id()).unwrap().messages, 0)),
    ("outstanding", |db| drop(messages::outstanding(db, 100).unwrap())),
    ("expired", |db| drop(messages::expired(db, NOW).unwrap())),
    ("forget", |db| messages::forget_arrivals(db, NOW).unwrap()),
    ("talks", |db| drop(talks::talks(db).unwrap())),
    ("threads", |db| {
        drop(talks::threads(db, &super::talks::filled_peer(2), 2).unwrap());
    }),
    ("conversation", |db| {
        let peer = super::talks::filled_peer(2);
        let rows = talks::part(db, &Part { peer, thread: None, before: i64::MAX, limit: 20 });
        let rows = rows.unwrap();
        assert_eq!(rows.len(), 20);
        drop(talks::histories(db, &rows).unwrap());
        drop(talks::decisions(db, &rows).unwrap());
    }),
    ("a message comes", |db| {
        db.execute_batch("SAVEPOINT s").unwrap();
        let number = messages::add(db, &envelope(1), false, MessageState::Accepted, NOW).unwrap();
        messages::set_seen(db, number).unwrap();
        outbox::add(db, &owner().id(), &MessageId::from_bytes([1; 16]), Some(b"x")).unwrap();
        outbox::waiting(db, &owner().id()).unwrap();
        outbox::after(db, &owner().id(), 0, 10).unwrap();
        audit::append(db, NOW, &Event::refused("x", None)).unwrap();
        audit::checkpoint(db, &owner(), true).unwrap();
        db.execute_batch("ROLLBACK TO s; RELEASE s").unwrap();
    }),
    ("recent", |db| drop(verdicts::recent(db, Timestamp::from_ms(1_000_000_000)).unwrap())),
    ("said yes to", |db| drop(pending::approved(db, NOW).unwrap())),
    ("peers", |db| drop(peers::all_peers(db).unwrap())),
    ("nothing to index", |db| {
        search::index_batch(db, crate::base::limits::INDEX_BATCH).unwrap();
    }),
];

#[test]
fn ten_times_the_messages_take_no_more_steps() {
    let all = statements();
    let (few, many) = (Folder::new(), Folder::new());
    let homes = [(&few, 1000), (&many, 10_000)].map(|(folder, count)| {
        let db = folder.made();
        home(&db, count);
        db
    });
    let mut grew = Vec::new();
    let mut compare = |what: &str, [few, many]: [u64; 2]| {
        // A deeper tree is no more steps; a few more rows on the first page may be.
        if many * 2 > few * 3 + 100 {
            grew.push(format!("{what}: {few} steps became {many}"));
        }
    };
    for (what, run) in RUNS {
        let steps = homes.each_ref().map(|db| steps(db, &all, run));
        assert!(steps[0] > 0, "{what} is not measured");
        compare(what, steps);
    }
    let run = |db: &Connection, query: &page::Query| {
        let mut statement = db.prepare(&query.sql).unwrap();
        let count = statement.parameter_count();
        let values = params_from_iter(query.values.iter().take(count));
        let mut rows = statement.query(values).unwrap();
        while rows.next().unwrap().is_some() {}
        drop(rows);
        u64::try_from(statement.get_status(StatementStatus::VmStep)).unwrap()
    };
    let of = homes.each_ref().map(pages);
    for ((what, few), (_, many)) in of[0].iter().zip(&of[1]) {
        compare(what, [run(&homes[0], few), run(&homes[1], many)]);
    }
    let new = homes.each_ref().map(|db| {
        let sql = sessions::seen_by_others();
        let until = sessions::known_until(db, &name()).unwrap();
        let values = vec!["api".to_owned().into(), until.into(), "[]".to_owned().into()];
        run(db, &page::Query { sql, values })
    });
    compare("new to a session", new);
    assert!(grew.is_empty(), "{grew:#?}");
}

/// What the triggers count is what is there.
fn counted(db: &Connection) {
    for (counted, there) in [
        (
            "SELECT session, peer, many FROM unread_counts ORDER BY 1, 2",
            "SELECT coalesce(session, ''), peer, count(*) FROM messages
             WHERE unread = 1 AND outgoing = 0 AND state IN ('accepted', 'read', 'replied')
             GROUP BY 1, 2 ORDER BY 1, 2",
        ),
        (
            "SELECT session, zeroblob(32), many FROM unread_totals ORDER BY 1",
            "SELECT session, zeroblob(32), sum(many) FROM unread_counts GROUP BY 1 ORDER BY 1",
        ),
        (
            "SELECT hex(thread) || first || ' ' || last, peer, messages FROM threads ORDER BY 1, 2",
            "SELECT hex(thread) || min(number) || ' ' || max(number), peer, count(*) FROM messages
             GROUP BY peer, thread ORDER BY 1, 2",
        ),
        (
            "SELECT threads || ' ' || last, peer, messages FROM conversations ORDER BY 1, 2",
            "SELECT count(DISTINCT thread) || ' ' || max(number), peer, count(*) FROM messages
             GROUP BY peer ORDER BY 1, 2",
        ),
    ] {
        let rows = |sql: &str| -> Vec<(String, Vec<u8>, i64)> {
            let mut statement = db.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
            rows.unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(rows(counted), rows(there), "{counted}");
    }
}

#[test]
fn what_was_counted_beforehand_is_what_is_there() {
    let folder = Folder::new();
    let db = folder.made();
    super::talks::fill(&db, 60, 4, 3);
    counted(&db);
    for sql in [
        "UPDATE messages SET unread = 1 WHERE outgoing = 0",
        "UPDATE messages SET session = 'api' WHERE number % 3 = 0",
        "UPDATE messages SET state = 'held_by_peer' WHERE number % 5 = 0",
        "UPDATE messages SET state = 'read' WHERE number % 7 = 0",
        "UPDATE messages SET session = NULL WHERE number % 6 = 0",
        "UPDATE messages SET unread = 0 WHERE number < 20",
        "DELETE FROM messages WHERE number IN (1, 2, 17, 40, 59, 60)",
        "DELETE FROM messages WHERE number % 4 = 1",
        "UPDATE messages SET state = 'accepted', unread = 1, session = 'web' WHERE outgoing = 0",
        "DELETE FROM messages WHERE number > 30",
        "DELETE FROM messages",
    ] {
        assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
        counted(&db);
    }
}

#[test]
fn a_home_of_before_is_counted_when_its_schema_is_brought_up_to_date() {
    let folder = Folder::new();
    let db = folder.made();
    super::talks::fill(&db, 60, 4, 3);
    db.execute_batch(
        "UPDATE messages SET unread = 1 WHERE outgoing = 0; DELETE FROM unread_counts;
         DELETE FROM threads; DELETE FROM conversations;",
    )
    .unwrap();
    let migration = include_str!("../migrations/0009.sql");
    let fills: Vec<&str> = migration
        .split(";\n")
        .filter(|sql| sql.trim_start().starts_with("INSERT INTO"))
        .filter(|sql| sql.contains("FROM messages") || sql.contains("FROM threads GROUP"))
        .collect();
    assert_eq!(fills.len(), 3);
    for sql in fills {
        db.execute(sql, []).unwrap();
    }
    counted(&db);
    db.execute_batch("DELETE FROM unread_totals").unwrap();
    let migration = include_str!("../migrations/0012.sql");
    let fill = migration.split(";\n").find(|sql| sql.trim_start().starts_with("INSERT INTO"));
    db.execute(fill.unwrap(), []).unwrap();
    counted(&db);
}
