//! The functions that scores and noises are made of, against independent ones: `f32` against the system's in `f64`, `f64`
//! against 50-digit numbers (`golden/functions.py`).

use proptest::prelude::*;
use scorebench::batch::Batch;
use scorebench::noise::{Purpose, White, generator};
use scorebench::real::Real;
use scorebench::state::State;
use statrs::distribution::{ContinuousCDF, Normal};

/// What the documentation of [`Real`] states, in units of the last place: (exp, ln), and the sine and cosine of normals in
/// units of that of their radius.
const BOUNDS_F32: (f64, f64, f64) = (1.0, 0.8, 3.0);
const BOUNDS_F64: (f64, f64, f64) = (1.1, 0.8, 2.0);

/// Distance of neighbouring numbers at `x`.
fn ulp32(x: f64) -> f64 {
    let x = (x.abs() as f32).max(f32::MIN_POSITIVE);
    f64::from(f32::from_bits(x.to_bits() + 1)) - f64::from(x)
}

fn ulp64(x: f64) -> f64 {
    let x = x.abs().clamp(f64::MIN_POSITIVE, f64::MAX / 2.0);
    f64::from_bits(x.to_bits() + 1) - x
}

/// Every `stride`-th number from the bits of `from` to those of `to`.
fn numbers(from: f32, to: f32, stride: usize) -> impl Iterator<Item = f32> {
    (from.to_bits()..=to.to_bits()).step_by(stride).map(f32::from_bits)
}

#[test]
fn exp_of_f32_is_within_its_bound_wherever_its_result_is_normal() {
    // Some three million numbers on each side of 0, and all of the last before the results are none.
    let grid = numbers(-1e-30, -87.3, 401).chain(numbers(1e-30, 88.37, 401));
    let ends = numbers(-87.29, -87.3, 1).chain(numbers(88.36, 88.37, 1));
    let mut worst = (0.0, 0.0);
    for x in grid.chain(ends) {
        let exact = f64::from(x).exp();
        let error = (f64::from(Real::exp(x)) - exact).abs() / ulp32(exact);
        worst = if error > worst.0 { (error, x) } else { worst };
    }
    println!("exp, f32: {worst:?}");
    assert!(worst.0 < BOUNDS_F32.0, "{worst:?}");
}

#[test]
fn exp_is_0_below_the_normal_range_infinite_above_and_1_at_0() {
    fn check<R: Real>(tiny: f64, huge: f64) {
        let exp = |x: f64| R::from_f64(x).exp();
        assert!(exp(0.0) == R::ONE && exp(-0.0) == R::ONE);
        assert!(exp(f64::NEG_INFINITY) == R::ZERO && exp(1.001 * tiny) == R::ZERO);
        assert!(exp(0.999 * tiny) > R::ZERO && R::LEAST_EXPONENT.exp() > R::ZERO);
        assert!(exp(f64::INFINITY).to_f64() == f64::INFINITY && exp(1.001 * huge).to_f64() == f64::INFINITY);
        assert!(exp(0.999 * huge).to_f64().is_finite());
    }
    check::<f32>(-87.3, 88.37);
    check::<f64>(-708.3, 709.4);
    assert!(Real::exp(-87.4f32) == 0.0 && Real::exp(-708.4f64) == 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn exp_never_falls_by_more_than_its_error(x in -87.0f32..88.0, up in 0u32..100) {
        let y = f32::from_bits(if x < 0.0 { x.to_bits() - up.min(x.to_bits() - 0x8000_0000) } else { x.to_bits() + up });
        prop_assert!(Real::exp(y) >= Real::exp(x) * (1.0 - 3.0 * f32::EPSILON));
    }
}

#[test]
fn ln_of_f32_is_within_its_bound_for_all_normal_numbers() {
    let grid = numbers(f32::MIN_POSITIVE, f32::MAX, 401).chain(numbers(0.999, 1.001, 1));
    let mut worst = (0.0, 0.0);
    for x in grid {
        let exact = f64::from(x).ln();
        let error = (f64::from(Real::ln(x)) - exact).abs() / ulp32(exact);
        worst = if error > worst.0 { (error, x) } else { worst };
    }
    println!("ln, f32: {worst:?}");
    assert!(worst.0 < BOUNDS_F32.1, "{worst:?}");
    assert!(Real::ln(1.0f32) == 0.0 && Real::ln(1.0f64) == 0.0);
}

#[test]
fn normals_of_f32_are_within_their_bound() {
    const ULP: f64 = 1.0 / 4_294_967_296.0;
    let mut worst = (0.0, (0, 0));
    let edges = [0, 1, u32::MAX, 1 << 31, (1 << 31) - 1, 1 << 29, 1 << 30, 3 << 29, 3 << 30];
    let words = (0..2_000_000u32).map(|i| (i.wrapping_mul(2_654_435_769), i.wrapping_mul(40_503 * 65_537)));
    for (a, b) in words.chain(edges.iter().flat_map(|a| edges.map(|b| (*a, b)))) {
        // The radius of the number that 32 bits round to, as its logarithm amplifies that.
        let radius = (-2.0 * f64::from((a as f32 + 0.5) * ULP as f32).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * f64::from(b as i32) * ULP).sin_cos();
        let [x, y] = f32::normals(a, b);
        for (got, exact) in [(x, radius * cosine), (y, radius * sine)] {
            let error = (f64::from(got) - exact).abs() / ulp32(radius);
            worst = if error > worst.0 { (error, (a, b)) } else { worst };
        }
    }
    println!("normals, f32: {worst:?}");
    assert!(worst.0 < BOUNDS_F32.2, "{worst:?}");
}

#[test]
fn f64_is_within_its_bounds_of_50_digit_numbers() {
    let mut worst = [(0.0, String::new()), (0.0, String::new()), (0.0, String::new())];
    for row in csv::Reader::from_path("tests/golden/functions.csv").unwrap().records() {
        let row = row.unwrap();
        let [value, rest]: [f64; 2] = [3, 4].map(|k| row[k].parse().unwrap());
        let words = || [1, 2].map(|k| row[k].parse::<u32>().unwrap());
        let (which, got, unit) = match &row[0] {
            "exp" => (0, Real::exp(row[1].parse::<f64>().unwrap()), ulp64(value)),
            "ln" => (1, Real::ln(row[1].parse::<f64>().unwrap()), ulp64(value)),
            name => {
                let [x, y] = f64::normals(words()[0], words()[1]);
                (2, if name == "cosine" { x } else { y }, ulp64(x.hypot(y)))
            }
        };
        let error = ((got - value) - rest).abs() / unit;
        if error > worst[which].0 {
            worst[which] = (error, format!("{row:?}"));
        }
    }
    println!("exp, ln, normals, f64: {worst:?}");
    let bounds = [BOUNDS_F64.0, BOUNDS_F64.1, BOUNDS_F64.2];
    assert!(worst.iter().zip(bounds).all(|((error, _), bound)| *error < bound), "{worst:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn normals_are_finite_and_the_same_in_both_precisions_whatever_the_bits(
        radius in prop_oneof![Just(0), Just(u32::MAX), any::<u32>(), 0u32..1000, u32::MAX - 1000..=u32::MAX],
        angle in prop_oneof![Just(0), Just(u32::MAX), any::<u32>()],
    ) {
        let (narrow, wide) = (f32::normals(radius, angle), f64::normals(radius, angle));
        let r = wide[0].hypot(wide[1]).max(1e-4);
        // Rounding of the radius' number near 1 and the bits below the first 32 near 0 move the radius by du/(u r).
        let slack = 1e-6 * r + 1e-7 / r + 1.0 / ((f64::from(radius) + 0.5) * r);
        let slack = if radius == 0 { 2.0 } else { slack };
        for (x, y) in narrow.into_iter().zip(wide) {
            prop_assert!(x.is_finite() && y.is_finite());
            prop_assert!(x.abs() < 6.8 && y.abs() < 8.7);
            prop_assert!((f64::from(x) - y).abs() < slack, "{x} {y}");
        }
    }
}

/// Two million, in the order of samples.
fn drawn<R: scorebench::batch::Precision>() -> Vec<f64> {
    let z = White::of(3, Purpose::Noise).draw(&State(Batch::<R>::zeros(2, 0, 1_000_000))).0;
    z.to_rows().into_iter().map(R::to_f64).collect()
}

#[test]
fn normals_have_the_moments_and_the_distribution_of_normals() {
    // Eight moments and a Kolmogorov-Smirnov test in two precisions, and a correlation: false alarms 2e-3 in all.
    for z in [drawn::<f32>(), drawn::<f64>()] {
        let n = z.len() as f64;
        for p in 1..=8 {
            let double = |p: i32| (1..p).step_by(2).map(f64::from).product::<f64>();
            let exact = if p % 2 == 0 { double(p) } else { 0.0 };
            let mean = z.iter().map(|z| z.powi(p)).sum::<f64>() / n;
            let score = (mean - exact) / ((double(2 * p) - exact * exact) / n).sqrt();
            assert!(score.abs() < 4.0, "moment {p}: {mean}, {score} standard errors");
        }
        let mut sorted = z.clone();
        sorted.sort_by(f64::total_cmp);
        let normal = Normal::standard();
        let gap = |(i, z): (usize, &f64)| (normal.cdf(*z) - (i as f64 + 0.5) / n).abs();
        let distance = sorted.iter().enumerate().map(gap).fold(0.0, f64::max);
        // P(sqrt(n) D > 2.0) = 2 exp(-8) = 7e-4.
        assert!(distance * n.sqrt() < 2.0, "{}", distance * n.sqrt());
        let squares = z.chunks(2).map(|pair| (pair[0].powi(2) - 1.0) * (pair[1].powi(2) - 1.0)).sum::<f64>();
        let products = z.chunks(2).map(|pair| pair[0] * pair[1]).sum::<f64>();
        let pairs = n / 2.0;
        assert!(products.abs() < 4.0 * pairs.sqrt() && squares.abs() < 8.0 * pairs.sqrt());
    }
}

#[test]
fn draws_are_the_normals_of_every_samples_own_generator_bit_for_bit() {
    // Vectorised or not, whatever the processor: what is drawn here in blocks is computed one by one.
    use rand::Rng;
    fn check<R: scorebench::batch::Precision>() {
        let (dim, first, len) = (5, 1000, 70);
        let rows = White::of(9, Purpose::Start).draw(&State(Batch::<R>::zeros(dim, first, len))).0.to_rows();
        for (i, row) in rows.chunks(dim).enumerate() {
            let mut own = generator(9, Purpose::Start, first + i as u64);
            let expected = (0..dim.div_ceil(2)).flat_map(|_| {
                let bits = own.next_u64();
                R::normals((bits >> 32) as u32, bits as u32)
            });
            assert!(row.iter().copied().eq(expected.take(dim)), "sample {i}");
        }
    }
    check::<f32>();
    check::<f64>();
}
