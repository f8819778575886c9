//! `token`: who may come over HTTP.
//!
//! A token is made in this process and shown once; the node gets its hash.

use serde::Serialize;

use super::{
    Ctx, Exit, escape,
    print::{self, Style, table},
};
use crate::{
    base::limits::PAGE_PORT,
    node::{
        api::{HumanRequest, PagePort, Tokens},
        tokens::fresh,
    },
};

/// What `new --json` gives.
#[derive(Serialize)]
struct Made<'a> {
    name: &'a str,
    token: &'a str,
}

/// Makes one, and shows it.
pub(super) async fn new(ctx: &Ctx, name: String) -> anyhow::Result<Exit> {
    let (token, hash) = fresh();
    let _: Tokens = ctx.human(HumanRequest::TokenNew { name: name.clone(), hash }).await?;
    let made = Made { name: &name, token: token.expose_secret() };
    ctx.out.data(&made, |_| token.expose_secret().clone())?;
    let served: PagePort = ctx.human(HumanRequest::PagePort { served: None }).await?;
    let port = served.port.unwrap_or(PAGE_PORT);
    print::talk(&format!(
        "This is shown once. The client's address is http://127.0.0.1:{port}/mcp, with the header \
         \"Authorization: Bearer TOKEN\". It lets the client in as an agent: it can do what \
         countersign mcp can, and approve nothing. To end it: countersign token revoke {name}",
    ));
    Ok(Exit::Done)
}

/// Lists those that are good.
pub(super) async fn list(ctx: &Ctx) -> anyhow::Result<Exit> {
    let tokens: Tokens = ctx.human(HumanRequest::Tokens).await?;
    ctx.out.data(&tokens, |style| text_of(&tokens, style))?;
    Ok(Exit::Done)
}

fn text_of(tokens: &Tokens, style: Style) -> String {
    if tokens.tokens.is_empty() {
        return "No client may come over HTTP. To let one: countersign token new NAME".to_owned();
    }
    let mut rows = vec![["NAME", "SINCE", "LAST USED"].map(str::to_owned).to_vec()];
    rows.extend(tokens.tokens.iter().map(|token| {
        let used = token.used_at.as_deref().unwrap_or("never");
        [token.name.as_str(), &token.created_at, used].map(escape::line).to_vec()
    }));
    table(&rows, style)
}

/// Ends one, at once.
pub(super) async fn revoke(ctx: &Ctx, name: String) -> anyhow::Result<Exit> {
    let left: Tokens = ctx.human(HumanRequest::TokenEnd { name: name.clone() }).await?;
    let value = serde_json::json!({ "name": name, "revoked": true, "left": left.tokens.len() });
    ctx.out.data(&value, |style| format!("{} {}", style.good("revoked"), escape::line(&name)))?;
    print::talk("Every session that came by it has ended.");
    Ok(Exit::Done)
}
