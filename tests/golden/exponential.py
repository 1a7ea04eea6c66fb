"""Exponential Runge-Kutta methods in lambda, and the singlestep DPM-Solvers as their papers print them.

With u = x/a, du/dlambda = -u + D, and with u = x/q, du/dlambda = u - eps: in both forms the linear part is solved
exactly and a table of functions of c_i h says how the rest enters.
"""

import functools

from mpmath import exp, expm1, factorial, mp, mpf, sqrt

from core import D, eps, one_step, per_mode

third, half = mpf(1) / 3, mpf(1) / 2


@functools.lru_cache(maxsize=None)
def phi(k, z):
    """phi_0 = exp, phi_{k+1}(z) = (phi_k(z) - 1/k!)/z."""
    with mp.workdps(120):
        value = exp(z)
        for j in range(k):
            value = (value - 1 / factorial(j)) / z if z else 1 / factorial(j + 1)
    return +value


# ---------------------------------------------------------------- tables: z -> rows of a (tail zeros left out), b

def etdrk2(z):  # Cox & Matthews 2002, eq. 22
    return [[], [phi(1, z)]], [phi(1, z) - phi(2, z), phi(2, z)]


def res_2s(c2):  # Hochbruck & Ostermann 2005, eq. 5.3
    def table(z):
        return [[], [c2 * phi(1, c2 * z)]], [phi(1, z) - phi(2, z) / c2, phi(2, z) / c2]
    return [0, c2], table


def dpm_2s(c2):  # the weak variant, eq. 5.4: DPM-Solver-2
    def table(z):
        return [[], [c2 * phi(1, c2 * z)]], [(1 - 1 / (2 * c2)) * phi(1, z), phi(1, z) / (2 * c2)]
    return [0, c2], table


def etdrk3(z):  # Cox & Matthews 2002, eq. 23-25
    p1, p2, p3 = (phi(k, z) for k in (1, 2, 3))
    return ([[], [half * phi(1, z / 2)], [-p1, 2 * p1]],
            [p1 - 3 * p2 + 4 * p3, 4 * p2 - 8 * p3, 4 * p3 - p2])


def res_3s(c2, c3):  # Hochbruck & Ostermann 2005, eq. 5.8 with 2 (g c2 + c3) = 3 (g c2^2 + c3^2)
    g = (3 * c3**2 - 2 * c3) / (c2 * (2 - 3 * c2))

    def table(z):
        a32 = g * c2 * phi(2, c2 * z) + c3**2 / c2 * phi(2, c3 * z)
        b2, b3 = g / (g * c2 + c3) * phi(2, z), 1 / (g * c2 + c3) * phi(2, z)
        return [[], [c2 * phi(1, c2 * z)], [c3 * phi(1, c3 * z) - a32, a32]], [phi(1, z) - b2 - b3, b2, b3]
    return [0, c2, c3], table


def dpm_3s(c2, c3):  # Lu et al. 2022, algorithm 5
    def table(z):
        a32, b3 = c3**2 / c2 * phi(2, c3 * z), phi(2, z) / c3
        return [[], [c2 * phi(1, c2 * z)], [c3 * phi(1, c3 * z) - a32, a32]], [phi(1, z) - b3, 0, b3]
    return [0, c2, c3], table


def four_stage_weights(z):
    p1, p2, p3 = (phi(k, z) for k in (1, 2, 3))
    return [p1 - 3 * p2 + 4 * p3, 2 * p2 - 4 * p3, 2 * p2 - 4 * p3, 4 * p3 - p2]


def cox_matthews(z):  # Cox & Matthews 2002, eq. 26-29
    w = phi(1, z / 2)
    return [[], [w / 2], [0, w / 2], [w / 2 * expm1(z / 2), 0, w]], four_stage_weights(z)


def krogstad(z):  # Krogstad 2005, eq. 51
    w, v, p1, p2 = phi(1, z / 2), phi(2, z / 2), phi(1, z), phi(2, z)
    return [[], [w / 2], [w / 2 - v, v], [p1 - 2 * p2, 0, 2 * p2]], four_stage_weights(z)


def strehmel_weiner(z):  # Hochbruck & Ostermann 2005, example 5.16 (5.21 in the survey of 2010)
    w, v, p1, p2, p3 = phi(1, z / 2), phi(2, z / 2), *(phi(k, z) for k in (1, 2, 3))
    return ([[], [w / 2], [(w - v) / 2, v / 2], [p1 - 2 * p2, -2 * p2, 4 * p2]],
            [p1 - 3 * p2 + 4 * p3, 0, 4 * p2 - 8 * p3, 4 * p3 - p2])


def hochbruck_ostermann(z):  # Hochbruck & Ostermann 2005, eq. 5.19
    w, v, q3 = phi(1, z / 2), phi(2, z / 2), phi(3, z / 2)
    p1, p2, p3 = (phi(k, z) for k in (1, 2, 3))
    a52 = v / 2 - p3 + p2 / 4 - q3 / 2
    a54 = v / 4 - a52
    return ([[], [w / 2], [w / 2 - v, v], [p1 - 2 * p2, p2, p2], [w / 2 - 2 * a52 - a54, a52, a52, a54]],
            [p1 - 3 * p2 + 4 * p3, 0, 0, 4 * p3 - p2, 4 * p2 - 8 * p3])


def friedli(z):  # Friedli 1978, as in Minchev & Wright 2005
    rows, b = strehmel_weiner(z)
    p1, p2 = phi(1, z), phi(2, z)
    return rows[:3] + [[p1 - 2 * p2, -26 * p1 / 25 + 2 * p2 / 25, 26 * p1 / 25 + 48 * p2 / 25]], b


def cfree(z):  # Celledoni, Marthinsen & Owren 2003
    w, p1 = phi(1, z / 2), phi(1, z)
    return cox_matthews(z)[0], [p1 / 2 - w / 3, p1 / 3, p1 / 3, w / 3 - p1 / 6]


def rkmk_4t(z):  # Munthe-Kaas 1999 with the commutators truncated
    w, p1 = phi(1, z / 2), phi(1, z)
    return ([[], [w / 2], [z / 8 * w, (1 - z / 4) * w / 2], [0, 0, p1]],
            [p1 / 6 * (1 + z / 2), p1 / 3, p1 / 3, p1 / 6 * (1 - z / 2)])


def etd2cf3(z):  # the order 3 part of a pair in Minchev & Wright 2005
    p1, p2, p3, u = (*(phi(k, z) for k in (1, 2, 3)), phi(2, 2 * z / 3))
    return ([[], [phi(1, z / 3) / 3], [2 * phi(1, 2 * z / 3) / 3 - 4 * u / 3, 4 * u / 3]],
            [p1 - 9 * p2 / 2 + 9 * p3, 6 * p2 - 18 * p3, -3 * p2 / 2 + 9 * p3])


def lawson(c, a, b):
    """The integrating factor: a classical table on exp(-L t) u."""
    def table(z):
        return ([[w * exp((ci - cj) * z) for w, cj in zip(row, c)] for row, ci in zip(a, c)],
                [w * exp((1 - cj) * z) for w, cj in zip(b, c)])
    return c, table


TABLES = {
    "etdrk2": ([0, 1], etdrk2), "etdrk3": ([0, half, 1], etdrk3),
    "res-2s": res_2s(half), "res-3s": res_3s(half, mpf(1)), "dpm-2s": dpm_2s(half), "dpm-3s": dpm_3s(third, 2 * third),
    "cox-matthews-4": ([0, half, half, 1], cox_matthews), "krogstad-4": ([0, half, half, 1], krogstad),
    "strehmel-weiner-4": ([0, half, half, 1], strehmel_weiner),
    "hochbruck-ostermann-4": ([0, half, half, 1, half], hochbruck_ostermann),
    "euler-1": ([0], lambda z: ([[]], [phi(1, z)])), "etd2cf3": ([0, third, 2 * third], etd2cf3),
    "friedli-4": ([0, half, half, 1], friedli), "cfree-4": ([0, half, half, 1], cfree),
    "rkmk-4t": ([0, half, half, 1], rkmk_4t), "lawson-1": lawson([0], [[]], [mpf(1)]),
    "lawson-2-trapezoidal": lawson([0, 1], [[], [mpf(1)]], [half, half]),
    "lawson-2": lawson([0, half], [[], [half]], [0, mpf(1)]),
    "lawson-4": lawson([0, half, half, 1], [[], [half], [0, half], [0, 0, mpf(1)]],
                       [mpf(1) / 6, third, third, mpf(1) / 6]),
}


def exponential(form, c_and_table):
    c, table = c_and_table[0], functools.lru_cache(maxsize=None)(c_and_table[1])

    def step(m, t, s, x, z):
        h, sign = s.lam - t.lam, 1 if form == "eps" else -1
        model = (lambda u, x: -eps(m, u, x)) if form == "eps" else (lambda u, x: D(m, u, x))
        scale = (lambda u: u.q) if form == "eps" else (lambda u: u.a)
        (rows, b), start, k = table(sign * h), x / scale(t), []
        for row, node in zip(rows, c):
            u = t.towards(s, node) if node else t
            stage = exp(sign * node * h) * start + h * sum(w * v for w, v in zip(row, k))
            k.append(model(u, scale(u) * stage))
        return scale(s) * (exp(sign * h) * start + h * sum(w * v for w, v in zip(b, k)))
    return step


# ---------------------------------------------------------------- as the papers print them

def dpm_solver_1(m, t, s, x, z):  # Lu et al. 2022, eq. 3.7
    return s.a / t.a * x - s.q * expm1(s.lam - t.lam) * eps(m, t, x)


def dpm_solver_2(r1):  # algorithm 4
    def step(m, t, s, x, z):
        h, u, e = s.lam - t.lam, t.towards(s, r1), eps(m, t, x)
        y = u.a / t.a * x - u.q * expm1(r1 * h) * e
        return s.a / t.a * x - s.q * expm1(h) * e - s.q / (2 * r1) * expm1(h) * (eps(m, u, y) - e)
    return step


def dpm_solver_3(r1, r2):  # algorithm 5
    def step(m, t, s, x, z):
        h, u1, u2, e = s.lam - t.lam, t.towards(s, r1), t.towards(s, r2), eps(m, t, x)
        y = u1.a / t.a * x - u1.q * expm1(r1 * h) * e
        d1 = eps(m, u1, y) - e
        y = (u2.a / t.a * x - u2.q * expm1(r2 * h) * e
             - u2.q * r2 / r1 * (expm1(r2 * h) / (r2 * h) - 1) * d1)
        d2 = eps(m, u2, y) - e
        return s.a / t.a * x - s.q * expm1(h) * e - s.q / r2 * (expm1(h) / h - 1) * d2
    return step


def dpmpp_1(m, t, s, x, z):
    return s.q / t.q * x - s.a * expm1(t.lam - s.lam) * D(m, t, x)


def dpmpp_2s(r1):  # Lu et al. 2022b, algorithm 1
    def step(m, t, s, x, z):
        h, u, d = s.lam - t.lam, t.towards(s, r1), D(m, t, x)
        y = u.q / t.q * x - u.a * expm1(-r1 * h) * d
        d = (1 - 1 / (2 * r1)) * d + 1 / (2 * r1) * D(m, u, y)
        return s.q / t.q * x - s.a * expm1(-h) * d
    return step


def dpmpp_3s(r1, r2):  # the data-prediction twin of algorithm 5
    def step(m, t, s, x, z):
        h, u1, u2, d = s.lam - t.lam, t.towards(s, r1), t.towards(s, r2), D(m, t, x)
        y = u1.q / t.q * x - u1.a * expm1(-r1 * h) * d
        d1 = D(m, u1, y) - d
        y = (u2.q / t.q * x - u2.a * expm1(-r2 * h) * d
             + u2.a * r2 / r1 * (expm1(-r2 * h) / (r2 * h) + 1) * d1)
        d2 = D(m, u2, y) - d
        return s.q / t.q * x - s.a * expm1(-h) * d + s.a / r2 * (expm1(-h) / h + 1) * d2
    return step


def dpm_fast(eta, s_noise=mpf(1)):
    """k-diffusion: as many calls as the grid has steps, on levels of its own, uniform in lambda between the ends."""
    steps = {1: dpm_solver_1, 2: dpm_solver_2(half), 3: dpm_solver_3(third, 2 * third)}

    def run(m, grid, x, noise):
        n, first, last = len(grid) - 1, grid[0], grid[-1]
        groups = n // 3 + 1
        orders = [3] * (groups - 2) + [2, 1] if n % 3 == 0 else [3] * (groups - 1) + [n % 3]
        levels = [first.towards(last, mpf(i) / groups) if i else first for i in range(groups)] + [last]
        for order, t, s in zip(orders, levels, levels[1:]):
            up = min(s.k, eta * sqrt(s.k**2 * (t.k**2 - s.k**2) / t.k**2))
            k = max(sqrt(s.k**2 - up**2), last.k)
            down = s.schedule.at_k(k) if eta else s
            x = s.a / down.a * steps[order](m, t, down, x, None)
            if eta:
                x = x + s.a * sqrt(s.k**2 - down.k**2) * s_noise * noise(t, s)
        return x
    return per_mode(run)


def singlestep_orders(order, n, lower_order_final):
    """diffusers: which order each of n steps completes; a number of steps that does not fit lowers the last."""
    group, left = list(range(1, order + 1)), n % order
    if not left and not lower_order_final:
        return group * (n // order)
    if order == 3 and left == 0:
        return group * (n // 3 - 1) + [1, 2, 1]
    if order == 2 and left == 0:
        return group * (n // 2 - 1) + [1, 1]
    return group * (n // order) + group[:left]


def singlestep(order, form="d", solver_type="midpoint", lower_order_final=False, noise_kind=None):
    """diffusers' singlestep scheduler: the stages are levels of the grid, each a step from the start of its group.

    With noise it is SDE-DPM-Solver++, whose stages carry noises of the same path, or of none.
    """
    sign = 1 if form == "eps" else -1
    model = eps if form == "eps" else D

    def run(m, grid, x, noise):
        values, last, lone = [], None, None
        for i, k in enumerate(singlestep_orders(order, len(grid) - 1, lower_order_final)):
            t, s, start = grid[i], grid[i + 1], grid[i + 1 - k]
            values.append(model(m, t, x))
            if k == 1:
                last = x
            h = s.lam - start.lam
            z = sign * h * (2 if noise_kind else 1)
            add = expm1(z) * values[i + 1 - k]
            if k == 2:
                slope = (values[i] - values[i - 1]) * h / (t.lam - start.lam)
                add += (expm1(z) / 2 if solver_type == "midpoint" else expm1(z) / z - 1) * slope
            if k == 3:
                r0, r1 = (t.lam - start.lam) / h, (grid[i - 1].lam - start.lam) / h
                far, near = (values[i] - values[i - 2]) / r0, (values[i - 1] - values[i - 2]) / r1
                if solver_type == "midpoint":
                    add += (expm1(z) / z - 1) * far
                else:
                    add += (expm1(z) / z - 1) * (r0 * near - r1 * far) / (r0 - r1)
                    add += ((expm1(z) - z) / z**2 - half) * 2 * (far - near) / (r0 - r1)
            if form == "eps":
                x = s.a / start.a * last - s.q * add
            else:
                x = s.q / start.q * last * (exp(-h) if noise_kind else 1) - s.a * add
            if noise_kind:
                n = noise(t, s)
                if k == 1:
                    lone = n
                elif noise_kind == "brownian":
                    n = pieces(start, t, s, lone, n)
                elif noise_kind == "brownian-in-kappa":
                    n = pieces(start, t, s, lone, n, power=1)
                x = x + s.q * sqrt(-expm1(-2 * h)) * n
        return x
    return per_mode(run)


def pieces(t, u, s, first, second, power=2):
    """The normalised increment over [t, s] from those over [t, u] and [u, s], of a path in k^power."""
    return ((sqrt(t.k**power - u.k**power) * first + sqrt(u.k**power - s.k**power) * second)
            / sqrt(t.k**power - s.k**power))


def more(schedule, grid):
    for form in ["d", "eps"]:
        for name, table in TABLES.items():
            yield f'name = "exponential-runge-kutta", table = "{name}", form = "{form}"', one_step(
                exponential(form, table)), mpf(0)
    for c2, c3 in [("0.3", "0.9")]:
        yield (f'name = "exponential-runge-kutta", table = "res-2s", c2 = {c2}', one_step(
            exponential("d", res_2s(mpf(c2)))), mpf(0))
        yield (f'name = "exponential-runge-kutta", table = "res-3s", c2 = {c2}, c3 = {c3}', one_step(
            exponential("d", res_3s(mpf(c2), mpf(c3)))), mpf(0))
    yield 'name = "dpm-solver-1"', one_step(dpm_solver_1), mpf(0)
    yield 'name = "dpmpp-1"', one_step(dpmpp_1), mpf(0)
    for kind, second, triple in [("dpm-solver-", dpm_solver_2, dpm_solver_3), ("dpmpp-", dpmpp_2s, dpmpp_3s)]:
        tail = "" if kind == "dpm-solver-" else "s"
        yield f'name = "{kind}2{tail}"', one_step(second(half)), mpf(0)
        yield f'name = "{kind}2{tail}", r1 = 0.7', one_step(second(mpf("0.7"))), mpf(0)
        yield f'name = "{kind}3{tail}"', one_step(triple(third, 2 * third)), mpf(0)
        yield f'name = "{kind}3{tail}", r1 = 0.25, r2 = 0.75', one_step(triple(mpf("0.25"), mpf("0.75"))), mpf(0)
    for p in [1, 2, 3]:
        for form in ["d", "eps"]:
            for kind in ["midpoint", "heun"] if p > 1 else ["midpoint"]:
                yield (f'name = "dpm-solver-singlestep", order = {p}, form = "{form}", solver_type = "{kind}"',
                       singlestep(p, form, kind), mpf(0))
        yield (f'name = "dpm-solver-singlestep", order = {p}, lower_order_final = true',
               singlestep(p, lower_order_final=True), mpf(0))
    yield 'name = "dpm-solver-12"', one_step(dpm_solver_2(half)), mpf(0)  # over given levels
    yield 'name = "dpm-solver-23"', one_step(dpm_solver_3(third, 2 * third)), mpf(0)
    yield 'name = "dpm-fast"', dpm_fast(mpf(0)), None
    yield 'name = "dpm-fast", eta = 0.5, s_noise = 1.01', dpm_fast(mpf("0.5"), mpf("1.01")), None


KRK = 'name = "exponential-runge-kutta", table = '
IDENTITIES = [
    ('name = "dpm-solver-2"', KRK + '"dpm-2s", form = "eps"'),
    ('name = "dpm-solver-3"', KRK + '"dpm-3s", form = "eps"'),
    ('name = "dpmpp-2s"', KRK + '"dpm-2s", form = "d"'),
    ('name = "dpmpp-3s"', KRK + '"dpm-3s", form = "d"'),
    ('name = "dpm-solver-1"', 'name = "dpmpp-1"'),
    ('name = "dpm-solver-1"', 'name = "ddim", eta = 0.0'),
]
