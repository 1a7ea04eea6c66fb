//! The stochastic Heun method for additive noise (Kloeden & Platen 1992, sec. 15.1, eq. 1.4, whose weak order is 2
//! when the diffusion does not depend on the state).
use super::*;

/// `y = x - h a(x, t) + g_t sqrt(h) z`, `x_s = x - h/2 [a(x, t) + a(y, s)] + (g_t + g_s)/2 sqrt(h) z`, on the family
/// `a = f x - (1+l)/2 g^2 score`, diffusion `sqrt(l) g`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StochasticHeun {
    /// `l`: 0 is the probability flow (`heun(clock=t)`), 1 the reverse SDE.
    pub lambda: f64,
}

impl Default for StochasticHeun {
    fn default() -> Self {
        StochasticHeun { lambda: 1.0 }
    }
}

impl Sample for StochasticHeun {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let l = self.lambda;
        let weight = |at: &Level| (1.0 + l) / 2.0 * at.g2;
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            let h = t.t - s.t;
            let (g_t, g_s) = ((l * t.g2 * h).sqrt(), (l * s.g2 * h).sqrt());
            let score = cx.score(&x, t);
            let z = (l > 0.0).then(|| cx.increment(&x, t, s));
            let drift = (t.f * &x - weight(t) * &score).eval();
            let y = (&x - h * &drift).plus(g_t, z.as_ref()).eval();
            let score = cx.score(&y, s);
            let mean = &x - 0.5 * h * (&drift + s.f * &y - weight(s) * &score);
            x = mean.plus(0.5 * (g_t + g_s), z.as_ref()).eval();
        }
        x
    }
}

impl Solver for StochasticHeun {
    const NAME: &'static str = "stochastic-heun";
    const ABOUT: &'static str =
        "stochastic Heun in t on the lambda family; weak order 2 because the noise is additive";
    const SOURCE: &'static str = "Kloeden & Platen 1992, sec. 15.1, eq. 1.4";

    fn claim(&self) -> Claim {
        Claim::Order(2.0)
    }
    fn equation(&self) -> Option<f64> {
        Some(self.lambda)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: true, alpha: false, sigma: false }
    }
    fn check(&self) -> Result<()> {
        euler_maruyama::check_lambda(self.lambda)
    }
    fn strong(&self) -> Option<f64> {
        // Sees increments alone: see `crate::strong`.
        Some(if self.lambda == 0.0 { 2.0 } else { 1.0 })
    }
    fn calls(&self, steps: usize) -> usize {
        2 * steps
    }
    fn catalogue() -> Vec<Self> {
        [1.0, 0.0, 0.5].map(|lambda| StochasticHeun { lambda }).into()
    }
}
