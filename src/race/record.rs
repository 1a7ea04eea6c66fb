//! Tables of a race. What is infinite is `inf` in CSV and null in JSON.

use serde::Serialize;

/// How the new solver fares against one baseline: `race.csv`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// Label of the new solver.
    pub solver: String,
    /// Label of the baseline.
    pub against: String,
    /// Points (a problem at so many calls) at which the new solver's error is the smaller one.
    pub wins: usize,
    /// At which they differ by no more than the margin, or than noise.
    pub ties: usize,
    /// At which the baseline's is the smaller one.
    pub losses: usize,
    /// Problems that both solvers run on.
    pub problems: usize,
    /// Problems whose median point the new solver wins.
    pub won: usize,
    /// Problems whose median point is a tie.
    pub tied: usize,
    /// Problems whose median point it loses.
    pub lost: usize,
    /// Geometric mean over problems (of that over each one's points) of its error by the baseline's; below 1 is better.
    pub ratio: Option<f64>,
    /// Lower end of the 95 % interval over problems like these; none of fewer than five.
    pub ratio_low: Option<f64>,
    /// Upper end.
    pub ratio_high: Option<f64>,
    /// The ratio on problems with exact laws.
    pub ratio_spectra: Option<f64>,
    /// On mixtures.
    pub ratio_mixtures: Option<f64>,
    /// On images.
    pub ratio_images: Option<f64>,
    /// Sign test on won and lost problems, two-sided.
    pub p_value: Option<f64>,
    /// The same, corrected for the number of baselines (Holm).
    pub p_holm: Option<f64>,
    /// The least that `p_value` could have been.
    pub p_least: Option<f64>,
    /// `better` or `worse`, where `p_holm` is at most 0.05 and the interval leaves out 1; else `undecided`.
    pub verdict: String,
}

/// The same on one problem: `problems.csv`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProblemRow {
    /// The problem.
    pub problem: String,
    /// `spectrum`, `mixture` or `images`.
    pub kind: String,
    /// The error that is compared.
    pub metric: String,
    /// Label of the new solver.
    pub solver: String,
    /// Label of the baseline.
    pub against: String,
    /// Points won.
    pub wins: usize,
    /// Points tied.
    pub ties: usize,
    /// Points lost.
    pub losses: usize,
    /// Geometric mean over points of the new solver's error by the baseline's.
    pub ratio: Option<f64>,
    /// `won`, `tied` or `lost`; empty where the two have no calls in common.
    pub outcome: String,
}

/// Two solvers at as many calls: `points.csv`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PointRow {
    /// The problem.
    pub problem: String,
    /// The error that is compared.
    pub metric: String,
    /// Label of the new solver.
    pub solver: String,
    /// Label of the baseline.
    pub against: String,
    /// Model calls.
    pub calls: usize,
    /// The new solver's error, interpolated where none of its runs took as many calls.
    pub error: Option<f64>,
    /// The baseline's.
    pub error_against: Option<f64>,
    /// The ratio that counts: see [`super::compare`].
    pub ratio: Option<f64>,
    /// Standard error of the ratio's logarithm, where errors are of samples.
    pub ln_stderr: Option<f64>,
    /// `win`, `tie` or `loss`.
    pub outcome: String,
}

/// Calls until the error is small enough for good: `calls.csv`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallsRow {
    /// The problem.
    pub problem: String,
    /// The error.
    pub metric: String,
    /// The error to reach, as a share of the data's root mean square.
    pub fraction: Option<f64>,
    /// The error to reach.
    pub target: Option<f64>,
    /// Label of the solver.
    pub solver: String,
    /// Calls, interpolated between runs, to four digits; the fewest run where all reach it; empty where none does.
    pub calls: Option<f64>,
    /// The new solver's calls by these, to four digits: below 1 it is cheaper; `inf` where only this one gets there, and empty
    /// where it does not.
    pub ratio: Option<f64>,
}
