//! `scorebench inspect`: what a method's numbers satisfy, and by how much they miss it; any sampler as such numbers.

use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::Table;

use super::certify::from_label;
use super::sample::table;
use super::{Status, aligned, print, print_json, say};
use crate::error::{BadInput, Result};
use crate::experiment::{file, sampler};
use crate::grid::Grid;
use crate::schedule::{Level, Schedule};
use crate::solver::coefficients::Of;
use crate::solver::coefficients::export::export;
use crate::solver::conditions::{self, Residual, WRITTEN, residuals};
use crate::solver::{Condition, Handle, registry};

/// Holds a file's numbers to the conditions of consistency and order; exit code 1 if they miss what they claim.
#[derive(Debug, clap::Args)]
pub(super) struct Inspect {
    /// A method's numbers: TOML with the name of a solver and its parameters, or CSV with one line of weights a step
    #[arg(required_unless_present = "export")]
    file: Option<PathBuf>,
    /// Print a solver, such as ddim or "dpmpp-2m", as the weights of every step on a grid: CSV to inspect or to run
    #[arg(long, value_name = "SOLVER", conflicts_with = "file", requires = "grid")]
    export: Option<String>,
    /// With --export: weights of the denoised mean (d) or of the predicted noise (eps)
    #[arg(long, default_value = "d", value_parser = ["d", "eps"], requires = "export")]
    form: String,
    /// The forward process, as in an experiment; weights of single steps are held to it
    #[arg(long, value_name = "TOML")]
    schedule: Option<String>,
    /// The grid, as in an experiment; without it the levels that the file gives
    #[arg(long, value_name = "TOML")]
    grid: Option<String>,
    /// Steps of the grid
    #[arg(long, default_value_t = 10)]
    steps: usize,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn go(&self) -> Result<Status> {
        match (&self.export, &self.file) {
            (Some(label), _) => self.export(label),
            (None, Some(file)) => self.inspect(file),
            (None, None) => unreachable!("clap asks for one of the two"),
        }
    }

    fn schedule(&self) -> Result<Option<Schedule>> {
        let read = |text: &String| sampler::schedule(table(text)?).map_err(|e| e.within("--schedule"));
        self.schedule.as_ref().map(read).transpose()
    }

    fn needed_schedule(&self) -> Result<Schedule> {
        let fix = "add --schedule vp-linear, or another as experiments have it";
        self.schedule()?.ok_or_else(|| BadInput::about("--schedule", "is missing", fix))
    }

    fn levels(&self, schedule: &Schedule) -> Result<Option<Vec<Level>>> {
        let read = |text: &String| {
            sampler::levels(table(text)?, schedule, self.steps).map_err(|e| e.within("--grid"))
        };
        self.grid.as_ref().map(read).transpose()
    }

    fn export(&self, label: &str) -> Result<Status> {
        let solver = from_label(label, &registry::all())?;
        let schedule = self.needed_schedule()?;
        let levels = self.levels(&schedule)?.expect("clap asks for a grid");
        let of = if self.form == "eps" { Of::Eps } else { Of::D };
        let why = |why: String| {
            BadInput::about("--export", format!("({label}) has no such table: {why}"), "try ddim")
        };
        let rows = export(&solver, &schedule, &levels, of).map_err(why)?;
        if self.json {
            print_json(&rows.rows);
        } else {
            let on = |text: &Option<String>| text.clone().unwrap_or_default();
            let grid = format!("{}, {} steps", on(&self.grid), levels.len() - 1);
            print(&format!("# {} on {}, {grid}\n{}", solver.label(), on(&self.schedule), rows.csv()));
        }
        if !rows.is_a_grid() {
            say("its calls are not at levels that fall one by one: a table to read, which no grid holds");
        }
        Ok(Status::Fine)
    }

    fn inspect(&self, path: &Path) -> Result<Status> {
        let mut parameters = file::parameters(path).map_err(|e| e.file(path))?;
        let label = parameters.remove("label").and_then(|l| l.as_str().map(String::from)).unwrap_or_default();
        if !parameters.contains_key("name") {
            let fix = "add name = \"runge-kutta\", \"exponential-runge-kutta\", \"linear-multistep\" or \"coefficients\"";
            return Err(BadInput::about("name", "is missing", fix).file(path));
        }
        let (entry, parameters) = registry::named(parameters.into()).map_err(|e| e.file(path))?;
        let built = entry.build(parameters.clone());
        let solver = match &built {
            Ok(solver) => solver.clone(),
            Err(_) => entry.unchecked(parameters.clone()).map_err(|e| e.file(path))?,
        };
        let grid = if entry.name == "coefficients" { Some(self.grid_of(&parameters)?) } else { None };
        let on = grid.as_ref().map(|(schedule, levels)| (schedule, &levels[..]));
        let conditions = solver.conditions(on);
        match (built, on) {
            // What has no shape, or has no conditions here, has nothing else to say.
            (Err(why), _) if conditions.is_empty() => Err(why.file(path)),
            (Ok(solver), Some((schedule, levels))) if conditions.is_empty() => {
                let refused = solver.check_grid(schedule, levels).err().unwrap_or("it has no steps".into());
                Err(BadInput::about("--grid", refused, "").file(path))
            }
            (Ok(_), None) if conditions.is_empty() => {
                let fix = "`scorebench certify` measures what it claims";
                Err(BadInput::new("name", entry.name, "has no conditions to hold it to here", fix).file(path))
            }
            (built, _) => {
                let report = Report::new(&label, &solver, conditions, built.err().map(|e| e.to_string()));
                if self.json {
                    print_json(&report)
                } else {
                    print(&report.text())
                }
                say(&report.verdict());
                Ok(if report.holds { Status::Fine } else { Status::Failed })
            }
        }
    }

    /// The levels that rows of single steps are held to.
    fn grid_of(&self, parameters: &Table) -> Result<(Schedule, Vec<Level>)> {
        let schedule = self.needed_schedule()?;
        if let Some(levels) = self.levels(&schedule)? {
            return Ok((schedule, levels));
        }
        let list =
            |key: &str| crate::config::read(parameters[key].clone()).map_err(|e: BadInput| e.within(key));
        let own = ["sigma", "lambda", "t"].into_iter().find(|key| parameters.contains_key(*key));
        let grid = match own {
            Some("t") => Grid::Explicit { t: Some(list("t")?), lambda: None, sigma: None },
            Some("lambda") => Grid::Explicit { t: None, lambda: Some(list("lambda")?), sigma: None },
            Some(key) => Grid::Explicit { t: None, lambda: None, sigma: Some(list(key)?) },
            None => {
                let fix = "add --grid, or a column of levels to the file";
                return Err(BadInput::about("--grid", "is missing", fix));
            }
        };
        let levels = grid.levels(&schedule, None)?;
        Ok((schedule, levels))
    }
}

/// What was found of a method's numbers.
#[derive(Serialize)]
struct Report {
    label: String,
    solver: &'static str,
    /// The order claimed, where one is.
    claimed: Option<f64>,
    /// The order up to which every condition is met to 1e-6.
    order: u32,
    /// Whether the conditions of consistency are.
    consistent: bool,
    /// Whether all is as claimed.
    holds: bool,
    /// Why an experiment would refuse it, if it would.
    refused: Option<String>,
    /// The largest miss of every order.
    residuals: Vec<Residual>,
    conditions: Vec<Condition>,
}

impl Report {
    fn new(label: &str, solver: &Handle, conditions: Vec<Condition>, refused: Option<String>) -> Self {
        let claimed = solver.proofs().first().map(|proof| proof.claimed);
        let order = conditions::order(&conditions, WRITTEN);
        let consistent = conditions::inconsistency(&conditions, WRITTEN).is_none();
        // (Trees beyond the largest are not tried.)
        let tried = residuals(&conditions).last().map_or(0, |r| r.order);
        let kept = claimed.is_none_or(|p| f64::from(order) >= p.min(f64::from(tried)));
        Report {
            label: label.into(),
            solver: solver.name(),
            claimed,
            order,
            consistent,
            holds: consistent && kept && refused.is_none(),
            refused,
            residuals: residuals(&conditions),
            conditions,
        }
    }

    fn text(&self) -> String {
        let mut rows = Vec::new();
        let stepwise = self.conditions.iter().any(|c| c.step.is_some());
        if stepwise {
            rows.push(["step", "condition", "gives", "should be", "off by"].map(String::from));
            for c in &self.conditions {
                let step = c.step.map_or(String::new(), |step| step.to_string());
                rows.push([
                    step,
                    c.what.clone(),
                    format!("{:.6e}", c.got),
                    format!("{:.6e}", c.want),
                    off(c.off),
                ]);
            }
        } else {
            rows.push(["order", "condition", "gives", "should be", "off by"].map(String::from));
            for c in &self.conditions {
                let numbers = [format!("{:.9}", c.got + 0.0), format!("{:.9}", c.want), off(c.off)];
                let [got, want, off] = numbers;
                rows.push([c.order.to_string(), c.what.clone(), got, want, off]);
            }
        }
        let mut text = aligned(&rows);
        let mut summary = vec![["order", "conditions", "missed by at most", "at", ""].map(String::from)];
        summary.extend(self.residuals.iter().map(|r| {
            [r.order.to_string(), r.conditions.to_string(), off(r.off), r.place.clone(), String::new()]
        }));
        text.push('\n');
        text += &aligned(&summary);
        text
    }

    /// The last word.
    fn verdict(&self) -> String {
        let name = format!("{}({})", self.solver, self.label);
        let first = conditions::inconsistency(&self.conditions, 0.0);
        let to = first.map_or(0.0, |c| c.off);
        let found = match (self.consistent, first) {
            (true, _) => format!("consistent to {}", off(to)),
            (false, Some(c)) => format!("INCONSISTENT: {} is off by {}", c.place(), off(to)),
            (false, None) => "INCONSISTENT".into(),
        };
        let claimed = self.claimed.map_or("none claimed".into(), |p| format!("{p} claimed"));
        let refused = self.refused.as_ref().map_or(String::new(), |why| format!("; refused: {why}"));
        format!("{name}: {found}; order {}, {claimed}{refused}", self.order)
    }
}

fn off(x: f64) -> String {
    if x == 0.0 { "0".into() } else { format!("{x:.1e}") }
}
