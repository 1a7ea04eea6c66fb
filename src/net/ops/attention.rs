//! Attention, forward and backward, by panels of a few registers of queries (or keys) against all others.
//!
//! Heads lie (d, tokens), tokens side by side, so that a panel of scores is (keys, queries) with one query a lane: its
//! softmax goes down the rows, and it is what the product with the values wants for its right factor.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType, bail};
use pulp::{Simd, WithSimd};

use super::host::{in_precision, read, values};
use super::product::{Left, REGISTERS, panel_width, times_panel};
use crate::real::{Real, vectorised};

/// `v softmax(k^T q / sqrt(d))` for `q`, `k`, `v` (n, heads, d, tokens). All contiguous.
pub(super) struct Attention;

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = q_layout.shape();
        let (_, _, d, tokens) = shape.dims4()?;
        if k_layout.shape() != shape || v_layout.shape() != shape {
            bail!(
                "queries, keys and values of shapes {shape:?}, {:?}, {:?}",
                k_layout.shape(),
                v_layout.shape()
            );
        }
        let y = in_precision!(q.dtype(), T => {
            let (q, k, v) = (values::<T>(q, q_layout)?, values(k, k_layout)?, values(v, v_layout)?);
            let heads = q.chunks_exact((d * tokens).max(1)).zip(k.chunks_exact((d * tokens).max(1)));
            let mut y = vec![T::default(); q.len()];
            let values = v.chunks_exact((d * tokens).max(1)).zip(y.chunks_exact_mut((d * tokens).max(1)));
            for ((q, k), (v, y)) in heads.zip(values) {
                Head::new(d, tokens).forward(q, k, v, y);
            }
            T::to_cpu_storage_owned(y)
        });
        Ok((y, shape.clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, _, d, tokens) = q.dims4()?;
        let g = g.contiguous()?;
        in_precision!(q.dtype(), T => {
            read!(queries: T = q);
            read!(keys: T = k);
            read!(values: T = v);
            read!(mixed: T = y);
            read!(gradient: T = g);
            let mut sums = [const { Vec::new() }; 3];
            for first in (0..queries.len()).step_by((d * tokens).max(1)) {
                let head = [queries, keys, values, mixed, gradient].map(|all| &all[first..first + d * tokens]);
                for (sum, part) in sums.iter_mut().zip(Head::new(d, tokens).backward(head)) {
                    sum.extend(part);
                }
            }
            let [dq, dk, dv] = sums.map(|sum| Tensor::from_vec(sum, q.shape(), &Device::Cpu));
            Ok((Some(dq?), Some(dk?), Some(dv?)))
        })
    }
}

/// One head's shape, and room for a panel.
struct Head<T> {
    d: usize,
    tokens: usize,
    /// Offsets of a token's entries, and of an entry's tokens.
    entries: Vec<usize>,
    all: Vec<usize>,
    width: usize,
    scale: T,
}

impl<T: Real> Head<T> {
    fn new(d: usize, tokens: usize) -> Self {
        let entries = (0..d).map(|i| i * tokens).collect();
        let scale = T::from_f64(1.0 / (d as f64).sqrt());
        Self { d, tokens, entries, all: (0..tokens).collect(), width: panel_width::<T>(), scale }
    }

    fn forward(&self, q: &[T], k: &[T], v: &[T], y: &mut [T]) {
        let (keys, values) = (self.by_token(k), self.by_entry(v));
        let (mut queries, mut scores) = (self.panel(self.d), self.panel(self.tokens));
        let mut mixed = self.panel(self.d);
        for first in (0..self.tokens).step_by(self.width) {
            self.load(q, first, &mut queries);
            times_panel(&keys, &queries, &mut scores);
            let (_, over_total) = vectorised(Exponentials { scores: &mut scores, scale: self.scale });
            times_panel(&values, &scores, &mut mixed);
            let rows = mixed.chunks_exact(self.width);
            let mean = rows.flat_map(|row| row.iter().zip(&over_total).map(|(&sum, &over)| sum * over));
            self.store(&mean.collect::<Vec<_>>(), first, y);
        }
    }

    /// The gradients of `q`, `k` and `v`, given the result `y` and its gradient `g`: each panel's weights once more, for the
    /// queries of a panel and then for its keys.
    fn backward(&self, [q, k, v, y, g]: [&[T]; 5]) -> [Vec<T>; 3] {
        let mut gradients = [const { Vec::new() }; 3].map(|_: Vec<T>| vec![T::ZERO; q.len()]);
        let [dq, dk, dv] = &mut gradients;
        let mut projection = vec![T::ZERO; self.tokens.next_multiple_of(self.width)];
        for (g, y) in g.chunks_exact(self.tokens).zip(y.chunks_exact(self.tokens)) {
            for ((sum, &g), &y) in projection.iter_mut().zip(g).zip(y) {
                *sum = g.mul_add(y, *sum);
            }
        }
        let mut peaks = Vec::with_capacity(projection.len());
        let mut over_totals = Vec::with_capacity(projection.len());
        let [mut left, mut right, mut out] = [const { Vec::new() }; 3].map(|_: Vec<T>| self.panel(self.d));
        let (mut weights, mut slopes) = (self.panel(self.tokens), self.panel(self.tokens));
        let (keys, values, across) = (self.by_token(k), self.by_token(v), self.by_entry(k));
        for first in (0..self.tokens).step_by(self.width) {
            self.load(q, first, &mut left);
            self.load(g, first, &mut right);
            times_panel(&keys, &left, &mut weights);
            let (peak, over_total) = vectorised(Exponentials { scores: &mut weights, scale: self.scale });
            times_panel(&values, &right, &mut slopes);
            let queries = [&projection[first..first + self.width], &over_total];
            vectorised(QuerySlopes { slopes: &mut slopes, weights: &weights, queries, scale: self.scale });
            times_panel(&across, &slopes, &mut out);
            self.store(&out, first, dq);
            peaks.extend(peak);
            over_totals.extend(over_total);
        }
        let (queries, arrived) = (self.by_token(q), self.by_token(g));
        let (across, arrived_across) = (self.by_entry(q), self.by_entry(g));
        for first in (0..self.tokens).step_by(self.width) {
            self.load(k, first, &mut left);
            self.load(v, first, &mut right);
            times_panel(&queries, &left, &mut weights);
            times_panel(&arrived, &right, &mut slopes);
            vectorised(KeySlopes {
                slopes: &mut slopes,
                weights: &mut weights,
                queries: [&projection, &peaks, &over_totals],
                scale: self.scale,
            });
            times_panel(&arrived_across, &weights, &mut out);
            self.store(&out, first, dv);
            times_panel(&across, &slopes, &mut out);
            self.store(&out, first, dk);
        }
        gradients
    }

    fn panel(&self, rows: usize) -> Vec<T> {
        vec![T::ZERO; rows * self.width]
    }

    /// (tokens, d), to be multiplied by a panel of other tokens.
    fn by_token(&self, head: &[T]) -> Left<T> {
        Left::pack(head, self.tokens, 1, &self.entries)
    }

    /// (d, tokens), to be multiplied by a panel of weights.
    fn by_entry(&self, head: &[T]) -> Left<T> {
        Left::pack(head, self.d, self.tokens, &self.all)
    }

    /// Copies tokens from `first` on; columns past the last keep what they were.
    fn load(&self, head: &[T], first: usize, panel: &mut [T]) {
        let n = self.width.min(self.tokens - first);
        for (row, panel) in head.chunks_exact(self.tokens).zip(panel.chunks_exact_mut(self.width)) {
            panel[..n].copy_from_slice(&row[first..first + n]);
        }
    }

    fn store(&self, panel: &[T], first: usize, head: &mut [T]) {
        let n = self.width.min(self.tokens - first);
        for (row, panel) in head.chunks_exact_mut(self.tokens).zip(panel.chunks_exact(self.width)) {
            row[first..first + n].copy_from_slice(&panel[..n]);
        }
    }
}

/// `e^(scale (score - peak))` of each score, with the peaks of the columns and one over the sums.
struct Exponentials<'a, T> {
    scores: &'a mut [T],
    scale: T,
}

impl<T: Real> WithSimd for Exponentials<'_, T> {
    type Output = (Vec<T>, Vec<T>);
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let Self { scores, scale } = self;
        let by = T::splat(simd, scale);
        let mut rows = T::registers_mut::<S>(scores).as_chunks_mut::<REGISTERS>().0.iter_mut();
        let Some(first) = rows.next() else { return Default::default() };
        let peak = rows.fold(*first, |peak, row| std::array::from_fn(|i| T::larger(simd, peak[i], row[i])));
        for row in T::registers_mut::<S>(scores).as_chunks_mut::<REGISTERS>().0 {
            *row = std::array::from_fn(|i| T::times(simd, by, T::minus(simd, row[i], peak[i])));
        }
        for x in scores.iter_mut() {
            *x = x.exp();
        }
        let mut total = [T::splat(simd, T::ZERO); REGISTERS];
        for row in T::registers::<S>(scores).as_chunks::<REGISTERS>().0 {
            total = std::array::from_fn(|i| T::plus(simd, total[i], row[i]));
        }
        let one = T::splat(simd, T::ONE);
        (stored::<S, T>(peak), stored::<S, T>(total.map(|total| T::over(simd, one, total))))
    }
}

#[inline(always)]
fn stored<S: Simd, T: Real>(row: [T::Register<S>; REGISTERS]) -> Vec<T> {
    let mut values = vec![T::ZERO; size_of_val(&row) / size_of::<T>()];
    T::registers_mut::<S>(&mut values).copy_from_slice(&row);
    values
}

/// The gradient of scores (keys, queries), in place of that of their weights, those as [`Exponentials`] leave them:
/// `scale weight (slope - projection)`.
struct QuerySlopes<'a, T> {
    slopes: &'a mut [T],
    weights: &'a [T],
    /// Of each query: the product of its result and that result's gradient, and one over its sum.
    queries: [&'a [T]; 2],
    scale: T,
}

impl<T: Real> WithSimd for QuerySlopes<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let [projection, over_total] = self.queries.map(T::registers::<S>);
        let by = T::splat(simd, self.scale);
        let by: [_; REGISTERS] = std::array::from_fn(|i| T::times(simd, by, over_total[i]));
        let slopes = T::registers_mut::<S>(self.slopes).as_chunks_mut::<REGISTERS>().0;
        for (slope, weight) in
            slopes.iter_mut().zip(T::registers::<S>(self.weights).as_chunks::<REGISTERS>().0)
        {
            *slope = std::array::from_fn(|i| {
                T::times(simd, T::times(simd, by[i], weight[i]), T::minus(simd, slope[i], projection[i]))
            });
        }
    }
}

/// The same for scores (queries, keys), and the weights in their place.
struct KeySlopes<'a, T> {
    slopes: &'a mut [T],
    weights: &'a mut [T],
    /// Of each query: the product as above, its peak, and one over its sum.
    queries: [&'a [T]; 3],
    scale: T,
}

impl<T: Real> WithSimd for KeySlopes<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { slopes, weights, queries: [projection, peaks, over_totals], scale } = self;
        let by = T::splat(simd, scale);
        for (row, &peak) in
            T::registers_mut::<S>(weights).as_chunks_mut::<REGISTERS>().0.iter_mut().zip(peaks)
        {
            let peak = T::splat(simd, peak);
            *row = row.map(|x| T::times(simd, by, T::minus(simd, x, peak)));
        }
        for x in weights.iter_mut() {
            *x = x.exp();
        }
        let weights = T::registers_mut::<S>(weights).as_chunks_mut::<REGISTERS>().0;
        let panels = weights.iter_mut().zip(T::registers_mut::<S>(slopes).as_chunks_mut::<REGISTERS>().0);
        for ((weight, slope), (&projection, &over_total)) in panels.zip(projection.iter().zip(over_totals)) {
            let (projection, over_total) = (T::splat(simd, projection), T::splat(simd, over_total));
            *weight = weight.map(|x| T::times(simd, x, over_total));
            *slope = std::array::from_fn(|i| {
                T::times(simd, T::times(simd, by, weight[i]), T::minus(simd, slope[i], projection))
            });
        }
    }
}
