//! One run of an experiment: from a solver on a grid to a row of numbers.

use std::panic::AssertUnwindSafe;

use super::{Flows, Handle, Mode, Named, Subject};
use crate::data::{Gaussian, Moments, Perturbation};
use crate::grid::Grid;
use crate::law::{self, Init, Law, NoLaw};
use crate::metric::{Errors, w2};
use crate::record::Row;
use crate::schedule::{Level, Schedule};

/// Everything that determines the numbers of a row.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    /// Name of the experiment.
    pub experiment: &'a str,
    /// The data law.
    pub data: &'a Subject,
    /// The forward process.
    pub schedule: &'a Named<Schedule>,
    /// The grid's rule.
    pub grid: &'a Named<Grid>,
    /// The law the run starts from.
    pub init: Init,
    /// The solver.
    pub solver: &'a Named<Handle>,
    /// Steps (none for explicit grids).
    pub steps: Option<usize>,
    /// What the model gets wrong, if it does.
    pub wrong: Option<&'a Perturbation>,
    /// How the cell is run.
    pub mode: &'a Mode,
    /// What is measured on samples.
    pub metrics: &'a [String],
}

impl Cell<'_> {
    /// A hash of all inputs that determine the row's numbers (the program's own source is told apart by the manifest).
    pub fn key(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            // Lengths keep neighbouring parts from running into each other.
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        part(&self.data.bytes());
        if let Some(wrong) = self.wrong {
            part(json(wrong).as_bytes());
        }
        if let Mode::MonteCarlo(_) = self.mode {
            part(json(&(self.mode, self.metrics)).as_bytes());
        }
        part(json(&self.schedule.value).as_bytes());
        part(json(&self.grid.value).as_bytes());
        part(json(&self.init).as_bytes());
        part(self.solver.value.content().to_string().as_bytes());
        part(json(&self.steps).as_bytes());
        hasher.finalize().to_hex()[..16].to_string()
    }

    /// Modes of the data: what the run's cost is proportional to.
    pub fn modes(&self) -> usize {
        self.data.value.dim()
    }

    /// Whether it fills a device by itself.
    pub fn runs_on_device(&self) -> bool {
        self.data.engine.is_some()
    }

    /// The data of an exact run.
    fn gaussian(&self) -> &Gaussian {
        self.data.value.gaussian().expect("checked when the experiment was read")
    }

    pub(super) fn levels(&self) -> Vec<Level> {
        self.grid
            .value
            .levels(&self.schedule.value, self.steps)
            .expect("checked when the experiment was read")
    }

    /// Runs the solver and measures it, on samples with the exact ends in `flows`. A run without a law gives a row whose
    /// `error` says why.
    pub fn run(&self, flows: &Flows) -> Row {
        let rule = self.levels();
        if let Mode::MonteCarlo(sampling) = self.mode {
            let row = Row { steps: rule.len() - 1, ..self.row() };
            return self.run_on_samples(&rule, sampling, flows, row);
        }
        let solver = &self.solver.value;
        let planned = solver.adaptive().then(|| {
            let (data, schedule) = (self.gaussian(), &self.schedule.value);
            guarded(|| law::plan(solver, data, schedule, &rule, self.init, self.wrong))
        });
        let (grid, pilot_nfe, failed) = match planned {
            None => (rule, None, None),
            Some(Ok(plan)) => (plan.levels, Some(plan.nfe), None),
            Some(Err(why)) => (rule, None, Some(why)),
        };
        let row = Row { steps: grid.len() - 1, pilot_nfe, ..self.row() };
        let law = failed.map_or_else(|| guarded(|| self.law(&grid, self.init)), Err);
        match law {
            Ok(law) => self.measure(&grid, &law, row),
            Err(why @ NoLaw::Diverged { .. }) => {
                let inf = Some(f64::INFINITY);
                Row {
                    w2: inf,
                    w2_data: inf,
                    kl: inf,
                    mean_error: inf,
                    cov_error: inf,
                    error: why.to_string(),
                    ..row
                }
            }
            Err(why) => Row { error: why.to_string(), ..row },
        }
    }

    /// The label of the data, and of what the model gets wrong about it.
    pub fn data_label(&self) -> String {
        data_label(&self.data.label, self.wrong)
    }

    /// The row before there are numbers.
    fn row(&self) -> Row {
        Row {
            experiment: self.experiment.into(),
            data: self.data_label(),
            schedule: self.schedule.label.clone(),
            grid: self.grid.label.clone(),
            init: self.init.name().into(),
            solver: self.solver.label.clone(),
            mode: self.mode.label(),
            key: self.key(),
            ..Row::default()
        }
    }

    fn law(&self, grid: &[Level], init: Init) -> Result<Law, NoLaw> {
        let solver = &self.solver.value;
        let options = law::Options { equation: solver.equation(), wrong: self.wrong };
        law::law_with(solver, self.gaussian(), &self.schedule.value, grid, init, options)
    }

    fn measure(&self, grid: &[Level], law: &Law, row: Row) -> Row {
        let data = self.gaussian();
        let (start, end) = (&grid[0], &grid[grid.len() - 1]);
        let exact = data.marginal(end);
        let errors = Errors::between(&law.moments, &exact);
        let from_marginal = self.law_from_marginal(grid, law);
        Row {
            nfe: Some(law.nfe),
            draws: Some(law.draws),
            w2: Some(errors.w2),
            w2_data: Some(w2(&law.moments, &data.moments())),
            kl: Some(errors.kl),
            mean_error: Some(errors.mean_error),
            cov_error: Some(errors.cov_error),
            worst_mode: Some(errors.worst_mode),
            mode: if law.mean_field { "mean-field" } else { "exact" }.into(),
            budget_init: self.init_error(start, end, &exact),
            budget_truncation: (self.init != Init::Marginal).then(|| w2(&exact, &data.moments())),
            budget_discretisation: from_marginal.map(|m| w2(&m, &exact)),
            floor: self.floor(end, &exact),
            strong_error: law.strong_error,
            amplification: law.gain.iter().map(|g| g.abs()).reduce(f64::max).filter(|g| !g.is_nan()),
            ..row
        }
    }

    /// The law of the same run from the exact marginal; of one that starts there, all of the error is discretisation.
    fn law_from_marginal(&self, grid: &[Level], law: &Law) -> Option<Moments> {
        let data = self.gaussian();
        if self.init == Init::Marginal {
            return None;
        }
        if law.mean_field {
            return self.law(grid, Init::Marginal).ok().map(|law| law.moments);
        }
        let old = self.init.moments(data, &self.schedule.value, &grid[0]);
        Some(law.restarted(&old, &data.marginal(&grid[0])))
    }

    /// W2 that remains of the start's own error after the exact dynamics that the solver discretises.
    fn init_error(&self, start: &Level, end: &Level, exact: &Moments) -> Option<f64> {
        if self.init == Init::Marginal {
            return None;
        }
        let data = self.gaussian();
        let from = self.init.moments(data, &self.schedule.value, start);
        let carried = data.transport(self.solver.value.equation()?, start, end, &from);
        Some(w2(&carried, exact))
    }

    fn floor(&self, end: &Level, exact: &Moments) -> Option<f64> {
        let variance: Vec<f64> = exact.std.iter().map(|s| s * s).collect();
        let limit = self.solver.value.limit(&self.schedule.value, end, &variance)?;
        let limit = Moments { mean: exact.mean.clone(), std: limit.iter().map(|v| v.sqrt()).collect() };
        Some(w2(&limit, exact))
    }
}

/// `name(key=value, ..., perturb=kind, size=0.1)`.
pub(super) fn data_label(data: &str, wrong: Option<&Perturbation>) -> String {
    let Some(Perturbation { kind, size, seed }) = wrong else { return data.into() };
    let seed = if *seed == 0 { String::new() } else { format!(", seed={seed}") };
    let more = format!("perturb={}, size={size}{seed})", kind.name());
    match data.strip_suffix(')') {
        Some(open) => format!("{open}, {more}"),
        None => format!("{data}({more}"),
    }
}

/// A bug in a solver from outside the crate must not take the other rows with it.
fn guarded<T>(run: impl FnOnce() -> Result<T, NoLaw>) -> Result<T, NoLaw> {
    std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(NoLaw::Panicked))
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain values")
}
