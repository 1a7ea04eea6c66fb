//! Laws of the data: their samples, densities and moments agree, presets are what they say, files are read as they stand.

use std::path::Path;

use scorebench::batch::Batch;
use scorebench::data::preset::{FourModes, Funnel, Lattice, RandomMixture, Ring, Shape, Span, TwoMode};
use scorebench::data::{CLEAN, Covariance, Data, Gaussian, Mixture, Product, digits, empirical};
use scorebench::noise::Purpose;
use scorebench::schedule::{Level, Schedule};
use statrs::distribution::{ChiSquared, ContinuousCDF};

fn laws() -> Vec<(&'static str, Mixture)> {
    let points = (0..7).map(|i| vec![f64::from(i).sin(), f64::from(i * i % 5)]).collect();
    let random = |covariance| RandomMixture { modes: 6, dim: 3, seed: 5, covariance, ..Default::default() };
    vec![
        ("ring", Ring { std: Span { first: 0.1, last: 0.6 }, ..Default::default() }.mixture().unwrap()),
        ("grid", Lattice { side: 3, ..Default::default() }.mixture().unwrap()),
        ("four-modes", FourModes::default().mixture().unwrap()),
        ("funnel", Funnel { std: 0.3, ..Default::default() }.mixture().unwrap()),
        ("two-mode", TwoMode {}.mixture().unwrap()),
        ("random, diagonal", random(Shape::Diagonal).mixture().unwrap()),
        ("random, full", random(Shape::Full).mixture().unwrap()),
        ("point masses", empirical::kernels(points, 0.0).unwrap()),
    ]
}

fn levels() -> [Level; 3] {
    let vp = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
    [CLEAN, vp.at(0.1), vp.at(0.6)]
}

/// z-scores of sample averages against the exact moments: of every coordinate, of every product of two, of |x|^2 and |x|^4.
fn z_scores(law: &Data, at: &Level, seed: u64, count: usize) -> Vec<f64> {
    let (dim, mean) = (law.dim(), law.mean(at));
    let covariance = law.covariance(at);
    let mut exact = mean.clone();
    exact.extend(covariance.iter());
    exact.extend([law.second_moment(at), law.fourth_moment(at)]);
    let (mut sum, mut squares) = (vec![0.0; exact.len()], vec![0.0; exact.len()]);
    let rows = law.sample::<f64>(at, seed, Purpose::Reference, 0, count).to_rows();
    for x in rows.chunks_exact(dim) {
        let norm: f64 = x.iter().map(|x| x * x).sum();
        let products = (0..dim * dim).map(|i| (x[i / dim] - mean[i / dim]) * (x[i % dim] - mean[i % dim]));
        let values = x.iter().copied().chain(products).chain([norm, norm * norm]);
        for (k, value) in values.enumerate() {
            sum[k] += value - exact[k];
            squares[k] += (value - exact[k]).powi(2);
        }
    }
    sum.iter()
        .zip(&squares)
        .map(|(sum, squares)| if *squares > 0.0 { sum / squares.sqrt() } else { 0.0 })
        .collect()
}

/// For each of 200 moments the sum of squares over 20 seeds is chi-square with 20 degrees of freedom; beyond the 1e-7
/// quantiles on either side lies chance once in 25,000 tests (the seeds are fixed: it passes always or never).
#[test]
fn moments_of_samples_have_the_errors_of_chance_and_no_others() {
    let chi_square = ChiSquared::new(20.0).unwrap();
    let (least, most) = (chi_square.inverse_cdf(1e-7), chi_square.inverse_cdf(1.0 - 1e-7));
    let (mut total, mut number) = (0.0, 0);
    for (name, law) in laws() {
        let data = Data::Mixture(law);
        for at in levels() {
            let scores: Vec<Vec<f64>> = (0..20).map(|seed| z_scores(&data, &at, seed, 10_000)).collect();
            for k in 0..scores[0].len() {
                let sum: f64 = scores.iter().map(|z| z[k] * z[k]).sum();
                assert!(least < sum && sum < most, "{name} at t = {}, moment {k}: chi-square {sum}", at.t);
                total += sum / 20.0;
                number += 1;
            }
        }
    }
    // All together: their average is 1, but for the correlation of moments of one sample.
    let average = total / f64::from(number);
    assert!((average - 1.0).abs() < 0.15, "average of squared z-scores over {number} moments: {average}");
}

/// Trapezoidal rule on [-reach, reach]^dim: exact to round-off for smooth densities whose tails it holds.
fn mass(law: &Mixture, at: &Level, reach: f64, points: usize) -> f64 {
    let h = 2.0 * reach / points as f64;
    let place = |i: usize| -reach + h * i as f64;
    let rows = match law.dim() {
        1 => (0..=points).map(place).collect(),
        _ => (0..=points).flat_map(|i| (0..=points).flat_map(move |j| [place(i), place(j)])).collect(),
    };
    let logs = law.log_density(&Batch::from_rows(law.dim(), rows), at);
    logs.iter().map(|log| log.exp()).sum::<f64>() * h.powi(law.dim() as i32)
}

#[test]
fn densities_integrate_to_one() {
    let vp = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
    for (name, law, reach) in [
        ("two-mode", TwoMode {}.mixture().unwrap(), 8.0),
        ("ring", Ring::default().mixture().unwrap(), 8.0),
        ("four-modes", FourModes::default().mixture().unwrap(), 24.0),
        ("funnel", Funnel { std: 0.5, ..Default::default() }.mixture().unwrap(), 20.0),
    ] {
        for at in [CLEAN, vp.at(0.1), vp.at(0.6)] {
            let mass = mass(&law, &at, reach, 500);
            assert!((mass - 1.0).abs() < 1e-10, "{name} at t = {}: {mass}", at.t);
        }
    }
}

#[test]
fn a_marginal_of_a_marginal_is_the_marginal_of_both() {
    let vp = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
    let (first, last) = (vp.at(0.2), vp.at(0.7));
    // The forward step between them.
    let between =
        Level { alpha: last.alpha / first.alpha, sigma: last.variance_since(&first).sqrt(), ..last };
    for (name, law) in laws() {
        let x = law.sample::<f64>(&last, 3, Purpose::Reference, 0, 100);
        let (once, twice) = (law.log_density(&x, &last), law.marginal(&first).log_density(&x, &between));
        for (a, b) in once.iter().zip(&twice) {
            assert!((a - b).abs() < 1e-11 * a.abs().max(1.0), "{name}: {a} and {b}");
        }
        let (a, b) = (law.marginal(&last), law.marginal(&first).marginal(&between));
        assert!((a.fourth_moment() / b.fourth_moment() - 1.0).abs() < 1e-12, "{name}");
    }
}

/// Weight, mean and variances of every mode.
fn modes(law: &Mixture) -> Vec<(f64, Vec<f64>, Vec<f64>)> {
    let diagonal = |c: &Covariance| c.matrix(law.dim()).diagonal().iter().copied().collect();
    law.components().iter().map(|c| (c.weight, c.mean.clone(), diagonal(&c.covariance))).collect()
}

fn near(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12)
}

#[test]
fn the_plane_presets_have_their_modes_where_they_say() {
    let ring = modes(&Ring { std: Span { first: 0.1, last: 0.8 }, ..Default::default() }.mixture().unwrap());
    let half = 2.0_f64.sqrt();
    let places = [
        [2.0, 0.0],
        [half, half],
        [0.0, 2.0],
        [-half, half],
        [-2.0, 0.0],
        [-half, -half],
        [0.0, -2.0],
        [half, -half],
    ];
    assert_eq!(ring.len(), places.len());
    for (k, (weight, mean, variance)) in ring.iter().enumerate() {
        assert_eq!(*weight, 0.125);
        assert!(near(mean, &places[k]), "{mean:?}");
        assert!(near(variance, &[(0.1 * (k + 1) as f64).powi(2); 2]), "{variance:?}");
    }

    let grid = modes(&Lattice::default().mixture().unwrap());
    let places = (0..25).map(|k| vec![f64::from(k / 5 * 2 - 4), f64::from(k % 5 * 2 - 4)]);
    assert_eq!(grid.iter().map(|m| m.1.clone()).collect::<Vec<_>>(), places.collect::<Vec<_>>());
    assert!(grid.iter().all(|m| m.0 == 0.04 && near(&m.2, &[0.0025; 2])));
    let even = modes(&Lattice { side: 2, spacing: 1.0, std: 0.1 }.mixture().unwrap());
    assert_eq!(even[1].1, [-0.5, 0.5]);

    let four = FourModes::default().mixture().unwrap();
    for (k, mode) in four.components().iter().enumerate() {
        assert!((mode.weight - [0.1, 0.2, 0.3, 0.4][k]).abs() < 1e-15);
        assert_eq!(mode.mean, [[0.0, 0.0], [0.0, 11.0], [9.0, 9.0], [11.0, 0.0]][k]);
        let (c, rho) = [(1.0, 0.5), (0.3, -0.2), (1.0, 0.3), (1.2, -1.0)][k];
        assert!(near(mode.covariance.matrix(2).as_slice(), &[c, rho, rho, c]));
    }
    let round = FourModes { std: Some(0.7) }.mixture().unwrap();
    assert!(round.components().iter().all(|c| c.covariance == Covariance::Isotropic(0.7 * 0.7)));

    let two = TwoMode {}.mixture().unwrap();
    assert!((two.mean()[0] - (0.7 * 1.5 - 0.3)).abs() < 1e-15);
    let second = 0.3 * (1.0 + 0.04) + 0.7 * (2.25 + 0.16);
    assert!((two.second_moment() - second).abs() < 1e-15);
}

#[test]
fn the_funnel_is_neals_but_for_the_gaussian_along_it() {
    let law = Funnel { dim: 3, ..Default::default() }.mixture().unwrap();
    let covariance = law.covariance();
    // Numbers of tests/golden/data.py, as below.
    assert!((covariance[(0, 0)] - 0.9983187127195942).abs() < 1e-14);
    assert!((covariance[(1, 1)] - 1.4527063778933496).abs() < 1e-14);
    assert!(covariance[(0, 1)].abs() < 1e-15 && law.mean().iter().all(|m| m.abs() < 1e-15));
    // Along it, N(0, 1) to 6e-5 in density; across, wider and wider: the ends differ in width by e^3.
    let line = Mixture::new(
        modes(&law).into_iter().map(|(w, m, v)| (w, vec![m[0]], Covariance::Isotropic(v[0]))).collect(),
    );
    let x: Vec<f64> = (-40..=40).map(|i| 0.1 * f64::from(i)).collect();
    let logs = line.unwrap().log_density(&Batch::from_rows(1, x.clone()), &CLEAN);
    for (x, log) in x.iter().zip(logs) {
        let normal = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        assert!((log.exp() - normal).abs() < 6e-5, "{x}: {} and {normal}", log.exp());
    }
    let widths: Vec<f64> = modes(&law).iter().map(|m| m.2[2].sqrt()).collect();
    assert!((widths[12] / widths[0]).ln() - 3.0 < 1e-12 && widths.is_sorted());
}

#[test]
fn random_mixtures_are_their_seeds_and_grow_at_the_end() {
    for covariance in [Shape::Isotropic, Shape::Diagonal, Shape::Full] {
        let of = |modes, seed| {
            let std = Span { first: 0.2, last: 0.4 };
            let preset = RandomMixture { modes, dim: 5, seed, std, covariance, ..Default::default() };
            preset.mixture().unwrap()
        };
        let few = of(3, 1);
        assert_eq!(few, of(3, 1));
        assert_ne!(few, of(3, 2));
        let means = |law: &Mixture| law.components().iter().map(|c| c.mean.clone()).collect::<Vec<_>>();
        assert_eq!(means(&few), means(&of(30, 1))[..3]);
        if covariance != Shape::Full {
            let all = modes(&of(200, 1)).into_iter().flat_map(|m| m.2).map(f64::sqrt).collect::<Vec<_>>();
            let (low, high) = all.iter().fold((1.0_f64, 0.0_f64), |(l, h), x| (l.min(*x), h.max(*x)));
            assert!((0.2..0.205).contains(&low) && (0.395..0.4).contains(&high), "{low} {high}");
        }
    }
    // Means are N(0, spread^2) and Wishart matrices average to std^2: 2000 modes of 4 coordinates, five standard errors.
    let preset =
        RandomMixture { modes: 2000, dim: 4, spread: 3.0, covariance: Shape::Full, ..Default::default() };
    let law = preset.mixture().unwrap();
    let n = 2000.0 * 4.0;
    let spread: f64 = law.components().iter().flat_map(|c| &c.mean).map(|m| m * m).sum::<f64>() / n;
    assert!((spread / 9.0 - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{spread}");
    let mean: f64 = modes(&law).iter().flat_map(|m| m.2.clone()).sum::<f64>() / n;
    assert!((mean / 0.25 - 1.0).abs() < 5.0 * (2.0 / 8.0 / n).sqrt(), "{mean}");
    assert!(law.components().iter().all(|c| c.covariance.matrix(4)[(0, 1)].abs() > 1e-9));
}

/// Numbers of `tests/golden/data.py`.
#[test]
fn the_digits_are_those_of_the_repository() {
    let all = digits::all();
    let mut counts = [0; 10];
    let (mut pixels, mut classes) = (flate2::Crc::new(), flate2::Crc::new());
    for digit in &all {
        counts[usize::from(digit.class)] += 1;
        pixels.update(&digit.pixels);
        classes.update(&[digit.class]);
    }
    assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    assert_eq!(all.iter().flat_map(|d| &d.pixels).map(|p| u64::from(*p)).sum::<u64>(), 561_718);
    assert_eq!((pixels.sum(), classes.sum()), (4_087_501_628, 4_168_075_561));

    let points = digits::points(None, None).unwrap();
    assert_eq!((points.len(), &points[0][..4]), (1797, &[-1.0, -1.0, -0.375, 0.625][..]));
    let sevens = digits::points(Some(7), Some(3)).unwrap();
    let first: Vec<_> =
        points.iter().zip(&all).filter(|(_, d)| d.class == 7).map(|(p, _)| p.clone()).collect();
    assert_eq!(sevens, first[..3]);
}

#[test]
fn the_matching_gaussian_has_the_mean_and_the_covariance() {
    for (name, law) in laws() {
        let (mean, covariance) = (law.mean(), law.covariance());
        let gaussian = Gaussian::matching(&Data::Mixture(law)).unwrap();
        let (m, c) = gaussian.in_given_coordinates(&gaussian.moments());
        assert!(near(m.as_slice(), &mean), "{name}");
        assert!((&c - &covariance).norm() < 1e-13 * covariance.norm(), "{name}");
    }
    // More points than go into one matrix product.
    let digits = empirical::kernels(digits::points(None, None).unwrap(), 0.5).unwrap();
    let gaussian = Gaussian::matching(&Data::Mixture(digits)).unwrap();
    let (mean, covariance) = gaussian.in_given_coordinates(&gaussian.moments());
    assert!((mean[10] - 0.297787979966611).abs() < 1e-13);
    assert!((covariance[(10, 21)] - 0.037319505914606275).abs() < 1e-13);
    assert!((covariance.trace() - 64.0 * 0.25 - 18.7731052712909).abs() < 1e-12);
    let largest = gaussian.variance().iter().copied().fold(0.0, f64::max);
    assert!((largest - 0.25 - 2.7954268090563956).abs() < 1e-13, "{largest}");
    let same = Data::Gaussian(gaussian.clone());
    assert_eq!(Gaussian::matching(&same).unwrap(), gaussian);
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("written");
    path
}

#[test]
fn rows_of_a_csv_file_are_points_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let want = vec![vec![1.0, -2.5], vec![3e-3, 4.0]];
    for text in [
        "1,-2.5\n3e-3,4\n",
        "x,y\n1,-2.5\n3e-3,4",
        "x, y\r\n1, -2.5\r\n\r\n0.003, 4\r\n",
        "\u{feff}# of 2026\n1.0,-2.5\n# half\n3e-3,4.0\n",
        "\"x\",\"y\"\n\"1\",\"-2.5\"\n\"3e-3\",\"4\"\n",
    ] {
        let file = written(folder.path(), "points.csv", text.as_bytes());
        assert_eq!(empirical::csv(&file).map_err(|e| format!("{text:?}: {e}")), Ok(want.clone()));
    }
    let one = written(folder.path(), "one.csv", b"1.0\n-1.0\n");
    assert_eq!(empirical::csv(&one), Ok(vec![vec![1.0], vec![-1.0]]));
}

#[test]
fn kernels_have_their_width_about_every_point() {
    let points = digits::points(Some(0), Some(5)).unwrap();
    let law = empirical::kernels(points.clone(), 0.1).unwrap();
    for (mode, point) in law.components().iter().zip(&points) {
        assert_eq!((mode.weight, &mode.mean), (0.2, point));
        assert_eq!(mode.covariance, Covariance::Isotropic(0.1 * 0.1));
    }
    assert_eq!(empirical::kernels(points.clone(), 0.0), Mixture::points(points));
}

#[test]
fn different_laws_have_different_content_keys() {
    let iso = |weight: f64, mean: &[f64], c: f64| (weight, mean.to_vec(), Covariance::Isotropic(c));
    let mixture = |parts| Mixture::new(parts).unwrap();
    let line = |m: f64| mixture(vec![iso(1.0, &[m], 0.5)]);
    // The same numbers in the same order, each time of another law.
    let laws = [
        Data::Gaussian(Gaussian::new(vec![1.0, 2.0], vec![3.0, 0.5]).unwrap()),
        Data::Mixture(mixture(vec![iso(1.0, &[2.0, 3.0], 0.5)])),
        Data::Mixture(mixture(vec![iso(0.5, &[2.0], 0.5), iso(0.5, &[3.0], 0.5)])),
        Data::Product(Product::new(vec![line(2.0), line(3.0)]).unwrap()),
        Data::Product(
            Product::new(vec![mixture(vec![iso(0.5, &[2.0], 0.5), iso(0.5, &[3.0], 0.5)])]).unwrap(),
        ),
    ];
    for (i, a) in laws.iter().enumerate() {
        for b in &laws[..i] {
            assert_ne!(a.bytes(), b.bytes(), "{a:?}, {b:?}");
        }
    }
}
