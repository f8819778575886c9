//! What the human sees before saying yes: rendered from the exact bytes that the yes is for.
//!
//! What the bytes cannot say (our name for the peer, why we are asked, a note) comes from the
//! node and is labelled by its place; what both say must agree, or nothing is shown at all.

use data_encoding::HEXLOWER;

use super::{
    escape,
    print::{Style, fields},
};
use crate::{
    base::{ApproverId, PeerId},
    gate::{Item, What},
    node::{api::FindingInfo, review::Checked},
    risk::Severity,
    wire::{
        Body, ConsentRecord, Envelope, Party,
        invite::{FINGERPRINT_BYTES, approver_fingerprint},
    },
};

/// Columns of the line above and below an item, where the terminal has them.
const RULE: usize = 72;

/// The whole item, for the terminal.
pub(super) fn render(checked: &Checked, style: Style) -> String {
    let mut parts = vec![style.bold(title(checked.item().what())), who(checked, style)];
    parts.push(match checked.item() {
        Item::Peer(_, record) => pairing(checked, record, style),
        Item::Message(_, envelope) => message(envelope, style),
    });
    if !checked.shown().after.is_empty() {
        parts.push(read_before(checked, style));
    }
    parts.push(asked(checked, style));
    let rule = style.dim(&"─".repeat(style.width().map_or(RULE, |width| width.min(RULE))));
    format!("{rule}\n{}\n{rule}", parts.join("\n\n"))
}

const fn title(what: What) -> &'static str {
    match what {
        What::PeerOut => "OUTGOING: your agent asks to be connected with a new peer",
        What::PeerIn => "INCOMING: a new peer asks to be connected with your agent",
        What::MessageOut => "OUTGOING: your agent wants to send this message",
        What::MessageIn => "INCOMING: this message wants to reach your agent",
    }
}

/// Whose texts our agent had read before: a yes names them.
fn read_before(checked: &Checked, style: Style) -> String {
    let head = "READ BEFORE: your agent had read texts of these peers when it wrote this, and may \
                have been\ntold there what to write. Is anything of theirs in it? Your yes names them:";
    let lines = checked.shown().after.iter().map(|peer| {
        format!("  {}  {}", style.bold(&escape::line(&peer.name)), escape::line(&peer.id))
    });
    [vec![style.warn(head)], lines.collect()].concat().join("\n")
}

fn who(checked: &Checked, style: Style) -> String {
    let peer = &checked.shown().peer;
    let verified = if peer.verified {
        style.good("verified: you compared the words of its pairing, or said its code yourself")
    } else {
        style.warn("not verified: nobody compared the words of its pairing")
    };
    let rows = [
        ("peer", style.bold(&escape::line(&peer.name))),
        ("calls itself", quoted(&peer.claim)),
        ("id", checked.peer().to_string()),
        ("", verified),
    ];
    fields(&rows, style)
}

fn quoted(claim: &str) -> String {
    format!("\"{}\"", escape::line(claim))
}

const COMPARE: &str = "Do these four words stand on the other person's screen too? Ask over a channel \
                   that\nyou trust (a call, in person). If they differ, somebody is in between: \
                   deny.";

const BY_CODE: &str = "paired by a code: if you yourself told this person the three words, or heard \
                       them from\nthem, approve with --verified; the four words below need no \
                       comparing then";

fn pairing(checked: &Checked, record: &ConsentRecord, style: Style) -> String {
    let me: &PeerId = checked.me();
    let words = boxed(&record.words(), style);
    let by_code = if checked.is_by_code() { format!("{BY_CODE}\n\n") } else { String::new() };
    let side = |party: &Party, role: &str| {
        let whose = if party.identity == *me { "you" } else { "them" };
        let rows = [
            (whose, format!("{} ({role})", quoted(party.name.as_str()))),
            ("node", party.identity.to_string()),
            ("approver", fingerprint(&party.approver)),
        ];
        fields(&rows, style)
    };
    let inviter = side(&record.inviter, "made the invite");
    let joiner = side(&record.joiner, "used the invite");
    let knocked = fields(&[("knocked", record.created.to_string())], style);
    format!("{by_code}{words}\n\n{COMPARE}\n\n{inviter}\n\n{joiner}\n\n{knocked}")
}

/// The words in a box, or below each other where the box is too wide.
fn boxed(words: &[&str], style: Style) -> String {
    let line = words.join("   ");
    let inside = line.chars().count() + 6;
    if style.width().is_some_and(|width| inside + 2 > width) {
        let lines = words.iter().map(|word| format!("   {}", style.bold(word)));
        return lines.collect::<Vec<_>>().join("\n");
    }
    let bar = "━".repeat(inside);
    format!("┏{bar}┓\n┃   {}   ┃\n┗{bar}┛", style.bold(&line))
}

fn fingerprint(approver: &ApproverId) -> String {
    let bytes: [u8; FINGERPRINT_BYTES] = approver_fingerprint(approver);
    let groups: Vec<_> = bytes.chunks(4).map(|group| HEXLOWER.encode(group)).collect();
    groups.join(" ")
}

fn message(envelope: &Envelope, style: Style) -> String {
    let header = envelope.header();
    let mut rows = vec![
        ("kind", escape::line(header.kind.as_str())),
        ("message", header.id.to_string()),
        ("written", header.created.to_string()),
        ("worthless after", header.expires.to_string()),
    ];
    if let Some(session) = &header.session {
        rows.push(("for the session", escape::line(session.as_str())));
    }
    if let Some(thread) = header.thread {
        rows.push(("thread", thread.to_string()));
    }
    if let Some(answered) = header.reply_to {
        rows.push(("answers", answered.to_string()));
    }
    if let Some(by) = envelope.countersignature() {
        let text = format!("by {}, {} at {} (not checked here)", by.approver, by.method, by.at);
        rows.push(("countersigned", text));
    }
    format!("{}\n\n{}", fields(&rows, style), payload(envelope.body(), style))
}

/// The payload whole, however long: what is not shown cannot be approved.
fn payload(body: &Body, style: Style) -> String {
    let text = match body {
        Body::Text(text) => text.as_str().to_owned(),
        Body::Unknown(bytes) => HEXLOWER.encode(bytes),
        Body::Receipt(receipt) => format!("{receipt:?}"),
    };
    let form = match body {
        Body::Text(_) => "the exact text",
        Body::Unknown(_) => "of an unknown kind, in hexadecimal",
        Body::Receipt(_) => "a receipt",
    };
    let lines = text.split('\n').count();
    let plural = if lines == 1 { "" } else { "s" };
    let head = format!("{form}, {} bytes in {lines} line{plural}:", text.len());
    format!("{}\n{}", style.dim(&head), escape::block(&text, style))
}

fn asked(checked: &Checked, style: Style) -> String {
    let item = checked.shown();
    let mut lines: Vec<String> = checked
        .reasons()
        .iter()
        .map(|reason| {
            let severity = severity(reason.severity, style);
            let (rule, text) = (escape::line(&reason.rule), escape::line(&reason.text));
            format!("{severity}  {text} {}", style.dim(&format!("({rule})")))
        })
        .collect();
    if let Some(note) = &item.note {
        let whose = match item.what {
            What::PeerOut => "note of your agent's, which the other side gets with your yes:",
            What::PeerIn | What::MessageOut | What::MessageIn => "note, which is theirs to claim:",
        };
        lines.push(style.dim(whose));
        lines.push(escape::block(note, style));
    }
    let digest = checked.item().digest().to_string();
    let rows =
        [("item", item.id.clone()), ("digest", digest), ("expires", item.expires_at.clone())];
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(fields(&rows.map(|(name, text)| (name, escape::line(&text))), style));
    lines.join("\n")
}

/// A reason in a list, with its rule.
pub(super) fn reason(reason: &FindingInfo, style: Style) -> String {
    let severity = severity(reason.severity, style);
    format!("  {severity}  {} ({})", escape::line(&reason.text), escape::line(&reason.rule))
}

/// How bad, in its colour.
pub(super) fn severity(severity: Severity, style: Style) -> String {
    let text = severity.as_str();
    match severity {
        Severity::Info | Severity::Low => style.dim(text),
        Severity::Medium => style.warn(text),
        Severity::High | Severity::Critical => style.bad(text),
    }
}

#[cfg(test)]
pub(super) mod tests;
