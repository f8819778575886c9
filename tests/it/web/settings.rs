//! Settings: what a client's answer counts for.

use super::Person;
use crate::support::{browser::browser, pairing::friends};

#[test]
fn a_clients_answers_are_off_until_they_are_signed_for_and_off_again_with_a_click() {
    let Some(browser) = browser() else { return };
    let (home, _bob) = friends();
    let alice = Person::unlocked(&browser, &home);
    alice.visit("/settings");
    alice.reads("It is off.");
    alice.page.click(".more:has(form[action='/settings/inline']) > summary");
    let form = "form[action='/settings/inline']";
    let choices = alice.page.eval(&format!(
        "Array.from(document.querySelectorAll(\"{form} option\"), option => option.value)"
    ));
    for choice in choices.as_array().unwrap() {
        let choice = choice.as_str().unwrap();
        alice.visit("/settings");
        alice.page.click(".more:has(form[action='/settings/inline']) > summary");
        alice.page.eval(&format!("document.querySelector('#severity').value = '{choice}'"));
        alice.type_passphrase(form);
        alice.page.follow(&format!("{form} button"));
        alice.reads("From now on your MCP client may ask you, and its answer counts.");
        alice.reads("It is on:");
        alice.page.follow("form[action^='/grants/'] button");
        alice.reads("This grant has ended");
        alice.reads("It is off.");
    }
    alice.is_quiet();
}
