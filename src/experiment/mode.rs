//! How cells are run: exactly, or on samples.

use serde::{Deserialize, Serialize};
use toml::Value;

use crate::config;
use crate::error::{BadInput, Result};
use crate::monte_carlo::Sampling;

/// How cells are run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The exact law: Gaussian data only.
    #[default]
    Exact,
    /// On samples.
    MonteCarlo(Sampling),
}

/// What is measured on samples where an experiment does not say.
pub(super) const DEFAULT: &[&str] = &["rmse", "sliced_w2", "mean_error", "cov_error"];

impl Mode {
    /// As tables and figures show it.
    pub fn label(&self) -> String {
        match self {
            Mode::Exact => "exact".into(),
            Mode::MonteCarlo(Sampling { samples, seed, precision }) => {
                format!("monte-carlo(precision={}, samples={samples}, seed={seed})", precision.name())
            }
        }
    }
}

/// Reads `"exact"` or `{ monte-carlo = { ... } }`.
pub(super) fn read(value: Value, quick: Option<u64>) -> Result<Mode> {
    if value.as_str() == Some("exact") {
        return Ok(Mode::Exact);
    }
    let fix = "write mode = \"exact\" or mode = { monte-carlo = { samples = 10_000 } }";
    let Some(table) = value.as_table().filter(|t| t.len() == 1 && t.contains_key("monte-carlo")) else {
        return Err(BadInput::new("", config::Plain(&value), "is no mode", fix));
    };
    let mut sampling: Sampling =
        config::read(table["monte-carlo"].clone()).map_err(|e| e.within("monte-carlo"))?;
    if let Some(samples) = quick {
        sampling.samples = samples;
    }
    if sampling.samples < 2 {
        let fix = "give at least 2: a standard error takes two";
        return Err(BadInput::new("monte-carlo.samples", sampling.samples, "is too few", fix));
    }
    Ok(Mode::MonteCarlo(sampling))
}
