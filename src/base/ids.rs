//! Every id as its own type, parsed once at the edge.

use std::{fmt, str::FromStr};

use data_encoding::{BASE32_NOPAD_NOCASE, HEXLOWER};
use serde::{Deserialize, Serialize};

/// An id that was not of its form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {form}; got {got:?}")]
pub struct IdError {
    what: &'static str,
    form: &'static str,
    got: String,
}

impl IdError {
    fn new(what: &'static str, form: &'static str, got: &str) -> Self {
        Self { what, form, got: got.chars().take(80).collect() }
    }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal, $form:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// From its bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// From a slice; `None` when it is not
            #[doc = concat!(stringify!($bytes), " bytes long.")]
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                HEXLOWER
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| Self::from_slice(&bytes))
                    .ok_or_else(|| IdError::new($what, $form, text))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id!(
    /// A node's identity: its Ed25519 public key, which is also its iroh endpoint id.
    PeerId, 32, "a peer id", "64 lower-case hexadecimal digits"
);
hex_id!(
    /// A human's approver: the Ed25519 public key that consents and decisions are signed with.
    ApproverId, 32, "an approver id", "64 lower-case hexadecimal digits"
);
hex_id!(
    /// One message: 128 random bits, chosen by the sender.
    MessageId, 16, "a message id", "32 lower-case hexadecimal digits"
);
hex_id!(
    /// One conversation: 128 random bits, chosen by whoever opened it.
    ThreadId, 16, "a thread id", "32 lower-case hexadecimal digits"
);
hex_id!(
    /// One invite: the first 128 bits of a digest of its secret, which it does not give away.
    InviteId, 16, "an invite id", "32 lower-case hexadecimal digits"
);
hex_id!(
    /// A SHA-256 digest (FIPS 180-4).
    Digest, 32, "a digest", "64 lower-case hexadecimal digits"
);

impl Digest {
    /// The digest of `label`, a zero byte and `parts` in their order.
    ///
    /// The label keeps digests for one purpose from being taken for another's.
    #[must_use]
    pub fn of(label: &str, parts: &[&[u8]]) -> Self {
        use sha2::Digest as _;
        let mut hasher = sha2::Sha256::new();
        hasher.update(label.as_bytes());
        hasher.update([0]);
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }
}

impl PeerId {
    /// The first ten digits, enough to tell one's own peers apart on a screen. Never for trust.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 5]);

        impl $name {
            /// From its bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 5]) -> Self {
                Self(bytes)
            }

            /// From a slice; `None` when it is not five bytes long.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 5] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&BASE32_NOPAD_NOCASE.encode(&self.0).to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                BASE32_NOPAD_NOCASE
                    .decode(text.trim().as_bytes())
                    .ok()
                    .and_then(|bytes| Self::from_slice(&bytes))
                    .ok_or_else(|| IdError::new($what, "8 letters and digits", text))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

typed_id!(
    /// One item that waits for the human: 40 random bits, eight letters and digits to type.
    PendingId, "an approval id"
);
typed_id!(
    /// One grant: 40 random bits, eight letters and digits to type.
    GrantId, "a grant id"
);
typed_id!(
    /// One value that is watched for: 40 random bits, eight letters and digits to type.
    KnownId, "a known value's id"
);
typed_id!(
    /// One bearer token: 40 random bits that are not of the token itself.
    TokenId, "a token's id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_what_it_writes_and_nothing_else() {
        let id = MessageId::from_bytes([7; 16]);
        assert_eq!(id.to_string().parse::<MessageId>().unwrap(), id);
        for bad in ["", "07", &id.to_string().to_uppercase().replace('0', "G"), "zz"] {
            assert!(bad.parse::<MessageId>().is_err(), "{bad}");
        }
        let short = PendingId::from_bytes([1, 2, 3, 4, 255]);
        assert_eq!(short.to_string().len(), 8);
        assert_eq!(short.to_string().to_uppercase().parse::<PendingId>().unwrap(), short);
    }

    #[test]
    fn a_label_changes_a_digest() {
        assert_ne!(Digest::of("a", &[b"x"]), Digest::of("b", &[b"x"]));
        assert_ne!(Digest::of("a", &[b"x"]), Digest::of("a", &[b"y"]));
    }
}
