//! Homes that were set up once, as a person does it, and are lent to one test at a time: each test
//! gets a copy. Two tests never have the same keys at the same time, and most of them wait for no
//! passphrase to be stretched that they do not ask about.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The files of a home, by their places in it, with their modes.
type Files = Vec<(PathBuf, u32, Vec<u8>)>;

struct Set {
    kind: &'static str,
    homes: Vec<Files>,
}

static SHELF: Mutex<Vec<Set>> = Mutex::new(Vec::new());

/// A set that is one test's until all its homes are gone.
pub(crate) struct Lent(Option<Set>);

impl Lent {
    /// A set of this kind; `make` is asked for the folders of one where all are lent.
    pub(crate) fn of(kind: &'static str, make: impl FnOnce() -> Vec<Files>) -> Arc<Self> {
        let free = {
            let mut shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
            let at = shelf.iter().position(|set| set.kind == kind);
            at.map(|at| shelf.swap_remove(at))
        };
        Arc::new(Self(Some(free.unwrap_or_else(|| Set { kind, homes: make() }))))
    }

    /// Writes one of its homes into a folder that is not there yet.
    pub(crate) fn unpack(&self, nth: usize, folder: &Path) {
        fs::DirBuilder::new().mode(0o700).create(folder).unwrap();
        for (name, mode, bytes) in &self.0.as_ref().unwrap().homes[nth] {
            let file = folder.join(name);
            fs::write(&file, bytes).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        SHELF.lock().unwrap_or_else(PoisonError::into_inner).extend(self.0.take());
    }
}

/// What is in the folder of a home whose node does not run.
pub(crate) fn files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| {
        let kind = entry.file_type().unwrap();
        assert!(!kind.is_dir(), "{} has to be packed too", entry.path().display());
        kind.is_file()
    });
    let file = |entry: fs::DirEntry| {
        let mode = entry.metadata().unwrap().permissions().mode();
        (entry.file_name().into(), mode & 0o777, fs::read(entry.path()).unwrap())
    };
    files.map(file).collect()
}

#[test]
fn a_set_is_lent_to_one_at_a_time_and_is_there_for_the_next() {
    let made = |byte| move || vec![vec![(PathBuf::from("key"), 0o600, vec![byte])]];
    let held = |lent: &Lent| {
        let folder = tempfile::tempdir().unwrap();
        lent.unpack(0, &folder.path().join("h"));
        fs::read(folder.path().join("h/key")).unwrap()
    };
    let (first, second) = (Lent::of("bytes", made(1)), Lent::of("bytes", made(2)));
    let also_first = Arc::clone(&first);
    assert_eq!((held(&first), held(&second)), (vec![1], vec![2]));
    drop(first);
    assert_eq!(held(&Lent::of("bytes", made(3))), [3], "a home of the first is still there");
    drop(also_first);
    let next = [Lent::of("bytes", made(4)), Lent::of("bytes", made(4))].map(|lent| held(&lent));
    assert!(next.contains(&vec![1]) && next.contains(&vec![3]), "{next:?}");
}
