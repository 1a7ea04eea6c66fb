//! ER-SDE-Solvers (Cui et al. 2023, algorithms 1 to 3): the reverse SDE with any noise that keeps the marginals.
//!
//! In `y = x/alpha` and `kappa` (the paper's VE form; its VP form is the same in these), for a noise scale `phi`:
//! `y_s = phi_s/phi_t y + (1 - phi_s/phi_t) d + sqrt(kappa_s^2 - kappa_t^2 (phi_s/phi_t)^2) z` plus, with the derivatives
//! of `d` by `kappa` at `t`, `c_1 d' + c_2 d''`, where `c_k = int phi_s (kappa - kappa_t)^{k-1}/phi(kappa) dkappa - ...`
//! are those of the Taylor polynomial. `phi = kappa^{1+l}` is the member `l` of the family.
use super::dpmpp_multistep_sde::WarmUp;
use super::*;
use crate::error::BadInput;
use crate::math::gauss_legendre;

/// Taylor form, derivatives by backward differences.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ErSde {
    /// Values of `d` used: 1 to 3.
    pub order: usize,
    /// The noise scale `phi`.
    pub scale: Scale,
    /// How the first derivative of `d` is taken where three values are at hand.
    pub derivative: Derivative,
    /// How the integrals of `1/phi` are taken.
    pub integral: Integral,
    /// How the first steps are taken: as published, with the values there are, or exact.
    pub warm_up: WarmUp,
}

/// Noise scales of the paper (sec. 4 and app. A.8) and the authors' code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// `kappa`: the probability flow.
    Ode,
    /// `kappa^2`: the reverse SDE.
    Sde,
    /// `kappa (e^{-1/kappa} + 10)`.
    #[serde(rename = "sde-1")]
    Sde1,
    /// `kappa^1.5`.
    #[serde(rename = "sde-2")]
    Sde2,
    /// `kappa^2.5`.
    #[serde(rename = "sde-3")]
    Sde3,
    /// `kappa^0.9 log10(1 + 100 kappa^1.5)` (any other logarithm is as good); for `kappa` to some 1000, above which no noise fits it.
    #[serde(rename = "sde-4")]
    Sde4,
    /// `kappa (e^{kappa^0.3} + 10)`: the authors' default.
    #[default]
    #[serde(rename = "sde-5")]
    Sde5,
}

impl Scale {
    /// `phi(kappa)/kappa`.
    fn per_kappa(self, kappa: f64) -> f64 {
        match self {
            Scale::Ode => 1.0,
            Scale::Sde => kappa,
            Scale::Sde1 => (-1.0 / kappa).exp() + 10.0,
            Scale::Sde2 => kappa.sqrt(),
            Scale::Sde3 => kappa.powf(1.5),
            Scale::Sde4 => kappa.powf(-0.1) * (100.0 * kappa.powf(1.5)).ln_1p(),
            Scale::Sde5 => kappa.powf(0.3).exp() + 10.0,
        }
    }
}

/// First derivative from three values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Derivative {
    /// The difference of the last two, as published: off by `h d''/2`, so that the method of order 3 is of order 2.
    #[default]
    Published,
    /// That of the parabola through all three: order 3 without noise.
    Corrected,
}

/// How integrals are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Integral {
    /// By Gauss-Legendre quadrature in `ln kappa`, to round-off.
    #[default]
    Exact,
    /// By the authors' sum over 100 left end points in `kappa`: its error, a hundredth of the correction, is of first
    /// order in the step.
    Riemann,
}

impl Default for ErSde {
    fn default() -> Self {
        ErSde {
            order: 3,
            scale: Scale::Sde5,
            derivative: Derivative::Published,
            integral: Integral::Exact,
            warm_up: WarmUp::Published,
        }
    }
}

impl ErSde {
    /// `c_1` and `c_2` of a step.
    fn taylor(&self, t: &Level, s: &Level) -> (f64, f64) {
        let (k, k_s) = (t.kappa(), s.kappa());
        let (width, phi_s) = (k - k_s, k_s * self.scale.per_kappa(k_s));
        let (mut one, mut two) = (0.0, 0.0);
        let mut add = |at: f64, w: f64| {
            let share = w * phi_s / (at * self.scale.per_kappa(at));
            one += share;
            two += share * (at - k);
        };
        match self.integral {
            Integral::Riemann => {
                (0..100).for_each(|j| add(k_s + width * f64::from(j) / 100.0, width / 100.0))
            }
            Integral::Exact => {
                let log = (k / k_s).ln();
                let panels = (log / 0.5).ceil().max(1.0);
                for panel in 0..panels as usize {
                    for (x, w) in gauss_legendre(10) {
                        let at = k_s * (log / panels * (panel as f64 + 0.5 * (1.0 + x))).exp();
                        add(at, 0.5 * w * log / panels * at);
                    }
                }
            }
        }
        (one - width, two + 0.5 * width * width)
    }

    /// Weights of the differences of the last values of `d` (newest first), whose levels are `k`.
    fn weights(&self, t: &Level, s: &Level, k: &[f64]) -> (f64, f64) {
        let [k_0, k_1, ..] = *k else { return (0.0, 0.0) };
        let (c_1, c_2) = self.taylor(t, s);
        let Some(k_2) = k.get(2) else { return (c_1 / (k_0 - k_1), 0.0) };
        // d'' = 2 (D_01 - D_12)/(k_0 - k_2) from divided differences; the parabola's slope is D_01 + (k_0 - k_1) d''/2.
        let bend = match self.derivative {
            Derivative::Published => 2.0 * c_2 / (k_0 - k_2),
            Derivative::Corrected => (2.0 * c_2 + c_1 * (k_0 - k_1)) / (k_0 - k_2),
        };
        ((c_1 + bend) / (k_0 - k_1), -bend / (k_1 - k_2))
    }

    /// Exponent of a scale that is a power, less one.
    fn member(&self) -> Option<f64> {
        match self.scale {
            Scale::Ode => Some(0.0),
            Scale::Sde => Some(1.0),
            Scale::Sde2 => Some(0.5),
            Scale::Sde3 => Some(1.5),
            Scale::Sde1 | Scale::Sde4 | Scale::Sde5 => None,
        }
    }
}

impl Sample for ErSde {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let mut past: Vec<(f64, State<V>)> = Vec::new();
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            past.insert(0, (t.kappa(), cx.denoise(&x, t)));
            past.truncate(self.order);
            if s.sigma == 0.0 {
                // All scales end in d, and none of their integrals is needed for it.
                x = (s.alpha * &past[0].1).eval();
                continue;
            }
            if self.warm_up == WarmUp::Exact && past.len() < self.order {
                x = cx.flow(&x, t, s);
                continue;
            }
            // kappa_t phi_s/(kappa_s phi_t): what is left of the old noise.
            let left = self.scale.per_kappa(s.kappa()) / self.scale.per_kappa(t.kappa());
            if left > 1.0 {
                cx.refuse(format!(
                    "no noise fits this scale at kappa = {:?}: start the grid lower",
                    t.kappa()
                ));
            }
            let z = (self.scale != Scale::Ode).then(|| cx.increment(&x, t, s));
            let k: Vec<f64> = past.iter().map(|(k, _)| *k).collect();
            let (new, old) = self.weights(t, s, &k);
            let ratio = s.kappa() / t.kappa() * left;
            let mut mean = s.sigma / t.sigma * left * &x + s.alpha * (1.0 - ratio) * &past[0].1;
            if past.len() > 1 {
                mean = mean + s.alpha * new * (&past[0].1 - &past[1].1);
            }
            if past.len() > 2 {
                mean = mean + s.alpha * old * (&past[1].1 - &past[2].1);
            }
            let sd = s.sigma * ((1.0 - left) * (1.0 + left)).max(0.0).sqrt();
            x = mean.plus(sd, z.as_ref()).eval();
        }
        x
    }
}

impl Solver for ErSde {
    const NAME: &'static str = "er-sde";
    const ABOUT: &'static str = "ER-SDE-Solver-1, -2, -3 (order); scale = ode | sde | sde-1..5, derivative = \
                                 published | corrected, integral = exact | riemann";
    const SOURCE: &'static str = "Cui et al. 2023, algorithms 1 to 3";

    fn claim(&self) -> Claim {
        // (The first step of the published start leaves an error of second order.)
        let third = self.order == 3
            && (self.scale, self.derivative, self.warm_up)
                == (Scale::Ode, Derivative::Corrected, WarmUp::Exact);
        Claim::Order(match (self.order, self.integral) {
            (1, _) | (_, Integral::Riemann) => 1.0,
            _ if third => 3.0,
            _ => 2.0,
        })
    }
    fn sold_as(&self) -> Option<f64> {
        sold(self.order, Solver::claim(self))
    }
    fn equation(&self) -> Option<f64> {
        self.member()
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: self.scale == Scale::Sde4, sigma: false }
    }
    fn check(&self) -> Result<()> {
        if (1..=3).contains(&self.order) {
            return self.warm_up.check_without_one_step(if self.scale == Scale::Ode { 0.0 } else { 1.0 });
        }
        Err(BadInput::new("order", self.order, "is out of range", "give 1, 2 or 3"))
    }
    fn strong(&self) -> Option<f64> {
        self.member().filter(|l| *l > 0.0).map(|_| 1.0)
    }
    fn draws(&self, steps: usize) -> usize {
        if self.scale == Scale::Ode { 0 } else { steps }
    }
    fn catalogue() -> Vec<Self> {
        let with = |order, scale| ErSde { order, scale, ..Self::default() };
        let corrected = |scale| ErSde { scale, derivative: Derivative::Corrected, ..Self::default() };
        let scales = [Scale::Sde, Scale::Sde1, Scale::Sde2, Scale::Sde3, Scale::Sde4].map(|s| with(3, s));
        let fixed = [
            with(1, Scale::Sde5),
            with(2, Scale::Sde5),
            with(1, Scale::Ode),
            with(2, Scale::Ode),
            with(3, Scale::Ode),
        ];
        [Self::default()]
            .into_iter()
            .chain(scales)
            .chain(fixed)
            .chain([ErSde { warm_up: WarmUp::Exact, ..corrected(Scale::Ode) }, corrected(Scale::Sde)])
            .collect()
    }
}
