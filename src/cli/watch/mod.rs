//! `watch`: what happens, a line each, and decisions by a key and the passphrase.
//!
//! Lines are only ever added, so that a screen reader, a log of the terminal and a slow connection
//! all have the same as a wide screen. Nothing is told by colour alone. What is not here: a key that
//! decides by itself. A yes takes the passphrase, a no takes a second key.

mod decide;
mod desk;
mod feed;
mod keyboard;

use serde::de::DeserializeOwned;

use super::{Ctx, Exit, terminal::Terminal, told_once};
use crate::{
    ipc::{Client, Hint},
    node::{
        api::{
            AgentRequest, ApiError, ErrorKind, HumanRequest, Inbox, InboxRequest, MessageLife,
            MessagePart, Outstanding, Peers, PendingList, Request, Whoami,
        },
        clock, guard,
    },
};
use desk::{Desk, Lines};
use feed::{Feed, News};
use keyboard::{Happens, Key, Keyboard, Signals};

const KEYS: &str = "\
Keys: n next, p previous, s show the selected item,
a approve it, d deny it, b deny it and block the peer,
i inbox, r list what waits, ? these keys, q quit.
An approval takes your passphrase, a denial a second key.";

/// Messages that `i` shows.
const INBOX: u32 = 10;

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    On,
    End,
}

struct Watch<'c> {
    ctx: &'c Ctx,
    quiet: bool,
    terminal: Terminal,
    keyboard: Keyboard,
    signals: Signals,
    feed: Feed,
    desk: Desk,
    /// The node answered once.
    was_up: bool,
    /// The bell is to ring with what is told next, for so many items.
    alert: Option<u64>,
}

/// Runs until a key or a signal ends it.
pub(super) async fn watch(ctx: &Ctx, quiet: bool) -> anyhow::Result<Exit> {
    if ctx.out.is_json() {
        let message = "watch is for a person at a terminal and has no --json";
        let next = "use `countersign pending --json`";
        return Err(ApiError::new(ErrorKind::Usage, message, next).into());
    }
    let terminal = Terminal::open_for("watch needs")?;
    drop(ctx.client().await?); // Starts the node where none runs.
    guard::close_memory()?;
    let signals = Signals::hear()?;
    let keyboard = Keyboard::open(&terminal)?;
    let feed = Feed::new(ctx.home.clone());
    let desk = Desk::default();
    let mut watch =
        Watch { ctx, quiet, terminal, keyboard, signals, feed, desk, was_up: false, alert: None };
    watch.run().await?;
    Ok(Exit::Done)
}

impl Watch<'_> {
    async fn run(&mut self) -> anyhow::Result<()> {
        loop {
            let step = tokio::select! {
                happens = self.signals.next() => self.on_signal(happens)?,
                key = self.keyboard.key() => match key {
                    Some(key) => self.on_key(key).await?,
                    None => Step::End,
                },
                news = self.feed.next() => {
                    if let Err(error) = self.on_news(news).await {
                        self.trouble(&error)?;
                    }
                    Step::On
                }
            };
            if step == Step::End {
                return Ok(());
            }
        }
    }

    fn on_signal(&mut self, happens: Happens) -> anyhow::Result<Step> {
        match happens {
            Happens::End => return Ok(Step::End),
            Happens::Stop => keyboard::stop(&self.keyboard)?,
            Happens::Continue => {
                // Whoever had the terminal in between may have changed it.
                self.keyboard.take()?;
                self.list()?;
            }
        }
        Ok(Step::On)
    }

    async fn on_key(&mut self, key: Key) -> anyhow::Result<Step> {
        let done = match key {
            Key::One('q') => return Ok(Step::End),
            Key::One('n') => self.step(true).map(|()| Step::On),
            Key::One('p') => self.step(false).map(|()| Step::On),
            Key::One('r') => self.list().map(|()| Step::On),
            Key::One('?') => self.terminal.say(KEYS).map(|()| Step::On),
            Key::One('i') => self.inbox().await.map(|()| Step::On),
            Key::One('s') => self.show().await.map(|()| Step::On),
            Key::One('a') => self.approve().await,
            Key::One('d') => self.deny(false).await,
            Key::One('b') => self.deny(true).await,
            Key::One(_) => self.terminal.say("No such key; ? lists them.").map(|()| Step::On),
            Key::Other => {
                let text = "Nothing was done: press one key at a time; ? lists them.";
                self.terminal.say(text).map(|()| Step::On)
            }
        };
        match done {
            Ok(step) => Ok(step),
            Err(error) => self.trouble(&error).map(|()| Step::On),
        }
    }

    /// Says what went wrong. It is no end, as long as the terminal is there.
    fn trouble(&mut self, error: &anyhow::Error) -> anyhow::Result<()> {
        let text = super::escape::line(&told_once(error));
        self.terminal.say(&format!("error: {text}"))
    }

    fn step(&mut self, forward: bool) -> anyhow::Result<()> {
        self.desk.step(forward);
        let text = self.desk.place_text(self.terminal.style());
        self.terminal.say(&text)
    }

    fn list(&mut self) -> anyhow::Result<()> {
        let text = self.desk.list(self.terminal.style());
        self.terminal.say(&text)
    }

    /// Asks a node that runs, and starts none.
    async fn ask<T: DeserializeOwned>(&self, request: Request) -> anyhow::Result<T> {
        Ok(Client::connect(&self.ctx.home).await?.ask(request).await?)
    }

    async fn inbox(&mut self) -> anyhow::Result<()> {
        let request = InboxRequest { unread: true, limit: Some(INBOX), ..InboxRequest::default() };
        let inbox: Inbox = self.ask(Request::Agent(AgentRequest::Inbox(request))).await?;
        let mut lines = vec![format!("{} not seen by your agent yet", inbox.unread)];
        lines.extend(inbox.messages.iter().map(desk::inbox_line));
        if inbox.next_cursor.is_some() {
            lines.push("There are more: countersign inbox --unread".to_owned());
        }
        self.terminal.say(&lines.join("\n"))
    }

    async fn on_news(&mut self, news: News) -> anyhow::Result<()> {
        match news {
            News::Down => self.tell(&Lines {
                lines: vec!["the node has ended; waiting until one runs again".to_owned()],
                bell: false,
            }),
            News::Up if self.was_up => {
                let lines = vec!["the node runs again".to_owned()];
                self.tell(&Lines { lines, bell: false })?;
                self.everything().await
            }
            News::Up => {
                self.was_up = true;
                self.first().await
            }
            News::Hints(hints) => {
                for hint in hints {
                    self.on_hint(hint).await?;
                }
                Ok(())
            }
        }
    }

    /// How things are when the watch begins.
    async fn first(&mut self) -> anyhow::Result<()> {
        let me: Whoami = self.ask(Request::Agent(AgentRequest::Whoami)).await?;
        let peers = self.ask(Request::Agent(AgentRequest::Peers { state: None })).await?;
        self.desk.take_peers(peers, true);
        let out: Outstanding = self.ask(Request::Agent(AgentRequest::Outstanding)).await?;
        self.desk.follow(out);
        let list = self.ask(Request::Human(HumanRequest::Pending)).await?;
        let style = self.terminal.style();
        self.desk.take_pending(list, None, style);
        let name = super::escape::line(&me.name);
        let mut text = format!("Watching as \"{name}\". Unread by your agent: {}.\n", me.unread);
        if !me.approver.set {
            text.push_str("Approvals are not set up: countersign init, or countersign page.\n");
        }
        self.terminal.say(&format!("{text}{}\n? lists the keys, q quits.", self.desk.list(style)))
    }

    /// Whatever may have changed unheard.
    async fn everything(&mut self) -> anyhow::Result<()> {
        self.on_hint(Hint::PendingChanged).await?;
        self.on_hint(Hint::PeersChanged).await?;
        for message in self.desk.followed() {
            self.on_hint(Hint::MessageChanged { message }).await?;
        }
        Ok(())
    }

    async fn on_hint(&mut self, hint: Hint) -> anyhow::Result<()> {
        match hint {
            Hint::PendingChanged => {
                let list: PendingList = self.ask(Request::Human(HumanRequest::Pending)).await?;
                let alert = self.alert.take();
                let lines = self.desk.take_pending(list, alert, self.terminal.style());
                self.tell(&lines)
            }
            Hint::Alert { items } => {
                self.alert = Some(items);
                Ok(())
            }
            Hint::PeersChanged => {
                let request = AgentRequest::Peers { state: None };
                let peers: Peers = self.ask(Request::Agent(request)).await?;
                let lines = self.desk.take_peers(peers, false);
                self.tell(&lines)
            }
            Hint::SessionsChanged => Ok(()),
            Hint::MessageChanged { message } => {
                let request = AgentRequest::Message { id: message };
                let life: MessageLife = self.ask(Request::Agent(request)).await?;
                let lines = self.desk.take_life(&life).into_iter().collect();
                self.tell(&Lines { lines, bell: false })
            }
            Hint::Arrived { message } => {
                let request = AgentRequest::Read { id: message, offset: None, mark_read: false };
                let part: MessagePart = self.ask(Request::Agent(request)).await?;
                self.tell(&Lines { lines: vec![desk::arrived(&part.message)], bell: false })
            }
            Hint::Missed => Box::pin(self.everything()).await,
            Hint::PageOpened => {
                let lines = vec!["a link to the page was used".to_owned()];
                self.tell(&Lines { lines, bell: false })
            }
        }
    }

    /// Lines with their time, and the bell once.
    fn tell(&mut self, lines: &Lines) -> anyhow::Result<()> {
        if lines.lines.is_empty() {
            return Ok(());
        }
        let now = clock::now().rfc3339();
        let time = print_time(&now);
        let lines_with_time: Vec<_> =
            lines.lines.iter().map(|line| format!("{time} {line}")).collect();
        let bell = if lines.bell && !self.quiet { "\u{7}" } else { "" };
        self.terminal.say(&format!("{}{bell}", lines_with_time.join("\n")))
    }
}

/// Hours, minutes and seconds in UTC.
fn print_time(rfc3339: &str) -> String {
    format!("{}Z", rfc3339.get(11..19).unwrap_or_default())
}
