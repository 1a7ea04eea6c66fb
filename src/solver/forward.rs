//! The forward chains that the diffusion SDEs are limits of; they run on grids that rise in noise.
//!
//! With `N` steps per unit of time, `i = N t`: DDPM's chain tends to the VP-SDE and SMLD's to the VE-SDE
//! (Song et al. 2021, app. B and sec. 3.4).
use super::*;
use crate::schedule::Family;

/// `x_i = sqrt(1 - b_i) x_{i-1} + sqrt(b_i) z` (Ho et al. 2020, eq. 2; Song et al. 2021, eq. 22).
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DdpmChain {
    /// Where the `b_i` come from.
    pub table: Table,
}

/// The variances of a DDPM chain with `N` steps per unit of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Table {
    /// `b_i = beta(i/N)/N`, the step from which the SDE is derived (Song et al. 2021, eq. 23).
    #[default]
    Sampled,
    /// `b_i = beta_min/N + (i-1)/(N(N-1)) (beta_max - beta_min)`, the table in use (ibid., app. C, after eq. 33);
    /// with `N = 1000`, `beta_min = 0.1` and `beta_max = 20` it is Ho et al.'s 1e-4 .. 0.02.
    Published,
}

impl Sample for DdpmChain {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let (from, to) = (&pair[0], &pair[1]);
            let h = to.t - from.t;
            let b = match self.table {
                Table::Sampled => h * to.g2,
                // i/N = to.t and 1/N = h, so (i-1)/(N-1) = (to.t - h)/(1 - h).
                Table::Published => h * cx.at((to.t - h) / (1.0 - h)).g2,
            };
            if !(0.0..=1.0).contains(&b) {
                cx.refuse(format!("b = {b:.3} at t = {:?} is no variance share: use more steps", to.t));
            }
            let z = cx.increment(&x, from, to);
            x = ((1.0 - b).max(0.0).sqrt() * &x + b.max(0.0).sqrt() * &z).eval();
        }
        x
    }
}

/// `x_i = x_{i-1} + sqrt(sigma_i^2 - sigma_{i-1}^2) z` (Song et al. 2021, eq. 19).
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmldChain {
    /// Which scale the chain has after step `i`.
    pub scales: Scales,
}

/// The noise scales of an SMLD chain with `N` steps per unit of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scales {
    /// `sigma_i = sigma_min (sigma_max/sigma_min)^{(i-1)/(N-1)}`, the geometric table of `N` scales in use, starting
    /// at `sigma_1 = sigma_min` (Song et al. 2021, app. C, before eq. 30).
    #[default]
    Published,
    /// `sigma_i = sigma(i/N)`: the SDE's own scale at the chain's times.
    Sampled,
}

impl Sample for SmldChain {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        // The scale of the chain at time t; it starts at the scale of the first level (the data, seen through sigma_min).
        let start = grid[0];
        let scale = |cx: &Ctx<V>, level: &Level, h: f64| match self.scales {
            Scales::Sampled => level.sigma,
            Scales::Published => cx.at(((level.t - h) / (1.0 - h)).max(start.t)).sigma,
        };
        let mut before = start.sigma;
        for pair in grid.windows(2) {
            let (from, to) = (&pair[0], &pair[1]);
            let after = scale(cx, to, to.t - from.t);
            let z = cx.increment(&x, from, to);
            x = (&x + ((after - before) * (after + before)).max(0.0).sqrt() * &z).eval();
            before = after;
        }
        x
    }
}

macro_rules! forward_chain {
    ($type:ident, $family:ident, $schedule:literal, $name:literal, $about:literal, $source:literal, $claim:expr, $time:expr, $catalogue:expr) => {
        impl Solver for $type {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = $about;
            const SOURCE: &'static str = $source;

            fn claim(&self) -> Claim {
                let claim: fn(&Self) -> Claim = $claim;
                claim(self)
            }
            fn equation(&self) -> Option<f64> {
                None
            }
            fn needs(&self, _: &Schedule) -> Needs {
                let time: fn(&Self) -> bool = $time;
                Needs { time: time(self), alpha: false, sigma: false }
            }
            fn check_schedule(&self, schedule: &Schedule) -> std::result::Result<(), String> {
                if schedule.family() != Family::$family || schedule.time_range().1 != 1.0 {
                    return Err(format!(
                        "the chain is defined for times in [0, 1] on schedules such as {}",
                        $schedule
                    ));
                }
                Ok(())
            }
            fn forward(&self) -> bool {
                true
            }
            fn calls(&self, _: usize) -> usize {
                0
            }
            fn catalogue() -> Vec<Self> {
                $catalogue.into()
            }
        }
    };
}

forward_chain!(
    DdpmChain,
    Vp,
    "vp-linear",
    "ddpm-chain",
    "the forward chain of DDPM, which tends to the VP-SDE; runs from data to noise",
    "Song et al. 2021, eq. 22 and app. B",
    |_| Claim::Order(1.0),
    |_| true,
    [Table::Sampled, Table::Published].map(|table| DdpmChain { table })
);
forward_chain!(
    SmldChain,
    Ve,
    "ve",
    "smld-chain",
    "the forward chain of SMLD/NCSN, which tends to the VE-SDE; runs from data to noise",
    "Song et al. 2021, eq. 19 and app. B",
    |chain| if chain.scales == Scales::Sampled { Claim::Exact } else { Claim::Order(1.0) },
    |chain| chain.scales == Scales::Published,
    [Scales::Published, Scales::Sampled].map(|scales| SmldChain { scales })
);
