//! Solvers that the crate has never heard of: what they get by implementing `Sample` alone.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Once;

use scorebench::certify::certify;
use scorebench::experiment::Experiment;
use scorebench::order::Verdict;
use scorebench::run::Ctx;
use scorebench::runner;
use scorebench::schedule::Level;
use scorebench::solver::outside::Claims;
use scorebench::solver::registry::{self, Entry};
use scorebench::solver::{Handle, Sample};
use scorebench::state::{Space, State};

/// DDIM, as somebody else would write it; with `error` its coefficient is off by so much.
#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Theirs {
    error: f64,
}

impl Sample for Theirs {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            let eps = cx.eps(&x, t);
            let gain = (1.0 + self.error) * s.alpha * (s.kappa() - t.kappa());
            x = (s.alpha / t.alpha * &x + gain * &eps).eval();
        }
        x
    }
}

/// The same without a parameter, and with a noise that does nothing: calls and draws are counted.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Bare;

impl Sample for Bare {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let z = cx.increment(&x, &pair[0], &pair[1]);
            x = Theirs::default().sample(cx, pair, (&x + 0.0 * &z).eval());
            let _ = cx.denoise(&x, &pair[1]);
        }
        x
    }
}

/// Whether two numbers differ by rounding alone.
fn close(a: Option<f64>, b: Option<f64>) -> bool {
    a.zip(b).is_some_and(|(a, b)| (a - b).abs() <= 1e-13 * b)
}

/// The solver of a name, after all are registered.
fn solver(label: &str) -> Handle {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let claims = Claims::order(1.0).of_ode();
        registry::add(Entry::named::<Theirs>("theirs", claims)).expect("a free name");
        registry::add(Entry::named::<Bare>("bare", Claims::default())).expect("a free name");
    });
    let table: toml::Table = label.parse().expect("TOML");
    registry::solver(table.into()).expect("registered")
}

#[test]
fn a_bare_sample_is_certified_as_the_catalogue_s_is_to_round_off() {
    let (theirs, ours) = (certify(&solver("name = 'theirs'")), certify(&solver("name = 'ddim'")));
    assert_eq!(theirs.verdict, Verdict::Pass);
    assert!(close(theirs.w2_at_64, ours.w2_at_64));
    assert_eq!((theirs.calls_per_step, theirs.draws_per_step), (1.0, 0.0));
}

#[test]
fn a_coefficient_off_by_one_per_cent_fails_its_claim() {
    let certificate = certify(&solver("name = 'theirs'\nerror = 0.01"));
    assert_eq!(certificate.verdict, Verdict::Fail, "{:?}", certificate.reasons);
}

#[test]
fn what_a_bare_sample_costs_is_counted() {
    let bare = solver("name = 'bare'");
    assert_eq!([bare.calls(7), bare.draws(7), bare.calls(1)], [14, 7, 2]);
    assert_eq!((bare.label(), bare.parameters().len()), ("bare".into(), 0));
}

#[test]
fn it_runs_on_exact_laws_and_on_samples_as_the_catalogue_s_does() {
    let _ = solver("name = 'theirs'");
    for more in ["", "mode = { monte-carlo = { samples = 300 } }\nmetrics = ['rmse']"] {
        let text = format!(
            "question = '?'\ndata = {{ name = 'gaussian', mean = [1.0, 0.0], variance = [0.3, 2.0] }}
            schedule = 'vp-linear'\ngrid = {{ name = 'uniform-lambda', start = 1.0, end = 1e-3, steps = [8, 16] }}
            solver = [{{ name = 'theirs' }}, {{ name = 'ddim' }}]\n{more}"
        );
        let experiment = Experiment::parse("outside", &text, Path::new(".")).expect("an experiment");
        let rows = runner::run(&experiment, None, &|| ()).expect("nothing is written").rows();
        for k in 0..2 {
            let (theirs, ours) = (&rows[k], &rows[k + 2]);
            assert_eq!((&*theirs.solver, &*ours.solver), ("theirs", "ddim"));
            let number = |r: &scorebench::record::Row| r.number("w2").or(r.number("rmse"));
            assert!(close(number(theirs), number(ours)));
        }
    }
}

#[test]
fn names_that_are_taken_or_are_none_are_refused() {
    for (name, why) in
        [("ddim", "is taken"), ("", "is no name"), ("Mine", "is no name"), ("a(b)", "is no name")]
    {
        let refused = registry::add(Entry::named::<Bare>(name, Claims::default())).expect_err(name);
        assert!(refused.to_string().contains(why), "{refused}");
    }
}

#[test]
fn a_new_solver_is_a_crate_that_depends_on_this_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let new = |args: &[&str]| {
        let program = env!("CARGO_BIN_EXE_scorebench");
        let out = Command::new(program).arg("new-solver").args(args).current_dir(&folder).output();
        let out = out.expect("the program starts");
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    assert_eq!(new(&["fast-heun"]).0, Some(0));
    let text = |name: &str| fs::read_to_string(folder.path().join("fast-heun").join(name)).expect(name);
    let manifest: toml::Table = text("Cargo.toml").parse().expect("TOML");
    assert_eq!(manifest["package"]["name"].as_str(), Some("fast-heun"));
    let dependency = manifest["dependencies"]["scorebench"]["path"].as_str().expect("a path");
    assert!(Path::new(dependency).join("src/lib.rs").exists());
    assert!(text("src/main.rs").contains("claiming::<FastHeun>(\"fast-heun\", claims)"));
    assert!(text(".github/workflows/gate.yml").contains("certify fast-heun"));
    for name in ["Cargo.toml", "src/main.rs", "README.md", "experiments/order.toml"] {
        assert!(!text(name).contains("my-solver") && !text(name).contains("MySolver"), "{name}");
    }

    for (args, why) in [
        (&["fast-heun"][..], "is there already"),
        (&["ddim"], "is taken"),
        (&["Fast"], "names no crate"),
        (&["other", "--scorebench", "."], "is not the source of scorebench"),
    ] {
        let (code, said) = new(args);
        assert!(code == Some(2) && said.contains(why), "{args:?}: {code:?} {said}");
    }
    assert!(!folder.path().join("other").exists());
}
