//! The side of the node: accept, check who comes, answer.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{
        OwnedSemaphorePermit, Semaphore,
        broadcast::{Receiver, error::RecvError},
    },
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Answer, Asked, HELLO, Hello, Hint, Role, Welcome,
    line::{Line, LineReader},
    to_line,
};
use crate::{
    base::{
        failpoint::{Failpoint, reach},
        limits::{
            HELLO_TIMEOUT, IPC_CLIENTS_MAX, IPC_READ_TIMEOUT, IPC_REQUESTS_MAX, IPC_SESSIONS_MAX,
            LINE_BYTES_MAX,
        },
    },
    node::{
        NodeHandle,
        api::{AgentRequest, ApiError, ErrorKind, Event, Reply, Request},
        config::Home,
    },
};

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// A node answers there.
    #[error("a node runs here already")]
    AlreadyRuns,
    /// It cannot be made.
    #[error("the socket {path} cannot be made: {error}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// An agent's session after its hello.
#[derive(Debug)]
pub struct SessionStream {
    /// What it said.
    pub hello: Hello,
    /// What it says next, with what is buffered.
    pub reader: BufReader<OwnedReadHalf>,
    /// Where answers go.
    pub writer: OwnedWriteHalf,
    /// Its place among the sessions, free again when this is dropped.
    pub place: OwnedSemaphorePermit,
}

/// The node's socket. Hold the home's lock before you bind it.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

type Lines = LineReader<BufReader<OwnedReadHalf>>;

impl Listener {
    /// Makes the socket, for this user alone. One that nobody answers at is removed.
    ///
    /// # Errors
    /// When a node answers there, or the folder cannot be written.
    pub async fn bind(home: &Home) -> Result<Self, ListenerError> {
        let path = home.socket_file();
        let io = |error| ListenerError::Io { path: path.clone(), error };
        match UnixStream::connect(&path).await {
            Ok(_) => return Err(ListenerError::AlreadyRuns),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(&path).map_err(io)?;
            }
            Err(error) => return Err(io(error)),
        }
        let socket = UnixListener::bind(&path).map_err(io)?;
        // Whoever came in between is another user, and refused below.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(io)?;
        Ok(Self { socket, path })
    }

    /// Serves clients from `node`, and hands each agent's session to `session`, until `cancel`.
    /// Then the socket is removed. A session ends by itself on the same token.
    pub async fn serve<S, F>(
        self,
        node: NodeHandle,
        session: S,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) where
        S: Fn(SessionStream) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(IPC_CLIENTS_MAX));
        let sessions = Arc::new(Semaphore::new(IPC_SESSIONS_MAX));
        while let Some(stream) = self.next(&cancel).await {
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                refuse_without_waiting(&stream);
                continue;
            };
            let (node, session, sessions) = (node.clone(), session.clone(), Arc::clone(&sessions));
            let cancel = cancel.clone();
            tasks.spawn(async move {
                let guest = Guest { node, sessions, cancel };
                if let Err(error) = guest.serve(stream, session).await {
                    tracing::debug!(%error, "a connection to the socket ended");
                }
                drop(place);
            });
        }
        // Gone already is as good.
        fs::remove_file(&self.path).ok();
    }

    async fn next(&self, cancel: &CancellationToken) -> Option<UnixStream> {
        loop {
            match cancel.run_until_cancelled(self.socket.accept()).await? {
                Ok((stream, _)) => return Some(stream),
                Err(error) => {
                    // Out of file descriptors: wait until some are free.
                    tracing::warn!(%error, "a connection to the socket was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// Says that there is no room; whoever does not read it at once sees the end alone.
fn refuse_without_waiting(stream: &UnixStream) {
    stream.try_write(&error_line(None, busy(IPC_CLIENTS_MAX, "connections"))).ok();
}

fn busy(max: usize, what: &str) -> ApiError {
    let message = format!("the node has {max} {what} open, which is the limit");
    ApiError::new(ErrorKind::Busy, message, "close some and try again")
}

fn error_line(id: Option<u64>, error: ApiError) -> Vec<u8> {
    to_line(&Answer::<Reply> { id, reply: None, error: Some(error) })
}

/// One connection.
struct Guest {
    node: NodeHandle,
    sessions: Arc<Semaphore>,
    cancel: CancellationToken,
}

impl Guest {
    async fn serve<S, F>(self, stream: UnixStream, session: S) -> io::Result<()>
    where
        S: Fn(SessionStream) -> F,
        F: Future<Output = ()>,
    {
        let ours = stream.peer_cred()?.uid() == rustix::process::getuid().as_raw();
        let (reader, mut writer) = stream.into_split();
        let mut lines = LineReader::new(BufReader::new(reader));
        let hello = match hello(&mut lines, ours).await {
            Ok(hello) => hello,
            Err(error) => return writer.write_all(&error_line(None, error)).await,
        };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let welcome = to_line(&Welcome { hello: HELLO, pid: std::process::id(), version });
        match hello.role {
            Role::Client => {
                writer.write_all(&welcome).await?;
                let answered = answer_all(&self.node, &mut lines, &mut writer);
                self.cancel.run_until_cancelled(answered).await.unwrap_or(Ok(()))
            }
            Role::Watch => {
                // From before the welcome on: who asks after it misses nothing.
                let events = self.node.events();
                writer.write_all(&welcome).await?;
                let told = tell_all(events, &mut lines, &mut writer);
                self.cancel.run_until_cancelled(told).await.unwrap_or(Ok(()))
            }
            Role::Mcp => {
                let Ok(place) = self.sessions.try_acquire_owned() else {
                    let error = busy(IPC_SESSIONS_MAX, "agents' sessions");
                    return writer.write_all(&error_line(None, error)).await;
                };
                writer.write_all(&welcome).await?;
                session(SessionStream { hello, reader: lines.into_inner(), writer, place }).await;
                Ok(())
            }
        }
    }
}

async fn hello(lines: &mut Lines, ours: bool) -> Result<Hello, ApiError> {
    let refuse = |kind, what: &str| {
        ApiError::new(kind, what, "update countersign, then stop the node and try again")
    };
    if !ours {
        return Err(refuse(ErrorKind::Refused, "this node belongs to another user"));
    }
    let first = timeout(HELLO_TIMEOUT, lines.next()).await;
    let Ok(Ok(Some(Line::Whole(line)))) = first else {
        return Err(refuse(ErrorKind::Usage, "no hello came in time"));
    };
    let hello: Hello = serde_json::from_slice(&line)
        .map_err(|error| refuse(ErrorKind::Usage, &format!("not a hello: {error}")))?;
    if hello.hello != HELLO {
        let what = format!("the hello is of version {}; this node speaks {HELLO}", hello.hello);
        return Err(refuse(ErrorKind::Usage, &what));
    }
    Ok(hello)
}

/// Answers one client until it leaves. What it does not wait for any more is dropped with it.
async fn answer_all(
    node: &NodeHandle,
    lines: &mut Lines,
    writer: &mut OwnedWriteHalf,
) -> io::Result<()> {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            line = lines.next(), if running.len() < IPC_REQUESTS_MAX => match line? {
                Some(Line::Whole(line)) => running.push(answer(node, line)),
                Some(Line::TooLong { .. }) => {
                    let message = format!("the line is too long; the limit is {LINE_BYTES_MAX} bytes");
                    let error = ApiError::new(ErrorKind::Usage, message, "send less at once");
                    writer.write_all(&error_line(None, error)).await?;
                }
                None => return Ok(()),
            },
            Some(line) = running.next() => {
                reach(Failpoint::AnswerWrite);
                // What it asked for is kept until it is taken, and not for ever.
                timeout(IPC_READ_TIMEOUT, writer.write_all(&line)).await??;
                reach(Failpoint::AnswerWritten);
            }
        }
    }
}

/// Tells one watch of every event, until it leaves. What it says is not listened to.
async fn tell_all(
    mut events: Receiver<Event>,
    lines: &mut Lines,
    writer: &mut OwnedWriteHalf,
) -> io::Result<()> {
    loop {
        let hint = tokio::select! {
            event = events.recv() => match event {
                Ok(event) => Hint::from(event),
                Err(RecvError::Lagged(_)) => Hint::Missed,
                Err(RecvError::Closed) => return Ok(()),
            },
            line = lines.next() => match line? {
                Some(_) => continue,
                None => return Ok(()),
            },
        };
        writer.write_all(&to_line(&hint)).await?;
    }
}

async fn answer(node: &NodeHandle, line: Vec<u8>) -> Vec<u8> {
    let asked: Asked = match serde_json::from_slice(&line) {
        Ok(asked) => asked,
        Err(error) => {
            let message = format!("the request cannot be read: {error}");
            return error_line(None, ApiError::new(ErrorKind::Usage, message, NEXT_VERSION));
        }
    };
    let id = Some(asked.id);
    let line = match ask(node, asked).await {
        Ok(reply) => to_line(&Answer { id, reply: Some(reply), error: None }),
        Err(error) => error_line(id, error),
    };
    if line.len() <= LINE_BYTES_MAX {
        return line;
    }
    let message = format!("the answer is {} bytes; the limit is {LINE_BYTES_MAX}", line.len());
    error_line(id, ApiError::new(ErrorKind::Usage, message, "ask for less, with a smaller limit"))
}

const NEXT_VERSION: &str = "if countersign was updated, stop the node and try again";

async fn ask(node: &NodeHandle, asked: Asked) -> Result<Reply, ApiError> {
    let wait = asked.wait_seconds.map(Duration::from_secs);
    match (asked.request, wait) {
        (Request::Agent(AgentRequest::Inbox(request)), Some(wait)) => {
            node.agent().inbox(request, wait).await.map(Reply::Inbox)
        }
        (Request::Agent(AgentRequest::Send(request)), Some(wait)) => {
            node.agent().send(request, wait).await.map(Reply::Send)
        }
        (request, _) => node.ask(request).await,
    }
}
