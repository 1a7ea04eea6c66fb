"""Distribution functions, quantiles and probability flows of mixtures on the line, in 60-digit arithmetic.

    pip install mpmath==1.4.1 && python line.py        # a few seconds; writes line.csv

The flow is found by bisection on `F_to(y) = F_from(x)`: 60 digits have room for what double precision must get from
logarithms and complements. Before it writes, the script integrates one flow as an ODE, with scores by numerical
differentiation of the log density, and asserts that both agree.
"""

import csv
from mpmath import mp, mpf, erfc, exp, log, sqrt, pi, diff

mp.dps = 60

# (weight, mean, variance); all numbers are exactly those that the Rust side reads.
MIXTURES = {
    "two": [(0.25, -1.0, 0.0625), (0.75, 1.5, 0.25)],
    "three": [(0.5, -8.0, 1e-4), (0.125, 0.5, 4.0), (0.375, 3.0, 0.015625)],
    "points": [(0.2, -2.0, 0.0), (0.3, 0.25, 0.0), (0.5, 4.0, 0.0)],
}
# (alpha, sigma), and where in the law of the first level samples start, in units of its spread around its mean.
FLOWS = [((0.0078125, 1.0), (1.0, 0.03125)), ((1.0, 80.0), (1.0, 0.002)), ((0.5, 0.875), (0.75, 0.5)),
         ((0.0, 1.0), (0.96875, 0.25)), ((1.0, 0.5), (0.25, 1.0)), ((1.0, 3.0), (1.0, 1e-8))]
AWAY = [-25.0, -6.0, -1.5, -0.25, 0.0625, 0.75, 2.5, 9.0, 30.0]


def parts(name, level):
    alpha, sigma = map(mpf, level)
    return [(mpf(w), alpha * mpf(m), sqrt(alpha**2 * mpf(c) + sigma**2)) for w, m, c in MIXTURES[name]]


def below(law, x):
    return sum(w * erfc(-(x - m) / s / sqrt(2)) for w, m, s in law) / (2 * sum(w for w, _, _ in law))


def above(law, x):
    return sum(w * erfc((x - m) / s / sqrt(2)) for w, m, s in law) / (2 * sum(w for w, _, _ in law))


def quantile(law, u, q):
    """The x with F(x) = u, 1 - F(x) = q, by the smaller of the two."""
    lo = min(m - 200 * s for _, m, s in law)
    hi = max(m + 200 * s for _, m, s in law)
    for _ in range(260):
        x = (lo + hi) / 2
        left = below(law, x) > u if u < q else above(law, x) < q
        lo, hi = (lo, x) if left else (x, hi)
    return (lo + hi) / 2


def check_by_ode():
    """d(x/alpha)/dkappa = eps = -sigma score, by the classical method in ln kappa."""
    level = lambda k: (1 / sqrt(1 + k**2), k / sqrt(1 + k**2))
    def rate(lk, y):
        alpha, sigma = level(exp(lk))
        law = parts("two", (alpha, sigma))
        density = lambda x: log(sum(w * exp(-((x - m) / s) ** 2 / 2) / s for w, m, s in law))
        return exp(lk) * -sigma * diff(density, alpha * y)
    a, b, n = log(mpf(2)), log(mpf("0.25")), 200
    h, y, lk = (b - a) / n, mpf("0.7"), a
    first = y
    for _ in range(n):
        k1 = rate(lk, y)
        k2 = rate(lk + h / 2, y + h / 2 * k1)
        k3 = rate(lk + h / 2, y + h / 2 * k2)
        k4 = rate(lk + h, y + h * k3)
        y, lk = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), lk + h
    (at, st), (as_, ss) = level(exp(a)), level(exp(b))
    here, there = parts("two", (at, st)), parts("two", (as_, ss))
    x = at * first
    want = quantile(there, below(here, x), above(here, x)) / as_
    assert abs(y - want) < mpf("1e-9"), (y, want)


def main():
    mp.dps = 25
    check_by_ode()
    mp.dps = 60
    real = lambda x: mp.nstr(x, 20)
    with open("line.csv", "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow("mixture,alpha,sigma,x,log_cdf,log_survival,to_alpha,to_sigma,y".split(","))
        for name in MIXTURES:
            for start, end in FLOWS:
                here, there = parts(name, start), parts(name, end)
                mean = sum(w * m for w, m, _ in here)
                spread = sqrt(sum(w * (s**2 + (m - mean) ** 2) for w, m, s in here))
                for away in AWAY:
                    x = mpf(float(mean + away * spread))
                    u, q = below(here, x), above(here, x)
                    y = quantile(there, u, q)
                    out.writerow([name, *start, float(x), real(log(u)), real(log(q)), *end, real(y)])


if __name__ == "__main__":
    main()
