//! Exact output laws on the line, of any model: no samples.
//!
//! Without noise a solver is a map, and quantiles go where it carries them. A method whose step adds one Gaussian of a
//! width that does not depend on the state carries densities by `q(y) = int p(x) N(y; m(x), s^2) dx`, for which the
//! trapezoidal rule converges faster than any power once the points that `m` makes of its grid are nearer than `s`.

use super::super::line::Fixed;
use crate::batch::Batch;
use crate::data::Data;
use crate::data::mixture::Line;
use crate::run::{Ctx, Denoiser};
use crate::schedule::{Level, Schedule};
use crate::solver::{Handle, Sample};
use crate::state::State;

/// A model on the line and how it is run.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The solver.
    pub solver: &'a Handle,
    /// What it asks.
    pub model: &'a dyn Denoiser<Batch<f64>>,
    /// The forward process.
    pub schedule: &'a Schedule,
    /// Levels to visit.
    pub levels: &'a [Level],
}

/// Quantiles at `(i + 1/2)/n`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantiles(Vec<f64>);

/// Standard deviations of a Gaussian that are kept on either side.
const REACH: f64 = 8.0;
/// Distance of points, as the map carries them, in standard deviations of the noise: the rule is wrong by a share of
/// `2 exp(-2 pi^2/0.7^2)` or 6e-18, where the map is as good as linear over such a distance.
const SPACING: f64 = 0.7;
/// Points of a density that there is room for (80 MB). Only a model that has diverged spreads a law over more.
const MOST: f64 = 1e7;

impl Run<'_> {
    /// The law at the last level of what starts from `data`'s exact marginal at the first; not a number where a model sends
    /// points out of any reach, as a network may whose training diverged.
    pub fn law(&self, data: &Data, n: usize) -> Quantiles {
        let first = &self.levels[0];
        let start = data.mixture().and_then(|data| data.line(first)).expect("a mixture on the line");
        let from: Vec<f64> = (0..n).map(|i| start.quantile((i as f64 + 0.5) / n as f64)).collect();
        let (_, draws) = self.step(self.levels, &[0.0], 0.0);
        if draws == 0 {
            let mut to = self.step(self.levels, &from, 0.0).0;
            to.sort_unstable_by(f64::total_cmp);
            return Quantiles(to);
        }
        let nowhere = || Quantiles(vec![f64::NAN; n]);
        self.density(data, (from[0], from[n - 1])).map_or_else(nowhere, |p| p.quantiles(n))
    }

    /// Where the solver carries points over these levels if every normal number is `z`, and how many it draws.
    fn step(&self, levels: &[Level], x: &[f64], z: f64) -> (Vec<f64>, usize) {
        let mut noise = Fixed(z);
        let mut cx = Ctx::new(self.model, &mut noise, self.schedule);
        let to = self.solver.sample(&mut cx, levels, State(Batch::from_rows(1, x.to_vec())));
        (to.0.to_rows(), cx.draws())
    }

    fn density(&self, data: &Data, (low, high): (f64, f64)) -> Option<Density> {
        let width = |pair: &[Level]| self.step(pair, &[0.0], 1.0).0[0] - self.step(pair, &[0.0], 0.0).0[0];
        let widths: Vec<f64> = self.levels.windows(2).map(width).collect();
        let margin = 0.5 * (high - low);
        let ends = (low - margin, high + margin);
        let mut p = Density::over(ends, self.spacing(0, &widths, ends, widths[0])?)?;
        let logs = data.log_density(&Batch::from_rows(1, p.points()), &self.levels[0]);
        p.values = logs.into_iter().map(f64::exp).collect();
        for (k, pair) in self.levels.windows(2).enumerate() {
            p = p.trimmed();
            let means = self.step(pair, &p.points(), 0.0).0;
            let (low, high) = range(&means);
            let ends = (low - REACH * widths[k], high + REACH * widths[k]);
            let to = Density::over(ends, self.spacing(k + 1, &widths, ends, widths[k])?)?;
            p = p.carried(&means, widths[k], to);
        }
        Some(p)
    }

    /// Distance of points between `ends` that resolves what lies there, smooth over `scale`, and where the step from level `k`
    /// carries it: the noise added there must fill the gaps that the map opens between points.
    fn spacing(&self, k: usize, widths: &[f64], ends: (f64, f64), scale: f64) -> Option<f64> {
        let Some(width) = widths.get(k) else {
            // The last density is interpolated.
            return Some(0.1 * scale);
        };
        let probe = Density::over(ends, SPACING * scale)?;
        let means = self.step(&self.levels[k..k + 2], &probe.points(), 0.0).0;
        let slopes = means.windows(2).map(|pair| (pair[1] - pair[0]).abs() / probe.spacing);
        // (No network worth a number folds space harder.)
        let steepest = slopes.fold(1.0, f64::max).min(1000.0);
        Some(SPACING * scale.min(width / steepest))
    }
}

/// The least and the greatest.
fn range(x: &[f64]) -> (f64, f64) {
    x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)))
}

/// A density at equidistant points.
struct Density {
    first: f64,
    spacing: f64,
    values: Vec<f64>,
}

impl Density {
    /// Nothing, from `low` to `high`; unless those are no numbers, one number, or too many points apart.
    fn over((low, high): (f64, f64), spacing: f64) -> Option<Self> {
        let count = ((high - low) / spacing).ceil();
        let fits = (1.0..MOST).contains(&count);
        fits.then(|| Density { first: low, spacing, values: vec![0.0; count as usize + 1] })
    }

    fn point(&self, i: usize) -> f64 {
        self.first + i as f64 * self.spacing
    }

    fn points(&self) -> Vec<f64> {
        (0..self.values.len()).map(|i| self.point(i)).collect()
    }

    /// Without ends where there is next to nothing.
    fn trimmed(self) -> Self {
        let some = |v: &f64| *v > 1e-14;
        let start = self.values.iter().position(some).unwrap_or(0);
        let end = self.values.iter().rposition(some).map_or(self.values.len(), |i| i + 1);
        Density { first: self.point(start), spacing: self.spacing, values: self.values[start..end].to_vec() }
    }

    /// The law of `m(x) + width z` at the points of `to`, with those of `self` carried to `means`.
    fn carried(&self, means: &[f64], width: f64, mut to: Density) -> Density {
        let spacing = to.spacing;
        let scale = self.spacing / (width * std::f64::consts::TAU.sqrt());
        let step = spacing / width;
        let fall = (-step * step).exp();
        for (p, mean) in self.values.iter().zip(means) {
            let place = |z: f64| ((mean + z * width - to.first) / spacing).max(0.0) as usize;
            let (start, end) = (place(-REACH), place(REACH).min(to.values.len() - 1));
            // Ratios of neighbouring values of a Gaussian are a geometric sequence.
            let z = (to.point(start) - mean) / width;
            let mut value = scale * p * (-0.5 * z * z).exp();
            let mut ratio = (-z * step - 0.5 * step * step).exp();
            for to in &mut to.values[start..=end] {
                *to += value;
                value *= ratio;
                ratio *= fall;
            }
        }
        to
    }

    /// By linear interpolation of the distribution function.
    fn quantiles(&self, n: usize) -> Quantiles {
        let mut below = vec![0.0];
        for pair in self.values.windows(2) {
            below.push(below[below.len() - 1] + 0.5 * self.spacing * (pair[0] + pair[1]));
        }
        let all = below[below.len() - 1];
        let quantile = |i: usize| {
            let u = (i as f64 + 0.5) / n as f64 * all;
            let k = below.partition_point(|f| *f < u).clamp(1, below.len() - 1);
            self.point(k - 1) + self.spacing * (u - below[k - 1]) / (below[k] - below[k - 1])
        };
        Quantiles((0..n).map(quantile).collect())
    }
}

impl Quantiles {
    /// `W2` to a law.
    pub fn w2(&self, law: &Line) -> f64 {
        let n = self.0.len() as f64;
        let square = |(i, x): (usize, &f64)| (x - law.quantile((i as f64 + 0.5) / n)).powi(2);
        (self.0.iter().enumerate().map(square).sum::<f64>() / n).sqrt()
    }

    /// `KL(law || this)`, nats, over the cells between quantiles: from below, and less so the more there are.
    pub fn kl_from(&self, law: &Line) -> f64 {
        if self.0.iter().any(|x| x.is_nan()) {
            return f64::NAN;
        }
        let n = self.0.len() as f64;
        let mut cells =
            vec![(law.cdf(self.0[0]), 0.5 / n), (law.survival(self.0[self.0.len() - 1]), 0.5 / n)];
        cells.extend(self.0.windows(2).map(|pair| (law.cdf(pair[1]) - law.cdf(pair[0]), 1.0 / n)));
        let term = |&(p, q): &(f64, f64)| if p > 0.0 { p * (p / q).ln() } else { 0.0 };
        cells.iter().map(term).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::mixture::{Covariance, Mixture};
    use crate::data::{CLEAN, Gaussian};
    use crate::grid::Grid;
    use crate::law::{self, Init};
    use crate::solver::{ddim::Ddim, ddpm::Ddpm, euler_maruyama::EulerMaruyama};
    use crate::study::line::VP;

    fn normal(mean: f64, variance: f64) -> Mixture {
        Mixture::new(vec![(1.0, vec![mean], Covariance::Isotropic(variance))]).unwrap()
    }

    #[test]
    fn on_gaussian_data_it_is_the_exact_law() {
        let schedule = VP;
        let gaussian = Gaussian::new(vec![1.0], vec![0.25]).unwrap();
        let data = Data::Mixture(normal(1.0, 0.25));
        let levels = Grid::UniformLambda { start: 1.0, end: 1e-3 }.levels(&schedule, Some(16)).unwrap();
        let lambda = |lambda| Handle::new(EulerMaruyama { lambda });
        let all = [Handle::new(Ddim::default()), Handle::new(Ddpm::default()), lambda(0.5), lambda(2.0)];
        for solver in &all {
            let run = Run { solver, model: data.model(), schedule: &schedule, levels: &levels };
            let exact = law::law(solver, &gaussian, &schedule, &levels, Init::Marginal).unwrap().moments;
            let exact = normal(exact.mean[0], exact.std[0].powi(2)).line(&CLEAN).unwrap();
            let found = run.law(&data, 2000);
            assert!(found.w2(&exact) < 2e-5, "{}: {}", solver.label(), found.w2(&exact));
            assert!(found.kl_from(&exact).abs() < 1e-6, "{}: {}", solver.label(), found.kl_from(&exact));
        }
    }

    /// A model that sends everything far out, by a factor each step, or to nowhere.
    struct Diverged(f64);

    impl Denoiser<Batch<f64>> for Diverged {
        fn denoise(&self, x: &State<Batch<f64>>, _: &Level) -> State<Batch<f64>> {
            (self.0 * x).eval()
        }
    }

    #[test]
    fn a_model_that_diverged_has_no_divergence_rather_than_a_small_one() {
        let data = Data::Mixture(normal(1.0, 0.25));
        let levels = Grid::UniformLambda { start: 1.0, end: 1e-3 }.levels(&VP, Some(16)).unwrap();
        for factor in [1e10, 1e300, f64::INFINITY, f64::NAN] {
            for solver in [Handle::new(Ddim::default()), Handle::new(EulerMaruyama::default())] {
                let run = Run { solver: &solver, model: &Diverged(factor), schedule: &VP, levels: &levels };
                let kl = run.law(&data, 100).kl_from(&normal(1.0, 0.25).line(&CLEAN).unwrap());
                assert!(kl.is_nan() || kl > 1.0, "{factor}, {}: {kl}", solver.label());
            }
        }
    }

    #[test]
    fn a_kl_over_cells_is_the_kl() {
        let (p, q) = (normal(0.0, 1.0).line(&CLEAN).unwrap(), normal(0.1, 1.21).line(&CLEAN).unwrap());
        let quantiles = Quantiles((0..4000).map(|i| q.quantile((i as f64 + 0.5) / 4000.0)).collect());
        let exact = 1.1f64.ln() + (1.0 + 0.01) / (2.0 * 1.21) - 0.5;
        assert!((quantiles.kl_from(&p) / exact - 1.0).abs() < 2e-3);
        assert!((quantiles.w2(&p) - 0.02f64.sqrt()).abs() < 1e-3);
    }
}
