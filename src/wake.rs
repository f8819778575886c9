//! `[wake]`: a command of the user's that runs when a message has arrived.
//!
//! The command and its arguments are the configuration's, word for word. What happened is in the
//! environment, and only as ids and numbers, and no text of a peer's. Of these its sender chooses the
//! message's id, which is 32 hex digits, and for which of our sessions it is.

use std::{
    collections::VecDeque,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::bail;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::{Child, Command},
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    base::limits::{
        WAKE_COLLECT, WAKE_PER_HOUR_DEFAULT, WAKE_PER_HOUR_MAX, WAKE_TIME_MAX, WAKE_WINDOW,
    },
    node::{
        AgentHandle, NodeHandle,
        api::{AgentRequest, Event, Reply},
        config::{Config, Home, WakeConfig},
    },
};

/// Runs the command of the configuration of `home` at each arrival, where there is one.
///
/// # Errors
/// When what is configured cannot be.
pub fn serve(
    node: &NodeHandle,
    home: &Home,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) -> anyhow::Result<()> {
    if !home.config_file().exists() {
        return Ok(());
    }
    let Some(waker) = Waker::of(Config::read(home)?.wake, home)? else { return Ok(()) };
    let (node, events, cancel) = (node.agent(), node.events(), cancel.clone());
    tasks.spawn(async move {
        cancel.run_until_cancelled(waker.run(&node, events)).await;
    });
    Ok(())
}

/// The newest of the messages that arrived. Empty: we fell behind, and one may have arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Arrival {
    message: String,
    /// Our name for its sender, which is looked up and not passed on.
    from: String,
    session: String,
}

impl Arrival {
    fn is_known(&self) -> bool {
        !self.message.is_empty()
    }

    /// One after another: what is known stays.
    fn then(self, next: Self) -> Self {
        if next.is_known() { next } else { self }
    }
}

/// The command, and how often it ran.
struct Waker {
    program: String,
    arguments: Vec<String>,
    home: std::path::PathBuf,
    per_hour: usize,
    /// When it was started, within the last hour.
    runs: VecDeque<Instant>,
}

impl Waker {
    fn of(config: WakeConfig, home: &Home) -> anyhow::Result<Option<Self>> {
        let WakeConfig { command, per_hour } = config;
        let per_hour = per_hour.unwrap_or(WAKE_PER_HOUR_DEFAULT);
        if !(1..=WAKE_PER_HOUR_MAX).contains(&per_hour) {
            bail!(
                "config.toml: [wake] per_hour is {per_hour}; it can be 1 to {WAKE_PER_HOUR_MAX}; \
                 correct it and start the node again"
            );
        }
        let mut command = command.into_iter();
        let Some(program) = command.next() else { return Ok(None) };
        if program.is_empty() {
            bail!("config.toml: [wake] command names no program; its first word has to be one");
        }
        let (arguments, home) = (command.collect(), home.path().to_owned());
        let per_hour = usize::try_from(per_hour).unwrap_or(usize::MAX);
        Ok(Some(Self { program, arguments, home, per_hour, runs: VecDeque::new() }))
    }

    /// One run at a time. What arrives while one runs, or while none may begin, is told by the next.
    async fn run(mut self, node: &AgentHandle, mut events: Receiver<Event>) {
        let mut waits = None;
        loop {
            let first = match waits.take() {
                Some(first) => Some(first),
                None => arrival(&mut events).await,
            };
            let Some(mut newest) = first else { return };
            let begins = self.may_run_at(Instant::now() + WAKE_COLLECT);
            let mut waited = std::pin::pin!(sleep_until(begins));
            loop {
                tokio::select! {
                    () = &mut waited => break,
                    more = arrival(&mut events) => match more {
                        Some(more) => newest = newest.then(more),
                        None => return,
                    },
                }
            }
            let count = unread(node).await;
            if !newest.is_known() && count == 0 {
                continue;
            }
            self.runs.push_back(Instant::now());
            let mut running = std::pin::pin!(self.start(node, &newest, count));
            let ended = loop {
                // Read on: whoever leaves these lie loses the oldest.
                tokio::select! {
                    ended = &mut running => break ended,
                    more = arrival(&mut events) => match (waits.take(), more) {
                        (Some(before), Some(more)) => waits = Some(Arrival::then(before, more)),
                        (None, Some(more)) => waits = Some(more),
                        (_, None) => return,
                    },
                }
            };
            if let Err(problem) = ended {
                tracing::warn!(%problem, "the command of [wake] failed");
            }
        }
    }

    /// The first moment from `now` on at which it may begin.
    fn may_run_at(&mut self, now: Instant) -> Instant {
        while self.runs.front().is_some_and(|run| *run + WAKE_WINDOW <= now) {
            self.runs.pop_front();
        }
        // There are never more than these: each run waits for its turn.
        let oldest = self.runs.front().filter(|_| self.runs.len() >= self.per_hour);
        oldest.map_or(now, |oldest| *oldest + WAKE_WINDOW)
    }

    async fn start(
        &self,
        node: &AgentHandle,
        arrival: &Arrival,
        unread: u64,
    ) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(&self.home)
            .env("COUNTERSIGN_MESSAGE", &arrival.message)
            .env("COUNTERSIGN_FROM", peer_id(node, &arrival.from).await)
            .env("COUNTERSIGN_UNREAD", unread.to_string())
            .env("COUNTERSIGN_SESSION", &arrival.session)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
        let status = Running(child).end(WAKE_TIME_MAX).await?;
        if status.success() { Ok(()) } else { Err(format!("it ended with {status}")) }
    }
}

/// The command and whatever it started, which end with this.
struct Running(Child);

impl Running {
    async fn end(mut self, limit: Duration) -> Result<ExitStatus, String> {
        match timeout(limit, self.0.wait()).await {
            Ok(ended) => ended.map_err(|error| error.to_string()),
            Err(_) => Err(format!("it took longer than {} s, and was killed", limit.as_secs())),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let process = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        // Once it has ended it has no id here, and what it left behind is its own business.
        if let Some(process) = process {
            kill_process_group(process, Signal::KILL).ok();
        }
    }
}

/// How many are unread; none where the node does not say.
async fn unread(node: &AgentHandle) -> u64 {
    let news = node.news().await.unwrap_or_default();
    news.unread.iter().chain(&news.elsewhere).map(|of| of.unread).sum()
}

/// The peer's id, which nobody can choose; empty where it is not known any more.
async fn peer_id(node: &AgentHandle, name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    let Ok(Reply::Peers(all)) = node.ask(AgentRequest::Peers { state: None }).await else {
        return String::new();
    };
    all.peers.into_iter().find(|peer| peer.name == name).map(|peer| peer.id).unwrap_or_default()
}

/// The next message that arrives, or that may have. `None`: the node is gone.
async fn arrival(events: &mut Receiver<Event>) -> Option<Arrival> {
    loop {
        match events.recv().await {
            Ok(Event::Arrived { message, from, session }) => {
                let session = session.map(|name| name.to_string()).unwrap_or_default();
                return Some(Arrival { message, from, session });
            }
            Err(RecvError::Lagged(_)) => return Some(Arrival::default()),
            Err(RecvError::Closed) => return None,
            Ok(
                Event::MessageChanged { .. }
                | Event::PeersChanged
                | Event::PendingChanged
                | Event::Alert { .. }
                | Event::PageOpened
                | Event::SessionsChanged { .. },
            ) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    };

    use super::*;
    use crate::{
        base::limits::EVENT_QUEUE,
        node::{
            api::{News, NewsOf, Request},
            handle::Question,
        },
    };

    fn waker(command: &[&str], per_hour: Option<u32>) -> anyhow::Result<Option<Waker>> {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Waker::of(WakeConfig { command, per_hour }, &Home::at("/tmp/x").unwrap())
    }

    #[test]
    fn bounds_are_told_and_no_command_is_none() {
        assert!(waker(&[], None).unwrap().is_none());
        assert_eq!(waker(&["x"], None).unwrap().unwrap().per_hour, 12);
        for wrong in [0, 121] {
            let error = waker(&["x"], Some(wrong)).err().unwrap().to_string();
            assert!(error.contains(&format!("per_hour is {wrong}; it can be 1 to 120")), "{error}");
        }
        assert!(waker(&[""], None).err().unwrap().to_string().contains("names no program"));
    }

    #[tokio::test(start_paused = true)]
    async fn it_runs_so_often_an_hour_and_no_more() {
        let mut waker = waker(&["x"], Some(2)).unwrap().unwrap();
        let begun = Instant::now();
        for n in 0..5_u32 {
            let at = waker.may_run_at(Instant::now());
            assert_eq!(at, begun + WAKE_WINDOW * (n / 2));
            tokio::time::advance(at - Instant::now()).await;
            waker.runs.push_back(at);
        }
    }

    /// A node that has so many unread, and a command that writes a line for each run and then waits
    /// for the file `go`.
    struct Case {
        folder: tempfile::TempDir,
        node: NodeHandle,
        unread: Arc<AtomicU64>,
        /// How often it was asked for that.
        asked: Arc<AtomicU64>,
    }

    impl Case {
        fn begun() -> Self {
            let (node, mut questions) = NodeHandle::channel();
            let unread = Arc::new(AtomicU64::new(0));
            let asked = Arc::new(AtomicU64::new(0));
            let (has, counted) = (Arc::clone(&unread), Arc::clone(&asked));
            TaskTracker::new().spawn(async move {
                while let Some(Question { request, answer, .. }) = questions.recv().await {
                    assert!(matches!(request, Request::Agent(AgentRequest::News)));
                    counted.fetch_add(1, SeqCst);
                    let of = NewsOf { name: "bob".to_owned(), unread: has.load(SeqCst) };
                    let news = News { unread: vec![of], ..News::default() };
                    answer.send(Ok(Reply::News(news))).ok();
                }
            });
            let folder = tempfile::tempdir().unwrap();
            let script = "echo [$COUNTERSIGN_MESSAGE] $COUNTERSIGN_UNREAD >> runs; \
                          until test -e go; do sleep 0.01; done";
            let mut waker = waker(&["/bin/sh", "-c", script], None).unwrap().unwrap();
            waker.home = folder.path().to_owned();
            let (agent, events) = (node.agent(), node.events());
            TaskTracker::new().spawn(async move { waker.run(&agent, events).await });
            Self { folder, node, unread, asked }
        }

        fn arrive(&self, id: &str) {
            // No peer is called so: nobody asks for its id.
            let (message, from) = (id.to_owned(), String::new());
            self.node.tell(Event::Arrived { message, from, session: None });
        }

        fn go(&self) {
            std::fs::write(self.folder.path().join("go"), "").unwrap();
        }

        async fn runs(&self, expected: &str) {
            let runs = || std::fs::read_to_string(self.folder.path().join("runs"));
            for _ in 0..2000 {
                if runs().unwrap_or_default() == expected {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            panic!("{:?} is not {expected:?}", runs());
        }
    }

    #[tokio::test]
    async fn who_fell_behind_runs_it_where_something_is_unread_and_not_else() {
        let case = Case::begun();
        case.go();
        // Nobody reads between these.
        let flood = || (0..=EVENT_QUEUE).for_each(|_| case.node.tell(Event::PeersChanged));
        case.unread.store(2, SeqCst);
        case.arrive("m1");
        flood();
        case.runs("[] 2\n").await;
        case.unread.store(0, SeqCst);
        flood();
        while case.asked.load(SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        case.arrive("m2");
        case.runs("[] 2\n[m2] 0\n").await;
    }

    #[tokio::test]
    async fn what_arrives_while_it_runs_is_told_by_the_next_run() {
        let case = Case::begun();
        case.arrive("m1");
        case.runs("[m1] 0\n").await;
        case.arrive("m2");
        for _ in 0..2 * EVENT_QUEUE {
            case.node.tell(Event::PeersChanged);
            tokio::task::yield_now().await;
        }
        case.go();
        case.runs("[m1] 0\n[m2] 0\n").await;
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let held = folder.path().join("held");
        // The child of the child holds the other end of the pipe.
        let script = format!("mkfifo {0}; sleep 600 > {0} & cat {0}", held.display());
        let mut command = Command::new("/bin/sh");
        let child = command.args(["-c", &script]).process_group(0).stdin(Stdio::null()).spawn();
        let group = child.as_ref().unwrap().id().unwrap();
        let error = Running(child.unwrap()).end(Duration::from_millis(50)).await.unwrap_err();
        assert!(error.contains("killed"), "{error}");
        let group = Pid::from_raw(i32::try_from(group).unwrap()).unwrap();
        for _ in 0..1000 {
            if rustix::process::test_kill_process_group(group).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("something of it still runs");
    }
}
