//! What the multistep methods share: how they start, what they remember, and weights from polynomials through the past.
//!
//! Histories and nodes run from the newest evaluation to the oldest. A method of order `p` has `p - 1` steps without
//! its full history; these set a limit to the order of the whole, whatever comes after.
pub use super::exponential_runge_kutta::Form;
use super::*;
use crate::error::BadInput;
use crate::math::{factorial, phi};
use crate::state::Lin;

/// How a multistep method makes the steps for which it has not enough history yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarmUp {
    /// As published: as a rule by formulas of order 1, 2, ... as history grows. An error of the size of one step of the
    /// first of them remains.
    #[default]
    Published,
    /// By the classical Runge-Kutta method: enough for every order up to 5, at three more calls a step.
    OneStep,
    /// Along the exact flow, where the model knows it (Gaussian data).
    Exact,
}

impl WarmUp {
    /// The state at `s` by other means than the method's own, if it is to start so. `slope` is the right-hand side of
    /// the probability flow at `x`, in the variable of `clock`.
    pub(super) fn step<V: Space>(
        self,
        cx: &mut Ctx<V>,
        clock: Clock,
        x: &State<V>,
        (t, s): (&Level, &Level),
        slope: Lin<V>,
    ) -> Option<State<V>> {
        match self {
            // From infinite noise and down to none, where there are no stages, the published first step stands.
            WarmUp::OneStep if t.alpha > 0.0 && s.sigma > 0.0 => {
                Some(runge_kutta(cx, clock, x, (t, s), slope))
            }
            WarmUp::Exact => Some(cx.flow(x, t, s)),
            _ => None,
        }
    }

    /// Whether a first step from `alpha = 0` is not the method's own: the exact flow stands there.
    pub(super) fn leaves_alpha_0(self, order: usize) -> bool {
        self == WarmUp::Exact && order > 1
    }

    /// Model calls of a method of one call a step and `order` evaluations.
    pub(super) fn calls(self, order: usize, steps: usize) -> usize {
        steps + if self == WarmUp::OneStep { 3 * (order - 1).min(steps) } else { 0 }
    }

    /// The order that is left of `order` if the first published step has the local error of a method of order `first - 1`.
    pub(super) fn order(self, order: usize, first: usize) -> usize {
        if self == WarmUp::Published { order.min(first) } else { order }
    }
}

/// One step of the classical Runge-Kutta method in a clock, its first slope being known.
fn runge_kutta<V: Space>(
    cx: &mut Ctx<V>,
    clock: Clock,
    x: &State<V>,
    (t, s): (&Level, &Level),
    slope: Lin<V>,
) -> State<V> {
    let (mid, h) = (clock.between(cx, t, s, 0.5), clock.length(t, s));
    let mut slopes = vec![slope.eval()];
    for (level, a) in [(&mid, &[0.5][..]), (&mid, &[0.0, 0.5]), (s, &[0.0, 0.0, 1.0])] {
        let stage = clock.advance(x, t, level, h, a, &slopes);
        slopes.push(clock.slope(cx, &stage, level));
    }
    clock.advance(x, t, s, h, &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0], &slopes)
}

/// The last evaluations of the model and the levels they were made at, newest first.
pub(super) struct History<V> {
    most: usize,
    pub(super) levels: Vec<Level>,
    pub(super) values: Vec<State<V>>,
}

impl<V: Space> History<V> {
    /// An empty history that keeps the last `most` evaluations.
    pub(super) fn new(most: usize) -> Self {
        History { most, levels: Vec::with_capacity(most + 1), values: Vec::with_capacity(most + 1) }
    }

    pub(super) fn push(&mut self, at: &Level, value: State<V>) {
        // A node at infinite noise is infinitely far away in every clock but t: polynomials tend to those without it.
        if self.levels.first().is_some_and(|level| level.alpha == 0.0) {
            self.levels.clear();
            self.values.clear();
        }
        self.levels.insert(0, *at);
        self.values.insert(0, value);
        self.levels.truncate(self.most);
        self.values.truncate(self.most);
    }

    /// Whether the method has still to start.
    pub(super) fn is_short(&self) -> bool {
        self.levels.len() < self.most
    }

    /// A warm-up step of a method whose values are the slopes of `clock`, if there is to be one.
    pub(super) fn warm_up(
        &self,
        how: WarmUp,
        cx: &mut Ctx<V>,
        clock: Clock,
        x: &State<V>,
        s: &Level,
    ) -> Option<State<V>> {
        let slope = self.is_short().then(|| Lin::from(&self.values[0]))?;
        how.step(cx, clock, x, (&self.levels[0], s), slope)
    }

    /// How many evaluations a step may use: all, or no more than there are steps `left`, this one included.
    pub(super) fn order(&self, lower_order_final: bool, left: usize) -> usize {
        if lower_order_final { self.levels.len().min(left) } else { self.levels.len() }
    }
}

impl Form {
    /// The predicted noise, from what [`Form::native`] said.
    fn eps<'a, V: Space>(self, x: &'a State<V>, at: &Level, m: &'a State<V>) -> Lin<'a, V> {
        match self {
            Form::D => (x - at.alpha * m) / at.sigma,
            Form::Eps => m.into(),
        }
    }

    /// A warm-up step from the newest level of `past`, if there is to be one.
    pub(super) fn warm_up<V: Space>(
        self,
        how: WarmUp,
        cx: &mut Ctx<V>,
        past: &History<V>,
        x: &State<V>,
        s: &Level,
    ) -> Option<State<V>> {
        let t = &past.levels[0];
        let short = past.is_short().then(|| self.eps(x, t, &past.values[0]))?;
        how.step(cx, Clock::Edm, x, (t, s), short)
    }

    /// `x_s` if what varies slowly is held at the combination `sum_j a_j m_j`, `sum_j a_j = 1`, from `t` to `s`.
    pub(super) fn step<'a, V: Space + 'a>(
        self,
        x: &'a State<V>,
        (t, s): (&Level, &Level),
        terms: impl IntoIterator<Item = (f64, &'a State<V>)>,
    ) -> State<V> {
        let h = s.lambda() - t.lambda();
        let (keep, gain) = match self {
            Form::D => (s.sigma / t.sigma, -s.alpha * (-h).exp_m1()),
            // sigma_s expm1(h), without 0 times infinity at sigma_s = 0.
            Form::Eps => (s.alpha / t.alpha, s.alpha * (s.kappa() - t.kappa())),
        };
        let terms = terms.into_iter().map(|(a, m)| (gain * a, m));
        Lin::sum(std::iter::once((keep, x)).chain(terms)).eval()
    }

    /// `phi_k/phi_1` over a step `h` in `lambda`: the share of a term `h^{k-1} m^{(k-1)}` where `m` itself has 1.
    pub(super) fn share(self, k: u32, h: f64) -> f64 {
        let z = self.z(h);
        phi(k, z) / phi(1, z)
    }

    /// The shares `a_j` of values at `nodes` in the exact integral, over the step, of the polynomial through them.
    pub(super) fn polynomial(self, t: &Level, s: &Level, nodes: &[Level]) -> Vec<f64> {
        if nodes.len() == 1 {
            return vec![1.0]; // At any step, an infinite one included.
        }
        let h = s.lambda() - t.lambda();
        let nodes: Vec<f64> = nodes.iter().map(|node| (node.lambda() - t.lambda()) / h).collect();
        integrals(&nodes, |k| factorial(k) * self.share(k + 1, h))
    }

    /// What methods of this form stand on, whose step to `sigma = 0` holds the newest value.
    pub(super) fn needs_from(self, warm_up: WarmUp, order: usize) -> Needs {
        Needs { time: false, alpha: self == Form::Eps && !warm_up.leaves_alpha_0(order), sigma: false }
    }
}

/// `L(l_j)` of the Lagrange polynomials `l_j` through `nodes`, where `moment(k) = L(r^k)` gives a linear functional, as a
/// rule an integral, of the powers of `r`.
pub(super) fn integrals(nodes: &[f64], moment: impl Fn(u32) -> f64) -> Vec<f64> {
    let moments: Vec<f64> = (0..nodes.len() as u32).map(moment).collect();
    let integral = |j: usize| {
        let mut l = vec![1.0]; // Coefficients, lowest power first.
        for (_, &other) in nodes.iter().enumerate().filter(|(i, _)| *i != j) {
            // Times (r - other)/(nodes[j] - other).
            l.push(0.0);
            for k in (0..l.len()).rev() {
                let below = if k == 0 { 0.0 } else { l[k - 1] };
                l[k] = (below - other * l[k]) / (nodes[j] - other);
            }
        }
        l.iter().zip(&moments).map(|(c, m)| c * m).sum()
    };
    (0..nodes.len()).map(integral).collect()
}

/// Refuses an order that the family does not have.
///
/// # Errors
/// Names the order and the largest.
pub(super) fn check_order(order: usize, largest: usize) -> Result<()> {
    if (1..=largest).contains(&order) {
        return Ok(());
    }
    Err(BadInput::new("order", order, format!("is outside 1 to {largest}"), format!("give 1 to {largest}")))
}
