//! Secrets with a shape of their own. Each pattern follows the vendor's published format.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexSet};

use super::{Hit, Matters, Severity};

struct Rule {
    id: &'static str,
    pattern: &'static str,
    text: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        id: "secret.private_key",
        pattern: r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
        text: "a private key block",
    },
    Rule {
        id: "secret.aws_access_key",
        pattern: r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",
        text: "an AWS access key id",
    },
    Rule {
        id: "secret.github_token",
        pattern: r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{82,})",
        text: "a GitHub token",
    },
    Rule {
        id: "secret.gitlab_token",
        pattern: r"\bglpat-[A-Za-z0-9_-]{20,}",
        text: "a GitLab personal access token",
    },
    Rule {
        id: "secret.slack_token",
        pattern: r"\bxox[abeoprs]-[0-9]{8,}-[A-Za-z0-9-]{16,}",
        text: "a Slack token",
    },
    Rule {
        id: "secret.anthropic_key",
        pattern: r"\bsk-ant-[a-z0-9]{3,8}-[A-Za-z0-9_-]{80,}",
        text: "an Anthropic API key",
    },
    Rule {
        id: "secret.openai_key",
        pattern: r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}",
        text: "an OpenAI API key",
    },
    Rule {
        id: "secret.stripe_key",
        pattern: r"\b(?:sk|rk)_live_[A-Za-z0-9]{24,}",
        text: "a Stripe live key",
    },
    Rule {
        id: "secret.google_api_key",
        pattern: r"\bAIza[A-Za-z0-9_-]{35}",
        text: "a Google API key",
    },
    Rule { id: "secret.npm_token", pattern: r"\bnpm_[A-Za-z0-9]{36}\b", text: "an npm token" },
    Rule {
        id: "secret.age_key",
        pattern: r"\bAGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
        text: "an age secret key",
    },
];

struct Compiled {
    any: RegexSet,
    each: Vec<(Regex, &'static Rule)>,
}

fn compiled() -> &'static Compiled {
    static COMPILED: OnceLock<Compiled> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let bytes = |rule: &Rule| format!("(?-u){}", rule.pattern);
        // A pattern that did not compile would be left out; the test finds each rule.
        let each = RULES
            .iter()
            .filter_map(|rule| Regex::new(&bytes(rule)).ok().map(|regex| (regex, rule)))
            .collect();
        let any = RegexSet::new(RULES.iter().map(bytes)).unwrap_or_else(|_| RegexSet::empty());
        Compiled { any, each }
    })
}

/// Rules of one file in the shape of gitleaks' configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTable {}

/// Why a rule cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {}

/// The ids of all rules that the program brings.
#[must_use]
pub fn rule_ids() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.id).collect()
}

/// The rules, ready to use.
#[derive(Debug)]
pub(super) struct Secrets {}

impl Secrets {
    pub(super) const fn standard() -> Self {
        Self {}
    }

    pub(super) const fn with(_further: &[RuleTable]) -> Result<Self, RulesError> {
        Ok(Self {})
    }

    #[allow(clippy::unused_self)]
    pub(super) fn scan(&self, text: &str) -> Vec<Hit> {
        scan(text)
    }
}

fn scan(text: &str) -> Vec<Hit> {
    let rules = compiled();
    if !rules.any.is_match(text.as_bytes()) {
        return Vec::new();
    }
    let finding =
        |rule: &Rule, span| Hit::new(rule.id, Severity::Critical, Matters::Both, span, rule.text);
    rules
        .each
        .iter()
        .flat_map(|(regex, rule)| {
            regex.find_iter(text.as_bytes()).map(move |found| finding(rule, found.range()))
        })
        .collect()
}
