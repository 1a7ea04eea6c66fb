//! Files as text, and their keys as they are overridden on a command line.

use std::path::Path;

use toml::{Table, Value};

use crate::config;
use crate::error::{BadInput, Result};

/// The table of another file than an experiment, with overridden keys.
///
/// # Errors
/// A file that cannot be read or is not TOML.
#[cfg(feature = "candle")]
pub(crate) fn read_table(path: &Path, set: &[String]) -> Result<Table> {
    parse_table(&read_text(path)?, set).map_err(|e| e.file(path))
}

pub(super) fn read_text(path: &Path) -> Result<String> {
    let unreadable = |why: String, fix: &str| BadInput::about("", why, fix).file(path);
    let bytes =
        std::fs::read(path).map_err(|e| unreadable(format!("cannot be read: {e}"), &nearest(path)))?;
    String::from_utf8(bytes).map_err(|e| unreadable(format!("is not UTF-8 text: {e}"), "save it as UTF-8"))
}

/// The file that may be meant by one that cannot be read: of those beside it, that of the nearest name.
fn nearest(path: &Path) -> String {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = files.filter(|f| f.is_file() && f.extension() == path.extension());
    let name = |p: &Path| p.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let likeness = |f: &Path| strsim::jaro_winkler(&name(f), &name(path));
    match files.max_by(|a, b| likeness(a).total_cmp(&likeness(b))) {
        Some(file) if likeness(&file) > 0.8 => format!("did you mean {}?", file.display()),
        _ => "give the path of an experiment such as experiments/01-convergence.toml".into(),
    }
}

pub(super) fn parse_table(text: &str, set: &[String]) -> Result<Table> {
    let mut table: Table = text.parse().map_err(|e: toml::de::Error| not_toml(&e, text))?;
    for assignment in set {
        override_key(&mut table, assignment)?;
    }
    Ok(table)
}

/// A TOML syntax error, at its line.
fn not_toml(e: &toml::de::Error, text: &str) -> BadInput {
    let line = |at: usize| format!(" at line {}", text[..at.min(text.len())].matches('\n').count() + 1);
    let place = e.span().map_or(String::new(), |span| line(span.start));
    BadInput::about(
        "",
        format!("is not valid TOML{place}: {}", e.message()),
        "see the contract in the README",
    )
}

/// `a.b=value`: the value is TOML if it parses as such, else a string.
fn override_key(table: &mut Table, assignment: &str) -> Result<()> {
    let named = |(path, _): &(&str, &str)| path.split('.').all(|part| !part.trim().is_empty());
    let Some((path, text)) = assignment.split_once('=').filter(named) else {
        return Err(BadInput::new("--set", assignment, "is not KEY=VALUE", "write data.spectrum=file.csv"));
    };
    let value = config::value(text).unwrap_or_else(|| Value::String(text.into()));
    let (outer, last) = path.trim().rsplit_once('.').map_or((None, path.trim()), |(o, l)| (Some(o), l));
    let mut here = table;
    for part in outer.iter().flat_map(|o| o.split('.')) {
        here = match here.get_mut(part) {
            Some(Value::Table(inner)) => inner,
            _ => {
                return Err(BadInput::new(
                    "--set",
                    assignment,
                    format!("names {part:?}, which is no table of the file"),
                    "name an existing table",
                ));
            }
        };
    }
    here.insert(last.into(), value);
    Ok(())
}
