//! The reverse transition `p(x_s | x_t)`, `s < t`: exactly, and how far the Gaussian that samplers put in its place is
//! from it.
//!
//! For Gaussian data it is Gaussian at every step. For any data its mean is that of DDPM (Ho et al. 2020, eq. 7, with
//! `x_0` replaced by its mean: the formula is linear in `x_0`), and only the variance and the shape are approximated. For
//! mixtures on the line all of it is in closed form, so that the price in nats is a quadrature. By the chain rule (Cover &
//! Thomas 2006, theorem 2.5.3) the divergence between the reverse process at the levels of a grid and the sampler's path is
//! the sum of those of the steps, and it bounds the divergence between the laws that they end with.

mod frame;
mod kernel;

mod notes;

use serde::Deserialize;

use crate::data::Gaussian;
use crate::data::mixture::Mixture;
use crate::error::Result;
use crate::parallel;
use crate::schedule::{Level, Schedule, Table, TableParameters};
use crate::solver::ddpm::{Ddpm, Variance};
use crate::study::{Findings, Quantity, Study};

use super::line::{LineLaw, largest, law_named, rms, run, trapezoid, within};
use frame::schedules;
use kernel::{Kernel, Step};

/// `sigma/alpha` of the level that single steps start from: there the two modes still overlap.
const KAPPA: f64 = 0.7;

/// The study.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReverseTransition {
    /// Lengths of single steps, in lambda.
    pub steps: Vec<f64>,
    /// Lengths of single steps in time, for what the notes say in it.
    pub time_steps: Vec<f64>,
    /// Numbers of steps of chains.
    pub chains: Vec<usize>,
    /// Whether to add up the thousand steps of DDPM's own table.
    pub table: bool,
}

impl Default for ReverseTransition {
    fn default() -> Self {
        ReverseTransition {
            steps: vec![0.32, 0.16, 0.08, 0.04, 0.02, 0.01],
            time_steps: vec![0.01, 0.005, 0.0025, 0.00125],
            chains: vec![64, 128, 256, 512, 1024],
            table: true,
        }
    }
}

/// Steps in lambda up to which a number is held to its leading term.
pub(super) const SHORT: f64 = 0.01;

const MOMENTS: &str = "exact moments two ways";
const FIRST_ORDER: &str = "moments from first order";
const KL: &str = "kl of a step";
const RATIO: &str = "kl over its leading term";
const PATH: &str = "kl of a chain";
const TABLE: &str = "kl of 999 steps";
const TABLE_END: &str = "kl of the last 10 of 999";

/// Laws and schedules that kernels are held to.
const CASES: [(&str, &str); 4] = [("gaussian", "vp"), ("two-mode", "vp"), ("skew", "vp"), ("two-mode", "ve")];

impl Study for ReverseTransition {
    const QUANTITIES: &'static [Quantity] = &[
        Quantity { name: MOMENTS, across: "", up: "largest difference, relative to sd (variance)" },
        Quantity { name: FIRST_ORDER, across: "step in time", up: "root mean square difference" },
        Quantity { name: KL, across: "step in lambda", up: "KL of p(x_s | x_t) to the kernel, nats" },
        Quantity { name: RATIO, across: "step in lambda", up: "KL over its leading term" },
        Quantity { name: PATH, across: "steps", up: "KL of the path laws, nats" },
        Quantity { name: TABLE, across: "", up: "KL of the path laws, nats" },
        Quantity { name: TABLE_END, across: "", up: "KL of the path laws, nats" },
        Quantity { name: frame::APART, across: "steps", up: "W2 between the two in x/alpha" },
        Quantity { name: frame::ERROR, across: "steps", up: "W2 to the exact law in x/alpha" },
        Quantity { name: notes::LINE, across: "step in time", up: "root mean square, nats" },
        Quantity { name: notes::SQUARE, across: "step in time", up: "largest change, nats" },
        Quantity { name: notes::STEP, across: "step in time", up: "W2 to the exact law" },
        Quantity { name: notes::CHAIN, across: "steps", up: "variance at t = 1" },
    ];

    fn check(&self) -> Result<()> {
        within("steps", &self.steps, 1e-6..=3.0)?;
        // (The level that single steps start from is at t = 0.195.)
        within("time_steps", &self.time_steps, 1e-6..=0.15)?;
        within("chains", &self.chains, 1..=4096)
    }

    fn make_quick(&mut self) {
        self.steps = vec![0.02, 0.01];
        self.time_steps = vec![0.0025, 0.00125];
        self.chains = vec![32, 64];
        self.table = false;
    }

    fn parts(&self) -> Vec<String> {
        let kernels = CASES.iter().map(|(law, schedule)| format!("{law} on {schedule}"));
        let rest = ["moments", "framework", "note 004"].map(String::from);
        let table = self.table.then_some("table".to_string());
        kernels.chain(rest).chain(table).collect()
    }

    fn measure(&self, part: &str) -> Findings {
        let mut found = Findings::default();
        match part {
            "moments" => {
                self.moments(&mut found);
                self.first_order(&mut found);
            }
            "framework" => frame::measure(&self.chains, &mut found),
            "note 004" => {
                for law in ["gaussian", "two-mode"] {
                    notes::measure(law, &self.time_steps, &mut found);
                }
                notes::sampling(&self.time_steps, &mut found);
                notes::stray_dt(&self.chains, &mut found);
            }
            "table" => table(&mut found),
            part => {
                if let Some((law, schedule)) = part.split_once(" on ") {
                    self.kernels(law, schedule, &mut found);
                }
            }
        }
        found
    }
}

/// A schedule of [`schedules`] by its name.
fn schedule_named(name: &str) -> Schedule {
    schedules().into_iter().find(|(n, _)| *n == name).map(|(_, s)| s).expect("a schedule of the list")
}

/// The level a step of `h` in lambda below `t`.
pub(super) fn below(schedule: &Schedule, t: &Level, h: f64) -> Level {
    schedule.at_kappa(t.kappa() * (-h).exp())
}

impl ReverseTransition {
    /// Single steps and chains of every kernel.
    fn kernels(&self, law: &str, schedule_name: &str, found: &mut Findings) {
        let (data, schedule) = (law_named(law), schedule_named(schedule_name));
        let case = |k: Kernel| format!("{law} on {schedule_name}: {}", k.name());
        let t = schedule.at_kappa(KAPPA);
        for &h in &self.steps {
            let step = Step::new(&data, &schedule, t, below(&schedule, &t, h));
            for (k, kl) in Kernel::ALL.into_iter().zip(step.kl()) {
                found.put(KL, case(k), h, kl);
                // (On Gaussian data two of the kernels are exact, and a ratio of nothings says nothing.)
                let exact = matches!(k, Kernel::ExactMoments | Kernel::OptimalVariance);
                if h <= SHORT && !(exact && law == "gaussian") {
                    found.put(RATIO, case(k), h, kl / step.predicted(k));
                }
            }
        }
        for &n in &self.chains {
            let steps = chain(&data, &schedule, &frame::levels(&schedule, n));
            for (k, kl) in Kernel::ALL.into_iter().zip(total(&steps)) {
                found.put(PATH, case(k), n as f64, kl);
            }
        }
    }

    /// Mean and variance of `p(x_s | x_t)` for Gaussian data: the closed form against conditioning (Bayes' rule for two
    /// Gaussians, by their precisions), against quadrature of Bayes' rule, and against what the solver
    /// `ddpm(variance=exact)` does.
    fn moments(&self, found: &mut Findings) {
        let schedule = schedule_named("vp");
        let t = schedule.at_kappa(KAPPA);
        let levels: Vec<Level> = self.steps.iter().map(|h| below(&schedule, &t, *h)).collect();
        for (way, mean, variance) in other_ways(&schedule, &t, &levels) {
            found.single(MOMENTS, format!("{way}: mean"), mean);
            found.single(MOMENTS, format!("{way}: variance"), variance);
        }
        for law in ["gaussian", "two-mode", "skew"] {
            let data = law_named(law);
            let off = |s: &Level| Step::new(&data, &schedule, t, *s).mean_error(Kernel::FixedSmall);
            let most = largest(levels.iter().map(off));
            found.single(MOMENTS, format!("ddpm on {law}: mean"), most);
        }
    }

    /// The exact mean and variance against `x_t - [f - g^2 score] dt` and `g^2 dt`.
    fn first_order(&self, found: &mut Findings) {
        let schedule = schedule_named("vp");
        let t = schedule.at_kappa(KAPPA);
        for law in ["gaussian", "two-mode"] {
            let data = law_named(law);
            let p = LineLaw::marginal(&data, &t);
            for &dt in &self.time_steps {
                let s = schedule.at(t.t - dt);
                let off = |(x, w): &(f64, f64)| {
                    let exact = LineLaw::reverse(&data, &t, &s, *x).moments();
                    let mean = x - (t.f * x - t.g2 * p.slopes(*x).0) * dt;
                    (*w, exact.mean - mean, exact.variance - t.g2 * dt)
                };
                let off: Vec<_> = p.nodes(10.0).iter().map(off).collect();
                let mean = rms(off.iter().map(|(w, m, _)| (*w, *m)));
                let variance = rms(off.iter().map(|(w, _, v)| (*w, *v)));
                found.put(FIRST_ORDER, format!("{law}: mean"), dt, mean);
                found.put(FIRST_ORDER, format!("{law}: variance"), dt, variance);
            }
        }
    }
}

/// Largest differences from the closed form, over steps and places: (way, of the mean relative to the standard deviation,
/// of the variance relative to itself).
fn other_ways(schedule: &Schedule, t: &Level, levels: &[Level]) -> [(&'static str, f64, f64); 3] {
    let data = law_named("gaussian");
    let model = Gaussian::new(data.mean(), vec![data.covariance()[0]]).expect("a Gaussian of the list");
    let there = LineLaw::marginal(&data, t).moments();
    let mut most = [("conditioning", 0.0, 0.0), ("quadrature", 0.0, 0.0), ("ddpm(variance=exact)", 0.0, 0.0)];
    for s in levels {
        let here = LineLaw::marginal(&data, s).moments();
        let (keep, b) = (t.alpha / s.alpha, t.variance_since(s));
        for z in [-3.0, -1.0, 0.0, 0.5, 2.0, 4.0] {
            let x = there.mean + z * there.variance.sqrt();
            let exact = LineLaw::reverse(&data, t, s, x).moments();
            // Precisions of the prior and of what x_t says add. (Nothing here knows the variance of x_t.)
            let precision = 1.0 / here.variance + keep * keep / b;
            let joint = ((here.mean / here.variance + keep * x / b) / precision, 1.0 / precision);
            let at = |z| run(&Ddpm { variance: Variance::Exact }, &model, schedule, &[*t, *s], &[x], z)[0];
            let solver = (at(0.0), (at(1.0) - at(0.0)).powi(2));
            let ways = [joint, bayes(&data, s, (keep, b), x), solver];
            for (most, (mean, variance)) in most.iter_mut().zip(ways) {
                most.1 = largest([most.1, (mean - exact.mean) / exact.variance.sqrt()]);
                most.2 = largest([most.2, variance / exact.variance - 1.0]);
            }
        }
    }
    most
}

/// Mean and variance of `p_s(x) N(y; keep x, b)`, normalised, by quadrature.
fn bayes(data: &Mixture, s: &Level, (keep, b): (f64, f64), y: f64) -> (f64, f64) {
    let prior = LineLaw::marginal(data, s);
    let (centre, sd) = (y / keep, b.sqrt() / keep);
    // The likelihood is the narrower factor, but the top of the product may be some of its standard deviations away.
    let points: Vec<(f64, f64)> = trapezoid(centre - 20.0 * sd, centre + 20.0 * sd, sd / 8.0)
        .map(|(x, _)| (x, (prior.ln_density(x) - 0.5 * (y - keep * x).powi(2) / b).exp()))
        .collect();
    let mass: f64 = points.iter().map(|(_, w)| w).sum();
    let mean = points.iter().map(|(x, w)| w * x).sum::<f64>() / mass;
    (mean, points.iter().map(|(x, w)| w * (x - mean).powi(2)).sum::<f64>() / mass)
}

/// Divergences of the steps over a grid, of every kernel.
fn chain(data: &Mixture, schedule: &Schedule, levels: &[Level]) -> Vec<[f64; 5]> {
    let pairs: Vec<&[Level]> = levels.windows(2).collect();
    parallel::map(&pairs, |p| Step::new(data, schedule, p[0], p[1]).kl())
}

fn total(steps: &[[f64; 5]]) -> [f64; 5] {
    std::array::from_fn(|k| steps.iter().map(|kl| kl[k]).sum())
}

/// The 999 steps between the thousand entries of DDPM's table (Ho et al. 2020: beta from 1e-4 to 0.02).
fn table(found: &mut Findings) {
    let table = Table::try_from(TableParameters::default()).expect("the table of the paper");
    let schedule = Schedule::DdpmDiscrete(table);
    let levels: Vec<Level> = (0..1000).rev().map(|i| schedule.at(f64::from(i))).collect();
    for law in ["gaussian", "two-mode", "skew"] {
        let steps = chain(&law_named(law), &schedule, &levels);
        for (quantity, steps) in [(TABLE, &steps[..]), (TABLE_END, &steps[steps.len() - 10..])] {
            for (k, kl) in Kernel::ALL.into_iter().zip(total(steps)) {
                found.single(quantity, format!("{law}: {}", k.name()), kl);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(found: &Findings, quantity: &str, case: &str, x: f64) -> f64 {
        let row = |r: &&crate::study::Measured| r.quantity == quantity && r.case == case && r.x == Some(x);
        found.rows.iter().find(row).unwrap_or_else(|| panic!("no {quantity} of {case} at {x}")).value
    }

    fn study() -> ReverseTransition {
        ReverseTransition { steps: vec![0.02, 0.01], chains: vec![64, 128], ..ReverseTransition::default() }
    }

    #[test]
    fn moments_agree_four_ways() {
        let found = ReverseTransition::default().measure("moments");
        let ways: Vec<_> = found.rows.iter().filter(|r| r.quantity == MOMENTS).collect();
        assert_eq!(ways.len(), 9);
        assert!(ways.iter().all(|r| r.value < 1e-12), "{ways:?}");
    }

    #[test]
    fn mean_and_variance_are_those_of_the_reverse_sde_to_first_order() {
        let found = study().measure("moments");
        for case in ["gaussian: mean", "gaussian: variance", "two-mode: mean", "two-mode: variance"] {
            let ratio = value(&found, FIRST_ORDER, case, 0.005) / value(&found, FIRST_ORDER, case, 0.0025);
            assert!((ratio.log2() - 2.0).abs() < 0.05, "{case}: {ratio}");
        }
    }

    #[test]
    fn a_step_costs_h_squared_by_its_variance_and_h_cubed_by_its_shape() {
        let found = study().measure("skew on vp");
        for k in Kernel::ALL {
            let case = format!("skew on vp: {}", k.name());
            let want = if k == Kernel::ExactMoments { 3.0 } else { 2.0 };
            let order = (value(&found, KL, &case, 0.02) / value(&found, KL, &case, 0.01)).log2();
            assert!((order - want).abs() < 0.05, "{case}: {order}");
            let order = (value(&found, PATH, &case, 64.0) / value(&found, PATH, &case, 128.0)).log2();
            assert!((order - want + 1.0).abs() < 0.12, "{case}, chain: {order}");
        }
    }

    #[test]
    fn on_gaussian_data_the_exact_moments_leave_nothing() {
        let found = study().measure("gaussian on vp");
        for n in [64.0, 128.0] {
            assert!(value(&found, PATH, "gaussian on vp: exact moments", n) < 1e-25);
            assert!(value(&found, PATH, "gaussian on vp: fixed-large", n) > 1e-3);
        }
    }

    #[test]
    fn parameters_that_are_no_steps_are_refused() {
        let refused = |change: fn(&mut ReverseTransition)| {
            let mut study = ReverseTransition::default();
            change(&mut study);
            study.check().is_err()
        };
        assert!(refused(|s| s.steps = vec![-0.1]));
        assert!(refused(|s| s.time_steps = vec![f64::INFINITY]));
        assert!(refused(|s| s.chains = vec![0]));
        assert!(refused(|s| s.steps = vec![]));
        assert!(!refused(|_| ()));
    }
}
