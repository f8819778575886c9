//! Opening the approver key with the passphrase that a human typed, and counting wrong ones.

use super::{
    api::{ApiError, ErrorKind},
    config::Home,
};
use crate::{
    base::{Secret, Timestamp},
    identity::{ApproverKey, IdentityError, SealedApprover},
    store::keys::{self, Attempts, KeyFileError},
};

/// Opens the approver key. Takes a quarter of a second and 64 MiB: not for an async task.
///
/// # Errors
/// A wrong passphrase, a lock after too many of them, or a file that cannot be used.
pub fn open(
    home: &Home,
    sealed: &SealedApprover,
    passphrase: &Secret<String>,
    now: Timestamp,
) -> Result<ApproverKey, ApiError> {
    let mut unusable = None;
    let tried =
        keys::try_passphrase(&home.attempts_file(), now, || match sealed.open(passphrase) {
            Ok(key) => Some(key),
            Err(IdentityError::WrongPassphrase) => None,
            Err(error) => {
                unusable = Some(error);
                None
            }
        })
        .map_err(|error| cannot(&error))?;
    if let Some(error) = unusable {
        return Err(ApiError::new(ErrorKind::Failed, error.to_string(), DOCTOR));
    }
    tried.map_err(|after| wrong(after, now))
}

const DOCTOR: &str = "run: countersign doctor";

fn cannot(error: &KeyFileError) -> ApiError {
    let next = match error {
        KeyFileError::Locked(_) => "wait until then; nothing was approved",
        KeyFileError::Io { .. }
        | KeyFileError::Exists(_)
        | KeyFileError::Content { .. }
        | KeyFileError::Mode { .. } => DOCTOR,
    };
    ApiError::new(ErrorKind::Refused, error.to_string(), next)
}

fn wrong(after: Attempts, now: Timestamp) -> ApiError {
    let message = "that is not the approval passphrase, and nothing was approved";
    let next = match (after.locked(now), after.left()) {
        (Some(until), _) => format!("approvals are locked until {until}"),
        (None, 1) => "one try is left before approvals lock".to_owned(),
        (None, left) => format!("{left} tries are left before approvals lock"),
    };
    ApiError::new(ErrorKind::Refused, message, next)
}
