//! Messages that our human writes: the node signs a draft, the human countersigns it, and only
//! then it is a message. It says of itself that a human wrote it, which their signature proves.

use data_encoding::HEXLOWER;
use rusqlite::Connection;

use super::{
    api::{ApiError, Drafted, ErrorKind, Reply, SendRequest},
    clock,
    judge::verdict,
    outbound::{mark_replied, outbox_full},
    state::{Answer, Node, reply, store_failed, usage},
    written::{Ready, new_sent, write_outgoing},
};
use crate::{
    base::limits,
    gate::{Approved, Ruling},
    store::{StoreError, messages, outbox},
    wire::{Envelope, Kind},
};

impl Node {
    /// Signs what our human wrote. Nothing is kept: without their countersignature it is nothing.
    pub(super) fn draft(&mut self, request: &SendRequest, answer: Answer) {
        self.with_plan(request, answer, |node, plan, answer| {
            let drafted = node.need_approver().and_then(|_| {
                let envelope = node.seal(plan.by_human(), clock::now())?;
                let strength = node.required(&envelope);
                let envelope = HEXLOWER.encode(envelope.bytes());
                Ok(Reply::Drafted(Drafted { envelope, strength }))
            });
            reply(answer, drafted);
        });
    }

    /// Sends a draft that our human has countersigned.
    pub(super) fn send_draft(&mut self, envelope: &str, answer: Answer) {
        let (approved, ruling) = match self.read_draft(envelope) {
            Ok(approved) => approved,
            Err(error) => {
                self.note_refusal(&error);
                return reply(answer, Err(error));
            }
        };
        let verdict = verdict("allow", &ruling, &self.rules);
        let header = approved.item().header().clone();
        let (now, to, id) = (clock::now(), header.recipient, header.id);
        let op = move |db: &Connection| {
            if outbox::waiting(db, &to)? >= limits::OUTBOX_MESSAGES_MAX {
                return Ok(Err(outbox_full()));
            }
            if messages::find_with(db, &id, &to, true)?.is_some() {
                return Ok(Err(sent_already()));
            }
            mark_replied(db, header.reply_to, &to, None, Some(now))?;
            write_outgoing(db, Ready::Queue(approved, verdict), (None, None), now).map(Ok)
        };
        self.write(op, move |node, done: Result<_, StoreError>| {
            let written = match done.map_err(|e| store_failed(&e)).and_then(|done| done) {
                Ok(written) => written,
                Err(error) => return reply(answer, Err(error)),
            };
            reply(answer, Ok(Reply::Send(new_sent(&written, Vec::new()))));
            node.sent(&to, written);
        });
    }

    fn read_draft(&self, envelope: &str) -> Result<(Approved<Envelope>, Ruling), ApiError> {
        let next = "write it again on the page";
        let bounded = envelope.len() <= 2 * limits::ENVELOPE_BYTES_MAX;
        let bytes = HEXLOWER.decode(envelope.as_bytes()).ok().filter(|_| bounded);
        let bytes = bytes.ok_or_else(|| usage("the draft is not hexadecimal", next))?;
        let envelope = Envelope::decode(&bytes).map_err(|error| usage(error, next))?;
        let header = envelope.header();
        self.need_trusted(&header.recipient)?;
        self.may_name(&header.recipient, header.session.as_ref())?;
        let approver = self.need_approver()?;
        let now = clock::now();
        let late = now.since(header.created).max(header.created.since(now));
        let message = if header.kind == Kind::Receipt || header.sender != self.id {
            "the draft is not a message of this node's"
        } else if !envelope.written_by_human(&approver) {
            "the draft is not signed by this home's approver"
        } else if late > limits::DECISION_LIFE {
            "the draft was signed too long ago"
        } else {
            self.is_enough(&envelope, &approver)?;
            return self.judge_out(envelope, Vec::new()).map_err(|_| {
                ApiError::new(ErrorKind::Denied, "the draft does not pass the gate", next)
            });
        };
        Err(ApiError::new(ErrorKind::Denied, message, next))
    }
}

fn sent_already() -> ApiError {
    let message = "this draft was sent already";
    ApiError::new(ErrorKind::Refused, message, "nothing was sent again")
}
