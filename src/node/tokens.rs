//! Bearer tokens: who may come over HTTP, as an agent.
//!
//! A token is 256 random bits, made by the command that shows it; the node is given its SHA-256 and
//! knows no more. It lets a client in exactly as far as `countersign mcp` does, and no approval can
//! be given by it.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

use super::{
    api::{self, ApiError, ErrorKind, Reply, TokenInfo},
    clock,
    state::{Answer, Node, reply, store_failed, usage},
};
use crate::{
    audit,
    base::{Digest, Secret, SessionName, Timestamp, TokenId, limits::TOKENS_MAX},
    store::{
        self,
        tokens::{self, TokenRow},
    },
};

/// What each begins with, so that a scanner of secrets and a person can tell what it is.
const PREFIX: &str = "cs_";

/// A new token, and the hash that the node is given of it.
#[must_use]
pub fn fresh() -> (Secret<String>, String) {
    let bytes = Secret::new(clock::random::<32>());
    let text = Secret::new(BASE32_NOPAD.encode(bytes.expose_secret()));
    let token = Secret::new(format!("{PREFIX}{}", text.expose_secret().to_ascii_lowercase()));
    let hash = HEXLOWER.encode(hash(token.expose_secret().as_bytes()).as_bytes());
    (token, hash)
}

fn hash(token: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(token).into())
}

/// Somebody who came with a good token.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Which token.
    pub id: TokenId,
    /// What it is called.
    pub name: SessionName,
    /// It is good no more, or the node ends: so does all that came by it.
    pub ended: CancellationToken,
}

struct Live {
    row: TokenRow,
    /// Used since this was last written down.
    used: bool,
    ended: CancellationToken,
}

/// The tokens that are good. Kept beside the node's task, so that a request waits for nobody.
#[derive(Default)]
pub(super) struct Tokens(Mutex<State>, AtomicU64);

#[derive(Default)]
struct State {
    live: Vec<Live>,
    cancel: CancellationToken,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

impl Tokens {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // Each entry is whole whatever happened to the last holder.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// As they are on disk; all of them end with `cancel`.
    pub(super) fn begin(&self, rows: &[TokenRow], cancel: &CancellationToken) {
        self.with(|state| {
            state.cancel = cancel.clone();
            for row in rows {
                state.add(row.clone());
            }
        });
    }

    /// Whom a token lets in. The hash of what came is compared with every one in constant time.
    pub(super) fn admit(&self, token: &[u8]) -> Option<Pass> {
        let hash = hash(token);
        self.with(|state| {
            let mut found = None;
            for live in &mut state.live {
                if bool::from(live.row.hash.as_bytes().ct_eq(hash.as_bytes())) {
                    found = Some(live);
                }
            }
            let live = found?;
            live.row.used = Some(clock::now());
            live.used = true;
            let (id, name) = (live.row.id, live.row.name.clone());
            Some(Pass { id, name, ended: live.ended.clone() })
        })
    }

    /// A call was turned away.
    pub(super) fn turned_away(&self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were turned away since this was last asked.
    pub(super) fn take_turned_away(&self) -> u64 {
        self.1.swap(0, Ordering::Relaxed)
    }

    fn rows(&self) -> Vec<TokenRow> {
        self.with(|state| state.live.iter().map(|live| live.row.clone()).collect())
    }

    /// Those that were used since this was last asked, and when.
    fn take_used(&self) -> Vec<(TokenId, Timestamp)> {
        self.with(|state| {
            let used = |live: &mut Live| {
                std::mem::take(&mut live.used).then_some((live.row.id, live.row.used?))
            };
            state.live.iter_mut().filter_map(used).collect()
        })
    }

    fn end(&self, id: TokenId) {
        self.with(|state| {
            state.live.retain(|live| {
                if live.row.id == id {
                    live.ended.cancel();
                }
                live.row.id != id
            });
        });
    }
}

impl State {
    fn add(&mut self, row: TokenRow) {
        let ended = self.cancel.child_token();
        self.live.push(Live { row, used: false, ended });
    }
}

impl Node {
    /// The tokens that are good.
    pub(super) fn list_tokens(&self) -> Reply {
        let info = |row: TokenRow| TokenInfo {
            name: row.name.to_string(),
            created_at: row.created.rfc3339(),
            used_at: row.used.map(Timestamp::rfc3339),
        };
        let tokens = self.handle.tokens().rows().into_iter().map(info).collect();
        Reply::Tokens(api::Tokens { tokens })
    }

    /// A client may come by a token with this hash from now on.
    pub(super) fn token_new(&mut self, name: &str, hash: &str, answer: Answer) {
        let row = match self.new_token(name, hash) {
            Ok(row) => row,
            Err(error) => return reply(answer, Err(error)),
        };
        let (added, now) = (row.clone(), row.created);
        let op = move |db: &Connection| {
            // Another of this name may have been asked for meanwhile.
            if tokens::live_tokens(db)?.iter().any(|other| other.name == added.name) {
                return Ok(false);
            }
            tokens::add(db, &added)?;
            let (token, name) = (added.id.to_string(), added.name.to_string());
            store::audit::append(db, now, &audit::Event::TokenMade { token, name })?;
            Ok(true)
        };
        self.write(op, move |node, done| {
            let done = match done {
                Ok(true) => {
                    node.handle.tokens().with(|state| state.add(row));
                    Ok(node.list_tokens())
                }
                Ok(false) => Err(taken(&row.name)),
                Err(error) => Err(store_failed(&error)),
            };
            reply(answer, done);
        });
    }

    fn new_token(&self, name: &str, hash: &str) -> Result<TokenRow, ApiError> {
        let name = SessionName::parse(name)
            .map_err(|error| usage(error, "choose a name such as laptop"))?;
        let bytes = HEXLOWER.decode(hash.as_bytes()).ok();
        let Some(hash) = bytes.and_then(|bytes| Digest::from_slice(&bytes)) else {
            let next = "countersign token new makes one";
            return Err(usage("this is no hash of a token", next));
        };
        let live = self.handle.tokens().rows();
        if live.iter().any(|row| row.name == name) {
            return Err(taken(&name));
        }
        if live.len() >= TOKENS_MAX {
            let message = format!("{TOKENS_MAX} tokens are the limit");
            return Err(usage(
                message,
                "end one that is not needed: countersign token revoke NAME",
            ));
        }
        let (id, created) = (TokenId::from_bytes(clock::random()), clock::now());
        Ok(TokenRow { id, name, hash, created, used: None })
    }

    /// Ends a token, and every session that came by it.
    pub(super) fn token_end(&mut self, name: &str, answer: Answer) {
        let rows = self.handle.tokens().rows();
        let Some(row) = rows.into_iter().find(|row| row.name.as_str() == name) else {
            let shown: String = name.chars().take(80).collect();
            let message = format!("there is no token {shown:?}");
            let next = "countersign token list names them";
            return reply(answer, Err(ApiError::new(ErrorKind::NotFound, message, next)));
        };
        // At once: should the disk fail, it is good again after a restart, and the answer says so.
        self.handle.tokens().end(row.id);
        let now = clock::now();
        let op = move |db: &Connection| {
            tokens::end(db, &row.id, now)?;
            let (token, name) = (row.id.to_string(), row.name.to_string());
            store::audit::append(db, now, &audit::Event::TokenEnded { token, name }).map(drop)
        };
        self.write(op, move |node, done| {
            let done = done.map(|()| node.list_tokens()).map_err(|error| store_failed(&error));
            reply(answer, done);
        });
    }

    /// Writes down when tokens were last used.
    pub(super) fn remember_used_tokens(&mut self) {
        let used = self.handle.tokens().take_used();
        if !used.is_empty() {
            let op = move |db: &Connection| {
                used.iter().try_for_each(|(id, at)| tokens::set_used(db, id, *at))
            };
            self.write(op, |_, _| ());
        }
    }
}

fn taken(name: &SessionName) -> ApiError {
    let message = format!("there is a token {name} already");
    usage(message, "choose another name, or end that one: countersign token revoke NAME")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, token: &str) -> TokenRow {
        let id = TokenId::from_bytes(clock::random());
        let name = SessionName::parse(name).unwrap();
        TokenRow { id, name, hash: hash(token.as_bytes()), created: clock::now(), used: None }
    }

    #[test]
    fn a_token_is_good_until_it_is_ended_and_no_other_is() {
        let (cancel, tokens) = (CancellationToken::new(), Tokens::default());
        let (token, shown) = fresh();
        let token = token.expose_secret().as_str();
        assert_eq!(token.len(), "cs_".len() + 52);
        assert_eq!(shown, HEXLOWER.encode(hash(token.as_bytes()).as_bytes()));
        let (one, two) = (row("one", token), row("two", "other"));
        tokens.begin(&[one.clone(), two], &cancel);
        let pass = tokens.admit(token.as_bytes()).unwrap();
        assert_eq!(pass.name.as_str(), "one");
        for wrong in ["", "cs_", &token[1..], &token.to_uppercase(), &shown, "othe"] {
            assert!(tokens.admit(wrong.as_bytes()).is_none(), "{wrong}");
        }
        let other = tokens.admit(b"other").unwrap();
        assert_eq!(tokens.take_used().len(), 2);
        assert_eq!(tokens.take_used(), []);
        tokens.end(one.id);
        assert!(pass.ended.is_cancelled() && !other.ended.is_cancelled());
        assert!(tokens.admit(token.as_bytes()).is_none());
        cancel.cancel();
        assert!(other.ended.is_cancelled());
    }
}
