"""Strong errors of Euler-Maruyama on a mixture of two modes, written apart from the crate (numpy).

N(-1, c) and N(1, c) with weights 1/2 on vp-linear (0.1, 20), uniform in lambda from t = 1 to 1e-2. The reference is
stochastic Heun in t with 32 steps in one, on the same increments of a Brownian motion in kappa^2. Prints a row
variance,steps,value,stderr,share: `share` of the paths end further than 1 from the reference, in the other mode.

    python tests/golden/strong_mixture.py > tests/golden/strong_mixture.csv
"""

import numpy as np

B0, B1, REFINE, PATHS = 0.1, 20.0, 32, 20000
rng = np.random.default_rng(7)


def alpha2(t):
    return np.exp(-(B0 * t + (B1 - B0) * t * t / 2))


def beta(t):
    return B0 + (B1 - B0) * t


def time(lam):
    b = np.log1p(np.exp(-2 * lam))
    return 2 * b / (B0 + np.sqrt(B0 * B0 + 2 * (B1 - B0) * b))


def lam(t):
    return 0.5 * np.log(alpha2(t) / (1 - alpha2(t)))


def drift(x, t, c):
    """Of the reverse SDE, per unit of time that runs backwards."""
    a2 = alpha2(t)
    a, v = np.sqrt(a2), a2 * c + 1 - a2
    return beta(t) * (0.5 * x + (a * np.tanh(a * x / v) - x) / v)


def strong(c, steps):
    t = time(np.linspace(lam(1.0), lam(1e-2), steps * REFINE + 1))
    kappa2 = 1 / alpha2(t) - 1
    a2 = alpha2(1.0)
    x = np.where(rng.random(PATHS) < 0.5, -1, 1) * np.sqrt(a2)
    x = x + np.sqrt(a2 * c + 1 - a2) * rng.standard_normal(PATHS)
    y = x.copy()
    for i in range(steps):
        path = np.zeros(PATHS)
        for j in range(i * REFINE, (i + 1) * REFINE):
            h, z = t[j] - t[j + 1], rng.standard_normal(PATHS)
            path += np.sqrt(kappa2[j] - kappa2[j + 1]) * z
            g, g_next = np.sqrt(beta(t[j]) * h), np.sqrt(beta(t[j + 1]) * h)
            first = drift(y, t[j], c)
            second = drift(y + h * first + g * z, t[j + 1], c)
            y = y + h / 2 * (first + second) + (g + g_next) / 2 * z
        k, m = i * REFINE, (i + 1) * REFINE
        z = path / np.sqrt(kappa2[k] - kappa2[m])
        x = x + (t[k] - t[m]) * drift(x, t[k], c) + np.sqrt(beta(t[k]) * (t[k] - t[m])) * z
    square = (x - y) ** 2
    value = np.sqrt(square.mean())
    return value, square.std() / np.sqrt(PATHS) / 2 / value, (np.abs(x - y) > 1).mean()


print("variance,steps,value,stderr,share")
for c in (0.25, 0.04):
    for steps in (32, 64, 128):
        value, stderr, share = strong(c, steps)
        print(f"{c},{steps},{value:.6e},{stderr:.2e},{share}")
