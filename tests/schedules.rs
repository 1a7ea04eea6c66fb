//! Every schedule against its definition: rates by differences, inverses by round trips, integrals by quadrature,
//! tables by plain products.

mod common;

use common::schedule;
use proptest::prelude::*;
use scorebench::schedule::{Family, Level, Schedule};

/// Every schedule, and the last time looked at (the end, or a large one where there is no end).
fn schedules() -> Vec<(&'static str, Schedule, f64)> {
    [
        ("vp-linear", 1.0),
        ("vp-linear, beta_min = 2.0, beta_max = 2.0", 1.0),
        ("vp-cosine", 1.0),
        ("ve", 1.0),
        ("edm", 100.0),
        ("sub-vp", 1.0),
        ("flow", 1.0),
        ("ddpm-discrete", 999.0),
        ("ddpm-discrete, beta = \"scaled-linear\", beta_start = 0.00085, beta_end = 0.012", 999.0),
        ("ddpm-discrete, beta = \"cosine\"", 999.0),
        ("heat", 5000.0),
    ]
    .map(|(name, last)| (name, schedule(name), last))
    .into()
}

#[test]
fn the_list_names_every_schedule_tested_here() {
    let tested: Vec<&str> = schedules().iter().map(|(name, ..)| name.split(',').next().unwrap()).collect();
    for (name, about) in Schedule::LIST {
        assert!(tested.contains(name), "{name} is not tested");
        assert!(!about.is_empty());
    }
}

/// Fourth-order central difference.
fn derivative(f: impl Fn(f64) -> f64, t: f64, h: f64) -> f64 {
    (8.0 * (f(t + h) - f(t - h)) - (f(t + 2.0 * h) - f(t - 2.0 * h))) / (12.0 * h)
}

#[test]
fn f_and_g2_are_the_rates_of_alpha_and_sigma() {
    for (name, schedule, last) in schedules() {
        let first = schedule.time_range().0;
        for share in [1e-3, 0.0105, 0.1003, 0.3, 0.5, 0.77, 0.9, 0.99, 0.999] {
            let (mut t, mut h) =
                (first + share * (last - first), 1e-3 * share.min(1.0 - share) * (last - first));
            if schedule.table_len().is_some() {
                (t, h) = (t.floor() + 0.5, 0.1); // Between entries beta is constant.
            }
            let at = schedule.at(t);
            let f = derivative(|t| schedule.at(t).alpha.ln(), t, h);
            let rise = derivative(|t| schedule.at(t).sigma.powi(2), t, h);
            assert!((at.f - f).abs() <= 1e-8 * f.abs(), "{name} t = {t}: f {} for {f}", at.f);
            let (g2, size) =
                (rise - 2.0 * f * at.sigma.powi(2), rise.abs() + 2.0 * f.abs() * at.sigma.powi(2));
            assert!((at.g2 - g2).abs() <= 1e-8 * size, "{name} t = {t}: g2 {} for {g2}", at.g2);
        }
    }
}

/// What one unit of round-off in `kappa` is worth in `t`: `d ln kappa/dt = g^2/(2 sigma^2)`.
fn ulp_of_kappa_in_t(at: &Level) -> f64 {
    f64::EPSILON * 2.0 * at.sigma.powi(2) / at.g2
}

/// `t -> kappa -> t` and `t -> lambda -> t`, to 1e-12 of `t` unless `kappa` itself, in floating point, does not say more.
fn round_trips(name: &str, schedule: &Schedule, t: f64) {
    let at = schedule.at(t);
    for (what, back, ulps) in [
        ("kappa", schedule.at_kappa(at.kappa()).t, 8.0),
        ("lambda", schedule.at_lambda(at.lambda()).t, 8.0 + 2.0 * at.lambda().abs()),
    ] {
        let allowed = if t == 1.0 && at.alpha == 0.0 { 0.0 } else { ulps * ulp_of_kappa_in_t(&at) };
        let off = (back - t).abs();
        assert!(off <= (1e-12 * t.abs()).max(allowed), "{name}: t = {t:?} came back from {what} as {back:?}");
    }
}

#[test]
fn inverses_come_back_at_both_ends() {
    for (name, schedule, last) in schedules() {
        let first = schedule.time_range().0;
        let range = last - first;
        for share in [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.5, 0.99, 1.0 - 1e-6, 1.0 - 1e-12] {
            round_trips(name, &schedule, first + share * range);
        }
        round_trips(name, &schedule, last);
        // Clean data: the start of every schedule but ve, which starts at sigma_min.
        let clean = schedule.at_kappa(0.0);
        assert_eq!((clean.alpha, clean.sigma), (1.0, 0.0), "{name}");
        if !name.starts_with("ve") {
            assert_eq!((clean.t, schedule.at(first).sigma), (first, 0.0), "{name}");
        }
    }
    for name in ["flow", "vp-cosine"] {
        let (by_time, by_kappa) = (schedule(name).at(1.0), schedule(name).at_kappa(f64::INFINITY));
        assert_eq!((by_time.alpha, by_time.sigma, by_time.f), (0.0, 1.0, f64::NEG_INFINITY), "{name}");
        assert_eq!((by_kappa.alpha, by_kappa.sigma), (0.0, 1.0), "{name}");
        assert!((by_kappa.t - 1.0).abs() < f64::EPSILON, "{name}");
    }
}

#[test]
fn clean_data_has_no_noise_of_either_sign() {
    // A zero with a minus sign has lambda = ln(-inf). f64::max(-0.0, 0.0) may be either, and debug builds differ.
    for (name, schedule, _) in schedules() {
        let (first, clean) = (schedule.time_range().0, |at: Level| at.lambda() == f64::INFINITY);
        assert!(clean(schedule.at_kappa(0.0)) && clean(schedule.at_kappa(-0.0)), "{name}");
        assert!(name == "ve" || clean(schedule.at(first)) && clean(schedule.at(-first.abs())), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn inverses_come_back_everywhere(share in 0.0..1.0f64, decades in 0.0..8.0f64, logarithmic: bool) {
        let share = if logarithmic { 10f64.powf(-decades) } else { share.max(1e-8) };
        for (name, schedule, last) in schedules() {
            let first = schedule.time_range().0;
            round_trips(name, &schedule, first + share * (last - first));
        }
    }

    #[test]
    fn kappa_and_lambda_are_kept_to_the_last_digits(log10 in -8.0..6.0f64) {
        let kappa = 10f64.powf(log10);
        for (name, schedule, last) in schedules() {
            // Tables go on at their last rate; the other formulas have no end.
            let (by_kappa, by_lambda) = (schedule.at_kappa(kappa), schedule.at_lambda(-kappa.ln()));
            prop_assert!((by_kappa.kappa() / kappa - 1.0).abs() <= 1e-13, "{name} kappa = {kappa:e}");
            prop_assert!((by_lambda.lambda() + kappa.ln()).abs() <= 1e-13, "{name} kappa = {kappa:e}");
            let inside = (schedule.time_range().0..=last).contains(&by_kappa.t);
            if inside {
                same_level(name, &by_kappa, &schedule.at(by_kappa.t));
            }
        }
    }

    #[test]
    fn schedules_keep_their_normalisation(share in 0.0..=1.0f64, decades in 0.0..8.0f64, log10 in -8.0..6.0f64) {
        for (name, schedule, last) in schedules() {
            let first = schedule.time_range().0;
            let time = |share: f64| schedule.at(first + share * (last - first));
            for at in [time(share), time(10f64.powf(-decades)), schedule.at_kappa(10f64.powf(log10))] {
                let (alpha, sigma) = (at.alpha, at.sigma);
                let off = match schedule.family() {
                    Family::Vp => alpha * alpha + sigma * sigma - 1.0,
                    Family::Ve => alpha - 1.0,
                    Family::Other if name == "flow" => alpha + sigma - 1.0,
                    Family::Other => sigma + alpha * alpha - 1.0,
                };
                prop_assert!(off.abs() <= 1e-15, "{name} {at:?}: off by {off:e}");
            }
        }
    }
}

/// Two levels of one time, up to what a unit of round-off in `t` (and in `alpha`, where it vanishes) is worth.
fn same_level(name: &str, a: &Level, b: &Level) {
    let ulp = 4.0 * f64::EPSILON * a.t.abs().max(if name.starts_with("ddpm") { 1.0 } else { 0.0 });
    let sigma_rate = (a.g2 + 2.0 * a.f * a.sigma.powi(2)).abs() / (2.0 * a.sigma);
    let close = |x: f64, y: f64, more: f64| (x - y).abs() <= 1e-13 * x.abs() + more;
    assert!(close(a.alpha, b.alpha, ulp * (a.f * a.alpha).abs()), "{name} alpha: {a:?} {b:?}");
    assert!(close(a.sigma, b.sigma, ulp * sigma_rate), "{name} sigma: {a:?} {b:?}");
    let vanishing = 16.0 * f64::EPSILON / a.alpha;
    assert!(close(a.f, b.f, vanishing * a.f.abs()), "{name} f: {a:?} {b:?}");
    let slope_of_g2 = if a.t == 0.0 { 0.0 } else { 4.0 * ulp * a.g2 / a.t.abs() };
    assert!(close(a.g2, b.g2, vanishing * a.g2 + slope_of_g2), "{name} g2: {a:?} {b:?}");
}

/// Nodes and weights of Gauss-Legendre quadrature on [-1, 1], by Newton's method.
fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let polynomial = |x: f64| {
        let (mut p, mut q) = (x, 1.0);
        for k in 2..=n {
            (p, q) = (((2 * k - 1) as f64 * x * p - (k - 1) as f64 * q) / k as f64, p);
        }
        (p, n as f64 * (x * p - q) / (x * x - 1.0))
    };
    let node = |i: usize| {
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        for _ in 0..20 {
            let (p, slope) = polynomial(x);
            x -= p / slope;
        }
        (x, 2.0 / ((1.0 - x * x) * polynomial(x).1.powi(2)))
    };
    (0..n).map(node).collect()
}

/// `int_s^t f(level at u) du` on panels short against the distance to either end of the schedule.
fn integral(schedule: &Schedule, t: f64, s: f64, f: impl Fn(&Level) -> f64) -> f64 {
    let (first, last) = schedule.time_range();
    let (rule, mut from, mut sum) = (gauss_legendre(12), s, 0.0);
    while from < t {
        let to = if schedule.table_len().is_some() {
            t.min(from.floor() + 1.0)
        } else {
            t.min(from + 0.25 * (from - first).min(last - from))
        };
        let (middle, half) = (0.5 * (to + from), 0.5 * (to - from));
        sum += half * rule.iter().map(|(x, w)| w * f(&schedule.at(middle + half * x))).sum::<f64>();
        from = to;
    }
    sum
}

/// Long and short steps all over the schedule, as levels `(t, s)`.
fn steps(schedule: &Schedule, last: f64) -> Vec<(Level, Level)> {
    let first = schedule.time_range().0;
    let at = |share: f64| schedule.at(first + share * (last - first));
    [
        (2e-6, 1e-6),
        (0.99, 1e-6),
        (2e-4, 1e-4),
        (2e-3, 1e-3),
        (0.013, 0.01),
        (0.2, 0.1),
        (0.501, 0.5),
        (0.99, 0.9),
    ]
    .iter()
    .map(|&(t, s)| (at(t), at(s)))
    .collect()
}

#[test]
fn variance_since_is_what_the_forward_process_adds() {
    for (name, schedule, last) in schedules() {
        for (t, s) in steps(&schedule, last) {
            let got = t.variance_since(&s);
            let definition = t.sigma.powi(2) - (t.alpha / s.alpha * s.sigma).powi(2);
            assert!((got - definition).abs() <= 1e-14 * t.sigma.powi(2), "{name}: {got} for {definition}");
            // The definition cancels on short steps; the integral of g^2 carried on to t does not.
            let want = integral(&schedule, t.t, s.t, |u| u.g2 * (t.alpha / u.alpha).powi(2));
            // The two levels know their lambda to some units of round-off.
            let h = s.lambda() - t.lambda();
            let inherent = 4.0 * f64::EPSILON * (2.0 + t.lambda().abs() + s.lambda().abs()) / h;
            assert!(
                (got / want - 1.0).abs() <= 1e-12 + inherent,
                "{name} {} {}: {got:e} for {want:e}",
                t.t,
                s.t
            );
        }
        let (middle, end) = (schedule.at(0.5 * last), schedule.at(last));
        let clean = schedule.at_kappa(0.0);
        assert_eq!(middle.variance_since(&clean), middle.sigma.powi(2), "{name} from clean data");
        if end.alpha == 0.0 {
            assert_eq!(end.variance_since(&middle), end.sigma.powi(2), "{name} to pure noise");
        }
    }
}

#[test]
fn score_weight_is_the_integral_of_alpha_d_kappa_squared() {
    for (name, schedule, last) in schedules() {
        for (t, s) in steps(&schedule, last) {
            let got = schedule.score_weight(&t, &s);
            // g^2 du = alpha^2 d kappa^2.
            let want = integral(&schedule, t.t, s.t, |u| u.g2 / u.alpha);
            // The two levels know their kappa to some units of round-off.
            let inherent = 8.0 * f64::EPSILON * t.kappa() / (t.kappa() - s.kappa());
            assert!(
                (got / want - 1.0).abs() <= 1e-12 + inherent,
                "{name} {} {}: {got:e} for {want:e}, off by {:e}",
                t.t,
                s.t,
                got / want - 1.0
            );
        }
    }
}

#[test]
fn a_discrete_table_is_the_plain_product_of_its_betas() {
    let abar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
    let linear = |a: f64, b: f64, i: usize| a + (b - a) * i as f64 / 999.0;
    // Last entries of numpy.cumprod(1 - betas), with betas as in Ho et al.'s, Rombach et al.'s and Nichol & Dhariwal's code.
    for (name, beta, known) in [
        ("ddpm-discrete", &(|i| linear(1e-4, 0.02, i)) as &dyn Fn(usize) -> f64, 4.035829765375676e-5),
        (
            "ddpm-discrete, beta = \"scaled-linear\", beta_start = 0.00085, beta_end = 0.012",
            &|i| linear(0.00085f64.sqrt(), 0.012f64.sqrt(), i).powi(2),
            4.660098513077238e-3,
        ),
        (
            "ddpm-discrete, beta = \"cosine\"",
            &|i| (1.0 - abar((i + 1) as f64 / 1000.0) / abar(i as f64 / 1000.0)).min(0.999),
            2.4287669070348567e-9,
        ),
    ] {
        let schedule = schedule(name);
        assert_eq!(schedule.table_len(), Some(1000), "{name}");
        let mut product = 1.0;
        for i in 0..1000 {
            product *= 1.0 - beta(i);
            let at = schedule.at(i as f64);
            assert!((at.alpha.powi(2) / product - 1.0).abs() < 1e-12, "{name} alpha at {i}");
            assert!((at.sigma.powi(2) / (1.0 - product) - 1.0).abs() < 1e-11, "{name} sigma at {i}");
            // beta per step, in the continuous process that passes through the table: -ln(1 - beta).
            assert!((-(-at.g2).exp_m1() / beta(i) - 1.0).abs() < 1e-9, "{name} g2 at {i}");
            let back = schedule.at_kappa(at.kappa());
            assert!((back.t - at.t).abs() < 1e-11, "{name}: entry {i} came back as {:?}", back.t);
            assert_eq!((back.f, back.g2), (at.f, at.g2), "{name}: rates of entry {i}, met through kappa");
        }
        assert!((product / known - 1.0).abs() < 1e-12, "{name}: {product:e} for {known:e}");
    }
}

#[test]
fn parameters_without_a_schedule_are_refused_by_name() {
    for (text, key) in [
        ("vp-linear, beta_min = 0.0", "beta_min"),
        ("vp-linear, beta_max = inf", "beta_max"),
        ("sub-vp, beta_min = 3.0, beta_max = 2.0", "beta_max"),
        ("ve, sigma_min = -1.0", "sigma_min"),
        ("ve, sigma_min = 2.0, sigma_max = 2.0", "sigma_max"),
    ] {
        let (name, rest) = text.split_once(',').unwrap();
        let value = common::table(&format!("name = \"{name}\", {rest}"));
        let schedule: Schedule = scorebench::config::read_named(value, &[name]).unwrap();
        assert_eq!(schedule.check().expect_err(text).key(), key, "{text}");
    }
    for steps in ["1", "2000000"] {
        let value = common::table(&format!("name = \"ddpm-discrete\", steps = {steps}"));
        assert!(scorebench::config::read_named::<Schedule>(value, &["ddpm-discrete"]).is_err(), "{steps}");
    }
}
