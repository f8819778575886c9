//! What a home keeps: deleting that deletes, a backup while the node runs, and a home that is put back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Home, Output, PROGRAM, SOON, alice, pairing::friends, pty::Terminal, until};

/// Long enough for no other thing in a home to hold it.
const MARKER: &str = "zanzibar-quagga-7431";

/// Runs a command, types the passphrase where it is asked for.
fn typed(home: &Home, words: &[&str], passphrase: &str) -> Output {
    let mut terminal = Terminal::open_program(home, words);
    if terminal.comes_to_ask() {
        terminal.answer(passphrase);
    }
    terminal.finish()
}

fn backup(home: &Home, file: &Path) -> Output {
    typed(home, &[PROGRAM, "backup", file.to_str().unwrap()], home.passphrase)
}

fn restore(home: &Home, file: &Path, more: &[&str]) -> Output {
    let words = [&[PROGRAM, "restore", file.to_str().unwrap()], more].concat();
    typed(home, &words, home.passphrase)
}

/// Runs a command that asks whether to go on, and says `answer`.
fn answered(home: &Home, arguments: &[&str], answer: &str) -> Output {
    let mut terminal = Terminal::open(home, arguments);
    terminal.shows("[y/N]");
    terminal.press(&format!("{answer}\r"));
    terminal.finish()
}

fn stick() -> (TempDir, PathBuf) {
    let folder = tempfile::Builder::new().prefix("cs").tempdir().unwrap();
    let file = folder.path().join("home.backup");
    (folder, file)
}

/// The files of a home in which the marker is, as it is or in hexadecimal digits.
fn holding(home: &Home, print: &[u8]) -> Vec<String> {
    let files = fs::read_dir(home.path()).unwrap().map(|file| file.unwrap().path());
    let holds = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default(); // A socket cannot be read.
        memchr::memmem::find(&bytes, print).is_some()
    };
    let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    files.filter(holds).map(name).collect()
}

/// What of a message's text is nowhere else: the beginning of its sealed value, which is random.
fn print(home: &Home, text: &str) -> Vec<u8> {
    let sql = "SELECT substr(text, 2, 24) FROM messages
               WHERE instr(CAST(unseal('messages.text', text, id, peer, outgoing) AS TEXT), ?1) > 0";
    home.database().query_row(sql, [text], |row| row.get(0)).unwrap()
}

fn events(home: &Home, name: &str) -> Vec<Value> {
    let shown = home.json(&["audit", "show", "--limit", "1000"]);
    let records = shown["records"].as_array().unwrap().iter();
    records.map(|record| record["event"].clone()).filter(|event| event["event"] == name).collect()
}

/// Makes what came in and was seen so many days old.
fn age(home: &Home, days: i64) {
    home.stop();
    let sql = "UPDATE messages SET stored_ms = stored_ms - ?1 WHERE unread = 0";
    home.database().execute(sql, [days * 86_400_000]).unwrap();
    home.start();
}

#[test]
fn what_was_deleted_is_in_no_file_of_either_home_and_does_not_come_again() {
    let (alice, bob) = friends();
    let id = alice.send("bob", &format!("the word is {MARKER}"));
    let came = bob.received_text(MARKER);
    bob.json(&["inbox", "--mark-read"]);
    alice.reaches(&id, "read");
    let (ours, theirs) = (print(&alice, MARKER), print(&bob, MARKER));
    assert!(!holding(&alice, &ours).is_empty() && !holding(&bob, &theirs).is_empty());

    let dry = alice.json(&["delete", &id, "--dry-run"]);
    assert_eq!((&dry["messages"], &dry["dry_run"]), (&1.into(), &true.into()));
    answered(&alice, &["delete", &id], "n").expect(3);
    alice.run_without_terminal(&["delete", &id], "y\n").expect(1).says(&["terminal"]);
    assert!(!holding(&alice, &ours).is_empty(), "nobody said yes");
    let gone = answered(&alice, &["delete", &id], "y").expect(0);
    assert!(gone.stdout.contains("1 message deleted"), "{gone}");
    assert_eq!(holding(&alice, &ours), Vec::<String>::new());
    alice.run(&["message", &id]).expect(1);

    let gone = bob.json(&["delete", "--peer", "alice", "--before", "2100-01-01", "--yes"]);
    assert_eq!((&gone["messages"], &gone["done"]), (&1.into(), &true.into()), "{gone}");
    assert_eq!(holding(&bob, &theirs), Vec::<String>::new());
    bob.run(&["read", came["id"].as_str().unwrap()]).expect(1);
    bob.stop();
    assert_eq!(holding(&bob, &theirs), Vec::<String>::new());
    bob.start();
    alice.send("bob", "and on");
    bob.received_text("and on");
    assert_eq!(bob.texts(), ["and on"]);
    for home in [&alice, &bob] {
        let told = events(home, "deleted");
        assert_eq!((told.len(), &told[0]["messages"]), (1, &1.into()), "{told:?}");
        assert_eq!(home.json(&["audit", "verify"])["ok"], true);
    }
    alice.run(&["delete", "--peer", "bob"]).expect(2);
    alice.run(&["delete", "--peer", "bob", "--before", "soon"]).expect(2);
    alice.run(&["delete", "00000000000000000000000000000000", "--yes"]).expect(1);
}

#[test]
fn what_is_older_than_the_human_keeps_goes_and_what_nobody_saw_stays() {
    let (alice, bob) = friends();
    alice.send("bob", MARKER);
    bob.received_text(MARKER);
    bob.json(&["inbox", "--mark-read"]);
    let theirs = print(&bob, MARKER);
    age(&bob, 100);
    alice.send("bob", "not seen");
    bob.received_text("not seen");
    assert!(bob.run(&["keep"]).expect(0).stdout.contains("kept for ever"));
    assert_eq!(bob.json(&["keep", "90d", "--dry-run"])["erased"]["messages"], 1);
    answered(&bob, &["keep", "90", "days"], "").expect(3);
    assert_eq!((bob.json(&["keep"])["days"].is_null(), bob.texts().len()), (true, 2));
    answered(&bob, &["keep", "90", "days"], "yes").expect(0);
    assert_eq!(bob.texts(), ["not seen"]);
    assert_eq!(holding(&bob, &theirs), Vec::<String>::new());
    let kept = bob.json(&["keep", "30d", "--peer", "alice"]);
    assert_eq!((&kept["days"], &kept["peers"][0]["days"]), (&90.into(), &30.into()));
    assert_eq!(events(&bob, "retention_set").len(), 2);
    for wrong in ["0d", "90", "soon", "36501d"] {
        bob.run(&["keep", wrong, "--yes"]).expect(2);
    }
    bob.run(&["keep", "default", "--yes"]).expect(2);
    bob.run(&["keep", "1d", "--peer", "nobody", "--yes"]).expect(1);
}

#[test]
fn only_who_is_not_trusted_is_forgotten_and_a_block_stays() {
    let (alice, bob) = friends();
    let id = bob.id();
    alice.send("bob", MARKER);
    bob.received_text(MARKER);
    let (ours, theirs) = (print(&alice, MARKER), print(&bob, MARKER));
    alice.run(&["forget", "bob", "--yes"]).expect(1).says(&["trusted", "revoke"]);
    alice.run(&["revoke", "bob", "--block"]).expect(0);
    let said = answered(&alice, &["forget", "bob"], "y").expect(0);
    assert!(said.stdout.contains("stays blocked"), "{said}");
    assert_eq!(holding(&alice, &ours), Vec::<String>::new());
    let peers = alice.json(&["peers"]);
    let left = &peers["peers"][0];
    assert_eq!((&left["id"], &left["state"]), (&id.clone().into(), &"blocked".into()));
    assert!(!left.to_string().contains("bob"), "{left}");
    alice.stop();
    alice.start();
    assert_eq!(alice.json(&["peers"])["peers"][0]["state"], "blocked");

    bob.run(&["revoke", "alice"]).expect(0);
    bob.json(&["forget", "alice", "--yes"]);
    assert!(bob.peer("alice").is_none());
    assert_eq!(events(&bob, "peer_forgotten").len(), 1);
    assert_eq!(holding(&bob, &theirs), Vec::<String>::new());
}

#[test]
fn a_backup_of_a_home_that_sends_is_put_back_and_all_arrives_once() {
    let (alice, bob) = friends();
    let (_stick, file) = stick();
    let id = alice.id();
    alice.send("bob", "first");
    bob.received_text("first");
    bob.stop();
    alice.json(&["audit", "rotate", "--keep", "4"]);
    let (pid, mut written) = (alice.pid(), None);
    std::thread::scope(|scope| {
        let sending =
            scope.spawn(|| (0..12).for_each(|n| drop(alice.send("bob", &format!("s{n:02}")))));
        until("some were sent", SOON, || alice.status()["queued"].as_u64() > Some(1));
        written = Some(backup(&alice, &file).expect(0));
        sending.join().unwrap();
    });
    assert!(written.unwrap().stdout.contains("whole and on disk"));
    assert_eq!(alice.pid(), pid, "the node goes on");
    assert!(!alice.path().join("backup.db").exists());
    assert_eq!(events(&alice, "home_backed_up").len(), 1);
    assert!(memchr::memmem::find(&fs::read(&file).unwrap(), b"first").is_none());
    // What the backup does not know: all of it arrives, and two more.
    bob.start();
    bob.received_text("s11");
    alice.send("bob", "after the backup");
    bob.received_text("after the backup");
    let taken = bob.send("alice", "taken since");
    bob.reaches(&taken, "accepted");
    alice.stop();
    bob.send("alice", "not taken yet");

    let other = Home::empty(alice.name, alice.passphrase);
    let said = restore(&other, &file, &[]).expect(0);
    for words in ["trusted: bob", "grants and invites ended", "deleted since are back"] {
        assert!(said.stdout.contains(words), "no {words:?}: {said}");
    }
    other.start();
    assert_eq!(other.id(), id);
    other.received_text("not taken yet");
    let queue_is_empty = || (other.status()["queued"] == 0).then_some(());
    until("what was queued is acknowledged again", SOON, queue_is_empty);
    other.send("bob", "from the restored home");
    bob.received_text("from the restored home");
    let mut expected = vec!["first".to_owned()];
    expected.extend((0..12).map(|n| format!("s{n:02}")));
    expected.extend(["after the backup", "from the restored home"].map(str::to_owned));
    assert_eq!(bob.texts(), expected, "each exactly once, in order");
    assert_eq!(other.texts(), ["not taken yet"], "and what was acknowledged since is gone");
    // Bob saw more of the log than came back, and his node says so until a human has looked.
    let cut = other.json_code(&["audit", "verify"], 1);
    assert!(cut["problem"].as_str().unwrap().contains("bob has signed"), "{cut:#}");
    other.run(&["audit", "accept", "bob"]).expect(0);
    let verified = other.json(&["audit", "verify"]);
    assert!(verified["ok"] == true && verified["absent"] == Value::Array(vec![]), "{verified}");
    assert!(verified["moved"].as_u64() > Some(0), "{verified}");
    assert_eq!(events(&other, "home_restored").len(), 1);
}

#[test]
fn a_home_that_is_there_is_moved_aside_and_only_when_that_is_asked_for() {
    let alice = alice();
    let (_stick, file) = stick();
    backup(&alice, &file).expect(0);
    alice.json(&["invite"]);
    let path = file.to_str().unwrap();
    alice.run(&["restore", path]).expect(1).says(&["set up already", "--replace"]);
    alice.run(&["backup", path]).expect(1).says(&["is there already"]);
    alice.run(&["move", "import", path]).expect(1);
    let other = Home::empty(alice.name, alice.passphrase);
    other.run(&["move", "import", path]).expect(1).says(&["countersign restore"]);
    let pid = alice.pid();
    let wrong = [PROGRAM, "restore", path, "--replace"];
    let wrong = typed(&alice, &wrong, "not the passphrase at all").expect(1);
    assert!(wrong.stdout.contains("does not open"), "{wrong}");
    assert!(pid.is_some() && alice.pid() == pid, "the node runs on until all was verified");
    let id = alice.id();
    restore(&alice, &file, &["--replace"]).expect(0);
    let folders = fs::read_dir(alice.path().parent().unwrap()).unwrap();
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let names: Vec<String> = folders.map(|entry| name(entry.unwrap())).collect();
    let asides = names.iter().filter(|name| name.starts_with("h.before-"));
    let asides: Vec<_> = asides.collect();
    assert_eq!(asides.len(), 1, "{names:?}");
    let aside = alice.path().with_file_name(asides[0]);
    assert!(aside.join("identity.key").exists() && aside.join("countersign.db").exists());
    assert!(!names.iter().any(|name| name.starts_with(".countersign-")), "{names:?}");
    alice.start();
    assert_eq!((alice.id(), events(&alice, "home_restored").len()), (id, 1));
}

#[test]
fn what_is_wrong_with_a_backup_is_said_and_leaves_nothing_half() {
    let alice = alice();
    let (_stick, file) = stick();
    let path = file.to_str().unwrap();
    let wrong = typed(&alice, &[PROGRAM, "backup", path], "not the passphrase at all").expect(1);
    assert!(wrong.stdout.contains("4 tries are left"), "{wrong}");
    typed(&alice, &[PROGRAM, "backup", path], "").expect(3);
    alice.run_without_terminal(&["backup", path], alice.passphrase).expect(1).says(&["terminal"]);
    // A disk that is full after 16 blocks of 512 bytes; the node has no such limit.
    let full = "trap '' XFSZ; ulimit -f 16; exec \"$0\" backup \"$1\"";
    let full = typed(&alice, &["/bin/sh", "-c", full, PROGRAM, path], alice.passphrase).expect(1);
    assert!(full.stdout.to_lowercase().contains("too large"), "{full}");
    assert!(!file.exists() && !alice.path().join("backup.db").exists());
    assert_eq!(events(&alice, "home_backed_up").len(), 0);

    backup(&alice, &file).expect(0);
    let whole = fs::read(&file).unwrap();
    let host = Home::empty(alice.name, alice.passphrase);
    let around = host.path().parent().unwrap().to_owned();
    let check = |bytes: &[u8], word: &str| {
        fs::write(&file, bytes).unwrap();
        let refused = restore(&host, &file, &[]).expect(1);
        assert!(refused.stdout.contains(word), "no {word:?}: {refused}");
        assert_eq!(fs::read_dir(&around).unwrap().count(), 0, "{word}");
    };
    let mut bad = whole.clone();
    bad[whole.len() / 2] ^= 1;
    check(&bad, "damaged");
    check(&whole[..whole.len() - 1], "cut short");
    check(&[b"countersign-back3\n", &whole[18..]].concat(), "another version");
    check(&[b"countersign-move1\n", &whole[18..]].concat(), "move import");
    check(b"what a person took for it", "no archive");
    fs::write(&file, &whole).unwrap();
    let words = ["trap '' XFSZ; ulimit -f 16; exec \"$0\" restore \"$1\"", PROGRAM, path];
    let full = [&["/bin/sh", "-c"], &words[..]].concat();
    typed(&host, &full, host.passphrase).expect(1);
    assert_eq!(fs::read_dir(&around).unwrap().count(), 0, "nothing half");
    restore(&host, &file, &[]).expect(0);
}
