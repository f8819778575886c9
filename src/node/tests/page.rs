//! The way to the page, and an approver that is set up while the node runs.

use super::*;

async fn refused(side: &Side, request: HumanRequest) -> ApiError {
    side.node.human(request).await.unwrap_err()
}

#[tokio::test]
async fn a_link_opens_the_page_once_and_there_is_none_without_a_page() {
    let alice = side("Alice").await;
    let error = refused(&alice, HumanRequest::PageLink).await;
    assert!(error.message.contains("does not serve the page"), "{error}");
    alice.node.set_page_port(7311);
    let link = alice.human(HumanRequest::PageLink).await;
    let (page, code) = link["url"].as_str().unwrap().split_once('#').unwrap();
    assert_eq!(page, "http://localhost:7311/open");
    let open = async |code: &str| {
        let code = code.to_owned();
        alice.human(HumanRequest::PageOpen { code }).await["opened"].as_bool().unwrap()
    };
    assert!(!open("").await);
    assert!(!open(&code[1..]).await);
    assert!(open(code).await);
    assert!(!open(code).await, "once");
    let mut codes = Vec::new();
    for _ in 0..=crate::base::limits::PAGE_CODES_MAX {
        let link = alice.human(HumanRequest::PageLink).await;
        codes.push(link["url"].as_str().unwrap().split_once('#').unwrap().1.to_owned());
    }
    assert!(!open(&codes[0]).await, "one too many ended the oldest");
    assert!(open(&codes[1]).await);
}

#[tokio::test]
async fn a_page_that_is_not_where_it_should_be_is_warned_of() {
    let alice = side("Alice").await;
    let warned = async || alice.human(HumanRequest::Status).await["warnings"].to_string();
    alice.node.set_page_port(7399);
    assert!(!warned().await.contains("port"), "nothing is wrong");
    alice.node.set_page_held(7311);
    let warning = warned().await;
    assert!(warning.contains("port 7311 is held by another program"), "{warning}");
    assert!(warning.contains("http://localhost:7399"), "{warning}");
}

/// A home whose human is still to come: the approver's file is kept aside.
fn without_approver(name: &str) -> (Home, ApproverKey, tempfile::TempDir, Vec<u8>) {
    let (home, human, folder) = home(name);
    let sealed = std::fs::read(home.approver_file()).unwrap();
    std::fs::remove_file(home.approver_file()).unwrap();
    (home, human, folder, sealed)
}

#[tokio::test]
async fn an_approver_that_comes_while_the_node_runs_can_pair_at_once() {
    let (home, human, folder, sealed) = without_approver("Ann");
    let ann = Side { folder: Some(folder), ..run(home, human).await };
    let none = refused(&ann, HumanRequest::ApproverSet).await;
    assert_eq!(none.kind, ErrorKind::WaitsForHuman, "{none}");
    let invite =
        Request::Agent(AgentRequest::Invite { note: None, expires_minutes: None, code: false });
    assert_eq!(ann.ask(invite).await.unwrap_err().kind, ErrorKind::WaitsForHuman);
    std::fs::write(ann.home.approver_file(), b"{}").unwrap();
    assert_eq!(refused(&ann, HumanRequest::ApproverSet).await.kind, ErrorKind::Failed);
    std::fs::remove_file(ann.home.approver_file()).unwrap();
    keys::write_new(&ann.home.approver_file(), &sealed).unwrap();
    let config = Config { name: ClaimedName::parse("Alice").unwrap(), ..config(&ann) };
    keys::replace(&ann.home.config_file(), config.to_toml().as_bytes()).unwrap();
    let mut events = ann.node.events();
    assert_eq!(ann.human(HumanRequest::ApproverSet).await["done"], true);
    assert_eq!(events.try_recv().unwrap(), super::super::api::Event::PeersChanged);
    let whoami = ann.agent(AgentRequest::Whoami).await;
    assert_eq!((&whoami["approver"]["set"], &whoami["name"]), (&true.into(), &"Alice".into()));
    let again = refused(&ann, HumanRequest::ApproverSet).await;
    assert_eq!(again.kind, ErrorKind::Refused, "{again}");
    let events = vec!["approver_set".to_owned()];
    let timeline = HumanRequest::Timeline { events, peer: None, before: None, limit: 9 };
    let told = ann.human(timeline).await["records"].as_array().unwrap().clone();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["event"]["approver"], ann.human.id().to_string());
    let bob = side("Bob").await;
    pair(&ann, &bob).await;
    bob.send("alice", "hello").await;
    arrived(&ann, 1).await;
}

fn config(side: &Side) -> Config {
    Config::read(&side.home).unwrap()
}

#[tokio::test]
async fn another_approver_does_not_take_the_place_of_the_one_that_is() {
    let alice = side("Alice").await;
    let before = alice.agent(AgentRequest::Whoami).await["approver"].clone();
    let (other, _, _folder) = home("Eve");
    std::fs::copy(other.approver_file(), alice.home.approver_file()).unwrap();
    let error = refused(&alice, HumanRequest::ApproverSet).await;
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
    assert_eq!(alice.agent(AgentRequest::Whoami).await["approver"], before);
}
