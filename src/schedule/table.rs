//! The table of variances behind `ddpm-discrete`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cosine_angle;

/// How a `ddpm-discrete` table is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Betas {
    /// `beta` linear in the index (Ho et al. 2020).
    #[default]
    Linear,
    /// `sqrt(beta)` linear in the index (latent diffusion, Rombach et al. 2022).
    ScaledLinear,
    /// `beta_i = min(0.999, 1 - abar(i+1)/abar(i))` of the cosine schedule (Nichol & Dhariwal 2021);
    /// `beta_start` and `beta_end` are not used.
    Cosine,
}

/// The table behind `ddpm-discrete`: parameters, `beta_i`, and `ln alpha` before and after every entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "TableParameters", into = "TableParameters")]
pub struct Table {
    parameters: TableParameters,
    betas: Arc<[f64]>,
    log_alphas: Arc<[f64]>,
}

/// What a user writes to get a [`Table`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableParameters {
    /// Number of training steps.
    pub steps: usize,
    /// How the table is made.
    pub beta: Betas,
    /// First `beta` (linear and scaled-linear).
    pub beta_start: f64,
    /// Last `beta` (linear and scaled-linear).
    pub beta_end: f64,
}

impl Default for TableParameters {
    fn default() -> Self {
        TableParameters { steps: 1000, beta: Betas::Linear, beta_start: 1e-4, beta_end: 0.02 }
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.parameters == other.parameters
    }
}

impl From<Table> for TableParameters {
    fn from(table: Table) -> Self {
        table.parameters
    }
}

impl TryFrom<TableParameters> for Table {
    type Error = String;

    fn try_from(p: TableParameters) -> std::result::Result<Table, String> {
        if !(2..=1_000_000).contains(&p.steps) {
            return Err(format!("steps = {} is not between 2 and 1000000; DDPM uses 1000", p.steps));
        }
        let inside = |b: f64| b.is_finite() && b > 0.0 && b < 1.0;
        if p.beta != Betas::Cosine
            && !(inside(p.beta_start) && inside(p.beta_end) && p.beta_start <= p.beta_end)
        {
            return Err(format!(
                "beta_start = {:?} and beta_end = {:?} do not satisfy 0 < beta_start <= beta_end < 1; DDPM uses 1e-4 and 0.02",
                p.beta_start, p.beta_end
            ));
        }
        let n = p.steps as f64;
        let betas: Vec<f64> = (0..p.steps)
            .map(|i| {
                let (i, mix) = (i as f64, i as f64 / (n - 1.0));
                match p.beta {
                    Betas::Linear => p.beta_start + mix * (p.beta_end - p.beta_start),
                    Betas::ScaledLinear => {
                        (p.beta_start.sqrt() + mix * (p.beta_end.sqrt() - p.beta_start.sqrt())).powi(2)
                    }
                    Betas::Cosine => {
                        let abar = |t: f64| cosine_angle(t).cos().powi(2);
                        (1.0 - abar((i + 1.0) / n) / abar(i / n)).min(0.999)
                    }
                }
            })
            .collect();
        let mut log_alphas = vec![0.0];
        for b in &betas {
            log_alphas.push(log_alphas[log_alphas.len() - 1] + 0.5 * (-b).ln_1p());
        }
        Ok(Table { parameters: p, betas: betas.into(), log_alphas: log_alphas.into() })
    }
}

impl Table {
    /// `beta_i`, `i = 0..steps`.
    pub fn betas(&self) -> &[f64] {
        &self.betas
    }

    /// `(ln alpha, d ln alpha/dt)` at time `t >= -1`; at a table entry, the rate of the step that ends there.
    pub(super) fn log_alpha(&self, t: f64) -> (f64, f64) {
        let above = ((t + 1.0).ceil() as usize).clamp(1, self.betas.len());
        let rate = self.log_alphas[above] - self.log_alphas[above - 1];
        (self.log_alphas[above] + (t + 1.0 - above as f64) * rate, rate)
    }

    /// The time at which `ln alpha` is reached (continued at the last rate beyond the table), and the rate there.
    pub(super) fn time(&self, log_alpha: f64) -> (f64, f64) {
        // At an entry the rate is that of the step that ends there, round-off in `log_alpha` or not.
        let reached = log_alpha * (1.0 - 32.0 * f64::EPSILON);
        let above = self.log_alphas.partition_point(|&l| l > reached).clamp(1, self.betas.len());
        let rate = self.log_alphas[above] - self.log_alphas[above - 1];
        // From the nearer end of the interval, so that a table entry is met exactly.
        let (upper, lower) = (log_alpha - self.log_alphas[above], log_alpha - self.log_alphas[above - 1]);
        let t = if upper.abs() <= lower.abs() {
            (above as f64 - 1.0) + upper / rate
        } else {
            (above as f64 - 2.0) + lower / rate
        };
        (t, rate)
    }
}
