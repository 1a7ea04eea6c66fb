//! DDIM (Song, Meng & Ermon 2021, eq. 12 and 16).
use super::*;

/// `x_s = alpha_s d + sqrt(sigma_s^2 - sd^2) eps + sd z`, `sd = eta (sigma_s/sigma_t) sqrt(b)`, with
/// `b = sigma_t^2 - (alpha_t/alpha_s)^2 sigma_s^2`.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ddim {
    /// 0 is deterministic, 1 is `ddpm(variance=fixed-small)`.
    pub eta: f64,
}

impl Sample for Ddim {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            // (Up the levels, where eta = 0 encodes, there is no variance to take the root of.)
            let sd = self.eta * s.sigma / t.sigma * t.variance_since(s).max(0.0).sqrt();
            let rest = (s.sigma - sd).max(0.0).sqrt() * (s.sigma + sd).sqrt();
            let d = cx.denoise(&x, t);
            let z = (self.eta > 0.0).then(|| cx.increment(&x, t, s));
            // eps = (x - alpha_t d)/sigma_t, written out: legal from alpha = 0 and down to sigma = 0.
            let mean = rest / t.sigma * &x + (s.alpha - t.alpha * rest / t.sigma) * &d;
            x = mean.plus(sd, z.as_ref()).eval();
        }
        x
    }
}

impl Solver for Ddim {
    const NAME: &'static str = "ddim";
    const ABOUT: &'static str =
        "DDIM; eta = 0 is deterministic (Euler in x/alpha and sigma/alpha), 1 is DDPM";
    const SOURCE: &'static str = "Song, Meng & Ermon 2021, eq. 12 and 16";

    fn claim(&self) -> Claim {
        Claim::Order(1.0)
    }
    fn equation(&self) -> Option<f64> {
        Some(self.eta * self.eta)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: false, sigma: false }
    }
    fn check(&self) -> Result<()> {
        // sd exceeds sigma_s, and the square root has no value, for some step whenever eta > 1.
        if (0.0..=1.0).contains(&self.eta) {
            return Ok(());
        }
        Err(crate::error::BadInput::new(
            "eta",
            self.eta,
            "is outside [0, 1]",
            "give 0 (deterministic) to 1 (DDPM)",
        ))
    }
    fn strong(&self) -> Option<f64> {
        Some(1.0)
    }
    fn catalogue() -> Vec<Self> {
        [0.0, 0.5, 1.0].map(|eta| Ddim { eta }).into()
    }
}
