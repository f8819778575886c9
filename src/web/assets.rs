//! The three files that a page consists of besides its HTML. They say nothing of this home.

use std::sync::LazyLock;

use axum::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::{IntoResponse as _, Response},
};

use super::view;
use crate::base::Digest;

/// A file, with the tag that its content gives it.
struct Asset {
    content: &'static str,
    kind: HeaderValue,
    tag: HeaderValue,
}

fn asset(content: &'static str, kind: &'static str) -> Asset {
    let digest = Digest::of("countersign/page-asset/v1", &[content.as_bytes()]);
    let tag = HeaderValue::from_str(&format!("\"{digest}\""));
    let tag = tag.unwrap_or(HeaderValue::from_static("\"\""));
    Asset { content, kind: HeaderValue::from_static(kind), tag }
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| asset(view::STYLE, "text/css; charset=utf-8"));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| asset(view::SCRIPT, "text/javascript; charset=utf-8"));
static ICON: LazyLock<Asset> = LazyLock::new(|| asset(view::ICON, "image/svg+xml"));

impl Asset {
    /// The file, or that the browser has it already. It asks each time, so that a new node's page
    /// never runs an old one's script.
    fn answer(&self, headers: &HeaderMap) -> Response {
        let known = headers.get(IF_NONE_MATCH) == Some(&self.tag);
        let cached = [
            (ETAG, self.tag.clone()),
            (CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        ];
        if known {
            return (StatusCode::NOT_MODIFIED, cached).into_response();
        }
        (cached, [(CONTENT_TYPE, self.kind.clone())], self.content).into_response()
    }
}

/// `GET /style.css`.
pub(super) async fn style(headers: HeaderMap) -> Response {
    STYLE.answer(&headers)
}

/// `GET /page.js`.
pub(super) async fn script(headers: HeaderMap) -> Response {
    SCRIPT.answer(&headers)
}

/// `GET /icon.svg`.
pub(super) async fn icon(headers: HeaderMap) -> Response {
    ICON.answer(&headers)
}
