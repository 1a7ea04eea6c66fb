//! A result folder: finished cells are written down at once, and nothing finished is ever lost.
//!
//! While a run goes on, every finished cell is one checksummed line of a journal, written in one call: a crash
//! loses at most the cells that were not finished, and a torn last line is recognised and dropped. When all
//! cells are there, the tables are written, each atomically, and only then the journal is removed.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{BadInput, Result};
use crate::record::{Measure, Part, Row, SampledRow, Timing, read_csv, write_atomically};

mod claim;
mod summary;

pub(crate) use claim::short;
pub use claim::{Claim, Pick, Tables, Verdict};
pub use summary::{Expected, Found, Summary};

/// A finished cell: its numbers and how long they took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// The row of `exact.csv`, or the cell that rows of `sampled.csv` are of.
    pub row: Row,
    /// What was measured on samples; the row's own are not written with it.
    measures: Vec<Measure>,
    /// The row of `timing.csv`.
    pub timing: Timing,
}

impl Finished {
    /// A finished cell.
    pub fn new(row: Row, timing: Timing) -> Self {
        Finished { measures: row.measures.clone(), row, timing }
    }
}

/// What a journal keeps: cells of an experiment, parts of a study.
pub trait Keep: Clone + Serialize + DeserializeOwned {
    /// Its content key.
    fn key(&self) -> &str;

    /// What the tables of a folder hold of it: rows that have not been edited.
    fn from_tables(folder: &Path) -> Vec<Self>;

    /// As it was before it was written to a journal.
    fn restored(self) -> Self {
        self
    }
}

impl Keep for Finished {
    fn key(&self) -> &str {
        &self.row.key
    }

    fn from_tables(folder: &Path) -> Vec<Self> {
        let exact: Vec<Row> = read_csv(&folder.join("exact.csv")).unwrap_or_default();
        let sampled = SampledRow::cells(read_csv(&folder.join("sampled.csv")).unwrap_or_default());
        let timings: Vec<Timing> = read_csv(&folder.join("timing.csv")).unwrap_or_default();
        let timings: HashMap<String, Timing> = timings.into_iter().map(|t| (t.key.clone(), t)).collect();
        // (A repository of results holds no timings.)
        let timing = |row: &Row| timings.get(&row.key).cloned().unwrap_or_else(|| unknown(row));
        let finished = |row: Row| Finished::new(row.clone(), timing(&row));
        exact.into_iter().filter(Row::is_sealed).chain(sampled).map(finished).collect()
    }

    fn restored(self) -> Self {
        Finished { row: Row { measures: self.measures.clone(), ..self.row }, ..self }
    }
}

impl Keep for Part {
    fn key(&self) -> &str {
        &self.key
    }

    fn from_tables(folder: &Path) -> Vec<Self> {
        let rows = read_csv(&folder.join("measured.csv")).unwrap_or_default();
        Part::from_rows(rows, read_csv(&folder.join("pictures.csv")).unwrap_or_default())
    }
}

/// A folder that one run at a time writes to.
#[derive(Debug)]
pub struct Store<T = Finished> {
    folder: PathBuf,
    journal: Mutex<File>,
    finished: HashMap<String, T>,
    resumed: bool,
}

const JOURNAL: &str = ".journal";

/// A hash of the source that computes numbers: results of another one are not reused.
pub fn source() -> &'static str {
    MORE.get().map_or(env!("SCOREBENCH_SOURCE"), String::as_str)
}

/// [`source`] of a program with solvers of its own.
static MORE: OnceLock<String> = OnceLock::new();

/// Says that solvers of another crate belong to this program: its source is then known by the executable itself.
pub(crate) fn has_more_source() {
    MORE.get_or_init(|| {
        let program = std::env::current_exe().and_then(fs::read).unwrap_or_default();
        format!("{}-{}", env!("SCOREBENCH_SOURCE"), &blake3::hash(&program).to_hex()[..16])
    });
}

impl<T: Keep> Store<T> {
    /// Opens (or makes) a folder and takes over what earlier runs of the same source finished there, unless `fresh`.
    ///
    /// # Errors
    /// A folder that cannot be written, or that another run is writing to.
    pub fn open(folder: &Path, fresh: bool) -> Result<Self> {
        let refused = |e: std::io::Error| {
            BadInput::about("--out", format!("cannot be written: {e}"), "give a folder you may write to")
                .file(folder)
        };
        fs::create_dir_all(folder).map_err(refused)?;
        let path = folder.join(JOURNAL);
        let mut journal =
            OpenOptions::new().create(true).read(true).append(true).open(&path).map_err(refused)?;
        if journal.try_lock().is_err() {
            return Err(BadInput::about(
                "--out",
                "is being written by another run",
                "wait for it, or give another folder",
            )
            .file(folder));
        }
        // Half-written files of a run that was killed.
        for entry in fs::read_dir(folder).map_err(refused)?.flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with('.') && name.to_string_lossy().ends_with(".tmp") {
                fs::remove_file(entry.path()).map_err(refused)?;
            }
        }
        let mut text = Vec::new();
        journal.read_to_end(&mut text).map_err(refused)?;
        let mut finished = HashMap::new();
        if fresh {
            journal.set_len(0).map_err(refused)?;
            text.clear();
        } else {
            finished = from_tables(folder);
            finished.extend(from_journal(&text).into_iter().map(|f: T| (f.key().to_string(), f)));
        }
        // A torn last line must not run into the next one.
        if text.last().is_some_and(|b| *b != b'\n') {
            journal.write_all(b"\n").map_err(refused)?;
        }
        let resumed = !text.is_empty();
        Ok(Store { folder: folder.into(), journal: Mutex::new(journal), finished, resumed })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it goes on where another run was cut off.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// A cell or part that was finished before, by its content key.
    pub fn get(&self, key: &str) -> Option<&T> {
        self.finished.get(key)
    }

    /// Writes a finished cell or part down.
    ///
    /// # Errors
    /// The file system's own.
    pub fn add(&self, cell: &T) -> std::io::Result<()> {
        let line = to_line(cell);
        self.journal.lock().expect("no panic while writing").write_all(line.as_bytes())
    }

    /// Writes the files of a finished run (name, bytes), each atomically, and closes the journal.
    ///
    /// # Errors
    /// The file system's own; the journal then stays.
    pub fn finish(self, files: &[(String, Vec<u8>)]) -> std::io::Result<()> {
        for (name, bytes) in files {
            let path = self.folder.join(name);
            // A file that would not change keeps its time stamp.
            if fs::read(&path).ok().as_ref() != Some(bytes) {
                write_atomically(&path, bytes)?;
            }
        }
        fs::remove_file(self.folder.join(JOURNAL))
    }
}

fn to_line(cell: &impl Keep) -> String {
    let body = serde_json::to_string(&(source(), cell)).expect("plain values");
    format!("{} {body}\n", checksum(&body))
}

fn checksum(body: &str) -> String {
    blake3::hash(body.as_bytes()).to_hex()[..16].to_string()
}

/// Whole lines of this source; torn, foreign or damaged ones are as if they had not been written.
fn from_journal<T: Keep>(text: &[u8]) -> Vec<T> {
    let whole = |line: &[u8]| -> Option<T> {
        let (sum, body) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        let (from, one): (String, T) = serde_json::from_str(body).ok()?;
        (sum == checksum(body) && from == source()).then(|| one.restored())
    };
    text.split(|b| *b == b'\n').filter_map(whole).collect()
}

/// What finished tables hold, if they are of this source.
fn from_tables<T: Keep>(folder: &Path) -> HashMap<String, T> {
    let manifest = fs::read_to_string(folder.join("manifest.toml")).unwrap_or_default();
    if !manifest.lines().any(|l| l == format!("source = \"{}\"", source())) {
        return HashMap::new();
    }
    T::from_tables(folder).into_iter().map(|one| (one.key().to_string(), one)).collect()
}

/// The timing of a row that has lost its own.
fn unknown(row: &Row) -> Timing {
    Timing { key: row.key.clone(), ..Timing::default() }
}

/// What the program was built with, beyond what it always has.
pub fn features() -> Vec<&'static str> {
    let all = [
        ("candle", cfg!(feature = "candle")),
        ("cuda", cfg!(feature = "cuda")),
        ("hub", cfg!(feature = "hub")),
        ("parquet", cfg!(feature = "parquet")),
    ];
    all.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect()
}

/// Where results come from: `manifest.toml`.
pub fn manifest(command: &str) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu =
        cpu.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut table = toml::Table::new();
    let mut put = |key: &str, value: toml::Value| {
        table.insert(key.into(), value);
    };
    put("command", command.into());
    put("commit", env!("SCOREBENCH_COMMIT").into());
    put("date", humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string().into());
    put("dirty", (env!("SCOREBENCH_DIRTY") == "true").into());
    put("features", toml::Value::Array(features().into_iter().map(Into::into).collect()));
    put(
        "machine",
        format!("{}, {cores} cores, {}", cpu.unwrap_or("unknown processor"), std::env::consts::ARCH).into(),
    );
    put("rustc", env!("SCOREBENCH_RUSTC").into());
    put("source", source().into());
    put("version", env!("CARGO_PKG_VERSION").into());
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(key: &str) -> Finished {
        let row = Row { key: key.into(), w2: Some(f64::INFINITY), kl: Some(0.1), steps: 3, ..Row::default() };
        Finished::new(row, Timing { key: key.into(), seconds: Some(0.5), ..Timing::default() })
    }

    #[test]
    fn a_torn_line_loses_itself_only() {
        let (a, b) = (to_line(&cell("a")), to_line(&cell("b")));
        for cut in 1..b.len() {
            let text = format!("{a}{}", &b[..cut]);
            let read: Vec<Finished> = from_journal(text.as_bytes());
            // The last byte is the newline, without which the line is still whole.
            let want = if cut + 1 == b.len() { 2 } else { 1 };
            assert_eq!(read.len(), want, "cut at {cut}");
            assert_eq!(read[0], cell("a"));
        }
    }

    #[test]
    fn a_damaged_line_is_dropped() {
        let line = to_line(&cell("a")).replace("1e-1", "2e-1");
        assert!(from_journal::<Finished>(line.as_bytes()).is_empty());
    }

    #[test]
    fn finished_cells_survive_reopening_and_fresh_forgets_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), false).expect("open");
        store.add(&cell("a")).expect("written");
        assert!(Store::<Finished>::open(folder.path(), false).is_err(), "one writer at a time");
        drop(store);
        let store = Store::open(folder.path(), false).expect("open");
        assert_eq!(store.get("a"), Some(&cell("a")));
        drop(store);
        let store: Store = Store::open(folder.path(), true).expect("open");
        assert_eq!(store.get("a"), None);
    }
}
