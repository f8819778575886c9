//! The bugs that are planted, and the checkers that must find them.

use super::{
    checks::{Checker, Failure},
    world,
};
use crate::base::planted::Bug;

/// Each bug, and who may find it first. A bug shows in more than one way; the first that sees one
/// ends the run.
const BUGS: &[(Bug, &[Checker])] = &[
    (Bug::ReceiptBeforeCommit, &[Checker::Durable]),
    (Bug::SendBeforeCommit, &[Checker::Durable]),
    (Bug::AnswerBeforeCommit, &[Checker::Durable]),
    (Bug::DuplicateSkipped, &[Checker::Once]),
    // The key of the table keeps it from being there twice; its batch is not written, ever.
    (Bug::ArrivalsForgotten, &[Checker::Once, Checker::Final]),
    (Bug::DroppedOnLinkLoss, &[Checker::Final]),
    (Bug::ResendReversed, &[Checker::Order]),
    (Bug::AuditApart, &[Checker::Audit]),
    (Bug::OtherItemAccepted, &[Checker::Decision]),
    (Bug::ReplayAccepted, &[Checker::Decision]),
    (Bug::OneSignature, &[Checker::Decision]),
    (Bug::NeverExpires, &[Checker::Final]),
    (Bug::PendingUnbounded, &[Checker::Bounds]),
    (Bug::BusyAcknowledged, &[Checker::Durable]),
    (Bug::HeldLeaves, &[Checker::Decision]),
];

/// So many seeds find each.
const SEEDS: u64 = 60;

/// The bug of this name.
pub(super) fn named(name: &str) -> Bug {
    let found = BUGS.iter().map(|(bug, _)| *bug).find(|bug| format!("{bug:?}") == name);
    found.unwrap_or_else(|| panic!("there is no bug {name}"))
}

/// What the first seeds said of a bug, up to the first that its own checker found.
fn find((bug, checkers): &(Bug, &[Checker])) -> (Vec<Failure>, Option<u64>) {
    let mut said = Vec::new();
    for seed in 0..SEEDS {
        let Err((failure, _)) = world::run(seed, Some(*bug), false) else { continue };
        let right = checkers.contains(&failure.checker);
        said.push(failure);
        if right {
            return (said, Some(seed + 1));
        }
    }
    (said, None)
}

/// Each bug, what found it, and after how many seeds.
pub(super) fn print_table() {
    println!("| planted bug | found by | seeds needed |\n|---|---|---|");
    for planted in BUGS {
        match find(planted) {
            (said, Some(seeds)) => {
                let by = said.last().map(|failure| failure.checker).unwrap();
                println!("| {:?} | {by:?} | {seeds} |", planted.0);
            }
            (_, None) => println!("| {:?} | NOBODY | more than {SEEDS} |", planted.0),
        }
    }
}

fn check(bugs: &[(Bug, &[Checker])]) {
    let mut unfound = Vec::new();
    for planted in bugs {
        let (said, seeds) = find(planted);
        println!("{:?} after {seeds:?}: {:?}", planted.0, said.last());
        if seeds.is_none() {
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
