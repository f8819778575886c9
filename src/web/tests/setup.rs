use axum::http::{StatusCode, header::LOCATION};

use super::support::{Desk, PASSPHRASE, message};
use crate::{
    node::{api::HumanRequest, config::Config},
    store::keys,
};

const WEAK: &str = "password";

#[tokio::test]
async fn without_an_approver_every_page_leads_to_the_set_up() {
    let desk = Desk::without_approver();
    desk.waits(&message("text"));
    let browser = desk.open().await;
    for path in ["/", "/waiting", "/peers", "/settings", "/evidence/export", "/events"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert_eq!(answer.headers[LOCATION], "/setup", "{path}");
    }
    let answer = browser.post("/waiting/abcdefgh/deny", &[]).await;
    assert_eq!(answer.headers[LOCATION], "/setup");
    assert!(browser.get("/setup").await.text.contains("Alice"), "the name that is there");
}

#[tokio::test]
async fn a_weak_or_mistyped_passphrase_sets_nothing_up_and_keeps_the_name() {
    let desk = Desk::without_approver();
    let browser = desk.open().await;
    let check = async |name: &str, (passphrase, again): (&str, &str), why: &str| {
        let typed = [("name", name), ("passphrase", passphrase), ("again", again)];
        let told = browser.told("/setup", &typed).await;
        assert!(told.contains(why), "{why}: {told}");
        assert!(!told.contains(PASSPHRASE), "a passphrase is not shown again");
        assert!(!desk.home.approver_file().exists());
    };
    check("Ann", (WEAK, WEAK), "too easy to guess").await;
    check("Ann", (PASSPHRASE, ""), "differ").await;
    check("Ann", (PASSPHRASE, "another"), "differ").await;
    check("Ann", ("", ""), "no passphrase").await;
    check("", (PASSPHRASE, PASSPHRASE), "empty").await;
    check("Ann", (WEAK, WEAK), "value=\"Ann\"").await;
    assert!(!desk.asked().iter().any(|asked| matches!(asked, HumanRequest::ApproverSet)));
}

#[tokio::test]
async fn a_set_up_makes_the_approver_tells_the_node_and_unlocks() {
    let desk = Desk::without_approver();
    let browser = desk.open().await;
    let typed = [("name", "Ann"), ("passphrase", PASSPHRASE), ("again", PASSPHRASE)];
    let told = browser.told("/setup", &typed).await;
    assert!(told.contains("Approvals are set up"), "{told}");
    let sealed = keys::read_approver(&desk.home.approver_file()).unwrap().unwrap();
    assert_eq!(Config::read(&desk.home).unwrap().name.as_str(), "Ann");
    let told_node = |asked: &HumanRequest| matches!(asked, HumanRequest::ApproverSet);
    assert_eq!(desk.asked().iter().filter(|asked| told_node(asked)).count(), 1);
    assert!(browser.get("/settings").await.text.contains("data-unlocked"));
    // It cannot be done over.
    assert_eq!(browser.get("/setup").await.headers[LOCATION], "/waiting");
    browser.post("/setup", &typed).await;
    let same = keys::read_approver(&desk.home.approver_file()).unwrap().unwrap();
    assert_eq!(same, sealed);
}
