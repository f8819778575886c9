//! Values that the human has watched for. The node knows keyed hashes, never a value.

use data_encoding::HEXLOWER;
use rusqlite::Connection;

use super::{
    api::{
        ApiError, ErrorKind, Event, KnownInfo, KnownKey, KnownNew, KnownValues, Reply, SignedHex,
    },
    clock, orders,
    state::{Answer, Node, reply, store_failed, usage},
};
use crate::{
    audit,
    base::{KnownId, Secret},
    risk::{Known, KnownError, KnownValue},
    store::{
        self, StoreError,
        known::{self, KnownRow},
    },
    wire::Command,
};

/// What is watched for.
#[derive(Default)]
pub(super) struct Watched {
    rows: Vec<KnownRow>,
    key: Option<Secret<[u8; 32]>>,
}

impl Watched {
    /// As it is on disk.
    pub(super) fn load(db: &Connection) -> Result<Self, StoreError> {
        Ok(Self { rows: known::all_known(db)?, key: known::key(db)? })
    }

    /// The detector for it.
    ///
    /// # Errors
    /// Values that are not what [`KnownValue::new`] makes.
    pub(super) fn detector(&self) -> Result<Known, KnownError> {
        let Some(key) = self.copy_of_key() else {
            // Rows without their key would find nothing, and nobody would know.
            return if self.rows.is_empty() {
                Ok(Known::default())
            } else {
                Err(KnownError::NoKey)
            };
        };
        Known::new(key, self.rows.iter().map(|row| row.value.clone()).collect())
    }

    fn copy_of_key(&self) -> Option<Secret<[u8; 32]>> {
        self.key.as_ref().map(|key| Secret::new(*key.expose_secret()))
    }

    fn info(&self) -> Vec<KnownInfo> {
        let info = |row: &KnownRow| KnownInfo {
            id: row.id.to_string(),
            label: row.value.label.clone(),
            length: row.value.length,
            added_at: row.added.rfc3339(),
        };
        self.rows.iter().map(info).collect()
    }
}

impl Node {
    /// The key of the hashes; made when it is first asked for.
    pub(super) fn known_key(&mut self, answer: Answer) {
        let fresh = clock::random();
        let op = move |db: &Connection| known::key_or(db, fresh);
        self.write(op, move |node, done| {
            let done = done.map_err(|error| store_failed(&error)).map(|key| {
                let shown = KnownKey { key: HEXLOWER.encode(key.expose_secret()) };
                node.known.key = Some(key);
                Reply::KnownKey(shown)
            });
            reply(answer, done);
        });
    }

    /// What is watched for.
    pub(super) fn known_list(&self) -> Reply {
        Reply::Known(KnownValues { values: self.known.info(), added: 0 })
    }

    /// Watches for values. Those that are watched for already are passed over.
    pub(super) fn known_add(&mut self, values: &[KnownNew], answer: Answer) {
        let rows = match self.new_values(values) {
            Ok(rows) => rows,
            Err(error) => return reply(answer, Err(error)),
        };
        let added = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let now = clock::now();
        // In memory at once, so that the same values are not added twice.
        self.known.rows.extend(rows.iter().cloned());
        let op = {
            let rows = rows.clone();
            move |db: &Connection| {
                rows.iter().try_for_each(|row| known::add(db, row))?;
                store::audit::append(db, now, &audit::Event::KnownAdded { values: added }).map(drop)
            }
        };
        self.write(op, move |node, done| {
            if let Err(error) = done {
                node.known.rows.retain(|row| !rows.contains(row));
                return reply(answer, Err(store_failed(&error)));
            }
            node.watch_anew();
            reply(answer, Ok(Reply::Known(KnownValues { values: node.known.info(), added })));
        });
    }

    fn new_values(&self, values: &[KnownNew]) -> Result<Vec<KnownRow>, ApiError> {
        let next = "countersign known add reads a file and hashes what is in it";
        let now = clock::now();
        let mut all = Watched { rows: self.known.rows.clone(), key: self.known.copy_of_key() };
        if all.key.is_none() {
            return Err(usage("there is no key to hash values with", next));
        }
        let known = all.rows.len();
        for value in values {
            let mac =
                HEXLOWER.decode(value.mac.as_bytes()).ok().and_then(|mac| mac.try_into().ok());
            let Some(mac) = mac else {
                return Err(usage("this is no value to watch for", next));
            };
            let KnownNew { label, length, filter, .. } = value.clone();
            let same = |row: &KnownRow| row.value.mac == mac && row.value.length == length;
            if all.rows.iter().any(same) {
                continue;
            }
            let id = KnownId::from_bytes(clock::random());
            let value = KnownValue { label, length, filter, mac };
            all.rows.push(KnownRow { id, value, added: now });
        }
        // All of them together must be what can be looked for.
        all.detector().map_err(|error| usage(error, "forget some: countersign known list"))?;
        Ok(all.rows.split_off(known))
    }

    /// Watches for a value no more.
    pub(super) fn known_forget(&mut self, signed: &SignedHex, answer: Answer) {
        let (id, at) = match self.take_order(signed) {
            Ok((_, Command::KnownForget { id }, at)) => (id, at),
            Ok((_, Command::Policy { .. } | Command::TaintClear, _)) => {
                return reply(answer, Err(self.another_kind()));
            }
            Err(error) => return reply(answer, Err(error)),
        };
        if self.known.rows.iter().all(|row| row.id != id) {
            let message = format!("no value is watched for under {id}");
            let next = "countersign known list names them";
            return reply(answer, Err(ApiError::new(ErrorKind::NotFound, message, next)));
        }
        self.followed = at;
        let now = clock::now();
        let op = move |db: &Connection| {
            known::forget(db, &id)?;
            orders::set_followed(db, at)?;
            let event = audit::Event::KnownForgotten { known: id.to_string() };
            store::audit::append(db, now, &event).map(drop)
        };
        self.write(op, move |node, done| {
            if let Err(error) = done {
                return reply(answer, Err(store_failed(&error)));
            }
            node.known.rows.retain(|row| row.id != id);
            node.watch_anew();
            reply(answer, Ok(node.known_list()));
        });
    }

    /// The rules with what is watched for now.
    pub(super) fn watch_anew(&mut self) {
        let rules = self.known.detector().map_err(|error| error.to_string());
        match rules.and_then(|known| self.policy.rules(known)) {
            Ok(rules) => {
                self.rules = rules;
                self.look_again();
            }
            // They were made of the same policy before.
            Err(error) => tracing::error!(error, "the rules could not be made anew"),
        }
        self.handle.tell(Event::PeersChanged);
    }
}
