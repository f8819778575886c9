#![expect(clippy::disallowed_methods, reason = "tests spawn as they need")]

use std::{
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{
    base::limits,
    node::{NodeHandle, api::*, config::Home, handle::Question},
};

struct Running {
    home: Home,
    node: NodeHandle,
    sessions: Arc<Mutex<Vec<SessionStream>>>,
    cancel: CancellationToken,
    serving: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

async fn run() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path()).unwrap();
    let (node, mut questions) = NodeHandle::channel();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Some(Question { request, answer, .. }) = questions.recv().await {
            match request {
                // Never answered: it must not hold up the others.
                Request::Agent(AgentRequest::Outstanding) => held.push(answer),
                request @ (Request::Agent(_) | Request::Human(_)) => {
                    drop(answer.send(reply(&request)));
                }
            }
        }
    });
    let listener = Listener::bind(&home).await.unwrap();
    let (cancel, sessions) = (CancellationToken::new(), Arc::<Mutex<Vec<_>>>::default());
    let kept = Arc::clone(&sessions);
    let session = move |stream| {
        kept.lock().unwrap().push(stream);
        async {}
    };
    let serving =
        tokio::spawn(listener.serve(node.clone(), session, TaskTracker::new(), cancel.clone()));
    Running { home, node, sessions, cancel, serving, _folder: folder }
}

fn reply(request: &Request) -> Result<Reply, ApiError> {
    match request {
        Request::Human(_) => Ok(Reply::Status(Status { running: true, ..Status::default() })),
        Request::Agent(AgentRequest::Inbox(asked)) => Ok(Reply::Inbox(Inbox {
            messages: Vec::new(),
            unread: 3,
            // As where a search has looked through as much as it may.
            next_cursor: asked.query.as_ref().map(|_| "20000".to_owned()),
            held: Vec::new(),
            held_total: 0,
        })),
        Request::Agent(AgentRequest::Invite { note, .. }) => Ok(Reply::Invite(InviteMade {
            invite: note.clone().unwrap_or_default().repeat(limits::LINE_BYTES_MAX / 4),
            code: None,
            expires_at: String::new(),
        })),
        Request::Agent(_) => {
            Err(ApiError::new(ErrorKind::NotFound, "there is no bob", "see countersign peers"))
        }
    }
}

#[tokio::test]
async fn a_client_asks_as_agent_and_as_human() {
    let running = run().await;
    let mut client = Client::connect(&running.home).await.unwrap();
    assert_eq!(client.node_pid(), std::process::id());
    let status: Status = client.ask(Request::Human(HumanRequest::Status)).await.unwrap();
    assert!(status.running);
    let peers = Request::Agent(AgentRequest::Peers { state: None });
    let error = client.ask::<Peers>(peers).await.unwrap_err();
    assert!(matches!(error, ClientError::Api(error) if error.kind == ErrorKind::NotFound));
    let long =
        AgentRequest::Invite { note: Some("abcde".to_owned()), expires_minutes: None, code: false };
    let error = client.ask::<InviteMade>(Request::Agent(long)).await.unwrap_err().to_string();
    assert!(error.contains("the limit is 1048576"), "{error}");
}

#[tokio::test]
async fn a_client_can_wait_for_a_message() {
    let running = run().await;
    let mut client = Client::connect(&running.home).await.unwrap();
    let waited = client.inbox(InboxRequest::default(), Duration::from_secs(1)).await.unwrap();
    assert_eq!(waited.unread, 3);
    let rare = InboxRequest { query: Some("rare".to_owned()), ..InboxRequest::default() };
    let goes_on = client.inbox(rare, Duration::from_mins(1));
    let goes_on = tokio::time::timeout(Duration::from_secs(20), goes_on).await.unwrap().unwrap();
    assert_eq!(goes_on.next_cursor.as_deref(), Some("20000"), "it is not waited on");
    let error = client.send(SendRequest::default(), Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, ClientError::Api(_)));
}

#[tokio::test]
async fn requests_of_one_client_do_not_wait_for_each_other() {
    let running = run().await;
    let mut stream = raw(&running.home, &json!(Hello::of(Role::Client))).await;
    let asked = [
        json!({ "id": 1, "request": { "agent": "outstanding" } }),
        json!({ "id": 2, "request": { "human": "status" } }),
        json!({ "id": 3, "request": { "human": "approve" } }),
    ];
    for line in asked {
        stream.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
    let mut lines = stream.lines();
    let mut next = async || lines.next_line().await.unwrap().unwrap();
    assert!(next().await.contains("\"version\""));
    let both = next().await + &next().await;
    assert!(both.contains("\"id\":2,\"reply\":{\"running\":true"), "{both}");
    assert!(both.contains("the request cannot be read"), "{both}");
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_loses_its_connection() {
    let running = run().await;
    let mut stream = raw(&running.home, &json!(Hello::of(Role::Client))).await;
    let asked = json!({ "id": 1, "request": { "agent": "invite", "note": "xxx" } });
    stream.write_all(format!("{asked}\n").as_bytes()).await.unwrap();
    let mut welcome = String::new();
    stream.read_line(&mut welcome).await.unwrap();
    // It has begun to answer.
    stream.fill_buf().await.unwrap();
    tokio::time::pause();
    tokio::time::advance(limits::IPC_READ_TIMEOUT).await;
    tokio::time::resume();
    // It gives up before anything more is read.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut said = String::new();
    let read = stream.read_to_string(&mut said);
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("it ends").unwrap();
    assert!(said.contains("xxx") && !said.ends_with('\n'), "{} bytes", said.len());
    assert!(said.len() < limits::LINE_BYTES_MAX / 4 * 3);
}

#[test]
fn every_request_reads_back_as_it_was() {
    let requests = [
        Request::Agent(AgentRequest::Whoami),
        Request::Agent(AgentRequest::Send(SendRequest {
            to: "bob".into(),
            ..SendRequest::default()
        })),
        Request::Agent(AgentRequest::Inbox(InboxRequest {
            limit: Some(3),
            ..InboxRequest::default()
        })),
        Request::Agent(AgentRequest::Peers { state: Some(crate::trust::PeerState::Trusted) }),
        Request::Human(HumanRequest::Pending),
        Request::Human(HumanRequest::Deny { id: "pnd_1".into(), block: true }),
    ];
    for request in requests {
        let line = to_line(&Asked { id: 1, request: request.clone(), wait_seconds: None });
        let asked: Asked = serde_json::from_slice(&line).unwrap();
        assert_eq!(format!("{:?}", asked.request), format!("{request:?}"));
    }
}

async fn raw(home: &Home, hello: &serde_json::Value) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(home.socket_file()).await.unwrap();
    stream.write_all(format!("{hello}\n").as_bytes()).await.unwrap();
    BufReader::new(stream)
}

#[tokio::test]
async fn what_is_no_hello_is_refused() {
    let running = run().await;
    for hello in [json!({ "hello": 2, "role": "mcp", "pid": 1, "cwd": "/" }), json!({}), json!(7)] {
        let (mut stream, mut answer) = (raw(&running.home, &hello).await, String::new());
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("{\"error\":{\"kind\":\"usage\""), "{answer}");
    }
}

#[tokio::test]
async fn a_session_is_handed_on_with_what_it_already_said() {
    let running = run().await;
    let hello = serde_json::to_string(&Hello::of(Role::Mcp)).unwrap();
    let mut stream = UnixStream::connect(running.home.socket_file()).await.unwrap();
    stream.write_all(format!("{hello}\nfirst\n").as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    assert!(lines.next_line().await.unwrap().unwrap().contains("\"hello\":1"));
    let mut session = until(|| running.sessions.lock().unwrap().pop()).await;
    let mut said = String::new();
    session.reader.read_line(&mut said).await.unwrap();
    assert_eq!((said.as_str(), session.hello.role), ("first\n", Role::Mcp));
}

async fn until<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(value) = ready() {
            return value;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_watch_is_told_what_changes_and_nothing_of_a_peers() {
    let running = run().await;
    let mut hints = watch(&running.home).await.unwrap();
    running.node.tell(Event::PendingChanged);
    running.node.tell(Event::Arrived {
        message: "m1".into(),
        from: "a peer's words".into(),
        session: None,
    });
    assert_eq!(hints.next().await.unwrap(), Hint::PendingChanged);
    assert_eq!(hints.next().await.unwrap(), Hint::Arrived { message: "m1".into() });
    // One that is behind is told to ask for everything.
    let more = limits::EVENT_QUEUE * 2;
    (0..more).for_each(|_| running.node.tell(Event::PeersChanged));
    assert_eq!(hints.next().await.unwrap(), Hint::Missed);
    running.cancel.cancel();
    let ended = async { while hints.next().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap();
}

#[tokio::test]
async fn a_watch_hears_no_requests() {
    let running = run().await;
    let mut stream = raw(&running.home, &json!(Hello::of(Role::Watch))).await;
    let asked = json!({ "id": 1, "request": { "human": "status" } });
    stream.write_all(format!("{asked}\n").as_bytes()).await.unwrap();
    let mut lines = stream.lines();
    assert!(lines.next_line().await.unwrap().unwrap().contains("\"version\""));
    running.node.tell(Event::PeersChanged);
    assert_eq!(lines.next_line().await.unwrap().unwrap(), r#"{"hint":"peers_changed"}"#);
}

#[tokio::test]
async fn sessions_leave_room_for_the_human() {
    let running = run().await;
    let mut open_sessions = Vec::new();
    for _ in 0..limits::IPC_SESSIONS_MAX {
        open_sessions.push(open(&running.home, &Hello::of(Role::Mcp)).await.unwrap());
    }
    let error = open(&running.home, &Hello::of(Role::Mcp)).await.unwrap_err();
    assert!(matches!(error, ClientError::Api(error) if error.kind == ErrorKind::Busy));
    let mut client = Client::connect(&running.home).await.unwrap();
    client.ask::<Status>(Request::Human(HumanRequest::Status)).await.unwrap();
    running.sessions.lock().unwrap().pop();
    open(&running.home, &Hello::of(Role::Mcp)).await.unwrap();
}

#[tokio::test]
async fn the_socket_is_private_and_a_dead_one_is_replaced() {
    let running = run().await;
    let path = running.home.socket_file();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let error = Listener::bind(&running.home).await.unwrap_err();
    assert!(matches!(error, ListenerError::AlreadyRuns));
    running.cancel.cancel();
    running.serving.await.unwrap();
    assert!(!path.exists());
    let error = Client::connect(&running.home).await.unwrap_err();
    assert!(matches!(error, ClientError::NoNode));
    // As after a crash.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let error = Client::connect(&running.home).await.unwrap_err();
    assert!(matches!(error, ClientError::NoNode));
    Listener::bind(&running.home).await.unwrap();
    drop(running.node);
}
