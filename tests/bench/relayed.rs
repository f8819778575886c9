//! The same two ends, with a relay between them and no other way: in namespaces of their own, where
//! UDP is dropped once they know each other.

use std::{
    fs,
    process::{Command, Stdio},
};

use iroh_relay::server as relay_server;
use serde_json::json;

use crate::{
    agent::Lines,
    ends::{self, say},
    figures::Table,
    support::{Home, pairing::friends},
};

/// The argument of the process in the namespaces.
pub(crate) const INSIDE: &str = "inside";
/// The argument of the relay's process.
pub(crate) const RELAY: &str = "relay";

/// Runs it all in namespaces of its own, and prints a table.
pub(crate) fn measure() {
    eprintln!("via a relay: the same two processes, and a relay in a third");
    let script = "ip link set lo up && exec \"$0\" inside";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork"]);
    command.args(["--kill-child", "--mount-proc", "--", "sh", "-c", script]);
    command.arg(std::env::current_exe().unwrap()).stdin(Stdio::null());
    let done = command.status();
    if !done.is_ok_and(|status| status.success()) {
        eprintln!(
            "\n!!! NOT MEASURED: via a relay; it needs unshare, ip, nft and user namespaces.\n"
        );
    }
}

/// A relay on 127.0.0.1, which says where it is and runs until its input ends.
pub(crate) fn relay() {
    ends::run(async {
        let mut config = relay_server::ServerConfig::default();
        config.relay = Some(relay_server::RelayConfig::new(([127, 0, 0, 1], 0)));
        let server = relay_server::Server::spawn(config).await.unwrap();
        say(&json!({"url": format!("http://{}", server.http_addr().unwrap())}));
        let input = || std::io::read_to_string(std::io::stdin());
        tokio::task::spawn_blocking(input).await.unwrap().unwrap();
    });
}

/// In the namespaces.
pub(crate) fn inside() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(RELAY);
    let (mut at_relay, _relay) = Lines::of_program(command);
    let url = at_relay.read()["url"].as_str().unwrap().to_owned();
    let (alice, bob) = friends();
    let ids = [alice.id(), bob.id()];
    for (home, other) in [(&alice, &ids[1]), (&bob, &ids[0])] {
        home.stop();
        meet_at(home, other, &url);
    }
    let rules = "add table inet noudp; \
                 add chain inet noudp i { type filter hook input priority 0; }; \
                 add rule inet noudp i meta l4proto udp drop";
    assert!(Command::new("nft").arg(rules).status().unwrap().success());
    let mut table = Table::default();
    ends::measure_by(Some(&url), &alice, &bob, &mut table);
    println!("\nfigures:\nVia a relay, with no other way:\n");
    println!("figures:\n{table}");
}

/// The home uses the relay, and knows that the other one is there.
fn meet_at(home: &Home, other: &str, url: &str) {
    let file = home.path().join("config.toml");
    let config = fs::read_to_string(&file).unwrap();
    let network =
        format!("[network]\nrelays = [{url:?}]\n[network.peers]\n{other:?} = [{url:?}]\n");
    let config = if config.contains("[network]") {
        config.replacen("[network]\n", &network, 1)
    } else {
        format!("{config}\n{network}")
    };
    fs::write(&file, config).unwrap();
}
