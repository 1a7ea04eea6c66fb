//! Host batches: samples in `f32` or `f64`, for Monte-Carlo runs and for models that are not affine.
//!
//! Samples lie in blocks of [`LANES`], and within a block coordinate by coordinate: one coordinate of a block is an
//! array of fixed length, and a loop over it becomes a few vector instructions. Blocks are always whole; the last one's
//! surplus are further samples that nobody reads.

use std::ops::{Deref, DerefMut};

use crate::any::{Any, Backend};
use crate::real::{Real, vectorised};
use crate::run::{Ctx, Recorded};
use crate::state::{Lin, Space, State};

/// Samples in a block.
pub const LANES: usize = 32;

/// One coordinate of a block of samples.
pub type Lanes<R> = [R; LANES];

/// `len` samples of `dim` coordinates. `first` is the global index of the first one, so that the noise of a sample does
/// not depend on how samples are cut into batches.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<R = f64> {
    dim: usize,
    first: u64,
    len: usize,
    rounding: Rounding,
    blocks: Aligned<R>,
}

/// Coordinates of blocks, the first at the start of a cache line: a register loaded across two lines costs as much as two.
#[derive(Debug)]
pub(crate) struct Aligned<T> {
    values: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Clone> Aligned<T> {
    /// So many coordinates of one value.
    pub(crate) fn filled(coordinates: usize, value: T) -> Self {
        const LINE: usize = 64;
        let (len, spare) = (coordinates * LANES, LINE / size_of::<T>());
        let values = vec![value; len + spare];
        let start = values.as_ptr().align_offset(LINE).min(spare);
        Aligned { values, start, len }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [Lanes<T>];
    fn deref(&self) -> &[Lanes<T>] {
        self.values[self.start..self.start + self.len].as_chunks().0
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [Lanes<T>] {
        self.values[self.start..self.start + self.len].as_chunks_mut().0
    }
}

impl<T: Clone> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        let mut copy = Aligned::filled(self.len / LANES, self.values[0].clone());
        copy.clone_from_slice(self);
        copy
    }
}

impl<T: PartialEq> PartialEq for Aligned<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// What every state is rounded to after it is computed: a state of a narrower type than it is computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// The type itself.
    #[default]
    None,
    /// IEEE 754 binary16: 11 bits, up to 65504.
    F16,
    /// bfloat16: 8 bits, the range of `f32`.
    Bf16,
}

impl Rounding {
    fn apply<R: Real>(self, blocks: &mut [Lanes<R>]) {
        let round: fn(f32) -> f32 = match self {
            Rounding::None => return,
            Rounding::F16 => |x| half::f16::from_f32(x).to_f32(),
            Rounding::Bf16 => |x| half::bf16::from_f32(x).to_f32(),
        };
        for x in blocks.as_flattened_mut() {
            *x = R::from_f64(round(x.to_f64() as f32).into());
        }
    }
}

impl<R: Real> Batch<R> {
    /// `len` samples at the origin, numbered from `first`.
    ///
    /// # Panics
    /// If there are no coordinates.
    pub fn zeros(dim: usize, first: u64, len: usize) -> Self {
        assert!(dim > 0, "a sample has a coordinate");
        let blocks = Aligned::filled(dim * len.div_ceil(LANES), R::ZERO);
        Batch { dim, first, len, rounding: Rounding::None, blocks }
    }

    /// Samples given one after the other, numbered from 0.
    ///
    /// # Panics
    /// If the values do not make whole samples.
    pub fn from_rows(dim: usize, values: Vec<R>) -> Self {
        assert!(dim > 0 && values.len().is_multiple_of(dim), "values must make whole rows");
        let mut batch = Self::zeros(dim, 0, values.len() / dim);
        for (i, row) in values.chunks_exact(dim).enumerate() {
            for (j, x) in row.iter().enumerate() {
                batch.blocks[i / LANES * dim + j][i % LANES] = *x;
            }
        }
        batch
    }

    /// The same samples, numbered from `first`.
    pub fn numbered(mut self, first: u64) -> Self {
        self.first = first;
        self
    }

    /// The same samples, rounded, as will be whatever is computed from them.
    pub fn rounded(mut self, rounding: Rounding) -> Self {
        self.rounding = rounding;
        rounding.apply(&mut self.blocks);
        self
    }

    /// The samples one after the other.
    pub fn to_rows(&self) -> Vec<R> {
        let mut rows = Vec::with_capacity(self.len * self.dim);
        for block in self.blocks() {
            let most = (self.len - rows.len() / self.dim).min(LANES);
            for lane in 0..most {
                rows.extend(block.iter().map(|x| x[lane]));
            }
        }
        rows
    }

    /// Coordinates of a sample.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Global index of the first sample.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Blocks of `dim` coordinates each, the surplus of the last one included.
    pub fn blocks(&self) -> std::slice::ChunksExact<'_, Lanes<R>> {
        self.blocks.chunks_exact(self.dim)
    }

    /// A batch of the same shape and numbering: each block filled by `fill(block, out)`, which is to write every
    /// coordinate. Compiled for the widest vectors there are, if `fill` is inlined.
    #[inline(always)]
    pub fn map_blocks(&self, fill: impl FnMut(&[Lanes<R>], &mut [Lanes<R>])) -> Self {
        let mut out = self.like();
        vectorised(MapBlocks { from: &self.blocks, to: &mut out.blocks, dim: self.dim, fill });
        self.rounding.apply(&mut out.blocks);
        out
    }

    fn like(&self) -> Self {
        Batch { blocks: Aligned::filled(self.blocks.len(), R::ZERO), ..*self }
    }
}

/// The loop of [`Batch::map_blocks`].
struct MapBlocks<'a, R, F> {
    from: &'a [Lanes<R>],
    to: &'a mut [Lanes<R>],
    dim: usize,
    fill: F,
}

impl<R: Real, F: FnMut(&[Lanes<R>], &mut [Lanes<R>])> pulp::NullaryFnOnce for MapBlocks<'_, R, F> {
    type Output = ();
    #[inline(always)]
    fn call(mut self) {
        for (from, to) in self.from.chunks_exact(self.dim).zip(self.to.chunks_exact_mut(self.dim)) {
            (self.fill)(from, to);
        }
    }
}

/// `to = sum_k c_k v_k` over values in any order, up to four terms in a pass: what combinations on the host are, whatever
/// holds the values.
///
/// # Panics
/// If there are no terms.
pub(crate) fn combine<R: Real>(terms: &[(f64, &[R])], to: &mut [R]) {
    vectorised(Combine { terms, to });
}

struct Combine<'a, R> {
    terms: &'a [(f64, &'a [R])],
    to: &'a mut [R],
}

impl<R: Real> pulp::NullaryFnOnce for Combine<'_, R> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        let Combine { terms, to } = self;
        let (wide, rest) = terms.split_at(terms.len().min(4));
        let of = |k: usize| (R::from_f64(wide[k].0), wide[k].1);
        match wide.len() {
            1 => {
                let (a, x) = of(0);
                for (to, x) in to.iter_mut().zip(x) {
                    *to = a * *x;
                }
            }
            2 => {
                let ((a, x), (b, y)) = (of(0), of(1));
                for ((to, x), y) in to.iter_mut().zip(x).zip(y) {
                    *to = b.mul_add(*y, a * *x);
                }
            }
            3 => {
                let ((a, x), (b, y), (c, z)) = (of(0), of(1), of(2));
                for (((to, x), y), z) in to.iter_mut().zip(x).zip(y).zip(z) {
                    *to = c.mul_add(*z, b.mul_add(*y, a * *x));
                }
            }
            _ => {
                let ((a, x), (b, y), (c, z), (d, w)) = (of(0), of(1), of(2), of(3));
                for ((((to, x), y), z), w) in to.iter_mut().zip(x).zip(y).zip(z).zip(w) {
                    *to = d.mul_add(*w, c.mul_add(*z, b.mul_add(*y, a * *x)));
                }
            }
        }
        for (c, v) in rest {
            let c = R::from_f64(*c);
            for (to, x) in to.iter_mut().zip(*v) {
                *to = c.mul_add(*x, *to);
            }
        }
    }
}

/// A precision that batches come in: what the registry can run solvers on.
pub trait Precision: Real {
    #[doc(hidden)]
    fn wrap(x: State<Batch<Self>>) -> Any;
    #[doc(hidden)]
    fn unwrap(x: Any) -> State<Batch<Self>>;
    #[doc(hidden)]
    fn peek(x: &Any) -> &State<Batch<Self>>;
}

impl<R: Precision> Space for Batch<R> {
    fn combine(terms: &[(f64, &Self)]) -> Self {
        let v = terms[0].1;
        let shape = |w: &Self| (w.dim, w.first, w.len);
        assert!(terms.iter().all(|(_, w)| shape(w) == shape(v)), "batches of different shapes were combined");
        let mut out = v.like();
        let mut flat = [(0.0, &[][..]); Lin::<Any>::MAX];
        for (slot, (c, v)) in flat.iter_mut().zip(terms) {
            *slot = (*c, v.blocks.as_flattened());
        }
        combine(&flat[..terms.len()], out.blocks.as_flattened_mut());
        out.rounding.apply(&mut out.blocks);
        out
    }

    fn rms(&self, _: &Recorded) -> f64 {
        let squares = self.to_rows().iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>();
        (squares / (self.len * self.dim) as f64).sqrt()
    }

    fn with_any<T>(
        cx: &mut Ctx<Self>,
        x: State<Self>,
        run: impl FnOnce(&mut Ctx<Any>, State<Any>) -> T,
    ) -> T {
        cx.with_any(x, run)
    }

    fn from_any(x: State<Any>) -> State<Self> {
        <Self as Backend>::unwrap(x.0)
    }
}
