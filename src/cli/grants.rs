//! `grants` and `policy inline`: standing permissions. Making one takes the passphrase; ending one
//! takes nothing, because it loosens nothing.

use std::time::Duration;

use serde::de::IgnoredAny;

use super::{
    Ctx, Exit, approval,
    args::{InlineCommand, Worst},
    escape,
    print::{self, Style},
    terminal::Terminal,
};
use crate::{
    base::{GrantId, Severity, limits},
    node::{
        api::{ApiError, ErrorKind, GrantInfo, Grants, HumanRequest, SignedHex},
        clock, guard,
        review::grant_text,
    },
    store::keys,
    wire::{Direction, Grant, GrantKind},
};

/// Lists the grants that hold.
pub(super) async fn list(ctx: &Ctx) -> anyhow::Result<Exit> {
    let grants: Grants = ctx.human(HumanRequest::Grants).await?;
    ctx.out.data(&grants, |style| {
        list_text(&grants.grants, "No grant holds: you are asked about everything.", style)
    })?;
    Ok(Exit::Done)
}

fn list_text(grants: &[GrantInfo], none: &str, style: Style) -> String {
    if grants.is_empty() {
        return none.to_owned();
    }
    let texts = grants.iter().map(|grant| {
        let (id, left) = (escape::line(&grant.id), grant.messages_left);
        let plural = if left == 1 { "message" } else { "messages" };
        let text = escape::line(&grant.text);
        let end =
            style.dim(&format!("{left} {plural} left; to end it: countersign grants end {id}"));
        format!("{}  {text}\n  {end}", style.bold(&id))
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Ends one.
pub(super) async fn end(ctx: &Ctx, id: GrantId) -> anyhow::Result<Exit> {
    let _: IgnoredAny = ctx.human(HumanRequest::GrantEnd { id: id.to_string() }).await?;
    let value = serde_json::json!({ "id": id, "ended": true });
    ctx.out.data(&value, |style| format!("{} {id}", style.good("ended")))?;
    print::talk("What it covered is asked about again.");
    Ok(Exit::Done)
}

/// Shows or changes whether an MCP client may answer for the human.
pub(super) async fn inline(ctx: &Ctx, change: Option<InlineCommand>) -> anyhow::Result<Exit> {
    match change {
        None => inline_show(ctx).await,
        Some(InlineCommand::Off) => inline_off(ctx).await,
        Some(InlineCommand::On { hours, messages, severity }) => {
            inline_on(ctx, hours, messages, severity).await
        }
    }
}

async fn inline_grants(ctx: &Ctx) -> anyhow::Result<Vec<GrantInfo>> {
    let mut all: Grants = ctx.human(HumanRequest::Grants).await?;
    all.grants.retain(|grant| grant.kind == GrantKind::Inline);
    Ok(all.grants)
}

async fn inline_show(ctx: &Ctx) -> anyhow::Result<Exit> {
    let grants = inline_grants(ctx).await?;
    let value = serde_json::json!({ "on": !grants.is_empty(), "grants": grants });
    let off = "Off: an answer in an MCP client can deny, and never approves.";
    ctx.out.data(&value, |style| list_text(&grants, off, style))?;
    Ok(Exit::Done)
}

async fn inline_off(ctx: &Ctx) -> anyhow::Result<Exit> {
    let mut ended = Vec::new();
    for grant in inline_grants(ctx).await? {
        let request = HumanRequest::GrantEnd { id: grant.id.clone() };
        let _: IgnoredAny = ctx.human(request).await?;
        ended.push(grant.id);
    }
    let value = serde_json::json!({ "on": false, "ended": ended });
    ctx.out.data(&value, |style| style.good("Off: no answer in an MCP client approves."))?;
    Ok(Exit::Done)
}

async fn inline_on(ctx: &Ctx, hours: u64, messages: u64, worst: Worst) -> anyhow::Result<Exit> {
    let mut terminal = Terminal::open()?;
    approval::sealed(&ctx.home)?;
    guard::close_memory()?;
    let node = keys::read_identity(&ctx.home.identity_file())?.id();
    let from = clock::now();
    let grant = Grant {
        id: GrantId::from_bytes(clock::random()),
        node,
        kind: GrantKind::Inline,
        peer: None,
        direction: Direction::Out,
        rules: Vec::new(),
        severity_max: match worst {
            Worst::High => Severity::High,
            Worst::Critical => Severity::Critical,
        },
        size_bytes_max: u64::try_from(limits::TEXT_BYTES_MAX).unwrap_or(u64::MAX),
        messages_max: messages,
        from,
        until: from.plus(Duration::from_secs(hours.saturating_mul(60 * 60))),
        kinds: Vec::new(),
        per_hour_max: None,
    };
    terminal.say(&explanation(&grant, terminal.style()))?;
    let passphrase = terminal.passphrase("Approval passphrase (Enter alone changes nothing): ")?;
    if passphrase.expose_secret().is_empty() {
        let next = "run the command again when you want it";
        return Err(ApiError::new(ErrorKind::WaitsForHuman, "nothing was changed", next).into());
    }
    let signed = grant.sign(&approval::open(&ctx.home, &passphrase)?)?;
    drop(passphrase);
    let _: IgnoredAny = ctx.human(HumanRequest::Grant(SignedHex::from(&signed))).await?;
    let value = serde_json::json!({
        "on": true,
        "id": grant.id,
        "until": grant.until.rfc3339(),
        "messages": grant.messages_max,
        "severity": grant.severity_max,
    });
    ctx.out.data(&value, |style| format!("{} until {}", style.good("On"), grant.until))?;
    print::talk("To end it before: countersign policy inline off");
    Ok(Exit::Done)
}

/// What the human signs, and what it means, before the passphrase.
fn explanation(grant: &Grant, style: Style) -> String {
    format!(
        "{}\n\n{}\n\n\
         - The program that your agent runs in (an MCP client) shows you the message that waits, and \
         your answer there counts as your yes. You type no passphrase then.\n\
         - Nobody can tell from here whether a person answered. A client that is scripted, or that \
         says yes by itself, approves just the same: within these bounds you trust that program as \
         you trust yourself.\n\
         - The other side sees that you were asked by the method `client`, and may refuse what was \
         approved so.\n\
         - It is never used for new peers, for grants or for keys.\n",
        style.bold("You are about to sign an INLINE GRANT:"),
        grant_text(grant, None),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{PeerId, Timestamp};

    #[test]
    fn the_explanation_says_who_may_answer_and_until_when() {
        let grant = Grant {
            id: GrantId::from_bytes([1; 5]),
            node: PeerId::from_bytes([1; 32]),
            kind: GrantKind::Inline,
            peer: None,
            direction: Direction::Out,
            rules: Vec::new(),
            severity_max: Severity::High,
            size_bytes_max: 65536,
            messages_max: 20,
            from: Timestamp::from_ms(0),
            until: Timestamp::from_ms(3_600_000),
            kinds: Vec::new(),
            per_hour_max: None,
        };
        insta::assert_snapshot!("inline", explanation(&grant, Style::plain()));
    }

    #[test]
    fn a_list_of_grants_is_escaped_and_says_how_to_end_each() {
        let grant = GrantInfo {
            id: "abcdefgh".into(),
            text: "Until then, up to 2 messages to bob\u{1b}[2J".into(),
            kind: GrantKind::Unasked,
            peer: Some("bob".into()),
            direction: Direction::Out,
            rules: vec!["secret.x".into()],
            messages_left: 1,
            kinds: Vec::new(),
            per_hour_max: None,
            until: "x".into(),
        };
        insta::assert_snapshot!(list_text(&[grant], "", Style::plain()), @r"
        abcdefgh  Until then, up to 2 messages to bob\u{1b}[2J
          1 message left; to end it: countersign grants end abcdefgh
        ");
    }
}
