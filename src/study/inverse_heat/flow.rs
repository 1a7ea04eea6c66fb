//! The same density under the probability flow of its own score: `dx = -(1/2) score dt`, from `t` back to 0.
//!
//! On the line the flow is the monotone map `T = F_0^{-1} F_t`. A perturbation `n` of the density at `t` becomes
//! `n(S(y)) S'(y)` with `S = T^{-1}`: its L1 norm stays, its L2 norm grows by at most `sup sqrt(S')`, and its
//! Kantorovich-Rubinstein norm, which is W1 between laws, by at most the Lipschitz constant `sup T' = sup p_t(x)/p_0(T(x))`.

use super::super::heat::{LineMixture, brownian, density, norm};
use super::super::line::largest;
use super::{AGAIN, AMPLIFICATION, BIAS, BY_WIDTH, ERROR, InverseHeat, LIPSCHITZ, size};
use crate::batch::Batch;
use crate::data::mixture::{Line, Mixture};
use crate::data::{CLEAN, Data};
use crate::flow::integrate;
use crate::parallel;
use crate::run::Denoiser;
use crate::state::State;
use crate::study::Findings;

/// Cells in which integrals over the line are cut.
const FINE: usize = 4800;

/// In which perturbations are measured.
const NORMS: [&str; 3] = ["L1", "L2", "W1"];

/// Steps of Runge and Kutta's method from `t` to 0.
const STEPS: usize = 200;

/// The inverse `S` of the flow's map `T` from `t` to 0: from a point of the answer to where it came from. All is measured
/// along the answer's line, where a steep `T` is resolved.
struct Origin<'a> {
    law: &'a Mixture,
    t: f64,
    lines: [Line; 2],
}

impl<'a> Origin<'a> {
    fn new(law: &'a Mixture, t: f64) -> Option<Self> {
        Some(Origin { law, t, lines: [law.line(&CLEAN)?, law.line(&brownian(t))?] })
    }

    /// `(S(y), S'(y))` at every point, `S' = p_0(y)/p_t(S(y))`.
    fn of(&self, y: &[f64]) -> Vec<(f64, f64)> {
        let x: Vec<f64> = y.iter().map(|y| self.lines[0].transport(*y, &self.lines[1])).collect();
        let logs = |t: f64, x: &[f64]| self.law.log_density(&Batch::from_rows(1, x.to_vec()), &brownian(t));
        let slopes: Vec<f64> =
            logs(0.0, y).iter().zip(logs(self.t, &x)).map(|(p, q)| (p - q).exp()).collect();
        x.into_iter().zip(slopes).collect()
    }

    /// Where `T` is steepest, and its slope there, which is its Lipschitz constant.
    fn steepest(&self, y: &[f64]) -> (f64, f64) {
        let flattest =
            self.of(y).into_iter().fold((0.0, f64::INFINITY), |a, b| if b.1 < a.1 { b } else { a });
        (flattest.0, 1.0 / flattest.1)
    }
}

impl InverseHeat {
    pub(super) fn flow(&self, law: &Mixture, found: &mut Findings) {
        for rows in parallel::map(&self.times, |&t| self.flow_from(law, t)) {
            found.rows.extend(rows.rows);
        }
        let xi = self.line().frequencies();
        let shown: Vec<f64> = self.shown().into_iter().map(|k| xi[k]).collect();
        let Some(origin) = Origin::new(law, self.time) else { return };
        let seen = origin.of(&self.fine());
        for (xi, norms) in shown.iter().zip(parallel::map(&shown, |xi| self.wave(&seen, *xi))) {
            for (norm, value) in NORMS.into_iter().zip(norms).skip(1) {
                found.put(AMPLIFICATION, format!("reverse flow, {norm}"), *xi, value);
            }
        }
        for rows in parallel::map(&self.widths, |&std| self.two_modes(std)) {
            found.rows.extend(rows.rows);
        }
    }

    /// Points on which suprema and integrals are taken.
    fn fine(&self) -> Vec<f64> {
        let step = 2.0 * self.half_width / FINE as f64;
        (0..=FINE).map(|i| i as f64 * step - self.half_width).collect()
    }

    /// All that depends on where the flow starts.
    fn flow_from(&self, law: &Mixture, t: f64) -> Findings {
        let mut found = Findings::default();
        let Some(origin) = Origin::new(law, t) else { return found };
        let (place, steepest) = origin.steepest(&self.fine());
        found.put(LIPSCHITZ, "sup p_t(x)/p_0(T(x))", t, steepest);
        found.put(LIPSCHITZ, "difference quotient, integrated flow", t, quotient(law, t, place));
        let (norms, error) = self.white_noise(&origin);
        for (norm, value) in NORMS.into_iter().zip(norms) {
            found.put(AGAIN, norm, t, value);
        }
        found.put(ERROR, format!("reverse flow, {}", size(self.perturbations[0])), t, error);
        for bias in [1e-2, 1e-4] {
            let worst = displacement(law, t, bias, self.half_width) / bias;
            found.put(BIAS, format!("bias {}", size(bias)), t, worst);
        }
        found.put(BIAS, "(1/2) int of Lipschitz constants", t, bias_bound(law, t, &self.fine()));
        found
    }

    /// The white noise of the other inversions, constant in each cell, through the flow: norms out over norms in, and the
    /// relative L2 error that it makes of the first perturbation.
    fn white_noise(&self, origin: &Origin) -> ([f64; 3], f64) {
        let (noise, width) = (self.white(0), self.line().width());
        let sums = noise.iter().scan(0.0, |sum, z| {
            let before = *sum;
            *sum += z * width;
            Some(before)
        });
        let sums: Vec<f64> = sums.collect();
        let value = |x: f64| {
            let place = (x + self.half_width) / width;
            let cell = (place.max(0.0) as usize).min(noise.len() - 1);
            (noise[cell], sums[cell] + noise[cell] * width * (place - cell as f64))
        };
        let seen = origin.of(&self.fine());
        let norms = self.norms(&seen, value);
        let it = self.diffused(origin.law, origin.t);
        let relative = norm(noise.iter().copied()) / norm(it.before);
        (norms, self.perturbations[0] * it.top * relative * norms[1])
    }

    /// What becomes of `cos(xi x)`.
    fn wave(&self, seen: &[(f64, f64)], xi: f64) -> [f64; 3] {
        let phase = |x: f64| xi * (x + self.half_width);
        self.norms(seen, |x| (phase(x).cos(), phase(x).sin() / xi))
    }

    /// Norms out over norms in (L1, L2, and W1: L1 of the distribution function) of a perturbation of the density given
    /// as `(n, int n)`, which ends where the interval ends. `seen` is the origin of every fine point.
    fn norms(&self, seen: &[(f64, f64)], value: impl Fn(f64) -> (f64, f64)) -> [f64; 3] {
        let (mut inn, mut out) = ([0.0; 3], [0.0; 3]);
        for x in self.fine() {
            let (n, sum) = value(x);
            inn = [inn[0] + n.abs(), inn[1] + n * n, inn[2] + sum.abs()];
        }
        for (x, slope) in seen.iter().filter(|(x, _)| x.abs() <= self.half_width) {
            let (n, sum) = value(*x);
            out = [out[0] + (n * slope).abs(), out[1] + (n * slope).powi(2), out[2] + sum.abs()];
        }
        [out[0] / inn[0], (out[1] / inn[1]).sqrt(), out[2] / inn[2]]
    }

    /// Two equal modes at -1 and 1: what lies between them is torn apart, in closed form at the centre.
    fn two_modes(&self, std: f64) -> Findings {
        let mut found = Findings::default();
        let modes = LineMixture { weights: vec![1.0; 2], means: vec![-1.0, 1.0], stds: vec![std; 2] };
        let Ok(law) = modes.law() else { return found };
        let Some(origin) = Origin::new(&law, self.time) else { return found };
        let (c, v) = (std * std, std * std + self.time);
        found.put(BY_WIDTH, "Lipschitz constant", std, origin.steepest(&self.fine()).1);
        let centre = (c / v).sqrt() * (0.5 / c - 0.5 / v).exp();
        found.put(BY_WIDTH, "T'(0), closed form", std, centre);
        let (norms, _) = self.white_noise(&origin);
        found.put(BY_WIDTH, "white noise, W1", std, norms[2]);
        found
    }
}

/// The flow's derivative at `x` by a central difference of trajectories, which are integrated, not taken from the map.
fn quotient(law: &Mixture, t: f64, x: f64) -> f64 {
    let h = 1e-4;
    let ends = Batch::from_rows(1, vec![x - h, x + h]);
    let data = Data::Mixture(law.clone());
    integrate(&data, &brownian(t), &CLEAN, &ends, crate::flow::TOLERANCE)
        .map_or(f64::NAN, |out| (out.to_rows()[1] - out.to_rows()[0]) / (2.0 * h))
}

/// The largest displacement of what arrives when the score is wrong by a constant, from starts all over the law at `t`
/// (where its density is above 1e-12 of the largest).
fn displacement(law: &Mixture, t: f64, bias: f64, half_width: f64) -> f64 {
    let all: Vec<f64> = (0..=800).map(|i| (f64::from(i) / 400.0 - 1.0) * half_width).collect();
    let p = density(law, &brownian(t), &all);
    let top = p.iter().copied().fold(0.0, f64::max);
    let starts: Vec<f64> = all.iter().zip(p).filter(|(_, p)| *p > 1e-12 * top).map(|(x, _)| *x).collect();
    let [right, wrong] = [0.0, bias].map(|bias| runge_kutta(law, t, bias, &starts));
    largest(right.iter().zip(wrong).map(|(a, b)| a - b))
}

/// `dx/dt = -(1/2) (score + bias)` from `t` to 0, by the classical method of order 4.
fn runge_kutta(law: &Mixture, t: f64, bias: f64, starts: &[f64]) -> Vec<f64> {
    let slope = |x: &[f64], t: f64| -> Vec<f64> {
        let x = State(Batch::from_rows(1, x.to_vec()));
        law.score(&x, &brownian(t.max(0.0))).0.to_rows().iter().map(|s| -0.5 * (s + bias)).collect()
    };
    let moved =
        |x: &[f64], k: &[f64], h: f64| -> Vec<f64> { x.iter().zip(k).map(|(x, k)| x + h * k).collect() };
    let h = -t / STEPS as f64;
    let mut x = starts.to_vec();
    for step in 0..STEPS {
        let now = t + step as f64 * h;
        let k1 = slope(&x, now);
        let k2 = slope(&moved(&x, &k1, 0.5 * h), now + 0.5 * h);
        let k3 = slope(&moved(&x, &k2, 0.5 * h), now + 0.5 * h);
        let k4 = slope(&moved(&x, &k3, h), now + h);
        for i in 0..x.len() {
            x[i] += h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]);
        }
    }
    x
}

/// A bias of at most 1 moves what arrives by at most `(1/2) int_0^t Lip(T_{u -> 0}) du`, to first order (Alekseev and
/// Groebner's formula); Simpson's rule.
fn bias_bound(law: &Mixture, t: f64, y: &[f64]) -> f64 {
    let lipschitz = |i: usize| {
        let origin = if i == 0 { None } else { Origin::new(law, t * i as f64 / 16.0) };
        origin.map_or(1.0, |origin| origin.steepest(y).1)
    };
    let weight = |i: usize| match i {
        0 | 16 => 1.0,
        i if i % 2 == 1 => 4.0,
        _ => 2.0,
    };
    0.5 * t * (0..=16).map(|i| weight(i) * lipschitz(i)).sum::<f64>() / 48.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{Measured, Study};

    fn rows(quantity: &str) -> Vec<Measured> {
        let mut quick = InverseHeat::default();
        quick.make_quick();
        quick.measure("flow").rows.into_iter().filter(|r| r.quantity == quantity).collect()
    }

    #[test]
    fn the_derivative_of_the_map_is_that_of_the_integrated_flow() {
        let rows = rows(LIPSCHITZ);
        for pair in rows.chunks_exact(2) {
            assert!((pair[0].value / pair[1].value - 1.0).abs() < 1e-6, "{pair:?}");
            assert!(pair[0].value > 1.0 && pair[0].value < 10.0);
        }
    }

    #[test]
    fn no_norm_grows_by_more_than_its_bound() {
        let study = InverseHeat::default();
        let law = study.data.law().unwrap();
        let (origin, y) = (Origin::new(&law, study.time).unwrap(), study.fine());
        let seen = origin.of(&y);
        let steepest = seen.iter().map(|s| s.1).fold(0.0, f64::max);
        for xi in [0.5, 2.0, 7.0, 19.0] {
            let [l1, l2, w1] = study.wave(&seen, xi);
            assert!((l1 - 1.0).abs() < 2e-3, "{xi}: {l1}");
            assert!(l2 <= steepest.sqrt() && w1 <= origin.steepest(&y).1, "{xi}: {l2} {w1}");
        }
    }

    #[test]
    fn two_modes_are_torn_apart_at_the_centre() {
        for row in rows(BY_WIDTH).chunks_exact(3) {
            assert!((row[0].value / row[1].value - 1.0).abs() < 1e-6 || row[0].x > Some(0.6), "{row:?}");
            assert!(row[2].value < 1.1, "{row:?}");
        }
    }

    #[test]
    fn w1_of_perturbed_laws_is_the_norm_of_the_difference() {
        // A law with density p_t (1 + a sin x), carried by the map through its quantiles, which move by -a N/p_t to first
        // order; N is the distribution function of the perturbation.
        let study = InverseHeat::default();
        let law = study.data.law().unwrap();
        let lines = [0.25, 0.0].map(|t| law.line(&brownian(t)).unwrap());
        let (x, a) = (study.fine(), 1e-6);
        let (width, p) = (x[1] - x[0], density(&law, &brownian(0.25), &x));
        let mean: f64 = x.iter().zip(&p).map(|(x, p)| p * x.sin() * width).sum();
        let (mut n, mut inn, mut out) = (0.0, 0.0, 0.0);
        let mut sums = Vec::new();
        for (x, p) in x.iter().zip(&p) {
            n += p * (x.sin() - mean) * width;
            sums.push(n);
            if *p > 1e-8 {
                let moved = x - a * n / p;
                inn += (moved - x).abs() * p;
                out += (lines[0].transport(moved, &lines[1]) - lines[0].transport(*x, &lines[1])).abs() * p;
            }
        }
        let at = |place: f64| (((place + study.half_width) / width).round() as usize).min(sums.len() - 1);
        let seen = Origin::new(&law, 0.25).unwrap().of(&x);
        let [.., w1] = study.norms(&seen, |x| (0.0, sums[at(x)]));
        assert!((out / inn / w1 - 1.0).abs() < 5e-3, "{} {w1}", out / inn);
    }

    #[test]
    fn a_wrong_score_moves_what_arrives_by_less_than_its_bound() {
        let rows = rows(BIAS);
        for [a, b, bound] in rows.as_chunks::<3>().0 {
            assert!((a.value / b.value - 1.0).abs() < 0.05, "not linear: {a:?} {b:?}");
            assert!(b.value <= bound.value * 1.001 && b.value > 0.5 * bound.value, "{b:?} {bound:?}");
        }
    }
}
