//! The two processes that a message goes between, and what their figures are held against.

use std::{process::Stdio, time::Duration};

use countersign::node::{self, NodeHandle, config};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    agent::Lines,
    figures::{Goal, Samples, Table},
    raw,
    support::Home,
};

/// All of the sender's measurements together take a fraction of this.
const MEASURING: Duration = Duration::from_mins(3);

/// What the sending end measured.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) round_trip_ns: Vec<u64>,
    pub(crate) fdatasync_ns: Vec<u64>,
    pub(crate) sent_ns: Vec<u64>,
    pub(crate) accepted_ns: Vec<u64>,
    /// In flight, messages a second, microseconds of processor time of both ends a message.
    pub(crate) flights: Vec<(usize, f64, f64)>,
    /// In flight, and how many frames a second went through bare iroh and back.
    pub(crate) raw_flights: Vec<(usize, f64)>,
}

/// Runs one end on a runtime like the node's.
pub(crate) fn run(end: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // In a task, because what is not in one pays for a change of threads at each wait.
    runtime.block_on(runtime.spawn(end)).unwrap();
}

/// A node in this process.
pub(crate) struct InProcess {
    pub(crate) node: NodeHandle,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl InProcess {
    pub(crate) async fn start(home: &str) -> Self {
        let home = config::Home::at(home).unwrap();
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let node = node::start(&home, &tasks, &cancel).await.unwrap();
        Self { node, tasks, cancel }
    }

    pub(crate) async fn stop(self) {
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Says something to the first process.
pub(crate) fn say(value: &Value) {
    println!("{value}");
}

/// Starts both ends, and tells what the sender measured.
pub(crate) fn measure(sender: &Home, receiver: &Home, table: &mut Table) {
    measure_by(None, sender, receiver, table);
}

/// The same, by a relay for bare iroh; the homes' configuration says what they use.
pub(crate) fn measure_by(relay: Option<&str>, sender: &Home, receiver: &Home, table: &mut Table) {
    let this = std::env::current_exe().unwrap();
    let end = |home: &Home, words: &[&str]| {
        let mut command = std::process::Command::new(&this);
        command.args(words).env_clear().envs(home.environment());
        if let Some(relay) = relay {
            command.env(raw::RELAY, relay);
        }
        command.stderr(Stdio::inherit());
        Lines::of_program(command)
    };
    let path = |home: &Home| home.path().display().to_string();
    let (mut at_receiver, mut receiving) = end(receiver, &["receiver", &path(receiver)]);
    let address = at_receiver.read()["address"].as_str().unwrap().to_owned();
    let process = receiving.id().to_string();
    let (mut at_sender, mut sending) = end(sender, &["sender", &path(sender), &address, &process]);
    at_sender.set_timeout(MEASURING);
    let measured: Measured = serde_json::from_value(at_sender.read()).unwrap();
    assert!(sending.wait().unwrap().success());
    at_receiver.write(&json!("end"));
    assert!(receiving.wait().unwrap().success());
    show(&measured, table);
}

fn show(measured: &Measured, table: &mut Table) {
    let round_trip = Samples::from_ns(&measured.round_trip_ns);
    let fdatasync = Samples::from_ns(&measured.fdatasync_ns);
    let sent = Samples::from_ns(&measured.sent_ns);
    let accepted = Samples::from_ns(&measured.accepted_ns);
    table.times("bare iroh: 1,400 bytes and back", &round_trip, None);
    table.times("bare disk: 4 KiB appended and fdatasync", &fdatasync, None);
    table.times("peer_send asked to answered (durable here)", &sent, None);
    let bare = round_trip.p50() + 2 * fdatasync.p50();
    let goal = Goal::at_most("p50", accepted.p50(), bare.mul_f64(1.3));
    table.times("peer_send asked to signed receipt durable here", &accepted, Some(goal));
    let times = accepted.p50().as_secs_f64() / bare.as_secs_f64();
    table.number("the same against one round trip and two fdatasync", times, "times", None);
    for (in_flight, rate) in &measured.raw_flights {
        table.number(
            &format!("bare iroh: 1,400 bytes and back, {in_flight} in flight"),
            *rate,
            "a second",
            None,
        );
    }
    for (in_flight, rate, cpu_us) in &measured.flights {
        let goal = (*in_flight == 64).then(|| Goal::number_at_least(*rate, 5000.0, "a second"));
        table.number(&format!("messages of 1 KiB, {in_flight} in flight"), *rate, "a second", goal);
        table.number("  processor time of both ends a message", *cpu_us, "µs", None);
    }
}
