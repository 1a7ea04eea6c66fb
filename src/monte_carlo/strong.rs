//! The strong error of a sampler on any data: its root mean square distance from the solution of its own equation, on the
//! same starts and the same Brownian paths ([`Path`]).
//!
//! On Gaussian data the solution is known, path by path, and what is measured here is what [`crate::strong`] computes. On
//! other data it is approximated: by a method of higher strong order on a grid that refines the run's own. Its error is
//! measured as well, by the same on half as fine a grid.

use std::panic::AssertUnwindSafe;

use super::{NoRun, Precision, Run};
use crate::batch::{self, Batch, Rounding};
use crate::data::{Data, Gaussian};
use crate::metric::batches::{Batches, Means};
use crate::metric::{Estimate, Undefined};
use crate::noise::Path;
use crate::run::Ctx;
use crate::schedule::{Clock, Level, Schedule};
use crate::solver::Sample;
use crate::solver::runge_kutta::Rk4;
use crate::solver::stochastic_runge_kutta::Sosra;
use crate::state::State;

/// What stands for the solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The solution itself. Gaussian data only.
    Exact,
    /// SOSRA in `lambda`, of strong order 1.5 (2 on Gaussian data), on the run's grid with every step cut into so many
    /// equal ones in `lambda`: at least 2. For `l = 0`, the probability flow, the Runge-Kutta method of order 4.
    Refined(usize),
}

/// Steps of a reference in one of the run: its error is about `16^-1.5 = 1.6 %` of that of a method of order 1.5.
const REFINED: usize = 16;

impl Reference {
    /// The solution where it is known, else a grid 16 times as fine.
    pub fn of(data: &Data) -> Self {
        if data.gaussian().is_some() { Reference::Exact } else { Reference::Refined(REFINED) }
    }
}

/// A strong error by Monte Carlo.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StrongError {
    /// Root mean square distance from the reference, not divided by the dimension; in the unit of the data.
    pub rmse: Estimate,
    /// Root mean square distance of the reference from one on half as fine a grid: for order 1 the reference's own error,
    /// for more an upper bound of it. 0 for the solution itself.
    pub reference_error: f64,
}

/// Why there is no strong error.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoStrong {
    /// There is no run.
    #[error(transparent)]
    Run(#[from] NoRun),
    /// There is no number.
    #[error(transparent)]
    Undefined(#[from] Undefined),
}

impl<S: Sample + Sync + ?Sized> Run<'_, S> {
    /// The strong error against member `l` of the family (see [`crate::solver::Solver::equation`]), whose noise is that of
    /// one path a sample: the same for every solver, grid and `l` with this seed.
    ///
    /// # Errors
    /// The run fails; the first level has infinite `kappa`; there is no such reference; a sample diverges.
    pub fn strong_error(&self, l: f64, reference: Reference) -> Result<StrongError, NoStrong> {
        self.strong_error_in_chunks(l, reference, None)
    }

    /// As [`Run::strong_error`], with chunks of a given length: the result does not depend on it.
    ///
    /// # Errors
    /// See there.
    pub fn strong_error_in_chunks(
        &self,
        l: f64,
        reference: Reference,
        chunk: Option<usize>,
    ) -> Result<StrongError, NoStrong> {
        let run = || match self.sampling.precision {
            Precision::F64 => self.squares::<f64>(Rounding::None, l, reference, chunk),
            narrow => self.squares::<f32>(narrow.rounding(), l, reference, chunk),
        };
        let squares = std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(NoRun::Panicked))?;
        let means = squares.left_out()?;
        let root = |k: usize| means.jackknife(|m| m[k].sqrt()).estimate();
        Ok(StrongError { rmse: root(0), reference_error: root(1).value })
    }

    /// Mean square distances from the reference, and of that from the coarser one.
    fn squares<R: batch::Precision>(
        &self,
        rounding: Rounding,
        l: f64,
        reference: Reference,
        chunk: Option<usize>,
    ) -> Result<Means, NoRun> {
        let refused = |why: &str| Err(NoRun::Refused(why.into()));
        if !self.levels[0].kappa().is_finite() {
            return refused("the reverse SDE has no start where there is nothing but noise");
        }
        let pilot = self.pilot::<R>(rounding)?;
        let levels = pilot.levels(self.levels);
        let solutions = match (reference, self.data) {
            (Reference::Exact, Data::Gaussian(data)) => vec![Solution::Exact(data)],
            (Reference::Exact, _) => return refused("the solution is known for Gaussian data only"),
            (Reference::Refined(_), _) if levels[levels.len() - 1].sigma == 0.0 => {
                return refused("a reference needs a last level with sigma > 0");
            }
            (Reference::Refined(factor), _) if factor < 2 => {
                return refused("a reference cuts every step into two at least");
            }
            (Reference::Refined(factor), _) => {
                [factor, factor / 2].map(|n| Solution::Refined(refined(self.schedule, levels, n))).into()
            }
        };
        let cut = Batches::new(self.sampling.samples, Batches::DEFAULT);
        let parts = self.in_chunks(
            &pilot,
            chunk,
            |_| Means::new(2, cut),
            |means, first, len| {
                // One path for all: it is in no state that a query leaves behind.
                let mut path = Path::new(self.schedule, self.sampling.seed);
                let rows = self.chunk::<R>(rounding, &pilot, &mut path, first, len)?.to_rows();
                let mut ends = vec![rows.into_iter().map(R::to_f64).collect::<Vec<_>>()];
                for solution in &solutions {
                    let start = State(self.starts(first, len));
                    ends.push(solution.end(self, &mut path, l, levels, start)?.to_rows());
                }
                let dim = self.data.dim();
                for i in 0..len {
                    let square = |a: &[f64], b: &[f64]| -> f64 {
                        let row = i * dim..(i + 1) * dim;
                        a[row.clone()].iter().zip(&b[row]).map(|(a, b)| (a - b) * (a - b)).sum()
                    };
                    let own = ends.get(2).map_or(0.0, |coarse| square(&ends[1], coarse));
                    means.push(first + i as u64, &[square(&ends[0], &ends[1]), own]);
                }
                Ok(())
            },
        )?;
        let mut all = Means::new(2, cut);
        parts.into_iter().for_each(|part| all.merge(part));
        Ok(all)
    }
}

/// Every step of a grid cut into `factor` equal ones in `lambda`.
fn refined(schedule: &Schedule, levels: &[Level], factor: usize) -> Vec<Level> {
    let mut fine = vec![levels[0]];
    for pair in levels.windows(2) {
        let (from, to) = (pair[0].lambda(), pair[1].lambda());
        let at = |i: usize| schedule.at_lambda(from + (to - from) * i as f64 / factor as f64);
        fine.extend((1..factor).map(at));
        fine.push(pair[1]);
    }
    fine
}

/// A way from starts to their ends.
enum Solution<'a> {
    Exact(&'a Gaussian),
    Refined(Vec<Level>),
}

impl Solution<'_> {
    fn end<S: ?Sized>(
        &self,
        run: &Run<S>,
        path: &mut Path,
        l: f64,
        levels: &[Level],
        start: State<Batch<f64>>,
    ) -> Result<Batch<f64>, NoRun> {
        match self {
            Solution::Exact(data) => Ok(exact(data, path, l, &levels[0], &levels[levels.len() - 1], &start)),
            Solution::Refined(fine) => {
                let mut cx = Ctx::new(run.data.model(), path, run.schedule);
                let clock = Clock::Lambda;
                let end = match l {
                    // Without noise a method of order 4 is to be had.
                    0.0 => Rk4 { clock }.sample(&mut cx, fine, start).0,
                    lambda => Sosra { lambda, clock }.sample(&mut cx, fine, start).0,
                };
                cx.refusal().map_or(Ok(end), |why| Err(NoRun::Refused(why.into())))
            }
        }
    }
}

/// The solution on Gaussian data: see [`crate::strong`], whose letters these are.
fn exact(
    data: &Gaussian,
    path: &mut Path,
    l: f64,
    t: &Level,
    s: &Level,
    start: &State<Batch<f64>>,
) -> Batch<f64> {
    // Phi(s, u), mode by mode.
    let phi = |c: f64, u: &Level| {
        let shrink = s.marginal_variance(c) / u.marginal_variance(c);
        shrink.powf(0.5 * (1.0 + l)) * (u.alpha / s.alpha).powf(l)
    };
    let gain: Vec<f64> = data.variance().iter().map(|c| phi(*c, t)).collect();
    let bias = data.mean().iter().zip(&gain).map(|(mean, gain)| (s.alpha - gain * t.alpha) * mean);
    let noise = (l > 0.0).then(|| {
        path.integral(start, t, s, |u, f| {
            for (f, c) in f.iter_mut().zip(data.variance()) {
                *f = l.sqrt() * phi(*c, u) * u.alpha;
            }
        })
    });
    let bias: Vec<f64> = bias.collect();
    let rows = start.0.to_rows();
    let noise = noise.map_or_else(|| vec![0.0; rows.len()], |z| z.0.to_rows());
    let end = rows.iter().zip(&noise).enumerate().map(|(i, (x, z))| {
        let k = i % data.modes();
        gain[k] * x + bias[k] + z
    });
    Batch::from_rows(data.modes(), end.collect())
}
