//! The codes of ours that are open, and what the human is told of wrong ones. The time is an
//! argument.

use std::{collections::VecDeque, sync::Arc};

use super::super::api::{ApiError, ErrorKind};
use crate::{
    base::{InviteId, Timestamp, limits},
    wire::Code,
};

/// A code of ours that waits for its one guess.
pub(in crate::node) struct OpenCode {
    /// What it carries.
    pub(in crate::node) invite: InviteId,
    /// The words.
    pub(in crate::node) code: Arc<Code>,
    /// Until when.
    pub(in crate::node) expires: Timestamp,
}

/// All of them.
#[derive(Default)]
pub(in crate::node) struct Codes {
    open: Vec<OpenCode>,
    /// Codes whose door is being opened.
    pub(in crate::node) making: usize,
    wrong: u64,
    last_wrong: Option<Timestamp>,
    /// An agent uses the code of another at this moment.
    joining: bool,
    /// When agents began to.
    joins: VecDeque<Timestamp>,
}

impl Codes {
    /// An agent may use the code of another: one at a time, and not often, since each says
    /// something to whoever watches the place of its first word.
    pub(in crate::node) fn may_join(&self, now: Timestamp) -> Result<(), ApiError> {
        if self.joining {
            let message = "another code is being used at this moment";
            return Err(ApiError::new(ErrorKind::Busy, message, "try again in half a minute"));
        }
        let within = |at: &&Timestamp| now.since(**at) < limits::CODE_JOINS_WINDOW;
        let mut recent = self.joins.iter().filter(within);
        let (oldest, others) = (recent.next(), recent.count());
        let Some(oldest) = oldest.filter(|_| others + 1 >= limits::CODE_JOINS_MAX) else {
            return Ok(());
        };
        let message = format!("agents used {} codes within an hour", limits::CODE_JOINS_MAX);
        let next = format!(
            "try again after {}, or your human types the words on the page: countersign page",
            oldest.plus(limits::CODE_JOINS_WINDOW).rfc3339()
        );
        Err(ApiError::new(ErrorKind::Busy, message, next))
    }

    /// An agent begins to.
    pub(in crate::node) fn join(&mut self, now: Timestamp) {
        self.joining = true;
        self.joins.push_back(now);
        while self.joins.len() > limits::CODE_JOINS_MAX {
            self.joins.pop_front();
        }
    }

    /// It has done so.
    pub(in crate::node) fn joined(&mut self) {
        self.joining = false;
    }

    /// There is room for one more.
    pub(in crate::node) fn may_open(&self) -> Result<(), ApiError> {
        if self.open.len() + self.making < limits::CODES_OPEN_MAX {
            return Ok(());
        }
        let message = format!("{} codes are open already", limits::CODES_OPEN_MAX);
        let next = "use one of them, wait ten minutes, or make an invite without code";
        Err(ApiError::new(ErrorKind::Busy, message, next))
    }

    /// One more is open.
    pub(in crate::node) fn open(&mut self, code: OpenCode) {
        self.open.push(code);
    }

    /// It is used up. True when it was still good at `now`.
    pub(in crate::node) fn close(&mut self, invite: &InviteId, now: Timestamp) -> bool {
        let was = self.open.iter().any(|code| code.invite == *invite && code.expires > now);
        self.open.retain(|code| code.invite != *invite);
        was
    }

    /// Whether a code is one of these.
    pub(in crate::node) fn is_ours(&self, code: &Code) -> bool {
        self.open.iter().any(|open| open.code.is(code))
    }

    /// Somebody did not know the words.
    pub(in crate::node) fn note_wrong(&mut self, now: Timestamp) {
        let old = |at: &Timestamp| now.since(*at) >= limits::CODE_WARNING_LIFE;
        if self.last_wrong.as_ref().is_some_and(old) {
            self.wrong = 0;
        }
        self.wrong += 1;
        self.last_wrong = Some(now);
    }

    /// What the human is told of that.
    pub(in crate::node) fn warning(&self, now: Timestamp) -> Option<String> {
        let at = self.last_wrong.filter(|at| now.since(*at) < limits::CODE_WARNING_LIFE)?;
        let at = at.rfc3339();
        Some(match self.wrong {
            1 => format!(
                "a wrong code was tried at {at}, and the code is used up: somebody mistyped it, or \
                 guessed; make a new one"
            ),
            n => format!(
                "{n} wrong codes were tried, the last at {at}, and each of these codes is used up: \
                 somebody may be guessing; hand over an invite instead"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(minute: u64) -> Timestamp {
        Timestamp::from_ms(1_700_000_000_000).plus(Duration::from_mins(minute))
    }

    fn code(n: u8) -> OpenCode {
        OpenCode {
            invite: InviteId::from_bytes([n; 16]),
            code: Arc::new(Code::from_random([[n; 2]; 3])),
            expires: at(0).plus(limits::CODE_LIFE),
        }
    }

    #[test]
    fn three_codes_are_open_at_most_and_one_that_is_made_counts() {
        let mut codes = Codes { making: 1, ..Codes::default() };
        codes.open(code(1));
        assert!(codes.may_open().is_ok());
        codes.open(code(2));
        let error = codes.may_open().unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::Busy, "3 codes are open already")
        );
        assert!(codes.close(&code(1).invite, at(1)));
        assert!(codes.may_open().is_ok());
    }

    #[test]
    fn a_code_is_good_once_and_for_ten_minutes() {
        let mut codes = Codes::default();
        codes.open(code(1));
        codes.open(code(2));
        assert!(codes.is_ours(&Code::from_random([[1; 2]; 3])));
        assert!(codes.close(&code(1).invite, at(9)), "in time");
        assert!(!codes.close(&code(1).invite, at(9)), "once");
        assert!(!codes.is_ours(&Code::from_random([[1; 2]; 3])));
        assert!(!codes.close(&code(2).invite, at(10)), "too late");
    }

    #[test]
    fn agents_use_one_code_at_a_time_and_ten_an_hour() {
        let mut codes = Codes::default();
        for minute in 0..10 {
            assert!(codes.may_join(at(minute)).is_ok(), "{minute}");
            codes.join(at(minute));
            let error = codes.may_join(at(minute)).unwrap_err();
            assert_eq!(error.message, "another code is being used at this moment");
            codes.joined();
        }
        let error = codes.may_join(at(59)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Busy);
        assert!(error.next.contains(&at(60).rfc3339()), "{error:?}");
        assert!(codes.may_join(at(60)).is_ok());
    }

    #[test]
    fn a_thousand_wrong_codes_are_one_warning_that_counts_them() {
        let mut codes = Codes::default();
        assert_eq!(codes.warning(at(0)), None);
        codes.note_wrong(at(0));
        let one = codes.warning(at(0)).unwrap();
        assert!(one.starts_with("a wrong code was tried at 2023-11-14T22:13:20"), "{one}");
        for _ in 1..1000 {
            codes.note_wrong(at(1));
        }
        let all = codes.warning(at(1)).unwrap();
        assert!(all.starts_with("1000 wrong codes were tried"), "{all}");
        let day_after = at(1).plus(limits::CODE_WARNING_LIFE);
        assert_eq!(codes.warning(day_after), None);
        codes.note_wrong(day_after);
        assert!(codes.warning(day_after).unwrap().starts_with("a wrong code"), "counted anew");
    }
}
