//! One request within its session: how it is let in, what it shows, where it leads.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{CONTENT_TYPE, COOKIE, LOCATION, REFERER, SET_COOKIE},
        request::Parts,
    },
    response::{Html, IntoResponse, Response},
};
use cookie::{Cookie, CookieBuilder, SameSite};
use maud::Markup;

use super::{
    form::Form,
    page::{Page, answer},
    session::{Entered, Left, SessionId},
    view::{self, Frame, Lock, Notice, Section},
};
use crate::{
    base::{Secret, limits::FORM_BYTES_MAX},
    http::{BodyError, read_body},
    identity::ApproverKey,
    node::{
        api::{AgentRequest, ApiError, ErrorKind, Whoami},
        clock,
    },
};

/// The script's own requests say so with this header, and take no notice from a person.
const BACKGROUND: &str = "x-background";

/// One request of an open session.
pub(super) struct Visit {
    pub(super) page: Page,
    pub(super) entered: Entered,
    /// What stands behind `?`.
    pub(super) query: Form,
    /// The page that it came from, on this site.
    from: Option<String>,
    deliberate: bool,
}

/// One form of an open session, with its token.
pub(super) struct Submitted {
    pub(super) visit: Visit,
    pub(super) form: Form,
}

impl FromRequestParts<Page> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, page: &Page) -> Result<Self, Response> {
        let (path, now) = (parts.uri.path(), clock::now());
        let deliberate = !parts.headers.contains_key(BACKGROUND) && path != "/events";
        let entered = cookies(&parts.headers, &page.cookie_name())
            .find_map(|cookie| page.sessions().enter(cookie, now));
        let Some(entered) = entered else { return Err(no_session()) };
        let outside = ["/setup", "/sign-out"].contains(&path);
        if !outside && !page.has_approver() {
            return Err(see_other("/setup"));
        }
        let from = came_from(&parts.headers, page.site().origin());
        let query = Form::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let query = query.unwrap_or_default();
        Ok(Self { page: page.clone(), entered, query, from, deliberate })
    }
}

/// The values of our cookie: all of them, in whatever company. Another port's page may have set any
/// number beside ours, some of them no text; how long the headers are is bounded.
fn cookies<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| std::str::from_utf8(pair.trim_ascii()).ok())
        .filter_map(move |pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn came_from(headers: &HeaderMap, origin: &str) -> Option<String> {
    let path = headers.get(REFERER)?.to_str().ok()?.strip_prefix(origin)?;
    // `//` and `/\` would lead to another host.
    let inside = path.starts_with('/') && !path.starts_with("//") && !path.starts_with("/\\");
    inside.then(|| path.to_owned())
}

impl FromRequest<Page> for Submitted {
    type Rejection = Response;

    async fn from_request(request: Request, page: &Page) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, page).await?;
        let form = read_form(&parts.headers, body).await.map_err(|(status, error)| {
            outside(status, "Not taken", |frame| view::error(frame, &error))
        })?;
        if !visit.entered.owns(form.text("csrf"), form.text("origin_key")) {
            let message = "this form belongs to a session that has ended";
            let error = ApiError::new(ErrorKind::Refused, message, "open the page and try again");
            let trouble = |frame: &Frame<'_>| view::error(frame, &error);
            return Err(outside(StatusCode::FORBIDDEN, "Not taken", trouble));
        }
        page.sessions().used(visit.entered.id, clock::now());
        Ok(Self { visit, form })
    }
}

/// Reads a form's body.
pub(super) async fn read_form(
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<Form, (StatusCode, ApiError)> {
    let usage = |message: String| ApiError::new(ErrorKind::Usage, message, "send less, or again");
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
        let error = usage("the body is no form".to_owned());
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
    }
    let body = read_body(body, FORM_BYTES_MAX).await.map_err(|error| {
        let status = match error {
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Broken => StatusCode::BAD_REQUEST,
        };
        (status, usage(error.to_string()))
    })?;
    let many = || (StatusCode::BAD_REQUEST, usage("the form has too many fields".to_owned()));
    Form::parse(&body).ok_or_else(many)
}

impl Visit {
    /// The session, by what it is known by now.
    pub(super) fn id(&self) -> SessionId {
        self.entered.id
    }

    /// Unlocks the session with this key. `false` when it ended or was locked since this request came.
    pub(super) fn unlock(&self, key: Box<ApproverKey>) -> bool {
        self.page.sessions().unlock(&self.entered, key, clock::now())
    }

    /// What was left for this page. The script's refresh does not take it from a person.
    pub(super) fn left(&self) -> Left {
        if !self.deliberate {
            return Left::default();
        }
        self.page.sessions().take_left(self.entered.id)
    }

    /// A whole page, with the notice that was left for it.
    pub(super) async fn show(
        &self,
        section: Section,
        title: &str,
        content: impl FnOnce(&Frame<'_>) -> Markup,
    ) -> Response {
        let notice = self.left().notice;
        self.show_with(StatusCode::OK, (section, title), notice.as_ref(), content).await
    }

    /// A whole page with a notice of its own.
    pub(super) async fn show_with(
        &self,
        status: StatusCode,
        (section, title): (Section, &str),
        notice: Option<&Notice>,
        content: impl FnOnce(&Frame<'_>) -> Markup,
    ) -> Response {
        // Without an answer, the page says what it can.
        let me = self.whoami().await.ok();
        let frame = Frame {
            section,
            title,
            me: me.as_ref(),
            waiting: me.as_ref().map_or(0, |me| me.waiting),
            unread: me.as_ref().map_or(0, |me| me.unread),
            lock: self.entered.lock,
            csrf: &self.entered.csrf,
            notice,
            now: clock::now(),
        };
        (status, Html(content(&frame).into_string())).into_response()
    }

    /// How a thing is answered for that was here before: to the script, which shows that it went,
    /// it is no error.
    pub(super) const fn gone(&self) -> StatusCode {
        if self.deliberate { StatusCode::NOT_FOUND } else { StatusCode::OK }
    }

    pub(super) async fn whoami(&self) -> Result<Whoami, ApiError> {
        answer!(self.page.agent(AgentRequest::Whoami), Whoami)
    }

    /// A page that cannot be shown.
    pub(super) async fn trouble(&self, section: Section, error: &ApiError) -> Response {
        let shown = (section, "Not possible");
        self.show_with(status(error.kind), shown, None, |frame| view::error(frame, error)).await
    }

    /// After a form: to the page at `to`, which says what came of it.
    pub(super) fn then(&self, to: &str, outcome: Result<String, ApiError>) -> Response {
        let notice = match outcome {
            Ok(done) => Notice::Done(done),
            Err(error) => Notice::Trouble(error),
        };
        self.then_with(to, Left { notice: Some(notice), ..Left::default() })
    }

    /// After a form: to the page at `to`, with what is left for it.
    pub(super) fn then_with(&self, to: &str, left: Left) -> Response {
        self.page.sessions().leave(self.id(), left);
        see_other(to)
    }

    /// Back to the page that the form was on.
    pub(super) fn back(&self, outcome: Result<String, ApiError>) -> Response {
        self.then(self.from.as_deref().unwrap_or("/waiting"), outcome)
    }
}

const fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Usage => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Refused | ErrorKind::WaitsForHuman | ErrorKind::Denied => StatusCode::CONFLICT,
        ErrorKind::Busy => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// 303: what follows a form is a page, and loading it again sends nothing twice.
pub(super) fn see_other(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/waiting"));
    (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response()
}

/// A page without a session, and so without anything of this home.
pub(super) fn outside(
    status: StatusCode,
    title: &str,
    content: impl FnOnce(&Frame<'_>) -> Markup,
) -> Response {
    outside_with(status, title, None, content)
}

pub(super) fn outside_with(
    status: StatusCode,
    title: &str,
    notice: Option<&Notice>,
    content: impl FnOnce(&Frame<'_>) -> Markup,
) -> Response {
    let frame = Frame {
        section: Section::Outside,
        title,
        me: None,
        waiting: 0,
        unread: 0,
        lock: Lock::Locked,
        csrf: "",
        notice,
        now: clock::now(),
    };
    (status, Html(content(&frame).into_string())).into_response()
}

fn no_session() -> Response {
    outside(StatusCode::UNAUTHORIZED, "Open this page", view::no_session)
}

/// An address that leads nowhere.
pub(super) async fn nowhere() -> Response {
    let error = ApiError::new(ErrorKind::NotFound, "there is no such page", "go to the start: /");
    outside(StatusCode::NOT_FOUND, "Not found", |frame| view::error(frame, &error))
}

/// An address that is there, asked for in a way that it has not.
pub(super) async fn not_this_way(method: Method) -> Response {
    let message = format!("this address is not for {method}");
    let error = ApiError::new(ErrorKind::Usage, message, "go to the start: /");
    outside(StatusCode::METHOD_NOT_ALLOWED, "Not possible", |frame| view::error(frame, &error))
}

/// Gives the browser its session, until it is closed. No script reads it, and no other site's
/// request carries it.
pub(super) fn with_cookie(page: &Page, value: &Secret<String>, response: Response) -> Response {
    set_cookie(&cookie(page, value.expose_secret()).build(), response)
}

/// Takes it away.
pub(super) fn without_cookie(page: &Page, response: Response) -> Response {
    set_cookie(&cookie(page, "").max_age(cookie::time::Duration::ZERO).build(), response)
}

fn cookie<'c>(page: &Page, value: &'c str) -> CookieBuilder<'c> {
    Cookie::build((page.cookie_name(), value)).path("/").http_only(true).same_site(SameSite::Strict)
}

fn set_cookie(cookie: &Cookie<'_>, mut response: Response) -> Response {
    if let Ok(mut cookie) = HeaderValue::from_str(&cookie.to_string()) {
        cookie.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
