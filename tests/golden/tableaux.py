"""Butcher tables, typed from the papers and held to the order conditions of all rooted trees."""

import re
from fractions import Fraction
from itertools import combinations_with_replacement

from mpmath import cos, lu_solve, matrix, mp, mpf, pi, polyroots, sqrt

mp.dps = 50
ROOTS = {"r2": 2, "r5": 5, "r21": 21}


def number(word):
    """p, p/q, decimals, or (expression with square roots, r2 for sqrt 2)."""
    if word[0] == "(":
        # every integer in the expression becomes an mpf, so that nothing is rounded to a double
        text = re.sub(r"(?<![\w.])(\d+)", r"mpf(\1)", word)
        return eval(text, {"mpf": mpf, **{name: sqrt(mpf(n)) for name, n in ROOTS.items()}})
    if "." in word:
        return mpf(word)
    p = Fraction(word)
    return mpf(p.numerator) / p.denominator


def explicit(text):
    """Rows of a below the first, then b, separated by `;`; an omitted tail of a row is zeros. c is the row sum."""
    rows = [[number(w) for w in row.split()] for row in text.split(";")]
    *a, b = [[]] + rows
    s = len(b)
    a = [row + [mpf(0)] * (s - len(row)) for row in a]
    assert len(a) == s, text
    return a, b, [sum(row) for row in a]


# Sources: HNW = Hairer, Norsett & Wanner, Solving ODEs I (1993), chapter II.
EXPLICIT = {  # name: (order, table)
    "euler-1": (1, "1"),
    "midpoint-2": (2, "1/2; 0 1"),
    "heun-2": (2, "1; 1/2 1/2"),
    "ralston-2": (2, "2/3; 1/4 3/4"),
    "kutta-3": (3, "1/2; -1 2; 1/6 2/3 1/6"),
    "heun-3": (3, "1/3; 0 2/3; 1/4 0 3/4"),
    "ralston-3": (3, "1/2; 0 3/4; 2/9 1/3 4/9"),
    "ssp-3": (3, "1; 1/4 1/4; 1/6 1/6 2/3"),
    "houwen-3": (3, "8/15; 1/4 5/12; 1/4 0 3/4"),
    "nystrom-3": (3, "2/3; 0 2/3; 1/4 3/8 3/8"),
    "classic-4": (4, "1/2; 0 1/2; 0 0 1; 1/6 1/3 1/3 1/6"),
    "three-eighths-4": (4, "1/3; -1/3 1; 1 -1 1; 1/8 3/8 3/8 1/8"),
    "gill-4": (4, "1/2; (r2/2-1/2) (1-r2/2); 0 (-r2/2) (1+r2/2); 1/6 (1/3-r2/6) (1/3+r2/6) 1/6"),
    "ralston-4": (4, "2/5; ((-2889+1428*r5)/1024) ((3785-1620*r5)/1024);"  # Ralston 1962
                     "((-3365+2094*r5)/6040) ((-975-3046*r5)/2552) ((467040+203968*r5)/240845);"
                     "((263+24*r5)/1812) ((125-1000*r5)/3828) ((3426304+1661952*r5)/5924787) ((30-4*r5)/123)"),
    "merson-4": (4, "1/3; 1/6 1/6; 1/8 0 3/8; 1/2 0 -3/2 2; 1/6 0 0 2/3 1/6"),
    "fehlberg-4": (4, "1/4; 3/32 9/32; 1932/2197 -7200/2197 7296/2197; 439/216 -8 3680/513 -845/4104;"
                      "25/216 0 1408/2565 2197/4104 -1/5"),
    "fehlberg-5": (5, "1/4; 3/32 9/32; 1932/2197 -7200/2197 7296/2197; 439/216 -8 3680/513 -845/4104;"
                      "-8/27 2 -3544/2565 1859/4104 -11/40; 16/135 0 6656/12825 28561/56430 -9/50 2/55"),
    "cash-karp-5": (5, "1/5; 3/40 9/40; 3/10 -9/10 6/5; -11/54 5/2 -70/27 35/27;"
                       "1631/55296 175/512 575/13824 44275/110592 253/4096; 37/378 0 250/621 125/594 0 512/1771"),
    "dopri5": (5, "1/5; 3/40 9/40; 44/45 -56/15 32/9; 19372/6561 -25360/2187 64448/6561 -212/729;"
                  "9017/3168 -355/33 46732/5247 49/176 -5103/18656; 35/384 0 500/1113 125/192 -2187/6784 11/84"),
    "tsit5": (5, "0.161; -0.008480655492356989 0.335480655492357;"  # Tsitouras 2011, as printed: 16 digits
                 "2.897153057105493 -6.359448489975075 4.362295432869581;"
                 "5.325864828439257 -11.748883564062828 7.4955393428898365 -0.09249506636175525;"
                 "5.86145544294642 -12.92096931784711 8.159367898576159 -0.071584973281401 -0.028269050394068383;"
                 "0.09646076681806523 0.01 0.4798896504144996 1.379008574103742 -3.290069515436081 2.324710524099774"),
    "butcher-5": (5, "1/4; 1/8 1/8; 0 -1/2 1; 3/16 0 0 9/16; -3/7 2/7 12/7 -12/7 8/7;"
                     "7/90 0 32/90 12/90 32/90 7/90"),
    "nystrom-5": (5, "1/3; 4/25 6/25; 1/4 -3 15/4; 2/27 10/9 -50/81 8/81; 2/25 12/25 2/15 8/75 0;"
                     "23/192 0 125/192 0 -27/64 125/192"),
    "lawson-5": (5, "1/2; 3/16 1/16; 0 0 1/2; 0 -3/16 6/16 9/16; 1/7 4/7 6/7 -12/7 8/7;"
                    "7/90 0 32/90 12/90 32/90 7/90"),
    "bogacki-shampine-5": (5, "1/6; 2/27 4/27; 183/1372 -162/343 1053/1372; 68/297 -4/11 42/143 1960/3861;"
                              "597/22528 81/352 63099/585728 58653/366080 4617/20480; 174197/959244 -30942/79937"
                              " 8152137/19744439 666106/1039181 -29421/29068 482048/414219;"
                              "587/8064 0 4440339/15491840 24353/124800 387/44800 2152/5985 7267/94080"),
    "butcher-6": (6, "1/3; 0 2/3; 1/12 1/3 -1/12; -1/16 9/8 -3/16 -3/8; 0 9/8 -3/8 -3/4 1/2;"
                     "9/44 -9/11 63/44 18/11 0 -16/11; 11/120 0 27/40 27/40 -4/15 -4/15 11/120"),
    "verner-6": (6, "1/6; 4/75 16/75; 5/6 -8/3 5/2; -165/64 55/6 -425/64 85/96; 12/5 -8 4015/612 -11/36 88/255;"
                    "-8263/15000 124/75 -643/680 -81/250 2484/10625;"
                    "3501/1720 -300/43 297275/52632 -319/2322 24068/84065 0 3850/26703;"
                    "3/40 0 875/2244 23/72 264/1955 0 125/11592 43/616"),
    "cooper-verner-8": (8, "1/2; 1/4 1/4; 1/7 ((-7-3*r21)/98) ((21+5*r21)/49);"
                           "((11+r21)/84) 0 ((18+4*r21)/63) ((21-r21)/252);"
                           "((5+r21)/48) 0 ((9+r21)/36) ((-231+14*r21)/360) ((63-7*r21)/80);"
                           "((10-r21)/42) 0 ((-432+92*r21)/315) ((633-145*r21)/90) ((-504+115*r21)/70)"
                           " ((63-13*r21)/35);"
                           "1/14 0 0 0 ((14-3*r21)/126) ((13-3*r21)/63) 1/9;"
                           "1/32 0 0 0 ((91-21*r21)/576) 11/72 ((-385-75*r21)/1152) ((63+13*r21)/128);"
                           "1/14 0 0 0 1/9 ((-733-147*r21)/2205) ((515+111*r21)/504) ((-51-11*r21)/56)"
                           " ((132+28*r21)/245);"
                           "0 0 0 0 ((-42+7*r21)/18) ((-18+28*r21)/45) ((-273-53*r21)/72) ((301+53*r21)/72)"
                           " ((28-28*r21)/45) ((49-7*r21)/18);"
                           "1/20 0 0 0 0 0 0 49/180 16/45 49/180 1/20"),
}


# ---------------------------------------------------------------- implicit tables (HNW II, chapter IV.5)

def product(*polynomials):
    out = [mpf(1)]
    for p in polynomials:
        out = [sum(out[i] * p[k - i] for i in range(len(out)) if 0 <= k - i < len(p))
               for k in range(len(out) + len(p) - 1)]
    return out


def nodes(s, at_zero, at_one):
    """Zeros in [0, 1] of the derivative of order s - z of x^(s - o) (x - 1)^(s - z'): Gauss, Radau or Lobatto."""
    fixed = at_zero + at_one
    p = product(*[[mpf(1), mpf(0)]] * (s - at_one), *[[mpf(1), mpf(-1)]] * (s - at_zero))
    for _ in range(s - fixed):
        p = [c * (len(p) - 1 - k) for k, c in enumerate(p[:-1])]
    roots = polyroots(p, maxsteps=200, extraprec=400) if len(p) > 1 else []
    return sorted(root.real for root in roots)


def quadrature(c):
    """b with sum b_j c_j^k = 1/(k+1)."""
    s = len(c)
    return list(lu_solve(matrix([[x**k for x in c] for k in range(s)]), matrix([mpf(1) / (k + 1) for k in range(s)])))


def collocation(c):
    """C(s): sum_j a_ij c_j^k = c_i^(k+1)/(k+1)."""
    s, V = len(c), matrix([[x**k for x in c] for k in range(len(c))])
    return [list(lu_solve(V, matrix([x**(k + 1) / (k + 1) for k in range(s)]))) for x in c]


def adjoint(c):
    """D(s): sum_i b_i c_i^k a_ij = b_j (1 - c_j^(k+1))/(k+1)."""
    s, b = len(c), quadrature(c)
    V = matrix([[b[i] * c[i]**k for i in range(s)] for k in range(s)])
    columns = [list(lu_solve(V, matrix([b[j] * (1 - c[j]**(k + 1)) / (k + 1) for k in range(s)]))) for j in range(s)]
    return [[columns[j][i] for j in range(s)] for i in range(s)]


def lobatto_iiic(c):
    """a_i1 = b_1 and C(s-1)."""
    s, b = len(c), quadrature(c)
    V = matrix([[x**k for x in c[1:]] for k in range(s - 1)])
    return [[b[0]] + list(lu_solve(V, matrix([x**(k + 1) / (k + 1) - b[0] * c[0]**k for k in range(s - 1)])))
            for x in c]


def diagonal(*rows, b):
    s = len(rows)
    return [list(row) + [mpf(0)] * (s - len(row)) for row in rows], list(b), [sum(row) for row in rows]


def implicit():
    """name: (order, (a, b, c))"""
    out = {}
    for s in [1, 2, 3, 4, 5]:
        c = nodes(s, 0, 0)
        out[f"gauss-{2 * s}"] = out[f"gauss-legendre-{s}"] = (2 * s, (collocation(c), quadrature(c), c))
    for s in [1, 2, 3]:
        c = nodes(s, 0, 1)
        out[f"radau-iia-{s}"] = (2 * s - 1, (collocation(c), quadrature(c), c))
        c = nodes(s, 1, 0)
        out[f"radau-ia-{s}"] = (2 * s - 1, (adjoint(c), quadrature(c), c))
    for s in [2, 3, 4]:
        c = nodes(s, 1, 1)
        for kind, a in [("a", collocation(c)), ("b", adjoint(c)), ("c", lobatto_iiic(c))]:
            out[f"lobatto-iii{kind}-{s}"] = (2 * s - 2, (a, quadrature(c), c))
    half, g = mpf(1) / 2, (3 + sqrt(mpf(3))) / 6
    out["crouzeix-2"] = (3, diagonal([g], [1 - 2 * g, g], b=[half, half]))
    g = cos(pi / 18) / sqrt(mpf(3)) + half
    d = 1 / (6 * (2 * g - 1)**2)
    out["crouzeix-3"] = (4, diagonal([g], [half - g, g], [2 * g, 1 - 4 * g, g], b=[d, 1 - 2 * d, d]))
    out["qin-zhang-2"] = (2, diagonal([mpf(1) / 4], [half, mpf(1) / 4], b=[half, half]))
    return out


# ---------------------------------------------------------------- order conditions

def trees(order):
    """All rooted trees with that many vertices, each the sorted tuple of its subtrees."""
    if order == 1:
        return [()]
    smaller = {k: trees(k) for k in range(1, order)}

    def forests(left, largest):
        if left == 0:
            yield ()
        for size in range(min(left, largest), 0, -1):
            for count in range(left // size, 0, -1):
                for same in combinations_with_replacement(smaller[size], count):
                    for rest in forests(left - size * count, size - 1):
                        yield same + rest
    return list(forests(order - 1, order - 1))


def size(tree):
    return 1 + sum(size(sub) for sub in tree)


def density(tree):
    out = size(tree)
    for sub in tree:
        out *= density(sub)
    return out


def stage_weights(a, tree):
    out = [mpf(1)] * len(a)
    for sub in tree:
        inner = stage_weights(a, sub)
        out = [o * sum(x * y for x, y in zip(row, inner)) for o, row in zip(out, a)]
    return out


def defect(a, b, order):
    """The largest miss of the order conditions up to this order."""
    return max(abs(sum(x * y for x, y in zip(b, stage_weights(a, tree))) - mpf(1) / density(tree))
               for p in range(1, order + 1) for tree in trees(p))


def check():
    for name, (order, text) in EXPLICIT.items():
        a, b, _ = explicit(text)
        tolerance = mpf("1e-13") if "0.1" in text else mpf("1e-45")
        assert defect(a, b, order) < tolerance and defect(a, b, order + 1) > mpf("1e-6"), name
    for name, (order, (a, b, c)) in implicit().items():
        order = min(order, 6)  # the trees of order 10 are many, and Gauss's proof is old
        assert defect(a, b, order) < mpf("1e-40") and order == 6 or defect(a, b, order + 1) > mpf("1e-6"), name
