"""Error constants of diffusion samplers on Gaussian data: an independent second implementation.

Writes error_constants.csv beside itself.  Needs mpmath==1.4.1 (gmpy2 makes it faster, no digit changes).

On Gaussian data the score is affine, so every sampler maps Gaussian laws to Gaussian laws and the modes of
the covariance decouple.  Each scheme is written as its paper writes it, for one mode: a scalar x, a scalar
standard normal z, a step from level t down to level s.  Such a step is affine in (x, z), hence

    mean' = step(mean, z=0),    variance' = G^2 variance + Z^2,

with G and Z the gains on x and on z: the same step on centred data (mu = 0) at (x, z) = (1, 0) and (0, 1).
50 digits throughout, so that what is printed is the scheme's error and never round-off (the KL of a fourth
order method is of the order of 1e-24).

Letters: x_t = a x0 + q n;  f = d ln a/dt;  g2 = dq^2/dt - 2 f q^2;  k = q/a;  lam = ln(a/q);
D = E[x0|x_t];  eps = (x - a D)/q;  score = -eps/q.
"""

import csv
import functools
import sys
from collections import namedtuple
from pathlib import Path

from mpmath import cos, exp, expm1, log, log1p, mp, mpf, pi, quad, sqrt, tan

mp.dps = 50
ZERO = mpf("1e-40")  # anything smaller is round-off around an exact zero, and is written as 0

# ---------------------------------------------------------------- data: N(mu, c), one mode at a time

Mode = namedtuple("Mode", "mu c")
MODES = [Mode(mpf(mu), mpf(c)) for mu, c in
         [("0", "1"), ("1", "0.25"), ("-0.5", "4"), ("0", "0.01"), ("0.3", "0.1")]]


def marginal_var(m, t):
    return t.a**2 * m.c + t.q**2


def score(m, t, x):
    return -(x - t.a * m.mu) / marginal_var(m, t)


def eps(m, t, x):
    return -t.q * score(m, t, x)


def D(m, t, x):
    return m.mu + t.a * m.c / marginal_var(m, t) * (x - t.a * m.mu)


# ---------------------------------------------------------------- schedules

class Level:
    def __init__(self, schedule, t, a, q, f, g2):
        self.schedule, self.t, self.a, self.q, self.f, self.g2 = schedule, t, a, q, f, g2
        self.k = q / a
        self.lam = -log(self.k)


class Schedule:
    """`kind` is what score_sde distinguishes: "vp", "ve" (a = 1), or "other"."""

    @functools.lru_cache(maxsize=None)
    def level(self, t):
        return Level(self, t, *self.coefficients(t))


class VpLinear(Schedule):
    toml = 'name = "vp-linear", beta_min = 0.1, beta_max = 20.0'
    kind = "vp"
    b0, b1 = mpf("0.1"), mpf(20)

    def beta_and_integral(self, t):
        return self.b0 + (self.b1 - self.b0) * t, self.b0 * t + (self.b1 - self.b0) * t**2 / 2

    def coefficients(self, t):
        beta, B = self.beta_and_integral(t)
        return exp(-B / 2), sqrt(-expm1(-B)), -beta / 2, beta

    def time_of_lam(self, lam):
        B = log1p(exp(-2 * lam))
        return 2 * B / (self.b0 + sqrt(self.b0**2 + 2 * (self.b1 - self.b0) * B))

    def score_weight(self, t, s):  # integral of g2/a over [s, t], in closed form (all schedules)
        return 2 / t.a - 2 / s.a


class VpCosine(Schedule):  # Nichol & Dhariwal 2021 eq. 17, in continuous time
    toml = 'name = "vp-cosine"'
    kind = "vp"
    offset = mpf("0.008")

    def coefficients(self, t):
        rate = pi / 2 / (1 + self.offset)
        angle = rate * (t + self.offset)
        a = cos(angle) / cos(rate * self.offset)
        return a, sqrt(1 - a**2), -rate * tan(angle), 2 * rate * tan(angle)

    score_weight = VpLinear.score_weight


class SubVp(VpLinear):  # Song et al. 2021 eq. 13: q is the standard deviation, no square root
    toml = 'name = "sub-vp", beta_min = 0.1, beta_max = 20.0'
    time_of_lam = None  # not the VP one; no grid here needs it
    kind = "other"

    def coefficients(self, t):
        beta, B = self.beta_and_integral(t)
        return exp(-B / 2), -expm1(-B), -beta / 2, -beta * expm1(-2 * B)

    def score_weight(self, t, s):
        return 2 / t.a - 2 / s.a + mpf(2) / 3 * (t.a**3 - s.a**3)


class Flow(Schedule):
    toml = 'name = "flow"'
    kind = "other"

    def coefficients(self, t):
        return 1 - t, t, -1 / (1 - t), 2 * t / (1 - t)

    def score_weight(self, t, s):
        return 2 * (1 / t.a + log(t.a)) - 2 * (1 / s.a + log(s.a))


class Edm(Schedule):
    toml = 'name = "edm"'
    kind = "ve"

    def coefficients(self, t):
        return mpf(1), t, mpf(0), 2 * t

    def score_weight(self, t, s):
        return t.q**2 - s.q**2


class VeGeometric(Edm):
    toml = 'name = "ve", sigma_min = 0.01, sigma_max = 50.0'
    q0, q1 = mpf("0.01"), mpf(50)

    def coefficients(self, t):
        q = self.q0 * (self.q1 / self.q0)**t
        return mpf(1), q, mpf(0), 2 * log(self.q1 / self.q0) * q**2


# ---------------------------------------------------------------- grids: N steps are N+1 levels

def between(first, last, n):
    return [first + (last - first) * i / n for i in range(n + 1)]


def uniform_t(schedule, n, start, end):
    return [schedule.level(t) for t in between(mpf(start), mpf(end), n)]


def quadratic_t(schedule, n, start, end):
    return [schedule.level(r**2) for r in between(sqrt(mpf(start)), sqrt(mpf(end)), n)]


def uniform_lambda(schedule, n, start, end):
    lams = between(schedule.level(mpf(start)).lam, schedule.level(mpf(end)).lam, n)
    return [schedule.level(schedule.time_of_lam(lam)) for lam in lams]


def karras(schedule, n, sigma_max, sigma_min):  # rho = 7; on EDM t = sigma = k
    return [schedule.level(r**7) for r in between(mpf(sigma_max)**(mpf(1) / 7), mpf(sigma_min)**(mpf(1) / 7), n)]


# ---------------------------------------------------------------- one step from t to s, one mode

def euler_maruyama(l):
    """dx = [f x - (1+l)/2 g2 score] dt + sqrt(l) g dw, coefficients at t."""
    def step(m, t, s, x, z):
        h = t.t - s.t
        return x - h * (t.f * x - (1 + l) / 2 * t.g2 * score(m, t, x)) + sqrt(l * t.g2 * h) * z
    return step


def vp_beta(t, s):  # the discrete beta of a VP step
    return t.g2 * (t.t - s.t)


def reverse_diffusion(m, t, s, x, z):
    """Song et al. 2021, appendix E; score_sde's ReverseDiffusionPredictor."""
    if t.schedule.kind == "vp":
        b = vp_beta(t, s)
        return (2 - sqrt(1 - b)) * x + b * score(m, t, x) + sqrt(b) * z
    if t.schedule.kind == "ve":
        b = t.q**2 - s.q**2
        return x + b * score(m, t, x) + sqrt(b) * z
    return euler_maruyama(1)(m, t, s, x, z)  # score_sde's default SDE.discretize


def ancestral(m, t, s, x, z):
    """Song et al. 2021, appendix F; score_sde's AncestralSamplingPredictor."""
    if t.schedule.kind == "vp":
        b = vp_beta(t, s)
        return (x + b * score(m, t, x)) / sqrt(1 - b) + sqrt(b) * z
    b = t.q**2 - s.q**2
    return x + b * score(m, t, x) + s.q * sqrt(b / t.q**2) * z


def forward_var(t, s):  # variance of x_t given x_s
    return t.q**2 - (t.a / s.a)**2 * s.q**2


def ddpm(variance):
    """Ho et al. 2020, algorithm 2, between any two levels."""
    def step(m, t, s, x, z):
        b = forward_var(t, s)
        var = {"fixed-small": lambda: b * s.q**2 / t.q**2,
               "fixed-large": lambda: b,
               "exact": lambda: b * marginal_var(m, s) / marginal_var(m, t)}[variance]()
        return s.a / t.a * (x - b / t.q * eps(m, t, x)) + sqrt(var) * z
    return step


def ddim(eta):
    """Song, Meng & Ermon 2021, eq. 12 and 16; forward_var = 1 - a_t^2/a_s^2 when VP."""
    def step(m, t, s, x, z):
        sd = eta * s.q / t.q * sqrt(forward_var(t, s))
        return s.a * D(m, t, x) + sqrt(s.q**2 - sd**2) * eps(m, t, x) + sd * z
    return step


def exponential_integrator(frozen, l):
    """Freeze one quantity of the SDE with parameter l, integrate the linear rest exactly.

    With y = x/a and g2/a^2 dt = d(k^2):  dy = -(1+l)/2 score a d(k^2) + sqrt(l d(k^2)) n, and
      score frozen:  score a d(k^2) = score (g2/a) dt, the schedule's own integral
      eps frozen:    score a d(k^2) = -(eps/k) d(k^2) = -2 eps dk
      D frozen:      score a d(k^2) = (D - y)/k^2 d(k^2), so y - D decays like k^(1+l), and the noise with it
    """
    def step(m, t, s, x, z):
        y, noise = x / t.a, l * (t.k**2 - s.k**2)
        if frozen == "score":
            y += (1 + l) / 2 * t.schedule.score_weight(t, s) * score(m, t, x)
        elif frozen == "eps":
            y -= (1 + l) * (t.k - s.k) * eps(m, t, x)
        else:
            d = D(m, t, x)
            y, noise = d + (s.k / t.k)**(1 + l) * (y - d), s.k**2 * (1 - (s.k / t.k)**(2 * l))
        return s.a * (y + sqrt(noise) * z)
    return step


def runge_kutta(method, slope, x, t, s):
    """dx/dt = slope(x, t) from t to s, which may be times or kappas."""
    h = s - t
    k1 = slope(x, t)
    if method == "euler":
        return x + h * k1
    if method == "midpoint":
        return x + h * slope(x + h / 2 * k1, t + h / 2)
    if method == "heun":
        return x + h / 2 * (k1 + slope(x + h * k1, s))
    k2 = slope(x + h / 2 * k1, t + h / 2)
    k3 = slope(x + h / 2 * k2, t + h / 2)
    k4 = slope(x + h * k3, s)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def flow_in_t(method):
    def step(m, t, s, x, z):
        def slope(x, time):
            u = t.schedule.level(time)
            return u.f * x - u.g2 / 2 * score(m, u, x)
        return runge_kutta(method, slope, x, t.t, s.t)
    return step


def eps_of_y(m):  # Var y = c + k^2: in y = x/a the kappa alone says what the level is
    return lambda y, k: k * (y - m.mu) / (m.c + k**2)


def flow_in_kappa(method):
    """Karras et al. 2022: dy/dk = eps with y = x/a."""
    def step(m, t, s, x, z):
        return s.a * runge_kutta(method, eps_of_y(m), x / t.a, t.k, s.k)
    return step


def churned_heun(s_churn, n):
    """Karras et al. 2022, algorithm 2, S_min = 0, S_max = inf, S_noise = 1."""
    gamma = min(s_churn / n, sqrt(mpf(2)) - 1)

    def step(m, t, s, x, z):
        hat = t.k * (1 + gamma)
        return s.a * runge_kutta("heun", eps_of_y(m), x / t.a + sqrt(hat**2 - t.k**2) * z, hat, s.k)
    return step


def stochastic_heun(m, t, s, x, z):
    """Improved Euler (Kloeden & Platen) on the reverse SDE; both stages share z."""
    h = t.t - s.t

    def drift(u, x):
        return u.f * x - u.g2 * score(m, u, x)
    hat = x - h * drift(t, x) + sqrt(t.g2 * h) * z
    return x - h / 2 * (drift(t, x) + drift(s, hat)) + (sqrt(t.g2) + sqrt(s.g2)) / 2 * sqrt(h) * z


def langevin(e, u):
    """One unadjusted Langevin step of size e at level u, in the shape of a step."""
    return lambda m, t, s, x, z: x + e * score(m, u, x) + sqrt(2 * e) * z


# ---------------------------------------------------------------- samplers: a law at grid[0] to a law at grid[-1]
# A law is a list of (mean, variance), one per mode.

def advance(law, step, t=None, s=None):
    out = []
    for m, (mean, var) in zip(MODES, law):
        centred = m._replace(mu=mpf(0))
        G = step(centred, t, s, mpf(1), mpf(0))
        Z = step(centred, t, s, mpf(0), mpf(1))
        out.append((step(m, t, s, mean, mpf(0)), G**2 * var + Z**2))
    return out


def marginal(u):
    return [(u.a * m.mu, marginal_var(m, u)) for m in MODES]


def one_step(step):
    def run(grid):
        law = marginal(grid[0])
        for t, s in zip(grid, grid[1:]):
            law = advance(law, step, t, s)
        return law
    return run


def fixed_step_size(step):
    return lambda u, law: mpf(step) * u.q**2


def snr_step_size(snr):
    """Song et al. 2021, algorithms 4 and 5, with root expected squares over all modes for the two norms."""
    def size(u, law):
        z2 = len(MODES)
        score2 = sum(((mean - u.a * m.mu)**2 + var) / marginal_var(m, u)**2 for m, (mean, var) in zip(MODES, law))
        A = u.a**2 if u.schedule.kind == "vp" else 1
        return 2 * A * mpf(snr)**2 * z2 / score2
    return size


def predictor_corrector(predictor, size, first="predictor"):
    def correct(law, u):
        return advance(law, langevin(size(u, law), u))

    def run(grid):
        law = marginal(grid[0])
        for t, s in zip(grid, grid[1:]):
            if first == "corrector":
                law = advance(correct(law, t), predictor, t, s)
            else:
                law = correct(advance(law, predictor, t, s), s)
        return law
    return run


def annealed_langevin(epsilon, steps_per_level):
    """Song & Ermon 2019, algorithm 1, in y = x/a (score_y = -(y - mu)/(c + k^2)), at every level of the grid."""
    def run(grid):
        law = [(mean / grid[0].a, var / grid[0].a**2) for mean, var in marginal(grid[0])]
        for u in grid:
            size = mpf(epsilon) * u.k**2 / grid[-1].k**2

            def step(m, t, s, y, z):
                return y - size / 2 * (y - m.mu) / (m.c + u.k**2) + sqrt(size) * z
            for _ in range(steps_per_level):
                law = advance(law, step)
        return [(mean * grid[-1].a, var * grid[-1].a**2) for mean, var in law]
    return run


def dpmpp_2m(grid):
    """Lu et al. 2022 (DPM-Solver++), algorithm 2; first step of first order, no lower_order_final."""
    def path(m, x):
        previous = None
        for t, s in zip(grid, grid[1:]):
            h = s.lam - t.lam
            d = D(m, t, x)
            if previous is None:
                mixed = d
            else:
                r = h_previous / h
                mixed = (1 + 1 / (2 * r)) * d - 1 / (2 * r) * previous
            x = s.q / t.q * x - s.a * expm1(-h) * mixed
            previous, h_previous = d, h
        return x
    return [(path(m, mean), path(m._replace(mu=mpf(0)), mpf(1))**2 * var)
            for m, (mean, var) in zip(MODES, marginal(grid[0]))]


# ---------------------------------------------------------------- the table

def problems():
    """(schedule, grid as TOML, N, levels)"""
    def one(schedule, toml, n, make, *ends):
        return schedule, toml, n, make(schedule, n, *ends)
    vp = VpLinear()
    for n in [16, 64, 256, 1024]:
        yield one(vp, 'name = "uniform-lambda", start = 1.0, end = 0.001', n, uniform_lambda, "1", "0.001")
    yield one(vp, 'name = "uniform-t", start = 1.0, end = 0.001', 64, uniform_t, "1", "0.001")
    yield one(vp, 'name = "quadratic-t", start = 1.0, end = 0.001', 64, quadratic_t, "1", "0.001")
    yield one(Edm(), 'name = "karras", rho = 7.0, sigma_max = 80.0, sigma_min = 0.002, final = "sigma_min"', 64,
              karras, "80", "0.002")
    yield one(Flow(), 'name = "uniform-t", start = 0.99, end = 0.01', 64, uniform_t, "0.99", "0.01")
    yield one(SubVp(), 'name = "uniform-t", start = 1.0, end = 0.01', 64, uniform_t, "1", "0.01")
    yield one(VpCosine(), 'name = "uniform-t", start = 0.95, end = 0.01', 64, uniform_t, "0.95", "0.01")
    yield one(VeGeometric(), 'name = "uniform-t", start = 1.0, end = 0.0', 64, uniform_t, "1", "0")


def solvers(schedule, grid):
    """(solver as TOML, NFE, sampler), for those that are defined on this grid."""
    n = len(grid) - 1
    # the VP formulas of score_sde take sqrt(1 - b)
    discrete = schedule.kind != "vp" or all(vp_beta(t, s) < 1 for t, s in zip(grid, grid[1:]))

    yield 'name = "euler-maruyama"', n, one_step(euler_maruyama(mpf(1)))
    for l in ["0.0", "0.5", "2.0"]:
        yield f'name = "euler-maruyama", lambda = {l}', n, one_step(euler_maruyama(mpf(l)))
    if discrete:
        yield 'name = "reverse-diffusion"', n, one_step(reverse_diffusion)
    if discrete and schedule.kind != "other":
        yield 'name = "ancestral"', n, one_step(ancestral)
    for variance in ["fixed-small", "fixed-large", "exact"]:
        yield f'name = "ddpm", variance = "{variance}"', n, one_step(ddpm(variance))
    for eta in ["0.0", "0.5", "1.0"]:
        yield f'name = "ddim", eta = {eta}', n, one_step(ddim(mpf(eta)))
    for frozen in ["score", "eps", "d"]:
        for l in ["0.0", "0.5", "1.0"]:
            yield (f'name = "exponential-integrator", frozen = "{frozen}", lambda = {l}', n,
                   one_step(exponential_integrator(frozen, mpf(l))))
    for method, calls in [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)]:
        yield f'name = "{method}", clock = "t"', calls * n, one_step(flow_in_t(method))
        yield f'name = "{method}", clock = "edm"', calls * n, one_step(flow_in_kappa(method))
    yield 'name = "dpmpp-2m"', n, dpmpp_2m
    yield 'name = "stochastic-heun"', 2 * n, one_step(stochastic_heun)

    epsilon = {"vp-linear": "1e-5", "edm": "4e-7"}  # about k_N^2/10: the step is stable at every level
    name = schedule.toml.split('"')[1]
    if name not in epsilon:
        return
    yield 'name = "heun", clock = "edm", s_churn = 20.0', 2 * n, one_step(churned_heun(mpf(20), n))
    if discrete:
        pc = 'name = "predictor-corrector", predictor = { name = "%s" }, corrections = 1, '
        yield (pc % "ancestral" + "step = 0.05", 2 * n,
               predictor_corrector(ancestral, fixed_step_size("0.05")))
        yield (pc % "ancestral" + 'step = 0.05, first = "corrector"', 2 * n,
               predictor_corrector(ancestral, fixed_step_size("0.05"), first="corrector"))
        yield (pc % "reverse-diffusion" + "snr = 0.16", 2 * n,
               predictor_corrector(reverse_diffusion, snr_step_size("0.16")))
    yield (f'name = "annealed-langevin", epsilon = {epsilon[name]}, steps_per_level = 5', 5 * (n + 1),
           annealed_langevin(epsilon[name], 5))


def w2(p, r):
    return sqrt(sum((m - n)**2 + (sqrt(v) - sqrt(w))**2 for (m, v), (n, w) in zip(p, r)))


def kl(p, r):
    return sum((v / w - 1 - log(v / w)) / 2 + (m - n)**2 / (2 * w) for (m, v), (n, w) in zip(p, r))


def metrics(law, last):
    exact, data = marginal(last), [(m.mu, m.c) for m in MODES]
    return {"w2": w2(law, exact), "w2_data": w2(law, data), "kl": kl(law, exact),
            "mean_error": sqrt(sum((m - n)**2 for (m, _), (n, _) in zip(law, exact))),
            "cov_error": sqrt(sum((v - w)**2 for (_, v), (_, w) in zip(law, exact)))}


# ---------------------------------------------------------------- what must hold whatever the numbers are

IDENTITIES = [
    ('name = "ddim", eta = 0.0', 'name = "euler", clock = "edm"'),
    ('name = "ddim", eta = 0.0', 'name = "exponential-integrator", frozen = "eps", lambda = 0.0'),
    ('name = "ddim", eta = 0.0', 'name = "exponential-integrator", frozen = "d", lambda = 0.0'),
    ('name = "ddim", eta = 1.0', 'name = "ddpm", variance = "fixed-small"'),
    ('name = "ddim", eta = 1.0', 'name = "exponential-integrator", frozen = "d", lambda = 1.0'),
    ('name = "euler", clock = "t"', 'name = "euler-maruyama", lambda = 0.0'),
]


def check(schedule, grid, laws):
    def same(p, r):
        assert w2(p, r) < ZERO, schedule.toml
    for one, other in IDENTITIES:
        same(laws[one], laws[other])
    same(laws['name = "ddpm", variance = "exact"'], marginal(grid[-1]))
    if schedule.toml == Edm.toml:  # t is kappa
        for method in ["euler", "midpoint", "heun", "rk4"]:
            same(laws[f'name = "{method}", clock = "t"'], laws[f'name = "{method}", clock = "edm"'])
    for t, s in [(grid[0], grid[1]), (grid[-2], grid[-1])]:  # closed forms against the definitions
        integral = quad(lambda u: schedule.level(u).g2 / schedule.level(u).a, [s.t, t.t])
        assert abs(schedule.score_weight(t, s) / integral - 1) < mpf("1e-30"), schedule.toml
        assert abs(mp.diff(lambda u: log(schedule.level(u).a), t.t) - t.f) < mpf("1e-15") * (1 + abs(t.f))
        dq2 = mp.diff(lambda u: schedule.level(u).q**2, t.t)
        assert abs(dq2 - 2 * t.f * t.q**2 - t.g2) < mpf("1e-15") * t.g2, schedule.toml


def main():
    columns = ["schedule", "grid", "steps", "solver", "nfe", "w2", "w2_data", "kl", "mean_error", "cov_error"]
    rows = []
    for schedule, toml, n, grid in problems():
        print(schedule.toml, "|", toml, "|", n, file=sys.stderr)
        laws = {}
        for solver, nfe, run in solvers(schedule, grid):
            laws[solver] = run(grid)
            values = metrics(laws[solver], grid[-1])
            numbers = ["0" if abs(values[c]) < ZERO else f"{float(values[c]):.16e}" for c in columns[5:]]
            rows.append([schedule.toml, toml, n, solver, nfe, *numbers])
        check(schedule, grid, laws)
    with open(Path(__file__).with_suffix(".csv"), "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
