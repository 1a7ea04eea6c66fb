//! SDE-DPM-Solver (Lu et al. 2022b, eq. 16 and sec. 5): the reverse SDE with `eps` held constant over a step, or linear
//! in `lambda` through the last two values; what diffusers calls `sde-dpmsolver`.
//!
//! In `y = x/alpha`: `y_s = y + 2 int_{kappa_t}^{kappa_s} eps dkappa + sqrt(kappa_t^2 - kappa_s^2) z`. The noise is the
//! Brownian motion in `kappa^2` itself, with no weight.
use super::dpmpp_2m::SolverType;
use super::*;

/// One step; the history's weight for the difference of the last two values is `difference`.
fn step<V: Space>(
    cx: &mut Ctx<V>,
    x: &State<V>,
    t: &Level,
    s: &Level,
    eps: &State<V>,
    difference: Option<(f64, &State<V>)>,
) -> State<V> {
    let (k, k_s) = (t.kappa(), s.kappa());
    let z = cx.increment(x, t, s);
    let mut mean = s.alpha / t.alpha * x - 2.0 * s.alpha * (k - k_s) * eps;
    if let Some((weight, last)) = difference {
        mean = mean - s.alpha * weight * (eps - last);
    }
    mean.plus(s.alpha * ((k - k_s) * (k + k_s)).sqrt(), Some(&z)).eval()
}

/// SDE-DPM-Solver-1: `exponential-integrator(frozen=eps, lambda=1)`.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SdeDpmSolver1 {}

impl Sample for SdeDpmSolver1 {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            let eps = cx.eps(&x, t);
            x = step(cx, &x, t, s, &eps, None);
        }
        x
    }
}

impl Solver for SdeDpmSolver1 {
    const NAME: &'static str = "sde-dpm-solver-1";
    const ABOUT: &'static str = "SDE-DPM-Solver-1: the reverse SDE with eps constant over a step";
    const SOURCE: &'static str = "Lu et al. 2022b, eq. 16";

    fn claim(&self) -> Claim {
        Claim::Order(1.0)
    }
    fn equation(&self) -> Option<f64> {
        Some(1.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: true, sigma: false }
    }
    fn strong(&self) -> Option<f64> {
        Some(1.0)
    }
}

/// SDE-DPM-Solver-2 (2M), whose first step, and one to `sigma = 0`, are SDE-DPM-Solver-1's.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SdeDpmSolver2 {
    /// How the slope of `eps` is weighted: `midpoint` in the paper, the exact weight with `heun`.
    pub solver_type: SolverType,
    /// Whether the last step is of first order, as libraries do for short runs.
    pub lower_order_final: bool,
}

impl Sample for SdeDpmSolver2 {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let mut last: Option<(f64, State<V>)> = None;
        for (i, pair) in grid.windows(2).enumerate() {
            let (t, s) = (&pair[0], &pair[1]);
            let h = s.lambda() - t.lambda();
            let eps = cx.eps(&x, t);
            let low = s.sigma == 0.0 || (self.lower_order_final && i + 2 == grid.len());
            let weight = match self.solver_type {
                SolverType::Midpoint => t.kappa() - s.kappa(),
                // 2 int_0^h e^{h-u} u du/h.
                SolverType::Heun => 2.0 * s.kappa() * h * crate::math::phi(2, h),
            };
            let old = last.as_ref().filter(|_| !low).map(|(h_last, eps)| (weight * h / h_last, eps));
            x = step(cx, &x, t, s, &eps, old);
            last = Some((h, eps));
        }
        x
    }
}

impl Solver for SdeDpmSolver2 {
    const NAME: &'static str = "sde-dpm-solver-2";
    const ABOUT: &'static str = "SDE-DPM-Solver-2 (multistep, eps linear in lambda); solver_type = midpoint | heun, lower_order_final";
    const SOURCE: &'static str = "Lu et al. 2022b, sec. 5; diffusers 0.42.1, DPMSolverMultistepScheduler";

    fn claim(&self) -> Claim {
        Claim::Order(2.0)
    }
    fn equation(&self) -> Option<f64> {
        Some(1.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: true, sigma: false }
    }
    fn strong(&self) -> Option<f64> {
        Some(1.0)
    }
    fn catalogue() -> Vec<Self> {
        let heun = SdeDpmSolver2 { solver_type: SolverType::Heun, ..Self::default() };
        vec![Self::default(), heun, SdeDpmSolver2 { lower_order_final: true, ..Self::default() }]
    }
}
