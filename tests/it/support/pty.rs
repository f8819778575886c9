//! A person at a terminal: a pseudo-terminal, what is on its screen, and typed lines.

use std::{
    io::{Read as _, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::Pid;

use super::{Home, Output, PROGRAM, SOON, wait};

/// `ECHO` of `termios.h`, the same number on Linux and macOS: the terminal shows what is typed.
const ECHO: u64 = 8;
/// `ICANON` of `termios.h`: what is typed is read a line at a time.
const ICANON: u64 = if cfg!(target_os = "macos") { 0x100 } else { 2 };
/// Columns of a terminal where nothing is wrapped.
const WIDE: u16 = 160;
/// How long a terminal that something else still holds is read after the end of its program.
const HELD: Duration = Duration::from_secs(5);

/// A program on a terminal of its own, which is its controlling terminal.
pub(crate) struct Terminal {
    command: String,
    folder: PathBuf,
    master: Box<dyn MasterPty + Send>,
    keyboard: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<Vec<u8>>>,
    /// Ends when nobody holds the terminal any more and all was read.
    reader: JoinHandle<()>,
    /// Bytes of the screen that were there when something was typed last.
    seen: usize,
}

impl Terminal {
    /// Runs countersign.
    pub(crate) fn open(home: &Home, arguments: &[&str]) -> Self {
        Self::open_program(home, &[&[PROGRAM], arguments].concat())
    }

    /// Runs any program in a home's environment.
    pub(crate) fn open_program(home: &Home, words: &[&str]) -> Self {
        Self::open_sized(home, words, WIDE)
    }

    /// Runs any program on a terminal of so many columns.
    pub(crate) fn open_sized(home: &Home, words: &[&str], cols: u16) -> Self {
        let size = PtySize { rows: 60, cols, ..PtySize::default() };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::from_argv(words.iter().map(Into::into).collect());
        command.env_clear();
        for (name, value) in home.environment() {
            command.env(name, value);
        }
        command.env("TERM", "dumb");
        command.cwd(home.folder.path());
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let keyboard = pair.master.take_writer().unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&screen);
        let reader = thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut part) {
                let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                shown.extend_from_slice(&part[..count]);
            }
        });
        let (command, folder) = (words[1..].join(" "), home.folder.path().to_owned());
        Self { command, folder, master: pair.master, keyboard, child, screen, reader, seen: 0 }
    }

    fn bytes(&self) -> Vec<u8> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything that was shown so far, without colours.
    pub(crate) fn screen(&self) -> String {
        plain(&self.bytes())
    }

    /// Whether a line is asked for that the terminal does not show: a question stands there since
    /// the last typed line, and the echo is off. In `watch` the echo is off before too: wait until
    /// it [`Self::shows`] the question, because what is typed earlier is thrown away.
    fn asks(&self) -> bool {
        let hidden = self
            .master
            .get_termios()
            .is_some_and(|termios| u64::from(termios.local_flags.bits()) & ECHO == 0);
        let bytes = self.bytes();
        let new = plain(bytes.get(self.seen..).unwrap_or_default());
        hidden && !new.rsplit('\n').next().unwrap_or_default().trim().is_empty()
    }

    /// Waits for the question, then types `text` and the return key.
    pub(crate) fn answer(&mut self, text: &str) {
        let asked = wait::within(SOON, || {
            (self.asks() || self.child.try_wait().unwrap().is_some()).then_some(())
        });
        assert!(asked && self.asks(), "no question: {}", self.report());
        self.seen = self.bytes().len();
        write!(self.keyboard, "{text}\r").and_then(|()| self.keyboard.flush()).unwrap();
    }

    /// Waits until the program asks, or ends. True when it asks.
    pub(crate) fn comes_to_ask(&mut self) -> bool {
        let decided = wait::within(SOON, || {
            (self.asks() || self.child.try_wait().unwrap().is_some()).then_some(())
        });
        decided && self.asks()
    }

    /// Waits until `text` is shown, of what came since the last key or line.
    pub(crate) fn shows(&mut self, text: &str) {
        let new = |terminal: &Self| {
            let bytes = terminal.bytes();
            plain(bytes.get(terminal.seen..).unwrap_or_default())
        };
        let shown = wait::within(SOON, || {
            let ended = self.child.try_wait().unwrap().is_some();
            (new(self).contains(text) || ended).then_some(())
        });
        assert!(shown && new(self).contains(text), "no {text:?}: {}", self.report());
    }

    /// Presses one key, without the return key.
    pub(crate) fn press(&mut self, key: &str) {
        self.seen = self.bytes().len();
        write!(self.keyboard, "{key}").and_then(|()| self.keyboard.flush()).unwrap();
    }

    /// Whether the terminal shows what is typed and waits for the return key, as a shell needs it.
    pub(crate) fn is_usual(&self) -> bool {
        self.master.get_termios().is_some_and(|termios| {
            let flags = u64::from(termios.local_flags.bits());
            flags & ECHO != 0 && flags & ICANON != 0
        })
    }

    /// The program's process.
    pub(crate) fn process(&self) -> Pid {
        let id = self.child.process_id().and_then(|id| Pid::from_raw(id.cast_signed()));
        id.expect("a program that runs")
    }

    /// Waits for the end and for the terminal to be as it was.
    pub(crate) fn ends_as_usual(mut self) -> Output {
        let ended = wait::within(SOON, || self.child.try_wait().unwrap());
        assert!(ended, "it goes on: {}", self.report());
        assert!(self.is_usual(), "the terminal's modes are lost: {}", self.report());
        self.finish()
    }

    /// Waits for the end; a program that does not end is ended, and its exit code is `None`.
    pub(crate) fn finish(mut self) -> Output {
        let mut status = None;
        wait::within(SOON, || {
            status = self.child.try_wait().unwrap();
            status.clone()
        });
        if status.is_none() {
            self.child.kill().ok(); // It may have ended by itself just now.
            self.child.wait().ok();
        }
        // The reader may be behind the end of the program, on a busy machine far behind.
        wait::within(HELD, || self.reader.is_finished().then_some(()));
        let code = status.map(|status| status.exit_code().cast_signed());
        let shown = self.screen();
        let Self { command, folder, .. } = self;
        Output { command, folder, stdout: shown.clone(), stderr: shown, code }
    }

    fn report(&self) -> String {
        let folder = self.folder.display();
        format!("countersign {}\nin {folder}\n--- screen\n{}", self.command, self.screen())
    }
}

/// Text without carriage returns and escape sequences (ECMA-48 section 5.4).
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let (mut plain, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        match c {
            '\r' => {}
            '\u{1b}' => {
                if chars.next() == Some('[') {
                    chars.by_ref().find(|c| ('\u{40}'..='\u{7e}').contains(c));
                }
            }
            c => plain.push(c),
        }
    }
    plain
}

/// Sets a home up: types the passphrase twice.
pub(crate) fn init(home: &Home, passphrase: &str) -> Output {
    home.keep_key_in_file();
    let mut terminal = Terminal::open(home, &["init", "--name", home.name]);
    terminal.answer(passphrase);
    terminal.answer(passphrase);
    terminal.finish()
}

/// Approves an item: types the passphrase once.
pub(crate) fn approve(home: &Home, id: &str, passphrase: &str) -> Output {
    let mut terminal = Terminal::open(home, &["approve", id]);
    terminal.answer(passphrase);
    terminal.finish()
}

/// As [`approve`], for a command that may refuse before it asks.
pub(crate) fn try_approve(home: &Home, id: &str, passphrase: &str) -> Output {
    let mut terminal = Terminal::open(home, &["approve", id]);
    if terminal.comes_to_ask() {
        terminal.answer(passphrase);
    }
    terminal.finish()
}

#[test]
fn a_line_is_typed_only_once_it_is_asked_for_unseen() {
    let home = Home::empty("nobody", "");
    let script = "sleep 0.1; printf 'Ready? '; stty -echo; read a; echo; printf 'Again: '; read b; \
                  stty echo; echo; echo \"said $a, $b\"; exit 7";
    let mut terminal = Terminal::open_program(&home, &["/bin/sh", "-c", script]);
    terminal.answer("one");
    terminal.answer("two");
    let output = terminal.finish().expect(7);
    assert_eq!(output.stdout, "Ready? \nAgain: \nsaid one, two\n");
}
