//! A pseudo-terminal without the passphrase, and the passphrase without a terminal.

use super::Siege;
use crate::support::{PROGRAM, pty::Terminal};

/// Every command that a passphrase is typed for, on this home.
fn commands(siege: &Siege) -> Vec<Vec<String>> {
    let loose = siege.alice.path().join("loose.toml");
    std::fs::write(&loose, super::LOOSE).unwrap();
    let archive = siege.alice.path().join("out.countersign");
    let known = siege.alice.json(&["known", "list"])["values"][0]["id"].clone();
    let lines = [
        format!("approve {}", siege.item),
        format!("approve {} --verified", siege.stranger),
        format!("approve {} --for 720 --messages 1000", siege.item),
        format!("policy set {}", loose.display()),
        "policy inline on --for 720".to_owned(),
        "taint clear".to_owned(),
        format!("known forget {}", known.as_str().unwrap()),
        format!("move export {}", archive.display()),
    ];
    lines.iter().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

fn words(line: &[String]) -> Vec<&str> {
    line.iter().map(String::as_str).collect()
}

#[test]
fn no_command_takes_the_passphrase_from_anything_but_a_terminal() {
    let siege = Siege::lay();
    let typed = format!("{0}\n{0}\ny\nyes\n", siege.alice.passphrase);
    for line in commands(&siege) {
        let line = words(&line);
        let output = siege.alice.run_without_terminal(&line, &typed);
        assert!(matches!(output.code, Some(1..=4)), "{output}");
        for flag in ["--passphrase", "--yes", "--force", "--password-stdin", "--no-input"] {
            let with = [&line[..], &[flag, siege.alice.passphrase]].concat();
            assert_ne!(siege.alice.run(&with).code, Some(0), "{flag}");
        }
        // A terminal is there and stdin is something else: it is the terminal that is asked.
        let piped = format!("echo '{}' | '{PROGRAM}' {}", siege.alice.passphrase, line.join(" "));
        let mut terminal = Terminal::open_program(&siege.alice, &["/bin/sh", "-c", &piped]);
        if terminal.comes_to_ask() {
            terminal.answer("");
        }
        let output = terminal.finish();
        assert_ne!(output.code, Some(0), "{output}");
    }
    assert!(siege.alice.pid().is_some(), "no export ended the node");
    siege.holds("the passphrase without a terminal");
}

#[test]
fn a_terminal_without_the_passphrase_approves_nothing_and_says_so() {
    let siege = Siege::lay();
    for line in commands(&siege) {
        let mut terminal = Terminal::open(&siege.alice, &words(&line));
        if terminal.comes_to_ask() {
            terminal.answer("");
        }
        let output = terminal.finish();
        assert_ne!(output.code, Some(0), "{output}");
    }
    // What is written to the terminal is shown there, and is nothing that was typed.
    let written = format!(
        "echo '{}' >/dev/tty; exec '{PROGRAM}' approve {} </dev/tty",
        siege.alice.passphrase, siege.item
    );
    let mut terminal = Terminal::open_program(&siege.alice, &["/bin/sh", "-c", &written]);
    terminal.answer("");
    terminal.finish().expect(3);
    siege.holds("a terminal and no passphrase");
}

#[test]
fn guesses_on_a_terminal_are_few_for_all_commands_together() {
    let siege = Siege::lay();
    let guesses = ["yes", "approve", "alice", "mauve otter drifts past nine lantern"];
    let lines = commands(&siege);
    for (line, guess) in lines.iter().zip(guesses.iter().chain(["\u{4}\u{3}nothing"].iter())) {
        let mut terminal = Terminal::open(&siege.alice, &words(line));
        if terminal.comes_to_ask() {
            terminal.answer(guess);
        }
        let output = terminal.finish();
        assert_ne!(output.code, Some(0), "{output}");
    }
    // One of them was a key that ends the command, and no guess.
    let mut terminal = Terminal::open(&siege.alice, &["approve", &siege.item]);
    if terminal.comes_to_ask() {
        terminal.answer("one more guess");
    }
    let output = terminal.finish().expect(1);
    assert!(output.stdout.contains("lock"), "{output}");
    let mut terminal = Terminal::open(&siege.alice, &["taint", "clear"]);
    if terminal.comes_to_ask() {
        terminal.answer(siege.alice.passphrase);
    }
    let output = terminal.finish();
    assert!(output.code != Some(0) && output.stdout.contains("locked"), "{output}");
    siege.holds("guesses");
}
