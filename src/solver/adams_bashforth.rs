//! Adams-Bashforth methods with the exact weights of whatever steps were taken: in any [`Clock`], and in `kappa`
//! k-diffusion's "LMS".
use super::multistep::{History, WarmUp, check_order, integrals};
use super::*;

/// `y_s = y_t + sum_j k_j int_{u_t}^{u_s} l_j(u) du`: the slopes' interpolation polynomial through the last `order`
/// levels, integrated exactly; `u` is what the clock shows.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdamsBashforth {
    /// Number of slopes, 1 to 5.
    pub order: usize,
    /// The variable that steps are taken in.
    pub clock: Clock,
    /// How the first `order - 1` steps are made.
    pub warm_up: WarmUp,
}

impl Default for AdamsBashforth {
    fn default() -> Self {
        AdamsBashforth { order: 2, clock: Clock::T, warm_up: WarmUp::Published }
    }
}

impl Sample for AdamsBashforth {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let clock = self.clock;
        let mut past = History::new(self.order);
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            past.push(t, clock.slope(cx, &x, t));
            x = past.warm_up(self.warm_up, cx, clock, &x, s).unwrap_or_else(|| {
                clock.advance(&x, t, s, clock.length(t, s), &weights(clock, &past.levels, s), &past.values)
            });
        }
        x
    }
}

/// Shares of the slopes at `levels` (newest first) in the mean slope of a step from the newest to `s`.
pub(super) fn weights(clock: Clock, levels: &[Level], s: &Level) -> Vec<f64> {
    let h = clock.length(&levels[0], s);
    let nodes: Vec<f64> = levels.iter().map(|node| clock.length(&levels[0], node) / h).collect();
    integrals(&nodes, |k| 1.0 / f64::from(k + 1))
}

impl Solver for AdamsBashforth {
    const NAME: &'static str = "adams-bashforth";
    const ABOUT: &'static str =
        "Adams-Bashforth with the exact weights of uneven steps; order = 1..5, clock = t | edm | lambda";
    const SOURCE: &'static str = "Hairer, Norsett & Wanner 1993, III.5, eq. 5.3";

    fn claim(&self) -> Claim {
        Claim::Order(self.warm_up.order(self.order, 2) as f64)
    }
    fn sold_as(&self) -> Option<f64> {
        sold(self.order, Solver::claim(self))
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        let needs = Needs::of(self.clock);
        Needs { alpha: needs.alpha && !self.warm_up.leaves_alpha_0(self.order), ..needs }
    }
    fn check(&self) -> Result<()> {
        check_order(self.order, 5)
    }
    fn calls(&self, steps: usize) -> usize {
        self.warm_up.calls(self.order, steps)
    }
    fn catalogue() -> Vec<Self> {
        let with = |clock, order, warm_up| AdamsBashforth { order, clock, warm_up };
        let mut all = vec![Self::default(), with(Clock::Edm, 2, WarmUp::Published)];
        all.push(with(Clock::Lambda, 2, WarmUp::Published));
        all.push(with(Clock::T, 4, WarmUp::Published));
        for clock in Clock::ALL {
            all.extend([3, 4].map(|order| with(clock, order, WarmUp::OneStep)));
        }
        all.push(with(Clock::Edm, 3, WarmUp::Exact));
        all.push(with(Clock::T, 5, WarmUp::OneStep));
        all.push(with(Clock::Lambda, 5, WarmUp::OneStep));
        all
    }
}

/// k-diffusion's `sample_lms`: [`AdamsBashforth`] in `kappa`.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lms {
    /// Number of slopes, 1 to 5.
    pub order: usize,
    /// How the first `order - 1` steps are made.
    pub warm_up: WarmUp,
}

impl Default for Lms {
    fn default() -> Self {
        Lms { order: 4, warm_up: WarmUp::Published }
    }
}

impl Lms {
    fn in_kappa(&self) -> AdamsBashforth {
        AdamsBashforth { order: self.order, clock: Clock::Edm, warm_up: self.warm_up }
    }
}

impl Sample for Lms {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V> {
        // To sigma = 0 as well: it extrapolates, where others return d.
        self.in_kappa().sample(cx, grid, x)
    }
}

impl Solver for Lms {
    const NAME: &'static str = "lms";
    const ABOUT: &'static str = "k-diffusion's linear multistep: adams-bashforth(clock=edm); order = 1..5";
    const SOURCE: &'static str = "k-diffusion 0.1.1, sample_lms; Karras et al. 2022, eq. 4";

    fn claim(&self) -> Claim {
        Solver::claim(&self.in_kappa())
    }
    fn sold_as(&self) -> Option<f64> {
        sold(self.order, Solver::claim(self))
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, schedule: &Schedule) -> Needs {
        Solver::needs(&self.in_kappa(), schedule)
    }
    fn check(&self) -> Result<()> {
        Solver::check(&self.in_kappa())
    }
    fn calls(&self, steps: usize) -> usize {
        Solver::calls(&self.in_kappa(), steps)
    }
    fn catalogue() -> Vec<Self> {
        let mut all = vec![Self::default()];
        all.extend([1, 2, 3].map(|order| Lms { order, ..Self::default() }));
        all.push(Lms { warm_up: WarmUp::OneStep, ..Self::default() });
        all
    }
}
