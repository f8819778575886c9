//! Homes made without anybody typing: keys, consents that verify, and messages by the store's own
//! functions.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use countersign::{
    audit::Event,
    base::{
        ApproverId, ClaimedName, InviteId, MessageId, PeerId, PeerName, PendingId, Secret,
        Timestamp,
    },
    gate::{Answer, Decision, Item, Statement, What},
    identity::{ApproverKey, IdentityKey, SealNonces, SealedApprover},
    node::{clock, config},
    store::{
        Store, audit, keys,
        peers::{self, ConsentRow, PeerRow},
        storage_key::KeySource,
    },
    trust::{self, PeerState},
    wire::{ConsentRecord, Method, Party},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{agent::Lines, support::PROGRAM};

/// No node takes longer to start or to end.
const TIMEOUT: Duration = Duration::from_mins(2);

/// A person: the seed of their approver key, and the file that holds it.
pub(crate) struct Human {
    key: ApproverKey,
    sealed: SealedApprover,
}

impl Human {
    pub(crate) fn new() -> Self {
        let seed = clock::random();
        let passphrase = Secret::new("slate heron borrows nine umbrellas".to_owned());
        let nonces = SealNonces { salt: clock::random(), nonce: clock::random() };
        let sealed = SealedApprover::seal(&Secret::new(seed), &passphrase, &nonces).unwrap();
        Self { key: ApproverKey::from_seed(&Secret::new(seed)), sealed }
    }

    fn id(&self) -> ApproverId {
        self.key.id()
    }
}

/// A home, and its node where it runs in a process of its own.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) home: config::Home,
    pub(crate) key: IdentityKey,
    udp: u16,
    folder: TempDir,
    node: Option<Child>,
}

impl Place {
    /// A home that is set up; its node stays on loopback and keeps one port.
    pub(crate) fn new(name: &str, human: &Human) -> Self {
        let folder = tempfile::Builder::new().prefix("cs").tempdir().unwrap();
        let home = config::Home::at(folder.path().join("h")).unwrap();
        keys::create_home(home.path()).unwrap();
        let seed = Secret::new(clock::random());
        let key = IdentityKey::from_seed(&seed);
        keys::create_identity(&home.identity_file(), &seed).unwrap();
        keys::create_approver(&home.approver_file(), &human.sealed).unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "name = \"{name}\"\n[network]\nmode = \"loopback\"\nport = {udp}\n[page]\nport = {tcp}\n[storage]\nkey = \"file\"\n"
        );
        keys::write_new(&home.config_file(), config.as_bytes()).unwrap();
        Self { name: name.to_owned(), home, key, udp, folder, node: None }
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(
            &self.home.database_file(),
            &self.key.id(),
            &KeySource::file(self.home.storage_key_file()),
        )
        .unwrap()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.udp)
    }

    fn party(&self, human: &Human) -> Party {
        let name = ClaimedName::parse(&self.name).unwrap();
        Party { identity: self.key.id(), approver: human.id(), name, nonce: clock::random() }
    }

    /// Starts the node; gives how long it took to its first answer.
    pub(crate) fn start(&mut self) -> Duration {
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("node").env_clear().env("COUNTERSIGN_HOME", self.home.path());
        command.env("HOME", self.folder.path()).env("COUNTERSIGN_NETWORK", "loopback");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let begun = Instant::now();
        self.node = Some(command.spawn().unwrap());
        loop {
            if let Ok(stream) = UnixStream::connect(self.home.socket_file()) {
                Client::of(stream).ask(&json!({"agent": "whoami"}));
                return begun.elapsed();
            }
            let said = || fs::read_to_string(self.log()).unwrap_or_default();
            assert!(begun.elapsed() < TIMEOUT, "the node does not start: {}", said());
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("node.out")
    }

    pub(crate) fn client(&self) -> Client {
        Client::of(UnixStream::connect(self.home.socket_file()).unwrap())
    }

    /// Ends the node in order.
    pub(crate) fn stop(&mut self) {
        self.client().ask(&json!({"human": "stop"}));
        let mut node = self.node.take().unwrap();
        let begun = Instant::now();
        while node.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < TIMEOUT, "the node does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the node as a crash does.
    pub(crate) fn kill(&mut self) {
        let mut node = self.node.take().unwrap();
        node.kill().unwrap();
        node.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.node.as_ref().unwrap().id()
    }

    /// Resident memory of the node, MiB.
    pub(crate) fn rss_mib(&self) -> f64 {
        rss_mib(self.pid())
    }

    /// What the home takes on the disk, MiB.
    pub(crate) fn disk_mib(&self) -> f64 {
        let entries = fs::read_dir(self.home.path()).unwrap();
        let sizes = entries.map(|entry| entry.unwrap().metadata().map_or(0, |data| data.len()));
        mib(sizes.sum::<u64>())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut node) = self.node.take() {
            node.kill().ok(); // It may have ended by itself.
            node.wait().ok();
        }
    }
}

pub(crate) fn mib(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few GiB")]
    let bytes = bytes as f64;
    bytes / 1_048_576.0
}

pub(crate) fn rss_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Writes in one transaction, and waits for it.
pub(crate) fn write<T: Send + 'static>(
    store: &Store,
    op: impl FnOnce(&rusqlite::Connection) -> Result<T, countersign::store::StoreError> + Send + 'static,
) -> T {
    store.write(op).blocking_recv().unwrap().unwrap()
}

/// Leaves one file, in order.
pub(crate) fn close(store: Store) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.fold());
}

/// A peer's row.
pub(crate) fn row(id: PeerId, name: &str, state: PeerState, addresses: Vec<String>) -> PeerRow {
    PeerRow {
        id,
        name: PeerName::parse(name).unwrap(),
        claim: ClaimedName::parse(name).unwrap(),
        state,
        addresses,
        consent: None,
        other_approver: None,
        created: clock::now(),
        seen: None,
    }
}

/// What both humans signed, and that one of them decided so, as a row of that one's home.
pub(crate) struct Trust {
    record: ConsentRecord,
    by_inviter: Vec<u8>,
    by_joiner: Vec<u8>,
}

impl Trust {
    pub(crate) fn between(inviter: (&Place, &Human), joiner: (&Place, &Human)) -> Self {
        Self::of((inviter.0.party(inviter.1), inviter.1), (joiner.0.party(joiner.1), joiner.1))
    }

    /// With a peer that has no home.
    pub(crate) fn with(own: (&Place, &Human), id: PeerId, name: &str, human: &Human) -> Self {
        let name = ClaimedName::parse(name).unwrap();
        let party = Party { identity: id, approver: human.id(), name, nonce: clock::random() };
        Self::of((own.0.party(own.1), own.1), (party, human))
    }

    fn of((inviter, by): (Party, &Human), (joiner, also_by): (Party, &Human)) -> Self {
        let (invite, created) = (InviteId::from_bytes(clock::random()), clock::now());
        let record = ConsentRecord { invite, created, inviter, joiner };
        let by_inviter = trust::sign_consent(&by.key, &record).to_vec();
        let by_joiner = trust::sign_consent(&also_by.key, &record).to_vec();
        Self { record, by_inviter, by_joiner }
    }

    /// Writes it down at `place`, whose human compared the words; the peer was reached there.
    pub(crate) fn keep(&self, store: &Store, place: (&Place, &Human), name: &str, at: Vec<String>) {
        let me = place.0.key.id();
        let inviter = self.record.inviter.identity == me;
        let (ours, theirs) = (self.by_inviter.clone(), self.by_joiner.clone());
        let (ours, theirs) = if inviter { (ours, theirs) } else { (theirs, ours) };
        let peer = self.record.sides(&me).unwrap().1.identity;
        let what = if inviter { What::PeerIn } else { What::PeerOut };
        let item = Item::Peer(what, self.record.clone());
        let statement = Statement {
            id: PendingId::from_bytes(clock::random()),
            digest: item.digest(),
            answer: Answer::Approve,
            method: Method::Passphrase,
            at: clock::now(),
            verified: true,
            after: Vec::new(),
        };
        let decision = Decision::sign(&item, &statement, &place.1.key).unwrap();
        let consent = ConsentRow { record: self.record.encode(), ours, theirs, decision: None };
        let row = row(peer, name, PeerState::Incoming, at);
        write(store, move |db| {
            peers::put(db, &row)?;
            peers::set_decision(db, &peer, &decision)?;
            peers::set_trusted(db, &peer, &consent)?;
            let (from, to) = ("incoming".to_owned(), "trusted".to_owned());
            let event = Event::TrustMoved { peer: peer.to_string(), from, to };
            audit::append(db, clock::now(), &event).map(drop)
        });
    }
}

/// The two trust each other, and know where they are.
pub(crate) fn befriend(one: (&Place, &Human), other: (&Place, &Human)) {
    let trust = Trust::between(one, other);
    for (place, peer) in [(one, other), (other, one)] {
        let store = place.0.store();
        trust.keep(&store, place, &peer.0.name, vec![peer.0.address()]);
        close(store);
    }
}

/// A person's connection to a node: one question after the other.
pub(crate) struct Client {
    lines: Lines,
    last: u64,
}

impl Client {
    fn of(stream: UnixStream) -> Self {
        let mut lines = Lines::new(stream);
        let pid = std::process::id();
        lines.write(&json!({"hello": 1, "role": "client", "pid": pid, "cwd": "/"}));
        assert_eq!(lines.read()["hello"], 1);
        Self { lines, last: 0 }
    }

    pub(crate) fn ask(&mut self, request: &Value) -> Value {
        self.last += 1;
        self.lines.write(&json!({"id": self.last, "request": request}));
        let answer = self.lines.read();
        assert!(answer["error"].is_null(), "{request}: {answer}");
        answer["reply"].clone()
    }

    /// Waits until a message has come to one of these states.
    pub(crate) fn reaches(&mut self, id: &str, states: &[&str]) {
        let begun = Instant::now();
        loop {
            let life = self.ask(&json!({"agent": "message", "id": id}));
            let state = life["state"].as_str().unwrap();
            if states.contains(&state) {
                return;
            }
            assert!(begun.elapsed() < TIMEOUT, "{life}");
        }
    }
}

/// A message's id from a number, the same in every run.
pub(crate) fn id_of(n: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&mixed(n).to_be_bytes());
    bytes[8..].copy_from_slice(&mixed(!n).to_be_bytes());
    MessageId::from_bytes(bytes)
}

/// `SplitMix64` (Steele, Lea and Flood 2014): one number from another, evenly spread.
pub(crate) const fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// A time so long before `now`.
pub(crate) fn before(now: Timestamp, by: Duration) -> Timestamp {
    now.minus(by)
}
