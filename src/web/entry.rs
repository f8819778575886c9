//! The ways in and out: a link's code, the passphrase, the lock, the end of a session.

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header::RETRY_AFTER},
    response::Response,
};
use tokio::time::sleep;

use super::{
    form::Form,
    page::{Page, answer},
    view::{self, Notice},
    visit::{
        Submitted, Visit, outside, outside_with, read_form, see_other, with_cookie, without_cookie,
    },
};
use crate::{
    base::{Secret, limits::PAGE_WRONG_CODE_PAUSE},
    node::{
        api::{ApiError, ErrorKind, HumanRequest},
        clock,
    },
};

/// Bytes of a code that are looked at.
const CODE_BYTES_MAX: usize = 128;

/// `GET /`.
pub(super) async fn root(_: Visit) -> Response {
    see_other("/waiting")
}

/// `GET /open`: its script reads the code behind `#`, which no request carries.
pub(super) async fn open_page() -> Response {
    outside(StatusCode::OK, "Open", view::open)
}

/// `POST /open`: a code becomes a session, once. There is no session's token to ask for yet; the
/// guards' look at `Origin` is what keeps other sites out.
pub(super) async fn open(State(page): State<Page>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match read_form(&parts.headers, body).await {
        Ok(form) => enter(&page, &form).await.unwrap_or_else(|(status, error)| no(status, error)),
        Err((status, error)) => no(status, error),
    }
}

fn no(status: StatusCode, error: ApiError) -> Response {
    let notice = Notice::Trouble(error);
    let mut response = outside_with(status, "Open", Some(&notice), view::open);
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A good code always opens: wrong ones, of whomever, slow down only each other.
async fn enter(page: &Page, form: &Form) -> Result<Response, (StatusCode, ApiError)> {
    let code = form.line("code").filter(|code| code.len() <= CODE_BYTES_MAX).unwrap_or_default();
    let opened = async { answer!(page.human(HumanRequest::PageOpen { code }), PageOpened) };
    let opened = opened.await.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error))?;
    if !opened.opened {
        return Err(wrong(page).await);
    }
    let random = Secret::new(clock::random());
    let cookie = page.sessions().begin(&random, form.text("origin_key"), clock::now());
    Ok(with_cookie(page, &cookie, see_other("/waiting")))
}

async fn wrong(page: &Page) -> (StatusCode, ApiError) {
    if page.wrong_code(clock::now()) {
        sleep(PAGE_WRONG_CODE_PAUSE).await;
        let message = "too many codes were tried that open nothing";
        let error = ApiError::new(ErrorKind::Busy, message, "get a new link: countersign page");
        return (StatusCode::TOO_MANY_REQUESTS, error);
    }
    let message = "this link was used already, or its time is over";
    let next = "get a new one: countersign page";
    (StatusCode::FORBIDDEN, ApiError::new(ErrorKind::Refused, message, next))
}

/// `POST /unlock`.
pub(super) async fn unlock(submitted: Submitted) -> Response {
    if !submitted.visit.entered.is_bound() {
        let message = "this page was opened without its script, and stays locked";
        let next = "type the passphrase with each decision, or open the page anew with scripts on";
        return submitted.visit.back(Err(ApiError::new(ErrorKind::Refused, message, next)));
    }
    let done = submitted.unlock().await;
    let done = done.map(|()| "Unlocked: you can decide about messages with a click.".to_owned());
    submitted.visit.back(done)
}

/// `POST /lock`.
pub(super) async fn lock(Submitted { visit, .. }: Submitted) -> Response {
    visit.page.sessions().lock(visit.entered.id);
    visit.back(Ok("Locked: the next yes takes your passphrase.".to_owned()))
}

/// `POST /sign-out`.
pub(super) async fn sign_out(Submitted { visit, .. }: Submitted) -> Response {
    visit.page.sessions().end(visit.entered.id);
    cleared(without_cookie(&visit.page, see_other("/open")))
}

/// The browser forgets what it keeps for this site but for cookies: a draft of ours, its forms' key, or
/// what another program left that had the port before.
fn cleared(mut response: Response) -> Response {
    let kinds = HeaderValue::from_static("\"cache\", \"storage\"");
    response.headers_mut().insert(HeaderName::from_static("clear-site-data"), kinds);
    response
}
