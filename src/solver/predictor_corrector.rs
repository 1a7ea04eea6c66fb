//! Predictor-corrector sampling (Song et al. 2021, algorithm 1; Langevin step sizes in algorithms 4 and 5).
use super::*;
use crate::error::BadInput;
use crate::schedule::Family;

/// Any predictor, and Langevin steps `x + e score + sqrt(2e) z` at the levels between.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PredictorCorrector {
    /// The solver that moves from level to level, one step at a time.
    pub predictor: Handle,
    /// Langevin steps at every level.
    pub corrections: usize,
    /// Fixed rule: `e = step sigma^2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<f64>,
    /// Signal-to-noise rule: `e = 2 A (snr |z|/|score|)^2` (0.16 if neither rule is given).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snr: Option<f64>,
    /// The factor `A` of the snr rule on VP schedules (elsewhere it is 1).
    pub scale: Scale,
    /// Which norms the snr rule uses.
    pub norm: Norm,
    /// Whether a step corrects at the level it reaches (the paper) or at the one it leaves (score_sde's code).
    pub first: First,
}

/// The factor `A` of the snr rule on a VP schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// `alpha^2`, the paper's cumulative product (algorithm 5).
    #[default]
    Paper,
    /// `1 - beta h` of one step, as score_sde's code has it: it depends on the number of steps.
    Code,
}

/// Norms of the snr rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// Roots of the expected squares: the step is a number, and the exact law answers it (mean field).
    #[default]
    Expected,
    /// Of the realisation: no longer affine, for Monte Carlo only.
    Sample,
}

/// Order of prediction and correction within a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum First {
    /// Predict to the new level, then correct there.
    #[default]
    Predictor,
    /// Correct at the old level, then predict.
    Corrector,
}

const DEFAULT_SNR: f64 = 0.16;

impl Default for PredictorCorrector {
    fn default() -> Self {
        PredictorCorrector {
            predictor: Handle::new(reverse_diffusion::ReverseDiffusion {}),
            corrections: 1,
            step: None,
            snr: None,
            scale: Scale::Paper,
            norm: Norm::Expected,
            first: First::Predictor,
        }
    }
}

impl Sample for PredictorCorrector {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            if self.first == First::Corrector {
                x = self.correct(cx, x, t, (t.t - s.t) * t.g2);
            }
            x = self.predictor.sample(cx, pair, x);
            if self.first == First::Predictor {
                x = self.correct(cx, x, s, (t.t - s.t) * s.g2);
            }
        }
        x
    }
}

impl PredictorCorrector {
    fn correct<V: Space>(&self, cx: &mut Ctx<V>, mut x: State<V>, at: &Level, b: f64) -> State<V> {
        if at.sigma == 0.0 {
            return x; // The target is the data itself, whose score no step size is made for.
        }
        for _ in 0..self.corrections {
            let eps = cx.eps(&x, at);
            let z = cx.fresh(&x);
            // e/sigma^2, so that the step is -e/sigma eps without dividing by a small sigma twice.
            let share = match self.step {
                Some(step) => step,
                None => {
                    // |z|/|score| = sigma |z|/|eps|; the expected norm of z is known.
                    let ratio = match self.norm {
                        Norm::Expected => 1.0 / cx.expected_rms(&eps),
                        Norm::Sample => cx.rms(&z) / cx.rms(&eps),
                    };
                    let a = self.factor(cx.schedule(), at, b);
                    if a < 0.0 {
                        cx.refuse(format!("beta h = {b:.3} exceeds 1 at t = {:?}: use more steps", at.t));
                    }
                    2.0 * a.max(0.0) * (self.snr() * ratio).powi(2)
                }
            };
            x = (&x - share * at.sigma * &eps + (2.0 * share).sqrt() * at.sigma * &z).eval();
        }
        x
    }

    fn snr(&self) -> f64 {
        self.snr.unwrap_or(DEFAULT_SNR)
    }

    fn factor(&self, schedule: &Schedule, at: &Level, b: f64) -> f64 {
        match (schedule.family(), self.scale) {
            (Family::Vp, Scale::Paper) => at.alpha * at.alpha,
            (Family::Vp, Scale::Code) => 1.0 - b,
            _ => 1.0,
        }
    }
}

impl Solver for PredictorCorrector {
    const NAME: &'static str = "predictor-corrector";
    const ABOUT: &'static str = "any predictor, with Langevin corrections by a fixed step or the snr rule";
    const SOURCE: &'static str = "Song et al. 2021, algorithms 1, 4 and 5";

    fn claim(&self) -> Claim {
        if self.corrections == 0 { self.predictor.claim() } else { Claim::Floor }
    }
    fn equation(&self) -> Option<f64> {
        if self.corrections == 0 { self.predictor.equation() } else { None }
    }
    fn needs(&self, schedule: &Schedule) -> Needs {
        self.predictor.needs(schedule)
    }
    fn check(&self) -> Result<()> {
        if self.predictor.forward() {
            return Err(BadInput::new("predictor", self.predictor.label(), "runs forward", "give a sampler"));
        }
        if let (Some(step), Some(_)) = (self.step, self.snr) {
            return Err(BadInput::new("step", step, "is given beside snr", "give one of the two rules"));
        }
        for (key, x) in [("step", self.step), ("snr", self.snr)] {
            if let Some(x) = x
                && !(x.is_finite() && x > 0.0)
            {
                return Err(BadInput::new(key, x, "is not a positive number", "score_sde uses snr = 0.16"));
            }
        }
        Ok(())
    }
    fn check_schedule(&self, schedule: &Schedule) -> std::result::Result<(), String> {
        self.predictor.check_schedule(schedule)
    }
    fn strong(&self) -> Option<f64> {
        if self.corrections == 0 { self.predictor.strong() } else { None }
    }
    fn calls(&self, steps: usize) -> usize {
        self.predictor.calls(1).saturating_add(self.corrections).saturating_mul(steps)
    }
    fn draws(&self, steps: usize) -> usize {
        self.predictor.draws(1).saturating_add(self.corrections).saturating_mul(steps)
    }
    fn catalogue() -> Vec<Self> {
        let default = Self::default;
        let with = |predictor: Handle| PredictorCorrector { predictor, ..default() };
        let (ddim, heun) = (|| Handle::new(ddim::Ddim::default()), Handle::new(runge_kutta::Heun::default()));
        let ancestral = Handle::new(ancestral::Ancestral::default());
        vec![
            default(),
            PredictorCorrector { corrections: 0, ..default() },
            PredictorCorrector { corrections: 3, step: Some(0.1), ..default() },
            PredictorCorrector { snr: Some(0.1), scale: Scale::Code, ..with(ancestral) },
            PredictorCorrector { step: Some(0.1), ..with(ddim()) },
            PredictorCorrector { first: First::Corrector, scale: Scale::Code, ..with(ddim()) },
            PredictorCorrector { step: Some(0.1), first: First::Corrector, ..with(heun) },
        ]
    }
    fn limit(&self, schedule: &Schedule, at: &Level, variance: &[f64]) -> Option<Vec<f64>> {
        if self.corrections == 0 || at.sigma == 0.0 {
            return None;
        }
        if let Some(step) = self.step {
            return Some(langevin_variance(step * at.sigma.powi(2), variance));
        }
        // The snr rule fixes e through the law that e itself leads to: E score^2 = sum s^2/v^2 of a Langevin
        // chain's stationary variance s^2. A plain iteration, started from the exact marginal, contracts.
        let a = self.factor(schedule, at, 0.0);
        let mut stationary = variance.to_vec();
        for _ in 0..200 {
            let score2: f64 = stationary.iter().zip(variance).map(|(s2, v)| s2 / (v * v)).sum();
            let e = 2.0 * a * self.snr().powi(2) * variance.len() as f64 / score2;
            stationary = langevin_variance(e, variance);
        }
        Some(stationary)
    }
}

/// Stationary variance of the Langevin chain `x + e score + sqrt(2e) z` on N(m, v): `v/(1 - e/(2v))`,
/// infinite where the chain is unstable.
pub(crate) fn langevin_variance(e: f64, variance: &[f64]) -> Vec<f64> {
    variance.iter().map(|v| if e < 2.0 * v { v / (1.0 - e / (2.0 * v)) } else { f64::INFINITY }).collect()
}
