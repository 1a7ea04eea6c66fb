//! Pictures an experiment can ask for.

use serde::Deserialize;

use super::{Cell, Experiment, SolverSpec, Subject};
use crate::config;
use crate::error::{BadInput, Result};
use crate::record::NUMBERS;

/// Pictures an experiment can ask for. A `metric` is a column of numbers, or one of the experiment's metrics where it
/// runs on samples; without one it is `w2`, or on samples the first metric. `solvers` are labels of those to draw; all
/// if empty.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FigureKind {
    /// An error against steps.
    Convergence {
        /// The error.
        metric: Option<String>,
        /// Which solvers.
        #[serde(default)]
        solvers: Vec<String>,
    },
    /// An error against model calls.
    WorkPrecision {
        /// The error.
        metric: Option<String>,
        /// Which solvers.
        #[serde(default)]
        solvers: Vec<String>,
    },
    /// An error against steps, a curve each precision of states, a panel each solver.
    ByPrecision {
        /// The error.
        metric: Option<String>,
        /// Which solvers.
        #[serde(default)]
        solvers: Vec<String>,
    },
    /// An error against model calls, a curve each grid, a panel each solver. Grids whose labels differ by a last `, N` alone
    /// are one curve.
    ByGrid {
        /// The error.
        metric: Option<String>,
        /// Which solvers.
        #[serde(default)]
        solvers: Vec<String>,
    },
    /// An error against the size of the model's error, a curve each solver, a panel each kind of error.
    Perturbation {
        /// The error.
        metric: Option<String>,
        /// Which solvers.
        #[serde(default)]
        solvers: Vec<String>,
    },
    /// How much runs amplify their start: steps across, data upwards, a panel each solver.
    Amplification {},
    /// Orders between neighbouring step counts.
    LocalOrders {},
    /// Initialisation, truncation and discretisation beside the whole, by the grids' end.
    ErrorBudget {},
    /// An error against a numeric parameter of the solvers.
    ParameterScan {
        /// The parameter.
        parameter: String,
        /// Its value where a label does not name it.
        default: f64,
        /// The error.
        metric: Option<String>,
    },
    /// The errors that the `rank` table compares, one against the other, a panel each data and budget.
    Ranks {
        /// Which solvers; rho is that of all.
        #[serde(default)]
        solvers: Vec<String>,
    },
    /// Density and score of `x_t` in the plane, a panel each time: data of two coordinates.
    Field {
        /// Times, in the schedule's unit.
        times: Vec<f64>,
        /// Half the side of the square to show, around the origin; without it, what holds all but the tails.
        #[serde(rename = "box")]
        half_side: Option<f64>,
    },
    /// Sample paths of solvers, a row of panels each: data of one or two coordinates.
    Paths {
        /// Which solvers.
        #[serde(default)]
        solvers: Vec<String>,
        /// How many paths.
        #[serde(default = "thirty")]
        paths: usize,
        /// Steps of the grid (none for explicit grids).
        steps: Option<usize>,
        /// Half the side of the square to show, around the origin.
        #[serde(rename = "box")]
        half_side: Option<f64>,
    },
}

fn thirty() -> usize {
    30
}

/// More paths than anyone tells apart.
const MOST_PATHS: usize = 200;
/// A picture of a path takes a run to each of its levels.
const MOST_PATH_STEPS: usize = 500;
/// Panels side by side.
const MOST_TIMES: usize = 6;

impl FigureKind {
    /// Names as written in an experiment.
    pub(super) const NAMES: &[&str] = &[
        "convergence",
        "work-precision",
        "by-precision",
        "by-grid",
        "perturbation",
        "amplification",
        "local-orders",
        "error-budget",
        "parameter-scan",
        "ranks",
        "field",
        "paths",
    ];

    /// What is drawn where an experiment does not say.
    pub(super) fn default_kind() -> Self {
        FigureKind::Convergence { metric: None, solvers: Vec::new() }
    }

    /// Its name as written in an experiment.
    pub fn name(&self) -> &'static str {
        match self {
            FigureKind::Convergence { .. } => "convergence",
            FigureKind::WorkPrecision { .. } => "work-precision",
            FigureKind::ByPrecision { .. } => "by-precision",
            FigureKind::ByGrid { .. } => "by-grid",
            FigureKind::Perturbation { .. } => "perturbation",
            FigureKind::Amplification {} => "amplification",
            FigureKind::LocalOrders {} => "local-orders",
            FigureKind::ErrorBudget {} => "error-budget",
            FigureKind::ParameterScan { .. } => "parameter-scan",
            FigureKind::Ranks { .. } => "ranks",
            FigureKind::Field { .. } => "field",
            FigureKind::Paths { .. } => "paths",
        }
    }

    /// Labels of the solvers it is confined to; none if it draws all.
    pub fn solvers(&self) -> &[String] {
        match self {
            FigureKind::Convergence { solvers, .. }
            | FigureKind::WorkPrecision { solvers, .. }
            | FigureKind::ByPrecision { solvers, .. }
            | FigureKind::ByGrid { solvers, .. }
            | FigureKind::Perturbation { solvers, .. }
            | FigureKind::Ranks { solvers }
            | FigureKind::Paths { solvers, .. } => solvers,
            _ => &[],
        }
    }

    /// The error it draws, where it was told which.
    fn given_metric(&self) -> Option<&String> {
        match self {
            FigureKind::Convergence { metric, .. }
            | FigureKind::WorkPrecision { metric, .. }
            | FigureKind::ByPrecision { metric, .. }
            | FigureKind::ByGrid { metric, .. }
            | FigureKind::Perturbation { metric, .. }
            | FigureKind::ParameterScan { metric, .. } => metric.as_ref(),
            _ => None,
        }
    }

    /// The error it draws.
    pub fn metric<'a>(&'a self, experiment: &'a Experiment) -> &'a str {
        match self.given_metric() {
            Some(metric) => metric,
            None if experiment.sampled() => experiment.metrics.first().map_or("", String::as_str),
            None => "w2",
        }
    }

    /// Refuses what the experiment has nothing to draw for.
    pub(super) fn check(&self, experiment: &Experiment) -> Result<()> {
        if let Some(metric) = self.given_metric() {
            check_metric(metric, experiment)?;
        }
        let needs = |what: &str, fix: &str| Err(BadInput::new("figure.name", self.name(), what, fix));
        match self {
            FigureKind::ByPrecision { .. } if !experiment.sampled() => {
                needs("needs runs on samples", "add mode = [{ monte-carlo = { precision = \"f32\" } }, ...]")
            }
            FigureKind::ErrorBudget {} | FigureKind::Amplification {} if experiment.sampled() => {
                needs("needs exact laws", "write mode = \"exact\"")
            }
            FigureKind::Ranks { .. } if experiment.rank.is_none() => {
                needs("needs a ranking that predicts", "add rank = { by = \"DATA\" }")
            }
            FigureKind::Field { times, half_side } => {
                check_box(*half_side)?;
                check_dimension(self, &experiment.data, &[2])?;
                check_times(times, experiment)
            }
            FigureKind::Paths { paths, steps, half_side, .. } => {
                check_box(*half_side)?;
                check_dimension(self, &experiment.data, &[1, 2])?;
                if !(1..=MOST_PATHS).contains(paths) {
                    let fix = format!("give a number from 1 to {MOST_PATHS}");
                    return Err(BadInput::new("figure.paths", paths, "is no number of paths to draw", fix));
                }
                check_path_steps(*steps, experiment)
            }
            _ => Ok(()),
        }
    }
}

impl Experiment {
    /// What paths are drawn of: the wanted solvers (all if there are none) on every data law, schedule and grid, in so many
    /// steps, from the first law that runs start from, with the exact model.
    pub fn path_cells(&self, wanted: &[String], steps: Option<usize>) -> Vec<Cell<'_>> {
        let mut cells = Vec::new();
        let solvers = || {
            let called = |s: &&SolverSpec| wanted.is_empty() || wanted.contains(&s.solver.label);
            self.solvers.iter().filter(called)
        };
        for data in &self.data {
            for schedule in &self.schedules {
                for (grid, _) in &self.grids {
                    cells.extend(solvers().filter(|s| s.runs_on(schedule)).map(|spec| Cell {
                        experiment: &self.name,
                        data,
                        schedule,
                        grid,
                        init: self.inits[0],
                        solver: &spec.solver,
                        steps,
                        wrong: None,
                        mode: &self.modes[0],
                        metrics: &self.metrics,
                    }));
                }
            }
        }
        cells
    }
}

fn check_metric(metric: &String, experiment: &Experiment) -> Result<()> {
    if experiment.sampled() {
        if experiment.metrics.contains(metric) {
            return Ok(());
        }
        let known: Vec<&str> = experiment.metrics.iter().map(String::as_str).collect();
        let fix = format!("add it to metrics, or {}", config::suggest(metric, &known));
        return Err(BadInput::new("figure.metric", metric, "is not measured in this experiment", fix));
    }
    if NUMBERS.contains(&metric.as_str()) {
        return Ok(());
    }
    let fix = config::suggest(metric, NUMBERS);
    Err(BadInput::new("figure.metric", metric, "is no column of numbers", fix))
}

fn check_box(half_side: Option<f64>) -> Result<()> {
    match half_side.filter(|b| !(b.is_finite() && *b > 0.0)) {
        Some(b) => {
            Err(BadInput::new("figure.box", b, "is no half side of a square", "give a number above 0"))
        }
        None => Ok(()),
    }
}

fn check_dimension(kind: &FigureKind, all: &[Subject], drawable: &[usize]) -> Result<()> {
    let Some(data) = all.iter().find(|d| !drawable.contains(&d.value.dim())) else { return Ok(()) };
    let wanted = drawable.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ");
    let why = format!("cannot show {} of {} coordinates", data.label, data.value.dim());
    Err(BadInput::new("figure.name", kind.name(), why, format!("give data of {wanted}, or leave it out")))
}

fn check_times(times: &[f64], experiment: &Experiment) -> Result<()> {
    if times.is_empty() || times.len() > MOST_TIMES {
        let why = format!("has {} times", times.len());
        return Err(BadInput::about("figure.times", why, format!("give 1 to {MOST_TIMES}")));
    }
    for schedule in &experiment.schedules {
        let (low, high) = schedule.value.time_range();
        let within = |t: &f64| (low..=high).contains(t) && schedule.value.at(*t).sigma > 0.0;
        if let Some(t) = times.iter().find(|t| !within(t)) {
            let why = format!("has no density on schedule {}", schedule.label);
            let fix = format!("give times above {low} and up to {high}");
            return Err(BadInput::new("figure.times", t, why, fix));
        }
    }
    Ok(())
}

fn check_path_steps(steps: Option<usize>, experiment: &Experiment) -> Result<()> {
    for (grid, ladder) in &experiment.grids {
        for schedule in &experiment.schedules {
            let listed = *ladder == super::Ladder::Own;
            match (listed, steps) {
                (true, Some(n)) => {
                    let fix = "leave it out, or give another grid";
                    return Err(BadInput::new("figure.steps", n, "does not go with an explicit grid", fix));
                }
                (false, None) => {
                    return Err(BadInput::about("figure.steps", "is missing", "add steps = 64"));
                }
                _ => {}
            }
            let levels = grid.value.levels(&schedule.value, steps).map_err(|e| e.within("figure"))?;
            if levels.len() - 1 > MOST_PATH_STEPS {
                let fix = format!("give at most {MOST_PATH_STEPS}");
                return Err(BadInput::new("figure.steps", levels.len() - 1, "is too fine a picture", fix));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "mode = { monte-carlo = { samples = 10 } }\nmetrics = [\"rmse\", \"ks\"]\n";

    fn read(data: &str, figure: &str, rest: &str) -> Result<Experiment> {
        let text = format!(
            "question = \"?\"\ndata = {data}\nfigure = {figure}\n{rest}schedule = {{ name = \"vp-linear\" }}\n\
             grid = {{ name = \"uniform-t\", start = 1.0, end = 0.01, steps = [4] }}\n\
             solver = [{{ name = \"ddim\" }}]"
        );
        Experiment::parse("x", &text, std::path::Path::new("."))
    }

    fn gaussian(modes: usize) -> String {
        format!("{{ name = \"gaussian\", variance = {:?} }}", vec![1.0; modes])
    }

    #[test]
    fn figures_that_have_nothing_to_draw_are_refused_when_the_experiment_is_read() {
        let three = "cannot show gaussian(modes=3) of 3 coordinates";
        for (modes, figure, rest, why) in [
            (3, r#"{ name = "field", times = [0.5] }"#, "", three),
            (1, r#"{ name = "field", times = [0.5] }"#, "", "give data of 2, or leave it out"),
            (3, r#"{ name = "paths", steps = 8 }"#, "", three),
            (2, r#"{ name = "field", times = [] }"#, "", "figure.times has 0 times"),
            (2, r#"{ name = "field", times = [0.5, 1.5] }"#, "", "figure.times = 1.5 has no density"),
            (2, r#"{ name = "field", times = [0.0] }"#, "", "figure.times = 0.0 has no density"),
            (2, r#"{ name = "field", times = [0.5], box = 0.0 }"#, "", "figure.box = 0.0 is no half side"),
            (2, r#"{ name = "paths" }"#, "", "figure.steps is missing; add steps = 64"),
            (2, r#"{ name = "paths", steps = 0 }"#, "", "figure.steps = 0"),
            (2, r#"{ name = "paths", steps = 501 }"#, "", "is too fine a picture; give at most 500"),
            (2, r#"{ name = "paths", steps = 8, paths = 0 }"#, "", "figure.paths = 0 is no number of paths"),
            (2, r#"{ name = "paths", steps = 8, solvers = ["dim"] }"#, "", "did you mean \"ddim\"?"),
            (2, r#""ranks""#, "", "\"ranks\" needs a ranking that predicts; add rank = { by ="),
            (2, r#""by-precision""#, "", "\"by-precision\" needs runs on samples"),
            (2, r#""error-budget""#, SAMPLED, "\"error-budget\" needs exact laws"),
            (2, r#"{ name = "convergence", metric = "w2" }"#, SAMPLED, "is not measured in this experiment"),
            (2, r#"{ name = "work-precision", metric = "rmsee" }"#, SAMPLED, "did you mean \"rmse\"?"),
            (2, r#"{ name = "work-precision", metric = "rmse" }"#, "", "is no column of numbers"),
        ] {
            let e = read(&gaussian(modes), figure, rest).expect_err(figure).to_string();
            assert!(e.contains(why), "{figure}\n got {e}\nwant {why}");
        }
    }

    #[test]
    fn figures_draw_the_first_metric_unless_they_are_told_another() {
        for (figure, rest, want) in [
            (r#""work-precision""#, "", "w2"),
            (r#""by-precision""#, SAMPLED, "rmse"),
            (r#"{ name = "perturbation", metric = "ks" }"#, SAMPLED, "ks"),
            (r#"{ name = "convergence", metric = "kl" }"#, "", "kl"),
        ] {
            let experiment = read(&gaussian(2), figure, rest).expect(figure);
            assert_eq!(experiment.figures[0].metric(&experiment), want);
        }
        let experiment = read(&gaussian(1), r#"{ name = "paths", steps = 8 }"#, "").expect("one coordinate");
        let cells = experiment.path_cells(&[], Some(8));
        assert_eq!((cells.len(), cells[0].steps), (1, Some(8)));
    }
}
