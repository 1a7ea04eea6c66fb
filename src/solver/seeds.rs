//! SEEDS: stochastic exponential derivative-free solvers (Gonzalez et al. 2023, algorithms 1 to 4).
//!
//! The member `l` of the family (1 in the paper) has two exact solutions for what the model says held constant.
//! `form = "eps"` (the paper's, for VP): in `y = x/alpha`, `y_s = y + (1+l) int eps dkappa + sqrt(l) B(kappa_t^2 - kappa_s^2)`.
//! `form = "d"` (the paper's, for EDM): `y_s = e^{-(1+l)h} y + (1 - e^{-(1+l)h}) d + kappa_s sqrt(1 - e^{-2lh}) z`. The
//! stages are those of DPM-Solver-2 and -3, and their noises come from independent pieces of the step, carried on by
//! the linear part of the equation, so that every stage's noise is a part of the step's.
use super::exponential_runge_kutta::Form;
use super::k_ancestral::{claimed, member, strong};
use super::*;
use crate::error::BadInput;
use crate::math::phi;

/// The exact solution from one level to another, in either form.
#[derive(Clone, Copy)]
struct Flow {
    form: Form,
    l: f64,
}

impl Flow {
    fn model<V: Space>(self, cx: &mut Ctx<V>, x: &State<V>, at: &Level) -> State<V> {
        match self.form {
            Form::Eps => cx.eps(x, at),
            Form::D => cx.denoise(x, at),
        }
    }

    /// Factor of the state.
    fn keep(self, t: &Level, s: &Level) -> f64 {
        match self.form {
            Form::Eps => s.alpha / t.alpha,
            Form::D => s.sigma / t.sigma * (t.lambda() - s.lambda()).exp().powf(self.l),
        }
    }

    /// Weight of a constant output of the model.
    fn gain(self, t: &Level, s: &Level) -> f64 {
        let h = s.lambda() - t.lambda();
        match self.form {
            Form::Eps => -(1.0 + self.l) * s.alpha * (t.kappa() - s.kappa()),
            Form::D => -s.alpha * (-(1.0 + self.l) * h).exp_m1(),
        }
    }

    /// Weight of `theta`, the share of the step in `lambda`.
    fn slope(self, t: &Level, s: &Level) -> f64 {
        let h = s.lambda() - t.lambda();
        let big_h = (1.0 + self.l) * h;
        match self.form {
            Form::Eps => -s.sigma * big_h * phi(2, h),
            Form::D => s.alpha * big_h * phi(2, -big_h),
        }
    }

    /// Standard deviation of the noise.
    fn sd(self, t: &Level, s: &Level) -> f64 {
        match self.form {
            Form::Eps => s.alpha * (self.l * (t.kappa() - s.kappa()) * (t.kappa() + s.kappa())).sqrt(),
            Form::D => s.sigma * (-(-2.0 * self.l * (s.lambda() - t.lambda())).exp_m1()).sqrt(),
        }
    }
}

/// The noise gathered since the step began, as part of the state at the level reached.
struct Gathered<V> {
    noise: Option<State<V>>,
}

impl<V: Space> Gathered<V> {
    /// Carries it on from `t` to `s`, and adds what falls in between.
    fn carry(&mut self, flow: Flow, s_noise: f64, cx: &mut Ctx<V>, x: &State<V>, t: &Level, s: &Level) {
        if flow.l > 0.0 && t.kappa() > s.kappa() {
            let z = cx.increment(x, t, s);
            let sd = s_noise * flow.sd(t, s);
            self.noise = Some((sd * &z).plus(flow.keep(t, s), self.noise.as_ref()).eval());
        }
    }
}

macro_rules! seeds {
    ($type:ident { $($field:ident = $value:expr, $doc:literal;)* }, $stages:expr, $order:expr,
     $name:literal, $about:literal, $source:literal) => {
        #[doc = $about]
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $type {
            /// What is held constant: `eps` or `d`.
            pub form: Form,
            /// `l` of the family: 0 is the probability flow, 1 the reverse SDE.
            pub lambda: f64,
            /// Standard deviation of the noise added, in units of what is due.
            pub s_noise: f64,
            $(#[doc = $doc] pub $field: f64,)*
        }

        impl Default for $type {
            fn default() -> Self {
                $type { form: Form::Eps, lambda: 1.0, s_noise: 1.0, $($field: $value,)* }
            }
        }

        impl Sample for $type {
            fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
                let flow = Flow { form: self.form, l: self.lambda };
                for pair in grid.windows(2) {
                    let (t, s) = (&pair[0], &pair[1]);
                    // The middle levels stand at neither end of the noise axis.
                    x = if s.sigma == 0.0 || t.alpha == 0.0 {
                        first_order(cx, flow, self.s_noise, &x, t, s)
                    } else {
                        self.step(cx, flow, &x, t, s)
                    };
                }
                x
            }
        }

        impl Solver for $type {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const SOURCE: &'static str = $source;

            fn claim(&self) -> Claim {
                claimed($order(self), self.lambda, self.s_noise)
            }
            fn equation(&self) -> Option<f64> {
                member(self.lambda, self.s_noise)
            }
            fn needs(&self, _: &Schedule) -> Needs {
                Needs { time: false, alpha: self.form == Form::Eps, sigma: false }
            }
            fn check(&self) -> Result<()> {
                euler_maruyama::check_lambda(self.lambda)?;
                k_ancestral::check_noise(0.0, self.s_noise)?;
                let mut low = 0.0;
                for (key, r) in [$((stringify!($field), self.$field)),*] as [(&str, f64); $stages - 1] {
                    if !(r > low && r <= 1.0) {
                        return Err(BadInput::new(key, r, "is out of order", "give 0 < r_1 < r_2 <= 1"));
                    }
                    low = r;
                }
                Ok(())
            }
            fn strong(&self) -> Option<f64> {
                strong(self.lambda, self.s_noise)
            }
            fn calls(&self, steps: usize) -> usize {
                $stages * steps
            }
            fn draws(&self, steps: usize) -> usize {
                let ends_early = [$(self.$field),*].last().is_some_and(|r: &f64| *r == 1.0);
                let pieces = $stages - usize::from(ends_early);
                if self.lambda > 0.0 { pieces * steps } else { 0 }
            }
            fn catalogue() -> Vec<Self> {
                let with = |form, lambda| $type { form, lambda, ..Self::default() };
                vec![
                    Self::default(),
                    with(Form::D, 1.0),
                    with(Form::Eps, 0.5),
                    with(Form::Eps, 0.0),
                    with(Form::D, 0.0),
                ]
            }
        }
    };
}

/// A step with the model's output held constant.
fn first_order<V: Space>(
    cx: &mut Ctx<V>,
    flow: Flow,
    s_noise: f64,
    x: &State<V>,
    t: &Level,
    s: &Level,
) -> State<V> {
    let f = flow.model(cx, x, t);
    let z = (flow.l > 0.0).then(|| cx.increment(x, t, s));
    (flow.keep(t, s) * x + flow.gain(t, s) * &f).plus(s_noise * flow.sd(t, s), z.as_ref()).eval()
}

seeds!(
    Seeds1 {},
    1,
    |_: &Seeds1| 1.0,
    "seeds-1",
    "SEEDS-1: the model's output (form = eps | d) constant over a step; on the family l = lambda",
    "Gonzalez et al. 2023, algorithm 1"
);
seeds!(
    Seeds2 { r = 0.5, "Where the second stage stands, as a share of the step in `lambda`."; },
    2,
    |_: &Seeds2| 2.0,
    "seeds-2",
    "SEEDS-2: two stages (form = eps | d, r), each with its part of the step's noise; on the family l = lambda",
    "Gonzalez et al. 2023, algorithm 3"
);
seeds!(
    Seeds3 {
        r_1 = 1.0 / 3.0, "Where the second stage stands, as a share of the step in `lambda`.";
        r_2 = 2.0 / 3.0, "Where the third stage stands.";
    },
    3,
    |s: &Seeds3| if s.lambda > 0.0 { 2.0 } else { 3.0 },
    "seeds-3",
    "SEEDS-3: three stages (form = eps | d, r_1, r_2), each with its part of the noise; on the family l = lambda",
    "Gonzalez et al. 2023, algorithm 4"
);

impl Seeds1 {
    fn step<V: Space>(&self, cx: &mut Ctx<V>, flow: Flow, x: &State<V>, t: &Level, s: &Level) -> State<V> {
        first_order(cx, flow, self.s_noise, x, t, s)
    }
}

impl Seeds2 {
    fn step<V: Space>(&self, cx: &mut Ctx<V>, flow: Flow, x: &State<V>, t: &Level, s: &Level) -> State<V> {
        let m = Clock::Lambda.between(cx, t, s, self.r);
        let mut gathered = Gathered { noise: None };
        let f = flow.model(cx, x, t);
        gathered.carry(flow, self.s_noise, cx, x, t, &m);
        let y = (flow.keep(t, &m) * x + flow.gain(t, &m) * &f).plus(1.0, gathered.noise.as_ref()).eval();
        let f_m = flow.model(cx, &y, &m);
        gathered.carry(flow, self.s_noise, cx, x, &m, s);
        // 1/(2r) of the difference: the paper's form, which needs no phi_2.
        let mean = flow.keep(t, s) * x + flow.gain(t, s) * (&f + 0.5 / self.r * (&f_m - &f));
        mean.plus(1.0, gathered.noise.as_ref()).eval()
    }
}

impl Seeds3 {
    fn step<V: Space>(&self, cx: &mut Ctx<V>, flow: Flow, x: &State<V>, t: &Level, s: &Level) -> State<V> {
        let [m_1, m_2] = [self.r_1, self.r_2].map(|r| Clock::Lambda.between(cx, t, s, r));
        let mut gathered = Gathered { noise: None };
        let f = flow.model(cx, x, t);
        gathered.carry(flow, self.s_noise, cx, x, t, &m_1);
        let y = (flow.keep(t, &m_1) * x + flow.gain(t, &m_1) * &f).plus(1.0, gathered.noise.as_ref()).eval();
        let f_1 = flow.model(cx, &y, &m_1);
        gathered.carry(flow, self.s_noise, cx, x, &m_1, &m_2);
        let slope = self.r_2 / self.r_1 * flow.slope(t, &m_2);
        let y = (flow.keep(t, &m_2) * x + flow.gain(t, &m_2) * &f + slope * (&f_1 - &f))
            .plus(1.0, gathered.noise.as_ref())
            .eval();
        let f_2 = flow.model(cx, &y, &m_2);
        gathered.carry(flow, self.s_noise, cx, x, &m_2, s);
        let mean = flow.keep(t, s) * x + flow.gain(t, s) * &f + flow.slope(t, s) / self.r_2 * (&f_2 - &f);
        mean.plus(1.0, gathered.noise.as_ref()).eval()
    }
}
