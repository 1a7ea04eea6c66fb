//! STORK (Tan, Wang, Bertozzi & Ryu 2025): stabilised Runge-Kutta steps whose slopes are not asked of the model but
//! extrapolated in time from those at the last three levels, one model call a step.
//!
//! The slopes extrapolated are those of the probability flow itself (`form = "velocity"`, for flow matching), which do
//! not feel the stages: STORK-4 is then the Adams-Bashforth method of order 3 whatever its stages, and STORK-2 one of
//! order 2. Or they are `eps` (`form = "eps"`, for noise prediction), and the linear part of the flow in `t` is left to
//! the stages. Either way the start (half a step by Euler, half a step and a step by two-step Adams-Bashforth) has
//! order 2, and so has the method.
//!
//! `variant = "shipped"` is what the authors' code computes on velocities (STORKScheduler.py of 2025,
//! `step_flow_matching_2` and `_4`): its nodes in STORK-2 are those of another method (RKL2's, where the weights are
//! RKG2's), its first derivative takes steps for equal, and STORK-4 begins its recurrence with the first two stages
//! swapped, so that the weights of its slopes do not add up to 1.
use super::rock4::{ROCK4, Rock4, STAGES};
use super::*;
use crate::error::BadInput;
use crate::state::Lin;

/// What is extrapolated in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The slope of the probability flow in the clock.
    #[default]
    Velocity,
    /// `eps`, in `t`.
    Eps,
}

/// The method, or what the authors' code makes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Nodes, derivatives and recurrence of the methods it is built from.
    #[default]
    Corrected,
    /// The code of 2025.
    Shipped,
}

/// Where the first two steps come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarmUp {
    /// Half a step by Euler, half a step and a step by two-step Adams-Bashforth: one more call.
    #[default]
    Published,
    /// The exact flow.
    Exact,
}

/// Weights of the state, and of the slopes at the last three levels, the newest first.
type Weights = [f64; 4];

/// A level with the state and the slope there.
struct Seen<V> {
    at: Level,
    x: State<V>,
    k: State<V>,
}

/// The slopes at the last three levels, extrapolated to `theta` steps ahead of the newest: their weights. `r` are the
/// lengths of the last two steps in units of the one to come, the newest first.
fn extrapolate(theta: f64, [r1, r2]: [f64; 2], variant: Variant) -> [f64; 3] {
    let both = r1 + r2;
    let first = match variant {
        Variant::Corrected => [1.0 / r1 + 1.0 / both, -both / (r1 * r2), r1 / (r2 * both)],
        Variant::Shipped => [1.5 / r1, -2.0 / r1, 0.5 / r1],
    };
    let second = [2.0 / (r1 * both), -2.0 / (r1 * r2), 2.0 / (r2 * both)];
    let value = |j: usize| theta * first[j] + 0.5 * theta * theta * second[j];
    [1.0 + value(0), value(1), value(2)]
}

fn add<const N: usize>(terms: [(f64, &Weights); N]) -> Weights {
    std::array::from_fn(|k| terms.iter().map(|(c, w)| c * w[k]).sum())
}

/// A step of the Runge-Kutta-Gegenbauer method of order 2 (Skaras et al. 2021, eq. 12 to 15). `slope(y, c)` is `h`
/// times the slope at node `c`.
fn rkg2(stages: usize, variant: Variant, slope: impl Fn(&Weights, f64) -> Weights) -> Weights {
    let n = stages as f64;
    let b = |j: usize| match j {
        0 => 1.0,
        1 => 1.0 / 3.0,
        _ => {
            let j = j as f64;
            4.0 * (j - 1.0) * (j + 4.0) / (3.0 * j * (j + 1.0) * (j + 2.0) * (j + 3.0))
        }
    };
    let first = 6.0 / ((n + 4.0) * (n - 1.0));
    let node = |j: usize| match (variant, j as f64) {
        (Variant::Corrected, 1.0) => first,
        (Variant::Corrected, j) => (j - 1.0) * (j + 4.0) / ((n - 1.0) * (n + 4.0)),
        // Of RKL2 (Meyer, Balsara & Aslam 2014).
        (Variant::Shipped, 1.0) => 4.0 / (3.0 * (n * n + n - 2.0)),
        (Variant::Shipped, j) => (j * j + j - 2.0) / (n * n + n - 2.0),
    };
    let start = [1.0, 0.0, 0.0, 0.0];
    let start_slope = slope(&start, 0.0);
    let (mut before, mut y) = (start, add([(1.0, &start), (first, &start_slope)]));
    for j in 2..=stages {
        let i = j as f64;
        let mu = (2.0 * i + 1.0) * b(j) / (i * b(j - 1));
        let nu = -(i + 1.0) * b(j) / (i * b(j - 2));
        let ahead = mu * first;
        let back = -ahead * (1.0 - i * (i + 1.0) * b(j - 1) / 2.0);
        let k = slope(&y, node(j - 1));
        let terms = [(mu, &y), (nu, &before), (1.0 - mu - nu, &start), (ahead, &k), (back, &start_slope)];
        (before, y) = (y, add(terms));
    }
    y
}

/// A step of ROCK4 (Abdulle 2002, eq. 3.2 and 3.5), `slope` as for [`rkg2`].
fn rock4(table: &Rock4, variant: Variant, slope: impl Fn(&Weights, f64) -> Weights) -> Weights {
    let start = [1.0, 0.0, 0.0, 0.0];
    let (mu, rest) = (table.recurrence[0], &table.recurrence[1..]);
    let mut y = add([(1.0, &start), (mu, &slope(&start, 0.0))]);
    let (mut before, mut c, mut c_before) = (start, mu, 0.0);
    if variant == Variant::Shipped {
        (before, y, c_before) = (y, before, c);
    }
    for pair in rest.chunks_exact(2) {
        let (mu, kappa) = (pair[0], pair[1]);
        let k = slope(&y, c);
        let next = add([(mu, &k), (1.0 + kappa, &y), (-kappa, &before)]);
        (before, y) = (y, next);
        (c_before, c) = (c, mu + (1.0 + kappa) * c - kappa * c_before);
    }
    let [a21, a31, a32, a41, a42, a43] = table.stages;
    let k1 = slope(&y, c);
    let k2 = slope(&add([(1.0, &y), (a21, &k1)]), c + a21);
    let k3 = slope(&add([(1.0, &y), (a31, &k1), (a32, &k2)]), c + a31 + a32);
    let k4 = slope(&add([(1.0, &y), (a41, &k1), (a42, &k2), (a43, &k3)]), c + a41 + a42 + a43);
    let [b1, b2, b3, b4] = table.weights;
    add([(1.0, &y), (b1, &k1), (b2, &k2), (b3, &k3), (b4, &k4)])
}

/// What both methods do around their stages.
struct Run {
    form: Form,
    clock: Clock,
    warm_up: WarmUp,
    variant: Variant,
}

impl Run {
    /// `(p, q)` of the flow `p y + q k` at a level, where `k` is what is asked for.
    fn rate(&self, at: &Level) -> (f64, f64) {
        match self.form {
            Form::Velocity => (0.0, 1.0),
            Form::Eps => (at.f, 0.5 * at.g2 / at.sigma),
        }
    }

    fn see<V: Space>(&self, cx: &mut Ctx<V>, x: State<V>, at: &Level) -> Seen<V> {
        let k = match self.form {
            Form::Velocity => self.clock.slope(cx, &x, at),
            Form::Eps => cx.eps(&x, at),
        };
        Seen { at: *at, x, k }
    }

    /// What `x` and a slope are multiplied by on the way from `t` to `s`, a step of length `h`.
    fn scales(&self, t: &Level, s: &Level, h: f64) -> (f64, f64) {
        if self.clock == Clock::T { (1.0, h) } else { (s.alpha / t.alpha, s.alpha * h) }
    }

    /// Two-step Adams-Bashforth, or Euler where there is no level before.
    fn adams<V: Space>(&self, now: &Seen<V>, before: Option<&Seen<V>>, s: &Level) -> State<V> {
        let h = self.clock.length(&now.at, s);
        let (keep, gain) = self.scales(&now.at, s, h);
        let r = before.map_or(0.0, |before| 0.5 * h / self.clock.length(&before.at, &now.at));
        let (p, q) = self.rate(&now.at);
        let (x, k) = (keep + gain * (1.0 + r) * p, gain * (1.0 + r) * q);
        match before {
            None => (x * &now.x + k * &now.k).eval(),
            Some(old) => {
                let (p, q) = self.rate(&old.at);
                (x * &now.x + k * &now.k - gain * r * p * &old.x - gain * r * q * &old.k).eval()
            }
        }
    }

    fn run<V: Space>(
        &self,
        cx: &mut Ctx<V>,
        grid: &[Level],
        mut x: State<V>,
        step: impl Fn(&dyn Fn(&Weights, f64) -> Weights) -> Weights,
    ) -> State<V> {
        // The newest first.
        let mut seen: Vec<Seen<V>> = Vec::with_capacity(3);
        for (i, pair) in grid.windows(2).enumerate() {
            let (t, s) = (&pair[0], &pair[1]);
            seen.insert(0, self.see(cx, x, t));
            seen.truncate(3);
            let now = &seen[0];
            x = match (i, self.warm_up) {
                (0 | 1, WarmUp::Exact) => cx.flow(&now.x, t, s),
                (0, WarmUp::Published) => {
                    let middle = self.clock.between(cx, t, s, 0.5);
                    let half = self.adams(now, None, &middle);
                    let half = self.see(cx, half, &middle);
                    self.adams(&half, Some(now), s)
                }
                (1, WarmUp::Published) => self.adams(now, Some(&seen[1]), s),
                _ => self.extrapolated(cx, &seen, s, &step),
            };
        }
        x
    }

    /// A step with slopes extrapolated from the last three levels.
    fn extrapolated<V: Space>(
        &self,
        cx: &Ctx<V>,
        seen: &[Seen<V>],
        s: &Level,
        step: &impl Fn(&dyn Fn(&Weights, f64) -> Weights) -> Weights,
    ) -> State<V> {
        let t = &seen[0].at;
        let h = self.clock.length(t, s);
        let length = |j: usize| self.clock.length(&seen[j + 1].at, &seen[j].at) / h;
        let r = [length(0), length(1)];
        let (keep, gain) = self.scales(t, s, h);
        let weights = step(&|y, c| {
            let (p, q) = match self.form {
                Form::Velocity => (0.0, 1.0),
                Form::Eps => self.rate(&self.clock.between(cx, t, s, c)),
            };
            let [k0, k1, k2] = extrapolate(c, r, self.variant);
            // In units of `gain`, so that y[0] is what is kept of x.
            let p = if p == 0.0 { 0.0 } else { h * p };
            [p * y[0], p * y[1] + q * k0, p * y[2] + q * k1, p * y[3] + q * k2]
        });
        let slopes = seen.iter().zip(&weights[1..]).map(|(seen, w)| (gain * w, &seen.k));
        Lin::sum(std::iter::once((keep * weights[0], &seen[0].x)).chain(slopes)).eval()
    }
}

macro_rules! stork {
    ($type:ident, $name:literal, $about:literal, $source:literal, $claim:expr, $equation:expr, $check:expr, $step:expr) => {
        #[doc = $about]
        #[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $type {
            /// Stages of a step.
            pub stages: usize,
            /// What is extrapolated in time.
            pub form: Form,
            /// The variable that steps are taken in: `t` unless `form = "velocity"`.
            pub clock: Clock,
            /// The method, or the authors' code.
            pub variant: Variant,
            /// Where the first two steps come from.
            pub warm_up: WarmUp,
        }

        impl Default for $type {
            fn default() -> Self {
                let (form, clock) = (Form::Velocity, Clock::T);
                $type { stages: 50, form, clock, variant: Variant::Corrected, warm_up: WarmUp::Published }
            }
        }

        impl Sample for $type {
            fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
                let $type { stages, form, clock, variant, warm_up } = *self;
                Run { form, clock, warm_up, variant }.run(cx, grid, x, |slope| $step(stages, variant, slope))
            }
        }

        impl Solver for $type {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const SOURCE: &'static str = $source;

            fn claim(&self) -> Claim {
                $claim(self.variant, self.warm_up)
            }
            fn equation(&self) -> Option<f64> {
                $equation(self.variant)
            }
            fn needs(&self, _: &Schedule) -> Needs {
                Needs::of(self.clock)
            }
            fn check(&self) -> Result<()> {
                $check(self.stages)?;
                check(self.form, self.clock, self.variant)
            }
            fn calls(&self, steps: usize) -> usize {
                steps + usize::from(self.warm_up == WarmUp::Published && steps > 0)
            }
            fn catalogue() -> Vec<Self> {
                let own = $type::default();
                let mut all = vec![own];
                all.extend([Clock::Edm, Clock::Lambda].map(|clock| $type { clock, ..own }));
                all.push($type { form: Form::Eps, ..own });
                all.push($type { stages: 5, form: Form::Eps, ..own });
                all.push($type { warm_up: WarmUp::Exact, ..own });
                all.push($type { variant: Variant::Shipped, ..own });
                all
            }
        }
    };
}

fn check(form: Form, clock: Clock, variant: Variant) -> Result<()> {
    if form == Form::Eps && clock != Clock::T {
        let fix = "leave the clock at t, or give form = \"velocity\"";
        return Err(BadInput::about("clock", "is not t, where the eps form works", fix));
    }
    if form == Form::Eps && variant == Variant::Shipped {
        let fix = "leave the variant, or give form = \"velocity\"";
        return Err(BadInput::about("variant", "is \"shipped\", which is there for velocities only", fix));
    }
    Ok(())
}

stork!(
    Stork2,
    "stork-2",
    "STORK-2: Runge-Kutta-Gegenbauer steps on slopes extrapolated from past ones",
    "Tan et al. 2025; Skaras et al. 2021, eq. 12 to 15",
    |variant, _| Claim::Order(if variant == Variant::Shipped { 1.0 } else { 2.0 }),
    |_| Some(0.0),
    |stages: usize| match stages {
        2..=1000 => Ok(()),
        _ => Err(BadInput::new("stages", stages, "is not allowed", "give 2 to 1000")),
    },
    rkg2
);
stork!(
    Stork4,
    "stork-4",
    "STORK-4: ROCK4 steps on slopes extrapolated from past ones",
    "Tan et al. 2025; Abdulle 2002, eq. 3.2 and 3.5",
    |variant, warm_up| match (variant, warm_up) {
        (Variant::Shipped, _) => Claim::Floor,
        (_, WarmUp::Published) => Claim::Order(2.0),
        // The extrapolation is a parabola.
        (_, WarmUp::Exact) => Claim::Order(3.0),
    },
    |variant| (variant == Variant::Corrected).then_some(0.0),
    |stages: usize| match STAGES.contains(&stages) {
        true => Ok(()),
        false => Err(BadInput::new("stages", stages, "has no coefficients here", "give 5, 10, 20 or 50")),
    },
    |stages, variant, slope| {
        let table = STAGES.iter().position(|s| *s == stages).expect("checked when it was read");
        rock4(&ROCK4[table], variant, slope)
    }
);
