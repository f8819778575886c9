use axum::{body::Body, routing::get};
use tower::ServiceExt as _;

use super::*;

const HOST_OK: (&str, &str) = ("host", "localhost:7311");
const ORIGIN_OK: (&str, &str) = ("origin", "http://localhost:7311");

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn admit(method: &Method, pairs: &[(&'static str, &'static str)]) -> Result<(), Refusal> {
    Site::local(7311).admit(method, &Uri::from_static("/waiting"), &headers(pairs))
}

#[test]
fn only_the_one_name_of_the_site_is_answered() {
    let foreign = [
        "evil.example",
        "evil.example:7311",
        "localhost",
        "localhost:7312",
        "localhost.:7311",
        "LOCALHOST:7311",
        "127.0.0.1:7311",
        "[::1]:7311",
        "localhost:7311@evil.example",
        "",
    ];
    for method in [Method::GET, Method::HEAD, Method::POST] {
        assert_eq!(admit(&method, &[HOST_OK, ORIGIN_OK]), Ok(()));
        for host in foreign {
            let refused = admit(&method, &[("host", host), ORIGIN_OK]);
            assert!(matches!(refused, Err(Refusal::Host(_))), "{method} {host}");
        }
        let twice = admit(&method, &[HOST_OK, ("host", "evil.example"), ORIGIN_OK]);
        assert!(matches!(twice, Err(Refusal::Host(_))), "{method} with two hosts");
        let none = admit(&method, &[ORIGIN_OK]);
        assert!(matches!(none, Err(Refusal::Host(_))), "{method} without a host");
    }
}

#[test]
fn a_host_in_the_first_line_counts_too() {
    let site = Site::local(7311);
    let admit = |uri| site.admit(&Method::GET, &Uri::from_static(uri), &headers(&[HOST_OK]));
    assert_eq!(admit("http://localhost:7311/"), Ok(()));
    assert!(admit("http://evil.example:7311/").is_err());
}

#[test]
fn a_change_comes_from_our_own_pages_alone() {
    let check = |pairs: &[(&'static str, &'static str)], expected: bool| {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let pairs = [&[HOST_OK], pairs].concat();
            assert_eq!(admit(&method, &pairs).is_ok(), expected, "{method} {pairs:?}");
        }
    };
    check(&[ORIGIN_OK], true);
    check(&[ORIGIN_OK, ("sec-fetch-site", "same-origin")], true);
    check(&[], false);
    check(&[("sec-fetch-site", "same-origin")], false);
    for origin in [
        "null",
        "http://localhost",
        "http://localhost:7312",
        "https://localhost:7311",
        "http://127.0.0.1:7311",
        "http://evil.example:7311",
        "http://localhost:7311.evil.example",
    ] {
        check(&[("origin", origin)], false);
        check(&[("origin", origin), ("sec-fetch-site", "same-origin")], false);
    }
    check(&[ORIGIN_OK, ORIGIN_OK], false);
    for site in ["cross-site", "same-site", "none", "", "new"] {
        check(&[ORIGIN_OK, ("sec-fetch-site", site)], false);
    }
}

#[test]
fn a_page_is_read_by_its_own_site_or_opened_by_a_person() {
    let check = |(site, mode, dest): (&'static str, &'static str, &'static str), expected| {
        let fetch = [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
        let pairs = [&[HOST_OK], fetch.as_slice()].concat();
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(admit(&method, &pairs).is_ok(), expected, "{method} {pairs:?}");
        }
    };
    for site in ["same-origin", "none", "same-site", "cross-site"] {
        check((site, "navigate", "document"), true);
        for frame in ["iframe", "frame", "embed", "object", "fencedframe"] {
            check((site, "navigate", frame), false);
        }
        check((site, "same-origin", "serviceworker"), false);
    }
    for (mode, dest) in
        [("no-cors", "script"), ("no-cors", "style"), ("no-cors", "image"), ("cors", "empty")]
    {
        check(("same-origin", mode, dest), true);
        check(("same-site", mode, dest), false);
        check(("cross-site", mode, dest), false);
    }
    check(("new", "navigate", "document"), false);
    // An old browser, or a command, says nothing.
    assert_eq!(admit(&Method::GET, &[HOST_OK]), Ok(()));
    assert!(admit(&Method::GET, &[HOST_OK, ("sec-fetch-dest", "iframe")]).is_err());
    // A script elsewhere that asks with its origin.
    assert!(admit(&Method::GET, &[HOST_OK, ("origin", "http://localhost:3000")]).is_err());
}

async fn answered(pairs: &[(&'static str, &'static str)]) -> Response {
    let router = Router::new()
        .route("/", get(async || "here"))
        .route("/file", get(async || ([(header::CACHE_CONTROL, "private, no-cache")], "file")));
    let mut request = Request::new(Body::empty());
    *request.headers_mut() = headers(pairs);
    if pairs.contains(&("x-path", "/file")) {
        *request.uri_mut() = Uri::from_static("/file");
    }
    guarded(router, Site::local(7311)).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn every_answer_keeps_itself_to_itself() {
    let good = answered(&[HOST_OK]).await;
    let bad = answered(&[("host", "evil.example")]).await;
    assert_eq!((good.status(), bad.status()), (StatusCode::OK, StatusCode::MISDIRECTED_REQUEST));
    for response in [&good, &bad] {
        let said = |name: &str| response.headers().get(name).unwrap().to_str().unwrap();
        let policy = said("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        assert_eq!(said("x-frame-options"), "DENY");
        assert_eq!(said("x-content-type-options"), "nosniff");
        assert_eq!(said("cross-origin-opener-policy"), "same-origin");
        assert_eq!(said("cross-origin-resource-policy"), "same-origin");
        assert_eq!(said("cache-control"), "no-store");
    }
    let file = answered(&[HOST_OK, ("x-path", "/file")]).await;
    assert_eq!(file.headers()[header::CACHE_CONTROL], "private, no-cache");
}

#[tokio::test]
async fn a_worker_that_somebody_left_here_ends_itself() {
    const FETCH: [(&str, &str); 3] = [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "same-origin"),
        ("sec-fetch-dest", "serviceworker"),
    ];
    let answer = answered(&[&[HOST_OK], FETCH.as_slice()].concat()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store");
    let script = axum::body::to_bytes(answer.into_body(), 4096).await.unwrap();
    let script = String::from_utf8(script.to_vec()).unwrap();
    assert!(script.contains("registration.unregister()") && script.contains("caches.delete"));
    let foreign = answered(&[&[("host", "evil.example")], FETCH.as_slice()].concat()).await;
    assert_eq!(foreign.status(), StatusCode::MISDIRECTED_REQUEST);
    let other = [HOST_OK, ("sec-fetch-site", "cross-site"), FETCH[1], FETCH[2]];
    assert_eq!(answered(&other).await.status(), StatusCode::FORBIDDEN);
}
