//! One machine, a step at a time.

use super::*;
use crate::{
    base::{MessageText, PeerId, Secret},
    gate,
    identity::IdentityKey,
    wire::{Body, Draft, Header},
};

pub(super) const NOW: Timestamp = Timestamp::from_ms(1_000);
pub(super) const AT: Moment = Moment { now: NOW, uptime: Duration::from_secs(7) };

pub(super) fn id(number: i64) -> MessageId {
    MessageId::from_bytes(i128::from(number).to_be_bytes())
}

pub(super) fn item(number: i64) -> Queued {
    until(number, NOW.plus(limits::EXPIRY_MAX))
}

fn until(number: i64, expires: Timestamp) -> Queued {
    let key = IdentityKey::from_seed(&Secret::new([1; 32]));
    let header = Header {
        kind: Kind::Text,
        id: id(number),
        sender: key.id(),
        recipient: PeerId::from_bytes([2; 32]),
        created: NOW,
        expires,
        thread: None,
        reply_to: None,
        human: false,
        session: None,
    };
    let body = Body::Text(MessageText::parse("x").unwrap());
    let envelope = Draft { header, body }.seal(&key).unwrap();
    Queued { number, envelope: gate::unasked(envelope) }
}

fn sent(effects: &[Effect]) -> Vec<u64> {
    let seq = |effect: &Effect| match effect {
        Effect::Transmit(seq, _) => Some(*seq),
        Effect::Load { .. } | Effect::Settle(_) | Effect::Expire | Effect::Renew => None,
    };
    effects.iter().filter_map(seq).collect()
}

fn loads(effects: &[Effect]) -> Option<i64> {
    effects.iter().find_map(|effect| match effect {
        Effect::Load { after, .. } => Some(*after),
        Effect::Transmit(..) | Effect::Settle(_) | Effect::Expire | Effect::Renew => None,
    })
}

/// A machine whose link is up and whose backlog is known to be empty.
fn running() -> Outbox {
    let mut outbox = Outbox::new();
    assert_eq!(loads(&outbox.handle(Input::LinkUp, AT)), Some(0));
    outbox.handle(Input::Loaded { ask: 1, items: vec![], seen: 0, more: false }, AT);
    outbox
}

#[test]
fn nothing_leaves_while_the_link_is_down() {
    let mut outbox = Outbox::new();
    assert!(outbox.handle(Input::Queued(item(1)), AT).is_empty());
    let effects = outbox.handle(Input::LinkUp, AT);
    assert_eq!(loads(&effects), Some(0), "what waits is read from the store");
}

#[test]
fn what_is_queued_is_sent_at_once_and_in_order() {
    let mut outbox = running();
    assert_eq!(sent(&outbox.handle(Input::Queued(item(1)), AT)), [1]);
    assert_eq!(sent(&outbox.handle(Input::Queued(item(2)), AT)), [2]);
}

#[test]
fn a_new_link_sends_again_what_was_not_acknowledged() {
    let mut outbox = running();
    outbox.handle(Input::Queued(item(7)), AT);
    outbox.handle(Input::LinkDown, AT);
    assert_eq!(loads(&outbox.handle(Input::LinkUp, AT)), Some(0));
    let loaded = Input::Loaded { ask: 2, items: vec![item(7)], seen: 7, more: false };
    assert_eq!(sent(&outbox.handle(loaded, AT)), [1], "numbers begin anew on each link");
}

#[test]
fn what_is_queued_during_a_read_is_sent_once() {
    let mut outbox = Outbox::new();
    outbox.handle(Input::LinkUp, AT);
    outbox.handle(Input::Queued(item(2)), AT);
    let items = vec![item(1), item(2)];
    let loaded = Input::Loaded { ask: 1, items, seen: 2, more: false };
    let effects = outbox.handle(loaded, AT);
    assert_eq!(sent(&effects), [1, 2]);
    assert_eq!(loads(&effects), Some(2), "the store is asked again, lest one was missed");
    let none = Input::Loaded { ask: 2, items: vec![], seen: 2, more: false };
    assert!(outbox.handle(none, AT).is_empty());
    assert!(outbox.handle(Input::Queued(item(2)), AT).is_empty());
    assert_eq!(sent(&outbox.handle(Input::Queued(item(3)), AT)), [3]);
}

#[test]
fn the_window_bounds_what_is_in_flight() {
    let mut outbox = running();
    let most = i64::try_from(limits::IN_FLIGHT_MESSAGES_MAX).unwrap();
    for number in 1..=most {
        assert_eq!(sent(&outbox.handle(Input::Queued(item(number)), AT)).len(), 1);
    }
    assert!(outbox.handle(Input::Queued(item(most + 1)), AT).is_empty());
    let half = u64::try_from(most / 2).unwrap();
    assert_eq!(loads(&outbox.handle(Input::Acked(half - 1), AT)), None);
    assert_eq!(loads(&outbox.handle(Input::Acked(half), AT)), Some(most));
}

#[test]
fn a_busy_peer_gets_the_same_again_later_and_in_order() {
    let mut outbox = running();
    for number in 1..=3 {
        outbox.handle(Input::Queued(item(number)), AT);
    }
    outbox.handle(Input::Busy(id(2)), AT);
    outbox.handle(Input::Busy(id(3)), AT);
    assert!(outbox.handle(Input::Acked(3), AT).is_empty());
    assert!(outbox.handle(Input::Queued(item(4)), AT).is_empty(), "4 must not pass 2");
    let due = outbox.next_due().unwrap();
    let effects = outbox.handle(Input::Tick, Moment { uptime: due, ..AT });
    assert_eq!(loads(&effects), Some(1), "begin again at the first that had no room");
}

#[test]
fn a_full_peer_is_asked_with_one_message_until_it_takes_it() {
    let mut outbox = running();
    for number in 1..=3 {
        outbox.handle(Input::Queued(item(number)), AT);
    }
    outbox.handle(Input::Busy(id(1)), AT);
    outbox.handle(Input::Acked(3), AT);
    let due = outbox.next_due().unwrap();
    let effects = outbox.handle(Input::Tick, Moment { uptime: due, ..AT });
    assert!(matches!(effects[..], [Effect::Load { ask: 2, after: 0, limit: 1 }]));
    let one = Input::Loaded { ask: 2, items: vec![item(1)], seen: 1, more: true };
    assert_eq!(sent(&outbox.handle(one, AT)), [4]);
    let effects = outbox.handle(Input::Acked(4), AT);
    let all = limits::IN_FLIGHT_MESSAGES_MAX;
    assert!(matches!(effects[..], [Effect::Load { after: 1, limit, .. }] if limit == all));
}

#[test]
fn an_answer_for_a_former_link_leaves_no_gap_on_this_one() {
    let mut outbox = running();
    let most = i64::try_from(limits::IN_FLIGHT_MESSAGES_MAX).unwrap();
    for number in 1..=most + 1 {
        outbox.handle(Input::Queued(item(number)), AT);
    }
    let acked = u64::try_from(most).unwrap() / 2;
    assert_eq!(loads(&outbox.handle(Input::Acked(acked), AT)), Some(most));
    outbox.handle(Input::LinkDown, AT);
    assert_eq!(loads(&outbox.handle(Input::LinkUp, AT)), Some(0));
    let items = vec![item(most + 1)];
    let late = Input::Loaded { ask: 2, items, seen: most + 1, more: false };
    assert!(outbox.handle(late, AT).is_empty(), "what is before it has not been sent");
    let items = vec![item(1)];
    let loaded = Input::Loaded { ask: 3, items, seen: 1, more: true };
    assert_eq!(sent(&outbox.handle(loaded, AT)), [1]);
}

#[test]
fn a_store_that_cannot_be_read_is_asked_again_later_and_not_at_once() {
    let mut outbox = Outbox::new();
    outbox.handle(Input::LinkUp, AT);
    assert!(outbox.handle(Input::LoadFailed(1), AT).is_empty());
    let due = outbox.next_due().unwrap();
    assert!(due > AT.uptime);
    assert_eq!(loads(&outbox.handle(Input::Tick, Moment { uptime: due, ..AT })), Some(0));
}

#[test]
fn a_pause_wants_no_tick_while_an_answer_is_still_to_come() {
    let mut outbox = running();
    outbox.handle(Input::Queued(item(1)), AT);
    outbox.handle(Input::Queued(item(2)), AT);
    outbox.handle(Input::Busy(id(1)), AT);
    outbox.handle(Input::Acked(1), AT);
    assert_eq!(outbox.next_due(), None);
    outbox.handle(Input::Acked(2), AT);
    assert!(outbox.next_due().is_some());
}

#[test]
fn a_backoff_stays_within_its_bounds() {
    for tries in [0, 1, 5, 31, 40] {
        for jitter in [0, 128, 255] {
            let wait = backoff(tries, jitter);
            assert!(wait >= limits::BACKOFF_MIN / 2 && wait <= limits::BACKOFF_MAX * 3 / 2);
        }
    }
    assert!(backoff(0, 0) < backoff(3, 0));
}

#[test]
fn what_has_expired_does_not_leave_and_is_passed_once_it_is_out_of_the_queue() {
    let late = NOW.plus(Duration::from_mins(1));
    let too_late = Moment { now: late, ..AT };
    let expires =
        |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Expire));
    let mut outbox = running();
    assert_eq!(sent(&outbox.handle(Input::Queued(until(1, late)), AT)), [1], "in its time it does");
    let effects = outbox.handle(Input::Queued(until(2, late)), too_late);
    assert!(sent(&effects).is_empty() && expires(&effects));
    outbox.handle(Input::LinkDown, too_late);
    assert_eq!(loads(&outbox.handle(Input::LinkUp, too_late)), Some(0));
    let items = vec![item(0), until(1, late), until(2, late), item(3)];
    let loaded = Input::Loaded { ask: 2, items, seen: 3, more: false };
    let effects = outbox.handle(loaded, too_late);
    assert!(sent(&effects) == [1] && expires(&effects), "nothing passes it: {effects:?}");
    assert!(outbox.handle(Input::Queued(item(4)), too_late).is_empty());
    assert!(outbox.handle(Input::Acked(1), too_late).is_empty());
    // The clock is set back before it was out of the queue.
    let at = Moment { uptime: outbox.next_due().unwrap(), ..AT };
    assert_eq!(loads(&outbox.handle(Input::Tick, at)), Some(0), "from it on");
    let items = vec![until(1, late), until(2, late), item(3)];
    let loaded = Input::Loaded { ask: 3, items, seen: 3, more: true };
    assert_eq!(sent(&outbox.handle(loaded, at)), [2, 3, 4], "the numbers of a link have no gap");
}

#[test]
fn what_had_no_room_comes_first_on_its_link_or_never() {
    for is_there in [true, false] {
        let mut outbox = running();
        outbox.handle(Input::Queued(item(1)), AT);
        outbox.handle(Input::Queued(item(2)), AT);
        outbox.handle(Input::Busy(id(1)), AT);
        outbox.handle(Input::Acked(2), AT);
        let at = Moment { uptime: outbox.next_due().unwrap(), ..AT };
        assert_eq!(loads(&outbox.handle(Input::Tick, at)), Some(0));
        let items = if is_there { vec![item(1)] } else { vec![item(2)] };
        let effects = outbox.handle(Input::Loaded { ask: 2, items, seen: 2, more: true }, at);
        let renews = effects.iter().any(|effect| matches!(effect, Effect::Renew));
        assert_eq!((sent(&effects).len() == 1, renews), (is_there, !is_there));
        if is_there {
            assert_eq!(loads(&outbox.handle(Input::Acked(3), at)), Some(2), "it was taken");
            let loaded = Input::Loaded { ask: 3, items: vec![item(3)], seen: 3, more: false };
            assert_eq!(sent(&outbox.handle(loaded, at)), [4], "and the next one may come");
        } else {
            assert!(outbox.handle(Input::Queued(item(3)), at).is_empty());
            outbox.handle(Input::LinkDown, at);
            assert_eq!(loads(&outbox.handle(Input::LinkUp, at)), Some(0));
        }
    }
}
