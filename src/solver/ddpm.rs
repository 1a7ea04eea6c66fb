//! DDPM sampling between any two levels (Ho et al. 2020, algorithm 2, with the variances of sec. 3.2;
//! `b` from the levels as in Kingma et al. 2021, VDM, eq. 25).
use super::*;

/// Mean `(alpha_s/alpha_t)(x - b/sigma_t eps)` with `b = sigma_t^2 - (alpha_t/alpha_s)^2 sigma_s^2`, plus noise.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ddpm {
    /// Variance of the noise.
    pub variance: Variance,
}

/// Variance of a DDPM step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variance {
    /// `b sigma_s^2/sigma_t^2`: exact for a point mass (Ho et al.'s beta-tilde).
    #[default]
    FixedSmall,
    /// `b`: exact on a VP schedule for data of unit variance (Ho et al.'s beta).
    FixedLarge,
    /// The data's own `Var(x_s | x_t)`, per mode: a control, exact on Gaussian data at any number of steps.
    Exact,
}

impl Sample for Ddpm {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            let b = t.variance_since(s);
            let d = cx.denoise(&x, t);
            let mut z = cx.increment(&x, t, s);
            let sd = match self.variance {
                Variance::FixedSmall => b.sqrt() * s.sigma / t.sigma,
                Variance::FixedLarge => b.sqrt(),
                Variance::Exact => {
                    z = cx.posterior_noise(z, t, s);
                    1.0
                }
            };
            // The mean in terms of d: nothing is divided by alpha_t, which may be 0.
            let keep = t.alpha / s.alpha * (s.sigma / t.sigma).powi(2);
            x = (keep * &x + s.alpha * b / t.sigma.powi(2) * &d + sd * &z).eval();
        }
        x
    }
}

impl Solver for Ddpm {
    const NAME: &'static str = "ddpm";
    const ABOUT: &'static str =
        "DDPM between any two levels; variance = fixed-small | fixed-large | exact (a control)";
    const SOURCE: &'static str = "Ho et al. 2020, algorithm 2, sec. 3.2";

    fn claim(&self) -> Claim {
        if self.variance == Variance::Exact { Claim::Exact } else { Claim::Order(1.0) }
    }
    fn equation(&self) -> Option<f64> {
        Some(1.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: false, sigma: false }
    }
    fn strong(&self) -> Option<f64> {
        // The exact law's noise is no multiple of one increment: its paths converge, slowly and to no rate of note.
        (self.variance != Variance::Exact).then_some(1.0)
    }
    fn catalogue() -> Vec<Self> {
        [Variance::FixedSmall, Variance::FixedLarge, Variance::Exact].map(|variance| Ddpm { variance }).into()
    }
}
