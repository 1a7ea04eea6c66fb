//! Whole runs of DDIM and of Euler's method in `t`: how far apart they end, and how far from the exact law each is.

use super::apart;
use crate::batch::Batch;
use crate::run::Denoiser;
use crate::schedule::{Level, Schedule};
use crate::solver::ddim::Ddim;
use crate::solver::runge_kutta::Euler;
use crate::state::State;
use crate::study::Findings;

use super::super::line::{LineLaw, VP, law_named, run};

/// Quantity: DDIM from Euler in `t`, from the same starts.
pub const APART: &str = "ddim from euler in t, whole runs";
/// Quantity: error of a run.
pub const ERROR: &str = "w2 of a run";

/// `n` steps at equal distances in lambda from `t = 1` to `kappa = 0.01`.
fn levels(schedule: &Schedule, n: usize) -> Vec<Level> {
    let (first, last) = (schedule.at(1.0).lambda(), -(0.01f64.ln()));
    (0..=n).map(|i| schedule.at_lambda(first + (last - first) * i as f64 / n as f64)).collect()
}

/// Runs both on two laws without a gap. (Where the flow tears a gap open, a few starts next to the divide make the mean
/// square.) On the line the exact flow is the monotone map, and so are both methods' maps from some 16 steps on: then no
/// coupling is closer than that of equal starts, and the root mean square distance from the flow is W2.
pub fn measure(runs: &[usize], found: &mut Findings) {
    let schedule = VP;
    for law in ["gaussian", "skew"] {
        let data = law_named(law);
        for &n in runs {
            let grid = levels(&schedule, n);
            let nodes = LineLaw::marginal(&data, &grid[0]).nodes(16.0);
            let x: Vec<f64> = nodes.iter().map(|(x, _)| *x).collect();
            let states = State(Batch::from_rows(1, x.clone()));
            let exact = data.flow(&states, &grid[0], &grid[n]).expect("a mixture on the line has a flow");
            let exact = exact.0.to_rows();
            let ddim = run(&Ddim { eta: 0.0 }, &data, &schedule, &grid, &x, 0.0);
            let euler = run(&Euler::default(), &data, &schedule, &grid, &x, 0.0);
            found.put(APART, law, n as f64, apart(&nodes, &ddim, &euler));
            for (name, there) in [("ddim", ddim), ("euler in t", euler)] {
                // (Where a map is not monotone, what is measured is no W2: no row.)
                if there.is_sorted() {
                    found.put(ERROR, format!("{law}: {name}"), n as f64, apart(&nodes, &exact, &there));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Gaussian;
    use crate::law::{Init, law};
    use crate::metric::w2;

    #[test]
    fn on_gaussian_data_the_distances_are_those_of_the_exact_laws() {
        let mut found = Findings::default();
        measure(&[16, 64], &mut found);
        let (schedule, data) = (VP, Gaussian::new(vec![0.5], vec![0.25]).expect("legal"));
        for n in [16, 64] {
            let grid = levels(&schedule, n);
            let exact = data.marginal(&grid[n]);
            let error = |law: crate::law::Law| w2(&law.moments, &exact);
            let ddim = law(&Ddim { eta: 0.0 }, &data, &schedule, &grid, Init::Marginal).expect("a law");
            let euler = law(&Euler::default(), &data, &schedule, &grid, Init::Marginal).expect("a law");
            for (case, want) in [("gaussian: ddim", error(ddim)), ("gaussian: euler in t", error(euler))] {
                let row = found.rows.iter().find(|r| r.case == case && r.x == Some(n as f64));
                let got = row.expect("a monotone map").value;
                assert!((got / want - 1.0).abs() < 1e-10, "{case}, {n} steps: {got:e} for {want:e}");
            }
        }
    }
}
