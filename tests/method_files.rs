//! Methods and grids from files do what the same numbers do anywhere else.

mod common;

use std::fs;
use std::path::Path;

use common::{distance, levels, modes, schedule, solver, table, try_law, variants};
use scorebench::data::Gaussian;
use scorebench::experiment::Experiment;
use scorebench::law::Law;
use scorebench::metric::w2;
use scorebench::schedule::{Level, Schedule};
use scorebench::solver::coefficients::Of;
use scorebench::solver::coefficients::export::{Table, export};
use scorebench::solver::conditions::{WRITTEN, inconsistency, order};
use scorebench::solver::{Handle, registry};

const RULE: &str = "uniform-lambda, start = 1.0, end = 1e-3";

/// The solver of an experiment beside which `files` lie, on a grid of this many steps of [`RULE`].
fn from_files(files: &[(&str, &str)], entry: &str, steps: usize) -> Result<Handle, String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    let grid = format!("{{ name = \"uniform-lambda\", start = 1.0, end = 1e-3, steps = [{steps}] }}");
    experiment(folder.path(), entry, &grid).map(|e| e.solvers[0].solver.value.clone())
}

fn experiment(folder: &Path, entry: &str, grid: &str) -> Result<Experiment, String> {
    let text = format!(
        "question = '?'\ndata = {{ name = 'gaussian', mean = [0.0, 1.0], variance = [1.0, 0.25] }}\n\
         schedule = {{ name = 'vp-linear' }}\ngrid = {grid}\nsolver = [{{ {entry} }}]\n"
    );
    Experiment::parse("files", &text, folder).map_err(|e| e.to_string())
}

fn law(solver: &Handle, schedule: &Schedule, grid: &[Level]) -> Law {
    try_law(solver, &modes(), schedule, grid).unwrap_or_else(|e| panic!("{solver:?}: {e}"))
}

/// How far two laws are apart, in standard deviations.
fn apart(a: &Law, b: &Law) -> f64 {
    distance(&a.moments, &b.moments, &b.moments)
}

fn committed(name: &str) -> String {
    fs::read_to_string(Path::new("experiments/tables").join(name)).expect("it is committed")
}

#[test]
fn rk4_from_a_file_is_the_built_in_one_bit_for_bit() {
    let vp = schedule("vp-linear");
    let text = committed("rk4.toml");
    for clock in ["t", "edm", "lambda"] {
        let entry = format!("file = 'mine.toml', clock = '{clock}'");
        let mine = from_files(&[("mine.toml", &text)], &entry, 8).unwrap();
        let grid = levels(&vp, RULE, 8);
        let built_in = solver(&format!("rk4, clock = \"{clock}\""));
        assert_eq!(law(&mine, &vp, &grid), law(&built_in, &vp, &grid), "{clock}");
        assert_eq!(mine.label(), format!("runge-kutta(RK4, clock={clock})"));
    }
}

#[test]
fn an_exponential_table_from_a_file_is_the_built_in_one_bit_for_bit() {
    let vp = schedule("vp-linear");
    let mine = from_files(&[("mine.toml", &committed("krogstad.toml"))], "file = 'mine.toml'", 8).unwrap();
    let grid = levels(&vp, RULE, 8);
    let built_in = solver("exponential-runge-kutta, table = \"krogstad-4\"");
    assert_eq!(law(&mine, &vp, &grid), law(&built_in, &vp, &grid));
    assert_eq!(mine.label(), "exponential-runge-kutta(Krogstad)");
}

#[test]
fn adams_bashforth_from_a_file_is_the_built_in_one_on_equal_steps() {
    let vp = schedule("vp-linear");
    let betas = [
        (1, "[1.0]"),
        (2, "[1.5, -0.5]"),
        (3, "[1.9166666666666667, -1.3333333333333333, 0.4166666666666667]"),
        (4, "[2.2916666666666665, -2.4583333333333335, 1.5416666666666667, -0.375]"),
    ];
    for (clock, rule) in [("lambda", RULE), ("t", "uniform-t, start = 1.0, end = 1e-3")] {
        for ((order, beta), warm_up) in
            betas.into_iter().flat_map(|b| ["published", "one-step", "exact"].map(|w| (b, w)))
        {
            let text = format!("name = 'linear-multistep'\nbeta = {beta}\norder = {order}\n");
            let entry = format!("file = 'ab.toml', clock = '{clock}', warm_up = '{warm_up}'");
            let mine = from_files(&[("ab.toml", &text)], &entry, 16).unwrap();
            let grid = levels(&vp, rule, 16);
            let built_in = solver(&format!(
                "adams-bashforth, order = {order}, clock = \"{clock}\", warm_up = \"{warm_up}\""
            ));
            let (mine, built_in) = (law(&mine, &vp, &grid), law(&built_in, &vp, &grid));
            let off = apart(&mine, &built_in);
            // Round-off in the weights, amplified by what the method amplifies.
            let size = built_in.gain.iter().fold(1.0, |m: f64, g| m.max(g.abs()));
            assert!(off < 1e-11 * size.max(built_in.moments.std[0]), "{clock} {order} {warm_up}: {off:e}");
            assert_eq!(mine.nfe, built_in.nfe);
        }
    }
    // The published two-step form with exponentials, whose weights are those of a small step.
    let held = from_files(
        &[("ab.toml", "name = 'linear-multistep'\nbeta = [1.5, -0.5]\nform = 'd'")],
        "file = 'ab.toml'",
        16,
    );
    let (grid, built_in) = (levels(&vp, RULE, 16), solver("dpmpp-2m"));
    assert!(apart(&law(&held.unwrap(), &vp, &grid), &law(&built_in, &vp, &grid)) < 1e-13);
}

#[test]
fn a_multistep_method_with_older_states_has_its_order_on_equal_steps() {
    // Two steps of order 3 (Hairer, Norsett & Wanner 1993, III.3, with a free root at 0.5 for stability).
    let text = "name = 'linear-multistep'\nalpha = [0.5, 0.5]\nbeta = [1.75, -0.25]\n";
    let vp = schedule("vp-linear");
    let mine = from_files(&[("mine.toml", text)], "file = 'mine.toml', clock = 'lambda'", 16).unwrap();
    assert_eq!(mine.proofs()[0].found, 2.0);
    let error = |steps| {
        let grid = levels(&vp, "uniform-lambda, start = 0.3, end = 0.02", steps);
        w2(&law(&mine, &vp, &grid).moments, &modes().marginal(&grid[steps]))
    };
    let slope = (error(256) / error(512)).log2();
    assert!((slope - 2.0).abs() < 0.05, "{slope}");
}

#[test]
fn multistep_numbers_that_keep_no_order_are_refused_with_what_they_miss() {
    for (text, want) in [
        (
            "beta = [1.5, -0.4]",
            "beta is inconsistent: the clock to the power 1 comes out as 1.1 where it is 1.0, off by 1.0e-1",
        ),
        (
            "alpha = [0.9]\nbeta = [1.0]",
            "alpha is inconsistent: the sum of alpha comes out as 0.9 where it is 1.0, off by 1.0e-1",
        ),
        (
            "beta = [1.5, -0.5]\norder = 3",
            "order = 3 is not an order that the numbers have: the clock to the power 3 is off by",
        ),
        // Of order 3 and useless (the same, III.3, eq. 3.1).
        ("alpha = [-4.0, 5.0]\nbeta = [4.0, 2.0]", "alpha is not zero-stable"),
        ("alpha = [2.0, -1.0]\nbeta = [1.0, -1.0]\norder = 1", "alpha is not zero-stable"),
        ("beta = [1.5, -0.5]\nform = 'd'\norder = 3", "order = 3 is more than weights"),
        ("beta = [1.5, -0.5]\nform = 'd'\nclock = 'edm'", "clock does not go with a form"),
        ("beta = []", "beta is missing"),
        ("beta = [1.0, inf]", "beta[1] = inf is not finite"),
    ] {
        let text = format!("name = 'linear-multistep'\n{text}");
        let refused = from_files(&[("mine.toml", &text)], "file = 'mine.toml'", 8).expect_err(&text);
        assert!(refused.contains("mine.toml: solver[0].") && refused.contains(want), "{text}: {refused}");
    }
    // Whoever claims nothing is held to nothing.
    let wild = "name = 'linear-multistep'\nalpha = [-4.0, 5.0]\nbeta = [4.0, 2.0]\norder = 0";
    assert!(from_files(&[("mine.toml", wild)], "file = 'mine.toml'", 8).is_ok());
}

fn exported(text: &str, grid: &[Level], of: Of) -> Result<Table, String> {
    export(&solver(text), &schedule("vp-linear"), grid, of)
}

#[test]
fn samplers_as_coefficients_from_a_file_reproduce_their_laws() {
    let vp = schedule("vp-linear");
    let grid = levels(&vp, RULE, 10);
    for (text, of, noisy) in [
        ("ddim", Of::D, false),
        ("ddim", Of::Eps, false),
        ("dpmpp-2m", Of::D, false),
        ("dpmpp-2m, form = \"eps\"", Of::Eps, false),
        ("abnorsett, order = 4, form = \"eps\"", Of::Eps, false),
        ("unipc", Of::D, false),
        ("ddpm", Of::D, true),
        ("ddim, eta = 0.5", Of::D, true),
        ("dpmpp-2m-sde", Of::D, true),
        ("euler-maruyama", Of::D, true),
    ] {
        let rows = exported(text, &grid, of).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert!(rows.is_a_grid(), "{text}");
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("rows.csv"), rows.csv()).expect("written");
        // (Euler's rows are not exact for constants.)
        let entry = "file = 'rows.csv', inconsistent = true";
        let of_file = "{ name = 'explicit', file = 'rows.csv' }";
        let read = experiment(folder.path(), entry, of_file).unwrap_or_else(|e| panic!("{text}: {e}"));
        let again = &read.solvers[0].solver.value;
        let own = read.grids[0].0.value.levels(&vp, None).expect(text);
        let (want, got) = (law(&solver(text), &vp, &grid), law(again, &vp, &own));
        let off = apart(&got, &want);
        assert!(off < 1e-14, "{text} by {of:?}: {off:e}");
        assert_eq!((got.nfe, got.draws), (want.nfe, want.draws), "{text}");
        assert_eq!((noisy, again.draws(10)), (want.draws > 0, want.draws), "{text}");
    }
}

#[test]
fn every_sampler_of_the_catalogue_is_a_table_of_coefficients_or_says_why_not() {
    let vp = schedule("vp-linear");
    let data = Gaussian::new(vec![0.3, -1.0], vec![0.5, 2.0]).expect("legal");
    let (mut same, mut tables, mut refused) = (0, 0, Vec::new());
    for solver in variants().into_iter().filter(|s| !s.forward()) {
        let grid = levels(&vp, RULE, 12 / solver.cycle() * solver.cycle());
        let rows = match export(&solver, &vp, &grid, Of::D) {
            Err(why) => {
                refused.push(format!("{}: {why}", solver.label()));
                continue;
            }
            Ok(rows) => rows,
        };
        if !rows.is_a_grid() {
            tables += 1;
            continue;
        }
        let again = Handle::new(rows.rows);
        let run = |s: &Handle, grid: &[Level]| try_law(s, &data, &vp, grid).expect("it runs").moments;
        let (want, got) = (run(&solver, &grid), run(&again, &rows.levels));
        let off = distance(&got, &want, &want);
        assert!(off < 1e-11, "{}: {off:e}", solver.label());
        same += 1;
    }
    assert!(same > 100 && tables > 20, "{same} run again, {tables} to read");
    assert!(refused.len() < 110, "{}", refused.join("\n"));
    assert!(refused.iter().any(|r| r.contains("noise of an earlier one")), "{}", refused.join("\n"));
}

#[test]
fn rows_of_known_methods_meet_the_conditions_of_their_order_step_by_step() {
    let vp = schedule("vp-linear");
    let grid = levels(&vp, "quadratic-t, start = 1.0, end = 1e-3", 7);
    for (text, of, kept) in [
        ("ddim", Of::D, 1),
        ("ddpm", Of::D, 1),
        ("abnorsett, order = 2", Of::D, 2),
        ("abnorsett, order = 3", Of::D, 3),
        ("abnorsett, order = 4", Of::D, 4),
        ("abnorsett, order = 3, form = \"eps\"", Of::Eps, 3),
        ("dpmpp-2m, solver_type = \"heun\"", Of::D, 2),
    ] {
        let rows = Handle::new(exported(text, &grid, of).expect(text).rows);
        let all = rows.conditions(Some((&vp, &grid)));
        assert_eq!(order(&all, 1e-11), kept, "{text}: {all:#?}");
        assert!(inconsistency(&all, 1e-13).is_none(), "{text}");
    }
    // Half the slope instead of phi_2: of second order as steps shrink, and not exact for a straight line.
    let rows = Handle::new(exported("dpmpp-2m", &grid, Of::D).unwrap().rows);
    let all = rows.conditions(Some((&vp, &grid)));
    let line: Vec<_> = all.iter().filter(|c| c.order == 2).map(|c| c.off).collect();
    assert!(order(&all, WRITTEN) == 1 && line.iter().all(|off| (1e-3..1.0).contains(off)), "{line:?}");
    // With noise, straight lines are those of the member of the family that has this noise.
    let sde = Handle::new(exported("dpmpp-2m-sde, solver_type = \"heun\"", &grid, Of::D).unwrap().rows);
    assert_eq!(order(&sde.conditions(Some((&vp, &grid))), 1e-11), 2);
}

#[test]
fn a_coefficient_that_is_one_percent_off_is_reported_with_its_step_and_residual() {
    let grid = levels(&schedule("vp-linear"), RULE, 6);
    let mut rows = exported("dpmpp-2m", &grid, Of::D).unwrap();
    rows.rows.d.as_mut().unwrap()[3].0[0] *= 1.01;
    let text = rows.csv();
    let entry = "file = 'rows.csv'";
    let refused = from_files(&[("rows.csv", &text)], entry, 6).unwrap_err();
    assert!(
        refused.contains("step 3: constant d comes out as") && refused.contains("inconsistent = true"),
        "{refused}"
    );
    let meant = from_files(&[("rows.csv", &text)], &format!("{entry}, inconsistent = true"), 6).unwrap();
    assert_eq!(meant.label(), "coefficients(rows, inconsistent=true)");
    let all = meant.conditions(Some((&schedule("vp-linear"), &grid)));
    let worst = inconsistency(&all, WRITTEN).unwrap();
    assert_eq!((worst.step, worst.what.as_str()), (Some(3), "constant d"));
    assert!((1e-3..2e-2).contains(&worst.off), "{worst:?}");
    // On another grid, or another number of steps, the numbers mean nothing.
    let refused =
        from_files(&[("rows.csv", &text)], "file = 'rows.csv', inconsistent = true", 7).unwrap_err();
    assert!(refused.contains("it has coefficients for 6 steps, and the grid has 7"), "{refused}");
    let other = levels(&schedule("vp-linear"), "quadratic-t, start = 1.0, end = 1e-3", 6);
    let refused = meant.check_grid(&schedule("vp-linear"), &other).unwrap_err();
    assert!(refused.contains("at level 1, where the grid has"), "{refused}");
}

#[test]
fn columns_by_step_say_what_columns_newest_first_say() {
    let grid = levels(&schedule("vp-linear"), RULE, 3);
    let (a, b, c) = ("0.9,0.2,,", "0.8,0.3,-0.1,", "0.7,0.4,-0.2,0.05");
    let newest = format!("x,d0,d1,d2\n{a}\n{b}\n{c}\n");
    let by_step = "x@0,x,d@0,d@1,d@2\n,0.9,0.2,,\n,0.8,-0.1,0.3,\n,0.7,0.05,-0.2,0.4\n";
    let same = "x@0,x@1,x@2,d@0,d@1,d@2\n0.9,,,0.2,,\n,0.8,,-0.1,0.3,\n,,0.7,0.05,-0.2,0.4\n";
    let toml = "name = 'coefficients'\nx = [0.9, 0.8, [0.7]]\nd = [[0.2], [0.3, -0.1], [0.4, -0.2, 0.05]]\n";
    let files = [("a.csv", newest.as_str()), ("b.csv", by_step), ("c.csv", same), ("d.toml", toml)];
    let read: Vec<Handle> = files
        .iter()
        .map(|(name, _)| from_files(&files, &format!("file = '{name}', inconsistent = true"), 3).unwrap())
        .collect();
    for other in &read[1..] {
        assert_eq!(other.content(), read[0].content());
    }
    assert!(read[0].fits(&schedule("vp-linear"), &grid).is_ok());
}

#[test]
fn what_a_file_says_is_in_the_key_and_what_it_is_called_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = committed("rk4.toml");
    fs::write(folder.path().join("a.toml"), &text).unwrap();
    fs::write(folder.path().join("b.toml"), text.replace("\"RK4\"", "\"another name\"")).unwrap();
    fs::write(folder.path().join("c.toml"), text.replace("order = 4", "order = 3")).unwrap();
    fs::write(folder.path().join("a.csv"), "sigma\n80.0\n1.0\n0.1\n").unwrap();
    fs::write(folder.path().join("b.csv"), "0.1,0.2\n80.0,1\n1.0,2\n0.1,3\n").unwrap();
    let cell = |entry: &str, grid: &str| {
        let read = experiment(folder.path(), entry, grid).unwrap();
        let cells = read.cells();
        (cells[0].key(), cells[0].solver.label.clone(), cells[0].grid.label.clone())
    };
    let uniform = "{ name = 'uniform-t', start = 1.0, end = 1e-3, steps = 4 }";
    let (a, b, c) = (
        cell("file = 'a.toml'", uniform),
        cell("file = 'b.toml'", uniform),
        cell("file = 'c.toml'", uniform),
    );
    assert_eq!((&a.1, &b.1, &a.0), (&"runge-kutta(RK4)".into(), &"runge-kutta(another name)".into(), &b.0));
    assert_ne!(a.0, c.0);
    let table = "name = 'runge-kutta', table = { order = 4, c = [0.0, 0.5, 0.5, 1.0], a = [[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0]], b = [0.16666666666666666, 0.3333333333333333, 0.3333333333333333, 0.16666666666666666] }";
    assert_eq!(cell(table, uniform).0, a.0, "a table in the experiment is the same method");
    assert_eq!(cell(&format!("{table}, label = 'mine'"), uniform).1, "mine");
    // Grids, too.
    let from_file = cell("name = 'ddim'", "{ name = 'explicit', file = 'a.csv' }");
    let listed = cell("name = 'ddim'", "{ name = 'explicit', sigma = [80.0, 1.0, 0.1] }");
    let labelled = cell("name = 'ddim'", "{ name = 'explicit', sigma = [80.0, 1.0, 0.1], label = 'AYS' }");
    assert_eq!((&from_file.0, from_file.2.as_str()), (&listed.0, "explicit(a)"));
    assert_eq!(
        (&labelled.0, labelled.2.as_str(), listed.2.as_str()),
        (&listed.0, "AYS", "explicit(sigma=80..0.1, steps=2)")
    );
}

#[test]
fn a_solver_in_a_solver_may_come_from_a_file() {
    let entry = "name = 'predictor-corrector', step = 0.05, predictor = { file = 'rk4.toml', clock = 'edm' }";
    let mine = from_files(&[("rk4.toml", &committed("rk4.toml"))], entry, 4).unwrap();
    assert_eq!(mine.label(), "predictor-corrector(predictor=runge-kutta(RK4, clock=edm), step=0.05)");
    assert!(!mine.content().to_string().contains("RK4"));
}

#[test]
fn published_schedules_agree_by_timestep_and_by_noise_with_the_table_they_are_of() {
    let table = "name = 'ddpm-discrete', beta = 'scaled-linear', beta_start = 0.00085, beta_end = 0.012";
    let sd = schedule("ddpm-discrete, beta = \"scaled-linear\", beta_start = 0.00085, beta_end = 0.012");
    for name in ["ays-sd15", "ays-sdxl"] {
        let read = |table: &str, of: &str, schedule: &Schedule| {
            let grid = format!("{{ name = 'explicit', file = '{name}.csv', of = '{of}' }}");
            let experiment = experiment_on(Path::new("experiments/tables"), table, &grid);
            experiment.grids[0].0.value.levels(schedule, None).expect(name)
        };
        // (14.615 is rounded to above the table's last entry: that schedule has it by its timestep alone.)
        let (by_time, by_noise) = (read(table, "t", &sd), read("name = 'edm'", "sigma", &Schedule::Edm {}));
        assert_eq!((by_time.len(), by_noise.len()), (11, 11));
        for (a, b) in by_time.iter().zip(&by_noise) {
            assert!((a.kappa() / b.kappa() - 1.0).abs() < 2e-2, "{name}: {} for {}", a.kappa(), b.kappa());
        }
        assert!((by_time[0].kappa() - 14.6146).abs() < 1e-4 && (by_time[10].kappa() - 0.0292).abs() < 1e-4);
    }
}

fn experiment_on(folder: &Path, schedule: &str, grid: &str) -> Experiment {
    let text = format!(
        "question = '?'\ndata = {{ name = 'gaussian', mean = [0.0], variance = [1.0] }}\n\
         schedule = {{ {schedule} }}\ngrid = {grid}\nsolver = [{{ name = 'ddim' }}]\n"
    );
    Experiment::parse("files", &text, folder).unwrap_or_else(|e| panic!("{grid}: {e}"))
}

#[test]
fn a_published_list_is_drawn_out_as_its_authors_do() {
    let folder = Path::new("experiments/tables");
    let grid = "{ name = 'log-linear', file = 'ays-svd.csv', steps = [1, 5, 10, 25] }";
    let experiment = experiment_on(folder, "name = 'edm'", grid);
    let grid = &experiment.grids[0].0;
    assert_eq!((grid.label.as_str(), experiment.cells().len()), ("log-linear(ays-svd)", 4));
    let listed = [700.0f64, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002];
    let kappas = |steps| -> Vec<f64> {
        grid.value.levels(&Schedule::Edm {}, Some(steps)).unwrap().iter().map(Level::kappa).collect()
    };
    assert_eq!(kappas(10), listed, "its own number of steps is the list itself");
    assert_eq!(kappas(1), [700.0, 0.002]);
    for steps in [5, 25] {
        for (i, kappa) in kappas(steps).into_iter().enumerate() {
            let place = i as f64 * 10.0 / steps as f64;
            let (k, part) = ((place.floor() as usize).min(9), place - place.floor().min(9.0));
            let want = listed[k].powf(1.0 - part) * listed[k + 1].powf(part);
            assert!((kappa / want - 1.0).abs() < 1e-12, "{steps}, {i}: {kappa} for {want}");
        }
    }
    // A last level without noise stays the last step.
    let zero =
        common::grid("log-linear, sigma = [4.0, 1.0, 0.0]").levels(&Schedule::Edm {}, Some(3)).unwrap();
    let kappas: Vec<f64> = zero.iter().map(Level::kappa).collect();
    assert_eq!((kappas[0], kappas[2], kappas[3]), (4.0, 1.0, 0.0));
    assert!((kappas[1] - 2.0).abs() < 1e-15);
}

#[test]
fn levels_are_read_from_csv_with_and_without_a_header_from_toml_and_from_json() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        ("a.csv", "# noise\nsigma\n80.0\n1.0\n\n0.1\n"),
        ("b.csv", "80.0\n1.0\n0.1\n"),
        ("c.toml", "label = 'C'\nsigma = [80.0, 1.0, 0.1]\n"),
        ("d.json", "{ \"sigma\": [80, 1, 0.1] }"),
        ("g.json", "[80, 1, 0.1]"),
        ("e.csv", "sigma,x,d0,noise\n80.0,0.5,0.1,0.0\n1.0,0.5,0.1,0.2\n0.1,,,\n"),
        ("f.csv", "lambda,sigma\n0,80.0\n0,1.0\n0,0.1\n"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    for entry in [
        "'a.csv'",
        "'b.csv', of = 'sigma'",
        "'c.toml'",
        "'d.json'",
        "'g.json', of = 'sigma'",
        "'e.csv'",
        "'f.csv', of = 'sigma'",
    ] {
        let grid = format!("{{ name = 'explicit', file = {entry} }}");
        let experiment = experiment_on(folder.path(), "name = 'edm'", &grid);
        let levels = experiment.grids[0].0.value.levels(&Schedule::Edm {}, None).unwrap();
        assert_eq!(levels.iter().map(Level::kappa).collect::<Vec<_>>(), [80.0, 1.0, 0.1], "{entry}");
    }
    let labelled = experiment_on(folder.path(), "name = 'edm'", "{ name = 'explicit', file = 'c.toml' }");
    assert_eq!(labelled.grids[0].0.label, "explicit(C)");
}

#[test]
fn methods_of_a_users_own_numbers_are_nothing_without_them() {
    let empty: Vec<_> = registry::all().into_iter().filter(|e| e.variants().is_empty()).collect();
    assert_eq!(empty.iter().map(|e| e.name).collect::<Vec<_>>(), ["linear-multistep", "coefficients"]);
    for entry in empty {
        let refused = entry.build(toml::Table::new()).unwrap_err();
        assert!(refused.to_string().contains("is missing"), "{refused}");
        assert!(!entry.defaults().is_empty());
    }
    assert!(registry::solver(table("name = \"ddim\", label = \"mine\"")).unwrap().label() == "mine");
}
