//! The exchange of a short code: SPAKE2, a confirmation, and an invite (`SPEC.md` section 17).
//!
//! Bytes in, bytes out; each step is a type that the next one consumes, so that a code is tried
//! once. The joiner confirms first: a wrong guess shows before anything was given.

use std::convert::Infallible;

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Payload},
};
use ciborium::Value;
use hkdf::Hkdf;
use sha2::Sha256;
use spake2::{
    Ed25519Group, Identity, Password, Spake2,
    rand_core::{TryCryptoRng, TryRng},
};
use zeroize::Zeroizing;

use super::{
    super::{
        VERSION, WireError,
        cbor::{self, Fields, MapBuilder},
    },
    Code,
};
use crate::{
    base::{ApproverId, Digest, PeerId, Secret, limits},
    identity::PublicKey as _,
};

/// Bytes of a SPAKE2 message: the side, and a point.
pub const MESSAGE_BYTES: usize = 33;

/// One frame of `countersign/code/1`. The joiner dials and speaks first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeFrame {
    /// Joiner: its SPAKE2 message.
    Start([u8; MESSAGE_BYTES]),
    /// Inviter: its SPAKE2 message.
    Reply([u8; MESSAGE_BYTES]),
    /// Joiner: I know the words, and this is who I am; sealed.
    Confirm(Vec<u8>),
    /// Inviter: this is who I am, and an invite; sealed.
    Invite(Vec<u8>),
    /// Inviter: these were not the words. The code is used up.
    Wrong,
}

/// The two endpoints that met, as QUIC's handshake proved them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doors {
    /// Who dialed.
    pub joiner: PeerId,
    /// Who was dialed.
    pub inviter: PeerId,
}

/// Who a side is. The pairing that follows proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its node.
    pub identity: PeerId,
    /// Its human.
    pub approver: ApproverId,
}

/// What the joiner is given.
pub struct Given {
    /// Who made the code.
    pub inviter: Claim,
    /// An invite as any other, good for this joiner alone.
    pub invite: Secret<String>,
}

/// Why an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// A frame that cannot be read, or not at this step.
    #[error("the other side did not keep to the protocol: {0}")]
    Protocol(#[from] WireError),
    /// The two sides do not have the same words, or somebody stood between them.
    #[error("the words were not right")]
    Wrong,
}

impl CodeFrame {
    /// The frame's bytes, without the length before it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let of = |tag: u64, bytes: &[u8]| vec![tag.into(), VERSION.into(), Value::from(bytes)];
        cbor::encode(&Value::Array(match self {
            Self::Start(message) => of(0, message),
            Self::Reply(message) => of(1, message),
            Self::Confirm(sealed) => of(2, sealed),
            Self::Invite(sealed) => of(3, sealed),
            Self::Wrong => of(4, &[]),
        }))
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// When it is over its bound, not deterministic, of another version, or not of its shape.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let value = cbor::decode("code frame", bytes, limits::CODE_FRAME_BYTES_MAX)?;
        let parts = cbor::array("code frame", value, 3)?;
        let [tag, version, body] = <[Value; 3]>::try_from(parts)
            .map_err(|_| WireError::field("code frame", "is cut short"))?;
        match cbor::uint("version", &version)? {
            VERSION => {}
            other => return Err(WireError::Version(other)),
        }
        let body = cbor::bytes("code frame", body)?;
        let message = |body: Vec<u8>| {
            body.try_into().map_err(|_| WireError::field("SPAKE2 message", "has the wrong length"))
        };
        match cbor::uint("frame type", &tag)? {
            0 => message(body).map(Self::Start),
            1 => message(body).map(Self::Reply),
            2 => Ok(Self::Confirm(body)),
            3 => Ok(Self::Invite(body)),
            4 if body.is_empty() => Ok(Self::Wrong),
            _ => Err(WireError::field("code frame", "is not one that version 1 knows")),
        }
    }
}

/// A joiner that has sent its first message.
pub struct Asking {
    spake: Spake2<Ed25519Group>,
    doors: Doors,
    message: [u8; MESSAGE_BYTES],
}

/// A joiner that has said who it is, and waits for the invite.
pub struct Confirmed {
    keys: Keys,
}

/// An inviter that waits for the confirmation.
pub struct Answering {
    keys: Keys,
}

/// An inviter that was shown the words.
pub struct Giving {
    keys: Keys,
}

/// Begins as the joiner.
///
/// # Errors
/// Never: the message is always of its length.
pub fn ask(
    code: &Code,
    doors: Doors,
    random: Secret<[u8; 32]>,
) -> Result<(Asking, CodeFrame), ExchangeError> {
    let (a, b) = identities(&doors);
    let (spake, message) = Spake2::start_a_with_rng(&password(code), &a, &b, Dice::new(random));
    let message = fixed(&message)?;
    Ok((Asking { spake, doors, message }, CodeFrame::Start(message)))
}

/// Answers as the inviter.
///
/// # Errors
/// When the frame is no start, or its point is none.
pub fn answer(
    code: &Code,
    doors: Doors,
    start: &CodeFrame,
    random: Secret<[u8; 32]>,
) -> Result<(Answering, CodeFrame), ExchangeError> {
    let CodeFrame::Start(theirs) = start else { return Err(unexpected()) };
    let (a, b) = identities(&doors);
    let (spake, ours) = Spake2::start_b_with_rng(&password(code), &a, &b, Dice::new(random));
    let ours = fixed(&ours)?;
    let keys = Keys::derive(spake, theirs, &doors, (theirs, &ours))?;
    Ok((Answering { keys }, CodeFrame::Reply(ours)))
}

impl Asking {
    /// Confirms. Whoever is at the other end can check one guess of the words with this.
    ///
    /// # Errors
    /// When the frame is no reply, or its point is none.
    pub fn confirm(
        self,
        reply: &CodeFrame,
        me: &Claim,
    ) -> Result<(Confirmed, CodeFrame), ExchangeError> {
        let CodeFrame::Reply(theirs) = reply else { return Err(unexpected()) };
        let keys = Keys::derive(self.spake, theirs, &self.doors, (&self.message, theirs))?;
        let sealed = keys.seal(Side::Joiner, &me.put().encode())?;
        Ok((Confirmed { keys }, CodeFrame::Confirm(sealed)))
    }
}

impl Answering {
    /// Takes the confirmation: this is the one guess.
    ///
    /// # Errors
    /// [`ExchangeError::Wrong`] for anything but a confirmation made with the same words.
    pub fn open(self, confirm: &CodeFrame) -> Result<(Claim, Giving), ExchangeError> {
        let CodeFrame::Confirm(sealed) = confirm else { return Err(ExchangeError::Wrong) };
        let body = self.keys.open(Side::Joiner, sealed)?;
        let mut fields = Fields::read("claim", &body, limits::CODE_FRAME_BYTES_MAX)?;
        let claim = Claim::read(&mut fields)?;
        fields.finish()?;
        Ok((claim, Giving { keys: self.keys }))
    }
}

impl Giving {
    /// Gives the invite.
    ///
    /// # Errors
    /// Never for an invite that was made here.
    pub fn give(self, me: &Claim, invite: &Secret<String>) -> Result<CodeFrame, ExchangeError> {
        let body = me.put().put(4, invite.expose_secret().as_str());
        let body = Zeroizing::new(body.encode());
        self.keys.seal(Side::Inviter, &body).map(CodeFrame::Invite)
    }
}

impl Confirmed {
    /// Takes the invite.
    ///
    /// # Errors
    /// [`ExchangeError::Wrong`] when the other side did not have the same words.
    pub fn open(self, frame: &CodeFrame) -> Result<Given, ExchangeError> {
        let CodeFrame::Invite(sealed) = frame else { return Err(ExchangeError::Wrong) };
        let body = self.keys.open(Side::Inviter, sealed)?;
        let mut fields = Fields::read("given", &body, limits::CODE_FRAME_BYTES_MAX)?;
        let inviter = Claim::read(&mut fields)?;
        let invite = Secret::new(fields.text(4, "invite", limits::INVITE_BYTES_MAX)?);
        fields.finish()?;
        Ok(Given { inviter, invite })
    }
}

impl Claim {
    fn put(&self) -> MapBuilder {
        MapBuilder::new()
            .put(1, VERSION)
            .put(2, self.identity.as_bytes().as_slice())
            .put(3, self.approver.as_bytes().as_slice())
    }

    fn read(fields: &mut Fields) -> Result<Self, WireError> {
        match fields.uint(1, "version")? {
            VERSION => {}
            other => return Err(WireError::Version(other)),
        }
        let identity = fields.id(2, "identity", PeerId::from_slice)?;
        let approver = fields.id(3, "approver", ApproverId::from_slice)?;
        identity.check()?;
        approver.check()?;
        Ok(Self { identity, approver })
    }
}

/// Whose box it is: each side has a key of its own, and seals one box with it.
#[derive(Clone, Copy)]
enum Side {
    Joiner,
    Inviter,
}

struct Keys {
    joiner: Zeroizing<[u8; 32]>,
    inviter: Zeroizing<[u8; 32]>,
    transcript: Digest,
}

impl Keys {
    /// From what SPAKE2 agreed on, over all that was said.
    fn derive(
        spake: Spake2<Ed25519Group>,
        theirs: &[u8; MESSAGE_BYTES],
        doors: &Doors,
        (start, reply): (&[u8; MESSAGE_BYTES], &[u8; MESSAGE_BYTES]),
    ) -> Result<Self, ExchangeError> {
        let refused = |_| WireError::field("SPAKE2 message", "is not one of the other side");
        let agreed = Zeroizing::new(spake.finish(theirs).map_err(refused)?);
        let parts: [&[u8]; 4] = [doors.joiner.as_bytes(), doors.inviter.as_bytes(), start, reply];
        let transcript = Digest::of("countersign/code-transcript/v1", &parts);
        let hkdf = Hkdf::<Sha256>::new(Some(transcript.as_bytes()), &agreed);
        let key = |info: &str| {
            let mut key = Zeroizing::new([0; 32]);
            let refused = |_| WireError::field("key", "could not be derived");
            hkdf.expand(info.as_bytes(), key.as_mut_slice()).map_err(refused).map(|()| key)
        };
        Ok(Self {
            joiner: key("countersign/code-joiner/v1")?,
            inviter: key("countersign/code-inviter/v1")?,
            transcript,
        })
    }

    fn cipher(&self, side: Side) -> XChaCha20Poly1305 {
        let key = match side {
            Side::Joiner => &self.joiner,
            Side::Inviter => &self.inviter,
        };
        XChaCha20Poly1305::new(&(**key).into())
    }

    fn seal(&self, side: Side, msg: &[u8]) -> Result<Vec<u8>, ExchangeError> {
        let payload = Payload { msg, aad: self.transcript.as_bytes() };
        let sealed = self.cipher(side).encrypt(&NONCE.into(), payload);
        sealed.map_err(|_| WireError::field("box", "could not be sealed").into())
    }

    fn open(&self, side: Side, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, ExchangeError> {
        let payload = Payload { msg: sealed, aad: self.transcript.as_bytes() };
        let opened = self.cipher(side).decrypt(&NONCE.into(), payload);
        opened.map(Zeroizing::new).map_err(|_| ExchangeError::Wrong)
    }
}

/// Each key seals one box, so the nonce need not differ.
const NONCE: [u8; 24] = [0; 24];

fn identities(doors: &Doors) -> (Identity, Identity) {
    (Identity::new(doors.joiner.as_bytes()), Identity::new(doors.inviter.as_bytes()))
}

fn password(code: &Code) -> Password {
    Password::new(code.password().expose_secret())
}

fn fixed(message: &[u8]) -> Result<[u8; MESSAGE_BYTES], WireError> {
    message.try_into().map_err(|_| WireError::field("SPAKE2 message", "has the wrong length"))
}

fn unexpected() -> ExchangeError {
    WireError::field("code frame", "was not expected at this step").into()
}

/// Randomness that was handed in, as SPAKE2 asks for it: `SHA-256(label, seed ‖ counter)`.
struct Dice {
    seed: Secret<[u8; 32]>,
    counter: u64,
}

impl Dice {
    const fn new(seed: Secret<[u8; 32]>) -> Self {
        Self { seed, counter: 0 }
    }

    fn next(&mut self) -> [u8; 32] {
        let parts: [&[u8]; 2] = [self.seed.expose_secret(), &self.counter.to_be_bytes()];
        let block = Digest::of("countersign/code-dice/v1", &parts);
        self.counter += 1;
        *block.as_bytes()
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.next();
        Ok(u32::from_be_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let [a, b, c, d, e, f, g, h, ..] = self.next();
        Ok(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(32) {
            chunk.iter_mut().zip(self.next()).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

impl TryCryptoRng for Dice {}

#[cfg(test)]
mod tests;
