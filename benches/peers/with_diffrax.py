"""diffrax: Euler with an UnsafeBrownianPath (diffrax) or a VirtualBrownianTree (diffrax-tree), Heun for the flow.

Time runs forward in tau = 1 - t. Plain: the state is (n, d). Tuned: (d, n).
"""

import diffrax as dx
import jax
import jax.numpy as jnp
import lineax as lx

from problem import START, beta, coefficients, data_arrays, variants as grid
from with_jax import SCORES, dtype_of, in_chunks

VERSION = f"diffrax {dx.__version__}"


def variants(peer, job):
    if peer == "diffrax-tree":  # slow, and no chunk changes that
        return grid(["rows", "columns"], [4000]) if job.method == "euler-maruyama" else []
    return grid(["rows", "columns"], [None, 4000, 1000])


def build(peer, job, precision, samples, variant):
    """A function of a seed that returns samples (n, d)."""
    dtype, rows, chunk = dtype_of(precision), variant.layout == "rows", variant.chunk or samples
    score, shape = SCORES[variant.layout], (chunk, job.dim) if rows else (job.dim, chunk)
    data = [jnp.asarray(a, dtype) for a in data_arrays(job)]
    span = jax.ShapeDtypeStruct(shape, dtype)
    levels = jnp.linspace(0, job.h * job.steps, job.steps + 1, dtype=dtype)

    def flow(tau, x, _args):
        t = START - tau
        return 0.5 * beta(t) * (x + score(x, *coefficients(jnp, t, *data)))

    def drift(tau, x, _args):
        t = START - tau
        return beta(t) * (0.5 * x + score(x, *coefficients(jnp, t, *data)))

    def diffusion(tau, _x, _args):
        return jnp.sqrt(beta(START - tau)) * lx.IdentityLinearOperator(span)

    def chain(key):
        start, noise = jax.random.split(key)
        if job.method == "heun":
            terms, solver = dx.ODETerm(flow), dx.Heun()
        else:
            path = (dx.UnsafeBrownianPath(span, noise) if peer == "diffrax"
                    else dx.VirtualBrownianTree(levels[0], levels[-1], job.h / 2, span, noise))
            terms, solver = dx.MultiTerm(dx.ODETerm(drift), dx.ControlTerm(diffusion, path)), dx.Euler()
        x = jax.random.normal(start, shape, dtype)
        return dx.diffeqsolve(
            terms, solver, levels[0], levels[-1], None, x, stepsize_controller=dx.StepTo(ts=levels),
            adjoint=dx.ForwardMode(), max_steps=job.steps).ys[0]

    return in_chunks(chain, samples, chunk, rows)
