"""One-step schemes that read the model once or twice a step, predictor-corrector, and annealed Langevin."""

from mpmath import mpf, sqrt

from core import (MODES, ONE, REST, Affine, D, eps, marginal_start, marginal_var, one_step, score)


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


def stochastic_heun(m, t, s, x, z):
    """Improved Euler (Kloeden & Platen) on the reverse SDE; both stages share z."""
    h = t.t - s.t

    def drift(u, x):
        return u.f * x - u.g2 * score(m, u, x)
    slope = drift(t, x)
    hat = x - h * slope + sqrt(t.g2 * h) * z
    return x - h / 2 * (slope + drift(s, hat)) + (sqrt(t.g2) + sqrt(s.g2)) / 2 * sqrt(h) * z


def langevin(e, u):
    """One unadjusted Langevin step of size e at level u, in the shape of a step."""
    return lambda m, t, s, x, z: x + e * score(m, u, x) + sqrt(2 * e) * z


# ---------------------------------------------------------------- samplers whose steps look at the whole law

def advance(states, step, t=None, s=None):
    """Nobody asks for these noises one by one: they are kept as one of the same variance."""
    out = []
    for m, x in zip(MODES, states):
        centred = m._replace(mu=mpf(0))
        G = step(centred, t, s, mpf(1), mpf(0))
        Z = step(centred, t, s, mpf(0), mpf(1))
        out.append(Affine({ONE: step(m, t, s, x.mean(), mpf(0)), REST: sqrt(G**2 * x.variance() + Z**2)}))
    return out


def fixed_step_size(step):
    return lambda u, states: mpf(step) * u.q**2


def snr_step_size(snr):
    """Song et al. 2021, algorithms 4 and 5, with root expected squares over all modes for the two norms."""
    def size(u, states):
        score2 = sum(((x.mean() - u.a * m.mu)**2 + x.variance()) / marginal_var(m, u)**2
                     for m, x in zip(MODES, states))
        A = u.a**2 if u.schedule.kind == "vp" else 1
        return 2 * A * mpf(snr)**2 * len(MODES) / score2
    return size


def predictor_corrector(predictor, size, first="predictor"):
    def correct(states, u):
        return advance(states, langevin(size(u, states), u))

    def run(grid):
        states = [marginal_start(m, grid[0]) for m in MODES]
        for t, s in zip(grid, grid[1:]):
            if first == "corrector":
                states = advance(correct(states, t), predictor, t, s)
            else:
                states = correct(advance(states, predictor, t, s), s)
        return states
    return run


def annealed_langevin(epsilon, steps_per_level):
    """Song & Ermon 2019, algorithm 1, in y = x/a (score_y = -(y - mu)/(c + k^2)), at every level of the grid."""
    def run(grid):
        states = [marginal_start(m, grid[0]) / grid[0].a for m in MODES]
        for u in grid:
            size = mpf(epsilon) * u.k**2 / grid[-1].k**2

            def step(m, t, s, y, z):
                return y - size / 2 * (y - m.mu) / (m.c + u.k**2) + sqrt(size) * z
            for _ in range(steps_per_level):
                states = advance(states, step)
        return [x * grid[-1].a for x in states]
    return run


# ---------------------------------------------------------------- the table: (TOML, NFE, sampler, l of its equation)

def rows(schedule, grid):
    n = len(grid) - 1
    # the VP formulas of score_sde take sqrt(1 - b)
    discrete = schedule.kind != "vp" or all(vp_beta(t, s) < 1 for t, s in zip(grid, grid[1:]))

    for l in ["1.0", "0.0", "0.5", "2.0"]:
        name = 'name = "euler-maruyama"' + (f", lambda = {l}" if l != "1.0" else "")
        yield name, n, one_step(euler_maruyama(mpf(l))), mpf(l)
    if discrete:
        yield 'name = "reverse-diffusion"', n, one_step(reverse_diffusion), mpf(1)
    if discrete and schedule.kind != "other":
        yield 'name = "ancestral"', n, one_step(ancestral), mpf(1)
    for variance in ["fixed-small", "fixed-large", "exact"]:
        yield f'name = "ddpm", variance = "{variance}"', n, one_step(ddpm(variance)), mpf(1)
    for eta in ["0.0", "0.5", "1.0"]:
        yield f'name = "ddim", eta = {eta}', n, one_step(ddim(mpf(eta))), mpf(eta)**2
    for frozen in ["score", "eps", "d"]:
        for l in ["0.0", "0.5", "1.0"]:
            yield (f'name = "exponential-integrator", frozen = "{frozen}", lambda = {l}', n,
                   one_step(exponential_integrator(frozen, mpf(l))), mpf(l))
    yield 'name = "stochastic-heun"', 2 * n, one_step(stochastic_heun), mpf(1)

    epsilon = {"vp-linear": "1e-5", "edm": "4e-7"}  # about k_N^2/10: the step is stable at every level
    name = schedule.toml.split('"')[1]
    if name not in epsilon:
        return
    if discrete:
        pc = 'name = "predictor-corrector", predictor = { name = "%s" }, corrections = 1, '
        yield (pc % "ancestral" + "step = 0.05", 2 * n,
               predictor_corrector(ancestral, fixed_step_size("0.05")), None)
        yield (pc % "ancestral" + 'step = 0.05, first = "corrector"', 2 * n,
               predictor_corrector(ancestral, fixed_step_size("0.05"), first="corrector"), None)
        yield (pc % "reverse-diffusion" + "snr = 0.16", 2 * n,
               predictor_corrector(reverse_diffusion, snr_step_size("0.16")), None)
    yield (f'name = "annealed-langevin", epsilon = {epsilon[name]}, steps_per_level = 5', 5 * (n + 1),
           annealed_langevin(epsilon[name], 5), None)


IDENTITIES = [
    ('name = "ddim", eta = 0.0', 'name = "euler", clock = "edm"'),
    ('name = "ddim", eta = 0.0', 'name = "exponential-integrator", frozen = "eps", lambda = 0.0'),
    ('name = "ddim", eta = 0.0', 'name = "exponential-integrator", frozen = "d", lambda = 0.0'),
    ('name = "ddim", eta = 1.0', 'name = "ddpm", variance = "fixed-small"'),
    ('name = "ddim", eta = 1.0', 'name = "exponential-integrator", frozen = "d", lambda = 1.0'),
    ('name = "euler", clock = "t"', 'name = "euler-maruyama", lambda = 0.0'),
]
