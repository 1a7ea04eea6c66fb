//! The adaptive solver of the reverse SDE by Jolicoeur-Martineau et al. 2021 ("Gotta go fast", algorithm 1).
//!
//! A step is Euler-Maruyama to `x'`, then the improved Euler step `x''` on the same noise (the stochastic Heun method);
//! `E = rms((x' - x'')/delta)`, `delta = max(atol, rtol max(|x'|, |x'_prev|))`, must not exceed 1. What is kept is `x''`
//! (extrapolation), and the next step is `min(what is left, safety h E^-r)`, without bounds. (`E` is of order 3/2 in `h`,
//! so `r = 2/3` would aim exactly; the published 0.9 overshoots.)
//!
//! What is measured here is the run over the levels that this rule accepts *on expected norms*. The published sampler
//! differs in two ways that are errors of its own. It takes `|x'|` coordinate by coordinate and steps sample by sample,
//! so that the grid depends on the path. And it draws the noise of a rejected step anew, which favours noises of
//! small `E`: accepted increments are no longer N(0, h). In many dimensions `E` hardly varies and this hardly matters.
//! In one it does: accepted noises have too small a variance, and the output is off by a good part of its deviation,
//! which smaller tolerances do not mend. (Rejection with memory, Rackauckas & Nie 2017, draws the rest of the path on the
//! condition of what was seen.)
use super::adaptive::check_tolerances;
use super::*;
use crate::error::BadInput;
use stochastic_heun::StochasticHeun;

/// Attempts after which a plan is given up.
const MOST_ATTEMPTS: usize = 100_000;

/// Defaults are the paper's for VP models on images with values in [-1, 1].
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GottaGoFast {
    /// `eps_rel`: tolerated error relative to the state.
    pub rtol: f64,
    /// `eps_abs`: tolerated error in units of `x`.
    pub atol: f64,
    /// `theta`: aims below the tolerance.
    pub safety: f64,
    /// Exponent of the error in the next step.
    pub r: f64,
    /// First step tried, in `t`.
    pub h_init: f64,
}

impl Default for GottaGoFast {
    fn default() -> Self {
        GottaGoFast { rtol: 0.02, atol: 0.0078, safety: 0.9, r: 0.9, h_init: 0.01 }
    }
}

impl GottaGoFast {
    /// `x'` and `x''` at `s`.
    fn pair<V: Space>(
        cx: &mut Ctx<V>,
        x: &State<V>,
        z: &State<V>,
        t: &Level,
        s: &Level,
    ) -> (State<V>, State<V>) {
        let h = t.t - s.t;
        let score = cx.score(x, t);
        let euler = ((1.0 - h * t.f) * x + h * t.g2 * &score + (h * t.g2).sqrt() * z).eval();
        let score = cx.score(&euler, s);
        let other = x - h * s.f * &euler + h * s.g2 * &score + (h * s.g2).sqrt() * z;
        let improved = (0.5 * &euler + 0.5 * other).eval();
        (euler, improved)
    }
}

impl Sample for GottaGoFast {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
        StochasticHeun { lambda: 1.0 }.sample(cx, grid, x)
    }

    fn plan<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> Option<Vec<Level>> {
        let (mut t, end) = (grid[0], grid[grid.len() - 1]);
        let (mut levels, mut h, mut size_before) = (vec![t], self.h_init, cx.expected_rms(&x));
        // A law knows no rejected noise: one draw serves a step until it is accepted.
        let mut z = cx.fresh(&x);
        for _ in 0..MOST_ATTEMPTS {
            let s = if h >= t.t - end.t { end } else { cx.at(t.t - h) };
            if s.t >= t.t || h.is_nan() {
                cx.refuse("no step is short enough for the tolerances; raise them");
                return Some(levels);
            }
            h = t.t - s.t;
            let (euler, improved) = Self::pair(cx, &x, &z, &t, &s);
            let size = cx.expected_rms(&euler);
            let delta = self.atol.max(self.rtol * size.max(size_before));
            let error = cx.expected_rms(&(&euler - &improved).eval()) / delta;
            if error <= 1.0 {
                levels.push(s);
                if s == end {
                    return Some(levels);
                }
                (x, t, size_before) = (improved, s, size);
                z = cx.fresh(&x);
            }
            h *= self.safety * error.powf(-self.r);
        }
        cx.refuse(format!("{MOST_ATTEMPTS} steps do not reach the end within the tolerances"));
        Some(levels)
    }
}

impl Solver for GottaGoFast {
    const NAME: &'static str = "gotta-go-fast";
    const ABOUT: &'static str =
        "adaptive stochastic Heun for the reverse SDE, Euler-Maruyama as its error estimate";
    const SOURCE: &'static str = "Jolicoeur-Martineau et al. 2021, algorithm 1";

    fn claim(&self) -> Claim {
        Claim::Order(2.0)
    }
    fn equation(&self) -> Option<f64> {
        Some(1.0)
    }
    fn needs(&self, schedule: &Schedule) -> Needs {
        Solver::needs(&StochasticHeun { lambda: 1.0 }, schedule)
    }
    fn check(&self) -> Result<()> {
        check_tolerances(self.rtol, self.atol)?;
        for (key, x, most) in
            [("safety", self.safety, 1.0), ("r", self.r, f64::MAX), ("h_init", self.h_init, f64::MAX)]
        {
            if !(x > 0.0 && x <= most) {
                return Err(BadInput::new(
                    key,
                    x,
                    "is not allowed",
                    "give a positive number such as the default",
                ));
            }
        }
        Ok(())
    }
    fn strong(&self) -> Option<f64> {
        Some(1.0)
    }
    fn calls(&self, steps: usize) -> usize {
        2 * steps
    }
    fn adaptive(&self) -> bool {
        true
    }
    fn catalogue() -> Vec<Self> {
        vec![GottaGoFast::default(), GottaGoFast { rtol: 1e-3, atol: 1e-3, ..GottaGoFast::default() }]
    }
}
