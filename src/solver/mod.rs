//! The solvers. One file each, or one a small family; adding one is that file and one line in the catalogue below.
//!
//! A solver carries a state from the noise level `grid[0]` to the last one and owns its loop:
//!
//! ```
//! use scorebench::{run::Ctx, schedule::Level, solver::Sample, state::{Space, State}};
//!
//! /// Euler's method for the probability flow in `x/alpha` and `kappa = sigma/alpha`: DDIM.
//! struct MyDdim;
//! impl Sample for MyDdim {
//!     fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
//!         for pair in grid.windows(2) {
//!             let (t, s) = (&pair[0], &pair[1]);
//!             let eps = cx.eps(&x, t);
//!             x = (s.alpha / t.alpha * &x + s.alpha * (s.kappa() - t.kappa()) * &eps).eval();
//!         }
//!         x
//!     }
//! }
//! ```

use crate::error::Result;
use crate::run::Ctx;
use crate::schedule::{Clock, Level, Schedule};
use crate::state::{Space, State};

pub mod adaptive;
mod churn;
pub mod conditions;
pub mod multistep;
pub mod order_conditions;
pub mod outside;
pub mod registry;
mod rock4;
pub mod tableau;
mod tables;

pub use conditions::Condition;
pub use registry::{Erased, Handle};

/// Declares the files of solvers and lists their types for the [`registry`]: a solver's one line outside its own file.
macro_rules! catalogue {
    ($($file:ident: $($Type:ident),+;)*) => {
        $(pub mod $file;)*

        /// The crate's own solvers.
        fn standard() -> Vec<registry::Entry> {
            vec![$($(registry::Entry::of::<$file::$Type>(),)+)*]
        }
    };
}

catalogue! {
    euler_maruyama: EulerMaruyama;
    reverse_diffusion: ReverseDiffusion;
    ancestral: Ancestral;
    ddpm: Ddpm;
    ddim: Ddim;
    exponential_integrator: ExponentialIntegrator;
    runge_kutta: Euler, Heun, Midpoint, Rk4, RungeKutta;
    implicit_runge_kutta: ImplicitRungeKutta;
    dpm2: Dpm2;
    edm_stochastic: EdmStochastic;
    embedded: Bs23, Dopri5, Rk45, Dop853;
    stork: Stork2, Stork4;
    predictor_corrector: PredictorCorrector;
    annealed_langevin: AnnealedLangevin;
    adams_bashforth: AdamsBashforth, Lms;
    abnorsett: AbNorsett;
    pndm: Pndm, Plms;
    ipndm: Ipndm, IpndmV;
    deis: Deis;
    dpmpp_2m: DpmPp2m;
    dpmpp_3m: DpmPp3m;
    unipc: UniP, UniPc;
    stochastic_heun: StochasticHeun;
    stochastic_runge_kutta: Sra1, Sra3, Sosra, StochasticRungeKutta;
    gotta_go_fast: GottaGoFast;
    k_ancestral: EulerAncestral, Dpm2Ancestral, DpmPp2sAncestral;
    dpmpp_sde: DpmPpSde, DpmPp2sSde;
    dpmpp_multistep_sde: DpmPp2mSde, DpmPp3mSde;
    sde_dpm_solver: SdeDpmSolver1, SdeDpmSolver2;
    sa_solver: SaSolver;
    er_sde: ErSde;
    gddim: Gddim;
    restart: Restart;
    seeds: Seeds1, Seeds2, Seeds3;
    forward: DdpmChain, SmldChain;
    exponential_runge_kutta: ExponentialRungeKutta;
    dpm_solver: DpmSolver1, DpmSolver2, DpmSolver3, DpmPp1, DpmPp2s, DpmPp3s;
    dpm_fast: DpmFast;
    dpm_solver_singlestep: DpmSolverSinglestep;
    dpm_solver_adaptive: DpmSolver12, DpmSolver23;
    linear_multistep: LinearMultistep;
    coefficients: Coefficients;
}

/// A sampler: carries `x` from noise level `grid[0]` to the last one. Over a two-point grid it is a step.
pub trait Sample {
    /// The whole run. `x` is distributed as the start wants it; the result is what the method returns,
    /// with no rescaling and no denoising that the method does not do.
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], x: State<V>) -> State<V>;

    /// For an adaptive method: the levels that its error control would visit between the ends of `grid`, found on a
    /// pilot run from `x` whose norms are expected ones ([`Ctx::expected_rms`]). [`Sample::sample`] then runs over them
    /// as over any grid, which is what can be measured exactly. `None` for all other methods.
    fn plan<V: Space>(&self, _cx: &mut Ctx<V>, _grid: &[Level], _x: State<V>) -> Option<Vec<Level>> {
        None
    }
}

/// What a method says of its error in law as the grid is refined; every claim is tested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Claim {
    /// Weak order: the error falls like `steps^-p`.
    Order(f64),
    /// No error but round-off, at any number of steps.
    Exact,
    /// No order: the error tends to a positive floor set by other parameters.
    Floor,
}

/// Which ends of the noise axis a method can stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// It reads `t`, `f` or `g^2`, so these must be finite where it evaluates the model.
    pub time: bool,
    /// It divides by `alpha`: no level may have `alpha = 0`.
    pub alpha: bool,
    /// It divides by `sigma` at the end of a step: no level may have `sigma = 0`.
    pub sigma: bool,
}

impl Needs {
    /// What stages in a clock stand on.
    pub fn of(clock: Clock) -> Self {
        Needs { time: clock == Clock::T, alpha: clock != Clock::T, sigma: clock == Clock::Lambda }
    }
}

/// What is known of a method apart from its runs, and checked apart from them: the order conditions of its table, the
/// order it keeps on stiff problems.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    /// What it is about, in two or three words.
    pub what: &'static str,
    /// The order claimed.
    pub claimed: f64,
    /// The order found; less than claimed is a failure.
    pub found: f64,
    /// How it was found.
    pub how: String,
}

/// The order that a method is sold as, where it keeps less.
pub(crate) fn sold(order: usize, kept: Claim) -> Option<f64> {
    let order = order as f64;
    match kept {
        Claim::Order(kept) if kept >= order => None,
        Claim::Exact => None,
        _ => Some(order),
    }
}

/// A [`Sample`] with everything that the command line, the registry and the tests want to know of it.
///
/// Parameters are the type's own serde fields: their defaults are [`Default`], unknown keys are refused
/// by `#[serde(deny_unknown_fields)]`, and names in tables list those that differ from the default.
pub trait Solver:
    Sample + Default + serde::Serialize + serde::de::DeserializeOwned + Send + Sync + 'static
{
    /// The name in experiments and tables.
    const NAME: &'static str;
    /// One line for `scorebench list solvers`.
    const ABOUT: &'static str;
    /// Paper with equation or algorithm number.
    const SOURCE: &'static str;

    /// What the method, with these parameters, promises.
    fn claim(&self) -> Claim;

    /// Which member of the family `dx = [f x - (1+l)/2 g^2 score] dt + sqrt(l) g dw` the method discretises:
    /// 0 is the probability flow, 1 Anderson's reverse SDE. `None` where it is none of them.
    fn equation(&self) -> Option<f64>;

    /// Which ends of the noise axis the method can stand on, on this schedule.
    fn needs(&self, schedule: &Schedule) -> Needs;

    /// Refuses parameters without a meaning (NaN and unknown keys are refused before).
    ///
    /// # Errors
    /// Names the parameter, its value and what is allowed.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Refuses a schedule that the method is not defined on, in words.
    ///
    /// # Errors
    /// Why, as a phrase continuing "is not defined here: ".
    fn check_schedule(&self, _schedule: &Schedule) -> std::result::Result<(), String> {
        Ok(())
    }

    /// Refuses levels that the method is not for, in words: numbers that a user gives may be those of one grid.
    ///
    /// # Errors
    /// Why, as a phrase continuing "is not defined here: ".
    fn fits(&self, _schedule: &Schedule, _grid: &[Level]) -> std::result::Result<(), String> {
        Ok(())
    }

    /// The conditions on its numbers, up to one order above the claim, and by how much they are missed: for methods whose
    /// numbers a user may give. Those of one grid hold or fail on it, and are none without.
    fn conditions(&self, _on: Option<(&Schedule, &[Level])>) -> Vec<Condition> {
        Vec::new()
    }

    /// For a method with a [`Claim::Floor`]: the variances of the law it tends to at its last level `at` as steps are
    /// added without end, where the exact law has these variances (the means become exact). `None` if not known.
    fn limit(&self, _schedule: &Schedule, _at: &Level, _variance: &[f64]) -> Option<Vec<f64>> {
        None
    }

    /// Strong order on the same Brownian path (of the noise in `kappa^2`), for methods that draw their noise from one.
    fn strong(&self) -> Option<f64> {
        None
    }

    /// Strong order on Gaussian data, where that is more: the drift is linear there, the noise additive.
    fn strong_on_gaussian_data(&self) -> Option<f64> {
        self.strong()
    }

    /// What the method promises on Gaussian data, where that is more: with an affine model a leading error can vanish.
    fn on_gaussian_data(&self) -> Claim {
        self.claim()
    }

    /// What the method promises on grids whose neighbouring steps differ by a factor however fine they are. Less than
    /// the claim for multistep methods whose weights are those of equal steps.
    fn on_uneven_steps(&self) -> Claim {
        self.on_gaussian_data()
    }

    /// The order that its name, its paper or the library that ships it promises, where the method does not keep it.
    fn sold_as(&self) -> Option<f64> {
        None
    }

    /// How many steps belong together: with other remainders, runs end differently, and their errors do not compare.
    fn cycle(&self) -> usize {
        1
    }

    /// Model calls in a run of so many steps, to a last level with `sigma > 0`.
    fn calls(&self, steps: usize) -> usize {
        steps
    }

    /// Noises asked for in such a run.
    fn draws(&self, steps: usize) -> usize {
        if self.equation() == Some(0.0) { 0 } else { steps }
    }

    /// Whether [`Solver::draws`] and [`Solver::calls`] are the most that a run asks for: some levels get no noise.
    fn draws_vary(&self) -> bool {
        false
    }

    /// What is proved of the method apart from its runs.
    fn proofs(&self) -> Vec<Proof> {
        Vec::new()
    }

    /// The variants that the tests and `scorebench certify` hold to their claims; the first is the default. None for a
    /// method that is nothing before a user gives its numbers, whose default [`Solver::check`] then refuses.
    fn catalogue() -> Vec<Self> {
        vec![Self::default()]
    }

    /// Whether [`Sample::plan`] gives the levels; such a method has the parameters `rtol` and `atol`.
    fn adaptive(&self) -> bool {
        false
    }

    /// True for the forward chains, which run from clean data (first level) to noise.
    fn forward(&self) -> bool {
        false
    }
}

/// Refuses a grid that a method with these needs would divide by zero on.
///
/// # Errors
/// Why, with the level that is to blame.
pub(crate) fn check_levels(needs: Needs, forward: bool, grid: &[Level]) -> std::result::Result<(), String> {
    for (i, level) in grid.iter().enumerate() {
        let here =
            || format!("level {i} (t = {:?}, alpha = {:?}, sigma = {:?})", level.t, level.alpha, level.sigma);
        let last = i + 1 == grid.len();
        if needs.alpha && level.alpha == 0.0 {
            return Err(format!(
                "it divides by alpha, which is 0 at {}; start the grid a little later",
                here()
            ));
        }
        if needs.sigma && level.sigma == 0.0 && !forward {
            return Err(format!(
                "it divides by sigma, which is 0 at {}; end the grid a little earlier",
                here()
            ));
        }
        if needs.time && !level.t.is_finite() {
            return Err(format!("it works in time, and {} has no finite one", here()));
        }
        // A sampler evaluates nothing at its last level, a forward chain nothing at its first.
        let unused = if forward { i == 0 } else { last };
        if needs.time && !unused && !(level.f.is_finite() && level.g2.is_finite()) {
            let fix = if forward { "end the grid a little earlier" } else { "start the grid a little later" };
            return Err(format!("it needs the drift and diffusion, which are infinite at {}; {fix}", here()));
        }
    }
    Ok(())
}
