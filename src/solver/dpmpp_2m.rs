//! DPM-Solver++(2M) (Lu et al. 2022b, algorithm 2), and its kin in the same library.
use super::multistep::{Form, History, WarmUp};
use super::*;

/// Second-order multistep in `lambda`: `x_s = (sigma_s/sigma_t) x - alpha_s (e^{-h} - 1) [d + (d - d_prev)/(2r)]`,
/// `r = h_prev/h`.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpmPp2m {
    /// Whether the last step is of first order, as libraries do for short runs.
    pub lower_order_final: bool,
    /// How the slope of `d` is weighed.
    pub solver_type: SolverType,
    /// `d` is DPM-Solver++(2M), `eps` what diffusers calls `dpmsolver`.
    pub form: Form,
    /// How the first step is made.
    pub warm_up: WarmUp,
}

/// The weight of `D_1`, the divided difference over the step, in diffusers' names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SolverType {
    /// Half that of `d`, as published.
    #[default]
    Midpoint,
    /// `phi_2`, which is exact for a straight line: `abnorsett(order=2)`.
    Heun,
}

impl SolverType {
    /// Shares of the last two values in a step from `levels[0]` to `s`.
    pub(super) fn second_order(self, form: Form, levels: &[Level], s: &Level) -> [f64; 2] {
        let h = s.lambda() - levels[0].lambda();
        let h_last = levels[0].lambda() - levels[1].lambda();
        let slope = match self {
            SolverType::Midpoint => h / (2.0 * h_last),
            SolverType::Heun => form.share(2, h) * h / h_last,
        };
        [1.0 + slope, -slope]
    }
}

impl Sample for DpmPp2m {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let form = self.form;
        let mut past = History::new(2);
        for (i, pair) in grid.windows(2).enumerate() {
            let (t, s) = (&pair[0], &pair[1]);
            past.push(t, form.native(cx, &x, t));
            let order =
                if s.sigma == 0.0 { 1 } else { past.order(self.lower_order_final, grid.len() - 1 - i) };
            x = form.warm_up(self.warm_up, cx, &past, &x, s).unwrap_or_else(|| match order {
                1 => form.step(&x, (t, s), [(1.0, &past.values[0])]),
                _ => {
                    let a = self.solver_type.second_order(form, &past.levels, s);
                    form.step(&x, (t, s), a.into_iter().zip(&past.values))
                }
            });
        }
        x
    }
}

impl Solver for DpmPp2m {
    const NAME: &'static str = "dpmpp-2m";
    const ABOUT: &'static str =
        "DPM-Solver++(2M): exponential multistep of order 2 in lambda, data prediction";
    const SOURCE: &'static str = "Lu et al. 2022b, algorithm 2";

    fn claim(&self) -> Claim {
        Claim::Order(2.0)
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        self.form.needs_from(self.warm_up, 2)
    }
    fn calls(&self, steps: usize) -> usize {
        self.warm_up.calls(2, steps)
    }
    fn catalogue() -> Vec<Self> {
        let mut all =
            [false, true].map(|lower_order_final| DpmPp2m { lower_order_final, ..Self::default() }).to_vec();
        for (solver_type, form) in
            [(SolverType::Heun, Form::D), (SolverType::Midpoint, Form::Eps), (SolverType::Heun, Form::Eps)]
        {
            all.push(DpmPp2m { solver_type, form, ..Self::default() });
        }
        all.extend([WarmUp::OneStep, WarmUp::Exact].map(|warm_up| DpmPp2m { warm_up, ..Self::default() }));
        all
    }
}
