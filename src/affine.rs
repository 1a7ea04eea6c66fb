//! States as affine maps of the noise: what makes the law of a sampler exact.
//!
//! On Gaussian data in the eigenbasis of its covariance, everything a solver can do keeps a state of
//! the form `constant + sum_k row_k z_k` per mode, where `z_0` is the initial noise and `z_1, z_2, ...` are
//! the draws in the order in which they were asked for. An [`Affine`] holds these rows for a few modes.
//! A draw that has not been asked for yet has a zero row, which is not stored: half the work of a long run.

use std::cell::RefCell;

use crate::any::{Any, Backend};
use crate::run::{Ctx, Recorded};
use crate::state::{Space, State};

/// `modes` affine functions of the noises, row-major: the constant part, the *witness* (the same run
/// on random noise, there to check that the run was affine), then rows `first..` of the draws.
#[derive(Debug, PartialEq)]
pub struct Affine {
    modes: usize,
    first: usize,
    values: Vec<f64>,
}

/// Rows before those of the draws.
const HEAD: usize = 2;

thread_local! {
    /// Memory of dropped states, for the next ones: a long run makes millions of short-lived states, and asking
    /// the system for each costs more than the arithmetic.
    static SPARE: RefCell<Vec<Vec<f64>>> = const { RefCell::new(Vec::new()) };
}

/// Most buffers a thread keeps: what the history of a multistep method and its stages may hold at once.
const MOST_SPARE: usize = 16;

/// Largest buffer kept, in values (1 MiB): beyond it the arithmetic costs more than asking the system.
const LARGEST_SPARE: usize = 1 << 17;

/// A buffer of `len` values, left over from another state: every one is to be written.
fn buffer(len: usize) -> Vec<f64> {
    let mut values = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
    values.resize(len, 0.0);
    values
}

impl Drop for Affine {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        // (`try_with`: a state may outlive the thread's locals.)
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < MOST_SPARE && values.capacity() <= LARGEST_SPARE {
                spare.push(values);
            }
        });
    }
}

impl Clone for Affine {
    fn clone(&self) -> Self {
        let mut values = buffer(self.values.len());
        values.copy_from_slice(&self.values);
        Affine { modes: self.modes, first: self.first, values }
    }
}

impl Affine {
    /// Draw number `k` by itself: zero but for a one in row `k`, and the witness's own number per mode.
    pub fn draw(k: usize, witness: &[f64]) -> Self {
        let modes = witness.len();
        let mut values = buffer((HEAD + 1) * modes);
        values[..modes].fill(0.0);
        values[modes..2 * modes].copy_from_slice(witness);
        values[HEAD * modes..].fill(1.0);
        Affine { modes, first: k, values }
    }

    /// Number of modes.
    pub fn modes(&self) -> usize {
        self.modes
    }

    /// The value when every noise is zero, per mode.
    pub fn constant(&self) -> &[f64] {
        &self.values[..self.modes]
    }

    /// The value on the witness noise, per mode.
    pub fn witness(&self) -> &[f64] {
        &self.values[self.modes..HEAD * self.modes]
    }

    /// `(k, row_k)` for every stored draw `k`.
    pub fn rows(&self) -> impl Iterator<Item = (usize, &[f64])> {
        self.values[HEAD * self.modes..]
            .chunks_exact(self.modes)
            .enumerate()
            .map(|(i, row)| (self.first + i, row))
    }

    /// `gain_j x_j + bias_j` in every mode `j`.
    pub fn map(&self, gain: &[f64], bias: &[f64]) -> Self {
        let mut values = buffer(self.values.len());
        vectorised(|| match self.modes {
            // The chunk of a run with many draws: rows of a known length need no loop of their own.
            4 => scale_rows::<4>(&self.values, gain, &mut values),
            _ => {
                for (to, row) in values.chunks_exact_mut(gain.len()).zip(self.values.chunks_exact(gain.len()))
                {
                    for ((to, x), g) in to.iter_mut().zip(row).zip(gain) {
                        *to = x * g;
                    }
                }
            }
        });
        for head in values[..HEAD * self.modes].chunks_exact_mut(self.modes) {
            for (x, b) in head.iter_mut().zip(bias) {
                *x += b;
            }
        }
        Affine { modes: self.modes, first: self.first, values }
    }

    fn draws(&self) -> usize {
        self.values.len() / self.modes - HEAD
    }

    /// Adds `c` times another map whose draws lie within this one's.
    fn add(&mut self, c: f64, other: &Self) {
        let head = HEAD * self.modes;
        let offset = (other.first - self.first) * self.modes;
        let (have, more) = self.values.split_at_mut(head);
        let (other_head, other_draws) = other.values.split_at(head);
        for (x, y) in have.iter_mut().zip(other_head) {
            *x += c * y;
        }
        for (x, y) in more[offset..].iter_mut().zip(other_draws) {
            *x += c * y;
        }
    }
}

/// Runs `f` compiled for the widest vectors this processor has. The sums and products are the same, in the same
/// order, so results do not depend on the processor.
#[inline(always)]
fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// Every row times `gain`.
#[inline(always)]
fn scale_rows<const M: usize>(rows: &[f64], gain: &[f64], out: &mut [f64]) {
    let gain: &[f64; M] = gain.try_into().expect("one gain a mode");
    let (rows, _) = rows.as_chunks::<M>();
    let (out, _) = out.as_chunks_mut::<M>();
    for (to, row) in out.iter_mut().zip(rows) {
        for j in 0..M {
            to[j] = gain[j] * row[j];
        }
    }
}

impl Space for Affine {
    fn combine(terms: &[(f64, &Self)]) -> Self {
        let modes = terms[0].1.modes;
        assert!(terms.iter().all(|(_, v)| v.modes == modes), "states of different sizes were combined");
        // The stored draws of the result: the union of those of the terms.
        let first = terms.iter().map(|(_, v)| v.first).min().expect("a term");
        let end = terms.iter().map(|(_, v)| v.first + v.draws()).max().expect("a term");
        // The widest terms that begin there make up the start of the result in one pass over memory (usually all
        // terms but a new draw); the others are added, each in a pass of its own.
        let most =
            terms.iter().filter(|(_, v)| v.first == first).map(|(_, v)| v.draws()).max().expect("a term");
        let whole = |v: &Affine| v.first == first && v.draws() == most;
        let mut wide = terms.iter().filter(|(_, v)| whole(v));
        let (one, two, three) = (wide.next(), wide.next(), wide.next());
        let len = (HEAD + end - first) * modes;
        let mut values = buffer(len);
        let (out, tail) = values.split_at_mut((HEAD + most) * modes);
        tail.fill(0.0);
        vectorised(|| match (one, two, three) {
            (Some((a, x)), Some((b, y)), Some((c, z))) => {
                for (((to, x), y), z) in out.iter_mut().zip(&x.values).zip(&y.values).zip(&z.values) {
                    *to = a * x + b * y + c * z;
                }
            }
            (Some((a, x)), Some((b, y)), None) => {
                for ((to, x), y) in out.iter_mut().zip(&x.values).zip(&y.values) {
                    *to = a * x + b * y;
                }
            }
            _ => {
                let (a, x) = one.expect("a term begins where the result does");
                for (to, x) in out.iter_mut().zip(&x.values) {
                    *to = a * x;
                }
            }
        });
        let mut sum = Affine { modes, first, values };
        for (c, v) in wide {
            sum.add(*c, v);
        }
        for (c, v) in terms.iter().filter(|(_, v)| !whole(v)) {
            sum.add(*c, v);
        }
        sum
    }

    /// Root of the expected mean square over modes; the witness takes no part.
    fn rms(&self, _: &Recorded) -> f64 {
        let square = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>();
        let total = square(self.constant()) + self.rows().map(|(_, row)| square(row)).sum::<f64>();
        (total / self.modes as f64).sqrt()
    }

    fn with_any<T>(
        cx: &mut Ctx<Self>,
        x: State<Self>,
        run: impl FnOnce(&mut Ctx<Any>, State<Any>) -> T,
    ) -> T {
        cx.with_any(x, run)
    }

    fn from_any(x: State<Any>) -> State<Self> {
        Self::unwrap(x.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_land_in_their_own_rows() {
        let (z0, z2) = (Affine::draw(0, &[0.5, -1.0]), Affine::draw(2, &[2.0, 3.0]));
        let x = Affine::combine(&[(2.0, &z0), (10.0, &z2)]);
        assert_eq!(x.constant(), [0.0, 0.0]);
        assert_eq!(x.witness(), [21.0, 28.0]);
        let rows: Vec<_> = x.rows().map(|(k, row)| (k, row.to_vec())).collect();
        assert_eq!(rows, [(0, vec![2.0, 2.0]), (1, vec![0.0, 0.0]), (2, vec![10.0, 10.0])]);
    }

    #[test]
    fn a_map_shifts_the_constant_and_the_witness_only() {
        let x = Affine::draw(1, &[1.0, 2.0]).map(&[2.0, 3.0], &[10.0, 20.0]);
        assert_eq!((x.constant(), x.witness()), (&[10.0, 20.0][..], &[12.0, 26.0][..]));
        assert_eq!(x.rows().next(), Some((1, &[2.0, 3.0][..])));
    }

    #[test]
    fn combinations_of_many_terms_equal_the_sum_term_by_term() {
        let z: Vec<Affine> = (0..6).map(|k| Affine::draw(k, &[k as f64])).collect();
        let wide = Affine::combine(&z.iter().map(|z| (1.0, z)).collect::<Vec<_>>());
        let copies = [wide.clone(), wide.clone(), wide.clone(), wide];
        let mut terms: Vec<(f64, &Affine)> =
            copies.iter().enumerate().map(|(i, v)| (i as f64 + 1.0, v)).collect();
        terms.push((100.0, &z[3]));
        let sum = Affine::combine(&terms);
        let want: Vec<f64> = (0..6).map(|k| if k == 3 { 110.0 } else { 10.0 }).collect();
        assert_eq!(sum.rows().map(|(_, row)| row[0]).collect::<Vec<_>>(), want);
        assert_eq!(sum.witness(), [15.0 * 10.0 + 300.0]);
    }

    #[test]
    fn rms_is_the_root_expected_mean_square() {
        // 3 + 4 z has E x^2 = 25.
        let x = Affine::draw(0, &[0.1]).map(&[4.0], &[3.0]);
        assert_eq!(x.rms(&Recorded(())), 5.0);
    }
}
