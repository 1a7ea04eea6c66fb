//! Explicit Runge-Kutta methods for the probability flow, in any [`Clock`].
//!
//! In `t`: `dx/dt = f x - g^2/2 score` (Song et al. 2021, eq. 13). In `kappa = sigma/alpha`: `y = x/alpha`,
//! `dy/dkappa = eps` (Song, Meng & Ermon 2021, eq. 14; Karras et al. 2022, eq. 4). These are different methods:
//! the same tableau has different error constants in the two.
use super::*;
use crate::error::BadInput;
use crate::schedule::Clock;


/// A Butcher tableau: nodes `c`, stage weights `a` (row by row), final weights `b`.
struct Tableau {
    c: &'static [f64],
    a: &'static [&'static [f64]],
    b: &'static [f64],
}

const EULER: Tableau = Tableau { c: &[0.0], a: &[&[]], b: &[1.0] };
const HEUN: Tableau = Tableau { c: &[0.0, 1.0], a: &[&[], &[1.0]], b: &[0.5, 0.5] };
const MIDPOINT: Tableau = Tableau { c: &[0.0, 0.5], a: &[&[], &[0.5]], b: &[0.0, 1.0] };
const RK4: Tableau = Tableau {
    c: &[0.0, 0.5, 0.5, 1.0],
    a: &[&[], &[0.5], &[0.0, 0.5], &[0.0, 0.0, 1.0]],
    b: &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0],
};

impl Tableau {
    /// One step from `t` to `s`.
    fn step<V: Space>(&self, clock: Clock, cx: &mut Ctx<V>, x: &State<V>, t: &Level, s: &Level) -> State<V> {
        // eps at sigma = 0 is not known to a model (0/0): such a step is Euler's, as in EDM's algorithm 1.
        let blind = clock == Clock::Edm && s.sigma == 0.0 && self.c.contains(&1.0);
        let tableau = if blind { &EULER } else { self };
        let h = clock.length(t, s);
        let mut slopes = Vec::with_capacity(tableau.c.len());
        for (&c, a) in tableau.c.iter().zip(tableau.a) {
            let level = clock.between(cx, t, s, c);
            let slope = if a.is_empty() {
                clock.slope(cx, x, &level)
            } else {
                let stage = clock.advance(x, t, &level, h, a, &slopes);
                clock.slope(cx, &stage, &level)
            };
            slopes.push(slope);
        }
        clock.advance(x, t, s, h, tableau.b, &slopes)
    }

    fn run<V: Space>(&self, clock: Clock, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            x = self.step(clock, cx, &x, &pair[0], &pair[1]);
        }
        x
    }
}

macro_rules! runge_kutta {
    ($type:ident, $tableau:ident, $order:expr, $name:literal, $about:literal, $source:literal) => {
        #[doc = $about]
        #[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $type {
            /// The variable that steps are taken in.
            pub clock: Clock,
        }

        impl Sample for $type {
            fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
                $tableau.run(self.clock, cx, grid, x)
            }
        }

        impl Solver for $type {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const SOURCE: &'static str = $source;

            fn claim(&self) -> Claim {
                Claim::Order($order)
            }
            fn equation(&self) -> Option<f64> {
                Some(0.0)
            }
            fn needs(&self, _: &Schedule) -> Needs {
                Needs::of(self.clock)
            }
            fn on_gaussian_data(&self) -> Claim {
                // dy/dkappa = kappa y/(c + kappa^2): the leading defect of the midpoint rule vanishes.
                let more = self.clock == Clock::Edm && Self::NAME == "midpoint";
                Claim::Order(if more { 3.0 } else { $order })
            }
            fn calls(&self, steps: usize) -> usize {
                $tableau.c.len() * steps
            }
            fn catalogue() -> Vec<Self> {
                Clock::ALL.map(|clock| $type { clock }).into()
            }
        }
    };
}

runge_kutta!(
    Euler,
    EULER,
    1.0,
    "euler",
    "Euler's method for the probability flow; clock = t | edm | lambda",
    "Song et al. 2021, eq. 13"
);
runge_kutta!(
    Midpoint,
    MIDPOINT,
    2.0,
    "midpoint",
    "the explicit midpoint rule for the probability flow; clock = t | edm | lambda",
    "Hairer, Norsett & Wanner 1993, II.1, eq. 1.3"
);
runge_kutta!(
    Rk4,
    RK4,
    4.0,
    "rk4",
    "the classical Runge-Kutta method for the probability flow; clock = t | edm | lambda",
    "Hairer, Norsett & Wanner 1993, II.1, table 1.2"
);

/// Heun's method (explicit trapezoid); with `clock = "edm"` it is Karras et al. 2022, algorithm 1, and with
/// `s_churn > 0` their stochastic algorithm 2.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Heun {
    /// The variable that steps are taken in.
    pub clock: Clock,
    /// `S_churn`: noise is raised by a factor `1 + min(S_churn/N, sqrt(2) - 1)` before each step.
    pub s_churn: f64,
    /// `S_tmin`: churn only where `kappa` is at least this.
    pub s_min: f64,
    /// `S_tmax`: churn only where `kappa` is at most this.
    pub s_max: f64,
    /// `S_noise`: standard deviation of the noise added.
    pub s_noise: f64,
}

impl Default for Heun {
    fn default() -> Self {
        Heun { clock: Clock::T, s_churn: 0.0, s_min: 0.0, s_max: f64::INFINITY, s_noise: 1.0 }
    }
}

impl Sample for Heun {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let gamma = (self.s_churn / (grid.len() - 1) as f64).min(2f64.sqrt() - 1.0);
        for pair in grid.windows(2) {
            let (mut t, s) = (pair[0], &pair[1]);
            if gamma > 0.0 && (self.s_min..=self.s_max).contains(&t.kappa()) {
                // Up to kappa (1 + gamma) by adding noise to x/alpha, then down from there.
                let up = cx.at_kappa(t.kappa() * (1.0 + gamma));
                let sd = self.s_noise * t.kappa() * (gamma * (2.0 + gamma)).sqrt();
                let z = cx.fresh(&x);
                x = (up.alpha / t.alpha * &x + up.alpha * sd * &z).eval();
                t = up;
            }
            x = HEUN.step(self.clock, cx, &x, &t, s);
        }
        x
    }
}

impl Solver for Heun {
    const NAME: &'static str = "heun";
    const ABOUT: &'static str =
        "Heun's method for the probability flow; clock = t | edm | lambda; EDM's churn by s_churn";
    const SOURCE: &'static str = "Karras et al. 2022, algorithms 1 and 2";

    fn claim(&self) -> Claim {
        // Raising the noise level by independent noise is exact, unless its size is falsified.
        if self.s_churn > 0.0 && self.s_noise != 1.0 { Claim::Floor } else { Claim::Order(2.0) }
    }
    fn equation(&self) -> Option<f64> {
        // Churn is no member of the family: its noise share depends on the grid.
        if self.s_churn > 0.0 { None } else { Some(0.0) }
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs::of(self.clock)
    }
    fn check(&self) -> Result<()> {
        let at_least_0 = "give a number of at least 0";
        for (key, x) in [
            ("s_churn", self.s_churn),
            ("s_min", self.s_min),
            ("s_max", self.s_max),
            ("s_noise", self.s_noise),
        ] {
            if x < 0.0 || (x.is_infinite() && key != "s_max") {
                return Err(BadInput::new(key, x, "is not allowed", at_least_0));
            }
        }
        if self.s_min > self.s_max {
            return Err(BadInput::new("s_min", self.s_min, "is above s_max", "swap the two"));
        }
        if self.s_churn > 0.0 && self.clock != Clock::Edm {
            return Err(BadInput::new(
                "s_churn",
                self.s_churn,
                "works in sigma/alpha",
                "add clock = \"edm\"",
            ));
        }
        Ok(())
    }
    fn calls(&self, steps: usize) -> usize {
        2 * steps
    }
    fn draws(&self, steps: usize) -> usize {
        if self.s_churn > 0.0 { steps } else { 0 }
    }
    fn catalogue() -> Vec<Self> {
        let edm = Heun { clock: Clock::Edm, ..Heun::default() };
        let lambda = Heun { clock: Clock::Lambda, ..edm };
        let churned = Heun { s_churn: 20.0, ..edm };
        vec![Heun::default(), edm, lambda, churned, Heun { s_noise: 1.1, ..churned }]
    }
}
