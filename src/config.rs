//! From a parsed TOML value to a checked Rust value, with errors in the user's own terms.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::error::{BadInput, Result};

/// Reads a `T` out of `value`; an error names the key below `value`, what was found there and the nearest valid key.
///
/// # Errors
/// A wrong type, an unknown or missing key, or whatever `T` refuses.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T> {
    let found = value.clone();
    serde_path_to_error::deserialize(value)
        .map_err(|e| explain(&e.path().to_string(), e.inner().message(), &found))
}

/// The value that a text is in TOML, if it is one.
pub fn value(text: &str) -> Option<Value> {
    format!("x = {text}").parse::<Table>().ok()?.remove("x")
}

/// Reads an enum written as `{ name = "variant", ... }` (or, where it has no parameters, as just `"variant"`).
///
/// # Errors
/// As [`read`]; an unknown name lists the known ones.
pub fn read_named<T: DeserializeOwned>(value: Value, known: &[&str]) -> Result<T> {
    let (name, table) = split_name(value, known)?;
    // serde reports the variant as the first part of the path; a user wrote no such key.
    let mut tagged = Table::new();
    tagged.insert(name.clone(), Value::Table(table));
    read(Value::Table(tagged)).map_err(|e| e.without_prefix(&name))
}

/// Takes `name` out of a table and checks it against the known ones.
///
/// # Errors
/// No name, a name that is no string, or an unknown one (with the nearest).
pub fn split_name(value: Value, known: &[&str]) -> Result<(String, Table)> {
    let example = known.first().copied().unwrap_or("...");
    let mut table = match value {
        Value::Table(table) => table,
        Value::String(name) => Table::from_iter([("name".to_string(), Value::String(name))]),
        other => {
            return Err(BadInput::new(
                "",
                Plain(&other),
                "is not a table",
                format!("write {{ name = {example:?}, ... }}"),
            ));
        }
    };
    let name = match table.remove("name") {
        Some(Value::String(name)) => name,
        Some(other) => {
            return Err(BadInput::new(
                "name",
                Plain(&other),
                "is not a string",
                format!("write name = {example:?}"),
            ));
        }
        None => {
            return Err(BadInput::about(
                "name",
                "is missing",
                format!("write name = {example:?}, or one of {}", known.join(", ")),
            ));
        }
    };
    if !known.contains(&name.as_str()) {
        return Err(BadInput::new("name", &name, "is not known", suggest(&name, known)));
    }
    Ok((name, table))
}

/// "did you mean ...?" and the whole list.
pub fn suggest(word: &str, known: &[&str]) -> String {
    let nearest =
        known.iter().max_by(|a, b| strsim::jaro_winkler(word, a).total_cmp(&strsim::jaro_winkler(word, b)));
    match nearest {
        Some(near) if strsim::jaro_winkler(word, near) > 0.7 => {
            format!("did you mean {near:?}? (known: {})", known.join(", "))
        }
        _ => format!("known: {}", known.join(", ")),
    }
}

/// A TOML value as the user would write it.
pub(crate) struct Plain<'a>(pub &'a Value);

impl std::fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Value::Table(t) => write!(
                f,
                "{{ {} }}",
                t.iter().map(|(k, v)| format!("{k} = {:?}", Plain(v))).collect::<Vec<_>>().join(", ")
            ),
            Value::Array(a) => f.debug_list().entries(a.iter().map(Plain)).finish(),
            other => write!(f, "{other}"),
        }
    }
}

/// Turns serde's words into ours.
fn explain(path: &str, message: &str, root: &Value) -> BadInput {
    let path = if path == "." { "" } else { path };
    let message = message.trim();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let at = |path: &str| lookup(root, path);
    if message.starts_with("unknown field") {
        let (word, known) = (quoted[0], &quoted[1..]);
        let key = if path.is_empty() || path == word || path.ends_with(&format!(".{word}")) {
            path.to_string()
        } else {
            format!("{path}.{word}")
        };
        let key = if key.is_empty() { word.to_string() } else { key };
        let fix = if known.is_empty() {
            "remove it: nothing is expected here".to_string()
        } else {
            suggest(word, known)
        };
        return match at(&key) {
            Some(value) => BadInput::new(&key, Plain(&value), "is not a known key", fix),
            None => BadInput::about(&key, "is not a known key", fix),
        };
    }
    if message.starts_with("missing field") {
        return BadInput::about(quoted[0], "is missing", format!("add {} = ...", quoted[0])).within(path);
    }
    if message.starts_with("unknown variant") {
        return BadInput::new(path, quoted[0], "is not known", suggest(quoted[0], &quoted[1..]));
    }
    let expected = message.rsplit_once("expected ").map(|(_, e)| format!("give {}", in_plain_words(e)));
    match (at(path), expected) {
        (Some(value), Some(fix)) if message.starts_with("invalid") => {
            let why =
                if message.starts_with("invalid type") { "has the wrong type" } else { "is not allowed" };
            BadInput::new(path, Plain(&value), why, fix)
        }
        _ => BadInput::about(path, format!("cannot be used: {message}"), ""),
    }
}

/// What serde calls a type, as a user calls it.
fn in_plain_words(expected: &str) -> &str {
    match expected {
        "f64" => "a number",
        "i64" => "a whole number",
        "usize" | "u64" => "a whole number of at least 0",
        "string only" => "a string",
        "a sequence" => "an array",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

/// The value at a path such as `a.b[2].c`.
fn lookup(root: &Value, path: &str) -> Option<Value> {
    let mut here = root;
    for part in path.split(['.', '[', ']']).filter(|p| !p.is_empty()) {
        here = match here {
            Value::Table(t) => t.get(part)?,
            Value::Array(a) => a.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(here.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;

    fn schedule(text: &str) -> std::result::Result<Schedule, String> {
        let names: Vec<&str> = Schedule::LIST.iter().map(|(n, _)| *n).collect();
        let value: Table = text.parse().expect("test input is TOML");
        read_named(Value::Table(value), &names).map_err(|e| e.to_string())
    }

    #[test]
    fn errors_name_the_key_the_value_and_the_fix() {
        for (text, want) in [
            ("name = 'vp-liner'", r#"name = "vp-liner" is not known; did you mean "vp-linear"?"#),
            (
                "name = 'vp-linear'\nbeta_mni = 1.0",
                r#"beta_mni = 1.0 is not a known key; did you mean "beta_min"?"#,
            ),
            ("name = 'vp-linear'\nbeta_min = 'a'", r#"beta_min = "a" has the wrong type; give a number"#),
            ("beta_min = 1.0", "name is missing; write name = \"vp-linear\""),
            ("name = 'edm'\nx = 1", "x = 1 is not a known key; remove it"),
            ("name = 'ddpm-discrete'\nsteps = 1", "cannot be used: steps = 1 is not between 2 and 1000000"),
            (
                "name = 'ddpm-discrete'\nbeta = 'quadratic'",
                r#"beta = "quadratic" is not known; known: linear, scaled-linear, cosine"#,
            ),
        ] {
            let got = schedule(text).expect_err(text);
            assert!(
                got.starts_with(want) || got.trim_start().starts_with(want),
                "{text}\n got {got}\nwant {want}"
            );
        }
        assert_eq!(schedule("name = 'vp-linear'"), Ok(Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 }));
    }
}
