//! The bugs that are planted, and the checkers that must find them.

use super::{
    checks::Checker,
    world::{self, Stats},
};
use crate::base::planted::Bug;

/// Each bug, and who may find it first. A bug shows in more than one way; the first that sees one
/// ends the run.
const BUGS: &[(Bug, &[Checker])] = &[
    (Bug::ReceiptBeforeCommit, &[Checker::Durable]),
    (Bug::SendBeforeCommit, &[Checker::Durable]),
    (Bug::AnswerBeforeCommit, &[Checker::Durable]),
    (Bug::DuplicateSkipped, &[Checker::Once]),
    (Bug::ArrivalsForgotten, &[Checker::Once]),
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

fn check(bugs: &[(Bug, &[Checker])]) {
    let mut unfound = Vec::new();
    for (bug, checkers) in bugs {
        let finds = |seed| -> Option<(u64, Checker, String)> {
            let (failure, Stats { .. }) = world::run(seed, Some(*bug), false).err()?;
            Some((seed, failure.checker, failure.what))
        };
        let found = (0..SEEDS).filter_map(finds).find(|(_, by, _)| checkers.contains(by));
        match found {
            Some((seed, by, what)) => println!("{bug:?}: {by:?} after {} runs: {what}", seed + 1),
            None => unfound.push(*bug),
        }
    }
    assert!(unfound.is_empty(), "in {SEEDS} runs nobody found {unfound:?}");
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
