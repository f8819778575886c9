//! Settings: the rule that an MCP client's answer counts. What else stands there is in `rules`.

use std::time::Duration;

use axum::response::Response;

use super::{sign::Need, visit::Submitted, waiting::grant_bounds};
use crate::{
    base::{GrantId, Severity, limits::TEXT_BYTES_MAX},
    node::{
        api::{ApiError, ErrorKind, HumanRequest},
        clock,
    },
    wire::{Direction, Grant, GrantKind},
};

/// `POST /settings/inline`: signs that an MCP client's answer counts for what our agent sends.
pub(super) async fn inline(submitted: Submitted) -> Response {
    let outcome = allow_inline(&submitted).await;
    let done = "From now on your MCP client may ask you, and its answer counts.";
    submitted.visit.then("/settings", outcome.map(|()| done.to_owned()))
}

async fn allow_inline(submitted: &Submitted) -> Result<(), ApiError> {
    let Submitted { visit, form } = submitted;
    let (hours, messages) = grant_bounds(form)?;
    let severity_max = Severity::parse(form.text("severity"))
        .filter(|severity| *severity >= Severity::High)
        .ok_or_else(|| {
            let message = "the worst finding is neither high nor critical";
            ApiError::new(ErrorKind::Usage, message, "choose one")
        })?;
    let opened = submitted.open(Need::Afresh).await?;
    let node = visit.page.me();
    let signed = submitted.sign(&opened, |key, now| {
        let grant = Grant {
            id: GrantId::from_bytes(clock::random()),
            node,
            kind: GrantKind::Inline,
            peer: None,
            direction: Direction::Out,
            rules: Vec::new(),
            severity_max,
            size_bytes_max: u64::try_from(TEXT_BYTES_MAX).unwrap_or(u64::MAX),
            messages_max: messages,
            from: now,
            until: now.plus(Duration::from_hours(hours)),
            kinds: Vec::new(),
            per_hour_max: None,
        };
        grant.sign(key)
    })?;
    drop(opened);
    // Which answer it is does not matter: no error is what counts.
    visit.page.human(HumanRequest::Grant((&signed).into())).await.map(drop)
}
