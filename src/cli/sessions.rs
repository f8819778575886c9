//! `sessions`, and what `countersign mcp` says of its own session.

use std::{env, path::PathBuf};

use super::{
    Ctx, Exit, escape,
    print::{Style, table},
};
use crate::{
    base::SessionName,
    ipc::Hello,
    node::{
        api::{ApiError, ErrorKind, HumanRequest, Session, Sessions},
        sessions::{Route, Transport},
    },
};

/// The variable with what the user calls the session.
const SESSION: &str = "COUNTERSIGN_SESSION";
/// The variable in which one client says which folder it works in. The others start their servers
/// there.
const PROJECT: &str = "CLAUDE_PROJECT_DIR";

/// What a session says of itself: by the argument, or else by the environment.
pub(super) fn hello(chosen: Option<SessionName>) -> anyhow::Result<Hello> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let session = match (chosen, set(SESSION)) {
        (None, Some(name)) => Some(named(&name.to_string_lossy())?),
        (chosen, _) => chosen,
    };
    Ok(Hello::of_session(session, set(PROJECT).map(PathBuf::from)))
}

fn named(name: &str) -> Result<SessionName, ApiError> {
    SessionName::parse(name).map_err(|error| {
        let message = format!("{SESSION}: {error}");
        ApiError::new(ErrorKind::Usage, message, "choose another name, or leave it unset")
    })
}

/// Lists the sessions.
pub(super) async fn sessions(ctx: &Ctx) -> anyhow::Result<Exit> {
    let all: Sessions = ctx.human(HumanRequest::Sessions).await?;
    ctx.out.data(&all, |style| list_text(&all.sessions, style))?;
    Ok(Exit::Done)
}

fn list_text(sessions: &[Session], style: Style) -> String {
    if sessions.is_empty() {
        return "No MCP client was here yet. One starts: countersign mcp".to_owned();
    }
    let heading = ["SESSION", "CLIENT", "OVER", "UNREAD", "SINCE", "TOLD BY", "FOLDER"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(sessions.iter().map(row));
    table(&rows, style)
}

fn row(session: &Session) -> Vec<String> {
    let text = |text: Option<&String>| text.map(|text| escape::line(text)).unwrap_or_default();
    let routes: Vec<_> = session.routes.iter().map(|route| route_word(*route)).collect();
    vec![
        escape::line(&session.name),
        text(session.client.as_ref()),
        session.transport.map_or("away", transport_word).to_owned(),
        session.unread.to_string(),
        escape::line(&session.since),
        routes.join(", "),
        text(session.project.as_ref()),
    ]
}

const fn transport_word(transport: Transport) -> &'static str {
    match transport {
        Transport::Stdio => "stdio",
        Transport::Http => "http",
        Transport::Sse => "sse",
    }
}

const fn route_word(route: Route) -> &'static str {
    match route {
        Route::Channel => "channel",
        Route::Resources => "resources",
        Route::Listen => "listen",
        Route::Wait => "wait",
        Route::Hook => "hook",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_stand_in_columns_and_no_folder_can_leave_its_line() {
        let open = Session {
            name: "api".into(),
            open: true,
            client: Some("editor".into()),
            project: Some("/srv/ann/api\n\u{1b}[31m".into()),
            transport: Some(Transport::Stdio),
            protocol: Some("2025-11-25".into()),
            since: "2026-01-01T00:00:00.000Z".into(),
            routes: vec![Route::Channel, Route::Hook],
            unread: 2,
        };
        let away = Session {
            name: "web".into(),
            open: false,
            client: None,
            project: None,
            transport: None,
            protocol: None,
            routes: Vec::new(),
            unread: 0,
            ..open.clone()
        };
        insta::assert_snapshot!(list_text(&[open, away], Style::plain()), @r"
        SESSION  CLIENT  OVER   UNREAD  SINCE                     TOLD BY        FOLDER
        api      editor  stdio  2       2026-01-01T00:00:00.000Z  channel, hook  /srv/ann/api\n\u{1b}[31m
        web              away   0       2026-01-01T00:00:00.000Z
        ");
        assert!(list_text(&[], Style::plain()).contains("countersign mcp"));
    }

    #[test]
    fn a_name_that_is_none_says_what_is_allowed() {
        let error = named("My Project").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Usage);
        assert!(error.to_string().contains("lower-case letters, digits, '-', '_' and '.'"));
        assert_eq!(named("api").unwrap().as_str(), "api");
    }
}
