//! One server as an entry of a client's configuration: the same fields, whatever the file's format.

use jsonc_parser::cst::CstInputValue;
use serde_json::Value as Json;

/// A value of an entry. Clients need no more kinds than these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// A text.
    Text(String),
    /// A number of seconds.
    Seconds(u32),
    /// `true`.
    Yes,
    /// Texts in their order.
    List(Vec<String>),
    /// Texts by name.
    Texts(Vec<(String, String)>),
}

impl From<&str> for Field {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// An entry's fields, in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry(pub(super) Vec<(&'static str, Field)>);

/// A question that a client asks its user for a secret: VS Code's `inputs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What an entry names it by.
    pub(super) id: &'static str,
    /// Its fields, with the id.
    pub(super) entry: Entry,
}

impl Entry {
    /// As plain data, to compare with what a parser reads.
    #[must_use]
    pub fn json(&self) -> Json {
        let fields = self.0.iter().map(|(name, field)| ((*name).to_owned(), field.json()));
        Json::Object(fields.collect())
    }

    /// For the editor of JSON.
    pub(super) fn cst(&self) -> CstInputValue {
        let fields = self.0.iter().map(|(name, field)| ((*name).to_owned(), field.cst()));
        CstInputValue::Object(fields.collect())
    }

    /// For the editor of TOML.
    pub(super) fn toml(&self) -> toml_edit::Table {
        let mut table = toml_edit::Table::new();
        for (name, field) in &self.0 {
            table.insert(name, toml_edit::value(field.toml()));
        }
        table
    }

    /// Lines of YAML, each indented by `indent`.
    pub(super) fn yaml(&self, indent: &str) -> String {
        let line = |(name, field): &(&str, Field)| field.yaml(name, indent);
        self.0.iter().map(line).collect()
    }
}

/// A text between double quotes, which JSON and YAML read alike.
pub(super) fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

impl Field {
    fn json(&self) -> Json {
        match self {
            Self::Text(text) => Json::from(text.as_str()),
            Self::Seconds(seconds) => Json::from(*seconds),
            Self::Yes => Json::from(true),
            Self::List(texts) => Json::from(texts.as_slice()),
            Self::Texts(texts) => {
                let pair = |(name, text): &(String, String)| (name.clone(), text.as_str().into());
                Json::Object(texts.iter().map(pair).collect())
            }
        }
    }

    fn cst(&self) -> CstInputValue {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Seconds(seconds) => (*seconds).into(),
            Self::Yes => true.into(),
            Self::List(texts) => texts.clone().into(),
            Self::Texts(texts) => {
                let pair = |(name, text): &(String, String)| (name.clone(), text.as_str().into());
                CstInputValue::Object(texts.iter().map(pair).collect())
            }
        }
    }

    fn toml(&self) -> toml_edit::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Seconds(seconds) => i64::from(*seconds).into(),
            Self::Yes => true.into(),
            Self::List(texts) => texts.iter().collect::<toml_edit::Array>().into(),
            Self::Texts(texts) => {
                let pair = |(name, text): &(String, String)| (name.clone(), text.clone());
                texts.iter().map(pair).collect::<toml_edit::InlineTable>().into()
            }
        }
    }

    fn yaml(&self, name: &str, indent: &str) -> String {
        match self {
            Self::Text(text) => format!("{indent}{name}: {}\n", quoted(text)),
            Self::Seconds(seconds) => format!("{indent}{name}: {seconds}\n"),
            Self::Yes => format!("{indent}{name}: true\n"),
            Self::List(texts) => {
                let items: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("{indent}{name}: [{}]\n", items.join(", "))
            }
            Self::Texts(texts) if texts.is_empty() => format!("{indent}{name}: {{}}\n"),
            Self::Texts(texts) => {
                let line = |(key, text): &(String, String)| {
                    format!("{indent}  {}: {}\n", quoted(key), quoted(text))
                };
                let lines: String = texts.iter().map(line).collect();
                format!("{indent}{name}:\n{lines}")
            }
        }
    }
}
