//! The node's hints, over its ends and starts.

use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep_until};

use crate::{
    ipc::{self, Hint, Hints},
    node::config::Home,
};

/// How soon a node that is gone is looked for, and how late at most.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Hints that are told at once.
const BATCH: usize = 64;

/// What there is to know.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The node answers, for the first time or again.
    Up,
    /// Something changed.
    Hints(Vec<Hint>),
    /// The node is gone.
    Down,
}

/// Hears the node of a home, and finds it again when it was gone.
pub(super) struct Feed {
    home: Home,
    hints: Option<Hints>,
    retry: Duration,
    retry_at: Instant,
}

impl Feed {
    /// Looks for the node at once.
    pub(super) fn new(home: Home) -> Self {
        Self { home, hints: None, retry: RETRY, retry_at: Instant::now() }
    }

    /// What is new. Waits as long as nothing is; safe to cancel.
    pub(super) async fn next(&mut self) -> News {
        if let Some(hints) = &mut self.hints {
            let Ok(first) = hints.next().await else {
                self.hints = None;
                self.wait(RETRY);
                return News::Down;
            };
            let mut all = vec![first];
            // An end that shows here shows again at the next call.
            while let Some(Ok(hint)) = hints.next().now_or_never() {
                if !all.contains(&hint) {
                    all.push(hint);
                }
                if all.len() >= BATCH {
                    break;
                }
            }
            return News::Hints(all);
        }
        loop {
            sleep_until(self.retry_at).await;
            if let Ok(hints) = ipc::watch(&self.home).await {
                self.hints = Some(hints);
                return News::Up;
            }
            self.wait((2 * self.retry).min(RETRY_MAX));
        }
    }

    fn wait(&mut self, retry: Duration) {
        self.retry = retry;
        self.retry_at = Instant::now() + retry;
    }
}
