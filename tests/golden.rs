//! Every solver's exact errors against an independent implementation: `golden/error_constants.py` propagates
//! means and variances by recurrences in 50-digit arithmetic, where the bench probes its solvers in f64.

use scorebench::config::read_named;
use scorebench::data::Gaussian;
use scorebench::grid::Grid;
use scorebench::law::{self, Init};
use scorebench::metric::Errors;
use scorebench::schedule::Schedule;
use scorebench::solver::registry;
use toml::Value;

fn table(body: &str) -> Value {
    let text: toml::Table = format!("x = {{ {body} }}").parse().expect("the golden file holds TOML tables");
    text["x"].clone()
}

fn names(list: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    list.iter().map(|(name, _)| *name).collect()
}

#[test]
fn every_solver_has_the_error_constants_of_an_independent_implementation() {
    let data = Gaussian::new(vec![0.0, 1.0, -0.5, 0.0, 0.3], vec![1.0, 0.25, 4.0, 0.01, 0.1]).unwrap();
    let mut covered = std::collections::BTreeSet::new();
    let mut worst: f64 = 0.0;
    let mut wrong = Vec::new();
    for row in csv::Reader::from_path("tests/golden/error_constants.csv").unwrap().records() {
        let row = row.unwrap();
        let schedule: Schedule = read_named(table(&row[0]), &names(Schedule::LIST)).unwrap();
        let grid: Grid = read_named(table(&row[1]), &names(Grid::LIST)).unwrap();
        let levels = grid.levels(&schedule, Some(row[2].parse().unwrap())).unwrap();
        let mut fault =
            |what: String| wrong.push(format!("{} {} {} {}: {what}", &row[0], &row[1], &row[2], &row[3]));
        let solver = match registry::solver(table(&row[3])) {
            Ok(solver) => solver,
            Err(error) => {
                fault(error.to_string());
                continue;
            }
        };
        covered.insert(solver.name());
        let law = law::law_on_path(&solver, &data, &schedule, &levels, Init::Marginal, solver.equation());
        let law = match law {
            Ok(law) => law,
            Err(error) => {
                fault(error.to_string());
                continue;
            }
        };
        if law.nfe.to_string() != row[4] {
            fault(format!("{} calls for {}", law.nfe, &row[4]));
        }
        let errors = Errors::between(&law.moments, &data.marginal(&levels[levels.len() - 1]));
        let to_data = Errors::between(&law.moments, &data.moments()).w2;
        let strong = law.strong_error.unwrap_or(f64::NAN);
        let got = [errors.w2, to_data, errors.kl, errors.mean_error, errors.cov_error, strong];
        for (k, got) in got.into_iter().enumerate() {
            if row[5 + k].is_empty() {
                continue;
            }
            let want: f64 = row[5 + k].parse().unwrap();
            // KL is quadratic in the error of the law, which carries the round-off: compare its root.
            let (got, want) = if k == 2 { (got.sqrt(), want.sqrt()) } else { (got, want) };
            // Round-off of a run, the same for a large error and a small one.
            let off = (got - want).abs() / (want.abs() + 2e-13 / 1e-9);
            worst = worst.max(off);
            if off.is_nan() || off > 1e-9 {
                fault(format!("column {k}: {got:e} for {want:e}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    println!("worst relative difference {worst:e}");
    // (A method without numbers of its own has none here either.)
    let all: std::collections::BTreeSet<_> = registry::all()
        .iter()
        .filter(|e| !e.variants().is_empty() && !e.name.ends_with("-chain"))
        .map(|e| e.name)
        .collect();
    assert_eq!(covered, all, "every sampler has golden numbers");
}
