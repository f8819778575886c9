//! The sessions of MCP clients, among the settings.

use maud::{Markup, html};

use super::{text, time};
use crate::node::{
    api::{Session, Sessions},
    sessions::{Route, Transport},
};

pub(super) fn list(all: &Sessions) -> Markup {
    html! {
        p {
            "Each MCP client that is connected is a session. What comes for one that is open is new \
             to that one alone; everything else is new to each. A peer reaches one by its name, as "
            code { "you/NAME" } ", and is not told which there are."
        }
        div #sessions data-live {
            @if all.sessions.is_empty() {
                p .hint { "No MCP client was here yet." }
            } @else {
                ul .sessions { @for session in &all.sessions { li { (row(session)) } } }
            }
        }
    }
}

fn row(session: &Session) -> Markup {
    html! {
        div .row-head {
            strong .petname { (text::line(&session.name)) }
            @if session.open { span .tag.peer-trusted { "open" } } @else { span .tag { "away" } }
            @if session.unread > 0 { span .count { (session.unread) " unread" } }
        }
        div .row-foot {
            @if let Some(client) = &session.client { (text::line(client)) " · " }
            @if let Some(transport) = session.transport { (over(transport)) " · " }
            @if let Some(protocol) = &session.protocol { "MCP " (text::line(protocol)) " · " }
            @if session.open { "since " } @else { "last seen " }
            (time::ago(&session.since))
        }
        @if let Some(project) = &session.project { p .hint { (text::line(project)) } }
        @if session.open { p .hint { (told(&session.routes)) } }
    }
}

const fn over(transport: Transport) -> &'static str {
    match transport {
        Transport::Stdio => "stdio",
        Transport::Http => "HTTP",
        Transport::Sse => "HTTP with SSE",
    }
}

/// How it learns of a message.
fn told(routes: &[Route]) -> String {
    if routes.is_empty() {
        return "It learns of messages when it looks.".to_owned();
    }
    let word = |route: &Route| match route {
        Route::Channel => "in the conversation",
        Route::Resources => "by resources that it follows",
        Route::Listen => "by a subscription",
        Route::Wait => "by a call that waits now",
        Route::Hook => "by a hook",
    };
    let routes: Vec<_> = routes.iter().map(word).collect();
    format!("It learns of messages {}.", routes.join(", "))
}
