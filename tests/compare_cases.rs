//! What `scorebench compare` makes of one difference, or of one thing wrong with a file: nothing passes that should not.

use scorebench::compare::{Class, Comparison, Options, Tables, compare};
use scorebench::error::Result;

const EXACT: &str =
    "experiment,data,schedule,grid,init,solver,steps,nfe,draws,w2,kl,error,mode,worst_mode,floor,pilot_nfe\n";
const SAMPLED: &str = "experiment,data,schedule,grid,init,solver,steps,nfe,draws,metric,value,stderr,floor,excess,\
                       excess_stderr,p_value,samples,mode,pilot_nfe,error,key,check\n";
const ORDERS: &str =
    "experiment,data,schedule,grid,init,solver,metric,order,stderr,claimed,verdict,reason,mode\n";
const CALLS: &str = "experiment,data,schedule,grid,init,solver,target,calls,ratios\n";
const RANKS: &str = "experiment,data,by,schedule,grid,init,mode,metric,unit,budget,solvers,rho,noise_low,noise_high,best,error\n";

/// Both sides, and what comes of them.
type Case<'a> = (&'a str, String, String, Expect);

#[derive(Debug)]
enum Expect {
    Same,
    /// Class and column of the worst row.
    Worst(Class, &'static str),
    /// Exit code 2: what the message has in it.
    Bad(&'static [&'static str]),
}
use Class::{Changed, Improvement, Missing, New, Regression};
use Expect::{Bad, Same, Worst};

/// A row of `exact.csv`, from `nfe` on: nfe, draws, w2, kl, error.
fn row(solver: &str, rest: &str) -> String {
    format!("e,ring,edm,karras,prior,{solver},8,{rest},exact,0,,\n")
}

fn exact(rest: &str) -> String {
    format!("{EXACT}{}{}", row("heun", "16,0,1e-3,2e-4,"), row("ddim", rest))
}

const FINE: &str = "8,0,1e-2,2e-3,";

/// `metric,value,stderr,floor,excess,excess_stderr,p_value,samples` and a seed.
fn sampled(rest: &str, seed: u64) -> String {
    let samples = rest.rsplit(',').next().expect("the last number");
    let mode = format!("\"monte-carlo(precision=f64, samples={samples}, seed={seed})\"");
    format!("{SAMPLED}e,ring,edm,karras,prior,ddim,8,8,0,{rest},{mode},,,k,c\n")
}

fn orders(verdict: &str, claimed: &str, mode: &str) -> String {
    format!("{ORDERS}e,ring,edm,karras,prior,ddim,w2,1,0.01,{claimed},{verdict},because,{mode}\n")
}

fn calls(calls: &str) -> String {
    format!("{CALLS}e,ring,edm,karras,prior,ddim,1e-2,{calls},heun: 1\n")
}

fn ranks(rest: &str) -> String {
    format!("{RANKS}e,a,b,edm,karras,prior,\"monte-carlo(samples=9, seed=1)\",rmse,calls,6,{rest}\n")
}

fn found(before: &[u8], after: &[u8], options: &Options) -> Result<Comparison> {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path.display().to_string()
    };
    let (a, b) = (write("before.csv", before), write("after.csv", after));
    compare(&Tables::read(&a, options)?, &Tables::read(&b, options)?, options)
}

fn hold(cases: &[Case]) {
    for (name, before, after, expect) in cases {
        let found = found(before.as_bytes(), after.as_bytes(), &Options::default());
        match (expect, &found) {
            (Same, Ok(found)) => {
                assert!(found.differences.is_empty() && !found.failed(), "{name}: {found:?}")
            }
            (Worst(class, column), Ok(found)) => {
                let first = found.differences.first().unwrap_or_else(|| panic!("{name}: nothing differs"));
                assert_eq!((first.class, first.column.as_str()), (*class, *column), "{name}: {first:?}");
                assert_eq!(found.failed(), matches!(class, Regression | Missing), "{name}");
            }
            (Bad(parts), Err(e)) => {
                let said = e.to_string();
                parts
                    .iter()
                    .for_each(|part| assert!(said.contains(part), "{name}: {part:?} is not in {said:?}"));
            }
            _ => panic!("{name}: {expect:?}, but {found:?}"),
        }
    }
}

#[test]
fn exact_numbers_are_classed_by_what_they_mean() {
    let case = |name, after: &str, expect| (name, exact(FINE), exact(after), expect);
    let from = |name, before: &str, after: &str, expect| (name, exact(before), exact(after), expect);
    hold(&[
        case("the same", FINE, Same),
        case("round-off", "8,0,1.0000005e-2,2e-3,", Same),
        case("an error beyond round-off", "8,0,1.00002e-2,2e-3,", Worst(Regression, "w2")),
        case("a smaller error", "8,0,9e-3,2e-3,", Worst(Improvement, "w2")),
        case("one error better, one worse", "8,0,1e-3,3e-3,", Worst(Regression, "kl")),
        case("more calls", "9,0,1e-2,2e-3,", Worst(Regression, "nfe")),
        case("fewer calls", "7,0,1e-2,2e-3,", Worst(Improvement, "nfe")),
        case("more draws", "8,8,1e-2,2e-3,", Worst(Changed, "draws")),
        case("no value", "8,0,,2e-3,", Worst(Regression, "w2")),
        case("infinite", "8,0,inf,2e-3,", Worst(Regression, "w2")),
        case("not a number", "8,0,NaN,2e-3,", Worst(Regression, "w2")),
        case("minus infinity", "8,0,-inf,2e-3,", Worst(Regression, "w2")),
        case("too large to be finite", "8,0,1e999,2e-3,", Worst(Regression, "w2")),
        case("a failure", "8,0,1e-2,2e-3,diverged", Worst(Regression, "error")),
        case("a failure without numbers", ",,,,diverged", Worst(Regression, "error")),
        from("a failure is mended", ",,,,diverged", FINE, Worst(Improvement, "error")),
        from("another failure", ",,,,diverged", ",,,,refused", Worst(Changed, "error")),
        from("infinite on both sides", "8,0,inf,1,", "8,0,inf,1,", Same),
        from("finite again", "8,0,inf,1,", "8,0,5,1,", Worst(Improvement, "w2")),
        from("NaN on both sides", "8,0,NaN,1,", "8,0,nan,1,", Same),
        from("NaN with another error", "8,0,NaN,1,a", "8,0,NaN,1,b", Worst(Changed, "error")),
        from("NaN with a new error", "8,0,NaN,1,", "8,0,NaN,1,b", Worst(Regression, "error")),
        from("infinite, then NaN", "8,0,inf,1,", "8,0,NaN,1,", Worst(Changed, "w2")),
        from("infinite, then empty", "8,0,inf,1,", "8,0,,1,", Worst(Regression, "w2")),
        from("empty, then infinite", "8,0,,1,", "8,0,inf,1,", Worst(Regression, "w2")),
        from("empty, then finite", "8,0,,1,", "8,0,3,1,", Worst(Changed, "w2")),
        from("of size round-off", "8,0,1e-15,1,", "8,0,3e-15,1,", Same),
        from("nothing, then something", "8,0,0,1,", "8,0,1e-3,1,", Worst(Regression, "w2")),
        from("a sign", "8,0,-1e-3,1,", "8,0,1e-3,1,", Worst(Regression, "w2")),
    ]);
}

#[test]
fn rows_and_columns_are_matched_by_name() {
    let one = row("heun", "16,0,1e-3,2e-4,");
    let two = row("ddim", FINE);
    let swapped = format!("{EXACT}{two}{one}");
    // w2 before nfe, and no floor.
    let moved = "w2,experiment,data,schedule,grid,init,solver,steps,nfe,draws,kl,error,mode,worst_mode,pilot_nfe\n\
                 1e-3,e,ring,edm,karras,prior,heun,8,16,0,2e-4,,exact,0,\n1e-2,e,ring,edm,karras,prior,ddim,8,8,0,2e-3,,exact,0,\n";
    let wider = |x: &str| {
        let head = EXACT.replace('\n', ",temperature\n");
        format!("{head}{}", two.replace('\n', &format!(",{x}\n")))
    };
    let both = exact(FINE);
    hold(&[
        ("another order", both.clone(), swapped, Same),
        ("a row less", both.clone(), format!("{EXACT}{two}"), Worst(Missing, "")),
        ("a row more", format!("{EXACT}{two}"), both.clone(), Worst(New, "")),
        ("all rows gone", both.clone(), EXACT.into(), Worst(Missing, "")),
        ("a renamed solver", both.clone(), both.replace("ddim", "ddim(eta=1)"), Worst(Missing, "")),
        ("a column less", both.clone(), moved.into(), Worst(Missing, "floor")),
        ("a column more", moved.into(), both.clone(), Same),
        ("an unknown number", wider("1.5"), wider("1.6"), Worst(Changed, "temperature")),
        ("an unknown number, rounded", wider("1.5"), wider("1.5000000001"), Same),
        ("an unknown word", wider("hot"), wider("cold"), Worst(Changed, "temperature")),
        ("a byte order mark", both.clone(), format!("\u{feff}{both}"), Same),
        ("other line ends", both.clone(), both.replace('\n', "\r\n"), Same),
        ("empty lines", both.clone(), both.replace('\n', "\n\n"), Same),
    ]);
}

#[test]
fn what_is_no_whole_table_is_refused_with_file_and_line() {
    let fine = exact(FINE);
    let bad = |name, after: String, parts| (name, exact(FINE), after, Bad(parts));
    let cut = |n: usize| fine[..fine.len() - n].to_string();
    let deep = "experiment,data,schedule,grid,init,solver,steps\n";
    let cases = [
        bad("nothing", String::new(), &["after.csv: line 1", "empty"]),
        bad("white space", "\n \n".into(), &["after.csv: line 1", "empty"]),
        bad("cut in the last cell", cut(3), &["after.csv: line 3", "cut off"]),
        bad("cut at a line end", cut(1), &["after.csv: line 3", "cut off"]),
        bad("cut in a line", cut(20), &["after.csv: line 3", "cut off"]),
        bad(
            "a short line",
            fine.replace(",exact,0,,\n", "\n"),
            &["after.csv: line 2", "has 12 cells, and the header has 16"],
        ),
        bad("a long line", fine.replace("exact,0,,", "exact,0,,,"), &["after.csv: line 2", "has 17 cells"]),
        bad("another header", "a,b\n1,2\n".into(), &["after.csv: line 1", "no result table"]),
        bad("a header of keys alone", deep.into(), &["after.csv: line 1", "no result table"]),
        bad(
            "no key column",
            fine.replace("schedule", "sched"),
            &["after.csv: line 1", "lacks the column schedule"],
        ),
        bad("a column twice", fine.replace("kl,", "w2,"), &["after.csv: line 1", "\"w2\" is there twice"]),
        bad("no number", fine.replace("1e-2", "1e-2x"), &["after.csv: line 3: w2 = \"1e-2x\" is no number"]),
        bad("no number in both", fine.replace("1e-3", "abc"), &["line 2: w2 = \"abc\" is no number"]),
        bad("a comma for a point", fine.replace("1e-2", "\"0,01\""), &["line 3: w2 = \"0,01\" is no number"]),
        bad("half a call", fine.replace(",8,0,", ",8.5,0,"), &["line 3: nfe = \"8.5\" is no whole number"]),
        bad("calls below 0", fine.replace(",8,0,", ",-8,0,"), &["line 3: nfe = \"-8\" is no whole number"]),
        bad("an open quote", fine.replace("ddim", "\"ddim"), &["after.csv: line 3", "quote"]),
        bad("an open quote at the end", format!("{}\"\n", cut(1)), &["after.csv: line 3", "quote"]),
        bad("a quote that swallows a line", fine.replace("0,,\n", "0,,\"\n"), &["after.csv: line 2"]),
        bad(
            "a row twice",
            format!("{fine}{}", row("heun", FINE)),
            &["after.csv: line 4", "the key of line 2"],
        ),
        bad("zeros of a crashed disk", fine.replace("8,0,1e-2", "\0\0\0"), &["after.csv: line 3"]),
        bad(
            "a conflict of git",
            fine.replace("e,ring,edm,karras,prior,ddim", "<<<<<<< HEAD\ne,ring,edm,karras,prior,ddim"),
            &["after.csv: line 3", "has 1 cells"],
        ),
        bad(
            "a pointer of git-lfs",
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\n".into(),
            &["after.csv: line 1"],
        ),
        bad("a table of another kind", calls("10"), &["after.csv: line 1", "calls.csv", "exact.csv"]),
        ("a baseline that is cut", cut(1), exact(FINE), Bad(&["before.csv: line 3", "cut off"])),
        ("a baseline without rows", EXACT.into(), exact(FINE), Bad(&["before.csv", "holds no row"])),
        (
            "a row twice in the baseline",
            format!("{fine}{}", row("heun", FINE)),
            exact(FINE),
            Bad(&["before.csv: line 4"]),
        ),
        (
            "no verdict",
            orders("pass", "1", ""),
            orders("maybe", "1", ""),
            Bad(&["after.csv: line 2: verdict = \"maybe\""]),
        ),
        (
            "no target",
            calls("10"),
            calls("10").replace("1e-2", "far"),
            Bad(&["line 2: target = \"far\" is no number"]),
        ),
    ];
    hold(&cases);
    let latin = [fine.as_bytes(), b"caf\xe9\n"].concat();
    let said = found(fine.as_bytes(), &latin, &Options::default()).unwrap_err().to_string();
    assert!(said.contains("after.csv: line 4") && said.contains("UTF-8"), "{said}");
    // Lines are those of an editor, whatever ends them.
    let crlf = fine.replace("1e-2", "x").replace('\n', "\r\n\r\n");
    let said = found(fine.as_bytes(), crlf.as_bytes(), &Options::default()).unwrap_err().to_string();
    assert!(said.contains("line 5: w2"), "{said}");
}

#[test]
fn a_table_cut_anywhere_never_passes() {
    let fine = exact(FINE);
    for cut in 0..fine.len() {
        let found = found(fine.as_bytes(), &fine.as_bytes()[..cut], &Options::default());
        assert!(found.is_err() || found.is_ok_and(|f| f.failed()), "cut at {cut}");
    }
}

#[test]
fn sampled_numbers_are_judged_by_their_errors_unless_random_numbers_are_shared() {
    let other =
        |name, before: &str, after: &str, expect| (name, sampled(before, 1), sampled(after, 2), expect);
    let same =
        |name, before: &str, after: &str, expect| (name, sampled(before, 1), sampled(after, 1), expect);
    let rmse = "rmse,0.1,0.001,,,,,1000";
    let w2 = "sliced_w2,0.14,0.01,0.1,0.0096,0.001,,1000";
    hold(&[
        other("within its errors", rmse, "rmse,0.102,0.001,,,,,1000", Same),
        other("beyond its errors", rmse, "rmse,0.11,0.001,,,,,1000", Worst(Regression, "value")),
        other("below its errors", rmse, "rmse,0.09,0.001,,,,,1000", Worst(Improvement, "value")),
        same("the same bits", rmse, rmse, Same),
        same(
            "within its errors, on the same numbers",
            rmse,
            "rmse,0.1001,0.001,,,,,1000",
            Worst(Changed, "value"),
        ),
        same(
            "beyond its errors, on the same numbers",
            rmse,
            "rmse,0.11,0.001,,,,,1000",
            Worst(Regression, "value"),
        ),
        same(
            "another standard error, on the same numbers",
            rmse,
            "rmse,0.1,0.002,,,,,1000",
            Worst(Changed, "stderr"),
        ),
        other("an excess, not its value", w2, "sliced_w2,0.2,0.01,0.172,0.0104,0.001,,1000", Same),
        other(
            "an excess beyond its errors",
            w2,
            "sliced_w2,0.14,0.01,0.1,0.0296,0.001,,1000",
            Worst(Regression, "excess"),
        ),
        other(
            "an excess below its floor, whose sign is chance",
            "sliced_w2,0.14,0.01,0.14,1e-4,1e-6,,1000",
            "sliced_w2,0.14,0.01,0.14,-2e-4,1e-6,,1000",
            Same,
        ),
        other("an excess that is gone", w2, "sliced_w2,0.14,0.01,0.1,,,,1000", Worst(Regression, "excess")),
        other(
            "a value that is gone beside its excess",
            w2,
            "sliced_w2,,0.01,0.1,0.0096,0.001,,1000",
            Worst(Regression, "value"),
        ),
        other("no standard error any more", rmse, "rmse,0.1,,,,,,1000", Worst(Regression, "value")),
        other("an infinite standard error", rmse, "rmse,9,inf,,,,,1000", Worst(Regression, "value")),
        other("a standard error below 0", rmse, "rmse,9,-1,,,,,1000", Worst(Regression, "value")),
        other("a standard error that is NaN", rmse, "rmse,9,NaN,,,,,1000", Worst(Regression, "value")),
        other("never a standard error", "rmse,0.1,,,,,,1000", "rmse,0.11,,,,,,1000", Worst(Changed, "value")),
        other(
            "no uncertainty at all",
            "rmse,0.1,0,,,,,1000",
            "rmse,0.1001,0,,,,,1000",
            Worst(Regression, "value"),
        ),
        other("not finite", rmse, "rmse,inf,0.001,,,,,1000", Worst(Regression, "value")),
        other("fewer samples", rmse, "rmse,0.1,0.003,,,,,100", Worst(Changed, "samples")),
        other("more samples", rmse, "rmse,0.1,0.0003,,,,,10000", Same),
        other(
            "an error of either sign grows",
            "fourth_error,0.1,0.01,,,,,1000",
            "fourth_error,-0.3,0.01,,,,,1000",
            Worst(Regression, "value"),
        ),
        other(
            "an error changes its sign",
            "fourth_error,0.1,0.01,,,,,1000",
            "fourth_error,-0.1,0.01,,,,,1000",
            Worst(Changed, "value"),
        ),
        other(
            "another weight is the worst",
            "mode_weights,-8e-3,3e-3,,,,0.4,1000",
            "mode_weights,8e-3,3e-3,,,,0.3,1000",
            Same,
        ),
        other(
            "a weight is off",
            "mode_weights,-8e-3,3e-3,,,,0.4,1000",
            "mode_weights,0.1,3e-3,,,,1e-90,1000",
            Worst(Regression, "value"),
        ),
        other(
            "a test rejects by far",
            "mode_weights,8e-3,3e-3,,,,0.4,1000",
            "mode_weights,8e-3,3e-3,,,,1e-40,1000",
            Worst(Regression, "p_value"),
        ),
        other(
            "a test rejects now",
            "mode_weights,8e-3,3e-3,,,,0.4,1000",
            "mode_weights,8e-3,3e-3,,,,1e-6,1000",
            Worst(Changed, "p_value"),
        ),
        other(
            "a p-value that is none",
            "ks,0.02,,,,,0.4,1000",
            "ks,0.02,,,,,7,1000",
            Worst(Regression, "p_value"),
        ),
        other("a larger statistic by chance", "ks,0.02,,,,,0.8,1000", "ks,0.04,,,,,0.08,1000", Same),
        other(
            "a larger statistic",
            "ks,0.02,,,,,0.8,1000",
            "ks,0.3,,,,,1e-70,1000",
            Worst(Regression, "value"),
        ),
        other(
            "an unknown metric",
            "charm,1,0.1,,,,,1000",
            "charm,-3,0.1,,,,,1000",
            Worst(Regression, "value"),
        ),
    ]);
    let calls = |seed, nfe: &str, pilot: &str| {
        sampled(rmse, seed)
            .replace("ddim,8,8,0", &format!("ddim,8,{nfe},0"))
            .replace("\",,,k", &format!("\",{pilot},,k"))
    };
    hold(&[
        ("more calls", calls(1, "8", ""), calls(2, "9", ""), Worst(Regression, "nfe")),
        ("more calls of a plan from samples", calls(1, "8", "5"), calls(2, "9", "5"), Worst(Changed, "nfe")),
        (
            "other steps of a plan",
            calls(1, "8", "5"),
            calls(2, "8", "5").replace("ddim,8,8", "ddim,9,8"),
            Same,
        ),
        (
            "more calls of a plan, same numbers",
            calls(1, "8", "5"),
            calls(1, "9", "5"),
            Worst(Regression, "nfe"),
        ),
        ("another precision", sampled(rmse, 1), sampled(rmse, 2).replace("f64", "f32"), Worst(Missing, "")),
    ]);
}

#[test]
fn several_seeds_in_one_table_are_told_apart() {
    let two = |b: u64| {
        let (a, b) = (sampled("rmse,0.1,0.001,,,,,1000", 1), sampled("rmse,0.2,0.001,,,,,1000", b));
        format!("{a}{}", &b[SAMPLED.len()..])
    };
    let one = sampled("rmse,0.1,0.001,,,,,1000", 3);
    hold(&[
        ("the same seeds", two(2), two(2), Same),
        ("one of two is another", two(2), two(3), Worst(Missing, "")),
        ("two, then one", two(2), one.clone(), Worst(Missing, "")),
        ("a seed twice", one, two(1), Bad(&["after.csv: line 3", "the key of line 2"])),
    ]);
}

#[test]
fn fitted_orders_calls_and_ranks_count_by_what_they_claim() {
    let seed = |k: u64| format!("\"monte-carlo(samples=9, seed={k})\"");
    let verdict = |name, before: &str, after: &str, expect| {
        (name, orders(before, "1", ""), orders(after, "1", ""), expect)
    };
    let fine = "20,0.5,0.4,0.6,heun,";
    hold(&[
        verdict("a pass fails", "pass", "fail", Worst(Regression, "verdict")),
        verdict("a pass is open", "pass", "inconclusive", Worst(Regression, "verdict")),
        verdict("what was open fails", "inconclusive", "fail", Worst(Regression, "verdict")),
        verdict("a fail passes", "fail", "pass", Worst(Improvement, "verdict")),
        verdict("a fail stays", "fail", "fail", Same),
        ("another claim", orders("pass", "1", ""), orders("pass", "2", ""), Worst(Changed, "claimed")),
        (
            "another order",
            orders("pass", "1", ""),
            orders("pass", "1", "").replace("w2,1,", "w2,1.04,"),
            Same,
        ),
        (
            "a verdict on other seeds",
            orders("pass", "1", &seed(1)),
            orders("fail", "1", &seed(2)),
            Worst(Changed, "verdict"),
        ),
        (
            "a verdict on the same seed",
            orders("pass", "1", &seed(1)),
            orders("fail", "1", &seed(1)),
            Worst(Regression, "verdict"),
        ),
        ("the last of four digits", calls("20.18"), calls("20.19"), Same),
        ("more calls", calls("20.18"), calls("20.28"), Worst(Regression, "calls")),
        ("fewer calls", calls("20.18"), calls("10"), Worst(Improvement, "calls")),
        ("not reached any more", calls("20.18"), calls(""), Worst(Regression, "calls")),
        ("reached now", calls(""), calls("20.18"), Worst(Improvement, "calls")),
        ("another target", calls("20"), calls("20").replace("1e-2", "1e-3"), Worst(Missing, "")),
        ("the same ranks", ranks(fine), ranks(fine), Same),
        ("another rho", ranks(fine), ranks("20,0.7,0.6,0.8,heun,"), Worst(Changed, "rho")),
        (
            "another rho by chance",
            ranks(fine),
            ranks("20,0.55,0.45,0.65,heun,").replace("seed=1", "seed=2"),
            Same,
        ),
        (
            "another rho beyond chance",
            ranks(fine),
            ranks("20,0.8,0.7,0.9,heun,").replace("seed=1", "seed=2"),
            Worst(Changed, "rho"),
        ),
        ("no rho any more", ranks(fine), ranks("20,,,,,too few"), Worst(Regression, "error")),
        ("another first choice", ranks(fine), ranks("20,0.5,0.4,0.6,ddim,"), Worst(Changed, "best")),
    ]);
}

#[test]
fn options_move_the_line() {
    let (a, b) = (exact(FINE), exact("8,0,1.05e-2,2e-3,"));
    let with = |options: Options| found(a.as_bytes(), b.as_bytes(), &options);
    assert!(with(Options::default()).unwrap().failed());
    assert!(with(Options { rtol: 0.1, ..Options::default() }).unwrap().differences.is_empty());
    assert!(with(Options { atol: 1e-3, ..Options::default() }).unwrap().differences.is_empty());
    assert!(!with(Options { fail_on: vec![Class::Changed], ..Options::default() }).unwrap().failed());
    for bad in [f64::NAN, -1.0, f64::INFINITY] {
        assert!(with(Options { rtol: bad, ..Options::default() }).is_err(), "{bad}");
    }
    assert!(with(Options { false_alarm: 1.0, ..Options::default() }).is_err());
}
