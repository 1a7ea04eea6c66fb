"""Multistep methods for the probability flow: Adams in any clock, exponential Adams, DPM-Solver, UniPC, PNDM."""

import functools

from mpmath import expm1, factorial, lu_solve, matrix, mpf, quad

from core import Calls, D, eps, flow, per_mode
from exponential import phi
from runge_kutta import RK4, Clock, in_clock

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


def rk4_in(clock):
    """The fourth-order step that methods of many steps may start with; its first slope is known from the history."""
    step = in_clock(clock, RK4)

    def start(m, t, s, x):
        Calls.count -= 1
        return step(m, t, s, x, None)
    return start


def multistep(order, advance, model, start=None, lower_order_final=False, euler_at_final=False):
    """`advance(levels, values, t, s, x)`: newest first, at most `order` of them, and at most as many as steps are left
    where the last steps are of lower order. `start(m, t, s, x)`, where given, takes the first order - 1 steps."""
    def run(m, grid, x, noise):
        levels, values = [], []
        for i, (t, s) in enumerate(zip(grid, grid[1:])):
            levels, values = [t] + levels, [model(m, t, x)] + values
            left = len(grid) - 1 - i
            p = min(order, left) if lower_order_final else 1 if euler_at_final and left == 1 else order
            x = start(m, t, s, x) if start and i < order - 1 else advance(levels[:p], values[:p], t, s, x)
        return x
    return per_mode(run)


# ---------------------------------------------------------------- Adams-Bashforth

def adams(clock, order, start=None):
    """Adams-Bashforth on the grid's own spacing; in k this is LMS and DEIS rho-AB."""
    clock = Clock(clock)

    def model(m, u, x):
        return clock.slope(m, u.schedule)(x / clock.scale(u), clock.read(u))

    def advance(levels, values, t, s, x):
        h = clock.read(s) - clock.read(t)
        w = weights([clock.read(u) - clock.read(t) for u in levels],
                    [h**(k + 1) / (k + 1) for k in range(len(levels))])
        return clock.scale(s) * (x / clock.scale(t) + combination(zip(w, values)))
    return multistep(order, advance, model, start)


def transfer(t, s, x, e):
    """DDIM's step, which carries the slopes of the PNDM family."""
    return s.a * (x / t.a + (s.k - t.k) * e)


EQUAL = {1: [mpf(1)], 2: [mpf(3) / 2, mpf(-1) / 2], 3: [mpf(w) / 12 for w in (23, -16, 5)],
         4: [mpf(w) / 24 for w in (55, -59, 37, -9)]}


def equal(values):
    """Adams-Bashforth as if all steps were equal."""
    return combination(zip(EQUAL[len(values)], values))


def ipndm(order, start=None):
    def advance(levels, values, t, s, x):
        return transfer(t, s, x, equal(values))
    return multistep(order, advance, eps, start)


def ipndm_v(order):
    """diff-sampler's variable-step weights, in Newton's form. The weight of the second difference has its bracket
    closed too late, which equal steps do not show; that of the third has a plus for a minus (11/24 for 9/24), and its
    oldest slope h1/h2 for h2/h3, so that its weights do not add up to 0 on steps that are no geometric series."""
    def advance(levels, values, t, s, x):
        h, table = s.k - t.k, [values]
        for j in range(1, len(values)):
            table.append([(v - w) / (levels[i].k - levels[i + j].k)
                          for i, (v, w) in enumerate(zip(table[-1], table[-1][1:]))])
        p, q = ([t.k - u.k for u in levels[1:]] + [0, 0])[:2]
        third = 1 - h / (3 * (h + p))
        gains = [h, h**2 / 2]
        if len(values) > 2:
            gains.append(h / 2 * (p * q - h / (3 * (h + p)) * h * (h + p)))
            gains.append(h * (third / 2 + (1 - h / (2 * (h + p))) * h / (6 * (h + q))) * h * (h + p) * (h + q))
        x = x / t.a + combination((g, row[0]) for g, row in zip(gains, table))
        if len(values) > 3:
            h1, h2, h3 = p, q - p, levels[2].k - levels[3].k
            x -= gains[3] / (p * q * (q + h3)) * h1 * q / (h2 * (h2 + h3)) * (h1 / h2 - h2 / h3) * values[3]
        return s.a * x
    return multistep(order, advance, eps)


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
        e = equal(values) if i else (e + eps(m, s, transfer(t, s, x, e))) / 2
        x = transfer(t, s, x, e)
    return x


def deis_t(order, start=None, lower_order_final=False):
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
    return multistep(order, advance, eps, start, lower_order_final)


def rkg2(stages, power):
    """What the Runge-Kutta-Gegenbauer method of order 2 (Skaras et al. 2021) makes of the integral of c^power."""
    def b(j):
        return [mpf(1), mpf(1) / 3][j] if j < 2 else mpf(4 * (j - 1) * (j + 4)) / (3 * j * (j + 1) * (j + 2) * (j + 3))

    def slope(c):
        return c**power if power else mpf(1)
    w = mpf(6) / ((stages + 4) * (stages - 1))
    older, y = mpf(0), w * slope(mpf(0))
    for j in range(2, stages + 1):
        mu, nu = (2 * j + 1) * b(j) / (j * b(j - 1)), -(j + 1) * b(j) / (j * b(j - 2))
        gamma = -mu * w * (1 - mpf(j * (j + 1)) / 2 * b(j - 1))
        node = w if j == 2 else mpf((j - 2) * (j + 3)) / ((stages - 1) * (stages + 4))
        older, y = y, mu * y + nu * older + mu * w * slope(node) + gamma * slope(mpf(0))
    return y


def stork(moments, clock="t", start=None):
    """Tan et al. 2025 on the slopes of the flow: quadratic extrapolation from three levels, put through a stabilised
    method's own quadrature (`moments` of it on [0, 1]); it starts with half a step of Euler's and two of two steps."""
    clock = Clock(clock)

    def run(m, grid, x, noise):
        slope, times, slopes = clock.slope(m, grid[0].schedule), [], []
        x = x / clock.scale(grid[0])

        def advance(to, moments):
            h = to - times[0]
            w = weights([(v - times[0]) / h for v in times[:len(moments)]], [h * v for v in moments])
            return x + combination(zip(w, slopes))

        def see(at):
            times.insert(0, at)
            slopes.insert(0, slope(x, at))
        two = [mpf(1), half]
        for i, (t, s) in enumerate(zip(grid, grid[1:])):
            at, to = clock.read(t), clock.read(s)
            see(at)
            if start and i < 2:
                x = start(m, t, s, clock.scale(t) * x) / clock.scale(s)
            elif i == 0:
                x = x + (to - at) / 2 * slopes[0]
                see((at + to) / 2)
                x = advance(to, two)
                del times[0], slopes[0]
            else:
                x = advance(to, moments if i > 1 else two)
        return clock.scale(grid[-1]) * x
    return per_mode(run)


# ---------------------------------------------------------------- exponential forms

class Form:
    """With z = -h for the form in D and z = h for the one in eps, one formula serves both."""
    def __init__(self, name):
        self.model, self.sign = (D, -1) if name == "d" else (eps, 1)
        self.name = name

    def ratio(self, t, s):
        return s.q / t.q if self.name == "d" else s.a / t.a

    def scale(self, s):
        return s.a if self.name == "d" else s.q


def abnorsett(order, form="d", start=None):
    """Norsett 1969: the exact integral of the interpolating polynomial in lambda."""
    form = Form(form)

    def advance(levels, values, t, s, x):
        h = s.lam - t.lam
        z = form.sign * h
        w = weights([(u.lam - t.lam) / h for u in levels],
                    [z * factorial(k) * phi(k + 1, z) for k in range(len(levels))])
        return form.ratio(t, s) * x - form.scale(s) * combination(zip(w, values))
    return multistep(order, advance, form.model, start)


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


def dpm_multistep(order, form="d", solver_type="midpoint", second=2, **ends):
    form = Form(form)

    def advance(levels, values, t, s, x):
        h = s.lam - t.lam
        add = dpm_increment(form.sign * h, differences(levels, values, h), solver_type, second)
        return form.ratio(t, s) * x - form.scale(s) * add
    return multistep(order, advance, form.model, **ends)


def unipc(order, variant="bh2", form="d", corrector=True, lower_order_final=False, start=None,
          disable_corrector=()):
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
            if corrector and before is not None and i - 1 not in disable_corrector:
                p, from_t, from_x = before
                x = update(p, levels, values, value, from_t, t, from_x)
            levels, values = [t] + levels, [value] + values
            if start and i < order - 1:
                x, before = start(m, t, s, x), None
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
    for p in [3, 4]:
        yield f'name = "ipndm-v", order = {p}, weights = "shipped"', ipndm_v(p), l
    yield 'name = "deis", lower_order_final = true', deis_t(3, lower_order_final=True), l
    yield 'name = "dpmpp-3m", euler_at_final = true', dpm_multistep(3, euler_at_final=True), l
    yield 'name = "unipc", order = 3, disable_corrector = [0, 2, 3]', unipc(3, disable_corrector=(0, 2, 3)), l
    yield 'name = "gddim", order = 3', deis_t(3), l
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
    third = [mpf(1), half, mpf(1) / 3]
    for clock in ["t", "edm", "lambda"]:
        for stages in [50, 5]:
            yield (f'name = "stork-2", stages = {stages}, clock = "{clock}"',
                   stork([rkg2(stages, k) for k in range(3)], clock), l)
        yield f'name = "stork-4", clock = "{clock}"', stork(third, clock), l
    yield 'name = "stork-4", warm_up = "one-step"', stork(third, start=rk4_in("t")), l
    for name, start in [("exact", lambda clock: flow), ("one-step", rk4_in)]:
        tail = f', warm_up = "{name}"'
        yield 'name = "lms", order = 4' + tail, adams("edm", 4, start("edm")), l
        for clock in ["t", "lambda"]:
            yield f'name = "adams-bashforth", order = 4, clock = "{clock}"' + tail, adams(clock, 4, start(clock)), l
        yield 'name = "abnorsett", order = 3' + tail, abnorsett(3, "d", start("edm")), l
        yield 'name = "ipndm", order = 4' + tail, ipndm(4, start("edm")), l
        yield 'name = "deis", variant = "t-ab", order = 3' + tail, deis_t(3, start("edm")), l
        for p in [2, 3]:
            yield f'name = "dpmpp-{p}m"' + tail, dpm_multistep(p, start=start("edm")), l
        yield 'name = "unip", order = 3' + tail, unipc(3, corrector=False, start=start("edm")), l
        yield 'name = "unipc", order = 3' + tail, unipc(3, start=start("edm")), l



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
