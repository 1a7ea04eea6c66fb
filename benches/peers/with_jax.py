"""JAX: the whole job jitted, lax.scan over steps, lax.map over chunks, threefry normals.

Plain: samples along rows. Tuned: along columns. Tried without gain: the rbg generators, and components written out one by
one (XLA then computes them several times over).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from problem import tables, variants as grid

VERSION = f"jax {jax.__version__}"


def variants(_peer, _job):
    return grid(["rows", "columns"], [None, 4000, 1000])


def dtype_of(precision):
    jax.config.update("jax_enable_x64", precision == "f64")
    return {"f32": np.float32, "f64": np.float64}[precision]


def score_rows(x, w, r, c):
    """x (n, d), w (d, K), r and c (K,)."""
    p = jax.nn.softmax(x @ w - 0.5 * (x * x).sum(1, keepdims=True) * r + c, axis=1)
    return p @ w.T - x * (p @ r)[:, None]


def score_columns(x, w, r, c):
    """x (d, n)."""
    p = jax.nn.softmax(w.T @ x - 0.5 * r[:, None] * (x * x).sum(0) + c[:, None], axis=0)
    return w @ p - x * (r @ p)


SCORES = {"rows": score_rows, "columns": score_columns}


def in_chunks(chain, samples, chunk, rows):
    """A function of a seed that returns samples (n, d); `chain` takes a key to one chunk's samples, jitted."""
    assert samples % chunk == 0, f"{samples} samples are not a multiple of {chunk}"

    @jax.jit
    def all_chunks(key):
        return lax.map(chain, jax.random.split(key, samples // chunk))

    def run(seed):
        x = np.asarray(all_chunks(jax.random.key(seed)))
        return x.reshape(samples, -1) if rows else x.transpose(0, 2, 1).reshape(samples, -1)

    return run


def build(_peer, job, precision, samples, variant):
    """A function of a seed that returns samples (n, d)."""
    dtype, rows, chunk = dtype_of(precision), variant.layout == "rows", variant.chunk or samples
    h, score, shape = job.h, SCORES[variant.layout], (chunk, job.dim) if rows else (job.dim, chunk)
    levels = tuple(jnp.asarray(table, dtype) for table in tables(job))
    now, after = (tuple(table[part] for table in levels) for part in (slice(None, -1), slice(1, None)))

    def euler_maruyama(x, step):
        key, (w, r, c, beta) = step
        z = jax.random.normal(key, shape, dtype)
        return x + h * beta * (0.5 * x + score(x, w, r, c)) + jnp.sqrt(h * beta) * z, None

    def flow(x, level):
        w, r, c, beta = level
        return 0.5 * beta * (x + score(x, w, r, c))

    def heun(x, step):
        first = flow(x, step[0])
        return x + 0.5 * h * (first + flow(x + h * first, step[1])), None

    def chain(key):
        start, noise = jax.random.split(key)
        x = jax.random.normal(start, shape, dtype)
        if job.method == "heun":
            return lax.scan(heun, x, (now, after))[0]
        return lax.scan(euler_maruyama, x, (jax.random.split(noise, job.steps), now))[0]

    return in_chunks(chain, samples, chunk, rows)
