//! Whatever is wrong with a method's or a grid's file, the user is told the file, the line or key and the fix: exit code 2,
//! and nothing is written. `inspect` says what numbers miss, with exit code 1.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs the program in `folder`: exit code, stdout, stderr.
fn scorebench(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_scorebench")).args(args).current_dir(folder).output();
    let out = out.expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program speaks UTF-8");
    (out.status.code(), text(out.stdout), text(out.stderr))
}

/// The experiment of a solver and a grid; `FILE` in either is the file that a case is about.
fn experiment(solver: &str, grid: &str) -> String {
    format!(
        "question = '?'\ndata = {{ name = 'gaussian', mean = [0.0], variance = [1.0] }}\n\
         schedule = {{ name = 'edm' }}\ngrid = {grid}\nsolver = [{{ {solver} }}]\n"
    )
}

/// What is wrong with how a run was refused, if anything; `...` in what is wanted stands for anything.
fn refusal(folder: &Path, args: &[&str], want: &str) -> Option<String> {
    let (code, stdout, stderr) = scorebench(folder, args);
    let mut rest = Some(stderr.as_str());
    for (i, part) in want.split("...").enumerate() {
        rest = rest.and_then(|r| r.find(part).filter(|at| i > 0 || *at == 0).map(|at| &r[at + part.len()..]));
    }
    let jargon = ["panicked", "f64", "usize", "i64", "a sequence", "struct ", "Some("];
    let wrong = [
        (code != Some(2), format!("exit code {code:?}")),
        (!stdout.is_empty(), format!("stdout {stdout:?}")),
        (folder.join("out").exists(), "something was written".into()),
        (rest.is_none(), "another message".into()),
        (jargon.iter().any(|word| stderr.contains(word)), "words that no user wrote".into()),
        (!stderr.contains("; "), "no fix".into()),
        (stderr.trim_end().lines().count() != 1, "not one line".into()),
    ];
    let wrong: Vec<&str> = wrong.iter().filter(|w| w.0).map(|w| w.1.as_str()).collect();
    (!wrong.is_empty()).then(|| format!("{}\n  {stderr}  wanted {want}", wrong.join(", ")))
}

/// Every case: a file (name, bytes) and the message that using it must lead to.
fn all_refused(solver: &str, grid: &str, cases: &[(&str, &[u8], &str)]) {
    let mut problems = Vec::new();
    for (name, bytes, want) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(name), bytes).expect("written");
        let text = experiment(&solver.replace("FILE", name), &grid.replace("FILE", name));
        fs::write(folder.path().join("case.toml"), text).expect("written");
        let want = if want.starts_with("case.toml") || want.starts_with("...") {
            format!("error: {want}")
        } else {
            format!("error: {name}: {want}")
        };
        if let Some(problem) = refusal(folder.path(), &["run", "case.toml", "--out", "out"], &want) {
            problems.push(format!("{name} {:?}\n  {problem}", String::from_utf8_lossy(bytes)));
        }
    }
    assert!(problems.is_empty(), "{} cases:\n{}", problems.len(), problems.join("\n"));
}

const GRID: &str = "{ name = 'explicit', sigma = [4.0, 2.0, 1.0] }";

#[test]
fn files_that_hold_no_coefficients_are_refused() {
    all_refused(
        "file = 'FILE'",
        GRID,
        &[
            ("a.csv", b"", "solver[0] is empty; give a header"),
            ("a.csv", b"x,d0\n", "solver[0] has nothing below its header in line 1; give"),
            (
                "a.csv",
                b"# mine\nx\n1.0\n1.0\n",
                "solver[0] line 2: has no column d0 (or eps0, or u0); give a header",
            ),
            ("a.csv", b"d0,noise\n1.0,0\n1.0,0\n", "solver[0] line 1: has no column x; give a header"),
            (
                "a.csv",
                b"x,d0,e\n1,0,0\n1,0,0\n",
                "solver[0] has a column \"e\" that is not known; did you mean",
            ),
            ("a.csv", b"x,d0,d-1\n1,0,0\n1,0,0\n", "solver[0] has a column \"d-1\" that is not known; "),
            (
                "a.csv",
                b"x,d0,d99999999\n1,0,0\n1,0,0\n",
                "solver[0] has a column \"d99999999\" that is not known; ",
            ),
            ("a.csv", b"x,d0,x\n1,0,0\n1,0,0\n", "solver[0] line 1: has the column \"x\" twice; remove one"),
            (
                "a.csv",
                b"x,d0\n1.0,0.1\n1.0\n",
                "solver[0] line 3: has 1 cells where the header has 2; give a cell",
            ),
            ("a.csv", b"x,d0\n1.0,abc\n1.0,0\n", "solver[0] line 2: d0 = \"abc\" is not a number; correct"),
            ("a.csv", b"x,d0\n1.0,NaN\n1.0,0\n", "solver[0] line 2: d0 = \"NaN\" is not finite; correct"),
            ("a.csv", b"x,d0\n1.0,0\n1.0,inf\n", "solver[0] line 3: d0 = \"inf\" is not finite; correct"),
            (
                "a.csv",
                b"x,d0,d1\n1.0,0,0.5\n1.0,0,0\n",
                "solver[0] line 2: d1 = \"0.5\" weighs what is not there yet",
            ),
            (
                "a.csv",
                b"x,d@0,d@1\n1.0,0,0.5\n1.0,0,0\n",
                "solver[0] line 2: d@1 = \"0.5\" weighs what is not there yet",
            ),
            ("a.csv", b"x,d0\n1.0,\xff\n", "solver[0] is not UTF-8 text; save it as UTF-8"),
            ("a.csv", b"sigma,x,d0\n4,1,0\n2,1,0\n", "solver[0] line 3: has x = \"1\"; end with a line"),
            (
                "a.csv",
                b"sigma,x,d0\n4,1,0\n,1,0\n1,,\n",
                "solver[0] line 3: sigma = \"\" is no level; correct",
            ),
            ("a.csv", b"sigma,x,d0\n4,,\n", "solver[0] has no row of coefficients; give"),
            (
                "a.csv",
                b"x,d0,eps0\n1,0,0\n1,0,0\n",
                "case.toml: solver[0] needs exactly one list of weights of the model; give",
            ),
            (
                "a.csv",
                b"x,d0,noise\n1,0,-1\n1,0,0\n",
                "solver[0].noise[0] = -1.0 is no standard deviation; give",
            ),
            ("a.toml", b"x = [1.0", "solver[0] is not valid TOML at line 1: ...; see"),
            (
                "a.toml",
                b"x = [1.0, 1.0]\nd = [0.0, 0.0]",
                "case.toml: solver[0].name is missing; write name = ",
            ),
            (
                "a.toml",
                b"name = 'coeficients'",
                "solver[0].name = \"coeficients\" is not known; did you mean \"coefficients\"?",
            ),
            (
                "a.toml",
                b"name = 'coefficients'\nx = [1.0]\nd = [0.0]\ny = [1]",
                "solver[0].y = [1] is not a known key; ",
            ),
            (
                "a.toml",
                b"name = 'coefficients'\nx = [1.0]\nd = [0.0]\nlabel = 3",
                "solver[0].label = 3 has the wrong type; give a string",
            ),
            (
                "a.toml",
                b"name = 'coefficients'\nx = ['a']\nd = [0.0]",
                "solver[0].x[0] = \"a\" has the wrong type; give a number, or a list",
            ),
            (
                "a.toml",
                b"name = 'coefficients'\nx = [1.0]\nd = [nan]",
                "solver[0].d[0][0] = NaN is not finite; give a number",
            ),
            (
                "a.toml",
                b"name = 'coefficients'\nx = [[1.0, 2.0]]\nd = [0.0]",
                "solver[0].x[0][1] = 2.0 reaches 1 steps back from step 0, to before the start; ",
            ),
            (
                "a.toml",
                b"name = 'coefficients'\nx = [1.0]\nd = [0.0, 1.0]",
                "solver[0].d has 2 entries where x has 1 rows; give one a step",
            ),
            (
                "a.toml",
                b"name = 'coefficients'\nx = [1.0]\nd = [0.0]\nsigma = [1.0]",
                "solver[0].sigma has 1 entries where x has 1 rows; give a level more",
            ),
            (
                "a.txt",
                b"x,d0\n",
                "solver[0] is of no kind that is read here (\"txt\"); give a .toml or a .csv file",
            ),
        ],
    );
}

#[test]
fn coefficients_that_do_not_fit_the_grid_or_the_equation_are_refused() {
    all_refused(
        "file = 'FILE'",
        GRID,
        &[
            (
                "a.csv",
                b"x,d0\n1,0\n1,0\n1,0\n",
                "case.toml: solver[0] (coefficients(a)) is not defined on schedule edm with grid explicit(sigma=4..1, steps=2): it has coefficients for 3 steps, and the grid has 2; give the grid",
            ),
            (
                "a.csv",
                b"sigma,x,d0\n4,0.5,0.5\n3,0.5,0.5\n1,,\n",
                "case.toml: solver[0] (...: its coefficients are of sigma = 3.0 at level 1, where the grid has 2.0; give the grid",
            ),
            (
                "a.csv",
                b"x,d0\n0.5,0.5\n0.5,0.51\n",
                "case.toml: solver[0] (...: step 1: constant d comes out as 1.01 where it is 1.0, off by 1.0e-2; correct that row, or write inconsistent = true",
            ),
            (
                "a.csv",
                b"x,d0,noise\n0.5,0.5,0\n0.5,0.5,0.4\n",
                "case.toml: solver[0] (...: step 1: the noise level comes out as 1.07...where it is 1.0, off by 7.7e-2; correct",
            ),
        ],
    );
}

#[test]
fn a_table_and_its_file_may_not_say_the_same_thing() {
    let rk = b"name = 'runge-kutta'\nclock = 'edm'\n[table]\norder = 1\nc = [0.0]\na = [[]]\nb = [1.0]\n";
    all_refused(
        "name = 'runge-kutta', file = 'FILE', clock = 't'",
        GRID,
        &[(
            "a.toml",
            rk,
            "case.toml: solver[0].clock = \"t\" is given here and in a.toml; remove one of the two",
        )],
    );
    all_refused(
        "name = 'ddim', file = 'FILE'",
        GRID,
        &[("a.toml", rk, "case.toml: solver[0].name = \"ddim\" is given here and in ")],
    );
    all_refused(
        "file = 'other.toml'",
        GRID,
        &[("a.toml", rk, "...other.toml: solver[0] cannot be read: ...; give a file")],
    );
    all_refused(
        "file = 3",
        GRID,
        &[("a.toml", rk, "case.toml: solver[0].file = 3 has the wrong type; give a string")],
    );
    all_refused(
        "file = ''",
        GRID,
        &[("a.toml", rk, "case.toml: solver[0].file = \"\" is left for you to fill; ")],
    );
    let off = b"name = 'runge-kutta'\n[table]\norder = 1\nc = [0.0]\na = [[]]\nb = [0.99]\n";
    all_refused("file = 'FILE'", GRID, &[("a.toml", off, "solver[0].table.b adds up to 0.99; ")]);
}

#[test]
fn files_that_hold_no_levels_are_refused() {
    let grid = "{ name = 'explicit', file = 'FILE' }";
    all_refused(
        "name = 'ddim'",
        grid,
        &[
            ("a.csv", b"", "grid is empty; give"),
            (
                "a.csv",
                b"80.0\n1.0\n",
                "grid does not say what its levels are; begin with a line that says t, sigma or lambda",
            ),
            ("a.csv", b"x,d0\n1.0,0.5\n", "grid lists no levels; give t = [...]"),
            ("a.csv", b"t,sigma\n2,2\n1,1\n", "grid has levels by t and sigma; add of = \"t\" beside file"),
            ("a.csv", b"sigma\n2\nabc\n", "grid line 3: sigma = \"abc\" is no level; correct"),
            ("a.csv", b"sigma\n2\nNaN\n", "grid line 3: sigma = \"NaN\" is no level; correct"),
            ("a.csv", b"sigma\n2,1\n", "grid line 2: has 2 cells where the header has 1; give"),
            ("a.csv", b"sigma\n1\n2\n3\n", "case.toml: solver[0] (ddim) is not defined...; swap"),
            (
                "a.csv",
                b"sigma\n3\n1\n2\n",
                "case.toml: grid does not move on: sigma/alpha goes from 1.0 at level 1 to 2.0 at level 2; give",
            ),
            (
                "a.csv",
                b"sgima\n3\n1\n",
                "grid has a column \"sgima\" that is not known; did you mean \"sigma\"?",
            ),
            ("a.csv", b"\xff\n", "grid is not UTF-8 text; save it as UTF-8"),
            ("a.json", b"[1, 2", "grid is not JSON: ...; write"),
            ("a.json", b"[2, 1]", "grid does not say what its levels are; write"),
            ("a.json", b"{ \"sigma\": \"x\" }", "grid.sigma = \"x\" has the wrong type; give an array"),
            ("a.toml", b"sigma = [2.0, 1.0]\nrho = 7.0", "grid.rho is not a known key; "),
        ],
    );
    let good: &[u8] = b"sigma\n3\n1\n";
    for (grid, want) in [
        (
            "{ name = 'uniform-t', file = 'FILE', start = 1.0, end = 0.5, steps = 2 }",
            "case.toml: grid.file = \"a.csv\" does not go with this grid; write name = \"explicit\"",
        ),
        (
            "{ name = 'explicit', file = 'FILE', sigma = [1.0] }",
            "case.toml: grid.sigma is given beside file; remove one",
        ),
        (
            "{ name = 'explicit', file = 'FILE', of = 'kappa' }",
            "case.toml: grid.of = \"kappa\" is not known; ",
        ),
        ("{ name = 'explicit', file = 'FILE', of = 't' }", "grid.t is not in the file; it has sigma"),
        (
            "{ name = 'explicit', file = 'FILE', steps = 3 }",
            "case.toml: grid.steps = 3 does not go with an explicit grid; ",
        ),
        ("{ name = 'log-linear', file = 'FILE' }", "case.toml: grid.steps is missing; add steps"),
        ("{ name = 'log-linear', file = 'FILE', steps = 0 }", "case.toml: grid.steps = 0 is not a positive"),
        (
            "{ name = 'explicit', file = 'FILE', label = 3 }",
            "case.toml: grid.label = 3 has the wrong type; give a string",
        ),
    ] {
        all_refused("name = 'ddim'", grid, &[("a.csv", good, want)]);
    }
}

/// Runs `inspect` beside a file.
fn inspect(name: &str, text: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(name), text).expect("written");
    scorebench(folder.path(), &[&["inspect", name], args].concat())
}

const RK: &str =
    "name = 'runge-kutta'\n[table]\norder = 2\nc = [0.0, 1.0]\na = [[], [1.0]]\nb = [0.5, 0.5]\n";

#[test]
fn inspect_says_what_a_method_misses_and_fails_if_that_is_consistency_or_its_claim() {
    let (code, table, said) = inspect("heun.toml", RK, &[]);
    assert_eq!((code, said.trim_end()), (Some(0), "runge-kutta(heun): consistent to 0; order 2, 2 claimed"));
    assert!(table.contains("tree [[]]") && table.contains("tree [[] []]"), "{table}");
    let (code, table, said) = inspect("off.toml", &RK.replace("b = [0.5, 0.5]", "b = [0.5, 0.501]"), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("INCONSISTENT: tree [] is off by 1.0e-3") && said.contains("adds up to 1.001"),
        "{said}"
    );
    assert!(table.contains("1.0e-3"), "{table}");
    let (code, _, said) = inspect("three.toml", &RK.replace("order = 2", "order = 3"), &[]);
    assert!(code == Some(1) && said.contains("consistent to 0; order 2, 3 claimed"), "{said}");
    let (code, json, _) = inspect("heun.toml", RK, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &json["order"], &json["consistent"]), (Some(0), &2.into(), &true.into()));
    let (code, _, said) = inspect("bare.toml", "beta = [1.0]", &[]);
    assert!(code == Some(2) && said.contains("bare.toml: name is missing; add name = "), "{said}");
    let (code, _, said) = inspect("no.toml", "name = 'runge-kutta'\ntable = 'x'", &[]);
    assert!(code == Some(2) && said.contains("no.toml: table = \"x\" is not known"), "{said}");
}

#[test]
fn any_solver_is_printed_as_coefficients_that_can_be_inspected_and_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let grid = "{ name = \"karras\", sigma_max = 80.0, sigma_min = 0.1 }";
    let on = ["--schedule", "edm", "--grid", grid, "--steps", "5"];
    let (code, csv, _) = scorebench(folder.path(), &[&["inspect", "--export", "dpmpp-2m"][..], &on].concat());
    assert_eq!(code, Some(0));
    assert!(csv.starts_with("# dpmpp-2m on edm, ") && csv.contains("\nsigma,x,d0,d1\n80.0,"), "{csv}");
    fs::write(folder.path().join("mine.csv"), &csv).expect("written");
    let (code, table, said) = scorebench(folder.path(), &["inspect", "mine.csv", "--schedule", "edm"]);
    assert!(code == Some(0) && said.starts_with("coefficients(mine): consistent to "), "{said}");
    assert!(table.lines().next().unwrap_or_default().starts_with("step  condition"), "{table}");
    // One percent more of a weight.
    let line = csv.lines().nth(4).expect("the third step").to_string();
    let cell = line.split(',').nth(2).expect("d0");
    let wrong = cell.parse::<f64>().expect("a number") * 1.01;
    fs::write(folder.path().join("off.csv"), csv.replace(cell, &format!("{wrong:?}"))).expect("written");
    let (code, _, said) = scorebench(folder.path(), &["inspect", "off.csv", "--schedule", "edm"]);
    assert!(code == Some(1) && said.contains("INCONSISTENT: step 2: constant d is off by"), "{said}");
    // An experiment on the levels of the same file.
    let text = experiment("file = 'mine.csv'", "{ name = 'explicit', file = 'mine.csv' }");
    fs::write(folder.path().join("case.toml"), text).expect("written");
    let (code, table, said) = scorebench(folder.path(), &["run", "case.toml", "--out", "out"]);
    let rows = fs::read_to_string(folder.path().join("out/case/exact.csv")).expect("results");
    assert!(code == Some(0) && rows.contains("coefficients(mine)"), "{table}{said}");
    // From the command line, where solvers are named by labels.
    let (code, table, _) =
        scorebench(folder.path(), &["certify", "coefficients(file=mine.csv)", "--verbose"]);
    assert!(code == Some(0) && table.contains("it has coefficients for 5 steps"), "{table}");
    fs::write(folder.path().join("heun.toml"), RK).expect("written");
    let (code, table, _) =
        scorebench(folder.path(), &["certify", "runge-kutta(file=heun.toml, clock=edm)", "-v"]);
    assert!(code == Some(0) && table.contains("runge-kutta(heun, clock=edm)"), "{table}");
    assert!(table.contains("order 2: 1 conditions, missed by at most 0.0e0 (tree [[]])"), "{table}");
}

#[test]
fn what_inspect_cannot_do_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.csv"), "x,d0\n1,0\n").expect("written");
    fs::write(folder.path().join("c.toml"), "name = 'ddim'").expect("written");
    for (args, want) in [
        (&["inspect", "a.csv"][..], "error: --schedule is missing; add --schedule"),
        (&["inspect", "a.csv", "--schedule", "edm"], "error: --grid is missing; add --grid"),
        (&["inspect", "c.toml"], "error: c.toml: name = \"ddim\" has no conditions to hold it to here; "),
        (&["inspect", "b.csv"], "error: b.csv: cannot be read: ...; give a file"),
        (&["inspect", "a.csv", "--schedule", "x"], "error: --schedule.name = \"x\" is not known; "),
        (
            &[
                "inspect",
                "--export",
                "bs23(rtol=0.1)",
                "--schedule",
                "edm",
                "--grid",
                "{ name = \"explicit\", sigma = [2.0, 2.0] }",
            ],
            "error: --grid does not move on",
        ),
        (
            &[
                "inspect",
                "--export",
                "dpmpp-sde",
                "--schedule",
                "edm",
                "--grid",
                "{ name = \"explicit\", sigma = [3.0, 2.0, 1.0] }",
            ],
            "error: --export (dpmpp-sde) has no such table: row 1 uses the noise of an earlier one...; try ddim",
        ),
    ] {
        assert_eq!(refusal(folder.path(), args, want), None);
    }
}
