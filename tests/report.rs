//! The report, made of small result folders: it says what lies there, all of it, and nothing in it runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use scorebench::report::Report;
use tempfile::TempDir;

mod report_folders;

use report_folders::{HOSTILE, results};

/// Runs `scorebench report` in `folder`: exit code and stderr.
fn scorebench(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scorebench"));
    let output = command.arg("report").args(args).current_dir(folder).output().expect("the program starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn read(folder: &TempDir) -> Report {
    Report::read(folder.path()).expect("good results")
}

/// What a browser's script takes out of `<script type="text/csv" id="ID">`.
fn table(page: &str, id: &str) -> String {
    let start = format!("<script type=\"text/csv\" id=\"{id}\">");
    let from = page.find(&start).expect("the table is in the page") + start.len();
    let text = &page[from..from + page[from..].find("</script").expect("closed")];
    let parts: Vec<String> =
        text.split("\\\\").map(|p| p.replace("\\l", "<").replace("\\r", "\r").replace("\\0", "\0")).collect();
    parts.join("\\")
}

#[test]
fn the_same_results_give_the_same_bytes() {
    let folder = results();
    let (one, two) = (read(&folder), read(&folder));
    assert_eq!(one.html(), two.html());
    assert_eq!(one.markdown(), two.markdown());
    assert_eq!(one.readme(), two.readme());
    assert_eq!(one.latex(), two.latex());
}

#[test]
fn the_page_holds_every_table_byte_for_byte() {
    let folder = results();
    let page = read(&folder).html();
    for (id, file) in [
        ("01-orders-csv-exact", "01-orders/exact.csv"),
        ("01-orders-csv-orders", "01-orders/orders.csv"),
        ("01-orders-csv-calls", "01-orders/calls.csv"),
        ("02-samples-csv-sampled", "02-samples/sampled.csv"),
    ] {
        let on_disk = fs::read_to_string(folder.path().join(file)).expect("a table");
        assert!(table(&page, id) == on_disk, "{file}");
    }
}

#[test]
fn the_page_calls_for_no_other_file() {
    let page = read(&results()).html();
    assert!(page.contains("default-src 'none'"));
    // Its own tags only: text and tables may say what they like.
    let markup = page.split("<script nonce=").next().expect("a page");
    for tag in markup.split('<').skip(1).filter_map(|t| t.split('>').next()) {
        for word in [" src=", "=\"http", "url(http", "//"] {
            assert!(!tag.contains(word) || tag.contains("Content-Security-Policy"), "<{tag}>");
        }
        assert!(
            !["link", "img", "iframe", "base", "object", "embed"]
                .contains(&tag.split(' ').next().unwrap_or("")),
            "<{tag}>"
        );
    }
    assert!(!page.contains("@import"));
}

#[test]
fn names_from_files_never_become_markup() {
    let folder = results();
    let report = read(&folder);
    let page = report.html();
    assert!(!page.contains(HOSTILE) && !page.contains("<img") && !page.contains("onload"));
    assert!(page.contains("&lt;script&gt;window.pwned"), "it is shown as text");
    assert_eq!(page.matches("<script nonce=").count(), 1);
    assert!(!report.markdown().contains(HOSTILE) && !report.readme().contains("<img"));
    let tex =
        report.latex().into_iter().find(|(name, _)| name == "01-orders.tex").expect("a file a folder").1;
    let tex = String::from_utf8(tex).expect("UTF-8");
    assert!(
        tex.contains("100\\% \\& \\$x\\_1\\^{}") || tex.contains("100\\% \\& \\$x\\_1\\textasciicircum{}"),
        "{tex}"
    );
}

#[test]
fn no_two_elements_share_an_id_and_every_link_leads_to_one() {
    let page = read(&results()).html();
    let markup = page.split("<script nonce=").next().expect("a page");
    let values = |key: &str| -> Vec<String> {
        let parts = markup.split(key).skip(1);
        parts.map(|rest| rest.split('"').next().unwrap_or_default().to_string()).collect()
    };
    let ids = values(" id=\"");
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    let links = [values("href=\"#"), values("aria-labelledby=\""), values("url(#")].concat();
    assert!(links.len() > 6);
    for link in links {
        assert!(distinct.contains(&link.trim_end_matches(')').to_string()), "{link}");
    }
}

#[test]
fn verdicts_are_counted_and_failures_named() {
    let folder = results();
    let (page, markdown) = (read(&folder).html(), read(&folder).markdown());
    assert!(markdown.contains("Expectations: 1 met, 1 **failed**, 1 open."), "{markdown}");
    assert!(markdown.contains("- **failed**: ddim: w2 = 2e-1"), "{markdown}");
    assert!(markdown.contains("1 pass, 1 fail, 1 inconclusive"), "{markdown}");
    assert!(page.contains("<b>failed</b> ddim: w2 = 2e-1"));
    // Not reached on one of the two problems; on none.
    assert!(markdown.contains("| ddim | 8 to 12 | from 90 |  |"), "{markdown}");
    assert!(read(&folder).readme().contains("| ddim | 8 to 12 | from 90 |  |"));
}

#[test]
fn folders_that_do_not_say_what_was_asked_say_so_and_trainings_are_no_experiments() {
    let folder = results();
    let page = read(&folder).html();
    assert!(page.contains("Folders without a <code>summary.toml</code>: 1."));
    assert!(page.contains("what was asked, expected and found is not stated"));
    assert!(page.contains("A training, not an experiment"));
    assert!(!page.contains("tried-quick"), "quick runs are left out");
    let alone = Report::read(&folder.path().join("02-samples")).expect("one folder").html();
    assert!(alone.contains("02-samples") && !alone.contains("01-orders"));
}

#[test]
fn what_cannot_be_read_is_named_and_the_exit_code_is_2() {
    let edits: [(&str, Option<&str>, &str); 8] = [
        ("01-orders/exact.csv", Some("a,b\n1,2\n"), "is not a result table"),
        ("01-orders/orders.csv", Some("experiment,data\n1,2\n"), "is not a result table"),
        ("01-orders/manifest.toml", Some("command = "), "is no TOML"),
        ("01-orders/summary.toml", Some("question = 3"), "question"),
        ("01-orders/summary.toml", Some("question = \"?\"\nfigures = [\"../x\"]"), "is no figure"),
        (
            "01-orders/summary.toml",
            Some("question = \"?\"\n[[expectation]]\nverdict = \"perhaps\"\ntext = \"\""),
            "perhaps",
        ),
        ("01-orders/figure.svg", Some("<svg"), "is no SVG"),
        ("01-orders/figure.svg", None, "cannot be read"),
    ];
    for (file, text, why) in edits {
        let folder = results();
        let path = folder.path().join(file);
        match text {
            Some(text) => fs::write(&path, text).expect("written"),
            None => fs::remove_file(&path).expect("removed"),
        }
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let (code, said) = scorebench(folder.path(), &["."]);
        assert_eq!(code, Some(2), "{file}: {said}");
        assert!(said.starts_with("error: ") && said.contains(&name) && said.contains(why), "{file}: {said}");
        assert!(!folder.path().join("report.html").exists(), "nothing is written");
    }
    let empty = tempfile::tempdir().expect("a folder");
    let (code, said) = scorebench(empty.path(), &["."]);
    assert!(code == Some(2) && said.contains("holds no result folder"), "{said}");
    let (code, said) = scorebench(empty.path(), &[]);
    assert!(code == Some(2) && said.contains("results: cannot be read"), "{said}");
}

#[test]
fn files_go_where_they_are_asked_to_go() {
    let folder = results();
    let here = folder.path();
    assert_eq!(scorebench(here, &["."]).0, Some(0));
    assert!(here.join("report.html").exists());
    let (code, said) = scorebench(here, &[".", "--markdown", "a/b.md", "--latex", "tex", "--out", "c.html"]);
    assert_eq!(code, Some(0), "{said}");
    for file in [
        "a/b.md",
        "tex/scorebench.tex",
        "tex/numbers.tex",
        "tex/01-orders.tex",
        "tex/01-orders-figure.pdf",
        "c.html",
    ] {
        assert!(here.join(file).exists(), "{file}");
    }
    let (code, said) = scorebench(here, &[".", "--out", "01-orders/exact.csv/x.html"]);
    assert!(code == Some(2) && said.contains("cannot be written"), "{said}");
}

#[test]
fn the_readme_is_kept_between_its_markers() {
    let folder = results();
    let (here, path) = (folder.path(), folder.path().join("README.md"));
    let run = |args: &[&str]| scorebench(here, &[&[".", "--readme"], args].concat());
    assert_eq!(run(&[]).0, Some(2), "no README");
    fs::write(&path, "no markers").expect("written");
    assert_eq!(run(&[]).0, Some(2), "no markers");
    let (begin, end) = ("<!-- report: made by `scorebench report --readme` -->\n", "<!-- end of report -->");
    fs::write(&path, format!("{end} before\n{begin}old\n{end}\nafter\n")).expect("written");
    assert_eq!(run(&["--check"]).0, Some(1), "stale");
    assert!(fs::read_to_string(&path).expect("read").contains("old"), "--check writes nothing");
    assert_eq!(run(&[]).0, Some(0));
    let new = fs::read_to_string(&path).expect("read");
    assert_eq!(new, format!("{end} before\n{begin}{}{end}\nafter\n", read(&folder).readme()));
    assert_eq!(run(&["--check"]).0, Some(0));
}

#[test]
fn latex_names_are_commands_and_compile_where_latex_is() {
    let folder = results();
    let files = read(&folder).latex();
    let text = |name: &str| {
        let found = files.iter().find(|(n, _)| n == name).expect("a file");
        String::from_utf8(found.1.clone()).expect("UTF-8")
    };
    let numbers = text("numbers.tex");
    assert!(numbers.contains("\\newcommand{\\scorebenchZeroOneOrdersExpectationsMet}{1}"), "{numbers}");
    assert!(numbers.contains("\\scorebenchset{01-orders:1:ddim:w2}{1.01}"), "{numbers}");
    let out = tempfile::tempdir().expect("a folder");
    for (name, bytes) in &files {
        fs::write(out.path().join(name), bytes).expect("written");
    }
    let mut latex = Command::new("pdflatex");
    latex.args(["-interaction=nonstopmode", "-halt-on-error", "scorebench.tex"]).current_dir(out.path());
    match latex.output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
        Err(_) => println!("skipped: no pdflatex on PATH"),
    }
}
