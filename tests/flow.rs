//! Exact flows: on the line and in products by quantiles, elsewhere by integration until only round-off is left.

mod common;

use proptest::prelude::*;
use scorebench::batch::{Batch, LANES};
use scorebench::data::mixture::{Covariance, Line, Mixture};
use scorebench::data::{CLEAN, Data, Gaussian, Product};
use scorebench::flow::{self, NoFlow, TOLERANCE};
use scorebench::noise::{Purpose, White};
use scorebench::parallel;
use scorebench::run::{Ctx, Denoiser};
use scorebench::schedule::{Level, Schedule};
use scorebench::solver::{Sample, dpmpp_2m::DpmPp2m, multistep::WarmUp};
use scorebench::state::State;

fn level(alpha: f64, sigma: f64) -> Level {
    Level { alpha, sigma, ..CLEAN }
}

fn mixture(parts: &[(f64, f64, f64)]) -> Mixture {
    let part = |&(w, m, c): &(f64, f64, f64)| (w, vec![m], Covariance::Isotropic(c));
    Mixture::new(parts.iter().map(part).collect()).expect("legal")
}

fn two() -> Mixture {
    mixture(&[(0.25, -1.0, 0.0625), (0.75, 1.5, 0.25)])
}

fn three() -> Mixture {
    mixture(&[(0.5, -8.0, 1e-4), (0.125, 0.5, 4.0), (0.375, 3.0, 0.015625)])
}

fn points() -> Mixture {
    mixture(&[(0.2, -2.0, 0.0), (0.3, 0.25, 0.0), (0.5, 4.0, 0.0)])
}

fn line(mixture: &Mixture, at: &Level) -> Line {
    mixture.line(at).expect("one coordinate")
}

/// Two lines turned by an angle: a mixture in the plane whose flow is known.
struct Turned {
    lines: Product,
    angle: f64,
}

impl Turned {
    fn mixture(&self) -> Mixture {
        let (s, c) = self.angle.sin_cos();
        let [a, b] = [0, 1].map(|j| self.lines.factors()[j].components());
        let mut parts = Vec::new();
        for a in a {
            for b in b {
                let (m, n) = (a.mean[0], b.mean[0]);
                let (v, w) = (a.covariance.matrix(1)[0], b.covariance.matrix(1)[0]);
                let off = c * s * (v - w);
                let matrix = [vec![c * c * v + s * s * w, off], vec![off, s * s * v + c * c * w]];
                let covariance =
                    if v == w { Covariance::Isotropic(v) } else { Covariance::full(&matrix).expect("legal") };
                parts.push((a.weight * b.weight, vec![c * m - s * n, s * m + c * n], covariance));
            }
        }
        Mixture::new(parts).expect("legal")
    }

    fn turn(&self, x: &Batch<f64>) -> Batch<f64> {
        let (s, c) = self.angle.sin_cos();
        let rows = x.to_rows();
        let turned = rows.chunks_exact(2).flat_map(|r| [c * r[0] - s * r[1], s * r[0] + c * r[1]]);
        Batch::from_rows(2, turned.collect()).numbered(x.first())
    }
}

#[test]
fn distribution_functions_and_flows_on_the_line_agree_with_60_digit_values() {
    let (mut worst_log, mut worst_flow): (f64, f64) = (0.0, 0.0);
    let text = std::fs::read_to_string("tests/golden/line.csv").expect("it is there");
    for row in text.lines().skip(1) {
        let (name, rest) = row.split_once(',').expect("columns");
        let rest: Vec<f64> = rest.split(',').map(|x| x.parse().expect("a number")).collect();
        let [alpha, sigma, x, log_cdf, log_survival, to_alpha, to_sigma, want] = rest[..] else {
            panic!("{row}: columns")
        };
        let data = match name {
            "two" => two(),
            "three" => three(),
            _ => points(),
        };
        let (from, to) = (level(alpha, sigma), level(to_alpha, to_sigma));
        let here = line(&data, &from);
        for (got, want) in [(here.log_cdf(x), log_cdf), (here.log_survival(x), log_survival)] {
            worst_log = worst_log.max((got - want).abs() / (1.0 + want.abs()));
        }
        let y = here.transport(x, &line(&data, &to));
        // What half an ulp of x alone may change.
        let density = |x, at: &Level| data.log_density(&Batch::from_rows(1, vec![x]), at)[0];
        let gain = (density(x, &from) - density(want, &to)).exp();
        let allowed = 1e-13 * want.abs() + 4.0 * f64::EPSILON * gain * (x.abs() + sigma);
        worst_flow =
            worst_flow.max((y - want).abs() / want.abs() / (1.0 + gain * (x.abs() + sigma) / want.abs()));
        assert!((y - want).abs() < allowed, "{row}: {y:e}, off by {:e}, gain {gain:e}", y - want);
    }
    println!("logs {worst_log:e}, flows {worst_flow:e}");
    assert!(worst_log < 4e-15, "{worst_log:e}");
}

#[test]
fn the_flow_of_one_component_is_that_of_a_gaussian() {
    let (m, c) = (0.7, 0.3);
    let data = mixture(&[(1.0, m, c)]);
    let gaussian = Gaussian::new(vec![m], vec![c]).expect("legal");
    let (t, s) = (level(0.3, 0.9), level(0.99, 0.01));
    let x = Batch::from_rows(1, (-400..=400).map(|i| 0.25 * f64::from(i)).collect());
    let flow = |model: &dyn Denoiser<Batch>, t, s| model.flow(&State(x.clone()), t, s).expect("known").0;
    for (t, s) in [(&t, &s), (&s, &t), (&t, &CLEAN)] {
        let (got, want) = (flow(&data, t, s), flow(&gaussian, t, s));
        for (got, want) in got.to_rows().iter().zip(want.to_rows()) {
            assert!((got - want).abs() <= 1e-15 * (1.0 + want.abs()), "{got} for {want}");
        }
    }
}

#[test]
fn a_flow_ends_on_point_masses_and_does_not_start_there() {
    let (data, t) = (points(), level(0.6, 0.8));
    let here = line(&data, &t);
    let ends: Vec<f64> = [0.01, 0.19, 0.21, 0.49, 0.51, 0.99]
        .map(|u| here.transport(here.quantile(u), &line(&data, &CLEAN)))
        .into();
    assert_eq!(ends, [-2.0, -2.0, 0.25, 0.25, 4.0, 4.0]);
    let origin = mixture(&[(0.5, 0.0, 0.0), (0.5, 1.0, 0.0)]);
    let here = line(&origin, &t);
    assert_eq!(here.transport(here.quantile(0.3), &line(&origin, &CLEAN)), 0.0);
    let x = State(Batch::from_rows(1, vec![0.25]));
    assert!(data.flow(&x, &CLEAN, &t).is_none());
    let data = Data::Mixture(data);
    assert_eq!(flow::reference(&data, &CLEAN, &t, &x.0), Err(NoFlow::FromAtoms));
}

fn any_mixture() -> impl Strategy<Value = Mixture> {
    let part = (0.01..1.0, -5.0..5.0, prop_oneof![Just(0.0), 1e-6..4.0f64]);
    proptest::collection::vec(part, 1..6).prop_map(|parts| mixture(&parts))
}

fn any_level() -> impl Strategy<Value = Level> {
    (-18.0..6.0f64, 0.01..1.0f64).prop_map(|(log_kappa, alpha)| level(alpha, alpha * log_kappa.exp()))
}

proptest! {
    #[test]
    fn quantiles_invert_distribution_functions_in_both_tails(
        data in any_mixture(), at in any_level(), log_u in -700.0..-0.7f64,
    ) {
        let (law, u) = (line(&data, &at), log_u.exp());
        // Steep laws round x, not u.
        let near = |got: f64, x: f64| {
            let density = data.log_density(&Batch::from_rows(1, vec![x]), &at)[0].exp();
            (got - u).abs() <= u * 1e-12 + 8.0 * f64::EPSILON * x.abs() * density
        };
        let (x, y) = (law.quantile(u), law.upper_quantile(u));
        prop_assert!(near(law.cdf(x), x), "{} for {}", law.cdf(x), u);
        prop_assert!(near(law.survival(y), y), "{} for {}", law.survival(y), u);
        prop_assert!((law.cdf(x) + law.survival(x) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn flows_on_the_line_are_monotone_and_compose(
        data in any_mixture(), t in any_level(), u in any_level(), s in any_level(), away in -30.0..30.0f64,
    ) {
        let x = line(&data, &t).quantile(0.5) + away;
        let to = |x, from: &Level, to: &Level| line(&data, from).transport(x, &line(&data, to));
        let y = to(x, &t, &s);
        prop_assert!(y.is_finite());
        // Where the flow is flat, to round-off.
        let further = to(x + 1e-3, &t, &s);
        prop_assert!(further >= y - 1e-13 * (1.0 + y.abs()), "{further} after {y}");
        // Both tails' logarithms, and what a few ulps of x change in them.
        let tails = |x: f64, at: &Level| {
            let law = line(&data, at);
            let density = data.log_density(&Batch::from_rows(1, vec![x]), at)[0];
            let ulps = 8.0 * f64::EPSILON * x.abs();
            [law.log_cdf(x), law.log_survival(x)].map(|l| (l, ulps * (density - l).exp() + 1e-13 * (1.0 + l.abs())))
        };
        let via = to(x, &t, &u);
        for (y, end, x, at) in [(y, &s, x, &t), (via, &u, x, &t), (to(via, &u, &s), &s, via, &u)] {
            for ((got, a), (want, b)) in tails(y, end).into_iter().zip(tails(x, at)) {
                prop_assert!((got - want).abs() <= a + b, "{x} to {y}: {got} for {want}");
            }
        }
    }
}

#[test]
fn a_product_is_the_mixture_of_its_components() {
    let lines = Product::new(vec![two(), three()]).expect("legal");
    let plane = Turned { lines: lines.clone(), angle: 0.0 }.mixture();
    let (product, plane) = (Data::Product(lines), Data::Mixture(plane));
    let at = level(0.8, 0.3);
    let x = product.sample::<f64>(&at, 3, Purpose::Start, 5, 100);
    let close = |a: &[f64], b: &[f64]| {
        a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() <= 1e-11 * (1.0 + b.abs()), "{a} for {b}"))
    };
    let forms = |data: &Data| {
        let model = data.model::<f64>();
        let x = State(x.clone());
        [model.denoise(&x, &at), model.eps(&x, &at), model.score(&x, &at)].map(|m| m.0.to_rows()).concat()
    };
    close(&forms(&product), &forms(&plane));
    close(&product.log_density(&x, &at), &plane.log_density(&x, &at));
    close(&product.mean(&at), &plane.mean(&at));
    close(product.covariance(&at).as_slice(), plane.covariance(&at).as_slice());
    close(
        &[product.second_moment(&at), product.fourth_moment(&at)],
        &[plane.second_moment(&at), plane.fourth_moment(&at)],
    );
}

#[test]
fn samples_of_a_product_have_its_moments() {
    // Means of 40,000 samples: 12 z-scores, all within 4 but for one seed in 1300.
    let data = Data::Product(Product::new(vec![two(), three(), points()]).expect("legal"));
    let (at, n) = (level(0.8, 0.3), 40_000);
    let rows = data.sample::<f64>(&at, 1, Purpose::Reference, 0, n).to_rows();
    let (mean, covariance) = (data.mean(&at), data.covariance(&at));
    for i in 0..3 {
        let each: Vec<f64> = rows.chunks_exact(3).map(|r| r[i]).collect();
        check_mean(&each, mean[i]);
        for j in i..3 {
            let each = rows.chunks_exact(3).map(|r| (r[i] - mean[i]) * (r[j] - mean[j]));
            check_mean(&each.collect::<Vec<f64>>(), covariance[(i, j)]);
        }
    }
    let fourth = rows.chunks_exact(3).map(|r| r.iter().map(|x| x * x).sum::<f64>().powi(2));
    check_mean(&fourth.collect::<Vec<f64>>(), data.fourth_moment(&at));
    // A part is what it is in the whole.
    assert_eq!(data.sample::<f64>(&at, 1, Purpose::Reference, 77, 3).to_rows(), rows[77 * 3..80 * 3]);
}

fn check_mean(each: &[f64], want: f64) {
    let n = each.len() as f64;
    let mean = each.iter().sum::<f64>() / n;
    let sd = (each.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    assert!((mean - want).abs() < 4.0 * sd / n.sqrt(), "{mean} for {want} +- {}", sd / n.sqrt());
}

#[test]
fn a_flow_in_single_precision_is_the_one_in_double_rounded() {
    let data = Product::new(vec![two(), points()]).expect("legal");
    let (t, s) = (level(0.1, 0.99), level(0.999, 0.05));
    let x = data.sample::<f32>(&t, 1, Purpose::Start, 0, 50);
    let wide = Batch::from_rows(2, x.to_rows().into_iter().map(f64::from).collect());
    let narrow = data.flow(&State(x), &t, &s).expect("known").0.to_rows();
    let wide = data.flow(&State(wide), &t, &s).expect("known").0.to_rows();
    assert_eq!(narrow, wide.into_iter().map(|x| x as f32).collect::<Vec<f32>>());
}

#[test]
fn solvers_can_start_along_the_exact_flow_of_a_product() {
    let data = Product::new(vec![two(); 2]).expect("legal");
    let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
    let solver = DpmPp2m { warm_up: WarmUp::Exact, ..DpmPp2m::default() };
    let grid = common::levels(&schedule, "uniform-lambda, start = 0.5, end = 1e-2", 1);
    let x = State(data.sample::<f64>(&grid[0], 1, Purpose::Start, 0, 40));
    let mut noise = White::new(1);
    let mut cx = Ctx::new(&data, &mut noise, &schedule);
    let end = solver.sample(&mut cx, &grid, x.clone());
    assert_eq!((cx.refusal(), end.0), (None, data.flow(&x, &grid[0], &grid[1]).expect("known").0));
}

#[test]
fn integration_agrees_with_exact_flows_to_1e_12() {
    let lines = |a: Mixture, b: Mixture| Product::new(vec![a, b]).expect("legal");
    let cases = [
        ("two x three", lines(two(), three()), 0.4),
        ("two x two", lines(two(), two()), 1.1),
        ("points", lines(points(), points()), 0.7),
        ("gaussian", lines(mixture(&[(1.0, 0.3, 0.01)]), mixture(&[(1.0, -2.0, 4.0)])), 0.5),
    ];
    let flows = [
        (level(0.00657, 0.99998), level(0.9999, 0.01)),
        (level(1.0, 80.0), level(1.0, 0.002)),
        (level(0.0, 1.0), level(1.0, 1e-8)),
        (level(1.0, 0.3), level(0.1, 0.995)),
    ];
    for (name, lines, angle) in cases {
        for (from, to) in &flows {
            let start = lines.sample::<f64>(from, 7, Purpose::Start, 0, 8 * LANES);
            let want = lines.flow(&State(start.clone()), from, to).expect("known").0;
            let turned = Turned { lines: lines.clone(), angle };
            let data = Data::Mixture(turned.mixture());
            let start_turned = turned.turn(&start);
            let run = |tolerance| flow::integrate(&data, from, to, &start_turned, tolerance).expect("a flow");
            let (got, half) = (run(TOLERANCE), run(TOLERANCE / 2.0));
            assert_eq!(flow::reference(&data, from, to, &start_turned), Ok(got.clone()));
            let unit = sensitivity(&lines, from, to, &start, &want);
            let (off, moved) = (errors(&got, &turned.turn(&want), &unit), errors(&got, &half, &unit));
            println!("{name}, kappa {:e} to {:e}: {off:e}, halved {moved:e}", from.kappa(), to.kappa());
            assert!(moved < 5e-13, "{name}, {from:?} to {to:?}: {moved:e}");
            assert!(off < 1e-12, "{name}, {from:?} to {to:?}: {off:e}");
        }
    }
}

/// What the flow magnifies relative changes of a sample by.
fn sensitivity(lines: &Product, from: &Level, to: &Level, x: &Batch<f64>, y: &Batch<f64>) -> Vec<f64> {
    let mut worst = vec![1.0f64; x.len()];
    for (j, line) in lines.factors().iter().enumerate() {
        let column =
            |b: &Batch<f64>| Batch::from_rows(1, b.to_rows().into_iter().skip(j).step_by(2).collect());
        let (x, y) = (column(x), column(y));
        let ends = line.log_density(&x, from).into_iter().zip(line.log_density(&y, to));
        for ((worst, (f, g)), x) in worst.iter_mut().zip(ends).zip(x.to_rows()) {
            *worst = worst.max((f - g).exp() * x.abs());
        }
    }
    worst
}

fn errors(a: &Batch<f64>, b: &Batch<f64>, unit: &[f64]) -> f64 {
    let rows = a.to_rows().into_iter().zip(b.to_rows()).map(|(a, b)| (a - b).abs()).collect::<Vec<f64>>();
    rows.chunks_exact(a.dim())
        .zip(unit)
        .map(|(row, unit)| row.iter().fold(0.0f64, |m, x| m.max(*x)) / unit)
        .fold(0.0, f64::max)
}

#[test]
fn integration_to_no_noise_ends_on_the_points_of_a_data_set() {
    let data = Data::Mixture(
        Mixture::points((0..20).map(|k| vec![f64::from(k).sin(), f64::from(k * k).cos(), 0.1]).collect())
            .expect("legal"),
    );
    let t = level(0.0, 1.0);
    let x = data.sample::<f64>(&t, 1, Purpose::Start, 0, 64);
    let end = flow::reference(&data, &t, &CLEAN, &x).expect("a flow").to_rows();
    let near = flow::reference(&data, &t, &level(1.0, 1e-8), &x).expect("a flow").to_rows();
    for (end, near) in end.chunks_exact(3).zip(near.chunks_exact(3)) {
        let off = (0..20).map(|k| (end[0] - f64::from(k).sin()).hypot(end[1] - f64::from(k * k).cos()));
        assert!(off.fold(1.0, f64::min) < 1e-14, "{end:?}");
        assert!(end.iter().zip(near).all(|(a, b)| (a - b).abs() < 1e-7), "{end:?} after {near:?}");
    }
}

fn plane() -> Data {
    Data::Mixture(Turned { lines: Product::new(vec![two(), two()]).expect("legal"), angle: 0.3 }.mixture())
}

#[test]
fn results_depend_neither_on_threads_nor_on_cuts_at_whole_blocks() {
    let (t, s) = (level(0.1, 0.995), level(0.99, 0.1));
    for data in [plane(), Data::Product(Product::new(vec![two(), three()]).expect("legal"))] {
        let x = data.sample::<f64>(&t, 1, Purpose::Start, 64, 200);
        let whole = flow::reference(&data, &t, &s, &x).expect("a flow");
        for threads in [1, 3] {
            let run = || flow::reference(&data, &t, &s, &x).expect("a flow");
            assert_eq!(parallel::with_threads(Some(threads), run).expect("threads"), whole);
        }
        let cut = |first: usize, len: usize| {
            let rows = x.to_rows()[2 * first..2 * (first + len)].to_vec();
            let part = Batch::from_rows(2, rows).numbered(64 + first as u64);
            flow::reference(&data, &t, &s, &part).expect("a flow").to_rows()
        };
        let rows = whole.to_rows();
        assert_eq!(cut(96, 64), rows[192..320]);
        // Elsewhere, to what is tolerated.
        let off = cut(7, 50).iter().zip(&rows[14..114]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off < 1e-12, "{off:e}");
    }
}

#[test]
fn what_has_no_flow_is_an_error() {
    let (t, s) = (level(0.5, 0.5), level(1.0, 0.1));
    let x = |rows| Batch::from_rows(2, rows).numbered(10);
    let flow = |x| flow::reference(&plane(), &t, &s, &x).expect_err("no flow");
    assert_eq!(flow(x(vec![0.0, 0.0, 1.0, f64::NAN])), NoFlow::NotFinite(11));
    assert_eq!(flow(Batch::from_rows(3, vec![0.0; 3])), NoFlow::Shape { samples: 3, data: 2 });
    let nan = level(f64::NAN, 0.1);
    assert!(flow::reference(&plane(), &t, &nan, &x(vec![0.0; 2])).is_err());
    let e = flow::integrate(&plane(), &t, &s, &x(vec![0.0; 2]), 0.0).expect_err("no step is exact");
    assert!(matches!(e, NoFlow::Stuck { first: 0, last: 31, .. }), "{e}");
    let none = x(Vec::new());
    assert_eq!(flow::reference(&plane(), &t, &s, &none), Ok(none));
}

#[test]
fn a_cached_flow_is_read_back_and_a_damaged_or_foreign_file_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("flows");
    let (data, t, s) = (plane(), level(0.1, 0.995), level(0.99, 0.1));
    let x = data.sample::<f64>(&t, 1, Purpose::Start, 32, 40);
    let want = flow::reference(&data, &t, &s, &x).expect("a flow");
    let cached = |x: &Batch<f64>| flow::cached(&folder, &data, &t, &s, x).expect("a flow");
    let files = || {
        let list = std::fs::read_dir(&folder).expect("a folder").map(|f| f.expect("a file").path());
        list.collect::<Vec<_>>()
    };
    assert_eq!(cached(&x), want);
    let path = files().pop().expect("one file");
    let whole = std::fs::read(&path).expect("read");
    let written = || std::fs::metadata(&path).expect("there").modified().expect("a time");
    let time = written();
    assert_eq!(cached(&x), want);
    assert_eq!(written(), time, "it was computed again");
    let mut damaged = whole.clone();
    damaged[60] ^= 1;
    for bad in [&damaged[..], &whole[..whole.len() - 8], b"something else", b""] {
        std::fs::write(&path, bad).expect("written");
        assert_eq!(cached(&x), want);
        assert_eq!(std::fs::read(&path).expect("read"), whole);
    }
    // Another flow's file under this name.
    let other = cached(&x.clone().numbered(0));
    assert_ne!(other.first(), want.first());
    let foreign = files().into_iter().find(|f| *f != path).expect("two files");
    std::fs::copy(&foreign, &path).expect("copied");
    assert_eq!(cached(&x), want);
    assert_eq!(std::fs::read(&path).expect("read"), whole);
    // A folder that is a file.
    let e = flow::cached(&path, &data, &t, &s, &x).expect_err("no folder");
    assert!(e.to_string().contains("cannot be written"), "{e}");
}
