//! Looking for words.

use super::{
    talks::{fill, filled_peer, plan},
    *,
};
use crate::{
    base::{SessionName, ThreadId, limits},
    store::{
        messages::Filter,
        search::{self, HitRow, Search},
        sessions::{self, Introduced},
        words::Query,
    },
};

fn add(db: &Connection, n: u8, text: &str) {
    let header = envelope(n).header().clone();
    let body = Body::Text(MessageText::parse(text).unwrap());
    let envelope = Draft { header, body }.seal(&owner()).unwrap();
    messages::add(db, &envelope, true, MessageState::Denied, NOW).unwrap();
}

/// Fills the index. Gives in how many steps.
fn index(db: &Connection) -> usize {
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let steps = (1..1000).find(|_| !search::index_batch(db, limits::INDEX_BATCH).unwrap()).unwrap();
    db.execute_batch("COMMIT").unwrap();
    steps
}

fn asked(typed: &str) -> Option<Search> {
    let marks = ("<".to_owned(), ">".to_owned());
    let query = Query::of(typed)?;
    Some(Search { query, peer: None, before: i64::MAX, limit: 1000, looks: 100_000, marks })
}

fn hits(db: &Connection, asked: &Search) -> Result<Vec<HitRow>, StoreError> {
    search::search(db, asked).map(|found| found.hits)
}

fn find(db: &Connection, typed: &str) -> Vec<i64> {
    let Some(asked) = asked(typed) else { return Vec::new() };
    hits(db, &asked)
        .unwrap_or_else(|e| panic!("{typed:?}: {e}"))
        .into_iter()
        .map(|hit| hit.message.number)
        .collect()
}

#[test]
fn words_are_found_whatever_their_case_and_marks_and_the_last_may_be_a_beginning() {
    let folder = Folder::new();
    let db = folder.made();
    for (n, text) in (1..).zip([
        "Treffen in Zürich am Montag",
        "the price is 300 EUR, ask near-by",
        "ÉCOLE normale",
        "日本語 text",
        "NEAR and AND or OR not NOT",
        "text: a column's name",
    ]) {
        add(&db, n, text);
    }
    assert!(find(&db, "montag").is_empty(), "nothing is indexed before it is asked for");
    index(&db);
    let check = |typed: &str, expected: &[i64]| assert_eq!(find(&db, typed), expected, "{typed:?}");
    check("zurich", &[1]);
    check("ZÜRICH montag", &[1]);
    check("montag zürich", &[1]);
    check("zur", &[1]);
    check("zur montag", &[]);
    check("ecole", &[3]);
    check("école NORM", &[3]);
    check("日本", &[4]);
    check("本語", &[4]);
    check("日語", &[]);
    check("near", &[5, 2]);
    check("near-by", &[2]);
    check("near -", &[5, 2]);
    check("- near", &[5, 2]);
    check("near by", &[2]);
    check("NOT", &[5]);
    check("text", &[6, 4]);
    check("text:", &[6, 4]);
    check("text:price", &[]);
    check("column's", &[6]);
    for none in ["", " \t\n", "\0", "\"", "*", "-- ** ((", "…"] {
        check(none, &[]);
    }
}

#[test]
fn what_a_person_types_is_never_an_operator() {
    let folder = Folder::new();
    let db = folder.made();
    add(&db, 1, "alpha beta gamma");
    add(&db, 2, "delta");
    index(&db);
    let check = |typed: &str, expected: &[i64]| assert_eq!(find(&db, typed), expected, "{typed:?}");
    check("alpha OR delta", &[]);
    check("alpha NOT beta", &[]);
    check("alpha AND beta", &[]);
    check("NEAR(alpha gamma, 1)", &[]);
    check("text : alpha", &[]);
    check("{text} : alpha", &[]);
    check("-text : alpha", &[]);
    check("^beta", &[1]);
    check("alp* gamma", &[]);
    check("\"alpha beta\"", &[1]);
    check("\"beta alpha\"", &[1]);
    check("beta\" OR \"delta", &[]);
    check("alpha\0 beta", &[1]);
    check("alpha + beta", &[1]);
    check("alpha'; DROP TABLE words; --", &[]);
    for hostile in [
        "(", ")", "()", "a(", "\"\"\"", "\"a", "a\"b\"", "*a", "a**", "^", "{", "a:", ":a",
        "NEAR(", "NEAR/2", "\\", "%", "\u{202e}", "\u{fdd0}", "'",
    ] {
        find(&db, hostile);
        find(&db, &hostile.repeat(50));
        find(&db, &[hostile; 50].join(" "));
    }
    check("beta", &[1]);
}

#[test]
fn the_longest_query_of_the_shortest_words_is_answered() {
    let folder = Folder::new();
    let db = folder.made();
    fill(&db, 5000, 3, 2);
    index(&db);
    let short: Vec<String> = ('\u{4e00}'..).take(340).map(String::from).collect();
    assert!(find(&db, &short.join(" ")).is_empty());
    let same = vec!["every"; limits::SEARCH_QUERY_BYTES_MAX / 6].join(" ");
    assert_eq!(Query::of(&same), Query::of("every"));
    assert_eq!(find(&db, &same).len(), 1000);
}

#[test]
fn the_index_is_filled_in_bounded_steps_and_each_message_is_in_it_once() {
    let folder = Folder::new();
    let db = folder.made();
    fill(&db, 2 * limits::INDEX_BATCH + 1, 3, 2);
    assert_eq!(index(&db), 3);
    assert_eq!(find(&db, "word4000"), [4001]);
    assert_eq!(index(&db), 1);
    assert_eq!(
        find(&db, "word17"),
        [
            1800, 1799, 1798, 1797, 1796, 1795, 1794, 1793, 1792, 1791, 1790, 1789, 1788, 1787,
            1786, 1785, 1784, 1783, 1782, 1781, 1780, 1779, 1778, 1777, 1776, 1775, 1774, 1773,
            1772, 1771, 1770, 1769, 1768, 1767, 1766, 1765, 1764, 1763, 1762, 1761, 1760, 1759,
            1758, 1757, 1756, 1755, 1754, 1753, 1752, 1751, 1750, 1749, 1748, 1747, 1746, 1745,
            1744, 1743, 1742, 1741, 1740, 1739, 1738, 1737, 1736, 1735, 1734, 1733, 1732, 1731,
            1730, 1729, 1728, 1727, 1726, 1725, 1724, 1723, 1722, 1721, 1720, 1719, 1718, 1717,
            1716, 1715, 1714, 1713, 1712, 1711, 1710, 1709, 1708, 1707, 1706, 1705, 1704, 1703,
            1702, 1701, 180, 179, 178, 177, 176, 175, 174, 173, 172, 171, 18
        ]
    );
    add(&db, 1, "late");
    index(&db);
    assert_eq!(find(&db, "late").len(), 1);
    let large = "wide ".repeat(limits::TEXT_BYTES_MAX / 5);
    for n in 2..=100 {
        add(&db, n, &large);
    }
    let steps = 99 * large.len() / (limits::INDEX_BATCH as usize * limits::INDEX_MESSAGE_BYTES);
    assert!(steps >= 2 && index(&db) > steps);
    assert_eq!(find(&db, "wide").len(), 99);
}

#[test]
fn a_search_walks_the_index_from_its_end_and_stops() {
    let folder = Folder::new();
    let db = folder.made();
    let plan = plan(&db, search::SEARCH);
    assert_eq!(plan.len(), 2, "nothing is sorted: {plan:#?}");
    assert!(plan[0].starts_with("SCAN words VIRTUAL TABLE INDEX"), "{plan:#?}");
    assert!(plan[1].contains("messages USING INTEGER PRIMARY KEY"), "{plan:#?}");
    fill(&db, 100, 4, 2);
    index(&db);
    let mut asked = asked("every").unwrap();
    let numbers = |asked: &Search| -> Vec<i64> {
        let hits = hits(&db, asked).unwrap();
        hits.iter().map(|hit| hit.message.number).collect()
    };
    asked.limit = 3;
    assert_eq!(numbers(&asked), [100, 99, 98]);
    asked.before = 98;
    assert_eq!(numbers(&asked), [97, 96, 95]);
    asked.peer = Some(filled_peer(1));
    assert_eq!(numbers(&asked), [94, 90, 86]);
}

#[test]
fn a_page_with_words_is_the_page_without_and_what_has_the_words_of_it() {
    let folder = Folder::new();
    let db = folder.made();
    // An odd number of peers, so that each has messages both ways.
    fill(&db, 600, 5, 3);
    let (api, web) = (SessionName::parse("api").unwrap(), SessionName::parse("web").unwrap());
    db.execute_batch(
        "UPDATE messages SET unread = 1 WHERE outgoing = 0 AND number % 3 = 0;
         UPDATE messages SET session = 'web' WHERE number % 5 = 0;
         UPDATE messages SET state = 'held_by_peer' WHERE number % 7 = 0;
         UPDATE messages SET reply_to = zeroblob(16) WHERE number % 11 = 0;",
    )
    .unwrap();
    for name in [&api, &web] {
        let known = Introduced { name: name.clone(), client: None, project: None };
        sessions::remember(&db, &known, &[], NOW).unwrap();
    }
    db.execute_batch("UPDATE sessions SET after = 0").unwrap();
    sessions::set_seen(&db, &api, &[11, 13, 101]).unwrap();
    index(&db);
    let query = Query::of("every word1").unwrap();
    let (mut found, mut checked) = (0, 0);
    for bits in 0..64_u8 {
        let has = |bit: u8| bits & (1 << bit) != 0;
        let filter = Filter {
            peer: has(0).then(|| filled_peer(2)),
            thread: has(1).then(|| ThreadId::from_slice(b"0000000200000001").unwrap()),
            reply_to: has(2).then(|| MessageId::from_bytes([0; 16])),
            unread: has(3),
            session: has(4).then(|| api.clone()),
            open: has(5).then(|| web.clone()).into_iter().collect(),
            after: 0,
            limit: 10_000,
        };
        let mut plain = messages::page(&db, &filter).unwrap();
        plain.retain(|row| row.text.starts_with("word1"));
        let expected: Vec<i64> = plain.iter().map(|row| row.number).collect();
        let numbers = |filter: &Filter| -> Vec<i64> {
            let page = search::page(&db, filter, &query, 10_000).unwrap();
            assert_eq!(page.stopped, None);
            page.rows.iter().map(|row| row.number).collect()
        };
        assert_eq!(numbers(&filter), expected, "{filter:?}");
        if let [_, _, third, ..] = *expected {
            let part = Filter { after: expected[1], limit: 1, ..filter };
            assert_eq!(numbers(&part), [third], "{part:?}");
            checked += 1;
        }
        found += expected.len();
    }
    assert!(found > 400 && checked > 30, "{found} {checked}");
}

#[test]
fn a_page_of_the_inbox_with_words_stops_where_a_search_does_and_goes_on_from_there() {
    let folder = Folder::new();
    let db = folder.made();
    fill(&db, 400, 4, 2);
    index(&db);
    // Words that are in every message, and beside each other in none.
    let apart = Query::of("every-word").unwrap();
    let filter = Filter { limit: 5, ..Filter::default() };
    let page = |filter: &Filter, looks| search::page(&db, filter, &apart, looks).unwrap();
    let mut after = 0;
    for _ in 0..4 {
        let part = page(&Filter { after, ..filter.clone() }, 50);
        assert!(part.rows.is_empty());
        after = part.stopped.unwrap();
    }
    assert_eq!(after, 399, "50 of those in the inbox at a time, which are every second one");
    assert_eq!(page(&Filter { after, ..filter.clone() }, 50).stopped, None);
    // The same of what is unread, which is not taken from the index of words.
    db.execute_batch("UPDATE messages SET unread = 1 WHERE outgoing = 0").unwrap();
    let unread = Filter { unread: true, ..filter.clone() };
    let stops = [0, 99, 199, 299, 399].map(|after| {
        let part = page(&Filter { after, ..unread.clone() }, 50);
        assert!(part.rows.is_empty());
        part.stopped
    });
    assert_eq!(stops, [Some(99), Some(199), Some(299), Some(399), None]);
    let plan = plan(&db, search::PAGE);
    assert_eq!(plan.len(), 2, "nothing is sorted: {plan:#?}");
    assert!(plan[0].starts_with("SCAN words VIRTUAL TABLE INDEX"), "{plan:#?}");
    assert!(plan[1].contains("messages USING INTEGER PRIMARY KEY"), "{plan:#?}");
}

#[test]
fn what_was_found_is_marked_where_it_stands() {
    let folder = Folder::new();
    let db = folder.made();
    add(&db, 1, "here Zürich <b> there\nzürich-west");
    index(&db);
    let marked = |typed: &str| hits(&db, &asked(typed).unwrap()).unwrap()[0].marked.clone();
    assert_eq!(marked("zurich"), "here <Zürich> <b> there\n<zürich>-west");
    assert_eq!(marked("there zürich-w"), "here Zürich <b> <there>\n<zürich-west>");
}

#[test]
fn a_message_of_nothing_but_the_word_does_not_hold_up_the_node() {
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let folder = Folder::new();
        let db = folder.made();
        for n in 0..30 {
            add(&db, n, &"a ".repeat(limits::TEXT_BYTES_MAX / 2));
        }
        index(&db);
        done.send(find(&db, "a").len()).unwrap();
    });
    // A second here; hours where each place is compared with each other one.
    let found = finished.recv_timeout(std::time::Duration::from_mins(1));
    assert_eq!(found.unwrap(), 30);
}

#[tokio::test]
async fn the_index_works_through_the_two_threads_and_after_the_next_open() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let write = store.write(|db| {
        for pragma in [("trusted_schema", 0), ("secure_delete", 1)] {
            let is: i64 = db.pragma_query_value(None, pragma.0, |row| row.get(0))?;
            assert_eq!(is, pragma.1, "{}", pragma.0);
        }
        fill(db, 10, 2, 2);
        search::index_batch(db, limits::INDEX_BATCH)
    });
    assert!(!write.await.unwrap().unwrap());
    let look = |db: &Connection| {
        let is: i64 = db.pragma_query_value(None, "query_only", |row| row.get(0))?;
        assert_eq!(is, 1);
        hits(db, &asked("word7").unwrap())
    };
    assert_eq!(store.read(look).await.unwrap().unwrap().len(), 1);
    store.fold().await;
    drop(store);
    let store = folder.open().unwrap();
    assert_eq!(store.read(look).await.unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn a_batch_that_fails_leaves_no_half_of_it_in_the_index() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let filled = store.write(|db| {
        fill(db, 10, 2, 2);
        Ok(())
    });
    filled.await.unwrap().unwrap();
    let failed = store.write(|db| {
        search::index_batch(db, limits::INDEX_BATCH)?;
        Err::<(), _>(StoreError::Closed)
    });
    assert!(failed.await.unwrap().is_err());
    let done = store.write(|db| {
        search::index_batch(db, limits::INDEX_BATCH)?;
        db.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 0)", [])?;
        hits(db, &asked("every").unwrap())
    });
    assert_eq!(done.await.unwrap().unwrap().len(), 10);
}
