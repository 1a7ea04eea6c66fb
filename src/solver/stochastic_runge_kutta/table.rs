//! Tables of the class SRA, and the conditions that make their orders.

use serde::{Deserialize, Deserializer, Serialize};

use super::{BadInput, Proof, Result, dot};

/// A table by name, or written out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Table {
    /// One of the published tables.
    Named(Named),
    /// One's own.
    Given(Box<Tableau>),
}

/// The published tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Named {
    /// Roessler 2010: two stages.
    Sra1,
    /// Roessler 2010: SRA1 with the diffusion at another pair of levels.
    Sra2,
    /// Roessler 2010: three stages, of order 3 without noise.
    Sra3,
    /// Rackauckas & Nie 2020: the largest region of stability found among three stages.
    Sosra,
    /// Rackauckas & Nie 2020: the same with both inner stages at the end of the step, for stiff problems.
    Sosra2,
}

/// A table in Roessler's letters. `A0` is strictly lower triangular, row `i` has at most `i` entries (counted from 0);
/// rows of `B0` have one entry for each of the levels `c1` at which the diffusion is evaluated, or fewer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tableau {
    /// Levels of the drift, as fractions of the step.
    pub c0: Vec<f64>,
    /// Stage weights of the drift.
    pub a0: Vec<Vec<f64>>,
    /// Stage weights of the area.
    pub b0: Vec<Vec<f64>>,
    /// Final weights of the drift.
    pub alpha: Vec<f64>,
    /// Levels of the diffusion, as fractions of the step.
    pub c1: Vec<f64>,
    /// Final weights of the increment.
    pub beta1: Vec<f64>,
    /// Final weights of the area.
    pub beta2: Vec<f64>,
}

// (A derived untagged enum would answer every mistake with "no variant matches".)
impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Either;
        impl<'de> serde::de::Visitor<'de> for Either {
            type Value = Table;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a table, or { c0, a0, b0, alpha, c1, beta1, beta2 }")
            }
            fn visit_str<E: serde::de::Error>(self, name: &str) -> std::result::Result<Table, E> {
                let name = serde::de::value::StrDeserializer::<E>::new(name);
                Named::deserialize(name).map(Table::Named)
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> std::result::Result<Table, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                Tableau::deserialize(map).map(|tableau| Table::Given(Box::new(tableau)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Table {
    /// The numbers.
    pub fn tableau(&self) -> Tableau {
        match self {
            Table::Named(named) => named.tableau(),
            Table::Given(tableau) => (**tableau).clone(),
        }
    }

    /// Order on the flow, and whether strong order 1.5 (weak order 2) is reached for additive noise: as published, or
    /// else as found.
    pub(super) fn claims(&self) -> (u32, bool) {
        match self {
            Table::Named(Named::Sra3) => (3, true),
            Table::Named(_) => (2, true),
            Table::Given(tableau) => (tableau.order(), tableau.additive(true)),
        }
    }

    /// The order conditions behind the claims.
    pub(super) fn proofs(&self) -> Vec<Proof> {
        let (tableau, (order, additive)) = (self.tableau(), self.claims());
        let strong = |additive| if additive { 1.5 } else { 1.0 };
        vec![
            Proof {
                what: "order on the flow",
                claimed: f64::from(order),
                found: f64::from(tableau.order()),
                how: "order conditions up to order 3".into(),
            },
            Proof {
                what: "strong order, additive noise",
                claimed: strong(additive),
                found: strong(tableau.additive(true)),
                how: "the conditions on alpha, B0, beta1, beta2 and c1".into(),
            },
        ]
    }

    /// Refuses what is no table of a convergent method.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Table::Named(_) => Ok(()),
            Table::Given(tableau) => tableau.check(),
        }
    }
}

impl Named {
    /// The numbers.
    pub fn tableau(self) -> Tableau {
        let rows = |rows: &[&[f64]]| rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>();
        let two = |b0: f64, c1: [f64; 2], beta1: [f64; 2], beta2: [f64; 2]| Tableau {
            c0: vec![0.0, 0.75],
            a0: rows(&[&[], &[0.75]]),
            b0: rows(&[&[], &[b0]]),
            alpha: vec![1.0 / 3.0, 2.0 / 3.0],
            c1: c1.into(),
            beta1: beta1.into(),
            beta2: beta2.into(),
        };
        match self {
            Named::Sra1 => two(1.5, [1.0, 0.0], [1.0, 0.0], [-1.0, 1.0]),
            Named::Sra2 => two(1.5, [1.0 / 3.0, 1.0], [0.0, 1.0], [1.5, -1.5]),
            Named::Sra3 => Tableau {
                c0: vec![0.0, 1.0, 0.5],
                a0: rows(&[&[], &[1.0], &[0.25, 0.25]]),
                // The second stage takes no noise at all.
                b0: rows(&[&[], &[], &[1.0, 0.5]]),
                alpha: vec![1.0 / 6.0, 1.0 / 6.0, 2.0 / 3.0],
                c1: vec![1.0, 0.0],
                beta1: vec![1.0, 0.0],
                beta2: vec![-1.0, 1.0],
            },
            Named::Sosra => Tableau {
                c0: vec![0.0, 0.6923962376159507, 1.0],
                a0: rows(&[&[], &[0.6923962376159507], &[-3.1609142252828395, 4.1609142252828395]]),
                b0: rows(&[&[], &[1.3371632704399763], &[1.442371048468624, 1.8632741501139225]]),
                alpha: vec![0.2889874966892885, 0.6859880440839937, 0.025024459226717772],
                c1: vec![0.0, 0.041248171110700504, 1.0],
                beta1: vec![-16.792534242221663, 17.514995785380226, 0.27753845684143835],
                beta2: vec![0.4237535769069274, 0.6010381474428539, -1.0247917243497813],
            },
            Named::Sosra2 => Tableau {
                c0: vec![0.0, 1.0, 1.0],
                a0: rows(&[&[], &[1.0], &[0.9511849235504364, 0.04881507644956362]]),
                b0: rows(&[&[], &[0.7686101171003622], &[0.43886792994934987, 0.7490415909204886]]),
                alpha: vec![0.4999999999999998, -0.9683897375354181, 1.4683897375354185],
                c1: vec![0.0, 1.0, 1.0],
                beta1: vec![0.0, 0.92438032145683, 0.07561967854316998],
                beta2: vec![1.0, -0.8169981105823436, -0.18300188941765633],
            },
        }
    }
}

/// Euler-Maruyama, with the diffusion's own value at the start of the step: of the first order only.
pub(super) fn euler() -> Tableau {
    Tableau {
        c0: vec![0.0],
        a0: vec![vec![]],
        b0: vec![vec![]],
        alpha: vec![1.0],
        c1: vec![0.0],
        beta1: vec![1.0],
        beta2: vec![0.0],
    }
}

/// SRA1 with the drift's second stage at 1 instead of 3/4: it fails the condition that `f''` enters, which nobody
/// notices on Gaussian data.
pub(super) fn linear() -> Tableau {
    Tableau {
        c0: vec![0.0, 1.0],
        a0: vec![vec![], vec![1.0]],
        b0: vec![vec![], vec![2.0]],
        alpha: vec![0.5, 0.5],
        ..Named::Sra1.tableau()
    }
}

/// Published tables have 16 digits.
fn zero(x: f64) -> bool {
    x.abs() < 1e-12
}

impl Tableau {
    fn sum(&self, row: impl Fn(usize) -> f64) -> f64 {
        (0..self.c0.len()).map(|i| self.alpha[i] * row(i)).sum()
    }

    /// Order on the probability flow, up to 3 (Hairer, Norsett & Wanner 1993, II.2, table 2.1).
    pub fn order(&self) -> u32 {
        let c = &self.c0;
        let second = zero(self.sum(|i| c[i]) - 0.5) && zero(self.sum(|i| self.a0[i].iter().sum()) - 0.5);
        let third = zero(self.sum(|i| c[i] * c[i]) - 1.0 / 3.0)
            && zero(self.sum(|i| dot(&self.a0[i], c)) - 1.0 / 6.0);
        match (second, third) {
            (true, true) => 3,
            (true, false) => 2,
            _ => 1,
        }
    }

    /// Whether the conditions of strong order 1.5 and weak order 2 for additive noise hold (Roessler 2010, on SRA):
    /// with those that a linear drift does not notice, or without.
    pub fn additive(&self, nonlinear: bool) -> bool {
        let b0 = |i: usize| self.b0[i].iter().sum::<f64>();
        self.order() >= 2
            && zero(self.sum(b0) - 1.0)
            && (!nonlinear || zero(self.sum(|i| b0(i).powi(2)) - 1.5))
            && zero(dot(&self.beta1, &self.c1) - 1.0)
            && zero(dot(&self.beta2, &self.c1) + 1.0)
    }

    fn check(&self) -> Result<()> {
        let bad = |key: &str, why: &str, fix: &str| Err(BadInput::about(&format!("table.{key}"), why, fix));
        let (stages, levels) = (self.c0.len(), self.c1.len());
        // (The state, 17 slopes and two noises are what one combination may name.)
        if stages == 0 || levels == 0 || stages > 17 {
            return bad("c0", "has no stages or more than 17, or c1 none", "give 1 to 17 stages");
        }
        if self.a0.len() != stages || self.b0.len() != stages || self.alpha.len() != stages {
            return bad("c0", "differs in length from a0, b0 or alpha", "give one entry and row a stage");
        }
        if self.beta1.len() != levels || self.beta2.len() != levels {
            return bad("c1", "differs in length from beta1 or beta2", "give one entry a level");
        }
        if self.a0.iter().enumerate().any(|(i, row)| row.len() > i) {
            return bad("a0", "is not strictly lower triangular", "give row i (from 0) at most i entries");
        }
        if self.b0.iter().any(|row| row.len() > levels) {
            return bad(
                "b0",
                "has a row longer than c1",
                "give one entry a level of the diffusion, or fewer",
            );
        }
        let rows = self.a0.iter().chain(&self.b0).flatten();
        let lists = [&self.c0, &self.alpha, &self.c1, &self.beta1, &self.beta2].into_iter().flatten();
        if rows.chain(lists).any(|x| !x.is_finite()) {
            return bad("c0", "or another list has an entry that is not finite", "give finite numbers");
        }
        if self.c0.iter().chain(&self.c1).any(|c| !(0.0..=1.0).contains(c)) {
            return bad("c0", "or c1 leaves the step", "give fractions of the step, from 0 to 1");
        }
        let sum = |list: &[f64]| list.iter().sum::<f64>();
        if !(zero(sum(&self.alpha) - 1.0) && zero(sum(&self.beta1) - 1.0) && zero(sum(&self.beta2))) {
            return bad("alpha", "is of no order", "let alpha and beta1 sum to 1, beta2 to 0");
        }
        Ok(())
    }
}
