//! One person's machine: a node while it runs, and what is on its disk while it does not.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::StreamExt as _;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::{
    base::{ClaimedName, PeerId, Secret, Timestamp},
    identity::{ApproverKey, IdentityKey},
    net::{NetEvent, simulated::Noted},
    node::{
        NodeHandle,
        api::{ApiError, Reply, Request},
        clock::simulated,
        config::{Config, Home, NetworkConfig, NetworkMode},
        handle::Question,
        start::{assemble, load, remember_start},
        state::Node,
    },
    policy::Policy,
    store::{Stepped, copy_of},
    wire::Run,
};

/// What all humans here have signed: how long a text is says what becomes of it.
pub(super) const POLICY: &str = "version = 1\n\
    [[deny]]\nname = \"huge\"\ndirection = \"in\"\nsize_over_bytes = 400\n\
    [[ask]]\nname = \"long-out\"\ndirection = \"out\"\nsize_over_bytes = 100\n\
    [[ask]]\nname = \"long-in\"\ndirection = \"in\"\nsize_over_bytes = 60\n\
    [[allow]]\nname = \"all\"\n";
/// Texts of more bytes leave with a human's yes alone.
pub(super) const OUT_FREE_BYTES: usize = 100;
/// Texts of more bytes come in with a human's yes alone.
pub(super) const IN_FREE_BYTES: usize = 60;

/// The first moment: 2026-01-01.
const BEGINNING_MS: u64 = 1_767_225_600_000;

/// Where an answer comes.
pub(super) type Answered = oneshot::Receiver<Result<Reply, ApiError>>;

/// A process.
pub(super) struct Life {
    pub(super) node: Node,
    pub(super) store: Stepped,
    pub(super) net: Arc<Noted>,
    /// What the net has told and the node has not taken yet.
    pub(super) events: VecDeque<NetEvent>,
    /// Whom its net lets in.
    pub(super) trusts: BTreeSet<PeerId>,
    /// What its hellos say, by peer.
    pub(super) features: BTreeMap<PeerId, Vec<String>>,
    /// Strangers are served.
    pub(super) pairing: bool,
    pub(super) run: Run,
    /// When it looks next for what is too late.
    pub(super) sweep_at: u64,
    /// When it started.
    pub(super) began: u64,
    /// Something was committed or read, and the node has not gone on yet.
    pub(super) answered: bool,
    _questions: mpsc::Receiver<Question>,
}

/// A machine.
pub(super) struct Host {
    pub(super) id: PeerId,
    pub(super) key: Arc<IdentityKey>,
    pub(super) human: ApproverKey,
    name: ClaimedName,
    port: u16,
    /// How far its clock is ahead.
    pub(super) ahead_ms: i64,
    pub(super) life: Option<Life>,
    disk: Option<Connection>,
    /// An older copy of what is on disk.
    pub(super) copy: Option<Connection>,
}

impl Host {
    /// A machine that is off, with an empty disk.
    pub(super) fn new(index: usize, [key, human]: [[u8; 32]; 2]) -> Self {
        let names = ["Alice", "Bob", "Carol", "Mallory"];
        let key = Arc::new(IdentityKey::from_seed(&Secret::new(key)));
        let id = key.id();
        Self {
            id,
            key,
            human: ApproverKey::from_seed(&Secret::new(human)),
            name: ClaimedName::parse(names[index]).unwrap(),
            port: 7001 + u16::try_from(index).unwrap(),
            ahead_ms: 0,
            life: None,
            disk: Some(Stepped::memory(&id).unwrap()),
            copy: None,
        }
    }

    /// What is on disk.
    pub(super) fn db(&self) -> &Connection {
        self.life.as_ref().map_or_else(|| self.disk.as_ref().unwrap(), |life| life.store.db())
    }

    /// Its own time.
    pub(super) fn time(&self, now: u64) -> Timestamp {
        Timestamp::from_ms((BEGINNING_MS + now).saturating_add_signed(self.ahead_ms))
    }

    /// From here on all that asks for the time hears its time.
    pub(super) fn at(&self, now: u64) {
        simulated::set(self.time(now), Duration::from_millis(now));
    }

    /// Starts its node, as the product does.
    pub(super) fn start(&mut self, now: u64, run: u64) {
        self.at(now);
        let db = self.disk.take().unwrap();
        let loaded = load(&db, &self.id).unwrap();
        let (store, mut stepped) = Stepped::store(db);
        stepped.set_full(false);
        let net = Noted::new(self.id, self.port);
        let (handle, questions) = NodeHandle::channel();
        let network =
            NetworkConfig { mode: Some(NetworkMode::Loopback), ..NetworkConfig::default() };
        let config = Config { network, ..Config::of(self.name.clone()) };
        let who = (Home::at("/nowhere").unwrap(), Arc::clone(&self.key), Some(self.human.id()));
        let around = (store, crate::net::Net::Simulated(Arc::clone(&net)), handle);
        let mut node = assemble(who, config, NetworkMode::Loopback, around, loaded);
        node.rules.policy = Policy::parse(POLICY).unwrap().into();
        let mut starting = pin!(remember_start(node));
        let mut ctx = Context::from_waker(Waker::noop());
        assert!(starting.as_mut().poll(&mut ctx).is_pending());
        stepped.commit(usize::MAX);
        let Poll::Ready(Ok(node)) = starting.poll(&mut ctx) else { panic!("it does not start") };
        self.life = Some(Life {
            node,
            store: stepped,
            net,
            events: VecDeque::new(),
            trusts: BTreeSet::new(),
            features: BTreeMap::new(),
            pairing: false,
            run: Run(run),
            sweep_at: now,
            began: now,
            answered: false,
            _questions: questions,
        });
    }

    /// The process ends between two instructions. What is committed stays.
    pub(super) fn die(&mut self) {
        if let Some(life) = self.life.take() {
            self.disk = Some(life.store.dies());
        }
    }

    /// Keeps a copy of what is on disk.
    pub(super) fn keep_copy(&mut self) {
        self.copy = Some(copy_of(self.db()));
    }

    /// The disk is as the copy was.
    pub(super) fn restore(&mut self) -> bool {
        let Some(copy) = &self.copy else { return false };
        assert!(self.life.is_none(), "nobody swaps a database under a process");
        self.disk = Some(copy_of(copy));
        true
    }

    /// Asks its node something.
    pub(super) fn ask(&mut self, request: Request, now: u64) -> Option<Answered> {
        self.at(now);
        let life = self.life.as_mut()?;
        let (answer, answered) = oneshot::channel();
        life.node.on_question(Question { request, session: None, answer });
        Some(answered)
    }
}

impl Life {
    /// Lets the node go on after one write or read. `false` when there is none.
    pub(super) fn go_on(&mut self) -> bool {
        let mut ctx = Context::from_waker(Waker::noop());
        let next = match self.node.writes.poll_next_unpin(&mut ctx) {
            Poll::Ready(Some(then)) => Some(then),
            Poll::Ready(None) | Poll::Pending => match self.node.reads.poll_next_unpin(&mut ctx) {
                Poll::Ready(then) => then,
                Poll::Pending => None,
            },
        };
        let Some(then) = next else {
            self.answered = false;
            return false;
        };
        then(&mut self.node);
        true
    }
}
