//! Grants that hold, each with its ends and the button that ends it now.

use maud::{Markup, html};

use super::{Frame, forms, text, time, words};
use crate::node::api::GrantInfo;

/// The list.
pub(super) fn list(frame: &Frame<'_>, grants: &[&GrantInfo]) -> Markup {
    html! {
        ul .grants {
            @for grant in grants {
                li {
                    div {
                        p { (text::line(&grant.text)) }
                        p .hint {
                            (words::count(grant.messages_left, "message")) " left · until "
                            (time::left(&grant.until))
                            " · " code { (text::line(&grant.id)) }
                        }
                    }
                    @let label = html! { "End" span .sr { " the grant " (text::line(&grant.id)) } };
                    (forms::button(frame, &format!("/grants/{}/end", grant.id), "small", &label))
                }
            }
        }
    }
}
