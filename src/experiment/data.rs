//! The data law of an experiment, from TOML.

use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{Named, Pictures, Subject, names};
use crate::config;
use crate::data::preset::{FourModes, Funnel, Lattice, RandomMixture, Ring, TwoMode};
use crate::data::{self, Data, Mixture};
use crate::error::{BadInput, Result};
use crate::solver::registry;

mod gaussian;
mod images;
mod mixture;
#[cfg(feature = "candle")]
mod network;
mod points;
mod product;

pub use images::read_images;

use images::Set;

/// Reads a data law; with `most_modes`, only its first modes where they are independent.
pub(super) fn read_data(value: Value, folder: &Path, most_modes: Option<usize>) -> Result<Named<Data>> {
    if let Some(set) = Set::in_table(&value, folder)? {
        return set.mixture();
    }
    let (name, mut table) = config::split_name(value, &names(data::LIST))?;
    let label = take_label(&mut table)?;
    let data = match name.as_str() {
        "gaussian" => gaussian::read(table, folder, most_modes),
        "power-law" => gaussian::read_power_law(table, most_modes),
        "mixture" => mixture::read(table),
        "ring" => preset(&name, table, Ring::mixture),
        "grid" => preset(&name, table, Lattice::mixture),
        "four-modes" => preset(&name, table, FourModes::mixture),
        "funnel" => preset(&name, table, Funnel::mixture),
        "two-mode" => preset(&name, table, TwoMode::mixture),
        "random-mixture" => preset(&name, table, RandomMixture::mixture),
        "product" => product::read(table, folder),
        _ => points::read(table, folder),
    }?;
    Ok(Named { label: label.unwrap_or(data.label), value: data.value })
}

/// Reads what is sampled: a data law, or a network that was trained on one.
pub(super) fn read_subject(value: Value, folder: &Path, most_modes: Option<usize>) -> Result<Subject> {
    if value.get("name").and_then(Value::as_str) == Some("network") {
        #[cfg(feature = "candle")]
        return network::read(value, folder);
        #[cfg(not(feature = "candle"))]
        return Err(network_unbuilt());
    }
    let (law, images) = read_pictured(value, folder, most_modes)?;
    Ok(Subject { label: law.label, value: law.value, images, lawless: false, engine: None })
}

/// What a program without networks says of one; the rest of an experiment is nothing it could run.
#[cfg(not(feature = "candle"))]
fn network_unbuilt() -> BadInput {
    let fix = "build with --features candle";
    BadInput::new("name", "network", "needs a program that was built with networks", fix).unfilled()
}

/// A data law, and the images that it is of, where it is.
fn read_pictured(
    value: Value,
    folder: &Path,
    most_modes: Option<usize>,
) -> Result<(Named<Data>, Option<Arc<Pictures>>)> {
    match images::Set::in_table(&value, folder)? {
        Some(set) => {
            let pictures = Pictures::new(set.images.clone());
            Ok((set.mixture()?, Some(Arc::new(pictures))))
        }
        None => Ok((read_data(value, folder, most_modes)?, None)),
    }
}

/// Refuses data whose samplers have no exact law.
pub(super) fn check_gaussian(all: &[Subject]) -> Result<()> {
    for (i, data) in all.iter().enumerate() {
        if data.value.gaussian().is_none() || data.engine.is_some() {
            let key = if all.len() > 1 { format!("data[{i}]") } else { "data".into() };
            let why = "is not Gaussian, and only Gaussians have exact laws";
            let fix = "write mode = { monte-carlo = {} }, or data = { name = \"gaussian\", of = ... }";
            return Err(BadInput::new(&key, &data.label, why, fix));
        }
    }
    Ok(())
}

/// A mixture that a few parameters make; they make its label, too.
fn preset<P: DeserializeOwned>(
    name: &str,
    table: Table,
    mixture: impl Fn(&P) -> Result<Mixture>,
) -> Result<Named<Data>> {
    let label = label(name, table.clone());
    let preset: P = config::read(Value::Table(table))?;
    Ok(Named { label, value: Data::Mixture(mixture(&preset)?) })
}

/// `name(key=value, ...)` of what was written.
fn label(name: &str, mut table: Table) -> String {
    table.insert("name".into(), name.into());
    registry::label_of(&Value::Table(table))
}

/// The label is no matter of the law that it names.
fn take_label(table: &mut Table) -> Result<Option<String>> {
    if let Some(word) = table.keys().find(|k| *k != "label" && strsim::jaro_winkler(k, "label") > 0.9) {
        let fix = "did you mean \"label\"?";
        return Err(BadInput::new(word, config::Plain(&table[word]), "is not a known key", fix));
    }
    table.remove("label").map(config::read).transpose().map_err(|e| e.within("label"))
}

/// One number for each, or a list of as many.
fn one_or_each(key: &str, value: Value, count: usize) -> Result<Vec<f64>> {
    match value {
        Value::Array(list) => config::read(Value::Array(list)),
        one => config::read(one).map(|x| vec![x; count]),
    }
    .map_err(|e| e.within(key))
}

/// The file stem of a path, for labels.
pub(super) fn stem(path: &str) -> String {
    Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
