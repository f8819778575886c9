//! `pending`, `approve` and `deny`: the human's side of the gate.
//!
//! A yes is a signature that is made in this process, see [`super::approval`]. A no needs none: it
//! loosens nothing.

use super::{
    Ctx, Exit,
    approval::{Approval, PROMPT},
    escape, item,
    print::{self, Style},
    terminal::Terminal,
};
use crate::{
    base::PendingId,
    gate::What,
    node::{
        api::{ApiError, Decided, ErrorKind, HumanRequest, PendingItem, PendingList},
        review,
    },
};

/// Lists what waits.
pub(super) async fn pending(ctx: &Ctx) -> anyhow::Result<Exit> {
    let list: PendingList = ctx.human(HumanRequest::Pending).await?;
    ctx.out.data(&list, |style| list_text(&list, style))?;
    Ok(Exit::Done)
}

fn list_text(list: &PendingList, style: Style) -> String {
    let warn = |text: &String| style.warn(&format!("warning: {}", escape::line(text)));
    let mut texts: Vec<_> = list.warnings.iter().map(warn).collect();
    if list.items.is_empty() {
        texts.push("Nothing waits for you.".to_owned());
    }
    texts.extend(list.items.iter().map(|item| item_text(item, style)));
    texts.join("\n\n")
}

fn item_text(item: &PendingItem, style: Style) -> String {
    let id = escape::line(&item.id);
    let peer = format!("{} \"{}\"", escape::line(&item.peer.name), escape::line(&item.peer.claim));
    let mut lines = vec![format!("{}  {}  {peer}", style.bold(&id), item.what.as_str())];
    for reason in &item.reasons {
        let severity = item::severity(reason.severity, style);
        lines.push(format!("  {severity}  {}", escape::line(&reason.text)));
    }
    if item.by_code {
        lines.push("  paired by a code".to_owned());
    }
    if let Some(words) = &item.words {
        let words = escape::line(&words.join(" "));
        lines.push(format!("  words to compare: {}", style.bold(&words)));
    }
    if let Some(note) = &item.note {
        lines.push(format!("  note: \"{}\"", escape::line(note)));
    }
    let until = escape::line(&item.expires_at);
    lines.push(style.dim(&format!("  {} bytes, until {until}", item.size_bytes)));
    if item.repeats > 0 {
        lines.push(style.warn(&format!("  {}", like_it(item))));
    }
    lines.push(match &item.not_ready {
        Some(why) => style.warn(&format!("  not yet: {}", escape::line(why))),
        None => format!("  see it and decide: countersign approve {id}, or deny {id}"),
    });
    lines.join("\n")
}

/// That it repeats what was approved, and the command that allows the like of it.
pub(super) fn like_it(item: &PendingItem) -> String {
    let (id, count) = (escape::line(&item.id), item.repeats);
    format!(
        "you approved {count} like it in the last 24 hours; to allow the like of it for a while: \
         countersign approve {id} --for 24 --messages 20"
    )
}

/// What `approve` was told beside the item's id.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    /// The words were compared.
    pub(super) verified: bool,
    /// A grant for the like of it.
    pub(super) like: Option<review::Like>,
}

/// Shows one item, and approves it when the passphrase is typed.
pub(super) async fn approve(ctx: &Ctx, id: PendingId, wish: Wish) -> anyhow::Result<Exit> {
    let mut terminal = Terminal::open()?;
    let mut approval = Approval::begin(&ctx.home, &mut ctx.client().await?, id).await?;
    if wish.verified && !approval.is_peer() {
        let message = "--verified is for the words of a new peer, and this is a message";
        return Err(ApiError::new(ErrorKind::Usage, message, "leave it out").into());
    }
    if let Some(like) = wish.like {
        approval.with_grant(like)?;
    }
    terminal.say(&approval.text(terminal.style()))?;
    if approval.is_peer() && !wish.verified {
        terminal.say(if approval.is_by_code() {
            "When you told or heard the three words yourself, or compared these four, leave with \
             Enter and add --verified.\n"
        } else {
            "When you compared the words, leave with Enter and add --verified.\n"
        })?;
    }
    let passphrase = terminal.passphrase(PROMPT)?;
    if passphrase.expose_secret().is_empty() {
        let next = format!("it waits on; to say no: countersign deny {id}");
        return Err(ApiError::new(ErrorKind::WaitsForHuman, "nothing was approved", next).into());
    }
    let request = approval.sign(&ctx.home, &passphrase, wish.verified)?;
    drop(passphrase);
    let decided = ctx.human(request).await?;
    report(ctx, &decided, Some(approval.what()))?;
    if let Some(grant) = approval.grant() {
        print::talk(&format!(
            "The grant's id is {0}; to end it: countersign grants end {0}",
            grant.id
        ));
    }
    Ok(Exit::Done)
}

/// Denies one item.
pub(super) async fn deny(ctx: &Ctx, id: PendingId, block: bool) -> anyhow::Result<Exit> {
    let decided = ctx.human(HumanRequest::Deny { id: id.to_string(), block }).await?;
    report(ctx, &decided, None)?;
    if block {
        print::talk("The peer is blocked: nothing more is heard of it.");
    }
    Ok(Exit::Done)
}

fn report(ctx: &Ctx, decided: &Decided, approved: Option<What>) -> anyhow::Result<()> {
    ctx.out.data(decided, |style| {
        let decision = escape::line(&decided.decision);
        let decision = if decided.decision == "approved" {
            style.good(&decision)
        } else {
            style.warn(&decision)
        };
        format!("{decision} {} ({})", escape::line(&decided.id), escape::line(&decided.method))
    })?;
    print::talk(outcome(approved));
    Ok(())
}

/// What becomes of an item that was approved, or denied.
pub(super) const fn outcome(approved: Option<What>) -> &'static str {
    match approved {
        Some(What::PeerOut | What::PeerIn) => {
            "You are connected as soon as the other human says yes too: `countersign peers`."
        }
        Some(What::MessageOut) => "It carries your countersignature and is on its way.",
        Some(What::MessageIn) => "It is in the inbox: `countersign inbox`.",
        None => "It was not sent on, and does not wait any longer.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        node::api::{FindingInfo, PendingPeer},
        risk::Severity,
    };

    #[test]
    fn what_waits_is_listed_with_its_reasons_and_its_words() {
        let item = PendingItem {
            id: "abcdefgh".into(),
            what: What::PeerIn,
            peer: PendingPeer {
                name: "bob".into(),
                id: "00".into(),
                claim: "Bob\u{202e}".into(),
                verified: false,
            },
            reasons: vec![FindingInfo {
                rule: "peer.new".into(),
                severity: Severity::High,
                text: "a new peer asks".into(),
            }],
            digest: "00".into(),
            size_bytes: 300,
            words: Some(["a", "b", "c", "d"].map(String::from).to_vec()),
            created_at: "x".into(),
            expires_at: "2020-01-08T00:00:00.000Z".into(),
            note: Some("hi\n".into()),
            by_code: false,
            not_ready: None,
            repeats: 0,
            after: Vec::new(),
            strength: None,
        };
        let late = PendingItem { not_ready: Some("no answer".into()), ..item.clone() };
        let warnings = vec!["a wrong code was tried".to_owned()];
        let list = PendingList { items: vec![item, late], warnings };
        insta::assert_snapshot!("pending", list_text(&list, Style::plain()));
    }
}
