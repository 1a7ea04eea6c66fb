//! The command line. One verb a file; data goes to stdout, talk and progress to stderr.
//!
//! Exit codes: 0 fine, 1 an expectation, a comparison or a run failed, 2 bad usage or bad input.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::BadInput;

mod certify;
mod check;
mod compare;
mod doctor;
mod inspect;
mod list;
mod manual;
mod new_solver;
mod optimise;
mod race;
mod report;
mod run;
mod sample;
mod splice;
mod summary;
mod train;

/// How far is a diffusion sampler from the equation it claims to solve? Exactly, and how fast does that shrink?
#[derive(Debug, Parser)]
#[command(name = "scorebench", version, about, max_term_width = 100, after_help = AFTER, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Say nothing on stderr but what went wrong
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: every reason, how long things took
    #[arg(long, short, global = true)]
    verbose: bool,
}

const AFTER: &str = "\
Exit codes: 0 fine; 1 an expectation, a claim or a comparison failed; 2 bad usage or bad input (nothing is written).
Data goes to stdout, talk and progress to stderr. NO_COLOR and --quiet are honoured.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run experiments; finished cells are kept and skipped on a rerun
    Run(run::Run),
    /// Run every experiment of a folder at its smallest size and assert what it expects; writes nothing
    Check(check::Check),
    /// Draw images from a network, or samples of a data law, with any solver
    Sample(sample::Sample),
    /// Train a network on an image set, to a checkpoint that diffusers reads too
    Train(train::Train),
    /// Measure what solvers claim: orders, costs, stability; exit code 1 if one claims too much
    Certify(certify::Certify),
    /// Hold a file's method to its conditions of order, or print any solver as the weights of its steps
    Inspect(inspect::Inspect),
    /// List what can be named in an experiment
    List(list::List),
    /// Compare results with a baseline; exit code 1 if something got worse or is missing
    Compare(compare::Compare),
    /// Race a solver against others over preset problems: work-precision, wins and losses with confidence, a figure
    Race(race::Race),
    /// Find the levels at which a solver errs least, by its exact law, and say what they are worth on other data
    Optimise(optimise::Optimise),
    /// Write results as one page (HTML), as Markdown, as LaTeX, or into the README
    Report(report::Report),
    /// Start a crate with a solver of your own, which then has all these verbs
    NewSolver(new_solver::NewSolver),
    /// Say what this program was built with and finds here; exit code 1 if something is in the way
    Doctor(doctor::Doctor),
    /// Print completions for a shell
    Completions(manual::Completions),
    /// Print the manual page, or write one for every verb into a folder
    Man(manual::Man),
}

/// What a verb found, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Fine,
    Failed,
}

impl Status {
    /// Failed if either is.
    fn and(self, other: Status) -> Status {
        if self == Status::Failed { self } else { other }
    }
}

/// Parses the command line and runs it.
pub fn main() -> ExitCode {
    let matches = command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    let _ = TALK.set(match (cli.quiet, cli.verbose) {
        (true, _) => Talk::Quiet,
        (_, true) => Talk::Verbose,
        _ => Talk::Usual,
    });
    let result = match cli.verb {
        Verb::Run(run) => run.go(),
        Verb::Check(check) => check.go(),
        Verb::Sample(sample) => sample.go(),
        Verb::Train(train) => train.go(),
        Verb::Certify(certify) => certify.go(),
        Verb::Inspect(inspect) => inspect.go(),
        Verb::List(list) => list.go(),
        Verb::Compare(compare) => compare.go(),
        Verb::Race(race) => race.go(),
        Verb::Optimise(optimise) => optimise.go(),
        Verb::Report(report) => report.go(),
        Verb::NewSolver(new) => new.go(),
        Verb::Doctor(doctor) => doctor.go(),
        Verb::Completions(completions) => completions.go(),
        Verb::Man(man) => man.go(),
    };
    match result {
        Ok(Status::Fine) => ExitCode::SUCCESS,
        Ok(Status::Failed) => ExitCode::from(1),
        Err(problem) => refuse(&problem),
    }
}

/// The exit of a program that was given bad input.
pub(crate) fn refuse(problem: &BadInput) -> ExitCode {
    warn(&format!("error: {problem}"));
    ExitCode::from(2)
}

static PROGRAM: OnceLock<String> = OnceLock::new();

/// What users type: `scorebench`, or the program that holds solvers of its own.
fn program() -> &'static str {
    PROGRAM.get().map_or("scorebench", String::as_str)
}

/// Takes the program's name from its executable.
pub(crate) fn name_after_executable() {
    let stem = |path: std::path::PathBuf| Some(path.file_stem()?.to_string_lossy().into_owned());
    if let Some(name) = std::env::current_exe().ok().and_then(stem) {
        let _ = PROGRAM.set(name);
    }
}

/// The command line's grammar.
fn command() -> clap::Command {
    Cli::command().name(program()).bin_name(program())
}

/// Overridden keys as they are written on a command line.
fn overrides(set: &[String]) -> String {
    set.iter().map(|s| format!(" --set '{}'", s.replace('\'', r"'\''"))).collect()
}

/// Prints data to stdout. A reader that has gone away (`| head`) wants no more, which is no reason to run no more.
fn print(text: &str) {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            warn(&format!("error: standard output cannot be written: {e}"));
            std::process::exit(2);
        }
        _ => {}
    }
}

/// Prints a JSON document to stdout.
fn print_json(value: &impl serde::Serialize) {
    print(&format!("{}\n", serde_json::to_string_pretty(value).expect("plain values")));
}

/// Of cells, under a message.
const CELLS: &str = "{msg} {wide_bar} {pos}/{len} cells, {eta} left";

/// A bar on stderr, where that is a terminal and quiet is not wanted; the template is in indicatif's words.
fn progress(all: u64, template: &str) -> ProgressBar {
    let bar =
        ProgressBar::new(all).with_style(ProgressStyle::with_template(template).expect("a valid template"));
    if talk() == Talk::Quiet {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

/// A table for a terminal: columns side by side, as wide as their widest cell.
fn aligned<R: AsRef<[String]>>(rows: &[R]) -> String {
    let rows: Vec<&[String]> = rows.iter().map(AsRef::as_ref).collect();
    let count = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let width = |k: usize| rows.iter().filter_map(|r| r.get(k)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(c, w)| format!("{c:w$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// How much is said on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Talk {
    Quiet,
    Usual,
    Verbose,
}

static TALK: OnceLock<Talk> = OnceLock::new();

fn talk() -> Talk {
    TALK.get().copied().unwrap_or(Talk::Usual)
}

/// Says a line on stderr, if anyone listens and does not want quiet.
fn say(line: &str) {
    if talk() > Talk::Quiet {
        warn(line);
    }
}

/// Says a line on stderr for those who want to know more.
fn whisper(line: &str) {
    if talk() == Talk::Verbose {
        warn(line);
    }
}

/// Says on stderr what went wrong, whoever listens.
fn warn(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
