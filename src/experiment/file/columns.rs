//! Tables in CSV: one line a step, or a level.

use toml::{Table, Value};

use super::LEVELS;
use crate::config::suggest;
use crate::error::{BadInput, Result};

/// The columns of coefficients, in the words of [`crate::solver::coefficients::Coefficients`].
pub(super) fn coefficients(text: &str) -> Result<Table> {
    let sheet = Sheet::read(text, None)?;
    let columns: Vec<Column> = sheet.head.iter().map(|name| Column::named(name)).collect::<Result<_>>()?;
    let mut table = Table::from_iter([("name".to_string(), Value::from("coefficients"))]);
    for (j, key) in columns.iter().enumerate().filter_map(|(j, c)| Some((j, c.level()?))) {
        table.insert(key.into(), sheet.levels(j)?.into());
    }
    let rows = sheet.steps(&columns)?;
    for key in ["x", "d", "eps", "u"] {
        let mine = |column: &Column| column.weighs().filter(|(of, _)| *of == key).map(|(_, place)| place);
        if columns.iter().any(|column| mine(column).is_some()) {
            let lists: Vec<Value> = (rows.iter().enumerate())
                .map(|(step, row)| Ok(sheet.weights(row, step, columns.iter().map(mine))?.into()))
                .collect::<Result<_>>()?;
            table.insert(key.into(), lists.into());
        }
    }
    for (missing, keys) in [("x", &["x"][..]), ("d0 (or eps0, or u0)", &["d", "eps", "u"])] {
        if !keys.iter().any(|key| table.contains_key(*key)) {
            let why = format!("line {}: has no column {missing}", sheet.line);
            return Err(BadInput::about("", why, "give a header such as sigma,x,d0,d1,noise"));
        }
    }
    if let Some(j) = columns.iter().position(|c| matches!(c, Column::Noise)) {
        let noise = rows.iter().map(|row| Ok(sheet.number(row, j)?.unwrap_or(0.0)));
        table.insert("noise".into(), noise.collect::<Result<Vec<f64>>>()?.into());
    }
    Ok(table)
}

/// The columns of levels; `of` names the only column of a file without a header.
pub(super) fn levels(text: &str, of: Option<&str>) -> Result<Table> {
    let number = |cell: &str| cell.trim().parse::<f64>().is_ok();
    let headless = first_line(text).is_some_and(|line| line.split(',').all(number));
    if headless && of.is_none() {
        let fix = "begin with a line that says t, sigma or lambda, or add of = \"sigma\" beside file";
        return Err(BadInput::about("", "does not say what its levels are", fix));
    }
    let sheet = Sheet::read(text, of.filter(|_| headless))?;
    let mut table = Table::new();
    for (j, name) in sheet.head.iter().enumerate() {
        // The coefficients of the same file are nothing to a grid.
        if let Some(key) = Column::named(name)?.level() {
            table.insert(key.into(), sheet.levels(j)?.into());
        }
    }
    Ok(table)
}

fn first_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))
}

/// What a column holds.
#[derive(Clone, Copy, Debug)]
enum Column {
    /// Levels, by this name.
    Level(&'static str),
    /// Weights of states or of what the model says.
    Weight(&'static str, Place),
    Noise,
}

/// Which value a weight is of.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// So many steps back.
    Back(usize),
    /// That of this step.
    At(usize),
}

impl Place {
    /// How many steps back that is at a step, if it is there yet.
    fn back(self, step: usize) -> Option<usize> {
        match self {
            Place::Back(k) => Some(k),
            Place::At(k) => step.checked_sub(k),
        }
    }
}

/// No sampler looks back further; an index above this is a slip.
const MOST: usize = 10_000;

impl Column {
    fn named(name: &str) -> Result<Self> {
        if let Some(key) = LEVELS.into_iter().find(|key| *key == name) {
            return Ok(Column::Level(key));
        }
        if name == "noise" {
            return Ok(Column::Noise);
        }
        for key in ["x", "d", "eps", "u"] {
            let Some(rest) = name.strip_prefix(key) else { continue };
            let index = |text: &str| text.parse().ok().filter(|k| *k <= MOST);
            let place = match (rest, rest.strip_prefix('@')) {
                ("", _) => Some(Place::Back(0)),
                (_, Some(step)) => index(step).map(Place::At),
                (back, None) => index(back).map(Place::Back),
            };
            if let Some(place) = place {
                return Ok(Column::Weight(key, place));
            }
        }
        let known = ["t", "sigma", "lambda", "x", "x1", "d0", "d1", "eps0", "eps1", "u0", "noise", "d@0"];
        Err(BadInput::about("", format!("has a column {name:?} that is not known"), suggest(name, &known)))
    }

    fn level(&self) -> Option<&'static str> {
        match self {
            Column::Level(key) => Some(key),
            _ => None,
        }
    }

    fn weighs(&self) -> Option<(&'static str, Place)> {
        match self {
            Column::Weight(key, place) => Some((key, *place)),
            _ => None,
        }
    }
}

/// Cells as they are written, under a header.
struct Sheet {
    head: Vec<String>,
    /// Where the header is.
    line: usize,
    rows: Vec<Line>,
}

/// One line of a sheet.
struct Line {
    line: usize,
    cells: Vec<String>,
}

/// The cells of one line. (Line by line, since the reader of whole files does not count comments.)
fn cells(line: &str) -> Option<Vec<String>> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(line.as_bytes());
    let record = reader.records().next()?.ok()?;
    Some(record.iter().map(String::from).collect())
}

impl Sheet {
    /// Reads a sheet; `head` is the header of one that has none.
    fn read(text: &str, head: Option<&str>) -> Result<Self> {
        let bad = |why: String, fix: &str| Err(BadInput::about("", why, fix));
        let mut rows = Vec::new();
        for (i, text) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = i + 1;
            if text.trim().is_empty() || text.starts_with('#') {
                continue;
            }
            match cells(text) {
                Some(cells) => rows.push(Line { line, cells }),
                None => {
                    return bad(format!("line {line}: is no line of a table"), "separate cells by commas");
                }
            }
        }
        if rows.is_empty() {
            return bad("is empty".into(), "give a header and a line for every step");
        }
        let Line { line, cells: head } = match head {
            Some(name) => Line { line: 0, cells: vec![name.into()] },
            None => rows.remove(0),
        };
        if let Some((_, name)) = head.iter().enumerate().find(|(j, name)| head[..*j].contains(name)) {
            return bad(format!("line {line}: has the column {name:?} twice"), "remove one");
        }
        if let Some(row) = rows.iter().find(|row| row.cells.len() != head.len()) {
            let (have, want) = (row.cells.len(), head.len());
            let why = format!("line {}: has {have} cells where the header has {want}", row.line);
            return bad(why, "give a cell for every column; an empty one is 0");
        }
        if rows.is_empty() {
            return bad(format!("has nothing below its header in line {line}"), "give a line for every step");
        }
        Ok(Sheet { head, line, rows })
    }

    /// The lines of steps: all, but for the last where there are levels, which has a level alone.
    fn steps(&self, columns: &[Column]) -> Result<&[Line]> {
        if !columns.iter().any(|column| column.level().is_some()) {
            return Ok(&self.rows);
        }
        let (last, steps) = self.rows.split_last().expect("a sheet has rows");
        let filled = |j: &usize| columns[*j].level().is_none() && !last.cells[*j].is_empty();
        if let Some(j) = (0..columns.len()).find(filled) {
            let why = format!("line {}: has {} = {:?}", last.line, self.head[j], last.cells[j]);
            return Err(BadInput::about("", why, "end with a line that has the last level and nothing else"));
        }
        if steps.is_empty() {
            return Err(BadInput::about("", "has no row of coefficients", "give one line a step"));
        }
        Ok(steps)
    }

    /// A step's weights, newest first; `places` says for each column what it weighs, if it is one of them.
    fn weights(
        &self,
        row: &Line,
        step: usize,
        places: impl Iterator<Item = Option<Place>>,
    ) -> Result<Vec<f64>> {
        let mut weights: Vec<f64> = Vec::new();
        for (j, place) in places.enumerate().filter_map(|(j, place)| Some((j, place?))) {
            let weight = self.number(row, j)?.unwrap_or(0.0);
            if weight != 0.0 {
                let back = place.back(step).filter(|back| *back <= step);
                let back =
                    back.ok_or_else(|| self.bad(row, j, "weighs what is not there yet at that step"))?;
                weights.resize(weights.len().max(back + 1), 0.0);
                weights[back] += weight;
            }
        }
        Ok(weights)
    }

    fn bad(&self, row: &Line, j: usize, why: &str) -> BadInput {
        let (name, cell) = (&self.head[j], &row.cells[j]);
        BadInput::about("", format!("line {}: {name} = {cell:?} {why}", row.line), "correct that cell")
    }

    /// A cell's number, if it is not empty.
    fn number(&self, row: &Line, j: usize) -> Result<Option<f64>> {
        match row.cells[j].as_str() {
            "" => Ok(None),
            cell => match cell.parse::<f64>() {
                Ok(x) if x.is_finite() => Ok(Some(x)),
                Ok(_) => Err(self.bad(row, j, "is not finite")),
                Err(_) => Err(self.bad(row, j, "is not a number")),
            },
        }
    }

    /// A column of levels: no cell is empty, and noise may be infinite.
    fn levels(&self, j: usize) -> Result<Vec<f64>> {
        let level = |row: &Line| match row.cells[j].parse::<f64>() {
            Ok(x) if !x.is_nan() => Ok(x),
            _ => Err(self.bad(row, j, "is no level")),
        };
        self.rows.iter().map(level).collect()
    }
}
