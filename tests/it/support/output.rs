//! What a process said and how it ended, with everything a person needs when a test fails.

use std::{
    fmt,
    fs::File,
    io::{Read as _, Seek as _},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use serde_json::Value;

use super::wait::within;

/// No command takes longer; one that does hangs.
const COMMAND_TIME: Duration = Duration::from_mins(1);

/// What a command did.
pub(crate) struct Output {
    pub(crate) command: String,
    pub(crate) folder: PathBuf,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// `None` where a signal ended it, or we did because it hung.
    pub(crate) code: Option<i32>,
}

impl Output {
    /// Runs `command` to its end. What it says goes to files, because a node that it starts keeps
    /// a pipe open.
    pub(crate) fn of(mut command: Command) -> Self {
        let (mut stdout, mut stderr) =
            (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command.stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        let ended = within(COMMAND_TIME, || child.try_wait().unwrap());
        if !ended {
            child.kill().ok(); // It may have ended by itself just now.
        }
        let code = child.wait().unwrap().code().filter(|_| ended);
        let words = |part: &std::ffi::OsStr| short(&part.to_string_lossy());
        Self {
            command: command.get_args().map(words).collect::<Vec<_>>().join(" "),
            folder: command.get_current_dir().map(PathBuf::from).unwrap_or_default(),
            stdout: content(&mut stdout),
            stderr: content(&mut stderr),
            code,
        }
    }

    /// Fails unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "the exit code, of {self}");
        self
    }

    /// Fails unless what it said on stderr has each of `words`, whatever their case.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        let said = self.stderr.to_lowercase();
        for word in words {
            assert!(said.contains(&word.to_lowercase()), "no {word:?} on stderr of {self}");
        }
        self
    }

    /// Its stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON ({e}) of {self}"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, folder, stdout, stderr, code } = self;
        writeln!(f, "countersign {command}\nin {}, which ended with {code:?}", folder.display())?;
        writeln!(f, "--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

fn content(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The beginning of a long argument.
fn short(text: &str) -> String {
    if text.len() <= 200 {
        return text.to_owned();
    }
    format!("{}... ({} bytes)", text.chars().take(100).collect::<String>(), text.len())
}
