//! Rules as they are written: the shape of gitleaks' configuration, and a few keys of our own.

use serde::{Deserialize, Deserializer, de::Error as _};

use super::Severity;

/// One `[[rules]]` entry in the shape of gitleaks' configuration.
///
/// `path`, `tags` and `skipReport`'s neighbours `required` do nothing here: a message has no path
/// and no neighbours, so that such a rule finds more than it would in a repository. A list in
/// `allowlists` that needs a path or a commit lets nothing through.
///
/// Our own keys are `severity` (else `high`), `text` (completes "the text holds"), `names` with
/// `value` instead of `regex`, `run`, which looks only where so many letters and digits stand in a
/// row, and `before` and `after`: how many bytes around such a place or a keyword are looked at, 256
/// and 4096 if not said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTable {
    pub(super) id: String,
    pub(super) description: Option<String>,
    pub(super) regex: Option<String>,
    #[serde(rename = "secretGroup")]
    pub(super) secret_group: Option<usize>,
    #[serde(default)]
    pub(super) keywords: Vec<String>,
    pub(super) entropy: Option<Entropy>,
    /// Not used; see above.
    #[serde(rename = "path")]
    _path: Option<String>,
    #[serde(default, rename = "tags")]
    _tags: Vec<String>,
    #[serde(default, rename = "skipReport")]
    pub(super) skip_report: bool,
    #[serde(default, rename = "required")]
    _required: Vec<Neighbour>,
    #[serde(default)]
    pub(super) allowlists: Vec<AllowTable>,
    /// The former name of a single list.
    pub(super) allowlist: Option<AllowTable>,
    pub(super) severity: Option<Severity>,
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) names: Vec<String>,
    pub(super) value: Option<String>,
    pub(super) run: Option<u16>,
    pub(super) before: Option<u16>,
    pub(super) after: Option<u16>,
}

/// What is let through although the pattern fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AllowTable {
    #[serde(rename = "description")]
    _description: Option<String>,
    #[serde(default)]
    pub(super) condition: Condition,
    #[serde(default)]
    pub(super) regexes: Vec<String>,
    #[serde(default)]
    pub(super) stopwords: Vec<String>,
    #[serde(default, rename = "regexTarget")]
    pub(super) target: Target,
    #[serde(default)]
    pub(super) paths: Vec<String>,
    #[serde(default)]
    pub(super) commits: Vec<String>,
    /// Of a list for the whole file: which rules it is for; none are all.
    #[serde(default, rename = "targetRules")]
    target_rules: Vec<String>,
}

/// Whether one part of a list is enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Condition {
    #[default]
    #[serde(rename = "OR", alias = "or", alias = "||")]
    Or,
    #[serde(rename = "AND", alias = "and", alias = "&&")]
    And,
}

/// What the patterns of a list are held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Target {
    #[default]
    #[serde(alias = "")]
    Secret,
    Match,
    Line,
}

/// A rule that gitleaks wants to find near by.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Neighbour {
    #[serde(rename = "id")]
    _id: String,
    #[serde(rename = "withinLines")]
    _within_lines: Option<u32>,
    #[serde(rename = "withinColumns")]
    _within_columns: Option<u32>,
}

/// Bits a byte (Shannon), a finite number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entropy(pub(super) f64);

impl Eq for Entropy {}

impl<'de> Deserialize<'de> for Entropy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bits = f64::deserialize(deserializer)?;
        let known = (0.0..=8.0).contains(&bits);
        known.then_some(Self(bits)).ok_or_else(|| D::Error::custom("entropy is 0 to 8 bits a byte"))
    }
}

/// A whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "title")]
    _title: Option<String>,
    #[serde(rename = "description")]
    _description: Option<String>,
    #[serde(rename = "minVersion")]
    _min_version: Option<String>,
    #[serde(default)]
    rules: Vec<RuleTable>,
    #[serde(default)]
    allowlists: Vec<AllowTable>,
    allowlist: Option<AllowTable>,
}

/// Why a rule cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// The file is not TOML, or has what a rule does not have.
    #[error("the rules cannot be read: {0}")]
    Toml(String),
    /// A rule without an id that can be shown.
    #[error("a rule's id is 1 to {ID_MAX} letters, digits, `-`, `_` and `.`")]
    Id,
    /// A rule that says nothing of what to look for.
    #[error("rule `{0}` has no `regex`, and a message has no path that it could look at")]
    Nothing(String),
    /// A pattern that cannot be used.
    #[error("rule `{id}`: {why}")]
    Pattern {
        /// The rule.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// A keyword that says nothing.
    #[error("rule `{0}`: a keyword is empty")]
    Keyword(String),
}

/// The longest id of a rule.
pub(super) const ID_MAX: usize = 64;

impl RuleTable {
    /// The rules of a file. Its lists for all rules become lists of each.
    ///
    /// # Errors
    /// A file that is not one of rules.
    pub fn parse(toml_text: &str) -> Result<Vec<Self>, RulesError> {
        let File { mut rules, mut allowlists, allowlist, .. } = toml::from_str(toml_text)
            .map_err(|e| RulesError::Toml(e.to_string().trim_end().replace('\n', "; ")))?;
        allowlists.extend(allowlist);
        for list in &allowlists {
            let meant = |rule: &&mut Self| {
                list.target_rules.is_empty() || list.target_rules.contains(&rule.id)
            };
            rules.iter_mut().filter(meant).for_each(|rule| rule.allowlists.push(list.clone()));
        }
        Ok(rules)
    }
}
