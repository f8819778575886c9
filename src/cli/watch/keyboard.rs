//! Single keys from the terminal, and the passphrase. The terminal's modes are put back whenever a
//! [`Keyboard`] goes, by its end or by a panic.

use std::{
    fs::File,
    io::Read as _,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use rustix::{
    io::retry_on_intr,
    process::{Signal as Number, getpid, kill_process},
    termios::{self, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios},
};
use tokio::{
    runtime::Handle,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use super::super::terminal::Terminal;
use crate::base::Secret;

/// One thing is asked at a time.
const QUEUE: usize = 1;
/// More than any key sends.
const KEY_BYTES: usize = 64;

/// What was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// One letter or sign, in lower case.
    One(char),
    /// A key that is none, such as an arrow, or several at once, such as a text that was pasted.
    Other,
}

enum Ask {
    Key,
    Passphrase(&'static str),
}

enum Typed {
    Key(Key),
    Passphrase(anyhow::Result<Secret<String>>),
}

/// The keyboard of a terminal that shows nothing of what is typed and waits for no Enter.
pub(super) struct Keyboard {
    device: File,
    before: Termios,
    asks: SyncSender<Ask>,
    typed: mpsc::Receiver<Typed>,
    /// A key was asked for, and has not come.
    waits: bool,
}

impl Keyboard {
    /// Takes the terminal's keyboard.
    ///
    /// # Errors
    /// When the device does not do as a terminal does.
    pub(super) fn open(terminal: &Terminal) -> anyhow::Result<Self> {
        let device = terminal.device().try_clone()?;
        let before = termios::tcgetattr(&device)?;
        let (asks, asked) = sync_channel(QUEUE);
        let (answers, typed) = mpsc::channel(QUEUE);
        let reader =
            Reader { device: device.try_clone()?, asked, answers, runtime: Handle::current() };
        // A read of a terminal cannot be called off: it ends with the process.
        std::thread::Builder::new().name("keyboard".to_owned()).spawn(move || reader.run())?;
        let keyboard = Self { device, before, asks, typed, waits: false };
        keyboard.take()?;
        Ok(keyboard)
    }

    /// Single keys, unseen, from here on. Signals are typed as ever.
    pub(super) fn take(&self) -> anyhow::Result<()> {
        let mut modes = self.before.clone();
        modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        self.set(&modes)
    }

    /// The modes that were there before.
    pub(super) fn give_back(&self) -> anyhow::Result<()> {
        self.set(&self.before)
    }

    fn set(&self, modes: &Termios) -> anyhow::Result<()> {
        Ok(retry_on_intr(|| termios::tcsetattr(&self.device, OptionalActions::Now, modes))?)
    }

    /// Forgets what was typed before the question that follows.
    pub(super) fn forget(&self) -> anyhow::Result<()> {
        Ok(termios::tcflush(&self.device, QueueSelector::IFlush)?)
    }

    /// The next key; `None` when the terminal is gone. Safe to cancel.
    pub(super) async fn key(&mut self) -> Option<Key> {
        if !self.waits {
            self.asks.try_send(Ask::Key).ok()?;
            self.waits = true;
        }
        let typed = self.typed.recv().await?;
        self.waits = false;
        match typed {
            Typed::Key(key) => Some(key),
            Typed::Passphrase(_) => Some(Key::Other), // Not asked for; it is not looked at.
        }
    }

    /// Asks for a passphrase, as `approve` does. After a call that was cancelled, only the end is
    /// left. `None` when the terminal is gone.
    pub(super) async fn passphrase(
        &mut self,
        prompt: &'static str,
    ) -> Option<anyhow::Result<Secret<String>>> {
        self.asks.try_send(Ask::Passphrase(prompt)).ok()?;
        match self.typed.recv().await? {
            Typed::Passphrase(typed) => Some(typed),
            Typed::Key(_) => None,
        }
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // A terminal that is gone has no modes.
        self.give_back().ok();
    }
}

/// Reads what is asked for and nothing else: while a passphrase is typed, no key is taken.
struct Reader {
    device: File,
    asked: Receiver<Ask>,
    answers: mpsc::Sender<Typed>,
    runtime: Handle,
}

impl Reader {
    fn run(mut self) {
        while let Ok(ask) = self.asked.recv() {
            let typed = match ask {
                Ask::Key => match self.key() {
                    Some(key) => Typed::Key(key),
                    None => return,
                },
                Ask::Passphrase(prompt) => Typed::Passphrase(self.passphrase(prompt)),
            };
            if self.answers.blocking_send(typed).is_err() {
                return;
            }
        }
    }

    fn key(&mut self) -> Option<Key> {
        let mut bytes = [0; KEY_BYTES];
        loop {
            match self.device.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => return Some(key(bytes.get(..count).unwrap_or_default())),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    fn passphrase(&self, prompt: &str) -> anyhow::Result<Secret<String>> {
        let _inside = self.runtime.enter();
        Terminal::open()?.passphrase(prompt)
    }
}

/// What a read gave. Only a byte that came alone is a key of ours: what begins with an escape, or
/// was pasted, must not be taken apart into keys that decide.
fn key(bytes: &[u8]) -> Key {
    match bytes {
        [byte] if byte.is_ascii_graphic() => Key::One(char::from(*byte).to_ascii_lowercase()),
        _ => Key::Other,
    }
}

/// What happens to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happens {
    /// It is told to end.
    End,
    /// It is told to stop for now.
    Stop,
    /// It goes on after a stop.
    Continue,
}

/// The signals that a program which changed a terminal's modes has to hear.
pub(super) struct Signals {
    end: [Signal; 4],
    stop: Signal,
    go: Signal,
}

impl Signals {
    /// Hears them from here on.
    ///
    /// # Errors
    /// When the system says no.
    pub(super) fn hear() -> anyhow::Result<Self> {
        let number = |number: Number| signal(SignalKind::from_raw(number.as_raw()));
        Ok(Self {
            end: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::quit())?,
            ],
            stop: number(Number::TSTP)?,
            go: number(Number::CONT)?,
        })
    }

    /// The next one. Safe to cancel.
    pub(super) async fn next(&mut self) -> Happens {
        let [interrupt, terminate, hangup, quit] = &mut self.end;
        tokio::select! {
            _ = interrupt.recv() => Happens::End,
            _ = terminate.recv() => Happens::End,
            _ = hangup.recv() => Happens::End,
            _ = quit.recv() => Happens::End,
            _ = self.stop.recv() => Happens::Stop,
            _ = self.go.recv() => Happens::Continue,
        }
    }
}

/// Stops this process as the terminal's stop key does, with the terminal as it was before. Comes
/// back when somebody continues it.
pub(super) fn stop(keyboard: &Keyboard) -> anyhow::Result<()> {
    keyboard.give_back()?;
    kill_process(getpid(), Number::STOP)?;
    keyboard.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_in_one_piece_with_more_is_no_key() {
        let check = |bytes: &[u8], expected| assert_eq!(key(bytes), expected);
        check(b"a", Key::One('a'));
        check(b"A", Key::One('a'));
        check(b"?", Key::One('?'));
        check(b"dy", Key::Other);
        check(b"\x1b[A", Key::Other);
        check(b"\x1b", Key::Other);
        check(b"\n", Key::Other);
        check("ä".as_bytes(), Key::Other);
    }
}
