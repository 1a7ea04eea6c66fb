//! Annealed Langevin dynamics of NCSN (Song & Ermon 2019, algorithm 1).
use super::predictor_corrector::langevin_variance;
use super::*;
use crate::error::BadInput;

/// At every level `i` of the grid, `steps_per_level` times `y + a_i/2 score + sqrt(a_i) z` with
/// `a_i = epsilon kappa_i^2/kappa_N^2`, in `y = x/alpha`, where every schedule is the paper's variance-exploding one.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AnnealedLangevin {
    /// Step size at the last level (the paper's `epsilon`, for images).
    pub epsilon: f64,
    /// Langevin steps at every level, first and last included (the paper's `T`).
    pub steps_per_level: usize,
}

impl Default for AnnealedLangevin {
    fn default() -> Self {
        AnnealedLangevin { epsilon: 2e-5, steps_per_level: 100 }
    }
}

impl Sample for AnnealedLangevin {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let end = grid[grid.len() - 1].kappa();
        for (i, at) in grid.iter().enumerate() {
            if i > 0 {
                x = (at.alpha / grid[i - 1].alpha * &x).eval();
            }
            // a_i/kappa_i^2, the same at every level; the score of y is -eps/kappa.
            let share = self.epsilon / end.powi(2);
            for _ in 0..self.steps_per_level {
                let eps = cx.eps(&x, at);
                let z = cx.fresh(&x);
                x = (&x - 0.5 * share * at.sigma * &eps + share.sqrt() * at.sigma * &z).eval();
            }
        }
        x
    }
}

impl Solver for AnnealedLangevin {
    const NAME: &'static str = "annealed-langevin";
    const ABOUT: &'static str = "NCSN's annealed Langevin dynamics over the levels of the grid";
    const SOURCE: &'static str = "Song & Ermon 2019, algorithm 1";

    fn claim(&self) -> Claim {
        Claim::Floor
    }
    fn equation(&self) -> Option<f64> {
        None
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: true, sigma: true }
    }
    fn check(&self) -> Result<()> {
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return Err(BadInput::new(
                "epsilon",
                self.epsilon,
                "is not a positive number",
                "the paper uses 2e-5",
            ));
        }
        if !(1..=100_000).contains(&self.steps_per_level) {
            return Err(BadInput::new(
                "steps_per_level",
                self.steps_per_level,
                "is not between 1 and 100000",
                "the paper uses 100",
            ));
        }
        Ok(())
    }
    fn calls(&self, steps: usize) -> usize {
        self.steps_per_level.saturating_mul(steps + 1)
    }
    fn draws(&self, steps: usize) -> usize {
        self.steps_per_level.saturating_mul(steps + 1)
    }
    fn catalogue() -> Vec<Self> {
        vec![Self::default(), AnnealedLangevin { epsilon: 1e-4, steps_per_level: 2 }]
    }
    fn limit(&self, _: &Schedule, at: &Level, variance: &[f64]) -> Option<Vec<f64>> {
        // In x: e = a_N/2 alpha^2 = epsilon alpha^2/2.
        Some(langevin_variance(0.5 * self.epsilon * at.alpha.powi(2), variance))
    }
}
