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
    base::{PendingId, Timestamp},
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
    ready(&shown.item)?;
    guard::close_memory()?;
    let me = keys::read_identity(&ctx.home.identity_file())?.id();
    let checked = Checked::new(shown, me, &sealed.public())?;
    let style = terminal.style();
    terminal.say(&item::render(&checked, style))?;
    let is_peer = matches!(checked.item, Item::Peer(..));
    if verified && !is_peer {
        let message = "--verified is for the words of a new peer, and this is a message";
        return Err(ApiError::new(ErrorKind::Usage, message, "leave it out").into());
    }
    if is_peer && !verified {
        terminal.say("When you compared the words, leave with Enter and add --verified.\n")?;
    }
    let passphrase = terminal.passphrase("Approval passphrase (Enter alone leaves it): ")?;
    if passphrase.expose_secret().is_empty() {
        let next = format!("it waits on; to say no: countersign deny {id}");
        return Err(ApiError::new(ErrorKind::WaitsForHuman, "nothing was approved", next).into());
    }
    let key = init::open(&ctx.home, &sealed, &passphrase)?;
    drop(passphrase);
    let decision = sign(&checked.item, id, verified, &key, clock::now())?;
    drop(key);
    let decided = ctx.human(decide(id, &decision)).await?;
    report(ctx, &decided, Some(checked.item.what()))?;
    Ok(Exit::Done)
}

fn no_approver() -> ApiError {
    let message = "approvals are not set up in this home";
    ApiError::new(ErrorKind::WaitsForHuman, message, "run `countersign init` in a terminal")
}

/// What is not ready may have no bytes yet, so this comes before they are looked at.
fn ready(item: &PendingItem) -> Result<(), ApiError> {
    if let Some(why) = &item.not_ready {
        let message = format!("this cannot be approved yet: {why}");
        let next = "try again when the other side has answered";
        return Err(ApiError::new(ErrorKind::WaitsForHuman, message, next));
    }
    if item::is_over(&item.expires_at, clock::now()) {
        let message = format!("this expired at {}", item.expires_at);
        return Err(ApiError::new(ErrorKind::Refused, message, "have it asked for again"));
    }
    Ok(())
}

fn sign(
    item: &Item,
    id: PendingId,
    verified: bool,
    key: &ApproverKey,
    at: Timestamp,
) -> anyhow::Result<Decision> {
    let statement = Statement {
        id,
        digest: item.digest(),
        answer: Answer::Approve,
        method: Method::Passphrase,
        at,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::Secret,
        cli::item::tests::{NOW, message_item, node, peer_item},
        gate::{Outcome, Pending},
        node::api::{FindingInfo, PendingPeer},
        risk::Severity,
    };

    const ID: PendingId = PendingId::from_bytes([7; 5]);
    const LATER: Timestamp = Timestamp::from_ms(NOW.ms() + 1000);

    #[test]
    fn what_is_signed_here_passes_the_gate() {
        let key = ApproverKey::from_seed(&Secret::new([101; 32]));
        let item = message_item("x");
        let decision = sign(&item, ID, false, &key, NOW).unwrap();
        let Item::Message(what, envelope) = item else { panic!() };
        let pending = Pending::message(ID, what, envelope, LATER);
        let Outcome::Approved(sent) = pending.decide(&decision, &key.id(), NOW).unwrap() else {
            panic!()
        };
        let by = sent.item().countersigned_by(&key.id()).unwrap();
        assert_eq!((by.method, by.at), (Method::Passphrase, NOW));
        let item = peer_item();
        let decision = sign(&item, ID, true, &key, NOW).unwrap();
        let Item::Peer(what, record) = item else { panic!() };
        let pending = Pending::peer(ID, what, record, LATER);
        let decided = pending.decide(&decision, &node(1).id(), &key.id(), NOW).unwrap();
        let Outcome::Approved(consent) = decided else { panic!() };
        assert!(consent.item().verified);
    }

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
            not_ready: None,
        };
        let late = PendingItem { not_ready: Some("no answer".into()), ..item.clone() };
        assert_eq!(ready(&late).unwrap_err().kind, ErrorKind::WaitsForHuman);
        assert_eq!(ready(&item).unwrap_err().kind, ErrorKind::Refused, "it is long over");
        let list = PendingList { items: vec![item, late] };
        insta::assert_snapshot!("pending", list_text(&list, Style::plain()));
    }
}
