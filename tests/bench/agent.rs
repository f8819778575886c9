//! An agent's session as bare as it can be: one thread that writes lines and reads lines, so that
//! what is measured is not its own.

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use countersign::node::config;
use serde_json::{Value, json};

use crate::support::{Home, mcp::LEGACY};

/// No answer takes longer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A stream of lines, both ways.
pub(crate) struct Lines {
    reader: BufReader<UnixStream>,
}

impl Lines {
    pub(crate) fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    /// Starts a program with its standard input and output as the other end. It is a pair of
    /// sockets, as Node.js gives to its children, because reading from one can time out.
    pub(crate) fn of_program(mut command: Command) -> (Self, Child) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let stdio = |stream: UnixStream| Stdio::from(OwnedFd::from(stream));
        command.stdin(stdio(theirs.try_clone().unwrap())).stdout(stdio(theirs));
        (Self::new(ours), command.spawn().unwrap())
    }

    /// What is to be read, with what was read ahead.
    pub(crate) fn into_reader(self) -> BufReader<Box<dyn Read>> {
        BufReader::new(Box::new(self.reader))
    }

    pub(crate) fn set_timeout(&self, timeout: Duration) {
        self.reader.get_ref().set_read_timeout(Some(timeout)).unwrap();
    }

    pub(crate) fn write(&mut self, message: &Value) {
        self.reader.get_mut().write_all(format!("{message}\n").as_bytes()).unwrap();
    }

    pub(crate) fn read(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }
}

/// A session that shook hands.
pub(crate) struct Agent {
    lines: Lines,
    child: Option<Child>,
    last_id: u64,
    /// Changes of the inbox that were told and not yet waited for.
    changes: u64,
}

impl Agent {
    /// Through `countersign mcp`. Its error output is dropped.
    pub(crate) fn stdio(home: &Home) -> Self {
        let mut command = home.command(&["mcp"]);
        command.stderr(Stdio::null());
        let (lines, child) = Lines::of_program(command);
        Self { lines, child: Some(child), last_id: 0, changes: 0 }.greeted()
    }

    /// At the node's socket, without the process in between.
    pub(crate) fn socket(home: &Home) -> Self {
        Self::at(&config::Home::at(home.path()).unwrap().socket_file())
    }

    /// At this socket.
    pub(crate) fn at(path: &Path) -> Self {
        let mut lines = Lines::new(UnixStream::connect(path).unwrap());
        lines.write(&json!({"hello": 1, "role": "mcp", "pid": std::process::id(), "cwd": "/"}));
        assert_eq!(lines.read()["hello"], 1);
        Self { lines, child: None, last_id: 0, changes: 0 }.greeted()
    }

    fn greeted(mut self) -> Self {
        let me = json!({"name": "bench", "version": "1"});
        let hello = json!({"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": me});
        assert_eq!(self.request("initialize", hello)["protocolVersion"], LEGACY);
        self.lines.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        self
    }

    /// The process in between.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.lines.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    fn answer(&mut self, id: u64) -> Value {
        loop {
            let line = self.lines.read();
            if line["id"] == id {
                assert!(line["error"].is_null(), "{line}");
                return line["result"].clone();
            }
            self.changes += u64::from(line["method"] == "notifications/resources/updated");
        }
    }

    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        self.answer(id)
    }

    /// Asks for a tool and does not wait; gives the request's id.
    pub(crate) fn start(&mut self, tool: &str, arguments: Value) -> u64 {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// What a tool gave.
    pub(crate) fn finish(&mut self, id: u64) -> Value {
        let result = self.answer(id);
        assert!(result["isError"] != true, "{result}");
        result["structuredContent"].clone()
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.start(tool, arguments);
        self.finish(id)
    }

    /// Is told of changes of the inbox from now on.
    pub(crate) fn follow_inbox(&mut self) {
        self.request("resources/subscribe", json!({"uri": "countersign://inbox"}));
    }

    /// Waits until it is told that the inbox changed.
    pub(crate) fn wait_for_change(&mut self) {
        while self.changes == 0 {
            let line = self.lines.read();
            assert!(line["id"].is_null(), "an answer that nobody asked for: {line}");
            self.changes += u64::from(line["method"] == "notifications/resources/updated");
        }
        self.changes = 0;
    }

    /// Reads all that is unread.
    pub(crate) fn read_all(&mut self) {
        loop {
            let inbox = self.call("peer_inbox", json!({"unread": true, "limit": 50}));
            if inbox["messages"].as_array().unwrap().is_empty() {
                break;
            }
        }
        self.changes = 0;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok(); // It may have ended by itself.
            child.wait().ok();
        }
    }
}
