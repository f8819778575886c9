//! `taint`: whose texts the agent has read, and the human's word that it counts no more.

use serde::de::IgnoredAny;

use super::{
    Ctx, Exit, escape, order,
    print::{self, Style},
};
use crate::{
    node::api::{HumanRequest, TaintState},
    wire::Command,
};

/// Shows whose texts were read.
pub(super) async fn show(ctx: &Ctx) -> anyhow::Result<Exit> {
    let state: TaintState = ctx.human(HumanRequest::TaintShow).await?;
    ctx.out.data(&state, |style| text(&state, style))?;
    if !state.read.is_empty() {
        print::talk("To let it begin anew: countersign taint clear");
    }
    Ok(Exit::Done)
}

fn text(state: &TaintState, style: Style) -> String {
    if state.read.is_empty() {
        return "Your agent has read no peer's text lately.".to_owned();
    }
    let head = "Your agent has read texts of these peers, and may do what they say. You are asked \
                about what it\nsends to others, and it connects with nobody new:";
    let lines = state.read.iter().map(|read| {
        let name = style.bold(&escape::line(&read.peer.name));
        format!("  {name}, until {}  {}", escape::line(&read.until), style.dim(&read.peer.id))
    });
    [vec![head.to_owned()], lines.collect()].concat().join("\n")
}

/// What was read counts no more, when the passphrase is typed.
pub(super) async fn clear(ctx: &Ctx) -> anyhow::Result<Exit> {
    let state: TaintState = ctx.human(HumanRequest::TaintShow).await?;
    let order = order::sign(ctx, |style| explanation(&state, style), Command::TaintClear)?;
    let _: IgnoredAny = ctx.human(HumanRequest::TaintClear { order }).await?;
    let value = serde_json::json!({ "cleared": true });
    ctx.out.data(&value, |style| style.good("What it has read counts no more."))?;
    print::talk("What it reads from now on counts again.");
    Ok(Exit::Done)
}

fn explanation(state: &TaintState, style: Style) -> String {
    format!(
        "{}\n\n{}\n\n\
         - With your passphrase this counts no more: what your agent sends next is judged by the \
         policy alone, and it may connect with new peers.\n\
         - An agent that still has those texts in its conversation may still do what they say. End \
         that conversation first.\n",
        style.bold("You are about to let your agent BEGIN ANEW."),
        text(state, style),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::api::{PeerRef, Read};

    #[test]
    fn the_explanation_names_everybody_and_is_escaped() {
        let peer = PeerRef { id: "00ff".into(), name: "bob\u{1b}[2J".into() };
        let state = TaintState { read: vec![Read { peer, until: "later".into() }] };
        let text = explanation(&state, Style::plain());
        assert!(text.contains("bob\\u{1b}[2J, until later  00ff"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
