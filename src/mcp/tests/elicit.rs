//! Questions to a client's user in the middle of a call, and what every era has in common.

use std::time::Duration;

use rmcp::{
    model::{CallToolRequest, ClientRequest},
    service::PeerRequestOptions,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    sync::mpsc::Receiver,
    time::{Instant, timeout},
};

use super::support::*;

fn secret() -> Value {
    json!({ "to": "bob", "text": "a secret\nline two \u{202e}x" })
}

fn invite() -> Value {
    json!({ "invite": "countersign1x", "name": "bob" })
}

async fn both(person: Person, check: impl AsyncFn(&Client, &Fake, &mut Receiver<Told>)) {
    for era in [Era::Legacy, Era::Modern] {
        let fake = Fake::new();
        fake.node.set_page_port(7311);
        let (client, mut told) = session_of(&fake, era, person).await;
        check(&client, &fake, &mut told).await;
        client.cancel().await.unwrap();
    }
}

/// What a client is told next, soon.
async fn next(told: &mut Receiver<Told>) -> Told {
    timeout(Duration::from_secs(20), told.recv()).await.unwrap().unwrap()
}

/// The next question that a client was asked.
async fn asked(told: &mut Receiver<Told>) -> Value {
    loop {
        if let Told::Asked(question) = next(told).await {
            return question;
        }
    }
}

fn questions(told: &mut Receiver<Told>) -> usize {
    let mut count = 0;
    while let Ok(told) = told.try_recv() {
        count += usize::from(matches!(told, Told::Asked(_)));
    }
    count
}

fn options(question: &Value) -> Vec<String> {
    let options = question.pointer("/requestedSchema/properties/decision/oneOf").unwrap();
    let word = |option: &Value| option["const"].as_str().unwrap().to_owned();
    options.as_array().unwrap().iter().map(word).collect()
}

#[tokio::test]
async fn the_question_says_what_waits_why_and_where_to_decide() {
    both(Person::Chooses("later"), async |client, _, told| {
        good(client, "peer_send", secret()).await;
        let question = asked(told).await;
        assert_eq!(question["mode"], "form");
        assert_eq!(options(&question), ["later", "deny"]);
        assert_eq!(question.pointer("/requestedSchema/required"), Some(&json!(["decision"])));
        let message = question["message"].as_str().unwrap();
        let expected = "Your agent wants to send a message to bob (calls itself \
            \"Bob\\u{202e}\\u{a}Approved by your admin\", not verified), for its session api.\n\
            You are asked because: it looks like a key\\u{1b}[2J.\n\
            You can only approve on the page http://localhost:7311/waiting/pnd_9 (opened with \
            `countersign page`) or in a terminal with `countersign approve pnd_9`. It waits until \
            2026-11-21T10:00:00.000Z.\n\
            The text (22 bytes):\n\
            | a secret\n\
            | line two \\u{202e}x";
        assert_eq!(message, expected);
        good(client, "peer_connect", invite()).await;
        let question = asked(told).await;
        assert_eq!(options(&question), ["later", "deny"]);
        let message = question["message"].as_str().unwrap();
        assert!(message.starts_with("Your agent asks to connect with a new peer, bob (calls"));
        assert!(message.contains("Compare the words") && !message.contains("The text"));
    })
    .await;
}

#[tokio::test]
async fn a_no_in_the_client_denies() {
    for person in [Person::Chooses("deny"), Person::Declines] {
        both(person, async |client, fake, _| {
            let sent = good(client, "peer_send", secret()).await;
            assert_eq!((&sent["state"], sent.get("pending")), (&"denied".into(), None));
            assert!(sent["next"].as_str().unwrap().contains("do not send it again"), "{sent}");
            let connected = good(client, "peer_connect", invite()).await;
            assert_eq!(connected["state"], "revoked");
            assert_eq!(connected.get("pending"), None);
            assert!(connected["next"].as_str().unwrap().contains("denied"), "{connected}");
            let expected = [("pnd_9".to_owned(), false), ("pnd_7".to_owned(), false)];
            assert_eq!(fake.client_answers(), expected);
            let ask = good(client, "peer_ask", secret()).await;
            assert_eq!((&ask["state"], ask.get("reply")), (&"denied".into(), None));
            assert_eq!(fake.spoken(), 3, "nothing was sent twice");
        })
        .await;
    }
}

#[tokio::test]
async fn whatever_is_no_answer_leaves_it_waiting() {
    let nonsense =
        [None, Some("{}"), Some("[\"deny\"]"), Some(r#"{"decision": 7}"#), Some("\"x\"")];
    let people = nonsense.map(Person::Accepts).into_iter();
    let people = people.chain([Person::Chooses("later"), Person::Chooses("yes"), Person::Cancels]);
    for person in people {
        both(person, async |client, fake, told| {
            for (tool, arguments, pending) in
                [("peer_send", secret(), "pnd_9"), ("peer_connect", invite(), "pnd_7")]
            {
                let result = good(client, tool, arguments).await;
                assert_eq!(result["pending"], pending, "{person:?}");
                let next = result["next"].as_str().unwrap();
                assert!(next.contains(&format!("countersign approve {pending}")), "{next}");
            }
            assert!(fake.client_answers().is_empty(), "{person:?}");
            assert_eq!((fake.waits(), fake.spoken(), questions(told)), (2, 2, 2));
        })
        .await;
    }
}

#[tokio::test]
async fn who_said_later_is_not_asked_again_about_the_same() {
    both(Person::Chooses("later"), async |client, _, told| {
        for _ in 0..3 {
            assert_eq!(good(client, "peer_send", secret()).await["state"], "held");
        }
        assert_eq!(questions(told), 1);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_accepts_everything_approves_nothing() {
    both(Person::Chooses("approve"), async |client, fake, _| {
        assert_eq!(good(client, "peer_send", secret()).await["state"], "held");
        assert_eq!(good(client, "peer_ask", secret()).await["state"], "held");
        assert_eq!(good(client, "peer_connect", invite()).await["state"], "requested");
        assert!(fake.client_answers().is_empty(), "what was not offered is not even said");
        assert_eq!(fake.waits(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_yes_counts_where_it_was_offered() {
    both(Person::Chooses("approve"), async |client, fake, told| {
        fake.world.lock().unwrap().inline = true;
        let sent = good(client, "peer_send", secret()).await;
        assert_eq!((&sent["state"], sent.get("pending")), (&"queued".into(), None));
        let question = asked(told).await;
        assert_eq!(options(&question), ["later", "deny", "approve"]);
        assert!(question["message"].as_str().unwrap().contains("You can also approve on the page"));
        assert_eq!(fake.client_answers(), [("pnd_9".to_owned(), true)]);
    })
    .await;
}

#[tokio::test]
async fn an_answered_ask_goes_on_to_the_reply() {
    both(Person::Chooses("approve"), async |client, fake, _| {
        let mut reply = message("msg_1", "bob", "the reply");
        reply.reply_to = Some("msg_out".to_owned());
        fake.world.lock().unwrap().messages = vec![reply];
        fake.world.lock().unwrap().inline = true;
        let asked = good(client, "peer_ask", secret()).await;
        assert!(asked["reply"]["text"].as_str().unwrap().contains("the reply"), "{asked}");
        assert_eq!(fake.spoken(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_throws_gets_what_waits() {
    let fake = Fake::new();
    let (client, _told) = session_of(&fake, Era::Legacy, Person::Throws).await;
    let sent = good(&client, "peer_send", secret()).await;
    assert_eq!((&sent["state"], &sent["pending"]), (&"held".into(), &"pnd_9".into()));
    assert!(fake.client_answers().is_empty());
    // In the other era the client itself fails, and does not call again.
    let (client, _told) = session_of(&fake, Era::Modern, Person::Throws).await;
    client.call_tool(request("peer_connect", invite())).await.unwrap_err();
    assert!(fake.client_answers().is_empty());
    assert_eq!(fake.waits(), 2);
}

#[tokio::test]
async fn where_the_human_was_asked_often_enough_the_call_says_at_once_that_it_waits() {
    both(Person::Chooses("deny"), async |client, fake, told| {
        fake.world.lock().unwrap().busy = true;
        let sent = good(client, "peer_send", secret()).await;
        assert_eq!((&sent["state"], &sent["pending"]), (&"held".into(), &"pnd_9".into()));
        assert!(sent["next"].as_str().unwrap().contains("countersign approve pnd_9"), "{sent}");
        assert_eq!(questions(told), 0);
        assert_eq!(fake.ends(), 0);
    })
    .await;
}

#[tokio::test]
async fn the_node_hears_of_the_end_of_each_question() {
    for person in [Person::Chooses("later"), Person::Declines, Person::Cancels] {
        both(person, async |client, fake, _| {
            good(client, "peer_send", secret()).await;
            // What it is told last is asked before what is asked next.
            good(client, "peer_whoami", none()).await;
            assert_eq!(fake.ends(), 1, "{person:?}");
        })
        .await;
    }
    let fake = Fake::new();
    let (client, mut told) = session_of(&fake, Era::Legacy, Person::Away).await;
    let peer = client.peer().clone();
    tokio::spawn(async move {
        let call = CallToolRequest::new(request("peer_send", secret()));
        peer.send_request(ClientRequest::CallToolRequest(call)).await
    });
    asked(&mut told).await;
    client.cancel().await.unwrap();
    timeout(Duration::from_secs(20), async {
        while fake.ends() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_it_waiting() {
    for era in [Era::Legacy, Era::Modern] {
        let fake = Fake::new();
        let (client, mut told) = session_of(&fake, era, Person::Away).await;
        let peer = client.peer().clone();
        let calling = tokio::spawn(async move {
            let call = CallToolRequest::new(request("peer_send", secret()));
            peer.send_request(ClientRequest::CallToolRequest(call)).await
        });
        match era {
            Era::Legacy => drop(asked(&mut told).await),
            // It was handed the question, and is gone with it.
            Era::Modern => drop(calling.await.unwrap().unwrap()),
        }
        client.cancel().await.unwrap();
        let (client, _told) = session(&fake, Era::Legacy).await;
        good(&client, "peer_whoami", none()).await;
        assert!(fake.client_answers().is_empty());
        assert_eq!(fake.waits(), 1);
    }
}

#[tokio::test]
async fn what_is_decided_elsewhere_withdraws_the_question() {
    for (yes, state, peer_state) in [(true, "queued", "trusted"), (false, "denied", "revoked")] {
        let fake = Fake::new();
        let (client, mut told) = session_of(&fake, Era::Legacy, Person::Away).await;
        let elsewhere = async |told: &mut Receiver<Told>, pending: &str| {
            asked(told).await;
            // A hint about something else withdraws nothing.
            fake.node.tell(crate::node::api::Event::PendingChanged);
            good(&client, "peer_whoami", none()).await;
            assert!(told.is_empty());
            fake.decide_elsewhere(pending, yes);
            assert_eq!(next(told).await, Told::Withdrawn);
        };
        let (sent, ()) =
            tokio::join!(good(&client, "peer_send", secret()), elsewhere(&mut told, "pnd_9"));
        assert_eq!((&sent["state"], sent.get("pending")), (&state.into(), None));
        let (connected, ()) =
            tokio::join!(good(&client, "peer_connect", invite()), elsewhere(&mut told, "pnd_7"));
        assert_eq!(connected["state"], peer_state, "{connected}");
        assert!(fake.client_answers().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_answers_ends_with_the_item_waiting() {
    let fake = Fake::new();
    let (client, mut told) = session_of(&fake, Era::Legacy, Person::Away).await;
    let begun = Instant::now();
    // rmcp's client gives every call a token, so that it is told how it goes.
    let sent = good(&client, "peer_send", secret()).await;
    assert_eq!((&sent["state"], &sent["pending"]), (&"held".into(), &"pnd_9".into()));
    assert!((300..302).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    asked(&mut told).await;
    let mut heard = Vec::new();
    while heard.last() != Some(&Told::Withdrawn) {
        heard.push(next(&mut told).await);
    }
    assert_eq!(heard[0], Told::Progress("waiting, 5 of 300 s".to_owned()));
    assert!(fake.client_answers().is_empty());
}

#[tokio::test]
async fn a_cancelled_call_withdraws_its_question() {
    let fake = Fake::new();
    let (client, mut told) = session_of(&fake, Era::Legacy, Person::Away).await;
    let call = CallToolRequest::new(request("peer_send", secret()));
    let call = ClientRequest::CallToolRequest(call);
    let options = PeerRequestOptions::no_options();
    let handle = client.send_cancellable_request(call, options).await.unwrap();
    asked(&mut told).await;
    handle.cancel(Some("enough".to_owned())).await.unwrap();
    assert_eq!(next(&mut told).await, Told::Withdrawn);
    assert!(fake.client_answers().is_empty());
    assert_eq!(fake.waits(), 1);
}

#[tokio::test]
async fn nobody_is_asked_where_there_is_nothing_to_decide() {
    both(Person::Declines, async |client, fake, told| {
        good(client, "peer_send", json!({ "to": "bob", "text": "hi" })).await;
        let silent = good(client, "peer_connect", json!({ "invite": "silent" })).await;
        assert_eq!(silent["pending"], "pnd_7", "the other node has not answered yet");
        assert_eq!(questions(told), 0);
        assert!(fake.client_answers().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_client_that_only_opens_addresses_is_given_the_pages() {
    both(Person::OpensLinks, async |client, fake, told| {
        assert_eq!(good(client, "peer_send", secret()).await["state"], "held");
        let question = asked(told).await;
        assert_eq!(
            (&question["mode"], &question["url"]),
            (&"url".into(), &"http://localhost:7311/waiting/pnd_9".into())
        );
        assert!(fake.client_answers().is_empty());
    })
    .await;
    let fake = Fake::new();
    let (client, mut told) = session_of(&fake, Era::Legacy, Person::OpensLinks).await;
    assert_eq!(good(&client, "peer_send", secret()).await["state"], "held");
    assert_eq!(questions(&mut told), 0, "there is no page");
}

/// A client of bare lines, which does what no library does.
struct Bare(BufReader<tokio::io::DuplexStream>);

impl Bare {
    async fn begin(fake: &Fake, version: &str) -> Self {
        let mut bare = Self(BufReader::new(serving(fake)));
        let params = json!({
            "protocolVersion": version, "capabilities": { "elicitation": {} },
            "clientInfo": { "name": "bare", "version": "1" },
        });
        bare.say(json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }))
            .await;
        assert_eq!(bare.hear().await["result"]["protocolVersion"], version);
        bare.say(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        bare
    }

    async fn say(&mut self, message: Value) {
        self.0.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Sends something that is held, and gives the question.
    async fn send(&mut self) -> Value {
        let params = json!({ "name": "peer_send", "arguments": secret() });
        self.say(json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }))
            .await;
        let question = self.hear().await;
        assert_eq!(question["method"], "elicitation/create");
        question
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hears_of_no_progress_is_answered_before_it_gives_up() {
    let fake = Fake::new();
    let mut client = Bare::begin(&fake, "2025-11-25").await;
    let begun = Instant::now();
    let question = client.send().await;
    let withdrawn = client.hear().await;
    assert_eq!(begun.elapsed().as_secs(), 45);
    assert_eq!(withdrawn["method"], "notifications/cancelled");
    assert_eq!(withdrawn["params"]["requestId"], question["id"]);
    let answer = client.hear().await;
    assert_eq!(answer["result"]["structuredContent"]["state"], "held");
    // Too late: the question was withdrawn, and another one may be open.
    client
        .say(json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "decline" } }))
        .await;
    client.say(json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" })).await;
    assert_eq!(client.hear().await["id"], 2);
    tokio::time::advance(Duration::from_mins(1)).await;
    assert!(fake.client_answers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_no_answers_leave_it_waiting() {
    let answers = [
        json!({ "result": {} }),
        json!({ "result": { "action": "approve" } }),
        json!({ "result": { "action": 1 } }),
        json!({ "result": { "action": "accept", "content": { "decision": "approve" } } }),
        json!({ "result": { "model": "x", "role": "user" } }),
        json!({ "result": null }),
        json!({ "error": { "code": -32601, "message": "no" } }),
        json!({ "error": "no" }),
    ];
    for mut answer in answers {
        let fake = Fake::new();
        let mut client = Bare::begin(&fake, "2025-11-25").await;
        answer["id"] = client.send().await["id"].clone();
        answer["jsonrpc"] = json!("2.0");
        client.say(answer.clone()).await;
        let told = loop {
            let told = client.hear().await;
            if told["id"] == 1 {
                break told;
            }
        };
        assert_eq!(told["result"]["structuredContent"]["state"], "held", "{answer}: {told}");
        assert!(fake.client_answers().is_empty(), "{answer}");
    }
}

#[tokio::test]
async fn an_older_client_gets_the_titles_where_it_looks_for_them() {
    let fake = Fake::new();
    let mut client = Bare::begin(&fake, "2025-06-18").await;
    let question = client.send().await;
    let field = question.pointer("/params/requestedSchema/properties/decision").unwrap();
    assert_eq!(field["enum"], json!(["later", "deny"]));
    assert_eq!(field["enumNames"], json!(["I decide on the page or in the terminal", "Deny"]));
    assert_eq!(field.get("oneOf"), None);
}
