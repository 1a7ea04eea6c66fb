//! Did results get worse? Two sets of tables, row by row: what `scorebench compare` says and by what a CI job may fail.
//!
//! Exact numbers are held to a tolerance for round-off. Sampled ones are held to their standard errors, with one rate of
//! false alarms for the whole comparison; where both sides drew the same random numbers, any difference is a fact
//! and said to be one. Whatever cannot be compared fails: nothing passes because it was not understood.
//!
//! ```
//! use scorebench::compare::{Class, Options, Tables, compare};
//! let folder = tempfile::tempdir()?;
//! let table = |name: &str, w2: &str| {
//!     let path = folder.path().join(name);
//!     let head = "experiment,data,schedule,grid,init,solver,steps,mode,nfe,w2,error";
//!     std::fs::write(&path, format!("{head}\na,ring,edm,karras,prior,heun,8,exact,16,{w2},\n")).unwrap();
//!     path.display().to_string()
//! };
//! let options = Options::default();
//! let [before, after] = [table("a.csv", "1e-3"), table("b.csv", "1.1e-3")].map(|f| Tables::read(&f, &options).unwrap());
//! let found = compare(&before, &after, &options).unwrap();
//! assert!(found.failed() && found.count(Class::Regression) == 1);
//! assert_eq!((found.differences[0].column.as_str(), found.differences[0].line), ("w2", 2));
//! assert_eq!(found.summary(), "1 row: 1 regression");
//! # Ok::<(), std::io::Error>(())
//! ```

use crate::error::{BadInput, Result};

mod chance;
mod derived;
mod exact;
mod git;
mod kind;
mod matching;
mod read;
mod rules;
mod sampled;
mod table;
mod timing;
mod update;
mod work;
mod write;

pub use kind::Kind;
pub use read::Tables;
pub use rules::Change;
pub use timing::{Ratio, Timing};
pub use update::update;
pub use write::{Format, Look};

use table::Table;
use work::Work;

/// What is asked of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Exact numbers within this share of the baseline are the same: what another processor or compiler may round.
    pub rtol: f64,
    /// And within this: errors of 1e-15 are round-off of states of size 1 after some thousand operations (`n eps` is 1e-12),
    /// and double from one processor to the next.
    pub atol: f64,
    /// The probability that unchanged code, on other random numbers, has any number of `sampled.csv` called better or worse.
    pub false_alarm: f64,
    /// Whether `timing.csv` is read.
    pub timing: bool,
    /// Solvers that take this many times as long are slower.
    pub slower: f64,
    /// What fails.
    pub fail_on: Vec<Class>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            rtol: 1e-6,
            atol: 1e-12,
            false_alarm: 0.01,
            timing: false,
            slower: 1.25,
            fail_on: vec![Class::Regression, Class::Missing],
        }
    }
}

impl Options {
    /// Whether the numbers make sense.
    ///
    /// # Errors
    /// Names the option.
    pub fn check(&self) -> Result<()> {
        for (key, value) in [("--rtol", self.rtol), ("--atol", self.atol)] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(BadInput::new(
                    key,
                    value,
                    "is no tolerance",
                    "give 0 or a small number, such as 1e-6",
                ));
            }
        }
        if !(self.false_alarm > 0.0 && self.false_alarm < 1.0) {
            let fix = "give a rate between 0 and 1, such as 0.01";
            return Err(BadInput::new("--false-alarm", self.false_alarm, "is no rate", fix));
        }
        if !(self.slower.is_finite() && self.slower >= 1.0) {
            return Err(BadInput::new(
                "--slower",
                self.slower,
                "is no ratio",
                "give 1 or more, such as 1.25",
            ));
        }
        Ok(())
    }
}

/// What a difference means, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Worse than the baseline, beyond round-off or chance.
    Regression,
    /// In the baseline, and not in what is compared with it.
    Missing,
    /// Slower than the baseline.
    Timing,
    /// Other than the baseline, neither better nor worse.
    Changed,
    /// Not in the baseline.
    New,
    /// Better than the baseline, beyond round-off or chance.
    Improvement,
}

impl Class {
    /// All of them.
    pub const ALL: &[Class] =
        &[Class::Regression, Class::Missing, Class::Timing, Class::Changed, Class::New, Class::Improvement];

    /// As it is written on a command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Class::Regression => "regression",
            Class::Missing => "missing",
            Class::Timing => "timing",
            Class::Changed => "changed",
            Class::New => "new",
            Class::Improvement => "improvement",
        }
    }

    fn counted(self, count: usize) -> String {
        let name = match self {
            Class::Timing => "slower",
            _ => self.name(),
        };
        let plural = matches!(self, Class::Regression | Class::Improvement) && count != 1;
        format!("{} {name}{}", write::thousands(count), if plural { "s" } else { "" })
    }
}

/// A row that differs; of several columns the worst, with the others behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The worst class of its columns.
    pub class: Class,
    /// The table it is in.
    pub table: Kind,
    /// The key: names of columns, and what they say. Empty where a whole column is meant.
    pub key: Vec<(&'static str, String)>,
    /// The worst column; empty where a row is missing or new.
    pub column: String,
    /// What the baseline says there, as written.
    pub before: String,
    /// What the new table says, as written.
    pub after: String,
    /// Why it is in its class.
    pub reason: String,
    /// The file it is in: the new one, or the baseline's where it is missing.
    pub file: String,
    /// The line in that file.
    pub line: u32,
    /// All columns that differ, the worst first.
    pub changes: Vec<Change>,
}

/// How sampled numbers were judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// How many numbers share the rate.
    pub numbers: usize,
    /// The probability that any of them is called better or worse by chance.
    pub false_alarm: f64,
    /// How many standard errors of a difference that takes (of 64 batches a side).
    pub errors: f64,
    /// What share of the baseline's value that is, for the median number.
    pub median: Option<f64>,
}

/// A table of the comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Its kind.
    pub kind: Kind,
    /// The new file, or the baseline's where there is none.
    pub file: String,
    /// Rows on either side, those of one key counted once.
    pub rows: usize,
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The baseline, as the user named it.
    pub baseline: String,
    /// What was compared with it.
    pub new: String,
    /// The tables.
    pub tables: Vec<Compared>,
    /// Rows that differ, the worst first.
    pub differences: Vec<Difference>,
    /// What else a reader should know.
    pub notes: Vec<String>,
    /// How sampled numbers were judged, if any were.
    pub chance: Option<Chance>,
    /// Times, if they were asked for and there are any.
    pub timing: Option<Timing>,
    /// What fails.
    pub fail_on: Vec<Class>,
}

impl Comparison {
    /// How many rows there are on either side, those of one key counted once.
    pub fn rows(&self) -> usize {
        self.tables.iter().map(|t| t.rows).sum()
    }

    /// How many rows are in a class.
    pub fn count(&self, class: Class) -> usize {
        self.differences.iter().filter(|d| d.class == class).count()
    }

    /// Whether a class that fails has a row.
    pub fn failed(&self) -> bool {
        self.differences.iter().any(|d| self.fail_on.contains(&d.class))
    }

    /// One line: `12,345 rows: 3 regressions, 1 missing`.
    pub fn summary(&self) -> String {
        let found: Vec<String> = Class::ALL
            .iter()
            .map(|class| (class, self.count(*class)))
            .filter(|(_, n)| *n > 0)
            .map(|(class, n)| class.counted(n))
            .collect();
        let found = if found.is_empty() { "nothing differs".to_string() } else { found.join(", ") };
        let rows = self.rows();
        format!("{} row{}: {found}", write::thousands(rows), if rows == 1 { "" } else { "s" })
    }
}

/// Compares what is new with a baseline.
///
/// # Errors
/// Two rows of one key, a verdict that is none, tables that have no like, a baseline without a row: with file and line.
pub fn compare(baseline: &Tables, new: &Tables, options: &Options) -> Result<Comparison> {
    options.check()?;
    if baseline.is_empty() {
        let fix = "give a baseline with rows";
        return Err(BadInput::about("", "holds no row: nothing would be compared", fix).file(&baseline.shown));
    }
    let mut work = Work::new(options);
    work.notes = baseline.notes.iter().chain(&new.notes).cloned().collect();
    let mut tables = Vec::new();
    let pairs = read::pairs(baseline, new)?;
    let timed: Vec<(&Table, &Table)> = pairs.iter().filter_map(|p| p.0.zip(p.1)).collect();
    let timed = timed.into_iter().filter(|(a, _)| a.kind == Kind::Timing).collect::<Vec<_>>();
    for pair in pairs {
        let Some(any) = pair.1.or(pair.0).filter(|t| t.kind != Kind::Timing) else { continue };
        let rows = work.pair(pair)?;
        tables.push(Compared { kind: any.kind, file: any.file.clone(), rows });
    }
    let mut timing = None;
    if options.timing {
        timing = timing::of(&timed, options.slower, &mut work.notes);
        work.differences.extend(timing.iter().flat_map(Timing::differences));
    }
    let chance = work.settle();
    let mut differences = work.differences;
    differences.sort_by(|a, b| {
        let weight = |d: &Difference| d.changes.first().map_or(0.0, |c| c.weight);
        a.class.cmp(&b.class).then(weight(b).total_cmp(&weight(a)))
    });
    let (baseline, new) = (baseline.shown.clone(), new.shown.clone());
    let (notes, fail_on) = (work.notes, options.fail_on.clone());
    Ok(Comparison { baseline, new, tables, differences, notes, chance, timing, fail_on })
}
