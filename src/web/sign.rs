//! What the page signs with the approver key, and when it may.
//!
//! A passphrase that is typed for a message opens the key for that message, and for further ones a
//! while longer. One that is typed for a new peer, a grant or a rule signs that, and the key is
//! wiped. A lock or a sign-out while a passphrase is checked wins over it, and nothing is signed.

use super::visit::Submitted;
use crate::{
    base::Timestamp,
    identity::ApproverKey,
    node::{
        api::{ApiError, ErrorKind},
        clock,
    },
    policy::Strength,
    wire::Method,
};

/// What a decision needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The passphrase, typed with this form and for it alone.
    Afresh,
    /// That, and it unlocks the session; or one that was typed in this session a short time before.
    Session,
}

impl Need {
    /// What a message needs that its receiver takes with no less than this.
    pub(super) fn of(least: Option<Strength>) -> Self {
        if least > Some(Strength::Session) { Self::Afresh } else { Self::Session }
    }
}

/// The key that one form may sign with.
pub(super) enum Opened {
    /// Opened for this form; wiped with this value.
    Once(Box<ApproverKey>),
    /// The session's, and how it came to be open.
    Session(Method),
}

impl Opened {
    /// How the human was asked.
    pub(super) const fn method(&self) -> Method {
        match self {
            Self::Once(_) => Method::Passphrase,
            Self::Session(method) => *method,
        }
    }
}

impl Submitted {
    /// Opens the key as the form says: with the passphrase that is typed there, or as the session
    /// still holds it.
    pub(super) async fn open(&self, need: Need) -> Result<Opened, ApiError> {
        let sessions = self.visit.page.sessions();
        match (need, self.form.passphrase("passphrase")) {
            (Need::Afresh, None) => Err(untyped()),
            (Need::Afresh, Some(typed)) => {
                let key = self.visit.page.open_key(typed).await?;
                let as_before = sessions.is_as(&self.visit.entered, clock::now());
                as_before.then_some(Opened::Once(key)).ok_or_else(locked)
            }
            (Need::Session, Some(_)) => {
                self.unlock().await?;
                Ok(Opened::Session(Method::Passphrase))
            }
            // Whoever has the cookie alone has not what a script of this origin keeps.
            (Need::Session, None) if !self.visit.entered.is_bound() => Err(locked()),
            (Need::Session, None) => {
                let held = sessions.with_key(self.visit.id(), clock::now(), |_| Method::Session);
                held.map(Opened::Session).ok_or_else(locked)
            }
        }
    }

    /// Unlocks the session with the passphrase that is typed in the form.
    pub(super) async fn unlock(&self) -> Result<(), ApiError> {
        let typed = self.form.passphrase("passphrase").ok_or_else(untyped)?;
        let key = self.visit.page.open_key(typed).await?;
        self.visit.unlock(key).then_some(()).ok_or_else(locked)
    }

    /// What `sign` makes with the key, now.
    pub(super) fn sign<T, E: std::fmt::Display>(
        &self,
        opened: &Opened,
        sign: impl FnOnce(&ApproverKey, Timestamp) -> Result<T, E>,
    ) -> Result<T, ApiError> {
        let (sessions, now) = (self.visit.page.sessions(), clock::now());
        let signed = match opened {
            Opened::Once(key) => Some(sign(key, now)),
            Opened::Session(_) => sessions.with_key(self.visit.id(), now, |key| sign(key, now)),
        };
        signed.ok_or_else(locked)?.map_err(|error| {
            let message = format!("this cannot be signed: {error}");
            ApiError::new(ErrorKind::Usage, message, "nothing was approved")
        })
    }
}

fn untyped() -> ApiError {
    let message = "this always takes your approval passphrase";
    ApiError::new(ErrorKind::Refused, message, "type it and try again")
}

fn locked() -> ApiError {
    let message = "the page is locked, and nothing was approved";
    ApiError::new(ErrorKind::Refused, message, "type your approval passphrase and try again")
}
