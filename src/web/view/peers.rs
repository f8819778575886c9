//! All peers, and the two ways to a new one.

use maud::{Markup, html};

use super::{Frame, conversations, forms, frame, text, time, words};
use crate::{
    base::limits,
    node::api::{InviteMade, Peer, Peers},
    trust::PeerState,
    wire::code,
};

/// With more peers than these, the forms are out of sight.
const PEERS_BEFORE_FORMS: usize = 5;

/// All peers.
#[derive(Clone, Copy, Debug)]
pub struct PeersView<'a> {
    /// The peers.
    pub peers: &'a Peers,
    /// An invite that was just made. It is shown once.
    pub made: Option<&'a InviteMade>,
    /// An invite that was typed and could not be used, to be mended; else empty.
    pub typed: &'a str,
}

/// `/peers`.
#[must_use]
pub fn peers(frame: &Frame<'_>, view: &PeersView<'_>) -> Markup {
    let content = html! {
        h1 { "Peers" }
        @if let Some(made) = view.made { (invite_made(made)) }
        @if view.peers.peers.len() > PEERS_BEFORE_FORMS {
            p { a .button href="#pair" { "Make or use an invite" } }
        }
        div #peers data-live {
            @if view.peers.peers.is_empty() {
                div .empty {
                    p .big { "No peers yet." }
                    p {
                        "Two people pair once: one makes an invite and hands it over, the other uses \
                         it, both see the same four words, and both say yes. Or one says the three \
                         words of a code, which stand for both."
                    }
                }
            } @else {
                ul .list { @for peer in &view.peers.peers { li { (row(peer)) } } }
            }
        }
        div #pair .pair {
            (use_invite(frame, view.typed))
            (make_invite(frame))
            (use_code(frame))
            (make_code(frame))
        }
    };
    frame::page(frame, &content)
}

fn row(peer: &Peer) -> Markup {
    html! {
        a .row-link href=(format!("/peers/{}", peer.id)) {
            span .row-head {
                strong .petname { (text::line(&peer.name)) }
                (state(peer.state))
                @if peer.state == PeerState::Trusted { (conversations::reach(&peer.path)) }
            }
            span .row-last.hint { "calls itself " (text::claim(&peer.claim)) }
            span .row-foot {
                @if peer.verified { "verified" } @else { "not verified" }
                @if !peer.grants.is_empty() {
                    " · "
                    (words::count(u64::try_from(peer.grants.len()).unwrap_or(u64::MAX), "grant"))
                }
                @if let Some(seen) = &peer.last_seen { " · last heard " (time::ago(seen)) }
            }
            @if let Some(warning) = &peer.warning { span .warn { (text::line(warning)) } }
        }
    }
}

/// What a peer is to us, as a mark.
pub(super) fn state(state: PeerState) -> Markup {
    html! { span .tag.(format!("peer-{}", state.as_str())) { (words::peer_state(state).0) } }
}

fn invite_made(made: &InviteMade) -> Markup {
    if let Some(code) = &made.code {
        return code_made(code, &made.expires_at);
    }
    html! {
        section .card.made aria-labelledby="made-title" {
            h2 #made-title { "Your invite" }
            p {
                "Give this text to one person, over a channel that you trust. It can be used \
                 once, until "
                (time::left(&made.expires_at)) ", and is not shown again."
            }
            pre #invite-text .payload tabindex="0" role="group" aria-labelledby="made-title" {
                (text::block(&made.invite))
            }
            p { button type="button" .copy data-copy="invite-text" hidden { "Copy the invite" } }
            p .hint {
                "When they use it, a decision with four words comes under Waiting. Compare the \
                 words before you approve."
            }
        }
    }
}

fn code_made(code: &str, expires_at: &str) -> Markup {
    html! {
        section .card.made aria-labelledby="made-title" {
            h2 #made-title { "Your code" }
            p { "Say these three words to one person. They are not shown again." }
            ol #code-words-made .words { @for word in code.split(' ') { li { (text::line(word)) } } }
            p {
                "They are good for one try, until " (time::left(expires_at)) ". The other person \
                 types them on their page, or after " code { "countersign connect" } "."
            }
            p .hint {
                "When they do, a decision comes under Waiting; it asks who said the words to whom."
            }
        }
    }
}

fn use_code(frame: &Frame<'_>) -> Markup {
    let fields = [("first", "First word"), ("second", "Second word"), ("third", "Third word")];
    html! {
        section .card aria-labelledby="code-title" {
            h2 #code-title { "Use a code" }
            form method="post" action="/peers/connect" {
                (forms::csrf(frame))
                p { "The three words that somebody said to you. There is one try." }
                div .row {
                    @for (name, label) in fields {
                        div .field {
                            label for=(format!("code-{name}")) { (label) }
                            input id=(format!("code-{name}")) name=(name) type="text" required
                                list="code-words" autocomplete="off" autocapitalize="none"
                                spellcheck="false" maxlength=(limits::CODE_WORD_CHARS_SHOWN);
                        }
                    }
                }
                datalist #code-words { @for word in code::word_list() { option { (word) } } }
                button .primary type="submit" { "Ask to be connected" }
            }
        }
    }
}

fn make_code(frame: &Frame<'_>) -> Markup {
    html! {
        section .card aria-labelledby="make-code-title" {
            h2 #make-code-title { "Make a code" }
            form method="post" action="/peers/invite" {
                (forms::csrf(frame))
                input type="hidden" name="code" value="on";
                p {
                    "Three words to say to somebody, on the telephone or in person: good for "
                    (limits::CODE_LIFE.as_secs() / 60) " minutes and one try."
                }
                (note("code-note", "A note for yourself (optional)", "You see it beside the request that uses this code."))
                button type="submit" { "Make a code" }
            }
        }
    }
}

fn use_invite(frame: &Frame<'_>, typed: &str) -> Markup {
    html! {
        section .card aria-labelledby="use-title" {
            h2 #use-title { "Use an invite" }
            form method="post" action="/peers/connect" {
                (forms::csrf(frame))
                div .field {
                    label for="invite" { "The invite that somebody gave you" }
                    textarea #invite name="invite" rows="3" required
                    maxlength=(limits::INVITE_BYTES_MAX)
                        autocomplete="off" autocapitalize="none" spellcheck="false" { "\n" (typed) }
                }
                div .field {
                    label for="connect-name" { "What you want to call them (optional)" }
                    input #connect-name name="name" type="text"
                    maxlength=(limits::PEER_NAME_BYTES_MAX)
                        autocomplete="off" autocapitalize="none" spellcheck="false"
                        pattern="[a-z0-9._\\-]*" aria-describedby="connect-name-hint";
                    p #connect-name-hint .hint {
                        "Lower-case letters, digits, -, _ and . only; nobody else sees it."
                    }
                }
                (note("connect-note", "A line for the other person (optional)", "They see it beside your request, after your yes."))
                button .primary type="submit" { "Ask to be connected" }
            }
        }
    }
}

fn make_invite(frame: &Frame<'_>) -> Markup {
    let lives = [("60", "1 hour"), ("1440", "1 day"), ("10080", "7 days")];
    html! {
        section .card aria-labelledby="make-title" {
            h2 #make-title { "Make an invite" }
            form method="post" action="/peers/invite" {
                (forms::csrf(frame))
                div .field {
                    label for="expires" { "How long it can be used" }
                    select #expires name="expires_minutes" {
                        @for (minutes, words) in lives {
                            option value=(minutes) selected[minutes == "1440"] { (words) }
                        }
                    }
                }
                (note("invite-note", "A note for yourself (optional)", "You see it beside the request that uses this invite."))
                button type="submit" { "Make an invite" }
            }
        }
    }
}

fn note(id: &str, label: &str, hint: &str) -> Markup {
    html! {
        div .field {
            label for=(id) { (label) }
            input id=(id) name="note" type="text" maxlength=(limits::NOTE_BYTES_MAX)
            autocomplete="off"
                aria-describedby=(format!("{id}-hint"));
            p .hint id=(format!("{id}-hint")) { (hint) }
        }
    }
}
