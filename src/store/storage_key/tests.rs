use std::sync::Mutex;

use super::*;

const OWNER: PeerId = PeerId::from_bytes([1; 32]);

struct Case {
    folder: tempfile::TempDir,
    ring: Arc<CredentialStore>,
}

impl Case {
    fn new() -> Self {
        let ring = keyring_core::mock::Store::new().unwrap();
        Self { folder: tempfile::tempdir().unwrap(), ring }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("countersign.db")
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("store.key")
    }

    /// A desktop with this keyring.
    fn desktop(&self, wanted: Option<KeyPlace>) -> KeySource {
        let ring = Arc::clone(&self.ring);
        let keyring = Keyring(Arc::new(move || Ok(Arc::clone(&ring))));
        KeySource { wanted, keyring, ..KeySource::file(self.file()) }
    }

    /// The same home where no keyring answers.
    fn headless(&self, wanted: Option<KeyPlace>) -> KeySource {
        KeySource { wanted, ..KeySource::file(self.file()) }
    }

    fn open(&self, source: &KeySource) -> Result<Connection, String> {
        migrate::open(&self.path(), &OWNER, source).map(|(db, _)| db).map_err(|e| e.to_string())
    }

    /// Writes a value under the key.
    fn keep(&self, source: &KeySource) {
        crate::store::known::key_or(&self.open(source).unwrap(), [7; 32]).unwrap();
    }

    fn assert_kept(&self, source: &KeySource) {
        let key = crate::store::known::key(&self.open(source).unwrap()).unwrap();
        assert_eq!(key.unwrap().expose_secret(), &[7; 32]);
    }
}

#[test]
fn a_new_home_takes_the_keyring_where_one_answers_and_remembers_that() {
    let case = Case::new();
    case.keep(&case.desktop(None));
    assert!(!case.file().exists());
    assert_eq!(place(&case.path()).unwrap(), Some(KeyPlace::Keyring));
    case.assert_kept(&case.desktop(None));
    case.assert_kept(&case.desktop(Some(KeyPlace::File)));

    // Where it does not answer, no other key is made, and nothing is lost.
    for wanted in [None, Some(KeyPlace::File), Some(KeyPlace::Keyring)] {
        let refused = case.open(&case.headless(wanted)).unwrap_err();
        assert!(refused.contains("unlock it") && refused.contains("storage key --to"), "{refused}");
    }
    let other = Case { folder: tempfile::tempdir().unwrap(), ..Case::new() };
    let empty = KeySource { keyring: other.desktop(None).keyring, ..case.desktop(None) };
    let refused = case.open(&empty).unwrap_err();
    assert!(refused.contains("shows no key of this home's messages"), "{refused}");
    assert!(!case.file().exists());
    case.assert_kept(&case.desktop(None));
}

#[test]
fn a_new_home_without_a_keyring_keeps_its_key_in_a_closed_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let case = Case::new();
    case.keep(&case.headless(None));
    let mode = fs::metadata(case.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(place(&case.path()).unwrap(), Some(KeyPlace::File));
    // A keyring that comes later changes nothing.
    case.assert_kept(&case.desktop(None));
    case.assert_kept(&case.desktop(Some(KeyPlace::Keyring)));

    let key = fs::read(case.file()).unwrap();
    fs::remove_file(case.file()).unwrap();
    let refused = case.open(&case.desktop(None)).unwrap_err();
    assert!(
        refused.contains("store.key is missing") && refused.contains("put it back"),
        "{refused}"
    );
    assert!(!case.file().exists(), "no new key");
    fs::write(case.file(), [9; 32]).unwrap();
    fs::set_permissions(case.file(), fs::Permissions::from_mode(0o600)).unwrap();
    let refused = case.open(&case.headless(None)).unwrap_err();
    assert!(refused.contains("is not the one of this home's messages"), "{refused}");
    fs::write(case.file(), [9; 31]).unwrap();
    assert!(case.open(&case.headless(None)).unwrap_err().contains("31 bytes"));
    fs::write(case.file(), key).unwrap();
    case.assert_kept(&case.headless(None));
    fs::set_permissions(case.file(), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(case.open(&case.headless(None)).unwrap_err().contains("chmod 600"));
}

#[test]
fn a_keyring_that_waits_for_a_person_holds_up_a_new_home_for_a_moment_only() {
    let case = Case::new();
    let (_hold, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let connect = move || {
        held.lock().unwrap().recv().ok();
        Err(keyring_core::Error::NoDefaultStore)
    };
    let source = KeySource { keyring: Keyring(Arc::new(connect)), ..case.headless(None) };
    case.keep(&source);
    assert_eq!(place(&case.path()).unwrap(), Some(KeyPlace::File));
}

#[test]
fn a_keyring_that_was_asked_for_and_does_not_answer_is_an_error_and_nothing_is_made() {
    let case = Case::new();
    let refused = case.open(&case.headless(Some(KeyPlace::Keyring))).unwrap_err();
    assert!(refused.contains("key = \"file\" under [storage]"), "{refused}");
    assert!(!case.file().exists());
    assert_eq!(place(&case.path()).unwrap(), None);
    case.keep(&case.desktop(Some(KeyPlace::Keyring)));
}

#[test]
fn a_key_of_a_start_that_was_cut_short_is_used_and_never_replaced() {
    let case = Case::new();
    keys::write_new(&case.file(), &[5; 32]).unwrap();
    case.keep(&case.desktop(None));
    assert_eq!(place(&case.path()).unwrap(), Some(KeyPlace::File));
    assert_eq!(fs::read(case.file()).unwrap(), [5; 32]);

    let case = Case::new();
    let keyring = case.desktop(None).keyring;
    keyring.put(&OWNER, &Secret::new([6; 32]), limits::KEYRING_WAIT).unwrap();
    case.keep(&case.desktop(None));
    let kept = keyring.get(&OWNER, limits::KEYRING_WAIT).unwrap().unwrap();
    assert_eq!(kept.expose_secret(), &[6; 32]);
}

#[test]
fn a_key_moves_both_ways_and_leaves_its_old_place() {
    let case = Case::new();
    let desktop = case.desktop(None);
    case.keep(&desktop);
    let to = |place| move_key(&case.path(), &OWNER, &desktop, place).map_err(|e| e.to_string());
    assert_eq!(to(KeyPlace::Keyring), Ok(false));
    assert_eq!(to(KeyPlace::File), Ok(true));
    assert_eq!(place(&case.path()).unwrap(), Some(KeyPlace::File));
    assert!(desktop.keyring.get(&OWNER, limits::KEYRING_WAIT).unwrap().is_none());
    case.assert_kept(&case.headless(None));

    let refused = move_key(&case.path(), &OWNER, &case.headless(None), KeyPlace::Keyring);
    assert!(refused.unwrap_err().to_string().contains("nothing was changed"));
    case.assert_kept(&case.headless(None));

    assert_eq!(to(KeyPlace::Keyring), Ok(true));
    assert!(!case.file().exists());
    case.assert_kept(&desktop);
    // Another key in the way is not written over.
    keys::write_new(&case.file(), &[5; 32]).unwrap();
    assert!(to(KeyPlace::File).unwrap_err().contains("is there already"));
    case.assert_kept(&desktop);
}

#[test]
fn a_database_that_lost_where_its_key_is_gets_no_other_one() {
    let case = Case::new();
    case.keep(&case.headless(None));
    let db = Connection::open(case.path()).unwrap();
    db.execute("DELETE FROM meta WHERE key = 'storage_key'", []).unwrap();
    drop(db);
    fs::rename(case.file(), case.folder.path().join("aside")).unwrap();
    assert!(case.open(&case.desktop(None)).unwrap_err().contains("does not say where"));
    assert!(!case.file().exists());
}

#[test]
fn a_key_that_was_swapped_while_the_node_runs_goes_into_no_archive() {
    let case = Case::new();
    let source = case.headless(None);
    case.keep(&source);
    let right = read(&case.path(), &OWNER, &source).unwrap();
    assert_eq!(fs::read(case.file()).unwrap(), right.expose_secret());
    fs::remove_file(case.file()).unwrap();
    keys::write_new(&case.file(), &[5; 32]).unwrap();
    let refused = read(&case.path(), &OWNER, &source).map(drop).unwrap_err().to_string();
    assert!(refused.contains("not the one of this home's messages"), "{refused}");
}
