//! Products of matrices on one thread, `c += a b`, with `a` packed once and `b` gathered from wherever its columns lie.
//!
//! A panel of a few registers of columns of `b` is gathered at a time, so that a convolution never writes its matrix of
//! patches to memory. An entry of `c` is a sum over the depth in a fixed order, whatever its neighbours and however wide
//! the registers are: the result for an image depends neither on the rest of the batch nor on the processor.

use pulp::{Simd, WithSimd};

use crate::real::{Real, vectorised};

/// Depth of a block: what of a panel stays in the first-level cache. Each block's sum is added to `c` on its own.
const DEPTH: usize = 256;
/// Columns for which a block of `a` is used before the next is loaded.
const COLUMNS: usize = 1024;

/// `c[row, column] += sum_k a[row, k] b[k, column]`, with `b[k, column]` at `b[depth[k] + column.from]` and
/// `c[row, column]` at `c[row * row_stride + column.to]`, for all columns of `runs`.
pub fn add_product<T: Real>(a: &Left<T>, b: Right<T>, c: &mut [T], row_stride: usize) {
    vectorised(Product { a, b, c, row_stride });
}

/// Columns of a panel.
pub fn panel_width<T: Real>() -> usize {
    vectorised(Tile::<T>::default()).1
}

/// `c = a panel`, for a panel of `a`'s depth: rows of [`panel_width`] entries each, as those of `c`.
pub fn times_panel<T: Real>(a: &Left<T>, panel: &[T], c: &mut [T]) {
    c.fill(T::ZERO);
    vectorised(PanelProduct { a, panel, c });
}

/// The right factor, by where its entries are.
#[derive(Clone, Copy)]
pub struct Right<'a, T> {
    /// What the offsets point into.
    pub values: &'a [T],
    /// One offset for each k.
    pub depth: &'a [usize],
    /// The columns, in runs of `length` each.
    pub runs: &'a [Run],
    /// One that [`run_length`] gave.
    pub length: usize,
}

/// Columns side by side, both where they are read and where their results go.
#[derive(Clone, Copy)]
pub struct Run {
    /// Offset of the first in the right factor.
    pub from: usize,
    /// Offset of the first in the product.
    pub to: usize,
}

/// The longest length of runs that `columns` side by side can be cut into.
pub fn run_length<T: Real>(columns: usize) -> usize {
    let width = panel_width::<T>();
    [16, 8, 4, 2].into_iter().find(|&l| columns.is_multiple_of(l) && width.is_multiple_of(l)).unwrap_or(1)
}

/// The left factor, packed: strips of rows whose entries of one k lie side by side.
pub struct Left<T> {
    packed: Vec<T>,
    rows: usize,
    depth: usize,
}

impl<T: Real> Left<T> {
    /// `a[row, k] = values[row * row_stride + depth[k]]`.
    pub fn pack(values: &[T], rows: usize, row_stride: usize, depth: &[usize]) -> Self {
        let mut packed = vec![T::ZERO; rows * depth.len()];
        let tallest = vectorised(Tile::<T>::default()).0;
        for (row, height) in strips(rows, tallest) {
            let strip = &mut packed[row * depth.len()..][..height * depth.len()];
            let values = &values[row * row_stride..];
            for (entries, &k) in strip.chunks_exact_mut(height).zip(depth) {
                for (i, entry) in entries.iter_mut().enumerate() {
                    *entry = values[i * row_stride + k];
                }
            }
        }
        Self { packed, rows, depth: depth.len() }
    }
}

/// First row and height of each strip: as many of the tallest as fit, then 4, 2 and 1.
#[inline(always)]
fn strips(rows: usize, tallest: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut row = 0;
    std::iter::from_fn(move || {
        let height = [tallest, 4, 2, 1].into_iter().find(|&height| height <= rows - row)?;
        row += height;
        Some((row - height, height))
    })
}

/// Registers of columns in a panel.
pub const REGISTERS: usize = 2;

/// Rows of the tallest strip and columns of a panel, such that a tile's sums and operands fit the registers.
#[inline(always)]
fn tile<S: Simd, T: Real>() -> (usize, usize) {
    let lanes = size_of::<T::Register<S>>() / size_of::<T>();
    (if S::REGISTER_COUNT < 32 { 6 } else { 8 }, REGISTERS * lanes)
}

#[derive(Default)]
struct Tile<T>(std::marker::PhantomData<T>);

impl<T: Real> WithSimd for Tile<T> {
    type Output = (usize, usize);
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        tile::<S, T>()
    }
}

struct Product<'a, T> {
    a: &'a Left<T>,
    b: Right<'a, T>,
    c: &'a mut [T],
    row_stride: usize,
}

impl<T: Real> WithSimd for Product<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { a, b, c, row_stride } = self;
        let width = tile::<S, T>().1;
        let mut panel = vec![T::ZERO; width * DEPTH.min(a.depth)];
        for runs in b.runs.chunks(COLUMNS / b.length) {
            for start in (0..a.depth).step_by(DEPTH) {
                let depth = &b.depth[start..a.depth.min(start + DEPTH)];
                for runs in runs.chunks(width / b.length) {
                    let panel = &mut panel[..width * depth.len()];
                    let b = Right { depth, runs, ..b };
                    match b.length {
                        16 => gather::<T, 16>(b, panel, width),
                        8 => gather::<T, 8>(b, panel, width),
                        4 => gather::<T, 4>(b, panel, width),
                        2 => gather::<T, 2>(b, panel, width),
                        _ => gather::<T, 1>(b, panel, width),
                    }
                    add_panel(simd, a, start, panel, &Target { runs, length: b.length, row_stride }, c);
                }
            }
        }
    }
}

struct PanelProduct<'a, T> {
    a: &'a Left<T>,
    panel: &'a [T],
    c: &'a mut [T],
}

impl<T: Real> WithSimd for PanelProduct<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = tile::<S, T>().1;
        let target = Target { runs: &[Run { from: 0, to: 0 }], length: width, row_stride: width };
        add_panel(simd, self.a, 0, self.panel, &target, self.c);
    }
}

/// Copies one panel's columns of `b`, row by row.
#[inline(always)]
fn gather<T: Real, const LENGTH: usize>(b: Right<T>, panel: &mut [T], width: usize) {
    for (row, &k) in panel.chunks_exact_mut(width).zip(b.depth) {
        for (to, run) in row.as_chunks_mut::<LENGTH>().0.iter_mut().zip(b.runs) {
            let from = k + run.from;
            to.copy_from_slice(&b.values[from..from + LENGTH]);
        }
    }
}

/// Where a panel's columns go.
struct Target<'a> {
    runs: &'a [Run],
    length: usize,
    row_stride: usize,
}

/// Adds to `c` the product of `a` from depth `start` on with a panel.
#[inline(always)]
fn add_panel<S: Simd, T: Real>(
    simd: S,
    a: &Left<T>,
    start: usize,
    panel: &[T],
    target: &Target,
    c: &mut [T],
) {
    let (tallest, width) = tile::<S, T>();
    let depth = panel.len() / width;
    for (row, height) in strips(a.rows, tallest) {
        let strip = &a.packed[row * a.depth + start * height..][..depth * height];
        let c = &mut c[row * target.row_stride..];
        match height {
            8 => add_strip::<S, T, 8>(simd, strip, panel, target, c),
            6 => add_strip::<S, T, 6>(simd, strip, panel, target, c),
            4 => add_strip::<S, T, 4>(simd, strip, panel, target, c),
            2 => add_strip::<S, T, 2>(simd, strip, panel, target, c),
            _ => add_strip::<S, T, 1>(simd, strip, panel, target, c),
        }
    }
}

#[inline(always)]
fn add_strip<S: Simd, T: Real, const HEIGHT: usize>(
    simd: S,
    strip: &[T],
    panel: &[T],
    target: &Target,
    c: &mut [T],
) {
    let mut sums = [[T::splat(simd, T::ZERO); REGISTERS]; HEIGHT];
    let columns = T::registers::<S>(panel).as_chunks::<REGISTERS>().0;
    for (a, b) in strip.as_chunks::<HEIGHT>().0.iter().zip(columns) {
        for i in 0..HEIGHT {
            let a = T::splat(simd, a[i]);
            for j in 0..REGISTERS {
                sums[i][j] = T::fused(simd, a, b[j], sums[i][j]);
            }
        }
    }
    let Target { runs, length, row_stride } = *target;
    let width = tile::<S, T>().1;
    let together = runs[runs.len() - 1].to == runs[0].to + (runs.len() - 1) * length;
    if together && runs.len() * length == width {
        for (i, sums) in sums.iter().enumerate() {
            let c = T::registers_mut::<S>(&mut c[i * row_stride + runs[0].to..][..width]);
            for (c, &sum) in c.iter_mut().zip(sums) {
                *c = T::plus(simd, *c, sum);
            }
        }
        return;
    }
    let mut row = [T::ZERO; 64];
    for (i, sums) in sums.iter().enumerate() {
        T::registers_mut::<S>(&mut row[..width]).copy_from_slice(sums);
        for (from, run) in row.chunks_exact(length).zip(runs) {
            for (c, &sum) in c[i * row_stride + run.to..][..length].iter_mut().zip(from) {
                *c += sum;
            }
        }
    }
}
