//! The way to the human's page: a code that opens it once, and an approver that is set up there.
//!
//! The page itself is another module's; this holds what only the node can know.

use std::{collections::VecDeque, time::Duration};

use data_encoding::BASE32_NOPAD;
use rusqlite::Connection;
use subtle::ConstantTimeEq as _;

use super::{
    api::{ApiError, Done, ErrorKind, Event, PageLink, PageOpened, Reply},
    clock,
    config::Config,
    refusals::Attempt,
    state::{Answer, Node, reply, store_failed},
};
use crate::{
    audit,
    base::{ApproverId, ClaimedName, Digest, Timestamp, limits},
    identity::PublicKey as _,
    store::{self, keys},
};

/// Codes that are good now: their digests, and until when. Nothing of them is on disk.
#[derive(Debug, Default)]
pub(super) struct PageCodes(VecDeque<(Digest, Timestamp)>);

impl PageCodes {
    /// A new code of 128 random bits, and until when it is good. The oldest ends where there are
    /// too many.
    fn make(&mut self, random: [u8; 16], now: Timestamp, life: Duration) -> (String, Timestamp) {
        let code = BASE32_NOPAD.encode(&random).to_ascii_lowercase();
        let until = now.plus(life);
        self.0.retain(|(_, until)| *until > now);
        while self.0.len() >= limits::PAGE_CODES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((digest(&code), until));
        (code, until)
    }

    /// Uses a code up.
    fn take(&mut self, code: &str, now: Timestamp) -> bool {
        let digest = digest(code);
        let same = |(kept, _): &(Digest, Timestamp)| -> bool {
            kept.as_bytes().ct_eq(digest.as_bytes()).into()
        };
        let found = self.0.iter().position(same).and_then(|place| self.0.remove(place));
        found.is_some_and(|(_, until)| until > now)
    }
}

fn digest(code: &str) -> Digest {
    Digest::of("countersign/page-code/v1", &[code.as_bytes()])
}

impl Node {
    pub(super) fn page_link(&mut self) -> Result<Reply, ApiError> {
        let page = self.handle.page().ok_or_else(|| {
            let message = "this node does not serve the page";
            let next = "use countersign pending and countersign approve ID in a terminal";
            ApiError::new(ErrorKind::Failed, message, next)
        })?;
        let life = limits::PAGE_CODE_LIFE;
        let (code, until) = self.page_codes.make(clock::random(), clock::now(), life);
        let url = format!("{page}/open#{code}");
        Ok(Reply::PageLink(PageLink { url, expires_at: until.rfc3339() }))
    }

    pub(super) fn page_open(&mut self, code: &str) -> Reply {
        let opened = self.page_codes.take(code, clock::now());
        if opened {
            self.handle.tell(Event::PageOpened);
        } else {
            let what = "a link to the page that is not good, or not any more";
            self.refused(Attempt::Page, what.to_owned(), None);
        }
        Reply::PageOpened(PageOpened { opened })
    }

    /// There is a human from now on. Only where there was none: another one is taken at a start
    /// alone, when every consent is looked at again.
    pub(super) fn approver_set(&mut self, answer: Answer) {
        let (approver, name) = match self.new_approver() {
            Ok(found) => found,
            Err(error) => return reply(answer, Err(error)),
        };
        let now = clock::now();
        let event = audit::Event::ApproverSet { approver: approver.to_string() };
        let op = move |db: &Connection| store::audit::append(db, now, &event).map(drop);
        self.write(op, move |node, done| {
            let result = done.map_err(|e| store_failed(&e)).and_then(|()| {
                // Somebody may have asked twice.
                node.no_approver_yet()?;
                node.approver = Some(approver);
                node.name = name;
                node.net.set_approver(approver);
                node.handle.tell(Event::PeersChanged);
                Ok(Reply::Done(Done { done: true }))
            });
            reply(answer, result);
        });
    }

    fn no_approver_yet(&self) -> Result<(), ApiError> {
        if self.approver.is_none() {
            return Ok(());
        }
        let message = "approvals are set up, and this node goes on with the approver that it has";
        Err(ApiError::new(ErrorKind::Refused, message, "countersign whoami shows it"))
    }

    /// The approver and the name that the home's files say.
    fn new_approver(&self) -> Result<(ApproverId, ClaimedName), ApiError> {
        self.no_approver_yet()?;
        let next = "mend the file, or run: countersign doctor";
        let failed = |error: String| ApiError::new(ErrorKind::Failed, error, next);
        let sealed =
            keys::read_approver(&self.home.approver_file()).map_err(|e| failed(e.to_string()))?;
        let sealed = sealed.ok_or_else(|| {
            let message = "approvals are not set up: there is no approver.key";
            ApiError::new(ErrorKind::WaitsForHuman, message, "run: countersign init")
        })?;
        let approver = sealed.public();
        approver.check().map_err(|e| failed(format!("approver.key: {e}")))?;
        let config = Config::read(&self.home).map_err(|e| failed(e.to_string()))?;
        Ok((approver, config.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_000_000);
    const LIFE: Duration = Duration::from_mins(1);

    #[test]
    fn a_code_opens_the_page_once_and_in_time() {
        let mut codes = PageCodes::default();
        let (code, until) = codes.make([7; 16], NOW, LIFE);
        assert_eq!((code.len(), until), (26, NOW.plus(LIFE)));
        assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{code}");
        for wrong in ["", "x", &code[1..], &code.to_ascii_uppercase(), &format!("{code} ")] {
            assert!(!codes.take(wrong, NOW), "{wrong}");
        }
        assert!(codes.take(&code, NOW));
        assert!(!codes.take(&code, NOW));
        let (late, until) = codes.make([8; 16], NOW, LIFE);
        assert!(!codes.take(&late, until), "it is over at its end");
        assert!(!codes.take(&late, NOW), "and used up by the try");
    }

    #[test]
    fn one_code_too_many_ends_the_oldest_and_expired_ones_take_no_place() {
        let mut codes = PageCodes::default();
        let max = u8::try_from(limits::PAGE_CODES_MAX).unwrap();
        let made: Vec<String> = (0..=max).map(|n| codes.make([n; 16], NOW, LIFE).0).collect();
        assert!(!codes.take(&made[0], NOW));
        assert!(made[1..].iter().all(|code| codes.take(code, NOW)));
        for n in 0..max {
            codes.make([n; 16], NOW, LIFE);
        }
        let later = NOW.plus(LIFE);
        codes.make([99; 16], later, LIFE);
        assert_eq!(codes.0.len(), 1);
    }

    #[test]
    fn a_code_is_not_kept_as_such() {
        let mut codes = PageCodes::default();
        let (code, _) = codes.make([7; 16], NOW, LIFE);
        let kept = format!("{codes:?}");
        assert!(!kept.contains(&code) && !kept.contains("07070707"), "{kept}");
    }
}
