//! Products of mixtures on the line, from TOML.

use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::{Named, read_data};
use crate::config;
use crate::data::preset::fits;
use crate::data::{Data, Mixture, Product};
use crate::error::{BadInput, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    of: Value,
    copies: Option<usize>,
}

/// `{ name = "product", ... }`.
pub(super) fn read(table: Table, folder: &Path) -> Result<Named<Data>> {
    let Raw { of, copies } = config::read(Value::Table(table))?;
    let factors = match (of, copies) {
        (Value::Array(list), None) => {
            let each = list.into_iter().enumerate();
            each.map(|(j, one)| factor(one, folder, &format!("of[{j}]"))).collect::<Result<Vec<_>>>()?
        }
        (Value::Array(_), Some(copies)) => {
            let fix = "remove it, or write of = { name = \"two-mode\" }";
            return Err(BadInput::new("copies", copies, "does not go with a list", fix));
        }
        (one, copies) => return power(factor(one, folder, "of")?, copies.unwrap_or(1)),
    };
    if factors.is_empty() {
        return Err(BadInput::about("of", "is empty", "give one law a coordinate"));
    }
    let label = format!("product(dim={})", factors.len());
    let factors = factors.into_iter().map(|factor| factor.value).collect();
    Ok(Named { label, value: Data::Product(Product::new(factors)?) })
}

/// The same law in every coordinate.
fn power(factor: Named<Mixture>, copies: usize) -> Result<Named<Data>> {
    if copies == 0 {
        return Err(BadInput::new("copies", copies, "makes no coordinate", "give at least 1"));
    }
    // A mode of a factor is two numbers.
    if !fits(copies.saturating_mul(factor.value.components().len()), 2) {
        return Err(BadInput::new("copies", copies, "is too many to hold", "give fewer"));
    }
    let label = format!("product(of {}, copies={copies})", factor.label);
    Ok(Named { label, value: Data::Product(Product::new(vec![factor.value; copies])?) })
}

/// A mixture on the line.
fn factor(value: Value, folder: &Path, key: &str) -> Result<Named<Mixture>> {
    let Named { label, value } = read_data(value, folder, None).map_err(|e| e.within(key))?;
    let fix = "give a mixture on the line, such as { name = \"two-mode\" }";
    match value {
        Data::Mixture(mixture) if mixture.dim() == 1 => Ok(Named { label, value: mixture }),
        Data::Mixture(mixture) => {
            let why = format!("has {} coordinates", mixture.dim());
            Err(BadInput::new(key, &label, why, fix))
        }
        _ => Err(BadInput::new(key, &label, "is no mixture", fix)),
    }
}
