//! What happens in the demo, a function a step. Each checks what it shows.

use std::{future::Future, time::Duration};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::{Stage, side::Side};
use crate::{
    node::api::{
        AuditVerified, Connected, Inbox, InviteMade, Message, MessageLife, Peers, PendingItem, Sent,
    },
    trust::PeerState,
};

/// How long something may take that both nodes take part in.
const SOON: Duration = Duration::from_secs(20);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Tells all of it. The error says in which step it stands.
pub(super) async fn tell(stage: &mut Stage) -> anyhow::Result<()> {
    let told = steps(stage).await;
    told.with_context(|| format!("step {} ({})", stage.step, stage.title))
}

async fn steps(stage: &mut Stage) -> anyhow::Result<()> {
    two_homes(stage).await?;
    two_agents(stage).await?;
    let pending = pairing(stage).await?;
    the_model_tries(stage, &pending).await?;
    both_say_yes(stage).await?;
    a_conversation(stage).await?;
    a_crash(stage).await?;
    a_secret(stage).await?;
    the_evidence(stage).await
}

async fn two_homes(stage: &mut Stage) -> anyhow::Result<()> {
    stage.begin(
        "Two homes",
        "Alice and Bob each run `countersign init` in a terminal and choose a passphrase.\n\
         The demo plays both of them; all of it stays on 127.0.0.1.",
    )?;
    let init = async |side: &Side| {
        side.settle()?;
        let typed = [side.passphrase, side.passphrase];
        let ended = side.person(&["init", "--name", side.name], &typed).await?;
        ensure!(
            ended.code == 0,
            "{}'s init ended with {}:\n{}",
            side.name,
            ended.code,
            ended.screen
        );
        anyhow::Ok(())
    };
    tokio::try_join!(init(&stage.alice), init(&stage.bob))?;
    for side in [&stage.alice, &stage.bob] {
        stage
            .did(&format!("{}'s home is set up (passphrase: {:?})", side.name, side.passphrase))?;
    }
    Ok(())
}

async fn two_agents(stage: &mut Stage) -> anyhow::Result<()> {
    stage.begin(
        "Two agents",
        "Each agent is an MCP client that starts `countersign mcp`; that starts the node.",
    )?;
    tokio::try_join!(stage.alice.start_agent(), stage.bob.start_agent())?;
    let tools = stage.alice.agent()?.tools().await?;
    ensure!(tools == stage.bob.agent()?.tools().await?, "the two servers list different tools");
    stage.did(&format!("both speak to {}", stage.alice.agent()?.server()))?;
    stage.did(&format!("{} tools: {}", tools.len(), tools.join(", ")))
}

async fn pairing(stage: &mut Stage) -> anyhow::Result<PendingItem> {
    stage.begin(
        "An invite",
        "Alice's agent makes an invite, Bob's agent uses it.\n\
         Nothing flows yet: both humans are asked.",
    )?;
    let note = "for Bob, from the demo";
    let made: InviteMade = stage.alice.call("peer_invite", json!({ "note": note })).await?;
    stage.did(&format!("peer_invite: {}…", made.invite.chars().take(40).collect::<String>()))?;
    let arguments = json!({ "invite": made.invite, "name": "alice", "note": "Bob's demo agent" });
    let connected: Connected = stage.bob.call("peer_connect", arguments).await?;
    ensure!(connected.state == PeerState::Requested, "the state is {:?}", connected.state);
    stage.did(&format!("peer_connect: {}, {}", connected.state.as_str(), connected.next))?;
    let pending = soon("an item that Bob can decide", async || stage.bob.ready().await).await?;
    let answer = connected.pending.context("peer_connect names no item")?;
    ensure!(pending.id == answer, "peer_connect names {answer}, `pending` {}", pending.id);
    Ok(pending)
}

async fn the_model_tries(stage: &mut Stage, pending: &PendingItem) -> anyhow::Result<()> {
    stage.begin(
        "The model tries to approve for its human",
        "There is no tool for it; and with a terminal of its own it still lacks the passphrase.",
    )?;
    let tools = stage.bob.agent()?.tools().await?;
    let loosening = ["approve", "decide", "grant", "unlock", "policy"];
    let found = tools.iter().find(|tool| loosening.iter().any(|word| tool.contains(word)));
    ensure!(found.is_none(), "there is a tool {found:?}");
    stage.did("no tool approves, decides, grants or unlocks")?;
    let called = stage.bob.call::<Value>("approve", json!({ "id": pending.id })).await;
    ensure!(called.is_err(), "a call of `approve` was answered: {called:?}");
    stage.did("calling a tool `approve` all the same is an error")?;
    let guess = stage.bob.person(&["approve", &pending.id], &["open sesame please 12"]).await?;
    ensure!(guess.code != 0, "a guessed passphrase approved:\n{}", guess.screen);
    let said = guess.screen.lines().find(|line| line.contains("error:")).unwrap_or_default();
    stage.did(&format!("a guess on a pseudo-terminal: {said}"))?;
    let still = stage.bob.ready().await?;
    ensure!(still.is_some_and(|still| still.id == pending.id), "the item does not wait any more");
    Ok(())
}

async fn both_say_yes(stage: &mut Stage) -> anyhow::Result<()> {
    stage.begin(
        "Both humans compare four words and say yes",
        "Each runs `countersign approve ID --verified`; typing the passphrase is the yes.\n\
         This is Bob's screen:",
    )?;
    let for_alice =
        soon("an item that Alice can decide", async || stage.alice.ready().await).await?;
    let for_bob = soon("an item that Bob can decide", async || stage.bob.ready().await).await?;
    let words = for_bob.words.clone().context("Bob's item has no words")?;
    ensure!(for_alice.words.as_ref() == Some(&words), "the words differ: {:?}", for_alice.words);
    let screen = stage.bob.approve(&for_bob.id, true).await?.screen;
    let all = words.iter().all(|word| screen.contains(word));
    ensure!(words.len() == 4 && all, "Bob's screen lacks the words {words:?}:\n{screen}");
    stage.show(&screen)?;
    stage.alice.approve(&for_alice.id, true).await?;
    stage.did(&format!("the same words on both screens: {}", words.join(" ")))?;
    for side in [&stage.alice, &stage.bob] {
        soon("trust on both sides", async || trusted(side).await).await?;
    }
    stage.did("both nodes hold both signatures: the peers are trusted and verified")
}

async fn trusted(side: &Side) -> anyhow::Result<Option<()>> {
    let peers: Peers = side.call("trust_list", json!({})).await?;
    let good = |peer: &crate::node::api::Peer| peer.state == PeerState::Trusted && peer.verified;
    Ok(peers.peers.iter().any(good).then_some(()))
}

async fn a_conversation(stage: &mut Stage) -> anyhow::Result<()> {
    stage
        .begin("A conversation", "Messages, a reply, and a question that waits for its answer.")?;
    let (alice, bob) = (&stage.alice, &stage.bob);
    let hello =
        send(alice, json!({ "to": "bob", "text": "Hello Bob, this is Alice's agent." })).await?;
    let arrived = receive(bob, "Hello Bob").await?;
    ensure!(arrived.id == hello.id && arrived.untrusted, "Bob got another message: {arrived:?}");
    stage.did(&format!("Bob's agent reads: {}", arrived.text))?;
    let reply = json!({ "to": "alice", "text": "Hello Alice!", "reply_to": hello.id });
    send(bob, reply).await?;
    let answer = receive(alice, "Hello Alice").await?;
    ensure!(
        answer.reply_to.as_deref() == Some(&*hello.id),
        "the reply answers another: {answer:?}"
    );
    soon("the state `replied`", async || reached(alice, &hello.id, &["replied"]).await).await?;
    stage.did("Alice's agent has the reply, and her message's state is `replied`")?;
    let question = "Which port does the demo use?";
    let arguments = json!({ "to": "bob", "text": question, "wait_seconds": 15 });
    let answering = async {
        let asked = receive(bob, question).await?;
        ensure!(asked.kind == "request", "Bob got a {}", asked.kind);
        send(bob, json!({ "to": "alice", "text": "One on 127.0.0.1.", "reply_to": asked.id })).await
    };
    let asking = alice.call::<Sent>("peer_ask", arguments);
    let (asked, _) = tokio::try_join!(asking, answering)?;
    let reply = asked.reply.context("peer_ask came back without the reply")?;
    ensure!(reply.text.contains("One on 127.0.0.1."), "the reply says {:?}", reply.text);
    stage.did(&format!("peer_ask {question:?} gives {:?}", reply.text))
}

async fn a_crash(stage: &mut Stage) -> anyhow::Result<()> {
    stage.begin(
        "Bob's node dies",
        "His agent ends and his node is killed (kill -9). Alice's message waits at her node,\n\
         not on a server, and arrives exactly once when Bob is back.",
    )?;
    stage.bob.end_agent().await;
    stage.bob.kill_node().await?;
    soon("the end of Bob's node", async || Ok((!stage.bob.status().await?.running).then_some(())))
        .await?;
    let text = "Are you back, Bob?";
    let sent = send(&stage.alice, json!({ "to": "bob", "text": text })).await?;
    ensure!(sent.state == "queued", "the state is {}, not queued", sent.state);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let life = life(&stage.alice, &sent.id).await?;
    ensure!(life.state == "queued", "with nobody there, the state is {}", life.state);
    stage.did("Alice sent; the state is `queued`, and stays it")?;
    stage.bob.start_agent().await?;
    let arrived = receive(&stage.bob, text).await?;
    ensure!(arrived.id == sent.id, "Bob got another message: {arrived:?}");
    let states = ["accepted", "read"];
    soon("the receipt", async || reached(&stage.alice, &sent.id, &states).await).await?;
    let all: Inbox = stage.bob.call("peer_inbox", json!({ "query": text })).await?;
    ensure!(all.messages.len() == 1, "it arrived {} times", all.messages.len());
    stage.did("Bob's agent starts again: the message is there, exactly once, and Alice knows")
}

async fn a_secret(stage: &mut Stage) -> anyhow::Result<()> {
    stage.begin(
        "A secret is held",
        "Alice's agent sends what looks like an access key. It stays until Alice says yes;\n\
         her yes is a second signature on the message. This is her screen:",
    )?;
    // Made up here, and put together only now, so that no scanner takes it for a real one.
    let secret = ["AKIA", "DEMO2345", "DEMO2345"].concat();
    let text = format!("For the test account: {secret}");
    let sent = send(&stage.alice, json!({ "to": "bob", "text": text })).await?;
    ensure!(sent.state == "held", "the state is {}, not held", sent.state);
    let pending = sent.pending.context("peer_send names no item")?;
    ensure!(!sent.findings.is_empty(), "nothing was found in the text");
    let screen = stage.alice.approve(&pending, false).await?.screen;
    ensure!(screen.contains(&secret), "Alice's screen lacks the text:\n{screen}");
    stage.show(&screen)?;
    let arrived = receive(&stage.bob, &secret).await?;
    let by = arrived.countersigned.context("it arrived without a countersignature")?;
    ensure!(by.method == "passphrase", "the method is {}", by.method);
    stage.did(&format!("Bob's agent sees it countersigned ({}, {})", by.method, by.at))
}

async fn the_evidence(stage: &mut Stage) -> anyhow::Result<()> {
    stage.begin(
        "The evidence",
        "Each side holds a record of all this, chained by hashes; `audit verify` checks it.",
    )?;
    for side in [&stage.alice, &stage.bob] {
        let verified: AuditVerified = side.run(&["audit", "verify"]).await?;
        ensure!(verified.ok, "{}'s chain: {:?}", side.name, verified.problem);
        let (records, checkpoints) = (verified.records, verified.checkpoints);
        let name = side.name;
        stage.did(&format!(
            "{name}'s chain is whole: {records} records, {checkpoints} checkpoints"
        ))?;
    }
    Ok(())
}

async fn send(side: &Side, arguments: Value) -> anyhow::Result<Sent> {
    side.call("peer_send", arguments).await
}

/// Waits at a side's inbox for the one message that holds `text`.
async fn receive(side: &Side, text: &str) -> anyhow::Result<Message> {
    let arguments = json!({ "query": text, "unread": true, "wait_seconds": SOON.as_secs() });
    let inbox: Inbox = side.call("peer_inbox", arguments).await?;
    let mut messages = inbox.messages.into_iter();
    match (messages.next(), messages.next()) {
        (Some(message), None) => Ok(message),
        (None, _) => bail!("{}'s inbox has no message {text:?}", side.name),
        (Some(_), Some(_)) => bail!("{}'s inbox has {text:?} more than once", side.name),
    }
}

async fn life(side: &Side, id: &str) -> anyhow::Result<MessageLife> {
    side.call("peer_status", json!({ "id": id })).await
}

async fn reached(side: &Side, id: &str, states: &[&str]) -> anyhow::Result<Option<()>> {
    Ok(states.contains(&&*life(side, id).await?.state).then_some(()))
}

/// Looks again and again until something is there.
async fn soon<T, F>(what: &str, look: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let until = tokio::time::Instant::now() + SOON;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        ensure!(tokio::time::Instant::now() < until, "{what} did not come within {SOON:?}");
        tokio::time::sleep(LOOK).await;
    }
}
