use axum::{
    body::Body,
    http::{
        HeaderValue, Method, StatusCode,
        header::{
            CONTENT_TYPE, COOKIE, ETAG, IF_NONE_MATCH, LOCATION, ORIGIN, RETRY_AFTER, SET_COOKIE,
        },
    },
};
use tokio::time::Instant;

use super::support::{CODE, Desk, ORIGIN_KEY, PORT, ask, get, message, post, request};
use crate::{
    base::limits::{
        FORM_BYTES_MAX, FORM_FIELDS_MAX, PAGE_WRONG_CODE_PAUSE, PAGE_WRONG_CODES_PER_MINUTE,
    },
    node::api::HumanRequest,
};

const PAGES: [&str; 16] = [
    "/",
    "/waiting",
    "/waiting/abcdefgh",
    "/waiting/abcdefgh/raw",
    "/conversations",
    "/conversations/0",
    "/message/0",
    "/search",
    "/peers",
    "/peers/0",
    "/settings",
    "/evidence",
    "/evidence/export",
    "/setup",
    "/events",
    "/waiting?code=x",
];

const FORMS: [&str; 20] = [
    "/unlock",
    "/lock",
    "/sign-out",
    "/setup",
    "/settings/inline",
    "/settings/policy",
    "/settings/policy/check",
    "/settings/policy/reset",
    "/settings/taint",
    "/settings/known/abcdefgh/forget",
    "/waiting/abcdefgh/approve",
    "/waiting/abcdefgh/grant",
    "/waiting/abcdefgh/deny",
    "/waiting/abcdefgh/block",
    "/conversations/0/write",
    "/peers/invite",
    "/peers/connect",
    "/peers/0/revoke",
    "/peers/0/block",
    "/grants/abcdefgh/end",
];

#[tokio::test]
async fn without_a_session_nothing_of_the_home_is_shown_and_nothing_is_done() {
    let desk = Desk::new();
    desk.waits(&message("the velvet text"));
    let forged = format!("countersign-{PORT}={}", "0".repeat(64));
    for cookie in [None, Some(forged.as_str())] {
        for path in PAGES {
            let answer = get(&desk.router, path, cookie).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(answer.text.contains("countersign page"), "{path}: it says how to open it");
            assert!(!answer.text.contains("velvet") && !answer.text.contains("Alice"), "{path}");
        }
        for path in FORMS {
            let answer = post(&desk.router, path, &[("csrf", "")], cookie).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        }
    }
    assert!(desk.asked().is_empty(), "{:?}", desk.asked());
    assert!(!desk.home.attempts_file().exists(), "no passphrase was tried");
}

#[tokio::test]
async fn a_link_opens_once_and_its_cookie_is_strict() {
    let desk = Desk::new();
    let opened = post(&desk.router, "/open", &[("code", &format!(" {CODE}\n"))], None).await;
    assert_eq!(opened.status, StatusCode::SEE_OTHER);
    assert_eq!(opened.headers[LOCATION], "/waiting");
    let cookie = opened.headers[SET_COOKIE].to_str().unwrap();
    let (value, flags) = cookie.split_once("; ").unwrap();
    assert!(value.starts_with(&format!("countersign-{PORT}=")), "{value}");
    let mut flags: Vec<&str> = flags.split("; ").collect();
    flags.sort_unstable();
    assert_eq!(flags, ["HttpOnly", "Path=/", "SameSite=Strict"], "it ends with the browser");
    assert_eq!(get(&desk.router, "/waiting", Some(value)).await.status, StatusCode::OK);
    // Beside another port's cookies, and ones that are no cookies.
    let others = format!("countersign-1=x; ==; {value}");
    assert_eq!(get(&desk.router, "/waiting", Some(&others)).await.status, StatusCode::OK);
    let again = post(&desk.router, "/open", &[("code", CODE)], None).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
    assert!(!again.headers.contains_key("clear-site-data"));
    assert!(!again.headers.contains_key(SET_COOKIE));
}

#[tokio::test]
async fn tossed_cookies_do_not_hide_ours() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let check = async |cookie: &[u8]| {
        let mut visit = request(Method::GET, "/waiting", None);
        visit.headers_mut().insert(COOKIE, HeaderValue::from_bytes(cookie).unwrap());
        assert_eq!(ask(&desk.router, visit).await.status, StatusCode::OK, "{} bytes", cookie.len());
    };
    let ours = &browser.cookie();
    let tossed = format!("countersign-{PORT}={}; ", "0".repeat(64));
    check(format!("{}{ours}", tossed.repeat(100)).as_bytes()).await;
    check(format!("{ours}; {}", tossed.repeat(100)).as_bytes()).await;
    check(format!("a=\"; {ours}; b=\"").as_bytes()).await;
    check(&[b"x=\xff\xfe; ", ours.as_bytes(), b";y=\xc3"].concat()).await;
}

#[tokio::test(start_paused = true)]
async fn wrong_codes_are_slowed_and_never_keep_the_right_one_out() {
    let desk = Desk::new();
    let guess = async || {
        let since = Instant::now();
        (post(&desk.router, "/open", &[("code", "guess")], None).await, since.elapsed())
    };
    for _ in 0..PAGE_WRONG_CODES_PER_MINUTE {
        let (wrong, took) = guess().await;
        assert_eq!((wrong.status, took < PAGE_WRONG_CODE_PAUSE), (StatusCode::FORBIDDEN, true));
    }
    let (more, took) = guess().await;
    assert_eq!(more.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(more.headers.contains_key(RETRY_AFTER) && took >= PAGE_WRONG_CODE_PAUSE);
    let since = Instant::now();
    desk.open().await;
    assert!(since.elapsed() < PAGE_WRONG_CODE_PAUSE, "the right one does not wait");
    assert_eq!(guess().await.0.status, StatusCode::TOO_MANY_REQUESTS, "and forgives nothing");
}

#[tokio::test]
async fn good_codes_use_up_no_tries() {
    let desk = Desk::new();
    for _ in 0..=PAGE_WRONG_CODES_PER_MINUTE {
        desk.open().await;
    }
}

#[tokio::test]
async fn a_form_without_its_sessions_token_does_nothing() {
    let desk = Desk::new();
    desk.waits(&message("text"));
    let (browser, other) = (desk.open().await, desk.open().await);
    assert_ne!(browser.csrf(), other.csrf());
    let before = desk.asked().len();
    let last = if browser.csrf().ends_with('0') { '1' } else { '0' };
    let near = format!("{}{last}", &browser.csrf()[..63]);
    for token in ["", "0", &near, other.csrf().as_str()] {
        for path in FORMS {
            let fields = [("csrf", token), ("origin_key", ORIGIN_KEY)];
            let sent = post(&desk.router, path, &fields, Some(&browser.cookie())).await;
            assert_eq!(sent.status, StatusCode::FORBIDDEN, "{path} {token}");
        }
    }
    assert_eq!(desk.asked().len(), before, "{:?}", desk.asked());
    assert_eq!(browser.get("/waiting").await.status, StatusCode::OK, "still signed in");
}

#[tokio::test]
async fn another_sites_form_does_nothing_with_cookie_and_token() {
    let desk = Desk::new();
    desk.waits(&message("text"));
    let browser = desk.open().await;
    for origin in ["http://evil.example", "null", "http://localhost:3000"] {
        let mut forged =
            request(Method::POST, "/waiting/abcdefgh/deny", Some(browser.cookie().as_str()));
        forged.headers_mut().insert(ORIGIN, origin.parse().unwrap());
        let kind = "application/x-www-form-urlencoded".parse().unwrap();
        forged.headers_mut().insert(CONTENT_TYPE, kind);
        *forged.body_mut() = Body::from(format!("origin_key={ORIGIN_KEY}&csrf={}", browser.csrf()));
        assert_eq!(ask(&desk.router, forged).await.status, StatusCode::FORBIDDEN, "{origin}");
    }
    let denied = |request: &HumanRequest| matches!(request, HumanRequest::Deny { .. });
    assert!(!desk.asked().iter().any(denied));
}

#[tokio::test]
async fn a_body_that_is_too_long_or_no_form_is_not_taken() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let long = browser.post("/peers/invite", &[("note", &"x".repeat(FORM_BYTES_MAX))]).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    let many = browser.post("/peers/invite", &[("note", "x"); FORM_FIELDS_MAX]).await;
    assert_eq!(many.status, StatusCode::BAD_REQUEST);
    for kind in ["text/plain", "multipart/form-data; boundary=x", "application/json"] {
        let mut other = request(Method::POST, "/lock", Some(&browser.cookie()));
        let headers = other.headers_mut();
        headers.insert(ORIGIN, format!("http://localhost:{PORT}").parse().unwrap());
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        *other.body_mut() = Body::from(format!("origin_key={ORIGIN_KEY}&csrf={}", browser.csrf()));
        let answer = ask(&desk.router, other).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_and_takes_the_cookie() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let out = browser.post("/sign-out", &[]).await;
    assert_eq!(out.status, StatusCode::SEE_OTHER);
    assert!(out.headers[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(out.headers["clear-site-data"], "\"cache\", \"storage\"");
    assert_eq!(browser.get("/waiting").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn addresses_and_methods_that_are_not_there_say_so() {
    let desk = Desk::new();
    let browser = desk.open().await;
    for path in ["/nothing", "/waiting/a/b/c", "/open/", "/../etc/passwd", "/%2e%2e/x"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(browser.get("/lock").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(browser.post("/waiting", &[]).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let head = ask(&desk.router, request(Method::HEAD, "/waiting", Some(&browser.cookie()))).await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn files_are_served_without_a_session_and_not_twice() {
    let desk = Desk::new();
    for (path, kind) in
        [("/style.css", "text/css"), ("/page.js", "text/javascript"), ("/icon.svg", "image/svg")]
    {
        let first = get(&desk.router, path, None).await;
        assert_eq!(first.status, StatusCode::OK);
        assert!(first.headers[CONTENT_TYPE].to_str().unwrap().starts_with(kind));
        assert_eq!(first.headers["cache-control"], "private, no-cache", "asked for each time");
        let mut again = request(Method::GET, path, None);
        again.headers_mut().insert(IF_NONE_MATCH, first.headers[ETAG].clone());
        let again = ask(&desk.router, again).await;
        assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    }
}

#[tokio::test]
async fn a_form_leads_back_to_the_page_it_was_on_and_to_no_other_site() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let check = async |referer: &str, expected: &str| {
        let mut form = request(Method::POST, "/lock", Some(&browser.cookie()));
        let headers = form.headers_mut();
        headers.insert(ORIGIN, format!("http://localhost:{PORT}").parse().unwrap());
        headers.insert(CONTENT_TYPE, "application/x-www-form-urlencoded".parse().unwrap());
        headers.insert("referer", referer.parse().unwrap());
        *form.body_mut() = Body::from(format!("origin_key={ORIGIN_KEY}&csrf={}", browser.csrf()));
        assert_eq!(ask(&desk.router, form).await.headers[LOCATION], expected, "{referer}");
    };
    check(&format!("http://localhost:{PORT}/peers?x=1"), "/peers?x=1").await;
    check(&format!("http://localhost:{PORT}//evil.example/"), "/waiting").await;
    check(&format!("http://localhost:{PORT}/\\evil.example/"), "/waiting").await;
    check(&format!("http://localhost:{PORT}.evil.example/"), "/waiting").await;
    check("http://evil.example/", "/waiting").await;
}

#[tokio::test]
async fn a_notice_is_shown_once_and_a_refresh_does_not_take_it() {
    let desk = Desk::new();
    let browser = desk.open().await;
    browser.post("/lock", &[]).await;
    let mut refresh = request(Method::GET, "/waiting", Some(&browser.cookie()));
    refresh.headers_mut().insert("x-background", "1".parse().unwrap());
    assert!(!ask(&desk.router, refresh).await.text.contains("Locked: the next yes"));
    assert!(browser.get("/waiting").await.text.contains("Locked: the next yes"));
    assert!(!browser.get("/waiting").await.text.contains("Locked: the next yes"));
}

#[tokio::test]
async fn an_invite_is_shown_once_where_it_was_made() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let made = browser.told("/peers/invite", &[("note", ""), ("expires_minutes", "60")]).await;
    assert!(made.contains("countersign1abc"));
    assert!(!browser.get("/peers").await.text.contains("countersign1abc"));
    let refused = browser.told("/peers/invite", &[("expires_minutes", "99999999")]).await;
    assert!(refused.contains("10080"), "the bound is named");
}
