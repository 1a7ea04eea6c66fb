//! `scorebench compare`: whether results got worse.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::str::FromStr;

use super::{Status, print, say};
use crate::compare::{self, Class, Comparison, Format, Look, Options, Tables};
use crate::error::{BadInput, Result};
use crate::record::write_atomically;

/// Exact numbers are compared up to round-off. Sampled ones are judged by their standard errors, with one rate of false
/// alarms for the whole comparison; where both sides drew the same random numbers, every difference is reported, as
/// `changed` if it is within chance. Rows are matched by what they are of, whatever their order; a run on other seeds
/// matches. Orders count by their verdict.
///
/// Exit codes: 0 fine, 1 a class of --fail-on has a row, 2 something could not be read or compared.
#[derive(Debug, clap::Args)]
pub(super) struct Compare {
    /// What is held to be right: a CSV table, a result folder, a folder of result folders, or either in a commit, as
    /// git:REV:PATH (git:HEAD:results)
    baseline: String,
    /// What is compared with it: the same
    new: String,
    /// Compare these result folders alone, of two folders of them; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Classes that fail: regression, missing, changed, new, improvement, timing, or none
    #[arg(long, value_name = "CLASSES", default_value = "regression,missing")]
    fail_on: String,
    /// text, markdown, github, json or junit, to stdout or to a file; may be given several times. Markdown is appended to
    /// $GITHUB_STEP_SUMMARY too
    #[arg(long, value_name = "FORMAT[=FILE]")]
    format: Vec<Report>,
    /// Show every row that differs, not the worst 20
    #[arg(long)]
    all: bool,
    /// Exact numbers within this share of the baseline's are the same
    #[arg(long, default_value_t = Options::default().rtol)]
    rtol: f64,
    /// And those within this: round-off has no scale of its own
    #[arg(long, default_value_t = Options::default().atol)]
    atol: f64,
    /// Probability that unchanged code on other random numbers has any sampled number called better or worse
    #[arg(long, value_name = "RATE", default_value_t = Options::default().false_alarm)]
    false_alarm: f64,
    /// Compare timing.csv too: geometric means of ratios, which say something of one machine only
    #[arg(long)]
    timing: bool,
    /// Solvers that take more than this many times as long are of class timing
    #[arg(long, value_name = "RATIO", default_value_t = Options::default().slower)]
    slower: f64,
    /// Then write NEW's tables over the baseline's; exit code 0
    #[arg(long)]
    update: bool,
}

/// A format, and the file that it goes to.
#[derive(Clone, Debug)]
struct Report {
    format: Format,
    file: Option<PathBuf>,
}

impl FromStr for Report {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, file) = text.split_once('=').map_or((text, None), |(name, file)| (name, Some(file)));
        let format = Format::ALL.iter().find(|f| f.name() == name);
        let names: Vec<&str> = Format::ALL.iter().map(|f| f.name()).collect();
        let format = *format.ok_or_else(|| format!("give one of {}", names.join(", ")))?;
        match file {
            Some("") => Err("give a file after =, or leave = away".into()),
            file => Ok(Report { format, file: file.map(PathBuf::from) }),
        }
    }
}

impl Compare {
    pub(super) fn go(&self) -> Result<Status> {
        let options = self.options()?;
        let baseline = Tables::read(&self.baseline, &options)?;
        if self.update && self.baseline.starts_with("git:") {
            let fix = "check it out, and give the path of its files";
            return Err(BadInput::new(
                "--update",
                &self.baseline,
                "is in a commit, which cannot be changed",
                fix,
            ));
        }
        let new = Tables::read(&self.new, &options)?;
        let (baseline, new) = self.chosen(baseline, new)?;
        let found = compare::compare(&baseline, &new, &options)?;
        self.report(&found)?;
        if self.update {
            for path in compare::update(&baseline, &new)? {
                say(&format!("written: {}", path.display()));
            }
            return Ok(Status::Fine);
        }
        Ok(if found.failed() { Status::Failed } else { Status::Fine })
    }

    /// What was not run is not missing; what was named must be there.
    fn chosen(&self, baseline: Tables, new: Tables) -> Result<(Tables, Tables)> {
        if self.only.is_empty() {
            return Ok((baseline, new));
        }
        if let Some(name) = self.only.iter().find(|name| !new.holds(name)) {
            let fix = "name folders of results that it holds";
            return Err(BadInput::new("--only", name, format!("is not in {}", self.new), fix));
        }
        Ok((baseline.only(&self.only), new.only(&self.only)))
    }

    fn options(&self) -> Result<Options> {
        let fail_on = classes(&self.fail_on)?;
        let options = Options {
            rtol: self.rtol,
            atol: self.atol,
            false_alarm: self.false_alarm,
            timing: self.timing || fail_on.contains(&Class::Timing),
            slower: self.slower,
            fail_on,
        };
        options.check()?;
        Ok(options)
    }

    fn report(&self, found: &Comparison) -> Result<()> {
        let look = Look { all: self.all, colour: false };
        for Report { format, file } in &self.format {
            let text = found.write(*format, look);
            if *format == Format::Markdown {
                summarise(&text)?;
            }
            match file {
                Some(file) => write_atomically(file, text.as_bytes()).map_err(|e| {
                    BadInput::about("", format!("cannot be written: {e}"), "give a file you may write to")
                        .file(file)
                })?,
                None if *format == Format::Text => {
                    print(&found.write(*format, Look { colour: colours(), ..look }))
                }
                None => print(&text),
            }
        }
        if self.format.iter().all(|report| report.file.is_some()) {
            print(&found.write(Format::Text, Look { colour: colours(), ..look }));
        }
        Ok(())
    }
}

/// Names of classes, separated by commas.
fn classes(text: &str) -> Result<Vec<Class>> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let one = |name: &str| {
        let found = Class::ALL.iter().copied().find(|class| class.name() == name.trim());
        let names: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
        let fix = format!("give some of {}, or none", names.join(", "));
        found.ok_or_else(|| BadInput::new("--fail-on", name, "is no class", fix))
    };
    text.split(',').map(one).collect()
}

/// Whether someone sees colours and wants them (no-color.org).
fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Appends to the summary of a job on GitHub, if this is one.
fn summarise(text: &str) -> Result<()> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|p| !p.is_empty()).map(PathBuf::from)
    else {
        return Ok(());
    };
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| {
        let fix = "point GITHUB_STEP_SUMMARY to a file you may write to, or unset it";
        BadInput::about("", format!("cannot be written: {e}"), fix).file(path)
    })
}
