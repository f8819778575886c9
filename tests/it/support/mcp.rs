//! An MCP client as bare as it can be: JSON-RPC lines over the standard input and output of
//! `countersign mcp`, in both eras of the protocol. Independent of the library under test.

use std::{
    cell::{Cell, RefCell},
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{Home, SOON, wait};

/// The newest version with a handshake.
pub(crate) const LEGACY: &str = "2025-11-25";
/// The first version where each request says who asks.
pub(crate) const MODERN: &str = "2026-07-28";

/// One client's session.
pub(crate) struct Session {
    child: Child,
    stdin: RefCell<Option<ChildStdin>>,
    lines: Receiver<Value>,
    unclaimed: RefCell<Vec<Value>>,
    last_id: Cell<u64>,
    modern: bool,
    capabilities: Value,
}

impl Session {
    fn open(home: &Home, modern: bool, capabilities: Value) -> Self {
        Self::open_as(home.command(&["mcp"]), modern, capabilities)
    }

    /// A session without a handshake, of a process that was made for it.
    pub(crate) fn started_as(command: Command) -> Self {
        Self::open_as(command, true, json!({}))
    }

    fn open_as(mut command: Command, modern: bool, capabilities: Value) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdin = RefCell::new(child.stdin.take());
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line);
                let value = value.unwrap_or_else(|_| json!({"not_json": line}));
                if sender.send(value).is_err() {
                    break;
                }
            }
        });
        let (unclaimed, last_id) = (RefCell::default(), Cell::new(0));
        Self { child, stdin, lines, unclaimed, last_id, modern, capabilities }
    }

    /// A session with the handshake, as most stdio clients have it.
    pub(crate) fn legacy(home: &Home) -> Self {
        Self::legacy_with(home, json!({}))
    }

    fn legacy_with(home: &Home, able: Value) -> Self {
        Self::open(home, false, able).shaking_hands().0
    }

    /// A session with the handshake and `--channel`, and what the server said that it can.
    pub(crate) fn channel(home: &Home) -> (Self, Value) {
        let command = home.command(&["mcp", "--channel"]);
        Self::open_as(command, false, json!({})).shaking_hands()
    }

    fn shaking_hands(self) -> (Self, Value) {
        let able = self.capabilities.clone();
        let me = json!({"name": "tests", "version": "1"});
        let hello = json!({"protocolVersion": LEGACY, "capabilities": able, "clientInfo": me});
        let answer = self.request("initialize", hello);
        assert_eq!(answer["result"]["protocolVersion"], LEGACY, "{answer}");
        self.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        let able = answer["result"]["capabilities"].clone();
        (self, able)
    }

    /// A session without one.
    pub(crate) fn modern(home: &Home) -> Self {
        Self::open(home, true, json!({}))
    }

    /// Sessions of a client that can show its user a question, with a handshake and without.
    pub(crate) fn asking(home: &Home) -> [Self; 2] {
        let able = json!({"elicitation": {"form": {}}});
        [Self::legacy_with(home, able.clone()), Self::open(home, true, able)]
    }

    /// The next question to the user, of a session with a handshake.
    pub(crate) fn question(&self) -> Value {
        let question = self.next(SOON, |line| line["method"] == "elicitation/create");
        question.expect("a question to the user")
    }

    /// What the user says to a question.
    pub(crate) fn says(&self, question: &Value, result: &Value) {
        self.write(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result}));
    }

    fn write(&self, message: &Value) {
        self.write_line(&message.to_string());
    }

    /// Writes a line as it is.
    pub(crate) fn write_line(&self, line: &str) {
        let mut stdin = self.stdin.borrow_mut();
        let stdin = stdin.as_mut().expect("an open session");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).unwrap();
    }

    /// Asks and does not wait; gives the request's id.
    pub(crate) fn ask(&self, method: &str, mut params: Value) -> u64 {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        if self.modern {
            let me = json!({"name": "tests", "version": "1"});
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": self.capabilities,
                "io.modelcontextprotocol/clientInfo": me,
            });
        }
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// The answer to a request, whole.
    pub(crate) fn answer(&self, id: u64, timeout: Duration) -> Value {
        let mine = |line: &Value| line["id"] == id && line["method"].is_null();
        let found = self.next(timeout, mine);
        found.unwrap_or_else(|| panic!("no answer to request {id} within {timeout:?}"))
    }

    /// The first message of the server's that `wanted` takes.
    pub(crate) fn next(&self, timeout: Duration, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let until = Instant::now() + timeout;
        let kept = self.unclaimed.borrow().iter().position(&wanted);
        if let Some(at) = kept {
            return Some(self.unclaimed.borrow_mut().remove(at));
        }
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).ok()?;
            assert!(line["not_json"].is_null(), "stdout is for MCP alone: {line}");
            if wanted(&line) {
                return Some(line);
            }
            self.unclaimed.borrow_mut().push(line);
        }
    }

    /// Asks and waits; gives the answer whole.
    pub(crate) fn request(&self, method: &str, params: Value) -> Value {
        self.answer(self.ask(method, params), SOON)
    }

    /// Asks for what there must be, and gives the result.
    pub(crate) fn result(&self, method: &str, params: Value) -> Value {
        let answer = self.request(method, params);
        assert!(answer["error"].is_null(), "{method}: {answer:#}");
        answer["result"].clone()
    }

    /// Calls a tool and does not wait; gives the request's id.
    pub(crate) fn start_call(&self, tool: &str, arguments: &Value) -> u64 {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Calls a tool: its structured content, or the text of its error.
    pub(crate) fn try_call(&self, tool: &str, arguments: Value) -> Result<Value, String> {
        let id = self.start_call(tool, &arguments);
        outcome(&self.answer(id, SOON))
    }

    /// Calls a tool that must succeed.
    #[track_caller]
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Value {
        self.try_call(tool, arguments).unwrap_or_else(|error| panic!("{tool}: {error}"))
    }

    /// Calls a tool that must fail, and gives what it says.
    #[track_caller]
    pub(crate) fn call_error(&self, tool: &str, arguments: Value) -> String {
        match self.try_call(tool, arguments) {
            Ok(content) => panic!("{tool} succeeded: {content:#}"),
            Err(error) => error,
        }
    }

    /// Calls a tool and gives all that a model may read of it, as one text.
    pub(crate) fn call_text(&self, tool: &str, arguments: &Value) -> String {
        let answer = self.answer(self.start_call(tool, arguments), SOON);
        let mut text = String::new();
        strings(&answer["result"], &mut text);
        text
    }

    /// Closes the session as a client does, and waits for the process to end by itself.
    pub(crate) fn close(mut self) {
        self.stdin.borrow_mut().take();
        let ended = wait::within(SOON, || self.child.try_wait().unwrap());
        assert!(ended, "countersign mcp goes on after its client has gone");
    }
}

/// What became of a tool call.
pub(crate) fn outcome(answer: &Value) -> Result<Value, String> {
    let result = &answer["result"];
    if !answer["error"].is_null() {
        return Err(answer["error"]["message"].as_str().unwrap_or_default().to_owned());
    }
    if result["isError"] == true {
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "an error without a text: {answer:#}");
        return Err(text.to_owned());
    }
    let content = &result["structuredContent"];
    assert!(content.is_object(), "a result without structured content: {answer:#}");
    Ok(content.clone())
}

/// Every string in `value`, a line each.
fn strings(value: &Value, all: &mut String) {
    match value {
        Value::String(text) => {
            all.push_str(text);
            all.push('\n');
        }
        Value::Array(values) => values.iter().for_each(|value| strings(value, all)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, all)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stdin.borrow_mut().take();
        self.child.kill().ok(); // It may have ended by itself.
        self.child.wait().ok();
    }
}
