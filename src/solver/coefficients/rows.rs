//! Rows of weights, and what they are to be exact for.

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Coefficients, Of};
use crate::error::{BadInput, Result};
use crate::math::{factorial, phi};
use crate::schedule::Level;
use crate::solver::Condition;

/// The weights of one step, newest first; a single one may be written as a number.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Weights(pub Vec<f64>);

impl Weights {
    /// Refuses numbers that are not finite, and weights of what there is none of yet at this step.
    pub(super) fn check(&self, key: &str, step: usize) -> Result<()> {
        for (j, weight) in self.0.iter().enumerate() {
            let key = format!("{key}[{step}][{j}]");
            if !weight.is_finite() {
                return Err(BadInput::new(&key, weight, "is not finite", "give a number"));
            }
            if j > step && *weight != 0.0 {
                let why = format!("reaches {j} steps back from step {step}, to before the start");
                return Err(BadInput::new(
                    &key,
                    weight,
                    why,
                    "steps are counted from 0, weights are newest first",
                ));
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Weights;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, or a list of numbers, newest first")
            }
            fn visit_f64<E>(self, x: f64) -> std::result::Result<Weights, E> {
                Ok(Weights(vec![x]))
            }
            fn visit_i64<E>(self, x: i64) -> std::result::Result<Weights, E> {
                Ok(Weights(vec![x as f64]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Weights, A::Error> {
                let mut weights = Vec::new();
                while let Some(x) = list.next_element()? {
                    weights.push(x);
                }
                Ok(Weights(weights))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

/// The most powers that are tried.
const MOMENTS: usize = 4;

/// What every row is to be exact for: constant `d`, constant `eps` (with noise: the variance that it leaves), then the
/// model's own quantity as a power of `lambda` (of `t` for slopes) around the start of the step. The power `j` is asked of
/// rows that weigh more than `j` values of the model, and of the whole table's longest rows once more.
pub(super) fn conditions(of: &Coefficients, grid: &[Level]) -> Vec<Condition> {
    let (_, model) = of.model();
    let values = |row: &Weights| row.0.iter().rposition(|w| *w != 0.0).map_or(0, |k| k + 1);
    let longest = model.iter().map(values).max().unwrap_or(0);
    let mut all = Vec::new();
    for (step, weights) in model.iter().enumerate() {
        let row = Row::new(of, grid, step);
        let known = values(weights);
        let up_to = if known == longest { known } else { known.saturating_sub(1) };
        let moments = (1..=up_to.min(MOMENTS)).filter_map(|j| row.moment(j));
        all.extend([row.constant_d(), row.constant_eps()].into_iter().chain(moments).map(|c| c.at(step)));
    }
    all
}

/// One step, with the levels that its weights are of.
struct Row<'a> {
    of: Of,
    /// Weights of states and values with their levels, newest first.
    states: Vec<(f64, &'a Level)>,
    values: Vec<(f64, &'a Level)>,
    noise: f64,
    t: &'a Level,
    s: &'a Level,
}

impl<'a> Row<'a> {
    fn new(all: &Coefficients, grid: &'a [Level], step: usize) -> Self {
        let (of, model) = all.model();
        let past = |row: &super::Weights| -> Vec<(f64, &'a Level)> {
            row.0
                .iter()
                .zip(grid[..=step].iter().rev())
                .map(|(w, at)| (*w, at))
                .filter(|(w, _)| *w != 0.0)
                .collect()
        };
        let (states, values) = (past(&all.x[step]), past(&model[step]));
        Row { of, states, values, noise: all.noise(step), t: &grid[step], s: &grid[step + 1] }
    }

    /// The row applied to states and values of the model that are functions of the level.
    fn of(&self, state: impl Fn(&Level) -> f64, value: impl Fn(&Level) -> f64) -> f64 {
        let states: f64 = self.states.iter().map(|(w, at)| w * state(at)).sum();
        let values: f64 = self.values.iter().map(|(w, at)| w * value(at)).sum();
        states + values
    }

    /// `x = alpha d` of a constant `d`.
    fn constant_d(&self) -> Condition {
        let value = |at: &Level| match self.of {
            Of::D => 1.0,
            Of::Eps => 0.0,
            Of::U => at.f * at.alpha,
        };
        let got = self.of(|at| at.alpha, value);
        Condition::new(1, "constant d", got, self.s.alpha, self.s.alpha)
    }

    /// `x = sigma eps` of a constant `eps`; with noise, a normal one, of which the variance counts.
    fn constant_eps(&self) -> Condition {
        let value = |at: &Level| match self.of {
            Of::D => 0.0,
            Of::Eps => 1.0,
            // d sigma/dt, from g^2 = d sigma^2/dt - 2 f sigma^2.
            Of::U => at.f * at.sigma + 0.5 * at.g2 / at.sigma,
        };
        let carried = self.of(|at| at.sigma, value);
        let unit = if self.s.sigma > 0.0 { self.s.sigma } else { self.t.sigma };
        match self.noise {
            0.0 => Condition::new(1, "constant eps", carried, self.s.sigma, unit),
            n => Condition::new(1, "the noise level", carried.hypot(n), self.s.sigma, unit),
        }
    }

    /// The model's quantity as a power of the distance from the start of the step, on the exact solution from `x_t = 0`.
    /// None where `lambda` has no end, and for noise that belongs to no equation.
    fn moment(&self, j: usize) -> Option<Condition> {
        let what =
            format!("{} = {} to the power {j}", self.of.key(), if self.of == Of::U { "t" } else { "lambda" });
        let order = j as u32 + 1;
        let judge = |got: f64, want: f64| Some(Condition::new(order, what.clone(), got, want, want));
        if self.of == Of::U {
            let tau = |at: &Level| at.t - self.t.t;
            let x = |at: &Level| tau(at).powi(order as i32) / f64::from(order);
            return (self.noise == 0.0).then(|| judge(self.of(x, |at| tau(at).powi(j as i32)), x(self.s)))?;
        }
        let levels = self.states.iter().chain(&self.values).map(|(_, at)| *at).chain([self.t, self.s]);
        if !levels.map(Level::lambda).all(f64::is_finite) {
            return None;
        }
        let r = |at: &Level| at.lambda() - self.t.lambda();
        let power = |at: &Level| r(at).powi(j as i32);
        // int_0^r e^{c (r - w)} w^j dw, up to the factor e^{c r}.
        let integral = |r: f64, c: f64| r.powi(order as i32) * factorial(j as u32) * phi(order, -c * r);
        let rate = self.rate()?;
        match self.of {
            // x = (1 + l) alpha int e^{-(1 + l)(r - w)} w^j dw, on member l of the family.
            Of::D => {
                let x = |at: &Level| rate * at.alpha * integral(r(at), rate);
                judge(self.of(x, power), x(self.s))
            }
            _ => {
                let x = |at: &Level| -at.sigma * integral(r(at), -1.0);
                (rate == 1.0).then(|| judge(self.of(x, power), x(self.s)))?
            }
        }
    }

    /// `1 + l` of the family's member that adds as much noise in this step: `sigma_s^2 (1 - e^{-2 l h})`.
    fn rate(&self) -> Option<f64> {
        if self.noise == 0.0 {
            return Some(1.0);
        }
        let (h, left) = (self.s.lambda() - self.t.lambda(), 1.0 - (self.noise / self.s.sigma).powi(2));
        (left > 0.0 && self.states.len() == 1).then(|| 1.0 - left.ln() / (2.0 * h))
    }
}
