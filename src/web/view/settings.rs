//! Settings: the lock, the approver, notifications, approvals inside the MCP client.

use maud::{Markup, html};

use super::{Frame, Lock, forms, frame, grants, rules, sessions, text, time};
use crate::{
    base::Severity,
    node::api::{GrantInfo, Grants, KnownValues, PolicyShown, Sessions, TaintState, Whoami},
    wire::GrantKind,
};

/// What the settings show.
#[derive(Clone, Debug)]
pub struct SettingsView {
    /// Every grant that holds.
    pub grants: Grants,
    /// The policy that counts.
    pub policy: PolicyShown,
    /// What the agent has read.
    pub taint: TaintState,
    /// What is watched for.
    pub known: KnownValues,
    /// The clients.
    pub sessions: Sessions,
    /// A policy that was typed and does not count yet.
    pub draft: Option<PolicyDraft>,
}

/// A policy that was typed.
#[derive(Clone, Debug)]
pub struct PolicyDraft {
    /// As it was typed.
    pub text: String,
    /// What is wrong with it.
    pub complaints: Vec<String>,
    /// It needs no passphrase.
    pub tightens: bool,
}

/// `/settings`.
#[must_use]
pub fn settings(frame: &Frame<'_>, settings: &SettingsView) -> Markup {
    let content = html! {
        h1 { "Settings" }
        section #lock-settings .card { h2 { "This page" } (this_page(frame)) }
        section .card { h2 { "Approvals inside the MCP client" } (inline(frame, &settings.grants)) }
        section .card { h2 { "Sessions" } (sessions::list(&settings.sessions)) }
        section #policy-card .card { h2 { "Policy" } (rules::policy(frame, settings)) }
        section #taint-card .card { h2 { "What your agent has read" } (rules::taint(frame, &settings.taint)) }
        section #known-card .card { h2 { "Values that are watched for" } (rules::known(frame, &settings.known)) }
        section .card {
            h2 { "Desktop notifications" }
            p {
                "A notification says that something waits, and nothing else: no names, no text, \
                 and no way to approve. It comes while this page is open in a tab."
            }
            div #notifications hidden {
                p #notifications-state role="status" {}
                button #notifications-switch type="button" { "Turn on" }
            }
            noscript { p .hint { "They need the page’s script, which is off in this browser." } }
        }
        @if let Some(me) = frame.me { section .card { h2 { "Who you are" } (identity(me)) } }
        section .card {
            h2 { "Keys" }
            p {
                "j and k go from card to card, a and d to the approve and deny buttons of a card, \
                 / to the search, ? shows all of them. No key decides by itself."
            }
            p { button type="button" data-help hidden { "Show all keys" } }
        }
    };
    frame::page(frame, &content)
}

fn this_page(frame: &Frame<'_>) -> Markup {
    html! {
        @match frame.lock {
            Lock::Locked => {
                p {
                    "It is locked: each message asks for the passphrase. Unlocked, messages are \
                     decided with a click, until ten minutes after the last button you pressed, and \
                     for twelve hours at most. To read does not keep it open. New peers and grants ask for it always."
                }
                form method="post" action="/unlock" {
                    (forms::csrf(frame))
                    (forms::passphrase("unlock",
                        &format!("{} Five wrong ones lock approvals for 15 minutes.", forms::unlocks())))
                    button .primary type="submit" { "Unlock" }
                }
            },
            Lock::Unlocked { idle_until, until } => {
                p {
                    "It is unlocked: messages are decided with a click. It locks "
                    (time::left_at(idle_until))
                    " if no button is pressed, and " (time::left_at(until)) " in any case."
                }
                (forms::button(frame, "/lock", "primary", &html! { "Lock now" }))
            },
        }
        div .after {
            p .hint {
                "Signing out closes the page in this browser. It opens again with a new link from "
                code { "countersign page" } "."
            }
            (forms::button(frame, "/sign-out", "plain", &html! { "Sign out" }))
        }
    }
}

fn inline(frame: &Frame<'_>, all: &Grants) -> Markup {
    let held: Vec<&GrantInfo> =
        all.grants.iter().filter(|grant| grant.kind == GrantKind::Inline).collect();
    html! {
        p {
            "Some MCP clients can show you the question when your agent wants to send a message \
             that has to wait. You can always say no there. Whether a yes counts is for you to say here."
        }
        p {
            "It is weaker than this page: the client says what you answered, and nothing proves it. \
             Such a yes is marked “asserted by client”, and the other side can refuse it. It never \
             counts for new peers, for what comes in, for keys or for policy."
        }
        @if held.is_empty() {
            p { strong { "It is off." } }
        } @else {
            p { strong { "It is on:" } }
            (grants::list(frame, &held))
        }
        details .more {
            summary {
                @if held.is_empty() { "Turn it on for a while" } @else {
                    "Turn it on once more, with other ends"
                }
            }
            form method="post" action="/settings/inline" {
                (forms::csrf(frame))
                (forms::grant_bounds("inline", (24, 20)))
                div .field {
                    label for="severity" { "For messages in which nothing worse is found than" }
                    select #severity name="severity" {
                        @for severity in [Severity::High, Severity::Critical] {
                            option value=(severity.as_str()) selected[severity == Severity::High] {
                                (severity.as_str())
                            }
                        }
                    }
                }
                (forms::passphrase("inline", forms::FOR_THIS_ALONE))
                button .primary type="submit" { "Turn on" }
            }
        }
    }
}

fn identity(me: &Whoami) -> Markup {
    html! {
        dl .facts {
            div { dt { "calls itself" } dd { (text::claim(&me.name)) } }
            div { dt { "words" } dd { (text::line(&me.words.join(" "))) } }
            div { dt { "id" } dd { code { (text::line(&me.id)) } } }
            div { dt { "did" } dd { code { (text::line(&me.did)) } } }
            div {
                dt { "approver" }
                dd {
                    @match &me.approver.did {
                        Some(did) => code { (text::line(did)) },
                        None => "not set up",
                    }
                }
            }
            div {
                dt { "network" } dd {
                    (text::line(&me.network.mode)) @if let Some(relay) = &me.network.relay {
                        ", relay " (text::line(relay))
                    }
                }
            }
            div { dt { "listens at" } dd { (text::line(&me.network.addresses.join(", "))) } }
            div { dt { "version" } dd { (text::line(&me.version)) } }
        }
    }
}
