//! Peers: whom we know, how one more comes, how trust and grants end.

use axum::{extract::Path, http::StatusCode, response::Response};

use super::{
    conversations::peer_id,
    page::answer,
    session::Left,
    view::{self, Frame, Notice, PeersView, Section},
    visit::{Submitted, Visit},
};
use crate::{
    base::{GrantId, PendingId, limits::INVITE_LIFE_MAX},
    node::api::{AgentRequest, ApiError, Connected, HumanRequest, InviteMade, Peers},
    trust::PeerState,
};

const SECTION: Section = Section::Peers;
/// The page that a bad invite is mended on.
const PEERS: &str = "/peers";

/// `GET /peers`.
pub(super) async fn list(visit: Visit) -> Response {
    let asked = async { answer!(visit.page.agent(AgentRequest::Peers { state: None }), Peers) };
    let peers: Peers = match asked.await {
        Ok(peers) => peers,
        Err(error) => return visit.trouble(SECTION, &error).await,
    };
    let Left { notice, made, typed } = visit.left();
    let typed = typed.filter(|(at, _)| at == PEERS).map(|(_, text)| text).unwrap_or_default();
    let shown = PeersView { peers: &peers, made: made.as_ref(), typed: &typed };
    let show = |frame: &Frame<'_>| view::peers(frame, &shown);
    visit.show_with(StatusCode::OK, (SECTION, "Peers"), notice.as_ref(), show).await
}

/// `GET /peers/{peer_id}`.
pub(super) async fn one(visit: Visit, Path(id): Path<String>) -> Response {
    let asked = async {
        let peer = peer_id(&id)?.to_string();
        answer!(visit.page.human(HumanRequest::PeerShow { peer }), PeerShown)
    };
    match asked.await {
        Ok(shown) => {
            let show = |frame: &Frame<'_>| view::peer(frame, &shown);
            visit.show(SECTION, &shown.peer.name, show).await
        }
        Err(error) => visit.trouble(SECTION, &error).await,
    }
}

/// `POST /peers/invite`.
pub(super) async fn invite(Submitted { visit, form }: Submitted) -> Response {
    let code = form.ticked("code");
    let asked = async {
        let longest = INVITE_LIFE_MAX.as_secs() / 60;
        let minutes = form.line("expires_minutes").map(|_| form.number("expires_minutes", longest));
        let expires_minutes = minutes.transpose()?;
        let request = AgentRequest::Invite { note: form.line("note"), expires_minutes, code };
        answer!(visit.page.agent(request), Invite)
    };
    let made: Result<InviteMade, ApiError> = asked.await;
    match made {
        Ok(made) => visit.then_with(PEERS, Left { made: Some(made), ..Left::default() }),
        Err(error) => visit.then(PEERS, Err(error)),
    }
}

/// `POST /peers/connect`.
pub(super) async fn connect(Submitted { visit, form }: Submitted) -> Response {
    // The words of a code come in fields of their own.
    let words = ["first", "second", "third"].into_iter().filter_map(|name| form.line(name));
    let words: Vec<_> = words.collect();
    let invite = form.line("invite").unwrap_or_else(|| words.join(" "));
    let (name, note) = (form.line("name"), form.line("note"));
    let request = AgentRequest::Connect { invite: invite.clone(), name, note };
    let asked = async { answer!(visit.page.agent(request), Connect) };
    let connected: Result<Connected, ApiError> = asked.await;
    match connected {
        Ok(connected) => visit.then(&after(&connected), Ok(sentence(&connected))),
        Err(error) => {
            let (notice, typed) = (Some(Notice::Trouble(error)), Some((PEERS.to_owned(), invite)));
            visit.then_with(PEERS, Left { notice, typed, made: None })
        }
    }
}

/// Where a request to connect goes on: at the item to decide, once there is one.
fn after(connected: &Connected) -> String {
    let pending = connected.pending.as_deref().and_then(|id| id.parse::<PendingId>().ok());
    match pending.filter(|_| connected.answered) {
        Some(id) => format!("/waiting/{id}"),
        None => PEERS.to_owned(),
    }
}

fn sentence(connected: &Connected) -> String {
    let name = &connected.peer.name;
    match (connected.state, connected.answered) {
        (PeerState::Trusted, _) => format!("{name} is trusted already."),
        (_, true) => format!("{name} has answered. Look at the request, then decide."),
        (_, false) => format!(
            "Their node has not answered yet. {name} is asked again and again; you are asked here \
             as soon as it answers."
        ),
    }
}

/// `POST /peers/{peer_id}/revoke`.
pub(super) async fn revoke(Path(id): Path<String>, submitted: Submitted) -> Response {
    end(&id, &submitted.visit, false).await
}

/// `POST /peers/{peer_id}/block`.
pub(super) async fn block(Path(id): Path<String>, submitted: Submitted) -> Response {
    end(&id, &submitted.visit, true).await
}

async fn end(id: &str, visit: &Visit, block: bool) -> Response {
    let peer = match peer_id(id) {
        Ok(peer) => peer.to_string(),
        Err(error) => return visit.then(PEERS, Err(error)),
    };
    let place = format!("/peers/{peer}");
    let asked = async { answer!(visit.page.agent(AgentRequest::Revoke { peer, block }), Revoke) };
    let done = asked.await.map(|revoked| {
        let what = if block { "blocked" } else { "not trusted any more" };
        let purged = match revoked.purged {
            0 => String::new(),
            1 => " One message that waited for it was removed.".to_owned(),
            n => format!(" {n} messages that waited for it were removed."),
        };
        format!("{} is {what}.{purged}", revoked.peer.name)
    });
    visit.then(&place, done)
}

/// `POST /grants/{id}/end`. It loosens nothing, so it takes no passphrase.
pub(super) async fn end_grant(Path(id): Path<String>, submitted: Submitted) -> Response {
    let visit = &submitted.visit;
    let asked = async {
        let id: GrantId = id.parse().map_err(|error: crate::base::ids::IdError| {
            let kind = crate::node::api::ErrorKind::NotFound;
            ApiError::new(kind, error.to_string(), "see the grants in the settings")
        })?;
        let id = id.to_string();
        answer!(visit.page.human(HumanRequest::GrantEnd { id }), Done)
    };
    let ended = asked.await;
    visit.back(ended.map(|_| "This grant has ended: you are asked again.".to_owned()))
}
