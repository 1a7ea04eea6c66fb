//! Studies through the program: numbers, claims about them, and what is refused.

use std::fs;
use std::path::Path;
use std::process::Command;

use scorebench::report::Report;

const NUMBERS: &str = "quantity,case,x,value\nerror,a,10,1e-1\nerror,a,20,2.5e-2\nerror,a,40,6.25e-3\n";

const STUDY: &str = r#"
question = "Is it of second order?"
[study]
name = "measured-elsewhere"
file = "numbers.csv"
[[figure]]
name = "curves"
quantities = ["error"]
[[expect]]
quantity = "error"
case = "a"
slope = -2.0
abs = 0.01
[[expect]]
quantity = "error"
x = 20
value = 2.5e-2
rel = 1e-9
[[claim]]
id = "1"
source = "a note"
says = "It is of second order."
verdict = "true"
finding = "Order {0}; the error at 40 is {1}."
numbers = [{ quantity = "error", case = "a", slope = true }, { quantity = "error", case = "a", x = 40 }]
"#;

/// A folder with the study above.
fn folder(study: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("numbers.csv"), NUMBERS).expect("written");
    fs::write(folder.path().join("study.toml"), study).expect("written");
    folder
}

fn scorebench(here: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_scorebench"))
        .args(arguments)
        .current_dir(here)
        .output()
        .expect("the program runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn latex(here: &Path, file: &str) -> String {
    let files = Report::read(&here.join("results")).expect("results").latex();
    let (_, bytes) = files.into_iter().find(|(name, _)| name == file).expect("a file");
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn a_changed_result_changes_the_macro_and_the_claim() {
    let folder = folder(STUDY);
    let here = folder.path();
    let (code, said) = scorebench(here, &["run", "study.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let measured = here.join("results/study/measured.csv");
    assert!(
        latex(here, "study-numbers.tex").contains(r"{study:error:a:at:4e1}{\ensuremath{6.25\cdot10^{-3}}}")
    );
    assert!(
        latex(here, "claims.tex")
            .contains(r"Order \ensuremath{-2.00}; the error at 40 is \ensuremath{6.25\cdot10^{-3}}.")
    );
    let text = fs::read_to_string(&measured).expect("a table");
    fs::write(&measured, text.replace("6.25e-3", "7.5e-3")).expect("written");
    assert!(
        latex(here, "study-numbers.tex").contains(r"{study:error:a:at:4e1}{\ensuremath{7.50\cdot10^{-3}}}")
    );
    assert!(latex(here, "claims.tex").contains(r"the error at 40 is \ensuremath{7.50\cdot10^{-3}}."));
    // And a run finds the edited row and measures it again.
    let (code, said) = scorebench(here, &["run", "study.toml"]);
    assert!(code == Some(0) && said.contains("1 of 1 parts measured"), "{said}");
    assert_eq!(fs::read_to_string(&measured).expect("a table"), text);
}

#[test]
fn finished_parts_are_kept_and_other_numbers_are_measured_anew() {
    let folder = folder(STUDY);
    let here = folder.path();
    assert_eq!(scorebench(here, &["run", "study.toml"]).0, Some(0));
    let manifest = || fs::read_to_string(here.join("results/study/manifest.toml")).expect("a manifest");
    let first = manifest();
    let (code, said) = scorebench(here, &["run", "study.toml"]);
    assert!(code == Some(0) && said.contains("0 of 1 parts measured"), "{said}");
    assert_eq!(manifest(), first, "nothing was computed");
    fs::write(here.join("numbers.csv"), NUMBERS.replace("2.5e-2", "2.6e-2")).expect("written");
    let (code, said) = scorebench(here, &["run", "study.toml"]);
    assert!(code == Some(1) && said.contains("1 of 1 parts measured"), "{said}");
    assert!(said.contains("FAILED: error of a at 2e1 = 2.6e-2, expected 2.5e-2 to 1e-9 relative"), "{said}");
}

#[test]
fn check_asks_studies_too() {
    let folder = folder(STUDY);
    let here = folder.path();
    assert_eq!(scorebench(here, &["check", "."]).0, Some(0));
    fs::write(here.join("study.toml"), STUDY.replace("slope = -2.0", "slope = -1.0")).expect("written");
    let (code, said) = scorebench(here, &["check", "."]);
    assert!(code == Some(1) && said.contains("slope -2.000, expected -1"), "{said}");
}

#[test]
fn claims_may_stand_alone_and_look_into_other_results() {
    let folder = folder(STUDY);
    let here = folder.path();
    let notes = r#"
question = "What do notes say?"
[[claim]]
id = "E1"
source = "a note"
says = "The error at 10 is small."
verdict = "false"
finding = "It is {0}."
numbers = [{ experiment = "study", quantity = "error", case = "a", x = 10 }]
"#;
    fs::write(here.join("notes.toml"), notes).expect("written");
    assert_eq!(scorebench(here, &["run", "study.toml", "notes.toml"]).0, Some(0));
    assert!(
        latex(here, "errata.tex")
            .contains("E1 & The error at 10 is small. \\emph{a note} & false & It is 0.100.")
    );
    fs::remove_dir_all(here.join("results/study")).expect("removed");
    assert!(latex(here, "errata.tex").contains("no number"), "nothing is made up");
}

#[test]
fn a_claim_whose_number_is_not_there_fails_the_run() {
    let folder = folder(&STUDY.replace("x = 40 }]", "x = 41 }]"));
    let (code, said) = scorebench(folder.path(), &["run", "study.toml"]);
    assert!(code == Some(1) && said.contains("FAILED: claim 1: ") && said.contains("is in no row"), "{said}");
}

#[test]
fn what_a_study_cannot_mean_is_refused_with_its_place() {
    let edits = [
        (
            "name = \"measured-elsewhere\"",
            "name = \"measured-elsewere\"",
            "did you mean \"measured-elsewhere\"?",
        ),
        ("file = \"numbers.csv\"", "file = \"number.csv\"", "cannot be read"),
        ("file = \"numbers.csv\"", "files = \"numbers.csv\"", "study"),
        ("slope = -2.0\nabs = 0.01", "slope = -2.0", "expect[0].slope goes with abs"),
        ("value = 2.5e-2\nrel = 1e-9", "value = 2.5e-2", "expect[1].value goes with a tolerance"),
        ("value = 2.5e-2\nrel = 1e-9", "", "expect[1] expects nothing"),
        ("{1}", "{2}", "claim[0].numbers[1]"),
        ("verdict = \"true\"", "verdict = \"maybe\"", "claim[0].verdict"),
        ("name = \"curves\"", "name = \"curve\"", "figure[0].name = \"curve\" is not known"),
        ("question =", "qestion =", "qestion"),
    ];
    for (before, after, why) in edits {
        let folder = folder(&STUDY.replacen(before, after, 1));
        let (code, said) = scorebench(folder.path(), &["run", "study.toml"]);
        assert!(code == Some(2) && said.contains("study") && said.contains(why), "{after}: {said}");
        assert!(!folder.path().join("results").exists(), "{after}: nothing is written");
    }
}

#[test]
fn quick_results_of_studies_stand_apart() {
    let folder = folder(STUDY);
    let here = folder.path();
    assert_eq!(scorebench(here, &["run", "study.toml", "--quick"]).0, Some(0));
    assert!(here.join("results/study-quick/measured.csv").exists() && !here.join("results/study").exists());
}
