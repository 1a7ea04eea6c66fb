//! Forward processes: `x_t = alpha(t) x_0 + sigma(t) z`, equivalently `dx = f x dt + g dw`.
//!
//! Every schedule gives its [`Level`]s from a time ([`Schedule::at`]) or from the noise-to-signal
//! ratio `kappa = sigma/alpha` ([`Schedule::at_kappa`], [`Schedule::at_lambda`]), both in closed
//! form and without cancellation, so that the inverse is as exact as the map.

use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_PI_2;

use crate::error::{BadInput, Result};
use crate::metric::minus_ln_1p;

mod clock;
mod table;

pub use clock::Clock;
pub use table::{Betas, Table, TableParameters};

/// One noise level, with everything a solver may read of the forward process there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Time, in the schedule's own unit.
    pub t: f64,
    /// Signal scale: `E[x_t | x_0] = alpha x_0`.
    pub alpha: f64,
    /// Noise scale: `sd(x_t | x_0) = sigma`.
    pub sigma: f64,
    /// Drift rate `f = d ln alpha / dt` (at most 0).
    pub f: f64,
    /// Squared diffusion `g^2 = d sigma^2/dt - 2 f sigma^2`.
    pub g2: f64,
}

impl Level {
    /// Half log-SNR `lambda = ln(alpha/sigma)`: grows as noise falls; infinite at either end.
    pub fn lambda(&self) -> f64 {
        (self.alpha / self.sigma).ln()
    }

    /// Noise-to-signal ratio `kappa = sigma/alpha`: what k-diffusion and EDM call sigma.
    pub fn kappa(&self) -> f64 {
        self.sigma / self.alpha
    }

    /// Variance `sigma_t^2 - (alpha_t/alpha_s)^2 sigma_s^2` that the forward process adds from `s`
    /// up to `self = t`; the `b` of DDPM (Ho et al. 2020, where `sigma^2 = 1 - alpha^2`) and the
    /// `sigma^2_{t|s}` of VDM (Kingma et al. 2021, sec. 3.1).
    pub fn variance_since(&self, s: &Level) -> f64 {
        // sigma_t^2 (1 - e^{-2h}) with h = lambda_s - lambda_t: no difference of near-equal squares.
        -self.sigma.powi(2) * (-2.0 * (s.lambda() - self.lambda())).exp_m1()
    }

    /// Variance of `x_t` per mode when the data variance is `c`: `alpha^2 c + sigma^2`.
    pub fn marginal_variance(&self, c: f64) -> f64 {
        self.alpha * self.alpha * c + self.sigma * self.sigma
    }
}

/// Which normalisation a schedule keeps; the score_sde samplers are defined family by family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Variance preserving: `alpha^2 + sigma^2 = 1`.
    Vp,
    /// Variance exploding: `alpha = 1`.
    Ve,
    /// Neither: sub-VP, flow matching.
    Other,
}

/// A forward process by name and parameters. Times run from clean data (smallest `t`) to noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// `dx = -beta/2 x dt + sqrt(beta) dw`, `beta = beta_min + t (beta_max - beta_min)`, `t` in `[0, 1]`
    /// (Song et al. 2021, eq. 32).
    VpLinear {
        /// `beta(0)`.
        #[serde(default = "beta_min")]
        beta_min: f64,
        /// `beta(1)`.
        #[serde(default = "beta_max")]
        beta_max: f64,
    },
    /// `alpha = cos(pi/2 (t+s)/(1+s)) / cos(pi/2 s/(1+s))`, `s = 0.008`, variance preserving, `t` in `[0, 1]`
    /// (Nichol & Dhariwal 2021, eq. 17); `alpha(1) = 0`.
    VpCosine {},
    /// `sigma = sigma_min (sigma_max/sigma_min)^t`, `alpha = 1`, `t` in `[0, 1]` (Song et al. 2021, eq. 30).
    Ve {
        /// `sigma(0)`.
        #[serde(default = "ve_sigma_min")]
        sigma_min: f64,
        /// `sigma(1)`.
        #[serde(default = "ve_sigma_max")]
        sigma_max: f64,
    },
    /// `sigma = t`, `alpha = 1`, `t >= 0` (Karras et al. 2022, table 1).
    Edm {},
    /// The drift of `vp-linear` with `sigma = 1 - alpha^2` (no square root), `t` in `[0, 1]`
    /// (Song et al. 2021, eq. 28).
    SubVp {
        /// `beta(0)`.
        #[serde(default = "beta_min")]
        beta_min: f64,
        /// `beta(1)`.
        #[serde(default = "beta_max")]
        beta_max: f64,
    },
    /// `alpha = 1 - t`, `sigma = t`, `t` in `[0, 1]` (flow matching, Lipman et al. 2023, sec. 4.1;
    /// rectified flow, Liu et al. 2023).
    Flow {},
    /// A table of `beta_i`, `i = 0..steps`: `alpha_i^2 = prod_{j<=i} (1 - beta_j)` (Ho et al. 2020, eq. 4).
    /// Time is the table's timestep, `t = i`; `t = -1` is clean data. Between entries `ln alpha` is
    /// linear, that is, `beta` is piecewise constant.
    DdpmDiscrete(
        /// Parameters and the table made from them.
        Table,
    ),
    /// `dx = sqrt(2) dw`, the SDE whose density solves `dp/dt = Laplace p`: `sigma = sqrt(2t)`, `alpha = 1`.
    Heat {},
}

fn beta_min() -> f64 {
    0.1
}
fn beta_max() -> f64 {
    20.0
}
fn ve_sigma_min() -> f64 {
    0.01
}
fn ve_sigma_max() -> f64 {
    50.0
}

impl Schedule {
    /// Names as written in an experiment, each with a one-line description.
    pub const LIST: &'static [(&'static str, &'static str)] = &[
        ("vp-linear", "dx = -beta/2 x dt + sqrt(beta) dw, beta = beta_min + t (beta_max - beta_min)"),
        ("vp-cosine", "alpha = cos(pi/2 (t+s)/(1+s)) / cos(pi/2 s/(1+s)), s = 0.008, variance preserving"),
        ("ve", "sigma = sigma_min (sigma_max/sigma_min)^t, alpha = 1"),
        ("edm", "sigma = t, alpha = 1"),
        ("sub-vp", "the drift of vp-linear, sigma = 1 - alpha^2"),
        ("flow", "alpha = 1 - t, sigma = t"),
        (
            "ddpm-discrete",
            "alpha_i^2 = prod (1 - beta_j) from a table: beta = linear | scaled-linear | cosine",
        ),
        ("heat", "dx = sqrt(2) dw: sigma = sqrt(2t), alpha = 1"),
    ];

    /// Refuses parameters that define no schedule.
    ///
    /// # Errors
    /// Names the parameter, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        let finite_positive = |key, x: f64| {
            let ok = x.is_finite() && x > 0.0;
            if ok {
                Ok(())
            } else {
                Err(BadInput::new(key, x, "is not a positive number", "give a finite value above 0"))
            }
        };
        match *self {
            Schedule::VpLinear { beta_min, beta_max } | Schedule::SubVp { beta_min, beta_max } => {
                finite_positive("beta_min", beta_min)?;
                finite_positive("beta_max", beta_max)?;
                if beta_max < beta_min {
                    return Err(BadInput::new(
                        "beta_max",
                        beta_max,
                        format!("is below beta_min = {beta_min:?}"),
                        "swap the two",
                    ));
                }
                Ok(())
            }
            Schedule::Ve { sigma_min, sigma_max } => {
                finite_positive("sigma_min", sigma_min)?;
                finite_positive("sigma_max", sigma_max)?;
                if sigma_max <= sigma_min {
                    return Err(BadInput::new(
                        "sigma_max",
                        sigma_max,
                        format!("is not above sigma_min = {sigma_min:?}"),
                        "swap the two",
                    ));
                }
                Ok(())
            }
            // A table was checked when it was made.
            _ => Ok(()),
        }
    }

    /// The level at time `t`. Formulas are continued outside [`Schedule::time_range`] where they have a meaning.
    pub fn at(&self, t: f64) -> Level {
        let t = t + 0.0; // No -0.0, whose lambda would be NaN.
        match self {
            Schedule::VpLinear { beta_min, beta_max } => {
                let (beta, b) = linear_beta(*beta_min, *beta_max, t);
                vp(t, -0.5 * b, beta)
            }
            Schedule::VpCosine {} => {
                let alpha = if t == 1.0 { 0.0 } else { cosine_angle(t).cos() / cosine_angle(0.0).cos() };
                cosine(t, alpha, cosine_sigma2(t).sqrt())
            }
            Schedule::Ve { sigma_min, sigma_max } => {
                let rate = (sigma_max / sigma_min).ln();
                let sigma = sigma_min * (rate * t).exp();
                ve(t, sigma, 2.0 * rate * sigma * sigma)
            }
            Schedule::Edm {} => ve(t, t, 2.0 * t),
            Schedule::SubVp { beta_min, beta_max } => {
                let (beta, b) = linear_beta(*beta_min, *beta_max, t);
                sub_vp(t, b, beta)
            }
            Schedule::Flow {} => flow(t, 1.0 - t, t),
            Schedule::DdpmDiscrete(table) => {
                let (log_alpha, f) = table.log_alpha(t);
                vp(t, log_alpha, -2.0 * f)
            }
            Schedule::Heat {} => ve(t, (2.0 * t).sqrt(), 2.0),
        }
    }

    /// The level where `sigma/alpha = kappa` (0 and infinity included, where the schedule reaches them).
    pub fn at_kappa(&self, kappa: f64) -> Level {
        let kappa = kappa + 0.0; // As in `at`.
        // Integrated rates B = -2 ln alpha, from kappa^2 = e^B - 1 (VP) and kappa = 2 sinh(B/2) (sub-VP).
        let b_vp = (kappa * kappa).ln_1p();
        match self {
            Schedule::VpLinear { beta_min, beta_max } => {
                let (t, beta) = linear_beta_inverse(*beta_min, *beta_max, b_vp);
                Level { sigma: kappa_to_sigma(kappa), ..vp(t, -0.5 * b_vp, beta) }
            }
            Schedule::VpCosine {} => {
                let (alpha, sigma) = (1.0 / (1.0 + kappa * kappa).sqrt(), kappa_to_sigma(kappa));
                cosine(cosine_time(alpha, sigma), alpha, sigma)
            }
            Schedule::Ve { sigma_min, sigma_max } => {
                let rate = (sigma_max / sigma_min).ln();
                ve((kappa / sigma_min).ln() / rate, kappa, 2.0 * rate * kappa * kappa)
            }
            Schedule::Edm {} => ve(kappa, kappa, 2.0 * kappa),
            Schedule::SubVp { beta_min, beta_max } => {
                let b = 2.0 * (0.5 * kappa).asinh();
                let (t, beta) = linear_beta_inverse(*beta_min, *beta_max, b);
                sub_vp(t, b, beta)
            }
            Schedule::Flow {} => {
                let t = if kappa.is_infinite() { 1.0 } else { kappa / (1.0 + kappa) };
                flow(t, 1.0 / (1.0 + kappa), t)
            }
            Schedule::DdpmDiscrete(table) => {
                let (t, f) = table.time(-0.5 * b_vp);
                Level { sigma: kappa_to_sigma(kappa), ..vp(t, -0.5 * b_vp, -2.0 * f) }
            }
            Schedule::Heat {} => ve(0.5 * kappa * kappa, kappa, 2.0),
        }
    }

    /// The level where `ln(alpha/sigma) = lambda`.
    pub fn at_lambda(&self, lambda: f64) -> Level {
        self.at_kappa((-lambda).exp())
    }

    /// First and last time at which the process is defined; the last is infinite where noise has no end.
    pub fn time_range(&self) -> (f64, f64) {
        match self {
            Schedule::Edm {} | Schedule::Heat {} => (0.0, f64::INFINITY),
            Schedule::DdpmDiscrete(table) => (-1.0, table.betas().len() as f64 - 1.0),
            _ => (0.0, 1.0),
        }
    }

    /// Which normalisation the schedule keeps.
    pub fn family(&self) -> Family {
        match self {
            Schedule::VpLinear { .. } | Schedule::VpCosine {} | Schedule::DdpmDiscrete(_) => Family::Vp,
            Schedule::Ve { .. } | Schedule::Edm {} | Schedule::Heat {} => Family::Ve,
            Schedule::SubVp { .. } | Schedule::Flow {} => Family::Other,
        }
    }

    /// Standard deviation of the prior that practice starts from: `sigma_T` where `alpha = 1`, else 1.
    pub fn prior_std(&self, start: &Level) -> f64 {
        if self.family() == Family::Ve { start.sigma } else { 1.0 }
    }

    /// Number of entries of the training table, for `ddpm-discrete`.
    pub fn table_len(&self) -> Option<usize> {
        match self {
            Schedule::DdpmDiscrete(table) => Some(table.betas().len()),
            _ => None,
        }
    }

    /// `int_s^t alpha(u) d kappa^2(u)`, in closed form: what a score held constant from `t` down to `s`
    /// is multiplied by, up to `alpha_s`. (With `g^2 du = alpha^2 d kappa^2` and the drift's propagator
    /// `alpha_s/alpha_u`, the exact integral is `alpha_s int alpha d kappa^2`.)
    pub fn score_weight(&self, t: &Level, s: &Level) -> f64 {
        match self.family() {
            // kappa^2 = alpha^{-2} - 1, so the integral is 2/alpha_t - 2/alpha_s; alpha hides what is left of 1
            // at low noise, kappa does not.
            Family::Vp => {
                let (k, l) = (t.kappa(), s.kappa());
                2.0 * (k - l) * (k + l) / (k.hypot(1.0) + l.hypot(1.0))
            }
            Family::Ve => (t.sigma - s.sigma) * (t.sigma + s.sigma),
            Family::Other => match self {
                // kappa = alpha^{-1} - alpha: the primitive is 2/alpha + 2/3 alpha^3. With d = ln(alpha_s/alpha_t),
                // from alpha^2 = 1 - sigma, the terms linear in d are taken together: 1/alpha - alpha^3.
                Schedule::SubVp { .. } => {
                    let d = 0.5 * ((t.sigma - s.sigma) / t.alpha.powi(2)).ln_1p();
                    2.0 * s.sigma * (1.0 + s.alpha.powi(2)) / s.alpha * d
                        + 2.0 / s.alpha * exp_m1_minus(d)
                        + 2.0 / 3.0 * s.alpha.powi(3) * exp_m1_minus(-3.0 * d)
                }
                // kappa = 1/alpha - 1: the primitive is 2 (kappa - ln(1 + kappa)); u = (1 + kappa_t)/(1 + kappa_s) - 1.
                _ => {
                    let u = (t.kappa() - s.kappa()) / (1.0 + s.kappa());
                    2.0 * (minus_ln_1p(u) + u * s.kappa())
                }
            },
        }
    }
}

/// `e^x - 1 - x` without cancellation near 0.
fn exp_m1_minus(x: f64) -> f64 {
    if x.abs() > 0.5 {
        return x.exp_m1() - x;
    }
    // sum_{n>=2} x^n/n!; 16 terms leave less than 1e-18 of the first.
    let mut sum = 0.0;
    for n in (3..=17).rev() {
        sum = (1.0 + sum) * x / n as f64;
    }
    0.5 * x * x * (1.0 + sum)
}

/// `sigma = kappa / sqrt(1 + kappa^2)` on a variance-preserving schedule, for kappa up to infinity.
fn kappa_to_sigma(kappa: f64) -> f64 {
    if kappa.is_infinite() { 1.0 } else { kappa / kappa.hypot(1.0) }
}

/// `(beta(t), int_0^t beta)` for a linear rate.
fn linear_beta(b0: f64, b1: f64, t: f64) -> (f64, f64) {
    (b0 + t * (b1 - b0), t * (b0 + 0.5 * t * (b1 - b0)))
}

/// The time at which the integral of a linear rate reaches `b`, and the rate there.
fn linear_beta_inverse(b0: f64, b1: f64, b: f64) -> (f64, f64) {
    // The root of b0 t + (b1-b0) t^2/2 = b in the form without cancellation; beta(t) is the discriminant's root.
    let beta = (b0 * b0 + 2.0 * (b1 - b0) * b).sqrt();
    (2.0 * b / (b0 + beta), beta)
}

fn vp(t: f64, log_alpha: f64, beta: f64) -> Level {
    // sigma^2 = 1 - alpha^2, by expm1 so that small t keeps all its digits.
    Level {
        t,
        alpha: log_alpha.exp(),
        sigma: (0.0 - (2.0 * log_alpha).exp_m1()).max(0.0).sqrt(),
        f: -0.5 * beta,
        g2: beta,
    }
}

fn ve(t: f64, sigma: f64, g2: f64) -> Level {
    Level { t, alpha: 1.0, sigma, f: 0.0, g2 }
}

fn sub_vp(t: f64, b: f64, beta: f64) -> Level {
    Level {
        t,
        alpha: (-0.5 * b).exp(),
        sigma: -(-b).exp_m1(),
        f: -0.5 * beta,
        g2: -beta * (-2.0 * b).exp_m1(),
    }
}

fn flow(t: f64, alpha: f64, sigma: f64) -> Level {
    Level { t, alpha, sigma, f: -1.0 / alpha, g2: 2.0 * sigma / alpha }
}

const COSINE_S: f64 = 0.008;

fn cosine_angle(t: f64) -> f64 {
    FRAC_PI_2 * (t + COSINE_S) / (1.0 + COSINE_S)
}

fn cosine_sigma2(t: f64) -> f64 {
    // 1 - cos^2 a / cos^2 a0 = sin(a - a0) sin(a + a0) / cos^2 a0; a - a0 is exact in t.
    let (a, a0) = (cosine_angle(t), cosine_angle(0.0));
    let da = FRAC_PI_2 * t / (1.0 + COSINE_S);
    (da.sin() * (a + a0).sin() / a0.cos().powi(2)).max(0.0)
}

fn cosine_time(alpha: f64, sigma: f64) -> f64 {
    // sin(a - a0) = sigma^2 cos^2 a0 / sin(a + a0): the first guess of `a` only enters a well-conditioned place.
    let a0 = cosine_angle(0.0);
    let (cos_a, sin2_a) = (alpha * a0.cos(), a0.sin().powi(2) + (sigma * a0.cos()).powi(2));
    let a = sin2_a.sqrt().atan2(cos_a);
    let da = if a < 0.5 { ((sigma * a0.cos()).powi(2) / (a + a0).sin()).asin() } else { a - a0 };
    da / FRAC_PI_2 * (1.0 + COSINE_S)
}

fn cosine(t: f64, alpha: f64, sigma: f64) -> Level {
    // beta = -2 d ln alpha/dt = pi/(1+s) tan(a), and tan a = sin a / (alpha cos a0) stays exact near t = 1.
    let beta = 2.0 * FRAC_PI_2 / (1.0 + COSINE_S) * cosine_angle(t).sin() / (alpha * cosine_angle(0.0).cos());
    Level { t, alpha, sigma, f: -0.5 * beta, g2: beta }
}
