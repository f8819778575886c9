use super::*;

fn id(n: u8) -> PendingId {
    PendingId::from_bytes([n; 5])
}

fn at(minutes: u64) -> Timestamp {
    Timestamp::from_ms(1_000_000_000 + minutes * 60_000)
}

fn ready(ids: impl IntoIterator<Item = u8>) -> Input {
    Input::Waits(ids.into_iter().map(|n| (id(n), true)).collect())
}

fn fresh() -> Budget {
    Budget::new(BTreeMap::new(), Vec::new())
}

#[test]
fn six_within_an_hour_and_then_one_digest() {
    let mut budget = fresh();
    for n in 0..6 {
        assert_eq!(budget.handle(ready([n]), at(u64::from(n))), Some(Prompt::Alert(1)));
    }
    // Each was decided when the next came, so none is open after the next line.
    assert_eq!(budget.handle(ready([]), at(6)), None);
    assert_eq!(budget.handle(ready(10..17), at(7)), None);
    assert_eq!(budget.handle(Input::Ask(id(10)), at(8)), None, "no client asks either");
    assert_eq!(budget.count(at(8)), Count { open: false, last_hour: 6, untold: 7 });
    assert_eq!(budget.handle(Input::Tick, at(59)), None);
    assert_eq!(budget.handle(Input::Tick, at(60)), Some(Prompt::Alert(7)));
    assert_eq!(budget.count(at(60)), Count { open: true, last_hour: 6, untold: 0 });
    assert_eq!(budget.handle(Input::Tick, at(75)), None, "what was told is not told again");
}

#[test]
fn what_comes_while_a_prompt_is_open_is_told_together_when_it_ends() {
    let mut budget = fresh();
    assert_eq!(budget.handle(ready([1]), at(0)), Some(Prompt::Alert(1)));
    assert_eq!(budget.handle(ready([1, 2]), at(1)), None);
    assert_eq!(budget.handle(ready([1, 2, 3]), at(1)), None);
    assert_eq!(budget.handle(Input::Ask(id(2)), at(1)), None);
    assert_eq!(budget.handle(ready([2, 3]), at(2)), Some(Prompt::Alert(2)));
    assert_eq!(budget.handle(Input::Ask(id(2)), at(2)), None, "it was told with another");
}

#[test]
fn a_question_belongs_to_the_alert_about_the_same_item_and_is_shown_once() {
    let mut budget = fresh();
    budget.handle(ready([1]), at(0));
    assert_eq!(budget.handle(Input::Ask(id(1)), at(0)), Some(Prompt::Client));
    assert_eq!(budget.handle(Input::Ask(id(1)), at(0)), None, "in another session");
    assert_eq!(budget.count(at(0)).last_hour, 1);
    budget.handle(Input::CallEnded(id(2)), at(1));
    assert!(budget.count(at(1)).open, "another call's end ends nothing");
    budget.handle(Input::CallEnded(id(1)), at(1));
    assert!(!budget.count(at(1)).open);
    assert_eq!(budget.handle(Input::Ask(id(1)), at(1)), Some(Prompt::Client));
    assert_eq!(budget.count(at(1)).last_hour, 2);
    assert_eq!(budget.handle(Input::Ask(id(9)), at(1)), None, "it does not wait");
}

#[test]
fn nobody_is_alerted_about_what_cannot_be_decided_yet() {
    let mut budget = fresh();
    let early = |ready| Input::Waits(BTreeMap::from([(id(1), ready)]));
    assert_eq!(budget.handle(early(false), at(0)), None);
    assert_eq!(budget.handle(early(true), at(1)), Some(Prompt::Alert(1)));
    let mut begun = Budget::new(BTreeMap::from([(id(1), true)]), vec![at(0); 5]);
    assert_eq!(begun.handle(early(true), at(1)), None, "it waited before the node began");
    assert_eq!(begun.handle(ready([2]), at(2)), Some(Prompt::Alert(1)));
    assert_eq!(begun.handle(ready([3]), at(3)), None, "the prompts before count");
}

#[test]
fn a_prompt_that_nobody_answers_and_a_clock_that_was_set_back_block_nothing_for_long() {
    let mut budget = fresh();
    assert_eq!(budget.handle(ready([1]), at(600)), Some(Prompt::Alert(1)));
    assert_eq!(budget.handle(ready([1, 2]), at(5)), None);
    assert_eq!(budget.handle(Input::Tick, at(14)), None);
    assert_eq!(budget.handle(Input::Tick, at(15)), Some(Prompt::Alert(1)));
    assert_eq!(budget.count(at(15)).last_hour, 2);
    budget.handle(ready([]), at(16));
    assert_eq!(budget.handle(Input::Tick, at(65)), None);
    assert_eq!(budget.count(at(65)).last_hour, 1, "an hour after it was set back");
}

/// What somebody who watches the person sees, kept apart from the machine.
#[derive(Clone, Default)]
struct Person {
    waits: BTreeSet<u8>,
    told: BTreeSet<u8>,
    /// About what, whether a client asks, and since when.
    interrupted: Option<(BTreeSet<u8>, bool, Timestamp)>,
    began: Vec<Timestamp>,
}

impl Person {
    /// Ends what has ended by what happens.
    fn hear(&mut self, step: Step, now: Timestamp) {
        let over = |since: Timestamp| since.plus(limits::PROMPT_LIFE) <= now;
        self.interrupted = self.interrupted.take().filter(|(_, _, since)| !over(*since));
        match step {
            Step::Toggle(n) => {
                if !self.waits.remove(&n) {
                    self.waits.insert(n);
                }
                self.told.retain(|n| self.waits.contains(n));
                let open = self.interrupted.take();
                self.interrupted = open.filter(|(about, ..)| !about.is_disjoint(&self.waits));
            }
            Step::Ended(n) => {
                let open = self.interrupted.take();
                self.interrupted = open.filter(|(about, asks, _)| !(*asks && about.contains(&n)));
            }
            Step::Ask(_) | Step::Pass(_) => {}
        }
    }

    fn see(&mut self, step: Step, prompt: Option<Prompt>, now: Timestamp, most: usize) {
        match (prompt, step) {
            (None, _) => {}
            (Some(Prompt::Alert(many)), _) => {
                let news: BTreeSet<u8> = self.waits.difference(&self.told).copied().collect();
                assert_eq!(many, u64::try_from(news.len()).unwrap(), "it tells of all of them");
                self.begin(news, false, now);
            }
            (Some(Prompt::Client), Step::Ask(n)) => {
                assert!(self.waits.contains(&n), "asked about what does not wait");
                match &mut self.interrupted {
                    Some((about, asks @ false, _)) if *about == BTreeSet::from([n]) => *asks = true,
                    _ => self.begin(BTreeSet::from([n]), true, now),
                }
            }
            (Some(Prompt::Client), _) => panic!("nobody could ask"),
        }
        let within = self.began.iter().filter(|at| now.since(**at) < WINDOW).count();
        assert!(within <= most, "{within} prompts in an hour");
        let may = self.interrupted.is_none() && within < most;
        let asks = matches!(step, Step::Ask(_));
        assert!(!may || asks || self.waits == self.told, "something is told of to nobody");
    }

    fn begin(&mut self, about: BTreeSet<u8>, asks: bool, now: Timestamp) {
        assert!(self.interrupted.is_none(), "two prompts are open");
        self.told.extend(&about);
        self.interrupted = Some((about, asks, now));
        self.began.push(now);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// An item begins to wait, or was decided.
    Toggle(u8),
    Ask(u8),
    Ended(u8),
    /// So many minutes pass.
    Pass(u64),
}

fn explore(budget: &Budget, person: &Person, (now, depth): (u64, usize), steps: &[Step]) -> usize {
    let mut orders = 1;
    for step in steps.iter().copied().filter(|_| depth > 0) {
        let (mut budget, mut person, mut now) = (budget.clone(), person.clone(), now);
        if let Step::Pass(minutes) = step {
            now += minutes;
        }
        person.hear(step, at(now));
        let input = match step {
            Step::Toggle(_) => ready(person.waits.iter().copied()),
            Step::Ask(n) => Input::Ask(id(n)),
            Step::Ended(n) => Input::CallEnded(id(n)),
            Step::Pass(_) => Input::Tick,
        };
        let prompt = budget.handle(input, at(now));
        person.see(step, prompt, at(now), budget.most);
        let count = budget.count(at(now));
        assert_eq!(count.open, person.interrupted.is_some(), "{step:?}");
        orders += explore(&budget, &person, (now, depth - 1), steps);
    }
    orders
}

#[test]
fn no_order_of_things_opens_two_prompts_or_more_than_an_hour_holds() {
    let begin = Budget::of(2, BTreeMap::new());
    let of = |items: u8| -> Vec<Step> {
        let each = |n| [Step::Toggle(n), Step::Ask(n), Step::Ended(n)];
        (0..items).flat_map(each).chain([Step::Pass(11), Step::Pass(31)]).collect()
    };
    let all = [(2, 6), (3, 5)]
        .map(|(items, depth)| explore(&begin, &Person::default(), (0, depth), &of(items)));
    assert_eq!(all, [299_593, 177_156]);
}

#[test]
fn a_flood_of_a_day_interrupts_six_times_an_hour_at_most() {
    let (mut budget, mut waits, mut began) = (fresh(), BTreeMap::new(), Vec::new());
    for minute in 0..24 * 60_u64 {
        let bytes = minute.to_be_bytes();
        waits.insert(PendingId::from_slice(&bytes[3..]).unwrap(), true);
        if budget.handle(Input::Waits(waits.clone()), at(minute)).is_some() {
            began.push(minute);
        }
        // Somebody says no to everything at once, every seventh minute.
        if minute % 7 == 0 {
            waits.clear();
        }
    }
    for (after, first) in began.iter().enumerate() {
        let within = began[after..].iter().take_while(|at| **at - first < 60).count();
        assert!(within <= 6, "{within} from minute {first} on");
    }
    assert!(began.len() >= 24 * 5, "{}", began.len());
}
