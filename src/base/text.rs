//! Text that people type or peers claim, each kind its own type.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::limits;

/// A text that was outside its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Longer than its limit.
    #[error("{what} is {bytes} bytes; the limit is {bytes_max}")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// Nothing in it.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// A character that does not belong.
    #[error("{what} may hold only {allowed}; got {got:?}")]
    Character {
        /// Which text.
        what: &'static str,
        /// What it may hold.
        allowed: &'static str,
        /// The first character that does not belong.
        got: char,
    },
}

fn bounded(what: &'static str, text: &str, bytes_max: usize) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError::Empty(what));
    }
    if text.len() > bytes_max {
        return Err(TextError::TooLong { what, bytes: text.len(), bytes_max });
    }
    Ok(())
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                Self::parse(&text)
            }
        }
    };
}

text_type!(
    /// What we call a peer: our own name for it, in lower-case letters, digits, `-`, `_` and `.`.
    PeerName
);
text_type!(
    /// What a client's session is called here, in the characters of a [`PeerName`]. A peer may
    /// address a message to it, as `peer/session`.
    SessionName
);
text_type!(
    /// What a peer says it is called. Shown as its claim, never used to find anyone.
    ClaimedName
);
text_type!(
    /// A line that goes with an invite or a request to connect.
    Note
);
text_type!(
    /// The text of a message, at most [`limits::TEXT_BYTES_MAX`] bytes of UTF-8.
    MessageText
);

impl PeerName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it is empty, over [`limits::PEER_NAME_BYTES_MAX`] or holds another character.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        plain("a peer's name", text, limits::PEER_NAME_BYTES_MAX).map(Self)
    }

    /// A name made of what `claim` says, with everything unusual left out.
    #[must_use]
    pub fn suggested(claim: &ClaimedName) -> Self {
        let name = plainer(claim.as_str(), limits::PEER_NAME_BYTES_MAX - NUMBER_BYTES);
        Self(name.unwrap_or_else(|| "peer".to_owned()))
    }

    /// This name with a number behind it, for the second peer who claims it.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        Self(format!("{}-{number}", self.0))
    }
}

impl SessionName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it is empty, over [`limits::SESSION_NAME_BYTES_MAX`] or holds another character.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        plain("a session's name", text, limits::SESSION_NAME_BYTES_MAX).map(Self)
    }

    /// A name made of what a folder or a program is called, with everything unusual left out.
    #[must_use]
    pub fn suggested(text: &str) -> Self {
        let name = plainer(text, limits::SESSION_NAME_BYTES_MAX - NUMBER_BYTES);
        Self(name.unwrap_or_else(|| "session".to_owned()))
    }

    /// This name with a number behind it, for the second session that would have it.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let ending = format!("-{number}");
        let room = limits::SESSION_NAME_BYTES_MAX - ending.len();
        let name = self.0.get(..room.min(self.0.len())).unwrap_or_default();
        Self(format!("{name}{ending}"))
    }
}

/// Room for a number behind a name.
const NUMBER_BYTES: usize = 4;

const fn is_plain(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.')
}

fn plain(what: &'static str, text: &str, bytes_max: usize) -> Result<String, TextError> {
    bounded(what, text, bytes_max)?;
    let bad = text.chars().find(|c| !is_plain(*c));
    bad.map_or_else(
        || Ok(text.to_owned()),
        |got| {
            let allowed = "lower-case letters, digits, '-', '_' and '.'";
            Err(TextError::Character { what, allowed, got })
        },
    )
}

/// What is left of `text` in plain characters, at most `bytes_max` of them.
fn plainer(text: &str, bytes_max: usize) -> Option<String> {
    let mut name = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        let c = if is_plain(c) { c } else { '-' };
        if !(c == '-' && (name.is_empty() || name.ends_with('-'))) {
            name.push(c);
        }
        if name.len() >= bytes_max {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    (!name.is_empty()).then(|| name.to_owned())
}

fn no_controls(what: &'static str, text: &str) -> Result<(), TextError> {
    text.chars().find(|c| c.is_control()).map_or(Ok(()), |got| {
        Err(TextError::Character { what, allowed: "printable characters", got })
    })
}

impl ClaimedName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it is empty, over [`limits::CLAIMED_NAME_BYTES_MAX`] or holds a control character.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        bounded("a name", text, limits::CLAIMED_NAME_BYTES_MAX)?;
        no_controls("a name", text)?;
        Ok(Self(text.to_owned()))
    }
}

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// When it is empty, over [`limits::NOTE_BYTES_MAX`] or holds a control character.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        bounded("a note", text, limits::NOTE_BYTES_MAX)?;
        no_controls("a note", text)?;
        Ok(Self(text.to_owned()))
    }
}

impl MessageText {
    /// Reads a message's text. Any Unicode is allowed; showing it is the surfaces' care.
    ///
    /// # Errors
    /// When it is empty or over [`limits::TEXT_BYTES_MAX`].
    pub fn parse(text: &str) -> Result<Self, TextError> {
        bounded("a message", text, limits::TEXT_BYTES_MAX)?;
        Ok(Self(text.to_owned()))
    }
}

/// Characters that change what is seen, or are not seen: controls, bidirectional controls (UAX 9),
/// zero-width and other default-ignorable characters (UAX 44), tags, line separators.
#[must_use]
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0d}'
                | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{fffe}' | '\u{ffff}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Whether a terminal or a browser would obey `c`, or a reader not see it: all that is hostile to
/// a model, and what a font decides.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    is_hostile(c)
        || matches!(c,
            // Blank Braille, and the selectors that emoji use.
            '\u{2800}' | '\u{fe0e}' | '\u{fe0f}'
            // Private use: the font decides what it looks like.
            | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_becomes_a_plain_name() {
        let check = |claim: &str, expected: &str| {
            let claim = ClaimedName::parse(claim).unwrap();
            assert_eq!(PeerName::suggested(&claim).as_str(), expected);
            PeerName::parse(expected).unwrap();
        };
        check("Alice", "alice");
        check("Alice's Mac (work)", "alice-s-mac-work");
        check("\u{202e}ecila", "ecila");
        check("日本", "peer");
    }

    #[test]
    fn a_folder_becomes_a_sessions_name_and_a_number_fits_behind_it() {
        let check = |folder: &str, expected: &str| {
            assert_eq!(SessionName::suggested(folder).as_str(), expected);
            SessionName::parse(expected).unwrap();
        };
        check("My Project", "my-project");
        check(".config", ".config");
        check("///", "session");
        let longest = SessionName::parse(&"a".repeat(32)).unwrap();
        assert_eq!(longest.numbered(12).as_str(), "a".repeat(29) + "-12");
        assert!(SessionName::parse("a/b").is_err());
        assert!(SessionName::parse(&"a".repeat(33)).is_err());
    }

    #[test]
    fn a_text_over_its_bound_names_the_bound() {
        let long = "x".repeat(limits::TEXT_BYTES_MAX + 1);
        let error = MessageText::parse(&long).unwrap_err().to_string();
        assert_eq!(error, "a message is 65537 bytes; the limit is 65536");
        assert!(PeerName::parse("Bob").is_err());
        assert!(ClaimedName::parse("a\nb").is_err());
        assert!(Note::parse("").is_err());
    }
}
