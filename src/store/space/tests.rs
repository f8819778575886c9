//! Files that are whole, and files that are not.

use super::*;
use crate::store::{Store, storage_key::KeySource};

const OWNER: PeerId = PeerId::from_bytes([1; 32]);

fn made() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("countersign.db");
    let source = KeySource::file(folder.path().join("store.key"));
    drop(Store::open(&path, &OWNER, &source).unwrap());
    (folder, path)
}

#[test]
fn a_copy_that_is_empty_cut_short_or_anothers_is_not_taken_for_a_home() {
    let (folder, path) = made();
    let copied = folder.path().join("backup.db");
    copy(&path, &copied).unwrap();
    let size = open_whole(&copied, &OWNER).unwrap().metadata().unwrap().len();
    assert!(!folder.path().join("backup.db-shm").exists(), "nothing stays beside it");
    let other = open_whole(&copied, &PeerId::from_bytes([2; 32])).unwrap_err();
    assert!(matches!(other, StoreError::OtherNode { .. }), "{other:?}");
    let file = fs::OpenOptions::new().write(true).open(&copied).unwrap();
    for cut in [size / 2, 512, 0] {
        file.set_len(cut).unwrap();
        let error = open_whole(&copied, &OWNER).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{cut}: {error:?}");
    }
    let empty = folder.path().join("empty.db");
    Connection::open(&empty).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
    let error = open_whole(&empty, &OWNER).unwrap_err().to_string();
    assert!(error.contains("no home"), "{error}");
}

#[test]
fn nothing_is_written_to_a_temporary_file_after_a_small_database_was_rewritten() {
    let (folder, path) = made();
    let source = KeySource::file(folder.path().join("store.key"));
    let (db, _) = migrate::open(&path, &OWNER, &source).unwrap();
    let kept = |db: &Connection| -> i64 {
        db.pragma_query_value(None, "temp_store", |row| row.get(0)).unwrap()
    };
    assert_eq!(kept(&db), 2, "in memory");
    rewrite_small(&db).unwrap();
    assert_eq!(kept(&db), 2, "in memory");
}
