//! DEIS, the exponential multistep methods of Zhang & Chen 2023, for deterministic sampling.
use super::multistep::{Form, History, WarmUp, check_order, integrals};
use super::*;
use crate::math::gauss_legendre;

/// `x_s/alpha_s = x/alpha_t + sum_j eps_j int_{kappa_t}^{kappa_s} l_j(u(kappa)) dkappa`: `eps` is interpolated in a
/// variable `u` at the last `order` levels and integrated by Gauss-Legendre quadrature (eq. 14 and 15 at
/// `Psi = alpha_s/alpha_t`, `G^2 = g^2`, since `dkappa = g^2/(2 alpha sigma) dt`).
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deis {
    /// The variable that `eps` is a polynomial in.
    pub variant: Variant,
    /// Number of values, 1 to 4: one more than the degree that the paper counts.
    pub order: usize,
    /// Whether the order falls to 1 with the number of steps left, as diffusers does for short runs.
    pub lower_order_final: bool,
    /// How the first `order - 1` steps are made.
    pub warm_up: WarmUp,
}

/// What `eps` is interpolated in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Time: the paper's tAB-DEIS.
    #[default]
    TAb,
    /// `rho = kappa`: the paper's rhoAB-DEIS, which is `lms`.
    RhoAb,
    /// `ln rho`: what diffusers ships, which is `abnorsett(form=eps)`.
    LogRho,
}

impl Variant {
    fn of(self, at: &Level) -> f64 {
        match self {
            Variant::TAb => at.t,
            Variant::RhoAb => at.kappa(),
            Variant::LogRho => at.lambda(),
        }
    }
}

impl Default for Deis {
    fn default() -> Self {
        Deis { variant: Variant::TAb, order: 3, lower_order_final: false, warm_up: WarmUp::Published }
    }
}

impl Deis {
    /// `int_{kappa_t}^{kappa_s} l_j(u(kappa)) dkappa` through `levels`, newest first.
    fn weights<V: Space>(
        &self,
        cx: &Ctx<V>,
        rule: &[(f64, f64)],
        t: &Level,
        s: &Level,
        levels: &[Level],
    ) -> Vec<f64> {
        let (from, length) = (self.variant.of(t), self.variant.of(s) - self.variant.of(t));
        if levels.len() == 1 || length == 0.0 || !length.is_finite() {
            // DDIM; also where the variable has no value at sigma = 0, and in diffusers' last step of length 0.
            return vec![s.kappa() - t.kappa()];
        }
        let nodes: Vec<f64> = levels.iter().map(|level| (self.variant.of(level) - from) / length).collect();
        let points = quadrature(cx, rule, t, s);
        let points: Vec<(f64, f64)> = points
            .iter()
            .map(|(level, weight)| ((self.variant.of(level) - from) / length, *weight))
            .collect();
        integrals(&nodes, |k| points.iter().map(|(r, weight)| weight * r.powi(k as i32)).sum())
    }
}

/// Levels and weights that integrate over `kappa` from `t` down to `s`: Gauss-Legendre in `lambda`, in which everything
/// here is smooth, over panels no longer than 1.
fn quadrature<V: Space>(cx: &Ctx<V>, rule: &[(f64, f64)], t: &Level, s: &Level) -> Vec<(Level, f64)> {
    // Below e^-40 kappa_t there is nothing left to integrate.
    let (start, end) = (t.lambda(), s.lambda().min(t.lambda() + 40.0));
    let mut breaks = vec![start];
    if cx.schedule().table_len().is_some() {
        // The time of a table is smooth between entries only.
        let entries = (s.t.ceil() as i64..=t.t.floor() as i64).rev().map(|i| cx.at(i as f64).lambda());
        breaks.extend(entries.filter(|lambda| *lambda > start && *lambda < end));
    }
    breaks.push(end);
    let mut points = Vec::new();
    for pair in breaks.windows(2) {
        let panels = (pair[1] - pair[0]).ceil().max(1.0);
        let half = 0.5 * (pair[1] - pair[0]) / panels;
        for panel in 0..panels as usize {
            let middle = pair[0] + half * (2 * panel + 1) as f64;
            points.extend(rule.iter().map(|(node, weight)| {
                let level = cx.at_lambda(middle + half * node);
                (level, -weight * half * level.kappa())
            }));
        }
    }
    points
}

impl Sample for Deis {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let rule = gauss_legendre(16);
        let mut past = History::new(self.order);
        for (i, pair) in grid.windows(2).enumerate() {
            let (t, s) = (&pair[0], &pair[1]);
            past.push(t, cx.eps(&x, t));
            x = past.warm_up(self.warm_up, cx, Clock::Edm, &x, s).unwrap_or_else(|| {
                let order = past.order(self.lower_order_final, grid.len() - 1 - i);
                let weights = self.weights(cx, &rule, t, s, &past.levels[..order]);
                Clock::Edm.advance(&x, t, s, 1.0, &weights, &past.values)
            });
        }
        x
    }
}

impl Solver for Deis {
    const NAME: &'static str = "deis";
    const ABOUT: &'static str =
        "DEIS: eps interpolated in t, rho or ln rho (variant = t-ab | rho-ab | log-rho), order = 1..4";
    const SOURCE: &'static str = "Zhang & Chen 2023, eq. 14 and 15; diffusers 0.42.1 for log-rho";

    fn claim(&self) -> Claim {
        let order = self.warm_up.order(self.order, 2);
        Claim::Order(if self.lower_order_final { order.min(2) } else { order } as f64)
    }
    fn sold_as(&self) -> Option<f64> {
        sold(self.order, Solver::claim(self))
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Form::Eps.needs_from(self.warm_up, self.order)
    }
    fn check(&self) -> Result<()> {
        check_order(self.order, 4)
    }
    fn calls(&self, steps: usize) -> usize {
        self.warm_up.calls(self.order, steps)
    }
    fn catalogue() -> Vec<Self> {
        let mut all = vec![Self::default()];
        for variant in [Variant::TAb, Variant::RhoAb, Variant::LogRho] {
            let with = |order, warm_up| Deis { variant, order, warm_up, ..Self::default() };
            all.extend([with(2, WarmUp::Published), with(3, WarmUp::OneStep), with(4, WarmUp::OneStep)]);
        }
        let shipped = Deis { variant: Variant::LogRho, ..Self::default() };
        all.extend([Deis { lower_order_final: true, ..shipped.clone() }, shipped]);
        all
    }
}
