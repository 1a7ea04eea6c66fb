//! `scorebench check`: every experiment at its smallest size, expectations asserted.

use std::path::PathBuf;

use super::summary;
use super::{Status, print, print_json, say};
use crate::error::{BadInput, Result};
use crate::experiment::{Asked, Size};
use crate::results::Summary;
use crate::runner;

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Folder of experiments
    #[arg(default_value = "experiments")]
    folder: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn go(&self) -> Result<Status> {
        let unreadable = |e: std::io::Error| {
            BadInput::about("", format!("cannot be read: {e}"), "give a folder of experiments")
                .file(&self.folder)
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|e| e == "toml") {
                files.push(path);
            }
        }
        files.sort();
        if files.is_empty() {
            return Err(BadInput::about("", "holds no experiment (*.toml)", "give a folder of experiments")
                .file(&self.folder));
        }
        let mut status = Status::Fine;
        let mut experiments = Vec::new();
        for file in &files {
            match Asked::load(file, &[], Size::Quick) {
                Ok(experiment) => experiments.push(experiment),
                // A template whose data only the user has.
                Err(problem) if problem.is_unfilled() => say(&format!("skipped: {problem}")),
                Err(problem) => return Err(problem),
            }
        }
        let mut all = Vec::new();
        for asked in &experiments {
            let (summary, reduced) = answer(asked);
            let found = summary::report(&summary, !reduced);
            let verdict = if found == Status::Fine { "ok" } else { "FAILED" };
            if self.json {
                let (name, expectations) = (&summary.name, &summary.expectations);
                let verdict = verdict.to_lowercase();
                all.push(serde_json::json!({ "experiment": name, "verdict": verdict, "expectations": expectations }));
            } else {
                print(&format!("{}: {verdict}\n", summary.name));
            }
            status = status.and(found);
        }
        if self.json {
            print_json(&all);
        }
        Ok(status)
    }
}

/// What came of everything that is expected, and whether the file was cut down.
fn answer(asked: &Asked) -> (Summary, bool) {
    match asked {
        Asked::Cells(experiment) => {
            let results = runner::run(experiment, None, &|| ()).expect("nothing is written");
            (experiment.summary(&results.rows(), &results.orders), experiment.reduced)
        }
        Asked::Study(file) => {
            let found = runner::run_study(file, None, &|| ()).expect("nothing is written");
            (file.summary(&found.rows()), file.reduced)
        }
    }
}
