//! Every grid rule: its levels, its ends, what libraries make of the same words, and what is refused in which words.

mod common;

use common::{grid, levels, schedule};
use scorebench::grid::Grid;
use scorebench::schedule::{Level, Schedule};

/// Rules that go with `vp-linear`, and whether they end in clean data.
const ON_VP: &[&str] = &[
    "uniform-t, start = 1.0, end = 1e-3",
    "quadratic-t, start = 1.0, end = 1e-3",
    "uniform-lambda, start = 1.0, end = 1e-3",
    "uniform-t, start = 1.0, end = 0.0",
    "karras, sigma_max = 80.0, sigma_min = 0.002",
    "karras, sigma_max = 80.0, sigma_min = 0.002, final = \"zero\"",
    "log-linear, lambda = [-5.0, -1.0, 0.0, 2.0, 4.0]",
    "log-linear, sigma = [80.0, 4.0, 1.5, 0.02]",
    "log-linear, t = [1.0, 0.4, 0.2, 0.0]",
];
const ON_TABLE: &[&str] = &[
    "discrete, spacing = \"leading\"",
    "discrete, spacing = \"linspace\"",
    "discrete, spacing = \"trailing\"",
    "discrete, spacing = \"trailing\", final = \"sigma_min\"",
];

fn kappas(levels: &[Level]) -> Vec<f64> {
    levels.iter().map(Level::kappa).collect()
}

#[test]
fn n_steps_are_n_plus_1_falling_levels() {
    let (vp, table) = (schedule("vp-linear"), schedule("ddpm-discrete"));
    for steps in [1, 2, 3, 7, 16, 100, 499] {
        for (schedule, rules) in [(&vp, ON_VP), (&table, ON_TABLE)] {
            for rule in rules {
                let levels = levels(schedule, rule, steps);
                assert_eq!(levels.len(), steps + 1, "{rule}");
                assert!(levels.windows(2).all(|p| p[0].kappa() > p[1].kappa() && p[0].t > p[1].t), "{rule}");
            }
        }
    }
    let tested: Vec<&str> = ON_VP.iter().chain(ON_TABLE).map(|r| r.split(',').next().unwrap()).collect();
    let explicit = Grid::LIST.iter().filter(|(name, _)| !tested.contains(name)).map(|(name, _)| *name);
    assert_eq!(explicit.collect::<Vec<_>>(), ["explicit"], "a rule is not tested");
}

#[test]
fn ends_are_the_levels_at_the_times_written() {
    for name in ["vp-linear", "vp-cosine", "edm", "sub-vp", "flow", "heat", "ddpm-discrete"] {
        let schedule = schedule(name);
        for rule in ["uniform-t", "quadratic-t", "uniform-lambda"] {
            for (start, end) in [(0.97, 1.3e-3), (1.3e-3, 0.97)] {
                let levels = levels(&schedule, &format!("{rule}, start = {start}, end = {end}"), 7);
                assert_eq!((levels[0], levels[7]), (schedule.at(start), schedule.at(end)), "{name} {rule}");
            }
        }
        let karras = levels(&schedule, "karras, sigma_max = 80.0, sigma_min = 2e-3, final = \"zero\"", 9);
        assert_eq!((karras[0], karras[8]), (schedule.at_kappa(80.0), schedule.at_kappa(2e-3)), "{name}");
        assert_eq!((karras[9].alpha, karras[9].sigma), (1.0, 0.0), "{name}");
    }
}

#[test]
fn each_rule_is_equally_spaced_in_its_own_variable() {
    type Variable = fn(&Level) -> f64;
    let rules: [(&str, Variable); 3] =
        [("uniform-t", |l| l.t), ("quadratic-t", |l| l.t.sqrt()), ("uniform-lambda", Level::lambda)];
    for name in ["vp-linear", "vp-cosine", "ve", "edm", "sub-vp", "flow", "heat"] {
        for (rule, variable) in rules {
            let x: Vec<f64> = levels(&schedule(name), &format!("{rule}, start = 0.99, end = 1e-3"), 13)
                .iter()
                .map(variable)
                .collect();
            for (i, x_i) in x.iter().enumerate() {
                let want = x[0] + (x[13] - x[0]) * i as f64 / 13.0;
                // Reading lambda or t off a level costs some units of round-off of its range.
                assert!((x_i - want).abs() < 2e-14 * (x[0].abs() + x[13].abs()), "{name} {rule} {i}");
            }
        }
    }
}

#[test]
fn rising_rules_visit_the_same_levels_backwards() {
    for rule in ["uniform-t", "quadratic-t", "uniform-lambda"] {
        let down = levels(&schedule("vp-linear"), &format!("{rule}, start = 0.9, end = 0.01"), 8);
        let up = levels(&schedule("vp-linear"), &format!("{rule}, start = 0.01, end = 0.9"), 8);
        for (a, b) in down.iter().zip(up.iter().rev()) {
            assert!((a.t - b.t).abs() < 1e-14, "{rule}");
        }
    }
}

#[test]
fn karras_levels_are_those_of_the_paper() {
    // Karras et al. 2022, eq. 5, evaluated by numpy: 18 levels, then the final zero.
    let known = [
        80.0,
        57.58598472124816,
        40.78557379650796,
        28.374584604156844,
        19.35245298032523,
        12.91008238075732,
        8.400935309099816,
        5.315194521796382,
        3.256821519765537,
        1.9233398370400518,
        1.088170636545279,
        0.5853481231945422,
        0.29644228447915727,
        0.13951646873101678,
        0.05994731123547159,
        0.022934518372333384,
        0.0075280199627840785,
        0.002,
        0.0,
    ];
    for name in ["edm", "vp-linear", "flow", "ddpm-discrete"] {
        let karras = |rest: &str, steps| {
            kappas(&levels(
                &schedule(name),
                &format!("karras, sigma_max = 80.0, sigma_min = 0.002{rest}"),
                steps,
            ))
        };
        let (with_zero, without) = (karras(", final = \"zero\"", 18), karras(", final = \"sigma_min\"", 17));
        for (i, want) in known.iter().enumerate() {
            assert!((with_zero[i] - want).abs() <= 1e-13 * want, "{name} level {i}: {}", with_zero[i]);
        }
        assert_eq!(with_zero[..18], without, "{name}");
        assert_eq!(karras(", final = \"zero\"", 1).len(), 2);
        // rho = 1 is uniform in kappa.
        let uniform = karras(", rho = 1.0", 2)[1];
        assert!((uniform / 40.001 - 1.0).abs() < 1e-13, "{name}");
    }
}

/// Timesteps of a discrete grid, without the final level.
fn timesteps(spacing: &str, offset: i64, steps: usize) -> Vec<i64> {
    let rule = format!("discrete, spacing = \"{spacing}\", offset = {offset}");
    let levels = levels(&schedule("ddpm-discrete"), &rule, steps);
    assert_eq!((levels[steps].t, levels[steps].sigma), (-1.0, 0.0));
    levels[..steps].iter().map(|l| l.t as i64).collect()
}

/// `999 -250*1 -249*1`: the first value, then difference*count.
fn run_length(text: &str) -> Vec<i64> {
    let mut parts = text.split(' ');
    let mut list = vec![parts.next().unwrap().parse().unwrap()];
    for part in parts {
        let (step, count) = part.split_once('*').unwrap();
        for _ in 0..count.parse().unwrap() {
            list.push(list[list.len() - 1] + step.parse::<i64>().unwrap());
        }
    }
    list
}

#[test]
fn discrete_spacings_are_those_of_diffusers() {
    // What diffusers 0.42.1 hands to the model, as recorded in shared/parity/diffusers_timesteps.csv: `leading` is id 4
    // (DDIMScheduler, default), `linspace` id 7 (DDIMScheduler), `trailing` id 10 (EulerDiscreteScheduler).
    for (spacing, known) in [
        ("leading", "800 -200*4"),
        ("leading", "900 -100*9"),
        ("leading", "950 -50*19"),
        ("leading", "980 -20*49"),
        ("linspace", "999 -250*1 -249*1 -250*2"),
        ("linspace", "999 -111*9"),
        (
            "linspace",
            "999 -53*1 -52*1 -53*1 -52*1 -53*1 -52*1 -53*2 -52*1 -53*1 -52*1 -53*2 -52*1 -53*1 -52*1 -53*1 -52*1 -53*1",
        ),
        ("trailing", "999 -200*4"),
        ("trailing", "999 -100*9"),
        ("trailing", "999 -50*19"),
        ("trailing", "999 -20*49"),
    ] {
        let known = run_length(known);
        assert_eq!(timesteps(spacing, 0, known.len()), known, "{spacing} {}", known.len());
    }
    // diffusers' steps_offset = 1 (Stable Diffusion) shifts `leading` by one.
    assert_eq!(timesteps("leading", 1, 5), [801, 601, 401, 201, 1]);
    // By numpy, with diffusers' expressions; here the spacing does not divide the table and halves are rounded to even.
    let numpy: [(&str, &[i64]); 6] = [
        ("leading", &[852, 710, 568, 426, 284, 142, 0]),
        ("linspace", &[999, 500, 0]),
        ("linspace", &[999, 832, 666, 500, 333, 166, 0]),
        ("trailing", &[999, 666, 332]),
        ("trailing", &[999, 856, 713, 570, 428, 285, 142]),
        ("trailing", &[999, 937, 874, 811, 749, 687, 624, 561, 499, 437, 374, 311, 249, 187, 124, 61]),
    ];
    for (spacing, known) in numpy {
        assert_eq!(timesteps(spacing, 0, known.len()), known, "{spacing} {}", known.len());
    }
}

#[test]
fn discrete_spacings_agree_with_numpy_at_every_number_of_steps() {
    // sum over n = 1..1000 of sum_i i timestep_i, i counted from 1, by numpy from diffusers' expressions. (numpy.arange
    // gives `trailing` one timestep too many, -1, for 62 of these n; diffusers fails there, and they are cut off.)
    for (spacing, want) in
        [("leading", 45_193_435_419), ("linspace", 55_666_399_370), ("trailing", 55_722_100_764)]
    {
        let weighted = |n| (1..).zip(timesteps(spacing, 0, n)).map(|(i, t): (i64, i64)| i * t).sum::<i64>();
        assert_eq!((1..=1000).map(weighted).sum::<i64>(), want, "{spacing}");
    }
}

#[test]
fn discrete_levels_are_entries_of_the_table() {
    let schedule = schedule("ddpm-discrete");
    let levels = levels(&schedule, "discrete, spacing = \"trailing\", final = \"sigma_min\"", 10);
    for (i, level) in levels[..10].iter().enumerate() {
        assert_eq!(*level, schedule.at(999.0 - 100.0 * i as f64));
    }
    assert_eq!(levels[10], schedule.at(0.0));
}

#[test]
fn explicit_levels_are_those_written() {
    let vp = schedule("vp-linear");
    let read = |text: &str| grid(text).levels(&vp, None).expect(text);
    let by_t = read("explicit, t = [1.0, 0.3, 0.0]");
    assert_eq!(by_t, [vp.at(1.0), vp.at(0.3), vp.at(0.0)]);
    let by_lambda = read("explicit, lambda = [-4.0, 0.5, inf]");
    assert_eq!(by_lambda, [vp.at_lambda(-4.0), vp.at_lambda(0.5), vp.at_kappa(0.0)]);
    let by_sigma = read("explicit, sigma = [80.0, 1.5, 0.0]");
    assert_eq!(by_sigma, [vp.at_kappa(80.0), vp.at_kappa(1.5), vp.at_kappa(0.0)]);
    let pure_noise = grid("explicit, sigma = [inf, 1.0]").levels(&schedule("flow"), None).unwrap();
    assert_eq!((pure_noise[0].alpha, pure_noise[0].t), (0.0, 1.0));
    assert!(read("explicit, t = [0.0, 0.5, 1.0]").len() == 3, "rising lists are legal");
}

#[test]
fn bad_grids_are_refused_with_the_key_the_value_and_the_fix() {
    let outside = "is outside the schedule; give a time from 0.0 to 1.0";
    let no_lambda = "has no finite lambda (alpha or sigma is 0 there)";
    let fall = "give levels that fall strictly, with fewer steps if they are rounded";
    let karras = "karras, sigma_max = 80.0, sigma_min = 0.002";
    let cases: &[(&str, &str, Option<usize>, String)] = &[
        ("vp-linear", "uniform-t, start = 2.0, end = 0.1", Some(4), format!("start = 2.0 {outside}")),
        ("vp-linear", "uniform-lambda, start = 1.0, end = -0.1", Some(4), format!("end = -0.1 {outside}")),
        ("vp-linear", "uniform-t, start = 0.5, end = 0.5", Some(4), "end = 0.5 equals start; give two different times".into()),
        ("edm", "uniform-t, start = inf, end = 0.5", Some(4), "start = inf is not a finite time; give a number".into()),
        ("edm", "uniform-t, start = 1.0, end = nan", Some(4), "end = NaN is not a finite time; give a number".into()),
        ("ddpm-discrete", "quadratic-t, start = 9.0, end = -1.0", Some(4), "end = -1.0 has no square root; use uniform-t here".into()),
        ("flow", "uniform-lambda, start = 1.0, end = 0.1", Some(4), format!("start = 1.0 {no_lambda}; start a little later")),
        ("edm", "uniform-lambda, start = 1.0, end = 0.0", Some(4), format!("end = 0.0 {no_lambda}; end a little earlier")),
        ("edm", "karras, sigma_max = 80.0, sigma_min = 0.002, rho = 0.0", Some(4), "rho = 0.0 is not a positive number; Karras et al. use 7".into()),
        ("edm", "karras, sigma_max = 80.0, sigma_min = 0.0", Some(4), "sigma_min = 0.0 is not a positive number; Karras et al. use 0.002".into()),
        ("edm", "karras, sigma_max = 1.0, sigma_min = 2.0", Some(4), "sigma_max = 1.0 is not a number above sigma_min; Karras et al. use 80".into()),
        ("ve", "karras, sigma_max = 80.0, sigma_min = 0.02", Some(4), "sigma_max = 80.0 (as sigma/alpha) is outside the schedule; sigma/alpha runs from 0.01 to 50.000000000000036 there".into()),
        // Levels in between are outside as well; the one that the user wrote is named.
        ("ve", "karras, sigma_max = 40.0, sigma_min = 0.002", Some(18), "sigma_min = 0.002 (as sigma/alpha) is outside the schedule; sigma/alpha runs from 0.01 to 50.000000000000036 there".into()),
        ("edm", "discrete, spacing = \"leading\"", Some(4), "name = \"discrete\" needs a schedule with a table; use schedule ddpm-discrete, or another grid".into()),
        ("ddpm-discrete", "discrete, spacing = \"leading\"", Some(1001), "steps = 1001 is more than the 1000 entries of the table; give at most 1000".into()),
        ("ddpm-discrete", "discrete, spacing = \"linspace\", offset = 1", Some(10), "offset = 1 puts timestep 1000 outside the table 0..999; use offset = 0 or 1".into()),
        ("ddpm-discrete", "discrete, spacing = \"leading\", offset = -1", Some(10), "offset = -1 puts timestep -1 outside the table 0..999; use offset = 0 or 1".into()),
        ("ddpm-discrete", "discrete, spacing = \"leading\", final = \"sigma_min\"", Some(2),
            format!("does not move on: sigma/alpha goes from {0:?} at level 1 to {0:?} at level 2; {fall}", schedule("ddpm-discrete").at(0.0).kappa())),
        ("edm", karras, None, "steps is missing; add steps = [16, 32, 64]".into()),
        ("edm", karras, Some(0), "steps = 0 makes no grid; give at least 1".into()),
        ("edm", karras, Some(1_000_001), "steps = 1000001 is too many to hold; give at most 1000000".into()),
        ("edm", "explicit, t = [1.0]", None, "t = [1.0] makes no step; give at least two levels".into()),
        ("edm", "explicit, t = [1.0, 0.5]", Some(1), "steps = 1 does not go with an explicit grid; remove it: the list says how many".into()),
        ("edm", "explicit, t = [1.0, 0.5], sigma = [1.0, 0.5]", None, "needs exactly one list of levels; give t = [...], lambda = [...] or sigma = [...]".into()),
        ("vp-linear", "explicit, t = [1.0, 1.5]", None, format!("t[1] = 1.5 {outside}")),
        ("edm", "explicit, lambda = [1.0, nan]", None, "lambda[1] = NaN is not a number; give a level".into()),
        ("edm", "explicit, sigma = [1.0, 0.5, 0.5]", None, format!("does not move on: sigma/alpha goes from 0.5 at level 1 to 0.5 at level 2; {fall}")),
        ("edm", "explicit, sigma = [1.0, 0.5, 0.7]", None, format!("does not move on: sigma/alpha goes from 0.5 at level 1 to 0.7 at level 2; {fall}")),
    ];
    let mut wrong = Vec::new();
    for (on, rule, steps, want) in cases {
        let on: Schedule = schedule(on);
        let got = grid(rule).levels(&on, *steps).map_or_else(|e| e.to_string(), |_| "accepted".into());
        if got != *want {
            wrong.push(format!("{rule}\n  got  {got}\n  want {want}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
