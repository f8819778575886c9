//! Environment, PATH and configuration in the attacker's hands.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::Siege;
use crate::support::{Home, Output, mcp::Session, until};

/// The variables that the program may read. None of them is about a yes.
const READ: [&str; 16] = [
    "CLAUDE_PROJECT_DIR",
    // Of test builds alone: `tests/it/architecture.rs` shows that a normal one does not know them.
    "COUNTERSIGN_FAILPOINT",
    "COUNTERSIGN_FAULT",
    "COUNTERSIGN_SIM_BUG",
    "COUNTERSIGN_SIM_FROM",
    "COUNTERSIGN_SIM_RUNS",
    "COUNTERSIGN_SIM_SEED",
    "COUNTERSIGN_GALLERY",
    "COUNTERSIGN_HOME",
    "COUNTERSIGN_LOG",
    "COUNTERSIGN_NETWORK",
    "COUNTERSIGN_SESSION",
    "LOGNAME",
    "PATH",
    "TERM",
    "USER",
];

/// Runs a program of its own in place of each of these names, and gives where it leaves a mark.
fn fakes(home: &Home, names: &[&str]) -> (String, std::path::PathBuf) {
    let folder = home.path().parent().unwrap().to_owned();
    let (bin, mark) = (folder.join("bin"), folder.join("was-run"));
    fs::create_dir(&bin).unwrap();
    for name in names {
        let script = format!("#!/bin/sh\necho {name} >>'{}'\n", mark.display());
        fs::write(bin.join(name), script).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = std::env::var("PATH").unwrap_or_default();
    (format!("{}:{path}", bin.display()), mark)
}

#[test]
fn no_variable_of_the_environment_approves() {
    let siege = Siege::lay();
    let pass = siege.alice.passphrase;
    let named = ["PASSPHRASE", "PASSWORD", "APPROVE", "YES", "TRUST", "APPROVER", "AUTO", "INLINE"];
    for item in siege.items() {
        let mut command = siege.alice.command(&["approve", item]);
        for name in named {
            command.env(format!("COUNTERSIGN_{name}"), pass).env(name, pass);
        }
        command
            .env("SSH_ASKPASS", "/bin/echo")
            .env("CI", "1")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command.env("COUNTERSIGN_TEST", "1").env("EDITOR", "/bin/true");
        let output = Output::of(without_terminal(command)).expect(1);
        output.says(&["terminal"]);
    }
    siege.holds("variables of the environment");
}

/// The same command in a session of its own, where no terminal is.
fn without_terminal(command: std::process::Command) -> std::process::Command {
    let mut alone = std::process::Command::new("setsid");
    alone.arg("-w").arg(command.get_program()).args(command.get_args()).env_clear();
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    alone.envs(set).stdin(std::process::Stdio::null());
    if let Some(folder) = command.get_current_dir() {
        alone.current_dir(folder);
    }
    alone
}

/// Every name that stands in a call that reads the environment, in the program's source.
fn names_read(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names_read(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            for call in ["env::var(", "env::var_os(", "try_from_env(", "from_env(", "env = "] {
                for rest in source.split(call).skip(1) {
                    let name =
                        rest.trim_start().strip_prefix('"').and_then(|r| r.split('"').next());
                    found.extend(name.map(str::to_owned));
                }
            }
        }
    }
}

#[test]
fn the_program_reads_no_other_variables() {
    let mut found = BTreeSet::new();
    names_read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let unknown: Vec<&String> =
        found.iter().filter(|name| !READ.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "new variables: can any of them stand for a yes? {unknown:?}");
    assert!(found.contains("COUNTERSIGN_NETWORK"), "the search finds what there is: {found:?}");
}

#[test]
fn no_setting_approves_trusts_or_loosens() {
    let siege = Siege::lay();
    let file = siege.alice.path().join("config.toml");
    let kept = fs::read_to_string(&file).unwrap();
    siege.alice.stop();
    let lines = [
        "approve = true",
        "auto_approve = \"all\"",
        "approver = \"did:key:z6Mk\"",
        "passphrase = \"x\"",
        "trust = [\"*\"]",
        "policy = \"loose.toml\"",
        "inline = true",
        "[policy]\nallow = true",
        "[gate]\nask = false",
        "[[allow]]\nname = \"all\"",
        "[grants]\nhours = 720",
    ];
    for line in lines {
        // Keys of the file come before its tables.
        fs::write(&file, format!("{line}\n{kept}")).unwrap();
        siege.alice.run(&["node"]).expect(1).says(&["config.toml"]);
    }
    for table in ["page", "network"] {
        let changed = kept.replace(&format!("[{table}]"), &format!("[{table}]\napprove = true"));
        if changed != kept {
            fs::write(&file, changed).unwrap();
            siege.alice.run(&["node"]).expect(1).says(&["config.toml"]);
        }
    }
    fs::write(&file, kept).unwrap();
    siege.alice.start();
    siege.holds("settings");
}

#[test]
fn a_false_program_first_in_path_is_not_run_for_ours() {
    let siege = Siege::lay();
    siege.alice.stop();
    let names = ["countersign", "sh", "setsid", "stty", "tty", "pinentry", "ssh-askpass"];
    let (path, mark) = fakes(&siege.alice, &names);
    // A session starts the node, and looks for it nowhere.
    let mut command = siege.alice.command(&["mcp"]);
    command.env("PATH", &path);
    let session = Session::started_as(command);
    session.call("peer_whoami", serde_json::json!({}));
    until("the node runs", crate::support::SOON, || siege.alice.pid());
    let mut approve = siege.alice.command(&["approve", &siege.item]);
    approve.env("PATH", &path).env("SHELL", "sh");
    Output::of(without_terminal_of(approve));
    assert!(!mark.exists(), "{}", fs::read_to_string(&mark).unwrap_or_default());
    siege.holds("a false program first in PATH");
    session.close();
    siege.alice.run(&["stop"]).expect(0);
}

/// By its whole path, so that `setsid` itself is not one of the fakes.
fn without_terminal_of(command: std::process::Command) -> std::process::Command {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|dir| dir.join("setsid"))
        .find(|place| place.is_file());
    let mut alone = std::process::Command::new(found.unwrap());
    alone.arg("-w").arg(command.get_program()).args(command.get_args()).env_clear();
    alone.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    alone.stdin(std::process::Stdio::null());
    alone
}

#[test]
fn what_opens_the_browser_gets_a_link_and_no_yes() {
    let siege = Siege::lay();
    let (_, code) = crate::page_attacks::visitor::way_in(&siege.alice);
    assert!(code.len() >= 20, "a link is a secret");
    // The worst case: the opener keeps the link and uses it first.
    super::page::with_a_stolen_session(&siege);
    siege.holds("a stolen link");
}

#[test]
fn another_home_in_the_environment_has_nothing_to_approve() {
    let siege = Siege::lay();
    for variable in ["COUNTERSIGN_HOME", "HOME"] {
        let mut command = siege.alice.command(&["approve", &siege.item]);
        command.env_remove("COUNTERSIGN_HOME");
        let other = match variable {
            "COUNTERSIGN_HOME" => siege.mallory.path(),
            _ => siege.mallory.path().parent().unwrap().to_owned(),
        };
        command.env(variable, other);
        assert_ne!(Output::of(without_terminal(command)).code, Some(0));
    }
    siege.holds("another home in the environment");
    let nobody = siege.mallory.path().parent().unwrap().join(".countersign/node.lock");
    assert!(!nobody.exists(), "no home was made there");
}
