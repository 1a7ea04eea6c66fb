//! How often does `scorebench compare` call unchanged code worse or better, and how small a fault does it see?
//!
//!     cargo run --release --example false_alarms -- [RUNS] [SAMPLES] [DATA]
//!
//! A small experiment (three solvers, three step counts, nearly every metric) is run RUNS times on new seeds and compared with the
//! run before it: nothing changed, so whatever is called a regression or an improvement is a false alarm. The share of
//! comparisons with any is to be at most the rate that is claimed. Then DDIM with one coefficient 1 % off takes DDIM's place.

use std::path::Path;

use scorebench::compare::{Class, Comparison, Options, Tables, compare};
use scorebench::error::{BadInput, Result};
use scorebench::experiment::Experiment;
use scorebench::record::{SampledRow, to_csv};
use scorebench::run::Ctx;
use scorebench::runner;
use scorebench::schedule::Level;
use scorebench::solver::Sample;
use scorebench::solver::outside::Claims;
use scorebench::solver::registry::{self, Entry};
use scorebench::state::{Space, State};

/// DDIM whose coefficient of eps is `factor` times what it should be.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Spoiled {
    factor: f64,
}

impl Default for Spoiled {
    fn default() -> Self {
        Spoiled { factor: 1.01 }
    }
}

impl Sample for Spoiled {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            let eps = cx.eps(&x, t);
            let step = self.factor * s.alpha * (s.kappa() - t.kappa());
            x = (s.alpha / t.alpha * &x + step * &eps).eval();
        }
        x
    }
}

/// (All but `strong_error`, which takes a hundred times as long and is a root mean square as `rmse` is.)
const METRICS: &str = r#"["rmse", "median_error", "nll_bits", "sliced_w2", "sliced_w1", "frechet", "energy", "mmd", "ks",
    "kl", "mean_error", "cov_error", "fourth_error", "mode_weights"]"#;

/// The tables of a run, in a folder of their own.
fn run(data: &str, solvers: &[&str], metrics: &str, samples: u64, seed: u64) -> Result<Tables> {
    let solvers: Vec<String> = solvers.iter().map(|name| format!("{{ name = \"{name}\" }}")).collect();
    let text = format!(
        "question = \"\"\ndata = {{ name = \"{data}\" }}\nschedule = {{ name = \"vp-linear\" }}\n\
         grid = {{ name = \"uniform-lambda\", start = 1.0, end = 1e-2, steps = [6, 12, 24] }}\n\
         mode = {{ monte-carlo = {{ samples = {samples}, seed = {seed} }} }}\nmetrics = {metrics}\nsolver = [{}]\n",
        solvers.join(", ")
    );
    let experiment = Experiment::parse("alarms", &text, Path::new("."))?;
    let refused = |e: std::io::Error| BadInput::about("", format!("cannot be written: {e}"), "");
    let mut results = runner::run(&experiment, None, &|| ()).map_err(refused)?;
    let mut rows = results.rows();
    // What is spoiled says that it is DDIM.
    rows.iter_mut().filter(|r| r.solver == "spoiled").for_each(|r| r.solver = "ddim".into());
    results.orders.iter_mut().filter(|r| r.solver == "spoiled").for_each(|r| r.solver = "ddim".into());
    let folder = tempfile::tempdir().map_err(refused)?;
    let sampled = to_csv(&rows.iter().flat_map(SampledRow::of).collect::<Vec<_>>());
    std::fs::write(folder.path().join("sampled.csv"), sampled).map_err(refused)?;
    std::fs::write(folder.path().join("orders.csv"), to_csv(&results.orders)).map_err(refused)?;
    Tables::read(&folder.path().display().to_string(), &Options::default())
}

/// Whether anything was called worse or better.
fn alarmed(found: &Comparison) -> bool {
    found.count(Class::Regression) + found.count(Class::Improvement) > 0
}

/// Whether a test rejects on one side only: what would be a regression if tests were not compared with each other.
fn test_turned(found: &Comparison) -> bool {
    let mut all = found.differences.iter().flat_map(|d| &d.changes);
    all.any(|c| c.column == "p_value" && c.reason.contains("the test rejects"))
}

/// A share and the 95 % interval of what it is of (Wilson 1927), in per cent.
fn share(hits: usize, of: usize) -> String {
    let (n, p, z) = (of as f64, hits as f64 / of as f64, 1.96);
    let (middle, half) = ((p + z * z / (2.0 * n)), z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt());
    let scale = 100.0 / (1.0 + z * z / n);
    format!(
        "{:5.2} % [{:.2}, {:.2}] ({hits} of {of})",
        100.0 * p,
        scale * (middle - half),
        scale * (middle + half)
    )
}

const SOLVERS: &[&str] = &["ddim", "heun", "ddpm"];

fn false_alarms(data: &str, runs: u64, samples: u64) -> Result<()> {
    const RATES: [f64; 3] = [0.2, 0.05, 0.01];
    let mut alarms = [[0; 3]; 2];
    let (mut turned, mut numbers, mut seen) = (0, 0, std::collections::BTreeMap::<String, usize>::new());
    let mut before = run(data, SOLVERS, METRICS, samples, 0)?;
    for seed in 1..=runs {
        let after = run(data, SOLVERS, METRICS, samples, seed)?;
        let fewer = run(data, SOLVERS, METRICS, samples / 4, seed + 1_000_000)?;
        for (k, new) in [&after, &fewer].into_iter().enumerate() {
            for (r, false_alarm) in RATES.into_iter().enumerate() {
                let found = compare(&before, new, &Options { false_alarm, ..Options::default() })?;
                alarms[k][r] += usize::from(alarmed(&found));
                if k == 0 && r == 2 {
                    turned += usize::from(test_turned(&found));
                    numbers = found.chance.map_or(0, |c| c.numbers);
                }
                let bad = |d: &&scorebench::compare::Difference| {
                    r == 0 && matches!(d.class, Class::Regression | Class::Improvement)
                };
                for d in found.differences.iter().filter(bad) {
                    let metric = d.key.iter().find(|(n, _)| *n == "metric").map_or("", |(_, m)| m.as_str());
                    let size = if k == 0 { "as many" } else { "a quarter" };
                    *seen.entry(format!("{size}: {} {metric} {}", d.table.name(), d.column)).or_default() +=
                        1;
                }
            }
        }
        before = after;
    }
    let of = runs as usize;
    println!("{data}, {samples} samples, {numbers} numbers judged, {runs} comparisons on new seeds");
    for (k, size) in ["as many samples", "a quarter of the samples"].iter().enumerate() {
        for (r, rate) in RATES.iter().enumerate() {
            println!(
                "  {size}: claimed at most {:4.1} %, measured {}",
                100.0 * rate,
                share(alarms[k][r], of)
            );
        }
    }
    println!("  a test rejects on one side only (reported as changed): {}", share(turned, of));
    println!("  false alarms at 20 %, by metric: {seen:?}");
    Ok(())
}

fn power(data: &str, runs: u64) -> Result<()> {
    const SHARP: &str = r#"["rmse", "median_error", "sliced_w2", "mean_error", "cov_error", "energy"]"#;
    println!("{data}: DDIM with one coefficient 1 % off, seen in so many of {runs} comparisons");
    println!("  samples  other seeds  same seeds: worse  changed or worse");
    for samples in [64, 125, 250, 500, 1000, 4000] {
        let mut hits = [0; 3];
        for seed in 0..runs {
            let right = run(data, &["ddim"], SHARP, samples, 2 * seed)?;
            let [other, same] =
                [2 * seed + 1, 2 * seed].map(|seed| run(data, &["spoiled"], SHARP, samples, seed));
            let (other, same) = (other?, same?);
            let options = Options::default();
            let (other, same) = (compare(&right, &other, &options)?, compare(&right, &same, &options)?);
            hits[0] += usize::from(other.count(Class::Regression) > 0);
            hits[1] += usize::from(same.count(Class::Regression) > 0);
            hits[2] += usize::from(same.count(Class::Regression) + same.count(Class::Changed) > 0);
        }
        println!("  {samples:7}  {:11}  {:17}  {:16}", hits[0], hits[1], hits[2]);
    }
    Ok(())
}

fn main() -> Result<()> {
    registry::add(Entry::named::<Spoiled>("spoiled", Claims::order(1.0).of_ode()))?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |k: usize, default: u64| words.get(k).and_then(|w| w.parse().ok()).unwrap_or(default);
    let data = words.get(2).map_or("two-mode", String::as_str);
    let runs = number(0, 1000);
    if runs > 0 {
        false_alarms(data, runs, number(1, 500))?;
    }
    power(data, 20)
}
