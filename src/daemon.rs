//! The node as a process: the lock, the socket, the ways in over HTTP, its start and its end.

mod callers;

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing_subscriber::EnvFilter;

use callers::Ways;

use crate::{
    base::limits::{LOG_BYTES_MAX, NODE_START_TIMEOUT, SHUTDOWN_TIMEOUT},
    ipc::{Client, ClientError, Hello, Listener, SessionStream},
    mcp::{self, fence},
    node::{
        NodeHandle,
        api::{ApiError, ErrorKind},
        config::{Config, Home},
        moved::{self, MOVED_NEXT},
        sessions::{Transport, Wish},
    },
    wake, web,
};

/// What is logged when `COUNTERSIGN_LOG` does not say: iroh warns of what it then handles itself.
const LOG_DEFAULT: &str = "warn,iroh::socket=off,iroh_relay=error,noq=error,rmcp=error";
/// What is never logged, whatever `COUNTERSIGN_LOG` says: these name a proxy with its password.
const LOG_NEVER: [&str; 2] = ["iroh_relay::client::tls=off", "reqwest::connect=off"];
/// How often something is looked at that tells nobody when it changes.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How much of the log an error shows.
const LOG_TAIL_BYTES: u64 = 2048;

/// Runs the node of `home` in this process until a signal or its own end.
///
/// # Errors
/// When another node runs here, or this one cannot start.
pub async fn run(home: Home) -> anyhow::Result<()> {
    need_set_up(&home)?;
    log_to_stderr();
    if let Err(error) = crate::node::guard::close_memory() {
        tracing::warn!(%error, "other processes of this user may read this one's memory");
    }
    run_node(&home, async |tasks, cancel| Ok(crate::node::start(&home, tasks, cancel).await?)).await
}

/// A home in which a node can start: set up, and not moved away.
///
/// # Errors
/// When it is not, with what to do.
pub fn need_set_up(home: &Home) -> anyhow::Result<()> {
    if home.identity_file().exists() {
        return match moved::says(home) {
            Some(moved) => Err(ApiError::new(ErrorKind::Refused, moved, MOVED_NEXT).into()),
            None => Ok(()),
        };
    }
    if let Some(aside) = moved_aside(home) {
        let (aside, place) = (aside.display(), home.path().display());
        bail!(
            "{place} is gone, and a restore that was cut short left the home that was there in \
             {aside}; move that back (mv {aside} {place}), then try again"
        );
    }
    bail!(
        "{} is not set up; run: countersign init --name NAME in a terminal, or countersign page \
         --open, then try again",
        home.path().display()
    )
}

/// Where `restore --replace` puts the home that is at a place: beside it, under this name and a time.
#[must_use]
pub fn aside_prefix(place: &Path) -> std::ffi::OsString {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(".before-");
    name
}

/// The newest home that went aside from a place at which there is none now.
fn moved_aside(home: &Home) -> Option<PathBuf> {
    let place = home.path();
    if place.exists() {
        return None;
    }
    let prefix = aside_prefix(place);
    let is_aside = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.starts_with(prefix.as_encoded_bytes())
    };
    let beside = std::fs::read_dir(place.parent()?).ok()?;
    beside.filter_map(|entry| Some(entry.ok()?.path())).filter(is_aside).max()
}

/// Logs to stderr, as `COUNTERSIGN_LOG` says. A second call changes nothing.
pub fn log_to_stderr() {
    let filter =
        EnvFilter::try_from_env("COUNTERSIGN_LOG").unwrap_or_else(|_| EnvFilter::new(LOG_DEFAULT));
    let filter = without_proxies(filter);
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    // Fails only where one is set already, and then that one logs.
    log.with_writer(std::io::stderr).try_init().ok();
}

fn without_proxies(filter: EnvFilter) -> EnvFilter {
    let never = LOG_NEVER.iter().filter_map(|directive| directive.parse().ok());
    never.fold(filter, EnvFilter::add_directive)
}

async fn run_node<S>(home: &Home, start: S) -> anyhow::Result<()>
where
    S: AsyncFnOnce(&TaskTracker, &CancellationToken) -> anyhow::Result<NodeHandle>,
{
    let _lock = Lock::take(home).await?;
    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    let served = serve(home, start, &tasks, &cancel).await;
    cancel.cancel();
    tasks.close();
    if timeout(SHUTDOWN_TIMEOUT, tasks.wait()).await.is_err() {
        let (left, seconds) = (tasks.len(), SHUTDOWN_TIMEOUT.as_secs());
        tracing::warn!(left, seconds, "some tasks did not end in time");
    }
    served
}

async fn serve<S>(
    home: &Home,
    start: S,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) -> anyhow::Result<()>
where
    S: AsyncFnOnce(&TaskTracker, &CancellationToken) -> anyhow::Result<NodeHandle>,
{
    let mut signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()]
        .map(signal)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let node = start(tasks, cancel).await.context("the node cannot start")?;
    wake::serve(&node, home, tasks, cancel)?;
    let listener = Listener::bind(home).await?;
    serve_http(&node, home, tasks, cancel).await;
    let (sessions, ending) = (node.clone(), cancel.clone());
    let session = move |stream: SessionStream| {
        let (sessions, ending) = (sessions.clone(), ending.clone());
        async move {
            let SessionStream { hello, reader, writer, place } = stream;
            tracing::debug!(pid = hello.pid, "an agent's session began");
            let session = sessions.open_session(wish_of(hello));
            if let Err(error) = mcp::serve(reader, writer, session, ending).await {
                tracing::info!(%error, "an agent's session failed");
            }
            drop(place);
        }
    };
    tasks.spawn(listener.serve(node, session, tasks.clone(), cancel.clone()));
    let any_signal =
        futures_util::future::select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv())));
    tokio::select! {
        _ = any_signal => {}
        // The node was told to stop, or gave up.
        () = cancel.cancelled() => {}
    }
    Ok(())
}

/// The page, and `/mcp` beside it. Without a port the rest goes on.
async fn serve_http(
    node: &NodeHandle,
    home: &Home,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) {
    let config = Config::read(home).map(|config| config.mcp).unwrap_or_default();
    let ways = Ways::new(node, config, tasks, cancel);
    ways.beyond(home, tasks, cancel).await;
    if let Err(error) = web::serve(node, home, |port| ways.local(port), tasks, cancel).await {
        tracing::warn!(
            %error,
            "there is no page, and no MCP over HTTP; the commands do all that the page does"
        );
    }
}

/// What a session that comes over the socket says of itself.
fn wish_of(hello: Hello) -> Wish {
    let Hello { cwd, project, parent, session: choice, channel, .. } = hello;
    let project = Some(project.unwrap_or(cwd));
    Wish { choice, project, token: None, parent, transport: Transport::Stdio, channel }
}

/// Held by the one node that runs in a home, or by whoever keeps one from starting; the system
/// releases it with the process.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it. One that is about to end gets the time that an end may take.
    ///
    /// # Errors
    /// When a node runs, or the system says no.
    pub async fn take(home: &Home) -> anyhow::Result<Self> {
        let path = home.lock_file();
        let open = || {
            let opened = private().read(true).open(&path);
            opened.with_context(|| format!("{} cannot be opened", path.display()))
        };
        let mut file = open()?;
        let until = Instant::now() + SHUTDOWN_TIMEOUT + Duration::from_secs(1);
        loop {
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => break,
                // While we waited, another home was put here: a lock of the one that went keeps
                // nobody out of this one.
                Ok(()) if Instant::now() < until => file = open()?,
                Ok(()) => bail!("{} is being replaced; try again", home.path().display()),
                Err(TryLockError::WouldBlock) => {
                    if Client::connect(home).await.is_ok() || Instant::now() >= until {
                        bail!(
                            "a node runs in {} already: {}",
                            home.path().display(),
                            holder(&file)
                        );
                    }
                    sleep(LOOK_EVERY).await;
                }
                Err(TryLockError::Error(error)) => return Err(error).context("the lock failed"),
            }
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

/// Whether this is the file that is there now.
fn is_at(file: &File, path: &Path) -> bool {
    let place = |meta: Metadata| (meta.dev(), meta.ino());
    let (opened, there) = (file.metadata().map(place), std::fs::metadata(path).map(place));
    opened.is_ok_and(|opened| there.is_ok_and(|there| opened == there))
}

fn holder(mut file: &File) -> String {
    let mut text = String::new();
    // Only for the message: without it the error is as true.
    file.rewind().and_then(|()| file.take(32).read_to_string(&mut text)).ok();
    text.trim()
        .parse::<u32>()
        .map_or("its process is not known".to_owned(), |pid| format!("process {pid}"))
}

/// A file of this user alone, made when it is not there.
fn private() -> OpenOptions {
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}

/// Makes sure that a node runs in `home`, in the background when none does yet.
///
/// # Errors
/// When the home is not set up, or the node does not come up; then with the end of its log.
pub async fn ensure_running(home: &Home) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["node", "--background"]);
    ensure_running_by(home, command).await
}

async fn ensure_running_by(home: &Home, mut command: Command) -> anyhow::Result<()> {
    if is_running(home).await? {
        return Ok(());
    }
    need_set_up(home)?;
    let (log, from) = open_log(home)?;
    let mut child = command
        .env("COUNTERSIGN_HOME", home.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("the node cannot be started")?;
    let until = Instant::now() + NODE_START_TIMEOUT;
    loop {
        let ended = has_ended(&mut child);
        // In this order: who lost a race against another start ended after the winner answered.
        if is_running(home).await? {
            return Ok(());
        }
        if ended || Instant::now() >= until {
            let what = if ended { "ended at once" } else { "does not answer" };
            bail!("the node was started, but {what}: {}", log_tail(&home.log_file(), from));
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn is_running(home: &Home) -> anyhow::Result<bool> {
    match Client::connect(home).await {
        Ok(_) => Ok(true),
        // It ends, or is about to begin.
        Err(ClientError::NoNode | ClientError::Io(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

/// The log, to append to, and how long it is now.
fn open_log(home: &Home) -> anyhow::Result<(File, u64)> {
    let path = home.log_file();
    let open = || private().write(false).append(true).open(&path);
    let log = open().with_context(|| format!("{} cannot be opened", path.display()))?;
    if log.metadata()?.len() > LOG_BYTES_MAX {
        log.set_len(0)?;
    }
    let length = log.metadata()?.len();
    Ok((log, length))
}

/// The end of what was logged since `from`, in one line and without control characters.
fn log_tail(path: &Path, from: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES).max(from);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let last: Vec<_> = text.lines().rev().take(5).map(fence::line).collect();
    if last.is_empty() {
        return format!("its log {} says nothing", path.display());
    }
    last.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::ipc::{self, Role, line::Line};

    #[test]
    fn no_log_setting_lets_a_proxys_password_out() {
        for setting in [LOG_DEFAULT, "trace", "info,iroh_relay::client::tls=trace"] {
            let shown = without_proxies(EnvFilter::new(setting)).to_string();
            for never in LOG_NEVER {
                assert!(shown.split(',').any(|directive| directive == never), "{shown}");
            }
            assert!(!shown.contains("tls=trace"), "{shown}");
        }
    }

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path()).unwrap();
        (folder, home)
    }

    /// A node that answers nothing, and the way to end it.
    async fn run_idle(home: &Home, stop: CancellationToken) -> anyhow::Result<()> {
        let (node, _questions) = NodeHandle::channel();
        run_node(home, async |tasks, cancel| {
            let cancel = cancel.clone();
            tasks.spawn(async move {
                stop.cancelled().await;
                cancel.cancel();
            });
            Ok(node)
        })
        .await
    }

    async fn until_it_runs(home: &Home) {
        while !is_running(home).await.unwrap() {
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn one_node_runs_in_a_home_and_the_next_one_may_when_it_ended() {
        let (_folder, home) = home();
        let stop = CancellationToken::new();
        let story = async {
            until_it_runs(&home).await;
            let error = run_idle(&home, CancellationToken::new()).await.unwrap_err().to_string();
            assert!(
                error.ends_with(&format!("already: process {}", std::process::id())),
                "{error}"
            );
            ensure_running(&home).await.unwrap();
            stop.cancel();
        };
        let (ended, ()) = tokio::join!(run_idle(&home, stop.clone()), story);
        ended.unwrap();
        assert!(!home.socket_file().exists());
        let again = CancellationToken::new();
        let story = async {
            until_it_runs(&home).await;
            again.cancel();
        };
        tokio::join!(run_idle(&home, again.clone()), story).0.unwrap();
    }

    #[tokio::test]
    async fn a_lock_of_a_home_that_went_aside_is_none_of_the_one_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let (place, aside) = (folder.path().join("home"), folder.path().join("home.before-2026"));
        std::fs::create_dir(&place).unwrap();
        let home = Home::at(&place).unwrap();
        let first = Lock::take(&home).await.unwrap();
        let story = async {
            // The other one has the old file open by now, and waits.
            tokio::task::yield_now().await;
            std::fs::rename(&place, &aside).unwrap();
            let gone = need_set_up(&home).unwrap_err().to_string();
            assert!(gone.contains("cut short") && gone.contains("home.before-2026"), "{gone}");
            std::fs::create_dir(&place).unwrap();
            drop(first);
        };
        let (second, ()) = tokio::join!(Lock::take(&home), story);
        let second = second.unwrap();
        let file = File::options().write(true).open(home.lock_file()).unwrap();
        assert!(matches!(file.try_lock(), Err(TryLockError::WouldBlock)), "this home is locked");
        drop(second);
        assert!(need_set_up(&home).unwrap_err().to_string().contains("init"));
    }

    #[tokio::test]
    async fn an_agent_reaches_its_tools_through_the_socket() {
        let (_folder, home) = home();
        let stop = CancellationToken::new();
        let story = async {
            until_it_runs(&home).await;
            let (mut lines, mut writer) = ipc::open(&home, &Hello::of(Role::Mcp)).await.unwrap();
            let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
            writer.write_all(format!("{hello}\n").as_bytes()).await.unwrap();
            let Some(Line::Whole(line)) = lines.next().await.unwrap() else { panic!() };
            assert!(String::from_utf8(line).unwrap().contains("\"name\":\"countersign\""));
            stop.cancel();
            while lines.next().await.unwrap().is_some() {}
        };
        tokio::join!(run_idle(&home, stop.clone()), story).0.unwrap();
    }

    #[tokio::test]
    async fn a_home_that_is_not_set_up_is_told_so() {
        let (_folder, home) = home();
        let error = ensure_running(&home).await.unwrap_err().to_string();
        assert!(error.contains("countersign init --name NAME"), "{error}");
        assert!(error.contains("countersign page"), "{error}");
    }

    #[tokio::test]
    async fn a_node_that_dies_at_once_leaves_the_end_of_its_log() {
        let (_folder, home) = home();
        std::fs::write(home.identity_file(), "x").unwrap();
        std::fs::write(home.log_file(), "of an earlier start\n").unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r"printf 'one\nno port\033[2J\n' >&2; exit 1"]);
        let error = ensure_running_by(&home, command).await.unwrap_err().to_string();
        assert_eq!(error, "the node was started, but ended at once: one | no port\\u{1b}[2J");
    }
}
