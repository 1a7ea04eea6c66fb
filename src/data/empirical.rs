//! Finite data sets: every point a mode. What a network that fits its training data perfectly would learn.

use std::path::Path;

use super::preset::{MOST_NUMBERS, check_std, fits};
use super::{Covariance, Mixture};
use crate::error::{BadInput, Result};

/// Equal modes at the points, N(0, std^2) about each in every coordinate: 0 for point masses, more for a kernel density.
///
/// # Errors
/// No points, points of different lengths, numbers that are not finite, or a standard deviation below 0.
pub fn kernels(points: Vec<Vec<f64>>, std: f64) -> Result<Mixture> {
    check_std("std", std)?;
    let dim = points.first().map_or(0, Vec::len);
    if dim == 0 {
        return Err(BadInput::about("points", "hold no number", "give a list of points of the same length"));
    }
    for (i, point) in points.iter().enumerate() {
        let key = format!("points[{i}]");
        if point.len() != dim {
            let why = format!("has {} numbers where points[0] has {dim}", point.len());
            return Err(BadInput::about(&key, why, "give points of one length"));
        }
        if let Some(j) = point.iter().position(|x| !x.is_finite()) {
            let key = format!("{key}[{j}]");
            return Err(BadInput::new(&key, point[j], "is not finite", "give finite numbers"));
        }
    }
    let variance = Covariance::Isotropic(std * std);
    Mixture::new(points.into_iter().map(|p| (1.0, p, variance.clone())).collect())
}

/// The rows of a CSV file, one point a line; a first line with a word in it is a header, lines that start with `#` are
/// comments.
///
/// # Errors
/// A file that cannot be read, has no rows, rows of different lengths or entries that are no finite numbers, or is too
/// large; the line is named.
pub fn csv(file: &Path) -> Result<Vec<Vec<f64>>> {
    let bad = |why: String| BadInput::new("csv", file, why, "give a file with one point a line");
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_path(file)
        .map_err(|e| bad(format!("cannot be read: {e}")))?;
    let mut points: Vec<Vec<f64>> = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|e| match e.kind() {
            csv::ErrorKind::Utf8 { .. } => bad("is not UTF-8 text".into()),
            _ => bad(format!("cannot be read: {e}")),
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let number = |text: &str| text.parse::<f64>().map_err(|_| text.to_string());
        match record.iter().map(number).collect::<std::result::Result<Vec<f64>, String>>() {
            Err(word) if row == 0 && word.starts_with(char::is_alphabetic) => {}
            Err(word) => return Err(bad(format!("line {line}: {word:?} is not a number"))),
            Ok(point) => {
                if let Some(x) = point.iter().find(|x| !x.is_finite()) {
                    return Err(bad(format!("line {line}: {x:?} is not finite")));
                }
                if points.first().is_some_and(|first| first.len() != point.len()) {
                    let (n, first) = (point.len(), points[0].len());
                    return Err(bad(format!("line {line} has {n} numbers where the first has {first}")));
                }
                points.push(point);
                let size = (points.len(), points[0].len());
                if !fits(size.0, size.1) {
                    return Err(too_large(file, size));
                }
            }
        }
    }
    if points.is_empty() { Err(bad("holds no point".into())) } else { Ok(points) }
}

fn too_large(file: &Path, (points, numbers): (usize, usize)) -> BadInput {
    let why = format!("holds at least {points} points of {numbers} numbers: too many to hold");
    BadInput::new("csv", file, why, format!("stay below {MOST_NUMBERS} numbers in all"))
}
