//! Data sets from TOML.

use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::super::spectrum::find;
use super::{Named, label, stem};
use crate::config;
use crate::data::{Data, digits, empirical};
use crate::error::{BadInput, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    csv: Option<String>,
    folder: Option<String>,
    points: Option<Vec<Vec<f64>>>,
    #[serde(default)]
    std: f64,
}

/// `{ name = "points", ... }`.
pub(super) fn read(table: Table, folder: &Path) -> Result<Named<Data>> {
    let raw: Raw = config::read(Value::Table(table))?;
    let (points, source) = match (raw.csv, raw.folder, raw.points) {
        (Some(file), None, None) => (empirical::csv(&find("csv", &file, folder)?)?, stem(&file) + ", "),
        (None, Some(images), None) => {
            (empirical::images(&find("folder", &images, folder)?)?, stem(&images) + ", ")
        }
        (None, None, Some(points)) => (points, String::new()),
        _ => {
            let why = "needs exactly one of csv, folder and points";
            return Err(BadInput::about("", why, "write csv = \"file.csv\""));
        }
    };
    let kernel = if raw.std == 0.0 { String::new() } else { format!(", std={}", raw.std) };
    let (count, dim) = (points.len(), points.first().map_or(0, Vec::len));
    let label = format!("points({source}n={count}, dim={dim}{kernel})");
    Ok(Named { label, value: Data::Mixture(empirical::kernels(points, raw.std)?) })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDigits {
    class: Option<usize>,
    count: Option<usize>,
    #[serde(default)]
    std: f64,
}

/// `{ name = "digits", ... }`.
pub(super) fn read_digits(table: Table) -> Result<Named<Data>> {
    let label = label("digits", table.clone());
    let RawDigits { class, count, std } = config::read(Value::Table(table))?;
    let points = digits::points(class, count)?;
    Ok(Named { label, value: Data::Mixture(empirical::kernels(points, std)?) })
}
