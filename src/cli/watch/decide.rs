//! The keys that decide. Each shows or names the item, and none decides alone.

use super::{
    super::{
        approval::{Approval, PROMPT},
        approve::outcome,
        escape,
    },
    Step, Watch,
    keyboard::{Happens, Key, stop},
};
use crate::{
    base::{PendingId, Secret},
    gate::What,
    ipc::Client,
    node::api::{Decided, HumanRequest, Request},
};

const NOTHING: &str = "Nothing was decided; it waits on.";
const NONE: &str = "Nothing waits for you.";
const COMPARED: &str = "\
Did you compare these four words with the other person, and are they the same?
y yes; n no, and the peer stays marked as not verified; any other key leaves it.";

/// What came of a question.
enum Answered<T> {
    With(T),
    /// This process is to end.
    End,
}

impl Watch<'_> {
    fn id(&self) -> anyhow::Result<Option<PendingId>> {
        Ok(self.desk.selected().map(|item| item.id.parse()).transpose()?)
    }

    async fn begin(&self, id: PendingId) -> anyhow::Result<Approval> {
        Approval::begin(&self.ctx.home, &mut Client::connect(&self.ctx.home).await?, id).await
    }

    /// Shows the selected item whole.
    pub(super) async fn show(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.id()? else { return self.terminal.say(NONE) };
        let approval = self.begin(id).await?;
        self.terminal.say(&approval.text(self.terminal.style()))
    }

    /// Shows the selected item whole, and approves it when the passphrase is typed.
    pub(super) async fn approve(&mut self) -> anyhow::Result<Step> {
        let Some(id) = self.id()? else { return self.terminal.say(NONE).map(|()| Step::On) };
        let approval = self.begin(id).await?;
        self.terminal.say(&approval.text(self.terminal.style()))?;
        let mut verified = false;
        if approval.is_peer() {
            verified = match self.question(COMPARED).await? {
                Answered::With(Key::One('y')) => true,
                Answered::With(Key::One('n')) => false,
                Answered::With(_) => return self.terminal.say(NOTHING).map(|()| Step::On),
                Answered::End => return Ok(Step::End),
            };
        }
        let passphrase = match self.passphrase().await? {
            Answered::With(passphrase) => passphrase,
            Answered::End => return Ok(Step::End),
        };
        if passphrase.expose_secret().is_empty() {
            return self.terminal.say(NOTHING).map(|()| Step::On);
        }
        let request = approval.sign(&self.ctx.home, &passphrase, verified)?;
        drop(passphrase);
        self.decide(request, Some(approval.what())).await
    }

    /// Asks once more, and denies the selected item.
    pub(super) async fn deny(&mut self, block: bool) -> anyhow::Result<Step> {
        let Some(item) = self.desk.selected() else {
            return self.terminal.say(NONE).map(|()| Step::On);
        };
        let (id, name) = (item.id.clone(), escape::line(&item.peer.name));
        let what = match item.what {
            What::PeerOut | What::PeerIn => format!("the connection with {name}"),
            What::MessageOut => format!("the message to {name}"),
            What::MessageIn => format!("the message from {name}"),
        };
        let and = if block { format!(" and hear nothing of {name} again") } else { String::new() };
        let question =
            format!("Deny {what} ({}){and}? y yes, any other key no.", escape::line(&id));
        match self.question(&question).await? {
            Answered::With(Key::One('y')) => {
                self.decide(HumanRequest::Deny { id, block }, None).await
            }
            Answered::With(_) => self.terminal.say(NOTHING).map(|()| Step::On),
            Answered::End => Ok(Step::End),
        }
    }

    async fn decide(
        &mut self,
        request: HumanRequest,
        approved: Option<What>,
    ) -> anyhow::Result<Step> {
        let decided: Decided = self.ask(Request::Human(request)).await?;
        self.desk.decided(&decided.id);
        let (decision, id) = (escape::line(&decided.decision), escape::line(&decided.id));
        self.terminal.say(&format!("{decision} {id}. {}", outcome(approved)))?;
        let place = self.desk.place_text(self.terminal.style());
        self.terminal.say(&place).map(|()| Step::On)
    }

    /// One key for a question. What was typed before it does not count.
    async fn question(&mut self, text: &str) -> anyhow::Result<Answered<Key>> {
        self.keyboard.forget()?;
        self.terminal.say(text)?;
        loop {
            tokio::select! {
                happens = self.signals.next() => match happens {
                    Happens::End => return Ok(Answered::End),
                    Happens::Stop => stop(&self.keyboard)?,
                    Happens::Continue => {
                        self.keyboard.take()?;
                        self.terminal.say(text)?;
                    }
                },
                key = self.keyboard.key() => {
                    return Ok(key.map_or(Answered::End, Answered::With));
                }
            }
        }
    }

    async fn passphrase(&mut self) -> anyhow::Result<Answered<Secret<String>>> {
        self.keyboard.forget()?;
        let typing = self.keyboard.passphrase(PROMPT);
        tokio::pin!(typing);
        loop {
            tokio::select! {
                // A stop cannot be typed here, and from elsewhere it waits until the end.
                happens = self.signals.next() => if happens == Happens::End {
                    return Ok(Answered::End);
                },
                typed = &mut typing => return match typed {
                    Some(typed) => typed.map(Answered::With),
                    None => Ok(Answered::End),
                },
            }
        }
    }
}
