//! The human's rules among the settings: the policy, what the agent has read, what is watched for.

use maud::{Markup, html};

use super::{Frame, PolicyDraft, SettingsView, forms, text, time, words};
use crate::{
    base::limits,
    node::api::{KnownValues, PolicyShown, PolicySource, TaintState},
};

/// The policy that counts, and a way to change it.
pub(super) fn policy(frame: &Frame<'_>, settings: &SettingsView) -> Markup {
    let now = &settings.policy;
    html! {
        p { (source(now)) }
        @if let Some(warning) = &now.warning { p .wait { (text::line(warning)) } }
        dl .facts.small {
            div { dt { "digest" } dd { code { (text::line(&now.digest)) } } }
            @if let Some(at) = &now.set_at { div { dt { "since" } dd { (time::exact(at)) } } }
        }
        details .more {
            summary { "Read it" }
            h3 #policy-now { "The policy that counts" }
            pre .payload tabindex="0" role="group" aria-labelledby="policy-now" {
                (text::block(&now.text))
            }
        }
        details .more open[settings.draft.is_some()] {
            summary { "Change it" }
            (change(frame, now, settings.draft.as_ref()))
        }
        @if now.source != PolicySource::Standard {
            details .more {
                summary { "Go back to the standard policy" }
                form method="post" action="/settings/policy/reset" {
                    (forms::csrf(frame))
                    (forms::passphrase_if_needed("policy-reset", WHERE_LOOSER))
                    button .primary type="submit" { "Let the standard policy count" }
                }
            }
        }
    }
}

const WHERE_LOOSER: &str = "Needed unless the new policy only asks more. It is typed for this \
                            decision alone, and unlocks nothing else.";

const fn source(now: &PolicyShown) -> &'static str {
    match now.source {
        PolicySource::Standard => "The standard policy counts, which comes with Countersign.",
        PolicySource::Signed => "A policy that you signed counts.",
        PolicySource::Tightened => {
            "A policy counts that is stricter than what you signed, and so needed no signature."
        }
        PolicySource::Closed => "No policy can be verified: everything is asked about.",
    }
}

fn change(frame: &Frame<'_>, now: &PolicyShown, draft: Option<&PolicyDraft>) -> Markup {
    let typed = draft.map_or(now.text.as_str(), |draft| draft.text.as_str());
    html! {
        @if let Some(draft) = draft {
            @if draft.complaints.is_empty() {
                p role="status" { "Nothing is wrong with it, and it does not count yet." }
            } @else {
                div .notice.trouble role="status" {
                    ul { @for complaint in &draft.complaints { li { (text::line(complaint)) } } }
                }
            }
            p {
                @if draft.tightens { "It only asks more, so it needs no passphrase." }
                @else { "It may let pass what you are asked about now, so it needs the passphrase." }
            }
        }
        form method="post" action="/settings/policy" {
            (forms::csrf(frame))
            div .field {
                label for="policy" { "The policy" }
                textarea #policy name="policy" rows="16" required
                    maxlength=(limits::POLICY_BYTES_MAX) autocomplete="off"
                    autocapitalize="none" spellcheck="false" { "\n" (typed) }
            }
            (forms::passphrase_if_needed("policy", WHERE_LOOSER))
            button .primary type="submit" { "Let it count" }
            " "
            button type="submit" formaction="/settings/policy/check" { "Check it" }
        }
    }
}

/// What the agent has read.
pub(super) fn taint(frame: &Frame<'_>, taint: &TaintState) -> Markup {
    html! {
        @if taint.read.is_empty() {
            p { "Your agent has read no peer’s text lately." }
        } @else {
            p {
                "Your agent has read texts of these peers, and may do what they say. You are asked \
                 about what it sends to others, and it connects with nobody new."
            }
            ul .grants {
                @for read in &taint.read {
                    li {
                        div {
                            p .petname { (text::line(&read.peer.name)) }
                            p .hint {
                                "until " (time::left(&read.until)) " · "
                                code { (text::line(&read.peer.id)) }
                            }
                        }
                    }
                }
            }
            details .more {
                summary { "Let my agent begin anew" }
                p {
                    "What it has read counts no more then. An agent that still has those texts in its \
                     conversation may still do what they say: end that conversation first."
                }
                form method="post" action="/settings/taint" {
                    (forms::csrf(frame))
                    (forms::passphrase("taint", forms::FOR_THIS_ALONE))
                    button .primary type="submit" { "Let my agent begin anew" }
                }
            }
        }
    }
}

/// What is watched for.
pub(super) fn known(frame: &Frame<'_>, known: &KnownValues) -> Markup {
    html! {
        p {
            "Your own secrets, found in messages by keyed hashes; no value is kept. To add some: "
            code { "countersign known add .env" } "."
        }
        @if known.values.is_empty() {
            p { strong { "Nothing is watched for." } }
        } @else {
            p { (words::count(u64::try_from(known.values.len()).unwrap_or(u64::MAX), "value")) ":" }
            ul .grants {
                @for value in &known.values {
                    li {
                        div {
                            p { (text::line(&value.label)) }
                            p .hint {
                                (words::count(u64::from(value.length), "byte")) " · "
                                code { (text::line(&value.id)) }
                            }
                            details .more {
                                summary { "Forget" span .sr { " " (text::line(&value.label)) } }
                                @let action = format!("/settings/known/{}/forget", value.id);
                                form method="post" action=(action) {
                                    (forms::csrf(frame))
                                    (forms::passphrase(&format!("known-{}", value.id), forms::FOR_THIS_ALONE))
                                    button type="submit" { "Watch for it no more" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
