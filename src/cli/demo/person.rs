//! A person at a terminal: runs a command on a pseudo-terminal, reads the screen, and types.

use std::{
    io::{Read as _, Write as _},
    path::Path,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};

/// How long the screen may stand still before the person gives up.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often the person looks whether the command ended.
const LOOK: Duration = Duration::from_millis(20);
/// Chunks of the screen that wait to be read: more than any of our commands prints.
const CHUNKS: usize = 64;
/// Wide enough that no line is wrapped.
const SIZE: PtySize = PtySize { rows: 50, cols: 200, pixel_width: 0, pixel_height: 0 };

/// What a person is about to do.
pub(super) struct Errand<'a> {
    /// The executable.
    pub(super) program: &'a Path,
    /// Its arguments.
    pub(super) arguments: Vec<String>,
    /// Its environment, beside what is inherited.
    pub(super) environment: Vec<(&'static str, String)>,
    /// Where it runs.
    pub(super) folder: &'a Path,
    /// What is typed, each at the next prompt that asks for a passphrase.
    pub(super) typed: Vec<String>,
}

/// What came of it.
pub(super) struct Ended {
    /// Everything that stood on the screen.
    pub(super) screen: String,
    /// The command's exit code.
    pub(super) code: u32,
}

/// Runs the command, and types what the person would. Blocks.
pub(super) fn run(errand: Errand<'_>) -> anyhow::Result<Ended> {
    let pair = native_pty_system().openpty(SIZE).context("no pseudo-terminal")?;
    let mut command = CommandBuilder::new(errand.program);
    command.args(&errand.arguments);
    command.cwd(errand.folder);
    for (name, value) in errand.environment {
        command.env(name, value);
    }
    let mut child = pair.slave.spawn_command(command)?;
    drop(pair.slave); // Or the screen would never end.
    let reader = pair.master.try_clone_reader()?;
    let mut keyboard = pair.master.take_writer()?;
    let mut screen = Screen { chunks: chunks(reader), bytes: Vec::new(), seen: 0 };
    for typed in errand.typed {
        screen.prompt(child.as_mut())?;
        keyboard.write_all(typed.as_bytes())?;
        keyboard.write_all(b"\n")?;
        keyboard.flush()?;
    }
    let code = screen.end(child.as_mut())?;
    Ok(Ended { screen: screen.text(), code })
}

/// Reads the pseudo-terminal in a thread of its own: such a read cannot be given a time limit.
/// The thread ends with the terminal.
fn chunks(mut reader: Box<dyn std::io::Read + Send>) -> Receiver<Vec<u8>> {
    let (sender, chunks) = mpsc::sync_channel(CHUNKS);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            let chunk = buffer.iter().take(count).copied().collect();
            if sender.send(chunk).is_err() {
                return;
            }
        }
    });
    chunks
}

struct Screen {
    chunks: Receiver<Vec<u8>>,
    bytes: Vec<u8>,
    /// What stood there when something was typed last.
    seen: usize,
}

impl Screen {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).replace('\r', "")
    }

    /// Waits until the last line asks for a passphrase.
    fn prompt(&mut self, child: &mut (dyn Child + Send + Sync)) -> anyhow::Result<()> {
        loop {
            let fresh = self.bytes.get(self.seen..).unwrap_or_default();
            let fresh = String::from_utf8_lossy(fresh).into_owned();
            let last = fresh.rsplit('\n').next().unwrap_or_default();
            if last.contains("passphrase") && last.ends_with(": ") {
                self.seen = self.bytes.len();
                return Ok(());
            }
            let Ok(chunk) = self.chunks.recv_timeout(PATIENCE) else {
                child.kill().ok(); // It may have ended on its own.
                bail!("no prompt for a passphrase; the screen says:\n{}", self.text());
            };
            self.bytes.extend(chunk);
        }
    }

    /// Reads to the end of the command. The terminal itself may stay open longer, where the
    /// command left a node behind.
    fn end(&mut self, child: &mut (dyn Child + Send + Sync)) -> anyhow::Result<u32> {
        let looks = PATIENCE.as_millis() / LOOK.as_millis();
        for _ in 0..looks {
            match self.chunks.recv_timeout(LOOK) {
                Ok(chunk) => self.bytes.extend(chunk),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(status) = child.try_wait()? {
                        return Ok(status.exit_code());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(child.wait()?.exit_code()),
            }
        }
        child.kill().ok(); // It may have ended on its own.
        bail!("the command did not end; the screen says:\n{}", self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errand(script: &str, typed: &[&str]) -> anyhow::Result<Ended> {
        run(Errand {
            program: Path::new("/bin/sh"),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![("DEMO", "yes".into())],
            folder: Path::new("/"),
            typed: typed.iter().map(|&text| text.to_owned()).collect(),
        })
    }

    #[test]
    fn a_person_answers_each_prompt_in_turn() {
        let script = "printf 'passphrase: '; read a; printf 'passphrase again: '; read b; \
                      echo \"$a+$b+$DEMO\"; exit 3";
        let ended = errand(script, &["one two", "three"]).unwrap();
        assert!(ended.screen.contains("one two+three+yes"), "{}", ended.screen);
        assert_eq!(ended.code, 3);
    }

    #[test]
    fn a_command_that_never_asks_is_told_with_its_screen() {
        let error = errand("echo 'error: not today'", &["x"]).err().unwrap().to_string();
        assert!(error.contains("not today"), "{error}");
    }
}
