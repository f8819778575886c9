//! Every record of the format, at random within its bounds.

use countersign::{
    base::{
        ApproverId, ClaimedName, Digest, GrantId, InviteId, MessageId, MessageText, Note, PeerId,
        Secret, SessionName, Severity, ThreadId, Timestamp, limits,
    },
    wire::{
        Body, ChainHead, ConsentRecord, Direction, Draft, Frame, Grant, GrantKind, Header, Hello,
        Invite, Kind, Method, PairFrame, Party, Receipt, ReceiptState, cbor,
        message::ReceiptEntry,
        pair::{Answer, EndReason, Knock},
    },
};
use proptest::{collection::vec, option, prelude::*, sample::subsequence};

use super::cast::{approver, peer};

pub(crate) fn peers() -> impl Strategy<Value = PeerId> {
    any::<u8>().prop_map(peer)
}

pub(crate) fn approvers() -> impl Strategy<Value = ApproverId> {
    any::<u8>().prop_map(|seed| approver(seed).id())
}

pub(crate) fn times() -> impl Strategy<Value = Timestamp> {
    prop_oneof![any::<u64>(), 0..3_000_000_000_000_u64].prop_map(Timestamp::from_ms)
}

fn digests() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn names() -> impl Strategy<Value = ClaimedName> {
    "\\PC{1,16}".prop_filter_map("a name", |text| ClaimedName::parse(&text).ok())
}

fn notes() -> impl Strategy<Value = Note> {
    "\\PC{1,50}".prop_filter_map("a note", |text| Note::parse(&text).ok())
}

fn texts() -> impl Strategy<Value = MessageText> {
    "(?s).{1,300}".prop_filter_map("a text", |text| MessageText::parse(&text).ok())
}

/// Any value of the format, its maps in order, at most four levels deep.
fn values() -> impl Strategy<Value = ciborium::Value> {
    use ciborium::Value;
    let leaf = prop_oneof![
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        "(?s).{0,20}".prop_map(Value::from),
        vec(any::<u8>(), 0..20).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let ordered = |mut pairs: Vec<(Value, Value)>| {
            pairs.sort_by_key(|(key, _)| cbor::encode(key));
            pairs.dedup_by_key(|(key, _)| cbor::encode(key));
            Value::Map(pairs)
        };
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((inner.clone(), inner), 0..4).prop_map(ordered),
        ]
    })
}

pub(crate) fn encoded_values() -> impl Strategy<Value = Vec<u8>> {
    values().prop_map(|value| cbor::encode(&value))
}

pub(crate) fn receipts() -> impl Strategy<Value = Receipt> {
    let state = prop::sample::select(vec![
        ReceiptState::Delivered,
        ReceiptState::HeldByPeer,
        ReceiptState::Accepted,
        ReceiptState::Read,
        ReceiptState::Refused,
        ReceiptState::Busy,
    ]);
    let entry = (any::<[u8; 16]>(), digests(), state, times(), option::of("(?s).{0,40}"));
    let entry = entry.prop_map(|(id, digest, state, at, reason)| ReceiptEntry {
        id: MessageId::from_bytes(id),
        digest,
        state,
        at,
        reason,
    });
    let head = || {
        let head = (1..=ChainHead::NUMBER_MAX, digests());
        option::of(head.prop_map(|(number, hash)| ChainHead { number, hash }))
    };
    let all = (vec(entry, 1..20), head(), head());
    all.prop_map(|(entries, head, echo)| Receipt { entries, head, echo })
}

fn contents() -> impl Strategy<Value = (Kind, Body)> {
    let plain = prop::sample::select(vec![Kind::Text, Kind::Request, Kind::Reply]);
    prop_oneof![
        (plain, texts().prop_map(Body::Text)),
        (Just(Kind::Receipt), receipts().prop_map(Body::Receipt)),
        ("later[a-z0-9._]{0,27}", encoded_values())
            .prop_map(|(kind, body)| (Kind::Unknown(kind), Body::Unknown(body))),
    ]
}

/// A draft, with the seed of its sender.
pub(crate) fn drafts() -> impl Strategy<Value = (u8, Draft)> {
    let life = 1..=u64::try_from(limits::EXPIRY_MAX.as_millis()).unwrap();
    let ids = (any::<[u8; 16]>(), option::of(any::<[u8; 16]>()), option::of(any::<[u8; 16]>()));
    let created = 0..u64::MAX / 2;
    let session = "[a-z0-9._-]{1,32}".prop_map(|name| SessionName::parse(&name).unwrap());
    let who = (any::<u8>(), peers(), any::<bool>(), option::of(session));
    (who, contents(), ids, created, life).prop_map(
        |(
            (seed, recipient, human, session),
            (kind, body),
            (id, thread, reply_to),
            created,
            life,
        )| {
            let header = Header {
                kind,
                id: MessageId::from_bytes(id),
                sender: peer(seed),
                recipient,
                created: Timestamp::from_ms(created),
                expires: Timestamp::from_ms(created + life),
                thread: thread.map(ThreadId::from_bytes),
                reply_to: reply_to.map(MessageId::from_bytes),
                human,
                session,
            };
            (seed, Draft { header, body })
        },
    )
}

/// The methods of a human's own.
pub(crate) fn methods() -> impl Strategy<Value = Method> {
    prop::sample::select(vec![Method::Passphrase, Method::Passkey, Method::Session])
}

fn severities() -> impl Strategy<Value = Severity> {
    prop::sample::select(vec![
        Severity::Info,
        Severity::Low,
        Severity::Medium,
        Severity::High,
        Severity::Critical,
    ])
}

/// A grant that is no wider than it may be.
pub(crate) fn grants() -> impl Strategy<Value = Grant> {
    let life = 1..=u64::try_from(limits::GRANT_LIFE_MAX.as_millis()).unwrap();
    let rule = "[a-z_.]{0,32}";
    let unasked = (peers(), any::<bool>(), vec(rule, 1..=limits::GRANT_RULES_MAX));
    let unasked = unasked.prop_map(|(peer, out, rules)| {
        let direction = if out { Direction::Out } else { Direction::In };
        (GrantKind::Unasked, Some(peer), direction, rules)
    });
    let inline = (option::of(peers()), vec(rule, 0..=limits::GRANT_RULES_MAX))
        .prop_map(|(peer, rules)| (GrantKind::Inline, peer, Direction::Out, rules));
    let bounds = (severities(), any::<u64>(), 1..=limits::GRANT_MESSAGES_MAX);
    let from = 0..u64::MAX / 2;
    let kinds = subsequence(vec![Kind::Text, Kind::Request, Kind::Reply], 0..=3);
    let narrow = (kinds, option::of(1..=limits::GRANT_MESSAGES_MAX));
    let time = (from, life, narrow);
    (any::<[u8; 5]>(), peers(), prop_oneof![unasked, inline], bounds, time).prop_map(
        |(id, node, (kind, peer, direction, rules), bounds, (from, life, narrow))| Grant {
            id: GrantId::from_bytes(id),
            node,
            kind,
            peer,
            direction,
            rules,
            severity_max: bounds.0,
            size_bytes_max: bounds.1,
            messages_max: bounds.2,
            from: Timestamp::from_ms(from),
            until: Timestamp::from_ms(from + life),
            kinds: narrow.0,
            per_hour_max: narrow.1,
        },
    )
}

pub(crate) fn addresses() -> impl Strategy<Value = Vec<String>> {
    vec("\\PC{0,30}", 0..=limits::ADDRESSES_MAX)
}

pub(crate) fn frames() -> impl Strategy<Value = Frame> {
    let features = vec("[a-z]{0,32}", 0..=limits::FEATURES_MAX);
    let bytes = || vec(any::<u8>(), 0..200);
    prop_oneof![
        (approvers(), features, addresses()).prop_map(|(approver, features, addresses)| {
            Frame::Hello(Hello { approver, features, addresses })
        }),
        any::<u64>().prop_map(Frame::Ping),
        any::<u64>().prop_map(Frame::Pong),
        (any::<u64>(), bytes()).prop_map(|(seq, envelope)| Frame::Data { seq, envelope }),
        (any::<u64>(), option::of(bytes()))
            .prop_map(|(upto, receipt)| Frame::Ack { upto, receipt }),
        (5..=u64::MAX).prop_map(Frame::Unknown),
    ]
}

pub(crate) fn pair_frames() -> impl Strategy<Value = PairFrame> {
    let end =
        prop::sample::select(vec![EndReason::NoInvite, EndReason::Denied, EndReason::Protocol]);
    let knock = (digests(), digests(), approvers(), names(), times());
    let knock = knock.prop_map(|(proof, commitment, approver, name, created)| {
        PairFrame::Knock(Knock { proof, commitment, approver, name, created })
    });
    let answer = (approvers(), names(), any::<[u8; 16]>());
    let answer = answer
        .prop_map(|(approver, name, nonce)| PairFrame::Answer(Answer { approver, name, nonce }));
    let consent = (digests(), any::<[u8; 32]>(), any::<[u8; 32]>(), option::of(notes()));
    let consent = consent.prop_map(|(record, r, s, note)| {
        let signature = [r, s].concat().try_into().unwrap();
        PairFrame::Consent { record, signature, note }
    });
    prop_oneof![
        knock,
        answer,
        any::<[u8; 16]>().prop_map(PairFrame::Reveal),
        consent,
        digests().prop_map(PairFrame::ConsentKept),
        end.prop_map(PairFrame::End),
        (6..=u64::MAX).prop_map(PairFrame::Unknown),
    ]
}

pub(crate) fn records() -> impl Strategy<Value = ConsentRecord> {
    let party = |identity: PeerId| {
        let rest = (approvers(), names(), any::<[u8; 16]>());
        rest.prop_map(move |(approver, name, nonce)| Party { identity, approver, name, nonce })
    };
    let two = (any::<u8>(), 1..=255_u8).prop_map(|(one, more)| (one, one.wrapping_add(more)));
    let parties = two.prop_flat_map(move |(one, two)| (party(peer(one)), party(peer(two))));
    (any::<[u8; 16]>(), times(), parties).prop_map(|(invite, created, (inviter, joiner))| {
        ConsentRecord { invite: InviteId::from_bytes(invite), created, inviter, joiner }
    })
}

/// What an invite is made of. The invite itself holds a secret and cannot be printed.
#[derive(Clone, Debug)]
pub(crate) struct InviteParts(PeerId, [u8; 16], Vec<String>, [u8; 16], Timestamp);

impl InviteParts {
    pub(crate) fn invite(self) -> Invite {
        let Self(inviter, approver, addresses, secret, expires) = self;
        Invite { inviter, approver, addresses, secret: Secret::new(secret), expires }
    }
}

pub(crate) fn invite_parts() -> impl Strategy<Value = InviteParts> {
    let expires = (1..=u64::MAX).prop_map(Timestamp::from_ms);
    (peers(), any::<[u8; 16]>(), addresses(), any::<[u8; 16]>(), expires)
        .prop_map(|(a, b, c, d, e)| InviteParts(a, b, c, d, e))
}
