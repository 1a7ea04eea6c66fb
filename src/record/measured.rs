//! What studies measure: `measured.csv` and `pictures.csv`.

use serde::{Deserialize, Serialize};

use super::{checked, number};
use crate::study::{Findings, Measured, Tile};

/// A number of a study: `measured.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeasuredRow {
    /// Name of the experiment (the file's stem).
    pub experiment: String,
    /// What it is: see [`crate::study::Study::QUANTITIES`].
    pub quantity: String,
    /// In which case: data, method.
    pub case: String,
    /// At which place, in the quantity's own unit; empty for single numbers.
    #[serde(with = "number")]
    pub x: Option<f64>,
    /// The number.
    #[serde(with = "number")]
    pub value: Option<f64>,
    /// Its standard error, if it is of samples.
    #[serde(with = "number")]
    pub stderr: Option<f64>,
    /// Content key of the part of the study that it belongs to.
    pub key: String,
    /// A hash of the row itself.
    pub check: String,
}

/// A grey picture of a study: `pictures.csv`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TileRow {
    /// Name of the experiment.
    pub experiment: String,
    /// The row of the table of pictures that it is in.
    pub row: String,
    /// The column.
    pub column: String,
    /// Pixels in a line.
    pub width: usize,
    /// Two hexadecimal digits a pixel, from the top left, line by line: 00 is black.
    pub pixels: String,
    /// Content key of the part of the study that it belongs to.
    pub key: String,
    /// A hash of the row itself.
    pub check: String,
}

/// A finished part of a study: what a journal keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Content key.
    pub key: String,
    /// Numbers.
    pub rows: Vec<MeasuredRow>,
    /// Pictures.
    pub tiles: Vec<TileRow>,
}

impl Part {
    /// What was found, under a key.
    pub fn new(experiment: &str, key: &str, found: &Findings) -> Self {
        let part = Part {
            key: key.into(),
            rows: found.rows.iter().map(MeasuredRow::of).collect(),
            tiles: found.tiles.iter().map(TileRow::of).collect(),
        };
        part.sealed(experiment)
    }

    /// The same numbers as they read in an experiment of this name.
    pub fn sealed(mut self, experiment: &str) -> Self {
        for row in &mut self.rows {
            (row.experiment, row.key) = (experiment.into(), self.key.clone());
            row.check = checked(&MeasuredRow { check: String::new(), ..row.clone() });
        }
        for tile in &mut self.tiles {
            (tile.experiment, tile.key) = (experiment.into(), self.key.clone());
            tile.check = checked(&TileRow { check: String::new(), ..tile.clone() });
        }
        self
    }

    /// Parts from the rows of tables, in order; none that has a row which does not read as it was written.
    pub fn from_rows(rows: Vec<MeasuredRow>, tiles: Vec<TileRow>) -> Vec<Self> {
        let mut parts: Vec<Part> = Vec::new();
        let place = |parts: &mut Vec<Part>, key: &str| -> usize {
            parts.iter().position(|p| p.key == key).unwrap_or_else(|| {
                parts.push(Part { key: key.into(), ..Part::default() });
                parts.len() - 1
            })
        };
        for row in rows {
            let at = place(&mut parts, &row.key);
            parts[at].rows.push(row);
        }
        for tile in tiles {
            let at = place(&mut parts, &tile.key);
            parts[at].tiles.push(tile);
        }
        parts.retain(|part| {
            let name =
                part.rows.iter().map(|r| &r.experiment).chain(part.tiles.iter().map(|t| &t.experiment));
            name.clone().next().is_some_and(|name| part.clone().sealed(name) == *part)
        });
        parts
    }
}

impl MeasuredRow {
    fn of(m: &Measured) -> Self {
        MeasuredRow {
            quantity: m.quantity.clone(),
            case: m.case.clone(),
            x: m.x,
            value: Some(m.value).filter(|v| !v.is_nan()),
            stderr: m.stderr,
            ..MeasuredRow::default()
        }
    }

    /// Whether it is at a place: equal to nine digits, as a number that was written by hand is.
    pub fn is_at(&self, x: f64) -> bool {
        self.x.is_some_and(|mine| mine == x || (mine - x).abs() <= 1e-9 * mine.abs().max(x.abs()))
    }
}

impl TileRow {
    fn of(tile: &Tile) -> Self {
        let grey = |v: &f64| format!("{:02x}", (255.0 * v.clamp(0.0, 1.0)).round() as u8);
        TileRow {
            row: tile.row.clone(),
            column: tile.column.clone(),
            width: tile.width,
            pixels: tile.pixels.iter().map(grey).collect(),
            ..TileRow::default()
        }
    }

    /// Grey values line by line, 0 black to 255 white; as many whole ones as can be read.
    pub fn greys(&self) -> Vec<u8> {
        let pair = |k: usize| u8::from_str_radix(self.pixels.get(2 * k..2 * k + 2)?, 16).ok();
        (0..self.pixels.len() / 2).map_while(pair).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::to_csv;

    fn part() -> Part {
        let mut found = Findings::default();
        found.put("kl", "ring", 0.1, 2.5e-3);
        found.single("norm", "ring, \"quoted\"", f64::INFINITY);
        found.tile("a", "b", 2, vec![0.0, 1.0, 0.5, -3.0]);
        Part::new("demo", "k", &found)
    }

    #[test]
    fn parts_read_back_as_they_were_written_and_edited_ones_do_not() {
        let part = part();
        let read = |text: &str| -> Vec<MeasuredRow> {
            csv::Reader::from_reader(text.as_bytes()).deserialize().map(|r| r.expect("a row")).collect()
        };
        let text = to_csv(&part.rows);
        assert_eq!(Part::from_rows(read(&text), part.tiles.clone()), std::slice::from_ref(&part));
        let edited = read(&text.replace("2.5e-3", "2.4e-3"));
        assert!(Part::from_rows(edited, part.tiles.clone()).is_empty());
        assert_eq!(part.tiles[0].pixels, "00ff8000");
        assert_eq!(part.tiles[0].greys(), [0, 255, 128, 0]);
    }

    #[test]
    fn places_are_equal_to_nine_digits() {
        let row = MeasuredRow { x: Some(0.1 + 0.2), ..MeasuredRow::default() };
        assert!(row.is_at(0.3) && !row.is_at(0.300_001));
        assert!(!MeasuredRow::default().is_at(0.0));
    }
}
