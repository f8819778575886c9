//! Vectors of digests, and of the words and names that are made of them.

use countersign::{
    base::{ApproverId, Digest, PeerId, Secret, Timestamp},
    identity::{did_key, fingerprint_words, words},
    wire::{Invite, invite, pair},
};
use serde_json::{Value as Json, json};

use super::{
    cast::{ALICE, ALICE_HUMAN, BOB, approver, peer},
    vectors::{Vector, Vectors},
};

pub(crate) fn decode(vector: &Vector) -> Result<Json, String> {
    let bytes = vector.input();
    let label = vector.given("label").as_str().unwrap_or_default();
    let digest = Digest::of(label, &[&bytes]);
    let derived = match vector.given("derive").as_str() {
        None => json!({ "digest": digest }),
        Some("fingerprint") => {
            let key = ApproverId::from_slice(&bytes).ok_or("not a key")?;
            let short = invite::approver_fingerprint(&key);
            json!({
                "digest": digest,
                "words": fingerprint_words(&key),
                "short": data_encoding::HEXLOWER.encode(&short),
                "did": did_key(&key),
            })
        }
        Some("proof") => {
            let [joiner, inviter] = [16, 48].map(|at| PeerId::from_slice(&bytes[at..at + 32]));
            let secret = bytes[..16].try_into().expect("16 bytes");
            json!({ "digest": pair::proof(&secret, &joiner.unwrap(), &inviter.unwrap()) })
        }
        Some("commitment") => {
            let joiner = PeerId::from_slice(&bytes[16..]).ok_or("not a key")?;
            json!({ "digest": pair::commitment(&bytes[..16].try_into().unwrap(), &joiner) })
        }
        Some("invite-id") => {
            let secret: [u8; 16] = bytes.as_slice().try_into().map_err(|_| "not 16 bytes")?;
            let invite = Invite {
                inviter: peer(ALICE),
                approver: [0; invite::FINGERPRINT_BYTES],
                addresses: Vec::new(),
                secret: Secret::new(secret),
                expires: Timestamp::from_ms(0),
            };
            json!({ "digest": digest, "invite": invite.id() })
        }
        Some(_) => json!({ "words": words(&bytes, bytes.len() * 8 / 11) }),
    };
    Ok(derived)
}

pub(crate) fn make(v: &mut Vectors) {
    let mut add = |id: &str, what: &str, label: &str, bytes: &[u8], derive: Option<&str>| {
        let given =
            derive.map_or(json!({ "label": label }), |d| json!({ "label": label, "derive": d }));
        v.told((&format!("digest/{id}"), what), bytes, given, None);
    };
    add("plain", "SHA-256 of the label, a zero byte and these bytes", "a", b"x", None);
    let human = *approver(ALICE_HUMAN).id().as_bytes();
    let label = "countersign/fingerprint/v1";
    add("fingerprint", "an approver's fingerprint", label, &human, Some("fingerprint"));
    let secret: &[u8] = &[0x5e; 16];
    let [alice, bob] = [peer(ALICE), peer(BOB)].map(|id| *id.as_bytes());
    let proof = [secret, &bob, &alice].concat();
    let label = "countersign/invite-proof/v1";
    add("proof", "secret, joiner (Bob), inviter (Alice)", label, &proof, Some("proof"));
    let commitment = [[0xb0; 16].as_slice(), &bob].concat();
    let label = "countersign/commitment/v1";
    add("commitment", "nonce, joiner", label, &commitment, Some("commitment"));
    let label = "countersign/invite-id/v1";
    add("invite-id", "the id is the first 16 bytes", label, secret, Some("invite-id"));
    add("words-zero", "22 zero bits are twice the first word", "", &[0; 3], Some("words"));
    add("words-one", "eleven one bits are the last word", "", &[0xff; 2], Some("words"));
}
