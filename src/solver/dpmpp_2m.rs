//! DPM-Solver++(2M) (Lu et al. 2022b, algorithm 2).
use super::*;

/// Second-order multistep in `lambda`: `x_s = (sigma_s/sigma_t) x - alpha_s (e^{-h} - 1) [d + (d - d_prev)/(2r)]`,
/// `r = h_prev/h`.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpmPp2m {
    /// Whether the last step is of first order, as libraries do for short runs.
    pub lower_order_final: bool,
}

impl Sample for DpmPp2m {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let mut last: Option<(f64, State<V>)> = None;
        for (i, pair) in grid.windows(2).enumerate() {
            let (t, s) = (&pair[0], &pair[1]);
            let h = s.lambda() - t.lambda();
            let d = cx.denoise(&x, t);
            let (keep, gain) = (s.sigma / t.sigma, -s.alpha * (-h).exp_m1());
            let first_order = s.sigma == 0.0 || (self.lower_order_final && i + 2 == grid.len());
            x = match &last {
                Some((h_last, d_last)) if !first_order => {
                    let slope = h / (2.0 * h_last);
                    (keep * &x + gain * ((1.0 + slope) * &d - slope * d_last)).eval()
                }
                _ => (keep * &x + gain * &d).eval(),
            };
            last = Some((h, d));
        }
        x
    }
}

impl Solver for DpmPp2m {
    const NAME: &'static str = "dpmpp-2m";
    const ABOUT: &'static str =
        "DPM-Solver++(2M): exponential multistep of order 2 in lambda, data prediction";
    const SOURCE: &'static str = "Lu et al. 2022b, algorithm 2";

    fn claim(&self) -> Claim {
        Claim::Order(2.0)
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: false, sigma: false }
    }
    fn catalogue() -> Vec<Self> {
        [false, true].map(|lower_order_final| DpmPp2m { lower_order_final }).into()
    }
}
