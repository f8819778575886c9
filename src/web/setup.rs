//! `/setup`: the approver, where there is none yet.

use axum::response::{IntoResponse as _, Response};

use super::{
    form::Form,
    page::Page,
    session::Left,
    view::{self, Notice, Section},
    visit::{Submitted, Visit, see_other},
};
use crate::{
    base::{ClaimedName, Secret},
    identity::{ApproverKey, IdentityError, SealNonces, SealedApprover, check_passphrase},
    node::{
        api::{ApiError, ErrorKind, HumanRequest},
        clock,
        config::{Config, Home},
    },
    store::keys,
};

/// The form's address, and the mark of what was typed there.
const SETUP: &str = "/setup";

/// `GET /setup`.
pub(super) async fn page(visit: Visit) -> Response {
    if visit.page.has_approver() {
        return see_other("/waiting");
    }
    let left = visit.left();
    let known = || Config::read(visit.page.home()).map(|config| config.name.to_string());
    let name = left.typed.map_or_else(|| known().unwrap_or_default(), |(_, name)| name);
    let shown = (Section::Outside, "Set up");
    let status = axum::http::StatusCode::OK;
    visit
        .show_with(status, shown, left.notice.as_ref(), |frame| view::setup(frame, &name))
        .await
        .into_response()
}

/// `POST /setup`.
pub(super) async fn set_up(submitted: Submitted) -> Response {
    let Submitted { visit, form } = submitted;
    match make(&visit, &form).await {
        Ok(()) => {
            // The next thing to do: what an agent asked for meanwhile, or else a first peer.
            let waits = visit.whoami().await.is_ok_and(|me| me.waiting > 0);
            let done = "Approvals are set up, and this page is unlocked.";
            visit.then(if waits { "/waiting" } else { "/peers" }, Ok(done.to_owned()))
        }
        Err(error) => {
            let typed = Some((SETUP.to_owned(), form.text("name").to_owned()));
            let notice = Some(Notice::Trouble(error));
            visit.then_with(SETUP, Left { notice, typed, made: None })
        }
    }
}

async fn make(visit: &Visit, form: &Form) -> Result<(), ApiError> {
    let page = &visit.page;
    if page.has_approver() {
        let message = "approvals are set up already";
        return Err(ApiError::new(ErrorKind::Refused, message, "go to the start: /"));
    }
    let name = ClaimedName::parse(form.text("name").trim()).map_err(|error| usage(&error))?;
    let key = seal(page, name, chosen(form)?).await?;
    page.human(HumanRequest::ApproverSet).await?;
    // The set-up is done, also where the session was locked or ended meanwhile.
    visit.unlock(key);
    Ok(())
}

fn usage(problem: &impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorKind::Usage, problem.to_string(), "choose another")
}

/// The passphrase, typed twice and hard to guess.
fn chosen(form: &Form) -> Result<Secret<String>, ApiError> {
    let none = || usage(&"there is no passphrase");
    let first = form.passphrase("passphrase").ok_or_else(none)?;
    check_passphrase(&first).map_err(|error| match error {
        IdentityError::WeakPassphrase(why) => {
            usage(&format!("that passphrase is too easy to guess: {why}"))
        }
        IdentityError::WeakKey
        | IdentityError::BadSignature
        | IdentityError::Parameters(_)
        | IdentityError::WrongPassphrase
        | IdentityError::SealVersion(_) => usage(&error),
    })?;
    let again = form.passphrase("again");
    if again.is_none_or(|again| again.expose_secret() != first.expose_secret()) {
        let next = "type both again";
        return Err(ApiError::new(ErrorKind::Usage, "the two passphrases differ", next));
    }
    Ok(first)
}

/// Writes the name and then the key: a home has an approver with its key's file, and never half.
async fn seal(
    page: &Page,
    name: ClaimedName,
    passphrase: Secret<String>,
) -> Result<Box<ApproverKey>, ApiError> {
    let home = page.home().clone();
    page.with_passphrase(move || {
        let random = SealNonces { salt: clock::random(), nonce: clock::random() };
        let seed = Secret::new(clock::random());
        let sealed = SealedApprover::seal(&seed, &passphrase, &random).map_err(|e| usage(&e))?;
        write_name(&home, name)?;
        keys::create_approver(&home.approver_file(), &sealed).map_err(|e| failed(&e))?;
        Ok(Box::new(ApproverKey::from_seed(&seed)))
    })
    .await
}

fn write_name(home: &Home, name: ClaimedName) -> Result<(), ApiError> {
    let known = Config::read(home).map_err(|e| failed(&e))?;
    if known.name == name {
        return Ok(());
    }
    let config = Config { name, ..known };
    keys::replace(&home.config_file(), config.to_toml().as_bytes()).map_err(|e| failed(&e))
}

fn failed(error: &impl std::fmt::Display) -> ApiError {
    ApiError::new(ErrorKind::Failed, error.to_string(), "run `countersign doctor`")
}
