//! The reverse transition `p(x_s | x_t)`, `s < t`: exactly, and how far the Gaussian that samplers put in its place is
//! from it.
//!
//! For Gaussian data it is Gaussian at every step. For any data its mean is that of DDPM (Ho et al. 2020, eq. 7, with
//! `x_0` replaced by its mean, as it is linear in `x_0`), and only the variance and the shape are approximated. For mixtures on
//! the line all is in closed form, so that the price in nats is a quadrature: by the chain rule, the divergence between the law
//! of the reverse process at the levels of a grid and that of the sampler is the sum of the steps' divergences (Sohl-Dickstein et al.
//! 2015, sec. 2.3, read from the other end), and it bounds that of what they end with.

mod frame;
mod kernel;
pub(super) mod line;
mod notes;

use serde::Deserialize;

use crate::data::Gaussian;
use crate::data::mixture::Mixture;
use crate::error::{BadInput, Result};
use crate::parallel;
use crate::schedule::{Betas, Level, Schedule, Table, TableParameters};
use crate::solver::ddpm::{Ddpm, Variance};
use crate::study::{Findings, Quantity, Study};

use frame::schedules;
use kernel::{Kernel, Step};
use line::{LineLaw, law_named, rms, run, trapezoid};

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
            steps: vec![0.64, 0.32, 0.16, 0.08, 0.04, 0.02, 0.01],
            time_steps: vec![0.04, 0.02, 0.01, 0.005, 0.0025, 0.00125],
            chains: vec![16, 32, 64, 128, 256, 512],
            table: true,
        }
    }
}

const MOMENTS: &str = "exact moments two ways";
const FIRST_ORDER: &str = "moments from first order";
const KL: &str = "kl of a step";
const RATIO: &str = "kl over its leading term";
const PATH: &str = "kl of a chain";
const TABLE: &str = "kl of 999 steps";

/// Laws and schedules that kernels are held to.
const CASES: [(&str, &str); 4] = [("gaussian", "vp"), ("two-mode", "vp"), ("skew", "vp"), ("two-mode", "ve")];

impl Study for ReverseTransition {
    const QUANTITIES: &'static [Quantity] = &[
        Quantity {
            name: MOMENTS,
            across: "step in lambda",
            up: "largest difference, relative to the standard deviation (variance)",
        },
        Quantity { name: FIRST_ORDER, across: "step in time", up: "root mean square difference" },
        Quantity { name: KL, across: "step in lambda", up: "KL of p(x_s | x_t) to the kernel, nats" },
        Quantity { name: RATIO, across: "step in lambda", up: "KL over its leading term" },
        Quantity { name: PATH, across: "steps", up: "KL of the path laws, nats" },
        Quantity { name: TABLE, across: "", up: "KL of the path laws, nats" },
        Quantity { name: frame::APART, across: "steps", up: "W2 between the two in x/alpha" },
        Quantity { name: frame::ERROR, across: "steps", up: "W2 to the exact law in x/alpha" },
        Quantity { name: notes::LINE, across: "step in time", up: "root mean square, nats" },
        Quantity { name: notes::STEP, across: "step in time", up: "W2 to the exact law" },
        Quantity { name: notes::CHAIN, across: "steps", up: "variance at t = 1" },
    ];

    fn check(&self) -> Result<()> {
        check_steps("steps", &self.steps, 3.0)?;
        check_steps("time_steps", &self.time_steps, 0.5)?;
        let bad = |n: &&usize| !(1..=4096).contains(*n);
        match self.chains.iter().find(bad) {
            Some(n) => Err(BadInput::new("chains", n, "is no number of steps to run", "give 1 to 4096")),
            None => Ok(()),
        }
    }

    fn make_quick(&mut self) {
        self.steps = vec![0.16, 0.02];
        self.time_steps = vec![0.005, 0.0025];
        self.chains = vec![16, 32];
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

/// Refuses lengths of steps that are not in (0, most].
pub(super) fn check_steps(key: &str, steps: &[f64], most: f64) -> Result<()> {
    match steps.iter().find(|h| !(**h >= 1e-6 && **h <= most)) {
        Some(h) => Err(BadInput::new(key, h, "is no length of a step here", format!("give 1e-6 to {most}"))),
        None => Ok(()),
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
                if h <= 0.02 && !(exact && law == "gaussian") {
                    found.put(RATIO, case(k), h, kl / step.predicted(k));
                }
            }
        }
        for &n in &self.chains {
            let sum = chain(&data, &schedule, &frame::levels(&schedule, n));
            for (k, kl) in Kernel::ALL.into_iter().zip(sum) {
                found.put(PATH, case(k), n as f64, kl);
            }
        }
    }

    /// Mean and variance of `p(x_s | x_t)` for Gaussian data: the closed form against conditioning of the joint law,
    /// against quadrature of Bayes' rule, and against what the solver `ddpm(variance=exact)` does.
    fn moments(&self, found: &mut Findings) {
        let (mixture, schedule) = (law_named("gaussian"), schedule_named("vp"));
        let t = schedule.at_kappa(KAPPA);
        for &h in &self.steps {
            let s = below(&schedule, &t, h);
            for (name, mean, variance) in other_ways(&mixture, &schedule, &t, &s) {
                found.put(MOMENTS, format!("{name}: mean"), h, mean);
                found.put(MOMENTS, format!("{name}: variance"), h, variance);
            }
            for law in ["gaussian", "two-mode", "skew"] {
                let data = law_named(law);
                let step = Step::new(&data, &schedule, t, s);
                found.put(MOMENTS, format!("ddpm on {law}: mean"), h, step.mean_error(Kernel::FixedSmall));
            }
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

/// Differences from the closed form: (way, mean relative to the standard deviation, variance relative to itself).
fn other_ways(data: &Mixture, schedule: &Schedule, t: &Level, s: &Level) -> [(&'static str, f64, f64); 3] {
    let (there, here) = (LineLaw::marginal(data, t).moments(), LineLaw::marginal(data, s).moments());
    let (keep, b) = (t.alpha / s.alpha, t.variance_since(s));
    let model = Gaussian::new(vec![data.components()[0].mean[0]], vec![data.covariance()[0]]);
    let model = model.expect("a Gaussian has a variance");
    let solver = Ddpm { variance: Variance::Exact };
    let mut most = [("conditioning", 0.0, 0.0), ("quadrature", 0.0, 0.0), ("ddpm(variance=exact)", 0.0, 0.0)];
    for z in [-3.0, -1.0, 0.0, 0.5, 2.0, 4.0] {
        let x = there.mean + z * there.variance.sqrt();
        let exact = LineLaw::reverse(data, t, s, x).moments();
        // The joint law of (x_s, x_t) has the covariance keep v_s.
        let gain = keep * here.variance / there.variance;
        let joint = (here.mean + gain * (x - there.mean), here.variance - gain * keep * here.variance);
        let up = |z| run(&solver, &model, schedule, &[*t, *s], &[x], z)[0];
        let run = (up(0.0), (up(1.0) - up(0.0)).powi(2));
        for (way, (mean, variance)) in most.iter_mut().zip([joint, bayes(data, s, (keep, b), x), run]) {
            way.1 = f64::max(way.1, (mean - exact.mean).abs() / exact.variance.sqrt());
            way.2 = f64::max(way.2, (variance / exact.variance - 1.0).abs());
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

/// Sum of the steps' divergences over a grid, for every kernel.
fn chain(data: &Mixture, schedule: &Schedule, levels: &[Level]) -> [f64; 5] {
    let pairs: Vec<&[Level]> = levels.windows(2).collect();
    let steps = parallel::map(&pairs, |p| Step::new(data, schedule, p[0], p[1]).kl());
    steps.iter().fold([0.0; 5], |sum, kl| std::array::from_fn(|k| sum[k] + kl[k]))
}

/// The 999 steps between the thousand entries of DDPM's table (Ho et al. 2020: beta from 1e-4 to 0.02).
fn table(found: &mut Findings) {
    let parameters = TableParameters { steps: 1000, beta: Betas::Linear, beta_min: 1e-4, beta_max: 0.02 };
    let schedule = Schedule::DdpmDiscrete(Table::try_from(parameters).expect("the table of the paper"));
    let levels: Vec<Level> = (0..1000).rev().map(|i| schedule.at(f64::from(i))).collect();
    for law in ["gaussian", "two-mode", "skew"] {
        let sum = chain(&law_named(law), &schedule, &levels);
        for (k, kl) in Kernel::ALL.into_iter().zip(sum) {
            found.single(TABLE, format!("{law}: {}", k.name()), kl);
        }
    }
}
