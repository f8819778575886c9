//! The texts that the pages are rendered with.

/// One set of texts, used wherever the page shows words that are not its own.
pub(super) struct Cast {
    pub(super) label: &'static str,
    /// Our name for the peer.
    pub(super) name: String,
    /// What it calls itself, at most 64 bytes without control characters.
    pub(super) claim: String,
    pub(super) note: String,
    pub(super) text: String,
    pub(super) answer: String,
    /// A line of the node's that could quote anything.
    pub(super) line: String,
    /// What the person at the page typed: their own, and given back as it was.
    pub(super) typed: String,
    /// Whether lists have something in them.
    pub(super) any: bool,
}

const TYPED: &str = "</textarea><script>bad()</script>\" onfocus=bad() '&<b>";

const ATTACK: &str = "\"><script src=//evil.example></script><img src=x onerror=alert(1)>'</textarea>\
                      </title></form><a href=\"javascript:evil()\" style=\"color:red\">click</a>\
                      https://evil.example/ javascript:evil() \u{202e}\u{2066}\u{200b}\u{feff}\u{ad}\
                      \u{e0041}\u{e007f}\u{1b}[2J\r\u{0}\u{85}\u{f8ff}\u{2800}\u{3164}\u{fdd0}<b>\u{fdd1}";

impl Cast {
    /// As on a good day.
    pub(super) fn plain() -> Self {
        let text = "The deploy key for staging is below. Please rotate it when you are through.\n\n\
                    \taws_access_key_id = AKIAIOSFODNN7EXAMPLE\n\nThe runbook is at \
                    https://example.org/runbook, section 3.";
        Self {
            label: "plain",
            name: "bob".into(),
            claim: "Bob’s laptop".into(),
            note: "We met at the workshop; this is for the billing migration.".into(),
            text: text.into(),
            answer: "Got it. I will run the migration on staging first and tell you how it went."
                .into(),
            line: "the text holds an AWS access key".into(),
            typed: TYPED.into(),
            any: true,
        }
    }

    /// As an attacker would.
    pub(super) fn hostile() -> Self {
        Self {
            label: "hostile",
            name: ATTACK.into(),
            claim: "\"><script>evil()</script>\u{202e}\u{200b}<img onload=x>".into(),
            note: ATTACK.into(),
            text: format!("{ATTACK}\n\t{ATTACK}"),
            answer: ATTACK.repeat(3),
            line: ATTACK.into(),
            typed: TYPED.into(),
            any: true,
        }
    }

    /// As long as a message may be.
    pub(super) fn long() -> Self {
        let mut text = "wall ".repeat(65536 / 5);
        text.push('x');
        Self {
            label: "long",
            name: "a-name-that-is-as-long-as-it-may".into(),
            claim: "W".repeat(64),
            note: "n".repeat(200),
            answer: "\u{200b}\u{202e}".repeat(2000),
            text,
            line: "l".repeat(300),
            typed: TYPED.into(),
            any: true,
        }
    }

    /// Nothing yet.
    pub(super) fn empty() -> Self {
        Self { label: "empty", any: false, ..Self::plain() }
    }
}
