//! The summary.

use std::{fmt::Write as _, time::Duration};

use countersign::base::failpoint::Failpoint;

use crate::{
    journal::{Journal, Wrong},
    rounds::{ANY_TIME, Seen},
};

/// The value below which `percent` of all lie.
fn percentile(sorted: &[Duration], percent: usize) -> u128 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).map_or(0, Duration::as_millis)
}

/// The summary of a run that took so long, as a table of markdown.
pub(crate) fn table(took: Duration, seen: &Seen, journal: &Journal) -> String {
    let (promised, shown) = journal.messages();
    let mut text = "| what | figure |\n|---|---|\n".to_owned();
    let mut row = |what: &str, figure: &str| writeln!(text, "| {what} | {figure} |").unwrap();
    row("kills", &format!("{} in {} s", seen.kills, took.as_secs()));
    let at_places: Vec<(&str, usize)> = Failpoint::ALL
        .into_iter()
        .filter_map(|point| seen.counts.get_key_value(point.name()))
        .map(|(name, count)| (*name, *count))
        .collect();
    let places = Failpoint::ALL.len();
    row("places where a node died", &format!("{} of {places}", at_places.len()));
    row("messages acknowledged to their sender", &promised.to_string());
    row("messages shown to their receiver", &shown.to_string());
    let wrongs = [
        ("lost", Wrong::Lost),
        ("doubled", Wrong::Doubled),
        ("unapproved", Wrong::Unapproved),
        ("out of order", Wrong::Disordered),
        ("otherwise wrong", Wrong::Broken),
    ];
    for (name, wrong) in wrongs {
        row(name, &journal.count(wrong).to_string());
    }
    let mut starts = seen.starts.clone();
    starts.sort();
    let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(&starts, percent));
    row("starts that were timed (a debug build)", &starts.len().to_string());
    let start = format!("p50 {p50} ms, p99 {p99} ms, max {max} ms");
    row("from start to the first answer", &start);
    let any = seen.counts.get(ANY_TIME).copied().unwrap_or_default();
    let each = at_places.iter().map(|(name, count)| format!("{name} {count}"));
    let each: Vec<String> = each.chain([format!("{ANY_TIME} {any}")]).collect();
    row("kills at each place", &each.join(", "));
    text
}
