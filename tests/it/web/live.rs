//! What happens on a page that somebody just looks at.

use super::{Person, arrived, card, send_secret};
use crate::support::{browser::browser, pairing::friends};

/// What a page loses when it is loaded anew.
const MARK: &str = "window.isTheSame = true";

#[test]
fn what_waits_appears_by_itself_and_disturbs_nobody_who_types() {
    let Some(browser) = browser() else { return };
    let (home, _bob) = friends();
    let alice = Person::at(&browser, &home);
    alice.reads("Nothing waits.");
    alice.page.eval(MARK);
    let first = send_secret(&home, "bob", "one");
    alice.page.wait_for("document.title.startsWith('(1) ')");
    alice.page.wait_for(&format!("document.querySelector('{}')", card(&first)));
    assert!(!alice.text().contains("Nothing waits."), "{}", alice.text());
    let field = format!("{} .approve input[type=password]", card(&first));
    alice.page.type_into(&field, "mauve ot");

    let second = send_secret(&home, "bob", "two");
    alice.page.wait_for("document.title.startsWith('(2) ')");
    alice.page.wait_for(&format!("document.querySelector('{}')", card(&second)));
    alice.reads("2 decisions");
    let state = "[document.activeElement.value, document.activeElement.closest('li').id]";
    assert_eq!(alice.page.eval(state), serde_json::json!(["mauve ot", format!("item-{first}")]));
    assert_eq!(alice.page.text("nav.main .count").split_whitespace().next(), Some("2"));

    // What is decided elsewhere goes; what somebody types in stays, and says so.
    home.json(&["deny", &second]);
    alice.page.wait_for(&format!("!document.querySelector('{}')", card(&second)));
    home.json(&["deny", &first]);
    alice.page.wait_for("/^Waiting/.test(document.title)");
    alice.reads("This was decided elsewhere, or its time is over.");
    assert!(alice.page.exists(&field), "{}", alice.text());
    assert!(alice.page.text(&card(&first)).contains("decided elsewhere"), "where it is seen");
    assert_eq!(alice.page.eval("window.isTheSame"), true);
    alice.is_quiet();
}

#[test]
fn one_decision_that_is_taken_elsewhere_leaves_the_page_that_shows_it() {
    let Some(browser) = browser() else { return };
    let (home, _bob) = friends();
    let item = send_secret(&home, "bob", "one");
    let alice = Person::at(&browser, &home);
    alice.visit(&format!("/waiting/{item}"));
    alice.page.eval(MARK);
    home.json(&["deny", &item]);
    alice.reads("This waits no more.");
    assert!(!alice.page.exists("[data-approve]"), "{}", alice.text());
    assert_eq!(alice.page.eval("window.isTheSame"), true);
    alice.is_quiet();
}

#[test]
fn a_half_written_message_survives_what_arrives_and_a_reload() {
    let Some(browser) = browser() else { return };
    let (home, bob) = friends();
    let alice = Person::at(&browser, &home);
    alice.visit_peer("conversations", "bob");
    alice.page.eval(MARK);
    alice.page.type_into("#text", "half a thou");
    bob.send("alice", "something else");
    alice.reads("something else");
    arrived(&home, "something else");
    alice.page.press("g");
    assert_eq!(alice.page.eval("document.activeElement.value"), "half a thoug");
    assert_eq!(alice.page.eval("window.isTheSame"), true);
    alice.page.reload();
    assert_eq!(alice.page.eval("document.querySelector('#text').value"), "half a thoug");
    alice.is_quiet();
}

#[test]
fn a_page_whose_node_has_stopped_says_so_and_what_to_do_when_it_is_back() {
    let Some(browser) = browser() else { return };
    let (home, _bob) = friends();
    let alice = Person::at(&browser, &home);
    alice.page.wait_for("performance.getEntriesByName(location.origin + '/page.js').length");
    home.stop();
    alice.reads("The node does not answer. Trying again");
    home.start();
    alice.reads("This page is no longer open. Open it again with: countersign page --open");
    // Opened in another tab of this browser, it goes on in this one as soon as it is looked at.
    let link = super::link(&home);
    alice.page.eval(&format!(
        "fetch('/open', {{method: 'POST', body: new URLSearchParams({{code: '{}'}})}})",
        link.split_once('#').unwrap().1
    ));
    alice.page.leaves(|| {
        alice.page.eval("document.dispatchEvent(new Event('visibilitychange')); true");
    });
    assert_eq!(alice.page.text("#connection"), "");
    alice.reads("Nothing waits.");
    alice.is_quiet_but_for(&["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "401"]);
}
