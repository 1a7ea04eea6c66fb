//! The experiment that shows what was found.

use std::fmt::Write;

use toml::{Table, Value};

use super::compare::{GRIDS, Score, grids};
use super::{Member, Optimum, Problem};
use crate::error::{BadInput, Result};
use crate::schedule::Schedule;

/// The first words of every file that is written here: what may be written over.
pub const MARK: &str = "# Made by `scorebench optimise";

/// An experiment of the optimised grid beside the rules, which expects what was found. `command` is what made it.
///
/// # Errors
/// Data on different schedules or between different ends: they have no one list of levels.
pub fn experiment(problem: &Problem, best: &Optimum, scores: &[Score], command: &str) -> Result<String> {
    check(problem)?;
    let first = &problem.members()[0];
    let solver = problem.solver();
    let mut text = format!("{MARK}{}`.\n", command.trim_start_matches("scorebench optimise"));
    let (objective, agree, starts) = (problem.objective().name(), best.agree, best.starts.len());
    let names: Vec<&str> = problem.members().iter().map(|m| m.label.as_str()).collect();
    let _ = writeln!(
        text,
        "# The levels at which {objective} (of several data: its geometric mean) is least: {:e}.",
        best.error
    );
    let _ = writeln!(text, "# {agree} of {starts} starts came within 1 % of it.");
    for score in scores.iter().filter(|s| s.fitted) {
        if let Some(gain) = score.gain() {
            let _ = writeln!(text, "# On {}: the best rule's error is {gain:.3} times that.", score.data);
        }
    }
    let question = format!(
        "How far is {} in {} steps on the levels fitted to {}, and on those of rules?",
        solver.label(),
        problem.steps(),
        names.join(", ")
    );
    let _ = writeln!(text, "question = {}", Value::String(question));
    let data: Vec<String> = problem.members().iter().map(|m| inline(&data_table(m))).collect();
    list(&mut text, "data", &data);
    let _ = writeln!(text, "schedule = {}", inline(&schedule_table(&first.span.schedule)));
    let mut labelled = grids(&first.span, &best.places);
    labelled[0].insert("label".into(), GRIDS[0].into());
    list(&mut text, "grid", &labelled.map(|grid| inline(&grid)));
    let mut table = Table::from_iter([("name".to_string(), Value::String(solver.name().into()))]);
    table.extend(solver.changed());
    let _ = write!(text, "\n[[solver]]\n{table}");
    for score in scores.iter().filter(|s| s.fitted) {
        let Some(found) = score.errors[0] else { continue };
        let place = |grid: &str| {
            format!(
                "\n[[expect]]\ndata = {}\ngrid = \"{grid}\"\ncolumn = \"{}\"\n",
                Value::String(score.data.clone()),
                problem.objective().column()
            )
        };
        // Digits near round-off are those of the processor's library.
        let _ = write!(text, "{}value = {:e}\nrel = 1e-6\nabs = 1e-12\n", place(GRIDS[0]), found.value);
        for (grid, rule) in GRIDS.iter().zip(&score.errors).skip(1) {
            if rule.is_some_and(|rule| rule.value > found.value) {
                let name = grid.split('(').next().expect("a name");
                let _ = writeln!(text, "{}above = {:e}", place(name), found.value);
            }
        }
    }
    Ok(text)
}

/// Refuses data that one list of levels cannot serve.
///
/// # Errors
/// Data on different schedules or between different ends.
pub fn check(problem: &Problem) -> Result<()> {
    let first = &problem.members()[0];
    for member in problem.members() {
        if member.span != first.span {
            let why = "cannot hold data on different schedules, or between different ends";
            return Err(BadInput::about("--out", why, "give all one --schedule, with --start and --end"));
        }
    }
    Ok(())
}

/// `key = [` a value a line `]`.
fn list(text: &mut String, key: &str, values: &[String]) {
    let _ = writeln!(text, "{key} = [");
    for value in values {
        let _ = writeln!(text, "    {value},");
    }
    let _ = writeln!(text, "]");
}

/// `{ name = "...", ... }` on one line, the name first.
fn inline(table: &Table) -> String {
    let first = |key: &String| [key != "name", key != "label"];
    let mut pairs: Vec<(&String, &Value)> = table.iter().collect();
    pairs.sort_by_key(|(key, _)| (first(key), *key));
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// The data as an experiment names them: as they were written, or mode by mode.
fn data_table(member: &Member) -> Table {
    let mut table = member.written.clone().unwrap_or_else(|| {
        let list = |of: &[f64]| Value::Array(of.iter().copied().map(Value::Float).collect());
        let law = [("mean", member.data.mean()), ("variance", member.data.variance())];
        let law = law.map(|(key, of)| (key.to_string(), list(of)));
        let name = ("name".to_string(), Value::String("gaussian".into()));
        std::iter::once(name).chain(law).collect()
    });
    table.insert("label".into(), Value::String(member.label.clone()));
    table
}

/// `{ name = "...", ... }` of a schedule.
fn schedule_table(schedule: &Schedule) -> Table {
    // Through JSON, whose enums with fields are objects of one key.
    let json = serde_json::to_value(schedule).expect("plain values");
    let tagged = Table::try_from(json).expect("plain values");
    let (name, parameters) = tagged.into_iter().next().expect("the name of the variant");
    let mut table = Table::from_iter([("name".to_string(), Value::String(name))]);
    table.extend(parameters.as_table().cloned().unwrap_or_default());
    table
}
