//! What every request shares.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::session::Sessions;
use crate::{
    base::{PeerId, Secret, Timestamp, limits::PAGE_WRONG_CODES_PER_MINUTE},
    http::Site,
    identity::{ApproverKey, SealedApprover},
    node::{
        NodeHandle,
        api::{AgentRequest, ApiError, ErrorKind, HumanRequest, Reply, Request},
        clock,
        config::Home,
        guard, unlock,
    },
    store::keys,
};

/// What every request shares. Cheap to clone.
#[derive(Clone)]
pub(super) struct Page(Arc<Inner>);

struct Inner {
    node: NodeHandle,
    home: Home,
    me: PeerId,
    port: u16,
    site: Site,
    sessions: Sessions,
    /// When codes were tried that opened nothing.
    wrong_codes: Mutex<VecDeque<Timestamp>>,
    /// One passphrase at a time: each takes 64 MiB.
    passphrases: Arc<Semaphore>,
    approver_seen: AtomicBool,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Page {
    pub(super) fn new(
        node: NodeHandle,
        (home, me): (Home, PeerId),
        port: u16,
        (tasks, cancel): (TaskTracker, CancellationToken),
    ) -> Self {
        Self(Arc::new(Inner {
            node,
            home,
            me,
            port,
            site: Site::local(port),
            sessions: Sessions::default(),
            wrong_codes: Mutex::default(),
            passphrases: Arc::new(Semaphore::new(1)),
            approver_seen: AtomicBool::new(false),
            tasks,
            cancel,
        }))
    }

    pub(super) fn node(&self) -> &NodeHandle {
        &self.0.node
    }

    pub(super) fn home(&self) -> &Home {
        &self.0.home
    }

    /// This home's node.
    pub(super) fn me(&self) -> PeerId {
        self.0.me
    }

    pub(super) fn site(&self) -> &Site {
        &self.0.site
    }

    /// Cookies are not kept apart by port, so the name is.
    pub(super) fn cookie_name(&self) -> String {
        format!("countersign-{}", self.0.port)
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    pub(super) fn cancel(&self) -> &CancellationToken {
        &self.0.cancel
    }

    /// Asks as an agent's tool would.
    pub(super) async fn agent(&self, request: AgentRequest) -> Result<Reply, ApiError> {
        self.0.node.ask(Request::Agent(request)).await
    }

    /// Asks as the human.
    pub(super) async fn human(&self, request: HumanRequest) -> Result<Reply, ApiError> {
        self.0.node.human(request).await
    }

    /// Counts a code that opened nothing. `true` when there were too many within a minute: then
    /// the answer waits a while.
    pub(super) fn wrong_code(&self, now: Timestamp) -> bool {
        let mut wrong = self.0.wrong_codes.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.retain(|at| now.since(*at) < Duration::from_mins(1));
        let many = wrong.len() >= PAGE_WRONG_CODES_PER_MINUTE;
        if !many {
            wrong.push_back(now);
        }
        many
    }

    /// Whether approvals are set up. Once they are, they stay so.
    pub(super) fn has_approver(&self) -> bool {
        let seen = || self.0.approver_seen.load(Ordering::Relaxed);
        if !seen() && self.0.home.approver_file().exists() {
            self.0.approver_seen.store(true, Ordering::Relaxed);
        }
        seen()
    }

    /// The approver's sealed key.
    pub(super) fn approver(&self) -> Result<SealedApprover, ApiError> {
        let failed = |e: keys::KeyFileError| {
            ApiError::new(ErrorKind::Failed, e.to_string(), "run `countersign doctor`")
        };
        keys::read_approver(&self.0.home.approver_file()).map_err(failed)?.ok_or_else(|| {
            let message = "approvals are not set up in this home";
            ApiError::new(ErrorKind::WaitsForHuman, message, "set them up first")
        })
    }

    /// Opens the approver key with what was typed. Wrong ones are counted on disk.
    pub(super) async fn open_key(
        &self,
        passphrase: Secret<String>,
    ) -> Result<Box<ApproverKey>, ApiError> {
        let page = self.clone();
        self.with_passphrase(move || {
            let sealed = page.approver()?;
            unlock::open(page.home(), &sealed, &passphrase, clock::now()).map(Box::new)
        })
        .await
    }

    /// Works with a passphrase: one at a time, also where whoever asked has gone meanwhile, and
    /// with this process's memory closed to others.
    pub(super) async fn with_passphrase<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let turn = Arc::clone(&self.0.passphrases).acquire_owned().await.map_err(|_| stopped())?;
        let task = self.0.tasks.spawn_blocking(move || {
            let _turn = turn;
            guard::close_memory().map_err(|e| {
                let message = format!("this process's memory cannot be closed to others: {e}");
                ApiError::new(ErrorKind::Failed, message, "decide in a terminal")
            })?;
            work()
        });
        task.await.map_err(|_| stopped())?
    }
}

fn stopped() -> ApiError {
    ApiError::new(ErrorKind::Failed, "the node is shutting down", "try again in a moment")
}

/// The node gave another kind of answer than the question has.
pub(super) fn unexpected() -> ApiError {
    ApiError::new(ErrorKind::Failed, "the node gave another kind of answer", "report this")
}

/// The answer of one kind.
macro_rules! answer {
    ($asked:expr, $kind:ident) => {
        match $asked.await? {
            crate::node::api::Reply::$kind(answer) => Ok(answer),
            _ => Err(crate::web::page::unexpected()),
        }
    };
}
pub(super) use answer;
