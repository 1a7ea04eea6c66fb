"""Stochastic samplers: the ancestral family, SDE multistep, SA-Solver, ER-SDE, SEEDS, and Roessler's SRA schemes.

Noise asked for over [t, s] is the normalised increment of a Brownian motion in k^2; `piece` weighs increments of
parts of a step, so that the whole is made of disjoint intervals.
"""

from fractions import Fraction

from mpmath import exp, expm1, factorial, log10, mpf, quad, sqrt

from core import D, Kernel, eps, karras, one_step, per_mode, score
from exponential import dpmpp_2s, phi, pieces, singlestep
from multistep import combination, differences, dpm_increment, weights
from classical import exponential_integrator, stochastic_heun
from runge_kutta import HEUN, Clock, in_clock

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


def dpmpp_sde(eta, s_noise, r, kind):
    """k-diffusion's dpmpp_sde, whose own noise is a path in k."""
    def run(m, grid, x, noise):
        for t, s in zip(grid, grid[1:]):
            u, y, d = t.towards(s, r), x / t.a, D(m, t, x)
            first, rest = noise(t, u), noise(u, s)
            whole = rest if kind == "independent" else pieces(t, u, s, first, rest, 2 if kind == "brownian" else 1)
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


def sde_dpm_solver(order, solver_type="midpoint", lower_order_final=False):
    """Lu et al. 2022b, eq. 16 and 18, and its code: eps form, lambda = 1."""
    def run(m, grid, x, noise):
        levels, values = [], []
        for i, (t, s) in enumerate(zip(grid, grid[1:])):
            h = s.lam - t.lam
            p = min(order, len(grid) - 1 - i) if lower_order_final else order
            levels, values = [t] + levels, [eps(m, t, x)] + values
            add = dpm_increment(h, differences(levels[:p], values[:p], h), solver_type)
            x = s.a / t.a * x - 2 * s.q * add + s.q * sqrt(expm1(2 * h)) * noise(t, s)
        return x
    return per_mode(run)


def restart(n_restarts, t_min, t_max, n_steps, s_noise=mpf(1)):
    """Xu et al. 2023, algorithm 1 and its code: EDM's Heun; at the level nearest t_min, noise up to t_max and down."""
    def run(m, grid, x, noise):
        heun = in_clock("edm", HEUN)
        at = min(range(1, len(grid)), key=lambda i: abs(grid[i].k - t_min))
        low = grid[at]
        down = karras(low.schedule, n_steps or len(grid) - 1, t_max, low.k)
        for i, (t, s) in enumerate(zip(grid, grid[1:])):
            x = heun(m, t, s, x, None)
            for _ in range(n_restarts if i + 1 == at else 0):
                x = down[0].a * (x / low.a + s_noise * sqrt(t_max**2 - low.k**2) * noise())
                for u, v in zip(down, down[1:]):
                    x = heun(m, u, v, x, None)
        return x
    return per_mode(run)


# ---------------------------------------------------------------- SA-Solver

def sa_solver(predictor, corrector, tau, lower_order_final=False, shipped=False):
    """Xue et al. 2023, algorithm 1 in data prediction, stochastic Adams; `tau(t)` is constant in a step.

    x_s = q_s/q_t e^{-tau^2 h} x + (1 + tau^2) q_s e^{-tau^2 lam_s} sum_j D_j int e^{T lam} l_j + noise. With `shipped`,
    two points take the code's correction, which makes the slope's weight that of a midpoint.
    """
    constant = tau if callable(tau) else lambda t: tau

    def adams(t, s, nodes, values, x, z, implicit):
        tau = constant(t)
        T = 1 + tau**2
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

ER = {  # Cui et al. 2023, appendix A.8: phi(k)
    "ode": lambda k: k, "sde": lambda k: k**2, "sde-1": lambda k: k * (exp(-1 / k) + 10),
    "sde-2": lambda k: k**mpf("1.5"), "sde-3": lambda k: k**mpf("2.5"),
    "sde-4": lambda k: k**mpf("0.9") * log10(1 + 100 * k**mpf("1.5")),
    "sde-5": lambda k: k * (exp(k**mpf("0.3")) + 10),
}


def er_sde(order, name="sde-5", corrected=False, riemann=False):
    """Cui et al. 2023, algorithms 1-3 in y = x/a and k."""
    scaling, cache = ER[name], {}

    def integrals(t, s):
        if (t, s) not in cache:
            width = (t.k - s.k) / 100
            cache[t, s] = [sum((s.k + i * width - t.k)**j / scaling(s.k + i * width) for i in range(100)) * width
                           if riemann else quad(lambda k: (k - t.k)**j / scaling(k), [s.k, t.k]) for j in (0, 1)]
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
                tilt, bend = slope, None
            if len(values) > 2 and order > 2:
                older = (values[1] - values[2]) / (levels[1].k - levels[2].k)
                bend = 2 * (slope - older) / (levels[0].k - levels[2].k)
                if corrected:  # the slope at t, where the published one is that between two levels
                    tilt = slope + (levels[0].k - levels[1].k) / 2 * bend
            if len(values) > 1 and order > 1:
                y += (s.k - t.k + scaling(s.k) * first) * tilt
                if bend is not None:
                    y += ((s.k - t.k)**2 / 2 + scaling(s.k) * second) * bend
            x = s.a * (y + sqrt(max(s.k**2 - t.k**2 * ratio**2, 0)) * noise(t, s))  # 0 for "ode", up to round-off
        return x
    return per_mode(run)


# ---------------------------------------------------------------- SEEDS

def seeds(order, form="eps", l=mpf(1), r=None):
    """Gonzalez et al. 2023, algorithms 1-4: exponential stages, noise from one path, on the member l of the family."""
    r = r or {1: [], 2: [half], 3: [mpf(1) / 3, mpf(2) / 3]}[order]
    model = D if form == "d" else eps

    def run(m, grid, x, noise):
        for t, s in zip(grid, grid[1:]):
            h, e, stops = s.lam - t.lam, model(m, t, x), [t] + [t.towards(s, share) for share in r] + [s]
            drawn = [noise(a, b) for a, b in zip(stops, stops[1:])]

            def path(count):
                """The noise at the stop of that number."""
                u, out = stops[count], mpf(0)
                for a, b, n in zip(stops[:count], stops[1:], drawn):
                    if form == "d":
                        out += u.a * (u.k / b.k)**(1 + l) * b.k * sqrt(1 - (b.k / a.k)**(2 * l)) * n
                    else:
                        out += u.a * sqrt(l * (a.k**2 - b.k**2)) * n
                return out

            def to(count, weights):
                """weights(z): of e, and of the difference that is handed in."""
                u = stops[count]
                step = u.lam - t.lam
                if form == "d":
                    return u.q / t.q * exp(-l * step) * x - u.a * weights(-(1 + l) * step) + path(count)
                return u.a / t.a * x - (1 + l) * u.q * weights(step) + path(count)
            y = to(1, lambda z: expm1(z) * e)
            if order == 2:
                d = model(m, stops[1], y) - e
                y = to(2, lambda z: expm1(z) * (e + d / (2 * r[0])))
            if order == 3:
                d1 = model(m, stops[1], y) - e
                y = to(2, lambda z: expm1(z) * e + (expm1(z) / z - 1) * r[1] / r[0] * d1)
                d2 = model(m, stops[2], y) - e
                y = to(3, lambda z: expm1(z) * e + (expm1(z) / z - 1) / r[1] * d2)
            x = y
        return x
    return per_mode(run)


# ---------------------------------------------------------------- Roessler's SRA: additive noise, strong order 1.5

def numbers(text):
    return [[mpf(Fraction(w).numerator) / Fraction(w).denominator for w in row.split()] for row in text.split(";")]


SRA = {  # A and B (rows below the first), alpha, beta1, beta2, c1; Roessler 2010, tables 6.2 and 6.3
    "sra1": ("3/4", "3/2", "1/3 2/3; 1 0; -1 1; 1 0"),
    "sra2": ("3/4", "3/2", "1/3 2/3; 0 1; 3/2 -3/2; 1/3 1"),
    "sra3": ("1; 1/4 1/4", "0; 1 1/2", "1/6 1/6 2/3; 1 0 0; -1 1 0; 1 0 0"),
    "sosra": (  # Rackauckas & Nie 2020
        "0.6923962376159507; -3.1609142252828395 4.1609142252828395",
        "1.3371632704399763; 1.442371048468624 1.8632741501139225",
        "0.2889874966892885 0.6859880440839937 0.025024459226717772;"
        "-16.792534242221663 17.514995785380226 0.27753845684143835;"
        "0.4237535769069274 0.6010381474428539 -1.0247917243497813; 0 0.041248171110700504 1"),
    "sosra2": (
        "1; 0.9511849235504364 0.04881507644956362", "0.7686101171003622; 0.43886792994934987 0.7490415909204886",
        "0.4999999999999998 -0.9683897375354181 1.4683897375354185;"
        "0 0.92438032145683 0.07561967854316998; 1 -0.8169981105823436 -0.18300188941765633; 0 1 1"),
}


def sra_table(name):
    A, B, rest = (numbers(text) for text in SRA[name])
    return [[]] + A, [[]] + B, *rest


def check():
    """Roessler 2010, theorem 6.1: strong order 1.5 for additive noise."""
    for name in SRA:
        A, B, alpha, beta1, beta2, c1 = sra_table(name)
        a, b = [sum(row) for row in A], [sum(row) for row in B]
        for left, right, value in [(alpha, [1] * 3, 1), (beta1, [1] * 3, 1), (beta2, [1] * 3, 0), (alpha, b, 1),
                                   (alpha, a, half), (alpha, [v**2 for v in b], 3 * half), (beta1, c1, 1),
                                   (beta2, c1, -1)]:
            assert abs(combination(zip(left, right)) - value) < mpf("1e-13"), name


def sra(table, l, clock="t"):
    """dx = drift dt + sqrt(l) g dw in the clock: H_i = x + h sum A a(H_j) + sum B g(c1_j) I10/h."""
    A, B, alpha, beta1, beta2, c1 = sra_table(table)
    clock = Clock(clock)
    c0 = [sum(row) for row in A]

    def run(m, grid, x, noise):
        for t, s in zip(grid, grid[1:]):
            begin, h, x = clock.read(t), clock.read(s) - clock.read(t), x / clock.scale(t)

            def level(c):
                return clock.level(t, begin + c * h)

            def g(u):  # of the noise per unit of the clock, which runs either way
                return sqrt(l * {"t": u.g2, "edm": 2 * u.k, "lambda": 2 * u.k**2}[clock.name])

            def drift(x, u):
                if clock.name == "t":
                    return u.f * x - (1 + l) / 2 * u.g2 * score(m, u, x)
                return (1 + l) * (1 if clock.name == "edm" else -u.k) * eps(m, u, u.a * x)
            dw, area = clock_noise(noise, t, s, clock, abs(h))
            gs, k = [g(level(c)) for c in c1], []
            for row, brow, c in zip(A, B, c0):
                k.append(drift(x + h * combination(zip(row, k)) + combination(zip(brow, gs)) * area, level(c)))
            x = clock.scale(s) * (x + h * combination(zip(alpha, k)) + combination(zip(beta1, gs)) * dw
                                  + combination(zip(beta2, gs)) * area)
        return x
    return per_mode(run)


def clock_noise(noise, t, s, clock, h):
    """The increment of w over the step and I10/h, from two normals of the step."""
    first, second = noise(Kernel(t, clock, False), s), noise(Kernel(t, clock, True), s)
    return sqrt(h) * first, sqrt(h) / 2 * (first + second / sqrt(mpf(3)))


# ---------------------------------------------------------------- the table

def more(schedule, grid):
    one = mpf(1)
    family = [("euler-ancestral", euler_in_k), ("dpm2-ancestral", dpm2_in_k), ("dpmpp-2s-ancestral", dpmpp_2s_in_k)]
    for name, method in family:
        for eta, s_noise in [("1.0", "1.0"), ("0.5", "1.0"), ("1.0", "1.02")]:
            tail = f", eta = {eta}, s_noise = {s_noise}" if (eta, s_noise) != ("1.0", "1.0") else ""
            path = mpf(eta)**2 if s_noise == "1.0" else None
            yield f'name = "{name}"' + tail, one_step(ancestral(method, mpf(eta), mpf(s_noise))), path
    for noise in ["brownian", "brownian-in-kappa", "independent"]:
        for r, eta in [("0.5", "1.0"), ("0.3", "1.0"), ("0.5", "0.5")]:
            yield (f'name = "dpmpp-sde", noise = "{noise}", r = {r}, eta = {eta}',
                   dpmpp_sde(mpf(eta), one, mpf(r), noise),
                   mpf(eta)**2 if noise == "brownian" else None)
    for eta in ["1.0", "0.5"]:
        for kind in ["midpoint", "heun"]:
            yield (f'name = "dpmpp-2m-sde", solver_type = "{kind}", eta = {eta}',
                   sde_multistep(2, mpf(eta), solver_type=kind), mpf(eta))
        for phi3, kind in [("corrected", "heun"), ("shipped", "heun"), ("diffusers", "midpoint")]:
            yield (f'name = "dpmpp-3m-sde", phi3 = "{phi3}", eta = {eta}',
                   sde_multistep(3, mpf(eta), solver_type=kind, phi3=phi3), mpf(eta))
    yield ('name = "dpmpp-2m-sde", s_noise = 1.02', sde_multistep(2, one, mpf("1.02")), None)
    yield 'name = "sde-dpm-solver-1"', sde_dpm_solver(1), one
    yield 'name = "sde-dpm-solver-2"', sde_dpm_solver(2), one
    yield 'name = "sde-dpm-solver-2", solver_type = "heun"', sde_dpm_solver(2, "heun"), one
    yield 'name = "sde-dpm-solver-2", lower_order_final = true', sde_dpm_solver(2, lower_order_final=True), one
    for noise in ["brownian", "brownian-in-kappa", "independent"]:
        yield (f'name = "dpmpp-2s-sde", noise = "{noise}"', singlestep(2, noise_kind=noise),
               one if noise == "brownian" else None)
    yield ('name = "dpmpp-2s-sde", noise = "independent", lower_order_final = true',
           singlestep(2, noise_kind="independent", lower_order_final=True), None)
    for p, c, tau in [(2, 2, "1.0"), (2, 2, "0.5"), (3, 3, "1.0"), (2, 0, "1.0"), (3, 0, "0.0"), (1, 1, "1.0"),
                      (3, 4, "0.8"), (1, 0, "1.0")]:
        for weights_of in ["paper", "diffusers"]:
            if weights_of == "paper" or p > 1:
                yield (f'name = "sa-solver", predictor_order = {p}, corrector_order = {c}, tau = {tau}, '
                       f'weights = "{weights_of}"',
                       sa_solver(p, c, mpf(tau), shipped=weights_of == "diffusers"), mpf(tau)**2)
    yield 'name = "sa-solver", predictor_order = 3, lower_order_final = true', sa_solver(3, 2, one, True), one
    yield ('name = "sa-solver", tau = 0.8, tau_min = 0.05, tau_max = 1.0',
           sa_solver(2, 2, lambda t: mpf("0.8") if mpf("0.05") <= t.k <= 1 else mpf(0)), None)
    yield 'name = "gotta-go-fast"', one_step(stochastic_heun), one  # over given levels
    for l in ["0.0", "0.5", "1.0"]:
        yield f'name = "gddim", lambda = {l}', one_step(exponential_integrator("d", mpf(l)**2)), mpf(l)**2
    for p in [1, 2, 3]:
        yield f'name = "er-sde", order = {p}', er_sde(p), None
    for scale in ER:
        if scale != "sde-5":
            yield f'name = "er-sde", scale = "{scale}"', er_sde(3, scale), None
    yield 'name = "er-sde", derivative = "corrected"', er_sde(3, corrected=True), None
    yield 'name = "er-sde", integral = "riemann"', er_sde(3, riemann=True), None
    for p in [1, 2, 3]:
        yield f'name = "seeds-{p}"', seeds(p), one
        yield f'name = "seeds-{p}", lambda = 0.5', seeds(p, l=half), half
        yield f'name = "seeds-{p}", form = "d"', seeds(p, "d"), one
        yield f'name = "seeds-{p}", form = "d", lambda = 0.5', seeds(p, "d", half), half
    yield 'name = "seeds-2", r = 0.3', seeds(2, r=[mpf("0.3")]), one
    yield 'name = "seeds-3", r_1 = 0.2, r_2 = 0.7', seeds(3, r=[mpf("0.2"), mpf("0.7")]), one
    for table in ["sra1", "sra3", "sosra"]:
        for clock in ["t", "edm", "lambda"]:
            yield f'name = "{table}", clock = "{clock}"', sra(table, one, clock), one
        yield f'name = "{table}", lambda = 0.5', sra(table, half), half
    for table in ["sra2", "sosra2"]:
        yield f'name = "stochastic-runge-kutta", table = "{table}"', sra(table, one), one
    yield 'name = "restart"', restart(2, mpf("0.06"), mpf("0.3"), 0), None
    yield ('name = "restart", n_restarts = 3, t_min = 0.1, t_max = 1.0, n_steps = 4, s_noise = 1.01',
           restart(3, mpf("0.1"), one, 4, mpf("1.01")), None)


IDENTITIES = [
    ('name = "euler-ancestral"', 'name = "ddim", eta = 1.0'),
    ('name = "sde-dpm-solver-1"', 'name = "exponential-integrator", frozen = "eps", lambda = 1.0'),
    ('name = "sde-dpm-solver-1"', 'name = "seeds-1"'),
]
