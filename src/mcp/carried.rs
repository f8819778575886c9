//! Questions that a client carries itself: since version 2026-07-28 a server cannot ask in the
//! middle of a call. It answers the call with the question and a sealed note of what it was about,
//! and the client calls again with both the note and its user's answer.
//!
//! A note is good once, for the same call of the same session, while this node runs.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use data_encoding::HEXLOWER;
use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitResult, InputRequest, InputRequests,
    InputRequiredResult, InputResponses, JsonObject, RequestStateCodec, SealOptions,
};
use serde::{Deserialize, Serialize};

use super::question::{Verdict, verdict};
use crate::{
    base::limits::{QUESTION_LIFE, QUESTIONS_MAX, QUESTIONS_SESSION_MAX},
    node::{
        api::{ApiError, Connected, ErrorKind, Sent},
        clock,
    },
};

/// Names our one question among the requests for input.
const KEY: &str = "approval";
const NONCE_BYTES: usize = 16;

static QUESTIONS: OnceLock<Questions> = OnceLock::new();

/// What a call led to that waits for the human.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum About {
    Message(Sent),
    Peer(Connected),
}

impl About {
    /// The item that waits.
    pub(super) fn pending(&self) -> Option<&str> {
        match self {
            Self::Message(sent) => sent.pending.as_deref(),
            Self::Peer(connected) => connected.pending.as_deref(),
        }
    }
}

/// A note: what the client carries, readable by it and signed by us.
#[derive(Serialize, Deserialize)]
struct Note {
    nonce: String,
    about: About,
    /// The client was asked by a form, and not by an address alone.
    form: bool,
    may_approve: bool,
}

/// A note that came back.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) about: About,
    pub(super) verdict: Verdict,
}

/// A note that was not used: whose it is, and its random name.
struct Open {
    session: String,
    nonce: String,
}

/// The questions that clients carry at the moment.
pub(super) struct Questions {
    codec: RequestStateCodec,
    /// How long a note is good.
    life: Duration,
    /// The notes that were not used, oldest first.
    open: Mutex<VecDeque<Open>>,
}

impl Questions {
    /// Those of this node, whose key is drawn anew each time that it starts.
    pub(super) fn of_this_node() -> &'static Self {
        QUESTIONS.get_or_init(|| Self::new(QUESTION_LIFE))
    }

    fn new(life: Duration) -> Self {
        let key = clock::random::<{ RequestStateCodec::MIN_KEY_LENGTH }>();
        Self { codec: RequestStateCodec::new_unchecked(key), life, open: Mutex::default() }
    }

    /// Answers a call, which `binding` is of, with a question.
    pub(super) fn carry(
        &self,
        about: About,
        params: ElicitRequestParams,
        may_approve: bool,
        (session, binding): (&str, &[u8]),
    ) -> InputRequiredResult {
        let form = matches!(params, ElicitRequestParams::FormElicitationParams { .. });
        let nonce = HEXLOWER.encode(&clock::random::<NONCE_BYTES>());
        self.with_open(|open| {
            // One session's notes push out its own first.
            let own = open.iter().filter(|note| note.session == session).count();
            if own >= QUESTIONS_SESSION_MAX {
                let oldest = open.iter().position(|note| note.session == session);
                oldest.and_then(|at| open.remove(at));
            } else if open.len() >= QUESTIONS_MAX {
                open.pop_front();
            }
            open.push_back(Open { session: session.to_owned(), nonce: nonce.clone() });
        });
        let options = SealOptions::new().associated_data(binding).ttl(self.life);
        // Our own types always serialise.
        let note = serde_json::to_vec(&Note { nonce, about, form, may_approve });
        let state = self.codec.seal_with(&note.unwrap_or_default(), &options);
        let request = InputRequest::Elicitation(ElicitRequest::new(params));
        InputRequiredResult::new(
            Some(InputRequests::from([(KEY.to_owned(), request)])),
            Some(state),
        )
    }

    /// Uses up a note, and reads the answer beside it.
    ///
    /// # Errors
    /// A note that was changed, is of another call, session or run of the node, is too old or was
    /// used. They are not told apart to who brings it.
    pub(super) fn take(
        &self,
        state: &str,
        answers: &InputResponses,
        binding: &[u8],
    ) -> Result<Answered, ApiError> {
        let note: Note = self
            .codec
            .open_json_with(state, binding)
            .map_err(|error| refused(&error.to_string()))?;
        let was_open = self.with_open(|open| {
            let at = open.iter().position(|open| open.nonce == note.nonce);
            at.and_then(|at| open.remove(at)).is_some()
        });
        if !was_open {
            return Err(refused("used before, or too many came after it"));
        }
        let answer = answers.get(KEY).cloned().map(serde_json::from_value::<ElicitResult>);
        let verdict = match answer {
            Some(Ok(result)) if note.form => verdict(&result, note.may_approve),
            _ => Verdict::Later,
        };
        Ok(Answered { about: note.about, verdict })
    }

    fn with_open<T>(&self, work: impl FnOnce(&mut VecDeque<Open>) -> T) -> T {
        // A queue of strings is whole whatever happened to its last holder.
        work(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn refused(why: &str) -> ApiError {
    tracing::debug!(why, "a requestState was refused");
    let message = "requestState was refused: it is not of this call, or was changed, used or too \
                   old; nothing was done";
    let next = "what was asked about still waits: call again without requestState, or see \
                peer_status";
    ApiError::new(ErrorKind::Refused, message, next)
}

/// What a note is bound to: the session, the tool, and the arguments in their one order.
pub(super) fn binding(session: &str, tool: &str, arguments: &JsonObject) -> Vec<u8> {
    let arguments: BTreeMap<_, _> = arguments.iter().collect();
    // What was JSON always serialises.
    serde_json::to_vec(&(session, tool, arguments)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(questions: &Questions) -> String {
        asked_by(questions, "session")
    }

    fn asked_by(questions: &Questions, session: &str) -> String {
        let form = json!({
            "mode": "form", "message": "x", "requestedSchema": { "type": "object", "properties": {} },
        });
        let sent = json!({ "id": "msg", "state": "held", "pending": "pnd", "findings": [] });
        let about = About::Message(serde_json::from_value(sent).unwrap());
        let params = serde_json::from_value(form).unwrap();
        questions.carry(about, params, false, (session, b"call")).request_state.unwrap()
    }

    fn take(questions: &Questions, state: &str) -> Option<Verdict> {
        let answer = InputResponses::from([(KEY.to_owned(), json!({ "action": "decline" }))]);
        questions.take(state, &answer, b"call").ok().map(|answered| answered.verdict)
    }

    #[test]
    fn more_questions_than_are_kept_end_the_oldest() {
        let questions = Questions::new(QUESTION_LIFE);
        let asked = |n: usize| asked_by(&questions, &n.to_string());
        let states: Vec<_> = (0..=QUESTIONS_MAX).map(asked).collect();
        assert_eq!(take(&questions, &states[0]), None);
        for state in &states[1..] {
            assert_eq!(take(&questions, state), Some(Verdict::Deny));
            assert_eq!(take(&questions, state), None, "it is used up");
        }
        assert!(questions.with_open(|open| open.is_empty()));
    }

    #[test]
    fn one_session_pushes_out_its_own_questions_alone() {
        let questions = Questions::new(QUESTION_LIFE);
        let other = asked_by(&questions, "other");
        let states: Vec<_> = (0..=QUESTIONS_MAX).map(|_| asked(&questions)).collect();
        let good = states.iter().filter(|state| take(&questions, state).is_some()).count();
        assert_eq!(good, QUESTIONS_SESSION_MAX);
        assert_eq!(take(&questions, &other), Some(Verdict::Deny));
    }

    #[test]
    fn a_question_is_not_good_after_its_time_nor_after_a_restart_of_the_node() {
        let questions = Questions::new(Duration::ZERO);
        let (state, asked_at) = (asked(&questions), clock::now());
        while clock::now().since(asked_at) < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        assert_eq!(take(&questions, &state), None);
        let (before, after) = (Questions::new(QUESTION_LIFE), Questions::new(QUESTION_LIFE));
        assert_eq!(take(&after, &asked(&before)), None);
    }
}
