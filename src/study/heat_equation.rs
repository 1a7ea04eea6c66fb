//! Forward diffusion is the heat equation, with half the Laplacian: `dx = dw` has `dp/dt = (1/2) p_xx` (Fokker-Planck), so
//! its law is the data's convolved with N(0, t).
//!
//! Four routes to one density: the convolution (a closed form for mixtures), cosine series, Crank-Nicolson's finite
//! differences, particles. Then the limit: pure heat spreads for ever, and only the Ornstein-Uhlenbeck process
//! `dx = -x/2 dt + dw` tends to N(0, 1). Both are compared at equal noise-to-signal variance
//! `kappa^2 = sigma^2/alpha^2`, which is `t` for heat and `e^t - 1` for OU: there one law is the other, scaled by alpha.

use serde::Deserialize;

use super::heat::{Cells, Cosines, LineMixture, brownian, density, gain};
use super::line::{mean, within};
use crate::batch::Batch;
use crate::data::CLEAN;
use crate::data::mixture::Mixture;
use crate::error::{BadInput, Result};
use crate::noise::{Purpose, White};
use crate::parallel;
use crate::state::State;
use crate::study::{Findings, Quantity, Study};

mod limit;

/// Parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeatEquation {
    /// Density at time 0.
    pub data: LineMixture,
    /// When the routes are compared.
    pub time: f64,
    /// The line is cut to `[-half_width, half_width]`, with reflecting ends.
    pub half_width: f64,
    /// Numbers of cells.
    pub cells: Vec<usize>,
    /// Numbers of particles.
    pub particles: Vec<usize>,
    /// Independent runs of each number of particles.
    pub repeats: usize,
    /// Euler-Maruyama steps to `time`; exact in law with any number, for `dx = dw`.
    pub steps: usize,
    /// Places from `kappa^2 = 1e-2` to `1e3` at which the limit is looked at.
    pub places: usize,
    /// Of the particles.
    pub seed: u64,
}

impl Default for HeatEquation {
    fn default() -> Self {
        HeatEquation {
            data: LineMixture::default(),
            time: 1.0,
            half_width: 16.0,
            cells: vec![32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048],
            particles: vec![64, 256, 1024, 4096, 16384, 65536],
            repeats: 256,
            steps: 4,
            places: 21,
            seed: 1,
        }
    }
}

const DENSITY: &str = "error of the density";
const PARTICLES: &str = "error of particles";
const SCATTER: &str = "scatter over its exact expectation";
const GROWTH: &str = "growth of the variance";
const W2: &str = "W2 to N(0, 1)";
const KL: &str = "KL to N(0, 1)";
const SHAPE: &str = "KL to the Gaussian of its own moments";
const ENTROPY: &str = "entropy";
const DE_BRUIJN: &str = "entropy rate over half the Fisher information";
const CLOCK: &str = "kappa^2 = sigma^2/alpha^2 (t for heat)";

/// Particles whose variance is watched.
const GROWN: usize = 65536;

/// Which equation a route solves: the coefficient of the Laplacian.
const EQUATIONS: [(&str, f64); 2] = [("half the Laplacian", 0.5), ("the whole Laplacian", 1.0)];

impl Study for HeatEquation {
    const QUANTITIES: &'static [Quantity] = &[
        Quantity { name: DENSITY, across: "cell width", up: "L1 distance to the convolution with N(0, t)" },
        Quantity { name: PARTICLES, across: "particles", up: "rms difference of distribution functions" },
        Quantity { name: SCATTER, across: "particles", up: "6 n E int (F_n - F)^2 dF" },
        Quantity { name: GROWTH, across: "", up: "(Var x_t - Var x_0)/t" },
        Quantity { name: W2, across: CLOCK, up: "W2 to N(0, 1)" },
        Quantity { name: KL, across: CLOCK, up: "KL to N(0, 1), nats" },
        Quantity { name: SHAPE, across: CLOCK, up: "KL to N(mean, variance), nats" },
        Quantity { name: ENTROPY, across: CLOCK, up: "entropy, nats" },
        Quantity { name: DE_BRUIJN, across: "t", up: "(dH/dt)/(I/2)" },
    ];

    fn check(&self) -> Result<()> {
        self.data.law().map_err(|e| e.within("data"))?;
        within("time", &[self.time], 1e-3..=1e2)?;
        // The whole Laplacian spreads twice as fast.
        let reach = self.data.reach(2.0 * self.time);
        if !(reach..=1e4).contains(&self.half_width) {
            let fix = format!("give at least {reach:.1}, nine standard deviations beyond the means");
            return Err(BadInput::new("half_width", self.half_width, "cuts the density off", fix));
        }
        within("cells", &self.cells, 8..=4096)?;
        within("particles", &self.particles, 2..=1_000_000)?;
        within("repeats", &[self.repeats], 2..=10_000)?;
        within("steps", &[self.steps], 1..=1000)?;
        within("places", &[self.places], 2..=200)
    }

    fn make_quick(&mut self) {
        self.cells.retain(|n| *n <= 512);
        self.particles.retain(|n| *n <= 1024);
        self.repeats = self.repeats.min(64);
        self.places = self.places.min(11);
    }

    fn parts(&self) -> Vec<String> {
        ["densities", "particles", "limit"].map(String::from).into()
    }

    fn measure(&self, part: &str) -> Findings {
        let mut found = Findings::default();
        // Parameters are checked before anything is measured.
        let Ok(law) = self.data.law() else { return found };
        match part {
            "densities" => self.densities(&law, &mut found),
            "particles" => self.particles(&law, &mut found),
            _ => self.limit(&law, &mut found),
        }
        found
    }
}

impl HeatEquation {
    /// Densities on cells against the closed form, and what each equation does to the variance.
    fn densities(&self, law: &Mixture, found: &mut Findings) {
        let rows = parallel::map(&self.cells, |&count| {
            let cells = Cells { half_width: self.half_width, count };
            let x = cells.centres();
            let start = density(law, &brownian(0.0), &x);
            let want = density(law, &brownian(self.time), &x);
            let mut rows = Vec::new();
            for (equation, c) in EQUATIONS {
                let routes = [
                    ("cosine series", self.cosine_series(&cells, c, &start)),
                    ("Crank-Nicolson", self.crank_nicolson(&cells, c, &start)),
                ];
                for (route, p) in routes {
                    let off: f64 = p.iter().zip(&want).map(|(p, w)| (p - w).abs()).sum();
                    let growth = (variance(&x, &p) - variance(&x, &start)) / self.time;
                    rows.push((format!("{route}, {equation}"), off * cells.width(), growth));
                }
            }
            (cells.width(), rows)
        });
        for (width, rows) in &rows {
            for (case, off, _) in rows {
                found.put(DENSITY, case, *width, *off);
            }
        }
        for (case, _, growth) in rows.last().into_iter().flat_map(|(_, rows)| rows) {
            found.single(GROWTH, case, *growth);
        }
    }

    /// `dp/dt = c p_xx` by its exact solution mode by mode: `e^{-c xi^2 t}`.
    fn cosine_series(&self, cells: &Cells, c: f64, start: &[f64]) -> Vec<f64> {
        let cosines = Cosines::new(cells.count);
        let mut modes = cosines.analyse(start);
        let gains = cells.frequencies().into_iter().map(|xi| gain(xi, 2.0 * c * self.time));
        modes.iter_mut().zip(gains).for_each(|(mode, gain)| *mode *= gain);
        cosines.synthesise(&modes)
    }

    /// `dp/dt = c p_xx` by Crank and Nicolson's method (1947), second order in cells and steps alike. A step lasts as long as
    /// half a cell is wide, so that one refinement halves both.
    fn crank_nicolson(&self, cells: &Cells, c: f64, start: &[f64]) -> Vec<f64> {
        let steps = (2.0 * self.time / cells.width()).ceil();
        let r = c * (self.time / steps) / cells.width().powi(2);
        let mut p = start.to_vec();
        for _ in 0..steps as usize {
            let right: Vec<f64> = (0..p.len()).map(|i| p[i] + 0.5 * r * second_difference(&p, i)).collect();
            p = implicit_half_step(0.5 * r, right);
        }
        p
    }

    /// Particles at `time` against the closed form. The mean square of `F_n - F` under `F` is `1/(6n)` for exact samples
    /// (Cramer and von Mises' statistic), so that not only its fall with n is known but its size.
    fn particles(&self, law: &Mixture, found: &mut Findings) {
        for &n in &self.particles {
            let runs: Vec<u64> = (0..self.repeats as u64).collect();
            let squares = parallel::map(&runs, |run| {
                let [_, x] = self.run_particles(law, n, *run, 1.0);
                EQUATIONS.map(|(_, c)| cramer_von_mises(law, 2.0 * c * self.time, &x))
            });
            for (k, (equation, _)) in EQUATIONS.into_iter().enumerate() {
                let (square, se) = mean(&squares.iter().map(|s| s[k]).collect::<Vec<_>>());
                let root = square.sqrt();
                let case = format!("particles of dx = dw, {equation}");
                found.sampled(PARTICLES, case, Some(n as f64), (root, 0.5 * se / root));
                if k == 0 {
                    let scale = 6.0 * n as f64;
                    found.sampled(SCATTER, "dx = dw", Some(n as f64), (scale * square, scale * se));
                }
            }
        }
        for (case, g) in [("particles of dx = dw", 1.0), ("particles of dx = sqrt(2) dw", 2f64.sqrt())] {
            let [before, after] = self.run_particles(law, GROWN, self.repeats as u64, g);
            let [(m0, _), (m1, _)] = [mean(&before), mean(&after)];
            let grown = |(a, b): (&f64, &f64)| ((b - m1).powi(2) - (a - m0).powi(2)) / self.time;
            let each: Vec<f64> = before.iter().zip(&after).map(grown).collect();
            found.sampled(GROWTH, case, None, mean(&each));
        }
    }

    /// Start and end of Euler and Maruyama's method on `dx = g dw`.
    fn run_particles(&self, law: &Mixture, n: usize, run: u64, g: f64) -> [Vec<f64>; 2] {
        let start: Batch<f64> = law.sample(&CLEAN, self.seed, Purpose::Start, run * n as u64, n);
        let mut noise = White::of(self.seed, Purpose::Noise);
        let scale = g * (self.time / self.steps as f64).sqrt();
        let start = State(start);
        let mut x = start.0.to_rows();
        for _ in 0..self.steps {
            let z = noise.draw(&start).0.to_rows();
            x.iter_mut().zip(z).for_each(|(x, z)| *x += scale * z);
        }
        [start.0.to_rows(), x]
    }
}

/// Second difference with reflecting ends, which keeps the total.
fn second_difference(p: &[f64], i: usize) -> f64 {
    let left = if i == 0 { p[0] } else { p[i - 1] };
    let right = p[(i + 1).min(p.len() - 1)];
    left - 2.0 * p[i] + right
}

/// Solves `p - r (second difference of p) = right` by elimination.
fn implicit_half_step(r: f64, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    let mut upper = vec![0.0; n];
    for i in 0..n {
        let ends = if i == 0 || i + 1 == n { 1.0 } else { 2.0 };
        let (above, before) = if i == 0 { (0.0, 0.0) } else { (upper[i - 1], right[i - 1]) };
        let pivot = 1.0 + ends * r + r * above;
        upper[i] = -r / pivot;
        right[i] = (right[i] + r * before) / pivot;
    }
    for i in (0..n - 1).rev() {
        right[i] -= upper[i] * right[i + 1];
    }
    right
}

/// Variance of a density on cells.
fn variance(x: &[f64], p: &[f64]) -> f64 {
    let moment = |k: i32| -> f64 { x.iter().zip(p).map(|(x, p)| p * x.powi(k)).sum() };
    let (mass, mean) = (moment(0), moment(1) / moment(0));
    moment(2) / mass - mean * mean
}

/// `int (F_n - F)^2 dF = sum_i (F(x_i) - (i - 1/2)/n)^2/n + 1/(12 n^2)`, of the law after time `t`.
fn cramer_von_mises(law: &Mixture, t: f64, x: &[f64]) -> f64 {
    let Some(line) = law.line(&brownian(t)) else { return f64::NAN };
    let mut sorted = x.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = x.len() as f64;
    let term = |(i, x): (usize, &f64)| (line.cdf(*x) - (i as f64 + 0.5) / n).powi(2);
    sorted.iter().enumerate().map(term).sum::<f64>() / n + 1.0 / (12.0 * n * n)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn quick() -> HeatEquation {
        let mut study = HeatEquation::default();
        study.make_quick();
        study
    }

    pub(super) fn value(found: &Findings, quantity: &str, case: &str, x: Option<f64>) -> f64 {
        let fits = |r: &&crate::study::Measured| {
            r.quantity == quantity && r.case == case && (x.is_none() || r.x == x)
        };
        found.rows.iter().find(fits).unwrap_or_else(|| panic!("{quantity}, {case}")).value
    }

    #[test]
    fn finite_differences_have_order_2_and_series_all_digits() {
        let found = HeatEquation { cells: vec![256, 512], ..quick() }.measure("densities");
        let error = |case: &str, n: f64| value(&found, DENSITY, case, Some(32.0 / n));
        let case = "Crank-Nicolson, half the Laplacian";
        let order = (error(case, 256.0) / error(case, 512.0)).log2();
        assert!((order - 2.0).abs() < 0.01, "{order}");
        assert!(error("cosine series, half the Laplacian", 512.0) < 1e-13);
        assert!(error("cosine series, the whole Laplacian", 512.0) > 0.1);
    }

    #[test]
    fn variance_grows_by_t_under_half_the_laplacian_and_by_2t_under_all_of_it() {
        let found = quick().measure("densities");
        for route in ["cosine series", "Crank-Nicolson"] {
            for (equation, c) in EQUATIONS {
                let growth = value(&found, GROWTH, &format!("{route}, {equation}"), None);
                assert!((growth - 2.0 * c).abs() < 1e-10, "{route}, {equation}: {growth}");
            }
        }
    }

    #[test]
    fn particles_scatter_as_exact_samples_do() {
        for row in quick().measure("particles").rows.iter().filter(|r| r.quantity == SCATTER) {
            let error = row.stderr.expect("it is sampled");
            assert!((row.value - 1.0).abs() < 4.0 * error && error < 0.2, "{row:?}");
        }
    }

    #[test]
    fn parameters_that_cut_the_density_off_are_refused() {
        assert!(HeatEquation::default().check().is_ok());
        assert!(HeatEquation { half_width: 5.0, ..Default::default() }.check().is_err());
        assert!(HeatEquation { particles: vec![1], ..Default::default() }.check().is_err());
        assert!(HeatEquation { cells: vec![], ..Default::default() }.check().is_err());
    }
}
