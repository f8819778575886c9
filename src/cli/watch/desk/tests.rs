use super::*;
use crate::{
    node::api::{FindingInfo, PendingPeer},
    risk::Severity,
};

fn item(id: &str, what: What) -> PendingItem {
    let peer =
        PendingPeer { name: "bob".into(), id: "00".into(), claim: "Bob".into(), verified: false };
    let reason =
        |severity, text: &str| FindingInfo { rule: "x".into(), severity, text: text.into() };
    PendingItem {
        id: id.into(),
        what,
        peer,
        reasons: vec![
            reason(Severity::Low, "something small"),
            reason(Severity::Critical, "a secret\u{1b}[2J"),
        ],
        digest: "00".into(),
        size_bytes: 3,
        words: None,
        created_at: "x".into(),
        expires_at: "x".into(),
        note: None,
        by_code: false,
        not_ready: None,
        repeats: 0,
        after: Vec::new(),
        strength: None,
    }
}

fn list(items: &[PendingItem]) -> PendingList {
    PendingList { items: items.to_vec(), warnings: Vec::new() }
}

fn take(desk: &mut Desk, items: &[PendingItem]) -> Lines {
    desk.take_pending(list(items), None, Style::plain())
}

fn alerted(desk: &mut Desk, items: &[PendingItem], alert: u64) -> Lines {
    desk.take_pending(list(items), Some(alert), Style::plain())
}

#[test]
fn each_new_item_is_told_once_with_its_worst_reason() {
    let mut desk = Desk::default();
    let first = item("aaaaaaaa", What::MessageOut);
    let lines = alerted(&mut desk, std::slice::from_ref(&first), 1);
    let text = "waits for you: aaaaaaaa, a message to bob; critical: a secret\\u{1b}[2J";
    assert_eq!(lines, Lines { lines: vec![text.to_owned()], bell: true });
    assert_eq!(take(&mut desk, std::slice::from_ref(&first)), Lines::default());
    let lines = take(&mut desk, &[]);
    assert_eq!(lines.lines, ["aaaaaaaa does not wait any longer: decided, or expired"]);
    assert!(!lines.bell && desk.selected().is_none());
}

#[test]
fn the_bell_rings_when_the_node_says_so_and_tells_of_what_did_not_ring() {
    let mut desk = Desk::default();
    let items = ["a", "b", "c"].map(|id| item(id, What::MessageIn));
    let lines = take(&mut desk, &items);
    assert!(!lines.bell && lines.lines.len() == 3, "{lines:?}");
    let lines = alerted(&mut desk, &items, 3);
    let digest = "3 items wait for you that did not ring before; r lists them";
    assert_eq!(lines, Lines { lines: vec![digest.to_owned()], bell: true });
}

#[test]
fn an_item_that_becomes_ready_rings() {
    let mut desk = Desk::default();
    let early = PendingItem { not_ready: Some("no\nanswer".into()), ..item("a", What::PeerOut) };
    assert!(take(&mut desk, &[early]).lines[0].ends_with("; not yet: no\\nanswer"));
    let lines = alerted(&mut desk, &[item("a", What::PeerOut)], 1);
    assert!(lines.bell && lines.lines[0].starts_with("can be decided now: a,"), "{lines:?}");
}

#[test]
fn the_selection_stays_when_others_come_and_go() {
    let mut desk = Desk::default();
    let [a, b, c] = ["a", "b", "c"].map(|id| item(id, What::MessageIn));
    take(&mut desk, &[a.clone(), b.clone()]);
    let selected = |desk: &Desk| desk.selected().unwrap().id.clone();
    assert_eq!(selected(&desk), "a");
    assert_eq!(desk.step(true).unwrap().id, "b");
    take(&mut desk, &[b.clone(), c.clone()]);
    assert_eq!(selected(&desk), "b", "not what stands at its place now");
    assert_eq!(desk.step(true).unwrap().id, "c");
    assert_eq!(desk.step(true).unwrap().id, "b");
    assert_eq!(desk.step(false).unwrap().id, "c");
    desk.decided("c");
    assert_eq!(selected(&desk), "b");
    assert_eq!(take(&mut desk, &[b]), Lines::default(), "what was decided here is known");
    insta::assert_snapshot!(desk.list(Style::plain()), @r"
    1 item waits for you:
    1 of 1 (selected): b, a message from bob; critical: a secret\u{1b}[2J
    ");
    desk.decided("b");
    assert!(desk.step(true).is_none());
    assert_eq!(desk.place_text(Style::plain()), "Nothing waits for you.");
}

fn peer(state: PeerState, path: &str) -> Peer {
    Peer {
        name: "bob".into(),
        id: "00".into(),
        claim: "Bob".into(),
        state,
        verified: false,
        path: path.into(),
        rtt_ms: None,
        last_seen: None,
        grants: Vec::new(),
        requires: Vec::new(),
        we_require: Vec::new(),
        warning: None,
    }
}

#[test]
fn a_peers_coming_and_going_is_told() {
    let mut desk = Desk::default();
    let mut say = |peers: Vec<Peer>, first| desk.take_peers(Peers { peers }, first).lines;
    assert!(say(vec![], true).is_empty());
    assert_eq!(
        say(vec![peer(PeerState::Incoming, "offline")], false),
        ["bob is new here: incoming"]
    );
    let now = say(vec![peer(PeerState::Trusted, "direct")], false);
    assert_eq!(now, ["bob is trusted now", "bob can be reached: direct"]);
    assert!(say(vec![peer(PeerState::Trusted, "direct")], false).is_empty());
    assert_eq!(say(vec![peer(PeerState::Trusted, "offline")], false), ["bob went offline"]);
    let warned = Peer { warning: Some("a\nb".into()), ..peer(PeerState::Trusted, "offline") };
    assert_eq!(say(vec![warned], false), ["bob: a\\nb"]);
}

#[test]
fn a_message_of_ours_is_told_at_each_state_once() {
    let mut desk = Desk::default();
    let life = |id: &str, state: &str, ours: bool| MessageLife {
        id: id.into(),
        to: ours.then(|| "bob".to_owned()),
        from: None,
        state: state.into(),
        history: Vec::new(),
        pending: None,
        expires_at: "x".into(),
        note: None,
    };
    desk.follow(Outstanding {
        messages: vec![life("0011223344", "queued", true)],
        held: 0,
        queued: 1,
    });
    let mut say = |id: &str, state: &str| desk.take_life(&life(id, state, true));
    assert_eq!(say("0011223344", "queued"), None);
    let text = "your message 00112233 to bob: held by peer";
    assert_eq!(say("0011223344", "held_by_peer").as_deref(), Some(text));
    assert_eq!(say("0011223344", "held_by_peer"), None);
    assert!(say("0011223344", "refused").is_some());
    for number in 0..2 * FOLLOWED_MAX {
        say(&number.to_string(), "queued");
    }
    assert_eq!(desk.followed().len(), FOLLOWED_MAX);
    assert_eq!(desk.take_life(&life("x", "read", false)), None, "others' are not");
}

#[test]
fn a_text_is_cut_before_it_is_escaped() {
    let text = format!("{}\u{202e}rest", "x".repeat(SHOWN_CHARS - 1));
    assert_eq!(beginning(&text), format!("{}\\u{{202e}}…", "x".repeat(SHOWN_CHARS - 1)));
    assert_eq!(beginning("a\nb"), "a\\nb");
}
