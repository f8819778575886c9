//! One owner in a lab: a home, and the machine that its node runs on.
//!
//! Only the node is in the machine's namespace. The commands talk to it over its Unix socket, which
//! is a file, and run where there is no network at all: a node that one of them starts by mistake
//! reaches nobody.

use std::{fs, path::PathBuf, process::Command, sync::Arc, time::Duration};

use patchbay::{Device, Router};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Home, SOON, pty, until};

/// `[network]` of a home's configuration.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) mode: &'static str,
    pub(crate) relays: Vec<String>,
    pub(crate) lookups: Vec<String>,
    pub(crate) roots: Option<PathBuf>,
    /// Further lines.
    pub(crate) more: String,
}

impl Network {
    fn toml(&self) -> String {
        let roots =
            self.roots.as_ref().map(|path| format!("roots = {:?}\n", path.display().to_string()));
        format!(
            "[network]\nmode = {:?}\nrelays = {:?}\nlookups = {:?}\n{}{}",
            self.mode,
            self.relays,
            self.lookups,
            roots.unwrap_or_default(),
            self.more
        )
    }
}

/// Alice's home, empty.
pub(crate) fn alice() -> Home {
    Home::empty("alice", "mauve otter drifts past nine lanterns")
}

/// Bob's home, empty.
pub(crate) fn bob() -> Home {
    Home::empty("bob", "gravel violin borrowed a copper umbrella")
}

/// One owner.
pub(crate) struct Side {
    pub(crate) home: Arc<Home>,
    pub(crate) device: Device,
    /// What its machine's network hangs at.
    pub(crate) router: Router,
    has_relay: bool,
}

impl Side {
    /// Sets an empty home up, at a machine. Its node does not run yet.
    pub(crate) fn new(mut home: Home, device: Device, router: Router, network: &Network) -> Self {
        home.more.push(("COUNTERSIGN_NETWORK", network.mode.to_owned()));
        if let Ok(level) = std::env::var("COUNTERSIGN_LOG") {
            home.more.push(("COUNTERSIGN_LOG", level));
        }
        pty::init(&home, home.passphrase).expect(0);
        let side =
            Self { home: Arc::new(home), device, router, has_relay: !network.relays.is_empty() };
        side.configure(network);
        side
    }

    /// The same owner on another machine: the home's folder is copied there. The node must not run
    /// here, and does not run there yet.
    pub(crate) fn moved_to(&self, device: Device, router: Router) -> Self {
        let mut home = Home::empty(self.home.name, self.home.passphrase);
        home.more.clone_from(&self.home.more);
        let (from, to) = (self.home.path(), home.path());
        let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
        assert!(copied.success());
        Self { home: Arc::new(home), device, router, has_relay: self.has_relay }
    }

    /// Which relay the node is at home at.
    pub(crate) fn home_relay(&self) -> Option<String> {
        let whoami = self.home.json(&["whoami"]);
        let addresses = whoami["network"]["addresses"].as_array().unwrap();
        let mut addresses = addresses.iter().map(|address| address.as_str().unwrap());
        addresses.find(|address| address.starts_with("https://")).map(str::to_owned)
    }

    /// Writes the configuration anew.
    pub(crate) fn configure(&self, network: &Network) {
        let file = self.home.path().join("config.toml");
        let text = format!("name = {:?}\n{}", self.home.name, network.toml());
        fs::write(file, text).unwrap();
    }

    /// Starts the node on its machine and waits until it answers.
    pub(crate) fn start(&self) {
        let home = Arc::clone(&self.home);
        let start = move || {
            home.start();
            Ok(())
        };
        self.device.spawn_thread(start).unwrap().join().unwrap().unwrap();
    }

    /// Waits until the node can say where it is.
    pub(crate) fn is_online(&self) {
        until(&format!("{} can be reached", self.home.name), SOON, || {
            if self.has_relay {
                return self.home_relay().is_some();
            }
            let whoami = self.home.json(&["whoami"]);
            !whoami["network"]["addresses"].as_array().unwrap().is_empty()
        });
    }

    /// How the node reaches a peer now.
    pub(crate) fn path_to(&self, other: &Side) -> String {
        let peer = self.home.peer(other.home.name);
        peer.map(|peer| peer["path"].as_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// Waits until the node reaches a peer, and how it should.
    pub(crate) fn reaches(&self, other: &Side, path: &str, within: Duration) {
        let what = format!("{} reaches {} ({path})", self.home.name, other.home.name);
        until(&what, within, || self.path_to(other) == path);
    }
}

/// Stops a node's process, or lets it go on.
pub(crate) fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Starts both nodes, and pairs their owners as two people do.
pub(crate) fn befriend(host: &Side, guest: &Side) {
    host.start();
    guest.start();
    host.is_online();
    guest.is_online();
    crate::support::pair(&host.home, &guest.home);
}
