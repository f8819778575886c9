use axum::http::{StatusCode, header::LOCATION};
use data_encoding::HEXLOWER;

use super::support::{Desk, PASSPHRASE, human_key, message, node_key, peer};
use crate::{
    base::limits::{PASSPHRASE_TRIES, TEXT_BYTES_MAX},
    gate::{Answer, Item},
    node::{
        api::{HumanRequest, PeerRef, SignedHex},
        review::grant_text,
    },
    policy::Strength,
    risk::Severity,
    wire::{Direction, Grant, GrantKind, Method, SignedGrant},
};

const APPROVE: &str = "/waiting/abcdefgh/approve";
/// A text in whose bytes something is found.
const SECRET: &str = "the key is AKIAIOSFODNN7EXAMPLE";
const GRANT: &str = "/waiting/abcdefgh/grant";

#[tokio::test]
async fn a_message_is_approved_with_the_passphrase_or_within_an_unlocked_session() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let item = message("my token is tk");
    let digest = desk.waits(&item);
    let shown = browser.get("/waiting/abcdefgh").await.text;
    let session =
        shown.split_once("For the session <code class=\"session\">").map(|(_, rest)| rest);
    assert!(session.is_some_and(|rest| rest.split("</code>").next().unwrap().contains("api")));
    let told = browser.told(APPROVE, &[("digest", &digest)]).await;
    assert!(told.contains("the page is locked"), "{told}");
    assert!(desk.decisions().is_empty());
    let told = browser.told(APPROVE, &[("digest", &digest), ("passphrase", PASSPHRASE)]).await;
    assert!(told.contains("Approved"), "{told}");
    // Typed once, it holds for the next.
    let next = desk.waits(&message("another token is tk"));
    browser.told(APPROVE, &[("digest", &next)]).await;
    let decisions = desk.decisions();
    let said: Vec<_> = decisions.iter().map(|(said, _)| (said.answer, said.method)).collect();
    let yes = Answer::Approve;
    assert_eq!(said, [(yes, Method::Passphrase), (yes, Method::Session)]);
    assert_eq!(decisions[0].0.digest, item.digest());
}

#[tokio::test]
async fn an_unlocked_session_does_not_approve_a_peer_without_the_passphrase() {
    let desk = Desk::new();
    let browser = desk.unlocked().await;
    let digest = desk.waits(&peer());
    let told = browser.told(APPROVE, &[("digest", &digest), ("verified", "on")]).await;
    assert!(told.contains("always takes your approval passphrase"), "{told}");
    assert!(desk.decisions().is_empty());
    let typed = [("digest", digest.as_str()), ("verified", "on"), ("passphrase", PASSPHRASE)];
    let told = browser.told(APPROVE, &typed).await;
    assert!(told.contains("Approved"), "{told}");
    let (said, _) = desk.decisions().remove(0);
    assert_eq!((said.method, said.verified), (Method::Passphrase, true));
}

#[tokio::test]
async fn a_code_verifies_nobody_without_the_humans_tick() {
    let desk = Desk::new();
    let browser = desk.open().await;
    for tick in [false, true] {
        let digest = desk.waits_by(&peer(), true);
        let shown = browser.get("/waiting").await.text;
        assert!(shown.contains("Paired by a code") && shown.contains("The four words"), "{shown}");
        assert!(shown.contains("I told this person the three words myself"), "{shown}");
        let mut typed = vec![("digest", digest.as_str()), ("passphrase", PASSPHRASE)];
        typed.extend(tick.then_some(("verified", "on")));
        let told = browser.told(APPROVE, &typed).await;
        assert!(told.contains("Approved"), "{told}");
        assert_eq!(desk.decisions().pop().unwrap().0.verified, tick);
    }
}

#[tokio::test]
async fn what_its_receiver_takes_only_with_the_passphrase_asks_for_it_afresh() {
    let desk = Desk::new();
    let browser = desk.unlocked().await;
    for least in [Strength::Passphrase, Strength::Passkey] {
        desk.world.lock().unwrap().least = Some(least);
        let digest = desk.waits(&message(SECRET));
        let shown = browser.get("/waiting").await.text;
        assert!(shown.contains("for this decision alone"), "{least:?}: {shown}");
        assert!(!shown.contains("allow the like of it"), "no grant covers it: {shown}");
        let told = browser.told(APPROVE, &[("digest", &digest)]).await;
        assert!(told.contains("always takes your approval passphrase"), "{told}");
        assert!(desk.decisions().is_empty());
    }
    let digest = desk.waits(&message(SECRET));
    browser.told(APPROVE, &[("digest", &digest), ("passphrase", PASSPHRASE)]).await;
    // What the receiver takes with less needs no more than before.
    desk.world.lock().unwrap().least = Some(Strength::Session);
    let digest = desk.waits(&message(SECRET));
    browser.told(APPROVE, &[("digest", &digest)]).await;
    let methods: Vec<_> = desk.decisions().iter().map(|(said, _)| said.method).collect();
    assert_eq!(methods, [Method::Passphrase, Method::Session]);
}

#[tokio::test]
async fn a_passphrase_for_a_peer_a_grant_or_a_rule_unlocks_nothing() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let digest = desk.waits(&peer());
    browser.told(APPROVE, &[("digest", &digest), ("passphrase", PASSPHRASE)]).await;
    assert!(!browser.get("/settings").await.text.contains("data-unlocked"), "after a peer");
    let bounds = [("hours", "8"), ("messages", "5"), ("severity", "high")];
    let typed = [bounds.as_slice(), &[("passphrase", PASSPHRASE)]].concat();
    let digest = desk.waits(&message(SECRET));
    browser.told(GRANT, &[typed.as_slice(), &[("digest", &digest)]].concat()).await;
    assert!(!browser.get("/settings").await.text.contains("data-unlocked"), "after a grant");
    browser.told("/settings/inline", &typed).await;
    assert!(!browser.get("/settings").await.text.contains("data-unlocked"), "after a rule");
    let digest = desk.waits(&message("text"));
    let told = browser.told(APPROVE, &[("digest", &digest)]).await;
    assert!(told.contains("the page is locked"), "{told}");
    assert_eq!(desk.decisions().len(), 2, "the peer and the message with its grant");
    let signed = |asked: &HumanRequest| matches!(asked, HumanRequest::Grant(_));
    assert!(desk.asked().iter().any(signed), "the rule");
    // Nor does it end or lengthen what a message's passphrase unlocked.
    let browser = desk.unlocked().await;
    let digest = desk.waits(&peer());
    browser.told(APPROVE, &[("digest", &digest), ("passphrase", PASSPHRASE)]).await;
    assert!(browser.get("/settings").await.text.contains("data-unlocked"));
}

#[tokio::test]
async fn words_that_nobody_compared_are_not_said_to_be_compared() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let digest = desk.waits(&peer());
    browser.told(APPROVE, &[("digest", &digest), ("passphrase", PASSPHRASE)]).await;
    assert!(!desk.decisions().remove(0).0.verified);
    let digest = desk.waits(&message("my token is tk"));
    let typed = [("digest", digest.as_str()), ("verified", "on"), ("passphrase", PASSPHRASE)];
    browser.told(APPROVE, &typed).await;
    assert!(!desk.decisions().remove(1).0.verified, "a message has no words");
}

#[tokio::test]
async fn what_was_not_shown_is_not_signed() {
    let desk = Desk::new();
    let browser = desk.unlocked().await;
    let shown = desk.waits(&message("harmless"));
    let other = desk.waits(&message("something else"));
    for digest in ["", "0", shown.as_str(), &other.to_uppercase()] {
        let told = browser.told(APPROVE, &[("digest", digest)]).await;
        assert!(told.contains("not what this form was shown with"), "{told}");
    }
    // A node that describes other bytes than it has.
    desk.world.lock().unwrap().items[0].item.digest = shown.clone();
    let told = browser.told(APPROVE, &[("digest", &shown)]).await;
    assert!(told.contains("not what the node says"), "{told}");
    assert!(desk.decisions().is_empty());
}

#[tokio::test]
async fn a_yes_is_for_the_sources_and_the_strength_that_were_shown_too() {
    let desk = Desk::new();
    let browser = desk.unlocked().await;
    let shown = desk.waits(&message("text"));
    let read = |n: u8| PeerRef { id: node_key(n).id().to_string(), name: "carol".to_owned() };
    let becomes = |after: &[u8], strength: Option<Strength>| {
        let item = &mut desk.world.lock().unwrap().items[0].item;
        (item.after, item.strength) = (after.iter().map(|n| read(*n)).collect(), strength);
    };
    let form = async || {
        let page = browser.get("/waiting/abcdefgh").await.text;
        let value = page.split("name=\"digest\" value=\"").nth(1).unwrap();
        value.split('"').next().unwrap().to_owned()
    };
    assert_eq!(form().await, shown);
    becomes(&[4, 3], None);
    let both = form().await;
    let asks = async |digest: &str| {
        let typed = [("digest", digest), ("passphrase", PASSPHRASE)];
        browser.told(APPROVE, &typed).await
    };
    for (digest, after, strength) in [
        (&shown, [3].as_slice(), None),
        (&shown, &[], Some(Strength::Session)),
        (&both, &[3, 4], None),
        (&both, &[3], None),
        (&both, &[4, 3], Some(Strength::Client)),
        (&both, &[], None),
    ] {
        becomes(after, strength);
        let told = asks(digest).await;
        assert!(told.contains("not what this form was shown with"), "{after:?}: {told}");
    }
    assert!(desk.decisions().is_empty());
    becomes(&[4, 3], None);
    assert!(asks(&both).await.contains("Approved"));
    assert_eq!(desk.decisions()[0].0.after, [node_key(4).id(), node_key(3).id()]);
}

#[tokio::test]
async fn what_is_over_or_not_ready_is_not_signed_and_takes_no_passphrase() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let digest = desk.waits(&message("text"));
    let typed = [("digest", digest.as_str()), ("passphrase", "wrong")];
    desk.world.lock().unwrap().items[0].item.not_ready = Some("no answer yet".to_owned());
    assert!(browser.told(APPROVE, &typed).await.contains("no answer yet"));
    desk.world.lock().unwrap().items[0].item.not_ready = None;
    desk.world.lock().unwrap().items[0].item.expires_at = "2020-01-01T00:00:00.000Z".to_owned();
    assert!(browser.told(APPROVE, &typed).await.contains("expired"));
    desk.world.lock().unwrap().items.clear();
    assert!(browser.told(APPROVE, &typed).await.contains("no such item"));
    assert!(desk.decisions().is_empty());
    assert!(!desk.home.attempts_file().exists(), "no try was counted");
}

#[tokio::test]
async fn wrong_passphrases_are_counted_until_approvals_lock() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let digest = desk.waits(&message("text"));
    let wrong = [("digest", digest.as_str()), ("passphrase", "wrong")];
    for left in (1..PASSPHRASE_TRIES).rev() {
        let told = browser.told(APPROVE, &wrong).await;
        let expected = if left == 1 { "one try".to_owned() } else { format!("{left} tries") };
        assert!(told.contains(&expected), "{left}: {told}");
    }
    assert!(browser.told("/unlock", &[("passphrase", "wrong")]).await.contains("locked until"));
    let right = [("digest", digest.as_str()), ("passphrase", PASSPHRASE)];
    assert!(browser.told(APPROVE, &right).await.contains("locked after wrong"));
    assert!(desk.decisions().is_empty());
}

#[tokio::test]
async fn locking_and_signing_out_end_what_a_click_can_do() {
    let desk = Desk::new();
    let browser = desk.unlocked().await;
    let digest = desk.waits(&message("text"));
    let told = browser.told("/lock", &[]).await;
    assert!(told.contains("Locked"), "{told}");
    browser.told(APPROVE, &[("digest", &digest)]).await;
    let other = desk.unlocked().await;
    browser.told(APPROVE, &[("digest", &digest)]).await;
    assert!(desk.decisions().is_empty(), "another session's passphrase is not this one's");
    other.told(APPROVE, &[("digest", &digest)]).await;
    assert_eq!(desk.decisions().len(), 1);
}

#[tokio::test]
async fn a_lock_or_a_sign_out_while_a_passphrase_is_checked_wins() {
    for (end, path) in [("/lock", APPROVE), ("/sign-out", APPROVE), ("/lock", "/unlock")] {
        for item in [message("text"), peer()] {
            let desk = Desk::new();
            let browser = desk.open().await;
            let digest = desk.waits(&item);
            // Another check is running, so that this one waits its turn.
            let (running, done) = std::sync::mpsc::channel::<()>();
            let page = desk.page.clone();
            let before = tokio::spawn(async move {
                page.with_passphrase(move || Ok(done.recv().is_err())).await.unwrap()
            });
            let typed = [("digest", digest.as_str()), ("passphrase", PASSPHRASE)];
            let deciding = browser.post(path, &typed);
            let ending = async {
                // The form is being waited on by now: it is polled first.
                assert_eq!(browser.post(end, &[]).await.status, StatusCode::SEE_OTHER);
                drop(running);
                assert!(before.await.unwrap());
            };
            tokio::join!(biased; deciding, ending);
            assert!(desk.decisions().is_empty(), "{end} {path}");
            let settings = browser.get("/settings").await.text;
            assert!(!settings.contains("data-unlocked"), "{end} {path}");
        }
    }
}

#[tokio::test]
async fn a_no_takes_no_passphrase() {
    let desk = Desk::new();
    let browser = desk.open().await;
    for (path, block) in [("/waiting/abcdefgh/deny", false), ("/waiting/abcdefgh/block", true)] {
        desk.waits(&peer());
        let sent = browser.post(path, &[]).await;
        assert_eq!(
            (sent.status, &sent.headers[LOCATION]),
            (StatusCode::SEE_OTHER, &"/waiting".parse().unwrap())
        );
        let asked = desk.asked();
        let last = asked.iter().rev().find_map(|request| {
            let HumanRequest::Deny { id, block } = request else { return None };
            Some((id.as_str(), *block))
        });
        assert_eq!(last, Some(("abcdefgh", block)));
    }
}

#[tokio::test]
async fn a_grant_takes_the_passphrase_and_is_as_wide_as_the_message() {
    let desk = Desk::new();
    let browser = desk.unlocked().await;
    let digest = desk.waits(&message(SECRET));
    let bounds = [("digest", digest.as_str()), ("hours", "24"), ("messages", "20")];
    let told = browser.told(GRANT, &bounds).await;
    assert!(told.contains("always takes your approval passphrase"), "{told}");
    for bad in [
        [("hours", "0"), ("messages", "1")],
        [("hours", "721"), ("messages", "1")],
        [("hours", "1"), ("messages", "1001")],
    ] {
        let typed =
            [&[("digest", digest.as_str()), ("passphrase", PASSPHRASE)], bad.as_slice()].concat();
        assert!(browser.told(GRANT, &typed).await.contains("must be a number"), "{bad:?}");
    }
    assert!(desk.decisions().is_empty());
    let typed = [bounds.as_slice(), &[("passphrase", PASSPHRASE)]].concat();
    let told = browser.told(GRANT, &typed).await;
    let (said, grant) = desk.decisions().remove(0);
    assert_eq!(said.method, Method::Passphrase);
    let grant = grant.unwrap().open(&human_key(101).id()).unwrap();
    let expected = Grant {
        id: grant.id,
        node: node_key(1).id(),
        kind: GrantKind::Unasked,
        peer: Some(node_key(3).id()),
        direction: Direction::Out,
        rules: vec!["secret.aws_access_key".to_owned()],
        severity_max: Severity::Critical,
        size_bytes_max: 4096,
        messages_max: 20,
        from: grant.from,
        until: grant.from.plus(std::time::Duration::from_hours(24)),
        kinds: Vec::new(),
        per_hour_max: None,
    };
    assert_eq!(grant, expected, "from the bytes alone, whatever the node says was found");
    let sentence = grant_text(&grant, Some("bob"));
    assert!(told.contains(&sentence), "{sentence}: {told}");
}

#[tokio::test]
async fn a_message_whose_bytes_have_no_finding_has_no_grant() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let digest = desk.waits(&message("the node alone says that there is a token in here"));
    assert!(!browser.get("/waiting/abcdefgh").await.text.contains("/grant\""));
    let typed = [
        ("digest", digest.as_str()),
        ("passphrase", PASSPHRASE),
        ("hours", "24"),
        ("messages", "20"),
    ];
    assert!(browser.told(GRANT, &typed).await.contains("no like of it"));
    assert!(desk.decisions().is_empty());
}

#[tokio::test]
async fn there_is_no_grant_for_a_peer() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let digest = desk.waits(&peer());
    let typed = [
        ("digest", digest.as_str()),
        ("passphrase", PASSPHRASE),
        ("hours", "24"),
        ("messages", "20"),
    ];
    assert!(browser.told(GRANT, &typed).await.contains("never covered by a grant"));
    assert!(desk.decisions().is_empty());
}

#[tokio::test]
async fn the_inline_rule_takes_the_passphrase_and_goes_out_alone() {
    let desk = Desk::new();
    let browser = desk.unlocked().await;
    let bounds = [("hours", "8"), ("messages", "50"), ("severity", "high")];
    let told = browser.told("/settings/inline", &bounds).await;
    assert!(told.contains("always takes your approval passphrase"), "{told}");
    let low = [("hours", "8"), ("messages", "50"), ("severity", "low"), ("passphrase", PASSPHRASE)];
    assert!(browser.told("/settings/inline", &low).await.contains("neither high nor critical"));
    let signed = |desk: &Desk| {
        desk.asked().into_iter().find_map(|request| {
            let HumanRequest::Grant(signed) = request else { return None };
            Some(signed)
        })
    };
    assert!(signed(&desk).is_none());
    let typed = [bounds.as_slice(), &[("passphrase", PASSPHRASE)]].concat();
    browser.told("/settings/inline", &typed).await;
    let SignedHex { statement, signature } = signed(&desk).unwrap();
    let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
    let signed =
        SignedGrant { statement: hex(&statement), signature: hex(&signature).try_into().unwrap() };
    let grant = signed.open(&human_key(101).id()).unwrap();
    assert_eq!(
        (grant.kind, grant.direction, grant.peer),
        (GrantKind::Inline, Direction::Out, None)
    );
    assert_eq!((grant.severity_max, grant.messages_max), (Severity::High, 50));
    assert_eq!(grant.size_bytes_max, u64::try_from(TEXT_BYTES_MAX).unwrap());
}

#[tokio::test]
async fn the_raw_bytes_of_an_item_are_plain_text() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let item = message("<script>alert(1)</script>");
    desk.waits(&item);
    let raw = browser.get("/waiting/abcdefgh/raw").await;
    assert_eq!(raw.headers["content-type"], "text/plain; charset=utf-8");
    let bytes: Vec<u8> = raw
        .text
        .lines()
        .flat_map(|line| line[10..57].split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    assert_eq!(Item::decode(&bytes).unwrap(), item);
    let page = browser.get("/waiting/abcdefgh").await;
    assert!(!page.text.contains("<script>alert"), "a payload is no markup");
}
