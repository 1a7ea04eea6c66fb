"""The jobs that every peer runs: the data, the equation, the levels and their coefficients.

Data: isotropic Gaussian mixtures of equal weights. Process: dx = -beta/2 x dt + sqrt(beta) dw, beta(t) = 0.1 + 19.9 t,
run back from x ~ N(0, I) at t = 1 to t = 1e-3 on a uniform grid. At level t component k of the marginal has mean
alpha m_k and variance v_k = alpha^2 s_k^2 + sigma^2, so that with W_k = alpha m_k / v_k, r_k = 1 / v_k

    p = softmax_k(x . W_k - |x|^2 r_k / 2 + c_k),    score(x) = sum_k p_k W_k - x sum_k p_k r_k.
"""

from dataclasses import dataclass

import numpy as np

BETA_MIN, BETA_MAX = 0.1, 20.0
START, END = 1.0, 1e-3


@dataclass(frozen=True)
class Job:
    """One job: `samples` points in `dim` dimensions, `steps` uniform steps of `method`."""

    name: str
    method: str  # "euler-maruyama" on the reverse SDE, or "heun" on the probability flow
    samples: int
    steps: int
    means: np.ndarray  # (components, dim)
    stds: np.ndarray  # (components,)

    @property
    def dim(self):
        return self.means.shape[1]

    @property
    def h(self):
        return (START - END) / self.steps


def ring():
    angles = 2 * np.pi * np.arange(8) / 8
    return 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1), np.linspace(0.1, 0.3, 8)


def wide():
    return 2 * np.random.default_rng(1).standard_normal((50, 64)), np.linspace(0.3, 1.0, 50)


JOBS = {
    "S": Job("S", "euler-maruyama", 100_000, 200, *ring()),
    "H": Job("H", "heun", 100_000, 100, *ring()),
    "L": Job("L", "euler-maruyama", 20_000, 100, *wide()),
}


@dataclass(frozen=True)
class Variant:
    """How a peer lays its samples out, and how many it takes at once (all if None)."""

    layout: str  # "rows" or "rows as sums" (n, d), as people write it; "columns" or "written out" (d, n), tuned
    chunk: int | None

    @property
    def style(self):
        return "plain" if self.layout.startswith("rows") else "tuned"

    def __str__(self):
        return f"{self.layout}, {self.chunk or 'all'} at once"


def variants(layouts, chunks):
    return [Variant(layout, chunk) for layout in layouts for chunk in chunks]


def beta(t):
    return BETA_MIN + (BETA_MAX - BETA_MIN) * t


def log_alpha(t):
    """ln alpha: minus half the integral of beta."""
    return -0.5 * (BETA_MIN * t + 0.5 * (BETA_MAX - BETA_MIN) * t * t)


def data_arrays(job):
    """What `coefficients` reads of a job: means transposed (d, K), stds (K,) and squared norms of the means (K,)."""
    return job.means.T, job.stds, (job.means**2).sum(1)


def coefficients(xp, t, means, stds, squares):
    """W (d, K), r (K,) and c (K,) of the level t, in the array library `xp` whose arrays the arguments are."""
    alpha = xp.exp(log_alpha(t))
    v = alpha**2 * stds**2 - xp.expm1(2 * log_alpha(t))
    c = -0.5 * alpha**2 * squares / v - 0.5 * means.shape[0] * xp.log(v)
    return means * (alpha / v), 1 / v, c


def tables(job):
    """W (N+1, d, K), r and c (N+1, K) and beta (N+1,) of every level, in f64."""
    t = np.linspace(START, END, job.steps + 1)
    w, r, c = (np.stack(table) for table in zip(*(coefficients(np, level, *data_arrays(job)) for level in t)))
    return w, r, c, beta(t)
