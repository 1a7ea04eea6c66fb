//! A derivation of the reverse step by Bayes' rule, line by line (note 004), and the formulas at its end.
//!
//! With `D = x_{t+dt} - x_t`, `f`, `g`, `score = grad log p` at `(x_t, t)` unless said otherwise:
//!
//! | line | `ln p(x_t | x_{t+dt})` is, up to what does not depend on `x_t` |
//! |---|---|
//! | Taylor | `ln p(x_{t+dt} | x_t) - D score - dt d/dt log p`, the first factor exact |
//! | with its missing term | the same, less `D^2 score'/2`: `D^2` is of the order of `dt` |
//! | exponent as written | `+(D - f dt)^2/(2 g^2 dt) - D score - dt d/dt log p` |
//! | exponent, sign mended | the same with a minus in front |
//! | square completed | `-(D - [f - g^2 score] dt)^2/(2 g^2 dt) - dt d/dt log p - f^2 dt/(2 g^2) + (f - g^2 score)^2 dt/(2 g^2)` |
//! | last line | `-(D - [f - g^2 score] dt)^2/(2 g^2 dt)`, all at `(x_{t+dt}, t+dt)` |

use super::line::{LineLaw, law_named};
use crate::data::Moments;
use crate::data::mixture::Mixture;
use crate::metric::w2;
use crate::schedule::{Level, Schedule};
use crate::study::Findings;

/// Quantity: distance of a line from the truth.
pub const LINE: &str = "log posterior off";
/// Quantity: distance between the law after a step and the exact one.
pub const STEP: &str = "w2 after one step";
/// Quantity: variance of the forward chain at its end.
pub const CHAIN: &str = "variance of the chain";

/// Names of the lines.
pub const LINES: [&str; 6] = [
    "taylor",
    "taylor with its missing term",
    "exponent as written",
    "exponent with its sign mended",
    "square completed",
    "last line",
];

/// What the lines say.
struct Derivation<'a> {
    data: &'a Mixture,
    /// Levels `t` and `t + dt`.
    levels: (Level, Level),
    /// Their laws.
    laws: (LineLaw, LineLaw),
}

impl Derivation<'_> {
    /// Every line at `x_t = x` and `x_{t+dt} = y`.
    fn lines(&self, x: f64, y: f64) -> [f64; 6] {
        let (low, high) = self.levels;
        let (dt, step) = (high.t - low.t, y - x);
        let (score, curvature) = self.laws.0.slopes(x);
        let (f, g2) = (low.f * x, low.g2);
        // Fokker-Planck for ln p: d/dt ln p = -f' - f score + g^2/2 (score' + score^2).
        let rate = -low.f - f * score + 0.5 * g2 * (curvature + score * score);
        let (keep, b) = (high.alpha / low.alpha, high.variance_since(&low));
        let taylor = -0.5 * (y - keep * x).powi(2) / b - step * score - dt * rate;
        let square = (step - f * dt).powi(2) / (2.0 * g2 * dt);
        let rest = -step * score - dt * rate;
        let drift = f - g2 * score;
        let completed = -(step - drift * dt).powi(2) / (2.0 * g2 * dt) - dt * rate - f * f * dt / (2.0 * g2)
            + drift * drift * dt / (2.0 * g2);
        let at_y = high.f * y - high.g2 * self.laws.1.slopes(y).0;
        let last = -(step - at_y * dt).powi(2) / (2.0 * high.g2 * dt);
        [taylor, taylor - 0.5 * step * step * curvature, square + rest, rest - square, completed, last]
    }

    /// Root mean square, over `x_{t+dt}` and over `x_t` given it, of each line less the truth less its mean over `x_t`.
    fn distances(&self) -> [f64; 6] {
        let (low, high) = self.levels;
        let (mut total, mut sums) = (0.0, [0.0; 6]);
        for (y, w) in self.laws.1.nodes(5.0) {
            let posterior = LineLaw::reverse(self.data, &high, &low, y);
            let (mut mass, mut first, mut second) = (0.0, [0.0; 6], [0.0; 6]);
            // (The truth less a constant near its top, so that squares of differences keep their digits.)
            for (x, w) in posterior.nodes(4.0) {
                let truth = posterior.ln_density(x);
                mass += w;
                for (k, line) in self.lines(x, y).into_iter().enumerate() {
                    first[k] += w * (line - truth);
                    second[k] += w * (line - truth).powi(2);
                }
            }
            total += w;
            for k in 0..6 {
                sums[k] += w * (second[k] / mass - (first[k] / mass).powi(2)).max(0.0);
            }
        }
        sums.map(|s| (s / total).sqrt())
    }
}

/// Measures all of it from the level `t` up by each of `steps` in time.
pub fn measure(law: &str, steps: &[f64], found: &mut Findings) {
    let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
    let data = law_named(law);
    let low = schedule.at_kappa(super::KAPPA);
    for &dt in steps {
        let high = schedule.at(low.t + dt);
        let laws = (LineLaw::marginal(&data, &low), LineLaw::marginal(&data, &high));
        let distances = Derivation { data: &data, levels: (low, high), laws }.distances();
        for (name, off) in LINES.into_iter().zip(distances) {
            found.put(LINE, format!("{law}: {name}"), dt, off);
        }
    }
}

/// How the drift of the sampling formula is read.
const READINGS: [&str; 3] = ["solved for x_t", "added to x_{t+dt}", "without dt"];

/// The sampling formula of the note, `x_{t+dt} - x_t = [f - g^2 score](x_{t+dt}, t+dt) dt + g sqrt(dt) z`, read three ways,
/// on Gaussian data: the law of `x_t` after one step from the exact law of `x_{t+dt}`.
pub fn sampling(steps: &[f64], found: &mut Findings) {
    let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
    let data = law_named("gaussian");
    let low = schedule.at_kappa(super::KAPPA);
    for &dt in steps {
        let high = schedule.at(low.t + dt);
        let (from, to) = (LineLaw::marginal(&data, &high).moments(), LineLaw::marginal(&data, &low).moments());
        // The drift [f - g^2 score] is r y - g^2/v (mean - y) = gain y + bias.
        let (gain, bias) = (high.f + high.g2 / from.variance, -high.g2 * from.mean / from.variance);
        let law = |c: f64| Moments {
            mean: vec![from.mean + c * (gain * from.mean + bias)],
            std: vec![((1.0 + c * gain).powi(2) * from.variance + high.g2 * dt).sqrt()],
        };
        let exact = Moments { mean: vec![to.mean], std: vec![to.variance.sqrt()] };
        for (reading, c) in READINGS.into_iter().zip([-dt, dt, -1.0]) {
            found.put(STEP, reading, dt, w2(&law(c), &exact));
        }
    }
}

/// The VP chain `x + f dt + sqrt(beta dt) z` over `[0, 1]` with the note's `f = -beta/2 dt x` and with the mended
/// `f = -beta/2 x`, from data of variance 1/4, and the exact variance at its end.
pub fn stray_dt(chains: &[usize], found: &mut Findings) {
    let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
    const DATA: f64 = 0.25;
    for &n in chains {
        let dt = 1.0 / n as f64;
        let chain = |extra: f64| {
            (0..n).fold(DATA, |v, i| {
                let beta = schedule.at((i as f64 + 0.5) * dt).g2;
                (1.0 - 0.5 * beta * extra * dt).powi(2) * v + beta * dt
            })
        };
        found.put(CHAIN, "f as written", n as f64, chain(dt));
        found.put(CHAIN, "f mended", n as f64, chain(1.0));
    }
    found.single(CHAIN, "exact", schedule.at(1.0).marginal_variance(DATA));
}
