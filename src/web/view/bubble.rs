//! One message of a conversation: who wrote it, what it says, and what became of it.

use maud::{Markup, html};

use super::{text, time, words};
use crate::{
    base::text::is_hidden,
    node::api::{Countersigned, DecisionInfo, Message, Step, TalkMessage},
};

/// The message. `reply` is where it is answered, for what can be.
pub(super) fn bubble(talk: &TalkMessage, reply: Option<&str>) -> Markup {
    let message = &talk.message;
    let outgoing = message.direction == "out";
    html! {
        article .bubble.out[outgoing].human[message.author == "human"] {
            header {
                strong { (text::line(&words::author(message))) }
                @if message.author == "human" { span .tag { "human" } }
                (kind(&message.kind))
                a .when href=(format!("/message/{}", message.id)) { (time::ago(&message.sent_at)) }
            }
            (said(&message.text))
            @if message.truncated {
                p {
                    a href=(format!("/message/{}", message.id)) {
                        "This is the beginning. Read it whole"
                    }
                }
            }
            @if let Some(note) = &talk.note { p .hint { (text::line(note)) } }
            @if let Some(pending) = &talk.pending {
                p { a .button.small href=(format!("/waiting/{pending}")) { "Decide about it" } }
            }
            footer {
                (life(&message.state, outgoing, &talk.history, &facts(message, talk.decided.as_ref())))
                @if let Some(reply) = reply {
                    a .reply href=(reply) { "Answer" span .sr { " this message" } }
                }
            }
        }
    }
}

/// The text. A long one scrolls, and so it can be reached without a mouse.
fn said(text: &str) -> Markup {
    const BYTES_MAX: usize = 400;
    const LINES_MAX: usize = 10;
    /// A hidden character is shown as wide as this many others.
    const CHIP: usize = 9;
    let chips = text.chars().filter(|c| is_hidden(*c)).count();
    let long = text.len() + CHIP * chips > BYTES_MAX || text.lines().count() > LINES_MAX;
    html! {
        div .said tabindex=[long.then_some("0")] role=[long.then_some("group")]
            aria-label=[long.then_some("The message’s text")] { (text::block(text)) }
    }
}

/// A kind that is more than a text.
pub(super) fn kind(kind: &str) -> Markup {
    html! {
        @match kind {
            "text" => {},
            "request" => span .tag { "expects a reply" },
            "reply" => span .tag { "reply" },
            _ => span .tag { "unsupported kind: " (text::line(kind)) },
        }
    }
}

/// Who vouched for it, and what was decided here.
fn facts(message: &Message, decided: Option<&DecisionInfo>) -> Markup {
    html! {
        @if let Some(by) = &message.countersigned { (countersigned(message, by)) }
        @if let Some(decided) = decided {
            div {
                dt { "decided" }
                dd {
                    (text::line(&decided.decision)) ": " (words::method(&decided.method)) ", "
                    (time::exact(&decided.at))
                }
            }
        }
    }
}

/// Whose countersignature it carries.
pub(super) fn countersigned(message: &Message, by: &Countersigned) -> Markup {
    let whose = if message.direction == "out" {
        "you".to_owned()
    } else {
        format!("{}’s human", message.from)
    };
    html! {
        div {
            dt { "countersigned" }
            dd {
                "by " (text::line(&whose)) ": " (words::method(&by.method)) ", "
                (time::exact(&by.at))
            }
        }
    }
}

/// The newest state, and all of them on demand.
pub(super) fn life(state: &str, outgoing: bool, history: &[Step], facts: &Markup) -> Markup {
    let (mark, word, meaning) = words::state(state, outgoing);
    html! {
        details .life {
            summary {
                span .state.(format!("state-{}", words::known_state(state))) {
                    span .mark aria-hidden="true" { (mark) } " " (text::line(&word))
                }
                span .sr { ": " (meaning) }
            }
            p .hint { (meaning) }
            (steps(history, outgoing))
            dl .facts { (facts) }
        }
    }
}

/// Every state with its time.
pub(super) fn steps(history: &[Step], outgoing: bool) -> Markup {
    html! {
        ol .steps {
            @for step in history {
                @let (mark, word, _) = words::state(&step.state, outgoing);
                li {
                    span .mark aria-hidden="true" { (mark) }
                    span { (text::line(&word)) }
                    (time::exact(&step.at))
                    @if let Some(reason) = &step.reason { span .hint { (text::line(reason)) } }
                }
            }
        }
    }
}
