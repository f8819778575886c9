//! The ways to answer a waiting item. A yes is for the digest that stands in its form.

use maud::{Markup, html};

use super::{Card, Frame, Lock, forms, text};
use crate::{
    base::GrantId,
    gate::Item,
    node::{
        api::PendingItem,
        review::{self, Checked},
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
    html! {
        form .deny #(deny_form(item)) method="post" action=(action(item, "deny")) {
            (forms::csrf(frame))
        }
        div .actions {
            @match checked {
                Some(checked) => (approve(frame, checked)),
                None => (deny(item)),
            }
        }
        @if let Some(checked) = checked {
            @if let Some(grant) = offered(frame, checked) { (allow(frame, checked, &grant)) }
        }
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

fn digest(item: &PendingItem) -> Markup {
    html! { input type="hidden" name="digest" value=(item.digest); }
}

fn approve(frame: &Frame<'_>, checked: &Checked) -> Markup {
    let item = checked.shown();
    let pairing = matches!(checked.item(), Item::Peer(..));
    let verified = format!("verified-{}", item.id);
    html! {
        form .approve method="post" action=(action(item, "approve")) {
            (forms::csrf(frame)) (digest(item))
            @if pairing {
                div .check {
                    input id=(verified) name="verified" type="checkbox" value="on"
                        aria-describedby=(format!("{verified}-hint"));
                    label for=(verified) { "The words are the same on their screen" }
                }
                p .hint id=(format!("{verified}-hint")) {
                    "Leave it empty if you could not compare them: the peer then stays not \
                     verified."
                }
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
    review::grant_like(checked, HOURS, MESSAGES, frame.now, id).ok()
}

fn allow(frame: &Frame<'_>, checked: &Checked, grant: &Grant) -> Markup {
    let item = checked.shown();
    let sentence = review::grant_text(grant, Some(&item.peer.name));
    html! {
        details .more {
            summary { "Approve, and allow the like of it for a while" }
            form method="post" action=(action(item, "grant")) {
                (forms::csrf(frame)) (digest(item))
                p { "With the numbers that stand below at first, you sign this: " }
                p .quoted { (text::line(&sentence)) }
                (forms::grant_bounds(&item.id, (HOURS, MESSAGES)))
                p .hint {
                    "Other numbers change its end and its count, and nothing else. It ends with \
                     whichever comes first, and you can end it at any time under Peers. \
                     It never covers a new peer, a key or a policy."
                }
                (forms::passphrase(&format!("grant-{}", item.id), forms::FOR_THIS_ALONE))
                button .primary type="submit" { "Approve and allow" }
            }
        }
    }
}
