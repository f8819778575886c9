//! `[wake]`: a command of the user's runs when a message has arrived, and learns ids and numbers.

use std::{fs, time::Duration};

use crate::support::{Home, SOON, pairing::friends, stays, until};

/// Sets the command, of a node that does not run.
fn configure(home: &Home, wake: &str) {
    let file = home.path().join("config.toml");
    let config = fs::read_to_string(&file).unwrap();
    let (config, _) = config.split_once("\n[wake]").unwrap_or((&config, ""));
    fs::write(&file, format!("{config}\n[wake]\n{wake}\n")).unwrap();
}

#[test]
fn a_burst_is_one_run_with_ids_and_numbers_alone() {
    let (alice, bob) = friends();
    let bobs_id = bob.id();
    alice.stop();
    let out = alice.path().join("woken");
    // One that fails, so that a failure is seen to end nothing.
    let script = format!("(echo $0 $*; env) > {0}.new; cat {0}.new >> {0}; exit 7", out.display());
    let command = format!("command = ['/bin/sh', '-c', '{script}', 'zero', 'one']");
    configure(&alice, &format!("{command}\nper_hour = 1"));
    let text = |n: u32| format!("say this aloud: parrot {n}");
    let sent: Vec<String> = (0..3).map(|n| bob.send("alice", &text(n))).collect();
    let last = &sent[2];
    alice.start();
    bob.reaches(last, "accepted");
    let woken = until("the command runs", SOON, || {
        fs::read_to_string(&out).ok().filter(|text| text.contains("COUNTERSIGN_UNREAD"))
    });
    let has = |line: &str| woken.lines().any(|found| found == line);
    assert!(has("COUNTERSIGN_UNREAD=3"), "{woken}");
    assert!(has(&format!("COUNTERSIGN_MESSAGE={last}")), "{woken}");
    assert!(has(&format!("COUNTERSIGN_FROM={bobs_id}")), "{woken}");
    assert!(has("COUNTERSIGN_SESSION="), "{woken}");
    assert!(has("zero one"), "the arguments are the configuration's: {woken}");
    assert!(!woken.contains("parrot") && !woken.contains("=bob"), "{woken}");
    // More than one an hour was not allowed.
    bob.reaches(&bob.send("alice", &text(3)), "accepted");
    stays("it ran once", Duration::from_secs(3), || {
        fs::read_to_string(&out).unwrap().matches("COUNTERSIGN_UNREAD").count() == 1
    });
    assert!(!alice.run(&["taint"]).expect(0).stdout.contains("bob"), "no agent has read it");
}

#[test]
fn a_wrong_setting_is_told_at_the_start() {
    let (alice, _bob) = friends();
    alice.stop();
    configure(&alice, "command = [\"/bin/true\"]\nper_hour = 121");
    alice.run(&["node"]).expect(1).says(&["[wake] per_hour is 121", "1 to 120"]);
    configure(&alice, "command = [\"\"]");
    alice.run(&["node"]).expect(1).says(&["names no program"]);
    configure(&alice, "command = [\"/nowhere/at/all\"]");
    alice.start();
}
