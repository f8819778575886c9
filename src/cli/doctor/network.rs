//! What `doctor` says of the network: what the node found when it looked.

use super::{Check, Ctx};
use crate::{
    base::limits,
    node::api::{Checked, HumanRequest, LookupChecked, RelayChecked},
};

/// From here on another clock is worth a word, seconds.
const CLOCK_NOTED_S: u64 = 60;

/// Asks a node that runs to look. Nothing where none runs: that was said.
pub(super) async fn look(ctx: &Ctx) -> Option<Checked> {
    let found = ctx.if_running::<Checked>(HumanRequest::Check).await;
    found.ok().flatten()
}

/// A line for each thing that was looked at.
pub(super) fn checks(found: &Checked) -> Vec<Check> {
    let mut checks = vec![udp(found)];
    checks.extend(relays(found));
    checks.extend(lookups(found));
    checks.push(mdns(found));
    checks.extend(proxies(found));
    checks.extend(clock(found));
    checks.push(match &found.page {
        Some(page) => Check::ok("page", format!("{page} (countersign page gives a link)")),
        None => {
            Check::note("page", "is not served", "run `countersign stop`, then the command again")
        }
    });
    checks.extend(found.twice.iter().map(|text| {
        let remedy = "where that is so, stop the node of the home that is not to be used any more";
        Check::problem("identity", text, remedy)
    }));
    checks.extend(post_quantum(found));
    checks
}

fn udp(found: &Checked) -> Check {
    let Checked { port, .. } = found;
    let mapped = if found.mapped { "; the router opened it" } else { "" };
    if *port == 0 {
        let remedy = "see that IPv4 is there and another program does not hold the port";
        return Check::problem("udp", "there is no socket", remedy);
    }
    match (found.mode.as_str(), &found.seen_at) {
        ("internet", Some(seen)) => {
            Check::ok("udp", format!("port {port}; others see this node at {seen}{mapped}"))
        }
        ("internet", None) => Check::note(
            "udp",
            format!("port {port}; nobody outside has answered by UDP so far{mapped}"),
            "let UDP through the firewall; until then what is not on this network goes through relays",
        ),
        (mode, _) => Check::ok("udp", format!("port {port}, for peers in reach of {mode} mode")),
    }
}

fn relays(found: &Checked) -> Vec<Check> {
    if found.relays.is_empty() && found.mode == "internet" {
        let text = "none is used: a peer is reached only where its own address can be";
        return vec![Check::note("relay", text, "set relays under [network] in config.toml")];
    }
    if found.relays.is_empty() {
        return vec![Check::ok("relay", format!("none, as {} mode has it", found.mode))];
    }
    found.relays.iter().map(relay).collect()
}

fn relay(relay: &RelayChecked) -> Check {
    let RelayChecked { url, connected, problem, denied } = relay;
    match (connected, denied, problem) {
        (true, _, _) => Check::ok("relay", format!("{url} is connected")),
        (false, Some(reason), _) => Check::problem(
            "relay",
            format!("{url} refuses this node: {reason}"),
            "ask who runs it to let in the id that `countersign whoami` shows",
        ),
        (false, None, Some(problem)) => Check::problem(
            "relay",
            format!("{url} cannot be used: {problem}"),
            "see that it runs and its URL is right, or change relays under [network] in config.toml",
        ),
        (false, None, None) => {
            Check::ok("relay", format!("{url} is there; this node is at home at another"))
        }
    }
}

fn lookups(found: &Checked) -> Vec<Check> {
    if !found.lookups.is_empty() {
        return found.lookups.iter().map(lookup).collect();
    }
    let none = format!("none, in {} mode and with these settings", found.mode);
    vec![match found.mode.as_str() {
        "internet" => Check::note(
            "lookup",
            format!("{none}: a peer that moves is not found"),
            "set lookups under [network] in config.toml",
        ),
        _ => Check::ok("lookup", none),
    }]
}

fn lookup(lookup: &LookupChecked) -> Check {
    let LookupChecked { name, known, problem } = lookup;
    match (known, problem) {
        (_, Some(problem)) => Check::problem(
            "lookup",
            format!("{name} cannot be asked: {problem}"),
            "see that it runs and its URL is right, or change lookups under [network] in \
             config.toml",
        ),
        (true, None) => Check::ok("lookup", format!("{name} knows this node")),
        (false, None) => Check::note(
            "lookup",
            format!("{name} answers, and does not know this node yet"),
            "wait a minute and look again",
        ),
    }
}

fn mdns(found: &Checked) -> Check {
    let text = if found.mdns { "peers on this network are found" } else { "off" };
    Check::ok("mdns", text)
}

fn proxies(found: &Checked) -> Option<Check> {
    if found.proxy || found.unused.is_empty() || found.mode == "loopback" {
        return found.proxy.then(|| Check::ok("proxy", "used for relays and lookups"));
    }
    let text = format!("{} is set; countersign uses only [network] proxy", found.unused.join(", "));
    Some(Check::note("proxy", text, "set proxy under [network] in config.toml, where it is needed"))
}

fn clock(found: &Checked) -> Option<Check> {
    let (peer, ahead) = found.clock.as_ref()?;
    let seconds = ahead.unsigned_abs();
    if seconds < CLOCK_NOTED_S {
        return Some(Check::ok("clock", "agrees with those of peers"));
    }
    let way = if *ahead < 0 { "ahead of" } else { "behind" };
    let text = format!("this clock is {seconds} s {way} {peer}'s");
    let remedy = "set the clock of the one that is wrong, or let the system keep it";
    Some(if seconds >= limits::CLOCK_AHEAD_MAX.as_secs() {
        Check::problem("clock", text, remedy)
    } else {
        Check::note("clock", text, remedy)
    })
}

fn post_quantum(found: &Checked) -> Option<Check> {
    if found.linked.is_empty() {
        return None;
    }
    let without: Vec<&str> =
        found.linked.iter().filter(|(_, pq)| !pq).map(|(name, _)| name.as_str()).collect();
    Some(if without.is_empty() {
        let must = if found.require_pq { ", and nothing else is taken" } else { "" };
        Check::ok("post-quantum", format!("with each of {} linked peers{must}", found.linked.len()))
    } else {
        Check::note(
            "post-quantum",
            format!("not with {}", without.join(", ")),
            "ask them to update countersign",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{super::Health, *};

    fn found() -> Checked {
        Checked { mode: "internet".into(), port: 4000, ..Checked::default() }
    }

    fn relay_with(connected: bool, problem: Option<&str>, denied: Option<&str>) -> RelayChecked {
        let (problem, denied) = (problem.map(str::to_owned), denied.map(str::to_owned));
        RelayChecked { url: "https://relay.example/".into(), connected, problem, denied }
    }

    /// Of this name, how it is and what it says with its remedy.
    fn one(found: &Checked, name: &str) -> (Health, String) {
        let all = checks(found);
        let check = all.iter().find(|check| check.name == name).unwrap();
        let remedy = check.remedy.as_deref().unwrap_or_default();
        assert_eq!(
            check.health == Health::Ok,
            remedy.is_empty(),
            "a trouble has a remedy: {check:?}"
        );
        (check.health, format!("{} {remedy}", check.text))
    }

    fn check(found: &Checked, name: &str, health: Health, words: &str) {
        let (is, text) = one(found, name);
        assert!(is == health && text.contains(words), "{name}: {is:?} {text}");
    }

    #[test]
    fn udp_is_told_by_who_answered() {
        check(&found(), "udp", Health::Note, "firewall");
        let seen = Checked { seen_at: Some("192.0.2.7:4000".into()), mapped: true, ..found() };
        check(&seen, "udp", Health::Ok, "192.0.2.7:4000; the router opened it");
        check(&Checked { port: 0, ..found() }, "udp", Health::Problem, "no socket");
        check(&Checked { mode: "loopback".into(), ..found() }, "udp", Health::Ok, "port 4000");
    }

    #[test]
    fn each_relay_has_its_line() {
        let with = |relay| Checked { relays: vec![relay], ..found() };
        check(&found(), "relay", Health::Note, "set relays");
        check(&with(relay_with(true, None, None)), "relay", Health::Ok, "connected");
        check(&with(relay_with(false, None, None)), "relay", Health::Ok, "at home at another");
        let silent = with(relay_with(false, Some("refused"), None));
        check(&silent, "relay", Health::Problem, "cannot be used: refused");
        let denied = with(relay_with(false, Some("x"), Some("not on the list")));
        check(&denied, "relay", Health::Problem, "refuses this node: not on the list");
    }

    #[test]
    fn each_lookup_has_its_line() {
        let one = |name: &str, known, problem: Option<&str>| LookupChecked {
            name: name.into(),
            known,
            problem: problem.map(str::to_owned),
        };
        let with = |lookups| Checked { lookups, ..found() };
        check(&with(vec![one("dht", true, None)]), "lookup", Health::Ok, "dht knows this node");
        check(&with(vec![one("dht", false, None)]), "lookup", Health::Note, "yet");
        let dead = with(vec![one("https://x/pkarr", false, Some("refused"))]);
        check(&dead, "lookup", Health::Problem, "https://x/pkarr cannot be asked: refused");
        check(&found(), "lookup", Health::Note, "moves");
        let both = with(vec![one("dht", true, None), one("https://x/pkarr", false, Some("x"))]);
        assert_eq!(checks(&both).iter().filter(|check| check.name == "lookup").count(), 2);
    }

    #[test]
    fn clocks_proxies_copies_and_key_exchanges_are_told() {
        let at = |ahead| Checked { clock: Some(("bob".into(), ahead)), ..found() };
        check(&at(-59), "clock", Health::Ok, "agrees");
        check(&at(-60), "clock", Health::Note, "60 s ahead of bob's");
        check(&at(600), "clock", Health::Problem, "600 s behind bob's");
        let proxy = Checked { unused: vec!["HTTPS_PROXY".into()], ..found() };
        check(
            &proxy,
            "proxy",
            Health::Note,
            "HTTPS_PROXY is set; countersign uses only [network] proxy",
        );
        check(&Checked { proxy: true, ..proxy }, "proxy", Health::Ok, "used");
        let twice = Checked { twice: vec!["this identity also runs".into()], ..found() };
        check(&twice, "identity", Health::Problem, "stop the node");
        let linked = |pq| Checked { linked: vec![("bob".into(), pq)], ..found() };
        check(&linked(true), "post-quantum", Health::Ok, "each of 1");
        check(&linked(false), "post-quantum", Health::Note, "not with bob");
    }
}
