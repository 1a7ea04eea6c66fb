//! Optimised grids are optima, and worth what is said of them.

use std::path::Path;
use std::process::{Command, Output};

use scorebench::data::Gaussian;
use scorebench::experiment::{Experiment, Size};
use scorebench::optimise::{Member, Objective, Optimum, Places, Problem, Search, Span};
use scorebench::runner;
use scorebench::schedule::Schedule;
use scorebench::solver::{Handle, registry};

fn span() -> Span {
    Span { schedule: Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 }, start: 1.0, end: 1e-3 }
}

fn solver(label: &str) -> Handle {
    let table: toml::Table = format!("name = '{label}'").parse().expect("valid TOML");
    registry::solver(table.into()).expect("a known solver")
}

fn images(modes: usize) -> Member {
    Member::new("images", Gaussian::power_law(modes, 1.0).expect("valid"), span())
}

fn problem(name: &str, steps: usize, objective: Objective) -> Problem {
    Problem::new(solver(name), steps, vec![images(8)], objective).expect("a problem")
}

fn best(problem: &Problem) -> Optimum {
    problem.optimise(&Search::default()).expect("an optimum")
}

#[test]
fn the_optimum_beats_every_start_and_every_neighbour() {
    for objective in Objective::ALL {
        for name in ["ddim", "dpmpp-2m", "euler-maruyama"] {
            let problem = problem(name, 4, objective);
            let best = best(&problem);
            // (The search keeps its logarithm.)
            assert!((problem.error(0, &best.places) / best.error - 1.0).abs() < 1e-14);
            for start in &best.starts {
                assert!(
                    best.error < start.before && best.error < start.after * (1.0 + 1e-9),
                    "{name}: {start:?}"
                );
            }
            // The error rises in every direction: a level a thousandth of the way to either neighbour.
            for i in 1..4 {
                for to in [i - 1, i + 1] {
                    let mut near = best.places.clone();
                    near.0[i] += 1e-3 * (near.0[to] - near.0[i]);
                    assert!(problem.error(0, &near) > best.error * (1.0 - 1e-12), "{name}, level {i}");
                }
            }
        }
    }
}

/// DDIM on N(0, c) takes `x/alpha` from `kappa` to `l` by the factor `1 - (kappa - l) kappa/(c + kappa^2)`; the exact
/// factor over the whole way is the root of `(c + kappa_N^2)/(c + kappa_0^2)`. All in this file: no code of the crate.
#[test]
fn the_level_of_two_ddim_steps_on_one_mode_is_that_of_a_scan() {
    let c = 0.25;
    let member = Member::new("one", Gaussian::new(vec![0.0], vec![c]).expect("valid"), span());
    let problem = Problem::new(solver("ddim"), 2, vec![member], Objective::W2).expect("a problem");
    // log alpha = -t^2 (20 - 0.1)/4 - 0.1 t/2, kappa^2 = 1/alpha^2 - 1.
    let kappa = |t: f64| (2.0 * (t * t * 19.9 / 4.0 + 0.05 * t)).exp_m1().sqrt();
    let (first, last) = (kappa(1.0), kappa(1e-3));
    let step = |k: f64, l: f64| 1.0 - (k - l) * k / (c + k * k);
    let exact = ((c + last * last) / (c + first * first)).sqrt();
    let error = |k: f64| (step(first, k) * step(k, last) - exact).abs();
    let at = |i: u32| last * (first / last).powf(f64::from(i) / 1e6);
    let scanned = (1..1_000_000).map(at).min_by(|a, b| error(*a).total_cmp(&error(*b))).expect("levels");

    let best = best(&problem);
    let found = (-problem.members()[0].span.lambdas(&best.places)[1]).exp();
    assert!((found / scanned - 1.0).abs() < 1e-4, "{found} where a scan finds {scanned}");
    assert_eq!(best.agree, best.starts.len());
}

#[test]
fn a_family_is_fitted_in_the_mean_of_the_logarithms() {
    let steep = Member::new("steep", Gaussian::power_law(8, 2.0).expect("valid"), span());
    let both = Problem::new(solver("ddim"), 5, vec![images(8), steep], Objective::W2).expect("a problem");
    let found = best(&both);
    let mean = (both.error(0, &found.places) * both.error(1, &found.places)).sqrt();
    assert!((mean / found.error - 1.0).abs() < 1e-12);
    // The best for one alone is no worse on it, and no better in the mean.
    let alone = best(&problem("ddim", 5, Objective::W2));
    assert!(both.error(0, &alone.places) < both.error(0, &found.places));
    assert!(both.mean_error(&alone.places) > both.mean_error(&found.places));
}

#[test]
fn two_searches_agree_on_any_number_of_threads() {
    let problem = problem("dpmpp-2m", 6, Objective::W2);
    let on = |threads| scorebench::parallel::with_threads(Some(threads), || best(&problem)).expect("threads");
    let one = on(1);
    assert_eq!(one, on(3));
    assert_eq!(one.starts.len(), 15);
}

#[test]
fn other_seeds_find_the_same_optimum_of_a_first_order_method() {
    let problem = problem("ddim", 8, Objective::Kl);
    let of = |seed| problem.optimise(&Search { seed, ..Search::default() }).expect("an optimum");
    let (one, two) = (of(1), of(2));
    assert!((one.error / two.error - 1.0).abs() < 1e-6);
    for (a, b) in one.places.0.iter().zip(&two.places.0) {
        assert!((a - b).abs() < 1e-4, "{:?} {:?}", one.places, two.places);
    }
}

#[test]
fn a_zero_of_the_error_is_said_to_be_one() {
    // One mode has one error, and a second-order method has levels at which it crosses zero.
    let member = Member::new("one", Gaussian::new(vec![0.0], vec![0.25]).expect("valid"), span());
    let problem = Problem::new(solver("dpmpp-2m"), 6, vec![member], Objective::W2).expect("a problem");
    let found = best(&problem);
    assert!(found.exact && found.error < 1e-12, "{found:?}");
}

#[test]
fn even_places_are_uniform_lambda() {
    let span = span();
    let (_, rule) = span.rules().swap_remove(0);
    let (of_rule, even) = (Places::of(&rule, &span, 7).expect("a grid"), Places::even(7));
    assert!(of_rule.0.iter().zip(&even.0).all(|(a, b)| (a - b).abs() < 1e-12), "{of_rule:?}");
}

fn command(words: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_scorebench");
    Command::new(binary).arg("optimise").args(words).output().expect("the program starts")
}

#[test]
fn the_experiment_that_is_written_shows_the_number_that_was_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("grid.toml");
    let path = out.to_str().expect("a path");
    let data = "{ name = \"power-law\", modes = 8, p = 1.0 }";
    let words = ["--solver", "heun(clock=edm)", "--calls", "10", "--data", data, "--samples", "0", "--json"];
    let said = command(&[&words[..], &["--out", path]].concat());
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let error = said["optimum"]["error"].as_f64().expect("a number");
    assert_eq!((said["steps"].as_u64(), said["calls"].as_u64()), (Some(5), Some(10)));

    let experiment = Experiment::load(&out, &[], Size::Full).expect("an experiment");
    let results = runner::run(&experiment, None, &|| ()).expect("nothing is written");
    let rows = results.rows();
    assert_eq!(rows.len(), 4);
    assert!((rows[0].w2.expect("a number") / error - 1.0).abs() < 1e-9, "{:?} {error}", rows[0].w2);
    let met = |o: &scorebench::experiment::Outcome| matches!(o, scorebench::experiment::Outcome::Met(_));
    let outcomes = experiment.outcomes(&rows, &results.orders);
    assert!(outcomes.len() == 4 && outcomes.iter().all(met), "{outcomes:?}");
    // Again: over its own file, and over no one else's.
    assert!(command(&[&words[..], &["--out", path]].concat()).status.success());
    std::fs::write(&out, "question = \"mine\"").expect("written");
    assert_eq!(command(&[&words[..], &["--out", path]].concat()).status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&out).expect("a file"), "question = \"mine\"");
}

#[test]
fn what_cannot_be_optimised_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.toml");
    let out = path.to_str().expect("a path");
    let five = "five-modes";
    for (words, want) in [
        (vec!["--solver", "ddmi", "--calls", "5", "--data", five], "did you mean \"ddim\""),
        (vec!["--solver", "rk45", "--calls", "50", "--data", five], "finds its own levels"),
        (vec!["--solver", "ddpm-chain", "--calls", "50", "--data", five], "is a forward chain"),
        (vec!["--solver", "ddpm(variance=exact)", "--calls", "5", "--data", five], "makes no error"),
        (vec!["--solver", "heun", "--calls", "3", "--data", five], "are too few"),
        (vec!["--solver", "ddim", "--steps", "1", "--data", five], "leaves no level free"),
        (vec!["--solver", "ddim", "--steps", "100000", "--data", five], "more than can be searched"),
        (vec!["--solver", "ddim", "--calls", "5", "--data", "ring"], "is not Gaussian"),
        (vec!["--solver", "ddim", "--calls", "5", "--data", "five-mods"], "did you mean \"five-modes\""),
        (vec!["--solver", "ddim", "--calls", "5", "--data", "{ name ="], "is not TOML"),
        (vec!["--solver", "ddim", "--calls", "5", "--data", "none.toml"], "cannot be read"),
        (vec!["--solver", "ddim", "--calls", "5", "--data", "five-modes,five-modes"], "is given twice"),
        (vec!["--solver", "ddim", "--calls", "5", "--data", "five-modes,steep"], "different schedules"),
        (vec!["--solver", "ddim", "--calls", "5", "--data", five, "--objective", "fid"], "w2-data"),
        (vec!["--solver", "ddim", "--calls", "5", "--data", five, "--start", "1e-4"], "swap start and end"),
        (vec!["--solver", "ddim", "--calls", "5", "--data", five, "--end", "0"], "no finite lambda"),
        (
            vec!["--solver", "ddim", "--calls", "5", "--data", five, "--schedule", "heat"],
            "--start is missing",
        ),
    ] {
        let said = command(&[&words[..], &["--samples", "0", "--out", out]].concat());
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(2), "{words:?}: {text}");
        assert!(text.contains(want) && !text.contains("panicked"), "{words:?}\n got {text}want {want}");
        assert!(!Path::new(out).exists(), "{words:?} wrote");
    }
}

/// Errors that argmin 0.11 finds on the same problems, by L-BFGS (More and Thuente's line search) and by Nelder and Mead's
/// method, from 15 and 5 starts: both agree to seven digits.
#[test]
fn other_optimisers_find_the_same_levels() {
    for (name, steps, error) in
        [("ddim", 5, 4.884047e-1), ("ddim", 10, 2.572122e-1), ("dpmpp-2m", 5, 3.310642e-3)]
    {
        let problem = Problem::new(solver(name), steps, vec![images(32)], Objective::W2).expect("a problem");
        let found = best(&problem).error;
        assert!((found / error - 1.0).abs() < 2e-7, "{name}, {steps} steps: {found:e}");
    }
}
