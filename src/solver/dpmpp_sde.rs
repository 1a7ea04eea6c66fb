//! Two-stage stochastic DPM-Solver++: k-diffusion's `sample_dpmpp_sde`, and diffusers' single-step
//! `sde-dpmsolver++` of order 2.
//!
//! Both take an ancestral step (see [`super::k_ancestral`]) to a middle level, then one over the whole step with
//! `(1 - 1/(2r)) d + d_mid/(2r)` for `d`. What makes them second order is that the noise of the stage is part of the
//! noise of the step, with covariance `r h`: with independent noises they are of first order.
use super::k_ancestral::{self, Split, check_noise, claimed, member};
use super::*;
use crate::error::BadInput;

/// k-diffusion's DPM++ SDE. The middle level is `lambda_t + r h`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpmPpSde {
    /// Share of the noise: 0 is `dpmpp-2s`, 1 the reverse SDE.
    pub eta: f64,
    /// Standard deviation of the noise added, in units of what is due.
    pub s_noise: f64,
    /// Where in the step, as a share of its length in `lambda`, the second stage stands.
    pub r: f64,
    /// How the noises of the two stages hang together.
    pub noise: StageNoise,
}

/// How the noise of a stage inside a step belongs to the noise of the step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageNoise {
    /// Increments of the Brownian motion in `kappa^2` that drives the reverse SDE, over both parts of the step.
    #[default]
    Brownian,
    /// Increments of a Brownian motion in `kappa` itself, as k-diffusion's and diffusers' trees are: the same weak
    /// order, another law.
    BrownianInKappa,
    /// Independent noises for stage and step.
    Independent,
}

impl StageNoise {
    /// Normalised noises of the stage at `m` and of the whole step from `t` to `s`.
    fn draw<V: Space>(
        self,
        cx: &mut Ctx<V>,
        x: &State<V>,
        t: &Level,
        m: &Level,
        s: &Level,
    ) -> (State<V>, State<V>) {
        let (k, k_m, k_s) = (t.kappa(), m.kappa(), s.kappa());
        // Share of the step's variance that falls into the stage's part of it.
        let share = match self {
            StageNoise::Independent => return (cx.fresh(x), cx.increment(x, t, s)),
            StageNoise::Brownian => (k - k_m) * (k + k_m) / ((k - k_s) * (k + k_s)),
            StageNoise::BrownianInKappa => (k - k_m) / (k - k_s),
        };
        let stage = cx.increment(x, t, m);
        let whole = if m.kappa() > s.kappa() {
            let rest = cx.increment(x, m, s);
            (share.sqrt() * &stage + (1.0 - share).sqrt() * &rest).eval()
        } else {
            (1.0 * &stage).eval()
        };
        (stage, whole)
    }
}

impl Default for DpmPpSde {
    fn default() -> Self {
        DpmPpSde { eta: 1.0, s_noise: 1.0, r: 0.5, noise: StageNoise::Brownian }
    }
}

/// The step over `t`, `m`, `s`, the middle one a share `r` of the way in `lambda`.
#[derive(Clone, Copy)]
struct TwoStage {
    eta: f64,
    s_noise: f64,
    noise: StageNoise,
    r: f64,
}

impl TwoStage {
    fn step<V: Space>(&self, cx: &mut Ctx<V>, x: &State<V>, t: &Level, m: &Level, s: &Level) -> State<V> {
        let d = cx.denoise(x, t);
        let (stage, whole) = (Split::new(t, m, self.eta), Split::new(t, s, self.eta));
        let z = (self.eta > 0.0).then(|| self.noise.draw(cx, x, t, m, s));
        let y =
            (stage.keep * x + stage.gain * &d).plus(self.s_noise * stage.sd, z.as_ref().map(|z| &z.0)).eval();
        let d_m = cx.denoise(&y, m);
        let share = 1.0 / (2.0 * self.r);
        let mean = whole.keep * x + whole.gain * ((1.0 - share) * &d + share * &d_m);
        mean.plus(self.s_noise * whole.sd, z.as_ref().map(|z| &z.1)).eval()
    }

    /// With `d` held constant: `d` itself at `sigma = 0`; from `alpha = 0`, where every middle level is still at
    /// infinite noise and `d` the same there.
    fn first_order<V: Space>(&self, cx: &mut Ctx<V>, x: &State<V>, t: &Level, s: &Level) -> State<V> {
        let d = cx.denoise(x, t);
        let split = Split::new(t, s, self.eta);
        let z = (self.eta > 0.0 && s.sigma > 0.0).then(|| cx.increment(x, t, s));
        (split.keep * x + split.gain * &d).plus(self.s_noise * split.sd, z.as_ref()).eval()
    }
}

impl Sample for DpmPpSde {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let method = TwoStage { eta: self.eta, s_noise: self.s_noise, noise: self.noise, r: self.r };
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            x = if s.sigma == 0.0 || t.alpha == 0.0 {
                method.first_order(cx, &x, t, s)
            } else {
                let m = Clock::Lambda.between(cx, t, s, self.r);
                method.step(cx, &x, t, &m, s)
            };
        }
        x
    }
}

impl Solver for DpmPpSde {
    const NAME: &'static str = "dpmpp-sde";
    const ABOUT: &'static str = "k-diffusion's DPM++ SDE, two stages (eta, s_noise, r); noise = brownian | brownian-in-kappa | independent";
    const SOURCE: &'static str =
        "k-diffusion 0.1.1, sample_dpmpp_sde; Lu et al. 2022b, algorithm 1 and eq. 17";

    fn claim(&self) -> Claim {
        let order = if self.noise == StageNoise::Independent && self.eta > 0.0 { 1.0 } else { 2.0 };
        claimed(order, self.eta, self.s_noise)
    }
    fn sold_as(&self) -> Option<f64> {
        sold(2, Solver::claim(self))
    }
    fn equation(&self) -> Option<f64> {
        member(self.eta * self.eta, self.s_noise)
    }
    fn on_gaussian_data(&self) -> Claim {
        // d is affine, and the covariance of the stage in the middle makes up for what one noise a step leaves out.
        let middle = self.r == 0.5 && self.eta == 1.0 && self.noise == StageNoise::Brownian;
        if middle { claimed(3.0, self.eta, self.s_noise) } else { Solver::claim(self) }
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: false, sigma: false }
    }
    fn check(&self) -> Result<()> {
        check_noise(self.eta, self.s_noise)?;
        if self.r > 0.0 && self.r <= 1.0 {
            return Ok(());
        }
        Err(BadInput::new(
            "r",
            self.r,
            "is outside (0, 1]",
            "give 0.5, the middle in lambda, or another share",
        ))
    }
    fn strong(&self) -> Option<f64> {
        k_ancestral::strong(self.eta, self.s_noise)
    }
    fn calls(&self, steps: usize) -> usize {
        2 * steps
    }
    fn draws(&self, steps: usize) -> usize {
        match self.noise {
            _ if self.eta == 0.0 => 0,
            StageNoise::Independent => 2 * steps,
            _ if self.r == 1.0 => steps,
            _ => 2 * steps,
        }
    }
    fn catalogue() -> Vec<Self> {
        let default = Self::default();
        let with = |noise| DpmPpSde { noise, ..default };
        let eta = |eta| DpmPpSde { eta, ..default };
        let r = |r| DpmPpSde { r, ..default };
        vec![
            default.clone(),
            with(StageNoise::BrownianInKappa),
            with(StageNoise::Independent),
            eta(0.5),
            eta(0.0),
            r(1.0 / 3.0),
            r(1.0),
        ]
    }
}

/// diffusers' `DPMSolverSinglestepScheduler` with `algorithm_type = "sde-dpmsolver++"`, order 2: two steps of the grid
/// are one step of the method, whose stage stands on the level in between.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpmPp2sSde {
    /// How the noises of the two stages hang together; `independent` is what diffusers does.
    pub noise: StageNoise,
    /// Whether the last step of the grid (with an even number, the last two) is of first order, as diffusers has it on
    /// grids that end at `sigma = 0`. Without, an odd step at the end is all the same.
    pub lower_order_final: bool,
}

impl Default for DpmPp2sSde {
    fn default() -> Self {
        DpmPp2sSde { noise: StageNoise::Brownian, lower_order_final: false }
    }
}

impl Sample for DpmPp2sSde {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let (mut i, steps) = (0, grid.len() - 1);
        while i < steps {
            let (t, next) = (&grid[i], &grid[i + 1]);
            let mut method = TwoStage { eta: 1.0, s_noise: 1.0, noise: self.noise, r: 0.5 };
            let pair = i + 2 <= steps && !(self.lower_order_final && i + 2 == steps);
            if pair && grid[i + 2].sigma > 0.0 && t.alpha > 0.0 {
                let s = &grid[i + 2];
                method.r = Clock::Lambda.length(t, next) / Clock::Lambda.length(t, s);
                x = method.step(cx, &x, t, next, s);
                i += 2;
            } else {
                x = method.first_order(cx, &x, t, next);
                i += 1;
            }
        }
        x
    }
}

impl Solver for DpmPp2sSde {
    const NAME: &'static str = "dpmpp-2s-sde";
    const ABOUT: &'static str = "single-step SDE-DPM-Solver++ of order 2 over pairs of steps; noise = independent is what diffusers ships";
    const SOURCE: &'static str =
        "diffusers 0.42.1, DPMSolverSinglestepScheduler; Lu et al. 2022b, algorithm 1";

    fn claim(&self) -> Claim {
        Claim::Order(if self.noise == StageNoise::Independent { 1.0 } else { 2.0 })
    }
    fn sold_as(&self) -> Option<f64> {
        sold(2, Solver::claim(self))
    }
    fn equation(&self) -> Option<f64> {
        Some(1.0)
    }
    fn on_gaussian_data(&self) -> Claim {
        // As `dpmpp-sde`, where stages stand in the middle and all steps (an even number) are of second order.
        let middle = self.noise == StageNoise::Brownian && !self.lower_order_final;
        if middle { Claim::Order(3.0) } else { Solver::claim(self) }
    }
    fn on_uneven_steps(&self) -> Claim {
        Solver::claim(self)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: false, sigma: false }
    }
    fn strong(&self) -> Option<f64> {
        Some(1.0)
    }
    fn catalogue() -> Vec<Self> {
        let default = Self::default();
        let independent = DpmPp2sSde { noise: StageNoise::Independent, ..default };
        vec![default, independent]
    }
}
