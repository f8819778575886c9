//! `countersign page`: the link, and the way of its code to the browser.

use std::{fs, os::unix::fs::PermissionsExt as _, thread};

use countersign::{
    ipc::Client,
    node::{
        api::{HumanRequest, PageOpened, Request},
        config,
    },
};

use crate::support::{Home, Output, SOON, alice, until};

/// Uses a code, as the page does.
fn opened(home: &Home, url: &str) -> bool {
    let code = url.split_once('#').unwrap().1.to_owned();
    let home = config::Home::at(home.path()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut client = Client::connect(&home).await.unwrap();
        let request = Request::Human(HumanRequest::PageOpen { code });
        client.ask::<PageOpened>(request).await.unwrap().opened
    })
}

#[test]
fn the_link_is_all_that_stands_on_stdout_and_opens_once() {
    let home = alice();
    let output = home.run(&["page"]).expect(0).says(&["once", "nobody"]);
    let url = output.stdout.trim_end().to_owned();
    assert!(url.starts_with("http://localhost:") && !url.contains('\n'), "{output}");
    assert!(opened(&home, &url) && !opened(&home, &url));
    let link = home.json(&["page"]);
    assert!(link["expires_at"].is_string());
    assert!(opened(&home, link["url"].as_str().unwrap()));
}

#[test]
fn the_browser_is_handed_a_file_of_this_user_alone_and_no_code() {
    let home = alice();
    let folder = home.path().parent().unwrap().to_owned();
    let bin = folder.join("bin");
    fs::create_dir(&bin).unwrap();
    // Stands for whatever opens this user's browser.
    let script = "#!/bin/sh\nls -l \"$1\" >\"$HOME/mode\"\necho \"$@\" >\"$HOME/asked\"\n\
                  cp \"$1\" \"$HOME/new\" && mv \"$HOME/new\" \"$HOME/seen\"\n";
    fs::write(bin.join("xdg-open"), script).unwrap();
    fs::set_permissions(bin.join("xdg-open"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = home.command(&["page", "--open", "--json"]);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", bin.display()));
    let output = thread::scope(|scope| {
        let running = scope.spawn(|| Output::of(command));
        let seen = until("the browser reads the file", SOON, || {
            fs::read_to_string(folder.join("seen")).ok()
        });
        let url = seen.split("url=").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        assert!(opened(&home, url), "{seen}");
        running.join().unwrap().expect(0)
    });
    assert_eq!(output.json()["opened"], true, "{output}");
    let file = home.path().join("open-page.html");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("asked").trim_end(), file.display().to_string());
    assert!(read("mode").starts_with("-rw------- "), "{}", read("mode"));
    assert!(!file.exists(), "it is gone once it was used");
}
