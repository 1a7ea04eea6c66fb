//! The data of a search from what a user writes: presets by name, an experiment file, or TOML.

use std::path::Path;

use toml::{Table, Value};

use super::{Member, Span};
use crate::config;
use crate::data::{Data, Gaussian};
use crate::error::{BadInput, Result};
use crate::experiment::{Experiment, Size, Subject};
use crate::grid::Grid;
use crate::schedule::{Level, Schedule};
use crate::suite;

/// The schedule and the ends, where they are not to be those of the data.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The forward process, as an experiment has it.
    pub schedule: Option<Value>,
    /// First time.
    pub start: Option<f64>,
    /// Last time.
    pub end: Option<f64>,
}

/// Reads every word: names of presets (with commas between), the path of an experiment (`*.toml`, all of its data), or
/// data as an experiment has them, in TOML.
///
/// # Errors
/// Names what is unknown, unreadable or not Gaussian.
pub fn members(words: &[String], frame: &Frame) -> Result<Vec<Member>> {
    let mut all = Vec::new();
    for word in words {
        let word = word.trim();
        if word.starts_with(['{', '[']) {
            let not = || {
                BadInput::new(
                    "--data",
                    word,
                    "is not TOML",
                    "write { name = \"power-law\", modes = 8, p = 1.0 }",
                )
            };
            let list = match config::value(word).ok_or_else(not)? {
                Value::Array(list) => list,
                one => vec![one],
            };
            for data in list {
                all.push(inline(data, frame)?);
            }
        } else if word.ends_with(".toml") {
            all.extend(file(Path::new(word), frame)?);
        } else {
            for name in word.split(',') {
                all.push(named(name.trim(), frame)?);
            }
        }
    }
    for (i, member) in all.iter().enumerate() {
        if all[..i].iter().any(|other| other.label == member.label) {
            return Err(BadInput::new(
                "--data",
                &member.label,
                "is given twice",
                "give it once, or other `label`s",
            ));
        }
    }
    Ok(all)
}

/// A preset spectrum.
pub(super) fn preset(problem: &suite::Problem) -> Result<Member> {
    let (experiment, span) = read_preset(problem)?;
    let data = gaussian(&experiment.data[0])?;
    Ok(Member { written: Some(problem.data.clone()), ..Member::new(&problem.name, data, span) })
}

/// Where a preset's runs start and end.
pub(super) fn span(problem: &suite::Problem) -> Result<Span> {
    read_preset(problem).map(|(_, span)| span)
}

fn read_preset(problem: &suite::Problem) -> Result<(Experiment, Span)> {
    let suite::Problem { data, schedule, start, end, .. } = problem;
    read(data.clone().into(), schedule.clone().into(), *start, *end)
}

fn named(name: &str, frame: &Frame) -> Result<Member> {
    let all = suite::standard();
    let names: Vec<&str> = all.iter().map(|p| p.name.as_str()).collect();
    let Some(problem) = all.iter().find(|p| p.name == name) else {
        let fix = format!("{}; or give the path of an experiment, or TOML", config::suggest(name, &names));
        return Err(BadInput::new("--data", name, "is no preset", fix));
    };
    let mut problem = problem.clone();
    if let Some(schedule) = &frame.schedule {
        problem.schedule = config_table(schedule);
        (problem.start, problem.end) = usual_ends(schedule, frame)?;
    }
    problem.start = frame.start.unwrap_or(problem.start);
    problem.end = frame.end.unwrap_or(problem.end);
    preset(&problem)
}

fn inline(data: Value, frame: &Frame) -> Result<Member> {
    let schedule = frame.schedule.clone().unwrap_or_else(|| "vp-linear".into());
    let (start, end) = usual_ends(&schedule, frame)?;
    let (experiment, span) = read(data.clone(), schedule, start, end)?;
    let subject = &experiment.data[0];
    Ok(Member { written: data.as_table().cloned(), ..Member::new(&subject.label, gaussian(subject)?, span) })
}

fn file(path: &Path, frame: &Frame) -> Result<Vec<Member>> {
    let experiment = Experiment::load(path, &[], Size::Full)?;
    let span = match (&frame.schedule, &experiment.schedules[..]) {
        (Some(value), _) => {
            let (start, end) = usual_ends(value, frame)?;
            let any = "{ name = \"power-law\", modes = 1, p = 1.0 }";
            read(config::value(any).expect("valid TOML"), value.clone(), start, end)?.1
        }
        (None, [one]) => {
            let levels = first_levels(&experiment, &one.value).map_err(|e| e.file(path))?;
            let (first, last) = (levels[0].t, levels[levels.len() - 1].t);
            let (start, end) = (frame.start.unwrap_or(first), frame.end.unwrap_or(last));
            Span { schedule: one.value.clone(), start, end }
        }
        (None, _) => {
            return Err(BadInput::about("schedule", "is a list", "say which with --schedule").file(path));
        }
    };
    let member = |subject: &Subject| {
        let data = gaussian(subject).map_err(|e| e.file(path))?;
        Ok(Member::new(&subject.label, data, span.clone()))
    };
    experiment.data.iter().map(member).collect()
}

/// A grid of an experiment, for its ends.
fn first_levels(experiment: &Experiment, schedule: &Schedule) -> Result<Vec<Level>> {
    let grid = &experiment.grids[0].0.value;
    grid.levels(schedule, (!matches!(grid, Grid::Explicit { .. })).then_some(2))
}

/// The ends of the presets on that schedule, where none are given.
fn usual_ends(schedule: &Value, frame: &Frame) -> Result<(f64, f64)> {
    let name = |table: &Table| table.get("name").and_then(Value::as_str).map(String::from);
    let wanted = name(&config_table(schedule));
    let same = suite::standard().into_iter().find(|p| name(&p.schedule) == wanted);
    match (frame.start.or(same.as_ref().map(|p| p.start)), frame.end.or(same.as_ref().map(|p| p.end))) {
        (Some(start), Some(end)) => Ok((start, end)),
        (None, _) => Err(BadInput::about(
            "--start",
            "is missing",
            "give the first time: no preset is on that schedule",
        )),
        (_, None) => {
            Err(BadInput::about("--end", "is missing", "give the last time: no preset is on that schedule"))
        }
    }
}

/// `"name"` as `{ name = "name" }`.
fn config_table(value: &Value) -> Table {
    match value {
        Value::Table(table) => table.clone(),
        other => Table::from_iter([("name".to_string(), other.clone())]),
    }
}

/// The smallest experiment that holds these, which checks them.
fn read(data: Value, schedule: Value, start: f64, end: f64) -> Result<(Experiment, Span)> {
    let text = format!(
        "question = \"\"\nmode = {{ monte-carlo = {{ samples = 2 }} }}\nsolver = [{{ name = \"ddim\" }}]\n\
         grid = {{ name = \"uniform-lambda\", start = {start:?}, end = {end:?}, steps = [1] }}\n"
    );
    let mut table: Table = text.parse().expect("valid TOML");
    table.insert("data".into(), data);
    table.insert("schedule".into(), schedule);
    let experiment = Experiment::parse("optimise", &table.to_string(), Path::new("."))?;
    let schedule = experiment.schedules[0].value.clone();
    Ok((experiment, Span { schedule, start, end }))
}

fn gaussian(subject: &Subject) -> Result<Gaussian> {
    match (&subject.value, &subject.engine) {
        (Data::Gaussian(data), None) => Ok(data.clone()),
        _ => {
            let fix = "write { name = \"gaussian\", of = ... } for the Gaussian with its moments";
            Err(BadInput::new(
                "data",
                &subject.label,
                "is not Gaussian, and only Gaussians have exact laws",
                fix,
            ))
        }
    }
}
