//! Speed.
use scorebench::batch::{Batch, Precision};
use scorebench::data::mixture::{Covariance, Mixture};
use scorebench::grid::Grid;
use scorebench::noise::White;
use scorebench::run::Ctx;
use scorebench::schedule::Clock;
use scorebench::schedule::Schedule;
use scorebench::solver::{Sample, euler_maruyama::EulerMaruyama, runge_kutta::Heun};
use scorebench::state::State;
use std::time::Instant;

fn job<R: Precision>(
    name: &str,
    data: &Mixture,
    solver: &impl Sample,
    steps: usize,
    samples: usize,
    chunk: usize,
) {
    let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
    let levels = Grid::UniformT { start: 1.0, end: 1e-3 }.levels(&schedule, Some(steps)).unwrap();
    let t = Instant::now();
    let mut sum = 0.0;
    for first in (0..samples).step_by(chunk) {
        let x = White::of(1, scorebench::noise::Purpose::Start).draw(&State(Batch::<R>::zeros(
            data.dim(),
            first as u64,
            chunk,
        )));
        let mut noise = White::new(1);
        let mut cx = Ctx::new(data, &mut noise, &schedule);
        let x = solver.sample(&mut cx, &levels, x);
        sum += x.0.to_rows().iter().map(|x| x.to_f64()).sum::<f64>();
    }
    let s = t.elapsed().as_secs_f64();
    println!(
        "{name} {} chunk {chunk}: {:.3e} samples*steps/s, {:.2} ns, mean {}",
        std::any::type_name::<R>(),
        (samples * steps) as f64 / s,
        s * 1e9 / (samples * steps) as f64,
        sum / samples as f64
    );
}
fn main() {
    let ring = Mixture::new(
        (0..8)
            .map(|k| {
                let a = k as f64 * std::f64::consts::FRAC_PI_4;
                let s: f64 = 0.1 + 0.2 * k as f64 / 7.0;
                (1.0, vec![2.0 * a.cos(), 2.0 * a.sin()], Covariance::Isotropic(s * s))
            })
            .collect(),
    )
    .unwrap();
    let em = EulerMaruyama { lambda: 1.0 };
    let heun = Heun { clock: Clock::T, ..Heun::default() };
    for chunk in [1024] {
        job::<f32>("S", &ring, &em, 200, 100_352, chunk);
        job::<f64>("S", &ring, &em, 200, 100_352, chunk);
        job::<f32>("H", &ring, &heun, 100, 100_352, chunk);
    }
    let large = Mixture::new(
        (0..50)
            .map(|k| {
                let s: f64 = 0.3 + 0.7 * k as f64 / 49.0;
                (
                    1.0,
                    (0..64).map(|j| 2.0 * ((k * 64 + j) as f64 * 1.7).sin()).collect(),
                    Covariance::Isotropic(s * s),
                )
            })
            .collect(),
    )
    .unwrap();
    for chunk in [256] {
        job::<f32>("L", &large, &em, 100, 20_480, chunk);
        job::<f64>("L", &large, &em, 100, 20_480, chunk);
    }
}
