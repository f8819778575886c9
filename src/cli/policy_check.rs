//! `policy check`: what is wrong with a policy, and which of its rules decides about an example. Or,
//! of a text, what the policy that counts would do.

use std::path::Path;

use serde::Serialize;

use super::{
    Ctx, Exit,
    args::{CheckArgs, Way},
    ctx::text_or_stdin,
    escape, item, policy,
    print::Style,
};
use crate::{
    base::PeerId,
    node::{
        api::{AgentRequest, ApiError, ErrorKind, FindingInfo, HumanRequest, Peers, PolicyAnswer},
        review,
    },
    policy::{Action, Complaint, Explanation, Peer, Policy, Subject, Verdict, Weight},
    risk::{Finding, Known, Matters, RuleTable, Scanner, Severity},
};

/// What was found of a policy.
#[derive(Serialize)]
struct Checked {
    ok: bool,
    complaints: Vec<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<Example>,
}

/// A complaint.
#[derive(Serialize)]
struct Told {
    /// `error` or `warning`.
    weight: &'static str,
    rule: String,
    line: usize,
    text: String,
}

/// What the policy does with the example.
#[derive(Serialize)]
struct Example {
    verdict: &'static str,
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    reasons: Vec<FindingInfo>,
    steps: String,
}

/// Checks a policy, or a text.
pub(super) async fn check(ctx: &Ctx, args: CheckArgs) -> anyhow::Result<Exit> {
    let file = args.what.as_deref().map(Path::new);
    let file = file.filter(|file| file.extension().is_some_and(|ending| ending == "toml"));
    if let Some(file) = file {
        return check_file(ctx, file, &args).await;
    }
    if wants_example(&args) {
        let next = "give the policy first, by a name that ends with .toml";
        let message = "an example is judged by a policy's file";
        return Err(ApiError::new(ErrorKind::Usage, message, next).into());
    }
    check_text(ctx, args.what).await
}

async fn check_text(ctx: &Ctx, text: Option<String>) -> anyhow::Result<Exit> {
    let text = text_or_stdin(text)?;
    let answer: PolicyAnswer = ctx.human(HumanRequest::PolicyCheck { text }).await?;
    ctx.out.data(&answer, |style| {
        let verdict = policy::verdict(&answer.verdict, style);
        let means = match answer.verdict.as_str() {
            "allow" => "it would be sent without asking",
            "deny" => "it would not be sent, and you would not be asked",
            _ => "you would be asked",
        };
        let reasons = answer.reasons.iter().map(|reason| item::reason(reason, style));
        [vec![format!("{verdict}: {means}")], reasons.collect()].concat().join("\n")
    })?;
    Ok(Exit::Done)
}

fn wants_example(args: &CheckArgs) -> bool {
    args.direction.is_some()
        || args.peer.is_some()
        || args.kind.is_some()
        || args.size.is_some()
        || !args.finding.is_empty()
        || args.text_file.is_some()
}

async fn check_file(ctx: &Ctx, file: &Path, args: &CheckArgs) -> anyhow::Result<Exit> {
    let text = policy::read(file)?;
    let policy =
        review::policy(&text).map_err(|error| ApiError { kind: ErrorKind::Failed, ..error })?;
    let mut complaints = policy.findings_of_check();
    // Without a home there is nobody to know.
    let peers = ctx.agent::<Peers>(AgentRequest::Peers { state: None }).await.ok();
    if let Some(peers) = &peers {
        let names: Vec<&str> = peers.peers.iter().map(|peer| peer.name.as_str()).collect();
        complaints.extend(policy.unknown_peers(&names));
    }
    let example =
        if wants_example(args) { Some(example(&policy, args, peers.as_ref())?) } else { None };
    let complaints: Vec<Told> = complaints.into_iter().map(told).collect();
    let checked = Checked { ok: complaints.is_empty(), complaints, example };
    ctx.out.data(&checked, |style| text_of(&checked, style))?;
    Ok(if checked.ok { Exit::Done } else { Exit::Failed })
}

fn told(complaint: Complaint) -> Told {
    let weight = match complaint.weight {
        Weight::Warning => "warning",
        Weight::Error => "error",
    };
    Told { weight, rule: complaint.rule, line: complaint.line, text: complaint.text }
}

fn text_of(checked: &Checked, style: Style) -> String {
    let mut lines: Vec<String> = checked
        .complaints
        .iter()
        .map(|complaint| {
            let weight = match complaint.weight {
                "error" => style.bad("error  "),
                _ => style.warn("warning"),
            };
            let (rule, text) = (escape::line(&complaint.rule), escape::line(&complaint.text));
            format!("{weight}  line {}: {rule}: {text}", complaint.line)
        })
        .collect();
    if lines.is_empty() {
        lines.push(style.good("Nothing is wrong with it."));
    }
    if let Some(example) = &checked.example {
        lines.push(String::new());
        lines.extend(example.steps.lines().map(escape::line));
    }
    lines.join("\n")
}

fn example(policy: &Policy, args: &CheckArgs, peers: Option<&Peers>) -> anyhow::Result<Example> {
    let wrong = |error: &dyn std::fmt::Display| {
        ApiError::new(ErrorKind::Usage, error.to_string(), "correct the arguments")
    };
    let text = match &args.text_file {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| wrong(&format!("{}: {error}", file.display())))?,
        None => String::new(),
    };
    let table = |table: &toml::Table| table.clone().try_into::<RuleTable>();
    let further: Vec<RuleTable> =
        policy.further_rules().iter().map(table).collect::<Result<_, _>>()?;
    let mut findings = Scanner::with(&further, Known::default())?.scan(&text);
    findings.extend(args.finding.iter().map(|rule| found(rule)));
    let kind = args.kind.as_deref().unwrap_or("text");
    let action = match (args.direction.unwrap_or(Way::Out), kind) {
        (Way::Out, "peer") => Action::PeerOut,
        (Way::In, "peer") => Action::PeerIn,
        (Way::Out, _) => Action::MessageOut,
        (Way::In, _) => Action::MessageIn,
    };
    let name = args.peer.as_deref().unwrap_or_default();
    let known = peers.and_then(|peers| peers.peers.iter().find(|peer| peer.name == name));
    let id = known.and_then(|peer| peer.id.parse().ok()).or_else(|| name.parse().ok());
    let verified = known.is_some_and(|peer| peer.verified);
    let explanation = policy.explain(&Subject {
        action,
        peer: Peer { id: id.unwrap_or(PeerId::from_bytes([0; 32])), name, verified },
        kind,
        size_bytes: args.size.unwrap_or(u64::try_from(text.len()).unwrap_or(u64::MAX)),
        findings: &findings,
        countersigned: None,
        clock_ahead: false,
        recent: &|_| 0,
    });
    Ok(shown(&explanation))
}

/// As if this rule had found something.
fn found(rule: &str) -> Finding {
    Finding {
        rule: rule.to_owned().into(),
        severity: Severity::Critical,
        matters: Matters::Both,
        span: 0..0,
        text: "what you named".into(),
        layers: Vec::new(),
    }
}

fn shown(explanation: &Explanation) -> Example {
    let (verdict, reasons) = match &explanation.decided.verdict {
        Verdict::Allow => ("allow", &[][..]),
        Verdict::Ask(reasons) => ("ask", &reasons[..]),
        Verdict::Deny(reasons) => ("deny", &reasons[..]),
    };
    Example {
        verdict,
        rule: explanation.decided.rule.clone(),
        line: explanation.line,
        reasons: reasons.iter().map(FindingInfo::from).collect(),
        steps: explanation.to_string(),
    }
}
