//! Search, through the node.

use super::{mallory::bob_and_mallory, *};
use crate::{
    node::api::{HIT_BEGINS, HIT_ENDS},
    wire::{Body, Draft, Kind, ReceiptState as Said},
};

fn look(query: &str, peer: Option<&str>, before: Option<u64>, limit: u32) -> HumanRequest {
    let (query, peer) = (query.to_owned(), peer.map(str::to_owned));
    HumanRequest::Search { query, peer, before, limit }
}

async fn found(side: &Side, query: &str) -> Vec<Value> {
    side.human(look(query, None, None, 100)).await["hits"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_arrived_a_moment_ago_is_found_and_what_is_held_too() {
    let (bob, mut mallory) = bob_and_mallory().await;
    assert!(found(&bob, "zurich").await.is_empty());
    for (n, text) in [(1, "Grüße aus Zürich"), (2, "and ZURICH again")] {
        let envelope = mallory.text(n, text);
        mallory.say(envelope).await;
        assert_eq!(found(&bob, "zurich").await.len(), usize::from(n));
    }
    let hidden = mallory.hidden(3);
    assert_eq!(mallory.say(hidden).await, Said::HeldByPeer);
    let held = found(&bob, "look").await;
    assert_eq!(held[0]["message"]["state"], "held_by_peer");
    assert_eq!(held[0]["peer"]["name"], "mallory");
    let hits = found(&bob, "gruße zur").await;
    assert_eq!(
        hits[0]["snippet"],
        format!("{HIT_BEGINS}Grüße{HIT_ENDS} aus {HIT_BEGINS}Zürich{HIT_ENDS}")
    );
    let odd = Draft {
        header: mallory.header(4, Kind::Unknown("hologram".into())),
        body: Body::Unknown(vec![0x01]),
    };
    mallory.say(odd.seal(&mallory.key).unwrap()).await;
    assert!(found(&bob, "hologram").await.is_empty());
    assert!(found(&bob, "unsupported").await.is_empty());
    let bob = bob.restart().await;
    assert_eq!(found(&bob, "zurich").await.len(), 2, "once each, after a restart too");
}

#[tokio::test]
async fn a_search_keeps_to_one_peer_and_its_pages_join_while_messages_arrive() {
    let (bob, mut mallory) = bob_and_mallory().await;
    bob.send("carol", "an apple for carol").await;
    for n in 1..=5 {
        let envelope = mallory.text(n, &format!("apple {n}"));
        mallory.say(envelope).await;
    }
    let (mut seen, mut before, mut arriving) = (Vec::new(), None, 6);
    loop {
        let page = bob.human(look("apple", Some("mallory"), before, 2)).await;
        let hits = page["hits"].as_array().unwrap();
        seen.extend(hits.iter().map(|hit| hit["message"]["text"].as_str().unwrap().to_owned()));
        before = page["older"].as_u64();
        if before.is_none() {
            break;
        }
        let envelope = mallory.text(arriving, &format!("apple {arriving}"));
        mallory.say(envelope).await;
        arriving += 1;
    }
    assert_eq!(seen, ["apple 5", "apple 4", "apple 3", "apple 2", "apple 1"]);
    let of_carol = bob.human(look("apple", Some("carol"), None, 9)).await;
    assert_eq!(of_carol["hits"].as_array().unwrap().len(), 1);
    let error = bob.node.human(look("apple", Some("nobody"), None, 9)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_query_that_is_too_long_is_refused_with_its_bound_and_any_other_is_answered() {
    let alice = side("Alice").await;
    let error = alice.node.human(look(&"x ".repeat(32 * 1024), None, None, 9)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert_eq!(error.message, "the query is 65536 bytes; the limit is 1024");
    for query in ["", "  ", "\"", "NEAR(", "text:", "a OR", "*", "\0", "(((", "-", "a\"b"] {
        assert!(found(&alice, query).await.is_empty(), "{query:?}");
    }
}

fn list(query: &str) -> InboxRequest {
    InboxRequest { query: Some(query.to_owned()), ..InboxRequest::default() }
}

async fn listed(side: &Side, request: InboxRequest) -> Vec<Value> {
    let inbox = side.agent(AgentRequest::Inbox(request)).await;
    inbox["messages"].as_array().unwrap().iter().map(|message| message["text"].clone()).collect()
}

#[tokio::test]
async fn an_agent_finds_what_is_in_its_inbox_by_words_oldest_first_and_nothing_else() {
    let (bob, mut mallory) = bob_and_mallory().await;
    for (n, text) in [(1, "Grüße aus Zürich"), (2, "and ZURICH again"), (3, "Bern, nothing else")]
    {
        let envelope = mallory.text(n, text);
        mallory.say(envelope).await;
        // What arrived a moment ago is in the index.
        assert_eq!(listed(&bob, list("zurich")).await.len(), usize::from(n).min(2));
    }
    let hidden = mallory.hidden(4);
    assert_eq!(mallory.say(hidden).await, Said::HeldByPeer);
    assert!(listed(&bob, list("look")).await.is_empty(), "what is held is its human's to find");
    bob.send("carol", "Zurich, from us").await;
    assert_eq!(listed(&bob, list("zur")).await, ["Grüße aus Zürich", "and ZURICH again"]);
    assert!(listed(&bob, list("zur bern")).await.is_empty());
    let first = InboxRequest { limit: Some(1), mark_read: true, ..list("zurich") };
    let page = bob.agent(AgentRequest::Inbox(first)).await;
    assert_eq!(page["messages"][0]["text"], "Grüße aus Zürich");
    let cursor = Some(page["next_cursor"].as_str().unwrap().to_owned());
    let second = InboxRequest { cursor, ..list("zurich") };
    assert_eq!(listed(&bob, second).await, ["and ZURICH again"]);
    let unread = InboxRequest { unread: true, ..list("zurich") };
    assert_eq!(listed(&bob, unread).await, ["and ZURICH again"], "the first was shown");
    let nobody = InboxRequest { from: Some("carol".into()), ..list("zurich") };
    assert!(listed(&bob, nobody).await.is_empty());
    for (query, problem) in [
        (" … ", "query has no word"),
        (&*"x ".repeat(1000), "the query is 2000 bytes; the limit is 1024"),
    ] {
        let error = bob.ask(Request::Agent(AgentRequest::Inbox(list(query)))).await.unwrap_err();
        assert_eq!((error.kind, &*error.message), (ErrorKind::Usage, problem));
    }
}
