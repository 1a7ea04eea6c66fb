//! The variable that a method takes its steps in.

use super::Level;
use crate::run::Ctx;
use crate::state::{Lin, Space, State};

/// A clock and the variable that moves in it. The same tableau is a different method in each.
///
/// | clock | variable | probability flow | source |
/// |---|---|---|---|
/// | `t` | `x` | `dx/dt = f x - g^2/2 score` | Song et al. 2021, eq. 13 |
/// | `edm` (or `kappa`) | `y = x/alpha` | `dy/dkappa = eps` | Song, Meng & Ermon 2021, eq. 14; Karras et al. 2022, eq. 4 |
/// | `lambda` | `y = x/alpha` | `dy/dlambda = -kappa eps` | the same, with `dkappa = -kappa dlambda` |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// `x` in time.
    #[default]
    T,
    /// `x/alpha` in `kappa = sigma/alpha`, as EDM.
    #[serde(alias = "kappa")]
    Edm,
    /// `x/alpha` in half the log-SNR.
    Lambda,
}

impl Clock {
    /// Every clock.
    pub const ALL: [Clock; 3] = [Clock::T, Clock::Edm, Clock::Lambda];

    /// What this clock shows at a level.
    pub fn of(self, at: &Level) -> f64 {
        match self {
            Clock::T => at.t,
            Clock::Edm => at.kappa(),
            Clock::Lambda => at.lambda(),
        }
    }

    /// The level at which this clock shows `value`.
    pub fn level<V: Space>(self, cx: &Ctx<V>, value: f64) -> Level {
        match self {
            Clock::T => cx.at(value),
            Clock::Edm => cx.at_kappa(value),
            Clock::Lambda => cx.at_lambda(value),
        }
    }

    /// The level a fraction `c` of the step from `t` to `s`.
    pub fn between<V: Space>(self, cx: &Ctx<V>, t: &Level, s: &Level, c: f64) -> Level {
        match c {
            0.0 => *t,
            1.0 => *s,
            _ => self.level(cx, self.of(t) + c * (self.of(s) - self.of(t))),
        }
    }

    /// Length of the step in this clock: negative in `t` and `kappa`, positive in `lambda`.
    pub fn length(self, t: &Level, s: &Level) -> f64 {
        self.of(s) - self.of(t)
    }

    /// Right-hand side of the probability flow at `x`, in this clock's variable; one model call.
    pub fn slope<V: Space>(self, cx: &mut Ctx<V>, x: &State<V>, at: &Level) -> State<V> {
        match self {
            Clock::T => {
                let score = cx.score(x, at);
                (at.f * x - 0.5 * at.g2 * &score).eval()
            }
            Clock::Edm => cx.eps(x, at),
            Clock::Lambda => {
                let eps = cx.eps(x, at);
                (-at.kappa() * &eps).eval()
            }
        }
    }

    /// `x` at level `s` after the increment `h sum_i b_i k_i` of this clock's variable from `x` at `t`.
    pub fn advance<V: Space>(
        self,
        x: &State<V>,
        t: &Level,
        s: &Level,
        h: f64,
        b: &[f64],
        slopes: &[State<V>],
    ) -> State<V> {
        let (keep, scale) = match self {
            Clock::T => (1.0, h),
            Clock::Edm | Clock::Lambda => (s.alpha / t.alpha, s.alpha * h),
        };
        let terms = b.iter().zip(slopes).filter(|(b, _)| **b != 0.0).map(|(b, k)| (scale * b, k));
        Lin::sum(std::iter::once((keep, x)).chain(terms)).eval()
    }

    /// `|d kappa^2 / du|`, where `u` is what this clock shows: the Brownian motion `B` of the reverse SDE,
    /// `dx = ... + alpha dB(kappa^2)`, has this much variance per unit of `u`.
    pub fn brownian_rate(self, at: &Level) -> f64 {
        match self {
            Clock::T => at.g2 / (at.alpha * at.alpha),
            Clock::Edm => 2.0 * at.kappa(),
            Clock::Lambda => 2.0 * at.kappa().powi(2),
        }
    }
}
