//! One conversation: its threads, its messages, and the form to write.

use maud::{Markup, html};

use super::{Frame, Lock, bubble, conversations, forms, frame, search, text, time, words};
use crate::{
    base::limits,
    node::api::{Message, Peer, Talk, Thread, Threads},
    trust::PeerState,
};

/// One conversation.
#[derive(Clone, Copy, Debug)]
pub struct TalkView<'a> {
    /// The part that is shown.
    pub talk: &'a Talk,
    /// The threads to choose from.
    pub threads: &'a Threads,
    /// This is an older part (`before` was given).
    pub older_part: bool,
    /// What was typed and could not be sent, to be mended; else empty.
    pub typed: &'a str,
    /// The message that is to be answered, where one was chosen (`?reply_to=`).
    pub reply_to: Option<&'a str>,
}

/// `/conversations/{peer_id}`.
#[must_use]
pub fn conversation(frame: &Frame<'_>, view: &TalkView<'_>) -> Markup {
    let peer = &view.talk.peer;
    let content = html! {
        (head(peer))
        (search::bar("", Some((std::slice::from_ref(peer), Some(&peer.id)))))
        div .talk-page {
            (threads(view))
            section .talk aria-label="Messages" {
                (messages(view))
                (write(frame, view))
            }
        }
    };
    frame::page(frame, &content)
}

fn head(peer: &Peer) -> Markup {
    html! {
        header .talk-head {
            p .crumb { a href="/conversations" { "Conversations" } }
            h1 { (text::line(&peer.name)) }
            div #talk-peer .who data-live {
                span { "calls itself " (text::claim(&peer.claim)) }
                span { (words::path(peer)) }
                span { (words::peer_state(peer.state).0) @if !peer.verified { ", not verified" } }
                a href=(format!("/peers/{}", peer.id)) { "Trust and grants" }
            }
            @if let Some(warning) = &peer.warning { p .notice.trouble { (text::line(warning)) } }
        }
    }
}

fn threads(view: &TalkView<'_>) -> Markup {
    let (peer, chosen) = (&view.talk.peer.id, view.talk.thread.as_deref());
    let all = format!("/conversations/{peer}");
    html! {
        nav .threads aria-label="Threads" {
            details open[chosen.is_some()] {
                summary { "Threads" span .hint { " · " (view.threads.threads.len()) } }
                ul #threads data-live {
                    li {
                        a href=(all) aria-current=[chosen.is_none().then_some("true")] {
                            "Everything"
                        }
                    }
                    @for thread in &view.threads.threads {
                        li { (thread_link(peer, thread, chosen)) }
                    }
                }
            }
        }
    }
}

fn thread_link(peer: &str, thread: &Thread, chosen: Option<&str>) -> Markup {
    let path = format!("/conversations/{peer}");
    let here = (chosen == Some(thread.thread.as_str())).then_some("true");
    html! {
        a href=(search::query(&[("thread", &thread.thread)], &path)) aria-current=[here] {
            span .thread-title { (text::line(&conversations::beginning(&thread.title))) }
            span .hint {
                (words::count(thread.messages, "message")) " · " (time::ago(&thread.last_at))
            }
        }
    }
}

fn messages(view: &TalkView<'_>) -> Markup {
    let talk = view.talk;
    let path = format!("/conversations/{}", talk.peer.id);
    let thread = talk.thread.as_deref().unwrap_or_default();
    let answer = |id: &str, thread: &str| {
        let link = search::query(&[("thread", thread), ("reply_to", id)], &path);
        (talk.peer.state == PeerState::Trusted).then(|| format!("{link}#write"))
    };
    html! {
        @if let Some(older) = talk.older {
            p {
                a .button
                href=(search::query(&[("thread", thread), ("before", &older.to_string())], &path)) {
                    "Older messages"
                }
            }
        }
        @if talk.messages.is_empty() {
            div .empty {
                p .big { "Nothing was said yet." }
                p {
                    "Ask your agent to write to " (text::line(&talk.peer.name))
                    ", or write yourself below."
                }
            }
        }
        ol #talk .bubbles data-live="items" data-talk {
            @for said in &talk.messages {
                @let message = &said.message;
                @let reply =
                answerable(message).then(|| answer(&message.id, &message.thread)).flatten();
                li #(format!("message-{}", message.id)) { (bubble::bubble(said, reply.as_deref())) }
            }
        }
        @if view.older_part {
            p {
                a .button href=(search::query(&[("thread", thread)], &path)) {
                    "To the newest messages"
                }
            }
        }
    }
}

/// What reached our agent, and nothing that was kept from it.
fn answerable(message: &Message) -> bool {
    message.direction != "out" && ["accepted", "read", "replied"].contains(&message.state.as_str())
}

/// Where a peer told that it takes some messages only countersigned. Which those are shows when the
/// text is there.
const SOME_AFRESH: &str = "This peer takes some messages only countersigned. Where it wants the \
                           passphrase itself, type it here; else leave this empty.";

fn write(frame: &Frame<'_>, view: &TalkView<'_>) -> Markup {
    let peer = &view.talk.peer;
    if peer.state != PeerState::Trusted {
        return html! {
            p .hint {
                "You can write when both humans have said yes; this peer is "
                (words::peer_state(peer.state).0) "."
            }
        };
    }
    html! {
        form #write .card method="post" action=(format!("/conversations/{}/write", peer.id)) {
            (forms::csrf(frame))
            @if let Some(thread) = &view.talk.thread {
                input type="hidden" name="thread" value=(thread);
            }
            @if let Some(answered) = view.reply_to {
                input type="hidden" name="reply_to" value=(answered);
                p .hint { "This answers message " code { (text::line(answered)) } "." }
            }
            div .field {
                label for="text" { "Write to " (text::line(&peer.name)) " as yourself" }
                textarea #text name="text" rows="3" required maxlength=(limits::TEXT_BYTES_MAX)
                    autocomplete="off" aria-describedby="text-hint" data-keep { "\n" (view.typed) }
                p #text-hint .hint {
                    "Their side sees that a human wrote it, and that you signed it."
                }
            }
            @if frame.lock == Lock::Locked {
                (forms::passphrase("write", &format!("It signs this message. {}", forms::unlocks())))
            } @else if !peer.requires.is_empty() {
                (forms::passphrase_if_needed("write", SOME_AFRESH))
            }
            button .primary type="submit" { "Sign and send" }
        }
    }
}
