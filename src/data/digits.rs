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

use super::images::{Class, Images, Select};
use crate::error::Result;

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
/// As [`Images::digits`].
pub fn points(class: Option<u32>, count: Option<usize>) -> Result<Vec<Vec<f64>>> {
    let select = Select { class: class.map(Class::Number), count, split: None };
    Ok(Images::digits(&select)?.points())
}
