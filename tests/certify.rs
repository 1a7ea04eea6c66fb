//! Certificates tell true claims from false ones.

mod common;

use common::solver;
use scorebench::certify::{Certificate, certify, certify_as_sold};
use scorebench::order::Verdict;
use scorebench::parallel;
use scorebench::run::Ctx;
use scorebench::schedule::{Level, Schedule};
use scorebench::solver::{Claim, Handle, Needs, Proof, Sample, Solver};
use scorebench::state::{Space, State};

/// Two methods in x/alpha and kappa, and claims about them that a test chooses.
#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Claims {
    /// Adams-Bashforth 2 with the weights of equal steps in lambda, instead of Euler.
    adams: bool,
    order: f64,
    uneven: f64,
    calls: usize,
    found: f64,
}

impl Sample for Claims {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        let mut last: Option<State<V>> = None;
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            let d = cx.denoise(&x, t);
            // DDIM in terms of d, which is extrapolated as over equal steps.
            let (keep, gain) = (s.sigma / t.sigma, s.alpha - t.alpha * s.sigma / t.sigma);
            x = match &last {
                Some(before) if self.adams => (keep * &x + gain * (1.5 * &d - 0.5 * before)).eval(),
                _ => (keep * &x + gain * &d).eval(),
            };
            last = Some(d);
        }
        x
    }
}

impl Solver for Claims {
    const NAME: &'static str = "claims";
    const ABOUT: &'static str = "claims that a test chooses";
    const SOURCE: &'static str = "this test, 2026";

    fn claim(&self) -> Claim {
        Claim::Order(self.order)
    }
    fn on_uneven_steps(&self) -> Claim {
        Claim::Order(self.uneven)
    }
    fn equation(&self) -> Option<f64> {
        Some(0.0)
    }
    fn needs(&self, _: &Schedule) -> Needs {
        Needs { time: false, alpha: false, sigma: true }
    }
    fn calls(&self, steps: usize) -> usize {
        self.calls * steps
    }
    fn proofs(&self) -> Vec<Proof> {
        vec![Proof { what: "a proof", claimed: 1.0, found: self.found, how: "by decree".into() }]
    }
}

fn with(change: impl FnOnce(&mut Claims)) -> Certificate {
    let mut claims = Claims { adams: false, order: 1.0, uneven: 1.0, calls: 1, found: 1.0 };
    change(&mut claims);
    certify(&Handle::new(claims))
}

#[test]
fn true_claims_pass() {
    let honest = with(|_| ());
    assert_eq!((honest.verdict, honest.reasons.len()), (Verdict::Pass, 0), "{:?}", honest.reasons);
    let adams = with(|c| (c.adams, c.order) = (true, 2.0));
    assert_eq!(adams.verdict, Verdict::Pass, "{:?}", adams.reasons);
}

#[test]
fn a_claim_of_too_much_fails() {
    assert_eq!(with(|c| c.order = 2.0).verdict, Verdict::Fail);
    assert_eq!(with(|c| c.order = 1.1).verdict, Verdict::Fail);
}

#[test]
fn a_claim_of_too_little_does_not_pass() {
    assert_eq!(with(|c| (c.adams, c.order) = (true, 1.0)).verdict, Verdict::Inconclusive);
}

#[test]
fn weights_of_equal_steps_are_told_on_uneven_ones() {
    let adams = with(|c| (c.adams, c.order, c.uneven) = (true, 2.0, 2.0));
    assert_eq!(adams.verdict, Verdict::Fail);
    assert!(adams.reasons.iter().all(|r| r.contains("uneven")), "{:?}", adams.reasons);
}

#[test]
fn miscounted_calls_and_failed_proofs_fail() {
    assert_eq!(with(|c| c.calls = 2).verdict, Verdict::Fail);
    assert_eq!(with(|c| c.found = 0.5).verdict, Verdict::Fail);
}

#[test]
fn error_constants_and_stable_steps_are_those_of_known_methods() {
    let ddim = certify(&solver("ddim"));
    assert!((ddim.error_constant.unwrap() / 5.539 - 1.0).abs() < 1e-3, "{:?}", ddim.error_constant);
    assert_eq!(ddim.stable_step, Some(f64::INFINITY));
    // Euler in lambda on a mode without variance multiplies by 1 - h: stable to h = 2; 6 steps of the 10.6 are.
    let euler = certify(&solver("euler, clock = \"lambda\"")).stable_step.unwrap();
    assert!((euler - 40_000f64.ln() / 6.0).abs() < 1e-9, "{euler}");
}

#[test]
fn every_variant_of_the_catalogue_keeps_its_claims() {
    let variants = common::variants();
    assert!(variants.len() >= 300, "{} variants", variants.len());
    let certificates = parallel::map(&variants, certify);
    let floors = certificates.iter().filter(|c| c.claim == "floor").count();
    let wrong: Vec<String> = certificates
        .iter()
        .filter(|c| c.verdict != Verdict::Pass && c.claim != "floor")
        .map(|c| format!("{}: {:?}", c.solver, c.reasons))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(floors < 20, "{floors} variants claim nothing");
}

#[test]
fn what_is_sold_as_more_than_it_is_fails_as_sold_and_passes_as_what_it_is() {
    for text in [
        "dpmpp-3m, d2 = \"shipped\"",
        "dpmpp-3m-sde, phi3 = \"k-diffusion\"",
        "dpmpp-sde, noise = \"independent\"",
        "unipc, order = 4",
        "lms",
    ] {
        let shipped = solver(text);
        assert_eq!(certify(&shipped).verdict, Verdict::Pass, "{text}");
        assert_eq!(certify_as_sold(&shipped).verdict, Verdict::Fail, "{text}");
    }
    // The second difference as it should be, and a start that does not spoil it.
    let corrected = certify(&solver("dpmpp-3m, warm_up = \"exact\""));
    assert_eq!((corrected.verdict, corrected.claim.as_str(), corrected.sold_as), (Verdict::Pass, "3", None));
}

#[test]
fn the_third_order_sde_step_of_diffusers_is_of_first_order_at_best() {
    let shipped = certify(&solver("dpmpp-3m-sde, phi3 = \"diffusers\""));
    assert_eq!(shipped.sold_as, Some(3.0));
    assert!(shipped.weak.iter().all(|m| (0.9..1.1).contains(&m.order.unwrap())), "{:?}", shipped.weak);
    // On steps that alternate in length it diverges.
    assert_eq!(shipped.verdict, Verdict::Fail);
    assert!(shipped.reasons.iter().any(|r| r.contains("diverging")), "{:?}", shipped.reasons);
}
