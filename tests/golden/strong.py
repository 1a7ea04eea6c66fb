"""Strong errors of SDE solvers on Gaussian data: an independent second implementation.

Writes strong.csv beside itself.  Needs mpmath==1.4.1 (gmpy2 makes it faster).

One mode N(mu, c).  Run from its exact marginal at T, a solver's output is  bias + gain x_T + sum over steps of
w_k z_k + w'_k z'_k,  and the exact solution of  dx = [f x - (1+l)/2 g^2 score] dt + sqrt(l) g dw  weighs dw(r), at time r,
by  sqrt(l) g(r) Phi(s, r)  with  Phi(s, r) = exp(-int_s^r (f + (1+l)/2 g^2/v) dt)  taken *by quadrature* here, not by the
closed form that the crate uses.  Both are integrals against the same dw, so by Ito's isometry

    error^2 = (means)^2 + (gains)^2 Var x_T + int_s^T (w_k psi_k(r) + w'_k psi'_k(r) - sqrt(l) g(r) Phi(s, r))^2 dr.

Draws, as kernels against dw(r) on a step from t down to s:
 - the normalised increment of B(kappa^2), dB = g/a dw:      psi = (g/a) / sqrt(kappa_t^2 - kappa_s^2)
 - in time, of w itself:                                     psi = 1/sqrt(h)
 - the area's own part, z' = sqrt(12) (int W/h^{3/2} - z/2): psi' = sqrt(12) (1/2 - (t - r)/h)/sqrt(h)
Everything is in time, where the crate's quadrature is in lambda.
"""

import csv
from pathlib import Path

from mpmath import exp, expm1, linspace, log, mp, mpf, sqrt

mp.dps = 25
MODES = [(mpf(1), mpf("0.25")), (mpf("-0.5"), mpf("0.01"))]


class VpLinear:
    toml, T, S = 'name = "vp-linear"', mpf(1), mpf("0.01")
    b0, b1 = mpf("0.1"), mpf(20)

    def beta(self, t):
        return self.b0 + (self.b1 - self.b0) * t

    def B(self, t):
        return self.b0 * t + (self.b1 - self.b0) * t**2 / 2

    def aqfg(self, t):
        return exp(-self.B(t) / 2), sqrt(-expm1(-self.B(t))), -self.beta(t) / 2, self.beta(t)


class SubVp(VpLinear):
    toml, T, S = 'name = "sub-vp"', mpf(1), mpf("0.05")

    def aqfg(self, t):
        return exp(-self.B(t) / 2), -expm1(-self.B(t)), -self.beta(t) / 2, -self.beta(t) * expm1(-2 * self.B(t))


class Edm:
    toml, T, S = 'name = "edm"', mpf(3), mpf("0.1")

    def aqfg(self, t):
        return mpf(1), t, mpf(0), 2 * t


class Ve:
    toml, T, S = 'name = "ve"', mpf(1), mpf("0.3")

    def aqfg(self, t):
        q = mpf("0.01") * mpf(5000)**t
        return mpf(1), q, mpf(0), 2 * q**2 * log(mpf(5000))


class Flow:
    toml, T, S = 'name = "flow"', mpf("0.9"), mpf("0.1")

    def aqfg(self, t):
        return 1 - t, t, -1 / (1 - t), 2 * t / (1 - t)


def v(sch, c, t):
    a, q, _, _ = sch.aqfg(t)
    return a**2 * c + q**2


def rate(sch, c, l, t):
    """Drift of the deviation from the mean, forwards in time: dx = rate (x - a mu) dt + ..."""
    _, _, f, g2 = sch.aqfg(t)
    return f + (1 + l) / 2 * g2 / v(sch, c, t)


# A step returns (gain, weights of (z, z')) and what its z is: of B(kappa^2), or of w in time.

def euler_maruyama(sch, c, l, t, s):
    h, g2 = t - s, sch.aqfg(t)[3]
    return 1 - h * rate(sch, c, l, t), [sqrt(l * g2 * h)], "kappa2"


def stochastic_heun(sch, c, l, t, s):
    h, g_t, g_s = t - s, sqrt(sch.aqfg(t)[3]), sqrt(sch.aqfg(s)[3])
    A, B = rate(sch, c, l, t), rate(sch, c, l, s)
    w = sqrt(l * h)
    return 1 - h / 2 * (A + B * (1 - h * A)), [w * (g_t + g_s) / 2 - h / 2 * B * w * g_t], "kappa2"


def ddpm(sch, c, l, t, s):
    (a, q, _, _), (a_, q_, _, _) = sch.aqfg(t), sch.aqfg(s)
    A = (a / a_)**2
    b = q**2 - A * q_**2
    return (1 - b / v(sch, c, t)) / sqrt(A), [sqrt(b) * q_ / q], "kappa2"


def sra1(sch, c, l, t, s):
    h, m = t - s, t - mpf(3) / 4 * (t - s)
    g_t, g_s = sqrt(l * sch.aqfg(t)[3]), sqrt(l * sch.aqfg(s)[3])
    A, M = rate(sch, c, l, t), rate(sch, c, l, m)

    def step(x, z, z_):
        dw, area = sqrt(h) * z, sqrt(h) * (z / 2 + z_ / sqrt(mpf(12)))  # area = I_10/h
        k1 = -A * x
        k2 = -M * (x + mpf(3) / 4 * h * k1 + mpf(3) / 2 * g_s * area)
        return x + h / 3 * k1 + 2 * h / 3 * k2 + dw * g_s + area * (g_t - g_s)

    return step(1, 0, 0), [step(0, 1, 0), step(0, 0, 1)], "time"


SOLVERS = [
    ("euler-maruyama", euler_maruyama, ["0", "0.5", "1", "2"]),
    ("stochastic-heun", stochastic_heun, ["0", "0.5", "1", "2"]),
    ("ddpm", ddpm, ["1"]),
    ("sra1", sra1, ["0", "0.5", "1", "2"]),
]


def gauss_legendre(n):
    """Nodes and weights on [0, 1]: Newton's method from the usual guess."""
    nodes = []
    for i in range(1, n + 1):
        x = mp.cos(mp.pi * (i - mpf(1) / 4) / (n + mpf(1) / 2))
        for _ in range(8):
            p = mp.legendre(n, x)
            d = n * (x * p - mp.legendre(n - 1, x)) / (x * x - 1)
            x -= p / d
        nodes.append(((1 - x) / 2, 1 / ((1 - x * x) * d * d)))
    return sorted(nodes)


OUTER, INNER = gauss_legendre(16), gauss_legendre(8)


def integral(f, a, b):
    return (b - a) * sum(w * f(a + (b - a) * x) for x, w in INNER)


def strong(sch, step, l, steps):
    total = mpf(0)
    l, ts = mpf(l), linspace(sch.T, sch.S, steps + 1)
    for mu, c in MODES:
        gain = mpf(1)
        weights = []
        for t, s in zip(ts, ts[1:]):
            G, w, what = step(sch, c, l, t, s)
            weights = [([G * x for x in ws], wh) for ws, wh in weights] + [(w, what)]
            gain *= G
        # Phi(S, r), step by step from the end: exact gains over whole steps by quadrature of the rate.
        square = mpf(0)
        beyond = mpf(1)
        for (t, s), (w, what) in reversed(list(zip(zip(ts, ts[1:]), weights))):
            h = t - s
            k2 = lambda u: (sch.aqfg(u)[1] / sch.aqfg(u)[0])**2
            dk2 = k2(t) - k2(s)

            def difference(r, phi):
                a, _, _, g2 = sch.aqfg(r)
                if what == "kappa2":
                    ours = w[0] * sqrt(g2) / a / sqrt(dk2)
                else:
                    ours = w[0] / sqrt(h) + w[1] * sqrt(mpf(12)) * (mpf(1) / 2 - (t - r) / h) / sqrt(h)
                return (ours - sqrt(l * g2) * phi)**2

            # Panel after panel upwards from s, finer towards low noise; Phi is carried along from node to node.
            lower, panels = s, int(12 * log(t / s) / log(mpf(2))) // 4 + 2
            ends = [s * (t / s)**(mpf(i) / panels) for i in range(panels + 1)]
            for left, right in zip(ends, ends[1:]):
                width = right - left
                for x, weight in OUTER:
                    r = left + width * x
                    beyond *= exp(-integral(lambda u: rate(sch, c, l, u), lower, r))
                    lower = r
                    square += weight * width * difference(r, beyond)
            beyond *= exp(-integral(lambda u: rate(sch, c, l, u), lower, t))
        a, a_ = sch.aqfg(sch.T)[0], sch.aqfg(sch.S)[0]
        closed = (v(sch, c, sch.S) / v(sch, c, sch.T))**((1 + l) / 2) * (a / a_)**l
        assert abs(beyond / closed - 1) < mpf("1e-14"), (sch.toml, l, steps, beyond / closed - 1)
        # The mean follows the same gain: started at its own mean, a solver's mean has the error of the mean path.
        mean = mean_error(sch, step, l, ts, mu, c)
        total += square + mean**2 + (gain - beyond)**2 * v(sch, c, sch.T)
    return sqrt(total)


def mean_error(sch, step, l, ts, mu, c):
    """The solver on the affine drift f x + (1+l)/2 g^2 (x - a mu)/v from a_T mu, minus a_S mu: by the same steps on
    the deviation x - a mu, which the drift f a mu of the mean itself drives."""
    return MEANS[step.__name__](sch, c, l, ts, mu)


def drift(sch, c, l, mu, t, x):
    a, _, f, g2 = sch.aqfg(t)
    return f * x + (1 + l) / 2 * g2 * (x - a * mu) / v(sch, c, t)


def em_mean(sch, c, l, ts, mu):
    x = sch.aqfg(ts[0])[0] * mu
    for t, s in zip(ts, ts[1:]):
        x = x - (t - s) * drift(sch, c, l, mu, t, x)
    return x - sch.aqfg(ts[-1])[0] * mu


def heun_mean(sch, c, l, ts, mu):
    x = sch.aqfg(ts[0])[0] * mu
    for t, s in zip(ts, ts[1:]):
        h, k = t - s, drift(sch, c, l, mu, t, x)
        x = x - h / 2 * (k + drift(sch, c, l, mu, s, x - h * k))
    return x - sch.aqfg(ts[-1])[0] * mu


def ddpm_mean(sch, c, l, ts, mu):
    x = sch.aqfg(ts[0])[0] * mu
    for t, s in zip(ts, ts[1:]):
        (a, q, _, _), (a_, q_, _, _) = sch.aqfg(t), sch.aqfg(s)
        b = q**2 - (a / a_)**2 * q_**2
        eps = q * (x - a * mu) / v(sch, c, t)
        x = (x - b / q * eps) * a_ / a
    return x - sch.aqfg(ts[-1])[0] * mu


def sra1_mean(sch, c, l, ts, mu):
    x = sch.aqfg(ts[0])[0] * mu
    for t, s in zip(ts, ts[1:]):
        h, k = t - s, drift(sch, c, l, mu, t, x)
        m = t - mpf(3) / 4 * h
        x = x - h / 3 * k - 2 * h / 3 * drift(sch, c, l, mu, m, x - mpf(3) / 4 * h * k)
    return x - sch.aqfg(ts[-1])[0] * mu


MEANS = {"euler_maruyama": em_mean, "stochastic_heun": heun_mean, "ddpm": ddpm_mean, "sra1": sra1_mean}


def main():
    with open(Path(__file__).with_name("strong.csv"), "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["schedule", "start", "end", "steps", "solver", "lambda", "strong_error"])
        for sch in [VpLinear(), SubVp(), Edm(), Ve(), Flow()]:
            for name, step, ls in SOLVERS:
                for l in ls:
                    for steps in [1, 12]:
                        error = strong(sch, step, l, steps)
                        out.writerow([sch.toml, sch.T, sch.S, steps, name, l, mp.nstr(error, 16)])
                        file.flush()


if __name__ == "__main__":
    main()
