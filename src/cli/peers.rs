//! `invite`, `connect`, `peers` and `revoke`.

use std::io::{self, IsTerminal as _};

use super::{
    Ctx, Exit, approval, code, escape,
    print::{self, Style, fields, table},
    terminal::Terminal,
};
use crate::{
    base::limits,
    ipc::ClientError,
    node::api::{
        AgentRequest, Connected, ErrorKind, HumanRequest, InviteMade, Peer, Peers, Request,
        Revoked, UseInvite,
    },
    trust::PeerState,
};

/// Makes an invite.
pub(super) async fn invite(
    ctx: &Ctx,
    note: Option<String>,
    expires_minutes: Option<u64>,
    code: bool,
) -> anyhow::Result<Exit> {
    let made: InviteMade = ctx.agent(AgentRequest::Invite { note, expires_minutes, code }).await?;
    if let Some(code) = &made.code {
        ctx.out.data(&made, |style| style.bold(&escape::line(code)))?;
        print::talk(&format!(
            "Say these three words to one person. They are good for {} minutes and for one try.\n\
             They run: countersign connect, and type the words. Then both of you are asked. Who said \
             or heard the words themselves, and not by their agent, approves with --verified.",
            limits::CODE_LIFE.as_secs() / 60
        ));
        return Ok(Exit::Done);
    }
    ctx.out.data(&made, |_| escape::line(&made.invite))?;
    print::talk(&format!(
        "Hand it to one person over a channel that you trust; it can be used once, until {}.\n\
         They run: countersign connect INVITE. Then both of you are asked.",
        escape::line(&made.expires_at)
    ));
    Ok(Exit::Done)
}

/// Uses an invite or a code. What was not given is asked for, where there is a terminal.
pub(super) async fn connect(
    ctx: &Ctx,
    given: Vec<String>,
    name: Option<String>,
    note: Option<String>,
) -> anyhow::Result<Exit> {
    let invite = if given.is_empty() { code::ask()? } else { given.join(" ") };
    let connected = ask_for_peer(ctx, UseInvite { invite, name, note }).await?;
    ctx.out.data(&connected, |style| {
        let mut rows = vec![
            ("peer", escape::line(&connected.peer.name)),
            ("id", escape::line(&connected.peer.id)),
            ("state", state(connected.state, style)),
        ];
        if let Some(pending) = &connected.pending {
            rows.push(("waits", escape::line(pending)));
        }
        fields(&rows, style)
    })?;
    print::talk(&match &connected.pending {
        Some(pending) if connected.answered => {
            format!("Decide with: countersign approve {}", escape::line(pending))
        }
        Some(_) => "The other side's node has not answered yet. It is tried again and again; once \
                    it has, `countersign pending` shows the words to compare."
            .to_owned(),
        None => escape::line(&connected.next),
    });
    Ok(match connected.state {
        PeerState::Trusted => Exit::Done,
        PeerState::Requested | PeerState::Incoming => Exit::Waits,
        PeerState::Revoked | PeerState::Blocked => Exit::Denied,
    })
}

/// Asks as an agent does. What a human alone may do is done when a person at the terminal says so.
async fn ask_for_peer(ctx: &Ctx, asked: UseInvite) -> anyhow::Result<Connected> {
    let mut client = ctx.client().await?;
    let spinner = print::spinner("asking the other side's node");
    let UseInvite { invite, name, note } = asked.clone();
    let request = Request::Agent(AgentRequest::Connect { invite, name, note });
    let answered = client.ask(request).await;
    drop(spinner);
    let error = match answered {
        Err(ClientError::Api(error)) if error.kind == ErrorKind::WaitsForHuman => error,
        answered => return Ok(answered?),
    };
    // Without approvals nobody can say yes, and without a terminal nobody is here.
    let is_set_up = approval::sealed(&ctx.home).is_ok();
    let terminal =
        if is_set_up && io::stdin().is_terminal() { Terminal::open().ok() } else { None };
    let Some(mut terminal) = terminal else { return Err(error.into()) };
    terminal.say(&escape::line(&error.message))?;
    if !matches!(terminal.line("use it? [y/N] ")?.as_str(), "y" | "Y" | "yes") {
        return Err(error.into());
    }
    drop(terminal);
    let _spinner = print::spinner("asking the other side's node");
    Ok(client.ask(Request::Human(HumanRequest::Connect(asked))).await?)
}

/// Lists peers.
pub(super) async fn peers(ctx: &Ctx) -> anyhow::Result<Exit> {
    let peers: Peers = ctx.agent(AgentRequest::Peers { state: None }).await?;
    ctx.out.data(&peers, |style| peers_text(&peers, style))?;
    Ok(Exit::Done)
}

fn peers_text(peers: &Peers, style: Style) -> String {
    if peers.peers.is_empty() {
        return "No peers yet: `countersign invite` makes an invite.".to_owned();
    }
    let heading = ["NAME", "STATE", "VERIFIED", "PATH", "SINCE", "LAST SEEN", "CALLS ITSELF", "ID"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(peers.peers.iter().map(row));
    let mut text = table(&rows, style);
    for peer in &peers.peers {
        if let Some(warning) = &peer.warning {
            let line = format!("{}: {}", escape::line(&peer.name), escape::line(warning));
            text.extend(["\n", &style.warn(&line)]);
        }
        let name = escape::line(&peer.name);
        if let Some(relay) = &peer.relay {
            text.extend(["\n", &name, " is reached through the relay ", &escape::line(relay)]);
        }
        for (whose, sentences) in [
            (format!("{name} requires of you"), &peer.requires),
            (format!("you require of {name}"), &peer.we_require),
        ] {
            for sentence in sentences {
                text.extend(["\n", &whose, ": ", &escape::line(sentence)]);
            }
        }
    }
    text
}

fn row(peer: &Peer) -> Vec<String> {
    vec![
        escape::line(&peer.name),
        peer.state.as_str().to_owned(),
        if peer.verified { "yes" } else { "no" }.to_owned(),
        path(peer),
        peer.path_since.as_deref().map_or_else(|| "-".to_owned(), escape::line),
        peer.last_seen.as_deref().map_or_else(|| "-".to_owned(), escape::line),
        format!("\"{}\"", escape::line(&peer.claim)),
        escape::line(&peer.id),
    ]
}

/// How it is reached: `direct 2.1 ms pq`.
fn path(peer: &Peer) -> String {
    let mut path = escape::line(&peer.path);
    if let Some(ms) = peer.rtt_ms {
        path.extend([" ", &format!("{ms:.1} ms")]);
    }
    path.push_str(match peer.pq {
        Some(true) => " pq",
        Some(false) => " no pq",
        None => "",
    });
    path
}

/// A peer's state, in its colour.
fn state(state: PeerState, style: Style) -> String {
    match state {
        PeerState::Trusted => style.good(state.as_str()),
        PeerState::Requested | PeerState::Incoming => style.warn(state.as_str()),
        PeerState::Revoked | PeerState::Blocked => style.bad(state.as_str()),
    }
}

/// Ends trust.
pub(super) async fn revoke(ctx: &Ctx, peer: String, block: bool) -> anyhow::Result<Exit> {
    let revoked: Revoked = ctx.agent(AgentRequest::Revoke { peer, block }).await?;
    ctx.out.data(&revoked, |style| {
        let name = escape::line(&revoked.peer.name);
        format!("{name} is {}", state(revoked.state, style))
    })?;
    print::talk(&format!("Messages that waited for it and never left: {}", revoked.purged));
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_draw_on_the_list() {
        let peer = Peer {
            name: "bob".into(),
            id: "00ff".into(),
            claim: "Bob\u{1b}[2J\nalice".into(),
            state: PeerState::Trusted,
            verified: true,
            path: "direct".into(),
            rtt_ms: Some(0.44),
            path_since: Some("2026-11-21T09:00:00.000Z".into()),
            relay: Some("https://relay.example/\u{1b}[2J".into()),
            pq: Some(true),
            last_seen: None,
            grants: Vec::new(),
            requires: vec!["messages of kind request need it\u{1b}".into()],
            we_require: vec!["all messages need it".into()],
            warning: Some("its approver changed\u{202e}".into()),
        };
        let text = peers_text(&Peers { peers: vec![peer] }, Style::plain());
        insta::assert_snapshot!(text, @r#"
        NAME  STATE    VERIFIED  PATH              SINCE                     LAST SEEN  CALLS ITSELF           ID
        bob   trusted  yes       direct 0.4 ms pq  2026-11-21T09:00:00.000Z  -          "Bob\u{1b}[2J\nalice"  00ff
        bob: its approver changed\u{202e}
        bob is reached through the relay https://relay.example/\u{1b}[2J
        bob requires of you: messages of kind request need it\u{1b}
        you require of bob: all messages need it
        "#);
    }
}
