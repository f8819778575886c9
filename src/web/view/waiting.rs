//! What waits for the human: all of it, and one item alone.

use maud::{Markup, html};

use super::{Frame, Lock, frame, item, text, words};
use crate::node::{
    api::{ApiError, PendingItem},
    review::Checked,
};

/// One item that waits, as far as it can be shown.
#[derive(Clone, Copy)]
pub enum Card<'a> {
    /// Its bytes were checked; it can be decided about.
    Ready(&'a Checked),
    /// It has no bytes to decide about yet (`not_ready` says why). It can be denied.
    NotReady(&'a PendingItem),
    /// Its bytes are not what the node says of them. It can be denied.
    Broken(&'a PendingItem, &'a ApiError),
    /// It is too long to be shown beside others, and so cannot be approved here. It can be denied.
    Long(&'a PendingItem),
}

impl Card<'_> {
    /// What the node says of it.
    #[must_use]
    pub const fn item(&self) -> &PendingItem {
        match self {
            Self::Ready(checked) => checked.shown(),
            Self::NotReady(item) | Self::Broken(item, _) | Self::Long(item) => item,
        }
    }
}

/// `/waiting`: everything that waits, oldest first, below what the human should know of.
#[must_use]
pub fn waiting(frame: &Frame<'_>, cards: &[Card<'_>], warnings: &[String]) -> Markup {
    let content = html! {
        h1 { "Waiting for you" }
        div #waiting-head data-live {
            @for warning in warnings { p .warn role="status" { (text::line(warning)) } }
            @if !cards.is_empty() {
                p .lead {
                    @let many = u64::try_from(cards.len()).unwrap_or(u64::MAX);
                    (words::count(many, "decision"))
                    ". No answer is a no: what nobody decides about expires."
                    @if frame.lock == Lock::Locked {
                        " To decide about several messages, " a href="/settings#lock-settings" {
                            "unlock"
                        }
                        " once."
                    }
                }
            } @else { (nothing()) }
        }
        ul #waiting .cards data-live="items" {
            @for card in cards {
                li #(format!("item-{}", card.item().id)) { (item::card(frame, card)) }
            }
        }
    };
    frame::page(frame, &content)
}

/// `/waiting/{id}`: one item, or that it waits no more.
#[must_use]
pub fn waiting_item(frame: &Frame<'_>, card: Option<&Card<'_>>) -> Markup {
    let content = html! {
        h1 { "One decision" }
        p { a href="/waiting" { "All that waits" } }
        div #waiting-head data-live {
            @if card.is_none() {
                div .empty {
                    p .big { "This waits no more." }
                    p { "It was decided, or its time is over. What became of it stands under "
                        a href="/evidence" { "Evidence" } "." }
                }
            }
        }
        ul #waiting .cards data-live="items" {
            @if let Some(card) = card {
                li #(format!("item-{}", card.item().id)) { (item::card(frame, card)) }
            }
        }
    };
    frame::page(frame, &content)
}

fn nothing() -> Markup {
    html! {
        div .empty {
            p .big { "Nothing waits." }
            p {
                "New peers come here, both ways, and messages in which something was found: a secret \
                 that would leave, or hidden text that would reach your agent."
            }
            p { "To begin, " a href="/peers" { "pair with a peer" } ", or read the "
                a href="/conversations" { "conversations" } "." }
        }
    }
}
