//! What an error of the score costs, in nats.

use super::super::line::VP;
use super::identities::nodes;
use super::uphill::{law, scores};
use crate::batch::Batch;
use crate::data::mixture::Covariance;
use crate::data::{CLEAN, Data, Mixture};
use crate::math::gauss_legendre;
use crate::schedule::{Level, Schedule};
use crate::study::Findings;

pub(super) const KL: &str = "divergence of the laws";
pub(super) const RATE: &str = "divergence of the scores";
pub(super) const LOST: &str = "divergence lost on the way";
pub(super) const GAP: &str = "divergence unaccounted for";
pub(super) const SHARE: &str = "share of the bound";

/// Laws that the two modes on the line are taken for.
fn wrong() -> [(&'static str, Mixture); 3] {
    let right = law("two-mode").0;
    let mode = |weight: f64, mean: f64, variance: f64| (weight, vec![mean], Covariance::Isotropic(variance));
    let gaussian = vec![mode(1.0, right.mean()[0], right.covariance()[0])];
    let shifted = vec![mode(0.3, -0.9, 0.04), mode(0.7, 1.6, 0.16)];
    let weights = vec![mode(0.5, -1.0, 0.04), mode(0.5, 1.5, 0.16)];
    let law = |parts| Mixture::new(parts).expect("it is a law");
    [("moments alone", law(gaussian)), ("shifted by 0.1", law(shifted)), ("wrong weights", law(weights))]
}

/// `KL(p || q)` and `E_p |score_p - score_q|^2` at a level.
fn apart(p: &Data, q: &Data, at: &Level) -> (f64, f64) {
    let (x, weights) = nodes(p, at);
    let batch = Batch::from_rows(1, x.clone());
    let (ln_p, ln_q) = (p.log_density(&batch, at), q.log_density(&batch, at));
    let (score_p, score_q) = (scores(p, &x, at), scores(q, &x, at));
    let each = (0..x.len()).map(|i| {
        let square = (score_p[i] - score_q[i]).powi(2);
        (weights[i] * (ln_p[i] - ln_q[i]), weights[i] * square)
    });
    each.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// `int_0^1 f dt` to round-off: panels that grow with `t`, as the noise does.
fn integral(f: impl Fn(f64) -> f64) -> f64 {
    const PANELS: usize = 12;
    let rule = gauss_legendre(10);
    let edge = |i: usize| (i as f64 / PANELS as f64).powi(2);
    let panel = |i: usize| {
        let (middle, half) = (0.5 * (edge(i) + edge(i + 1)), 0.5 * (edge(i + 1) - edge(i)));
        rule.iter().map(|(x, w)| half * w * f(middle + half * x)).sum::<f64>()
    };
    (0..PANELS).map(panel).sum()
}

/// `KL(p_0 || q_0) = int g^2/2 E_p |score_p - score_q|^2 dt + KL(p_1 || q_1)`, on two processes.
pub(super) fn measure(times: usize, found: &mut Findings) {
    let right = Data::Mixture(law("two-mode").0);
    let ve = Schedule::Ve { sigma_min: 0.01, sigma_max: 50.0 };
    for (name, wrong) in wrong() {
        let wrong = Data::Mixture(wrong);
        for (process, schedule) in [("vp", &VP), ("ve", &ve)] {
            let rate = |t: f64| {
                let at = schedule.at(t);
                0.5 * at.g2 * apart(&right, &wrong, &at).1
            };
            let case = format!("{name}, {process}");
            let lost = integral(rate);
            let [first, last] = [0.0, 1.0].map(|t| apart(&right, &wrong, &schedule.at(t)).0);
            found.single(LOST, &case, lost);
            found.single(GAP, &case, (first - lost - last).abs() / first);
            if process == "vp" {
                for i in 0..times {
                    let t = i as f64 / (times - 1) as f64;
                    found.put(KL, name, t, apart(&right, &wrong, &schedule.at(t)).0);
                    found.put(RATE, name, t, rate(t));
                }
            }
        }
    }
    bound(&VP, found);
}

/// Errors of the score that are no score of any process: the divergence of what the reverse SDE ends with, over the
/// integral that bounds it (Song, Durkan, Murray & Ermon 2021, theorem 1). Data N(0, 1/4), exact start.
fn bound(schedule: &Schedule, found: &mut Findings) {
    const VARIANCE: f64 = 0.25;
    for (name, factor, offset) in [("score times 1.1", 1.1, 0.0), ("score plus 0.1", 1.0, 0.1)] {
        let spent = |t: f64| {
            let at = schedule.at(t);
            let square = (factor - 1.0f64).powi(2) / at.marginal_variance(VARIANCE) + f64::powi(offset, 2);
            0.5 * at.g2 * square
        };
        let (mean, variance) = reversed(schedule, VARIANCE, factor, offset);
        // KL(p_0 || samples).
        let kl = 0.5 * (VARIANCE / variance - 1.0 - (VARIANCE / variance).ln() + mean * mean / variance);
        found.single(SHARE, name, kl / integral(spent));
    }
    found.single(SHARE, "score of another law", {
        let [p, q] = [VARIANCE, 0.3].map(|c| {
            let law = Mixture::new(vec![(1.0, vec![0.0], Covariance::Isotropic(c))]).expect("it is a law");
            Data::Mixture(law)
        });
        let spent = |t: f64| 0.5 * schedule.at(t).g2 * apart(&p, &q, &schedule.at(t)).1;
        let end = schedule.at(1.0);
        apart(&p, &q, &CLEAN).0 / (integral(spent) + apart(&p, &q, &end).0)
    });
}

/// Mean and variance that `dx = [f x - g^2 (factor score + offset)] dt + g dw` ends with at `t = 0`, started from
/// the exact law at `t = 1`: classical Runge-Kutta, in steps that shrink as `t` does.
fn reversed(schedule: &Schedule, variance: f64, factor: f64, offset: f64) -> (f64, f64) {
    const STEPS: usize = 4000;
    let slope = |t: f64, [m, v]: [f64; 2]| {
        let at = schedule.at(t);
        let pull = at.f + at.g2 * factor / at.marginal_variance(variance);
        [pull * m - at.g2 * offset, 2.0 * pull * v - at.g2]
    };
    let mut state = [0.0, schedule.at(1.0).marginal_variance(variance)];
    let time = |i: usize| ((STEPS - i) as f64 / STEPS as f64).powi(2);
    for i in 0..STEPS {
        let (t, h) = (time(i), time(i + 1) - time(i));
        let moved = |by: f64, k: [f64; 2]| [state[0] + by * k[0], state[1] + by * k[1]];
        let a = slope(t, state);
        let b = slope(t + 0.5 * h, moved(0.5 * h, a));
        let c = slope(t + 0.5 * h, moved(0.5 * h, b));
        let d = slope(t + h, moved(h, c));
        state = std::array::from_fn(|k| state[k] + h / 6.0 * (a[k] + 2.0 * b[k] + 2.0 * c[k] + d[k]));
    }
    (state[0], state[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaussian(mean: f64, variance: f64) -> Data {
        let parts = vec![(1.0, vec![mean], Covariance::Isotropic(variance))];
        Data::Mixture(Mixture::new(parts).expect("it is a law"))
    }

    #[test]
    fn divergences_of_gaussians_are_their_closed_forms() {
        let (kl, fisher) = apart(&gaussian(0.2, 0.5), &gaussian(-0.1, 0.4), &CLEAN);
        let want = 0.5 * (0.5 / 0.4 - 1.0 - f64::ln(0.5 / 0.4) + 0.09 / 0.4);
        assert!((kl - want).abs() < 1e-13);
        // The difference of the scores is -(x - 0.2)/0.5 + (x + 0.1)/0.4.
        let want = 0.5 * (1.0f64 / 0.4 - 1.0 / 0.5).powi(2) + (0.3f64 / 0.4).powi(2);
        assert!((fisher - want).abs() < 1e-13);
    }

    #[test]
    fn all_divergence_that_is_lost_is_accounted_for_and_none_twice() {
        let mut found = Findings::default();
        measure(2, &mut found);
        let gaps = found.rows.iter().filter(|r| r.quantity == GAP);
        assert!(gaps.clone().count() == 6 && gaps.clone().all(|r| r.value < 1e-12));
    }

    #[test]
    fn without_an_error_the_reverse_process_ends_with_the_data() {
        let (mean, variance) = reversed(&VP, 0.25, 1.0, 0.0);
        assert!(mean == 0.0 && (variance - 0.25).abs() < 1e-9, "{mean}, {variance}");
    }

    #[test]
    fn the_bound_is_met_by_the_score_of_another_law_and_loose_for_other_errors() {
        let mut found = Findings::default();
        bound(&VP, &mut found);
        let shares: Vec<f64> = found.rows.iter().map(|r| r.value).collect();
        assert!(shares[..2].iter().all(|s| *s > 0.05 && *s < 0.5) && (shares[2] - 1.0).abs() < 1e-12);
    }
}
