//! Rows of results, and the only writer of CSV files.
//!
//! A missing value is an empty cell; a failed run is a row whose `error` says why; an infinite error is `inf`.
//! Numbers are written in the shortest form that reads back to the same `f64`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{BadInput, Result};
use crate::metric::Estimate;

mod measured;
mod ranks;

pub use measured::{MeasuredRow, Part, TileRow};
pub use ranks::{Comparison, Pair, RankRow, RankedError};

/// Columns that hold one number.
pub const NUMBERS: &[&str] = &[
    "w2",
    "w2_data",
    "kl",
    "mean_error",
    "cov_error",
    "budget_init",
    "budget_truncation",
    "budget_discretisation",
    "floor",
    "strong_error",
    "amplification",
    "nfe",
    "draws",
    "pilot_nfe",
];

/// One cell of an experiment: `exact.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Name of the experiment (the file's stem).
    pub experiment: String,
    /// Label of the data.
    pub data: String,
    /// Label of the schedule.
    pub schedule: String,
    /// Label of the grid.
    pub grid: String,
    /// Law the run starts from: `marginal` or `prior`.
    pub init: String,
    /// Solver and its non-default parameters.
    pub solver: String,
    /// Steps of the grid.
    pub steps: usize,
    /// Model calls.
    pub nfe: Option<usize>,
    /// Injected noises.
    pub draws: Option<usize>,
    /// W2 to the exact marginal at the grid's last level.
    #[serde(with = "number")]
    pub w2: Option<f64>,
    /// W2 to the data law.
    #[serde(with = "number")]
    pub w2_data: Option<f64>,
    /// KL(sampler || exact marginal), nats.
    #[serde(with = "number")]
    pub kl: Option<f64>,
    /// l2 distance of the means, to the exact marginal.
    #[serde(with = "number")]
    pub mean_error: Option<f64>,
    /// Frobenius distance of the covariances, to the exact marginal.
    #[serde(with = "number")]
    pub cov_error: Option<f64>,
    /// Why the run has no (finite) result; empty if it has.
    pub error: String,
    /// `exact`, or `mean-field` where norms were answered by their expectation.
    pub mode: String,
    /// The mode (from 0) with the largest share of `w2`.
    pub worst_mode: Option<usize>,
    /// Error budget of runs that do not start from the marginal: W2 that the start alone causes, carried to the last level by
    /// the exact dynamics.
    #[serde(with = "number")]
    pub budget_init: Option<f64>,
    /// Error budget of runs that do not start from the marginal: W2 between the exact marginal at the last level and the data.
    #[serde(with = "number")]
    pub budget_truncation: Option<f64>,
    /// Error budget of runs that do not start from the marginal: W2 of the same run from the exact marginal to the exact
    /// marginal. (Of runs that do, it is `w2`.)
    #[serde(with = "number")]
    pub budget_discretisation: Option<f64>,
    /// W2 that a method with a bias floor tends to as steps are added.
    #[serde(with = "number")]
    pub floor: Option<f64>,
    /// Root mean square distance from the exact solution of the solver's own equation on the same start and path.
    #[serde(with = "number")]
    pub strong_error: Option<f64>,
    /// Largest `|d x_out / d x_T|` of any mode: how much the run amplifies its start.
    #[serde(with = "number")]
    pub amplification: Option<f64>,
    /// Model calls of the pilot run that planned the levels of an adaptive method.
    pub pilot_nfe: Option<usize>,
    /// Content key: a hash of all that determines the numbers of the row.
    pub key: String,
    /// A hash of the row itself, by which an edited row is told from a computed one.
    pub check: String,
    /// What was measured on samples, where the cell was run on samples: rows of `sampled.csv`.
    #[serde(skip)]
    pub measures: Vec<Measure>,
}

/// A number from samples, with what is known of its uncertainty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Its name: see [`crate::metric::SAMPLED`].
    pub metric: String,
    /// The value, in the metric's own unit.
    #[serde(with = "number")]
    pub value: Option<f64>,
    /// Its standard error.
    #[serde(with = "number")]
    pub stderr: Option<f64>,
    /// For a distance: about what a sampler without error would show at this number of samples.
    #[serde(with = "number")]
    pub floor: Option<f64>,
    /// For a distance: `value^p - floor^p` (p = 2, but 1 for W1), of either sign: what to compare solvers by.
    #[serde(with = "number")]
    pub excess: Option<f64>,
    /// Its standard error.
    #[serde(with = "number")]
    pub excess_stderr: Option<f64>,
    /// For a test: the probability of one at least as extreme without any error.
    #[serde(with = "number")]
    pub p_value: Option<f64>,
    /// Samples behind it.
    pub samples: Option<u64>,
    /// Why there is no value.
    pub error: String,
}

impl Measure {
    /// The error itself, free of the bias that a distance has: its excess (the root of it where it is of squares, with
    /// its sign) or the value.
    pub fn signed(&self) -> Option<Estimate> {
        let (Some(excess), Some(stderr)) = (self.excess, self.excess_stderr) else {
            return Some(Estimate { value: self.value?, stderr: self.stderr? });
        };
        if self.metric == "sliced_w1" {
            return Some(Estimate { value: excess, stderr });
        }
        let value = excess.abs().sqrt();
        // d sqrt(x) = dx/(2 sqrt(x)); at 0 the root is as unsure as that of the error itself.
        let stderr = if stderr > excess.abs() { stderr.sqrt() } else { 0.5 * stderr / value };
        Some(Estimate { value: value.copysign(excess), stderr })
    }
}

/// One measure of a cell that was run on samples: `sampled.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SampledRow {
    /// Name of the experiment.
    pub experiment: String,
    /// Label of the data.
    pub data: String,
    /// Label of the schedule.
    pub schedule: String,
    /// Label of the grid.
    pub grid: String,
    /// Law the run starts from.
    pub init: String,
    /// Solver and its non-default parameters.
    pub solver: String,
    /// Steps of the grid.
    pub steps: usize,
    /// Model calls of a sample.
    pub nfe: Option<usize>,
    /// Injected noises of a sample.
    pub draws: Option<usize>,
    /// The metric; empty where the run failed.
    pub metric: String,
    /// The value.
    #[serde(with = "number")]
    pub value: Option<f64>,
    /// Its standard error.
    #[serde(with = "number")]
    pub stderr: Option<f64>,
    /// Sampling floor of a distance.
    #[serde(with = "number")]
    pub floor: Option<f64>,
    /// `value^p - floor^p`.
    #[serde(with = "number")]
    pub excess: Option<f64>,
    /// Its standard error.
    #[serde(with = "number")]
    pub excess_stderr: Option<f64>,
    /// p-value of a test.
    #[serde(with = "number")]
    pub p_value: Option<f64>,
    /// Samples behind the value.
    pub samples: Option<u64>,
    /// How samples were drawn and kept: `monte-carlo(precision=f32, samples=1000, seed=1)`, with ` mean-field` where norms
    /// were answered by a pilot run.
    pub mode: String,
    /// Model calls of the pilot run that planned the levels of an adaptive method.
    pub pilot_nfe: Option<usize>,
    /// Why there is no value; empty if there is.
    pub error: String,
    /// Content key of the cell.
    pub key: String,
    /// A hash of the row itself.
    pub check: String,
}

impl SampledRow {
    /// The rows of a cell: one a measure, or one that says why there is none.
    pub fn of(row: &Row) -> Vec<Self> {
        let failed = [Measure { error: row.error.clone(), ..Measure::default() }];
        let measures = if row.error.is_empty() { &row.measures[..] } else { &failed };
        let one = |m: &Measure| {
            let row = SampledRow {
                experiment: row.experiment.clone(),
                data: row.data.clone(),
                schedule: row.schedule.clone(),
                grid: row.grid.clone(),
                init: row.init.clone(),
                solver: row.solver.clone(),
                steps: row.steps,
                nfe: row.nfe,
                draws: row.draws,
                metric: m.metric.clone(),
                value: m.value,
                stderr: m.stderr,
                floor: m.floor,
                excess: m.excess,
                excess_stderr: m.excess_stderr,
                p_value: m.p_value,
                samples: m.samples,
                mode: row.mode.clone(),
                pilot_nfe: row.pilot_nfe,
                error: m.error.clone(),
                key: row.key.clone(),
                check: String::new(),
            };
            SampledRow { check: checked(&row), ..row }
        };
        measures.iter().map(one).collect()
    }

    /// Cells from their rows, in order; none of a cell whose rows do not all read as they were written.
    pub fn cells(rows: Vec<SampledRow>) -> Vec<Row> {
        let mut cells: Vec<Row> = Vec::new();
        let mut edited = std::collections::HashSet::new();
        for row in rows {
            if row.check != checked(&SampledRow { check: String::new(), ..row.clone() }) {
                edited.insert(row.key.clone());
            }
            let measure = Measure {
                metric: row.metric,
                value: row.value,
                stderr: row.stderr,
                floor: row.floor,
                excess: row.excess,
                excess_stderr: row.excess_stderr,
                p_value: row.p_value,
                samples: row.samples,
                error: row.error,
            };
            if cells.last().is_none_or(|c| c.key != row.key) {
                let failed = measure.metric.is_empty();
                cells.push(Row {
                    experiment: row.experiment,
                    data: row.data,
                    schedule: row.schedule,
                    grid: row.grid,
                    init: row.init,
                    solver: row.solver,
                    steps: row.steps,
                    nfe: row.nfe,
                    draws: row.draws,
                    mode: row.mode,
                    pilot_nfe: row.pilot_nfe,
                    error: if failed { measure.error.clone() } else { String::new() },
                    key: row.key,
                    ..Row::default()
                });
            }
            if !measure.metric.is_empty() {
                cells.last_mut().expect("just pushed").measures.push(measure);
            }
        }
        cells.retain(|c| !edited.contains(&c.key));
        cells
    }
}

/// A hash of a row, by which an edited one is told from a computed one.
fn checked(row: &impl Serialize) -> String {
    blake3::hash(to_csv(std::slice::from_ref(row)).as_bytes()).to_hex()[..8].to_string()
}

impl Row {
    /// How samples were drawn and kept; empty for exact laws.
    pub fn sampling(&self) -> &str {
        let mode = self.mode.trim_end_matches(" mean-field");
        if mode.starts_with("monte-carlo") { mode } else { "" }
    }

    /// What was measured under a name, if it was.
    pub fn measure(&self, metric: &str) -> Option<&Measure> {
        self.measures.iter().find(|m| m.metric == metric)
    }

    /// The number in a column of this name (see [`NUMBERS`]), or measured under it, if there is one.
    pub fn number(&self, column: &str) -> Option<f64> {
        if let Some(measure) = self.measure(column) {
            return measure.value;
        }
        match column {
            "w2" => self.w2,
            "w2_data" => self.w2_data,
            "kl" => self.kl,
            "mean_error" => self.mean_error,
            "cov_error" => self.cov_error,
            "budget_init" => self.budget_init,
            "budget_truncation" => self.budget_truncation,
            "budget_discretisation" => self.budget_discretisation,
            "floor" => self.floor,
            "strong_error" => self.strong_error,
            "amplification" => self.amplification,
            "nfe" => self.nfe.map(|n| n as f64),
            "draws" => self.draws.map(|n| n as f64),
            "pilot_nfe" => self.pilot_nfe.map(|n| n as f64),
            _ => None,
        }
    }

    /// The row with its `check` filled in.
    pub fn sealed(mut self) -> Self {
        self.check = self.hash();
        self
    }

    /// Whether the row reads as it was written.
    pub fn is_sealed(&self) -> bool {
        self.check == self.hash()
    }

    fn hash(&self) -> String {
        checked(&Row { check: String::new(), ..self.clone() })
    }
}

/// A fitted order: `orders.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OrderRow {
    /// Name of the experiment.
    pub experiment: String,
    /// Label of the data.
    pub data: String,
    /// Label of the schedule.
    pub schedule: String,
    /// Label of the grid.
    pub grid: String,
    /// Law the runs start from.
    pub init: String,
    /// Solver and its non-default parameters.
    pub solver: String,
    /// The column that was fitted, such as `w2`.
    pub metric: String,
    /// Fitted order.
    #[serde(with = "number")]
    pub order: Option<f64>,
    /// Its standard error.
    #[serde(with = "number")]
    pub stderr: Option<f64>,
    /// Claimed order; empty where none is claimed.
    #[serde(with = "number")]
    pub claimed: Option<f64>,
    /// `pass`, `fail` or `inconclusive`.
    pub verdict: String,
    /// Why, in words.
    pub reason: String,
    /// Smallest step count of the fit.
    pub from_steps: Option<usize>,
    /// Largest step count of the fit.
    pub to_steps: Option<usize>,
    /// Orders between neighbouring step counts, separated by spaces.
    pub local_orders: String,
    /// Step counts of all points, separated by spaces.
    pub steps: String,
    /// Error that the method tends to as steps are added, where one is known or seen.
    #[serde(with = "number")]
    pub floor: Option<f64>,
    /// How samples were drawn and kept; empty for exact laws.
    pub mode: String,
}

/// Model calls until an error is small enough: `calls.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReachRow {
    /// Name of the experiment.
    pub experiment: String,
    /// Label of the data.
    pub data: String,
    /// Label of the schedule.
    pub schedule: String,
    /// Label of the grid.
    pub grid: String,
    /// Law the runs start from.
    pub init: String,
    /// Solver and its non-default parameters.
    pub solver: String,
    /// The W2 to reach.
    #[serde(with = "number")]
    pub target: Option<f64>,
    /// Calls it takes, interpolated between rows, to four digits; empty if it is not reached.
    #[serde(with = "number")]
    pub calls: Option<f64>,
    /// Calls to those of the solvers compared with, to four digits: `ddim: 0.25; heun: 0.5`. Below 1 is cheaper; `inf`
    /// where only the other gets there, and nothing where it does not.
    pub ratios: String,
}

/// How far a training is: `loss.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossRow {
    /// Updates made.
    pub step: u64,
    /// Mean loss of the batches since the row before.
    #[serde(with = "number")]
    pub loss: Option<f64>,
    /// Loss of the averaged weights on held-out images, at fixed noise levels and noises.
    #[serde(with = "number")]
    pub held_out: Option<f64>,
    /// Mean norm of the gradients since the row before.
    #[serde(with = "number")]
    pub grad_norm: Option<f64>,
    /// Learning rate of the last update.
    #[serde(with = "number")]
    pub lr: Option<f64>,
}

/// How long a cell took: `timing.csv`, whose `key` says which. Never compared, never a gate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Name of the experiment.
    pub experiment: String,
    /// Solver and its non-default parameters.
    pub solver: String,
    /// Steps of the grid.
    pub steps: usize,
    /// Wall-clock seconds of the cell.
    #[serde(with = "number")]
    pub seconds: Option<f64>,
    /// Threads of the run that computed it.
    pub threads: usize,
    /// Modes of the data.
    pub modes: usize,
    /// Content key of the cell.
    pub key: String,
}

/// Rows as CSV text, with a header.
pub fn to_csv<T: Serialize>(rows: &[T]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).expect("rows are flat records");
    }
    let bytes = writer.into_inner().expect("writing to memory does not fail");
    String::from_utf8(bytes).expect("CSV of UTF-8 strings")
}

/// Reads rows back.
///
/// # Errors
/// A file that cannot be read or is not such a table; the line is named.
pub fn read_csv<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Vec<T>> {
    let bad = |e: csv::Error| {
        BadInput::about(
            "",
            format!("is not a result table: {e}"),
            "make it anew with `scorebench run --fresh`",
        )
        .file(path)
    };
    csv::Reader::from_path(path)
        .map_err(bad)?
        .deserialize()
        .collect::<std::result::Result<_, _>>()
        .map_err(bad)
}

/// Writes a file so that a reader, or a crash at any moment, sees the old content or the new, never a part.
///
/// # Errors
/// The file system's own.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let name = path.file_name().expect("a file path").to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = std::fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = std::fs::remove_file(&temporary);
    })
}

/// [`write_atomically`], in a folder that is made where there is none.
///
/// # Errors
/// Names the file and why it cannot be written.
#[cfg(feature = "candle")]
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder
        .and_then(|()| write_atomically(path, bytes))
        .map_err(|e| BadInput::about("", format!("cannot be written: {e}"), "").file(path))
}

/// `f64` cells: `{:e}`, which round-trips; empty for a missing value.
mod number {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(x) if x.is_finite() => serializer.collect_str(&format_args!("{x:e}")),
            Some(x) => serializer.collect_str(x),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        // Through text, which holds `inf` in every format.
        match Option::<String>::deserialize(deserializer)? {
            Some(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_as_they_were_written() {
        let row = Row {
            solver: "heun(clock=edm, s_churn=10)".into(),
            steps: 16,
            nfe: Some(32),
            w2: Some(1.0 / 3.0),
            kl: Some(f64::INFINITY),
            error: "line one, \"quoted\"".into(),
            ..Row::default()
        };
        let text = to_csv(std::slice::from_ref(&row));
        assert!(text.lines().next().is_some_and(|h| h.starts_with(
            "experiment,data,schedule,grid,init,solver,steps,nfe,draws,w2,w2_data,kl,mean_error,cov_error,error"
        )));
        assert!(text.contains("3.333333333333333e-1,,inf"), "{text}");
        assert!(
            row.clone().sealed().is_sealed() && !Row { w2: Some(0.25), ..row.clone().sealed() }.is_sealed()
        );
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        write_atomically(file.path(), text.as_bytes()).expect("written");
        assert_eq!(read_csv::<Row>(file.path()).expect("read"), [row]);
    }
}
