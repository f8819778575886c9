//! Who may ask: the one site, from its own pages, or a person who opens it.
//!
//! Only `localhost:PORT` is answered. `127.0.0.1` and `[::1]` would be other origins with cookies
//! of their own, so that a session would have three homes and a page two faces; they are told
//! where the page is instead. A browser never asks a name server for `localhost` (RFC 6761), and
//! any other name that was made to point here says so in `Host`.

use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{self, HOST, ORIGIN},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

/// The one site that is served: `http://localhost:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    host: String,
    origin: String,
}

/// Why a request goes no further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not for this site: a name that was made to point here, or another way to write it.
    #[error("this is not the page; it is at {0}/")]
    Host(String),
    /// Another site's form, script, frame or image.
    #[error("another site asked for this, and that is refused; open {0}/ yourself")]
    Foreign(String),
}

impl Site {
    /// The site at `port`.
    #[must_use]
    pub fn local(port: u16) -> Self {
        let host = format!("localhost:{port}");
        let origin = format!("http://{host}");
        Self { host, origin }
    }

    /// `http://localhost:PORT`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether a request may go on, by its head alone.
    ///
    /// # Errors
    /// Why it may not.
    pub fn admit(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        // A request that names its host in the first line, too, is for that one (RFC 9112 3.2.2).
        let line = uri.authority().is_none_or(|authority| authority.as_str() == self.host);
        if !line || one(headers, &HOST) != One::Is(&self.host) {
            return Err(Refusal::Host(self.origin.clone()));
        }
        let origin = one(headers, &ORIGIN);
        let own_origin = origin == One::Is(&self.origin);
        let may = if matches!(*method, Method::GET | Method::HEAD) {
            (own_origin || origin == One::Absent) && may_read(headers)
        } else {
            own_origin && matches!(one(headers, &SITE), One::Absent | One::Is("same-origin"))
        };
        if may { Ok(()) } else { Err(Refusal::Foreign(self.origin.clone())) }
    }
}

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// A header that says one thing.
#[derive(Debug, PartialEq, Eq)]
enum One<'h> {
    Absent,
    Is(&'h str),
    /// Twice, or not text.
    Unclear,
}

fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> One<'h> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => One::Absent,
        (Some(value), None) => value.to_str().map_or(One::Unclear, One::Is),
        (Some(_), Some(_)) => One::Unclear,
    }
}

/// Fetch Metadata (W3C) of a GET: our own pages may load what they consist of, and from elsewhere
/// a person may follow a link to a whole page. A frame is never loaded. An old browser says
/// nothing, and then the session's cookie is strict alone.
fn may_read(headers: &HeaderMap) -> bool {
    let dest = one(headers, &DEST);
    match one(headers, &SITE) {
        One::Absent => dest == One::Absent,
        One::Is("same-origin" | "none") => matches!(
            dest,
            One::Absent | One::Is("document" | "empty" | "script" | "style" | "image")
        ),
        One::Is("cross-site" | "same-site") => {
            one(headers, &MODE) == One::Is("navigate") && dest == One::Is("document")
        }
        One::Is(_) | One::Unclear => false,
    }
}

/// Whether a browser asks, at this site, for the script of a service worker. Ours has none: another
/// program had the port before and left it in the browser.
fn asks_for_worker(site: &Site, request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::GET
        && one(headers, &HOST) == One::Is(&site.host)
        && one(headers, &DEST) == One::Is("serviceworker")
        && one(headers, &SITE) == One::Is("same-origin")
}

/// What it gets: a worker that ends itself, with all that it kept.
const LAST_WORKER: &str = "\
self.addEventListener(\"install\", () => self.skipWaiting());
self.addEventListener(\"activate\", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) await caches.delete(name);
  await self.registration.unregister();
  for (const page of await self.clients.matchAll({ type: \"window\" })) page.navigate(page.url);
})()));
";

fn last_worker() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], LAST_WORKER).into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Host(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Foreign(_) => StatusCode::FORBIDDEN,
        };
        (status, format!("{self}\n")).into_response()
    }
}

/// What every answer carries. The referrer goes to our own pages alone: without any, browsers
/// would send `Origin: null` with our own forms (Fetch, "append a request Origin header").
const HEADERS: [(HeaderName, &str); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (HeaderName::from_static("x-dns-prefetch-control"), "off"),
];

/// `router` behind the guards of `site`, every answer with the headers that keep it to itself.
pub fn guarded(router: Router, site: Site) -> Router {
    router.layer(middleware::from_fn_with_state(site, guard))
}

async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let admitted = site.admit(request.method(), request.uri(), request.headers());
    let mut response = match admitted {
        Ok(()) => next.run(request).await,
        Err(_) if asks_for_worker(&site, &request) => last_worker(),
        Err(refusal) => {
            tracing::info!(method = %request.method(), "a request to the page was refused");
            refusal.into_response()
        }
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
