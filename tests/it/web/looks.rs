//! Every page as it looks: axe-core finds nothing, nothing runs off a phone's side, and pictures
//! can be taken (`COUNTERSIGN_SCREENSHOTS=FOLDER`) for people to judge.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::{Person, journey, secret};
use crate::support::{
    Home, SOON,
    browser::{Browser, Page, browser},
    pair, pty,
    require::slow,
    until,
};

/// A phone and a desk, by day and by night.
const LOOKS: [(u32, u32, bool); 4] =
    [(360, 780, false), (360, 780, true), (1280, 900, true), (1280, 900, false)];
/// The rules of axe-core whose answer can differ between one width and another, or between day and
/// night. The others look at the document, which is the same in each.
const OF_A_LOOK: &[&str] = &["color-contrast", "target-size", "scrollable-region-focusable"];
const WIDTHS: [(u32, u32); 3] = [(360, 780), (768, 1024), (1440, 900)];
const PICTURE_BYTES_MAX: usize = 200_000;

/// Where pictures go, if they are wanted.
fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env::var_os("COUNTERSIGN_SCREENSHOTS")?);
    fs::create_dir_all(&folder).unwrap();
    Some(folder)
}

fn no_wider_than_the_screen(page: &Page<'_>, name: &str) {
    let over = page.eval(
        "Array.from(document.querySelectorAll('body *')).filter(e => e.checkVisibility()
            && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
            && !e.closest('.sr, .payload, .said, .command, .count')).map(e => e.outerHTML.slice(0, 120))",
    );
    let wide = page.eval("document.documentElement.scrollWidth > innerWidth");
    assert!(wide == false, "{name} scrolls sideways: {over:#}");
}

/// Looks at the page that is shown in every way.
fn judge(page: &Page<'_>, name: &str) {
    for (at, (width, height, dark)) in LOOKS.into_iter().enumerate() {
        let look = format!("{name}, {width} wide, {}", if dark { "dark" } else { "light" });
        page.looks(width, height, dark);
        no_wider_than_the_screen(page, &look);
        let rules = if at == 0 { &[] } else { OF_A_LOOK };
        assert_eq!(page.axe_violations(rules), Vec::<String>::new(), "{look}");
    }
    if let Some(folder) = folder() {
        for (width, height) in WIDTHS {
            for (dark, word) in [(false, "light"), (true, "dark")] {
                let path = folder.join(format!("{name}-{width}-{word}.png"));
                page.screenshot(&path, width, height, dark);
            }
        }
    }
    page.looks(1280, 900, false);
}

/// The pages that `COUNTERSIGN_GALLERY=FOLDER cargo test --lib gallery` has written: what is rare
/// or long, and no two nodes get into in a minute.
#[test]
fn the_gallery_is_good_to_read_where_there_is_one() {
    let Some(gallery) = env::var_os("COUNTERSIGN_GALLERY") else { return };
    let Some(browser) = browser() else { return };
    let page = browser.page();
    for entry in fs::read_dir(gallery).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "html") {
            page.goto(&format!("file://{}", path.display()));
            let name = path.file_stem().unwrap().to_string_lossy();
            judge(&page, &format!("gallery-{name}"));
        }
    }
}

const LONG_NAME: &str = "Wilhelmina-Bartholomea von Hohenstein-Zollernburg (build 4)";

/// A home that was set up on the page, with a name as its human writes it.
fn named(browser: &Browser, name: &'static str, called: &str, passphrase: &'static str) -> Home {
    let home = Home::empty(name, passphrase);
    home.run(&["page", "--name", called]).expect(0);
    journey::set_up(&Person::at(browser, &home), passphrase, passphrase);
    home
}

/// Alice, Bob and somebody with a long name; much that was said, and something of each kind waits.
fn a_busy_week(browser: &Browser) -> [Home; 3] {
    let alice = named(browser, "alice", "Alice", "mauve otter drifts past nine lanterns");
    let bob = named(browser, "bob", "Bob", "gravel violin borrowed a copper umbrella");
    let other = named(browser, "wilma", LONG_NAME, "quartz heron forgot the seventh staircase");
    pair(&alice, &bob);
    alice.send("bob", "Hi! Alice's agent here. Which branch do you deploy from this week?");
    bob.received_text("Which branch");
    bob.send(
        "alice",
        "From release/4.2.\n\nTwo things are still open:\n\t1. the retry limit\n\t2. the changelog",
    );
    alice.received_text("release/4.2");
    let long = "One more thing, and it takes a while to tell. ".repeat(60);
    alice.send("bob", long.trim_end());
    bob.received_text("takes a while");
    let held = format!(
        "The staging deploy needs this token until Friday:\n\n{}\n\nPlease put it into the vault.",
        secret()
    );
    alice.json_code(&["send", "bob", &held], 3);
    let hidden = format!("pay \u{202e}RUE 001\u{202c} now{}", "\u{200b}".repeat(9));
    let sent = bob.json_code(&["send", "alice", &hidden], 3);
    bob.approve(sent["pending"].as_str().unwrap());
    until("what came in waits", SOON, || alice.pending().len() == 2);
    let invite = alice.json(&["invite", "--note", "for the build team"])["invite"].clone();
    let invite = invite.as_str().unwrap();
    let connected = other.run(&["connect", invite, "--note", "We met on Tuesday.", "--json"]);
    assert!(matches!(connected.code, Some(0 | 3)), "{connected}");
    until("the new peer waits", SOON, || alice.pending().len() == 3);
    [alice, bob, other]
}

/// Opens each page with all that can be opened on it, and judges it.
fn judge_each(alice: &Person<'_>, pages: &[(&str, String)]) {
    for (name, path) in pages {
        alice.visit(path);
        alice.page.eval("document.querySelectorAll('details').forEach(part => part.open = true)");
        judge(&alice.page, name);
    }
}

#[test]
fn decisions_are_good_to_read_on_a_phone_and_on_a_desk_by_day_and_by_night() {
    if !slow() {
        return;
    }
    let Some(browser) = browser() else { return };
    let homes = a_busy_week(&browser);
    let alice = Person::at(&browser, &homes[0]);
    let items = alice.home.pending();
    let item = |at: usize| format!("/waiting/{}", super::id(&items[at]));
    judge_each(&alice, &[("item-out", item(0)), ("item-in", item(1)), ("item-peer", item(2))]);
    judge_each(&alice, &[("item-gone", "/waiting/aaaaaaaa".into())]);
    judge_each(&alice, &[("waiting", "/waiting".into()), ("settings", "/settings".into())]);
    alice.unlock();
    for (name, path) in [("waiting-unlocked", "/waiting"), ("settings-unlocked", "/settings")] {
        alice.visit(path);
        judge(&alice.page, name);
    }
    alice.visit("/peers");
    alice.page.follow("form[action='/peers/invite'] button");
    judge(&alice.page, "peers-invite");
    alice.is_quiet_but_for(&["404 (Not Found)"]);
}

#[test]
fn what_was_said_is_good_to_read_on_a_phone_and_on_a_desk_by_day_and_by_night() {
    if !slow() {
        return;
    }
    let Some(browser) = browser() else { return };
    let homes = a_busy_week(&browser);
    let alice = Person::at(&browser, &homes[0]);
    let messages = alice.home.json(&["inbox", "--limit", "10"]);
    let message = messages["messages"][0]["id"].as_str().unwrap();
    let bob = alice.home.peer("bob").unwrap();
    let with_bob = |section: &str| format!("/{section}/{}", super::id(&bob));
    let pages = [
        ("conversations", "/conversations".to_owned()),
        ("conversation", with_bob("conversations")),
        ("message", format!("/message/{message}")),
        ("search", "/search?q=token".to_owned()),
        ("search-nothing", "/search?q=nowhere".to_owned()),
        ("peers", "/peers".to_owned()),
        ("peer", with_bob("peers")),
        ("evidence", "/evidence".to_owned()),
        ("nowhere", "/nowhere".to_owned()),
    ];
    judge_each(&alice, &pages);
    let bob = Person::at(&browser, &homes[1]);
    bob.visit_peer("conversations", "alice");
    judge(&bob.page, "conversation-of-bob");
    alice.is_quiet_but_for(&["404 (Not Found)"]);
    bob.is_quiet();
}

#[test]
fn the_first_pages_are_good_to_read_too() {
    if !slow() {
        return;
    }
    let Some(browser) = browser() else { return };
    let home = Home::empty("alice", "mauve otter drifts past nine lanterns");
    home.run(&["page", "--name", "Alice"]).expect(0);
    let alice = Person::at(&browser, &home);
    judge(&alice.page, "first-setup");
    alice.page.type_into("#new-passphrase", "password1");
    alice.page.type_into("#again", "password1");
    alice.page.follow("form .primary");
    judge(&alice.page, "first-setup-refused");
    pty::init(&home, home.passphrase).expect(0);
    for name in ["waiting", "conversations", "peers", "evidence"] {
        alice.visit(&format!("/{name}"));
        judge(&alice.page, &format!("first-{name}"));
    }
    let stranger = browser.stranger();
    for (name, path) in [("no-session", "/waiting"), ("open", "/open")] {
        stranger.goto(&format!("{}{path}", alice.origin));
        judge(&stranger, name);
    }
    alice.is_quiet();
}

/// What stands in the README.
#[test]
fn the_picture_of_a_decision_can_be_taken() {
    let Some(folder) = folder() else { return };
    let Some(browser) = browser() else { return };
    let picture = picture(&browser, &folder);
    assert!(fs::metadata(&picture).unwrap().len() < PICTURE_BYTES_MAX as u64);
    fs::copy(picture, Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/picture.png")).unwrap();
}

fn picture(browser: &Browser, folder: &Path) -> PathBuf {
    let homes = [
        Home::empty("alice", "mauve otter drifts past nine lanterns"),
        Home::empty("bob", "gravel violin borrowed a copper umbrella"),
    ];
    let [alice, bob] = [(&homes[0], "Alice"), (&homes[1], "Bob")].map(|(home, called)| {
        home.run(&["page", "--name", called]).expect(0);
        let person = Person::at(browser, home);
        journey::set_up(&person, home.passphrase, home.passphrase);
        person
    });
    journey::pair_on_the_page(&alice, &bob);
    let text = format!(
        "Hi Bob's agent, the staging deploy failed again: the registry refused our push.\n\n\
         This token can push until Friday:\n\n    {}\n\n\
         Could you try it from your side and tell me what the registry answers?",
        secret()
    );
    alice.home.json_code(&["send", "bob", &text], 3);
    alice.visit("/waiting");
    let path = folder.join("picture.png");
    alice.page.screenshot(&path, 1280, 940, false);
    path
}
