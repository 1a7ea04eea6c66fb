//! What the exact law costs: by steps, modes and draws. `cargo bench --bench law`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scorebench::data::Gaussian;
use scorebench::grid::Grid;
use scorebench::law::{Init, law, law_on_path};
use scorebench::schedule::Schedule;
use scorebench::solver::{
    Sample, ddim::Ddim, ddpm::Ddpm, dpmpp_2m::DpmPp2m, stochastic_heun::StochasticHeun,
};

fn run(solver: &(impl Sample + Sync), modes: usize, steps: usize) -> f64 {
    let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
    let data = Gaussian::power_law(modes, 1.0).unwrap();
    let grid = Grid::UniformT { start: 1.0, end: 1e-3 }.levels(&schedule, Some(steps)).unwrap();
    law(solver, &data, &schedule, &grid, Init::Marginal).unwrap().moments.std[0]
}

fn strong(solver: &(impl Sample + Sync), modes: usize, steps: usize, l: f64) -> f64 {
    let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
    let data = Gaussian::power_law(modes, 1.0).unwrap();
    let grid = Grid::UniformT { start: 1.0, end: 1e-3 }.levels(&schedule, Some(steps)).unwrap();
    law_on_path(solver, &data, &schedule, &grid, Init::Marginal, Some(l)).unwrap().strong_error.unwrap()
}

fn cost(c: &mut Criterion) {
    let mut group = c.benchmark_group("law");
    group.sample_size(10);
    // The case the bench promises: DDPM, 1000 steps, 3072 modes.
    group.bench_function("ddpm/steps=1000/modes=3072", |b| b.iter(|| run(&Ddpm::default(), 3072, 1000)));
    // The same with its strong error, of a member that is cheap to follow and of one that takes powers.
    for l in [1.0, 0.5] {
        let id = BenchmarkId::new("ddpm and strong error/steps=1000/modes=3072, by l", l);
        group.bench_with_input(id, &l, |b, &l| b.iter(|| strong(&Ddpm::default(), 3072, 1000, l)));
    }
    for steps in [125, 250, 500] {
        group.throughput(Throughput::Elements((steps * steps / 2) as u64));
        group.bench_with_input(BenchmarkId::new("ddpm, modes=768, by steps", steps), &steps, |b, &n| {
            b.iter(|| run(&Ddpm::default(), 768, n));
        });
    }
    for modes in [48, 192, 768, 3072] {
        group.throughput(Throughput::Elements(modes as u64));
        group.bench_with_input(BenchmarkId::new("ddpm, steps=250, by modes", modes), &modes, |b, &d| {
            b.iter(|| run(&Ddpm::default(), d, 250));
        });
    }
    group.throughput(Throughput::Elements(1));
    // Draws: none, none with history, one a step, one a step with two model calls.
    group.bench_function("by draws, steps=250, modes=3072/ddim, no draws", |b| {
        b.iter(|| run(&Ddim { eta: 0.0 }, 3072, 250));
    });
    group.bench_function("by draws, steps=250, modes=3072/dpmpp-2m, no draws", |b| {
        b.iter(|| run(&DpmPp2m::default(), 3072, 250));
    });
    group.bench_function("by draws, steps=250, modes=3072/stochastic-heun, 250 draws", |b| {
        b.iter(|| run(&StochasticHeun { lambda: 1.0 }, 3072, 250));
    });
    group.finish();
}

criterion_group!(benches, cost);
criterion_main!(benches);
