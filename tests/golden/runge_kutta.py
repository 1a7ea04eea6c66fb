"""Runge-Kutta methods for the probability flow: in t, in k and in lambda, explicit, iterated, with churn."""

from mpmath import exp, mpf, sqrt

import tableaux
from core import eps_of_y, one_step, score


class Clock:
    """An independent variable: dx/dt in x, and dy/dk = eps, dy/dlambda = -k eps in y = x/a."""

    def __init__(self, name):
        self.name = name

    def read(self, u):
        return {"t": u.t, "edm": u.k, "lambda": u.lam}[self.name]

    def level(self, t, at):
        """The level where this clock shows `at`, on the schedule of t."""
        return t.schedule.level(at) if self.name == "t" else t.schedule.at_k(at if self.name == "edm" else exp(-at))

    def scale(self, u):
        return mpf(1) if self.name == "t" else u.a

    def slope(self, m, schedule):
        if self.name == "t":
            def of_x(x, at):
                u = schedule.level(at)
                return u.f * x - u.g2 / 2 * score(m, u, x)
            return of_x

        def of_y(y, at):  # Var y = c + k^2: in y the k alone says what the level is
            k = at if self.name == "edm" else exp(-at)
            return (1 if self.name == "edm" else -k) * eps_of_y(m, k, y)
        return of_y


def in_clock(clock, method):
    clock = Clock(clock)

    def step(m, t, s, x, z):
        return clock.scale(s) * method(clock.slope(m, t.schedule), x / clock.scale(t), clock.read(t), clock.read(s))
    return step


def explicit(text):
    a, b, c = tableaux.explicit(text)

    def method(slope, x, t, s):
        h, k = s - t, []
        for row, node in zip(a, c):
            k.append(slope(x + h * sum(w * v for w, v in zip(row, k)), t + node * h))
        return x + h * sum(w * v for w, v in zip(b, k))
    return method


def iterated(table, sweeps):
    """An implicit table by fixed-point sweeps over all stages at once, begun with the slope at the start.

    A first stage that is the start of the step is not asked for again.
    """
    a, b, c = table
    skip = 1 if all(abs(w) < mpf("1e-45") for w in a[0]) else 0

    def method(slope, x, t, s):
        h = s - t
        k = [slope(x, t)] * len(b)
        for _ in range(sweeps):
            k = k[:skip] + [slope(x + h * sum(w * v for w, v in zip(row, k)), t + node * h)
                            for row, node in zip(a[skip:], c[skip:])]
        return x + h * sum(w * v for w, v in zip(b, k))
    return method


def geometric_midpoint(slope, x, t, s):
    """k-diffusion's dpm_2: the middle in log kappa, the step in kappa."""
    middle = sqrt(t * s)
    return x + (s - t) * slope(x + (middle - t) * slope(x, t), middle)


def churned(method, n, s_churn, s_min=mpf(0), s_max=mpf("inf"), s_noise=mpf(1)):
    """Karras et al. 2022, algorithm 2, with any step in kappa."""
    clock = Clock("edm")

    def step(m, t, s, x, z):
        gamma = min(s_churn / n, sqrt(mpf(2)) - 1) if s_min <= t.k <= s_max else 0
        hat = t.k * (1 + gamma)
        y = x / t.a + s_noise * sqrt(hat**2 - t.k**2) * z
        return s.a * method(clock.slope(m, t.schedule), y, hat, s.k)
    return step


HEUN, RK4 = (explicit(tableaux.EXPLICIT[name][1]) for name in ["heun-2", "classic-4"])


def rows(schedule, grid):
    """(TOML, NFE, sampler, l) of the four that other families are compared with."""
    n = len(grid) - 1
    for name, table in [("euler", "euler-1"), ("midpoint", "midpoint-2"), ("heun", "heun-2"), ("rk4", "classic-4")]:
        order, text = tableaux.EXPLICIT[table]
        for clock in ["t", "edm"]:
            yield f'name = "{name}", clock = "{clock}"', order * n, one_step(in_clock(clock, explicit(text))), mpf(0)
    if schedule.toml.split('"')[1] in ["vp-linear", "edm"]:
        yield 'name = "heun", clock = "edm", s_churn = 20.0', 2 * n, one_step(churned(HEUN, n, mpf(20))), None


def more(schedule, grid):
    """(TOML, sampler, l); the calls are counted."""
    n = len(grid) - 1
    for name, (order, text) in tableaux.EXPLICIT.items():
        for clock in ["t", "edm", "lambda"] if name in ["ralston-2", "kutta-3", "three-eighths-4"] else ["edm"]:
            yield (f'name = "runge-kutta", table = "{name}", clock = "{clock}"',
                   one_step(in_clock(clock, explicit(text))), mpf(0))
    for name, (order, table) in tableaux.implicit().items():
        if name == "radau-ia-1":  # the backward Euler method's twin with a node at 0
            continue
        yield (f'name = "implicit-runge-kutta", table = "{name}", clock = "edm"',
               one_step(in_clock("edm", iterated(table, max(order - 1, 1)))), mpf(0))
    two = tableaux.implicit()["gauss-4"][1]
    for clock, sweeps in [("t", 3), ("lambda", 5), ("edm", 1)]:
        yield (f'name = "implicit-runge-kutta", table = "gauss-4", clock = "{clock}", sweeps = {sweeps}',
               one_step(in_clock(clock, iterated(two, sweeps))), mpf(0))
    for name, table in [("bs23", "ralston-3"), ("dopri5", "dopri5"), ("rk45", "dopri5"), ("dop853", "dop853")]:
        for clock in ["t", "edm", "lambda"]:  # over given levels, which is what their plans are made of
            yield (f'name = "{name}", clock = "{clock}"',
                   one_step(in_clock(clock, explicit(tableaux.EXPLICIT[table][1]))), mpf(0))
    yield 'name = "dpm2"', one_step(in_clock("edm", geometric_midpoint)), mpf(0)
    for name, method in [("dpm2", geometric_midpoint), ("heun", HEUN), ("edm-stochastic", HEUN)]:
        clock = ', clock = "edm"' if name == "heun" else ""
        yield (f'name = "{name}"{clock}, s_churn = 3.0, s_min = 0.05, s_max = 50.0, s_noise = 1.003',
               one_step(churned(method, n, mpf(3), mpf("0.05"), mpf(50), mpf("1.003"))), None)


IDENTITIES = []
