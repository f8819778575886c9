//! What an agent and its machine see of two nodes that run as they do for a person.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    agent::Agent,
    figures::{Goal, Samples, Table},
    support::Home,
};

const STARTS: usize = 60;
const CALLS: usize = 1000;
/// Fewer than a peer may leave unread.
const MESSAGES_A_ROUND: usize = 100;
const ROUNDS: usize = 5;
/// Long enough for whatever follows a pairing to be over.
const UNTIL_IDLE: Duration = Duration::from_secs(3);

pub(crate) fn measure(alice: &Home, bob: &Home, table: &mut Table) {
    memory(alice, table);
    starts(alice, table);
    calls(alice, table);
    notifications(alice, bob, table);
}

fn memory(home: &Home, table: &mut Table) {
    let agent = Agent::stdio(home);
    thread::sleep(UNTIL_IDLE);
    let node = rss_mib(u32::try_from(home.pid().unwrap()).unwrap());
    let goal = Goal::number_at_most(node, 24.0, "MiB");
    table.number("node, one peer and one session, idle: RSS", node, "MiB", Some(goal));
    let stdio = rss_mib(agent.pid());
    let goal = Goal::number_at_most(stdio, 6.0, "MiB");
    table.number("`countersign mcp`, idle: RSS", stdio, "MiB", Some(goal));
}

fn rss_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn starts(home: &Home, table: &mut Table) {
    let mut samples = Samples::default();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let agent = Agent::stdio(home);
        samples.add(begun.elapsed());
        drop(agent);
    }
    let goal = Goal::at_most("p50", samples.p50(), Duration::from_millis(6));
    table.times("`countersign mcp`: start to initialize answered", &samples, Some(goal));
}

fn calls(home: &Home, table: &mut Table) {
    let through = [("stdio", Agent::stdio(home)), ("the socket", Agent::socket(home))];
    for (way, mut agent) in through {
        for tool in ["trust_list", "peer_whoami"] {
            let mut samples = Samples::default();
            for _ in 0..CALLS {
                let begun = Instant::now();
                agent.call(tool, json!({}));
                samples.add(begun.elapsed());
            }
            table.times(&format!("{tool} through {way}"), &samples, None);
        }
    }
}

fn notifications(alice: &Home, bob: &Home, table: &mut Table) {
    let (mut sender, mut receiver) = (Agent::stdio(alice), Agent::stdio(bob));
    receiver.follow_inbox();
    let text = "x".repeat(1024);
    let message = json!({"to": bob.name, "text": text});
    let (mut updated, mut waited) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        for _ in 0..MESSAGES_A_ROUND {
            let begun = Instant::now();
            let sending = sender.start("peer_send", message.clone());
            receiver.wait_for_change();
            updated.add(begun.elapsed());
            sender.finish(sending);
        }
        receiver.read_all();
        for _ in 0..MESSAGES_A_ROUND {
            let waiting = receiver.start("peer_inbox", json!({"unread": true, "wait_seconds": 20}));
            let begun = Instant::now();
            let sending = sender.start("peer_send", message.clone());
            receiver.finish(waiting);
            waited.add(begun.elapsed());
            sender.finish(sending);
        }
        receiver.read_all();
    }
    let goal =
        |samples: &Samples| Some(Goal::at_most("p99", samples.p99(), Duration::from_millis(10)));
    table.times("peer_send to resource updated, stdio to stdio", &updated, goal(&updated));
    table.times("peer_send to peer_inbox answered, stdio to stdio", &waited, goal(&waited));
}
