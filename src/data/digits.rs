//! The handwritten digits of the UCI Machine Learning Repository: 1797 grey images of 8 x 8 pixels, in the program itself.
//!
//! "Optical Recognition of Handwritten Digits" (the test set), E. Alpaydin and C. Kaynak 1998, doi:10.24432/C50P49,
//! licensed under CC BY 4.0, as shipped in scikit-learn's `digits.csv.gz`.
//!
//! ```
//! use scorebench::data::digits;
//! let threes = digits::points(Some(3), None)?;
//! assert_eq!((threes.len(), threes[0].len()), (183, 64));
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

use std::io::Read;

use crate::error::{BadInput, Result};

/// One image and what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digit {
    /// 64 counts from 0 (paper) to 16 (ink), row by row.
    pub pixels: Vec<u8>,
    /// 0 to 9.
    pub class: u8,
}

/// All of them, in the order of the file.
pub fn all() -> Vec<Digit> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(&include_bytes!("../../assets/digits.csv.gz")[..])
        .read_to_string(&mut text)
        .expect("the file is whole");
    let digit = |line: &str| {
        let mut pixels: Vec<u8> = line.split(',').map(|n| n.parse().expect("a small number")).collect();
        let class = pixels.pop().expect("the class comes last");
        Digit { pixels, class }
    };
    text.lines().map(digit).collect()
}

/// Images as points of 64 coordinates from -1 (paper) to 1 (ink), of one class or all, the first `count` or all.
///
/// # Errors
/// A class above 9, or a count of none or of more than there are.
pub fn points(class: Option<usize>, count: Option<usize>) -> Result<Vec<Vec<f64>>> {
    if let Some(class) = class.filter(|class| *class > 9) {
        return Err(BadInput::new("class", class, "is no digit", "give a number from 0 to 9"));
    }
    let scaled = |digit: Digit| digit.pixels.iter().map(|p| f64::from(*p) / 8.0 - 1.0).collect();
    let wanted =
        all().into_iter().filter(|digit| class.is_none_or(|class| usize::from(digit.class) == class));
    let mut points: Vec<Vec<f64>> = wanted.map(scaled).collect();
    if let Some(count) = count {
        if count == 0 || count > points.len() {
            let fix = format!("give a number from 1 to {}", points.len());
            return Err(BadInput::new("count", count, "is not to be had", fix));
        }
        points.truncate(count);
    }
    Ok(points)
}
