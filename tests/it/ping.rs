//! How a peer is reached, and what is wrong with the network: `ping`, `peers` and `doctor`.

use std::fs;

use serde_json::Value;

use crate::support::{Home, SOON, alice, pairing::friends, ports, until};

/// A copy of a home whose node does not run, as a person makes one, with another page's port.
fn copied(home: &Home) -> Home {
    let copy = Home::empty(home.name, home.passphrase);
    fs::create_dir(copy.path()).unwrap();
    for file in fs::read_dir(home.path()).unwrap() {
        let file = file.unwrap();
        let name = file.file_name();
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), copy.path().join(&name)).unwrap();
        }
    }
    let config = copy.path().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.split("[page]").next().unwrap()).unwrap();
    copy.set_page_port();
    copy
}

/// What `doctor` found of this name.
fn found(report: &Value, name: &str) -> Vec<Value> {
    let all = report["checks"].as_array().unwrap();
    all.iter().filter(|check| check["name"] == name).cloned().collect()
}

#[test]
fn a_peer_that_runs_answers_and_its_agent_hears_nothing() {
    let (alice, bob) = friends();
    let reached = alice.json(&["ping", "bob", "--count", "4"]);
    assert_eq!(reached["reachable"], true, "{reached:#}");
    assert_eq!((&reached["path"], &reached["pq"]), (&"direct".into(), &true.into()), "{reached:#}");
    assert_eq!(reached["version"], env!("CARGO_PKG_VERSION"));
    let rtts: Vec<f64> =
        reached["rtt_ms"].as_array().unwrap().iter().map(|ms| ms.as_f64().unwrap()).collect();
    assert_eq!((rtts.len(), &reached["lost"]), (4, &0.into()));
    let (min, max) = (reached["min_ms"].as_f64().unwrap(), reached["max_ms"].as_f64().unwrap());
    let avg = reached["avg_ms"].as_f64().unwrap();
    assert!(0.0 < min && min <= avg && avg <= max && rtts.contains(&min), "{reached:#}");
    let text = alice.run(&["ping", "bob"]).expect(0).stdout;
    assert!(
        ["direct", "post-quantum", "round trips"].iter().all(|word| text.contains(word)),
        "{text}"
    );
    assert!(bob.received().is_empty() && bob.pending().is_empty());

    let peer = alice.peer("bob").unwrap();
    assert_eq!(peer["pq"], true, "{peer:#}");
    let since = peer["path_since"].as_str().unwrap().to_owned();
    bob.stop();
    let peer = until("bob is offline", SOON, || {
        alice.peer("bob").filter(|peer| peer["path"] == "offline")
    });
    assert!(peer["pq"].is_null() && peer["path_since"].as_str().unwrap() > since.as_str());
}

#[test]
fn a_peer_that_does_not_answer_is_told_with_the_reason_and_what_was_tried() {
    let (alice, bob) = friends();
    bob.stop();
    let silent = alice.json_code(&["ping", "bob", "--timeout", "1"], 1);
    assert_eq!((&silent["reachable"], &silent["path"]), (&false.into(), &"offline".into()));
    assert!(silent["reason"].as_str().unwrap().starts_with("no answer"), "{silent:#}");
    assert!(silent["tried"][0].as_str().unwrap().starts_with("127.0.0.1:"), "{silent:#}");
    assert!(silent["next"].as_str().unwrap().contains("countersign doctor"), "{silent:#}");
    assert_eq!(silent["rtt_ms"], Value::Array(Vec::new()));

    bob.start();
    bob.run(&["revoke", "alice"]).expect(0);
    let refused = alice.json_code(&["ping", "bob"], 1);
    assert!(refused["reason"].as_str().unwrap().contains("does not trust"), "{refused:#}");
    assert!(refused["next"].as_str().unwrap().contains("invite"), "{refused:#}");
    let ours = bob.json_code(&["ping", "alice"], 1);
    assert!(ours["reason"].as_str().unwrap().contains("revoked, not trusted"), "{ours:#}");
    alice.run(&["ping", "carol"]).expect(1).says(&["there is no peer", "countersign peers"]);
    alice.run(&["ping", "bob", "--count", "11"]).expect(2);
}

#[test]
fn doctor_tells_of_a_relay_that_is_not_there_and_of_the_rest() {
    let alice = alice();
    let well = alice.json(&["doctor"]);
    assert_eq!(found(&well, "udp")[0]["health"], "ok", "{well:#}");
    assert_eq!(found(&well, "relay")[0]["text"], "none, as loopback mode has it");
    for name in ["lookup", "mdns", "page"] {
        assert_eq!(found(&well, name)[0]["health"], "ok", "{name}: {well:#}");
    }

    alice.stop();
    let port = ports::own();
    let file = alice.path().join("config.toml");
    let config = fs::read_to_string(&file).unwrap();
    let (before, page) = config.split_once("[page]").unwrap();
    let relay = format!("http://127.0.0.1:{port}/");
    let before = before.replace("[network]", "");
    let lookup = format!("{relay}pkarr");
    let network = format!("[network]\nrelays = [\"{relay}\"]\nlookups = [\"{lookup}\"]");
    fs::write(&file, format!("{before}\n{network}\n[page]{page}")).unwrap();
    alice.start();
    let ill = alice.json_code(&["doctor"], 1);
    let check = &found(&ill, "relay")[0];
    assert_eq!(check["health"], "problem", "{ill:#}");
    assert!(check["text"].as_str().unwrap().starts_with(&relay), "{check:#}");
    assert!(check["remedy"].as_str().unwrap().contains("config.toml"), "{check:#}");
    let check = &found(&ill, "lookup")[0];
    assert_eq!(check["health"], "problem", "{ill:#}");
    assert!(check["text"].as_str().unwrap().starts_with(&lookup), "{check:#}");
    assert!(check["remedy"].as_str().unwrap().contains("lookups under"), "{check:#}");
    let text = alice.run(&["doctor"]).expect(1).stdout;
    assert!(text.contains("cannot be used") && text.contains("→ see that it runs"), "{text}");
}

#[test]
fn a_home_that_runs_in_two_places_is_noticed_by_all_and_said() {
    let (alice, bob) = friends();
    bob.stop();
    let copy = copied(&bob);
    bob.start();
    until("bob is linked", SOON, || alice.peer("bob").unwrap()["path"] == "direct");
    copy.start();
    for home in [&bob, &copy] {
        let warned = until("both places are told", SOON, || {
            Some(home.warnings()).filter(|text| text.contains("also runs somewhere else"))
        });
        assert!(warned.contains("alice saw both at"), "{warned}");
        let report = home.json_code(&["doctor"], 1);
        let check = &found(&report, "identity")[0];
        assert_eq!(check["health"], "problem", "{report:#}");
        assert!(check["remedy"].as_str().unwrap().contains("stop the node"), "{check:#}");
    }
    assert!(alice.warnings().contains("bob's key runs in two places at once"));
    let peer = alice.peer("bob").unwrap();
    assert_eq!(peer["warning"], "bob's key runs in two places at once", "{peer:#}");

    // The first place has the link, and what is sent arrives there.
    alice.send("bob", "which of you?");
    bob.received_text("which of you?");
    let twin = copy.json_code(&["ping", "alice", "--timeout", "2"], 1);
    assert!(twin["reason"].as_str().unwrap().contains("another node of this identity"), "{twin:#}");
    // When it ends, the other one takes its place.
    bob.kill_node();
    assert_eq!(copy.json(&["ping", "alice", "--timeout", "30"])["reachable"], true);
}
