//! Files that somebody else may have written: archives, logs, keys, other programs' settings.

use std::{fs, path::Path, str, sync::LazyLock};

use aead_stream::EncryptorBE32;
use chacha20poly1305::XChaCha20Poly1305;
use countersign::{
    audit::{
        Event, Head,
        compare::{Log, compare},
        lines::{self, End, Top},
    },
    base::{Secret, Timestamp},
    cli::join::{
        client::{Client, Transport},
        edit::{self, Target},
    },
    gate::{Item, Statement},
    identity::{Argon2Params, IdentityKey, SealedApprover, stretch},
    risk,
    store::{
        archive::{Archive, Purpose},
        audit::rotate,
    },
};

/// What a decision is about, and the decision, as both are kept.
///
/// # Panics
/// When it does not hold.
pub fn decision(bytes: &[u8]) {
    if let Ok(read) = Item::decode(bytes) {
        assert_eq!(read.encode(), bytes);
    }
    if let Ok(read) = Statement::read(bytes) {
        assert_eq!(read.encode(), bytes);
    }
}

/// The sealed approver key: what is read is written as something that reads the same, and a seal that
/// was made of nothing does not open. Only those are tried that ask for little work.
///
/// # Panics
/// When it does not hold.
pub fn approver(bytes: &[u8]) {
    let Ok(read) = serde_json::from_slice::<SealedApprover>(bytes) else { return };
    let written = serde_json::to_value(&read).expect("numbers and texts");
    assert_eq!(serde_json::from_value::<SealedApprover>(written.clone()).ok(), Some(read.clone()));
    let asked = |name: &str| written["argon2id"][name].as_u64().unwrap_or(u64::MAX);
    if asked("memory_kib") <= 64 && asked("passes") <= 2 {
        assert!(read.open(&PASSPHRASE).is_err());
    }
}

static PASSPHRASE: LazyLock<Secret<String>> = LazyLock::new(|| Secret::new("maple".to_owned()));

/// The files that an archive begins with.
const NAMES: [&str; 5] =
    ["identity.key", "approver.key", "config.toml", "countersign.db", "store.key"];
const SALT: [u8; 16] = [7; 16];
const NONCE: [u8; 19] = [9; 19];
/// The least that Argon2 takes.
const LEAST: Argon2Params = Argon2Params { memory_kib: 8, passes: 1, lanes: 1 };
const CHUNK_BYTES: usize = 65_536;

/// An archive. After an even byte the rest is the file; after an odd one it is what is sealed in a
/// file, whose passphrase is known. What comes out is what was in there, and nothing else.
///
/// # Panics
/// When it does not hold.
pub fn archive(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let inside = first % 2 == 1;
    let file = if inside { sealed(bytes) } else { bytes.to_vec() };
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let top = made.expect("a folder");
    let (path, folder) = (top.path().join("archive"), top.path().join("home"));
    fs::write(&path, &file).expect("room");
    for purpose in [Purpose::Move, Purpose::Backup] {
        let Ok(archive) = Archive::open(&path, purpose) else { continue };
        assert_eq!(archive.purpose(), purpose);
        // Others would take long.
        let asked = file.get(26..38);
        if asked != Some([8, 1, 1].map(u32::to_be_bytes).concat().as_slice()) {
            continue;
        }
        fs::create_dir(&folder).expect("room");
        let extracted = archive.extract(&PASSPHRASE, &NAMES, &folder);
        let found = found_in(&folder);
        assert!(found.iter().all(|name| is_of_a_home(name)), "{found:?}");
        if extracted.is_ok() && inside {
            assert_eq!(again(&folder, &found), bytes);
        }
        fs::remove_dir_all(&folder).expect("it is there");
    }
}

fn is_of_a_home(name: &str) -> bool {
    NAMES.contains(&name) || rotate::of_file(name).is_some()
}

/// The names of the files in a folder, in the order in which an archive has them.
fn found_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a name of ours");
    let mut found: Vec<String> = entries.map(name).collect();
    let place = |name: &str| NAMES.iter().position(|own| *own == name).unwrap_or(NAMES.len());
    found.sort_by_key(|name| (place(name), rotate::of_file(name)));
    found
}

fn again(folder: &Path, names: &[String]) -> Vec<u8> {
    let part = |name: &String| {
        let bytes = fs::read(folder.join(name)).expect("it is there");
        let length = u8::try_from(name.len()).expect("a short name");
        [&[length], name.as_bytes(), &(bytes.len() as u64).to_be_bytes(), &bytes].concat()
    };
    names.iter().flat_map(part).collect()
}

/// An archive with these bytes inside, as `ARCHIVE.md` has it.
fn sealed(inside: &[u8]) -> Vec<u8> {
    static KEY: LazyLock<Secret<[u8; 32]>> =
        LazyLock::new(|| stretch(&PASSPHRASE, &SALT, LEAST).expect("Argon2 takes these"));
    let numbers = [LEAST.memory_kib, LEAST.passes, LEAST.lanes].map(u32::to_be_bytes).concat();
    let header = [b"countersign-back2\n".as_slice(), &[0; 8], &numbers, &SALT, &NONCE].concat();
    let mut stream =
        EncryptorBE32::<XChaCha20Poly1305>::new(KEY.expose_secret().into(), &NONCE.into());
    let (mut file, mut chunk) = (header.clone(), Vec::new());
    let mut left = inside;
    stream.encrypt_next_in_place(&header, &mut chunk).expect("few chunks");
    file.append(&mut chunk);
    while left.len() > CHUNK_BYTES {
        let (now, later) = left.split_at(CHUNK_BYTES);
        chunk.extend_from_slice(now);
        stream.encrypt_next_in_place(&header, &mut chunk).expect("few chunks");
        file.append(&mut chunk);
        left = later;
    }
    chunk.extend_from_slice(left);
    stream.encrypt_last_in_place(&header, &mut chunk).expect("few chunks");
    file.append(&mut chunk);
    file
}

/// A log as a file. What is read of it is written as something that reads the same; and a log of any
/// events is read as it was written, and can be compared with another.
///
/// # Panics
/// When it does not hold.
pub fn audit(bytes: &[u8]) {
    let mut records = Vec::new();
    let take = |count, record: &_| {
        records.push(Clone::clone(record));
        assert_eq!(count, records.len() as u64);
    };
    let (count, checked) = lines::read(&mut &*bytes, take).expect("memory");
    assert_eq!(count, records.len() as u64);
    if let Ok(checked) = checked {
        let written: String = records.iter().map(lines::line).collect();
        let written = lines::line(&checked.top) + &written + &lines::line(&checked.end);
        let read = lines::read(&mut written.as_bytes(), |_, _| {}).expect("memory");
        assert_eq!(read, (count, Ok(checked)));
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    events(&text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<_>>());
}

/// A log of these events, as its node writes it.
fn events(events: &[Event]) {
    let key = IdentityKey::from_seed(&Secret::new([3; 32]));
    let mut log = Log::new(key.id(), key.id(), None);
    let (mut head, mut written) = (Head::EMPTY, String::new());
    for event in events {
        let record = head.next(Timestamp::from_ms(7), event);
        assert_eq!(serde_json::from_str::<Event>(&record.event).as_ref().ok(), Some(event));
        head = Head::of(&record);
        written += &lines::line(&record);
        log.add(&record);
    }
    assert!(compare(&log, &log).len() <= events.len());
    let (node, after) = (key.id(), Head::EMPTY);
    let top = Top {
        countersign_audit: lines::VERSION,
        node,
        after,
        whole: true,
        peer: None,
        since: None,
    };
    let signature = data_encoding::HEXLOWER.encode(&head.sign(&key));
    let end = End { head, signature, records: events.len() as u64 };
    let file = lines::line(&top) + &written + &lines::line(&end);
    let (count, checked) = lines::read(&mut file.as_bytes(), |_, _| {}).expect("memory");
    // An event may be longer than a line may be; a node writes none of that kind.
    if file.lines().all(|line| line.len() <= lines::LINE_BYTES_MAX) {
        assert_eq!((count, checked.map(|file| file.end)), (end.records, Ok(end)));
    }
}

const CLIENTS: [Client; 8] = [
    Client::ClaudeCode,
    Client::ClaudeDesktop,
    Client::Cursor,
    Client::Vscode,
    Client::Codex,
    Client::Gemini,
    Client::Zed,
    Client::Goose,
];

/// The settings of another program, by the first byte, with what is put into them. What was put in is
/// there; twice is once; and where nothing of that name was there before, it can be taken out.
///
/// # Panics
/// When it does not hold.
pub fn client_file(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let Ok(text) = str::from_utf8(rest) else { return };
    let client = CLIENTS[usize::from(*first) % CLIENTS.len()];
    let transport = transport(usize::from(*first) / CLIENTS.len());
    let (question, entry) = (client.question(&transport), client.entry("countersign", &transport));
    let target = Target {
        form: client.form(),
        container: client.container(),
        name: "countersign",
        question: question.as_ref(),
    };
    if let Ok(taken) = edit::take(text, target) {
        assert_eq!(edit::find(&taken, target), Ok(None));
    }
    let Ok(new) = edit::put(text, target, &entry) else { return };
    assert_eq!(edit::find(&new, target), Ok(Some(entry.json())));
    assert_eq!(edit::put(&new, target, &entry).as_deref(), Ok(new.as_str()), "twice is once");
    match edit::take(&new, target) {
        Ok(taken) => assert_eq!(edit::find(&taken, target), Ok(None)),
        Err(_) => assert_ne!(edit::find(text, target), Ok(None), "what is ours can be taken out"),
    }
}

fn transport(which: usize) -> Transport {
    let url = "http://127.0.0.1:7311/mcp".to_owned();
    match which % 3 {
        0 => Transport::Stdio {
            command: "/usr/local/bin/countersign".to_owned(),
            arguments: vec!["mcp".to_owned(), "a \"b\": # c".to_owned()],
            environment: vec![("COUNTERSIGN_HOME".to_owned(), "/h".to_owned())],
        },
        1 => Transport::Http { url, token: None },
        _ => Transport::Http { url, token: Some("abc".to_owned()) },
    }
}

/// A file of credentials: the values are as long as registered ones may be, and no label says more than
/// one may.
///
/// # Panics
/// When it does not hold.
pub fn known(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let listed = risk::values_of(text);
    let lengths = risk::VALUE_BYTES_MIN..=risk::VALUE_BYTES_MAX;
    assert!(listed.values.iter().all(|one| lengths.contains(&one.value.expose_secret().len())));
    let values = listed.values.iter().map(|one| &one.label);
    for label in values.chain(listed.skipped.iter().map(|(label, _)| label)) {
        assert!((1..=risk::LABEL_BYTES_MAX).contains(&label.len()), "{label:?}");
        assert!(!label.contains(char::is_control), "{label:?}");
    }
}
