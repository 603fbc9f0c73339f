"""Lloyd–Max quantisers to 30 digits, by Newton's method in multiple precision: nothing of the library is used.

    pip install mpmath; python3 scripts/independent-codebooks.py > codebooks.json
    node scripts/generate-fixtures.mjs --codebooks codebooks.json

The density is N(0,1), or that of a coordinate of a unit vector of d values, (1 - t^2)^((d-3)/2) up to a factor. A
quantiser is optimal when boundaries are midpoints and every level is the mean of its cell; levels are symmetric, so the
positive half is solved for.
"""

import json

from mpmath import betainc, erf, erfinv, exp, inf, lu_solve, matrix, mp, mpf, nstr, pi, sqrt

mp.dps = 40


def gaussian():
    def mass(a, b):
        upper = mpf(1) if b == inf else erf(b / sqrt(2))
        return (upper - erf(a / sqrt(2))) / 2

    def density(t):
        return mpf(0) if t == inf else exp(-t * t / 2) / sqrt(2 * pi)

    def moment(a, b):
        return density(a) - density(b)

    return mass, density, moment, inf, mpf(1), mpf(1)


def sphere(d):
    whole = betainc(mpf(1) / 2, mpf(d - 1) / 2, 0, 1)

    def mass(a, b):
        return betainc(mpf(1) / 2, mpf(d - 1) / 2, a * a, b * b) / (2 * whole)

    def density(t):
        return (1 - t * t) ** (mpf(d - 3) / 2) / whole

    def moment(a, b):
        return ((1 - a * a) ** (mpf(d - 1) / 2) - (1 - b * b) ** (mpf(d - 1) / 2)) / (whole * (d - 1))

    return mass, density, moment, mpf(1), 1 / sqrt(mpf(d)), 1 / mpf(d)


def solve(mass, density, moment, end, spread, variance, bits):
    n = 2 ** (bits - 1)
    # Panter and Dite: levels as the quantiles of the density's cube root, here of N(0, 3)
    levels = [spread * sqrt(6) * erfinv(mpf(2 * i + 1) / (2 * n)) for i in range(n)]

    def cells(c):
        return [mpf(0)] + [(c[i] + c[i + 1]) / 2 for i in range(n - 1)] + [end]

    def means(c):
        b = cells(c)
        return [moment(b[i], b[i + 1]) / mass(b[i], b[i + 1]) for i in range(n)]

    mp.dps = 16  # Lloyd's iteration to the neighbourhood where Newton's converges
    for _ in range(20):
        levels = means(levels)
    mp.dps = 40
    for _ in range(40):
        b = cells(levels)
        jacobian, wrong = matrix(n, n), matrix(n, 1)
        for i in range(n):
            weight = mass(b[i], b[i + 1])
            mean = moment(b[i], b[i + 1]) / weight
            wrong[i] = levels[i] - mean
            jacobian[i, i] = 1
            # d mean / d boundary, and every inner boundary is half of each neighbour
            if i > 0:
                by = density(b[i]) * (mean - b[i]) / weight
                jacobian[i, i] -= by / 2
                jacobian[i, i - 1] -= by / 2
            if i < n - 1:
                by = density(b[i + 1]) * (b[i + 1] - mean) / weight
                jacobian[i, i] -= by / 2
                jacobian[i, i + 1] -= by / 2
        step = lu_solve(jacobian, wrong)
        levels = [levels[i] - step[i] for i in range(n)]
        if max(abs(s) for s in step) < mpf(10) ** -34:
            break
    else:
        raise ArithmeticError("Newton's method did not converge")
    b = cells(levels)
    distortion = variance - 2 * sum(c * moment(b[i], b[i + 1]) for i, c in enumerate(levels))
    return levels, distortion


books = [(f"gaussian {bits}", gaussian(), bits) for bits in range(1, 9)]
books += [(f"sphere {d} {bits}", sphere(d), bits) for d in (8, 64, 96, 128, 256) for bits in range(1, 5)]
out = []
for name, density, bits in books:
    levels, distortion = solve(*density, bits)
    out.append(
        {"name": name, "positive": [nstr(c, 30) for c in levels], "distortion": nstr(distortion, 30)}
    )
print(json.dumps(out, indent=1))
