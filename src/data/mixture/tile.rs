//! Sums over coordinates or components, for a block of samples: the matrix products behind a mixture's score.
//!
//! A tile of four sums times two registers of samples stays in registers from the first term to the last: eight chains
//! hide the latency of a fused product, and two loads of samples and four of constants feed eight of them. Every sample's
//! sum is taken in the order of the terms, whatever the registers' width.

use pulp::Simd;

use crate::batch::Lanes;
use crate::real::Real;

/// Sums in a tile.
const SUMS: usize = 4;

/// Sets every `to[n]` to `end(to[n], sum, n)`, where each term `(k, v)` has changed the sum, from 0, to
/// `add(sum, v, c)` with `c` the constants `[k][n]` of the tables.
#[inline(always)]
pub(super) fn accumulate<'a, S: Simd, R: Real, const T: usize>(
    simd: S,
    terms: impl Iterator<Item = (usize, &'a Lanes<R>)> + Clone,
    tables: [&[R]; T],
    to: &mut [Lanes<R>],
    add: impl Fn(S, R::Register<S>, R::Register<S>, [R::Register<S>; T]) -> R::Register<S>,
    end: impl Fn(S, R::Register<S>, R::Register<S>, usize) -> R::Register<S>,
) {
    let width = to.len();
    let (tiles, last) = to.as_chunks_mut::<SUMS>();
    let before = SUMS * tiles.len();
    for (tile, to) in tiles.iter_mut().enumerate() {
        one_tile::<S, R, T, SUMS>(simd, terms.clone(), tables, width, SUMS * tile, to, &add, &end);
    }
    let few = "fewer than a tile";
    match last.len() {
        0 => {}
        1 => {
            let to = last.try_into().expect(few);
            one_tile::<S, R, T, 1>(simd, terms, tables, width, before, to, &add, &end);
        }
        2 => {
            let to = last.try_into().expect(few);
            one_tile::<S, R, T, 2>(simd, terms, tables, width, before, to, &add, &end);
        }
        _ => {
            let to = last.try_into().expect(few);
            one_tile::<S, R, T, 3>(simd, terms, tables, width, before, to, &add, &end);
        }
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "they are those of `accumulate`, and where the tile lies")]
fn one_tile<'a, S: Simd, R: Real, const T: usize, const N: usize>(
    simd: S,
    terms: impl Iterator<Item = (usize, &'a Lanes<R>)> + Clone,
    tables: [&[R]; T],
    width: usize,
    first: usize,
    to: &mut [Lanes<R>; N],
    add: &impl Fn(S, R::Register<S>, R::Register<S>, [R::Register<S>; T]) -> R::Register<S>,
    end: &impl Fn(S, R::Register<S>, R::Register<S>, usize) -> R::Register<S>,
) {
    for pair in 0..R::registers::<S>(&to[0]).len() / 2 {
        let mut sums = [[R::splat(simd, R::ZERO); 2]; N];
        for (k, v) in terms.clone() {
            let v = R::registers::<S>(v);
            let v = [v[2 * pair], v[2 * pair + 1]];
            let rows = tables.map(
                #[inline(always)]
                |table| table[k * width + first..].first_chunk::<N>().expect("a row has a constant a sum"),
            );
            for n in 0..N {
                let c = rows.map(
                    #[inline(always)]
                    |row| R::splat(simd, row[n]),
                );
                for q in 0..2 {
                    sums[n][q] = add(simd, sums[n][q], v[q], c);
                }
            }
        }
        for (n, (to, sums)) in to.iter_mut().zip(sums).enumerate() {
            let to = R::registers_mut::<S>(to);
            for q in 0..2 {
                to[2 * pair + q] = end(simd, to[2 * pair + q], sums[q], first + n);
            }
        }
    }
}

/// A term of a matrix product.
#[inline(always)]
pub(super) fn fused<S: Simd, R: Real>(
    simd: S,
    sum: R::Register<S>,
    v: R::Register<S>,
    [c]: [R::Register<S>; 1],
) -> R::Register<S> {
    R::fused(simd, c, v, sum)
}

/// The sum itself.
#[inline(always)]
pub(super) fn replace<S: Simd, R: Real>(
    _: S,
    _: R::Register<S>,
    sum: R::Register<S>,
    _: usize,
) -> R::Register<S> {
    sum
}

/// Registers of two coordinates, pair by pair.
#[inline(always)]
pub(super) fn zip<'a, S: Simd, R: Real>(
    a: &'a Lanes<R>,
    b: &'a Lanes<R>,
) -> impl Iterator<Item = (&'a R::Register<S>, &'a R::Register<S>)> {
    R::registers::<S>(a).iter().zip(R::registers::<S>(b))
}

/// The same, the first to write to.
#[inline(always)]
pub(super) fn zip_mut<'a, S: Simd, R: Real>(
    a: &'a mut Lanes<R>,
    b: &'a Lanes<R>,
) -> impl Iterator<Item = (&'a mut R::Register<S>, &'a R::Register<S>)> {
    R::registers_mut::<S>(a).iter_mut().zip(R::registers::<S>(b))
}
