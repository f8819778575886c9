//! `audit`: the evidence. The node shows and checks its own chain; a file is checked here, by whoever
//! has it.

mod compare;
mod files;

use std::{
    io::{BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use serde::Serialize;

use super::{
    Ctx, Exit,
    args::{AuditCommand, Kept, Since},
    escape,
    print::{self, Printer, Style, table},
};
use crate::{
    audit::{
        Head,
        lines::{self, End, Top},
    },
    base::{Timestamp, limits},
    ipc::Client,
    node::{
        api::{
            ApiError, AuditFound, AuditKeep, AuditMoved, AuditPage, AuditPart, AuditRecord,
            AuditRequest, AuditRotated, AuditState, AuditVerified, Done, ErrorKind, HumanRequest,
            Request,
        },
        clock,
    },
};

/// Runs one of the commands.
pub(super) async fn run(ctx: &Ctx, command: AuditCommand) -> anyhow::Result<Exit> {
    match command {
        AuditCommand::Show { after, limit, peer, since, kind } => {
            let wanted = Wanted { after, peer, since: since.map(now), kinds: kind };
            show(ctx, wanted, limit).await
        }
        AuditCommand::Verify { file: Some(file) } => verify_file(ctx.out, &file),
        AuditCommand::Verify { file: None } => verify(ctx).await,
        AuditCommand::Export { file, peer, since } => {
            let since = since.map(now);
            export(ctx, &file, Wanted { after: 0, peer, since, kinds: Vec::new() }).await
        }
        AuditCommand::Compare { files, peer } => compare::run(ctx, &files, peer).await,
        AuditCommand::Rotate { keep } => rotate(ctx, &keep).await,
        AuditCommand::Accept { peer } => accept(ctx, peer).await,
    }
}

/// Whether a command needs no home.
pub(super) fn is_of_a_file(command: &AuditCommand) -> bool {
    match command {
        AuditCommand::Verify { file } => file.is_some(),
        AuditCommand::Compare { peer, .. } => peer.is_none(),
        AuditCommand::Show { .. }
        | AuditCommand::Export { .. }
        | AuditCommand::Rotate { .. }
        | AuditCommand::Accept { .. } => false,
    }
}

/// Runs a command that needs no home.
pub(super) fn run_on_files(out: Printer, command: &AuditCommand) -> anyhow::Result<Exit> {
    match command {
        AuditCommand::Verify { file: Some(file) } => verify_file(out, file),
        AuditCommand::Compare { files, peer: None } => compare::two(out, files),
        AuditCommand::Verify { file: None }
        | AuditCommand::Compare { .. }
        | AuditCommand::Show { .. }
        | AuditCommand::Export { .. }
        | AuditCommand::Rotate { .. }
        | AuditCommand::Accept { .. } => Ok(Exit::Usage),
    }
}

fn now(since: Since) -> Timestamp {
    since.at(clock::now())
}

/// Which records are asked for.
#[derive(Clone, Debug, Default)]
struct Wanted {
    after: u64,
    peer: Option<String>,
    since: Option<Timestamp>,
    kinds: Vec<String>,
}

async fn ask<T: serde::de::DeserializeOwned>(
    client: &mut Client,
    request: AuditRequest,
) -> anyhow::Result<T> {
    Ok(client.ask(Request::Human(HumanRequest::Audit(request))).await?)
}

impl Wanted {
    /// The next records, and where to go on.
    async fn next(&self, client: &mut Client, limit: u32) -> anyhow::Result<AuditFound> {
        let Self { after, peer, since, kinds } = self.clone();
        ask(client, AuditRequest::Find { after, limit, peer, since, kinds }).await
    }
}

async fn show(ctx: &Ctx, mut wanted: Wanted, limit: u32) -> anyhow::Result<Exit> {
    let mut client = ctx.client().await?;
    let mut page = AuditPage { records: Vec::new(), more: true };
    let mut next = Some(wanted.after);
    let count = |page: &AuditPage| u32::try_from(page.records.len()).unwrap_or(limit);
    // Each answer is further on in the chain, so this ends.
    while let Some(after) = next.filter(|_| count(&page) < limit) {
        wanted.after = after;
        let found = wanted.next(&mut client, limit - count(&page)).await?;
        page.records.extend(found.records.iter().map(AuditRecord::from));
        next = found.next;
    }
    page.more = next.is_some();
    ctx.out.data(&page, |style| page_text(&page, style))?;
    if let Some(after) = next {
        print::talk(&format!("There may be more: countersign audit show --after {after}"));
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

/// What checking the chain and the files of moved records gave.
#[derive(Debug, Serialize)]
struct Checkup {
    #[serde(flatten)]
    verified: AuditVerified,
    /// Records in files that are whole.
    moved: u64,
    /// Files that are not there.
    absent: Vec<String>,
}

async fn verify(ctx: &Ctx) -> anyhow::Result<Exit> {
    let mut client = ctx.client().await?;
    let state: AuditState = ask(&mut client, AuditRequest::State).await?;
    let bar = print::progress("records checked", state.head.seq);
    let (mut moved, mut absent) = (0, Vec::new());
    let mut after = Head::EMPTY;
    let mut wrong = None;
    for part in &state.moved {
        match files::segment(ctx.home.path(), &state.node, (after, part), &bar) {
            Ok(Some(records)) => moved += records,
            Ok(None) => absent.push(part.file.clone()),
            Err(problem) => wrong = wrong.or(Some(problem)),
        }
        after = part.last;
    }
    let mut progress = None;
    let mut verified = loop {
        let part: AuditPart = ask(&mut client, AuditRequest::Verify { progress }).await?;
        bar.set(part.progress.head.seq);
        progress = Some(part.progress);
        if let Some(verified) = part.verified {
            break verified;
        }
    };
    drop(bar);
    if let Some(problem) = wrong {
        // What was moved is older than what is in the database, so it is the first.
        let (problem, first_bad) = (Some(problem.text), problem.first);
        verified = AuditVerified { ok: false, problem, first_bad, ..verified };
    }
    let checkup = Checkup { verified, moved, absent };
    ctx.out.data(&checkup, |style| checkup_text(&checkup, style))?;
    Ok(if checkup.verified.ok { Exit::Done } else { Exit::Failed })
}

fn checkup_text(checkup: &Checkup, style: Style) -> String {
    let Checkup { verified, moved, absent } = checkup;
    let counts = format!(
        "{} records and {} signed checkpoints were checked",
        verified.records, verified.checkpoints
    );
    let in_files =
        if *moved > 0 { format!(", and {moved} records in files") } else { String::new() };
    let absent = absent.iter().map(|file| {
        let file = escape::line(file);
        format!("\nnot there, so not checked: {file}")
    });
    let looked_at = verified.looked_at.iter().map(|what| {
        let what = escape::line(what);
        format!("\nnot in this log, and you have looked at it: {what}")
    });
    let notes: String = absent.chain(looked_at).collect();
    let text = format!("{counts}{in_files}{notes}");
    if verified.ok {
        return format!("{}: {text}", style.good("whole"));
    }
    let problem = verified.problem.as_deref().unwrap_or("the chain is not whole");
    let first = verified.first_bad.as_ref().map(|first| {
        let at = first.at.as_deref().map(|at| format!(", of {}", escape::line(at)));
        let against = first.contradicts.as_deref();
        let against = against.map(|it| format!("\nit contradicts {}", escape::line(it)));
        let (at, against) = (at.unwrap_or_default(), against.unwrap_or_default());
        format!("\nfirst bad record: {}{at}{against}", first.seq)
    });
    let (broken, problem) = (style.bad("broken"), escape::line(problem));
    format!("{broken}: {problem}{}\n{text}", first.unwrap_or_default())
}

/// What checking a file gave.
#[derive(Debug, Serialize)]
struct FileCheckup {
    #[serde(flatten)]
    verified: AuditVerified,
    /// Whose log it says it is.
    node: Option<String>,
    /// It has every record between its first and its last one.
    whole: bool,
    /// The last record of the chain when it was made.
    head: Option<Head>,
}

fn verify_file(out: Printer, file: &Path) -> anyhow::Result<Exit> {
    let bar = print::progress("records checked", 0);
    let checked = files::check(file, |records, _| bar.set(records))?;
    drop(bar);
    let checkup = match checked {
        Ok(checked) => FileCheckup {
            verified: AuditVerified {
                ok: true,
                records: checked.end.records,
                checkpoints: 1,
                ..AuditVerified::default()
            },
            node: Some(checked.top.node.to_string()),
            whole: checked.top.whole,
            head: Some(checked.end.head),
        },
        Err(wrong) => FileCheckup {
            verified: AuditVerified {
                records: wrong.records,
                problem: Some(wrong.text),
                first_bad: wrong.first,
                ..AuditVerified::default()
            },
            node: None,
            whole: false,
            head: None,
        },
    };
    out.data(&checkup, |style| file_text(&checkup, style))?;
    Ok(if checkup.verified.ok { Exit::Done } else { Exit::Failed })
}

fn file_text(checkup: &FileCheckup, style: Style) -> String {
    let (Some(node), Some(head)) = (&checkup.node, &checkup.head) else {
        let Checkup { verified, moved, absent } =
            Checkup { verified: checkup.verified.clone(), moved: 0, absent: Vec::new() };
        return checkup_text(&Checkup { verified, moved, absent }, style);
    };
    let records = checkup.verified.records;
    let what = if checkup.whole {
        format!("{records} records that follow each other")
    } else {
        format!("{records} chosen records, each checked by itself")
    };
    format!(
        "{}: {what}\nof the node {node}, which signed record {} as its last then",
        style.good(if checkup.whole { "whole" } else { "good" }),
        head.seq
    )
}

async fn export(ctx: &Ctx, file: &Path, mut wanted: Wanted) -> anyhow::Result<Exit> {
    let mut client = ctx.client().await?;
    let state: AuditState = ask(&mut client, AuditRequest::State).await?;
    let whole = wanted.peer.is_none() && wanted.since.is_none();
    if whole {
        // What stays of records that were moved is in their files.
        wanted.after = state.after.seq;
    }
    let limit = limits::AUDIT_PAGE_RECORDS;
    let mut found = wanted.next(&mut client, limit).await?;
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let shown = file.display();
    let mut out = BufWriter::new(made.map_err(|error| cannot_write(file, &error))?);
    let top = Top {
        countersign_audit: lines::VERSION,
        node: state.node,
        after: state.after,
        whole,
        peer: found.peer,
        since: wanted.since,
    };
    out.write_all(lines::line(&top).as_bytes())?;
    let bar = print::progress("records", state.head.seq);
    let mut records = 0_u64;
    loop {
        // What is appended meanwhile is behind the head that was signed.
        for record in found.records.iter().filter(|record| record.seq <= state.head.seq) {
            out.write_all(lines::line(record).as_bytes())?;
            records += 1;
        }
        let Some(next) = found.next.filter(|next| *next < state.head.seq) else { break };
        bar.set(next);
        wanted.after = next;
        found = wanted.next(&mut client, limit).await?;
    }
    let end = End { head: state.head, signature: state.signature, records };
    out.write_all(lines::line(&end).as_bytes())?;
    out.into_inner()?.sync_all()?;
    drop(bar);
    let done = Exported { file: shown.to_string(), records, whole, head: state.head };
    ctx.out.data(&done, |_| {
        format!("{records} records are in {shown}; to check them: countersign audit verify --file {shown}")
    })?;
    Ok(Exit::Done)
}

/// What was written.
#[derive(Debug, Serialize)]
struct Exported {
    file: String,
    records: u64,
    whole: bool,
    head: Head,
}

fn cannot_write(file: &Path, error: &std::io::Error) -> ApiError {
    let message = format!("{}: {error}", file.display());
    ApiError::new(ErrorKind::Failed, message, "name a new file in a folder that is there")
}

async fn rotate(ctx: &Ctx, keep: &str) -> anyhow::Result<Exit> {
    let kept = Kept::parse(keep).map_err(|next| {
        ApiError::new(ErrorKind::Usage, format!("{keep:?} says not what stays"), next)
    })?;
    let keep = match kept {
        Kept::For(time) => AuditKeep::Ms(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        Kept::Records(records) => AuditKeep::Records(records),
    };
    let spinner = print::spinner("moving records");
    let mut client = ctx.client().await?;
    let rotated: AuditRotated = ask(&mut client, AuditRequest::Rotate { keep }).await?;
    drop(spinner);
    ctx.out.data(&rotated, |_| rotated_text(ctx, &rotated))?;
    Ok(Exit::Done)
}

fn rotated_text(ctx: &Ctx, rotated: &AuditRotated) -> String {
    let Some(AuditMoved { file, first, last, .. }) = &rotated.moved else {
        return "nothing is old enough to be moved".to_owned();
    };
    format!(
        "{} records ({first} to {}) are in {} now; keep that file: audit verify checks it where it is",
        rotated.records,
        last.seq,
        ctx.home.path().join(file).display()
    )
}

async fn accept(ctx: &Ctx, peer: String) -> anyhow::Result<Exit> {
    let mut client = ctx.client().await?;
    let done: Done = ask(&mut client, AuditRequest::Accept { peer }).await?;
    ctx.out
        .data(&done, |_| "noted; it stays in the audit log, and is warned of no more".to_owned())?;
    Ok(Exit::Done)
}
