//! Blocks of the README that a verb writes: between two markers, and nothing else.

use std::path::Path;

use super::{Status, say};
use crate::error::{BadInput, Result};
use crate::record::write_atomically;

const README: &str = "README.md";

/// A block of the README.
pub(super) struct Block {
    /// The verb that writes it; named in its markers.
    pub(super) verb: &'static str,
    /// What it holds.
    pub(super) what: &'static str,
}

impl Block {
    /// Writes the block; with `check`, says whether it is stale and leaves it alone.
    ///
    /// # Errors
    /// A README that cannot be read or written, or has no such block.
    pub(super) fn splice(&self, text: &str, check: bool) -> Result<Status> {
        let Block { verb, what } = self;
        let begin = format!("<!-- {verb}: made by `scorebench {verb} --readme` -->\n");
        let end = format!("<!-- end of {verb} -->");
        let bad = |why: String, fix: &str| BadInput::about("", why, fix).file(Path::new(README));
        let old = std::fs::read_to_string(README)
            .map_err(|e| bad(format!("cannot be read: {e}"), "run this in the root of the repository"))?;
        let markers = old.find(&begin).and_then(|from| Some((from, from + old[from..].find(&end)?)));
        let Some((from, to)) = markers else {
            let fix = format!("write {begin:?} and {end:?} into it");
            return Err(bad(format!("has no block for {what}"), &fix));
        };
        let new = format!("{}{begin}{text}{}", &old[..from], &old[to..]);
        if new == old {
            say(&format!("README.md: {what}: up to date"));
        } else if check {
            say(&format!("README.md: {what}: stale; run `scorebench {verb} --readme`"));
            return Ok(Status::Failed);
        } else {
            write_atomically(Path::new(README), new.as_bytes())
                .map_err(|e| bad(format!("cannot be written: {e}"), "give yourself the right to write it"))?;
            say(&format!("README.md: {what}: written"));
        }
        Ok(Status::Fine)
    }
}
