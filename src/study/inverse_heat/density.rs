//! A density on the line: diffused, perturbed, and recovered by its spectrum.

use std::f64::consts::PI;

use super::super::heat::{Cosines, brownian, density, gain, geometric, norm};
use super::super::line::largest;
use super::{
    AGREEMENT, AMPLIFICATION, BY_SIZE, CROSSOVER, ERROR, FINER, InverseHeat, LOST, NAIVE, SPECTRUM, rms, size,
};
use crate::batch::Batch;
use crate::data::mixture::Mixture;
use crate::metric::wasserstein::normal_cdf;
use crate::noise::{Purpose, White};
use crate::state::State;
use crate::study::Findings;

/// What is added of one frequency, relative to the maximum. The inverse is linear, and a small one is a difference of
/// near-equal numbers: of 1e-10 six digits are left.
const LARGE: f64 = 1e-2;

/// How much finer the line is for the density with jumps.
const FINER_FOR_JUMPS: usize = 4;

/// Coefficients of a density at time 0 and at `t`, and what the semigroup leaves of each.
pub(super) struct Diffused {
    pub before: Vec<f64>,
    pub after: Vec<f64>,
    pub gains: Vec<f64>,
    /// The largest value of the density at `t`: perturbations are relative to it.
    pub top: f64,
}

/// A regularised inverse: what it does with a coefficient that the semigroup multiplied by `gain`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inverse {
    /// `1/gain` whatever it is.
    Naive,
    /// `1/gain` where the gain is at least this, else 0: the singular value decomposition, truncated.
    Truncated(f64),
    /// `gain/(gain^2 + mu)` (Tikhonov 1963).
    Tikhonov(f64),
}

impl Inverse {
    pub(super) fn factor(self, gain: f64) -> f64 {
        match self {
            Inverse::Naive => 1.0 / gain,
            Inverse::Truncated(least) => {
                if gain >= least {
                    1.0 / gain
                } else {
                    0.0
                }
            }
            Inverse::Tikhonov(mu) => gain / (gain * gain + mu),
        }
    }

    /// The one of a list with the least error (an oracle's: it knows the truth), and that error.
    pub(super) fn best(all: impl Iterator<Item = Inverse>, error: impl Fn(Inverse) -> f64) -> (Inverse, f64) {
        let errors = all.map(|inverse| (inverse, error(inverse)));
        errors.fold((Inverse::Naive, f64::INFINITY), |best, it| if it.1 < best.1 { it } else { best })
    }

    /// Every cut-off there is.
    pub(super) fn cuts(gains: &[f64]) -> impl Iterator<Item = Inverse> {
        gains.iter().map(|gain| Inverse::Truncated(*gain))
    }

    /// Tikhonov's parameter from 1e-32 to 1, eight a decade.
    pub(super) fn weights() -> impl Iterator<Item = Inverse> {
        geometric(1e-32, 1.0, 257).into_iter().map(Inverse::Tikhonov)
    }
}

impl InverseHeat {
    pub(super) fn density(&self, law: &Mixture, found: &mut Findings) {
        let cosines = Cosines::new(self.cells);
        self.by_frequency(law, &cosines, found);
        self.finer(found);
        self.crossovers(law, found);
        for &t in &self.times {
            self.errors(law, &cosines, t, found);
        }
        self.by_size(law, &cosines, found);
    }

    pub(super) fn diffused(&self, law: &Mixture, t: f64) -> Diffused {
        let after = density(law, &brownian(t), &self.line().centres());
        Diffused {
            before: self.data.spectrum(&self.line(), 0.0),
            after: self.data.spectrum(&self.line(), t),
            gains: self.line().frequencies().iter().map(|xi| gain(*xi, t)).collect(),
            top: after.iter().copied().fold(0.0, f64::max),
        }
    }

    /// The same with the diffused density's values rounded to single precision before they are transformed.
    fn rounded(&self, law: &Mixture, cosines: &Cosines, t: f64) -> Diffused {
        let values = density(law, &brownian(t), &self.line().centres());
        let rounded: Vec<f64> = values.into_iter().map(|p| f64::from(p as f32)).collect();
        Diffused { after: cosines.analyse(&rounded), ..self.diffused(law, t) }
    }

    /// White noise of variance 1 a cell, without a mean: mass is not perturbed.
    pub(super) fn white(&self, draw: usize) -> Vec<f64> {
        let cells = State(Batch::<f64>::zeros(1, (draw * self.cells) as u64, self.cells));
        let z = White::of(self.seed, Purpose::Other).draw(&cells).0.to_rows();
        let mean = z.iter().sum::<f64>() / z.len() as f64;
        z.into_iter().map(|z| z - mean).collect()
    }

    /// Spectra at one time, and what each inverse does to each frequency.
    fn by_frequency(&self, law: &Mixture, cosines: &Cosines, found: &mut Findings) {
        let it = self.diffused(law, self.time);
        let xi = self.line().frequencies();
        let epsilon = self.perturbations[0];
        let noise = [cosines.analyse(&self.white(0))];
        let perturbed: Vec<f64> =
            it.after.iter().zip(&noise[0]).map(|(c, z)| c + epsilon * it.top * z).collect();
        let (cut, _) = Inverse::best(Inverse::cuts(&it.gains), |i| self.error(&it, &noise, epsilon, i));
        let (mu, _) = Inverse::best(Inverse::weights(), |i| self.error(&it, &noise, epsilon, i));
        let mut off = 0.0;
        for k in self.shown() {
            let exact = 1.0 / it.gains[k];
            found.put(SPECTRUM, "p_0", xi[k], it.before[k].abs());
            found.put(SPECTRUM, "p_t", xi[k], it.after[k].abs());
            found.put(SPECTRUM, "p_t, perturbed", xi[k], perturbed[k].abs());
            found.put(SPECTRUM, "naive inverse", xi[k], (perturbed[k] * exact).abs());
            let measured = self.one_frequency(law, cosines, k, LARGE);
            off = largest([off, measured / exact - 1.0]);
            found.put(AMPLIFICATION, "naive, measured", xi[k], measured);
            found.put(AMPLIFICATION, "e^{xi^2 t/2}", xi[k], exact);
            // What is cut off has no place on a logarithmic axis.
            if cut.factor(it.gains[k]) > 0.0 {
                found.put(AMPLIFICATION, "truncated", xi[k], exact);
            }
            found.put(AMPLIFICATION, "Tikhonov", xi[k], mu.factor(it.gains[k]));
        }
        found.single(AGREEMENT, "naive", off);
    }

    /// A cosine of one frequency is added to the density's values, and the naive inverse's answer compared with that
    /// for the density alone. The factor is put in, by [`gain`]: what is measured is that it is all that happens, on values
    /// that hold all other frequencies too. That it is the right one is for the tests to say, which do without it.
    fn one_frequency(&self, law: &Mixture, cosines: &Cosines, k: usize, epsilon: f64) -> f64 {
        let clean = density(law, &brownian(self.time), &self.line().centres());
        let top = clean.iter().copied().fold(0.0, f64::max);
        let wave: Vec<f64> = cosines.mode(k).iter().map(|c| epsilon * top * c).collect();
        let touched: Vec<f64> = clean.iter().zip(&wave).map(|(p, w)| p + w).collect();
        let undo = |values: &[f64]| {
            Inverse::Naive.factor(gain(self.line().frequencies()[k], self.time)) * cosines.analyse(values)[k]
        };
        (undo(&touched) - undo(&clean)).abs() / norm(wave)
    }

    /// A finer grid has higher frequencies: what the naive inverse makes of white noise on it, `rms e^{xi^2 t/2}`.
    fn finer(&self, found: &mut Findings) {
        let (noises, xi) = (self.noises(&Cosines::new(self.cells)), self.line().frequencies());
        for cells in (1..=8).map(|k| k * self.cells / 8) {
            let gains: Vec<f64> = xi[..cells].iter().map(|xi| gain(*xi, self.time)).collect();
            let seen = || noises.iter().flat_map(|z| z.iter().zip(&gains));
            let measured = rms(seen().map(|(z, g)| z / g)) / rms(seen().map(|(z, _)| *z));
            found.put(FINER, "naive, measured", xi[cells - 1], measured);
            found.put(FINER, "rms of e^{xi^2 t/2}", xi[cells - 1], rms(gains.iter().map(|g| 1.0 / g)));
        }
    }

    /// The last frequency at which a perturbation is smaller than the density. The density's coefficients fall like those
    /// of its narrowest component: `sqrt(2/n)/dx w e^{-xi^2 (s^2 + t)/2}`; white noise's are `epsilon top`.
    fn crossovers(&self, law: &Mixture, found: &mut Findings) {
        let (xi, (w, s)) = (self.line().frequencies(), self.data.narrowest());
        for &t in &self.times {
            let it = self.diffused(law, t);
            for &epsilon in &self.perturbations {
                let scale = w * self.line().scale(1);
                let exact = 2.0 * (scale / (epsilon * it.top)).ln() / (s * s + t);
                let larger = |k: &usize| it.after[*k].abs() > epsilon * it.top;
                let last = (0..self.cells).rev().find(larger).unwrap_or(0);
                found.put(CROSSOVER, format!("{}, measured", size(epsilon)), t, xi[last]);
                found.put(CROSSOVER, format!("{}, closed form", size(epsilon)), t, exact.max(0.0).sqrt());
            }
        }
    }

    /// The relative L2 error of an inverse, root mean square over draws of the noise.
    fn error(&self, it: &Diffused, noise: &[Vec<f64>], epsilon: f64, inverse: Inverse) -> f64 {
        let one = |noise: &Vec<f64>| {
            let off = |k: usize| {
                let seen = it.after[k] + epsilon * it.top * noise[k];
                seen * inverse.factor(it.gains[k]) - it.before[k]
            };
            norm((0..self.cells).map(off))
        };
        rms(noise.iter().map(one)) / norm(it.before.iter().copied())
    }

    fn noises(&self, cosines: &Cosines) -> Vec<Vec<f64>> {
        (0..self.repeats).map(|draw| cosines.analyse(&self.white(draw))).collect()
    }

    /// Errors at one time: naive, and regularised with the best parameter.
    fn errors(&self, law: &Mixture, cosines: &Cosines, t: f64, found: &mut Findings) {
        let (it, noise, first) = (&self.diffused(law, t), self.noises(cosines), self.perturbations[0]);
        let rounded = self.error(&self.rounded(law, cosines, t), &noise, 0.0, Inverse::Naive);
        let perturbed = self.error(it, &noise, first, Inverse::Naive);
        for (case, error) in [("single precision".into(), rounded), (size(first), perturbed)] {
            found.put(NAIVE, &case, t, error);
            if error <= LOST {
                found.put(ERROR, format!("naive, {case}"), t, error);
            }
        }
        for &epsilon in &self.perturbations {
            let error = |inverse| self.error(it, &noise, epsilon, inverse);
            let (_, cut) = Inverse::best(Inverse::cuts(&it.gains), error);
            let (_, mu) = Inverse::best(Inverse::weights(), error);
            found.put(ERROR, format!("truncated, {}", size(epsilon)), t, cut);
            found.put(ERROR, format!("Tikhonov, {}", size(epsilon)), t, mu);
        }
    }

    /// The best truncation against the perturbation's size. A density with a Gaussian's spectrum, `e^{-xi^2 s^2/2}`, is
    /// recovered with error `epsilon^{s^2/(s^2 + t)}` but for logarithms; one with jumps, whose spectrum falls like 1/xi,
    /// with `1/sqrt(pi xi*)`, `xi*` the frequency where the perturbation overtakes: `ln(1/epsilon)^{-1/4}`.
    fn by_size(&self, law: &Mixture, cosines: &Cosines, found: &mut Findings) {
        let smooth = self.diffused(law, self.time);
        let noise = self.noises(cosines);
        // What is beyond the grid's largest frequency is no part of the error: it must not matter.
        let fine = InverseHeat { cells: FINER_FOR_JUMPS * self.cells, ..self.clone() };
        let fine_cosines = Cosines::new(fine.cells);
        let (jumps, fine_noise) = (fine.jumps(), fine.noises(&fine_cosines));
        for epsilon in geometric(1e-2, 1e-14, 7) {
            let error = |inverse| self.error(&smooth, &noise, epsilon, inverse);
            found.put(BY_SIZE, "mixture", epsilon, Inverse::best(Inverse::cuts(&smooth.gains), error).1);
            let error = |inverse| fine.error(&jumps, &fine_noise, epsilon, inverse);
            found.put(BY_SIZE, "box", epsilon, Inverse::best(Inverse::cuts(&jumps.gains), error).1);
            let last = fine.last_of_box(epsilon * jumps.top);
            found.put(BY_SIZE, "box, 1/sqrt(pi xi*)", epsilon, 1.0 / (PI * last).sqrt());
        }
    }

    /// The root of `sqrt(2/n)/dx e^{-xi^2 t/2}/xi = level`, by iteration. (The logarithm is kept above 0: for a level above
    /// the top there is no root.)
    fn last_of_box(&self, level: f64) -> f64 {
        let scale = self.line().scale(1);
        let next = |xi: f64| (2.0 / self.time * (scale / (level * xi)).ln().max(0.1)).sqrt();
        (0..50).fold(1.0, |xi, _| next(xi))
    }

    /// The uniform law on [-1, 1], diffused: `sin(xi)/xi cos(xi half_width) e^{-xi^2 t/2}`.
    fn jumps(&self) -> Diffused {
        let (xi, cells) = (self.line().frequencies(), self.line());
        let sinc = |xi: f64| if xi == 0.0 { 1.0 } else { xi.sin() / xi };
        let one = |k: usize| cells.scale(k) * sinc(xi[k]) * (xi[k] * cells.half_width).cos();
        let before: Vec<f64> = (0..xi.len()).map(one).collect();
        let gains: Vec<f64> = xi.iter().map(|xi| gain(*xi, self.time)).collect();
        let after = before.iter().zip(&gains).map(|(c, g)| c * g).collect();
        // The density's maximum is at 0: Phi(1/sqrt t) - 1/2.
        Diffused { before, after, gains, top: normal_cdf(1.0 / self.time.sqrt()) - 0.5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Study;

    #[test]
    fn each_frequency_is_amplified_by_its_own_finite_factor() {
        let study = InverseHeat::default();
        let (law, cosines) = (study.data.law().unwrap(), Cosines::new(study.cells));
        // Of the smaller perturbation, 1e-10, round-off leaves six digits.
        for (epsilon, digits) in [(1e-2, 1e-12), (1e-10, 1e-4)] {
            for k in study.shown() {
                let exact = 1.0 / gain(study.line().frequencies()[k], study.time);
                let ratio = study.one_frequency(&law, &cosines, k, epsilon) / exact;
                assert!((ratio - 1.0).abs() < digits, "{epsilon} {k}: {ratio}");
            }
        }
    }

    #[test]
    fn what_the_inverse_undoes_is_what_convolution_does() {
        // p_0 and p_t are closed forms of the mixture; their ratio by frequency knows no gain.
        let study = InverseHeat::default();
        let (law, cosines, x) =
            (study.data.law().unwrap(), Cosines::new(study.cells), study.line().centres());
        let [before, after] = [0.0, study.time].map(|t| cosines.analyse(&density(&law, &brownian(t), &x)));
        let it = study.diffused(&law, study.time);
        for k in (0..study.cells).filter(|k| after[*k].abs() > 1e-6) {
            assert!((after[k] / before[k] / it.gains[k] - 1.0).abs() < 1e-8, "{k}");
            assert!((it.before[k] / before[k] - 1.0).abs() < 1e-8, "{k}");
        }
    }

    #[test]
    fn jumps_are_recovered_as_far_as_the_last_frequency_says() {
        let rows = InverseHeat::default().measure("density").rows;
        let of = |case: &'static str| rows.iter().filter(move |r| r.quantity == BY_SIZE && r.case == case);
        for (measured, law) in of("box").zip(of("box, 1/sqrt(pi xi*)")) {
            assert!((measured.value / law.value - 1.0).abs() < 0.2, "{measured:?} {law:?}");
        }
    }

    #[test]
    fn without_a_perturbation_digits_run_out_all_the_same() {
        let study = InverseHeat::default();
        let (law, cosines) = (study.data.law().unwrap(), Cosines::new(study.cells));
        let error = |t: f64| {
            let values = density(&law, &brownian(t), &study.line().centres());
            let it = Diffused { after: cosines.analyse(&values), ..study.diffused(&law, t) };
            study.error(&it, &study.noises(&cosines), 0.0, Inverse::Naive)
        };
        // Double precision is a perturbation of 1e-16, and e^{xi^2 t/2} at the largest frequency 500 for t = 0.02 and
        // 1e27 for t = 0.2.
        assert!(error(0.02) < 1e-12 && error(0.2) > 1e6, "{} {}", error(0.02), error(0.2));
    }

    #[test]
    fn tikhonov_tends_to_the_naive_inverse() {
        for g in [1.0, 1e-3, 1e-6] {
            let ratio = Inverse::Tikhonov(1e-20 * g * g).factor(g) / Inverse::Naive.factor(g);
            assert!((ratio - 1.0).abs() < 1e-14);
            assert_eq!(Inverse::Truncated(g).factor(g), 1.0 / g);
            assert_eq!(Inverse::Truncated(2.0 * g).factor(g), 0.0);
        }
    }
}
