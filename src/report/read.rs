//! Result folders, checked: a report never shows what it could not read.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::svg;
use crate::error::{BadInput, Result};
use crate::record::{LossRow, MeasuredRow, RankRow, ReachRow, Row, SampledRow, TileRow, Timing, read_csv};
use crate::results::{Summary, Tables};

/// One result folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    /// The folder's name.
    pub name: String,
    pub summary: Option<Summary>,
    /// Where the results come from: keys and values as text, in order.
    pub manifest: Vec<(String, String)>,
    pub figures: Vec<Figure>,
    pub tables: Vec<Table>,
    /// Rows as numbers can be looked up in.
    pub numbers: Tables,
    pub calls: Vec<ReachRow>,
    pub ranks: Vec<RankRow>,
    /// Solvers, in the order of the rows.
    pub solvers: Vec<String>,
    /// The first error that the experiment is about.
    pub metric: String,
    /// Runs without a finite result.
    pub failed_runs: usize,
}

/// A figure, checked and ready to stand in a page beside others.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub stem: String,
    pub svg: svg::Picture,
    /// The file's text.
    pub text: String,
}

/// A table, as it lies on disk.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub kind: Kind,
    pub text: String,
    pub rows: usize,
}

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Exact,
    Sampled,
    Orders,
    Calls,
    Ranks,
    Measured,
    Pictures,
    Loss,
    Timing,
}

impl Kind {
    const ALL: [Kind; 9] = [
        Kind::Exact,
        Kind::Sampled,
        Kind::Orders,
        Kind::Calls,
        Kind::Ranks,
        Kind::Measured,
        Kind::Pictures,
        Kind::Loss,
        Kind::Timing,
    ];

    pub fn file(self) -> &'static str {
        match self {
            Kind::Exact => "exact.csv",
            Kind::Sampled => "sampled.csv",
            Kind::Orders => "orders.csv",
            Kind::Calls => "calls.csv",
            Kind::Ranks => "ranks.csv",
            Kind::Measured => "measured.csv",
            Kind::Pictures => "pictures.csv",
            Kind::Loss => "loss.csv",
            Kind::Timing => "timing.csv",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Kind::Exact => "Errors of the exact laws",
            Kind::Sampled => "Errors on samples",
            Kind::Orders => "Orders of convergence",
            Kind::Calls => "Calls until W2 is small enough",
            Kind::Ranks => "Rankings",
            Kind::Measured => "Numbers of the study",
            Kind::Pictures => "Pictures",
            Kind::Loss => "Training",
            Kind::Timing => "Timings",
        }
    }
}

impl Section {
    /// Whether it is of a training rather than of an experiment.
    pub fn is_training(&self) -> bool {
        !self.tables.is_empty() && self.tables.iter().all(|t| t.kind == Kind::Loss)
    }

    pub fn table(&self, kind: Kind) -> Option<&Table> {
        self.tables.iter().find(|t| t.kind == kind)
    }

    /// The table of errors.
    pub fn errors(&self) -> Option<&Table> {
        self.table(Kind::Exact).or(self.table(Kind::Sampled))
    }

    /// A manifest's value as text.
    pub fn came_from(&self, key: &str) -> Option<&str> {
        self.manifest.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// The question; of a folder that does not say, its name.
    pub fn title(&self) -> &str {
        self.summary.as_ref().map_or(&self.name, |s| &s.question)
    }
}

/// Sections of all result folders in `folder`, by name; or of `folder` alone if it is one itself.
pub(super) fn sections(folder: &Path) -> Result<Vec<Section>> {
    if is_result(folder) {
        return Ok(vec![section(folder)?]);
    }
    let fix = "give a folder of results: `scorebench run` makes one";
    let refused = |e: std::io::Error| BadInput::about("", format!("cannot be read: {e}"), fix).file(folder);
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // What `run --quick` leaves is a try, not a result.
        if !name.starts_with('.') && !name.ends_with("-quick") && is_result(&path) {
            found.insert(path);
        }
    }
    if found.is_empty() {
        return Err(BadInput::about("", "holds no result folder (with a manifest.toml)", fix).file(folder));
    }
    found.iter().map(|path| section(path)).collect()
}

fn is_result(folder: &Path) -> bool {
    let holds = |name: &str| folder.join(name).is_file();
    holds("manifest.toml") || Kind::ALL.iter().any(|k| holds(k.file()))
}

fn section(folder: &Path) -> Result<Section> {
    let name = fs::canonicalize(folder).unwrap_or_else(|_| folder.into());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut section = Section { name, ..Section::default() };
    for kind in Kind::ALL {
        read_table(&mut section, folder, kind)?;
    }
    section.summary = Summary::read(folder)?;
    let claims = section.summary.as_ref().is_some_and(|s| !s.claims.is_empty());
    if section.tables.is_empty() && !claims {
        let fix = "run the experiment to its end";
        return Err(BadInput::about("", "holds a manifest but no table", fix).file(folder));
    }
    section.manifest = match toml_file(&folder.join("manifest.toml"))? {
        Some(table) => table.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        None => Vec::new(),
    };
    let stems = match &section.summary {
        Some(summary) => summary.figures.clone(),
        None => drawn(folder),
    };
    for (k, stem) in stems.into_iter().enumerate() {
        section.figures.push(figure(folder, stem).map_err(|e| e.within(&format!("figures[{k}]")))?);
    }
    Ok(section)
}

/// Reads a table if it is there, and takes over what the report says of it.
fn read_table(section: &mut Section, folder: &Path, kind: Kind) -> Result<()> {
    let path = folder.join(kind.file());
    if !path.exists() {
        return Ok(());
    }
    let rows = match kind {
        Kind::Exact => {
            let rows: Vec<Row> = read_csv(&path)?;
            section.failed_runs += rows.iter().filter(|r| !r.error.is_empty()).count();
            take_solvers(section, rows.iter().map(|r| &r.solver));
            section.metric = "w2".into();
            let n = rows.len();
            section.numbers.rows.extend(rows);
            n
        }
        Kind::Sampled => {
            let rows: Vec<SampledRow> = read_csv(&path)?;
            section.failed_runs += rows.iter().filter(|r| r.metric.is_empty()).count();
            take_solvers(section, rows.iter().map(|r| &r.solver));
            section.metric =
                rows.iter().map(|r| &r.metric).find(|m| !m.is_empty()).cloned().unwrap_or_default();
            let n = rows.len();
            section.numbers.rows.extend(SampledRow::cells(rows));
            n
        }
        Kind::Orders => {
            section.numbers.orders = read_csv(&path)?;
            if let Some(first) = section.numbers.orders.first() {
                section.metric = first.metric.clone();
            }
            section.numbers.orders.len()
        }
        Kind::Calls => keep(&mut section.calls, read_csv(&path)?),
        Kind::Ranks => keep(&mut section.ranks, read_csv(&path)?),
        Kind::Measured => {
            section.numbers.measured = read_csv::<MeasuredRow>(&path)?;
            section.numbers.measured.len()
        }
        Kind::Pictures => count::<TileRow>(&path)?,
        Kind::Loss => count::<LossRow>(&path)?,
        Kind::Timing => count::<Timing>(&path)?,
    };
    section.tables.push(Table { kind, text: text_of(&path)?, rows });
    Ok(())
}

fn keep<T>(place: &mut Vec<T>, rows: Vec<T>) -> usize {
    *place = rows;
    place.len()
}

fn count<T: DeserializeOwned>(path: &Path) -> Result<usize> {
    Ok(read_csv::<T>(path)?.len())
}

fn take_solvers<'a>(section: &mut Section, labels: impl Iterator<Item = &'a String>) {
    let mut seen: BTreeSet<String> = section.solvers.iter().cloned().collect();
    for label in labels {
        if seen.insert(label.clone()) {
            section.solvers.push(label.clone());
        }
    }
}

fn text_of(path: &Path) -> Result<String> {
    let fix = "make it anew with `scorebench run --fresh`";
    fs::read_to_string(path).map_err(|e| BadInput::about("", format!("cannot be read: {e}"), fix).file(path))
}

/// A TOML file, if it is there.
fn toml_file(path: &Path) -> Result<Option<toml::Table>> {
    if !path.exists() {
        return Ok(None);
    }
    let bad = |e: toml::de::Error| {
        // The parser's own message goes over lines and shows the text.
        let why = format!("is no TOML: {}", e.message().replace('\n', " "));
        BadInput::about("", why, "make it anew with `scorebench run`").file(path)
    };
    text_of(path)?.parse().map(Some).map_err(bad)
}

/// A value as a reader wants it: text without quotes, lists with commas.
fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(list) if list.is_empty() => "none".into(),
        toml::Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Stems of the pictures in a folder that does not say which it has: `figure` first, then by name.
fn drawn(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let stems = names.filter(|p| p.extension().is_some_and(|e| e == "svg"));
    let mut stems: Vec<String> =
        stems.map(|p| p.file_stem().unwrap_or_default().to_string_lossy().into_owned()).collect();
    stems.sort_by_key(|stem| (stem != "figure", stem.clone()));
    stems
}

fn figure(folder: &Path, stem: String) -> Result<Figure> {
    if Path::new(&stem).file_name().is_none_or(|name| name != stem.as_str()) {
        let fix = "name a file of the folder without `.svg`";
        return Err(BadInput::new("", &stem, "is no figure", fix).file(folder.join("summary.toml")));
    }
    let path = folder.join(format!("{stem}.svg"));
    let text = text_of(&path)?;
    let svg = svg::Picture::read(&text).map_err(|e| e.file(&path))?;
    Ok(Figure { stem, svg, text })
}
