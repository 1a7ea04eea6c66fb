//! What needs a card: `cargo test --release --features cuda --test cuda -- --ignored --nocapture`.
#![cfg(feature = "cuda")]

use std::time::Instant;

use candle_core::{DType, Device};

use scorebench::batch::Batch;
use scorebench::data::{Data, Gaussian};
use scorebench::grid::{Grid, KarrasFinal};
use scorebench::law::Init;
use scorebench::monte_carlo::{Engine, Model, NoRun, Precision, Run, Sampling};
use scorebench::net::checkpoint::Checkpoint;
use scorebench::net::network::{Network, Options};
use scorebench::net::tensor::{download, upload};
use scorebench::noise::{Purpose, White};
use scorebench::schedule::Schedule;
use scorebench::solver::{Handle, registry};
use scorebench::state::State;

fn card() -> Device {
    Device::new_cuda(0).expect("a card")
}

fn network(name: &str, device: &Device, dtype: DType, batch: usize) -> Network {
    let folder = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    let checkpoint = Checkpoint::open(&folder, device, dtype).expect("a checkpoint");
    Network::new(&checkpoint, Options { batch, clip: false, class: None }).expect("a network of images")
}

const DIGITS: &str = "results/digits-unet";

fn rows(network: &Network, solver: &Handle, steps: usize, samples: u64) -> Result<Vec<f64>, NoRun> {
    let dim = network.shape().iter().product();
    let (sigma_min, sigma_max) = network.range();
    let grid = Grid::Karras { rho: 7.0, sigma_min: 5.0 * sigma_min, sigma_max, last: KarrasFinal::SigmaMin };
    let data = Data::Gaussian(Gaussian::new(vec![0.0; dim], vec![1.0; dim]).expect("a law"));
    let run = Run {
        solver,
        data: &data,
        model: Model::Engine(network),
        schedule: &Schedule::Edm {},
        levels: &grid.levels(&Schedule::Edm {}, Some(steps)).expect("a grid"),
        init: Init::Prior,
        sampling: Sampling { samples, seed: 1, precision: Precision::F32 },
    };
    let out = run.fold(|_| Vec::new(), |all, _, rows| all.extend_from_slice(rows))?;
    Ok(out.batches.concat())
}

fn rms(x: &[f64], y: &[f64]) -> f64 {
    let squares: f64 = x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum();
    (squares / x.len() as f64).sqrt()
}

#[test]
#[ignore = "needs a card"]
fn combinations_on_a_card_are_those_of_the_host() {
    let z: Batch<f64> = White::of(1, Purpose::Start).draw(&State(Batch::zeros(100, 0, 64))).0;
    let up = |x: &Batch<f64>| State(upload(x, &card()).expect("uploaded"));
    let (here, there) = (State(z.clone()), up(&z));
    let here = (0.3 * &here - 1.7 * &(2.0 * &here).eval()).eval();
    let there = (0.3 * &there - 1.7 * &(2.0 * &there).eval()).eval();
    let back = download::<f64>(&there.0, 0).expect("downloaded");
    assert!(rms(&here.0.to_rows(), &back.to_rows()) < 1e-15);
}

#[test]
#[ignore = "needs a card"]
fn every_solver_draws_the_hosts_images_on_a_card() {
    let (here, there) =
        (network(DIGITS, &Device::Cpu, DType::F32, 16), network(DIGITS, &card(), DType::F32, 16));
    let grid = Grid::Karras { rho: 7.0, sigma_min: 0.01, sigma_max: 80.0, last: KarrasFinal::SigmaMin };
    let levels = grid.levels(&Schedule::Edm {}, Some(12)).expect("a grid");
    let mut worst: (f64, String) = (0.0, String::new());
    for solver in registry::all().iter().flat_map(registry::Entry::variants) {
        if solver.forward() || solver.check_grid(&Schedule::Edm {}, &levels).is_err() {
            continue;
        }
        if let (Ok(x), Ok(y)) = (rows(&here, &solver, 12, 16), rows(&there, &solver, 12, 16)) {
            let finite = x.iter().all(|x| x.is_finite());
            let off = rms(&x, &y) / (1.0 + rms(&x, &vec![0.0; x.len()]));
            if finite && off > worst.0 {
                worst = (off, solver.label());
            }
            // Networks in single precision differ in the last digits, which steps magnify.
            assert!(!finite || off < 5e-3, "{}: {off:e}", solver.label());
        }
    }
    println!("largest difference between card and host: {:e} ({})", worst.0, worst.1);
}

#[test]
#[ignore = "needs a card"]
fn half_precision_networks_run_and_stay_near() {
    let solver = registry::solver(toml::Value::String("dpmpp-2m".into())).expect("a solver");
    let exact = rows(&network(DIGITS, &card(), DType::F32, 64), &solver, 20, 64).expect("a run");
    for dtype in [DType::F16, DType::BF16] {
        let near = rows(&network(DIGITS, &card(), dtype, 64), &solver, 20, 64).expect("a run");
        println!("{dtype:?}: {:e} from single precision", rms(&exact, &near));
        assert!(rms(&exact, &near) < 0.5, "{dtype:?}");
    }
}

#[test]
#[ignore = "needs a card"]
fn a_batch_that_does_not_fit_names_one_to_try() {
    let network = network("tests/fixtures/unet/cifar-like", &card(), DType::F32, 1 << 22);
    let solver = registry::solver(toml::Value::String("ddim".into())).expect("a solver");
    let error = rows(&network, &solver, 2, 1 << 22).expect_err("no card has that much memory").to_string();
    assert!(error.contains("not enough memory") && error.contains("try batch = 2097152"), "{error}");
}

#[test]
#[ignore = "needs a card"]
fn speed_is_printed() {
    let solver = registry::solver(toml::Value::String("dpmpp-2m".into())).expect("a solver");
    for (device, name, batch) in [(Device::Cpu, "host", 16), (card(), "card", 256)] {
        let network = network(DIGITS, &device, DType::F32, batch);
        rows(&network, &solver, 2, 256).expect("a run");
        let start = Instant::now();
        rows(&network, &solver, 20, 1024).expect("a run");
        println!("{name}: {:.0} images a second (20 calls each)", 1024.0 / start.elapsed().as_secs_f64());
    }
}
