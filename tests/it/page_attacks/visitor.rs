//! Whoever speaks HTTP to the page: with a session of their own, or with what they took.

use serde_json::Value;

use crate::support::{
    Home,
    http::{Request, Response},
};

/// A text that is held: put together here, so that no scanner of repositories takes it for real.
pub(crate) fn secret(number: usize) -> String {
    format!("key {number}: {}{}", "AKIA", "ABCD2345EFGH6723")
}

/// Sends something that is held, and gives the item's id.
pub(crate) fn hold(home: &Home, to: &str, number: usize) -> String {
    let sent = home.json_code(&["send", to, &secret(number)], 3);
    sent["pending"].as_str().unwrap().to_owned()
}

/// The page's port, and a code that opens it once.
pub(crate) fn way_in(home: &Home) -> (u16, String) {
    let link = home.json(&["page"]);
    let (origin, code) = link["url"].as_str().unwrap().split_once("/open#").unwrap();
    (origin.strip_prefix("http://localhost:").unwrap().parse().unwrap(), code.to_owned())
}

/// What the page's script makes when a link is opened, and keeps where no other port reads it.
pub(crate) const ORIGIN_KEY: &str =
    "5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed";

/// Uses a code, as the page's script does.
pub(crate) fn open_with(port: u16, code: &str) -> Response {
    Request::form(port, "/open", &[("code", code), ("origin_key", ORIGIN_KEY)]).send()
}

/// What an answer sets, without its attributes.
pub(crate) fn cookie_of(response: &Response) -> Option<String> {
    Some(response.header("set-cookie")?.split(';').next()?.to_owned())
}

/// The value of a hidden field.
pub(crate) fn field(html: &str, name: &str) -> Option<String> {
    let after = html.split_once(&format!("name=\"{name}\" value=\""))?.1;
    Some(after.split('"').next()?.to_owned())
}

/// A session, held by a program instead of a browser.
#[derive(Clone)]
pub(crate) struct Visitor {
    pub(crate) port: u16,
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl Visitor {
    pub(crate) fn open(home: &Home) -> Self {
        let (port, code) = way_in(home);
        let cookie = cookie_of(&open_with(port, &code).expect(303)).unwrap();
        let mut visitor = Self { port, cookie, csrf: String::new() };
        visitor.csrf = field(&visitor.get("/settings").expect(200).text(), "csrf").unwrap();
        visitor
    }

    /// A session that decides about messages without the passphrase.
    pub(crate) fn unlocked(home: &Home) -> Self {
        let visitor = Self::open(home);
        let said = visitor.told("/unlock", &[("passphrase", home.passphrase)]);
        assert!(said.contains("Unlocked"), "{said}");
        visitor
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.request("GET", path).send()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.port, method, path).header("Cookie", &self.cookie)
    }

    /// A form of this session.
    pub(crate) fn form(&self, path: &str, fields: &[(&str, &str)]) -> Request {
        let own = [("csrf", self.csrf.as_str()), ("origin_key", ORIGIN_KEY)];
        self.bare_form(path, &[&own, fields].concat())
    }

    /// A form that carries nothing but these fields and the cookie.
    pub(crate) fn bare_form(&self, path: &str, fields: &[(&str, &str)]) -> Request {
        Request::form(self.port, path, fields).header("Cookie", &self.cookie)
    }

    /// Sends a form and reads the page that it leads to.
    #[track_caller]
    pub(crate) fn told(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let sent = self.form(path, fields).send().expect(303);
        self.get(sent.header("location").unwrap()).text()
    }

    /// The digest that an item's form is for.
    #[track_caller]
    pub(crate) fn digest(&self, item: &str) -> String {
        field(&self.get(&format!("/waiting/{item}")).expect(200).text(), "digest").unwrap()
    }
}

/// Where something is done with an item.
pub(crate) fn act(item: &str, what: &str) -> String {
    format!("/waiting/{item}/{what}")
}

/// How many records the audit chain has: whatever changes a home adds one.
pub(crate) fn records(home: &Home) -> u64 {
    home.json(&["audit", "verify"])["records"].as_u64().unwrap()
}

/// What is there to be changed: what waits, what is granted, and how much was recorded.
pub(crate) fn state(home: &Home) -> [Value; 3] {
    [home.json(&["pending"]), home.json(&["grants"]), records(home).into()]
}
