//! Orders that the human signed: read, verified, and followed once.

use data_encoding::HEXLOWER;
use rusqlite::Connection;

use super::{
    api::{ApiError, Done, ErrorKind, Event, PeerRef, Read, Reply, SignedHex, TaintState},
    clock,
    state::{Answer, Node, reply, store_failed},
};
use crate::{
    audit,
    base::Timestamp,
    gate::taint::Taint,
    store::{self, StoreError, migrate, shown},
    wire::{Command, SignedOrder},
};

/// The place in `meta` of the time of the last order that was followed.
const FOLLOWED: &str = "order_ms";

/// When the last order that was followed was signed.
pub(super) fn followed(db: &Connection) -> Result<Timestamp, StoreError> {
    let ms = migrate::meta(db, FOLLOWED)?.and_then(|ms| ms.parse().ok());
    Ok(Timestamp::from_ms(ms.unwrap_or(0)))
}

/// Remembers it.
pub(super) fn set_followed(db: &Connection, at: Timestamp) -> Result<(), StoreError> {
    migrate::set_meta(db, FOLLOWED, &at.ms().to_string())
}

impl Node {
    /// Verifies an order. Whoever follows it says so in [`Node::followed`], so that it is not taken
    /// a second time.
    pub(super) fn take_order(
        &mut self,
        signed: &SignedHex,
    ) -> Result<(SignedOrder, Command, Timestamp), ApiError> {
        let taken = self.read_order(signed);
        if let Err(error) = &taken {
            self.note_refusal(error);
        }
        taken
    }

    fn read_order(
        &self,
        signed: &SignedHex,
    ) -> Result<(SignedOrder, Command, Timestamp), ApiError> {
        let approver = self.need_approver()?;
        let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).map_err(|e| refused(&e));
        let statement = bytes(&signed.statement)?;
        let signature = bytes(&signed.signature)?
            .try_into()
            .map_err(|_| refused(&"its signature is not 64 bytes"))?;
        let signed = SignedOrder { statement, signature };
        let order = signed.open(&approver).map_err(|e| refused(&e))?;
        if order.node != self.id {
            return Err(refused(&"it is for another node"));
        }
        let now = clock::now();
        if !order.is_fresh(now) {
            let at = order.at;
            return Err(refused(&format!("it was signed at {at}, not within the last 10 minutes")));
        }
        if order.at <= self.followed {
            return Err(refused(&"it, or a later one, was followed before"));
        }
        Ok((signed, order.command, order.at))
    }

    /// Whose texts were shown, and until when that counts.
    pub(super) fn taint_show(&self) -> Reply {
        let live = self.taint.live(clock::now());
        let read = live.map(|(peer, until)| Read {
            peer: PeerRef { id: peer.to_string(), name: self.name_of(peer) },
            until: until.rfc3339(),
        });
        Reply::Taint(TaintState { read: read.collect() })
    }

    /// What was shown counts no more.
    pub(super) fn taint_clear(&mut self, signed: &SignedHex, answer: Answer) {
        let at = match self.take_order(signed) {
            Ok((_, Command::TaintClear, at)) => at,
            Ok((_, Command::Policy { .. } | Command::KnownForget { .. }, _)) => {
                return reply(answer, Err(self.another_kind()));
            }
            Err(error) => return reply(answer, Err(error)),
        };
        self.followed = at;
        let now = clock::now();
        // What is shown from here on is written after this, and counts.
        let before = std::mem::take(&mut self.taint);
        self.kept.clear();
        let peers = u64::try_from(before.live(now).count()).unwrap_or(u64::MAX);
        let op = move |db: &Connection| {
            shown::clear(db)?;
            set_followed(db, at)?;
            store::audit::append(db, now, &audit::Event::TaintCleared { peers }).map(drop)
        };
        self.write(op, move |node, done| {
            node.kept.cleared();
            if done.is_err() {
                let since = std::mem::take(&mut node.taint);
                let all = before.live(now).chain(since.live(now));
                node.taint = Taint::of(all.map(|(peer, until)| (*peer, until)));
            }
            node.handle.tell(Event::PeersChanged);
            let done = done.map(|()| Reply::Done(Done { done: true }));
            reply(answer, done.map_err(|error| store_failed(&error)));
        });
    }
}

fn refused(error: &dyn std::fmt::Display) -> ApiError {
    let next = "nothing was changed; sign it with the approval passphrase";
    ApiError::new(ErrorKind::Denied, format!("the order does not count: {error}"), next)
}

impl Node {
    /// An order for something else.
    pub(super) fn another_kind(&mut self) -> ApiError {
        let error = refused(&"it orders something else");
        self.note_refusal(&error);
        error
    }
}
