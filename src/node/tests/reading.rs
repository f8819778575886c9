//! What a human reads: conversations, peers, the timeline.

use super::{
    hostile::sql,
    mallory::{bob_and_mallory, text_body},
    *,
};
use crate::{
    base::MessageId,
    trust::sign_consent,
    wire::{ConsentRecord, Countersignature, Draft, Header, Kind, ReceiptState as Said},
};

fn talk(peer: &str, before: Option<u64>, limit: u32) -> HumanRequest {
    HumanRequest::Talk { peer: peer.to_owned(), thread: None, before, limit }
}

fn texts(talk: &Value) -> Vec<&str> {
    let messages = talk["messages"].as_array().unwrap();
    messages.iter().map(|message| message["text"].as_str().unwrap()).collect()
}

fn secret() -> String {
    ["key: AKIA", "ABCDEFGHIJKLMNOP"].concat()
}

#[tokio::test]
async fn a_talk_shows_what_is_held_what_was_decided_and_each_state() {
    let (alice, bob) = paired().await;
    let held = alice.send("bob", &secret()).await;
    let shown = alice.human(talk("bob", None, 9)).await;
    let message = &shown["messages"][0];
    assert_eq!((&message["state"], &message["pending"]), (&"held".into(), &held["pending"]));
    assert_eq!(message.get("decided"), None);
    let of = alice.human(HumanRequest::Conversations).await["conversations"][0].clone();
    assert_eq!((&of["held"], &of["messages"], &of["threads"]), (&1.into(), &1.into(), &1.into()));
    alice.approve(held["pending"].as_str().unwrap()).await;
    until(async || (alice.state(&held["id"]).await == "accepted").then_some(())).await;
    let denied = alice.send("bob", &format!("{} too", secret())).await;
    let id = denied["pending"].as_str().unwrap().to_owned();
    alice.human(HumanRequest::Deny { id, block: false }).await;
    let shown = alice.human(talk("bob", None, 9)).await;
    let decided = |n: usize| shown["messages"][n]["decided"].clone();
    assert_eq!(
        (&decided(0)["decision"], &decided(0)["method"]),
        (&"approved".into(), &"passphrase".into())
    );
    assert_eq!(
        (&decided(1)["decision"], &decided(1)["method"]),
        (&"denied".into(), &"terminal".into())
    );
    let history = shown["messages"][0]["history"].as_array().unwrap();
    let states: Vec<_> = history.iter().map(|step| step["state"].as_str().unwrap()).collect();
    assert!(
        states.starts_with(&["held", "queued"]) && states.ends_with(&["accepted"]),
        "{states:?}"
    );
    let of = bob.human(HumanRequest::Conversations).await["conversations"][0].clone();
    assert_eq!((&of["unread"], &of["last"]["text"]), (&1.into(), &secret().into()));
}

#[tokio::test]
async fn a_human_reads_what_is_held_from_a_peer_and_an_agent_does_not() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let plain = mallory.text(1, "  \n a first line\nand a second");
    mallory.say(plain).await;
    let hidden = mallory.hidden(2);
    assert_eq!(mallory.say(hidden).await, Said::HeldByPeer);
    assert_eq!(bob.inbox().await.len(), 1);
    let shown = bob.human(talk("mallory", None, 9)).await;
    let held = &shown["messages"][1];
    assert_eq!(
        (&held["state"], &held["pending"]),
        (&"held_by_peer".into(), &bob.pending().await[0]["id"])
    );
    let all = bob.human(HumanRequest::Conversations).await["conversations"].clone();
    let names: Vec<_> = all.as_array().unwrap().iter().map(|c| &c["peer"]["name"]).collect();
    assert_eq!(names, ["mallory", "carol"], "who never spoke comes last");
    assert_eq!((&all[0]["unread"], &all[0]["held"]), (&1.into(), &1.into()));
    assert_eq!(all[1].get("last"), None);
    let threads = bob.human(HumanRequest::Threads { peer: "mallory".to_owned() }).await;
    let titles: Vec<_> =
        threads["threads"].as_array().unwrap().iter().map(|t| &t["title"]).collect();
    assert_eq!(titles[1], "a first line");
    let one = threads["threads"][1]["thread"].as_str().unwrap().to_owned();
    let thread = Some(one.clone());
    let request = HumanRequest::Talk { peer: "mallory".into(), thread, before: None, limit: 9 };
    let only = bob.human(request).await;
    assert_eq!((texts(&only).len(), &only["thread"]), (1, &one.into()));
    bob.agent(AgentRequest::Revoke { peer: "carol".into(), block: false }).await;
    bob.agent(AgentRequest::Revoke { peer: "mallory".into(), block: true }).await;
    let all = bob.human(HumanRequest::Conversations).await["conversations"].clone();
    assert_eq!(all.as_array().unwrap().len(), 1, "what was said stays: {all}");
    assert_eq!((&all[0]["peer"]["state"], &all[0]["held"]), (&"blocked".into(), &0.into()));
}

#[tokio::test]
async fn parts_of_a_talk_join_while_messages_arrive() {
    let (bob, mut mallory) = bob_and_mallory().await;
    for n in 1..=7 {
        let envelope = mallory.text(n, &format!("message {n}"));
        mallory.say(envelope).await;
    }
    let (mut seen, mut before, mut arriving) = (Vec::new(), None, 8);
    loop {
        let part = bob.human(talk("mallory", before, 2)).await;
        let mut joined: Vec<String> = texts(&part).into_iter().map(str::to_owned).collect();
        joined.append(&mut seen);
        seen = joined;
        before = part["older"].as_u64();
        if before.is_none() {
            break;
        }
        let envelope = mallory.text(arriving, &format!("message {arriving}"));
        mallory.say(envelope).await;
        arriving += 1;
    }
    assert_eq!(seen, (1..=7).map(|n| format!("message {n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_id_that_a_peer_copied_from_us_does_not_get_our_messages_item() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let sent = bob.send("mallory", &secret()).await;
    let id: MessageId = sent["id"].as_str().unwrap().parse().unwrap();
    let header = Header { id, ..mallory.header(1, Kind::Text) };
    let same = Draft { header, body: text_body("the same id") }.seal(&mallory.key).unwrap();
    assert_eq!(mallory.say(same).await, Said::Refused);
    let held = sent["pending"].as_str().unwrap();
    let shown = bob.human(talk("mallory", None, 9)).await;
    assert_eq!(shown["messages"].as_array().unwrap().len(), 1, "it is ours alone");
    assert_eq!(shown["messages"][0]["pending"], held);
    bob.human(HumanRequest::Deny { id: held.to_owned(), block: false }).await;
    let shown = bob.human(talk("mallory", None, 9)).await;
    assert_eq!(shown["messages"][0]["decided"]["decision"], "denied");
}

#[tokio::test]
async fn a_human_is_the_author_only_where_they_signed_with_their_own_hand() {
    let (bob, mallory) = bob_and_mallory().await;
    let stranger = ApproverKey::from_seed(&Secret::new([200; 32]));
    let cases = [
        (true, Some(Method::Passphrase), true, "human"),
        (true, Some(Method::Passkey), true, "human"),
        (true, Some(Method::Session), true, "human"),
        (true, Some(Method::Passphrase), false, "agent"),
        (true, None, true, "agent"),
        (false, Some(Method::Passphrase), true, "agent"),
    ];
    for (n, (human, method, own, author)) in (1..).zip(cases) {
        let header = Header { human, ..mallory.header(n, Kind::Text) };
        let mut envelope =
            Draft { header, body: text_body("I am here") }.seal(&mallory.key).unwrap();
        if let Some(method) = method {
            let by = if own { &mallory.human } else { &stranger };
            let seal = Countersignature::sign(&envelope, by, method, clock::now()).unwrap();
            envelope = envelope.with_countersignature(seal).unwrap();
        }
        // Through the store: our own gate lets none of the false ones leave.
        let db = database(&bob.home);
        db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        let state = crate::delivery::MessageState::Accepted;
        crate::store::messages::add(&db, &envelope, false, state, clock::now()).unwrap();
        let shown = bob.human(talk("mallory", None, 1)).await;
        assert_eq!(shown["messages"][0]["author"], author, "{human} {method:?} {own}");
    }
}

#[tokio::test]
async fn a_peer_in_full_shows_the_consent_that_verifies_now() {
    let (alice, bob) = paired().await;
    let show = HumanRequest::PeerShow { peer: "bob".to_owned() };
    let shown = alice.human(show.clone()).await;
    let other = bob.human(HumanRequest::PeerShow { peer: "alice".to_owned() }).await;
    let (consent, same) = (&shown["consent"], &other["consent"]);
    assert_eq!(consent["record"], same["record"]);
    assert_eq!(
        (consent["words"].as_array().unwrap().len(), &consent["words"]),
        (4, &same["words"])
    );
    for n in 0..2 {
        let (mine, theirs) = (&consent["sides"][n], &same["sides"][n]);
        for field in ["role", "name", "node", "approver", "signature"] {
            assert_eq!(mine[field], theirs[field], "{field}");
        }
        assert_ne!(mine["ours"], theirs["ours"]);
    }
    let record = HEXLOWER.decode(consent["record"].as_str().unwrap().as_bytes()).unwrap();
    let record = ConsentRecord::decode(&record).unwrap();
    for (n, human) in [&alice.human, &bob.human].into_iter().enumerate() {
        let signature = HEXLOWER.encode(&sign_consent(human, &record));
        assert_eq!(consent["sides"][n]["signature"], signature);
    }
    let inviter = &consent["sides"][0];
    assert_eq!((&inviter["role"], &inviter["name"]), (&"inviter".into(), &"Alice".into()));
    assert_eq!(inviter["ours"], true);
    let whoami = bob.agent(AgentRequest::Whoami).await;
    assert_eq!((&shown["words"], &shown["did"]), (&whoami["words"], &whoami["did"]));
    sql(&alice, "UPDATE peers SET theirs = ours");
    let shown = alice.human(show.clone()).await;
    assert_eq!(shown.get("consent"), None);
    let warning = shown["peer"]["warning"].as_str().unwrap();
    assert!(warning.contains("their human's signature"), "{warning}");
    alice.agent(AgentRequest::Revoke { peer: "bob".into(), block: false }).await;
    let shown = alice.human(show).await;
    assert_eq!((shown.get("consent"), shown["peer"].get("warning")), (None, None));
}

#[tokio::test]
async fn the_timeline_names_its_peers_and_keeps_to_one_that_is_asked_for() {
    let (alice, _bob) = paired().await;
    let held = alice.send("bob", &secret()).await;
    let id = held["pending"].as_str().unwrap().to_owned();
    alice.human(HumanRequest::Deny { id: id.clone(), block: false }).await;
    let ask = |events: &[&str], peer: Option<&str>, before, limit| HumanRequest::Timeline {
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        peer: peer.map(str::to_owned),
        before,
        limit,
    };
    let about = alice.human(ask(&[], Some("bob"), None, 1000)).await;
    let records = about["records"].as_array().unwrap();
    let events: Vec<_> = records.iter().map(|r| r["event"]["event"].as_str().unwrap()).collect();
    assert!(events.contains(&"decided") && events.contains(&"trust_moved"), "{events:?}");
    assert!(!events.contains(&"started") && !events.contains(&"invited"), "{events:?}");
    assert_eq!(about["peers"][0]["name"], "bob");
    let denied = alice.human(ask(&["decided"], None, None, 1)).await;
    assert_eq!(denied["records"][0]["event"]["item"], id);
    let rest = alice.human(ask(&["decided"], None, denied["older"].as_u64(), 9)).await;
    assert_eq!(rest["records"].as_array().unwrap().len(), 1, "the consent");
    assert_eq!(rest.get("older"), None);
    let many = vec!["decided"; 100];
    let error = alice.node.human(ask(&many, None, None, 9)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    let error = alice.node.human(ask(&[], Some("nobody"), None, 9)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}
