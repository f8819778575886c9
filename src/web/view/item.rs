//! One waiting item as a card: who, which way, what, why, the exact bytes.
//!
//! What is shown of a checked item is read from its bytes. The words are those of the terminal
//! (`cli/item.rs`).

use data_encoding::HEXLOWER;
use maud::{Markup, html};

use super::{Card, Frame, decide, text, time, words};
use crate::{
    base::{ApproverId, PeerId},
    gate::{Item, What},
    node::{
        api::{FindingInfo, PendingItem},
        review::Checked,
    },
    risk,
    wire::{
        Body, ConsentRecord, Envelope, Party,
        invite::{FINGERPRINT_BYTES, approver_fingerprint},
    },
};

/// A longer payload may not be seen at once on a phone.
const SEEN_AT_ONCE_BYTES: usize = 500;

/// The card.
pub(super) fn card(frame: &Frame<'_>, card: &Card<'_>) -> Markup {
    let item = card.item();
    let heading = format!("heading-{}", item.id);
    html! {
        article .card.item tabindex="-1" data-card aria-labelledby=(heading) {
            (head(item, &heading))
            @match card {
                Card::Ready(checked) => {
                    (asked(&checked.reasons(), item))
                    (read_before(item))
                    (content(checked))
                }
                Card::NotReady(item) => {
                    p .wait {
                        strong { "This cannot be approved yet. " }
                        (text::line(item.not_ready.as_deref().unwrap_or("the other side has not answered")))
                    }
                    (asked(&item.reasons, item))
                }
                Card::Long(item) => {
                    (asked(&item.reasons, item))
                    (read_before(item))
                    p .wait {
                        "It is long: "
                        a href=(format!("/waiting/{}", item.id)) { "look at it alone" }
                        ", and decide there."
                    }
                }
                Card::Broken(_, error) => {
                    div .notice.trouble {
                        p { strong { (text::line(&error.message)) } }
                        p { "Next: " (text::line(&error.next)) }
                    }
                }
            }
            (decide::actions(frame, card))
            (facts(item))
        }
    }
}

fn head(item: &PendingItem, heading: &str) -> Markup {
    let (way, sentence) = words::what(item.what);
    let outgoing = way == "Outgoing";
    html! {
        header .item-head {
            h2 #(heading) {
                span .way.outgoing[outgoing] {
                    span aria-hidden="true" { @if outgoing { "↗ " } @else { "↙ " } } (way)
                    span .sr { ": " }
                }
                span .sentence { (sentence) @if let Some(to) = toward(item.what) { " " (to) } }
                span .sr { @if toward(item.what).is_none() { ":" } " " }
                span .petname { (text::line(&item.peer.name)) }
            }
            (who(item))
            p .left { "Waits until " (time::left(&item.expires_at)) }
        }
    }
}

/// What leads from the sentence to the peer's name below it.
const fn toward(what: What) -> Option<&'static str> {
    match what {
        What::MessageOut => Some("to"),
        What::MessageIn => Some("from"),
        What::PeerOut | What::PeerIn => None,
    }
}

fn who(item: &PendingItem) -> Markup {
    let peer = &item.peer;
    html! {
        p .who {
            span { "calls itself " (text::claim(&peer.claim)) }
            (words::verified(peer.verified))
        }
    }
}

fn asked(reasons: &[FindingInfo], item: &PendingItem) -> Markup {
    let whose = match item.what {
        What::PeerOut => "A note of your agent’s, which the other side gets with your yes",
        What::PeerIn => "A note: your own, from the invite, or else theirs to claim",
        What::MessageOut | What::MessageIn => "A note, which is theirs to claim",
    };
    html! {
        @if !reasons.is_empty() {
            section .why {
                h3 { "Why you are asked" }
                ul .reasons {
                    @for reason in reasons { li { (severity(reason)) } }
                }
            }
        }
        @if let Some(note) = &item.note {
            section .note {
                h3 { (whose) }
                p .quoted { (text::line(note)) }
            }
        }
    }
}

/// Whose texts our agent had read before: a yes names them.
fn read_before(item: &PendingItem) -> Markup {
    html! {
        @if !item.after.is_empty() {
            section .wait.read-before {
                h3 { "Your agent had read texts of these peers when it wrote this" }
                ul {
                    @for peer in &item.after {
                        li {
                            strong .petname { (text::line(&peer.name)) } " "
                            code { (text::line(&peer.id)) }
                        }
                    }
                }
                p { "It may have been told there what to write. Is anything of theirs in it? Your yes names them." }
            }
        }
    }
}

fn severity(reason: &FindingInfo) -> Markup {
    let name = reason.severity.as_str();
    html! {
        span .severity.(format!("severity-{name}")) { (name) }
        span { (text::line(&reason.text)) " " code .rule { (text::line(&reason.rule)) } }
    }
}

fn content(checked: &Checked) -> Markup {
    match checked.item() {
        Item::Peer(_, record) => pairing(record, checked.me(), checked.is_by_code()),
        Item::Message(_, envelope) => message(envelope, &checked.shown().id),
    }
}

fn pairing(record: &ConsentRecord, me: &PeerId, by_code: bool) -> Markup {
    html! {
        section .pairing {
            h3 { "The four words" }
            ol .words { @for word in record.words() { li { (word) } } }
            @if by_code { p {
                "Paired by a code: if you yourself told this person the three words, or heard them \
                 from them, say so where you approve; these four words need no comparing then."
            } }
            p {
                "Do these four words stand on the other person’s screen too? Ask over a channel that \
                 you trust (a call, in person). " strong { "If they differ, somebody is in between: deny." }
            }
            details {
                summary { "Both sides, in full" }
                (side(&record.inviter, "made the invite", me))
                (side(&record.joiner, "used the invite", me))
                p .hint { "Knocked " (time::exact(&record.created.rfc3339())) }
            }
        }
    }
}

fn side(party: &Party, role: &str, me: &PeerId) -> Markup {
    let whose = if party.identity == *me { "You" } else { "Them" };
    html! {
        h4 { (whose) " (" (role) ")" }
        dl .facts {
            div { dt { "calls itself" } dd { (text::claim(party.name.as_str())) } }
            div { dt { "node" } dd { code { (party.identity) } } }
            div { dt { "approver" } dd { code { (fingerprint(&party.approver)) } } }
        }
    }
}

fn fingerprint(approver: &ApproverId) -> String {
    let bytes: [u8; FINGERPRINT_BYTES] = approver_fingerprint(approver);
    let groups: Vec<_> = bytes.chunks(4).map(|group| HEXLOWER.encode(group)).collect();
    groups.join(" ")
}

fn message(envelope: &Envelope, id: &str) -> Markup {
    let header = envelope.header();
    html! {
        @if let Some(session) = &header.session {
            p { "For the session " code .session { (text::line(session.as_str())) } " of theirs." }
        }
        (payload(envelope.body(), id))
        details .more {
            summary { "What else is in its bytes" }
            dl .facts {
                div { dt { "kind" } dd { (text::line(header.kind.as_str())) } }
                div {
                    dt { "written by" } dd { @if header.human { "a human" } @else { "an agent" } }
                }
                div { dt { "message" } dd { code { (header.id) } } }
                div { dt { "written" } dd { (time::exact(&header.created.rfc3339())) } }
                div { dt { "worthless after" } dd { (time::exact(&header.expires.rfc3339())) } }
                @if let Some(thread) = header.thread {
                    div { dt { "thread" } dd { code { (thread) } } }
                }
                @if let Some(answered) = header.reply_to {
                    div { dt { "answers" } dd { code { (answered) } } }
                }
                @if let Some(by) = envelope.countersignature() {
                    div {
                        dt { "countersigned" } dd {
                            "by " code { (by.approver) } ", " (by.method) " at "
                            (time::exact(&by.at.rfc3339())) " (not checked here)"
                        }
                    }
                }
            }
        }
    }
}

/// The payload whole, however long: what is not shown cannot be approved.
fn payload(body: &Body, id: &str) -> Markup {
    let (label, first) = (format!("payload-{id}"), format!("found-{id}"));
    let (form, shown, bytes, found) = match body {
        Body::Text(text) => {
            let text = text.as_str();
            let findings = risk::scan(text);
            let shown = text::marked(text, &findings, &first);
            ("The exact text", shown, text.len(), !findings.is_empty())
        }
        Body::Unknown(bytes) => {
            let shown = html! { (HEXLOWER.encode(bytes)) };
            ("Of an unknown kind, in hexadecimal", shown, bytes.len(), false)
        }
        Body::Receipt(receipt) => {
            let shown = format!("{receipt:?}");
            ("A receipt", text::block(&shown), shown.len(), false)
        }
    };
    html! {
        section .payload-part {
            h3 #(label) {
                (form) span .hint {
                    " · " (words::count(u64::try_from(bytes).unwrap_or(u64::MAX), "byte"))
                }
            }
            pre .payload tabindex="0" role="group" aria-labelledby=(label) { (shown) }
            p .links.hint {
                @if bytes > SEEN_AT_ONCE_BYTES {
                    "It is long: scroll in it to read all."
                    @if found { a href=(format!("#{first}")) { "Show what was found" } }
                }
                a href=(format!("/waiting/{id}/raw")) { "Raw bytes" }
            }
        }
    }
}

fn facts(item: &PendingItem) -> Markup {
    html! {
        dl .facts.small {
            div { dt { "item" } dd { code { (text::line(&item.id)) } } }
            div { dt { "peer" } dd { code { (text::line(&item.peer.id)) } } }
            div { dt { "digest" } dd { code { (text::line(&item.digest)) } } }
        }
    }
}
