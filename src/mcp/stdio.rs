//! The process behind `countersign mcp`: carries lines between a client's pipes and the node, and
//! keeps the session when the node restarts. It understands no more of MCP than that takes.

use std::{collections::VecDeque, future::pending, io, pin::pin};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    time::{Instant, sleep, sleep_until},
};

use super::replay::{self, FromClient, Session};
use crate::{
    base::limits::{LINE_BYTES_MAX, NODE_RETRY, PUMP_BYTES_MAX, STDIO_DRAIN},
    ipc::{
        self, ClientError, Hello,
        line::{Line, LineReader},
    },
    node::config::Home,
};

/// How the client's session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client left.
    Clean,
    /// The client left, and there was never a node; every request was answered with this.
    NoNode(String),
}

/// Serves the client at this process's stdin and stdout until it leaves, on a runtime of its own.
/// `hello` says of the session what the node is told each time. `start` starts the node when none runs;
/// its error is what the client is told.
///
/// # Errors
/// When stdin or stdout breaks.
pub fn serve<S>(home: &Home, hello: &Hello, start: S) -> io::Result<Ended>
where
    S: AsyncFn() -> Result<(), String>,
{
    // One thread: it waits for bytes, and nothing else.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended =
        runtime.block_on(run((home, hello), tokio::io::stdin(), tokio::io::stdout(), start));
    // A thread that is still reading stdin must not keep the process.
    runtime.shutdown_background();
    ended
}

/// As [`serve`], for any streams. `node` is where it is and what it is told of the session.
///
/// # Errors
/// When a stream of the client breaks.
pub async fn run<R, W, S>(node: (&Home, &Hello), input: R, output: W, start: S) -> io::Result<Ended>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    S: AsyncFn() -> Result<(), String>,
{
    let mut pump = Pump {
        client: LineReader::new(BufReader::new(input)),
        waiting: VecDeque::new(),
        output: Outgoing::new(output),
        session: Session::default(),
        leaves_at: None,
        no_node: None,
    };
    let mut may_start = true;
    while let Some(found) = pump.find_node(node, &start, may_start).await? {
        pump.no_node = None;
        if pump.carry(found).await? == Carried::ClientLeft {
            break;
        }
        // It was stopped, perhaps by a person: only a request starts it again.
        may_start = false;
    }
    Ok(pump.no_node.map_or(Ended::Clean, Ended::NoNode))
}

type Node = (LineReader<BufReader<OwnedReadHalf>>, OwnedWriteHalf);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Carried {
    ClientLeft,
    NodeLost,
}

enum Meanwhile<T> {
    Done(T),
    /// The client asked for something.
    Requested,
    ClientLeft,
}

struct Pump<R, W> {
    client: LineReader<BufReader<R>>,
    /// Lines of the client that wait for a node.
    waiting: VecDeque<Vec<u8>>,
    output: Outgoing<W>,
    session: Session,
    /// The client closed its side; from then on only what it still awaits matters.
    leaves_at: Option<Instant>,
    /// Why there is none, while there has been none.
    no_node: Option<String>,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Pump<R, W> {
    /// A connection to a node, which is started when the client asks for something. `None` when
    /// the client left.
    async fn find_node<S>(
        &mut self,
        node: (&Home, &Hello),
        start: &S,
        mut may_start: bool,
    ) -> io::Result<Option<Node>>
    where
        S: AsyncFn() -> Result<(), String>,
    {
        loop {
            match self.meanwhile(reach(node, start, may_start), false).await? {
                Meanwhile::Done(Ok(node)) => return Ok(Some(node)),
                Meanwhile::Done(Err(problem)) if may_start => self.refuse(problem),
                Meanwhile::Done(Err(_)) | Meanwhile::Requested => {}
                Meanwhile::ClientLeft => return Ok(None),
            }
            // Looks again after a while, in case that somebody else starts one.
            match self.meanwhile(sleep(NODE_RETRY), true).await? {
                Meanwhile::ClientLeft => return Ok(None),
                Meanwhile::Done(()) | Meanwhile::Requested => may_start = self.has_request(),
            }
        }
    }

    /// Does `work` while the client may write.
    async fn meanwhile<T>(
        &mut self,
        work: impl Future<Output = T>,
        until_request: bool,
    ) -> io::Result<Meanwhile<T>> {
        let mut work = pin!(work);
        loop {
            if until_request && self.has_request() {
                return Ok(Meanwhile::Requested);
            }
            let leaves = self.leaves_at.is_some();
            if leaves && self.waiting.is_empty() && !self.output.has_work() {
                return Ok(Meanwhile::ClientLeft);
            }
            let reads = !leaves && self.waiting_bytes() < PUMP_BYTES_MAX;
            tokio::select! {
                done = &mut work => return Ok(Meanwhile::Done(done)),
                line = self.client.next(), if reads => self.keep(line?),
                wrote = self.output.advance(), if self.output.has_work() => wrote?,
                () = at(self.leaves_at) => return Ok(Meanwhile::ClientLeft),
            }
        }
    }

    fn has_request(&self) -> bool {
        self.waiting.iter().any(|line| Session::is_request(line))
    }

    fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(Vec::len).sum()
    }

    fn keep(&mut self, line: Option<Line>) {
        match line {
            Some(Line::Whole(line)) => self.waiting.push_back(line),
            Some(Line::TooLong { head, tail }) => self.answer_too_long(true, &head, &tail),
            None => self.leaves_at = Some(Instant::now() + STDIO_DRAIN),
        }
    }

    fn answer_too_long(&mut self, from_client: bool, head: &[u8], tail: &[u8]) {
        let whose = if from_client { "the message" } else { "the answer" };
        let message = format!("{whose} is too long; the limit is {LINE_BYTES_MAX} bytes");
        self.output.push(&replay::too_long(from_client, head, tail, &message));
    }

    /// Answers what waits: there is no node.
    fn refuse(&mut self, problem: String) {
        for line in self.waiting.drain(..) {
            self.output.push(&replay::error_for(&line, &problem).unwrap_or_default());
        }
        self.no_node = Some(problem);
    }

    /// Carries lines both ways. Neither side waits for the other: a side that does not read holds
    /// up only what is for it.
    async fn carry(&mut self, (mut node, writer): Node) -> io::Result<Carried> {
        let mut to_node = Outgoing::new(writer);
        let (first, told) = self.session.connected();
        to_node.push(&first.concat());
        self.output.push(&told.concat());
        loop {
            while let Some(line) = self.waiting.pop_front() {
                self.pass(line, &mut to_node);
            }
            if self.leaves_at.is_some() && self.is_done(&to_node) {
                return Ok(Carried::ClientLeft);
            }
            let reads = self.leaves_at.is_none() && to_node.len() < PUMP_BYTES_MAX;
            tokio::select! {
                line = self.client.next(), if reads => self.keep(line?),
                line = node.next(), if self.output.len() < PUMP_BYTES_MAX => match line {
                    Ok(Some(line)) => self.hand_over(line),
                    Ok(None) | Err(_) => break,
                },
                wrote = to_node.advance(), if to_node.has_work() => if wrote.is_err() { break },
                wrote = self.output.advance(), if self.output.has_work() => wrote?,
                () = at(self.leaves_at) => return Ok(Carried::ClientLeft),
            }
        }
        self.output.push(&self.session.disconnected().concat());
        Ok(Carried::NodeLost)
    }

    fn is_done<N>(&self, to_node: &Outgoing<N>) -> bool {
        !self.session.has_calls() && !to_node.has_work() && !self.output.has_work()
    }

    fn pass<N>(&mut self, line: Vec<u8>, to_node: &mut Outgoing<N>) {
        match self.session.client_says(line) {
            FromClient::Pass(line) => to_node.push(&line),
            FromClient::Answer(line) => self.output.push(&line),
            FromClient::Drop => {}
        }
    }

    fn hand_over(&mut self, line: Line) {
        match line {
            Line::Whole(line) => {
                if let Some(line) = self.session.node_says(line) {
                    self.output.push(&line);
                }
            }
            Line::TooLong { head, tail } => self.answer_too_long(false, &head, &tail),
        }
    }
}

/// The node, started first when there is none and it may be.
async fn reach<S>(
    (home, hello): (&Home, &Hello),
    start: &S,
    may_start: bool,
) -> Result<Node, String>
where
    S: AsyncFn() -> Result<(), String>,
{
    match ipc::open(home, hello).await {
        Err(ClientError::NoNode) if may_start => start().await?,
        opened => return opened.map_err(|error| error.to_string()),
    }
    ipc::open(home, hello).await.map_err(|error| error.to_string())
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

/// Bytes on their way to one side.
struct Outgoing<W> {
    writer: W,
    bytes: VecDeque<u8>,
    /// Written, but perhaps not gone.
    unflushed: bool,
}

impl<W> Outgoing<W> {
    const fn new(writer: W) -> Self {
        Self { writer, bytes: VecDeque::new(), unflushed: false }
    }

    fn push(&mut self, line: &[u8]) {
        self.bytes.extend(line);
    }

    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn has_work(&self) -> bool {
        self.unflushed || !self.bytes.is_empty()
    }
}

impl<W: AsyncWrite + Unpin> Outgoing<W> {
    /// Writes some. Safe to cancel: what was not written is still there.
    async fn advance(&mut self) -> io::Result<()> {
        let (next, _) = self.bytes.as_slices();
        if next.is_empty() {
            self.writer.flush().await?;
            self.unflushed = false;
            return Ok(());
        }
        let written = self.writer.write(next).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes.drain(..written);
        self.unflushed = true;
        Ok(())
    }
}
