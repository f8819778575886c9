//! `policy show`, `set`, `reset` and `explain`: the rules for what needs the human's approval.
//!
//! A policy that lets something pass which is asked about now needs the passphrase; one that only
//! asks more does not. What is signed is the text that is shown, whole.

use std::{collections::HashSet, path::Path};

use super::{
    Ctx, Exit, escape, item, order,
    print::{self, Style, fields},
};
use crate::{
    base::limits,
    node::{
        api::{
            ApiError, ErrorKind, Explained, HumanRequest, Judgement, PolicyShown, PolicySource,
            SignedHex,
        },
        review,
    },
    policy::{Policy, Weight},
    wire::Command,
};

/// Shows the policy that counts, or the standard.
pub(super) async fn show(ctx: &Ctx, standard: bool) -> anyhow::Result<Exit> {
    if standard {
        let policy = Policy::standard();
        let (text, digest) = (policy.text(), policy.digest().to_string());
        let value = serde_json::json!({ "source": "standard", "text": text, "digest": digest });
        ctx.out.data(&value, |_| text.to_owned())?;
        return Ok(Exit::Done);
    }
    let shown: PolicyShown = ctx.human(HumanRequest::Policy).await?;
    ctx.out.data(&shown, |_| lines(&shown.text).join("\n"))?;
    print::talk(&format!("\n{}", about(&shown, print::Style::new(false))));
    Ok(Exit::Done)
}

fn about(shown: &PolicyShown, style: Style) -> String {
    let source = match shown.source {
        PolicySource::Standard => "the standard policy, which countersign brings",
        PolicySource::Signed => "signed by you",
        PolicySource::Tightened => "stricter than what you signed, so without a signature",
        PolicySource::Closed => "none that can be verified: everything is asked about",
    };
    let mut rows = vec![("policy", source.to_owned()), ("digest", escape::line(&shown.digest))];
    if let Some(at) = &shown.set_at {
        rows.push(("since", escape::line(at)));
    }
    if let Some(warning) = &shown.warning {
        rows.push(("warning", escape::line(warning)));
    }
    fields(&rows, style)
}

/// The lines of a policy, safe for a terminal.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(escape::line).collect()
}

/// Reads a file of at most a policy's size.
pub(super) fn read(file: &Path) -> anyhow::Result<String> {
    let shown = escape::line(&file.display().to_string());
    let wrong = |problem: String| {
        let next = "give a policy: countersign policy show --standard prints one to begin with";
        ApiError::new(ErrorKind::Usage, format!("{shown}: {problem}"), next)
    };
    let size = std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
    if size > u64::try_from(limits::POLICY_BYTES_MAX).unwrap_or(u64::MAX) {
        let limit = limits::POLICY_BYTES_MAX;
        return Err(wrong(format!("it is {size} bytes; the limit is {limit}")).into());
    }
    Ok(std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?)
}

/// Lets a file's policy count.
pub(super) async fn set(ctx: &Ctx, file: &Path) -> anyhow::Result<Exit> {
    let text = read(file)?;
    let policy = review::policy(&text)?;
    for complaint in policy.findings_of_check() {
        print::talk(&escape::line(&complaint.to_string()));
    }
    let request = |order| HumanRequest::PolicySet { text: text.clone(), order };
    change(ctx, (&policy, text.as_str()), request).await
}

/// Lets the standard policy count.
pub(super) async fn reset(ctx: &Ctx) -> anyhow::Result<Exit> {
    let request = |order| HumanRequest::PolicyReset { order };
    change(ctx, (Policy::standard(), ""), request).await
}

async fn change(
    ctx: &Ctx,
    (policy, ordered): (&Policy, &str),
    request: impl Fn(Option<SignedHex>) -> HumanRequest,
) -> anyhow::Result<Exit> {
    let now: PolicyShown = ctx.human(HumanRequest::Policy).await?;
    // The node says so too, and it is the one whose word counts.
    let tightens = now.source != PolicySource::Closed
        && Policy::parse(&now.text).is_ok_and(|now| policy.is_no_looser_than(&now));
    let unsigned = if tightens { ctx.human(request(None)).await } else { Err(looser().into()) };
    let set: PolicyShown = match unsigned {
        Ok(set) => set,
        Err(error) if !needs_signature(&error) => return Err(error),
        Err(_) => {
            let command = Command::Policy { serial: now.serial + 1, text: ordered.to_owned() };
            let explanation = |style| explanation(&now, policy, style);
            let order = order::sign(ctx, explanation, command)?;
            ctx.human(request(Some(order))).await?
        }
    };
    let shown = about(&set, Style::new(false));
    ctx.out.data(&set, |style| format!("{}\n{shown}", style.good("It counts from now on.")))?;
    if tightens {
        print::talk("It lets nothing pass that was asked about, so no passphrase was needed.");
    }
    Ok(Exit::Done)
}

fn looser() -> ApiError {
    ApiError::new(ErrorKind::WaitsForHuman, "this policy is looser", "")
}

fn needs_signature(error: &anyhow::Error) -> bool {
    super::api_error(error).is_some_and(|error| error.kind == ErrorKind::WaitsForHuman)
}

/// All that the human signs, and how it differs from what counts now.
fn explanation(now: &PolicyShown, policy: &Policy, style: Style) -> String {
    let mut parts = vec![style.bold("You are about to sign a POLICY.")];
    parts.push(match &now.warning {
        Some(warning) => style.warn(&escape::line(warning)),
        None => {
            "It may let pass what you are asked about now. The whole of it, with + before what \
                 is new:"
                .to_owned()
        }
    });
    parts.push(compared(&now.text, policy.text(), style));
    let complaints: Vec<String> = policy
        .findings_of_check()
        .iter()
        .map(|complaint| {
            let text = escape::line(&complaint.to_string());
            if complaint.weight == Weight::Error { style.bad(&text) } else { style.warn(&text) }
        })
        .collect();
    if !complaints.is_empty() {
        parts.push(complaints.join("\n"));
    }
    parts.join("\n\n") + "\n"
}

/// The new text whole, and the lines of the old one that are gone.
fn compared(old: &str, new: &str, style: Style) -> String {
    let bare = |text: &str| -> HashSet<String> {
        text.lines().map(|line| line.trim().to_owned()).collect()
    };
    let (before, after) = (bare(old), bare(new));
    let mut shown: Vec<String> = new
        .lines()
        .map(|line| match before.contains(line.trim()) {
            true => format!("    {}", escape::line(line)),
            false => style.warn(&format!("  + {}", escape::line(line))),
        })
        .collect();
    let gone: Vec<_> = old
        .lines()
        .filter(|line| !after.contains(line.trim()))
        .map(|line| style.dim(&format!("  - {}", escape::line(line))))
        .collect();
    if !gone.is_empty() {
        shown.push("\nAnd these lines of the policy that counts now are gone:\n".to_owned());
        shown.extend(gone);
    }
    shown.join("\n")
}

/// Says why a message passed, waited or was refused.
pub(super) async fn explain(ctx: &Ctx, message: String) -> anyhow::Result<Exit> {
    let explained: Explained = ctx.human(HumanRequest::Explain { message }).await?;
    ctx.out.data(&explained, |style| explained_text(&explained, style))?;
    Ok(Exit::Done)
}

fn explained_text(explained: &Explained, style: Style) -> String {
    let way = if explained.direction == "out" { "to" } else { "from" };
    let peer = escape::line(&explained.peer.name);
    let head = format!(
        "{} {way} {}: {}",
        escape::line(&explained.id),
        style.bold(&peer),
        escape::line(&explained.state)
    );
    let then = match &explained.then {
        Some(then) => judgement("When it was written down:", then, style),
        None => "It is older than such notes.".to_owned(),
    };
    let same = explained.then.as_ref().is_some_and(|then| then.policy == explained.now.policy);
    let when = if same { "Today, by the same policy:" } else { "Today, by another policy:" };
    let now = judgement(when, &explained.now, style);
    let steps = lines(&explained.steps).join("\n  ");
    format!("{head}\n\n{then}\n\n{now}\n  {}", style.dim(&steps))
}

fn judgement(when: &str, judgement: &Judgement, style: Style) -> String {
    let verdict = verdict(&judgement.verdict, style);
    let rule = escape::line(&judgement.rule);
    let mut lines = vec![format!("{when} {verdict}, by {}", style.bold(&rule))];
    lines.extend(judgement.reasons.iter().map(|reason| item::reason(reason, style)));
    lines.push(style.dim(&format!("  policy {}", escape::line(&judgement.policy))));
    lines.join("\n")
}

/// A verdict in its colour.
pub(super) fn verdict(verdict: &str, style: Style) -> String {
    match verdict {
        "allow" | "grant" => style.good(verdict),
        "deny" => style.bad(verdict),
        other => style.warn(&escape::line(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_shown_whole_and_escaped() {
        let old = "version = 1\n[[ask]]\nname = \"all\"\n";
        let new = "version = 1\n# hidden \u{1b}[2J\n[[allow]]\nname = \"all\"\n";
        insta::assert_snapshot!(compared(old, new, Style::plain()), @r#"
            version = 1
          + # hidden \u{1b}[2J
          + [[allow]]
            name = "all"

        And these lines of the policy that counts now are gone:

          - [[ask]]
        "#);
    }
}
