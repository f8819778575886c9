//! Homes of earlier versions, kept in `tests/vectors/databases`: the present program opens each, says what
//! that version said of it, and loses nothing.

use std::{
    fs,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::support::Home;

/// The passphrase of every kept home.
const PASSPHRASE: &str = "alice gravel violin borrowed a copper umbrella";

fn kept() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/databases");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// A copy of a kept home, which may be used up.
fn home_of(kept: &Path) -> Home {
    let home = Home::empty("alice", PASSPHRASE);
    fs::create_dir(home.path()).unwrap();
    for entry in fs::read_dir(kept).unwrap() {
        let from = entry.unwrap().path();
        let mut bytes = fs::read(&from).unwrap();
        let mut name = from.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some(plain) = name.strip_suffix(".gz") {
            let mut unpacked = Vec::new();
            GzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).unwrap();
            (name, bytes) = (plain.to_owned(), unpacked);
        }
        if name != "said.json" {
            let to = home.path().join(name);
            fs::write(&to, bytes).unwrap();
            fs::set_permissions(to, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    home.set_page_port();
    home
}

fn strings(list: &Value, field: &str) -> Vec<String> {
    let text = |value: &Value| value[field].as_str().unwrap().to_owned();
    let mut found: Vec<String> = list.as_array().unwrap().iter().map(text).collect();
    found.sort();
    found
}

/// Peers by name, with their states and whether they are verified.
fn peers(home: &Home) -> Value {
    let peers = home.json(&["peers"])["peers"].take();
    let mut found: Vec<[Value; 3]> = peers
        .as_array()
        .unwrap()
        .iter()
        .map(|peer| ["name", "state", "verified"].map(|field| peer[field].clone()))
        .collect();
    found.sort_by_key(|[name, ..]| name.to_string());
    serde_json::to_value(found).unwrap()
}

fn texts(home: &Home) -> Value {
    let inbox = home.json(&["inbox", "--limit", "100"]);
    inbox["messages"].as_array().unwrap().iter().map(|message| message["text"].clone()).collect()
}

/// What is the same however long ago the home was kept.
fn says_the_same(home: &Home, said: &Value) {
    assert_eq!(home.json(&["whoami"])["id"], said["id"]);
    assert_eq!(peers(home), said["peers"]);
    assert_eq!(texts(home), said["inbox"]);
    assert_eq!(home.json(&["pending"])["items"].as_array().unwrap().len(), 0);
    let tokens = home.json(&["token", "list"])["tokens"].take();
    assert_eq!(serde_json::to_value(strings(&tokens, "name")).unwrap(), said["tokens"]);
    let known = home.json(&["known", "list"])["values"].take();
    assert_eq!(serde_json::to_value(strings(&known, "label")).unwrap(), said["known"]);
    assert_eq!(home.json(&["policy", "show"])["source"], said["policy"]);
}

/// What ends with time: a message that waits, after 7 days; the grant, after 700 hours.
fn ends_in_its_time(home: &Home, said: &Value) {
    let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
        - said["made_s"].as_u64().unwrap();
    let (day, hour) = (86_400, 3_600);
    for (id, state) in said["sent"].as_object().unwrap() {
        let now = home.json(&["message", id])["state"].take();
        let may_end = state == "queued" && age > 6 * day;
        assert!(now == *state || (may_end && now == "expired"), "{id} was {state} and is {now}");
    }
    let grants = home.json(&["grants"])["grants"].take();
    let grants = serde_json::to_value(strings(&grants, "id")).unwrap();
    assert!(grants == said["grants"] || (age > 690 * hour && grants == json!([])), "{grants}");
}

#[test]
fn homes_of_earlier_versions_go_on_with_all_that_they_hold() {
    for folder in kept() {
        let said: Value =
            serde_json::from_slice(&fs::read(folder.join("said.json")).unwrap()).unwrap();
        assert_eq!(said["passphrase"], PASSPHRASE);
        let home = home_of(&folder);
        home.start();
        says_the_same(&home, &said);
        ends_in_its_time(&home, &said);
        let verified = home.json(&["audit", "verify"]);
        assert_eq!((&verified["ok"], &verified["problem"]), (&true.into(), &Value::Null));
        if let Some(before) = said.get("audit") {
            assert_eq!((&verified["absent"], &verified["moved"]), (&json!([]), &before["moved"]));
            assert!(verified["records"].as_u64() >= before["records"].as_u64(), "{verified}");
        }
        let searched = home.json(&["inbox", "--query", "number 1"]);
        assert_eq!(searched["messages"].as_array().unwrap().len(), 1);
        home.stop();
        home.start();
        says_the_same(&home, &said);
    }
}
