//! The human's page: read everything, decide, and stop what must not go on.
//!
//! A link with a code that works once opens a session, and a session may read. A yes takes the
//! approval passphrase: for a message it may have been typed in the same session a short time
//! before, for a new peer and for a grant it is typed with that very decision. While it holds, the
//! node has the approver key in memory; nothing else in the node ever does.
//!
//! Browsers do not keep cookies apart by port. Whoever serves another port of `localhost` and gets
//! this browser to open it is sent the session's cookie, and can set one of its own. It can read the
//! page with it until the session ends. It can send no form: each carries a key that the script keeps
//! where browsers do keep ports apart. A session that was opened without a script has no such key,
//! and stays locked: each yes there takes the passphrase.
//!
//! Handlers are thin: they read a request, ask the node, and hand what it says to [`view`].

mod assets;
mod conversations;
mod entry;
mod events;
mod evidence;
mod form;
mod page;
mod peers;
mod rules;
mod session;
mod settings;
mod setup;
mod sign;
#[cfg(test)]
mod tests;
pub mod view;
mod visit;
mod waiting;

use axum::{
    Router,
    routing::{get, post},
};
use page::{Page, answer};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    base::limits::PAGE_SWEEP_EVERY,
    http::{self, Listener},
    node::{
        NodeHandle,
        api::{ApiError, HumanRequest},
        clock,
        config::{Config, ConfigError, Home},
    },
    store::keys::{self, KeyFileError},
};

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// No port could be had.
    #[error("no port for the page: {0}")]
    Port(std::io::Error),
    /// The node's own id is not known.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The settings cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The node does not say or remember the port.
    #[error(transparent)]
    Node(#[from] ApiError),
}

/// Serves the page of `node` on loopback until `cancel`, at the port that is set, or that it had
/// before, when that is free, and tells the node where it is. What `beside` gives for the port has
/// its own paths and guards; the page gets all others.
///
/// # Errors
/// When there is no port, or the home cannot be read.
pub async fn serve(
    node: &NodeHandle,
    home: &Home,
    beside: impl FnOnce(u16) -> Router,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) -> Result<(), PageError> {
    let me = keys::read_identity(&home.identity_file())?.id();
    let remembered = answer!(node.human(HumanRequest::PagePort { served: None }), PagePort)
        .map_err(PageError::Node)?;
    let wanted = Config::read(home)?.page.port.or(remembered.port);
    let listener = Listener::bind(wanted).await.map_err(PageError::Port)?;
    let served = Some(listener.port());
    if remembered.port != served {
        node.human(HumanRequest::PagePort { served }).await?;
    }
    let shared = (tasks.clone(), cancel.clone());
    let page = Page::new(node.clone(), (home.clone(), me), listener.port(), shared);
    node.set_page_port(listener.port());
    if let Some(held) = listener.held() {
        node.set_page_held(held);
        let port = listener.port();
        tracing::warn!(
            held,
            port,
            "another program holds the page's port, so the page is at another one; an old tab or \
             bookmark is not ours"
        );
    }
    tasks.spawn(sweep(page.clone()));
    let site = beside(listener.port()).fallback_service(router(page));
    listener.serve(&site, tasks, cancel);
    Ok(())
}

/// Wipes keys and ends sessions when their time is over; all of them at the end.
async fn sweep(page: Page) {
    let mut ticks = interval(PAGE_SWEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while page.cancel().run_until_cancelled(ticks.tick()).await.is_some() {
        page.sessions().sweep(clock::now());
    }
    page.sessions().end_all();
}

fn router(page: Page) -> Router {
    let site = page.site().clone();
    let router = Router::new()
        .merge(ways_in())
        .merge(decisions())
        .merge(reading())
        .fallback(visit::nowhere)
        .method_not_allowed_fallback(visit::not_this_way)
        .with_state(page);
    http::guarded(router, site)
}

fn ways_in() -> Router<Page> {
    Router::new()
        .route("/style.css", get(assets::style))
        .route("/page.js", get(assets::script))
        .route("/icon.svg", get(assets::icon))
        // A browser asks for it beside what is no HTML.
        .route("/favicon.ico", get(assets::icon))
        .route("/", get(entry::root))
        .route("/open", get(entry::open_page).post(entry::open))
        .route("/setup", get(setup::page).post(setup::set_up))
        .route("/unlock", post(entry::unlock))
        .route("/lock", post(entry::lock))
        .route("/sign-out", post(entry::sign_out))
}

fn decisions() -> Router<Page> {
    Router::new()
        .route("/waiting", get(waiting::list))
        .route("/waiting/{id}", get(waiting::item))
        .route("/waiting/{id}/raw", get(waiting::raw))
        .route("/waiting/{id}/approve", post(waiting::approve))
        .route("/waiting/{id}/grant", post(waiting::grant))
        .route("/waiting/{id}/deny", post(waiting::deny))
        .route("/waiting/{id}/block", post(waiting::block))
        .route("/peers/invite", post(peers::invite))
        .route("/peers/connect", post(peers::connect))
        .route("/peers/{peer}/revoke", post(peers::revoke))
        .route("/peers/{peer}/block", post(peers::block))
        .route("/grants/{id}/end", post(peers::end_grant))
        .route("/settings", get(rules::page))
        .route("/settings/policy", post(rules::set))
        .route("/settings/policy/check", post(rules::check))
        .route("/settings/policy/reset", post(rules::reset))
        .route("/settings/taint", post(rules::begin_anew))
        .route("/settings/known/{id}/forget", post(rules::forget))
        .route("/settings/inline", post(settings::inline))
}

fn reading() -> Router<Page> {
    Router::new()
        .route("/conversations", get(conversations::list))
        .route("/conversations/{peer}", get(conversations::talk))
        .route("/conversations/{peer}/write", post(conversations::write))
        .route("/message/{id}", get(conversations::message))
        .route("/search", get(conversations::search))
        .route("/peers", get(peers::list))
        .route("/peers/{peer}", get(peers::one))
        .route("/evidence", get(evidence::page))
        .route("/evidence/export", get(evidence::export))
        .route("/events", get(events::events))
}
