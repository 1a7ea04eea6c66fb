//! DPM-Solver-2 as k-diffusion writes it: the midpoint rule in `kappa`, with the middle in `ln kappa`.
use super::churn::Churn;
use super::*;

/// `y = x/alpha`: `y_m = y + (kappa_m - kappa_t) eps(y)`, `kappa_m = sqrt(kappa_t kappa_s)`, then
/// `y_s = y + (kappa_s - kappa_t) eps(y_m)`; a step to `sigma = 0` is Euler's.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dpm2 {
    /// `S_churn`: noise is raised by a factor `1 + min(S_churn/N, sqrt(2) - 1)` before each step.
    pub s_churn: f64,
    /// `S_tmin`: churn only where `kappa` is at least this.
    pub s_min: f64,
    /// `S_tmax`: churn only where `kappa` is at most this.
    pub s_max: f64,
    /// `S_noise`: standard deviation of the noise added.
    pub s_noise: f64,
}

impl Default for Dpm2 {
    fn default() -> Self {
        Dpm2 { s_churn: 0.0, s_min: 0.0, s_max: f64::INFINITY, s_noise: 1.0 }
    }
}

impl Dpm2 {
    fn churn(&self) -> Churn {
        let Dpm2 { s_churn, s_min, s_max, s_noise } = *self;
        Churn { s_churn, s_min, s_max, s_noise }
    }
}

impl Sample for Dpm2 {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let (from, t) = self.churn().raise(cx, x, &pair[0], grid.len() - 1);
            let s = &pair[1];
            let mut slope = [cx.eps(&from, &t)];
            if s.sigma > 0.0 {
                let middle = cx.at_kappa((t.kappa() * s.kappa()).sqrt());
                let h = Clock::Edm.length(&t, &middle);
                let stage = Clock::Edm.advance(&from, &t, &middle, h, &[1.0], &slope);
                slope = [cx.eps(&stage, &middle)];
            }
            x = Clock::Edm.advance(&from, &t, s, Clock::Edm.length(&t, s), &[1.0], &slope);
        }
        x
    }
}

impl Solver for Dpm2 {
    const NAME: &'static str = "dpm2";
    const ABOUT: &'static str =
        "k-diffusion's DPM2: the midpoint rule in sigma/alpha with the geometric middle; churn by s_churn";
    const SOURCE: &'static str = "Lu et al. 2022a, algorithm 1 and sec. 4; k-diffusion sample_dpm_2 of 2022";

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
        let churned = Dpm2 { s_churn: 20.0, ..Dpm2::default() };
        vec![Dpm2::default(), churned, Dpm2 { s_noise: 1.1, ..churned }]
    }
}
