"""exp, ln and the two normals of 64 random bits, in 50 digits: what `src/real.rs` computes in f64.

Arguments are exact doubles (or words of bits); a value is a double and what is left of it, so that errors can be told in
units of the last place.
"""

import csv
import random

from mpmath import cos, exp, log, mp, mpf, pi, sin, sqrt

mp.dps = 50
M64 = 2**64 - 1


def scramble(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & M64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & M64
    return z ^ (z >> 31)


def normals(radius, angle):
    """Box and Muller: 53 bits each, the first 32 as given, the rest from a scramble of both."""
    low = scramble(radius << 32 | angle)
    u = (radius << 32 | low >> 32) >> 11
    turn = angle << 32 | low & 0xFFFFFFFF
    turn = (turn - 2**64 if turn >> 63 else turn) >> 11
    r = sqrt(-2 * log(mpf(u + 0.5) / 2**53))  # u + 0.5 as a double: near 1 a half is below its last place
    return [r * cos(2 * pi * turn / 2**53), r * sin(2 * pi * turn / 2**53)]


def parts(value):
    high = float(value)
    return [repr(high), repr(float(value - high))]


def main():
    random.seed(1)
    rows = []
    near = [k * float(log(2)) * s for k in (0.5, 1.0, 1.5, 2.5, 100.5, 1000.5) for s in (1 - 1e-15, 1 + 1e-15)]
    xs = [0.0, 1.0, -1.0, 709.39, -708.2, 1e-300, -1e-20] + near + [-x for x in near]
    xs += [random.uniform(-1, 1) for _ in range(300)] + [random.uniform(-40, 0) for _ in range(300)]
    xs += [random.uniform(-708, 709.3) for _ in range(300)]
    rows += [["exp", repr(x), ""] + parts(exp(mpf(x))) for x in xs]
    xs = [1.0, 2.0, 0.5, 1 + 2**-52, 1 - 2**-53, 2.2250738585072014e-308, 1.7976931348623157e308, 2**-0.5, 2**0.5]
    xs += [random.uniform(0, 1) for _ in range(400)] + [random.uniform(0.9, 1.1) for _ in range(300)]
    xs += [2 ** random.uniform(-1020, 1020) for _ in range(300)]
    rows += [["ln", repr(x), ""] + parts(log(mpf(x))) for x in xs]
    words = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**29, 2**30, 3 * 2**30, 3 * 2**29]
    pairs = [(a, b) for a in words for b in words]
    pairs += [(random.getrandbits(32), random.getrandbits(32)) for _ in range(400)]
    for a, b in pairs:
        for name, value in zip(("cosine", "sine"), normals(a, b)):
            rows.append([name, a, b] + parts(value))
    with open("functions.csv", "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["function", "a", "b", "value", "rest"])
        out.writerows(rows)


if __name__ == "__main__":
    main()
