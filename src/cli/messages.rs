//! `send`, `ask`, `inbox`, `read` and `message`.
//!
//! What a person reads here does not count as read: `read` means shown to the agent.

use std::time::Duration;

use super::{
    Ctx, Exit,
    args::{InboxArgs, SendArgs},
    ctx::text_or_stdin,
    escape, item,
    print::{self, Style, fields, table},
};
use crate::node::api::{
    AgentRequest, HeldInfo, Inbox, InboxRequest, Message, MessageLife, MessagePart, SendRequest,
    Sent,
};

/// Sends a message.
pub(super) async fn send(ctx: &Ctx, args: SendArgs) -> anyhow::Result<Exit> {
    let SendArgs { to, text, reply_to, thread, expires_hours } = args;
    let text = text_or_stdin(text)?;
    let request = SendRequest { to, text, request: false, reply_to, thread, expires_hours };
    let sent = ctx.send(request).await?;
    ctx.out.data(&sent, |style| sent_text(&sent, style))?;
    Ok(sent_exit(&sent))
}

/// Sends a request, and waits for its reply unless it is held.
pub(super) async fn ask(
    ctx: &Ctx,
    to: String,
    text: Option<String>,
    wait: u64,
) -> anyhow::Result<Exit> {
    let text = text_or_stdin(text)?;
    let request = SendRequest { to, text, request: true, ..SendRequest::default() };
    let mut sent = ctx.send(request).await?;
    let exit = sent_exit(&sent);
    if exit == Exit::Done && wait > 0 {
        let reply_to = Some(sent.id.clone());
        let answers = InboxRequest { reply_to, limit: Some(1), ..InboxRequest::default() };
        let inbox = ctx.inbox(answers, Duration::from_secs(wait)).await?;
        sent.reply = inbox.messages.into_iter().next();
        let id = sent.id.clone();
        sent.state = ctx.agent::<MessageLife>(AgentRequest::Message { id }).await?.state;
    }
    ctx.out.data(&sent, |style| match &sent.reply {
        Some(reply) => message_text(reply, style),
        None => sent_text(&sent, style),
    })?;
    if exit == Exit::Done && sent.reply.is_none() {
        print::talk("No reply yet; it will be in `countersign inbox`.");
    }
    Ok(exit)
}

fn sent_text(sent: &Sent, style: Style) -> String {
    let mut rows = vec![("message", escape::line(&sent.id)), ("state", state(&sent.state, style))];
    if let Some(pending) = &sent.pending {
        rows.push(("waits", escape::line(pending)));
    }
    if sent.again {
        rows.push(("again", "the same was sent before; nothing was sent anew".to_owned()));
    }
    let mut text = fields(&rows, style);
    for finding in &sent.findings {
        let severity = item::severity(finding.severity, style);
        text.extend(["\n", &severity, "  ", &escape::line(&finding.text)]);
    }
    text
}

fn sent_exit(sent: &Sent) -> Exit {
    match sent.state.as_str() {
        "held" => {
            let id = sent.pending.as_deref().map_or_else(|| "ID".to_owned(), escape::line);
            print::talk(&format!("It is held for you: countersign approve {id}"));
            Exit::Waits
        }
        "denied" => Exit::Denied,
        _ => Exit::Done,
    }
}

fn state(state: &str, style: Style) -> String {
    let text = escape::line(state);
    match state {
        "held" | "queued" | "held_by_peer" => style.warn(&text),
        "denied" | "refused" | "expired" => style.bad(&text),
        _ => style.good(&text),
    }
}

/// Lists messages.
pub(super) async fn inbox(ctx: &Ctx, args: InboxArgs) -> anyhow::Result<Exit> {
    let InboxArgs { from, thread, query, unread, wait, limit, cursor, mark_read } = args;
    let reply_to = None;
    let request = InboxRequest { from, thread, query, unread, reply_to, limit, cursor, mark_read };
    let inbox = ctx.inbox(request, Duration::from_secs(wait)).await?;
    ctx.out.data(&inbox, |style| inbox_text(&inbox, style))?;
    if let Some(cursor) = &inbox.next_cursor {
        print::talk(&format!("There are more: add --cursor {}", escape::line(cursor)));
    }
    Ok(Exit::Done)
}

fn inbox_text(inbox: &Inbox, style: Style) -> String {
    let held = held_text(inbox, style);
    if inbox.messages.is_empty() {
        let so_far = inbox.next_cursor.as_ref().map_or("", |_| " so far");
        return format!("No messages{so_far}.{held}");
    }
    let texts: Vec<_> = inbox.messages.iter().map(|one| message_text(one, style)).collect();
    let unread = format!("{} not seen by the agent", inbox.unread);
    format!("{}\n\n{}{held}", texts.join("\n\n"), style.dim(&unread))
}

/// What came and waits for its human: who, how large and why, as an agent sees it too.
fn held_text(inbox: &Inbox, style: Style) -> String {
    if inbox.held_total == 0 {
        return String::new();
    }
    let line = |held: &HeldInfo| {
        let rules: Vec<_> = held.reasons.iter().map(|reason| escape::line(&reason.rule)).collect();
        let (from, kind, size) =
            (escape::line(&held.from), escape::line(&held.kind), held.size_bytes);
        format!(
            "\n  {from}  {kind}  {size} bytes, since {}: {}",
            escape::line(&held.since),
            rules.join(", ")
        )
    };
    let head = format!("{} held for you, unseen by the agent:", inbox.held_total);
    let lines: String = inbox.held.iter().map(line).collect();
    let end = "  see and decide: countersign pending";
    format!("\n\n{}{lines}\n{end}", style.warn(&head))
}

/// One message. What its sender wrote stands behind a margin.
fn message_text(message: &Message, style: Style) -> String {
    let names = format!("{} → {}", escape::line(&message.from), escape::line(&message.to));
    let mut about = format!(
        "{}  {}  {}",
        escape::line(&message.kind),
        state(&message.state, style),
        style.dim(&escape::line(&message.sent_at)),
    );
    if let Some(by) = &message.countersigned {
        let how = format!("countersigned ({})", escape::line(&by.method));
        about.extend(["  ", &style.good(&how)]);
    }
    let mut ids =
        format!("{} in thread {}", escape::line(&message.id), escape::line(&message.thread));
    if let Some(answered) = &message.reply_to {
        ids.extend([", answers ", &escape::line(answered)]);
    }
    if let Some(session) = &message.session {
        ids.extend([", for the session ", &escape::line(session)]);
    }
    if let Some(unknown) = &message.unknown_session {
        ids.extend([", for a session that is not known here, ", &escape::line(unknown)]);
    }
    let mut text = format!(
        "{}  {about}\n{}\n{}",
        style.bold(&names),
        style.dim(&ids),
        escape::block(&message.text, style)
    );
    if message.truncated {
        let more = format!("\n  … read all of it: countersign read {}", escape::line(&message.id));
        text.push_str(&style.warn(&more));
    }
    text
}

/// Shows one message whole, or a part of it.
pub(super) async fn read(
    ctx: &Ctx,
    id: String,
    offset: Option<u64>,
    mark_read: bool,
) -> anyhow::Result<Exit> {
    let part: MessagePart = ctx.agent(AgentRequest::Read { id, offset, mark_read }).await?;
    // The part says below where it ends; `truncated` would point back here.
    let message = Message { truncated: false, ..part.message.clone() };
    ctx.out.data(&part, |style| message_text(&message, style))?;
    if let Some(next) = part.next_offset {
        let id = escape::line(&part.message.id);
        let (from, all) = (part.offset, part.size_bytes);
        print::talk(&format!(
            "Bytes {from} to {next} of {all}; the rest: countersign read {id} --offset {next}"
        ));
    }
    Ok(Exit::Done)
}

/// Shows one message's life.
pub(super) async fn message(ctx: &Ctx, id: String) -> anyhow::Result<Exit> {
    let life: MessageLife = ctx.agent(AgentRequest::Message { id }).await?;
    ctx.out.data(&life, |style| life_text(&life, style))?;
    Ok(Exit::Done)
}

fn life_text(life: &MessageLife, style: Style) -> String {
    let mut rows = vec![("message", escape::line(&life.id))];
    rows.extend(life.to.as_deref().map(|to| ("to", escape::line(to))));
    rows.extend(life.from.as_deref().map(|from| ("from", escape::line(from))));
    rows.push(("state", state(&life.state, style)));
    rows.push(("worthless after", escape::line(&life.expires_at)));
    rows.extend(life.pending.as_deref().map(|id| ("waits", escape::line(id))));
    rows.extend(life.note.as_deref().map(|note| ("note", escape::line(note))));
    let mut steps = vec![["STATE", "SINCE", "WHY"].map(str::to_owned).to_vec()];
    steps.extend(life.history.iter().map(|step| {
        let why = step.reason.as_deref().unwrap_or_default();
        vec![escape::line(&step.state), escape::line(&step.at), escape::line(why)]
    }));
    format!("{}\n\n{}", fields(&rows, style), table(&steps, style))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::api::{Countersigned, Step};

    #[test]
    fn a_message_shows_who_and_what_and_cannot_leave_its_margin() {
        let message = Message {
            id: "0a".into(),
            from: "bob".into(),
            to: "me".into(),
            direction: "in".into(),
            kind: "text".into(),
            author: "agent".into(),
            text: "one\n\u{1b}[31mtwo\rthree".into(),
            truncated: true,
            thread: "0b".into(),
            session: None,
            unknown_session: None,
            reply_to: Some("0c".into()),
            sent_at: "2026-01-01T00:00:00.000Z".into(),
            state: "accepted".into(),
            countersigned: Some(Countersigned { method: "passphrase".into(), at: "x".into() }),
            untrusted: true,
        };
        let text = message_text(&message, Style::plain());
        insta::assert_snapshot!(text, @r"
        bob → me  text  accepted  2026-01-01T00:00:00.000Z  countersigned (passphrase)
        0a in thread 0b, answers 0c
          │ one
          │ \u{1b}[31mtwo\u{d}three
          … read all of it: countersign read 0a
        ");
    }

    #[test]
    fn a_life_lists_each_state_with_its_time() {
        let step = |state: &str, reason: Option<&str>| Step {
            state: state.into(),
            at: "2026-01-01T00:00:00.000Z".into(),
            reason: reason.map(str::to_owned),
        };
        let life = MessageLife {
            id: "0a".into(),
            to: Some("bob".into()),
            from: None,
            state: "refused".into(),
            history: vec![step("queued", None), step("refused", Some("denied\nthere"))],
            pending: None,
            expires_at: "2026-01-08T00:00:00.000Z".into(),
            note: None,
        };
        insta::assert_snapshot!(life_text(&life, Style::plain()), @r"
        message          0a
        to               bob
        state            refused
        worthless after  2026-01-08T00:00:00.000Z

        STATE    SINCE                     WHY
        queued   2026-01-01T00:00:00.000Z
        refused  2026-01-01T00:00:00.000Z  denied\nthere
        ");
    }
}
