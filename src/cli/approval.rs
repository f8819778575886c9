//! One yes, step by step: fetch the item, compare its bytes with what the node says of it, show it
//! whole, open the approver key with the typed passphrase, and sign. `approve` and `watch` both go
//! this way. What is not here: a way around the passphrase.

use super::{item, print::Style};
use crate::{
    base::{GrantId, PendingId, Secret},
    gate::{Item, What},
    identity::{ApproverKey, SealedApprover},
    ipc::Client,
    node::{
        api::{ApiError, ErrorKind, HumanRequest, PendingShown, Request},
        clock,
        config::Home,
        guard,
        review::{self, Checked},
        unlock,
    },
    store::keys,
    wire::{Grant, Method},
};

/// What asks for the passphrase of a yes.
pub(super) const PROMPT: &str = "Approval passphrase (Enter alone leaves it): ";

/// An item that a human is about to say yes to.
pub(super) struct Approval {
    id: PendingId,
    sealed: SealedApprover,
    checked: Checked,
    grant: Option<Grant>,
}

impl Approval {
    /// Asks the node for the item, and checks what it says.
    ///
    /// # Errors
    /// When approvals are not set up, or the item is gone, not ready or not what the node says.
    pub(super) async fn begin(
        home: &Home,
        client: &mut Client,
        id: PendingId,
    ) -> anyhow::Result<Self> {
        let sealed = sealed(home)?;
        let show = HumanRequest::Show { id: id.to_string() };
        let shown: PendingShown = client.ask(Request::Human(show)).await?;
        review::ready(&shown.item, clock::now())?;
        guard::close_memory()?;
        let me = keys::read_identity(&home.identity_file())?.id();
        let checked = Checked::new(shown, me, &sealed.public())?;
        Ok(Self { id, sealed, checked, grant: None })
    }

    /// The yes is to come with a grant for the like of it.
    ///
    /// # Errors
    /// For a new peer, and for bounds that a grant exceeds.
    pub(super) fn with_grant(&mut self, like: review::Like) -> Result<(), ApiError> {
        let id = GrantId::from_bytes(clock::random());
        let grant = review::grant_like(&self.checked, like, clock::now(), id)?;
        self.grant = Some(grant);
        Ok(())
    }

    /// The grant that comes with the yes.
    pub(super) const fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    /// It is about a new peer, whose words can be compared.
    pub(super) const fn is_peer(&self) -> bool {
        matches!(self.checked.item(), Item::Peer(..))
    }

    /// It began with a code, whose words the human may have said or heard themselves.
    pub(super) const fn is_by_code(&self) -> bool {
        self.checked.is_by_code()
    }

    /// What it is.
    pub(super) const fn what(&self) -> What {
        self.checked.item().what()
    }

    /// All that the human says yes to.
    pub(super) fn text(&self, style: Style) -> String {
        let item = item::render(&self.checked, style);
        let Some(grant) = &self.grant else { return item };
        let sentence = review::grant_text(grant, Some(&self.checked.shown().peer.name));
        let head = style.bold("With this yes you also sign a GRANT:");
        let end = format!("You can end it at any time: countersign grants end {}", grant.id);
        format!("{item}\n{head}\n{}\n{end}\n", super::escape::line(&sentence))
    }

    /// Signs, and gives the request that brings the decision to the node.
    ///
    /// # Errors
    /// A wrong passphrase, or a lock after too many of them; then nothing is signed.
    pub(super) fn sign(
        &self,
        home: &Home,
        passphrase: &Secret<String>,
        verified: bool,
    ) -> anyhow::Result<HumanRequest> {
        let key = unlock::open(home, &self.sealed, passphrase, clock::now())?;
        let by = (&key, clock::now());
        let decision = self.checked.approve(self.id, Method::Passphrase, verified, by)?;
        let grant = self.grant.as_ref().map(|grant| grant.sign(&key)).transpose()?;
        Ok(review::request(self.id, &decision, grant.as_ref()))
    }
}

/// The approver key of this home, still sealed.
///
/// # Errors
/// When approvals are not set up.
pub(super) fn sealed(home: &Home) -> anyhow::Result<SealedApprover> {
    Ok(keys::read_approver(&home.approver_file())?.ok_or_else(no_approver)?)
}

/// The approver key, opened with a typed passphrase.
///
/// # Errors
/// A wrong passphrase, or a lock after too many of them.
pub(super) fn open(home: &Home, passphrase: &Secret<String>) -> anyhow::Result<ApproverKey> {
    Ok(unlock::open(home, &sealed(home)?, passphrase, clock::now())?)
}

fn no_approver() -> ApiError {
    let message = "approvals are not set up in this home";
    let next = "run `countersign init` in a terminal, or `countersign page`";
    ApiError::new(ErrorKind::WaitsForHuman, message, next)
}
