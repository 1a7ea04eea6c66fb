//! The reverse diffusion sampler of score_sde: the reverse SDE discretised the way the forward one is
//! (Song et al. 2021, eq. 46 in general; app. D.1 for VE, app. E for VP).
use super::*;
use crate::schedule::Family;

/// VP, with `b = beta(t)(t - s)`: `x_s = (2 - sqrt(1-b)) x + b score + sqrt(b) z`. VE, with
/// `G^2 = sigma_t^2 - sigma_s^2`: `x_s = x + G^2 score + G z`. Elsewhere score_sde's default, Euler-Maruyama.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReverseDiffusion {}

impl Sample for ReverseDiffusion {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            let (keep, g2) = match cx.schedule().family() {
                Family::Vp => {
                    let b = euler_beta(cx, t, s);
                    (2.0 - (1.0 - b).sqrt(), b)
                }
                Family::Ve => (1.0, t.variance_since(s)),
                Family::Other => (1.0 - t.f * (t.t - s.t), t.g2 * (t.t - s.t)),
            };
            let score = cx.score(&x, t);
            let z = cx.increment(&x, t, s);
            x = (keep * &x + g2 * &score + g2.sqrt() * &z).eval();
        }
        x
    }
}

/// `b = beta(t)(t - s)` of a variance-preserving step, which stands for a probability-like share: at most 1.
pub(crate) fn euler_beta<V: Space>(cx: &mut Ctx<V>, t: &Level, s: &Level) -> f64 {
    let b = t.g2 * (t.t - s.t);
    if b > 1.0 {
        cx.refuse(format!(
            "beta(t)(t - s) = {b:.3} exceeds 1 on the step from t = {:?} to {:?}: use more steps",
            t.t, s.t
        ));
    }
    b.min(1.0)
}

impl Solver for ReverseDiffusion {
    const NAME: &'static str = "reverse-diffusion";
    const ABOUT: &'static str =
        "score_sde's reverse diffusion predictor (VP and VE forms, b = beta(t)(t - s))";
    const SOURCE: &'static str = "Song et al. 2021, eq. 46, app. D.1 and E";

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
    fn strong(&self) -> Option<f64> {
        Some(1.0)
    }
}
