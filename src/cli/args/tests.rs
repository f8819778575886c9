use clap::CommandFactory as _;

use super::*;

fn helps(command: &mut clap::Command, path: &str, all: &mut String) {
    let help = command.render_long_help();
    all.extend(["=== ", path, "\n", &help.to_string(), "\n"]);
    for child in command.get_subcommands_mut().filter(|child| child.get_name() != "help") {
        let path = format!("{path} {}", child.get_name());
        helps(child, &path, all);
    }
}

#[test]
fn the_help_of_every_command_is_as_reviewed() {
    let mut command = Args::command().term_width(100).disable_help_subcommand(true);
    command.build();
    let mut all = String::new();
    helps(&mut command, "countersign", &mut all);
    insta::assert_snapshot!("help", all);
}

#[test]
fn every_command_has_an_example() {
    fn check(command: &clap::Command) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let has_children = command.get_subcommands().next().is_some();
        assert!(has_children || help.contains("Example"), "{}", command.get_name());
        command.get_subcommands().for_each(check);
    }
    check(&Args::command().disable_help_subcommand(true));
}

#[test]
fn arguments_out_of_their_bounds_are_refused() {
    let good = |line: &str| Args::try_parse_from(line.split(' ')).is_ok();
    assert!(good("countersign approve abcdefgh --json"));
    assert!(!good("countersign approve nonsense!"));
    assert!(good("countersign inbox --wait 600") && !good("countersign inbox --wait 601"));
    assert!(!good("countersign send bob x --expires-hours 0"));
    assert!(!good("countersign invite --expires-minutes 10081"));
    assert!(!good("countersign approve abcdefgh --passphrase x"), "never as an argument");
    assert!(good("countersign approve abcdefgh --for 720 --messages 1000"));
    for over in ["721", "1 --messages 1001"] {
        assert!(!good(&format!("countersign approve abcdefgh --for {over}")));
    }
    assert!(!good("countersign approve abcdefgh --messages 5"), "of no grant");
    assert!(good("countersign approve abcdefgh --for 1 --per-hour 1 --same-kind"));
    assert!(!good("countersign approve abcdefgh --for 1 --per-hour 0"));
    assert!(!good("countersign approve abcdefgh --per-hour 5"), "of no grant");
    let inline = "countersign policy inline on --for 1 --severity";
    assert!(good(&format!("{inline} critical")) && !good(&format!("{inline} medium")));
    assert!(!good("countersign policy inline on"), "never without an end");
    assert!(good("countersign grants") && good("countersign grants end abcdefgh"));
    assert!(!good("countersign watch --approve"), "nothing approves by itself");
}
