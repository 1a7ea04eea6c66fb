"""torchsde: sdeint with the Euler scheme and its own BrownianInterval. Plain: rows; tuned: columns, a compiled drift. Chunks
only add to what a step of the interval costs."""

import torch
import torchsde

from problem import START, beta, coefficients, data_arrays, variants as grid
from with_torch import DTYPES, SCORES, unavailable as torch_unavailable

VERSION = f"torchsde {torchsde.__version__}"


def unavailable(_peer):
    return torch_unavailable("torch.compile")  # the tuned drift


def variants(_peer, job):
    return grid(["rows", "columns"], [None]) if job.method == "euler-maruyama" else []


class Reverse(torch.nn.Module):
    """The reverse SDE in tau = 1 - t."""

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, job, dtype, variant):
        super().__init__()
        data = [torch.tensor(a, dtype=dtype) for a in data_arrays(job)]
        score = SCORES[variant.layout]

        def drift(tau, x):
            t = START - tau
            return beta(t) * (0.5 * x + score(x, *coefficients(torch, t, *data)))

        self.f = drift if variant.style == "plain" else torch.compile(drift, dynamic=False)

    def g(self, tau, x):
        return beta(START - tau).sqrt().expand(x.shape)


def build(_peer, job, precision, samples, variant):
    """A function of a seed that returns samples (n, d)."""
    rows, dtype = variant.layout == "rows", DTYPES[precision]
    shape = (samples, job.dim) if rows else (job.dim, samples)
    sde, span = Reverse(job, dtype, variant), torch.tensor([0.0, job.h * job.steps], dtype=dtype)

    @torch.no_grad()
    def run(seed):
        torch.manual_seed(seed)
        path = torchsde.BrownianInterval(span[0], span[1], size=shape, dtype=dtype, entropy=seed)
        x = torchsde.sdeint(sde, torch.randn(shape, dtype=dtype), span, bm=path, method="euler", dt=job.h)[-1]
        return (x if rows else x.T).numpy()

    return run
