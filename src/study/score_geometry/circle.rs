//! A unit circle in the plane whose points have the von Mises density `e^{a cos theta}`, and noise: all in closed form.
//!
//! `p(x)` is proportional to `exp(-|x|^2/(2 sigma^2)) I_0(|w|)`, `w = a e_1 + x/sigma^2`, since the integral over the circle is
//! of `exp(w . y)`, so that the score is `(m w/|w| - x)/sigma^2` with `m = I_1(|w|)/I_0(|w|)`, the length of the mean of
//! the points seen from `x`.

/// The law.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circle {
    /// 0 is the uniform density.
    pub concentration: f64,
    pub sigma: f64,
}

impl Circle {
    /// The score at a point.
    pub fn score(&self, x: [f64; 2]) -> [f64; 2] {
        let inverse = 1.0 / (self.sigma * self.sigma);
        let w = [self.concentration + x[0] * inverse, x[1] * inverse];
        let length = w[0].hypot(w[1]);
        let mean = if length == 0.0 { 0.5 } else { bessel_ratio(length) / length };
        [0, 1].map(|i| (mean * w[i] - x[i]) * inverse)
    }

    /// Derivatives of the score at distance `r` from the centre of the uniform circle: along the radius, across it.
    pub fn slopes(&self, r: f64) -> [f64; 2] {
        let inverse = 1.0 / (self.sigma * self.sigma);
        let w = r * inverse;
        if w == 0.0 {
            // The points have variance 1/2 in every direction.
            return [(0.5 * inverse - 1.0) * inverse; 2];
        }
        // The variance along the radius is that of the cosine, across it that of the sine.
        let m = bessel_ratio(w);
        let (along, across) = (1.0 - m / w - m * m, m / w);
        [along, across].map(|variance| (variance * inverse - 1.0) * inverse)
    }
}

/// `I_1(x)/I_0(x)` for `x > 0`.
pub(super) fn bessel_ratio(x: f64) -> f64 {
    if x > 1e3 {
        // Its asymptotic series (Abramowitz & Stegun 1964, 9.7.1, divided): the next term is below 1e-20.
        let y = 1.0 / x;
        let series = [-1.0 / 2.0, -1.0 / 8.0, -1.0 / 8.0, -25.0 / 128.0, -13.0 / 32.0, -1073.0 / 1024.0];
        return 1.0 + series.iter().rev().fold(0.0, |sum, c| (sum + c) * y);
    }
    // I_{n+1}/I_n = 1/(2 (n + 1)/x + I_{n+2}/I_{n+1}), from where the ratio is as good as 0 (Amos 1974).
    let last = 50 + (1.5 * x) as usize;
    (1..=last).rev().fold(0.0, |ratio, n| 1.0 / (2.0 * n as f64 / x + ratio))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_of_bessel_functions_agrees_with_their_series_and_its_branches_with_each_other() {
        // I_n(x) = sum_k (x/2)^{2k+n}/(k! (k+n)!).
        let series = |n: u32, x: f64| {
            let mut term = (0.5 * x).powi(n as i32) / (1..=n).map(f64::from).product::<f64>();
            let mut sum = 0.0;
            for k in 1..200 {
                sum += term;
                term *= 0.25 * x * x / (f64::from(k) * f64::from(k + n));
            }
            sum
        };
        for x in [1e-3, 0.5, 1.0, 4.0, 20.0, 80.0] {
            let (got, want) = (bessel_ratio(x), series(1, x) / series(0, x));
            assert!((got / want - 1.0).abs() < 1e-14, "{x}: {got} for {want}");
        }
        let (below, above) = (bessel_ratio(1e3), bessel_ratio(1e3 * (1.0 + 1e-15)));
        assert!((below - above).abs() < 1e-15);
    }

    #[test]
    fn its_slopes_are_the_derivatives_of_its_score() {
        let circle = Circle { concentration: 0.0, sigma: 0.3 };
        for r in [0.0, 0.4, 1.0, 1.7] {
            let h = 1e-5;
            let along = (circle.score([r + h, 0.0])[0] - circle.score([r - h, 0.0])[0]) / (2.0 * h);
            let across = (circle.score([r, h])[1] - circle.score([r, -h])[1]) / (2.0 * h);
            let [want_along, want_across] = circle.slopes(r);
            assert!((along / want_along - 1.0).abs() < 1e-7 && (across / want_across - 1.0).abs() < 1e-7);
        }
    }
}
