//! DPM-Solver-12 and DPM-Solver-23: adaptive steps in `lambda` (Lu et al. 2022a, app. C, algorithm 3).
use super::exponential_runge_kutta::{Form, Named, Table};
use super::*;
use crate::error::BadInput;

/// Attempts after which a plan is given up.
const MOST_ATTEMPTS: usize = 100_000;

/// How the next step follows from the error estimate `E` of this one, in units of what is tolerated; `p` is the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controller {
    /// A step is accepted where `E <= 1`, and `h` grows by `0.9 E^{-1/p}` (the paper).
    #[default]
    Published,
    /// `h` grows by `f = 1 + atan(E^{-1/p} - 1)`, and a step is accepted where `f >= 0.81` (k-diffusion).
    Shipped,
}

impl Controller {
    /// Factor on the step, and whether this one is accepted.
    fn judge(self, error: f64, order: f64) -> (f64, bool) {
        match self {
            Controller::Published => {
                let factor = 0.9 * error.powf(-1.0 / order);
                // An estimate of 0 says nothing of how far to go, and NaN nothing but that it was too far.
                (if factor.is_nan() { 0.1 } else { factor.clamp(0.1, 10.0) }, error <= 1.0)
            }
            Controller::Shipped => {
                let factor = 1.0 + ((error + 1e-8).powf(-1.0 / order) - 1.0).atan();
                (if factor.is_nan() { 0.1 } else { factor }, factor >= 0.81)
            }
        }
    }
}

/// What the two methods share: a lower method on the first stages of a higher one.
struct Pair {
    low: Table,
    high: Table,
    order: f64,
}

impl Pair {
    /// DPM-Solver-1 and 2, or DPM-Solver-2 at `r1 = 1/3` and DPM-Solver-3.
    fn new(order: usize) -> Self {
        let third = 1.0 / 3.0;
        let read = |name: &str, c2: &[(&str, f64)]| Named::find(name).and_then(|table| table.with(c2));
        let (low, high) = match order {
            2 => (read("euler-1", &[]), read("dpm-2s", &[])),
            _ => (read("dpm-2s", &[("c2", third)]), read("dpm-3s", &[])),
        };
        let own = "it is one of the crate's own";
        Pair { low: low.expect(own), high: high.expect(own), order: order as f64 }
    }

    /// Levels from the first to the last of `grid`. Norms are expected ones, of `x/alpha` as in k-diffusion.
    fn plan<V: Space>(
        &self,
        (rtol, atol, controller): (f64, f64, Controller),
        cx: &mut Ctx<V>,
        grid: &[Level],
        mut x: State<V>,
    ) -> Vec<Level> {
        let (mut t, end) = (grid[0], grid[grid.len() - 1]);
        let (mut levels, mut h) = (vec![t], 0.05);
        let mut size = cx.expected_rms(&x) / t.alpha;
        if !(end.lambda() - t.lambda()).is_finite() {
            cx.refuse("steps are measured in lambda, which is infinite at an end of the grid");
        }
        for _ in 0..MOST_ATTEMPTS {
            if cx.refusal().is_some() || t == end {
                return levels;
            }
            let left = end.lambda() - t.lambda();
            let s = if left <= h * (1.0 + 1e-9) { end } else { cx.at_lambda(t.lambda() + h) };
            let natives = self.high.stages(Form::Eps, cx, &x, &t, &s);
            let low = self.low.finish(Form::Eps, &x, &t, &s, &natives);
            let high = self.high.finish(Form::Eps, &x, &t, &s, &natives);
            let low_size = cx.expected_rms(&low) / s.alpha;
            let tolerated = atol.max(rtol * size.max(low_size));
            let difference = (&high - &low).eval();
            let error = cx.expected_rms(&difference) / s.alpha / tolerated;
            let (factor, accepted) = controller.judge(error, self.order);
            h = factor * h.min(left);
            if accepted {
                (x, t, size) = (high, s, low_size);
                levels.push(s);
            }
        }
        cx.refuse(format!("{MOST_ATTEMPTS} steps do not reach the end within the tolerances"));
        levels
    }
}

macro_rules! adaptive {
    ($type:ident, $name:literal, $order:literal, $about:literal) => {
        #[doc = $about]
        #[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $type {
            /// Tolerated error relative to the root mean square of `x/alpha`.
            pub rtol: f64,
            /// Tolerated error in units of `x/alpha`; the larger of the two is tolerated.
            pub atol: f64,
            /// How steps are chosen.
            pub controller: Controller,
        }

        impl Default for $type {
            fn default() -> Self {
                $type { rtol: 0.05, atol: 0.0078, controller: Controller::Published }
            }
        }

        impl Sample for $type {
            fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
                Pair::new($order).high.run(Form::Eps, cx, grid, x)
            }
            fn plan<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> Option<Vec<Level>> {
                Some(Pair::new($order).plan((self.rtol, self.atol, self.controller), cx, grid, x))
            }
        }

        impl Solver for $type {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const SOURCE: &'static str =
                "Lu et al. 2022a, app. C, algorithm 3; k-diffusion, sample_dpm_adaptive";

            fn claim(&self) -> Claim {
                Claim::Order(f64::from($order))
            }
            fn equation(&self) -> Option<f64> {
                Some(0.0)
            }
            fn needs(&self, _: &Schedule) -> Needs {
                Form::Eps.needs()
            }
            fn check(&self) -> Result<()> {
                check_tolerances(self.rtol, self.atol)
            }
            fn calls(&self, steps: usize) -> usize {
                $order * steps
            }
            fn adaptive(&self) -> bool {
                true
            }
        }
    };
}

adaptive!(
    DpmSolver12,
    "dpm-solver-12",
    2,
    "adaptive DPM-Solver: order 2, error from order 1; rtol, atol, controller = published | shipped"
);
adaptive!(
    DpmSolver23,
    "dpm-solver-23",
    3,
    "adaptive DPM-Solver: order 3, error from order 2; rtol, atol, controller = published | shipped"
);

/// Refuses tolerances without a meaning.
fn check_tolerances(rtol: f64, atol: f64) -> Result<()> {
    for (key, x) in [("rtol", rtol), ("atol", atol)] {
        if !(x >= 0.0 && x.is_finite()) {
            return Err(BadInput::new(key, x, "is not allowed", "give a number of at least 0, such as 1e-3"));
        }
    }
    if rtol == 0.0 && atol == 0.0 {
        return Err(BadInput::new("atol", atol, "leaves nothing to tolerate", "give rtol or atol above 0"));
    }
    Ok(())
}
