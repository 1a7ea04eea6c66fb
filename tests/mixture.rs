//! Scores of mixtures against a plain implementation: one sample at a time, covariance matrices inverted whole.

use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use rand::RngExt;
use scorebench::batch::{Batch, Precision};
use scorebench::data::mixture::{Covariance, Mixture};
use scorebench::noise::{Purpose, generator};
use scorebench::run::Denoiser;
use scorebench::schedule::{Level, Schedule};
use scorebench::state::State;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Isotropic,
    Diagonal,
    Full,
}

const KINDS: [Kind; 3] = [Kind::Isotropic, Kind::Diagonal, Kind::Full];

/// Means in [-3, 3], standard deviations of about 0.1 to 1, weights that differ by up to 10.
fn mixture(kind: Kind, dim: usize, count: usize) -> Mixture {
    let mut random = generator(5, Purpose::Other, (dim * 100 + count) as u64);
    let mut variance = || 0.01f64 + random.random::<f64>();
    let covariances: Vec<Covariance> = (0..count)
        .map(|_| match kind {
            Kind::Isotropic => Covariance::Isotropic(variance()),
            Kind::Diagonal => Covariance::Diagonal((0..dim).map(|_| variance()).collect()),
            Kind::Full => {
                let root = DMatrix::from_fn(dim, dim, |_, _| 2.0 * variance() - 1.0);
                let matrix = &root * root.transpose() / dim as f64 + DMatrix::identity(dim, dim) * 0.01;
                let rows: Vec<Vec<f64>> =
                    matrix.row_iter().map(|row| row.iter().copied().collect()).collect();
                Covariance::full(&rows).unwrap()
            }
        })
        .collect();
    let part = |covariance| {
        let mean = (0..dim).map(|_| 6.0 * random.random::<f64>() - 3.0).collect();
        (0.1 + random.random::<f64>(), mean, covariance)
    };
    Mixture::new(covariances.into_iter().map(part).collect()).unwrap()
}

/// A component at a level: its marginal, inverted.
struct Plain {
    log_weight: f64,
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
    inverse: DMatrix<f64>,
}

fn plain(law: &Mixture, at: &Level) -> Vec<Plain> {
    let dim = law.dim();
    let one = |c: &scorebench::data::mixture::Component| {
        let covariance = c.covariance.matrix(dim);
        let spread = at.alpha.powi(2) * &covariance + at.sigma.powi(2) * DMatrix::identity(dim, dim);
        let root = spread.cholesky().unwrap();
        let log_root: f64 = root.l().diagonal().iter().map(|x| x.ln()).sum();
        let mean = DVector::from_column_slice(&c.mean);
        Plain { log_weight: c.weight.ln() - log_root, mean, covariance, inverse: root.inverse() }
    };
    law.components().iter().map(one).collect()
}

/// `d`, `eps` and the score at `x`, and in what unit each coordinate's rounding errors come: of the terms that are added
/// up, times the logits whose exponentials they are weighted by.
fn forms(parts: &[Plain], at: &Level, x: &DVector<f64>) -> ([DVector<f64>; 3], [f64; 3]) {
    let dim = x.len() as f64;
    let deviation = |p: &Plain| x - at.alpha * &p.mean;
    let logit = |p: &Plain| p.log_weight - 0.5 * deviation(p).dot(&(&p.inverse * deviation(p)));
    let top = parts.iter().map(logit).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = parts.iter().map(|p| (logit(p) - top).exp()).sum();
    let mut forms = [(); 3].map(|()| DVector::zeros(x.len()));
    let mut units = [0.0; 3];
    for p in parts {
        let r = (logit(p) - top).exp() / sum;
        let pull = &p.inverse * deviation(p);
        let terms = [&p.mean + at.alpha * &p.covariance * &pull, at.sigma * &pull, -&pull];
        // Both x and the mean are rounded before they are subtracted.
        let (size, inverse) = (x.amax() + at.alpha * p.mean.amax(), p.inverse.norm());
        let condition = dim + p.log_weight.abs() + dim * inverse * size * size;
        let sizes =
            [p.mean.amax() + at.alpha * p.covariance.norm() * inverse * size, at.sigma * inverse * size];
        for (k, term) in terms.iter().enumerate() {
            forms[k] += r * term;
            units[k] += r * condition * (term.amax() + if k == 2 { inverse * size } else { sizes[k] });
        }
    }
    (forms, units)
}

fn computed<R: Precision>(law: &Mixture, at: &Level, x: &Batch<R>) -> [Vec<R>; 3] {
    let x = State(x.clone());
    [law.denoise(&x, at), law.eps(&x, at), law.score(&x, at)].map(|form| form.0.to_rows())
}

fn agrees<R: Precision>(law: &Mixture, at: &Level, epsilon: f64, what: &str) {
    let (dim, len) = (law.dim(), 40);
    let x: Batch<R> = law.sample(at, 3, Purpose::Other, 0, len);
    let (parts, ours) = (plain(law, at), computed(law, at, &x));
    for (i, x) in x.to_rows().chunks(dim).enumerate() {
        let x = DVector::from_iterator(dim, x.iter().map(|x| x.to_f64()));
        let (exact, units) = forms(&parts, at, &x);
        for ((ours, exact), unit) in ours.iter().zip(exact).zip(units) {
            for (ours, exact) in ours[i * dim..].iter().zip(&exact) {
                let error = (ours.to_f64() - exact).abs();
                assert!(error < epsilon * unit, "{what}, sample {i}: {ours:?} for {exact}, unit {unit}");
            }
        }
    }
}

#[test]
fn the_three_forms_are_those_of_matrices_inverted_whole() {
    let vp = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
    for dim in [1, 2, 3, 7, 64] {
        for count in [1, 2, 5, 17, 60] {
            for (kind, t) in KINDS.into_iter().flat_map(|kind| [(kind, 0.01), (kind, 0.4)]) {
                let (law, at) = (mixture(kind, dim, count), vp.at(t));
                let what = format!("{kind:?}, {count} modes, {dim} coordinates, t = {t}");
                agrees::<f64>(&law, &at, f64::EPSILON, &what);
                agrees::<f32>(&law, &at, f32::EPSILON.into(), &what);
            }
        }
    }
}

#[test]
fn single_precision_keeps_the_score_to_a_few_of_its_digits_where_the_law_is_wide() {
    let vp = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
    for (dim, count) in [(1, 2), (2, 8), (64, 50)] {
        for kind in KINDS {
            let (law, at) = (mixture(kind, dim, count), vp.at(0.4));
            let wide: Batch<f64> = law.sample(&at, 3, Purpose::Other, 0, 1000);
            let narrow = Batch::<f32>::from_rows(dim, wide.to_rows().iter().map(|x| *x as f32).collect());
            let [_, _, exact] = computed(&law, &at, &wide);
            let [_, _, ours] = computed(&law, &at, &narrow);
            let squares = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
            let off = squares(&mut exact.iter().zip(&ours).map(|(a, b)| a - f64::from(*b)));
            let size = squares(&mut exact.iter().copied());
            assert!(off < 3e-6 * size, "{kind:?}, {dim} coordinates: {}", off / size);
        }
    }
}

#[test]
fn a_sample_has_the_same_score_in_every_lane_block_and_company() {
    fn check<R: Precision>(kind: Kind, dim: usize, count: usize) {
        let (law, at) = (mixture(kind, dim, count), Schedule::Edm {}.at(0.3));
        let x: Batch<R> = law.sample(&at, 3, Purpose::Other, 0, 97);
        let together = computed(&law, &at, &x);
        let rows = x.to_rows();
        // Each behind a few others, which move it to another lane, and with one that is far from all.
        for i in 0..97 {
            let mut moved = vec![R::from_f64(1e3); dim * (7 * i % 61)];
            let before = moved.len();
            moved.extend(&rows[i * dim..(i + 1) * dim]);
            let moved = computed(&law, &at, &Batch::from_rows(dim, moved));
            for (together, moved) in together.iter().zip(moved) {
                assert_eq!(together[i * dim..(i + 1) * dim], moved[before..], "{kind:?}, sample {i}");
            }
        }
    }
    for kind in KINDS {
        for (dim, count) in [(1, 3), (2, 8), (9, 13), (64, 50)] {
            check::<f32>(kind, dim, count);
            check::<f64>(kind, dim, count);
        }
    }
}

/// A mixture that may hold point masses, a noise level and a place that may be far away.
fn anywhere() -> impl Strategy<Value = (Mixture, f64, Vec<f64>)> {
    let variance = prop_oneof![2 => Just(0.0), 1 => (-12.0..4.0f64).prop_map(|e| 10f64.powf(e))];
    let number = |low: f64, high: f64| {
        (prop_oneof![1 => Just(0.0), 4 => (low..high).prop_map(|e| 10f64.powf(e))], any::<bool>())
            .prop_map(|(x, up)| if up { x } else { -x })
    };
    let law = (0usize..3, 1usize..4, 1usize..9).prop_flat_map(move |(kind, dim, count)| {
        let one = (
            0.01..1.0f64,
            prop::collection::vec(number(-3.0, 3.0), dim),
            prop::collection::vec(variance.clone(), dim),
        );
        prop::collection::vec(one, count).prop_map(move |parts| {
            let spread = |c: Vec<f64>| match kind {
                0 => Covariance::Isotropic(c[0]),
                1 => Covariance::Diagonal(c),
                _ => {
                    // Householder's reflection at (1, .., 1): a basis with no zeros.
                    let basis = DMatrix::from_fn(dim, dim, |i, j| f64::from(i == j) - 2.0 / dim as f64);
                    Covariance::Full { basis, variance: c }
                }
            };
            Mixture::new(parts.into_iter().map(|(w, mean, c)| (w, mean, spread(c))).collect()).unwrap()
        })
    });
    law.prop_flat_map(move |law| {
        let x = prop::collection::vec(number(-3.0, 6.0), law.dim());
        (Just(law), (-8.0..4.0f64).prop_map(|e| 10f64.powf(e)), x)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn nothing_is_nan_at_any_noise_or_distance_point_masses_included((law, sigma, x) in anywhere()) {
        let vp = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
        for at in [Schedule::Edm {}.at(sigma), vp.at_kappa(sigma.min(100.0))] {
            let wide = Batch::from_rows(law.dim(), x.clone());
            let narrow = Batch::<f32>::from_rows(law.dim(), x.iter().map(|x| *x as f32).collect());
            for form in computed(&law, &at, &wide) {
                prop_assert!(form.iter().all(|y| y.is_finite()), "{form:?}");
            }
            for form in computed(&law, &at, &narrow) {
                prop_assert!(form.iter().all(|y| y.is_finite()), "{form:?}");
            }
            prop_assert!(!law.log_density(&wide, &at)[0].is_nan());
            let r = law.responsibilities(&wide, &at);
            prop_assert!((r.iter().sum::<f64>() - 1.0).abs() < 1e-12 && r.iter().all(|r| *r >= 0.0));
        }
    }
}
