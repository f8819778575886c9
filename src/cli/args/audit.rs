//! The arguments of `audit`.

use std::{path::PathBuf, time::Duration};

use clap::Subcommand;

use crate::base::{Timestamp, limits};

/// Since when: a time, or so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// This time.
    At(Timestamp),
    /// So long before now.
    Ago(Duration),
}

impl Since {
    /// As a time.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.minus(ago),
        }
    }
}

/// What stays in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// What is younger.
    For(Duration),
    /// So many records.
    Records(u64),
}

/// `90m`, `2h` or `7d`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return None,
    };
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

fn since(text: &str) -> Result<Since, String> {
    if let Some(ago) = duration(text) {
        return Ok(Since::Ago(ago));
    }
    let day = format!("{text}T00:00:00Z");
    let whole = if text.len() == "2026-01-31".len() { day.as_str() } else { text };
    let read = whole.parse::<jiff::Timestamp>().ok();
    let ms = read.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    let wrong = "write a time such as 2026-01-31T08:00:00Z, a day such as 2026-01-31 (from its \
                 beginning in UTC), or how long ago: 90m, 2h or 7d";
    ms.map(|ms| Since::At(Timestamp::from_ms(ms))).ok_or_else(|| wrong.to_owned())
}

fn kept(text: &str) -> Result<Kept, String> {
    let records = || text.parse().ok().map(Kept::Records);
    let wrong = "write how long, such as 90d or 12h, or how many records";
    duration(text).map(Kept::For).or_else(records).ok_or_else(|| wrong.to_owned())
}

fn kept_by_default() -> String {
    format!("{}d", limits::AUDIT_KEPT.as_secs() / (24 * 60 * 60))
}

/// Of `audit`.
#[derive(Clone, Debug, Subcommand)]
pub enum AuditCommand {
    /// Show records, oldest first
    #[command(after_help = "Examples:\n  countersign audit show --after 100 --limit 20\n  \
        countersign audit show --peer bob --since 2h --kind sent --kind arrived")]
    Show {
        /// Only records after this number
        #[arg(long, value_name = "N", default_value_t = 0)]
        after: u64,
        /// At most this many, up to 1000
        #[arg(long, value_name = "N", default_value_t = 100,
            value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Only about this peer
        #[arg(long, value_name = "NAME")]
        peer: Option<String>,
        /// Only since then: a time, a day, or 90m, 2h or 7d for how long ago
        #[arg(long, value_name = "WHEN", value_parser = since)]
        since: Option<Since>,
        /// Only events of this kind, by its name in the records; may be repeated
        #[arg(long, value_name = "KIND")]
        kind: Vec<String>,
    },
    /// Check that no record was changed, added or lost
    #[command(after_help = "Examples:\n  countersign audit verify\n  \
        countersign audit verify --file bob.jsonl")]
    Verify {
        /// Check this export instead, which needs no home
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Write the records into a file that anyone can check, closed to other users
    #[command(after_help = "Examples:\n  countersign audit export all.jsonl\n  \
        countersign audit export bob.jsonl --peer bob --since 7d")]
    Export {
        /// A new file
        file: PathBuf,
        /// Only about this peer
        #[arg(long, value_name = "NAME")]
        peer: Option<String>,
        /// Only since then: a time, a day, or 90m, 2h or 7d for how long ago
        #[arg(long, value_name = "WHEN", value_parser = since)]
        since: Option<Since>,
    },
    /// Lay two sides' logs of one conversation side by side; ends with 1 where they contradict
    #[command(after_help = "Examples:\n  countersign audit compare alice.jsonl bob.jsonl\n  \
        countersign audit compare --peer bob bob.jsonl")]
    Compare {
        /// Two exports, mine and theirs; with --peer, theirs alone
        #[arg(required = true, num_args = 1..=2)]
        files: Vec<PathBuf>,
        /// Take mine from this node: what it has with this peer
        #[arg(long, value_name = "NAME")]
        peer: Option<String>,
    },
    /// Move old records into a file beside the database; the chain stays whole
    #[command(after_help = "Examples:\n  countersign audit rotate\n  \
        countersign audit rotate --keep 100000")]
    Rotate {
        /// What stays in the database: how long (12h, 90d), or how many records
        #[arg(long, value_name = "WHAT", default_value_t = kept_by_default())]
        keep: String,
    },
    /// Say that you have looked at what a peer disputes of this log, or at what is wrong with its own
    #[command(after_help = "Example:\n  countersign audit accept bob")]
    Accept {
        /// The peer's name or id
        peer: String,
    },
}

impl Kept {
    /// Reads it.
    ///
    /// # Errors
    /// When it is neither a duration nor a number.
    pub fn parse(text: &str) -> Result<Self, String> {
        kept(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_three_ways_and_nothing_else_is_one() {
        let at = |ms| Ok(Since::At(Timestamp::from_ms(ms)));
        assert_eq!(since("1970-01-02T00:00:01Z"), at(86_401_000));
        assert_eq!(since("1970-01-02T01:00:01+01:00"), at(86_401_000));
        assert_eq!(since("1970-01-02"), at(86_400_000));
        assert_eq!(since("2h"), Ok(Since::Ago(Duration::from_hours(2))));
        assert_eq!(since("7d"), Ok(Since::Ago(Duration::from_hours(168))));
        assert_eq!(since("90m"), Ok(Since::Ago(Duration::from_mins(90))));
        for wrong in ["", "d", "-1d", "2 h", "7w", "yesterday", "1969-01-01", "99999999999999999d"]
        {
            assert!(since(wrong).is_err(), "{wrong}");
        }
        let now = Timestamp::from_ms(10_000_000);
        assert_eq!(Since::Ago(Duration::from_hours(1)).at(now).ms(), 6_400_000);
    }

    #[test]
    fn what_is_kept_is_a_time_or_a_number() {
        assert_eq!(kept("90d"), Ok(Kept::For(limits::AUDIT_KEPT)));
        assert_eq!(kept("5000"), Ok(Kept::Records(5000)));
        assert!(kept("-5").is_err() && kept("all").is_err());
        assert_eq!(kept_by_default(), "90d");
    }
}
