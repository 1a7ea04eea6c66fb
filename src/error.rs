//! What is said to a user whose input cannot be used: the file, the key, the value and the fix.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing wrong with an input, in terms of what the user wrote.
///
/// ```
/// use scorebench::error::BadInput;
/// let e = BadInput::new("end", -1.0, "is before the schedule's first time 0", "use end = 1e-3")
///     .within("grid")
///     .file("experiments/a.toml");
/// assert_eq!(
///     e.to_string(),
///     "experiments/a.toml: grid.end = -1.0 is before the schedule's first time 0; use end = 1e-3"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct BadInput(Box<Complaint>);

/// Boxed, so that results that carry one stay small.
#[derive(Clone, Debug, PartialEq)]
struct Complaint {
    file: Option<PathBuf>,
    key: String,
    value: Option<String>,
    why: String,
    fix: String,
    unfilled: bool,
}

impl BadInput {
    /// `key = value` is wrong because it `why` (a phrase starting with a verb); `fix` says what to write.
    pub fn new(key: &str, value: impl fmt::Debug, why: impl Into<String>, fix: impl Into<String>) -> Self {
        let mut it = BadInput::about(key, why, fix);
        it.0.value = Some(shorten(&format!("{value:?}")));
        it
    }

    /// `key` as a whole is wrong (missing, unreadable): there is no one value to show.
    pub fn about(key: &str, why: impl Into<String>, fix: impl Into<String>) -> Self {
        let (key, why, fix) = (key.into(), why.into(), fix.into());
        BadInput(Box::new(Complaint { file: None, key, value: None, why, fix, unfilled: false }))
    }

    /// The same complaint, seen from the table that holds the key.
    pub fn within(mut self, outer: &str) -> Self {
        let key = &mut self.0.key;
        *key = match (outer.is_empty(), key.is_empty()) {
            (true, _) => return self,
            (_, true) => outer.into(),
            // An index continues the name it belongs to: `solver` + `[2]`.
            _ if key.starts_with('[') => format!("{outer}{key}"),
            _ => format!("{outer}.{key}"),
        };
        self
    }

    /// Marks a place that an experiment leaves for its user to fill.
    pub(crate) fn unfilled(mut self) -> Self {
        self.0.unfilled = true;
        self
    }

    /// Whether nothing is wrong but a place left for the user to fill.
    pub fn is_unfilled(&self) -> bool {
        self.0.unfilled
    }

    /// The same complaint, with the file it was found in (kept if one is known already).
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.0.file.get_or_insert_with(|| path.as_ref().to_path_buf());
        self
    }

    /// The same complaint with `prefix` taken off the front of its key (a name that the user did not write).
    pub(crate) fn without_prefix(mut self, prefix: &str) -> Self {
        if let Some(rest) = self.0.key.strip_prefix(prefix)
            && (rest.is_empty() || rest.starts_with(['.', '[']))
        {
            self.0.key = rest.trim_start_matches('.').to_string();
        }
        self
    }

    /// The dotted path of the key complained about; empty for the file as a whole.
    pub fn key(&self) -> &str {
        &self.0.key
    }
}

/// Long values (whole arrays, tables) are cut: the key says where to look.
fn shorten(value: &str) -> String {
    const MOST: usize = 80;
    if value.chars().count() <= MOST {
        return value.into();
    }
    value.chars().take(MOST).chain("...".chars()).collect()
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.0.file {
            write!(f, "{}: ", file.display())?;
        }
        write!(f, "{}", self.0.key)?;
        if let Some(value) = &self.0.value {
            let equals = if self.0.key.is_empty() { "" } else { " = " };
            write!(f, "{equals}{value}")?;
        }
        let gap = if self.0.key.is_empty() && self.0.value.is_none() { "" } else { " " };
        write!(f, "{gap}{}", self.0.why)?;
        if !self.0.fix.is_empty() {
            write!(f, "; {}", self.0.fix)?;
        }
        Ok(())
    }
}

/// Shorthand for fallible readers of user input.
pub type Result<T> = std::result::Result<T, BadInput>;
