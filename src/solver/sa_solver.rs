//! SA-Solver: stochastic Adams predictor and corrector (Xue et al. 2023, eq. 12 to 19 and algorithm 1).
//!
//! The member `l = tau^2` of the family is, in `y = x/alpha` and with `T = 1 + tau^2`, `H = T h`,
//! `y_s = e^{-H} y + T int_0^h e^{-T(h-u)} d(u) du + kappa_s sqrt(1 - e^{-2 tau^2 h}) z`. `d` is replaced by the polynomial
//! in `lambda` through its last values (predictor), and through the newly predicted one too (corrector). The corrector
//! uses the model call that the next step makes anyhow, and the predictor's own noise.
use super::dpmpp_multistep_sde::WarmUp;
use super::*;
use crate::error::BadInput;
use crate::math::{factorial, phi};

/// Stochastic Adams-Bashforth-Moulton in `lambda`, data prediction.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SaSolver {
    /// Values of `d` that the predictor uses.
    pub predictor_order: usize,
    /// Values of `d` that the corrector uses, the predicted one among them; 0 for no corrector.
    pub corrector_order: usize,
    /// `tau`, the square root of `l` of the family: 0 is the probability flow, 1 the reverse SDE.
    pub tau: f64,
    /// `tau` is 0 where `kappa` is below this.
    pub tau_min: f64,
    /// `tau` is 0 where `kappa` is above this.
    pub tau_max: f64,
    /// Weights with two values.
    pub weights: Weights,
    /// How the first steps are taken: as published, with the values there are, or exact.
    pub warm_up: WarmUp,
    /// Whether the orders fall with the steps that are left, as libraries do for short runs: the predictor's to 1, the
    /// corrector's to 3.
    pub lower_order_final: bool,
}

/// Weights of the predictor and the corrector with two values. The others are the same in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weights {
    /// The integrals of the paper, exact for linear `d`.
    #[default]
    Paper,
    /// `H/2` for the slope's `H phi_2(-H)`: what the authors and diffusers 0.42.1 compute.
    Diffusers,
}

impl Default for SaSolver {
    fn default() -> Self {
        SaSolver {
            predictor_order: 2,
            corrector_order: 2,
            tau: 1.0,
            tau_min: 0.0,
            tau_max: f64::INFINITY,
            weights: Weights::Paper,
            warm_up: WarmUp::Published,
            lower_order_final: false,
        }
    }
}

/// A value of `d`, and where it was taken.
struct Value<V> {
    lambda: f64,
    d: State<V>,
}

/// Coefficients of `theta^k` in the Lagrange polynomials on these nodes, one row a node.
fn lagrange(nodes: &[f64]) -> Vec<Vec<f64>> {
    let basis = |j: usize| {
        let mut c = vec![1.0];
        for (_, other) in nodes.iter().enumerate().filter(|(i, _)| *i != j) {
            // Times (theta - other)/(nodes[j] - other).
            let scale = 1.0 / (nodes[j] - other);
            let mut next = vec![0.0; c.len() + 1];
            for (k, a) in c.iter().enumerate() {
                next[k] -= scale * other * a;
                next[k + 1] += scale * a;
            }
            c = next;
        }
        c
    };
    (0..nodes.len()).map(basis).collect()
}

impl SaSolver {
    /// Step from `t` to `s` with the polynomial through `values`, newest first.
    fn step<V: Space>(
        &self,
        x: &State<V>,
        t: &Level,
        s: &Level,
        values: &[&Value<V>],
        z: Option<&State<V>>,
    ) -> State<V> {
        let l = self.tau_at(t).powi(2);
        let (from, h) = (t.lambda(), s.lambda() - t.lambda());
        let big_h = (1.0 + l) * h;
        // A value at infinite noise says nothing of the slope: its weight vanishes in the limit.
        let values: Vec<_> = values.iter().filter(|v| v.lambda.is_finite() || values.len() == 1).collect();
        let weights: Vec<f64> = if values.len() == 1 {
            vec![-(-big_h).exp_m1()]
        } else {
            let moments: Vec<f64> = (0..values.len() as u32)
                .map(|k| match (self.weights, k) {
                    (Weights::Diffusers, 1) if values.len() == 2 => 0.5 * big_h,
                    _ => factorial(k) * big_h * phi(k + 1, -big_h),
                })
                .collect();
            let nodes: Vec<f64> = values.iter().map(|v| (v.lambda - from) / h).collect();
            let weight = |c: &Vec<f64>| c.iter().zip(&moments).map(|(c, m)| c * m).sum::<f64>();
            lagrange(&nodes).iter().map(weight).collect()
        };
        // e^{-l h} as a power: 1 for l = 0 even where h is infinite, at alpha = 0 or sigma = 0.
        let keep = s.sigma / t.sigma * (-h).exp().powf(l);
        let mut mean = keep * x;
        for (w, v) in weights.iter().zip(&values) {
            mean = mean + s.alpha * w * &v.d;
        }
        mean.plus(s.sigma * (-(-2.0 * l * h).exp_m1()).sqrt(), z).eval()
    }

    fn tau_at(&self, t: &Level) -> f64 {
        if (self.tau_min..=self.tau_max).contains(&t.kappa()) { self.tau } else { 0.0 }
    }

    /// Order of a step, of at most `order`, with so many values at hand and steps left.
    fn ramp(&self, order: usize, values: usize, left: usize) -> usize {
        order.min(values).min(if self.lower_order_final { left } else { usize::MAX })
    }
}

impl Sample for SaSolver {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let steps = grid.len() - 1;
        let mut values: Vec<Value<V>> = Vec::new();
        // The corrected state before the last step, and the noise of that step.
        let mut last: Option<(State<V>, Option<State<V>>)> = None;
        for i in 0..steps {
            let (t, s) = (&grid[i], &grid[i + 1]);
            values.insert(0, Value { lambda: t.lambda(), d: cx.denoise(&x, t) });
            values.truncate(self.predictor_order.max(self.corrector_order));
            let recent = |n: usize| values.iter().take(n).collect::<Vec<_>>();
            if let Some((before, z)) = last.as_ref().filter(|_| self.corrector_order > 0) {
                // (One more than were left when the step was predicted: so the library, where it lowers orders.)
                let order = self.ramp(self.corrector_order, i + 1, steps - i + 2);
                x = self.step(before, &grid[i - 1], t, &recent(order), z.as_ref());
            }
            let started = self.predictor_order.max(self.corrector_order.saturating_sub(1));
            if self.warm_up == WarmUp::Exact && i + 1 < started && s.sigma > 0.0 {
                x = cx.flow(&x, t, s);
                continue;
            }
            let z = (self.tau > 0.0).then(|| cx.increment(&x, t, s));
            let order = if s.sigma == 0.0 { 1 } else { self.ramp(self.predictor_order, i + 1, steps - i) };
            let next = self.step(&x, t, s, &recent(order), z.as_ref());
            last = Some((std::mem::replace(&mut x, next), z));
        }
        x
    }
}

impl Solver for SaSolver {
    const NAME: &'static str = "sa-solver";
    const ABOUT: &'static str =
        "SA-Solver (predictor_order, corrector_order, tau on tau_min..tau_max); weights = paper | diffusers";
    const SOURCE: &'static str = "Xue et al. 2023, algorithm 1; diffusers 0.42.1, SASolverScheduler";

    fn claim(&self) -> Claim {
        // A corrected step is as good as the corrector, and as the predictor plus one. The published start has a first
        // step of order 1, or of order 2 where it is corrected.
        let (p, c) = (self.predictor_order, self.corrector_order);
        let start = match self.warm_up {
            WarmUp::Exact => usize::MAX,
            _ => {
                if c == 0 {
                    2
                } else {
                    3
                }
            }
        };
        let order = if c == 0 { p } else { c.min(p + 1) }.min(start);
        // One noise a step does not tell how it acts within the step: see `dpmpp-3m-sde`.
        Claim::Order(if self.tau > 0.0 { order.min(2) } else { order } as f64)
    }
    fn equation(&self) -> Option<f64> {
        let everywhere = self.tau == 0.0 || (self.tau_min == 0.0 && self.tau_max == f64::INFINITY);
        everywhere.then_some(self.tau * self.tau)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: false, sigma: false }
    }
    fn check(&self) -> Result<()> {
        let at_least_0 = "give a finite number of at least 0";
        for (key, x) in [("tau", self.tau), ("tau_min", self.tau_min), ("tau_max", self.tau_max)] {
            if x < 0.0 || (x.is_infinite() && key != "tau_max") {
                return Err(BadInput::new(key, x, "is not allowed", at_least_0));
            }
        }
        self.warm_up.check_without_one_step(self.tau)?;
        if self.tau_min > self.tau_max {
            return Err(BadInput::new("tau_min", self.tau_min, "is above tau_max", "swap the two"));
        }
        for (key, order, low) in
            [("predictor_order", self.predictor_order, 1), ("corrector_order", self.corrector_order, 0)]
        {
            if !(low..=6).contains(&order) {
                let fix = format!("give {low} to 6");
                return Err(BadInput::new(key, order, "is out of range", fix));
            }
        }
        Ok(())
    }
    fn strong(&self) -> Option<f64> {
        Solver::equation(self).filter(|l| *l > 0.0).map(|_| 1.0)
    }
    fn draws(&self, steps: usize) -> usize {
        if self.tau > 0.0 { steps } else { 0 }
    }
    fn catalogue() -> Vec<Self> {
        let with = |predictor_order, corrector_order, tau| SaSolver {
            predictor_order,
            corrector_order,
            tau,
            ..Self::default()
        };
        vec![
            Self::default(),
            with(1, 0, 1.0),
            with(1, 2, 1.0),
            with(3, 3, 1.0),
            with(1, 2, 0.5),
            with(1, 1, 0.0),
            with(2, 2, 0.0),
            with(2, 3, 0.0),
            SaSolver { warm_up: WarmUp::Exact, ..with(3, 0, 0.0) },
            SaSolver { warm_up: WarmUp::Exact, ..with(3, 4, 0.0) },
            SaSolver { weights: Weights::Diffusers, ..Self::default() },
            SaSolver { weights: Weights::Diffusers, ..with(2, 2, 0.0) },
        ]
    }
}
