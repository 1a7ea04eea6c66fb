//! Explicit linear multistep methods by their coefficients (Hairer, Norsett & Wanner 1993, III.2, eq. 2.1).
use super::adams_bashforth::weights;
use super::conditions::{WRITTEN, inconsistency, order as order_of, residuals};
use super::multistep::{Form, History, WarmUp};
use super::*;
use crate::error::BadInput;
use crate::state::Lin;

/// `y_{n+1} = sum_j alpha_j y_{n-j} + h sum_j beta_j f_{n-j}` in what the clock moves; the newest comes first in both lists.
/// Textbooks that write `sum_i a_i y_{n+i} = h sum_i b_i f_{n+i}` have `alpha_j = -a_{k-1-j}/a_k`, `beta_j = b_{k-1-j}/a_k`.
///
/// With a `form`, what the exact linear part leaves is held at `sum_j beta_j m_{n-j}` over the step, in `lambda`: weights
/// that do not know `h` reach order 2 there.
///
/// From a file:
/// ```toml
/// name  = "linear-multistep"
/// label = "AB2"
/// beta  = [1.5, -0.5]
/// order = 2            # held against the order conditions; without it, the order found is claimed; 0 claims nothing
/// ```
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinearMultistep {
    /// Weights of the states, newest first.
    pub alpha: Vec<f64>,
    /// Weights of the slopes (or of `d` or `eps`), newest first.
    pub beta: Vec<f64>,
    /// The order claimed: 0 to claim, and check, nothing; the order found if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<u32>,
    /// The variable that steps are taken in.
    pub clock: Clock,
    /// What is held over a step of an exponential method, in `lambda`; a plain one without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// How the steps are made for which there is not enough history.
    pub warm_up: WarmUp,
}

impl Default for LinearMultistep {
    fn default() -> Self {
        let (alpha, warm_up) = (vec![1.0], WarmUp::Published);
        LinearMultistep { alpha, beta: Vec::new(), order: None, clock: Clock::T, form: None, warm_up }
    }
}

/// More steps back than any method of use has, and few enough for one combination.
const MOST: usize = 9;

impl LinearMultistep {
    /// Values that a step looks back at.
    fn depth(&self) -> usize {
        self.alpha.len().max(self.beta.len())
    }

    /// Whether states before the newest take part.
    fn looks_back(&self) -> bool {
        self.alpha.iter().skip(1).any(|a| *a != 0.0)
    }

    /// The order that the conditions give, on equal steps.
    fn found(&self) -> u32 {
        order_of(&self.up_to(self.depth() as u32 + 2), WRITTEN)
    }

    fn claimed(&self) -> u32 {
        self.order.unwrap_or_else(|| self.found())
    }

    /// `sum_j alpha_j (-j)^q + q sum_j beta_j (-j)^{q-1} = 1` for every `q` up to an order: exact for powers of the clock
    /// (the same, III.2, theorem 2.4). With a form, what is held must have the mean value of powers below `q`, as `h -> 0`.
    fn up_to(&self, order: u32) -> Vec<Condition> {
        let power = |j: usize, q: u32| if q == 0 { 1.0 } else { (-(j as f64)).powi(q as i32) };
        let sum = |list: &[f64], q: u32| list.iter().enumerate().map(|(j, a)| a * power(j, q)).sum::<f64>();
        let plain = |q: u32| match q {
            0 => Condition::new(0, "the sum of alpha", sum(&self.alpha, 0), 1.0, 1.0),
            _ => {
                let got = sum(&self.alpha, q) + f64::from(q) * sum(&self.beta, q - 1);
                Condition::new(q, format!("the clock to the power {q}"), got, 1.0, 1.0)
            }
        };
        let held = |q: u32| {
            let (got, want) = (sum(&self.beta, q - 1), 1.0 / f64::from(q));
            Condition::new(q, format!("lambda to the power {}, held", q - 1), got, want, want)
        };
        match self.form {
            None => (0..=order).map(plain).collect(),
            // (Beyond that, the weights would have to know h.)
            Some(_) => (1..=order.min(2)).map(held).collect(),
        }
    }

    /// The largest root of `z^k = sum_j alpha_j z^{k-1-j}`, but for the 1 that every consistent method has: above 1, or
    /// twice on the unit circle, errors grow whatever the step (the same, III.3, theorem 3.2).
    fn parasite(&self) -> f64 {
        let k = self.alpha.len();
        let entry = |i: usize, j: usize| match i {
            0 => self.alpha[j],
            _ if j + 1 == i => 1.0,
            _ => 0.0,
        };
        let mut roots = nalgebra::DMatrix::from_fn(k, k, entry).complex_eigenvalues().as_slice().to_vec();
        let one = |z: &nalgebra::Complex<f64>| (z - 1.0).norm();
        roots.sort_by(|a, b| one(a).total_cmp(&one(b)));
        let rest = &roots[1..];
        let near = |z: &nalgebra::Complex<f64>, w: &nalgebra::Complex<f64>| (z - w).norm() < 1e-4;
        let twice = |i: usize| roots[..i].iter().any(|w| near(w, &roots[i])) && roots[i].norm() > 1.0 - 1e-4;
        if (1..k).any(twice) {
            return f64::INFINITY;
        }
        rest.iter().map(|z| z.norm()).fold(0.0, f64::max)
    }

    /// A step in a clock, from all the history it needs; `states` are at the levels of `past`.
    fn step<V: Space>(&self, past: &History<V>, states: &[State<V>], s: &Level) -> State<V> {
        let clock = self.clock;
        let h = clock.length(&past.levels[0], s);
        if !self.looks_back() && self.alpha[0] == 1.0 {
            return clock.advance(&states[0], &past.levels[0], s, h, &self.beta, &past.values);
        }
        self.combine(past, states, s, h)
    }

    fn combine<V: Space>(&self, past: &History<V>, states: &[State<V>], s: &Level, h: f64) -> State<V> {
        let plain = self.clock == Clock::T;
        let keep = |at: &Level| if plain { 1.0 } else { s.alpha / at.alpha };
        let scale = if plain { h } else { s.alpha * h };
        let kept = self.alpha.iter().zip(states).zip(&past.levels).map(|((a, y), at)| (a * keep(at), y));
        let slopes = self.beta.iter().zip(&past.values).map(|(b, f)| (scale * b, f));
        Lin::sum(kept.chain(slopes)).eval()
    }
}

impl Sample for LinearMultistep {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let clock = self.clock;
        let mut past = History::new(self.depth());
        let mut states: Vec<State<V>> = Vec::new();
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            if let Some(form) = self.form {
                past.push(t, form.native(cx, &x, t));
                x = form.warm_up(self.warm_up, cx, &past, &x, s).unwrap_or_else(|| {
                    // Down to sigma = 0, where lambda has no end, the newest value is held.
                    let shares = match s.sigma == 0.0 {
                        true => vec![1.0],
                        false if past.is_short() => form.polynomial(t, s, &past.levels),
                        false => self.beta.clone(),
                    };
                    form.step(&x, (t, s), shares.into_iter().zip(&past.values))
                });
                continue;
            }
            past.push(t, clock.slope(cx, &x, t));
            states.insert(0, x);
            states.truncate(past.levels.len());
            x = past.warm_up(self.warm_up, cx, clock, &states[0], s).unwrap_or_else(|| {
                if !past.is_short() {
                    return self.step(&past, &states, s);
                }
                let shares = weights(clock, &past.levels, s);
                clock.advance(&states[0], t, s, clock.length(t, s), &shares, &past.values)
            });
        }
        x
    }
}

impl Solver for LinearMultistep {
    const NAME: &'static str = "linear-multistep";
    const ABOUT: &'static str = "an explicit linear multistep method of your own: alpha, beta (newest first), order; clock = t | edm | lambda, \
         or form = d | eps in lambda";
    const SOURCE: &'static str = "Hairer, Norsett & Wanner 1993, III.2, eq. 2.1";

    fn claim(&self) -> Claim {
        // On grids whose steps change smoothly, weights of equal steps keep order 2, and order 1 where states before the
        // newest take part.
        let kept = self.claimed().min(if self.looks_back() { 1 } else { 2 }) as usize;
        match kept {
            0 => Claim::Floor,
            _ if self.depth() == 1 => Claim::Order(kept as f64),
            _ => Claim::Order(self.warm_up.order(kept, 2) as f64),
        }
    }
    fn sold_as(&self) -> Option<f64> {
        (self.claimed() > 0).then(|| sold(self.claimed() as usize, Solver::claim(self))).flatten()
    }
    fn on_uneven_steps(&self) -> Claim {
        match Solver::claim(self) {
            Claim::Order(_) if self.looks_back() => Claim::Floor,
            Claim::Order(_) => Claim::Order(1.0),
            other => other,
        }
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        if let Some(form) = self.form {
            return form.needs_from(self.warm_up, self.depth());
        }
        let needs = Needs::of(self.clock);
        Needs { alpha: needs.alpha && !self.warm_up.leaves_alpha_0(self.depth()), ..needs }
    }
    fn check(&self) -> Result<()> {
        if self.beta.is_empty() {
            let fix = "give beta = [1.5, -0.5], newest first, or file = \"method.toml\"";
            return Err(BadInput::about("beta", "is missing", fix));
        }
        for (key, list) in [("alpha", &self.alpha), ("beta", &self.beta)] {
            if list.is_empty() || list.len() > MOST {
                let why = format!("has {} weights", list.len());
                return Err(BadInput::about(key, why, format!("give 1 to {MOST}, newest first")));
            }
            if let Some(j) = list.iter().position(|x| !x.is_finite()) {
                return Err(BadInput::new(&format!("{key}[{j}]"), list[j], "is not finite", "give a number"));
            }
        }
        if self.form.is_some() && self.alpha != [1.0] {
            let fix = "leave alpha out: an exponential method starts from the newest state";
            return Err(BadInput::new("alpha", &self.alpha, "does not go with a form", fix));
        }
        if self.form.is_some() && self.clock != Clock::T {
            let fix = "leave clock out: exponential methods step in lambda";
            return Err(BadInput::about("clock", "does not go with a form", fix));
        }
        self.check_order()
    }
    fn calls(&self, steps: usize) -> usize {
        self.warm_up.calls(self.depth(), steps)
    }
    fn proofs(&self) -> Vec<Proof> {
        let (claimed, found) = (f64::from(self.claimed()), f64::from(self.found()));
        let off = residuals(&self.up_to(self.claimed())).into_iter().map(|r| r.off).fold(0.0, f64::max);
        let how = format!("on equal steps, its conditions are missed by {off:.1e} at most");
        vec![Proof { what: "order conditions", claimed, found, how }]
    }
    fn conditions(&self, _: Option<(&Schedule, &[Level])>) -> Vec<Condition> {
        self.up_to(self.claimed() + 1)
    }
    fn catalogue() -> Vec<Self> {
        Vec::new()
    }
}

impl LinearMultistep {
    /// Refuses a claim that the numbers do not keep.
    fn check_order(&self) -> Result<()> {
        if self.order == Some(0) {
            return Ok(());
        }
        let nothing = "correct the numbers, or write order = 0 to claim nothing";
        let conditions = self.up_to(self.order.unwrap_or(1));
        if let Some(c) = inconsistency(&conditions, WRITTEN) {
            let key = if c.order == 0 { "alpha" } else { "beta" };
            let why = format!(
                "is inconsistent: {} comes out as {:?} where it is {:?}, off by {:.1e}",
                c.what, c.got, c.want, c.off
            );
            return Err(BadInput::about(key, why, nothing));
        }
        if let Some(missed) = conditions.iter().find(|c| c.misses(WRITTEN)) {
            let why = format!(
                "is not an order that the numbers have: {} is off by {:.1e}",
                missed.what, missed.off
            );
            let fix = format!("give {}, or correct the numbers", self.found());
            return Err(BadInput::new("order", self.order.unwrap_or(1), why, fix));
        }
        if self.order.is_some_and(|p| self.form.is_some() && p > 2) {
            let why = "is more than weights that do not know the step can have";
            return Err(BadInput::new("order", self.order.unwrap_or(1), why, "give 1 or 2"));
        }
        let parasite = self.parasite();
        if parasite > 1.0 + WRITTEN {
            let size = if parasite.is_infinite() {
                "twice on the unit circle".into()
            } else {
                format!("of size {parasite:.3}")
            };
            let why = format!(
                "is not zero-stable: z^k = sum alpha_j z^(k-1-j) has a root {size}, so that errors grow whatever the step"
            );
            return Err(BadInput::about("alpha", why, nothing));
        }
        Ok(())
    }
}
