//! PNDM (Liu et al. 2022) and its variant PLMS: Adams-Bashforth weights of equal steps, on whatever steps there are.
use super::multistep::{Form, WarmUp};
use super::*;

/// Weights of Adams-Bashforth methods on equal steps, newest slope first.
pub(super) const EQUAL_STEPS: [&[f64]; 4] = [
    &[1.0],
    &[3.0 / 2.0, -1.0 / 2.0],
    &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
    &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

/// The transfer part `phi` (eq. 9 and 11): DDIM from `t` to `s` with the combination `sum_j b_j e_j` for `eps`.
pub(super) fn transfer<V: Space>(x: &State<V>, t: &Level, s: &Level, b: &[f64], e: &[State<V>]) -> State<V> {
    Clock::Edm.advance(x, t, s, s.kappa() - t.kappa(), b, e)
}

/// The last four values of `eps` and the Adams step that they allow, for both methods.
struct Past<V> {
    e: Vec<State<V>>,
}

impl<V: Space> Past<V> {
    fn push(&mut self, e: State<V>) {
        self.e.insert(0, e);
        self.e.truncate(4);
    }

    fn step(&self, x: &State<V>, t: &Level, s: &Level) -> State<V> {
        transfer(x, t, s, EQUAL_STEPS[self.e.len() - 1], &self.e)
    }

    /// A step of the classical kind or along the flow, while there are fewer than four values.
    fn warm_up(&self, how: WarmUp, cx: &mut Ctx<V>, x: &State<V>, t: &Level, s: &Level) -> Option<State<V>> {
        let short = (self.e.len() < 4).then(|| (&self.e[0]).into())?;
        how.step(cx, Clock::Edm, x, (t, s), short)
    }
}

macro_rules! both {
    ($type:ident, $name:literal, $about:literal, $source:literal, $calls:expr) => {
        impl Solver for $type {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const SOURCE: &'static str = $source;

            fn claim(&self) -> Claim {
                // Weights of equal steps are off by the change of the step: that leaves 2 on smooth grids ...
                Claim::Order(2.0)
            }
            fn on_uneven_steps(&self) -> Claim {
                // ... and 1 where steps keep changing.
                Claim::Order(1.0)
            }
            fn equation(&self) -> Option<f64> {
                Some(0.0)
            }
            fn needs(&self, _: &Schedule) -> Needs {
                Form::Eps.needs_from(self.warm_up, 4)
            }
            fn calls(&self, steps: usize) -> usize {
                let published: fn(usize) -> usize = $calls;
                if self.warm_up == WarmUp::Published {
                    published(steps)
                } else {
                    self.warm_up.calls(4, steps)
                }
            }
            fn catalogue() -> Vec<Self> {
                [WarmUp::Published, WarmUp::OneStep, WarmUp::Exact].map(|warm_up| $type { warm_up }).into()
            }
        }
    };
}

/// Four-step Adams-Bashforth after three steps of a pseudo Runge-Kutta method with four calls each (algorithm 2, F-PNDM).
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pndm {
    /// How the first three steps are made; `published` is the pseudo Runge-Kutta method.
    pub warm_up: WarmUp,
}

impl Sample for Pndm {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let mut past = Past { e: Vec::with_capacity(5) };
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            past.push(cx.eps(&x, t));
            let pseudo = self.warm_up == WarmUp::Published && past.e.len() < 4 && s.sigma > 0.0;
            x = if pseudo {
                pseudo_runge_kutta(cx, &x, t, s, &mut past)
            } else {
                past.warm_up(self.warm_up, cx, &x, t, s).unwrap_or_else(|| past.step(&x, t, s))
            };
        }
        x
    }
}

/// Eq. 13 of the paper: the middle stage is half way in time, and all stages are transferred from `x`.
fn pseudo_runge_kutta<V: Space>(
    cx: &mut Ctx<V>,
    x: &State<V>,
    t: &Level,
    s: &Level,
    past: &mut Past<V>,
) -> State<V> {
    let mid = cx.at(0.5 * (t.t + s.t));
    let mut e = vec![past.e.remove(0)];
    for (level, b) in [(&mid, &[1.0][..]), (&mid, &[0.0, 1.0]), (s, &[0.0, 0.0, 1.0])] {
        let stage = transfer(x, t, level, b, &e);
        e.push(cx.eps(&stage, level));
    }
    let x = transfer(x, t, s, &[1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0], &e);
    past.e.insert(0, e.swap_remove(0));
    x
}

both!(
    Pndm,
    "pndm",
    "PNDM: pseudo Runge-Kutta, then Adams-Bashforth weights of equal steps: order 2 on smooth grids",
    "Liu et al. 2022, eq. 9, 12 and 13, algorithm 2",
    |steps| steps + 3 * steps.min(3)
);

/// PNDM without Runge-Kutta steps: the first step is made twice, the second time with the mean of the slopes at both of
/// its ends, and orders 2 and 3 follow: `N + 1` calls.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plms {
    /// How the first three steps are made.
    pub warm_up: WarmUp,
}

impl Sample for Plms {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let mut past = Past { e: Vec::with_capacity(5) };
        for (i, pair) in grid.windows(2).enumerate() {
            let (t, s) = (&pair[0], &pair[1]);
            past.push(cx.eps(&x, t));
            x = match past.warm_up(self.warm_up, cx, &x, t, s) {
                Some(y) => y,
                None if i == 0 && s.sigma > 0.0 => {
                    // The call at the end is made again from x: this value is forgotten.
                    let e = cx.eps(&past.step(&x, t, s), s);
                    let h = s.kappa() - t.kappa();
                    (s.alpha / t.alpha * &x + 0.5 * s.alpha * h * (&past.e[0] + &e)).eval()
                }
                None => past.step(&x, t, s),
            };
        }
        x
    }
}

both!(
    Plms,
    "plms",
    "PLMS: PNDM that repeats its first step instead of Runge-Kutta; N + 1 calls, order 2 on smooth grids",
    "Liu et al. 2022, eq. 12; diffusers 0.42.1, PNDMScheduler with skip_prk_steps",
    |steps| steps + 1
);
