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
    /// As in diff-sampler (and what took it from there), where the factor of the second difference lacks a pair of
    /// parentheses: right on equal steps, of order 2 on uneven ones.
    Shipped,
}

impl Default for IpndmV {
    fn default() -> Self {
        IpndmV { order: 4, weights: Weights::Exact, warm_up: WarmUp::Published }
    }
}

impl Weights {
    fn of(self, levels: &[Level], s: &Level) -> Vec<f64> {
        let mut b = weights(Clock::Edm, levels, s);
        if self == Weights::Shipped && levels.len() > 2 {
            // Both share the first difference and the third; the second is k_t - (1 + r) k_1 + r k_2, r = h_1/h_2.
            let step = |j: usize| Clock::Edm.length(&levels[j], &levels[j - 1]);
            let (h, h1, h2) = (Clock::Edm.length(&levels[0], s), step(1), step(2));
            let product = h * (h + h1) / (h1 * (h1 + h2));
            let exact = 0.5 * (1.0 - h / (3.0 * (h + h1))) * product;
            let excess = 0.5 * (1.0 - h / (3.0 * (h + h1)) * product) - exact;
            let r = h1 / h2;
            for (b, c) in b.iter_mut().zip([1.0, -(1.0 + r), r]) {
                *b += excess * c;
            }
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

impl IpndmV {
    /// The order, of which the shipped weights leave no more than `shipped`.
    fn order_up_to(&self, shipped: usize) -> usize {
        let most = if self.weights == Weights::Shipped { shipped } else { 4 };
        self.warm_up.order(self.order.min(most), 2)
    }
}

impl Solver for IpndmV {
    const NAME: &'static str = "ipndm-v";
    const ABOUT: &'static str =
        "iPNDM with the weights of uneven steps (lms), order = 1..4; weights = exact | shipped";
    const SOURCE: &'static str = "zju-pi/diff-sampler, ipndm_v_sampler; Zhang & Chen 2023, app. H.2";

    fn claim(&self) -> Claim {
        Claim::Order(self.order_up_to(3) as f64)
    }
    fn on_uneven_steps(&self) -> Claim {
        Claim::Order(self.order_up_to(2) as f64)
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Form::Eps.needs(self.warm_up, self.order)
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
        vec![Self::default(), one_step, IpndmV { order: 3, ..shipped.clone() }, shipped]
    }
}
