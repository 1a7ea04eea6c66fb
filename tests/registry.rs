//! A solver from outside the crate is one of the crate's own once it is registered.

use std::path::Path;

use scorebench::experiment::{Experiment, Flows};
use scorebench::run::Ctx;
use scorebench::schedule::{Level, Schedule};
use scorebench::solver::{Claim, Needs, Sample, Solver, registry};
use scorebench::state::{Space, State};

/// DDIM, written anew: Euler's method in x/alpha and kappa, with a factor to spoil it by.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Mine {
    factor: f64,
}

impl Default for Mine {
    fn default() -> Self {
        Mine { factor: 1.0 }
    }
}

impl Sample for Mine {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            let eps = cx.eps(&x, t);
            let step = self.factor * s.alpha * (s.kappa() - t.kappa());
            x = (s.alpha / t.alpha * &x + step * &eps).eval();
        }
        x
    }
}

impl Solver for Mine {
    const NAME: &'static str = "mine";
    const ABOUT: &'static str = "DDIM from outside";
    const SOURCE: &'static str = "this test";

    fn claim(&self) -> Claim {
        Claim::Order(1.0)
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: true, sigma: false }
    }
}

#[test]
fn a_registered_solver_runs_in_experiments_and_as_part_of_others() {
    let text = r#"
question = "Is mine DDIM?"
data = { name = "gaussian", mean = [0.0, 1.0], variance = [1.0, 0.25] }
schedule = { name = "vp-linear" }
grid = { name = "quadratic-t", start = 1.0, end = 1e-3, steps = [40] }
solver = [
    { name = "ddim" },
    { name = "mine" },
    { name = "mine", factor = 1.01 },
    { name = "predictor-corrector", predictor = { name = "ddim" }, step = 0.05 },
    { name = "predictor-corrector", predictor = { name = "mine" }, step = 0.05 },
]
"#;
    let unknown = Experiment::parse("outside", text, Path::new(".")).unwrap_err();
    assert!(unknown.to_string().contains("\"mine\" is not known"), "{unknown}");

    registry::register::<Mine>().unwrap();
    assert!(registry::register::<Mine>().is_err(), "a name is taken once");
    let experiment = Experiment::parse("outside", text, Path::new(".")).unwrap();
    let rows: Vec<_> = experiment.cells().iter().map(|c| c.run(&Flows::default())).collect();
    assert_eq!(rows[2].solver, "mine(factor=1.01)");
    assert_eq!(rows[4].solver, "predictor-corrector(predictor=mine, step=0.05)");
    let w2: Vec<f64> = rows.iter().map(|r| r.w2.unwrap()).collect();
    let same = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(same(w2[0], w2[1]) && same(w2[3], w2[4]) && !same(w2[1], w2[2]), "{w2:?}");
}
