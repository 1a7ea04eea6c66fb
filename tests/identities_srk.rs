//! Stochastic Runge-Kutta methods under other names, without noise, and with their grid chosen by error control.

mod common;

use common::{distance, law_of, levels, modes, schedule, solver, try_law};
use scorebench::law::{self, Init};
use scorebench::metric::w2;
use scorebench::run::Ctx;
use scorebench::schedule::{Clock, Level};
use scorebench::solver::Sample;
use scorebench::solver::registry::{self, Handle};
use scorebench::state::{Space, State};

const ROUND_OFF: f64 = 1e-12;

const SETTINGS: &[(&str, &str)] = &[
    ("vp-linear", "uniform-lambda, start = 1.0, end = 1e-3"),
    ("vp-cosine", "quadratic-t, start = 0.99, end = 1e-3"),
    ("edm", "karras, sigma_max = 80.0, sigma_min = 0.002"),
    ("sub-vp", "uniform-t, start = 1.0, end = 0.01"),
    ("flow", "uniform-t, start = 0.99, end = 0.01"),
    ("ddpm-discrete", "discrete, spacing = \"trailing\", final = \"sigma_min\""),
];

fn same_on(on: impl Fn(&str) -> bool, solvers: &[&str]) {
    let (data, mut settings) = (modes(), 0);
    for (name, rule) in SETTINGS.iter().filter(|(name, _)| on(name)) {
        let schedule = schedule(name);
        for steps in [1, 2, 17, 100] {
            let grid = levels(&schedule, rule, steps);
            let law = |solver: &str| law_of(solver, &data, &schedule, &grid).moments;
            let (first, unit) = (law(solvers[0]), data.marginal(&grid[steps]));
            // A step far too long amplifies round-off with everything else.
            let size = distance(&first, &unit, &unit).max(1.0);
            for solver in &solvers[1..] {
                let off = distance(&law(solver), &first, &unit);
                assert!(
                    off <= ROUND_OFF * size,
                    "{solver} is not {} on {name}, {steps} steps: off by {off:e}",
                    solvers[0]
                );
            }
        }
        settings += 1;
    }
    assert!(settings > 0);
}

fn same(solvers: &[&str]) {
    same_on(|_| true, solvers);
}

/// A deterministic Runge-Kutta method, written out.
struct Flow {
    clock: Clock,
    c: &'static [f64],
    a: &'static [&'static [f64]],
    b: &'static [f64],
}

impl Sample for Flow {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for (t, s) in grid.windows(2).map(|p| (&p[0], &p[1])) {
            let h = self.clock.length(t, s);
            let mut slopes: Vec<State<V>> = Vec::new();
            for (c, a) in self.c.iter().zip(self.a) {
                let at = self.clock.between(cx, t, s, *c);
                let stage = self.clock.advance(&x, t, &at, h, a, &slopes);
                slopes.push(self.clock.slope(cx, &stage, &at));
            }
            x = self.clock.advance(&x, t, s, h, self.b, &slopes);
        }
        x
    }
}

#[test]
fn without_noise_sra_methods_are_runge_kutta_methods_of_their_drift() {
    let data = modes();
    let ralston = |clock| Flow { clock, c: &[0.0, 0.75], a: &[&[], &[0.75]], b: &[1.0 / 3.0, 2.0 / 3.0] };
    // Shu & Osher's third-order method.
    let ssp3 = |clock| Flow {
        clock,
        c: &[0.0, 1.0, 0.5],
        a: &[&[], &[1.0], &[0.25, 0.25]],
        b: &[1.0 / 6.0, 1.0 / 6.0, 2.0 / 3.0],
    };
    for (name, rule) in SETTINGS {
        let schedule = schedule(name);
        let grid = levels(&schedule, rule, 17);
        for (clock, word) in [(Clock::T, "t"), (Clock::Edm, "edm"), (Clock::Lambda, "lambda")] {
            for (named, by_hand) in [("sra1", ralston(clock)), ("sra3", ssp3(clock))] {
                let text = format!("{named}, lambda = 0.0, clock = \"{word}\"");
                let got = law_of(&text, &data, &schedule, &grid);
                let want = law::law(&by_hand, &data, &schedule, &grid, Init::Marginal).unwrap();
                let unit = data.marginal(&grid[17]);
                assert!(distance(&got.moments, &want.moments, &unit) < ROUND_OFF, "{text} on {name}");
                assert_eq!((got.nfe, got.draws), (want.nfe, 0));
            }
        }
    }
    same(&["sra3, lambda = 0.0", "runge-kutta, table = \"ssp-3\""]);
    same(&["sra1, lambda = 0.0", "stochastic-runge-kutta, lambda = 0.0"]); // SRA2 differs in the noise alone
}

/// The table of one increment and one stage.
const EULER: &str =
    "c0 = [0.0], a0 = [[]], b0 = [[]], alpha = [1.0], c1 = [0.0], beta1 = [1.0], beta2 = [0.0]";

#[test]
fn tables_by_name_and_written_out_are_the_solvers_of_that_name() {
    for name in ["sra1", "sra3", "sosra"] {
        for clock in ["t", "edm", "lambda"] {
            same(&[
                &format!("{name}, clock = \"{clock}\", lambda = 0.7"),
                &format!("stochastic-runge-kutta, table = \"{name}\", clock = \"{clock}\", lambda = 0.7"),
            ]);
        }
    }
    let sra1 = "c0 = [0.0, 0.75], a0 = [[], [0.75]], b0 = [[], [1.5]], alpha = [0.3333333333333333, \
                0.6666666666666666], c1 = [1.0, 0.0], beta1 = [1.0, 0.0], beta2 = [-1.0, 1.0]";
    same(&["sra1", &format!("stochastic-runge-kutta, table = {{ {sra1} }}")]);
    let given = solver(&format!("stochastic-runge-kutta, table = {{ {sra1} }}"));
    assert_eq!((given.strong(), given.claim()), (solver("sra1").strong(), solver("sra1").claim()));
}

#[test]
fn one_stage_is_euler_maruyama() {
    let table = format!("stochastic-runge-kutta, table = {{ {EULER} }}");
    for l in ["0.0", "0.5", "1.0", "2.0"] {
        same(&[&format!("euler-maruyama, lambda = {l}"), &format!("{table}, lambda = {l}")]);
    }
    // In kappa and without noise, DDIM.
    same(&["ddim", &format!("{table}, lambda = 0.0, clock = \"edm\"")]);
}

#[test]
fn on_the_edm_schedule_time_is_kappa() {
    for name in ["sra1", "sra3", "sosra", "stochastic-runge-kutta, table = \"sosra2\""] {
        same_on(|on| on == "edm", &[name, &format!("{name}, clock = \"edm\"")]);
    }
}

#[test]
fn the_last_step_to_sigma_0_in_kappa_returns_d_where_the_end_would_be_evaluated() {
    let (data, edm) = (modes(), schedule("edm"));
    let grid = levels(&edm, "karras, sigma_max = 80.0, sigma_min = 0.002, final = \"zero\"", 10);
    for name in ["sra3", "sosra"] {
        let text = format!("{name}, clock = \"edm\"");
        let whole = law_of(&text, &data, &edm, &grid);
        assert_eq!((whole.nfe, whole.draws), (28, 18), "{text}");
        // Nothing but d: gain c/v on what is there at sigma_min.
        let before = law_of(&text, &data, &edm, &grid[..10]);
        for k in 0..data.modes() {
            let gain = data.variance()[k] / grid[9].marginal_variance(data.variance()[k]);
            let want = before.moments.std[k] * gain;
            assert!((whole.moments.std[k] / want - 1.0).abs() < 1e-13, "{text}");
        }
    }
    // SRA1 evaluates nothing there, and so takes its own step.
    assert_eq!(law_of("sra1, clock = \"edm\"", &data, &edm, &grid).nfe, 20);
}

#[test]
fn tables_that_are_none_are_refused_by_key() {
    let refuse = |body: &str| {
        let text = format!("name = \"stochastic-runge-kutta\", table = {body}");
        registry::solver(common::table(&text)).expect_err(body)
    };
    for (from, to, key) in [
        ("c0 = [0.0]", "c0 = []", "table.c0"),
        ("c0 = [0.0]", "c0 = [0.0, 1.0]", "table.c0"),
        ("c0 = [0.0]", "c0 = [1.5]", "table.c0"),
        ("a0 = [[]]", "a0 = [[1.0]]", "table.a0"),
        ("b0 = [[]]", "b0 = [[1.0, 2.0]]", "table.b0"),
        ("alpha = [1.0]", "alpha = [0.9]", "table.alpha"),
        ("beta1 = [1.0]", "beta1 = [0.5]", "table.alpha"),
        ("beta2 = [0.0]", "beta2 = [0.0, 0.0]", "table.c1"),
        ("beta2 = [0.0]", "beta2 = [inf]", "table.c0"),
        ("beta2 = [0.0]", "beta3 = [0.0]", "table.beta3"),
    ] {
        let e = refuse(&format!("{{ {} }}", EULER.replace(from, to)));
        assert_eq!(e.key(), key, "{e}");
    }
    let e = refuse("\"sra4\"");
    assert!(e.to_string().contains("sra1") && e.key() == "table", "{e}");
    assert_eq!(refuse("3").key(), "table");
    let e = registry::solver(common::table("name = \"sosra\", lambda = -1.0")).expect_err("negative");
    assert_eq!(e.key(), "lambda");
}

#[test]
fn a_table_mixed_from_two_methods_is_found_out() {
    // SOSRA's weights on SOSRA2's stages, as one library has it.
    let mixed = "c0 = [0.0, 0.6923962376159507, 1.0], \
        a0 = [[], [0.6923962376159507], [0.9511849235504364, 0.04881507644956362]], \
        b0 = [[], [0.7686101171003622], [0.43886792994934987, 0.7490415909204886]], \
        alpha = [0.2889874966892885, 0.6859880440839937, 0.025024459226717772], \
        c1 = [0.0, 0.041248171110700504, 1.0], \
        beta1 = [-16.792534242221663, 17.514995785380226, 0.27753845684143835], \
        beta2 = [0.4237535769069274, 0.6010381474428539, -1.0247917243497813]";
    let mixed = solver(&format!("stochastic-runge-kutta, table = {{ {mixed} }}"));
    assert_eq!(mixed.strong(), Some(1.0));
    let (data, vp) = (modes(), schedule("vp-linear"));
    let off = |solver: &Handle, n| {
        let grid = levels(&vp, "quadratic-t, start = 1.0, end = 1e-3", n);
        w2(&try_law(solver, &data, &vp, &grid).unwrap().moments, &data.marginal(&grid[n]))
    };
    let order = |solver: &Handle| (off(solver, 256) / off(solver, 512)).log2();
    assert!((order(&mixed) - 1.0).abs() < 0.1, "{}", order(&mixed));
    assert!((order(&solver("sosra")) - 2.0).abs() < 0.05);
}

#[test]
fn gotta_go_fast_on_a_grid_is_stochastic_heun() {
    same(&["stochastic-heun", "gotta-go-fast", "gotta-go-fast, rtol = 1e-9, r = 0.5"]);
}

#[test]
fn gotta_go_fast_plans_from_end_to_end_and_finer_where_less_is_tolerated() {
    let data = modes();
    for (name, start, end) in
        [("vp-linear", 1.0, 1e-3), ("edm", 80.0, 0.002), ("flow", 0.99, 0.0), ("sub-vp", 1.0, 0.0)]
    {
        let schedule = schedule(name);
        let ends = [schedule.at(start), schedule.at(end)];
        let mut before = (usize::MAX, 0.0);
        for tolerance in [1e-4, 1e-3, 1e-2, 5e-2] {
            let text = format!("gotta-go-fast, rtol = {tolerance:?}, atol = {tolerance:?}");
            let plan = law::plan(&solver(&text), &data, &schedule, &ends, Init::Marginal, None).unwrap();
            let grid = plan.levels;
            let steps = grid.len() - 1;
            assert_eq!((grid[0], grid[steps]), (ends[0], ends[1]), "{name}");
            assert!(grid.windows(2).all(|p| p[0].t > p[1].t), "{name}");
            // Two calls an attempt; few are rejected, but for edm's largest steps, which cycle with r = 0.9.
            assert!(plan.nfe >= 2 * steps && plan.nfe < 4 * steps, "{name}: {} calls", plan.nfe);
            let law = law_of(&text, &data, &schedule, &grid);
            let off = w2(&law.moments, &data.marginal(&ends[1]));
            println!("{name} {tolerance:e}: {steps} steps, {} calls to find them, W2 {off:e}", plan.nfe);
            assert!(steps < before.0 && off > before.1, "{name} {tolerance}: {steps} steps, {off:e}");
            before = (steps, off);
        }
    }
    let vp = schedule("vp-linear");
    let ends = [vp.at(1.0), vp.at(1e-3)];
    let hopeless = solver("gotta-go-fast, rtol = 0.0, atol = 1e-300");
    let why = law::plan(&hopeless, &data, &vp, &ends, Init::Marginal, None).unwrap_err().to_string();
    assert!(why.contains("tolerances"), "{why}");
}
