//! Data sets from TOML.

use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::super::spectrum::find;
use super::{Named, stem};
use crate::config;
use crate::data::images::{self, Form, Select};
use crate::data::{Data, empirical};
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
            let dir = find("folder", &images, folder)?;
            (
                images::read_folder("folder", &dir, &Form::default(), &Select::default())?.points(),
                stem(&images) + ", ",
            )
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
