//! Forged forms, and forms sent again.

use serde_json::json;

use super::visitor::{ORIGIN_KEY, Visitor, act, hold, records};
use crate::support::{
    Home, Output, knock, mallory,
    pairing::{friends, id},
};

/// A policy that lets everything pass.
const LOOSE: &str = "version = 1\n[[allow]]\nname = \"all\"\n";

/// Every form there is.
fn forms(item: &str, peer: &str) -> Vec<String> {
    let mut all: Vec<String> =
        ["approve", "grant", "deny", "block"].map(|what| act(item, what)).to_vec();
    let plain = [
        "/unlock",
        "/lock",
        "/sign-out",
        "/setup",
        "/settings/inline",
        "/settings/policy",
        "/settings/policy/check",
        "/settings/policy/reset",
        "/settings/taint",
        "/settings/known/abcdefgh/forget",
        "/peers/invite",
        "/peers/connect",
    ];
    all.extend(plain.map(Into::into));
    all.extend(["revoke", "block"].map(|what| format!("/peers/{peer}/{what}")));
    all.push(format!("/conversations/{peer}/write"));
    all.push("/grants/abcdefgh/end".into());
    all
}

#[test]
fn a_form_without_its_sessions_token_does_nothing_even_with_the_passphrase() {
    let (alice, _bob) = friends();
    let item = hold(&alice, "bob", 1);
    let (mine, other) = (Visitor::unlocked(&alice), Visitor::unlocked(&alice));
    let digest = mine.digest(&item);
    let peer = alice.peer("bob").unwrap()["id"].as_str().unwrap().to_owned();
    let before = records(&alice);
    let near = format!("{}x", &mine.csrf[1..]);
    let fields = [
        ("origin_key", ORIGIN_KEY),
        ("digest", digest.as_str()),
        ("passphrase", alice.passphrase),
        ("hours", "1"),
        ("messages", "5"),
        ("severity", "critical"),
        ("text", "hello"),
        ("again", alice.passphrase),
    ];
    for path in forms(&item, &peer) {
        mine.bare_form(&path, &fields).send().expect(403);
        for token in ["", "0", near.as_str(), other.csrf.as_str()] {
            let fields = [&[("csrf", token)], fields.as_slice()].concat();
            mine.bare_form(&path, &fields).send().expect(403);
        }
        // The first of two counts.
        let twice = [&[("csrf", ""), ("csrf", mine.csrf.as_str())], fields.as_slice()].concat();
        mine.bare_form(&path, &twice).send().expect(403);
        // In the address it is none.
        let query = format!("{path}?csrf={}", mine.csrf);
        mine.bare_form(&query, &fields).send().expect(403);
    }
    assert_eq!(records(&alice), before);
    assert_eq!(alice.only_pending()["id"], item.as_str());
    assert!(mine.get("/settings").expect(200).text().contains("Unlocked"), "nor was it locked");
    assert_eq!(alice.json(&["grants"])["grants"], json!([]));
}

#[test]
fn a_form_from_before_a_lock_or_a_sign_out_approves_nothing() {
    let (alice, bob) = friends();
    let item = hold(&alice, "bob", 1);
    let visitor = Visitor::unlocked(&alice);
    let digest = visitor.digest(&item);
    let yes = visitor.form(&act(&item, "approve"), &[("digest", &digest)]);
    visitor.form("/lock", &[]).send().expect(303);
    yes.send().expect(303);
    assert!(visitor.get(&format!("/waiting/{item}")).text().contains("nothing was approved"));
    assert_eq!(alice.only_pending()["id"], item.as_str());
    visitor.told("/unlock", &[("passphrase", alice.passphrase)]);
    visitor.form("/sign-out", &[]).send().expect(303);
    for gone in [
        yes.clone(),
        visitor.form(&act(&item, "deny"), &[]),
        visitor.form("/unlock", &[("passphrase", alice.passphrase)]),
    ] {
        gone.send().expect(401);
    }
    let again = Visitor::unlocked(&alice);
    yes.send().expect(401);
    yes.header("Cookie", &again.cookie).send().expect(403);
    assert_eq!(alice.only_pending()["id"], item.as_str());
    assert!(bob.received().is_empty());
}

#[test]
fn a_decision_is_made_once_and_for_what_was_shown() {
    let (alice, bob) = friends();
    let [first, second, third] = [1, 2, 3].map(|number| hold(&alice, "bob", number));
    let visitor = Visitor::unlocked(&alice);
    let other = visitor.digest(&second);
    for digest in ["", "0", other.as_str(), &other.to_ascii_uppercase()] {
        let said = visitor.told(&act(&first, "approve"), &[("digest", digest)]);
        assert!(said.contains("not what this form was shown with"), "{digest}: {said}");
        let fields = [
            ("digest", digest),
            ("passphrase", alice.passphrase),
            ("hours", "1"),
            ("messages", "1"),
        ];
        let said = visitor.told(&act(&first, "grant"), &fields);
        assert!(said.contains("not what this form was shown with"), "{digest}: {said}");
    }
    assert_eq!(alice.pending().len(), 3);
    let yes = visitor.form(&act(&second, "approve"), &[("digest", &other)]);
    yes.send().expect(303);
    bob.received_text("key 2");
    let before = records_of_decisions(&alice);
    let no = visitor.form(&act(&second, "deny"), &[]);
    for late in [&yes, &no, &visitor.form(&act(&second, "block"), &[])] {
        let sent = late.send().expect(303);
        let said = visitor.get(sent.header("location").unwrap()).text();
        assert!(said.contains("waits") && said.contains(&second), "{said}");
    }
    let third_yes = visitor.form(&act(&third, "approve"), &[("digest", &visitor.digest(&third))]);
    visitor.form(&act(&third, "deny"), &[]).send().expect(303);
    third_yes.send().expect(303);
    assert_eq!(records_of_decisions(&alice), before + 1, "one no, and nothing after it");
    assert_eq!(alice.only_pending()["id"], first.as_str());
    assert_eq!(alice.peer_state("bob"), "trusted", "a late block is none");
    assert_eq!(bob.texts().len(), 1);
}

fn records_of_decisions(home: &Home) -> usize {
    let shown = home.json(&["audit", "show"])["records"].clone();
    let decided = |record: &&serde_json::Value| record["event"]["event"] == "decided";
    shown.as_array().unwrap().iter().filter(decided).count()
}

#[test]
fn two_answers_at_once_are_one() {
    let (alice, bob) = friends();
    let visitor = Visitor::unlocked(&alice);
    for number in 0..4 {
        let item = hold(&alice, "bob", number);
        let digest = visitor.digest(&item);
        let before = records_of_decisions(&alice);
        let yes = visitor.form(&act(&item, "approve"), &[("digest", &digest)]);
        let no = visitor.form(&act(&item, "deny"), &[]);
        std::thread::scope(|scope| {
            for form in [&yes, &no, &yes, &no] {
                scope.spawn(|| form.send().expect(303));
            }
        });
        assert_eq!(records_of_decisions(&alice), before + 1);
    }
    assert!(alice.pending().is_empty() && bob.received().len() <= 4);
}

#[test]
fn a_new_peer_a_grant_and_the_rule_for_clients_take_the_passphrase_anew() {
    let (alice, _bob) = friends();
    let mallory = mallory();
    let (at_alice, _) = knock(&alice, &mallory);
    let peer = id(&at_alice);
    let item = hold(&alice, "bob", 1);
    let visitor = Visitor::unlocked(&alice);
    let (for_peer, for_item) = (visitor.digest(peer), visitor.digest(&item));
    let bounds = [("hours", "1"), ("messages", "3"), ("severity", "critical")];
    let tries = [
        (act(peer, "approve"), vec![("digest", for_peer.as_str()), ("verified", "on")]),
        (act(&item, "grant"), [&[("digest", for_item.as_str())], bounds.as_slice()].concat()),
        ("/settings/inline".to_owned(), bounds.to_vec()),
        ("/settings/policy".to_owned(), vec![("policy", LOOSE)]),
        ("/settings/taint".to_owned(), Vec::new()),
        ("/settings/known/abcdefgh/forget".to_owned(), Vec::new()),
    ];
    for (path, fields) in &tries {
        for more in [vec![], vec![("passphrase", "")], vec![("Passphrase", alice.passphrase)]] {
            let said = visitor.told(path, &[fields.as_slice(), &more].concat());
            assert!(said.contains("always takes your approval passphrase"), "{path}: {said}");
        }
    }
    // A grant for a peer is none, with the passphrase too.
    let fields =
        [&[("digest", for_peer.as_str()), ("passphrase", alice.passphrase)], bounds.as_slice()]
            .concat();
    let said = visitor.told(&act(peer, "grant"), &fields);
    assert!(said.contains("a new peer is never covered by a grant"), "{said}");
    assert_eq!(alice.pending().len(), 2);
    assert_eq!(alice.peer_state("mallory"), "incoming");
    assert_eq!(alice.json(&["grants"])["grants"], json!([]));
    assert_eq!(alice.json(&["policy", "inline"])["on"], false);
}

#[test]
fn wrong_passphrases_on_the_page_count_and_five_lock_but_a_no_goes_on() {
    let (alice, bob) = friends();
    let mallory = mallory();
    let (at_alice, _) = knock(&alice, &mallory);
    let peer = id(&at_alice);
    let item = hold(&alice, "bob", 1);
    let visitor = Visitor::unlocked(&alice);
    let (for_peer, for_item) = (visitor.digest(peer), visitor.digest(&item));
    let wrong = |digest: &str| -> Vec<(&str, String)> {
        let fields = [
            ("digest", digest),
            ("verified", "on"),
            ("hours", "1"),
            ("messages", "1"),
            ("severity", "high"),
        ];
        let mut fields: Vec<_> = fields.map(|(name, value)| (name, value.to_owned())).to_vec();
        fields.push(("passphrase", "not the passphrase of anyone".to_owned()));
        fields.iter().map(|(name, value)| (*name, value.clone())).collect()
    };
    let tries = [
        (act(peer, "approve"), for_peer.as_str(), "4 tries are left"),
        (act(&item, "approve"), for_item.as_str(), "3 tries are left"),
        (act(&item, "grant"), for_item.as_str(), "2 tries are left"),
        ("/settings/inline".to_owned(), "", "one try is left"),
        ("/unlock".to_owned(), "", "approvals are locked until 20"),
    ];
    for (path, digest, expected) in tries {
        let fields = wrong(digest);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let said = visitor.told(&path, &fields);
        assert!(said.contains(expected), "{path}: {said}");
        assert!(!said.contains("not the passphrase of anyone"), "{path}: it is not shown again");
    }
    // From here on the right one is not even tried, here or elsewhere.
    let fields = [("digest", for_peer.as_str()), ("passphrase", alice.passphrase)];
    let said = visitor.told(&act(peer, "approve"), &fields);
    assert!(said.contains("locked") && said.contains("until 20"), "{said}");
    let elsewhere = Visitor::open(&alice).told("/unlock", &[("passphrase", alice.passphrase)]);
    assert!(elsewhere.contains("locked") && elsewhere.contains("until 20"), "{elsewhere}");
    let terminal: Output = crate::support::pty::try_approve(&alice, &item, alice.passphrase);
    terminal.expect(1).says(&["locked"]);
    assert_eq!(alice.pending().len(), 2);
    for item in [peer, &item] {
        visitor.form(&act(item, "deny"), &[]).send().expect(303);
    }
    assert!(alice.pending().is_empty(), "a no needs no passphrase");
    assert!(bob.received().is_empty());
}
