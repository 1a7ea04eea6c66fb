//! gDDIM (Zhang, Tao & Chen 2022) for scalar coefficients.
//!
//! There its matrices are numbers: `R_t = sigma_t`, and the stochastic sampler with the paper's `lambda` (theorem 1,
//! proposition 6) is the member `l = lambda^2` of the family with `d` held constant,
//! `exponential-integrator(frozen=d, lambda=l)`; `lambda = 1` is `ddim(eta=1)`. The deterministic one is, in
//! `y = x/alpha`, `y_s = y + int_{kappa_t}^{kappa_s} P(eps) dkappa` with the polynomial in `t` through the last `order`
//! values of `eps` (eq. 45): `ddim` for `order = 1`, and the time-polynomial form of DEIS.
use super::*;
use crate::error::BadInput;
use crate::math::gauss_legendre;

/// gDDIM on a scalar process.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gddim {
    /// The paper's `lambda`, the square root of `l` of the family: 0 is the probability flow, 1 the reverse SDE.
    pub lambda: f64,
    /// Values of `eps` in the polynomial; more than one without noise only.
    pub order: usize,
}

impl Default for Gddim {
    fn default() -> Self {
        Gddim { lambda: 0.0, order: 1 }
    }
}

/// Points of the quadrature in `lambda`, and the longest panel that it is used on: exact to round-off.
const POINTS: usize = 12;
const PANEL: f64 = 0.5;

/// `int_{kappa_t}^{kappa_s} l_j(t(kappa)) dkappa` for the Lagrange polynomials on these times.
fn weights<V: Space>(cx: &Ctx<V>, t: &Level, s: &Level, times: &[f64]) -> Vec<f64> {
    if times.len() == 1 {
        return vec![s.kappa() - t.kappa()];
    }
    let (from, h) = (t.lambda(), s.lambda() - t.lambda());
    let panels = (h / PANEL).ceil().max(1.0);
    let rule = gauss_legendre(POINTS);
    let mut sums = vec![0.0; times.len()];
    for panel in 0..panels as usize {
        for (x, w) in &rule {
            let at = cx.at_lambda(from + h / panels * (panel as f64 + 0.5 * (1.0 + x)));
            let dkappa = -0.5 * w * h / panels * at.kappa();
            for (j, sum) in sums.iter_mut().enumerate() {
                let others = times.iter().enumerate().filter(|(i, _)| *i != j);
                *sum += dkappa * others.map(|(_, o)| (at.t - o) / (times[j] - o)).product::<f64>();
            }
        }
    }
    sums
}

impl Sample for Gddim {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        if self.lambda > 0.0 || self.order == 1 {
            let frozen = exponential_integrator::Frozen::D;
            let l = self.lambda * self.lambda;
            return exponential_integrator::ExponentialIntegrator { frozen, lambda: l }.sample(cx, grid, x);
        }
        let mut past: Vec<(f64, State<V>)> = Vec::new();
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            past.insert(0, (t.t, cx.eps(&x, t)));
            past.truncate(self.order);
            // To sigma = 0, where lambda has no end, a step of first order.
            let used = if s.sigma == 0.0 { 1 } else { past.len() };
            let times: Vec<f64> = past[..used].iter().map(|(t, _)| *t).collect();
            let mut next = s.alpha / t.alpha * &x;
            for (w, (_, eps)) in weights(cx, t, s, &times).iter().zip(&past) {
                next = next + s.alpha * w * eps;
            }
            x = next.eval();
        }
        x
    }
}

impl Solver for Gddim {
    const NAME: &'static str = "gddim";
    const ABOUT: &'static str = "gDDIM for scalar coefficients: d frozen on the family l = lambda^2; order > 1 is DEIS in t (lambda = 0)";
    const SOURCE: &'static str = "Zhang, Tao & Chen 2022 (gDDIM), theorem 1 and eq. 45";

    fn claim(&self) -> Claim {
        Claim::Order(self.order as f64)
    }
    fn equation(&self) -> Option<f64> {
        Some(self.lambda * self.lambda)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: self.order > 1, alpha: self.order > 1, sigma: false }
    }
    fn check(&self) -> Result<()> {
        euler_maruyama::check_lambda(self.lambda)?;
        if !(1..=4).contains(&self.order) {
            return Err(BadInput::new("order", self.order, "is out of range", "give 1 to 4"));
        }
        if self.order > 1 && self.lambda > 0.0 {
            let why = "is for the probability flow only";
            return Err(BadInput::new("order", self.order, why, "give order = 1, or lambda = 0"));
        }
        Ok(())
    }
    fn strong(&self) -> Option<f64> {
        (self.lambda > 0.0).then_some(1.0)
    }
    fn catalogue() -> Vec<Self> {
        let stochastic = [1.0, 0.5].map(|lambda| Gddim { lambda, order: 1 });
        let multistep = [2, 3].map(|order| Gddim { lambda: 0.0, order });
        [Gddim::default()].into_iter().chain(stochastic).chain(multistep).collect()
    }
}
