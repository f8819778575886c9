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
//! trace: `cargo test --lib -- sim::one --nocapture`.
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

use world::Stats;

/// Runs in a test of every change.
const RUNS: u64 = 150;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs seeds and says what they were. Gives what failed.
fn run_all(seeds: impl Iterator<Item = u64>) -> Vec<String> {
    let mut all = Stats::default();
    let (mut runs, mut failed) = (0, Vec::new());
    for seed in seeds {
        let (stats, failure) = match world::run(seed, None, false) {
            Ok(stats) => (stats, None),
            Err((failure, stats)) => (stats, Some(failure)),
        };
        runs += 1;
        all.steps += stats.steps;
        all.sent += stats.sent;
        all.arrived += stats.arrived;
        all.links += stats.links;
        all.pairings += stats.pairings;
        all.crashes += stats.crashes;
        all.restores += stats.restores;
        all.full_disks += stats.full_disks;
        all.clock_steps += stats.clock_steps;
        all.hostile += stats.hostile;
        failed.extend(failure.map(|failure| format!("{:?}: {}", failure.checker, failure.what)));
    }
    println!(
        "{runs} runs, {} steps, {} messages sent and {} arrived, {} links, {} pairings, {} crashes, \
         {} restores, {} full disks, {} clock steps, {} hostile acts, {} failures",
        all.steps,
        all.sent,
        all.arrived,
        all.links,
        all.pairings,
        all.crashes,
        all.restores,
        all.full_disks,
        all.clock_steps,
        all.hostile,
        failed.len()
    );
    failed
}

#[test]
fn nothing_is_lost_doubled_or_let_through() {
    let failed = run_all(0..RUNS);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn long() {
    let runs = number("COUNTERSIGN_SIM_RUNS").unwrap_or(1);
    let from = number("COUNTERSIGN_SIM_FROM").unwrap_or(1_000_000);
    let failed = run_all(from..from + runs);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn one() {
    let seed = number("COUNTERSIGN_SIM_SEED");
    if let Err((failure, _)) = world::run(seed.unwrap_or(1), None, seed.is_some()) {
        panic!("{:?}: {}", failure.checker, failure.what);
    }
}

/// Seeds that failed once, and what they found.
fn replay(seeds: &[u64]) {
    let failed = run_all(seeds.iter().copied());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
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
fn a_seed_reproduces() {
    for seed in [3, 4] {
        let run = || world::run(seed, None, false).map_err(|(failure, _)| failure.what);
        assert_eq!(run(), run());
    }
    let digest = |seed| world::run(seed, None, false).map(|stats| stats.digest).ok();
    assert_ne!(digest(3), digest(4));
}
