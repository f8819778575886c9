//! Too much, too slow and too many.

use std::{
    fs,
    time::{Duration, Instant},
};

use countersign::base::limits::{
    HTTP_BODY_TIMEOUT, HTTP_CONNECTIONS_MAX, HTTP_HEADER_TIMEOUT, TEXT_BYTES_MAX,
};
use rusqlite::params;

use super::visitor::{Visitor, act, hold};
use crate::support::{
    Home, SOON, alice,
    http::{Connection, Request},
    pairing::friends,
    require::slow,
    until,
};

/// What the node holds in memory, in KiB (`proc(5)`). `None` where there is no such file.
fn memory_kib(home: &Home) -> Option<u64> {
    let said = fs::read_to_string(format!("/proc/{}/status", home.pid()?)).ok()?;
    let line = said.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// The head of a form that says it has `length` bytes.
fn head(visitor: &Visitor, path: &str, length: &str) -> Vec<u8> {
    let (port, cookie) = (visitor.port, &visitor.cookie);
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nCookie: {cookie}\r\n{length}\r\n\r\n"
    )
    .into_bytes()
}

/// Sends parts until the other side takes no more. Gives the status and how much was sent.
fn pour(visitor: &Visitor, head: &[u8], part: &[u8], parts: usize) -> (Option<u16>, usize) {
    let mut connection = Connection::open(visitor.port).unwrap();
    connection.send(head).unwrap();
    let sent = (0..parts).take_while(|_| connection.send(part).is_ok()).count();
    // A reset may overtake the answer.
    let status = connection.response(true).ok().map(|response| response.status);
    (status, sent * part.len())
}

#[test]
fn ten_megabytes_are_refused_early_and_leave_nothing_in_memory() {
    let alice = alice();
    let visitor = Visitor::open(&alice);
    let stranger = Visitor { cookie: "a=b".to_owned(), ..visitor.clone() };
    let part = vec![b'a'; 64 * 1024];
    let chunk = [b"10000\r\n".as_slice(), &part, b"\r\n"].concat();
    let whole = 10 * 1024 * 1024;
    let length = format!("Content-Length: {whole}");
    let before = memory_kib(&alice);
    for round in 0..5 {
        for (who, path, said) in [
            (&visitor, "/peers/invite", 413),
            (&visitor, "/nowhere", 404),
            (&visitor, "/open", 413),
            (&stranger, "/open", 413),
            (&stranger, "/peers/invite", 401),
        ] {
            let (status, _) = pour(who, &head(who, path, &length), &part, whole / part.len());
            assert!(status.is_none_or(|status| status == said), "{round} {path}: {status:?}");
            // Without a length that is known beforehand, and without an end.
            let chunked = head(who, path, "Transfer-Encoding: chunked");
            let (status, sent) = pour(who, &chunked, &chunk, 4096);
            assert!(status.is_none_or(|status| status == said), "{round} {path}: {status:?}");
            assert!(sent < 64 * 1024 * 1024, "{path}: it takes {sent} bytes");
        }
    }
    // What refuses at once says so to whoever waits for it before the body.
    let mut connection = Connection::open(visitor.port).unwrap();
    connection
        .send(&head(&visitor, "/peers/invite", &format!("{length}\r\nExpect: 100-continue")))
        .unwrap();
    let early = connection.head().unwrap().status;
    assert!([100, 413].contains(&early), "{early}");
    drop(connection);
    if let (Some(before), Some(after)) = (before, memory_kib(&alice)) {
        eprintln!("the node's memory: {before} KiB before, {after} KiB after");
        assert!(after < before + 32 * 1024, "{before} KiB became {after} KiB");
    }
    visitor.get("/waiting").expect(200);
}

#[test]
fn heads_that_are_too_long_are_refused() {
    let alice = alice();
    let visitor = Visitor::open(&alice);
    let before = memory_kib(&alice);
    let long = "x".repeat(1024 * 1024);
    let headers = |count| (0..count).map(|n| format!("X-{n}: y\r\n")).collect::<Vec<_>>().concat();
    let (many, few) = (headers(10_000), headers(200));
    let host = format!("Host: localhost:{}\r\nCookie: {}\r\n", visitor.port, visitor.cookie);
    for (what, head) in [
        ("a header", format!("GET /waiting HTTP/1.1\r\n{host}X-Long: {long}\r\n\r\n")),
        ("a name", format!("GET /waiting HTTP/1.1\r\n{host}{long}: x\r\n\r\n")),
        ("a cookie", format!("GET /waiting HTTP/1.1\r\n{host}Cookie: {long}\r\n\r\n")),
        ("headers", format!("GET /waiting HTTP/1.1\r\n{host}{many}\r\n")),
        ("some headers", format!("GET /waiting HTTP/1.1\r\n{host}{few}\r\n")),
        ("a path", format!("GET /{long} HTTP/1.1\r\n{host}\r\n")),
        ("a query", format!("GET /search?q={long} HTTP/1.1\r\n{host}\r\n")),
        ("a method", format!("{long} / HTTP/1.1\r\n{host}\r\n")),
        ("no line's end", long.clone()),
    ] {
        let mut connection = Connection::open(visitor.port).unwrap();
        connection.send(head.as_bytes()).ok(); // It is refused before it was sent whole.
        let status = connection.response(true).map_or(0, |response| response.status);
        assert!([0, 400, 414, 431].contains(&status), "{what}: {status}");
        visitor.get("/style.css").expect(200);
    }
    // Two lengths, or a length and chunks, are two ways to see one request's end.
    for lengths in [
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, identity",
        "Content-Length: -1",
        "Content-Length: +1",
        "Content-Length: 0x1",
    ] {
        let mut connection = Connection::open(visitor.port).unwrap();
        connection.send(&head(&visitor, "/lock", lengths)).unwrap();
        connection.send(b"0\r\n\r\nGET /page.js HTTP/1.1\r\n\r\n").ok(); // It may be closed.
        let first = connection.response(true).map_or(0, |response| response.status);
        assert!([0, 400, 403].contains(&first), "{lengths}: {first}");
    }
    if let (Some(before), Some(after)) = (before, memory_kib(&alice)) {
        assert!(after < before + 32 * 1024, "{before} KiB became {after} KiB");
    }
}

#[test]
fn whoever_is_slow_or_silent_is_let_go() {
    if !slow() {
        return;
    }
    let alice = alice();
    let visitor = Visitor::open(&alice);
    let part = |bytes: &[u8]| {
        let mut connection = Connection::open(visitor.port).unwrap();
        connection.send(bytes).unwrap();
        connection
    };
    let form = head(&visitor, "/lock", "Content-Length: 100");
    let chunked = head(&visitor, "/lock", "Transfer-Encoding: chunked");
    let since = Instant::now();
    let mut heads = [part(b""), part(b"G"), part(b"GET / HTTP/1.1\r\nHost: "), part(b"\r\n")];
    let mut bodies = [
        part(&form),
        part(&[form.as_slice(), b"csrf="].concat()),
        part(&[chunked.as_slice(), b"5\r\ncsrf="].concat()),
    ];
    let mut drips = part(b"GET / HTTP/1.1\r\n");
    let (soon, late) = (HTTP_HEADER_TIMEOUT + SOON / 2, HTTP_BODY_TIMEOUT + SOON / 2);
    // One that sends a little all the time is no better.
    let mut number = 0;
    until("whoever drips is let go", soon, || {
        number += 1;
        drips.send(format!("X-{number}: y\r\n").as_bytes()).is_err()
            || drips.is_ended_within(Duration::from_millis(50))
    });
    for connection in &mut heads {
        assert!(
            connection
                .is_ended_within(soon.saturating_sub(since.elapsed()).max(Duration::from_secs(1)))
        );
    }
    for connection in &mut bodies {
        assert!(
            connection
                .is_ended_within(late.saturating_sub(since.elapsed()).max(Duration::from_secs(1)))
        );
    }
    assert!(since.elapsed() >= HTTP_HEADER_TIMEOUT / 2, "a human's own connection has its time");
    visitor.get("/waiting").expect(200);
}

#[test]
fn three_hundred_connections_at_once_keep_nobody_out_for_long() {
    if !slow() {
        return;
    }
    let alice = alice();
    let visitor = Visitor::open(&alice);
    let crowd: Vec<Connection> =
        (0..300).filter_map(|_| Connection::open(visitor.port).ok()).collect();
    assert!(crowd.len() > HTTP_CONNECTIONS_MAX, "{}", crowd.len());
    let waits = Request::get(visitor.port, "/waiting").header("Cookie", &visitor.cookie);
    std::thread::scope(|scope| {
        let human = scope.spawn(|| waits.send());
        drop(crowd);
        human.join().unwrap().expect(200);
    });
    // Those who stay are let go after a while, and the human gets in without their leave.
    let crowd: Vec<Connection> =
        (0..300).filter_map(|_| Connection::open(visitor.port).ok()).collect();
    let since = Instant::now();
    let entered = until("the human gets in", HTTP_HEADER_TIMEOUT * 4, || waits.try_send().ok());
    assert_eq!(entered.status, 200, "after {:?}", since.elapsed());
    drop(crowd);
}

#[test]
fn ten_thousand_messages_of_a_thread_are_shown_in_parts() {
    if !slow() {
        return;
    }
    let (alice, bob) = friends();
    bob.send("alice", "the first");
    alice.received_text("the first");
    alice.stop();
    multiply(&alice, 10_000);
    alice.start();
    let visitor = Visitor::open(&alice);
    let peer = alice.peer("bob").unwrap()["id"].as_str().unwrap().to_owned();
    let mut place = format!("/conversations/{peer}");
    let (mut shown, mut parts, mut largest) = (0, 0, 0);
    let since = Instant::now();
    let first = visitor.get(&place).expect(200);
    let took = since.elapsed();
    loop {
        let html = visitor.get(&place).expect(200).text();
        (shown, parts) = (shown + html.matches("<article class=\"bubble").count(), parts + 1);
        largest = largest.max(html.len());
        assert!(html.len() < 512 * 1024 && parts <= 300, "{place}: {} bytes", html.len());
        let older = html
            .split("href=\"")
            .find(|part| part.starts_with("/conversations/") && part.contains("before="));
        let Some(older) = older else { break };
        place = older.split('"').next().unwrap().replace("&amp;", "&");
    }
    eprintln!(
        "{parts} parts, {largest} bytes at most, the first in {took:?}, {} bytes",
        first.body.len()
    );
    assert_eq!(shown, 10_001);
    for path in ["/conversations", "/search?q=number", "/search?q=number%209999"] {
        let page = visitor.get(path).expect(200);
        assert!(page.body.len() < 512 * 1024, "{path}: {} bytes", page.body.len());
    }
}

/// Writes the one message that is there so many times more, as if it had come so often.
fn multiply(home: &Home, times: i64) {
    let mut db = home.database();
    let change = db.transaction().unwrap();
    change
        .execute(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
             INSERT INTO messages (outgoing, peer, id, digest, kind, thread, text, envelope, state,
                 unread, created_ms, expires_ms, stored_ms)
             SELECT outgoing, peer, CAST(printf('%016d', n) AS BLOB), digest, kind, thread,
                 seal('messages.text', 'number ' || n, CAST(printf('%016d', n) AS BLOB), peer,
                      outgoing),
                 seal('messages.envelope',
                      unseal('messages.envelope', envelope, id, peer, outgoing),
                      CAST(printf('%016d', n) AS BLOB), peer, outgoing),
                 state, 0, created_ms, expires_ms, stored_ms FROM messages, n
             WHERE number = (SELECT max(number) FROM messages)",
            params![times],
        )
        .unwrap();
    change
        .execute(
            "INSERT INTO history (message, state, at_ms)
             SELECT number, state, stored_ms FROM messages
             WHERE number NOT IN (SELECT message FROM history)",
            [],
        )
        .unwrap();
    change.commit().unwrap();
}

#[test]
fn texts_of_hidden_characters_are_shown_whole_within_bounds() {
    let (alice, _bob) = friends();
    let hidden = ["\u{1}\u{2}", "\u{200b}\u{200c}", "a\u{1}", "\u{202e}", "\t\n", "<"];
    let mut items = Vec::new();
    for pattern in hidden {
        let text: String =
            pattern.repeat((TEXT_BYTES_MAX - 20) / pattern.len()) + "AKIA" + "ABCD2345EFGH6723";
        items.push(said(&alice, &text));
    }
    let visitor = Visitor::open(&alice);
    for (pattern, item) in hidden.iter().zip(&items) {
        let since = Instant::now();
        let page = visitor.get(&format!("/waiting/{item}")).expect(200);
        eprintln!("{pattern:?}: {} bytes in {:?}", page.body.len(), since.elapsed());
        assert!(page.body.len() < 4 * 1024 * 1024, "{pattern:?}: {} bytes", page.body.len());
    }
}

#[test]
fn as_many_long_texts_as_may_wait_are_a_list_that_a_browser_shows() {
    let (alice, _bob) = friends();
    let long = |number: usize| {
        let start = format!("{number} {}{} ", "AKIA", "ABCD2345EFGH6723");
        said(&alice, &(start + &"a\u{1}".repeat((TEXT_BYTES_MAX - 64) / 2)))
    };
    let items: Vec<String> = (0..20).map(long).collect();
    let short = hold(&alice, "bob", 1);
    let visitor = Visitor::unlocked(&alice);
    let list = visitor.get("/waiting").expect(200).text();
    eprintln!("the list: {} bytes", list.len());
    assert!(list.len() < 4 * 1024 * 1024, "{} bytes", list.len());
    // What is not shown cannot be approved there; it can be denied, or looked at alone.
    let forms = |html: &str, item: &str, what: &str| {
        html.contains(&format!("action=\"{}\"", act(item, what)))
    };
    let [first, last] = [&items[0], &items[19]];
    assert!(forms(&list, first, "approve") && forms(&list, &short, "approve"));
    assert!(
        !forms(&list, last, "approve")
            && !forms(&list, last, "grant")
            && forms(&list, last, "deny")
    );
    assert!(list.contains(&format!("href=\"/waiting/{last}\"")));
    let alone = visitor.get(&format!("/waiting/{last}")).expect(200).text();
    assert!(forms(&alone, last, "approve") && alone.matches("U+0001").count() > 30_000);
}

/// Sends a text that is too long for a command's arguments, and gives the item that waits.
fn said(home: &Home, text: &str) -> String {
    let session = crate::support::mcp::Session::legacy(home);
    let sent = session.call("peer_send", serde_json::json!({"to": "bob", "text": text}));
    sent["pending"].as_str().unwrap_or_else(|| panic!("{sent:#}")).to_owned()
}
