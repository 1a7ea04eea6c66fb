//! Step-size control: the levels that an adaptive method would visit, found on a pilot run.
//!
//! A method with error control is no affine map of its noises, since its steps depend on the state. So it runs twice:
//! [`Control::plan`] decides on *expected* norms where to step, and the method then runs over these levels as over
//! any others, which is what the exact law measures. The cost of deciding is counted like every other call.
use super::*;
use crate::error::BadInput;

/// Attempts after which a plan is given up.
const MOST_ATTEMPTS: usize = 100_000;

/// How the next step follows from the error of this one. With `err` the estimate in units of what is tolerated, a step
/// is accepted where `err <= 1`, and `h_next = h safety err^-alpha err_last^beta`, within `[shrink, grow] h`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Control {
    /// Tolerated error relative to the root mean square of the state (the larger of those at the ends of the step).
    pub rtol: f64,
    /// Tolerated error in units of `x`.
    pub atol: f64,
    /// Whether the larger of both tolerances is tolerated, or their sum.
    pub largest: bool,
    /// Exponent of this step's error.
    pub alpha: f64,
    /// Exponent of the last accepted step's error; 0 is elementary control.
    pub beta: f64,
    /// Factor that aims below the tolerance.
    pub safety: f64,
    /// Least factor between steps.
    pub shrink: f64,
    /// Greatest factor between steps; 1 after a rejection.
    pub grow: f64,
}

impl Control {
    /// PI control (Gustafsson 1991; Hairer & Wanner 1996, IV.2, eq. 2.43): `alpha = 0.7/q`, `beta = 0.4/q`, where the
    /// error estimate of a step `h` is `O(h^q)`.
    pub fn pi(rtol: f64, atol: f64, q: u32) -> Self {
        let q = f64::from(q);
        let (alpha, beta) = (0.7 / q, 0.4 / q);
        Control { rtol, atol, largest: false, alpha, beta, safety: 0.9, shrink: 0.2, grow: 10.0 }
    }

    /// Elementary control (Hairer, Norsett & Wanner 1993, II.4, eq. 4.13): `alpha = 1/q`, `beta = 0`.
    pub fn elementary(rtol: f64, atol: f64, q: u32) -> Self {
        Control { alpha: 1.0 / f64::from(q), beta: 0.0, ..Control::pi(rtol, atol, q) }
    }

    /// The levels visited from the first to the last level of `grid`, both as given, in steps that `clock` measures.
    ///
    /// `step(cx, x, t, s)` makes a step and returns the new state and its estimated error, both in units of `x` at `s`.
    /// Refuses the run where the clock does not show both ends, and where no step is short enough.
    pub fn plan<V: Space>(
        &self,
        cx: &mut Ctx<V>,
        clock: Clock,
        grid: &[Level],
        mut x: State<V>,
        mut step: impl FnMut(&mut Ctx<V>, &State<V>, &Level, &Level) -> (State<V>, State<V>),
    ) -> Vec<Level> {
        let (mut t, end) = (grid[0], grid[grid.len() - 1]);
        let (mut levels, mut size) = (vec![t], cx.expected_rms(&x));
        let (mut h, mut err_last, mut rejected) = (clock.length(&t, &end) / 10.0, 1e-4f64, false);
        if !h.is_finite() {
            cx.refuse("steps are measured in a clock that does not show both ends of the grid");
        }
        let mut arrived = false;
        for _ in 0..MOST_ATTEMPTS {
            if cx.refusal().is_some() || arrived {
                break;
            }
            let (s, last) = ahead(cx, clock, &t, &end, h);
            if clock.of(&s) == clock.of(&t) {
                cx.refuse("no step is short enough for the tolerances; raise them or use another clock");
                break;
            }
            h = clock.length(&t, &s);
            let (new, error) = step(cx, &x, &t, &s);
            let new_size = cx.expected_rms(&new);
            let err = self.scaled(cx.expected_rms(&error), size.max(new_size));
            h *= self.factor(err, err_last, rejected);
            rejected = err.is_nan() || err > 1.0;
            if !rejected {
                // Not the error of a step that could not be longer (Hairer's dopri5 bounds it likewise).
                err_last = err.max(1e-4);
                (x, t, size, arrived) = (new, s, new_size, last);
                levels.push(s);
            }
        }
        if !arrived {
            cx.refuse(format!("{MOST_ATTEMPTS} steps do not reach the end within the tolerances"));
        }
        levels
    }

    /// What the next step is longer by, after one with this error and an accepted one before it with the error `last`,
    /// in units of what is tolerated. Steps do not grow where the step before was `rejected`.
    pub fn factor(&self, err: f64, last: f64, rejected: bool) -> f64 {
        if err <= 1.0 {
            let factor = self.safety * err.powf(-self.alpha) * last.powf(self.beta);
            return factor.clamp(self.shrink, if rejected { 1.0 } else { self.grow });
        }
        // NaN and infinity come here too, and shrink the step as far as one rejection may.
        let factor = self.safety * err.powf(-self.alpha);
        if factor.is_nan() { self.shrink } else { factor.clamp(self.shrink, 0.9) }
    }

    /// The error in units of what is tolerated.
    fn scaled(&self, error: f64, size: f64) -> f64 {
        let relative = self.rtol * size;
        let tolerated = if self.largest { relative.max(self.atol) } else { relative + self.atol };
        if error == 0.0 { 0.0 } else { error / tolerated }
    }
}

/// The level `h` ahead of `t`, or `end`, and whether it is `end`; where less than two steps are left, they are equal.
fn ahead<V: Space>(cx: &Ctx<V>, clock: Clock, t: &Level, end: &Level, h: f64) -> (Level, bool) {
    let steps = clock.length(t, end) / h;
    if steps <= 1.0 + 1e-9 {
        return (*end, true);
    }
    (clock.level(cx, clock.of(t) + if steps < 2.0 { 0.5 * steps * h } else { h }), false)
}

/// Refuses tolerances without a meaning.
///
/// # Errors
/// One is negative, infinite or NaN, or both are 0.
pub fn check_tolerances(rtol: f64, atol: f64) -> Result<()> {
    for (key, x) in [("rtol", rtol), ("atol", atol)] {
        if !(x >= 0.0 && x.is_finite()) {
            return Err(BadInput::new(key, x, "is not allowed", "give a number of at least 0, such as 1e-5"));
        }
    }
    if rtol == 0.0 && atol == 0.0 {
        return Err(BadInput::new(
            "rtol",
            rtol,
            "leaves no error to tolerate beside atol = 0",
            "give rtol = 1e-5",
        ));
    }
    Ok(())
}
