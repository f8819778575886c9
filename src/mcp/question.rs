//! What a client shows of an item that waits, and what its answer means. No I/O.

use std::fmt::Write as _;

use rmcp::model::{
    ConstTitle, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
    EnumSchema, LegacyEnumSchema, SingleSelectEnumSchema, TitledSingleSelectEnumSchema,
};

use super::fence;
use crate::{gate::What, node::api::Question};

/// The one field of the form.
pub(super) const FIELD: &str = "decision";
/// Its options, each with what a person reads.
const LATER: (&str, &str) = ("later", "I decide on the page or in the terminal");
const DENY: (&str, &str) = ("deny", "Deny");
const APPROVE: (&str, &str) = ("approve", "Approve this once");

/// How a client can show a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// As a form. Before version 2025-11-25 the options' titles have another place.
    Form { titles_apart: bool },
    /// As an address to open, and no more.
    Link,
}

/// What the client's user said. No answer, and what is none, is [`Verdict::Later`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Later,
    Deny,
    Approve,
}

/// What `result` means where the form did or did not offer to approve. A client that sends what
/// it was not offered said nothing.
pub(super) fn verdict(result: &ElicitResult, may_approve: bool) -> Verdict {
    let chosen = result.content.as_ref().and_then(|c| c.get(FIELD)).and_then(|d| d.as_str());
    match (&result.action, chosen) {
        (ElicitationAction::Decline, _) => Verdict::Deny,
        (ElicitationAction::Accept, Some(word)) if word == DENY.0 => Verdict::Deny,
        (ElicitationAction::Accept, Some(word)) if word == APPROVE.0 && may_approve => {
            Verdict::Approve
        }
        _ => Verdict::Later,
    }
}

/// The question as a client gets it. `page` is where the human's page is; a link needs one.
pub(super) fn params(
    question: &Question,
    mode: Mode,
    page: Option<&str>,
) -> Option<ElicitRequestParams> {
    let address = page.map(|page| format!("{page}/waiting/{}", question.id));
    let message = message(question, address.as_deref());
    match mode {
        Mode::Form { titles_apart } => Some(ElicitRequestParams::FormElicitationParams {
            meta: None,
            message,
            requested_schema: form(question.may_approve, titles_apart)?,
        }),
        Mode::Link => Some(ElicitRequestParams::UrlElicitationParams {
            meta: None,
            message,
            url: address?,
            elicitation_id: question.id.clone(),
        }),
    }
}

fn form(may_approve: bool, titles_apart: bool) -> Option<ElicitationSchema> {
    let mut options = vec![LATER, DENY];
    options.extend(may_approve.then_some(APPROVE));
    let choice = if titles_apart {
        let (words, titles) =
            options.into_iter().map(|(w, t)| (w.to_owned(), t.to_owned())).unzip();
        let mut choice = LegacyEnumSchema::new(words);
        choice.enum_names = Some(titles);
        choice.title = Some("Decision".into());
        EnumSchema::Legacy(choice)
    } else {
        let options = options.into_iter().map(|(word, title)| ConstTitle::new(word, title));
        let mut choice = TitledSingleSelectEnumSchema::new(options.collect());
        choice.title = Some("Decision".into());
        EnumSchema::Single(SingleSelectEnumSchema::Titled(choice))
    };
    ElicitationSchema::builder().required_enum_schema(FIELD, choice).build().ok()
}

/// What waits, for whom, why, and where to decide; last the text, each line with a mark before
/// it, so that nothing in it looks like ours.
fn message(question: &Question, address: Option<&str>) -> String {
    let Question { id, what, peer, session, reasons, text, size_bytes, may_approve, expires_at } =
        question;
    let verified = if peer.verified { "" } else { ", not verified" };
    let whom = format!(
        "{} (calls itself \"{}\"{verified})",
        fence::line(&peer.name),
        fence::line(&peer.claim)
    );
    let mut message = match what {
        What::MessageOut => {
            let session =
                session.as_ref().map(|name| format!(", for its session {}", fence::line(name)));
            let session = session.unwrap_or_default();
            format!("Your agent wants to send a message to {whom}{session}.")
        }
        What::PeerOut | What::PeerIn | What::MessageIn => {
            format!("Your agent asks to connect with a new peer, {whom}.")
        }
    };
    let mut add = |line: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        message.write_fmt(line).ok();
    };
    for reason in reasons {
        add(format_args!("\nYou are asked because: {}.", fence::line(&reason.text)));
    }
    let page = address.map_or_else(String::new, |address| {
        format!("on the page {address} (opened with `countersign page`) or ")
    });
    let only = if *may_approve { "You can also" } else { "You can only" };
    add(format_args!(
        "\n{only} approve {page}in a terminal with `countersign approve {id}`. It waits until \
         {expires_at}."
    ));
    if *what != What::MessageOut {
        add(format_args!(" Compare the words that are shown there with the other person."));
    }
    if let Some(text) = text {
        let whole = u64::try_from(text.len()).is_ok_and(|shown| shown == *size_bytes);
        let part = if whole { String::new() } else { format!(", the first {}", text.len()) };
        add(format_args!("\nThe text ({size_bytes} bytes{part}):"));
        for line in fence::block(text).lines() {
            add(format_args!("\n| {line}"));
        }
    }
    message
}
