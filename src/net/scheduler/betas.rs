//! Chains of noise levels, as diffusers computes them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Keys;
use crate::error::{BadInput, Result};
use crate::schedule::{self, Table, TableParameters};

/// A chain of noise levels: alpha_t^2 is the product of 1 - beta up to t.
#[derive(Clone, Debug, PartialEq)]
pub struct Betas {
    /// First of the `linear`, `scaled_linear` and `sigmoid` schedules.
    pub beta_start: f64,
    /// Last of them.
    pub beta_end: f64,
    /// How they are spread.
    pub beta_schedule: BetaSchedule,
    /// Given one by one instead.
    pub trained_betas: Option<Vec<f64>>,
    /// Whether they are changed so that nothing is left of the image at the last step (Lin et al. 2024, algorithm 1).
    pub rescale_betas_zero_snr: bool,
}

/// Names of `beta_schedule`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Even in beta.
    Linear,
    /// Even in the root of beta.
    ScaledLinear,
    /// alpha_t^2 = cos^2((t + 0.008)/1.008 pi/2), beta at most 0.999 (Nichol & Dhariwal 2021).
    #[serde(rename = "squaredcos_cap_v2")]
    SquaredcosCapV2,
    /// alpha_t^2 = sqrt(s/(1 + s)), ln s Laplace distributed (Hang & Gu 2024), beta at most 0.999.
    Laplace,
    /// alpha_t^2 = exp(-12 t).
    Exp,
    /// A sigmoid from -6 to 6.
    Sigmoid,
}

impl Default for Betas {
    fn default() -> Self {
        let (beta_start, beta_end, beta_schedule) = super::DDPM;
        Betas { beta_start, beta_end, beta_schedule, trained_betas: None, rescale_betas_zero_snr: false }
    }
}

impl Betas {
    pub(super) fn read(keys: &mut Keys, (start, end, schedule): (f64, f64, BetaSchedule)) -> Result<Self> {
        Ok(Betas {
            beta_start: keys.take("beta_start", Some(start))?,
            beta_end: keys.take("beta_end", Some(end))?,
            beta_schedule: keys.take("beta_schedule", Some(schedule))?,
            trained_betas: keys.take("trained_betas", Some(None))?,
            rescale_betas_zero_snr: keys.take("rescale_betas_zero_snr", Some(false))?,
        })
    }

    pub(super) fn write(&self, object: &mut Map<String, Value>) {
        object.extend([
            ("beta_start".into(), json!(self.beta_start)),
            ("beta_end".into(), json!(self.beta_end)),
            ("beta_schedule".into(), json!(self.beta_schedule)),
            ("trained_betas".into(), json!(self.trained_betas)),
            ("rescale_betas_zero_snr".into(), json!(self.rescale_betas_zero_snr)),
        ]);
    }

    /// The same chain as a table of the bench's, where it has one.
    pub fn table(&self, steps: usize) -> Option<Table> {
        let Betas { beta_start, beta_end, .. } = *self;
        let beta = match self.beta_schedule {
            _ if self.trained_betas.is_some() || self.rescale_betas_zero_snr => None,
            BetaSchedule::Linear => Some(schedule::Betas::Linear),
            BetaSchedule::ScaledLinear => Some(schedule::Betas::ScaledLinear),
            BetaSchedule::SquaredcosCapV2 => Some(schedule::Betas::Cosine),
            _ => None,
        }?;
        TableParameters { steps, beta, beta_start, beta_end }.try_into().ok()
    }

    pub(super) fn check(&self, steps: usize) -> Result<()> {
        if let Some(given) = self.trained_betas.as_ref().filter(|given| given.len() != steps) {
            let why = format!("has {} values for {steps} time steps", given.len());
            return Err(BadInput::about("trained_betas", why, "make num_train_timesteps that many"));
        }
        let key = if self.trained_betas.is_some() { "trained_betas" } else { "beta_start, beta_end" };
        match self.values(steps).iter().find(|beta| !(0.0..=1.0).contains(*beta)) {
            Some(bad) => {
                Err(BadInput::new(key, bad, "is no variance between 0 and 1", "give betas within these"))
            }
            None => Ok(()),
        }
    }

    /// Beta at each of `steps` time steps, in f64; diffusers rounds the same to f32.
    pub(super) fn values(&self, steps: usize) -> Vec<f64> {
        let even = |from: f64, to: f64| {
            let last = (steps - 1).max(1) as f64;
            (0..steps).map(move |i| from + (to - from) * i as f64 / last)
        };
        let (start, end) = (self.beta_start, self.beta_end);
        let betas: Vec<f64> = match (&self.trained_betas, self.beta_schedule) {
            (Some(given), _) => given.clone(),
            (None, BetaSchedule::Linear) => even(start, end).collect(),
            (None, BetaSchedule::ScaledLinear) => {
                even(start.sqrt(), end.sqrt()).map(|root| root * root).collect()
            }
            (None, BetaSchedule::Sigmoid) => {
                even(-6.0, 6.0).map(|x| start + (end - start) / (1.0 + (-x).exp())).collect()
            }
            (None, named) => {
                let alpha_bar = |i: usize| named.alpha_bar(i as f64 / steps as f64);
                (0..steps).map(|i| (1.0 - alpha_bar(i + 1) / alpha_bar(i)).min(0.999)).collect()
            }
        };
        if self.rescale_betas_zero_snr { zero_snr(&betas) } else { betas }
    }
}

impl BetaSchedule {
    /// alpha^2 at `t` in [0, 1], for those that are given by it.
    fn alpha_bar(self, t: f64) -> f64 {
        match self {
            BetaSchedule::Laplace => {
                // As diffusers writes it, down to the sign at t = 1/2 (copysign of +0) and 1e-6.
                let half = 0.5 - t;
                let snr = (-0.5 * 1.0_f64.copysign(half) * (1.0 - 2.0 * half.abs() + 1e-6).ln()).exp();
                (snr / (1.0 + snr)).sqrt()
            }
            BetaSchedule::Exp => (-12.0 * t).exp(),
            _ => ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2),
        }
    }
}

/// Lin et al. 2024, algorithm 1: alpha shifted to end at 0 and stretched to begin where it did.
fn zero_snr(betas: &[f64]) -> Vec<f64> {
    let mut product = 1.0;
    let alpha: Vec<f64> = betas
        .iter()
        .map(|beta| {
            product *= 1.0 - beta;
            f64::sqrt(product)
        })
        .collect();
    let (Some(&first), Some(&last)) = (alpha.first(), alpha.last()) else { return Vec::new() };
    let squares = alpha.iter().map(|a| ((a - last) * (first / (first - last))).powi(2));
    let mut before = 1.0;
    squares.map(|square| 1.0 - square / std::mem::replace(&mut before, square)).collect()
}
