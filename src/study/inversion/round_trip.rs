//! Errors of encoding and of encoding and decoding.

use nalgebra::DVector;

use super::methods::{self, Method};
use super::{CLEAN_TIME, SCHEDULE};
use crate::batch::Batch;
use crate::data::preset::{Ring, Span, TwoMode};
use crate::data::{Data, Gaussian};
use crate::flow;
use crate::grid::Grid;
use crate::law::{self, Init};
use crate::metric;
use crate::noise::{Purpose, White};
use crate::parallel;
use crate::run::Ctx;
use crate::schedule::Level;
use crate::solver::Sample;
use crate::solver::ddpm::Ddpm;
use crate::solver::euler_maruyama::EulerMaruyama;
use crate::solver::registry::Handle;
use crate::state::{Space, State};
use crate::study::Findings;

pub(super) const THERE_AND_BACK: &str = "round trip";
pub(super) const CODE: &str = "error of the code";
pub(super) const RATIO: &str = "round trip over error of the code";
pub(super) const LAW: &str = "law of the codes";
pub(super) const NOISY: &str = "round trip with noise";

/// A method up the levels that it is given, and one down them again.
struct RoundTrip<'a> {
    encoder: &'a Handle,
    decoder: &'a Handle,
}

impl Sample for RoundTrip<'_> {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
        let code = self.encoder.sample(cx, grid, x);
        let down: Vec<Level> = grid.iter().rev().copied().collect();
        self.decoder.sample(cx, &down, code)
    }
}

/// The levels of `steps` steps, from data up to noise, evenly in lambda.
fn levels(steps: usize) -> Vec<Level> {
    let grid = Grid::UniformLambda { start: 1.0, end: CLEAN_TIME };
    let mut levels = grid.levels(&SCHEDULE, Some(steps)).expect("the ends are inside the schedule");
    levels.reverse();
    levels
}

/// What a round trip comes to.
struct Trip {
    calls: f64,
    /// Root mean square of `x - decode(encode(x))`, and its standard error, 0 where it is no sample.
    there_and_back: (f64, f64),
    /// The same with the exact flow down.
    code: (f64, f64),
}

/// The Gaussian of the study: five modes of different mean and variance.
fn five_modes() -> Gaussian {
    Gaussian::new(vec![0.0, 1.0, -0.5, 0.0, 0.3], vec![1.0, 0.25, 4.0, 0.01, 0.1]).expect("they are finite")
}

/// Round trips of Gaussian data: every method is an affine map there, and expectations are closed forms.
pub(super) fn gaussian(steps: &[usize], found: &mut Findings) {
    let data = five_modes();
    every("gaussian", methods::all(), steps, |m, n| affine_trip(m, n, &data), found);
    let normal = Init::Prior.moments(&data, &SCHEDULE, &SCHEDULE.at(1.0));
    for method in methods::all().iter().filter(|m| m.codes) {
        for &n in steps {
            if let Ok(code) = law::law(&method.solver, &data, &SCHEDULE, &levels(n), Init::Marginal) {
                found.put(LAW, method.name, n as f64, metric::w2(&code.moments, &normal));
            }
        }
    }
}

/// The trip of a Gaussian.
fn affine_trip(method: &Method, n: usize, data: &Gaussian) -> Option<Trip> {
    let up = levels(n);
    let (start, exact) = (data.marginal(&up[0]), data.marginal(&up[n]));
    let both = RoundTrip { encoder: &method.solver, decoder: &method.solver };
    let both = law::law(&both, data, &SCHEDULE, &up, Init::Marginal).ok()?;
    let code = law::law(&method.solver, data, &SCHEDULE, &up, Init::Marginal).ok()?;
    let (mut trip, mut off) = (0.0, 0.0);
    for (k, std) in start.std.iter().enumerate() {
        // x = m + s xi goes to mean + gain s xi; the exact flow is the affine map between the marginals.
        let square = |mean: f64, gain: f64| mean.powi(2) + ((gain - 1.0) * std).powi(2);
        trip += square(both.moments.mean[k] - start.mean[k], both.gain[k]);
        let pull = std / exact.std[k];
        off += square((code.moments.mean[k] - exact.mean[k]) * pull, code.gain[k] * pull);
    }
    Some(Trip { calls: both.nfe as f64, there_and_back: (trip.sqrt(), 0.0), code: (off.sqrt(), 0.0) })
}

/// Puts down the trips of every method.
fn every(
    law: &str,
    methods: Vec<Method>,
    steps: &[usize],
    trip: impl Fn(&Method, usize) -> Option<Trip> + Sync + Send,
    found: &mut Findings,
) {
    let cells: Vec<(&Method, usize)> =
        methods.iter().flat_map(|m| steps.iter().map(move |n| (m, *n))).collect();
    let trips = parallel::map(&cells, |(method, n)| trip(method, *n));
    for ((method, n), trip) in cells.into_iter().zip(trips) {
        // (A run that diverged has no row.)
        let Some(trip) = trip.filter(|t| t.there_and_back.0.is_finite() && t.code.0.is_finite()) else {
            continue;
        };
        let case = format!("{law}: {}", method.name);
        let mut put = |quantity, x, (value, error): (f64, f64)| match error {
            0.0 => found.put(quantity, &case, x, value),
            error => found.sampled(quantity, &case, Some(x), (value, error)),
        };
        put(THERE_AND_BACK, trip.calls, trip.there_and_back);
        if method.codes {
            put(CODE, trip.calls, trip.code);
            // (A ratio of round-off says nothing.)
            if Some(&n) == steps.iter().max() && trip.there_and_back.0 > 1e-12 {
                put(RATIO, n as f64, (trip.there_and_back.0 / trip.code.0, 0.0));
            }
        }
    }
}

/// Samples after a method's run, and its model calls.
fn run(solver: &impl Sample, data: &Data, grid: &[Level], x: &Batch<f64>) -> Option<(Batch<f64>, usize)> {
    let mut noise = White::new(0);
    let mut cx = Ctx::new(data.model(), &mut noise, &SCHEDULE);
    let end = solver.sample(&mut cx, grid, State(x.clone())).0;
    (cx.refusal().is_none()).then(|| (end, cx.nfe()))
}

/// The trip of samples of some weights (which add up to 1).
fn trip_of(method: &Method, n: usize, data: &Data, x: &Batch<f64>, weights: &[f64]) -> Option<Trip> {
    let up = levels(n);
    let (code, calls) = run(&method.solver, data, &up, x)?;
    let down: Vec<Level> = up.iter().rev().copied().collect();
    let (back, more) = run(&method.solver, data, &down, &code)?;
    let exact = if method.codes { flow::reference(data, &up[n], &up[0], &code).ok()? } else { x.clone() };
    let error = |y: &Batch<f64>| root_mean_square(x, y, weights);
    Some(Trip { calls: (calls + more) as f64, there_and_back: error(&back), code: error(&exact) })
}

/// Root of the mean square distance, and its standard error if the weights are equal.
fn root_mean_square(x: &Batch<f64>, y: &Batch<f64>, weights: &[f64]) -> (f64, f64) {
    let (x_rows, y_rows) = (x.to_rows(), y.to_rows());
    let squares: Vec<f64> = x_rows
        .chunks_exact(x.dim())
        .zip(y_rows.chunks_exact(x.dim()))
        .map(|(x, y)| x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum())
        .collect();
    let squares = DVector::from_vec(squares);
    let mean = squares.dot(&DVector::from_column_slice(weights));
    let equal = weights.iter().all(|w| *w == weights[0]);
    let error = (squares.variance() / squares.len() as f64).sqrt();
    (mean.sqrt(), if equal && mean > 0.0 { 0.5 * error / mean.sqrt() } else { 0.0 })
}

/// Round trips of two modes on the line; the expectation is a quadrature over the data law.
pub(super) fn line(steps: &[usize], found: &mut Findings) {
    let law = Data::Mixture(TwoMode {}.mixture().expect("it is a law"));
    // Eight standard deviations beyond the outer modes; between them the law is above 1e-4.
    let (from, to, count) = (-2.6, 4.7, 4096);
    let place = |i: usize| from + (to - from) * i as f64 / (count - 1) as f64;
    let x = Batch::from_rows(1, (0..count).map(place).collect());
    let density: Vec<f64> = law.log_density(&x, &SCHEDULE.at(CLEAN_TIME)).iter().map(|l| l.exp()).collect();
    let total: f64 = density.iter().sum();
    let weights: Vec<f64> = density.iter().map(|p| p / total).collect();
    every("two-mode", methods::all(), steps, |m, n| trip_of(m, n, &law, &x, &weights), found);
}

/// Round trips of samples of eight modes on a ring in the plane, wide enough that all of it is data.
pub(super) fn ring(steps: &[usize], samples: usize, seed: u64, found: &mut Findings) {
    let ring = Ring { std: Span { first: 0.3, last: 0.3 }, ..Ring::default() };
    let law = Data::Mixture(ring.mixture().expect("it is a law"));
    let x = law.sample(&SCHEDULE.at(CLEAN_TIME), seed, Purpose::Reference, 0, samples);
    let weights = vec![1.0 / samples as f64; samples];
    let few = methods::all().into_iter().filter(|m| m.ring).collect();
    every("ring", few, steps, |m, n| trip_of(m, n, &law, &x, &weights), found);
}

/// Samplers that draw noise, told to decode what the best of the deterministic ones encoded; in closed form. Two samples
/// of the data are as far apart as `sqrt(2 tr C)`.
pub(super) fn noisy(steps: &[usize], found: &mut Findings) {
    let data = five_modes();
    let all = methods::all();
    let encoder = &all.iter().find(|m| m.name == "rk4 in t").expect("it is in the list").solver;
    let decoders = [
        ("ddpm", Handle::new(Ddpm::default())),
        ("euler-maruyama", Handle::new(EulerMaruyama::default())),
        ("rk4 in t", encoder.clone()),
    ];
    for (name, decoder) in &decoders {
        for &n in steps {
            let up = levels(n);
            let start = data.marginal(&up[0]);
            let both = RoundTrip { encoder, decoder };
            let Ok(law) = law::law(&both, &data, &SCHEDULE, &up, Init::Marginal) else { continue };
            let error = |(k, std): (usize, &f64)| {
                let (mean, gain) = (law.moments.mean[k] - start.mean[k], (law.gain[k] - 1.0) * std);
                mean.powi(2) + gain.powi(2) + law.noise_std[k].powi(2)
            };
            let square: f64 = start.std.iter().enumerate().map(error).sum();
            let apart: f64 = start.std.iter().map(|s| 2.0 * s * s).sum();
            found.put(NOISY, *name, n as f64, (square / apart).sqrt());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trip(name: &str, n: usize) -> (f64, f64) {
        let all = methods::all();
        let method = all.iter().find(|m| m.name == name).expect("it is in the list");
        let trip = affine_trip(method, n, &five_modes()).expect("it is affine");
        (trip.there_and_back.0, trip.code.0)
    }

    #[test]
    fn errors_there_and_back_add_for_odd_orders_and_cancel_for_even_ones() {
        let orders = |name| {
            let ((coarse, code), (fine, code_fine)) = (trip(name, 128), trip(name, 256));
            ((coarse / fine).log2(), (code / code_fine).log2(), fine / code_fine)
        };
        let (round, code, ratio) = orders("ddim");
        assert!((round - 1.0).abs() < 0.03 && (code - 1.0).abs() < 0.03 && (ratio - 2.0).abs() < 0.03);
        for (name, order) in
            [("heun in t", 2.0), ("dpm-solver-2", 2.0), ("rk4 in t", 4.0), ("krogstad-4", 4.0)]
        {
            let (round, code, ratio) = orders(name);
            assert!((round - order - 1.0).abs() < 0.03, "{name}: {round}");
            assert!((code - order).abs() < 0.1 && ratio < 0.1, "{name}: {code}, {ratio}");
        }
    }

    #[test]
    fn a_symmetric_method_returns_whatever_its_code_is_off_by() {
        let (round, code) = trip("implicit midpoint", 64);
        assert!(round < 1e-13 && code > 0.01, "{round:e}, {code:e}");
    }

    #[test]
    fn closed_forms_and_quadrature_over_runs_agree() {
        let (mean, std) = (0.3, 0.6);
        let gaussian = Gaussian::new(vec![mean], vec![std * std]).expect("it is a law");
        let at = gaussian.marginal(&SCHEDULE.at(CLEAN_TIME));
        let z: Vec<f64> = (-64..=64).map(|i| f64::from(i) / 8.0).collect();
        let x = Batch::from_rows(1, z.iter().map(|z| at.mean[0] + at.std[0] * z).collect());
        let weights: Vec<f64> =
            z.iter().map(|z| (-0.5 * z * z).exp() / 8.0 / std::f64::consts::TAU.sqrt()).collect();
        for method in methods::all().iter().filter(|m| m.codes && m.name != "implicit midpoint") {
            let closed = affine_trip(method, 32, &gaussian).expect("it is affine");
            let run = trip_of(method, 32, &Data::Gaussian(gaussian.clone()), &x, &weights).expect("it runs");
            for (a, b) in [(closed.there_and_back, run.there_and_back), (closed.code, run.code)] {
                assert!((a.0 / b.0 - 1.0).abs() < 1e-6, "{}: {a:?}, {b:?}", method.name);
            }
            assert_eq!(closed.calls, run.calls);
        }
    }

    #[test]
    fn a_sampler_that_draws_noise_returns_another_sample() {
        let mut found = Findings::default();
        noisy(&[128], &mut found);
        let of = |case| found.rows.iter().find(|r| r.case == case).map(|r| r.value).expect("it was run");
        assert!((of("ddpm") - 1.0).abs() < 0.05 && of("rk4 in t") < 1e-8);
    }
}
