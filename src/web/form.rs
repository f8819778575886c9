//! A form's fields. Any of them may be a passphrase, so all of them are wiped when dropped.

use crate::{
    base::{Secret, limits::FORM_FIELDS_MAX},
    node::api::{ApiError, ErrorKind},
};

/// The fields, in their order.
#[derive(Default)]
pub(super) struct Form(Vec<(String, Secret<String>)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`. `None` for too many fields.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            if fields.len() == FORM_FIELDS_MAX {
                return None;
            }
            fields.push((name.into_owned(), Secret::new(value.into_owned())));
        }
        Some(Self(fields))
    }

    fn field(&self, name: &str) -> Option<&Secret<String>> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// A field's text; empty when it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.field(name).map_or("", |value| value.expose_secret())
    }

    /// A line, without what surrounds it. `None` when it is empty.
    pub(super) fn line(&self, name: &str) -> Option<String> {
        let line = self.text(name).trim();
        (!line.is_empty()).then(|| line.to_owned())
    }

    /// A text of several lines. A browser ends each with CR LF, whatever was typed.
    pub(super) fn lines(&self, name: &str) -> String {
        self.text(name).replace("\r\n", "\n")
    }

    /// A box that was ticked.
    pub(super) fn ticked(&self, name: &str) -> bool {
        self.text(name) == "on"
    }

    /// A value that is parsed; `None` when it is empty, or not of its form.
    pub(super) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name).trim().parse().ok()
    }

    /// A passphrase that was typed.
    pub(super) fn passphrase(&self, name: &str) -> Option<Secret<String>> {
        let typed = self.field(name)?.expose_secret();
        (!typed.is_empty()).then(|| Secret::new(typed.clone()))
    }

    /// A number from 1 to `most`.
    pub(super) fn number(&self, name: &str, most: u64) -> Result<u64, ApiError> {
        let typed: String = self.text(name).trim().chars().take(20).collect();
        let number = typed.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| {
            let message = format!("{name} is {typed:?}, and must be a number from 1 to {most}");
            ApiError::new(ErrorKind::Usage, message, "type another number")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_a_browser_sends_it() {
        let form = Form::parse(b"text=a%0D%0Ab+%E2%82%AC&note=+&verified=on&hours=24&hours=1");
        let form = form.unwrap();
        assert_eq!(form.lines("text"), "a\nb \u{20ac}");
        assert_eq!(form.line("note"), None);
        assert!(form.ticked("verified") && !form.ticked("text"));
        assert_eq!(form.number("hours", 720).unwrap(), 24);
        assert!(form.passphrase("passphrase").is_none());
        let many = "a=1&".repeat(FORM_FIELDS_MAX + 1);
        assert!(Form::parse(many.as_bytes()).is_none());
    }

    #[test]
    fn a_number_outside_of_its_bounds_is_refused_with_them() {
        for typed in ["", "0", "721", "-1", "1e3", "a"] {
            let form = Form::parse(format!("hours={typed}").as_bytes()).unwrap();
            let error = form.number("hours", 720).unwrap_err();
            assert!(error.message.contains("from 1 to 720"), "{error}");
        }
    }
}
