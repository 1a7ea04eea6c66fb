//! EDM's stochastic sampler (Karras et al. 2022, algorithm 2).
use super::churn::Churn;
use super::runge_kutta::Heun;
use super::*;

/// `heun(clock=edm)` with churn, whose parameters are by default those that the paper found for ImageNet-64 (its
/// table 5). With `S_noise` other than 1 the law it tends to is not that of the data.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EdmStochastic {
    /// `S_churn`: noise is raised by a factor `1 + min(S_churn/N, sqrt(2) - 1)` before each step.
    pub s_churn: f64,
    /// `S_tmin`: churn only where `kappa` is at least this.
    pub s_min: f64,
    /// `S_tmax`: churn only where `kappa` is at most this.
    pub s_max: f64,
    /// `S_noise`: standard deviation of the noise added.
    pub s_noise: f64,
}

impl Default for EdmStochastic {
    fn default() -> Self {
        EdmStochastic { s_churn: 40.0, s_min: 0.05, s_max: 50.0, s_noise: 1.003 }
    }
}

impl EdmStochastic {
    fn churn(&self) -> Churn {
        let EdmStochastic { s_churn, s_min, s_max, s_noise } = *self;
        Churn { s_churn, s_min, s_max, s_noise }
    }
}

impl Sample for EdmStochastic {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
        let EdmStochastic { s_churn, s_min, s_max, s_noise } = *self;
        Heun { clock: Clock::Edm, s_churn, s_min, s_max, s_noise }.sample(cx, grid, x)
    }
}

impl Solver for EdmStochastic {
    const NAME: &'static str = "edm-stochastic";
    const ABOUT: &'static str =
        "EDM's stochastic sampler: Heun in sigma/alpha with churn, the paper's defaults";
    const SOURCE: &'static str = "Karras et al. 2022, algorithm 2 and table 5 (ImageNet-64)";

    fn claim(&self) -> Claim {
        self.churn().claim(2.0)
    }
    fn equation(&self) -> Option<f64> {
        self.churn().equation()
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs::of(Clock::Edm)
    }
    fn check(&self) -> Result<()> {
        self.churn().check(Clock::Edm)
    }
    fn calls(&self, steps: usize) -> usize {
        2 * steps
    }
    fn draws(&self, steps: usize) -> usize {
        self.churn().draws(steps)
    }
    fn catalogue() -> Vec<Self> {
        vec![
            EdmStochastic::default(),
            EdmStochastic { s_min: 0.0, s_max: f64::INFINITY, s_noise: 1.0, ..EdmStochastic::default() },
        ]
    }
}
