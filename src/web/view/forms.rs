//! The parts of forms. Every form that changes something is a POST with the session's token.

use maud::{Markup, html};

use super::Frame;
use crate::base::limits::PAGE_UNLOCK_IDLE;

/// The token that another origin does not know.
pub(super) fn csrf(frame: &Frame<'_>) -> Markup {
    html! { input type="hidden" name="csrf" value=(frame.csrf); }
}

/// A form that is one button.
pub(super) fn button(frame: &Frame<'_>, action: &str, class: &str, label: &Markup) -> Markup {
    html! {
        form method="post" action=(action) {
            (csrf(frame))
            // In one box: what stands between words is kept.
            button .(class) type="submit" { span { (label) } }
        }
    }
}

/// The approval passphrase. `id` makes the field's id one of its kind on the page.
pub(super) fn passphrase(id: &str, why: &str) -> Markup {
    field(id, why, true)
}

fn field(id: &str, why: &str, required: bool) -> Markup {
    let (field, hint) = (format!("passphrase-{id}"), format!("passphrase-{id}-hint"));
    html! {
        div .field {
            label for=(field) { "Approval passphrase" }
            input id=(field) name="passphrase" type="password" required[required]
                autocomplete="current-password" autocapitalize="none" spellcheck="false"
                aria-describedby=(hint);
            p .hint id=(hint) { (why) }
        }
    }
}

/// The same where it may be left empty.
pub(super) fn passphrase_if_needed(id: &str, why: &str) -> Markup {
    field(id, why, false)
}

/// What a passphrase does beyond the message that it is typed for.
pub(super) fn unlocks() -> String {
    let minutes = PAGE_UNLOCK_IDLE.as_secs() / 60;
    format!("For the next {minutes} minutes messages need only a click; Lock now ends that.")
}

/// What one does that is typed for a new peer, a grant or a rule.
pub(super) const FOR_THIS_ALONE: &str =
    "It is typed for this decision alone, and unlocks nothing else.";

/// A number between two bounds.
pub(super) struct Number<'a> {
    /// The field's id.
    pub(super) id: &'a str,
    /// Its name in the form.
    pub(super) name: &'a str,
    /// What it asks.
    pub(super) label: &'a str,
    /// The least, what stands there at first, and the most.
    pub(super) bounds: (u64, u64, u64),
}

impl Number<'_> {
    /// The field with its label.
    pub(super) fn field(&self) -> Markup {
        let (least, first, most) = self.bounds;
        html! {
            div .field {
                label for=(self.id) { (self.label) }
                input id=(self.id) name=(self.name) type="number" inputmode="numeric" required
                    min=(least) max=(most) value=(first) autocomplete="off";
            }
        }
    }
}

/// How long and how often a grant holds: the two fields that every grant has, with what stands in
/// them at first.
pub(super) fn grant_bounds(id: &str, first: (u64, u64)) -> Markup {
    let (hours, messages) = (format!("hours-{id}"), format!("messages-{id}"));
    let ask = |id, name, label, bounds| Number { id, name, label, bounds }.field();
    html! {
        div .row {
            (ask(&hours, "hours", "For how many hours (1 to 720)", (1, first.0, 720)))
            (ask(&messages, "messages", "For how many messages (1 to 1000)", (1, first.1, 1000)))
        }
    }
}
