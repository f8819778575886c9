//! Several people's nodes in one thread, under one seed: the real [`Node`](crate::node::state::Node)
//! with its gate, machines and store, and in the place of sockets, threads, the clock and chance,
//! what the seed says. A seed reproduces a run to the last byte.
//!
//! A run lets three or four machines pair in peace. Then for some thousand steps agents send, read,
//! revoke and connect, humans say yes, no or nothing, links break, machines die between any two
//! effects and start again, clocks step, disks fill up, copies of disks are put back, and whoever is
//! last of them is hostile. At last there is peace, in which everything has to end.
//!
//! `COUNTERSIGN_SIM_RUNS=10000 cargo test --release --lib -- sim::long --nocapture` is the long run;
//! `COUNTERSIGN_SIM_FROM=n` says where it begins. `COUNTERSIGN_SIM_SEED=n` replays one seed with its
//! trace: `cargo test --lib -- sim::one --nocapture`, and `COUNTERSIGN_SIM_BUG=name` plants a bug.
//!
//! What a disk that was put back may cost is said in `checks` (`weaken`).

mod checks;
mod hostile;
mod host;
mod peace;
mod people;
mod planted;
mod wires;
mod world;

use std::{num::NonZero, thread};

use world::Stats;

/// Runs in a test of every change; `COUNTERSIGN_SIM_SEEDS` says how many others.
const RUNS: u64 = 20;

fn runs() -> u64 {
    number("COUNTERSIGN_SIM_SEEDS").unwrap_or(RUNS)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What many runs were.
#[derive(Default)]
struct Figures {
    runs: u64,
    all: Stats,
    failed: Vec<String>,
}

impl Figures {
    /// Runs seeds.
    fn of(seeds: impl Iterator<Item = u64>) -> Self {
        let mut figures = Self::default();
        for seed in seeds {
            let (stats, failure) = match world::run(seed, None, false) {
                Ok(stats) => (stats, None),
                Err((failure, stats)) => (stats, Some(failure)),
            };
            figures.runs += 1;
            figures.all.add(&stats);
            let said = failure.map(|failure| format!("{:?}: {}", failure.checker, failure.what));
            figures.failed.extend(said);
        }
        figures
    }

    /// Runs as many seeds from `from` on, on every core.
    fn of_many(from: u64, runs: u64) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let part = |n: usize| Self::of((from..from + runs).skip(n).step_by(cores));
        thread::scope(|scope| {
            let parts: Vec<_> = (0..cores).map(|n| scope.spawn(move || part(n))).collect();
            parts.into_iter().map(|part| part.join().expect("a part")).fold(
                Self::default(),
                |mut sum, part| {
                    sum.runs += part.runs;
                    sum.all.add(&part.all);
                    sum.failed.extend(part.failed);
                    sum
                },
            )
        })
    }

    /// As a table, which `tests/reliability.py` takes over.
    fn print(&self) {
        let all = &self.all;
        let rows = [
            ("runs", self.runs),
            ("simulated days, of all runs together", all.simulated_ms / 86_400_000),
            ("steps", all.steps),
            ("pairings begun", all.pairings),
            ("messages sent", all.sent),
            ("messages arrived", all.arrived),
            ("links", all.links),
            ("links broken", all.broken),
            ("partitions", all.partitions),
            ("crashes", all.crashes),
            ("disks restored from a copy", all.restores),
            ("full disks", all.full_disks),
            ("clock steps", all.clock_steps),
            ("hostile acts", all.hostile),
            ("failures", self.failed.len() as u64),
        ];
        println!("| what | how many |\n|---|---|");
        for (what, count) in rows {
            println!("| {what} | {count} |");
        }
        // A line that is empty ends the figures.
        self.failed.iter().for_each(|failed| println!("| {failed} | |"));
    }

    /// Fails where a run did.
    fn check(&self) {
        self.print();
        assert!(self.failed.is_empty(), "{}", self.failed.join("\n"));
    }
}

#[test]
fn nothing_is_lost_doubled_or_let_through() {
    Figures::of(0..runs() / 2).check();
}

#[test]
fn nothing_is_lost_doubled_or_let_through_two() {
    Figures::of(runs() / 2..runs()).check();
}

#[test]
fn long() {
    let runs = number("COUNTERSIGN_SIM_RUNS");
    let from = number("COUNTERSIGN_SIM_FROM").unwrap_or(1_000_000);
    let figures = Figures::of_many(from, runs.unwrap_or(1));
    println!("\nfigures:");
    figures.print();
    if runs.is_some() {
        println!("\nfigures:");
        planted::print_table();
    }
    println!();
    assert!(figures.failed.is_empty(), "{}", figures.failed.join("\n"));
}

#[test]
fn one() {
    let seed = number("COUNTERSIGN_SIM_SEED");
    let bug = std::env::var("COUNTERSIGN_SIM_BUG").ok().map(|name| planted::named(&name));
    if let Err((failure, _)) = world::run(seed.unwrap_or(1), bug, seed.is_some()) {
        panic!("{:?}: {}", failure.checker, failure.what);
    }
}

/// Seeds that failed once, and what they found.
fn replay(seeds: &[u64]) {
    Figures::of(seeds.iter().copied()).check();
}

#[test]
fn a_trust_that_a_new_invite_replaces_is_in_the_audit_chain() {
    replay(&[5, 10]);
}

#[test]
fn what_was_too_late_by_a_clock_that_went_back_may_come_later() {
    replay(&[23]);
}

#[test]
fn two_peers_may_use_one_id() {
    replay(&[31]);
}

#[test]
fn what_had_no_room_is_waited_for_as_long_as_it_would_be_taken() {
    replay(&[10]);
}

#[test]
fn a_sender_whose_disk_was_put_back_queues_in_another_order() {
    replay(&[72]);
}

#[test]
fn peers_may_say_that_a_disk_was_put_back() {
    replay(&[93, 102]);
}

#[test]
fn a_revocation_that_a_full_disk_did_not_take_is_written_later() {
    replay(&[1_000_042, 1_000_124]);
}

#[test]
fn what_is_held_while_its_peer_pairs_anew_waits() {
    replay(&[1_000_335, 1_000_423]);
}

#[test]
fn what_waited_when_trust_ended_does_not_come_back_with_new_trust() {
    replay(&[1_002_279]);
}

#[test]
fn a_clock_that_is_set_back_keeps_nothing_waiting() {
    replay(&[1_000_399, 1_002_768]);
}

#[test]
fn nothing_passes_what_had_no_room_however_slow_a_disk_is() {
    replay(&[1_005_305, 1_006_277]);
}

#[test]
fn a_pairing_that_ends_while_another_is_written_ends_on_disk_and_in_memory() {
    replay(&[1_003_994, 1_004_303, 1_004_959, 1_006_882]);
}

#[test]
fn a_consent_that_is_on_disk_counts_though_they_knocked_again() {
    replay(&[1_006_667]);
}

#[test]
fn a_knock_that_ended_while_it_was_written_leaves_nobody_behind() {
    replay(&[1_000_891, 1_001_786]);
}

#[test]
fn a_clock_that_is_set_lets_no_message_pass_the_one_that_had_no_room() {
    replay(&[1_000_034, 1_001_126, 1_001_429]);
}

#[test]
fn a_seed_reproduces() {
    for seed in [3, 4] {
        let run = || world::run(seed, None, false).map_err(|(failure, _)| failure.what);
        assert_eq!(run(), run());
    }
    let digest = |seed| world::run(seed, None, false).map(|stats| stats.digest).ok();
    assert_ne!(digest(3), digest(4));
}
