//! Every page, rendered with a cast.

use super::{
    super::{
        Card, EvidenceView, Frame, Lock, MessageView, Notice, PeersView, PolicyDraft, SearchView,
        Section, SettingsView, TalkView, conversation, conversations, error, evidence, message,
        no_session, open, peer, peers, search, settings, setup, waiting, waiting_item,
    },
    cast::Cast,
    replies::{
        MINUTE, NOW, after, checked, checked_like, grant, message_item, one, other_peer, peer_id,
        peer_item, peer_list, pending, settings_view, shown_peer, steps, talk, the_peer, thread_id,
        threads, timeline, whoami,
    },
};
use crate::{
    base::{MessageText, Timestamp},
    gate::{Item, What},
    node::{
        api::{
            ApiError, Conversation, Conversations, ErrorKind, Found, Grants, Hit, InviteMade,
            MessageLife, PeerRef, Peers, Talk, Whoami,
        },
        review::Checked,
    },
    trust::PeerState,
    wire::{Body, GrantKind},
};

fn frame<'a>(section: Section, me: &'a Whoami, title: &'a str, lock: Lock) -> Frame<'a> {
    let csrf = "5e5510f70c3e";
    Frame {
        section,
        title,
        me: Some(me),
        waiting: 2,
        unread: 1,
        lock,
        csrf,
        notice: None,
        now: NOW,
    }
}

fn unlocked() -> Lock {
    let later = |minutes| Timestamp::from_ms(NOW.ms() + minutes * MINUTE);
    Lock::Unlocked { idle_until: later(9), until: later(700) }
}

fn broken(cast: &Cast) -> ApiError {
    ApiError::new(
        ErrorKind::Failed,
        format!("what waits differs: {}", cast.line),
        "do not approve it; run `countersign doctor`",
    )
}

/// The pages of single decisions.
pub(super) struct Decisions {
    pub(super) message: String,
    pub(super) incoming: String,
    pub(super) unknown: String,
    pub(super) pairing: String,
    pub(super) not_ready: String,
    pub(super) broken: String,
}

/// Each kind of decision on a page of its own.
pub(super) fn decisions(cast: &Cast, open: bool) -> Decisions {
    let me = whoami(cast);
    let lock = if open { unlocked() } else { Lock::Locked };
    let frame = frame(Section::Waiting, &me, &cast.name, lock);
    let page = |card: &Card<'_>| waiting_item(&frame, Some(card)).into_string();
    let of = |item: &Item, id: &str| page(&Card::Ready(&checked(cast, item, id)));
    let message = message_item(cast, What::MessageOut, None);
    let unknown = Body::Unknown(Body::Text(MessageText::parse("x").unwrap()).encode());
    let mut not_ready = pending(cast, &peer_item(cast), "nnnnnnnn");
    not_ready.not_ready = Some(cast.line.clone());
    Decisions {
        message: of(&message, "mmmmmmmm"),
        incoming: of(&message_item(cast, What::MessageIn, None), "iiiiiiii"),
        unknown: of(&message_item(cast, What::MessageIn, Some(unknown)), "uuuuuuuu"),
        pairing: of(&peer_item(cast), "pppppppp"),
        not_ready: page(&Card::NotReady(&not_ready)),
        broken: page(&Card::Broken(&pending(cast, &message, "mmmmmmmm"), &broken(cast))),
    }
}

/// An item like so many that were approved.
pub(super) fn repeated(cast: &Cast, repeats: u64) -> String {
    let me = whoami(cast);
    let frame = frame(Section::Waiting, &me, &cast.name, unlocked());
    let item = message_item(cast, What::MessageOut, None);
    let checked = checked_like(cast, &item, "mmmmmmmm", repeats);
    waiting_item(&frame, Some(&Card::Ready(&checked))).into_string()
}

fn waiting_list(cast: &Cast) -> String {
    let me = whoami(cast);
    let lists = [
        peer_item(cast),
        message_item(cast, What::MessageOut, None),
        message_item(cast, What::MessageIn, None),
    ];
    let checked: Vec<Checked> = lists
        .iter()
        .zip(["pppppppp", "mmmmmmmm", "iiiiiiii"])
        .map(|(item, id)| checked(cast, item, id))
        .collect();
    let cards: Vec<Card<'_>> =
        if cast.any { checked.iter().map(Card::Ready).collect() } else { Vec::new() };
    let done = Notice::Done(format!("approved; the message to {} is on its way", cast.name));
    let frame =
        Frame { notice: Some(&done), ..frame(Section::Waiting, &me, "Waiting", Lock::Locked) };
    waiting(&frame, &cards, std::slice::from_ref(&cast.line)).into_string()
}

/// Every page of a session.
pub(super) fn every_page(cast: &Cast) -> Vec<(&'static str, String)> {
    let mut pages = vec![("waiting", waiting_list(cast))];
    let shown = decisions(cast, true);
    pages.extend([
        ("message-out", shown.message),
        ("message-in", shown.incoming),
        ("message-unknown", shown.unknown),
        ("pairing", shown.pairing),
        ("not-ready", shown.not_ready),
        ("broken", shown.broken),
        ("message-locked", decisions(cast, false).message),
    ]);
    pages.extend(talk_pages(cast));
    pages.extend(other_pages(cast));
    pages
}

fn conversation_list(cast: &Cast, talk: &Talk) -> Conversations {
    let last = talk.messages.last().map(|said| said.message.clone());
    let row = Conversation {
        peer: the_peer(cast, PeerState::Trusted),
        threads: 3,
        messages: 41,
        unread: 2,
        held: 1,
        last,
    };
    let quiet = Conversation {
        peer: other_peer(),
        threads: 0,
        messages: 0,
        unread: 0,
        held: 0,
        last: None,
    };
    Conversations { conversations: if cast.any { vec![row, quiet] } else { Vec::new() } }
}

fn talk_pages(cast: &Cast) -> Vec<(&'static str, String)> {
    let me = whoami(cast);
    let frame = |title, lock| frame(Section::Conversations, &me, title, lock);
    let (talk, threads) = (talk(cast), threads(cast));
    let all = conversation_list(cast, &talk);
    let thread = thread_id();
    let narrow = Talk { thread: Some(thread), ..talk.clone() };
    let view =
        TalkView { talk: &talk, threads: &threads, older_part: false, typed: "", reply_to: None };
    let answering = TalkView {
        talk: &narrow,
        older_part: true,
        typed: &cast.typed,
        reply_to: Some("ab12"),
        ..view
    };
    let said = one(cast, 1, false, &cast.text);
    let life = MessageLife {
        id: said.id.clone(),
        to: None,
        from: Some(cast.name.clone()),
        state: "held".into(),
        history: steps(cast, &["held", "refused", "a<b"]),
        pending: Some("mmmmmmmm".into()),
        expires_at: after(90),
        note: Some(cast.line.clone()),
    };
    let with = PeerRef { id: peer_id().to_string(), name: cast.name.clone() };
    let whole = MessageView { message: &said, text: &cast.text, life: &life, peer: Some(&with) };
    let snippet = format!("…\u{fdd0}{}\u{fdd1} on staging first, {}", "migration", cast.line);
    let hits = vec![Hit { message: said.clone(), peer: with.clone(), snippet }];
    let found =
        Found { hits: if cast.any { hits } else { Vec::new() }, older: cast.any.then_some(3) };
    let list = peer_list(cast);
    let so_far = Found { hits: vec![], older: Some(7) };
    let asked = SearchView {
        query: &cast.typed,
        peer: list.first().map(|p| p.id.as_str()),
        peers: &list,
        found: Some(&found),
    };
    vec![
        ("conversations", conversations(&frame("Conversations", unlocked()), &all).into_string()),
        ("conversation", conversation(&frame(&cast.name, unlocked()), &view).into_string()),
        (
            "conversation-answer",
            conversation(&frame(&cast.name, Lock::Locked), &answering).into_string(),
        ),
        ("message", message(&frame("Message", Lock::Locked), &whole).into_string()),
        ("search", search(&frame("Search", Lock::Locked), &asked).into_string()),
        (
            "search-so-far",
            search(&frame("Search", Lock::Locked), &SearchView { found: Some(&so_far), ..asked })
                .into_string(),
        ),
        (
            "search-new",
            search(&frame("Search", Lock::Locked), &SearchView { found: None, query: "", ..asked })
                .into_string(),
        ),
    ]
}

fn other_pages(cast: &Cast) -> Vec<(&'static str, String)> {
    let me = whoami(cast);
    let frame = |section, title| frame(section, &me, title, unlocked());
    let trouble = Notice::Trouble(broken(cast));
    let all = Peers { peers: peer_list(cast) };
    let made = InviteMade {
        invite: format!("countersign1{}", "q5dt3x9k".repeat(30)),
        code: None,
        expires_at: after(60 * 24),
    };
    let fresh = PeersView { peers: &all, made: Some(&made), typed: "" };
    let code = Some("copper violin harbor".to_owned());
    let coded = InviteMade { invite: String::new(), code, expires_at: after(10) };
    let said = PeersView { made: Some(&coded), ..fresh };
    let wrong = PeersView { made: None, typed: &cast.typed, ..fresh };
    let in_trouble = Frame { notice: Some(&trouble), ..frame(Section::Peers, "Peers") };
    let (line, list) = (timeline(cast), peer_list(cast));
    let view = EvidenceView { timeline: &line, event: Some("decided"), peer: None, peers: &list };
    let inline = Grants {
        grants: vec![
            grant(cast, GrantKind::Inline, "llllllll"),
            grant(cast, GrantKind::Unasked, "gggggggg"),
        ],
    };
    let held = if cast.any { inline } else { Grants { grants: Vec::new() } };
    let held = settings_view(cast, held);
    let drafted = PolicyDraft {
        text: cast.typed.clone(),
        complaints: vec![cast.line.clone()],
        tightens: false,
    };
    let drafted = SettingsView { draft: Some(drafted), ..held.clone() };
    let locked = Frame { lock: Lock::Locked, ..frame(Section::Settings, "Settings") };
    let of =
        |state| peer(&frame(Section::Peers, &cast.name), &shown_peer(cast, state)).into_string();
    vec![
        (
            "peers",
            peers(&frame(Section::Peers, "Peers"), &PeersView { made: None, ..fresh })
                .into_string(),
        ),
        ("peers-made", peers(&frame(Section::Peers, "Peers"), &fresh).into_string()),
        ("peers-code", peers(&frame(Section::Peers, "Peers"), &said).into_string()),
        ("peers-wrong", peers(&in_trouble, &wrong).into_string()),
        ("peer", of(PeerState::Trusted)),
        ("peer-requested", of(PeerState::Requested)),
        ("peer-blocked", of(PeerState::Blocked)),
        ("evidence", evidence(&frame(Section::Evidence, "Evidence"), &view).into_string()),
        ("settings", settings(&frame(Section::Settings, "Settings"), &held).into_string()),
        ("settings-draft", settings(&frame(Section::Settings, "Settings"), &drafted).into_string()),
        ("settings-locked", settings(&locked, &held).into_string()),
        ("error", error(&frame(Section::Waiting, "Trouble"), &broken(cast)).into_string()),
    ]
}

/// The pages before there is a session.
pub(super) fn outside_pages() -> Vec<(String, String)> {
    let hostile = Cast::hostile();
    let trouble = Notice::Trouble(ApiError::new(
        ErrorKind::Refused,
        "this passphrase is too easy to guess",
        "take four or more words",
    ));
    let base = Frame {
        section: Section::Outside,
        title: "Set up",
        me: None,
        waiting: 0,
        unread: 0,
        lock: Lock::Locked,
        csrf: "5e5510f70c3e",
        notice: None,
        now: NOW,
    };
    let refused = Frame { notice: Some(&trouble), ..base };
    [
        ("setup", setup(&base, "Alice")),
        ("setup-refused", setup(&refused, &hostile.typed)),
        ("open", open(&Frame { title: "Open", ..base })),
        ("no-session", no_session(&Frame { title: "Not open", ..base })),
        ("error", error(&Frame { title: "Trouble", ..base }, &broken(&hostile))),
    ]
    .map(|(name, page)| (format!("outside {name}"), page.into_string()))
    .to_vec()
}
