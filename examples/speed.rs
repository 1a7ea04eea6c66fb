//! How fast samples are computed, beside the time that their normals and exponentials take alone.
//!
//!     cargo run --release --example speed -- [--json] [--threads N] [--quick]
//!
//! Job S: a ring of eight Gaussians in the plane, Euler-Maruyama on the reverse SDE, 200 steps. Job H: the same law, Heun
//! on the probability flow, 100 steps of two model calls. Job L: 50 isotropic Gaussians in 64 coordinates, 100 steps of
//! Euler-Maruyama. Every figure is the least of several rounds, in which the measurements take turns.

use std::hint::black_box;
use std::time::Instant;

use clap::Parser;
use scorebench::batch::{self, Batch, LANES, Lanes};
use scorebench::data::{Covariance, Data, Mixture};
use scorebench::grid::Grid;
use scorebench::law::Init;
use scorebench::monte_carlo::{Model, Precision, Run, Sampling};
use scorebench::noise::{Purpose, White};
use scorebench::parallel;
use scorebench::real::{Real, vectorised};
use scorebench::schedule::{Clock, Level, Schedule};
use scorebench::solver::{Sample, euler_maruyama::EulerMaruyama, runge_kutta::Heun};
use scorebench::state::State;

#[derive(Parser)]
struct Options {
    /// Print a list of objects.
    #[arg(long)]
    json: bool,
    /// Threads, beside one.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// A quarter of the samples, three rounds.
    #[arg(long)]
    quick: bool,
}

const SCHEDULE: Schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };

struct Job {
    name: &'static str,
    data: Data,
    samples: u64,
    steps: usize,
    /// Model calls and draws of a step.
    calls: usize,
    draws: usize,
    levels: Vec<Level>,
}

impl Job {
    fn new(name: &'static str, data: Mixture, samples: u64, steps: usize, calls: usize) -> Self {
        let levels = Grid::UniformT { start: 1.0, end: 1e-3 }.levels(&SCHEDULE, Some(steps));
        let levels = levels.expect("the grid suits the schedule");
        Job { name, data: Data::Mixture(data), samples, steps, calls, draws: 2 - calls, levels }
    }

    fn components(&self) -> usize {
        match &self.data {
            Data::Mixture(mixture) => mixture.components().len(),
            _ => 1,
        }
    }

    /// Seconds of a run.
    fn seconds(&self, precision: Precision, threads: usize) -> f64 {
        let sampling = Sampling { samples: self.samples, seed: 1, precision };
        if self.draws > 0 {
            self.run(&EulerMaruyama { lambda: 1.0 }, sampling, threads)
        } else {
            self.run(&Heun { clock: Clock::T, ..Heun::default() }, sampling, threads)
        }
    }

    fn run(&self, solver: &(impl Sample + Sync), sampling: Sampling, threads: usize) -> f64 {
        let run = Run {
            solver,
            data: &self.data,
            model: Model::Exact,
            schedule: &SCHEDULE,
            levels: &self.levels,
            init: Init::Prior,
            sampling,
        };
        let all = || run.fold(|_| 0.0, |sum, _, rows| *sum += rows.iter().sum::<f64>());
        let start = Instant::now();
        let out = parallel::with_threads(Some(threads), all).expect("threads start");
        black_box(out.expect("the run has samples").batches);
        start.elapsed().as_secs_f64()
    }

    /// Seconds that one thread takes for as many normals and exponentials, and for nothing else.
    fn floor<R: batch::Precision>(&self) -> f64 {
        const CHUNK: usize = 1024;
        let chunks = self.samples as usize / CHUNK;
        let len = CHUNK / self.data.dim().div_ceil(8);
        let mut exponents = vec![[R::from_f64(-1.0); LANES]; self.components()];
        let x = State(Batch::<R>::zeros(self.data.dim(), 0, len));
        let start = Instant::now();
        for _ in 0..chunks * CHUNK / len {
            let mut noise = White::of(1, Purpose::Noise);
            for _ in 0..1 + self.steps * self.draws {
                black_box(noise.draw(&x));
            }
            for _ in 0..self.steps * self.calls * (len / LANES) {
                vectorised(Exponentials(black_box(&mut exponents)));
            }
        }
        start.elapsed().as_secs_f64() * self.samples as f64 / (chunks * CHUNK) as f64
    }
}

/// Takes `exp(x - 1)` of every `x`, again and again.
struct Exponentials<'a, R>(&'a mut [Lanes<R>]);

impl<R: Real> pulp::NullaryFnOnce for Exponentials<'_, R> {
    type Output = ();
    #[inline(always)]
    fn call(self) {
        for lanes in self.0 {
            for x in lanes.iter_mut() {
                *x = (*x - R::ONE).exp();
            }
        }
    }
}

fn ring() -> Mixture {
    let mode = |k: u32| {
        let (angle, std) = (f64::from(k) * std::f64::consts::FRAC_PI_4, 0.1 + 0.2 * f64::from(k) / 7.0);
        (1.0, vec![2.0 * angle.cos(), 2.0 * angle.sin()], Covariance::Isotropic(std * std))
    };
    Mixture::new((0..8).map(mode).collect()).expect("a mixture")
}

/// Means N(0, 4) in every coordinate, standard deviations 0.3 to 1.
fn large() -> Mixture {
    let z = White::of(1, Purpose::Other).draw(&State(Batch::<f64>::zeros(64, 0, 50))).0.to_rows();
    let mode = |(k, z): (usize, &[f64])| {
        let std = 0.3 + 0.7 * k as f64 / 49.0;
        (1.0, z.iter().map(|z| 2.0 * z).collect(), Covariance::Isotropic(std * std))
    };
    Mixture::new(z.chunks(64).enumerate().map(mode).collect()).expect("a mixture")
}

/// The least seconds of a job in one precision.
struct Times {
    one: f64,
    many: f64,
    floor: f64,
}

fn measure(job: &Job, options: &Options) -> [Times; 2] {
    let mut best = [(); 2].map(|()| Times { one: f64::MAX, many: f64::MAX, floor: f64::MAX });
    for _ in 0..if options.quick { 3 } else { 7 } {
        for (best, precision) in best.iter_mut().zip([Precision::F32, Precision::F64]) {
            let floor = match precision {
                Precision::F32 => job.floor::<f32>(),
                _ => job.floor::<f64>(),
            };
            best.floor = best.floor.min(floor);
            best.one = best.one.min(job.seconds(precision, 1));
            best.many = best.many.min(job.seconds(precision, options.threads));
        }
    }
    best
}

fn main() {
    let options = Options::parse();
    let share = if options.quick { 4 } else { 1 };
    let jobs = [
        Job::new("S", ring(), 100_000 / share, 200, 1),
        Job::new("H", ring(), 100_000 / share, 100, 2),
        Job::new("L", large(), 20_000 / share, 100, 1),
    ];
    let mut objects = Vec::new();
    if !options.json {
        println!(
            "{:<4}{:<6}{:>16}{:>9}{:>9}{:>8}{:>9}{:>12}",
            "job", "type", "samples*steps/s", "ns", "floor", "ratio", "f64/f32", "efficiency"
        );
    }
    for job in &jobs {
        let times = measure(job, &options);
        let work = job.samples as f64 * job.steps as f64;
        for (times, precision) in times.iter().zip([Precision::F32, Precision::F64]) {
            for (threads, seconds) in [(1, times.one), (options.threads, times.many)] {
                objects.push(serde_json::json!({
                    "job": job.name,
                    "precision": precision.name(),
                    "threads": threads,
                    "samples_steps_per_second": work / seconds,
                    "seconds": seconds,
                    "floor_seconds": times.floor / threads as f64,
                }));
            }
        }
        if !options.json {
            print(job, &times, work, options.threads);
        }
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&objects).expect("numbers and names"));
    } else {
        println!("ns: of one thread, a sample and step; floor: its normals and exponentials alone");
        println!("efficiency: T1/({0} T{0})", options.threads);
    }
}

fn print(job: &Job, [f32, f64]: &[Times; 2], work: f64, threads: usize) {
    for (name, times) in [("f32", f32), ("f64", f64)] {
        println!(
            "{:<4}{:<6}{:>16.3e}{:>9.2}{:>9.2}{:>8.2}{:>9.2}{:>11.1}%",
            job.name,
            name,
            work / times.one,
            1e9 * times.one / work,
            1e9 * times.floor / work,
            times.one / times.floor,
            times.one / f32.one,
            100.0 * times.one / (threads as f64 * times.many)
        );
    }
}
