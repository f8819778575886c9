//! The human's rules on the page: the policy, what the agent has read, what is watched for. Whatever
//! loosens is signed with a passphrase that is typed for it alone.

use axum::{extract::Path, response::Response};

use super::{
    page::{Page, answer},
    sign::Need,
    view::{self, Frame, PolicyDraft, Section, SettingsView},
    visit::{Submitted, Visit},
};
use crate::{
    base::KnownId,
    node::{
        api::{ApiError, ErrorKind, HumanRequest, PolicyShown, PolicySource, SignedHex},
        review,
    },
    policy::Policy,
    wire::{Command, Order},
};

/// What the settings show.
async fn view(page: &Page) -> Result<SettingsView, ApiError> {
    Ok(SettingsView {
        grants: answer!(page.human(HumanRequest::Grants), Grants)?,
        policy: policy(page).await?,
        taint: answer!(page.human(HumanRequest::TaintShow), Taint)?,
        known: answer!(page.human(HumanRequest::KnownList), Known)?,
        sessions: answer!(page.human(HumanRequest::Sessions), Sessions)?,
        draft: None,
    })
}

async fn policy(page: &Page) -> Result<PolicyShown, ApiError> {
    answer!(page.human(HumanRequest::Policy), PolicyShown)
}

/// `GET /settings`.
pub(super) async fn page(visit: Visit) -> Response {
    match view(&visit.page).await {
        Ok(settings) => show(&visit, &settings).await,
        Err(error) => visit.trouble(Section::Settings, &error).await,
    }
}

async fn show(visit: &Visit, settings: &SettingsView) -> Response {
    let content = |frame: &Frame<'_>| view::settings(frame, settings);
    visit.show(Section::Settings, "Settings", content).await
}

/// `POST /settings/policy/check`: says what is wrong with a policy, and changes nothing.
pub(super) async fn check(Submitted { visit, form }: Submitted) -> Response {
    draft(&visit, form.lines("policy"), None).await
}

/// The settings with a policy that was typed and does not count yet.
async fn draft(visit: &Visit, text: String, trouble: Option<String>) -> Response {
    let mut settings = match view(&visit.page).await {
        Ok(settings) => settings,
        Err(error) => return visit.trouble(Section::Settings, &error).await,
    };
    let mut complaints: Vec<String> = trouble.into_iter().collect();
    let parsed = review::policy(&text);
    let tightens = parsed.as_ref().is_ok_and(|policy| tightens(policy, &settings.policy));
    match parsed {
        Ok(policy) => {
            complaints.extend(policy.findings_of_check().iter().map(ToString::to_string));
        }
        Err(error) if complaints.is_empty() => complaints.push(error.message),
        Err(_) => {}
    }
    settings.draft = Some(PolicyDraft { text, complaints, tightens });
    show(visit, &settings).await
}

fn tightens(policy: &Policy, now: &PolicyShown) -> bool {
    now.source != PolicySource::Closed
        && Policy::parse(&now.text).is_ok_and(|now| policy.is_no_looser_than(&now))
}

/// `POST /settings/policy`: lets a policy count.
pub(super) async fn set(submitted: Submitted) -> Response {
    let text = submitted.form.lines("policy");
    let outcome = match review::policy(&text) {
        Ok(policy) => change(&submitted, &policy, Some(&text)).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => submitted.visit.then("/settings", Ok(COUNTS.to_owned())),
        // What was typed stays.
        Err(error) => draft(&submitted.visit, text, Some(error.to_string())).await,
    }
}

const COUNTS: &str = "This policy counts from now on.";

/// `POST /settings/policy/reset`: lets the standard policy count.
pub(super) async fn reset(submitted: Submitted) -> Response {
    let outcome = change(&submitted, Policy::standard(), None).await;
    submitted.visit.then("/settings", outcome.map(|()| COUNTS.to_owned()))
}

/// Sets a policy, without a text the standard; signed where it does not only tighten.
async fn change(
    submitted: &Submitted,
    policy: &Policy,
    text: Option<&str>,
) -> Result<(), ApiError> {
    let page = &submitted.visit.page;
    let now = self::policy(page).await?;
    let order = if tightens(policy, &now) {
        None
    } else {
        let serial = now.serial.saturating_add(1);
        let text = text.unwrap_or_default().to_owned();
        Some(order(submitted, Command::Policy { serial, text }).await?)
    };
    let request = match text {
        Some(text) => HumanRequest::PolicySet { text: text.to_owned(), order },
        None => HumanRequest::PolicyReset { order },
    };
    page.human(request).await.map(drop)
}

/// Signs an order with the passphrase of this form.
async fn order(submitted: &Submitted, command: Command) -> Result<SignedHex, ApiError> {
    let opened = submitted.open(Need::Afresh).await?;
    let node = submitted.visit.page.me();
    let signed = submitted.sign(&opened, |key, at| Order { node, at, command }.sign(key))?;
    Ok(SignedHex::from(&signed))
}

/// `POST /settings/taint`: what the agent has read counts no more.
pub(super) async fn begin_anew(submitted: Submitted) -> Response {
    let outcome = clear(&submitted).await;
    let done = "What your agent has read counts no more.";
    submitted.visit.then("/settings", outcome.map(|()| done.to_owned()))
}

async fn clear(submitted: &Submitted) -> Result<(), ApiError> {
    let order = order(submitted, Command::TaintClear).await?;
    submitted.visit.page.human(HumanRequest::TaintClear { order }).await.map(drop)
}

/// `POST /settings/known/{id}/forget`: a value is watched for no more.
pub(super) async fn forget(Path(id): Path<String>, submitted: Submitted) -> Response {
    let outcome = no_more(&submitted, &id).await;
    submitted.visit.then("/settings", outcome.map(|()| "It is forgotten.".to_owned()))
}

async fn no_more(submitted: &Submitted, id: &str) -> Result<(), ApiError> {
    let id: KnownId = id.parse().map_err(|error: crate::base::ids::IdError| {
        ApiError::new(ErrorKind::Usage, error.to_string(), "the settings list what is watched for")
    })?;
    let order = order(submitted, Command::KnownForget { id }).await?;
    submitted.visit.page.human(HumanRequest::KnownForget { order }).await.map(drop)
}
