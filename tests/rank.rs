//! Rank correlations against scipy's, and the coverage of their intervals.

use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;
use scorebench::metric::rank::{correlation, within_errors};
use scorebench::metric::{Estimate, Undefined};
use scorebench::parallel;

/// The lists of `golden/rank.py`.
fn numbers(n: usize, a: f64, m: f64, c: f64) -> Vec<f64> {
    (0..n).map(|i| (((i + 1) as f64 * a) % 1.0 * m).floor() + c * i as f64).collect()
}

#[test]
fn rho_tau_and_p_are_those_of_scipy() {
    let mut rows = 0;
    for record in csv::Reader::from_path("tests/golden/rank.csv").unwrap().into_records() {
        let v: Vec<f64> = record.unwrap().iter().map(|cell| cell.parse().unwrap()).collect();
        let (n, lost) = (v[0] as usize, v[3] as usize);
        let (x, mut y) = (numbers(n, 0.618034, v[1], v[2]), numbers(n, 0.414214, v[1], v[2]));
        // What diverged is last and tied, whatever it is.
        for (k, y) in y.iter_mut().skip(lost.wrapping_sub(1)).step_by(lost.max(1)).enumerate() {
            *y = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][k % 3];
        }
        let got = correlation(&x, &y).unwrap();
        assert_eq!(got.n, n);
        for (got, want) in [(got.rho, v[4]), (got.tau, v[5]), (got.p_value, v[6])] {
            assert!((got - want).abs() < 1e-12, "{v:?}: {got} for {want}");
        }
        rows += 1;
    }
    assert_eq!(rows, 9);
}

#[test]
fn an_order_agrees_with_itself_and_disagrees_with_its_reverse() {
    for n in [4, 8, 9, 10, 40] {
        let x: Vec<f64> = (0..n).map(|i| (i as f64).exp()).collect();
        let reverse: Vec<f64> = x.iter().map(|x| 1.0 / x).collect();
        let (same, other) = (correlation(&x, &x).unwrap(), correlation(&x, &reverse).unwrap());
        assert_eq!((same.rho, same.tau, same.high), (1.0, 1.0, 1.0));
        assert_eq!((other.rho, other.tau, other.low), (-1.0, -1.0, -1.0));
        assert!((same.low + other.high).abs() < 1e-12 && same.low < 1.0);
        if n == 8 {
            // Two of all orders.
            assert_eq!(same.p_value, 2.0 / 40320.0);
        }
        assert!(same.p_value <= 2.0 / 24.0 && same.p_value == other.p_value);
    }
    let few = correlation(&[1.0; 3], &[1.0, 2.0, 3.0]);
    assert_eq!(few, Err(Undefined::TooFew { have: 1, need: 2 }));
    let diverged = correlation(&[1.0, 2.0, 3.0, 4.0], &[f64::NAN; 4]);
    assert_eq!(diverged, Err(Undefined::TooFew { have: 1, need: 2 }));
    assert_eq!(correlation(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]), Err(Undefined::TooFew { have: 3, need: 4 }));
}

/// Pairs of normals with this correlation.
fn pairs(random: &mut Xoshiro256PlusPlus, n: usize, r: f64) -> (Vec<f64>, Vec<f64>) {
    let pair = |_| {
        let (a, b): (f64, f64) = (random.sample(StandardNormal), random.sample(StandardNormal));
        (a, r * a + (1.0 - r * r).sqrt() * b)
    };
    (0..n).map(pair).unzip()
}

#[test]
fn intervals_cover_from_eight_solvers_to_forty_however_strong_the_association() {
    const REPLICATIONS: u64 = 1000;
    for (n, r) in [8, 12, 20, 40].into_iter().flat_map(|n| [0.0, 0.5, -0.8, 0.95, 0.99].map(|r| (n, r))) {
        // Of all pairs (Pearson 1907).
        let truth = 6.0 / std::f64::consts::PI * f64::asin(r / 2.0);
        let seeds: Vec<u64> = (0..REPLICATIONS).collect();
        let all = parallel::map(&seeds, |seed| {
            let (x, y) = pairs(&mut Xoshiro256PlusPlus::seed_from_u64(*seed), n, r);
            correlation(&x, &y).unwrap()
        });
        let covered = all.iter().filter(|c| (c.low..=c.high).contains(&truth)).count() as f64;
        let share = covered / REPLICATIONS as f64;
        println!("n = {n}, rho = {truth:.3}: {share:.3}");
        // Of Binomial(1000, 0.95), 927 leaves out 8e-4. Conservative where few orders are possible.
        assert!(share >= 0.927 && (share < 0.99 || n < 20), "n = {n}, rho = {truth}: {share}");
    }
}

#[test]
fn p_values_without_association_are_uniform() {
    for n in [7, 10, 25] {
        let seeds: Vec<u64> = (0..4000).collect();
        let p = parallel::map(&seeds, |seed| {
            let (x, y) = pairs(&mut Xoshiro256PlusPlus::seed_from_u64(*seed), n, 0.0);
            correlation(&x, &y).unwrap().p_value
        });
        let below = p.iter().filter(|p| **p <= 0.05).count() as f64 / 4000.0;
        // Four standard errors; Student's approximation, and steps of the exact one, are within a fifth.
        assert!((below - 0.05).abs() < 0.01 + 4.0 * (0.05f64 * 0.95 / 4000.0).sqrt(), "n = {n}: {below}");
    }
}

#[test]
fn errors_of_the_values_move_rho_as_far_as_they_mix_ranks() {
    let of = |stderr: f64| -> Vec<Estimate> {
        (0..12).map(|k| Estimate { value: f64::from(k), stderr }).collect()
    };
    assert_eq!(within_errors(&of(0.0), &of(0.0), 1), Ok((1.0, 1.0)));
    let (low, high) = within_errors(&of(0.5), &of(0.5), 1).unwrap();
    assert!(0.9 < low && low < 0.98 && low < high, "{low} {high}");
    let (low, high) = within_errors(&of(1e6), &of(0.0), 1).unwrap();
    // Ranks by chance: rho has variance 1/11.
    assert!((low + 0.59).abs() < 0.1 && (high - 0.59).abs() < 0.1, "{low} {high}");
    assert_eq!(within_errors(&of(0.5), &of(0.5), 1), within_errors(&of(0.5), &of(0.5), 1));
    assert_ne!(within_errors(&of(0.5), &of(0.5), 1), within_errors(&of(0.5), &of(0.5), 2));
}
