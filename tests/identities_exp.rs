//! Exponential one-step methods under different names, their orders, and what their tables refuse.

mod common;

use common::{distance, law_of, levels, modes, schedule, solver};
use scorebench::data::Gaussian;
use scorebench::law::{self, Init};
use scorebench::metric::w2;
use scorebench::schedule::Level;
use scorebench::solver::exponential_runge_kutta::{certificate, named};
use scorebench::solver::{Claim, Handle, registry};

const ROUND_OFF: f64 = 1e-12;

/// From levels where alpha is small, eps forms scale round-off by 1/alpha.
fn round_off(text: &str) -> f64 {
    let eps = text.contains("eps") || text.contains("dpm") || text.contains("lambda");
    if eps { 1e-9 } else { ROUND_OFF }
}

/// Schedules with a grid each.
const SETTINGS: &[(&str, &str)] = &[
    ("vp-linear", "uniform-lambda, start = 1.0, end = 1e-3"),
    ("vp-cosine", "quadratic-t, start = 0.99, end = 1e-3"),
    ("edm", "karras, sigma_max = 80.0, sigma_min = 0.002"),
    ("flow", "uniform-t, start = 0.99, end = 0.01"),
    ("ddpm-discrete", "discrete, spacing = \"trailing\", final = \"sigma_min\""),
];

/// All the solvers give the law of the first.
fn same(solvers: &[&str]) {
    let data = modes();
    for (name, rule) in SETTINGS {
        let schedule = schedule(name);
        for steps in [1, 2, 5, 17, 100] {
            let grid = levels(&schedule, rule, steps);
            let law = |solver: &str| law_of(solver, &data, &schedule, &grid).moments;
            let (first, unit) = (law(solvers[0]), data.marginal(&grid[steps]));
            for solver in &solvers[1..] {
                let off = distance(&law(solver), &first, &unit);
                let most = round_off(solver);
                assert!(off <= most, "{solver} is not {} on {name}, {steps}: {off:e}", solvers[0]);
            }
        }
    }
}

/// The table by name, with more parameters.
fn table(name: &str, rest: &str) -> String {
    format!("exponential-runge-kutta, table = \"{name}\"{rest}")
}

#[test]
fn dpm_solver_1_and_dpmpp_1_are_ddim() {
    let (d, eps) = (table("euler-1", ""), table("euler-1", ", form = \"eps\""));
    same(&["ddim", "dpm-solver-1", "dpmpp-1", "dpm-solver-singlestep, order = 1", &d, &eps]);
}

#[test]
fn dpm_solvers_are_their_tables() {
    for (order, r, c) in [
        (2, "", ""),
        (2, ", r1 = 0.8", ", c2 = 0.8"),
        (2, ", r1 = 1.0", ", c2 = 1.0"),
        (3, "", ""),
        (3, ", r1 = 0.4, r2 = 0.9", ", c2 = 0.4, c3 = 0.9"),
    ] {
        let name = format!("dpm-{order}s");
        same(&[&format!("dpm-solver-{order}{r}"), &table(&name, &format!(", form = \"eps\"{c}"))]);
        same(&[&format!("dpmpp-{order}s{r}"), &table(&name, c)]);
    }
}

#[test]
fn midpoints_in_lambda_have_other_names_in_k_diffusion() {
    // At r1 = 1/2 all the weight is on the midpoint: `sample_dpm_2`, whose midpoint is sqrt(kappa_t kappa_s).
    same(&["dpm-solver-2", "dpm2"]);
    same(&["dpmpp-2s", "dpmpp-2s-ancestral, eta = 0.0"]);
}

/// What Lu et al. 2022a, algorithms 1 and 2, and 2022b, algorithm 1, compute, written out for one mode.
#[test]
fn one_step_of_a_dpm_solver_is_the_algorithm_of_its_paper() {
    let (data, vp) = (modes(), schedule("vp-linear"));
    let (t, s) = (vp.at(0.6), vp.at(0.3));
    let h = s.lambda() - t.lambda();
    let (mid, third) =
        (vp.at_lambda(t.lambda() + h / 2.0), [1.0, 2.0].map(|k| vp.at_lambda(t.lambda() + k * h / 3.0)));
    for k in 0..data.modes() {
        let (mu, c) = (data.mean()[k], data.variance()[k]);
        let eps = |x: f64, at: &Level| at.sigma * (x - at.alpha * mu) / at.marginal_variance(c);
        let d = |x: f64, at: &Level| (x - at.sigma * eps(x, at)) / at.alpha;
        let second = |x: f64| {
            let u = mid.alpha / t.alpha * x - mid.sigma * (h / 2.0).exp_m1() * eps(x, &t);
            s.alpha / t.alpha * x - s.sigma * h.exp_m1() * eps(u, &mid)
        };
        let third_order = |x: f64| {
            let (e, [a, b]) = (eps(x, &t), &third);
            let u = a.alpha / t.alpha * x - a.sigma * (h / 3.0).exp_m1() * e;
            let slope = eps(u, a) - e;
            let g = 2.0 * h / 3.0;
            let v = b.alpha / t.alpha * x - b.sigma * (g.exp_m1() * e + 2.0 * (g.exp_m1() / g - 1.0) * slope);
            let slope = eps(v, b) - e;
            s.alpha / t.alpha * x - s.sigma * (h.exp_m1() * e + 1.5 * (h.exp_m1() / h - 1.0) * slope)
        };
        let plus = |x: f64| {
            let u = mid.sigma / t.sigma * x - mid.alpha * (-h / 2.0).exp_m1() * d(x, &t);
            s.sigma / t.sigma * x - s.alpha * (-h).exp_m1() * d(u, &mid)
        };
        let one = Gaussian::new(vec![mu], vec![c]).unwrap();
        let start = one.marginal(&t);
        let steps: [(&str, &dyn Fn(f64) -> f64); 3] =
            [("dpm-solver-2", &second), ("dpm-solver-3", &third_order), ("dpmpp-2s", &plus)];
        for (name, step) in steps {
            let law = law_of(name, &one, &vp, &[t, s]).moments;
            let (mean, std) = (step(start.mean[0]), (step(1.0) - step(0.0)).abs() * start.std[0]);
            let off = (law.mean[0] - mean).abs().max((law.std[0] - std).abs());
            assert!(off < 1e-13, "{name}, mode {k}: {off:e}");
        }
    }
}

#[test]
fn tables_that_meet() {
    // ETDRK2 is the two-stage family of second stiff order at c2 = 1; gamma is 0 at c3 = 2/3.
    for form in ["d", "eps"] {
        let form = format!(", form = \"{form}\"");
        same(&[&table("etdrk2", &form), &table("res-2s", &format!("{form}, c2 = 1.0"))]);
        let thirds = format!("{form}, c2 = 0.25, c3 = {:?}", 2.0 / 3.0);
        same(&[&table("dpm-3s", &thirds), &table("res-3s", &thirds)]);
        same(&[&table("res-3s", &form), &table("res-3s-shipped", &form)]);
    }
}

#[test]
fn lawson_methods_are_runge_kutta_methods_behind_the_integrating_factor() {
    // With eps the integrating factor leads to x/alpha: the clock lambda.
    let eps = ", form = \"eps\"";
    same(&["euler, clock = \"lambda\"", &table("lawson-1", eps)]);
    same(&["midpoint, clock = \"lambda\"", &table("lawson-2", eps)]);
    same(&["heun, clock = \"lambda\"", &table("lawson-2-trapezoidal", eps)]);
    same(&["rk4, clock = \"lambda\"", &table("lawson-4", eps)]);
}

#[test]
fn an_inline_table_is_the_named_one() {
    let inline = |body: &str| format!("exponential-runge-kutta, table = {{ {body} }}");
    same(&[
        &table("krogstad-4", ""),
        &inline(
            r#"c = [0, 0.5, "1/2", 1.0], order = 4,
               a = [[], ["phi1(z/2)/2"], ["phi1(c3 z)/2 - a32x", "phi2(c3 z)"], ["rest", 0, "2 phi2(z)"]],
               b = ["phi1 - 3 phi2 + 4 phi3", "2 phi2 - 4 phi3", "2 phi2 - 4 phi3", "-phi2 + 4 phi3"]"#,
        )
        .replace("a32x", "phi2(c3 z)"),
    ]);
    same(&[
        &table("lawson-2", ""),
        &inline(r#"c = [0, 0.5], a = [[], ["0.5 phi0(c2 z)"]], b = [0, "phi0(z/2)"], order = 2"#),
    ]);
    let named = solver(&inline(r#"c = [0], a = [[]], b = ["phi1"], order = 1"#));
    assert_eq!((named.claim(), named.calls(10)), (Claim::Order(1.0), 10));
}

#[test]
fn two_levels_of_a_singlestep_group_are_one_step() {
    let data = modes();
    for name in ["vp-linear", "edm", "vp-cosine"] {
        let schedule = schedule(name);
        let rule = if name == "edm" {
            "uniform-lambda, start = 80.0, end = 0.002"
        } else {
            "uniform-lambda, start = 0.9, end = 1e-3"
        };
        for (order, grouped, whole) in [
            (2, "dpm-solver-singlestep", "dpmpp-2s".to_string()),
            (2, "dpm-solver-singlestep, form = \"eps\"", "dpm-solver-2".into()),
            (2, "dpm-solver-singlestep, solver_type = \"heun\"", table("res-2s", "")),
            (3, "dpm-solver-singlestep, order = 3, solver_type = \"heun\"", table("etd2cf3", "")),
            (
                3,
                "dpm-solver-singlestep, order = 3, solver_type = \"heun\", form = \"eps\"",
                table("etd2cf3", ", form = \"eps\""),
            ),
        ] {
            for steps in [1, 2, 7, 20] {
                let law = |text: &str, n| law_of(text, &data, &schedule, &levels(&schedule, rule, n));
                let (one, other) = (law(grouped, order * steps), law(&whole, steps));
                let unit = data.marginal(&levels(&schedule, rule, 1)[1]);
                let off = distance(&one.moments, &other.moments, &unit);
                assert!(off <= round_off(grouped), "{grouped} is not {whole} on {name}: {off:e}");
            }
        }
    }
}

#[test]
fn dpm_fast_is_steps_of_dpm_solvers() {
    let data = modes();
    let schedule = schedule("edm");
    let law = |text: &str, rule: &str, n| law_of(text, &data, &schedule, &levels(&schedule, rule, n)).moments;
    let (karras, uniform) =
        ("karras, sigma_max = 80.0, sigma_min = 0.002", "uniform-lambda, start = 80.0, end = 0.002");
    for (calls, whole) in [(1, "dpm-solver-1"), (2, "dpm-solver-2")] {
        let off =
            distance(&law("dpm-fast", karras, calls), &law(whole, uniform, 1), &law("ddim", uniform, 1));
        assert!(off <= ROUND_OFF, "{calls} calls: {off:e}");
    }
    // Only the ends of the grid count.
    let off =
        distance(&law("dpm-fast", karras, 20), &law("dpm-fast", uniform, 20), &law("ddim", uniform, 20));
    assert!(off <= ROUND_OFF, "{off:e}");
    let noisy = law_of("dpm-fast, eta = 1.0", &data, &schedule, &levels(&schedule, karras, 20));
    assert_eq!((noisy.nfe, noisy.draws), (20, 6));
}

/// Slopes of `log2 W2` where the number of `lambda` steps doubles.
fn slopes(text: &str, (name, rule): (&str, &str), steps: &[usize]) -> Vec<f64> {
    let schedule = schedule(name);
    let error = |n: &usize| {
        let grid = levels(&schedule, rule, *n);
        w2(&law_of(text, &modes(), &schedule, &grid).moments, &modes().marginal(&grid[*n]))
    };
    let errors: Vec<f64> = steps.iter().map(error).collect();
    errors.windows(2).map(|e| (e[0] / e[1]).log2()).collect()
}

const VP: (&str, &str) = ("vp-linear", "uniform-lambda, start = 1.0, end = 1e-3");
const EDM: (&str, &str) = ("edm", "uniform-lambda, start = 80.0, end = 0.002");

#[test]
fn dpm_fast_is_of_third_order_where_it_ends_in_order_2_and_of_second_elsewhere() {
    for (order, calls) in [(3.0, [767, 1535, 3071]), (2.0, [768, 1536, 3072]), (2.0, [766, 1534, 3070])] {
        for text in ["dpm-fast", "dpm-fast, eta = 0.5"] {
            for slope in slopes(text, VP, &calls) {
                assert!((slope - order).abs() < 0.13, "{text}, {calls:?}: {slope}");
            }
        }
    }
}

#[test]
fn steps_that_come_in_threes_tend_to_the_member_of_the_family_they_name() {
    // From a start that is not the marginal, where members differ.
    let (data, vp) = (modes(), schedule("vp-linear"));
    for (text, l) in [
        ("dpm-fast", 0.0),
        ("dpm-fast, eta = 0.5", 0.25),
        ("dpm-fast, eta = 1.0", 1.0),
        ("dpm-solver-singlestep, order = 3", 0.0),
    ] {
        let off = |steps: usize, l: f64| {
            let grid = levels(&vp, "quadratic-t, start = 0.3, end = 0.02", steps);
            let start = Init::Prior.moments(&data, &vp, &grid[0]);
            let law = law::law(&solver(text), &data, &vp, &grid, Init::Prior).expect(text);
            let to = data.transport(l, &grid[0], &grid[steps], &start);
            distance(&law.moments, &to, &data.marginal(&grid[steps]))
        };
        let (near, nearer) = (off(201, l), off(402, l));
        assert!((near / nearer).log2() > 0.9, "{text}: {near:e} to {nearer:e}");
        let others = [0.0, 0.25, 0.5, 1.0].into_iter().filter(|other| *other != l);
        assert!(others.map(|other| off(402, other)).all(|other| nearer < 0.2 * other), "{text}: {nearer:e}");
    }
}

#[test]
fn groups_of_three_levels_are_of_third_order_if_they_fill_the_grid() {
    for rest in ["", ", solver_type = \"heun\"", ", form = \"eps\""] {
        let text = format!("dpm-solver-singlestep, order = 3{rest}");
        for problem in [VP, EDM] {
            for slope in slopes(&text, problem, &[384, 768, 1536]) {
                assert!((slope - 3.0).abs() < 0.05, "{text}, {problem:?}: {slope}");
            }
        }
    }
}

#[test]
fn the_third_order_of_dpm_solver_3_is_that_of_r2_at_two_thirds() {
    for (text, order) in [
        ("dpmpp-3s", 3.0),
        ("dpmpp-3s, r1 = 0.5", 3.0),
        ("dpmpp-3s, r1 = 0.5, r2 = 1.0", 2.0),
        ("dpmpp-3s, r1 = 0.25, r2 = 0.5", 2.0),
        ("dpm-solver-3, r1 = 0.5, r2 = 1.0", 2.0),
        ("exponential-runge-kutta, table = \"res-3s\", c2 = 0.25, c3 = 0.5", 3.0),
        // The misprint of gamma costs the same.
        ("exponential-runge-kutta, table = \"res-3s-shipped\", c3 = 0.75", 2.0),
    ] {
        assert_eq!(solver(text).claim(), Claim::Order(order), "{text}");
        for slope in slopes(text, VP, &[512, 1024]) {
            assert!((slope - order).abs() < 0.05, "{text}: {slope}");
        }
    }
}

#[test]
fn luan_and_ostermann_s_table_is_of_fifth_order() {
    let karras = ("edm", "karras, sigma_max = 80.0, sigma_min = 0.002");
    for form in ["d", "eps"] {
        for slope in
            slopes(&table("luan-ostermann-5", &format!(", form = \"{form}\"")), karras, &[32, 64, 128])
        {
            assert!((slope - 5.0).abs() < 0.25, "{form}: {slope}");
        }
    }
}

#[test]
fn every_table_has_the_orders_it_claims_and_no_more() {
    for named in named::TABLES {
        let table = named.with(&[]).unwrap();
        let (classical, stiff) = (named.orders)(&table.c);
        let found = certificate::classical(&table);
        assert_eq!((found.order, found.scalar), (classical, classical), "{}", named.name);
        assert_eq!(certificate::stiff(&table).0, stiff, "{}", named.name);
        let slope = certificate::measured(&table, 32);
        assert!((slope - f64::from(stiff)).abs() < 0.55, "{}: {slope} for {stiff}", named.name);
        assert!(table.proofs(f64::from(classical), f64::from(stiff)).iter().all(|p| p.found >= p.claimed));
    }
    // DPM-Solver-2 has its second stiff order by weights at z = 0 alone, RES at every z (Zhang, Song & Chen 2023).
    let strong = |name: &str| certificate::stiff(&named::Named::find(name).unwrap().with(&[]).unwrap()).1;
    assert_eq!([strong("dpm-2s"), strong("res-2s"), strong("dpm-3s"), strong("res-3s")], [1, 2, 2, 2]);
}

#[test]
fn a_table_that_cannot_be_used_is_refused_with_the_entry_at_fault() {
    let refused = |body: &str| {
        let text = format!("name = \"exponential-runge-kutta\", {body}");
        registry::solver(common::table(&text)).map(|solver: Handle| solver.label()).expect_err(body)
    };
    for (body, key, why) in [
        (r#"table = "krogstad""#, "table", "krogstad-4"),
        (r#"table = "krogstad-4", c2 = 0.5"#, "c2", "no free node"),
        (r#"table = "res-2s", c2 = 0.0"#, "c2", "(0, 1]"),
        (r#"table = "res-2s", c2 = 1.5"#, "c2", "(0, 1]"),
        (r#"table = "res-3s", c2 = 0.6666666666666666"#, "c3", "divide by 0"),
        (r#"table = 3"#, "table", "name of a table"),
        (r#"table = { c = [0], a = [[]], b = ["phi1"] }"#, "table.order", "missing"),
        (r#"table = { c = [0], a = [[]], b = ["phi1"], order = 1, d = 1 }"#, "table.d", "not a known key"),
        (r#"table = { c = [0.5], a = [[]], b = ["phi1"], order = 1 }"#, "table.c", "explicit"),
        (r#"table = { c = [], a = [], b = [], order = 1 }"#, "table.c", "empty"),
        (r#"table = { c = [0, 2], a = [[], []], b = [1], order = 1 }"#, "table.c[1]", "outside the step"),
        (r#"table = { c = [0, "phi1"], a = [[], []], b = [1], order = 1 }"#, "table.c[1]", "not a number"),
        (r#"table = { c = [0, 1], a = [[]], b = [1], order = 1 }"#, "table.a", "1 rows for 2 nodes"),
        (r#"table = { c = [0], a = [[1]], b = [1], order = 1 }"#, "table.a[0][0]", "too many"),
        (r#"table = { c = [0], a = [[]], b = ["phi1(c2 z)"], order = 1 }"#, "table.b[0]", "c2 z"),
        (r#"table = { c = [0], a = [[]], b = ["phi1/0"], order = 1 }"#, "table.b[0]", "divides by 0"),
        (r#"table = { c = [0], a = [[]], b = ["phi1"], order = 2 }"#, "table.order", "give 1 to 1"),
        (r#"table = { c = [0], a = [[]], b = ["2 phi1"], order = 1 }"#, "table.order", "sum b_i(0) = 1"),
    ] {
        let e = refused(body);
        assert!(e.key() == key && e.to_string().contains(why), "{body}: {e}");
    }
}

#[test]
fn tolerances_decide_how_many_steps_an_adaptive_dpm_solver_takes() {
    let (data, edm) = (modes(), schedule("edm"));
    let ends = levels(&edm, EDM.1, 1);
    for name in ["dpm-solver-12", "dpm-solver-23"] {
        for controller in ["published", "shipped"] {
            let error = |tolerance: &str| {
                let text = format!("{name}, rtol = {tolerance}, atol = 1e-9, controller = \"{controller}\"");
                let plan = law::plan(&solver(&text), &data, &edm, &ends, Init::Marginal, None).expect(&text);
                let law = law_of(&text, &data, &edm, &plan.levels).moments;
                (plan.levels.len() - 1, w2(&law, &data.marginal(&ends[1])))
            };
            let (loose, tight) = (error("1e-2"), error("1e-5"));
            assert!(
                tight.0 > 3 * loose.0 && tight.1 < 0.02 * loose.1,
                "{name} {controller}: {loose:?} {tight:?}"
            );
        }
    }
    for (rest, key) in [("rtol = -1.0", "rtol"), ("rtol = 0.0, atol = 0.0", "atol"), ("atol = inf", "atol")] {
        let text = format!("name = \"dpm-solver-23\", {rest}");
        assert_eq!(registry::solver(common::table(&text)).expect_err(rest).key(), key);
    }
}
