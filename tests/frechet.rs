//! The squared Frechet distance against scipy's and numpy's, in closed form, and the coverage of its intervals.

use nalgebra::DMatrix;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;
use scorebench::metric::frechet::{Fit, frechet, frechet_above_floor, frechet_to, frechet_to_above_floor};
use scorebench::metric::{Estimate, Samples, Undefined};
use scorebench::parallel;

/// The samples of `golden/frechet.py`.
fn numbers(count: usize, a: f64, b: f64, c: f64) -> Vec<f64> {
    (0..count).map(|k| ((k + 1) as f64 * a) % 1.0 * b + c).collect()
}

#[test]
fn distances_and_their_errors_are_those_of_singular_values_and_numerical_derivatives() {
    let mut rows = 0;
    for record in csv::Reader::from_path("tests/golden/frechet.csv").unwrap().into_records() {
        let v: Vec<f64> = record.unwrap().iter().map(|cell| cell.parse().unwrap()).collect();
        let (d, n, m) = (v[0] as usize, v[1] as usize, v[2] as usize);
        let (x, y) = (numbers(n * d, 0.618034, 3.0, -1.5), numbers(m * d, 0.414214, 2.5, -0.8));
        let (x, y) = (Samples::new(d, &x), Samples::new(d, &y));
        let (got, swapped) = (frechet(x, y).unwrap(), frechet(y, x).unwrap());
        assert!((got.value - v[3]).abs() < 1e-10, "{v:?}: {got:?}");
        assert!((got.stderr / v[4] - 1.0).abs() < 1e-6, "{v:?}: {got:?}");
        assert!(
            (got.value - swapped.value).abs() < 1e-10 && (got.stderr / swapped.stderr - 1.0).abs() < 1e-6
        );
        // A law with the same moments is as far.
        let to = frechet_to(x, &Fit::of(y).unwrap()).unwrap();
        assert!((to.value - got.value).abs() < 1e-10 && to.stderr < got.stderr, "{to:?}");
        rows += 1;
    }
    assert_eq!(rows, 6);
}

#[test]
fn a_sample_is_at_0_from_itself_and_at_the_square_of_its_shift() {
    for (n, d) in [(50, 3), (6, 10), (2, 1)] {
        let x = numbers(n * d, 0.732051, 2.0, -1.0);
        let shifted: Vec<f64> = x.iter().map(|x| x + 0.5).collect();
        let scaled: Vec<f64> = x.iter().map(|x| 3.0 * x).collect();
        let [x, shifted, scaled] = [&x, &shifted, &scaled].map(|v| Samples::new(d, v));
        let same = frechet(x, x).unwrap();
        assert!(same.value < 1e-12 && same.stderr < 1e-8, "{same:?}");
        let moved = frechet(x, shifted).unwrap();
        assert!((moved.value - 0.25 * d as f64).abs() < 1e-10 && moved.stderr < 1e-8, "{moved:?}");
        // 3x: (3 - 1)^2 (|m|^2 + tr C), and three times as large is nine times as far.
        let once = frechet(x, scaled).unwrap();
        let (x3, scaled3): (Vec<f64>, Vec<f64>) = (
            x.rows().flatten().map(|v| 3.0 * v).collect(),
            scaled.rows().flatten().map(|v| 3.0 * v).collect(),
        );
        let larger = frechet(Samples::new(d, &x3), Samples::new(d, &scaled3)).unwrap();
        assert!((larger.value / (9.0 * once.value) - 1.0).abs() < 1e-12, "{once:?} {larger:?}");
        assert!((larger.stderr / (9.0 * once.stderr) - 1.0).abs() < 1e-9, "{once:?} {larger:?}");
        let mean =
            |v: Samples| (0..d).map(|k| (v.column(k).iter().sum::<f64>() / n as f64).powi(2)).sum::<f64>();
        let trace = |v: Samples| v.rows().flatten().map(|x| x * x).sum::<f64>() - n as f64 * mean(v);
        let want = 4.0 * (mean(x) + trace(x) / (n as f64 - 1.0));
        assert!((once.value / want - 1.0).abs() < 1e-12, "{once:?} {want}");
    }
}

#[test]
fn what_has_no_moments_is_refused() {
    let (one, two) = ([0.0, 1.0], [0.0, f64::NAN, 1.0, 2.0]);
    let [one, two] = [Samples::new(2, &one), Samples::new(2, &two)];
    let fine = [0.0, 1.0, 1.0, 2.0];
    let fine = Samples::new(2, &fine);
    assert_eq!(frechet(fine, one), Err(Undefined::TooFew { have: 1, need: 2 }));
    assert_eq!(frechet(two, fine), Err(Undefined::NotFinite { count: 1, of: 2 }));
    let far = [1e300, 0.0, -1e300, 1.0];
    assert_eq!(frechet(Samples::new(2, &far), fine), Err(Undefined::Overflow));
    assert_eq!(frechet(fine, Samples::new(2, &far)), Err(Undefined::Overflow));
}

struct Draws(Xoshiro256PlusPlus);

impl Draws {
    fn normals(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.0.sample(StandardNormal)).collect()
    }
}

/// Normals in the plane, made of independent ones by a matrix and a shift.
#[derive(Clone, Copy)]
struct Plane {
    mean: [f64; 2],
    rows: [[f64; 2]; 2],
}

impl Plane {
    fn of(&self, z: &[f64]) -> Vec<f64> {
        let row = |k: usize, z: &[f64]| self.mean[k] + self.rows[k][0] * z[0] + self.rows[k][1] * z[1];
        z.chunks_exact(2).flat_map(|z| [row(0, z), row(1, z)]).collect()
    }
    fn covariance(&self) -> DMatrix<f64> {
        let a = DMatrix::from_fn(2, 2, |i, j| self.rows[i][j]);
        &a * a.transpose()
    }
    /// In closed form: `tr (A B)^(1/2) = sqrt(tr A B + 2 sqrt(det A B))` of 2 x 2 matrices.
    fn squared_distance(&self, other: &Plane) -> f64 {
        let (a, b) = (self.covariance(), other.covariance());
        let shift: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b).powi(2)).sum();
        let product = &a * &b;
        shift + a.trace() + b.trace() - 2.0 * (product.trace() + 2.0 * product.determinant().sqrt()).sqrt()
    }
}

const REFERENCE: Plane = Plane { mean: [0.0, 1.0], rows: [[1.0, 0.0], [0.8, 0.6]] };
const OTHER: Plane = Plane { mean: [0.2, 1.0], rows: [[1.3, -0.2], [0.3, 0.7]] };

/// As in `metrics_coverage.rs`: of Binomial(200, 0.95), 178 to 199 leave out 3e-4; conservative ones may cover always.
fn covers(
    what: &str,
    truth: f64,
    conservative: bool,
    replicate: impl Fn(&mut Draws) -> Estimate + Sync + Send,
) {
    let seeds: Vec<u64> = (0..200).map(|k| 1000 * what.len() as u64 + k).collect();
    let all = parallel::map(&seeds, |seed| replicate(&mut Draws(Xoshiro256PlusPlus::seed_from_u64(*seed))));
    let inside = |e: &&Estimate| {
        let (low, high) = e.interval(0.95);
        (low..=high).contains(&truth)
    };
    let covered = all.iter().filter(inside).count();
    let mean = all.iter().map(|e| e.value).sum::<f64>() / 200.0;
    let spread = (all.iter().map(|e| (e.value - mean).powi(2)).sum::<f64>() / 200.0).sqrt();
    let stated = all.iter().map(|e| e.stderr).sum::<f64>() / 200.0;
    println!(
        "{what}: {covered} of 200; mean {mean:.3e} for {truth:.3e}, sd {spread:.2e}, stated {stated:.2e}"
    );
    let most = if conservative { 200 } else { 199 };
    assert!((178..=most).contains(&covered), "{what}: {covered} of 200 intervals cover {truth}");
}

#[test]
fn intervals_cover() {
    let n = 1500;
    let truth = OTHER.squared_distance(&REFERENCE);
    let law = Fit::exact(&REFERENCE.mean, REFERENCE.covariance()).unwrap();
    covers("two samples, one larger", truth, false, |d| {
        let (x, y) = (OTHER.of(&d.normals(2 * n)), REFERENCE.of(&d.normals(3 * n)));
        frechet(Samples::new(2, &x), Samples::new(2, &y)).unwrap()
    });
    covers("two samples on common random numbers", truth, false, |d| {
        let z = d.normals(2 * n);
        let (x, y) = (OTHER.of(&z), REFERENCE.of(&z));
        frechet(Samples::new(2, &x), Samples::new(2, &y)).unwrap()
    });
    covers("to a law", truth, false, |d| {
        frechet_to(Samples::new(2, &OTHER.of(&d.normals(2 * n))), &law).unwrap()
    });
    covers("above the floor of a sample", truth, false, |d| {
        let z = d.normals(2 * n);
        let (x, control, y) = (OTHER.of(&z), REFERENCE.of(&z), REFERENCE.of(&d.normals(4 * n)));
        let [x, control, y] = [&x, &control, &y].map(|v| Samples::new(2, v));
        frechet_above_floor(x, control, y).unwrap().excess
    });
    covers("above the floor of a law", truth, false, |d| {
        let z = d.normals(2 * n);
        let (x, control) = (OTHER.of(&z), REFERENCE.of(&z));
        frechet_to_above_floor(Samples::new(2, &x), Samples::new(2, &control), &law).unwrap().excess
    });
    covers("above the floor where there is nothing", 0.0, true, |d| {
        let (x, control) = (REFERENCE.of(&d.normals(2 * n)), REFERENCE.of(&d.normals(2 * n)));
        frechet_to_above_floor(Samples::new(2, &x), Samples::new(2, &control), &law).unwrap().excess
    });
}

#[test]
fn the_floor_takes_off_the_bias_of_small_samples_in_many_dimensions() {
    // N(0, I) in 20 dimensions, all of it scaled by 1.1: 20 x 0.1^2; 100 samples are far more apart.
    let (d, n) = (20, 100);
    let seeds: Vec<u64> = (0..100).collect();
    let law = Fit::exact(&vec![0.0; d], DMatrix::identity(d, d)).unwrap();
    let all = parallel::map(&seeds, |seed| {
        let mut draws = Draws(Xoshiro256PlusPlus::seed_from_u64(*seed));
        let control = draws.normals(n * d);
        let x: Vec<f64> = control.iter().map(|z| 1.1 * z).collect();
        let d = frechet_to_above_floor(Samples::new(d, &x), Samples::new(d, &control), &law).unwrap();
        (d.value.value, d.floor, d.excess.value)
    });
    let mean = |f: fn(&(f64, f64, f64)) -> f64| all.iter().map(f).sum::<f64>() / 100.0;
    let (value, floor, excess) = (mean(|d| d.0), mean(|d| d.1), mean(|d| d.2));
    println!("{value} {floor} {excess}");
    // What is left: the floor of the wider law is higher.
    assert!(floor > 1.0 && excess > 0.2 && excess - 0.2 < 0.15 * (value - 0.2), "{value} {floor} {excess}");
}
