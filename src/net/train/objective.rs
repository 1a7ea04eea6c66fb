//! Denoising score matching: what a network is asked at a noise level, and how its answer is weighed.

use statrs::function::erf::erf_inv;

use super::process::{Process, Time, Weighting};
use crate::net::clock::{Table, lambdas};
use crate::net::scheduler::{Edm, Levels, Preconditioning, Prediction};

/// Noise levels to train at, and the loss there.
///
/// The network F sees `scale (alpha x0 + sigma eps)` at `time`; the loss is the mean over pixels of
/// `weight (F - target)^2`, and `target` is linear in x0 and eps. Whatever form F has, a weighting stands for the same weight on
/// the error of the denoised image.
#[derive(Clone, Debug)]
pub struct Objective {
    levels: Answers,
    prediction: Prediction,
    weighting: Option<Weighting>,
}

#[derive(Clone, Debug)]
enum Answers {
    /// `lambda` of every step of a chain, and its times in between.
    Chain { lambda: Vec<f64>, clock: Table, time: Time },
    /// Normally distributed `ln sigma`.
    Edm { mean: f64, std: f64, edm: Edm },
}

/// A noise level and what is asked there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Of the image.
    pub alpha: f64,
    /// Of the noise.
    pub sigma: f64,
    /// What the noisy image is multiplied by to be the network's input.
    pub scale: f64,
    /// What the network is told its time by.
    pub time: f64,
    /// Coefficients of image and noise in what the network should return.
    pub target: (f64, f64),
    /// Of the squared error.
    pub weight: f64,
}

impl Objective {
    /// What a training file asks for.
    pub fn new(process: &Process) -> Self {
        let scheduler = process.scheduler();
        let prediction = scheduler.prediction_type;
        match process {
            Process::DdpmDiscrete(chain) => {
                let betas = scheduler.betas().expect("the scheduler of a chain has betas");
                let levels =
                    Answers::Chain { lambda: lambdas(&betas), clock: Table::new(&betas), time: chain.time };
                Objective { levels, prediction, weighting: chain.weighting }
            }
            Process::Edm(edm) => {
                let Levels::Edm(own) = scheduler.levels else {
                    unreachable!("the scheduler of an EDM process")
                };
                let levels = Answers::Edm { mean: edm.p_mean, std: edm.p_std, edm: own };
                Objective { levels, prediction, weighting: edm.weighting }
            }
        }
    }

    /// The level below which a share `u`, from 0 to below 1, of those trained at lie: uniform `u` gives their distribution.
    pub fn level(&self, u: f64) -> Level {
        match &self.levels {
            Answers::Chain { lambda, clock, time } => {
                let last = lambda.len() - 1;
                let (t, at) = match time {
                    Time::Discrete => {
                        let i = ((u * lambda.len() as f64) as usize).min(last);
                        (i as f64, lambda[i])
                    }
                    Time::Continuous => {
                        let t = u * last as f64;
                        let below = (t as usize).min(last - 1);
                        (t, at_time(clock, t, lambda[below], lambda[below + 1]))
                    }
                };
                self.on_chain(t, at)
            }
            Answers::Edm { mean, std, edm } => {
                // Far in the tails there is nothing to learn, and an infinite level.
                let u = u.clamp(1e-9, 1.0 - 1e-9);
                let sigma = (mean + std * std::f64::consts::SQRT_2 * erf_inv(2.0 * u - 1.0)).exp();
                self.preconditioned(sigma, edm)
            }
        }
    }

    fn on_chain(&self, time: f64, lambda: f64) -> Level {
        // alpha^2 and sigma^2 are the logistic function of +-2 lambda.
        let [alpha, sigma] = [-2.0, 2.0].map(|sign| 1.0 / (1.0 + (sign * lambda).exp()).sqrt());
        // What an error of the network's answer makes of the denoised image.
        let (target, of_answer) = match self.prediction {
            Prediction::Sample => ((1.0, 0.0), 1.0),
            Prediction::VPrediction => ((-sigma, alpha), sigma),
            _ => ((0.0, 1.0), sigma / alpha),
        };
        let weight = self.weight((2.0 * lambda).exp(), 1.0, of_answer);
        Level { alpha, sigma, scale: 1.0, time, target, weight }
    }

    fn preconditioned(&self, sigma: f64, edm: &Edm) -> Level {
        let Preconditioning { c_out, c_in, c_noise, .. } = edm.preconditioning(sigma);
        let sigma_data = edm.sigma_data;
        let whole = sigma.hypot(sigma_data);
        // (x0 - c_skip x)/c_out with x = x0 + sigma eps, freed of cancellation (Karras et al. 2022, eq. 7 and table 1).
        let target = (sigma / (sigma_data * whole), -sigma_data / whole);
        let weight = self.weight(sigma.powi(-2), sigma_data, c_out);
        Level { alpha: 1.0, sigma, scale: c_in, time: c_noise, target, weight }
    }

    /// Of the network's squared error, at a signal-to-noise ratio.
    fn weight(&self, snr: f64, sigma_data: f64, of_answer: f64) -> f64 {
        let on_image = match self.weighting {
            None => return 1.0,
            Some(Weighting::Epsilon) => snr,
            Some(Weighting::Sample) => 1.0,
            Some(Weighting::VPrediction) => snr + sigma_data.powi(-2),
            Some(Weighting::MinSnr) => snr.min(5.0),
        };
        on_image * of_answer * of_answer
    }
}

/// The `lambda` between those of two neighbouring steps at which the clock, which falls, shows `t`.
fn at_time(clock: &Table, t: f64, mut high: f64, mut low: f64) -> f64 {
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if clock.time(middle) > t {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}
