use std::os::unix::fs::PermissionsExt as _;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{
    stream::{CHUNK_BYTES, TAG_BYTES},
    *,
};
use crate::base::GrantId;

const NAMES: [&str; 2] = ["small", "large"];
const HEADER_BYTES: usize = 73;
const MADE: Timestamp = Timestamp::from_ms(1_700_000_000_000);

fn passphrase(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn making() -> Making {
    Making { purpose: Purpose::Move, at: MADE, salt: [7; 16], nonce: [9; 19] }
}

/// An archive of two files, the second of so many bytes.
fn archive(size: usize) -> (TempDir, PathBuf, Written) {
    let folder = tempfile::tempdir().unwrap();
    let large: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let parts = NAMES
        .map(|name| Part { name: name.to_owned(), from: Source::File(folder.path().join(name)) });
    fs::write(folder.path().join("small"), b"secret words").unwrap();
    fs::write(folder.path().join("large"), large).unwrap();
    let target = folder.path().join("archive");
    let written = write(&target, &parts, &passphrase("right"), &making()).unwrap();
    (folder, target, written)
}

fn extract(path: &Path, typed: &str, names: &[&str]) -> Result<(TempDir, String), ArchiveError> {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(path, Purpose::Move)?;
    let digest = archive.extract(&passphrase(typed), names, folder.path())?;
    Ok((folder, digest))
}

#[test]
fn what_goes_in_comes_out_at_every_size_around_a_chunk() {
    // Two files' heads and the first one's bytes come before the second file.
    let before = (1 + 5 + 8) * 2 + 12;
    for size in [0, 1, CHUNK_BYTES - before, CHUNK_BYTES - before + 1, 3 * CHUNK_BYTES] {
        let (folder, path, written) = archive(size);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(u64::try_from(bytes.len()).unwrap(), written.bytes, "{size}");
        let chunks = (before + size).div_ceil(CHUNK_BYTES) + 1;
        assert_eq!(bytes.len(), HEADER_BYTES + before + size + chunks * TAG_BYTES, "{size}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes));
        let (out, read) = extract(&path, "right", &NAMES).unwrap();
        assert_eq!((&digest, &digest), (&written.sha256, &read), "{size}");
        for name in NAMES {
            let file = out.path().join(name);
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            let whole = fs::read(folder.path().join(name)).unwrap();
            assert!(fs::read(file).unwrap() == whole, "{name} of {size}");
        }
    }
}

#[test]
fn the_header_is_as_it_is_written_down() {
    let (_folder, path, _) = archive(1);
    let bytes = fs::read(&path).unwrap();
    let mut expected = b"countersign-move3\n".to_vec();
    expected.extend(1_700_000_000_000_u64.to_be_bytes());
    expected.extend([0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1]);
    expected.extend([7; 16]);
    expected.extend([9; 19]);
    assert_eq!(bytes[..HEADER_BYTES], expected);
    assert_eq!(Archive::open(&path, Purpose::Move).unwrap().made(), MADE);
    let shown = bytes.windows(12).any(|window| window == b"secret words");
    assert!(!shown, "plain text in the archive");
}

#[test]
fn a_wrong_passphrase_is_told_from_damage() {
    let (_folder, path, _) = archive(10);
    assert!(matches!(extract(&path, "wrong", &NAMES), Err(ArchiveError::WrongPassphrase(_))));
    assert!(extract(&path, "right", &NAMES).is_ok());
}

#[test]
fn no_byte_of_an_archive_can_be_changed() {
    let (_folder, path, _) = archive(2 * CHUNK_BYTES);
    let whole = fs::read(&path).unwrap();
    let first = HEADER_BYTES + TAG_BYTES;
    let second = first + CHUNK_BYTES + TAG_BYTES;
    let places = [17, 20, 40, 60, 72, 73, first, second - 1, second, second + 9, whole.len() - 1];
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(extract(&path, "right", &NAMES).is_err(), "byte {at}");
    }
    let mut bytes = whole.clone();
    bytes[second] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(extract(&path, "right", &NAMES), Err(ArchiveError::Damaged(_))));
}

#[test]
fn nothing_can_be_cut_off_put_in_or_swapped() {
    let (_folder, path, _) = archive(3 * CHUNK_BYTES);
    let whole = fs::read(&path).unwrap();
    let (first, chunk) = (HEADER_BYTES + TAG_BYTES, CHUNK_BYTES + TAG_BYTES);
    let check = |what: &str, bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let found = extract(&path, "right", &NAMES);
        assert!(matches!(found, Err(ArchiveError::Damaged(_))), "{what}");
    };
    for cut in [18, 30, HEADER_BYTES, first - 1, first + 1, first + chunk, whole.len() - 1] {
        check(&format!("cut after {cut}"), &whole[..cut]);
    }
    check("more at the end", &[&whole[..], &[0]].concat());
    let (one, two) = (&whole[first..first + chunk], &whole[first + chunk..first + 2 * chunk]);
    let rest = &whole[first + 2 * chunk..];
    check("swapped", &[&whole[..first], two, one, rest].concat());
    check("left out", &[&whole[..first], one, rest].concat());
    check("twice", &[&whole[..first], one, one, two, rest].concat());
    fs::write(&path, &whole).unwrap();
    assert!(extract(&path, "right", &NAMES).is_ok());
}

#[test]
fn files_come_out_under_the_names_that_are_asked_for_and_no_others() {
    let (_folder, path, _) = archive(10);
    for names in [&["large", "small"][..], &["small"], &["small", "large", "more"], &[]] {
        let found = extract(&path, "right", names);
        assert!(matches!(found, Err(ArchiveError::Damaged(_))), "{names:?}");
    }
}

#[test]
fn moved_records_come_along_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = (folder.path().join("file"), folder.path().join("archive"));
    fs::write(&path, b"a line").unwrap();
    let sealed = |names: &[&str]| {
        fs::remove_file(&target).ok();
        let part = |name: &&str| Part { name: (*name).into(), from: Source::File(path.clone()) };
        let parts: Vec<Part> = names.iter().map(part).collect();
        write(&target, &parts, &passphrase("right"), &making()).unwrap();
        extract(&target, "right", &["small"])
    };
    let (one, two) =
        ("audit-000000000001-000000000009.jsonl", "audit-000000000010-000000000012.jsonl");
    let (out, _) = sealed(&["small", one, two]).unwrap();
    assert_eq!(fs::read(out.path().join(two)).unwrap(), b"a line");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 3);
    for wrong in [
        &["small", two, one][..],
        &["small", one, one],
        &["small", "large"],
        &["small", "audit-1-9.jsonl"],
        &["small", "audit-../00000000001-000000000009.jsonl"],
        &["small", "../audit-000000000001-000000000009.jsonl"],
    ] {
        assert!(matches!(sealed(wrong), Err(ArchiveError::Damaged(_))), "{wrong:?}");
    }
}

#[test]
fn what_is_no_archive_and_what_is_a_later_one_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for bytes in [&b""[..], b"countersign", b"age-encryption.org/v1\nand more of it"] {
        fs::write(&path, bytes).unwrap();
        for purpose in [Purpose::Move, Purpose::Backup] {
            let found = Archive::open(&path, purpose);
            assert!(matches!(found, Err(ArchiveError::Foreign { .. })), "{bytes:?}");
        }
    }
    fs::write(&path, b"countersign-move4\n and what nobody knows yet").unwrap();
    assert!(matches!(Archive::open(&path, Purpose::Move), Err(ArchiveError::Newer(_))));
    let other = Archive::open(&path, Purpose::Backup);
    assert!(matches!(other, Err(ArchiveError::MadeFor { made_for: Purpose::Move, .. })));
    fs::write(&path, b"countersign-back3\n and what nobody knows yet").unwrap();
    assert!(matches!(Archive::open(&path, Purpose::Backup), Err(ArchiveError::Newer(_))));
}

#[test]
fn a_backup_is_no_move_even_with_the_other_ones_first_bytes() {
    let (_folder, path, _) = archive(10);
    let mut bytes = fs::read(&path).unwrap();
    bytes[..18].copy_from_slice(b"countersign-back2\n");
    fs::write(&path, bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(&path, Purpose::Backup).unwrap();
    let opened = archive.extract(&passphrase("right"), &NAMES, folder.path());
    assert!(matches!(opened, Err(ArchiveError::WrongPassphrase(_))));
}

#[test]
fn a_header_that_asks_for_too_much_is_refused() {
    let (_folder, path, _) = archive(10);
    let mut bytes = fs::read(&path).unwrap();
    bytes[26] = 0xff;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(extract(&path, "right", &NAMES), Err(ArchiveError::Parameters { .. })));
}

#[test]
fn nothing_is_written_over_and_a_failure_leaves_nothing() {
    let (folder, path, _) = archive(10);
    let before = fs::read(&path).unwrap();
    let part = |name: &str| {
        vec![Part { name: "small".to_owned(), from: Source::File(folder.path().join(name)) }]
    };
    let again = write(&path, &part("small"), &passphrase("right"), &making());
    assert!(matches!(again, Err(ArchiveError::Exists(_))));
    assert_eq!(fs::read(&path).unwrap(), before);
    let target = folder.path().join("new");
    assert!(write(&target, &part("missing"), &passphrase("right"), &making()).is_err());
    assert!(!target.exists());
}

#[test]
fn a_database_is_folded_noted_and_settled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("countersign.db");
    let key = IdentityKey::from_seed(&Secret::new([1; 32]));
    let source = KeySource::file(folder.path().join("store.key"));
    let (db, _) = migrate::open(&path, &key.id(), &source).unwrap();
    migrate::set_meta(&db, "udp_port", "7000").unwrap();
    migrate::set_meta(&db, "kept", "yes").unwrap();
    drop(db);
    fold(&path, &key.id(), &source).unwrap();
    let event = Event::HomeImported { archive: "ab".into(), made: "then".into() };
    let carried = settle(&path, (&key, &source), &["udp_port"], (MADE, &event)).unwrap();
    assert_eq!(carried, Carried::default());
    note(&path, (&key, &source), MADE, &Event::MoveUndone).unwrap();
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        2,
        "all of it is in one file, beside its key"
    );
    let (db, _) = migrate::open(&path, &key.id(), &source).unwrap();
    assert_eq!(migrate::meta(&db, "udp_port").unwrap(), None);
    assert_eq!(migrate::meta(&db, "kept").unwrap().as_deref(), Some("yes"));
    let verified = chain::verify(&db, &key.id()).unwrap();
    assert_eq!((verified.records, verified.checkpoints), (2, 2));
    drop(db);
    a_past_is_settled(&path, (&key, &source));
    let other = IdentityKey::from_seed(&Secret::new([2; 32]));
    let refused = settle(&path, (&other, &source), &[], (MADE, &Event::MoveUndone));
    assert!(matches!(refused, Err(StoreError::OtherNode { .. })));
}

#[test]
fn a_database_without_a_home_and_one_that_is_damaged_are_not_settled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("countersign.db");
    let key = IdentityKey::from_seed(&Secret::new([1; 32]));
    let source = KeySource::file(folder.path().join("store.key"));
    let restored = || {
        let event = Event::HomeRestored { archive: "ab".into(), made: "then".into() };
        settle_past(&path, (&key, &source), &[], (MADE, &event)).map(drop)
    };
    fs::write(&path, b"").unwrap();
    assert!(matches!(restored(), Err(StoreError::Damaged { .. })), "what an empty copy was");
    assert_eq!(fs::metadata(&path).unwrap().len(), 0, "and no home was made of it");
    fs::remove_file(&path).unwrap();
    drop(migrate::open(&path, &key.id(), &source).unwrap());
    fold(&path, &key.id(), &source).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut bad = whole.clone();
    // All pages but the first two, which say what it is.
    bad[8192..].fill(0x5a);
    fs::write(&path, &bad).unwrap();
    assert!(matches!(restored(), Err(StoreError::Damaged { .. })));
    fs::write(&path, &whole).unwrap();
    restored().unwrap();
}

#[test]
fn what_was_opened_before_is_sealed_and_not_what_came_to_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (from, target) = (folder.path().join("backup.db"), folder.path().join("archive"));
    fs::write(&from, b"all of it").unwrap();
    let opened = Arc::new(File::open(&from).unwrap());
    fs::remove_file(&from).unwrap();
    fs::write(&from, b"").unwrap();
    let part =
        |size| [Part { name: "small".to_owned(), from: Source::Opened(opened.clone(), size) }];
    write(&target, &part(9), &passphrase("right"), &making()).unwrap();
    let (out, _) = extract(&target, "right", &["small"]).unwrap();
    assert_eq!(fs::read(out.path().join("small")).unwrap(), b"all of it");
    fs::remove_file(&target).unwrap();
    assert!(write(&target, &part(10), &passphrase("right"), &making()).is_err(), "it was cut");
}

/// What a grant's row says of its end is nothing: the record does, for each that could still count.
fn a_past_is_settled(path: &Path, (key, source): (&IdentityKey, &KeySource)) {
    let (db, _) = migrate::open(path, &key.id(), source).unwrap();
    let later = MADE.plus(std::time::Duration::from_mins(1)).rfc3339();
    for (id, until) in [(1, &later), (2, &later), (3, &MADE.rfc3339())] {
        let grant = GrantId::from_bytes([id; 5]).to_string();
        let event = Event::Granted { grant, peer: None, until: until.clone() };
        chain::append(&db, MADE, &event).unwrap();
    }
    let ended = Event::GrantEnded { grant: GrantId::from_bytes([2; 5]).to_string() };
    chain::append(&db, MADE, &ended).unwrap();
    drop(db);
    let event = Event::HomeRestored { archive: "ab".into(), made: "then".into() };
    settle_past(path, (key, source), &[], (MADE, &event)).unwrap();
    let (db, _) = migrate::open(path, &key.id(), source).unwrap();
    for (id, ended) in [(1, true), (2, true), (3, false)] {
        let id = GrantId::from_bytes([id; 5]);
        assert_eq!(standing::grant_ended(&db, &id).unwrap(), ended, "{id}");
    }
    let twice = "SELECT count(*) FROM audit WHERE event LIKE '%grant_ended%'";
    let ends: u32 = db.query_row(twice, [], |row| row.get(0)).unwrap();
    assert_eq!(ends, 2, "each once");
}
