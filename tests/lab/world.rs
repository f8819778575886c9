//! A small internet: a network of servers with relays and a lookup, and whatever networks a case
//! puts beside it. It lies in a namespace that has no way out.

use std::{fs, net::Ipv4Addr, path::PathBuf, process::Command, time::Duration};

use patchbay::{Device, FirewallConfigBuilder, Lab, Nat, NodeId, Router, RouterPreset};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    servers::{self, Authority, Running},
    side::{Network, Side},
};

/// The lab of one case.
pub(crate) struct World {
    pub(crate) runtime: Runtime,
    pub(crate) lab: Lab,
    /// Where the servers are; no NAT, no firewall.
    pub(crate) servers: Router,
    pub(crate) relays: Vec<Server>,
    pub(crate) lookup: Server,
    folder: TempDir,
}

/// A server in a device of its own.
pub(crate) struct Server {
    pub(crate) device: Device,
    pub(crate) ip: Ipv4Addr,
    running: Running,
}

impl Server {
    /// Ends it, as the end of its process would.
    pub(crate) fn kill(&self) {
        self.running.kill();
    }
}

/// How a network is joined to the internet.
#[derive(Clone)]
pub(crate) enum Wall {
    /// Only its NAT.
    Nat(Nat),
    /// A NAT, and a firewall that lets out TCP to these ports and nothing else.
    Tcp(&'static [u16]),
}

impl World {
    /// With one relay.
    pub(crate) fn new() -> Self {
        Self::with_relays(1)
    }

    /// With so many relays, each with TLS at port 443, and address discovery over QUIC.
    pub(crate) fn with_relays(count: usize) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let folder = tempfile::Builder::new().prefix("cslab").tempdir().unwrap();
        let authority = Authority::new();
        fs::write(folder.path().join("roots.pem"), authority.pem()).unwrap();
        // It is root in a namespace of its own, as `main` started it.
        let lab = runtime.block_on(Lab::builder().allow_real_root().build()).unwrap();
        assert_no_way_out(&lab);
        let servers = runtime
            .block_on(lab.add_router("servers").preset(RouterPreset::PublicV4).build())
            .unwrap();
        let device = |name: &str| {
            runtime.block_on(lab.add_device(name).uplink(servers.id()).build()).unwrap()
        };
        let relays = (0..count).map(|n| {
            let device = device(&format!("relay{n}"));
            Server {
                ip: device.ip().unwrap(),
                running: servers::relay(&device, &authority),
                device,
            }
        });
        let relays = relays.collect();
        let device = device("lookup");
        let running = servers::lookup(&device, &authority, &folder.path().join("lookup"));
        let lookup = Server { ip: device.ip().unwrap(), running, device };
        Self { runtime, lab, servers, relays, lookup, folder }
    }

    /// The certificates by which the relays are trusted.
    pub(crate) fn roots(&self) -> PathBuf {
        self.folder.path().join("roots.pem")
    }

    /// What a home's configuration says about the network, when it uses all servers.
    pub(crate) fn network(&self) -> Network {
        Network {
            mode: "internet",
            relays: self.relays.iter().map(|relay| format!("https://{}", relay.ip)).collect(),
            lookups: vec![format!("https://{}/pkarr", self.lookup.ip)],
            roots: Some(self.roots()),
            more: String::new(),
        }
    }

    /// A network behind `wall`.
    pub(crate) fn router(&self, name: &str, wall: &Wall) -> Router {
        let builder = self.lab.add_router(name).preset(RouterPreset::PublicV4);
        let builder = match wall {
            Wall::Nat(nat) => builder.nat(*nat),
            Wall::Tcp(ports) => builder.nat(Nat::Moderate).firewall_custom(
                |firewall: &mut FirewallConfigBuilder| {
                    firewall
                        .block_inbound()
                        .block_udp()
                        .outbound_tcp(patchbay::PortPolicy::Allow(ports.to_vec()))
                },
            ),
        };
        self.runtime.block_on(builder.build()).unwrap()
    }

    /// A machine in a network.
    pub(crate) fn device(&self, name: &str, network: NodeId) -> Device {
        self.runtime.block_on(self.lab.add_device(name).uplink(network).build()).unwrap()
    }

    /// Two owners, each at a machine behind a wall of its own, not acquainted, nodes not started.
    pub(crate) fn two_sides(&self, walls: [Wall; 2], network: &Network) -> (Side, Side) {
        let side = |name: &str, home, wall: &Wall| {
            let (device, router) = self.elsewhere(name, wall);
            Side::new(home, device, router, network)
        };
        (side("alice", crate::side::alice(), &walls[0]), side("bob", crate::side::bob(), &walls[1]))
    }

    /// Starts an HTTP proxy beside the servers, and gives its URL.
    pub(crate) fn proxy(&self) -> String {
        let device = self.device("proxy", self.servers.id());
        // It ends with the lab.
        std::mem::forget(servers::proxy(&device));
        format!("http://{}:{}", device.ip().unwrap(), servers::PROXY_PORT)
    }

    /// A machine behind a NAT of its own.
    pub(crate) fn elsewhere(&self, name: &str, wall: &Wall) -> (Device, Router) {
        let router = self.router(&format!("nat-{name}"), wall);
        (self.device(name, router.id()), router)
    }

    /// Waits for something of the lab's own.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(20), future).await.expect("the lab in time")
        })
    }
}

/// Adds a rule to a router's forwarded packets, before all others of its.
pub(crate) fn forbid(router: &Router, table: &'static str, rule: &str) {
    let script = format!(
        "add table inet {table}; \
         add chain inet {table} f {{ type filter hook forward priority -300; }}; \
         add rule inet {table} f {rule}"
    );
    nft(router, script);
}

fn nft(router: &Router, script: String) {
    let run = move || {
        let output = Command::new("nft").arg(&script).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "nft {script}: {said}");
        Ok(())
    };
    router.run_sync(run).unwrap();
}

/// This process and the lab's own root have no network beside what the lab made.
fn assert_no_way_out(lab: &Lab) {
    let links = |text: String| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name.trim().to_owned())
            .collect()
    };
    let ours = links(fs::read_to_string("/proc/self/net/dev").unwrap());
    assert_eq!(ours, ["lo"], "this process must be in a network of its own");
    let routes = lab.ix().run_sync(|| Ok(fs::read_to_string("/proc/self/net/route")?)).unwrap();
    let default =
        routes.lines().skip(1).find(|line| line.split_whitespace().nth(1) == Some("00000000"));
    assert_eq!(default, None, "the lab must have no way out");
}
