//! Output laws of several coordinates, from samples.

use crate::batch::Batch;
use crate::data::{Data, Gaussian, Mixture};
use crate::law::{Init, law};
use crate::metric::batches::{Batches, Means};
use crate::metric::wasserstein::normal_cdf;
use crate::metric::{Distance, Estimate, Undefined, w2};
use crate::noise::{Purpose, White};
use crate::parallel;
use crate::run::{Ctx, Denoiser};
use crate::schedule::{Level, Schedule};
use crate::solver::{Handle, Sample};
use crate::state::State;

/// A solver on samples that start from the exact marginal; those of a number start alike and draw the same noises whatever the
/// model.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The solver.
    pub solver: &'a Handle,
    /// The law of the data.
    pub data: &'a Data,
    /// The forward process.
    pub schedule: &'a Schedule,
    /// Levels to visit.
    pub levels: &'a [Level],
    /// Of starts and noises.
    pub seed: u64,
    /// How many.
    pub samples: usize,
}

/// `W2` of an output law to the exact marginal, and its standard error.
pub type Error = Result<Estimate, Undefined>;

/// Samples at a time.
const CHUNK: usize = 1024;

impl Run<'_> {
    /// Where samples end, row after row.
    fn ends(&self, model: &(dyn Denoiser<Batch<f64>> + Sync)) -> Vec<f64> {
        let starts: Vec<usize> = (0..self.samples).step_by(CHUNK).collect();
        let chunk = |&first: &usize| {
            let len = CHUNK.min(self.samples - first);
            let start = self.data.sample(&self.levels[0], self.seed, Purpose::Start, first as u64, len);
            let mut noise = White::new(self.seed);
            let mut cx = Ctx::new(model, &mut noise, self.schedule);
            self.solver.sample(&mut cx, self.levels, State(start)).0.to_rows()
        };
        parallel::map(&starts, chunk).concat()
    }

    fn last(&self) -> &Level {
        &self.levels[self.levels.len() - 1]
    }

    /// On Gaussian data, `W2` between the Gaussians of the same moments: with the exact score from the exact law, and with
    /// `model` from that law and the differences of means and variances between samples of the two, whose noise is shared.
    pub fn gaussian(&self, gaussian: &Gaussian, model: &(dyn Denoiser<Batch<f64>> + Sync)) -> (f64, Error) {
        let exact = gaussian.marginal(self.last());
        let Ok(law) = law(self.solver, gaussian, self.schedule, self.levels, Init::Marginal) else {
            return (f64::NAN, Err(Undefined::Overflow));
        };
        let (ours, theirs) = (self.ends(model), self.ends(gaussian));
        let d = gaussian.modes();
        let mut means = Means::new(4 * d, Batches::new(self.samples as u64, Batches::DEFAULT));
        for (i, (x, y)) in ours.chunks_exact(d).zip(theirs.chunks_exact(d)).enumerate() {
            let square = |x: &f64| x * x;
            let row: Vec<f64> = x
                .iter()
                .copied()
                .chain(x.iter().map(square))
                .chain(y.iter().copied())
                .chain(y.iter().map(square))
                .collect();
            means.push(i as u64, &row);
        }
        let off = |m: &[f64]| {
            let variance = |k: usize| m[d + k] - m[k] * m[k] - (m[3 * d + k] - m[2 * d + k] * m[2 * d + k]);
            let mean = |k: usize| law.moments.mean[k] + m[k] - m[2 * d + k] - exact.mean[k];
            let std = |k: usize| (law.moments.std[k].powi(2) + variance(k)).max(0.0).sqrt() - exact.std[k];
            (0..d).map(mean).chain((0..d).map(std)).collect()
        };
        let distance = means.left_out().and_then(|left_out| left_out.norm(off));
        (w2(&law.moments, &exact), distance.map(|distance| root(&distance)))
    }

    /// `KL(p || q)` of the exact marginal `p` and the output law `q` over cells of equal weight: at most that of densities.
    pub fn over_cells(&self, mixture: &Mixture, model: &(dyn Denoiser<Batch<f64>> + Sync)) -> Estimate {
        let marginal = mixture.marginal(self.last());
        let mut counts = vec![0usize; cells(&marginal)];
        self.ends(model).chunks_exact(mixture.dim()).for_each(|x| counts[cell(&marginal, x)] += 1);
        kl_of_counts(&counts)
    }
}

/// Cells along a direction of a mode.
const SIDE: usize = 4;

fn cells(law: &Mixture) -> usize {
    law.components().len() * SIDE.pow(law.dim() as u32)
}

/// The cell of a point: its nearest mode, and of that the quantiles in every coordinate. Of equal weight where modes are
/// equal, round and far apart.
fn cell(law: &Mixture, x: &[f64]) -> usize {
    let square = |mean: &[f64]| x.iter().zip(mean).map(|(x, m)| (x - m).powi(2)).sum::<f64>();
    let mut nearest = (0, f64::INFINITY);
    for (k, mode) in law.components().iter().enumerate() {
        let distance = square(&mode.mean);
        if distance < nearest.1 {
            nearest = (k, distance);
        }
    }
    let mode = &law.components()[nearest.0];
    let matrix = mode.covariance.matrix(x.len());
    (0..x.len()).fold(nearest.0, |cell, j| {
        let u = normal_cdf((x[j] - mode.mean[j]) / matrix[(j, j)].sqrt());
        cell * SIDE + ((u * SIDE as f64) as usize).min(SIDE - 1)
    })
}

/// `sum p ln(p/q)` for equal `p` and counts of samples of `q`, less its bias of `(cells - 1)/(2 n)` and with the standard error
/// of both its orders in `1/n`. An empty cell counts as half a sample.
fn kl_of_counts(counts: &[usize]) -> Estimate {
    let (cells, n) = (counts.len() as f64, counts.iter().sum::<usize>() as f64);
    // Of p to q, cell by cell.
    let ratios = || counts.iter().map(|count| n / (cells * (*count as f64).max(0.5)));
    let kl = ratios().map(f64::ln).sum::<f64>() / cells;
    let chi_square = (ratios().sum::<f64>() / cells - 1.0).max(0.0);
    let free = (cells - 1.0) / (2.0 * n);
    Estimate { value: kl - free, stderr: (chi_square / n + free / n).sqrt() }
}

/// The root of what is above the floor; nothing where nothing is.
fn root(distance: &Distance) -> Estimate {
    let Estimate { value, stderr } = distance.excess;
    let root = value.max(0.0).sqrt();
    // (Not the delta method near 0, where it knows no bound.)
    Estimate { value: root, stderr: (value.max(0.0) + stderr).sqrt() - root }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::preset;
    use crate::grid::Grid;
    use crate::solver::ddim::Ddim;

    #[test]
    fn cells_of_a_ring_are_of_equal_weight() {
        let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
        let ring = preset::Ring::default().mixture().unwrap();
        let at = schedule.at(1e-3);
        let marginal = ring.marginal(&at);
        let mut counts = vec![0; cells(&marginal)];
        let rows = ring.sample::<f64>(&at, 1, Purpose::Reference, 0, 50_000).to_rows();
        rows.chunks_exact(2).for_each(|x| counts[cell(&marginal, x)] += 1);
        let found = kl_of_counts(&counts);
        assert!(found.z(0.0).abs() < 3.0 && found.stderr < 4e-4, "{found:?}");
        // A tenth of a mode moved to its neighbour: 10 % of 1/8 more here, less there.
        let moved = counts[0] / 10;
        (0..16).for_each(|k| (counts[k], counts[16 + k]) = (counts[k] - moved, counts[16 + k] + moved));
        let exact = -(0.9f64.ln() + 1.1f64.ln()) / 8.0;
        assert!(kl_of_counts(&counts).z(exact).abs() < 3.0);
    }

    #[test]
    fn with_the_exact_score_as_model_the_gaussian_error_is_the_exact_one() {
        let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
        let gaussian = Gaussian::new(vec![1.0, 0.0], vec![0.25, 2.0]).unwrap();
        let levels = Grid::UniformLambda { start: 1.0, end: 1e-3 }.levels(&schedule, Some(8)).unwrap();
        let (solver, data) = (&Handle::new(Ddim::default()), &Data::Gaussian(gaussian.clone()));
        let run = Run { solver, data, schedule: &schedule, levels: &levels, seed: 1, samples: 1000 };
        let (exact, found) = run.gaussian(&gaussian, &gaussian);
        assert!((found.unwrap().value - exact).abs() < 1e-12 && exact > 0.01);
    }
}
