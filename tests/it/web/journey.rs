//! A person who has only the page: from nothing to a message that they let out.

use super::{Person, link, opened, secret};
use crate::support::{
    Home, SOON,
    browser::{Effort, browser},
    mcp::Session,
    until,
};
use serde_json::json;

/// An empty home and its page, whose link a command gave.
fn newcomer(name: &'static str, passphrase: &'static str) -> Home {
    Home::empty(name, passphrase)
}

pub(super) fn set_up(person: &Person<'_>, first: &str, second: &str) {
    person.page.type_into("#new-passphrase", first);
    person.page.type_into("#again", second);
    person.page.follow("form .primary");
}

#[test]
fn a_passphrase_that_is_guessed_or_mistyped_is_refused_with_the_reason() {
    let Some(browser) = browser() else { return };
    let home = newcomer("alice", "mauve otter drifts past nine lanterns");
    let alice = Person::at(&browser, &home);
    assert_eq!(alice.place(), "/setup");
    for place in ["/waiting", "/peers", "/settings"] {
        alice.visit(place);
        assert_eq!(alice.place(), "/setup", "{place} is not there before the set-up");
    }
    alice.page.eval("document.querySelector('#name').value = 'Alice of Accounts'");
    set_up(&alice, "password1", "password1");
    alice.reads("passphrase is too easy to guess: This is a very common password");
    assert_eq!(alice.page.eval("document.querySelector('#name').value"), "Alice of Accounts");
    assert_eq!(alice.page.eval("document.querySelector('#new-passphrase').value"), "");
    set_up(&alice, home.passphrase, "mauve otter drifts past ten lanterns");
    alice.reads("two passphrases differ");
    assert!(!home.path().join("approver.key").exists());
    set_up(&alice, home.passphrase, home.passphrase);
    alice.reads("Approvals are set up");
    assert!(alice.page.exists("[data-unlocked]"));
    alice.visit("/setup");
    assert_ne!(alice.place(), "/setup", "it is done once");
    alice.is_quiet();
}

/// Both at once: what one does, the other sees.
pub(super) fn pair_on_the_page(alice: &Person<'_>, bob: &Person<'_>) {
    alice.page.follow("form[action='/peers/invite'] button");
    let invite = alice.page.text("#invite-text");
    alice.page.click("[data-copy=invite-text]");
    bob.page.paste_into("#invite", &invite);
    bob.page.follow("form[action='/peers/connect'] button");
    assert!(bob.place().starts_with("/waiting/"), "{}", bob.text());
    alice.page.wait_for("document.title.startsWith('(1) ')");
    alice.page.follow("nav.main a[href='/waiting']");
    let words = alice.page.text(".words");
    assert_eq!(words.split_whitespace().count(), 4, "{words}");
    assert_eq!(words, bob.page.text(".words"), "both read the same four words");
    for person in [bob, alice] {
        person.page.click(".approve input[type=checkbox]");
        person.type_passphrase(".approve");
        person.page.follow(".approve [data-approve]");
        person.reads("Approved: you are connected as soon as the other person says yes too.");
    }
    for (person, other) in [(alice, "bob"), (bob, "alice")] {
        let peer = until("the peer is trusted", SOON, || {
            person.home.peer(other).filter(|peer| peer["state"] == "trusted")
        });
        assert_eq!(peer["verified"], true, "{peer:#}");
    }
}

#[test]
fn a_person_who_has_only_the_page_pairs_and_lets_a_message_out_with_few_clicks() {
    let Some(browser) = browser() else { return };
    let homes = [
        newcomer("alice", "mauve otter drifts past nine lanterns"),
        newcomer("bob", "gravel violin borrowed a copper umbrella"),
    ];
    let people = homes.each_ref().map(|home| {
        home.run(&["page", "--name", home.name]).expect(0);
        Person::at(&browser, home)
    });
    let [alice, bob] = &people;
    for person in &people {
        set_up(person, person.home.passphrase, person.home.passphrase);
        assert_eq!(person.place(), "/peers", "what comes next is a peer");
    }
    pair_on_the_page(alice, bob);

    let agent = Session::modern(alice.home);
    let text = format!("The deploy token for staging is {}.", secret());
    let sent = agent.call("peer_send", json!({"to": "bob", "text": text}));
    assert_eq!(sent["state"], "held", "{sent:#}");
    alice.reads("a GitHub token");
    assert_eq!(alice.page.text(".payload"), text);
    assert!(alice.page.exists(".payload mark"), "what was found is marked");
    alice.page.follow("[data-approve]");
    alice.reads("it carries your countersignature and is on its way");

    bob.home.received_text("deploy token");
    bob.page.follow("nav.main a[href='/conversations']");
    bob.page.follow(".list .row-link");
    assert_eq!(bob.page.text(".bubble .said"), text);
    bob.page.wait_for("document.querySelector('.bubble .state').innerText.includes('accepted')");
    let seen = bob.page.eval("document.querySelector('.bubble .facts').textContent");
    assert!(seen.as_str().unwrap().contains("a click on the unlocked page"), "{seen}");

    let done = people.each_ref().map(|person| person.page.effort());
    // What safety needs: both set up a passphrase that is typed twice, both compare the words, say
    // so, and type the passphrase; the message takes one click.
    assert_eq!(done[0], Effort { clicks: 7, fields: 3 }, "Alice");
    assert_eq!(done[1], Effort { clicks: 6, fields: 4 }, "Bob");
    people.iter().for_each(Person::is_quiet);
}

#[test]
fn a_link_is_useless_the_second_time_and_says_so() {
    let Some(browser) = browser() else { return };
    let home = newcomer("alice", "mauve otter drifts past nine lanterns");
    let url = link(&home);
    let page = browser.stranger();
    page.goto(&url);
    page.wait_for("location.pathname === '/setup'");
    assert!(!page.url().contains('#'), "the code does not stay in the address");
    let other = browser.stranger();
    other.goto(&url);
    other.wait_for("document.querySelector('[role=alert]')");
    let said = other.text("main");
    assert!(said.contains("link was used already, or its time is over"), "{said}");
    assert!(said.contains("countersign page"), "and what to do: {said}");
    opened(&other, &home);
    assert!(other.url().ends_with("/setup"));
}
