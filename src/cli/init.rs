//! `init`: the two keys and the settings.
//!
//! The approver comes first and the identity last, because a home counts as set up with its
//! identity: whatever a crash leaves, the next `init` completes it.

use serde::de::IgnoredAny;

use super::{Ctx, Exit, escape, print, terminal::Terminal};
use crate::{
    base::{ClaimedName, Secret},
    identity::{IdentityError, SealNonces, SealedApprover, check_passphrase, did_key},
    node::{
        api::{ApiError, ErrorKind, HumanRequest},
        clock,
        config::{Config, Home},
        guard, unlock,
    },
    store::keys,
};

/// How often a passphrase may be weak, or typed differently, before `init` gives up.
const TRIES: u32 = 3;

/// Makes a home, or completes one.
pub(super) async fn init(ctx: &Ctx, name: Option<String>) -> anyhow::Result<Exit> {
    let home = &ctx.home;
    let has_identity = home.identity_file().exists();
    let approver = keys::read_approver(&home.approver_file())?;
    if has_identity && approver.is_some() {
        let message = format!("{} is set up already", home.path().display());
        let next = "see it with `countersign whoami`, or set COUNTERSIGN_HOME for another one";
        return Err(ApiError::new(ErrorKind::Refused, message, next).into());
    }
    let mut terminal = Terminal::open()?;
    let config = config(home, &mut terminal, name)?;
    guard::close_memory()?;
    keys::create_home(home.path())?;
    let approver = match approver {
        Some(approver) => confirmed(home, &mut terminal, approver)?,
        None => new_approver(home, &mut terminal)?,
    };
    if !home.config_file().exists() || Config::read(home)? != config {
        keys::replace(&home.config_file(), config.to_toml().as_bytes())?;
    }
    if !has_identity {
        keys::create_identity(&home.identity_file(), &Secret::new(clock::random()))?;
    }
    made(ctx, &config, &approver).await?;
    Ok(Exit::Done)
}

/// The settings that are there, or new ones; with the name that was given or is typed now.
fn config(home: &Home, terminal: &mut Terminal, name: Option<String>) -> anyhow::Result<Config> {
    let known = known(home)?;
    let typed = match (&known, name) {
        (Some(known), None) => known.name.to_string(),
        (_, Some(name)) => name,
        (None, None) => ask_name(terminal)?,
    };
    named(known, &typed)
}

/// The settings that are there.
pub(super) fn known(home: &Home) -> anyhow::Result<Option<Config>> {
    Ok(if home.config_file().exists() { Some(Config::read(home)?) } else { None })
}

/// The settings with this name.
pub(super) fn named(known: Option<Config>, name: &str) -> anyhow::Result<Config> {
    let name = ClaimedName::parse(name).map_err(|error| {
        ApiError::new(ErrorKind::Usage, error.to_string(), "choose another with --name")
    })?;
    Ok(match known {
        Some(known) => Config { name, ..known },
        None => Config::of(name),
    })
}

/// What the system calls whoever runs this.
pub(super) fn user() -> String {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    user.filter(|user| !user.is_empty()).unwrap_or_else(|| "me".to_owned())
}

fn ask_name(terminal: &mut Terminal) -> anyhow::Result<String> {
    let user = user();
    let typed = terminal.line(&format!("Name that peers will see [{}]: ", escape::line(&user)))?;
    Ok(if typed.is_empty() { user } else { typed })
}

/// A new approver key under a passphrase that is typed twice.
fn new_approver(home: &Home, terminal: &mut Terminal) -> anyhow::Result<SealedApprover> {
    terminal.say(
        "\nThe approval passphrase is how you, and not your agent, say yes: to a new peer, and \
         to a\nmessage that looks risky. Nobody can reset it. Four or more unrelated words are \
         good.\n",
    )?;
    let passphrase = choose(terminal)?;
    let random = SealNonces { salt: clock::random(), nonce: clock::random() };
    let sealed = SealedApprover::seal(&Secret::new(clock::random()), &passphrase, &random)?;
    keys::create_approver(&home.approver_file(), &sealed)?;
    Ok(sealed)
}

fn choose(terminal: &mut Terminal) -> anyhow::Result<Secret<String>> {
    for left in (0..TRIES).rev() {
        let first = terminal.passphrase("New approval passphrase: ")?;
        let problem = match check_passphrase(&first) {
            Ok(()) => {
                let second = terminal.passphrase("The same passphrase again: ")?;
                if first.expose_secret() == second.expose_secret() {
                    return Ok(first);
                }
                "the two passphrases differ".to_owned()
            }
            Err(IdentityError::WeakPassphrase(why)) => {
                format!("that passphrase is too easy to guess: {why}")
            }
            Err(error) => error.to_string(),
        };
        let again = if left > 0 { "; try again" } else { "" };
        let problem = format!("{problem}{again}");
        let problem = terminal.style().warn(&problem);
        terminal.say(&problem)?;
    }
    let message = format!("no passphrase was chosen in {TRIES} tries, and nothing was set up");
    Err(ApiError::new(ErrorKind::Failed, message, "run `countersign init` again").into())
}

/// An `init` that was cut short left an approver. It must be this human's: somebody else could
/// have put it there.
fn confirmed(
    home: &Home,
    terminal: &mut Terminal,
    approver: SealedApprover,
) -> anyhow::Result<SealedApprover> {
    terminal.say("An earlier init made the approver key. Show that it is yours.")?;
    let passphrase = terminal.passphrase("Approval passphrase: ")?;
    unlock::open(home, &approver, &passphrase, clock::now())?;
    Ok(approver)
}

/// Says what there is now.
async fn made(ctx: &Ctx, config: &Config, approver: &SealedApprover) -> anyhow::Result<()> {
    let identity = keys::read_identity(&ctx.home.identity_file())?.id();
    let value = serde_json::json!({
        "home": ctx.home.path(),
        "name": config.name,
        "id": identity,
        "approver": { "set": true, "did": did_key(&approver.public()) },
    });
    ctx.out.data(&value, |style| {
        let rows = [
            ("home", ctx.home.path().display().to_string()),
            ("name", escape::line(config.name.as_str())),
            ("id", identity.to_string()),
            ("approver", format!("{} (sealed by your passphrase)", did_key(&approver.public()))),
        ];
        format!("{}\n{}", style.good("This home is set up."), print::fields(&rows, style))
    })?;
    tell_node(ctx).await;
    print::talk(
        "Next: add `countersign mcp` to your MCP client, open `countersign page`, or run \
         `countersign demo`.",
    );
    Ok(())
}

/// A node that runs since before there was an approver reads it now. Whatever keeps one from
/// answering, the home is made.
async fn tell_node(ctx: &Ctx) {
    let read = ctx.if_running::<IgnoredAny>(HumanRequest::ApproverSet).await;
    match read {
        Ok(Some(_)) => print::talk("The node that runs here knows your approver now."),
        Ok(None) => {}
        Err(_) => print::talk(
            "A node runs since before there was an approver. Run `countersign stop`; the next \
             command or agent starts it anew.",
        ),
    }
}
