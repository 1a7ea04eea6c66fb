//! `scorebench run`: experiments to result folders.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::summary;
use super::{CELLS, Status, overrides, print, print_json, program, progress, say, whisper};
use crate::error::{BadInput, Result};
use crate::experiment::{
    Asked, Experiment, FigureKind, Mode, Named, Scale, Size, StudyFigure, StudyFile, Subject,
};
use crate::geometry::{Field, Paths};
use crate::monte_carlo::{self, Precision, Sampling};
use crate::plot::{self, Along, Figure, Looks, PathsOf};
use crate::record::{MeasuredRow, OrderRow, Part, RankRow, Row, SampledRow, TileRow, Timing, to_csv};
use crate::results::{self, Store, Summary};
use crate::schedule::Schedule;
use crate::{parallel, reach, runner};

#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// Experiments in TOML
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Folder of result folders
    #[arg(long, default_value = "results")]
    out: PathBuf,
    /// Threads (all cores if not given); results do not depend on it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// The smallest size that means something, into a folder of its own (NAME-quick)
    #[arg(long)]
    quick: bool,
    /// Forget what earlier runs finished
    #[arg(long)]
    fresh: bool,
    /// Print orders and expectations as JSON
    #[arg(long)]
    json: bool,
    /// Override a key of the files, as in --set data.spectrum=FILE.csv
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Run {
    pub(super) fn go(&self) -> Result<Status> {
        // Everything is read and checked before anything is written.
        let size = if self.quick { Size::Quick } else { Size::Full };
        let experiments: Vec<Asked> =
            self.files.iter().map(|f| Asked::load(f, &self.set, size)).collect::<Result<_>>()?;
        for (i, (experiment, file)) in experiments.iter().zip(&self.files).enumerate() {
            if experiments[..i].iter().any(|e| e.name() == experiment.name()) {
                return Err(BadInput::about(
                    "",
                    "would write to the folder of another file of the same name",
                    "rename it",
                )
                .file(file));
            }
        }
        let (mut status, mut all) = (Status::Fine, Vec::new());
        for asked in &experiments {
            let one = || match asked {
                Asked::Cells(experiment) => self.one(experiment),
                Asked::Study(file) => self.study(file),
            };
            let (found, said) = parallel::with_threads(self.threads.map(usize::from), one)??;
            status = status.and(found);
            all.push(said);
        }
        if self.json {
            print_json(&all);
        }
        Ok(status)
    }

    fn one(&self, experiment: &Experiment) -> Result<(Status, serde_json::Value)> {
        let start = Instant::now();
        let store: Store = self.open(&experiment.name)?;
        let folder = store.folder().to_path_buf();
        let failed =
            |e: std::io::Error| BadInput::about("", format!("cannot be written: {e}"), "").file(&folder);

        let bar = progress(experiment.cells().len() as u64, CELLS).with_message(experiment.name.clone());
        let results = runner::run(experiment, Some(&store), &|| bar.inc(1)).map_err(failed)?;
        bar.finish_and_clear();

        let rows = results.rows();
        let table = match experiment.sampled() {
            false => ("exact.csv", to_csv(&rows)),
            true => ("sampled.csv", to_csv(&rows.iter().flat_map(SampledRow::of).collect::<Vec<_>>())),
        };
        let mut files = vec![
            (table.0.to_string(), table.1.into_bytes()),
            ("timing.csv".to_string(), to_csv(&results.timings()).into_bytes()),
            ("orders.csv".to_string(), to_csv(&results.orders).into_bytes()),
        ];
        if let Some(reach) = &experiment.reach {
            files.push(("calls.csv".to_string(), to_csv(&reach::calls(&rows, reach)).into_bytes()));
        }
        if experiment.rank.is_some() {
            let ranks: Vec<RankRow> = experiment.comparisons(&rows).into_iter().map(|c| c.row).collect();
            files.push(("ranks.csv".to_string(), to_csv(&ranks).into_bytes()));
        }
        let mut summary = experiment.summary(&rows, &results.orders);
        let figures = experiment.figures.iter();
        let figures = figures.map(|kind| (kind.name(), draw(kind, experiment, &rows, &results.orders)));
        summary.figures = add_figures(&mut files, figures);
        files.push((Summary::FILE.to_string(), summary.to_toml().into_bytes()));
        // A rerun that computed nothing says nothing new about where the numbers come from, unless it ends a
        // run that was killed before it could say so.
        if results.computed > 0 || store.resumed() {
            files.push((
                "manifest.toml".to_string(),
                results::manifest(&self.command(&experiment.name)).into_bytes(),
            ));
        }
        store.finish(&files).map_err(failed)?;

        if !self.json {
            print(&summary::table(experiment, &rows, &results.orders));
        }
        let found = summary::report(&summary, false);
        let (done, all) = (results.computed, rows.len());
        say(&format!("{}: {done} of {all} cells computed, results in {}", experiment.name, folder.display()));
        slowest(&results, start.elapsed());
        let said = serde_json::json!({
            "experiment": experiment.name,
            "folder": folder,
            "verdict": if found == Status::Fine { "ok" } else { "failed" },
            "expectations": summary.expectations,
            "orders": results.orders,
            "cells": all,
            "computed": done,
        });
        Ok((found, said))
    }

    fn study(&self, file: &StudyFile) -> Result<(Status, serde_json::Value)> {
        let start = Instant::now();
        let store: Store<Part> = self.open(&file.name)?;
        let folder = store.folder().to_path_buf();
        let failed =
            |e: std::io::Error| BadInput::about("", format!("cannot be written: {e}"), "").file(&folder);
        let bar = progress(file.parts().len() as u64, CELLS).with_message(file.name.clone());
        let found = runner::run_study(file, Some(&store), &|| bar.inc(1)).map_err(failed)?;
        bar.finish_and_clear();

        let (rows, tiles) = (found.rows(), found.tiles());
        let mut files = Vec::new();
        if !rows.is_empty() {
            files.push(("measured.csv".to_string(), to_csv(&rows).into_bytes()));
        }
        if !tiles.is_empty() {
            files.push(("pictures.csv".to_string(), to_csv(&tiles).into_bytes()));
        }
        let mut summary = file.summary(&rows);
        let figures = file.figures.iter().map(|f| (f.name(), draw_study(f, file, &rows, &tiles)));
        summary.figures = add_figures(&mut files, figures);
        files.push((Summary::FILE.to_string(), summary.to_toml().into_bytes()));
        // Claims alone have no numbers of their own that could have changed.
        if found.computed > 0 || store.resumed() || !folder.join("manifest.toml").exists() {
            let manifest = results::manifest(&self.command(&file.name));
            files.push(("manifest.toml".to_string(), manifest.into_bytes()));
        }
        store.finish(&files).map_err(failed)?;

        if !self.json {
            print(&summary::measured(file, &rows));
        }
        let status = summary::report(&summary, false);
        let (done, all) = (found.computed, found.parts.len());
        say(&format!("{}: {done} of {all} parts measured, results in {}", file.name, folder.display()));
        whisper(&format!("  {:.2} s on {} threads", start.elapsed().as_secs_f64(), parallel::threads()));
        let said = serde_json::json!({
            "experiment": file.name,
            "folder": folder,
            "verdict": if status == Status::Fine { "ok" } else { "failed" },
            "expectations": summary.expectations,
            "parts": all,
            "computed": done,
        });
        Ok((status, said))
    }

    /// The result folder of an experiment.
    fn open<T: results::Keep>(&self, name: &str) -> Result<Store<T>> {
        let suffix = if self.quick { "-quick" } else { "" };
        Store::open(&self.out.join(format!("{name}{suffix}")), self.fresh)
    }

    /// The command that makes these results again, whatever else ran beside them.
    fn command(&self, name: &str) -> String {
        let file = self.files.iter().find(|f| stem(f) == name).expect("read from one of the files");
        let quick = if self.quick { " --quick" } else { "" };
        format!("{} run {}{quick}{}", program(), file.display(), overrides(&self.set))
    }
}

/// Adds figures under their names, the first as `figure`; their stems.
fn add_figures(
    files: &mut Vec<(String, Vec<u8>)>,
    figures: impl Iterator<Item = (&'static str, Figure)>,
) -> Vec<String> {
    let mut stems: Vec<String> = Vec::new();
    for (name, figure) in figures {
        let stem = match stems.iter().filter(|s| s.starts_with(name)).count() {
            _ if stems.is_empty() => "figure".to_string(),
            0 => name.to_string(),
            n => format!("{name}-{}", n + 1),
        };
        files.push((format!("{stem}.svg"), figure.svg().into_bytes()));
        files.push((format!("{stem}.png"), figure.png()));
        stems.push(stem);
    }
    stems
}

fn draw_study(figure: &StudyFigure, file: &StudyFile, rows: &[MeasuredRow], tiles: &[TileRow]) -> Figure {
    let StudyFigure::Curves { quantities, cases, x, y, orders } = figure else {
        return plot::pictures(tiles, &file.question);
    };
    let known = file.study.as_ref().map_or(&[][..], |s| s.quantities());
    let along = |name: &String| {
        let (across, up) = known.iter().find(|q| q.name == name).map_or(("", ""), |q| (q.across, q.up));
        let up = if up.is_empty() { name } else { up };
        Along { quantity: name.clone(), across: across.into(), up: up.into() }
    };
    let panels: Vec<Along> = quantities.iter().map(along).collect();
    let looks = Looks { cases, log: (*x == Scale::Log, *y == Scale::Log), orders: *orders };
    plot::curves(rows, &file.question, &panels, &looks)
}

/// For those who want to know more: what took the time.
fn slowest(results: &runner::Results, elapsed: Duration) {
    whisper(&format!("  {:.2} s on {} threads", elapsed.as_secs_f64(), parallel::threads()));
    let mut cells: Vec<&Timing> = results.cells.iter().map(|f| &f.timing).collect();
    cells.sort_by(|a, b| b.seconds.unwrap_or(0.0).total_cmp(&a.seconds.unwrap_or(0.0)));
    for t in cells.iter().take(5) {
        let seconds = t.seconds.unwrap_or(0.0);
        whisper(&format!("  {seconds:.3} s  {} with {} steps, {} modes", t.solver, t.steps, t.modes));
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn draw(kind: &FigureKind, experiment: &Experiment, all_rows: &[Row], orders: &[OrderRow]) -> Figure {
    let (title, wanted) = (&experiment.question, kind.solvers());
    let chosen: Vec<Row> = all_rows.iter().filter(|r| wanted.contains(&r.solver)).cloned().collect();
    let rows = if wanted.is_empty() { all_rows } else { &chosen };
    let metric = kind.metric(experiment);
    match kind {
        FigureKind::Convergence { .. } => plot::convergence(rows, title, metric),
        FigureKind::WorkPrecision { .. } => plot::work_precision(rows, title, metric),
        FigureKind::ByPrecision { .. } => plot::by_precision(rows, title, metric),
        FigureKind::ByGrid { .. } => plot::by_grid(rows, title, metric),
        FigureKind::Perturbation { .. } => plot::perturbation(rows, title, metric),
        FigureKind::Amplification {} => plot::amplification(rows, title),
        FigureKind::LocalOrders {} => {
            // Exact methods have round-off only, whose orders are noise; their rows stay, so that styles do.
            let mut orders = orders.to_vec();
            for order in orders.iter_mut().filter(|o| o.claimed.is_none()) {
                order.local_orders.clear();
            }
            plot::local_orders(&orders, title)
        }
        FigureKind::ErrorBudget {} => plot::error_budget(rows, title),
        FigureKind::ParameterScan { parameter, default, .. } => {
            plot::parameter_scan(rows, title, metric, parameter, *default)
        }
        FigureKind::Ranks { .. } => {
            let mut all = experiment.comparisons(all_rows);
            if !wanted.is_empty() {
                all.iter_mut().for_each(|c| c.pairs.retain(|p| wanted.contains(&p.solver)));
            }
            plot::ranks(&all, title)
        }
        FigureKind::Field { times, half_side } => plot::field(&fields(experiment, times, *half_side), title),
        FigureKind::Paths { paths, steps, half_side, .. } => {
            plot::paths(&walks(experiment, wanted, (*paths, *steps, *half_side)), title)
        }
    }
}

/// The field of every data law on every schedule, with their labels.
fn fields(experiment: &Experiment, times: &[f64], half_side: Option<f64>) -> Vec<(String, String, Field)> {
    let on = |data: &Subject, schedule: &Named<Schedule>| {
        let field = Field::new(&data.value, &schedule.value, times, half_side);
        (data.label.clone(), schedule.label.clone(), field)
    };
    let all = experiment.data.iter().flat_map(|d| experiment.schedules.iter().map(move |s| (d, s)));
    all.map(|(data, schedule)| on(data, schedule)).collect()
}

/// Paths of the wanted solvers (all if there are none), from the first law that the experiment starts from.
fn walks(
    experiment: &Experiment,
    wanted: &[String],
    (count, steps, half_side): (usize, Option<usize>, Option<f64>),
) -> Vec<PathsOf> {
    let mut walks = Vec::new();
    let sampling = experiment.modes.iter().find_map(|mode| match mode {
        Mode::MonteCarlo(sampling) => Some(sampling.clone()),
        Mode::Exact => None,
    });
    let sampling = Sampling { precision: Precision::F64, ..sampling.unwrap_or_default() };
    for cell in experiment.path_cells(wanted, steps) {
        let levels = cell.grid.value.levels(&cell.schedule.value, cell.steps);
        let levels = levels.expect("checked when the experiment was read");
        let run = monte_carlo::Run {
            solver: &cell.solver.value,
            data: &cell.data.value,
            model: monte_carlo::Model::Exact,
            schedule: &cell.schedule.value,
            levels: &levels,
            init: cell.init,
            sampling: sampling.clone(),
        };
        walks.push(PathsOf {
            data: cell.data.label.clone(),
            schedule: cell.schedule.label.clone(),
            grid: cell.grid.label.clone(),
            solver: cell.solver.label.clone(),
            paths: Paths::new(&run, count, half_side),
        });
    }
    walks
}
