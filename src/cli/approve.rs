//! `pending`, `approve` and `deny`: the human's side of the gate.
//!
//! A yes is a signature that is made here, by a key that only the passphrase opens. A no needs
//! neither: it loosens nothing.

use data_encoding::HEXLOWER;

use super::{
    Ctx, Exit, escape, init, item,
    item::Checked,
    print::{self, Style},
    terminal::Terminal,
};
use crate::{
    base::PendingId,
    gate::{Answer, Decision, Item, Statement, What},
    identity::ApproverKey,
    node::{
        api::{ApiError, Decided, ErrorKind, HumanRequest, PendingItem, PendingList, PendingShown},
        clock, guard,
    },
    store::keys,
    wire::Method,
};

/// Lists what waits.
pub(super) async fn pending(ctx: &Ctx) -> anyhow::Result<Exit> {
    let list: PendingList = ctx.human(HumanRequest::Pending).await?;
    ctx.out.data(&list, |style| list_text(&list, style))?;
    Ok(Exit::Done)
}

fn list_text(list: &PendingList, style: Style) -> String {
    if list.items.is_empty() {
        return "Nothing waits for you.".to_owned();
    }
    let texts: Vec<_> = list.items.iter().map(|item| item_text(item, style)).collect();
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
    if let Some(words) = &item.words {
        let words = escape::line(&words.join(" "));
        lines.push(format!("  words to compare: {}", style.bold(&words)));
    }
    if let Some(note) = &item.note {
        lines.push(format!("  note: \"{}\"", escape::line(note)));
    }
    let until = escape::line(&item.expires_at);
    lines.push(style.dim(&format!("  {} bytes, until {until}", item.size_bytes)));
    lines.push(match &item.not_ready {
        Some(why) => style.warn(&format!("  not yet: {}", escape::line(why))),
        None => format!("  see it and decide: countersign approve {id}, or deny {id}"),
    });
    lines.join("\n")
}

/// Shows one item, and approves it when the passphrase is typed.
pub(super) async fn approve(ctx: &Ctx, id: PendingId, verified: bool) -> anyhow::Result<Exit> {
    let mut terminal = Terminal::open()?;
    let sealed = keys::read_approver(&ctx.home.approver_file())?.ok_or_else(no_approver)?;
    let shown: PendingShown = ctx.human(HumanRequest::Show { id: id.to_string() }).await?;
    let checked = Checked::new(shown, &sealed.public())?;
    let style = terminal.style();
    terminal.say(&item::render(&checked, style))?;
    check(&checked, verified)?;
    let is_peer = matches!(checked.item, Item::Peer(..));
    if is_peer && !verified {
        terminal.say("When you compared the words, leave with Enter and add --verified.\n")?;
    }
    guard::close_memory()?;
    let passphrase = terminal.passphrase("Approval passphrase (Enter alone leaves it): ")?;
    if passphrase.expose_secret().is_empty() {
        let next = format!("it waits on; to say no: countersign deny {id}");
        return Err(ApiError::new(ErrorKind::WaitsForHuman, "nothing was approved", next).into());
    }
    let key = init::open(&ctx.home, &sealed, &passphrase)?;
    drop(passphrase);
    let decision = sign(&checked.item, id, verified, &key)?;
    drop(key);
    let decided = ctx.human(decide(id, &decision)).await?;
    report(ctx, &decided, Some(checked.item.what()))?;
    Ok(Exit::Done)
}

fn no_approver() -> ApiError {
    let message = "approvals are not set up in this home";
    ApiError::new(ErrorKind::WaitsForHuman, message, "run `countersign init` in a terminal")
}

fn check(checked: &Checked, verified: bool) -> Result<(), ApiError> {
    let item = &checked.shown.item;
    if let Some(why) = &item.not_ready {
        let message = format!("this cannot be approved yet: {why}");
        let next = "try again when the other side has answered";
        return Err(ApiError::new(ErrorKind::WaitsForHuman, message, next));
    }
    if item::is_over(&item.expires_at, clock::now()) {
        let message = format!("this expired at {}", item.expires_at);
        return Err(ApiError::new(ErrorKind::Refused, message, "have it asked for again"));
    }
    if verified && matches!(checked.item, Item::Message(..)) {
        let message = "--verified is for the words of a new peer, and this is a message";
        return Err(ApiError::new(ErrorKind::Usage, message, "leave it out"));
    }
    Ok(())
}

fn sign(item: &Item, id: PendingId, verified: bool, key: &ApproverKey) -> anyhow::Result<Decision> {
    let statement = Statement {
        id,
        digest: item.digest(),
        answer: Answer::Approve,
        method: Method::Passphrase,
        at: clock::now(),
        verified,
    };
    Ok(Decision::sign(item, &statement, key)?)
}

fn decide(id: PendingId, decision: &Decision) -> HumanRequest {
    HumanRequest::Decide {
        id: id.to_string(),
        statement: HEXLOWER.encode(&decision.statement),
        signature: HEXLOWER.encode(&decision.signature),
        seal: HEXLOWER.encode(&decision.seal),
        block: false,
    }
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
    print::talk(match approved {
        Some(What::PeerOut | What::PeerIn) => {
            "You are connected as soon as the other human says yes too: `countersign peers`."
        }
        Some(What::MessageOut) => "It carries your countersignature and is on its way.",
        Some(What::MessageIn) => "It is in the inbox: `countersign inbox`.",
        None => "It was not sent on, and does not wait any longer.",
    });
    Ok(())
}
