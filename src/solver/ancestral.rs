//! The ancestral sampler of score_sde (Song et al. 2021, eq. 4 for VP, eq. 47 for VE).
use super::reverse_diffusion::euler_beta;
use super::*;
use crate::schedule::Family;

/// VP, with `b = beta(t)(t - s)`: `x_s = (x + b score)/sqrt(1-b) + sqrt(b) z`. VE, with `G^2 = sigma_t^2 - sigma_s^2`:
/// `x_s = x + G^2 score + (sigma_s/sigma_t) G z`.
///
/// With `b` taken from the two levels instead, the VP form is `ddpm(variance=fixed-large)`.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ancestral {}

impl Sample for Ancestral {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            let (g2, keep, sd) = if cx.schedule().family() == Family::Vp {
                let b = euler_beta(cx, t, s);
                if b == 1.0 {
                    cx.refuse("beta(t)(t - s) = 1 divides by zero: use more steps");
                }
                (b, (1.0 - b).sqrt().recip(), b.sqrt())
            } else {
                let g2 = t.variance_since(s);
                (g2, 1.0, s.sigma / t.sigma * g2.sqrt())
            };
            let score = cx.score(&x, t);
            let z = cx.increment(&x, t, s);
            x = (keep * &x + keep * g2 * &score + sd * &z).eval();
        }
        x
    }
}

impl Solver for Ancestral {
    const NAME: &'static str = "ancestral";
    const ABOUT: &'static str = "score_sde's ancestral predictor (VP with b = beta(t)(t - s), and VE)";
    const SOURCE: &'static str = "Song et al. 2021, eq. 4 and 47";

    fn claim(&self) -> Claim {
        Claim::Order(1.0)
    }
    fn equation(&self) -> Option<f64> {
        Some(1.0)
    }
    fn needs(&self, schedule: &Schedule) -> Needs {
        // The VE form works on sigma alone.
        Needs { time: schedule.family() != Family::Ve, alpha: false, sigma: false }
    }
    fn check_schedule(&self, schedule: &Schedule) -> std::result::Result<(), String> {
        if schedule.family() == Family::Other {
            return Err(
                "ancestral sampling has a VP and a VE form only; use ddpm, which covers every schedule"
                    .into(),
            );
        }
        Ok(())
    }
    fn strong(&self) -> Option<f64> {
        Some(1.0)
    }
}
