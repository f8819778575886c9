//! `ping`: whether a peer's node answers, and how it is reached. No model is woken.

use clap::Args as ClapArgs;

use super::{
    Ctx, Exit, escape,
    print::{self, Style, fields},
};
use crate::node::api::{HumanRequest, Reached, Request};

/// Of `ping`.
#[derive(Clone, Debug, ClapArgs)]
pub struct PingArgs {
    /// The peer's name or id
    pub peer: String,
    /// How often, up to 10
    #[arg(long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u32).range(1..=10))]
    pub count: u32,
    /// How long to wait for a connection, up to 30
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=30))]
    pub timeout: u64,
}

/// Asks the peer's node. Exits 1 when it does not answer.
pub(super) async fn ping(ctx: &Ctx, args: PingArgs) -> anyhow::Result<Exit> {
    let PingArgs { peer, count, timeout: wait_s } = args;
    let mut client = ctx.client().await?;
    let spinner = print::spinner("asking the peer's node");
    let request = HumanRequest::Ping { peer, count, wait_s };
    let reached: Reached = client.ask(Request::Human(request)).await?;
    drop(spinner);
    ctx.out.data(&reached, |style| text(&reached, style))?;
    Ok(if reached.reachable { Exit::Done } else { Exit::Failed })
}

fn text(reached: &Reached, style: Style) -> String {
    let line = |text: &Option<String>| text.as_deref().map(escape::line);
    let mut rows = vec![
        ("peer", escape::line(&reached.peer.name)),
        ("answers", if reached.reachable { style.good("yes") } else { style.bad("no") }),
    ];
    let relay = line(&reached.relay).map(|url| format!(" {url}")).unwrap_or_default();
    rows.push(("path", format!("{}{relay}", escape::line(&reached.path))));
    let said = [
        ("since", line(&reached.path_since)),
        ("post-quantum", reached.pq.map(|pq| if pq { "yes" } else { "no" }.to_owned())),
        ("version", line(&reached.version)),
        ("round trips", round_trips(reached)),
        ("reason", line(&reached.reason)),
        ("tried", (!reached.tried.is_empty()).then(|| escape::line(&reached.tried.join(", ")))),
        ("warning", line(&reached.warning).map(|text| style.warn(&text))),
        ("next", line(&reached.next)),
    ];
    rows.extend(said.into_iter().filter_map(|(name, text)| Some((name, text?))));
    fields(&rows, style)
}

fn round_trips(reached: &Reached) -> Option<String> {
    let (min, avg, max) = (reached.min_ms?, reached.avg_ms?, reached.max_ms?);
    let each: Vec<String> = reached.rtt_ms.iter().map(|ms| format!("{ms:.1}")).collect();
    let lost = if reached.lost == 0 { String::new() } else { format!(", {} lost", reached.lost) };
    Some(format!("{} ms (min {min:.1}, avg {avg:.1}, max {max:.1}{lost})", each.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::api::PeerRef;

    fn reached() -> Reached {
        Reached {
            peer: PeerRef { id: "00ff".into(), name: "bob".into() },
            reachable: true,
            reason: None,
            next: None,
            tried: Vec::new(),
            path: "relay".into(),
            relay: Some("https://relay.example/\u{1b}[2J".into()),
            path_since: Some("2026-11-21T09:00:00.000Z".into()),
            pq: Some(true),
            version: Some("0.1.0".into()),
            rtt_ms: vec![20.0, 30.04],
            lost: 1,
            min_ms: Some(20.0),
            avg_ms: Some(25.02),
            max_ms: Some(30.04),
            warning: None,
        }
    }

    #[test]
    fn an_answer_says_how_and_nothing_of_it_can_draw() {
        insta::assert_snapshot!(text(&reached(), Style::plain()), @r"
        peer          bob
        answers       yes
        path          relay https://relay.example/\u{1b}[2J
        since         2026-11-21T09:00:00.000Z
        post-quantum  yes
        version       0.1.0
        round trips   20.0, 30.0 ms (min 20.0, avg 25.0, max 30.0, 1 lost)
        ");
    }

    #[test]
    fn no_answer_says_why_where_it_was_tried_and_what_to_do() {
        let silent = Reached {
            reachable: false,
            reason: Some("no answer".into()),
            next: Some("see that its computer is on".into()),
            tried: vec!["192.0.2.7:4000".into(), "lookup".into()],
            path: "offline".into(),
            relay: None,
            pq: None,
            version: None,
            rtt_ms: Vec::new(),
            lost: 0,
            min_ms: None,
            avg_ms: None,
            max_ms: None,
            ..reached()
        };
        insta::assert_snapshot!(text(&silent, Style::plain()), @r"
        peer     bob
        answers  no
        path     offline
        since    2026-11-21T09:00:00.000Z
        reason   no answer
        tried    192.0.2.7:4000, lookup
        next     see that its computer is on
        ");
    }
}
