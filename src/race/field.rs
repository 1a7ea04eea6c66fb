//! What is raced on: preset problems, or the data, schedules and grids of experiment files.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Options;
use crate::config::{self, suggest};
use crate::error::{BadInput, Result};
use crate::experiment::{Experiment, Size};
use crate::schedule::Schedule;
use crate::solver::Handle;
use crate::suite::{self, Kind, Problem};

/// Names of preset fields, each with a one-line description.
pub const PRESETS: &[(&str, &str)] = &[
    ("standard", "five spectra (exact laws), five mixtures and the digits"),
    ("spectra", "the five spectra"),
    ("mixtures", "the five mixtures"),
    ("digits", "the digits"),
    ("quick", "two spectra and a mixture, on fewer samples"),
];

/// Batches that samples are cut into, to know errors by.
pub(super) const BATCHES: u64 = 8;
/// Samples of a sampled problem.
const SAMPLES: u64 = 4096;
/// Where seconds count.
const QUICK: (&[&str], u64) = (&["five-modes", "natural-images", "ring"], 512);
/// An image costs that many times what a point of a mixture does, and has as many more coordinates to learn from.
const IMAGE_SHARE: u64 = 8;
/// Laws are told apart only on more samples than paths are; on mixtures these are cheap.
const NOISY_SHARE: u64 = 4;
/// Model calls.
const CALLS: [usize; 7] = [5, 7, 10, 14, 20, 28, 40];

/// Errors of exact laws that solvers can be compared by.
pub const EXACT: &[&str] = &["w2", "kl", "mean_error", "cov_error"];
/// Errors on samples that solvers can be compared by.
pub const SAMPLED: &[&str] = &[
    "rmse",
    "median_error",
    "sliced_w2",
    "sliced_w1",
    "energy",
    "mmd",
    "frechet",
    "frechet_features",
    "mean_error",
    "cov_error",
];
/// Those that only methods without noise have.
const SILENT: &[&str] = &["rmse", "median_error"];

/// One experiment of the race: all solvers that are defined there, on data that are all exact or all sampled.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub experiment: Experiment,
    pub metric: String,
    /// Of a preset problem.
    pub kind: Option<Kind>,
    /// Calls at which solvers are compared; all that they have where it is not known.
    pub calls: Option<Vec<usize>>,
}

/// The courses, and what was left out, in words.
pub(super) type Field = (Vec<Course>, Vec<String>);

/// Who races; the first is the new solver.
pub(super) struct Racers<'a>(pub &'a [Handle]);

impl Racers<'_> {
    fn noisy(&self) -> Option<&Handle> {
        self.0.iter().find(|s| s.equation() != Some(0.0) || s.draws(8) > 0)
    }

    /// The error to compare by.
    fn metric(&self, sampled: bool, options: &Options) -> Result<String> {
        let known = if sampled { SAMPLED } else { EXACT };
        let wanted = options.rank_by.iter().find(|m| known.contains(&m.as_str()));
        match (wanted, self.noisy()) {
            (Some(metric), Some(noisy)) if sampled && SILENT.contains(&metric.as_str()) => {
                let why =
                    format!("is none of {}, which draws noise or follows another equation", noisy.label());
                Err(BadInput::new("--rank-by", metric, why, "compare laws: sliced_w2 or energy"))
            }
            (Some(metric), _) => Ok(metric.clone()),
            (None, _) if !sampled => Ok("w2".into()),
            (None, None) => Ok("rmse".into()),
            (None, Some(_)) => Ok("sliced_w2".into()),
        }
    }

    /// An experiment of those that are defined there, if the new solver and another are.
    fn on(
        &self,
        name: &str,
        build: impl Fn(&[Table]) -> Result<Experiment>,
        left_out: &mut Vec<String>,
    ) -> Result<Option<Experiment>> {
        let mut running: Vec<&Handle> = self.0.iter().collect();
        loop {
            let tables: Vec<Table> = running.iter().map(|s| s.table()).collect();
            let refused = match build(&tables) {
                Ok(experiment) => return Ok(Some(experiment)),
                Err(refused) => refused,
            };
            // Their parameters are checked: what is wrong with a solver is that it does not go with the problem.
            let Some(k) = entry(refused.key()).filter(|k| *k < running.len()) else { return Err(refused) };
            let solver = running.remove(k);
            left_out.push(format!("{name} without {}: {refused}", solver.label()));
            if running.len() < 2 || running[0].label() != self.0[0].label() {
                left_out.push(format!("{name}: no race is left"));
                return Ok(None);
            }
        }
    }
}

/// The index in `solver[2]` or `solver[2].steps`.
fn entry(key: &str) -> Option<usize> {
    key.strip_prefix("solver[")?.split_once(']')?.0.parse().ok()
}

/// A preset by its name.
pub(super) fn preset(name: &str, racers: &Racers, options: &Options) -> Result<Field> {
    let known: Vec<&str> = PRESETS.iter().map(|p| p.0).collect();
    let of = |p: &Problem| match name {
        "spectra" => p.kind == Kind::Spectrum,
        "mixtures" => p.kind == Kind::Mixture,
        "digits" => p.kind == Kind::Images,
        "quick" => QUICK.0.contains(&p.name.as_str()),
        _ => true,
    };
    if !known.contains(&name) {
        let fix = format!("give a folder of experiments, or a preset: {}", suggest(name, &known));
        return Err(BadInput::new("--on", name, "is neither", fix));
    }
    let default = if name == "quick" { QUICK.1 } else { SAMPLES };
    let noisy = if racers.noisy().is_some() { NOISY_SHARE } else { 1 };
    let samples = |kind: Kind| match kind {
        Kind::Images => options.samples.unwrap_or(default) / IMAGE_SHARE,
        _ => options.samples.unwrap_or(default * noisy),
    };
    let calls = options.calls.clone().unwrap_or(CALLS.to_vec());
    let (mut courses, mut left_out) = (Vec::new(), Vec::new());
    for problem in suite::standard().iter().filter(|p| of(p)) {
        let sampled = problem.kind != Kind::Spectrum;
        let metric = racers.metric(sampled, options)?;
        let mut rest = Table::new();
        if sampled {
            let mode = batches(&Table::new(), samples(problem.kind), options.seed.unwrap_or(1));
            rest.insert("mode".into(), mode);
            rest.insert("metrics".into(), Value::Array(vec![metric.clone().into()]));
        }
        let grid = grid(problem, &options.grid, &calls)?;
        let build = |solvers: &[Table]| problem.experiment(solvers, std::slice::from_ref(&grid), &rest);
        if let Some(experiment) = racers.on(&problem.name, build, &mut left_out)? {
            courses.push(Course { experiment, metric, kind: Some(problem.kind), calls: Some(calls.clone()) });
        }
    }
    Ok((courses, left_out))
}

/// The rule between a problem's ends.
fn grid(problem: &Problem, name: &str, calls: &[usize]) -> Result<Table> {
    let mut grid = Table::from_iter([("name".to_string(), name.into())]);
    let calls = calls.iter().map(|c| Value::Integer(*c as i64));
    grid.insert("calls".into(), calls.collect::<Vec<_>>().into());
    if name == "karras" {
        let known: Vec<&str> = Schedule::LIST.iter().map(|s| s.0).collect();
        let schedule: Schedule = config::read_named(problem.schedule.clone().into(), &known)?;
        for (key, t) in [("sigma_max", problem.start), ("sigma_min", problem.end)] {
            grid.insert(key.into(), schedule.at(t).kappa().into());
        }
    }
    Ok(grid)
}

/// The experiments of a folder (or one file), with their solvers replaced.
pub(super) fn folder(path: &Path, racers: &Racers, options: &Options) -> Result<Field> {
    let (mut courses, mut left_out) = (Vec::new(), Vec::new());
    for file in files(path)? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let Ok(mut table) = text.parse::<Table>() else {
            // Says what is wrong with it.
            return Err(Experiment::load(&file, &[], Size::Full)
                .err()
                .unwrap_or_else(|| BadInput::about("", "cannot be read", "").file(&file)));
        };
        let sampled = stripped(&mut table, options).map_err(|e| e.file(&file))?;
        let metric = racers.metric(sampled, options)?;
        if sampled {
            table.insert("metrics".into(), Value::Array(vec![metric.clone().into()]));
        }
        let calls = ladder(&table);
        let build = |solvers: &[Table]| {
            let solvers: Vec<Value> = solvers.iter().cloned().map(Value::Table).collect();
            let mut table = table.clone();
            table.insert("solver".into(), solvers.into());
            Experiment::parse(&name, &table.to_string(), file.parent().unwrap_or(Path::new(".")))
        };
        if let Some(experiment) = racers.on(&name, build, &mut left_out).map_err(|e| e.file(&file))? {
            courses.push(Course { experiment, metric, kind: None, calls });
        }
    }
    Ok((courses, left_out))
}

/// Experiments by their names.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.into()]);
    }
    let refused = |why: String| {
        BadInput::about("--on", why, "give a folder of experiments in TOML, or a preset").file(path)
    };
    let entries = std::fs::read_dir(path).map_err(|e| refused(format!("cannot be read: {e}")))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "toml"));
    files.sort();
    if files.is_empty() { Err(refused("holds no experiment".into())) } else { Ok(files) }
}

/// Takes out what belongs to the experiment's own solvers, and puts in what the options say; whether it runs on samples.
fn stripped(table: &mut Table, options: &Options) -> Result<bool> {
    for key in ["solver", "catalogue", "expect", "reach", "rank", "figure", "metrics", "quick"] {
        table.remove(key);
    }
    table.entry("question").or_insert("Which solver is the best?".into());
    if let (Some(calls), Some(grids)) = (&options.calls, table.get_mut("grid")) {
        let calls: Vec<Value> = calls.iter().map(|c| Value::Integer(*c as i64)).collect();
        for grid in each(grids).filter(|g| g.get("name").and_then(Value::as_str) != Some("explicit")) {
            grid.remove("steps");
            grid.insert("calls".into(), calls.clone().into());
        }
    }
    let mut modes = Vec::new();
    let mut sampled = false;
    for mode in table.get_mut("mode").into_iter().flat_map(each) {
        let Some(Value::Table(own)) = mode.get("monte-carlo").filter(|_| mode.len() == 1) else {
            // An experiment says what is wrong with it.
            modes.push(Value::Table(mode.clone()));
            continue;
        };
        let count = |key: &str, given: Option<u64>, default: u64| match (given, own.get(key)) {
            (Some(n), _) => Ok(n),
            (None, None) => Ok(default),
            (None, Some(v)) => v.as_integer().and_then(|n| u64::try_from(n).ok()).ok_or_else(|| {
                let key = format!("mode.monte-carlo.{key}");
                BadInput::about(
                    &key,
                    format!("is {v}, which is no count"),
                    "give a whole number of at least 0",
                )
            }),
        };
        let (samples, seed) = (count("samples", options.samples, 10_000)?, count("seed", options.seed, 1)?);
        super::check_samples("mode.monte-carlo", samples, seed)?;
        let Value::Array(list) = batches(own, samples, seed) else { continue };
        modes.extend(list);
        sampled = true;
    }
    if sampled {
        table.insert("mode".into(), modes.into());
    }
    Ok(sampled)
}

/// The tables in a table or a list of them.
fn each(value: &mut Value) -> impl Iterator<Item = &mut Table> {
    let all: Vec<&mut Table> = match value {
        Value::Array(list) => list.iter_mut().filter_map(Value::as_table_mut).collect(),
        one => one.as_table_mut().into_iter().collect(),
    };
    all.into_iter()
}

/// The calls at which all grids have runs, where they have the same.
fn ladder(table: &Table) -> Option<Vec<usize>> {
    let mut grids = table.get("grid")?.clone();
    let mut all: Vec<Option<Vec<usize>>> = each(&mut grids)
        .map(|g| {
            let list = g.get("calls")?.as_array()?;
            list.iter().map(|c| usize::try_from(c.as_integer()?).ok()).collect()
        })
        .collect();
    all.dedup();
    if all.len() == 1 { all.remove(0) } else { None }
}

/// So many samples as batches, each with a seed that no other seed's batches have.
fn batches(own: &Table, samples: u64, seed: u64) -> Value {
    let batch = |k: u64| {
        let mut sampling = own.clone();
        sampling.insert("samples".into(), Value::Integer((samples / BATCHES) as i64));
        sampling.insert("seed".into(), Value::Integer((seed * BATCHES + k) as i64));
        Value::Table(Table::from_iter([("monte-carlo".to_string(), sampling.into())]))
    };
    Value::Array((0..BATCHES).map(batch).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_solver_that_a_complaint_is_about_is_read_from_its_key() {
        let keys = ["solver[0]", "solver[12].steps", "solver", "grid[1]", "solver[x]"];
        assert_eq!(keys.map(entry), [Some(0), Some(12), None, None, None]);
    }

    #[test]
    fn seeds_share_no_batch() {
        let seeds = |seed| {
            let Value::Array(list) = batches(&Table::new(), 80, seed) else { unreachable!() };
            let seed = |mode: &Value| mode["monte-carlo"]["seed"].as_integer();
            list.iter().map(seed).collect::<Vec<_>>()
        };
        assert!(seeds(1).iter().all(|s| !seeds(2).contains(s)) && seeds(1).len() == 8);
    }
}
