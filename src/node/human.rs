//! What a human may ask: what waits, decide, how things are, the audit chain.

use data_encoding::HEXLOWER;

use super::{
    api::{
        ApiError, ErrorKind, FindingInfo, HumanRequest, PendingList, PendingShown, PolicyAnswer,
        Reply, SendRequest, Status, Stopping,
    },
    clock,
    connect::Asker,
    decide::read_decision,
    state::{Answer, Node, reply, store_failed, usage},
};
use crate::{
    base::{PeerId, PendingId},
    gate::Item,
    policy::{Action, Peer, Subject, Verdict},
    store::{messages, pending::PendingRow},
    wire::Kind,
};

impl Node {
    /// Answers a human.
    pub(super) fn on_human(&mut self, request: HumanRequest, answer: Answer) {
        match request {
            HumanRequest::Pending => reply(answer, Ok(self.list_pending())),
            HumanRequest::Show { id } => reply(answer, self.show(&id)),
            HumanRequest::Decide { id, statement, signature, seal, block, grant } => {
                match self.readable(read_decision(&statement, &signature, &seal)) {
                    Ok(decision) => self.decide(&id, &decision, (block, grant.as_ref()), answer),
                    Err(error) => reply(answer, Err(error)),
                }
            }
            HumanRequest::Deny { id, block } => self.deny(&id, block, answer),
            HumanRequest::Sessions => self.list_sessions(answer),
            HumanRequest::Status => self.status(answer),
            HumanRequest::Ping { peer, count, wait_s } => self.ping(&peer, (count, wait_s), answer),
            HumanRequest::Check => self.check(answer),
            HumanRequest::PagePort { served } => self.page_port(served, answer),
            HumanRequest::Grant(signed) => self.grant(&signed, answer),
            HumanRequest::GrantEnd { id } => self.end_grant(&id, answer),
            HumanRequest::Grants => reply(answer, Ok(self.list_grants())),
            HumanRequest::Connect(asked) => self.connect(asked, Asker::Human, answer),
            HumanRequest::Draft { to, text, reply_to, thread } => {
                let request = SendRequest { to, text, reply_to, thread, ..SendRequest::default() };
                self.draft(&request, answer);
            }
            HumanRequest::SendDraft { envelope } => self.send_draft(&envelope, answer),
            HumanRequest::PageLink => reply(answer, self.page_link()),
            HumanRequest::PageOpen { code } => reply(answer, Ok(self.page_open(&code))),
            HumanRequest::ApproverSet => self.approver_set(answer),
            HumanRequest::Conversations => self.conversations(answer),
            HumanRequest::Threads { peer } => self.threads(&peer, answer),
            HumanRequest::Talk { peer, thread, before, limit } => {
                self.talk((&peer, thread.as_deref()), before, limit, answer);
            }
            HumanRequest::Search { query, peer, before, limit } => {
                self.search((&query, peer.as_deref()), before, limit, answer);
            }
            HumanRequest::PeerShow { peer } => self.peer_show(&peer, answer),
            HumanRequest::Timeline { events, peer, before, limit } => {
                self.timeline((events, peer.as_deref()), before, limit, answer);
            }
            HumanRequest::Stop => {
                self.stopping = true;
                reply(answer, Ok(Reply::Stopping(Stopping { stopping: true })));
            }
            HumanRequest::AuditShow { after, limit } => self.audit_show(after, limit, answer),
            HumanRequest::AuditVerify => self.audit_verify(answer),
            HumanRequest::Audit(request) => self.on_audit(request, answer),
            HumanRequest::Policy => reply(answer, Ok(self.policy_show())),
            HumanRequest::PolicySet { text, order } => {
                self.policy_set(&text, order.as_ref(), answer);
            }
            HumanRequest::PolicyReset { order } => self.policy_set("", order.as_ref(), answer),
            HumanRequest::Explain { message } => self.explain(&message, answer),
            HumanRequest::TaintShow => reply(answer, Ok(self.taint_show())),
            HumanRequest::TaintClear { order } => self.taint_clear(&order, answer),
            HumanRequest::KnownKey => self.known_key(answer),
            HumanRequest::KnownAdd { values } => self.known_add(&values, answer),
            HumanRequest::KnownList => reply(answer, Ok(self.known_list())),
            HumanRequest::KnownForget { order } => self.known_forget(&order, answer),
            HumanRequest::TokenNew { name, hash } => self.token_new(&name, &hash, answer),
            HumanRequest::Tokens => reply(answer, Ok(self.list_tokens())),
            HumanRequest::TokenEnd { name } => self.token_end(&name, answer),
            HumanRequest::Keep(request) => self.on_keep(request, answer),
            HumanRequest::PolicyCheck { text } => reply(answer, Ok(self.policy_check(&text))),
        }
    }

    /// What cannot be read is refused, and that is noted.
    fn readable(
        &mut self,
        read: Result<crate::gate::Decision, ApiError>,
    ) -> Result<crate::gate::Decision, ApiError> {
        read.inspect_err(|error| self.note_refusal(error))
    }

    fn list_pending(&self) -> Reply {
        let mut rows: Vec<&PendingRow> = self.pending.values().collect();
        rows.sort_by_key(|row| (row.created, row.id));
        let items = rows.into_iter().map(|row| self.pending_view(row)).collect();
        let warnings = self.codes.warning(clock::now()).into_iter().collect();
        Reply::Pending(PendingList { items, warnings })
    }

    pub(super) fn find_pending(&self, id: &str) -> Result<&PendingRow, ApiError> {
        let next = "countersign pending lists what waits";
        let id: PendingId = id.parse().map_err(|e| usage(e, next))?;
        self.pending.get(&id).ok_or_else(|| nothing_waits(id))
    }

    fn show(&self, id: &str) -> Result<Reply, ApiError> {
        let row = self.find_pending(id)?;
        let bytes = row.item.as_ref().map(Item::encode).unwrap_or_default();
        let item = self.pending_view(row);
        let (bytes, node) = (HEXLOWER.encode(&bytes), self.id.to_string());
        Ok(Reply::Show(PendingShown { item, bytes, node }))
    }

    fn status(&mut self, answer: Answer) {
        let connected = self.peers.values().filter(|entry| entry.link.is_some()).count();
        self.note_passphrases();
        let warnings = self.warnings();
        let prompts = self.prompts_view();
        self.read(messages::counts, move |_, counts| {
            let result = counts.map_err(|e| store_failed(&e)).map(|counts| {
                Reply::Status(Status {
                    running: true,
                    pid: Some(std::process::id()),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    peers_connected: u64::try_from(connected).unwrap_or(u64::MAX),
                    queued: counts.queued,
                    held: counts.held,
                    warnings,
                    prompts,
                })
            });
            reply(answer, result);
        });
    }

    fn warnings(&self) -> Vec<String> {
        let of_peer = |(id, entry): (&PeerId, &super::state::PeerEntry)| {
            self.warning_of(id, entry).map(|warning| format!("{}: {warning}", entry.name))
        };
        let approver = self
            .approver
            .is_none()
            .then(|| "approvals are not set up; run: countersign init".to_owned());
        let policy = self.policy.warning.clone();
        let standing = self.standing.warnings.iter().cloned();
        let own = standing.chain(approver).chain(policy).chain(self.handle.page_warning());
        let codes = self.codes.warning(clock::now());
        let own = own.chain(self.handle.notices()).chain(self.twice()).chain(codes);
        own.chain(self.peers.iter().filter_map(of_peer)).collect()
    }
}

/// There is no such item, or no longer.
pub(super) fn nothing_waits(id: PendingId) -> ApiError {
    let message = format!("nothing waits under {id}: it was decided, or expired");
    ApiError::new(ErrorKind::NotFound, message, "countersign pending lists what waits")
}

impl Node {
    /// What the policy says of a text that would leave.
    fn policy_check(&self, text: &str) -> Reply {
        let findings = self.rules.scanner.scan(text);
        let subject = Subject {
            action: Action::MessageOut,
            peer: Peer { id: self.id, name: "", verified: false },
            kind: Kind::Text.as_str(),
            size_bytes: u64::try_from(text.len()).unwrap_or(u64::MAX),
            findings: &findings,
            countersigned: None,
            clock_ahead: false,
            recent: &|_| 0,
        };
        let (verdict, reasons) = match self.rules.policy.decide(&subject).verdict {
            Verdict::Allow => ("allow", Vec::new()),
            Verdict::Ask(reasons) => ("ask", reasons),
            Verdict::Deny(reasons) => ("deny", reasons),
        };
        let reasons = reasons.iter().map(FindingInfo::from).collect();
        Reply::Policy(PolicyAnswer { verdict: verdict.to_owned(), reasons })
    }
}
