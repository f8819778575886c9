//! One command that packs the running program for those who install by a click: a Claude Code plugin
//! with a catalogue around it, an MCP bundle, and an entry for the MCP registry.
//!
//! ```text
//! FOLDER/.claude-plugin/marketplace.json   `claude plugin marketplace add FOLDER`
//! FOLDER/plugin/                           the plugin, also for `claude --plugin-dir FOLDER/plugin`
//! FOLDER/countersign.mcpb                  for Claude Desktop and others that take bundles
//! FOLDER/server.json                       for the registry; only with --url, where the bundle will be
//! ```
//!
//! The plugin holds the program itself, at `bin/countersign`, so that nothing has to be on the `PATH`
//! that Claude Code has, and the hooks and the server are of one version. Its server may push to the
//! session (`mcp --channel`), and its hooks run `countersign hook` when a session starts and when its
//! user writes. There is none after each tool call: that would be a process a call, and results of our
//! own tools say what is new by themselves.
//!
//! The same program gives the same bytes: files are sorted, and times are fixed.

mod files;
mod manifests;
mod prompts;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Args;
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    Exit, escape,
    print::{self, Printer},
};
use files::Packed;

/// Of `bundle`.
#[derive(Clone, Debug, Args)]
pub struct BundleArgs {
    /// Where to put it all
    pub folder: PathBuf,
    /// Where the bundle can be downloaded later, for server.json
    #[arg(long, value_name = "URL", value_parser = manifests::download)]
    pub url: Option<String>,
    /// Write over files that are there
    #[arg(long)]
    pub force: bool,
}

/// What was made.
#[derive(Serialize)]
struct Made {
    folder: String,
    files: Vec<String>,
    /// SHA-256 of the bundle, in hexadecimal.
    sha256: String,
}

/// Makes it all.
///
/// # Errors
/// When the program cannot be read, or a file is there, or cannot be written.
pub(super) fn run(out: Printer, args: &BundleArgs) -> anyhow::Result<Exit> {
    let program = std::env::current_exe().and_then(fs::read);
    make(out, args, &program.context("the program that runs cannot be read; start it again")?)
}

fn make(out: Printer, args: &BundleArgs, program: &[u8]) -> anyhow::Result<Exit> {
    let all = everything(program, args.url.as_deref())?;
    let there = all.iter().map(|file| args.folder.join(&file.path)).find(|path| path.exists());
    if let Some(there) = there.filter(|_| !args.force) {
        bail!("{} is there already; use another folder, or --force", there.display());
    }
    for file in &all {
        write(&args.folder, file)?;
    }
    let bundle = all.iter().find(|file| file.path == BUNDLE);
    let made = Made {
        folder: args.folder.display().to_string(),
        files: all.iter().map(|file| file.path.clone()).collect(),
        sha256: bundle.map(|file| sha256(&file.bytes)).unwrap_or_default(),
    };
    out.data(&made, |style| {
        let folder = escape::line(&made.folder);
        let files: Vec<String> = made.files.iter().map(|path| format!("{folder}/{path}")).collect();
        format!("{}\n{} {}", files.join("\n"), style.dim("sha256 of the bundle"), made.sha256)
    })?;
    if args.url.is_none() {
        print::talk("note: no server.json: it needs --url URL, where the bundle can be downloaded");
    }
    Ok(Exit::Done)
}

const BUNDLE: &str = "countersign.mcpb";

/// All files, sorted by path.
fn everything(program: &[u8], url: Option<&str>) -> anyhow::Result<Vec<Packed>> {
    let mut all = files::plugin(program)?;
    let bundle = files::bundle(program)?;
    if let Some(url) = url {
        let entry = manifests::registry(url, &sha256(&bundle));
        all.push(Packed::json("server.json", &entry)?);
    }
    all.push(Packed::data(BUNDLE, bundle));
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Writes a file whole or not at all.
fn write(folder: &Path, file: &Packed) -> anyhow::Result<()> {
    let path = folder.join(&file.path);
    let failed = || format!("cannot write {}", path.display());
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent).with_context(failed)?;
    let mut made = tempfile::Builder::new()
        .prefix(".countersign-")
        .permissions(Permissions::from_mode(file.mode()))
        .tempfile_in(parent)
        .with_context(failed)?;
    made.write_all(&file.bytes).with_context(failed)?;
    made.persist(&path).map_err(|error| error.error).with_context(failed)?;
    Ok(())
}
