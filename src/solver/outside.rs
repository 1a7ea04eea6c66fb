//! Solvers of which nothing is known but how they run, and what somebody claims for them: those of other crates.
//!
//! See [`crate::bench::Bench`], which gives such a solver the whole command line.

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Table;

use super::registry::{Erased, changed, parameters};
use super::*;
use crate::any::Any;
use crate::data::{Data, Gaussian};
use crate::grid::Grid;
use crate::law::Init;
use crate::monte_carlo::{Model, Run, Sampling};

/// A [`Sample`] whose parameters are its own serde fields; implemented for every type that can be one.
pub trait Plain: Sample + Default + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<S: Sample + Default + Serialize + DeserializeOwned + Send + Sync + 'static> Plain for S {}

/// What is claimed for a solver: everything is measured against it. By default nothing is.
///
/// ```
/// use scorebench::solver::outside::Claims;
/// // Heun's method with noise: weak order 2 for the reverse SDE, strong order 1, tables of coefficients from a paper.
/// let claims = Claims { source: "Karras et al. 2022, alg. 2", strong: Some(1.0), ..Claims::order(2.0).of_sde() };
/// assert_eq!(claims.equation, Some(1.0));
/// ```
#[derive(Clone, Debug)]
pub struct Claims {
    /// One line for `list solvers`.
    pub about: &'static str,
    /// Paper with equation or algorithm number.
    pub source: &'static str,
    /// The error in law as steps are added: see [`Claim`].
    pub claim: Claim,
    /// The equation that is discretised: see [`Solver::equation`].
    pub equation: Option<f64>,
    /// Strong order: see [`Solver::strong`].
    pub strong: Option<f64>,
    /// Which ends of the noise axis it can stand on.
    pub needs: Needs,
}

impl Default for Claims {
    fn default() -> Self {
        Claims {
            about: "a solver from outside",
            source: "its own crate",
            claim: Claim::Floor,
            equation: None,
            strong: None,
            needs: Needs { time: false, alpha: false, sigma: false },
        }
    }
}

impl Claims {
    /// Errors that fall like `steps^-p`.
    pub fn order(p: f64) -> Self {
        Claims { claim: Claim::Order(p), ..Claims::default() }
    }

    /// The same, for a method without noise: it discretises the probability flow.
    pub fn of_ode(self) -> Self {
        Claims { equation: Some(0.0), ..self }
    }

    /// The same, for a method that discretises Anderson's reverse SDE.
    pub fn of_sde(self) -> Self {
        Claims { equation: Some(1.0), ..self }
    }
}

/// A bare [`Sample`] with its name and claims. What it costs is counted, not claimed.
pub(super) struct Outside<S> {
    pub(super) name: &'static str,
    pub(super) claims: Claims,
    pub(super) solver: S,
}

impl<S: Plain> Outside<S> {
    /// Model calls and draws of a run of so many steps, from a run of so many steps.
    fn count(&self, steps: usize) -> (usize, usize) {
        let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
        let data = Data::Gaussian(Gaussian::power_law(1, 1.0).expect("a variance of 1"));
        let levels = Grid::UniformLambda { start: 1.0, end: 1e-3 }.levels(&schedule, Some(steps.max(1)));
        let run = Run {
            solver: &self.solver,
            data: &data,
            model: Model::Exact,
            schedule: &schedule,
            levels: &levels.expect("a grid of the schedule"),
            init: Init::Marginal,
            sampling: Sampling { samples: 1, ..Sampling::default() },
        };
        // A run that fails says why where it matters.
        run.fold(|_| (), |(), _, _| ()).map_or((steps, 0), |out| (out.nfe, out.draws))
    }
}

impl<S: Plain> Erased for Outside<S> {
    fn sample_on(&self, cx: &mut Ctx<Any>, grid: &[Level], x: State<Any>) -> State<Any> {
        self.solver.sample(cx, grid, x)
    }
    fn plan_on(&self, cx: &mut Ctx<Any>, grid: &[Level], x: State<Any>) -> Option<Vec<Level>> {
        self.solver.plan(cx, grid, x)
    }
    fn name(&self) -> &'static str {
        self.name
    }
    fn parameters(&self) -> Table {
        parameters(&self.solver)
    }
    fn changed(&self) -> Table {
        changed(&self.solver)
    }
    fn claim(&self) -> Claim {
        self.claims.claim
    }
    fn equation(&self) -> Option<f64> {
        self.claims.equation
    }
    fn needs(&self, _: &Schedule) -> Needs {
        self.claims.needs
    }
    fn check_schedule(&self, _: &Schedule) -> std::result::Result<(), String> {
        Ok(())
    }
    fn check(&self) -> Result<()> {
        Ok(())
    }
    fn fits(&self, _: &Schedule, _: &[Level]) -> std::result::Result<(), String> {
        Ok(())
    }
    fn conditions(&self, _: Option<(&Schedule, &[Level])>) -> Vec<Condition> {
        Vec::new()
    }
    fn limit(&self, _: &Schedule, _: &Level, _: &[f64]) -> Option<Vec<f64>> {
        None
    }
    fn strong(&self) -> Option<f64> {
        self.claims.strong
    }
    fn strong_on_gaussian_data(&self) -> Option<f64> {
        self.claims.strong
    }
    fn on_gaussian_data(&self) -> Claim {
        self.claims.claim
    }
    fn on_uneven_steps(&self) -> Claim {
        self.claims.claim
    }
    fn sold_as(&self) -> Option<f64> {
        None
    }
    fn cycle(&self) -> usize {
        1
    }
    fn calls(&self, steps: usize) -> usize {
        self.count(steps).0
    }
    fn draws(&self, steps: usize) -> usize {
        self.count(steps).1
    }
    fn draws_vary(&self) -> bool {
        false
    }
    fn proofs(&self) -> Vec<Proof> {
        Vec::new()
    }
    fn adaptive(&self) -> bool {
        false
    }
    fn forward(&self) -> bool {
        false
    }
}
