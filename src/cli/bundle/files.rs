//! The files of the plugin and of the bundle.

use std::io::{Cursor, Write as _};

use anyhow::Context as _;
use serde_json::Value as Json;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use super::{manifests, prompts};

const LICENSE: &str = include_str!("../../../LICENSE");
const PLUGIN_README: &str = include_str!("plugin.md");

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    /// Below the folder, with `/`.
    pub(super) path: String,
    /// What is in it.
    pub(super) bytes: Vec<u8>,
    is_program: bool,
}

impl Packed {
    /// A file of bytes.
    pub(super) fn data(path: &str, bytes: Vec<u8>) -> Self {
        Self { path: path.to_owned(), bytes, is_program: false }
    }

    /// A file of JSON.
    ///
    /// # Errors
    /// Never with what is given here.
    pub(super) fn json(path: &str, value: &Json) -> anyhow::Result<Self> {
        let text = serde_json::to_string_pretty(value)?;
        Ok(Self::data(path, format!("{text}\n").into_bytes()))
    }

    fn text(path: &str, text: &str) -> Self {
        Self::data(path, text.as_bytes().to_vec())
    }

    fn program(path: &str, bytes: &[u8]) -> Self {
        Self { path: path.to_owned(), bytes: bytes.to_vec(), is_program: true }
    }

    /// Its mode.
    pub(super) const fn mode(&self) -> u32 {
        if self.is_program { 0o755 } else { 0o644 }
    }
}

/// The plugin, and the catalogue that lists it alone.
///
/// # Errors
/// When a prompt has another form than it should.
pub(super) fn plugin(program: &[u8]) -> anyhow::Result<Vec<Packed>> {
    let mut all = vec![
        Packed::json(".claude-plugin/marketplace.json", &manifests::marketplace())?,
        Packed::json("plugin/.claude-plugin/plugin.json", &manifests::plugin())?,
        Packed::json("plugin/.mcp.json", &manifests::plugin_server())?,
        Packed::json("plugin/hooks/hooks.json", &manifests::hooks())?,
        Packed::text("plugin/README.md", PLUGIN_README),
        Packed::text("plugin/LICENSE", LICENSE),
        Packed::program("plugin/bin/countersign", program),
    ];
    for prompt in prompts::all()? {
        let path = format!("plugin/commands/{}.md", prompt.name);
        all.push(Packed::text(&path, &prompt.command()));
    }
    Ok(all)
}

/// The bundle: a ZIP archive whose manifest is first.
///
/// # Errors
/// When a prompt has another form than it should, or an archive cannot hold the program.
pub(super) fn bundle(program: &[u8]) -> anyhow::Result<Vec<u8>> {
    let files = [
        Packed::json("manifest.json", &manifests::bundle(&prompts::all()?))?,
        Packed::text("LICENSE", LICENSE),
        Packed::program("bin/countersign", program),
    ];
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for file in &files {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default()) // 1980, the first that a ZIP archive can say.
            .unix_permissions(file.mode());
        archive.start_file(file.path.as_str(), options)?;
        archive.write_all(&file.bytes)?;
    }
    Ok(archive.finish().context("the archive cannot be written")?.into_inner())
}
