"""Metrics between small samples from scipy, from brute force (assignment problems, all pairs) and from quadrature.

Writes metrics.csv beside itself: what, and its value.  pip install numpy==2.4.6 scipy==1.17.1 mpmath==1.4.1
Samples are x_i = frac((i+1) a) b + c, the same doubles in any language.
"""

import csv
import math
from pathlib import Path

import numpy as np
from mpmath import erfc, exp, mp, mpf, pi, quad, sqrt
from scipy import special, stats
from scipy.optimize import brentq, linear_sum_assignment

mp.dps = 30


def numbers(n, a, b, c):
    return np.array([math.fmod((i + 1) * a, 1.0) * b + c for i in range(n)])


def w_by_assignment(x, y, p):
    """W_p by the assignment problem over copies: nothing is sorted."""
    m = math.lcm(len(x), len(y))
    x, y = np.repeat(x, m // len(x)), np.repeat(y, m // len(y))
    cost = np.abs(x[:, None] - y[None, :])**p
    return cost[linear_sum_assignment(cost)].mean()**(1 / p)


PARTS = [(mpf("0.3"), mpf(-1), mpf("0.5")), (mpf("0.7"), mpf("0.75"), mpf("0.25"))]


def cdf(x):
    return sum(w * erfc(-(x - m) / (s * sqrt(2))) / 2 for w, m, s in PARTS)


def pdf(x):
    return sum(w * exp(-((x - m) / s)**2 / 2) / (s * sqrt(2 * pi)) for w, m, s in PARTS)


def w_to_mixture(x, p):
    """int |F_n^{-1}(u) - F^{-1}(u)|^p du, in the variable z = F^{-1}(u): cells end at quantiles, or where F_n crosses F."""
    x, n = sorted(mpf(float(v)) for v in x), len(x)
    ends = [mpf(-12)] + [mp.findroot(lambda z: cdf(z) - mpf(i) / n, brentq(lambda z: float(cdf(z)) - i / n, -9, 9))
                         for i in range(1, n)] + [mpf(12)]
    total = mpf(0)
    for v, a, b in zip(x, ends, ends[1:]):
        nodes = [a] + [z for z in [v] if a < z < b] + [z for z in (mpf(-3), mpf(0), mpf(3)) if a < z < b] + [b]
        total += quad(lambda z: abs(v - z)**p * pdf(z), sorted(nodes))
    return total**(mpf(1) / p)


def unbiased(x, y, k):
    n, off = len(x), ~np.eye(len(x), dtype=bool)
    distance = lambda a, b: np.sqrt(((a[:, None, :] - b[None, :, :])**2).sum(-1))
    return (k(distance(x, x)) + k(distance(y, y)) - 2 * k(distance(x, y)))[off].sum() / (n * (n - 1))


x, y, z = numbers(24, 0.618034, 3.0, -1.5), numbers(24, 0.414214, 2.5, -0.8), numbers(18, 0.732051, 2.0, -0.7)
rows = {}
for name, other in [("equal", y), ("unequal", z)]:
    rows[f"w1 {name}"] = stats.wasserstein_distance(x, other)
    assert abs(rows[f"w1 {name}"] - w_by_assignment(x, other, 1)) < 1e-14
    rows[f"w2 {name}"] = w_by_assignment(x, other, 2)
    rows[f"energy {name}"] = stats.energy_distance(x, other)
    two = stats.ks_2samp(x, other, method="asymp")
    rows[f"ks2 {name}"] = two.statistic
rows["w1 mixture"], rows["w2 mixture"] = w_to_mixture(x, 1), w_to_mixture(x, 2)
ks = stats.kstest(x, lambda v: np.array([float(cdf(mpf(float(a)))) for a in np.atleast_1d(v)]))
rows["ks"], rows["ks p exact"] = ks.statistic, ks.pvalue
for l in (0.3, 0.5, 0.8, 1.17, 1.19, 1.5, 2.5):
    rows[f"kolmogorov {l}"] = special.kolmogorov(l)

u, v = x.reshape(12, 2), y.reshape(12, 2)
euclid, rbf = lambda r: -r, lambda r: np.exp(-r**2 / (2 * 0.8**2))
for name, k in [("energy", euclid), ("mmd", rbf)]:  # six blocks of two rows: the smallest there are
    blocks = np.array([unbiased(u[i:i + 2], v[i:i + 2], k) for i in range(0, 12, 2)])
    rows[f"{name} blocks"] = blocks.mean()
    rows[f"{name} blocks stderr"] = blocks.std(ddof=1) / math.sqrt(6)
rows["energy unbiased equal"] = unbiased(x[:, None], y[:, None], euclid)

counts = np.array([18, 35, 27, 20])
pearson = stats.chisquare(counts, 100 * np.array([0.1, 0.4, 0.3, 0.2]))
rows["pearson"], rows["pearson p"] = pearson.statistic, pearson.pvalue

with open(Path(__file__).with_name("metrics.csv"), "w", newline="") as f:
    out = csv.writer(f, lineterminator="\n")
    out.writerow(["what", "value"])
    out.writerows([name, repr(float(value))] for name, value in rows.items())
