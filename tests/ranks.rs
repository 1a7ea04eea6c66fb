//! Whether the ranking on one data law predicts that on another: which runs are ranked, and what is made of them.

use std::path::Path;
use std::process::Command;

use scorebench::experiment::{Experiment, Outcome};
use scorebench::metric::rank::correlation;
use scorebench::record::{Measure, RankRow, Row, read_csv, to_csv, write_atomically};

/// Six solvers of one call a step, on two laws.
const SOLVERS: [&str; 6] = ["ddim", "ddim(eta=0.5)", "ddim(eta=1)", "ddpm", "dpmpp-2m", "euler-maruyama"];
const LISTED: &str = r#"solver = [{ name = "ddim" }, { name = "ddim", eta = 0.5 }, { name = "ddim", eta = 1.0 },
    { name = "ddpm" }, { name = "dpmpp-2m" }, { name = "euler-maruyama" }]"#;
const TWO: &str = r#"data = [{ name = "gaussian", label = "plain", variance = [1.0, 0.25] },
    { name = "power-law", label = "steep", modes = 4, p = 2.0 }]"#;
const SAMPLED: &str =
    "mode = { monte-carlo = { samples = 10 } }\nmetrics = [\"sliced_w2\", \"fourth_error\"]\n";

fn parse(data: &str, ladder: &str, solvers: &str, rest: &str) -> scorebench::error::Result<Experiment> {
    let text = format!(
        "question = \"?\"\n{rest}\n{data}\n{solvers}\nschedule = {{ name = \"vp-linear\" }}\n\
         grid = {{ name = \"uniform-t\", start = 1.0, end = 0.01, {ladder} }}\n"
    );
    Experiment::parse("x", &text, Path::new("."))
}

fn experiment(ladder: &str, rest: &str) -> Experiment {
    parse(TWO, ladder, LISTED, rest).unwrap_or_else(|e| panic!("{e}"))
}

/// A row of every cell, with the error that is given for its data, solver and steps.
fn rows(experiment: &Experiment, error: impl Fn(&str, &str, usize) -> Row) -> Vec<Row> {
    let row = |cell: &scorebench::experiment::Cell| {
        let (data, solver, steps) = (cell.data_label(), cell.solver.label.clone(), cell.steps.unwrap_or(0));
        let found = error(&data, &solver, steps);
        Row {
            data,
            solver,
            steps,
            schedule: cell.schedule.label.clone(),
            grid: cell.grid.label.clone(),
            init: cell.init.name().into(),
            mode: cell.mode.label(),
            nfe: found.error.is_empty().then_some(cell.solver.value.calls(steps)),
            ..found
        }
    };
    experiment.cells().iter().map(row).collect()
}

fn place(solver: &str) -> usize {
    SOLVERS.iter().position(|s| *s == solver).expect("a solver of the experiment")
}

fn w2(value: f64) -> Row {
    Row { w2: Some(value), ..Row::default() }
}

/// Ranks 1 to 6 by the first law, 2 1 3 4 6 5 on the other.
fn two_swaps(data: &str, solver: &str) -> f64 {
    let ranks = if data == "plain" { [1.0, 2.0, 3.0, 4.0, 5.0, 6.0] } else { [0.2, 0.1, 0.3, 0.4, 0.6, 0.5] };
    ranks[place(solver)]
}

fn only(experiment: &Experiment, rows: &[Row]) -> RankRow {
    let mut all = experiment.comparisons(rows);
    assert_eq!(all.len(), 1);
    all.remove(0).row
}

#[test]
fn a_ranking_with_two_swaps_has_the_rho_and_the_regret_worked_out_by_hand() {
    let experiment = experiment("steps = [8]", "rank = { by = \"plain\" }");
    let row = only(&experiment, &rows(&experiment, |data, solver, _| w2(two_swaps(data, solver))));
    // 1 - 6 * 4/(6 * 35), and 13 of 15 pairs concordant.
    let near = |found: Option<f64>, want: f64| (found.expect("a number") - want).abs() < 1e-12;
    assert!(near(row.rho, 31.0 / 35.0) && near(row.tau, 11.0 / 15.0), "{row:?}");
    assert!(row.rho_low < row.rho && row.rho < row.rho_high && row.p_value.is_some_and(|p| p < 0.05));
    let words = [&row.data, &row.by, &row.metric, &row.unit, &row.best, &row.error, &row.mode];
    assert_eq!(words.map(String::as_str), ["steep", "plain", "w2", "steps", "ddim", "", ""]);
    assert_eq!((row.budget, row.solvers, row.regret), (8, 6, Some(2.0)));
    assert_eq!((row.noise_low, row.noise_high), (None, None), "exact errors have no noise");
    let said = row.to_string();
    assert!(
        said.starts_with("steep by plain at 8 steps: rho 0.89 [") && said.contains("], tau 0.73, 6 solvers")
    );
    assert!(said.ends_with("; first choice ddim costs 2.00x"), "{said}");
}

#[test]
fn expectations_are_met_failed_or_open() {
    for (least, count) in [(0.88, [1, 0, 0]), (0.89, [0, 1, 0])] {
        let experiment = experiment("steps = [8]", &format!("rank = {{ by = \"plain\", least = {least} }}"));
        let rows = rows(&experiment, |data, solver, _| w2(two_swaps(data, solver)));
        let of = |rows: &[Row]| {
            let outcomes = experiment.outcomes(rows, &[]);
            let count = |test: fn(&Outcome) -> bool| outcomes.iter().filter(|o| test(o)).count();
            [
                count(|o| matches!(o, Outcome::Met(_))),
                count(|o| matches!(o, Outcome::Failed(_))),
                count(|o| matches!(o, Outcome::Open(_))),
            ]
        };
        assert_eq!(of(&rows), count, "{least}");
        assert_eq!(of(&[]), [0, 0, 1], "nothing ran");
    }
}

#[test]
fn budgets_of_calls_rank_what_each_solver_makes_of_them() {
    let solvers = r#"solver = [{ name = "ddim" }, { name = "heun" }, { name = "rk4" }, { name = "ddpm", steps = [3, 7, 20] },
        { name = "dpmpp-2m" }, { name = "deis" }]"#;
    let experiment = parse(TWO, "calls = [8, 9, 3]", solvers, "rank = { by = \"plain\" }").expect("fine");
    let rows = rows(&experiment, |_, _, steps| w2(steps as f64));
    let ranked: Vec<(usize, Vec<(String, f64)>)> = experiment
        .comparisons(&rows)
        .into_iter()
        .map(|c| (c.row.budget, c.pairs.into_iter().map(|p| (p.solver, p.on.value)).collect()))
        .collect();
    let named = |list: &[(&str, f64)]| list.iter().map(|(s, n)| (s.to_string(), *n)).collect::<Vec<_>>();
    let want = [
        // No step of RK4 costs so little.
        (3, named(&[("ddim", 3.0), ("heun", 1.0), ("ddpm", 3.0), ("dpmpp-2m", 3.0), ("deis", 3.0)])),
        (
            8,
            named(&[
                ("ddim", 8.0),
                ("heun", 4.0),
                ("rk4", 2.0),
                ("ddpm", 7.0),
                ("dpmpp-2m", 8.0),
                ("deis", 8.0),
            ]),
        ),
        // Nine calls buy Heun and RK4 no more steps than eight; of its own steps DDPM has none between.
        (9, named(&[("ddim", 9.0), ("heun", 4.0), ("rk4", 2.0), ("dpmpp-2m", 9.0), ("deis", 9.0)])),
    ];
    assert_eq!(ranked, want);
}

#[test]
fn diverged_runs_come_last_and_refused_ones_are_left_out() {
    let experiment = experiment("steps = [8]", "rank = { by = \"plain\" }");
    let failed = |why: &str, w2| Row { error: why.into(), w2, ..Row::default() };
    let rows = rows(&experiment, |data, solver, _| match (data, solver) {
        (_, "ddpm") => failed("undefined: no", None),
        ("steep", "ddim") => failed("diverged: mode 0 of 4 is not finite", Some(f64::INFINITY)),
        _ => w2(two_swaps(data, solver)),
    });
    let comparison = experiment.comparisons(&rows).remove(0);
    let errors: Vec<f64> = comparison.pairs.iter().map(|p| p.on.value).collect();
    assert_eq!(errors, [f64::INFINITY, 0.1, 0.3, 0.6, 0.5]);
    // Ranks 5 1 2 4 3 where 1 to 5 were predicted: 1 - 6 * 22/(5 * 24).
    let row = comparison.row;
    assert!((row.rho.expect("a number") + 0.1).abs() < 1e-12, "{row:?}");
    assert_eq!((row.solvers, row.regret, row.best.as_str()), (5, Some(f64::INFINITY), "ddim"));
    assert!(row.to_string().ends_with("; first choice ddim diverges"));
}

#[test]
fn what_makes_no_ranking_says_why() {
    let experiment = experiment("steps = [8]", "rank = { by = \"plain\" }");
    let all = rows(&experiment, |data, solver, _| w2(two_swaps(data, solver)));
    let three: Vec<Row> = all.iter().filter(|r| place(&r.solver) < 3 || r.data == "plain").cloned().collect();
    let row = only(&experiment, &three);
    assert_eq!((row.rho, row.solvers, row.best.as_str(), row.regret), (None, 3, "", None));
    assert_eq!(row.error, "3 solvers have an error on both, 4 make a ranking");
    let refused = rows(&experiment, |_, _, _| Row { error: "undefined: no".into(), ..Row::default() });
    let want = "0 solvers have an error on both, 4 make a ranking (ddim: undefined: no)";
    assert_eq!(only(&experiment, &refused).error, want);
    let tied =
        rows(&experiment, |data, solver, _| w2(if data == "plain" { 1.0 } else { two_swaps(data, solver) }));
    assert_eq!(only(&experiment, &tied).error, "all solvers are tied");
    // Some tied: ranks 1.5 1.5 3.5 3.5 5.5 5.5 against 2 1 3 4 6 5.
    let pairs = rows(&experiment, |data, solver, _| match data {
        "plain" => w2((place(solver) / 2) as f64 + 1.0),
        _ => w2(two_swaps(data, solver)),
    });
    let rho = only(&experiment, &pairs).rho.expect("a number");
    assert!((rho - 16.0 / (16.0 * 17.5f64).sqrt()).abs() < 1e-12, "{rho}");
}

#[test]
fn errors_on_samples_rank_by_what_lies_above_the_sampling_floor() {
    let measured = |metric: &str, value: f64, excess: Option<f64>| {
        let stderr = Some(0.01);
        let excess_stderr = excess.and(stderr);
        let (value, metric) = (Some(value), metric.into());
        Row {
            measures: vec![Measure { metric, value, stderr, excess, excess_stderr, ..Measure::default() }],
            ..Row::default()
        }
    };
    let distances = experiment("steps = [8]", &format!("{SAMPLED}rank = {{ by = \"plain\" }}"));
    // Values in the opposite order: floors differ.
    let of = |data: &str, solver: &str, _| {
        let error = two_swaps(data, solver);
        measured("sliced_w2", 10.0 - error, Some(error))
    };
    let row = only(&distances, &rows(&distances, of));
    assert!((row.rho.expect("a number") - 31.0 / 35.0).abs() < 1e-12, "{row:?}");
    assert!(row.noise_low <= row.rho && row.noise_low > Some(0.5) && row.noise_high >= row.rho, "{row:?}");
    assert!((row.regret.expect("a number") - 2f64.sqrt()).abs() < 1e-12, "roots of squares: {row:?}");
    assert!(row.mode.starts_with("monte-carlo("), "{row:?}");
    // Nothing was seen of the best.
    let unseen =
        |data: &str, solver: &str, _| measured("sliced_w2", 1.0, Some(two_swaps(data, solver) - 0.15));
    let row = only(&distances, &rows(&distances, unseen));
    assert_eq!((row.rho.is_some(), row.regret), (true, None));

    let fourth = experiment(
        "steps = [8]",
        &format!("{SAMPLED}rank = {{ by = \"plain\", metric = \"fourth_error\" }}"),
    );
    let signed = |data: &str, solver: &str, _| {
        let sign = if place(solver).is_multiple_of(2) { 1.0 } else { -1.0 };
        measured("fourth_error", sign * two_swaps(data, solver), None)
    };
    let row = only(&fourth, &rows(&fourth, signed));
    assert!((row.rho.expect("a number") - 31.0 / 35.0).abs() < 1e-12, "{row:?}");
    // A measure that diverged, and one that such solvers do not have.
    let partly = |data: &str, solver: &str, steps| match (data, solver) {
        ("steep", "ddim") => {
            let error = "diverged: 3 of 10 samples are not finite".into();
            Row {
                measures: vec![Measure { metric: "sliced_w2".into(), error, ..Measure::default() }],
                ..Row::default()
            }
        }
        (_, "ddpm") => Row::default(),
        _ => of(data, solver, steps),
    };
    let row = only(&distances, &rows(&distances, partly));
    assert_eq!((row.solvers, row.regret), (5, Some(f64::INFINITY)));
    assert!(row.noise_high.is_some_and(|r| r < 0.9), "{row:?}");
}

#[test]
fn each_data_start_and_budget_has_a_row_of_its_own() {
    let three = TWO.replace("}]", "}, { name = \"gaussian\", label = \"flat\", variance = [1.0, 0.9] }]");
    let rest = "init = [\"marginal\", \"prior\"]\nrank = { by = \"steep\" }";
    let experiment = parse(&three, "steps = [16, 8]", LISTED, rest).expect("fine");
    // The order is that of the listed solvers, backwards at 8 steps from the prior.
    let mut all = rows(&experiment, |_, solver, steps| w2(place(solver) as f64 + steps as f64));
    for row in all.iter_mut().filter(|r| r.init == "prior" && r.steps == 8 && r.data == "flat") {
        row.w2 = row.w2.map(|w| 100.0 - w);
    }
    let found: Vec<(String, String, usize, f64)> = experiment
        .comparisons(&all)
        .into_iter()
        .map(|c| (c.row.init, c.row.data, c.row.budget, c.row.rho.expect("a number")))
        .collect();
    let mut want = Vec::new();
    for (init, data, steps) in ["marginal", "prior"]
        .iter()
        .flat_map(|i| ["plain", "flat"].map(|d| [8, 16].map(|n| (i, d, n))))
        .flatten()
    {
        let backwards = (*init, data, steps) == ("prior", "flat", 8);
        want.push((init.to_string(), data.to_string(), steps, if backwards { -1.0 } else { 1.0 }));
    }
    assert_eq!(found, want);
}

#[test]
fn rankings_that_cannot_be_are_refused_when_the_experiment_is_read() {
    let one = r#"data = { name = "gaussian", variance = [1.0] }"#;
    let alike =
        r#"data = [{ name = "power-law", modes = 4, p = 1.0 }, { name = "power-law", modes = 4, p = 2.0 }]"#;
    let perturbed = format!("{one}\nperturb = [\"none\", {{ kind = \"bias\", size = 0.1 }}]");
    let few = r#"solver = [{ name = "ddim" }, { name = "ddpm" }, { name = "heun" }]"#;
    for (data, solvers, rest, why) in [
        (
            one,
            LISTED,
            r#"rank = { by = "gaussian" }"#,
            "rank compares data, of which there is only one; write data",
        ),
        (
            TWO,
            LISTED,
            r#"rank = { by = "plian" }"#,
            "rank.by = \"plian\" is not in this experiment; did you mean \"plain\"?",
        ),
        (
            alike,
            LISTED,
            r#"rank = { by = "power-law" }"#,
            "rank.by = \"power-law\" is the name of several data; write one of: ",
        ),
        (
            TWO,
            LISTED,
            r#"rank = { by = "plain", metric = "w3" }"#,
            "rank.metric = \"w3\" is no error to rank by; known: w2",
        ),
        (
            TWO,
            LISTED,
            r#"rank = { by = "plain", metric = "nfe" }"#,
            "rank.metric = \"nfe\" is no error to rank by",
        ),
        (
            TWO,
            LISTED,
            &format!("{SAMPLED}rank = {{ by = \"plain\", metric = \"rmse\" }}"),
            "rank.metric = \"rmse\" is not measured",
        ),
        (TWO, LISTED, "metrics = []\nrank = { by = \"plain\" }", "rank.metric is missing; add metric = "),
        (
            TWO,
            LISTED,
            r#"rank = { by = "plain", least = 1.5 }"#,
            "rank.least = 1.5 is no correlation; give a number from -1 to 1",
        ),
        (TWO, LISTED, r#"rank = { by = "plain", least = nan }"#, "rank.least = NaN is no correlation"),
        (TWO, few, r#"rank = { by = "plain" }"#, "rank ranks solvers, of which there are 3; give at least 4"),
        (TWO, LISTED, r#"rank = { of = "plain" }"#, "rank.of = \"plain\" is not a known key; known: by"),
        (TWO, LISTED, "rank = { least = 0.5 }", "rank.by is missing"),
        (
            TWO,
            LISTED,
            "figure = \"ranks\"",
            "figure.name = \"ranks\" needs a ranking that predicts; add rank = ",
        ),
    ] {
        let e = parse(data, "steps = [4]", solvers, rest).map(drop).expect_err(rest).to_string();
        assert!(e.contains(why), "{rest}\n got {e}\nwant {why}");
    }
    // A right model and a wrong one are two; the name alone means the right one.
    parse(&perturbed, "steps = [4]", LISTED, "rank = { by = \"gaussian(modes=1)\" }").expect("two");
}

#[test]
fn rows_read_back_as_they_were_written() {
    let (rho, regret) = (Some(31.0 / 35.0), Some(f64::INFINITY));
    let row =
        RankRow { data: "net, \"small\"".into(), rho, regret, budget: 24, solvers: 6, ..RankRow::default() };
    let text = to_csv(std::slice::from_ref(&row));
    let header = "experiment,data,by,schedule,grid,init,mode,metric,unit,budget,solvers,rho,rho_low,rho_high,tau,p_value,\
                  noise_low,noise_high,best,regret,error";
    assert_eq!(text.lines().next(), Some(header));
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    write_atomically(file.path(), text.as_bytes()).expect("written");
    assert_eq!(read_csv::<RankRow>(file.path()).expect("read"), [row]);
}

/// The whole way: two Gaussians, exactly, and rho by its textbook formula from the errors that were written.
#[test]
fn a_run_writes_rankings_that_its_own_errors_confirm() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "question = \"Does it?\"\n{TWO}\n{LISTED}\nschedule = {{ name = \"vp-linear\" }}\nfigure = [\"ranks\"]\n\
         grid = {{ name = \"uniform-lambda\", start = 1.0, end = 0.001, calls = [8, 32] }}\n\
         [rank]\nby = \"plain\"\nleast = 1.0\n"
    );
    std::fs::write(folder.path().join("a.toml"), text).expect("written");
    let run = |words: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scorebench"));
        let out = command.args(words.split_whitespace()).current_dir(&folder).output().expect("started");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (out.status.code(), text(out.stdout), text(out.stderr))
    };
    let (code, out, err) = run("run a.toml");
    let at = |name: &str| folder.path().join("results/a").join(name);
    let rows: Vec<RankRow> = read_csv(&at("ranks.csv")).expect("a table");
    let errors: Vec<Row> = read_csv(&at("exact.csv")).expect("a table");
    assert_eq!(
        rows.iter().map(|r| (r.unit.as_str(), r.budget)).collect::<Vec<_>>(),
        [("calls", 8), ("calls", 32)]
    );
    for row in &rows {
        let of = |data: &str, solver: &str| {
            let found = errors.iter().find(|r| r.data == data && r.solver == solver && r.steps == row.budget);
            found.and_then(|r| r.w2).expect("an error")
        };
        let [plain, steep] = ["plain", "steep"].map(|data| SOLVERS.map(|solver| of(data, solver)));
        let rank = |all: &[f64], k: usize| all.iter().filter(|v| **v < all[k]).count() as f64;
        let squares: f64 = (0..6).map(|k| (rank(&plain, k) - rank(&steep, k)).powi(2)).sum();
        let rho = 1.0 - 6.0 * squares / 210.0;
        assert!((row.rho.expect("a number") - rho).abs() < 1e-12, "{row:?} {rho}");
        let c = correlation(&plain, &steep).expect("a ranking");
        assert_eq!((row.rho_low, row.rho_high, row.tau), (Some(c.low), Some(c.high), Some(c.tau)));
        assert!(out.contains(&format!("\nrank: {row}\n")), "{row}\n{out}");
        let failed = rho < 1.0;
        assert_eq!(
            err.contains(&format!("FAILED: rank: {row}, expected rho of at least 1")),
            failed,
            "{err}"
        );
    }
    assert_eq!(code, Some(i32::from(rows.iter().any(|r| r.rho < Some(1.0)))), "{err}");
    let figure = std::fs::read_to_string(at("figure.svg")).expect("a figure");
    for part in [">8 calls</text>", ">32 calls</text>", ">dpmpp-2m</text>", ">error W₂: plain</text>", "ρ = "]
    {
        assert!(figure.contains(part), "{part}");
    }
    assert_eq!(run("run a.toml").1, out, "a rerun says the same");
}
