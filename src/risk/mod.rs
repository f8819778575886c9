//! What a payload contains: findings with where and how bad. Pure; reads text, says nothing of
//! what should follow.
//!
//! The first rules are few and sure: key blocks, token shapes with vendors' published prefixes,
//! and characters that nobody can see.

mod hidden;
mod secrets;

use std::ops::Range;

pub use crate::base::Severity;

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule, as `family.name`.
    pub rule: &'static str,
    /// How bad.
    pub severity: Severity,
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// What it is, for a person. Never quotes the text.
    pub text: &'static str,
}

/// Everything that is found in `text`, in its order. Linear in its length.
#[must_use]
pub fn scan(text: &str) -> Vec<Finding> {
    let mut findings = secrets::scan(text);
    findings.extend(hidden::scan(text));
    findings.sort_by_key(|finding| (finding.span.start, finding.rule));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<&'static str> {
        scan(text).into_iter().map(|finding| finding.rule).collect()
    }

    // Token shapes are put together here, so that no scanner of repositories takes them for real.
    fn token(prefix: &str, body: &str, count: usize) -> String {
        format!("{prefix}{}", body.repeat(count))
    }

    #[test]
    fn well_known_secrets_are_found() {
        let check = |text: String, rule: &str| assert_eq!(rules(&text), [rule], "{text}");
        let block = format!("-----BEGIN {} KEY-----\nMII", "RSA PRIVATE");
        check(block, "secret.private_key");
        check(format!("-----BEGIN {} KEY-----", "OPENSSH PRIVATE"), "secret.private_key");
        check(format!("key {}", token("AKIA", "ABCD2345", 2)), "secret.aws_access_key");
        check(token("ghp_", "a1B2c3D4e5F6", 3), "secret.github_token");
        check(token("github_pat_", "a1B2c3D4e5F", 8), "secret.github_token");
        check(token("glpat-", "a1B2c3D4e5", 2), "secret.gitlab_token");
        check(token("xoxb-", "1234567890-", 2) + &"aB3".repeat(8), "secret.slack_token");
        check(token("sk-ant-api03-", "a1B2c3D4e5", 9), "secret.anthropic_key");
        check(token("sk_live_", "a1B2c3D4e5F6", 2), "secret.stripe_key");
        check(token("AIza", "a1B2c3D", 5), "secret.google_api_key");
        check(token("npm_", "a1B2c3", 6), "secret.npm_token");
        check(token("AGE-SECRET-KEY-1", "QPZRY9X8GF", 6).split_at(74).0.into(), "secret.age_key");
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
            assert_eq!(rules(text), Vec::<&str>::new(), "{text}");
        }
    }

    #[test]
    fn text_that_nobody_can_see_is_found() {
        let tags: String =
            "ignore".chars().map(|c| char::from_u32(0xe0000 + c as u32).unwrap()).collect();
        assert_eq!(rules(&format!("hello{tags}")), ["hidden.tag_characters"]);
        assert_eq!(rules(&format!("a{}b", "\u{200b}".repeat(9))), ["hidden.zero_width_run"]);
        assert_eq!(rules("if (x) {\u{202e}} // \u{2066}"), ["hidden.bidi_controls"]);
        assert_eq!(rules("x\u{1b}[2J"), ["hidden.terminal_escape"]);
    }
}
