//! Stochastic Runge-Kutta methods for additive noise (Roessler 2010: the class SRA), on the lambda family and in
//! any [`Clock`].
//!
//! In a clock `u` the family is `dy = a(y, u) du + b(u) dW`. `y` is `x` in `t`, with `b = sqrt(l) g`, and `x/alpha` in
//! `kappa` and `lambda`, with `b = sqrt(l |dkappa^2/du|)`. Time runs backwards, so `h = u_s - u_t` may be negative; `W`
//! runs with the sampler, for `|h|`. With its increment `I_1` and the area `I_10 = int_0^|h| W` under it, which Roessler
//! writes `I_10/|h| = (dW + dZ/sqrt 3)/2`,
//!
//! `H_i = y + h sum_j A0_ij a(H_j, u + c0_j h) + I_10/|h| sum_j B0_ij b(u + c1_j h)`,
//! `y' = y + h sum_i alpha_i a(H_i, u + c0_i h) + sum_i (beta1_i I_1 + beta2_i I_10/|h|) b(u + c1_i h)`.
use super::*;
use crate::error::BadInput;
use crate::state::Lin;

mod table;

pub use table::{Named, Table, Tableau};

/// Any table, by name or written out.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StochasticRungeKutta {
    /// Name of a table, or `{ c0, a0, b0, alpha, c1, beta1, beta2 }`.
    pub table: Table,
    /// `l`: 0 is the probability flow, 1 the reverse SDE; any value of at least 0 keeps the marginals.
    pub lambda: f64,
    /// The variable that steps are taken in.
    pub clock: Clock,
}

impl Default for StochasticRungeKutta {
    fn default() -> Self {
        StochasticRungeKutta { table: Table::Named(Named::Sra2), lambda: 1.0, clock: Clock::T }
    }
}

/// Drift `a` of member `l` at `x`, in the clock's own variable; one model call.
fn drift<V: Space>(cx: &mut Ctx<V>, clock: Clock, l: f64, x: &State<V>, at: &Level) -> State<V> {
    match clock {
        Clock::T => {
            let score = cx.score(x, at);
            (at.f * x - (1.0 + l) / 2.0 * at.g2 * &score).eval()
        }
        Clock::Edm => ((1.0 + l) * &cx.eps(x, at)).eval(),
        Clock::Lambda => (-(1.0 + l) * at.kappa() * &cx.eps(x, at)).eval(),
    }
}

/// Diffusion `b` of member `l`, in the clock's own variable.
fn diffusion(clock: Clock, l: f64, at: &Level) -> f64 {
    match clock {
        Clock::T => (l * at.g2).sqrt(),
        Clock::Edm | Clock::Lambda => (l * clock.brownian_rate(at)).sqrt(),
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// One step of a table from `t` to `s`.
fn step<V: Space>(
    tableau: &Tableau,
    clock: Clock,
    l: f64,
    cx: &mut Ctx<V>,
    x: &State<V>,
    t: &Level,
    s: &Level,
) -> State<V> {
    if clock == Clock::Edm && s.sigma == 0.0 && tableau.c0.contains(&1.0) {
        // eps at sigma = 0 is not known to a model (0/0): the last step takes what Euler's does on the flow, d.
        return (s.alpha * &cx.denoise(x, t)).eval();
    }
    let h = clock.length(t, s);
    let noise = (l > 0.0).then(|| cx.increment_and_area(x, t, s, clock));
    let (z1, z2) = noise.as_ref().map(|(z1, z2)| (z1, z2)).unzip();
    // In the units of x, I_10/|h| = root (z1/2 + z2/sqrt 12) and I_1 = root z1.
    let root = h.abs().sqrt();
    let b: Vec<f64> = tableau.c1.iter().map(|&c| diffusion(clock, l, &clock.between(cx, t, s, c))).collect();
    let advance = |at: &Level, a: &[f64], slopes: &[State<V>], i1: f64, i10: f64| {
        let (keep, scale) = if clock == Clock::T { (1.0, 1.0) } else { (at.alpha / t.alpha, at.alpha) };
        let slopes = a.iter().zip(slopes).filter(|(a, _)| **a != 0.0).map(|(a, k)| (scale * h * a, k));
        Lin::sum(std::iter::once((keep, x)).chain(slopes))
            .plus(scale * root * (i1 + 0.5 * i10), z1)
            .plus(scale * root * i10 / 12f64.sqrt(), z2)
            .eval()
    };
    let mut slopes = Vec::with_capacity(tableau.c0.len());
    for ((&c, a), b0) in tableau.c0.iter().zip(&tableau.a0).zip(&tableau.b0) {
        let at = clock.between(cx, t, s, c);
        let slope = if a.is_empty() && b0.is_empty() {
            drift(cx, clock, l, x, &at)
        } else {
            drift(cx, clock, l, &advance(&at, a, &slopes, 0.0, dot(b0, &b)), &at)
        };
        slopes.push(slope);
    }
    advance(s, &tableau.alpha, &slopes, dot(&tableau.beta1, &b), dot(&tableau.beta2, &b))
}

/// What a table promises with a share `l` of noise: weak and strong order, and both on Gaussian data.
struct Orders {
    weak: f64,
    strong: f64,
    gaussian: f64,
}

fn orders(table: &Table, l: f64) -> Orders {
    let (flow, additive) = table.claims();
    if l == 0.0 {
        let flow = f64::from(flow);
        return Orders { weak: flow, strong: flow, gaussian: flow };
    }
    // With a linear drift the one condition that f'' enters does not matter, nor does the iterated integral of f'' b^2,
    // which alone is of order 1.5; of the path only what no straight line fits is missed.
    let gaussian = if additive || table.tableau().additive(false) { 2.0 } else { 1.0 };
    let (weak, strong) = if additive { (2.0, 1.5) } else { (1.0, 1.0) };
    Orders { weak, strong, gaussian }
}

macro_rules! solver {
    ($type:ident, $self:ident, $table:expr, $name:literal, $about:literal, $source:literal, $check:expr, $catalogue:expr) => {
        impl Sample for $type {
            fn sample<V: Space>(&$self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
                let tableau = $table.tableau();
                for pair in grid.windows(2) {
                    x = step(&tableau, $self.clock, $self.lambda, cx, &x, &pair[0], &pair[1]);
                }
                x
            }
        }

        impl Solver for $type {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const SOURCE: &'static str = $source;

            fn claim(&$self) -> Claim {
                Claim::Order(orders(&$table, $self.lambda).weak)
            }
            fn on_gaussian_data(&$self) -> Claim {
                Claim::Order(orders(&$table, $self.lambda).gaussian)
            }
            fn equation(&$self) -> Option<f64> {
                Some($self.lambda)
            }
            fn needs(&$self, _: &Schedule) -> Needs {
                Needs::of($self.clock)
            }
            fn check(&$self) -> Result<()> {
                euler_maruyama::check_lambda($self.lambda)?;
                $check
            }
            fn strong(&$self) -> Option<f64> {
                Some(orders(&$table, $self.lambda).strong)
            }
            fn strong_on_gaussian_data(&$self) -> Option<f64> {
                Some(orders(&$table, $self.lambda).gaussian)
            }
            fn calls(&$self, steps: usize) -> usize {
                $table.tableau().c0.len() * steps
            }
            fn draws(&$self, steps: usize) -> usize {
                if $self.lambda > 0.0 { 2 * steps } else { 0 }
            }
            fn proofs(&$self) -> Vec<Proof> {
                $table.proofs()
            }
            fn catalogue() -> Vec<Self> {
                $catalogue
            }
        }
    };
}

macro_rules! named {
    ($type:ident, $table:expr, $others:expr, $name:literal, $about:literal, $source:literal) => {
        #[doc = $about]
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $type {
            /// `l`: 0 is the probability flow, 1 the reverse SDE; any value of at least 0 keeps the marginals.
            pub lambda: f64,
            /// The variable that steps are taken in.
            pub clock: Clock,
        }

        impl Default for $type {
            fn default() -> Self {
                $type { lambda: 1.0, clock: Clock::T }
            }
        }

        solver!($type, self, Table::Named($table), $name, $about, $source, Ok(()), {
            let in_t = [1.0, 0.0, 0.5].map(|lambda| $type { lambda, clock: Clock::T });
            in_t.into_iter().chain($others.map(|clock| $type { lambda: 1.0, clock })).collect()
        });
    };
}

named!(
    Sra1,
    Named::Sra1,
    [Clock::Edm, Clock::Lambda],
    "sra1",
    "Roessler's SRA1 on the lambda family, two stages; weak order 2, strong 1.5; clock = t | edm | lambda",
    "Roessler 2010, SRA1"
);
named!(
    Sra3,
    Named::Sra3,
    [Clock::Edm], // in lambda its slopes are 2.1 until a thousand steps, and 2 in the end
    "sra3",
    "Roessler's SRA3 on the lambda family, three stages; as SRA1, and of order 3 on the flow",
    "Roessler 2010, SRA3"
);
named!(
    Sosra,
    Named::Sosra,
    [Clock::Edm, Clock::Lambda],
    "sosra",
    "SOSRA on the lambda family: three stages chosen for stability; weak order 2, strong 1.5",
    "Rackauckas & Nie 2020, SOSRA"
);

solver!(
    StochasticRungeKutta,
    self,
    self.table,
    "stochastic-runge-kutta",
    "Roessler's class SRA with any table, on the lambda family; clock = t | edm | lambda",
    "Roessler 2010, class SRA",
    self.table.check(),
    {
        let of = |table, lambda, clock| StochasticRungeKutta { table, lambda, clock };
        let (sra2, sosra2) = (Table::Named(Named::Sra2), Table::Named(Named::Sosra2));
        vec![
            of(sra2.clone(), 1.0, Clock::T),
            of(sra2, 1.0, Clock::Lambda),
            of(sosra2.clone(), 1.0, Clock::T),
            of(sosra2, 0.5, Clock::Lambda),
            of(Table::Given(Box::new(table::euler())), 1.0, Clock::Edm),
            of(Table::Given(Box::new(table::linear())), 1.0, Clock::T),
        ]
    }
);
