//! `scorebench check`: every experiment at its smallest size, expectations asserted.

use std::path::PathBuf;

use super::summary;
use super::{Status, print, say};
use crate::error::{BadInput, Result};
use crate::experiment::{Experiment, Size};
use crate::runner;

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Folder of experiments
    #[arg(default_value = "experiments")]
    folder: PathBuf,
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
            match Experiment::load(file, &[], Size::Quick) {
                Ok(experiment) => experiments.push(experiment),
                // A template whose data only the user has.
                Err(problem) if problem.is_unfilled() => say(&format!("skipped: {problem}")),
                Err(problem) => return Err(problem),
            }
        }
        for experiment in &experiments {
            let results = runner::run(experiment, None, &|| ()).expect("nothing is written");
            let rows = results.rows();
            let found = summary::report(experiment, &rows, &results.orders, true);
            print(&format!("{}: {}\n", experiment.name, if found == Status::Fine { "ok" } else { "FAILED" }));
            if found == Status::Failed {
                status = Status::Failed;
            }
        }
        Ok(status)
    }
}
