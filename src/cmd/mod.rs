//! The command line. One verb a file; data goes to stdout, talk and progress to stderr.
//!
//! Exit codes: 0 fine, 1 an expectation or a run failed, 2 bad usage or bad input.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod certify;
mod check;
mod doctor;
mod list;
mod run;
mod sample;
mod summary;
mod train;

/// How far is a diffusion sampler from the equation it claims to solve? Exactly, and how fast does that shrink?
#[derive(Debug, Parser)]
#[command(name = "scorebench", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

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
    /// List what can be named in an experiment
    List(list::List),
    /// Say what this program was built with, and which devices answer
    Doctor(doctor::Doctor),
}

/// What a verb found, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Fine,
    Failed,
}

/// Parses the command line and runs it.
pub fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Run(run) => run.go(),
        Verb::Check(check) => check.go(),
        Verb::Sample(sample) => sample.go(),
        Verb::Train(train) => train.go(),
        Verb::Certify(certify) => certify.go(),
        Verb::List(list) => list.go(),
        Verb::Doctor(doctor) => doctor.go(),
    };
    match result {
        Ok(Status::Fine) => ExitCode::SUCCESS,
        Ok(Status::Failed) => ExitCode::from(1),
        Err(problem) => {
            say(&format!("error: {problem}"));
            ExitCode::from(2)
        }
    }
}

/// Overridden keys as they are written on a command line.
fn overrides(set: &[String]) -> String {
    set.iter().map(|s| format!(" --set '{}'", s.replace('\'', r"'\''"))).collect()
}

/// Prints data to stdout. A reader that has gone away (`| head`) wants no more, which is no reason to run no more.
fn print(text: &str) {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            say(&format!("error: standard output cannot be written: {e}"));
            std::process::exit(2);
        }
        _ => {}
    }
}

/// Says a line on stderr, if anyone listens.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
