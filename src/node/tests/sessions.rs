//! Sessions of clients: whose a message is, and what each has not seen.

use std::path::PathBuf;

use super::{mallory::bob_and_mallory, *};
use crate::{
    base::SessionName,
    node::{
        AgentHandle,
        api::{Event, HookCall, News, NewsOf, TellRequest},
        sessions::{OpenSession, Transport, Wish},
    },
    wire::{Countersignature, Draft, Header, Kind, ReceiptState as Said},
};

/// A client begins to work in this folder, and has said what it is.
async fn client(side: &Side, folder: &str) -> OpenSession {
    let project = Some(PathBuf::from("/srv/x").join(folder));
    let wish = Wish {
        choice: None,
        project,
        token: None,
        parent: None,
        transport: Transport::Stdio,
        channel: false,
    };
    let session = side.node.open_session(wish);
    session.introduce(Some("editor".to_owned()), Some("2025-11-25".to_owned()));
    session.agent().news().await.unwrap();
    session
}

async fn new_to(agent: &AgentHandle) -> Vec<String> {
    let request = InboxRequest { unread: true, limit: Some(100), ..InboxRequest::default() };
    let inbox = agent.inbox(request, Duration::ZERO).await.unwrap();
    assert_eq!(inbox.unread, u64::try_from(inbox.messages.len()).unwrap());
    inbox.messages.into_iter().map(|message| message.text).collect()
}

/// The same, and shows them.
async fn read(agent: &AgentHandle) -> Vec<String> {
    let texts = new_to(agent).await;
    let request = InboxRequest { unread: true, mark_read: true, ..InboxRequest::default() };
    agent.inbox(request, Duration::ZERO).await.unwrap();
    texts
}

async fn say(agent: &AgentHandle, to: &str, text: &str, reply_to: Option<&str>) -> String {
    let (to, text) = (to.to_owned(), text.to_owned());
    let reply_to = reply_to.map(str::to_owned);
    let request = SendRequest { to, text, reply_to, ..SendRequest::default() };
    agent.send(request, Duration::ZERO).await.unwrap().id
}

fn news_of(name: &str, unread: u64) -> NewsOf {
    NewsOf { name: name.to_owned(), unread }
}

async fn names_sessions(alice: &Side) {
    // The hello of the link is read before anything can be sent over it.
    until(async || {
        let peers = alice.agent(AgentRequest::Peers { state: None }).await;
        (peers["peers"][0]["path"] == "direct").then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_session_reads_what_is_for_all_and_no_other_reads_what_is_for_one() {
    let (alice, bob) = paired().await;
    names_sessions(&alice).await;
    let (api, web) = (client(&bob, "api").await, client(&bob, "web").await);
    let (api, web) = (api.agent(), web.agent());
    let mut events = bob.node.events();
    alice.send("bob", "for all").await;
    alice.send("bob/web", "for web").await;
    alice.send("bob/nobody", "for nobody").await;
    let inbox = arrived(&bob, 3).await;
    let said = |n: usize, field: &str| inbox[n][field].as_str().unwrap_or_default().to_owned();
    assert_eq!((said(1, "session"), said(1, "unknown_session")), ("web".into(), String::new()));
    assert_eq!((said(2, "session"), said(2, "unknown_session")), (String::new(), "nobody".into()));
    let mut told = Vec::new();
    while told.len() < 3 {
        if let Event::Arrived { session, .. } = events.recv().await.unwrap() {
            told.push(session.map(|name| name.to_string()));
        }
    }
    assert_eq!(told, [None, Some("web".to_owned()), None]);
    let news = News {
        unread: vec![news_of("alice", 2)],
        elsewhere: vec![news_of("web", 1)],
        ..News::default()
    };
    assert_eq!(api.news().await.unwrap(), news);
    assert_eq!(read(&api).await, ["for all", "for nobody"]);
    assert_eq!(api.news().await.unwrap().unread, []);
    let news = News { unread: vec![news_of("alice", 3)], ..News::default() };
    assert_eq!(web.news().await.unwrap(), news, "nothing was taken from it");
    // To look at another's message by its id is no theft either.
    let id = inbox[1]["id"].as_str().unwrap().to_owned();
    api.ask(AgentRequest::Read { id, offset: None, mark_read: true }).await.unwrap();
    assert_eq!(read(&web).await, ["for all", "for web", "for nobody"]);
    assert_eq!((new_to(&api).await.len(), new_to(&web).await.len()), (0, 0));
    assert_eq!(bob.agent(AgentRequest::Whoami).await["unread"], 0);
}

#[tokio::test]
async fn news_of_many_peers_names_those_with_most() {
    let (_alice, bob) = paired().await;
    let db = rusqlite::Connection::open(bob.home.database_file()).unwrap();
    for unread in 1..=8 {
        let row = rusqlite::params![[u8::try_from(unread).unwrap(); 32], unread];
        db.execute("INSERT INTO unread_counts (session, peer, many) VALUES ('', ?1, ?2)", row)
            .unwrap();
    }
    let counts = |news: &News| -> Vec<u64> { news.unread.iter().map(|of| of.unread).collect() };
    let (nobodys, sessions) = (bob.node.agent(), client(&bob, "x").await);
    for agent in [nobodys, sessions.agent()] {
        let news = agent.news().await.unwrap();
        assert_eq!((counts(&news), news.others), (vec![8, 7, 6, 5, 4], 3 + 2 + 1));
    }
}

#[tokio::test]
async fn what_is_for_a_session_that_closed_is_told_to_the_others_and_to_it_again() {
    let (alice, bob) = paired().await;
    names_sessions(&alice).await;
    let (x, x2) = (client(&bob, "x").await, client(&bob, "x").await);
    assert_eq!(x2.name().as_str(), "x-2");
    let asked = say(&x.agent(), "alice", "a question", None).await;
    arrived(&alice, 1).await;
    // The answer arrives while it is there, and one waits who is somebody else.
    let agent = x2.agent();
    let wait = tokio_util::task::TaskTracker::new().spawn(async move {
        let unread = InboxRequest { unread: true, ..InboxRequest::default() };
        agent.inbox(unread, Duration::from_mins(1)).await.unwrap().messages
    });
    say(&alice.node.agent(), "bob", "an answer", Some(&asked)).await;
    assert_eq!(arrived(&bob, 1).await[0]["session"], "x");
    assert!(new_to(&x2.agent()).await.is_empty());
    assert_eq!(x2.agent().news().await.unwrap().elsewhere, [news_of("x", 1)]);
    assert!(!x2.agent().is_told(Some(x.name())));
    drop(x);
    assert_eq!(wait.await.unwrap()[0].text, "an answer", "closing wakes who waits");
    let news = News { unread: vec![news_of("alice", 1)], ..News::default() };
    assert_eq!(x2.agent().news().await.unwrap(), news);
    assert!(x2.agent().is_told(SessionName::parse("x").ok().as_ref()));
    assert_eq!(read(&x2.agent()).await, ["an answer"]);
    assert_eq!(read(&client(&bob, "x").await.agent()).await, ["an answer"]);
    assert!(new_to(&x2.agent()).await.is_empty());
}

#[tokio::test]
async fn a_hook_without_a_session_is_told_nothing_that_is_for_one_that_is_open() {
    let (alice, bob) = paired().await;
    names_sessions(&alice).await;
    let web = client(&bob, "web").await;
    alice.send("bob/web", "for web").await;
    alice.send("bob", "for all").await;
    arrived(&bob, 2).await;
    let told = async |conversation: &str| {
        let hook = HookCall {
            ancestors: Vec::new(),
            project: None,
            conversation: Some(conversation.to_owned()),
        };
        let (messages_max, bytes_max) = (20, 9999);
        let request = TellRequest { hook: Some(hook), messages_max, bytes_max };
        let told = bob.agent(AgentRequest::Tell(request)).await;
        let texts = told["messages"].as_array().unwrap().iter();
        texts.map(|message| message["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(told("one").await, ["for all"]);
    drop(web);
    assert_eq!(told("one").await, ["for web"], "it is for every one now");
    assert_eq!(told("two").await, ["for web", "for all"]);
}

#[tokio::test]
async fn a_reply_goes_to_the_session_that_asked_and_a_later_word_to_the_last_that_spoke() {
    let (alice, bob) = paired().await;
    names_sessions(&alice).await;
    let (api, web) = (client(&bob, "api").await, client(&bob, "web").await);
    let (api, web) = (api.agent(), web.agent());
    let asked = say(&api, "alice", "from api", None).await;
    let heard = arrived(&alice, 1).await;
    let thread = heard[0]["thread"].as_str().unwrap().to_owned();
    let answer = say(&alice.node.agent(), "bob", "an answer", Some(&asked)).await;
    arrived(&bob, 1).await;
    assert_eq!((new_to(&api).await, new_to(&web).await.len()), (vec!["an answer".to_owned()], 0));
    assert_eq!(web.news().await.unwrap().elsewhere, [news_of("api", 1)]);
    // The other one joins in: what says no more than the thread is for it from now on.
    say(&web, "alice", "web goes on", Some(&answer)).await;
    arrived(&alice, 2).await;
    let (to, text) = ("bob".to_owned(), "and further".to_owned());
    let more = SendRequest { to, text, thread: Some(thread), ..SendRequest::default() };
    alice.agent(AgentRequest::Send(more)).await;
    arrived(&bob, 2).await;
    assert_eq!(new_to(&web).await, ["and further"]);
    assert_eq!(read(&api).await, ["an answer"], "that web answered it does not take it away");
}

#[tokio::test]
async fn a_session_that_began_later_does_not_see_what_was_read_before() {
    let (alice, bob) = paired().await;
    let api = client(&bob, "api").await;
    alice.send("bob", "old and read").await;
    arrived(&bob, 1).await;
    read(&api.agent()).await;
    alice.send("bob", "old, and nobody has read it").await;
    arrived(&bob, 2).await;
    let web = client(&bob, "web").await;
    assert_eq!(new_to(&web.agent()).await, ["old, and nobody has read it"]);
    read(&api.agent()).await;
    assert!(new_to(&web.agent()).await.is_empty());
    alice.send("bob", "new").await;
    arrived(&bob, 3).await;
    read(&api.agent()).await;
    assert_eq!(new_to(&web.agent()).await, ["new"]);
    // The same name is the same session, after a restart too.
    drop((api, web));
    let bob = bob.restart().await;
    let web = client(&bob, "web").await;
    assert_eq!(read(&web.agent()).await, ["new"]);
    let all = bob.human(HumanRequest::Sessions).await["sessions"].as_array().unwrap().clone();
    let of = |n: usize, field: &str| all[n][field].clone();
    assert_eq!(
        (of(0, "name"), of(0, "open"), of(0, "unread")),
        ("web".into(), true.into(), 0.into())
    );
    assert_eq!((of(0, "client"), of(0, "transport")), ("editor".into(), "stdio".into()));
    assert_eq!((of(1, "name"), of(1, "open")), ("api".into(), false.into()));
    assert_eq!(of(1, "project"), "/srv/x/api");
}

#[tokio::test]
async fn a_message_can_be_a_sessions_first_before_it_asked_anything() {
    let (alice, bob) = paired().await;
    names_sessions(&alice).await;
    let api = client(&bob, "api").await;
    let choice = SessionName::parse("quiet").ok();
    let wish = Wish {
        choice,
        project: None,
        token: None,
        parent: None,
        transport: Transport::Http,
        channel: false,
    };
    let quiet = bob.node.open_session(wish);
    alice.send("bob/quiet", "to you").await;
    let inbox = arrived(&bob, 1).await;
    assert_eq!(inbox[0]["session"], "quiet");
    let id = inbox[0]["id"].as_str().unwrap().to_owned();
    api.agent().ask(AgentRequest::Read { id, offset: None, mark_read: true }).await.unwrap();
    assert_eq!(new_to(&quiet.agent()).await, ["to you"]);
}

#[tokio::test]
async fn an_older_peer_is_sent_no_session_and_may_name_one_to_us() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let to = |to: &str| {
        let (to, text) = (to.to_owned(), "hello".to_owned());
        Request::Agent(AgentRequest::Send(SendRequest { to, text, ..SendRequest::default() }))
    };
    let error = bob.ask(to("mallory/api")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("does not know sessions yet"), "{error}");
    assert!(error.next.contains("without /api"), "{error}");
    let error = bob.ask(to("mallory/My Api")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(error.message.contains("lower-case letters"), "{error}");
    assert_eq!(bob.ask(to("nobody/api")).await.unwrap_err().kind, ErrorKind::NotFound);
    bob.ask(to("mallory")).await.unwrap();
    let api = client(&bob, "api").await;
    let session = SessionName::parse("api").ok();
    let header = Header { session, ..mallory.header(1, Kind::Text) };
    let body = super::mallory::text_body("to api");
    let named = Draft { header, body }.seal(&mallory.key).unwrap();
    assert_eq!(mallory.say(named).await, Said::Accepted);
    assert_eq!(new_to(&api.agent()).await, ["to api"]);
    // Once its hello says so, it goes; and Bob told it that he knows them.
    mallory.net.set_features(mallory.bob, vec!["sessions".to_owned()]);
    until(async || bob.ask(to("mallory/api")).await.ok()).await;
}

#[tokio::test]
async fn what_is_held_for_the_human_is_its_sessions_once_they_say_yes() {
    let (bob, mut mallory) = bob_and_mallory().await;
    let (api, web) = (client(&bob, "api").await, client(&bob, "web").await);
    let hidden = mallory.hidden(2);
    let session = SessionName::parse("api").ok();
    let header = Header { session, ..hidden.header().clone() };
    let named = Draft { header, body: hidden.body().clone() }.seal(&mallory.key).unwrap();
    let seal = Countersignature::sign(&named, &mallory.human, Method::Passphrase, clock::now());
    let named = named.with_countersignature(seal.unwrap()).unwrap();
    assert_eq!(mallory.say(named).await, Said::HeldByPeer);
    assert_eq!(new_to(&api.agent()).await.len(), 0);
    let mut events = bob.node.events();
    bob.approve(&bob.first_pending().await).await;
    let arrived = loop {
        if let Event::Arrived { session, .. } = events.recv().await.unwrap() {
            break session;
        }
    };
    assert_eq!(arrived, SessionName::parse("api").ok());
    assert_eq!((new_to(&api.agent()).await.len(), new_to(&web.agent()).await.len()), (1, 0));
}

#[tokio::test]
async fn the_same_words_to_another_session_are_another_message() {
    let (alice, bob) = paired().await;
    names_sessions(&alice).await;
    let secret = ["key: AKIA", "ABCDEFGHIJKLMNOP"].concat();
    let sent = |to: &'static str| {
        let (alice, secret) = (&alice, &secret);
        async move {
            let sent = alice.send(to, secret).await;
            (sent["id"].clone(), sent["again"].as_bool().unwrap_or_default())
        }
    };
    let (all, first) = sent("bob").await;
    let (named, other) = sent("bob/api").await;
    assert_eq!((first, other), (false, false));
    assert_eq!(sent("bob").await, (all, true));
    assert_eq!(sent("bob/api").await, (named, true));
    assert_eq!(alice.pending().await.len(), 2, "the finding counts with a session, too");
    drop(bob);
}
