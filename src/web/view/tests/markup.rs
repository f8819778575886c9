//! Just enough of an HTML reader for what maud writes: every tag with its attributes.

#[derive(Clone, Debug)]
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) closes: bool,
}

impl Tag {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Every tag but the document's type, in order. A `<` in an attribute is part of it.
pub(super) fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let end = end_of_tag(&rest[at..]);
        let inner = &rest[at + 1..at + end];
        if !inner.starts_with('!') {
            tags.push(tag(inner));
        }
        rest = &rest[at + end + 1..];
    }
    tags
}

fn end_of_tag(text: &str) -> usize {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '>' if !quoted => return at,
            _ => {}
        }
    }
    panic!("a tag has no end: {}", text.chars().take(80).collect::<String>());
}

fn tag(inner: &str) -> Tag {
    let closes = inner.starts_with('/');
    let inner = inner.trim_start_matches('/').trim_end_matches('/');
    let (name, mut rest) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let quoted = after.strip_prefix("=\"").map(|value| value.split_once('"').unwrap());
        let bare =
            after.strip_prefix('=').map(|value| value.split_once(' ').unwrap_or((value, "")));
        let (value, after) = quoted.or(bare).unwrap_or(("", after));
        attributes.push((name.to_owned(), value.to_owned()));
        rest = after;
    }
    Tag { name: name.to_lowercase(), attributes, closes }
}

/// Each element of this name, which holds none of its own kind, with the tags in it.
pub(super) fn inside<'t>(tags: &'t [Tag], name: &str) -> Vec<(&'t Tag, &'t [Tag])> {
    let opens = tags.iter().enumerate().filter(|(_, tag)| tag.name == name && !tag.closes);
    opens
        .map(|(at, open)| {
            let after = &tags[at + 1..];
            let end = after.iter().position(|tag| tag.name == name).unwrap();
            assert!(after[end].closes, "a {name} in a {name}");
            (open, &after[..end])
        })
        .collect()
}

#[test]
fn a_tag_that_text_smuggles_in_is_found() {
    let found = tags("<p class=\"a<b>\">x</p><img src=x onerror=alert(1)><br/>");
    let names: Vec<&str> = found.iter().map(|tag| tag.name.as_str()).collect();
    assert_eq!(names, ["p", "p", "img", "br"]);
    assert_eq!(found[0].attribute("class"), Some("a<b>"));
    assert!(found[2].attributes.iter().any(|(name, _)| name == "onerror"));
}
