//! The command line through the real program: what it writes, what it says, and that nothing finished is ever lost.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_scorebench");
const ROW: &str =
    "experiment,data,schedule,grid,init,solver,steps,nfe,draws,w2,w2_data,kl,mean_error,cov_error,error,";
const ORDER_ROW: &str = "experiment,data,schedule,grid,init,solver,metric,order,stderr,claimed,verdict,";

/// 12 cells, some ms.
const SMALL: &str = r#"
question = "Is it so?"
data = { name = "gaussian", mean = [0.0, 1.0, -0.5, 0.0, 0.3], variance = [1.0, 0.25, 4.0, 0.01, 0.1] }
schedule = { name = "vp-linear" }
grid = { name = "uniform-lambda", start = 1.0, end = 1e-3, steps = [16, 32, 64, 128] }
quick = { steps = [4, 8] }
[[solver]]
name = "ddim"
[[solver]]
name = "euler-maruyama"
[[solver]]
name = "heun"
"#;
const CELLS: usize = 12;

/// 200 cells of some ms each.
fn long() -> String {
    let head = SMALL.split("[[solver]]").next().unwrap_or_default();
    let head = head.replace("[16, 32, 64, 128]", "[600, 610, 620, 630, 640, 650, 660, 670, 680, 690]");
    let solver = |k| format!("[[solver]]\nname = \"euler-maruyama\"\nlambda = 0.{k:02}\n");
    head + &(1..=20).map(solver).collect::<String>()
}

/// What a run said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    /// The two numbers of "D of N cells computed".
    fn computed(&self) -> (usize, usize) {
        let line = self.err.lines().find(|l| l.contains(" cells computed")).expect(&self.err);
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[1].parse().expect(line), words[3].parse().expect(line))
    }
}

/// A folder to work in.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new(files: &[(&str, &str)]) -> Self {
        let bench = Bench(tempfile::tempdir().expect("a folder"));
        files.iter().for_each(|(name, text)| bench.write(name, text));
        bench
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().expect("a folder")).expect("made");
        fs::write(self.path(name), bytes).expect("written");
    }
    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
    fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("UTF-8")
    }
    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args.split_whitespace()).current_dir(&self.0);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
    fn run(&self, args: &str) -> Said {
        let out = self.command(args).output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let said = Said { code: out.status.code(), out: text(out.stdout), err: text(out.stderr) };
        assert!(!said.err.contains("panicked"), "{}", said.err);
        // Progress bars are for terminals.
        assert!(!said.err.contains(['\r', '\x1b', '█', '░']), "{:?}", said.err);
        said
    }
    /// Runs, and asserts that all is well and how many cells were computed.
    fn runs(&self, args: &str, computed: usize) -> Said {
        let said = self.run(args);
        assert_eq!((said.code, said.computed().0), (Some(0), computed), "{args}: {}", said.err);
        said
    }
    /// Names in a result folder.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
    /// Whole lines in a journal.
    fn journalled(&self, folder: &str) -> usize {
        let bytes = fs::read(self.path(folder).join(".journal")).unwrap_or_default();
        bytes.iter().filter(|b| **b == b'\n').count()
    }
    /// Starts a run and returns as soon as it has finished that many cells.
    fn start(&self, args: &str, folder: &str, cells: usize) -> Child {
        let mut child = self.command(args).spawn().expect("the program starts");
        while self.journalled(folder) < cells {
            assert!(child.try_wait().expect("a child").is_none(), "done before {cells} cells were seen");
            std::thread::sleep(Duration::from_millis(1));
        }
        child
    }
}

fn contains(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is not in\n{text}");
}

fn records(table: &str) -> Vec<csv::StringRecord> {
    csv::Reader::from_reader(table.as_bytes()).records().map(|r| r.expect("a row")).collect()
}

/// The tables of a result folder that must not differ between two ways to the same results.
fn same_tables(bench: &Bench, one: &str, other: &str) {
    for table in ["exact.csv", "orders.csv"] {
        let (a, b) = (bench.text(&format!("{one}/{table}")), bench.text(&format!("{other}/{table}")));
        assert!(a == b, "{table} of {one} and {other}:\n{a}\n{b}");
    }
}

#[test]
fn a_run_writes_the_contract_s_tables_and_says_where_they_come_from() {
    let bench = Bench::new(&[("small.toml", SMALL)]);
    let said = bench.runs("run small.toml --out out --set data.label='x'", CELLS);
    contains(&said.out, "Is it so?");
    let exact = bench.text("out/small/exact.csv");
    assert!(exact.starts_with(ROW), "{exact}");
    assert_eq!(records(&exact).len(), CELLS);
    for row in records(&exact) {
        let w2: f64 = row[9].parse().expect("a number");
        assert_eq!((&row[0], &row[1], &row[9], &row[14]), ("small", "x", &*format!("{w2:e}"), ""));
    }
    let orders = bench.text("out/small/orders.csv");
    assert!(orders.starts_with(ORDER_ROW), "{orders}");
    for row in records(&orders) {
        assert!(["pass", "fail", "inconclusive"].contains(&&row[10]), "{row:?}");
    }
    let timing = bench.text("out/small/timing.csv");
    let column =
        timing.lines().next().and_then(|h| h.split(',').position(|h| h == "seconds")).expect(&timing);
    let timed = records(&timing).iter().filter(|r| r[column].parse::<f64>().is_ok_and(|s| s >= 0.0)).count();
    assert_eq!(timed, CELLS, "{timing}");
    let manifest: toml::Table = bench.text("out/small/manifest.toml").parse().expect("TOML");
    for key in ["commit", "dirty", "command", "version", "features", "machine", "rustc", "date"] {
        assert!(manifest.contains_key(key), "{key} in {manifest}");
    }
    // The command alone makes these numbers again, in any shell.
    let command = manifest["command"].as_str().expect("a string").replacen("scorebench", PROGRAM, 1);
    let mut shell = Command::new("sh");
    let again = shell.args(["-c", &format!("{command} --out again")]).current_dir(&bench.0).output();
    assert!(again.is_ok_and(|o| o.status.success()), "{command}");
    same_tables(&bench, "out/small", "again/small");
}

#[test]
fn a_rerun_computes_nothing_and_a_fresh_one_everything_to_the_same_bytes() {
    let bench = Bench::new(&[("small.toml", SMALL)]);
    bench.runs("run small.toml --out out", CELLS);
    bench.runs("run small.toml --out first", CELLS);
    let all = |folder: &str| -> Vec<_> {
        bench.names(folder).iter().map(|n| bench.read(&format!("{folder}/{n}"))).collect()
    };
    let before = all("out/small");
    let said = bench.runs("run small.toml --out out", 0);
    contains(&said.err, "0 of 12 cells computed");
    assert_eq!(all("out/small"), before, "a rerun changes no file, not even the manifest's date");
    bench.runs("run small.toml --out out --fresh", CELLS);
    same_tables(&bench, "out/small", "first/small");
    bench.runs("run small.toml --out out --quick", 6);
    same_tables(&bench, "out/small", "first/small");
    assert_eq!(bench.names("out"), ["small", "small-quick"], "a quick run has a folder of its own");
}

#[test]
fn only_what_changed_is_computed_again() {
    let bench = Bench::new(&[("small.toml", SMALL)]);
    bench.runs("run small.toml --out out", CELLS);
    let edits = [
        ("another question", SMALL.replace("Is it so?", "Is it not?"), 0),
        ("another label", SMALL.replace("gaussian\",", "gaussian\", label = \"five\","), 0),
        ("one more solver", format!("{SMALL}[[solver]]\nname = \"ddpm\"\n"), 4),
        ("another parameter", SMALL.replace("name = \"ddim\"", "name = \"ddim\"\neta = 0.5"), 4),
        ("one more step count", SMALL.replace("[16, 32, 64, 128]", "[16, 32, 48, 64, 128]"), 7),
        ("another mean", SMALL.replace("-0.5", "-0.6"), CELLS),
    ];
    for (k, (what, text, computed)) in edits.iter().enumerate() {
        bench.write("small.toml", text);
        let said = bench.run("run small.toml --out out");
        // Cells that an edit leaves out are forgotten: the eta = 0 runs are gone when step counts change.
        assert_eq!(said.computed().0, *computed, "{what}: {}", said.err);
        bench.runs(&format!("run small.toml --out anew{k}"), said.computed().1);
        same_tables(&bench, "out/small", &format!("anew{k}/small"));
    }
}

#[test]
fn an_edited_row_is_computed_again() {
    let bench = Bench::new(&[("small.toml", SMALL)]);
    bench.runs("run small.toml --out out", CELLS);
    let whole = String::from_utf8(bench.read("out/small/exact.csv")).unwrap();
    let w2 = &records(&whole)[2][9];
    bench.write("out/small/exact.csv", whole.replacen(w2, "1e-9", 1));
    assert_eq!(bench.run("run small.toml --out out").computed().0, 1);
    assert_eq!(bench.read("out/small/exact.csv"), whole.as_bytes());
}

#[test]
fn results_do_not_depend_on_threads_to_the_last_bit() {
    let text = r#"
question = "?"
data = [{ name = "power-law", modes = 600, p = 1.0 }, { name = "gaussian", mean = 1.0, variance = [1.0, 0.25, 4.0, 0.01] }]
schedule = { name = "vp-linear" }
grid = { name = "quadratic-t", start = 1.0, end = 1e-3, steps = [20, 40, 80] }
init = ["marginal", "prior"]
solver = [
    { name = "ddim" }, { name = "euler-maruyama" }, { name = "heun" }, { name = "stochastic-heun" },
    { name = "predictor-corrector", predictor = "ddpm", snr = 0.1 },
]
"#;
    let bench = Bench::new(&[("threads.toml", text)]);
    for threads in [1, 2, 5] {
        bench.runs(&format!("run threads.toml --out out{threads} --threads {threads}"), 60);
        same_tables(&bench, "out1/threads", &format!("out{threads}/threads"));
    }
}

#[test]
fn a_run_that_overflows_is_a_row_that_says_so() {
    let text = SMALL.replace("vp-linear", "ve").replace("uniform-lambda", "uniform-t");
    let text = text.replace("16, 32, 64, 128", "8, 256").replace("maruyama\"", "maruyama\"\nlambda = 1000.0");
    let bench = Bench::new(&[("wild.toml", &text)]);
    let said = bench.run("run wild.toml --out out");
    contains(&said.err, "marginal euler-maruyama(lambda=1000) N = 256: diverged: mode");
    let table = bench.text("out/wild/exact.csv");
    let (wild, tame): (Vec<_>, Vec<_>) = records(&table).into_iter().partition(|r| !r[14].is_empty());
    assert_eq!((wild.len(), tame.len()), (1, 5), "{table}");
    assert_eq!((&wild[0][9], &wild[0][11]), ("inf", "inf"), "{table}");
    let finite = |cell: &str| cell.parse::<f64>().is_ok_and(f64::is_finite);
    assert!(tame.iter().all(|r| (6..14).all(|k| finite(&r[k]))), "{table}");
    let again = bench.run("run wild.toml --out out");
    assert_eq!(
        (said.code, again.code, again.computed()),
        (Some(1), Some(1), (0, 6)),
        "a rerun knows it still"
    );
    bench.write("wild.toml", text.replace("1000.0", "1000.0\nexpect = { may_fail = \"far too stiff\" }"));
    bench.runs("run wild.toml --out out", 0);
}

#[test]
fn an_expectation_that_fails_is_named_and_gives_1() {
    let bench = Bench::new(&[("c.toml", SMALL)]);
    bench.write("a.toml", format!("{SMALL}[[expect]]\nsolver = \"ddim\"\nsteps = 32\nbelow = 1e-9\n"));
    bench.write("b.toml", SMALL.replace("name = \"heun\"", "name = \"heun\"\nexpect = { order = 3.0 }"));
    let said = bench.run("run a.toml b.toml c.toml --out out");
    assert_eq!((said.code, bench.names("out")), (Some(1), ["a", "b", "c"].map(String::from).to_vec()));
    let failed: Vec<&str> = said.err.lines().filter(|l| l.starts_with("FAILED: ")).collect();
    assert_eq!(failed.len(), 2, "{}", said.err);
    contains(failed[0], "ddim N = 32: w2 = ");
    contains(failed[0], "expected at most 1e-9");
    contains(failed[1], "heun: order 2.");
    contains(failed[1], "expected 3");
}

#[test]
fn a_killed_run_loses_only_what_was_not_finished() {
    let bench = Bench::new(&[("long.toml", &long())]);
    bench.runs("run long.toml --out whole", 200);
    let folder = "out/long";
    let mut finished = 0;
    for wait_for in [1, 40, 41, 80, 120] {
        let mut child = bench.start("run long.toml --out out --threads 2", folder, wait_for);
        child.kill().expect("killed");
        child.wait().expect("dead");
        let now = bench.journalled(folder);
        assert!((finished..200).contains(&now), "{now} cells after {finished}");
        finished = now;
    }
    bench.write(&format!("{folder}/.exact.csv.1.tmp"), "half a tab");
    bench.runs("run long.toml --out out", 200 - finished);
    same_tables(&bench, folder, "whole/long");
    assert_eq!(bench.names(folder), bench.names("whole/long"), "nothing is left behind");
}

#[test]
fn a_damaged_journal_loses_only_its_damaged_lines() {
    let bench = Bench::new(&[("small.toml", SMALL), ("out/small/.journal", "")]);
    // A second name for the journal keeps what the run removes.
    fs::hard_link(bench.path("out/small/.journal"), bench.path("kept")).expect("linked");
    bench.runs("run small.toml --out out", CELLS);
    let whole = bench.read("kept");
    let ends: Vec<usize> = (0..whole.len()).filter(|i| whole[*i] == b'\n').collect();
    assert_eq!(ends.len(), CELLS);
    let mut wrong_sum = whole.clone();
    wrong_sum[ends[2] - 40] ^= 1;
    let cases: Vec<(&str, Vec<u8>, usize)> = vec![
        ("whole", whole.clone(), 0),
        ("empty", Vec::new(), CELLS),
        ("torn in its first line", whole[..7].to_vec(), CELLS),
        ("torn in a line", whole[..ends[4] + 30].to_vec(), 7),
        ("torn before a line's last byte", whole[..ends[4] - 1].to_vec(), 8),
        ("torn before a newline", whole[..ends[4]].to_vec(), 7),
        ("torn after a line", whole[..=ends[4]].to_vec(), 7),
        ("garbage after", [&whole[..=ends[4]], b"\0\xff garbage {} \n\n0 []"].concat(), 7),
        ("garbage before", [b"\xff\xfe\n", &whole[..]].concat(), 0),
        ("a line twice", [&whole[..=ends[0]], &whole].concat(), 0),
        ("a changed line", wrong_sum, 1),
    ];
    for (k, (what, journal, computed)) in cases.iter().enumerate() {
        let folder = format!("case{k}/small");
        bench.write(&format!("{folder}/.journal"), journal);
        let said = bench.run(&format!("run small.toml --out case{k}"));
        assert_eq!((said.code, said.computed()), (Some(0), (*computed, CELLS)), "{what}: {}", said.err);
        same_tables(&bench, &folder, "out/small");
        assert_eq!(bench.names(&folder), bench.names("out/small"), "{what}");
    }
    // Killed between the last cell and the tables, over the tables of an older program.
    let manifest = bench.text("out/small/manifest.toml");
    let older = manifest.replace("source = \"", "source = \"older");
    bench.write("out/small/manifest.toml", &older);
    bench.write("out/small/.journal", &whole);
    bench.runs("run small.toml --out out", 0);
    assert_eq!(bench.text("out/small/manifest.toml").find("older"), None, "the tables are this program's");
    bench.write("out/small/manifest.toml", &older);
    bench.runs("run small.toml --out out", CELLS);
}

#[test]
fn two_runs_do_not_write_to_one_folder() {
    let bench = Bench::new(&[("long.toml", &long())]);
    let mut first = bench.start("run long.toml --out out --threads 1", "out/long", 1);
    let second = bench.run("run long.toml --out out");
    first.kill().expect("killed");
    first.wait().expect("dead");
    assert_eq!((second.code, second.out.as_str()), (Some(2), ""));
    contains(&second.err, "error: out/long: --out is being written by another run; wait for it");
    let third = bench.run("run long.toml --out out --quick");
    assert_eq!(third.code, Some(0), "a dead run locks nothing: {}", third.err);
}

#[test]
fn check_asserts_every_experiment_of_a_folder_and_writes_nothing() {
    let template = SMALL.replace("variance = [1.0, 0.25, 4.0, 0.01, 0.1]", "spectrum = \"\"");
    let bench = Bench::new(&[("good/a.toml", SMALL), ("good/t.toml", &template), ("good/notes.md", "no")]);
    let good = bench.run("check good");
    assert_eq!((good.code, good.out.as_str()), (Some(0), "a: ok\n"), "{}", good.err);
    contains(&good.err, "skipped: good/t.toml: data.spectrum = \"\" is left for you to fill; write");
    bench.write("bad/a.toml", SMALL);
    bench.write("bad/b.toml", format!("{SMALL}[[expect]]\nbelow = 1e-9\n"));
    let bad = bench.run("check bad");
    assert_eq!((bad.code, bad.out.as_str()), (Some(1), "a: ok\nb: FAILED\n"), "{}", bad.err);
    bench.write("bad/c.toml", "question = 5");
    let malformed = bench.run("check bad");
    assert_eq!((malformed.code, malformed.out.as_str()), (Some(2), ""), "nothing is run: {}", malformed.err);
    contains(&malformed.err, "error: bad/c.toml: question = 5 has the wrong type; give");
    assert_eq!(bench.names("."), ["bad", "good"]);
    for (folder, why) in [("none", "cannot be read: "), (".", "holds no experiment")] {
        let said = bench.run(&format!("check {folder}"));
        assert_eq!(said.code, Some(2));
        contains(&said.err, &format!("error: {folder}: {why}"));
    }
}

#[test]
fn lists_name_the_same_things_as_text_and_as_json() {
    let bench = Bench::new(&[]);
    let lists = [
        "solvers ddim",
        "schedules vp-linear",
        "grids karras",
        "data gaussian",
        "metrics w2",
        "studies inversion",
    ];
    for (what, some) in lists.iter().filter_map(|l| l.split_once(' ')) {
        let (text, json) = (bench.run(&format!("list {what}")), bench.run(&format!("list {what} --json")));
        assert_eq!((text.code, json.code, text.err + &json.err), (Some(0), Some(0), String::new()));
        let items: Vec<serde_json::Value> = serde_json::from_str(&json.out).expect("a JSON array");
        let names: Vec<&str> = items.iter().map(|i| i["name"].as_str().expect("a name")).collect();
        let lines: Vec<&str> = text.out.lines().filter_map(|l| l.split_whitespace().next()).collect();
        assert_eq!(names, lines);
        assert!(names.contains(&some) && items.iter().all(|i| i["about"].is_string()), "{what}");
    }
}

#[test]
fn certify_gives_1_for_what_does_not_keep_its_claim_and_2_for_what_it_does_not_know() {
    let bench = Bench::new(&[]);
    let kept = bench.run("certify ddim dpmpp-3m(d2=shipped)");
    assert_eq!(kept.code, Some(0), "{}{}", kept.out, kept.err);
    for line in ["ddim(eta=0.5)", "dpmpp-3m(d2=shipped)", "2 (sold as 3)"] {
        contains(&kept.out, line);
    }
    let sold = bench.run("certify --as-sold dpmpp-3m(d2=shipped)");
    assert_eq!(sold.code, Some(1), "{}", sold.out);
    contains(&sold.out, "the claimed 3 lies outside +-0.05");
    let json = bench.run("certify --json ddim(eta=0.25)");
    let list: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!((json.code, list[0]["solver"].as_str()), (Some(0), Some("ddim(eta=0.25)")));
    assert!((list[0]["weak"][0]["order"].as_f64().expect("an order") - 1.0).abs() < 0.05);
    for (words, why) in [
        ("certify dim", "solver = \"dim\" is not known; did you mean \"ddim\"?"),
        ("certify ddim(eta)", "is no label; write name(key=value, ...)"),
        ("certify ddim(eta=2)", "eta = 2.0 is outside [0, 1]"),
        ("certify --readme", "README.md: cannot be read"),
    ] {
        let refused = bench.run(words);
        assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{words}: {}", refused.err);
        contains(&refused.err, why);
    }
    assert!(bench.names(".").is_empty(), "nothing is written");
}

#[test]
fn calls_until_an_error_is_reached_are_tabulated() {
    let text =
        SMALL.replace("steps = [16", "calls = [16") + "\n[reach]\ntargets = [0.1]\nagainst = [\"ddim\"]\n";
    let bench = Bench::new(&[("a.toml", &text)]);
    let run = bench.run("run a.toml");
    assert_eq!(run.code, Some(0), "{}", run.err);
    let rows = records(&String::from_utf8(bench.read("results/a/calls.csv")).expect("UTF-8"));
    assert!(rows.iter().any(|r| &r[5] == "ddim" && &r[8] == "ddim: 1"), "{rows:?}");
}

#[test]
fn a_reader_that_goes_away_changes_neither_the_results_nor_the_exit_code() {
    let bench = Bench::new(&[("a.toml", SMALL)]);
    bench.write("b.toml", format!("{SMALL}[[expect]]\nbelow = 1e-9\n"));
    for (k, both) in [false, true].into_iter().enumerate() {
        let mut child = bench.command(&format!("run a.toml b.toml --out out{k}")).spawn().expect("started");
        drop(child.stdout.take());
        if both {
            drop(child.stderr.take());
        }
        let out = child.wait_with_output().expect("done");
        let err = String::from_utf8(out.stderr).expect("UTF-8");
        assert_eq!((out.status.code(), err.find("panicked")), (Some(1), None), "{err}");
        assert_eq!(bench.names(&format!("out{k}")), ["a", "b"]);
    }
}

#[test]
fn quiet_says_nothing_but_what_went_wrong_and_verbose_says_more() {
    let bench = Bench::new(&[("small.toml", SMALL)]);
    let usual = bench.run("run small.toml").err;
    assert_eq!(bench.run("run small.toml --fresh --quiet").err, "");
    let verbose = bench.run("--verbose run small.toml --fresh").err;
    assert!(verbose.lines().count() > usual.lines().count() && verbose.contains(" threads"), "{verbose}");
    let failing = SMALL.replace("name = \"ddim\"", "name = \"ddim\"\nexpect = { order = 2.0 }");
    bench.write("failing.toml", failing);
    let said = bench.run("run failing.toml --quiet");
    assert_eq!(said.code, Some(1));
    assert!(said.err.lines().all(|l| l.starts_with("FAILED: ")) && !said.err.is_empty(), "{}", said.err);
    assert_eq!(bench.run("run --quiet --verbose small.toml").code, Some(2));
}

#[test]
fn verdicts_are_printed_as_json_too() {
    let bench = Bench::new(&[("e/small.toml", SMALL)]);
    let json = |args: &str| -> serde_json::Value {
        let said = bench.run(args);
        serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{args}: {e}\n{}", said.out))
    };
    let run = json("run e/small.toml --json");
    assert_eq!(run[0]["cells"], CELLS);
    assert_eq!(run[0]["orders"].as_array().map(Vec::len), Some(3));
    assert_eq!(json("check e --json")[0]["verdict"], "ok");
    assert!(json("doctor --json").as_array().is_some_and(|l| l.iter().all(|f| f["fine"] == true)));
    assert_eq!(json("certify ddim --json")[0]["verdict"], "pass");
}

#[test]
fn the_exit_codes_are_those_that_the_help_names() {
    let bench = Bench::new(&[("small.toml", SMALL), ("broken.toml", "question = ")]);
    contains(&bench.run("--help").out, "Exit codes: 0 fine; 1 ");
    for (args, code) in [
        ("run small.toml", 0),
        ("certify dpmpp-3m --as-sold", 1),
        ("run broken.toml", 2),
        ("run no-such-file.toml", 2),
        ("run", 2),
        ("no-such-verb", 2),
        ("list nothing", 2),
    ] {
        assert_eq!(bench.run(args).code, Some(code), "{args}");
    }
}

#[test]
fn a_typo_is_answered_by_what_may_be_meant() {
    let bench = Bench::new(&[("experiments/small.toml", SMALL)]);
    contains(&bench.run("run experiments/smal.toml").err, "did you mean experiments/small.toml?");
    contains(&bench.run("certfy").err, "'certify'");
    contains(&bench.run("list solver").err, "'solvers'");
    contains(&bench.run("certify didm").err, "did you mean \"ddim\"?");
}

#[test]
fn completions_and_manual_pages_know_every_verb() {
    let bench = Bench::new(&[]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        contains(&bench.run(&format!("completions {shell}")).out, "certify");
    }
    contains(&bench.run("man").out, ".TH scorebench 1");
    assert_eq!(bench.run("man pages --quiet").code, Some(0));
    let pages = bench.names("pages");
    assert!(pages.contains(&"scorebench-run.1".to_string()), "{pages:?}");
    assert!(bench.text("pages/scorebench-certify.1").contains("as\\-sold"));
}

#[test]
#[cfg(unix)]
fn the_doctor_finds_results_that_cannot_be_written() {
    let bench = Bench::new(&[("taken", "a file, no folder")]);
    let said = bench.run("doctor --out taken/results");
    assert_eq!(said.code, Some(1), "{}", said.out);
    contains(&said.out, "taken/results cannot be written");
    assert_eq!(bench.run("doctor --out new/results").code, Some(0));
    assert_eq!(bench.names("."), ["taken"], "nothing is left behind");
}

#[test]
fn samples_that_are_not_finite_are_counted_and_give_1() {
    let bench = Bench::new(&[]);
    let grid = "{name='uniform-t',start=1.0,end=0.001}";
    let good = bench.run(&format!("sample --data ring --solver heun --grid {grid} -n 8"));
    assert_eq!(good.code, Some(0), "{}", good.err);
    // More than an f32 holds.
    let wild = "{name='uniform-lambda',start=1e60,end=1.0}";
    let bad =
        bench.run(&format!("sample --data ring --solver ddim --schedule {{name='edm'}} --grid {wild} -n 8"));
    assert_eq!(bad.code, Some(1), "{}", bad.err);
    contains(&bad.err, "8 of 8 samples are not finite");
}

#[test]
fn a_solver_confined_to_some_grids_runs_on_no_other() {
    let two = SMALL
        .replace("grid = {", "grid = [{ name = \"uniform-t\", start = 1.0, end = 1e-3, steps = [8] }, {");
    let two = two
        .replace("128] }", "128] }]")
        .replace("name = \"heun\"", "name = \"heun\"\ngrids = [\"uniform-t\"]");
    let bench = Bench::new(&[("two.toml", &two)]);
    assert_eq!(bench.run("run two.toml").computed(), (11, 11));
    let rows = records(&bench.text("results/two/exact.csv"));
    let heun: Vec<&str> = rows.iter().filter(|r| &r[5] == "heun").map(|r| &r[3]).collect();
    assert_eq!(heun, ["uniform-t(end=0.001, start=1)"]);
}

#[test]
fn results_that_came_without_their_timings_are_not_computed_again() {
    let bench = Bench::new(&[("small.toml", SMALL)]);
    bench.run("run small.toml");
    let (table, manifest) =
        (bench.text("results/small/exact.csv"), bench.text("results/small/manifest.toml"));
    fs::remove_file(bench.path("results/small/timing.csv")).expect("removed");
    bench.runs("run small.toml", 0);
    assert_eq!(bench.text("results/small/exact.csv"), table);
    assert_eq!(bench.text("results/small/manifest.toml"), manifest);
}
