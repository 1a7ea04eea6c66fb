//! Where diffusion leads: the law of heat and of the Ornstein-Uhlenbeck process far from the data, and de Bruijn's identity
//! `dH/dt = I/2` (Stam 1959), entropy against Fisher information.

use std::f64::consts::TAU;

use super::super::heat::{brownian, geometric};
use super::super::line::defect;
use super::{DE_BRUIJN, ENTROPY, HeatEquation, KL, SHAPE, W2};
use crate::batch::Batch;
use crate::data::mixture::Mixture;
use crate::metric::wasserstein::normal_cdf;
use crate::parallel;
use crate::run::Denoiser;
use crate::schedule::Level;
use crate::state::State;
use crate::study::Findings;

impl HeatEquation {
    /// Where heat and OU lead.
    pub(super) fn limit(&self, law: &Mixture, found: &mut Findings) {
        let kappa2 = geometric(1e-2, 1e3, self.places);
        let (mean, data_variance) = (law.mean()[0], law.covariance()[(0, 0)]);
        let third = self.third_cumulant(mean);
        let rows =
            parallel::map(&kappa2, |&k| [brownian(k), ornstein_uhlenbeck(k)].map(|at| Seen::at(law, &at)));
        for (&k, seen) in kappa2.iter().zip(&rows) {
            for (process, seen) in ["heat", "OU"].into_iter().zip(seen) {
                found.put(W2, process, k, seen.w2);
                found.put(KL, process, k, seen.kl);
                found.put(SHAPE, process, k, seen.shape);
                found.put(ENTROPY, process, k, seen.entropy);
            }
            let variance = data_variance + k;
            found.put(SHAPE, "k_3^2/(12 v^3)", k, third * third / (12.0 * variance.powi(3)));
            found.put(ENTROPY, "ln(2 pi e v)/2", k, 0.5 * (1.0 + (TAU * variance).ln()));
        }
        let ratios =
            parallel::map(&kappa2, |&t| entropy_rate(law, t) / (0.5 * Seen::at(law, &brownian(t)).fisher));
        for (t, ratio) in kappa2.iter().zip(ratios) {
            found.put(DE_BRUIJN, "heat", *t, ratio);
        }
    }

    /// `E (x_0 - mean)^3`, which diffusion leaves alone.
    fn third_cumulant(&self, mean: f64) -> f64 {
        let total: f64 = self.data.weights.iter().sum();
        let parts = self.data.weights.iter().zip(&self.data.means).zip(&self.data.stds);
        parts.map(|((w, m), s)| w / total * ((m - mean).powi(3) + 3.0 * (m - mean) * s * s)).sum()
    }
}

/// `dx = -x/2 dt + dw` at the time when `sigma^2/alpha^2 = kappa2`: `alpha^2 = e^{-t}`.
fn ornstein_uhlenbeck(kappa2: f64) -> Level {
    let sigma = (kappa2 / (1.0 + kappa2)).sqrt();
    Level { t: kappa2.ln_1p(), alpha: 1.0 / (1.0 + kappa2).sqrt(), sigma, f: -0.5, g2: 1.0 }
}

/// What is looked at of a law.
struct Seen {
    w2: f64,
    kl: f64,
    shape: f64,
    entropy: f64,
    fisher: f64,
}

/// Nodes an interval of the trapezoidal rule has for the narrowest thing in it: smooth integrands that vanish at both
/// ends are integrated to round-off.
const NODES: f64 = 8.0;

impl Seen {
    fn at(law: &Mixture, at: &Level) -> Self {
        let marginal = law.marginal(at);
        let (mean, variance) = (marginal.mean()[0], marginal.covariance()[(0, 0)]);
        let modes =
            || marginal.components().iter().map(|c| (c.mean[0], c.covariance.matrix(1)[(0, 0)].sqrt()));
        let step = modes().map(|(_, std)| std).fold(1.0, f64::min) / NODES;
        // (A light mode far out is beyond any number of standard deviations of the whole.)
        let farthest = modes().map(|(m, std)| m.abs() + 9.0 * std).fold(0.0, f64::max);
        let reach = (14.0 * variance.sqrt().max(1.0) + mean.abs()).max(farthest);
        let count = (2.0 * reach / step).ceil() as usize;
        let x: Vec<f64> = (0..=count).map(|i| i as f64 * step - reach).collect();
        let batch = Batch::from_rows(1, x.clone());
        let logs = law.log_density(&batch, at);
        let scores = law.score(&State(batch), at).0.to_rows();
        let normal = |x: f64, m: f64, v: f64| -0.5 * ((x - m).powi(2) / v + (TAU * v).ln());
        let sum = |f: &dyn Fn(usize) -> f64| step * (0..x.len()).map(f).sum::<f64>();
        Seen {
            w2: w2_to_normal(law, at),
            kl: sum(&|i| defect(logs[i], normal(x[i], 0.0, 1.0))),
            shape: sum(&|i| defect(logs[i], normal(x[i], mean, variance))),
            entropy: sum(&|i| -logs[i].exp() * logs[i]),
            fisher: sum(&|i| logs[i].exp() * scores[i] * scores[i]),
        }
    }
}

/// `W2^2 = E (T(z) - z)^2` with `T` the monotone map of N(0, 1), by the trapezoidal rule.
fn w2_to_normal(law: &Mixture, at: &Level) -> f64 {
    let Some(line) = law.line(at) else { return f64::NAN };
    let step = 0.02;
    let term = |i: i32| {
        let z = f64::from(i) * step;
        let y = if z < 0.0 { line.quantile(normal_cdf(z)) } else { line.upper_quantile(normal_cdf(-z)) };
        (y - z).powi(2) * (-0.5 * z * z).exp()
    };
    ((-425..=425).map(term).sum::<f64>() * step / TAU.sqrt()).sqrt()
}

/// `dH/dt` of `dx = dw`, from entropies alone: a central difference of fourth order.
fn entropy_rate(law: &Mixture, t: f64) -> f64 {
    let h = 5e-3 * t;
    let entropy = |k: f64| Seen::at(law, &brownian(t + k * h)).entropy;
    (8.0 * (entropy(1.0) - entropy(-1.0)) - (entropy(2.0) - entropy(-2.0))) / (12.0 * h)
}

#[cfg(test)]
mod tests {
    use super::super::super::heat::LineMixture;
    use super::super::tests::{quick, value};
    use super::*;
    use crate::study::Study;

    #[test]
    fn distances_of_a_gaussian_are_the_closed_forms() {
        let one = LineMixture { weights: vec![1.0], means: vec![0.7], stds: vec![0.5] };
        let law = one.law().unwrap();
        for at in [brownian(0.1), brownian(30.0), ornstein_uhlenbeck(3.0)] {
            let (m, v) = (0.7 * at.alpha, at.marginal_variance(0.25));
            let seen = Seen::at(&law, &at);
            assert!((seen.w2 - m.hypot(v.sqrt() - 1.0)).abs() < 1e-12, "{}", seen.w2);
            assert!((seen.kl / (0.5 * (v + m * m - 1.0 - v.ln())) - 1.0).abs() < 1e-12, "{}", seen.kl);
            assert!((seen.entropy - 0.5 * (1.0 + (TAU * v).ln())).abs() < 1e-12);
            assert!((seen.fisher * v - 1.0).abs() < 1e-12 && seen.shape.abs() < 1e-14);
        }
    }

    #[test]
    fn ou_is_heat_made_smaller_and_entropy_grows_by_half_the_fisher_information() {
        let found = quick().measure("limit");
        for x in geometric(1e-2, 1e3, 11) {
            let shape = |case: &str| value(&found, SHAPE, case, Some(x));
            assert!((shape("heat") / shape("OU") - 1.0).abs() < 1e-8, "{x}");
            assert!((value(&found, DE_BRUIJN, "heat", Some(x)) - 1.0).abs() < 1e-7, "{x}");
        }
    }
}
