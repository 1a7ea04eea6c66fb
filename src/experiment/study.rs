//! Experiments that are a study: their parameters, and what is expected of the numbers.
//!
//! ```
//! use scorebench::experiment::{Asked, Size};
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("claims.toml");
//! std::fs::write(&file, r#"
//! question = "What do people say?"
//! [[claim]]
//! id = "1"
//! source = "everyone"
//! says = "Noise helps."
//! verdict = "true with conditions"
//! finding = "It does where the score is wrong."
//! "#)?;
//! let Asked::Study(study) = Asked::load(&file, &[], Size::Full)? else { panic!("it asks for no solver") };
//! assert_eq!((study.name.as_str(), study.claims.len(), study.parts().len()), ("claims", 1, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::text::{parse_table, read_text};
use super::{Experiment, Outcome, Size, each, summary_of};
use crate::config;
use crate::error::{BadInput, Result};
use crate::record::MeasuredRow;
use crate::results::{Claim, Summary, Tables};
use crate::study::Kind;

/// What an experiment file asks for.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Solvers on data: a table of their errors.
    Cells(Box<Experiment>),
    /// A study, or claims alone.
    Study(Box<StudyFile>),
}

/// An experiment file that is a study.
#[derive(Clone, Debug)]
pub struct StudyFile {
    /// The file's stem; names the result folder.
    pub name: String,
    /// What is asked.
    pub question: String,
    /// What was found, for readers of the results.
    pub analysis: String,
    /// The study; none where a file holds claims about the results of others.
    pub study: Option<Kind>,
    /// All that determines its numbers, as text.
    parameters: String,
    /// Figures to draw; the first is `figure.svg`.
    pub figures: Vec<StudyFigure>,
    /// What its numbers must be.
    pub expect: Vec<StudyExpectation>,
    /// What is claimed of its subject.
    pub claims: Vec<Claim>,
    /// Whether it was cut down: expectations on what is left out then stay open.
    pub reduced: bool,
}

/// A figure of a study.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum StudyFigure {
    /// Numbers along their places: a panel each quantity, a curve each case.
    Curves {
        /// Which quantities.
        quantities: Vec<String>,
        /// Which cases, in this order; all if empty.
        #[serde(default)]
        cases: Vec<String>,
        /// The axis across.
        #[serde(default)]
        x: Scale,
        /// The axis upwards.
        #[serde(default)]
        y: Scale,
        /// Whether slopes are orders in a number of steps, for which there are guides.
        #[serde(default)]
        orders: bool,
    },
    /// The grey pictures, in a table.
    Pictures {},
}

/// The scale of an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Logarithmic.
    #[default]
    Log,
    /// Linear.
    Linear,
}

impl StudyFigure {
    const NAMES: &[&str] = &["curves", "pictures"];

    /// Its name as written in an experiment.
    pub fn name(&self) -> &'static str {
        match self {
            StudyFigure::Curves { .. } => "curves",
            StudyFigure::Pictures {} => "pictures",
        }
    }
}

/// An expectation on numbers: those of a quantity that match, or the slope along them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyExpectation {
    /// Which quantity.
    pub quantity: String,
    /// In which case; all of them if it is not said.
    pub case: Option<String>,
    /// At which place; all of them if it is not said.
    pub x: Option<f64>,
    /// Its value, to a relative tolerance `rel` or an absolute one `abs`.
    pub value: Option<f64>,
    /// The slope of `ln |value|` on `ln x`, to `abs`.
    pub slope: Option<f64>,
    /// Relative tolerance of `value`.
    pub rel: Option<f64>,
    /// Absolute tolerance of `value` or `slope`.
    pub abs: Option<f64>,
    /// Largest value allowed.
    pub below: Option<f64>,
    /// Smallest value allowed.
    pub above: Option<f64>,
    /// The slope is from this place ...
    pub from: Option<f64>,
    /// ... to this one.
    pub to: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    question: String,
    #[serde(default)]
    analysis: String,
    study: Option<Table>,
    figure: Option<Value>,
    #[serde(default)]
    expect: Vec<StudyExpectation>,
    #[serde(default, rename = "claim")]
    claims: Vec<Claim>,
}

impl Asked {
    /// Reads an experiment file; `set` overrides keys.
    ///
    /// # Errors
    /// Names the file, the key, the value and the fix.
    pub fn load(path: &Path, set: &[String], size: Size) -> Result<Self> {
        let text = read_text(path)?;
        let table = parse_table(&text, set).map_err(|e| e.file(path))?;
        let has = |key: &str| table.contains_key(key);
        if !has("study") && (has("data") || !has("claim")) {
            return Ok(Asked::Cells(Box::new(Experiment::load(path, set, size)?)));
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = path.parent().unwrap_or(Path::new("."));
        StudyFile::read(&name, table, folder, size)
            .map(|s| Asked::Study(Box::new(s)))
            .map_err(|e| e.file(path))
    }

    /// The file's stem.
    pub fn name(&self) -> &str {
        match self {
            Asked::Cells(experiment) => &experiment.name,
            Asked::Study(study) => &study.name,
        }
    }
}

impl StudyFile {
    fn read(name: &str, table: Table, folder: &Path, size: Size) -> Result<Self> {
        let raw: Raw = config::read(Value::Table(table))?;
        let reduced = size == Size::Quick;
        let (mut study, mut parameters) = (None, String::new());
        if let Some(table) = raw.study {
            let built = table.get("name").and_then(Value::as_str).map_or(Ok(()), Kind::check_built);
            let table = built.and_then(|()| with_file(table, folder)).map_err(|e| e.within("study"))?;
            parameters = format!("{}reduced = {reduced}", toml::to_string(&table).expect("a table"));
            let mut kind: Kind =
                config::read_named(Value::Table(table), Kind::NAMES).map_err(|e| e.within("study"))?;
            if reduced {
                kind.make_quick();
            }
            kind.check().map_err(|e| e.within("study"))?;
            study = Some(kind);
        }
        let file = StudyFile {
            name: name.into(),
            question: raw.question,
            analysis: raw.analysis,
            study,
            parameters,
            figures: match raw.figure {
                None => Vec::new(),
                Some(list) => each("figure", list, |v| config::read_named(v, StudyFigure::NAMES))?,
            },
            expect: raw.expect,
            claims: raw.claims,
            reduced,
        };
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<()> {
        for (i, claim) in self.claims.iter().enumerate() {
            claim.check().map_err(|e| e.within(&format!("claim[{i}]")))?;
        }
        for (i, expectation) in self.expect.iter().enumerate() {
            let checked =
                expectation.check().and_then(|()| self.check_quantity("quantity", &expectation.quantity));
            checked.map_err(|e| e.within(&format!("expect[{i}]")))?;
        }
        for (i, figure) in self.figures.iter().enumerate() {
            if let StudyFigure::Curves { quantities, .. } = figure {
                let all = quantities.iter().try_for_each(|q| self.check_quantity("quantities", q));
                all.map_err(|e| e.within(&format!("figure[{i}]")))?;
            }
        }
        Ok(())
    }

    /// A misspelt quantity would be of nothing.
    fn check_quantity(&self, key: &str, name: &str) -> Result<()> {
        let Some(study) = &self.study else {
            return Err(BadInput::new(key, name, "is of no study", "add a table [study]"));
        };
        let known: Vec<&str> = study.quantities().iter().map(|q| q.name).collect();
        if known.is_empty() || known.contains(&name) {
            return Ok(());
        }
        let fix = config::suggest(name, &known);
        Err(BadInput::new(key, name, format!("is not measured by {}", study.name()), fix))
    }

    /// Parts of the study, with the content keys of their numbers.
    pub fn parts(&self) -> Vec<(String, String)> {
        let key = |part: String| {
            let all = format!("{}\n{part}", self.parameters);
            (part, blake3::hash(all.as_bytes()).to_hex()[..16].to_string())
        };
        self.study.iter().flat_map(Kind::parts).map(key).collect()
    }

    /// Holds numbers against every expectation.
    pub fn outcomes(&self, rows: &[MeasuredRow]) -> Vec<Outcome> {
        let tables = Tables { measured: rows.to_vec(), ..Tables::default() };
        let each = |(i, e): (usize, &StudyExpectation)| e.outcomes(i, &tables);
        self.expect.iter().enumerate().flat_map(each).collect()
    }

    /// The words of the study, with what became of every expectation and of the numbers in its claims.
    pub fn summary(&self, rows: &[MeasuredRow]) -> Summary {
        let tables = Tables { measured: rows.to_vec(), ..Tables::default() };
        let mut outcomes = self.outcomes(rows);
        outcomes.extend(super::claimed(&self.claims, &tables, self.reduced));
        Summary {
            name: self.name.clone(),
            question: self.question.clone(),
            analysis: self.analysis.clone(),
            ..summary_of(outcomes, &self.claims)
        }
    }
}

/// A table that names a file gets its content, so that keys are of contents, not of paths.
fn with_file(mut table: Table, folder: &Path) -> Result<Table> {
    let Some(file) = table.get("file") else { return Ok(table) };
    let Some(path) = file.as_str().map(|f| folder.join(f)) else {
        return Err(BadInput::new("file", file, "is no path", "write file = \"numbers.csv\""));
    };
    table.insert("rows".into(), Value::String(read_text(&path)?));
    Ok(table)
}

impl StudyExpectation {
    fn check(&self) -> Result<()> {
        let wants = |key: &str, what: &str, fix: &str| Err(BadInput::about(key, what, fix));
        if self.value.is_none() && self.slope.is_none() && self.below.is_none() && self.above.is_none() {
            return wants("", "expects nothing", "add value, slope, below or above");
        }
        if self.value.is_some() && self.rel.is_none() && self.abs.is_none() {
            return wants("value", "goes with a tolerance", "add rel or abs");
        }
        if self.slope.is_some() && (self.abs.is_none() || self.value.is_some()) {
            return wants("slope", "goes with abs, and without value", "add abs = 0.05");
        }
        if self.slope.is_none() && (self.from.is_some() || self.to.is_some()) {
            return wants("from", "goes with a slope", "write x, or add slope");
        }
        let numbers = [self.value, self.slope, self.rel, self.abs, self.below, self.above, self.x];
        if numbers.iter().flatten().any(|v| v.is_nan()) {
            return wants("", "holds a nan, which nothing meets", "give numbers");
        }
        Ok(())
    }

    fn outcomes(&self, i: usize, tables: &Tables) -> Vec<Outcome> {
        let place = |case: &str| format!("{} of {case}", self.quantity);
        let covered = tables.measured.iter().filter(|m| {
            m.quantity == self.quantity
                && self.case.as_ref().is_none_or(|c| *c == m.case)
                && self.x.is_none_or(|x| m.is_at(x))
        });
        let held: Vec<Outcome> = match self.slope {
            None => covered.map(|m| self.holds(m, &place(&m.case))).collect(),
            Some(want) => {
                let mut cases: Vec<&str> = covered.map(|m| m.case.as_str()).collect();
                cases.dedup();
                let each = |case| {
                    self.falls(want, tables.slope(&self.quantity, case, self.from, self.to), &place(case))
                };
                cases.into_iter().map(each).collect()
            }
        };
        match held.is_empty() {
            true => vec![Outcome::Open(format!("expect[{i}] covers no number of this run"))],
            false => held,
        }
    }

    fn falls(&self, want: f64, slope: Option<f64>, place: &str) -> Outcome {
        let Some(slope) = slope else { return Outcome::Open(format!("{place}: no slope in this run")) };
        let slack = self.abs.unwrap_or(0.0);
        met((slope - want).abs() <= slack, format!("{place}: slope {slope:.3}, expected {want} to {slack}"))
    }

    fn holds(&self, row: &MeasuredRow, place: &str) -> Outcome {
        let at = row.x.map_or(String::new(), |x| format!(" at {x:e}"));
        let Some(v) = row.value else { return Outcome::Failed(format!("{place}{at}: no number")) };
        let close = self.value.is_none_or(|want| {
            v == want || (v - want).abs() <= self.abs.unwrap_or(0.0) + self.rel.unwrap_or(0.0) * want.abs()
        });
        let inside = close && self.below.is_none_or(|b| v <= b) && self.above.is_none_or(|a| v >= a);
        let tolerance =
            [self.rel.map(|r| format!(" to {r:e} relative")), self.abs.map(|a| format!(" to {a:e}"))];
        let wants = [
            self.value.map(|w| format!("{w:e}{}", tolerance.into_iter().flatten().collect::<String>())),
            self.below.map(|b| format!("at most {b:e}")),
            self.above.map(|a| format!("at least {a:e}")),
        ];
        let wants: Vec<String> = wants.into_iter().flatten().collect();
        met(inside, format!("{place}{at} = {v:e}, expected {}", wants.join(", ")))
    }
}

fn met(so: bool, said: String) -> Outcome {
    if so { Outcome::Met(said) } else { Outcome::Failed(said) }
}
