"""Squared Frechet distances between small samples by scipy's matrix root (the usual recipe for FID) and, independently, by
the nuclear norm: tr (C C')^(1/2) is the sum of singular values of X' Y / sqrt((n-1)(m-1)), X and Y centred, n and m rows.

Writes frechet.csv beside itself.  pip install numpy==2.4.6 scipy==1.17.1
Values are x_k = frac((k+1) a) b + c, k over rows then columns, the same doubles in any language. `stderr` is that of
independent samples from a numerical derivative: the jackknife's infinitesimal form, each row's weight moved by 1e-5.
"""

import csv
import math
from pathlib import Path

import numpy as np
from scipy import linalg


def numbers(n, d, a, b, c):
    return np.array([math.fmod((k + 1) * a, 1.0) * b + c for k in range(n * d)]).reshape(n, d)


def moments(x, w):
    m = w @ x / w.sum()
    off = x - m
    return m, (off * w[:, None]).T @ off / w.sum() * len(x) / (len(x) - 1)


def distance(x, y, wx=None, wy=None):
    wx, wy = (np.ones(len(v)) if w is None else w for v, w in ((x, wx), (y, wy)))
    (m, c), (p, q) = moments(x, wx), moments(y, wy)
    off = lambda v, w, mean: (v - mean) * np.sqrt(w / w.sum() * len(v) / (len(v) - 1))[:, None]
    middle = np.linalg.svd(off(x, wx, m) @ off(y, wy, p).T, compute_uv=False).sum()
    return (m - p) @ (m - p) + np.trace(c) + np.trace(q) - 2 * middle


def by_scipy(x, y):
    c, q = np.cov(x.T).reshape(x.shape[1], -1), np.cov(y.T).reshape(y.shape[1], -1)
    return ((x.mean(0) - y.mean(0))**2).sum() + np.trace(c) + np.trace(q) - 2 * np.trace(linalg.sqrtm(c @ q)).real


def stderr(x, y):
    total = 0.0
    for which, v in ((0, x), (1, y)):
        effect = []
        for i in range(len(v)):
            values = []
            for h in (1e-5, -1e-5):
                w = np.ones(len(v))
                w[i] += h
                values.append(distance(x, y, *((w, None) if which == 0 else (None, w))))
            effect.append((values[0] - values[1]) / 2e-5 * len(v))
        effect = np.array(effect)
        total += ((effect - effect.mean())**2).sum() / (len(v) * (len(v) - 1))
    return math.sqrt(total)


CASES = [(1, 12, 15), (2, 30, 41), (5, 60, 47), (8, 40, 53), (6, 5, 40), (6, 40, 5)]  # d, n, m; the last two of low rank

with open(Path(__file__).with_name("frechet.csv"), "w", newline="") as file:
    out = csv.writer(file, lineterminator="\n")
    out.writerow(["d", "n", "m", "value", "stderr"])
    for d, n, m in CASES:
        x, y = numbers(n, d, 0.618034, 3.0, -1.5), numbers(m, d, 0.414214, 2.5, -0.8)
        value = distance(x, y)
        if min(n, m) > d:
            assert abs(value - by_scipy(x, y)) < 1e-10, (value, by_scipy(x, y))
        out.writerow([d, n, m, value, stderr(x, y)])
