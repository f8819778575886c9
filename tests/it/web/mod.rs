//! People at the page of real nodes, in a real browser: what they see, what they can do, and how
//! much work it is. Where there is no browser, each test says so and shows nothing.

mod conversations;
mod decisions;
mod journey;
mod keyboard;
mod live;
mod long;
mod looks;
mod sessions;
mod settings;

use crate::support::{
    Home,
    browser::{Browser, Page},
    pairing::id,
};
use serde_json::{Value, json};

/// A person with a home and a browser of their own.
struct Person<'b> {
    home: &'b Home,
    page: Page<'b>,
    origin: String,
}

impl<'b> Person<'b> {
    /// Somebody who has just opened the page.
    fn at(browser: &'b Browser, home: &'b Home) -> Self {
        let page = browser.stranger();
        page.looks(1280, 900, false);
        let origin = opened(&page, home);
        Self { home, page, origin }
    }

    /// As [`Person::at`], and the passphrase was typed.
    fn unlocked(browser: &'b Browser, home: &'b Home) -> Self {
        let person = Self::at(browser, home);
        person.unlock();
        person
    }

    fn unlock(&self) {
        self.visit("/settings");
        self.page.type_into("#passphrase-unlock", self.home.passphrase);
        self.page.follow("#lock-settings .primary");
        assert!(self.page.exists("[data-unlocked]"), "{}", self.text());
    }

    fn visit(&self, path: &str) {
        self.page.goto(&format!("{}{path}", self.origin));
    }

    /// The conversation with a peer, the peer's page.
    fn visit_peer(&self, section: &str, name: &str) {
        let peer = self.home.peer(name).unwrap();
        self.visit(&format!("/{section}/{}", id(&peer)));
    }

    /// The path of the page that is shown.
    fn place(&self) -> String {
        self.page.url()[self.origin.len()..].to_owned()
    }

    /// All that can be read.
    fn text(&self) -> String {
        self.page.text("body")
    }

    /// Waits until the page says so.
    #[track_caller]
    fn reads(&self, words: &str) {
        self.page.wait_for(&format!("document.body.innerText.includes({})", json!(words)));
    }

    /// Types the passphrase into the field of one form.
    fn type_passphrase(&self, form: &str) {
        self.page.type_into(&format!("{form} input[type=password]"), self.home.passphrase);
    }

    /// Nothing was wrong on any page so far, but for what is expected.
    #[track_caller]
    fn is_quiet_but_for(&self, expected: &[&str]) {
        let mut problems = self.page.problems();
        problems.retain(|problem| !expected.iter().any(|part| problem.contains(part)));
        assert_eq!(problems, Vec::<String>::new());
    }

    #[track_caller]
    fn is_quiet(&self) {
        self.is_quiet_but_for(&[]);
    }
}

/// Opens the page of `home` with a new link; gives where it is.
fn opened(page: &Page<'_>, home: &Home) -> String {
    let link = link(home);
    page.goto(&link);
    page.wait_for("location.pathname !== '/open' && document.readyState === 'complete'");
    link.split_once("/open#").unwrap().0.to_owned()
}

fn link(home: &Home) -> String {
    home.run(&["page"]).expect(0).stdout.trim_end().to_owned()
}

/// A text with a secret's shape, put together here so that no scanner takes it for a real one.
fn secret() -> String {
    ["ghp_", &"a1B2c3D4e5F6".repeat(3)].concat()
}

/// Sends a secret, which is held; gives the item that waits.
fn send_secret(home: &Home, to: &str, words: &str) -> String {
    let sent = home.json_code(&["send", to, &format!("{words} {}", secret())], 3);
    sent["pending"].as_str().unwrap().to_owned()
}

/// A selector for the card of a waiting item.
fn card(item: &str) -> String {
    format!("#item-{item}")
}

/// A message that arrived, once it is there.
fn arrived(home: &Home, text: &str) -> Value {
    home.received_text(text)
}
