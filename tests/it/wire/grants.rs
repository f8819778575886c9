//! Vectors of grants: what a human may sign beforehand, and what is wider or of another form.

use ciborium::Value;
use countersign::{
    base::{ApproverId, GrantId, PeerId, Severity, Timestamp, limits},
    identity::Domain,
    wire::{Direction, Grant, GrantKind, Kind, SignedGrant, WireError, cbor},
};
use ed25519_dalek::Signer as _;
use serde_json::{Value as Json, json};

use super::{
    cast::{
        ALICE, ALICE_HUMAN, BOB, DAY_MS, MALLORY_HUMAN, NOW, approver, bare, flipped, identity,
        peer, set, unset,
    },
    vectors::{Vector, Vectors},
};

const RULE: &str = "secret.aws_access_key";

pub(crate) fn decode(vector: &Vector) -> Result<Json, String> {
    let approver = ApproverId::from_slice(&vector.given_bytes("approver")).ok_or("not a key")?;
    let signature = vector.given_bytes("signature").try_into().map_err(|_| "not a signature")?;
    let signed = SignedGrant { statement: vector.input(), signature };
    signed.open(&approver).map(|grant| shown(&grant)).map_err(|e| e.to_string())
}

pub(crate) fn shown(grant: &Grant) -> Json {
    let mut shown = json!({
        "id": grant.id,
        "node": grant.node,
        "kind": grant.kind,
        "peer": grant.peer,
        "direction": grant.direction,
        "rules": grant.rules,
        "severity_max": grant.severity_max,
        "size_bytes_max": grant.size_bytes_max,
        "messages_max": grant.messages_max,
        "from": grant.from,
        "until": grant.until,
    });
    // Absent is absent here as in the bytes.
    if !grant.kinds.is_empty() {
        shown["kinds"] = grant.kinds.iter().map(Kind::as_str).collect();
    }
    if let Some(per_hour_max) = grant.per_hour_max {
        shown["per_hour_max"] = per_hour_max.into();
    }
    shown
}

/// Alice's human lets one kind of secret go to Bob unasked, for a day.
pub(crate) fn unasked() -> Grant {
    Grant {
        id: GrantId::from_bytes([0x6a; 5]),
        node: peer(ALICE),
        kind: GrantKind::Unasked,
        peer: Some(peer(BOB)),
        direction: Direction::Out,
        rules: vec![RULE.to_owned()],
        severity_max: Severity::Critical,
        size_bytes_max: 4096,
        messages_max: 20,
        from: Timestamp::from_ms(NOW),
        until: Timestamp::from_ms(NOW + DAY_MS),
        kinds: Vec::new(),
        per_hour_max: None,
    }
}

/// Alice's human lets a client answer, about anything to anybody.
pub(crate) fn inline() -> Grant {
    Grant { kind: GrantKind::Inline, peer: None, rules: Vec::new(), ..unasked() }
}

/// A grant of exactly `size` bytes, by the names of its rules.
pub(crate) fn of_size(size: usize) -> Grant {
    let long = "r".repeat(2 * limits::KIND_BYTES_MAX);
    let grant = |last: usize| {
        let rules = [vec![long.clone(); 12], vec!["r".repeat(40), "r".repeat(last)]].concat();
        Grant { rules, ..unasked() }
    };
    // A name of 24 to 64 bytes takes two bytes more than it is long.
    let grant = grant(24 + size - grant(24).encode().len());
    assert_eq!(grant.encode().len(), size);
    grant
}

/// Signs bytes as Alice's human would sign a grant.
pub(crate) fn signed(statement: &[u8]) -> SignedGrant {
    signed_by(ALICE_HUMAN, statement)
}

/// Signs bytes as a grant, whatever they are.
pub(crate) fn signed_by(human: u8, statement: &[u8]) -> SignedGrant {
    let signature = approver(human).sign(Domain::Grant, statement);
    SignedGrant { statement: statement.to_vec(), signature }
}

/// The unasked grant as CBOR pairs.
fn pairs() -> Vec<(Value, Value)> {
    cbor::decode("grant", &unasked().encode(), 1024).unwrap().into_map().unwrap()
}

/// The unasked grant with one field set or added.
pub(crate) fn with(key: i64, value: impl Into<Value>) -> Vec<u8> {
    let mut pairs = pairs();
    set(&mut pairs, key, value);
    cbor::encode(&Value::Map(pairs))
}

fn without(key: i64) -> Vec<u8> {
    let mut pairs = pairs();
    unset(&mut pairs, key);
    cbor::encode(&Value::Map(pairs))
}

pub(crate) fn make(v: &mut Vectors) {
    good(v);
    fields(v);
    names(v);
    widths(v);
    encodings(v);
    signatures(v);
}

fn add(
    v: &mut Vectors,
    (id, what): (&str, &str),
    statement: &[u8],
    signature: &[u8],
    error: Option<&str>,
) {
    let signature = data_encoding::HEXLOWER.encode(signature);
    let given = json!({ "approver": approver(ALICE_HUMAN).id(), "signature": signature });
    v.told((&format!("grant/{id}"), what), statement, given, error);
}

/// A bad one, well signed: the fault is in the bytes.
fn bad(v: &mut Vectors, (id, what, error): (&str, &str, &str), statement: &[u8]) {
    add(v, (id, what), statement, &signed(statement).signature, Some(error));
}

fn good(v: &mut Vectors) {
    let until = |ms: u64| Timestamp::from_ms(NOW + ms);
    let five = ["info", "low", "medium", "high", "critical"];
    let severities = five.map(|name| Severity::parse(name).unwrap());
    let names = vec!["r".repeat(64), String::new(), "clock.ahead".to_owned()];
    let rules: Vec<String> = (0..16).map(|n| format!("secret.rule_{n}")).collect();
    let kinds = |names: &[&str]| names.iter().map(|name| Kind::parse(name)).collect();
    let last = (Timestamp::from_ms(u64::MAX - 1), Timestamp::from_ms(u64::MAX));
    for (id, what, grant) in [
        ("unasked", "one kind of secret to one peer for a day", unasked()),
        ("unasked-in", "the same, from that peer", Grant { direction: Direction::In, ..unasked() }),
        ("inline", "a client may answer about anything to anybody", inline()),
        ("inline-peer", "to one peer", Grant { peer: Some(peer(BOB)), ..inline() }),
        ("inline-rules", "about one rule", Grant { rules: unasked().rules, ..inline() }),
        ("life-max", "30 days", Grant { until: until(30 * DAY_MS), ..unasked() }),
        ("life-least", "a millisecond", Grant { until: until(1), ..unasked() }),
        ("last-time", "at the end of time", Grant { from: last.0, until: last.1, ..unasked() }),
        ("messages-least", "one message", Grant { messages_max: 1, ..unasked() }),
        ("messages-max", "1000 messages", Grant { messages_max: 1000, ..unasked() }),
        ("text-least", "no text is small enough", Grant { size_bytes_max: 0, ..unasked() }),
        ("text-any", "any size", Grant { size_bytes_max: u64::MAX, ..unasked() }),
        ("rules-max", "16 rules", Grant { rules, ..unasked() }),
        ("rule-names", "names of 64 bytes and of none", Grant { rules: names, ..unasked() }),
        ("size-max", "1024 bytes", of_size(1024)),
        ("kinds-one", "texts alone", Grant { kinds: kinds(&["text"]), ..unasked() }),
        (
            "kinds-all",
            "all three, in an order of its own",
            Grant { kinds: kinds(&["reply", "text", "request"]), ..unasked() },
        ),
        ("inline-kinds", "a client, requests", Grant { kinds: kinds(&["request"]), ..inline() }),
        ("hour-least", "one an hour", Grant { per_hour_max: Some(1), ..unasked() }),
        ("hour-max", "1000 an hour", Grant { per_hour_max: Some(1000), ..unasked() }),
        (
            "kinds-and-hour",
            "replies, five an hour",
            Grant { kinds: kinds(&["reply"]), per_hour_max: Some(5), ..unasked() },
        ),
    ] {
        let by = grant.sign(&approver(ALICE_HUMAN)).unwrap();
        add(v, (id, what), &by.statement, &by.signature, None);
    }
    for severity_max in severities {
        let by = Grant { severity_max, ..unasked() }.sign(&approver(ALICE_HUMAN)).unwrap();
        let (id, name) = (format!("severity-{}", severity_max.as_str()), severity_max.as_str());
        add(v, (&id, &format!("up to {name}")), &by.statement, &by.signature, None);
    }
}

fn fields(v: &mut Vectors) {
    let named = [
        (1, "version"),
        (2, "id"),
        (3, "node"),
        (4, "kind"),
        (6, "direction"),
        (7, "rules"),
        (8, "severity"),
        (9, "size"),
        (10, "messages"),
        (11, "from"),
        (12, "until"),
    ];
    for (key, name) in named {
        let (id, what) = (format!("{name}-missing"), format!("no {name}"));
        bad(v, (&id, &what, "is missing"), &without(key));
    }
    for (key, name) in named.into_iter().filter(|(key, _)| *key == 1 || *key > 8) {
        let error = format!("{name}: is not an unsigned integer");
        let (id, what) = (format!("{name}-negative"), format!("{name} is negative"));
        bad(v, (&id, &what, &error), &with(key, -1));
        let (id, what) = (format!("{name}-text"), format!("{name} is a text"));
        bad(v, (&id, &what, &error), &with(key, "1"));
    }
    for (key, name, length) in [
        (2, "id", 4),
        (2, "id", 6),
        (3, "node", 31),
        (3, "node", 33),
        (5, "peer", 31),
        (5, "peer", 33),
    ] {
        let (id, what) = (format!("{name}-{length}"), format!("{name} of {length} bytes"));
        bad(v, (&id, &what, "has the wrong length"), &with(key, vec![1; length]));
    }
    for (id, what, error, statement) in [
        ("version-0", "version 0", "version 0 is not spoken here", with(1, 0)),
        ("version-2", "version 2", "version 2 is not spoken here", with(1, 2)),
        ("id-text", "the id is a text", "grant id: is not a byte string", with(2, "abcde")),
        ("peer-null", "the peer is null", "peer: is not a byte string", with(5, Value::Null)),
        ("field-0", "a field before the first", "a field that version 1", unknown_first()),
        ("field-15", "a fifteenth field", "a field that version 1", with(15, 1)),
    ] {
        bad(v, (id, what, error), &statement);
    }
}

/// With a key 0, in its place.
fn unknown_first() -> Vec<u8> {
    let all = [vec![(0.into(), 1.into())], pairs()].concat();
    cbor::encode(&Value::Map(all))
}

fn names(v: &mut Vectors) {
    let kind = "kind: is neither unasked nor inline";
    let direction = "direction: is neither out nor in";
    let severity = "severity: is not one that version 1 knows";
    let rules = |names: Vec<Value>| with(7, Value::Array(names));
    let kinds = |names: &[&str]| {
        with(13, Value::Array(names.iter().map(|name| Value::from(*name)).collect()))
    };
    let of = "kinds: is not of text, request and reply, each once";
    let four = ["text", "request", "reply", "text"];
    let many: Vec<Value> = (0..17).map(|n| format!("rule.{n}").into()).collect();
    for (id, what, error, statement) in [
        ("kind-unknown", "an unknown kind", kind, with(4, "always")),
        ("kind-empty", "an empty kind", kind, with(4, "")),
        ("kind-upper", "a kind in upper case", kind, with(4, "Unasked")),
        ("kind-over", "a kind of 33 bytes", "the limit is 32", with(4, "k".repeat(33))),
        ("kind-number", "the kind is a number", "kind: is not a text", with(4, 1)),
        ("direction-both", "both ways", direction, with(6, "both")),
        ("direction-over", "of 33 bytes", "the limit is 32", with(6, "d".repeat(33))),
        ("direction-bool", "the direction is true", "direction: is not a text", with(6, true)),
        ("severity-unknown", "an unknown severity", severity, with(8, "worst")),
        ("severity-upper", "a severity in upper case", severity, with(8, "High")),
        ("severity-over", "of 33 bytes", "the limit is 32", with(8, "s".repeat(33))),
        ("severity-number", "the severity is a number", "severity: is not a text", with(8, 4)),
        ("kinds-none", "no kinds", "kinds: is an empty array", kinds(&[])),
        ("kinds-twice", "a kind twice", of, kinds(&["text", "reply", "text"])),
        ("kinds-over", "four kinds", "kinds is 4 bytes; the limit is 3", kinds(&four)),
        ("kinds-unknown", "an unknown kind of message", of, kinds(&["file"])),
        ("kinds-receipt", "receipts", of, kinds(&["receipt"])),
        ("kinds-upper", "a kind in upper case", of, kinds(&["Text"])),
        ("kinds-long", "of 33 bytes", "the limit is 32", kinds(&[&"k".repeat(33)])),
        ("kinds-text", "the kinds are a text", "kinds: is not an array", with(13, "text")),
        ("kinds-null", "the kinds are null", "kinds: is not an array", with(13, Value::Null)),
        ("hour-text", "the rate is a text", "per hour: is not an unsigned", with(14, "5")),
        ("hour-null", "the rate is null", "per hour: is not an unsigned", with(14, Value::Null)),
        ("hour-negative", "the rate is negative", "per hour: is not an unsigned", with(14, -1)),
        ("rules-over", "17 rules", "rules is 17 bytes; the limit is 16", rules(many)),
        ("rules-text", "the rules are a text", "rules: is not an array", with(7, RULE)),
        ("rules-null", "the rules are null", "rules: is not an array", with(7, Value::Null)),
        ("rule-number", "a rule is a number", "rules: is not a text", rules(vec![1.into()])),
        ("rule-over", "of 65 bytes", "the limit is 64", rules(vec!["r".repeat(65).into()])),
    ] {
        bad(v, (id, what, error), &statement);
    }
}

fn widths(v: &mut Vectors) {
    let open = "grant: names no peer or no rule";
    let at = |ms: u64| Timestamp::from_ms(ms);
    let over = at(NOW + 30 * DAY_MS + 1);
    let last = at(u64::MAX);
    let (order, long) = ("until: is not after from", "until: is over 30 days after from");
    let rate = "per hour: is not 1 to 1000";
    let (count, way) = ("messages: is not 1 to 1000", "direction: is in, and a client");
    for (id, what, error, grant) in [
        ("unasked-no-peer", "every peer, unasked", open, Grant { peer: None, ..unasked() }),
        ("unasked-no-rules", "every rule, unasked", open, Grant { rules: vec![], ..unasked() }),
        (
            "unasked-open",
            "everything, unasked",
            open,
            Grant { kind: GrantKind::Unasked, ..inline() },
        ),
        ("inline-in", "a client, what comes", way, Grant { direction: Direction::In, ..inline() }),
        ("life-none", "until is from", order, Grant { until: unasked().from, ..unasked() }),
        ("life-negative", "until is before from", order, Grant { until: at(NOW - 1), ..unasked() }),
        ("life-over", "30 days and a millisecond", long, Grant { until: over, ..unasked() }),
        ("life-endless", "to the end of time", long, Grant { until: last, ..unasked() }),
        ("inline-life-over", "a client, too long", long, Grant { until: over, ..inline() }),
        ("inline-life-none", "a client, no time", order, Grant { until: at(NOW), ..inline() }),
        ("messages-none", "no messages", count, Grant { messages_max: 0, ..unasked() }),
        ("messages-over", "1001 messages", count, Grant { messages_max: 1001, ..unasked() }),
        ("hour-none", "none an hour", rate, Grant { per_hour_max: Some(0), ..unasked() }),
        ("hour-over", "1001 an hour", rate, Grant { per_hour_max: Some(1001), ..unasked() }),
        ("inline-messages-none", "a client, none", count, Grant { messages_max: 0, ..inline() }),
        ("inline-messages-over", "a client, 1001", count, Grant { messages_max: 1001, ..inline() }),
    ] {
        assert!(grant.sign(&approver(ALICE_HUMAN)).is_err(), "{id}: the product signs none such");
        bad(v, (id, what, error), &grant.encode());
    }
    let over = of_size(1025).encode();
    bad(v, ("size-over", "1025 bytes", "grant is 1025 bytes; the limit is 1024"), &over);
}

fn encodings(v: &mut Vectors) {
    let good = unasked().encode();
    assert_eq!(good[..3], [0xac, 0x01, 0x01]);
    let shortest = "not the shortest form";
    let order = "map keys out of order or doubled";
    let mut swapped = pairs();
    swapped.swap(10, 11);
    for (id, what, error, statement) in [
        ("nothing", "no bytes", "not valid CBOR", Vec::new()),
        ("array", "an array", "grant: is not a map", vec![0x80]),
        ("trailing", "a byte after the end", "bytes after", [good.as_slice(), &[0]].concat()),
        ("cut", "the last byte is missing", "not valid CBOR", good[..good.len() - 1].to_vec()),
        ("version-long", "1 in two bytes", shortest, [&[0xac, 1, 0x18, 1], &good[3..]].concat()),
        ("map-long", "a length in a byte more", shortest, [&[0xb8, 12], &good[1..]].concat()),
        ("indefinite", "no length", shortest, [&[0xbf], &good[1..], &[0xff]].concat()),
        ("doubled", "the version twice", order, [&[0xad, 1, 1, 1, 1], &good[3..]].concat()),
        ("unordered", "until before from", order, cbor::encode(&Value::Map(swapped))),
        ("float", "20.0 messages", "floats, tags and undefined", with(10, 20.0)),
        ("tagged", "a tag", "floats, tags and undefined", [&[0xc1], good.as_slice()].concat()),
    ] {
        bad(v, (id, what, error), &statement);
    }
}

/// Good grants, and signatures that are not the human's on them.
fn signatures(v: &mut Vectors) {
    let grant = unasked().encode();
    let human = approver(ALICE_HUMAN);
    let good = signed(&grant).signature;
    let refused = Some("the signature does not verify");
    for (id, what, signature) in [
        ("by-another", "by another approver", signed_by(MALLORY_HUMAN, &grant).signature),
        ("by-the-node", "by the node itself", identity(ALICE).sign(Domain::Grant, &grant)),
        ("as-decision", "signed as a decision", human.sign(Domain::Decision, &grant)),
        ("as-consent", "signed as a consent", human.sign(Domain::Consent, &grant)),
        ("no-label", "over the bytes alone", bare(ALICE_HUMAN).sign(&grant).to_bytes()),
        ("of-another", "made for another grant", signed(&inline().encode()).signature),
        ("flipped", "a bit is turned", flipped(&good, 70).try_into().unwrap()),
    ] {
        add(v, (&format!("signature-{id}"), what), &grant, &signature, refused);
    }
    let wider = with(10, 1000);
    add(v, ("signature-widened", "made wider after it was signed"), &wider, &good, refused);
}

#[test]
fn a_grant_that_no_node_would_read_is_not_signed() {
    let human = approver(ALICE_HUMAN);
    let over = of_size(limits::GRANT_BYTES_MAX + 1).sign(&human);
    assert!(matches!(over, Err(WireError::TooLarge { what: "grant", .. })));
    let long = Grant { rules: vec!["r".repeat(2 * limits::KIND_BYTES_MAX + 1)], ..unasked() };
    assert!(matches!(long.sign(&human), Err(WireError::TooLarge { what: "rules", .. })));
    let many = Grant { rules: vec!["r".to_owned(); limits::GRANT_RULES_MAX + 1], ..unasked() };
    assert!(matches!(many.sign(&human), Err(WireError::TooLarge { what: "rules", .. })));
    assert!(of_size(limits::GRANT_BYTES_MAX).sign(&human).is_ok());
}

#[test]
fn a_grant_says_nothing_about_the_keys_that_it_names() {
    // Neither is used as a key: both are only ever compared with keys that were checked.
    let weak = PeerId::from_bytes([0; 32]);
    let grant = Grant { node: weak, peer: Some(weak), ..unasked() };
    assert_eq!(Grant::decode(&grant.encode()), Ok(grant));
}
