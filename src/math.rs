//! Two pieces of numerical analysis that several solvers stand on: phi-functions and Gauss-Legendre quadrature.

use std::f64::consts::PI;

/// `phi_k(z) = int_0^1 e^{(1-u) z} u^{k-1}/(k-1)! du = sum_j z^j/(j+k)!`, with `phi_0 = exp` (Hochbruck & Ostermann
/// 2010, eq. 2.10 and 2.11), to a few ulps for every finite `z`.
///
/// ```
/// use scorebench::math::phi;
/// assert_eq!(phi(1, 0.0), 1.0);
/// assert!((phi(2, 1e-9) - 0.5).abs() < 1e-9); // (e^z - 1 - z)/z^2 would have no digit left
/// ```
pub fn phi(k: u32, z: f64) -> f64 {
    if k == 0 {
        return z.exp();
    } else if k == 1 && z != 0.0 {
        return z.exp_m1() / z;
    }
    if z.abs() < 2.0 {
        // Horner on sum_j z^j k!/(j+k)!; 28 terms leave less than 1e-20 of the first.
        let sum = (1..=28).rev().fold(1.0, |sum, j| 1.0 + sum * z / f64::from(j + k));
        return sum / factorial(k);
    }
    // phi_{k+1} = (phi_k - 1/k!)/z: no cancellation to speak of once |z| is not small.
    (1..k).fold(z.exp_m1() / z, |phi, j| (phi - 1.0 / factorial(j)) / z)
}

/// `k!`, exact up to 18!.
pub fn factorial(k: u32) -> f64 {
    (2..=k).map(f64::from).product()
}

/// Nodes in (-1, 1), ascending, and weights of the Gauss-Legendre rule with `n` points: exact for polynomials of degree
/// `2n - 1`. By Newton's method on the Legendre polynomial.
///
/// # Panics
/// If `n` is 0.
pub fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    assert!(n > 0, "a rule has a node");
    let node = |i: usize| {
        let mut x = -(PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..20 {
            // Legendre's recurrence, with the derivative at the end.
            let (mut p, mut before) = (1.0, 0.0);
            for j in 1..=n {
                (p, before) = (((2 * j - 1) as f64 * x * p - (j - 1) as f64 * before) / j as f64, p);
            }
            slope = n as f64 * (x * p - before) / (x * x - 1.0);
            let step = p / slope;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..n).map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phi_functions_agree_with_40_digit_values() {
        // mpmath: quad(lambda u: exp((1-u)*z)*u**(k-1)/factorial(k-1), [0, 1]) at 40 digits.
        for (k, z, want) in include!("math/phi_golden.in") {
            let got = phi(k, z);
            assert!((got / want - 1.0).abs() < 2e-15, "phi_{k}({z}) = {got:e} for {want:e}");
        }
    }

    #[test]
    fn phi_functions_satisfy_their_recurrence() {
        for z in [-30.0, -3.0, -1.999, -0.5, -1e-3, 1e-3, 0.7, 1.999, 2.001, 8.0] {
            for k in 0..6 {
                let (left, right) = (z * phi(k + 1, z), phi(k, z) - 1.0 / factorial(k));
                assert!((left - right).abs() < 1e-15 * phi(k, z).max(1.0), "phi_{k}({z})");
            }
        }
    }

    #[test]
    fn gauss_legendre_is_exact_for_degree_2n_minus_1_and_no_further() {
        for n in 1..=20 {
            let moment = |k: i32| gauss_legendre(n).iter().map(|(x, w)| w * x.powi(k)).sum::<f64>();
            for k in 0..2 * n as i32 {
                let want = if k % 2 == 0 { 2.0 / f64::from(k + 1) } else { 0.0 };
                assert!((moment(k) - want).abs() < 1e-14, "n = {n}, x^{k}");
            }
            assert!((moment(2 * n as i32) - 2.0 / (2.0 * n as f64 + 1.0)).abs() > 1e-13);
        }
    }
}
