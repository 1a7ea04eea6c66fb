//! Result folders as one page, as Markdown and as LaTeX. Reads results only; nothing is computed here.
//!
//! ```
//! use scorebench::record::{Row, to_csv};
//! use scorebench::report::Report;
//! # let results = tempfile::tempdir().unwrap();
//! # let results = results.path();
//! let row = Row { solver: "ddim".into(), steps: 8, nfe: Some(8), w2: Some(0.25), ..Row::default() };
//! std::fs::create_dir(results.join("demo")).unwrap();
//! std::fs::write(results.join("demo/exact.csv"), to_csv(&[row])).unwrap();
//!
//! let report = Report::read(results)?;
//! assert!(report.html().starts_with("<!doctype html>"));
//! assert!(report.markdown().contains("demo"));
//! assert!(report.latex().iter().any(|(file, _)| file == "demo.tex"));
//! # Ok::<(), scorebench::error::BadInput>(())
//! ```

use std::path::Path;

use crate::error::Result;

mod claims;
mod escape;
mod html;
mod latex;
mod markdown;
mod pdf;
mod read;
mod svg;
mod tally;

/// What a folder of results holds. The same results give the same bytes, whatever they are written as.
#[derive(Clone, Debug)]
pub struct Report {
    sections: Vec<read::Section>,
}

impl Report {
    /// Reads all result folders in `folder`, by name (but for those of `run --quick`), or `folder` alone if it is one itself.
    ///
    /// # Errors
    /// No result folder; a table, a manifest, a summary or a figure that cannot be read: the file is named.
    pub fn read(folder: &Path) -> Result<Self> {
        Ok(Report { sections: read::sections(folder)? })
    }

    /// One HTML page that needs no other file and no network: questions, verdicts, figures, and all tables in full.
    pub fn html(&self) -> String {
        html::page(&self.sections)
    }

    /// GitHub-flavoured Markdown: questions, verdicts, orders, and calls of well-known solvers.
    pub fn markdown(&self) -> String {
        markdown::document(&self.sections)
    }

    /// A short block for a README, without its markers: verdicts of every question, and calls of well-known solvers.
    pub fn readme(&self) -> String {
        markdown::block(&self.sections)
    }

    /// LaTeX that needs the packages booktabs, longtable and array only, as (file name, bytes): `scorebench.tex` (a document of
    /// all), `numbers.tex` (macros for counts, and for any number of any table by what it is of), `claims.tex`, `errata.tex` and
    /// `audit.tex`; for every folder `NAME.tex`, `NAME-numbers.tex`, `NAME-orders.tex` where a few problems stand side by side,
    /// and its figures as PDF, which are shown where graphicx is
    /// loaded.
    pub fn latex(&self) -> Vec<(String, Vec<u8>)> {
        latex::files(&self.sections)
    }
}
