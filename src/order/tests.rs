//! Fits of synthetic errors with known answers.

use super::*;
use proptest::prelude::*;

const ROUND_OFF: f64 = 1e-15;

/// Errors at 8, 16, 32, ...
fn ladder(errors: &[f64]) -> Vec<(usize, f64)> {
    errors.iter().enumerate().map(|(i, &e)| (8 << i, e)).collect()
}

/// `error` at 8, 16, ..., of as many rungs.
fn of(rungs: usize, error: impl Fn(f64) -> f64) -> Vec<(usize, f64)> {
    (0..rungs).map(|i| (8 << i, error((8 << i) as f64))).collect()
}

fn verdict(points: &[(usize, f64)], claim: Claim) -> (Behaviour, Verdict) {
    let fit = fit(points, ROUND_OFF);
    (fit.behaviour, fit.verdict(&claim).0)
}

/// Errors with the given local orders on a doubling ladder.
fn with_orders(orders: &[f64]) -> Vec<(usize, f64)> {
    let mut errors = vec![0.3];
    errors.extend(orders.iter().scan(0.3, |e, q| {
        *e *= (-q).exp2();
        Some(*e)
    }));
    ladder(&errors)
}

proptest! {
    #[test]
    fn a_power_law_gives_back_its_order_on_any_ladder(
        c in -14.0f64..14.0,
        p in prop_oneof![Just(0.5), Just(1.0), Just(2.0), Just(4.0), 0.2f64..6.0],
        mut steps in prop::collection::btree_set(2usize..100_000, 2..9),
    ) {
        steps.insert(3 * steps.first().unwrap());
        let points: Vec<_> = steps.iter().rev().map(|&n| (n, (c - p * (n as f64).ln()).exp())).collect();
        let fit = fit(&points, 0.0);
        prop_assert!((fit.order.unwrap() - p).abs() < 1e-9, "{fit:?}");
        prop_assert!(fit.stderr.unwrap() < 1e-9);
        prop_assert_eq!(fit.window, Some((*steps.first().unwrap(), *steps.last().unwrap())));
        prop_assert_eq!(fit.verdict(&Claim::Order(p)).0, Verdict::Pass);
        prop_assert_eq!(fit.verdict(&Claim::Order(p + 0.06)).0, Verdict::Fail);
        prop_assert_eq!(fit.verdict(&Claim::Exact).0, Verdict::Fail);
    }

    #[test]
    fn errors_that_end_in_growth_or_failure_have_no_order_and_never_pass(
        p in 0.2f64..4.0,
        head in prop::collection::vec(
            prop_oneof![
                4 => Just(1.0),
                1 => prop::sample::select(vec![0.0, f64::NAN, f64::INFINITY]),
                1 => 1e-9f64..1e9,
            ],
            0..9,
        ),
        low in -28.0f64..3.0,
        rise in prop_oneof![Just(f64::NAN), Just(f64::INFINITY), 1.0001f64..1.2, 1f64..1e6],
        steps in prop_oneof![Just(vec![2.0; 9]), prop::collection::vec(1.1f64..12.0, 9)],
    ) {
        let mut n = 8.0;
        let mut points = Vec::new();
        for (factor, step) in head.iter().zip(&steps) {
            points.push((n as usize, factor * f64::powf(n, -p)));
            n = f64::ceil(n * step);
        }
        points.extend([(n as usize, low.exp()), (n as usize * 2, low.exp() * rise)]);
        let fit = fit(&points, ROUND_OFF);
        prop_assert_eq!(fit.order, None);
        for claim in [Claim::Order(p), Claim::Order(1.0), Claim::Exact, Claim::Floor] {
            prop_assert_ne!(fit.verdict(&claim).0, Verdict::Pass, "{:?} {:?}", claim, fit);
        }
    }
}

#[test]
fn errors_that_fall_and_then_grow_or_fail_at_the_most_steps_fail_any_claim() {
    let fell = [1e-1, 5e-2, 2.5e-2, 1.25e-2, 6.25e-3];
    let ends: [&[f64]; 7] = [
        &[f64::NAN],
        &[f64::INFINITY],
        &[-1e-9],
        &[1e3],
        &[1e-2, 2e-2],
        &[1e-2, 1e1, 1e2],
        &[3.1e-3, f64::INFINITY, f64::NAN],
    ];
    for end in ends {
        let points = ladder(&[&fell[..], end].concat());
        for claim in [Claim::Order(1.0), Claim::Exact, Claim::Floor] {
            assert_eq!(verdict(&points, claim), (Behaviour::Diverging, Verdict::Fail), "{end:?}");
        }
    }
    // One rise that stays below the error of a quarter of the steps may be a change of sign.
    let points = ladder(&[&fell[..], &[7e-3]].concat());
    assert_eq!(verdict(&points, Claim::Order(1.0)), (Behaviour::PreAsymptotic, Verdict::Inconclusive));
}

#[test]
fn instability_at_few_steps_does_not_count() {
    for head in [[f64::INFINITY, f64::NAN], [1e3, f64::INFINITY], [1e200, 1e9]] {
        let points = ladder(&[&head[..], &[4e-2, 1e-2, 2.5e-3]].concat());
        assert_eq!(verdict(&points, Claim::Order(2.0)), (Behaviour::Asymptotic, Verdict::Pass));
        assert_eq!(fit(&points, ROUND_OFF).window, Some((32, 128)));
    }
    // But an error that was smaller before it blew up has not been shown to converge.
    let points = ladder(&[1e-3, 5e-4, f64::INFINITY, 4e-1, 1e-1, 2.5e-2]);
    assert_eq!(verdict(&points, Claim::Order(2.0)), (Behaviour::PreAsymptotic, Verdict::Inconclusive));
}

#[test]
fn another_order_than_the_claimed_one_fails_even_a_better_one() {
    let points = of(6, |n| 3.0 / (n * n) + 1.0 / n.powi(3));
    for (claimed, expected) in [(1.0, Verdict::Fail), (2.0, Verdict::Pass), (3.0, Verdict::Fail)] {
        assert_eq!(verdict(&points, Claim::Order(claimed)), (Behaviour::Asymptotic, expected));
    }
    let reason = fit(&points, ROUND_OFF).verdict(&Claim::Order(1.0)).1;
    assert!(reason.starts_with("measured 2.0") && reason.contains("claimed 1 lies outside"), "{reason}");
    assert_eq!(verdict(&points, Claim::Floor).1, Verdict::Inconclusive);
}

#[test]
fn orders_that_still_drift_are_inconclusive_and_slow_drift_passes() {
    let cases: [(&[f64], Verdict); 8] = [
        (&[0.60, 0.75, 0.85], Verdict::Inconclusive),
        (&[0.85, 0.93, 0.965, 0.98], Verdict::Pass),
        (&[0.80, 0.84, 0.87, 0.89], Verdict::Inconclusive),
        (&[0.785, 0.79, 0.7925], Verdict::Fail),
        // On the way down to a floor: the last order has left the claim, or the fall speeds up.
        (&[0.99, 0.965, 0.94], Verdict::Inconclusive),
        (&[0.999, 0.998, 0.96], Verdict::Inconclusive),
        // Leaving a transient order of 3.
        (&[2.9975, 2.99, 2.96], Verdict::Inconclusive),
        (&[0.74, 1.26, 0.74, 1.26, 0.74], Verdict::Inconclusive),
    ];
    for (orders, expected) in cases {
        assert_eq!(verdict(&with_orders(orders), Claim::Order(1.0)).1, expected, "{orders:?}");
    }
    for rungs in 3..12 {
        let v = verdict(&of(rungs, |n| n.ln() / n), Claim::Order(1.0)).1;
        assert_eq!(v, Verdict::Inconclusive, "a logarithm is no other order");
    }
}

#[test]
fn a_mixture_of_orders_has_none_until_the_lowest_rules() {
    let mut seen = Vec::new();
    for rungs in 3..14 {
        let fit = fit(&of(rungs, |n| 1.0 / n + 4096.0 / n.powi(3)), ROUND_OFF);
        assert!(fit.order.is_none_or(|p| (p - 1.0).abs() < 0.05 || p > 2.9), "{fit:?}");
        seen.push(fit.behaviour);
    }
    assert!(seen[1..5].iter().all(|b| *b == Behaviour::PreAsymptotic), "{seen:?}");
    assert!(seen[7..].iter().all(|b| *b == Behaviour::Asymptotic), "{seen:?}");
}

#[test]
fn the_steep_fall_into_a_change_of_sign_is_no_order() {
    for zero in [24.0, 40.0, 64.0, 90.0] {
        for rungs in 3..12 {
            let points = of(rungs, |n| (1.0 / n - zero / (n * n)).abs());
            let fit = fit(&points, ROUND_OFF);
            assert!(fit.order.is_none_or(|p| (p - 1.0).abs() < 0.06), "{zero}: {fit:?}");
            assert_ne!(fit.behaviour, Behaviour::Diverging, "{zero}: {fit:?}");
        }
        let long = of(12, |n| (1.0 / n - zero / (n * n)).abs());
        assert_eq!(verdict(&long, Claim::Order(1.0)), (Behaviour::Asymptotic, Verdict::Pass));
    }
    // An error that vanishes at the most steps, far above round-off, is such a change too.
    let points = ladder(&[1e-1, 5e-2, 2.5e-2, 1.25e-2, 0.0]);
    assert_eq!(verdict(&points, Claim::Order(1.0)), (Behaviour::PreAsymptotic, Verdict::Inconclusive));
}

proptest! {
    #[test]
    fn noise_at_the_round_off_floor_is_neither_an_order_nor_divergence(
        noise in prop::collection::vec(-1.0f64..1.0, 12),
        c in 0.1f64..10.0,
    ) {
        let rung = |i: usize| (8usize << i, c * (8.0f64 * (1 << i) as f64).powi(-4) + ROUND_OFF * noise[i]);
        let points: Vec<_> = (0..12).map(rung).map(|(n, e)| (n, e.abs())).collect();
        let fit = fit(&points, ROUND_OFF);
        prop_assert!((fit.order.unwrap() - 4.0).abs() < 0.01, "{fit:?}");
        prop_assert!(fit.floor.unwrap() < CLEAR * ROUND_OFF);
        let only: Vec<_> = noise.iter().map(|z| z.abs() * ROUND_OFF).collect();
        prop_assert_eq!(verdict(&ladder(&only), Claim::Exact), (Behaviour::Exact, Verdict::Pass));
        prop_assert_eq!(verdict(&ladder(&only), Claim::Order(4.0)).1, Verdict::Inconclusive);
    }
}

#[test]
fn round_off_before_three_points_is_inconclusive() {
    let points = ladder(&[1e-6, 1e-11, 3e-15, 0.0, 9e-15, 2e-14]);
    assert_eq!(verdict(&points, Claim::Order(8.0)), (Behaviour::RoundOff, Verdict::Inconclusive));
    assert_eq!(verdict(&points, Claim::Exact), (Behaviour::RoundOff, Verdict::Fail));
    assert_eq!(fit(&points, ROUND_OFF).floor, Some(2e-14));
    // What goes on as before still counts below 100 times round-off, down to round-off itself.
    let points = of(14, |n| 6.4e-12 / n);
    assert_eq!(fit(&points, ROUND_OFF).window, Some((8, 4096)));
    assert_eq!(fit(&points, 5.0 * ROUND_OFF).behaviour, Behaviour::RoundOff);
}

#[test]
fn a_plateau_fails_an_order_once_three_points_show_it() {
    let claim = Claim::Order(1.0);
    let points = of(14, |n| 1e-3 + 1.0 / n);
    assert_eq!(verdict(&points, claim), (Behaviour::Plateau, Verdict::Fail));
    assert!((fit(&points, ROUND_OFF).floor.unwrap() - 1e-3).abs() < 2e-5);
    assert_eq!(verdict(&points, Claim::Floor), (Behaviour::Plateau, Verdict::Inconclusive));
    assert_eq!(verdict(&points[..8], claim), (Behaviour::PreAsymptotic, Verdict::Inconclusive));
    let two = with_orders(&[1.0, 1.0, 0.5, 0.0]);
    assert_eq!(verdict(&two, claim), (Behaviour::PreAsymptotic, Verdict::Inconclusive));
    // A floor approached from below is no divergence.
    for rungs in 5..14 {
        let fit = fit(&of(rungs, |n| (1e-2 - 0.2 / n).abs()), ROUND_OFF);
        assert_ne!(fit.verdict(&Claim::Floor).0, Verdict::Fail, "{fit:?}");
        assert_eq!(fit.order, None);
    }
}

#[test]
fn exact_is_round_off_at_every_step_count() {
    let small = [1e-15, 0.0, 9e-14];
    assert_eq!(verdict(&ladder(&small), Claim::Exact).1, Verdict::Pass);
    assert_eq!(verdict(&ladder(&[small[0], 2e-13, 0.0]), Claim::Exact).1, Verdict::Fail);
    assert_eq!(verdict(&ladder(&[f64::INFINITY, 0.0, 0.0]), Claim::Exact).1, Verdict::Fail);
    assert_eq!(verdict(&[], Claim::Exact), (Behaviour::TooFew, Verdict::Inconclusive));
}

#[test]
fn too_few_points_or_too_close_ones_have_no_order() {
    let near: Vec<_> = (100..110).map(|n| (n, 1.0 / n as f64)).collect();
    for points in [&near[..], &[], &[(8, 1.0)], &[(8, 1.0), (64, 0.125)], &[(8, 1.0), (64, 8.0)]] {
        assert_eq!(verdict(points, Claim::Order(1.0)), (Behaviour::TooFew, Verdict::Inconclusive));
    }
}

#[test]
fn points_are_sorted_the_worse_of_two_counts_and_the_standard_error_is_that_of_a_line() {
    let points = [(32, 0.25), (8, 1.0), (0, 7.0), (16, 0.5), (16, 0.1), (32, 0.25)];
    let fit = fit(&points, 0.0);
    assert_eq!(fit.points, [(8, 1.0), (16, 0.5), (32, 0.25)]);
    assert_eq!(fit.local, [1.0, 1.0]);
    // Residuals of -1, 2, -1 thirds of 0.02 ln 2 about a slope of 1.02.
    let bent = super::fit(&with_orders(&[1.0, 1.04]), 0.0);
    assert!((bent.order.unwrap() - 1.02).abs() < 1e-12);
    assert!((bent.stderr.unwrap() - 0.04 / 12f64.sqrt()).abs() < 1e-12);
    let repeated = [&points[..], &[(32, f64::NAN)]].concat();
    assert_eq!(super::fit(&repeated, 0.0).behaviour, Behaviour::Diverging);
}
