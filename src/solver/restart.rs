//! Restart sampling (Xu et al. 2023, algorithm 1): EDM's Heun, with a few returns from a low noise level to a higher one
//! by adding noise, which forgets the errors made so far.
use super::*;
use crate::error::BadInput;

/// Heun in `kappa`; at the grid's level nearest to `t_min`, `n_restarts` times up to `t_max` and back.
///
/// `kappa = sigma/alpha` is the paper's `t`. Its `K` is `n_restarts`; its `N_Restart` counts levels, so it is
/// `n_steps + 1`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Restart {
    /// `kappa` to restart from; the grid's nearest positive level stands for it. No restart if the grid ends above it.
    pub t_min: f64,
    /// `kappa` to restart at.
    pub t_max: f64,
    /// Restarts.
    pub n_restarts: usize,
    /// Heun steps from `t_max` down to `t_min`, on Karras's levels; 0 for as many as the grid has steps. (A fixed number
    /// leaves an error that does not fall with the grid.)
    pub n_steps: usize,
    /// Standard deviation of the noise added, in units of what is due.
    pub s_noise: f64,
}

impl Default for Restart {
    fn default() -> Self {
        // CIFAR-10, VP: table 3 of the paper, [N_Restart = 3, K = 2, 0.06, 0.30], but for the steps.
        Restart { t_min: 0.06, t_max: 0.3, n_restarts: 2, n_steps: 0, s_noise: 1.0 }
    }
}

/// Exponent of the paper's levels within a restart (Karras et al. 2022, eq. 5).
const RHO: f64 = 7.0;

impl Restart {
    /// The level to restart from, if the grid has one.
    fn turn(&self, grid: &[Level]) -> Option<usize> {
        let reached = grid[grid.len() - 1].kappa() <= self.t_min && self.t_min <= grid[0].kappa();
        let off = |i: &usize| (grid[*i].kappa() - self.t_min).abs();
        let nearest =
            (1..grid.len()).filter(|i| grid[*i].sigma > 0.0).min_by(|a, b| off(a).total_cmp(&off(b)))?;
        (reached && grid[nearest].kappa() < self.t_max).then_some(nearest)
    }

    /// Levels from `t_max` down to `low`.
    fn levels<V: Space>(&self, cx: &Ctx<V>, low: &Level, steps: usize) -> Vec<Level> {
        let [a, b] = [self.t_max, low.kappa()].map(|k| k.powf(1.0 / RHO));
        let level = |i: usize| match i {
            _ if i == steps => *low,
            0 => cx.at_kappa(self.t_max),
            _ => cx.at_kappa((a + (b - a) * i as f64 / steps as f64).powf(RHO)),
        };
        (0..=steps).map(level).collect()
    }
}

impl Sample for Restart {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
        let heun = runge_kutta::Heun { clock: Clock::Edm, ..Default::default() };
        let Some(turn) = self.turn(grid) else {
            return heun.sample(cx, grid, x);
        };
        let mut x = heun.sample(cx, &grid[..=turn], x);
        let low = &grid[turn];
        let back = self.levels(cx, low, if self.n_steps == 0 { grid.len() - 1 } else { self.n_steps });
        let sd = ((self.t_max - low.kappa()) * (self.t_max + low.kappa())).sqrt();
        for _ in 0..self.n_restarts {
            let z = cx.fresh(&x);
            let high = &back[0];
            x = (high.alpha / low.alpha * &x + self.s_noise * high.alpha * sd * &z).eval();
            x = heun.sample(cx, &back, x);
        }
        if turn + 1 == grid.len() { x } else { heun.sample(cx, &grid[turn..], x) }
    }
}

impl Solver for Restart {
    const NAME: &'static str = "restart";
    const ABOUT: &'static str =
        "restart sampling: EDM's Heun, n_restarts times back from kappa = t_min to t_max in n_steps";
    const SOURCE: &'static str = "Xu et al. 2023, algorithm 1";

    fn claim(&self) -> Claim {
        let floor = self.n_restarts > 0 && (self.n_steps > 0 || self.s_noise != 1.0);
        if floor { Claim::Floor } else { Claim::Order(2.0) }
    }
    fn equation(&self) -> Option<f64> {
        // Noise comes at one level only.
        if self.n_restarts == 0 { Some(0.0) } else { None }
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs::of(Clock::Edm)
    }
    fn check(&self) -> Result<()> {
        for (key, x) in [("t_min", self.t_min), ("t_max", self.t_max)] {
            if !(x.is_finite() && x > 0.0) {
                return Err(BadInput::new(key, x, "is not a positive number", "give a sigma/alpha above 0"));
            }
        }
        if self.t_min >= self.t_max {
            return Err(BadInput::new("t_min", self.t_min, "is not below t_max", "swap the two"));
        }
        k_ancestral::check_noise(0.0, self.s_noise)
    }
    fn calls(&self, steps: usize) -> usize {
        let back = if self.n_steps == 0 { steps } else { self.n_steps };
        2 * (steps + self.n_restarts * back)
    }
    fn draws(&self, _: usize) -> usize {
        self.n_restarts
    }
    fn draws_vary(&self) -> bool {
        // None where the interval lies outside the grid.
        true
    }
    fn catalogue() -> Vec<Self> {
        let base = Self::default;
        vec![
            base(),
            Restart { n_restarts: 0, ..base() },
            Restart { t_min: 1.0, t_max: 2.0, n_restarts: 5, ..base() },
        ]
    }
}
