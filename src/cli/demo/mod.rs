//! `demo`: two real nodes on this machine, paired and talking through real MCP.
//!
//! Everything runs through this same executable, as people and MCP clients would run it. The
//! demo plays both humans, with passphrases that it shows; nobody's own home is touched.

mod agent;
mod person;
mod side;
mod story;

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    Exit, escape,
    print::{self, Printer},
};
use side::Side;

/// Lines of each log that are shown when the demo fails.
const LOG_LINES: usize = 12;

/// The two sides, and the telling of what they do.
struct Stage {
    alice: Side,
    bob: Side,
    out: Printer,
    step: usize,
    title: &'static str,
}

/// What `--json` gives.
#[derive(Debug, Serialize)]
struct Told {
    ok: bool,
    steps: usize,
    total_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

impl Stage {
    fn new(folder: &Path, out: Printer) -> anyhow::Result<Self> {
        let alice = Side::new("Alice", "maple orbit velvet 93", folder)?;
        let bob = Side::new("Bob", "copper lantern drift 48", folder)?;
        Ok(Self { alice, bob, out, step: 0, title: "" })
    }

    /// A new step, with what it shows in plain words.
    fn begin(&mut self, title: &'static str, meaning: &str) -> anyhow::Result<()> {
        self.step += 1;
        self.title = title;
        let style = self.out.style();
        let heading = style.bold(&format!("{}. {title}", self.step));
        self.tell(&format!("\n{heading}\n   {}", meaning.replace('\n', "\n   ")))
    }

    /// Something that was done, and checked.
    fn did(&self, text: &str) -> anyhow::Result<()> {
        self.tell(&format!("   {} {}", self.out.style().good("✓"), escape::line(text)))
    }

    /// What stood on a person's screen.
    fn show(&self, screen: &str) -> anyhow::Result<()> {
        let style = self.out.style();
        let margin = style.dim("     ▏");
        let lines: Vec<_> = screen
            .trim()
            .lines()
            .map(|line| format!("{margin} {}", style.dim(&escape::line(line))))
            .collect();
        self.tell(&lines.join("\n"))
    }

    /// The story is the demo's data; beside `--json` it is talk.
    fn tell(&self, text: &str) -> anyhow::Result<()> {
        if self.out.is_json() {
            print::talk(text);
            return Ok(());
        }
        print::text(text)
    }

    /// The ends of both sides' logs, for whoever looks for what went wrong.
    fn logs(&self) -> String {
        let mut text = String::new();
        for side in [&self.alice, &self.bob] {
            for path in [side.home().log_file(), side.agent_log()] {
                let log = std::fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<_> = log.lines().map(escape::line).collect();
                let last = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
                text.extend([
                    path.display().to_string(),
                    "\n".into(),
                    last.join("\n"),
                    "\n".into(),
                ]);
            }
        }
        text
    }
}

/// Tells the story, and cleans up whatever comes of it.
pub(super) async fn demo(out: Printer) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let folder = tempfile::Builder::new().prefix("cs-").tempdir().context("no temporary folder")?;
    let mut stage = Stage::new(folder.path(), out)?;
    let told = tokio::select! {
        told = story::tell(&mut stage) => told,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    if told.as_ref().is_err_and(anyhow::Error::is::<print::Closed>) {
        clean_up(&mut stage, folder).await.ok(); // Nobody reads any more.
        return Ok(Exit::Done);
    }
    let told = told.map_err(|error| (error, stage.logs()));
    let cleaned = clean_up(&mut stage, folder).await;
    let failed = match (told, cleaned) {
        (Ok(()), Ok(())) => None,
        (Ok(()), Err(error)) => Some((error, String::new())),
        (Err(failed), _) => Some(failed),
    };
    finish(&stage, started.elapsed(), failed)
}

async fn clean_up(stage: &mut Stage, folder: tempfile::TempDir) -> anyhow::Result<()> {
    stage.begin("Clean up", "Both nodes end, and the two homes are removed.")?;
    tokio::join!(stage.alice.clean_up(), stage.bob.clean_up());
    let path = folder.path().to_owned();
    // A node that is just ending may still write: removing is tried more than once.
    for _ in 0..20 {
        if std::fs::remove_dir_all(&path).is_ok() || !path.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::ensure!(!path.exists(), "{} could not be removed", path.display());
    drop(folder); // Gone already; nothing is left for it to do.
    stage.did("nothing is left behind")
}

fn finish(
    stage: &Stage,
    took: Duration,
    failed: Option<(anyhow::Error, String)>,
) -> anyhow::Result<Exit> {
    let (steps, ok) = (stage.step, failed.is_none());
    let total_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let failure = failed.map(|(error, logs)| {
        let error = escape_lines(&format!("{error:#}"));
        print::talk(&format!("\n{logs}error: the demo failed: {error}"));
        error
    });
    let told = Told { ok, steps, total_ms, failed: failure };
    stage.out.data(&told, |style| {
        let seconds = format!("{:.1} s", took.as_secs_f64());
        if ok {
            format!("\n{}", style.good(&format!("All {steps} steps done in {seconds}.")))
        } else {
            format!("\n{}", style.bad(&format!("The demo failed after {seconds}.")))
        }
    })?;
    Ok(if ok { Exit::Done } else { Exit::Failed })
}

fn escape_lines(text: &str) -> String {
    text.lines().map(escape::line).collect::<Vec<_>>().join("\n")
}
