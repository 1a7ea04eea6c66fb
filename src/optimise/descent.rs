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
    /// What is minimised, there; infinite where the start has no law.
    pub value: f64,
    /// Laws computed.
    pub laws: usize,
}

/// A point, and what is known there.
struct Point {
    x: DVector<f64>,
    /// Residuals of each member.
    residuals: Vec<DVector<f64>>,
    /// Sums of their squares, floors included.
    squares: Vec<f64>,
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
    let Some(mut at) = hill.point(x.clone()) else { return done(&hill, &x, f64::INFINITY) };
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
        let squares: Vec<f64> =
            residuals.iter().zip(&self.problem.floors).map(|(r, f)| r.norm_squared() + f * f).collect();
        let value = squares.iter().map(|s| 0.5 * s.ln()).sum::<f64>() / squares.len() as f64;
        value.is_finite().then_some(Point { x, residuals, squares, value })
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
        let of = |((j, r), square): ((&DMatrix<f64>, &DVector<f64>), &f64)| j.tr_mul(r) / *square;
        let sum: DVector<f64> = jacobians.iter().zip(&at.residuals).zip(&at.squares).map(of).sum();
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

/// The second derivatives of the mean logarithm but for those of residuals, and for the slope's own square, which
/// would make it indefinite.
fn gauss_newton(at: &Point, slope: &Slope) -> DMatrix<f64> {
    let of = |(j, square): (&DMatrix<f64>, &f64)| j.tr_mul(j) / *square;
    let sum: DMatrix<f64> = slope.jacobians.iter().zip(&at.squares).map(of).sum();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Gaussian;
    use crate::optimise::{Member, Objective, Span};
    use crate::schedule::Schedule;
    use crate::solver::{Handle, dpmpp_2m::DpmPp2m};

    #[test]
    fn slopes_are_those_of_richardson_extrapolated_differences() {
        let span =
            Span { schedule: Schedule::VpLinear { beta_min: 0.1, beta_max: 20.0 }, start: 1.0, end: 1e-3 };
        let laws = [1.0, 2.0].map(|p| Gaussian::power_law(8, p).expect("valid"));
        let members = laws.map(|law| Member::new("law", law, span.clone()));
        for objective in Objective::ALL {
            let solver = Handle::new(DpmPp2m::default());
            let problem = Problem::new(solver, 6, members.to_vec(), objective).expect("a problem");
            let mut hill = Hill { problem: &problem, laws: 0 };
            let x = DVector::from_vec(vec![0.3, -0.2, 0.1, 0.5, -0.4, 0.0]);
            let at = hill.point(x.clone()).expect("a law");
            let slope = hill.slope(&at).expect("laws");
            for i in 0..6 {
                let mut central = |h: f64| {
                    let mut side = |h: f64| {
                        let mut x = x.clone();
                        x[i] += h;
                        hill.point(x).expect("a law").value
                    };
                    (side(h) - side(-h)) / (2.0 * h)
                };
                let fine = (4.0 * central(1e-3) - central(2e-3)) / 3.0;
                assert!((slope.gradient[i] - fine).abs() < 1e-7, "{i}: {} {fine}", slope.gradient[i]);
            }
        }
    }

    #[test]
    fn an_update_makes_the_matrix_map_the_step_to_the_change_of_the_gradient() {
        let mut matrix = DMatrix::identity(2, 2);
        let (s, y) = (DVector::from_vec(vec![1.0, 2.0]), DVector::from_vec(vec![3.0, 1.0]));
        update(&mut matrix, &s, &y);
        assert!((&matrix * &s - &y).amax() < 1e-14);
        // Where the curvature is negative the matrix stays positive.
        update(&mut matrix, &s, &-y);
        assert!(matrix.cholesky().is_some());
    }
}
