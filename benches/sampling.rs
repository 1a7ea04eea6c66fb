//! What sampling is made of: combinations, scores, normals, exponentials, whole steps. `cargo bench --bench sampling`.
//! Elements are samples. `examples/speed.rs` measures whole runs.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scorebench::batch::{Batch, LANES, Lanes, Precision};
use scorebench::data::{Covariance, Mixture};
use scorebench::noise::{Purpose, White};
use scorebench::real::{Real, vectorised};
use scorebench::run::{Ctx, Denoiser};
use scorebench::schedule::{Clock, Level, Schedule};
use scorebench::solver::{Sample, euler_maruyama::EulerMaruyama, runge_kutta::Heun};
use scorebench::state::State;

const SCHEDULE: Schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };

/// Samples of a batch: a state of either law is 64 KiB or less in `f32`.
const SAMPLES: [usize; 2] = [1024, 256];

/// The ring of jobs S and H, and the law of job L.
fn laws() -> [(&'static str, Mixture); 2] {
    let on_ring = |k: u32| {
        let (angle, std) = (f64::from(k) * std::f64::consts::FRAC_PI_4, 0.1 + 0.2 * f64::from(k) / 7.0);
        (1.0, vec![2.0 * angle.cos(), 2.0 * angle.sin()], Covariance::Isotropic(std * std))
    };
    let z = normals::<f64>(64, 50).0.to_rows();
    let in_space = |(k, z): (usize, &[f64])| {
        let std = 0.3 + 0.7 * k as f64 / 49.0;
        (1.0, z.iter().map(|z| 2.0 * z).collect(), Covariance::Isotropic(std * std))
    };
    [
        ("8 modes, dim 2", Mixture::new((0..8).map(on_ring).collect()).unwrap()),
        ("50 modes, dim 64", Mixture::new(z.chunks(64).enumerate().map(in_space).collect()).unwrap()),
    ]
}

fn normals<R: Precision>(dim: usize, len: usize) -> State<Batch<R>> {
    White::of(1, Purpose::Start).draw(&State(Batch::zeros(dim, 0, len)))
}

/// One step in the middle of a run.
fn levels() -> [Level; 2] {
    [SCHEDULE.at(0.5), SCHEDULE.at(0.495)]
}

/// The floor of a step beside its normals.
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

fn parts<R: Precision>(c: &mut Criterion, precision: &str) {
    for ((name, law), len) in laws().iter().zip(SAMPLES) {
        let (x, y, z) = (normals::<R>(law.dim(), len), normals(law.dim(), len), normals(law.dim(), len));
        let elements = Throughput::Elements(len as u64);
        let id = || BenchmarkId::new(precision, name);
        let [t, _] = levels();

        let mut group = c.benchmark_group("combine, three terms");
        group.throughput(elements.clone());
        group.bench_function(id(), |b| b.iter(|| (0.9 * &x + 0.2 * &y - 0.1 * &z).eval()));
        group.finish();

        let mut group = c.benchmark_group("score");
        group.throughput(elements.clone());
        group.bench_function(id(), |b| b.iter(|| law.score(&x, &t)));
        group.finish();

        let mut group = c.benchmark_group("normals");
        group.throughput(elements.clone());
        let mut noise = White::new(1);
        group.bench_function(id(), |b| b.iter(|| noise.draw(&x)));
        group.finish();

        let mut group = c.benchmark_group("exponentials of a score");
        group.throughput(elements.clone());
        let mut all = vec![[R::ZERO; LANES]; law.components().len() * len / LANES];
        group.bench_function(id(), |b| b.iter(|| vectorised(Exponentials(black_box(&mut all)))));
        group.finish();

        let mut group = c.benchmark_group("step of euler-maruyama");
        group.throughput(elements.clone());
        group.bench_function(id(), |b| b.iter(|| step(&EulerMaruyama::default(), law, &x)));
        group.finish();

        let mut group = c.benchmark_group("step of heun");
        group.throughput(elements);
        let heun = Heun { clock: Clock::T, ..Heun::default() };
        group.bench_function(id(), |b| b.iter(|| step(&heun, law, &x)));
        group.finish();
    }
}

/// A step from where the run is, its noise seeded anew.
fn step<R: Precision>(solver: &impl Sample, law: &Mixture, x: &State<Batch<R>>) -> State<Batch<R>> {
    let mut noise = White::new(1);
    solver.sample(&mut Ctx::new(law, &mut noise, &SCHEDULE), &levels(), x.clone())
}

fn sampling(c: &mut Criterion) {
    parts::<f32>(c, "f32");
    parts::<f64>(c, "f64");
}

criterion_group!(benches, sampling);
criterion_main!(benches);
