//! Stolen and guessed codes, other people's cookies, and sessions without end.

use std::time::Instant;

use countersign::{
    base::limits::{PAGE_SESSIONS_MAX, PAGE_STREAMS_MAX, PAGE_WRONG_CODES_PER_MINUTE},
    ipc::Client,
    node::{
        api::{HumanRequest, PageLink, Request as Asked},
        config,
    },
};

use super::visitor::{
    ORIGIN_KEY, Visitor, act, cookie_of, field, hold, open_with, records, way_in,
};
use crate::support::{
    Home, alice, bob,
    http::{Connection, Request, Response},
    pairing::friends,
};

#[test]
fn a_code_opens_once_and_its_cookie_is_for_this_site_and_no_script() {
    let alice = alice();
    let (port, code) = way_in(&alice);
    // Whoever only looks at the link uses nothing up: what is behind `#` is in no request.
    Request::get(port, "/open").send().expect(200);
    Request::get(port, &format!("/open?code={code}")).send().expect(200);
    let opened = open_with(port, &code).expect(303);
    let set = opened.header("set-cookie").unwrap();
    assert!(set.starts_with(&format!("countersign-{port}=")), "{set}");
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.split("; ").any(|part| part == flag), "{flag}: {set}");
    }
    assert!(!set.contains("Domain"), "{set}");
    let value = set.split(['=', ';']).nth(1).unwrap();
    assert_eq!(value.len(), 64, "256 bits: {set}");
    let mine = Visitor { port, cookie: cookie_of(&opened).unwrap(), csrf: String::new() };
    for stolen in [code.clone(), code.to_uppercase(), format!("{code}="), code[1..].to_owned()] {
        let refused = open_with(port, &stolen).expect(403);
        assert_eq!(refused.header("set-cookie"), None);
        assert!(!refused.text().contains(&stolen), "what was typed is not shown again");
    }
    mine.get("/waiting").expect(200);
    assert!(!mine.get("/settings").text().contains(value), "a page never tells its cookie");
    // Another home's code is none here.
    let bob = bob();
    open_with(port, &way_in(&bob).1).expect(403);
}

#[test]
fn one_code_opens_one_session_however_many_try_at_once() {
    let alice = alice();
    let (port, code) = way_in(&alice);
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8).map(|_| scope.spawn(|| open_with(port, &code))).collect();
        tries.into_iter().map(|each| each.join().unwrap()).collect()
    });
    let opened = answers.iter().filter(|answer| answer.status == 303).count();
    let cookies = answers.iter().filter(|answer| answer.header("set-cookie").is_some()).count();
    assert_eq!((opened, cookies), (1, 1));
}

#[test]
fn guessed_codes_are_bounded_and_do_not_end_open_sessions() {
    let alice = alice();
    let visitor = Visitor::open(&alice);
    let (port, code) = way_in(&alice);
    let guess = |number: usize| open_with(port, &format!("{number:026}")).status;
    let said: Vec<u16> = (0..3 * PAGE_WRONG_CODES_PER_MINUTE).map(guess).collect();
    assert_eq!(said.iter().filter(|s| **s == 403).count(), PAGE_WRONG_CODES_PER_MINUTE, "{said:?}");
    assert!(said[PAGE_WRONG_CODES_PER_MINUTE..].iter().all(|s| *s == 429), "{said:?}");
    // The right one opens all the same: nobody keeps it out.
    open_with(port, &code).expect(303);
    visitor.get("/waiting").expect(200);
}

#[test]
fn a_cookie_that_another_port_set_lets_nobody_in_and_breaks_nothing() {
    let alice = alice();
    let visitor = Visitor::open(&alice);
    let (name, value) = visitor.cookie.split_once('=').unwrap();
    let bad = format!("{name}={}", "0".repeat(64));
    let near = format!("{name}={}x", &value[..63]);
    let get = |cookies: &str| visitor.request("GET", "/waiting").header("Cookie", cookies).send();
    for before in ["", "a=b", "=", ";;", "countersign-1=x", bad.as_str(), near.as_str(), "é=ü"] {
        let both = format!("{before}; {}", visitor.cookie);
        assert!([200, 401].contains(&get(&both).status), "{before}");
        let alone = get(before).expect(401);
        assert!(!alone.text().contains("alice"), "{before}");
    }
    get(&format!("{bad}; {}", visitor.cookie)).expect(200);
    get(&format!("{}; {bad}", visitor.cookie)).expect(200);
    for prefix in ["Cookie-", "x-", " "] {
        let other = get(&format!("{prefix}{}", visitor.cookie)).status;
        assert_eq!(other, if prefix == " " { 200 } else { 401 }, "{prefix:?}");
    }
    get(&format!("{}; {}", vec![bad.as_str(); 300].join("; "), visitor.cookie)).expect(200);
    // In upper case, cut, quoted or encoded it is another one.
    for other in [value.to_uppercase(), value[..32].to_owned(), format!("%{value}")] {
        get(&format!("{name}={other}")).expect(401);
    }
    visitor.get("/waiting").expect(200);
}

/// A program on another port of this machine is sent the cookie, and reads with it what forms carry.
#[test]
fn whoever_has_the_cookie_alone_can_send_no_form_of_an_unlocked_session() {
    let (alice, bob) = friends();
    let item = hold(&alice, "bob", 1);
    let visitor = Visitor::unlocked(&alice);
    let (digest, before) = (visitor.digest(&item), records(&alice));
    for key in [None, Some(""), Some("0"), Some(&ORIGIN_KEY[1..])] {
        for path in [&act(&item, "approve"), &act(&item, "deny"), "/lock", "/peers/invite"] {
            let mut fields = vec![("csrf", visitor.csrf.as_str()), ("digest", digest.as_str())];
            fields.extend(key.map(|key| ("origin_key", key)));
            visitor.bare_form(path, &fields).send().expect(403);
        }
    }
    assert_eq!(records(&alice), before);
    assert!(visitor.get("/settings").text().contains("Unlocked"), "nor was it locked");
    visitor.form(&act(&item, "approve"), &[("digest", &digest)]).send().expect(303);
    bob.received_text("key 1");
    for path in ["/settings", "/waiting", "/page.js", "/open"] {
        assert!(!visitor.get(path).text().contains(ORIGIN_KEY), "{path} tells it");
    }
}

/// Another port can set a cookie, too: that of a session which its own program opened, so that the
/// person unlocks a session that is not theirs alone.
#[test]
fn a_session_that_was_slipped_in_is_not_unlocked_for_whoever_opened_it() {
    let (alice, bob) = friends();
    let item = hold(&alice, "bob", 1);
    let open = |key: &str| {
        let (port, code) = way_in(&alice);
        let fields = [("code", code.as_str()), ("origin_key", key)];
        let fields = &fields[..if key.is_empty() { 1 } else { 2 }];
        let cookie = cookie_of(&Request::form(port, "/open", fields).send().expect(303)).unwrap();
        let mut slipped = Visitor { port, cookie, csrf: String::new() };
        slipped.csrf = field(&slipped.get("/settings").text(), "csrf").unwrap();
        slipped
    };
    let before = records(&alice);
    // With a key of its own: the person's forms, which carry another, are not taken.
    let slipped = open("the attacker's");
    let digest = slipped.digest(&item);
    for path in ["/unlock", &act(&item, "approve"), "/settings/inline"] {
        let fields = [("passphrase", alice.passphrase), ("digest", &digest)];
        slipped.form(path, &fields).send().expect(403);
    }
    // Without one: it never stays unlocked.
    let slipped = open("");
    let said = slipped.told("/unlock", &[("passphrase", alice.passphrase)]);
    assert!(said.contains("without its script"), "{said}");
    let other = hold(&alice, "bob", 2);
    let yes = [("digest", digest.as_str()), ("passphrase", alice.passphrase)];
    slipped.form(&act(&item, "approve"), &yes).send().expect(303);
    bob.received_text("key 1");
    let digest = slipped.digest(&other);
    let said = slipped.told(&act(&other, "approve"), &[("digest", &digest)]);
    assert!(said.contains("the page is locked, and nothing was approved"), "{said}");
    assert!(!slipped.get("/settings").text().contains("action=\"/lock\""));
    assert_eq!(alice.only_pending()["id"], other.as_str());
    assert!(records(&alice) > before && bob.received().len() == 1);
}

/// Links, as fast as the node makes them.
struct Links {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Links {
    fn of(home: &Home) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let home = config::Home::at(home.path()).unwrap();
        let client = runtime.block_on(Client::connect(&home)).unwrap();
        Self { runtime, client }
    }

    fn code(&mut self) -> String {
        let asked = self.client.ask(Asked::Human(HumanRequest::PageLink));
        let link: PageLink = self.runtime.block_on(asked).unwrap();
        link.url.split_once('#').unwrap().1.to_owned()
    }
}

#[test]
fn good_codes_without_end_leave_as_many_sessions_as_there_may_be() {
    let alice = alice();
    let (port, _) = way_in(&alice);
    let mut links = Links::of(&alice);
    let mut cookies = Vec::new();
    for _ in 0..5 * PAGE_SESSIONS_MAX {
        cookies.push(cookie_of(&open_with(port, &links.code()).expect(303)).unwrap());
    }
    let open = |cookie: &String| {
        let page = Request::get(port, "/settings").header("Cookie", cookie).send();
        page.status == 200
    };
    let kept = cookies.iter().filter(|cookie| open(cookie)).count();
    assert_eq!(kept, PAGE_SESSIONS_MAX);
    assert!(open(cookies.last().unwrap()), "the newest is one of them");
}

#[test]
fn streams_of_events_are_bounded_and_leave_room_for_pages() {
    let alice = alice();
    let (port, _) = way_in(&alice);
    let mut links = Links::of(&alice);
    let since = Instant::now();
    let mut streams = Vec::new();
    let mut refused = 0;
    for _ in 0..PAGE_SESSIONS_MAX {
        let cookie = cookie_of(&open_with(port, &links.code()).expect(303)).unwrap();
        for _ in 0..2 * PAGE_STREAMS_MAX {
            let mut connection = Connection::open(port).unwrap();
            let asked = Request::get(port, "/events").header("Cookie", &cookie);
            connection.send(&asked.bytes()).unwrap();
            match connection.head().unwrap().status {
                200 => streams.push(connection),
                429 => refused += 1,
                other => panic!("{other}"),
            }
        }
        let page = Request::get(port, "/waiting").header("Cookie", &cookie);
        page.send().expect(200);
    }
    assert_eq!(streams.len(), PAGE_SESSIONS_MAX * PAGE_STREAMS_MAX);
    assert_eq!(refused, PAGE_SESSIONS_MAX * PAGE_STREAMS_MAX);
    // A session that ends takes its streams along, and others are told what changes.
    let mut last = streams.pop().unwrap();
    alice.run(&["invite"]).expect(0);
    let visitor = Visitor::open(&alice);
    assert!(!visitor.csrf.is_empty(), "one more than there may be ends the one heard last");
    let ended = streams.iter_mut().take(PAGE_STREAMS_MAX);
    assert!(ended.into_iter().all(|stream| stream.is_ended_within(crate::support::SOON)));
    assert!(!last.is_ended_within(std::time::Duration::from_millis(50)), "{:?}", since.elapsed());
}
