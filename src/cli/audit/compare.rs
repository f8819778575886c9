//! `audit compare`: both sides' logs of one conversation, side by side.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Wanted, ask, files};
use crate::{
    audit::{
        Record,
        compare::{Finding, Log, Row, are_sides, compare},
        lines::Top,
    },
    base::{PeerId, Timestamp, limits},
    cli::{
        Ctx, Exit, escape,
        print::{Printer, Style, table},
    },
    node::api::{ApiError, AuditRequest, AuditState, ErrorKind},
};

/// Both logs, and what they say together.
#[derive(Debug, Serialize)]
struct Compared {
    /// No message is in one log in a way that the other rules out.
    ok: bool,
    matching: usize,
    explained: usize,
    not_covered: usize,
    contradictions: usize,
    messages: Vec<Row>,
}

/// A log before it is known whose conversation it is compared about.
struct Side {
    node: PeerId,
    partial: Option<Timestamp>,
    records: Vec<Record>,
}

impl Side {
    /// A file, which must be good. Only the records about messages are kept.
    fn read(path: &Path) -> anyhow::Result<Self> {
        let mut records = Vec::new();
        let mut times = Vec::new();
        let checked = files::check(path, |_, record| {
            times.push((record.seq, record.at));
            if is_of_a_message(record) {
                records.push(record.clone());
            }
        })?;
        let checked = checked.map_err(|wrong| {
            let message = format!("{}: {}", path.display(), wrong.text);
            let next = "ask for another export: what is in this one proves nothing";
            ApiError::new(ErrorKind::Failed, message, next)
        })?;
        // What stays of records that were moved is older than what is there without gaps.
        let after = checked.top.after.seq;
        let first = times.iter().find(|(seq, _)| *seq > after).map(|(_, at)| *at);
        let partial = begins(&checked.top, first);
        Ok(Self { node: checked.top.node, partial, records })
    }

    fn log(&self, other: PeerId) -> Log {
        let mut log = Log::new(self.node, other, self.partial);
        self.records.iter().for_each(|record| log.add(record));
        log
    }
}

/// From when on a log has everything; `None` where that is its beginning.
fn begins(top: &Top, first: Option<Timestamp>) -> Option<Timestamp> {
    let moved = (top.after.seq > 0).then(|| first.unwrap_or(Timestamp::from_ms(u64::MAX)));
    moved.max(top.since)
}

fn is_of_a_message(record: &Record) -> bool {
    ["sent", "arrived", "moved"]
        .iter()
        .any(|kind| record.event.starts_with(&format!("{{\"event\":\"{kind}\"")))
}

/// Compares two exports, or what this node has with an export.
pub(super) async fn run(
    ctx: &Ctx,
    paths: &[PathBuf],
    peer: Option<String>,
) -> anyhow::Result<Exit> {
    let Some(peer) = peer else { return two(ctx.out, paths) };
    let [theirs] = paths else {
        return Err(usage("with --peer, mine is this node's: name one file, theirs").into());
    };
    let theirs = Side::read(theirs)?;
    let mine = own(ctx, peer).await?;
    show(ctx.out, &mine, &theirs)
}

/// Compares two exports.
pub(super) fn two(out: Printer, paths: &[PathBuf]) -> anyhow::Result<Exit> {
    let [mine, theirs] = paths else {
        return Err(usage("name two files, mine and theirs; or --peer NAME and theirs").into());
    };
    show(out, &Side::read(mine)?, &Side::read(theirs)?)
}

fn usage(next: &str) -> ApiError {
    ApiError::new(ErrorKind::Usage, "two logs are compared", next)
}

/// What this node has with a peer.
async fn own(ctx: &Ctx, peer: String) -> anyhow::Result<Side> {
    let mut client = ctx.client().await?;
    let state: AuditState = ask(&mut client, AuditRequest::State).await?;
    let kinds = ["sent", "arrived", "moved"].map(str::to_owned).to_vec();
    let mut wanted = Wanted { peer: Some(peer), kinds, ..Wanted::default() };
    let mut records = Vec::new();
    // Each answer is further on in the chain, so this ends.
    loop {
        let found = wanted.next(&mut client, limits::AUDIT_PAGE_RECORDS).await?;
        records.extend(found.records);
        let Some(next) = found.next else { break };
        wanted.after = next;
    }
    let first = Wanted { after: state.after.seq, ..Wanted::default() };
    let first = first.next(&mut client, 1).await?.records.first().map(|record| record.at);
    let partial = first.filter(|_| state.after.seq > 0);
    Ok(Side { node: state.node, partial, records })
}

fn show(out: Printer, mine: &Side, theirs: &Side) -> anyhow::Result<Exit> {
    let (log, other) = (mine.log(theirs.node), theirs.log(mine.node));
    if !are_sides(&log, &other) {
        return Err(usage("name the logs of two nodes: these are of one").into());
    }
    let messages = compare(&log, &other);
    let count = |finding| messages.iter().filter(|row| row.finding == finding).count();
    let contradictions = count(Finding::Contradiction);
    let compared = Compared {
        ok: contradictions == 0,
        matching: count(Finding::Match),
        explained: count(Finding::Explained),
        not_covered: count(Finding::NotCovered),
        contradictions,
        messages,
    };
    out.data(&compared, |style| text(&compared, style))?;
    Ok(if compared.ok { Exit::Done } else { Exit::Failed })
}

fn text(compared: &Compared, style: Style) -> String {
    let heading = ["MESSAGE", "SENT BY", "MINE", "THEIRS", "", "WHY"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(compared.messages.iter().map(|row| {
        let state = |said: &Option<crate::audit::compare::Said>| {
            said.as_ref().map_or_else(|| "-".to_owned(), |said| escape::line(&said.state))
        };
        let finding = match row.finding {
            Finding::Match => "match",
            Finding::Explained => "explained",
            Finding::NotCovered => "not covered",
            Finding::Contradiction => "CONTRADICTION",
        };
        vec![
            escape::line(&row.message),
            row.sent_by.clone(),
            state(&row.mine),
            state(&row.theirs),
            finding.to_owned(),
            escape::line(&row.why),
        ]
    }));
    let Compared { matching, explained, not_covered, contradictions, .. } = compared;
    let counts = format!(
        "{matching} match, {explained} are explained, {not_covered} are before one log begins, \
         {contradictions} contradict"
    );
    let word =
        if compared.ok { style.good("the logs fit") } else { style.bad("the logs contradict") };
    format!("{}\n{word}: {counts}", table(&rows, style))
}
