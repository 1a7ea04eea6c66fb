//! What only shows when the parts of an experiment are put together.

use super::data::check_gaussian;
use super::{Experiment, FigureKind, Mode, Named, cell, is_called, names};
use crate::config;
use crate::error::{BadInput, Result};
use crate::law::Init;
use crate::metric;
use crate::schedule::{Level, Schedule};
use crate::solver::Handle;

/// Columns whose orders solvers claim. (KL falls with twice the order of W2, `w2_data` tends to what truncation leaves:
/// a claim says nothing of them.)
const CLAIMED: &[&str] = &["w2", "strong_error"];

impl Experiment {
    /// What only shows when the parts are put together.
    pub(super) fn check(&self) -> Result<()> {
        self.check_modes()?;
        for (i, claim) in self.claims.iter().enumerate() {
            claim.check().map_err(|e| e.within(&format!("claim[{i}]")))?;
        }
        self.rank.as_ref().map_or(Ok(()), |r| r.check(self)).map_err(|e| e.within("rank"))?;
        self.figures.iter().try_for_each(|kind| kind.check(self))?;
        let targets = self.reach.iter().flat_map(|r| &r.targets);
        if let Some(target) = targets.copied().find(|w2| !(w2.is_finite() && *w2 > 0.0)) {
            return Err(BadInput::new(
                "reach.targets",
                target,
                "is no error to reach",
                "give values above 0",
            ));
        }
        let solvers: Vec<&str> = self.solvers.iter().map(|s| s.solver.label.as_str()).collect();
        let drawn = self.figures.iter().flat_map(FigureKind::solvers).map(|label| ("figure.solvers", label));
        let compared = self.reach.iter().flat_map(|r| &r.against).map(|label| ("reach.against", label));
        for (key, label) in compared.chain(drawn) {
            if !solvers.contains(&label.as_str()) {
                let fix = config::suggest(label, &solvers);
                return Err(BadInput::new(key, label, "is not in this experiment", fix));
            }
        }
        unique("metrics", self.metrics.iter().map(String::as_str), "remove one")?;
        unique("data", self.data.iter().map(|d| d.label.as_str()), "give them different `label`s")?;
        let models: Vec<String> =
            self.perturbations.iter().map(|p| cell::data_label("", p.as_ref())).collect();
        unique("perturb", models.iter().map(String::as_str), "remove one")?;
        let modes: Vec<String> = self.modes.iter().map(Mode::label).collect();
        unique("mode", modes.iter().map(String::as_str), "remove one")?;
        unique("schedule", self.schedules.iter().map(|d| d.label.as_str()), "remove one")?;
        unique("grid", self.grids.iter().map(|(g, _)| g.label.as_str()), "give them different `label`s")?;
        unique("init", self.inits.iter().map(|i| i.name()), "remove one")?;
        let solvers = self.solvers.iter().map(|s| s.solver.label.as_str());
        unique("solver", solvers, "remove one, change a parameter, or give them different `label`s")?;
        for (i, expectation) in self.expect.iter().enumerate() {
            let checked = expectation.check().and_then(|()| expectation.check_names(self));
            checked.map_err(|e| e.within(&format!("expect[{i}]")))?;
        }
        let schedules: Vec<&str> = self.schedules.iter().map(|s| s.label.as_str()).collect();
        let grids: Vec<&str> = self.grids.iter().map(|(g, _)| g.label.as_str()).collect();
        for (i, spec) in self.solvers.iter().enumerate() {
            let within = |key: &str| format!("solver[{i}].{key}");
            known_names(&spec.schedules, &schedules).map_err(|e| e.within(&within("schedules")))?;
            known_names(&spec.grids, &grids).map_err(|e| e.within(&within("grids")))?;
            known_names(&spec.expect.on, &grids).map_err(|e| e.within(&within("expect.on")))?;
            known_names(spec.expect.order_on.keys(), &grids)
                .map_err(|e| e.within(&within("expect.order_on")))?;
        }
        for (g, (grid, ladder)) in self.grids.iter().enumerate() {
            let key = if self.grids.len() > 1 { format!("grid[{g}]") } else { "grid".into() };
            for (s, spec) in self.solvers.iter().enumerate().filter(|(_, spec)| spec.visits(grid)) {
                for schedule in self.schedules.iter().filter(|s| spec.runs_on(s)) {
                    for steps in ladder.steps(&spec.solver.value, spec.steps.as_deref()) {
                        let solver = format!("solver[{s}]");
                        let levels = grid.value.levels(&schedule.value, steps).map_err(|e| {
                            let own = e.key() == "steps" && spec.steps.is_some();
                            e.within(if own { &solver } else { &key })
                        })?;
                        check_cost(&spec.solver, levels.len() - 1).map_err(|e| e.within(&solver))?;
                        check_defined(&spec.solver, schedule, &grid.label, &levels)
                            .map_err(|e| e.within(&solver))?;
                        self.data
                            .iter()
                            .try_for_each(|d| d.check_range(&levels))
                            .map_err(|e| e.within(&key))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Metrics must be those of the modes, and exact laws are for Gaussians.
    fn check_modes(&self) -> Result<()> {
        let exact = self.modes.contains(&Mode::Exact);
        if exact && self.sampled() {
            let fix = "write one experiment for each";
            return Err(BadInput::about("mode", "mixes exact laws with samples", fix));
        }
        let known: Vec<&str> = if exact { CLAIMED.to_vec() } else { names(metric::SAMPLED) };
        for (i, metric) in self.metrics.iter().enumerate() {
            if !known.contains(&metric.as_str()) {
                let why = if exact {
                    "is no error whose order solvers claim"
                } else {
                    "is not measured on samples"
                };
                return Err(BadInput::new(
                    &format!("metrics[{i}]"),
                    metric,
                    why,
                    config::suggest(metric, &known),
                ));
            }
        }
        let crooked = self.perturbations.iter().flatten().any(|p| !p.is_affine());
        if exact && crooked {
            let fix = "add mode = { monte-carlo = { samples = 10_000 } }";
            return Err(BadInput::about(
                "perturb",
                "makes a model that is not affine and has no exact law",
                fix,
            ));
        }
        if exact {
            check_gaussian(&self.data)?;
        }
        self.check_lawless()?;
        Ok(())
    }

    /// Without data, a network can be held to its own flow alone.
    fn check_lawless(&self) -> Result<()> {
        let Some(subject) = self.data.iter().find(|d| d.lawless) else { return Ok(()) };
        let fix = "name the data that the network was trained on: of = { name = \"digits\" }";
        if self.inits.contains(&Init::Marginal) {
            let why = format!("needs the law of the data, which {} does not know", subject.label);
            return Err(BadInput::new("init", "marginal", why, format!("write init = \"prior\", or {fix}")));
        }
        match self.metrics.iter().find(|m| *m != "rmse" && *m != "median_error") {
            Some(metric) => {
                let why = format!("needs the law of the data, which {} does not know", subject.label);
                Err(BadInput::new("metrics", metric, why, format!("leave it out, or {fix}")))
            }
            None => Ok(()),
        }
    }
}

/// Every word must be the name or the label of something in the experiment.
pub(super) fn known_names<'a>(words: impl IntoIterator<Item = &'a String>, labels: &[&str]) -> Result<()> {
    for word in words {
        if !labels.iter().any(|label| is_called(word, label)) {
            return Err(BadInput::new("", word, "is not in this experiment", config::suggest(word, labels)));
        }
    }
    Ok(())
}

pub(super) fn unique<'a>(key: &str, labels: impl Iterator<Item = &'a str>, fix: &str) -> Result<()> {
    let mut seen = std::collections::BTreeMap::new();
    for (i, label) in labels.enumerate() {
        if let Some(first) = seen.insert(label, i) {
            return Err(BadInput::new(
                &format!("{key}[{i}]"),
                label,
                format!("has the same name as {key}[{first}]"),
                fix,
            ));
        }
    }
    Ok(())
}

/// More draws than a probe can hold rows for, or than anyone waits for.
const MOST_DRAWS: usize = 200_000;

fn check_cost(solver: &Named<Handle>, steps: usize) -> Result<()> {
    let draws = solver.value.draws(steps);
    if draws > MOST_DRAWS {
        return Err(BadInput::about(
            "",
            format!("({}) would ask for {draws} noises in {steps} steps", solver.label),
            format!("stay below {MOST_DRAWS}"),
        ));
    }
    Ok(())
}

pub(super) fn check_defined(
    solver: &Named<Handle>,
    schedule: &Named<Schedule>,
    grid: &str,
    levels: &[Level],
) -> Result<()> {
    let rises = levels[0].kappa() < levels[levels.len() - 1].kappa();
    let what = format!("({}) is not defined on schedule {} with grid {grid}", solver.label, schedule.label);
    if rises != solver.value.forward() {
        let fix = if rises {
            "swap start and end: samplers run from noise to data"
        } else {
            "swap start and end: forward chains run from data to noise"
        };
        return Err(BadInput::about("", what, fix));
    }
    solver
        .value
        .check_grid(&schedule.value, levels)
        .map_err(|why| BadInput::about("", format!("{what}: {why}"), ""))
}
