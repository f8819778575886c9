//! `node`, `status`, `stop` and `whoami`.

use std::time::Duration;

use super::{
    Ctx, Exit, escape, move_home,
    print::{self, Style, fields},
};
use crate::{
    base::limits,
    daemon,
    node::{
        api::{AgentRequest, ApiError, ErrorKind, HumanRequest, Prompts, Status, Stopping, Whoami},
        config::Home,
    },
};

/// How often `stop` looks whether the node is gone.
const STOP_POLL: Duration = Duration::from_millis(50);

/// Runs the node until it is stopped.
pub(super) async fn node(home: Home, background: bool) -> anyhow::Result<Exit> {
    if background {
        // Whoever started us may end, and its terminal with it. Where we lead a group already,
        // the starter took care of that.
        rustix::process::setsid().ok();
    }
    daemon::run(home).await?;
    Ok(Exit::Done)
}

/// Shows how the node is, and starts none.
pub(super) async fn status(ctx: &Ctx) -> anyhow::Result<Exit> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let warnings = move_home::warning(&ctx.home).into_iter().collect();
    let status = ctx.if_running::<Status>(HumanRequest::Status).await?.unwrap_or_else(|| Status {
        version,
        warnings,
        ..Status::default()
    });
    ctx.out.data(&status, |style| status_text(&status, style))?;
    Ok(Exit::Done)
}

fn status_text(status: &Status, style: Style) -> String {
    let running = match (status.running, status.pid) {
        (true, Some(pid)) => style.good(&format!("yes, process {pid}")),
        (true, None) => style.good("yes"),
        (false, _) if status.warnings.is_empty() => {
            style.warn("no; the next command or agent starts it")
        }
        (false, _) => style.warn("no"),
    };
    let mut rows = vec![("running", running), ("version", escape::line(&status.version))];
    if status.running {
        rows.push(("peers connected", status.peers_connected.to_string()));
        rows.push(("messages queued", status.queued.to_string()));
        rows.push(("messages held", status.held.to_string()));
    }
    let mut text = fields(&rows, style);
    let Prompts { open, last_hour, digest } = &status.prompts;
    if status.running {
        let open = if *open { "one is open" } else { "none is open" };
        let more =
            if *digest == 0 { String::new() } else { format!("; {digest} more wait unasked") };
        let line = format!("prompts: {last_hour} in the last hour, {open}{more}");
        text.extend(["\n", &style.dim(&line)]);
    }
    for warning in &status.warnings {
        text.extend(["\n", &style.warn(&escape::line(warning))]);
    }
    text
}

/// Ends the node, and waits until it is gone.
pub(super) async fn stop(ctx: &Ctx) -> anyhow::Result<Exit> {
    let Some(stopping) = end(ctx).await? else {
        ctx.out.data(&Stopping { stopping: false }, |_| "No node runs here.".to_owned())?;
        return Ok(Exit::Done);
    };
    ctx.out.data(&stopping, |_| "The node has ended.".to_owned())?;
    Ok(Exit::Done)
}

/// Ends the node, and waits until it is gone; `None` where there was none.
pub(super) async fn end(ctx: &Ctx) -> anyhow::Result<Option<Stopping>> {
    let Some(stopping) = ctx.if_running::<Stopping>(HumanRequest::Stop).await? else {
        return Ok(None);
    };
    let spinner = print::spinner("waiting for the node to end");
    let gone = tokio::time::timeout(2 * limits::SHUTDOWN_TIMEOUT, gone(ctx)).await;
    drop(spinner);
    if gone.is_err() {
        let message = "the node still answers";
        let next = format!("see {}", ctx.home.log_file().display());
        return Err(ApiError::new(ErrorKind::Failed, message, next).into());
    }
    Ok(Some(stopping))
}

/// One that is about to end answers with an error, and is there all the same.
async fn gone(ctx: &Ctx) {
    while !matches!(ctx.if_running::<Status>(HumanRequest::Status).await, Ok(None)) {
        tokio::time::sleep(STOP_POLL).await;
    }
}

/// Shows who this node is.
pub(super) async fn whoami(ctx: &Ctx) -> anyhow::Result<Exit> {
    let me: Whoami = ctx.agent(AgentRequest::Whoami).await?;
    ctx.out.data(&me, |style| whoami_text(&me, style))?;
    Ok(Exit::Done)
}

fn whoami_text(me: &Whoami, style: Style) -> String {
    let approver = match (&me.approver.did, me.approver.set) {
        (Some(did), true) => escape::line(did),
        _ => style.warn("not set up: run `countersign init` in a terminal, or `countersign page`"),
    };
    let addresses = if me.network.addresses.is_empty() {
        "none".to_owned()
    } else {
        escape::line(&me.network.addresses.join(", "))
    };
    let mut rows = vec![
        ("name", style.bold(&escape::line(&me.name))),
        ("id", escape::line(&me.id)),
        ("words", escape::line(&me.words.join(" "))),
        ("did", escape::line(&me.did)),
        ("approver", approver),
        ("network", escape::line(&me.network.mode)),
        ("addresses", addresses),
    ];
    rows.extend(me.network.relay.as_deref().map(|relay| ("relay", escape::line(relay))));
    rows.push(("waits for you", me.waiting.to_string()));
    rows.push(("unread", me.unread.to_string()));
    rows.push(("version", escape::line(&me.version)));
    fields(&rows, style)
}
