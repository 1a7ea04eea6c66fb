//! Which noise levels to visit. `N` steps are always `N + 1` levels.

use serde::{Deserialize, Serialize};

use crate::error::{BadInput, Result};
use crate::schedule::{Level, Schedule};

mod log_linear;

/// A rule that places levels on a schedule, from noise to data (or, for the forward chains, from data to noise).
///
/// ```
/// use scorebench::{grid::Grid, schedule::Schedule};
/// let schedule = Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 };
/// let levels = Grid::UniformLambda { start: 1.0, end: 1e-3 }.levels(&schedule, Some(16))?;
/// assert_eq!((levels.len(), levels[0].t, levels[16].t), (17, 1.0, 1e-3));
/// # Ok::<(), scorebench::error::BadInput>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Grid {
    /// Levels at equally spaced times.
    UniformT {
        /// First time.
        start: f64,
        /// Last time.
        end: f64,
    },
    /// Levels at times whose square roots are equally spaced (Song et al. 2021, DDIM, app. D.2).
    QuadraticT {
        /// First time.
        start: f64,
        /// Last time.
        end: f64,
    },
    /// Levels equally spaced in `lambda = ln(alpha/sigma)` (Lu et al. 2022, DPM-Solver, sec. 3.3).
    UniformLambda {
        /// First time.
        start: f64,
        /// Last time.
        end: f64,
    },
    /// `kappa^{1/rho}` equally spaced from `sigma_max` to `sigma_min` (Karras et al. 2022, eq. 5), in
    /// `kappa = sigma/alpha`.
    Karras {
        /// Exponent.
        #[serde(default = "rho")]
        rho: f64,
        /// First `kappa`.
        sigma_max: f64,
        /// Last `kappa` of the formula.
        sigma_min: f64,
        /// Whether a level `sigma = 0` is appended; it then counts as the last of the steps.
        #[serde(default, rename = "final")]
        last: KarrasFinal,
    },
    /// Entries of the schedule's own table, as libraries space them, and one final level.
    Discrete {
        /// How timesteps are spaced over the table.
        spacing: Spacing,
        /// Added to every timestep.
        #[serde(default)]
        offset: i64,
        /// The level after the last timestep.
        #[serde(default, rename = "final")]
        last: DiscreteFinal,
    },
    /// Levels given one by one, as exactly one of three lists.
    Explicit {
        /// Times.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        t: Option<Vec<f64>>,
        /// Values of `ln(alpha/sigma)`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lambda: Option<Vec<f64>>,
        /// Values of `kappa = sigma/alpha` (which k-diffusion calls sigma).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sigma: Option<Vec<f64>>,
    },
    /// A list of levels, one of the three, drawn out to any number of steps: `ln(sigma/alpha)` is interpolated linearly
    /// over the place in the list (Sabour, Fidler & Kreis 2024, Align Your Steps, as released). A last level of no noise
    /// stays the last step.
    LogLinear {
        /// Times.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        t: Option<Vec<f64>>,
        /// Values of `ln(alpha/sigma)`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lambda: Option<Vec<f64>>,
        /// Values of `kappa = sigma/alpha`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sigma: Option<Vec<f64>>,
    },
}

fn rho() -> f64 {
    7.0
}

/// Where a Karras grid ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KarrasFinal {
    /// At `sigma_min`.
    #[default]
    SigmaMin,
    /// At `sigma = 0`, one step after `sigma_min`.
    Zero,
}

/// Where a discrete grid ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscreteFinal {
    /// At clean data, `t = -1`, `sigma = 0`.
    #[default]
    Zero,
    /// At the first entry of the table, `t = 0`.
    SigmaMin,
}

/// How inference timesteps are spaced over a training table (Lin et al. 2024, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spacing {
    /// `i * floor(T/N)`, from the start of the table.
    Leading,
    /// `N` points from 0 to `T - 1`, rounded half to even.
    Linspace,
    /// `T - i T/N - 1`, from the end of the table, rounded half to even.
    Trailing,
}

/// More levels than any sampler visits, and few enough not to exhaust memory.
const MOST_STEPS: usize = 1_000_000;

impl Grid {
    /// Names as written in an experiment, each with a one-line description.
    pub const LIST: &'static [(&'static str, &'static str)] = &[
        ("uniform-t", "start, end: equal steps in t"),
        ("quadratic-t", "start, end: equal steps in sqrt(t)"),
        ("uniform-lambda", "start, end (times): equal steps in ln(alpha/sigma)"),
        ("karras", "rho = 7, sigma_max, sigma_min (of sigma/alpha), final = \"sigma_min\" | \"zero\""),
        (
            "discrete",
            "spacing = \"leading\" | \"linspace\" | \"trailing\", offset, final: over the schedule's table",
        ),
        ("explicit", "a list of t, lambda or sigma (of sigma/alpha), here or in a file: file = \"list.csv\""),
        (
            "log-linear",
            "the same list (here or in a file), interpolated to any number of steps in ln(sigma/alpha)",
        ),
    ];

    /// The levels of `steps` steps (an explicit grid has its own number and takes `None`).
    ///
    /// # Errors
    /// A level outside the schedule, levels that repeat or turn back, no steps or too many of them.
    pub fn levels(&self, schedule: &Schedule, steps: Option<usize>) -> Result<Vec<Level>> {
        let levels = match (self, steps) {
            (Grid::Explicit { t, lambda, sigma }, None) => explicit(schedule, t, lambda, sigma)?,
            (Grid::Explicit { .. }, Some(n)) => {
                return Err(BadInput::new(
                    "steps",
                    n,
                    "does not go with an explicit grid",
                    "remove it: the list says how many",
                ));
            }
            (_, None) => return Err(BadInput::about("steps", "is missing", "add steps = [16, 32, 64]")),
            (_, Some(0)) => return Err(BadInput::new("steps", 0, "makes no grid", "give at least 1")),
            (_, Some(n)) if n > MOST_STEPS => {
                return Err(BadInput::new(
                    "steps",
                    n,
                    "is too many to hold",
                    format!("give at most {MOST_STEPS}"),
                ));
            }
            (_, Some(n)) => self.rule(schedule, n)?,
        };
        monotone(&levels)?;
        Ok(levels)
    }

    /// The list of a grid that is given level by level, and what it is of.
    pub(crate) fn list(&self) -> Option<(&'static str, &[f64])> {
        let (Grid::Explicit { t, lambda, sigma } | Grid::LogLinear { t, lambda, sigma }) = self else {
            return None;
        };
        let lists = [("t", t), ("lambda", lambda), ("sigma", sigma)];
        lists.into_iter().find_map(|(key, list)| Some((key, list.as_deref()?)))
    }

    fn rule(&self, schedule: &Schedule, n: usize) -> Result<Vec<Level>> {
        // End points are taken as they are, not through the formula and its round-off.
        let between = |a: f64, b: f64, i: usize| a + (b - a) * i as f64 / n as f64;
        let ends = |start: f64, end: f64, inner: &dyn Fn(usize) -> Level| {
            let level = |i: usize| {
                if i == 0 {
                    schedule.at(start)
                } else if i == n {
                    schedule.at(end)
                } else {
                    inner(i)
                }
            };
            (0..=n).map(level).collect()
        };
        if let Grid::LogLinear { t, lambda, sigma } = self {
            let listed = explicit(schedule, t, lambda, sigma)?;
            monotone(&listed)?;
            return log_linear::levels(schedule, &listed, n);
        }
        Ok(match *self {
            Grid::UniformT { start, end } => {
                times(schedule, start, end)?;
                ends(start, end, &|i| schedule.at(between(start, end, i)))
            }
            Grid::QuadraticT { start, end } => {
                times(schedule, start, end)?;
                if start.min(end) < 0.0 {
                    return Err(BadInput::new(
                        "end",
                        start.min(end),
                        "has no square root",
                        "use uniform-t here",
                    ));
                }
                ends(start, end, &|i| schedule.at(between(start.sqrt(), end.sqrt(), i).powi(2)))
            }
            Grid::UniformLambda { start, end } => {
                times(schedule, start, end)?;
                let (a, b) = (schedule.at(start).lambda(), schedule.at(end).lambda());
                if !a.is_finite() {
                    return Err(BadInput::new(
                        "start",
                        start,
                        "has no finite lambda (alpha or sigma is 0 there)",
                        "start a little later",
                    ));
                }
                if !b.is_finite() {
                    return Err(BadInput::new(
                        "end",
                        end,
                        "has no finite lambda (alpha or sigma is 0 there)",
                        "end a little earlier",
                    ));
                }
                ends(start, end, &|i| schedule.at_lambda(between(a, b, i)))
            }
            Grid::Karras { rho, sigma_max, sigma_min, last } => {
                karras(schedule, rho, sigma_max, sigma_min, last, n)?
            }
            Grid::Discrete { spacing, offset, last } => discrete(schedule, spacing, offset, last, n)?,
            Grid::Explicit { .. } | Grid::LogLinear { .. } => unreachable!("lists are handled before"),
        })
    }
}

/// Both ends must be times of the schedule, and different.
fn times(schedule: &Schedule, start: f64, end: f64) -> Result<()> {
    let (first, last) = schedule.time_range();
    for (key, t) in [("start", start), ("end", end)] {
        if !t.is_finite() {
            return Err(BadInput::new(key, t, "is not a finite time", "give a number"));
        }
        if !(first..=last).contains(&t) {
            return Err(BadInput::new(
                key,
                t,
                "is outside the schedule",
                format!("give a time from {first:?} to {last:?}"),
            ));
        }
    }
    if start == end {
        return Err(BadInput::new("end", end, "equals start", "give two different times"));
    }
    Ok(())
}

fn karras(
    schedule: &Schedule,
    rho: f64,
    max: f64,
    min: f64,
    last: KarrasFinal,
    n: usize,
) -> Result<Vec<Level>> {
    if !(rho.is_finite() && rho > 0.0) {
        return Err(BadInput::new("rho", rho, "is not a positive number", "Karras et al. use 7"));
    }
    if !(min.is_finite() && min > 0.0) {
        return Err(BadInput::new("sigma_min", min, "is not a positive number", "Karras et al. use 0.002"));
    }
    if !(max.is_finite() && max > min) {
        return Err(BadInput::new(
            "sigma_max",
            max,
            "is not a number above sigma_min",
            "Karras et al. use 80",
        ));
    }
    // The two that the user wrote; what lies between is in range when they are.
    at_kappa(schedule, max, "sigma_max")?;
    at_kappa(schedule, min, "sigma_min")?;
    let zero = last == KarrasFinal::Zero;
    // With the final zero, the formula's points are one fewer; a single step then goes from sigma_max to 0.
    let m = if zero { n - 1 } else { n };
    let point = |i: usize| match i {
        0 => max,
        i if i == m => min,
        i => (max.powf(1.0 / rho) + i as f64 / m as f64 * (min.powf(1.0 / rho) - max.powf(1.0 / rho)))
            .powf(rho),
    };
    let mut kappas: Vec<f64> = (0..=m).map(point).collect();
    if kappas.iter().any(|k| !k.is_finite()) {
        return Err(BadInput::new("rho", rho, "is too small to compute with", "Karras et al. use 7"));
    }
    if zero {
        kappas.push(0.0);
    }
    Ok(kappas.into_iter().map(|kappa| schedule.at_kappa(kappa)).collect())
}

fn discrete(
    schedule: &Schedule,
    spacing: Spacing,
    offset: i64,
    last: DiscreteFinal,
    n: usize,
) -> Result<Vec<Level>> {
    let Some(table) = schedule.table_len() else {
        return Err(BadInput::about(
            "name",
            "= \"discrete\" needs a schedule with a table",
            "use schedule ddpm-discrete, or another grid",
        ));
    };
    if n > table {
        return Err(BadInput::new(
            "steps",
            n,
            format!("is more than the {table} entries of the table"),
            format!("give at most {table}"),
        ));
    }
    let (size, count) = (table as f64, n as f64);
    let timestep = |i: usize| -> i64 {
        let i = i as f64;
        offset.saturating_add(match spacing {
            Spacing::Leading => ((count - 1.0 - i) * (table / n) as f64) as i64,
            Spacing::Linspace if n == 1 => 0,
            // The spacing is rounded first, as in numpy.linspace: it decides some ties.
            Spacing::Linspace => {
                ((count - 1.0 - i) * ((size - 1.0) / (count - 1.0))).round_ties_even() as i64
            }
            Spacing::Trailing => {
                // As numpy.arange takes its steps: the first one, rounded, decides the ties.
                let step = (size - size / count) - size;
                (size + i * step).round_ties_even() as i64 - 1
            }
        })
    };
    let mut levels = Vec::with_capacity(n + 1);
    for i in 0..n {
        let k = timestep(i);
        if !(0..table as i64).contains(&k) {
            return Err(BadInput::new(
                "offset",
                offset,
                format!("puts timestep {k} outside the table 0..{}", table - 1),
                "use offset = 0 or 1",
            ));
        }
        levels.push(schedule.at(k as f64));
    }
    levels.push(schedule.at(if last == DiscreteFinal::Zero { -1.0 } else { 0.0 }));
    Ok(levels)
}

fn explicit(
    schedule: &Schedule,
    t: &Option<Vec<f64>>,
    lambda: &Option<Vec<f64>>,
    sigma: &Option<Vec<f64>>,
) -> Result<Vec<Level>> {
    let one = |key: &str, list: &[f64], level: &dyn Fn(f64) -> Result<Level>| {
        if list.len() < 2 {
            return Err(BadInput::new(key, list, "makes no step", "give at least two levels"));
        }
        if list.len() > MOST_STEPS + 1 {
            return Err(BadInput::about(
                key,
                format!("has {} levels, too many to hold", list.len()),
                format!("give at most {}", MOST_STEPS + 1),
            ));
        }
        let each = |(i, &x): (usize, &f64)| {
            if x.is_nan() {
                return Err(BadInput::new(&format!("{key}[{i}]"), x, "is not a number", "give a level"));
            }
            level(x).map_err(|e| e.within(&format!("{key}[{i}]")))
        };
        list.iter().enumerate().map(each).collect()
    };
    match (t, lambda, sigma) {
        (Some(t), None, None) => {
            let (first, last) = schedule.time_range();
            one("t", t, &|x| {
                let inside = x.is_finite() && (first..=last).contains(&x);
                if inside {
                    Ok(schedule.at(x))
                } else {
                    Err(BadInput::new(
                        "",
                        x,
                        "is outside the schedule",
                        format!("give a time from {first:?} to {last:?}"),
                    ))
                }
            })
        }
        (None, Some(lambda), None) => one("lambda", lambda, &|x| at_kappa(schedule, (-x).exp(), "")),
        (None, None, Some(sigma)) => one("sigma", sigma, &|x| at_kappa(schedule, x, "")),
        _ => Err(BadInput::about(
            "",
            "needs exactly one list of levels",
            "give t = [...], lambda = [...] or sigma = [...]",
        )),
    }
}

/// The level at `kappa`, if the schedule reaches it; `key` is what the user wrote it as.
fn at_kappa(schedule: &Schedule, kappa: f64, key: &str) -> Result<Level> {
    let level = schedule.at_kappa(kappa);
    let (first, last) = schedule.time_range();
    // Round-off of the inverse at the very ends is not the user's concern, and sigma = 0 is clean data everywhere.
    let slack = 1e-12 * (1.0 + last.min(1.0).abs());
    if kappa >= 0.0 && (kappa == 0.0 || (level.t >= first - slack && level.t <= last + slack)) {
        return Ok(level);
    }
    let range = (schedule.at(first).kappa(), if last.is_finite() { schedule.at(last).kappa() } else { last });
    let fix = format!("sigma/alpha runs from {:?} to {:?} there", range.0, range.1);
    Err(BadInput::new(key, kappa, "(as sigma/alpha) is outside the schedule", fix))
}

/// Noise must fall, or rise, at every step.
fn monotone(levels: &[Level]) -> Result<()> {
    let falls = |a: &Level, b: &Level| a.kappa() > b.kappa();
    let down = falls(&levels[0], &levels[levels.len() - 1]);
    for (i, pair) in levels.windows(2).enumerate() {
        let fine = if down { falls(&pair[0], &pair[1]) } else { falls(&pair[1], &pair[0]) };
        if !fine {
            let (a, b) = (pair[0].kappa(), pair[1].kappa());
            let why = format!(
                "does not move on: sigma/alpha goes from {a:?} at level {i} to {b:?} at level {}",
                i + 1
            );
            return Err(BadInput::about(
                "",
                why,
                "give levels that fall strictly, with fewer steps if they are rounded",
            ));
        }
    }
    Ok(())
}
