"""What installed packages make of Gaussian data, for experiments/20-audit-packages.toml.

    pip install azula==0.11.1          (and what tests/fixtures/README.md says)
    python packages.py > packages.csv  (a minute; candle.rs beside this file adds the lines of candle-transformers)

The exact output law of a sampler is found as in tests/fixtures/regenerate.py, whose probe is used. `w2` is from the exact
marginal at the last level, of a run that starts from the exact marginal at the first: order is then of the method alone. `mended`
means the same source with the one change that `MENDED` says. x is the number of steps.
"""
import csv
import inspect
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "fixtures"))
import regenerate as r  # noqa: E402 (its folder first)
import numpy as np  # noqa: E402
import torch  # noqa: E402
import azula.denoise  # noqa: E402
import azula.noise  # noqa: E402
import azula.sample  # noqa: E402

STEPS = [20, 40, 80, 160, 320, 640]
MULTISTEP = sys.modules["diffusers.schedulers.scheduling_dpmsolver_multistep"]
# Where in which source what stands, and what should.
MENDED = {
    "diffusers": (MULTISTEP.DPMSolverMultistepScheduler, "multistep_dpm_solver_third_order_update",
                  {"D2 = (1.0 / (r0 + r1))": "D2 = (2.0 / (r0 + r1))"}),
    "diffusers, sde": (MULTISTEP.DPMSolverMultistepScheduler, "multistep_dpm_solver_third_order_update",
                       {"- 2.0 * h) / (2.0 * h) ** 2 - 0.5)) * D2": "- 2.0 * h) / (2.0 * h) ** 2 + 0.5)) * D2"}),
    "k-diffusion": (r.K, "sample_dpmpp_3m_sde", {"d2 = (d1_0 - d1_1) / (r0 + r1)": "d2 = 2 * (d1_0 - d1_1) / (r0 + r1)"}),
    "azula": (azula.sample.REABSampler, "__call__", {"torch.sqrt(alpha_s**2 + sigma_t**2)": "torch.sqrt(alpha_s**2 + sigma_s**2)"}),
}


class Mended:
    """A function of a package with words of its source replaced."""

    def __init__(self, which):
        self.owner, self.name, words = MENDED[which]
        self.shipped = getattr(self.owner, self.name)
        source = inspect.cleandoc("\n" + inspect.getsource(self.shipped))
        for wrong, right in words.items():
            if source.count(wrong) != 1:
                sys.exit(f"{which}: {wrong!r} is not there once")
            source = source.replace(wrong, right)
        space = dict(sys.modules[self.owner.__module__ if inspect.isclass(self.owner) else self.owner.__name__].__dict__)
        exec(source, space)
        self.right = space[self.name]

    def __enter__(self):
        setattr(self.owner, self.name, self.right)

    def __exit__(self, *_):
        setattr(self.owner, self.name, self.shipped)


def w2(law, space, first, end):
    """From the exact marginal at kappa `end`, for a start from that at kappa `first`."""
    def marginal(kappa):
        alpha, sigma = (1.0, kappa) if space == "ve" else r.vp(kappa)
        return alpha * r.MEAN, alpha * alpha * r.VARIANCE + sigma * sigma
    (m0, v0), (m1, v1) = marginal(first), marginal(end)
    mean = law["mean"] + law["gain"] * m0
    variance = law["variance"] + law["gain"]**2 * (v0 - law["init"]**2)
    return math.sqrt(np.sum((mean - m1)**2 + (np.sqrt(variance) - np.sqrt(v1))**2))


def to_the_last_call(run, x):
    """As a pipeline, but without the step after the last but one level, which goes to sigma = 0 and is never refined."""
    s = run.scheduler
    for t in s.timesteps[:-1]:
        x = s.step(run.model(x, t), t, x).prev_sample
    return x


def diffusers(name, options, n):
    """In n steps between n + 1 levels."""
    r.LOOPS[name] = to_the_last_call
    law = r.diffusers_law(name, options, n + 1)
    del r.LOOPS[name]
    return w2(law, law["space"], law["first"], law["grid"][1][n])


def in_float32(n, wide):
    """DEIS of order 3 with tables of float64 or as shipped, to its last level."""
    law = r.diffusers_law("DEISMultistep", "solver_order=3", n, wide)
    return w2(law, law["space"], law["first"], law["end"])


def k_diffusion(name, options, kind, n):
    law = r.k_diffusion_law(name, options, kind, "sigma_min", n + 1)
    return w2(law, "ve", r.SIGMA_MAX, r.SIGMA_MIN)


class Exact(azula.denoise.Denoiser):
    """The exact denoiser."""

    def __init__(self, schedule):
        super().__init__()
        self.schedule = schedule

    def forward(self, x, t, **_):
        return azula.denoise.DiracPosterior(mean=r.denoise(x, *self.schedule(t)))


def azula_law(sampler, n, **options):
    first, end = 2.0, 0.1
    denoiser = Exact(azula.noise.VESchedule(sigma_min=end, sigma_max=first))
    run = sampler(denoiser, steps=n, silent=True, dtype=torch.float64, **options)
    law = r.probe(lambda x, _: run(x), first) | dict(init=first)
    return w2(law, "ve", first, end)


def rows():
    karras = "use_karras_sigmas=True"
    multistep = "DPMSolverMultistep"
    third = f"solver_order=3;{karras}"
    sde = f"algorithm_type=sde-dpmsolver++;{third}"
    for n in STEPS:
        yield "w2", "DPMSolverMultistep, order 3", n, diffusers(multistep, third, n)
        yield "w2", "DPMSolverMultistep, order 2", n, diffusers(multistep, third.replace("3", "2", 1), n)
        yield "w2", "sde-dpmsolver++, order 3", n, diffusers(multistep, sde, n)
        yield "w2", "sde-dpmsolver++, order 2", n, diffusers(multistep, sde.replace("order=3", "order=2"), n)
        yield "w2", "singlestep sde-dpmsolver++, order 2", n, diffusers("DPMSolverSinglestep", sde.replace("order=3", "order=2"), n)
        with Mended("diffusers"):
            yield "w2", "DPMSolverMultistep, order 3, mended", n, diffusers(multistep, third, n)
        with Mended("diffusers, sde"):
            yield "w2", "sde-dpmsolver++, order 3, mended", n, diffusers(multistep, sde, n)
        yield "w2", "sample_dpmpp_3m_sde, eta 0", n, k_diffusion("dpmpp_3m_sde", "eta=0.0", "brownian", n)
        with Mended("k-diffusion"):
            yield "w2", "sample_dpmpp_3m_sde, eta 0, mended", n, k_diffusion("dpmpp_3m_sde", "eta=0.0", "brownian", n)
        yield "w2", "sample_dpmpp_sde, Brownian tree", n, k_diffusion("dpmpp_sde", "eta=1.0", "brownian", n)
        yield "w2", "sample_dpmpp_sde, independent noise", n, k_diffusion("dpmpp_sde", "eta=1.0", "independent", n)
        yield "w2", "REABSampler, order 2", n, azula_law(azula.sample.REABSampler, n, order=2)
        with Mended("azula"):
            yield "w2", "REABSampler, order 2, mended", n, azula_law(azula.sample.REABSampler, n, order=2)
    # The tables that are shipped are of float32.
    for n in [10, 50, 250, 999]:
        yield "w2", "DEISMultistep, order 3, float64 tables", n, in_float32(n, wide=True)
        yield "w2", "DEISMultistep, order 3, float32 tables", n, in_float32(n, wide=False)
    # A step ends at t - 1000 // n, which is the next timestep of the list only with leading, or where n divides 1000.
    for n in [50, 250, 300, 500, 700]:
        for spacing in ("leading", "trailing", "linspace"):
            law = r.diffusers_law("DDIM", f"timestep_spacing={spacing}", n)
            yield "w2 to the data", f"DDIM, {spacing}", n, w2(law, "vp", law["first"], 0.0)
    for name in ("DPMSolverMultistep", "UniPCMultistep", "DEISMultistep", "SASolver"):
        for n in (50, 999, 1000):
            yield "finite", name, n, finite(name, "default", n)
    yield "finite", "UniPCMultistep, bh1", 50, finite("UniPCMultistep", "solver_type=bh1", 50)
    yield "finite", "DDPM, fixed_large_log", 50, finite("DDPM", "variance_type=fixed_large_log", 50)
    yield "finite", "DDPM, fixed_large", 50, finite("DDPM", "variance_type=fixed_large", 50)


def finite(name, options, n):
    """1 if what comes out is finite, 0 if it is not; the model says 0.1, whatever it is asked."""
    with r.patched(r.Noise(), True):
        scheduler = r.Shipped(name, options, n).scheduler
        scheduler.set_timesteps(n)
        x = torch.ones(1, len(r.MEAN))
        for t in scheduler.timesteps:
            x = scheduler.step(torch.full_like(x, 0.1), t, x).prev_sample
    return int(bool(torch.isfinite(x).all()))


if __name__ == "__main__":
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["quantity", "case", "x", "value"])
    for quantity, case, x, value in rows():
        out.writerow([quantity, case, x, f"{value:.12g}"])
        sys.stdout.flush()
