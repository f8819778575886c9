//! What joining needs to know of this machine and of this process.

use std::{
    env,
    path::{Component, Path, PathBuf},
};

use anyhow::Context as _;

use super::client::Transport;

/// Folders, by the environment and the system.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// Whether this is macOS.
    pub(super) is_mac: bool,
    /// The user's folder.
    pub(super) home: PathBuf,
    /// Where the command was called: the project.
    pub(super) folder: PathBuf,
    /// `XDG_CONFIG_HOME`.
    pub(super) xdg_config: Option<PathBuf>,
    /// `CLAUDE_CONFIG_DIR`.
    pub(super) claude_folder: Option<PathBuf>,
    /// `CODEX_HOME`.
    pub(super) codex_folder: Option<PathBuf>,
}

impl Machine {
    /// This process's.
    ///
    /// # Errors
    /// When it has no home, or its folder is gone.
    pub(super) fn of_process() -> anyhow::Result<Self> {
        let absolute = |name| set(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Ok(Self {
            is_mac: cfg!(target_os = "macos"),
            home: absolute("HOME").context("HOME is not set to a folder; set it")?,
            folder: env::current_dir().context("this folder is gone; change to another one")?,
            xdg_config: absolute("XDG_CONFIG_HOME"),
            claude_folder: absolute("CLAUDE_CONFIG_DIR"),
            codex_folder: absolute("CODEX_HOME"),
        })
    }

    /// `~/.config`, or what the variable says on Linux.
    pub(super) fn config_folder(&self) -> PathBuf {
        let said = self.xdg_config.clone().filter(|_| !self.is_mac);
        said.unwrap_or_else(|| self.home.join(".config"))
    }

    /// Where applications of the desktop keep theirs.
    pub(super) fn application_folder(&self) -> PathBuf {
        if self.is_mac {
            self.home.join("Library/Application Support")
        } else {
            self.config_folder()
        }
    }
}

fn set(name: &str) -> Option<std::ffi::OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().with_context(|| {
        format!("the path {} is not UTF-8, and no client's file can hold it", path.display())
    })?;
    Ok(text.to_owned())
}

/// The program that runs, at the path under which a client should start it.
///
/// # Errors
/// When it is gone, or its path is not UTF-8.
pub(super) fn program() -> anyhow::Result<PathBuf> {
    let real = env::current_exe()
        .and_then(std::fs::canonicalize)
        .context("the program that runs is gone from its place; start it again")?;
    // A link that a package manager moves with each version is better than what it points to today.
    let folders = env::var_os("PATH").unwrap_or_default();
    let mut named = env::split_paths(&folders)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("countersign"));
    let same = |path: &PathBuf| std::fs::canonicalize(path).is_ok_and(|found| found == real);
    Ok(named.find(same).unwrap_or(real))
}

/// Why a client that starts this program may not find it tomorrow.
pub(super) fn may_go(program: &Path, temporary: &Path) -> Option<&'static str> {
    let is_target = |part: Component<'_>| part.as_os_str() == "target";
    let kept = ["/tmp", "/var/tmp", "/private/tmp", "/private/var/folders", "/dev/shm"];
    if kept.iter().any(|folder| program.starts_with(folder)) || program.starts_with(temporary) {
        Some("lies in a folder for temporary files")
    } else if program.components().any(is_target) {
        Some("lies in a build folder")
    } else {
        None
    }
}

/// A process of `program` for a session of that name, with what this environment sets.
///
/// # Errors
/// When a path is not UTF-8.
pub(super) fn stdio(
    machine: &Machine,
    program: &Path,
    session: Option<&str>,
) -> anyhow::Result<Transport> {
    let mut arguments = vec!["mcp".to_owned()];
    if let Some(session) = session {
        arguments.extend(["--session".to_owned(), session.to_owned()]);
    }
    let mut environment = Vec::new();
    if let Some(home) = set("COUNTERSIGN_HOME") {
        let home = std::path::absolute(home)?;
        if home != machine.home.join(".countersign") {
            environment.push(("COUNTERSIGN_HOME".to_owned(), text(&home)?));
        }
    }
    if let Ok(network) = env::var("COUNTERSIGN_NETWORK")
        && !["", "internet"].contains(&network.as_str())
    {
        environment.push(("COUNTERSIGN_NETWORK".to_owned(), network));
    }
    Ok(Transport::Stdio { command: text(program)?, arguments, environment })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_may_go_is_told() {
        let check = |path: &str, expected: Option<&str>| {
            let told = may_go(Path::new(path), Path::new("/run/user/1/tmp"));
            assert_eq!(told.is_some(), expected.is_some(), "{path}");
            assert!(told.unwrap_or_default().contains(expected.unwrap_or_default()), "{path}");
        };
        check("/h/a/.cargo/bin/countersign", None);
        check("/usr/local/bin/countersign", None);
        check("/h/a/src/countersign/target/release/countersign", Some("build"));
        check("/tmp/x/countersign", Some("temporary"));
        check("/run/user/1/tmp/countersign", Some("temporary"));
        check("/h/a/targets/countersign", None);
    }
}
