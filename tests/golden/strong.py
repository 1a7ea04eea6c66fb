"""Strong errors of SDE solvers on Gaussian data: an independent second implementation.

Writes strong.csv beside itself.  Needs mpmath==1.4.1 (gmpy2 makes it faster).

Every scheme is written as its paper writes it, for one mode N(mu, c): a scalar x, a scalar noise or two, a step from t
down to s.  The gains on x and on the noises are those of the same step on centred data.  Run from its exact marginal at T, a solver's output is  bias + gain x_T + sum over steps of
w_k z_k + w'_k z'_k,  and the exact solution of  dx = [f x - (1+l)/2 g^2 score] dt + sqrt(l) g dw  weighs dw(r), at time r,
by  sqrt(l) g(r) Phi(s, r)  with  Phi(s, r) = exp(-int_s^r (f + (1+l)/2 g^2/v) dt)  taken *by quadrature* here, not by the
closed form that the crate uses.  Both are integrals against the same dw, so by Ito's isometry

    error^2 = (means)^2 + (gains)^2 Var x_T + int_s^T (w_k psi_k(r) + w'_k psi'_k(r) - sqrt(l) g(r) Phi(s, r))^2 dr.

Draws, as kernels against dw(r) on a step from t down to s:
 - the normalised increment of B(kappa^2), dB = g/a dw:      psi = (g/a) / sqrt(kappa_t^2 - kappa_s^2)
 - of W, a Brownian motion in time, kappa or lambda (dW = dB/sqrt(|dkappa^2/du|)), over |h| there: psi = (dW/dw)/sqrt(|h|)
 - the area's own part, z' = sqrt(12) (int W/h^{3/2} - z/2): psi' = sqrt(12) (1/2 - run/|h|) (dW/dw)/sqrt(|h|)
All integrals are over time, where the crate's are over lambda.
"""

import csv
import functools
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


# ---------------------------------------------------------------- schemes: step(sch, mode, l, t, s, x, z, z') = x'

def drift(sch, mode, l, t, x):
    mu, c = mode
    a, _, f, g2 = sch.aqfg(t)
    return f * x + (1 + l) / 2 * g2 * (x - a * mu) / v(sch, c, t)


def euler_maruyama(sch, mode, l, t, s, x, z, _):
    h = t - s
    return x - h * drift(sch, mode, l, t, x) + sqrt(l * sch.aqfg(t)[3] * h) * z


def stochastic_heun(sch, mode, l, t, s, x, z, _):
    h, g_t, g_s = t - s, sqrt(l * sch.aqfg(t)[3]), sqrt(l * sch.aqfg(s)[3])
    k = drift(sch, mode, l, t, x)
    y = x - h * k + g_t * sqrt(h) * z
    return x - h / 2 * (k + drift(sch, mode, l, s, y)) + (g_t + g_s) / 2 * sqrt(h) * z


def ddpm(sch, mode, l, t, s, x, z, _):
    (mu, c), (a, q, _, _), (a_, q_, _, _) = mode, sch.aqfg(t), sch.aqfg(s)
    A = (a / a_)**2
    b = q**2 - A * q_**2
    eps = q * (x - a * mu) / v(sch, c, t)
    return (x - b / q * eps) / sqrt(A) + sqrt(b) * q_ / q * z


def decimals(*rows):
    return [[mpf(x) for x in row.split()] for row in rows]


# alpha, c0, A0 and B0 (rows 2 and 3), beta1, beta2, c1
THREE_QUARTERS = [[mpf(1) / 3, mpf(2) / 3], [mpf(0), mpf(3) / 4], [[mpf(3) / 4]], [[mpf(3) / 2]]]
TABLES = {
    "sra1": THREE_QUARTERS + decimals("1 0", "-1 1", "1 0"),
    "sra2": THREE_QUARTERS + [[mpf(0), mpf(1)], [mpf(3) / 2, -mpf(3) / 2], [mpf(1) / 3, mpf(1)]],
    "sra3": [[mpf(1) / 6, mpf(1) / 6, mpf(2) / 3], decimals("0 1 0.5")[0], decimals("1", "0.25 0.25"),
             decimals("0", "1 0.5")] + decimals("1 0 0", "-1 1 0", "1 0 0"),
    "sosra": [decimals("0.2889874966892885 0.6859880440839937 0.025024459226717772")[0],
              decimals("0 0.6923962376159507 1")[0],
              decimals("0.6923962376159507", "-3.1609142252828395 4.1609142252828395"),
              decimals("1.3371632704399763", "1.442371048468624 1.8632741501139225")]
    + decimals("-16.792534242221663 17.514995785380226 0.27753845684143835",
               "0.4237535769069274 0.6010381474428539 -1.0247917243497813", "0 0.041248171110700504 1"),
    "sosra2": [decimals("0.4999999999999998 -0.9683897375354181 1.4683897375354185")[0], decimals("0 1 1")[0],
               decimals("1", "0.9511849235504364 0.04881507644956362"),
               decimals("0.7686101171003622", "0.43886792994934987 0.7490415909204886")]
    + decimals("0 0.92438032145683 0.07561967854316998", "1 -0.8169981105823436 -0.18300188941765633", "0 1 1"),
}


def kappa(sch, t):
    return sch.aqfg(t)[1] / sch.aqfg(t)[0]


CLOCKS = {"t": lambda sch, t: t, "edm": kappa, "lambda": lambda sch, t: -log(kappa(sch, t))}


@functools.lru_cache(maxsize=None)
def time_at(sch, clock, value, t, s):
    """The time between s and t at which the clock shows the value, by bisection and then secants."""
    if clock == "t" or t == s:
        return value if clock == "t" else t
    show = lambda u: CLOCKS[clock](sch, u) - value
    if abs(show(t)) < mpf("1e-22") * abs(value):
        return t
    if abs(show(s)) < mpf("1e-22") * abs(value):
        return s
    return mp.findroot(show, (s, t), solver="anderson", tol=mpf("1e-40"))


def sra(table, clock):
    alpha, c0, A0, B0, beta1, beta2, c1 = TABLES[table]

    def step(sch, mode, l, t, s, x, z, z_):
        u, h = CLOCKS[clock](sch, t), CLOCKS[clock](sch, s) - CLOCKS[clock](sch, t)
        at = lambda c: t if c == 0 else s if c == 1 else time_at(sch, clock, u + c * h, t, s)
        scale = lambda r: mpf(1) if clock == "t" else sch.aqfg(r)[0]

        def slope(r, y):  # in the clock's own variable y = x, or x/a: d(x/a)/dt = (drift - f x)/a
            a, q, f, g2 = sch.aqfg(r)
            if clock == "t":
                return drift(sch, mode, l, r, y)
            dk2 = g2 / a**2  # per unit of t
            du = dk2 / (2 * q / a) if clock == "edm" else -dk2 / (2 * (q / a)**2)
            return (drift(sch, mode, l, r, a * y) - f * a * y) / a / du

        def spread(r):
            k = kappa(sch, r)
            return sqrt(l * {"t": sch.aqfg(r)[3], "edm": 2 * k, "lambda": 2 * k**2}[clock])

        dw, area = sqrt(abs(h)) * z, sqrt(abs(h)) * (z / 2 + z_ / sqrt(mpf(12)))
        y = x / scale(t)
        k = [slope(t, y)]
        for i, (a_row, b_row) in enumerate(zip(A0, B0)):
            stage = y + h * sum(a * k_ for a, k_ in zip(a_row, k)) + area * sum(b * spread(at(c)) for b, c in zip(b_row, c1))
            k.append(slope(at(c0[i + 1]), stage))
        noise = sum((b1 * dw + b2 * area) * spread(at(c)) for b1, b2, c in zip(beta1, beta2, c1))
        return scale(s) * (y + h * sum(a * k_ for a, k_ in zip(alpha, k)) + noise)

    return step


ALL, SOME = ["0", "0.5", "1", "2"], ["0.5", "1"]
SRK = 'name = "stochastic-runge-kutta", '
# name and parameters, step, what its noise is of, lambdas (None: 1, and no parameter)
SOLVERS = [
    ('name = "euler-maruyama"', euler_maruyama, "kappa2", ALL),
    ('name = "stochastic-heun"', stochastic_heun, "kappa2", ALL),
    ('name = "gotta-go-fast"', stochastic_heun, "kappa2", None),
    ('name = "ddpm"', ddpm, "kappa2", None),
    ('name = "sra1"', sra("sra1", "t"), "t", ALL),
    ('name = "sra1", clock = "edm"', sra("sra1", "edm"), "edm", SOME),
    ('name = "sra1", clock = "lambda"', sra("sra1", "lambda"), "lambda", SOME),
    ('name = "sra3"', sra("sra3", "t"), "t", ALL),
    ('name = "sra3", clock = "edm"', sra("sra3", "edm"), "edm", SOME),
    ('name = "sosra"', sra("sosra", "t"), "t", ALL),
    ('name = "sosra", clock = "lambda"', sra("sosra", "lambda"), "lambda", SOME),
    (SRK + 'table = "sra2"', sra("sra2", "t"), "t", SOME),
    (SRK + 'table = "sosra2"', sra("sosra2", "t"), "t", SOME),
]


# ---------------------------------------------------------------- integrals

def gauss_legendre(n):
    """Nodes and weights on [0, 1], by Newton's method from the usual guess."""
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


def kernels(sch, what, t, s, r):
    """Of a step's two draws, against dw(r)."""
    a, q, _, g2 = sch.aqfg(r)
    if what == "kappa2":
        return sqrt(g2) / a / sqrt(kappa(sch, t)**2 - kappa(sch, s)**2), mpf(0)
    show = functools.partial(CLOCKS[what], sch)
    h, k = abs(show(s) - show(t)), q / a
    dW = {"t": mpf(1), "edm": sqrt(g2 / (2 * k)) / a, "lambda": sqrt(g2 / 2) / q}[what]
    return dW / sqrt(h), sqrt(mpf(12)) * (mpf(1) / 2 - abs(show(r) - show(t)) / h) * dW / sqrt(h)


@functools.lru_cache(maxsize=None)
def exact(sch, c, l, steps):
    """Phi(S, T), and the exact kernel against dw at the nodes of a quadrature, step by step from T: (r, weight, kernel)."""
    ts, beyond, kernel = linspace(sch.T, sch.S, steps + 1), mpf(1), []
    for t, s in reversed(list(zip(ts, ts[1:]))):
        # Panel after panel upwards from s, finer towards low noise; Phi is carried along from node to node.
        lower, panels, nodes = s, int(3 * log(t / s) / log(mpf(2))) + 2, []
        ends = [s * (t / s)**(mpf(i) / panels) for i in range(panels + 1)]
        for left, right in zip(ends, ends[1:]):
            for x, weight in OUTER:
                r = left + (right - left) * x
                beyond *= exp(-integral(lambda u: rate(sch, c, l, u), lower, r))
                lower = r
                nodes.append((r, weight * (right - left), sqrt(l * sch.aqfg(r)[3]) * beyond))
        beyond *= exp(-integral(lambda u: rate(sch, c, l, u), lower, t))
        kernel.insert(0, nodes)
    a, a_ = sch.aqfg(sch.T)[0], sch.aqfg(sch.S)[0]
    closed = (v(sch, c, sch.S) / v(sch, c, sch.T))**((1 + l) / 2) * (a / a_)**l
    assert abs(beyond / closed - 1) < mpf("1e-14"), (sch.toml, l, steps, beyond / closed - 1)
    return beyond, kernel


def errors(sch, step, what, l, steps):
    """W2 to the marginal, and the strong error."""
    w2, square, l, ts = mpf(0), mpf(0), mpf(l), linspace(sch.T, sch.S, steps + 1)
    a, a_ = sch.aqfg(sch.T)[0], sch.aqfg(sch.S)[0]
    for mu, c in MODES:
        mean, gain, weights = a * mu, mpf(1), []
        for t, s in zip(ts, ts[1:]):
            mean = step(sch, (mu, c), l, t, s, mean, mpf(0), mpf(0))
            G, *w = [step(sch, (mpf(0), c), l, t, s, *map(mpf, unit)) for unit in [(1, 0, 0), (0, 1, 0), (0, 0, 1)]]
            weights = [[G * x for x in pair] for pair in weights] + [w]
            gain *= G
        phi, kernel = exact(sch, c, l, steps)
        for t, s, w, nodes in zip(ts, ts[1:], weights, kernel):
            for r, weight, theirs in nodes:
                square += weight * (sum(w_ * psi for w_, psi in zip(w, kernels(sch, what, t, s, r))) - theirs)**2
        square += (mean - a_ * mu)**2 + (gain - phi)**2 * v(sch, c, sch.T)
        sd = sqrt(gain**2 * v(sch, c, sch.T) + sum(x**2 for pair in weights for x in pair))
        w2 += (mean - a_ * mu)**2 + (sd - sqrt(v(sch, c, sch.S)))**2
    return sqrt(w2), sqrt(square)


def main():
    with open(Path(__file__).with_name("strong.csv"), "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["schedule", "start", "end", "steps", "solver", "l", "w2", "strong_error"])
        for sch in [VpLinear(), SubVp(), Edm(), Ve(), Flow()]:
            for solver, step, what, ls in SOLVERS:
                for l in ls or ["1"]:
                    for steps in [1, 12]:
                        text = solver if ls is None else f"{solver}, lambda = {float(l)}"
                        row = [mp.nstr(x, 16) for x in errors(sch, step, what, l, steps)]
                        out.writerow([sch.toml, sch.T, sch.S, steps, text, l, *row])
                        file.flush()


if __name__ == "__main__":
    main()
