//! One Brownian path a sample, the same for every solver and every grid that looks at it.
//!
//! A solver's noises are functionals of a Brownian motion `B(kappa^2)` ([`Draw`]). In `xi`, white noise in `lambda`,
//! `dB = sqrt(2) kappa dxi`, so that decades of noise levels are a matter of tens of units. `xi` is given by the
//! coefficients, independent standard normals, of an orthonormal basis: Legendre polynomials below degree 4 on cells of
//! length 1/32, and Alpert's multiwavelets of the same degree (Alpert 1993) on their halves, quarters and so on. (Degree 0
//! would be Haar's basis, which is Levy's construction; degree 1 that of increment and space-time area, Foster, Lyons &
//! Oberhauser 2020; Jelincic, Foster & Kidger 2024 halve intervals likewise.) Each coefficient is a hash of seed, sample,
//! coordinate and place, so nothing is stored and no query depends on another.
//!
//! The kernel of a functional is smooth in `lambda`, hence a polynomial on a cell; cut off at a level, it meets only the
//! wavelets whose cells contain that level. How exact that is:
//! - Functionals of adjacent intervals add up, and the same one is the same in every run, to round-off.
//! - Wavelets end at cells of 2^-21. A cut in such a cell misses a variance of at most 0.043 2^-21 of `xi`: an increment over
//!   `h` in `lambda` has 1 to within `4.1e-8/h` for its variance, and what solver and reference see is one path all the same.
//! - What degree 4 misses of a kernel is `(h/2 pi)^4` of it, for steps and cells of length `h`: 6e-10 at most.

use std::sync::Arc;

use super::probe::Draw;
use super::white::{Purpose, White, key};
use crate::batch::{Batch, LANES, Lanes, Precision};
use crate::real::{Real, scramble, vectorised};
use crate::run::Noise;
use crate::schedule::{Clock, Level, Schedule};
use crate::state::State;
use crate::strong::{LAST, kernel, kinks};

mod basis;

use basis::{Basis, Coefficients, DEGREE, legendre, orthonormal};

/// Noise from a Brownian path: a pure function of (seed, sample, coordinate), in `f64` until it is handed out. Noise of
/// no path is that of [`White`].
///
/// As with `White`, one source serves one batch. Levels are to have `0 < kappa < inf`, but for the last: towards
/// `kappa = 0` the path is left when `kappa` has fallen by `e^-40`.
#[derive(Clone, Debug)]
pub struct Path<'a> {
    schedule: &'a Schedule,
    key: u64,
    fresh: White,
    basis: Basis,
    samples: Samples,
    /// The last cuts: a step ends where the next one starts.
    cuts: Vec<Cut>,
}

/// Cells in a unit of `lambda`.
const CELLS: f64 = 32.0;
/// Cuts kept.
const CUTS: usize = 4;

impl<'a> Path<'a> {
    /// The path of a seed on a forward process.
    pub fn new(schedule: &'a Schedule, seed: u64) -> Self {
        Path {
            schedule,
            key: key(seed, Purpose::Path),
            fresh: White::new(seed),
            basis: Basis::new(),
            samples: Samples { first: 0, dim: 0, keys: Vec::new() },
            cuts: Vec::new(),
        }
    }

    /// `int f_k dB` from one level down to another, for every coordinate `k` its own function of the level, shaped like
    /// `x`. `kernel` is to fill in `f_k` at a level. `f` should be analytic in `|Im lambda| < pi/2`, as all that is made
    /// of `alpha` and `sigma` is.
    ///
    /// # Panics
    /// If the levels do not fall, the first has infinite `kappa`, or `x` holds other samples than those seen before.
    pub fn integral<R: Precision>(
        &mut self,
        x: &State<Batch<R>>,
        from: &Level,
        to: &Level,
        kernel: impl Fn(&Level, &mut [f64]),
    ) -> State<Batch<R>> {
        let dim = x.0.dim();
        let [out] = self.functionals(x, from, to, &[], dim, &kernel);
        out
    }

    /// Functionals of the path between two levels, whose kernels against `dB` are `width` numbers each at a level: one
    /// for all coordinates, or one for each. `kinks` are levels at which kernels are not smooth.
    fn functionals<R: Precision, const N: usize>(
        &mut self,
        x: &State<Batch<R>>,
        from: &Level,
        to: &Level,
        kinks: &[Level],
        width: usize,
        kernel: &dyn Fn(&Level, &mut [f64]),
    ) -> [State<Batch<R>>; N] {
        let start = from.lambda();
        let end = if to.sigma == 0.0 { start + LAST } else { to.lambda() };
        assert!(start < end && start.is_finite(), "noise of a path is asked for down from a finite level");
        self.meet(&x.0);
        let mut out: [Vec<Lanes<f64>>; N] = std::array::from_fn(|_| self.samples.zeros());
        let inner = kinks.iter().map(Level::lambda).filter(|k| start < *k && *k < end);
        let ends: Vec<f64> = std::iter::once(start).chain(inner).chain([end]).map(|u| CELLS * u).collect();
        for pair in ends.windows(2) {
            for cell in pair[0].floor() as i64..pair[1].ceil() as i64 {
                let inside = |u: f64| (u - cell as f64).clamp(0.0, 1.0);
                let (a, b) = (inside(pair[0]), inside(pair[1]));
                if a < b {
                    let weights = self.projected(cell, a, b, N * width, kernel);
                    self.add(cell, a, b, &weights, &mut out);
                }
            }
        }
        out.map(|values| {
            let mut blocks = values.chunks_exact(x.0.dim());
            State(x.0.map_blocks(
                #[inline(always)]
                |_, to| {
                    for (to, from) in to.iter_mut().zip(blocks.next().expect("one a block")) {
                        *to = from.map(R::from_f64);
                    }
                },
            ))
        })
    }

    /// Coefficients on a cell of the polynomials that kernels are over `[a, b]` of it (in units of the cell).
    fn projected(
        &self,
        cell: i64,
        a: f64,
        b: f64,
        kernels: usize,
        kernel: &dyn Fn(&Level, &mut [f64]),
    ) -> Vec<Coefficients> {
        // Legendre series on [a, b]...
        let mut local = vec![[0.0; DEGREE]; kernels];
        let mut values = vec![0.0; kernels];
        for (node, weight) in &self.basis.nodes {
            let place = a + 0.5 * (b - a) * (1.0 + node);
            let at = self.schedule.at_lambda((cell as f64 + place) / CELLS);
            kernel(&at, &mut values);
            // dB = sqrt(2) kappa dxi, and xi in units of the cell has 1/CELLS of the variance.
            let scale = weight * at.kappa() * (2.0 / CELLS).sqrt();
            for (series, value) in local.iter_mut().zip(&values) {
                for (k, p) in legendre(*node).into_iter().enumerate() {
                    series[k] += (k as f64 + 0.5) * scale * value * p;
                }
            }
        }
        // ...continued over the cell. What is mere round-off of a short interval would be blown up there.
        let mut weights = vec![[0.0; DEGREE]; kernels];
        for (sum, series) in weights.iter_mut().zip(&local) {
            let size = series.iter().fold(0.0, |m: f64, c| m.max(c.abs()));
            for (node, weight) in &self.basis.rule {
                let place = (2.0 * node - (a + b)) / (b - a);
                let terms = series.iter().zip(legendre(place)).filter(|(c, _)| c.abs() > 4e-16 * size);
                let value: f64 = terms.map(|(c, p)| c * p).sum();
                for (sum, phi) in sum.iter_mut().zip(orthonormal(*node)) {
                    *sum += weight * value * phi;
                }
            }
        }
        weights
    }

    /// Adds `int_a^b p dxi` over a part of a cell, for polynomials given by their coefficients on it.
    fn add(&mut self, cell: i64, a: f64, b: f64, weights: &[Coefficients], out: &mut [Vec<Lanes<f64>>]) {
        if b == 1.0 {
            self.samples.add_node(Node { cell, index: 0 }, weights, out);
        } else {
            let cut = self.cut(cell, b);
            self.samples.add_cut(&cut, weights, out);
        }
        if a > 0.0 {
            let minus: Vec<Coefficients> = weights.iter().map(|w| w.map(|w| -w)).collect();
            let cut = self.cut(cell, a);
            self.samples.add_cut(&cut, &minus, out);
        }
    }

    /// `int_0^b phi_j dxi` for the polynomials of a cell.
    fn cut(&mut self, cell: i64, b: f64) -> Arc<Moments> {
        if let Some(cut) = self.cuts.iter().find(|cut| cut.cell == cell && cut.at == b) {
            return cut.moments.clone();
        }
        let mut moments: Moments = std::array::from_fn(|_| self.samples.zeros());
        for (index, weights) in self.basis.cut(b) {
            self.samples.add_node(Node { cell, index }, &weights, &mut moments);
        }
        let moments = Arc::new(moments);
        if self.cuts.len() == CUTS {
            self.cuts.remove(0);
        }
        self.cuts.push(Cut { cell, at: b, moments: moments.clone() });
        moments
    }

    /// Takes note of the samples that noise is for.
    fn meet<R: Precision>(&mut self, x: &Batch<R>) {
        let (first, blocks) = (x.first(), x.blocks().len());
        if self.samples.dim == 0 {
            let number = |b: usize, i: usize| first.wrapping_add((b * LANES + i) as u64);
            let lanes = |b| std::array::from_fn(|i| scramble(self.key.wrapping_add(number(b, i))));
            self.samples = Samples { first, dim: x.dim(), keys: (0..blocks).map(lanes).collect() };
        }
        let seen = (self.samples.first, self.samples.dim, self.samples.keys.len());
        assert_eq!(seen, (first, x.dim(), blocks), "noise was asked for other samples");
    }
}

impl<R: Precision> Noise<Batch<R>> for Path<'_> {
    fn increment(&mut self, x: &State<Batch<R>>, from: &Level, to: &Level) -> State<Batch<R>> {
        let draw = Draw::Increment(*from, *to);
        let [z] = self.functionals(x, from, to, &[], 1, &|at, to| to[0] = kernel(&draw, at));
        z
    }

    fn fresh(&mut self, x: &State<Batch<R>>) -> State<Batch<R>> {
        self.fresh.draw(x)
    }

    fn increment_and_area(
        &mut self,
        x: &State<Batch<R>>,
        from: &Level,
        to: &Level,
        clock: Clock,
    ) -> (State<Batch<R>>, State<Batch<R>>) {
        let draws = [Draw::ClockIncrement(*from, *to, clock), Draw::ClockArea(*from, *to, clock)];
        let kinks = if clock == Clock::T { kinks(self.schedule, from, to) } else { Vec::new() };
        let [z1, z2] = self.functionals(x, from, to, &kinks, 1, &|at, to| {
            for (to, draw) in to.iter_mut().zip(&draws) {
                *to = kernel(draw, at);
            }
        });
        (z1, z2)
    }
}

/// An integral up to a cut for each polynomial of a cell: one number for every sample and coordinate.
type Moments = [Vec<Lanes<f64>>; DEGREE];

/// A place in a cell that queries were cut at, and the integrals of its polynomials up to there.
#[derive(Clone, Debug)]
struct Cut {
    cell: i64,
    at: f64,
    moments: Arc<Moments>,
}

/// Where coefficients are of: 0 for the polynomials of a cell, else the wavelets of part `index - 2^j` of its `2^j` parts.
#[derive(Clone, Copy, Debug)]
struct Node {
    cell: i64,
    index: u64,
}

/// The samples that a path is for: their keys, in blocks.
#[derive(Clone, Debug)]
struct Samples {
    first: u64,
    dim: usize,
    keys: Vec<Lanes<u64>>,
}

impl Samples {
    fn zeros(&self) -> Vec<Lanes<f64>> {
        vec![[0.0; LANES]; self.keys.len() * self.dim]
    }

    /// Adds the normals of a node, weighted.
    fn add_node(&self, node: Node, weights: &[Coefficients], out: &mut [Vec<Lanes<f64>>]) {
        // A coordinate has two numbers of 64 bits, each good for two normals.
        let node = scramble(scramble(node.cell as u64).wrapping_add(node.index));
        let places: Vec<u64> = (0..2 * self.dim).map(|k| scramble(node.wrapping_add(k as u64))).collect();
        add(
            self.dim,
            weights,
            out,
            #[inline(always)]
            |block, k| {
                let mut z = [[0.0; LANES]; DEGREE];
                // (A closure here would not be inlined, and then not be vectorised.)
                for half in 0..2 {
                    let place = places[2 * k + half];
                    for (i, key) in self.keys[block].iter().enumerate() {
                        let bits = scramble(key.wrapping_add(place));
                        [z[2 * half][i], z[2 * half + 1][i]] =
                            Real::normals((bits >> 32) as u32, bits as u32);
                    }
                }
                z
            },
        );
    }

    /// Adds the integrals up to a cut, weighted.
    fn add_cut(&self, cut: &Moments, weights: &[Coefficients], out: &mut [Vec<Lanes<f64>>]) {
        add(
            self.dim,
            weights,
            out,
            #[inline(always)]
            |block, k| std::array::from_fn(|j| cut[j][block * self.dim + k]),
        );
    }
}

/// Adds to every output its weighted sum of `numbers(block, coordinate)`. The weights of an output are for all
/// coordinates, or one after the other.
#[inline(always)]
fn add(
    dim: usize,
    weights: &[Coefficients],
    out: &mut [Vec<Lanes<f64>>],
    numbers: impl Fn(usize, usize) -> [Lanes<f64>; DEGREE],
) {
    vectorised(Add { dim, weights, out, numbers });
}

/// The loop of [`add`].
struct Add<'a, F> {
    dim: usize,
    weights: &'a [Coefficients],
    out: &'a mut [Vec<Lanes<f64>>],
    numbers: F,
}

impl<F: Fn(usize, usize) -> [Lanes<f64>; DEGREE]> pulp::NullaryFnOnce for Add<'_, F> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        let Add { dim, weights, out, numbers } = self;
        let width = weights.len() / out.len();
        for place in 0..out[0].len() {
            let (block, k) = (place / dim, place % dim);
            let z = numbers(block, k);
            for (out, weights) in out.iter_mut().zip(weights.chunks_exact(width)) {
                let w = weights[k % width];
                let to = &mut out[place];
                for i in 0..LANES {
                    to[i] +=
                        w[0].mul_add(z[0][i], w[1].mul_add(z[1][i], w[2].mul_add(z[2][i], w[3] * z[3][i])));
                }
            }
        }
    }
}
