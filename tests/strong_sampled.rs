//! Strong errors by Monte Carlo: against the exact ones on Gaussian data, and the orders that are left on mixtures.

mod common;

use common::{levels, modes, schedule, solver};
use scorebench::data::{Covariance, Data, Gaussian, Mixture};
use scorebench::law::{Init, law_on_path};
use scorebench::monte_carlo::strong::{NoStrong, Reference, StrongError};
use scorebench::monte_carlo::{NoRun, Precision, Run, Sampling};
use scorebench::parallel::with_threads;
use scorebench::schedule::{Level, Schedule};

fn strong(
    text: &str,
    data: &Data,
    schedule: &Schedule,
    levels: &[Level],
    sampling: Sampling,
    reference: Reference,
) -> Result<StrongError, NoStrong> {
    let solver = solver(text);
    let run = Run { solver: &solver, data, schedule, levels, init: Init::Marginal, sampling };
    run.strong_error(solver.equation().expect("an equation"), reference)
}

fn of(samples: u64) -> Sampling {
    Sampling { samples, ..Sampling::default() }
}

/// Two narrow modes: between them the score is as far from linear as it gets.
fn two_modes() -> Data {
    let narrow = |mean: f64| (0.5, vec![mean], Covariance::Isotropic(0.04));
    Data::Mixture(Mixture::new(vec![narrow(-1.0), narrow(1.0)]).unwrap())
}

#[test]
fn exact() {
    let gaussian = modes();
    for (name, rule) in [
        ("vp-linear", "uniform-lambda, start = 1.0, end = 1e-2"),
        ("edm", "karras, sigma_max = 20.0, sigma_min = 0.02"),
    ] {
        let schedule = schedule(name);
        for text in SOLVERS {
            for steps in [8, 64] {
                let grid = levels(&schedule, rule, steps);
                let solver = solver(text);
                let exact =
                    law_on_path(&solver, &gaussian, &schedule, &grid, Init::Marginal, solver.equation());
                let exact = exact.unwrap().strong_error.unwrap();
                let data = Data::Gaussian(gaussian.clone());
                let start = std::time::Instant::now();
                let got = strong(text, &data, &schedule, &grid, of(4000), Reference::Exact).unwrap();
                let time = start.elapsed().as_secs_f64();
                println!(
                    "{name} {text} {steps}: {:.4e} +- {:.1e}, exact {exact:.4e}, z {:.2}, {time:.2} s",
                    got.rmse.value,
                    got.rmse.stderr,
                    got.rmse.z(exact)
                );
            }
        }
    }
}

const SOLVERS: [&str; 12] = [
    "euler-maruyama",
    "euler-maruyama, lambda = 0.5",
    "ddpm",
    "ddim, eta = 0.5",
    "exponential-integrator",
    "exponential-integrator, frozen = \"d\", lambda = 0.5",
    "stochastic-heun",
    "sra1",
    "sra3, clock = \"edm\"",
    "sosra, lambda = 0.5, clock = \"lambda\"",
    "dpmpp-sde",
    "heun, clock = \"edm\"",
];

#[test]
fn explore() {
    let vp = schedule("vp-linear");
    for text in [
        "euler-maruyama",
        "ddpm",
        "stochastic-heun",
        "sra1",
        "sra3",
        "sosra",
        "sra1, clock = \"lambda\"",
        "sra3, clock = \"edm\"",
        "sosra, clock = \"lambda\"",
    ] {
        let mut last = f64::NAN;
        for steps in [16, 32, 64, 128, 256] {
            let grid = levels(&vp, "uniform-lambda, start = 1.0, end = 1e-2", steps);
            let start = std::time::Instant::now();
            let got = strong(text, &two_modes(), &vp, &grid, of(1000), Reference::Refined(16)).unwrap();
            let time = start.elapsed().as_secs_f64();
            println!(
                "{text} {steps}: {:.4e} +- {:.1e}, order {:.3}, reference {:.1e}, {time:.2} s",
                got.rmse.value,
                got.rmse.stderr,
                (last / got.rmse.value).log2(),
                got.reference_error
            );
            last = got.rmse.value;
        }
    }
}
