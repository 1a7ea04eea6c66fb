//! The preset problems: five spectra, whose errors are exact, five mixtures and a data set of images.
//!
//! ```
//! use scorebench::suite::{self, Kind};
//! let spectra = suite::standard().into_iter().filter(|p| p.kind == Kind::Spectrum);
//! let solver: toml::Table = "name = 'ddim'".parse()?;
//! for problem in spectra {
//!     let grid: toml::Table = "name = 'uniform-lambda'\nsteps = [8, 16]".parse()?;
//!     let experiment = problem.experiment(&[solver.clone()], &[grid], &toml::Table::new())?;
//!     assert_eq!(experiment.cells().len(), 2);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use crate::error::Result;
use crate::experiment::Experiment;

/// What is known of a problem's solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Gaussian data: the law of a run is exact.
    Spectrum,
    /// A mixture of Gaussians: the flow of every sample is exact.
    Mixture,
    /// A set of images, of which the score is exact too.
    Images,
}

/// Data on a schedule between two times.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// What tables and plots call it; also the label of its data.
    pub name: String,
    /// What is known of its solution.
    pub kind: Kind,
    /// The data, as an experiment has them.
    pub data: Table,
    /// The schedule, as an experiment has it.
    pub schedule: Table,
    /// The time that runs start at.
    pub start: f64,
    /// The time that they end at.
    pub end: f64,
}

/// The problems of `suite.toml`, by kind.
pub fn standard() -> Vec<Problem> {
    #[derive(Deserialize)]
    struct File {
        problem: Vec<Problem>,
    }
    let file: File = toml::from_str(include_str!("suite.toml")).expect("a file of this crate");
    file.problem
}

impl Problem {
    /// The experiment of these solvers on these grids (`{ name = ..., steps = [...] }`, as experiments have them; the
    /// rules that take times get the problem's own `start` and `end` unless they name others). `rest` holds whatever
    /// other keys the experiment shall have: `mode`, `metrics`, `quick`.
    ///
    /// # Errors
    /// What an experiment refuses.
    pub fn experiment(&self, solvers: &[Table], grids: &[Table], rest: &Table) -> Result<Experiment> {
        let mut table = rest.clone();
        table.insert("question".into(), format!("How far are solvers from {}?", self.name).into());
        table.insert("data".into(), self.data.clone().into());
        table.insert("schedule".into(), self.schedule.clone().into());
        let grids = grids.iter().map(|grid| self.between(grid.clone()).into());
        table.insert("grid".into(), Value::Array(grids.collect()));
        table.insert("solver".into(), solvers.iter().cloned().map(Value::Table).collect::<Vec<_>>().into());
        Experiment::parse(&self.name, &table.to_string(), Path::new("."))
    }

    fn between(&self, mut grid: Table) -> Table {
        let timed = ["uniform-t", "quadratic-t", "uniform-lambda"];
        if grid.get("name").and_then(Value::as_str).is_some_and(|name| timed.contains(&name)) {
            grid.entry("start").or_insert(self.start.into());
            grid.entry("end").or_insert(self.end.into());
        }
        grid
    }
}
