//! A home goes to another host: all of it arrives, nothing is sent twice, the old home stays shut, and
//! what is wrong with an archive is said before anything is there.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use countersign::{
    base::{Secret, Timestamp},
    store::archive::{self, Making, Part, Purpose, Source},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Home, Output, SOON, alice, bob, mcp::Session, pairing::friends, pty::Terminal, until,
};

const NAMES: [&str; 5] =
    ["identity.key", "approver.key", "config.toml", "countersign.db", "store.key"];

/// A place for an archive, as a stick between two hosts would be.
fn stick() -> (TempDir, PathBuf) {
    let folder = tempfile::Builder::new().prefix("cs").tempdir().unwrap();
    let file = folder.path().join("home.countersign");
    (folder, file)
}

/// Types the passphrase where it is asked for.
fn typed(home: &Home, arguments: &[&str], passphrase: &str) -> Output {
    let mut terminal = Terminal::open(home, arguments);
    if terminal.comes_to_ask() {
        terminal.answer(passphrase);
    }
    terminal.finish()
}

fn export(home: &Home, file: &Path) -> Output {
    typed(home, &["move", "export", file.to_str().unwrap()], home.passphrase)
}

fn import(home: &Home, file: &Path, passphrase: &str) -> Output {
    typed(home, &["move", "import", file.to_str().unwrap()], passphrase)
}

/// A host of the same person's, without a home.
fn other_host(of: &Home) -> Home {
    Home::empty(of.name, of.passphrase)
}

/// Nothing of a home is there, and nothing that was to become one.
fn assert_no_home(host: &Home) {
    let around = host.path().parent().unwrap().to_owned();
    let left: Vec<_> = fs::read_dir(around).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn events(home: &Home) -> Vec<Value> {
    let shown = home.json(&["audit", "show", "--limit", "1000"]);
    let records = shown["records"].as_array().unwrap();
    records.iter().map(|record| record["event"].clone()).collect()
}

/// Every way to a node in a home that has moved says so, and what to do.
fn assert_stays_shut(home: &Home, open: &Session) {
    let words = ["was moved to another host", "countersign move undo"];
    for command in [&["node"][..], &["whoami"], &["send", "bob", "x"], &["page"]] {
        home.run(command).expect(1).says(&words);
    }
    home.run_without_terminal(&["node", "--background"], "").expect(1).says(&words);
    let told = [
        open.call_error("peer_whoami", json!({})),
        Session::modern(home).call_error("peer_send", json!({"to": "bob", "text": "x"})),
        home.warnings(),
        home.run(&["doctor"]).expect(1).stdout,
    ];
    for said in told {
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    home.run(&["stop"]).expect(0);
    assert_eq!(home.status()["running"], false);
}

#[test]
fn a_home_moves_with_all_it_has_and_what_waited_arrives_once() {
    let (alice, bob) = friends();
    let (_stick, file) = stick();
    alice.send("bob", "before the move");
    bob.received_text("before the move");
    bob.send("alice", "noted");
    alice.received_text("noted");
    bob.stop();
    let waiting = alice.send("bob", "while you were away");
    let (id, open) = (alice.id(), Session::modern(&alice));
    open.call("peer_whoami", json!({}));
    let records = alice.json(&["audit", "rotate", "--keep", "4"])["moved"].take();
    let records = records["file"].as_str().unwrap().to_owned();

    let exported = export(&alice, &file).expect(0);
    assert!(exported.stdout.contains("The node has ended"), "{exported}");
    let bytes = fs::read(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    for plain in ["while you were away", "SQLite format 3", "argon2id", "alice"] {
        let shown = memchr::memmem::find(&bytes, plain.as_bytes()).is_some();
        assert!(!shown, "{plain:?} can be read in the archive");
    }
    assert_stays_shut(&alice, &open);

    let moved = other_host(&alice);
    let imported = import(&moved, &file, alice.passphrase).expect(0);
    assert!(imported.stdout.contains("of which 1 have still to reach a peer"), "{imported}");
    assert!(imported.stdout.contains("page.port"), "{imported}");
    assert!(!imported.stdout.contains("more than a day old"), "{imported}");
    let names = || NAMES.into_iter().chain([records.as_str()]);
    for name in names() {
        let mode = fs::metadata(moved.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(fs::read_dir(moved.path()).unwrap().count(), names().count(), "and nothing else");
    let remembered = "SELECT count(*) FROM meta WHERE key IN ('udp_port', 'page_port')";
    let left: i64 = moved.database().query_row(remembered, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "the ports of the old host");

    moved.start();
    assert_eq!(moved.id(), id);
    bob.start();
    bob.received_text("while you were away");
    moved.reaches(&waiting, "delivered");
    bob.send("alice", "welcome at the new place");
    moved.received_text("welcome at the new place");
    moved.stop();
    moved.start();
    moved.send("bob", "and once more");
    bob.received_text("and once more");
    assert_eq!(bob.texts(), ["before the move", "while you were away", "and once more"]);
    assert_eq!(moved.texts(), ["noted", "welcome at the new place"]);
    let verified = moved.json(&["audit", "verify"]);
    assert_eq!((&verified["ok"], &verified["absent"]), (&true.into(), &json!([])), "{verified}");
    let imports = events(&moved).into_iter().filter(|event| event["event"] == "home_imported");
    assert_eq!(imports.count(), 1);
}

#[test]
fn a_home_that_has_moved_starts_again_only_by_the_passphrase() {
    let alice = alice();
    let (_stick, file) = stick();
    let refused = typed(&alice, &["move", "undo"], alice.passphrase).expect(1);
    assert!(refused.stdout.contains("has not moved"), "{refused}");
    export(&alice, &file).expect(0);
    let again = export(&alice, &file.with_extension("2")).expect(1);
    assert!(again.stdout.contains("was moved to another host"), "{again}");

    alice.run_without_terminal(&["move", "undo"], alice.passphrase).expect(1).says(&["terminal"]);
    let wrong = typed(&alice, &["move", "undo"], "not the passphrase at all").expect(1);
    assert!(wrong.stdout.contains("4 tries are left"), "{wrong}");
    typed(&alice, &["move", "undo"], "").expect(3);
    alice.run(&["node"]).expect(1).says(&["was moved"]);

    let undone = typed(&alice, &["move", "undo"], alice.passphrase).expect(0);
    assert!(undone.stdout.contains("Two homes with one key"), "{undone}");
    alice.start();
    let names: Vec<_> = events(&alice).iter().map(|event| event["event"].to_string()).collect();
    for name in ["\"home_exported\"", "\"move_undone\""] {
        assert!(names.iter().any(|found| found == name), "{names:?}");
    }
    assert_eq!(alice.json(&["audit", "verify"])["ok"], true);
    assert!(!alice.warnings().contains("moved"));
}

#[test]
fn an_export_that_is_refused_changes_nothing_and_leaves_the_node_alone() {
    let alice = alice();
    let (_stick, file) = stick();
    let pid = alice.pid();
    let path = file.to_str().unwrap();
    let wrong = typed(&alice, &["move", "export", path], "not the passphrase at all").expect(1);
    assert!(wrong.stdout.contains("4 tries are left"), "{wrong}");
    typed(&alice, &["move", "export", path], "").expect(3);
    let mute = alice.run_without_terminal(&["move", "export", path], alice.passphrase);
    mute.expect(1).says(&["terminal"]);
    assert!(!file.exists());
    assert!(pid.is_some() && alice.pid() == pid, "the node runs on");

    fs::write(&file, "somebody's").unwrap();
    alice.run(&["move", "export", path]).expect(1).says(&["is there already", "name that is free"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "somebody's");
    let nowhere = file.with_file_name("no").join("file");
    let nowhere = export(&alice, &nowhere).expect(1);
    assert!(nowhere.stdout.contains("No such file"), "{nowhere}");
    assert!(!alice.path().join("moved.json").exists());
    // Only the last one got as far as ending the node, and the next command starts it.
    assert!(alice.pid().is_none());
    alice.id();
}

#[test]
fn what_is_wrong_with_an_archive_is_said_and_leaves_no_home() {
    let (alice, bob) = (alice(), bob());
    let (_stick, file) = stick();
    export(&alice, &file).expect(0);
    let whole = fs::read(&file).unwrap();
    let host = other_host(&alice);
    let check = |bytes: &[u8], passphrase: &str, word: &str| {
        fs::write(&file, bytes).unwrap();
        let refused = import(&host, &file, passphrase).expect(1);
        assert!(refused.stdout.contains(word), "no {word:?}: {refused}");
        assert_no_home(&host);
    };
    check(&whole, "not the passphrase at all", "does not open");
    let mut bad = whole.clone();
    bad[whole.len() / 2] ^= 1;
    check(&bad, alice.passphrase, "damaged");
    check(&whole[..whole.len() - 1], alice.passphrase, "cut short");
    check(b"what a person took for it", alice.passphrase, "no archive");
    typed(&host, &["move", "import", "nothing-there"], alice.passphrase).expect(1);
    assert_no_home(&host);

    fs::write(&file, &whole).unwrap();
    let path = file.to_str().unwrap();
    let mute = Output::of({
        let mut command = std::process::Command::new("setsid");
        command.arg(crate::support::PROGRAM).args(["move", "import", path]);
        command.env_clear().envs(host.environment()).stdin(std::process::Stdio::null());
        command
    });
    mute.expect(1).says(&["terminal"]);
    let before = fs::read(bob.path().join("identity.key")).unwrap();
    bob.run(&["move", "import", path]).expect(1).says(&["set up already", "COUNTERSIGN_HOME"]);
    assert_eq!(fs::read(bob.path().join("identity.key")).unwrap(), before);
    fs::create_dir(host.path()).unwrap();
    fs::write(host.path().join("letter.txt"), "kept").unwrap();
    host.run(&["move", "import", path]).expect(1).says(&["is not empty"]);
    assert_eq!(fs::read_dir(host.path()).unwrap().count(), 1);

    fs::remove_file(host.path().join("letter.txt")).unwrap();
    import(&host, &file, alice.passphrase).expect(0);
    host.start();
    assert!(host.peer("bob").is_none());
}

/// The files of a home in which no node runs.
fn parts(home: &Home) -> Vec<Part> {
    NAMES
        .map(|name| Part { name: name.to_owned(), from: Source::File(home.path().join(name)) })
        .to_vec()
}

fn written(home: &Home, parts: &[Part], at: Timestamp) -> (TempDir, PathBuf) {
    let (stick, file) = stick();
    let making = Making { purpose: Purpose::Move, at, salt: [1; 16], nonce: [2; 19] };
    let passphrase = Secret::new(home.passphrase.to_owned());
    archive::write(&file, parts, &passphrase, &making).unwrap();
    (stick, file)
}

#[test]
fn files_that_do_not_belong_together_make_no_home() {
    let (alice, bob) = (alice(), bob());
    alice.stop();
    bob.stop();
    let now = Timestamp::from_ms(1_900_000_000_000);
    let check = |change: &dyn Fn(&mut Vec<Part>), word: &str| {
        let mut parts = parts(&alice);
        change(&mut parts);
        let (_stick, file) = written(&alice, &parts, now);
        let host = other_host(&alice);
        let refused = import(&host, &file, alice.passphrase).expect(1);
        assert!(refused.stdout.contains(word), "no {word:?}: {refused}");
        assert_no_home(&host);
    };
    check(&|parts| parts[1] = self::parts(&bob)[1].clone(), "approver in it is not of this home");
    check(&|parts| parts[3] = self::parts(&bob)[3].clone(), "database in it is not of this home");
    let later = bob.path().join("later.toml");
    fs::write(&later, "name = \"alice\"\nunheard_of = 1\n").unwrap();
    check(&|parts| parts[2].from = Source::File(later.clone()), "unheard_of");
    let newer = bob.path().join("newer.db");
    fs::copy(alice.path().join(NAMES[3]), &newer).unwrap();
    let db = rusqlite::Connection::open(&newer).unwrap();
    db.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA user_version = 99;").unwrap();
    drop(db);
    check(&|parts| parts[3].from = Source::File(newer.clone()), "schema 99");
    check(
        &|parts| parts[4] = self::parts(&bob)[4].clone(),
        "storage key in it is not of this home",
    );
}

#[test]
fn an_old_archive_is_the_past_and_the_person_is_told_so() {
    let (alice, bob) = friends();
    alice.stop();
    let (_stick, file) = written(&alice, &parts(&alice), Timestamp::from_ms(1_600_000_000_000));
    alice.start();
    alice.run(&["revoke", "bob"]).expect(0);
    let host = other_host(&alice);
    let imported = import(&host, &file, alice.passphrase).expect(0);
    for words in ["made  2020-09-13T12:26:40.000Z", "more than a day old", "revoked"] {
        assert!(imported.stdout.contains(words), "no {words:?}: {imported}");
    }
    alice.stop();
    host.start();
    // What the manual says: the revocation was after it.
    until("the peer of that time is trusted", SOON, || host.peer_state(bob.name) == "trusted");
}

/// What `countersign move export` wrote before messages were sealed: Alice's home, who trusts Bob,
/// has two messages, and has one that waits for him.
const FIRST: &[u8] = include_bytes!("../vectors/homes/move1.countersign");

#[test]
fn an_archive_of_the_first_version_becomes_a_home_whose_messages_are_sealed() {
    let (_stick, file) = stick();
    fs::write(&file, FIRST).unwrap();
    let host = Home::empty("alice", "mauve otter drifts past nine lanterns");
    let imported = import(&host, &file, host.passphrase).expect(0);
    assert!(imported.stdout.contains("of which 1 have still to reach a peer"), "{imported}");
    let bytes = fs::read(host.path().join("countersign.db")).unwrap();
    for said in ["before the move", "noted, with cinnamon", "while you were away"] {
        let plain = memchr::memmem::find(&bytes, said.as_bytes()).is_some();
        assert!(!plain, "{said:?} can be read in the database");
    }
    host.set_page_port_anew();
    host.start();
    assert_eq!(host.texts(), ["noted, with cinnamon"]);
    assert_eq!(host.peer_state("bob"), "trusted");
    assert_eq!(host.json(&["audit", "verify"])["ok"], true);
    assert_eq!(host.json(&["storage", "key"])["key"], "file");
}

/// What an archive was for, the command that reads it, and the bytes of an earlier version: of the home
/// of schema 11 in `vectors/databases`, which had moved records into a file.
const EARLIER: [(&[&str], &[u8]); 2] = [
    (&["move", "import"], include_bytes!("../vectors/homes/move2.countersign")),
    (&["restore"], include_bytes!("../vectors/homes/back1.countersign")),
];

#[test]
fn archives_of_earlier_versions_become_homes_that_say_which_records_did_not_come_along() {
    for (command, bytes) in EARLIER {
        let (_stick, file) = stick();
        fs::write(&file, bytes).unwrap();
        let host = Home::empty("alice", "alice gravel violin borrowed a copper umbrella");
        let arguments = [command, &[file.to_str().unwrap()]].concat();
        typed(&host, &arguments, host.passphrase).expect(0);
        host.set_page_port_anew();
        host.start();
        assert_eq!(host.peer_state("bob"), "trusted", "{command:?}");
        assert_eq!(host.texts().len(), 3, "{command:?}");
        let verified = host.json(&["audit", "verify"]);
        let absent = json!(["audit-000000000001-000000000025.jsonl"]);
        assert_eq!((&verified["ok"], &verified["absent"]), (&true.into(), &absent), "{verified}");
    }
}
