//! An MCP client over HTTP as bare as it can be, in both eras of the protocol.

use serde_json::{Value, json};

use crate::support::{
    Home,
    http::{Connection, Request, Response},
    mcp::{LEGACY, MODERN},
};

/// What every client of this transport takes.
pub(super) const ACCEPT: &str = "application/json, text/event-stream";

/// Where the page is, and `/mcp` beside it.
pub(super) fn port(home: &Home) -> u16 {
    let link = home.json(&["page"]);
    let origin = link["url"].as_str().unwrap().split_once("/open#").unwrap().0.to_owned();
    origin.strip_prefix("http://localhost:").unwrap().parse().unwrap()
}

/// A token of this name.
pub(super) fn token(home: &Home, name: &str) -> String {
    let output = home.run(&["token", "new", name]).expect(0);
    let token = output.stdout.trim_end().to_owned();
    assert!(token.starts_with("cs_") && token.len() == 55, "{output}");
    token
}

/// Who calls, and how.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) port: u16,
    pub(super) token: String,
    /// The name that it gives its session.
    pub(super) name: Option<&'static str>,
    pub(super) capabilities: Value,
}

/// A session up to version 2025-11-25.
pub(super) struct Legacy {
    pub(super) caller: Caller,
    pub(super) id: String,
}

impl Caller {
    /// A caller with a token of its own.
    pub(super) fn new(home: &Home, name: &str) -> Self {
        let (port, token) = (port(home), token(home, name));
        Self { port, token, name: None, capabilities: json!({}) }
    }

    /// A request at `/mcp` with this body.
    pub(super) fn post(&self, message: &Value) -> Request {
        self.request("POST", "/mcp").body(message.to_string().as_bytes())
    }

    pub(super) fn request(&self, method: &str, path: &str) -> Request {
        let request = Request::new(self.port, method, path)
            .header("Authorization", &format!("Bearer {}", self.token))
            .header("Content-Type", "application/json")
            .header("Accept", ACCEPT);
        match self.name {
            Some(name) => request.header("Countersign-Session", name),
            None => request,
        }
    }

    /// The handshake.
    pub(super) fn hello(&self) -> Value {
        let me = json!({"name": "tests", "version": "1"});
        let params = json!({
            "protocolVersion": LEGACY, "capabilities": self.capabilities, "clientInfo": me,
        });
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
    }

    /// Begins a session.
    pub(super) fn begin(&self) -> Legacy {
        let response = self.post(&self.hello()).send().expect(200);
        let id = response.header("mcp-session-id").unwrap().to_owned();
        assert_eq!(message(&response)["result"]["protocolVersion"], LEGACY);
        let legacy = Legacy { caller: self.clone(), id };
        legacy.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).expect(202);
        legacy
    }

    /// A request of version 2026-07-28.
    pub(super) fn modern(&self, method: &str, mut params: Value) -> Request {
        let me = json!({"name": "tests", "version": "1"});
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": self.capabilities,
            "io.modelcontextprotocol/clientInfo": me,
        });
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let request = self.post(&message).header("MCP-Protocol-Version", MODERN);
        let request = request.header("Mcp-Method", method);
        match params["name"].as_str() {
            Some(name) => request.header("Mcp-Name", name),
            None => request,
        }
    }

    /// The answer to one.
    pub(super) fn result(&self, method: &str, params: Value) -> Value {
        message(&self.modern(method, params).send().expect(200))
    }

    /// What a tool gives.
    pub(super) fn call(&self, tool: &str, arguments: Value) -> Value {
        self.result("tools/call", json!({"name": tool, "arguments": arguments}))
    }
}

impl Legacy {
    pub(super) fn request(&self, method: &str) -> Request {
        self.caller.request(method, "/mcp").header("Mcp-Session-Id", &self.id)
    }

    pub(super) fn post(&self, message: &Value) -> Response {
        self.request("POST").body(message.to_string().as_bytes()).send()
    }

    /// Whether it is there still.
    pub(super) fn lives(&self) -> bool {
        let response = self.post(&json!({"jsonrpc": "2.0", "id": 3, "method": "ping"}));
        assert!(matches!(response.status, 200 | 404), "{}", response.text());
        response.status == 200
    }

    pub(super) fn result(&self, method: &str, params: Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": params});
        message(&self.post(&request).expect(200))
    }

    pub(super) fn call(&self, tool: &str, arguments: Value) -> Value {
        self.result("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Its stream of what it is told.
    pub(super) fn listen(&self) -> Connection {
        let mut connection = Connection::open(self.caller.port).unwrap();
        connection.send(&self.request("GET").bytes()).unwrap();
        assert_eq!(connection.head().unwrap().status, 200);
        connection
    }
}

/// The one answer in a body, whether it is an event or alone.
pub(super) fn message(response: &Response) -> Value {
    let text = response.text();
    let data = text.lines().rev().filter_map(|line| line.strip_prefix("data: "));
    let last = { data }.find(|data| data.starts_with('{')).unwrap_or(&text);
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}"))
}
