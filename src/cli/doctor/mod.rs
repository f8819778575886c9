//! `doctor`: looks at the home from outside, and says what to do about each trouble.

mod network;

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use serde::Serialize;

use super::{Ctx, Exit, escape, print::Style};
use crate::{
    node::{
        api::{Checked, HumanRequest, Session, Sessions, Status},
        config::{Config, Home, NetworkConfig},
        moved,
        sessions::Route,
        standing,
    },
    store::keys,
};

/// What to do about a home that is not set up.
const SET_UP: &str = "run `countersign init` in a terminal, or `countersign page`";

/// How a thing that was looked at is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    Ok,
    Note,
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Check {
    name: &'static str,
    health: Health,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Checkup {
    ok: bool,
    checks: Vec<Check>,
}

impl Check {
    fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, health: Health::Ok, text: text.into(), remedy: None }
    }

    fn note(name: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, health: Health::Note, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn problem(name: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, health: Health::Problem, text: text.into(), remedy: Some(remedy.into()) }
    }
}

/// Checks the home; exits 1 when something is wrong.
pub(super) async fn doctor(ctx: &Ctx) -> anyhow::Result<Exit> {
    let home = &ctx.home;
    let mut checks = vec![folder(home)];
    if home.path().is_dir() {
        checks.extend(files(home));
        checks.push(approver(home));
        checks.push(settings(home));
    }
    if let Some(moved) = moved::says(home) {
        checks.push(Check::problem("moved", moved, moved::MOVED_NEXT));
    }
    checks.push(mode_of(home));
    let found = network::look(ctx).await;
    checks.extend(node(ctx, found.as_ref()).await);
    checks.extend(found.iter().flat_map(network::checks));
    checks.extend(sessions(ctx).await);
    let ok = checks.iter().all(|check| check.health != Health::Problem);
    let checkup = Checkup { ok, checks };
    ctx.out.data(&checkup, |style| text(&checkup, style))?;
    Ok(if ok { Exit::Done } else { Exit::Failed })
}

fn text(checkup: &Checkup, style: Style) -> String {
    let lines = checkup.checks.iter().map(|check| {
        let mark = match check.health {
            Health::Ok => style.good("ok     "),
            Health::Note => style.warn("note   "),
            Health::Problem => style.bad("problem"),
        };
        let remedy = check.remedy.as_deref().map(|r| format!("\n           → {}", escape::line(r)));
        let (name, text) = (check.name, escape::line(&check.text));
        format!("{mark}  {name}: {text}{}", remedy.unwrap_or_default())
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn bits(path: &Path) -> Option<u32> {
    path.metadata().ok().map(|about| about.permissions().mode() & 0o777)
}

fn folder(home: &Home) -> Check {
    let path = home.path().display();
    match bits(home.path()) {
        None => Check::problem("home", format!("{path} is not there"), SET_UP),
        Some(mode) if mode & 0o077 != 0 => {
            let text = format!("{path} is open to other users (mode {mode:o})");
            Check::problem("home", text, format!("run: chmod 700 {path}"))
        }
        Some(_) => Check::ok("home", path.to_string()),
    }
}

/// The files that nobody else may read.
fn files(home: &Home) -> Vec<Check> {
    let private = [
        home.identity_file(),
        home.approver_file(),
        home.database_file(),
        home.socket_file(),
        home.log_file(),
    ];
    let mut checks: Vec<_> = private
        .iter()
        .filter_map(|path| bits(path).map(|mode| (path.display(), mode)))
        .filter(|(_, mode)| mode & 0o077 != 0)
        .map(|(path, mode)| {
            let text = format!("{path} is open to other users (mode {mode:o})");
            Check::problem("files", text, format!("run: chmod 600 {path}"))
        })
        .collect();
    if checks.is_empty() {
        checks.push(Check::ok("files", "closed to other users"));
    }
    if !home.identity_file().exists() {
        let text = "this home has no identity key yet";
        checks.push(Check::problem("identity", text, SET_UP));
    }
    checks
}

fn approver(home: &Home) -> Check {
    match keys::read_approver(&home.approver_file()) {
        Ok(Some(_)) => Check::ok("approver", "set up; approvals need your passphrase"),
        Ok(None) => {
            let text = "not set up: everything that needs a yes waits";
            Check::problem("approver", text, SET_UP)
        }
        Err(error) => {
            let remedy = "restore approver.key from a copy, or set up a new home";
            Check::problem("approver", error.to_string(), remedy)
        }
    }
}

fn settings(home: &Home) -> Check {
    match Config::read(home) {
        Ok(config) => Check::ok("settings", format!("peers see the name \"{}\"", config.name)),
        Err(error) => Check::problem("settings", error.to_string(), "correct it, or run init"),
    }
}

fn mode_of(home: &Home) -> Check {
    // Without a file that can be read, the environment still counts.
    let network = Config::read(home).map_or_else(|_| NetworkConfig::default(), |c| c.network);
    let file_mode = network.mode.unwrap_or_default();
    match std::env::var("COUNTERSIGN_NETWORK").ok().filter(|mode| !mode.is_empty()) {
        None => Check::ok("network", format!("{file_mode}, by config.toml or the default")),
        Some(mode) => match mode.parse::<crate::node::config::NetworkMode>() {
            Ok(mode) => Check::ok("network", format!("{mode}, by COUNTERSIGN_NETWORK")),
            Err(error) => Check::problem("network", error.to_string(), "correct the variable"),
        },
    }
}

async fn node(ctx: &Ctx, found: Option<&Checked>) -> Vec<Check> {
    match ctx.if_running::<Status>(HumanRequest::Status).await {
        Ok(Some(status)) => {
            let pid = status.pid.map(|pid| format!(", process {pid}")).unwrap_or_default();
            let mine = env!("CARGO_PKG_VERSION");
            let mut checks = vec![if status.version == mine {
                Check::ok("node", format!("runs{pid}"))
            } else {
                let text = format!("runs version {}, this is {mine}", status.version);
                Check::note("node", text, "run `countersign stop`; the next command starts it")
            }];
            let look = "see `countersign peers`, `countersign pending` or `countersign page`";
            let has_a_line = |text: &&String| found.is_some_and(|found| found.twice.contains(text));
            let warnings = status.warnings.iter().filter(|text| !has_a_line(text));
            checks.extend(warnings.map(|text| {
                if text.starts_with(standing::BROKEN) {
                    Check::problem("audit", text, "run: countersign audit verify")
                } else {
                    Check::note("node", text, look)
                }
            }));
            checks
        }
        Ok(None) => {
            vec![Check::note("node", "does not run", "the next command or agent starts it")]
        }
        Err(error) => {
            let remedy = format!("see {}", ctx.home.log_file().display());
            vec![Check::problem("node", error.to_string(), remedy)]
        }
    }
}

/// How each session that is open learns of messages now.
async fn sessions(ctx: &Ctx) -> Vec<Check> {
    // What is wrong with the node was said.
    let found = ctx.if_running::<Sessions>(HumanRequest::Sessions).await;
    let Ok(Some(Sessions { sessions })) = found else { return Vec::new() };
    sessions.iter().filter(|session| session.open).map(of_session).collect()
}

fn of_session(session: &Session) -> Check {
    let Session { name, client, routes, .. } = session;
    let client = client.as_deref().unwrap_or("a client that has called nothing yet");
    let told: Vec<&str> = routes.iter().map(|route| told_by(*route)).collect();
    if told.is_empty() {
        let text = format!("{name} ({client}) learns of messages when it calls a tool");
        let remedy = "to be told at once: countersign hook in the client's hooks, or countersign \
                      mcp --channel";
        return Check::note("session", text, remedy);
    }
    Check::ok("session", format!("{name} ({client}) learns of messages by {}", told.join(", ")))
}

const fn told_by(route: Route) -> &'static str {
    match route {
        Route::Channel => "its channel",
        Route::Resources => "the inbox resource, which it follows",
        Route::Listen => "its subscription to the inbox",
        Route::Wait => "a call that waits now",
        Route::Hook => "countersign hook",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_that_others_may_read_is_a_problem_with_its_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path()).unwrap();
        fs::write(home.identity_file(), [1; 32]).unwrap();
        fs::set_permissions(home.identity_file(), fs::Permissions::from_mode(0o644)).unwrap();
        let found = files(&home);
        let remedy = found[0].remedy.as_deref().unwrap();
        assert!(found[0].health == Health::Problem && remedy.contains("chmod 600"), "{found:?}");
        fs::set_permissions(home.identity_file(), fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(files(&home)[0].health, Health::Ok);
        assert_eq!(approver(&home).health, Health::Problem);
    }
}
