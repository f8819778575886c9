//! Live hints for the script: something changed, and how much waits. Who missed one reads the page
//! again; nothing correct depends on it.

use std::convert::Infallible;

use axum::{
    http::{HeaderValue, StatusCode, header::CACHE_CONTROL},
    response::{
        IntoResponse as _, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use futures_util::stream;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, timeout_at},
};

use super::{page::answer, session::Stream, visit::Visit};
use crate::{
    base::limits::{PAGE_EVENTS_EVERY, PAGE_KEEP_ALIVE},
    node::api::{AgentRequest, ApiError, Event, Whoami},
};

/// What changed since the last hint.
#[expect(clippy::struct_excessive_bools, reason = "each is told by its own name")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Changed {
    pending: bool,
    messages: bool,
    peers: bool,
    sessions: bool,
    /// So many items wait that the human is to be told of.
    alert: Option<u64>,
}

impl Changed {
    const ALL: Self =
        Self { pending: true, messages: true, peers: true, sessions: true, alert: None };

    /// Adds an event. `false` when none will come any more.
    fn add(&mut self, event: &Result<Event, RecvError>) -> bool {
        match event {
            Ok(Event::Arrived { .. } | Event::MessageChanged { .. }) => self.messages = true,
            Ok(Event::PeersChanged) => self.peers = true,
            Ok(Event::PendingChanged) => self.pending = true,
            Ok(Event::Alert { items }) => {
                self.alert = Some(items.saturating_add(self.alert.unwrap_or_default()));
            }
            Ok(Event::SessionsChanged { .. }) => self.sessions = true,
            Ok(Event::PageOpened) => {}
            Err(RecvError::Lagged(_)) => *self = Self { alert: self.alert, ..Self::ALL },
            Err(RecvError::Closed) => return false,
        }
        true
    }

    fn names(self) -> Vec<&'static str> {
        let named = [
            (self.pending, "pending"),
            (self.messages, "messages"),
            (self.peers, "peers"),
            (self.sessions, "sessions"),
        ];
        named.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect()
    }
}

struct Hints {
    visit: Visit,
    stream: Stream,
    events: Receiver<Event>,
    next_at: Instant,
}

impl Hints {
    /// The next hint. `None` at the end of the session or the node.
    async fn next(&mut self) -> Option<sse::Event> {
        let (ended, cancel) = (self.stream.ended.clone(), self.visit.page.cancel().clone());
        let hint = ended.run_until_cancelled(self.wait());
        cancel.run_until_cancelled(hint).await??
    }

    async fn wait(&mut self) -> Option<sse::Event> {
        let mut changed = Changed::default();
        while changed == Changed::default() {
            if !changed.add(&self.events.recv().await) {
                return None;
            }
        }
        // What comes until the next hint may be given belongs to it.
        while let Ok(event) = timeout_at(self.next_at, self.events.recv()).await {
            if !changed.add(&event) {
                return None;
            }
        }
        self.next_at = Instant::now() + PAGE_EVENTS_EVERY;
        let me: Whoami = self.whoami().await.ok()?;
        let mut data = serde_json::json!({
            "waiting": me.waiting, "unread": me.unread, "what": changed.names(),
        });
        if let (Some(items), Some(data)) = (changed.alert, data.as_object_mut()) {
            data.insert("alert".to_owned(), items.into());
        }
        Some(sse::Event::default().event("changed").data(data.to_string()))
    }

    async fn whoami(&self) -> Result<Whoami, ApiError> {
        answer!(self.visit.page.agent(AgentRequest::Whoami), Whoami)
    }
}

/// `GET /events`.
pub(super) async fn events(visit: Visit) -> Response {
    let Some(stream) = visit.page.sessions().stream(visit.entered.id) else {
        let text = "too many of these are open in this session\n";
        return (StatusCode::TOO_MANY_REQUESTS, text).into_response();
    };
    let events = visit.page.node().events();
    let hints = Hints { visit, stream, events, next_at: Instant::now() };
    let hints = stream::unfold(hints, |mut hints| async move {
        hints.next().await.map(|hint| (Ok::<_, Infallible>(hint), hints))
    });
    let touch = KeepAlive::new().interval(PAGE_KEEP_ALIVE);
    let mut response = Sse::new(hints).keep_alive(touch).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_what_changed_and_a_missed_one_names_all() {
        let mut changed = Changed::default();
        assert!(changed.add(&Ok(Event::PeersChanged)));
        assert!(changed.add(&Ok(Event::MessageChanged { message: "m".to_owned() })));
        assert_eq!(changed.names(), ["messages", "peers"]);
        let mut came = Changed::default();
        assert!(came.add(&Ok(Event::SessionsChanged { closed: false })));
        assert_eq!(came.names(), ["sessions"]);
        assert!(changed.add(&Err(RecvError::Lagged(1))));
        assert_eq!(changed.names(), ["pending", "messages", "peers", "sessions"]);
        assert_eq!(changed.alert, None, "nobody is interrupted for what was missed");
        assert!(changed.add(&Ok(Event::Alert { items: 7 })));
        assert_eq!(changed.alert, Some(7));
        assert!(!changed.add(&Err(RecvError::Closed)));
    }
}
