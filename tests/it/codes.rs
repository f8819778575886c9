//! Two owners pair by three words: the command line, a terminal that completes them, and a lookup
//! server that both use.

use std::{fs, net::Ipv4Addr};

use iroh_dns_server::config::{Config, MetricsConfig, RateLimitConfig};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::{
    Home, SOON, alice, bob, mallory,
    pairing::{id, ready_item, trusted},
    pty::Terminal,
    until,
};

/// A pkarr server in this process, at a port of its own.
struct Lookup {
    url: String,
    _server: iroh_dns_server::Server,
    _data: tempfile::TempDir,
    _runtime: Runtime,
}

impl Lookup {
    fn start() -> Self {
        let data = tempfile::tempdir_in("/tmp").unwrap();
        let mut config = Config::default();
        config.data_dir = Some(data.path().to_owned());
        config.https = None;
        let http = config.http.as_mut().unwrap();
        (http.port, http.bind_addr) = (0, Some(Ipv4Addr::LOCALHOST.into()));
        (config.dns.port, config.dns.bind_addr) = (0, Some(Ipv4Addr::LOCALHOST.into()));
        config.metrics = Some(MetricsConfig::disabled());
        config.pkarr_put_rate_limit = RateLimitConfig::Disabled;
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(iroh_dns_server::Server::bind(config)).unwrap();
        let url = format!("http://{}/pkarr", server.http_addr().unwrap());
        Self { url, _server: server, _data: data, _runtime: runtime }
    }

    /// A home that meets others here.
    fn known_to(&self, home: Home) -> Home {
        home.stop();
        let file = home.path().join("config.toml");
        let config = fs::read_to_string(&file).unwrap();
        let lookups = format!("lookups = [\"{}\"]", self.url);
        let config = if config.contains("[network]") {
            config.replacen("[network]", &format!("[network]\n{lookups}"), 1)
        } else {
            format!("{config}\n[network]\n{lookups}\n")
        };
        fs::write(&file, config).unwrap();
        home.start();
        home
    }
}

fn code(home: &Home) -> String {
    let made = home.json(&["invite", "--code", "--note", "for Bob"]);
    assert_eq!(made.get("invite"), None, "{made:#}");
    let code = made["code"].as_str().unwrap().to_owned();
    assert_eq!(code.split(' ').count(), 3, "{code}");
    code
}

/// The human sees that they were paired by a code, and types the passphrase.
fn approve(home: &Home, item: &Value, said_it: bool) {
    let words = item["words"].as_array().unwrap();
    let mut command = vec!["approve", id(item)];
    command.extend(said_it.then_some("--verified"));
    let mut terminal = Terminal::open(home, &command);
    terminal.shows("paired by a code");
    for word in words {
        terminal.shows(word.as_str().unwrap());
    }
    if !said_it {
        terminal.shows("add --verified");
    }
    terminal.answer(home.passphrase);
    terminal.finish().expect(0);
}

#[test]
fn two_nodes_pair_by_three_words_and_only_a_human_who_said_them_verifies() {
    let lookup = Lookup::start();
    let (alice, bob) = (lookup.known_to(alice()), lookup.known_to(bob()));
    let words = code(&alice);
    let typed: Vec<&str> = words.split(' ').collect();
    let connect = [&["connect"], typed.as_slice(), &["--name", "alice", "--json"]].concat();
    let connected = bob.run(&connect).expect(3).json();
    assert_eq!((&connected["state"], &connected["answered"]), (&"requested".into(), &true.into()));
    let (at_alice, at_bob) = (ready_item(&alice, "peer_in"), ready_item(&bob, "peer_out"));
    assert_eq!(at_alice["note"], "for Bob", "{at_alice:#}");
    approve(&bob, &at_bob, false);
    assert_ne!(alice.peer_state("bob"), "trusted", "one yes is not enough");
    approve(&alice, &at_alice, true);
    trusted(&alice, &bob);
    assert_eq!(alice.peer("bob").unwrap()["verified"], true);
    assert_eq!(bob.peer("alice").unwrap()["verified"], false, "Bob did not say so");
    // The signed yes says so, so it is so after a restart too.
    alice.stop();
    alice.start();
    assert_eq!(alice.peer("bob").unwrap()["verified"], true);
    bob.send("alice", "met by three words");
    alice.received_text("met by three words");
}

#[test]
fn a_wrong_word_uses_the_code_up_and_its_owner_sees_it() {
    let lookup = Lookup::start();
    let (alice, mallory) = (lookup.known_to(alice()), lookup.known_to(mallory()));
    let words = code(&alice);
    let first = words.split(' ').next().unwrap();
    let guess = format!("{first} zoo zoo");
    mallory.run(&["connect", &guess]).expect(4).says(&["words were not right", "used up"]);
    until("Alice is told", SOON, || alice.warnings().contains("a wrong code was tried"));
    let shown = alice.run(&["pending"]).expect(0);
    assert!(shown.stdout.contains("a wrong code was tried"), "{shown}");
    assert!(shown.stdout.contains("Nothing waits"), "{shown}");
    mallory.run(&["connect", &words]).says(&["nobody waits"]);
    assert!(alice.pending().is_empty() && mallory.pending().is_empty());
    mallory.run(&["connect", "coper", "zoo", "zoo"]).expect(2).says(&["is it copper?"]);
    mallory.run(&["connect"]).expect(2).says(&["neither an invite nor a code"]);
}

#[test]
fn words_complete_in_the_terminal() {
    let lookup = Lookup::start();
    let (alice, bob) = (lookup.known_to(alice()), lookup.known_to(bob()));
    let words = code(&alice);
    let mut terminal = Terminal::open(&bob, &["connect", "--name", "alice"]);
    terminal.shows("Code or invite: ");
    for (number, word) in words.split(' ').enumerate() {
        terminal.press(&word[..word.len().min(4)]);
        terminal.press("\t");
        terminal.press(if number == 2 { "\r" } else { " " });
    }
    terminal.finish().expect(3);
    assert_eq!(ready_item(&alice, "peer_in")["by_code"], true);
}
