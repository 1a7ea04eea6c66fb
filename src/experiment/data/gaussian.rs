//! Gaussian laws from TOML.

use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::super::spectrum;
use super::images::Set;
use super::{Named, one_or_each, read_data, stem};
use crate::config;
use crate::data::{Data, Gaussian};
use crate::error::{BadInput, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    mean: Option<Value>,
    variance: Option<Vec<f64>>,
    covariance: Option<Vec<Vec<f64>>>,
    spectrum: Option<String>,
    of: Option<Value>,
}

/// `{ name = "gaussian", ... }`.
pub(super) fn read(table: Table, folder: &Path, most_modes: Option<usize>) -> Result<Named<Data>> {
    let raw: Raw = config::read(Value::Table(table))?;
    let (variance, source) = match (raw.variance, raw.covariance, raw.spectrum, raw.of) {
        (Some(v), None, None, None) => (v, None),
        (None, Some(matrix), None, None) => {
            let data = Gaussian::from_covariance(read_mean(raw.mean, matrix.len())?, &matrix)?;
            let label = format!("gaussian(covariance {0}x{0})", data.modes());
            return Ok(Named { label, value: Data::Gaussian(data) });
        }
        (None, None, Some(file), None) => (spectrum::read(&file, folder)?, Some(stem(&file))),
        (None, None, None, Some(of)) => return matching(of, raw.mean, folder),
        _ => {
            return Err(BadInput::about(
                "",
                "needs exactly one of variance, covariance, spectrum and of",
                "write variance = [1.0, 0.25]",
            ));
        }
    };
    let mean = read_mean(raw.mean, variance.len())?;
    let data = Gaussian::new(mean, variance)?;
    let modes = data.modes().min(most_modes.unwrap_or(usize::MAX));
    let data = Gaussian::new(data.mean()[..modes].to_vec(), data.variance()[..modes].to_vec())?;
    let label = match source {
        Some(stem) => format!("gaussian({stem}, modes={modes})"),
        None => format!("gaussian(modes={modes})"),
    };
    Ok(Named { label, value: Data::Gaussian(data) })
}

/// The Gaussian with the mean and covariance of other data.
fn matching(of: Value, mean: Option<Value>, folder: &Path) -> Result<Named<Data>> {
    if let Some(mean) = mean {
        let why = "does not go with of, which has a mean";
        return Err(BadInput::new("mean", config::Plain(&mean), why, "remove it"));
    }
    // A mixture holds fewer images than a set.
    let of = match Set::in_table(&of, folder).map_err(|e| e.within("of"))? {
        Some(set) => Named { label: set.label, value: Gaussian::of_images(&set.images, set.std)? },
        None => {
            let Named { label, value } = read_data(of, folder, None).map_err(|e| e.within("of"))?;
            Named { label, value: Gaussian::matching(&value)? }
        }
    };
    Ok(Named { label: format!("gaussian(of {})", of.label), value: Data::Gaussian(of.value) })
}

/// One mean a mode, one for all, or zero.
fn read_mean(value: Option<Value>, modes: usize) -> Result<Vec<f64>> {
    value.map_or(Ok(vec![0.0; modes]), |value| one_or_each("mean", value, modes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPowerLaw {
    modes: usize,
    p: f64,
}

/// More modes than any image has, and few enough to hold.
const MOST_MODES: usize = 10_000_000;

/// `{ name = "power-law", ... }`.
pub(super) fn read_power_law(table: Table, most_modes: Option<usize>) -> Result<Named<Data>> {
    let RawPowerLaw { modes, p } = config::read(Value::Table(table))?;
    if modes > MOST_MODES {
        let fix = format!("give at most {MOST_MODES}");
        return Err(BadInput::new("modes", modes, "is too many to hold", fix));
    }
    let modes = modes.min(most_modes.unwrap_or(usize::MAX));
    let label = format!("power-law(modes={modes}, p={p})");
    Ok(Named { label, value: Data::Gaussian(Gaussian::power_law(modes, p)?) })
}
