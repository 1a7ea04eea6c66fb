//! iPNDM (Zhang & Chen 2023, app. H.2: PNDM without its Runge-Kutta start), with the weights of equal steps or of the
//! steps taken.
use super::adams_bashforth::weights;
use super::multistep::{Form, History, WarmUp, check_order};
use super::pndm::{EQUAL_STEPS, transfer};
use super::*;

/// Adams-Bashforth weights of equal steps, orders 1, 2, ... up to `order`: `(55, -59, 37, -9)/24` and so on.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ipndm {
    /// Number of values, 1 to 4.
    pub order: usize,
    /// How the first `order - 1` steps are made.
    pub warm_up: WarmUp,
}

impl Default for Ipndm {
    fn default() -> Self {
        Ipndm { order: 4, warm_up: WarmUp::Published }
    }
}

impl Sample for Ipndm {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let mut past: Vec<State<V>> = Vec::with_capacity(self.order + 1);
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            past.insert(0, cx.eps(&x, t));
            past.truncate(self.order);
            let slope = (past.len() < self.order).then(|| (&past[0]).into());
            let start = slope.and_then(|slope| self.warm_up.step(cx, Clock::Edm, &x, (t, s), slope));
            x = match start {
                Some(y) => y,
                // Where x is all noise, diffusers' scheduler takes 0 for d, its 0/0.
                None if t.alpha == 0.0 => (s.sigma * &past[0]).eval(),
                None => transfer(&x, t, s, EQUAL_STEPS[past.len() - 1], &past),
            };
        }
        x
    }
}

impl Solver for Ipndm {
    const NAME: &'static str = "ipndm";
    const ABOUT: &'static str =
        "iPNDM: Adams-Bashforth weights of equal steps, order = 1..4; order 2 on smooth grids";
    const SOURCE: &'static str = "Zhang & Chen 2023, app. H.2; diffusers 0.42.1, IPNDMScheduler";

    fn claim(&self) -> Claim {
        // More only where steps are equal in kappa.
        Claim::Order(self.order.min(2) as f64)
    }
    fn on_uneven_steps(&self) -> Claim {
        Claim::Order(1.0)
    }
    fn sold_as(&self) -> Option<f64> {
        sold(self.order, Solver::claim(self))
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: false, sigma: false }
    }
    fn check(&self) -> Result<()> {
        check_order(self.order, 4)
    }
    fn calls(&self, steps: usize) -> usize {
        self.warm_up.calls(self.order, steps)
    }
    fn catalogue() -> Vec<Self> {
        let mut all = vec![Self::default()];
        all.extend([1, 2, 3].map(|order| Ipndm { order, ..Self::default() }));
        all.push(Ipndm { warm_up: WarmUp::OneStep, ..Self::default() });
        all
    }
}

/// iPNDM with the weights of the steps taken (in `kappa`): `lms`, if the weights are exact.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IpndmV {
    /// Number of values, 1 to 4.
    pub order: usize,
    /// Exact, or those of the published code.
    pub weights: Weights,
    /// How the first `order - 1` steps are made.
    pub warm_up: WarmUp,
}

/// The weights of orders 3 and 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weights {
    /// Adams-Bashforth's.
    #[default]
    Exact,
    /// As in diff-sampler, and in all that took it from there. The factor of the second difference lacks a pair of
    /// parentheses (right on equal steps only); in that of the third a sign is wrong, and in the oldest value's weight
    /// `h_1/h_2` stands for `h_2/h_3`, so that the four weights do not even sum to 1.
    Shipped,
}

impl Default for IpndmV {
    fn default() -> Self {
        IpndmV { order: 4, weights: Weights::Exact, warm_up: WarmUp::Published }
    }
}

impl Weights {
    fn of(self, levels: &[Level], s: &Level) -> Vec<f64> {
        if self == Weights::Exact || levels.len() < 3 {
            return weights(Clock::Edm, levels, s);
        }
        let step = |j: usize| Clock::Edm.length(&levels[j], &levels[j - 1]);
        let (h, h1, h2) = (Clock::Edm.length(&levels[0], s), step(1), step(2));
        let (first, r) = (0.5 * h / h1, h1 / h2);
        // Half of (1 - ...) times the fraction is meant.
        let second = 0.5 * (1.0 - h / (3.0 * (h + h1)) * (h * (h + h1)) / (h1 * (h1 + h2)));
        let mut b = vec![1.0 + first + second, -first - (1.0 + r) * second, r * second];
        if levels.len() > 3 {
            let h3 = step(3);
            let q = h1 * (h1 + h2) / (h2 * (h2 + h3));
            // Minus is meant ...
            let third =
                0.5 * (1.0 - h / (3.0 * (h + h1))) + (1.0 - h / (2.0 * (h + h1))) * h / (6.0 * (h + h1 + h2));
            let third = third * h * (h + h1) * (h + h1 + h2) / (h1 * (h1 + h2) * (h1 + h2 + h3));
            b[0] += third;
            b[1] -= (1.0 + r + q) * third;
            b[2] += (r + q * (1.0 + h2 / h3)) * third;
            // ... and h2/h3.
            b.push(-q * r * third);
        }
        b
    }
}

impl Sample for IpndmV {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let mut past = History::new(self.order);
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            past.push(t, cx.eps(&x, t));
            x = past
                .warm_up(self.warm_up, cx, Clock::Edm, &x, s)
                .unwrap_or_else(|| transfer(&x, t, s, &self.weights.of(&past.levels, s), &past.values));
        }
        x
    }
}

impl Solver for IpndmV {
    const NAME: &'static str = "ipndm-v";
    const ABOUT: &'static str =
        "iPNDM with the weights of uneven steps (lms), order = 1..4; weights = exact | shipped";
    const SOURCE: &'static str = "zju-pi/diff-sampler, ipndm_v_sampler; Zhang & Chen 2023, app. H.2";

    fn claim(&self) -> Claim {
        // On smooth grids the sum of the weights is off by the change of the steps' ratio, that is by h^2.
        let wrong_sum = self.weights == Weights::Shipped && self.order == 4;
        Claim::Order(if wrong_sum { 2 } else { self.warm_up.order(self.order, 2) } as f64)
    }
    fn on_uneven_steps(&self) -> Claim {
        match (self.weights, self.order) {
            (Weights::Shipped, 4) => Claim::Floor,
            (Weights::Shipped, 3) => Claim::Order(2.0),
            _ => Solver::claim(self),
        }
    }
    fn sold_as(&self) -> Option<f64> {
        sold(self.order, Solver::claim(self))
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Form::Eps.needs_from(self.warm_up, self.order)
    }
    fn check(&self) -> Result<()> {
        check_order(self.order, 4)
    }
    fn calls(&self, steps: usize) -> usize {
        self.warm_up.calls(self.order, steps)
    }
    fn catalogue() -> Vec<Self> {
        let one_step = IpndmV { warm_up: WarmUp::OneStep, ..Self::default() };
        let shipped = IpndmV { weights: Weights::Shipped, ..one_step.clone() };
        // (Shipped weights of order 4 have another order on every kind of grid.)
        vec![Self::default(), one_step, IpndmV { order: 3, ..shipped }]
    }
}
