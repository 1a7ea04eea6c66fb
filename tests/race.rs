//! Races: what they find is known in these, and what they say of it follows from the tables they write.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use scorebench::race::{Found, Options, Race};
use scorebench::run::Ctx;
use scorebench::schedule::Level;
use scorebench::solver::outside::Claims;
use scorebench::solver::registry::{self, Entry};
use scorebench::solver::{Handle, Sample};
use scorebench::state::{Space, State};

const PROGRAM: &str = env!("CARGO_BIN_EXE_scorebench");

/// DDIM from outside the crate, with a factor to spoil it by.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Mine {
    factor: f64,
}

impl Default for Mine {
    fn default() -> Self {
        Mine { factor: 1.0 }
    }
}

impl Sample for Mine {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            let eps = cx.eps(&x, t);
            let step = self.factor * s.alpha * (s.kappa() - t.kappa());
            x = (s.alpha / t.alpha * &x + step * &eps).eval();
        }
        x
    }
}

fn solver(text: &str) -> Handle {
    let table: toml::Table = format!("x = {text}").parse().expect("TOML");
    registry::solver(table["x"].clone()).expect(text)
}

/// Few samples of every sampled problem.
fn small() -> Options {
    Options { samples: Some(256), ..Options::default() }
}

fn race(new: &str, against: &[&str], on: &str, options: Options) -> Found {
    let against: Vec<Handle> = against.iter().map(|s| solver(s)).collect();
    let race = Race::on_preset(&solver(new), &against, on, options).expect("a race");
    race.run(None, &|| ()).expect("no files, no trouble")
}

#[test]
fn a_solver_from_outside_that_is_ddim_ties_with_ddim_everywhere_and_beats_its_spoiled_self() {
    registry::add(Entry::named::<Mine>("mine", Claims::order(1.0).of_ode())).expect("the name is free");
    let found = race("'mine'", &["'ddim'", "{ name = 'mine', factor = 0.8 }"], "quick", small());
    let [same, spoiled] = &found.standings[..] else { panic!("two baselines") };
    assert_eq!((same.wins, same.ties, same.losses, same.tied), (0, 21, 0, 3));
    // Round-off apart, on samples as well.
    assert!(same.ratio.is_some_and(|r| (r - 1.0).abs() < 1e-9) && same.p_value == Some(1.0));
    assert_eq!((same.verdict.as_str(), same.p_least), ("undecided", Some(0.25)));
    assert!(spoiled.wins > spoiled.losses && spoiled.ratio.is_some_and(|r| r < 1.0), "{spoiled:?}");
}

#[test]
fn ddim_loses_to_2m_on_every_problem_and_2m_wins_what_ddim_loses() {
    let options = Options { calls: Some(vec![14, 20, 40]), ..small() };
    for preset in ["spectra", "mixtures"] {
        let down = race("'ddim'", &["'dpmpp-2m'"], preset, options.clone());
        let up = race("'dpmpp-2m'", &["'ddim'"], preset, options.clone());
        let (down, up) = (&down.standings[0], &up.standings[0]);
        assert_eq!((down.lost, down.won, up.won, up.lost), (5, 0, 5, 0), "{preset}");
        assert_eq!((down.wins, down.ties, down.losses), (up.losses, up.ties, up.wins));
        let one = down.ratio.unwrap_or(0.0) * up.ratio.unwrap_or(0.0);
        assert!((one - 1.0).abs() < 1e-12 && up.ratio.is_some_and(|r| r < 0.6), "{up:?}");
    }
}

#[test]
fn points_are_the_errors_of_the_rows_and_between_them_lie_on_their_line() {
    let options = Options { calls: Some(vec![10, 20, 25, 40]), ..Options::default() };
    let found = race("'ddim'", &["'heun'"], "spectra", options);
    let row = |solver: &str, nfe: usize| {
        let of = |r: &&scorebench::record::Row| {
            (r.experiment.as_str(), r.solver.as_str(), r.nfe) == ("steep", solver, Some(nfe))
        };
        found.rows.iter().find(of).and_then(|r| r.w2).expect("a row")
    };
    let point = |calls: usize| {
        let of = |p: &&scorebench::race::PointRow| p.problem == "steep" && p.calls == calls;
        found.points.iter().find(of).expect("a point")
    };
    assert_eq!(point(20).error, Some(row("ddim", 20)));
    assert_eq!(point(20).error_against, Some(row("heun", 20)));
    // Heun has runs of 24 and 40 calls.
    let share = (25f64 / 24.0).ln() / (40f64 / 24.0).ln();
    let want = row("heun", 24).powf(1.0 - share) * row("heun", 40).powf(share);
    let got = point(25).error_against.expect("an error");
    assert!((got / want - 1.0).abs() < 1e-12, "{got} {want}");
}

#[test]
fn solvers_with_noise_are_compared_by_law_and_without_by_paths() {
    let metrics = |new: &str, options: Options| {
        let found = race(new, &["'ddim'"], "quick", options);
        found.contests.iter().map(|c| c.metric.clone()).collect::<Vec<_>>()
    };
    assert_eq!(metrics("'dpmpp-2m'", small()), ["w2", "w2", "rmse"]);
    assert_eq!(metrics("'ddpm'", small()), ["w2", "w2", "sliced_w2"]);
    let by = Options { rank_by: vec!["kl".into(), "energy".into()], ..small() };
    assert_eq!(metrics("'ddpm'", by), ["kl", "kl", "energy"]);
    let by = Options { rank_by: vec!["rmse".into()], ..small() };
    let refused = Race::on_preset(&solver("'ddpm'"), &[solver("'ddim'")], "quick", by);
    assert!(refused.is_err_and(|e| e.to_string().contains("\"rmse\" is none of ddpm")));
}

#[test]
fn a_solver_that_is_not_defined_on_a_problem_is_left_out_there_alone() {
    let bench = Bench::new();
    let file = |last: &str| {
        format!(
            "data = {{ name = 'gaussian', variance = [1.0, 0.1] }}\nschedule = {{ name = 'edm' }}\n\
             grid = {{ name = 'karras', sigma_max = 80.0, sigma_min = 0.01, final = '{last}', steps = [4, 8] }}\n\
             solver = [{{ name = 'rk4' }}]"
        )
    };
    bench.write("field/both.toml", &file("sigma_min"));
    // Without noise lambda is infinite.
    bench.write("field/one.toml", &file("zero"));
    let (new, against) = (solver("{ name = 'heun', clock = 'lambda' }"), [solver("'ddim'")]);
    let refused = Race::on_folder(&new, &against, &bench.path("field/one.toml"), Options::default());
    let why = refused.map(|_| ()).expect_err("nothing is left").to_string();
    assert!(why.contains("holds nothing to race on: one without heun(clock=lambda)"), "{why}");
    let race = Race::on_folder(&new, &against, &bench.path("field"), Options::default()).expect("a race");
    let found = race.run(None, &|| ()).expect("no files, no trouble");
    assert_eq!(found.contests.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["both"]);
    assert!(
        found.left_out.iter().any(|why| why.starts_with("one without heun(clock=lambda): ")),
        "{:?}",
        found.left_out
    );
    assert_eq!(found.standings[0].problems, 1);
}

/// A folder to work in.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Bench(tempfile::tempdir().expect("a folder"))
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().expect("a folder")).expect("made");
        fs::write(self.path(name), text).expect("written");
    }
    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("race").args(args).current_dir(&self.0).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
    /// Exit code, stdout and stderr.
    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let out = self.command(args).output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let said = (out.status.code(), text(out.stdout), text(out.stderr));
        assert!(!said.2.contains("panicked"), "{}", said.2);
        said
    }
}

#[test]
fn bad_input_is_refused_with_the_fix_before_anything_is_written() {
    let bench = Bench::new();
    bench.write("empty/readme.txt", "no experiment");
    bench.write("broken/a.toml", "question = ");
    for (args, want) in [
        (&["dimm", "--against", "heun"][..], "did you mean \"ddim\"?"),
        (&["ddim", "--against", "heun,dpmp-2m"], "did you mean \"dpmpp-2m\"?"),
        (&["ddim", "--against", "heun,ddim"], "--against = \"ddim\" is the new solver itself"),
        (&["ddim", "--against", "heun,heun"], "--against = \"heun\" is named twice"),
        (&["ddim", "--against", ","], "--against names nobody"),
        (&["ddim", "--against", "ddpm-forward"], "--against"),
        (&["ddim", "--against", "heun", "--calls", "10,5"], "--calls = [10, 5] is no ladder"),
        (&["ddim", "--against", "heun", "--calls", "0,5"], "--calls = [0, 5] is no ladder"),
        (&["ddim", "--against", "heun", "--calls", ""], "--calls"),
        (&["ddim", "--against", "heun", "--on", "standrad"], "did you mean \"standard\"?"),
        (&["ddim", "--against", "heun", "--on", "empty"], "holds no experiment"),
        (&["ddim", "--against", "heun", "--on", "broken"], "a.toml: is not valid TOML"),
        (&["ddim", "--against", "heun", "--samples", "9"], "--samples = 9 is no number of samples"),
        (&["ddim", "--against", "heun", "--rank-by", "rmes"], "did you mean \"rmse\"?"),
        (&["ddim", "--against", "heun", "--grid", "karas"], "did you mean \"karras\"?"),
        (&["ddim", "--against", "heun", "--margin=-1"], "--margin"),
        (&["ddim", "--against", "heun", "--targets", "0"], "--targets = 0.0 is no error to reach"),
        (&["ddim"], "--against"),
    ] {
        let (code, _, err) = bench.run(args);
        assert_eq!(code, Some(2), "{args:?}: {err}");
        assert!(err.contains(want), "{args:?}\n got {err}\nwant {want}");
        assert!(!bench.path("race").exists(), "{args:?}");
    }
}

#[test]
fn tables_say_what_was_found_and_a_loss_with_confidence_can_fail() {
    let bench = Bench::new();
    let args =
        ["ddim", "--against", "dpmpp-2m,heun(clock=edm)", "--samples", "256", "--calls", "10,20,40", "--on"];
    let (code, out, err) = bench.run(&[&args[..], &["quick", "--fail-on-loss"]].concat());
    // Three problems prove nothing.
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("These are too few problems for any verdict."), "{out}");
    let names =
        ["race.csv", "problems.csv", "points.csv", "calls.csv", "exact.csv", "sampled.csv", "timing.csv"];
    for name in names.iter().chain(&["figure.svg", "figure.png", "manifest.toml"]) {
        assert!(bench.path("race").join(name).exists(), "{name}");
    }
    assert!(!bench.path("race/.journal").exists());
    let race = bench.text("race/race.csv");
    assert!(race.starts_with("solver,against,wins,ties,losses,problems,won,tied,lost,ratio,"), "{race}");
    assert_eq!(race.lines().count(), 3);
    assert!(bench.text("race/figure.svg").contains(">heun(clock=edm)</text>"));
    let manifest = bench.text("race/manifest.toml");
    assert!(
        manifest.contains("scorebench race 'ddim' --against 'dpmpp-2m,heun(clock=edm)' --on quick"),
        "{manifest}"
    );

    // Six problems that 2M wins: p = 1/32.
    let field: String =
        (0..6).map(|k| format!("{{ name = 'power-law', label = 'p{k}', p = 0.{k}, modes = 4 }}, ")).collect();
    bench.write(
        "field/six.toml",
        &format!(
            "data = [{field}]\nschedule = {{ name = 'vp-linear' }}\nsolver = [{{ name = 'rk4' }}]\n\
             grid = {{ name = 'uniform-lambda', start = 1.0, end = 1e-3, calls = [20, 40] }}"
        ),
    );
    let args = ["ddim", "--against", "dpmpp-2m", "--on", "field", "--json"];
    let (code, out, _) = bench.run(&args);
    let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let row = &value["race"][0];
    assert_eq!((code, &row["lost"], &row["p_value"]), (Some(0), &6.into(), &0.03125.into()), "{row}");
    assert_eq!(row["verdict"], "worse");
    assert_eq!(value["problems"][2]["problem"], "six: p2");
    assert_eq!(bench.run(&[&args[..], &["--fail-on-loss"]].concat()).0, Some(1));
    let (code, ..) = bench.run(&["dpmpp-2m", "--against", "ddim", "--on", "field", "--fail-on-loss"]);
    assert_eq!(code, Some(0));
}

#[test]
fn a_killed_race_resumes_and_ends_with_the_same_tables() {
    let bench = Bench::new();
    let args = ["dpmpp-2m-sde", "--against", "ddim,er-sde", "--on", "mixtures", "--samples", "2048", "--out"];
    let journal = bench.path("out/killed/.journal");
    let lines = || fs::read(&journal).unwrap_or_default().iter().filter(|b| **b == b'\n').count();
    let mut child: Child =
        bench.command(&[&args[..], &["out/killed"]].concat()).spawn().expect("the program starts");
    while lines() < 20 {
        assert!(child.try_wait().expect("a child").is_none(), "done before 20 cells were seen");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    let left = lines();
    let (code, _, err) = bench.run(&[&args[..], &["out/killed"]].concat());
    let line = err.lines().find(|l| l.contains(" cells computed")).expect(&err);
    let words: Vec<usize> = line.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    assert!(code == Some(0) && words[0] + left == words[1] && left >= 20, "{left} of {line}");
    let (code, ..) = bench.run(&[&args[..], &["out/whole"]].concat());
    assert_eq!(code, Some(0));
    for name in
        ["exact.csv", "sampled.csv", "race.csv", "problems.csv", "points.csv", "calls.csv", "figure.svg"]
    {
        let read = |folder: &str| bench.text(&Path::new("out").join(folder).join(name).to_string_lossy());
        assert!(read("killed") == read("whole"), "{name}");
    }
}
