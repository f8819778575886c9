//! A home with a million messages beside one with a thousand, in one run: `-- scale`.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    agent::Agent,
    figures::{Samples, shown},
    filler::{self, COMMON, RARE, TENTH, peer_name, talking},
    world::{Client, Human, Place, befriend, id_of, mixed},
};

const FEW: u64 = 1000;
const MANY: u64 = 1_000_000;
/// The goal: so many times the figure of the small home at most.
const TIMES_MAX: f64 = 1.5;
const STARTS: usize = 7;
const CRASHES: usize = 3;
const ROUNDS: usize = 10;
/// Of each thing in each round.
const TRIES: usize = 20;
/// Fewer than a peer may leave unread.
const SENDS_A_ROUND: usize = 20;

/// One figure of both homes.
struct Figure {
    name: &'static str,
    both: [Samples; 2],
    goal: bool,
}

struct Side {
    place: Place,
    client: Client,
    agent: Agent,
    read: Vec<String>,
    talking: u64,
}

type Ask = fn(&mut Side, usize);

/// What is measured of both, in turn.
const ASKED: [(&str, Ask); 14] = [
    ("`peer_inbox`, the oldest page", |side, _| {
        side.agent.call("peer_inbox", json!({"limit": 20}));
    }),
    ("`peer_inbox`, one unread message (and it is marked)", |side, n| {
        if n.is_multiple_of(5) {
            side.agent.call("peer_inbox", json!({"unread": true, "limit": 1}));
        }
    }),
    ("a person's page of 20 unread messages", |side, _| {
        let page = json!({"agent": "inbox", "unread": true, "limit": 20, "mark_read": false});
        side.client.ask(&page);
    }),
    ("`peer_inbox`, unread from one peer", |side, n| {
        if n.is_multiple_of(5) {
            let from = side.somebody(n);
            side.agent.call("peer_inbox", json!({"unread": true, "limit": 1, "from": from}));
        }
    }),
    ("`peer_inbox` with `query`, no hit", |side, n| {
        if n.is_multiple_of(20) {
            side.agent.call("peer_inbox", json!({"query": "nobody says this"}));
        }
    }),
    ("`peer_read`", |side, n| {
        let id = side.read[n % side.read.len()].clone();
        side.agent.call("peer_read", json!({"id": id}));
    }),
    ("`trust_list`, 1,000 peers", |side, n| {
        if n.is_multiple_of(4) {
            side.agent.call("trust_list", json!({}));
        }
    }),
    ("`peer_whoami`", |side, _| drop(side.agent.call("peer_whoami", json!({})))),
    ("search: a rare word", |side, _| search(side, RARE)),
    ("search: a word of every tenth message", |side, _| search(side, TENTH)),
    ("search: a word of every message", |side, _| search(side, COMMON)),
    ("search: a word and a beginning", |side, _| search(side, "every baba")),
    ("conversation, the newest 20 messages", |side, n| {
        let peer = side.somebody(n);
        side.client.ask(&json!({"human": "talk", "peer": peer, "limit": 20}));
    }),
    ("threads with one peer", |side, n| {
        let peer = side.somebody(n);
        side.client.ask(&json!({"human": "threads", "peer": peer}));
    }),
];

impl Side {
    /// Any peer that something was said with.
    fn somebody(&self, n: usize) -> String {
        peer_name(mixed(n as u64) % self.talking)
    }
}

fn search(side: &mut Side, query: &str) {
    side.client.ask(&json!({"human": "search", "query": query, "limit": 30}));
}

/// Makes the homes, measures both, and writes the table to a file beside this one.
pub(crate) fn measure(many: Option<u64>) {
    let many = many.unwrap_or(MANY);
    let (human, other) = (Human::new(), Human::new());
    let begun = Instant::now();
    let mut bob = Place::new("bob", &other);
    let counts = [FEW, many];
    let mut places = ["few", "many"].map(|name| Place::new(name, &human));
    let reads = [0, 1].map(|n| {
        eprintln!("{} messages for {}", counts[n], places[n].name);
        befriend((&bob, &other), (&places[n], &human));
        filler::fill((&places[n], &human), &other, counts[n])
    });
    eprintln!("made in {:.0} s", begun.elapsed().as_secs_f64());
    let mut table = Table::new(counts);
    table.numbers("home on disk, closed, MiB", places.each_ref().map(Place::disk_mib));
    starts(&mut places, &mut table);
    bob.start();
    for place in &mut places {
        place.start();
    }
    table.numbers("resident memory after the start, MiB", places.each_ref().map(Place::rss_mib));
    let mut sides = both(places, reads, counts);
    sends(&bob, &mut sides, &mut table);
    asks(&mut sides, &mut table);
    table.numbers("resident memory after use, MiB", sides.each_ref().map(|s| s.place.rss_mib()));
    table.numbers("home on disk, running, MiB", sides.each_ref().map(|s| s.place.disk_mib()));
    let text = table.to_string();
    println!("\nfigures:\n{}\n", table.rows());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/SCALE.md");
    std::fs::write(file, text).unwrap();
}

fn both(places: [Place; 2], reads: [Vec<u64>; 2], counts: [u64; 2]) -> [Side; 2] {
    let [few, many] = places;
    let [read_few, read_many] = reads;
    let [count_few, count_many] = counts;
    [(few, read_few, count_few), (many, read_many, count_many)].map(|(place, read, count)| Side {
        talking: talking(count),
        client: place.client(),
        agent: Agent::at(&place.home.socket_file()),
        read: read.into_iter().map(|n| id_of(n).to_string()).collect(),
        place,
    })
}

fn starts(places: &mut [Place; 2], table: &mut Table) {
    let mut orderly = Figure::new("start to first answer", true);
    for _ in 0..=STARTS {
        for (n, place) in places.iter_mut().enumerate() {
            let took = place.start();
            orderly.both[n].add(took);
            place.stop();
        }
    }
    table.add(orderly);
    let mut crashed = Figure::new("start to first answer after `kill -9`", true);
    for _ in 0..CRASHES {
        for (n, place) in places.iter_mut().enumerate() {
            place.start();
            place.kill();
            crashed.both[n].add(place.start());
            place.stop();
        }
    }
    table.add(crashed);
}

/// Before anything is read: who has read texts of others is asked about what they write.
fn sends(bob: &Place, sides: &mut [Side; 2], table: &mut Table) {
    let mut answered = Figure::new("`peer_send` to its answer", true);
    let mut accepted = Figure::new("`peer_send` to accepted by the peer", true);
    let mut reader = Agent::at(&bob.home.socket_file());
    let text = "x".repeat(700);
    for round in 0..=ROUNDS {
        for (n, side) in sides.iter_mut().enumerate() {
            for _ in 0..SENDS_A_ROUND {
                let begun = Instant::now();
                let sent = side.agent.call("peer_send", json!({"to": "bob", "text": text}));
                let took = begun.elapsed();
                assert_eq!(sent["state"], "queued", "{sent}");
                side.client.reaches(sent["id"].as_str().unwrap(), &["accepted", "read"]);
                // The first round makes the links.
                if round > 0 {
                    answered.both[n].add(took);
                    accepted.both[n].add(begun.elapsed());
                }
            }
        }
        reader.read_all();
    }
    table.add(answered);
    table.add(accepted);
}

fn asks(sides: &mut [Side; 2], table: &mut Table) {
    let mut figures: Vec<Figure> = ASKED.map(|(name, _)| Figure::new(name, true)).into();
    for round in 0..=ROUNDS {
        for (which, (_, ask)) in ASKED.iter().enumerate() {
            for (n, side) in sides.iter_mut().enumerate() {
                for attempt in 0..TRIES {
                    let begun = Instant::now();
                    ask(side, round * TRIES + attempt);
                    let took = begun.elapsed();
                    // What is asked less often did nothing this time.
                    if round > 0 && took > Duration::from_micros(5) {
                        figures[which].both[n].add(took);
                    }
                }
            }
        }
    }
    for figure in figures {
        table.add(figure);
    }
}

impl Figure {
    fn new(name: &'static str, goal: bool) -> Self {
        Self { name, both: Default::default(), goal }
    }
}

/// Markdown, a line a figure.
struct Table {
    counts: [u64; 2],
    lines: Vec<String>,
    missed: Vec<&'static str>,
}

impl Table {
    const fn new(counts: [u64; 2]) -> Self {
        Self { counts, lines: Vec::new(), missed: Vec::new() }
    }

    fn add(&mut self, figure: Figure) {
        let Figure { name, both: [few, many], goal } = figure;
        let times = |of: fn(&Samples) -> Duration| of(&many).as_secs_f64() / of(&few).as_secs_f64();
        let (p50, p99) = (times(Samples::p50), times(Samples::p99));
        let met = p50 <= TIMES_MAX;
        if goal && !met {
            self.missed.push(name);
        }
        let verdict = if met { "met" } else { "missed" };
        let line = format!(
            "| {name} | {} | {} | {} | {} | {p50:.2} | {p99:.2} | {verdict} |",
            shown(few.p50()),
            shown(few.p99()),
            shown(many.p50()),
            shown(many.p99()),
        );
        eprintln!("{line}");
        self.lines.push(line);
    }

    /// The table by itself.
    fn rows(&self) -> String {
        let mut head = String::from("| figure ");
        for count in self.counts {
            let _ = write!(head, "| {count}: p50 or value | p99 ");
        }
        let head = format!("{head}| p50, times | p99, times | p50 at most {TIMES_MAX} times |");
        let rule = "|---|---|---|---|---|---|---|---|".to_owned();
        let lines = [head, rule].into_iter().chain(self.lines.iter().cloned());
        lines.collect::<Vec<_>>().join("\n")
    }

    fn numbers(&mut self, name: &'static str, [few, many]: [f64; 2]) {
        let line = format!("| {name} | {few:.1} | | {many:.1} | | {:.2} | | |", many / few);
        eprintln!("{line}");
        self.lines.push(line);
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [few, many] = self.counts;
        let day = countersign::node::clock::now().rfc3339();
        let day = day.split('T').next().unwrap_or_default();
        let profile = if cfg!(debug_assertions) { "a debug build" } else { "a release build" };
        writeln!(f, "# {many} messages against {few}\n")?;
        writeln!(
            f,
            "Written by `cargo bench --bench bench -- scale`, {day}, {profile}, one run, in turn: two \
             homes with {} known peers each and 1,000 messages with every one that they talk with, and a \
             third that they send to.\n",
            filler::PEERS
        )?;
        writeln!(f, "{}", self.rows())?;
        writeln!(
            f,
            "\nMissed: {}.",
            if self.missed.is_empty() { "none".to_owned() } else { self.missed.join("; ") }
        )
    }
}
