//! Samplers on samples: the same on any number of threads and in any chunks, and what the exact law says they are.

mod common;

use common::{levels, schedule, solver};
use scorebench::data::{CLEAN, Covariance, Data, Gaussian, Mixture, Perturbation, perturb::Kind};
use scorebench::law::{self, Init};
use scorebench::metric::batches::Batches;
use scorebench::metric::weak::{Expected, TestFunctions, Weak, WeakErrors};
use scorebench::metric::{Estimate, Test};
use scorebench::monte_carlo::{Model, Precision, Run, Sampling};
use scorebench::parallel::with_threads;
use scorebench::schedule::Level;
use scorebench::solver::{Handle, Sample};

fn ring() -> Data {
    let mode = |k: i32| {
        let angle = f64::from(k) * std::f64::consts::FRAC_PI_4;
        (1.0, vec![2.0 * angle.cos(), 2.0 * angle.sin()], Covariance::Isotropic(0.01))
    };
    Data::Mixture(Mixture::new((0..8).map(mode).collect()).unwrap())
}

fn gaussian() -> Data {
    Data::Gaussian(Gaussian::new(vec![0.0, 1.0, -0.5], vec![1.0, 0.05, 4.0]).unwrap())
}

/// Every coordinate of every sample, in order.
fn rows<S: Sample + Sync + ?Sized>(run: &Run<S>, chunk: Option<usize>) -> Vec<f64> {
    let push = |all: &mut Vec<f64>, _: u64, rows: &[f64]| all.extend(rows);
    run.fold_in_chunks(chunk, |_| Vec::new(), push).unwrap().batches.concat()
}

#[test]
fn results_are_the_same_bit_for_bit_on_any_threads_and_in_any_chunks() {
    let vp = schedule("vp-linear");
    let grid = levels(&vp, "uniform-lambda, start = 1.0, end = 1e-3", 6);
    // One that draws noise, one that does not, one that asks for expected norms, one that plans its levels, one that
    // looks at each sample.
    let names = [
        "euler-maruyama",
        "dpmpp-2m",
        "predictor-corrector, predictor = \"ddpm\"",
        "bs23, rtol = 1e-2, atol = 1e-2",
        "stochastic-heun",
    ];
    for data in [ring(), gaussian()] {
        for name in names {
            for precision in [Precision::F64, Precision::F32, Precision::F16, Precision::Bf16] {
                let solver = solver(name);
                let run = Run {
                    solver: &solver,
                    data: &data,
                    model: Model::Exact,
                    schedule: &vp,
                    levels: &grid,
                    init: Init::Marginal,
                    sampling: Sampling { samples: 5000, seed: 3, precision },
                };
                let one = with_threads(Some(1), || rows(&run, None)).unwrap();
                assert_eq!(one.len(), 5000 * data.dim());
                for (threads, chunk) in
                    [(2, None), (3, Some(1)), (3, Some(32)), (1, Some(77)), (2, Some(4096))]
                {
                    if chunk == Some(1) && precision != Precision::F32 {
                        continue; // a block of 32 for every sample: slow
                    }
                    let other = with_threads(Some(threads), || rows(&run, chunk)).unwrap();
                    assert!(one == other, "{name} {precision:?} {threads} threads, chunks of {chunk:?}");
                }
            }
        }
    }
}

#[test]
fn a_sample_is_the_same_whatever_others_are_run() {
    let vp = schedule("vp-linear");
    let grid = levels(&vp, "uniform-t, start = 1.0, end = 1e-3", 5);
    let (data, solver) = (ring(), solver("euler-maruyama"));
    let few = |samples| {
        let sampling = Sampling { samples, ..Sampling::default() };
        let (model, init) = (Model::Exact, Init::Prior);
        rows(&Run { solver: &solver, data: &data, model, schedule: &vp, levels: &grid, init, sampling }, None)
    };
    assert_eq!(few(3000)[..2 * 100], few(100)[..]);
}

fn expected(data: &Data, at: &Level) -> Expected {
    let covariance = data.covariance(at).as_slice().to_vec();
    let (mean, fourth) = (data.mean(at), data.fourth_moment(at));
    Expected { mean, covariance, fourth, tails: Vec::new(), modes: Vec::new() }
}

fn measure(run: &Run<Handle>, expected: &Expected) -> WeakErrors {
    let functions = TestFunctions { centre: expected.mean.clone(), radii: Vec::new(), modes: 0 };
    let batches = Batches::new(run.sampling.samples, Batches::DEFAULT);
    let dim = run.data.dim();
    let out = run.fold(
        |_| Weak::new(functions.clone(), batches),
        |weak, first, rows| {
            for (i, row) in rows.chunks_exact(dim).enumerate() {
                weak.push(first + i as u64, row, &[]);
            }
        },
    );
    let mut all = Weak::new(functions.clone(), batches);
    out.unwrap().batches.into_iter().for_each(|one| all.merge(one));
    all.errors(expected).unwrap()
}

/// Fails one time in 1000 by chance; seeds are fixed.
fn agree(z: &[f64], what: &str) {
    let test = Test::calibration(z);
    assert!(test.p_value > 1e-3, "{what}: {test:?}, {z:?}");
}

#[test]
fn on_gaussian_data_samples_have_the_exact_law_also_of_wrong_models() {
    let vp = schedule("vp-linear");
    let grid = levels(&vp, "uniform-lambda, start = 1.0, end = 1e-3", 12);
    let data = gaussian();
    let kinds = [(Kind::Bias, 0.3), (Kind::Scale, -0.2), (Kind::FrozenInTime, 1.5)];
    let wrong = kinds.map(|(kind, size)| Some(Perturbation { kind, size, seed: 0 }));
    for wrong in [None].into_iter().chain(wrong) {
        for name in
            ["ddim", "euler-maruyama", "dpmpp-2m-sde", "heun", "predictor-corrector, predictor = \"ddpm\""]
        {
            let solver = solver(name);
            let options = law::Options { equation: None, wrong: wrong.as_ref() };
            let law = law::law_with(&solver, data.gaussian().unwrap(), &vp, &grid, Init::Marginal, options)
                .unwrap();
            let output = Data::Gaussian(
                Gaussian::new(law.moments.mean, law.moments.std.iter().map(|s| s * s).collect()).unwrap(),
            );
            let sampling = Sampling { samples: 40_000, seed: 11, precision: Precision::F64 };
            let (model, init) = (wrong.as_ref().map_or(Model::Exact, Model::Wrong), Init::Marginal);
            let run =
                Run { solver: &solver, data: &data, model, schedule: &vp, levels: &grid, init, sampling };
            let errors = measure(&run, &expected(&output, &CLEAN));
            let all: Vec<&Estimate> = errors.mean.iter().chain(&errors.variance).collect();
            // (A pilot answers norms by an estimate: its error is not in that of the samples.)
            if !law.mean_field {
                agree(&all.iter().map(|e| e.z(0.0)).collect::<Vec<_>>(), &format!("{name}, {wrong:?}"));
            }
            for e in all {
                assert!(e.value.abs() < 0.05 + 5.0 * e.stderr, "{name}, {wrong:?}: {e:?}");
            }
        }
    }
}

#[test]
fn a_wrong_model_has_three_forms_of_one_error() {
    use scorebench::batch::Batch;
    use scorebench::run::Denoiser;
    use scorebench::state::State;
    let (vp, data) = (schedule("vp-linear"), ring());
    let x = State(Batch::from_rows(2, (0..20).map(|i| f64::from(i % 7) - 3.0).collect()));
    for kind in [Kind::Bias, Kind::Scale, Kind::FrozenInTime, Kind::RandomLipschitz] {
        let wrong = Perturbation { kind, size: 0.3, seed: 5 };
        let model: &dyn Denoiser<Batch> = data.model();
        let model = wrong.of(model, &vp, 2, 1.4);
        for t in [0.01, 0.3, 1.0] {
            let at = vp.at(t);
            let rows = |s: State<Batch>| s.0.to_rows();
            let (d, eps, score) = (model.denoise(&x, &at), model.eps(&x, &at), model.score(&x, &at));
            let exact = rows(data.model().eps(&x, &at));
            let (x, d, eps, score) = (x.0.to_rows(), rows(d), rows(eps), rows(score));
            for i in 0..x.len() {
                let size = 1.0 + x[i].abs() + (at.alpha * d[i]).abs();
                assert!((at.alpha * d[i] + at.sigma * eps[i] - x[i]).abs() < 1e-12 * size, "{kind:?} at {t}");
                assert!(
                    (score[i] * at.sigma + eps[i]).abs() < 1e-12 * (1.0 + eps[i].abs()),
                    "{kind:?} at {t}"
                );
            }
            let off: f64 =
                eps.iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / eps.len() as f64;
            assert!(off > 1e-6 && off.sqrt() < 2.0, "{kind:?} at {t}: {off}");
        }
    }
}

#[test]
fn half_states_are_values_of_their_type() {
    let vp = schedule("vp-linear");
    let grid = levels(&vp, "uniform-lambda, start = 1.0, end = 1e-3", 6);
    let (data, solver) = (ring(), solver("ddim"));
    for precision in [Precision::F16, Precision::Bf16] {
        let sampling = Sampling { samples: 100, seed: 1, precision };
        let (model, init) = (Model::Exact, Init::Prior);
        let run = Run { solver: &solver, data: &data, model, schedule: &vp, levels: &grid, init, sampling };
        for x in rows(&run, None) {
            let kept = match precision {
                Precision::F16 => half::f16::from_f64(x).to_f64(),
                _ => half::bf16::from_f64(x).to_f64(),
            };
            assert_eq!(x, kept);
        }
    }
}
