//! The planted faults, and that each is found by the checker that should find it.

use countersign::base::failpoint::{Failpoint, Fault};

use crate::{
    journal::Wrong,
    plan::{Dice, Kill, Mistake},
    rounds::{self, Seen},
    side::Side,
    traffic::World,
};

/// Kills until a planted fault must have been found.
const KILLS_MAX: usize = 24;

struct Plant {
    name: &'static str,
    fault: Option<Fault>,
    mistake: Option<Mistake>,
    /// Where it shows.
    point: Failpoint,
    found_as: &'static [Wrong],
}

const fn planted(fault: Fault, point: Failpoint, found_as: &'static [Wrong]) -> Plant {
    Plant { name: fault.name(), fault: Some(fault), mistake: None, point, found_as }
}

const fn mistaken(name: &'static str, mistake: Mistake, found_as: &'static [Wrong]) -> Plant {
    Plant { name, fault: None, mistake: Some(mistake), point: Failpoint::TakeWritten, found_as }
}

const PLANTS: [Plant; 6] = [
    planted(Fault::AnswerEarly, Failpoint::StoreCommit, &[Wrong::Lost]),
    planted(Fault::AckEarly, Failpoint::TakeWrite, &[Wrong::Lost]),
    // The database has a place for each id: it is the second copy that blocks all behind it.
    planted(Fault::ForgetArrivals, Failpoint::TakeWritten, &[Wrong::Doubled, Wrong::Lost]),
    planted(Fault::SendBackwards, Failpoint::TakeWrite, &[Wrong::Disordered]),
    mistaken("send-twice", Mistake::SendTwice, &[Wrong::Doubled]),
    mistaken("hide-yes", Mistake::HideYes, &[Wrong::Unapproved]),
];

/// Plants each fault and kills until it is found. True where all were.
pub(crate) fn run(dice: &mut Dice) -> bool {
    let mut all = true;
    for plant in &PLANTS {
        let sides = ["alice", "bob"].map(|name| Side::new(name, plant.fault));
        let [alice, bob] = sides;
        let World { sides, journal, .. } = rounds::world(alice, bob);
        drop(journal);
        let world = World::new(sides, plant.mistake, true);
        let mut seen = Seen::default();
        let found = || plant.found_as.iter().any(|wrong| world.journal().count(*wrong) > 0);
        while seen.kills < KILLS_MAX && !found() {
            let victim = usize::from(dice.below(2) == 0);
            rounds::block(&world, victim, &[Kill::At(plant.point); 2], (&mut seen, dice));
        }
        let (found, kills) = (found(), seen.kills);
        println!(
            "{}: {} after {kills} kills",
            plant.name,
            if found { "found" } else { "NOT FOUND" }
        );
        all &= found;
    }
    all
}
