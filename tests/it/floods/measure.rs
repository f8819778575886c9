//! What a flood costs the node that it hits, and somebody else's messages to it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use countersign::{
    ipc::{ClientError, ask_once},
    node::{
        api::{AgentRequest, Request, SendRequest, Sent},
        config::Home as Folder,
    },
};
use serde_json::Value;

use crate::support::{Home, SOON, require};

/// Between two looks whether a message has arrived.
const LOOK: Duration = Duration::from_millis(2);
/// What a message may take while a test's flood goes on, on a machine that does other things too.
const LATE: Duration = Duration::from_secs(5);
/// What the node's memory may grow by in most floods.
pub(super) const MEMORY: u64 = 96 * 1024 * 1024;
/// What a message that is sent to measure may take on disk: its row, its audit records, its receipts.
const DISK_A_MESSAGE: u64 = 4096;

/// Over the figures of a flood, of which `tests/reliability.py` makes one table.
const HEAD: &str = "| flood | p99 before, ms | p99 during, ms | ratio | messages | memory, MiB more | \
                    disk, MiB more | waiting | alerts |\n|---|---|---|---|---|---|---|---|---|";

/// The one number in a test, the other in the long form.
pub(super) fn sized(short: usize, long: usize) -> usize {
    if require::is_long() { long } else { short }
}

/// Asks a node one thing.
pub(super) fn ask(home: &Home, request: AgentRequest) -> Result<Value, ClientError> {
    ask_once(&Folder::at(home.path()).unwrap(), Request::Agent(request), SOON)
}

/// Sends a text and gives its id.
pub(super) fn send(home: &Home, to: &str, text: String) -> Result<Sent, ClientError> {
    let request = SendRequest { to: to.to_owned(), text, ..SendRequest::default() };
    let asked = Request::Agent(AgentRequest::Send(request));
    ask_once(&Folder::at(home.path()).unwrap(), asked, SOON)
}

/// From asking to send until the other side's agent can read it, which it does.
fn latency(from: &Home, to: &Home) -> Duration {
    static SENT: AtomicUsize = AtomicUsize::new(0);
    let text = format!("how long does it take? {}", SENT.fetch_add(1, Ordering::Relaxed));
    let began = Instant::now();
    let id = send(from, to.name, text).unwrap().id;
    loop {
        let read = AgentRequest::Read { id: id.clone(), offset: None, mark_read: true };
        if ask(to, read).is_ok() {
            return began.elapsed();
        }
        assert!(began.elapsed() < SOON, "{id} did not arrive");
        thread::sleep(LOOK);
    }
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    // Of fewer than a hundred it is the longest.
    times[(times.len() * 99).div_ceil(100) - 1]
}

fn rss_kib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn disk_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// Counts how often the node's human may be interrupted, until the node ends.
fn count_alerts(home: &Home) -> Arc<AtomicUsize> {
    let socket = Folder::at(home.path()).unwrap().socket_file();
    let mut stream = UnixStream::connect(socket).unwrap();
    writeln!(stream, r#"{{"hello":1,"role":"watch","pid":1,"cwd":"/"}}"#).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            counted.fetch_add(usize::from(line.contains(r#""hint":"alert""#)), Ordering::Relaxed);
        }
    });
    count
}

/// What a flood may cost.
pub(super) struct Bounds {
    /// Bytes that the node's memory may grow by.
    pub(super) memory: u64,
    /// Bytes that the home may grow by, beside the messages that measure.
    pub(super) disk: u64,
    /// Items that may wait for the human.
    pub(super) pending: usize,
    /// How often the human may be interrupted.
    pub(super) alerts: usize,
}

/// Lets `flood` go against `at` while `by` sends it messages, and looks at what it cost. Memory is
/// read once the flood is over and while it goes on.
#[expect(clippy::print_stdout, reason = "the figures of the long form are for a page")]
pub(super) fn check(
    name: &str,
    (at, by): (&Home, &Home),
    bounds: &Bounds,
    flood: impl FnOnce() + Send,
) {
    let pid = at.pid().unwrap();
    let alerts = count_alerts(at);
    let calm: Vec<Duration> = (0..sized(20, 200)).map(|_| latency(by, at)).collect();
    let (rss, disk) = (rss_kib(pid), disk_bytes(&at.path()));
    let over = AtomicBool::new(false);
    let (times, peak) = thread::scope(|scope| {
        let running = scope.spawn(|| {
            flood();
            over.store(true, Ordering::Relaxed);
        });
        let (mut times, mut peak) = (Vec::new(), rss);
        while !over.load(Ordering::Relaxed) && !running.is_finished() && times.len() < 10_000 {
            times.push(latency(by, at));
            peak = peak.max(rss_kib(pid));
        }
        running.join().unwrap();
        times.push(latency(by, at));
        (times, peak.max(rss_kib(pid)))
    });
    let (count, before, during) = (times.len(), p99(calm), p99(times));
    let ratio = during.as_secs_f64() / before.as_secs_f64();
    let grown = (peak - rss, disk_bytes(&at.path()).saturating_sub(disk));
    let (waiting, rung) = (at.pending().len(), alerts.load(Ordering::Relaxed));
    let line = format!(
        "| {name} | {:.1} | {:.1} | {ratio:.2} | {count} | {:.1} | {:.1} | {waiting} | {rung} |",
        before.as_secs_f64() * 1000.0,
        during.as_secs_f64() * 1000.0,
        f64::from(u32::try_from(grown.0).unwrap()) / 1024.0,
        f64::from(u32::try_from(grown.1).unwrap()) / 1024.0 / 1024.0,
    );
    eprintln!("{line}");
    if require::is_long() {
        // On a line of its own, whatever the test's name stands on.
        println!("\nfigures:\n{HEAD}\n{line}\n");
    }
    assert_eq!(at.pid(), Some(pid), "the same node runs");
    assert!(during < LATE, "a message took {during:?}; {before:?} before");
    assert!(grown.0 * 1024 <= bounds.memory, "the node grew by {} KiB", grown.0);
    let disk = bounds.disk + DISK_A_MESSAGE * u64::try_from(count).unwrap();
    assert!(grown.1 <= disk, "the home grew by {} bytes", grown.1);
    assert!(waiting <= bounds.pending, "{waiting} items wait");
    assert!(rung <= bounds.alerts, "the human was interrupted {rung} times");
}
