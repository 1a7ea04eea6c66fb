//! DPM-Solver (Lu et al. 2022a) and DPM-Solver++ (Lu et al. 2022b), singlestep: exponential Runge-Kutta methods in
//! `lambda` with the predicted noise and the denoised mean.
//!
//! | | stages at | step |
//! |---|---|---|
//! | 1 | `t` | `phi1(z) N_0` |
//! | 2 | `t`, `r1` | `phi1(z) [N_0 + (N_1 - N_0)/(2 r1)]` |
//! | 3 | `t`, `r1`, `r2` | `phi1(z) N_0 + phi2(z) (N_2 - N_0)/r2`, `N_2` at `r2 phi1(r2 z) N_0 + r2^2/r1 phi2(r2 z) (N_1 - N_0)` |
//!
//! Order 3 is of third order for `r2 = 2/3` alone: `1/6 = b_3 c_3^2/2 = r2/4`. A last step to `sigma = 0` returns `d`.
use super::exponential_runge_kutta::{Form, Named, Table};
use super::*;
use crate::error::BadInput;

/// The table of one of the methods, with the parameters it has.
fn table(order: usize, nodes: &[f64]) -> Result<Table> {
    for (key, r) in ["r1", "r2"].into_iter().zip(nodes) {
        if !(*r > 0.0 && *r <= 1.0) {
            return Err(BadInput::new(key, r, "is not inside the step", "give a number in (0, 1]"));
        }
    }
    let nodes: Vec<(&str, f64)> = ["c2", "c3"].into_iter().zip(nodes.iter().copied()).collect();
    Named::find(["euler-1", "dpm-2s", "dpm-3s"][order - 1])?.with(&nodes)
}

macro_rules! dpm_solver {
    ($type:ident, $name:literal, $form:expr, $order:literal, $($r:ident = $value:expr, $doc:literal,)*
     $about:literal, $source:literal, $gauss:expr, [$($variant:expr),*]) => {
        #[doc = $about]
        #[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $type {
            $(#[doc = $doc] pub $r: f64,)*
        }

        impl Default for $type {
            fn default() -> Self {
                $type { $($r: $value,)* }
            }
        }

        impl $type {
            fn nodes(&self) -> Vec<f64> {
                vec![$(self.$r,)*]
            }

            /// Its classical and stiff order.
            fn order(&self) -> f64 {
                let third = self.nodes().get(1).is_none_or(|r2| (r2 - 2.0 / 3.0).abs() < 1e-12);
                if third { f64::from($order) } else { 2.0 }
            }
        }

        impl Sample for $type {
            fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
                match table($order, &self.nodes()) {
                    Ok(table) => table.run($form, cx, grid, x),
                    Err(why) => {
                        cx.refuse(why.to_string());
                        x
                    }
                }
            }
        }

        impl Solver for $type {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const SOURCE: &'static str = $source;

            fn claim(&self) -> Claim {
                Claim::Order(self.order())
            }
            fn equation(&self) -> Option<f64> {
                Some(0.0)
            }
            fn needs(&self, _: &Schedule) -> Needs {
                $form.needs()
            }
            fn check(&self) -> Result<()> {
                table($order, &self.nodes()).map(|_| ())
            }
            fn on_gaussian_data(&self) -> Claim {
                let gauss: fn(&$type) -> Option<f64> = $gauss;
                Claim::Order(gauss(self).unwrap_or(self.order()))
            }
            fn calls(&self, steps: usize) -> usize {
                $order * steps
            }
            fn proofs(&self) -> Vec<Proof> {
                table($order, &self.nodes()).map_or(Vec::new(), |table| table.proofs(self.order(), self.order()))
            }
            fn catalogue() -> Vec<Self> {
                vec![$type::default(), $($variant),*]
            }
        }
    };
}

dpm_solver!(
    DpmSolver1,
    "dpm-solver-1",
    Form::Eps,
    1,
    "DPM-Solver-1: exponential Euler in lambda with eps, DDIM",
    "Lu et al. 2022a, eq. 3.7",
    |_| None,
    []
);
dpm_solver!(
    DpmSolver2,
    "dpm-solver-2",
    Form::Eps,
    2,
    r1 = 0.5,
    "Where in the step, in `lambda`, the second stage is.",
    "DPM-Solver-2: singlestep, second order in lambda with eps; r1",
    "Lu et al. 2022a, algorithm 1 and 4",
    |_| None,
    [DpmSolver2 { r1: 1.0 }]
);
dpm_solver!(
    DpmSolver3,
    "dpm-solver-3",
    Form::Eps,
    3,
    r1 = 1.0 / 3.0,
    "Where in the step, in `lambda`, the second stage is.",
    r2 = 2.0 / 3.0,
    "Where the third is; 2/3 alone gives order 3.",
    "DPM-Solver-3: singlestep, third order in lambda with eps; r1, r2",
    "Lu et al. 2022a, algorithm 2 and 5",
    |_| None,
    [DpmSolver3 { r1: 0.5, r2: 1.0 }]
);
dpm_solver!(
    DpmPp1,
    "dpmpp-1",
    Form::D,
    1,
    "DPM-Solver++(1): exponential Euler in lambda with d, DDIM",
    "Lu et al. 2022b, eq. 9",
    |_| None,
    []
);
dpm_solver!(
    DpmPp2s,
    "dpmpp-2s",
    Form::D,
    2,
    r1 = 0.5,
    "Where in the step, in `lambda`, the second stage is.",
    "DPM-Solver++(2S): singlestep, second order in lambda with d; r1",
    "Lu et al. 2022b, algorithm 1",
    |_| None,
    [DpmPp2s { r1: 1.0 }]
);
dpm_solver!(
    DpmPp3s,
    "dpmpp-3s",
    Form::D,
    3,
    r1 = 1.0 / 3.0,
    "Where in the step, in `lambda`, the second stage is.",
    r2 = 2.0 / 3.0,
    "Where the third is; 2/3 alone gives order 3.",
    "DPM-Solver++(3S): singlestep, third order in lambda with d; r1, r2",
    "Lu et al. 2022a, algorithm 2, with data prediction as in their code of 2022b",
    |_| None,
    [DpmPp3s { r1: 0.5, r2: 1.0 }]
);
