//! One rule: its pattern, and what speaks against a place where the pattern fits.

use std::{borrow::Cow, ops::Range, sync::OnceLock};

use regex::bytes::{Captures, Regex, RegexBuilder};

use super::{
    RuleTable, RulesError, Severity,
    table::{AllowTable, Condition, Entropy, ID_MAX, Target},
};

/// Bounds the memory of one compiled pattern.
const PATTERN_BYTES_MAX: usize = 4 << 20;
/// A value of fewer bits a byte stands for one, as `xxxx` does: our own rules that say nothing of
/// entropy let it through.
const PLACEHOLDER: Entropy = Entropy(1.5);
/// How many names a pattern spells out.
const NAMES_MAX: usize = 32;
/// How much of a line is read on each side of a find.
const LINE_MAX: usize = 256;
/// How far around a keyword our own rules look.
const REACH: Reach = Reach { before: 96, after: 256 };
/// The same for rules of others, which were written for whole files.
const REACH_FURTHER: Reach = Reach { before: 256, after: 4096 };

/// How many bytes around a keyword are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) before: usize,
    pub(super) after: usize,
}

/// A place that a rule found.
#[derive(Clone, Debug)]
pub(super) struct Found<'r> {
    pub(super) rule: &'r Rule,
    pub(super) span: Range<usize>,
}

/// A pattern that is compiled when it is first used.
#[derive(Debug)]
struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

/// A list of what is let through.
#[derive(Debug)]
struct Allow {
    condition: Condition,
    target: Target,
    patterns: Vec<Pattern>,
    stopwords: Vec<String>,
    /// Whether it asks for a path or a commit, which a message does not have.
    elsewhere: bool,
}

/// A rule, ready to use.
#[derive(Debug)]
pub(super) struct Rule {
    id: Cow<'static, str>,
    text: Cow<'static, str>,
    severity: Severity,
    ours: bool,
    pattern: Pattern,
    secret_group: Option<usize>,
    entropy: Option<f64>,
    allow: Vec<Allow>,
    keywords: Vec<String>,
    run: Option<usize>,
    reach: Reach,
}

impl Rule {
    /// One that the program brings.
    pub(super) fn built_in(mut table: RuleTable, severity: Severity) -> Result<Self, RulesError> {
        table.entropy.get_or_insert(PLACEHOLDER);
        Self::new(table, severity, REACH, true)
    }

    /// One that a user brings; `None` if it is only a part of others.
    pub(super) fn further(table: RuleTable) -> Result<Option<Self>, RulesError> {
        if table.skip_report {
            return Ok(None);
        }
        let rule = Self::new(table, Severity::High, REACH_FURTHER, false)?;
        rule.check()?;
        Ok(Some(rule))
    }

    fn new(
        table: RuleTable,
        severity: Severity,
        reach: Reach,
        ours: bool,
    ) -> Result<Self, RulesError> {
        let id = table.id;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if id.is_empty() || id.len() > ID_MAX || !id.bytes().all(plain) {
            return Err(RulesError::Id);
        }
        let mut keywords = table.keywords;
        let pattern = match (table.regex, table.value) {
            (Some(regex), None) => regex,
            (None, Some(value)) if !table.names.is_empty() => {
                keywords.extend(table.names.iter().flat_map(|name| spellings(name)));
                named(&table.names, &value)
            }
            (None, None) => return Err(RulesError::Nothing(id)),
            (_, Some(_)) => {
                let why = "`value` goes with `names`, and not with `regex`".to_owned();
                return Err(RulesError::Pattern { id, why });
            }
        };
        if keywords.iter().any(String::is_empty) {
            return Err(RulesError::Keyword(id));
        }
        let text = table.text.unwrap_or_else(|| format!("what the rule `{id}` looks for"));
        let name = id.strip_prefix("secret.").unwrap_or(&id).replace('-', "_");
        Ok(Self {
            id: Cow::Owned(format!("secret.{name}")),
            text: Cow::Owned(text),
            severity: table.severity.unwrap_or(severity),
            ours,
            pattern: Pattern::new(pattern),
            secret_group: table.secret_group,
            entropy: table.entropy.map(|entropy| entropy.0),
            allow: table.allowlists.into_iter().chain(table.allowlist).map(Allow::new).collect(),
            keywords,
            run: table.run.map(usize::from).filter(|run| *run > 0),
            reach: Reach {
                before: table.before.map_or(reach.before, usize::from),
                after: table.after.map_or(reach.after, usize::from),
            },
        })
    }

    /// Compiles everything.
    ///
    /// # Errors
    /// A pattern that cannot be used.
    pub(super) fn check(&self) -> Result<(), RulesError> {
        let lists = self.allow.iter().flat_map(|allow| &allow.patterns);
        for pattern in std::iter::once(&self.pattern).chain(lists) {
            pattern.check().map_err(|why| RulesError::Pattern { id: self.id.to_string(), why })?;
        }
        let groups = self.pattern.get().map_or(0, Regex::captures_len);
        if self.secret_group.is_some_and(|group| group >= groups) {
            let why = "`secretGroup` names a group that the pattern does not have".to_owned();
            return Err(RulesError::Pattern { id: self.id.to_string(), why });
        }
        Ok(())
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn id_text(&self) -> Cow<'static, str> {
        self.id.clone()
    }

    pub(super) fn text(&self) -> Cow<'static, str> {
        self.text.clone()
    }

    pub(super) const fn severity(&self) -> Severity {
        self.severity
    }

    /// Whether the program brings it.
    pub(super) const fn ours(&self) -> bool {
        self.ours
    }

    pub(super) fn keywords(&self) -> &[String] {
        &self.keywords
    }

    /// How many letters and digits stand in a row wherever the pattern fits.
    pub(super) const fn run(&self) -> Option<usize> {
        self.run
    }

    pub(super) const fn reach(&self) -> Reach {
        self.reach
    }

    /// Looks at one window of `text`.
    pub(super) fn look<'r>(&'r self, text: &str, span: Range<usize>, found: &mut Vec<Found<'r>>) {
        let bytes = text.as_bytes();
        let (Some(window), Some(regex)) = (bytes.get(span.clone()), self.pattern.get()) else {
            return;
        };
        // Mostly there is nothing, and what holds captures need not be made.
        if !regex.is_match(window) {
            return;
        }
        for captures in regex.captures_iter(window) {
            let Some(secret) = self.secret(&captures) else { continue };
            if self.speaks_against(&captures, secret, window) {
                continue;
            }
            let (start, end) = (span.start + secret.start(), span.start + secret.end());
            found.push(Found { rule: self, span: start..end });
        }
    }

    /// The group that is named, else the first that took part, else all.
    fn secret<'t>(&self, captures: &Captures<'t>) -> Option<regex::bytes::Match<'t>> {
        let group = match self.secret_group {
            Some(group) => captures.get(group),
            None => captures.iter().skip(1).flatten().find(|group| !group.is_empty()),
        };
        group.or_else(|| captures.get(0))
    }

    fn speaks_against(
        &self,
        captures: &Captures<'_>,
        secret: regex::bytes::Match<'_>,
        window: &[u8],
    ) -> bool {
        if self.entropy.is_some_and(|least| entropy(secret.as_bytes()) < least) {
            return true;
        }
        let whole = captures.get(0).map_or(secret.range(), |whole| whole.range());
        self.allow.iter().any(|allow| {
            let target = match allow.target {
                Target::Secret => secret.as_bytes(),
                Target::Match => window.get(whole.clone()).unwrap_or_default(),
                Target::Line => lines_of(window, &whole),
            };
            allow.lets_through(target, secret.as_bytes())
        })
    }
}

impl Pattern {
    const fn new(text: String) -> Self {
        Self { text, compiled: OnceLock::new() }
    }

    fn build(&self) -> Result<Regex, regex::Error> {
        RegexBuilder::new(&self.text).unicode(false).size_limit(PATTERN_BYTES_MAX).build()
    }

    fn get(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| self.build().ok()).as_ref()
    }

    fn check(&self) -> Result<(), String> {
        if self.get().is_some() {
            return Ok(());
        }
        self.build().map(|_| ()).map_err(|e| e.to_string().replace('\n', " "))
    }
}

impl Allow {
    fn new(table: AllowTable) -> Self {
        Self {
            condition: table.condition,
            target: table.target,
            patterns: table.regexes.into_iter().map(Pattern::new).collect(),
            stopwords: table.stopwords.iter().map(|word| word.to_ascii_lowercase()).collect(),
            elsewhere: !(table.paths.is_empty() && table.commits.is_empty()),
        }
    }

    fn lets_through(&self, target: &[u8], secret: &[u8]) -> bool {
        let fits = |pattern: &Pattern| pattern.get().is_some_and(|regex| regex.is_match(target));
        let by_pattern = || self.patterns.iter().any(fits);
        let by_word = || {
            let secret = secret.to_ascii_lowercase();
            let has =
                |word: &String| secret.windows(word.len().max(1)).any(|at| at == word.as_bytes());
            self.stopwords.iter().any(has)
        };
        match self.condition {
            Condition::Or => by_pattern() || by_word(),
            Condition::And => {
                let any = !(self.patterns.is_empty() && self.stopwords.is_empty());
                any && !self.elsewhere
                    && (self.patterns.is_empty() || by_pattern())
                    && (self.stopwords.is_empty() || by_word())
            }
        }
    }
}

/// Bits a byte (Shannon).
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let total: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    let bits = |count: &u32| {
        let part = f64::from(*count) / total;
        -part * part.log2()
    };
    counts.iter().filter(|count| **count > 0).map(bits).sum()
}

/// The lines that `span` touches, or what is near it of a long line: else a text without line ends
/// would be read again for each find.
fn lines_of<'w>(window: &'w [u8], span: &Range<usize>) -> &'w [u8] {
    let newline = |byte: &&u8| **byte == b'\n';
    let before = window.get(..span.start).unwrap_or_default();
    let after = window.get(span.end..).unwrap_or_default();
    let left = before.iter().rev().take(LINE_MAX).take_while(|byte| !newline(byte)).count();
    let right = after.iter().take(LINE_MAX).take_while(|byte| !newline(byte)).count();
    window.get(before.len() - left..span.end + right).unwrap_or(window)
}

/// How a name is written: a `-` in it stands for nothing, or for what may join its words.
fn spellings(name: &str) -> Vec<String> {
    if !name.contains('-') {
        return vec![name.to_owned()];
    }
    ["", "-", "_", " ", "."].iter().map(|join| name.replace('-', join)).collect()
}

/// A name, at most a few words and signs, and the value, which stands alone.
fn named(names: &[String], value: &str) -> String {
    let names: Vec<_> =
        names.iter().map(|name| regex::escape(name).replace("\\-", "[-_ .]?")).collect();
    // Of many names the keywords tell which is there; the pattern would be slow with all of them.
    let names = if names.len() > NAMES_MAX { r"\w{3}".to_owned() } else { names.join("|") };
    let gap = r#"[\w\s."'`=:<>,()\[\]{|&?$+-]{0,48}?"#;
    format!(r"(?i:{names}){gap}(?:\b|_)({value})(?:[^\w+/=-]|\\|\z)")
}
