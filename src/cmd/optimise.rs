//! `scorebench optimise`: the levels at which a sampler errs least, and what they are worth on other data.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::Value;

use super::certify::from_label;
use super::{Status, aligned, print, print_json, program, say};
use crate::config;
use crate::error::{BadInput, Result};
use crate::optimise::compare::{self, Found, GRIDS, Score};
use crate::optimise::source::{self, Frame};
use crate::optimise::write::{self, MARK};
use crate::optimise::{Objective, Optimum, Problem, Search};
use crate::parallel;
use crate::record::write_atomically;
use crate::solver::{Handle, registry};

/// Both ends of the grid are held, the levels between are free.
#[derive(Debug, clap::Args)]
pub(super) struct Optimise {
    /// The solver, such as ddim or "heun(clock=edm)"
    #[arg(long)]
    solver: String,
    /// Model calls of a run: the grid has the most steps that cost no more
    #[arg(long, required_unless_present = "steps")]
    calls: Option<usize>,
    /// Steps of the grid, instead of calls
    #[arg(long, conflicts_with = "calls")]
    steps: Option<usize>,
    /// Gaussian data to fit to: presets such as five-modes,natural-images, an experiment file (*.toml), or TOML such as
    /// '{ name = "power-law", modes = 8, p = 1.0 }'; of several the geometric mean of the errors is least
    #[arg(long, required = true)]
    data: Vec<String>,
    /// The forward process, as in an experiment; without it that of the data, or vp-linear
    #[arg(long, value_name = "TOML")]
    schedule: Option<String>,
    /// The first time; without it that of the data
    #[arg(long)]
    start: Option<f64>,
    /// The last time; without it that of the data
    #[arg(long)]
    end: Option<f64>,
    /// What is to be least: w2, kl (both to the exact marginal at the end) or w2-data
    #[arg(long, default_value = "w2", value_parser = objective)]
    objective: Objective,
    /// Random starts beside the five rules
    #[arg(long, default_value_t = 10)]
    starts: u16,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Samples on each preset mixture, to see what the grid is worth there; 0 leaves them out
    #[arg(long, default_value_t = 2000)]
    samples: u64,
    /// An experiment to write, with the grid beside the rules, for `scorebench run`
    #[arg(long, value_name = "FILE.toml")]
    out: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Threads (all cores if not given); results do not depend on it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

/// What was found, for `--json`.
#[derive(Serialize)]
struct Report<'a> {
    solver: String,
    steps: usize,
    calls: usize,
    objective: Objective,
    data: Vec<Grid>,
    optimum: &'a Optimum,
    grids: [&'static str; 4],
    scores: &'a [Score],
}

/// The grid on one of the data.
#[derive(Serialize)]
struct Grid {
    label: String,
    start: f64,
    end: f64,
    lambda: Vec<f64>,
}

impl Optimise {
    pub(super) fn go(&self) -> Result<Status> {
        parallel::with_threads(self.threads.map(usize::from), || self.run())?
    }

    fn run(&self) -> Result<Status> {
        let solver = from_label(&self.solver, &registry::all())?;
        let members = source::members(&self.data, &self.frame()?)?;
        let problem = Problem::new(solver.clone(), self.step_count(&solver)?, members, self.objective)?;
        if let Some(out) = &self.out {
            ours_or_new(out)?;
            // Before minutes of work.
            write::check(&problem)?;
        }
        let search = Search { random: self.starts.into(), seed: self.seed, ..Search::default() };
        let best = problem.optimise(&search)?;
        let mut scores = compare::fitted(&problem, &best.places);
        scores.extend(compare::unseen(&problem, &best.places, self.samples, self.seed));
        if let Some(out) = &self.out {
            let text = write::experiment(&problem, &best, &scores, &self.command())?;
            write_atomically(out, text.as_bytes()).map_err(|e| {
                BadInput::about("", format!("cannot be written: {e}"), "give --out another path").file(out)
            })?;
            say(&format!("{} written", out.display()));
        }
        if self.json {
            print_json(&report(&problem, &best, &scores));
        } else {
            print(&table(&problem, &best, &scores));
        }
        Ok(Status::Fine)
    }

    fn frame(&self) -> Result<Frame> {
        // A bare name is a name, whatever else it might be in TOML.
        let value = |text: &String| config::value(text).unwrap_or_else(|| Value::String(text.clone()));
        Ok(Frame { schedule: self.schedule.as_ref().map(value), start: self.start, end: self.end })
    }

    fn step_count(&self, solver: &Handle) -> Result<usize> {
        /// More than any grid that is searched has.
        const MOST_CALLS: usize = 100_000;
        let Some(calls) = self.calls else { return Ok(self.steps.expect("one of the two is given")) };
        let steps = (1..=calls.min(MOST_CALLS)).rev().find(|&steps| solver.calls(steps) <= calls);
        steps.filter(|&steps| steps > 1).ok_or_else(|| {
            let why = format!("are too few: two steps of {} take {}", solver.label(), solver.calls(2));
            BadInput::new("--calls", calls, why, "give more: with one step no level is free")
        })
    }

    /// The command that was given.
    fn command(&self) -> String {
        let quoted = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=".contains(c);
            if text.chars().all(plain) { text.into() } else { format!("'{}'", text.replace('\'', r"'\''")) }
        };
        let mut text = format!("{} optimise --solver {}", program(), quoted(&self.solver));
        let mut add = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = write!(text, " --{key} {}", quoted(&value));
            }
        };
        add("calls", self.calls.map(|n| n.to_string()));
        add("steps", self.steps.map(|n| n.to_string()));
        self.data.iter().for_each(|data| add("data", Some(data.clone())));
        add("schedule", self.schedule.clone());
        add("start", self.start.map(|x| format!("{x:?}")));
        add("end", self.end.map(|x| format!("{x:?}")));
        add("objective", (self.objective != Objective::W2).then(|| self.objective.name().into()));
        add("starts", (self.starts != 10).then(|| self.starts.to_string()));
        add("seed", (self.seed != 1).then(|| self.seed.to_string()));
        text.replace(['\n', '\r'], " ")
    }
}

fn objective(text: &str) -> std::result::Result<Objective, String> {
    let names = Objective::ALL.map(Objective::name);
    Objective::ALL.into_iter().find(|o| o.name() == text).ok_or_else(|| config::suggest(text, &names))
}

/// Refuses to write over what somebody wrote.
fn ours_or_new(out: &Path) -> Result<()> {
    let refuse = |why: &str, fix: &str| Err(BadInput::about("--out", why, fix).file(out));
    if out.file_name().is_none() || out.extension().is_none_or(|e| e != "toml") {
        return refuse("is no experiment file", "give a path that ends in .toml");
    }
    match std::fs::read(out) {
        Ok(text) if !text.starts_with(MARK.as_bytes()) => {
            refuse("is there, and was not made by this command", "give another path")
        }
        _ => Ok(()),
    }
}

fn report<'a>(problem: &Problem, best: &'a Optimum, scores: &'a [Score]) -> Report<'a> {
    Report {
        solver: problem.solver().label(),
        steps: problem.steps(),
        calls: problem.solver().calls(problem.steps()),
        objective: problem.objective(),
        data: problem
            .members()
            .iter()
            .map(|m| Grid {
                label: m.label.clone(),
                start: m.span.start,
                end: m.span.end,
                lambda: m.span.lambdas(&best.places),
            })
            .collect(),
        optimum: best,
        grids: GRIDS,
        scores,
    }
}

fn table(problem: &Problem, best: &Optimum, scores: &[Score]) -> String {
    let mut text = String::new();
    let solver = problem.solver();
    let (steps, objective) = (problem.steps(), problem.objective().name());
    let mut line = |words: String| text.push_str(&format!("{}\n", words.trim_end()));
    line(format!(
        "{}, {steps} steps ({} calls): least {objective} {:.6e}",
        solver.label(),
        solver.calls(steps),
        best.error
    ));
    line(format!("{} of {} starts came within 1 % of it", best.agree, best.starts.len()));
    if best.exact {
        line("the error is round-off: these levels are one choice among many".into());
    }
    if best.idle > 0 {
        line(format!("{} steps are as short as they may be: the method would do without them", best.idle));
    }
    let lambda = problem.members()[0].span.lambdas(&best.places);
    line(format!("lambda = {lambda:?}"));
    line(String::new());
    let head = ["data", "metric"].into_iter().chain(GRIDS).chain(["gain"]);
    let mut rows: Vec<Vec<String>> = vec![head.map(String::from).collect()];
    for score in scores {
        let mark = if score.fitted { "* " } else { "  " };
        let mut row = vec![format!("{mark}{}", score.data), score.metric.clone()];
        row.extend(score.errors.iter().map(found));
        row.push(score.gain().map_or(String::new(), |gain| format!("{gain:.3}")));
        row.push(score.note.clone());
        rows.push(row);
    }
    text.push_str(&aligned(&rows));
    let mut line = |words: &str| text.push_str(&format!("{words}\n"));
    line("*: fitted to. gain: the best rule's error over the optimised grid's; below 1 the grid loses.");
    line("Elsewhere the grid keeps its places in lambda between that problem's own ends.");
    text
}

fn found(error: &Option<Found>) -> String {
    match error {
        None => "-".into(),
        Some(Found { value, stderr: None }) => format!("{value:.4e}"),
        Some(Found { value, stderr: Some(stderr) }) => format!("{value:.3e} +- {stderr:.0e}"),
    }
}
