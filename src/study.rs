//! Studies: claims about diffusion that are no table of solver errors, each put to numbers.
//!
//! A study has independent parts (a data law, a method), and a part measures *quantities*: numbers, most of them along
//! something (`x`: a step size, a time, a frequency). What is expected of them, and how they are drawn, is the
//! experiment's to say; this module computes.
//!
//! ```
//! use scorebench::study::Findings;
//! let mut found = Findings::default();
//! found.put("amplification", "naive inverse", 3.0, 81.0);
//! assert_eq!(found.rows[0].quantity, "amplification");
//! ```

use crate::error::Result;

mod heat;
mod heat_equation;
mod inverse_heat;
mod inversion;
mod kind;
mod line;
mod measured_elsewhere;
mod one_step;
mod reverse_transition;
mod score_geometry;
#[cfg(feature = "candle")]
mod trained_score;

pub use heat_equation::HeatEquation;
pub use inverse_heat::InverseHeat;
pub use inversion::Inversion;
pub use kind::Kind;
pub use measured_elsewhere::MeasuredElsewhere;
pub use one_step::OneStep;
pub use reverse_transition::ReverseTransition;
pub use score_geometry::ScoreGeometry;
#[cfg(feature = "candle")]
pub use trained_score::TrainedScore;

/// What a study measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    /// Its name in tables and experiments: words.
    pub name: &'static str,
    /// What its `x` is, with its unit: the title of an axis. Empty for single numbers.
    pub across: &'static str,
    /// What the number is, with its unit: the title of an axis.
    pub up: &'static str,
}

/// A claim that can be measured. Parts are independent of each other and of the order in which they are asked for.
pub trait Study {
    /// What it measures.
    const QUANTITIES: &'static [Quantity];

    /// Whether its parameters make sense.
    ///
    /// # Errors
    /// Names the key, the value and the fix.
    fn check(&self) -> Result<()>;

    /// Cuts it down to what runs in a second or two and still means something.
    fn make_quick(&mut self);

    /// Names of its parts.
    fn parts(&self) -> Vec<String>;

    /// Measures a part: the same numbers on any machine, but for round-off.
    fn measure(&self, part: &str) -> Findings;
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Numbers.
    pub rows: Vec<Measured>,
    /// Pictures.
    pub tiles: Vec<Tile>,
}

/// A number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// What it is of: see [`Study::QUANTITIES`].
    pub quantity: String,
    /// In which case: data, method.
    pub case: String,
    /// At which place, in the quantity's own unit; `None` for single numbers.
    pub x: Option<f64>,
    /// The number.
    pub value: f64,
    /// Its standard error, if it is of samples.
    pub stderr: Option<f64>,
}

/// A grey picture in a table of pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tile {
    /// The row of the table it is in, by its label.
    pub row: String,
    /// The column.
    pub column: String,
    /// Pixels in a line.
    pub width: usize,
    /// From the top left, line by line: 0 is black, 1 is white; what is outside is cut.
    pub pixels: Vec<f64>,
}

impl Findings {
    /// Adds a number at a place.
    pub fn put(&mut self, quantity: &str, case: impl Into<String>, x: f64, value: f64) {
        self.rows.push(Measured {
            quantity: quantity.into(),
            case: case.into(),
            x: Some(x),
            value,
            stderr: None,
        });
    }

    /// Adds a number that is of no place.
    pub fn single(&mut self, quantity: &str, case: impl Into<String>, value: f64) {
        self.rows.push(Measured {
            quantity: quantity.into(),
            case: case.into(),
            x: None,
            value,
            stderr: None,
        });
    }

    /// Adds a mean over samples with its standard error.
    pub fn sampled(&mut self, quantity: &str, case: impl Into<String>, x: Option<f64>, mean: (f64, f64)) {
        let (value, stderr) = (mean.0, Some(mean.1));
        self.rows.push(Measured { quantity: quantity.into(), case: case.into(), x, value, stderr });
    }

    /// Adds a picture.
    pub fn tile(&mut self, row: &str, column: impl Into<String>, width: usize, pixels: Vec<f64>) {
        self.tiles.push(Tile { row: row.into(), column: column.into(), width, pixels });
    }
}
