//! The summary, and its line in `RESULTS.md`.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use countersign::{base::failpoint::Failpoint, node::clock};

use crate::{
    journal::{Journal, Wrong},
    rounds::{ANY_TIME, Seen},
};

/// What was done, and for how long.
pub(crate) struct Run<'a> {
    pub(crate) command: String,
    pub(crate) took: Duration,
    pub(crate) seen: &'a Seen,
    pub(crate) journal: &'a Journal,
}

/// The value below which `percent` of all lie.
fn percentile(sorted: &[Duration], percent: usize) -> u128 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).map_or(0, Duration::as_millis)
}

/// The summary as markdown.
pub(crate) fn markdown(run: &Run<'_>) -> String {
    let Run { command, took, seen, journal } = run;
    let mut starts = seen.starts.clone();
    starts.sort();
    let (promised, shown) = journal.messages();
    let date = clock::now().rfc3339();
    let date = date.split('T').next().unwrap_or_default();
    let at_places =
        Failpoint::ALL.into_iter().filter(|point| seen.counts.contains_key(point.name()));
    let mut text = format!("\n## {date}: {} kills in {} s\n\n", seen.kills, took.as_secs());
    writeln!(text, "`{command}` (a debug build)\n").unwrap();
    let wrongs = [
        ("lost", Wrong::Lost),
        ("doubled", Wrong::Doubled),
        ("unapproved", Wrong::Unapproved),
        ("out of order", Wrong::Disordered),
        ("otherwise wrong", Wrong::Broken),
    ];
    writeln!(text, "| what | figure |\n|---|---|").unwrap();
    writeln!(
        text,
        "| places where a node died | {} of {} |",
        at_places.count(),
        Failpoint::ALL.len()
    )
    .unwrap();
    writeln!(text, "| messages acknowledged to their sender | {promised} |").unwrap();
    writeln!(text, "| messages shown to their receiver | {shown} |").unwrap();
    for (name, wrong) in wrongs {
        writeln!(text, "| {name} | {} |", journal.count(wrong)).unwrap();
    }
    let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(&starts, percent));
    writeln!(text, "| starts that were timed | {} |", starts.len()).unwrap();
    writeln!(text, "| from start to the first answer | p50 {p50} ms, p99 {p99} ms, max {max} ms |")
        .unwrap();
    let places = seen.counts.iter().filter(|(name, _)| **name != ANY_TIME);
    let places: Vec<String> = places.map(|(name, count)| format!("{name} {count}")).collect();
    let any = seen.counts.get(ANY_TIME).copied().unwrap_or_default();
    writeln!(text, "\nKills: {any} {ANY_TIME}; {}.", places.join(", ")).unwrap();
    text
}

/// Adds the summary to the results that are kept.
pub(crate) fn append(text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kills/RESULTS.md");
    let before = fs::read_to_string(&path).unwrap_or_else(|_| "# Kills\n".to_owned());
    fs::write(path, before + text).unwrap();
}
