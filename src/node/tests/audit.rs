//! What changes something, and what is refused, is in the audit log.

use super::{
    grants::{grant, signed},
    mallory::{bob_and_mallory, id_of},
    *,
};
use crate::{
    base::limits,
    node::api::{AuditKeep, AuditRequest, KeepRequest, KnownNew, SignedHex},
    store::keys as key_files,
    wire::{Command, Direction, Order},
};

/// The event that a request leaves behind; `None` for one that changes nothing that counts. There is no
/// other arm, so whoever adds a request decides this here.
fn leaves(request: &HumanRequest) -> Option<&'static str> {
    match request {
        HumanRequest::Decide { .. } | HumanRequest::Deny { .. } => Some("decided"),
        HumanRequest::Grant(_) => Some("granted"),
        HumanRequest::GrantEnd { .. } => Some("grant_ended"),
        HumanRequest::ApproverSet => Some("approver_set"),
        HumanRequest::Connect(_) => Some("peer_asked"),
        HumanRequest::SendDraft { .. } => Some("sent"),
        HumanRequest::PolicySet { .. } => Some("policy_set"),
        HumanRequest::PolicyReset { .. } => Some("policy_reset"),
        HumanRequest::TaintClear { .. } => Some("taint_cleared"),
        HumanRequest::KnownAdd { .. } => Some("known_added"),
        HumanRequest::KnownForget { .. } => Some("known_forgotten"),
        HumanRequest::TokenNew { .. } => Some("token_made"),
        HumanRequest::TokenEnd { .. } => Some("token_ended"),
        HumanRequest::Keep(KeepRequest::Set { dry_run: false, .. }) => Some("retention_set"),
        HumanRequest::Keep(
            KeepRequest::DeleteMessage { dry_run: false, .. }
            | KeepRequest::DeleteBefore { dry_run: false, .. },
        ) => Some("deleted"),
        HumanRequest::Keep(KeepRequest::Forget { dry_run: false, .. }) => Some("peer_forgotten"),
        HumanRequest::Keep(KeepRequest::Copied { archive: Some(_) }) => Some("home_backed_up"),
        HumanRequest::Keep(_) => None,
        HumanRequest::Audit(AuditRequest::Rotate { .. }) => Some("rotated"),
        HumanRequest::Audit(AuditRequest::Accept { .. }) => Some("dispute_accepted"),
        HumanRequest::Pending
        | HumanRequest::Show { .. }
        | HumanRequest::Grants
        | HumanRequest::PageLink
        | HumanRequest::PageOpen { .. }
        | HumanRequest::PagePort { .. }
        | HumanRequest::Conversations
        | HumanRequest::Threads { .. }
        | HumanRequest::Talk { .. }
        | HumanRequest::Search { .. }
        | HumanRequest::PeerShow { .. }
        | HumanRequest::Draft { .. }
        | HumanRequest::Timeline { .. }
        | HumanRequest::Sessions
        | HumanRequest::Ping { .. }
        | HumanRequest::Check
        | HumanRequest::Status
        | HumanRequest::Stop
        | HumanRequest::AuditShow { .. }
        | HumanRequest::AuditVerify
        | HumanRequest::Audit(
            AuditRequest::Find { .. } | AuditRequest::State | AuditRequest::Verify { .. },
        )
        | HumanRequest::Policy
        | HumanRequest::Explain { .. }
        | HumanRequest::TaintShow
        | HumanRequest::KnownKey
        | HumanRequest::KnownList
        | HumanRequest::Tokens
        | HumanRequest::PolicyCheck { .. } => None,
    }
}

/// The same of what an agent can ask.
fn agent_leaves(request: &AgentRequest) -> Option<&'static str> {
    match request {
        AgentRequest::Invite { .. } => Some("invited"),
        AgentRequest::Connect { .. } => Some("peer_asked"),
        AgentRequest::Send(_) => Some("sent"),
        AgentRequest::Revoke { .. } => Some("trust_moved"),
        AgentRequest::ClientAnswered { .. } => Some("decided"),
        AgentRequest::Inbox(request) => request.mark_read.then_some("moved"),
        AgentRequest::Read { mark_read, .. } => mark_read.then_some("moved"),
        AgentRequest::Whoami
        | AgentRequest::Message { .. }
        | AgentRequest::Outstanding
        | AgentRequest::Peers { .. }
        | AgentRequest::Question { .. }
        | AgentRequest::Prompt { .. }
        | AgentRequest::PromptEnded { .. }
        | AgentRequest::News
        | AgentRequest::Tell(_) => None,
    }
}

/// The records after `after`, and the last one's number.
async fn records(side: &Side, after: u64) -> (Vec<Value>, u64) {
    let page = side.human(HumanRequest::AuditShow { after, limit: 1000 }).await;
    let records = page["records"].as_array().unwrap().clone();
    let last = records.last().map_or(after, |record| record["seq"].as_u64().unwrap());
    (records, last)
}

impl Side {
    /// Asks, and gives what is in the log since.
    async fn noted(&self, request: Request) -> (Result<Value, ApiError>, Vec<Value>) {
        let (_, before) = records(self, 0).await;
        let answer = self.ask(request).await;
        (answer, records(self, before).await.0)
    }

    /// What a request that changes something leaves behind.
    async fn changes(&self, request: HumanRequest) -> Value {
        let event = leaves(&request).expect("it changes something");
        let (answer, records) = self.noted(Request::Human(request)).await;
        let answer = answer.unwrap();
        let found = records.iter().any(|record| record["event"]["event"] == event);
        assert!(found, "no {event} in {records:#?}");
        answer
    }

    async fn agent_changes(&self, request: AgentRequest) -> Value {
        let event = agent_leaves(&request).expect("it changes something");
        let (answer, records) = self.noted(Request::Agent(request)).await;
        let answer = answer.unwrap();
        let found = records.iter().any(|record| record["event"]["event"] == event);
        assert!(found, "no {event} in {records:#?}");
        answer
    }

    /// A refused attempt has a record with these words.
    async fn refuses(&self, request: HumanRequest, words: &str) {
        let (_, before) = records(self, 0).await;
        let answer = self.ask(Request::Human(request)).await;
        assert!(answer.is_err(), "{words}: {answer:?}");
        self.notes_refusal(before, words).await;
    }

    /// There is such a record after `before`; nobody is made to wait until it is written.
    async fn notes_refusal(&self, before: u64, words: &str) {
        let refused = |record: &&Value| record["event"]["event"] == "refused";
        until(async || {
            let records = records(self, before).await.0;
            records.iter().filter(refused).any(|r| r.to_string().contains(words)).then_some(())
        })
        .await;
    }

    fn ordered(&self, command: Command) -> SignedHex {
        let order = Order { node: id_of(self), at: clock::now(), command };
        SignedHex::from(&order.sign(&self.human).unwrap())
    }
}

// Put together here, so that no scanner of repositories takes it for real.
fn secret(n: u8) -> String {
    format!("use {}{} {n}", "ghp_", "a1B2c3D4e5F6".repeat(3))
}

async fn held(side: &Side, n: u8) -> String {
    let sent = side.send("bob", &secret(n)).await;
    sent["pending"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_request_that_changes_something_has_a_record() {
    let (alice, bob) = paired().await;
    let (me, peer) = (id_of(&alice), id_of(&bob));
    let text = |to: &str, text: &str| {
        let (to, text) = (to.to_owned(), text.to_owned());
        AgentRequest::Send(SendRequest { to, text, ..SendRequest::default() })
    };
    alice.agent_changes(text("bob", "hello")).await;
    arrived(&bob, 1).await;
    let all = InboxRequest { limit: Some(9), mark_read: true, ..InboxRequest::default() };
    bob.agent_changes(AgentRequest::Inbox(all)).await;
    // A message that is held: the yes, and what the message became.
    let item = held(&alice, 1).await;
    let yes = alice.decision(&item, Answer::Approve, &alice.human).await;
    alice.changes(yes).await;
    let item = held(&alice, 2).await;
    alice.changes(HumanRequest::Deny { id: item, block: false }).await;
    let states = records(&alice, 0).await.0;
    for state in ["queued", "denied"] {
        let moved = |r: &Value| r["event"]["event"] == "moved" && r["event"]["state"] == state;
        assert!(states.iter().any(moved), "{state}");
    }
    let item = held(&alice, 3).await;
    alice.agent_changes(AgentRequest::ClientAnswered { pending: item, yes: false }).await;
    let granted = grant(me, peer, Direction::Out);
    alice.changes(HumanRequest::Grant(signed(&granted, &alice.human))).await;
    alice.changes(HumanRequest::GrantEnd { id: granted.id.to_string() }).await;
    let loose = "version = 1\n[[allow]]\nname = \"all\"\n".to_owned();
    let order = alice.ordered(Command::Policy { serial: 1, text: loose.clone() });
    alice.changes(HumanRequest::PolicySet { text: loose, order: Some(order) }).await;
    let order = alice.ordered(Command::Policy { serial: 2, text: String::new() });
    alice.changes(HumanRequest::PolicyReset { order: Some(order) }).await;
    alice.human(HumanRequest::KnownKey).await;
    let value = KnownNew { label: "a".into(), length: 20, filter: 1, mac: "ab".repeat(32) };
    let added = alice.changes(HumanRequest::KnownAdd { values: vec![value] }).await;
    let id = added["values"][0]["id"].as_str().unwrap().parse().unwrap();
    let order = alice.ordered(Command::KnownForget { id });
    alice.changes(HumanRequest::KnownForget { order }).await;
    let order = alice.ordered(Command::TaintClear);
    alice.changes(HumanRequest::TaintClear { order }).await;
    let (_, hash) = crate::node::tokens::fresh();
    alice.changes(HumanRequest::TokenNew { name: "laptop".into(), hash }).await;
    alice.changes(HumanRequest::TokenEnd { name: "laptop".into() }).await;
    let invite = AgentRequest::Invite { note: None, expires_minutes: None, code: false };
    alice.agent_changes(invite).await;
    alice.agent_changes(AgentRequest::Revoke { peer: "bob".into(), block: false }).await;
    let rotate = AuditRequest::Rotate { keep: AuditKeep::Records(5) };
    alice.changes(HumanRequest::Audit(rotate)).await;
    let verified = alice.human(HumanRequest::AuditVerify).await;
    assert_eq!(verified["ok"], true, "{verified}");
}

#[tokio::test]
async fn every_refused_attempt_has_a_record_with_what_it_was() {
    let (alice, bob) = paired().await;
    let mallory = ApproverKey::from_seed(&Secret::new([7; 32]));
    let item = held(&alice, 1).await;
    let forged = alice.decision(&item, Answer::Approve, &mallory).await;
    alice.refuses(forged, "a decision").await;
    let garbage = |id: &str, statement: &str| HumanRequest::Decide {
        id: id.to_owned(),
        statement: statement.to_owned(),
        signature: "00".repeat(64),
        seal: "00".to_owned(),
        block: false,
        grant: None,
    };
    alice.refuses(garbage(&item, "xx"), "not hexadecimal").await;
    let good = alice.decision(&item, Answer::Approve, &alice.human).await;
    alice.human(good.clone()).await;
    alice.refuses(good, "nothing waits under").await;
    let granted = grant(id_of(&alice), id_of(&bob), Direction::Out);
    alice
        .refuses(HumanRequest::Grant(signed(&granted, &mallory)), "the grant does not count")
        .await;
    let order = Order { node: id_of(&alice), at: clock::now(), command: Command::TaintClear };
    let forged = SignedHex::from(&order.sign(&mallory).unwrap());
    alice.refuses(HumanRequest::TaintClear { order: forged }, "the order does not count").await;
    let loose = "version = 1\n[[allow]]\nname = \"all\"\n".to_owned();
    alice.refuses(HumanRequest::PolicySet { text: loose, order: None }, "looser").await;
    let order = alice.ordered(Command::TaintClear);
    let other = HumanRequest::KnownForget { order };
    alice.refuses(other, "something else").await;
    let draft = HumanRequest::SendDraft { envelope: "00".to_owned() };
    alice.refuses(draft, "a decision").await;
    // The ninth within a minute is counted, and said at the end.
    for _ in 0..5 {
        assert!(alice.ask(Request::Human(garbage(&item, "xx"))).await.is_err());
    }
    let open = HumanRequest::PageOpen { code: "wrong".to_owned() };
    let (_, before) = records(&alice, 0).await;
    alice.human(open).await;
    alice.notes_refusal(before, "a link to the page").await;
    // Wrong passphrases are counted in a file by whatever process they were typed into.
    for _ in 0..2 {
        let tried =
            key_files::try_passphrase(&alice.home.attempts_file(), clock::now(), || None::<()>);
        assert!(tried.unwrap().is_err());
    }
    alice.human(HumanRequest::Status).await;
    alice.node.turned_away();
    alice.node.turned_away();
    let alice = alice.restart().await;
    let all = records(&alice, 0).await.0;
    let of = |event: &str| -> Vec<&Value> {
        all.iter().map(|r| &r["event"]).filter(|e| e["event"] == event).collect()
    };
    let wrong: u64 =
        of("wrong_passphrase").iter().map(|event| event["tries"].as_u64().unwrap()).sum();
    assert_eq!(wrong, 2);
    let refused = of("refused");
    assert!(refused.iter().any(|e| e["what"].as_str().unwrap().contains("2 calls over HTTP")));
    let left: u64 = refused.iter().filter_map(|event| event["left_out"].as_u64()).sum();
    let about: Vec<_> =
        refused.iter().filter(|e| e["what"].as_str().unwrap().starts_with("a decision")).collect();
    let most = usize::try_from(limits::REFUSALS_NOTED_HERE).unwrap();
    assert_eq!((about.len(), left), (most, 5), "{refused:#?}");
}

#[tokio::test]
async fn what_a_peer_does_that_is_refused_has_a_record_and_no_flood_of_them() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let before = records(&bob, 0).await.1;
    for number in 1..20 {
        let mut header = mallory.header(number, crate::wire::Kind::Text);
        let hour = Duration::from_hours(1);
        (header.created, header.expires) = (clock::now().minus(hour * 2), clock::now().minus(hour));
        let body = super::mallory::text_body("too late");
        let late = crate::wire::Draft { header, body }.seal(&mallory.key).unwrap();
        assert_eq!(mallory.say(late).await, crate::wire::ReceiptState::Refused);
    }
    mallory.seq = 99;
    let jumps = mallory.text(30, "x");
    mallory.send(jumps);
    mallory.link_down().await;
    let bob = bob.restart().await;
    let all = records(&bob, before).await.0;
    let refused: Vec<_> = all.iter().filter(|r| r["event"]["event"] == "refused").collect();
    let has = |words: &str| refused.iter().filter(|r| r.to_string().contains(words)).count();
    assert_eq!(has("message 0000"), 1, "{refused:#?}");
    assert_eq!(has("protocol error"), 1, "{refused:#?}");
    let left: u64 = refused.iter().filter_map(|r| r["event"]["left_out"].as_u64()).sum();
    assert_eq!(left, 18, "{refused:#?}");
}
