//! What the stdio process knows of a session, so that its client does not lose it when the node
//! restarts. No I/O: lines in, lines out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::base::limits::{CALLS_MAX, JSON_DEPTH_MAX, SUBSCRIPTIONS_MAX};

/// JSON-RPC's code for what a server defines itself.
const SERVER_ERROR: i32 = -32_000;
/// What the ids of our own requests begin with.
pub(super) const OWN_ID: &str = "countersign-replay-";

/// What of a message is looked at; the rest passes untouched.
#[derive(Deserialize)]
struct Peek<'line> {
    #[serde(borrow, default)]
    id: Option<&'line RawValue>,
    #[serde(borrow, default)]
    method: Option<std::borrow::Cow<'line, str>>,
}

/// What to do with a line of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FromClient {
    /// To the node.
    Pass(Vec<u8>),
    /// Answer it here.
    Answer(Vec<u8>),
    /// Nobody needs it.
    Drop,
}

/// A session as its client sees it, over any number of connections to a node.
#[derive(Debug, Default)]
pub(super) struct Session {
    initialize: Option<Vec<u8>>,
    initialized: Option<Vec<u8>>,
    /// By URI.
    subscriptions: BTreeMap<String, Vec<u8>>,
    /// Ids of the client's requests that are not answered, as the client wrote them.
    calls: BTreeSet<String>,
    /// Connections so far.
    epoch: u32,
    /// A request was sent over this connection; before one, a notification would end it.
    begun: bool,
    /// The node's questions that are not answered: the id that the client knows, the node's.
    questions: BTreeMap<String, String>,
    questions_asked: u64,
}

impl Session {
    /// The client wants an answer to `line`.
    pub(super) fn is_request(line: &[u8]) -> bool {
        peek(line).is_some_and(|peek| peek.id.is_some() && peek.method.is_some())
    }

    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// A connection was made: what to say to the node first, and what to the client.
    pub(super) fn connected(&mut self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        self.epoch += 1;
        self.begun = false;
        let (mut to_node, mut to_client) = (Vec::new(), Vec::new());
        if self.epoch == 1 {
            return (to_node, to_client);
        }
        if let Some(initialize) = &self.initialize {
            to_node.push(with_own_id(initialize, 0));
            to_node.extend(self.initialized.clone());
            let subscribed = self.subscriptions.values().enumerate();
            to_node.extend(subscribed.map(|(n, line)| with_own_id(line, n + 1)));
            self.begun = true;
        }
        if self.initialized.is_some() {
            let changed = ["tools", "prompts", "resources"];
            to_client.extend(changed.map(|what| {
                line_of(&json!({
                    "jsonrpc": "2.0", "method": format!("notifications/{what}/list_changed"),
                }))
            }));
        }
        (to_node, to_client)
    }

    /// The connection is gone: what to say to the client.
    pub(super) fn disconnected(&mut self) -> Vec<Vec<u8>> {
        const RESTARTED: &str = "the node went away during this call, which may or may not have \
                                 been done; look with peer_status or peer_inbox, then try again";
        let mut lines: Vec<_> =
            std::mem::take(&mut self.calls).into_iter().map(|id| error(&id, RESTARTED)).collect();
        lines.extend(std::mem::take(&mut self.questions).into_keys().map(|id| {
            format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":\
                 {{\"requestId\":{id},\"reason\":\"the node went away\"}}}}\n"
            )
            .into_bytes()
        }));
        lines
    }

    /// A line from the client.
    pub(super) fn client_says(&mut self, line: Vec<u8>) -> FromClient {
        let Some(peek) = peek(&line) else { return self.unknown(line) };
        match (peek.id.map(RawValue::get), peek.method.as_deref()) {
            (Some(id), Some(_)) if is_too_deep(&line) => {
                let message = format!("the message is nested deeper than {JSON_DEPTH_MAX} levels");
                FromClient::Answer(error(id, &message))
            }
            (Some(id), Some(method)) => {
                let (id, method) = (id.to_owned(), method.to_owned());
                self.request(line, id, &method)
            }
            (None, Some(method)) => {
                if !self.begun {
                    return FromClient::Drop;
                }
                if method == "notifications/initialized" {
                    self.initialized = Some(ended(line.clone()));
                }
                FromClient::Pass(ended(line))
            }
            // An answer to a question of this connection; a later node did not ask it.
            (Some(id), None) => match self.questions.remove(id) {
                Some(theirs) => FromClient::Pass(with_id(&line, &theirs)),
                None => FromClient::Drop,
            },
            (None, None) => self.unknown(line),
        }
    }

    fn unknown(&self, line: Vec<u8>) -> FromClient {
        if self.begun { FromClient::Pass(ended(line)) } else { FromClient::Drop }
    }

    fn request(&mut self, line: Vec<u8>, id: String, method: &str) -> FromClient {
        if self.calls.len() >= CALLS_MAX {
            let message = format!("{CALLS_MAX} calls are not answered yet, which is the limit");
            return FromClient::Answer(error(&id, &message));
        }
        let line = ended(line);
        match method {
            "initialize" => self.initialize = Some(line.clone()),
            "resources/subscribe" => {
                if let Some(uri) =
                    uri_of(&line).filter(|_| self.subscriptions.len() < SUBSCRIPTIONS_MAX)
                {
                    self.subscriptions.insert(uri, line.clone());
                }
            }
            "resources/unsubscribe" => {
                uri_of(&line).and_then(|uri| self.subscriptions.remove(&uri));
            }
            _ => {}
        }
        self.calls.insert(id);
        self.begun = true;
        FromClient::Pass(line)
    }

    /// A line from the node, as the client may see it.
    pub(super) fn node_says(&mut self, line: Vec<u8>) -> Option<Vec<u8>> {
        let Some(peek) = peek(&line) else { return Some(ended(line)) };
        match (peek.id.map(RawValue::get), peek.method.as_deref()) {
            (Some(id), None) if id.trim_start_matches('"').starts_with(OWN_ID) => None,
            (Some(id), None) => {
                self.calls.remove(id);
                Some(ended(line))
            }
            (Some(id), Some(_)) => {
                let ours = format!("\"e{}:{}\"", self.epoch, self.questions_asked);
                self.questions_asked += 1;
                self.questions.insert(ours.clone(), id.to_owned());
                Some(with_id(&line, &ours))
            }
            (None, Some("notifications/cancelled")) => Some(self.withdrawn(line)),
            (None, _) => Some(ended(line)),
        }
    }

    /// The node withdraws a question, which the client knows by another id.
    fn withdrawn(&mut self, line: Vec<u8>) -> Vec<u8> {
        let Ok(mut message) = serde_json::from_slice::<Value>(&line) else { return ended(line) };
        let named = message.pointer_mut("/params/requestId");
        let Some(named) = named else { return ended(line) };
        let theirs = named.to_string();
        let known = self.questions.iter().find(|(_, id)| **id == theirs);
        let Some(ours) = known.map(|(ours, _)| ours.clone()) else { return ended(line) };
        self.questions.remove(&ours);
        *named = Value::String(ours.trim_matches('"').to_owned());
        line_of(&message)
    }
}

/// The answer to a line that is over the bound, as far as its id can be seen at its two ends.
pub(super) fn too_long(from_client: bool, head: &[u8], tail: &[u8], message: &str) -> Vec<u8> {
    let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
    let is_call = head.contains("\"method\"") || tail.contains("\"method\"");
    let id = first_id(&head).or_else(|| last_id(&tail));
    match id {
        // Of a wrong sender's messages the other side awaits nothing.
        _ if is_call != from_client => Vec::new(),
        Some(id) => error(id, message),
        None => {
            let error = json!({ "code": SERVER_ERROR, "message": message });
            line_of(&json!({ "jsonrpc": "2.0", "error": error }))
        }
    }
}

/// The id of a message that names it before anything nested, as most clients do.
fn first_id(head: &str) -> Option<&str> {
    let (before, after) = head.split_once("\"id\":")?;
    let flat = before.matches('{').count() == 1 && !before.contains('[');
    scalar(after).filter(|_| flat)
}

/// The id of a message that ends with it, as others do.
fn last_id(tail: &str) -> Option<&str> {
    let (_, after) = tail.rsplit_once("\"id\":")?;
    let id = scalar(after)?;
    (after.trim() == format!("{id}}}")).then_some(id)
}

/// A number or a plain string at the beginning of `text`.
fn scalar(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let end = if let Some(rest) = text.strip_prefix('"') {
        rest.find('"')? + 2
    } else {
        text.find([',', '}'])?
    };
    let scalar = text.get(..end)?.trim_end();
    let value: Value = serde_json::from_str(scalar).ok()?;
    (value.is_number() || value.is_string()).then_some(scalar)
}

/// An error for the request whose id is `id`, raw.
pub(super) fn error(id: &str, message: &str) -> Vec<u8> {
    let message = Value::String(message.to_owned());
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{SERVER_ERROR},\
         \"message\":{message}}}}}\n"
    )
    .into_bytes()
}

/// As [`error()`], for a whole line; `None` when it wants no answer.
pub(super) fn error_for(line: &[u8], message: &str) -> Option<Vec<u8>> {
    let peek = peek(line)?;
    peek.method.as_ref()?;
    Some(error(peek.id?.get(), message))
}

/// Whether the node would drop this message without a word: its parser has a bound too.
fn is_too_deep(line: &[u8]) -> bool {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest > JSON_DEPTH_MAX
}

fn peek(line: &[u8]) -> Option<Peek<'_>> {
    let peek: Peek<'_> = serde_json::from_slice(line).ok()?;
    // `"id":null` is no id.
    Some(Peek { id: peek.id.filter(|id| id.get() != "null"), ..peek })
}

fn uri_of(line: &[u8]) -> Option<String> {
    let message: Value = serde_json::from_slice(line).ok()?;
    message.pointer("/params/uri")?.as_str().map(str::to_owned)
}

fn with_own_id(line: &[u8], number: usize) -> Vec<u8> {
    with_id(line, &format!("\"{OWN_ID}{number}\""))
}

/// `line` with another id; its other fields are not looked into.
fn with_id(line: &[u8], id: &str) -> Vec<u8> {
    let read = serde_json::from_slice::<BTreeMap<String, &RawValue>>(line);
    let (Ok(mut fields), Ok(id)) = (read, RawValue::from_string(id.to_owned())) else {
        return ended(line.to_vec());
    };
    fields.insert("id".to_owned(), &id);
    // A map of texts that were JSON always serialises.
    ended(serde_json::to_vec(&fields).unwrap_or_default())
}

fn ended(mut line: Vec<u8>) -> Vec<u8> {
    line.push(b'\n');
    line
}

fn line_of(message: &Value) -> Vec<u8> {
    ended(message.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &[Vec<u8>]) -> Vec<String> {
        lines.iter().map(|line| String::from_utf8(line.clone()).unwrap()).collect()
    }

    fn passed(session: &mut Session, line: &str) -> String {
        match session.client_says(line.as_bytes().to_vec()) {
            FromClient::Pass(line) => String::from_utf8(line).unwrap(),
            FromClient::Answer(_) | FromClient::Drop => panic!("{line} was not passed"),
        }
    }

    const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#;
    const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

    #[test]
    fn a_new_node_is_told_what_the_old_one_knew() {
        let mut session = Session::default();
        assert_eq!(session.connected(), (vec![], vec![]));
        passed(&mut session, INITIALIZE);
        passed(&mut session, INITIALIZED);
        let subscribe =
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"a"}}"#;
        passed(&mut session, subscribe);
        session.node_says(br#"{"jsonrpc":"2.0","id":0,"result":{}}"#.to_vec()).unwrap();
        let lost = text(&session.disconnected());
        assert_eq!(lost.len(), 1);
        assert!(lost[0].contains("\"id\":1,") && lost[0].contains("-32000"), "{lost:?}");
        let (to_node, to_client) = session.connected();
        let to_node = text(&to_node);
        assert!(to_node[0].contains("countersign-replay-0") && to_node[0].contains("initialize"));
        assert!(to_node[1].contains("notifications/initialized"));
        assert!(
            to_node[2].contains("countersign-replay-1") && to_node[2].contains("\"uri\":\"a\"")
        );
        assert_eq!(to_client.len(), 3);
        let replayed = br#"{"jsonrpc":"2.0","id":"countersign-replay-0","result":{}}"#;
        assert_eq!(session.node_says(replayed.to_vec()), None);
    }

    #[test]
    fn an_answer_to_an_old_question_never_reaches_a_new_node() {
        let mut session = Session::default();
        session.connected();
        passed(&mut session, INITIALIZE);
        let question = br#"{"jsonrpc":"2.0","id":0,"method":"roots/list"}"#;
        let first = session.node_says(question.to_vec()).unwrap();
        assert!(String::from_utf8(first).unwrap().contains("\"e1:0\""));
        assert!(text(&session.disconnected()).iter().any(|line| line.contains("\"e1:0\"")));
        session.connected();
        let second = session.node_says(question.to_vec()).unwrap();
        assert!(String::from_utf8(second).unwrap().contains("\"e2:1\""));
        let late = br#"{"jsonrpc":"2.0","id":"e1:0","result":{}}"#;
        assert_eq!(session.client_says(late.to_vec()), FromClient::Drop);
        let answer = passed(&mut session, r#"{"jsonrpc":"2.0","id":"e2:1","result":{}}"#);
        assert!(answer.contains("\"id\":0"), "{answer}");
    }

    #[test]
    fn a_notification_before_the_first_request_is_dropped() {
        let mut session = Session::default();
        session.connected();
        assert_eq!(session.client_says(INITIALIZED.as_bytes().to_vec()), FromClient::Drop);
        passed(&mut session, INITIALIZE);
        passed(&mut session, INITIALIZED);
    }

    #[test]
    fn a_line_over_the_bound_is_answered_with_its_id_wherever_that_stands() {
        let check = |head: &str, tail: &str, id: &str| {
            let answer = too_long(true, head.as_bytes(), tail.as_bytes(), "too long");
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer.get("id").map_or("none".to_owned(), Value::to_string), id);
        };
        check(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"x":"aa"#, "aa\"}}", "7");
        check(
            r#"{"method":"tools/call","params":{"x":"aa"#,
            r#"aa"},"jsonrpc":"2.0","id":"k"}"#,
            "\"k\"",
        );
        check(r#"{"method":"tools/call","params":{"id":3,"x":"aa"#, r#"aa","id":4}}"#, "none");
        assert!(too_long(true, br#"{"id":1,"result":"#, b"}", "too long").is_empty());
    }
}
