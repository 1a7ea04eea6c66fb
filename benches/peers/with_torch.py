"""torch on the CPU, eager and compiled.

Plain: samples along rows, softmax over the last dimension, and matrix products or, compiled and in two dimensions, sums
that the compiler fuses. Tuned: samples along columns; compiled and in two dimensions also with every component written
out, so that the compiler makes one loop of a step. The compiled step is handed its normals: those of torch's own
generator are vectorised, inductor's are not (a fifth of the speed).
"""

import os
import shutil

import torch

from problem import tables, variants as grid

VERSION = f"torch {torch.__version__}"
DTYPES = {"f32": torch.float32, "f64": torch.float64}

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def unavailable(peer):
    if peer == "torch.compile" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))):
        return "torch.compile needs a C++ compiler, and neither g++ nor clang++ is on the PATH"


def variants(peer, job):
    fused = ["rows as sums", "written out"] if peer == "torch.compile" and job.dim == 2 else []
    return grid(["rows", "columns", *fused], [None, 4000])


def score_rows(x, w, r, c):
    """x (n, d), w (d, K), r and c (K,)."""
    logits = torch.addmm(c, x, w) - 0.5 * (x * x).sum(1, keepdim=True) * r
    p = torch.softmax(logits, dim=1)
    return p @ w.T - x * (p @ r)[:, None]


def score_sums(x, w, r, c):
    """x (n, d)."""
    logits = (x[:, :, None] * w).sum(1) - 0.5 * (x * x).sum(1, keepdim=True) * r + c
    p = torch.softmax(logits, dim=1)
    return (p[:, None, :] * w).sum(2) - x * (p * r).sum(1, keepdim=True)


def score_columns(x, w, r, c):
    """x (d, n)."""
    logits = torch.addmm(c[:, None], w.T, x) - 0.5 * r[:, None] * (x * x).sum(0)
    p = torch.softmax(logits, dim=0)
    return w @ p - x * (r @ p)


def score_written_out(x, w, r, c):
    """x (d, n), for few dimensions and components."""
    d, k = w.shape
    half = -0.5 * sum(x[j] * x[j] for j in range(d))
    logits = [sum(w[j, i] * x[j] for j in range(d)) + half * r[i] + c[i] for i in range(k)]
    top = logits[0]
    for logit in logits[1:]:
        top = torch.maximum(top, logit)
    p = [torch.exp(logit - top) for logit in logits]
    norm, shrink = 1 / sum(p), sum(p[i] * r[i] for i in range(k))
    return torch.stack([(sum(p[i] * w[j, i] for i in range(k)) - x[j] * shrink) * norm for j in range(d)])


SCORES = {
    "rows": score_rows, "rows as sums": score_sums, "columns": score_columns, "written out": score_written_out,
}


def euler_maruyama(score, x, z, h, now, _after):
    w, r, c, beta = now
    return x + h * beta * (0.5 * x + score(x, w, r, c)) + (h * beta).sqrt() * z


def heun(score, x, _z, h, now, after):
    def flow(x, level):
        w, r, c, beta = level
        return 0.5 * beta * (x + score(x, w, r, c))

    first = flow(x, now)
    return x + 0.5 * h * (first + flow(x + h * first, after))


def build(peer, job, precision, samples, variant):
    """A function of a seed that returns samples (n, d)."""
    chunk, rows, dtype = min(variant.chunk or samples, samples), variant.style == "plain", DTYPES[precision]
    levels = list(zip(*(torch.tensor(table, dtype=dtype) for table in tables(job))))
    step, score = {"euler-maruyama": euler_maruyama, "heun": heun}[job.method], SCORES[variant.layout]
    if peer == "torch.compile":
        step = torch.compile(step, dynamic=False)

    def chain(n):
        x = torch.randn((n, job.dim) if rows else (job.dim, n), dtype=dtype)
        z = torch.empty_like(x)
        for i in range(job.steps):
            if job.method == "euler-maruyama":
                z.normal_()
            x = step(score, x, z, job.h, levels[i], levels[i + 1])
        return x if rows else x.T

    @torch.inference_mode()
    def run(seed):
        torch.manual_seed(seed)
        return torch.cat([chain(min(chunk, samples - i)) for i in range(0, samples, chunk)]).numpy()

    return run
