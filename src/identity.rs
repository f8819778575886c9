//! The two keys: the node's identity and the human's approver.
//!
//! Signs and verifies under a domain label, shows keys as words and as `did:key`, and seals the
//! approver key under a passphrase. Reads and writes no file; the random bytes are arguments.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::base::{ApproverId, PeerId, Secret, limits};

/// Bytes of an Ed25519 signature (RFC 8032).
pub const SIGNATURE_BYTES: usize = 64;

/// What a signature outside of COSE is for. The label is signed with the message, so that a
/// signature for one purpose never verifies for another (`SPEC.md` section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// A consent record, by an approver.
    Consent,
    /// A decision on a pending item, by an approver.
    Decision,
    /// A checkpoint of the audit chain, by an identity.
    Checkpoint,
    /// A grant, by an approver.
    Grant,
    /// An order to the node, by an approver.
    Order,
    /// A part of the audit chain that was moved into a file, by an identity.
    Anchor,
}

impl Domain {
    /// Every domain.
    pub const ALL: [Self; 6] =
        [Self::Consent, Self::Decision, Self::Checkpoint, Self::Grant, Self::Order, Self::Anchor];

    /// The label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Consent => "countersign/consent/v1",
            Self::Decision => "countersign/decision/v1",
            Self::Checkpoint => "countersign/checkpoint/v1",
            Self::Grant => "countersign/grant/v1",
            Self::Order => "countersign/order/v1",
            Self::Anchor => "countersign/anchor/v1",
        }
    }

    /// `length of the label (one byte) ‖ label ‖ message`. The first byte is below 0x40, so these
    /// bytes are never a COSE structure (0x84, 0x86) nor a TLS 1.3 signature input (0x20 x 64).
    fn framed(self, message: &[u8]) -> Vec<u8> {
        let label = self.label().as_bytes();
        let length = u8::try_from(label.len()).unwrap_or(u8::MAX);
        [&[length], label, message].concat()
    }
}

/// Why a key, a signature or a sealed key was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The bytes are no point of the curve in its one encoding, or a point of small order.
    #[error("the public key is not a safe Ed25519 key")]
    WeakKey,
    /// The signature does not verify (strict, RFC 8032 section 5.1.7).
    #[error("the signature does not verify")]
    BadSignature,
    /// Argon2 or the cipher did not take its parameters.
    #[error("the sealed key's parameters are out of range: {0}")]
    Parameters(String),
    /// The passphrase does not open the seal, or the seal was changed.
    #[error("the passphrase does not open the approver key")]
    WrongPassphrase,
    /// The sealed key's file is not of a version that we know.
    #[error("the sealed key is version {0}; this countersign reads version 1")]
    SealVersion(u32),
    /// Too easy to guess.
    #[error("the passphrase is too easy to guess: {0}")]
    WeakPassphrase(String),
}

/// The node's key. It answers as the iroh endpoint and signs envelopes and receipts.
pub struct IdentityKey(SigningKey);

/// The human's key, only ever held between the passphrase and the signature.
pub struct ApproverKey(SigningKey);

macro_rules! signing_key {
    ($name:ident, $id:ident) => {
        impl $name {
            /// From 32 secret bytes.
            #[must_use]
            pub fn from_seed(seed: &Secret<[u8; 32]>) -> Self {
                Self(SigningKey::from_bytes(seed.expose_secret()))
            }

            /// The public half.
            #[must_use]
            pub fn id(&self) -> $id {
                $id::from_bytes(self.0.verifying_key().to_bytes())
            }

            /// Signs `message` for `domain`.
            #[must_use]
            pub fn sign(&self, domain: Domain, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
                self.0.sign(&domain.framed(message)).to_bytes()
            }

            /// Signs a COSE structure, which carries its own label as external data.
            pub(crate) fn sign_cose(&self, to_be_signed: &[u8]) -> [u8; SIGNATURE_BYTES] {
                self.0.sign(to_be_signed).to_bytes()
            }
        }
    };
}
signing_key!(IdentityKey, PeerId);
signing_key!(ApproverKey, ApproverId);

impl IdentityKey {
    /// The secret bytes, for the endpoint that runs under this key and for the key file.
    #[must_use]
    pub fn seed(&self) -> Secret<[u8; 32]> {
        Secret::new(self.0.to_bytes())
    }
}

/// A public key that signatures are checked against.
pub trait PublicKey {
    /// Its bytes.
    fn key_bytes(&self) -> &[u8; 32];

    /// Checks that the key is safe to hold and to verify with.
    ///
    /// # Errors
    /// [`IdentityError::WeakKey`] for what is no point, or a point of small order.
    fn check(&self) -> Result<(), IdentityError> {
        verifying_key(self.key_bytes()).map(drop)
    }

    /// Verifies a signature over `message` for `domain`.
    ///
    /// # Errors
    /// A weak key, or a signature that does not verify.
    fn verify(
        &self,
        domain: Domain,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), IdentityError> {
        self.verify_cose(&domain.framed(message), signature)
    }

    /// Verifies a signature over a COSE structure.
    ///
    /// # Errors
    /// A weak key, or a signature that does not verify.
    fn verify_cose(&self, to_be_signed: &[u8], signature: &[u8]) -> Result<(), IdentityError> {
        let key = verifying_key(self.key_bytes())?;
        let signature =
            Signature::from_slice(signature).map_err(|_| IdentityError::BadSignature)?;
        key.verify_strict(to_be_signed, &signature).map_err(|_| IdentityError::BadSignature)
    }
}

impl PublicKey for PeerId {
    fn key_bytes(&self) -> &[u8; 32] {
        self.as_bytes()
    }
}

impl PublicKey for ApproverId {
    fn key_bytes(&self) -> &[u8; 32] {
        self.as_bytes()
    }
}

fn verifying_key(bytes: &[u8; 32]) -> Result<VerifyingKey, IdentityError> {
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| IdentityError::WeakKey)?;
    if key.is_weak() || !is_reduced(bytes) { Err(IdentityError::WeakKey) } else { Ok(key) }
}

/// Whether `y` is below the field's prime 2^255 - 19, as RFC 8032 section 5.1.3 demands: the
/// library reduces it, so that a point would have two names.
fn is_reduced(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    *low < 0xed || middle.iter().any(|byte| *byte != 0xff) || high & 0x7f != 0x7f
}

/// `did:key` of an Ed25519 key: multicodec `0xed 0x01`, base58btc (W3C did:key section 3.1.3).
#[must_use]
pub fn did_key(key: &impl PublicKey) -> String {
    let bytes = [&[0xed, 0x01], key.key_bytes().as_slice()].concat();
    format!("did:key:z{}", bs58::encode(bytes).into_string())
}

/// Twelve BIP 39 words: 132 bits of the key's digest. A static fingerprint must be this long,
/// because an attacker can search for keys offline; the four words of a pairing need not be.
#[must_use]
pub fn fingerprint_words(key: &impl PublicKey) -> Vec<&'static str> {
    let digest = crate::base::Digest::of("countersign/fingerprint/v1", &[key.key_bytes()]);
    words(digest.as_bytes(), 12)
}

/// The first `count` words of `bytes`, eleven bits each, from the English list of BIP 39.
#[must_use]
pub fn words(bytes: &[u8], count: usize) -> Vec<&'static str> {
    let list = bip39::Language::English.word_list();
    let bit = |i: usize| bytes.get(i / 8).map_or(0, |byte| usize::from(byte >> (7 - i % 8) & 1));
    (0..count)
        .map(|word| (0..11).fold(0, |index, i| index << 1 | bit(word * 11 + i)))
        .filter_map(|index| list.get(index).copied())
        .collect()
}

/// Argon2id parameters (RFC 9106): memory in KiB, passes, lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argon2Params {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Argon2Params {
    /// 64 MiB, three passes, one lane: RFC 9106 section 4's second choice, about 0.2 s.
    pub const DEFAULT: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };
    /// The most that a sealed key may demand of us: 1 GiB and ten passes.
    const MAX: Self = Self { memory_kib: 1024 * 1024, passes: 10, lanes: 4 };
}

/// Random bytes of one seal.
pub struct SealNonces {
    /// Argon2's salt.
    pub salt: [u8; 16],
    /// XChaCha20-Poly1305's nonce.
    pub nonce: [u8; 24],
}

/// The approver key under the human's passphrase, as `approver.key` holds it (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedApprover {
    version: u32,
    public: ApproverId,
    argon2id: Argon2Params,
    salt: String,
    nonce: String,
    sealed: String,
}

impl SealedApprover {
    /// Seals `seed` under `passphrase`.
    ///
    /// # Errors
    /// When the passphrase is weak.
    pub fn seal(
        seed: &Secret<[u8; 32]>,
        passphrase: &Secret<String>,
        random: &SealNonces,
    ) -> Result<Self, IdentityError> {
        check_passphrase(passphrase)?;
        let mut sealed = Self {
            version: 1,
            public: ApproverKey::from_seed(seed).id(),
            argon2id: Argon2Params::DEFAULT,
            salt: HEXLOWER.encode(&random.salt),
            nonce: HEXLOWER.encode(&random.nonce),
            sealed: String::new(),
        };
        let cipher = sealed.cipher(passphrase)?;
        let payload = Payload { msg: seed.expose_secret(), aad: &sealed.header() };
        let bytes = cipher
            .encrypt(&XNonce::from(random.nonce), payload)
            .map_err(|e| IdentityError::Parameters(e.to_string()))?;
        sealed.sealed = HEXLOWER.encode(&bytes);
        Ok(sealed)
    }

    /// The public half: all that the node needs.
    #[must_use]
    pub const fn public(&self) -> ApproverId {
        self.public
    }

    /// Opens the seal. Takes about 0.2 s and 64 MiB, by design.
    ///
    /// # Errors
    /// A wrong passphrase, a changed seal, or a version that we do not know.
    pub fn open(&self, passphrase: &Secret<String>) -> Result<ApproverKey, IdentityError> {
        if self.version != 1 {
            return Err(IdentityError::SealVersion(self.version));
        }
        let nonce: [u8; 24] = decoded(&self.nonce)?
            .try_into()
            .map_err(|_| IdentityError::Parameters("the nonce is not 24 bytes".into()))?;
        let sealed = decoded(&self.sealed)?;
        let payload = Payload { msg: &sealed, aad: &self.header() };
        let seed = self
            .cipher(passphrase)?
            .decrypt(&XNonce::from(nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| IdentityError::WrongPassphrase)?;
        let seed: [u8; 32] =
            seed.as_slice().try_into().map_err(|_| IdentityError::WrongPassphrase)?;
        let key = ApproverKey::from_seed(&Secret::new(seed));
        if key.id() == self.public { Ok(key) } else { Err(IdentityError::WrongPassphrase) }
    }

    /// What the cipher authenticates beside the key: every parameter and the public half.
    fn header(&self) -> Vec<u8> {
        let Argon2Params { memory_kib, passes, lanes } = self.argon2id;
        format!(
            "countersign/approver-seal/v1\n{}\n{memory_kib} {passes} {lanes}\n{}\n",
            self.public, self.salt
        )
        .into_bytes()
    }

    fn cipher(&self, passphrase: &Secret<String>) -> Result<XChaCha20Poly1305, IdentityError> {
        let key = stretch(passphrase, &decoded(&self.salt)?, self.argon2id)?;
        Ok(XChaCha20Poly1305::new(key.expose_secret().into()))
    }
}

/// A key of 32 bytes from a passphrase (Argon2id, RFC 9106). Takes about 0.2 s and 64 MiB with
/// [`Argon2Params::DEFAULT`], by design.
///
/// # Errors
/// Parameters that Argon2 does not take, or that demand more of us than we give.
pub fn stretch(
    passphrase: &Secret<String>,
    salt: &[u8],
    asked: Argon2Params,
) -> Result<Secret<[u8; 32]>, IdentityError> {
    let most = Argon2Params::MAX;
    if asked.memory_kib > most.memory_kib || asked.passes > most.passes || asked.lanes > most.lanes
    {
        return Err(IdentityError::Parameters(format!("{asked:?} is over {most:?}")));
    }
    let wrong = |e: argon2::Error| IdentityError::Parameters(e.to_string());
    let params =
        Params::new(asked.memory_kib, asked.passes, asked.lanes, Some(32)).map_err(wrong)?;
    let mut key = Zeroizing::new([0_u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose_secret().as_bytes(), salt, key.as_mut_slice())
        .map_err(wrong)?;
    Ok(Secret::new(*key))
}

fn decoded(hex: &str) -> Result<Vec<u8>, IdentityError> {
    HEXLOWER
        .decode(hex.as_bytes())
        .map_err(|e| IdentityError::Parameters(format!("not hexadecimal: {e}")))
}

/// Refuses a passphrase that could be guessed offline, since the sealed key can be copied.
///
/// # Errors
/// [`IdentityError::WeakPassphrase`] with what is wrong and what would be better.
pub fn check_passphrase(passphrase: &Secret<String>) -> Result<(), IdentityError> {
    let text = passphrase.expose_secret();
    let weak = |reason: String| Err(IdentityError::WeakPassphrase(reason));
    if text.len() > limits::PASSPHRASE_BYTES_MAX {
        return weak(format!("over {} bytes", limits::PASSPHRASE_BYTES_MAX));
    }
    let estimate = zxcvbn::zxcvbn(text, &["countersign", "approve", "passphrase"]);
    if u8::from(estimate.score()) >= limits::PASSPHRASE_SCORE_MIN {
        return Ok(());
    }
    let why = estimate
        .feedback()
        .and_then(zxcvbn::feedback::Feedback::warning)
        .map_or_else(|| "it is short or follows a common pattern".to_owned(), |w| w.to_string());
    weak(format!("{}; use four or more unrelated words", why.trim_end_matches('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(n: u8) -> Secret<[u8; 32]> {
        Secret::new([n; 32])
    }

    fn passphrase(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_signature_holds_for_its_domain_and_key_alone() {
        let key = IdentityKey::from_seed(&seed(1));
        for signed in Domain::ALL {
            let signature = key.sign(signed, b"m");
            for checked in Domain::ALL {
                let ok = key.id().verify(checked, b"m", &signature).is_ok();
                assert_eq!(ok, signed == checked, "{signed:?} as {checked:?}");
            }
            assert!(key.id().verify(signed, b"n", &signature).is_err());
            let other = IdentityKey::from_seed(&seed(2)).id();
            assert!(other.verify(signed, b"m", &signature).is_err());
        }
    }

    #[test]
    fn a_weak_key_is_refused() {
        for weak in [[0_u8; 32], {
            let mut one = [0; 32];
            one[0] = 1;
            one
        }] {
            assert_eq!(PeerId::from_bytes(weak).check(), Err(IdentityError::WeakKey));
        }
        // y = p + 3, the second name of a point.
        let mut unreduced = [0xff; 32];
        (unreduced[0], unreduced[31]) = (0xf0, 0x7f);
        assert!(VerifyingKey::from_bytes(&unreduced).is_ok_and(|key| !key.is_weak()));
        assert_eq!(PeerId::from_bytes(unreduced).check(), Err(IdentityError::WeakKey));
        assert!(IdentityKey::from_seed(&seed(3)).id().check().is_ok());
    }

    #[test]
    fn a_sealed_key_opens_for_its_passphrase_alone() {
        let random = SealNonces { salt: [5; 16], nonce: [6; 24] };
        let good = passphrase("correct horse battery staple");
        let sealed = SealedApprover::seal(&seed(4), &good, &random).unwrap();
        assert_eq!(sealed.open(&good).unwrap().id(), sealed.public());
        let wrong = sealed.open(&passphrase("correct horse battery stapler"));
        assert_eq!(wrong.err(), Some(IdentityError::WrongPassphrase));
        let other = ApproverKey::from_seed(&seed(9)).id();
        let swapped = SealedApprover { public: other, ..sealed.clone() };
        assert_eq!(swapped.open(&good).err(), Some(IdentityError::WrongPassphrase));
        let greedy = Argon2Params { memory_kib: u32::MAX, ..Argon2Params::DEFAULT };
        let greedy = SealedApprover { argon2id: greedy, ..sealed };
        assert!(matches!(greedy.open(&good), Err(IdentityError::Parameters(_))));
    }

    #[test]
    fn a_weak_passphrase_is_refused_with_a_reason() {
        for weak in ["", "password", "qwertyuiop", "countersign1", "aaaaaaaaaaaaaaaa"] {
            let error = check_passphrase(&passphrase(weak)).unwrap_err();
            assert!(error.to_string().contains("unrelated words"), "{weak}: {error}");
        }
        check_passphrase(&passphrase("maple orbit velvet 93")).unwrap();
    }

    #[test]
    fn a_key_reads_as_a_did_and_as_words() {
        // Test vector of the did:key specification (Ed25519).
        let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        let bytes = bs58::decode(did.trim_start_matches("did:key:z")).into_vec().unwrap();
        let key = PeerId::from_slice(&bytes[2..]).unwrap();
        assert_eq!(did_key(&key), did);
        assert_eq!(fingerprint_words(&key).len(), 12);
        assert_eq!(words(&[0, 0, 0], 2), ["abandon", "abandon"]);
        assert_eq!(words(&[0xff, 0xff], 1), ["zoo"]);
    }
}
