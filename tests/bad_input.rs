//! Whatever is wrong with an input, the user is told the file, the key, the value and the fix; nothing is written.
//!
//! A case is some edits and the message they must lead to, after `error: FILE: `; `...` stands for anything.

use std::fs;
use std::path::Path;
use std::process::Command;

use image::{GrayImage, Luma, RgbImage, RgbaImage};

/// A good experiment, one key a line; cases change, add or remove lines of it.
const GOOD: &str = r#"question = "?"
data.name = "gaussian"
data.mean = [0.0, 1.0]
data.variance = [1.0, 0.25]
schedule.name = "vp-linear"
grid.name = "uniform-t"
grid.start = 1.0
grid.end = 1e-3
grid.steps = [4, 8]
solver = [{ name = "ddim" }]
"#;

/// Edits `key = value` (instead of `key` and all `key.*`) and `-key`, separated by `; `.
fn edited(edits: &str) -> String {
    let mut lines: Vec<String> = GOOD.lines().map(String::from).collect();
    for edit in edits.split("; ").filter(|e| !e.is_empty()) {
        let key = edit.strip_prefix('-').unwrap_or(edit).split(" = ").next().unwrap_or_default();
        lines.retain(|l| !l.starts_with(&format!("{key} ")) && !l.starts_with(&format!("{key}.")));
        if !edit.starts_with('-') {
            lines.push(edit.into());
        }
    }
    lines.join("\n")
}

/// Runs the program in `folder`: exit code, stdout, stderr.
fn scorebench(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    finished(Command::new(env!("CARGO_BIN_EXE_scorebench")).args(args), folder)
}

/// The same with this much address space.
#[cfg(target_os = "linux")]
fn with_memory(gib: usize, folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let script = format!("ulimit -v {}; exec \"$@\"", gib << 20);
    let program = env!("CARGO_BIN_EXE_scorebench");
    finished(Command::new("sh").args(["-c", &script, "sh", program]).args(args), folder)
}

fn finished(command: &mut Command, folder: &Path) -> (Option<i32>, String, String) {
    let out = command.current_dir(folder).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program speaks UTF-8");
    (out.status.code(), text(out.stdout), text(out.stderr))
}

/// What is wrong with how a run was refused, if anything.
fn refusal(folder: &Path, args: &[&str], want: &str) -> Option<String> {
    let (code, stdout, stderr) = scorebench(folder, args);
    let mut rest = Some(stderr.as_str());
    for (i, part) in want.split("...").enumerate() {
        rest = rest.and_then(|r| r.find(part).filter(|at| i > 0 || *at == 0).map(|at| &r[at + part.len()..]));
    }
    // What serde and Rust call things is nothing to tell a user.
    let jargon = ["panicked", "f64", "usize", "i64", "u64", "a sequence", "struct ", "Some(", "map;"];
    let wrong = [
        (code != Some(2), format!("exit code {code:?}")),
        (!stdout.is_empty(), format!("stdout {stdout:?}")),
        (folder.join("out").exists(), "something was written".into()),
        (rest.is_none(), "another message".into()),
        (jargon.iter().any(|word| stderr.contains(word)), "words that no user wrote".into()),
        (!stderr.contains("; ") && !stderr.contains("try '--help'"), "no fix".into()),
        (stderr.trim_end().lines().count() != 1 && !stderr.contains("--help"), "not one line".into()),
    ];
    let wrong: Vec<&str> = wrong.iter().filter(|w| w.0).map(|w| w.1.as_str()).collect();
    (!wrong.is_empty()).then(|| format!("{}\n  {stderr}  wanted {want}", wrong.join(", ")))
}

/// Every case: `edits => message`, or `edits --arguments => message`.
fn all_refused(cases: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in SPECTRA {
        fs::write(folder.path().join(name), bytes).expect("written");
    }
    draw_images(folder.path());
    let mut problems = Vec::new();
    for case in cases.trim().lines() {
        let (edits, want) = case.split_once(" => ").expect("a case has a message");
        let (edits, arguments) = edits.split_once("--").map_or((edits, None), |(e, a)| (e, Some(a)));
        fs::write(folder.path().join("case.toml"), edited(edits.trim_end())).expect("written");
        let _ = fs::remove_dir_all(folder.path().join("out"));
        let mut args = vec!["run", "case.toml", "--out", "out"];
        let arguments = arguments.map(|a| format!("--{a}")).unwrap_or_default();
        args.extend(arguments.split_whitespace());
        let want = if want.contains("error:") { want.into() } else { format!("error: case.toml: {want}") };
        if let Some(problem) = refusal(folder.path(), &args, &want) {
            problems.push(format!("{case}\n  {problem}"));
        }
    }
    assert!(problems.is_empty(), "{} cases:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn files_that_hold_no_experiment_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let deep = format!("data = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let dotted = format!("{} = 1", ["a"; 100_000].join("."));
    let cases: &[(&str, Option<&[u8]>, &str)] = &[
        ("missing.toml", None, "cannot be read: ...; give the path of an experiment"),
        (".", None, "cannot be read: ...directory...; give the path of an experiment"),
        ("empty.toml", Some(b""), "question is missing; add question = "),
        (
            "syntax.toml",
            Some(b"question = '?'\n\ndata = { name = \n"),
            "is not valid TOML at line 3: ...; see",
        ),
        (
            "twice.toml",
            Some(b"question = '?'\nquestion = '!'\n"),
            "is not valid TOML at line 2: ...duplicate",
        ),
        ("large.toml", Some(b"question = 99999999999999999999"), "is not valid TOML at line 1: "),
        ("latin1.toml", Some(b"question = '\xe9'"), "is not UTF-8 text: ...; save it as UTF-8"),
        ("zero.toml", Some(b"\0\0\0"), "is not valid TOML at line 1: "),
        ("deep.toml", Some(deep.as_bytes()), "is not valid TOML"),
        ("dotted.toml", Some(dotted.as_bytes()), "is not valid TOML"),
    ];
    for (name, bytes, want) in cases {
        if let Some(bytes) = bytes {
            fs::write(folder.path().join(name), bytes).expect("written");
        }
        let problem =
            refusal(folder.path(), &["run", name, "--out", "out"], &format!("error: {name}: {want}"));
        assert_eq!(problem, None);
    }
}

#[test]
fn missing_and_empty_parts_are_named() {
    all_refused(
        r#"
-question => question is missing; add question =
-data => data is missing; add data =
-schedule => schedule is missing; add schedule =
-grid => grid is missing; add grid =
-solver => solver is missing; add solver =
solver = [] => solver is empty; give at least one
data = [] => data is empty; give at least one
init = [] => init is empty; give at least one
-data.name => data.name is missing; write name = "gaussian"
-data.variance => data needs exactly one of variance, covariance, spectrum and of; write variance =
solver = [{ eta = 0.5 }] => solver[0].name is missing; write name = "euler-maruyama", or one of ...ddim
-grid.start => grid.start is missing; add start =
-grid.steps => grid.steps is missing; add steps =
grid.calls = [5, 10] => grid.calls = [5, 10] is given beside steps; give one of the two
grid = { name = "uniform-t", start = 1.0, end = 0.1, calls = 0 } => grid.calls = 0 is not a positive whole number; give numbers
metrics = ["w3"] => metrics[0] = "w3" is no error whose order solvers claim; known: w2
metrics = ["kl"] => metrics[0] = "kl" is no error whose order solvers claim; known: w2
figure = { name = "convergence", metric = "nothing" } => figure.metric = "nothing" is no column of numbers; known: w2
reach = { targets = [0.1, 0.0], against = ["ddim"] } => reach.targets = 0.0 is no error to reach; give values above 0
metrics = ["w2", "w2"] => metrics[1] = "w2" has the same name as metrics[0]; remove one
reach = { targets = [0.1], against = ["dim"] } => reach.against = "dim" is not in this experiment; did you mean "ddim"?
catalogue = { except = ["dim"] } => catalogue.except = "dim" is not in this experiment; did you mean "ddim"?
figure = { name = "work-precision", solvers = ["dim"] } => figure.solvers = "dim" is not in this experiment; did you mean
figure = { name = "parameter-scan", default = 0.0 } => figure.parameter is missing; add parameter =
"#,
    );
}

#[test]
fn wrong_types_are_named_in_the_users_words() {
    all_refused(
        r#"
question = 5 => question = 5 has the wrong type; give a string
data = 5 => data = 5 is not a table; write { name = "gaussian", ... }
data = [[1.0]] => data[0] = [1.0] is not a table; write { name =
data.name = 5 => data.name = 5 is not a string; write name = "gaussian"
data.mean = [0.0, "a"] => data.mean[1] = "a" has the wrong type; give a number
data.variance = [1.0, "a"] => data.variance[1] = "a" has the wrong type; give a number
-data.variance; data.covariance = [1.0] => data.covariance[0] = 1.0 has the wrong type; give an array
-data.variance; data.spectrum = 5 => data.spectrum = 5 has the wrong type; give a string
data = { name = "power-law", modes = 2.5, p = 1.0 } => data.modes = 2.5 has the wrong type; give a whole number
data = { name = "power-law", modes = -3, p = 1.0 } => data.modes = -3 is not allowed; give a whole number of at least 0
schedule = { name = "vp-linear", beta_min = "a" } => schedule.beta_min = "a" has the wrong type; give a number
grid.start = "a" => grid.start = "a" has the wrong type; give a number
grid = { name = "explicit", sigma = 1.0 } => grid.sigma = 1.0 has the wrong type; give an array
solver = { name = "ddim" } => solver = { name = "ddim" } has the wrong type; give an array
solver = ["ddim"] => solver[0] = "ddim" has the wrong type; give a table
solver = [{ name = "ddim" }, { name = "ddim", eta = "a" }] => solver[1].eta = "a" has the wrong type; give a number
solver = [{ name = "heun", clock = 5 }] => solver[0].clock = 5 has the wrong type; give a string
solver = [{ name = "ddim", expect = 1.0 }] => solver[0].expect = 1.0 has the wrong type; give a table
solver = [{ name = "predictor-corrector", predictor = 5 }] => solver[0].predictor cannot be used: 5 is not a table; write
expect = { below = 1.0 } => expect = { below = 1.0 } has the wrong type; give an array
expect = [{ below = "a" }] => expect[0].below = "a" has the wrong type; give a number
init = 5 => init = 5 has the wrong type; give a string
quick = 5 => quick = 5 has the wrong type; give a table
"#,
    );
}

#[test]
fn unknown_keys_and_names_come_with_the_nearest_known_one() {
    all_refused(
        r#"
shedule = 5 => shedule = 5 is not a known key; did you mean "schedule"? (known: question
data.variances = [1.0] => data.variances = [1.0] is not a known key; did you mean "variance"?
schedule = { name = "vp-linear", beta_mn = 0.1 } => schedule.beta_mn = 0.1 is not a known key; did you mean "beta_min"?
schedule = { name = "edm", t = 1 } => schedule.t = 1 is not a known key; remove it
grid.strat = 1.0 => grid.strat = 1.0 is not a known key; did you mean "start"?
solver = [{ name = "ddim", etta = 0.0 }] => solver[0].etta = 0.0 is not a known key; did you mean "eta"?
solver = [{ name = "predictor-corrector", predictor = { name = "ddim", etta = 0.1 } }] => solver[0].predictor ...etta = 0.1 is not a known key; did you mean "eta"?
solver = [{ name = "ddim", expect = { ordr = 1.0 } }] => solver[0].expect.ordr = 1.0 is not a known key; did you mean "order"?
data.name = "gausian" => data.name = "gausian" is not known; did you mean "gaussian"?
schedule.name = "vp-liner" => schedule.name = "vp-liner" is not known; did you mean "vp-linear"? (known: vp-linear, vp-cosine
grid.name = "karas" => grid.name = "karas" is not known; did you mean "karras"?
solver = [{ name = "dimm" }] => solver[0].name = "dimm" is not known; did you mean "ddim"? (known: euler-maruyama
solver = [{ name = "predictor-corrector", predictor = "nope" }] => solver[0].predictor ...name = "nope" is not known; known: ...ddim
solver = [{ name = "ddim", grids = ["uniform-x"] }] => solver[0].grids = "uniform-x" is not in this experiment; did you mean "uniform-t...
solver = [{ name = "ddim", schedules = ["vp-linaer"] }] => solver[0].schedules = "vp-linaer" is not in this experiment; did you mean "vp-linear"?
solver = [{ name = "ddim", expect = { order = 1.0, on = ["uniform-x"] } }] => solver[0].expect.on = "uniform-x" is not in this experiment; did you mean "uniform-t
solver = [{ name = "ddim", expect = { order_on = { karras = 1.0 } } }] => solver[0].expect.order_on = "karras" is not in this experiment; known: uniform-t
expect = [{ column = "kll", below = 1.0 }] => expect[0].column = "kll" is not known; did you mean "kl"?
expect = [{ solver = "dimm", below = 1.0 }] => expect[0].solver = "dimm" is not in this experiment; did you mean "ddim"?
figure = "converegnce" => figure.name = "converegnce" is not known; did you mean "convergence"?
init = ["marginal", "priorr"] => init[1] = "priorr" is not known; did you mean "prior"?
mode = "monte-carlo" => mode = "monte-carlo" is no mode; write mode = "exact" or mode = { monte-carlo
mode = { monte-carlo = { sample = 10 } } => mode.monte-carlo.sample = 10 is not a known key; did you mean "samples"?
mode = { monte-carlo = { samples = 1 } } => mode.monte-carlo.samples = 1 is too few; give at least 2
"#,
    );
}

#[test]
fn values_without_a_meaning_are_refused() {
    all_refused(
        r#"
solver = [{ name = "ddim", eta = nan }] => solver[0].eta = NaN is not a number; give
solver = [{ name = "ddim", eta = 1.5 }] => solver[0].eta = 1.5 is outside [0, 1]; give 0
solver = [{ name = "euler-maruyama", lambda = inf }] => solver[0].lambda = inf is not a finite number of at least 0; give
solver = [{ name = "heun", s_churn = 10.0 }] => solver[0].s_churn = 10.0 works in sigma/alpha; add clock = "edm"
solver = [{ name = "predictor-corrector", step = 0.1, snr = 0.2 }] => solver[0].step = 0.1 is given beside snr; give one
solver = [{ name = "predictor-corrector", predictor = { name = "ddim", eta = nan } }] => solver[0].predictor ...eta = NaN is not a number; give
solver = [{ name = "predictor-corrector", predictor = "ddpm-chain" }] => solver[0].predictor = "ddpm-chain" runs forward; give a sampler
solver = [{ name = "ddim" }, { name = "heun" }, { name = "ddim", eta = 0 }] => solver[2] = "ddim" has the same name as solver[0]; remove one
schedule = { name = "ve", sigma_min = 1.0, sigma_max = 0.5 } => schedule.sigma_max = 0.5 is not above sigma_min = 1.0; swap
schedule = { name = "ddpm-discrete", steps = 1 } => schedule cannot be used: steps = 1 is not between 2 and 1000000;
schedule = ["vp-linear", { name = "vp-linear" }] => schedule[1] = "vp-linear" has the same name as schedule[0]; remove one
init = ["marginal", "marginal"] => init[1] = "marginal" has the same name as init[0]; remove one
data.variance = [1.0, -0.25] => data.variance[1] = -0.25 is negative; give a value of at least 0
data.variance = [1.0, nan] => data.variance[1] = NaN is not finite; give
data.mean = [0.0] => data.mean has 1 entries where variance has 2; give one of each
data.covariance = [[1.0]] => data needs exactly one of variance, covariance, spectrum and of; write
-data.variance; data.covariance = [[1.0, 0.5], [0.25, 1.0]] => data.covariance[1][0] = 0.25 differs from its mirror image covariance[0][1] = 0.5; give a symmetric matrix
-data.variance; data.covariance = [[1.0, 2.0], [2.0, 1.0]] => data.covariance is not positive semi-definite: it has the eigenvalue -1.0; give
-data.variance; data.covariance = [[1.0, 0.0], [0.0]] => data.covariance[1] has 1 entries in a matrix of 2 rows; give a square matrix
data = { name = "power-law", modes = 5, p = -1000.0 } => data.p = -1000.0 makes infinite variances; give
solver = [{ name = "ddim", expect = { order = inf } }] => solver[0].expect.order = inf is not finite; give
expect = [{ value = 1.0 }] => expect[0].value goes with a tolerance; write ...rel =
expect = [{ column = "kl" }] => expect[0] expects nothing; add value
expect = [{ below = nan }] => expect[0].below = NaN is never met; give
expect = [{ value = 1.0, rel = -0.1 }] => expect[0].rel = -0.1 is no tolerance; give
"#,
    );
}

const SPECTRA: &[(&str, &[u8])] = &[
    ("negative.csv", b"variance\n1.0\n-2.0\n"),
    ("word.csv", b"1.0\nx\n"),
    ("nan.csv", b"1.0\n2.0\nnan\n"),
    ("columns.csv", b"1.0\n2.0,3.0\n"),
    ("header.csv", b"variance\n"),
    ("latin1.csv", b"\xe9\n1.0\n"),
    ("ragged.csv", b"x,y\n1.0,2.0\n3.0\n"),
    ("table.csv", b"x,y\n1.0,2.0\n3.0,four\n"),
    ("infinite.csv", b"1.0,-inf\n"),
    ("names.csv", b"x,y\n"),
];

/// Folders of images that are no data set.
fn draw_images(folder: &Path) {
    let path = |name: &str| folder.join(name);
    for name in ["none", "sizes", "kinds", "clear", "broken", "text"] {
        fs::create_dir(path(name)).expect("a folder");
    }
    fs::write(path("none/README.txt"), "no images here").expect("written");
    GrayImage::new(2, 2).save(path("sizes/a.png")).expect("drawn");
    GrayImage::new(2, 3).save(path("sizes/b.png")).expect("drawn");
    GrayImage::new(2, 2).save(path("kinds/a.png")).expect("drawn");
    RgbImage::new(2, 2).save(path("kinds/b.png")).expect("drawn");
    RgbaImage::new(2, 2).save(path("clear/a.png")).expect("drawn");
    fs::write(path("text/a.jpg"), "an image").expect("written");
    // All of the header, half of the pixels.
    let noise = GrayImage::from_fn(64, 64, |x, y| Luma([(x * x * 7 + y * y * 13) as u8]));
    noise.save(path("broken/a.png")).expect("drawn");
    let bytes = fs::read(path("broken/a.png")).expect("read");
    fs::write(path("broken/a.png"), &bytes[..bytes.len() / 2]).expect("written");
}

#[test]
fn data_sets_are_refused_at_their_line_or_image() {
    all_refused(
        r#"
data = { name = "points" } => data needs exactly one of csv, folder and points; write
data = { name = "points", csv = "names.csv", points = [[0.0]] } => data needs exactly one of csv, folder and points; write
data = { name = "points", points = [] } => data.points hold no number; give
data = { name = "points", points = [[]] } => data.points hold no number; give
data = { name = "points", points = [[0.0, 1.0], [2.0]] } => data.points[1] has 1 numbers where points[0] has 2; give points of one length
data = { name = "points", points = [[0.0, nan]] } => data.points[0][1] = NaN is not finite; give
data = { name = "points", points = [[0.0]], std = -1.0 } => data.std = -1.0 is no standard deviation; give
data = { name = "points", csv = "" } => data.csv = "" is left for you to fill; write a path there, or add --set data.csv=FILE.csv
data = { name = "points", csv = "missing.csv" } => data.csv = "missing.csv" cannot be read: ...; give a file
data = { name = "points", csv = "." } => data.csv = "." cannot be read: ...; give a file
data = { name = "points", csv = "names.csv" } => data.csv = "names.csv" holds no point; give a file
data = { name = "points", csv = "ragged.csv" } => data.csv = "ragged.csv" line 3 has 1 numbers where the first has 2; give
data = { name = "points", csv = "table.csv" } => data.csv = "table.csv" line 3: "four" is not a number; give
data = { name = "points", csv = "infinite.csv" } => data.csv = "infinite.csv" line 1: -inf is not finite; give
data = { name = "points", csv = "latin1.csv" } => data.csv = "latin1.csv" is not UTF-8 text; give
data = { name = "points", folder = "" } => data.folder = "" is left for you to fill; write
data = { name = "points", folder = "missing" } => data.folder = "missing" cannot be read: ...; give a folder
data = { name = "points", folder = "names.csv" } => data.folder = "names.csv" cannot be read: ...; give a folder
data = { name = "points", folder = "none" } => data.folder = "none" holds no PNG or JPEG image; give
data = { name = "points", folder = "sizes" } => data.folder = "sizes/b.png" is 2 x 3 grey where a.png is 2 x 2 grey; give images of one size
data = { name = "points", folder = "kinds" } => data.folder = "kinds/b.png" is 2 x 2 in colour where a.png is 2 x 2 grey; give images of one size and kind
data = { name = "points", folder = "clear" } => data.folder = "clear/a.png" has a transparency channel; save it without one
data = { name = "points", folder = "broken" } => data.folder = "broken/a.png" cannot be decoded: ...; replace or remove it
data = { name = "points", folder = "text" } => data.folder = "text/a.jpg" is no image: ...; remove it
data = { name = "images", path = "sizes" } => data.path = "sizes/b.png" is 2 x 3 grey where a.png is 2 x 2 grey; give images of one size
data = { name = "images", path = "sizes", size = 0 } => data.size = [0, 0] has no pixel; give
data = { name = "images", path = "sizes", size = [4] } => data.size...; give
data = { name = "images", path = "sizes", size = "large" } => data.size = "large" has the wrong type; give a whole number
data = { name = "images", path = "sizes", width = 4 } => data.width = 4 is not a known key; known: path, size
data = { name = "images", path = "" } => data.path = "" is left for you to fill; write
data = { name = "cifar10" } => data.path is missing; add path = 
data = { name = "cifar10", path = "missing" } => data.path = "missing/data_batch_1.bin" cannot be read: ...; unpack cifar-10-binary.tar.gz
data = { name = "cifar100", path = "missing" } => data.path = "missing/train.bin" cannot be read: ...; unpack cifar-100-binary.tar.gz
data = { name = "mnist", path = "none" } => data.path = "none/train-images-idx3-ubyte" is missing; give a folder with
data = { name = "mnist", path = "none", split = "tset" } => data.split = "tset" is not known; did you mean "test"?
data = { name = "parquet", path = "none" } => data.path = "none" ...; 
data = { name = "gaussian", of = { name = "mnist", path = "none" } } => data.of.path = "none/train-images-idx3-ubyte" is missing; give
data = { name = "digits", class = 1.5 } => data.class = 1.5 has the wrong type; give a whole number
data = { name = "digits", class = "ten" } => data.class = "ten" is no class of the set; give a number from 0 to 9
data = { name = "digits", split = "test" } => data.split = "test" is not a known key; known: class, count, std
data = { name = "digits", std = -1 } => data.std = -1.0 ...; 
data = { name = "digits", class = 10 } => data.class = 10 is no class of the set; give a number from 0 to 9
data = { name = "digits", class = -1 } => data.class = -1 is not allowed; give a whole number
data = { name = "digits", count = 0 } => data.count = 0 takes no image; give a number of at least 1
data = { name = "digits", class = 7, count = 180 } => data.count = 180 is not to be had; give a number from 1 to 179
data = { name = "digits", kind = 7 } => data.kind = 7 is not a known key; known: class, count, std
"#,
    );
}

#[test]
fn mixtures_are_refused_at_their_component() {
    all_refused(
        r#"
data = "rign" => data.name = "rign" is not known; did you mean "ring"?
data = "ring" => data = "ring" is not Gaussian, and only Gaussians have exact laws; write mode = { monte-carlo
data = ["power-law"] => data[0].modes is missing; add modes =
data = [{ name = "gaussian", variance = [1.0] }, "two-mode"] => data[1] = "two-mode" is not Gaussian...; write
data = { name = "ring", lable = "x" } => data.lable = "x" is not a known key; did you mean "label"?
data = { name = "ring", label = 3 } => data.label = 3 has the wrong type; give a string
data = { name = "ring", mods = 3 } => data.mods = 3 is not a known key; did you mean "modes"?
data = { name = "ring", modes = 0 } => data.modes = 0 makes no mode; give at least 1
data = { name = "ring", modes = -8 } => data.modes = -8 is not allowed; give a whole number
data = { name = "ring", radius = nan } => data.radius = NaN is not finite; give
data = { name = "ring", std = [0.1, -0.3] } => data.std = -0.3 is no standard deviation; give
data = { name = "ring", std = [0.1] } => data.std = [0.1] is not allowed; give a number or [first, last]
data = { name = "ring", std = [0.1, 0.2, 0.3] } => data.std = [0.1, 0.2, 0.3] is not allowed; give a number or [first, last]
data = { name = "ring", std = "wide" } => data.std = "wide" has the wrong type; give a number or [first, last]
data = { name = "grid", side = 0 } => data.side = 0 makes no mode; give at least 1
data = { name = "grid", spacing = inf } => data.spacing = inf is not finite; give
data = { name = "grid", std = 1e200 } => data.std = 1e200 is no standard deviation; give
data = { name = "four-modes", std = -1.0 } => data.std = -1.0 is no standard deviation; give
data = { name = "funnel", modes = 7 } => data.modes = 7 is too few for a funnel; give at least 8
data = { name = "funnel", dim = 1 } => data.dim = 1 is too few for a funnel; give at least 2
data = { name = "funnel", std = 0.0 } => data.std = 0.0 makes no funnel; give
data = { name = "funnel", std = nan } => data.std = NaN makes no funnel; give
data = { name = "two-mode", std = 0.1 } => data.std = 0.1 is not a known key; remove it
data = { name = "random-mixture", dim = 0 } => data.dim = 0 is no space; give at least 1
data = { name = "random-mixture", seed = -1 } => data.seed = -1 is not allowed; give a whole number
data = { name = "random-mixture", spread = -1.0 } => data.spread = -1.0 is no standard deviation; give
data = { name = "random-mixture", covariance = "ful" } => data.covariance = "ful" is not known; did you mean "full"?
data = { name = "mixture", std = 0.1 } => data.means is missing; add means =
data = { name = "mixture", means = [], std = 0.1 } => data.means is empty; give one mean a component
data = { name = "mixture", means = [[]], std = 0.1 } => data.means have no coordinates; give
data = { name = "mixture", means = [0.0, 1.0], std = 0.1 } => data.means[0] = 0.0 has the wrong type; give an array
data = { name = "mixture", means = [[0.0], [nan]], std = 0.1 } => data.means[1] = NaN is not finite; give
data = { name = "mixture", means = [[0.0], [0.0, 1.0]], std = 0.1 } => data.means[1] has 2 coordinates where means[0] has 1; give
data = { name = "mixture", means = [[0.0]] } => data needs exactly one of std, variances and covariances; write std
data = { name = "mixture", means = [[0.0]], std = 0.1, variances = [[0.1]] } => data needs exactly one of std, variances and covariances; write std
data = { name = "mixture", means = [[0.0], [1.0]], std = 0.1, weights = [1.0] } => data.weights has 1 entries where means has 2; give one a mean
data = { name = "mixture", means = [[0.0], [1.0]], std = 0.1, weights = [1.0, 0.0] } => data.weights[1] = 0.0 is no weight; give
data = { name = "mixture", means = [[0.0], [1.0]], std = [0.1] } => data.std has 1 entries where means has 2; give one a mean
data = { name = "mixture", means = [[0.0], [1.0]], std = [0.1, -0.1] } => data.std[1] = -0.1 is no standard deviation; give
data = { name = "mixture", means = [[0.0]], std = -0.1 } => data.std = -0.1 is no standard deviation; give
data = { name = "mixture", means = [[0.0], [1.0]], variances = [[0.1]] } => data.variances has 1 entries where means has 2; give one a mean
data = { name = "mixture", means = [[0.0, 1.0]], variances = [[0.1]] } => data.variances[0] has 1 entries for 2 coordinates; give one a coordinate
data = { name = "mixture", means = [[0.0]], variances = [[-0.1]] } => data.variances[0] = -0.1 is no variance; give
data = { name = "mixture", means = [[0.0], [1.0]], covariances = [[[1.0]]] } => data.covariances has 1 entries where means has 2; give one a mean
data = { name = "mixture", means = [[0.0, 1.0]], covariances = [[[1.0]]] } => data.covariances[0] has 1 rows for 2 coordinates; give one a coordinate
data = { name = "mixture", means = [[0.0, 1.0]], covariances = [[[1.0, 0.5], [0.2, 1.0]]] } => data.covariances[0][1][0] = 0.2 differs from its mirror image ...; give a symmetric matrix
data = { name = "mixture", means = [[0.0, 1.0]], covariances = [[[1.0, 2.0], [2.0, 1.0]]] } => data.covariances[0] is not positive semi-definite: ...; give
data = { name = "product" } => data.of is missing; add of =
data = { name = "product", of = [] } => data.of is empty; give one law a coordinate
data = { name = "product", of = ["two-mode", "ring"] } => data.of[1] = "ring" has 2 coordinates; give a mixture on the line
data = { name = "product", of = { name = "power-law", modes = 1, p = 1.0 } } => data.of = "power-law(modes=1, p=1)" is no mixture; give
data = { name = "product", of = ["two-mode"], copies = 3 } => data.copies = 3 does not go with a list; remove it
data = { name = "product", of = "two-mode", copies = 0 } => data.copies = 0 makes no coordinate; give at least 1
data = { name = "product", of = "two-mode", copies = 1000000000000 } => data.copies = 1000000000000 is too many to hold; give fewer
data = { name = "product", of = ["two-mode", { name = "mixture", means = [[0.0]], std = -1.0 }] } => data.of[1].std = -1.0 is no standard deviation; give
data = { name = "gaussian", of = "ring", mean = 1.0 } => data.mean = 1.0 does not go with of, which has a mean; remove it
data = { name = "gaussian", of = "ring", variance = [1.0] } => data needs exactly one of variance, covariance, spectrum and of; write
data = { name = "gaussian", of = { name = "ring", modes = 0 } } => data.of.modes = 0 makes no mode; give at least 1
data = { name = "gaussian", of = { name = "random-mixture", modes = 1, dim = 5000 } } => data.of has 5000 coordinates, too many ...; give at most 4096
"#,
    );
}

#[test]
fn spectrum_files_are_refused_at_their_line() {
    all_refused(
        r#"
-data.variance; data.spectrum = "missing.csv" => data.spectrum = "missing.csv" cannot be read: ...; give the path
-data.variance; data.spectrum = "." => data.spectrum = "." cannot be read: ...; give the path
-data.variance; data.spectrum = "" => data.spectrum = "" is left for you to fill; write a path there, or add --set data.spectrum=
-data.variance; data.spectrum = "negative.csv" => data.spectrum = "negative.csv" line 3: "-2.0" is negative; give one variance a line
-data.variance; data.spectrum = "word.csv" => data.spectrum = "word.csv" line 2: "x" is not a number; give one variance a line
-data.variance; data.spectrum = "nan.csv" => data.spectrum = "nan.csv" line 3: "nan" is not finite; give one variance a line
-data.variance; data.spectrum = "columns.csv" => data.spectrum = "columns.csv" line 2: "2.0,3.0" is not a number; give one variance a line
-data.variance; data.spectrum = "header.csv" => data.spectrum = "header.csv" holds no variance; give one variance a line
-data.variance; data.spectrum = "latin1.csv" => data.spectrum = "latin1.csv" is not UTF-8 text; give a CSV file
"#,
    );
}

#[test]
fn grids_that_make_no_run_are_refused() {
    all_refused(
        r#"
grid.steps = 0 => grid.steps = 0 is not a positive whole number; give numbers such as
grid.steps = [4, -8] => grid.steps = -8 is not a positive whole number; give
grid.steps = 2.5 => grid.steps = 2.5 is not a positive whole number; give
grid.steps = [4, 8, 4] => grid.steps = 4 is listed twice; remove one
grid.steps = [] => grid.steps is empty; give at least one
grid.steps = 1000000000000 => grid.steps = 1000000000000 is too many to hold; give at most 1000000
solver = [{ name = "ddim", steps = 0 }] => solver[0].steps = 0 is not a positive whole number; give
solver = [{ name = "ddim", steps = 1000000000000 }] => solver[0].steps = 1000000000000 is too many to hold; give at most
quick = { steps = [0] } => quick.steps = 0 is not a positive whole number; give
quick = { modes = 0 } => quick.modes = 0 keeps nothing; give at least 1
quick = { steps = [] } --quick => quick.steps is empty; give at least one
grid.start = 2.0 => grid.start = 2.0 is outside the schedule; give a time from 0.0 to 1.0
grid.end = nan => grid.end = NaN is not a finite time; give a number
grid.end = 1.0 => grid.end = 1.0 equals start; give two different times
grid.end = 0.9999999999999999 => grid does not move on: sigma/alpha goes from 152...at level 1; give ...fewer steps
schedule.name = "flow"; grid.name = "uniform-lambda" => grid.start = 1.0 has no finite lambda ...; start a little later
grid.name = "uniform-lambda"; grid.end = 0.0 => grid.end = 0.0 has no finite lambda ...; end a little earlier
grid = { name = "karras", sigma_max = 0.1, sigma_min = 1.0, steps = 4 } => grid.sigma_max = 0.1 is not a number above sigma_min;
grid = { name = "karras", sigma_max = 1e9, sigma_min = 1.0, steps = 4 } => grid.sigma_max = 1000000000.0 ...outside the schedule; sigma/alpha runs from
grid = { name = "karras", sigma_max = 80.0, sigma_min = 0.0, steps = 4 } => grid.sigma_min = 0.0 is not a positive number;
grid = { name = "karras", sigma_max = 80.0, sigma_min = 0.1, rho = 1e-3, steps = 4 } => grid.rho = 0.001 is too small to compute with;
grid = { name = "discrete", spacing = "leading", steps = 4 } => grid.name = "discrete" needs a schedule with a table; use
schedule.name = "ddpm-discrete"; grid = { name = "discrete", steps = 4, spacing = "leading", offset = 1000 } => grid.offset = 1000 puts timestep 1750 outside the table 0..999; use
schedule.name = "ddpm-discrete"; grid = { name = "discrete", steps = 4, spacing = "leading", offset = 9223372036854775807 } => grid.offset = 9223372036854775807 puts timestep ...; use
schedule.name = "ddpm-discrete"; grid = { name = "discrete", steps = 1001, spacing = "leading" } => grid.steps = 1001 is more than the 1000 entries of the table; give at most 1000
grid = { name = "explicit", t = [1.0, 0.5, 0.7] } => grid does not move on: ...at level 1 to ...at level 2; give levels
grid = { name = "explicit", t = [1.0] } => grid.t = [1.0] makes no step; give at least two levels
grid = { name = "explicit", t = [1.0, 0.5], sigma = [1.0, 0.5] } => grid needs exactly one list of levels; give
grid = { name = "explicit", lambda = [-1.0, nan] } => grid.lambda[1] = NaN is not a number; give a level
grid = { name = "explicit", sigma = [1.0, -0.5] } => grid.sigma[1] = -0.5 ...is outside the schedule; sigma/alpha runs from
grid = { name = "explicit", t = [1.0, 0.5], steps = 4 } => grid.steps = 4 does not go with an explicit grid; remove it
grid.start = 1e-3; grid.end = 1.0 => solver[0] (ddim) is not defined ...; swap start and end: samplers run from noise to data
solver = [{ name = "ddpm-chain" }] => solver[0] (ddpm-chain) is not defined ...; swap start and end: forward chains run from data to noise
"#,
    );
}

#[test]
fn solvers_are_refused_where_they_would_divide_by_zero_and_run_where_they_do_not() {
    all_refused(
        r#"
schedule.name = "flow"; solver = [{ name = "annealed-langevin" }] => solver[0] (annealed-langevin) ...divides by alpha, which is 0 at level 0 ...; start
schedule.name = "flow"; solver = [{ name = "euler", clock = "edm" }] => solver[0] (euler(clock=edm)) ...divides by alpha...; start
schedule.name = "flow"; solver = [{ name = "euler-maruyama" }] => solver[0] (euler-maruyama) ...infinite at level 0 ...; start
grid.end = 0.0; solver = [{ name = "annealed-langevin" }] => solver[0] (annealed-langevin) ...divides by sigma, which is 0 at level 4 ...; end
schedule.name = "flow"; solver = [{ name = "ancestral" }] => solver[0] (ancestral) is not defined on schedule flow ...; use ddpm
"#,
    );
    let folder = tempfile::tempdir().expect("a folder");
    let text = edited(r#"schedule.name = "flow"; grid.end = 0.0; grid.steps = [2, 3]"#);
    fs::write(folder.path().join("legal.toml"), text).expect("written");
    let (code, _, stderr) = scorebench(folder.path(), &["run", "legal.toml", "--out", "out"]);
    assert_eq!(code, Some(0), "ddim from alpha = 0 to sigma = 0: {stderr}");
    let rows = fs::read_to_string(folder.path().join("out/legal/exact.csv")).expect("results");
    assert!(!rows.contains("NaN") && !rows.contains("inf"), "{rows}");
}

#[test]
fn arguments_without_a_meaning_are_refused() {
    all_refused(
        r#"
question = "?" --set data => --set = "data" is not KEY=VALUE; write
question = "?" --set =5 => --set = "=5" is not KEY=VALUE; write
question = "?" --set question.x=5 => --set = "question.x=5" names "question", which is no table of the file; name
question = "?" --set grid.steps=3,4 => grid.steps = "3,4" is not a positive whole number; give
question = "?" --threads 0 => error: ...'0' ...'--threads <THREADS>'...1..=1024
question = "?" --treads 2 => error: ...'--treads'...'--threads'
question = "?" --threads 1 ./case.toml => error: ./case.toml: would write to the folder of another file of the same name; rename it
"#,
    );
}

#[test]
fn sizes_that_do_not_fit_are_refused_before_they_are_allocated() {
    all_refused(
        r#"
data = { name = "ring", modes = 1000000000000 } => data.modes = 1000000000000 is too many to hold; stay below
data = { name = "grid", side = 1000000000000 } => data.side = 1000000000000 is too many to hold; stay below
data = { name = "funnel", dim = 1000000000000 } => data.dim = 1000000000000 is too many to hold; stay below
data = { name = "random-mixture", modes = 100000, dim = 1000 } => data.modes = 100000 is too many to hold; stay below
data = { name = "random-mixture", dim = 9000000000000000000, covariance = "full" } => data.dim = 9000000000000000000 is too many to hold; stay below
data = { name = "power-law", modes = 1000000000000, p = 1.0 } => data.modes = 1000000000000 is too many to hold; give at most
schedule = { name = "ddpm-discrete", steps = 10000000000 } => schedule cannot be used: steps = 10000000000 is not between 2 and 1000000;
solver = [{ name = "annealed-langevin", steps_per_level = 1000000000 }] => solver[0].steps_per_level = 1000000000 is not between 1 and 100000;
solver = [{ name = "annealed-langevin", steps_per_level = 100000 }] => solver[0] ...would ask for 500000 noises in 4 steps; stay below
solver = [{ name = "predictor-corrector", corrections = 9223372036854775807 }] => solver[0] ...would ask for ...noises in 4 steps; stay below
"#,
    );
}

/// Only a run shows that a solver looks at norms, which join all modes: then it is a row that says why.
#[cfg(target_os = "linux")]
#[test]
fn a_run_that_does_not_fit_is_a_row_that_says_so_and_the_others_are_complete() {
    let folder = tempfile::tempdir().expect("a folder");
    let solvers = r#"solver = [{ name = "predictor-corrector", predictor = "ddpm", snr = 0.1 }, { name = "ddim", steps = 2 }]"#;
    let text = edited(&format!(
        "data = {{ name = \"power-law\", modes = 1000000, p = 1.0 }}; grid.steps = 1000; {solvers}"
    ));
    fs::write(folder.path().join("large.toml"), text).expect("written");
    let (code, _, stderr) =
        with_memory(4, folder.path(), &["run", "large.toml", "--out", "out", "--threads", "2"]);
    assert_eq!(code, Some(1), "{stderr}");
    let rows = fs::read_to_string(folder.path().join("out/large/exact.csv")).expect("results");
    assert!(
        rows.contains(",1000,,,,,,,,\"too large: a norm joins all 1000000 modes, each with 2001 noises"),
        "{rows}"
    );
    assert!(rows.lines().any(|row| row.contains(",ddim,2,2,0,") && !row.contains("too large")), "{rows}");
}

#[cfg(target_os = "linux")]
#[test]
fn threads_that_the_system_refuses_are_no_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("good.toml"), GOOD).expect("written");
    let (code, _, stderr) =
        with_memory(1, folder.path(), &["run", "good.toml", "--out", "out", "--threads", "1024"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.starts_with("error: --threads cannot be started: ")
            && stderr.contains("; give a smaller number")
    );
    assert!(!folder.path().join("out").exists());
}
