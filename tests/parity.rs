//! Our solvers against the exact output laws of shipped ones. `fixtures/README.md` says where the numbers come from,
//! `fixtures/solvers.txt` which solver of ours each configuration is, and which are none.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use scorebench::data::{Gaussian, Moments};
use scorebench::law::{Init, NoLaw, law};
use scorebench::run::Ctx;
use scorebench::schedule::{Level, Schedule};
use scorebench::solver::{Handle, Sample};
use scorebench::state::{Space, State};

/// Largest relative difference of a mean or a variance.
const SAME: f64 = 1e-9;

type Row = BTreeMap<String, String>;

fn rows(file: &str) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(format!("tests/fixtures/{file}.csv")).unwrap();
    let head: Vec<String> = reader.headers().unwrap().iter().map(String::from).collect();
    let row = |record: csv::StringRecord| head.iter().cloned().zip(record.iter().map(String::from)).collect();
    reader.records().map(|record| row(record.unwrap())).collect()
}

/// A shipped run: a configuration at one number of steps.
struct Shipped {
    id: u32,
    family: String,
    name: String,
    n: usize,
    nfe: usize,
    init_sigma: f64,
    schedule: Schedule,
    levels: Vec<Level>,
    /// (mean, variance) in and out, per mode.
    modes: Vec<[f64; 4]>,
}

/// Runs of a package, by `grids.csv`'s levels in the coordinates that each is run in.
fn shipped(package: &str) -> Vec<Shipped> {
    let grids: BTreeMap<String, Vec<f64>> = rows("grids")
        .into_iter()
        .map(|r| (r["grid"].clone(), r["values"].split(' ').map(|v| v.parse().unwrap()).collect()))
        .collect();
    let mut runs: Vec<Shipped> = Vec::new();
    for r in rows(package) {
        let number = |column: &str| r[column].parse::<f64>().unwrap();
        let mode = ["mode_mean", "mode_variance", "out_mean", "out_variance"].map(number);
        let (id, n) = (r["id"].parse().unwrap(), r["n"].parse().unwrap());
        if let Some(run) = runs.last_mut().filter(|run| (run.id, run.n) == (id, n)) {
            run.modes.push(mode);
            continue;
        }
        let kappa = &grids[&r["grid"]];
        let schedule = common::schedule(coordinates(&r, kappa[0]));
        let family = r.get("scheduler").or(r.get("sampler")).unwrap().clone();
        let name = format!("{package} {id} {family} {} n = {n}", r["options"]);
        let levels = kappa.iter().map(|k| schedule.at_kappa(*k)).collect();
        let (nfe, init_sigma) = (r["nfe"].parse().unwrap(), number("init_sigma"));
        runs.push(Shipped { id, family, name, n, nfe, init_sigma, schedule, levels, modes: vec![mode] });
    }
    runs
}

/// A schedule with the run's coordinates. Which one of several matters where a solver reads times: the table to PNDM's
/// half steps, the rate of noise to the reverse SDE's.
fn coordinates(r: &Row, first_kappa: f64) -> &'static str {
    let scaled = r["options"].contains("scaled_linear");
    match r.get("space").map_or("ve", String::as_str) {
        "ve" => "edm",
        "fm" => "flow",
        // alpha = 0 lies on no table of betas.
        _ if first_kappa.is_infinite() => "vp-cosine",
        _ if r["options"].contains("beta_max=10") => "vp-linear, beta_max = 10.0",
        _ if r["scheduler"] == "ScoreSdeVpScheduler" => "vp-linear",
        _ if scaled => "ddpm-discrete, beta = \"scaled-linear\", beta_start = 0.00085, beta_end = 0.012",
        _ => "ddpm-discrete",
    }
}

/// How a solver of ours is run to be a shipped one: see `solvers.txt`.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Plain,
    QuietEnd,
    Pairs,
    ToAndFro,
    Ends,
    Calls,
    Euler,
    Heun,
}

struct Run {
    way: Way,
    solver: Handle,
}

impl Run {
    fn parse(text: &str, n: usize) -> Self {
        let (way, solver) = text.split_once(": ").unwrap_or(("", text));
        let way = match way {
            "" => Way::Plain,
            "quiet end" => Way::QuietEnd,
            "pairs" => Way::Pairs,
            "to and fro" => Way::ToAndFro,
            "ends" => Way::Ends,
            "calls" => Way::Calls,
            "euler in v" => Way::Euler,
            "heun in v" => Way::Heun,
            other => panic!("no way `{other}` to run {text}"),
        };
        Run { way, solver: common::solver(&solver.replace("= short", &format!("= {}", n < 15))) }
    }

    /// The levels that our solver is handed.
    fn levels(&self, run: &Shipped) -> Vec<Level> {
        let (levels, steps) = (&run.levels, run.nfe);
        match self.way {
            // Three a step where the shipped steps go elsewhere, or the calls alone.
            Way::Calls if levels.len() == 3 * run.n => levels.iter().step_by(3).copied().collect(),
            Way::Ends => {
                let (a, b) = (levels[0].lambda(), levels[levels.len() - 1].lambda());
                let at = |i| run.schedule.at_lambda(a + (b - a) * i as f64 / steps as f64);
                (0..=steps).map(at).collect()
            }
            _ => levels.clone(),
        }
    }
}

impl Sample for Run {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        match self.way {
            Way::QuietEnd => {
                let turn = grid.len() - 2;
                let x = self.solver.sample(cx, &grid[..=turn], x);
                let (t, s) = (&grid[turn], &grid[turn + 1]);
                let d = cx.denoise(&x, t);
                // The mean of x_s given x_t and d.
                let (keep, b) = (t.alpha / s.alpha * (s.sigma / t.sigma).powi(2), t.variance_since(s));
                (keep * &x + s.alpha * b / t.sigma.powi(2) * &d).eval()
            }
            Way::Pairs => {
                for pair in grid.chunks(2) {
                    x = self.solver.sample(cx, pair, x);
                }
                x
            }
            Way::ToAndFro => {
                for step in grid.chunks(3) {
                    let (low, to) = (&step[1], &step[2]);
                    x = self.solver.sample(cx, &step[..2], x);
                    if to.kappa() > low.kappa() {
                        let z = cx.fresh(&x);
                        x = (to.alpha / low.alpha * &x + to.variance_since(low).sqrt() * &z).eval();
                    }
                }
                x
            }
            Way::Euler | Way::Heun => {
                x = first_in_v(cx, &grid[0], &grid[1], &x, self.way == Way::Heun);
                let turn = if self.way == Way::Heun { grid.len() - 2 } else { grid.len() - 1 };
                x = self.solver.sample(cx, &grid[1..=turn], x);
                common::solver("euler").sample(cx, &grid[turn..], x)
            }
            Way::Plain | Way::Ends | Way::Calls => self.solver.sample(cx, grid, x),
        }
    }
}

/// Euler's or Heun's step from `alpha = 0` for the velocity `dx/dsigma = eps - d` of a flow.
fn first_in_v<V: Space>(cx: &mut Ctx<V>, t: &Level, s: &Level, x: &State<V>, heun: bool) -> State<V> {
    assert_eq!((t.alpha, t.sigma), (0.0, 1.0)); // Where eps = x.
    let h = s.sigma - t.sigma;
    let d = cx.denoise(x, t);
    let euler = ((1.0 + h) * x - h * &d).eval();
    if !heun {
        return euler;
    }
    // x = (1 - sigma) d + sigma eps: eps - d = (x - d)/sigma.
    let d_s = cx.denoise(&euler, s);
    (x + 0.5 * h * (x - &d) + 0.5 * h / s.sigma * (&euler - &d_s)).eval()
}

/// Largest relative difference of our law from the shipped one: of means relative to the larger of mean and spread.
fn difference(shipped: &Shipped, text: &str) -> Result<(f64, usize), NoLaw> {
    let run = Run::parse(text, shipped.n);
    difference_on(shipped, &run, &run.levels(shipped))
}

fn difference_on(
    shipped: &Shipped,
    solver: &(impl Sample + Sync),
    levels: &[Level],
) -> Result<(f64, usize), NoLaw> {
    let column = |k: usize| shipped.modes.iter().map(|m| m[k]).collect::<Vec<f64>>();
    let data = Gaussian::new(column(0), column(1)).unwrap();
    let ours = law(solver, &data, &shipped.schedule, levels, Init::Marginal)?;
    let calls = ours.nfe;
    let start = Moments { mean: vec![0.0; data.modes()], std: vec![shipped.init_sigma; data.modes()] };
    let ours = ours.restarted(&data.marginal(&levels[0]), &start);
    let mut worst: f64 = 0.0;
    for (k, [_, _, mean, variance]) in shipped.modes.iter().enumerate() {
        let of_mean = (ours.mean[k] - mean).abs() / variance.sqrt().max(mean.abs());
        let of_variance = (ours.std[k].powi(2) - variance).abs() / variance;
        // (f64::max drops a NaN.)
        let off = if of_mean.is_nan() { f64::INFINITY } else { of_mean.max(of_variance) };
        worst = worst.max(off);
    }
    Ok((worst, calls))
}

/// A section of `solvers.txt`: solver and what differs, by configuration.
fn section(name: &str) -> BTreeMap<u32, (String, String)> {
    let text = std::fs::read_to_string("tests/fixtures/solvers.txt").unwrap();
    let (mut here, mut found) = (false, BTreeMap::new());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(head) = line.strip_prefix('[') {
            here = head.strip_suffix(']') == Some(name);
        } else if here {
            let mut cells = line.split(" | ");
            let (solver, ids) = (cells.next().unwrap(), cells.next().unwrap_or_else(|| panic!("{line}")));
            let why = cells.next().unwrap_or("");
            for id in ids.split(' ') {
                let before = found.insert(id.parse().expect(line), (solver.to_string(), why.to_string()));
                assert!(before.is_none(), "{name} {id} twice");
            }
        }
    }
    found
}

/// Every run of the listed configurations is ours: law and calls. Prints the worst difference by family.
fn are_ours(package: &str, configurations: usize) {
    let solvers = section(package);
    let (mut worst, mut wrong) = (BTreeMap::<String, (f64, String)>::new(), Vec::new());
    for run in shipped(package) {
        let Some((text, _)) = solvers.get(&run.id) else { continue };
        let (off, calls) = match difference(&run, text) {
            Ok(found) => found,
            Err(why) => {
                wrong.push(format!("{}: {text}: {why}", run.name));
                continue;
            }
        };
        if calls != run.nfe {
            wrong.push(format!("{}: {text}: {calls} calls for {}", run.name, run.nfe));
        }
        if off >= SAME {
            wrong.push(format!("{}: {text}: off by {off:.1e}", run.name));
        }
        let entry = worst.entry(run.family.clone()).or_default();
        if off >= entry.0 {
            *entry = (off, run.name);
        }
    }
    for (family, (off, name)) in &worst {
        println!("{family:35} {off:.1e}  {name}");
    }
    assert!(wrong.is_empty(), "{} runs:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(solvers.len(), configurations, "configurations of {package}");
}

#[test]
fn k_diffusion_samplers_are_our_solvers() {
    are_ours("kdiffusion", 132);
}

#[test]
fn diffusers_schedulers_are_our_solvers() {
    are_ours("diffusers", 279);
}

#[test]
fn what_is_listed_as_different_differs() {
    let different = section("different: diffusers");
    for run in shipped("diffusers") {
        let Some((text, why)) = different.get(&run.id) else { continue };
        let (off, _) = difference(&run, text).unwrap_or_else(|e| panic!("{}: {text}: {e}", run.name));
        println!("{off:.1e} {}: {why}", run.name);
        assert!(off > 1e-4, "{} is {text} after all: {off:.1e}", run.name);
    }
}

/// Shipped steps that differ from ours, written out.
enum Told {
    /// `S_churn`, `S_min`, `S_max`, `S_noise`, and whether the network's output is kept rather than eps.
    LateChurn([f64; 4], bool),
    /// Levels in threes: of the call, and of the two ends of the step.
    ScoreSdeVe,
    /// Levels of the calls.
    ScoreSdeVp,
}

impl Told {
    fn of(id: u32) -> Option<Self> {
        let (all, some) = ([0.0, f64::INFINITY, 1.0], [0.05, 50.0, 1.003]);
        let churn = |s_churn, [min, max, noise]: [f64; 3], edm| {
            Some(Told::LateChurn([s_churn, min, max, noise], edm))
        };
        match id {
            12 => churn(2.0, all, false),
            145 => churn(2.0, some, false),
            146 => churn(40.0, all, false),
            382 => churn(2.0, all, true),
            383 => churn(40.0, some, true),
            52 | 460 | 461 => Some(Told::ScoreSdeVe),
            53 | 462 | 463 => Some(Told::ScoreSdeVp),
            _ => None,
        }
    }
}

impl Sample for Told {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        match self {
            Told::LateChurn([s_churn, min, max, noise], edm) => {
                let steps = grid.len() - 1;
                for pair in grid.windows(2) {
                    let (k, to) = (pair[0].sigma, pair[1].sigma);
                    let gamma = (s_churn / steps as f64).min(2f64.sqrt() - 1.0);
                    let up = if (*min..=*max).contains(&k) { k * (1.0 + gamma) } else { k };
                    let d = cx.denoise(&x, &pair[0]);
                    let z = cx.fresh(&x);
                    let raised = (&x + noise * (up * up - k * k).sqrt() * &z).eval();
                    let eps = if *edm {
                        // d = c_skip x + c_out F with sigma_data = 1/2 (Karras et al. 2022, table 1).
                        let (skip, out) = (|k: f64| 0.25 / (k * k + 0.25), |k: f64| 0.5 * k / k.hypot(0.5));
                        let f = ((&d - skip(k) * &x) / out(k)).eval();
                        ((&raised - skip(up) * &raised - out(up) * &f) / up).eval()
                    } else {
                        ((&x - &d) / k).eval()
                    };
                    x = (&raised + (to - up) * &eps).eval();
                }
            }
            Told::ScoreSdeVe => {
                for (i, step) in grid.chunks(3).enumerate() {
                    let score = cx.score(&x, &step[0]);
                    let g2 = step[1].sigma.powi(2) - step[2].sigma.powi(2);
                    let z = cx.fresh(&x);
                    let last = 3 * (i + 1) == grid.len();
                    x = (&x + g2 * &score).plus(if last { 0.0 } else { g2.sqrt() }, Some(&z)).eval();
                }
            }
            Told::ScoreSdeVp => {
                for (i, at) in grid.iter().enumerate() {
                    let score = cx.score(&x, at);
                    let b = at.g2 / grid.len() as f64;
                    let z = cx.fresh(&x);
                    let last = i + 1 == grid.len();
                    let mean = (1.0 + 0.5 * b) * &x + b * &score;
                    x = mean.plus(if last { 0.0 } else { b.sqrt() }, Some(&z)).eval();
                }
            }
        }
        x
    }
}

#[test]
fn late_churn_and_the_steps_of_score_sde_differ_by_what_is_said_of_them() {
    let mut configurations = BTreeSet::new();
    for run in shipped("diffusers") {
        let Some(told) = Told::of(run.id) else { continue };
        let (off, calls) = difference_on(&run, &told, &run.levels).unwrap();
        assert_eq!(calls, run.nfe, "{}", run.name);
        assert!(off < SAME, "{}: off by {off:.1e}", run.name);
        configurations.insert(run.id);
    }
    assert_eq!(configurations.len(), 11);
}

#[test]
fn every_shipped_configuration_is_ours_or_differs_for_a_stated_reason() {
    for package in ["diffusers", "kdiffusion"] {
        let (same, different) = (section(package), section(&format!("different: {package}")));
        assert!(different.values().all(|(_, why)| !why.is_empty()));
        let listed: BTreeSet<u32> = same.keys().chain(different.keys()).copied().collect();
        assert_eq!(listed.len(), same.len() + different.len(), "{package}: both same and different");
        let ran: BTreeSet<u32> = rows(package).iter().map(|r| r["id"].parse().unwrap()).collect();
        assert_eq!(listed, ran, "{package}");
    }
}
