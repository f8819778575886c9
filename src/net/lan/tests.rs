//! Bytes in, bytes out: who answers what, and to whom.

use super::{
    book::{Book, Door, Effect, Link, PORT},
    message::{self, Answer, Heard},
    names::{self, Days, Label},
    *,
};

const DAY: u32 = 20_000;
const LINK: Link = Link { address: Ipv4Addr::new(192, 0, 2, 1), prefix: 24 };
const SECRET: [u8; 32] = [7; 32];

fn id(byte: u8) -> PeerId {
    PeerId::from_bytes([byte; 32])
}

fn from(last: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, last), port)
}

/// Bob's, who knows Alice by their secret.
fn bob(now: Instant) -> Book {
    let mut book = Book::new(id(2), 4000, now);
    book.begin(hour(DAY, 12));
    book.know(id(1), Secret::new(SECRET));
    book
}

fn hour(day: u32, hour: u64) -> Days {
    Days::at((u64::from(day) * 24 + hour) * 3600)
}

fn asked(label: Label, unicast: bool) -> Vec<u8> {
    message::question(&label, unicast).unwrap()
}

fn bobs_name(day: u32) -> Label {
    names::peer(&SECRET, &id(2), &id(1), day)
}

fn said(effects: &[Effect]) -> (&[u8], Option<SocketAddrV4>) {
    match effects.first() {
        Some(Effect::Say { bytes, to }) => (bytes, *to),
        Some(Effect::Here(_)) | None => panic!("nothing was said: {effects:?}"),
    }
}

#[tokio::test]
async fn alice_finds_bob_and_bob_hears_of_alice() {
    let now = Instant::now();
    let mut alice = Book::new(id(1), 5000, now);
    alice.begin(hour(DAY, 12));
    assert_eq!(alice.name_of(&id(2)), None, "a peer without a secret has no name");
    alice.know(id(2), Secret::new(SECRET));
    let label = alice.name_of(&id(2)).unwrap();
    assert_eq!(label, bobs_name(DAY));
    let mut answers = alice.expect(label);
    let effects = bob(now).handle(&asked(label, true), from(9, PORT), LINK, now);
    assert_eq!(effects.last(), Some(&Effect::Here(id(1))));
    let (bytes, to) = said(&effects);
    assert_eq!(to, Some(from(9, PORT)));
    assert!(alice.handle(bytes, from(1, PORT), LINK, now).is_empty());
    let answer = answers.try_recv().unwrap();
    let (address, port) = (LINK.address, 4000);
    assert_eq!(answer, Answer { label, address, port, door: None });
    for bytes in [bytes, &asked(label, true)] {
        let text = [id(1), id(2)].map(|id| id.to_string());
        let seen = String::from_utf8_lossy(bytes).to_lowercase();
        assert!(!text.iter().any(|text| seen.contains(text)), "{seen}");
        for raw in [[1; 8], [2; 8], [7; 8]] {
            assert!(!bytes.windows(8).any(|window| window == raw));
        }
    }
}

#[tokio::test]
async fn a_name_that_is_not_known_is_not_answered() {
    let now = Instant::now();
    let mut bob = bob(now);
    let others = [
        names::peer(&[8; 32], &id(2), &id(1), DAY),
        names::peer(&SECRET, &id(1), &id(2), DAY),
        names::peer(&SECRET, &id(2), &id(3), DAY),
        bobs_name(DAY + 2),
        bobs_name(DAY - 2),
        names::slot(&Slot(SECRET)),
    ];
    for label in others {
        let effects = bob.handle(&asked(label, true), from(9, PORT), LINK, now);
        assert_eq!(effects, [], "{label:?}");
    }
    assert!(!bob.handle(&asked(bobs_name(DAY), true), from(9, PORT), LINK, now).is_empty());
    // Alice's clock may be behind or ahead, near midnight.
    for (days, seconds, said) in [
        (hour(DAY - 1, 23), 10, 2),
        (hour(DAY + 1, 0), 20, 2),
        (hour(DAY - 1, 22), 30, 0),
        (hour(DAY + 1, 1), 40, 0),
    ] {
        bob.begin(days);
        let later = now + seconds * limits::LAN_ANSWER_EVERY;
        let effects = bob.handle(&asked(bobs_name(DAY), true), from(9, PORT), LINK, later);
        assert_eq!(effects.len(), said, "{days:?}");
    }
    bob.begin(hour(DAY + 2, 12));
    let later = now + 50 * limits::LAN_ANSWER_EVERY;
    assert!(bob.handle(&asked(bobs_name(DAY), true), from(9, PORT), LINK, later).is_empty());
    bob.begin(hour(DAY, 12));
    bob.forget(&id(1));
    let later = now + 60 * limits::LAN_ANSWER_EVERY;
    assert!(bob.handle(&asked(bobs_name(DAY), true), from(9, PORT), LINK, later).is_empty());
}

#[tokio::test]
async fn an_answer_goes_to_all_to_one_or_to_another_port_as_it_was_asked() {
    for (unicast, port, to, id) in [
        (false, PORT, None, 0),
        (true, PORT, Some(from(9, PORT)), 0),
        // It may not share mDNS's port.
        (false, 40_000, Some(from(9, 40_000)), 77),
    ] {
        let now = Instant::now();
        let mut question = asked(bobs_name(DAY), unicast);
        question[1] = 77;
        let effects = bob(now).handle(&question, from(9, port), LINK, now);
        let (bytes, said_to) = said(&effects);
        assert_eq!(said_to, to);
        assert_eq!(u16::from_be_bytes([bytes[0], bytes[1]]), id);
    }
}

#[tokio::test]
async fn what_comes_from_another_network_is_dropped() {
    let now = Instant::now();
    let question = asked(bobs_name(DAY), true);
    let far = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 9), PORT);
    assert_eq!(bob(now).handle(&question, far, LINK, now), []);
    // Nor does an answer send us to one.
    let mut alice = Book::new(id(1), 5000, now);
    let mut answers = alice.expect(bobs_name(DAY));
    let answer = |address| Answer { label: bobs_name(DAY), address, port: 1, door: None };
    let said = message::answer(&answer(*far.ip()), None).unwrap();
    alice.handle(&said, from(1, PORT), LINK, now);
    assert!(answers.try_recv().is_err());
    let said = message::answer(&answer(Ipv4Addr::new(192, 0, 2, 77)), None).unwrap();
    // Nor does another machine's answer send us to a third one.
    for sender in [far, from(1, PORT)] {
        alice.handle(&said, sender, LINK, now);
        assert!(answers.try_recv().is_err(), "{sender}");
    }
    alice.handle(&said, from(77, PORT), LINK, now);
    assert!(answers.try_recv().is_ok());
    for (address, prefix, is_in) in [
        ([192, 0, 2, 255], 24, true),
        ([192, 0, 3, 1], 24, false),
        ([192, 0, 3, 1], 23, true),
        ([192, 0, 2, 1], 32, true),
        ([192, 0, 2, 2], 32, false),
        ([10, 0, 0, 1], 0, true),
    ] {
        let link = Link { address: LINK.address, prefix };
        assert_eq!(link.contains(Ipv4Addr::from(address)), is_in, "{address:?}/{prefix}");
    }
}

#[tokio::test]
async fn a_flood_is_answered_seldom_and_looked_at_no_longer() {
    let now = Instant::now();
    let mut bob = bob(now);
    let question = asked(bobs_name(DAY), true);
    let ask = |bob: &mut Book, now| bob.handle(&question, from(9, PORT), LINK, now).len();
    assert_eq!(ask(&mut bob, now), 2);
    // Once a second, whoever asks.
    assert_eq!(ask(&mut bob, now), 0);
    assert_eq!(ask(&mut bob, now + limits::LAN_ANSWER_EVERY), 1, "and dials her seldom");
    // More packets than a LAN has.
    let later = now + limits::LAN_HERE_EVERY;
    let other = asked(bobs_name(DAY + 2), true);
    for _ in 0..limits::LAN_HEARD_PER_S {
        bob.handle(&other, from(8, PORT), LINK, later);
    }
    assert_eq!(ask(&mut bob, later), 0);
    assert_eq!(ask(&mut bob, later + limits::LAN_ANSWER_EVERY), 2);
    // Many names at once: not more answers than we say in a second.
    let now = later + 9 * limits::LAN_ANSWER_EVERY;
    let slots: Vec<Slot> = (0..60).map(|byte| Slot([byte; 32])).collect();
    for slot in &slots {
        bob.put(slot, Some(Door { id: id(3), port: 6000 }));
    }
    let ask = |slot| bob.handle(&asked(names::slot(slot), true), from(9, PORT), LINK, now).len();
    let count: usize = slots.iter().map(ask).sum();
    assert_eq!(count, usize::try_from(limits::LAN_SAID_PER_S).unwrap());
}

#[tokio::test]
async fn who_waits_for_answers_gets_a_few_and_only_while_it_waits() {
    let now = Instant::now();
    let mut alice = Book::new(id(1), 5000, now);
    let mut answers = alice.expect(bobs_name(DAY));
    let answer = Answer { label: bobs_name(DAY), address: LINK.address, port: 1, door: None };
    let bytes = message::answer(&answer, None).unwrap();
    for _ in 0..9 {
        alice.handle(&bytes, from(1, PORT), LINK, now);
    }
    let got = std::iter::from_fn(|| answers.try_recv().ok()).count();
    assert_eq!(got, limits::LAN_ANSWERS_MAX);
    let other = Answer { label: bobs_name(DAY + 1), ..answer };
    alice.handle(&message::answer(&other, None).unwrap(), from(1, PORT), LINK, now);
    assert!(answers.try_recv().is_err());
}

#[tokio::test]
async fn a_door_in_a_slot_answers_while_it_is_there() {
    let now = Instant::now();
    let mut bob = bob(now);
    let slot = Slot([5; 32]);
    bob.put(&slot, Some(Door { id: id(3), port: 6000 }));
    let question = asked(names::slot(&slot), false);
    let effects = bob.handle(&question, from(9, PORT), LINK, now);
    assert_eq!(effects.len(), 1, "nobody is here whom we know: {effects:?}");
    let Some(Heard::Answers(answers)) = message::read(said(&effects).0) else { panic!() };
    let door = Some(id(3));
    let label = names::slot(&slot);
    assert_eq!(answers, [Answer { label, address: LINK.address, port: 6000, door }]);
    bob.put(&slot, None);
    let later = now + limits::LAN_ANSWER_EVERY;
    assert!(bob.handle(&question, from(9, PORT), LINK, later).is_empty());
}
