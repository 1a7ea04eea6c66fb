//! Exponential Runge-Kutta methods in `lambda`, from tables of phi-functions (Hochbruck & Ostermann 2005, eq. 1.2).
//!
//! In `lambda` the probability flow is `dw/dlambda = L w + N`, and a table gives `w_s = e^z w_t + h sum_i b_i(z) N_i` with
//! `h = lambda_s - lambda_t` and `z = L h`:
//!
//! | form | `w` | `L` | `N` |
//! |---|---|---|---|
//! | `d` | `x/alpha` | -1 | `d` |
//! | `eps` | `x/sigma` | 1 | `-eps` |
//!
//! The `d` form is that of DPM-Solver++ (Lu et al. 2022b), the `eps` form that of DPM-Solver (Lu et al. 2022a).
use super::*;
use crate::error::BadInput;
use crate::state::Lin;

pub mod certificate;
pub mod named;
pub mod table;
pub mod weight;

pub use named::Named;
pub use table::{Choice, Table};
pub use weight::Weight;

/// What the exact linear part leaves to be integrated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The denoised mean: `x_s = (sigma_s/sigma_t) x_t + alpha_s int e^{lambda - lambda_s} d dlambda`.
    #[default]
    D,
    /// The predicted noise: `x_s = (alpha_s/alpha_t) x_t - sigma_s int e^{lambda_s - lambda} eps dlambda`.
    Eps,
}

impl Form {
    /// Both forms.
    pub const ALL: [Form; 2] = [Form::D, Form::Eps];

    /// `z = L h` of a step `h` in `lambda`.
    pub fn z(self, h: f64) -> f64 {
        match self {
            Form::D => -h,
            Form::Eps => h,
        }
    }

    /// The step `h` of a `z`: below 0 where noise is added.
    fn step_of(self, z: f64) -> f64 {
        self.z(z)
    }

    /// The quantity integrated; one model call.
    pub fn native<V: Space>(self, cx: &mut Ctx<V>, x: &State<V>, at: &Level) -> State<V> {
        match self {
            Form::D => cx.denoise(x, at),
            Form::Eps => cx.eps(x, at),
        }
    }

    /// Factor of `x_t` in `x_s`, and of `h` times the weighted natives.
    pub fn factors(self, t: &Level, s: &Level) -> (f64, f64) {
        match self {
            Form::D => (s.sigma / t.sigma, s.alpha),
            Form::Eps => (s.alpha / t.alpha, -s.sigma),
        }
    }

    /// `x` at `s` for one value held over the step: exponential Euler, DDIM. Exact in the limit of a step to `sigma = 0`
    /// and, in the `d` form, from `alpha = 0`.
    pub fn hold<V: Space>(self, x: &State<V>, t: &Level, s: &Level, native: &State<V>) -> State<V> {
        let (keep, _) = self.factors(t, s);
        let gain = match self {
            Form::D => -s.alpha * (t.lambda() - s.lambda()).exp_m1(),
            Form::Eps => s.alpha * (s.kappa() - t.kappa()),
        };
        (keep * x + gain * native).eval()
    }

    /// Which ends of the noise axis it stands on.
    pub fn needs(self) -> Needs {
        Needs { time: false, alpha: self == Form::Eps, sigma: false }
    }
}

impl Table {
    /// One step from `t` to `s`. Where `lambda` is infinite at an end there are no stages between, and the step is of
    /// first order: to `sigma = 0` it returns `d`.
    pub fn step<V: Space>(
        &self,
        form: Form,
        cx: &mut Ctx<V>,
        x: &State<V>,
        t: &Level,
        s: &Level,
    ) -> State<V> {
        if !(s.lambda() - t.lambda()).is_finite() {
            let native = form.native(cx, x, t);
            return form.hold(x, t, s, &native);
        }
        let natives = self.stages(form, cx, x, t, s);
        self.finish(form, x, t, s, &natives)
    }

    /// What the model says at the stages of a step; one call each.
    pub fn stages<V: Space>(
        &self,
        form: Form,
        cx: &mut Ctx<V>,
        x: &State<V>,
        t: &Level,
        s: &Level,
    ) -> Vec<State<V>> {
        let z = form.z(s.lambda() - t.lambda());
        let mut natives = Vec::with_capacity(self.c.len());
        for (c, row) in self.c.iter().zip(&self.a) {
            let level = Clock::Lambda.between(cx, t, s, *c);
            let native = if *c == 0.0 && row.iter().all(Weight::is_zero) {
                form.native(cx, x, t)
            } else {
                let stage = advance(form, x, t, &level, z, row, &natives);
                form.native(cx, &stage, &level)
            };
            natives.push(native);
        }
        natives
    }

    /// `x` at `s` from the stages of this table, or the first stages of a longer one.
    pub fn finish<V: Space>(
        &self,
        form: Form,
        x: &State<V>,
        t: &Level,
        s: &Level,
        natives: &[State<V>],
    ) -> State<V> {
        advance(form, x, t, s, form.z(s.lambda() - t.lambda()), &self.b, natives)
    }

    /// All steps of a grid.
    pub fn run<V: Space>(&self, form: Form, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            x = self.step(form, cx, &x, &pair[0], &pair[1]);
        }
        x
    }

    /// Its certificate against the classical and stiff orders claimed: algebra, then a stiff problem.
    pub fn proofs(&self, classical: f64, stiff: f64) -> Vec<Proof> {
        let trees = certificate::classical(self);
        let (weak, strong) = certificate::stiff(self);
        let slope = certificate::measured(self, 32);
        let fails = trees.fails.map_or("all hold".into(), |tree| format!("the first to fail is {tree}"));
        vec![
            Proof {
                what: "classical order",
                claimed: classical,
                found: f64::from(trees.order),
                how: format!(
                    "order conditions of bicoloured trees up to order {}; {fails}",
                    certificate::MOST
                ),
            },
            Proof {
                what: "stiff order",
                claimed: stiff,
                // Modes at every scale make slopes approach whole orders slowly, and from below.
                found: f64::from(weak).min(slope.round()),
                how: format!(
                    "conditions at z from -1e3 to -1e-2: as they stand up to order {strong}, of the last order with \
                     b(0) up to {weak}; error with mu from 1 to 1e6 has slope {slope:.2}"
                ),
            },
        ]
    }
}

/// `x` at `to`, on the step with argument `z`, from one row of weights.
fn advance<V: Space>(
    form: Form,
    x: &State<V>,
    t: &Level,
    to: &Level,
    z: f64,
    row: &[Weight],
    natives: &[State<V>],
) -> State<V> {
    let (keep, gain) = form.factors(t, to);
    let weights = row.iter().map(|weight| gain * form.step_of(z) * weight.at(z));
    let terms = weights.zip(natives).filter(|(weight, _)| *weight != 0.0);
    Lin::sum(std::iter::once((keep, x)).chain(terms)).eval()
}

/// A table applied to the probability flow.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExponentialRungeKutta {
    /// A named table, or `{ c = [...], a = [[...], ...], b = [...], order = p }`.
    pub table: Choice,
    /// What is integrated: `d` or `eps`.
    pub form: Form,
    /// Second node, where the table leaves it free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub c2: Option<f64>,
    /// Third node, where the table leaves it free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub c3: Option<f64>,
}

impl Default for ExponentialRungeKutta {
    fn default() -> Self {
        ExponentialRungeKutta::named("res-2s", Form::D)
    }
}

impl ExponentialRungeKutta {
    /// A named table with its default nodes.
    pub fn named(table: &str, form: Form) -> Self {
        ExponentialRungeKutta { table: Choice::Named(table.into()), form, c2: None, c3: None }
    }

    /// The table, read.
    ///
    /// # Errors
    /// It cannot be read, or does not take the nodes given.
    pub fn table(&self) -> Result<Table> {
        let given: Vec<(&str, f64)> =
            [("c2", self.c2), ("c3", self.c3)].into_iter().filter_map(|(n, x)| Some((n, x?))).collect();
        let free: &[(&str, f64)] = match &self.table {
            Choice::Named(name) => Named::find(name)?.free,
            Choice::Inline(_) => &[],
        };
        for (name, x) in &given {
            if !free.iter().any(|(known, _)| known == name) {
                return Err(BadInput::new(name, x, "is no free node of this table", "remove it"));
            }
        }
        match &self.table {
            Choice::Named(name) => Named::find(name)?.with(&given),
            Choice::Inline(table) => table.read().map_err(|e| e.within("table")),
        }
    }

    /// Classical and stiff order claimed.
    fn orders(&self) -> (f64, f64) {
        let (classical, stiff) = match (&self.table, self.table()) {
            (Choice::Named(name), Ok(table)) => {
                Named::find(name).map_or((1, 1), |named| (named.orders)(&table.c))
            }
            // Of a table of one's own only the classical order is claimed.
            (Choice::Inline(table), _) => (table.order, 0),
            (Choice::Named(_), Err(_)) => (1, 1),
        };
        (f64::from(classical), f64::from(stiff))
    }
}

impl Sample for ExponentialRungeKutta {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
        match self.table() {
            Ok(table) => table.run(self.form, cx, grid, x),
            Err(why) => {
                cx.refuse(why.to_string());
                x
            }
        }
    }
}

impl Solver for ExponentialRungeKutta {
    const NAME: &'static str = "exponential-runge-kutta";
    const ABOUT: &'static str =
        "exponential Runge-Kutta in lambda: table = a name or your own phi-functions; form = d | eps; c2, c3";
    const SOURCE: &'static str = "Hochbruck & Ostermann 2005, eq. 1.2; the tables name theirs";

    fn claim(&self) -> Claim {
        Claim::Order(self.orders().0)
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        self.form.needs()
    }
    fn check(&self) -> Result<()> {
        let table = self.table()?;
        let Choice::Inline(written) = &self.table else { return Ok(()) };
        let most = certificate::classical(&table).scalar;
        if (1..=most).contains(&written.order) {
            return Ok(());
        }
        let why = format!("is not an order that the table has: its order conditions hold up to {most}");
        let fix = if most == 0 { "make sum b_i(0) = 1".into() } else { format!("give 1 to {most}") };
        Err(BadInput::new("table.order", written.order, why, fix))
    }
    fn calls(&self, steps: usize) -> usize {
        self.table().map_or(0, |table| table.c.len()) * steps
    }
    fn proofs(&self) -> Vec<Proof> {
        let (classical, stiff) = self.orders();
        let proofs = self.table().map_or(Vec::new(), |table| table.proofs(classical, stiff));
        // Of a table of one's own nothing is claimed on stiff problems.
        proofs.into_iter().filter(|proof| proof.claimed > 0.0).collect()
    }
    fn conditions(&self, _: Option<(&Schedule, &[Level])>) -> Vec<Condition> {
        let up_to = self.orders().0 as u32 + 1;
        self.table().map_or(Vec::new(), |table| certificate::conditions(&table, up_to))
    }
    fn sold_as(&self) -> Option<f64> {
        // Third order is what "3s" promises.
        let thirds = ["res-3s-shipped", "dpm-3s"];
        let sold = matches!(&self.table, Choice::Named(name) if thirds.contains(&name.as_str()));
        (sold && self.orders().0 < 3.0).then_some(3.0)
    }
    fn catalogue() -> Vec<Self> {
        let d = named::TABLES.iter().map(|table| ExponentialRungeKutta::named(table.name, Form::D));
        // At its default nodes it is res-3s.
        let shipped = |solver: Self| {
            let shipped = solver.table == Choice::Named("res-3s-shipped".into());
            ExponentialRungeKutta { c3: shipped.then_some(0.75), ..solver }
        };
        let eps = ["res-2s", "res-3s", "cox-matthews-4", "krogstad-4", "hochbruck-ostermann-4", "lawson-4"];
        let fifth = ["luan-ostermann-5"];
        let in_eps = eps.into_iter().chain(fifth).map(|name| ExponentialRungeKutta::named(name, Form::Eps));
        d.filter(|s| s.orders().0 < 5.0).map(shipped).chain(in_eps).collect()
    }
}
