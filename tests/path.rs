//! The Brownian path of a sample: its law, its additivity, and that it is one path, whoever asks.

mod common;

use common::{levels, schedule};
use proptest::prelude::*;
use scorebench::batch::Batch;
use scorebench::noise::Path;
use scorebench::run::Noise;
use scorebench::schedule::{Clock, Level, Schedule};
use scorebench::state::State;

/// `samples` samples of `dim` coordinates, the first of which has this number.
fn shape(dim: usize, first: u64, samples: usize) -> State<Batch> {
    State(Batch::zeros(dim, first, samples))
}

/// `B` between two levels, a number a sample and coordinate.
fn increment(path: &mut Path, x: &State<Batch>, t: &Level, s: &Level) -> Vec<f64> {
    let scale = ((t.kappa() - s.kappa()) * (t.kappa() + s.kappa())).sqrt();
    path.increment(x, t, s).0.to_rows().iter().map(|z| scale * z).collect()
}

/// The motion that a clock sees, and the area under it.
fn with_area(path: &mut Path, x: &State<Batch>, t: &Level, s: &Level, clock: Clock) -> [Vec<f64>; 2] {
    let h = clock.length(t, s).abs();
    let (z1, z2) = path.increment_and_area(x, t, s, clock);
    let (z1, z2) = (z1.0.to_rows(), z2.0.to_rows());
    let area = z1.iter().zip(&z2).map(|(z1, z2)| h.powf(1.5) * (0.5 * z1 + z2 / 12f64.sqrt())).collect();
    [z1.iter().map(|z| h.sqrt() * z).collect(), area]
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
}

const SCHEDULES: [&str; 5] = ["vp-linear", "edm", "flow", "ve", "ddpm-discrete"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn increments_and_areas_of_any_partition_add_up(
        which in 0usize..5,
        clock in 0usize..3,
        mut lambdas in prop::collection::vec(-2.0f64..4.0, 3..8),
        near in 1e-6f64..1e-2,
    ) {
        let (schedule, clock) = (schedule(SCHEDULES[which]), Clock::ALL[clock]);
        lambdas.push(lambdas[0] + near); // some pieces are short
        lambdas.sort_by(f64::total_cmp);
        lambdas.dedup();
        let at: Vec<Level> = lambdas.iter().map(|l| schedule.at_lambda(*l)).collect();
        let (first, last) = (&at[0], &at[at.len() - 1]);
        let x = shape(2, 5, 33);
        let mut path = Path::new(&schedule, 3);
        let mut sums = [vec![0.0; 66], vec![0.0; 66], vec![0.0; 66]];
        for (t, s) in at.windows(2).map(|p| (&p[0], &p[1])) {
            let [w, area] = with_area(&mut path, &x, t, s, clock);
            let (b, h) = (increment(&mut path, &x, t, s), clock.length(t, s).abs());
            for i in 0..66 {
                sums[0][i] += b[i];
                sums[2][i] += area[i] + h * sums[1][i];
                sums[1][i] += w[i];
            }
        }
        let [w, area] = with_area(&mut path, &x, first, last, clock);
        for (name, sum, whole) in [
            ("increment", &sums[0], increment(&mut path, &x, first, last)),
            ("motion", &sums[1], w),
            ("area", &sums[2], area),
        ] {
            let size = rms(&whole);
            for (a, b) in sum.iter().zip(&whole) {
                prop_assert!((a - b).abs() < 2e-8 * size, "{} {clock:?}, {name}: {a} for {b}", SCHEDULES[which]);
            }
        }
    }
}

#[test]
fn a_query_has_one_answer_whatever_else_is_asked_and_of_how_many_samples() {
    let vp = schedule("vp-linear");
    let grid = levels(&vp, "quadratic-t, start = 1.0, end = 1e-3", 13);
    let whole = shape(3, 0, 200);
    let mut path = Path::new(&vp, 11);
    let all: Vec<Vec<f64>> =
        grid.windows(2).map(|p| path.increment(&whole, &p[0], &p[1]).0.to_rows()).collect();
    let areas: Vec<f64> = path.increment_and_area(&whole, &grid[2], &grid[5], Clock::T).1.0.to_rows();
    for (first, len) in [(0u64, 200usize), (64, 40), (37, 1), (150, 50)] {
        // Backwards, alone, and in single precision.
        let part = shape(3, first, len);
        let narrow = State(Batch::<f32>::zeros(3, first, len));
        let mut path = Path::new(&vp, 11);
        let rows = 3 * first as usize..3 * (first as usize + len);
        assert_eq!(
            path.increment_and_area(&part, &grid[2], &grid[5], Clock::T).1.0.to_rows(),
            areas[rows.clone()]
        );
        for (pair, want) in grid.windows(2).zip(&all).rev() {
            assert_eq!(path.increment(&part, &pair[0], &pair[1]).0.to_rows(), want[rows.clone()]);
            let got = path.increment(&narrow, &pair[0], &pair[1]).0.to_rows();
            assert!(got.iter().zip(&want[rows.clone()]).all(|(got, want)| *got == *want as f32));
        }
    }
    let other = Path::new(&vp, 12).increment(&whole, &grid[0], &grid[1]).0.to_rows();
    assert!(rms(&other.iter().zip(&all[0]).map(|(a, b)| a - b).collect::<Vec<_>>()) > 1.0);
}

/// `int f g dkappa^2` over the common part of two intervals, by a rule that owes nothing to the crate's own.
fn product(schedule: &Schedule, f: &Functional, g: &Functional) -> f64 {
    let (from, to) = (f.from.max(g.from), f.to.min(g.to));
    let steps = 4000;
    let h = (to - from).max(0.0) / steps as f64;
    let value = |i: usize| {
        let at = schedule.at_lambda(from + (i as f64 + 0.5) * h);
        2.0 * at.kappa().powi(2) * f.kernel(schedule, &at) * g.kernel(schedule, &at)
    };
    h * (0..steps).map(value).sum::<f64>()
}

/// An interval in `lambda` and what is asked of it: 0 the increment, 1 that of a clock, 2 its area.
struct Functional {
    from: f64,
    to: f64,
    what: usize,
    clock: Clock,
}

impl Functional {
    fn ends(&self, schedule: &Schedule) -> (Level, Level) {
        (schedule.at_lambda(self.from), schedule.at_lambda(self.to))
    }

    /// Against `dB`.
    fn kernel(&self, schedule: &Schedule, at: &Level) -> f64 {
        let (t, s) = self.ends(schedule);
        let h = self.clock.length(&t, &s).abs();
        let rate = match self.clock {
            Clock::T => at.g2 / at.alpha.powi(2),
            Clock::Edm => 2.0 * at.kappa(),
            Clock::Lambda => 2.0 * at.kappa().powi(2),
        };
        match self.what {
            0 => 1.0 / (t.kappa().powi(2) - s.kappa().powi(2)).sqrt(),
            1 => 1.0 / (h * rate).sqrt(),
            _ => {
                let run = (self.clock.of(at) - self.clock.of(&t)).abs();
                12f64.sqrt() * (0.5 - run / h) / (h * rate).sqrt()
            }
        }
    }

    fn draw(&self, path: &mut Path, x: &State<Batch>, schedule: &Schedule) -> Vec<f64> {
        let (t, s) = self.ends(schedule);
        match self.what {
            0 => path.increment(x, &t, &s).0.to_rows(),
            1 => path.increment_and_area(x, &t, &s, self.clock).0.0.to_rows(),
            _ => path.increment_and_area(x, &t, &s, self.clock).1.0.to_rows(),
        }
    }
}

/// Every correlation of these functionals, in z-scores.
fn correlations(schedule: &Schedule, all: &[Functional], samples: usize) -> Vec<(usize, usize, f64)> {
    let x = shape(1, 0, samples);
    let mut path = Path::new(schedule, 5);
    let draws: Vec<Vec<f64>> = all.iter().map(|f| f.draw(&mut path, &x, schedule)).collect();
    let pairs = (0..all.len()).flat_map(|a| (0..=a).map(move |b| (a, b)));
    let z = |(a, b): (usize, usize)| {
        let exact = product(schedule, &all[a], &all[b]);
        let mean = draws[a].iter().zip(&draws[b]).map(|(a, b)| a * b).sum::<f64>() / samples as f64;
        // Var of a product of normals of unit variance and covariance r: 1 + r^2.
        (a, b, (mean - exact) / ((1.0 + exact * exact) / samples as f64).sqrt())
    };
    pairs.map(z).collect()
}

#[test]
fn increments_and_areas_have_the_covariance_of_one_brownian_motion() {
    // 4 x 78 z-scores below 4.5: one of them is not in 0.2 % of all seeds. (The seed is fixed.)
    for name in ["vp-linear", "edm", "flow", "ddpm-discrete"] {
        let schedule = schedule(name);
        let of = |from, to, what, clock| Functional { from, to, what, clock };
        let all = [
            of(-1.0, 2.0, 0, Clock::T),
            of(-1.0, 0.3, 0, Clock::T),
            of(0.3, 0.7, 0, Clock::T),
            of(0.31, 0.312, 0, Clock::T),   // inside a cell
            of(0.311, 0.3123, 0, Clock::T), // and beside it
            of(0.3, 0.7, 1, Clock::T),
            of(0.3, 0.7, 2, Clock::T),
            of(0.5, 1.5, 1, Clock::Edm),
            of(0.5, 1.5, 2, Clock::Edm),
            of(0.3, 1.1, 1, Clock::Lambda),
            of(0.3, 1.1, 2, Clock::Lambda),
            of(0.311, 0.3123, 2, Clock::Lambda),
        ];
        for (a, b, z) in correlations(&schedule, &all, 100_000) {
            assert!(z.abs() < 4.5, "{name}: functionals {a} and {b}, z = {z:.1}");
        }
    }
}

#[test]
fn samples_and_coordinates_are_independent_and_normal() {
    let vp = schedule("vp-linear");
    let (t, s) = (vp.at(0.5), vp.at(0.31));
    let (samples, dim) = (100_000, 5);
    let mut path = Path::new(&vp, 2);
    let x = shape(dim, 0, samples);
    let (z, fresh) = (path.increment(&x, &t, &s).0.to_rows(), path.fresh(&x).0.to_rows());
    let n = samples as f64;
    // 20 moments and 38 correlations below 4.5 standard errors: false alarms in 0.04 % of all seeds.
    for k in 0..dim {
        let moment = |p: i32| z.iter().skip(k).step_by(dim).map(|z| z.powi(p)).sum::<f64>() / n;
        for (p, exact, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let score = (moment(p) - exact) / f64::sqrt(variance / n);
            assert!(score.abs() < 4.5, "coordinate {k}, moment {p}: z = {score:.1}");
        }
    }
    let lag = |shift: usize, other: &[f64]| {
        let pairs = z.iter().zip(&other[shift..]);
        pairs.map(|(a, b)| a * b).sum::<f64>() / ((z.len() - shift) as f64).sqrt()
    };
    for shift in (1..=30).chain([31, 32, 64, 160, 320, 5 * 1024, 5 * 4096]) {
        assert!(lag(shift, &z).abs() < 4.5, "numbers {shift} apart: z = {:.1}", lag(shift, &z));
    }
    assert!(lag(0, &fresh).abs() < 4.5, "path and fresh noise: z = {:.1}", lag(0, &fresh));
}

#[test]
fn the_last_step_may_end_without_noise() {
    let edm = schedule("edm");
    let (t, s) = (edm.at_kappa(0.5), edm.at_kappa(0.0));
    let x = shape(1, 0, 20_000);
    let mut path = Path::new(&edm, 4);
    let parts = [t, edm.at_kappa(0.2), edm.at_kappa(1e-3), s];
    let whole = increment(&mut path, &x, &t, &s);
    let mut sum = vec![0.0; whole.len()];
    for pair in parts.windows(2) {
        sum.iter_mut().zip(increment(&mut path, &x, &pair[0], &pair[1])).for_each(|(sum, b)| *sum += b);
    }
    assert!(sum.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-9));
    // One z-score: false alarms in 7e-6 of all seeds.
    let z = (rms(&whole).powi(2) / 0.25 - 1.0) / (2.0 / 20_000f64).sqrt();
    assert!(z.abs() < 4.5, "z = {z:.1}");
}
