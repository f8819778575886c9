//! Without a mouse.

use super::{Person, send_secret};
use crate::support::{browser::browser, pairing::friends};

fn at(person: &Person<'_>, selector: &str) -> bool {
    person.page.eval(&format!("document.activeElement.matches(\"{selector}\")")) == true
}

/// Goes there with Tab alone.
fn tab_to(person: &Person<'_>, selector: &str) {
    let mut steps = 0..60;
    while !at(person, selector) {
        assert!(steps.next().is_some(), "Tab does not lead to {selector}");
        person.page.press("Tab");
    }
}

#[test]
fn a_yes_and_a_no_are_reached_and_given_with_tab_enter_and_space() {
    let Some(browser) = browser() else { return };
    let (home, bob) = friends();
    send_secret(&home, "bob", "one");
    let alice = Person::at(&browser, &home);
    alice.page.press("Tab");
    assert!(at(&alice, ".skip"), "the first stop leads past the navigation");
    alice.page.press("Enter");
    tab_to(&alice, ".payload");
    tab_to(&alice, ".approve input[type=password]");
    for c in home.passphrase.chars() {
        alice.page.press(&c.to_string());
    }
    tab_to(&alice, "[data-approve]");
    alice.page.leaves(|| alice.page.press("Enter"));
    alice.reads("on its way");
    bob.received_text("one");

    send_secret(&home, "bob", "two");
    alice.reads("1 decision");
    tab_to(&alice, "[data-deny]");
    alice.page.leaves(|| alice.page.press(" "));
    alice.reads("Denied: it does not pass.");
    assert_eq!(bob.texts().len(), 1);
    alice.is_quiet();
}

#[test]
fn keys_lead_to_cards_and_buttons_and_none_decides() {
    let Some(browser) = browser() else { return };
    let (home, _bob) = friends();
    let items = ["one", "two"].map(|words| send_secret(&home, "bob", words));
    let alice = Person::unlocked(&browser, &home);
    alice.visit("/waiting");
    for key in ('!'..='~').filter(|key| *key != '/') {
        alice.page.press(&key.to_string());
        if alice.page.exists("#help[open]") {
            alice.page.press("Escape");
        }
    }
    for key in ["Enter", "Escape", "Delete", "Backspace", "Home", "End", "ArrowDown"] {
        alice.visit("/waiting");
        alice.page.press("j");
        alice.page.press(key);
    }
    assert_eq!(alice.place(), "/waiting");
    assert_eq!(home.pending().len(), 2, "no key decides");

    alice.visit("/waiting");
    let card = |at: usize| format!("#item-{} *", items[at]);
    let focused = |at: usize| {
        alice.page.eval(&format!("document.activeElement.closest('#item-{}') !== null", items[at]))
            == true
    };
    alice.page.press("j");
    assert!(focused(0));
    alice.page.press("j");
    assert!(focused(1) && at(&alice, "[data-card]"), "{}", card(1));
    alice.page.press("d");
    assert!(focused(1) && at(&alice, "[data-deny]"));
    alice.page.press("k");
    alice.page.press("a");
    assert!(focused(0) && at(&alice, "[data-approve]"));
    alice.page.press("?");
    alice.reads("No key approves or denies by itself");
    alice.page.press("Escape");
    assert!(at(&alice, "[data-approve]"), "and back where it was");
    assert_eq!(home.pending().len(), 2);
    alice.page.leaves(|| alice.page.press("Enter"));
    alice.reads("on its way");
    assert_eq!(home.pending()[0]["id"], items[1].as_str());
    alice.page.leaves(|| alice.page.press("/"));
    assert_eq!(alice.place(), "/search");
    alice.page.press("/");
    assert!(at(&alice, "#q"));
    alice.is_quiet();
}
