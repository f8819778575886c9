//! `countersign measure FOLDER`: what the scanner finds and the default policy asks about, on sets
//! of cases with labels. Hidden from help: it is for those who work on the rules.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use super::{Exit, print::Printer};
use crate::{
    base::PeerId,
    policy::{Action, Peer, Policy, Subject, Verdict},
    risk::{self, Finding, Scanner},
};

/// What the speed is measured on.
const CLEAN_BYTES: usize = 4 << 20;
const PIECE_BYTES: usize = 64 << 10;
const RUNS: usize = 5;
/// How many of the slowest are told.
const SLOWEST: usize = 12;

/// A line of a set: other fields are passed over.
#[derive(Deserialize)]
struct Case {
    label: String,
    text: String,
    #[serde(default)]
    id: serde_json::Value,
}

/// What came of the cases of one set that have one label.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Row {
    set: String,
    label: String,
    cases: u64,
    found: u64,
    asked_out: u64,
    asked_in: u64,
}

/// What came of everything.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measured {
    sets: Vec<Row>,
    /// Megabytes (10^6 bytes) a second on clean text: the cases of the label `benign` in which
    /// nothing was found, joined to pieces of 64 KiB. The median of several runs.
    mb_per_s: f64,
    /// How long it took until the rules were ready, milliseconds.
    start_ms: f64,
    rules: Vec<RuleRow>,
}

/// What a rule found, and what it costs.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RuleRow {
    rule: String,
    /// Cases in which it found something.
    cases: u64,
    /// How long it looked at all cases as they are, milliseconds: a rule of `secret`, or a family,
    /// or a step before them.
    ms: Option<f64>,
}

/// Which single cases to tell of.
pub(super) struct Detail {
    /// The set's name.
    set: String,
    /// Those in which something was found, and not those in which nothing was.
    found: bool,
}

/// Runs the command.
///
/// # Errors
/// A folder or a line that cannot be read.
pub(super) fn run(
    out: Printer,
    folder: &Path,
    missed: Option<String>,
    found: Option<String>,
) -> anyhow::Result<Exit> {
    let of = |found| move |set| Detail { set, found };
    let detail = missed.map(of(false)).or(found.map(of(true)));
    let measured = measure(folder, detail.as_ref())?;
    out.data(&measured, |_| table(&measured))?;
    Ok(Exit::Done)
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is time")]
fn instant() -> Instant {
    Instant::now()
}

/// Measures every set of a folder.
///
/// # Errors
/// A folder or a line that cannot be read.
pub(super) fn measure(folder: &Path, detail: Option<&Detail>) -> anyhow::Result<Measured> {
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    let mut rules: BTreeMap<String, u64> = BTreeMap::new();
    let start = instant();
    std::hint::black_box(risk::scan(""));
    let start_ms = start.elapsed().as_secs_f64() * 1e3;
    let mut clean = String::new();
    let scanner = Scanner::standard();
    let mut times: BTreeMap<String, Duration> = BTreeMap::new();
    for (set, path) in sets(folder)? {
        for (number, line) in lines(&path)?.lines().enumerate() {
            let place = || format!("{} line {}", path.display(), number + 1);
            let case: Case = serde_json::from_str(&line?).with_context(place)?;
            let key = (set.clone(), case.label.clone());
            let new = || Row { set: set.clone(), label: case.label.clone(), ..Row::default() };
            let row = rows.entry(key).or_insert_with(new);
            let findings = risk::scan(&case.text);
            let mut last = instant();
            scanner.steps(&case.text, &mut |rule| {
                let now = instant();
                *times.entry(rule.to_owned()).or_default() += now - last;
                last = instant();
            });
            let benign = case.label == "benign" && findings.is_empty();
            if benign && clean.len() < CLEAN_BYTES {
                clean.push_str(&case.text);
                clean.push('\n');
            }
            row.cases += 1;
            row.found += u64::from(!findings.is_empty());
            row.asked_out += u64::from(asked(Action::MessageOut, &case.text, &findings));
            row.asked_in += u64::from(asked(Action::MessageIn, &case.text, &findings));
            if detail.is_some_and(|d| d.set == set && d.found != findings.is_empty()) {
                tell(&case, &findings);
            }
            let names: std::collections::BTreeSet<_> = findings.iter().map(|f| &*f.rule).collect();
            for name in names {
                *rules.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
    for rule in times.keys() {
        rules.entry(rule.clone()).or_default();
    }
    let row = |(rule, cases): (String, u64)| {
        let ms = times.get(&rule).map(|time| time.as_secs_f64() * 1e3);
        RuleRow { rule, cases, ms }
    };
    let mut rules: Vec<_> = rules.into_iter().map(row).collect();
    rules.sort_by(|a, b| (b.cases, &a.rule).cmp(&(a.cases, &b.rule)));
    let mb_per_s = speed(&clean);
    Ok(Measured { sets: rows.into_values().collect(), mb_per_s, start_ms, rules })
}

/// Megabytes a second on pieces of 64 KiB.
fn speed(clean: &str) -> f64 {
    let mut pieces: Vec<&str> = Vec::new();
    let mut rest = clean;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE_BYTES.min(rest.len())));
        pieces.push(piece);
        rest = after;
    }
    // The rules that the clean text calls up are compiled now.
    let look = || pieces.iter().map(|piece| risk::scan(piece).len()).sum::<usize>();
    look();
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = instant();
            std::hint::black_box(look());
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(RUNS / 2).copied().unwrap_or(f64::NAN);
    // A figure for a person: 2^52 bytes are never reached.
    f64::from(u32::try_from(clean.len()).unwrap_or(u32::MAX)) / 1e6 / median.max(1e-9)
}

fn table(measured: &Measured) -> String {
    let mut lines = vec!["set | label | cases | found | asked out | asked in".to_owned()];
    lines.push("--- | --- | ---: | ---: | ---: | ---:".to_owned());
    for row in &measured.sets {
        let share = |part: u64| {
            let whole = f64::from(u32::try_from(row.cases).unwrap_or(u32::MAX)).max(1.0);
            let part = f64::from(u32::try_from(part).unwrap_or(u32::MAX));
            format!("{:.1} %", 100.0 * part / whole)
        };
        let (found, out, coming) = (share(row.found), share(row.asked_out), share(row.asked_in));
        let (set, label, cases) = (&row.set, &row.label, row.cases);
        lines.push(format!("{set} | {label} | {cases} | {found} | {out} | {coming}"));
    }
    lines.push(String::new());
    let (speed, start) = (measured.mb_per_s, measured.start_ms);
    lines.push(format!("{speed:.0} MB/s on clean text of 64 KiB, ready after {start:.1} ms"));
    lines.push(String::new());
    lines.push("slowest | ms".to_owned());
    lines.push("--- | ---:".to_owned());
    let mut slow: Vec<_> =
        measured.rules.iter().filter_map(|rule| Some((rule.ms?, &rule.rule))).collect();
    slow.sort_by(|a, b| b.0.total_cmp(&a.0));
    lines.extend(slow.into_iter().take(SLOWEST).map(|(ms, rule)| format!("{rule} | {ms:.1}")));
    lines.push(String::new());
    lines.push("rule | cases".to_owned());
    lines.push("--- | ---:".to_owned());
    let finds = measured.rules.iter().filter(|rule| rule.cases > 0);
    lines.extend(finds.map(|rule| format!("{} | {}", rule.rule, rule.cases)));
    lines.join("\n")
}

fn sets(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut sets = Vec::new();
    let entries = folder.read_dir().with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = name.strip_suffix(".gz").unwrap_or(&name).strip_suffix(".jsonl");
        if let Some(stem) = stem {
            sets.push((stem.to_owned(), path));
        }
    }
    sets.sort();
    anyhow::ensure!(!sets.is_empty(), "{} has no *.jsonl and no *.jsonl.gz", folder.display());
    Ok(sets)
}

fn lines(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let packed = path.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> =
        if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok(Box::new(BufReader::new(reader)))
}

/// Whether the default policy asks about it, from or to a trusted peer that is not verified.
fn asked(action: Action, text: &str, findings: &[Finding]) -> bool {
    let peer = Peer { id: PeerId::from_bytes([0; 32]), name: "peer", verified: false };
    let subject = Subject {
        action,
        peer,
        kind: "text",
        size_bytes: u64::try_from(text.len()).unwrap_or(u64::MAX),
        findings,
        countersigned: None,
        clock_ahead: false,
        recent: &|_| 0,
    };
    Policy::standard().decide(&subject).verdict != Verdict::Allow
}

fn tell(case: &Case, findings: &[Finding]) {
    let rules: Vec<_> = findings.iter().map(|finding| &*finding.rule).collect();
    let text: String = case.text.chars().take(300).collect();
    super::print::talk(&format!("{} {} {rules:?} {text:?}", case.label, case.id));
}
