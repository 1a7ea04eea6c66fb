//! The data law of an experiment, from TOML.

use std::path::Path;

use serde::Deserialize;
use toml::Value;

use super::{Named, names, spectrum};
use crate::config;
use crate::data::{self, Data, Gaussian};
use crate::error::{BadInput, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGaussian {
    mean: Option<Value>,
    variance: Option<Vec<f64>>,
    covariance: Option<Vec<Vec<f64>>>,
    spectrum: Option<String>,
    label: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPowerLaw {
    modes: usize,
    p: f64,
    label: Option<String>,
}

/// More modes than any image has, and few enough to hold.
const MOST_MODES: usize = 10_000_000;

/// Reads a data law; with `most_modes`, only its first modes.
pub(super) fn read_data(value: Value, folder: &Path, most_modes: Option<usize>) -> Result<Named<Data>> {
    let (name, table) = config::split_name(value, &names(data::LIST))?;
    let keep = |n: usize| n.min(most_modes.unwrap_or(usize::MAX));
    if name == "power-law" {
        let RawPowerLaw { modes, p, label } = config::read(Value::Table(table))?;
        if modes > MOST_MODES {
            return Err(BadInput::new(
                "modes",
                modes,
                "is too many to hold",
                format!("give at most {MOST_MODES}"),
            ));
        }
        let modes = keep(modes);
        let label = label.unwrap_or(format!("power-law(modes={modes}, p={p})"));
        return Ok(Named { label, value: Data::Gaussian(Gaussian::power_law(modes, p)?) });
    }
    let raw: RawGaussian = config::read(Value::Table(table))?;
    let (variance, source) = match (raw.variance, raw.covariance, raw.spectrum) {
        (Some(v), None, None) => (v, None),
        (None, Some(matrix), None) => {
            let data = Gaussian::from_covariance(read_mean(raw.mean, matrix.len())?, &matrix)?;
            let label = raw.label.unwrap_or(format!("gaussian(covariance {0}x{0})", data.modes()));
            return Ok(Named { label, value: Data::Gaussian(data) });
        }
        (None, None, Some(file)) => {
            let variance = spectrum::read(&file, folder)?;
            let stem = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
            (variance, Some(stem))
        }
        _ => {
            return Err(BadInput::about(
                "",
                "needs exactly one of variance, covariance and spectrum",
                "write variance = [1.0, 0.25]",
            ));
        }
    };
    let mean = read_mean(raw.mean, variance.len())?;
    let data = Gaussian::new(mean, variance)?;
    let data = Gaussian::new(
        data.mean()[..keep(data.modes())].to_vec(),
        data.variance()[..keep(data.modes())].to_vec(),
    )?;
    let label = raw.label.unwrap_or(match source {
        Some(stem) => format!("gaussian({stem}, modes={})", data.modes()),
        None => format!("gaussian(modes={})", data.modes()),
    });
    Ok(Named { label, value: Data::Gaussian(data) })
}

/// One mean a mode, one for all, or zero.
fn read_mean(value: Option<Value>, modes: usize) -> Result<Vec<f64>> {
    match value {
        None => Ok(vec![0.0; modes]),
        Some(Value::Array(list)) => config::read(Value::Array(list)).map_err(|e| e.within("mean")),
        Some(one) => Ok(vec![config::read::<f64>(one).map_err(|e| e.within("mean"))?; modes]),
    }
}
