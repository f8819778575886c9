use super::*;
use crate::identity::{ApproverKey, IdentityKey};

fn seed(n: u8) -> Secret<[u8; 32]> {
    Secret::new([n; 32])
}

fn id(n: u8) -> PeerId {
    IdentityKey::from_seed(&seed(n)).id()
}

fn claim(n: u8) -> Claim {
    Claim { identity: id(n), approver: ApproverKey::from_seed(&seed(n + 100)).id() }
}

fn doors() -> Doors {
    Doors { joiner: id(1), inviter: id(2) }
}

const JOINER: u8 = 3;
const INVITER: u8 = 4;
const WORDS: &str = "copper violin harbor";
const INVITE: &str = "countersign1abc";

fn code(text: &str) -> Code {
    Code::parse(text).unwrap()
}

fn invite() -> Secret<String> {
    Secret::new(INVITE.to_owned())
}

/// Runs an exchange in which each frame goes through `pass` on its way, with its number.
fn exchange(
    (theirs, ours): (&str, &str),
    (at_joiner, at_inviter): (Doors, Doors),
    pass: impl Fn(usize, CodeFrame) -> CodeFrame,
) -> (Result<Claim, ExchangeError>, Result<Given, ExchangeError>) {
    let (asking, start) = ask(&code(theirs), at_joiner, seed(7)).unwrap();
    let answered = answer(&code(ours), at_inviter, &pass(0, start), seed(8));
    let (answering, reply) = match answered {
        Ok(answered) => answered,
        Err(error) => return (Err(error.clone()), Err(error)),
    };
    let (confirmed, confirm) = match asking.confirm(&pass(1, reply), &claim(JOINER)) {
        Ok(confirmed) => confirmed,
        Err(error) => return (Err(error.clone()), Err(error)),
    };
    let (heard, giving) = match answering.open(&pass(2, confirm)) {
        Ok(opened) => opened,
        Err(error) => return (Err(error.clone()), Err(error)),
    };
    let given = giving.give(&claim(INVITER), &invite()).unwrap();
    (Ok(heard), confirmed.open(&pass(3, given)))
}

fn untouched(_: usize, frame: CodeFrame) -> CodeFrame {
    CodeFrame::decode(&frame.encode()).unwrap()
}

#[test]
fn the_same_words_give_each_side_the_other_and_the_invite() {
    let typed = "COPP-violin harb";
    let (heard, given) = exchange((typed, WORDS), (doors(), doors()), untouched);
    assert_eq!(heard, Ok(claim(JOINER)));
    let given = given.unwrap();
    assert_eq!(given.inviter, claim(INVITER));
    assert_eq!(given.invite.expose_secret(), INVITE);
}

#[test]
fn one_wrong_word_opens_nothing() {
    let guesses =
        ["copper violin zoo", "copper zoo harbor", "zoo violin harbor", "copper harbor violin"];
    for guess in guesses {
        let (heard, given) = exchange((guess, WORDS), (doors(), doors()), untouched);
        assert_eq!(heard, Err(ExchangeError::Wrong), "{guess}");
        assert!(given.is_err());
    }
}

#[test]
fn an_exchange_is_bound_to_the_two_endpoints_that_met() {
    let mallory = id(9);
    let as_joiner = Doors { inviter: mallory, ..doors() };
    let as_inviter = Doors { joiner: mallory, ..doors() };
    let swapped = Doors { joiner: id(2), inviter: id(1) };
    for seen in [(as_joiner, doors()), (doors(), as_inviter), (as_joiner, as_inviter)] {
        let (heard, _) = exchange((WORDS, WORDS), seen, untouched);
        assert_eq!(heard, Err(ExchangeError::Wrong), "somebody carries it between two doors");
    }
    let (heard, _) = exchange((WORDS, WORDS), (swapped, doors()), untouched);
    assert_eq!(heard, Err(ExchangeError::Wrong));
}

#[test]
fn no_bit_of_any_frame_can_be_changed() {
    let lengths = std::cell::RefCell::new([0; 4]);
    exchange((WORDS, WORDS), (doors(), doors()), |number, frame| {
        lengths.borrow_mut()[number] = frame.encode().len();
        frame
    })
    .1
    .unwrap();
    for (number, length) in lengths.into_inner().into_iter().enumerate() {
        for at in 0..length {
            for bit in [1, 0x80] {
                let (_, given) = exchange((WORDS, WORDS), (doors(), doors()), |now, frame| {
                    if now != number {
                        return frame;
                    }
                    let mut bytes = frame.encode();
                    bytes[at] ^= bit;
                    CodeFrame::decode(&bytes).unwrap_or(CodeFrame::Wrong)
                });
                assert!(given.is_err(), "frame {number}, byte {at}, bit {bit}");
            }
        }
    }
}

#[test]
fn roles_cannot_be_swapped_and_nothing_is_played_back() {
    let (asking, start) = ask(&code(WORDS), doors(), seed(7)).unwrap();
    let CodeFrame::Start(message) = start else { panic!("a start") };
    // The joiner's own message, sent back as an answer.
    assert!(asking.confirm(&CodeFrame::Reply(message), &claim(JOINER)).is_err());
    let (_, reply) = answer(&code(WORDS), doors(), &CodeFrame::Start(message), seed(8)).unwrap();
    let CodeFrame::Reply(theirs) = reply else { panic!("a reply") };
    assert!(answer(&code(WORDS), doors(), &CodeFrame::Start(theirs), seed(8)).is_err());
    // A confirmation of one exchange, in another.
    let kept = std::cell::RefCell::new(None);
    exchange((WORDS, WORDS), (doors(), doors()), |number, frame| {
        if number == 2 {
            *kept.borrow_mut() = Some(frame.clone());
        }
        frame
    })
    .1
    .unwrap();
    let (again, _) = answer(&code(WORDS), doors(), &CodeFrame::Start(message), seed(99)).unwrap();
    assert_eq!(again.open(&kept.take().unwrap()).err(), Some(ExchangeError::Wrong));
}

#[test]
fn a_box_of_one_side_is_not_taken_for_the_others() {
    let (asking, start) = ask(&code(WORDS), doors(), seed(7)).unwrap();
    let (_, reply) = answer(&code(WORDS), doors(), &start, seed(8)).unwrap();
    let (confirmed, CodeFrame::Confirm(sealed)) = asking.confirm(&reply, &claim(JOINER)).unwrap()
    else {
        panic!("a confirmation")
    };
    assert_eq!(confirmed.open(&CodeFrame::Invite(sealed)).err(), Some(ExchangeError::Wrong));
}

#[test]
fn a_thousand_guesses_of_the_other_two_words_open_nothing() {
    let list = super::super::word_list();
    let guesses = list.iter().zip(list.iter().rev()).take(1000);
    let mut wrong = 0;
    for (second, third) in guesses {
        let guess = format!("copper {second} {third}");
        assert_ne!(guess, WORDS);
        let (heard, given) = exchange((&guess, WORDS), (doors(), doors()), untouched);
        assert!(given.is_err());
        wrong += usize::from(heard == Err(ExchangeError::Wrong));
    }
    assert_eq!(wrong, 1000);
}

#[test]
fn frames_are_bounded_and_of_this_version() {
    let good = CodeFrame::Start([1; MESSAGE_BYTES]).encode();
    assert!(CodeFrame::decode(&good).is_ok());
    let refused = |value: Vec<Value>| CodeFrame::decode(&cbor::encode(&Value::Array(value))).err();
    let body = || Value::from([0_u8; MESSAGE_BYTES].as_slice());
    assert_eq!(refused(vec![0.into(), 2.into(), body()]), Some(WireError::Version(2)));
    for bad in [
        vec![0.into(), 1.into()],
        vec![0.into(), 1.into(), body(), 0.into()],
        vec![0.into(), 1.into(), Value::from([0_u8; 32].as_slice())],
        vec![4.into(), 1.into(), body()],
        vec![5.into(), 1.into(), body()],
        vec![2.into(), 1.into(), "text".into()],
    ] {
        assert!(refused(bad.clone()).is_some(), "{bad:?}");
    }
    let long = CodeFrame::Invite(vec![0; limits::CODE_FRAME_BYTES_MAX]).encode();
    assert!(matches!(CodeFrame::decode(&long), Err(WireError::TooLarge { .. })));
    let invite = Secret::new("x".repeat(limits::INVITE_BYTES_MAX));
    let (asking, start) = ask(&code(WORDS), doors(), seed(7)).unwrap();
    let (answering, reply) = answer(&code(WORDS), doors(), &start, seed(8)).unwrap();
    let (confirmed, confirm) = asking.confirm(&reply, &claim(JOINER)).unwrap();
    assert!(confirm.encode().len() <= limits::KNOCK_BYTES_MAX, "{}", confirm.encode().len());
    let given = answering.open(&confirm).unwrap().1.give(&claim(INVITER), &invite).unwrap();
    let read = CodeFrame::decode(&given.encode()).unwrap();
    assert_eq!(confirmed.open(&read).unwrap().invite.expose_secret().len(), 4096);
}
