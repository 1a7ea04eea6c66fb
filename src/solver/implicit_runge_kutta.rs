//! Implicit Runge-Kutta methods for the probability flow, by a fixed number of sweeps.
//!
//! The stages of a step solve `k_i = F(x + h sum_j a_ij k_j)`. A model cannot be inverted, so they are iterated: all
//! start as the slope at the start of the step, and a sweep asks the model once for every stage. A fixed number of
//! sweeps is an explicit method and keeps the law exact. The start is off by `O(h)`, a sweep gains a power of `h`, and
//! the error in `x` is `h^{m+2} b A^m c y^{(m+2)}` to leading order, where `b A^m c = 1/(m+2)!` for a table of order
//! above `m + 1`: so `m` sweeps have order `min(p, m + 1)` exactly, and `p - 1` sweeps have that of the table.
use std::sync::OnceLock;

use super::tableau::{self, Tableau};
use super::*;
use crate::error::BadInput;
use crate::math::gauss_legendre;

/// An implicit table, and how often its stages are improved.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImplicitRungeKutta {
    /// Name of the table.
    pub table: String,
    /// The variable that steps are taken in.
    pub clock: Clock,
    /// Sweeps over the stages in a step; as many as give the order of the table if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweeps: Option<usize>,
}

impl Default for ImplicitRungeKutta {
    fn default() -> Self {
        ImplicitRungeKutta { table: "gauss-2".into(), clock: Clock::T, sweeps: None }
    }
}

/// Every implicit table.
pub fn all() -> &'static [Tableau] {
    static ALL: OnceLock<Vec<Tableau>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all: Vec<Tableau> = (1..=5).map(gauss).collect();
        all.extend(tables::read(tables::IMPLICIT));
        all
    })
}

/// Collocation at the Gauss-Legendre nodes (Kuntzmann 1961, Butcher 1964; Hairer & Wanner 1996, IV.5, table 5.1).
fn gauss(stages: usize) -> Tableau {
    let rule: Vec<(f64, f64)> =
        gauss_legendre(stages).iter().map(|(x, w)| (0.5 * (1.0 + x), 0.5 * w)).collect();
    let c: Vec<f64> = rule.iter().map(|(c, _)| *c).collect();
    let basis = |j: usize, x: f64| -> f64 {
        (0..stages).filter(|k| *k != j).map(|k| (x - c[k]) / (c[j] - c[k])).product()
    };
    // The rule itself integrates the basis exactly, scaled to [0, c_i].
    let entry = |i: usize, j: usize| c[i] * rule.iter().map(|(x, w)| w * basis(j, c[i] * x)).sum::<f64>();
    Tableau {
        name: format!("gauss-{stages}"),
        source: "Butcher 1964; Hairer & Wanner 1996, IV.5, table 5.1".into(),
        order: 2 * stages as u32,
        a: (0..stages).map(|i| (0..stages).map(|j| entry(i, j)).collect()).collect(),
        b: rule.iter().map(|(_, w)| *w).collect(),
        c,
        errors: Vec::new(),
    }
}

impl ImplicitRungeKutta {
    fn tableau(&self) -> &'static Tableau {
        all().iter().find(|t| t.name == self.table).expect("checked when it was read")
    }

    /// Sweeps in a step.
    fn sweeps(&self) -> usize {
        self.sweeps.unwrap_or((self.tableau().order as usize - 1).max(1))
    }

    /// Whether the first stage is the start of the step, whose slope is known.
    fn first_is_start(tableau: &Tableau) -> bool {
        tableau.a[0].iter().all(|a| *a == 0.0)
    }

    fn order(&self) -> usize {
        (self.tableau().order as usize).min(self.sweeps() + 1)
    }

    /// The same method as one explicit table: the slope at the start, then the stages of every sweep.
    pub fn unrolled(&self) -> (Vec<Vec<f64>>, Vec<f64>) {
        let table = self.tableau();
        let (stages, sweeps) = (table.b.len(), self.sweeps());
        let size = 1 + stages * sweeps;
        let mut a = vec![vec![0.0; size]; size];
        for sweep in 0..sweeps {
            for i in 0..stages {
                let row = &mut a[1 + sweep * stages + i];
                match sweep {
                    0 => row[0] = table.c[i],
                    _ => row[1 + (sweep - 1) * stages..][..stages].copy_from_slice(&table.a[i]),
                }
            }
        }
        let mut b = vec![0.0; size];
        b[1 + (sweeps - 1) * stages..].copy_from_slice(&table.b);
        (a, b)
    }

    fn step<V: Space>(&self, cx: &mut Ctx<V>, x: &State<V>, t: &Level, s: &Level) -> State<V> {
        let (table, clock) = (self.tableau(), self.clock);
        let h = clock.length(t, s);
        let mut slopes = vec![clock.slope(cx, x, t)];
        // eps at sigma = 0 is not known to a model: Euler's step, as for explicit methods.
        if clock == Clock::Edm && s.sigma == 0.0 && table.c.iter().any(|c| *c >= 1.0) {
            return clock.advance(x, t, s, h, &tableau::euler().b, &slopes);
        }
        let known = usize::from(Self::first_is_start(table));
        for sweep in 0..self.sweeps() {
            let mut better = Vec::with_capacity(table.c.len());
            for (&c, a) in table.c.iter().zip(&table.a).skip(known) {
                let level = clock.between(cx, t, s, c);
                // All stages have the slope of the start at first.
                let a = if sweep == 0 { &[c][..] } else { a };
                let stage = clock.advance(x, t, &level, h, a, &slopes);
                better.push(clock.slope(cx, &stage, &level));
            }
            if known == 1 {
                better.insert(0, slopes.swap_remove(0));
            }
            slopes = better;
        }
        clock.advance(x, t, s, h, &table.b, &slopes)
    }
}

impl Sample for ImplicitRungeKutta {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            x = self.step(cx, &x, &pair[0], &pair[1]);
        }
        x
    }
}

impl Solver for ImplicitRungeKutta {
    const NAME: &'static str = "implicit-runge-kutta";
    const ABOUT: &'static str =
        "an implicit Runge-Kutta method (Gauss, Radau, Lobatto, SDIRK) by fixed-point sweeps";
    const SOURCE: &'static str = "Hairer & Wanner 1996, IV.5 and IV.8; every table has its own";

    fn claim(&self) -> Claim {
        Claim::Order(self.order() as f64)
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs::of(self.clock)
    }
    fn check(&self) -> Result<()> {
        if all().iter().all(|t| t.name != self.table) {
            return Err(tableau::unknown("table", &self.table, all()));
        }
        match self.sweeps {
            Some(n) if !(1..=1000).contains(&n) => {
                let fix = "give 1 or more; order - 1 have the order of the table";
                Err(BadInput::new("sweeps", n, "is not allowed", fix))
            }
            _ => Ok(()),
        }
    }
    fn calls(&self, steps: usize) -> usize {
        let table = self.tableau();
        steps * (1 + self.sweeps() * (table.b.len() - usize::from(Self::first_is_start(table))))
    }
    fn proofs(&self) -> Vec<Proof> {
        let table = self.tableau();
        let mut proof = order_conditions::proof(table.order as usize, &table.a, &table.b);
        let simplified = order_conditions::simplified_order(&table.c, &table.a, &table.b) as f64;
        if simplified > proof.found {
            proof.found = simplified;
            proof.how = "Butcher's simplifying assumptions B, C and D hold far enough".into();
        }
        let (a, b) = self.unrolled();
        let swept = order_conditions::proof(self.order().min(order_conditions::MOST), &a, &b);
        vec![proof, Proof { what: "order conditions with sweeps", ..swept }]
    }
    fn catalogue() -> Vec<Self> {
        let table = |name: &str, clock, sweeps| ImplicitRungeKutta { table: name.into(), clock, sweeps };
        let mut all = vec![ImplicitRungeKutta::default()];
        all.extend([Clock::Edm, Clock::Lambda].map(|clock| table("gauss-2", clock, None)));
        all.extend([1, 2].map(|sweeps| table("gauss-2", Clock::T, Some(sweeps))));
        let rest = self::all().iter().filter(|t| t.name != "gauss-2");
        all.extend(rest.map(|t| table(&t.name, Clock::T, None)));
        all
    }
}
