//! `scorebench race`: one solver against others over a set of problems.

use std::path::{Path, PathBuf};

use super::certify::from_label;
use super::{CELLS, Status, aligned, print, print_json, program, progress, say};
use crate::error::{BadInput, Result};
use crate::parallel;
use crate::plot;
use crate::race::{self, Found, Options, PRESETS};
use crate::record::{SampledRow, to_csv};
use crate::results::{self, Store};
use crate::solver::{Handle, registry};

/// Writes race.csv (a row a baseline), problems.csv, points.csv, calls.csv, the runs (exact.csv, sampled.csv) and a figure.
#[derive(Debug, clap::Args)]
pub(super) struct Race {
    /// The solver, such as unipc or "unipc(order=3)"
    solver: String,
    /// The others, separated by commas
    #[arg(long, required = true, value_name = "SOLVERS")]
    against: Vec<String>,
    /// standard, spectra, mixtures, digits or quick; or a folder of experiments, for their data, schedules, grids and modes
    #[arg(long, default_value = "standard", value_name = "PRESET|FOLDER")]
    on: String,
    /// Folder to write to
    #[arg(long, default_value = "race")]
    out: PathBuf,
    /// Model calls to compare at [default: 5,7,10,14,20,28,40, or a folder's own]
    #[arg(long, value_delimiter = ',', num_args = 1..)]
    calls: Option<Vec<usize>>,
    /// Samples of problems without an exact law, images of presets an eighth [default: 4096, four times as many of mixtures
    /// where a solver draws noise; or a folder's own]
    #[arg(long)]
    samples: Option<u64>,
    /// Seed of everything random [default: 1, or a folder's own]
    #[arg(long)]
    seed: Option<u64>,
    /// Grid of presets: uniform-lambda or karras
    #[arg(long, default_value = "uniform-lambda")]
    grid: String,
    /// Errors to compare by, the first that a problem has [default: w2 of exact laws; on samples rmse to the exact flow, or
    /// sliced_w2 where a solver draws noise]
    #[arg(long, value_delimiter = ',', value_name = "METRICS")]
    rank_by: Vec<String>,
    /// Errors that differ by so small a share are tied
    #[arg(long, default_value_t = 0.05)]
    margin: f64,
    /// Errors to count the calls to, as shares of the data's root mean square
    #[arg(long, value_delimiter = ',', default_values_t = [1e-1, 1e-2, 1e-3])]
    targets: Vec<f64>,
    /// Exit with 1 if the solver loses to another with confidence
    #[arg(long)]
    fail_on_loss: bool,
    /// The tables as JSON
    #[arg(long)]
    json: bool,
    /// Threads (all cores if not given); results do not depend on it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Forget what earlier runs finished
    #[arg(long)]
    fresh: bool,
}

impl Race {
    pub(super) fn go(&self) -> Result<Status> {
        parallel::with_threads(self.threads.map(usize::from), || self.run())?
    }

    fn run(&self) -> Result<Status> {
        // Everything is read and checked before anything is written.
        let race = self.race()?;
        let store = Store::open(&self.out, self.fresh)?;
        let folder = store.folder().to_path_buf();
        let failed =
            |e: std::io::Error| BadInput::about("", format!("cannot be written: {e}"), "").file(&folder);
        let bar = progress(race.cells() as u64, CELLS).with_message("race");
        let found = race.run(Some(&store), &|| bar.inc(1)).map_err(failed)?;
        bar.finish_and_clear();

        let labels = race.labels();
        let files = self.files(&found, &labels, store.resumed());
        store.finish(&files).map_err(failed)?;
        if self.json {
            print_json(&json(&found, &labels));
        } else {
            print(&table(&found, &labels, self.margin));
        }
        found.left_out.iter().for_each(|why| say(&format!("left out: {why}")));
        let (done, all) = (found.computed, found.rows.len());
        say(&format!("race: {done} of {all} cells computed, results in {}", folder.display()));
        let lost = found.standings.iter().any(|s| s.verdict == "worse");
        Ok(if self.fail_on_loss && lost { Status::Failed } else { Status::Fine })
    }

    fn race(&self) -> Result<race::Race> {
        let all = registry::all();
        let new = from_label(&self.solver, &all)?;
        let words: Vec<&str> = self.against.iter().flat_map(|list| outside_brackets(list)).collect();
        let against: Vec<Handle> = words
            .iter()
            .map(|word| from_label(word, &all))
            .collect::<Result<_>>()
            .map_err(|e| e.within("--against"))?;
        let options = Options {
            calls: self.calls.clone(),
            samples: self.samples,
            seed: self.seed,
            grid: self.grid.clone(),
            rank_by: self.rank_by.clone(),
            margin: self.margin,
            targets: self.targets.clone(),
        };
        let preset = PRESETS.iter().any(|p| p.0 == self.on);
        let path = Path::new(&self.on);
        if !preset && path.exists() {
            race::Race::on_folder(&new, &against, path, options)
        } else {
            race::Race::on_preset(&new, &against, &self.on, options)
        }
    }

    fn files(&self, found: &Found, labels: &[String], resumed: bool) -> Vec<(String, Vec<u8>)> {
        let (exact, sampled): (Vec<_>, Vec<_>) =
            found.rows.iter().cloned().partition(|r| r.sampling().is_empty());
        let sampled: Vec<SampledRow> = sampled.iter().flat_map(SampledRow::of).collect();
        let figure = plot::race(found, labels, &title(found, labels));
        let text = |name: &str, csv: String| (name.to_string(), csv.into_bytes());
        let mut files = vec![
            text("exact.csv", to_csv(&exact)),
            text("sampled.csv", to_csv(&sampled)),
            text("timing.csv", to_csv(&found.timings)),
            text("race.csv", to_csv(&found.standings)),
            text("problems.csv", to_csv(&found.problems)),
            text("points.csv", to_csv(&found.points)),
            text("calls.csv", to_csv(&found.calls)),
            text("figure.svg", figure.svg()),
            ("figure.png".to_string(), figure.png()),
        ];
        // Other baselines make other tables of the same runs.
        let before = std::fs::read_to_string(self.out.join("manifest.toml")).unwrap_or_default();
        let command = self.command();
        let same =
            before.parse::<toml::Table>().is_ok_and(|t| t.get("command") == Some(&command.as_str().into()));
        if found.computed > 0 || resumed || !same {
            files.push(text("manifest.toml", results::manifest(&command)));
        }
        files
    }

    /// The command that makes these results again.
    fn command(&self) -> String {
        let mut command =
            format!("{} race '{}' --against '{}'", program(), self.solver, self.against.join(","));
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                command.push_str(&format!(" --{name} {value}"));
            }
        };
        let list = |values: Vec<String>| (!values.is_empty()).then(|| values.join(","));
        let standard = Options::default();
        option("on", (self.on != "standard").then(|| self.on.clone()));
        option("calls", list(self.calls.iter().flatten().map(usize::to_string).collect()));
        option("samples", self.samples.map(|n| n.to_string()));
        option("seed", self.seed.map(|n| n.to_string()));
        option("grid", (self.grid != standard.grid).then(|| self.grid.clone()));
        option("rank-by", list(self.rank_by.clone()));
        option("margin", (self.margin != standard.margin).then(|| self.margin.to_string()));
        let targets = self.targets.iter().map(f64::to_string).collect();
        option("targets", list(targets).filter(|_| self.targets != standard.targets));
        command
    }
}

/// Splits at the commas that no bracket holds.
fn outside_brackets(list: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = list.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|p| !p.is_empty()).collect()
}

fn title(found: &Found, labels: &[String]) -> String {
    let (others, problems) = (labels.len() - 1, found.contests.len());
    let plural = |n: usize, word: &str| if n == 1 { format!("one {word}") } else { format!("{n} {word}s") };
    let calls = || found.points.iter().map(|p| p.calls);
    let range = match (calls().min(), calls().max()) {
        (Some(low), Some(high)) if low < high => format!(", {low} to {high} model calls"),
        (Some(one), _) => format!(", {one} model calls"),
        _ => String::new(),
    };
    format!("{} against {} on {}{range}", labels[0], plural(others, "solver"), plural(problems, "problem"))
}

fn json(found: &Found, labels: &[String]) -> serde_json::Value {
    serde_json::json!({
        "solver": labels[0],
        "against": labels[1..],
        "race": found.standings,
        "problems": found.problems,
        "points": found.points,
        "calls": found.calls,
        "left_out": found.left_out,
    })
}

/// Standings, calls to reach errors, and what is claimed.
fn table(found: &Found, labels: &[String], margin: f64) -> String {
    let mut text = format!("# {}\n\n", title(found, labels));
    text.push_str(&aligned(&standings(found)));
    let all = |of: fn(&race::Standing) -> usize| found.standings.iter().map(of).sum::<usize>();
    let (wins, ties, losses) = (all(|s| s.wins), all(|s| s.ties), all(|s| s.losses));
    text.push_str(&format!("\nIn all {wins} points won, {ties} tied, {losses} lost.\n"));
    text.push_str("\nCalls to an error of so much of the data's root mean square (-: not reached):\n\n");
    text.push_str(&aligned(&calls(found, labels)));
    let metrics: std::collections::BTreeSet<&str> =
        found.contests.iter().map(|c| c.metric.as_str()).collect();
    let metrics = metrics.into_iter().collect::<Vec<_>>().join(", ");
    let percent = 100.0 * margin;
    let least = found.standings.iter().filter_map(|s| s.p_least).fold(1.0, f64::min);
    text.push_str(&format!(
        "\nErrors ({metrics}) at equal calls; a point is tied within {percent} % or within noise, a problem won as its median \
         point is. ratio: geometric\nmean over problems of {}'s error by the other's, below 1 better, with its 95 % interval \
         over problems like these. p: two-sided sign\ntest on problems won and lost, Holm: for all baselines; so many problems \
         can give {least:.2e} at least. better, worse: Holm's p is at most\n0.05 and the interval leaves out 1.\n",
        labels[0]
    ));
    if least > 0.05 {
        text.push_str("These are too few problems for any verdict.\n");
    }
    text
}

fn standings(found: &Found) -> Vec<Vec<String>> {
    let head = [
        "against",
        "points +",
        "=",
        "-",
        "problems +",
        "=",
        "-",
        "ratio",
        "95 %",
        "spectra",
        "mixtures",
        "images",
        "p",
        "Holm",
        "verdict",
    ];
    let mut rows = vec![head.map(String::from).to_vec()];
    let short = |x: Option<f64>| {
        x.map_or("-".into(), |x| if x < 0.01 { format!("{x:.1e}") } else { format!("{x:.2}") })
    };
    let p = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.4}"));
    for s in &found.standings {
        let interval = match s.ratio_low.zip(s.ratio_high) {
            Some((low, high)) => format!("{} to {}", short(Some(low)), short(Some(high))),
            None => "-".into(),
        };
        let mut row = vec![s.against.clone()];
        row.extend([s.wins, s.ties, s.losses, s.won, s.tied, s.lost].map(|n| n.to_string()));
        row.extend([short(s.ratio), interval]);
        row.extend([s.ratio_spectra, s.ratio_mixtures, s.ratio_images].map(short));
        row.extend([p(s.p_value), p(s.p_holm), s.verdict.clone()]);
        rows.push(row);
    }
    rows
}

/// A row a problem and target, a column a solver; targets that nobody reaches are left out.
fn calls(found: &Found, labels: &[String]) -> Vec<Vec<String>> {
    let mut head = vec!["problem".to_string(), "error".into(), "share".into()];
    head.extend(labels.iter().cloned());
    let mut rows = vec![head];
    for same in found.calls.chunk_by(|a, b| (&a.problem, a.fraction) == (&b.problem, b.fraction)) {
        if same.iter().all(|r| r.calls.is_none()) {
            continue;
        }
        let mut row = vec![same[0].problem.clone(), same[0].metric.clone()];
        row.push(same[0].fraction.map_or(String::new(), |f| f.to_string()));
        row.extend(labels.iter().map(|label| {
            let of = same.iter().find(|r| r.solver == *label).and_then(|r| r.calls);
            of.map_or("-".into(), |c| format!("{c:.1}"))
        }));
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solvers_are_split_at_commas_outside_their_brackets() {
        let list = "ddim, unipc(order=3, variant=bh1),heun(clock=edm),";
        assert_eq!(outside_brackets(list), ["ddim", "unipc(order=3, variant=bh1)", "heun(clock=edm)"]);
        assert!(outside_brackets(" , ").is_empty());
    }
}
