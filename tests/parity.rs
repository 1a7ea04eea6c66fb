//! Our solvers against the exact output laws of shipped ones: `fixtures/README.md` says where the numbers come from.

use scorebench::data::{Gaussian, Moments};
use scorebench::grid::{DiscreteFinal, Grid, KarrasFinal, Spacing};
use scorebench::law::{Init, law};
use scorebench::run::Ctx;
use scorebench::schedule::{Clock, Level, Schedule, Table, TableParameters};
use scorebench::solver::ddim::Ddim;
use scorebench::solver::ddpm::{Ddpm, Variance};
use scorebench::solver::dpmpp_2m::DpmPp2m;
use scorebench::solver::runge_kutta::{Euler, Heun};
use scorebench::solver::{Handle, Sample};
use scorebench::state::{Space, State};

/// A shipped run: configuration, number of steps asked for, calls, start, and (mean, variance) in and out per mode.
struct Shipped {
    id: String,
    name: String,
    n: usize,
    nfe: usize,
    init_sigma: f64,
    modes: Vec<[f64; 4]>,
}

fn shipped(file: &str) -> Vec<Shipped> {
    let mut runs: Vec<Shipped> = Vec::new();
    let mut reader = csv::Reader::from_path(format!("tests/fixtures/{file}.csv")).unwrap();
    let head = reader.headers().unwrap().clone();
    for row in reader.records().map(Result::unwrap) {
        let cell = |name: &str| head.iter().position(|h| h == name).map(|k| row[k].to_string());
        let number = |name: &str| cell(name).map(|c| c.parse::<f64>().unwrap());
        let (id, n) = (cell("id").unwrap(), number("n").unwrap() as usize);
        if runs.last().is_none_or(|r| (&r.id, r.n) != (&id, n)) {
            let name = cell("sampler").or(cell("scheduler")).unwrap();
            let name = format!("{name} {} {}", cell("options").unwrap(), cell("final").unwrap_or_default());
            let (nfe, init_sigma) = (number("nfe").unwrap() as usize, number("init_sigma").unwrap_or(80.0));
            runs.push(Shipped { id, name, n, nfe, init_sigma, modes: Vec::new() });
        }
        let mode = ["mode_mean", "mode_variance", "out_mean", "out_variance"].map(|c| number(c).unwrap());
        runs.last_mut().unwrap().modes.push(mode);
    }
    runs
}

/// Largest relative difference of our law from the shipped one.
fn difference(run: &Shipped, solver: &(impl Sample + Sync), schedule: &Schedule, grid: &[Level]) -> f64 {
    let column = |k: usize| run.modes.iter().map(|m| m[k]).collect::<Vec<f64>>();
    let data = Gaussian::new(column(0), column(1)).unwrap();
    let ours = law(solver, &data, schedule, grid, Init::Marginal).unwrap();
    assert_eq!(ours.nfe, run.nfe, "{} n = {}", run.name, run.n);
    let start = Moments { mean: vec![0.0; data.modes()], std: vec![run.init_sigma; data.modes()] };
    let ours = ours.restarted(&data.marginal(&grid[0]), &start);
    let relative = |a: f64, b: f64, size: f64| (a - b).abs() / size;
    let mode = |k: usize| {
        let [_, _, mean, variance] = run.modes[k];
        relative(ours.mean[k], mean, variance.sqrt().max(mean.abs())).max(relative(
            ours.std[k].powi(2),
            variance,
            variance,
        ))
    };
    (0..run.modes.len()).map(mode).fold(0.0, f64::max)
}

#[test]
fn k_diffusion_samplers_are_our_solvers() {
    let mut configurations = std::collections::BTreeSet::new();
    for run in shipped("kdiffusion") {
        let zero = run.name.ends_with("zero");
        let last = if zero { KarrasFinal::Zero } else { KarrasFinal::SigmaMin };
        let rule = Grid::Karras { rho: 7.0, sigma_max: 80.0, sigma_min: 0.002, last };
        // n sigmas, and a step to 0 where 0 is appended.
        let grid = rule.levels(&Schedule::Edm {}, Some(if zero { run.n } else { run.n - 1 })).unwrap();
        let heun = Heun { clock: Clock::Edm, ..Heun::default() };
        let solver = match run.id.as_str() {
            "1" | "2" => Handle::new(Euler { clock: Clock::Edm, ..Euler::default() }),
            "10" => Handle::new(heun),
            "11" => Handle::new(Heun { s_churn: 4.0, ..heun }),
            "13" | "14" => {
                Handle::new(Heun { s_churn: 40.0, s_min: 0.05, s_max: 50.0, s_noise: 1.003, ..heun })
            }
            "40" => Handle::new(DpmPp2m::default()),
            other => panic!("no solver for configuration {other}"),
        };
        let off = difference(&run, &solver, &Schedule::Edm {}, &grid);
        assert!(off < 1e-8, "{} n = {}: off by {off:e}", run.name, run.n);
        configurations.insert(run.id);
    }
    assert_eq!(configurations.len(), 7);
}

/// diffusers' DDPM adds no noise in its last step; ours adds the variance that it is asked for.
struct QuietEnd;

impl Sample for QuietEnd {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
        let turn = grid.len() - 2;
        let x = Ddpm { variance: Variance::FixedLarge }.sample(cx, &grid[..=turn], x);
        Ddim { eta: 0.0 }.sample(cx, &grid[turn..], x)
    }
}

#[test]
fn diffusers_schedulers_are_our_solvers() {
    let table = Schedule::DdpmDiscrete(Table::try_from(TableParameters::default()).unwrap());
    let kappa = |i: usize| table.at(i as f64).kappa();
    let mut configurations = std::collections::BTreeSet::new();
    for run in shipped("diffusers") {
        let n = run.n;
        let leading = Grid::Discrete { spacing: Spacing::Leading, offset: 0, last: DiscreteFinal::Zero };
        let leading = || leading.levels(&table, Some(n)).unwrap();
        // DPMSolverMultistep: n + 1 points over the table, the last of which is dropped for clean data.
        let multistep = || {
            let mut t: Vec<f64> =
                (1..=n).map(|i| (999.0 * i as f64 / n as f64).round_ties_even()).rev().collect();
            t.push(-1.0);
            Grid::Explicit { t: Some(t), lambda: None, sigma: None }.levels(&table, None).unwrap()
        };
        // The Euler family works in x/alpha on its own sigmas, then 0.
        let explicit = |mut sigma: Vec<f64>| {
            sigma.push(0.0);
            Grid::Explicit { t: None, lambda: None, sigma: Some(sigma) }
                .levels(&Schedule::Edm {}, None)
                .unwrap()
        };
        // numpy.linspace(0, 999, n) reversed, sigma interpolated linearly between entries.
        let linspace = || {
            let between = |t: f64| {
                let below = (t.floor() as usize).min(998);
                kappa(below) + (t - below as f64) * (kappa(below + 1) - kappa(below))
            };
            explicit((0..n).rev().map(|i| between(999.0 * i as f64 / (n as f64 - 1.0))).collect())
        };
        let spaced = |spacing: Spacing| {
            let rule = Grid::Discrete { spacing, offset: 0, last: DiscreteFinal::Zero };
            let levels = rule.levels(&table, Some(n)).unwrap();
            explicit(levels[..n].iter().map(Level::kappa).collect())
        };
        let karras = || {
            let last = KarrasFinal::Zero;
            Grid::Karras { rho: 7.0, sigma_max: 80.0, sigma_min: 0.002, last }
                .levels(&Schedule::Edm {}, Some(n))
                .unwrap()
        };
        let euler = Euler { clock: Clock::Edm, ..Euler::default() };
        let heun = Heun { clock: Clock::Edm, ..Heun::default() };
        let edm = Schedule::Edm {};
        let off = match run.id.as_str() {
            "1" => difference(&run, &Ddpm::default(), &table, &leading()),
            "2" => difference(&run, &QuietEnd, &table, &leading()),
            "4" => difference(&run, &Ddim { eta: 0.0 }, &table, &leading()),
            "5" => difference(&run, &Ddim { eta: 1.0 }, &table, &leading()),
            "8" => difference(&run, &euler, &edm, &linspace()),
            "10" => difference(&run, &euler, &edm, &spaced(Spacing::Trailing)),
            "11" => difference(&run, &euler, &edm, &spaced(Spacing::Leading)),
            "14" => difference(&run, &heun, &edm, &linspace()),
            "16" => difference(&run, &Ddim { eta: 0.0 }, &table, &multistep()),
            "17" => difference(&run, &DpmPp2m::default(), &table, &multistep()),
            "25" => difference(&run, &Ddpm::default(), &table, &multistep()),
            "43" => difference(&run, &euler, &edm, &karras()),
            "44" => difference(&run, &DpmPp2m::default(), &edm, &karras()),
            other => panic!("no solver for configuration {other}"),
        };
        assert!(off < 1e-8, "{} {} n = {n}: off by {off:e}", run.id, run.name);
        configurations.insert(run.id);
    }
    assert_eq!(configurations.len(), 13);
}
