//! Runs through an engine: the states are its own, and everything else is as on the host.

use std::sync::atomic::{AtomicUsize, Ordering};

use scorebench::batch::Batch;
use scorebench::data::Data;
use scorebench::data::preset::Ring;
#[cfg(not(feature = "candle"))]
use scorebench::experiment::Experiment;
use scorebench::flow::{integrate, integrate_engine};
use scorebench::grid::Grid;
use scorebench::law::Init;
use scorebench::monte_carlo::{Engine, Model, NoRun, Precision, Run, Sampling, Solve, Start};
use scorebench::noise::White;
use scorebench::run::{Ctx, Denoiser};
use scorebench::schedule::{Level, Schedule};
use scorebench::solver::{Handle, registry};
use scorebench::state::{Space, State};

const VP: Schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };

/// The exact score, in batches of its own.
#[derive(Debug)]
struct Exactly {
    data: Data,
    batch: usize,
    most: AtomicUsize,
}

impl Denoiser<Batch<f64>> for Exactly {
    fn denoise(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        self.data.model().denoise(x, at)
    }
    fn eps(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        self.data.model().eps(x, at)
    }
    fn score(&self, x: &State<Batch<f64>>, at: &Level) -> State<Batch<f64>> {
        self.data.model().score(x, at)
    }
}

impl Engine for Exactly {
    fn bytes(&self) -> Vec<u8> {
        Vec::new()
    }
    fn range(&self) -> (f64, f64) {
        (0.0, f64::INFINITY)
    }
    fn batch(&self) -> usize {
        self.batch
    }
    fn concurrent(&self) -> bool {
        self.batch < 100
    }
    fn run(
        &self,
        start: Start,
        mut noise: White,
        schedule: &Schedule,
        solve: &mut Solve,
    ) -> Result<Vec<f64>, NoRun> {
        let Start::F64(x) = start else { return Err(NoRun::Device("is of double precision".into())) };
        self.most.fetch_max(x.len(), Ordering::Relaxed);
        let mut cx = Ctx::new(self, &mut noise, schedule);
        let out = Batch::<f64>::with_any(&mut cx, State(x), |cx, x| solve(cx, x));
        Ok(Batch::<f64>::from_any(out).0.to_rows())
    }
    fn tolerance(&self) -> f64 {
        1e-10
    }
}

fn exactly(batch: usize) -> Exactly {
    let ring = Ring::default().mixture().expect("a ring");
    Exactly { data: Data::Mixture(ring), batch, most: AtomicUsize::new(0) }
}

fn solver(text: &str) -> Handle {
    let value: toml::Table = format!("x = {text}").parse().expect("TOML");
    registry::solver(value["x"].clone()).expect("a solver")
}

fn rows(engine: &Exactly, name: &str, model: Model, precision: Precision) -> Result<Vec<f64>, NoRun> {
    let levels = Grid::UniformLambda { start: 1.0, end: 1e-3 }.levels(&VP, Some(40)).expect("a grid");
    let (solver, data) = (solver(name), &engine.data);
    let sampling = Sampling { samples: 333, seed: 5, precision };
    let run =
        Run { solver: &solver, data, model, schedule: &VP, levels: &levels, init: Init::Marginal, sampling };
    let out = run.fold(|_| Vec::new(), |all, _, rows| all.extend_from_slice(rows))?;
    Ok(out.batches.concat())
}

#[test]
fn an_engine_with_the_exact_score_is_the_host_bit_for_bit_whatever_its_batches() {
    for batch in [1, 7, 64, 1000] {
        let engine = exactly(batch);
        for name in ["'ddim'", "'heun'", "'dpmpp-2m-sde'", "'stochastic-heun'", "'unipc'"] {
            let here = rows(&engine, name, Model::Exact, Precision::F64).expect("a run");
            let there = rows(&engine, name, Model::Engine(&engine), Precision::F64).expect("a run");
            assert!(here == there, "{name} in batches of {batch}");
        }
        assert_eq!(engine.most.load(Ordering::Relaxed), batch.min(333));
    }
}

#[test]
fn a_solver_that_looks_at_one_sample_sees_one_on_an_engine_too() {
    let engine = exactly(64);
    let name = "{ name = 'predictor-corrector', norm = 'sample' }";
    let here = rows(&engine, name, Model::Exact, Precision::F64).expect("a run");
    let there = rows(&engine, name, Model::Engine(&engine), Precision::F64).expect("a run");
    assert!(here == there);
}

#[test]
fn what_an_engine_cannot_is_said() {
    let engine = exactly(64);
    let e = rows(&engine, "'ddim'", Model::Engine(&engine), Precision::F32).expect_err("not this precision");
    assert_eq!(e.to_string(), "is of double precision");
    let e = rows(&engine, "'ddim'", Model::Engine(&engine), Precision::F16).expect_err("not this precision");
    assert!(e.to_string().contains("states of networks are f32 or f64, not f16"), "{e}");
}

#[test]
fn the_flow_through_an_engine_is_that_of_its_model() {
    let engine = exactly(64);
    let (from, to) = (VP.at(1.0), VP.at(1e-3));
    let x: Batch<f64> = engine.data.sample(&from, 1, scorebench::noise::Purpose::Start, 0, 50);
    let mine = integrate_engine(&engine, &engine.data, &from, &to, &x, 1e-12).expect("a flow");
    let exact = integrate(&engine.data, &from, &to, &x, 1e-12).expect("a flow");
    assert_eq!(mine.to_rows(), exact.to_rows());
}

#[cfg(not(feature = "candle"))]
#[test]
fn a_network_without_networks_in_the_program_says_how_to_build_one() {
    let text = "question = \"?\"\ndata = { name = \"network\", checkpoint = \"x\" }\nschedule = { name = \"edm\" }\n\
                grid = { name = \"uniform-t\", start = 1.0, end = 0.01, steps = [4] }\nsolver = [{ name = \"ddim\" }]";
    let e =
        Experiment::parse("x", text, std::path::Path::new(".")).expect_err("no networks here").to_string();
    assert!(e.contains("data.name = \"network\"") && e.contains("--features candle"), "{e}");
}
