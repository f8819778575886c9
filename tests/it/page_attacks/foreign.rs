//! Pages of other sites in the browser in which a person has the page open and unlocked.

use std::net::TcpListener;

use serde_json::json;

use super::visitor::{Visitor, act, field, hold, open_with, state, way_in};
use crate::support::{
    Home, SOON,
    browser::{Browser, Page, browser},
    http::{Pages, serve_pages},
    pairing::friends,
    until,
};

/// Another site of this machine.
struct Foreign {
    port: u16,
    _pages: Pages,
}

fn foreign() -> Foreign {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    Foreign { port, _pages: serve_pages(listener, "<!doctype html><title>Other</title><body>hi") }
}

/// A person who has the page open and unlocked, and looks at another tab.
struct Victim<'b> {
    browser: &'b Browser,
    own: Page<'b>,
    port: u16,
    item: String,
    /// What no other site can know; the attacks have it all the same.
    fields: Vec<(&'static str, String)>,
}

impl<'b> Victim<'b> {
    fn of(home: &Home, browser: &'b Browser) -> Self {
        let item = hold(home, "bob", 1);
        let (port, code) = way_in(home);
        let own = browser.page();
        own.goto(&format!("http://localhost:{port}/open#{code}"));
        own.wait_for("location.pathname === '/waiting'");
        own.goto(&format!("http://localhost:{port}/settings"));
        own.type_into("form[action='/unlock'] input[type=password]", home.passphrase);
        own.press("Enter");
        own.wait_for("document.querySelector('form[action=\"/lock\"]')");
        own.goto(&format!("http://localhost:{port}/waiting/{item}"));
        own.wait_for("document.querySelector('form.approve [name=digest]')");
        let html = own.whole();
        let hidden = |name: &'static str| {
            let value =
                own.eval(&format!("document.querySelector('form.approve [name={name}]').value"));
            assert!(html.contains(name));
            (name, value.as_str().unwrap().to_owned())
        };
        let key = own.eval("localStorage.getItem('countersign.key')");
        let key = ("origin_key", key.as_str().unwrap().to_owned());
        let fields = vec![hidden("csrf"), hidden("digest"), key];
        Self { browser, own, port, item, fields }
    }

    fn site(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// The forms that would change something.
    fn targets(&self) -> Vec<String> {
        let mut targets = ["approve", "deny", "block"].map(|what| act(&self.item, what)).to_vec();
        targets.extend(["/lock".to_owned(), "/sign-out".to_owned(), "/peers/invite".to_owned()]);
        targets.iter().map(|path| format!("{}{path}", self.site())).collect()
    }

    fn body(&self) -> String {
        let part = |(name, value): &(&str, String)| format!("{name}={value}");
        self.fields.iter().map(part).collect::<Vec<_>>().join("&")
    }

    /// The page is as it was: open, unlocked, and its item waits.
    fn assert_untouched(&self) {
        self.own.goto(&format!("{}/settings", self.site()));
        self.own.wait_for("document.querySelector('form[action=\"/lock\"]')");
        self.own.goto(&format!("{}/waiting/{}", self.site(), self.item));
        self.own.wait_for("document.querySelector('[data-approve]')");
    }
}

/// Both ways to write another site of this machine: one is of the same site for a cookie.
fn names(foreign: &Foreign) -> [String; 2] {
    ["localhost", "127.0.0.1"].map(|name| format!("http://{name}:{}/", foreign.port))
}

#[test]
fn another_sites_forms_and_scripts_change_nothing() {
    let Some(browser) = browser() else { return };
    let (alice, bob) = friends();
    let victim = Victim::of(&alice, &browser);
    let before = state(&alice);
    let other = foreign();
    for name in names(&other) {
        let page = victim.browser.page();
        page.goto(&name);
        for target in victim.targets() {
            page.eval(&attack(&target, &victim.body()));
            // A form that leads away, and one of a frame without an origin.
            page.eval(&submit("document", &target, &victim.fields));
            page.wait_for("document.body?.innerText.includes('another site asked for this')");
            page.goto(&name);
        }
        let said = page.eval(&sandboxed(&victim));
        assert_eq!(said, json!("submitted"));
        page.goto(&name);
    }
    // Whatever was under way has come when one more answer is there.
    Visitor::open(&alice);
    assert_eq!(state(&alice), before);
    victim.assert_untouched();
    assert!(bob.received().is_empty());
}

/// Every way of a script to send something, each waited for. It must read nothing.
fn attack(target: &str, body: &str) -> String {
    format!(
        "(async () => {{
            const type = 'application/x-www-form-urlencoded', url = {target}, body = {body};
            const read = [];
            for (const credentials of ['include', 'omit', 'same-origin'])
              for (const mode of ['cors', 'no-cors'])
                for (const how of [{{method: 'POST', body, headers: {{'content-type': type}}}},
                                   {{method: 'POST', body: new URLSearchParams(body)}},
                                   {{method: 'GET'}}, {{method: 'PUT', body}}, {{method: 'DELETE'}}])
                  await fetch(url + (how.method === 'GET' ? '?' + body : ''), {{credentials, mode, ...how}})
                    .then(async (answer) => {{ if (answer.type !== 'opaque' || await answer.text()) read.push(mode); }},
                          () => {{}});
            navigator.sendBeacon(url, new URLSearchParams(body));
            await new Promise((done) => {{ const asked = new XMLHttpRequest(); asked.withCredentials = true;
              asked.onloadend = () => {{ if (asked.responseText) read.push('xhr'); done(); }};
              asked.open('POST', url); asked.setRequestHeader('content-type', type); asked.send(body); }});
            if (read.length) throw new Error('read by ' + read);
            return true; }})()",
        target = json!(target),
        body = json!(body),
    )
}

fn submit(document: &str, target: &str, fields: &[(&str, String)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, value)| json!([name, value])).collect();
    format!(
        "{{ const form = {document}.createElement('form'); form.method = 'post'; form.action = {};
           for (const [name, value] of {}) {{ const field = {document}.createElement('input');
             field.name = name; field.value = value; form.append(field); }}
           {document}.body.append(form); form.submit(); }} true",
        json!(target),
        json!(fields)
    )
}

/// A form in a frame that has no origin, which sends `Origin: null`.
fn sandboxed(victim: &Victim<'_>) -> String {
    let target = format!("{}{}", victim.site(), act(&victim.item, "deny"));
    let input = |(name, value): &(&str, String)| format!("<input name={name} value={value}>");
    let inputs = victim.fields.iter().map(input).collect::<Vec<_>>().concat();
    let html = format!(
        "<form method=post action={target}>{inputs}</form><script>setTimeout(() => document.forms[0].submit(), 20)</script>"
    );
    format!(
        "new Promise((done) => {{ const frame = document.createElement('iframe'); let loads = 0;
           frame.sandbox = 'allow-scripts allow-forms allow-top-navigation'; frame.srcdoc = {};
           frame.onload = () => {{ if (++loads === 2) done('submitted'); }};
           document.body.append(frame); }})",
        json!(html)
    )
}

#[test]
fn another_site_reads_and_frames_nothing_of_the_page() {
    let Some(browser) = browser() else { return };
    let (alice, _bob) = friends();
    let victim = Victim::of(&alice, &browser);
    let before = state(&alice);
    let other = foreign();
    for name in names(&other) {
        let page = victim.browser.page();
        page.goto(&name);
        for path in
            ["/waiting", "/style.css", "/page.js", "/icon.svg", "/open", "/nowhere", "/events"]
        {
            let got = page.eval(&embeds(&format!("{}{path}", victim.site())));
            assert_eq!(got, json!(EMBEDDED), "{name} {path}");
        }
        assert_eq!(page.eval(&streams(&victim)), json!(["events: refused", "socket: refused"]));
        let frames = page.frames();
        assert!(frames.iter().all(|url| !url.starts_with(&victim.site())), "{frames:?}");
        let popup =
            "(() => { window.victim = open('SITE/waiting', 'victim'); return !!window.victim; })()";
        page.eval(&popup.replace("SITE", &victim.site()));
        page.wait_for("window.victim.closed");
        let peeked = page.try_eval("victim.document.body.innerText");
        assert!(peeked.is_err() || peeked == Ok(json!(null)), "{peeked:?}");
    }
    assert_eq!(state(&alice), before);
    victim.assert_untouched();
}

/// What a browser makes of each way to embed a page that must not be embedded.
const EMBEDDED: [&str; 6] = [
    "img: refused",
    "script: refused",
    "link stylesheet: refused",
    "link preload: refused",
    "object: empty",
    "iframe: empty",
];

fn embeds(url: &str) -> String {
    format!(
        "(async () => {{ const url = {}; const got = [];
            const load = (label, element, set) => new Promise((done) => {{
              const late = setTimeout(() => done(label + ': nothing'), 5000);
              const is = (what) => () => {{ clearTimeout(late); done(label + ': ' + what); }};
              element.onload = is('loaded'); element.onerror = is('refused');
              set(element); document.body.append(element); }});
            const make = (name) => document.createElement(name);
            got.push(await load('img', make('img'), (e) => {{ e.src = url; }}));
            got.push(await load('script', make('script'), (e) => {{ e.src = url; }}));
            got.push(await load('link stylesheet', make('link'), (e) => {{ e.rel = 'stylesheet'; e.href = url; }}));
            got.push(await load('link preload', make('link'), (e) => {{ e.rel = 'preload'; e.as = 'fetch';
              e.crossOrigin = 'use-credentials'; e.href = url; }}));
            const prefetch = make('link'); prefetch.rel = 'prefetch'; prefetch.href = url; document.head.append(prefetch);
            for (const [name, set] of [['object', (e) => {{ e.data = url; }}], ['iframe', (e) => {{ e.src = url; }}]]) {{
              const element = make(name); const how = await load(name, element, set);
              // A frame that was refused is another document of nobody's.
              let inside = ''; try {{ inside = element.contentDocument?.body?.innerText || ''; }} catch {{ }}
              got.push(name + ': ' + (inside ? 'shows ' + inside : 'empty')); }}
            return got; }})()",
        json!(url)
    )
}

fn streams(victim: &Victim<'_>) -> String {
    format!(
        "(async () => {{ const wait = (make, name) => new Promise((done) => {{ const stream = make();
              stream.onopen = stream.onmessage = () => done(name + ': open');
              stream.onerror = () => {{ stream.close(); done(name + ': refused'); }}; }});
            return [await wait(() => new EventSource('http://localhost:{port}/events', {{withCredentials: true}}), 'events'),
                    await wait(() => new WebSocket('ws://localhost:{port}/events'), 'socket')]; }})()",
        port = victim.port
    )
}

#[test]
fn a_foreign_page_opens_no_session_of_its_own_in_the_persons_browser() {
    let Some(browser) = browser() else { return };
    let (alice, _bob) = friends();
    let victim = Victim::of(&alice, &browser);
    let other = foreign();
    for name in names(&other) {
        let (_, code) = way_in(&alice);
        let page = victim.browser.page();
        page.goto(&name);
        page.eval(&attack(&format!("{}/open", victim.site()), &format!("code={code}")));
        let fields = [("code", code.clone())];
        page.eval(&submit("document", &format!("{}/open", victim.site()), &fields));
        page.wait_for("document.body?.innerText.includes('another site asked for this')");
        // Nobody has used the code.
        open_with(victim.port, &code).expect(303);
    }
    victim.assert_untouched();
}

#[test]
fn a_link_on_another_site_shows_the_page_to_the_person_and_to_nobody_else() {
    let Some(browser) = browser() else { return };
    let (alice, _bob) = friends();
    let victim = Victim::of(&alice, &browser);
    let other = foreign();
    let [_, elsewhere] = names(&other);
    let page = victim.browser.page();
    page.goto(&elsewhere);
    page.eval(&format!("location.href = '{}/waiting'; true", victim.site()));
    // The cookie is strict: the page that a foreign link opens is the one that says how to open it.
    page.wait_for(
        "location.pathname === '/waiting' && document.body?.innerText.includes('countersign page')",
    );
    let html = page.whole();
    assert!(html.contains("countersign page"), "{html}");
    assert!(field(&html, "csrf").is_none_or(|csrf| csrf.is_empty()));
    let items = until("the item waits on", SOON, || Some(alice.pending()));
    assert_eq!(items.len(), 1);
}
