//! The timeline: what was decided, and what became of trust.

use maud::{Markup, html};
use serde_json::Value;

use super::{Frame, frame, search, text, time, words};
use crate::node::api::{AuditRecord, Peer, PeerRef, Timeline};

/// Some of the timeline.
#[derive(Clone, Copy, Debug)]
pub struct EvidenceView<'a> {
    /// The records.
    pub timeline: &'a Timeline,
    /// Only this event, where one was chosen.
    pub event: Option<&'a str>,
    /// Only about this peer, where one was chosen: its id.
    pub peer: Option<&'a str>,
    /// The peers to choose from.
    pub peers: &'a [Peer],
}

/// The events that can be chosen, by their names in the records.
const EVENTS: [(&str, &str); 27] = [
    ("decided", "decisions"),
    ("granted", "grants"),
    ("grant_ended", "ends of grants"),
    ("policy_set", "policies"),
    ("policy_reset", "returns to the standard policy"),
    ("taint_cleared", "new beginnings of the agent"),
    ("known_added", "values to watch for"),
    ("known_forgotten", "values no longer watched for"),
    ("passed", "messages that passed by a grant"),
    ("trust_moved", "moves of trust"),
    ("peer_asked", "requests to connect"),
    ("invited", "invites"),
    ("code_tried", "uses of codes"),
    ("sent", "messages out"),
    ("arrived", "messages in"),
    ("moved", "states of messages"),
    ("refused", "refusals"),
    ("approver_set", "set-ups of the approver"),
    ("home_exported", "moves to another host"),
    ("home_imported", "moves to this host"),
    ("move_undone", "moves that were undone"),
    ("home_backed_up", "backups"),
    ("home_restored", "homes put back from a backup"),
    ("retention_set", "changes of how long messages are kept"),
    ("deleted", "deletions"),
    ("peer_forgotten", "peers that were forgotten"),
    ("started", "starts"),
];

/// `/evidence`.
#[must_use]
pub fn evidence(frame: &Frame<'_>, view: &EvidenceView<'_>) -> Markup {
    let content = html! {
        h1 { "Evidence" }
        p .lead {
            "Each record holds the hash of the one before it, and the node signs the head every \
             so often. "
            "Texts and secrets are not in it."
        }
        (filter(view))
        @if view.timeline.records.is_empty() {
            div .empty {
                p .big { "No such records." }
                p { "Every decision, every move of trust and every message leaves one here." }
            }
        } @else {
            ol #timeline .timeline data-live="items" {
                @for record in &view.timeline.records {
                    li #(format!("record-{}", record.seq)) { (entry(record, &view.timeline.peers)) }
                }
            }
            @if let Some(older) = view.timeline.older {
                p { a .button href=(older_link(view, older)) { "Older" } }
            }
        }
        p .hint {
            "To check the whole chain, run " code { "countersign audit verify" } " in a terminal."
        }
    };
    frame::page(frame, &content)
}

fn filter(view: &EvidenceView<'_>) -> Markup {
    html! {
        form .filter method="get" action="/evidence" {
            label .sr for="event" { "What" }
            select #event name="event" {
                option value="" { "everything" }
                @for (name, words) in EVENTS {
                    option value=(name) selected[view.event == Some(name)] { (words) }
                }
            }
            label .sr for="evidence-peer" { "With" }
            select #evidence-peer name="peer" {
                (search::choices(view.peers, view.peer, "every peer"))
            }
            button type="submit" { "Show" }
            a .button href="/evidence/export" { "Export everything" }
        }
    }
}

fn older_link(view: &EvidenceView<'_>, older: u64) -> String {
    let (event, peer) = (view.event.unwrap_or_default(), view.peer.unwrap_or_default());
    search::query(&[("event", event), ("peer", peer), ("before", &older.to_string())], "/evidence")
}

fn entry(record: &AuditRecord, peers: &[PeerRef]) -> Markup {
    let json = serde_json::to_string_pretty(&record.event).unwrap_or_default();
    html! {
        (time::exact(&record.at))
        div {
            p { (sentence(&record.event, peers)) }
            details .more {
                summary { "Record " (record.seq) }
                pre .payload tabindex="0" role="group" aria-label=(format!("Record {}", record.seq)) {
                    (text::block(&json))
                }
                p .hint { "hash " code { (text::line(&record.hash)) } }
            }
        }
    }
}

fn field<'v>(event: &'v Value, name: &str) -> &'v str {
    event.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What happened, in words. An event of a later version shows its name.
fn sentence(event: &Value, peers: &[PeerRef]) -> Markup {
    let of = |name| text::line(field(event, name));
    html! {
        @match field(event, "event") {
            "started" => { "The node started, version " (of("version")) "." },
            "invited" => "An invite was made.",
            "code_tried" if field(event, "by") == "agent" => "Your agent began to use a code.",
            "code_tried" => "You began to use a code.",
            "peer_asked" => {
                @if field(event, "direction") == "out" {
                    "You asked to be connected with " (whom(event, peers)) "."
                } @else { (whom(event, peers)) " asked to be connected with you." }
            },
            "decided" if field(event, "method") == "timeout" => {
                "Nobody decided about item " code { (of("item")) } " in time: "
                strong { (of("decision")) } "."
            },
            "decided" => {
                "You " strong { (of("decision")) } " item " code { (of("item")) } ": "
                (words::method(field(event, "method"))) "."
            },
            "approver_set" => { "The human’s approver was set up: " code { (of("approver")) } "." },
            "granted" => {
                "You signed the grant " code { (of("grant")) }
                @if !field(event, "peer").is_empty() { " for " (whom(event, peers)) }
                ", until " (time::exact(field(event, "until"))) "."
            },
            "grant_ended" => { "The grant " code { (of("grant")) } " ended before its time." },
            "policy_set" if event.get("tightened").is_some_and(|is| is == true) => {
                "A policy was set that only asks more: " code { (of("digest")) } "."
            },
            "policy_set" => {
                "You signed a policy: number " (number(event, "serial")) ", " code { (of("digest")) } "."
            },
            "policy_reset" => {
                "You signed that the standard policy counts: number " (number(event, "serial")) "."
            },
            "taint_cleared" => {
                "You signed that what your agent had read of "
                (words::count(number(event, "peers"), "peer")) " counts no more."
            },
            "known_added" => {
                (words::count(number(event, "values"), "value")) " to watch for came to the list."
            },
            "known_forgotten" => {
                "You signed that the value " code { (of("known")) } " is not watched for any more."
            },
            "passed" => {
                "A message passed by the grant " code { (of("grant")) } ", without asking you. "
                (link(event))
            },
            "trust_moved" => {
                (whom(event, peers)) " went from " (of("from")) " to " strong { (of("to")) } "."
            },
            "sent" => {
                "A message to " (whom(event, peers)) ": " (state(event)) ". " (link(event))
            },
            "arrived" => {
                "A message from " (whom(event, peers)) ": " (state(event)) ". " (link(event))
            },
            "moved" => { "A message became " (state(event)) ". " (link(event)) },
            "home_exported" | "home_imported" | "move_undone" => (moved(event)),
            "home_backed_up" | "home_restored" | "retention_set" | "deleted" | "peer_forgotten" => {
                (kept(event, peers))
            },
            other => (of_the_log(other, event, peers)),
        }
    }
}

/// What was refused, and what concerns the log itself.
fn of_the_log(name: &str, event: &Value, peers: &[PeerRef]) -> Markup {
    html! {
        @match name {
            "refused" => {
                "Refused: " (text::line(field(event, "what")))
                @if !field(event, "peer").is_empty() { ", of " (whom(event, peers)) } "."
                @if number(event, "left_out") > 0 {
                    " Before it, " (number(event, "left_out")) " more without a record."
                }
            },
            "wrong_passphrase" => {
                (words::count(number(event, "tries"), "wrong approval passphrase")) ", typed somewhere."
            },
            "rotated" => {
                "You moved the records " (number(event, "first")) " to " (number(event, "last"))
                " into a file."
            },
            "head_disputed" if field(event, "chain") == "ours" => {
                (whom(event, peers)) " signed that it saw record " (number(event, "number"))
                " of this log, which does not contain it."
            },
            "head_disputed" => {
                "The audit log of " (whom(event, peers)) " went back or was replaced, at record "
                (number(event, "number")) "."
            },
            "dispute_accepted" => {
                "You looked at what is disputed with " (whom(event, peers)) "."
            },
            other => { (text::line(&other.replace('_', " "))) "." },
        }
    }
}

fn moved(event: &Value) -> Markup {
    let of = |name| text::line(field(event, name));
    html! {
        @match field(event, "event") {
            "home_exported" => {
                "You moved this home to another host, in the archive " code { (of("archive")) } "."
            },
            "home_imported" => {
                "You made this home from the archive " code { (of("archive")) } ", of "
                (time::exact(field(event, "made"))) "."
            },
            _ => "You let this home start again after it had moved.",
        }
    }
}

/// What became of what the home keeps.
fn kept(event: &Value, peers: &[PeerRef]) -> Markup {
    let of = |name| text::line(field(event, name));
    let one = !field(event, "peer").is_empty();
    html! {
        @match field(event, "event") {
            "home_backed_up" => { "You made a backup of this home: " code { (of("archive")) } "." },
            "home_restored" => {
                "You put this home back from the backup " code { (of("archive")) } ", of "
                (time::exact(field(event, "made"))) ". What came after that is not in it."
            },
            "retention_set" => {
                "You set that messages" @if one { " with " (whom(event, peers)) } " are kept "
                @if event.get("default").is_some_and(|is| is == true) { "as those with others." }
                @else if number(event, "days") == 0 { "for ever." }
                @else { "for " (words::count(number(event, "days"), "day")) "." }
            },
            "deleted" => {
                (words::count(number(event, "messages"), "message"))
                @if one { " with " (whom(event, peers)) }
                @if event.get("aged").is_some_and(|is| is == true) { " had been kept for long enough." }
                @else { " went because you said so." }
            },
            _ => {
                "You had " (whom(event, peers)) " forgotten."
                @if event.get("blocked").is_some_and(|is| is == true) { " It stays blocked." }
            },
        }
    }
}

fn number(event: &Value, name: &str) -> u64 {
    event.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn state(event: &Value) -> Markup {
    let outgoing = field(event, "event") != "arrived";
    html! { strong { (text::line(&words::state(field(event, "state"), outgoing).1)) } }
}

fn whom(event: &Value, peers: &[PeerRef]) -> Markup {
    let id = field(event, "peer");
    let known = peers.iter().find(|peer| peer.id == id);
    html! {
        @match known {
            Some(peer) => a href=(format!("/peers/{}", peer.id)) { (text::line(&peer.name)) },
            None if id.is_empty() => "a peer",
            None => { "a peer " code { (text::line(&id.chars().take(10).collect::<String>())) } },
        }
    }
}

fn link(event: &Value) -> Markup {
    let id = field(event, "message");
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    html! {
        @if plain {
            a href=(format!("/message/{id}")) { "Message " code { (id.get(..8).unwrap_or(id)) } }
        }
    }
}
