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

/// Adds to every `to[n]` the terms `k`, `v_k`: `sum = add(sum, v_k, k, n)`.
#[inline(always)]
pub(super) fn accumulate<'a, S: Simd, R: Real>(
    terms: impl Iterator<Item = (usize, &'a Lanes<R>)> + Clone,
    to: &mut [Lanes<R>],
    add: impl Fn(R::Register<S>, R::Register<S>, usize, usize) -> R::Register<S>,
) {
    let (tiles, last) = to.as_chunks_mut::<SUMS>();
    let before = SUMS * tiles.len();
    for (tile, to) in tiles.iter_mut().enumerate() {
        one_tile::<S, R, SUMS>(terms.clone(), to, SUMS * tile, &add);
    }
    let few = "fewer than a tile";
    match last.len() {
        0 => {}
        1 => one_tile::<S, R, 1>(terms, last.try_into().expect(few), before, &add),
        2 => one_tile::<S, R, 2>(terms, last.try_into().expect(few), before, &add),
        _ => one_tile::<S, R, 3>(terms, last.try_into().expect(few), before, &add),
    }
}

#[inline(always)]
fn one_tile<'a, S: Simd, R: Real, const N: usize>(
    terms: impl Iterator<Item = (usize, &'a Lanes<R>)> + Clone,
    to: &mut [Lanes<R>; N],
    first: usize,
    add: &impl Fn(R::Register<S>, R::Register<S>, usize, usize) -> R::Register<S>,
) {
    for pair in 0..R::registers::<S>(&to[0]).len() / 2 {
        let at = [2 * pair, 2 * pair + 1];
        let mut sums: [[R::Register<S>; 2]; N] = std::array::from_fn(|n| {
            let to = R::registers::<S>(&to[n]);
            [to[at[0]], to[at[1]]]
        });
        for (k, v) in terms.clone() {
            let v = R::registers::<S>(v);
            let v = [v[at[0]], v[at[1]]];
            for n in 0..N {
                for q in 0..2 {
                    sums[n][q] = add(sums[n][q], v[q], k, first + n);
                }
            }
        }
        for (to, sums) in to.iter_mut().zip(sums) {
            let to = R::registers_mut::<S>(to);
            [to[at[0]], to[at[1]]] = sums;
        }
    }
}
