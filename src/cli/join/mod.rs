#![doc = include_str!("CLIENTS.md")]

pub mod client;
pub mod edit;
pub mod entry;
mod file;
mod machine;
mod options;
mod secrets;
mod shown;
#[cfg(test)]
mod tests;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value as Json;

use client::{Client, Scope, Transport};
pub use options::JoinArgs;

use super::{
    Exit, escape,
    print::{self, Printer},
};
use crate::{
    base::Timestamp,
    node::{
        api::{ApiError, ErrorKind},
        clock,
    },
};
use edit::{EditError, Target};
use entry::{Entry, Question};
use file::ClientFile;
use machine::Machine;

/// Prints how a client gets the server, or writes that into its file, or takes it out.
///
/// # Errors
/// When the arguments do not fit, or a file cannot be read, understood or written.
pub(super) fn run(out: Printer, args: &JoinArgs) -> anyhow::Result<Exit> {
    let machine = Machine::of_process()?;
    let join = Join::new(args, &machine)?;
    let file = join.read()?;
    let now = clock::now();
    if args.remove {
        join.remove(out, &file, now)
    } else if args.write {
        join.write(out, &file, now, args.replace)
    } else {
        join.print(out, &file)
    }
}

fn usage(message: impl Into<String>, next: impl Into<String>) -> anyhow::Error {
    ApiError::new(ErrorKind::Usage, message, next).into()
}

/// One client, and what it is to get.
struct Join {
    client: Client,
    scope: Scope,
    name: String,
    path: PathBuf,
    transport: Transport,
    entry: Entry,
    question: Option<Question>,
    /// Whether the entry holds a token.
    is_secret: bool,
    warnings: Vec<String>,
    /// The folder of the project, where it is its file.
    within: Option<PathBuf>,
}

/// What a file was before it was joined.
#[derive(PartialEq, Eq)]
enum Before {
    Text(String),
    NoFile,
}

/// What was done, for `--json`.
#[derive(Serialize)]
struct Done<'a> {
    client: &'static str,
    scope: &'static str,
    name: &'a str,
    file: String,
    /// What that leads to, where it is a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    leads_to: Option<String>,
    /// `shown`, `written`, `unchanged`, `removed` or `absent`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

impl Join {
    fn new(args: &JoinArgs, machine: &Machine) -> anyhow::Result<Self> {
        let client = args.client;
        let name = options::server_name(client, &args.name)?;
        let Some(path) = client.file(args.scope, machine) else {
            let message = format!("{} has no configuration of a project", client.title());
            return Err(usage(message, "leave out --scope project"));
        };
        let token = args.token.as_deref().map(options::token).transpose()?;
        let mut warnings = Vec::new();
        let transport = if args.http {
            if !client.speaks_http() {
                let message = format!("{} can only start a process", client.title());
                return Err(usage(message, "leave out --http"));
            }
            let url = args.url.clone();
            Transport::Http { url, token: token.filter(|_| client.holds_token()) }
        } else {
            let program = machine::program()?;
            if let Some(why) = machine::may_go(&program, &std::env::temp_dir()) {
                warnings.push(format!(
                    "{} {why}: install it with `cargo install --path . --locked`, and join again",
                    program.display()
                ));
            }
            machine::stdio(machine, &program, args.session.as_deref())?
        };
        let is_secret = matches!(&transport, Transport::Http { token: Some(_), .. });
        if matches!(&transport, Transport::Http { token: None, .. }) {
            warnings.push(format!("the token is not in the entry: {}", client.finds_token()));
        }
        let entry = client.entry(&name, &transport);
        let question = client.question(&transport);
        let scope = args.scope;
        if is_secret {
            warnings.push(format!(
                "with the token, {} is a secret: keep it out of repositories and backups",
                path.display()
            ));
        }
        let within = (scope == Scope::Project).then(|| machine.folder.clone());
        Ok(Self {
            client,
            scope,
            name,
            path,
            transport,
            entry,
            question,
            is_secret,
            warnings,
            within,
        })
    }

    /// The file as it is.
    fn read(&self) -> anyhow::Result<ClientFile> {
        ClientFile::read(&self.path, self.within.as_deref())
    }

    fn token(&self) -> Option<&str> {
        match &self.transport {
            Transport::Http { token, .. } => token.as_deref(),
            Transport::Stdio { .. } => None,
        }
    }

    /// Keeps a copy; with what is to be said of it.
    fn back_up(
        &self,
        file: &ClientFile,
        now: Timestamp,
    ) -> anyhow::Result<(Option<PathBuf>, Vec<String>)> {
        let is_secret = file.may_hold(self.token());
        let backup = file.back_up(now, is_secret)?;
        let mut notes = Vec::new();
        if let Some(path) = &backup {
            let shown = path.display();
            if is_secret {
                notes.push(format!(
                    "{shown} may hold a token: it is for you alone; remove it when you need it no more"
                ));
            }
            if self.scope == Scope::Project {
                notes.push(format!("{shown} lies in the project: do not commit it"));
            }
        }
        Ok((backup, notes))
    }

    fn target(&self) -> Target<'_> {
        Target {
            form: self.client.form(),
            container: self.client.container(),
            name: &self.name,
            question: self.question.as_ref(),
        }
    }

    fn done<'a>(
        &'a self,
        file: &ClientFile,
        state: &'static str,
        warnings: &'a [String],
    ) -> Done<'a> {
        Done {
            client: self.client.argument(),
            scope: match self.scope {
                Scope::User => "user",
                Scope::Project => "project",
            },
            name: &self.name,
            file: self.path.display().to_string(),
            leads_to: (file.real != self.path).then(|| file.real.display().to_string()),
            state,
            entry: None,
            block: None,
            command: None,
            difference: None,
            backup: None,
            warnings,
        }
    }

    /// A file that cannot be edited, and what to do about it.
    fn refused(&self, error: &EditError) -> anyhow::Error {
        let shown = self.path.display();
        let next = match error {
            EditError::Broken { .. } => "mend it there, and try again".to_owned(),
            EditError::Shape(_) | EditError::NoPlace => format!(
                "`countersign join {}` prints what to put there by hand",
                self.client.argument()
            ),
        };
        anyhow::anyhow!("{shown}: {error}; nothing was changed; {next}")
    }

    fn print(&self, out: Printer, file: &ClientFile) -> anyhow::Result<Exit> {
        let block = edit::put("", self.target(), &self.entry);
        let block = block.map_err(|error| self.refused(&error))?;
        let command = self.own_command();
        let is_there = file.text.is_some();
        let done = Done {
            entry: Some(self.entry.json()),
            block: Some(block.clone()),
            command: command.clone(),
            ..self.done(file, "shown", &self.warnings)
        };
        out.data(&done, |style| {
            let mut parts = vec![
                format!(
                    "{}, for {}",
                    style.bold(self.client.title()),
                    match self.scope {
                        Scope::User => "you, in every project",
                        Scope::Project => "this project",
                    }
                ),
                format!(
                    "{} {}",
                    if is_there { "In the file" } else { "In a new file" },
                    self.place(file)
                ),
                shown::lines(&block),
            ];
            if let Some(command) = &command {
                parts.push(format!("Or by its own command:\n  {}", shown::lines(command)));
            } else if self.client == Client::Goose {
                parts.push(
                    "Or answer the questions of `goose configure`, Add Extension.".to_owned(),
                );
            }
            parts.push(format!("Then {}.", self.client.afterwards(self.scope)));
            parts.join("\n\n")
        })?;
        warn(&self.warnings);
        if !out.is_json() {
            print::talk("With --write this command does it, and keeps a backup.");
        }
        Ok(Exit::Done)
    }

    fn write(
        &self,
        out: Printer,
        file: &ClientFile,
        now: Timestamp,
        replace: bool,
    ) -> anyhow::Result<Exit> {
        let refused = |error| self.refused(&error);
        let there = edit::find(file.text(), self.target()).map_err(refused)?;
        if there.as_ref() == Some(&self.entry.json()) {
            out.data(&self.done(file, "unchanged", &self.warnings), |_| {
                let path = self.place(file);
                format!("{path} has this entry already; nothing was written")
            })?;
            return Ok(Exit::Done);
        }
        if let Some(there) = there.filter(|_| !replace) {
            return Err(self.conflict(&there));
        }
        let new = edit::put(file.text(), self.target(), &self.entry).map_err(refused)?;
        let difference = self.difference(out, file, &new)?;
        let (backup, notes) = self.back_up(file, now)?;
        file.write(&new, self.is_secret)?;
        let warnings = [self.warnings.as_slice(), &notes].concat();
        let done = Done {
            difference: Some(difference),
            backup: backup.as_deref().map(|path| path.display().to_string()),
            ..self.done(file, "written", &warnings)
        };
        out.data(&done, |style| {
            let told = self.told(file, &style.good("written"), backup.as_deref());
            format!("{told}\nNow {}.", self.client.afterwards(self.scope))
        })?;
        warn(&warnings);
        Ok(Exit::Done)
    }

    fn remove(&self, out: Printer, file: &ClientFile, now: Timestamp) -> anyhow::Result<Exit> {
        let refused = |error| self.refused(&error);
        let there = edit::find(file.text(), self.target()).map_err(refused)?;
        let Some(there) = there else {
            out.data(&self.done(file, "absent", &self.warnings), |_| {
                let path = self.place(file);
                format!("{path} has no entry `{}`; nothing was written", self.name)
            })?;
            return Ok(Exit::Done);
        };
        let question = self.client.question_of(&there);
        let target = Target { question: question.as_ref(), ..self.target() };
        let old = self.before(file, target);
        let new = match &old {
            Some(Before::Text(old)) => old.clone(),
            Some(Before::NoFile) => String::new(),
            None => edit::take(file.text(), target).map_err(refused)?,
        };
        let difference = self.difference(out, file, &new)?;
        let (backup, notes) = self.back_up(file, now)?;
        if old == Some(Before::NoFile) {
            file.remove()?;
        } else {
            file.write(&new, false)?;
        }
        let done = Done {
            difference: Some(difference),
            backup: backup.as_deref().map(|path| path.display().to_string()),
            ..self.done(file, "removed", &notes)
        };
        out.data(&done, |style| self.told(file, &style.good("removed"), backup.as_deref()))?;
        warn(&notes);
        Ok(Exit::Done)
    }

    /// What the file was before it was joined, where nothing but the entry came since: the text of a
    /// backup, or no file at all.
    fn before(&self, file: &ClientFile, target: Target<'_>) -> Option<Before> {
        let is_it = |old: &str| {
            matches!(edit::find(old, target), Ok(None))
                && edit::differ_in_entry_alone(old, file.text(), target, &self.entry)
        };
        let backup = file.backups().find(|old| is_it(old));
        backup.map(Before::Text).or_else(|| is_it("").then_some(Before::NoFile))
    }

    /// What is about to change, which is shown to a person.
    fn difference(&self, out: Printer, file: &ClientFile, new: &str) -> anyhow::Result<String> {
        let form = self.client.form();
        let difference = file::difference(&self.path, file.text(), new, form);
        let difference = shown::masked(&difference);
        if !out.is_json() {
            print::text(&shown::lines(&difference))?;
        }
        Ok(difference)
    }

    fn conflict(&self, there: &Json) -> anyhow::Error {
        let mut there = there.clone();
        secrets::mask_values(&mut there);
        let shown = serde_json::to_string_pretty(&there).unwrap_or_default();
        print::talk(&format!("`{}` is there already:", self.name));
        print::talk(&shown::lines(&shown::masked(&shown)));
        let message = format!("{} has another server named {}", self.path.display(), self.name);
        let next =
            "nothing was changed; --replace puts this one in its place, --name NAME beside it";
        ApiError::new(ErrorKind::Refused, message, next).into()
    }

    /// Where its client looks for the file, and where it lies.
    fn place(&self, file: &ClientFile) -> String {
        let path = line(&self.path);
        if file.real == self.path { path } else { format!("{path} -> {}", line(&file.real)) }
    }

    fn told(&self, file: &ClientFile, what: &str, backup: Option<&Path>) -> String {
        let kept = backup.map(|path| format!("\nThe file as it was: {}", line(path)));
        format!("{what} {}{}", self.place(file), kept.unwrap_or_default())
    }

    fn own_command(&self) -> Option<String> {
        shown::own_command(self.client, self.scope, &self.name, &self.transport)
    }
}

fn line(path: &Path) -> String {
    escape::line(&path.display().to_string())
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        print::talk(&format!("note: {}", escape::line(warning)));
    }
}

/// A token from stdin, for `--token -`: an argument is seen by every process and kept by the shell.
fn from_stdin() -> anyhow::Result<String> {
    const MOST: u64 = 4096;
    let mut text = String::new();
    std::io::stdin().lock().take(MOST).read_to_string(&mut text).context("stdin: no text")?;
    Ok(text.trim_end_matches('\n').to_owned())
}
