//! The policy, what the agent has read and what is watched for, by the page's forms.

use data_encoding::HEXLOWER;

use super::support::{Desk, PASSPHRASE, human_key, node_key};
use crate::{
    node::api::{HumanRequest, SignedHex},
    policy::Policy,
    wire::{Command, Order, SignedOrder},
};

/// The standard, and a denial.
fn tight() -> String {
    let standard = Policy::standard_text();
    format!("{standard}\n[[deny]]\nname = \"no-secrets\"\nfindings = [\"secret.*\"]\n")
}

/// Lets everything pass.
const LOOSE: &str = "version = 1\n[[allow]]\nname = \"all\"\n";

fn open(signed: &SignedHex) -> Order {
    let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
    let statement = hex(&signed.statement);
    let signature = hex(&signed.signature).try_into().unwrap();
    let order = SignedOrder { statement, signature }.open(&human_key(101).id()).unwrap();
    assert_eq!(order.node, node_key(1).id());
    order
}

fn set(desk: &Desk) -> Option<(String, Option<SignedHex>)> {
    desk.asked().into_iter().find_map(|request| {
        let HumanRequest::PolicySet { text, order } = request else { return None };
        Some((text, order))
    })
}

#[tokio::test]
async fn a_looser_policy_takes_the_passphrase_and_is_signed_as_it_was_typed() {
    let desk = Desk::new();
    let browser = desk.unlocked().await;
    // As a browser sends it.
    let typed = LOOSE.replace('\n', "\r\n");
    let form = [("policy", typed.as_str())];
    let refused = browser.post("/settings/policy", &form).await;
    assert!(refused.text.contains("always takes your approval passphrase"), "{}", refused.text);
    assert!(refused.text.contains("name = &quot;all&quot;"), "what was typed stays");
    assert!(set(&desk).is_none());
    let wrong = [form[0], ("passphrase", "not the passphrase of anyone")];
    browser.post("/settings/policy", &wrong).await;
    assert!(set(&desk).is_none());
    let told = browser.told("/settings/policy", &[form[0], ("passphrase", PASSPHRASE)]).await;
    assert!(told.contains("counts from now on"), "{told}");
    let (text, order) = set(&desk).unwrap();
    assert_eq!(text, LOOSE);
    let command = Command::Policy { serial: 5, text: LOOSE.to_owned() };
    assert_eq!(open(&order.unwrap()).command, command);
    let settings = browser.get("/settings").await.text;
    assert!(settings.contains("data-unlocked"), "the session stays as it was");
}

#[tokio::test]
async fn a_stricter_policy_takes_no_passphrase() {
    let desk = Desk::new();
    let browser = desk.open().await;
    let told = browser.told("/settings/policy", &[("policy", tight().as_str())]).await;
    assert!(told.contains("counts from now on"), "{told}");
    let (text, order) = set(&desk).unwrap();
    assert_eq!(text, tight());
    assert!(order.is_none(), "nothing was signed");
}

#[tokio::test]
async fn a_policy_is_checked_without_being_set() {
    let desk = Desk::new();
    let browser = desk.open().await;
    for (text, says) in [
        ("version = 1\nnonsense = 2\n", "line 2"),
        (tight().as_str(), "it needs no passphrase"),
        (LOOSE, "so it needs the passphrase"),
        ("version = 1 # \u{202e}", "line 1: \\u{202e} is not seen"),
        ("</textarea><script>bad()</script>", "line 1"),
    ] {
        let page = browser.post("/settings/policy/check", &[("policy", text)]).await.text;
        assert!(page.contains(says), "{text}: {page}");
        assert!(!page.contains("<script>bad"));
    }
    assert!(set(&desk).is_none());
}

#[tokio::test]
async fn a_return_to_the_standard_is_signed_where_it_is_looser() {
    let desk = Desk::new();
    let browser = desk.open().await;
    desk.world.lock().unwrap().policy = Some(tight());
    let told = browser.told("/settings/policy/reset", &[]).await;
    assert!(told.contains("always takes your approval passphrase"), "{told}");
    browser.told("/settings/policy/reset", &[("passphrase", PASSPHRASE)]).await;
    let orders: Vec<_> = desk
        .asked()
        .into_iter()
        .filter_map(|request| match request {
            HumanRequest::PolicyReset { order } => Some(order.unwrap()),
            _ => None,
        })
        .collect();
    let [order] = &orders[..] else { panic!("{orders:?}") };
    assert_eq!(open(order).command, Command::Policy { serial: 5, text: String::new() });
}

#[tokio::test]
async fn to_begin_anew_and_to_forget_takes_the_passphrase_each_time() {
    let desk = Desk::new();
    let browser = desk.unlocked().await;
    let settings = browser.get("/settings").await.text;
    assert!(settings.contains("bob") && settings.contains("DB_PASSWORD"), "{settings}");
    let forget = "/settings/known/aaaaaaaa/forget";
    for path in ["/settings/taint", forget] {
        let told = browser.told(path, &[]).await;
        assert!(told.contains("always takes your approval passphrase"), "{path}: {told}");
        browser.told(path, &[("passphrase", PASSPHRASE)]).await;
    }
    let commands: Vec<_> = desk
        .asked()
        .into_iter()
        .filter_map(|request| match request {
            HumanRequest::TaintClear { order } | HumanRequest::KnownForget { order } => {
                Some(open(&order).command)
            }
            _ => None,
        })
        .collect();
    let forgotten = Command::KnownForget { id: "aaaaaaaa".parse().unwrap() };
    assert_eq!(commands, [Command::TaintClear, forgotten]);
}
