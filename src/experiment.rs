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
use crate::metric;
use crate::record::{OrderRow, Row};
use crate::results::{Expected, Found, Summary};
use crate::schedule::{Level, Schedule};
use crate::solver::{Handle, registry};

mod cell;
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
mod subject;

use data::{check_gaussian, read_subject};
use ladder::{read_counts, read_grid};

pub use cell::Cell;
pub use data::read_images;
pub use figure::FigureKind;
pub use flows::Flows;
pub use ladder::Ladder;
pub use mode::Mode;
pub use rank::Rank;
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

/// Columns whose orders solvers claim. (KL falls with twice the order of W2, `w2_data` tends to what truncation leaves:
/// a claim says nothing of them.)
const CLAIMED: &[&str] = &["w2", "strong_error"];

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

    /// What only shows when the parts are put together.
    fn check(&self) -> Result<()> {
        self.check_modes()?;
        self.rank.as_ref().map_or(Ok(()), |r| r.check(self)).map_err(|e| e.within("rank"))?;
        self.figures.iter().try_for_each(|kind| kind.check(self))?;
        let targets = self.reach.iter().flat_map(|r| &r.targets);
        if let Some(target) = targets.copied().find(|w2| !(w2.is_finite() && *w2 > 0.0)) {
            return Err(BadInput::new(
                "reach.targets",
                target,
                "is no error to reach",
                "give values above 0",
            ));
        }
        let solvers: Vec<&str> = self.solvers.iter().map(|s| s.solver.label.as_str()).collect();
        let drawn = self.figures.iter().flat_map(FigureKind::solvers).map(|label| ("figure.solvers", label));
        let compared = self.reach.iter().flat_map(|r| &r.against).map(|label| ("reach.against", label));
        for (key, label) in compared.chain(drawn) {
            if !solvers.contains(&label.as_str()) {
                let fix = config::suggest(label, &solvers);
                return Err(BadInput::new(key, label, "is not in this experiment", fix));
            }
        }
        unique("metrics", self.metrics.iter().map(String::as_str), "remove one")?;
        unique("data", self.data.iter().map(|d| d.label.as_str()), "give them different `label`s")?;
        let models: Vec<String> =
            self.perturbations.iter().map(|p| cell::data_label("", p.as_ref())).collect();
        unique("perturb", models.iter().map(String::as_str), "remove one")?;
        let modes: Vec<String> = self.modes.iter().map(Mode::label).collect();
        unique("mode", modes.iter().map(String::as_str), "remove one")?;
        unique("schedule", self.schedules.iter().map(|d| d.label.as_str()), "remove one")?;
        unique("grid", self.grids.iter().map(|(g, _)| g.label.as_str()), "give them different `label`s")?;
        unique("init", self.inits.iter().map(|i| i.name()), "remove one")?;
        let solvers = self.solvers.iter().map(|s| s.solver.label.as_str());
        unique("solver", solvers, "remove one, change a parameter, or give them different `label`s")?;
        for (i, expectation) in self.expect.iter().enumerate() {
            let checked = expectation.check().and_then(|()| expectation.check_names(self));
            checked.map_err(|e| e.within(&format!("expect[{i}]")))?;
        }
        let schedules: Vec<&str> = self.schedules.iter().map(|s| s.label.as_str()).collect();
        let grids: Vec<&str> = self.grids.iter().map(|(g, _)| g.label.as_str()).collect();
        for (i, spec) in self.solvers.iter().enumerate() {
            let within = |key: &str| format!("solver[{i}].{key}");
            known_names(&spec.schedules, &schedules).map_err(|e| e.within(&within("schedules")))?;
            known_names(&spec.grids, &grids).map_err(|e| e.within(&within("grids")))?;
            known_names(&spec.expect.on, &grids).map_err(|e| e.within(&within("expect.on")))?;
            known_names(spec.expect.order_on.keys(), &grids)
                .map_err(|e| e.within(&within("expect.order_on")))?;
        }
        for (g, (grid, ladder)) in self.grids.iter().enumerate() {
            let key = if self.grids.len() > 1 { format!("grid[{g}]") } else { "grid".into() };
            for (s, spec) in self.solvers.iter().enumerate().filter(|(_, spec)| spec.visits(grid)) {
                for schedule in self.schedules.iter().filter(|s| spec.runs_on(s)) {
                    for steps in ladder.steps(&spec.solver.value, spec.steps.as_deref()) {
                        let solver = format!("solver[{s}]");
                        let levels = grid.value.levels(&schedule.value, steps).map_err(|e| {
                            let own = e.key() == "steps" && spec.steps.is_some();
                            e.within(if own { &solver } else { &key })
                        })?;
                        check_cost(&spec.solver, levels.len() - 1).map_err(|e| e.within(&solver))?;
                        check_defined(&spec.solver, schedule, &grid.label, &levels)
                            .map_err(|e| e.within(&solver))?;
                        self.data
                            .iter()
                            .try_for_each(|d| d.check_range(&levels))
                            .map_err(|e| e.within(&key))?;
                    }
                }
            }
        }
        Ok(())
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

    /// Metrics must be those of the modes, and exact laws are for Gaussians.
    fn check_modes(&self) -> Result<()> {
        let exact = self.modes.contains(&Mode::Exact);
        if exact && self.sampled() {
            let fix = "write one experiment for each";
            return Err(BadInput::about("mode", "mixes exact laws with samples", fix));
        }
        let known: Vec<&str> = if exact { CLAIMED.to_vec() } else { names(metric::SAMPLED) };
        for (i, metric) in self.metrics.iter().enumerate() {
            if !known.contains(&metric.as_str()) {
                let why = if exact {
                    "is no error whose order solvers claim"
                } else {
                    "is not measured on samples"
                };
                return Err(BadInput::new(
                    &format!("metrics[{i}]"),
                    metric,
                    why,
                    config::suggest(metric, &known),
                ));
            }
        }
        let crooked = self.perturbations.iter().flatten().any(|p| !p.is_affine());
        if exact && crooked {
            let fix = "add mode = { monte-carlo = { samples = 10_000 } }";
            return Err(BadInput::about(
                "perturb",
                "makes a model that is not affine and has no exact law",
                fix,
            ));
        }
        if exact {
            check_gaussian(&self.data)?;
        }
        self.check_lawless()?;
        Ok(())
    }

    /// Without data, a network can be held to its own flow alone.
    fn check_lawless(&self) -> Result<()> {
        let Some(subject) = self.data.iter().find(|d| d.lawless) else { return Ok(()) };
        let fix = "name the data that the network was trained on: of = { name = \"digits\" }";
        if self.inits.contains(&Init::Marginal) {
            let why = format!("needs the law of the data, which {} does not know", subject.label);
            return Err(BadInput::new("init", "marginal", why, format!("write init = \"prior\", or {fix}")));
        }
        match self.metrics.iter().find(|m| *m != "rmse" && *m != "median_error") {
            Some(metric) => {
                let why = format!("needs the law of the data, which {} does not know", subject.label);
                Err(BadInput::new("metrics", metric, why, format!("leave it out, or {fix}")))
            }
            None => Ok(()),
        }
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
        let expected = |outcome| match outcome {
            Outcome::Met(text) => Expected { verdict: Found::Met, text },
            Outcome::Open(text) => Expected { verdict: Found::Open, text },
            Outcome::Failed(text) => Expected { verdict: Found::Failed, text },
        };
        Summary {
            name: self.name.clone(),
            question: self.question.clone(),
            analysis: self.analysis.clone(),
            figures: Vec::new(),
            expectations: self.outcomes(rows, orders).into_iter().map(expected).collect(),
        }
    }
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

/// Every word must be the name or the label of something in the experiment.
fn known_names<'a>(words: impl IntoIterator<Item = &'a String>, labels: &[&str]) -> Result<()> {
    for word in words {
        if !labels.iter().any(|label| is_called(word, label)) {
            return Err(BadInput::new("", word, "is not in this experiment", config::suggest(word, labels)));
        }
    }
    Ok(())
}

/// The table of another file than an experiment, with overridden keys.
///
/// # Errors
/// A file that cannot be read or is not TOML.
#[cfg(feature = "candle")]
pub(crate) fn read_table(path: &Path, set: &[String]) -> Result<Table> {
    parse_table(&read_text(path)?, set).map_err(|e| e.file(path))
}

fn read_text(path: &Path) -> Result<String> {
    let unreadable = |why: String, fix: &str| BadInput::about("", why, fix).file(path);
    let bytes =
        std::fs::read(path).map_err(|e| unreadable(format!("cannot be read: {e}"), &nearest(path)))?;
    String::from_utf8(bytes).map_err(|e| unreadable(format!("is not UTF-8 text: {e}"), "save it as UTF-8"))
}

/// The file that may be meant by one that cannot be read: of those beside it, that of the nearest name.
fn nearest(path: &Path) -> String {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = files.filter(|f| f.is_file() && f.extension() == path.extension());
    let name = |p: &Path| p.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let likeness = |f: &Path| strsim::jaro_winkler(&name(f), &name(path));
    match files.max_by(|a, b| likeness(a).total_cmp(&likeness(b))) {
        Some(file) if likeness(&file) > 0.8 => format!("did you mean {}?", file.display()),
        _ => "give the path of an experiment such as experiments/01-convergence.toml".into(),
    }
}

fn parse_table(text: &str, set: &[String]) -> Result<Table> {
    let mut table: Table = text.parse().map_err(|e: toml::de::Error| not_toml(&e, text))?;
    for assignment in set {
        override_key(&mut table, assignment)?;
    }
    Ok(table)
}

/// A TOML syntax error, at its line.
fn not_toml(e: &toml::de::Error, text: &str) -> BadInput {
    let line = |at: usize| format!(" at line {}", text[..at.min(text.len())].matches('\n').count() + 1);
    let place = e.span().map_or(String::new(), |span| line(span.start));
    BadInput::about(
        "",
        format!("is not valid TOML{place}: {}", e.message()),
        "see the contract in the README",
    )
}

/// `a.b=value`: the value is TOML if it parses as such, else a string.
fn override_key(table: &mut Table, assignment: &str) -> Result<()> {
    let named = |(path, _): &(&str, &str)| path.split('.').all(|part| !part.trim().is_empty());
    let Some((path, text)) = assignment.split_once('=').filter(named) else {
        return Err(BadInput::new("--set", assignment, "is not KEY=VALUE", "write data.spectrum=file.csv"));
    };
    let value = config::value(text).unwrap_or_else(|| Value::String(text.into()));
    let (outer, last) = path.trim().rsplit_once('.').map_or((None, path.trim()), |(o, l)| (Some(o), l));
    let mut here = table;
    for part in outer.iter().flat_map(|o| o.split('.')) {
        here = match here.get_mut(part) {
            Some(Value::Table(inner)) => inner,
            _ => {
                return Err(BadInput::new(
                    "--set",
                    assignment,
                    format!("names {part:?}, which is no table of the file"),
                    "name an existing table",
                ));
            }
        };
    }
    here.insert(last.into(), value);
    Ok(())
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

fn unique<'a>(key: &str, labels: impl Iterator<Item = &'a str>, fix: &str) -> Result<()> {
    let mut seen = std::collections::BTreeMap::new();
    for (i, label) in labels.enumerate() {
        if let Some(first) = seen.insert(label, i) {
            return Err(BadInput::new(
                &format!("{key}[{i}]"),
                label,
                format!("has the same name as {key}[{first}]"),
                fix,
            ));
        }
    }
    Ok(())
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

/// More draws than a probe can hold rows for, or than anyone waits for.
const MOST_DRAWS: usize = 200_000;

fn check_cost(solver: &Named<Handle>, steps: usize) -> Result<()> {
    let draws = solver.value.draws(steps);
    if draws > MOST_DRAWS {
        return Err(BadInput::about(
            "",
            format!("({}) would ask for {draws} noises in {steps} steps", solver.label),
            format!("stay below {MOST_DRAWS}"),
        ));
    }
    Ok(())
}

fn check_defined(
    solver: &Named<Handle>,
    schedule: &Named<Schedule>,
    grid: &str,
    levels: &[Level],
) -> Result<()> {
    let rises = levels[0].kappa() < levels[levels.len() - 1].kappa();
    let what = format!("({}) is not defined on schedule {} with grid {grid}", solver.label, schedule.label);
    if rises != solver.value.forward() {
        let fix = if rises {
            "swap start and end: samplers run from noise to data"
        } else {
            "swap start and end: forward chains run from data to noise"
        };
        return Err(BadInput::about("", what, fix));
    }
    solver
        .value
        .check_grid(&schedule.value, levels)
        .map_err(|why| BadInput::about("", format!("{what}: {why}"), ""))
}
