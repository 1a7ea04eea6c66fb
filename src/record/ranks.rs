//! How rankings of solvers on two data laws agree: `ranks.csv`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::number;

/// Whether the ranking on one data law predicts that on another, at one budget: `ranks.csv`. Its [`Display`](fmt::Display)
/// is what is said of it on a terminal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RankRow {
    /// Name of the experiment.
    pub experiment: String,
    /// Label of the data whose ranking is predicted.
    pub data: String,
    /// Label of the data whose ranking predicts.
    pub by: String,
    /// Label of the schedule.
    pub schedule: String,
    /// Label of the grid.
    pub grid: String,
    /// Law the runs start from.
    pub init: String,
    /// How samples were drawn and kept; empty for exact laws.
    pub mode: String,
    /// The error that ranks.
    pub metric: String,
    /// What the budget counts: `calls` or `steps`.
    pub unit: String,
    /// Model calls at most, or steps.
    pub budget: usize,
    /// Solvers with a value on both, those that diverged included.
    pub solvers: usize,
    /// Spearman's rank correlation.
    #[serde(with = "number")]
    pub rho: Option<f64>,
    /// Lower end of the 95 % interval of the rho of all solvers of which these are a sample.
    #[serde(with = "number")]
    pub rho_low: Option<f64>,
    /// Upper end.
    #[serde(with = "number")]
    pub rho_high: Option<f64>,
    /// Kendall's tau-b.
    #[serde(with = "number")]
    pub tau: Option<f64>,
    /// Of rho, two-sided, without association.
    #[serde(with = "number")]
    pub p_value: Option<f64>,
    /// Lower end of the middle 95 % of rho as errors move within their standard errors; empty where some have none.
    #[serde(with = "number")]
    pub noise_low: Option<f64>,
    /// Upper end.
    #[serde(with = "number")]
    pub noise_high: Option<f64>,
    /// The solver that the predictor ranks first (the first listed, of equals).
    pub best: String,
    /// What following the prediction costs: the error of `best` on `data`, by the least there. Empty where the least is not
    /// above 0: nothing was seen of it.
    #[serde(with = "number")]
    pub regret: Option<f64>,
    /// Why there is no rho; empty if there is.
    pub error: String,
}

impl fmt::Display for RankRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {} at {} {}: ", self.data, self.by, self.budget, self.unit)?;
        let found = (self.rho, self.rho_low, self.rho_high, self.tau);
        let (Some(rho), Some(low), Some(high), Some(tau)) = found else {
            return write!(f, "no rho ({})", self.error);
        };
        write!(f, "rho {rho:.2} [{low:.2}, {high:.2}]")?;
        if let Some((low, high)) = self.noise_low.zip(self.noise_high) {
            write!(f, " (noise: {low:.2} to {high:.2})")?;
        }
        write!(f, ", tau {tau:.2}, {} solvers", self.solvers)?;
        match self.regret {
            Some(cost) if cost.is_finite() => write!(f, "; first choice {} costs {cost:.2}x", self.best),
            Some(_) => write!(f, "; first choice {} diverges", self.best),
            None => Ok(()),
        }
    }
}

/// A row of `ranks.csv`, and the errors behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The row.
    pub row: RankRow,
    /// Errors of the solvers that have one on both, in the order of the experiment.
    pub pairs: Vec<Pair>,
}

/// A solver's errors on two data laws.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Label of the solver.
    pub solver: String,
    /// Its error on the data whose ranking predicts.
    pub by: RankedError,
    /// Its error on the other data.
    pub on: RankedError,
}

/// An error by which solvers are ranked, in the metric's own unit (of a distance above its sampling floor: see
/// [`super::Measure::signed`]). Infinite where the run diverged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankedError {
    /// The error.
    pub value: f64,
    /// Its standard error, where it has one.
    pub stderr: Option<f64>,
}
