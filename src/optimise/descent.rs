//! Downhill from one start: Gauss-Newton steps while the error falls fast, as towards a zero, and BFGS where it does
//! not (Fletcher & Xu 1987), both with Levenberg and Marquardt's damping.

use nalgebra::{DMatrix, DVector};

use super::{Places, Problem};

/// Half the distance of a central difference. What it neglects is of the order of its square, and so is round-off
/// divided by it.
const H: f64 = 1e-4;

/// The logarithm of the error falls fast where a step takes this off: matrices are Gauss and Newton's then.
const FAST: f64 = 0.1;

/// A fall too small to go on for, where so many follow each other.
const STILL: (f64, usize) = (1e-9, 5);

/// The longest step in any coordinate: a factor of `e^2` in the length of a step of the grid.
const LONGEST: f64 = 1.0;

/// Where a start led.
pub(super) struct Descent {
    /// The levels.
    pub places: Places,
    /// The logarithm of the error there.
    pub value: f64,
    /// Laws computed.
    pub laws: usize,
}

/// A point, and what is known there.
struct Point {
    x: DVector<f64>,
    /// Residuals of each member.
    residuals: Vec<DVector<f64>>,
    value: f64,
}

/// First derivatives at a point.
struct Slope {
    jacobians: Vec<DMatrix<f64>>,
    gradient: DVector<f64>,
}

/// The lowest point that is found from a start in so many iterations.
pub(super) fn descend(problem: &Problem, from: &Places, iterations: usize) -> Descent {
    let mut hill = Hill { problem, laws: 0 };
    let done = |hill: &Hill, x: &DVector<f64>, value| Descent {
        places: Places::from_free(x.as_slice()),
        value,
        laws: hill.laws,
    };
    let x = DVector::from_vec(from.free());
    let Some(mut at) = hill.point(x.clone()) else { return done(&hill, &x, super::WORST) };
    let Some(mut slope) = hill.slope(&at) else { return done(&hill, &x, at.value) };
    let mut matrix = gauss_newton(&at, &slope);
    let (mut damping, mut still) = (1e-2, 0);
    for _ in 0..iterations {
        let Some((new, ratio)) = hill.step(&at, &slope, &matrix, &mut damping) else { break };
        let fall = at.value - new.value;
        still = if fall < STILL.0 { still + 1 } else { 0 };
        let Some(next) = hill.slope(&new) else { break };
        if fall > FAST {
            matrix = gauss_newton(&new, &next);
        } else {
            update(&mut matrix, &(&new.x - &at.x), &(&next.gradient - &slope.gradient));
        }
        // Nielsen's rule of thumb: trust grows where the model foretold the fall.
        if ratio > 0.75 {
            damping = f64::max(damping / 5.0, 1e-12)
        } else if ratio < 0.25 {
            damping *= 2.0
        }
        (at, slope) = (new, next);
        if still == STILL.1 || slope.gradient.amax() < 1e-9 {
            break;
        }
    }
    done(&hill, &at.x, at.value)
}

/// Counts what is asked of a problem.
struct Hill<'a> {
    problem: &'a Problem,
    laws: usize,
}

impl Hill<'_> {
    fn residuals(&mut self, x: &DVector<f64>) -> Option<Vec<DVector<f64>>> {
        let places = Places::from_free(x.as_slice());
        let members = 0..self.problem.members.len();
        self.laws += members.len();
        members.map(|m| self.problem.residuals(m, &places).map(DVector::from_vec)).collect()
    }

    fn point(&mut self, x: DVector<f64>) -> Option<Point> {
        let residuals = self.residuals(&x)?;
        let errors = residuals.iter().map(|r| self.problem.error_of(r.as_slice()));
        let value = self.problem.mean_log(errors);
        Some(Point { x, residuals, value })
    }

    /// Central differences; none where a neighbour has no law.
    fn slope(&mut self, at: &Point) -> Option<Slope> {
        let n = at.x.len();
        let mut jacobians: Vec<_> = at.residuals.iter().map(|r| DMatrix::zeros(r.len(), n)).collect();
        let mut x = at.x.clone();
        for i in 0..n {
            x[i] = at.x[i] + H;
            let up = self.residuals(&x)?;
            x[i] = at.x[i] - H;
            let down = self.residuals(&x)?;
            x[i] = at.x[i];
            for ((jacobian, up), down) in jacobians.iter_mut().zip(&up).zip(&down) {
                jacobian.set_column(i, &((up - down) / (2.0 * H)));
            }
        }
        let of = |(j, r): (&DMatrix<f64>, &DVector<f64>)| j.tr_mul(r) / square(r);
        let sum: DVector<f64> = jacobians.iter().zip(&at.residuals).map(of).sum();
        let gradient = sum / at.residuals.len() as f64;
        Some(Slope { jacobians, gradient })
    }

    /// A step downhill, and what share of the fall the model foretold; none where there is no way down.
    fn step(
        &mut self,
        at: &Point,
        slope: &Slope,
        matrix: &DMatrix<f64>,
        damping: &mut f64,
    ) -> Option<(Point, f64)> {
        let n = at.x.len();
        while *damping < 1e12 {
            // In logarithms of steps all directions are alike: the damping is Levenberg's.
            let damped = matrix + DMatrix::identity(n, n) * (*damping * matrix.diagonal().max());
            if let Some(factor) = damped.cholesky() {
                let d = -factor.solve(&slope.gradient);
                if d.amax() < LONGEST
                    && let Some(new) = self.point(&at.x + &d).filter(|new| new.value < at.value)
                {
                    let foretold = -(slope.gradient.dot(&d) + 0.5 * d.dot(&(matrix * &d)));
                    let ratio = (at.value - new.value) / foretold;
                    return Some((new, ratio));
                }
            }
            *damping *= 4.0;
        }
        None
    }
}

/// A sum of squares to divide by.
fn square(r: &DVector<f64>) -> f64 {
    r.norm_squared().max(f64::MIN_POSITIVE)
}

/// The second derivatives of the mean logarithm but for those of residuals, and for the slope's own square, which
/// would make it indefinite.
fn gauss_newton(at: &Point, slope: &Slope) -> DMatrix<f64> {
    let of = |(j, r): (&DMatrix<f64>, &DVector<f64>)| j.tr_mul(j) / square(r);
    let sum: DMatrix<f64> = slope.jacobians.iter().zip(&at.residuals).map(of).sum();
    sum / at.residuals.len() as f64
}

/// The update of Broyden, Fletcher, Goldfarb and Shanno, damped as Powell has it (1978) so that the matrix stays
/// positive: `s` is the step, `y` the change of the gradient.
fn update(matrix: &mut DMatrix<f64>, s: &DVector<f64>, y: &DVector<f64>) {
    let bs = &*matrix * s;
    let (sbs, sy) = (s.dot(&bs), s.dot(y));
    if sbs.is_nan() || sbs <= 0.0 {
        return;
    }
    let theta = if sy >= 0.2 * sbs { 1.0 } else { 0.8 * sbs / (sbs - sy) };
    let r = y * theta + &bs * (1.0 - theta);
    let sr = s.dot(&r);
    *matrix += &r * r.transpose() / sr - &bs * bs.transpose() / sbs;
}
