//! k-diffusion's ancestral samplers: go down past the next level along the probability flow, then add fresh noise to
//! reach it (`sample_euler_ancestral`, `sample_dpm_2_ancestral`, `sample_dpmpp_2s_ancestral`, k-diffusion 0.1.1).
//!
//! In `x/alpha` and `kappa = sigma/alpha`, from `t` to `s`: `up = min(kappa_s, eta kappa_s sqrt(1 - kappa_s^2/kappa_t^2))`,
//! `down = sqrt(kappa_s^2 - up^2)`. Flow and added noise both keep the marginals, so the law's order is that of the flow's
//! method; as a solution of member `l = eta^2` of the family the splitting itself is of first order.
use super::*;
use crate::error::BadInput;

/// The ancestral split of a step, for a state `x` (not `x/alpha`), with `d` held constant: `keep x + gain d + sd z`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Split {
    /// `down/kappa_t`.
    pub ratio: f64,
    /// Factor of the state.
    pub keep: f64,
    /// Factor of `d`.
    pub gain: f64,
    /// Standard deviation of the noise.
    pub sd: f64,
}

impl Split {
    /// From `t` to `s`. Legal from `alpha_t = 0` and to `sigma_s = 0`.
    pub(crate) fn new(t: &Level, s: &Level, eta: f64) -> Self {
        let q = s.kappa() / t.kappa();
        // down/kappa_s and up/kappa_s; the former without cancellation for every eta <= 1.
        let down = (1.0 - eta * eta + (eta * q).powi(2)).max(0.0).sqrt();
        let up = (eta * ((1.0 - q) * (1.0 + q)).sqrt()).min(1.0);
        let keep = s.sigma / t.sigma * down;
        Split { ratio: q * down, keep, gain: s.alpha * (1.0 - q * down), sd: s.sigma * up }
    }
}

/// Share and size of the noise, which all ancestral samplers have.
pub(crate) fn check_noise(eta: f64, s_noise: f64) -> Result<()> {
    for (key, x) in [("eta", eta), ("s_noise", s_noise)] {
        if !(x.is_finite() && x >= 0.0) {
            return Err(BadInput::new(
                key,
                x,
                "is not a finite number of at least 0",
                "give 0, 1 or between",
            ));
        }
    }
    Ok(())
}

/// Noise of a falsified size leaves a floor; without noise its size is of no matter.
pub(crate) fn claimed(order: f64, eta: f64, s_noise: f64) -> Claim {
    if eta > 0.0 && s_noise != 1.0 { Claim::Floor } else { Claim::Order(order) }
}

/// The member of the family that a share `l` of properly sized noise belongs to.
pub(crate) fn member(l: f64, s_noise: f64) -> Option<f64> {
    if l > 0.0 && s_noise != 1.0 { None } else { Some(l) }
}

macro_rules! ancestral {
    ($type:ident, $order:expr, $calls:expr, $alpha:expr, $name:literal, $about:literal, $source:literal) => {
        #[doc = $about]
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $type {
            /// Share of the noise: 0 is the probability flow, 1 as much noise as the reverse SDE adds.
            pub eta: f64,
            /// Standard deviation of the noise added, in units of what is due.
            pub s_noise: f64,
        }

        impl Default for $type {
            fn default() -> Self {
                $type { eta: 1.0, s_noise: 1.0 }
            }
        }

        impl Sample for $type {
            fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
                for pair in grid.windows(2) {
                    let (t, s) = (&pair[0], &pair[1]);
                    let split = Split::new(t, s, self.eta);
                    let flow = Self::flow(cx, &x, t, s, &split);
                    // No noise is drawn on the way to sigma = 0, where none is due.
                    let z = (self.eta > 0.0 && s.sigma > 0.0).then(|| cx.increment(&x, t, s));
                    x = (1.0 * &flow).plus(self.s_noise * split.sd, z.as_ref()).eval();
                }
                x
            }
        }

        impl Solver for $type {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const SOURCE: &'static str = $source;

            fn claim(&self) -> Claim {
                claimed($order, self.eta, self.s_noise)
            }
            fn equation(&self) -> Option<f64> {
                member(self.eta * self.eta, self.s_noise)
            }
            fn needs(&self, _: &Schedule) -> Needs {
                Needs { time: false, alpha: $alpha, sigma: false }
            }
            fn check(&self) -> Result<()> {
                check_noise(self.eta, self.s_noise)
            }
            fn strong(&self) -> Option<f64> {
                member(1.0, self.s_noise)
            }
            fn calls(&self, steps: usize) -> usize {
                $calls * steps
            }
            fn draws(&self, steps: usize) -> usize {
                if self.eta > 0.0 { steps } else { 0 }
            }
            fn catalogue() -> Vec<Self> {
                [1.0, 0.5, 0.0].map(|eta| $type { eta, ..Self::default() }).into()
            }
        }
    };
}

ancestral!(
    EulerAncestral,
    1.0,
    1,
    false,
    "euler-ancestral",
    "k-diffusion's Euler ancestral: Euler in x/alpha and kappa to a lower level, then noise (eta, s_noise)",
    "k-diffusion 0.1.1, sample_euler_ancestral"
);
ancestral!(
    Dpm2Ancestral,
    2.0,
    2,
    true,
    "dpm2-ancestral",
    "k-diffusion's DPM2 ancestral: a midpoint step in eps to a lower level, then noise (eta, s_noise)",
    "k-diffusion 0.1.1, sample_dpm_2_ancestral"
);
ancestral!(
    DpmPp2sAncestral,
    2.0,
    2,
    false,
    "dpmpp-2s-ancestral",
    "k-diffusion's DPM++ 2S ancestral: a DPM-Solver++(2S) step to a lower level, then noise (eta, s_noise)",
    "k-diffusion 0.1.1, sample_dpmpp_2s_ancestral; Lu et al. 2022b, algorithm 1"
);

impl EulerAncestral {
    fn flow<V: Space>(cx: &mut Ctx<V>, x: &State<V>, t: &Level, _: &Level, split: &Split) -> State<V> {
        let d = cx.denoise(x, t);
        (split.keep * x + split.gain * &d).eval()
    }
}

impl Dpm2Ancestral {
    fn flow<V: Space>(cx: &mut Ctx<V>, x: &State<V>, t: &Level, s: &Level, split: &Split) -> State<V> {
        let (k, eps) = (t.kappa(), cx.eps(x, t));
        let down = k * split.ratio;
        // eps is 0/0 at sigma = 0: such a step is Euler's.
        let eps = if down == 0.0 {
            eps
        } else {
            let mid = cx.at_kappa((k * down).sqrt());
            let y = (mid.alpha / t.alpha * x + mid.alpha * (mid.kappa() - k) * &eps).eval();
            cx.eps(&y, &mid)
        };
        (s.alpha / t.alpha * x + s.alpha * (down - k) * &eps).eval()
    }
}

impl DpmPp2sAncestral {
    fn flow<V: Space>(cx: &mut Ctx<V>, x: &State<V>, t: &Level, _: &Level, split: &Split) -> State<V> {
        let mut d = cx.denoise(x, t);
        // The middle in lambda; its distance in terms of the ratio of kappas, which is known from alpha = 0 too.
        let half = split.ratio.sqrt();
        if half > 0.0 {
            let mid = cx.at_kappa(t.kappa() * half);
            let y = (mid.sigma / t.sigma * x + mid.alpha * (1.0 - half) * &d).eval();
            d = cx.denoise(&y, &mid);
        }
        (split.keep * x + split.gain * &d).eval()
    }
}
