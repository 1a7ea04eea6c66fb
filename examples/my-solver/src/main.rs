//! A solver of one's own, and with it the whole command line of scorebench: exact laws, samples, networks.

use std::process::ExitCode;

use scorebench::bench::Bench;
use scorebench::run::Ctx;
use scorebench::schedule::Level;
use scorebench::solver::Sample;
use scorebench::solver::outside::Claims;
use scorebench::state::{Space, State};

/// A two-stage exponential integrator: the denoised mean `d` at the start of the step and a share `r` of it further on, in
/// half the log-SNR `lambda`. Its parameters are its fields; experiments set them by name.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MySolver {
    /// Where the second stage is, from 0 to 1.
    r: f64,
}

impl Default for MySolver {
    fn default() -> Self {
        MySolver { r: 2.0 / 3.0 }
    }
}

impl Sample for MySolver {
    fn sample<V: Space>(&self, cx: &mut Ctx<V>, grid: &[Level], mut x: State<V>) -> State<V> {
        for pair in grid.windows(2) {
            let (t, s) = (&pair[0], &pair[1]);
            let h = s.lambda() - t.lambda();
            let d = cx.denoise(&x, t);
            if s.sigma == 0.0 {
                // Without noise lambda is infinite, and nothing lies between: x is d.
                x = (s.alpha * &d).eval();
                continue;
            }
            let u = cx.at_lambda(t.lambda() + self.r * h);
            let stage = (u.sigma / t.sigma * &x - u.alpha * (-self.r * h).exp_m1() * &d).eval();
            let d_u = cx.denoise(&stage, &u);
            // d + (d_u - d)/(2r): the slope of d over the step, to first order.
            let weight = 1.0 / (2.0 * self.r);
            let gain = -s.alpha * (-h).exp_m1();
            x = (s.sigma / t.sigma * &x + gain * (1.0 - weight) * &d + gain * weight * &d_u).eval();
        }
        x
    }
}

fn main() -> ExitCode {
    let claims = Claims {
        about: "two stages of an exponential integrator, r apart",
        source: "this crate",
        ..Claims::order(2.0).of_ode()
    };
    Bench::new().claiming::<MySolver>("my-solver", claims).main()
}
