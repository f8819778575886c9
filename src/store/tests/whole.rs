//! The mark of an orderly end, and the check where there is none.

use std::time::Duration;

use super::*;

const KEY: &str = "closed";

fn marked(folder: &Folder) -> bool {
    migrate::meta(&folder.raw(), KEY).unwrap().is_some()
}

/// Waits until the check is over.
fn checked(store: &Store) {
    let begun = tokio::time::Instant::now();
    while store.is_checking() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the check does not end");
        std::thread::yield_now();
    }
}

/// As a crash leaves it: the file without what its writer does at the end.
fn crashed(folder: &Folder) -> Folder {
    let copy = Folder::new();
    std::fs::copy(folder.path(), copy.path()).unwrap();
    std::fs::copy(folder.0.path().join("store.key"), copy.0.path().join("store.key")).unwrap();
    migrate::forget_meta(&copy.raw(), KEY).unwrap();
    copy
}

#[tokio::test]
async fn after_an_orderly_end_nothing_is_checked_and_while_it_is_open_there_is_no_mark() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    checked(&store);
    store.fold().await;
    assert!(marked(&folder));
    // A write after the end takes the mark away, in time.
    store.write(|db| migrate::set_meta(db, "late", "x")).await.unwrap().unwrap();
    assert!(!marked(&folder));
    store.fold().await;
    drop(store);
    let store = folder.open().unwrap();
    assert!(!store.is_checking());
    assert!(!marked(&folder));
    assert!(store.damage().is_none());
}

#[tokio::test]
async fn after_a_crash_the_file_is_checked_and_damage_is_told_once() {
    let folder = Folder::new();
    let store = folder.open().unwrap();
    let filled = store.write(|db| {
        super::talks::fill(db, 2000, 3, 3);
        Ok(())
    });
    filled.await.unwrap().unwrap();
    store.fold().await;
    let page: i64 = folder
        .raw()
        .query_row("SELECT rootpage FROM sqlite_master WHERE name = 'messages_by_id'", [], |row| {
            row.get(0)
        })
        .unwrap();
    let whole = crashed(&folder);
    let store = whole.open().unwrap();
    checked(&store);
    assert!(store.damage().is_none());
    store.fold().await;
    assert!(marked(&whole), "it was read to its end");

    let broken = crashed(&folder);
    let mut bytes = std::fs::read(broken.path()).unwrap();
    let at = usize::try_from(page - 1).unwrap() * 4096;
    bytes[at + 8..at + 4096].fill(0x5a);
    std::fs::write(broken.path(), bytes).unwrap();
    let store = broken.open().unwrap();
    checked(&store);
    let damage = store.damage().expect("it is found");
    assert!(matches!(damage, StoreError::Damaged { .. }), "{damage}");
    assert!(store.damage().is_none(), "once");
    store.fold().await;
    assert!(!marked(&broken), "the next start looks again");
}
