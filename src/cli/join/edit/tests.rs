use super::*;
use crate::cli::join::client::{Client, Transport};

fn stdio(home: &str) -> Transport {
    Transport::Stdio {
        command: "/usr/local/bin/countersign".to_owned(),
        arguments: vec!["mcp".to_owned(), "--session".to_owned(), "a \"b\": # c".to_owned()],
        environment: vec![("COUNTERSIGN_HOME".to_owned(), home.to_owned())],
    }
}

fn http(token: Option<&str>) -> Transport {
    let url = "http://127.0.0.1:7311/mcp".to_owned();
    Transport::Http { url, token: token.map(str::to_owned) }
}

const NAME: &str = "countersign";

fn target(client: Client, question: Option<&Question>) -> Target<'_> {
    Target { form: client.form(), container: client.container(), name: NAME, question }
}

/// Puts an entry into `old` and takes it out; gives the text between. Whatever was there stays to the
/// byte, and twice is once.
#[track_caller]
fn there_and_back(client: Client, transport: &Transport, old: &str) -> String {
    let (question, entry) = (client.question(transport), client.entry(NAME, transport));
    let target = target(client, question.as_ref());
    assert_eq!(find(old, target), Ok(None));
    let new = put(old, target, &entry).unwrap_or_else(|error| panic!("{error}:\n{old}"));
    assert_eq!(find(&new, target), Ok(Some(entry.json())), "{new}");
    assert_eq!(put(&new, target, &entry).as_deref(), Ok(new.as_str()), "twice is once");
    assert!(differ_in_entry_alone(old, &new, target, &entry), "{new}");
    let taken = take(&new, target).unwrap();
    assert_eq!(find(&taken, target), Ok(None));
    assert_eq!(take(&taken, target).as_deref(), Ok(taken.as_str()), "there is none");
    new
}

/// As [`there_and_back`], for a text in which nothing but the entry's own lines is touched.
#[track_caller]
fn exactly(client: Client, old: &str) {
    for transport in [stdio("/h/a"), http(None), http(Some("abc"))] {
        if client == Client::ClaudeDesktop && transport != stdio("/h/a") {
            continue;
        }
        let new = there_and_back(client, &transport, old);
        let question = client.question(&transport);
        let taken = take(&new, target(client, question.as_ref())).unwrap();
        if question.is_none() || old.contains("inputs") {
            assert_eq!(taken, old, "as it was, after:\n{new}");
        }
    }
}

const JSON: [&str; 6] = [
    "{\n  \"KEY\": {}\n}\n",
    "{\n\t// theirs\n\t\"KEY\": {\n\t\t\"other\": { \"command\": \"x\" } // why\n\t},\n\t\"z\": 1.50\n}",
    "{\n    \"a\": [1,2,\n 3],\n    \"KEY\": {\n        \"other\": {\"command\": \"x\"},\n    },\n}\n",
    "{\r\n  \"KEY\": {\r\n    \"other\": {\r\n      \"command\": \"x\"\r\n    }\r\n  }\r\n}\r\n",
    "/* head */\n{\n  \"inputs\": [\n    {\n      \"id\": \"k\", \"type\": \"promptString\"\n    }\n  ],\n  \
     \"KEY\": {\n    /* theirs */\n    \"other\": {\n      \"command\": \"x\"\n    }\n    // the end\n  }\n}\n",
    "{\n  \"n\": 12345678901234567890, \"u\": \"\\u00e9 é 日本\",\n  \"KEY\": {\n    \"other\": {}\n  }\n}\n",
];

const JSON_CLIENTS: [Client; 6] = [
    Client::ClaudeCode,
    Client::ClaudeDesktop,
    Client::Cursor,
    Client::Vscode,
    Client::Gemini,
    Client::Zed,
];

#[test]
fn an_entry_of_json_comes_and_goes_and_nothing_else_changes() {
    for client in JSON_CLIENTS {
        for old in JSON {
            exactly(client, &old.replace("KEY", client.container()));
        }
    }
}

#[test]
fn an_entry_is_the_first_of_its_kind() {
    for client in JSON_CLIENTS {
        let dense = "{\"KEY\":{\"other\":{\"command\":\"x\"}}}".replace("KEY", client.container());
        for old in [
            "",
            "\n",
            "{}",
            &dense,
            "{\n  \"theme\": \"dark\" // mine\n}\n",
            "// nothing yet\n{ }\n",
        ] {
            let new = there_and_back(client, &stdio("/h"), old);
            let kept = ["\"theme\": \"dark\"", "// mine", "// nothing yet"];
            let lost = kept.iter().find(|part| old.contains(**part) && !new.contains(**part));
            assert_eq!(lost, None, "{new}");
        }
    }
}

const TOML: [&str; 6] = [
    "[mcp_servers]\n",
    "model = \"x\" # mine\n\n[mcp_servers.other]\ncommand = \"x\"   # why\nargs = [ 'a' ]\n",
    "# head\n[mcp_servers.other]\ncommand = \"x\"\n\n[mcp_servers.other.env]\nA = \"1\"\n\n[tui]\nn = true\n# end\n",
    "mcp_servers = { other = { command = \"x\" } }\n[z]\n",
    "model = \"x\"\r\n\r\n[mcp_servers.other]\r\ncommand = \"x\"\r\n",
    "[projects.\"/a b\"]\ntrust_level = \"trusted\"\n\n\n[profiles.p]\nd = 1979-05-27T07:32:00Z\n",
];

#[test]
fn an_entry_of_toml_comes_and_goes_and_nothing_else_changes() {
    for old in TOML {
        exactly(Client::Codex, old);
    }
    for old in ["", "# mine\n", "model = \"x\""] {
        let new = there_and_back(Client::Codex, &stdio("/h"), old);
        assert!(new.starts_with(old), "{new}");
    }
}

const YAML: [&str; 7] = [
    "GOOSE_MODE: auto # mine\nextensions:\n  developer:\n    enabled: true\n    type: builtin\n",
    "extensions:\n\n    # the tools\n    developer:\n        args: [\"a\", 'b']\n        text: |\n            x\n\n            y\n\n# end\nz: 1\n",
    // As goose itself writes it.
    "extensions:\n  linux:\n    args:\n    - --python\n    - '3.13'\n    envs: {}\n    env_keys: []\n",
    "extensions: {}\nGOOSE_MODE: auto\n",
    "a: 1\nextensions: {} # none yet\n",
    "a: |\n  extensions:\n    x\nextensions:\n  b: {type: builtin}\n",
    "extensions:\r\n  developer:\r\n    enabled: true\r\n",
];

#[test]
fn an_entry_of_yaml_comes_and_goes_and_nothing_else_changes() {
    for old in YAML {
        exactly(Client::Goose, old);
    }
    for old in ["", "# mine\n", "GOOSE_MODE: auto", "extensions:\n", "extensions: # none\nz: 1\n"] {
        let new = there_and_back(Client::Goose, &stdio("/h"), old);
        let lost = old.lines().find(|line| !new.contains(line));
        assert_eq!(lost, None, "{new}");
    }
}

#[test]
fn what_was_written_below_an_entry_of_toml_stays() {
    let ours =
        "[mcp_servers.countersign]\ncommand = \"x\"\n\n[mcp_servers.countersign.env]\nA = \"1\"\n";
    let text = format!("a = 1\n\n{ours}\n# theirs\n[z]\nb = 1\n");
    let taken = take(&text, target(Client::Codex, None));
    assert_eq!(taken.as_deref(), Ok("a = 1\n\n# theirs\n[z]\nb = 1\n"));
}

#[test]
fn an_entry_of_toml_that_somebody_wrote_beside_goes_and_what_is_above_it_stays() {
    let ours = "[mcp_servers.countersign] # mine\ncommand = \"x\"\n";
    let text = format!("a = 1\n\n# theirs\n{ours}\n[z]\nb = 1\n");
    let taken = take(&text, target(Client::Codex, None));
    assert_eq!(taken.as_deref(), Ok("a = 1\n\n# theirs\n\n[z]\nb = 1\n"));
}

#[test]
fn an_entry_of_toml_is_told_from_a_text_that_has_the_same_lines() {
    let text = "a = '''\n[mcp_servers.countersign]\nb = 1\n'''\n# theirs\n";
    let ours = "\n[mcp_servers.countersign]\ncommand = \"x\"\n";
    let taken = take(&format!("{text}{ours}"), target(Client::Codex, None));
    assert_eq!(taken.as_deref(), Ok(text));
}

#[test]
fn an_entry_that_goose_wrote_again_is_taken_out_whole() {
    let old = "extensions:\n  a:\n    args:\n    - x\n";
    let ours = "  countersign:\n    args:\n    - mcp\n    envs:\n      A: b\n";
    let text = format!("{old}{ours}z:\n- 1\n");
    let taken = take(&text, target(Client::Goose, None));
    assert_eq!(taken.as_deref(), Ok(format!("{old}z:\n- 1\n").as_str()));
}

#[test]
fn another_entry_of_that_name_is_replaced_in_its_place() {
    let check = |client: Client, old: &str, around: [&str; 2]| {
        let target = target(client, None);
        let new = put(old, target, &client.entry(NAME, &stdio("/h"))).unwrap();
        assert!(new.starts_with(around[0]) && new.ends_with(around[1]), "{new}");
        assert!(!new.contains("theirs"), "{new}");
    };
    let old = "{\n  \"mcpServers\": {\n    \"a\": {}, // a\n    \"countersign\": {\n      \"command\": \
               \"theirs\"\n    },\n    \"b\": {}\n  }\n}\n";
    check(
        Client::Cursor,
        old,
        ["{\n  \"mcpServers\": {\n    \"a\": {}, // a\n", "\"b\": {}\n  }\n}\n"],
    );
    let old = "[mcp_servers.a]\n\n# ours\n[mcp_servers.countersign]\ncommand = \"theirs\"\n\n[mcp_servers.b]\n";
    check(Client::Codex, old, ["[mcp_servers.a]\n\n# ours\n[", "\n[mcp_servers.b]\n"]);
    let old =
        "extensions:\n  a: {}\n  countersign:\n    cmd: theirs\n    envs:\n      A: b\n  b: {}\n";
    check(Client::Goose, old, ["extensions:\n  a: {}\n  countersign:\n", "\n  b: {}\n"]);
}

#[test]
fn a_broken_file_is_told_with_its_place() {
    let check = |client: Client, text: &str, line: usize, column: usize| {
        let target = target(client, None);
        let error = put(text, target, &client.entry(NAME, &stdio("/h"))).unwrap_err();
        let EditError::Broken { line: l, column: c, .. } = &error else { panic!("{error}") };
        assert_eq!((*l, *c), (line, column), "{error}");
        assert_eq!(take(text, target), Err(error));
    };
    check(Client::Cursor, "{\n  \"a\": ?\n}", 2, 8);
    check(Client::Zed, "{\n  \"a\": 1\n  \"b\": 2 }", 2, 9);
    check(Client::Zed, "{ 'a': 1 }", 1, 3);
    check(Client::Codex, "a = 1\nb = \n", 2, 5);
    check(Client::Codex, "[a]\n[a]\n", 2, 2);
    check(Client::Goose, "a: 1\nb: [1\n", 3, 1);
    check(Client::Goose, "a: 1\na: 2\n", 1, 1);
}

#[test]
fn what_is_no_place_for_an_entry_is_refused() {
    let check = |client: Client, text: &str, expected: &EditError| {
        let got = put(text, target(client, None), &client.entry(NAME, &stdio("/h")));
        assert_eq!(got.as_ref(), Err(expected), "{text}");
    };
    let shape = |key: &str| EditError::Shape(key.to_owned());
    check(Client::Cursor, "[]", &shape("the file"));
    check(Client::Cursor, "{\"mcpServers\": []}", &shape("mcpServers"));
    check(Client::Codex, "mcp_servers = 1", &shape("mcp_servers"));
    check(Client::Goose, "- a\n", &shape("the file"));
    check(Client::Goose, "extensions:\n- a\n", &shape("extensions"));
    // Written in another way than by lines.
    check(Client::Goose, "extensions: {a: {type: builtin}}\n", &EditError::NoPlace);
    check(Client::Goose, "\"extensions\":\n  a: {}\n", &EditError::NoPlace);
    check(Client::Goose, "{a: 1}\n", &EditError::NoPlace);
    check(Client::Goose, "a: 1\n...\n", &EditError::NoPlace);
    // Twice the same key: what one parser reads is not what another reads.
    check(Client::Cursor, "{\"mcpServers\": {}, \"mcpServers\": {\"a\": 1}}", &EditError::NoPlace);
}
