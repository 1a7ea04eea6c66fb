//! Multistep SDE-DPM-Solver++ (Lu et al. 2022b, sec. 5 and app. B; k-diffusion's `sample_dpmpp_2m_sde` and
//! `sample_dpmpp_3m_sde`; diffusers' `sde-dpmsolver++`).
//!
//! With `H = (1+eta) h`, the member `l = eta` of the family is, in `y = x/alpha`,
//! `y_s = e^{-H} y + (1+eta) int_0^h e^{-(1+eta)(h-u)} d(u) du + kappa_s sqrt(1 - e^{-2 eta h}) z`. A polynomial in `u`
//! through the last values of `d` gives phi-functions of `-H`. Without noise three values make order 3; with noise the
//! order is 2 for any number of them, because one noise a step does not tell how it acts within the step
//! (a term `h^3/12` in the variance at every step).
use super::dpmpp_2m::SolverType;
use super::k_ancestral::{self, check_noise, claimed, member};
use super::*;
use crate::error::BadInput;
use crate::math::phi;

/// The part of a step that all share.
struct Step {
    h: f64,
    /// `H = (1 + eta) h`.
    big_h: f64,
    keep: f64,
    gain: f64,
    sd: f64,
}

impl Step {
    fn new(t: &Level, s: &Level, eta: f64) -> Self {
        let h = s.lambda() - t.lambda();
        let big_h = (1.0 + eta) * h;
        Step {
            h,
            big_h,
            // e^{-eta h} as a power: 1 for eta = 0 even where h is infinite, at alpha = 0.
            keep: s.sigma / t.sigma * (-h).exp().powf(eta),
            gain: -s.alpha * (-big_h).exp_m1(),
            sd: s.sigma * (-(-2.0 * eta * h).exp_m1()).sqrt(),
        }
    }
}

/// SDE-DPM-Solver++(2M).
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpmPp2mSde {
    /// How the slope of `d` is weighted.
    pub solver_type: SolverType,
    /// `l` of the family: 0 is the probability flow, 1 the reverse SDE.
    pub eta: f64,
    /// Standard deviation of the noise added, in units of what is due.
    pub s_noise: f64,
    /// How the first step, which has no history, is taken.
    pub warm_up: WarmUp,
    /// Whether the last step is of first order, as libraries do for short runs.
    pub lower_order_final: bool,
}

/// How a multistep method starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarmUp {
    /// With a step of first order.
    #[default]
    Published,
    /// With a two-stage step halfway in `lambda`, on the same Brownian path.
    OneStep,
    /// Along the exact probability flow, which is known on Gaussian data; for methods without noise.
    Exact,
}

impl WarmUp {
    /// An exact start is the flow's, whatever else the method would solve.
    pub(crate) fn check(self, noise: f64) -> Result<()> {
        if self == WarmUp::Exact && noise > 0.0 {
            let why = "follows the probability flow, which this method does not solve";
            return Err(BadInput::new("warm_up", "exact", why, "give published, or turn the noise off"));
        }
        Ok(())
    }

    /// For methods of more than two values, which one two-stage step does not start.
    pub(crate) fn check_without_one_step(self, noise: f64) -> Result<()> {
        if self == WarmUp::OneStep {
            let why = "starts methods of two values only";
            return Err(BadInput::new("warm_up", "one-step", why, "give published or exact"));
        }
        self.check(noise)
    }
}

impl Default for DpmPp2mSde {
    fn default() -> Self {
        DpmPp2mSde {
            solver_type: SolverType::Midpoint,
            eta: 1.0,
            s_noise: 1.0,
            warm_up: WarmUp::Published,
            lower_order_final: false,
        }
    }
}

impl DpmPp2mSde {
    /// The weight of the first difference `h d'`.
    fn slope(&self, step: &Step, s: &Level) -> f64 {
        match self.solver_type {
            SolverType::Midpoint => 0.5 * step.gain,
            SolverType::Heun => s.alpha * step.big_h * phi(2, -step.big_h),
        }
    }

    /// The first step in two stages: `d` halfway in `lambda`, noises exact for constant `d` on each half.
    fn first<V: Space>(&self, cx: &mut Ctx<V>, x: &State<V>, d: &State<V>, t: &Level, s: &Level) -> State<V> {
        let m = Clock::Lambda.between(cx, t, s, 0.5);
        let (half, rest, step) =
            (Step::new(t, &m, self.eta), Step::new(&m, s, self.eta), Step::new(t, s, self.eta));
        let noisy = self.eta > 0.0;
        let z = noisy.then(|| cx.increment(x, t, &m));
        let y = (half.keep * x + half.gain * d).plus(self.s_noise * half.sd, z.as_ref()).eval();
        let d_m = cx.denoise(&y, &m);
        let z_rest = noisy.then(|| cx.increment(x, &m, s));
        (step.keep * x + step.gain * &d_m)
            .plus(self.s_noise * half.sd * rest.keep, z.as_ref())
            .plus(self.s_noise * rest.sd, z_rest.as_ref())
            .eval()
    }
}

impl Sample for DpmPp2mSde {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let mut last: Option<(f64, State<V>)> = None;
        for (i, pair) in grid.windows(2).enumerate() {
            let (t, s) = (&pair[0], &pair[1]);
            let step = Step::new(t, s, self.eta);
            let d = cx.denoise(&x, t);
            let low = s.sigma == 0.0 || (self.lower_order_final && i + 2 == grid.len());
            if i == 0 && self.warm_up == WarmUp::OneStep && !low && t.alpha > 0.0 {
                x = self.first(cx, &x, &d, t, s);
                last = Some((step.h, d));
                continue;
            }
            if i == 0 && self.warm_up == WarmUp::Exact && !low {
                x = cx.flow(&x, t, s);
                last = Some((step.h, d));
                continue;
            }
            let z = (self.eta > 0.0 && s.sigma > 0.0).then(|| cx.increment(&x, t, s));
            let mut mean = step.keep * &x + step.gain * &d;
            if let Some((h_last, d_last)) = last.as_ref().filter(|_| !low) {
                mean = mean + self.slope(&step, s) * step.h / h_last * (&d - d_last);
            }
            x = mean.plus(self.s_noise * step.sd, z.as_ref()).eval();
            last = Some((step.h, d));
        }
        x
    }
}

impl Solver for DpmPp2mSde {
    const NAME: &'static str = "dpmpp-2m-sde";
    const ABOUT: &'static str = "SDE-DPM-Solver++(2M); solver_type = midpoint | heun, eta = l of the family, warm_up, lower_order_final";
    const SOURCE: &'static str = "Lu et al. 2022b, sec. 5; k-diffusion 0.1.1, sample_dpmpp_2m_sde";

    fn claim(&self) -> Claim {
        claimed(2.0, self.eta, self.s_noise)
    }
    fn equation(&self) -> Option<f64> {
        member(self.eta, self.s_noise)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: false, sigma: false }
    }
    fn check(&self) -> Result<()> {
        check_noise(self.eta, self.s_noise)?;
        self.warm_up.check(self.eta)
    }
    fn strong(&self) -> Option<f64> {
        k_ancestral::strong(self.eta, self.s_noise)
    }
    fn calls(&self, steps: usize) -> usize {
        steps + self.extra(steps)
    }
    fn draws(&self, steps: usize) -> usize {
        if self.eta > 0.0 { steps + self.extra(steps) } else { 0 }
    }
    fn catalogue() -> Vec<Self> {
        let base = Self::default;
        vec![
            base(),
            DpmPp2mSde { solver_type: SolverType::Heun, ..base() },
            DpmPp2mSde { eta: 0.5, ..base() },
            DpmPp2mSde { eta: 0.0, ..base() },
            DpmPp2mSde { warm_up: WarmUp::OneStep, ..base() },
            DpmPp2mSde { lower_order_final: true, ..base() },
        ]
    }
}

impl DpmPp2mSde {
    /// Calls and draws more than one a step: a first step in two stages.
    fn extra(&self, steps: usize) -> usize {
        let low = self.lower_order_final && steps == 1;
        usize::from(self.warm_up == WarmUp::OneStep && steps > 0 && !low)
    }
}

/// SDE-DPM-Solver++(3M).
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpmPp3mSde {
    /// What multiplies the second difference.
    pub phi3: Phi3,
    /// `l` of the family: 0 is the probability flow, 1 the reverse SDE.
    pub eta: f64,
    /// Standard deviation of the noise added, in units of what is due.
    pub s_noise: f64,
    /// How the first two steps are taken: as published, by steps of order 1 and 2, or exact.
    pub warm_up: WarmUp,
    /// Whether the last steps are of order 2 and 1, as libraries do for short runs.
    pub lower_order_final: bool,
}

/// The weight of the second difference `h^2 d''/2`, of which the polynomial's is `2 H phi_3(-H)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phi3 {
    /// The polynomial's.
    #[default]
    Corrected,
    /// `H phi_3(-H)`, half of what is due: k-diffusion's `sample_dpmpp_3m_sde`. Order 2 even without noise.
    #[serde(alias = "shipped")]
    KDiffusion,
    /// `-phi_2(-H) - 1/2` for `1/2 - phi_2(-H)`, a sign turned, and a midpoint weight in the second step: diffusers'
    /// `sde-dpmsolver++` of order 3. Order 1 at best: with `a = alpha dd/dx/2` the step's recurrence has the roots of
    /// `r^2 + a (r - 1)`, and as noise falls `a` tends to 1/2 and a root to -1; uneven steps push it beyond.
    Diffusers,
}

impl Default for DpmPp3mSde {
    fn default() -> Self {
        DpmPp3mSde {
            phi3: Phi3::Corrected,
            eta: 1.0,
            s_noise: 1.0,
            warm_up: WarmUp::Published,
            lower_order_final: false,
        }
    }
}

impl DpmPp3mSde {
    /// Weights of the last two differences of `d`, newest first. `r` holds the lengths of the steps from the older
    /// values, newest first, in units of this one; they may be infinite.
    fn weights(&self, step: &Step, s: &Level, r: &[f64]) -> (f64, f64) {
        let h = step.big_h;
        let slope = s.alpha * h * phi(2, -h);
        match *r {
            [] => (0.0, 0.0),
            [r] if self.phi3 == Phi3::Diffusers => (0.5 * step.gain / r, 0.0),
            [r] => (slope / r, 0.0),
            [r0, r1, ..] => {
                let bend = s.alpha
                    * match self.phi3 {
                        Phi3::Corrected => 2.0 * h * phi(3, -h),
                        Phi3::KDiffusion => h * phi(3, -h),
                        Phi3::Diffusers => -phi(2, -h) - 0.5,
                    };
                let (w, v) = (r0 / (r0 + r1), bend / (r0 + r1));
                ((slope * (1.0 + w) + v) / r0, -(slope * w + v) / r1)
            }
        }
    }
}

impl Sample for DpmPp3mSde {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        // The last two values of d, newest last, and the lengths of the steps from them.
        let mut past: Vec<(f64, State<V>)> = Vec::new();
        for (i, pair) in grid.windows(2).enumerate() {
            let (t, s) = (&pair[0], &pair[1]);
            let step = Step::new(t, s, self.eta);
            let d = cx.denoise(&x, t);
            let z = (self.eta > 0.0 && s.sigma > 0.0).then(|| cx.increment(&x, t, s));
            let order = match grid.len() - 1 - i {
                _ if s.sigma == 0.0 => 1,
                left @ (1 | 2) if self.lower_order_final => left,
                _ => 3,
            };
            let r: Vec<f64> = past.iter().rev().take(order - 1).map(|(h, _)| h / step.h).collect();
            let (new, old) = self.weights(&step, s, &r);
            if past.len() < 2 && self.warm_up == WarmUp::Exact && s.sigma > 0.0 {
                x = cx.flow(&x, t, s);
                past.push((step.h, d));
                continue;
            }
            let mut mean = step.keep * &x + step.gain * &d;
            if let (1.., [.., (_, d_1)]) = (r.len(), past.as_slice()) {
                mean = mean + new * (&d - d_1);
            }
            if let (2.., [(_, d_2), (_, d_1)]) = (r.len(), past.as_slice()) {
                mean = mean + old * (d_1 - d_2);
            }
            x = mean.plus(self.s_noise * step.sd, z.as_ref()).eval();
            if past.len() == 2 {
                past.remove(0);
            }
            past.push((step.h, d));
        }
        x
    }
}

impl Solver for DpmPp3mSde {
    const NAME: &'static str = "dpmpp-3m-sde";
    const ABOUT: &'static str = "SDE-DPM-Solver++(3M); phi3 = corrected | k-diffusion | diffusers, eta = l of the family, lower_order_final";
    const SOURCE: &'static str =
        "k-diffusion 0.1.1, sample_dpmpp_3m_sde; diffusers 0.42.1, DPMSolverMultistepScheduler";

    fn claim(&self) -> Claim {
        let order = match self.phi3 {
            // (The first step of the published start leaves an error h^2 d'(t).)
            Phi3::Corrected if self.eta == 0.0 && self.warm_up == WarmUp::Exact => 3.0,
            Phi3::Corrected | Phi3::KDiffusion => 2.0,
            Phi3::Diffusers => 1.0,
        };
        claimed(order, self.eta, self.s_noise)
    }
    fn sold_as(&self) -> Option<f64> {
        sold(3, Solver::claim(self))
    }
    fn equation(&self) -> Option<f64> {
        member(self.eta, self.s_noise)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: false, sigma: false }
    }
    fn check(&self) -> Result<()> {
        check_noise(self.eta, self.s_noise)?;
        self.warm_up.check_without_one_step(self.eta)
    }
    fn strong(&self) -> Option<f64> {
        // With diffusers' weights x' = x - (w/2)(x - 2 x_1 + x_2) + ..., w = alpha^2 c/v: at low noise w tends to 1, a root
        // to -1, and the noise of all steps stays in an alternating mode.
        let amplified = self.phi3 == Phi3::Diffusers && self.eta > 0.0;
        if amplified { None } else { k_ancestral::strong(self.eta, self.s_noise) }
    }
    fn on_uneven_steps(&self) -> Claim {
        // Not stable: see `Phi3::Diffusers`.
        if self.phi3 == Phi3::Diffusers { Claim::Floor } else { Solver::claim(self) }
    }
    fn draws(&self, steps: usize) -> usize {
        if self.eta > 0.0 { steps } else { 0 }
    }
    fn catalogue() -> Vec<Self> {
        let with = |phi3, eta| DpmPp3mSde { phi3, eta, ..Self::default() };
        vec![
            Self::default(),
            with(Phi3::KDiffusion, 1.0),
            DpmPp3mSde { warm_up: WarmUp::Exact, ..with(Phi3::Corrected, 0.0) },
            with(Phi3::KDiffusion, 0.0),
            with(Phi3::Diffusers, 0.0),
        ]
    }
}
