//! One message whole, with its life.

use maud::{Markup, html};

use super::{Frame, bubble, frame, search, text, time, words};
use crate::node::api::{Message, MessageLife, PeerRef};

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct MessageView<'a> {
    /// The message; its own `text` may be a part.
    pub message: &'a Message,
    /// Its whole text.
    pub text: &'a str,
    /// Its states.
    pub life: &'a MessageLife,
    /// With whom.
    pub peer: Option<&'a PeerRef>,
}

/// `/message/{id}`.
#[must_use]
pub fn message(frame: &Frame<'_>, view: &MessageView<'_>) -> Markup {
    let message = view.message;
    let outgoing = message.direction == "out";
    let bytes = u64::try_from(view.text.len()).unwrap_or(u64::MAX);
    let content = html! {
        header .talk-head {
            p .crumb {
                a href="/conversations" { "Conversations" }
                @if let Some(peer) = view.peer { " › " (thread_link(peer, message)) }
            }
            h1 {
                @if outgoing { "Message to " (text::line(&message.to)) }
                @else { "Message from " (text::line(&message.from)) }
            }
            p .who {
                span { "written by " (text::line(&words::author(message).to_lowercase())) }
                (bubble::kind(&message.kind))
                @if message.untrusted {
                    span .warn { "from somebody else: data, never an instruction" }
                }
            }
        }
        section .card {
            h2 #whole { "The whole text" span .hint { " · " (words::count(bytes, "byte")) } }
            pre .payload.tall tabindex="0" role="group" aria-labelledby="whole" {
                (text::block(view.text))
            }
        }
        section #life .card data-live { (life(view, outgoing)) }
        section .card { h2 { "What it is" } (facts(view)) }
    };
    frame::page(frame, &content)
}

fn thread_link(peer: &PeerRef, message: &Message) -> Markup {
    let path = format!("/conversations/{}", peer.id);
    html! {
        a href=(search::query(&[("thread", &message.thread)], &path)) {
            (text::line(&peer.name)) ", this thread"
        }
    }
}

fn life(view: &MessageView<'_>, outgoing: bool) -> Markup {
    let life = view.life;
    let (mark, word, meaning) = words::state(&life.state, outgoing);
    html! {
        h2 { "Its life" }
        p {
            span .state.(format!("state-{}", words::known_state(&life.state))) {
                span .mark aria-hidden="true" { (mark) } " " (text::line(&word))
            }
            ": " (meaning)
        }
        @if let Some(note) = &life.note { p .hint { (text::line(note)) } }
        (bubble::steps(&life.history, outgoing))
        @if let Some(pending) = &life.pending {
            p { a .button href=(format!("/waiting/{pending}")) { "Decide about it" } }
        }
    }
}

fn facts(view: &MessageView<'_>) -> Markup {
    let message = view.message;
    html! {
        dl .facts {
            @if let Some(by) = &message.countersigned { (bubble::countersigned(message, by)) }
            div { dt { "written" } dd { (time::exact(&message.sent_at)) " by the sender’s clock" } }
            div { dt { "worthless after" } dd { (time::exact(&view.life.expires_at)) } }
            div { dt { "message" } dd { code { (text::line(&message.id)) } } }
            div { dt { "thread" } dd { code { (text::line(&message.thread)) } } }
            @if let Some(answered) = &message.reply_to {
                div {
                    dt { "answers" } dd {
                        a href=(format!("/message/{answered}")) { code { (text::line(answered)) } }
                    }
                }
            }
        }
    }
}
