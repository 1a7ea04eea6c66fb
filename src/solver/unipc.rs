//! UniP and UniPC, the unified predictor-corrector framework (Zhao et al. 2023).
use super::multistep::{Form, History, WarmUp, check_order};
use super::*;
use crate::math::phi;

/// The function `B(h)` of the framework.
///
/// `B` cancels out of the equations `R rho = b` (eq. 8), so that these are one method: the interpolation polynomial's exact
/// integral, which is `vary-coeff`. They differ where the library sets `rho = 1/2` instead of solving: in the predictor
/// of order 2 and the corrector of order 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// `B = h`.
    Bh1,
    /// `B = e^h - 1`.
    #[default]
    Bh2,
    /// No `B`: all coefficients solved for (app. C).
    VaryCoeff,
}

impl Variant {
    /// The share of a single difference: `B/2` against `h phi_1`, or the exact `phi_2`.
    fn single(self, form: Form, h: f64) -> f64 {
        match self {
            Variant::Bh1 => 0.5 / phi(1, form.z(h)),
            Variant::Bh2 => 0.5,
            Variant::VaryCoeff => form.share(2, h),
        }
    }

    /// UniP (algorithm 2 of the paper): shares of the values at `levels`, newest first, in the step to `s`.
    fn predictor(self, form: Form, levels: &[Level], s: &Level) -> Vec<f64> {
        match levels {
            [t, last] => {
                let h = s.lambda() - t.lambda();
                let slope = self.single(form, h) * h / (t.lambda() - last.lambda());
                vec![1.0 + slope, -slope]
            }
            _ => form.polynomial(&levels[0], s, levels),
        }
    }

    /// UniC (algorithm 1): the same with the value at `s` before all others.
    fn corrector(self, form: Form, levels: &[Level], s: &Level) -> Vec<f64> {
        match levels {
            [t] => {
                let rho = self.single(form, s.lambda() - t.lambda());
                vec![rho, 1.0 - rho]
            }
            _ => form.polynomial(&levels[0], s, &[&[*s], levels].concat()),
        }
    }
}

/// What the two methods share.
struct Method {
    order: usize,
    variant: Variant,
    form: Form,
    lower_order_final: bool,
    warm_up: WarmUp,
}

impl Method {
    /// The run, with a corrector after the steps that `correct` names.
    fn run<V: Space>(
        &self,
        cx: &mut Ctx<V>,
        grid: &[Level],
        mut x: State<V>,
        correct: impl Fn(usize) -> bool,
    ) -> State<V> {
        let Method { order, variant, form, .. } = *self;
        let mut past = History::new(order);
        // The state that the last step started from, and the order of its predictor, if it was one.
        let mut last: Option<(State<V>, usize)> = None;
        for (i, pair) in grid.windows(2).enumerate() {
            let (t, s) = (&pair[0], &pair[1]);
            let m = form.native(cx, &x, t);
            if let Some((before, order)) = last.filter(|_| correct(i - 1)) {
                // The call made at the predicted state serves the corrector and the history: none is made again.
                let a = variant.corrector(form, &past.levels[..order], t);
                let terms = a.into_iter().zip(std::iter::once(&m).chain(&past.values));
                x = form.step(&before, (&past.levels[0], t), terms);
            }
            past.push(t, m);
            let (next, predicted) = match form.warm_up(self.warm_up, cx, &past, &x, s) {
                Some(next) => (next, None),
                None => {
                    let left = grid.len() - 1 - i;
                    let order = if s.sigma == 0.0 { 1 } else { past.order(self.lower_order_final, left) };
                    let a = variant.predictor(form, &past.levels[..order], s);
                    // A step from infinite noise has no end that a polynomial in lambda could be drawn to.
                    let finite = t.alpha > 0.0;
                    (form.step(&x, (t, s), a.into_iter().zip(&past.values)), finite.then_some(order))
                }
            };
            let before = std::mem::replace(&mut x, next);
            last = predicted.map(|order| (before, order));
        }
        x
    }
}

/// UniP: exponential multistep predictors of any order, without a corrector.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UniP {
    /// Number of values, 1 to 4.
    pub order: usize,
    /// What is done at order 2.
    pub variant: Variant,
    /// What is interpolated.
    pub form: Form,
    /// Whether the order falls to 1 with the number of steps left.
    pub lower_order_final: bool,
    /// How the first `order - 1` steps are made.
    pub warm_up: WarmUp,
}

impl Default for UniP {
    fn default() -> Self {
        let UniPc { order, variant, form, lower_order_final, warm_up, .. } = UniPc::default();
        UniP { order, variant, form, lower_order_final, warm_up }
    }
}

impl Sample for UniP {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
        let UniP { order, variant, form, lower_order_final, warm_up } = *self;
        Method { order, variant, form, lower_order_final, warm_up }.run(cx, grid, x, |_| false)
    }
}

impl Solver for UniP {
    const NAME: &'static str = "unip";
    const ABOUT: &'static str =
        "UniP: UniPC without its corrector; order = 1..4, variant = bh1 | bh2 | vary-coeff, form = d | eps";
    const SOURCE: &'static str = "Zhao et al. 2023, algorithm 2; diffusers 0.42.1";

    fn claim(&self) -> Claim {
        let order = self.warm_up.order(self.order, 2);
        Claim::Order(if self.lower_order_final { order.min(2) } else { order } as f64)
    }
    fn sold_as(&self) -> Option<f64> {
        sold(self.order, Solver::claim(self))
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        self.form.needs_from(self.warm_up, self.order)
    }
    fn check(&self) -> Result<()> {
        check_order(self.order, 4)
    }
    fn calls(&self, steps: usize) -> usize {
        self.warm_up.calls(self.order, steps)
    }
    fn catalogue() -> Vec<Self> {
        let default = Self::default;
        let one_step = |order| UniP { order, warm_up: WarmUp::OneStep, ..default() };
        vec![
            default(),
            UniP { variant: Variant::Bh1, ..default() },
            UniP { variant: Variant::VaryCoeff, ..default() },
            UniP { order: 3, ..default() },
            one_step(3),
            one_step(4),
            UniP { form: Form::Eps, ..one_step(3) },
            UniP { lower_order_final: true, ..one_step(3) },
        ]
    }
}

/// UniPC: UniP, corrected by UniC with the model call that the next step makes anyway: order `p + 1` at one call a step.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UniPc {
    /// The predictor's order `p`, 1 to 4.
    pub order: usize,
    /// What is done at order 2, and in the first corrector.
    pub variant: Variant,
    /// What is interpolated: `d` (the library's `predict_x0`), or `eps`.
    pub form: Form,
    /// Whether the order falls to 1 with the number of steps left, as libraries do.
    pub lower_order_final: bool,
    /// Steps, from 0, that are not corrected. The last one never is.
    pub disable_corrector: Vec<usize>,
    /// How the first `order - 1` steps are made; what is not published is not corrected either.
    pub warm_up: WarmUp,
}

impl Default for UniPc {
    fn default() -> Self {
        UniPc {
            order: 2,
            variant: Variant::Bh2,
            form: Form::D,
            lower_order_final: false,
            disable_corrector: Vec::new(),
            warm_up: WarmUp::Published,
        }
    }
}

impl Sample for UniPc {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
        let UniPc { order, variant, form, lower_order_final, warm_up, .. } = *self;
        let method = Method { order, variant, form, lower_order_final, warm_up };
        method.run(cx, grid, x, |step| !self.disable_corrector.contains(&step))
    }
}

impl Solver for UniPc {
    const NAME: &'static str = "unipc";
    const ABOUT: &'static str = "UniPC: order p + 1 for p = 1..4 where it starts well; variant = bh1 | bh2 | vary-coeff, form = d | eps";
    const SOURCE: &'static str = "Zhao et al. 2023, algorithms 1 and 2; diffusers 0.42.1";

    fn claim(&self) -> Claim {
        // The first published step is corrected: one order better than that of the other multistep methods.
        let order =
            self.warm_up.order(self.order + 1, if self.disable_corrector.contains(&0) { 2 } else { 3 });
        Claim::Order(if self.lower_order_final { order.min(2) } else { order } as f64)
    }
    fn sold_as(&self) -> Option<f64> {
        sold(self.order + 1, Solver::claim(self))
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        self.form.needs_from(self.warm_up, self.order)
    }
    fn check(&self) -> Result<()> {
        check_order(self.order, 4)
    }
    fn calls(&self, steps: usize) -> usize {
        self.warm_up.calls(self.order, steps)
    }
    fn catalogue() -> Vec<Self> {
        let default = Self::default;
        let one_step = |order| UniPc { order, warm_up: WarmUp::OneStep, ..default() };
        vec![
            default(),
            UniPc { variant: Variant::Bh1, ..default() },
            UniPc { variant: Variant::VaryCoeff, ..default() },
            UniPc { form: Form::Eps, ..default() },
            UniPc { lower_order_final: true, ..default() },
            UniPc { disable_corrector: vec![0], ..default() },
            UniPc { order: 1, ..default() },
            UniPc { order: 3, ..default() },
            one_step(2),
            one_step(3),
            one_step(4),
            UniPc { form: Form::Eps, ..one_step(3) },
            UniPc { warm_up: WarmUp::Exact, ..one_step(4) },
        ]
    }
}
