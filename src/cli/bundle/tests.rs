use std::io::{Cursor, Read as _};

use serde_json::Value as Json;

use super::*;

const URL: &str = "https://github.com/Alice/countersign/releases/download/v1/countersign.mcpb";

fn json(all: &[Packed], path: &str) -> Json {
    let file = all.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}"));
    serde_json::from_slice(&file.bytes).unwrap()
}

#[test]
fn the_same_program_gives_the_same_bytes() {
    let all = everything(b"program", Some(URL)).unwrap();
    assert_eq!(all, everything(b"program", Some(URL)).unwrap());
    let paths: Vec<&str> = all.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            ".claude-plugin/marketplace.json",
            "countersign.mcpb",
            "plugin/.claude-plugin/plugin.json",
            "plugin/.mcp.json",
            "plugin/LICENSE",
            "plugin/README.md",
            "plugin/bin/countersign",
            "plugin/commands/ask-a-peer.md",
            "plugin/commands/check-inbox.md",
            "plugin/commands/introduce.md",
            "plugin/commands/whats-waiting.md",
            "plugin/hooks/hooks.json",
            "server.json",
        ]
    );
}

#[test]
fn the_bundle_holds_the_program_and_what_it_can_do() {
    let all = everything(b"program", Some(URL)).unwrap();
    let bundle = &all.iter().find(|file| file.path == BUNDLE).unwrap().bytes;
    let mut archive = zip::ZipArchive::new(Cursor::new(bundle)).unwrap();
    let mut program = archive.by_name("bin/countersign").unwrap();
    assert_eq!(program.unix_mode().unwrap() & 0o777, 0o755);
    let mut bytes = Vec::new();
    program.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"program");
    drop(program);
    let manifest: Json =
        serde_json::from_reader(archive.by_name("manifest.json").unwrap()).unwrap();
    assert_eq!(manifest["server"]["entry_point"], "bin/countersign");
    let text = manifest["prompts"][0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("Ask ${arguments.peer} with peer_ask: ${arguments.question}"),
        "{text}"
    );
    let entry = json(&all, "server.json");
    assert_eq!(entry["name"], "io.github.alice/countersign");
    assert_eq!(entry["packages"][0]["fileSha256"], sha256(bundle));
    assert_eq!(entry["packages"][0]["identifier"], URL);
    assert!(manifests::DESCRIPTION.len() <= 100);
}

#[test]
fn without_an_address_there_is_no_registry_entry() {
    let all = everything(b"program", None).unwrap();
    assert!(!all.iter().any(|file| file.path == "server.json"));
    for wrong in
        ["", "http://a.b/c.mcpb", "https://a/c.mcpb", "https://a.b/c.zip", "https://a.b c/d.mcpb"]
    {
        assert!(manifests::download(wrong).is_err(), "{wrong}");
    }
    assert_eq!(manifests::download(URL).as_deref(), Ok(URL));
    let entry = manifests::registry("https://dl.example.com/c.mcpb", "");
    assert_eq!(entry["name"], "com.example.dl/countersign");
}

#[test]
fn the_plugin_starts_what_it_holds() {
    let all = everything(b"program", None).unwrap();
    let server = &json(&all, "plugin/.mcp.json")["mcpServers"]["countersign"];
    assert_eq!(server["command"], "${CLAUDE_PLUGIN_ROOT}/bin/countersign");
    assert_eq!(server["args"], serde_json::json!(["mcp", "--channel"]));
    let plugin = json(&all, "plugin/.claude-plugin/plugin.json");
    assert_eq!(plugin["channels"][0]["server"], "countersign");
    let hooks = json(&all, "plugin/hooks/hooks.json");
    let events: Vec<&String> = hooks["hooks"].as_object().unwrap().keys().collect();
    assert_eq!(events, ["SessionStart", "UserPromptSubmit"]);
    let command = String::from_utf8(all[7].bytes.clone()).unwrap();
    assert!(command.starts_with("---\ndescription: Put a question"), "{command}");
    assert!(command.contains("argument-hint: \"[peer] [question]\"\n---\nI typed: $ARGUMENTS\n"));
    assert!(command.contains("Ask <peer> with peer_ask: <question>") && !command.contains("{{"));
}

#[test]
fn no_tool_and_no_prompt_is_left_out() {
    let names = |folder: &str| {
        let folder = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<String> = folder.map(|entry| stem(entry.unwrap().path())).collect();
        names.sort();
        names
    };
    assert_eq!(manifests::TOOLS.map(|(name, _)| name).to_vec(), names("tools"));
    let prompts = prompts::all().unwrap();
    assert_eq!(prompts.iter().map(|prompt| prompt.name).collect::<Vec<_>>(), names("prompts"));
}

#[test]
fn nothing_is_overwritten_unless_it_is_forced() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = BundleArgs { folder: folder.path().join("out"), url: None, force: false };
    let out = Printer::new(true);
    assert_eq!(make(out, &args, b"program").unwrap(), Exit::Done);
    let program = args.folder.join("plugin/bin/countersign");
    assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
    fs::write(args.folder.join("plugin/README.md"), "mine").unwrap();
    let error = make(out, &args, b"program").unwrap_err().to_string();
    assert!(error.contains("is there already") && error.contains("--force"), "{error}");
    let readme = || fs::read_to_string(args.folder.join("plugin/README.md")).unwrap();
    assert_eq!(readme(), "mine");
    args.force = true;
    assert_eq!(make(out, &args, b"program").unwrap(), Exit::Done);
    let readme = fs::read_to_string(args.folder.join("plugin/README.md")).unwrap();
    assert!(readme.starts_with("# Countersign"));
}
