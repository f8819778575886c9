//! How long the page is open, and for what.

use super::{Person, link, send_secret};
use crate::support::{browser::browser, pairing::friends};

#[test]
fn what_was_locked_elsewhere_or_by_itself_is_shown_locked() {
    let Some(browser) = browser() else { return };
    let (home, _bob) = friends();
    send_secret(&home, "bob", "the key is");
    let alice = Person::unlocked(&browser, &home);
    alice.visit("/waiting");
    let left = alice.page.text("#lock time");
    assert!(left.contains("9 minutes left") || left.contains("10 minutes left"), "{left}");
    assert!(!alice.page.exists(".approve input[type=password]"));
    // Her session is locked behind this tab's back, as the node does by itself after ten minutes;
    // the tab's clock goes on by as much, as after a sleep of the machine.
    alice.page.eval(
        "(async () => { const form = new FormData(document.querySelector('form[action=\"/lock\"]'));
            await fetch('/lock', {method: 'POST', body: new URLSearchParams(form)}); })()",
    );
    alice.page.eval("{ const now = Date.now; Date.now = () => now() + 11 * 60000; true }");
    alice.page.eval("document.dispatchEvent(new Event('visibilitychange'))");
    alice.page.wait_for("document.querySelector('#lock .quiet')");
    assert!(alice.page.exists(".approve input[type=password]"), "a yes takes the passphrase again");
    alice.is_quiet();
}

#[test]
fn signing_out_closes_every_page_of_this_browser() {
    let Some(browser) = browser() else { return };
    let (home, _bob) = friends();
    let alice = Person::unlocked(&browser, &home);
    alice.visit_peer("conversations", "bob");
    alice.page.paste_into("#text", "half a thought");
    alice.visit("/settings");
    alice.page.follow("form[action='/sign-out'] button");
    assert_eq!(alice.place(), "/open");
    assert_eq!(alice.page.eval("sessionStorage.length"), 0, "and drafts are gone");
    for place in ["/waiting", "/settings", "/evidence/export"] {
        alice.visit(place);
        alice.reads("This page is not open yet");
        alice.reads("countersign page --open");
    }
    // The same tab opens again with a new link.
    alice.page.goto(&link(&home));
    alice.page.wait_for("location.pathname === '/waiting'");
    assert!(!alice.page.exists("[data-unlocked]"), "and is locked");
    alice.is_quiet_but_for(&["401 (Unauthorized)"]);
}
