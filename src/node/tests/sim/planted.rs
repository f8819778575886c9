//! The bugs that are planted, and the checkers that must find them.

use std::iter;

use super::{
    checks::{Checker, Failure},
    world,
};
use crate::base::planted::Bug;

/// A bug, who may find it first, and a seed that shows it. A bug shows in more than one way; the first that
/// sees one ends the run.
type Planted = (Bug, &'static [Checker], u64);

const BUGS: &[Planted] = &[
    (Bug::ReceiptBeforeCommit, &[Checker::Durable], 0),
    (Bug::SendBeforeCommit, &[Checker::Durable], 0),
    (Bug::AnswerBeforeCommit, &[Checker::Durable], 0),
    (Bug::DuplicateSkipped, &[Checker::Once], 0),
    // The key of the table keeps it from being there twice; its batch is not written, ever.
    (Bug::ArrivalsForgotten, &[Checker::Once, Checker::Final], 5),
    (Bug::DroppedOnLinkLoss, &[Checker::Final], 2),
    (Bug::ResendReversed, &[Checker::Order], 0),
    (Bug::AuditApart, &[Checker::Audit], 0),
    (Bug::OtherItemAccepted, &[Checker::Decision], 0),
    (Bug::ReplayAccepted, &[Checker::Decision], 0),
    (Bug::OneSignature, &[Checker::Decision], 0),
    (Bug::NeverExpires, &[Checker::Final], 0),
    (Bug::PendingUnbounded, &[Checker::Bounds], 5),
    (Bug::BusyAcknowledged, &[Checker::Durable], 5),
    (Bug::HeldLeaves, &[Checker::Decision], 0),
];

/// So many seeds find each.
const SEEDS: u64 = 60;

/// The bug of this name.
pub(super) fn named(name: &str) -> Bug {
    let found = BUGS.iter().map(|(bug, ..)| *bug).find(|bug| format!("{bug:?}") == name);
    found.unwrap_or_else(|| panic!("there is no bug {name}"))
}

/// What these seeds said of a bug, up to the first that its own checker found.
fn find(
    (bug, checkers, _): &Planted,
    seeds: impl Iterator<Item = u64>,
) -> (Vec<Failure>, Option<u64>) {
    let mut said = Vec::new();
    for seed in seeds {
        let Err((failure, _)) = world::run(seed, Some(*bug), false) else { continue };
        let right = checkers.contains(&failure.checker);
        said.push(failure);
        if right {
            return (said, Some(seed));
        }
    }
    (said, None)
}

/// Each bug, what found it, and after how many seeds.
pub(super) fn print_table() {
    println!("| planted bug | found by | seeds needed |\n|---|---|---|");
    for planted in BUGS {
        match find(planted, 0..SEEDS) {
            (said, Some(seed)) => {
                let by = said.last().map(|failure| failure.checker).unwrap();
                println!("| {:?} | {by:?} | {} |", planted.0, seed + 1);
            }
            (_, None) => println!("| {:?} | NOBODY | more than {SEEDS} |", planted.0),
        }
    }
}

fn check(bugs: &[Planted]) {
    let mut unfound = Vec::new();
    for planted in bugs {
        // What a seed does changes with what it runs; then another one finds it.
        let (said, seed) = find(planted, iter::once(planted.2).chain(0..SEEDS));
        println!("{:?} by seed {seed:?}: {:?}", planted.0, said.last());
        if seed.is_none() {
            unfound.push(format!("{:?}: {said:?}", planted.0));
        }
    }
    assert!(unfound.is_empty(), "in {SEEDS} runs nobody found {}", unfound.join("\n"));
}

#[test]
fn planted_bugs_are_found_one() {
    check(&BUGS[..5]);
}

#[test]
fn planted_bugs_are_found_two() {
    check(&BUGS[5..10]);
}

#[test]
fn planted_bugs_are_found_three() {
    check(&BUGS[10..]);
}
