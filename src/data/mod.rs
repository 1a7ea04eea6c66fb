//! Laws of the data whose noised score is known in closed form.

pub mod gaussian;
pub mod mixture;

pub use gaussian::{Gaussian, Modes, Moments};
pub use mixture::{Covariance, Mixture};

/// Names as written in an experiment, each with a one-line description.
pub const LIST: &[(&str, &str)] = &[
    (
        "gaussian",
        "N(mean, variance) per mode; or a full covariance; or spectrum = \"file.csv\", one variance a line",
    ),
    ("power-law", "centred, variances k^-p for k = 1..modes"),
];
