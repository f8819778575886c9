//! One side of the demo: a home, its human and its agent.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    agent::Agent,
    person::{self, Ended, Errand},
};
use crate::{
    base::ClaimedName,
    node::{
        api::{PendingItem, PendingList, Status},
        config::{Config, Home, StorageConfig},
    },
    store::{keys, storage_key::KeyPlace},
};

/// The longest that one of our own commands may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// One side.
pub(super) struct Side {
    /// Who lives here.
    pub(super) name: &'static str,
    /// The passphrase of its human, made for the demo.
    pub(super) passphrase: &'static str,
    home: Home,
    program: PathBuf,
    agent: Option<Agent>,
}

impl Side {
    /// A side whose home is to be made in `folder`.
    pub(super) fn new(
        name: &'static str,
        passphrase: &'static str,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let home = Home::at(folder.join(name.to_ascii_lowercase()))?;
        Ok(Self { name, passphrase, home, program: std::env::current_exe()?, agent: None })
    }

    /// Its home.
    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// Settings before the first start: the demo asks nothing of this person's keyring.
    pub(super) fn settle(&self) -> anyhow::Result<()> {
        keys::create_home(self.home.path())?;
        let storage = StorageConfig { key: Some(KeyPlace::File) };
        let config = Config { storage, ..Config::of(ClaimedName::parse(self.name)?) };
        keys::replace(&self.home.config_file(), config.to_toml().as_bytes())?;
        Ok(())
    }

    fn folder(&self) -> &Path {
        self.home.path().parent().unwrap_or(Path::new("/"))
    }

    /// What its MCP server says on stderr.
    pub(super) fn agent_log(&self) -> PathBuf {
        self.home.path().with_extension("mcp.log")
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("COUNTERSIGN_HOME", self.home.path().display().to_string()),
            ("COUNTERSIGN_NETWORK", "loopback".to_owned()),
            ("NO_COLOR", "1".to_owned()),
            ("TERM", "dumb".to_owned()),
        ]
    }

    fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(arguments).envs(self.environment()).current_dir(self.folder());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// What one of our own commands says with `--json`.
    pub(super) async fn run<T: DeserializeOwned>(&self, arguments: &[&str]) -> anyhow::Result<T> {
        let arguments = [arguments, &["--json"]].concat();
        let output = self.command(&arguments).output();
        let output = tokio::time::timeout(COMMAND_TIMEOUT, output)
            .await
            .with_context(|| format!("{}: countersign {arguments:?} hangs", self.name))??;
        serde_json::from_slice(&output.stdout).with_context(|| {
            let talk = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            format!("{}: countersign {arguments:?} says {talk:?}", self.name)
        })
    }

    /// The human runs a command at a terminal, and types at each prompt.
    pub(super) async fn person(&self, arguments: &[&str], typed: &[&str]) -> anyhow::Result<Ended> {
        let program = self.program.clone();
        let folder = self.folder().to_owned();
        let environment = self.environment();
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let (arguments, typed): (Vec<String>, Vec<String>) = (owned(arguments), owned(typed));
        let work = move || {
            let (program, folder) = (&program, &folder);
            person::run(Errand { program, arguments, environment, folder, typed })
        };
        tokio::task::spawn_blocking(work).await?
    }

    /// The human approves, having read the item.
    pub(super) async fn approve(&self, id: &str, verified: bool) -> anyhow::Result<Ended> {
        let mut arguments = vec!["approve", id];
        arguments.extend(verified.then_some("--verified"));
        let ended = self.person(&arguments, &[self.passphrase]).await?;
        if ended.code == 0 {
            return Ok(ended);
        }
        bail!("{}'s approval ended with {}:\n{}", self.name, ended.code, ended.screen)
    }

    /// The agent starts.
    pub(super) async fn start_agent(&mut self) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.agent_log())?;
        self.agent = Some(Agent::start(self.command(&["mcp"]), log).await?);
        Ok(())
    }

    /// The agent's session.
    pub(super) fn agent(&self) -> anyhow::Result<&Agent> {
        self.agent.as_ref().with_context(|| format!("{}'s agent is not there", self.name))
    }

    /// The agent calls a tool.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        tool: &'static str,
        arguments: Value,
    ) -> anyhow::Result<T> {
        let result = self.agent()?.call(tool, arguments).await;
        result.with_context(|| format!("{}'s agent", self.name))
    }

    /// The agent's session ends; the node runs on.
    pub(super) async fn end_agent(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.end().await;
        }
    }

    /// The one item that waits here and can be decided, when there is one.
    pub(super) async fn ready(&self) -> anyhow::Result<Option<PendingItem>> {
        let list: PendingList = self.run(&["pending"]).await?;
        Ok(list.items.into_iter().find(|item| item.not_ready.is_none()))
    }

    /// How the node is.
    pub(super) async fn status(&self) -> anyhow::Result<Status> {
        self.run(&["status"]).await
    }

    /// Ends the node as a power cut would.
    pub(super) async fn kill_node(&self) -> anyhow::Result<()> {
        let status = self.status().await?;
        let pid = status.pid.and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(rustix::process::Pid::from_raw).context("the node has no pid")?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
        Ok(())
    }

    /// Ends everything on this side, gently or not.
    pub(super) async fn clean_up(&mut self) {
        self.end_agent().await;
        let stopped = self.run::<Value>(&["stop"]).await;
        if stopped.is_err() && self.home.path().exists() {
            self.kill_node().await.ok(); // Most often it is gone already.
        }
    }
}
