//! The cast and their homes. Every home is a folder of its own with its own node, so that tests
//! run beside each other; all of them stay on 127.0.0.1.

#[allow(dead_code, reason = "the page's tests use what its own tests and the bench do not")]
pub(crate) mod browser;
#[allow(dead_code, reason = "the page's tests use what its own tests and the bench do not")]
pub(crate) mod http;
pub(crate) mod mcp;
pub(crate) mod output;
pub(crate) mod pairing;
pub(crate) mod ports;
pub(crate) mod pty;
pub(crate) mod require;
pub(crate) mod shelf;
pub(crate) mod wait;

use std::{
    fs::{self, File},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use countersign::store::{keys, seal::Sealer};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use output::Output;
pub(crate) use pairing::{knock, pair};
use shelf::Lent;
pub(crate) use wait::{stays, until};

/// The program under test: Cargo's own, unless whoever builds the tests names another one.
pub(crate) const PROGRAM: &str = match option_env!("COUNTERSIGN_TEST_PROGRAM") {
    Some(program) => program,
    None => env!("CARGO_BIN_EXE_countersign"),
};
/// Long enough for what takes milliseconds on a quiet machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// One owner's home.
pub(crate) struct Home {
    /// What this home calls itself.
    pub(crate) name: &'static str,
    /// Its owner's approval passphrase.
    pub(crate) passphrase: &'static str,
    /// What else its processes have in their environment; it comes last, and so first.
    pub(crate) more: Vec<(&'static str, String)>,
    folder: TempDir,
    node: Mutex<Option<Child>>,
    /// Nobody else's while this home is there; it goes last.
    lent: Option<Arc<Lent>>,
}

/// What an owner's home calls itself, and the owner's approval passphrase.
type Owner = (&'static str, &'static str);

const ALICE: Owner = ("alice", "mauve otter drifts past nine lanterns");
const BOB: Owner = ("bob", "gravel violin borrowed a copper umbrella");
const MALLORY: Owner = ("mallory", "quartz heron forgot the seventh staircase");

/// Alice, with keys and a running node.
pub(crate) fn alice() -> Home {
    Home::running(ALICE)
}

/// Bob, with keys and a running node.
pub(crate) fn bob() -> Home {
    Home::running(BOB)
}

/// Mallory, with keys and a running node.
pub(crate) fn mallory() -> Home {
    Home::running(MALLORY)
}

impl Home {
    /// An empty home. The path is short, because a Unix socket lies in it.
    pub(crate) fn empty(name: &'static str, passphrase: &'static str) -> Self {
        let folder = tempfile::Builder::new().prefix("cs").tempdir().unwrap();
        Self { name, passphrase, more: Vec::new(), folder, node: Mutex::new(None), lent: None }
    }

    /// Set up by its person. No node runs.
    pub(crate) fn made((name, passphrase): Owner) -> Self {
        let home = Self::empty(name, passphrase);
        pty::init(&home, passphrase).expect(0);
        home.set_page_port();
        home
    }

    /// A copy of one that was set up before, with a running node.
    fn lent((name, passphrase): Owner, nth: usize, lent: Arc<Lent>) -> Self {
        let mut home = Self::empty(name, passphrase);
        lent.unpack(nth, &home.path());
        home.lent = Some(lent);
        home.set_page_port_anew();
        home.start();
        home
    }

    fn running(owner: Owner) -> Self {
        let made = || vec![shelf::files(&Self::made(owner).path())];
        Self::lent(owner, 0, Lent::of(owner.0, made))
    }

    /// Gives the page a port of its own: the tests' nodes start and end beside each other, and none
    /// may take another's place in between.
    pub(crate) fn set_page_port(&self) {
        let port = ports::own();
        let file = self.path().join("config.toml");
        let config = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{config}\n[page]\nport = {port}\n")).unwrap();
    }

    /// As [`Self::set_page_port`], for a home whose settings name a port already.
    pub(crate) fn set_page_port_anew(&self) {
        let file = self.path().join("config.toml");
        let config = fs::read_to_string(&file).unwrap();
        let before = config.split("[page]").next().unwrap_or_default();
        fs::write(&file, before).unwrap();
        self.set_page_port();
    }

    /// Settings for a home that is to be made: no test asks the keyring of whoever runs it.
    pub(crate) fn keep_key_in_file(&self) {
        let mut home = fs::DirBuilder::new();
        home.recursive(true).mode(0o700).create(self.path()).unwrap();
        let file = self.path().join("config.toml");
        if !file.exists() {
            let config = format!("name = \"{}\"\n\n[storage]\nkey = \"file\"\n", self.name);
            fs::write(file, config).unwrap();
        }
    }

    /// `COUNTERSIGN_HOME`.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("h")
    }

    /// The environment of every process of this home, and nothing of ours but the path.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.display().to_string();
        let always = [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("HOME", path(self.folder.path())),
            ("COUNTERSIGN_HOME", path(&self.path())),
            ("COUNTERSIGN_NETWORK", "loopback".to_owned()),
            // Without it, the default would be the bus of whoever runs the tests.
            ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/dev/null".to_owned()),
            ("RUST_BACKTRACE", "1".to_owned()),
        ];
        always.into_iter().chain(self.more.iter().cloned()).collect()
    }

    /// A command of countersign in this home, without a standard input.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_clear().envs(self.environment());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        Output::of(self.command(arguments))
    }

    /// Runs a command that must do what it is asked, and reads its `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.json_code(arguments, 0)
    }

    /// Runs a command that must end with `code`, and reads its `--json`.
    pub(crate) fn json_code(&self, arguments: &[&str], code: i32) -> Value {
        self.run(&[arguments, &["--json"]].concat()).expect(code).json()
    }

    /// Runs a command that has no terminal at all, with `typed` on its standard input.
    pub(crate) fn run_without_terminal(&self, arguments: &[&str], typed: &str) -> Output {
        let input = self.folder.path().join("typed");
        fs::write(&input, typed).unwrap();
        let mut command = Command::new("setsid");
        command.arg(PROGRAM).args(arguments).env_clear().envs(self.environment());
        command.current_dir(self.folder.path()).stdin(File::open(input).unwrap());
        Output::of(command)
    }

    /// The node's database, for changes behind its back, with the functions that seal and open what
    /// is in it. The node must not run.
    pub(crate) fn database(&self) -> rusqlite::Connection {
        let db = rusqlite::Connection::open(self.path().join("countersign.db")).unwrap();
        let key = keys::read_storage_key(&self.path().join("store.key")).unwrap();
        if let Some(key) = key {
            Sealer::new(&key).register(&db).unwrap();
        }
        db
    }

    fn node(&self) -> MutexGuard<'_, Option<Child>> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the node says, over all its starts.
    fn log(&self) -> PathBuf {
        self.folder.path().join("node.out")
    }

    /// Starts the node and waits until it answers.
    pub(crate) fn start(&self) {
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = self.command(&["node"]);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap();
        until(&format!("{}'s node answers", self.name), SOON, || {
            if let Some(status) = child.try_wait().unwrap() {
                let said = fs::read_to_string(self.log()).unwrap_or_default();
                panic!("{}'s node ended with {status}: {said}", self.name);
            }
            self.pid()
        });
        *self.node() = Some(child);
    }

    /// `status --json`, whatever its exit code.
    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.run(&["status", "--json"]).stdout).unwrap_or_default()
    }

    /// What the node says needs a human's look, as one text in small letters.
    pub(crate) fn warnings(&self) -> String {
        self.status()["warnings"].to_string().to_lowercase()
    }

    /// The node's process.
    pub(crate) fn pid(&self) -> Option<i32> {
        let status = self.status();
        let pid = status["pid"].as_i64().filter(|_| status["running"] == true)?;
        i32::try_from(pid).ok()
    }

    /// Ends the node as a crash does, without a word.
    pub(crate) fn kill_node(&self) {
        let pid = self.pid().expect("a node to kill");
        self.kill(pid);
    }

    /// As [`Home::kill_node`], for a node whose process is known already.
    pub(crate) fn kill(&self, pid: i32) {
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).ok(); // It may be gone already.
        self.reap();
        // A session may have started another one by now.
        until(&format!("{}'s node is gone", self.name), SOON, || self.pid() != Some(pid));
    }

    /// Ends the node as a person does.
    pub(crate) fn stop(&self) {
        self.run(&["stop"]).expect(0);
        self.reap();
        until(&format!("{}'s node has stopped", self.name), SOON, || self.pid().is_none());
    }

    /// Waits for the node that we started; one that started by itself is nobody's child.
    fn reap(&self) {
        if let Some(mut child) = self.node().take() {
            until(&format!("{}'s node ends", self.name), SOON, || {
                child.try_wait().unwrap().is_some()
            });
        }
    }

    /// What waits for this home's human.
    pub(crate) fn pending(&self) -> Vec<Value> {
        self.json(&["pending"])["items"].as_array().unwrap().clone()
    }

    /// The peer of this name.
    pub(crate) fn peer(&self, name: &str) -> Option<Value> {
        let peers = self.json(&["peers"]);
        peers["peers"].as_array().unwrap().iter().find(|peer| peer["name"] == name).cloned()
    }

    /// The state of the peer of this name; empty where there is none.
    pub(crate) fn peer_state(&self, name: &str) -> String {
        let state = self.peer(name).map(|peer| peer["state"].as_str().unwrap().to_owned());
        state.unwrap_or_default()
    }

    /// This node's id.
    pub(crate) fn id(&self) -> String {
        self.json(&["whoami"])["id"].as_str().unwrap().to_owned()
    }

    /// Sends a text that nobody asks about, and gives its id.
    pub(crate) fn send(&self, to: &str, text: &str) -> String {
        self.json(&["send", to, text])["id"].as_str().unwrap().to_owned()
    }

    /// The messages that came in, oldest first.
    pub(crate) fn received(&self) -> Vec<Value> {
        let inbox = self.json(&["inbox", "--limit", "100"]);
        let messages = inbox["messages"].as_array().unwrap();
        messages.iter().filter(|message| message["direction"] == "in").cloned().collect()
    }

    /// The texts that came in, oldest first.
    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |message: &Value| message["text"].as_str().unwrap().to_owned();
        self.received().iter().map(text).collect()
    }

    /// A message that came in, once it is there.
    pub(crate) fn received_text(&self, text: &str) -> Value {
        until(&format!("{} receives {text:?}", self.name), SOON, || {
            self.received()
                .into_iter()
                .find(|message| message["text"].as_str().is_some_and(|whole| whole.contains(text)))
        })
    }

    /// Every state that a message has had, oldest first.
    pub(crate) fn history(&self, id: &str) -> Vec<String> {
        let life = self.json(&["message", id]);
        let state = |step: &Value| step["state"].as_str().unwrap().to_owned();
        life["history"].as_array().unwrap().iter().map(state).collect()
    }

    /// Waits until a message has had `state`.
    pub(crate) fn reaches(&self, id: &str, state: &str) {
        until(&format!("{}'s message {id} is {state}", self.name), SOON, || {
            self.history(id).iter().any(|had| had == state)
        });
    }

    /// What the human is shown about an item, approves and types the passphrase for.
    pub(crate) fn approve(&self, id: &str) -> Output {
        pty::approve(self, id, self.passphrase).expect(0)
    }

    /// The one item that waits.
    pub(crate) fn only_pending(&self) -> Value {
        let items = self.pending();
        assert_eq!(items.len(), 1, "{}: {items:#?}", self.name);
        items[0].clone()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = fs::read_to_string(self.log()).unwrap_or_default();
            let last: Vec<&str> = said.lines().rev().take(40).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            eprintln!("{}'s node said:\n{}", self.name, last.join("\n"));
        }
        if !self.path().join("node.lock").exists() {
            return;
        }
        let pid = self.pid();
        Output::of(self.command(&["stop"]));
        if let Some(mut child) = self.node().take() {
            if !wait::within(Duration::from_secs(10), || child.try_wait().ok().flatten()) {
                child.kill().ok(); // Best effort: the folder goes in any case.
            }
            child.wait().ok();
        } else if let Some(pid) = pid.and_then(Pid::from_raw)
            && !wait::within(Duration::from_secs(10), || self.pid().is_none().then_some(()))
        {
            kill_process(pid, Signal::KILL).ok();
        }
    }
}
