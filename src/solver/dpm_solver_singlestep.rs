//! DPM-Solver and DPM-Solver++ singlestep over given levels, as diffusers' `DPMSolverSinglestepScheduler` runs them:
//! the levels of the grid are the stages (Lu et al. 2022a, sec. 3.4; Lu et al. 2022b, algorithm 1).
use super::dpmpp_2m::SolverType;
use super::exponential_runge_kutta::Form;
use super::*;
use crate::error::BadInput;
use crate::math::phi;
use crate::state::Lin;

/// One model call a level. `order` levels make a step of that order: on the way the state moves to the next level by
/// steps of order 1, 2, ... from the level where the group began. Nodes are where the grid has its levels, so that the
/// third order of `solver_type = "midpoint"` needs levels uniform in `lambda`.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpmSolverSinglestep {
    /// Levels in a group: 1, 2 or 3.
    pub order: usize,
    /// What is integrated: `d` (`dpmsolver++`) or `eps` (`dpmsolver`).
    pub form: Form,
    /// How slopes over a group are integrated. Order 2: `phi_1/2` times the slope (midpoint) or `phi_2` (heun). Order 3:
    /// `phi_2` times the slope to the last level, or times the parabola's with `phi_3` times its second derivative.
    pub solver_type: SolverType,
    /// Whether the last levels are taken one by one. It is so anyway where groups do not fill the grid, and for the
    /// level before `sigma = 0`.
    pub lower_order_final: bool,
}

impl Default for DpmSolverSinglestep {
    fn default() -> Self {
        let (form, solver_type) = (Form::D, SolverType::Midpoint);
        DpmSolverSinglestep { order: 2, form, solver_type, lower_order_final: false }
    }
}

impl DpmSolverSinglestep {
    /// Order of the update at every step: a group counts up from 1.
    fn orders(&self, grid: &[Level]) -> Vec<usize> {
        let (steps, to_zero) = (grid.len() - 1, grid[grid.len() - 1].sigma == 0.0);
        if grid[0].alpha == 0.0 && steps > 1 {
            // No group begins where lambda is infinite.
            return [vec![1], self.orders(&grid[1..])].concat();
        }
        let group: Vec<usize> = (1..=self.order).collect();
        let lower = self.lower_order_final || to_zero || !steps.is_multiple_of(self.order);
        let tail: &[usize] = match (self.order, steps % self.order) {
            _ if !lower => &[],
            (3, 0) => &[1, 2, 1],
            (3, 2) => &[1, 2],
            (2, 0) => &[1, 1],
            _ => &[1],
        };
        let mut orders = group.repeat((steps - tail.len()) / self.order);
        orders.extend(tail);
        if to_zero {
            orders[steps - 1] = 1;
        }
        orders
    }

    /// Weights of the natives at `0 < r[0] < r[1]` of a step with argument `z`; the first native is at 0.
    fn weights(&self, r: &[f64], z: f64) -> Vec<f64> {
        let (phi1, phi2, phi3) = (phi(1, z), phi(2, z), phi(3, z));
        let rest = match (r, self.solver_type) {
            ([r1], SolverType::Midpoint) => vec![phi1 / (2.0 * r1)],
            ([r1], SolverType::Heun) => vec![phi2 / r1],
            ([_, r2], SolverType::Midpoint) => vec![0.0, phi2 / r2],
            ([r1, r2], SolverType::Heun) => {
                let gap = r2 - r1;
                vec![(phi2 * r2 - 2.0 * phi3) / (r1 * gap), (2.0 * phi3 - phi2 * r1) / (r2 * gap)]
            }
            _ => Vec::new(),
        };
        [vec![phi1 - rest.iter().sum::<f64>()], rest].concat()
    }
}

impl Sample for DpmSolverSinglestep {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        // Where the group began (`None`: here), and what the model has said in it.
        let (mut start, mut natives) = (None, Vec::new());
        for (i, order) in self.orders(grid).into_iter().enumerate() {
            if order == 1 {
                (start, natives) = (None, Vec::new());
            }
            natives.push(self.form.native(cx, &x, &grid[i]));
            let (t, s) = (&grid[i + 1 - order], &grid[i + 1]);
            let from = start.as_ref().unwrap_or(&x);
            let next = if order == 1 {
                self.form.hold(from, t, s, &natives[0])
            } else {
                let h = s.lambda() - t.lambda();
                let r: Vec<f64> =
                    (1..order).map(|k| (grid[i + 1 - order + k].lambda() - t.lambda()) / h).collect();
                let (keep, gain) = self.form.factors(t, s);
                let weights = self.weights(&r, self.form.z(h)).into_iter().map(|w| gain * h * w);
                Lin::sum(std::iter::once((keep, from)).chain(weights.zip(&natives))).eval()
            };
            let last = std::mem::replace(&mut x, next);
            start.get_or_insert(last);
        }
        x
    }
}

impl Solver for DpmSolverSinglestep {
    const NAME: &'static str = "dpm-solver-singlestep";
    const ABOUT: &'static str =
        "DPM-Solver(++) singlestep whose stages are the grid's levels; order, form = d | eps, solver_type";
    const SOURCE: &'static str = "Lu et al. 2022a, sec. 3.4; diffusers, DPMSolverSinglestepScheduler";

    fn claim(&self) -> Claim {
        // Of steps that fill whole groups: a level left over is a step of first order, if a short one.
        Claim::Order(self.order as f64)
    }
    fn on_uneven_steps(&self) -> Claim {
        // The state at the third level is no stage of a method of third order unless it is 2/3 of the way.
        Claim::Order(self.order.min(2) as f64)
    }
    fn cycle(&self) -> usize {
        self.order
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        self.form.needs()
    }
    fn check(&self) -> Result<()> {
        if (1..=3).contains(&self.order) {
            return Ok(());
        }
        Err(BadInput::new("order", self.order, "is not an order of DPM-Solver", "give 1, 2 or 3"))
    }
    fn catalogue() -> Vec<Self> {
        let default = DpmSolverSinglestep::default();
        let heun = DpmSolverSinglestep { solver_type: SolverType::Heun, ..default };
        let eps = DpmSolverSinglestep { form: Form::Eps, ..default };
        let third = DpmSolverSinglestep { order: 3, ..default };
        vec![default, heun, eps, third, DpmSolverSinglestep { order: 3, ..heun }]
    }
}
