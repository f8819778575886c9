//! The terminal: one function a command. What the tools do, for a person, and the human's side
//! of the gate.
//!
//! Data goes to stdout, talk to stderr. A passphrase is read from the terminal device alone.
//! Nothing here decides: the node does, and where it needs a human's signature, the key is
//! opened and used in this process.

mod approval;
mod approve;
pub mod args;
mod audit;
mod bundle;
mod code;
mod ctx;
mod data;
mod demo;
mod doctor;
mod escape;
mod grants;
pub mod hook;
mod init;
mod item;
pub mod join;
mod known;
mod measure;
mod messages;
mod move_home;
mod node;
mod order;
mod page;
mod peers;
mod ping;
mod policy;
mod policy_check;
mod print;
mod sessions;
mod storage;
mod taint;
mod terminal;
mod token;
mod watch;

pub use args::{Args, Command};

use crate::{
    daemon,
    ipc::{ClientError, Hello},
    mcp,
    node::{
        api::{ApiError, ErrorKind},
        config::Home,
        review::Like,
    },
};
use args::{GrantsCommand, KnownCommand, McpArgs, PolicyCommand, TaintCommand, TokenCommand};
use ctx::Ctx;
use print::Printer;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was done.
    Done,
    /// It failed.
    Failed,
    /// The arguments are wrong.
    Usage,
    /// A human is asked first.
    Waits,
    /// A human said no.
    Denied,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Waits => 3,
            Self::Denied => 4,
        }
    }
}

/// Runs one command to its end.
#[must_use]
pub fn run(args: Args) -> Exit {
    if let Command::Mcp(mcp) = args.command {
        return serve_mcp(mcp).unwrap_or_else(|error| failure(&error));
    }
    if let Command::Hook(hook) = &args.command {
        return hook::hook(hook, args.json);
    }
    // The node uses both cores; everything else is one question and its answer.
    let mut builder = if matches!(args.command, Command::Node { .. }) {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = builder.enable_all().build();
    let result =
        runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(command(args)));
    result.unwrap_or_else(|error| failure(&error))
}

/// Serves an MCP client at this process's stdin and stdout.
fn serve_mcp(args: McpArgs) -> anyhow::Result<Exit> {
    let home = Home::from_env()?;
    let hello = Hello { channel: args.channel, ..sessions::hello(args.session)? };
    let start = async || daemon::ensure_running(&home).await.map_err(|e| format!("{e:#}"));
    Ok(match mcp::stdio::serve(&home, &hello, start)? {
        mcp::stdio::Ended::Clean => Exit::Done,
        mcp::stdio::Ended::NoNode(_) => Exit::Failed,
    })
}

/// What looks at files of audit records, and needs no home.
fn on_files(out: Printer, command: &Command) -> Option<anyhow::Result<Exit>> {
    let Command::Audit(command) = command else { return None };
    audit::is_of_a_file(command).then(|| audit::run_on_files(out, command))
}

async fn command(args: Args) -> anyhow::Result<Exit> {
    let out = Printer::new(args.json);
    if matches!(args.command, Command::Demo) {
        return demo::demo(out).await;
    }
    if let Command::Measure { folder, missed, found } = args.command {
        return measure::run(out, &folder, missed, found);
    }
    if let Command::Join(args) = &args.command {
        return join::run(out, args);
    }
    if let Command::Bundle(args) = &args.command {
        return bundle::run(out, args);
    }
    if let Some(done) = on_files(out, &args.command) {
        return done;
    }
    let ctx = Ctx { home: Home::from_env()?, out };
    match args.command {
        Command::Init { name } => init::init(&ctx, name).await,
        // Taken before: they have a runtime of their own, or none.
        Command::Mcp(_) | Command::Hook(_) => Ok(Exit::Done),
        Command::Node { background } => node::node(ctx.home, background).await,
        Command::Status => node::status(&ctx).await,
        Command::Stop => node::stop(&ctx).await,
        Command::Whoami => node::whoami(&ctx).await,
        Command::Invite { note, expires_minutes, code } => {
            peers::invite(&ctx, note, expires_minutes, code).await
        }
        Command::Connect { invite, name, note } => peers::connect(&ctx, invite, name, note).await,
        Command::Peers => peers::peers(&ctx).await,
        Command::Ping(args) => ping::ping(&ctx, args).await,
        Command::Sessions => sessions::sessions(&ctx).await,
        Command::Send(args) => messages::send(&ctx, args).await,
        Command::Ask { to, text, wait } => messages::ask(&ctx, to, text, wait).await,
        Command::Inbox(args) => messages::inbox(&ctx, args).await,
        Command::Read { id, offset, mark_read } => {
            messages::read(&ctx, id, offset, mark_read).await
        }
        Command::Message { id } => messages::message(&ctx, id).await,
        Command::Pending => approve::pending(&ctx).await,
        Command::Page { open, name } => page::page(&ctx, open, name).await,
        Command::Watch { quiet } => watch::watch(&ctx, quiet).await,
        Command::Approve { id, verified, hours, messages, per_hour, same_kind } => {
            let like = hours.map(|hours| Like { hours, messages, per_hour, same_kind });
            approve::approve(&ctx, id, approve::Wish { verified, like }).await
        }
        Command::Grants { change: None } => grants::list(&ctx).await,
        Command::Grants { change: Some(GrantsCommand::End { id }) } => grants::end(&ctx, id).await,
        Command::Deny { id, block } => approve::deny(&ctx, id, block).await,
        Command::Revoke { peer, block } => peers::revoke(&ctx, peer, block).await,
        Command::Audit(command) => audit::run(&ctx, command).await,
        Command::Policy(change) => policy(&ctx, change).await,
        Command::Taint { change: None } => taint::show(&ctx).await,
        Command::Taint { change: Some(TaintCommand::Clear) } => taint::clear(&ctx).await,
        Command::Known(KnownCommand::Add { file }) => known::add(&ctx, &file).await,
        Command::Known(KnownCommand::List) => known::list(&ctx).await,
        Command::Known(KnownCommand::Forget { id }) => known::forget(&ctx, id).await,
        Command::Token(change) => tokens(&ctx, change).await,
        Command::Move(command) => move_home::run(&ctx, command).await,
        Command::Storage(command) => storage::run(&ctx, command).await,
        Command::Data(command) => data::run(&ctx, command).await,
        Command::Doctor => doctor::doctor(&ctx).await,
        // Taken above: they need no home.
        Command::Demo | Command::Measure { .. } | Command::Join(_) | Command::Bundle(_) => {
            Ok(Exit::Done)
        }
    }
}

async fn tokens(ctx: &Ctx, command: TokenCommand) -> anyhow::Result<Exit> {
    match command {
        TokenCommand::New { name } => token::new(ctx, name).await,
        TokenCommand::List => token::list(ctx).await,
        TokenCommand::Revoke { name } => token::revoke(ctx, name).await,
    }
}

async fn policy(ctx: &Ctx, command: PolicyCommand) -> anyhow::Result<Exit> {
    match command {
        PolicyCommand::Show { standard } => policy::show(ctx, standard).await,
        PolicyCommand::Check(args) => policy_check::check(ctx, args).await,
        PolicyCommand::Set { file } => policy::set(ctx, &file).await,
        PolicyCommand::Reset => policy::reset(ctx).await,
        PolicyCommand::Explain { message } => policy::explain(ctx, message).await,
        PolicyCommand::Inline { change } => grants::inline(ctx, change).await,
    }
}

/// Says what went wrong, and gives the exit code for it.
fn failure(error: &anyhow::Error) -> Exit {
    if error.is::<print::Closed>() {
        return Exit::Done;
    }
    print::talk(&format!("error: {}", escape::line(&told_once(error))));
    api_error(error).map_or(Exit::Failed, |error| match error.kind {
        ErrorKind::Usage => Exit::Usage,
        ErrorKind::WaitsForHuman => Exit::Waits,
        ErrorKind::Denied => Exit::Denied,
        ErrorKind::NotFound | ErrorKind::Refused | ErrorKind::Busy | ErrorKind::Failed => {
            Exit::Failed
        }
    })
}

/// The error with its causes. Many an error holds its cause in its own text already.
fn told_once(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

fn api_error(error: &anyhow::Error) -> Option<&ApiError> {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Api(error)) => Some(error),
        _ => error.downcast_ref::<ApiError>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_once_with_its_causes() {
        let error = ApiError::new(ErrorKind::Usage, "x", "y");
        assert_eq!(told_once(&ClientError::Api(error).into()), "x; y");
        let error = anyhow::Error::msg("cause").context("what failed");
        assert_eq!(told_once(&error), "what failed: cause");
    }

    #[test]
    fn a_kind_of_error_has_its_exit_code() {
        let check = |kind, exit| {
            let error = ApiError::new(kind, "x", "y");
            assert_eq!(failure(&ClientError::Api(error.clone()).into()), exit);
            assert_eq!(failure(&error.into()), exit);
        };
        check(ErrorKind::Usage, Exit::Usage);
        check(ErrorKind::WaitsForHuman, Exit::Waits);
        check(ErrorKind::Denied, Exit::Denied);
        check(ErrorKind::NotFound, Exit::Failed);
        assert_eq!(failure(&print::Closed.into()), Exit::Done);
        let socket = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(failure(&socket.into()), Exit::Failed, "not our stdout");
    }
}
