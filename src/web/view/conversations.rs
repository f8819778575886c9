//! All conversations.

use maud::{Markup, html};

use super::{Frame, frame, search, text, time, words};
use crate::node::api::{Conversation, Conversations};

/// `/conversations`.
#[must_use]
pub fn conversations(frame: &Frame<'_>, all: &Conversations) -> Markup {
    let content = html! {
        h1 { "Conversations" }
        (search::bar("", None))
        div #conversations data-live {
            @if all.conversations.is_empty() {
                div .empty {
                    p .big { "No peers yet." }
                    p { "A conversation begins with a pairing: make an invite, or use one that somebody \
                         gave you, under " a href="/peers" { "Peers" } "." }
                }
            } @else {
                ul .list { @for conversation in &all.conversations { li { (row(conversation)) } } }
            }
        }
    };
    frame::page(frame, &content)
}

fn row(conversation: &Conversation) -> Markup {
    let peer = &conversation.peer;
    html! {
        a .row-link href=(format!("/conversations/{}", peer.id)) {
            span .row-head {
                strong .petname { (text::line(&peer.name)) }
                (reach(&peer.path))
                @if conversation.unread > 0 { span .count { (conversation.unread) " unread" } }
                @if conversation.held > 0 { span .count.held { (conversation.held) " held" } }
            }
            @if let Some(last) = &conversation.last {
                span .row-last {
                    span .hint { (text::line(&words::author(last))) ": " }
                    (text::line(&beginning(&last.text)))
                }
                span .row-foot {
                    (time::ago(&last.sent_at)) " · "
                    (words::state(&last.state, last.direction == "out").1)
                    " · " (words::count(conversation.threads, "thread"))
                    ", " (words::count(conversation.messages, "message"))
                }
            } @else {
                span .row-last.hint { "Nothing was said yet." }
            }
        }
    }
}

/// The first line, as far as it fits a list.
pub(super) fn beginning(text: &str) -> String {
    const CHARS_MAX: usize = 120;
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let mut shown: String = first.chars().take(CHARS_MAX).collect();
    if shown.len() < text.trim_end().len() {
        shown.push_str(" …");
    }
    shown
}

/// How a peer is reached, in a word and a mark.
pub(super) fn reach(path: &str) -> Markup {
    let (class, word) = match path {
        "direct" => ("online", "direct"),
        "relay" => ("online", "relay"),
        _ => ("offline", "offline"),
    };
    html! { span .reach.(class) { (word) } }
}
