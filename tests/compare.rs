//! `scorebench compare` through the real program: exit codes, sources, reports, updates; and what holds for any table.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use scorebench::compare::{Class, Comparison, Options, Tables, compare};

const PROGRAM: &str = env!("CARGO_BIN_EXE_scorebench");
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/compare");

/// A folder to work in.
struct Bench(tempfile::TempDir);

impl Bench {
    /// With the fixtures in it.
    fn new() -> Self {
        let bench = Bench(tempfile::tempdir().expect("a folder"));
        for side in ["before", "after"] {
            for table in ["exact.csv", "sampled.csv", "orders.csv"] {
                bench.write(
                    &format!("{side}/{table}"),
                    fs::read(format!("{FIXTURES}/{side}/{table}")).expect("a fixture"),
                );
            }
        }
        bench
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().expect("a folder")).expect("made");
        fs::write(self.path(name), bytes).expect("written");
    }
    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
    fn run(&self, args: &str, environment: &[(&str, &str)]) -> Said {
        let mut command = Command::new(PROGRAM);
        command.arg("compare").args(args.split_whitespace()).current_dir(&self.0);
        command.env_remove("GITHUB_STEP_SUMMARY").envs(environment.iter().copied());
        let out = command.output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let said = Said { code: out.status.code(), out: text(out.stdout), err: text(out.stderr) };
        assert!(!said.err.contains("panicked"), "{}", said.err);
        said
    }
    fn says(&self, args: &str, code: i32) -> Said {
        let said = self.run(args, &[]);
        assert_eq!(said.code, Some(code), "{args}\n{}\n{}", said.out, said.err);
        said
    }
    fn git(&self, args: &str) {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]);
        let out = command.args(args.split_whitespace()).current_dir(&self.0).output().expect("git starts");
        assert!(out.status.success(), "{args}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn contains(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is not in\n{text}");
}

#[test]
fn exit_codes_tell_fine_from_worse_from_unreadable() {
    let bench = Bench::new();
    contains(&bench.says("before before", 0).out, "9 rows: nothing differs; passed");
    contains(&bench.says("before after", 1).out, "FAILED (fails on regression, missing)");
    bench.says("before after --fail-on none", 0);
    bench.says("before after --fail-on timing", 0);
    bench.says("before after --fail-on improvement", 1);
    contains(&bench.says("before after --fail-on worse", 2).err, "--fail-on = \"worse\" is no class");
    contains(&bench.says("before nowhere", 2).err, "nowhere: cannot be read");
    contains(&bench.says("before after --false-alarm 0", 2).err, "--false-alarm = 0.0 is no rate");
    bench.says("before after --format pdf", 2);
    bench.write("empty/readme.txt", "");
    contains(&bench.says("empty after", 2).err, "holds no result table");
}

#[test]
fn files_and_folders_are_compared_with_their_like() {
    let bench = Bench::new();
    bench.says("before/exact.csv before/exact.csv", 0);
    bench.says("before/exact.csv before", 0);
    bench.says("before after/exact.csv", 1);
    let other = bench.says("before/exact.csv before/orders.csv", 2);
    contains(
        &other.err,
        "before/orders.csv: line 1 has the header of orders.csv, and before/exact.csv that of exact.csv",
    );
    // A table is known by its header.
    fs::rename(bench.path("before/exact.csv"), bench.path("before/numbers.csv")).expect("renamed");
    bench.says("before after", 1);
    fs::remove_file(bench.path("before/numbers.csv")).expect("removed");
    contains(&bench.says("before after/exact.csv", 2).err, "has 0 tables of the kind of after/exact.csv");
}

#[test]
fn folders_of_result_folders_are_compared_folder_by_folder() {
    let bench = Bench::new();
    for (from, to) in [("before", "a/one"), ("before", "a/two"), ("before", "b/one"), ("after", "b/two")] {
        for table in ["exact.csv", "sampled.csv", "orders.csv"] {
            bench.write(&format!("{to}/{table}"), bench.text(&format!("{from}/{table}")));
        }
    }
    // What is no table, and what is of no interest.
    bench.write("a/one/notes.csv", "x,y\n1,2\n");
    bench.write("a/.cache/exact.csv", "torn");
    contains(&bench.says("a a", 0).out, "note: a/one/notes.csv is not compared");
    let said = bench.says("a b --format json", 1);
    assert!(
        said.out.contains("b/two/exact.csv")
            && !said.out.contains("\"file\": \"b/one/exact.csv\",\n      \"line")
    );
    contains(
        &bench.says("a before", 2).err,
        "before: is one result folder, and a a folder of result folders",
    );
    // One folder less: all its rows are missing.
    fs::remove_dir_all(bench.path("b/one")).expect("removed");
    contains(&bench.says("a b --format json", 1).out, "a/one/exact.csv has nothing like it in NEW");
    bench.write("a/one/.journal", "");
    contains(&bench.says("a b", 2).err, "a/one: is of a run that goes on or was cut off");
}

#[test]
fn a_run_without_fits_writes_an_empty_table_and_that_is_fine() {
    let bench = Bench::new();
    bench.write("after/orders.csv", "");
    contains(&bench.says("before after --format json", 1).out, "\"class\": \"missing\"");
    bench.write("before/orders.csv", "");
    bench.says("before after/exact.csv", 1);
    bench.write("before/exact.csv", "");
    contains(&bench.says("before after", 2).err, "before/exact.csv: line 1");
}

#[test]
fn tables_are_read_from_commits() {
    let bench = Bench::new();
    contains(&bench.says("git:HEAD:before before", 2).err, "git:HEAD:before");
    bench.git("init -q");
    bench.git("add before");
    bench.git("commit -q -m a");
    bench.says("git:HEAD:before before", 0);
    bench.says("git:HEAD:before/exact.csv before", 0);
    contains(&bench.says("git:HEAD:before after", 1).out, "regression");
    bench.says("git:HEAD: git:HEAD:", 0);
    contains(&bench.says("git:HEAD~9:before after", 2).err, "HEAD~9 is unknown");
    contains(&bench.says("git:HEAD:elsewhere after", 2).err, "git:HEAD:elsewhere\" is not in that revision");
    contains(&bench.says("git:HEAD after", 2).err, "names no revision and path");
    contains(&bench.says("git:--all:x after", 2).err, "names no revision and path");
    contains(&bench.says("git:HEAD:before after --update", 2).err, "cannot be changed");
    let said = bench.run("git:HEAD:before before", &[("PATH", "")]);
    assert_eq!(said.code, Some(2));
    contains(&said.err, "git is not installed");
    bench.write("before/exact.csv", "torn");
    bench.git("commit -q -a -m b");
    contains(&bench.says("git:HEAD:before after", 2).err, "git:HEAD:before/exact.csv: line 1");
    // A path is that of the repository, from wherever one stands.
    contains(&bench.says("git:HEAD~1:before git:HEAD~1:./before", 0).out, "nothing differs");
}

/// Run with `BLESS=1` to write them anew, and look at what changed.
#[test]
fn reports_are_as_they_were_last_looked_at() {
    let golden = Path::new(FIXTURES);
    let reports = [
        ("text", "report.txt"),
        ("markdown", "report.md"),
        ("github", "report.github"),
        ("json", "report.json"),
        ("junit", "report.xml"),
    ];
    let bench = Bench::new();
    for (format, name) in reports {
        let said = bench.says(&format!("before after --format {format} --format {format}=out/{name}"), 2);
        contains(&said.err, "cannot be written");
        fs::create_dir_all(bench.path("out")).expect("made");
        let said = bench.says(&format!("before after --format {format} --format {format}=out/{name}"), 1);
        fs::remove_dir(bench.path("out")).unwrap_err();
        assert_eq!(said.out, bench.text(&format!("out/{name}")), "{format}: a file has what stdout has");
        fs::remove_dir_all(bench.path("out")).expect("removed");
        if std::env::var_os("BLESS").is_some() {
            fs::write(golden.join(name), &said.out).expect("written");
        }
        let want = fs::read_to_string(golden.join(name)).expect("a fixture");
        assert!(said.out == want, "{name} is now\n{}", said.out);
    }
}

#[test]
fn json_and_junit_are_well_formed_and_have_every_row() {
    let bench = Bench::new();
    let json: serde_json::Value =
        serde_json::from_str(&bench.says("before after --format json", 1).out).expect("JSON");
    let rows = json["differences"].as_array().expect("an array");
    assert_eq!((json["failed"].as_bool(), json["format"].as_u64(), rows.len()), (Some(true), Some(1), 9));
    let counted: u64 =
        json["counts"].as_object().expect("an object").values().filter_map(|n| n.as_u64()).sum();
    assert_eq!(counted, rows.len() as u64);
    let xml = bench.says("before after --format junit", 1).out;
    let failures =
        rows.iter().filter(|r| ["regression", "missing"].contains(&r["class"].as_str().unwrap_or("")));
    assert_eq!(xml.matches("<failure ").count(), failures.count());
    // Every & and < of it is XML's own.
    let names = ["amp;", "lt;", "gt;", "quot;", "#39;", "#10;"];
    assert!(xml.split('&').skip(1).all(|rest| names.iter().any(|name| rest.starts_with(name))));
    let tags = [
        "?xml",
        "testsuite",
        "/testsuite",
        "testcase",
        "/testcase",
        "failure",
        "/failure",
        "system-out",
        "/system-out",
    ];
    assert!(xml.split('<').skip(1).all(|rest| tags.iter().any(|tag| rest.starts_with(tag))));
    assert_eq!(
        xml.matches("<testcase").count(),
        xml.matches("</testcase>").count() + xml.matches("\"/>").count()
    );
}

#[test]
fn markdown_is_appended_to_a_job_s_summary() {
    let bench = Bench::new();
    bench.write("summary.md", "before\n");
    let summary = bench.path("summary.md").display().to_string();
    let said = bench.run("before after --format markdown", &[("GITHUB_STEP_SUMMARY", &summary)]);
    assert_eq!(bench.text("summary.md"), format!("before\n{}", said.out));
    bench.run("before after --format text", &[("GITHUB_STEP_SUMMARY", &summary)]);
    assert_eq!(bench.text("summary.md"), format!("before\n{}", said.out));
}

#[test]
fn the_worst_twenty_are_shown_unless_all_are_asked_for() {
    let bench = Bench::new();
    let head = "experiment,data,schedule,grid,init,solver,steps,mode,w2\n";
    let table = |factor: f64| -> String {
        let row = |k: usize| format!("e,d,s,g,i,heun,{k},exact,{:e}\n", 1e-3 * (1.0 + factor * k as f64));
        head.to_string() + &(1..=50).map(row).collect::<String>()
    };
    bench.write("a.csv", table(0.0));
    bench.write("b.csv", table(0.01));
    let said = bench.says("a.csv b.csv", 1);
    assert_eq!(said.out.matches("regression ").count(), 20);
    contains(&said.out, "... 30 more; --all shows them");
    let first = said.out.lines().nth(2).expect("a row");
    assert!(first.contains("+50.00 %"), "the worst comes first: {first}");
    assert_eq!(bench.says("a.csv b.csv --all", 1).out.matches("regression ").count(), 50);
    assert_eq!(bench.says("a.csv b.csv --format github", 1).out.matches("::error file=b.csv").count(), 20);
    assert!(!said.out.contains('\u{1b}'), "colours are for terminals");
}

#[test]
fn an_update_takes_over_what_is_new_and_only_when_all_can_be_read() {
    let bench = Bench::new();
    bench.write("after/manifest.toml", "source = \"new\"\n");
    bench.write("before/figure.svg", "kept");
    let before = bench.text("before/exact.csv");
    bench.write("after/orders.csv", "torn");
    bench.says("before after --update", 2);
    assert_eq!(bench.text("before/exact.csv"), before, "nothing is written");
    bench.write("after/orders.csv", fs::read(format!("{FIXTURES}/after/orders.csv")).expect("a fixture"));
    let said = bench.says("before after --update", 0);
    contains(&said.out, "FAILED");
    contains(&said.err, "written: before/exact.csv");
    for name in ["exact.csv", "sampled.csv", "orders.csv", "manifest.toml"] {
        assert_eq!(bench.text(&format!("before/{name}")), bench.text(&format!("after/{name}")), "{name}");
    }
    assert_eq!(bench.text("before/figure.svg"), "kept");
    contains(&bench.says("before after", 0).out, "nothing differs");
    // A table that is not there yet is added, and one that is not new is kept.
    fs::remove_file(bench.path("before/orders.csv")).expect("removed");
    fs::remove_file(bench.path("after/sampled.csv")).expect("removed");
    bench.says("before after --update", 0);
    assert!(bench.path("before/orders.csv").exists() && bench.path("before/sampled.csv").exists());
}

#[test]
fn times_are_ratios_and_fail_only_where_that_is_asked_for() {
    let bench = Bench::new();
    let head = "experiment,solver,steps,seconds,threads,modes,key\n";
    bench.write(
        "before/timing.csv",
        format!("{head}e,heun,8,1e0,2,5,a\ne,heun,16,2e0,2,5,b\ne,ddim,8,1e0,2,5,c\ne,ddim,9,1e0,4,5,d\n"),
    );
    bench.write(
        "after/timing.csv",
        format!("{head}e,heun,16,8e0,2,5,b\ne,heun,8,1e0,2,5,a\ne,ddim,8,1e0,2,5,c\ne,ddim,9,1e0,2,5,d\n"),
    );
    bench.write("after/exact.csv", bench.text("before/exact.csv"));
    bench.write("after/sampled.csv", bench.text("before/sampled.csv"));
    assert!(!bench.says("before after", 0).out.contains("times as long"));
    let said = bench.says("before after --timing", 0);
    contains(&said.out, "2.000 times as long: heun (2 cells)");
    contains(&said.out, "1.587 times as long: all solvers (3 cells)");
    contains(&said.out, "1 cells were timed on other numbers of threads");
    contains(&bench.says("before after --fail-on timing", 1).out, "2 slower");
    bench.says("before after --fail-on timing --slower 3", 0);
}

#[test]
fn a_hundred_thousand_rows_are_one_comparison() {
    let bench = Bench::new();
    let head = "experiment,data,schedule,grid,init,solver,steps,nfe,draws,w2,kl,error,mode\n";
    let row = |k: usize| {
        format!(
            "e,\"gaussian(modes=5, seed={})\",edm,karras,prior,heun,{},16,0,{:e},2e-4,,exact\n",
            k / 100,
            k % 100,
            1.0 / (k + 1) as f64
        )
    };
    bench.write("a.csv", head.to_string() + &(0..100_000).map(row).collect::<String>());
    bench.write("b.csv", head.to_string() + &(0..100_000).rev().map(row).collect::<String>());
    contains(&bench.says("a.csv b.csv", 0).out, "100,000 rows: nothing differs");
}

/// A row of any table: solver, steps, w2, kl, calls, whether it failed.
type Made = (String, u16, f64, f64, u16, bool);

fn made() -> impl Strategy<Value = Vec<Made>> {
    // What a label may have in it, and what CSV must quote.
    let solver = "[a-z][a-z0-9(),=\" éλ|&<>%-]{0,12}";
    let number = prop_oneof![1e-8f64..1e3, Just(f64::INFINITY), 1e-8f64..1e-3];
    let one = (solver, 1u16..1000, number.clone(), number, 1u16..5000, prop::bool::weighted(0.1));
    prop::collection::vec(one, 1..20).prop_map(|mut rows| {
        rows.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        rows.dedup_by(|a, b| (&a.0, a.1) == (&b.0, b.1));
        rows
    })
}

fn table(rows: &[Made]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = [
        "experiment",
        "data",
        "schedule",
        "grid",
        "init",
        "solver",
        "steps",
        "nfe",
        "w2",
        "kl",
        "error",
        "mode",
    ];
    writer.write_record(head).expect("written");
    for (solver, steps, w2, kl, nfe, failed) in rows {
        let number = |x: f64| if *failed { String::new() } else { format!("{x:e}") };
        let error = if *failed { "diverged" } else { "" };
        let (steps, nfe) = (steps.to_string(), nfe.to_string());
        let cells =
            ["e", "d", "s", "g", "i", solver, &steps, &nfe, &number(*w2), &number(*kl), error, "exact"];
        writer.write_record(cells).expect("written");
    }
    writer.into_inner().expect("in memory")
}

fn compared(before: &[Made], after: &[Made]) -> Comparison {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options::default();
    let [a, b] = [("a.csv", before), ("b.csv", after)].map(|(name, rows)| {
        let path = folder.path().join(name);
        fs::write(&path, table(rows)).expect("written");
        Tables::read(&path.display().to_string(), &options).expect("a table")
    });
    compare(&a, &b, &options).expect("compared")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_table_is_the_same_as_itself(rows in made()) {
        let found = compared(&rows, &rows);
        prop_assert!(!found.failed() && found.differences.is_empty(), "{found:?}");
    }

    #[test]
    fn any_value_that_is_worse_fails(rows in made(), which in any::<prop::sample::Index>(), column in 0..4, by in 1.1e-6f64..10.0) {
        let mut worse = rows.clone();
        let row = &mut worse[which.index(rows.len())];
        // What cannot be worse than it is stays out.
        match column {
            0 => { prop_assume!(row.2.is_finite() && !row.5); row.2 = row.2 * (1.0 + by) + 1.1e-12; }
            1 => { prop_assume!(row.3.is_finite() && !row.5); row.3 = row.3 * (1.0 + by) + 1.1e-12; }
            2 => row.4 += 1,
            _ => { prop_assume!(!row.5); row.5 = true; }
        }
        let found = compared(&rows, &worse);
        prop_assert!(found.failed() && found.count(Class::Regression) == 1, "{found:?}");
    }

    #[test]
    fn the_order_of_rows_means_nothing(rows in made(), shift in any::<prop::sample::Index>()) {
        let mut turned = rows.clone();
        turned.reverse();
        turned.rotate_left(shift.index(rows.len()));
        prop_assert!(compared(&rows, &turned).differences.is_empty());
    }

    #[test]
    fn a_row_that_is_gone_is_missing(rows in made(), which in any::<prop::sample::Index>()) {
        let mut fewer = rows.clone();
        fewer.remove(which.index(rows.len()));
        let found = compared(&rows, &fewer);
        prop_assert!(found.failed() && found.count(Class::Missing) == 1 && found.differences.len() == 1, "{found:?}");
        if !fewer.is_empty() {
            let back = compared(&fewer, &rows);
            prop_assert!(!back.failed() && back.count(Class::New) == 1);
        }
    }
}
