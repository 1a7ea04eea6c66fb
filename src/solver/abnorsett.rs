//! Exponential Adams-Bashforth methods of Norsett (Hochbruck & Ostermann 2010, sec. 2.5, eq. 2.51 f., for any steps).
use super::multistep::{Form, History, WarmUp, check_order};
use super::*;

/// The last `order` values of `d` (or `eps`) are interpolated by a polynomial in `lambda`, which the variation of
/// constants integrates exactly, by phi-functions: `x_s = (sigma_s/sigma_t) x + sigma_s int e^lambda p(lambda) dlambda`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AbNorsett {
    /// Number of values, 1 to 4.
    pub order: usize,
    /// What is interpolated.
    pub form: Form,
    /// How the first `order - 1` steps are made.
    pub warm_up: WarmUp,
}

impl Default for AbNorsett {
    fn default() -> Self {
        AbNorsett { order: 2, form: Form::D, warm_up: WarmUp::Published }
    }
}

impl Sample for AbNorsett {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let form = self.form;
        let mut past = History::new(self.order);
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            past.push(t, form.native(cx, &x, t));
            x = form.warm_up(self.warm_up, cx, &past, &x, s).unwrap_or_else(|| {
                // A polynomial in lambda has no value at sigma = 0.
                let order = if s.sigma == 0.0 { 1 } else { past.levels.len() };
                let a = form.polynomial(t, s, &past.levels[..order]);
                form.step(&x, (t, s), a.into_iter().zip(&past.values))
            });
        }
        x
    }
}

impl Solver for AbNorsett {
    const NAME: &'static str = "abnorsett";
    const ABOUT: &'static str =
        "exponential Adams-Bashforth in lambda, exact for uneven steps; order = 1..4, form = d | eps";
    const SOURCE: &'static str = "Norsett 1969; Hochbruck & Ostermann 2010, sec. 2.5";

    fn claim(&self) -> Claim {
        Claim::Order(self.warm_up.order(self.order, 2) as f64)
    }
    fn sold_as(&self) -> Option<f64> {
        sold(self.order, Solver::claim(self))
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        self.form.needs_from(self.warm_up, self.order)
    }
    fn check(&self) -> Result<()> {
        check_order(self.order, 4)
    }
    fn calls(&self, steps: usize) -> usize {
        self.warm_up.calls(self.order, steps)
    }
    fn catalogue() -> Vec<Self> {
        let with = |form, order, warm_up| AbNorsett { order, form, warm_up };
        let mut all = vec![Self::default(), with(Form::Eps, 2, WarmUp::Published)];
        all.extend([1, 4].map(|order| with(Form::D, order, WarmUp::Published)));
        for form in [Form::D, Form::Eps] {
            all.extend([3, 4].map(|order| with(form, order, WarmUp::OneStep)));
            all.push(with(form, 4, WarmUp::Exact));
        }
        all
    }
}
