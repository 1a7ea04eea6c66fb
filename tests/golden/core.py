"""Data, schedules, grids, states and their errors: what all families of solvers here stand on.

On Gaussian data the score is affine, so every sampler maps its start and its noises to an affine combination of
them, and the modes of the covariance decouple. A state of one mode is therefore kept as that combination, `Affine`,
in 50-digit arithmetic, and each scheme is written as its paper writes it, for one mode.

Letters: x_t = a x0 + q n;  f = d ln a/dt;  g2 = dq^2/dt - 2 f q^2;  k = q/a;  lam = ln(a/q);
D = E[x0|x_t];  eps = (x - a D)/q;  score = -eps/q.  A step goes from level t down to level s.
"""

import functools
from collections import namedtuple

from mpmath import cos, exp, expm1, log, log1p, mp, mpf, pi, sqrt, tan

mp.dps = 50
ZERO = mpf("1e-40")  # anything smaller is round-off around an exact zero, and is written as 0

# ---------------------------------------------------------------- data: N(mu, c), one mode at a time

Mode = namedtuple("Mode", "mu c")
MODES = [Mode(mpf(mu), mpf(c)) for mu, c in
         [("0", "1"), ("1", "0.25"), ("-0.5", "4"), ("0", "0.01"), ("0.3", "0.1")]]


class Calls:
    count = 0


def marginal_var(m, t):
    return t.a**2 * m.c + t.q**2


def score(m, t, x):
    Calls.count += 1
    return -1 / marginal_var(m, t) * (x - t.a * m.mu)


def eps(m, t, x):
    return -t.q * score(m, t, x)


def eps_of_y(m, k, y):  # Var y = c + k^2: for y = x/a, k alone says what the level is
    Calls.count += 1
    return k / (m.c + k**2) * (y - m.mu)


def D(m, t, x):
    Calls.count += 1
    return m.mu + t.a * m.c / marginal_var(m, t) * (x - t.a * m.mu)


def flow(m, t, s, x):
    """The exact solution of the probability flow."""
    return s.a * m.mu + sqrt(marginal_var(m, s) / marginal_var(m, t)) * (x - t.a * m.mu)


# ---------------------------------------------------------------- a state: constant, start and noises

ONE, START, REST = "1", "start", "rest"  # REST: noises that nobody will ask for one by one


class Affine:
    """Sum of rows[key] times the variable named key: ONE is 1, all others are independent standard normals."""
    __slots__ = ("rows",)

    def __init__(self, rows):
        self.rows = rows

    def __add__(self, other):
        rows = dict(self.rows)
        for key, value in (other.rows if isinstance(other, Affine) else {ONE: other}).items():
            rows[key] = rows[key] + value if key in rows else value
        return Affine(rows)

    def __mul__(self, factor):
        return Affine({key: factor * value for key, value in self.rows.items()})

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -1 * other

    def __rsub__(self, other):
        return -self + other

    def __truediv__(self, by):
        return self * (1 / by)

    __radd__, __rmul__ = __add__, __mul__

    def mean(self):
        return self.rows.get(ONE, mpf(0))

    def variance(self):
        return sum(value**2 for key, value in self.rows.items() if key != ONE)


Draw = namedtuple("Draw", "index t s")  # the normalised increment over [t, s], or (None, None) of no path


class Noise:
    def __init__(self):
        self.drawn = 0

    def __call__(self, t=None, s=None):
        self.drawn += 1
        return Affine({Draw(self.drawn, t, s): mpf(1)})


def marginal_start(m, t):
    return Affine({ONE: t.a * m.mu, START: sqrt(marginal_var(m, t))})


def per_mode(sampler):
    """Run `sampler(m, grid, x, noise)` for every mode from the exact marginal."""
    def run(grid):
        return [sampler(m, grid, marginal_start(m, grid[0]), Noise()) for m in MODES]
    return run


def one_step(step):
    """The sampler of `step(m, t, s, x, z)`, which sees nothing but the state: linear in the number of steps."""
    def run(grid):
        out = []
        for m in MODES:
            centred, rows, mean = m._replace(mu=mpf(0)), [(START, sqrt(marginal_var(m, grid[0])), 0)], grid[0].a * m.mu
            gains = [mpf(1)]  # up to this level
            for k, (t, s) in enumerate(zip(grid, grid[1:])):
                mean = step(m, t, s, mean, mpf(0))
                gains.append(gains[-1] * step(centred, t, s, mpf(1), mpf(0)))
                rows.append((Draw(k, t, s), step(centred, t, s, mpf(0), mpf(1)), k + 1))
            out.append(Affine({ONE: mean, **{key: row * gains[-1] / gains[k] for key, row, k in rows}}))
        return out
    run.passes = 3
    return run


# ---------------------------------------------------------------- errors

def w2(p, r):
    return sqrt(sum((m - n)**2 + (sqrt(v) - sqrt(w))**2 for (m, v), (n, w) in zip(p, r)))


def kl(p, r):
    return sum((v / w - 1 - log(v / w)) / 2 + (m - n)**2 / (2 * w) for (m, v), (n, w) in zip(p, r))


def law(states):
    return [(x.mean(), x.variance()) for x in states]


def marginal(u):
    return [(u.a * m.mu, marginal_var(m, u)) for m in MODES]


def metrics(states, last):
    got, exact, data = law(states), marginal(last), [(m.mu, m.c) for m in MODES]
    return {"w2": w2(got, exact), "w2_data": w2(got, data), "kl": kl(got, exact),
            "mean_error": sqrt(sum((m - n)**2 for (m, _), (n, _) in zip(got, exact))),
            "cov_error": sqrt(sum((v - w)**2 for (_, v), (_, w) in zip(got, exact)))}


def strong_error(states, grid, l):
    """Root mean square distance from the exact solution of dx = [f x - (1+l)/2 g2 score] dt + sqrt(l) g dw.

    That solution on the same start and path is, in u = k^2 with p = (1+l)/2 and K = v_s^p / a_s^l,
        x_s - a_s mu = (K a_T^l / v_T^p) (x_T - a_T mu) + sqrt(l) K int (c + u)^-p dB_u,
    so every integral of its kernel, alone or against the constant kernel of an increment, is elementary.
    """
    first, last = grid[0], grid[-1]
    total, p = mpf(0), (1 + l) / 2

    def integral(c, p, t, s):  # of (c + u)^-p over [k_s^2, k_t^2]
        high, low = c + t.k**2, c + s.k**2
        return log(high / low) if p == 1 else (high**(1 - p) - low**(1 - p)) / (1 - p)
    for m, x in zip(MODES, states):
        K = marginal_var(m, last)**p / last.a**l
        total += (x.mean() - last.a * m.mu)**2
        total += (x.rows.get(START, 0) - K * first.a**l / marginal_var(m, first)**(p - mpf(1) / 2))**2
        total += l * K**2 * integral(m.c, 2 * p, first, last)
        for key, w in x.rows.items():
            if isinstance(key, Draw):
                total += w**2
                if key.t is not None:
                    width = sqrt(key.t.k**2 - key.s.k**2)
                    total -= 2 * w * sqrt(l) * K * integral(m.c, p, key.t, key.s) / width
    return sqrt(abs(total))


# ---------------------------------------------------------------- schedules

class Level:
    def __init__(self, schedule, t, a, q, f, g2):
        self.schedule, self.t, self.a, self.q, self.f, self.g2 = schedule, t, a, q, f, g2
        self.k = q / a
        self.lam = -log(self.k)

    def towards(self, s, share):
        """The level that many of the way to s, in lambda."""
        return self.schedule.at_k(exp(-(self.lam + share * (s.lam - self.lam))))


class Schedule:
    """`kind` is what score_sde distinguishes: "vp", "ve" (a = 1), or "other"."""

    @functools.lru_cache(maxsize=None)
    def level(self, t):
        return Level(self, t, *self.coefficients(t))

    def at_k(self, k):
        return self.level(self.time_of_k(k))


class VpLinear(Schedule):
    toml = 'name = "vp-linear", beta_min = 0.1, beta_max = 20.0'
    kind = "vp"
    b0, b1 = mpf("0.1"), mpf(20)

    def beta_and_integral(self, t):
        return self.b0 + (self.b1 - self.b0) * t, self.b0 * t + (self.b1 - self.b0) * t**2 / 2

    def coefficients(self, t):
        beta, B = self.beta_and_integral(t)
        return exp(-B / 2), sqrt(-expm1(-B)), -beta / 2, beta

    def time_of_k(self, k):
        B = log1p(k**2)
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
    time_of_k = None  # not the VP one; no grid here needs it
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

    def time_of_k(self, k):
        return k / (1 + k)

    def score_weight(self, t, s):
        return 2 * (1 / t.a + log(t.a)) - 2 * (1 / s.a + log(s.a))


class Edm(Schedule):
    toml = 'name = "edm"'
    kind = "ve"

    def coefficients(self, t):
        return mpf(1), t, mpf(0), 2 * t

    def time_of_k(self, k):
        return k

    def score_weight(self, t, s):
        return t.q**2 - s.q**2


class VeGeometric(Edm):
    toml = 'name = "ve", sigma_min = 0.01, sigma_max = 50.0'
    q0, q1 = mpf("0.01"), mpf(50)

    def coefficients(self, t):
        q = self.q0 * (self.q1 / self.q0)**t
        return mpf(1), q, mpf(0), 2 * log(self.q1 / self.q0) * q**2

    def time_of_k(self, k):
        return log(k / self.q0) / log(self.q1 / self.q0)


# ---------------------------------------------------------------- grids: N steps are N+1 levels

def between(first, last, n):
    return [first + (last - first) * i / n for i in range(n + 1)]


def uniform_t(schedule, n, start, end):
    return [schedule.level(t) for t in between(mpf(start), mpf(end), n)]


def quadratic_t(schedule, n, start, end):
    return [schedule.level(r**2) for r in between(sqrt(mpf(start)), sqrt(mpf(end)), n)]


def uniform_lambda(schedule, n, start, end):
    lams = between(schedule.level(mpf(start)).lam, schedule.level(mpf(end)).lam, n)
    return [schedule.at_k(exp(-lam)) for lam in lams]


def karras(schedule, n, sigma_max, sigma_min):  # rho = 7
    ends = [mpf(sigma)**(mpf(1) / 7) for sigma in (sigma_max, sigma_min)]
    return [schedule.at_k(r**7) for r in between(*ends, n)]
