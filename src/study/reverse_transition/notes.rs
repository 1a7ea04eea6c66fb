//! A derivation of the reverse step by Bayes' rule, line by line (note 004), and the formulas at its end.
//!
//! With `D = x_{t+dt} - x_t`, `f`, `g`, `score = grad log p` at `(x_t, t)` unless said otherwise, and up to what does not
//! depend on `x_t`, the logarithm of `p(x_t | x_{t+dt})` is:
//!
//! - *taylor*: `ln p(x_{t+dt} | x_t) - D score - dt d/dt log p`, the first factor exact;
//! - *taylor, missing term added*: the same less `D^2 score'/2`, since `D^2` is of the order of `dt`;
//! - *exponent as written*: `(D - f dt)^2/(2 g^2 dt) - D score - dt d/dt log p`;
//! - *exponent, sign mended*: the same with a minus in front;
//! - its square completed: `-(D - [f - g^2 score] dt)^2/(2 g^2 dt) - dt d/dt log p - f^2 dt/(2 g^2) +
//!   (f - g^2 score)^2 dt/(2 g^2)`;
//! - *last line*: `-(D - [f - g^2 score] dt)^2/(2 g^2 dt)`, all at `(x_{t+dt}, t+dt)`.

use super::super::line::{LineLaw, VP, largest, law_named};
use crate::data::Moments;
use crate::data::mixture::Mixture;
use crate::metric::w2;
use crate::schedule::Level;
use crate::study::Findings;

/// Quantity: distance of a line from the truth.
pub const LINE: &str = "log posterior off";
/// Quantity: distance between the law after a step and the exact one.
pub const STEP: &str = "w2 after one step";
/// Quantity: variance of the forward chain at its end.
pub const CHAIN: &str = "variance of the chain";

/// Quantity: what completing the square changes in a line that it should not change.
pub const SQUARE: &str = "square completed";

/// Names of the lines.
const LINES: [&str; 5] =
    ["taylor", "taylor, missing term added", "exponent as written", "exponent, sign mended", "last line"];

/// What the lines say.
struct Derivation<'a> {
    data: &'a Mixture,
    /// Levels `t` and `t + dt`.
    levels: (Level, Level),
    /// Their laws.
    laws: (LineLaw, LineLaw),
}

impl Derivation<'_> {
    /// Every line at `x_t = x` and `x_{t+dt} = y`, and how far the completed square is from what it was made of.
    fn lines(&self, x: f64, y: f64) -> ([f64; 5], f64) {
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
        let mended = taylor - 0.5 * step * step * curvature;
        ([taylor, mended, square + rest, rest - square, last], completed - (rest - square))
    }

    /// Root mean square, over `x_{t+dt}` and over `x_t` given it, of each line less the truth less its mean over `x_t`;
    /// and the largest change by completing the square.
    fn distances(&self) -> ([f64; 5], f64) {
        let (low, high) = self.levels;
        let (mut total, mut sums, mut change) = (0.0, [0.0; 5], 0f64);
        for (y, w) in self.laws.1.nodes(5.0) {
            let posterior = LineLaw::reverse(self.data, &high, &low, y);
            let (mut mass, mut first, mut second) = (0.0, [0.0; 5], [0.0; 5]);
            for (x, w) in posterior.nodes(4.0) {
                let truth = posterior.ln_density(x);
                let (lines, changed) = self.lines(x, y);
                mass += w;
                change = largest([change, changed]);
                for (k, line) in lines.into_iter().enumerate() {
                    first[k] += w * (line - truth);
                    second[k] += w * (line - truth).powi(2);
                }
            }
            total += w;
            for k in 0..LINES.len() {
                sums[k] += w * (second[k] / mass - (first[k] / mass).powi(2)).max(0.0);
            }
        }
        (sums.map(|s| (s / total).sqrt()), change)
    }
}

/// Measures all of it from the level `t` up by each of `steps` in time.
pub fn measure(law: &str, steps: &[f64], found: &mut Findings) {
    let (schedule, data) = (VP, law_named(law));
    let low = schedule.at_kappa(super::KAPPA);
    for &dt in steps {
        let high = schedule.at(low.t + dt);
        let laws = (LineLaw::marginal(&data, &low), LineLaw::marginal(&data, &high));
        let (distances, change) = Derivation { data: &data, levels: (low, high), laws }.distances();
        for (name, off) in LINES.into_iter().zip(distances) {
            found.put(LINE, format!("{law}: {name}"), dt, off);
        }
        found.put(SQUARE, law, dt, change);
    }
}

/// How the drift of the sampling formula is read.
const READINGS: [&str; 3] = ["solved for x_t", "added to x(t+dt)", "without dt"];

/// The sampling formula of the note, `x_{t+dt} - x_t = [f - g^2 score](x_{t+dt}, t+dt) dt + g sqrt(dt) z`, read three ways,
/// on Gaussian data: the law of `x_t` after one step from the exact law of `x_{t+dt}`.
pub fn sampling(steps: &[f64], found: &mut Findings) {
    let (schedule, data) = (VP, law_named("gaussian"));
    let low = schedule.at_kappa(super::KAPPA);
    for &dt in steps {
        let high = schedule.at(low.t + dt);
        let (from, to) =
            (LineLaw::marginal(&data, &high).moments(), LineLaw::marginal(&data, &low).moments());
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
    const DATA: f64 = 0.25;
    for &n in chains {
        let dt = 1.0 / n as f64;
        let chain = |extra: f64| {
            (0..n).fold(DATA, |v, i| {
                let beta = VP.at((i as f64 + 0.5) * dt).g2;
                (1.0 - 0.5 * beta * extra * dt).powi(2) * v + beta * dt
            })
        };
        found.put(CHAIN, "f as written", n as f64, chain(dt));
        found.put(CHAIN, "f mended", n as f64, chain(1.0));
    }
    found.single(CHAIN, "exact", VP.at(1.0).marginal_variance(DATA));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(found: &Findings, case: &str, x: f64) -> f64 {
        found.rows.iter().find(|r| r.case == case && r.x == Some(x)).expect("measured").value
    }

    #[test]
    fn with_the_sign_lost_the_exponent_is_off_by_the_square_of_a_normal() {
        let mut found = Findings::default();
        measure("two-mode", &[2e-4, 1e-4], &mut found);
        // The difference of the two signs is z^2, of standard deviation sqrt(2).
        let written = value(&found, "two-mode: exponent as written", 1e-4);
        assert!((written - 2f64.sqrt()).abs() < 2e-3, "{written}");
        let order = |line: &str| {
            let case = format!("two-mode: {line}");
            (value(&found, &case, 2e-4) / value(&found, &case, 1e-4)).log2()
        };
        assert!((order("exponent, sign mended") - 1.0).abs() < 0.02);
        assert!((order("last line") - 1.0).abs() < 0.02);
        assert!((order("taylor") - 1.0).abs() < 0.02);
        assert!((order("taylor, missing term added") - 1.5).abs() < 0.02);
        assert!(value(&found, "two-mode", 1e-4) < 1e-12);
    }

    #[test]
    fn the_sampling_formula_solved_for_its_unknown_is_euler_maruyama() {
        let mut found = Findings::default();
        sampling(&[0.004, 0.002], &mut found);
        let order = |case| (value(&found, case, 0.004) / value(&found, case, 0.002)).log2();
        assert!((order("solved for x_t") - 2.0).abs() < 0.03);
        assert!((order("added to x(t+dt)") - 1.0).abs() < 0.03);
        let schedule = VP;
        let data = crate::data::Gaussian::new(vec![0.5], vec![0.25]).expect("legal");
        let low = schedule.at_kappa(super::super::KAPPA);
        let grid = [schedule.at(low.t + 0.004), low];
        let solver = crate::solver::euler_maruyama::EulerMaruyama::default();
        let law = crate::law::law(&solver, &data, &schedule, &grid, crate::law::Init::Marginal);
        let off = w2(&law.expect("a law").moments, &data.marginal(&low));
        assert!((off / value(&found, "solved for x_t", 0.004) - 1.0).abs() < 1e-9);
    }
}
