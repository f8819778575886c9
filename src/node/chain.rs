//! The audit chain as a human asks for it: pages, a search, a check in parts, and rotation.

use data_encoding::HEXLOWER;
use rusqlite::Connection;

use super::{
    api::{
        ApiError, AuditFound, AuditKeep, AuditMoved, AuditPage, AuditPart, AuditRecord,
        AuditRequest, AuditRotated, AuditState, AuditVerified, ErrorKind, FirstBad, Reply,
    },
    clock,
    state::{Answer, Node, Then, reply, store_failed, usage},
};
use crate::{
    audit::{ChainError, Moved},
    base::{Timestamp, limits},
    store::{
        self, StoreError,
        audit::{
            Anchor, Ended, Progress, Query,
            rotate::{self, Keep, Part, RotateError},
        },
    },
};

impl Node {
    /// Answers a human about the audit chain.
    pub(super) fn on_audit(&mut self, request: AuditRequest, answer: Answer) {
        match request {
            AuditRequest::Find { after, limit, peer, since, kinds } => {
                let limit = limit.clamp(1, limits::AUDIT_PAGE_RECORDS);
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let query = Query { after, limit, kinds, peer: None, since };
                self.audit_find(query, peer.as_deref(), answer);
            }
            AuditRequest::State => self.audit_state(answer),
            AuditRequest::Verify { progress } => {
                self.audit_verify_part(progress.unwrap_or_default(), answer);
            }
            AuditRequest::Rotate { keep } => self.audit_rotate(keep, answer),
            AuditRequest::Accept { peer } => self.audit_accept(&peer, answer),
        }
    }

    pub(super) fn audit_show(&mut self, after: u64, limit: u32, answer: Answer) {
        self.note_passphrases();
        let limit = limit.clamp(1, limits::AUDIT_PAGE_RECORDS);
        let op = move |db: &Connection| store::audit::page(db, after, limit + 1);
        self.read(op, move |_, found| {
            let result = found.map_err(|e| store_failed(&e)).map(|mut records| {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                let more = records.len() > limit;
                records.truncate(limit);
                let records = records.iter().map(AuditRecord::from).collect();
                Reply::Audit(AuditPage { records, more })
            });
            reply(answer, result);
        });
    }

    fn audit_find(&mut self, query: Query, peer: Option<&str>, answer: Answer) {
        let (count, count_max) = (query.kinds.len(), limits::EVIDENCE_EVENTS_MAX);
        if count > count_max {
            let message = format!("{count} kinds are named; the limit is {count_max}");
            return reply(answer, Err(usage(message, "name fewer, or none for all")));
        }
        let peer = match peer.map(|peer| self.find_peer(peer)).transpose() {
            Ok(peer) => peer,
            Err(error) => return reply(answer, Err(error)),
        };
        self.note_passphrases();
        let query = Query { peer, ..query };
        self.scan(
            move |db| store::audit::find(db, &query),
            move |_, found| {
                let result = found.map_err(|e| store_failed(&e)).map(|found| {
                    let (records, next) = (found.records, found.next);
                    Reply::AuditFound(AuditFound { records, next, peer })
                });
                reply(answer, result);
            },
        );
    }

    fn audit_state(&mut self, answer: Answer) {
        let op = |db: &Connection| {
            Ok((store::audit::base(db)?, store::audit::head(db)?, store::audit::anchors(db)?))
        };
        self.read(op, move |node, found| {
            let result = found.map_err(|e| store_failed(&e)).map(|(after, head, anchors)| {
                Reply::AuditState(AuditState {
                    node: node.id,
                    after,
                    head,
                    signature: HEXLOWER.encode(&head.sign(&node.key)),
                    moved: anchors.iter().map(moved).collect(),
                })
            });
            reply(answer, result);
        });
    }

    /// Checks all of the chain, a part at a time, so that nothing else waits for it.
    pub(super) fn audit_verify(&mut self, answer: Answer) {
        self.verify_on(Progress::default(), answer);
    }

    fn verify_on(&mut self, progress: Progress, answer: Answer) {
        let me = self.id;
        let op = move |db: &Connection| store::audit::verify_part(db, &me, &progress);
        self.scan(op, move |node, found| match found {
            Err(error) => reply(answer, Err(store_failed(&error))),
            Ok((progress, ended)) => match node.verified(&progress, ended) {
                None => node.verify_on(progress, answer),
                Some(verified) => reply(answer, Ok(Reply::AuditVerified(verified))),
            },
        });
    }

    fn audit_verify_part(&mut self, progress: Progress, answer: Answer) {
        let me = self.id;
        let op = move |db: &Connection| store::audit::verify_part(db, &me, &progress);
        self.scan(op, move |node, found| {
            let part = found.map_err(|e| store_failed(&e)).map(|(progress, ended)| {
                let verified = node.verified(&progress, ended);
                Reply::AuditPart(AuditPart { progress, verified })
            });
            reply(answer, part);
        });
    }

    fn verified(&self, progress: &Progress, ended: Ended) -> Option<AuditVerified> {
        let problem = match ended {
            Ended::NotYet => return None,
            Ended::Whole => None,
            Ended::Problem(problem) => Some(problem),
        };
        let first_bad = problem.as_ref().map(|problem| FirstBad {
            seq: problem.seq(),
            at: problem.at().map(Timestamp::rfc3339),
            contradicts: self.against(problem),
        });
        Some(AuditVerified {
            ok: problem.is_none(),
            records: progress.records,
            checkpoints: progress.checkpoints,
            problem: problem.map(|problem| self.problem_text(&problem)),
            first_bad,
            looked_at: self.looked_at(),
        })
    }

    fn looked_at(&self) -> Vec<String> {
        let excused = self.peers.values().filter_map(|entry| {
            let seen = entry.chains.seen.excused?;
            let (name, seq, receipt) = (&entry.name, seen.head.seq, seen.receipt);
            Some(format!("record {seq} that {name} has signed (receipt {receipt})"))
        });
        excused.collect()
    }

    /// What is wrong, with our name for a peer.
    fn problem_text(&self, problem: &ChainError) -> String {
        let ChainError::Witness { seq, peer, .. } = problem else { return problem.to_string() };
        let name = self.name_of(peer);
        format!(
            "{name} has signed that it saw record {seq} of this log, and the log does not contain it: \
             it was cut or rolled back, or {name}'s node is wrong"
        )
    }

    fn against(&self, problem: &ChainError) -> Option<String> {
        let ChainError::Witness { peer, receipt, .. } = problem else { return problem.against() };
        Some(format!("the receipt {receipt} that {} signed", self.name_of(peer)))
    }

    /// Moves old records into a file: the file first, and elsewhere, so that nobody waits for it. One at
    /// a time.
    fn audit_rotate(&mut self, keep: AuditKeep, answer: Answer) {
        if self.chores.rotating {
            let message = "records are being moved already";
            let error = ApiError::new(ErrorKind::Busy, message, "try again in a moment");
            return reply(answer, Err(error));
        }
        self.chores.rotating = true;
        let keep = match keep {
            AuditKeep::Records(records) => Keep::Records(records),
            AuditKeep::Ms(ms) => {
                Keep::Since(clock::now().minus(std::time::Duration::from_millis(ms)))
            }
        };
        self.scan(
            move |db| rotate::part(db, keep),
            move |node, part| match part {
                Err(error) => node.rotated(answer, Err(store_failed(&error))),
                Ok(None) => node.rotated(answer, Ok(AuditRotated { moved: None, records: 0 })),
                Ok(Some(part)) => node.write_part(part, answer),
            },
        );
    }

    fn write_part(&mut self, part: Part, answer: Answer) {
        let (key, database) = (self.key.clone(), self.home.database_file());
        let written =
            tokio::task::spawn_blocking(move || rotate::write(&database, &part, &key).map(drop));
        self.reads.push(Box::pin(async move {
            let written = written.await;
            Box::new(move |node: &mut Self| match written {
                Ok(Ok(())) => node.take_part_out(part, answer),
                Ok(Err(error)) => {
                    let error = node.not_moved(&error);
                    node.rotated(answer, Err(error));
                }
                Err(_) => node.rotated(answer, Err(store_failed(&StoreError::Closed))),
            }) as Then
        }));
    }

    fn take_part_out(&mut self, part: Part, answer: Answer) {
        let (key, now) = (self.key.clone(), clock::now());
        let op = move |db: &Connection| rotate::take_out(db, &part, &key, now);
        self.write(op, move |node, done| {
            let done = done.map_err(|error| store_failed(&error)).and_then(|same| {
                if !same {
                    let message = "the records were changed meanwhile; nothing was moved";
                    let next = "try again; if it stays: countersign audit verify";
                    return Err(ApiError::new(ErrorKind::Busy, message, next));
                }
                let (file, last, at) = (part.file_name(), part.last, now.rfc3339());
                let moved = AuditMoved { file, first: part.after.seq.saturating_add(1), last, at };
                let records = part.records();
                Ok(AuditRotated { moved: Some(moved), records })
            });
            node.rotated(answer, done);
        });
    }

    /// Moving records is over, however it ended.
    fn rotated(&mut self, answer: Answer, done: Result<AuditRotated, ApiError>) {
        self.chores.rotating = false;
        reply(answer, done.map(Reply::AuditRotated));
    }

    fn not_moved(&self, error: &RotateError) -> ApiError {
        let (text, next) = match error {
            RotateError::Store(error) => return store_failed(error),
            RotateError::Chain(problem) => (
                format!("{}; nothing was moved", self.problem_text(problem)),
                "countersign audit verify says more",
            ),
            RotateError::Other { .. } => {
                (error.to_string(), "move that file to another folder, and try again")
            }
            RotateError::Io { .. } => {
                (error.to_string(), "free some space, or make the home writable; nothing was moved")
            }
        };
        ApiError::new(ErrorKind::Failed, text, next)
    }
}

fn moved(anchor: &Anchor) -> AuditMoved {
    let Moved { first, last, .. } = anchor.moved;
    AuditMoved { file: rotate::file_name(first, last.seq), first, last, at: anchor.at.rfc3339() }
}
