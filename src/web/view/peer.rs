//! One peer in full.

use maud::{Markup, html};

use super::{Frame, forms, frame, grants, peers, text, time, words};
use crate::{
    node::api::{ConsentInfo, ConsentSide, GrantInfo, Peer, PeerShown},
    trust::PeerState,
};

/// `/peers/{peer_id}`.
#[must_use]
pub fn peer(frame: &Frame<'_>, shown: &PeerShown) -> Markup {
    let peer = &shown.peer;
    let content = html! {
        header .talk-head {
            p .crumb { a href="/peers" { "Peers" } }
            h1 { (text::line(&peer.name)) }
            div #peer-now data-live { (now(shown)) }
        }
        section .card {
            h2 { "Grants" }
            div #grants data-live { (standing(frame, peer)) }
        }
        @if !peer.requires.is_empty() || !peer.we_require.is_empty() {
            section .card {
                h2 { "Countersignatures" }
                div #countersignatures data-live { (required(peer)) }
            }
        }
        section .card { h2 { "What the trust rests on" } (consent(shown)) }
        section .card { h2 { "Who it is" } (identity(shown)) }
        (ends(frame, peer))
    };
    frame::page(frame, &content)
}

fn now(shown: &PeerShown) -> Markup {
    let peer = &shown.peer;
    let (_, meaning) = words::peer_state(peer.state);
    html! {
        div .who {
            span { (peers::state(peer.state)) " " (meaning) }
            span { "calls itself " (text::claim(&peer.claim)) }
            (words::verified(peer.verified))
            span {
                (words::path(peer))
                @if let Some(since) = &peer.path_since { ", since " (time::ago(since)) }
                @if let Some(seen) = &peer.last_seen { ", last heard " (time::ago(seen)) }
            }
            @if let Some(relay) = &peer.relay { span { "relay " (text::line(relay)) } }
        }
        @if let Some(warning) = &peer.warning { p .notice.trouble { (text::line(warning)) } }
        p .links {
            a .button href=(format!("/conversations/{}", peer.id)) { "Conversation" }
            @if let Some(pending) = &shown.pending {
                a .button.primary href=(format!("/waiting/{pending}")) { "Decide about it" }
            }
        }
    }
}

fn standing(frame: &Frame<'_>, peer: &Peer) -> Markup {
    if peer.grants.is_empty() {
        return html! {
            p .hint {
                "None: you are asked whenever something is found in a message. A grant is made beside \
                 a waiting message, for the like of it."
            }
        };
    }
    let all: Vec<&GrantInfo> = peer.grants.iter().collect();
    grants::list(frame, &all)
}

/// What each side takes only with the other human's countersignature.
fn required(peer: &Peer) -> Markup {
    let name = text::line(&peer.name);
    html! {
        @if !peer.requires.is_empty() {
            h3 { (name) " requires of you" }
            ul { @for sentence in &peer.requires { li { (text::line(sentence)) } } }
            p .hint {
                "You are asked about such messages, and your yes adds your countersignature."
            }
        }
        @if !peer.we_require.is_empty() {
            h3 { "You require of " (name) }
            ul { @for sentence in &peer.we_require { li { (text::line(sentence)) } } }
            p .hint { "Such messages without it are refused, and you are not asked." }
        }
    }
}

fn consent(shown: &PeerShown) -> Markup {
    let Some(consent) = &shown.consent else {
        return html! { p .hint { "There is no record that both humans signed." } };
    };
    html! {
        p { "Both humans signed one record. Both signatures were verified again for this page." }
        p { "The four words of the pairing:" }
        ol .words.small { @for word in &consent.words { li { (text::line(word)) } } }
        @for side in &consent.sides { (signed(side)) }
        (record(consent))
    }
}

fn signed(side: &ConsentSide) -> Markup {
    let role = match side.role.as_str() {
        "inviter" => "made the invite",
        _ => "used the invite",
    };
    html! {
        h3 { @if side.ours { "You" } @else { "Them" } " (" (role) ")" }
        dl .facts {
            div { dt { "called itself" } dd { (text::claim(&side.name)) } }
            div { dt { "node" } dd { code { (text::line(&side.node)) } } }
            div { dt { "approver" } dd { code { (text::line(&side.approver)) } } }
            div { dt { "signature" } dd { code { (text::line(&side.signature)) } } }
        }
    }
}

fn record(consent: &ConsentInfo) -> Markup {
    html! {
        details .more {
            summary { "The record’s bytes" }
            p .hint {
                "Knocked " (time::exact(&consent.knocked_at)) ". Hexadecimal CBOR, as SPEC.md says."
            }
            pre .payload tabindex="0" role="group" aria-label="The record’s bytes" {
                (text::block(&consent.record))
            }
        }
    }
}

fn identity(shown: &PeerShown) -> Markup {
    html! {
        dl .facts {
            div { dt { "words" } dd { (text::line(&shown.words.join(" "))) } }
            div { dt { "id" } dd { code { (text::line(&shown.peer.id)) } } }
            div { dt { "did" } dd { code { (text::line(&shown.did)) } } }
            div { dt { "known since" } dd { (time::exact(&shown.since)) } }
        }
        p .hint {
            "The words stand for the id: read them to each other to be sure that it is the same \
             node."
        }
    }
}

/// Less trust, at once. It loosens nothing and needs no passphrase, but a second look.
fn ends(frame: &Frame<'_>, peer: &Peer) -> Markup {
    let name = text::line(&peer.name);
    let path = |what: &str| format!("/peers/{}/{what}", peer.id);
    html! {
        section .card {
            h2 { "End it" }
            @if peer.state == PeerState::Blocked {
                p {
                    (name)
                    " is blocked. To let it in again, use a new invite of theirs; you are then \
                     asked."
                }
            } @else {
                @if peer.state != PeerState::Revoked {
                    details .more {
                        summary { "Revoke trust" }
                        p {
                            "Nothing is sent to " (name)
                            " or taken from it any more, messages that wait for it never leave, \
                             and grants with it end. It can ask again."
                        }
                        (forms::button(frame, &path("revoke"), "danger", &html! { "Revoke " (name) }))
                    }
                }
                details .more {
                    summary { "Block" }
                    p { "As revoking, and not even a new request of " (name) " is heard." }
                    (forms::button(frame, &path("block"), "danger", &html! { "Block " (name) }))
                }
            }
        }
    }
}
