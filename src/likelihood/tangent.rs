//! The density that a solver itself transports: of its discrete map, not of the flow that it approximates.

use nalgebra::DMatrix;

use super::{Likelihoods, NoLikelihood, part, run, widen};
use crate::batch::{Batch, LANES};
use crate::data::Data;
use crate::run::Denoiser;
use crate::schedule::{Level, Schedule};
use crate::solver::Sample;
use crate::state::State;

/// A model of samples and their derivatives by the start: `dim` coordinates, then `dim` tangents of as many.
///
/// A solver forms linear combinations and asks the model, so the derivative of its result is what it makes of tangents
/// if the model maps those by its Jacobian: forward differentiation, exact for multistep methods too.
#[derive(Clone, Debug)]
pub struct Tangent<'a> {
    data: &'a Data,
}

impl<'a> Tangent<'a> {
    /// The model of these data.
    pub fn new(data: &'a Data) -> Self {
        Tangent { data }
    }

    /// A form of the model, and `own v + score J v` of every tangent, `J` the Jacobian of the score.
    fn join(
        &self,
        x: &State<Batch<f64>>,
        at: &Level,
        form: State<Batch<f64>>,
        own: f64,
        score: f64,
    ) -> State<Batch<f64>> {
        let dim = self.data.dim();
        let position = part(&x.0, 0, dim);
        let tangents: Vec<Batch<f64>> = (1..=dim)
            .map(|k| self.data.score_jvp(&position, &part(&x.0, k * dim, (k + 1) * dim), at))
            .collect();
        let mut forms = form.0.blocks();
        let mut tangents: Vec<_> = tangents.iter().map(|v| v.blocks()).collect();
        State(x.0.map_blocks(|x, to| {
            to[..dim].copy_from_slice(forms.next().expect("as many blocks"));
            for (k, tangent) in tangents.iter_mut().enumerate() {
                for (j, jv) in tangent.next().expect("as many blocks").iter().enumerate() {
                    let at = (k + 1) * dim + j;
                    for i in 0..LANES {
                        to[at][i] = own.mul_add(x[at][i], score * jv[i]);
                    }
                }
            }
        }))
    }

    fn position(&self, x: &State<Batch<f64>>) -> State<Batch<f64>> {
        State(part(&x.0, 0, self.data.dim()))
    }
}

impl Denoiser<Batch<f64>> for Tangent<'_> {
    fn denoise(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        // d = (x + sigma^2 score)/alpha; without signal it is the mean of the data, wherever x is.
        let alpha = at.alpha;
        let (own, score) = if alpha == 0.0 { (0.0, 0.0) } else { (1.0 / alpha, at.sigma * at.sigma / alpha) };
        self.join(x, at, self.data.model().denoise(&self.position(x), at), own, score)
    }
    fn eps(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        self.join(x, at, self.data.model().eps(&self.position(x), at), 0.0, -at.sigma)
    }
    fn score(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        self.join(x, at, self.data.model().score(&self.position(x), at), 0.0, 1.0)
    }
}

/// Runs a solver down `grid` from samples of the exact law at its first level; its `estimate` is the density of the law
/// that the solver's own map makes of that one: `ln q(x_s) = ln p_t(x_t) - ln |det dx_s/dx_t|`.
///
/// [`kl_by_control_variate`](crate::metric::paired::kl_by_control_variate) of both densities is then the divergence of the
/// sampler from the exact law. Exact if the map is one to one, as it is with steps short enough; where it folds, `q` is
/// the density of one sheet.
///
/// Costs `dim` Jacobian products a model call.
///
/// # Errors
/// See [`NoLikelihood`].
pub fn transported(
    solver: &(impl Sample + Sync),
    data: &Data,
    schedule: &Schedule,
    grid: &[Level],
    x: &Batch<f64>,
) -> Result<Likelihoods, NoLikelihood> {
    let dim = data.dim();
    let (rows, nfe) = run(solver, data, schedule, grid, x, |part| {
        // The derivative of the start by itself.
        let unit = |_: &[_], to: &mut [[f64; LANES]]| (0..dim).for_each(|k| to[k * dim + k] = [1.0; LANES]);
        (Tangent::new(data), widen(part, dim * dim, unit))
    })?;
    let wide = dim * (dim + 1);
    let growth = |row: &[f64]| {
        let lu = DMatrix::from_column_slice(dim, dim, &row[dim..]).lu();
        lu.u().diagonal().iter().map(|u| u.abs().ln()).sum::<f64>()
    };
    let start = data.log_density(x, &grid[0]);
    let estimate = rows.chunks_exact(wide).zip(&start).map(|(row, start)| start - growth(row)).collect();
    let x_end: Vec<f64> = rows.chunks_exact(wide).flat_map(|row| &row[..dim]).copied().collect();
    let x_end = Batch::from_rows(dim, x_end).numbered(x.first());
    let exact = data.log_density(&x_end, &grid[grid.len() - 1]);
    Ok(Likelihoods { x: x_end, estimate, exact, nfe })
}
