//! Data at rest: what the files of a home say, where the key is, and what happens without it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use countersign::store::{
    search::{self, Search},
    words::Query,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{Home, SOON, mcp::Session, pairing::friends, pty::Terminal, until};

const MARKER: &str = "xylophone-marzipan-4711";

/// Every spelling in which the marker might lie in a file.
fn spellings() -> Vec<Vec<u8>> {
    let marker = MARKER.as_bytes();
    let mut all = vec![marker.to_vec(), MARKER.to_uppercase().into_bytes()];
    all.push(b"xylophone".to_vec());
    all.push(data_encoding::HEXLOWER.encode(marker).into_bytes());
    all.push(data_encoding::HEXUPPER.encode(marker).into_bytes());
    // In base64 what stands before it moves the letters.
    for shift in 0..3 {
        let text = [&b"\0\0\0"[..shift], marker].concat();
        let base64 = data_encoding::BASE64_NOPAD.encode(&text).into_bytes();
        all.push(base64[4..base64.len() - 2].to_vec());
    }
    all
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}

/// No file of the home holds the marker: the database, its log, the node's own log.
fn assert_silent(home: &Home) {
    let files = files(&home.path());
    assert!(files.iter().any(|file| file.ends_with("countersign.db")), "{files:?}");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for spelling in spellings() {
            let found = memchr::memmem::find(&bytes, &spelling).is_some();
            assert!(!found, "{:?} in {}", String::from_utf8_lossy(&spelling), file.display());
        }
    }
}

/// How many messages the search finds, whose index is filled for it.
fn search(home: &Home, typed: &str) -> usize {
    let db = home.database();
    while search::index_batch(&db, 1000).unwrap() {}
    let marks = (String::new(), String::new());
    let query = Query::of(typed).unwrap();
    let asked = Search { query, peer: None, before: i64::MAX, limit: 9, looks: 99, marks };
    search::search(&db, &asked).unwrap().hits.len()
}

#[test]
fn no_file_of_either_home_holds_what_was_said() {
    let (alice, bob) = friends();
    alice.send("bob", &format!("here is {MARKER} for you"));
    bob.received_text(&format!("here is {MARKER} for you"));
    // One that waits for Alice, one that cannot be delivered.
    let secret = format!("{MARKER} AKIA{}", "ABCD2345EFGH6723");
    alice.json_code(&["send", "bob", &secret], 3);
    for home in [&alice, &bob] {
        Session::modern(home).call("peer_inbox", json!({ "query": MARKER }));
        assert_silent(home);
    }
    bob.stop();
    alice.send("bob", &format!("{MARKER} later"));
    assert_silent(&alice);
    alice.stop();
    for home in [&alice, &bob] {
        assert!(search(home, "MARZIPAN xylo") > 0, "{}", home.name);
        assert_silent(home);
    }
}

#[test]
fn a_home_whose_key_is_gone_says_so_and_makes_no_other() {
    let (alice, bob) = friends();
    bob.send("alice", "a word to keep");
    alice.received_text("a word to keep");
    alice.stop();
    let (key, aside) = (alice.path().join("store.key"), alice.path().join("aside"));
    fs::rename(&key, &aside).unwrap();
    alice.run(&["node"]).expect(1).says(&["store.key is missing", "put it back"]);
    assert!(!key.exists(), "no other key is made");
    fs::rename(&aside, &key).unwrap();
    alice.start();
    assert_eq!(alice.texts(), ["a word to keep"]);
}

#[test]
fn where_the_key_is_can_be_asked_and_moving_it_takes_the_person() {
    let (alice, _bob) = friends();
    assert_eq!(alice.json(&["storage", "key"])["key"], "file");
    let to = ["storage", "key", "--to", "keyring"];
    alice.run_without_terminal(&to, alice.passphrase).expect(1).says(&["terminal"]);
    let mut terminal = Terminal::open(&alice, &to);
    terminal.answer("not the passphrase at all");
    let wrong = terminal.finish().expect(1);
    assert!(wrong.stdout.contains("4 tries are left"), "{wrong}");
    // No keyring is on this bus: nothing is changed.
    let mut terminal = Terminal::open(&alice, &to);
    terminal.answer(alice.passphrase);
    let refused = terminal.finish().expect(1);
    assert!(refused.stdout.contains("nothing was changed"), "{refused}");
    assert_eq!(alice.json(&["storage", "key"])["key"], "file");
    alice.start();
    assert_eq!(alice.peer_state("bob"), "trusted");
}

/// A desktop's session bus with a keyring of its own, which nobody else uses.
struct Desktop {
    folder: tempfile::TempDir,
    bus: Child,
    keyring: Option<Child>,
}

impl Desktop {
    /// `None` where the programs are missing.
    fn start() -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("cs").tempdir().unwrap();
        let address = format!("unix:path={}", folder.path().join("bus").display());
        let bus = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address", "--address", &address])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let keyring = Command::new("gnome-keyring-daemon").arg("--version").output();
        if bus.is_err() || keyring.is_err() {
            eprintln!("SKIPPED: the keyring's test needs dbus-daemon and gnome-keyring-daemon");
        }
        let (Ok(mut bus), true) = (bus, keyring.is_ok()) else { return None };
        let mut line = String::new();
        BufReader::new(bus.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("unix:path="), "{line:?}");
        let mut desktop = Self { folder, bus, keyring: None };
        desktop.log_in();
        Some(desktop)
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.folder.path().join("bus").display())
    }

    /// Starts the keyring, unlocked as a login does it.
    fn log_in(&mut self) {
        let path = self.folder.path();
        let mut child = Command::new("gnome-keyring-daemon")
            // The bus may have started one by itself, which is locked.
            .args(["--foreground", "--replace", "--unlock", "--components=secrets"])
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("HOME", path)
            .env("XDG_RUNTIME_DIR", path)
            .env("DBUS_SESSION_BUS_ADDRESS", self.address())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"login").unwrap();
        self.keyring = Some(child);
    }

    fn log_out(&mut self) {
        if let Some(mut keyring) = self.keyring.take() {
            // As a session ends, so that it can write what it has.
            let pid = Pid::from_child(&keyring);
            kill_process(pid, Signal::TERM).unwrap();
            keyring.wait().unwrap();
        }
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.log_out();
        self.bus.kill().ok();
        self.bus.wait().ok();
    }
}

#[test]
fn on_a_desktop_the_keyring_has_the_key_and_a_copied_home_has_none() {
    let Some(mut desktop) = Desktop::start() else { return };
    let mut home = Home::empty("alice", "mauve otter drifts past nine lanterns");
    home.more = vec![("DBUS_SESSION_BUS_ADDRESS", desktop.address())];
    // A home that says nothing of it, on a desktop whose keyring may take a moment to come.
    let mut terminal = Terminal::open(&home, &["init", "--name", home.name]);
    terminal.answer(home.passphrase);
    terminal.answer(home.passphrase);
    terminal.finish().expect(0);
    home.set_page_port();
    let config = home.path().join("config.toml");
    let said = fs::read_to_string(&config).unwrap() + "\n[storage]\nkey = \"keyring\"\n";
    fs::write(&config, said).unwrap();
    until("the keyring answers", SOON, || {
        (home.run(&["whoami", "--json"]).code == Some(0)).then_some(())
    });
    assert_eq!(home.json(&["storage", "key"])["key"], "keyring");
    assert!(!home.path().join("store.key").exists());
    home.stop();

    for (to, is_file) in [("file", true), ("keyring", false)] {
        let mut terminal = Terminal::open(&home, &["storage", "key", "--to", to]);
        terminal.answer(home.passphrase);
        terminal.finish().expect(0);
        assert_eq!(home.json(&["storage", "key"])["key"], to);
        assert_eq!(home.path().join("store.key").exists(), is_file);
        home.run(&["whoami"]).expect(0);
        home.stop();
    }

    desktop.log_out();
    home.run(&["node"]).expect(1).says(&["keyring", "unlock it", "storage key --to file"]);
    assert!(!home.path().join("store.key").exists(), "no other key is made");
}
