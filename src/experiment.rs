//! Experiments: a question in TOML, the cells it asks for, and what is expected of them. The only reader of TOML.
//!
//! ```
//! use scorebench::experiment::Experiment;
//! let experiment = Experiment::parse("demo", r#"
//! question = "Is DDIM of first order?"
//! data     = { name = "gaussian", mean = [0.0, 1.0], variance = [1.0, 0.25] }
//! schedule = { name = "vp-linear" }
//! grid     = { name = "uniform-lambda", start = 1.0, end = 1e-3, steps = [64, 128, 256] }
//! [[solver]]
//! name = "ddim"
//! expect = { order = 1.0 }
//! "#, std::path::Path::new("."))?;
//! assert_eq!(experiment.cells().len(), 3);
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use crate::config;
use crate::data::Perturbation;
use crate::error::{BadInput, Result};
use crate::grid::Grid;
use crate::law::Init;
use crate::record::{OrderRow, Row};
use crate::results::{Claim, Expected, Found, Summary, Tables};
use crate::schedule::Schedule;
use crate::solver::{Handle, registry};

mod cell;
mod check;
mod data;
mod expect;
mod figure;
pub(crate) mod file;
mod flows;
mod ladder;
mod mode;
mod rank;
mod sampled;
pub(crate) mod sampler;
mod spectrum;
mod study;
mod subject;
mod text;

use check::known_names;
use data::read_subject;
use ladder::{read_counts, read_grid};
#[cfg(feature = "candle")]
pub(crate) use text::read_table;
use text::{parse_table, read_text};

pub use cell::Cell;
pub use data::read_images;
pub use figure::FigureKind;
pub use flows::Flows;
pub use ladder::Ladder;
pub use mode::Mode;
pub use rank::Rank;
pub use study::{Asked, Scale, StudyExpectation, StudyFigure, StudyFile};
pub use subject::{Pictures, Subject};

pub use expect::{Expectation, Outcome, SolverExpectation};

/// Everything an experiment file says, checked.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The file's stem; names the result folder.
    pub name: String,
    /// What is asked.
    pub question: String,
    /// What was found, for readers of the results.
    pub analysis: String,
    /// Data laws, with labels.
    pub data: Vec<Subject>,
    /// Forward processes, with labels.
    pub schedules: Vec<Named<Schedule>>,
    /// Grids, with labels and step counts (none for explicit lists).
    pub grids: Vec<(Named<Grid>, Ladder)>,
    /// Laws that runs start from.
    pub inits: Vec<Init>,
    /// What the model gets wrong.
    pub perturbations: Vec<Option<Perturbation>>,
    /// How cells are run.
    pub modes: Vec<Mode>,
    /// Solvers and what is expected of each.
    pub solvers: Vec<SolverSpec>,
    /// Expectations on single cells.
    pub expect: Vec<Expectation>,
    /// Columns whose orders are fitted.
    pub metrics: Vec<String>,
    /// Model calls to count until errors are small enough.
    pub reach: Option<Reach>,
    /// Whose ranking of solvers is to predict that on the other data.
    pub rank: Option<Rank>,
    /// Figures to draw; the first is `figure.svg`.
    pub figures: Vec<FigureKind>,
    /// What is claimed of its subject.
    pub claims: Vec<Claim>,
    /// Whether the `quick` table has cut it down: expectations on cells that are left out then stay open.
    pub reduced: bool,
}

/// A value and the name that tables and plots show for it.
#[derive(Clone, Debug)]
pub struct Named<T> {
    /// Name and distinguishing parameters.
    pub label: String,
    /// The value.
    pub value: T,
}

/// A solver of an experiment.
#[derive(Clone, Debug)]
pub struct SolverSpec {
    /// The solver.
    pub solver: Named<Handle>,
    /// Step counts of its own, instead of the grids'.
    pub steps: Option<Vec<usize>>,
    /// Names of the schedules it runs on; all if empty.
    pub schedules: Vec<String>,
    /// Names of the grids it runs on; all if empty.
    pub grids: Vec<String>,
    /// What is expected of it.
    pub expect: SolverExpectation,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    question: String,
    #[serde(default)]
    analysis: String,
    data: Value,
    schedule: Value,
    grid: Value,
    init: Option<Value>,
    mode: Option<Value>,
    perturb: Option<Value>,
    solver: Option<Vec<Table>>,
    #[serde(default)]
    expect: Vec<Expectation>,
    metrics: Option<Vec<String>>,
    reach: Option<Reach>,
    rank: Option<Rank>,
    catalogue: Option<Catalogue>,
    figure: Option<Value>,
    #[serde(default, rename = "claim")]
    claims: Vec<Claim>,
    quick: Option<Quick>,
}

/// Which errors to reach, and with whose calls to compare.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// Values of W2.
    pub targets: Vec<f64>,
    /// Labels of solvers.
    pub against: Vec<String>,
}

/// Adds the rest of the catalogue to the solvers that are listed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    /// Names and labels to leave out.
    #[serde(default)]
    except: Vec<String>,
}

impl Catalogue {
    /// Every sampler's variants, but for those that are listed already or left out.
    fn rest(&self, listed: &[SolverSpec]) -> Result<Vec<SolverSpec>> {
        let all: Vec<Handle> = registry::all().iter().flat_map(registry::Entry::variants).collect();
        let labels: Vec<String> = all.iter().map(Handle::label).collect();
        known_names(&self.except, &labels.iter().map(String::as_str).collect::<Vec<_>>())
            .map_err(|e| e.within("catalogue.except"))?;
        let wanted = |s: &Handle, label: &str| {
            !s.forward()
                && !listed.iter().any(|l| l.solver.label == label)
                && !self.except.iter().any(|word| is_called(word, label))
        };
        let spec = |(value, label): (Handle, String)| SolverSpec {
            solver: Named { label, value },
            steps: None,
            schedules: Vec::new(),
            grids: Vec::new(),
            expect: SolverExpectation { may_fail: Some("it is one of many".into()), ..Default::default() },
        };
        Ok(all.into_iter().zip(labels).filter(|(s, label)| wanted(s, label)).map(spec).collect())
    }
}

/// The smallest size at which an experiment still means something.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quick {
    /// Step counts instead of the grids' and solvers' own.
    steps: Option<Vec<usize>>,
    /// Modes to keep of larger data.
    modes: Option<usize>,
    /// Samples instead of the modes' own.
    samples: Option<u64>,
}

impl Quick {
    fn check(&self) -> Result<()> {
        if self.modes == Some(0) {
            return Err(BadInput::new("modes", 0, "keeps nothing", "give at least 1"));
        }
        if self.samples == Some(0) {
            return Err(BadInput::new("samples", 0, "keeps nothing", "give at least 1"));
        }
        let Some(steps) = &self.steps else { return Ok(()) };
        read_counts("steps", &steps.iter().map(|n| *n as i64).collect::<Vec<_>>().into()).map(drop)
    }
}

/// How much of an experiment to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// All of it.
    Full,
    /// As its `quick` table says.
    Quick,
}

impl Experiment {
    /// Reads an experiment file; `set` overrides keys (`data.spectrum=file.csv`).
    ///
    /// # Errors
    /// Names the file, the key, the value and the fix.
    pub fn load(path: &Path, set: &[String], size: Size) -> Result<Self> {
        let text = read_text(path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse_with(&name, &text, folder, set, size).map_err(|e| e.file(path))
    }

    /// Reads an experiment from text; paths in it are relative to `folder`.
    ///
    /// # Errors
    /// Names the key, the value and the fix.
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<Self> {
        Self::parse_with(name, text, folder, &[], Size::Full)
    }

    fn parse_with(name: &str, text: &str, folder: &Path, set: &[String], size: Size) -> Result<Self> {
        let table = parse_table(text, set)?;
        let raw: Raw = config::read(Value::Table(table))?;
        // Checked also where it is not used.
        raw.quick.as_ref().map_or(Ok(()), Quick::check).map_err(|e| e.within("quick"))?;
        let quick = if size == Size::Quick { raw.quick.clone() } else { None };
        let mut experiment = Experiment {
            name: name.into(),
            question: raw.question,
            analysis: raw.analysis,
            data: each("data", raw.data, |v| read_subject(v, folder, quick.as_ref().and_then(|q| q.modes)))?,
            schedules: each("schedule", raw.schedule, read_schedule)?,
            grids: each("grid", raw.grid, |v| {
                read_grid(v, folder, quick.as_ref().and_then(|q| q.steps.as_deref()))
            })?,
            modes: match raw.mode {
                None => vec![Mode::Exact],
                Some(value) => {
                    each("mode", value, |v| mode::read(v, quick.as_ref().and_then(|q| q.samples)))?
                }
            },
            perturbations: match raw.perturb {
                None => vec![None],
                Some(value) => each("perturb", value, read_perturbation)?,
            },
            inits: each("init", raw.init.unwrap_or(Value::String("marginal".into())), config::read)?,
            solvers: match raw.solver {
                None if raw.catalogue.is_some() => Vec::new(),
                None => {
                    return Err(BadInput::about(
                        "solver",
                        "is missing",
                        "add solver = [{ name = \"ddim\" }]",
                    ));
                }
                Some(list) => {
                    each("solver", Value::Array(list.into_iter().map(Value::Table).collect()), |v| {
                        read_solver(v, folder, quick.as_ref().and_then(|q| q.steps.as_deref()))
                    })?
                }
            },
            expect: raw.expect,
            metrics: Vec::new(),
            reach: raw.reach,
            rank: raw.rank,
            claims: raw.claims,
            reduced: quick.is_some(),
            figures: match raw.figure {
                None => vec![FigureKind::default_kind()],
                Some(list) => each("figure", list, |v| config::read_named(v, FigureKind::NAMES))?,
            },
        };
        let default = if experiment.sampled() { mode::DEFAULT } else { &["w2"] };
        experiment.metrics = raw.metrics.unwrap_or(default.iter().map(|m| m.to_string()).collect());
        if let Some(catalogue) = &raw.catalogue {
            let rest = catalogue.rest(&experiment.solvers)?;
            experiment.solvers.extend(rest);
        }
        experiment.check()?;
        Ok(experiment)
    }

    /// Labels of the data as rows have them.
    fn data_labels(&self) -> Vec<String> {
        let each = |d: &Subject| {
            let label = d.label.clone();
            self.perturbations.iter().map(move |p| cell::data_label(&label, p.as_ref())).collect::<Vec<_>>()
        };
        self.data.iter().flat_map(each).collect()
    }

    /// Whether cells are run on samples.
    pub fn sampled(&self) -> bool {
        self.modes.iter().any(|m| *m != Mode::Exact)
    }

    /// Every run the experiment asks for, in the order of its rows.
    pub fn cells(&self) -> Vec<Cell<'_>> {
        let mut cells = Vec::new();
        let models = self.data.iter().flat_map(|d| self.perturbations.iter().map(move |p| (d, p.as_ref())));
        for ((data, wrong), mode) in models.flat_map(|m| self.modes.iter().map(move |mode| (m, mode))) {
            for schedule in &self.schedules {
                for (grid, ladder) in &self.grids {
                    for &init in &self.inits {
                        for spec in self.solvers.iter().filter(|s| s.runs_on(schedule) && s.visits(grid)) {
                            for steps in ladder.steps(&spec.solver.value, spec.steps.as_deref()) {
                                cells.push(Cell {
                                    experiment: &self.name,
                                    data,
                                    schedule,
                                    grid,
                                    init,
                                    solver: &spec.solver,
                                    steps,
                                    wrong,
                                    mode,
                                    metrics: &self.metrics,
                                });
                            }
                        }
                    }
                }
            }
        }
        cells
    }

    /// Holds rows and orders against every expectation.
    pub fn outcomes(&self, rows: &[Row], orders: &[OrderRow]) -> Vec<Outcome> {
        expect::outcomes(self, rows, orders)
    }

    /// The words of the experiment, with what became of every expectation.
    pub fn summary(&self, rows: &[Row], orders: &[OrderRow]) -> Summary {
        let mut outcomes = self.outcomes(rows, orders);
        if !self.claims.is_empty() {
            let tables = Tables { rows: rows.to_vec(), orders: orders.to_vec(), ..Tables::default() };
            outcomes.extend(claimed(&self.claims, &tables, self.reduced));
        }
        Summary {
            name: self.name.clone(),
            question: self.question.clone(),
            analysis: self.analysis.clone(),
            ..summary_of(outcomes, &self.claims)
        }
    }
}

/// What became of expectations, and claims as they are written.
fn summary_of(outcomes: Vec<Outcome>, claims: &[Claim]) -> Summary {
    let expected = |outcome| match outcome {
        Outcome::Met(text) => Expected { verdict: Found::Met, text },
        Outcome::Open(text) => Expected { verdict: Found::Open, text },
        Outcome::Failed(text) => Expected { verdict: Found::Failed, text },
    };
    let expectations = outcomes.into_iter().map(expected).collect();
    Summary { expectations, claims: claims.to_vec(), ..Summary::default() }
}

/// Numbers that claims ask for and the results do not have; a run that was cut down need not have them.
fn claimed(claims: &[Claim], tables: &Tables, reduced: bool) -> Vec<Outcome> {
    let own = claims.iter().flat_map(|c| c.numbers.iter().map(move |n| (c, n)));
    let missing = own.filter(|(_, n)| n.experiment.is_none() && !reduced).filter_map(|(claim, number)| {
        let why = number.look_up(tables).err()?;
        Some(Outcome::Failed(format!("claim {}: {why}", claim.id)))
    });
    missing.collect()
}

impl SolverSpec {
    fn runs_on(&self, schedule: &Named<Schedule>) -> bool {
        self.schedules.is_empty() || self.schedules.iter().any(|name| is_called(name, &schedule.label))
    }

    fn visits(&self, grid: &Named<Grid>) -> bool {
        self.grids.is_empty() || self.grids.iter().any(|name| is_called(name, &grid.label))
    }
}

/// Whether a label is meant by its whole text or by its name alone.
fn is_called(word: &str, label: &str) -> bool {
    word == label || label.split('(').next() == Some(word)
}

/// Reads one value, or every value of an array, and says which was wrong.
fn each<T>(key: &str, value: Value, read: impl Fn(Value) -> Result<T>) -> Result<Vec<T>> {
    match value {
        Value::Array(list) if list.is_empty() => Err(BadInput::about(key, "is empty", "give at least one")),
        Value::Array(list) => list
            .into_iter()
            .enumerate()
            .map(|(i, v)| read(v).map_err(|e| e.within(&format!("{key}[{i}]"))))
            .collect(),
        one => Ok(vec![read(one).map_err(|e| e.within(key))?]),
    }
}

fn names(list: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    list.iter().map(|(name, _)| *name).collect()
}

fn read_schedule(value: Value) -> Result<Named<Schedule>> {
    let schedule: Schedule = config::read_named(value.clone(), &names(Schedule::LIST))?;
    schedule.check()?;
    Ok(Named { label: registry::label_of(&value), value: schedule })
}

/// `"none"`, or `{ kind = "...", size = ... }`.
fn read_perturbation(value: Value) -> Result<Option<Perturbation>> {
    if value.as_str() == Some("none") {
        return Ok(None);
    }
    let perturbation: Perturbation = config::read(value)?;
    perturbation.check()?;
    Ok(Some(perturbation))
}

fn read_solver(mut value: Value, folder: &Path, quick: Option<&[usize]>) -> Result<SolverSpec> {
    let table = value.as_table_mut().expect("solver entries are tables");
    let (steps, expect) = (table.remove("steps"), table.remove("expect"));
    let [schedules, grids] = ["schedules", "grids"].map(|key| {
        let names = table.remove(key).map(config::read::<Vec<String>>).transpose();
        names.map(Option::unwrap_or_default).map_err(|e| e.within(key))
    });
    let solver = file::solver(value, folder)?;
    let expect: SolverExpectation = match expect {
        Some(v) => config::read(v).map_err(|e| e.within("expect"))?,
        None => SolverExpectation::default(),
    };
    expect.check().map_err(|e| e.within("expect"))?;
    let steps = match (steps, quick) {
        (Some(_), Some(quick)) => Some(quick.to_vec()),
        (Some(v), None) => Some(read_counts("steps", &v)?),
        (None, _) => None,
    };
    Ok(SolverSpec {
        solver: Named { label: solver.label(), value: solver },
        steps,
        schedules: schedules?,
        grids: grids?,
        expect,
    })
}
