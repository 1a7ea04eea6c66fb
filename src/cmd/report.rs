//! `scorebench report`: results as a page, as Markdown, as LaTeX, or spliced into the README.

use std::fs;
use std::path::{Path, PathBuf};

use super::splice::Block;
use super::{Status, say};
use crate::error::{BadInput, Result};
use crate::record::write_atomically;
use crate::report;

#[derive(Debug, clap::Args)]
pub(super) struct Report {
    /// Folder of result folders, or one of them
    #[arg(default_value = "results")]
    results: PathBuf,
    /// Where the page goes [default: RESULTS/report.html]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the same as Markdown (and no page, unless --out asks for it)
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write tables and numbers for LaTeX into a folder (and no page, unless --out asks for it)
    #[arg(long, value_name = "FOLDER")]
    latex: Option<PathBuf>,
    /// Write a block of verdicts into the README, between its markers, and nothing else
    #[arg(long, conflicts_with_all = ["out", "markdown", "latex"])]
    readme: bool,
    /// With --readme: exit with 1 if the README is stale, and leave it alone
    #[arg(long, requires = "readme")]
    check: bool,
}

const BLOCK: Block = Block { verb: "report", what: "the report" };

impl Report {
    pub(super) fn go(&self) -> Result<Status> {
        let report = report::Report::read(&self.results)?;
        if self.readme {
            return BLOCK.splice(&report.readme(), self.check);
        }
        if let Some(file) = &self.markdown {
            write(file, report.markdown().as_bytes())?;
            say(&format!("{}: written", file.display()));
        }
        if let Some(folder) = &self.latex {
            let files = report.latex();
            for (name, bytes) in &files {
                write(&folder.join(name), bytes)?;
            }
            say(&format!("{}: {} files written", folder.display(), files.len()));
        }
        let page = match &self.out {
            Some(file) => Some(file.clone()),
            None if self.markdown.is_none() && self.latex.is_none() => Some(self.results.join("report.html")),
            None => None,
        };
        if let Some(file) = page {
            write(&file, report.html().as_bytes())?;
            say(&format!("{}: written", file.display()));
        }
        Ok(Status::Fine)
    }
}

/// Writes a file, in a folder that is made where there is none.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if path.file_name().is_none() {
        return Err(BadInput::about("", "is no file name", "name a file to write").file(path));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).map_or(Ok(()), fs::create_dir_all);
    folder.and_then(|()| write_atomically(path, bytes)).map_err(|e| {
        BadInput::about("", format!("cannot be written: {e}"), "name a place you may write to").file(path)
    })
}
