//! One framework, two processes: DDPM and SMLD from one code path, and which solvers cannot tell them apart.
//!
//! With `y = x/alpha` and the clock `kappa = sigma/alpha`, every process `x_t = alpha x_0 + sigma z` is `y = x_0 + kappa z`,
//! and `dx = f x dt + g dw` is `dy = dB(kappa^2)`: VP and VE are one process in two coordinates. Some solvers do the same to
//! both, some do not.

use crate::data::{Gaussian, Moments};
use crate::law::{Init, law};
use crate::metric::w2;
use crate::schedule::{Clock, Level, Schedule};
use crate::solver::ancestral::Ancestral;
use crate::solver::ddim::Ddim;
use crate::solver::ddpm::{Ddpm, Variance};
use crate::solver::dpmpp_2m::DpmPp2m;
use crate::solver::euler_maruyama::EulerMaruyama;
use crate::solver::exponential_integrator::{ExponentialIntegrator, Frozen};
use crate::solver::registry::Handle;
use crate::solver::reverse_diffusion::ReverseDiffusion;
use crate::solver::runge_kutta::{Euler, Heun};
use crate::study::Findings;

use super::super::line::VP;

/// Quantity: distance between a run on VP, divided by alpha, and the same run on VE.
pub const APART: &str = "vp run from ve run";
/// Quantity: error of a run.
pub const ERROR: &str = "w2 of a run";

/// The two schedules, both from `kappa` 50 to 0.01 at the same values of `kappa`.
pub fn schedules() -> [(&'static str, Schedule); 2] {
    [("vp", VP), ("ve", Schedule::Ve { sigma_min: 0.01, sigma_max: 50.0 })]
}

/// `n` steps at equal distances in lambda between the ends.
pub fn levels(schedule: &Schedule, n: usize) -> Vec<Level> {
    let (first, last) = (50f64.ln(), 0.01f64.ln());
    (0..=n).map(|i| schedule.at_kappa((first + (last - first) * i as f64 / n as f64).exp())).collect()
}

/// The solvers compared, with what they freeze or how their noise is scaled where names do not say.
fn solvers() -> Vec<Handle> {
    let edm = Clock::Edm;
    let ddpm = |variance| Handle::new(Ddpm { variance });
    vec![
        Handle::new(Ddim { eta: 0.0 }),
        ddpm(Variance::FixedSmall),
        Handle::new(DpmPp2m::default()),
        Handle::new(Heun { clock: edm, ..Heun::default() }),
        Handle::new(ExponentialIntegrator { frozen: Frozen::Eps, lambda: 1.0 }),
        ddpm(Variance::FixedLarge),
        Handle::new(ExponentialIntegrator::default()),
        Handle::new(Euler::default()),
        Handle::new(EulerMaruyama::default()),
        Handle::new(ReverseDiffusion::default()),
        Handle::new(Ancestral::default()),
    ]
}

/// The law of a run, in the coordinate `x/alpha`.
fn scaled(solver: &Handle, schedule: &Schedule, data: &Gaussian, n: usize) -> Option<(Moments, Moments)> {
    let grid = levels(schedule, n);
    let run = law(solver, data, schedule, &grid, Init::Marginal).ok()?.moments;
    let alpha = grid[n].alpha;
    let scale = |m: Moments| Moments {
        mean: m.mean.iter().map(|x| x / alpha).collect(),
        std: m.std.iter().map(|x| x / alpha).collect(),
    };
    Some((scale(run), scale(data.marginal(&grid[n]))))
}

/// Runs every solver on both schedules, and says how wrong two of them are on each: score_sde's ancestral sampler, which
/// is the name of both processes' own, and DDPM. (Where a solver refuses a schedule and a number of steps there is no row.)
pub fn measure(chains: &[usize], found: &mut Findings) {
    let data = Gaussian::new(vec![0.5, -1.0], vec![0.25, 2.0]).expect("legal numbers");
    let [vp, ve] = schedules();
    for solver in solvers() {
        let label = solver.label();
        for &n in chains {
            let (here, there) = (scaled(&solver, &vp.1, &data, n), scaled(&solver, &ve.1, &data, n));
            for (name, run) in [(vp.0, &here), (ve.0, &there)] {
                if let Some((run, exact)) = run
                    && ["ancestral", "ddpm"].contains(&&*label)
                {
                    found.put(ERROR, format!("{label} on {name}"), n as f64, w2(run, exact));
                }
            }
            if let (Some((a, _)), Some((b, _))) = (here, there) {
                found.put(APART, &*label, n as f64, w2(&a, &b));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_solvers_cannot_tell_vp_from_ve() {
        let mut found = Findings::default();
        measure(&[64], &mut found);
        let apart: Vec<(&str, f64)> =
            found.rows.iter().filter(|r| r.quantity == APART).map(|r| (&*r.case, r.value)).collect();
        assert_eq!(apart.len(), 11);
        let blind = |name: &str| {
            ["ddim", "ddpm", "dpmpp-2m", "heun(clock=edm)", "exponential-integrator(frozen=eps)"]
                .contains(&name)
        };
        for (name, off) in apart {
            assert!(if blind(name) { off < 1e-13 } else { off > 1e-3 }, "{name}: {off:e}");
        }
    }

    #[test]
    fn ancestral_sampling_is_two_different_variances_of_ddpm() {
        // On VE that of a point mass, to round-off; on VP the other, but for b = beta dt instead of the two levels'.
        let mut found = Findings::default();
        measure(&[128, 256], &mut found);
        let error = |case: &str, n: f64| {
            let row = |r: &&crate::study::Measured| r.quantity == ERROR && r.case == case && r.x == Some(n);
            found.rows.iter().find(row).expect("measured").value
        };
        assert!((error("ancestral on ve", 128.0) / error("ddpm on ve", 128.0) - 1.0).abs() < 1e-12);
        let order = (error("ancestral on vp", 128.0) / error("ancestral on vp", 256.0)).log2();
        assert!((order - 1.0).abs() < 0.1, "{order}");
    }
}
