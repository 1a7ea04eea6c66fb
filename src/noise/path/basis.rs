//! Alpert's multiwavelets on the unit interval, and what a cut of the interval weighs them by.

use crate::math::gauss_legendre;

/// Polynomials on a cell: degrees below this.
pub(super) const DEGREE: usize = 4;
/// How often a cell is halved.
const HALVINGS: u32 = 16;
/// Nodes of the quadrature that a kernel is projected by.
const NODES: usize = 6;

/// One number for each polynomial of a cell, or each wavelet.
pub(super) type Coefficients = [f64; DEGREE];

/// Polynomials on a cell and wavelets on its parts, all orthonormal, and the rules to integrate them by.
#[derive(Clone, Debug)]
pub(super) struct Basis {
    /// For kernels, on [-1, 1].
    pub(super) nodes: Vec<(f64, f64)>,
    /// On [0, 1], exact for the product of two polynomials.
    pub(super) rule: Vec<(f64, f64)>,
    /// A wavelet's polynomials on its left and on its right half.
    wavelets: [[Coefficients; 2]; DEGREE],
}

impl Basis {
    pub(super) fn new() -> Self {
        let rule: Vec<(f64, f64)> =
            gauss_legendre(DEGREE).into_iter().map(|(x, w)| (0.5 + 0.5 * x, 0.5 * w)).collect();
        let mut basis: Vec<[f64; 2 * DEGREE]> = Vec::new();
        // The polynomials of a whole cell, and then the same with the sign turned on the left, made orthogonal.
        for turned in [1.0, -1.0] {
            for degree in 0..DEGREE {
                let mut f = [0.0; 2 * DEGREE];
                for (x, w) in &rule {
                    for (i, phi) in orthonormal(*x).into_iter().enumerate() {
                        f[i] += turned * w * 0.5f64.sqrt() * orthonormal(0.5 * x)[degree] * phi;
                        f[DEGREE + i] += w * 0.5f64.sqrt() * orthonormal(0.5 + 0.5 * x)[degree] * phi;
                    }
                }
                // Once more, for the round-off of the first time.
                for g in basis.iter().chain(&basis) {
                    let product: f64 = f.iter().zip(g).map(|(f, g)| f * g).sum();
                    f.iter_mut().zip(g).for_each(|(f, g)| *f -= product * g);
                }
                let norm = f.iter().map(|f| f * f).sum::<f64>().sqrt();
                basis.push(f.map(|f| f / norm));
            }
        }
        let halves = |f: [f64; 2 * DEGREE]| [0, DEGREE].map(|from| std::array::from_fn(|i| f[from + i]));
        let wavelets = std::array::from_fn(|n| halves(basis[DEGREE + n]));
        Basis { nodes: gauss_legendre(NODES), rule, wavelets }
    }

    /// `int_0^b phi_j dxi` for every polynomial `j` of a cell: the nodes that it meets, each with weights for every `j`.
    pub(super) fn cut(&self, b: f64) -> Vec<(u64, [Coefficients; DEGREE])> {
        let mut all = vec![(0, self.products(0.0, b, orthonormal))];
        for halving in 0..HALVINGS {
            let parts = f64::from(1u32 << halving);
            let part = (parts * b).floor();
            // The wavelets of this part, at a place in one half of it.
            let wavelets = |half: usize, x: f64| {
                let phi = orthonormal(2.0 * (parts * x - part) - half as f64);
                let value =
                    |w: &[Coefficients; 2]| -> f64 { w[half].iter().zip(phi).map(|(w, phi)| w * phi).sum() };
                self.wavelets.each_ref().map(|w| (2.0 * parts).sqrt() * value(w))
            };
            // All of a wavelet has no moments: what is left of the cut is minus what is right of it.
            let weights = if parts * b - part <= 0.5 {
                self.products(part / parts, b, |x| wavelets(0, x))
            } else {
                self.products((part + 1.0) / parts, b, |x| wavelets(1, x))
            };
            all.push(((1u64 << halving) + part as u64, weights));
        }
        all
    }

    /// `int_a^b phi_j f_n` for the polynomials `phi_j` of a cell and functions that are polynomials on `[a, b]`.
    fn products(&self, a: f64, b: f64, f: impl Fn(f64) -> Coefficients) -> [Coefficients; DEGREE] {
        let mut sum = [[0.0; DEGREE]; DEGREE];
        for (x, w) in &self.rule {
            let x = a + (b - a) * x;
            for (sum, phi) in sum.iter_mut().zip(orthonormal(x)) {
                for (sum, f) in sum.iter_mut().zip(f(x)) {
                    *sum += w * (b - a) * phi * f;
                }
            }
        }
        sum
    }
}

/// Legendre polynomials, orthogonal on [-1, 1].
pub(super) fn legendre(x: f64) -> Coefficients {
    [1.0, x, 1.5 * x * x - 0.5, (2.5 * x * x - 1.5) * x]
}

/// The same made orthonormal on [0, 1].
pub(super) fn orthonormal(x: f64) -> Coefficients {
    let p = legendre(2.0 * x - 1.0);
    std::array::from_fn(|k| ((2 * k + 1) as f64).sqrt() * p[k])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wavelets_are_orthonormal_and_have_no_moments() {
        let basis = Basis::new();
        let value = |w: &[Coefficients; 2], x: f64| -> f64 {
            let half = usize::from(x > 0.5);
            let phi = orthonormal(2.0 * x - half as f64);
            2f64.sqrt() * w[half].iter().zip(phi).map(|(w, phi)| w * phi).sum::<f64>()
        };
        let integral = |f: &dyn Fn(f64) -> f64| -> f64 {
            [0.0, 0.5]
                .iter()
                .flat_map(|a| basis.rule.iter().map(move |(x, w)| 0.5 * w * f(a + 0.5 * x)))
                .sum()
        };
        for (n, w) in basis.wavelets.iter().enumerate() {
            for (m, v) in basis.wavelets.iter().enumerate() {
                let product = integral(&|x| value(w, x) * value(v, x));
                assert!((product - f64::from(n == m)).abs() < 1e-14, "{n}, {m}: {product}");
            }
            for k in 0..DEGREE {
                assert!(integral(&|x| value(w, x) * orthonormal(x)[k]).abs() < 1e-14, "{n}, moment {k}");
            }
        }
    }

    #[test]
    fn cuts_have_the_covariance_of_white_noise() {
        // E of int_0^b phi_i dxi int_0^c phi_j dxi is the integral of phi_i phi_j up to the lesser: what the sum over
        // the basis lacks of it is what wavelets on parts of 2^-16 would add.
        let basis = Basis::new();
        let places = [1e-7, 0.013, 0.25, 0.3, 0.3 + 1e-6, 0.3 + 3e-4, 0.5, 0.77, 1.0 - 1e-4];
        for b in places {
            for c in places {
                let (first, second) = (basis.cut(b), basis.cut(c));
                let exact = basis.products(0.0, b.min(c), orthonormal);
                for i in 0..DEGREE {
                    for j in 0..DEGREE {
                        let mut sum = 0.0;
                        for (node, w) in &first {
                            for (_, v) in second.iter().filter(|(other, _)| other == node) {
                                sum += w[i].iter().zip(v[j]).map(|(w, v)| w * v).sum::<f64>();
                            }
                        }
                        // 7 bounds the product of two polynomials.
                        let missing = 7.0 * 0.043 / 65536.0;
                        assert!(
                            (sum - exact[i][j]).abs() < missing,
                            "{b}, {c}: {i}, {j}: {sum} for {exact:?}"
                        );
                        let dyadic = (b * 65536.0).fract() == 0.0 || (c * 65536.0).fract() == 0.0;
                        assert!(!dyadic || (sum - exact[i][j]).abs() < 1e-14, "{b}, {c}: {i}, {j}");
                    }
                }
            }
        }
    }
}
