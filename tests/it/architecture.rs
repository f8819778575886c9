//! The rules of the house that the compiler does not hold: who may name whom, how long a file and
//! a function may be, what lies where, and which words stay out of which folder.
//!
//! Code under `#[cfg(test)]` is held to the same layers as the rest: a test that needs a higher
//! layer belongs in here, where all of them may be used.

mod source;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use source::{functions, modules_named, tokens};

/// Bottom first. A module names only modules of earlier rows. `policy` has a row of its own,
/// because it judges what `risk` found.
const LAYERS: &[&[&str]] = &[
    &["base"],
    &["identity"],
    &["wire"],
    &["trust", "audit"],
    &["risk"],
    &["policy"],
    &["gate"],
    &["delivery"],
    &["store", "net"],
    &["node"],
    &["ipc", "http"],
    &["mcp", "web", "wake"],
    &["daemon"],
    &["cli"],
];

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

const TOOLS: [&str; 10] = [
    "peer_ask",
    "peer_connect",
    "peer_inbox",
    "peer_invite",
    "peer_read",
    "peer_send",
    "peer_status",
    "peer_whoami",
    "trust_list",
    "trust_revoke",
];

const PROMPTS: [&str; 4] = ["ask-a-peer", "check-inbox", "introduce", "whats-waiting"];

const TOP_LEVEL: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "mcp.json.example",
    "prompts",
    "src",
    "tests",
    "tools",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder`, as paths from the root.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_owned();
            if path.is_dir() {
                if !["target", ".git", "__pycache__"].iter().any(|made| name == *made) {
                    folders.push(path);
                }
            } else if name != ".git" {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(root().join(path)).unwrap()).into_owned()
}

fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    files(folder).into_iter().filter(rust).map(|path| (path.clone(), read(&path))).collect()
}

/// The modules from the crate's root down to what `path` (below `src`) holds.
fn module_path(path: &Path) -> Vec<String> {
    let below = path.strip_prefix("src").unwrap_or(path).with_extension("");
    let mut modules: Vec<String> =
        below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    modules.pop_if(|last| last == "mod");
    modules
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// What is wrong with the modules that `source` at `path` names, a line each.
fn wrong_names(path: &Path, source: &str) -> Vec<String> {
    let modules = module_path(path);
    let Some(own) = modules.first().filter(|first| !["main", "lib"].contains(&first.as_str()))
    else {
        return Vec::new();
    };
    let place = |line| format!("{}:{line}", path.display());
    let Some(rank) = layer(own) else {
        return vec![format!("{}: {own} is in no layer", place(1))];
    };
    modules_named(&tokens(source), modules.len())
        .into_iter()
        .filter(|(_, named)| named != own && layer(named).is_none_or(|below| below >= rank))
        .map(|(line, named)| format!("{}: {own} names {named}", place(line)))
        .collect()
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn a_module_names_only_earlier_layers() {
    let wrong: Vec<String> =
        rust_files("src").iter().flat_map(|(path, source)| wrong_names(path, source)).collect();
    assert_none("a module names only modules of earlier layers", &wrong);
}

#[test]
fn a_planted_upward_import_is_found() {
    let check = |path: &str, source: &str, expected: &[&str]| {
        let wrong = wrong_names(Path::new(path), source);
        let named: Vec<&str> = wrong.iter().filter_map(|line| line.split(": ").nth(1)).collect();
        assert_eq!(named, expected, "{path}: {source}");
    };
    check("src/gate.rs", "use crate::{base::Id, policy, wire::{self, Kind}};", &[]);
    check("src/gate.rs", "use crate::node::api::HumanRequest;", &["gate names node"]);
    let group = "use crate::{\n  base::{Id, store},\n  net::Link, cli,\n};";
    check("src/gate.rs", group, &["gate names net", "gate names cli"]);
    check("src/risk/mod.rs", "fn f() { crate::policy::decide() }", &["risk names policy"]);
    check("src/policy.rs", "use crate::risk::Finding;", &[]);
    check("src/store/rows.rs", "use crate::net::Link;", &["store names net"]);
    check("src/delivery/pairing.rs", "use crate::delivery::outbox;", &[]);
    check("src/delivery/pairing.rs", "use super::super::{store, base};", &["delivery names store"]);
    check("src/delivery/mod.rs", "mod t { use super::super::node; }", &["delivery names node"]);
    check("src/delivery/mod.rs", "mod t { use super::node; }", &[]);
    check("src/base/mod.rs", "#[cfg(test)] mod t { use crate::wire; }", &["base names wire"]);
    check("src/base/mod.rs", "// crate::cli\nconst X: &str = \"crate::cli\";", &[]);
    check("src/base/mod.rs", "use crate::*;", &["base names *"]);
    check("src/stray.rs", "", &["stray is in no layer"]);
    check("src/main.rs", "use crate::cli;", &[]);
}

#[test]
fn files_and_functions_come_to_an_end() {
    let mut long = Vec::new();
    for (path, source) in rust_files("src").into_iter().chain(rust_files("tests")) {
        let (lines, path) = (source.lines().count(), path.display());
        if lines > FILE_LINES_MAX {
            long.push(format!("{path}: {lines} lines; the limit is {FILE_LINES_MAX}"));
        }
        for f in functions(&tokens(&source)).iter().filter(|f| f.lines > FUNCTION_LINES_MAX) {
            let (name, line, lines) = (&f.name, f.line, f.lines);
            long.push(format!("{path}:{line}: {name}: {lines} lines, over {FUNCTION_LINES_MAX}"));
        }
    }
    assert_none("too long to read", &long);
}

/// The places below `folder` where one of `words` is code.
fn places(folder: &str, words: &[&str]) -> Vec<String> {
    let mut places = Vec::new();
    for (path, source) in rust_files(folder) {
        for token in tokens(&source).iter().filter(|token| words.contains(&token.text.as_str())) {
            places.push(format!("{}:{}: {}", path.display(), token.line, token.text));
        }
    }
    places
}

#[test]
fn nothing_is_unsafe() {
    assert_none("unsafe code", &places("src", &["unsafe"]));
}

#[test]
fn the_models_side_cannot_name_a_humans_request() {
    assert_none("mcp/ speaks AgentRequest only", &places("src/mcp", &["HumanRequest", "Decide"]));
}

/// What the real server answers by itself; the test build has to hand it all of it.
#[test]
fn the_test_build_passes_on_whatever_the_server_answers() {
    let handler = |path: &str| {
        let source = read(Path::new(path));
        let (_, handler) = source.split_once("\nimpl ServerHandler for ").unwrap();
        let names = functions(&tokens(handler)).into_iter().map(|function| function.name);
        (handler.to_owned(), names.collect::<BTreeSet<_>>())
    };
    let (source, passed_on) = handler("src/mcp/fixtures/mod.rs");
    let (_, answered) = handler("src/mcp/server.rs");
    let missing: Vec<String> = answered
        .into_iter()
        .filter(|name| {
            !passed_on.contains(name) || !source.contains(&format!("self.server.{name}("))
        })
        .collect();
    assert_none("src/mcp/fixtures/mod.rs keeps requests from the server", &missing);
}

/// The names between the braces of an enum of `src/base/failpoint.rs`.
fn variants(name: &str) -> Vec<String> {
    let source = read(Path::new("src/base/failpoint.rs"));
    let (_, body) = source.split_once(&format!("pub enum {name} {{")).unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let lines = body.lines().map(str::trim).filter(|line| !line.starts_with("///"));
    lines.filter_map(|line| line.strip_suffix(',')).map(str::to_owned).collect()
}

#[test]
fn every_failpoint_and_planted_fault_is_somewhere() {
    let mut named: BTreeSet<String> = BTreeSet::new();
    for (_, source) in rust_files("src").iter().filter(|(path, _)| !path.ends_with("failpoint.rs"))
    {
        let tokens = tokens(source);
        for name in tokens.windows(3).filter(|name| name[1].text == "::") {
            if ["Failpoint", "Fault"].contains(&name[0].text.as_str()) {
                named.insert(name[2].text.clone());
            }
        }
    }
    let all = [variants("Failpoint"), variants("Fault")].concat();
    assert!(all.len() > 40, "the list is read: {all:?}");
    let missing: Vec<String> = all.into_iter().filter(|name| !named.contains(name)).collect();
    assert_none("no code comes to these", &missing);
}

/// A build with the feature `fixtures` reads these variables; no other build has even the words.
#[test]
#[cfg(not(feature = "fixtures"))]
fn the_program_knows_nothing_of_the_variables_of_a_test_build() {
    let program = fs::read(env!("CARGO_BIN_EXE_countersign")).unwrap();
    let words = ["COUNTERSIGN_FAILPOINT", "COUNTERSIGN_FAULT", "send-transmit", "forget-arrivals"];
    let known = |words: &[&'static str]| -> BTreeSet<&'static str> {
        let any = aho_corasick::AhoCorasick::new(words).unwrap();
        any.find_iter(&program).map(|found| words[found.pattern()]).collect()
    };
    assert_eq!(known(&["COUNTERSIGN_HOME"]).len(), 1, "the program's words are found");
    let known: Vec<String> = known(&words).into_iter().map(Into::into).collect();
    assert_none("a normal build knows them", &known);
}

/// Where `source` builds an `Approved`: its name, or its name with `::<T>`, before a brace. Of a
/// return type the brace follows the `>` of `Approved<T>`.
fn mints(source: &str) -> bool {
    let tokens = tokens(source);
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    (0..tokens.len()).any(|at| {
        let turbofish = text(at + 1) == "::" && text(at + 2) == "<";
        text(at) == "Approved" && (text(at + 1) == "{" || turbofish)
    })
}

#[test]
fn only_the_gate_mints_an_approval() {
    assert!(mints("let x = Approved { item };") && mints("Approved::<T> { item }"));
    assert!(!mints("fn f() -> Approved<T> { g() }") && !mints("Outcome::Approved(x)"));
    let wrong: Vec<String> = rust_files("src")
        .iter()
        .filter(|(path, source)| !path.starts_with("src/gate") && mints(source))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert_none("Approved is built outside of the gate", &wrong);
}

#[test]
fn the_top_level_is_as_the_design_says() {
    let visible = |name: &String| !name.starts_with('.') && name != "target";
    let entries = fs::read_dir(root()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let found: BTreeSet<String> = names.filter(visible).collect();
    let expected: BTreeSet<String> = TOP_LEVEL.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, expected);
}

fn stems(folder: &str) -> Vec<String> {
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    files(folder).iter().map(stem).collect()
}

#[test]
fn each_tool_and_prompt_of_the_contract_has_its_file_and_no_other_has() {
    assert_eq!(stems("tools"), TOOLS);
    assert_eq!(stems("prompts"), PROMPTS);
    for path in files("tools") {
        let bytes = read(&path).len();
        let path = path.display();
        assert!(bytes <= 2048, "{path}: {bytes} bytes; clients cut a description at 2048");
    }
}

#[test]
fn no_file_names_a_folder_of_the_machine_it_was_written_on() {
    // Put together here, so that this file is not found.
    let folders = ["work", "root", "home", "Users"].map(|name| format!("/{name}/"));
    let mut found = Vec::new();
    for path in files("") {
        for (line, text) in read(&path).lines().enumerate() {
            if folders.iter().any(|folder| text.contains(folder)) {
                found.push(format!("{}:{}: {text}", path.display(), line + 1));
            }
        }
    }
    assert_none("paths of one machine", &found);
}
