//! The timeline, and the whole chain as a file.

use axum::{
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use super::{
    conversations::peers,
    page::{Page, answer},
    view::{self, EvidenceView, Frame, Section},
    visit::{Visit, see_other},
};
use crate::{
    base::{PeerId, limits::EVIDENCE_PAGE},
    node::api::{ApiError, ErrorKind, HumanRequest, Peer, Timeline},
};

/// Records that one part of an export holds.
const EXPORT_RECORDS: u32 = 500;

/// `GET /evidence`.
pub(super) async fn page(visit: Visit) -> Response {
    let event = visit.query.line("event");
    let peer = visit.query.parsed::<PeerId>("peer").map(|peer| peer.to_string());
    match part(&visit, event.clone(), peer.clone()).await {
        Ok((timeline, peers)) => {
            let shown = EvidenceView {
                timeline: &timeline,
                event: event.as_deref(),
                peer: peer.as_deref(),
                peers: &peers,
            };
            let show = |frame: &Frame<'_>| view::evidence(frame, &shown);
            visit.show(Section::Evidence, "Evidence", show).await
        }
        Err(error) => visit.trouble(Section::Evidence, &error).await,
    }
}

async fn part(
    visit: &Visit,
    event: Option<String>,
    peer: Option<String>,
) -> Result<(Timeline, Vec<Peer>), ApiError> {
    let (events, before) = (event.into_iter().collect(), visit.query.parsed("before"));
    let request = HumanRequest::Timeline { events, peer, before, limit: EVIDENCE_PAGE };
    let timeline = answer!(visit.page.human(request), Timeline)?;
    Ok((timeline, peers(&visit.page).await?))
}

/// Where an export is.
enum Place {
    /// After this record.
    After(u64),
    /// The last line.
    Verdict,
    End,
}

/// An export under way.
struct Export {
    page: Page,
    ended: CancellationToken,
    place: Place,
}

impl Export {
    /// The next lines. An error when the session ends first: what was cut short must not look whole.
    async fn next(mut self) -> Result<Option<(String, Self)>, ApiError> {
        let (ended, page) = (self.ended.clone(), self.page.clone());
        let lines = async {
            Ok(match self.place {
                Place::After(after) => Some(records(&page, after).await?),
                Place::Verdict => Some((verdict(&page).await?, Place::End)),
                Place::End => None,
            })
        };
        let over = || ApiError::new(ErrorKind::Refused, "the session has ended", "open it again");
        let part = ended.run_until_cancelled(lines).await.ok_or_else(over)??;
        Ok(part.map(|(lines, place)| {
            self.place = place;
            (lines, self)
        }))
    }
}

/// `GET /evidence/export`: every record, a line each, and at the end whether the chain is whole. It
/// ends with the session.
pub(super) async fn export(visit: Visit) -> Response {
    let Some(ended) = visit.page.sessions().ended(visit.entered.id) else {
        return see_other("/evidence");
    };
    let export = Export { page: visit.page, ended, place: Place::After(0) };
    let lines = stream::try_unfold(export, Export::next);
    let kind = HeaderValue::from_static("application/x-ndjson");
    let name = HeaderValue::from_static("attachment; filename=\"countersign-evidence.ndjson\"");
    let headers = [(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, name)];
    (StatusCode::OK, headers, Body::from_stream(lines)).into_response()
}

async fn records(page: &Page, after: u64) -> Result<(String, Place), ApiError> {
    let request = HumanRequest::AuditShow { after, limit: EXPORT_RECORDS };
    let part = answer!(page.human(request), Audit)?;
    let mut lines = String::new();
    for record in &part.records {
        // Our own struct of plain values always serialises.
        lines.push_str(&serde_json::to_string(record).unwrap_or_default());
        lines.push('\n');
    }
    let last = part.records.last().filter(|_| part.more);
    Ok((lines, last.map_or(Place::Verdict, |record| Place::After(record.seq))))
}

async fn verdict(page: &Page) -> Result<String, ApiError> {
    let verified = answer!(page.human(HumanRequest::AuditVerify), AuditVerified)?;
    Ok(format!("{}\n", serde_json::json!({ "verified": verified })))
}
