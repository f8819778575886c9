//! Conversations, one message, the search; and writing as a human.

use axum::{extract::Path, response::Response};
use data_encoding::HEXLOWER;

use super::{
    page::{Page, answer, unexpected},
    session::Left,
    sign::Need,
    view::{self, Frame, MessageView, Notice, SearchView, Section, TalkView},
    visit::{Submitted, Visit},
};
use crate::{
    base::{
        MessageId, MessageText, PeerId, ThreadId,
        limits::{READ_BYTES_MAX, SEARCH_PAGE, TALK_PAGE, TEXT_BYTES_MAX},
    },
    node::api::{
        AgentRequest, ApiError, ErrorKind, Found, HumanRequest, Message, MessageLife, Peer,
        PeerRef, Talk, Threads,
    },
    wire::{Countersignature, Envelope},
};

const SECTION: Section = Section::Conversations;
/// Reads that make up the largest text, with room for characters that a read does not cut.
const READS_MAX: usize = TEXT_BYTES_MAX / READ_BYTES_MAX + 3;

/// A peer's id in an address.
pub(super) fn peer_id(id: &str) -> Result<PeerId, ApiError> {
    id.parse().map_err(|_| ApiError::new(ErrorKind::NotFound, "no such peer", "see the peers"))
}

/// Every peer.
pub(super) async fn peers(page: &Page) -> Result<Vec<Peer>, ApiError> {
    let asked = page.agent(AgentRequest::Peers { state: None });
    answer!(asked, Peers).map(|peers| peers.peers)
}

/// `GET /conversations`.
pub(super) async fn list(visit: Visit) -> Response {
    let asked = visit.page.human(HumanRequest::Conversations);
    let all = async { answer!(asked, Conversations) };
    match all.await {
        Ok(all) => {
            let show = |frame: &Frame<'_>| view::conversations(frame, &all);
            visit.show(SECTION, "Conversations", show).await
        }
        Err(error) => visit.trouble(SECTION, &error).await,
    }
}

/// `GET /conversations/{peer_id}`.
pub(super) async fn talk(visit: Visit, Path(id): Path<String>) -> Response {
    match part(&visit, &id).await {
        Ok((talk, threads)) => {
            let Left { notice, typed, .. } = visit.left();
            let typed = typed.filter(|(at, _)| *at == talk.peer.id).map(|(_, text)| text);
            let reply_to = visit.query.parsed::<MessageId>("reply_to").map(|id| id.to_string());
            let shown = TalkView {
                talk: &talk,
                threads: &threads,
                older_part: visit.query.parsed::<u64>("before").is_some(),
                typed: typed.as_deref().unwrap_or_default(),
                reply_to: reply_to.as_deref(),
            };
            let show = |frame: &Frame<'_>| view::conversation(frame, &shown);
            let ok = axum::http::StatusCode::OK;
            visit.show_with(ok, (SECTION, &talk.peer.name), notice.as_ref(), show).await
        }
        Err(error) => visit.trouble(SECTION, &error).await,
    }
}

async fn part(visit: &Visit, id: &str) -> Result<(Talk, Threads), ApiError> {
    let peer = peer_id(id)?.to_string();
    let threads = HumanRequest::Threads { peer: peer.clone() };
    let thread = visit.query.parsed::<ThreadId>("thread").map(|thread| thread.to_string());
    let before = visit.query.parsed("before");
    let talk = HumanRequest::Talk { peer, thread, before, limit: TALK_PAGE };
    let talk = answer!(visit.page.human(talk), Talk)?;
    Ok((talk, answer!(visit.page.human(threads), Threads)?))
}

/// `POST /conversations/{peer_id}/write`.
pub(super) async fn write(Path(id): Path<String>, submitted: Submitted) -> Response {
    let peer = match peer_id(&id) {
        Ok(peer) => peer,
        Err(error) => return submitted.visit.then("/conversations", Err(error)),
    };
    let letter = Letter::read(&submitted, peer);
    let Submitted { visit, .. } = &submitted;
    match letter.send(&submitted).await {
        Ok(said) => visit.then(&letter.place(false), Ok(said)),
        Err(error) => {
            let typed = Some((peer.to_string(), letter.text.clone()));
            let left = Left { notice: Some(Notice::Trouble(error)), typed, made: None };
            visit.then_with(&letter.place(true), left)
        }
    }
}

/// A message that a human typed.
struct Letter {
    to: PeerId,
    text: String,
    thread: Option<ThreadId>,
    reply_to: Option<MessageId>,
}

impl Letter {
    fn read(submitted: &Submitted, to: PeerId) -> Self {
        let form = &submitted.form;
        let (thread, reply_to) = (form.parsed("thread"), form.parsed("reply_to"));
        Self { to, text: form.lines("text"), thread, reply_to }
    }

    /// The conversation; to mend the letter, with what it was an answer to.
    fn place(&self, mend: bool) -> String {
        let thread = self.thread.map(|thread| format!("thread={thread}"));
        let reply_to = self.reply_to.filter(|_| mend).map(|id| format!("reply_to={id}"));
        let query: Vec<String> = thread.into_iter().chain(reply_to).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("/conversations/{}{mark}{}", self.to, query.join("&"))
    }

    async fn send(&self, submitted: &Submitted) -> Result<String, ApiError> {
        if self.text.trim().is_empty() {
            return Err(ApiError::new(ErrorKind::Usage, "there is no text", "write something"));
        }
        let page = &submitted.visit.page;
        let draft = HumanRequest::Draft {
            to: self.to.to_string(),
            text: self.text.clone(),
            reply_to: self.reply_to.map(|id| id.to_string()),
            thread: self.thread.map(|thread| thread.to_string()),
        };
        let drafted = answer!(page.human(draft), Drafted)?;
        let bytes = HEXLOWER.decode(drafted.envelope.as_bytes()).map_err(|_| unexpected())?;
        let envelope = Envelope::decode(&bytes).map_err(|error| other_draft(&error.to_string()))?;
        self.is_draft(&envelope, &page.me())?;
        let opened = submitted.open(Need::of(drafted.strength)).await?;
        let signed = submitted.sign(&opened, |key, now| {
            let signature = Countersignature::sign(&envelope, key, opened.method(), now)?;
            envelope.with_countersignature(signature)
        })?;
        let send = HumanRequest::SendDraft { envelope: HEXLOWER.encode(signed.bytes()) };
        // Whichever answer it is: no error is what counts.
        page.human(send).await.map(|_| "Sent, as written and signed by you.".to_owned())
    }

    /// The draft says what was typed, to whom it was typed, and nothing else.
    fn is_draft(&self, envelope: &Envelope, me: &PeerId) -> Result<(), ApiError> {
        let header = envelope.header();
        let text = envelope.body().text().map(MessageText::as_str);
        let wrong = if text != Some(self.text.as_str()) {
            "another text"
        } else if header.recipient != self.to || header.sender != *me {
            "other people"
        } else if header.reply_to != self.reply_to {
            "another message that it answers"
        } else if self.thread.is_some_and(|thread| header.thread != Some(thread)) {
            "another conversation"
        } else if !header.human || envelope.countersignature().is_some() {
            "another author"
        } else {
            return Ok(());
        };
        Err(other_draft(wrong))
    }
}

fn other_draft(problem: &str) -> ApiError {
    let message = format!("the draft is not what was typed: {problem}");
    ApiError::new(ErrorKind::Failed, message, "nothing was signed; run `countersign doctor`")
}

/// `GET /message/{id}`.
pub(super) async fn message(visit: Visit, Path(id): Path<String>) -> Response {
    match whole(&visit.page, &id).await {
        Ok(Whole { message, text, life, peer }) => {
            let shown =
                MessageView { message: &message, text: &text, life: &life, peer: peer.as_ref() };
            visit.show(SECTION, "Message", |frame| view::message(frame, &shown)).await
        }
        Err(error) => visit.trouble(SECTION, &error).await,
    }
}

struct Whole {
    message: Message,
    text: String,
    life: MessageLife,
    peer: Option<PeerRef>,
}

async fn whole(page: &Page, id: &str) -> Result<Whole, ApiError> {
    let read = |offset| AgentRequest::Read { id: id.to_owned(), offset, mark_read: false };
    let first = answer!(page.agent(read(None)), Read)?;
    let (message, mut next) = (first.message, first.next_offset);
    let mut text = message.text.clone();
    for _ in 0..READS_MAX {
        let Some(offset) = next else { break };
        let part = answer!(page.agent(read(Some(offset))), Read)?;
        text.push_str(&part.message.text);
        next = part.next_offset;
    }
    let life = answer!(page.agent(AgentRequest::Message { id: id.to_owned() }), Message)?;
    let name = if message.direction == "out" { &message.to } else { &message.from };
    let peer = peers(page).await?.into_iter().find(|peer| peer.name == *name);
    let peer = peer.map(|peer| PeerRef { id: peer.id, name: peer.name });
    Ok(Whole { message, text, life, peer })
}

/// `GET /search`.
pub(super) async fn search(visit: Visit) -> Response {
    let peers = match peers(&visit.page).await {
        Ok(peers) => peers,
        Err(error) => return visit.trouble(SECTION, &error).await,
    };
    let query = visit.query.line("q").unwrap_or_default();
    let peer = visit.query.parsed::<PeerId>("peer").map(|peer| peer.to_string());
    let found = look_for(&visit, &query, peer.clone()).await;
    let notice = found.as_ref().err().cloned().map(Notice::Trouble);
    let found = found.unwrap_or_default();
    let shown =
        SearchView { query: &query, peer: peer.as_deref(), peers: &peers, found: found.as_ref() };
    let ok = axum::http::StatusCode::OK;
    let show = |frame: &Frame<'_>| view::search(frame, &shown);
    visit.show_with(ok, (SECTION, "Search"), notice.as_ref(), show).await
}

async fn look_for(
    visit: &Visit,
    query: &str,
    peer: Option<String>,
) -> Result<Option<Found>, ApiError> {
    if query.is_empty() {
        return Ok(None);
    }
    let before = visit.query.parsed("before");
    let search = HumanRequest::Search { query: query.to_owned(), peer, before, limit: SEARCH_PAGE };
    answer!(visit.page.human(search), Found).map(Some)
}
