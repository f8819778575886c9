//! Whether a home has moved to another host: `moved.json`, which `countersign move export` writes and
//! `countersign move undo` takes away. A node does not start beside it.

use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::config::Home;
use crate::{
    base::Timestamp,
    store::{
        archive::{self, ArchiveError},
        keys::{self, KeyFileError},
    },
};

/// What the store remembers of the host, and not of the node: under these names.
pub const OF_ONE_HOST: [&str; 2] = [super::page_port::PAGE_PORT, super::start::UDP_PORT];

/// What to do about a home that has moved.
pub const MOVED_NEXT: &str =
    "use it there, or let it start here again, in a terminal: countersign move undo";

/// When a home has moved, and into what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// When.
    pub at: Timestamp,
    /// The archive's SHA-256, in hexadecimal digits.
    pub archive: String,
}

/// What says that a home has moved, in words; `None` where it has not. A file that cannot be read
/// says so too.
#[must_use]
pub fn says(home: &Home) -> Option<String> {
    let here = home.path().display();
    let read = match fs::read(home.moved_file()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => Err(error.to_string()),
        Ok(bytes) => serde_json::from_slice::<Moved>(&bytes).map_err(|error| error.to_string()),
    };
    Some(match read {
        Ok(Moved { at, archive }) => {
            // A file that somebody wrote: its words are not printed as they are.
            let digits = archive.chars().filter(char::is_ascii_hexdigit).take(64);
            let archive: String = digits.collect();
            format!("{here} was moved to another host on {at}, in the archive of SHA-256 {archive}")
        }
        Err(_) => format!("{here} was moved to another host, and its moved.json cannot be read"),
    })
}

/// Marks a home as moved.
///
/// # Errors
/// When it is marked already, or the system says no.
pub fn mark(home: &Home, moved: &Moved) -> Result<(), KeyFileError> {
    // Our own struct of plain values always serialises.
    keys::write_new(&home.moved_file(), &serde_json::to_vec_pretty(moved).unwrap_or_default())
}

/// Takes the mark away.
///
/// # Errors
/// When the system says no.
pub fn unmark(home: &Home) -> Result<(), ArchiveError> {
    let path = home.moved_file();
    fs::remove_file(&path).map_err(|error| ArchiveError::Io { path: path.clone(), error })?;
    archive::sync_folder(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_moved_until_the_mark_is_gone_whatever_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path()).unwrap();
        assert_eq!(says(&home), None);
        let moved = Moved { at: Timestamp::from_ms(0), archive: "ab".repeat(32) };
        mark(&home, &moved).unwrap();
        let said = says(&home).unwrap();
        assert!(
            said.contains("1970-01-01T00:00:00.000Z") && said.contains(&moved.archive),
            "{said}"
        );
        assert!(mark(&home, &moved).is_err(), "the first mark stays");
        unmark(&home).unwrap();
        assert_eq!(says(&home), None);
        let odd = Moved { archive: "\u{1b}[2Jab".into(), ..moved };
        mark(&home, &odd).unwrap();
        let said = says(&home).unwrap();
        assert!(said.ends_with("SHA-256 2ab"), "{said:?}");
        fs::write(home.moved_file(), "not ours").unwrap();
        assert!(says(&home).unwrap().contains("cannot be read"));
    }
}
