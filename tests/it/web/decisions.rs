//! Yes and no on the page: once, for good, and for a while.

use super::{Person, card, secret, send_secret};
use crate::support::{SOON, browser::browser, pairing::friends, stays, until};
use std::time::Duration;

/// Long enough for a node on the same machine to do what it must not.
const A_MOMENT: Duration = Duration::from_secs(1);

#[test]
fn a_denied_message_leaves_the_page_and_never_the_machine() {
    let Some(browser) = browser() else { return };
    let (home, bob) = friends();
    let item = send_secret(&home, "bob", "the key is");
    let alice = Person::at(&browser, &home);
    alice.reads("1 decision");
    alice.page.follow(&format!("{} [data-deny]", card(&item)));
    alice.reads("Denied: it does not pass.");
    alice.reads("Nothing waits.");
    alice.visit_peer("conversations", "bob");
    alice.reads("denied");
    stays("nothing arrives", A_MOMENT, || bob.texts().is_empty());
    alice.visit(&format!("/waiting/{item}"));
    assert!(!alice.page.exists("[data-approve]"), "what is decided is no question any more");
    alice.reads("This waits no more.");
    alice.is_quiet_but_for(&["404 (Not Found)"]);
}

#[test]
fn deny_and_block_ends_the_peer_after_a_second_look() {
    let Some(browser) = browser() else { return };
    let (home, bob) = friends();
    let hidden = format!("see the attached{} notes", "\u{200b}".repeat(9));
    let sent = bob.json_code(&["send", "alice", &hidden], 3);
    bob.approve(sent["pending"].as_str().unwrap());
    until("alice is asked about it", SOON, || home.pending().len() == 1);
    let alice = Person::at(&browser, &home);
    alice.reads("zero-width");
    alice.visit_peer("conversations", "bob");
    alice.reads("held");
    assert!(!alice.text().contains("held by peer"), "it is us who hold it: {}", alice.text());
    alice.visit("/waiting");
    let chip = alice.page.text(".payload .chip");
    assert!(chip.contains("zero width space") && chip.contains("U+200B ×9"), "{chip}");
    let block = ".more:has(form[action$='/block'])";
    assert!(
        alice.page.eval(&format!("!document.querySelector(\"{block}\").open")) == true,
        "one click does not block"
    );
    alice.page.click(&format!("{block} > summary"));
    alice.page.follow(&format!("{block} button"));
    alice.reads("nothing more is heard of this peer");
    assert_eq!(home.peer_state("bob"), "blocked");
    alice.visit_peer("peers", "bob");
    alice.reads("bob is blocked");
    alice.is_quiet();
}

#[test]
fn what_was_found_far_down_in_a_long_text_is_one_click_away() {
    let Some(browser) = browser() else { return };
    let (home, _bob) = friends();
    let item = send_secret(&home, "bob", &"and so on, \n".repeat(5000));
    let alice = Person::at(&browser, &home);
    let seen = "(() => { const mark = document.querySelector('.payload mark');
        const place = mark.getBoundingClientRect();
        return mark.contains(document.elementFromPoint(place.left + 4, place.top + 4)); })()";
    assert_eq!(alice.page.eval(seen), false);
    alice.page.click(&format!("{} a[href^='#found-']", card(&item)));
    alice.page.wait_for(seen);
    alice.is_quiet();
}

#[test]
fn a_grant_lets_the_like_of_a_message_pass_until_it_is_ended() {
    let Some(browser) = browser() else { return };
    let (home, bob) = friends();
    let item = send_secret(&home, "bob", "first");
    let alice = Person::unlocked(&browser, &home);
    alice.visit("/waiting");
    alice.page.click(".more:has(form[action$='/grant']) > summary");
    alice.reads("without asking you");
    let form = format!("form[action='/waiting/{item}/grant']");
    alice.type_passphrase(&form);
    alice.page.follow(&format!("{form} button"));
    alice.reads("Approved, with a grant that you signed");
    bob.received_text("first");

    let passed = home.json(&["send", "bob", &format!("second {}", secret())]);
    assert_ne!(passed["state"], "held", "{passed:#}");
    bob.received_text("second");
    alice.visit_peer("conversations", "bob");
    alice.page.click(".bubbles li:last-child .life summary");
    alice.reads("grant signed beforehand");
    alice.visit("/evidence");
    alice.reads("without asking you");

    alice.visit_peer("peers", "bob");
    alice.reads("19 messages left");
    alice.page.wait_for("document.querySelector('.grants time').innerText.includes('left')");
    alice.page.follow("form[action^='/grants/'] button");
    alice.reads("This grant has ended: you are asked again.");
    send_secret(&home, "bob", "third");
    alice.is_quiet();
}

#[test]
fn a_locked_page_takes_the_passphrase_with_the_yes_and_a_wrong_one_is_no_yes() {
    let Some(browser) = browser() else { return };
    let (home, bob) = friends();
    let (first, second) = (send_secret(&home, "bob", "one"), send_secret(&home, "bob", "two"));
    let alice = Person::at(&browser, &home);
    let button = format!("{} [data-approve]", card(&first));
    alice.page.click(&button);
    assert!(
        alice.page.eval("document.activeElement.type === 'password'") == true,
        "the browser asks for what is missing"
    );
    alice.page.type_into(&format!("{} .approve input[type=password]", card(&first)), "not it");
    alice.page.follow(&button);
    alice.reads("4 tries are left");
    assert_eq!(home.pending().len(), 2);
    alice.type_passphrase(&format!("{} .approve", card(&first)));
    alice.page.follow(&button);
    alice.reads("on its way");
    bob.received_text("one");
    // As the field said, what was typed holds for the next message, until it is locked.
    assert!(!alice.page.exists(&format!("{} .approve input[type=password]", card(&second))));
    alice.page.follow("form[action='/lock'] button");
    alice.reads("Locked: the next yes takes your passphrase.");
    assert!(alice.page.exists(&format!("{} .approve input[type=password]", card(&second))));
    alice.page.follow(&format!("{} a[href$='/raw']", card(&second)));
    alice.reads("00000000  ");
    until("one decision is left", SOON, || home.pending().len() == 1);
    alice.is_quiet();
}

#[test]
fn revoked_trust_is_gone_on_the_page_and_for_the_agent() {
    let Some(browser) = browser() else { return };
    let (home, bob) = friends();
    let alice = Person::at(&browser, &home);
    alice.visit_peer("peers", "bob");
    alice.reads("Both humans signed one record.");
    assert_eq!(alice.page.eval("document.querySelectorAll('.words li').length"), 4);
    alice.page.click(".more:has(form[action$='/revoke']) > summary");
    assert_eq!(alice.page.text("form[action$='/revoke'] button"), "Revoke bob");
    alice.page.follow("form[action$='/revoke'] button");
    alice.reads("bob is not trusted any more.");
    assert_eq!(home.peer_state("bob"), "revoked");
    home.run(&["send", "bob", "are you there?"]).expect(1);
    alice.visit_peer("conversations", "bob");
    assert!(!alice.page.exists("#write"), "there is nobody to write to");
    stays("nothing arrives", A_MOMENT, || bob.texts().is_empty());
    alice.is_quiet();
}
