use std::time::Duration;

use super::*;

const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
const MINUTE: Duration = Duration::from_mins(1);

/// What the script of the page made.
const KEY: &str = "a key of this origin";

fn random(n: u8) -> Secret<[u8; 64]> {
    Secret::new([n; 64])
}

fn key() -> Box<ApproverKey> {
    Box::new(ApproverKey::from_seed(&Secret::new([9; 32])))
}

fn unlock(sessions: &Sessions, entered: &Entered, now: Timestamp) -> bool {
    sessions.unlock(entered, key(), now)
}

/// A session with the key, and its cookie.
fn unlocked(sessions: &Sessions, now: Timestamp) -> (Secret<String>, SessionId) {
    let cookie = sessions.begin(&random(1), KEY, now);
    let entered = sessions.enter(cookie.expose_secret(), now).unwrap();
    assert!(unlock(sessions, &entered, now));
    (cookie, entered.id)
}

fn has_key(sessions: &Sessions, id: SessionId) -> bool {
    sessions.all().get(&id).is_some_and(|session| session.unlocked.is_some())
}

#[test]
fn a_session_ends_after_its_life_whatever_is_done() {
    let sessions = Sessions::default();
    let cookie = sessions.begin(&random(1), KEY, NOW);
    let end = NOW.plus(PAGE_SESSION_LIFE);
    let mut now = NOW;
    while now < end {
        assert!(sessions.enter(cookie.expose_secret(), now).is_some(), "{now}");
        now = now.plus(60 * MINUTE);
    }
    assert!(sessions.enter(cookie.expose_secret(), end).is_none());
    assert!(sessions.enter(cookie.expose_secret(), NOW).is_none(), "it does not come back");
}

#[test]
fn only_its_own_cookie_enters_a_session() {
    let sessions = Sessions::default();
    let cookie = sessions.begin(&random(1), KEY, NOW);
    assert_eq!(cookie.expose_secret().len(), 64);
    for other in ["", "0", &"0".repeat(64), &format!("{}0", cookie.expose_secret())] {
        assert!(sessions.enter(other, NOW).is_none(), "{other}");
    }
    let entered = sessions.enter(cookie.expose_secret(), NOW).unwrap();
    assert!(entered.owns(&entered.csrf, KEY));
    assert!(!entered.owns("", KEY) && !entered.owns(&entered.csrf[1..], KEY));
    assert!(!entered.owns(&entered.csrf, "") && !entered.owns(&entered.csrf, "another"));
}

#[test]
fn the_key_is_wiped_ten_minutes_after_the_last_form_and_reading_keeps_nobody_awake() {
    let sessions = Sessions::default();
    let (cookie, id) = unlocked(&sessions, NOW);
    let enter = |now| sessions.enter(cookie.expose_secret(), now).unwrap();
    let sent = NOW.plus(9 * MINUTE);
    sessions.used(id, sent);
    let until = Lock::Unlocked {
        idle_until: sent.plus(PAGE_UNLOCK_IDLE),
        until: NOW.plus(PAGE_UNLOCK_LIFE),
    };
    let read = NOW.plus(18 * MINUTE);
    assert_eq!((enter(sent).lock, enter(read).lock), (until, until), "what the page says");
    assert!(sessions.with_key(id, read, ApproverKey::id).is_some());
    let idle = sent.plus(PAGE_UNLOCK_IDLE);
    assert!(sessions.with_key(id, idle, ApproverKey::id).is_none());
    assert!(!has_key(&sessions, id), "it is wiped, not only refused");
    sessions.used(id, idle);
    assert_eq!(enter(idle).lock, Lock::Locked);
}

#[test]
fn the_key_is_wiped_after_twelve_hours_whatever_is_done() {
    let sessions = Sessions::default();
    let (cookie, id) = unlocked(&sessions, NOW);
    // Not at the session's beginning: the two lives are apart.
    if let Some(session) = sessions.all().get_mut(&id) {
        session.began = NOW.plus(60 * MINUTE);
    }
    let mut now = NOW;
    while now < NOW.plus(PAGE_UNLOCK_LIFE) {
        assert!(sessions.with_key(id, now, ApproverKey::id).is_some(), "{now}");
        sessions.used(id, now);
        now = now.plus(5 * MINUTE);
    }
    assert_eq!(sessions.enter(cookie.expose_secret(), now).unwrap().lock, Lock::Locked);
    assert!(!has_key(&sessions, id));
}

#[test]
fn the_sweeper_wipes_what_nobody_asks_for() {
    let sessions = Sessions::default();
    let (_, id) = unlocked(&sessions, NOW);
    sessions.sweep(NOW.plus(9 * MINUTE));
    assert!(has_key(&sessions, id));
    sessions.sweep(NOW.plus(PAGE_UNLOCK_IDLE));
    assert!(!has_key(&sessions, id));
    let stream = sessions.stream(id).unwrap();
    sessions.sweep(NOW.plus(PAGE_SESSION_LIFE));
    assert!(stream.ended.is_cancelled() && sessions.all().is_empty());
}

#[test]
fn locking_wipes_now_and_ending_ends_the_streams() {
    let sessions = Sessions::default();
    let (cookie, id) = unlocked(&sessions, NOW);
    sessions.lock(id);
    assert!(!has_key(&sessions, id));
    let entered = sessions.enter(cookie.expose_secret(), NOW).expect("it may still read");
    let stream = sessions.stream(id).unwrap();
    sessions.end(id);
    assert!(stream.ended.is_cancelled());
    assert!(sessions.enter(cookie.expose_secret(), NOW).is_none());
    assert!(!unlock(&sessions, &entered, NOW));
    assert!(!has_key(&sessions, id), "a session that ended meanwhile takes no key");
}

#[test]
fn a_lock_or_an_end_while_a_passphrase_is_checked_wins() {
    let sessions = Sessions::default();
    let (cookie, id) = unlocked(&sessions, NOW);
    let entered = sessions.enter(cookie.expose_secret(), NOW).unwrap();
    assert!(sessions.is_as(&entered, NOW));
    sessions.lock(id);
    assert!(!sessions.is_as(&entered, NOW) && !unlock(&sessions, &entered, NOW));
    assert!(!has_key(&sessions, id));
    let entered = sessions.enter(cookie.expose_secret(), NOW).unwrap();
    let end = NOW.plus(PAGE_SESSION_LIFE);
    assert!(!sessions.is_as(&entered, end) && !unlock(&sessions, &entered, end));
    assert!(unlock(&sessions, &entered, NOW), "typed after the lock, it unlocks");
}

#[test]
fn one_session_too_many_ends_the_one_that_was_silent_for_longest() {
    let sessions = Sessions::default();
    let many = u8::try_from(PAGE_SESSIONS_MAX).unwrap();
    let cookies: Vec<_> = (0..many).map(|n| sessions.begin(&random(n), KEY, NOW)).collect();
    let later = NOW.plus(MINUTE);
    for (n, cookie) in cookies.iter().enumerate().filter(|(n, _)| *n != 3) {
        assert!(sessions.enter(cookie.expose_secret(), later).is_some(), "{n}");
    }
    sessions.begin(&random(many), KEY, later);
    for (n, cookie) in cookies.iter().enumerate() {
        let open = sessions.enter(cookie.expose_secret(), later).is_some();
        assert_eq!(open, n != 3, "{n}");
    }
}

#[test]
fn a_session_has_so_many_streams_and_no_more() {
    let sessions = Sessions::default();
    let (_, id) = unlocked(&sessions, NOW);
    let mut streams: Vec<_> = (0..PAGE_STREAMS_MAX).map(|_| sessions.stream(id).unwrap()).collect();
    assert!(sessions.stream(id).is_none());
    streams.pop();
    assert!(sessions.stream(id).is_some());
}

#[test]
fn what_is_left_for_the_next_page_is_there_once() {
    let sessions = Sessions::default();
    let (_, id) = unlocked(&sessions, NOW);
    let notice = Some(Notice::Done("done".to_owned()));
    sessions.leave(id, Left { notice: notice.clone(), ..Left::default() });
    assert_eq!(sessions.take_left(id).notice, notice);
    assert_eq!(sessions.take_left(id).notice, None);
}

#[test]
fn a_session_that_no_script_opened_keeps_no_key() {
    let sessions = Sessions::default();
    let cookie = sessions.begin(&random(1), "", NOW);
    let entered = sessions.enter(cookie.expose_secret(), NOW).unwrap();
    assert!(entered.owns(&entered.csrf, "") && !entered.is_bound());
    let id = entered.id;
    assert!(unlock(&sessions, &entered, NOW));
    assert!(sessions.with_key(id, NOW, |_| ()).is_some(), "for the decision at hand");
    let entered = sessions.enter(cookie.expose_secret(), NOW).unwrap();
    assert_eq!(entered.lock, Lock::Locked);
    assert!(sessions.with_key(entered.id, NOW, |_| ()).is_none());
}
