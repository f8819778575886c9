//! Whether our chain has a record, wherever it is now: in the database, or in the file that it was moved
//! into.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{StoreError, anchors, record, rotate};
use crate::{
    audit::{Head, Record, check_alone, lines::LINE_BYTES_MAX},
    base::Digest,
};

/// Whether the chain has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// It has.
    Yes,
    /// It has another one of this number, or none.
    No,
    /// It was moved into a file that is not there, or cannot be read.
    Unknown,
}

impl Holding {
    fn of(found: Option<Digest>, head: &Head) -> Self {
        if found == Some(head.hash) { Self::Yes } else { Self::No }
    }
}

/// Whether our chain has this head. Of what was moved, its file says so: one record is read there, not
/// all of it, so this is quick; whether the file is whole is for `audit verify` to say.
///
/// # Errors
/// When the database fails.
pub fn holds(db: &Connection, head: &Head) -> Result<Holding, StoreError> {
    // What stays of moved records is here too.
    if let Some(record) = record(db, head.seq)? {
        return Ok(Holding::of(Some(record.hash), head));
    }
    let anchors = anchors(db)?;
    let mut moved = anchors.iter().map(|anchor| anchor.moved);
    let Some(moved) = moved.find(|moved| moved.last.seq >= head.seq) else {
        return Ok(Holding::of(None, head));
    };
    if moved.last.seq == head.seq {
        return Ok(Holding::of(Some(moved.last.hash), head));
    }
    let Some(database) = db.path().filter(|path| !path.is_empty()) else {
        return Ok(Holding::Unknown);
    };
    let name = rotate::file_name(moved.first, moved.last.seq);
    let path: PathBuf = Path::new(database).with_file_name(name);
    Ok(match find(&path, head.seq) {
        Ok(found) => Holding::of(found.map(|record| record.hash), head),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "moved records cannot be looked at");
            Holding::Unknown
        }
    })
}

/// The record of this number in a file whose records rise, by halving.
fn find(path: &Path, seq: u64) -> io::Result<Option<Record>> {
    let file = File::open(path)?;
    let (mut low, mut high) = (0, file.metadata()?.len());
    let mut lines = BufReader::new(file);
    // Each step makes what is left shorter, so this ends.
    while low < high {
        let middle = low + (high - low) / 2;
        let (start, line) = line_from(&mut lines, middle)?;
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let found: Option<Record> = serde_json::from_slice(&line).ok();
        match found {
            Some(record) if record.seq == seq => {
                return Ok(check_alone(&record).is_ok().then_some(record));
            }
            Some(record) if record.seq < seq => low = start.saturating_add(length),
            // The first line is no record, and is before all of them.
            None if start == 0 => low = length.max(1),
            Some(_) | None => high = middle,
        }
    }
    Ok(None)
}

/// The first line that begins at this place or behind it, and where it begins.
fn line_from(lines: &mut BufReader<File>, place: u64) -> io::Result<(u64, Vec<u8>)> {
    let most = u64::try_from(LINE_BYTES_MAX + 2).unwrap_or(u64::MAX);
    let mut rest = Vec::new();
    let mut start = 0;
    if let Some(before) = place.checked_sub(1) {
        lines.seek(SeekFrom::Start(before))?;
        lines.by_ref().take(most).read_until(b'\n', &mut rest)?;
        start = before.saturating_add(u64::try_from(rest.len()).unwrap_or(u64::MAX));
        rest.clear();
    } else {
        lines.seek(SeekFrom::Start(0))?;
    }
    lines.by_ref().take(most).read_until(b'\n', &mut rest)?;
    Ok((start, rest))
}
