//! Networks as models: states on devices are those of the host, and a network is the same model whatever it predicts.
#![cfg(feature = "candle")]

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use scorebench::batch::Batch;
use scorebench::data::preset::Ring;
use scorebench::data::{Data, Gaussian};
use scorebench::flow::integrate_engine;
use scorebench::grid::{Grid, KarrasFinal};
use scorebench::law::Init;
use scorebench::monte_carlo::{Engine, Model, Precision, Run, Sampling};
use scorebench::net::checkpoint::Checkpoint;
use scorebench::net::network::{Network, Options};
use scorebench::net::scheduler::{Betas, Edm, Prediction, Scheduler};
use scorebench::net::tensor::{Uploaded, Uploads, download, upload};
use scorebench::net::unet::{Config, SampleSize};
use scorebench::noise::{Purpose, White};
use scorebench::parallel::with_threads;
use scorebench::run::{Ctx, Denoiser};
use scorebench::schedule::{Level, Schedule};
use scorebench::solver::{Handle, Sample, registry};
use scorebench::state::State;

const VP: Schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };

/// A host's model on tensors, by way of the host.
struct ByHost<'a, R: Uploaded>(&'a dyn Denoiser<Batch<R>>);

impl<R: Uploaded> ByHost<'_, R> {
    fn ask(&self, x: &State<Tensor>, ask: impl Fn(&State<Batch<R>>) -> State<Batch<R>>) -> State<Tensor> {
        let here = State(download::<R>(&x.0, 0).expect("rows"));
        State(upload(&ask(&here).0, &Device::Cpu).expect("a tensor"))
    }
}

impl<R: Uploaded> Denoiser<Tensor> for ByHost<'_, R> {
    fn denoise(&self, x: &State<Tensor>, at: &Level) -> State<Tensor> {
        self.ask(x, |x| self.0.denoise(x, at))
    }
    fn eps(&self, x: &State<Tensor>, at: &Level) -> State<Tensor> {
        self.ask(x, |x| self.0.eps(x, at))
    }
    fn score(&self, x: &State<Tensor>, at: &Level) -> State<Tensor> {
        self.ask(x, |x| self.0.score(x, at))
    }
    fn flow(&self, x: &State<Tensor>, t: &Level, s: &Level) -> Option<State<Tensor>> {
        let here = State(download::<R>(&x.0, 0).expect("rows"));
        self.0.flow(&here, t, s).map(|x| State(upload(&x.0, &Device::Cpu).expect("a tensor")))
    }
    fn posterior_noise(&self, z: &State<Tensor>, t: &Level, s: &Level) -> Option<State<Tensor>> {
        let here = State(download::<R>(&z.0, 0).expect("rows"));
        self.0.posterior_noise(&here, t, s).map(|x| State(upload(&x.0, &Device::Cpu).expect("a tensor")))
    }
}

/// A run of the solver on host batches, and one on tensors; none where it refuses.
fn both<R: Uploaded>(solver: &Handle, data: &Data, levels: &[Level]) -> Option<[Vec<R>; 2]> {
    let start: Batch<R> = data.sample(&levels[0], 3, Purpose::Start, 32, 40);
    let mut noise = White::new(3);
    let mut cx = Ctx::new(data.model::<R>(), &mut noise, &VP);
    let here = solver.sample(&mut cx, levels, State(start.clone())).0.to_rows();
    if cx.refusal().is_some() {
        return None;
    }
    let device = Device::Cpu;
    let mut noise = Uploads::new(White::new(3), &start, &device);
    let model = ByHost(data.model::<R>());
    let mut cx = Ctx::new(&model, &mut noise, &VP);
    let there = solver.sample(&mut cx, levels, State(upload(&start, &device).expect("a tensor")));
    Some([here, download::<R>(&there.0, 32).expect("rows").to_rows()])
}

#[test]
fn every_solver_on_tensors_is_the_host_bit_for_bit() {
    let gaussian = Data::Gaussian(Gaussian::new(vec![0.0, 1.0, -0.5], vec![1.0, 0.25, 0.01]).expect("a law"));
    let ring = Data::Mixture(Ring::default().mixture().expect("a ring"));
    let mut ran = 0;
    for data in [gaussian, ring] {
        for solver in registry::all().iter().flat_map(registry::Entry::variants) {
            let grid = Grid::UniformLambda { start: 1.0, end: 1e-3 };
            let mut levels = grid.levels(&VP, Some(24)).expect("a grid");
            if solver.forward() {
                levels.reverse();
            }
            if solver.check_grid(&VP, &levels).is_err() {
                continue;
            }
            let label = solver.label();
            if let Some([here, there]) = both::<f64>(&solver, &data, &levels) {
                assert!(here == there, "{label} in f64");
                ran += 1;
            }
            if let Some([here, there]) = both::<f32>(&solver, &data, &levels) {
                let same = here.iter().zip(&there).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{label} in f32");
            }
        }
    }
    assert!(ran > 200, "{ran} runs");
}

/// A tiny network of given weights.
fn tiny(scheduler: Scheduler, sides: [usize; 2], weight: impl Fn(&str, &[usize]) -> Tensor) -> Network {
    let config = Config {
        sample_size: Some(SampleSize::Sides(sides)),
        in_channels: 1,
        out_channels: 1,
        block_out_channels: vec![4],
        down_block_types: vec!["DownBlock2D".into()],
        up_block_types: vec!["UpBlock2D".into()],
        layers_per_block: 1,
        norm_num_groups: Some(2),
        attention_head_dim: None,
        ..Config::default()
    };
    let tensors = config.tensors().expect("a network").into_iter();
    let weights: BTreeMap<String, Tensor> =
        tensors.map(|(name, shape)| (name.clone(), weight(&name, &shape))).collect();
    let checkpoint = Checkpoint { config, scheduler, weights, hash: "tiny".into(), files: Vec::new() };
    Network::new(&checkpoint, Options::default()).expect("a network of images")
}

/// A network that answers every question with its bias.
fn constant(scheduler: Scheduler, bias: f64, sides: [usize; 2]) -> Network {
    tiny(scheduler, sides, |name, shape| {
        let value = if name == "conv_out.bias" { bias } else { 0.0 };
        Tensor::full(value, shape, &Device::Cpu).expect("a tensor")
    })
}

fn ddpm(prediction: Prediction) -> Scheduler {
    Scheduler::ddpm(Betas::default(), 1000, prediction)
}

#[test]
fn d_and_eps_are_what_the_prediction_says_on_every_schedule() {
    let edm = Edm { sigma_min: 0.002, sigma_max: 80.0, sigma_data: 0.5 };
    let f = 0.3;
    let x = State(Batch::from_rows(4, vec![0.5, -1.0, 2.0, 0.1]));
    for schedule in
        [VP, Schedule::Edm {}, Schedule::Flow {}, Schedule::SubVp { beta_min: 0.1, beta_max: 20.0 }]
    {
        let at = schedule.at(0.4);
        let (a, s, k) = (at.alpha, at.sigma, at.kappa());
        let r = a.hypot(s);
        // The denoised image by each definition, of the image scaled to the network's own process.
        let vp = |x: f64| (a / r, s / r, x / r);
        let denoised: [(Scheduler, &dyn Fn(f64) -> f64); 6] = [
            (ddpm(Prediction::Epsilon), &|x| {
                let (a, s, x) = vp(x);
                (x - s * f) / a
            }),
            (ddpm(Prediction::Sample), &|_| f),
            (ddpm(Prediction::VPrediction), &|x| {
                let (a, s, x) = vp(x);
                a * x - s * f
            }),
            (Scheduler::ve(0.01, 50.0), &|x| x / a + k * k * f),
            (Scheduler::edm(edm), &|x| (0.25 * x / a + k * 0.5 * (0.25 + k * k).sqrt() * f) / (0.25 + k * k)),
            (Scheduler { prediction_type: Prediction::VPrediction, ..Scheduler::edm(edm) }, &|x| {
                (0.25 * x / a - k * 0.5 * (0.25 + k * k).sqrt() * f) / (0.25 + k * k)
            }),
        ];
        for (scheduler, d) in denoised {
            let label =
                format!("{:?} of {} on {schedule:?}", scheduler.prediction_type, scheduler.class_name);
            let network = constant(scheduler, f, [2, 2]);
            let rows = x.0.to_rows();
            let (found, eps) = (network.denoise(&x, &at).0.to_rows(), network.eps(&x, &at).0.to_rows());
            for i in 0..4 {
                assert!((found[i] - d(rows[i])).abs() < 1e-13 * (1.0 + d(rows[i]).abs()), "{label}");
                assert!(
                    (a * found[i] + s * eps[i] - rows[i]).abs() < 1e-13 * (1.0 + rows[i].abs()),
                    "{label}"
                );
            }
        }
    }
}

#[test]
fn what_the_scheduler_bounds_is_bounded_unless_it_is_asked_not_to() {
    let at = VP.at(0.5);
    let x = State(Batch::from_rows(4, vec![0.5, -8.0, 2.0, 0.1]));
    let of = |scheduler: Scheduler| constant(scheduler, 0.3, [2, 2]);
    let free = of(ddpm(Prediction::Epsilon)).denoise(&x, &at).0.to_rows();
    let clipped = of(Scheduler { clip_sample: true, clip_sample_range: 2.0, ..ddpm(Prediction::Epsilon) });
    let found = clipped.denoise(&x, &at).0.to_rows();
    assert_eq!(found, free.iter().map(|d| d.clamp(-2.0, 2.0)).collect::<Vec<_>>());
    let eps = clipped.eps(&x, &at).0.to_rows();
    assert!((at.alpha * found[1] + at.sigma * eps[1] + 8.0).abs() < 1e-12);
    let bounds = Scheduler {
        thresholding: true,
        dynamic_thresholding_ratio: 0.5,
        sample_max_value: 10.0,
        ..ddpm(Prediction::Epsilon)
    };
    let found = of(bounds).denoise(&x, &at).0.to_rows();
    let mut sizes: Vec<f64> = free.iter().map(|d| d.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let bound = (0.5 * (sizes[1] + sizes[2])).clamp(1.0, 10.0);
    assert!(found.iter().zip(&free).all(|(f, d)| (f - d.clamp(-bound, bound) / bound).abs() < 1e-14));
}

fn fixture(name: &str, dtype: DType, batch: usize) -> Network {
    let folder = format!("{}/tests/fixtures/unet/{name}", env!("CARGO_MANIFEST_DIR"));
    let checkpoint = Checkpoint::open(&folder, &Device::Cpu, dtype).expect("a checkpoint");
    Network::new(&checkpoint, Options { batch, clip: false, class: None }).expect("a network of images")
}

fn dim(network: &Network) -> usize {
    network.shape().iter().product()
}

fn rows(
    network: &Network,
    solver: &str,
    schedule: &Schedule,
    steps: usize,
    (samples, precision): (u64, Precision),
) -> Vec<f64> {
    let (sigma_min, sigma_max) = network.range();
    let grid = Grid::Karras {
        rho: 7.0,
        sigma_min: 2.0 * sigma_min,
        sigma_max: 0.5 * sigma_max,
        last: KarrasFinal::SigmaMin,
    };
    let levels = grid.levels(schedule, Some(steps)).expect("a grid");
    let solver = registry::solver(toml::Value::String(solver.into())).expect("a solver");
    let data =
        Data::Gaussian(Gaussian::new(vec![0.0; dim(network)], vec![1.0; dim(network)]).expect("a law"));
    let run = Run {
        solver: &solver,
        data: &data,
        model: Model::Engine(network),
        schedule,
        levels: &levels,
        init: Init::Prior,
        sampling: Sampling { samples, seed: 2, precision },
    };
    run.fold(|_| Vec::new(), |all, _, rows| all.extend_from_slice(rows)).expect("a run").batches.concat()
}

#[test]
fn images_depend_neither_on_threads_nor_on_batches() {
    for (solver, precision) in [("dpmpp-2m", Precision::F64), ("euler-ancestral", Precision::F32)] {
        let run = |batch, threads| {
            let network = fixture("cifar-like", DType::F32, batch);
            let run = || rows(&network, solver, &Schedule::Edm {}, 3, (5, precision));
            with_threads(Some(threads), run).expect("threads")
        };
        let once = run(5, 1);
        assert!(once.iter().all(|x| x.is_finite()) && once == run(1, 2) && once == run(2, 2), "{solver}");
    }
}

#[test]
fn a_network_is_the_same_model_on_every_schedule() {
    let network = fixture("classes", DType::F64, 4);
    let dim = dim(&network);
    let discrete = network.schedule().expect("a table");
    for solver in ["ddim", "dpmpp-2m", "unipc"] {
        let ve = rows(&network, solver, &Schedule::Edm {}, 6, (3, Precision::F64));
        let vp = rows(&network, solver, &discrete, 6, (3, Precision::F64));
        let (low, _) = network.range();
        // From a start that is smaller by alpha, to an end that is.
        let start = |schedule: &Schedule| schedule.prior_std(&schedule.at_kappa(0.5 * network.range().1));
        let alpha = |schedule: &Schedule, kappa: f64| schedule.at_kappa(kappa).alpha;
        let scale = start(&discrete) / (start(&Schedule::Edm {}) * alpha(&discrete, 0.5 * network.range().1));
        // The prior of variance-preserving schedules is N(0, I), larger by a trace than sigma_T says.
        assert!((scale - 1.0).abs() < 1e-3);
        let off = ve.iter().zip(&vp).map(|(x, y)| (x - y / alpha(&discrete, 2.0 * low)).abs());
        let (worst, size) = (off.fold(0.0, f64::max), ve.iter().map(|x| x.abs()).fold(0.0, f64::max));
        assert!(worst < 2e-3 * size, "{solver}: {worst:e} of {size:e} over {dim} pixels");
    }
}

#[test]
fn solvers_tend_to_the_networks_own_flow_at_their_order() {
    let edm = Scheduler::edm(Edm { sigma_min: 0.002, sigma_max: 80.0, sigma_data: 0.5 });
    let network = tiny(edm, [4, 4], |name, shape| {
        let count = shape.iter().product();
        let seed = name.bytes().map(u64::from).sum();
        let z: Batch<f64> = White::of(seed, Purpose::Other).draw(&State(Batch::zeros(count, 0, 1))).0;
        let fan = shape[1..].iter().product::<usize>().max(1) as f64;
        let spread = if shape.len() > 1 { 1.0 / fan.sqrt() } else { 0.3 };
        let values: Vec<f64> = z.to_rows().into_iter().map(|z| spread * z).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor")
    });
    let dim = dim(&network);
    let (low, high) = network.range();
    let [from, to] = [0.5 * high, 2.0 * low].map(|kappa| Schedule::Edm {}.at_kappa(kappa));
    let data = Data::Gaussian(Gaussian::new(vec![0.0; dim], vec![1.0; dim]).expect("a law"));
    let z: Batch<f64> = White::of(2, Purpose::Start).draw(&State(Batch::zeros(dim, 0, 2))).0;
    let start = (from.sigma * &State(z)).eval().0;
    let exact = integrate_engine(&network, &data, &from, &to, &start, network.tolerance()).expect("a flow");
    let error = |solver, steps| {
        let found = rows(&network, solver, &Schedule::Edm {}, steps, (2, Precision::F64));
        let squares = found.iter().zip(exact.to_rows()).map(|(x, y)| (x - y).powi(2)).sum::<f64>();
        (squares / found.len() as f64).sqrt()
    };
    for (solver, order) in [("ddim", 1.0), ("heun", 2.0), ("dpmpp-2m", 2.0), ("rk4", 4.0)] {
        let (coarse, fine) = (error(solver, 128), error(solver, 256));
        let found = (coarse / fine).log2();
        assert!((found - order).abs() < 0.15, "{solver}: {coarse:e} {fine:e} {found}");
    }
}
