//! Which of several relays we are at home at, and leaving one that is dead.
//!
//! By itself iroh stays with a dead home relay for most of a minute (its issue 4319), and may be
//! stuck for hours in connecting to one (4476). Taking a relay out of its map makes it look for
//! another at once. No relay is lost for good: each comes back after a while, and all of them when
//! none is left.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use iroh::{RelayConfig, RelayMap, RelayUrl, TransportAddr, Watcher as _, endpoint::RelayStatus};
use tokio::time::{Instant, sleep_until};

use super::{clock, code, gates::lock, shared::Shared};
use crate::base::{Timestamp, limits};

/// A relay of ours, as people are shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayState {
    /// Its URL.
    pub url: String,
    /// It is the one where peers find us.
    pub home: bool,
    /// We are connected to it, as our home. One that is not our home is asked for nothing.
    pub connected: bool,
    /// Why it cannot be used, in escaped words: it may be the relay's own.
    pub problem: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// What is to be done about a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Use it no more for now.
    Drop(RelayUrl),
    /// Use it, or look anew which ones answer.
    Add(RelayUrl),
    /// We are at home there since now.
    Home,
}

/// What iroh says of our home relay.
#[derive(Clone, Debug)]
struct Seen {
    url: RelayUrl,
    connected: bool,
    problem: Option<String>,
}

/// All relays of the configuration.
#[derive(Debug)]
pub(super) struct Pool {
    members: BTreeMap<RelayUrl, Member>,
    began: Instant,
    /// Since when we have not been at home where we are to be.
    lost: Option<(Option<RelayUrl>, Instant)>,
    /// How often something was done about it in vain.
    rounds: u32,
    /// We have been at home since that one was chosen.
    was_home: bool,
}

#[derive(Debug)]
struct Member {
    config: Arc<RelayConfig>,
    /// It is out of use until then.
    out: Option<Instant>,
    /// How often it was put out of use without being good for long.
    strikes: u32,
    home: bool,
    connected: bool,
    problem: Option<String>,
    since: Timestamp,
}

impl Pool {
    /// Of these relays, none of which was tried yet.
    pub(super) fn new(map: &RelayMap) -> Self {
        let since = clock::now();
        let member = |config: Arc<RelayConfig>| {
            let (out, strikes, home, connected, problem) = (None, 0, false, false, None);
            let url = config.url.clone();
            (url, Member { config, out, strikes, home, connected, problem, since })
        };
        let members = map.relays::<Vec<_>>().into_iter().map(member).collect();
        Self { members, began: Instant::now(), lost: None, rounds: 0, was_home: false }
    }

    /// As people are shown it.
    pub(super) fn states(&self) -> Vec<RelayState> {
        let state = |(url, member): (&RelayUrl, &Member)| RelayState {
            url: url.to_string(),
            home: member.home,
            connected: member.connected,
            problem: member.problem.clone(),
            since: member.since,
        };
        self.members.iter().map(state).collect()
    }

    /// Where strangers can meet us: our home, or all that may become it while we have just begun.
    /// None, when no relay answers.
    pub(super) fn meeting_points(&self, now: Instant) -> Vec<String> {
        let is_new = now.saturating_duration_since(self.began) < limits::RELAY_CONNECT;
        let home = self.members.iter().filter(|(_, member)| member.connected);
        let mut urls: Vec<String> = home.map(|(url, _)| url.to_string()).collect();
        if urls.is_empty() && is_new {
            urls.extend(self.members.keys().map(ToString::to_string));
        }
        urls.truncate(limits::ADDRESSES_MAX);
        urls
    }

    /// Further relays where a peer may be that was at `known`: its relay may have died, and then
    /// it is at another of the same set. After a dial `failed`, or when we see it dead ourselves.
    pub(super) fn spares(&self, known: &[TransportAddr], failed: bool) -> Vec<TransportAddr> {
        let ours = known.iter().filter_map(|address| match address {
            TransportAddr::Relay(url) => self.members.get(url),
            TransportAddr::Ip(_) | TransportAddr::Custom(_) | _ => None,
        });
        let mut ours = ours.peekable();
        if ours.peek().is_none() || (!failed && ours.all(|member| member.problem.is_none())) {
            return Vec::new();
        }
        let others = self.members.iter().filter(|(_, member)| member.out.is_none());
        let others = others.map(|(url, _)| TransportAddr::Relay(url.clone()));
        others.filter(|address| !known.contains(address)).collect()
    }

    /// Something changed that may make a relay reachable: what is lost is looked at soon again.
    pub(super) fn hope(&mut self) {
        self.rounds = 0;
    }

    /// Takes in what is seen, and says what to do.
    fn look(&mut self, home: Option<&Seen>, (now, wall): (Instant, Timestamp)) -> Vec<Step> {
        let mut steps = self.come_back(now);
        let was = self.note(home, wall);
        match home {
            Some(Seen { connected: true, url, .. }) => {
                (self.lost, self.rounds, self.was_home) = (None, 0, true);
                if was.as_ref() != Some(url) {
                    steps.push(Step::Home);
                }
            }
            Some(Seen { url, .. }) => steps.extend(self.miss(Some(url.clone()), now)),
            None => steps.extend(self.miss(None, now)),
        }
        steps
    }

    /// Those whose time out of use is over.
    fn come_back(&mut self, now: Instant) -> Vec<Step> {
        let due = |member: &&mut Member| member.out.is_some_and(|until| until <= now);
        let back = self.members.values_mut().filter(due).map(|member| {
            member.out = None;
            Step::Add(member.config.url.clone())
        });
        back.collect()
    }

    /// Writes down what is seen. Gives where we were at home before.
    fn note(&mut self, home: Option<&Seen>, wall: Timestamp) -> Option<RelayUrl> {
        let mut was = None;
        for (url, member) in &mut self.members {
            if member.connected {
                was = Some(url.clone());
            }
            let seen = home.filter(|seen| seen.url == *url);
            let connected = seen.is_some_and(|seen| seen.connected);
            let problem = match seen {
                Some(seen) if connected || seen.problem.is_some() => seen.problem.clone(),
                // What was wrong stays true until something else is known.
                Some(_) | None => member.problem.clone(),
            };
            if member.connected != connected || member.problem.is_some() != problem.is_some() {
                member.since = wall;
            }
            if connected && wall.since(member.since) >= limits::RELAY_OUT {
                member.strikes = 0;
            }
            member.home = seen.is_some();
            (member.connected, member.problem) = (connected, problem);
        }
        was
    }

    /// We are not at home at `url`, where we are to be.
    fn miss(&mut self, url: Option<RelayUrl>, now: Instant) -> Vec<Step> {
        match &self.lost {
            Some((lost, _)) if *lost == url => {}
            before => {
                // What is new may take longer than what was there a moment ago.
                self.was_home &= before.is_none();
                self.lost = Some((url.clone(), now));
            }
        }
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.lost = Some((url.clone(), now));
        self.rounds = self.rounds.saturating_add(1);
        let is_left = |(other, member): (&RelayUrl, &Member)| {
            Some(other) != url.as_ref() && member.out.is_none()
        };
        let others = self.members.iter().any(is_left);
        match url.and_then(|url| self.members.get_mut(&url)) {
            Some(member) if others && member.out.is_none() => {
                let times = 1 << member.strikes.min(10);
                member.out = Some(now + limits::RELAY_OUT_MAX.min(limits::RELAY_OUT * times));
                member.strikes += 1;
                vec![Step::Drop(member.config.url.clone())]
            }
            // Nothing else answers, or there is nothing else: all are tried.
            Some(_) | None => {
                let all = self.members.values_mut().map(|member| {
                    member.out = None;
                    Step::Add(member.config.url.clone())
                });
                all.collect()
            }
        }
    }

    /// When to look again, should nothing change before.
    fn due(&self) -> Option<Instant> {
        let first = if self.was_home { limits::RELAY_DOWN } else { limits::RELAY_CONNECT };
        let wait = limits::RELAY_DOWN_MAX.min(first * (1 << self.rounds.min(5)));
        let lost = self.lost.as_ref().map(|(_, since)| *since + wait);
        self.members.values().filter_map(|member| member.out).chain(lost).min()
    }
}

impl From<&RelayStatus> for Seen {
    fn from(status: &RelayStatus) -> Self {
        let error = status.last_error().map(|error| plain(&format!("{error:#}")));
        let denied = status.auth_denied_reason();
        let denied = denied.map(|reason| format!("it lets us not in: \"{}\"", plain(reason)));
        let connected = status.is_connected();
        let problem = denied.or(error).filter(|_| !connected);
        Self { url: status.url().clone(), connected, problem }
    }
}

/// A short text without controls, as it may be a server's own words.
fn plain(text: &str) -> String {
    text.chars().take(limits::RELAY_PROBLEM_CHARS_MAX).flat_map(char::escape_debug).collect()
}

/// Runs until the end.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut watcher = shared.endpoint.home_relay_status();
    loop {
        let home = watcher.get().first().map(Seen::from);
        let (steps, due) = {
            let mut pool = lock(&shared.relays);
            if pool.members.is_empty() {
                return;
            }
            (pool.look(home.as_ref(), (Instant::now(), clock::now())), pool.due())
        };
        for step in steps {
            take(&shared, step).await;
        }
        let due = due.unwrap_or_else(|| Instant::now() + Duration::from_hours(1));
        tokio::select! {
            updated = watcher.updated() => if updated.is_err() { return },
            () = sleep_until(due) => {}
            () = shared.cancel.cancelled() => return,
        }
    }
}

async fn take(shared: &Shared, step: Step) {
    match step {
        Step::Drop(url) => {
            tracing::warn!(relay = %url, "the home relay is gone; another is looked for");
            shared.endpoint.remove_relay(&url).await;
            let address = TransportAddr::Relay(url);
            shared.links.close_over(&address, code::SLOW);
            shared.pairs.close_over(&address, code::SLOW);
            shared.wake_all();
        }
        Step::Add(url) => {
            let config = lock(&shared.relays).members.get(&url).map(|m| Arc::clone(&m.config));
            if let Some(config) = config {
                shared.endpoint.insert_relay(url, config).await;
            }
        }
        Step::Home => shared.wake_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "https://one.example";
    const OTHER: &str = "https://two.example";

    struct Case {
        pool: Pool,
        now: Instant,
        wall: Timestamp,
    }

    fn url(text: &str) -> RelayUrl {
        text.parse().unwrap()
    }

    impl Case {
        fn new(urls: &[&str]) -> Self {
            let map = urls.iter().map(|text| RelayConfig::new(url(text), None)).collect();
            Self { pool: Pool::new(&map), now: Instant::now(), wall: Timestamp::from_ms(1) }
        }

        /// What is done when `home` is in this state for so long.
        fn look(&mut self, home: Option<(&str, bool)>, after: Duration) -> Vec<Step> {
            (self.now, self.wall) = (self.now + after, self.wall.plus(after));
            let seen = home.map(|(text, connected)| {
                let problem = (!connected).then(|| "refused".to_owned());
                Seen { url: url(text), connected, problem }
            });
            self.pool.look(seen.as_ref(), (self.now, self.wall))
        }
    }

    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn a_home_that_died_is_left_soon_and_comes_back_later_and_later() {
        let mut case = Case::new(&[FIRST, OTHER]);
        assert_eq!(case.look(Some((FIRST, true)), AT_ONCE), [Step::Home]);
        assert_eq!(case.look(Some((FIRST, true)), AT_ONCE), [], "no news");
        let mut out = limits::RELAY_OUT;
        for _ in 0..3 {
            assert_eq!(case.look(Some((FIRST, false)), AT_ONCE), []);
            let drop = [Step::Drop(url(FIRST))];
            assert_eq!(case.look(Some((FIRST, false)), limits::RELAY_DOWN), drop);
            assert_eq!(case.look(Some((OTHER, true)), AT_ONCE), [Step::Home]);
            assert_eq!(case.look(Some((OTHER, true)), out - limits::RELAY_DOWN), []);
            let add = [Step::Add(url(FIRST))];
            assert_eq!(case.look(Some((OTHER, true)), limits::RELAY_DOWN), add);
            assert_eq!(case.look(Some((FIRST, true)), AT_ONCE), [Step::Home]);
            out *= 2;
        }
        // What was good for long starts anew.
        case.look(Some((FIRST, true)), limits::RELAY_OUT);
        case.look(Some((FIRST, false)), AT_ONCE);
        case.look(Some((FIRST, false)), limits::RELAY_DOWN);
        let add = [Step::Add(url(FIRST)), Step::Home];
        assert_eq!(case.look(Some((OTHER, true)), limits::RELAY_OUT), add);
    }

    #[test]
    fn a_short_outage_is_waited_for() {
        let mut case = Case::new(&[FIRST, OTHER]);
        case.look(Some((FIRST, true)), AT_ONCE);
        assert_eq!(case.look(Some((FIRST, false)), AT_ONCE), []);
        assert_eq!(case.look(Some((FIRST, false)), limits::RELAY_DOWN / 2), []);
        assert_eq!(case.look(Some((FIRST, true)), AT_ONCE), [Step::Home]);
        assert_eq!(case.look(Some((FIRST, false)), limits::RELAY_DOWN), []);
    }

    #[test]
    fn a_new_home_has_longer_to_be_connected_to() {
        let mut case = Case::new(&[FIRST, OTHER]);
        assert_eq!(case.look(Some((FIRST, false)), AT_ONCE), []);
        assert_eq!(case.look(Some((FIRST, false)), limits::RELAY_DOWN), []);
        let drop = [Step::Drop(url(FIRST))];
        assert_eq!(case.look(Some((FIRST, false)), limits::RELAY_CONNECT), drop);
    }

    #[test]
    fn when_none_is_left_all_are_tried_again_and_again() {
        let mut case = Case::new(&[FIRST, OTHER]);
        case.look(Some((FIRST, true)), AT_ONCE);
        case.look(Some((FIRST, false)), AT_ONCE);
        assert_eq!(case.look(Some((FIRST, false)), limits::RELAY_DOWN), [Step::Drop(url(FIRST))]);
        let all = [Step::Add(url(FIRST)), Step::Add(url(OTHER))];
        // Nothing else answered, so iroh stays where it was.
        let mut tried = 0;
        for _ in 0..10 {
            let steps = case.look(Some((FIRST, false)), limits::RELAY_DOWN_MAX);
            tried += usize::from(steps == all);
            let in_use = case.pool.members.values().filter(|member| member.out.is_none()).count();
            assert!(in_use >= 1, "no relay is lost for good");
        }
        assert_eq!(tried, 5, "every other time");
        assert!(case.look(Some((OTHER, true)), AT_ONCE).contains(&Step::Home));
    }

    #[test]
    fn a_single_relay_is_never_dropped_but_looked_for() {
        let mut case = Case::new(&[FIRST]);
        for home in [None, Some((FIRST, false))] {
            for _ in 0..5 {
                case.look(home, AT_ONCE);
                let steps = case.look(home, limits::RELAY_DOWN_MAX);
                assert_eq!(steps, [Step::Add(url(FIRST))]);
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_relay_is_shown_since_when_and_escaped() {
        let mut case = Case::new(&[FIRST, OTHER]);
        case.look(Some((FIRST, true)), Duration::from_secs(1));
        case.look(Some((FIRST, false)), Duration::from_secs(1));
        case.look(Some((FIRST, false)), limits::RELAY_DOWN);
        case.look(Some((OTHER, true)), Duration::from_secs(1));
        let [first, other] = case.pool.states().try_into().unwrap();
        assert!(!first.home && !first.connected && other.home && other.connected);
        assert_eq!(first.problem.as_deref(), Some("refused"));
        assert_eq!((first.since.ms(), other.problem), (2001, None));
        assert_eq!(plain("a\u{1b}[0m\n\u{202e}"), "a\\u{1b}[0m\\n\\u{202e}");
        assert!(plain(&"x".repeat(10_000)).len() <= limits::RELAY_PROBLEM_CHARS_MAX);
    }

    #[test]
    fn strangers_meet_us_at_home_or_where_it_may_be_soon() {
        let mut case = Case::new(&[FIRST, OTHER]);
        let both = [url(FIRST).to_string(), url(OTHER).to_string()];
        let began = case.pool.began;
        assert_eq!(case.pool.meeting_points(began), both);
        assert!(case.pool.meeting_points(began + limits::RELAY_CONNECT).is_empty());
        case.look(Some((OTHER, true)), limits::RELAY_CONNECT);
        assert_eq!(case.pool.meeting_points(case.now), both[1..]);
        assert!(Case::new(&[]).pool.meeting_points(began).is_empty());
    }

    #[test]
    fn a_peer_at_a_dead_relay_of_ours_is_looked_for_at_the_others() {
        let mut case = Case::new(&[FIRST, OTHER]);
        let known = [TransportAddr::Relay(url(FIRST))];
        let spare = [TransportAddr::Relay(url(OTHER))];
        case.look(Some((FIRST, true)), AT_ONCE);
        assert_eq!(case.pool.spares(&known, false), []);
        assert_eq!(case.pool.spares(&known, true), spare);
        case.look(Some((FIRST, false)), AT_ONCE);
        assert_eq!(case.pool.spares(&known, false), spare);
        let foreign = [TransportAddr::Relay(url("https://three.example"))];
        assert_eq!(case.pool.spares(&foreign, true), []);
    }
}
