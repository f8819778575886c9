//! `audit` and `policy`: the evidence, and the rules.

use super::{
    Ctx, Exit,
    ctx::text_or_stdin,
    escape, item,
    print::{self, Style, table},
};
use crate::node::api::{AuditPage, AuditVerified, HumanRequest, PolicyAnswer};

/// Shows records.
pub(super) async fn show(ctx: &Ctx, after: u64, limit: u32) -> anyhow::Result<Exit> {
    let page: AuditPage = ctx.human(HumanRequest::AuditShow { after, limit }).await?;
    ctx.out.data(&page, |style| page_text(&page, style))?;
    if let (true, Some(last)) = (page.more, page.records.last()) {
        print::talk(&format!("There are more: countersign audit show --after {}", last.seq));
    }
    Ok(Exit::Done)
}

fn page_text(page: &AuditPage, style: Style) -> String {
    let mut rows = vec![["SEQ", "AT", "HASH", "EVENT"].map(str::to_owned).to_vec()];
    rows.extend(page.records.iter().map(|record| {
        let hash: String = record.hash.chars().take(12).collect();
        let event = record.event.to_string();
        let seq = record.seq.to_string();
        vec![seq, escape::line(&record.at), escape::line(&hash), escape::line(&event)]
    }));
    table(&rows, style)
}

/// Checks the chain.
pub(super) async fn verify(ctx: &Ctx) -> anyhow::Result<Exit> {
    let spinner = print::spinner("checking every record");
    let verified: AuditVerified = ctx.human(HumanRequest::AuditVerify).await?;
    drop(spinner);
    ctx.out.data(&verified, |style| {
        let counts = format!(
            "{} records and {} signed checkpoints were checked",
            verified.records, verified.checkpoints
        );
        match (&verified.problem, verified.ok) {
            (None, true) => format!("{}: {counts}", style.good("whole")),
            (problem, _) => {
                let problem = problem.as_deref().unwrap_or("the chain is not whole");
                format!("{}: {}\n{counts}", style.bad("broken"), escape::line(problem))
            }
        }
    })?;
    Ok(if verified.ok { Exit::Done } else { Exit::Failed })
}

/// Says what the policy would.
pub(super) async fn policy_check(ctx: &Ctx, text: Option<String>) -> anyhow::Result<Exit> {
    let text = text_or_stdin(text)?;
    let answer: PolicyAnswer = ctx.human(HumanRequest::PolicyCheck { text }).await?;
    ctx.out.data(&answer, |style| {
        let mut lines = vec![match answer.verdict.as_str() {
            "allow" => format!("{}: it would be sent without asking", style.good("allow")),
            other => format!("{}: you would be asked", style.warn(&escape::line(other))),
        }];
        lines.extend(answer.reasons.iter().map(|reason| {
            let severity = item::severity(reason.severity, style);
            format!("  {severity}  {} ({})", escape::line(&reason.text), escape::line(&reason.rule))
        }));
        lines.join("\n")
    })?;
    Ok(Exit::Done)
}
