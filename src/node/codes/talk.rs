//! A code's way over the net, on either side: the door, the place to meet, the exchange.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::timeout;

use super::super::{
    api::{ApiError, ErrorKind},
    clock,
};
use crate::{
    base::{PeerId, Secret, limits},
    net::{
        Net, NetError,
        door::{Caller, Door, Talk, TalkError},
        slots::{Contact, Offer, Slot, SlotError},
    },
    wire::{
        Code,
        code::exchange::{self, Answering, Claim, CodeFrame, Doors, ExchangeError, Given, Giving},
    },
};

/// A door that stands at the place of its code.
pub(super) struct Placed {
    pub(super) code: Arc<Code>,
    door: Door,
    offer: Offer,
}

/// Whoever made the guess, and the door over which it is answered.
pub(super) struct Guest {
    talk: Talk,
    door: Door,
}

impl Guest {
    /// Says the last word. One that breaks here is a code that is used up: its human asks for
    /// another.
    pub(super) async fn answer(mut self, frame: CodeFrame) {
        if self.talk.say(&frame).await.is_ok() {
            self.talk.last().await;
        }
        self.door.close().await;
    }
}

/// What came of a code of ours. It is used up by each of these.
pub(super) enum Heard {
    /// Somebody knew the words.
    Right(Claim, Giving, Guest),
    /// Somebody did not.
    Wrong(Guest),
    /// Too many came and left before the guess.
    TooMany,
    /// Its time is over.
    Nobody,
}

/// Why a code of another's did not work.
#[derive(Debug, thiserror::Error)]
pub(super) enum JoinError {
    #[error("nobody waits at the place of this code's first word")]
    Nobody,
    #[error(
        "the place of this code's first word names an address that neither this node nor its peers \
         use: \"{0}\""
    )]
    Strange(String),
    #[error("the words were not right; the code is used up")]
    Wrong,
    #[error(transparent)]
    Slot(#[from] SlotError),
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("the other side of the code was found, but {0}")]
    Broken(#[from] TalkError),
    #[error("the connection broke when the words were said, and the code may be used up")]
    Unsure,
    #[error("the node ended")]
    Ended,
}

/// Opens a door, and puts it where nobody else's is.
pub(super) async fn place(net: &Net) -> Result<Placed, ApiError> {
    let failed = |error: &dyn std::error::Error| {
        let next = "hand over an invite instead: make it without code";
        ApiError::new(ErrorKind::Failed, error.to_string(), next)
    };
    let door = net.open_door(Secret::new(clock::random())).await.map_err(|e| failed(&e))?;
    let mut tries = 0;
    let taken = loop {
        let random = [clock::random(), clock::random(), clock::random()];
        let code = Code::from_random(random);
        tries += 1;
        match net.slots().offer(Slot(code.slot()), door.contact()).await {
            Ok(offer) => return Ok(Placed { code: Arc::new(code), door, offer }),
            Err(SlotError::Taken) if tries < limits::CODE_WORD_TRIES => {}
            Err(error) => break error,
        }
    };
    door.close().await;
    Err(failed(&taken))
}

/// Waits for the one guess, and takes the door away behind it.
pub(super) async fn listen(placed: Placed) -> Heard {
    let Placed { code, door, offer } = placed;
    let guessed = timeout(limits::CODE_LIFE, guess(&code, &door)).await;
    drop(offer);
    let (answering, confirm, talk) = match guessed {
        Ok(Some(Guessed::Guess(guess))) => guess,
        Ok(Some(Guessed::TooMany)) => {
            door.close().await;
            return Heard::TooMany;
        }
        Ok(None) | Err(_) => {
            door.close().await;
            return Heard::Nobody;
        }
    };
    let guest = Guest { talk, door };
    match answering.open(&confirm) {
        Ok((claim, giving)) => Heard::Right(claim, giving, guest),
        Err(_) => Heard::Wrong(guest),
    }
}

enum Guessed {
    Guess((Answering, CodeFrame, Talk)),
    TooMany,
}

/// The first confirmation that comes, right or wrong; `None` when the door is gone.
async fn guess(code: &Code, door: &Door) -> Option<Guessed> {
    let (mut talks, mut starts) = (FuturesUnordered::new(), 0);
    loop {
        // Some at a time, so that one who says nothing holds nobody up.
        let room = talks.len() < limits::CODE_TALKS_MAX && starts < limits::CODE_STARTS_MAX;
        tokio::select! {
            caller = door.accept(), if room => {
                starts += 1;
                talks.push(until_confirmed(code, door.id(), caller?));
            }
            // A connection that breaks here has guessed nothing: nothing was shown to it.
            Some(confirmed) = talks.next() => if let Some(guess) = confirmed {
                return Some(Guessed::Guess(guess));
            },
            else => return Some(Guessed::TooMany),
        }
    }
}

async fn until_confirmed(
    code: &Code,
    inviter: PeerId,
    caller: Caller,
) -> Option<(Answering, CodeFrame, Talk)> {
    let mut talk = caller.talk().await.ok()?;
    let doors = Doors { joiner: talk.remote(), inviter };
    let start = talk.hear().await.ok()?;
    let random = Secret::new(clock::random());
    let (answering, reply) = exchange::answer(code, doors, &start, random).ok()?;
    talk.say(&reply).await.ok()?;
    let confirm = talk.hear().await.ok()?;
    Some((answering, confirm, talk))
}

/// Meets whoever made a code. With `known`, no address is used that neither we nor whoever is there
/// uses: anybody can write what stands at the place of a word.
pub(super) async fn join(
    net: &Net,
    code: &Code,
    me: &Claim,
    known: Option<Vec<String>>,
) -> Result<Given, JoinError> {
    let mut found = net.slots().find(Slot(code.slot())).await?;
    if let Some(known) = known {
        leave_strange(net, &mut found, &known)?;
    }
    if found.is_empty() {
        return Err(JoinError::Nobody);
    }
    let door = net.open_door(Secret::new(clock::random())).await?;
    let mut heard = Err(JoinError::Nobody);
    for contact in found.iter().take(limits::CODE_CONTACTS_MAX) {
        let tried = timeout(limits::CODE_EXCHANGE_TIMEOUT, ask(&door, contact, code, me)).await;
        let tried = tried.unwrap_or(Err(JoinError::Broken(TalkError::Slow)));
        // A wrong word says more than a door that is not there.
        if tried.is_ok() || matches!(heard, Err(JoinError::Nobody)) {
            heard = tried;
        }
        if heard.is_ok() {
            break;
        }
    }
    door.close().await;
    heard
}

/// Leaves out what is strange; an error where nothing else is there.
fn leave_strange(net: &Net, found: &mut Vec<Contact>, known: &[String]) -> Result<(), JoinError> {
    let mut first = None;
    for contact in found.iter_mut() {
        let strange = net.strange_addresses(&contact.addresses, known);
        contact.addresses.retain(|address| !strange.contains(address));
        first = first.or_else(|| strange.into_iter().next());
    }
    found.retain(|contact| !contact.addresses.is_empty());
    match first.filter(|_| found.is_empty()) {
        Some(address) => Err(JoinError::Strange(address.escape_debug().to_string())),
        None => Ok(()),
    }
}

async fn ask(door: &Door, to: &Contact, code: &Code, me: &Claim) -> Result<Given, JoinError> {
    let mut talk = match door.dial(to).await {
        Ok(talk) => talk,
        // What stands at the place is what somebody left behind.
        Err(TalkError::Gone | TalkError::Slow) => return Err(JoinError::Nobody),
        Err(error @ TalkError::Frame(_)) => return Err(error.into()),
    };
    let inviter: PeerId = talk.remote();
    let doors = Doors { joiner: door.id(), inviter };
    let random = Secret::new(clock::random());
    let (asking, start) = exchange::ask(code, doors, random).map_err(exchange_failed)?;
    talk.say(&start).await?;
    let reply = talk.hear().await?;
    let (confirmed, confirm) = asking.confirm(&reply, me).map_err(exchange_failed)?;
    talk.say(&confirm).await?;
    let given = talk.hear().await.map_err(|_| JoinError::Unsure)?;
    let given = confirmed.open(&given).map_err(exchange_failed);
    talk.done().await;
    given
}

fn exchange_failed(error: ExchangeError) -> JoinError {
    match error {
        ExchangeError::Wrong => JoinError::Wrong,
        ExchangeError::Protocol(error) => JoinError::Broken(TalkError::Frame(error)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio_util::{sync::CancellationToken, task::TaskTracker};

    use super::*;
    use crate::{
        base::ApproverId,
        identity::{ApproverKey, IdentityKey},
        net::{NetConfig, NetSettings, Reach},
        node::tests::codes::Lookup,
    };

    fn claim() -> Claim {
        let approver: ApproverId = ApproverKey::from_seed(&Secret::new([8; 32])).id();
        Claim { identity: IdentityKey::from_seed(&Secret::new([9; 32])).id(), approver }
    }

    async fn net(lookup: &Lookup, seed: u8) -> Net {
        net_at(lookup, seed, None).await
    }

    async fn net_at(lookup: &Lookup, seed: u8, relay: Option<&str>) -> Net {
        let lookups = Some(vec![lookup.url.clone()]);
        let relays = relay.map(|url| vec![url.to_owned()]);
        let settings = NetSettings { relays, lookups, ..NetSettings::default() };
        let (seed, reach) = (Secret::new([seed; 32]), Reach::Loopback);
        let config = NetConfig { seed, approver: None, reach, settings, port: 0 };
        let (events, _) = mpsc::channel(64);
        // The net's own tracker knows its tasks; nothing here waits for their end.
        Net::start(config, &TaskTracker::new(), &CancellationToken::new(), events).await.unwrap()
    }

    /// Says the first message and leaves.
    async fn leave(door: &Door, at: &Contact, code: &Code) {
        let mut talk = door.dial(at).await.unwrap();
        let doors = Doors { joiner: door.id(), inviter: talk.remote() };
        let (_, start) = exchange::ask(code, doors, Secret::new([1; 32])).unwrap();
        talk.say(&start).await.unwrap();
        talk.hear().await.unwrap();
        talk.done().await;
    }

    #[tokio::test]
    async fn an_agent_asks_no_strange_relay_that_stands_at_the_place_of_a_word() {
        let lookup = Lookup::start().await;
        let listen = || async { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap() };
        let (own, strange) = (listen().await, listen().await);
        let url = |of: &tokio::net::TcpListener| format!("http://{}/", of.local_addr().unwrap());
        let bob = net_at(&lookup, 1, Some(&url(&own))).await;
        let mallory = net_at(&lookup, 2, Some(&url(&strange))).await;
        let (code, door) = (Code::from_random([[5; 2]; 3]), claim().identity);
        let contact = Contact { door, addresses: vec![url(&strange)] };
        let _offer = mallory.slots().offer(Slot(code.slot()), contact).await.unwrap();
        let refused = join(&bob, &code, &claim(), Some(Vec::new())).await;
        let Err(JoinError::Strange(named)) = refused else { panic!("it names the relay") };
        assert_eq!(named, url(&strange));
        // One that a peer of ours uses is none.
        let (me, known) = (claim(), Some(vec![url(&strange)]));
        let joined = join(&bob, &code, &me, known);
        let asked = timeout(std::time::Duration::from_millis(1), joined).await;
        assert!(!matches!(asked, Ok(Err(JoinError::Strange(_)))));
    }

    #[tokio::test]
    async fn two_who_say_nothing_hold_nobody_up() {
        let lookup = Lookup::start().await;
        let (alice, mallory) = (net(&lookup, 1).await, net(&lookup, 2).await);
        let door = mallory.open_door(Secret::new([3; 32])).await.unwrap();
        let placed = place(&alice).await.unwrap();
        let (code, at) = (Arc::clone(&placed.code), placed.door.contact());
        let listening = alice.beside(listen(placed));
        let silent = [door.dial(&at).await.unwrap(), door.dial(&at).await.unwrap()];
        let me = claim();
        let heard = tokio::select! {
            heard = timeout(limits::CODE_STEP_TIMEOUT / 2, listening) => heard,
            _ = join(&mallory, &code, &me, None) => panic!("nobody answers it here"),
        };
        assert!(matches!(heard, Ok(Some(Heard::Right(..)))), "before the silent ones are too late");
        drop(silent);
    }

    #[tokio::test]
    async fn who_leaves_before_the_guess_has_made_none_but_comes_ten_times_at_most() {
        let lookup = Lookup::start().await;
        let (alice, mallory) = (net(&lookup, 1).await, net(&lookup, 2).await);
        let door = mallory.open_door(Secret::new([3; 32])).await.unwrap();
        for (times, reaches) in [(9, true), (10, false)] {
            let placed = place(&alice).await.unwrap();
            let (code, at) = (Arc::clone(&placed.code), placed.door.contact());
            let listening = alice.beside(listen(placed));
            for _ in 0..times {
                leave(&door, &at, &code).await;
            }
            if !reaches {
                assert!(matches!(listening.await, Some(Heard::TooMany)));
                assert!(matches!(
                    join(&mallory, &code, &claim(), None).await,
                    Err(JoinError::Nobody)
                ));
                continue;
            }
            let joiner = mallory.clone();
            let asking = mallory.beside(async move { join(&joiner, &code, &claim(), None).await });
            let Some(Heard::Right(heard, ..)) = listening.await else { panic!("the words") };
            assert_eq!(heard, claim());
            drop(asking);
        }
    }
}
