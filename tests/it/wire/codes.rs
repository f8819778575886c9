//! Vectors of short codes: words, frames, and one whole exchange.

use ciborium::Value;
use countersign::{
    base::{PeerId, Secret, limits},
    wire::{
        Code, cbor,
        code::exchange::{self, Claim, CodeFrame, Doors, MESSAGE_BYTES},
    },
};
use data_encoding::HEXLOWER;
use serde_json::{Value as Json, json};

use super::{
    cast::{ALICE, ALICE_HUMAN, BOB, BOB_HUMAN, approver, peer},
    vectors::{Vector, Vectors, packed},
};

const WORDS: &str = "copper violin harbor";
/// The seeds of SPAKE2's randomness; in use they are random and never shown.
const JOINER_SEED: u8 = 0x11;
const INVITER_SEED: u8 = 0x22;

pub(crate) fn decode(vector: &Vector) -> Result<Json, String> {
    match vector.given("derive").as_str() {
        None => frame(&vector.input()),
        Some("code") => words(&vector.input()),
        Some(_) => Ok(exchanged(vector)),
    }
}

fn frame(bytes: &[u8]) -> Result<Json, String> {
    Ok(match CodeFrame::decode(bytes).map_err(|e| e.to_string())? {
        CodeFrame::Start(message) => json!({ "start": packed(&message) }),
        CodeFrame::Reply(message) => json!({ "reply": packed(&message) }),
        CodeFrame::Confirm(sealed) => json!({ "confirm": packed(&sealed) }),
        CodeFrame::Invite(sealed) => json!({ "invite": packed(&sealed) }),
        CodeFrame::Wrong => json!("wrong"),
    })
}

fn words(text: &[u8]) -> Result<Json, String> {
    let text = str::from_utf8(text).map_err(|e| e.to_string())?;
    let code = Code::parse(text).map_err(|e| e.to_string())?;
    Ok(json!({
        "words": code.words(),
        "slot": HEXLOWER.encode(&code.slot()),
        "password": HEXLOWER.encode(code.password().expose_secret()),
    }))
}

/// All four frames, from the words, the two doors and the seeds.
fn exchanged(vector: &Vector) -> Json {
    let code = Code::parse(str::from_utf8(&vector.input()).unwrap()).unwrap();
    let door = |key| PeerId::from_slice(&vector.given_bytes(key)).unwrap();
    let seed = |key| Secret::new(vector.given_bytes(key).try_into().unwrap());
    let doors = Doors { joiner: door("joiner_door"), inviter: door("inviter_door") };
    let claim = |node, human| Claim { identity: peer(node), approver: approver(human).id() };
    let invite = vector.given("invite").as_str().unwrap().to_owned();

    let (asking, start) = exchange::ask(&code, doors, seed("joiner_seed")).unwrap();
    let answered = exchange::answer(&code, doors, &start, seed("inviter_seed")).unwrap();
    let (answering, reply) = answered;
    let (confirmed, confirm) = asking.confirm(&reply, &claim(BOB, BOB_HUMAN)).unwrap();
    let (who, giving) = answering.open(&confirm).unwrap();
    let given = giving.give(&claim(ALICE, ALICE_HUMAN), &Secret::new(invite.clone())).unwrap();
    let frames = [&start, &reply, &confirm, &given].map(|frame| packed(&frame.encode()));
    let opened = confirmed.open(&given).unwrap();
    assert_eq!(*opened.invite.expose_secret(), invite);
    json!({
        "frames": frames,
        "joiner": [who.identity.to_string(), who.approver.to_string()],
        "inviter": [opened.inviter.identity.to_string(), opened.inviter.approver.to_string()],
    })
}

pub(crate) fn make(v: &mut Vectors) {
    texts(v);
    frames(v);
    let given = json!({
        "derive": "exchange",
        "joiner_door": HEXLOWER.encode(peer(3).as_bytes()),
        "inviter_door": HEXLOWER.encode(peer(4).as_bytes()),
        "joiner_seed": HEXLOWER.encode(&[JOINER_SEED; 32]),
        "inviter_seed": HEXLOWER.encode(&[INVITER_SEED; 32]),
        "invite": "countersign1abc",
    });
    v.told(("code/exchange", "Bob uses a code of Alice's"), WORDS.as_bytes(), given, None);
}

fn texts(v: &mut Vectors) {
    let mut add = |id: &str, what: &str, text: &str, error: Option<&str>| {
        let given = json!({ "derive": "code" });
        v.told((&format!("code/{id}"), what), text.as_bytes(), given, error);
    };
    add("words", "a code", WORDS, None);
    add("typed", "the same, as somebody typed it", " COPP-violi,\tharb ", None);
    add("same-place", "another code that meets at the same place", "copper zoo zoo", None);
    add("first", "the first word of the list, three times", "abandon abandon abandon", None);
    add("two-words", "a word is missing", "copper violin", Some("a code is three words"));
    add("four-words", "a word too many", "copper violin harbor zoo", Some("a code is three words"));
    add(
        "several",
        "a beginning of several words",
        "cop violin harbor",
        Some("several words begin"),
    );
    add("no-word", "a word that is none", "coper violin harbor", Some("is no word of a code"));
}

fn frames(v: &mut Vectors) {
    let mut good = |id: &str, what: &str, frame: CodeFrame| {
        v.good(&format!("code/{id}"), what, &frame.encode());
    };
    good("start", "a start", CodeFrame::Start([1; MESSAGE_BYTES]));
    good("reply", "a reply", CodeFrame::Reply([2; MESSAGE_BYTES]));
    good("confirm", "a confirmation", CodeFrame::Confirm(vec![3; 100]));
    let most = limits::CODE_FRAME_BYTES_MAX - 6;
    good("invite-max", "an invite of the largest size", CodeFrame::Invite(vec![4; most]));
    good("wrong", "these were not the words", CodeFrame::Wrong);

    let mut bad = |id: &str, what: &str, parts: Vec<Value>, error: &str| {
        v.bad(&format!("code/{id}"), what, &cbor::encode(&Value::Array(parts)), error);
    };
    let body = |size| Value::from(vec![0_u8; size].as_slice());
    let one = || Value::from(1);
    bad("version-2", "version 2", vec![0.into(), 2.into(), body(33)], "version 2");
    bad("cut", "a part is missing", vec![0.into(), one()], "is cut short");
    bad("long", "a part too many", vec![0.into(), one(), body(33), one()], "the limit is 3");
    bad("message-32", "a message that is too short", vec![0.into(), one(), body(32)], "length");
    bad("message-34", "a message that is too long", vec![1.into(), one(), body(34)], "length");
    bad(
        "wrong-body",
        "a refusal that says more",
        vec![4.into(), one(), body(1)],
        "version 1 knows",
    );
    bad("unknown", "a frame of another type", vec![5.into(), one(), body(0)], "version 1 knows");
    bad("text", "a text for bytes", vec![2.into(), one(), "x".into()], "is not a byte string");
    let over = vec![3.into(), one(), body(most + 1)];
    bad("size-over", "a byte more than the largest", over, "the limit is 4352");
}
