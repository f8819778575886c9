use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use tempfile::TempDir;

use super::*;

const OTHERS: &str =
    "{\n  // mine\n  \"mcpServers\": {\n    \"other\": { \"command\": \"x\" }\n  }\n}\n";

/// A user's folder, in which Cursor is joined.
struct Case {
    folder: TempDir,
    args: JoinArgs,
}

fn case(more: &[&str]) -> Case {
    use clap::{Args as _, FromArgMatches as _};
    let command = JoinArgs::augment_args(clap::Command::new("join"));
    let words = ["join", "cursor"].iter().chain(more);
    let matches = command.try_get_matches_from(words).unwrap();
    let args = JoinArgs::from_arg_matches(&matches).unwrap();
    Case { folder: tempfile::tempdir().unwrap(), args }
}

impl Case {
    fn machine(&self) -> Machine {
        Machine {
            is_mac: false,
            home: self.folder.path().to_owned(),
            folder: self.folder.path().join("project"),
            xdg_config: None,
            claude_folder: None,
            codex_folder: None,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(".cursor/mcp.json")
    }

    fn with(self, text: &str) -> Self {
        fs::create_dir_all(self.folder.path().join(".cursor")).unwrap();
        fs::write(self.path(), text).unwrap();
        self
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn run(&self, what: &str) -> anyhow::Result<Exit> {
        let join = Join::new(&self.args, &self.machine())?;
        let file = join.read()?;
        let (out, now) = (Printer::new(true), Timestamp::from_ms(1_800_000_000_000));
        match what {
            "write" => join.write(out, &file, now, self.args.replace),
            "remove" => join.remove(out, &file, now),
            _ => join.print(out, &file),
        }
    }

    #[track_caller]
    fn done(&self, what: &str) {
        assert_eq!(self.run(what).unwrap(), Exit::Done);
    }

    /// The names beside the file, sorted.
    fn names(&self) -> Vec<String> {
        let folder = fs::read_dir(self.folder.path().join(".cursor")).into_iter().flatten();
        let mut names: Vec<String> =
            folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

const BACKUP: &str = "mcp.json.backup-20270115T080000Z";

#[test]
fn a_file_is_made_and_is_gone_again() {
    let case = case(&[]);
    case.done("print");
    assert!(case.names().is_empty(), "printing writes nothing");
    case.done("write");
    assert!(case.text().contains("\"countersign\""));
    assert_eq!(case.names(), ["mcp.json"], "there was nothing to back up");
    case.done("remove");
    assert_eq!(case.names(), [BACKUP]);
    case.done("remove");
    assert_eq!(case.names(), [BACKUP], "nothing is left to remove");
}

#[test]
fn a_file_gets_the_entry_and_is_as_it_was_when_it_is_taken_out() {
    for old in [OTHERS, "", "{}", "{\"mcpServers\":{\"a\":{}}}", "{\r\n  \"a\": 1\r\n}\r\n"] {
        let case = case(&[]).with(old);
        case.done("write");
        let new = case.text();
        assert!(new.contains("\"countersign\""), "{new}");
        assert_eq!(case.names(), ["mcp.json", BACKUP]);
        let backup = || fs::read_to_string(case.path().with_file_name(BACKUP)).unwrap();
        assert_eq!(backup(), old);
        case.done("write");
        assert_eq!((case.text(), case.names().len()), (new, 2), "twice is once");
        case.done("remove");
        assert_eq!(case.text(), old);
        assert_eq!(backup(), old, "no backup is overwritten");
        assert_eq!(case.names(), ["mcp.json".to_owned(), BACKUP.to_owned(), format!("{BACKUP}-2")]);
    }
}

#[test]
fn what_came_meanwhile_stays_when_the_entry_is_taken_out() {
    let case = case(&[]).with(OTHERS);
    case.done("write");
    let new = case.text().replace("// mine", "// mine, and yours\n  \"theme\": 1,");
    fs::write(case.path(), &new).unwrap();
    case.done("remove");
    assert_eq!(case.text(), OTHERS.replace("// mine", "// mine, and yours\n  \"theme\": 1,"));
}

#[test]
fn another_server_of_that_name_stays_unless_it_is_replaced() {
    let old = OTHERS.replace("other", "countersign");
    let case = case(&["--write"]).with(&old);
    let error = case.run("write").unwrap_err().to_string();
    assert!(error.contains("another server") && error.contains("--replace"), "{error}");
    assert_eq!((case.text(), case.names().len()), (old.clone(), 1), "nothing was changed");
    let case = self::case(&["--write", "--replace"]).with(&old);
    case.done("write");
    assert!(case.text().contains("\"mcp\"") && case.text().contains("// mine"), "{}", case.text());
    assert!(!case.text().contains("\"x\""), "{}", case.text());
}

#[test]
fn a_broken_file_is_left_as_it_is() {
    for (old, told) in [("{\n  \"mcpServers\": {,\n}", "line 2, column 18"), ("[]", "by hand")] {
        let case = case(&[]).with(old);
        for what in ["write", "remove"] {
            let error = case.run(what).unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("mcp.json"), "{error}");
        }
        assert_eq!((case.text().as_str(), case.names().len()), (old, 1));
    }
    let case = case(&[]).with("");
    fs::write(case.path(), b"{\"a\": \"\xff\"}").unwrap();
    let error = case.run("write").unwrap_err().to_string();
    assert!(error.contains("UTF-8 at byte 7"), "{error}");
    fs::remove_file(case.path()).unwrap();
    fs::create_dir(case.path()).unwrap();
    let error = case.run("write").unwrap_err().to_string();
    assert!(error.contains("is no file"), "{error}");
}

#[test]
fn a_link_stays_a_link_and_a_mode_stays_a_mode() {
    let case = case(&[]).with("");
    let real = case.folder.path().join("dotfiles.json");
    fs::write(&real, OTHERS).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    fs::remove_file(case.path()).unwrap();
    symlink("../dotfiles.json", case.path()).unwrap();
    case.done("write");
    assert!(fs::symlink_metadata(case.path()).unwrap().is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("countersign"));
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&real), 0o640);
    let backup = case.folder.path().join(BACKUP.replace("mcp.json", "dotfiles.json"));
    assert_eq!((fs::read_to_string(&backup).unwrap().as_str(), mode(&backup)), (OTHERS, 0o640));
    case.done("remove");
    assert_eq!((fs::read_to_string(&real).unwrap().as_str(), mode(&real)), (OTHERS, 0o640));
}

#[test]
fn a_file_with_a_token_is_for_its_owner_alone() {
    let case = case(&["--http", "--token", "s3cret"]).with(OTHERS);
    let join = Join::new(&case.args, &case.machine()).unwrap();
    assert!(join.warnings.iter().any(|line| line.contains("is a secret")), "{:?}", join.warnings);
    case.done("write");
    assert!(case.text().contains("Bearer s3cret"));
    assert_eq!(fs::metadata(case.path()).unwrap().mode() & 0o777, 0o600);
    let case = self::case(&["--http"]).with(OTHERS);
    let join = Join::new(&case.args, &case.machine()).unwrap();
    assert!(
        join.warnings.iter().any(|line| line.contains("COUNTERSIGN_TOKEN")),
        "{:?}",
        join.warnings
    );
    case.done("write");
    assert!(case.text().contains("Bearer ${env:COUNTERSIGN_TOKEN}"));
    assert_eq!(fs::metadata(case.path()).unwrap().mode() & 0o777, 0o644);
}

#[test]
fn what_somebody_else_wrote_meanwhile_is_not_overwritten() {
    let case = case(&[]).with(OTHERS);
    let file = ClientFile::read(&case.path(), None).unwrap();
    fs::write(case.path(), "{}").unwrap();
    for error in [file.write("{ }", false).unwrap_err(), file.remove().unwrap_err()] {
        assert!(error.to_string().contains("changed meanwhile"), "{error}");
    }
    assert_eq!((case.text().as_str(), case.names().len()), ("{}", 1));
}

#[test]
fn a_client_keeps_its_file_where_it_is_documented() {
    let mut machine = case(&[]).machine();
    machine.home = PathBuf::from("/h");
    machine.folder = PathBuf::from("/p");
    let check = |machine: &Machine, scope, expected: [&str; 8]| {
        for (client, expected) in clients().into_iter().zip(expected) {
            let file = client.file(scope, machine).unwrap_or_default();
            assert_eq!(file, Path::new(expected), "{}", client.title());
        }
    };
    check(
        &machine,
        Scope::User,
        [
            "/h/.claude.json",
            "/h/.config/Claude/claude_desktop_config.json",
            "/h/.cursor/mcp.json",
            "/h/.config/Code/User/mcp.json",
            "/h/.codex/config.toml",
            "/h/.gemini/settings.json",
            "/h/.config/zed/settings.json",
            "/h/.config/goose/config.yaml",
        ],
    );
    check(
        &machine,
        Scope::Project,
        [
            "/p/.mcp.json",
            "",
            "/p/.cursor/mcp.json",
            "/p/.vscode/mcp.json",
            "/p/.codex/config.toml",
            "/p/.gemini/settings.json",
            "/p/.zed/settings.json",
            "",
        ],
    );
    machine.is_mac = true;
    machine.xdg_config = Some("/x".into());
    machine.claude_folder = Some("/c".into());
    machine.codex_folder = Some("/o".into());
    check(
        &machine,
        Scope::User,
        [
            "/c/.claude.json",
            "/h/Library/Application Support/Claude/claude_desktop_config.json",
            "/h/.cursor/mcp.json",
            "/h/Library/Application Support/Code/User/mcp.json",
            "/o/config.toml",
            "/h/.gemini/settings.json",
            "/h/.config/zed/settings.json",
            "/h/.config/goose/config.yaml",
        ],
    );
    machine.is_mac = false;
    assert_eq!(machine.application_folder(), Path::new("/x"));
}

fn clients() -> Vec<Client> {
    use clap::ValueEnum as _;
    Client::value_variants().to_vec()
}

#[test]
fn a_name_on_the_command_line_is_the_name_in_here() {
    use clap::ValueEnum as _;
    for client in clients() {
        let value = client.to_possible_value().unwrap();
        assert_eq!(value.get_name(), client.argument());
    }
}

#[test]
fn wrong_arguments_are_refused_with_what_to_do() {
    let check = |client: Client, more: &[&str], told: &str| {
        let mut case = case(more);
        case.args.client = client;
        let error = Join::new(&case.args, &case.machine()).err().unwrap();
        let usage = error.downcast_ref::<ApiError>().is_some_and(|e| e.kind == ErrorKind::Usage);
        assert!(usage && error.to_string().contains(told), "{error}");
    };
    check(Client::ClaudeDesktop, &["--http"], "leave out --http");
    check(Client::ClaudeDesktop, &["--scope", "project"], "--scope");
    check(Client::Goose, &["--scope", "project"], "--scope");
    check(Client::Gemini, &["--name", "counter_sign"], "use - in");
    check(Client::Zed, &["--name", "1st"], "letter");
    check(Client::Zed, &["--name", "a.b"], "letter");
    check(Client::Zed, &["--http", "--token", "two words"], "no token");
    check(Client::Zed, &["--http", "--token", "${HOME}"], "no token");
    let mut codex = case(&["--http", "--token", "s3cret"]);
    codex.args.client = Client::Codex;
    let join = Join::new(&codex.args, &codex.machine()).unwrap();
    assert!(!join.is_secret && !join.entry.json().to_string().contains("s3cret"));
}

/// What `what` gives, unless it waits for ever.
fn soon<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(what()).ok());
    ended.recv_timeout(std::time::Duration::from_secs(20)).unwrap()
}

fn pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_pipe_and_a_backup_that_is_none_are_not_waited_for() {
    let case = case(&[]).with("");
    fs::remove_file(case.path()).unwrap();
    pipe(&case.path());
    let path = case.path();
    let error = soon(move || ClientFile::read(&path, None).unwrap_err().to_string());
    assert!(error.contains("is no file"), "{error}");
    fs::remove_file(case.path()).unwrap();
    let case = case.with(OTHERS);
    pipe(&case.path().with_file_name("mcp.json.backup-3"));
    let long = fs::File::create(case.path().with_file_name("mcp.json.backup-2")).unwrap();
    long.set_len(32 * 1024 * 1024 + 1).unwrap();
    fs::write(case.path().with_file_name("mcp.json.backup-1"), "it").unwrap();
    symlink("mcp.json", case.path().with_file_name("mcp.json.backup-0")).unwrap();
    let file = ClientFile::read(&case.path(), None).unwrap();
    assert_eq!(soon(move || file.backups().collect::<Vec<_>>()), ["it"]);
}

/// A project with a folder for Cursor, and a folder beside the project.
fn project(more: &[&str]) -> (Case, PathBuf) {
    let case = case(&[&["--scope", "project"], more].concat());
    let folder = case.folder.path().join("project");
    fs::create_dir_all(folder.join(".cursor")).unwrap();
    fs::create_dir(case.folder.path().join("out")).unwrap();
    (case, folder)
}

#[test]
fn a_link_in_a_project_does_not_lead_out_of_it() {
    let (case, folder) = project(&[]);
    let (path, out) = (folder.join(".cursor/mcp.json"), case.folder.path().join("out"));
    fs::write(out.join("there.json"), OTHERS).unwrap();
    let refused = |target: &Path, told: &str| {
        symlink(target, &path).unwrap();
        for what in ["print", "write", "remove"] {
            let error = case.run(what).unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("leads"), "{target:?} {error}");
        }
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "nothing is made there");
        assert_eq!(fs::read_to_string(out.join("there.json")).unwrap(), OTHERS);
        fs::remove_file(&path).unwrap();
    };
    refused(&out.join("there.json"), "out/there.json");
    refused(Path::new("../../out/there.json"), "out/there.json");
    refused(&out.join("new.json"), "out/new.json");
    refused(Path::new("no/../../../out/new.json"), "nowhere");
    refused(Path::new("mcp.json"), "nowhere");
    // The folder leads out, and the file does not exist.
    fs::remove_dir(folder.join(".cursor")).unwrap();
    symlink("../out", folder.join(".cursor")).unwrap();
    let error = case.run("write").unwrap_err().to_string();
    assert!(error.contains("out of the project"), "{error}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
}

#[test]
fn a_link_within_a_project_is_followed_and_shown() {
    let (case, folder) = project(&[]);
    symlink("../shared.json", folder.join(".cursor/mcp.json")).unwrap();
    case.done("write");
    let real = folder.join("shared.json");
    assert!(fs::read_to_string(&real).unwrap().contains("countersign"));
    let join = Join::new(&case.args, &case.machine()).unwrap();
    let file = join.read().unwrap();
    let place = format!("{} -> {}", folder.join(".cursor/mcp.json").display(), real.display());
    assert!(join.told(&file, "written", None).contains(&place));
    assert_eq!(join.done(&file, "written", &[]).leads_to, Some(real.display().to_string()));
}

#[test]
fn a_backup_with_a_token_is_for_its_owner_alone_and_told() {
    let old = "{\"mcpServers\":{\"x\":{\"headers\":{\"Authorization\":\"Bearer t0ken\"}}}}";
    let own = old.replace("Bearer t0ken", "s3cret");
    let more = ["--http", "--token", "s3cret"];
    for (text, more, is_secret) in [
        (old, [].as_slice(), true),
        (&own, &more, true),
        (&own, &[], false),
        (OTHERS, &more, false),
    ] {
        let (case, folder) = project(more);
        fs::write(folder.join(".cursor/mcp.json"), text).unwrap();
        let join = Join::new(&case.args, &case.machine()).unwrap();
        let now = Timestamp::from_ms(1_800_000_000_000);
        let (backup, notes) = join.back_up(&join.read().unwrap(), now).unwrap();
        let backup = backup.unwrap();
        assert_eq!(fs::read_to_string(&backup).unwrap(), text);
        let mode = fs::metadata(&backup).unwrap().mode() & 0o777;
        assert_eq!(mode == 0o600, is_secret, "{mode:o} {text}");
        let notes = notes.join("\n");
        assert_eq!(notes.contains("may hold a token"), is_secret, "{notes}");
        assert!(notes.contains("do not commit it"), "{notes}");
    }
    let case = case(&[]).with(OTHERS);
    let join = Join::new(&case.args, &case.machine()).unwrap();
    let notes = join.back_up(&join.read().unwrap(), Timestamp::from_ms(0)).unwrap().1;
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn a_difference_shows_no_secret_of_another_server() {
    let old = "{\n  \"env\": {\n    \"K\": \"s1\"\n  },\n  \"b\": 1\n}";
    let new = old.replace("s1", "s2").replace("1\n}", "2\n}\n");
    let shown = file::difference(Path::new("/x"), old, &new, client::Form::Json);
    let expected = "--- /x\n+++ /x\n@@ -1,6 +1,6 @@\n {\n   \"env\": {\n-    \"K\": …\n+    \"K\": …\n   \
                    },\n-  \"b\": 1\n-}\n\\ No newline at end of file\n+  \"b\": 2\n+}\n";
    assert_eq!(shown, expected);
    assert_eq!(file::difference(Path::new("/x"), old, old, client::Form::Json), "");
}
