//! Butcher tableaus: steps of explicit Runge-Kutta methods for the probability flow, in any [`Clock`].
//!
//! In `t`: `dx/dt = f x - g^2/2 score` (Song et al. 2021, eq. 13). In `kappa = sigma/alpha`: `y = x/alpha`,
//! `dy/dkappa = eps` (Song, Meng & Ermon 2021, eq. 14; Karras et al. 2022, eq. 4). These are different methods:
//! the same tableau has different error constants in the two.
use std::fmt;
use std::sync::OnceLock;

use serde::de::{MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::*;
use crate::error::BadInput;

/// What rows and weights may miss their sums by.
const ROUND_OFF: f64 = 1e-12;

/// Nodes `c`, stage weights `a` (row by row, trailing zeros may be missing), final weights `b`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tableau {
    /// What experiments call it; empty for a table of their own.
    pub name: String,
    /// Paper with equation or table number.
    pub source: String,
    /// Order of the method.
    pub order: u32,
    /// Where in the step the stages are, from 0 to 1.
    pub c: Vec<f64>,
    /// Weights of the slopes in the stages.
    pub a: Vec<Vec<f64>>,
    /// Weights of the slopes in the new state.
    pub b: Vec<f64>,
    /// Weights of error estimates; one more than `b` where the slope at the end of the step takes part.
    pub errors: Vec<Vec<f64>>,
}

/// Euler's step, for where nothing but the slope at the start is known.
pub(super) fn euler() -> &'static Tableau {
    named("euler-1").expect("it is in the list")
}

/// Every named explicit table, by order.
pub fn all() -> &'static [Tableau] {
    static ALL: OnceLock<Vec<Tableau>> = OnceLock::new();
    ALL.get_or_init(|| tables::read(tables::EXPLICIT))
}

/// The table of this name, or of these usual ones: `euler`, `midpoint`, `heun`, `rk4`, `bogacki-shampine-3`.
pub fn named(name: &str) -> Option<&'static Tableau> {
    let name = match name {
        "euler" => "euler-1",
        "midpoint" => "midpoint-2",
        "heun" => "heun-2",
        "rk4" => "classic-4",
        "bogacki-shampine-3" => "ralston-3",
        other => other,
    };
    all().iter().find(|t| t.name == name)
}

impl Tableau {
    /// The same slopes, of which the last `b.len()` are not all used: `a` as full rows.
    pub fn square(&self) -> Vec<Vec<f64>> {
        let wide = |row: &Vec<f64>| (0..self.b.len()).map(|j| row.get(j).copied().unwrap_or(0.0)).collect();
        self.a.iter().map(wide).collect()
    }

    /// Slopes at the stages of a step from `t` to `s`; `first` is the one at `x`, if it is known already.
    pub fn slopes<V: Space>(
        &self,
        clock: Clock,
        cx: &mut Ctx<V>,
        x: &State<V>,
        (t, s): (&Level, &Level),
        first: Option<State<V>>,
    ) -> Vec<State<V>> {
        let h = clock.length(t, s);
        let mut slopes = Vec::with_capacity(self.c.len() + 1);
        slopes.extend(first);
        for (&c, a) in self.c.iter().zip(&self.a).skip(slopes.len()) {
            let level = clock.between(cx, t, s, c);
            let slope = if a.is_empty() {
                clock.slope(cx, x, &level)
            } else {
                let stage = clock.advance(x, t, &level, h, a, &slopes);
                clock.slope(cx, &stage, &level)
            };
            slopes.push(slope);
        }
        slopes
    }

    /// One step from `t` to `s`.
    pub fn step<V: Space>(
        &self,
        clock: Clock,
        cx: &mut Ctx<V>,
        x: &State<V>,
        t: &Level,
        s: &Level,
    ) -> State<V> {
        // eps at sigma = 0 is not known to a model (0/0): such a step is Euler's, as in EDM's algorithm 1.
        let blind = clock == Clock::Edm && s.sigma == 0.0 && self.c.contains(&1.0);
        let tableau = if blind { euler() } else { self };
        let slopes = tableau.slopes(clock, cx, x, (t, s), None);
        clock.advance(x, t, s, clock.length(t, s), &tableau.b, &slopes)
    }

    /// A run over a grid.
    pub fn run<V: Space>(&self, clock: Clock, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            x = self.step(clock, cx, &x, &pair[0], &pair[1]);
        }
        x
    }

    /// The sums of its rows and the order conditions, up to one order above the claim; none of what has no shape.
    pub fn conditions(&self) -> Vec<Condition> {
        if self.a.len() != self.b.len() || self.c.len() != self.b.len() {
            return Vec::new();
        }
        let row = |(i, (c, a)): (usize, (&f64, &Vec<f64>))| {
            // (From 0, since nothing adds up to -0.)
            let sum = a.iter().fold(0.0, |sum, a| sum + a);
            Condition::new(1, format!("row {} of a adds up to c", i + 1), sum, *c, *c)
        };
        let rows = self.c.iter().zip(&self.a).enumerate().map(row);
        let up_to = (self.order as usize + 1).min(order_conditions::MOST);
        rows.chain(order_conditions::conditions(up_to, &self.square(), &self.b)).collect()
    }

    /// Refuses what is no explicit Runge-Kutta method of order 1 or more. `key` is where the table was written.
    ///
    /// # Errors
    /// Names the first part that is wrong, with its row.
    pub fn check_explicit(&self, key: &str) -> Result<()> {
        let bad =
            |part: &str, why: String, fix: &str| Err(BadInput::about(&format!("{key}.{part}"), why, fix));
        let stages = self.b.len();
        if stages == 0 || stages >= crate::state::Lin::<crate::batch::Batch>::MAX {
            return bad("b", format!("has {stages} weights"), "give 1 to 19, one a stage");
        }
        for (part, len) in [("c", self.c.len()), ("a", self.a.len())] {
            if len != stages {
                let fix = "give as many nodes, rows and weights as there are stages";
                return bad(part, format!("has {len} entries where b has {stages}"), fix);
            }
        }
        for (i, row) in self.a.iter().enumerate() {
            if row.len() > stages || row.iter().skip(i).any(|a| *a != 0.0) {
                let fix = "an explicit stage uses the slopes of earlier stages only";
                return bad("a", format!("reaches stage {} or beyond in row {}", i + 1, i + 1), fix);
            }
            let sum: f64 = row.iter().sum();
            if misses(sum, self.c[i]) {
                let why = format!("adds up to {sum:?} in row {} where c is {:?}", i + 1, self.c[i]);
                return bad("a", why, "a stage is where its weights take it: make them equal");
            }
            if !(0.0..=1.0).contains(&self.c[i]) {
                return bad(
                    "c",
                    format!("is {:?} in row {}", self.c[i], i + 1),
                    "stages lie in the step: 0 to 1",
                );
            }
        }
        let sum: f64 = self.b.iter().sum();
        if misses(sum, 1.0) {
            return bad("b", format!("adds up to {sum:?}"), "weights of the new state add up to 1");
        }
        if self.order == 0 {
            return bad("order", "is 0".into(), "give the order that the method has");
        }
        Ok(())
    }
}

/// Whether a sum is not what it is to be, or not a number.
fn misses(sum: f64, want: f64) -> bool {
    let off = (sum - want).abs();
    off.is_nan() || off > ROUND_OFF
}

/// A table as an experiment writes it: a name, or `{ c = [...], a = [[...], ...], b = [...], order = p }`.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// One of [`all`].
    Named(String),
    /// The experiment's own.
    Inline(Tableau),
}

/// The part of a [`Tableau`] that an experiment writes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inline {
    c: Vec<f64>,
    a: Vec<Vec<f64>>,
    b: Vec<f64>,
    order: u32,
}

impl Choice {
    /// The table.
    ///
    /// # Panics
    /// For a name that [`Choice::check`] refuses.
    pub fn tableau(&self) -> &Tableau {
        match self {
            Choice::Named(name) => named(name).expect("checked when it was read"),
            Choice::Inline(tableau) => tableau,
        }
    }

    /// The table, where there is one of this name.
    pub fn known(&self) -> Option<&Tableau> {
        match self {
            Choice::Named(name) => named(name),
            Choice::Inline(tableau) => Some(tableau),
        }
    }

    /// Refuses an unknown name, and a table that is none.
    ///
    /// # Errors
    /// Names the parameter `table` or the part of it.
    pub fn check(&self) -> Result<()> {
        match self {
            Choice::Inline(tableau) => tableau.check_explicit("table"),
            Choice::Named(name) if named(name).is_some() => Ok(()),
            Choice::Named(name) => Err(unknown("table", name, all())),
        }
    }
}

/// The complaint about a name that none of the tables has.
pub(super) fn unknown(key: &str, name: &str, known: &[Tableau]) -> BadInput {
    let names: Vec<&str> = known.iter().map(|t| t.name.as_str()).collect();
    BadInput::new(key, name, "is not known", format!("use one of {}", names.join(", ")))
}

impl Serialize for Choice {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Choice::Named(name) => serializer.serialize_str(name),
            Choice::Inline(Tableau { c, a, b, order, .. }) => {
                let (c, a, b) = (c.clone(), a.clone(), b.clone());
                Inline { c, a, b, order: *order }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct NameOrTable;
        impl<'de> Visitor<'de> for NameOrTable {
            type Value = Choice;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("the name of a table, or { c = [...], a = [[...], ...], b = [...], order = ... }")
            }
            fn visit_str<E>(self, name: &str) -> std::result::Result<Choice, E> {
                Ok(Choice::Named(name.into()))
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> std::result::Result<Choice, M::Error> {
                let Inline { c, a, b, order } = Inline::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Choice::Inline(Tableau { c, a, b, order, ..Tableau::default() }))
            }
        }
        deserializer.deserialize_any(NameOrTable)
    }
}
