//! Mixtures from TOML, component by component.

use serde::Deserialize;
use toml::{Table, Value};

use super::{Named, one_or_each};
use crate::config;
use crate::data::preset::check_std;
use crate::data::{Covariance, Data, Mixture};
use crate::error::{BadInput, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    weights: Option<Vec<f64>>,
    means: Vec<Vec<f64>>,
    std: Option<Value>,
    variances: Option<Vec<Vec<f64>>>,
    covariances: Option<Vec<Vec<Vec<f64>>>>,
}

/// `{ name = "mixture", ... }`.
pub(super) fn read(table: Table) -> Result<Named<Data>> {
    let raw: Raw = config::read(Value::Table(table))?;
    let modes = raw.means.len();
    let weights = raw.weights.unwrap_or(vec![1.0; modes]);
    same_length("weights", weights.len(), modes)?;
    let dim = raw.means.first().map_or(0, Vec::len);
    let covariances = match (raw.std, raw.variances, raw.covariances) {
        (Some(std), None, None) => isotropic(std, modes)?,
        (None, Some(variances), None) => {
            same_length("variances", variances.len(), modes)?;
            variances.into_iter().map(Covariance::Diagonal).collect()
        }
        (None, None, Some(matrices)) => {
            same_length("covariances", matrices.len(), modes)?;
            matrices.iter().enumerate().map(|(k, matrix)| full(k, matrix, dim)).collect::<Result<_>>()?
        }
        _ => {
            let why = "needs exactly one of std, variances and covariances";
            return Err(BadInput::about("", why, "write std = 0.1"));
        }
    };
    let parts = weights.into_iter().zip(raw.means).zip(covariances).map(|((w, m), c)| (w, m, c));
    let data = Mixture::new(parts.collect())?;
    Ok(Named { label: format!("mixture(modes={modes}, dim={dim})"), value: Data::Mixture(data) })
}

fn isotropic(std: Value, modes: usize) -> Result<Vec<Covariance>> {
    let each = std.is_array();
    let std = one_or_each("std", std, modes)?;
    same_length("std", std.len(), modes)?;
    for (k, std) in std.iter().enumerate() {
        check_std(&if each { format!("std[{k}]") } else { "std".into() }, *std)?;
    }
    Ok(std.iter().map(|std| Covariance::Isotropic(std * std)).collect())
}

fn full(k: usize, matrix: &[Vec<f64>], dim: usize) -> Result<Covariance> {
    let key = format!("covariances[{k}]");
    if matrix.len() != dim {
        let why = format!("has {} rows for {dim} coordinates", matrix.len());
        return Err(BadInput::about(&key, why, "give one a coordinate"));
    }
    Covariance::full(matrix).map_err(|e| e.without_prefix("covariance").within(&key))
}

/// A list with an entry for every mean.
fn same_length(key: &str, length: usize, modes: usize) -> Result<()> {
    if length == modes {
        return Ok(());
    }
    Err(BadInput::about(key, format!("has {length} entries where means has {modes}"), "give one a mean"))
}
