//! A conversation that went on for years.

use std::time::Duration;

use super::Person;
use crate::support::{browser::browser, pairing::friends, require::slow};

const MESSAGES: u32 = 10_000;
/// Far above what it takes, so that a busy machine fails no test.
const FIRST_PAINT_MAX: Duration = Duration::from_secs(5);

/// The id of a message that was repeated.
const ID: &str = "CAST(printf('%016d', value) AS BLOB)";

/// Says the one message that came in again and again, as rows of the database.
fn repeat(database: &rusqlite::Connection, messages: u32) {
    let mut columns = Vec::new();
    let mut statement = database.prepare("SELECT name FROM pragma_table_info('messages')").unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        columns.push(row.get::<_, String>(0).unwrap());
    }
    columns.retain(|column| column != "number");
    let values: Vec<String> = columns
        .iter()
        .map(|column| match column.as_str() {
            "id" => ID.to_owned(),
            "thread" => "randomblob(16)".to_owned(),
            "text" => format!(
                "seal('messages.text', 'Message ' || value || ' of a long conversation. ' ||
                 CAST(unseal('messages.text', text, id, peer, outgoing) AS TEXT),
                 {ID}, peer, outgoing)"
            ),
            sealed @ ("envelope" | "verdict") => format!(
                "seal('messages.{sealed}', unseal('messages.{sealed}', {sealed}, id, peer, outgoing),
                 {ID}, peer, outgoing)"
            ),
            other => other.to_owned(),
        })
        .collect();
    let (columns, values) = (columns.join(", "), values.join(", "));
    let insert = format!(
        "WITH RECURSIVE many(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM many
             WHERE value < {messages})
         INSERT INTO messages ({columns}) SELECT {values} FROM messages, many
         WHERE number = (SELECT max(number) FROM messages)"
    );
    database.execute_batch(&insert).unwrap();
    database
        .execute_batch(
            "INSERT INTO history (message, state, at_ms)
             SELECT number, state, stored_ms FROM messages
             WHERE number NOT IN (SELECT message FROM history)",
        )
        .unwrap();
}

#[test]
fn ten_thousand_messages_are_painted_at_once() {
    if !slow() {
        return;
    }
    let Some(browser) = browser() else { return };
    let (home, bob) = friends();
    bob.send("alice", "Some words, as people say them.");
    home.received_text("Some words");
    home.stop();
    repeat(&home.database(), MESSAGES);
    home.start();
    let alice = Person::at(&browser, &home);
    alice.visit_peer("conversations", "bob");
    alice.page.wait_for("performance.getEntriesByName('first-contentful-paint').length");
    let paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime";
    let paint_ms = alice.page.eval(paint).as_f64().unwrap();
    eprintln!("a conversation of {MESSAGES} messages: first contentful paint at {paint_ms:.0} ms");
    assert!(Duration::from_secs_f64(paint_ms / 1000.0) < FIRST_PAINT_MAX, "{paint_ms} ms");
    alice.reads(&format!("Message {MESSAGES} of a long conversation."));
    alice.page.wait_for(
        "document.querySelector('#talk').lastElementChild.getBoundingClientRect().bottom
            < innerHeight",
    );
    alice.page.follow("a.button[href*='before=']");
    alice.reads("To the newest messages");
    alice.visit("/conversations");
    alice.reads("10001 messages");
    alice.visit("/search?q=message%207777");
    alice.reads("Message 7777 of");
    alice.is_quiet();
}
