"""Numbers that tests/data.rs holds the digits and the funnel to. Needs numpy; run from the repository's root."""

import gzip
import zlib

import numpy as np

rows = np.loadtxt(gzip.open("assets/digits.csv.gz"), delimiter=",")
pixels, classes = rows[:, :64], rows[:, 64].astype(int)
print("counts", np.bincount(classes), "sum", pixels.sum())
print("crc32", zlib.crc32(pixels.astype(np.uint8).tobytes()), zlib.crc32(classes.astype(np.uint8).tobytes()))
x = pixels / 8 - 1
covariance = np.cov(x.T, bias=True)
print("mean[10]", x.mean(0)[10], "covariance[10, 21]", covariance[10, 21])
print("trace", np.trace(covariance), "largest eigenvalue", np.linalg.eigvalsh(covariance)[-1])

std, modes = 1.0, 13
h = 6 * std / (modes - 1)
v = h * (np.arange(modes) - (modes - 1) / 2)
w = np.exp(-(v**2) / 2 / (std**2 - h**2))
w /= w.sum()
print("funnel: variance along it", (w * (v**2 + h**2)).sum(), "across it", (w * np.exp(v)).sum())
