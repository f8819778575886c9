//! What a watch knows, and the lines that tell a change of it. No terminal and no node in here.

use std::collections::{BTreeMap, VecDeque};

use super::super::{approve::like_it, escape, item, print::Style};
use crate::{
    gate::What,
    node::api::{Message, MessageLife, Outstanding, Peer, Peers, PendingItem, PendingList},
    trust::PeerState,
};

/// Messages of ours that are followed; of more, the newest.
const FOLLOWED_MAX: usize = 200;
/// Characters of a text that a line shows.
const SHOWN_CHARS: usize = 60;

/// All that the lines so far said.
#[derive(Default)]
pub(super) struct Desk {
    items: Vec<PendingItem>,
    selected: Option<String>,
    peers: BTreeMap<String, Peer>,
    followed: VecDeque<(String, String)>,
}

/// Lines about a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) lines: Vec<String>,
    /// The human may be interrupted for it.
    pub(super) bell: bool,
}

impl Desk {
    /// The item that a key is about.
    pub(super) fn selected(&self) -> Option<&PendingItem> {
        let id = self.selected.as_ref()?;
        self.items.iter().find(|item| item.id == *id)
    }

    fn place(&self) -> Option<usize> {
        let id = self.selected.as_ref()?;
        self.items.iter().position(|item| item.id == *id)
    }

    /// The item after the selected one, or before it; the list has no ends.
    pub(super) fn step(&mut self, forward: bool) -> Option<&PendingItem> {
        let count = self.items.len();
        let place = self.place()?;
        let next = if forward { place + 1 } else { place + count - 1 };
        self.selected = self.items.get(next.checked_rem(count)?).map(|item| item.id.clone());
        self.selected()
    }

    /// An item was decided here: it is not told of once more.
    pub(super) fn decided(&mut self, id: &str) {
        self.items.retain(|item| item.id != id);
        self.select();
    }

    fn select(&mut self) {
        if self.selected().is_none() {
            self.selected = self.items.first().map(|item| item.id.clone());
        }
    }

    /// What waits now, in short, and which of it is selected.
    pub(super) fn list(&self, style: Style) -> String {
        if self.items.is_empty() {
            return "Nothing waits for you.".to_owned();
        }
        let count = self.items.len();
        let mut lines = vec![style.bold(&format!("{} for you:", waits(count)))];
        lines.extend((1..).zip(&self.items).map(|(number, item)| {
            let mark = if self.selected.as_ref() == Some(&item.id) { " (selected)" } else { "" };
            format!("{number} of {count}{mark}: {}", summary(item, style))
        }));
        lines.join("\n")
    }

    /// The selected item in a line, with its place.
    pub(super) fn place_text(&self, style: Style) -> String {
        match (self.place(), self.selected()) {
            (Some(place), Some(item)) => {
                let (number, count) = (place + 1, self.items.len());
                format!("{number} of {count} (selected): {}", summary(item, style))
            }
            _ => "Nothing waits for you.".to_owned(),
        }
    }

    /// What waits, as the node says now. `alert` is for how many items the bell rings, which the
    /// node says: it counts how often it rang.
    pub(super) fn take_pending(
        &mut self,
        list: PendingList,
        alert: Option<u64>,
        style: Style,
    ) -> Lines {
        let known = |items: &[PendingItem], id: &str| items.iter().any(|item| item.id == id);
        let (mut lines, mut told) = (Lines::default(), 0);
        for gone in self.items.iter().filter(|item| !known(&list.items, &item.id)) {
            let id = escape::line(&gone.id);
            lines.lines.push(format!("{id} does not wait any longer: decided, or expired"));
        }
        for item in &list.items {
            let before = self.items.iter().find(|before| before.id == item.id);
            let ready = before.is_some_and(|b| b.not_ready.is_some() && item.not_ready.is_none());
            if before.is_none() || ready {
                let what = if ready { "can be decided now" } else { "waits for you" };
                let what = style.warn(what);
                lines.lines.push(format!("{what}: {}", summary(item, style)));
                told += 1;
            }
        }
        lines.bell = alert.is_some();
        // What was told of before without the bell.
        if let Some(items) = alert.filter(|items| *items > told) {
            let wait = if items == 1 { "item waits" } else { "items wait" };
            let digest = format!("{items} {wait} for you that did not ring before; r lists them");
            lines.lines.push(style.warn(&digest));
        }
        self.items = list.items;
        self.select();
        lines
    }

    /// Peers, as the node says now. The first time tells nothing.
    pub(super) fn take_peers(&mut self, peers: Peers, first: bool) -> Lines {
        let mut lines = Vec::new();
        for peer in &peers.peers {
            let name = escape::line(&peer.name);
            match self.peers.get(&peer.id) {
                None => lines.push(format!("{name} is new here: {}", peer.state.as_str())),
                Some(before) => {
                    if before.state != peer.state {
                        lines.push(format!("{name} is {} now", peer.state.as_str()));
                    }
                    if before.path != peer.path && peer.state == PeerState::Trusted {
                        lines.push(reachable(&name, &peer.path));
                    }
                    if peer.warning.is_some() && before.warning != peer.warning {
                        let warning = peer.warning.as_deref().unwrap_or_default();
                        lines.push(format!("{name}: {}", escape::line(warning)));
                    }
                }
            }
        }
        self.peers = peers.peers.into_iter().map(|peer| (peer.id.clone(), peer)).collect();
        Lines { lines: if first { Vec::new() } else { lines }, bell: false }
    }

    /// Messages of ours whose end is not known yet.
    pub(super) fn follow(&mut self, outstanding: Outstanding) {
        for life in outstanding.messages {
            self.note(life.id, life.state);
        }
    }

    /// The messages that are followed.
    pub(super) fn followed(&self) -> Vec<String> {
        self.followed.iter().map(|(id, _)| id.clone()).collect()
    }

    /// A message of ours, as the node says now. Others' are told of when they arrive.
    pub(super) fn take_life(&mut self, life: &MessageLife) -> Option<String> {
        let to = life.to.as_ref()?;
        if !self.note(life.id.clone(), life.state.clone()) {
            return None;
        }
        let (to, id) = (escape::line(to), short(&life.id));
        let state = escape::line(&life.state).replace('_', " ");
        Some(format!("your message {id} to {to}: {state}"))
    }

    /// Whether the state is news.
    fn note(&mut self, id: String, state: String) -> bool {
        let before = self.followed.iter().position(|(known, _)| *known == id);
        let before = before.and_then(|place| self.followed.remove(place));
        if before.as_ref().is_some_and(|(_, before)| *before == state) {
            self.followed.extend(before);
            return false;
        }
        let ends = ["replied", "denied", "refused", "expired"];
        if !ends.contains(&state.as_str()) {
            if self.followed.len() >= FOLLOWED_MAX {
                self.followed.pop_front();
            }
            self.followed.push_back((id, state));
        }
        true
    }
}

fn waits(count: usize) -> String {
    if count == 1 { "1 item waits".to_owned() } else { format!("{count} items wait") }
}

fn reachable(name: &str, path: &str) -> String {
    match path {
        "offline" => format!("{name} went offline"),
        path => format!("{name} can be reached: {}", escape::line(path)),
    }
}

/// An item in one line.
fn summary(item: &PendingItem, style: Style) -> String {
    let name = escape::line(&item.peer.name);
    let what = match item.what {
        What::PeerOut => format!("your agent asks to be connected with {name}"),
        What::PeerIn => format!("{name} asks to be connected with your agent"),
        What::MessageOut => format!("a message to {name}"),
        What::MessageIn => format!("a message from {name}"),
    };
    let id = style.bold(&escape::line(&item.id));
    let worst = item.reasons.iter().max_by_key(|reason| reason.severity);
    let reason = worst.map(|reason| {
        let text = escape::line(&reason.text);
        format!("; {}: {text}", item::severity(reason.severity, style))
    });
    let like = (item.repeats > 0).then(|| format!("; {}", like_it(item)));
    let not_yet = item.not_ready.as_ref().map(|why| format!("; not yet: {}", escape::line(why)));
    let parts = [reason, not_yet, like].map(Option::unwrap_or_default);
    format!("{id}, {what}{}", parts.concat())
}

/// A message that arrived, in one line.
pub(super) fn arrived(message: &Message) -> String {
    let (from, id) = (escape::line(&message.from), short(&message.id));
    format!("message {id} from {from}: \"{}\"", beginning(&message.text))
}

/// A message of the inbox, in one line.
pub(super) fn inbox_line(message: &Message) -> String {
    let state = escape::line(&message.state).replace('_', " ");
    let (from, to) = (escape::line(&message.from), escape::line(&message.to));
    format!("{from} to {to}, {state}: \"{}\"", beginning(&message.text))
}

/// The beginning of a text. Cut before it is escaped, so that no escape is cut.
fn beginning(text: &str) -> String {
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{}{more}", escape::line(&shown))
}

fn short(id: &str) -> String {
    escape::line(&id.chars().take(8).collect::<String>())
}

#[cfg(test)]
mod tests;
