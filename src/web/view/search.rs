//! The search and what it found.

use maud::{Markup, html};

use super::{Frame, frame, text, time, words};
use crate::node::api::{Found, Hit, Peer};

/// A search.
#[derive(Clone, Copy, Debug)]
pub struct SearchView<'a> {
    /// What was typed.
    pub query: &'a str,
    /// Only with this peer: its id.
    pub peer: Option<&'a str>,
    /// The peers to choose from.
    pub peers: &'a [Peer],
    /// What was found; `None` when nothing was looked for.
    pub found: Option<&'a Found>,
}

/// `/search`.
#[must_use]
pub fn search(frame: &Frame<'_>, view: &SearchView<'_>) -> Markup {
    let content = html! {
        h1 { "Search" }
        (bar(view.query, Some((view.peers, view.peer))))
        @match view.found {
            None => p .hint {
                "Every word has to be in a message; the last may be a beginning. Held messages are \
                 searched too."
            },
            Some(Found { hits, older: Some(older) }) if hits.is_empty() => div .empty {
                p .big { "Nothing was found so far." }
                p { a .button href=(older_link(view, *older)) { "Look in older messages" } }
            },
            Some(found) if found.hits.is_empty() => div .empty {
                p .big { "Nothing was found." }
                p {
                    "Every word has to be in a message. Try fewer of them, or the beginning of one."
                }
            },
            Some(found) => {
                ul .list #hits { @for hit in &found.hits { li { (row(hit)) } } }
                @if let Some(older) = found.older {
                    p { a .button href=(older_link(view, older)) { "Older" } }
                }
            }
        }
    };
    frame::page(frame, &content)
}

/// The box that a search is typed into, with a choice of peers where there are some to choose.
pub(super) fn bar(query: &str, peers: Option<(&[Peer], Option<&str>)>) -> Markup {
    html! {
        form .search role="search" method="get" action="/search" {
            label .sr for="q" { "Search in every message" }
            input #q name="q" type="search" value=(query) placeholder="Search messages"
                autocomplete="off" autocapitalize="none" spellcheck="false" data-search;
            @if let Some((peers, chosen)) = peers {
                label .sr for="search-peer" { "With" }
                select #search-peer name="peer" { (choices(peers, chosen, "every peer")) }
            }
            button type="submit" { "Search" }
        }
    }
}

/// The peers as choices; the first is all of them.
pub(super) fn choices(peers: &[Peer], chosen: Option<&str>, all: &str) -> Markup {
    html! {
        option value="" { (all) }
        @for peer in peers {
            option value=(peer.id) selected[chosen == Some(peer.id.as_str())] {
                (text::plain(&peer.name))
            }
        }
    }
}

fn row(hit: &Hit) -> Markup {
    let message = &hit.message;
    html! {
        a .row-link href=(format!("/message/{}", message.id)) {
            span .row-head {
                strong { (text::line(&hit.peer.name)) } span .hint {
                    (text::line(&words::author(message)))
                }
            }
            span .row-last.snippet { (text::snippet(&hit.snippet)) }
            span .row-foot {
                (time::ago(&message.sent_at)) " · "
                (words::state(&message.state, message.direction == "out").1)
            }
        }
    }
}

fn older_link(view: &SearchView<'_>, older: u64) -> String {
    query(
        &[
            ("q", view.query),
            ("peer", view.peer.unwrap_or_default()),
            ("before", &older.to_string()),
        ],
        "/search",
    )
}

/// A link with a query, percent-encoded (RFC 3986).
pub(super) fn query(fields: &[(&str, &str)], path: &str) -> String {
    let set: Vec<String> = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    if set.is_empty() { path.to_owned() } else { format!("{path}?{}", set.join("&")) }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_percent_encoded_and_empty_fields_are_left_out() {
        let link = query(&[("q", "a b&c=é\"<"), ("peer", ""), ("before", "7")], "/search");
        assert_eq!(link, "/search?q=a%20b%26c%3D%C3%A9%22%3C&before=7");
        assert_eq!(query(&[("q", "")], "/search"), "/search");
    }
}
