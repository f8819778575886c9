//! A decision that the human did make: for another item, for other bytes, a second time, too late.

use std::time::Duration;

use countersign::base::Timestamp;
use serde_json::{Value, json};

use super::{
    Siege, Socket, secret,
    sockets::{decision, item_of, key_of, now},
};
use crate::support::stays;

fn kind(answer: &Value) -> &Value {
    &answer["error"]["kind"]
}

/// Holds another message, and gives what asks about it.
fn hold(siege: &Siege, number: usize) -> String {
    let sent = siege.alice.json_code(&["send", "bob", &secret(number)], 3);
    sent["pending"].as_str().unwrap().to_owned()
}

#[test]
fn a_decision_for_one_item_is_none_for_another_and_counts_once() {
    let siege = Siege::lay();
    let other = hold(&siege, 1);
    let refused = siege.refused();
    let (mut socket, key) = (Socket::open(&siege.alice), key_of(&siege.alice));
    let (first, second) = (item_of(&mut socket, &siege.item), item_of(&mut socket, &other));
    let right = decision(&first, &siege.item, now(), &key);
    // The right bytes under another id, other bytes under the right id, and parts of both.
    let mut under_other = right.clone();
    under_other["id"] = json!(other);
    let mut seal_of_other = right.clone();
    seal_of_other["seal"] = decision(&second, &other, now(), &key)["seal"].clone();
    let mut statement_of_other = right.clone();
    statement_of_other["statement"] = decision(&second, &other, now(), &key)["statement"].clone();
    let tries = [
        under_other,
        decision(&second, &siege.item, now(), &key),
        decision(&first, &other, now(), &key),
        seal_of_other,
        statement_of_other,
    ];
    for request in tries {
        let answer = socket.ask(&request);
        assert!(answer["error"].is_object(), "{request}: {answer:#}");
    }
    siege.holds("decisions that are for something else");
    assert!(siege.refused() >= refused + 5, "the attempts are in the audit record");

    let answer = socket.ask(&right);
    assert_eq!(answer["reply"]["decision"], "approved", "it is the human's: {answer:#}");
    siege.bob.received_text(&secret(0));
    for _ in 0..2 {
        assert_eq!(*kind(&socket.ask(&right)), "not_found", "it is used up");
    }
    let mut again = right;
    again["id"] = json!(other);
    assert!(socket.ask(&again)["error"].is_object());
    stays("the other one stays", Duration::from_secs(1), || siege.bob.texts() == [secret(0)]);
    assert!(siege.alice.pending().iter().any(|item| item["id"] == other));
}

#[test]
fn a_decision_counts_in_its_time() {
    let siege = Siege::lay();
    let (mut socket, key) = (Socket::open(&siege.alice), key_of(&siege.alice));
    let item = item_of(&mut socket, &siege.item);
    let hours = |hours: u64| Duration::from_secs(3600 * hours);
    for at in [Timestamp::from_ms(0), now().minus(hours(1)), now().plus(hours(24))] {
        let answer = socket.ask(&decision(&item, &siege.item, at, &key));
        assert_eq!(*kind(&answer), "refused", "{at}: {answer:#}");
    }
    siege.holds("decisions of another time");
    // Kept until the item has expired.
    let late = decision(&item, &siege.item, now(), &key);
    drop(socket);
    siege.restarted(|alice| {
        let expire = "UPDATE pending SET expires_ms = 1 WHERE message IS NOT NULL";
        assert_eq!(alice.database().execute(expire, []).unwrap(), 1);
    });
    let answer = Socket::open(&siege.alice).ask(&late);
    assert!(["not_found", "refused"].iter().any(|word| kind(&answer) == word), "{answer:#}");
    assert!(!siege.alice.history(&siege.message).contains(&"queued".to_owned()));
    stays("nothing arrives", Duration::from_secs(1), || siege.bob.texts().is_empty());
}

#[test]
fn what_was_changed_after_the_screen_was_shown_is_not_what_leaves() {
    let siege = Siege::lay();
    let other = hold(&siege, 1);
    let (mut socket, key) = (Socket::open(&siege.alice), key_of(&siege.alice));
    let shown = decision(&item_of(&mut socket, &siege.item), &siege.item, now(), &key);
    drop(socket);
    // The bytes that wait become those of the other message.
    // Whoever can write the rows can read the key of what is sealed in them.
    let swap = "UPDATE pending SET item = seal('pending.item', (SELECT unseal('pending.item', p.item, \
                p.id) FROM pending AS p WHERE p.rowid != pending.rowid AND p.message IS NOT NULL), id) \
                WHERE message = (SELECT id FROM messages WHERE \
                CAST(unseal('messages.text', text, id, peer, outgoing) AS TEXT) LIKE 'key 0%')";
    siege.restarted(|alice| assert_eq!(alice.database().execute(swap, []).unwrap(), 1));
    let answer = Socket::open(&siege.alice).ask(&shown);
    assert_eq!(*kind(&answer), "denied", "{answer:#}");
    stays("nothing arrives", Duration::from_secs(1), || siege.bob.texts().is_empty());
    let waits = siege.alice.pending();
    assert!([&siege.item, &other].iter().all(|id| waits.iter().any(|row| row["id"] == **id)));
}

#[test]
fn what_leaves_is_what_was_shown_though_the_message_row_says_otherwise() {
    let siege = Siege::lay();
    hold(&siege, 1);
    let change = "UPDATE messages SET \
                  text = seal('messages.text', CAST('send me your keys' AS BLOB), id, peer, outgoing), \
                  envelope = seal('messages.envelope', (SELECT unseal('messages.envelope', m.envelope, \
                  m.id, m.peer, m.outgoing) FROM messages AS m WHERE CAST(unseal('messages.text', m.text, \
                  m.id, m.peer, m.outgoing) AS TEXT) LIKE 'key 1%'), id, peer, outgoing) \
                  WHERE CAST(unseal('messages.text', text, id, peer, outgoing) AS TEXT) LIKE 'key 0%'";
    siege.restarted(|alice| assert_eq!(alice.database().execute(change, []).unwrap(), 1));
    let shown = siege.alice.approve(&siege.item);
    assert!(shown.stdout.contains(&secret(0)), "{shown}");
    let arrived = siege.bob.received_text("key");
    assert_eq!(arrived["text"], secret(0), "{arrived:#}");
    assert_eq!(siege.bob.texts().len(), 1);
}

#[test]
fn a_finding_that_was_taken_out_of_a_row_is_on_the_screen_all_the_same() {
    let siege = Siege::lay();
    let change = "UPDATE pending SET reasons = seal('pending.reasons', CAST('[]' AS BLOB), id) \
                  WHERE message IS NOT NULL";
    siege.restarted(|alice| assert_eq!(alice.database().execute(change, []).unwrap(), 1));
    let mut terminal = crate::support::pty::Terminal::open(&siege.alice, &["approve", &siege.item]);
    terminal.answer("");
    let shown = terminal.finish().expect(3);
    assert!(shown.stdout.contains("secret.aws_access_key"), "{shown}");
    siege.holds("a row without its reasons");
}
