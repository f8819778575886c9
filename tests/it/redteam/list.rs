//! The list of threats, held against the code and against the README.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const LIST: &str = include_str!("THREATS.md");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// One threat.
#[derive(Debug, Default)]
struct Threat {
    attack: String,
    stopped: String,
    limits: Vec<String>,
    tests: Vec<(String, String)>,
}

/// Text of several lines as one.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether a word in backticks is the id of a limit, and no command.
#[expect(clippy::ptr_arg, reason = "the filter of an iterator over strings")]
fn is_id(word: &String) -> bool {
    word.contains('-') && !word.contains(' ')
}

/// What stands behind a bullet that begins with `name`, to the next bullet.
fn bullet(section: &str, name: &str) -> String {
    let start = format!("- **{name}.** ");
    let found = section.split_once(&start).unwrap_or_else(|| panic!("no {name:?} in:\n{section}"));
    joined(found.1.split("\n- **").next().unwrap())
}

fn threats() -> BTreeMap<String, Threat> {
    let before = LIST.split("\n## What is not stopped").next().unwrap();
    let mut threats = BTreeMap::new();
    for section in before.split("\n### ").skip(1) {
        let section = section.split("\n## ").next().unwrap();
        let (title, body) = section.split_once('\n').unwrap();
        let test = |name: String| {
            let (file, test) = name.split_once("::").unwrap_or_else(|| panic!("{name}"));
            (file.to_owned(), test.to_owned())
        };
        let threat = Threat {
            attack: bullet(body, "Attack"),
            stopped: bullet(body, "Stopped by"),
            limits: quoted(&bullet(body, "Not stopped")).into_iter().filter(is_id).collect(),
            tests: quoted(&bullet(body, "Shown by")).into_iter().map(test).collect(),
        };
        let known = threats.insert(title.to_owned(), threat);
        assert!(known.is_none(), "{title:?} is there twice");
    }
    assert!(threats.len() >= 20, "{:?}", threats.keys());
    threats
}

/// The honest limits: an id, and the README's sentence.
fn limits() -> BTreeMap<String, String> {
    let section = LIST.split("\n## What is not stopped").nth(1).expect("the section");
    let entries = section.split("\n- `").skip(1).map(|entry| {
        let (id, sentence) = entry.split_once("` ").unwrap_or_else(|| panic!("{entry}"));
        (id.to_owned(), joined(sentence.split("\n\n").next().unwrap()))
    });
    entries.collect()
}

/// The bullets under "It can:" in the README.
fn readme_limits() -> BTreeSet<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let section = readme.split("\nIt can:\n").nth(1).expect("the README says what it can do");
    let section = section.split("\nIt cannot").next().unwrap();
    let section = format!("\n{}", section.trim());
    section.split("\n- ").skip(1).map(joined).collect()
}

#[test]
fn each_threat_names_what_stops_it_and_a_test_that_is_there() {
    for (title, threat) in threats() {
        assert!(threat.attack.len() > 30, "{title}: {threat:?}");
        let files: Vec<String> =
            quoted(&threat.stopped).into_iter().filter(|word| word.starts_with("src/")).collect();
        assert!(!files.is_empty(), "{title} names no file that stops it");
        for file in files {
            assert!(root().join(&file).exists(), "{title}: there is no {file}");
        }
        assert!(!threat.tests.is_empty(), "{title} has no test");
        for (file, test) in &threat.tests {
            let source = fs::read_to_string(root().join(file));
            let source = source.unwrap_or_else(|error| panic!("{title}: {file}: {error}"));
            let test_of = format!("fn {test}()");
            let (before, _) = source
                .split_once(&test_of)
                .unwrap_or_else(|| panic!("{title}: {file} has no {test}"));
            let above = before.trim_end().rsplit('\n').take(3).collect::<Vec<_>>().join("\n");
            assert!(above.contains("test]"), "{title}: {test} in {file} is no test");
        }
    }
}

/// The tests of this folder, by file.
fn own_tests() -> BTreeSet<(String, String)> {
    let folder = root().join("tests/it/redteam");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "rs") || path.ends_with("list.rs") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let file = path.strip_prefix(root()).unwrap_or(Path::new("")).display().to_string();
        for rest in source.split("#[test]\nfn ").skip(1) {
            found.insert((file.clone(), rest.split('(').next().unwrap().to_owned()));
        }
    }
    found
}

#[test]
fn each_test_of_the_red_team_is_in_the_list() {
    let listed: BTreeSet<(String, String)> =
        threats().into_values().flat_map(|threat| threat.tests).collect();
    let missing: Vec<_> = own_tests().into_iter().filter(|test| !listed.contains(test)).collect();
    assert!(missing.is_empty(), "these show a threat that THREATS.md does not name: {missing:#?}");
}

#[test]
fn the_limits_of_the_list_are_those_of_the_readme() {
    let limits = limits();
    let here: BTreeSet<String> = limits.values().cloned().collect();
    let there = readme_limits();
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> Vec<String> {
        a.difference(b).cloned().collect()
    };
    assert_eq!(here.len(), limits.len(), "a sentence is there twice");
    assert_eq!(only(&here, &there), Vec::<String>::new(), "in THREATS.md and not in the README");
    assert_eq!(only(&there, &here), Vec::<String>::new(), "in the README and not in THREATS.md");
    let named: BTreeSet<String> =
        threats().into_values().flat_map(|threat| threat.limits).collect();
    let known: BTreeSet<String> = limits.keys().cloned().collect();
    assert_eq!(only(&named, &known), Vec::<String>::new(), "limits that nobody wrote down");
    assert_eq!(only(&known, &named), Vec::<String>::new(), "limits of no threat");
}
