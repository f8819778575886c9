//! Every known way for a model to approve for its human, each carried out on the real program.
//!
//! `THREATS.md` is the list: what stops each, what does not, and which test shows it. The tests in
//! `list` hold it against the code and against the README.

mod clients;
mod decisions;
mod environment;
mod homes;
mod list;
#[cfg(target_os = "linux")]
mod memory;
mod orders;
mod page;
mod rows;
mod sockets;
mod terminal;
mod tools;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
};

use serde_json::{Value, json};

use crate::support::{Home, alice, bob, knock, mallory, mcp::Session, pair, pairing::id};

/// Events that say that something was let pass or loosened.
const LOOSENING: [&str; 8] = [
    "granted",
    "passed",
    "policy_set",
    "policy_reset",
    "taint_cleared",
    "known_forgotten",
    "approver_set",
    "trust_moved",
];

/// Lets everything pass.
const LOOSE: &str = "version = 1\n[[allow]]\nname = \"all\"\n";

/// A text that is held; put together here, so that no scanner of repositories takes it for real.
fn secret(number: usize) -> String {
    format!("key {number}: {}{}", "AKIA", "ABCD2345EFGH6723")
}

/// A home with everything that an attacker may want: a held message, a stranger who waits, a value
/// that is watched for, and a peer whose text was read.
struct Siege {
    alice: Home,
    bob: Home,
    mallory: Home,
    /// The held message.
    message: String,
    /// What asks about it.
    item: String,
    /// What asks about Mallory.
    stranger: String,
    before: Vec<Value>,
}

impl Siege {
    fn lay() -> Self {
        let (alice, bob, mallory) = (alice(), bob(), mallory());
        pair(&alice, &bob);
        let env = alice.path().join("watched.env");
        std::fs::write(&env, "DB_PASSWORD=plum-Orchard-4711-lantern\n").unwrap();
        alice.run(&["known", "add", &env.display().to_string()]).expect(0);
        bob.send("alice", "good morning");
        alice.received_text("good morning");
        Session::legacy(&alice).call("peer_inbox", json!({}));
        let sent = alice.json_code(&["send", "bob", &secret(0)], 3);
        let text = |field: &str| sent[field].as_str().unwrap().to_owned();
        let (message, item) = (text("id"), text("pending"));
        let stranger = id(&knock(&alice, &mallory).0).to_owned();
        let before = tell(&alice);
        Self { alice, bob, mallory, message, item, stranger, before }
    }

    /// The items that wait.
    fn items(&self) -> [&str; 2] {
        [&self.item, &self.stranger]
    }

    /// Nothing was approved, trusted, granted or loosened, and the audit chain is whole.
    #[track_caller]
    fn holds(&self, after: &str) {
        self.nothing_passed(after);
        assert_eq!(tell(&self.alice), self.before, "after {after}");
        assert_eq!(self.alice.json(&["audit", "verify"])["ok"], true, "after {after}");
    }

    /// As [`Siege::holds`], where the chain itself was attacked.
    #[track_caller]
    fn nothing_passed(&self, after: &str) {
        let Self { alice, bob, message, .. } = self;
        let waits = alice.pending();
        for item in self.items() {
            assert!(waits.iter().any(|row| row["id"] == item), "{item} is gone after {after}");
        }
        assert_eq!(alice.json(&["grants"])["grants"], json!([]), "after {after}");
        let source = alice.json(&["policy", "show"])["source"].clone();
        assert!(source == "standard" || source == "closed", "{source} after {after}");
        let peers = alice.json(&["peers"])["peers"].clone();
        let trusted = peers.as_array().unwrap().iter().filter(|peer| peer["state"] == "trusted");
        assert!(trusted.clone().all(|peer| peer["name"] == "bob"), "{peers:#} after {after}");
        assert_eq!(alice.history(message), ["held"], "after {after}");
        let leaked = bob.texts().into_iter().find(|text| text.contains("AKIA"));
        assert_eq!(leaked, None, "after {after}");
        let known = alice.json(&["known", "list"])["values"].clone();
        assert_eq!(known.as_array().unwrap().len(), 1, "after {after}");
        let read = alice.json(&["taint"])["read"].clone();
        assert_eq!(read[0]["peer"]["name"], "bob", "{read:#} after {after}");
    }

    /// How many attempts the audit chain tells of.
    fn refused(&self) -> usize {
        records(&self.alice).iter().filter(|event| event["event"] == "refused").count()
    }

    /// The node starts again, with its files changed meanwhile.
    fn restarted(&self, change: impl FnOnce(&Home)) {
        self.alice.stop();
        change(&self.alice);
        self.alice.start();
    }
}

/// The events of the audit chain, oldest first.
fn records(home: &Home) -> Vec<Value> {
    let page = home.json(&["audit", "show", "--limit", "1000"]);
    assert_eq!(page["more"], false, "all of them");
    page["records"].as_array().unwrap().iter().map(|record| record["event"].clone()).collect()
}

/// What the chain tells of yeses, and of what lets more pass.
fn tell(home: &Home) -> Vec<Value> {
    let yes = |event: &Value| event["event"] == "decided" && event["decision"] == "approved";
    let looser = |event: &Value| LOOSENING.iter().any(|name| event["event"] == *name);
    records(home).into_iter().filter(|event| yes(event) || looser(event)).collect()
}

/// The node's socket, spoken to without the program.
struct Socket {
    reader: BufReader<UnixStream>,
    last: u64,
}

impl Socket {
    fn open(home: &Home) -> Self {
        let stream = UnixStream::connect(home.path().join("node.sock")).unwrap();
        stream.set_read_timeout(Some(crate::support::SOON)).unwrap();
        let mut socket = Self { reader: BufReader::new(stream), last: 0 };
        socket.write(&json!({"hello": 1, "role": "client", "pid": 1, "cwd": "/"}));
        assert_eq!(socket.read()["hello"], 1, "let in");
        socket
    }

    fn write(&mut self, line: &Value) {
        let stream = self.reader.get_mut();
        writeln!(stream, "{line}").and_then(|()| stream.flush()).unwrap();
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Asks, and gives the answer whole. A refusal of the form ends the connection.
    fn ask(&mut self, request: &Value) -> Value {
        self.last += 1;
        self.write(&json!({"id": self.last, "request": request}));
        self.read()
    }
}
