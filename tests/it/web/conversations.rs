//! Reading, looking for something, and writing as oneself.

use super::{Person, arrived, send_secret};
use crate::support::{browser::browser, pairing::friends};

#[test]
fn a_search_finds_words_in_whatever_way_they_are_written_and_what_is_held() {
    let Some(browser) = browser() else { return };
    let (home, bob) = friends();
    home.send("bob", "Der Überlauf im Café war gestern");
    arrived(&bob, "Überlauf");
    send_secret(&home, "bob", "the umbrella key is");
    let alice = Person::at(&browser, &home);
    let look_for = |words: &str| {
        alice.visit("/conversations");
        alice.page.type_into("#q", words);
        alice.page.leaves(|| alice.page.press("Enter"));
    };
    look_for("cafe uberl");
    assert_eq!(alice.page.eval("document.querySelectorAll('#hits li').length"), 1);
    assert_eq!(alice.page.text("#hits mark"), "Überlauf");
    look_for("umbrella");
    assert!(alice.page.text("#hits").contains("held"), "{}", alice.text());
    alice.page.follow("#hits a");
    alice.reads("waits for you; nothing has left");
    look_for("\"OR NOT <b>");
    alice.reads("Nothing was found.");
    alice.is_quiet();
}

#[test]
fn what_a_human_writes_is_shown_as_the_humans_on_the_other_side() {
    let Some(browser) = browser() else { return };
    let (home, bob) = friends();
    let alice = Person::at(&browser, &home);
    let other = Person::at(&browser, &bob);
    other.visit_peer("conversations", "alice");
    alice.visit_peer("conversations", "bob");
    alice.page.type_into("#text", "Hello Bob, it is me.");
    alice.page.type_into("#passphrase-write", "not it");
    alice.page.follow("#write .primary");
    alice.reads("4 tries are left");
    assert_eq!(alice.page.eval("document.querySelector('#text').value"), "Hello Bob, it is me.");
    alice.type_passphrase("#write");
    alice.page.follow("#write .primary");
    alice.reads("Sent, as written and signed by you.");
    assert_eq!(alice.page.eval("document.querySelector('#text').value"), "");
    // It comes to him without his doing.
    other.reads("Hello Bob, it is me.");
    assert_eq!(other.page.text(".bubble.human header strong"), "alice, the human");
    other.page.click(".bubble .life summary");
    other.reads("passphrase typed for it");
    other.page.follow(".bubble .reply");
    other.reads("This answers");
    other.page.paste_into("#text", "Good to hear from you.");
    other.type_passphrase("#write");
    other.page.follow("#write .primary");
    alice.reads("Good to hear from you.");
    alice
        .page
        .wait_for("document.querySelector('.bubble.out .state').innerText.includes('replied')");
    for person in [alice, other] {
        person.is_quiet();
    }
}

#[test]
fn evidence_is_filtered_by_what_and_whom_and_exported_whole() {
    let Some(browser) = browser() else { return };
    let (home, bob) = friends();
    let item = send_secret(&home, "bob", "the key is");
    home.json(&["deny", &item]);
    let alice = Person::at(&browser, &home);
    alice.visit("/evidence");
    alice.reads("You denied item");
    alice.reads("a no, which needs no signature");
    alice.reads("bob went from incoming to trusted.");
    let choose = |field: &str, value: &str| {
        alice.page.eval(&format!("document.querySelector('{field}').value = '{value}'"));
        alice.page.follow(".filter button");
    };
    choose("#event", "decided");
    let said = alice.page.text("#timeline");
    assert!(said.contains("denied") && !said.contains("went from"), "{said}");
    choose("#event", "trust_moved");
    let bob_id = bob.id();
    choose("#evidence-peer", &bob_id);
    let said = alice.page.text("#timeline");
    assert!(said.contains("went from") && !said.contains("denied"), "{said}");
    let export = alice.page.eval(
        "fetch(document.querySelector('a[href=\"/evidence/export\"]').href)
            .then(answer => answer.text())",
    );
    let export = export.as_str().unwrap();
    assert!(export.contains("{\"verified\":{\"checkpoints\""), "{export}");
    assert!(export.lines().count() > 5 && export.contains("\"denied\""), "{export}");
    alice.is_quiet();
}
