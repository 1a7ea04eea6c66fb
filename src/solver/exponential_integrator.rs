//! Exponential integrators of first order: over a step one of three things is held constant and the rest of
//! `dx = [f x - (1+l)/2 g^2 score] dt + sqrt(l) g dw` is solved exactly. What is frozen makes three schemes.
//!
//! Score: Pierret & Galerne 2025, sec. 4; Zhang & Chen 2023, eq. 8. Eps: DPM-Solver-1 and SDE-DPM-Solver-1
//! (Lu et al. 2022b, eq. 16). D: DPM-Solver++(1) and SDE-DPM-Solver++(1) (ibid., eq. 17).
use super::*;

/// One frozen quantity, the linear rest exact.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExponentialIntegrator {
    /// What is held constant over a step.
    pub frozen: Frozen,
    /// `l`: 0 is the probability flow, 1 the reverse SDE.
    pub lambda: f64,
}

/// What an exponential integrator holds constant over a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Frozen {
    /// The score.
    #[default]
    Score,
    /// The predicted noise `eps = -sigma score`.
    Eps,
    /// The denoised mean `d = (x - sigma eps)/alpha`.
    D,
}

impl Default for ExponentialIntegrator {
    fn default() -> Self {
        ExponentialIntegrator { frozen: Frozen::Score, lambda: 1.0 }
    }
}

impl Sample for ExponentialIntegrator {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let l = self.lambda;
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            let h = s.lambda() - t.lambda();
            // Noise of the score and eps forms: l alpha_s^2 (kappa_t^2 - kappa_s^2), the drift being f x alone.
            let spread = (l * t.variance_since(s)).sqrt() * s.alpha / t.alpha;
            let (native, keep, gain, sd) = match self.frozen {
                Frozen::Score => {
                    let weight = (1.0 + l) / 2.0 * s.alpha * cx.schedule().score_weight(t, s);
                    (cx.score(&x, t), s.alpha / t.alpha, weight, spread)
                }
                Frozen::Eps => {
                    let weight = (1.0 + l) * s.alpha * (s.kappa() - t.kappa());
                    (cx.eps(&x, t), s.alpha / t.alpha, weight, spread)
                }
                Frozen::D => {
                    let sd = s.sigma * (-(-2.0 * l * h).exp_m1()).sqrt();
                    // e^{-lh} as a power: 1 for l = 0 even where h is infinite, at alpha = 0 or sigma = 0.
                    let keep = s.sigma / t.sigma * (-h).exp().powf(l);
                    (cx.denoise(&x, t), keep, -s.alpha * (-(1.0 + l) * h).exp_m1(), sd)
                }
            };
            let z = (l > 0.0).then(|| cx.increment(&x, t, s));
            x = (keep * &x + gain * &native).plus(sd, z.as_ref()).eval();
        }
        x
    }
}

impl Solver for ExponentialIntegrator {
    const NAME: &'static str = "exponential-integrator";
    const ABOUT: &'static str =
        "freezes the score, eps or d over a step and solves the rest exactly, on the lambda family";
    const SOURCE: &'static str = "Pierret & Galerne 2025, sec. 4; Lu et al. 2022b, eq. 16 and 17";

    fn claim(&self) -> Claim {
        Claim::Order(1.0)
    }
    fn equation(&self) -> Option<f64> {
        Some(self.lambda)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: self.frozen != Frozen::D, sigma: false }
    }
    fn check(&self) -> Result<()> {
        euler_maruyama::check_lambda(self.lambda)
    }
    fn strong(&self) -> Option<f64> {
        Some(1.0)
    }
    fn catalogue() -> Vec<Self> {
        let frozen = [Frozen::Score, Frozen::Eps, Frozen::D];
        frozen
            .into_iter()
            .flat_map(|frozen| [1.0, 0.0, 0.5].map(|lambda| ExponentialIntegrator { frozen, lambda }))
            .chain([ExponentialIntegrator { frozen: Frozen::D, lambda: 2.0 }])
            .collect()
    }
}
