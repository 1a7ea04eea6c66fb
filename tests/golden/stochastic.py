"""Stochastic samplers: the ancestral family, SDE multistep, SA-Solver, ER-SDE, SEEDS, and Roessler's SRA schemes.

Noise asked for over [t, s] is the normalised increment of a Brownian motion in k^2; `piece` weighs increments of
parts of a step, so that the whole is made of disjoint intervals.
"""

from mpmath import exp, expm1, factorial, mpf, quad, sqrt

from core import D, eps, one_step, per_mode, score
from exponential import dpmpp_2s, phi
from multistep import combination, differences, dpm_increment, weights
from runge_kutta import Clock

half = mpf(1) / 2


def ancestral_split(t, s, eta):
    up = min(s.k, eta * sqrt(s.k**2 * (t.k**2 - s.k**2) / t.k**2))
    return sqrt(s.k**2 - up**2), up


def ancestral(method, eta, s_noise):
    """k-diffusion: a deterministic step in y = x/a to the lower k, then noise."""
    def step(m, t, s, x, z):
        down, up = ancestral_split(t, s, eta)
        return s.a * (method(m, t, x / t.a, down) + up * s_noise * z)
    return step


def euler_in_k(m, t, y, down):
    return y + (down - t.k) * eps(m, t, t.a * y)


def dpm2_in_k(m, t, y, down):
    middle = t.schedule.at_k(sqrt(t.k * down))
    e = eps(m, middle, middle.a * (y + (middle.k - t.k) * eps(m, t, t.a * y)))
    return y + (down - t.k) * e


def dpmpp_2s_in_k(m, t, y, down):
    if down == 0:
        return D(m, t, t.a * y)
    s = t.schedule.at_k(down)
    return dpmpp_2s(half)(m, t, s, t.a * y, None) / s.a


def pieces(t, u, s, first, second):
    """The normalised increment over [t, s] from those over [t, u] and [u, s]."""
    return (sqrt(t.k**2 - u.k**2) * first + sqrt(u.k**2 - s.k**2) * second) / sqrt(t.k**2 - s.k**2)


def dpmpp_sde(eta, s_noise, r, brownian):
    """k-diffusion's dpmpp_sde; its own noise is a path in k, so that only the path in k^2 and no path are left."""
    def run(m, grid, x, noise):
        for t, s in zip(grid, grid[1:]):
            u, y, d = t.towards(s, r), x / t.a, D(m, t, x)
            first, rest = noise(t, u), noise(u, s)
            whole = pieces(t, u, s, first, rest) if brownian else rest
            down, up = ancestral_split(t, u, eta)
            inner = down / t.k * y + (1 - down / t.k) * d + up * s_noise * first
            mixed = (1 - 1 / (2 * r)) * d + 1 / (2 * r) * D(m, u, u.a * inner)
            down, up = ancestral_split(t, s, eta)
            x = s.a * (down / t.k * y + (1 - down / t.k) * mixed + up * s_noise * whole)
        return x
    return per_mode(run)


def sde_multistep(order, eta, s_noise=mpf(1), solver_type="midpoint", phi3="corrected", exact=False):
    """k-diffusion's dpmpp_2m_sde and dpmpp_3m_sde."""
    def run(m, grid, x, noise):
        levels, values = [], []
        for i, (t, s) in enumerate(zip(grid, grid[1:])):
            levels, values, h = ([t] + levels)[:order], ([D(m, t, x)] + values)[:order], s.lam - t.lam
            z, diff = -(1 + eta) * h, differences(levels, values, h)
            add = dpm_increment(z, diff, solver_type, {"corrected": 2}.get(phi3, 1))
            if len(diff) == 3 and phi3 == "diffusers":  # the sign of 1/2
                add += diff[2]
            x = s.q / t.q * exp(-eta * h) * x - s.a * add
            x = x + s.q * sqrt(-expm1(-2 * eta * h)) * s_noise * noise(t, s)
        return x
    return per_mode(run)


def sde_dpm_solver(order):
    """Lu et al. 2022b, eq. 16 and 18: eps form, lambda = 1."""
    def run(m, grid, x, noise):
        before = None
        for t, s in zip(grid, grid[1:]):
            h, e = s.lam - t.lam, eps(m, t, x)
            mixed = e
            if order == 2 and before:
                mixed = e + h / (2 * (t.lam - before[0].lam)) * (e - before[1])
            x = s.a / t.a * x - 2 * s.q * expm1(h) * mixed + s.q * sqrt(expm1(2 * h)) * noise(t, s)
            before = t, e
        return x
    return per_mode(run)


# ---------------------------------------------------------------- SA-Solver

def sa_solver(predictor, corrector, tau, lower_order_final=False, shipped=True):
    """Xue et al. 2023, algorithm 1 in data prediction, stochastic Adams; `tau` constant.

    x_s = q_s/q_t e^{-tau^2 h} x + (1 + tau^2) q_s e^{-tau^2 lam_s} sum_j D_j int e^{T lam} l_j + noise. With `shipped`,
    two points take the code's correction, which makes the slope's weight that of a midpoint.
    """
    T = 1 + tau**2

    def adams(t, s, nodes, values, x, z, implicit):
        h = s.lam - t.lam
        w = weights([(u.lam - t.lam) / h for u in nodes],
                    [h * factorial(k) * phi(k + 1, -T * h) for k in range(len(nodes))])  # over e^{T lam_s}
        w = [T * v for v in w]
        if len(nodes) == 2 and shipped:
            second = (h * T - 1 + exp(-T * h)) / T**2
            c = (half * h - second / h) if implicit else (h**2 / 2 - second) / (nodes[0].lam - nodes[1].lam)
            w = [w[0] + T * c, w[1] - T * c]
        return (s.q / t.q * exp(-tau**2 * h) * x + s.a * combination(zip(w, values))
                + s.q * sqrt(-expm1(-2 * tau**2 * h)) * z)

    def run(m, grid, x, noise):
        levels, values, n, before = [], [], len(grid) - 1, None
        for i, (t, s) in enumerate(zip(grid, grid[1:])):
            levels, values = [t] + levels, [D(m, t, x)] + values
            if before is not None:
                at, start, z = before
                c = min(corrector, n - i + 1 if lower_order_final else corrector, i + 1)
                x = adams(at, t, levels[:c], values[:c], start, z, implicit=True)
            z = noise(t, s)
            before = (t, x, z) if corrector else None
            p = min(predictor, n - i if lower_order_final else predictor, i + 1)
            x = adams(t, s, levels[:p], values[:p], x, z, implicit=False)
        return x
    return per_mode(run)


# ---------------------------------------------------------------- ER-SDE

ER = {  # Cui et al. 2023: phi(k)
    "ode": lambda k: k, "vp": lambda k: k**(mpf(3) / 2), "sde": lambda k: k**2,
    "er-sde-5": lambda k: k * (exp(k**mpf("0.3")) + 10),
}


def er_sde(order, name):
    """Cui et al. 2023, algorithms 1-3 in y = x/a and k."""
    scaling, cache = ER[name], {}

    def integrals(t, s):
        if (t, s) not in cache:
            cache[t, s] = [quad(lambda k: (k - t.k)**j / scaling(k), [s.k, t.k]) for j in (0, 1)]
        return cache[t, s]

    def run(m, grid, x, noise):
        levels, values = [], []
        for t, s in zip(grid, grid[1:]):
            ratio = scaling(s.k) / scaling(t.k)
            levels, values = [t] + levels, [D(m, t, x)] + values
            y = ratio * x / t.a + (1 - ratio) * values[0]
            if len(values) > 1 and order > 1:
                first, second = integrals(t, s)
                slope = (values[0] - values[1]) / (levels[0].k - levels[1].k)
                y += (s.k - t.k + scaling(s.k) * first) * slope
            if len(values) > 2 and order > 2:
                older = (values[1] - values[2]) / (levels[1].k - levels[2].k)
                y += ((s.k - t.k)**2 / 2 + scaling(s.k) * second) * 2 * (slope - older) / (levels[0].k - levels[2].k)
            x = s.a * (y + sqrt(s.k**2 - t.k**2 * ratio**2) * noise(t, s))
        return x
    return per_mode(run)


# ---------------------------------------------------------------- SEEDS

def seeds(order):
    """Gonzalez et al. 2023, algorithms 1-4: exponential stages in eps, lambda = 1, noise from one path."""
    r = {1: [], 2: [half], 3: [mpf(1) / 3, mpf(2) / 3]}[order]

    def run(m, grid, x, noise):
        for t, s in zip(grid, grid[1:]):
            h, e, stops = s.lam - t.lam, eps(m, t, x), [t] + [t.towards(s, share) for share in r] + [s]
            path = [sqrt(a.k**2 - b.k**2) * noise(a, b) for a, b in zip(stops, stops[1:])]

            def to(u, share, count, slope=None, over=None):
                y = u.a / t.a * x - 2 * u.q * expm1(share * h) * e + u.a * sum(path[:count])
                if slope is not None:
                    y += -2 * u.q * share / over * (expm1(share * h) / (share * h) - 1) * slope
                return y
            if order == 1:
                x = to(s, 1, 1)
            elif order == 2:
                u = stops[1]
                x = s.a / t.a * x - 2 * s.q * expm1(h) * eps(m, u, to(u, half, 1)) + s.a * sum(path)
            else:
                u1, u2 = stops[1:3]
                d1 = eps(m, u1, to(u1, r[0], 1)) - e
                d2 = eps(m, u2, to(u2, r[1], 2, d1, r[0])) - e
                x = to(s, 1, 3, d2, r[1])
        return x
    return per_mode(run)


# ---------------------------------------------------------------- Roessler's SRA: additive noise, strong order 1.5

SRA = {  # Roessler 2010, table 6.3: A, B, alpha, beta1, beta2, c1
    "sra1": ([[], [mpf(3) / 4]], [[], [mpf(3) / 2]], [mpf(1) / 3, mpf(2) / 3], [1, 0], [-1, 1], [1, 0]),
}


def sra(table, l, clock="t"):
    """dx = drift dt + sqrt(l) g dw in the clock: H_i = x + h sum A a(H_j) + sum B g(c1_j) I10/h."""
    A, B, alpha, beta1, beta2, c1 = SRA[table]
    clock = Clock(clock)
    c0 = [sum(row) for row in A]

    def run(m, grid, x, noise):
        for t, s in zip(grid, grid[1:]):
            h = t.t - s.t

            def drift(x, u):
                return -(u.f * x - (1 + l) / 2 * u.g2 * score(m, u, x))

            def level(c):
                return t.schedule.level(t.t - c * h)
            dw, other = sqrt(h) * noise(), sqrt(h) * noise()
            area, g = half * (dw + other / sqrt(mpf(3))), [sqrt(l * level(c).g2) for c in c1]
            k = []
            for row, brow, c in zip(A, B, c0):
                k.append(drift(x + h * combination(zip(row, k)) + combination(zip(brow, g)) * area, level(c)))
            x = (x + h * combination(zip(alpha, k)) + combination(zip(beta1, g)) * dw
                 + combination(zip(beta2, g)) * area)
        return x
    return per_mode(run)


# ---------------------------------------------------------------- the table

def more(schedule, grid):
    one = mpf(1)
    family = [("euler-ancestral", euler_in_k), ("dpm2-ancestral", dpm2_in_k), ("dpmpp-2s-ancestral", dpmpp_2s_in_k)]
    for name, method in family:
        for eta, s_noise in [("1.0", "1.0"), ("0.5", "1.0"), ("1.0", "1.02")]:
            tail = f", eta = {eta}, s_noise = {s_noise}" if (eta, s_noise) != ("1.0", "1.0") else ""
            path = mpf(eta)**2 if s_noise == "1.0" else None
            yield f'name = "{name}"' + tail, one_step(ancestral(method, mpf(eta), mpf(s_noise))), path
    for noise in ["brownian", "independent"]:
        for r, eta in [("0.5", "1.0"), ("0.3", "1.0"), ("0.5", "0.5")]:
            yield (f'name = "dpmpp-sde", noise = "{noise}", r = {r}, eta = {eta}',
                   dpmpp_sde(mpf(eta), one, mpf(r), noise == "brownian"),
                   mpf(eta)**2 if noise == "brownian" else None)
    for eta in ["1.0", "0.5"]:
        for kind in ["midpoint", "heun"]:
            yield (f'name = "dpmpp-2m-sde", solver_type = "{kind}", eta = {eta}',
                   sde_multistep(2, mpf(eta), solver_type=kind), mpf(eta))
        for phi3 in ["corrected", "shipped", "diffusers"]:
            yield (f'name = "dpmpp-3m-sde", phi3 = "{phi3}", eta = {eta}',
                   sde_multistep(3, mpf(eta), solver_type="heun", phi3=phi3),
                   mpf(eta) if phi3 != "diffusers" else None)
    yield ('name = "dpmpp-2m-sde", s_noise = 1.02', sde_multistep(2, one, mpf("1.02")), None)
    for p in [1, 2]:
        yield f'name = "sde-dpm-solver-{p}"', sde_dpm_solver(p), one
    for p, c, tau in [(2, 2, "1.0"), (2, 2, "0.5"), (3, 3, "1.0"), (2, 0, "1.0"), (3, 0, "0.0"), (1, 1, "1.0"),
                      (3, 4, "0.8"), (1, 0, "1.0")]:
        yield (f'name = "sa-solver", predictor_order = {p}, corrector_order = {c}, tau = {tau}',
               sa_solver(p, c, mpf(tau)), mpf(tau)**2)
    for p in [1, 2, 3]:
        yield f'name = "er-sde", order = {p}', er_sde(p, "er-sde-5"), None
        yield f'name = "seeds-{p}"', seeds(p), one
    yield 'name = "sra1"', sra("sra1", one), None
    yield 'name = "sra1", lambda = 0.5', sra("sra1", half), None


IDENTITIES = [
    ('name = "euler-ancestral"', 'name = "ddim", eta = 1.0'),
    ('name = "sde-dpm-solver-1"', 'name = "exponential-integrator", frozen = "eps", lambda = 1.0'),
    ('name = "sde-dpm-solver-1"', 'name = "seeds-1"'),
]
