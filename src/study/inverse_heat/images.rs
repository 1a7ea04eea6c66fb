//! Images of digits: blurred by the heat semigroup and deblurred, noised and regenerated.
//!
//! Two different inverse problems. Blurring acts on the image (its pixels diffuse), and undoing it is an inverse heat
//! equation in the plane. Noising acts on the law of images (it diffuses in 64 dimensions), and the probability flow
//! undoes that. The flow of a score is no deblurring; what brings the score's knowledge of the data to a blurred image is
//! Bayes' rule with that data as prior.

use nalgebra::DMatrix;

use super::super::heat::{Cosines, brownian, gain, norm};
use super::super::line::largest;
use super::density::Inverse;
use super::{IMAGE, InverseHeat, LOST, NAIVE_IMAGE, REGENERATED, STRETCH, rms, size};
use crate::batch::Batch;
use crate::data::{CLEAN, Data, digits, empirical};
use crate::flow::reference;
use crate::noise::{Purpose, White};
use crate::parallel;
use crate::state::State;
use crate::study::Findings;

/// Pixels in a line.
const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE;

/// Standard deviation of what is added to every pixel of blurred images.
const PERTURBATIONS: [f64; 2] = [1e-10, 1e-3];

/// Which blurs are shown as pictures, if they are measured: (time, perturbation).
const SHOWN: [(f64, f64); 3] = [(1.0, 1e-3), (4.0, 1e-10), (4.0, 1e-3)];

/// Which digit is shown, or the last there is.
const PICTURED: usize = 3;

/// Noise level to which blurred images are brought before the flow regenerates them, and the one shown without a blur.
const RENOISED: f64 = 1.0;

/// The flow's answer, noise included.
const REGENERATION: &str = "noised, then reverse flow";

/// Digits about which the whole Jacobian of the flow is taken: 64 trajectories each.
const JACOBIANS: usize = 3;

/// Images of two kinds.
struct Digits {
    /// To be degraded.
    test: Vec<Vec<f64>>,
    /// Known to the prior and to the score; none of the others.
    data: Vec<Vec<f64>>,
}

/// Blurred and perturbed images, by their cosine coefficients.
struct Blurred {
    gains: Vec<f64>,
    modes: Vec<Vec<f64>>,
    perturbation: f64,
}

impl InverseHeat {
    fn images(&self) -> Digits {
        let pixel = |ink: &u8| f64::from(*ink) / 8.0 - 1.0;
        let mut all = digits::all().into_iter().map(|d| d.pixels.iter().map(pixel).collect());
        let test = all.by_ref().take(self.digits).collect();
        Digits { test, data: all.take(self.data_digits).collect() }
    }

    /// Standard normals, one a pixel, numbered by image and by what they are for.
    fn pixel_noise(&self, images: usize, of: u64) -> Vec<Vec<f64>> {
        let like = Batch::<f64>::zeros(PIXELS, 1_000_000 + 1000 * of, images);
        let z = White::of(self.seed, Purpose::Other).draw(&State(like)).0.to_rows();
        z.chunks_exact(PIXELS).map(<[f64]>::to_vec).collect()
    }

    fn blurred(&self, cosines: &Cosines, images: &[Vec<f64>], t: f64, perturbation: f64) -> Blurred {
        let xi = |k: usize| std::f64::consts::PI * k as f64 / SIDE as f64;
        let gains: Vec<f64> = (0..PIXELS).map(|m| gain(xi(m / SIDE), t) * gain(xi(m % SIDE), t)).collect();
        let noise = self.pixel_noise(images.len(), 0);
        let one = |(image, z): (&Vec<f64>, &Vec<f64>)| {
            let (modes, z) = (cosines.analyse_image(image), cosines.analyse_image(z));
            (0..PIXELS).map(|m| gains[m] * modes[m] + perturbation * z[m]).collect()
        };
        let modes = images.iter().zip(&noise).map(one).collect();
        Blurred { gains, modes, perturbation }
    }

    pub(super) fn deblurring(&self, found: &mut Findings) {
        let (images, cosines) = (self.images(), Cosines::new(SIDE));
        let prior: Vec<Vec<f64>> = images.data.iter().map(|v| cosines.analyse_image(v)).collect();
        let all: Vec<(f64, f64)> =
            PERTURBATIONS.iter().flat_map(|e| self.blurs.iter().map(move |t| (*t, *e))).collect();
        let answers = parallel::map(&all, |&(t, e)| {
            let seen = self.blurred(&cosines, &images.test, t, e);
            let mut answers = self.deblurred(&cosines, &images.test, &prior, &seen);
            answers.extend(self.regenerated(&images, &answers[0].1).map(|it| (REGENERATION, it)));
            answers
        });
        for ((t, e), answers) in all.iter().zip(&answers) {
            for (method, answer) in answers {
                let (case, error) = (size(*e), distance(answer, &images.test));
                if *method == "naive" {
                    found.put(NAIVE_IMAGE, &case, *t, error);
                }
                if *method != "naive" || error <= LOST {
                    found.put(IMAGE, format!("{method}, {case}"), *t, error);
                }
            }
        }
        let pictured = PICTURED.min(self.digits - 1);
        for at in SHOWN {
            let Some(k) = all.iter().position(|it| *it == at) else { continue };
            let row = format!("blur t = {}, perturbed by {}", at.0, size(at.1));
            let mut tile = |column: &str, image: &[f64]| found.tile(&row, column, SIDE, grey(image));
            tile("original", &images.test[pictured]);
            for (method, answer) in &answers[k] {
                tile(method, &answer[pictured]);
            }
        }
    }

    /// What every method makes of blurred images; regularised ones with the parameter that is best for all together.
    fn deblurred(
        &self,
        cosines: &Cosines,
        truth: &[Vec<f64>],
        prior: &[Vec<f64>],
        seen: &Blurred,
    ) -> Vec<(&'static str, Vec<Vec<f64>>)> {
        let image = |modes: &Vec<f64>| cosines.synthesise_image(modes);
        let undo = |inverse: Inverse| -> Vec<Vec<f64>> {
            let one = |modes: &Vec<f64>| {
                let each = modes.iter().zip(&seen.gains).map(|(c, g)| c * inverse.factor(*g));
                cosines.synthesise_image(&each.collect::<Vec<f64>>())
            };
            seen.modes.iter().map(one).collect()
        };
        let error = |inverse: Inverse| distance(&undo(inverse), truth);
        let (cut, _) = Inverse::best(Inverse::cuts(&seen.gains), error);
        let (mu, _) = Inverse::best(Inverse::weights(), error);
        let mean = |modes: &Vec<f64>| cosines.synthesise_image(&self.posterior_mean(prior, seen, modes));
        vec![
            ("degraded", seen.modes.iter().map(image).collect()),
            ("naive", undo(Inverse::Naive)),
            ("truncated", undo(cut)),
            ("Tikhonov", undo(mu)),
            ("posterior mean", seen.modes.iter().map(mean).collect()),
        ]
    }

    /// `E[x | y]` for `y = g x + noise` mode by mode and the prior `mean_k N(m_k, prior_std^2)`: a mixture of Gaussian
    /// posteriors, weighed by how well each component explains `y`.
    fn posterior_mean(&self, prior: &[Vec<f64>], seen: &Blurred, y: &[f64]) -> Vec<f64> {
        let (c, e2) = (self.prior_std * self.prior_std, seen.perturbation * seen.perturbation);
        let spread: Vec<f64> = seen.gains.iter().map(|g| g * g * c + e2).collect();
        let off = |m: &Vec<f64>, j: usize| y[j] - seen.gains[j] * m[j];
        let log = |m: &Vec<f64>| -0.5 * (0..PIXELS).map(|j| off(m, j).powi(2) / spread[j]).sum::<f64>();
        let logs: Vec<f64> = prior.iter().map(log).collect();
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut mean, mut total) = (vec![0.0; PIXELS], 0.0);
        for (m, log) in prior.iter().zip(logs) {
            let weight = (log - top).exp();
            total += weight;
            for (j, sum) in mean.iter_mut().enumerate() {
                *sum += weight * (m[j] + c * seen.gains[j] / spread[j] * off(m, j));
            }
        }
        mean.iter().map(|sum| sum / total).collect()
    }

    /// Blurred images, noised and carried back by the flow: plausible images that the flow takes to be near. It is no
    /// deblurring, and does not know of the blur.
    fn regenerated(&self, images: &Digits, blurred: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
        let noise = self.pixel_noise(blurred.len(), 2);
        let starts: Vec<Vec<f64>> = blurred.iter().zip(&noise).map(|(x, z)| moved(x, z, RENOISED)).collect();
        self.reverse(images, RENOISED, &starts)
    }

    /// The probability flow of the score's data, from a noise level to none.
    fn reverse(&self, images: &Digits, sigma: f64, starts: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
        let data = Data::Mixture(empirical::kernels(images.data.clone(), self.std).ok()?);
        let starts = Batch::from_rows(PIXELS, starts.concat());
        let ends = reference(&data, &brownian(sigma * sigma), &CLEAN, &starts).ok()?;
        Some(ends.to_rows().chunks_exact(PIXELS).map(<[f64]>::to_vec).collect())
    }

    /// Digits are noised and carried back, and neighbours of the starts beside them.
    pub(super) fn regeneration(&self, found: &mut Findings) {
        let images = self.images();
        for (k, &sigma) in self.sigmas.iter().enumerate() {
            let noise = self.pixel_noise(self.digits, 3 + k as u64);
            let starts: Vec<Vec<f64>> =
                images.test.iter().zip(noise).map(|(x, z)| moved(x, &z, sigma)).collect();
            let Some(ends) = self.reverse(&images, sigma, &starts) else { continue };
            found.put(REGENERATED, "to the original", sigma, distance(&ends, &images.test));
            let nearest: Vec<Vec<f64>> = ends.iter().map(|end| nearest(end, &images.data).clone()).collect();
            found.put(
                REGENERATED,
                "to the nearest image of the score's data",
                sigma,
                distance(&ends, &nearest),
            );
            found.put(REGENERATED, "noised", sigma, distance(&starts, &images.test));
            self.stretch(&images, sigma, &starts, &ends, found);
            if sigma == RENOISED {
                let pictured = PICTURED.min(self.digits - 1);
                let row = format!("noise sigma = {sigma}");
                let columns = [
                    ("original", &images.test[pictured]),
                    ("degraded", &starts[pictured]),
                    (REGENERATION, &ends[pictured]),
                    ("nearest of the score's data", &nearest[pictured]),
                ];
                for (column, image) in columns {
                    found.tile(&row, column, SIDE, grey(image));
                }
            }
        }
    }

    /// What the flow makes of small distances: of a perturbation of 1e-10 a pixel, and of the worst, by the largest
    /// singular value of the Jacobian, whose columns are difference quotients.
    fn stretch(
        &self,
        images: &Digits,
        sigma: f64,
        starts: &[Vec<f64>],
        ends: &[Vec<f64>],
        found: &mut Findings,
    ) {
        let noise = self.pixel_noise(starts.len(), 1);
        let touched: Vec<Vec<f64>> = starts.iter().zip(&noise).map(|(x, z)| moved(x, z, 1e-10)).collect();
        let Some(out) = self.reverse(images, sigma, &touched) else { return };
        let ratio = |k: usize| apart(&out[k], &ends[k]) / apart(&touched[k], &starts[k]);
        let most = largest((0..starts.len()).map(ratio));
        // Of a distance of 1e-10 round-off leaves some four digits, not the same on every machine: two are put down.
        let places = 10f64.powf(1.0 - most.log10().floor());
        found.put(STRETCH, "perturbation of 1e-10, largest", sigma, (most * places).round() / places);
        let h = 1e-4;
        let mut worst = 0.0;
        for (start, end) in starts.iter().zip(ends).take(JACOBIANS) {
            let unit = |j: usize| -> Vec<f64> { (0..PIXELS).map(|i| f64::from(u8::from(i == j))).collect() };
            let columns: Vec<Vec<f64>> = (0..PIXELS).map(|j| moved(start, &unit(j), h)).collect();
            let Some(out) = self.reverse(images, sigma, &columns) else { return };
            let jacobian = DMatrix::from_fn(PIXELS, PIXELS, |i, j| (out[j][i] - end[i]) / h);
            worst = largest([worst, jacobian.singular_values().max()]);
        }
        found.put(STRETCH, "any small perturbation, largest", sigma, worst);
    }
}

fn moved(x: &[f64], direction: &[f64], by: f64) -> Vec<f64> {
    x.iter().zip(direction).map(|(x, d)| x + by * d).collect()
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    norm(a.iter().zip(b).map(|(a, b)| a - b))
}

fn nearest<'a>(image: &[f64], among: &'a [Vec<f64>]) -> &'a Vec<f64> {
    among.iter().min_by(|a, b| apart(image, a).total_cmp(&apart(image, b))).expect("there are data")
}

/// Rms difference of a pixel.
fn distance(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    rms(a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| a - b))
}

/// From [-1, 1], paper to ink, to white to black.
fn grey(image: &[f64]) -> Vec<f64> {
    image.iter().map(|v| (0.5 - 0.5 * v).clamp(0.0, 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Study;

    fn quick() -> InverseHeat {
        let mut study = InverseHeat::default();
        study.make_quick();
        study
    }

    #[test]
    fn a_prior_helps_where_the_blur_has_destroyed_more() {
        let found = InverseHeat { blurs: vec![0.5, 8.0], ..quick() }.measure("deblurring");
        let error = |case: &str, t: f64| {
            let row = found.rows.iter().find(|r| r.case == case && r.x == Some(t));
            row.unwrap_or_else(|| panic!("{case} at {t}")).value
        };
        assert!(error("naive, 1e-10", 0.5) < 1e-8 && error("1e-3", 8.0) > 1e20);
        let [prior, tikhonov, cut] =
            ["posterior mean, 1e-3", "Tikhonov, 1e-3", "truncated, 1e-3"].map(|case| error(case, 8.0));
        assert!(prior < tikhonov && tikhonov < 1.01 * cut, "{prior} {tikhonov} {cut}");
    }

    #[test]
    fn the_posterior_mean_of_one_component_is_wieners_filter() {
        let study = quick();
        let seen = Blurred { gains: vec![0.5; PIXELS], modes: vec![], perturbation: 0.2 };
        let got = study.posterior_mean(&[vec![0.3; PIXELS]], &seen, &[0.7; PIXELS]);
        let c = study.prior_std.powi(2);
        let want = 0.3 + 0.5 * c / (0.25 * c + 0.04) * (0.7 - 0.15);
        assert!(got.iter().all(|v| (v - want).abs() < 1e-15));
    }

    #[test]
    fn test_digits_are_not_among_the_data() {
        let images = InverseHeat::default().images();
        assert_eq!((images.test.len(), images.data.len()), (10, 600));
        assert!(images.test.iter().all(|image| !images.data.contains(image)));
    }
}
