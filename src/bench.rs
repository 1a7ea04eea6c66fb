//! The whole command line, with solvers of your own in every verb.
//!
//! ```no_run
//! use scorebench::bench::Bench;
//! use scorebench::run::Ctx;
//! use scorebench::schedule::Level;
//! use scorebench::solver::{Sample, outside::Claims};
//! use scorebench::state::{Space, State};
//!
//! /// Euler's method in `x/alpha` and `sigma/alpha`.
//! #[derive(Default, serde::Serialize, serde::Deserialize)]
//! struct Mine;
//!
//! impl Sample for Mine {
//!     fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
//!         for pair in grid.windows(2) {
//!             let (t, s) = (&pair[0], &pair[1]);
//!             let eps = cx.eps(&x, t);
//!             x = (s.alpha / t.alpha * &x + s.alpha * (s.kappa() - t.kappa()) * &eps).eval();
//!         }
//!         x
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     Bench::new().claiming::<Mine>("mine", Claims::order(1.0).of_ode()).main()
//! }
//! ```
//!
//! `list`, `run`, `certify`, `race`, `optimise`, `sample` and the rest then know `mine`: on exact laws, on samples and
//! through networks, for the source is the same. Results say which program made them, and those of another build of it are
//! not reused.

use std::process::ExitCode;

use crate::cmd;
use crate::error::BadInput;
use crate::results;
use crate::solver::Solver;
use crate::solver::outside::{Claims, Plain};
use crate::solver::registry::{self, Entry};

/// A command line that knows solvers besides those of the catalogue.
#[derive(Debug, Default)]
pub struct Bench {
    solvers: Vec<Entry>,
}

impl Bench {
    /// The catalogue alone.
    pub fn new() -> Self {
        Bench::default()
    }

    /// Adds a solver of which nothing is claimed, under a name; its parameters are its serde fields.
    pub fn solver<S: Plain>(self, name: &'static str) -> Self {
        self.claiming::<S>(name, Claims::default())
    }

    /// Adds a solver and what is claimed for it, which `certify` and experiments hold it to.
    pub fn claiming<S: Plain>(mut self, name: &'static str, claims: Claims) -> Self {
        self.solvers.push(Entry::named::<S>(name, claims));
        self
    }

    /// Adds a solver that says everything itself, as those of the catalogue do.
    pub fn register<S: Solver>(mut self) -> Self {
        self.solvers.push(Entry::of::<S>());
        self
    }

    /// Runs the command line: a program's `main`.
    pub fn main(self) -> ExitCode {
        if !self.solvers.is_empty() {
            results::has_more_source();
            cmd::name_after_executable();
        }
        let added: Result<(), BadInput> = self.solvers.into_iter().try_for_each(registry::add);
        match added {
            Ok(()) => cmd::main(),
            Err(problem) => cmd::refuse(&problem),
        }
    }
}
