//! `page`: the link to the local page, in a home that is made where there is none. The approver is
//! not made here: the page does that, with a passphrase that is typed there.

use std::{path::PathBuf, time::Duration};

use maud::{DOCTYPE, html};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::{Ctx, Exit, escape, init, print};
use crate::{
    base::Secret,
    ipc::{self, Hint, Hints},
    node::{
        api::{ApiError, ErrorKind, HumanRequest, PageLink},
        clock,
        config::{Config, Home},
    },
    store::keys,
};

/// How long the file that leads a browser to the page may be there.
const REDIRECT_LIFE: Duration = Duration::from_secs(30);
/// How long a program that opens a browser may take to say that it cannot.
const LAUNCH_TIME: Duration = Duration::from_secs(5);

/// What `--open --json` gives: a link that was used is worth nothing.
#[derive(Serialize)]
struct Opened {
    opened: bool,
    expires_at: String,
}

/// Prints the link, or opens it.
pub(super) async fn page(ctx: &Ctx, open: bool, name: Option<String>) -> anyhow::Result<Exit> {
    if ctx.home.identity_file().exists() {
        if name.is_some() {
            let message = "--name is for a home that is not set up, and this one is";
            return Err(ApiError::new(ErrorKind::Usage, message, "leave it out").into());
        }
    } else {
        make(&ctx.home, name)?;
    }
    // Before the link is there: its use is not missed.
    let hints = if open { used_from_now_on(ctx).await } else { None };
    let link: PageLink = ctx.human(HumanRequest::PageLink).await?;
    if open && open_in_browser(ctx, &link, hints).await? {
        return Ok(Exit::Done);
    }
    ctx.out.data(&link, |_| escape::line(&link.url))?;
    let until = escape::line(&link.expires_at);
    print::talk(&format!(
        "Open it in a browser on this machine, until {until}. It works once. Share it with nobody: \
         who opens it reads your conversations."
    ));
    Ok(Exit::Done)
}

/// Makes a home with a name and an identity, and without an approver.
fn make(home: &Home, name: Option<String>) -> anyhow::Result<()> {
    if home.approver_file().exists() {
        // It must be shown to be this human's, which takes its passphrase on a terminal.
        let message =
            format!("an earlier `countersign init` in {} was cut short", home.path().display());
        let next = "run `countersign init` in a terminal to complete it";
        return Err(ApiError::new(ErrorKind::Refused, message, next).into());
    }
    let known = init::known(home)?;
    let name = name.or_else(|| known.as_ref().map(|config| config.name.to_string()));
    let config = init::named(known, &name.unwrap_or_else(init::user))?;
    keys::create_home(home.path())?;
    if !home.config_file().exists() || Config::read(home)? != config {
        keys::replace(&home.config_file(), config.to_toml().as_bytes())?;
    }
    keys::create_identity(&home.identity_file(), &Secret::new(clock::random()))?;
    let path = home.path().display();
    let name = escape::line(config.name.as_str());
    print::talk(&format!("Made {path}; peers will see the name \"{name}\"."));
    Ok(())
}

/// Hints of the node, where one runs by then; without them the file stays its full time.
async fn used_from_now_on(ctx: &Ctx) -> Option<Hints> {
    ctx.client().await.ok()?;
    ipc::watch(&ctx.home).await.ok()
}

/// Leads the user's browser to the page. `false` when no browser could be started.
async fn open_in_browser(ctx: &Ctx, link: &PageLink, hints: Option<Hints>) -> anyhow::Result<bool> {
    let file = Redirect::write(&ctx.home, &link.url)?;
    let until = Instant::now() + REDIRECT_LIFE;
    if !launched(&file).await {
        print::talk("No browser could be started here.");
        return Ok(false);
    }
    print::talk("Your browser is asked to open the page (Ctrl-C ends the waiting).");
    let used = tokio::select! {
        used = used_before(hints, until) => used,
        _ = tokio::signal::ctrl_c() => false,
    };
    drop(file);
    if used {
        let opened = Opened { opened: true, expires_at: link.expires_at.clone() };
        ctx.out.data(&opened, |_| "The page is open.".to_owned())?;
        return Ok(true);
    }
    print::talk("The link was not used. Some browsers may not read files of this folder.");
    Ok(false)
}

/// Asks the system for the browser. It is handed a file's path and not the link, which every user
/// of this machine could read in the list of processes.
async fn launched(file: &Redirect) -> bool {
    let launching = open::that_in_background(&file.path);
    let until = Instant::now() + LAUNCH_TIME;
    // Some programs stay as long as the browser does: that it goes on is as good as its end.
    while !launching.is_finished() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    !launching.is_finished() || matches!(launching.join(), Ok(Ok(())))
}

async fn used_before(hints: Option<Hints>, until: Instant) -> bool {
    let Some(mut hints) = hints else {
        tokio::time::sleep_until(until).await;
        return false;
    };
    loop {
        match timeout_at(until, hints.next()).await {
            Ok(Ok(Hint::PageOpened)) => return true,
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return false,
        }
    }
}

/// A file of this user alone that leads a browser on to the link; gone with this value.
struct Redirect {
    path: PathBuf,
}

impl Redirect {
    fn write(home: &Home, url: &str) -> anyhow::Result<Self> {
        let path = home.path().join("open-page.html");
        let text = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="referrer" content="no-referrer";
                    meta http-equiv="refresh" content=(format!("0;url={url}"));
                    title { "Countersign" }
                }
                body { p { a href=(url) { "Open the page" } } }
            }
        };
        // Made as this user's alone, whatever was there.
        keys::replace(&path, text.into_string().as_bytes())?;
        Ok(Self { path })
    }
}

impl Drop for Redirect {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok(); // Its code is worth nothing soon.
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("h")).unwrap();
        (folder, home)
    }

    #[test]
    fn a_home_is_made_without_an_approver_and_only_once() {
        let (_folder, home) = home();
        make(&home, Some("Alice".to_owned())).unwrap();
        assert_eq!(Config::read(&home).unwrap().name.as_str(), "Alice");
        assert!(keys::read_identity(&home.identity_file()).is_ok());
        assert!(!home.approver_file().exists());
        assert!(make(&home, None).is_err(), "a key is never overwritten");
    }

    #[test]
    fn an_approver_that_nobody_showed_to_be_theirs_is_not_taken() {
        let (_folder, home) = home();
        keys::create_home(home.path()).unwrap();
        fs::write(home.approver_file(), "planted").unwrap();
        let error = make(&home, None).unwrap_err().to_string();
        assert!(error.contains("countersign init"), "{error}");
        assert!(!home.identity_file().exists());
    }

    #[test]
    fn the_file_for_the_browser_is_this_users_alone_and_goes() {
        let (_folder, home) = home();
        keys::create_home(home.path()).unwrap();
        let file = Redirect::write(&home, "http://localhost:1/#a\"b").unwrap();
        let path = file.path.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("content=\"0;url=http://localhost:1/#a&quot;b\""), "{text}");
        drop(file);
        assert!(!path.exists());
    }
}
