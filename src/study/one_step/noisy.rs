//! One step with noise: DDIM with eta = 1, DDPM, and Euler-Maruyama for the reverse SDE.

use super::{KAPPA, SAME};
use crate::data::Moments;
use crate::data::mixture::Mixture;
use crate::metric::w2;
use crate::schedule::{Level, Schedule};
use crate::solver::ancestral::Ancestral;
use crate::solver::ddim::Ddim;
use crate::solver::ddpm::{Ddpm, Variance};
use crate::solver::euler_maruyama::EulerMaruyama;
use crate::solver::exponential_integrator::{ExponentialIntegrator, Frozen};
use crate::solver::registry::Handle;
use crate::study::Findings;

use super::super::line::{LineLaw, VP, bend, fall_of_noise, largest, law_named, run};
use super::super::reverse_transition::{SHORT, below};

/// Quantity: distance from DDIM with eta = 1 on the same noise.
pub const APART: &str = "one noisy step from ddim(eta=1)";
/// Quantity: distance between the laws after the step.
pub const LAW: &str = "law after one noisy step";
/// Quantity: the first of these over its leading term.
pub const RATIO: &str = "noisy distance over its leading term";

/// Other names for DDIM with eta = 1.
fn same() -> [Handle; 2] {
    [
        Handle::new(Ddpm { variance: Variance::FixedSmall }),
        Handle::new(ExponentialIntegrator { frozen: Frozen::D, lambda: 1.0 }),
    ]
}

/// Other first-order methods for the reverse SDE.
fn others() -> [Handle; 3] {
    [
        Handle::new(Ddpm { variance: Variance::FixedLarge }),
        Handle::new(Ancestral::default()),
        Handle::new(EulerMaruyama::default()),
    ]
}

/// A step's mean at every node, and its standard deviation.
struct Noisy {
    means: Vec<f64>,
    sd: f64,
}

impl Noisy {
    fn of(solver: &Handle, data: &Mixture, grid: &[Level], x: &[f64]) -> Self {
        let at = |z| run(solver, data, &VP, grid, x, z);
        let (means, up) = (at(0.0), at(1.0));
        // All nodes have the same; the one nearest to 0 has it with the most digits.
        let gaps = means.iter().zip(&up).map(|(m, u)| (m.abs(), u - m));
        let (_, sd) = gaps.fold((f64::INFINITY, 0.0), |best, gap| if gap.0 < best.0 { gap } else { best });
        Noisy { means, sd }
    }

    /// Mean and standard deviation of the law after the step.
    fn law(&self, nodes: &[(f64, f64)]) -> Moments {
        let total: f64 = nodes.iter().map(|(_, w)| w).sum();
        let over = |f: &dyn Fn(f64) -> f64| {
            nodes.iter().zip(&self.means).map(|((_, w), m)| w * f(*m)).sum::<f64>() / total
        };
        let mean = over(&|m| m);
        Moments { mean: vec![mean], std: vec![(over(&|m| (m - mean).powi(2)) + self.sd * self.sd).sqrt()] }
    }

    /// Root mean square distance on the same noise: that of the means, and that of the standard deviations.
    fn apart(&self, other: &Noisy, nodes: &[(f64, f64)]) -> f64 {
        super::apart(nodes, &self.means, &other.means).hypot(self.sd - other.sd)
    }
}

/// What Euler-Maruyama is off by on the same noise, over `h^{3/2}`: its variance is
/// `2 h sigma^2 (1 - h lambda''/(2 lambda'^2))`, that of DDIM `2 h sigma^2 (1 - h - 2 h A)` with
/// `A` that of [`fall_of_noise`]; the means differ by `h^2` only.
fn leading(schedule: &Schedule, t: &Level) -> f64 {
    t.sigma / 2f64.sqrt() * (1.0 + 2.0 * fall_of_noise(t) - 0.5 * bend(schedule, t)).abs()
}

/// Measures every solver on two laws; laws after a step only where they are Gaussian.
pub fn measure(steps: &[f64], found: &mut Findings) {
    let schedule = VP;
    let t = schedule.at_kappa(KAPPA);
    for law in ["gaussian", "two-mode"] {
        let data = law_named(law);
        let nodes = LineLaw::marginal(&data, &t).nodes(10.0);
        let x: Vec<f64> = nodes.iter().map(|(x, _)| *x).collect();
        let mut most = [0f64; 2];
        for &h in steps {
            let grid = [t, below(&schedule, &t, h)];
            let step = |solver: &Handle| Noisy::of(solver, &data, &grid, &x);
            let ddim = step(&Handle::new(Ddim { eta: 1.0 }));
            for (most, solver) in most.iter_mut().zip(same()) {
                *most = largest([*most, step(&solver).apart(&ddim, &nodes)]);
            }
            for solver in others() {
                let (there, case) = (step(&solver), format!("{law}: {}", solver.label()));
                let off = there.apart(&ddim, &nodes);
                if law == "gaussian" {
                    found.put(LAW, &*case, h, w2(&there.law(&nodes), &ddim.law(&nodes)));
                }
                if case.ends_with("euler-maruyama") && h <= SHORT {
                    found.put(RATIO, &*case, h, off / (leading(&schedule, &t) * h.powf(1.5)));
                }
                found.put(APART, case, h, off);
            }
        }
        for (solver, most) in same().iter().zip(most) {
            found.single(SAME, format!("{law}, eta = 1: {}", solver.label()), most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_law_after_a_step_is_that_of_the_affine_map() {
        let (schedule, data) = (VP, law_named("gaussian"));
        let model = crate::data::Gaussian::new(vec![0.5], vec![0.25]).expect("legal");
        let t = schedule.at_kappa(KAPPA);
        let grid = [t, below(&schedule, &t, 0.2)];
        let nodes = LineLaw::marginal(&data, &t).nodes(10.0);
        let x: Vec<f64> = nodes.iter().map(|(x, _)| *x).collect();
        for solver in same().into_iter().chain(others()) {
            let here = Noisy::of(&solver, &data, &grid, &x).law(&nodes);
            let law = crate::law::law(&solver, &model, &schedule, &grid, crate::law::Init::Marginal);
            assert!(w2(&here, &law.expect("a law").moments) < 1e-14, "{}", solver.label());
        }
    }

    #[test]
    fn euler_maruyama_leaves_ddim_like_the_power_one_and_a_half() {
        let mut found = Findings::default();
        measure(&[0.02, 0.01], &mut found);
        let value = |x| {
            let row = |r: &&crate::study::Measured| {
                r.quantity == APART && r.case == "two-mode: euler-maruyama" && r.x == Some(x)
            };
            found.rows.iter().find(row).expect("measured").value
        };
        assert!(((value(0.02) / value(0.01)).log2() - 1.5).abs() < 0.02);
        let ratio = found.rows.iter().find(|r| r.quantity == RATIO).expect("measured").value;
        assert!((ratio - 1.0).abs() < 0.01, "{ratio}");
    }
}
