//! What a payload contains: findings with where, how bad and for whom. Pure; reads text and bytes,
//! says nothing of what should follow.
//!
//! A text is looked at as it is, after NFKC, and through the encodings that it may be hidden in
//! (`views`). Each detector gives hits in the view that it reads; a [`Finding`] is a hit at its
//! place in the text. Detectors are for triage: what they miss, the taint rule is there for.

mod characters;
mod anchors;
mod commands;
mod files;
mod hidden;
mod instructions;
mod known;
mod personal;
mod secrets;
mod views;

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::HashMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

pub use crate::base::Severity;
pub use known::{
    Known, KnownError, KnownValue, LABEL_BYTES_MAX, LENGTHS_MAX, Listed, Named, Skipped,
    VALUE_BYTES_MAX, VALUE_BYTES_MIN, VALUES_MAX, values_of,
};
pub use secrets::{RuleTable, RulesError, rule_ids};
pub use views::Layer;

/// Findings of one payload; a further one is counted by [`FULL`].
pub const FINDINGS_MAX: usize = 64;
/// There was more than could be looked through, or more found than is listed.
pub const FULL: &str = "scan.incomplete";
/// A detector failed.
pub const FAILED: &str = "scan.failed";

/// Which way a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matters {
    /// It should not leave: personal data.
    Leaving,
    /// It should not come in: what would command a model or a machine.
    Coming,
    /// Neither.
    Both,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule, as `family.name`.
    pub rule: Cow<'static, str>,
    /// How bad.
    pub severity: Severity,
    /// Which way it matters.
    pub matters: Matters,
    /// Where, in bytes of the text: of what was encoded, the whole run.
    pub span: Range<usize>,
    /// What it is, for a person; it completes "the text holds". Never quotes the text.
    pub text: Cow<'static, str>,
    /// What it lay under, outermost first.
    pub layers: Vec<Layer>,
}

/// What a detector found, in bytes of what it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hit {
    rule: Cow<'static, str>,
    severity: Severity,
    matters: Matters,
    span: Range<usize>,
    text: Cow<'static, str>,
}

impl Hit {
    const fn new(
        rule: &'static str,
        severity: Severity,
        matters: Matters,
        span: Range<usize>,
        text: &'static str,
    ) -> Self {
        Self { rule: Cow::Borrowed(rule), severity, matters, span, text: Cow::Borrowed(text) }
    }
}

/// All detectors with their rules. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Scanner {
    secrets: Arc<secrets::Secrets>,
    /// The words of the secrets, the commands and the instructions.
    anchors: Arc<anchors::Anchors<3>>,
    known: Arc<Known>,
}

impl Scanner {
    /// The rules that the program brings.
    #[must_use]
    pub fn standard() -> &'static Self {
        static STANDARD: OnceLock<Scanner> = OnceLock::new();
        STANDARD.get_or_init(|| Self::of(secrets::Secrets::standard(), Known::default()))
    }

    /// The same and further ones. These add findings, and take none away.
    ///
    /// # Errors
    /// A rule that cannot be read.
    pub fn with(further: &[RuleTable], known: Known) -> Result<Self, RulesError> {
        if further.is_empty() {
            return Ok(Self { known: Arc::new(known), ..Self::standard().clone() });
        }
        Ok(Self::of(secrets::Secrets::with(further)?, known))
    }

    fn of(secrets: secrets::Secrets, known: Known) -> Self {
        let words = [secrets.keywords(), commands::words(), instructions::anchors()];
        let anchors = Arc::new(anchors::Anchors::new(&words));
        Self { secrets: Arc::new(secrets), anchors, known: Arc::new(known) }
    }

    /// Everything that is found in `text`, in its order. Linear in its length.
    #[must_use]
    pub fn scan(&self, text: &str) -> Vec<Finding> {
        self.scan_all(&[text])
    }

    /// The same for several fields that a reader may put together again: what is split between
    /// them is found too. A span counts from the first field's start, as if they were joined.
    #[must_use]
    pub fn scan_all(&self, fields: &[&str]) -> Vec<Finding> {
        let joined: Cow<'_, str> = match fields {
            [one] => Cow::Borrowed(one),
            _ => Cow::Owned(fields.concat()),
        };
        let looked = catch_unwind(AssertUnwindSafe(|| self.look(&joined)));
        bounded(looked.unwrap_or_else(|_| vec![failed(joined.len())]))
    }

    /// What is found in bytes of any kind, by what they are and not by what they are called.
    #[must_use]
    pub fn scan_bytes(&self, bytes: &[u8]) -> Vec<Finding> {
        let looked = catch_unwind(AssertUnwindSafe(|| {
            let whole = views::Place { span: 0..bytes.len(), layers: Vec::new() };
            let mut findings: Vec<Finding> =
                files::scan(bytes).into_iter().map(|hit| whole.finding(hit)).collect();
            match std::str::from_utf8(bytes) {
                Ok(text) => findings.extend(self.look(text)),
                Err(_) => findings.extend(
                    self.look(&String::from_utf8_lossy(bytes))
                        .into_iter()
                        .map(|finding| Finding { span: 0..bytes.len(), ..finding }),
                ),
            }
            findings
        }));
        bounded(looked.unwrap_or_else(|_| vec![failed(bytes.len())]))
    }

    /// Looks at `text` as it is, and tells `done` of each step: the rules of `secret` by their ids,
    /// the rest by what it is. Whoever has a clock learns what takes long.
    pub fn steps(&self, text: &str, done: &mut dyn FnMut(&str)) {
        let views = views::of(text);
        done("(views)");
        let [keywords, commands, instructions] = self.anchors.find(text.as_bytes());
        done("(words)");
        self.secrets.scan_telling(text, &keywords, done);
        self.known.scan(text);
        personal::scan(text);
        done("personal.*");
        instructions::scan(text, &instructions);
        done("instruction.*");
        commands::scan(text, &commands);
        done("command.*");
        hidden::scan(text);
        done("hidden.*");
        for blob in &views.blobs {
            files::scan(&blob.bytes);
            done("file.*");
        }
    }

    fn look(&self, text: &str) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        let views = views::of(text);
        for view in &views.texts {
            let text = view.text();
            let [keywords, commands, instructions] = self.anchors.find(text.as_bytes());
            let hits = [
                self.secrets.scan(text, &keywords),
                self.known.scan(text),
                personal::scan(text),
                instructions::scan(text, &instructions),
                commands::scan(text, &commands),
            ];
            findings.extend(hits.into_iter().flatten().map(|hit| view.finding(hit)));
        }
        for blob in &views.blobs {
            findings
                .extend(files::scan(&blob.bytes).into_iter().map(|hit| blob.place.finding(hit)));
        }
        let whole = views::Place { span: 0..text.len(), layers: Vec::new() };
        let own = |hit: Hit| Finding { span: hit.span.clone(), ..whole.finding(hit) };
        findings.extend(hidden::scan(text).into_iter().chain(views.trouble).map(own));
        findings
    }
}

fn failed(length: usize) -> Finding {
    let text = "something that could not be looked through: a detector failed on it";
    let whole = views::Place { span: 0..length, layers: Vec::new() };
    whole.finding(Hit::new(FAILED, Severity::High, Matters::Both, 0..length, text))
}

/// In their order, each once, and no more than a person or a model can be told.
fn bounded(mut findings: Vec<Finding>) -> Vec<Finding> {
    // The worst first, and of the same the plainest: it stays.
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (f.span.start, f.rule.clone(), Reverse(f.severity));
        key(a).cmp(&key(b)).then(a.layers.len().cmp(&b.layers.len()))
    });
    // The same through another layer says nothing new.
    findings.dedup_by(|b, a| a.rule == b.rule && a.span.start == b.span.start);
    if findings.len() > FINDINGS_MAX {
        let left_out = split_repeats(&mut findings);
        // The first of the worst.
        let worst = left_out.into_iter().min_by_key(|finding| Reverse(finding.severity));
        if let Some(worst) = worst {
            let place = views::Place { span: worst.span.clone(), layers: Vec::new() };
            let text = "more than is listed here";
            let hit = Hit::new(FULL, worst.severity, Matters::Both, worst.span, text);
            findings.push(place.finding(hit));
        }
    }
    findings
}

/// Takes out what is too much, and leaves the rest in its order. Repeats of a rule go before the
/// only finding of another, and of these the small before the bad: neither many small ones nor
/// many bad ones hide another.
fn split_repeats(findings: &mut Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| Reverse(finding.severity));
    let mut counts: HashMap<Cow<'static, str>, usize> = HashMap::new();
    let mut ranked: Vec<(usize, Finding)> = Vec::with_capacity(findings.len());
    for finding in findings.drain(..) {
        let before = counts.entry(finding.rule.clone()).or_default();
        ranked.push((*before, finding));
        *before += 1;
    }
    ranked.sort_by_key(|(before, finding)| (*before, Reverse(finding.severity)));
    let left_out = ranked.split_off(ranked.len().min(FINDINGS_MAX - 1));
    findings.extend(ranked.into_iter().map(|(_, finding)| finding));
    findings.sort_by(|a, b| (a.span.start, &a.rule).cmp(&(b.span.start, &b.rule)));
    left_out.into_iter().map(|(_, finding)| finding).collect()
}

/// What the rules that the program brings find in `text`.
#[must_use]
pub fn scan(text: &str) -> Vec<Finding> {
    Scanner::standard().scan(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<String> {
        scan(text).into_iter().map(|finding| finding.rule.into_owned()).collect()
    }

    #[test]
    fn ordinary_talk_has_no_findings() {
        for text in [
            "Could you rebase onto main and run the tests?",
            "The key is to sleep well. AKIA is a prefix. ghp_ too.",
            "-----BEGIN CERTIFICATE-----\nMIIB",
            "-----BEGIN PUBLIC KEY-----",
            "سلام دنیا، می\u{200c}خواهم 👨\u{200d}👩\u{200d}👧 🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ] {
            assert_eq!(rules(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn findings_are_bounded_and_the_worst_stay() {
        let key = ["AKIA", "ABCD2345EFGH6723"].concat();
        let text = format!("{}{}", "\u{1b}[2Jx ".repeat(200), format!("{key} ").repeat(200));
        let found = scan(&text);
        assert_eq!(found.len(), FINDINGS_MAX);
        assert_eq!(found.last().map(|finding| &*finding.rule), Some(FULL));
        assert!(found.iter().any(|finding| finding.severity == Severity::Critical));
    }

    fn one(rule: &'static str, severity: Severity, at: usize) -> Finding {
        let span = at..at + 1;
        let (matters, text) = (Matters::Both, Cow::Borrowed("something"));
        Finding { rule: rule.into(), severity, matters, span, text, layers: Vec::new() }
    }

    #[test]
    fn repeats_give_way_to_the_only_finding_of_another_rule() {
        let mut all: Vec<_> = (0..80).map(|at| one("secret.x", Severity::Critical, at)).collect();
        all.push(one("personal.iban", Severity::Medium, 90));
        all.push(one("hidden.tag", Severity::Info, 91));
        let found = bounded(all);
        assert_eq!(found.len(), FINDINGS_MAX);
        for rule in ["personal.iban", "hidden.tag"] {
            assert_eq!(found.iter().filter(|f| f.rule == rule).count(), 1, "{rule}");
        }
        let last = found.last().unwrap();
        assert_eq!((&*last.rule, last.severity), (FULL, Severity::Critical));
        assert!(found.windows(2).all(|w| w[1].rule == FULL || w[0].span.start <= w[1].span.start));
        // The worst of a rule is the one that stays, wherever it lies.
        let mut all: Vec<_> = (0..99).map(|at| one("a.b", Severity::Low, at)).collect();
        all.push(one("a.b", Severity::High, 99));
        let found = bounded(all);
        assert!(found.iter().any(|f| f.severity == Severity::High && f.rule == "a.b"));
        assert_eq!(found.last().unwrap().severity, Severity::Low);
    }
}
