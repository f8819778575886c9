//! The side of a command: connect, ask, perhaps wait.

use std::{io, time::Duration};

use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::{
    Answer, Asked, HELLO, Hello, Hint, Role, Welcome,
    line::{Line, LineReader},
    to_line,
};
use crate::{
    base::limits,
    node::{
        api::{AgentRequest, ApiError, Inbox, InboxRequest, Request, SendRequest, Sent},
        config::Home,
    },
};

/// Why a node gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// None runs in this home.
    #[error("no node runs here; start one with: countersign node")]
    NoNode,
    /// The connection broke.
    #[error("the connection to the node broke: {0}")]
    Io(#[from] io::Error),
    /// It answered with an error.
    #[error("{0}")]
    Api(#[from] ApiError),
    /// It took too long.
    #[error("the node gave no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// It speaks another version, or nonsense.
    #[error("the node's answer cannot be read: {0}; if countersign was updated, stop the node")]
    Protocol(String),
}

/// A connection to the node of a home. It asks one thing after the other.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    last_id: u64,
}

#[derive(Debug)]
struct Connection {
    lines: LineReader<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
    welcome: Welcome,
}

/// A connection to the node of `home` after this hello: what `countersign mcp` carries bytes over.
///
/// # Errors
/// When none runs, or it refuses.
pub async fn open(
    home: &Home,
    hello: &Hello,
) -> Result<(LineReader<BufReader<OwnedReadHalf>>, OwnedWriteHalf), ClientError> {
    let Connection { lines, writer, .. } = say_hello(home, hello).await?;
    Ok((lines, writer))
}

/// What a node hints at, one after the other.
#[derive(Debug)]
pub struct Hints {
    connection: Connection,
}

/// Begins to hear what changes at the node of `home`.
///
/// # Errors
/// [`ClientError::NoNode`] when none runs.
pub async fn watch(home: &Home) -> Result<Hints, ClientError> {
    Ok(Hints { connection: say_hello(home, &Hello::of(Role::Watch)).await? })
}

impl Hints {
    /// The next hint. Waits as long as nothing changes; safe to cancel.
    ///
    /// # Errors
    /// When the node ended, or speaks nonsense.
    pub async fn next(&mut self) -> Result<Hint, ClientError> {
        from_json(&next_line(&mut self.connection.lines).await?)
    }
}

async fn say_hello(home: &Home, hello: &Hello) -> Result<Connection, ClientError> {
    let none = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
    let not_connected = |error: io::Error| {
        if none.contains(&error.kind()) { ClientError::NoNode } else { ClientError::Io(error) }
    };
    let stream = UnixStream::connect(home.socket_file()).await.map_err(not_connected)?;
    let (reader, mut writer) = stream.into_split();
    let mut lines = LineReader::new(BufReader::new(reader));
    let welcome = bounded(limits::HELLO_TIMEOUT, async {
        // A refusal may come before our hello is written: it says more than a broken pipe.
        let written = writer.write_all(&to_line(hello)).await;
        let answer = next_answer(&mut lines).await;
        written.map_err(ClientError::Io).and(answer)
    })
    .await?;
    let welcome: Welcome = from_json(&welcome)?;
    if welcome.hello != HELLO {
        let problem = format!("it speaks version {} of the socket's protocol", welcome.hello);
        return Err(ClientError::Protocol(problem));
    }
    Ok(Connection { lines, writer, welcome })
}

impl Client {
    /// Connects to the node of `home`.
    ///
    /// # Errors
    /// [`ClientError::NoNode`] when none runs.
    pub async fn connect(home: &Home) -> Result<Self, ClientError> {
        Ok(Self { connection: say_hello(home, &Hello::of(Role::Client)).await?, last_id: 0 })
    }

    /// The node's process.
    #[must_use]
    pub const fn node_pid(&self) -> u32 {
        self.connection.welcome.pid
    }

    /// Of countersign, as the node runs it.
    #[must_use]
    pub fn node_version(&self) -> &str {
        &self.connection.welcome.version
    }

    /// Asks, and reads the reply as the type that belongs to the request.
    ///
    /// # Errors
    /// What the node answers, or what broke.
    pub async fn ask<T: DeserializeOwned>(&mut self, request: Request) -> Result<T, ClientError> {
        self.ask_within(request, None).await
    }

    /// As [`Client::ask`], for what takes long, such as a copy of the whole database.
    ///
    /// # Errors
    /// What the node answers, or what broke.
    pub async fn ask_slow<T: DeserializeOwned>(
        &mut self,
        request: Request,
    ) -> Result<T, ClientError> {
        self.ask_within(request, Some(limits::WAIT_MAX)).await
    }

    /// A page of the inbox; when it is empty, the node waits for a message until `wait` is over.
    ///
    /// # Errors
    /// What the node answers, or what broke.
    pub async fn inbox(
        &mut self,
        request: InboxRequest,
        wait: Duration,
    ) -> Result<Inbox, ClientError> {
        self.ask_within(Request::Agent(AgentRequest::Inbox(request)), Some(wait)).await
    }

    /// Sends a message and waits for its reply until `wait` is over.
    ///
    /// # Errors
    /// What the node answers, or what broke.
    pub async fn send(
        &mut self,
        request: SendRequest,
        wait: Duration,
    ) -> Result<Sent, ClientError> {
        self.ask_within(Request::Agent(AgentRequest::Send(request)), Some(wait)).await
    }

    async fn ask_within<T: DeserializeOwned>(
        &mut self,
        request: Request,
        wait: Option<Duration>,
    ) -> Result<T, ClientError> {
        self.last_id += 1;
        let asked = Asked { id: self.last_id, request, wait_seconds: wait.map(|w| w.as_secs()) };
        let limit = wait.unwrap_or_default().min(limits::WAIT_MAX) + limits::IPC_ANSWER_TIMEOUT;
        bounded(limit, self.answer(&asked)).await
    }

    async fn answer<T: DeserializeOwned>(&mut self, asked: &Asked) -> Result<T, ClientError> {
        let Connection { lines, writer, .. } = &mut self.connection;
        writer.write_all(&to_line(asked)).await?;
        loop {
            let line = next_answer(lines).await?;
            let answer: Answer<serde_json::Value> = from_json(&line)?;
            // An answer to an earlier question, which nobody waits for any more.
            if answer.id.is_some_and(|id| id != asked.id) {
                continue;
            }
            let reply = answer.reply.ok_or_else(|| protocol(&"neither a reply nor an error"))?;
            return serde_json::from_value(reply).map_err(|error| protocol(&error));
        }
    }
}

async fn next_line(
    lines: &mut LineReader<BufReader<OwnedReadHalf>>,
) -> Result<Vec<u8>, ClientError> {
    let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "the node ended it");
    match lines.next().await?.ok_or_else(ended)? {
        Line::Whole(line) => Ok(line),
        Line::TooLong { .. } => Err(protocol(&"it is too long")),
    }
}

/// The next line, or the error that it holds.
async fn next_answer(
    lines: &mut LineReader<BufReader<OwnedReadHalf>>,
) -> Result<Vec<u8>, ClientError> {
    let line = next_line(lines).await?;
    let answer: Answer<serde::de::IgnoredAny> = from_json(&line)?;
    answer.error.map_or(Ok(line), |error| Err(ClientError::Api(error)))
}

async fn bounded<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    timeout(limit, work).await.unwrap_or(Err(ClientError::Timeout(limit)))
}

fn from_json<'l, T: serde::Deserialize<'l>>(line: &'l [u8]) -> Result<T, ClientError> {
    serde_json::from_slice(line).map_err(|error| protocol(&error))
}

fn protocol(problem: &dyn std::fmt::Display) -> ClientError {
    ClientError::Protocol(problem.to_string())
}
