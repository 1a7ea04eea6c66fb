//! Euler-Maruyama on the family `dx = [f x - (1+l)/2 g^2 score] dt + sqrt(l) g dw`: Song et al. 2021,
//! eq. 6 (`l = 1`, Anderson 1982) and eq. 13 (`l = 0`); the family in Karras et al. 2022, eq. 6, and
//! Zhang & Chen 2023, eq. 6.
use super::*;

/// `x_s = x - h [f x - (1+l)/2 g^2 score] + sqrt(l g^2 h) z`, everything at `t`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EulerMaruyama {
    /// `l`: 0 is the probability flow, 1 the reverse SDE; any value of at least 0 keeps the marginals.
    pub lambda: f64,
}

impl Default for EulerMaruyama {
    fn default() -> Self {
        EulerMaruyama { lambda: 1.0 }
    }
}

impl Sample for EulerMaruyama {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let l = self.lambda;
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            let h = t.t - s.t;
            let score = cx.score(&x, t);
            let z = (l > 0.0).then(|| cx.increment(&x, t, s));
            let mean = (1.0 - h * t.f) * &x + h * (1.0 + l) / 2.0 * t.g2 * &score;
            x = mean.plus((l * t.g2 * h).sqrt(), z.as_ref()).eval();
        }
        x
    }
}

impl Solver for EulerMaruyama {
    const NAME: &'static str = "euler-maruyama";
    const ABOUT: &'static str =
        "Euler-Maruyama in t on the lambda family; lambda = 1 is the reverse SDE, 0 the flow";
    const SOURCE: &'static str = "Song et al. 2021, eq. 6; Karras et al. 2022, eq. 6";

    fn claim(&self) -> Claim {
        Claim::Order(1.0)
    }
    fn equation(&self) -> Option<f64> {
        Some(self.lambda)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: true, alpha: false, sigma: false }
    }
    fn check(&self) -> Result<()> {
        check_lambda(self.lambda)
    }
    fn strong(&self) -> Option<f64> {
        Some(1.0)
    }
    fn catalogue() -> Vec<Self> {
        [1.0, 0.0, 0.5, 2.0].map(|lambda| EulerMaruyama { lambda }).into()
    }
}

/// The noise share of the lambda family must be a finite number of at least 0.
pub(crate) fn check_lambda(lambda: f64) -> Result<()> {
    if lambda.is_finite() && lambda >= 0.0 {
        return Ok(());
    }
    Err(crate::error::BadInput::new(
        "lambda",
        lambda,
        "is not a finite number of at least 0",
        "give 0 (flow), 1 (reverse SDE) or another",
    ))
}
