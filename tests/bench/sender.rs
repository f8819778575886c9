//! The sending end: asks its node to send, and watches what becomes of it.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::Write as _,
    time::{Duration, Instant},
};

use countersign::node::{
    NodeHandle,
    api::{AgentRequest, ApiError, Event, Reply, SendRequest},
};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};

use crate::{
    ends::{InProcess, Measured, say},
    figures::Samples,
    raw::{self, Stream, Wish},
};

/// One by one; between two rounds the receiver reads, so that it always has room.
const ROUNDS: usize = 20;
const MESSAGES_A_ROUND: usize = 100;
/// In flight, and how many messages.
const FLIGHTS: [(usize, usize); 3] = [(1, 2000), (16, 10_000), (64, 20_000)];
/// Fewer than the receiver lets wait unread.
const UNREAD_MAX: usize = 190;
/// So long without a change means that one was missed.
const QUIET: Duration = Duration::from_secs(1);
/// Two nodes that dialed each other at once have changed to the link that stays.
const LINK_SETTLED: Duration = Duration::from_secs(6);
/// Nothing takes longer.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) async fn run(home: String, to: String, receiver: u32) {
    let end = InProcess::start(&home).await;
    let endpoint = raw::endpoint().await;
    let mut stream = Stream::dial(&endpoint, &to).await;
    let peer = linked_peer(&end.node).await;
    tokio::time::sleep(LINK_SETTLED).await;
    let mut disk = File::create(format!("{home}/bench")).unwrap();
    let mut measured = Measured::default();
    one_by_one(&end.node, &peer, (&mut stream, &mut disk), &mut measured).await;
    stream.wish(Wish::KeepReading).await;
    // Through a relay everything is slower, and tells as much.
    let part = if std::env::var_os(raw::RELAY).is_some() { 10 } else { 1 };
    for (in_flight, messages) in FLIGHTS {
        let messages = messages / part;
        measured.raw_flights.push((in_flight, stream.rate(in_flight, messages).await));
        let flight = Course::new(&end.node, &peer, in_flight, messages);
        let before = cpu(receiver) + cpu(std::process::id());
        let rate = timeout(3 * TIMEOUT, flight.run()).await.expect("messages are stuck");
        let cpu = (cpu(receiver) + cpu(std::process::id())).saturating_sub(before);
        let cpu_us = cpu / u32::try_from(messages).unwrap();
        measured.flights.push((in_flight, rate, cpu_us.as_secs_f64() * 1e6));
    }
    say(&serde_json::to_value(&measured).unwrap());
    endpoint.close().await;
    end.stop().await;
}

/// The one peer, once its node is there.
async fn linked_peer(node: &NodeHandle) -> String {
    let look = async || {
        let reply = node.agent().ask(AgentRequest::Peers { state: None }).await.unwrap();
        let Reply::Peers(peers) = reply else { panic!("another answer") };
        let linked = peers.peers.into_iter().find(|peer| peer.path != "offline");
        linked.map(|peer| peer.name)
    };
    let begun = Instant::now();
    loop {
        if let Some(name) = look().await {
            return name;
        }
        assert!(begun.elapsed() < TIMEOUT, "the peer's node does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The processor time that a process used so far (`proc_pid_stat(5)`, in ticks of 10 ms).
fn cpu(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks = after_name.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

/// Sends one message of 1 KiB; gives its id once it is durable here.
async fn send(node: NodeHandle, to: String) -> String {
    let text = "x".repeat(1024);
    let request = SendRequest { to, text, ..SendRequest::default() };
    let reply: Result<Reply, ApiError> = node.agent().ask(AgentRequest::Send(request)).await;
    let Reply::Send(sent) = reply.unwrap() else { panic!("another answer") };
    sent.id
}

/// Waits until a message has changed; what changed before it is passed over.
async fn changed(events: &mut Receiver<Event>, id: &str) {
    let found = async {
        loop {
            match events.recv().await {
                Ok(Event::MessageChanged { message }) if message == id => return,
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(TIMEOUT, found).await.expect("the message does not arrive");
}

/// A bare round trip, a bare write and a message, in turn, so that all three see the same machine.
async fn one_by_one(
    node: &NodeHandle,
    peer: &str,
    (stream, disk): (&mut Stream, &mut File),
    measured: &mut Measured,
) {
    let [mut round_trip, mut fdatasync, mut sent, mut accepted] =
        std::array::from_fn(|_| Samples::default());
    let mut events = node.events();
    for _ in 0..ROUNDS {
        let mut last = String::new();
        for _ in 0..MESSAGES_A_ROUND {
            round_trip.add(stream.round_trip().await);
            let begun = Instant::now();
            disk.write_all(&[7; 4096]).and_then(|()| disk.sync_data()).unwrap();
            fdatasync.add(begun.elapsed());
            let begun = Instant::now();
            last = send(node.clone(), peer.to_owned()).await;
            sent.add(begun.elapsed());
            changed(&mut events, &last).await;
            accepted.add(begun.elapsed());
        }
        stream.wish(Wish::ReadAll).await;
        changed(&mut events, &last).await;
    }
    measured.round_trip_ns = round_trip.ns();
    measured.fdatasync_ns = fdatasync.ns();
    measured.sent_ns = sent.ns();
    measured.accepted_ns = accepted.ns();
}

/// How far a message came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Sent,
    Accepted,
    Read,
}

/// Many messages, so many at once. A message is in flight until its signed receipt is durable.
struct Course<'a> {
    node: &'a NodeHandle,
    peer: &'a str,
    in_flight: usize,
    messages: usize,
    events: Receiver<Event>,
    begun: usize,
    stages: HashMap<String, Stage>,
    /// Of these, changes were missed.
    doubtful: HashSet<String>,
    /// At this stage now.
    underway: usize,
    /// Came to this stage.
    accepted: usize,
    read: usize,
}

impl<'a> Course<'a> {
    fn new(node: &'a NodeHandle, peer: &'a str, in_flight: usize, messages: usize) -> Self {
        let (events, stages, doubtful) = (node.events(), HashMap::new(), HashSet::new());
        let (begun, underway, accepted, read) = (0, 0, 0, 0);
        Self {
            node,
            peer,
            in_flight,
            messages,
            events,
            begun,
            stages,
            doubtful,
            underway,
            accepted,
            read,
        }
    }

    /// Messages a second.
    async fn run(mut self) -> f64 {
        let mut sends = FuturesUnordered::new();
        let started = Instant::now();
        let mut took = None;
        while self.read < self.messages {
            while self.may_begin(sends.len()) {
                self.begun += 1;
                sends.push(send(self.node.clone(), self.peer.to_owned()));
            }
            tokio::select! {
                Some(id) = sends.next() => self.moved(id, Stage::Sent),
                event = self.events.recv() => match event {
                    Ok(Event::MessageChanged { message }) => self.changed(message).await,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => self.look_again().await,
                    Err(error) => panic!("{error}"),
                },
                // On a new link a message may come to be read in one step.
                () = tokio::time::sleep(QUIET) => self.look_again().await,
            }
            if self.accepted == self.messages && took.is_none() {
                took = Some(started.elapsed());
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let messages = self.messages as f64;
        messages / took.unwrap().as_secs_f64()
    }

    fn may_begin(&self, sending: usize) -> bool {
        self.begun < self.messages
            && sending + self.underway < self.in_flight
            && self.begun - self.read < UNREAD_MAX
    }

    /// The first change of a message is its acceptance, the second that it was read, unless some
    /// were missed.
    async fn changed(&mut self, id: String) {
        if self.doubtful.contains(&id) {
            return self.look_at(id).await;
        }
        match self.stages.get(&id) {
            None | Some(Stage::Sent) => self.moved(id, Stage::Accepted),
            Some(Stage::Accepted | Stage::Read) => self.moved(id, Stage::Read),
        }
    }

    /// A message came to a stage, and so through those before; it may have been further already.
    fn moved(&mut self, id: String, stage: Stage) {
        let before = self.stages.get(&id).copied();
        if before.is_some_and(|before| before >= stage) {
            return;
        }
        self.underway += usize::from(stage == Stage::Sent);
        self.underway -= usize::from(before == Some(Stage::Sent));
        self.accepted += usize::from(stage > Stage::Sent && before < Some(Stage::Accepted));
        self.read += usize::from(stage == Stage::Read);
        self.stages.insert(id, stage);
    }

    /// Events are hints: some were missed, and the node knows.
    async fn look_again(&mut self) {
        let open = self.stages.iter().filter(|(_, stage)| **stage < Stage::Read);
        self.doubtful = open.map(|(id, _)| id.clone()).collect();
        for id in self.doubtful.clone() {
            self.look_at(id).await;
        }
    }

    async fn look_at(&mut self, id: String) {
        let reply = self.node.agent().ask(AgentRequest::Message { id: id.clone() }).await;
        let Ok(Reply::Message(life)) = reply else { panic!("another answer") };
        match life.state.as_str() {
            "queued" => assert!(life.note.is_none(), "{life:?}"),
            "accepted" => self.moved(id, Stage::Accepted),
            "read" => self.moved(id, Stage::Read),
            other => panic!("{other}"),
        }
    }
}
