"""Error constants of diffusion samplers on Gaussian data: an independent second implementation.

Writes error_constants.csv beside itself.  Needs mpmath==1.4.1 (gmpy2 makes it faster, no digit changes).
50 digits throughout, so that what is printed is the scheme's error and never round-off (the KL of a fourth
order method is of the order of 1e-24).
"""

import csv
import sys
from pathlib import Path

from mpmath import log, mp, mpf, quad

import classical
import exponential
import multistep
import runge_kutta
import stochastic
import tableaux
from core import (ZERO, Calls, Edm, Flow, SubVp, VeGeometric, VpCosine, VpLinear, karras, law, marginal, metrics,
                  quadratic_t, strong_error, uniform_lambda, uniform_t, w2)

BASE = [classical, runge_kutta, multistep]  # run on every problem
MORE = [runge_kutta, exponential, multistep, stochastic]  # run on some
COLUMNS = ["schedule", "grid", "steps", "solver", "nfe", "w2", "w2_data", "kl", "mean_error", "cov_error",
           "strong_error"]


# ---------------------------------------------------------------- the table

def problems():
    """(schedule, grid as TOML, N, levels, whether the whole catalogue is run there)"""
    def one(schedule, toml, n, make, *ends, all=False):
        return schedule, toml, n, make(schedule, n, *ends), all
    vp = VpLinear()
    for n in [16, 64, 256, 1024]:
        yield one(vp, 'name = "uniform-lambda", start = 1.0, end = 0.001', n, uniform_lambda, "1", "0.001",
                  all=n == 16)
    yield one(vp, 'name = "uniform-t", start = 1.0, end = 0.001', 64, uniform_t, "1", "0.001")
    yield one(vp, 'name = "quadratic-t", start = 1.0, end = 0.001', 64, quadratic_t, "1", "0.001")
    edm = 'name = "karras", rho = 7.0, sigma_max = 80.0, sigma_min = 0.002, final = "sigma_min"'
    yield one(Edm(), edm, 64, karras, "80", "0.002")
    yield one(Flow(), 'name = "uniform-t", start = 0.99, end = 0.01', 64, uniform_t, "0.99", "0.01")
    yield one(Flow(), 'name = "uniform-t", start = 0.99, end = 0.01', 8, uniform_t, "0.99", "0.01", all=True)
    yield one(SubVp(), 'name = "uniform-t", start = 1.0, end = 0.01', 64, uniform_t, "1", "0.01")
    yield one(VpCosine(), 'name = "uniform-t", start = 0.95, end = 0.01', 64, uniform_t, "0.95", "0.01")
    yield one(VeGeometric(), 'name = "uniform-t", start = 1.0, end = 0.0', 64, uniform_t, "1", "0")


def counted(run, grid):
    """States and calls of a run over all modes; a sampler says how often it goes over each step."""
    Calls.count = 0
    states = run(grid)
    calls, rest = divmod(Calls.count, len(states) * getattr(run, "passes", 1))
    assert rest == 0
    return states, calls


def solvers(schedule, grid, all):
    """(solver as TOML, states, NFE, l of its equation where it has a path)"""
    for family in BASE:
        for solver, nfe, run, l in family.rows(schedule, grid):
            yield solver, run(grid), nfe, l
    if all:
        for family in MORE:
            for solver, run, l in family.more(schedule, grid):
                yield solver, *counted(run, grid), l


def check(schedule, grid, laws):
    def same(p, r, what):
        assert w2(p, r) < ZERO, (schedule.toml, what)
    for family in [classical] + MORE:
        for one, other in family.IDENTITIES:
            if one in laws and other in laws:
                same(laws[one], laws[other], (one, other))
    same(laws['name = "ddpm", variance = "exact"'], marginal(grid[-1]), "exact reverse chain")
    if schedule.toml == Edm.toml:  # t is kappa
        for method in ["euler", "midpoint", "heun", "rk4"]:
            same(laws[f'name = "{method}", clock = "t"'], laws[f'name = "{method}", clock = "edm"'], method)
    for t, s in [(grid[0], grid[1]), (grid[-2], grid[-1])]:  # closed forms against the definitions
        integral = quad(lambda u: schedule.level(u).g2 / schedule.level(u).a, [s.t, t.t])
        assert abs(schedule.score_weight(t, s) / integral - 1) < mpf("1e-30"), schedule.toml
        assert abs(mp.diff(lambda u: log(schedule.level(u).a), t.t) - t.f) < mpf("1e-15") * (1 + abs(t.f))
        dq2 = mp.diff(lambda u: schedule.level(u).q**2, t.t)
        assert abs(dq2 - 2 * t.f * t.q**2 - t.g2) < mpf("1e-15") * t.g2, schedule.toml


def main():
    tableaux.check()
    rows = []
    for schedule, toml, n, grid, all in problems():
        print(schedule.toml, "|", toml, "|", n, file=sys.stderr)
        laws = {}
        for solver, states, nfe, l in solvers(schedule, grid, all):
            assert solver not in laws, solver
            laws[solver] = law(states)
            values = metrics(states, grid[-1])
            if l is not None and n <= 64:
                values["strong_error"] = strong_error(states, grid, l)
            numbers = ["" if c not in values else "0" if abs(values[c]) < ZERO else f"{float(values[c]):.13e}"
                       for c in COLUMNS[5:]]
            rows.append([schedule.toml, toml, n, solver, nfe, *numbers])
        check(schedule, grid, laws)
    with open(Path(__file__).with_suffix(".csv"), "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
