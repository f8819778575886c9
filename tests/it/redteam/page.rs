//! The page and `/mcp`, asked by hand: every route without a session, with another's credentials,
//! and with a session that was stolen while the page is locked.

use serde_json::json;

use super::{LOOSE, Siege};
use crate::{
    page_attacks::visitor::{ORIGIN_KEY, Visitor, act},
    support::http::Request,
};

/// Every route of the page, as its source names them, with ids that are there.
fn routes(siege: &Siege) -> Vec<String> {
    let source = include_str!("../../../src/web/mod.rs");
    let named = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut routes = Vec::new();
    for route in named {
        for id in [&siege.item, &siege.stranger, &siege.message] {
            let route = route.replace("{id}", id).replace("{peer}", "mallory");
            if !routes.contains(&route) {
                routes.push(route);
            }
        }
    }
    assert!(routes.len() > 40, "{routes:?}");
    routes
}

/// What any form of the page might want, with everything but the passphrase and a right digest.
fn fields<'a>(csrf: &'a str, passphrase: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("csrf", csrf),
        ("origin_key", ORIGIN_KEY),
        ("passphrase", passphrase),
        ("again", passphrase),
        ("verified", "on"),
        ("hours", "24"),
        ("messages", "20"),
        ("policy", LOOSE),
        ("text", "written in her name"),
        ("on", "on"),
        ("code", "00000000000000000000000000000000"),
    ]
}

#[test]
fn no_route_of_the_page_does_anything_for_whoever_has_no_session() {
    let siege = Siege::lay();
    let port = Visitor::open(&siege.alice).port;
    let token = siege.alice.run(&["token", "new", "red"]).expect(0).stdout.trim().to_owned();
    let bearer = format!("Bearer {token}");
    let cookies = [
        "",
        "session=00000000000000000000000000000000",
        &format!("session={token}"),
        &format!("countersign={token}; session={token}; id={token}"),
    ];
    for route in routes(&siege).iter().filter(|route| *route != "/events") {
        for cookie in cookies {
            let form = Request::form(port, route, &fields("", siege.alice.passphrase));
            let get = Request::get(port, route);
            for request in [form, get] {
                let request = request.header("Cookie", cookie).header("Authorization", &bearer);
                let Ok(answer) = request.try_send() else { continue };
                let text = answer.text();
                let text = text.replace("name=\"csrf\" value=\"\"", "");
                let words = ["AKIA", "good morning", "name=\"csrf\""];
                assert!(!words.iter().any(|word| text.contains(word)), "{route}: {text}");
            }
        }
    }
    siege.holds("every route of the page");
}

/// Sends every form with a session that is open and locked, and no passphrase or a wrong one. Setting
/// the standard policy where it counts already is left out: it takes nothing, and changes nothing.
pub(super) fn with_a_stolen_session(siege: &Siege) {
    let visitor = Visitor::open(&siege.alice);
    let digest = visitor.digest(&siege.item);
    // One wrong passphrase a form is more than five in all: what is locked then is locked.
    for passphrase in ["", "not the passphrase of anyone"] {
        let own = fields(&visitor.csrf, passphrase);
        let own = [&own[..], &[("digest", digest.as_str())]].concat();
        for item in siege.items() {
            for what in ["approve", "grant"] {
                visitor.bare_form(&act(item, what), &own).send();
            }
        }
        for path in ["/unlock", "/settings/policy", "/settings/taint"] {
            visitor.bare_form(path, &own).send();
        }
        visitor.bare_form("/settings/inline", &own).send();
        visitor.bare_form("/conversations/bob/write", &own).send();
        let known = siege.alice.json(&["known", "list"])["values"][0]["id"].clone();
        let forget = format!("/settings/known/{}/forget", known.as_str().unwrap());
        visitor.bare_form(&forget, &own).send();
    }
}

#[test]
fn a_stolen_session_approves_nothing_while_the_page_is_locked() {
    let siege = Siege::lay();
    with_a_stolen_session(&siege);
    siege.holds("a stolen session");
    let held = siege.bob.texts();
    assert!(held.is_empty(), "{held:?}");
}

#[test]
fn a_stolen_bearer_token_is_an_agent_and_no_human() {
    let siege = Siege::lay();
    let port = Visitor::open(&siege.alice).port;
    let token = siege.alice.run(&["token", "new", "red"]).expect(0).stdout.trim().to_owned();
    for method in ["human", "decide", "tools/call", "countersign/decide", "pending"] {
        for item in siege.items() {
            let params = json!({
                "name": "approve", "human": "decide", "id": item,
                "arguments": {"id": item, "approve": true},
                "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                          "io.modelcontextprotocol/clientCapabilities": {},
                          "io.modelcontextprotocol/clientInfo": {"name": "red", "version": "1"}},
            });
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
            let request = Request::new(port, "POST", "/mcp")
                .header("Authorization", &format!("Bearer {token}"))
                .header("Content-Type", "application/json")
                .header("Accept", "application/json, text/event-stream")
                .header("MCP-Protocol-Version", "2026-07-28")
                .body(body.to_string().as_bytes());
            request.try_send().ok();
        }
    }
    siege.holds("a stolen token");
}
