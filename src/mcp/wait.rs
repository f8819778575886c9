//! Calls that wait: they report progress, and end when their client gives up.

use std::time::Duration;

use rmcp::{
    RoleServer,
    model::{ElicitRequestParams, InputRequiredResult, InputResponses, ProgressNotificationParam},
    service::RequestContext,
};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, interval_at},
};

use super::{
    carried::{About, Answered, Questions},
    elicit,
    server::Server,
};
use crate::{
    base::limits::PROGRESS_EVERY,
    node::{
        AgentHandle,
        api::{AgentRequest, ApiError, ErrorKind, Event, MessageLife, Reply},
    },
};

/// The call that something is done for.
pub(super) struct Call<'a> {
    pub(super) server: &'a Server,
    pub(super) context: RequestContext<RoleServer>,
    /// Whose call of what this is, for a question that its client carries.
    binding: Vec<u8>,
    /// The question that the client brings back with this call.
    back: Option<Answered>,
}

impl<'a> Call<'a> {
    pub(super) const fn new(
        server: &'a Server,
        context: RequestContext<RoleServer>,
        binding: Vec<u8>,
    ) -> Self {
        Self { server, context, binding, back: None }
    }

    pub(super) const fn node(&self) -> &AgentHandle {
        &self.server.node
    }

    /// The same call, with a question that its client brings back.
    ///
    /// # Errors
    /// When it is not the question of this call.
    pub(super) fn back_with(
        self,
        back: Option<(String, InputResponses)>,
    ) -> Result<Self, ApiError> {
        let take = |(state, answers): (String, InputResponses)| {
            Questions::of_this_node().take(&state, &answers, &self.binding)
        };
        Ok(Self { back: back.map(take).transpose()?, ..self })
    }

    /// What a question was about that came back with this call, once its answer was applied.
    pub(super) async fn answered(&self) -> Option<About> {
        let Answered { about, verdict } = self.back.clone()?;
        if let Some(pending) = about.pending() {
            elicit::apply(self, pending, verdict).await;
            self.node().prompt_ended(pending);
        }
        Some(about)
    }

    /// The answer to this call: a question, which its client carries.
    pub(super) fn carry(
        &self,
        about: About,
        params: ElicitRequestParams,
        may_approve: bool,
    ) -> InputRequiredResult {
        Questions::of_this_node().carry(
            about,
            params,
            may_approve,
            (&self.server.session, &self.binding),
        )
    }

    /// Does `work`, which takes up to `wait`, and tells the client every few seconds.
    ///
    /// # Errors
    /// What `work` gives, or that the call was given up.
    pub(super) async fn waiting<T>(
        &self,
        wait: Duration,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let given_up = |what| {
            let next = "call peer_inbox again to see what came meanwhile";
            ApiError::new(ErrorKind::Failed, what, next)
        };
        tokio::pin!(work);
        let begun = Instant::now();
        if !wait.is_zero() {
            // At once: over HTTP nothing at all is sent before the first message.
            self.report(Duration::ZERO, wait).await;
        }
        let mut ticks = interval_at(begun + PROGRESS_EVERY, PROGRESS_EVERY);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.context.ct.cancelled() => return Err(given_up("the call was cancelled")),
                () = self.server.ending.cancelled() => return Err(given_up("the node is shutting down")),
                _ = ticks.tick() => self.report(begun.elapsed(), wait).await,
            }
        }
    }

    async fn report(&self, passed: Duration, wait: Duration) {
        let Some(token) = self.context.meta.get_progress_token() else { return };
        let message = format!("waiting, {} of {} s", passed.as_secs(), wait.as_secs());
        let progress = ProgressNotificationParam::new(token, passed.as_secs_f64())
            .with_total(wait.as_secs_f64())
            .with_message(message);
        // A client that cannot be told is about to cancel.
        self.context.peer.notify_progress(progress).await.ok();
    }
}

/// The life of the message `id` once it has come to an end, or its time is over.
///
/// # Errors
/// What the node answers.
pub(super) async fn ended(node: &AgentHandle, id: &str) -> Result<MessageLife, ApiError> {
    let mut events = node.events();
    loop {
        let life = life(node, id).await?;
        if matches!(life.state.as_str(), "denied" | "refused" | "expired") {
            return Ok(life);
        }
        loop {
            match events.recv().await {
                Ok(Event::MessageChanged { message }) if message == id => break,
                Err(RecvError::Lagged(_)) => break,
                // The node is gone: whoever waits besides hears of it.
                Err(RecvError::Closed) => std::future::pending().await,
                Ok(
                    Event::MessageChanged { .. }
                    | Event::Arrived { .. }
                    | Event::PeersChanged
                    | Event::PendingChanged
                    | Event::Alert { .. }
                    | Event::PageOpened
                    | Event::SessionsChanged { .. },
                ) => {}
            }
        }
    }
}

/// The life of the message `id`.
///
/// # Errors
/// What the node answers.
pub(super) async fn life(node: &AgentHandle, id: &str) -> Result<MessageLife, ApiError> {
    let Reply::Message(life) = node.ask(AgentRequest::Message { id: id.to_owned() }).await? else {
        return Err(unexpected());
    };
    Ok(life)
}

/// The node gave another kind of answer than was asked for.
pub(super) fn unexpected() -> ApiError {
    ApiError::new(
        ErrorKind::Failed,
        "the node gave another kind of answer",
        "tell your human; this is a fault in countersign",
    )
}
