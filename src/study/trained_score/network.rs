//! A multilayer perceptron that knows the noise level, as a [`Denoiser`] of host batches in double precision.

use crate::batch::{Batch, LANES, Lanes};
use crate::real::Real;
use crate::run::Denoiser;
use crate::schedule::Level;
use crate::state::State;

/// What a network returns. Its prediction of the noise is linear in that: `eps = a x + b F`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `F = eps` (Ho et al. 2020, eq. 12).
    Noise,
    /// `F = d`, the denoised mean.
    Data,
    /// `d = c_skip x + c_out F` with target and answer of unit variance at any level (Karras et al. 2022, eq. 7 and table 1).
    Preconditioned,
}

impl Form {
    /// `(a, b)` of `eps = a x + b F`, for data whose coordinates have a root mean square of `spread`.
    pub fn coefficients(self, at: &Level, spread: f64) -> (f64, f64) {
        let r = radius(at, spread);
        match self {
            Form::Noise => (0.0, 1.0),
            Form::Data => (1.0 / at.sigma, -at.alpha / at.sigma),
            // With y = x/alpha: (y - c_skip y)/kappa = x sigma/r^2 and c_out/kappa = alpha spread/r.
            Form::Preconditioned => (at.sigma / (r * r), -at.alpha * spread / r),
        }
    }
}

/// Root mean square of a coordinate of `x_t`.
fn radius(at: &Level, spread: f64) -> f64 {
    at.marginal_variance(spread * spread).sqrt()
}

/// How the network hears of `x` and of the noise level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Senses {
    /// Coordinates of `x`.
    pub dim: usize,
    /// Root mean square of a coordinate of the clean data.
    pub spread: f64,
    /// The least and the greatest `lambda` trained at.
    pub range: (f64, f64),
}

impl Senses {
    /// Numbers that say the noise level.
    pub const OF_LEVEL: usize = 3;

    /// What `x` is multiplied by: its coordinates then have a mean square of 1 at any level.
    pub fn scale(&self, at: &Level) -> f64 {
        1.0 / radius(at, self.spread)
    }

    /// `u`, `sin(pi u)` and `cos(pi u)`, with `u` linear in `lambda` and from -1 to 1.
    pub fn of_level(&self, at: &Level) -> [f64; Self::OF_LEVEL] {
        let (low, high) = self.range;
        let u = 2.0 * (at.lambda() - low) / (high - low) - 1.0;
        let (sin, cos) = (std::f64::consts::PI * u).sin_cos();
        [u, sin, cos]
    }

    /// Inputs and outputs of every affine map of a network of `hidden` layers of `width` units.
    pub fn shapes(&self, width: usize, hidden: usize) -> Vec<(usize, usize)> {
        let first = (self.dim + Self::OF_LEVEL, width);
        let last = (width, self.dim);
        let between = std::iter::repeat_n((width, width), hidden - 1);
        std::iter::once(first).chain(between).chain([last]).collect()
    }
}

/// A trained network: affine maps with `silu(u) = u/(1 + e^-u)` between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    senses: Senses,
    form: Form,
    layers: Vec<Layer>,
}

#[derive(Clone, Debug, PartialEq)]
struct Layer {
    inputs: usize,
    /// A row for each output.
    weight: Vec<f64>,
    bias: Vec<f64>,
}

impl Network {
    /// From all weights in one row: of each layer the matrix, row by row, then the bias.
    pub fn new(senses: Senses, form: Form, shapes: &[(usize, usize)], mut row: &[f64]) -> Self {
        let mut take = |count: usize| {
            let (taken, rest) = row.split_at(count);
            row = rest;
            taken.to_vec()
        };
        let layer = |&(inputs, outputs): &(usize, usize)| {
            let weight = take(inputs * outputs);
            Layer { inputs, weight, bias: take(outputs) }
        };
        Network { senses, form, layers: shapes.iter().map(layer).collect() }
    }

    /// The layers at a level: what is said of it goes into the first bias, and the scale of `x` into the first matrix.
    fn at(&self, at: &Level) -> Vec<Layer> {
        let (dim, scale, told) = (self.senses.dim, self.senses.scale(at), self.senses.of_level(at));
        let mut layers = self.layers.clone();
        let rows = self.layers[0].weight.chunks_exact(dim + Senses::OF_LEVEL);
        let of_x = |row: &[f64]| row[..dim].iter().map(|w| w * scale).collect::<Vec<_>>();
        layers[0].weight = rows.clone().flat_map(of_x).collect();
        layers[0].inputs = dim;
        for (bias, row) in layers[0].bias.iter_mut().zip(rows) {
            *bias += row[dim..].iter().zip(told).map(|(w, x)| w * x).sum::<f64>();
        }
        layers
    }
}

impl Layer {
    #[inline(always)]
    fn apply(&self, x: &[Lanes<f64>], to: &mut Vec<Lanes<f64>>) {
        to.clear();
        for (row, bias) in self.weight.chunks_exact(self.inputs).zip(&self.bias) {
            let mut sum = [*bias; LANES];
            for (w, x) in row.iter().zip(x) {
                for i in 0..LANES {
                    sum[i] = Real::mul_add(x[i], *w, sum[i]);
                }
            }
            to.push(sum);
        }
    }
}

#[inline(always)]
fn silu(u: &mut Lanes<f64>) {
    for u in u {
        *u /= 1.0 + Real::exp(-*u);
    }
}

impl Denoiser<Batch<f64>> for Network {
    fn denoise(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        let eps = self.eps(x, at);
        ((x - at.sigma * &eps) / at.alpha).eval()
    }

    fn eps(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        let layers = self.at(at);
        let (a, b) = self.form.coefficients(at, self.senses.spread);
        let (mut from, mut answer) = (Vec::new(), Vec::new());
        State(x.0.map_blocks(
            #[inline(always)]
            |x, to| {
                layers[0].apply(x, &mut answer);
                for layer in &layers[1..] {
                    answer.iter_mut().for_each(silu);
                    std::mem::swap(&mut from, &mut answer);
                    layer.apply(&from, &mut answer);
                }
                for ((to, x), answer) in to.iter_mut().zip(x).zip(&answer) {
                    for i in 0..LANES {
                        to[i] = a * x[i] + b * answer[i];
                    }
                }
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;

    #[test]
    fn what_a_preconditioned_network_should_answer_has_unit_variance_at_every_level() {
        for lambda in [-5.0, -1.0, 0.0, 2.0, 5.0] {
            let (at, spread) = (Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 }.at_lambda(lambda), 1.7);
            let (a, b) = Form::Preconditioned.coefficients(&at, spread);
            // F = (z - a x)/b with x = alpha x0 + sigma z.
            let (of_data, of_noise) = (-a * at.alpha * spread / b, (1.0 - a * at.sigma) / b);
            assert!((of_data.hypot(of_noise) - 1.0).abs() < 1e-9, "{lambda}");
        }
    }
}
