//! One result table as text: read whole or refused, with the line of what is wrong.

use std::collections::HashSet;

use crate::error::{BadInput, Result};

use super::Kind;

/// Cells of a table, one after the other, and the line that each row is on.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub kind: Kind,
    /// The folder it is in, seen from the source; empty for the source itself.
    pub place: String,
    /// What it is called in messages.
    pub file: String,
    /// As it was read, for an update.
    pub bytes: Vec<u8>,
    pub header: Vec<String>,
    text: String,
    ends: Vec<u32>,
    lines: Vec<u32>,
}

/// Where a table is from.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    pub place: String,
    /// The last part of its path.
    pub name: String,
    pub file: String,
}

impl Table {
    /// Whether it is in a result folder of this name, or in one below it.
    pub fn is_of(&self, name: &str) -> bool {
        self.place.split('/').next() == Some(name)
    }

    /// The table that bytes are, if their header is one; nothing where it is that of another file.
    ///
    /// # Errors
    /// Names the file, the line and the column of what is wrong.
    pub fn parse(origin: Origin, bytes: Vec<u8>) -> Result<Option<Self>> {
        let file = origin.file.clone();
        Self::read(origin, bytes).map_err(|e| e.file(file))
    }

    fn read(origin: Origin, bytes: Vec<u8>) -> Result<Option<Self>> {
        let text = whole(&bytes)?;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let mut record = csv::StringRecord::new();
        let header: Vec<String> = match reader.read_record(&mut record) {
            Ok(true) => record.iter().map(str::to_string).collect(),
            Ok(false) => return Err(empty()),
            Err(e) => return Err(broken(&e, 1)),
        };
        let Some(kind) = Kind::of(&header) else { return Ok(None) };
        check_header(kind, &header)?;
        let numbers: Vec<(usize, bool)> = numbers(kind, &header);
        let Origin { place, file, .. } = origin;
        let mut table = Table {
            kind,
            place,
            file,
            header,
            text: String::new(),
            ends: Vec::new(),
            lines: Vec::new(),
            bytes: Vec::new(),
        };
        let mut lines = Lines::new(text.as_bytes());
        loop {
            let start = reader.position().byte() as usize;
            let line = lines.at(start);
            match reader.read_record(&mut record) {
                Ok(true) => table.push(&record, line, &numbers)?,
                Ok(false) => break,
                Err(e) => return Err(broken(&e, line)),
            }
        }
        table.bytes = bytes;
        Ok(Some(table))
    }

    /// A table that nothing was written to.
    pub fn blank(kind: Kind, origin: Origin) -> Self {
        let Origin { place, file, .. } = origin;
        let (text, header) = (String::new(), Vec::new());
        Table { kind, place, file, header, text, ends: vec![], lines: vec![], bytes: vec![] }
    }

    fn push(&mut self, record: &csv::StringRecord, line: u32, numbers: &[(usize, bool)]) -> Result<()> {
        for &(column, whole) in numbers {
            let cell = &record[column];
            let fine = cell.is_empty()
                || if whole { cell.parse::<u64>().is_ok() } else { cell.parse::<f64>().is_ok() };
            if !fine {
                let key = format!("line {line}: {}", self.header[column]);
                let why = if whole { "is no whole number" } else { "is no number" };
                return Err(BadInput::new(&key, cell, why, ANEW));
            }
        }
        for cell in record {
            self.text.push_str(cell);
            let end = u32::try_from(self.text.len());
            self.ends.push(end.map_err(|_| BadInput::about("", "is larger than 4 GiB", "split it"))?);
        }
        self.lines.push(line);
        Ok(())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The cell of a row, by the number of its column.
    pub fn cell(&self, row: usize, column: usize) -> &str {
        let at = row * self.header.len() + column;
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.text[start..self.ends[at] as usize]
    }

    /// The line that a row starts on.
    pub fn line(&self, row: usize) -> u32 {
        self.lines[row]
    }

    /// Where a column is.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|h| h == name)
    }

    /// The cell in a column of this name; empty where there is no such column.
    pub fn named(&self, row: usize, name: &str) -> &str {
        self.column(name).map_or("", |column| self.cell(row, column))
    }
}

const ANEW: &str =
    "make it anew with `scorebench run --fresh`, or take it from the commit that it was whole in";

fn empty() -> BadInput {
    BadInput::about("line 1", "is where a header should be: the file is empty", ANEW)
}

/// The text of a file that was written to its end: UTF-8, closed quotes, a last newline; without a byte order mark.
fn whole(bytes: &[u8]) -> Result<&str> {
    let line = |upto: usize| 1 + bytes[..upto].iter().filter(|b| **b == b'\n').count();
    let at = |line: usize, why: &str| BadInput::about(&format!("line {line}"), why, ANEW);
    let text = std::str::from_utf8(bytes).map_err(|e| at(line(e.valid_up_to()), "is not UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(empty());
    }
    let (mut open, mut opened) = (false, 0);
    for (i, _) in bytes.iter().enumerate().filter(|(_, b)| **b == b'"') {
        (open, opened) = (!open, if open { opened } else { i });
    }
    if open {
        return Err(at(line(opened), "opens a quote that nothing closes"));
    }
    if !text.ends_with('\n') {
        return Err(at(line(bytes.len()), "is cut off: the file does not end in a newline"));
    }
    Ok(text)
}

fn broken(e: &csv::Error, line: u32) -> BadInput {
    let why = match e.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} cells, and the header has {expected_len}")
        }
        _ => format!("is no line of a table: {e}"),
    };
    BadInput::about(&format!("line {line}"), why, ANEW)
}

fn check_header(kind: Kind, header: &[String]) -> Result<()> {
    let mut seen = HashSet::new();
    if let Some(twice) = header.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(BadInput::new("line 1: header", twice, "is there twice", ANEW));
    }
    let lacks = |name: &&&str| !seen.contains(**name);
    if let Some(key) = kind.keys().iter().find(lacks) {
        let why =
            format!("lacks the column {key}, without which rows of {} cannot be told apart", kind.file());
        return Err(BadInput::about("line 1: header", why, ANEW));
    }
    Ok(())
}

/// Columns that must hold numbers, and whether whole ones.
fn numbers(kind: Kind, header: &[String]) -> Vec<(usize, bool)> {
    const WHOLE: &[&str] =
        &["nfe", "draws", "pilot_nfe", "worst_mode", "samples", "budget", "solvers", "threads", "modes"];
    let real: &[&str] = match kind {
        Kind::Exact => crate::record::NUMBERS,
        Kind::Sampled => &["value", "stderr", "floor", "excess", "excess_stderr", "p_value"],
        Kind::Orders => &["order", "stderr", "claimed", "floor"],
        Kind::Calls => &["target", "calls"],
        Kind::Ranks => &["rho", "rho_low", "rho_high", "tau", "p_value", "noise_low", "noise_high", "regret"],
        Kind::Measured => &["x", "value", "stderr"],
        Kind::Timing => &["seconds"],
    };
    let of = |name: &String| match name.as_str() {
        // Of a fit they are a list.
        "steps" => (kind != Kind::Orders).then_some(true),
        name if WHOLE.contains(&name) => Some(true),
        name => real.contains(&name).then_some(false),
    };
    header.iter().enumerate().filter_map(|(i, name)| Some((i, of(name)?))).collect()
}

/// Lines of byte offsets that only grow.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
}

impl<'a> Lines<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Lines { bytes, at: 0, line: 1 }
    }

    /// The line of the first byte from `offset` on that is no line end: where a record starts.
    fn at(&mut self, offset: usize) -> u32 {
        let mut to = offset.max(self.at);
        while self.bytes.get(to).is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            to += 1;
        }
        self.line += self.bytes[self.at..to].iter().filter(|b| **b == b'\n').count() as u32;
        self.at = to;
        self.line
    }
}
