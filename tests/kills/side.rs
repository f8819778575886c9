//! One home and its node: started with a place to die at, asked, killed, and timed.

use std::{
    fs::File,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use countersign::{
    base::{
        PendingId, Secret,
        failpoint::{FAULT_VARIABLE, Failpoint, Fault, POINT_VARIABLE},
    },
    gate::Item,
    identity::ApproverKey,
    ipc::{ClientError, ask_once},
    node::{
        api::{AgentRequest, ErrorKind, HumanRequest, PendingShown, Request},
        clock,
        config::Home as Folder,
        review::{self, Checked},
        unlock,
    },
    store::keys,
    wire::Method,
};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::support::{Home, pty};

/// No answer takes longer, unless something hangs.
const ANSWER: Duration = Duration::from_secs(20);
/// No start takes longer.
const START: Duration = Duration::from_secs(30);
/// Between two looks at a node that starts or ends.
const LOOK: Duration = Duration::from_millis(3);

/// Where a node dies: the place, and how many times it is reached until then.
pub(crate) type Armed = (Failpoint, u32);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failed {
    /// No node took the question: nothing was done.
    NoNode,
    /// The node answered, and did nothing.
    Refused(ErrorKind, String),
    /// The node may have done it or not.
    Doubt(String),
}

/// How a start went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Started {
    /// It answered after this time.
    Ready(Duration),
    /// It died before it answered anything.
    Died,
}

/// One home with its human's key.
pub(crate) struct Side {
    pub(crate) home: Home,
    folder: Folder,
    human: ApproverKey,
    fault: Option<Fault>,
    node: Mutex<Option<Child>>,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Side {
    /// A home that is set up on a terminal. Its nodes have `fault`.
    pub(crate) fn new(name: &'static str, fault: Option<Fault>) -> Self {
        let home = Home::empty(name, "mauve otter drifts past nine lanterns");
        pty::init(&home, home.passphrase).expect(0);
        home.set_page_port();
        let folder = Folder::at(home.path()).unwrap();
        let sealed = keys::read_approver(&folder.approver_file()).unwrap().unwrap();
        let passphrase = Secret::new(home.passphrase.to_owned());
        let human = unlock::open(&folder, &sealed, &passphrase, clock::now()).unwrap();
        Self { home, folder, human, fault, node: Mutex::new(None) }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.home.name
    }

    /// Starts the node and waits until it answers, or dies.
    pub(crate) fn start(&self, armed: Option<Armed>) -> Started {
        let log = self.home.path().with_file_name("node.out");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = self.home.command(&["node"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        if let Some((point, times)) = armed {
            command.env(POINT_VARIABLE, format!("{}:{times}", point.name()));
        }
        if let Some(fault) = self.fault {
            command.env(FAULT_VARIABLE, fault.name());
        }
        let began = Instant::now();
        *hold(&self.node) = Some(command.spawn().unwrap());
        while began.elapsed() < START {
            if self.agent::<Value>(AgentRequest::Whoami).is_ok() {
                return Started::Ready(began.elapsed());
            }
            if self.is_dead() {
                return Started::Died;
            }
            thread::sleep(LOOK);
        }
        panic!("{}'s node does not answer within {START:?}", self.name());
    }

    /// Whether the node has ended. One that ended by itself, and not by a kill, is a fault of its
    /// own.
    pub(crate) fn is_dead(&self) -> bool {
        let mut node = hold(&self.node);
        let Some(child) = node.as_mut() else { return true };
        let Some(status) = child.try_wait().unwrap() else { return false };
        let killed = status.signal() == Some(Signal::KILL.as_raw());
        assert!(killed || status.success(), "{}'s node ended with {status}", self.home.name);
        *node = None;
        true
    }

    /// Ends the node by SIGKILL and waits until it is gone. False where it was gone already.
    pub(crate) fn kill(&self) -> bool {
        if self.is_dead() {
            return false;
        }
        let mut node = hold(&self.node);
        let Some(mut child) = node.take() else { return false };
        let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
        kill_process(pid, Signal::KILL).ok(); // It may have died just now.
        child.wait().unwrap();
        true
    }

    /// Waits until the node is gone. False where it still runs after `time`.
    pub(crate) fn dies_within(&self, time: Duration) -> bool {
        let began = Instant::now();
        while !self.is_dead() {
            if began.elapsed() >= time {
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }

    pub(crate) fn agent<T: DeserializeOwned>(&self, request: AgentRequest) -> Result<T, Failed> {
        self.ask(Request::Agent(request))
    }

    pub(crate) fn human<T: DeserializeOwned>(&self, request: HumanRequest) -> Result<T, Failed> {
        self.ask(Request::Human(request))
    }

    fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T, Failed> {
        ask_once(&self.folder, request, ANSWER).map_err(|error| match error {
            ClientError::NoNode => Failed::NoNode,
            // The store fails so when the node ends meanwhile.
            ClientError::Api(error) if error.kind == ErrorKind::Failed => {
                Failed::Doubt(error.to_string())
            }
            ClientError::Api(error) => Failed::Refused(error.kind, error.to_string()),
            ClientError::Io(_) | ClientError::Timeout(_) | ClientError::Protocol(_) => {
                Failed::Doubt(error.to_string())
            }
        })
    }

    /// An item as its human sees it.
    pub(crate) fn see(&self, pending: &str) -> Result<Checked, Failed> {
        let shown: PendingShown = self.human(HumanRequest::Show { id: pending.to_owned() })?;
        let me = keys::read_identity(&self.folder.identity_file()).unwrap().id();
        let checked = Checked::new(shown, me, &self.human.id());
        Ok(checked.expect("an item that is what the node says"))
    }

    /// Says yes to an item, with the human's key.
    pub(crate) fn approve(&self, pending: &str, seen: &Checked) -> Result<(), Failed> {
        let id: PendingId = pending.parse().unwrap();
        let by = (&self.human, clock::now());
        let decision = seen.approve(id, Method::Passphrase, false, by).unwrap();
        self.human::<Value>(review::request(id, &decision, None)).map(drop)
    }

    /// The end of what the node said.
    pub(crate) fn said(&self) -> String {
        let log = self.home.path().with_file_name("node.out");
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(12).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// The text of a message that waits.
pub(crate) fn text_of(seen: &Checked) -> String {
    match seen.item() {
        Item::Message(_, envelope) => {
            envelope.body().text().map(|text| text.as_str().to_owned()).unwrap_or_default()
        }
        Item::Peer(..) => String::new(),
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}'s node said:\n{}", self.name(), self.said());
        }
        self.kill();
    }
}
