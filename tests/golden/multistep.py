"""Multistep methods for the probability flow: Adams in any clock, exponential Adams, DPM-Solver, UniPC, PNDM."""

import functools

from mpmath import expm1, factorial, lu_solve, matrix, mpf, quad

from core import D, eps, flow, per_mode
from exponential import phi
from runge_kutta import Clock

half = mpf(1) / 2


def weights(nodes, moments):
    """w with sum_j w_j nodes_j^k = moments_k: exact on polynomials."""
    return solved(tuple(nodes), tuple(moments))


@functools.lru_cache(maxsize=None)
def solved(nodes, moments):
    n = len(nodes)
    return list(lu_solve(matrix([[x**k for x in nodes] for k in range(n)]), matrix(moments))) if n else []


def combination(pairs):
    return sum(w * v for w, v in pairs)


def multistep(order, advance, model, exact=False, lower_order_final=False):
    """`advance(levels, values, t, s, x)`: newest first, at most `order` of them, and at most as many as steps are left
    where the last steps are of lower order. An exact start takes order - 1 steps by the flow itself."""
    def run(m, grid, x, noise):
        levels, values = [], []
        for i, (t, s) in enumerate(zip(grid, grid[1:])):
            levels, values = [t] + levels, [model(m, t, x)] + values
            p = min(order, len(grid) - 1 - i) if lower_order_final else order
            x = flow(m, t, s, x) if exact and i < order - 1 else advance(levels[:p], values[:p], t, s, x)
        return x
    return per_mode(run)


# ---------------------------------------------------------------- Adams-Bashforth

def adams(clock, order, exact=False):
    """Adams-Bashforth on the grid's own spacing; in k this is LMS and DEIS rho-AB."""
    clock = Clock(clock)

    def model(m, u, x):
        return clock.slope(m, u.schedule)(x / clock.scale(u), clock.read(u))

    def advance(levels, values, t, s, x):
        h = clock.read(s) - clock.read(t)
        w = weights([clock.read(u) - clock.read(t) for u in levels],
                    [h**(k + 1) / (k + 1) for k in range(len(levels))])
        return clock.scale(s) * (x / clock.scale(t) + combination(zip(w, values)))
    return multistep(order, advance, model, exact)


def transfer(t, s, x, e):
    """DDIM's step, which carries the slopes of the PNDM family."""
    return s.a * (x / t.a + (s.k - t.k) * e)


EQUAL = {1: [mpf(1)], 2: [mpf(3) / 2, mpf(-1) / 2], 3: [mpf(w) / 12 for w in (23, -16, 5)],
         4: [mpf(w) / 24 for w in (55, -59, 37, -9)]}


def equal(values):
    """Adams-Bashforth as if all steps were equal."""
    return combination(zip(EQUAL[len(values)], values))


def ipndm(order, exact=False):
    def advance(levels, values, t, s, x):
        return transfer(t, s, x, equal(values))
    return multistep(order, advance, eps, exact)


def pndm(m, grid, x, noise):
    """Liu et al. 2022, algorithm 2: three pseudo Runge-Kutta steps through the middle time, then the linear method."""
    values = []
    for i, (t, s) in enumerate(zip(grid, grid[1:])):
        if i < 3:
            middle = t.schedule.level((t.t + s.t) / 2)
            k1 = eps(m, t, x)
            k2 = eps(m, middle, transfer(t, middle, x, k1))
            k3 = eps(m, middle, transfer(t, middle, x, k2))
            k4 = eps(m, s, transfer(t, s, x, k3))
            values = [k1] + values
            x = transfer(t, s, x, (k1 + 2 * k2 + 2 * k3 + k4) / 6)
        else:
            values = ([eps(m, t, x)] + values)[:4]
            x = transfer(t, s, x, equal(values))
    return x


def plms(m, grid, x, noise):
    """Its shipped form without Runge-Kutta: the first step is repeated with the mean of its two slopes."""
    values = []
    for i, (t, s) in enumerate(zip(grid, grid[1:])):
        values = ([eps(m, t, x)] + values)[:4]
        e = values[0]
        if i == 0:
            e = (e + eps(m, s, transfer(t, s, x, e))) / 2
        else:
            e = equal(values)
        x = transfer(t, s, x, e)
    return x


def deis_t(order, exact=False):
    """Zhang & Chen 2023, tAB: a polynomial in t for eps, integrated against dk."""
    def moment(t, s, k):
        return quad(lambda at: (at - t.t)**k * slope_of_k(t.schedule.level(at)), [t.t, s.t])

    def slope_of_k(u):
        return u.g2 / (2 * u.a**2 * u.k)

    cache = {}

    def advance(levels, values, t, s, x):
        key = (t, s, len(levels))
        if key not in cache:
            cache[key] = weights([u.t - t.t for u in levels], [moment(t, s, k) for k in range(len(levels))])
        return s.a * (x / t.a + combination(zip(cache[key], values)))
    return multistep(order, advance, eps, exact)


# ---------------------------------------------------------------- exponential forms
# With z = -h for the form in D and z = h for the one in eps, one formula serves both.

class Form:
    def __init__(self, name):
        self.model, self.sign = (D, -1) if name == "d" else (eps, 1)
        self.name = name

    def ratio(self, t, s):
        return s.q / t.q if self.name == "d" else s.a / t.a

    def scale(self, s):
        return s.a if self.name == "d" else s.q


def abnorsett(order, form="d", exact=False):
    """Norsett 1969: the exact integral of the interpolating polynomial in lambda."""
    form = Form(form)

    def advance(levels, values, t, s, x):
        h = s.lam - t.lam
        z = form.sign * h
        w = weights([(u.lam - t.lam) / h for u in levels],
                    [z * factorial(k) * phi(k + 1, z) for k in range(len(levels))])
        return form.ratio(t, s) * x - form.scale(s) * combination(zip(w, values))
    return multistep(order, advance, form.model, exact)


def differences(levels, values, h):
    """D0, h D', and half of h^2 D'' (Lu et al. 2022b and its code), as far as the history reaches."""
    out = [values[0]]
    if len(values) > 1:
        r0 = (levels[0].lam - levels[1].lam) / h
        out.append((values[0] - values[1]) / r0)
    if len(values) > 2:
        r1 = (levels[1].lam - levels[2].lam) / h
        older = (values[1] - values[2]) / r1
        out += [(out[1] - older) / (r0 + r1)]
        out[1] = out[1] + r0 / (r0 + r1) * (out[1] - older)
    return out


def dpm_increment(z, differences, solver_type, second=2):
    """What a multistep DPM-Solver adds to its linear part, over -scale: `second` times the coded half of D''."""
    out = expm1(z) * differences[0]
    if len(differences) == 2 and solver_type == "midpoint":
        out += expm1(z) / 2 * differences[1]
    elif len(differences) >= 2:
        out += (expm1(z) / z - 1) * differences[1]
    if len(differences) == 3:
        out += second * ((expm1(z) - z) / z**2 - half) * differences[2]
    return out


def dpm_multistep(order, form="d", solver_type="midpoint", second=2, exact=False, lower_order_final=False):
    form = Form(form)

    def advance(levels, values, t, s, x):
        h = s.lam - t.lam
        add = dpm_increment(form.sign * h, differences(levels, values, h), solver_type, second)
        return form.ratio(t, s) * x - form.scale(s) * add
    return multistep(order, advance, form.model, exact, lower_order_final)


def unipc(order, variant="bh2", form="d", corrector=True, lower_order_final=False, exact=False):
    """Zhao et al. 2023, algorithms 5-8; the corrector reuses the call, so there is none at the last level."""
    form = Form(form)

    def update(p, levels, values, newest, t, s, x):
        """From t to s: orders are numbers of slopes before `newest`, the one at s, where there is one."""
        h = s.lam - t.lam
        z = form.sign * h
        B = z if variant == "bh1" else expm1(z)
        r = [(u.lam - t.lam) / h for u in levels[1:p]] + ([mpf(1)] if newest is not None else [])
        slopes = values[1:p] + ([newest] if newest is not None else [])
        b = [z * phi(k + 1, z) * factorial(k) for k in range(1, len(r) + 1)]
        if len(r) == 1 and variant != "vary-coeff":
            rho = [B / 2]
        else:
            rho = weights(r, b)
        tail = sum((w / x * (v - values[0]) for w, x, v in zip(rho, r, slopes)), mpf(0))
        return form.ratio(t, s) * x - form.scale(s) * (expm1(z) * values[0] + tail)

    def run(m, grid, x, noise):
        levels, values, n, before = [], [], len(grid) - 1, None
        for i, (t, s) in enumerate(zip(grid, grid[1:])):
            value = form.model(m, t, x)
            if corrector and before is not None:
                p, from_t, from_x = before
                x = update(p, levels, values, value, from_t, t, from_x)
            levels, values = [t] + levels, [value] + values
            if exact and i < order - 1:
                x, before = flow(m, t, s, x), None
                continue
            p = min(order, i + 1, n - i if lower_order_final else order)
            before = p, t, x
            x = update(p, levels, values, None, t, s, x)
        return x
    return per_mode(run)


# ---------------------------------------------------------------- the table

def more(schedule, grid):
    l = mpf(0)
    for p in [1, 2, 3, 4]:
        yield f'name = "lms", order = {p}', adams("edm", p), l
        yield f'name = "ipndm", order = {p}', ipndm(p), l
        yield f'name = "abnorsett", order = {p}, form = "d"', abnorsett(p), l
        yield f'name = "abnorsett", order = {p}, form = "eps"', abnorsett(p, "eps"), l
    for clock in ["t", "edm", "lambda"]:
        for p in [2, 3, 5] if clock != "edm" else [3]:
            yield f'name = "adams-bashforth", order = {p}, clock = "{clock}"', adams(clock, p), l
    yield 'name = "ipndm-v"', adams("edm", 4), l
    yield 'name = "ipndm-v", order = 3', adams("edm", 3), l
    yield 'name = "pndm"', per_mode(pndm), l
    yield 'name = "plms"', per_mode(plms), l
    for p in [2, 3, 4]:
        yield f'name = "deis", variant = "t-ab", order = {p}', deis_t(p), l
        yield f'name = "deis", variant = "rho-ab", order = {p}', adams("edm", p), l
        yield f'name = "deis", variant = "log-rho", order = {p}', abnorsett(p, "eps"), l
    for form in ["d", "eps"]:
        for kind in ["midpoint", "heun"]:
            yield f'name = "dpmpp-2m", solver_type = "{kind}", form = "{form}"', dpm_multistep(2, form, kind), l
        for d2, second in [("corrected", 2), ("shipped", 1)]:
            yield f'name = "dpmpp-3m", d2 = "{d2}", form = "{form}"', dpm_multistep(3, form, second=second), l
    yield 'name = "dpmpp-2m", lower_order_final = true', dpm_multistep(2, lower_order_final=True), l
    yield ('name = "dpmpp-3m", d2 = "shipped", lower_order_final = true',
           dpm_multistep(3, second=1, lower_order_final=True), l)
    for variant in ["bh1", "bh2", "vary-coeff"]:
        for p in [1, 2, 3, 4]:
            tail = f', order = {p}, variant = "{variant}"'
            if p == 2 or variant == "bh2":
                yield 'name = "unip"' + tail, unipc(p, variant, corrector=False), l
            if p != 4 or variant == "bh2":
                yield 'name = "unipc"' + tail, unipc(p, variant), l
    for p in [2, 3]:
        yield f'name = "unipc", order = {p}, variant = "bh1", form = "eps"', unipc(p, "bh1", "eps"), l
        yield f'name = "unipc", order = {p}, form = "eps"', unipc(p, "bh2", "eps"), l
        yield f'name = "unipc", order = {p}, lower_order_final = true', unipc(p, lower_order_final=True), l
    exact = ', warm_up = "exact"'
    yield 'name = "lms", order = 4' + exact, adams("edm", 4, exact=True), l
    yield 'name = "adams-bashforth", order = 4, clock = "t"' + exact, adams("t", 4, exact=True), l
    yield 'name = "abnorsett", order = 3' + exact, abnorsett(3, exact=True), l
    yield 'name = "ipndm", order = 4' + exact, ipndm(4, exact=True), l
    yield 'name = "deis", variant = "t-ab", order = 3' + exact, deis_t(3, exact=True), l
    yield 'name = "dpmpp-2m"' + exact, dpm_multistep(2, exact=True), l
    yield 'name = "dpmpp-3m"' + exact, dpm_multistep(3, exact=True), l
    yield 'name = "unip", order = 3' + exact, unipc(3, corrector=False, exact=True), l
    yield 'name = "unipc", order = 3' + exact, unipc(3, exact=True), l


def rows(schedule, grid):
    yield 'name = "dpmpp-2m"', len(grid) - 1, dpm_multistep(2), mpf(0)


IDENTITIES = [
    ('name = "lms", order = 1', 'name = "ddim", eta = 0.0'),
    ('name = "abnorsett", order = 1, form = "d"', 'name = "ddim", eta = 0.0'),
    ('name = "abnorsett", order = 1, form = "eps"', 'name = "ddim", eta = 0.0'),
    ('name = "lms", order = 3', 'name = "adams-bashforth", order = 3, clock = "edm"'),
    ('name = "lms", order = 3', 'name = "deis", variant = "rho-ab", order = 3'),
    ('name = "abnorsett", order = 3, form = "eps"', 'name = "deis", variant = "log-rho", order = 3'),
    ('name = "abnorsett", order = 2, form = "d"', 'name = "dpmpp-2m", solver_type = "heun", form = "d"'),
    ('name = "abnorsett", order = 2, form = "eps"', 'name = "dpmpp-2m", solver_type = "heun", form = "eps"'),
    ('name = "abnorsett", order = 3, warm_up = "exact"', 'name = "dpmpp-3m", warm_up = "exact"'),
    ('name = "abnorsett", order = 3, warm_up = "exact"', 'name = "unip", order = 3, warm_up = "exact"'),
    ('name = "abnorsett", order = 2, form = "d"', 'name = "unip", order = 2, variant = "vary-coeff"'),
    ('name = "dpmpp-2m"', 'name = "unip", order = 2, variant = "bh2"'),
    ('name = "dpmpp-2m"', 'name = "dpmpp-2m", solver_type = "midpoint", form = "d"'),
]
