use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::support::*;
use crate::{
    base::limits::LINE_BYTES_MAX,
    ipc::{self, Hello, Role, SessionStream},
    mcp::{serve, stdio},
    node::{
        api::{AgentRequest, News, NewsOf},
        config::Home,
        sessions::Wish,
    },
};

/// Starts nodes, all with the same store, and can end the one that runs.
#[derive(Clone)]
struct Starter {
    home: Home,
    fake: Fake,
    running: Arc<Mutex<Option<CancellationToken>>>,
    starts: Arc<AtomicUsize>,
}

impl Starter {
    async fn start(&self) -> Result<(), String> {
        self.starts.fetch_add(1, Ordering::SeqCst);
        let listener = ipc::Listener::bind(&self.home).await.map_err(|e| e.to_string())?;
        let (cancel, agent) = (CancellationToken::new(), self.fake.node.clone());
        let ending = cancel.clone();
        let session = move |SessionStream { hello, reader, writer, .. }: SessionStream| {
            let wish = Wish { channel: hello.channel, ..wish() };
            let (session, ending) = (agent.open_session(wish), ending.clone());
            async move {
                let (theirs, mut ours) = tokio::io::duplex(64 * 1024);
                let (serves, answers) = tokio::io::split(theirs);
                tokio::spawn(serve(serves, answers, session, CancellationToken::new()));
                // Cut as by a crash: nothing is answered any more.
                let mut agent = tokio::io::join(reader, writer);
                let carried = tokio::io::copy_bidirectional(&mut agent, &mut ours);
                ending.run_until_cancelled(carried).await;
            }
        };
        let node = self.fake.node.clone();
        tokio::spawn(listener.serve(node, session, TaskTracker::new(), cancel.clone()));
        *self.running.lock().unwrap() = Some(cancel);
        Ok(())
    }

    fn kill(&self) {
        self.running.lock().unwrap().take().unwrap().cancel();
    }
}

struct Agent {
    lines: BufReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
}

impl Agent {
    async fn say(&mut self, message: Value) {
        self.writer.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let mut line = String::new();
        timeout(Duration::from_secs(10), self.lines.read_line(&mut line)).await.unwrap().unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"))
    }

    /// The next message that answers `id`.
    async fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.hear().await;
            if message.get("id") == Some(&json!(id)) {
                return message;
            }
        }
    }

    async fn initialize(&mut self) -> Value {
        self.say(json!({ "jsonrpc": "2.0", "method": "notifications/early" })).await;
        let params = json!({
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        self.say(json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }))
            .await;
        let answer = self.answer(0).await;
        self.say(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        answer
    }

    async fn call(&mut self, id: u64, tool: &str, arguments: Value) {
        let params = json!({ "name": tool, "arguments": arguments });
        self.say(json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }))
            .await;
    }
}

type Pumping = JoinHandle<std::io::Result<stdio::Ended>>;

fn pump(
    home: &Home,
    start: impl AsyncFn() -> Result<(), String> + 'static,
) -> (Agent, tokio::task::LocalSet, Pumping) {
    pump_as(home, false, start)
}

fn pump_as(
    home: &Home,
    channel: bool,
    start: impl AsyncFn() -> Result<(), String> + 'static,
) -> (Agent, tokio::task::LocalSet, Pumping) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (lines, writer) = tokio::io::split(ours);
    let (input, output) = tokio::io::split(theirs);
    let (local, home) = (tokio::task::LocalSet::new(), home.clone());
    let hello = Hello { channel, ..Hello::of(Role::Mcp) };
    let run = async move { stdio::run((&home, &hello), input, output, start).await };
    let ended = local.spawn_local(run);
    (Agent { lines: BufReader::new(lines), writer }, local, ended)
}

fn starter(folder: &tempfile::TempDir) -> Starter {
    let home = Home::at(folder.path()).unwrap();
    let (running, starts) = (Arc::default(), Arc::default());
    Starter { home, fake: Fake::new(), running, starts }
}

#[tokio::test]
async fn a_session_outlives_its_node() {
    let folder = tempfile::tempdir().unwrap();
    let starter = starter(&folder);
    let starting = starter.clone();
    let (mut agent, local, ended) = pump(&starter.home, async move || starting.start().await);
    let story = async {
        let hello = agent.initialize().await;
        assert_eq!(hello["result"]["serverInfo"]["name"], "countersign");
        let follow = json!({ "uri": "countersign://inbox" });
        let subscribe =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": follow });
        agent.say(subscribe).await;
        agent.answer(1).await;
        agent.call(2, "peer_inbox", json!({ "wait_seconds": 600 })).await;
        while starter.fake.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        starter.kill();
        let lost = agent.answer(2).await;
        assert_eq!(lost["error"]["code"], -32000);
        assert!(lost["error"]["message"].as_str().unwrap().contains("peer_status"));
        agent.call(3, "peer_whoami", none()).await;
        let mut heard = Vec::new();
        while heard.last().is_none_or(|m: &Value| m.get("id") != Some(&json!(3))) {
            heard.push(agent.hear().await);
        }
        assert_eq!(heard.last().unwrap()["result"]["structuredContent"]["name"], "Alice");
        assert_eq!(heard[0]["method"], "notifications/tools/list_changed");
        assert_eq!(heard.len(), 4, "no replayed answer is seen: {heard:?}");
        assert_eq!(starter.starts.load(Ordering::SeqCst), 2);
        starter.fake.arrive(message("msg_1", "bob", "x"));
        assert_eq!(agent.hear().await["params"]["uri"], "countersign://inbox");
        agent.writer.shutdown().await.unwrap();
        ended.await.unwrap().unwrap()
    };
    assert_eq!(local.run_until(story).await, stdio::Ended::Clean);
}

const WHY: &str = "run: countersign init --name NAME in a terminal";

#[tokio::test]
async fn without_a_node_every_request_is_told_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path()).unwrap();
    let (mut agent, local, ended) = pump(&home, async || Err(WHY.to_owned()));
    let story = async {
        for id in 0..3 {
            agent.say(json!({ "jsonrpc": "2.0", "id": id, "method": "initialize" })).await;
            let answer = agent.answer(id).await;
            assert_eq!(answer["error"], json!({ "code": -32000, "message": WHY }));
        }
        let begun = Instant::now();
        agent.writer.shutdown().await.unwrap();
        let ended = ended.await.unwrap().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2));
        ended
    };
    assert_eq!(local.run_until(story).await, stdio::Ended::NoNode(WHY.to_owned()));
}

#[tokio::test]
async fn a_message_over_the_bound_is_answered_and_the_session_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let starter = starter(&folder);
    let starting = starter.clone();
    let (mut agent, local, ended) = pump(&starter.home, async move || starting.start().await);
    let story = async {
        agent.initialize().await;
        agent
            .call(7, "peer_send", json!({ "to": "bob", "text": "x".repeat(LINE_BYTES_MAX) }))
            .await;
        let answer = agent.answer(7).await;
        let text = answer["error"]["message"].as_str().unwrap();
        assert!(text.contains("1048576"), "{text}");
        // The client leaves during a call: its process does not stay for it.
        agent.call(8, "peer_inbox", json!({ "wait_seconds": 600 })).await;
        let begun = Instant::now();
        agent.writer.shutdown().await.unwrap();
        ended.await.unwrap().unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5));
    };
    local.run_until(story).await;
}

#[tokio::test]
async fn a_session_whose_node_restarts_is_told_how_much_waits_and_no_text_again() {
    let folder = tempfile::tempdir().unwrap();
    let starter = starter(&folder);
    let starting = starter.clone();
    let (mut agent, local, _ended) =
        pump_as(&starter.home, true, async move || starting.start().await);
    starter.fake.arrive(message("msg_1", "bob", "once and no more"));
    let story = async {
        agent.initialize().await;
        let told = agent.hear().await;
        assert_eq!(told["method"], "notifications/claude/channel");
        assert!(told.to_string().contains("once and no more"), "{told}");
        starter.fake.news(News {
            unread: vec![NewsOf { name: "bob".to_owned(), unread: 1 }],
            ..News::default()
        });
        agent.call(2, "peer_inbox", json!({ "from": "carol", "wait_seconds": 600 })).await;
        while !starter.fake.asked().iter().any(|r| matches!(r, AgentRequest::Inbox(_))) {
            tokio::task::yield_now().await;
        }
        starter.kill();
        agent.answer(2).await;
        agent.call(3, "peer_whoami", none()).await;
        let mut heard = Vec::new();
        while heard.len() < 5 {
            heard.push(agent.hear().await);
        }
        let told: Vec<_> =
            heard.iter().filter(|m| m["method"] == "notifications/claude/channel").collect();
        assert_eq!(told.len(), 1, "{heard:?}");
        assert_eq!(told[0]["params"]["meta"], json!({ "unread": "1" }));
        assert!(!heard.iter().any(|m| m.to_string().contains("no more\"")), "{heard:?}");
    };
    local.run_until(story).await;
}
