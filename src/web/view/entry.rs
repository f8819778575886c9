//! The pages before there is a session or a set-up, and the one for trouble.

use maud::{Markup, html};

use super::{Frame, Section, forms, frame, text};
use crate::{base::limits, node::api::ApiError};

/// `/setup`: the name that was typed, or one to begin with. Trouble comes as the frame's notice.
#[must_use]
pub fn setup(frame: &Frame<'_>, name: &str) -> Markup {
    let password = |id: &str, field: &str, label: &str, hint: &str| {
        html! {
            div .field {
                label for=(id) { (label) }
                input id=(id) name=(field) type="password" required autocomplete="new-password"
                    autocapitalize="none" spellcheck="false"
                    aria-describedby=(format!("{id}-hint"));
                p .hint id=(format!("{id}-hint")) { (hint) }
            }
        }
    };
    let content = html! {
        h1 { "Set up approvals" }
        p .lead {
            "Your agent can talk to other people’s agents, and nothing new crosses before you said \
             yes. A yes is a signature, and only your passphrase makes one."
        }
        form .card method="post" action="/setup" {
            (forms::csrf(frame))
            div .field {
                label for="name" { "What your node calls itself" }
                input #name name="name" type="text" required value=(name)
                    maxlength=(limits::CLAIMED_NAME_BYTES_MAX) autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false" aria-describedby="name-hint";
                p #name-hint .hint {
                    "Other people see it as your claim: your name, and the machine if you have \
                     several."
                }
            }
            (password("new-passphrase", "passphrase", "Approval passphrase",
                "Four or more words that you did not take from a text are good. A guessable one is \
                 refused: whoever copies the key file can try as many as they like."))
            (password("again", "again", "The same once more",
                "Keep it where you keep what must not be lost. Nobody can reset it; a new one means \
                 a new approver, and every peer is asked again."))
            p .hint { "It unlocks this page, too. " (forms::unlocks()) }
            button .primary type="submit" { "Set up" }
        }
    };
    frame::page(frame, &content)
}

/// `/open`: its script reads the code behind `#` and submits the form.
#[must_use]
pub fn open(frame: &Frame<'_>) -> Markup {
    let content = html! {
        h1 { "Open the page" }
        form #open .card method="post" action="/open" {
            (forms::csrf(frame))
            div .field {
                label for="code" { "Code" }
                input #code name="code" type="text" required autocomplete="one-time-code"
                    autocapitalize="none" spellcheck="false" aria-describedby="code-hint";
                p #code-hint .hint {
                    "The part behind " code { "#" } " of the link that " code { "countersign page" }
                    " prints. It opens the page once."
                }
            }
            button .primary type="submit" { "Open" }
        }
    };
    frame::page(frame, &content)
}

/// Any page without a session: how to open one.
#[must_use]
pub fn no_session(frame: &Frame<'_>) -> Markup {
    let content = html! {
        h1 { "This page is not open yet" }
        div .card {
            p {
                "It opens with a link that only a command on this machine gives. In a terminal, \
                 run:"
            }
            pre .command { code { "countersign page --open" } }
            p {
                "The link works once, for ten minutes. The page then stays open in this browser for \
                 at most twelve hours. Without a browser on this machine, leave out "
                code { "--open" } " and the link is printed."
            }
            p .hint {
                "Your agent can read its messages without this page. It cannot approve anything, \
                 with or without it."
            }
        }
    };
    frame::page(frame, &content)
}

/// A page that cannot be shown, and the next step.
#[must_use]
pub fn error(frame: &Frame<'_>, error: &ApiError) -> Markup {
    let content = html! {
        h1 { "That did not work" }
        div .card {
            p { (text::line(&error.message)) }
            p { strong { "Next: " } (text::line(&error.next)) }
            @if frame.section != Section::Outside {
                p { a href="/waiting" { "Back to what waits" } }
            }
        }
    };
    frame::page(frame, &content)
}
