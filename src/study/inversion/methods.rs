//! The methods that are sent up and down, by the names that rows have.

use crate::schedule::Clock;
use crate::solver::abnorsett::AbNorsett;
use crate::solver::adams_bashforth::AdamsBashforth;
use crate::solver::deis::Deis;
use crate::solver::dpm_solver::{DpmSolver2, DpmSolver3};
use crate::solver::dpmpp_2m::DpmPp2m;
use crate::solver::exponential_runge_kutta::{Choice, ExponentialRungeKutta};
use crate::solver::implicit_runge_kutta::ImplicitRungeKutta;
use crate::solver::multistep::WarmUp;
use crate::solver::registry::Handle;
use crate::solver::runge_kutta::{Euler, Heun, Midpoint, Rk4};
use crate::solver::unipc::UniPc;

/// A method and its name.
pub(super) struct Method {
    pub name: &'static str,
    pub solver: Handle,
    /// Whether its codes are compared with the exact ones too.
    pub codes: bool,
    /// Whether it is run on the ring.
    pub ring: bool,
}

/// Sweeps after which the implicit midpoint rule is at its fixed point: each gains a factor of four or more here.
const SWEEPS: usize = 24;

/// Every method. (The solver `ddim` has the root of a variance in its step, which has no value on the way up: with `eta = 0`
/// it is Euler's method in `kappa`.)
pub(super) fn all() -> Vec<Method> {
    let method = |name, solver| Method { name, solver, codes: false, ring: false };
    let compared = |name, solver| Method { codes: true, ring: true, ..method(name, solver) };
    let gauss = ImplicitRungeKutta { table: "gauss-2".into(), sweeps: Some(SWEEPS), clock: Clock::Lambda };
    let exponential =
        ExponentialRungeKutta { table: Choice::Named("krogstad-4".into()), ..Default::default() };
    let two_m = |warm_up| Handle::new(DpmPp2m { warm_up, ..Default::default() });
    let unipc = |order| Handle::new(UniPc { order, ..Default::default() });
    let ab = |warm_up| Handle::new(AdamsBashforth { order: 2, clock: Clock::T, warm_up });
    let third = AbNorsett { order: 3, warm_up: WarmUp::OneStep, ..Default::default() };
    vec![
        compared("ddim", Handle::new(Euler { clock: Clock::Edm, ..Euler::default() })),
        method("euler in t", Handle::new(Euler::default())),
        compared("heun in t", Handle::new(Heun::default())),
        method("heun (edm)", Handle::new(Heun { clock: Clock::Edm, ..Heun::default() })),
        method("midpoint in t", Handle::new(Midpoint::default())),
        compared("rk4 in t", Handle::new(Rk4::default())),
        method("dpm-solver-2", Handle::new(DpmSolver2::default())),
        method("dpm-solver-3", Handle::new(DpmSolver3::default())),
        method("krogstad-4", Handle::new(exponential)),
        compared("dpmpp-2m", two_m(WarmUp::Published)),
        method("dpmpp-2m, one-step start", two_m(WarmUp::OneStep)),
        method("ab-2 in t", ab(WarmUp::Published)),
        method("abnorsett-3, one-step start", Handle::new(third)),
        method("deis-3", Handle::new(Deis::default())),
        method("unipc-2", unipc(2)),
        method("unipc-3", unipc(3)),
        compared("implicit midpoint", Handle::new(gauss)),
    ]
}
