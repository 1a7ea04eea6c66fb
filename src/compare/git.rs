//! Files of a commit, read through the `git` program.

use std::io::ErrorKind;
use std::process::Command;

use crate::error::{BadInput, Result};

/// `REV:PATH`, split. (No revision has a colon.)
pub(super) fn split(text: &str) -> Result<(&str, &str)> {
    let fix = "write git:REV:PATH, as in git:HEAD:results";
    match text.split_once(':') {
        Some((rev, path)) if !rev.is_empty() && !rev.starts_with('-') => {
            Ok((rev, path.trim_end_matches('/')))
        }
        _ => Err(BadInput::new("", format!("git:{text}"), "names no revision and path", fix)),
    }
}

/// The files below a path of a revision, with their names seen from it, and what they hold. One file has the name "".
pub(super) fn files(rev: &str, path: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let about = |why: String, fix: &str| BadInput::new("", format!("git:{rev}:{path}"), why.as_str(), fix);
    let commit = run(&["rev-parse", "--verify", "--quiet", &format!("{rev}^{{commit}}")])?;
    if let Err(said) = commit {
        if !said.is_empty() {
            return Err(about(format!("cannot be read: git says \"{said}\""), "run it inside a repository"));
        }
        let fix = "give a commit, branch or tag that this clone has (a shallow clone has few)";
        return Err(about(format!("names no revision: {rev} is unknown"), fix));
    }
    let object = format!("{rev}:{path}");
    let no_path = "paths count from the root of the repository; `./` before one starts from here";
    let kind =
        run(&["cat-file", "-t", &object])?.map_err(|_| about("is not in that revision".into(), no_path))?;
    let contents = |object: &str| -> Result<Vec<u8>> {
        run(&["cat-file", "blob", object])?.map_err(|said| about(format!("cannot be read: {said}"), ""))
    };
    if kind.starts_with(b"blob") {
        return Ok(vec![(String::new(), contents(&object)?)]);
    }
    let listed = run(&["ls-tree", "-r", "-z", "--full-tree", &object])?
        .map_err(|said| about(format!("cannot be listed: {said}"), no_path))?;
    let mut files = Vec::new();
    for entry in listed.split(|b| *b == 0).filter(|e| !e.is_empty()) {
        // mode, type, name of the object, a tab, name of the file
        let entry = String::from_utf8_lossy(entry);
        let Some((head, name)) = entry.split_once('\t') else { continue };
        let mut words = head.split(' ');
        let (kind, id) = (words.nth(1).unwrap_or_default(), words.next().unwrap_or_default());
        if kind == "blob" && name.ends_with(".csv") && !name.split('/').any(|part| part.starts_with('.')) {
            files.push((name.to_string(), contents(id)?));
        }
    }
    Ok(files)
}

/// What git answers, or what it complains of.
fn run(args: &[&str]) -> Result<std::result::Result<Vec<u8>, String>> {
    let output = Command::new("git").args(args).output().map_err(|e| match e.kind() {
        ErrorKind::NotFound => {
            BadInput::about("git", "is not installed, or not in PATH", "install it, or give files")
        }
        _ => BadInput::about("git", format!("cannot be started: {e}"), "give files instead"),
    })?;
    let said =
        || String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().trim().to_string();
    Ok(if output.status.success() { Ok(output.stdout) } else { Err(said()) })
}
