//! Finite data sets: every point a mode. What a network that fits its training data perfectly would learn.

use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageDecoder, ImageReader};

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
                    return Err(too_large("csv", file, size));
                }
            }
        }
    }
    if points.is_empty() { Err(bad("holds no point".into())) } else { Ok(points) }
}

/// The images of a folder, by name: PNG or JPEG, all of one size, all grey or all in colour (other files are left alone).
/// A point is an image's values from -1 (black) to 1, row after row, in colour all red ones first, then green, then blue.
///
/// # Errors
/// A folder without images, or an image that cannot be read, is transparent, or differs from the first; it is named.
pub fn images(folder: &Path) -> Result<Vec<Vec<f64>>> {
    let bad = |why: String, fix: &str| BadInput::new("folder", folder, why, fix);
    let unreadable =
        |e: std::io::Error| bad(format!("cannot be read: {e}"), "give a folder with PNG or JPEG images");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect())
        .map_err(unreadable)?;
    files.retain(|file| {
        let kind = file.extension().unwrap_or_default().to_ascii_lowercase();
        ["png", "jpg", "jpeg"].iter().any(|known| kind == *known)
    });
    files.sort();
    let Some(first) = files.first() else {
        return Err(bad("holds no PNG or JPEG image".into(), "give a folder with some"));
    };
    let mut shape = None;
    let mut points = Vec::new();
    for file in &files {
        let wrong = |why: String, fix: &str| BadInput::new("folder", file, why, fix);
        let decoder = ImageReader::open(file)
            .and_then(ImageReader::with_guessed_format)
            .map_err(|e| wrong(format!("cannot be read: {e}"), "remove it"))?
            .into_decoder()
            .map_err(|e| wrong(format!("is no image: {e}"), "remove it"))?;
        let ((width, height), colour) = (decoder.dimensions(), decoder.color_type());
        if colour.has_alpha() {
            return Err(wrong("has a transparency channel".into(), "save it without one"));
        }
        let this = Shape { width, height, colour: colour.has_color() };
        let expected = *shape.get_or_insert(this);
        if this != expected {
            let name = first.file_name().unwrap_or_default().display();
            let why = format!("is {this} where {name} is {expected}");
            return Err(wrong(why, "give images of one size and kind"));
        }
        let size = (files.len(), this.numbers());
        if !fits(size.0, size.1) {
            return Err(too_large("folder", folder, size));
        }
        let image = DynamicImage::from_decoder(decoder)
            .map_err(|e| wrong(format!("cannot be decoded: {e}"), "replace or remove it"))?;
        points.push(values(image, this.colour));
    }
    Ok(points)
}

/// Size and kind of an image.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    width: u32,
    height: u32,
    colour: bool,
}

impl Shape {
    fn numbers(self) -> usize {
        (self.width as usize).saturating_mul(self.height as usize).saturating_mul(self.channels())
    }
    fn channels(self) -> usize {
        if self.colour { 3 } else { 1 }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {} {}", self.width, self.height, if self.colour { "in colour" } else { "grey" })
    }
}

/// Values of an image, channel after channel. In 16 bits an 8-bit value `v` is `257 v`: the same fraction of white.
fn values(image: DynamicImage, colour: bool) -> Vec<f64> {
    let scaled = |v: u16| f64::from(v) / 65535.0 * 2.0 - 1.0;
    if !colour {
        return image.into_luma16().into_raw().into_iter().map(scaled).collect();
    }
    let pixels = image.into_rgb16().into_raw();
    (0..3).flat_map(|channel| pixels.iter().skip(channel).step_by(3).map(|v| scaled(*v))).collect()
}

fn too_large(key: &str, path: &Path, (points, numbers): (usize, usize)) -> BadInput {
    let why = format!("holds at least {points} points of {numbers} numbers: too many to hold");
    BadInput::new(key, path, why, format!("stay below {MOST_NUMBERS} numbers in all"))
}
