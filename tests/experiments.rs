//! What is committed under `results/` is what the experiments say, and every order they expect is verified.

use std::path::Path;

use scorebench::experiment::{Asked, Experiment, Flows, Size, StudyFile};
use scorebench::record::{OrderRow, Part, Row, SampledRow, read_csv};
use scorebench::results::{Found, Summary, Tables};

fn committed() -> Vec<(Experiment, Vec<Row>, Vec<OrderRow>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("experiments").unwrap() {
        let path = entry.unwrap().path();
        // A template has no results of ours.
        let Ok(experiment) = Experiment::load(&path, &[], Size::Full) else { continue };
        let folder = Path::new("results").join(&experiment.name);
        let rows = match experiment.sampled() {
            false => read_csv(&folder.join("exact.csv")).unwrap(),
            true => SampledRow::cells(read_csv(&folder.join("sampled.csv")).unwrap()),
        };
        let orders = read_csv(&folder.join("orders.csv")).unwrap();
        found.push((experiment, rows, orders));
    }
    assert!(found.len() >= 4);
    found
}

/// Studies and files of claims alone, with their parts.
fn committed_studies() -> Vec<(StudyFile, Vec<Part>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("experiments").unwrap() {
        let Ok(Asked::Study(study)) = Asked::load(&entry.unwrap().path(), &[], Size::Full) else { continue };
        let folder = Path::new("results").join(&study.name);
        let table = |name: &str| folder.join(name);
        let rows = read_csv(&table("measured.csv")).unwrap_or_default();
        let parts = Part::from_rows(rows, read_csv(&table("pictures.csv")).unwrap_or_default());
        found.push((*study, parts));
    }
    assert!(found.len() >= 6);
    found
}

#[test]
fn committed_studies_are_those_of_the_experiments_as_they_read_now() {
    for (study, parts) in committed_studies() {
        let keys: Vec<String> = parts.into_iter().map(|p| p.key).collect();
        let wanted: Vec<String> = study.parts().into_iter().map(|(_, key)| key).collect();
        assert_eq!(keys, wanted, "{}: run it again (or a row was edited)", study.name);
    }
}

#[test]
fn committed_studies_meet_every_expectation_and_leave_none_open() {
    for (study, parts) in committed_studies() {
        let rows: Vec<_> = parts.into_iter().flat_map(|p| p.rows).collect();
        for expected in study.summary(&rows).expectations {
            assert_eq!(expected.verdict, Found::Met, "{}: {}", study.name, expected.text);
        }
    }
}

#[test]
fn studies_measure_what_they_say_they_measure() {
    for (study, parts) in committed_studies() {
        let Some(kind) = study.study.as_ref().filter(|k| !k.quantities().is_empty()) else { continue };
        let known: std::collections::BTreeSet<&str> = kind.quantities().iter().map(|q| q.name).collect();
        let rows = parts.iter().flat_map(|p| &p.rows);
        let found: std::collections::BTreeSet<&str> = rows.map(|r| r.quantity.as_str()).collect();
        assert_eq!(found, known, "{}", study.name);
    }
}

#[test]
fn every_number_of_every_claim_is_in_the_committed_results() {
    let tables =
        |name: &str| Tables::read(&Path::new("results").join(name)).expect("tables that can be read");
    let mut claims = 0;
    for entry in std::fs::read_dir("results").unwrap().flatten().filter(|e| e.path().is_dir()) {
        let Some(summary) = Summary::read(&entry.path()).expect("a summary or none") else { continue };
        for claim in &summary.claims {
            claims += 1;
            for number in &claim.numbers {
                let from = number.experiment.as_deref().unwrap_or(&summary.name);
                let found = number.look_up(&tables(from));
                assert!(found.is_ok(), "{} claim {}: {found:?}", summary.name, claim.id);
            }
        }
    }
    assert!(claims > 13, "{claims} claims");
}

#[test]
fn committed_results_are_those_of_the_experiments_as_they_read_now() {
    for (experiment, rows, _) in committed() {
        // (Edited rows on samples are left out as they are read.)
        let sealed = experiment.sampled() || rows.iter().all(Row::is_sealed);
        assert!(sealed, "{}: a row was edited", experiment.name);
        let keys: Vec<String> = rows.into_iter().map(|r| r.key).collect();
        let cells: Vec<String> = experiment.cells().iter().map(|c| c.key()).collect();
        assert_eq!(keys, cells, "{}: run it again", experiment.name);
    }
}

#[test]
fn committed_results_meet_every_expectation_and_leave_none_open() {
    use scorebench::experiment::Outcome;
    for (experiment, rows, orders) in committed() {
        for outcome in experiment.outcomes(&rows, &orders) {
            assert!(matches!(outcome, Outcome::Met(_)), "{}: {outcome:?}", experiment.name);
        }
    }
}

#[test]
fn committed_numbers_are_computed_again_to_round_off() {
    // One cell in eleven of the small experiments, on every machine that runs the tests.
    for (experiment, rows, _) in committed() {
        for (cell, row) in experiment.cells().iter().zip(&rows).step_by(11).filter(|(c, _)| c.modes() < 100) {
            let flows = Flows::prepare([cell].into_iter(), None);
            let again = cell.run(&flows);
            let close = |a: Option<f64>, b: Option<f64>| match (a, b) {
                (Some(a), Some(b)) => a == b || (a - b).abs() <= 1e-9 * b.abs() + 1e-13,
                (a, b) => a == b,
            };
            // Rounding of f32 and below is part of the numbers; its sums are the same on every machine.
            let measured = |r: &Row| r.measures.iter().map(|m| m.value).collect::<Vec<_>>();
            let (a, b) = (measured(&again), measured(row));
            let sampled = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| close(*a, *b));
            let same = close(again.w2, row.w2)
                && close(again.w2_data, row.w2_data)
                && sampled
                && again.error == row.error;
            assert!(same, "{} {} {}: {:?} for {:?}", row.grid, row.solver, row.steps, again.w2, row.w2);
        }
    }
}
