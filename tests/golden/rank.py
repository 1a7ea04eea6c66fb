"""Rank correlations of small lists from scipy, ties and diverged entries included.

Writes rank.csv beside itself.  pip install numpy==2.4.6 scipy==1.17.1
Lists are x_i = floor(frac((i+1) a) m) + c i, y_i likewise, the same doubles in any language; every `lost`-th y is infinite.
p: all permutations up to n = 9, else Student's t.
"""

import csv
import itertools
import math
from pathlib import Path

import numpy as np
from scipy import stats


def numbers(n, a, m, c):
    return np.array([math.floor(math.fmod((i + 1) * a, 1.0) * m) + c * i for i in range(n)])


CASES = [  # n, m, c, lost
    (4, 100, 0.0, 0), (6, 100, 30.0, 0), (8, 5, 0.5, 0), (9, 4, 0.0, 4), (9, 100, -20.0, 0), (10, 100, 10.0, 0),
    (15, 6, 0.25, 5), (25, 1000, 30.0, 0), (40, 8, 0.0, 7),
]

with open(Path(__file__).with_name("rank.csv"), "w", newline="") as file:
    out = csv.writer(file, lineterminator="\n")
    out.writerow(["n", "m", "c", "lost", "rho", "tau", "p"])
    for n, m, c, lost in CASES:
        x, y = numbers(n, 0.618034, m, c), numbers(n, 0.414214, m, c)
        if lost:
            y[lost - 1::lost] = 1e9
        found = stats.spearmanr(x, y)
        p = found.pvalue
        if n <= 9:
            rx, ry = stats.rankdata(x) - (n + 1) / 2, stats.rankdata(y) - (n + 1) / 2
            every = np.array([rx @ np.array(order) for order in itertools.permutations(ry)])
            p = np.mean(np.abs(every) >= abs(rx @ ry) - 1e-9)
        out.writerow([n, m, c, lost, found.statistic, stats.kendalltau(x, y).statistic, p])
