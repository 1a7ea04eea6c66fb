//! A research bench for the numerical solution of diffusion models' SDEs and ODEs.
//!
//! A diffusion model adds noise by `dx = f x dt + g dw`, so that `x_t = alpha x_0 + sigma z`, and generates by
//! running Anderson's reverse SDE, `dx = [f x - g^2 score] dt + g dw`, or the probability flow, with half the score
//! and no noise. Every sampler is a discretisation of one of these. On Gaussian data the score is known and affine, so
//! a sampler's output law can be computed *exactly*: no Monte Carlo, no network, nothing but the discretisation.
//!
//! # Symbols
//! From level `t` down to level `s` (`s < t`); `alpha`, `sigma` of the level; `lambda = ln(alpha/sigma)`, half the
//! log-SNR; `kappa = sigma/alpha`; `eps` the predicted noise; `d = E[x_0 | x_t]` the denoised mean;
//! `score = grad log p_t = -eps/sigma`; `x_t = alpha d + sigma eps`; `z` a standard normal.
//!
//! # Nouns
//! - [`state::State`]: a vector, and to a solver nothing more; it lives in a [`state::Space`].
//! - [`schedule::Level`]: one noise level; a [`schedule::Schedule`] makes them, a [`grid::Grid`] says which to visit.
//! - [`run::Ctx`]: what a solver is handed: the model (calls are counted), noise, and levels between grid points.
//! - [`solver::Sample`]: a solver: one loop over levels.
//! - [`law::law`]: its exact output law; [`metric::Errors`]: how far that is from the truth;
//!   [`order::fit`]: how fast it gets there; [`strong`]: how far single paths are from their equation's.
//! - [`certify::certify`]: all that a solver claims of these, measured.
//! - [`experiment::Experiment`]: a question in TOML, and what is expected of the answer.
//! - [`compare::compare`]: did results get worse? [`race::Race`]: one solver against others; [`optimise`]: the levels at
//!   which a solver errs least; [`report::Report`]: results as pages.
//! - [`bench::Bench`]: the command line, with solvers of your own.
//!
//! # Example
//! How many steps does DDIM need for the accuracy that Heun's method has with 32?
//! ```
//! use scorebench::{data::Gaussian, grid::Grid, law::{Init, law}, metric::w2, schedule::Schedule};
//! use scorebench::solver::{Sample, ddim::Ddim, runge_kutta::Heun};
//!
//! let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
//! let data = Gaussian::power_law(16, 1.0)?;
//! let error = |solver: &dyn Fn(&[scorebench::schedule::Level]) -> scorebench::law::Law, steps| {
//!     let levels = Grid::UniformLambda { start: 1.0, end: 1e-3 }.levels(&schedule, Some(steps)).unwrap();
//!     w2(&solver(&levels).moments, &data.marginal(&levels[steps]))
//! };
//! let heun = error(&|levels| law(&Heun::default(), &data, &schedule, levels, Init::Marginal).unwrap(), 32);
//! let ddim = |steps| error(&|levels| law(&Ddim { eta: 0.0 }, &data, &schedule, levels, Init::Marginal).unwrap(), steps);
//! let enough = (5..).map(|k| 1 << k).find(|&steps| ddim(steps) < heun).unwrap();
//! assert!(enough > 64); // more model calls than the 64 of Heun
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

pub mod affine;
pub mod any;
pub mod batch;
pub mod bench;
pub mod certify;
pub mod cmd;
pub mod compare;
pub mod config;
pub mod data;
pub mod error;
pub mod experiment;
pub mod flow;
pub mod geometry;
pub mod grid;
pub mod law;
pub mod likelihood;
mod markup;
pub mod math;
pub mod metric;
pub mod monte_carlo;
#[cfg(feature = "candle")]
pub mod net;
pub mod noise;
pub mod optimise;
pub mod order;
pub mod parallel;
pub mod picture;
pub mod plot;
pub mod race;
pub mod reach;
pub mod real;
pub mod record;
pub mod registers;
pub mod report;
pub mod results;
pub mod run;
pub mod runner;
pub mod schedule;
pub mod solver;
pub mod state;
pub mod strong;
pub mod study;
pub mod suite;
