//! What waits, and the decisions about it. What is signed is what was shown: each form names
//! one digest of the item's bytes, of whose texts were read before it, and of how strong a yes it
//! needs. All three are fetched and checked again before anything is signed.

use std::fmt::Write as _;

use axum::{
    extract::Path,
    http::header::CONTENT_TYPE,
    response::{IntoResponse as _, Response},
};
use data_encoding::HEXLOWER;

use super::{
    form::Form,
    page::{Page, answer},
    sign::Need,
    view::{self, Card, Section},
    visit::{Submitted, Visit},
};
use crate::{
    base::{Digest, GrantId, PendingId, limits},
    gate::What,
    node::{
        api::{ApiError, Decided, ErrorKind, HumanRequest, PendingItem, PendingShown},
        clock,
        review::{self, Checked, Like},
    },
    wire::Grant,
};

/// An item, as far as it can be shown.
enum Held {
    Ready(Checked),
    NotReady(PendingItem),
    Broken(PendingItem, ApiError),
    /// Too long to be shown beside others: it has a page of its own.
    Long(PendingItem),
}

impl Held {
    fn of(page: &Page, shown: PendingShown) -> Result<Self, ApiError> {
        if shown.item.not_ready.is_some() {
            return Ok(Self::NotReady(shown.item));
        }
        let (item, approver) = (shown.item.clone(), page.approver()?.public());
        Ok(match Checked::new(shown, page.me(), &approver) {
            Ok(checked) => Self::Ready(checked),
            Err(error) => Self::Broken(item, error),
        })
    }

    const fn card(&self) -> Card<'_> {
        match self {
            Self::Ready(checked) => Card::Ready(checked),
            Self::NotReady(item) => Card::NotReady(item),
            Self::Broken(item, error) => Card::Broken(item, error),
            Self::Long(item) => Card::Long(item),
        }
    }
}

async fn shown(page: &Page, id: &str) -> Result<PendingShown, ApiError> {
    answer!(page.human(HumanRequest::Show { id: id.to_owned() }), Show)
}

/// All that waits, and what the human should know of.
async fn all(page: &Page) -> Result<(Vec<Held>, Vec<String>), ApiError> {
    let list = answer!(page.human(HumanRequest::Pending), Pending)?;
    let (mut held, mut bytes) = (Vec::new(), 0_u64);
    for item in list.items {
        bytes = bytes.saturating_add(item.size_bytes);
        if bytes > limits::WAITING_LIST_BYTES && item.size_bytes > limits::WAITING_SHORT_BYTES {
            held.push(Held::Long(item));
            continue;
        }
        match shown(page, &item.id).await {
            Ok(shown) => held.push(Held::of(page, shown)?),
            // Decided in between.
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok((held, list.warnings))
}

/// `GET /waiting`.
pub(super) async fn list(visit: Visit) -> Response {
    match all(&visit.page).await {
        Ok((held, warnings)) => {
            let cards: Vec<_> = held.iter().map(Held::card).collect();
            let show = |frame: &view::Frame<'_>| view::waiting(frame, &cards, &warnings);
            visit.show(Section::Waiting, "Waiting", show).await
        }
        Err(error) => visit.trouble(Section::Waiting, &error).await,
    }
}

/// `GET /waiting/{id}`.
pub(super) async fn item(visit: Visit, Path(id): Path<String>) -> Response {
    let held = shown(&visit.page, &id).await.and_then(|shown| Held::of(&visit.page, shown));
    match held {
        Ok(held) => {
            let show = |frame: &view::Frame<'_>| view::waiting_item(frame, Some(&held.card()));
            visit.show(Section::Waiting, "Waiting", show).await
        }
        // A page that was open when it was decided reads this too, and shows it.
        Err(error) if error.kind == ErrorKind::NotFound && id.parse::<PendingId>().is_ok() => {
            let show = |frame: &view::Frame<'_>| view::waiting_item(frame, None);
            let (status, notice) = (visit.gone(), visit.left().notice);
            let shown = (Section::Waiting, "Waiting");
            visit.show_with(status, shown, notice.as_ref(), show).await
        }
        Err(error) => visit.trouble(Section::Waiting, &error).await,
    }
}

/// `GET /waiting/{id}/raw`: the exact bytes.
pub(super) async fn raw(visit: Visit, Path(id): Path<String>) -> Response {
    let bytes = shown(&visit.page, &id).await.and_then(|shown| {
        let decoded = HEXLOWER.decode(shown.bytes.as_bytes());
        decoded.map_err(|_| super::page::unexpected())
    });
    match bytes {
        Ok(bytes) => {
            ([(CONTENT_TYPE, "text/plain; charset=utf-8")], hex_dump(&bytes)).into_response()
        }
        Err(error) => visit.trouble(Section::Waiting, &error).await,
    }
}

/// Sixteen bytes a line: where they begin, each of them, and those that are ASCII.
fn hex_dump(bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (line, part) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = part.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = |byte: &u8| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => '.',
        };
        let text: String = part.iter().map(shown).collect();
        // Writing into a string does not fail.
        writeln!(dump, "{:08x}  {:<47}  |{text}|", line * 16, hex.join(" ")).ok();
    }
    dump
}

/// `POST /waiting/{id}/approve`.
pub(super) async fn approve(Path(id): Path<String>, submitted: Submitted) -> Response {
    let outcome = yes(&submitted, &id, false).await;
    decided(&submitted.visit, &id, outcome)
}

/// `POST /waiting/{id}/grant`: a yes, and a grant for the like of it.
pub(super) async fn grant(Path(id): Path<String>, submitted: Submitted) -> Response {
    let outcome = yes(&submitted, &id, true).await;
    decided(&submitted.visit, &id, outcome)
}

fn decided(visit: &Visit, id: &str, outcome: Result<String, ApiError>) -> Response {
    // Parsed, so that it is a path's part and nothing else.
    let place = id.parse::<PendingId>().map(|id| format!("/waiting/{id}"));
    match (&outcome, place) {
        (Err(error), Ok(place)) if error.kind != ErrorKind::NotFound => visit.then(&place, outcome),
        _ => visit.then("/waiting", outcome),
    }
}

async fn yes(submitted: &Submitted, id: &str, with_grant: bool) -> Result<String, ApiError> {
    let Submitted { visit, form } = submitted;
    let page = &visit.page;
    let id: PendingId = id.parse().map_err(|e| not_waiting(&e))?;
    let shown = shown(page, &id.to_string()).await?;
    review::ready(&shown.item, clock::now())?;
    let checked = Checked::new(shown, page.me(), &page.approver()?.public())?;
    is_what_was_shown(&checked, form.text("digest"))?;
    let what = checked.item().what();
    let is_peer = matches!(what, What::PeerIn | What::PeerOut);
    let verified = is_peer && form.ticked("verified");
    let grant = if with_grant { Some(wanted(form, &checked)?) } else { None };
    let afresh = is_peer || with_grant || Need::of(checked.shown().strength) == Need::Afresh;
    let need = if afresh { Need::Afresh } else { Need::Session };
    let opened = submitted.open(need).await?;
    let method = opened.method();
    let approve = |key: &_, now| checked.approve(id, method, verified, (key, now));
    let decision = submitted.sign(&opened, approve)?;
    let sign = |grant: &Grant| submitted.sign(&opened, |key, _| grant.sign(key));
    let signed = grant.as_ref().map(sign).transpose()?;
    drop(opened);
    let request = review::request(id, &decision, signed.as_ref());
    let done: Decided = answer!(page.human(request), Decided)?;
    tracing::debug!(id = %done.id, %method, "approved on the page");
    let told = |grant| review::grant_text(&grant, Some(&checked.shown().peer.name));
    Ok(match grant.map(told) {
        Some(told) => format!("Approved, with a grant that you signed: {told}"),
        None => said(what).to_owned(),
    })
}

fn not_waiting(problem: &impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorKind::NotFound, problem.to_string(), "see what waits")
}

/// What would be signed, and how, is what this form was shown with.
fn is_what_was_shown(checked: &Checked, digest: &str) -> Result<(), ApiError> {
    let shown: Option<Digest> = digest.parse().ok();
    if shown == Some(checked.seen()) {
        return Ok(());
    }
    let message = "what waits is not what this form was shown with";
    Err(ApiError::new(ErrorKind::Refused, message, "nothing was approved; look at it again"))
}

const fn said(what: What) -> &'static str {
    match what {
        What::PeerIn | What::PeerOut => {
            "Approved: you are connected as soon as the other person says yes too."
        }
        What::MessageOut => "Approved: it carries your countersignature and is on its way.",
        What::MessageIn => "Approved: it is in the inbox.",
    }
}

/// The grant for the like of one message, with the numbers that were typed. It is made as for the
/// sentence on the page and as a command makes it.
fn wanted(form: &Form, checked: &Checked) -> Result<Grant, ApiError> {
    let (hours, messages) = grant_bounds(form)?;
    let per_hour = match form.line("per_hour") {
        Some(_) => Some(form.number("per_hour", limits::GRANT_MESSAGES_MAX)?),
        None => None,
    };
    let like = Like { hours, messages, per_hour, same_kind: form.ticked("same_kind") };
    review::grant_like(checked, like, clock::now(), GrantId::from_bytes(clock::random()))
}

/// How long, in hours, and how often: the part of a grant that a person chooses.
pub(super) fn grant_bounds(form: &Form) -> Result<(u64, u64), ApiError> {
    let hours_max = limits::GRANT_LIFE_MAX.as_secs() / 3600;
    Ok((form.number("hours", hours_max)?, form.number("messages", limits::GRANT_MESSAGES_MAX)?))
}

/// `POST /waiting/{id}/deny`. A no needs no signature: it loosens nothing.
pub(super) async fn deny(Path(id): Path<String>, Submitted { visit, .. }: Submitted) -> Response {
    let outcome = no(&visit.page, &id, false).await;
    decided(&visit, &id, outcome.map(|()| "Denied: it does not pass.".to_owned()))
}

/// `POST /waiting/{id}/block`.
pub(super) async fn block(Path(id): Path<String>, Submitted { visit, .. }: Submitted) -> Response {
    let outcome = no(&visit.page, &id, true).await;
    let done = "Denied, and blocked: nothing more is heard of this peer.";
    decided(&visit, &id, outcome.map(|()| done.to_owned()))
}

async fn no(page: &Page, id: &str, block: bool) -> Result<(), ApiError> {
    let request = HumanRequest::Deny { id: id.to_owned(), block };
    answer!(page.human(request), Decided).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_bytes_are_shown_with_their_places_and_nothing_a_browser_obeys() {
        let dump = hex_dump(b"<script>\n\xe2\x80\xae and more");
        assert_eq!(
            dump,
            "00000000  3c 73 63 72 69 70 74 3e 0a e2 80 ae 20 61 6e 64  |<script>.... and|\n\
             00000010  20 6d 6f 72 65                                   | more|\n"
        );
    }
}
