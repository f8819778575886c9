//! From one agent's `peer_send` to the other agent being told, over every way of being told, and
//! what a hook costs that has nothing to say.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    agent::{Agent, Lines},
    figures::{Goal, Samples, Table},
    support::{
        Home,
        mcp::{LEGACY, MODERN},
        wait::within,
    },
};

/// Fewer than a peer may leave unread.
const MESSAGES: usize = 200;
const HOOKS: usize = 200;
const INBOX: &str = "countersign://inbox";
const UPDATED: &str = "notifications/resources/updated";
const CHANNEL: &str = "notifications/claude/channel";
/// No message takes longer.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn measure(alice: &Home, bob: &Home, table: &mut Table) {
    let web = Web::of(bob);
    routes(alice, bob, table, |bob, ear| match ear {
        Way::Channel => stdio(bob, &["mcp", "--channel"], CHANNEL),
        Way::Resources => stdio(bob, &["mcp"], UPDATED),
        Way::Listen => stdio_modern(bob),
        Way::HttpStream => web.stream(),
        Way::HttpListen => web.listen(),
        Way::Sse => web.sse(),
    });
    hook(bob, table);
}

/// A way of being told.
#[derive(Clone, Copy)]
enum Way {
    Channel,
    Resources,
    Listen,
    HttpStream,
    HttpListen,
    Sse,
}

const WAYS: [(Way, &str); 6] = [
    (Way::Channel, "claude/channel over stdio"),
    (Way::Resources, "resources/updated over stdio, 2025-11-25"),
    (Way::Listen, "subscriptions/listen over stdio, 2026-07-28"),
    (Way::HttpStream, "resources/updated over HTTP, 2025-11-25"),
    (Way::HttpListen, "subscriptions/listen over HTTP, 2026-07-28"),
    (Way::Sse, "resources/updated over HTTP+SSE"),
];

fn routes(alice: &Home, bob: &Home, table: &mut Table, open: impl Fn(&Home, Way) -> Ear) {
    let mut sender = Agent::stdio(alice);
    let message = json!({"to": bob.name, "text": "x".repeat(1024)});
    for (way, name) in WAYS {
        let mut ear = open(bob, way);
        let mut told = Samples::default();
        for _ in 0..MESSAGES {
            let begun = Instant::now();
            let sending = sender.start("peer_send", message.clone());
            ear.hear();
            told.add(begun.elapsed());
            sender.finish(sending);
        }
        drop(ear);
        Agent::stdio(bob).read_all();
        let goal = Goal::at_most("p99", told.p99(), Duration::from_millis(10));
        table.times(&format!("peer_send to {name}"), &told, Some(goal));
    }
}

/// Somebody who hears.
struct Ear {
    lines: BufReader<Box<dyn Read>>,
    needle: &'static str,
    child: Option<Child>,
}

impl Ear {
    fn hear(&mut self) {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the stream ended");
            if line.contains(self.needle) {
                return;
            }
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok(); // It may have ended by itself.
            child.wait().ok();
        }
    }
}

fn initialize() -> Value {
    let me = json!({"name": "bench", "version": "1"});
    let params = json!({"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": me});
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
}

fn initialized() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/initialized"})
}

fn subscribe() -> Value {
    let params = json!({"uri": INBOX});
    json!({"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": params})
}

fn subscriptions_listen() -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    });
    let wanted = json!({"resourceSubscriptions": [INBOX]});
    let params = json!({"notifications": wanted, "_meta": meta});
    json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params})
}

fn stdio(home: &Home, arguments: &[&str], needle: &'static str) -> Ear {
    let (mut lines, child) = program(home, arguments);
    lines.write(&initialize());
    lines.read();
    lines.write(&initialized());
    lines.write(&subscribe());
    while lines.read()["id"] != 2 {}
    Ear { lines: lines.into_reader(), needle, child: Some(child) }
}

fn stdio_modern(home: &Home) -> Ear {
    let (mut lines, child) = program(home, &["mcp"]);
    lines.write(&subscriptions_listen());
    while lines.read()["method"] != "notifications/subscriptions/acknowledged" {}
    Ear { lines: lines.into_reader(), needle: UPDATED, child: Some(child) }
}

fn program(home: &Home, arguments: &[&str]) -> (Lines, Child) {
    let mut command = home.command(arguments);
    command.stderr(Stdio::null());
    Lines::of_program(command)
}

/// Clients over HTTP.
struct Web {
    port: u16,
    token: String,
}

impl Web {
    fn of(home: &Home) -> Self {
        home.stop();
        let file = home.path().join("config.toml");
        let config = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{config}\n[mcp]\nsse = true\n")).unwrap();
        home.start();
        let link = home.json(&["page"]);
        let origin = link["url"].as_str().unwrap().split_once("/open").unwrap().0.to_owned();
        let port = origin.rsplit_once(':').unwrap().1.parse().unwrap();
        let made = home.run(&["token", "new", "bench"]).expect(0);
        Self { port, token: made.stdout.trim().to_owned() }
    }

    /// Sends a request and gives what comes back, from the head on.
    fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let (port, token, length) = (self.port, &self.token, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\
             Accept: application/json, text/event-stream\r\n{headers}\r\n{body}"
        )
        .unwrap();
        BufReader::new(stream)
    }

    /// Sends a message and gives the answer's session.
    fn post(&self, path: &str, headers: &str, message: &Value) -> String {
        let mut answer = self.send(
            "POST",
            path,
            &format!("Connection: close\r\n{headers}"),
            &message.to_string(),
        );
        let mut whole = String::new();
        answer.read_to_string(&mut whole).unwrap();
        assert!(whole.starts_with("HTTP/1.1 20"), "{whole}");
        let session = whole.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        session.unwrap_or_default().to_owned()
    }

    fn stream(&self) -> Ear {
        let session = self.post("/mcp", "", &initialize());
        let headers = format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: {LEGACY}\r\n");
        self.post("/mcp", &headers, &initialized());
        self.post("/mcp", &headers, &subscribe());
        ear(self.send("GET", "/mcp", &headers, ""), "text/event-stream")
    }

    fn listen(&self) -> Ear {
        let headers =
            format!("MCP-Protocol-Version: {MODERN}\r\nMcp-Method: subscriptions/listen\r\n");
        let body = subscriptions_listen().to_string();
        ear(self.send("POST", "/mcp", &headers, &body), "subscriptions/acknowledged")
    }

    fn sse(&self) -> Ear {
        let mut stream = self.send("GET", "/sse", "", "");
        let path = after(&mut stream, "/messages");
        let path = path.trim().trim_start_matches("data:").trim().to_owned();
        for message in [initialize(), initialized(), subscribe()] {
            self.post(&path, "", &message);
        }
        ear(stream, "\"id\":2")
    }
}

/// Goes on in `stream` once `needle` was there.
fn ear(mut stream: BufReader<TcpStream>, needle: &str) -> Ear {
    after(&mut stream, needle);
    Ear { lines: BufReader::new(Box::new(stream)), needle: UPDATED, child: None }
}

fn after(stream: &mut BufReader<TcpStream>, needle: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "no {needle}");
        if line.contains(needle) {
            return line;
        }
    }
}

/// A hook that has nothing to say, beside a program that does nothing.
fn hook(home: &Home, table: &mut Table) {
    // The hook would be told what is new to a session whose client is gone but which has not ended.
    let stdio = |session: &Value| session["open"] == true && session["transport"] == "stdio";
    let ended = || {
        let all = home.json(&["sessions"]);
        (!all["sessions"].as_array().unwrap().iter().any(stdio)).then_some(())
    };
    assert!(within(TIMEOUT, ended), "sessions that do not end");
    assert_eq!(home.run(&["hook"]).expect(0).stdout, "", "nothing is new");
    let goal = |samples: &Samples| Goal::at_most("p50", samples.p50(), Duration::from_millis(10));
    let quiet = starts(|| home.command(&["hook"]));
    table.times("`countersign hook`, nothing new: start to exit", &quiet, Some(goal(&quiet)));
    let nothing = starts(|| Command::new("true"));
    table.times("`true`: start to exit", &nothing, None);
}

fn starts(command: impl Fn() -> Command) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..HOOKS {
        let mut command = command();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let begun = Instant::now();
        assert!(command.status().unwrap().success());
        samples.add(begun.elapsed());
    }
    samples
}
