//! Which row of one table is which of the other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::error::{BadInput, Result};

use super::Kind;
use super::table::Table;

/// A row of each side that are of one thing; one that is alone has nothing beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    Both(usize, usize),
    Baseline(usize),
    New(usize),
}

/// Rows by their keys, in the order of the baseline and then of what is new.
///
/// Runs on other random numbers are of one thing, so seeds and numbers of samples do not count, unless a table has several
/// of them; an adaptive method plans its steps from its samples, so that these do not count either.
///
/// # Errors
/// Two rows of one key: names the file and both lines.
pub(super) fn rows(base: &Table, new: &Table) -> Result<Vec<Rows>> {
    let (own, others) = (keys(base)?, keys(new)?);
    if !base.kind.sampled() {
        return Ok(by_key(&own, &others));
    }
    let (loose_own, loose_others) = (loose_keys(base), loose_keys(new));
    let several: std::collections::HashSet<&str> =
        twice(&loose_own).into_iter().chain(twice(&loose_others)).collect();
    let choose = |loose: &[String], full: &[String]| -> Vec<String> {
        let pick =
            |(l, f): (&String, &String)| if several.contains(l.as_str()) { f.clone() } else { l.clone() };
        loose.iter().zip(full).map(pick).collect()
    };
    Ok(by_key(&choose(&loose_own, &own), &choose(&loose_others, &others)))
}

/// The keys of one table, each of which is there once.
///
/// # Errors
/// As [`rows`].
pub(super) fn keys(table: &Table) -> Result<Vec<String>> {
    let columns: Vec<usize> = table.kind.keys().iter().filter_map(|name| table.column(name)).collect();
    let keys: Vec<String> = (0..table.len()).map(|row| joined(table, row, &columns)).collect();
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(keys.len());
    for (row, key) in keys.iter().enumerate() {
        match first.entry(key) {
            Entry::Vacant(free) => {
                free.insert(row);
            }
            Entry::Occupied(other) => {
                let (here, there) = (table.line(row), table.line(*other.get()));
                let why = format!("has the key of line {there}: two rows of one thing");
                let fix = "remove one, or make the table anew with `scorebench run --fresh`";
                return Err(BadInput::about(&format!("line {here}"), why, fix).file(&table.file));
            }
        }
    }
    Ok(keys)
}

fn joined(table: &Table, row: usize, columns: &[usize]) -> String {
    let mut key = String::with_capacity(160);
    for column in columns {
        key.push_str(table.cell(row, *column));
        key.push('\u{1f}');
    }
    key
}

/// Keys in which seeds and numbers of samples are not said, nor steps of adaptive methods.
fn loose_keys(table: &Table) -> Vec<String> {
    let columns: Vec<(usize, &str)> =
        table.kind.keys().iter().filter_map(|name| Some((table.column(name)?, *name))).collect();
    let pilot = table.column("pilot_nfe").filter(|_| table.kind == Kind::Sampled);
    let one = |row: usize| {
        let planned = pilot.is_some_and(|column| !table.cell(row, column).is_empty());
        let mut key = String::with_capacity(160);
        for (column, name) in &columns {
            let cell = table.cell(row, *column);
            match *name {
                "mode" => key.push_str(&without_seed(cell)),
                "steps" if planned => {}
                _ => key.push_str(cell),
            }
            key.push('\u{1f}');
        }
        key
    };
    (0..table.len()).map(one).collect()
}

/// `monte-carlo(precision=f64, samples=100, seed=1) mean-field` without what other random numbers change.
pub(super) fn without_seed(mode: &str) -> String {
    let Some((name, rest)) = mode.split_once('(') else { return mode.into() };
    let Some((inner, end)) = rest.rsplit_once(')') else { return mode.into() };
    let kept: Vec<&str> =
        inner.split(", ").filter(|p| !p.starts_with("seed=") && !p.starts_with("samples=")).collect();
    format!("{name}({}){end}", kept.join(", "))
}

/// Those that are there more than once.
fn twice(keys: &[String]) -> Vec<&str> {
    let mut seen = std::collections::HashSet::with_capacity(keys.len());
    keys.iter().map(String::as_str).filter(|key| !seen.insert(*key)).collect()
}

fn by_key(own: &[String], others: &[String]) -> Vec<Rows> {
    let there: HashMap<&str, usize> =
        others.iter().enumerate().map(|(row, key)| (key.as_str(), row)).collect();
    let mut taken = vec![false; others.len()];
    let mut all: Vec<Rows> = Vec::with_capacity(own.len());
    for (row, key) in own.iter().enumerate() {
        all.push(match there.get(key.as_str()) {
            Some(&other) => {
                taken[other] = true;
                Rows::Both(row, other)
            }
            None => Rows::Baseline(row),
        });
    }
    all.extend((0..others.len()).filter(|row| !taken[*row]).map(Rows::New));
    all
}
