//! Any sampler as a table of coefficients: run once on states that remember what they are made of.
//!
//! A sampler whose numbers do not depend on its states is a linear map of its start, of what the model says and of its
//! noises. Every call of the model and every noise is handed out as a unit vector ([`Affine`] states hold their
//! coordinates), so that a state is its own recipe; the states at which the model is asked, one after the other, are rows.

use std::cell::RefCell;

use super::{Coefficients, Of, Weights};
use crate::affine::Affine;
use crate::run::{Ctx, Denoiser, Look, Noise};
use crate::schedule::{Level, Schedule};
use crate::solver::{Handle, Sample};
use crate::state::State;

/// A sampler's rows: one a call of the model, from the level of the call to that of the next (or to the end).
#[derive(Clone, Debug)]
pub struct Table {
    /// Levels of the calls, and the last level of the grid.
    pub levels: Vec<Level>,
    /// The rows, at the levels by `sigma/alpha`.
    pub rows: Coefficients,
}

impl Table {
    /// Whether noise falls at every row, so that an explicit grid can hold the levels. Stages at one level, or at a level
    /// above the last, make a table to read and not to run.
    pub fn is_a_grid(&self) -> bool {
        self.levels.windows(2).all(|pair| pair[0].kappa() > pair[1].kappa())
    }

    /// As CSV, in the columns that [`Coefficients`] are read from.
    pub fn csv(&self) -> String {
        let (of, model) = self.rows.model();
        let width = |rows: &[Weights]| rows.iter().map(|row| row.0.len()).max().unwrap_or(0).max(1);
        let (past, noisy) = (width(model), !self.rows.noise.is_empty());
        let mut head = vec!["sigma".to_string(), "x".into()];
        head.extend((0..past).map(|k| format!("{}{k}", of.key())));
        head.extend(noisy.then(|| "noise".to_string()));
        let mut lines = vec![head.join(",")];
        for (i, level) in self.levels.iter().enumerate() {
            let mut line = vec![format!("{:?}", level.kappa())];
            let cell = |row: &Weights, k: usize| row.0.get(k).map_or(String::new(), |w| format!("{w:?}"));
            let last = Weights::default();
            line.push(cell(self.rows.x.get(i).unwrap_or(&last), 0));
            line.extend((0..past).map(|k| cell(model.get(i).unwrap_or(&last), k)));
            line.extend(noisy.then(|| self.rows.noise.get(i).map_or(String::new(), |n| format!("{n:?}"))));
            lines.push(line.join(","));
        }
        lines.join("\n") + "\n"
    }
}

/// The rows of a solver on a grid, by weights of `d` or of `eps`.
///
/// # Errors
/// Why it has none, in words: it is not defined there, or its numbers depend on its states, or a step uses the noise of an
/// earlier one otherwise than through its state.
pub fn export(solver: &Handle, schedule: &Schedule, grid: &[Level], of: Of) -> Result<Table, String> {
    solver.check_grid(schedule, grid)?;
    if of == Of::U {
        return Err("rows are made for d or for eps".into());
    }
    let recorder = Recorder { of, units: RefCell::default(), calls: RefCell::default() };
    let start = recorder.unit(Unit::Start);
    let mut noise = &recorder;
    let model: &dyn Denoiser<Affine> = &recorder;
    let mut cx = Ctx::new(model, &mut noise, schedule);
    let end = solver.sample(&mut cx, grid, start);
    if let Some(why) = cx.refusal() {
        return Err(why.into());
    }
    if cx.look() != Look::Never {
        return Err("its steps depend on the size of its states".into());
    }
    recorder.call(&end, &grid[grid.len() - 1]);
    recorder.table()
}

/// What a unit vector stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Unit {
    Start,
    /// The answer to this call.
    Model(usize),
    Noise,
}

/// A model and a noise that hand out unit vectors.
struct Recorder {
    of: Of,
    units: RefCell<Vec<Unit>>,
    /// Levels and states of the calls, and at last of the end.
    calls: RefCell<Vec<(Level, Vec<f64>)>>,
}

impl Recorder {
    fn unit(&self, what: Unit) -> State<Affine> {
        let mut units = self.units.borrow_mut();
        units.push(what);
        State(Affine::draw(units.len() - 1, &[0.0]))
    }

    fn call(&self, x: &State<Affine>, at: &Level) -> usize {
        let mut recipe = Vec::new();
        for (k, row) in x.0.rows() {
            recipe.resize(k, 0.0);
            recipe.push(row[0]);
        }
        self.calls.borrow_mut().push((*at, recipe));
        self.calls.borrow().len() - 1
    }

    fn table(&self) -> Result<Table, String> {
        let (units, calls) = (self.units.borrow(), self.calls.borrow());
        if calls[0].1 != [1.0] {
            return Err("it changes its state before it asks the model anything".into());
        }
        let mut rows = Coefficients::default();
        let mut model = Vec::new();
        for (step, pair) in calls.windows(2).enumerate() {
            let earlier = |k: usize| calls[..=step].iter().any(|(_, x)| x.get(k).is_some_and(|w| *w != 0.0));
            let row = Row::new(&units, step, &pair[0].1, &pair[1].1, &earlier)?;
            rows.x.push(Weights(vec![row.x]));
            model.push(Weights(row.model));
            rows.noise.push(row.noise);
        }
        if rows.noise.iter().all(|n| *n == 0.0) {
            rows.noise.clear();
        }
        match self.of {
            Of::Eps => rows.eps = Some(model),
            _ => rows.d = Some(model),
        }
        let levels: Vec<Level> = calls.iter().map(|(at, _)| *at).collect();
        rows.sigma = Some(levels.iter().map(Level::kappa).collect());
        Ok(Table { levels, rows })
    }
}

impl Denoiser<Affine> for Recorder {
    fn denoise(&self, x: &State<Affine>, at: &Level) -> State<Affine> {
        let m = self.unit(Unit::Model(self.call(x, at)));
        match self.of {
            Of::Eps => ((x - at.sigma * &m) / at.alpha).eval(),
            _ => m,
        }
    }
    fn eps(&self, x: &State<Affine>, at: &Level) -> State<Affine> {
        let m = self.unit(Unit::Model(self.call(x, at)));
        match self.of {
            Of::Eps => m,
            _ => ((x - at.alpha * &m) / at.sigma).eval(),
        }
    }
}

impl Noise<Affine> for &Recorder {
    fn increment(&mut self, _: &State<Affine>, _: &Level, _: &Level) -> State<Affine> {
        self.unit(Unit::Noise)
    }
    fn fresh(&mut self, x: &State<Affine>) -> State<Affine> {
        // (An increment over no interval: neither is looked at.)
        let here = Level { t: 0.0, alpha: 1.0, sigma: 1.0, f: 0.0, g2: 0.0 };
        self.increment(x, &here, &here)
    }
}

/// What is left of a difference of two products of some steps' weights by round-off, relative to both.
const ROUND_OFF: f64 = 1e-13;

/// One row: the next state as a multiple of this one, and what is left.
struct Row {
    x: f64,
    model: Vec<f64>,
    noise: f64,
}

impl Row {
    fn new(
        units: &[Unit],
        step: usize,
        now: &[f64],
        next: &[f64],
        earlier: &dyn Fn(usize) -> bool,
    ) -> Result<Self, String> {
        let entry = |list: &[f64], k: usize| list.get(k).copied().unwrap_or(0.0);
        // The start enters a state through the states before it alone.
        let x = if entry(now, 0) == 0.0 { 0.0 } else { entry(next, 0) / now[0] };
        let mut row = Row { x, model: vec![0.0; step + 1], noise: 0.0 };
        for (k, unit) in units.iter().enumerate() {
            let (whole, carried) = (entry(next, k), x * entry(now, k));
            let left = whole - carried;
            if left.abs() <= ROUND_OFF * (whole.abs() + carried.abs()) {
                continue;
            }
            match *unit {
                Unit::Start => {}
                Unit::Model(call) if call <= step => row.model[step - call] = left,
                // Independent noises of one step are one.
                Unit::Noise if !earlier(k) => row.noise = row.noise.hypot(left),
                _ => {
                    return Err(format!(
                        "row {step} uses the noise of an earlier one otherwise than through its state: no single noise \
                         column holds that"
                    ));
                }
            }
        }
        while row.model.len() > 1 && row.model.last() == Some(&0.0) {
            row.model.pop();
        }
        Ok(row)
    }
}
