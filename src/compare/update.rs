//! A baseline that takes over what is new.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{BadInput, Result};
use crate::record::write_atomically;

use super::Tables;
use super::read;
use super::table::Table;

/// Writes the tables of `new` over those of `baseline`, each atomically, and where both are folders the manifests with
/// them, as they say where numbers come from. Tables that `new` has not are kept. Says what was written.
///
/// # Errors
/// A baseline in a commit, or a file that cannot be read or written. Nothing is written before all is read.
pub fn update(baseline: &Tables, new: &Tables) -> Result<Vec<PathBuf>> {
    let Some(path) = &baseline.path else {
        let fix = "check it out, and give the path of its files";
        return Err(BadInput::new(
            "--update",
            &baseline.shown,
            "is in a commit, which cannot be changed",
            fix,
        ));
    };
    let mut files: Vec<(PathBuf, Vec<u8>)> = Vec::new();
    for (old, table) in read::pairs(baseline, new)? {
        let Some(table) = table else { continue };
        let to = match old {
            Some(old) => PathBuf::from(&old.file),
            None => path.join(&table.place).join(table.kind.file()),
        };
        files.push((to, table.bytes.clone()));
    }
    if let (true, Some(from)) = (baseline.folder && new.folder, &new.path) {
        for place in places(&new.tables) {
            let manifest = from.join(place).join("manifest.toml");
            if manifest.exists() {
                let bytes = fs::read(&manifest).map_err(|e| cannot("read", &manifest, &e))?;
                files.push((path.join(place).join("manifest.toml"), bytes));
            }
        }
    }
    for (to, bytes) in &files {
        let folder = to.parent().map_or(Ok(()), fs::create_dir_all);
        folder.and_then(|()| write_atomically(to, bytes)).map_err(|e| cannot("written", to, &e))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn places(tables: &[Table]) -> Vec<&str> {
    let mut all: Vec<&str> = tables.iter().map(|t| t.place.as_str()).collect();
    all.dedup();
    all
}

fn cannot(what: &str, path: &Path, e: &std::io::Error) -> BadInput {
    BadInput::about("", format!("cannot be {what}: {e}"), "").file(path)
}
