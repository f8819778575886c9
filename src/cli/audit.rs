//! `audit`: the evidence.

use super::{
    Ctx, Exit, escape,
    print::{self, Style, table},
};
use crate::node::api::{AuditPage, AuditVerified, HumanRequest};

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
