//! The ways to answer a waiting item. A yes is for what stands in its form:
//! one digest of all that it rests on.

use maud::{Markup, html};

use super::{Card, Frame, Lock, forms, text};
use crate::{
    base::GrantId,
    gate::Item,
    node::{
        api::PendingItem,
        review::{self, Checked, Like},
    },
    policy::Strength,
    wire::Grant,
};

/// Every answer that the item allows.
pub(super) fn actions(frame: &Frame<'_>, card: &Card<'_>) -> Markup {
    let item = card.item();
    let checked = match card {
        Card::Ready(checked) => Some(*checked),
        Card::NotReady(_) | Card::Broken(..) | Card::Long(_) => None,
    };
    let grant = checked.and_then(|checked| Some((checked, offered(frame, checked)?)));
    html! {
        form .deny #(deny_form(item)) method="post" action=(action(item, "deny")) {
            (forms::csrf(frame))
        }
        // What repeats is better allowed for a while than approved without being read.
        @if let Some((checked, grant)) = &grant { @if item.repeats > 0 {
            (allow(frame, checked, grant))
        } }
        div .actions {
            @match checked {
                Some(checked) => (approve(frame, checked)),
                None => (deny(item)),
            }
        }
        @if let Some((checked, grant)) = &grant { @if item.repeats == 0 {
            (allow(frame, checked, grant))
        } }
        details .more {
            summary { "Deny, and block " (text::line(&item.peer.name)) }
            p {
                "Nothing of " (text::line(&item.peer.name)) " is heard again, not even a new request. \
                 Trust ends at once, and messages that still wait for it never leave."
            }
            (forms::button(frame, &action(item, "block"), "danger", &html! { "Deny and block" }))
        }
    }
}

fn action(item: &PendingItem, what: &str) -> String {
    format!("/waiting/{}/{what}", item.id)
}

fn deny_form(item: &PendingItem) -> String {
    format!("deny-{}", item.id)
}

/// The button of the form that denies. It stands beside the other one, wherever that is.
fn deny(item: &PendingItem) -> Markup {
    html! {
        button type="submit" form=(deny_form(item)) data-deny {
            "Deny" span .sr { " what " (text::line(&item.peer.name)) " is about" }
        }
    }
}

fn digest(checked: &Checked) -> Markup {
    html! { input type="hidden" name="digest" value=(checked.seen()); }
}

fn approve(frame: &Frame<'_>, checked: &Checked) -> Markup {
    let item = checked.shown();
    let pairing = matches!(checked.item(), Item::Peer(..));
    let verified = format!("verified-{}", item.id);
    let (confirms, otherwise) = if checked.is_by_code() {
        (
            "I told this person the three words myself, or heard them from them",
            "Leave it empty if your agent, or anybody else, passed the words on and you did not \
             compare the four: the peer then stays not verified.",
        )
    } else {
        (
            "The words are the same on their screen",
            "Leave it empty if you could not compare them: the peer then stays not verified.",
        )
    };
    html! {
        form .approve method="post" action=(action(item, "approve")) {
            (forms::csrf(frame)) (digest(checked))
            @if pairing {
                div .check {
                    input id=(verified) name="verified" type="checkbox" value="on"
                        aria-describedby=(format!("{verified}-hint"));
                    label for=(verified) { (confirms) }
                }
                p .hint id=(format!("{verified}-hint")) { (otherwise) }
            }
            @if pairing || item.strength > Some(Strength::Session) {
                (forms::passphrase(&item.id, forms::FOR_THIS_ALONE))
            } @else if frame.lock == Lock::Locked {
                (forms::passphrase(&item.id, &forms::unlocks()))
            }
            div .buttons {
                button .primary data-approve type="submit" { "Approve once" }
                (deny(item))
            }
        }
    }
}

/// The numbers that the form begins with.
const HOURS: u64 = 24;
const MESSAGES: u64 = 20;

/// The grant that the item offers, as it would be signed now with the first numbers. `None` where
/// its bytes have nothing that a grant could name, and where its receiver wants the human each time.
fn offered(frame: &Frame<'_>, checked: &Checked) -> Option<Grant> {
    if checked.shown().strength.is_some() {
        return None;
    }
    let id = GrantId::from_bytes([0; 5]);
    let like = Like { hours: HOURS, messages: MESSAGES, per_hour: None, same_kind: false };
    review::grant_like(checked, like, frame.now, id).ok()
}

fn allow(frame: &Frame<'_>, checked: &Checked, grant: &Grant) -> Markup {
    let item = checked.shown();
    let sentence = review::grant_text(grant, Some(&item.peer.name));
    html! {
        details .more open[item.repeats > 0] {
            summary { "Approve, and allow the like of it for a while" }
            @if item.repeats > 0 {
                p {
                    "You approved " (item.repeats) " like this in the last 24 hours: for the same \
                     peer and way, with the same findings."
                }
            }
            form method="post" action=(action(item, "grant")) {
                (forms::csrf(frame)) (digest(checked))
                p { "With the numbers that stand below at first, you sign this: " }
                p .quoted { (text::line(&sentence)) }
                (forms::grant_bounds(&item.id, (HOURS, MESSAGES)))
                (narrower(item, checked))
                p .hint {
                    "Other numbers change its end and its count, and the two fields below them make \
                     it narrower; nothing else changes. It ends with \
                     whichever comes first, and you can end it at any time under Peers. \
                     It never covers a new peer, a key or a policy."
                }
                (forms::passphrase(&format!("grant-{}", item.id), forms::FOR_THIS_ALONE))
                button .primary type="submit" { "Approve and allow" }
            }
        }
    }
}

/// What makes the grant narrower than it would be: a rate, and the item's kind.
fn narrower(item: &PendingItem, checked: &Checked) -> Markup {
    let kind = match checked.item() {
        Item::Message(_, envelope) => envelope.header().kind.as_str(),
        Item::Peer(..) => "",
    };
    let (rate, same) = (format!("per-hour-{}", item.id), format!("same-kind-{}", item.id));
    html! {
        div .field {
            label for=(rate) { "Of these, at most so many within an hour (empty: as many as come)" }
            input id=(rate) name="per_hour" type="number" inputmode="numeric" min="1" max="1000"
                autocomplete="off";
        }
        div .check {
            input id=(same) name="same_kind" type="checkbox" value="on";
            label for=(same) { "Only messages of the kind " (text::line(kind)) ", as this one" }
        }
    }
}
