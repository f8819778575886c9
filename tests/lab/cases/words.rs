//! Pairing by three words that one person says to another.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use patchbay::Nat;

use crate::{
    outcome::Outcome,
    side::Side,
    support::{
        Home, SOON,
        pairing::{id, ready_item, trusted},
        pty::Terminal,
        until,
    },
    talk::Talk,
    world::{Wall, World},
};

const EASY: Wall = Wall::Nat(Nat::Moderate);
/// How often Mallory guesses.
const GUESSES: usize = 1000;
/// How many guesses are under way at once.
const GUESSERS: usize = 24;
/// How long she may take.
const GUESSING: Duration = Duration::from_mins(9);

/// Strangers behind two NATs, with a lookup and a relay of their own and nobody else's.
pub(super) fn by_rendezvous() -> Outcome {
    let world = World::new();
    let (alice, bob) = world.two_sides([EASY, EASY], &world.network());
    alice.start();
    bob.start();
    alice.is_online();
    bob.is_online();
    let begun = Instant::now();
    pair_by_words(&alice, &bob);
    let took = begun.elapsed();
    let mut outcome = Talk::between(world, alice, bob, "direct").end();
    outcome.note = format!("paired by three words after {:.1} s", took.as_secs_f64());
    outcome
}

/// A code of the host's.
fn code(host: &Side) -> String {
    let made = host.home.json(&["invite", "--code"]);
    made["code"].as_str().unwrap().to_owned()
}

fn connect(guest: &Side, words: &str, name: &str) -> crate::support::Output {
    let words: Vec<&str> = words.split(' ').collect();
    guest.home.run(&[&["connect"], words.as_slice(), &["--name", name, "--json"]].concat())
}

/// Both say yes, and that they said the words themselves.
pub(super) fn pair_by_words(host: &Side, guest: &Side) {
    let connected = connect(guest, &code(host), host.home.name).expect(3).json();
    assert_eq!(connected["state"], "requested", "{connected:#}");
    let items = (ready_item(&host.home, "peer_in"), ready_item(&guest.home, "peer_out"));
    for (home, item) in [(&host.home, &items.0), (&guest.home, &items.1)] {
        let mut terminal = Terminal::open(home, &["approve", id(item), "--verified"]);
        terminal.shows("paired by a code");
        terminal.answer(home.passphrase);
        terminal.finish().expect(0);
    }
    trusted(&host.home, &guest.home);
}

/// Mallory knows the first word, which is where to find Alice, and guesses the others. Each guess
/// uses a code up, so that the others find nobody.
pub(super) fn wrong_guesses() -> Outcome {
    let world = World::new();
    let (alice, _) = world.two_sides([EASY, EASY], &world.network());
    let (device, router) = world.elsewhere("mallory", &EASY);
    let home = Home::empty("mallory", "quartz heron forgot the seventh staircase");
    let mallory = Side::new(home, device, router, &world.network());
    alice.start();
    mallory.start();
    alice.is_online();
    mallory.is_online();
    let words = code(&alice);
    let first = words.split(' ').next().unwrap();
    let begun = Instant::now();
    let guess = format!("{first} zoo zoo");
    let tried = AtomicUsize::new(0);
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    thread::scope(|scope| {
        let guessing: Vec<_> = (0..GUESSERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = Vec::new();
                    while tried.fetch_add(1, Ordering::Relaxed) < GUESSES {
                        assert!(begun.elapsed() < GUESSING, "too slow: {tried:?} {answers:?}");
                        let said = connect(&mallory, &guess, "alice");
                        assert!(!matches!(said.code, Some(0 | 3)), "a guess was right: {said}");
                        answers.push(said.stderr.trim().to_owned());
                    }
                    answers
                })
            })
            .collect();
        for answer in guessing.into_iter().flat_map(|guesser| guesser.join().unwrap()) {
            *answers.entry(answer).or_default() += 1;
        }
    });
    let used_up = answers.iter().filter(|(said, _)| said.contains("used up"));
    assert_eq!(used_up.map(|(_, count)| count).sum::<usize>(), 1, "one guess a code: {answers:#?}");
    until("Alice is told", SOON, || alice.home.warnings().contains("a wrong code was tried"));
    assert!(alice.home.pending().is_empty() && mallory.home.pending().is_empty());
    assert_eq!(alice.home.peer_state("mallory"), "");
    let note = format!(
        "{GUESSES} guesses in {} s, one was answered; then: {}",
        begun.elapsed().as_secs(),
        answers
            .keys()
            .filter(|said| !said.contains("used up"))
            .cloned()
            .collect::<Vec<_>>()
            .join(" / ")
    );
    Outcome { note, ..Outcome::default() }
}
