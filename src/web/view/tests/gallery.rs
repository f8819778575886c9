//! For looking at the pages: `COUNTERSIGN_GALLERY=FOLDER cargo test --lib gallery` writes them.

use std::{fs, path::Path};

use super::{
    super::{ICON, SCRIPT, STYLE},
    all,
};

#[test]
fn every_page_can_be_written_for_looking_at_it() {
    let pages = all();
    assert!(pages.len() > 60, "{} pages", pages.len());
    let Some(folder) = std::env::var_os("COUNTERSIGN_GALLERY") else { return };
    let folder = Path::new(&folder);
    fs::create_dir_all(folder).unwrap();
    for (name, html) in pages {
        let local = html
            .replace("\"/style.css\"", "\"style.css\"")
            .replace("\"/page.js\"", "\"page.js\"")
            .replace("\"/icon.svg\"", "\"icon.svg\"");
        fs::write(folder.join(format!("{}.html", name.replace(' ', "-"))), local).unwrap();
    }
    for (name, content) in [("style.css", STYLE), ("page.js", SCRIPT), ("icon.svg", ICON)] {
        fs::write(folder.join(name), content).unwrap();
    }
}
