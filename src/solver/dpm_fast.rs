//! DPM-Solver-fast (Lu et al. 2022a, sec. 3.4 and app. D.1) with k-diffusion's ancestral noise (`sample_dpm_fast`).
use super::exponential_runge_kutta::{Form, Named, Table};
use super::*;
use crate::error::BadInput;

/// Steps of orders 3, ..., 3 and then 2 or 1, `N` model calls in all, over levels of its own: of the grid it takes the
/// two ends and the number of steps, which is its number of calls. Its levels are uniform in `lambda`.
///
/// With `eta > 0` a step goes down to `kappa_down` and is raised back by fresh noise, as in `euler-ancestral`.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpmFast {
    /// Share of ancestral noise: 0 is the probability flow, 1 the reverse SDE.
    pub eta: f64,
    /// Factor on the noise; anything but 1 falsifies it.
    pub s_noise: f64,
}

impl Default for DpmFast {
    fn default() -> Self {
        DpmFast { eta: 0.0, s_noise: 1.0 }
    }
}

/// The orders of the steps that spend `calls`.
fn orders(calls: usize) -> Vec<usize> {
    let thirds = calls / 3;
    match calls % 3 {
        0 => [vec![3; thirds - 1], vec![2, 1]].concat(),
        rest => [vec![3; thirds], vec![rest]].concat(),
    }
}

/// The tables of DPM-Solver-1, 2 and 3.
fn tables() -> Vec<Table> {
    let read = |name| Named::find(name).and_then(|table| table.with(&[]));
    ["euler-1", "dpm-2s", "dpm-3s"].map(|name| read(name).expect("it is one of the crate's own")).into()
}

impl Sample for DpmFast {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let (first, end) = (grid[0], grid[grid.len() - 1]);
        if !(end.lambda() - first.lambda()).is_finite() {
            cx.refuse("its levels are uniform in lambda, which is infinite at an end of the grid");
            return x;
        }
        let (orders, tables) = (orders(grid.len() - 1), tables());
        let mut t = first;
        for (i, order) in orders.iter().enumerate() {
            let s = Clock::Lambda.between(cx, &first, &end, (i + 1) as f64 / orders.len() as f64);
            let up = s.kappa() * (self.eta * (1.0 - (s.kappa() / t.kappa()).powi(2)).sqrt()).min(1.0);
            let kappa_down = (s.kappa().powi(2) - up * up).sqrt().max(end.kappa());
            let down = if up > 0.0 && i + 1 < orders.len() { cx.at_kappa(kappa_down) } else { s };
            let below = tables[order - 1].step(Form::Eps, cx, &x, &t, &down);
            x = if down == s {
                below
            } else {
                let sd = s.alpha * self.s_noise * (s.kappa().powi(2) - kappa_down.powi(2)).sqrt();
                let z = cx.increment(&x, &t, &s);
                (s.alpha / down.alpha * &below + sd * &z).eval()
            };
            t = s;
        }
        x
    }
}

impl Solver for DpmFast {
    const NAME: &'static str = "dpm-fast";
    const ABOUT: &'static str = "DPM-Solver-fast: orders 3, ..., 3 and then 2 or 1 on its own uniform-lambda levels; N steps are N calls";
    const SOURCE: &'static str = "Lu et al. 2022a, app. D.1; k-diffusion, sample_dpm_fast";

    fn claim(&self) -> Claim {
        // One last step of first order has an error of second.
        if self.eta > 0.0 && self.s_noise != 1.0 { Claim::Floor } else { Claim::Order(2.0) }
    }
    fn sold_as(&self) -> Option<f64> {
        sold(3, Solver::claim(self))
    }
    fn cycle(&self) -> usize {
        3
    }
    fn equation(&self) -> Option<f64> {
        if self.eta > 0.0 && self.s_noise != 1.0 { None } else { Some(self.eta * self.eta) }
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: true, sigma: true }
    }
    fn check(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.eta) {
            let fix = "give 0 (deterministic) to 1 (the reverse SDE)";
            return Err(BadInput::new("eta", self.eta, "is outside [0, 1]", fix));
        }
        if !(self.s_noise >= 0.0 && self.s_noise.is_finite()) {
            return Err(BadInput::new(
                "s_noise",
                self.s_noise,
                "is not allowed",
                "give a number of at least 0",
            ));
        }
        Ok(())
    }
    fn strong(&self) -> Option<f64> {
        Some(1.0)
    }
    fn draws(&self, steps: usize) -> usize {
        if self.eta > 0.0 { orders(steps).len() - 1 } else { 0 }
    }
    fn catalogue() -> Vec<Self> {
        [0.0, 1.0].map(|eta| DpmFast { eta, ..DpmFast::default() }).into()
    }
}
