//! Another name for this machine, and requests that no browser of this site sends.

use super::visitor::{Visitor, act, hold, open_with, records, way_in};
use crate::support::{
    alice,
    browser::browser,
    http::{Connection, Request},
    pairing::friends,
};

/// Each of these is not `localhost:PORT`.
fn foreign_hosts(port: u16) -> Vec<String> {
    let other = port + 1;
    [
        "evil.example",
        "localhost",
        "localhost:",
        "localhost:PORT:PORT",
        "LOCALHOST:PORT",
        "Localhost:PORT",
        "localhost.:PORT",
        "localhost.evil:PORT",
        "localhost.evil",
        "evil.localhost:PORT",
        "localhost:PORT@evil.example",
        "evil.example@localhost:PORT",
        "localhost:OTHER",
        "127.0.0.1:PORT",
        "127.0.0.1:OTHER",
        "127.1:PORT",
        "2130706433:PORT",
        "0.0.0.0:PORT",
        "[::1]:PORT",
        "[::ffff:127.0.0.1]:PORT",
        "localhost:PORT, evil.example",
        "localhost:PORT/",
        "localhost:PORT#",
        "\"localhost:PORT\"",
        "",
    ]
    .iter()
    .map(|host| host.replace("PORT", &port.to_string()).replace("OTHER", &other.to_string()))
    .collect()
}

/// Sends bytes as they are, and gives the status; 0 where the connection just ends.
fn status(port: u16, bytes: &str) -> u16 {
    let mut connection = Connection::open(port).unwrap();
    connection.send(bytes.as_bytes()).unwrap();
    connection.response(true).map_or(0, |response| response.status)
}

#[test]
fn a_page_asked_for_by_another_name_says_nothing_and_does_nothing() {
    let alice = alice();
    let visitor = Visitor::open(&alice);
    let port = visitor.port;
    let (_, code) = way_in(&alice);
    for host in foreign_hosts(port) {
        for path in ["/waiting", "/settings", "/evidence/export", "/style.css", "/nowhere"] {
            let answer = visitor.request("GET", path).header("Host", &host).send();
            assert!([400, 421].contains(&answer.status), "{host:?} {path}: {}", answer.status);
            assert!(!answer.text().contains("alice"), "{host:?} {path}: {}", answer.text());
        }
        let open = Request::form(port, "/open", &[("code", &code)]).header("Host", &host);
        for open in [open.clone(), open.header("Origin", &format!("http://{host}"))] {
            let answer = open.send();
            assert!([400, 421].contains(&answer.status), "{host:?}: {}", answer.status);
            assert_eq!(answer.header("set-cookie"), None, "{host:?}");
        }
    }
    let (own, evil) = (format!("localhost:{port}"), format!("evil.example:{port}"));
    let get = visitor.request("GET", "/waiting");
    for (one, other) in [(&own, &evil), (&evil, &own), (&own, &own)] {
        let twice = get.clone().header("Host", one).and_header("Host", other).send();
        assert!([400, 421].contains(&twice.status), "{one} {other}: {}", twice.status);
    }
    let none = get.clone().without("Host").send();
    assert!([400, 421].contains(&none.status), "without a host: {}", none.status);
    let cookie = &visitor.cookie;
    for (line, host) in [
        (format!("http://{evil}/waiting"), &own),
        (format!("http://localhost:{}/waiting", port + 1), &own),
        (format!("http://{own}/waiting"), &evil),
        (format!("http://user@{own}/waiting"), &own),
        (format!("http://{own}@{evil}/waiting"), &own),
    ] {
        let head = format!("GET {line} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n");
        let got = status(port, &head);
        assert!([400, 421].contains(&got), "{line}: {got}");
    }
    let old = format!("GET /waiting HTTP/1.0\r\nCookie: {cookie}\r\n\r\n");
    assert!([400, 421].contains(&status(port, &old)), "HTTP/1.0 without a host");
    // The code was good all along, and nobody has used it.
    open_with(port, &code).expect(303);
    get.send().expect(200);
}

#[test]
fn a_change_without_a_word_of_its_own_pages_is_refused() {
    let (alice, _bob) = friends();
    let item = hold(&alice, "bob", 1);
    let visitor = Visitor::unlocked(&alice);
    let (port, digest) = (visitor.port, visitor.digest(&item));
    let before = records(&alice);
    let forms = ["approve", "deny", "block"]
        .map(|what| visitor.form(&act(&item, what), &[("digest", &digest)]));
    for form in &forms {
        let own = format!("http://localhost:{port}");
        for origin in [
            "null".to_owned(),
            String::new(),
            "http://localhost".to_owned(),
            format!("https://localhost:{port}"),
            format!("http://localhost:{}", port + 1),
            format!("http://127.0.0.1:{port}"),
            format!("http://LOCALHOST:{port}"),
            format!("{own}/"),
            format!("{own} {own}"),
            format!("{own}, http://evil.example"),
            format!("{own}.evil.example"),
            "http://evil.example".to_owned(),
        ] {
            form.clone().header("Origin", &origin).send().expect(403);
        }
        form.clone().without("Origin").send().expect(403);
        let refer = form.clone().without("Origin").header("Referer", &format!("{own}/waiting"));
        refer.send().expect(403);
        form.clone().and_header("Origin", "http://evil.example").send().expect(403);
        for site in ["cross-site", "same-site", "none", "", "SAME-ORIGIN", "same-origin, none"] {
            form.clone().header("Sec-Fetch-Site", site).send().expect(403);
        }
    }
    assert_eq!(records(&alice), before);
    assert_eq!(alice.only_pending()["id"], item.as_str());
    // It was the origin alone that each of them lacked.
    forms[1].send().expect(303);
    assert!(alice.pending().is_empty());
}

#[test]
fn no_other_method_does_anything() {
    let (alice, _bob) = friends();
    let item = hold(&alice, "bob", 1);
    let visitor = Visitor::unlocked(&alice);
    let digest = visitor.digest(&item);
    let before = records(&alice);
    let query = format!("csrf={}&digest={digest}", visitor.csrf);
    let origin = format!("http://localhost:{}", visitor.port);
    let mut paths: Vec<String> =
        ["approve", "deny", "block", "grant"].map(|what| act(&item, what)).to_vec();
    paths.extend(
        ["/lock", "/sign-out", "/unlock", "/peers/invite", "/settings/inline"].map(Into::into),
    );
    paths.push(format!("/peers/{}/revoke", alice.peer("bob").unwrap()["id"].as_str().unwrap()));
    for path in &paths {
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "QUERY", "post"]
        {
            let asked = visitor.request(method, &format!("{path}?{query}"));
            for asked in [asked.clone(), asked.header("Origin", &origin)] {
                let answer = asked.body(query.as_bytes());
                let answer =
                    answer.header("Content-Type", "application/x-www-form-urlencoded").send();
                assert!([403, 405].contains(&answer.status), "{method} {path}: {}", answer.status);
                assert!(
                    !answer.text().contains(&visitor.cookie),
                    "{method} {path} tells the cookie"
                );
                let cors =
                    answer.headers.iter().any(|(name, _)| name.starts_with("access-control"));
                assert!(!cors, "{method} {path} lets others read");
            }
        }
        let told = visitor.bare_form(path, &[]).header("X-HTTP-Method-Override", "POST");
        told.header("Content-Type", "text/plain").send().expect(415);
    }
    let override_get =
        visitor.request("GET", &format!("{}?{query}&_method=POST", act(&item, "deny")));
    override_get.header("X-HTTP-Method-Override", "POST").send().expect(405);
    assert_eq!(records(&alice), before);
    assert_eq!(alice.only_pending()["id"], item.as_str());
    assert!(visitor.get("/settings").expect(200).text().contains("Unlocked"), "nor was it locked");
}

#[test]
fn every_answer_keeps_itself_to_itself_whatever_it_says() {
    let alice = alice();
    let visitor = Visitor::open(&alice);
    let get = |path: &str| visitor.request("GET", path);
    let long = "x".repeat(9 * 1024);
    let answers = [
        (200, get("/waiting")),
        (200, get("/evidence/export")),
        (200, get("/style.css")),
        (200, get("/page.js")),
        (200, get("/icon.svg")),
        (200, get("/open")),
        (200, visitor.request("HEAD", "/waiting")),
        (303, get("/")),
        (303, visitor.form("/lock", &[])),
        (400, visitor.form("/lock", &[("a", "b"); 40])),
        (401, get("/waiting").without("Cookie")),
        (403, visitor.bare_form("/lock", &[])),
        (403, get("/waiting").header("Sec-Fetch-Site", "cross-site")),
        (404, get("/nowhere")),
        (404, get(&format!("/{long}"))),
        (404, get("/waiting/abcdefgh")),
        (405, get("/lock")),
        (413, visitor.form("/lock", &[("a", &"x".repeat(300 * 1024))])),
        (415, visitor.form("/lock", &[]).header("Content-Type", "text/plain")),
        (421, get("/waiting").header("Host", "evil.example")),
    ];
    for (status, request) in answers {
        let answer = request.send().expect(status);
        let says = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        let policy = says("content-security-policy");
        for part in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{status}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{status}: {policy}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(says(name), value, "{status}");
        }
        let cached = says("cache-control");
        assert!(cached == "no-store" || cached == "private, no-cache", "{status}: {cached}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{status}");
        assert_eq!(answer.header("server"), None, "{status}");
    }
}

#[test]
fn a_name_that_was_made_to_point_here_shows_a_browser_nothing() {
    let Some(browser) = browser() else { return };
    let alice = alice();
    let (port, code) = way_in(&alice);
    let page = browser.page();
    page.goto(&format!("http://localhost:{port}/open#{code}"));
    page.wait_for("location.pathname === '/waiting'");
    page.goto(&format!("http://evil.localhost:{port}/waiting"));
    let said = page.text("body");
    assert!(said.contains("this is not the page") && !said.contains("alice"), "{said}");
    let (_, code) = way_in(&alice);
    // For the browser all of this is one site with its page.
    let asked = format!(
        "Promise.all([fetch('/waiting'), fetch('/peers'), fetch('/open', {{method: 'POST', \
         headers: {{'content-type': 'application/x-www-form-urlencoded'}}, body: 'code={code}'}})])\
         .then(all => all.map(answer => answer.status).join())"
    );
    assert_eq!(page.eval(&asked), "421,421,421");
    open_with(port, &code).expect(303);
}
