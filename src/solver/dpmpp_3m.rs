//! DPM-Solver++ multistep of third order, as meant and as shipped (the libraries' "3M", Lu et al. 2022b, app. B).
use super::dpmpp_2m::SolverType;
use super::multistep::{Form, History, WarmUp};
use super::*;

/// `x_s = (sigma_s/sigma_t) x + alpha_s h [phi_1 D_0 + phi_2 D_1 + phi_3 D_2]` at `-h`, with `D_1 = h d'` and
/// `D_2 = h^2 d''` of the parabola through the last three values.
///
/// The libraries (dpm-solver, k-diffusion, diffusers) use half of that `D_2`, and are of second order.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpmPp3m {
    /// The second difference.
    pub d2: SecondDifference,
    /// Whether the last step is of first order and the one before it of second.
    pub lower_order_final: bool,
    /// Whether the last step, and only it, is of first order.
    pub euler_at_final: bool,
    /// The second-order formula of the steps with two values.
    pub solver_type: SolverType,
    /// What is interpolated: `d`, or `eps` as diffusers' `dpmsolver`.
    pub form: Form,
    /// How the first two steps are made.
    pub warm_up: WarmUp,
}

/// What is taken for `h^2 d''`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecondDifference {
    /// The parabola's.
    #[default]
    Corrected,
    /// Half of it, as in every library.
    Shipped,
}

impl DpmPp3m {
    /// Shares of the last three values in a step from `levels[0]` to `s`.
    fn third_order(&self, levels: &[Level], s: &Level) -> [f64; 3] {
        let [l0, l1, l2] = [0, 1, 2].map(|j: usize| levels[j].lambda());
        let h = s.lambda() - l0;
        let (r0, r1) = ((l0 - l1) / h, (l1 - l2) / h);
        let half = match self.d2 {
            SecondDifference::Corrected => 1.0,
            SecondDifference::Shipped => 0.5,
        };
        let (phi_2, phi_3) = (self.form.share(2, h), self.form.share(3, h));
        let (d10, d11) = ([1.0 / r0, -1.0 / r0, 0.0], [0.0, 1.0 / r1, -1.0 / r1]);
        [0, 1, 2].map(|j| {
            let d0 = if j == 0 { 1.0 } else { 0.0 };
            let d1 = d10[j] + r0 / (r0 + r1) * (d10[j] - d11[j]);
            let d2 = half * 2.0 * (d10[j] - d11[j]) / (r0 + r1);
            d0 + phi_2 * d1 + phi_3 * d2
        })
    }
}

impl Sample for DpmPp3m {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let form = self.form;
        let mut past = History::new(3);
        for (i, pair) in grid.windows(2).enumerate() {
            let (t, s) = (&pair[0], &pair[1]);
            past.push(t, form.native(cx, &x, t));
            let left = grid.len() - 1 - i;
            let first_order = s.sigma == 0.0 || (self.euler_at_final && left == 1);
            let order = if first_order { 1 } else { past.order(self.lower_order_final, left) };
            x = form.warm_up(self.warm_up, cx, &past, &x, s).unwrap_or_else(|| {
                let a = match order {
                    1 => vec![1.0],
                    2 => self.solver_type.second_order(form, &past.levels, s).to_vec(),
                    _ => self.third_order(&past.levels, s).to_vec(),
                };
                form.step(&x, (t, s), a.into_iter().zip(&past.values))
            });
        }
        x
    }
}

impl Solver for DpmPp3m {
    const NAME: &'static str = "dpmpp-3m";
    const ABOUT: &'static str = "DPM-Solver++(3M): order 3 where it starts well; d2 = corrected | shipped (then order 2, as in libraries)";
    const SOURCE: &'static str = "Lu et al. 2022b, app. B; k-diffusion 0.1.1, sample_dpmpp_3m_sde at eta = 0";

    fn claim(&self) -> Claim {
        let second = self.d2 == SecondDifference::Shipped || self.lower_order_final || self.euler_at_final;
        Claim::Order(if second { 2.0 } else { self.warm_up.order(3, 2) as f64 })
    }
    fn sold_as(&self) -> Option<f64> {
        sold(3, Solver::claim(self))
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        self.form.needs_from(self.warm_up, 3)
    }
    fn calls(&self, steps: usize) -> usize {
        self.warm_up.calls(3, steps)
    }
    fn catalogue() -> Vec<Self> {
        let default = Self::default();
        let one_step = DpmPp3m { warm_up: WarmUp::OneStep, ..Self::default() };
        vec![
            default,
            DpmPp3m { d2: SecondDifference::Shipped, ..Self::default() },
            DpmPp3m { d2: SecondDifference::Shipped, ..one_step.clone() },
            DpmPp3m { form: Form::Eps, ..one_step.clone() },
            DpmPp3m { lower_order_final: true, ..one_step.clone() },
            DpmPp3m { euler_at_final: true, ..one_step.clone() },
            one_step,
            DpmPp3m { warm_up: WarmUp::Exact, ..Self::default() },
        ]
    }
}
