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

use crate::{
    base::PeerId,
    policy::{Action, Peer, Policy, Subject, Verdict},
    risk::{self, Finding},
};

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
pub struct Row {
    set: String,
    label: String,
    cases: u64,
    found: u64,
    asked_out: u64,
    asked_in: u64,
}

/// What came of everything.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    sets: Vec<Row>,
    mb_per_s: f64,
    rules: Vec<RuleRow>,
}

/// How often a rule found something.
#[derive(Clone, Debug, Serialize)]
pub struct RuleRow {
    rule: String,
    cases: u64,
}

/// Which single cases to print: those of a set and a label that were missed, or that were found.
pub struct Detail {
    /// The set's name.
    pub set: String,
    /// Print the cases in which something was found, and not those in which nothing was.
    pub found: bool,
}

/// Measures every set of a folder.
///
/// # Errors
/// A folder or a line that cannot be read.
pub fn measure(folder: &Path, detail: Option<&Detail>) -> anyhow::Result<Measured> {
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    let mut rules: BTreeMap<String, u64> = BTreeMap::new();
    let (mut bytes, mut spent) = (0_usize, Duration::ZERO);
    for (set, path) in sets(folder)? {
        for (number, line) in lines(&path)?.lines().enumerate() {
            let place = || format!("{} line {}", path.display(), number + 1);
            let case: Case = serde_json::from_str(&line?).with_context(place)?;
            let key = (set.clone(), case.label.clone());
            let new = || Row { set: set.clone(), label: case.label.clone(), ..Row::default() };
            let row = rows.entry(key).or_insert_with(new);
            let start = Instant::now();
            let findings = risk::scan(&case.text);
            spent += start.elapsed();
            bytes += case.text.len();
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
    let mut rules: Vec<_> =
        rules.into_iter().map(|(rule, cases)| RuleRow { rule, cases }).collect();
    rules.sort_by(|a, b| (b.cases, &a.rule).cmp(&(a.cases, &b.rule)));
    #[allow(clippy::cast_precision_loss)] // A figure for a person.
    let mb_per_s = bytes as f64 / 1e6 / spent.as_secs_f64().max(1e-9);
    Ok(Measured { sets: rows.into_values().collect(), mb_per_s, rules })
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
