//! How often a person is interrupted: by alerts and by questions of clients, over sessions.

use super::*;
use crate::node::api::Event;

// Put together here, so that no scanner of repositories takes it for real.
fn secret(number: u32) -> String {
    format!("{number}: {}{}", "ghp_", "a1B2c3D4e5F6".repeat(3))
}

impl Side {
    /// Sends what is held; gives the item's id.
    async fn held(&self, number: u32) -> String {
        let sent = self.send("bob", &secret(number)).await;
        sent["pending"].as_str().unwrap().to_owned()
    }

    /// Whether a session's client may ask its user.
    async fn may_ask(&self, pending: &str) -> bool {
        let asked = AgentRequest::Prompt { pending: pending.to_owned() };
        match self.node.agent().ask(asked).await {
            Ok(Reply::Question(question)) => question.id == pending,
            Err(error) if error.kind == ErrorKind::Busy => false,
            other => panic!("{other:?}"),
        }
    }

    async fn call_ended(&self, pending: &str) {
        self.agent(AgentRequest::PromptEnded { pending: pending.to_owned() }).await;
    }

    async fn deny(&self, pending: &str) {
        self.human(HumanRequest::Deny { id: pending.to_owned(), block: false }).await;
    }

    async fn prompts(&self) -> (bool, u64, u64) {
        let prompts = self.human(HumanRequest::Status).await["prompts"].clone();
        let number = |name: &str| prompts[name].as_u64().unwrap();
        (prompts["open"].as_bool().unwrap(), number("last_hour"), number("digest"))
    }
}

/// The alerts so far.
fn alerts(events: &mut tokio::sync::broadcast::Receiver<Event>) -> Vec<u64> {
    let mut alerts = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::Alert { items } = event {
            alerts.push(items);
        }
    }
    alerts
}

/// A node that asked its human once: about its peer.
async fn begun() -> (Side, Side) {
    let (alice, bob) = paired().await;
    assert_eq!(alice.prompts().await, (false, 1, 0), "the pairing");
    (alice, bob)
}

#[tokio::test]
async fn of_ten_held_messages_of_two_sessions_one_is_asked_about_at_a_time() {
    let (alice, _bob) = begun().await;
    let mut events = alice.node.events();
    let mut items = Vec::new();
    for number in 0..10 {
        items.push(alice.held(number).await);
    }
    assert_eq!(alerts(&mut events), [1], "nine more wait in the list");
    assert!(alice.may_ask(&items[0]).await);
    for item in &items {
        assert!(!alice.may_ask(item).await, "one question is open, in the first session");
    }
    assert_eq!(alice.prompts().await, (true, 2, 9));
    alice.call_ended(&items[0]).await;
    assert_eq!(alerts(&mut events), [9], "then all that was not told of, at once");
    assert_eq!(alice.prompts().await, (true, 3, 0));
    assert_eq!(alice.pending().await.len(), 10, "each waits on");
}

#[tokio::test]
async fn the_seventh_within_an_hour_is_not_asked_not_even_after_a_restart() {
    let (alice, _bob) = begun().await;
    for number in 0..5 {
        let item = alice.held(number).await;
        assert!(alice.may_ask(&item).await, "{number}");
        alice.deny(&item).await;
    }
    assert_eq!(alice.prompts().await, (false, 6, 0));
    let mut events = alice.node.events();
    let seventh = alice.held(6).await;
    assert!(!alice.may_ask(&seventh).await);
    assert!(alerts(&mut events).is_empty());
    assert_eq!(alice.prompts().await, (false, 6, 1));
    let alice = alice.restart().await;
    assert_eq!(alice.prompts().await, (false, 6, 0), "what waits at the start is listed");
    assert!(!alice.may_ask(&seventh).await);
    assert!(!alice.may_ask(&alice.held(7).await).await);
}

#[tokio::test]
async fn a_flood_of_a_peer_counts_as_much_as_our_own() {
    let (alice, bob) = begun().await;
    let mut events = alice.node.events();
    for number in 0..10 {
        let text = format!("{number} {}", "\u{200b}".repeat(9));
        let sent = bob.send("alice", &text).await;
        if let Some(item) = sent["pending"].as_str() {
            bob.approve(item).await;
        }
    }
    until(async || Some(alice.pending().await).filter(|items| items.len() == 10)).await;
    // Those that were stored together with the first are told of with it.
    let [told] = *alerts(&mut events) else { panic!("one alert") };
    assert_eq!(alice.prompts().await.2, 10 - told, "the others wait in the list");
    assert!(!alice.may_ask(&alice.held(1).await).await);
}
