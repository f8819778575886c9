//! Two real nodes, killed by SIGKILL at every place around a write, a send and an acknowledgement,
//! and at any moment: nothing that was acknowledged is lost, nothing is there twice or in another
//! order, and nothing arrives that no human let pass. `README.md` says how.
//!
//! `cargo test --features fixtures --test kills [-- --kills N] [--seed N] [--faults]`
#![allow(missing_docs, reason = "a program, not a library")]
#![allow(clippy::disallowed_methods, reason = "a test reads the clock and spawns as it needs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::needless_pass_by_value,
    reason = "it fails as a test does, and its summary is what it is for"
)]

mod faults;
mod journal;
mod pairing;
mod plan;
mod report;
mod rounds;
mod setup;
mod side;
#[allow(
    dead_code,
    unused_imports,
    reason = "the tests' cast and homes; the kills need a part of them"
)]
#[path = "../it/support/mod.rs"]
mod support;
mod traffic;

use std::{process::ExitCode, thread, time::Instant};

use countersign::base::failpoint::Failpoint;
use journal::Wrong;
use plan::{Dice, Kill, Way};
use rounds::Seen;
use side::Side;
use traffic::World;

/// Kills of a run that does not say how many.
const KILLS: usize = 50;

/// What the command line says.
struct Options {
    kills: usize,
    seed: u64,
    faults: bool,
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options { kills: KILLS, seed: 1, faults: false };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut number = || -> Result<u64, String> {
            let value = words.next().ok_or(format!("{word} needs a number"))?;
            value.parse().map_err(|error| format!("{word} {value}: {error}"))
        };
        match word.as_str() {
            "--kills" => options.kills = usize::try_from(number()?).unwrap(),
            "--seed" => options.seed = number()?,
            "--faults" => options.faults = true,
            _ => return Err(format!("{word}: there are --kills N, --seed N, --faults")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = match options(&arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let well =
        if options.faults { faults::run(&mut Dice::new(options.seed)) } else { run(&options) };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(options: &Options) -> bool {
    let (began, mut dice) = (Instant::now(), Dice::new(options.seed));
    let kills = plan::kills(options.kills, &mut dice);
    let apart = Dice::new(options.seed);
    // Homes of their own, which wait for other things than the world's nodes do.
    let (world, mut seen, (more, wrong)) = thread::scope(|scope| {
        let apart = scope.spawn(|| apart_from_worlds(&kills, apart));
        let (world, seen) = in_a_world(&kills, options.kills, (&mut dice, began));
        (world, seen, apart.join().unwrap())
    });
    seen.add(more);
    for why in wrong {
        world.journal().wrong(Wrong::Broken, why);
    }
    if world.journal().is_well() {
        world.check_whole();
    }
    let journal = world.journal();
    println!("\nfigures:\n{}", report::table(began.elapsed(), &seen, &journal));
    if !journal.is_well() {
        eprintln!("{}", journal.report());
    }
    journal.is_well()
}

/// The kills of Alice's and Bob's nodes, until all kills together are enough.
fn in_a_world(kills: &[Kill], count: usize, (dice, began): (&mut Dice, Instant)) -> (World, Seen) {
    let mut seen = Seen::default();
    let [alice, bob] = ["alice", "bob"].map(|name| Side::new(name, None));
    let world = rounds::world(alice, bob);
    let apart = kills.iter().filter(|kill| !rounds::is_of_worlds(**kill)).count();
    for (number, block) in rounds::blocks(kills).iter().enumerate() {
        rounds::block(&world, number % 2, block, (&mut seen, dice));
        println!("{} kills of a world, {} s", seen.kills, began.elapsed().as_secs());
        let mut places = Failpoint::ALL.iter().filter(|at| rounds::is_of_worlds(Kill::At(**at)));
        let reached = places.all(|point| seen.counts.contains_key(point.name()));
        if !world.journal().is_well() || (reached && seen.kills + apart >= count) {
            break;
        }
    }
    (world, seen)
}

/// The kills of homes that are set up or pair. Gives what is wrong.
fn apart_from_worlds(kills: &[Kill], mut dice: Dice) -> (Seen, Vec<String>) {
    let (mut seen, mut wrong) = (Seen::default(), Vec::new());
    for point in rounds::points(kills, Way::Setup) {
        let times = dice.times(point);
        wrong.extend(setup::round(point, times, &mut seen).err());
    }
    wrong.extend(pairings(kills, &mut seen));
    println!("{} kills of set-ups and pairings", seen.kills);
    (seen, wrong)
}

/// Pairings of two other homes, with a kill in each.
fn pairings(kills: &[Kill], seen: &mut Seen) -> Vec<String> {
    let sides = ["carol", "dave"].map(|name| Side::new(name, None));
    let mut wrong = Vec::new();
    for (number, point) in rounds::points(kills, Way::Pairing).into_iter().enumerate() {
        let name = point.name();
        let victim = match name.split('-').next() {
            Some("invite") => 0,
            Some("connect") => 1,
            _ => number % 2,
        };
        let done = pairing::round(&sides, victim, point, seen);
        wrong.extend(done.err().map(|why| format!("pairing, victim {victim}: {why}")));
    }
    wrong
}
