//! The terminal device itself. What is approved is shown here and the passphrase is typed here,
//! whatever stdin and stdout are; never stdin, an argument or the environment.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use tokio::signal::unix::{SignalKind, signal};

use super::print::{Style, folded};
use crate::{
    base::Secret,
    node::api::{ApiError, ErrorKind},
};

const DEVICE: &str = "/dev/tty";

/// The terminal that this process was started from.
pub(super) struct Terminal {
    device: File,
    style: Style,
}

impl Terminal {
    /// Opens it.
    ///
    /// # Errors
    /// When this process has none.
    pub(super) fn open() -> anyhow::Result<Self> {
        Self::open_for("approvals need")
    }

    /// Opens it, and says who needs it where there is none.
    ///
    /// # Errors
    /// When this process has none.
    pub(super) fn open_for(who_needs: &str) -> anyhow::Result<Self> {
        let device = OpenOptions::new().read(true).write(true).open(DEVICE).map_err(|_| {
            let message = format!("{who_needs} a terminal, and this process has none");
            let next = "run the same command yourself in a terminal window";
            ApiError::new(ErrorKind::Failed, message, next)
        })?;
        Ok(Self { device, style: Style::new(true) })
    }

    /// How it is coloured, and how wide it is now.
    pub(super) fn style(&self) -> Style {
        // A device that does not know its width wraps by itself.
        let columns = termios::tcgetwinsize(&self.device).map_or(0, |size| size.ws_col);
        self.style.for_width(columns)
    }

    /// The device itself.
    pub(super) const fn device(&self) -> &File {
        &self.device
    }

    /// Shows a text.
    pub(super) fn say(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.device, "{}", folded(text, self.style()))?;
        Ok(self.device.flush()?)
    }

    /// Reads a line, with echo.
    pub(super) fn line(&mut self, prompt: &str) -> anyhow::Result<String> {
        write!(self.device, "{prompt}")?;
        self.device.flush()?;
        let mut line = String::new();
        BufReader::new(&self.device).read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Reads a passphrase, without echo.
    pub(super) fn passphrase(&self, prompt: &str) -> anyhow::Result<Secret<String>> {
        // While this handler is there, Ctrl-C ends the reading and the echo comes back; without,
        // the process would be gone before that.
        let _interrupt = signal(SignalKind::interrupt())?;
        // Before the prompt: whoever types at once is not shown either.
        let silent = Silent::new(&self.device)?;
        let typed = rpassword::prompt_password(prompt);
        drop(silent);
        let left = [io::ErrorKind::Interrupted, io::ErrorKind::UnexpectedEof];
        typed.map(Secret::new).map_err(|error| {
            if left.contains(&error.kind()) {
                let next = "run the command again when you are ready";
                return ApiError::new(ErrorKind::Refused, "no passphrase was given", next).into();
            }
            anyhow::Error::from(error).context("the terminal cannot be read")
        })
    }
}

/// A terminal without echo, until it is dropped.
struct Silent<'t> {
    device: &'t File,
    before: Termios,
}

impl<'t> Silent<'t> {
    fn new(device: &'t File) -> io::Result<Self> {
        let before = termios::tcgetattr(device)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(device, OptionalActions::Now, &silent)?;
        Ok(Self { device, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing.
        termios::tcsetattr(self.device, OptionalActions::Now, &self.before).ok();
    }
}
