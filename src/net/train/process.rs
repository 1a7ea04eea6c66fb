//! What a network is to learn of which noise levels, as a training file says it.

use serde::{Deserialize, Serialize};

use super::recipe::positive;
use crate::error::{BadInput, Result};
use crate::net::scheduler::{BetaSchedule, Betas, Edm, Prediction, Scheduler};
use crate::schedule::{self, Table, TableParameters};

/// The forward process and what the network predicts of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Process {
    /// The chain of Ho et al. (2020).
    DdpmDiscrete(Chain),
    /// Noise of standard deviation sigma, the network preconditioned (Karras et al. 2022).
    Edm(Preconditioned),
}

/// `process = { name = "ddpm-discrete", .. }`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Chain {
    /// Steps of the chain.
    steps: usize,
    /// How its variances are spread.
    beta: schedule::Betas,
    /// First variance (linear and scaled-linear).
    beta_start: f64,
    /// Last variance.
    beta_end: f64,
    /// What the network returns.
    predict: Predict,
    /// The times trained at.
    pub time: Time,
    /// What the mean square error is weighted by; that of what the network returns, unweighted, if not given.
    pub weighting: Option<Weighting>,
}

/// What the network returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Predict {
    Epsilon,
    Sample,
    VPrediction,
}

/// The times that a network is trained at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Time {
    /// Any real number from 0 to that of the last step; levels between steps are on the network's
    /// [`Clock`](crate::net::clock::Clock).
    Continuous,
    /// The numbers of steps.
    Discrete,
}

/// The form of the prediction whose mean square error is the loss, whatever form the network returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// The noise: Ho et al. (2020), eq. 14.
    Epsilon,
    /// The image.
    Sample,
    /// The velocity (Salimans & Ho 2022, SNR + 1); with EDM, its own (Karras et al. 2022, table 1).
    VPrediction,
    /// min(SNR, 5) on the image (Hang et al. 2023).
    MinSnr,
}

/// `process = { name = "edm", .. }`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preconditioned {
    /// Least sigma that samplers will use.
    sigma_min: f64,
    /// Greatest.
    sigma_max: f64,
    /// Standard deviation of the data.
    sigma_data: f64,
    /// Mean of `ln sigma`, normally distributed.
    #[serde(rename = "P_mean")]
    pub p_mean: f64,
    /// Its standard deviation.
    #[serde(rename = "P_std")]
    pub p_std: f64,
    /// As with a chain.
    pub weighting: Option<Weighting>,
}

impl Process {
    /// What diffusers calls it.
    pub fn scheduler(&self) -> Scheduler {
        match self {
            Process::DdpmDiscrete(chain) => {
                let beta_schedule = match chain.beta {
                    schedule::Betas::Linear => BetaSchedule::Linear,
                    schedule::Betas::ScaledLinear => BetaSchedule::ScaledLinear,
                    schedule::Betas::Cosine => BetaSchedule::SquaredcosCapV2,
                };
                let (beta_start, beta_end) = (chain.beta_start, chain.beta_end);
                let betas = Betas { beta_start, beta_end, beta_schedule, ..Betas::default() };
                let prediction = match chain.predict {
                    Predict::Epsilon => Prediction::Epsilon,
                    Predict::Sample => Prediction::Sample,
                    Predict::VPrediction => Prediction::VPrediction,
                };
                Scheduler::ddpm(betas, chain.steps, prediction)
            }
            Process::Edm(edm) => {
                let &Preconditioned { sigma_min, sigma_max, sigma_data, .. } = edm;
                Scheduler::edm(Edm { sigma_min, sigma_max, sigma_data })
            }
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self {
            Process::DdpmDiscrete(chain) => {
                let &Chain { steps, beta, beta_start, beta_end, .. } = chain;
                let table = Table::try_from(TableParameters { steps, beta, beta_start, beta_end });
                table.map(drop).map_err(|why| BadInput::about("", format!("is no chain: {why}"), ""))
            }
            Process::Edm(edm) => {
                positive("sigma_min", edm.sigma_min, 0.002)?;
                positive("sigma_data", edm.sigma_data, 0.5)?;
                positive("P_std", edm.p_std, 1.2)?;
                if !edm.p_mean.is_finite() {
                    return Err(BadInput::new(
                        "P_mean",
                        edm.p_mean,
                        "is not finite",
                        "Karras et al. use -1.2",
                    ));
                }
                if edm.sigma_max.is_finite() && edm.sigma_max > edm.sigma_min {
                    return Ok(());
                }
                Err(BadInput::new("sigma_max", edm.sigma_max, "is not above sigma_min", "give a greater one"))
            }
        }
    }
}

impl Default for Chain {
    fn default() -> Self {
        Chain {
            steps: 1000,
            beta: schedule::Betas::Linear,
            beta_start: 1e-4,
            beta_end: 0.02,
            predict: Predict::Epsilon,
            time: Time::Continuous,
            weighting: None,
        }
    }
}

impl Default for Preconditioned {
    fn default() -> Self {
        let (sigma_min, sigma_max, sigma_data) = (0.002, 80.0, 0.5);
        Preconditioned { sigma_min, sigma_max, sigma_data, p_mean: -1.2, p_std: 1.2, weighting: None }
    }
}
