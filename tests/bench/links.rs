//! One node with very many peers that are linked at once: `-- links [COUNT]`.

use std::time::{Duration, Instant};

use countersign::node::api::{AgentRequest, InboxRequest, Reply, SendRequest};
use serde_json::json;

use crate::{
    ends::{InProcess, run},
    world::{Human, Place, Trust, close, rss_mib},
};

const LINKS: usize = 200;
/// Each way over each link.
const MESSAGES: usize = 5;
/// All links, and all messages, take less.
const TIMEOUT: Duration = Duration::from_mins(5);

/// One process has a node, this one all the others.
pub(crate) fn measure(count: Option<usize>) {
    let count = count.unwrap_or(LINKS);
    let (human, others) = (Human::new(), Human::new());
    let mut hub = Place::new("hub", &human);
    let guests: Vec<Place> = (0..count).map(|n| Place::new(&guest(n), &others)).collect();
    let store = hub.store();
    for place in &guests {
        let trust = Trust::between((&hub, &human), (place, &others));
        trust.keep(&store, (&hub, &human), &place.name, Vec::new());
        let own = place.store();
        trust.keep(&own, (place, &others), "hub", vec![hub.address()]);
        close(own);
    }
    close(store);
    hub.start();
    let alone = hub.rss_mib();
    let before = rss_mib(std::process::id());
    run(linked(hub, guests, alone, before));
}

fn guest(n: usize) -> String {
    format!("guest-{n:03}")
}

async fn linked(hub: Place, guests: Vec<Place>, alone: f64, before: f64) {
    let begun = Instant::now();
    let mut nodes = Vec::new();
    for place in &guests {
        nodes.push(InProcess::start(&place.home.path().display().to_string()).await);
    }
    let mut client = hub.client();
    let started = begun.elapsed();
    loop {
        let peers = client.ask(&json!({"agent": "peers"}));
        let linked = |peer: &&serde_json::Value| peer["path"] != "offline";
        let links = peers["peers"].as_array().unwrap().iter().filter(linked).count();
        if links == guests.len() {
            break;
        }
        assert!(begun.elapsed() < TIMEOUT, "{links} of {} are linked", guests.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (up, idle) = (begun.elapsed(), hub.rss_mib());
    let talking = Instant::now();
    for n in 0..MESSAGES {
        for node in &nodes {
            send(node, "hub", n).await;
        }
        for place in &guests {
            let message = json!({"agent": "send", "to": place.name, "text": format!("to {n}"),
                                 "request": false});
            assert_eq!(client.ask(&message)["state"], "queued");
        }
    }
    for node in &nodes {
        while inbox(node).await < MESSAGES {
            assert!(talking.elapsed() < TIMEOUT, "a guest misses messages");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let page = json!({"agent": "inbox", "unread": true, "limit": 100, "mark_read": true});
    let (mut came, all) = (0, guests.len() * MESSAGES);
    while came < all {
        came += client.ask(&page)["messages"].as_array().unwrap().len();
        assert!(talking.elapsed() < TIMEOUT, "{came} of {all} came to the hub");
    }
    let (talked, used) = (talking.elapsed(), hub.rss_mib());
    let per = |mib: f64| mib * 1024.0 / f64::from(u32::try_from(guests.len()).unwrap());
    println!("\nfigures:\n| figure | value |\n|---|---|");
    println!("| peers linked to one node at once | {} |", guests.len());
    println!("| all nodes started | {:.1} s |", started.as_secs_f64());
    println!("| all linked, from the first start | {:.1} s |", up.as_secs_f64());
    println!("| the one node, alone: RSS | {alone:.1} MiB |");
    println!("| with all links, idle: RSS | {idle:.1} MiB, {:.0} KiB a link |", per(idle - alone));
    println!("| after {all} messages each way: RSS | {used:.1} MiB |");
    let here = rss_mib(std::process::id()) - before;
    println!("| the others, a whole node each: RSS | {:.0} KiB a node |", per(here));
    println!("| {} messages, all arrived | {:.1} s |", 2 * all, talked.as_secs_f64());
    println!();
    for node in nodes {
        node.stop().await;
    }
}

async fn send(node: &InProcess, to: &str, n: usize) {
    let (to, text) = (to.to_owned(), format!("from {n}"));
    let request = SendRequest { to, text, ..SendRequest::default() };
    let Reply::Send(sent) = node.node.agent().ask(AgentRequest::Send(request)).await.unwrap()
    else {
        panic!("another answer")
    };
    assert_eq!(sent.state, "queued");
}

async fn inbox(node: &InProcess) -> usize {
    let request = InboxRequest { limit: Some(100), ..InboxRequest::default() };
    let Reply::Inbox(inbox) = node.node.agent().ask(AgentRequest::Inbox(request)).await.unwrap()
    else {
        panic!("another answer")
    };
    inbox.messages.len()
}
