//! One step of DDIM beside one step of Euler's method for the probability flow: where the two are one, and how far apart
//! they are elsewhere.
//!
//! DDIM (Song, Meng & Ermon 2021, eq. 12 with sigma = 0) goes from `x_t = alpha_t d + sigma_t eps` to
//! `alpha_s d + sigma_s eps`, on a straight line if `alpha` and `sigma` move on one. So it is Euler's method wherever the
//! coordinate is `x` over a linear function of `alpha` and `sigma` and the clock a ratio of two such functions, `x/alpha`
//! in `sigma/alpha` (ibid., eq. 14) being one of many. In `x/alpha` no other clock will do: Euler's step in a clock `u` is
//! `dkappa/du` at `t` times the step in `u`, and DDIM's is the step in `kappa`.
//!
//! Root mean squares are over `x_t ~ p_t`, by quadrature; laws are those of [`line`](super::reverse_transition).

mod coordinates;
mod noisy;
mod runs;

use serde::Deserialize;

use crate::batch::Batch;
use crate::data::mixture::Mixture;
use crate::error::Result;
use crate::run::Denoiser;
use crate::schedule::{Clock, Level, Schedule};
use crate::solver::ddim::Ddim;
use crate::solver::dpm_solver::{DpmPp1, DpmSolver1};
use crate::solver::exponential_integrator::{ExponentialIntegrator, Frozen};
use crate::solver::registry::Handle;
use crate::solver::runge_kutta::Euler;
use crate::state::State;
use crate::study::{Findings, Quantity, Study};

use super::line::{LineLaw, VP, largest, laws, rms, run, within};
use super::reverse_transition::below;

/// `sigma/alpha` of the level that single steps start from.
const KAPPA: f64 = 0.7;

/// The study.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OneStep {
    /// Lengths of single steps, in lambda.
    pub steps: Vec<f64>,
    /// Numbers of steps of runs.
    pub runs: Vec<usize>,
}

impl Default for OneStep {
    fn default() -> Self {
        OneStep { steps: vec![0.32, 0.16, 0.08, 0.04, 0.02, 0.01], runs: vec![16, 32, 64, 128, 256, 512] }
    }
}

const SAME: &str = "one step, same formula";
const APART: &str = "one step from ddim";
const EXACT: &str = "one step from the exact flow";
const CONSTANT: &str = "leading term";
const RATIO: &str = "distance over its leading term";

impl Study for OneStep {
    const QUANTITIES: &'static [Quantity] = &[
        Quantity { name: SAME, across: "", up: "largest rms distance from DDIM" },
        Quantity { name: APART, across: "step in lambda", up: "rms distance from DDIM" },
        Quantity { name: EXACT, across: "step in lambda", up: "rms distance from the exact flow" },
        Quantity { name: CONSTANT, across: "", up: "rms distance over the square of the step" },
        Quantity { name: RATIO, across: "step in lambda", up: "rms distance over its leading term" },
        Quantity { name: coordinates::SCHEDULE, across: "step in lambda", up: "rms distance, in x/alpha" },
        Quantity { name: coordinates::COORDINATE, across: "step in lambda", up: "rms distance from DDIM" },
        Quantity { name: runs::APART, across: "steps", up: "rms distance at the end" },
        Quantity { name: runs::ERROR, across: "steps", up: "W2 to the exact law" },
        Quantity { name: noisy::APART, across: "step in lambda", up: "rms distance, same noise" },
        Quantity { name: noisy::LAW, across: "step in lambda", up: "W2 between the laws" },
        Quantity { name: noisy::RATIO, across: "step in lambda", up: "rms distance over its leading term" },
    ];

    fn check(&self) -> Result<()> {
        within("steps", &self.steps, 1e-6..=3.0)?;
        within("runs", &self.runs, 1..=16384)
    }

    fn make_quick(&mut self) {
        self.steps = vec![0.02, 0.01];
        self.runs = vec![64, 128];
    }

    fn parts(&self) -> Vec<String> {
        let steps = laws().map(|(law, _)| law.to_string());
        steps.into_iter().chain(["any function", "coordinates", "runs", "noise"].map(String::from)).collect()
    }

    fn measure(&self, part: &str) -> Findings {
        let mut found = Findings::default();
        let law = laws().into_iter().find(|(law, _)| *law == part);
        match (part, law) {
            (_, Some((law, data))) => self.steps_on(law, &data, &mut found),
            ("any function", _) => self.any_function(&mut found),
            ("coordinates", _) => coordinates::measure(&self.steps, &mut found),
            ("runs", _) => runs::measure(&self.runs, &mut found),
            _ => noisy::measure(&self.steps, &mut found),
        }
        found
    }
}

/// What solvers call DDIM's step: other names for its formula.
fn same() -> Vec<Handle> {
    let frozen = |frozen| Handle::new(ExponentialIntegrator { frozen, lambda: 0.0 });
    vec![
        Handle::new(Euler { clock: Clock::Edm, ..Euler::default() }),
        Handle::new(DpmSolver1::default()),
        Handle::new(DpmPp1::default()),
        frozen(Frozen::Eps),
        frozen(Frozen::D),
    ]
}

/// First-order methods for the same flow that are not DDIM.
fn others() -> [(&'static str, Handle); 3] {
    [
        ("euler in t", Handle::new(Euler::default())),
        ("euler in lambda", Handle::new(Euler { clock: Clock::Lambda, ..Euler::default() })),
        ("score frozen", Handle::new(ExponentialIntegrator { frozen: Frozen::Score, lambda: 0.0 })),
    ]
}

/// Root mean square distance of two sets of states at the nodes of a quadrature.
fn apart(nodes: &[(f64, f64)], a: &[f64], b: &[f64]) -> f64 {
    rms(nodes.iter().zip(a.iter().zip(b)).map(|((_, w), (a, b))| (*w, a - b)))
}

impl OneStep {
    fn steps_on(&self, law: &str, data: &Mixture, found: &mut Findings) {
        let schedule = VP;
        let t = schedule.at_kappa(KAPPA);
        let nodes = LineLaw::marginal(data, &t).nodes(10.0);
        let x: Vec<f64> = nodes.iter().map(|(x, _)| *x).collect();
        let terms = Terms::at(data, &schedule, &t, &x);
        let mut most = vec![0f64; same().len()];
        for &h in &self.steps {
            let s = below(&schedule, &t, h);
            let step = |solver: &Handle| run(solver, data, &schedule, &[t, s], &x, 0.0);
            let ddim = step(&Handle::new(Ddim { eta: 0.0 }));
            for (most, solver) in most.iter_mut().zip(same()) {
                *most = largest([*most, apart(&nodes, &ddim, &step(&solver))]);
            }
            let x = State(Batch::from_rows(1, x.clone()));
            let exact = data.flow(&x, &t, &s).expect("a mixture on the line has a flow").0.to_rows();
            found.put(EXACT, format!("{law}: ddim"), h, apart(&nodes, &exact, &ddim));
            for (name, solver) in others() {
                let there = step(&solver);
                found.put(APART, format!("{law}: {name}"), h, apart(&nodes, &ddim, &there));
                found.put(EXACT, format!("{law}: {name}"), h, apart(&nodes, &exact, &there));
            }
        }
        for (solver, most) in same().iter().zip(most) {
            found.single(SAME, format!("{law}: {}", solver.label()), most);
        }
        self.leading(law, &nodes, &terms, found);
    }

    /// The leading terms, and what was measured over them at the shortest step.
    fn leading(&self, law: &str, nodes: &[(f64, f64)], terms: &Terms, found: &mut Findings) {
        let zero = vec![0.0; nodes.len()];
        let h = self.steps.iter().copied().fold(f64::INFINITY, f64::min);
        let pairs = [
            (APART, "euler in t", &terms.euler, &zero),
            (APART, "euler in lambda", &terms.euler_lambda, &zero),
            (EXACT, "ddim", &terms.exact, &zero),
            (EXACT, "euler in t", &terms.exact, &terms.euler),
            (EXACT, "euler in lambda", &terms.exact, &terms.euler_lambda),
        ];
        for (quantity, name, a, b) in pairs {
            let (constant, case) = (apart(nodes, a, b), format!("{law}: {name}"));
            let row = found.rows.iter().find(|r| r.quantity == quantity && r.case == case && r.x == Some(h));
            let measured = row.map(|r| r.value);
            let short = if quantity == APART { "from ddim" } else { "from the flow" };
            found.single(CONSTANT, format!("{case} {short}"), constant);
            if let Some(value) = measured {
                found.put(RATIO, format!("{case} {short}"), h, value / (constant * h * h));
            }
        }
    }

    /// The same identities where the model is no law's: an arbitrary function of `x` and the level.
    fn any_function(&self, found: &mut Findings) {
        let schedule = VP;
        let t = schedule.at_kappa(KAPPA);
        let nodes: Vec<(f64, f64)> = (-32..32).map(|i| (f64::from(i) / 8.0, 1.0)).collect();
        let x: Vec<f64> = nodes.iter().map(|(x, _)| *x).collect();
        for solver in same() {
            let off = |h: &f64| {
                let grid = [t, below(&schedule, &t, *h)];
                let step = |solver: &Handle| run(solver, &Arbitrary, &schedule, &grid, &x, 0.0);
                apart(&nodes, &step(&Handle::new(Ddim { eta: 0.0 })), &step(&solver))
            };
            let most = largest(self.steps.iter().map(off));
            found.single(SAME, format!("any function: {}", solver.label()), most);
        }
    }
}

/// A model that is no conditional mean of anything: what a network may be.
struct Arbitrary;

impl Denoiser<Batch<f64>> for Arbitrary {
    fn denoise(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        let d = |x: f64| (3.0 * x).tanh() + 0.2 * (7.0 * x + at.sigma).sin() + 0.1 * x * x;
        State(x.0.map_blocks(|block, to| to[0] = block[0].map(d)))
    }
}

/// Leading terms of one step `h` in lambda at every node, over `h^2`: what a method makes less what DDIM makes.
///
/// With a prime for `d/dt` at `t`, and `dt = h/|lambda'|`: DDIM is `alpha_s/alpha_t x + alpha_s (kappa_s - kappa_t) eps`,
/// whose term of second order is `[(f^2 + f') x + alpha (2 f kappa' + kappa'') eps] dt^2/2`; Euler in `t` has none. Euler in
/// lambda moves `x/alpha` by `-kappa h eps` where DDIM does by `kappa (e^{-h} - 1) eps`. The exact flow has
/// `kappa^2/2 deps/dkappa` more than DDIM in `x/alpha`.
struct Terms {
    euler: Vec<f64>,
    euler_lambda: Vec<f64>,
    exact: Vec<f64>,
}

impl Terms {
    fn at(data: &Mixture, schedule: &Schedule, t: &Level, x: &[f64]) -> Self {
        let kappa_rate = |at: &Level| at.g2 / (2.0 * at.alpha * at.sigma);
        let d = 1e-4 * t.t;
        let (later, earlier) = (schedule.at(t.t + d), schedule.at(t.t - d));
        let f_rate = (later.f - earlier.f) / (2.0 * d);
        let bend = (kappa_rate(&later) - kappa_rate(&earlier)) / (2.0 * d);
        let dt = 2.0 * t.sigma.powi(2) / t.g2;
        let (of_x, of_eps) = (t.f * t.f + f_rate, t.alpha * (2.0 * t.f * kappa_rate(t) + bend));
        let states = State(Batch::from_rows(1, x.to_vec()));
        let eps = data.eps(&states, t).0.to_rows();
        let euler = x.iter().zip(&eps).map(|(x, e)| -0.5 * dt * dt * (of_x * x + of_eps * e)).collect();
        let euler_lambda = eps.iter().map(|e| -0.5 * t.sigma * e).collect();
        // Along the flow, by a difference over two short stretches of it.
        let along = |d: f64| {
            let to = schedule.at_kappa(t.kappa() * (1.0 + d));
            let there = data.flow(&states, t, &to).expect("a mixture on the line has a flow");
            data.eps(&there, &to).0.to_rows()
        };
        let (up, down, width) = (along(1e-4), along(-1e-4), 2e-4 * t.kappa());
        let exact =
            up.iter().zip(&down).map(|(u, d)| 0.5 * t.alpha * t.kappa().powi(2) * (u - d) / width).collect();
        Terms { euler, euler_lambda, exact }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(found: &Findings, quantity: &str, case: &str) -> f64 {
        let row = found.rows.iter().find(|r| r.quantity == quantity && r.case == case);
        row.unwrap_or_else(|| panic!("no {quantity} of {case}")).value
    }

    #[test]
    fn five_other_names_mean_ddim_on_any_law_and_any_function() {
        let study = OneStep::default();
        for part in ["gaussian", "two-mode", "skew", "any function"] {
            let found = study.measure(part);
            let rows: Vec<_> = found.rows.iter().filter(|r| r.quantity == SAME).collect();
            assert_eq!(rows.len(), 5);
            assert!(rows.iter().all(|r| r.value < 1e-14), "{rows:?}");
        }
    }

    #[test]
    fn leading_terms_are_what_short_steps_show() {
        let study = OneStep { steps: vec![1e-3], ..OneStep::default() };
        for (law, _) in laws() {
            let found = study.measure(law);
            let ratios: Vec<_> = found.rows.iter().filter(|r| r.quantity == RATIO).collect();
            assert_eq!(ratios.len(), 5);
            assert!(ratios.iter().all(|r| (r.value - 1.0).abs() < 2e-3), "{ratios:?}");
        }
    }

    #[test]
    fn the_flow_of_a_gaussian_bends_as_its_closed_form_does() {
        // x/alpha = mu + sqrt(c + kappa^2) z: the second derivative in kappa is c/(c + kappa^2)^{3/2} z.
        let found = OneStep { steps: vec![0.01], ..OneStep::default() }.measure("gaussian");
        let (c, square) = (0.25, KAPPA * KAPPA);
        let alpha = VP.at_kappa(KAPPA).alpha;
        let want = 0.5 * alpha * square * c / (c + square).powf(1.5);
        let got = value(&found, CONSTANT, "gaussian: ddim from the flow");
        assert!((got / want - 1.0).abs() < 1e-6, "{got} for {want}");
    }

    #[test]
    fn steps_without_a_length_are_refused() {
        for steps in [vec![], vec![0.0], vec![f64::NAN], vec![4.0]] {
            assert!(OneStep { steps, ..OneStep::default() }.check().is_err());
        }
        assert!(OneStep { runs: vec![0], ..OneStep::default() }.check().is_err());
        assert!(OneStep::default().check().is_ok());
    }
}
