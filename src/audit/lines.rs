//! The chain as a file: JSON lines that can be checked anywhere, without a home.
//!
//! The first line is a [`Top`], then come [`Record`]s, one a line, and the last line is an [`End`]. A
//! file without its last line was cut short. `AUDIT.md` of the store has the format for other programs.

use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};

use super::{ChainError, Fault, Head, Record, check_alone, check_checkpoint, follow};
use crate::base::{PeerId, Timestamp};

/// The version of the format.
pub const VERSION: u32 = 1;

/// The longest line, bytes: a record's event is far shorter.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// The first line: whose log this is, and what of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Top {
    /// [`VERSION`].
    pub countersign_audit: u32,
    /// Whose log: the node whose key signs the last line.
    pub node: PeerId,
    /// What the first record of a whole log follows: the head of an empty chain, or of a part before.
    pub after: Head,
    /// Every record from there to the end is in the file. Otherwise some were chosen, and each is
    /// checked by itself.
    pub whole: bool,
    /// Only records about this peer were chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
    /// Only records of this time or later were chosen, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// The head of the chain when the file was made; of a part that was moved, its last record.
    pub head: Head,
    /// The node's signature of it, 64 bytes in hexadecimal digits.
    pub signature: String,
    /// How many records are in the file.
    pub records: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Record(Record),
    End(End),
}

/// A line of the file. Our own structs of plain values always serialise.
#[must_use]
pub fn line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// A line that is none of ours.
    #[error("line {line} is no line of an audit log: {problem}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is wrong, without the line's own words.
        problem: &'static str,
    },
    /// A version that nobody knows here.
    #[error("the file is of version {0}, and this countersign knows version 1; update countersign")]
    Version(u32),
    /// The chain is broken.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The last line is missing.
    #[error("the file ends after record {0} without its last line: it was cut short")]
    CutShort(u64),
    /// The last line counts other records than there are.
    #[error("the last line says {said} records, and {found} are in the file")]
    Count {
        /// What the last line says.
        said: u64,
        /// How many there are.
        found: u64,
    },
}

/// Checks a file line by line, and holds one record at a time.
#[derive(Debug, Default)]
pub struct Checker {
    top: Option<Top>,
    head: Option<Head>,
    end: Option<End>,
    lines: u64,
    records: u64,
}

/// A file that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its first line.
    pub top: Top,
    /// Its last line, whose signature is the node's.
    pub end: End,
}

impl Checker {
    /// Takes the next line, without its end. Gives the record that it holds.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn take(&mut self, text: &str) -> Result<Option<Record>, FileError> {
        self.lines = self.lines.saturating_add(1);
        let wrong = |problem| FileError::Line { line: self.lines, problem };
        if text.len() > LINE_BYTES_MAX {
            return Err(wrong("it is longer than 65536 bytes"));
        }
        if self.end.is_some() {
            return Err(wrong("it stands after the last line"));
        }
        let Some(top) = &self.top else {
            let top: Top =
                serde_json::from_str(text).map_err(|_| wrong("it is not the first line of one"))?;
            if top.countersign_audit != VERSION {
                return Err(FileError::Version(top.countersign_audit));
            }
            self.head = top.whole.then_some(top.after);
            self.top = Some(top);
            return Ok(None);
        };
        let found = serde_json::from_str(text);
        match found.map_err(|_| wrong("it is neither a record nor the last line"))? {
            Line::Record(record) => {
                self.head = Some(next(top, self.head.as_ref(), &record)?);
                self.records = self.records.saturating_add(1);
                Ok(Some(record))
            }
            Line::End(end) => {
                self.ends(&end)?;
                self.end = Some(end);
                Ok(None)
            }
        }
    }

    fn ends(&self, end: &End) -> Result<(), FileError> {
        let Some(top) = &self.top else { return Err(FileError::CutShort(0)) };
        if end.records != self.records {
            return Err(FileError::Count { said: end.records, found: self.records });
        }
        let signature = data_encoding::HEXLOWER.decode(end.signature.as_bytes());
        check_checkpoint(&end.head, &top.node, &signature.unwrap_or_default())?;
        let last = self.head.unwrap_or(top.after);
        if last.seq > end.head.seq || (top.whole && last.seq < end.head.seq) {
            return Err(ChainError::Cut { last: last.seq, signed: end.head.seq }.into());
        }
        if last.seq == end.head.seq && last.hash != end.head.hash {
            return Err(ChainError::Checkpoint(end.head.seq).into());
        }
        Ok(())
    }

    /// How many records were taken.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// The end of the file.
    ///
    /// # Errors
    /// When its last line did not come.
    pub fn finish(self) -> Result<Checked, FileError> {
        let cut = FileError::CutShort(self.head.map_or(0, |head| head.seq));
        let (Some(top), Some(end)) = (self.top, self.end) else { return Err(cut) };
        Ok(Checked { top, end })
    }
}

/// Reads and checks a file; `each` sees every record with how many came so far. Gives how many records
/// were right, and what is wrong with the rest.
///
/// # Errors
/// When it cannot be read.
pub fn read(
    lines: &mut impl BufRead,
    mut each: impl FnMut(u64, &Record),
) -> io::Result<(u64, Result<Checked, FileError>)> {
    let mut checker = Checker::default();
    let mut bytes = Vec::new();
    // One more byte than a line may have, so that a longer one shows.
    let most = u64::try_from(LINE_BYTES_MAX + 2).unwrap_or(u64::MAX);
    loop {
        bytes.clear();
        lines.by_ref().take(most).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok((checker.records(), checker.finish()));
        }
        let text = String::from_utf8_lossy(&bytes);
        match checker.take(text.trim_end_matches('\n')) {
            Ok(Some(record)) => each(checker.records(), &record),
            Ok(None) => {}
            Err(error) => return Ok((checker.records(), Err(error))),
        }
    }
}

/// The head after a record, which follows the one before it where both are there.
fn next(top: &Top, head: Option<&Head>, record: &Record) -> Result<Head, ChainError> {
    match head {
        Some(head) if top.whole || record.seq <= head.seq.saturating_add(1) => follow(head, record),
        Some(_) | None => {
            check_alone(record)?;
            if record.seq == 0 {
                let fault = Fault::Missing(0);
                return Err(ChainError::Broken { seq: 1, at: None, fault });
            }
            Ok(Head::of(record))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::Event, base::Secret, identity::IdentityKey};

    fn key() -> IdentityKey {
        IdentityKey::from_seed(&Secret::new([1; 32]))
    }

    fn records() -> Vec<Record> {
        let mut head = Head::EMPTY;
        let next = |n| {
            let record = head.next(Timestamp::from_ms(n), &Event::refused(format!("{n}"), None));
            head = Head::of(&record);
            record
        };
        (1..=6).map(next).collect()
    }

    fn file(whole: bool, records: &[Record], head: Head) -> Vec<String> {
        let node = key().id();
        let after = Head::EMPTY;
        let top = Top { countersign_audit: 1, node, after, whole, peer: None, since: None };
        let signature = data_encoding::HEXLOWER.encode(&head.sign(&key()));
        let count = u64::try_from(records.len()).unwrap();
        let end = End { head, signature, records: count };
        let lines = records.iter().map(|record| line(record).trim_end().to_owned());
        [line(&top).trim_end().to_owned()]
            .into_iter()
            .chain(lines)
            .chain([line(&end).trim_end().to_owned()])
            .collect()
    }

    fn check(lines: &[String]) -> Result<Checked, FileError> {
        let mut checker = Checker::default();
        for line in lines {
            checker.take(line)?;
        }
        checker.finish()
    }

    #[test]
    fn a_whole_file_is_checked_to_its_signed_end() {
        let all = records();
        let head = Head::of(&all[5]);
        let good = file(true, &all, head);
        assert_eq!(check(&good).unwrap().end.head, head);
        for missing in 1..good.len() {
            let mut lines = good.clone();
            lines.remove(missing);
            assert!(check(&lines).is_err(), "without line {missing}");
        }
        let mut changed = good.clone();
        changed[3] = changed[3].replace("\\\"3\\\"", "\\\"4\\\"");
        assert_ne!(changed, good);
        let error = check(&changed).unwrap_err();
        assert!(error.to_string().contains("record 3"), "{error}");
        let shorter = file(true, &all[..5], head);
        assert!(matches!(check(&shorter), Err(FileError::Chain(ChainError::Cut { .. }))));
        let other = IdentityKey::from_seed(&Secret::new([2; 32]));
        let signature = data_encoding::HEXLOWER.encode(&head.sign(&other));
        let mut lines = good.clone();
        lines[7] = line(&End { head, signature, records: 6 }).trim_end().to_owned();
        assert_eq!(check(&lines), Err(ChainError::Checkpoint(6).into()));
        let mut after = good.clone();
        after.push(good[1].clone());
        assert!(matches!(check(&after), Err(FileError::Line { line: 9, .. })));
        assert_eq!(check(&[]), Err(FileError::CutShort(0)));
        let later = vec![good[0].replace(":1,", ":2,")];
        assert_eq!(check(&later), Err(FileError::Version(2)));
    }

    #[test]
    fn records_that_were_chosen_are_checked_one_by_one_and_in_their_order() {
        let all = records();
        let head = Head::of(&all[5]);
        let some = [all[0].clone(), all[1].clone(), all[3].clone()];
        assert!(check(&file(false, &some, head)).is_ok());
        let twice = [all[1].clone(), all[1].clone()];
        assert!(check(&file(false, &twice, head)).is_err());
        let mut changed = some.clone();
        changed[2].at = Timestamp::from_ms(99);
        assert!(check(&file(false, &changed, head)).is_err());
        let mut replaced = some;
        replaced[1] =
            Head { seq: 1, ..Head::EMPTY }.next(Timestamp::from_ms(2), &Event::MoveUndone);
        assert!(check(&file(false, &replaced, head)).is_err(), "two that are neighbours fit");
    }
}
