//! Solvers and grids from files of their own, beside an experiment or named on the command line.
//!
//! What a file says takes the place of `file = "..."` in the table that names it, and is all that content keys see; the
//! file's `label` (or its stem) stands for it in tables and plots.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::data::stem;
use super::spectrum;
use super::text::parse_table;
use crate::config::{self, suggest};
use crate::error::{BadInput, Result};
use crate::solver::Handle;
use crate::solver::registry;

mod columns;

/// The solver of `{ name = "...", file = "mine.toml", ... }`, or of a table without a file. The file holds parameters as the
/// table would (and `label`, and `name` if the table has none); a CSV file holds [coefficients](crate::solver::coefficients).
///
/// # Errors
/// A file that cannot be read, a key that both have, or what the solver refuses: with the file that says it.
pub(crate) fn solver(value: Value, folder: &Path) -> Result<Handle> {
    let Value::Table(table) = value else { return registry::solver(value) };
    let (table, file) = filled(table, folder)?;
    registry::solver(table.into()).map_err(|e| match file {
        Some((path, keys)) if keys.iter().any(|key| key == first_part(e.key())) => e.file(path),
        _ => e,
    })
}

/// The keys that a solver's file gives, `name` and `label` included.
///
/// # Errors
/// As of [`solver`].
pub(crate) fn parameters(path: &Path) -> Result<Table> {
    let mut table = read(path)?;
    table.entry("label").or_insert_with(|| stem(&path.to_string_lossy()).into());
    Ok(table)
}

/// What a file gives: where it is, and which keys.
type Given = Option<(PathBuf, Vec<String>)>;

/// A solver's table with the keys of its file (and of the files of solvers in it).
fn filled(mut table: Table, folder: &Path) -> Result<(Table, Given)> {
    for (key, value) in table.iter_mut() {
        if let Value::Table(inner) = value
            && inner.contains_key("file")
        {
            let (inner, _) = filled(std::mem::take(inner), folder).map_err(|e| e.within(key))?;
            *value = inner.into();
        }
    }
    let Some(file) = table.remove("file") else { return Ok((table, None)) };
    let file: String = config::read(file).map_err(|e| e.within("file"))?;
    let path = find(&file, folder)?;
    let mut given = parameters(&path).map_err(|e| e.file(&path))?;
    let short = match given.remove("label") {
        Some(Value::String(label)) => label,
        Some(other) => {
            let why = "has the wrong type";
            return Err(BadInput::new("label", config::Plain(&other), why, "give a string").file(path));
        }
        None => stem(&file),
    };
    let own: Table =
        table.iter().filter(|(key, _)| *key != "name").map(|(k, v)| (k.clone(), v.clone())).collect();
    let keys: Vec<String> = given.keys().cloned().collect();
    for (key, value) in given {
        match table.get(&key) {
            None => drop(table.insert(key, value)),
            Some(same) if key == "name" && *same == value => {}
            Some(other) => {
                let why = format!("is given here and in {}", path.display());
                return Err(BadInput::new(&key, config::Plain(other), why, "remove one of the two"));
            }
        }
    }
    if !table.contains_key("label")
        && let Some(name) = table.get("name").and_then(Value::as_str)
    {
        let rest = registry::label(&short, &own);
        let label = match rest.strip_prefix(&short).and_then(|rest| rest.strip_prefix('(')) {
            Some(rest) => format!("{name}({short}, {rest}"),
            None => format!("{name}({short})"),
        };
        table.insert("label".into(), label.into());
    }
    Ok((table, Some((path, keys))))
}

/// `key` of `key.more[3]`.
fn first_part(key: &str) -> &str {
    key.split(['.', '[']).next().unwrap_or_default()
}

/// Puts the levels that a grid's file lists in the place of `file` (and of `of`, which says what they are); and the label
/// that the file gives the grid.
///
/// # Errors
/// A grid that takes no list, a file that cannot be read, or that does not say what its levels are.
pub(super) fn grid(value: Value, folder: &Path) -> Result<(Value, Option<String>)> {
    let Value::Table(mut table) = value else { return Ok((value, None)) };
    let Some(file) = table.remove("file") else { return Ok((table.into(), None)) };
    let name = table.get("name").and_then(Value::as_str).unwrap_or_default().to_string();
    if !["explicit", "log-linear"].contains(&name.as_str()) {
        let fix = "write name = \"explicit\", or name = \"log-linear\" with steps";
        return Err(BadInput::new("file", config::Plain(&file), "does not go with this grid", fix));
    }
    let file: String = config::read(file).map_err(|e| e.within("file"))?;
    let of = table.remove("of").map(config::read::<String>).transpose().map_err(|e| e.within("of"))?;
    if let Some(of) = of.as_deref().filter(|of| !LEVELS.contains(of)) {
        return Err(BadInput::new("of", of, "is not known", suggest(of, &LEVELS)));
    }
    if let Some(key) = LEVELS.into_iter().find(|key| table.contains_key(*key)) {
        return Err(BadInput::about(key, "is given beside file", "remove one of the two"));
    }
    let path = find(&file, folder)?;
    let mut given = levels(&path, of.as_deref()).map_err(|e| e.file(&path))?;
    let short = match given.remove("label") {
        Some(label) => config::read(label).map_err(|e| e.within("label").file(&path))?,
        None => stem(&file),
    };
    table.extend(given);
    Ok((table.into(), Some(format!("{name}({short})"))))
}

/// What levels may be given by.
const LEVELS: [&str; 3] = ["t", "sigma", "lambda"];

/// One list of levels from a file, and its label if it has one.
fn levels(path: &Path, of: Option<&str>) -> Result<Table> {
    let mut table = match extension(path).as_str() {
        "toml" => read(path)?,
        "json" => json(&text(path)?, of)?,
        _ => columns::levels(&text(path)?, of)?,
    };
    let label = table.remove("label");
    let listed: Vec<&str> = LEVELS.into_iter().filter(|key| table.contains_key(*key)).collect();
    let key = match (of, &listed[..]) {
        (Some(of), listed) if listed.contains(&of) => of,
        (Some(of), _) => {
            return Err(BadInput::about(of, "is not in the file", format!("it has {}", listed.join(", "))));
        }
        (None, [one]) => *one,
        (None, []) => {
            let fix = "give t = [...], sigma = [...] or lambda = [...], or a CSV file with such a column";
            return Err(BadInput::about("", "lists no levels", fix));
        }
        (None, several) => {
            let why = format!("has levels by {}", several.join(" and "));
            return Err(BadInput::about("", why, format!("add of = {:?} beside file", several[0])));
        }
    };
    // The other keys of a file of coefficients are nothing to a grid.
    let solver = table.get("name").and_then(Value::as_str) == Some("coefficients");
    if let Some(other) = table.keys().find(|k| !solver && !LEVELS.contains(&k.as_str()) && *k != "name") {
        let known = ["t", "sigma", "lambda", "label"];
        return Err(BadInput::about(other, "is not a known key", suggest(other, &known)));
    }
    let list = table.remove(key).expect("it is listed");
    let list: Vec<f64> = config::read(list).map_err(|e| e.within(key))?;
    let mut out = Table::from_iter([(key.to_string(), Value::from(list))]);
    out.extend(label.map(|label| ("label".to_string(), label)));
    Ok(out)
}

/// `{ "sigma": [...] }`, or the list alone where `of` says what it is.
fn json(text: &str, of: Option<&str>) -> Result<Table> {
    let fix = "write { \"sigma\": [80.0, 1.0, 0.002] }";
    let bad = |why: String| BadInput::about("", why, fix);
    match (serde_json::from_str(text), of) {
        (Ok(Value::Table(table)), _) => Ok(table),
        (Ok(list @ Value::Array(_)), Some(of)) => Ok(Table::from_iter([(of.to_string(), list)])),
        (Ok(_), _) => Err(bad("does not say what its levels are".into())),
        (Err(e), _) => Err(bad(format!("is not JSON: {e}"))),
    }
}

/// The table of a file: of TOML, or the columns of CSV.
fn read(path: &Path) -> Result<Table> {
    let text = text(path)?;
    match extension(path).as_str() {
        "toml" => parse_table(&text, &[]),
        "csv" => columns::coefficients(&text),
        other => {
            let why = format!("is of no kind that is read here ({other:?})");
            Err(BadInput::about("", why, "give a .toml or a .csv file"))
        }
    }
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

fn text(path: &Path) -> Result<String> {
    let bad = |why: String, fix: &str| BadInput::about("", why, fix);
    let bytes = std::fs::read(path).map_err(|e| {
        bad(format!("cannot be read: {e}"), "give a file, relative to the experiment's folder")
    })?;
    String::from_utf8(bytes).map_err(|_| bad("is not UTF-8 text".into(), "save it as UTF-8"))
}

fn find(file: &str, folder: &Path) -> Result<PathBuf> {
    spectrum::find("file", file, folder)
}
