"""numpy. Plain: samples along rows, as one writes the formulas. Tuned: in place, samples along columns so that the softmax
runs over contiguous samples, one augmented matrix product for the logits and one for the score, normals of SFC64."""

import numpy as np

from problem import tables, variants as grid

VERSION = f"numpy {np.__version__}"
DTYPES = {"f32": np.float32, "f64": np.float64}


def variants(_peer, _job):
    return grid(["rows", "columns"], [None, 4000])


def plain(job, dtype):
    """A function of generator and count that runs one chunk."""
    w, r, c, beta = (a.astype(dtype) for a in tables(job))
    h, half = dtype(job.h), dtype(0.5)

    def score(x, i):
        logits = x @ w[i] - half * (x * x).sum(axis=1, keepdims=True) * r[i] + c[i]
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        return p @ w[i].T - x * (p @ r[i])[:, None]

    def flow(x, i):
        return half * beta[i] * (x + score(x, i))

    def chain(rng, n):
        x = rng.standard_normal((n, job.dim), dtype=dtype)
        for i in range(job.steps):
            if job.method == "heun":
                first = flow(x, i)
                x = x + half * h * (first + flow(x + h * first, i + 1))
            else:
                z = rng.standard_normal(x.shape, dtype=dtype)
                x = x + h * beta[i] * (half * x + score(x, i)) + np.sqrt(h * beta[i]) * z
        return x

    return chain


def tuned(job, dtype):
    """The same by columns: logits = a [x, |x|^2, 1], and (sum_k p_k W_k, sum_k p_k r_k) = b p."""
    d, h = job.dim, job.h
    w, r, c, beta = tables(job)
    a = np.concatenate([w, -0.5 * r[:, None], c[:, None]], axis=1).transpose(0, 2, 1).astype(dtype)
    b = np.concatenate([w, r[:, None]], axis=1).astype(dtype)
    beta = [float(level) for level in beta]

    def chain(rng, n):
        features, logits = np.empty((d + 2, n), dtype), np.empty((len(job.stds), n), dtype)
        mixed, noise, x = np.empty((d + 1, n), dtype), np.empty((d, n), dtype), np.empty((d, n), dtype)
        features[d + 1] = 1

        def score(x, i):
            """In `mixed`, which the next call overwrites."""
            features[:d] = x
            np.einsum("ij,ij->j", x, x, out=features[d])
            np.matmul(a[i], features, out=logits)
            np.subtract(logits, logits.max(axis=0), out=logits)
            np.exp(logits, out=logits)
            np.matmul(b[i], logits, out=mixed)
            np.divide(mixed, logits.sum(axis=0), out=mixed)
            np.multiply(x, mixed[d], out=features[:d])
            return np.subtract(mixed[:d], features[:d], out=mixed[:d])

        def half_step(x, i):
            """Half a step of the probability flow, in `mixed` too."""
            s = score(x, i)
            s += x
            s *= h * beta[i] / 4
            return s

        rng.standard_normal(dtype=dtype, out=x)
        for i in range(job.steps):
            if job.method == "heun":
                first = half_step(x, i).copy()
                x += half_step(x + 2 * first, i + 1)
                x += first
            else:
                s = score(x, i)
                s *= h * beta[i]
                x *= 1 + h * beta[i] / 2
                x += s
                rng.standard_normal(dtype=dtype, out=noise)
                noise *= (h * beta[i]) ** 0.5
                x += noise
        return x.T

    return chain


def build(_peer, job, precision, samples, variant):
    """A function of a seed that returns samples (n, d)."""
    chunk = min(variant.chunk or samples, samples)
    chain = (plain if variant.layout == "rows" else tuned)(job, DTYPES[precision])
    bits = np.random.PCG64 if variant.layout == "rows" else np.random.SFC64

    def run(seed):
        rng = np.random.Generator(bits(seed))
        return np.concatenate([chain(rng, min(chunk, samples - i)) for i in range(0, samples, chunk)])

    return run
