//! Audit logs as files: read line by line, and checked.

use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use crate::{
    audit::{
        Head, Record,
        lines::{self, Checked, FileError},
    },
    base::{PeerId, Timestamp},
    cli::print::Progress,
    node::api::{ApiError, AuditMoved, ErrorKind, FirstBad},
};

/// What is wrong with a file.
#[derive(Debug)]
pub(super) struct Wrong {
    /// In words.
    pub(super) text: String,
    /// Where, if it is a record.
    pub(super) first: Option<FirstBad>,
    /// Records before it that are right.
    pub(super) records: u64,
}

impl Wrong {
    fn of(error: &FileError, records: u64) -> Self {
        let first = match error {
            FileError::Chain(error) => Some(FirstBad {
                seq: error.seq(),
                at: error.at().map(Timestamp::rfc3339),
                contradicts: error.against(),
            }),
            FileError::Line { .. }
            | FileError::Version(_)
            | FileError::CutShort(_)
            | FileError::Count { .. } => None,
        };
        Self { text: error.to_string(), first, records }
    }
}

/// Reads and checks a file; `each` sees every record with how many came so far.
///
/// # Errors
/// A file that cannot be read. What is wrong in it is the inner result.
pub(super) fn check(
    path: &Path,
    each: impl FnMut(u64, &Record),
) -> anyhow::Result<Result<Checked, Wrong>> {
    let cannot = |error: io::Error| {
        let message = format!("{}: {error}", path.display());
        ApiError::new(ErrorKind::Failed, message, "name a file that audit export has made")
    };
    let mut lines = BufReader::new(File::open(path).map_err(cannot)?);
    let (records, checked) = lines::read(&mut lines, each).map_err(cannot)?;
    Ok(checked.map_err(|error| Wrong::of(&error, records)))
}

/// Checks the file of records that were moved. Gives how many are in it; `None` where it is not there.
pub(super) fn segment(
    home: &Path,
    node: &PeerId,
    (after, part): (Head, &AuditMoved),
    bar: &Progress,
) -> Result<Option<u64>, Wrong> {
    let path = home.join(&part.file);
    if !path.exists() {
        return Ok(None);
    }
    let named = |wrong: Wrong| Wrong { text: format!("{}: {}", part.file, wrong.text), ..wrong };
    let plain = |text: String| named(Wrong { text, first: None, records: 0 });
    let checked = check(&path, |_, record| bar.set(record.seq))
        .map_err(|error| plain(error.to_string()))?
        .map_err(named)?;
    let fits = checked.top.node == *node
        && checked.top.whole
        && checked.top.after == after
        && checked.end.head == part.last;
    if fits {
        Ok(Some(checked.end.records))
    } else {
        let text = "it is another log than the one that was moved there".to_owned();
        let (seq, against) = (part.first, "the anchor that was signed when it was moved");
        let first = FirstBad { seq, at: None, contradicts: Some(against.to_owned()) };
        Err(named(Wrong { text, first: Some(first), records: 0 }))
    }
}
