"""Small ops, one a pattern of `lower`: `inputs` and other keys, then the equations."""

from __future__ import annotations

import re

LABEL = "{indices: [%s], kind: label, labels: %s}"
A_TO_B = "t: " + LABEL % ("a", "b")
SQUARE = "{indices: [b, i, j], domain: well_conditioned}"


def spec(case: str) -> str:
    """The spec of a case: every tensor it defines is an output."""
    head, equations = case.split(" | ")
    lines = [e.strip() for e in equations.split(";")]
    outputs = [re.match(r"\w+", line)[0] for line in lines]  # type: ignore[index]
    keys = re.sub(r" (params|sizes|constants): ", r"\n\1: ", head)
    body = "".join(f"  {line}\n" for line in lines)
    return f"op: case\ndoc: A case.\n{keys}\nequations: |\n{body}outputs: [{', '.join(outputs)}]\n"


SUMS = (
    "inputs: {x: [b, i], t: {indices: [b], kind: label, labels: b}} | y[i] = delta[b,t[b]]*x[b,i]",
    "inputs: {x: [..., j], w: [b, k, j]} | y[...,b,k] = x[...,j]*w[b,k,j]",
    "inputs: {x: [..., i, j], w: [i, j]} | y[...] = x[...,i,j]*w[i,j]",
    "inputs: {x: [..., i, j], w: [i, j]} | y[i,j] = mean[...](x[...,i,j])*w[i,j]",
    "inputs: {x: [..., h], g: [..., o]} | y[h,o] = sum[...](x[...,h]*g[...,o])",
    "inputs: {x: [..., h], g: [...]} | y[h] = sum[...](x[...,h]*g[...])",
    "inputs: {x: [..., s, h], g: [..., s, o]} | y[h,o] = sum[...,s](x[...,s,h]*g[...,s,o])",
    "inputs: {a: [b, i, j], c: [b, j, k], d: [b, k, l]} | y[b,i,l] = a[b,i,j]*c[b,j,k]*d[b,k,l]",
    "inputs: {a: [i, j, b], c: [b, k, j]} | y[k,b,i] = a[i,j,b]*c[b,k,j]",
    "inputs: {a: [..., i, j], c: [..., j, k]} | y[...,k,i] = a[...,i,j]*c[...,j,k]",
    "inputs: {a: [..., i, j], c: [j, k, l]} | y[...,k,i,l] = a[...,i,j]*c[j,k,l]",
    "inputs: {a: [..., h, i, d], c: [h, j, d]} | y[...,h,i,j] = a[...,h,i,d]*c[h,j,d]",
    "inputs: {x: [b, i], w: [o, i, j], z: [b, j]} | y[b,o] = x[b,i]*w[o,i,j]*z[b,j]",
    "inputs: {x: [..., i, j], w: [o, i, j]} | y[...,o] = x[...,i,j]*w[o,i,j]",
    "inputs: {x: [i, j, o], w: [p, j, i]} | y[p,o] = x[i,j,o]*w[p,j,i]",
    "inputs: {a: [i], b: [i], c: []} | y = a[i]*b[i]*c; z[j] = a[i]*b[i]*a[j]",
    "inputs: {a: [i, j], b: [i], c: [j]} | y = b[i]*a[i,j]*c[j]; z[i] = a[i,j]*c[j]*b[i]; w[j] = a[i,j]*b[i]",
    "inputs: {x: [i, j]} | y[i] = x[i,j]*x[i,j]/sqrt(x[k,l]*x[k,l])",
    "inputs: {x: [i, j], y: [j, i]} | z[i,j] = x[i,j] + y[j,i]; w[j,i] = x[i,j]; u[i,j] = x[i,j]",
    "inputs: {a: [i, k], b: [j, k]} | y[i,j] = exp(a[i,k]*b[j,k])*(1 + a[i,k]*b[j,k])/(one[l]*a[i,l]*a[i,l])",
    "inputs: {a: [i], b: [j], c: [k]} | y[i,l,m] = levi_civita[i,j,k]*levi_civita[i,l,m]*b[j]*c[k]",
    "inputs: {x: [i, i, i]} | y[i] = x[i,i,i]; t = x[i,i,i]",
    "inputs: {x: [i, j, i, j]} | y = x[i,j,i,j]; z[j] = x[i,j,i,j]",
    "inputs: {x: [..., i, i]} | y[...] = x[...,i,i]; z[...,i] = x[...,i,i]^2",
)
REDUCTIONS = (
    "inputs: {x: [..., h]} | y = max[...,h](x[...,h])",
    "inputs: {x: [..., h]} | y[h] = min[...](x[...,h])",
    "inputs: {x: [..., h]} | y[...,h] = softmax[...](x[...,h])",
    "inputs: {x: [..., h]} | y[...,h] = softmax[...,h](x[...,h])",
    "inputs: {x: [a, b, c]} | y[a,b,c] = softmax[a,c](x[a,b,c])",
    "inputs: {x: [a, b, c]} | y[b] = prod[a,c](x[a,b,c]); z[a] = prod[b,c](x[a,b,c])*y[b]*y[b]",
    "inputs: {x: [a, b, c]} | y[b] = norm[a,c](x[a,b,c])",
    "inputs: {x: [a, b, c]} | y[b,a] = logsumexp[c](x[a,b,c])/max[a,b,c](x[a,b,c])",
    "inputs: {x: [a, b]} | y[b] = argmin[a](x[a,b]); z[b] = x[y[b],b]",
    "inputs: {x: [a, b]} | y[b] = [any[a](x[a,b] > 0)]; z[b] = [all[a](x[a,b] > 0)]",
    "inputs: {x: [a, b]} | y[a,b] = log_softmax[a](x[a,b])*softmax[b](x[a,b])",
)
LABELS = (
    f"inputs: {{x: [a, b], {A_TO_B}}} | y[a] = x[a,t[a]]",
    f"inputs: {{x: [a, b, c], {A_TO_B}, u: {LABEL % ('d', 'c')}}} | y[a,d] = x[a,t[a],u[d]]",
    f"inputs: {{x: [b, c], t: {LABEL % ('a, d', 'b')}}} | y[c,a,d] = x[t[a,d],c]",
    f"inputs: {{x: [c, b], t: {LABEL % ('a, c', 'b')}}} | y[a,c] = x[c,t[a,c]]",
    f"inputs: {{x: [..., b], {A_TO_B}}} | y[...,a] = x[...,t[a]]",
    f"inputs: {{x: [..., b], t: {LABEL % ('...', 'b')}}} | y[...] = x[...,t[...]]",
    f"inputs: {{w: [d, b], t: {LABEL % ('...', 'b')}}} | y[...,d] = w[d,t[...]]",
    f"inputs: {{x: [b], t: {LABEL % ('', 'b')}}} | y = x[t]",
    f"inputs: {{x: [a], w: [b], {A_TO_B}}} | y[a,b] = delta[b,t[a]]*x[a]; z[a,b] = delta[b,t[a]]*w[b]",
    f"inputs: {{x: [a], w: [b], {A_TO_B}}} | y[b] = delta[b,t[a]]*x[a] + w[b]; z[b] = one[a]*delta[b,t[a]]*w[b]",
    f"inputs: {{x: [a, c], w: [b], {A_TO_B}}} | y[b,c] = delta[b,t[a]]*x[a,c]",
    f"inputs: {{x: [a, c], w: [b], t: {LABEL % ('a, c', 'b')}}} | y[b,c] = delta[b,t[a,c]]*x[a,c]",
    f"inputs: {{x: [a, c], w: [b], t: {LABEL % ('a, c, d', 'b')}}} | y[b,c] = one[d]*delta[b,t[a,c,d]]*x[a,c]",
    f"inputs: {{x: [..., c], w: [b], t: {LABEL % ('...', 'b')}}} | y[b,c] = sum[...](delta[b,t[...]]*x[...,c])",
    f"inputs: {{x: [...], w: [b], t: {LABEL % ('...', 'b')}}} | y[...,b] = delta[b,t[...]]*x[...]",
    (
        f"inputs: {{t: {LABEL % ('b', 'v')}, x: [b, v], g: [b]}}"
        " | y[b,v] = [t[b] != 1]*(x[b,v] - delta[v,t[b]])*g[b]; l = [t[b] != 1]*x[b,t[b]]"
    ),
)
CONDITIONS = (
    "inputs: {v: [i], z: [j]} | y[i,j] = delta[i,j]*v[i]; z2[i,j] = delta[i,j]*v[j]*v[i]; q[j,i] = 3*delta[i,j]",
    "inputs: {x: [b, i, j]} | y[b,i,j] = x[b,i,j] + delta[i,j]*x[b,i,i]",
    (
        "inputs: {x: [b, j]} sizes: {J: j, I: {index: i, extent: J}}"
        " | y[b,i] = [i < j]*x[b,j]; z[b,i] = [i <= j]*x[b,j]; u[b,i] = [i > j]*x[b,j]; v[b,i] = [j <= i]*x[b,j]"
    ),
    "inputs: {q: [i, d], k: [j, d], v: [j, e]} | y[i,e] = [j <= i]*q[i,d]*k[j,d]*v[j,e]",
    "inputs: {a: [i, j], x: [j], z: [i]} | y[i] = [j <= i]*a[i,j]*x[j]; w[j] = [j <= i]*a[i,j]*z[i]",
    "inputs: {x: [i]} | y[i] = [x[i] > 0]*log(x[i])*sqrt(x[i]) + where(x[i] > 0, 0, 1/x[i])",
    (
        "inputs: {x: [i], m: {indices: [i], kind: bool}} | y[i] = m[i]*x[i]; z = [m[i]]*x[i];"
        " q[i] = where(not m[i] and x[i] > 0.5 or x[i] < 0, 1, 2)"
    ),
    "inputs: {x: [i, j]} | y[i,j] = where(i == j, 0, x[i,j]/(i - j))",
    (
        "inputs: {x: [i]} params: {n: {default: 2, kind: int}, p: 0.5}"
        " | y[i] = where(n > 1, x[i]^p, x[i]) + [i >= n]*p^2 + x[i]^n + p^x[i]"
    ),
)
POINTWISE = (
    "inputs: {x: [i]} | y[i] = x[i]/sqrt(size(i)) + 2/3*x[i] - 1/3*x[i] + pi + 1/x[i]^2 + x[i]^(3/2) - 0.1*x[i]^5",
    "inputs: {x: [i]} | y = 3; z[i] = 1/2*one[i]; q[i] = [i < 2]; r[i] = i",
    (
        "inputs: {x: [i], beta: {indices: [i], default: 1}, g: {indices: [], default: 0}}"
        " | y = x[i]*beta[i] + beta[i]*beta[i] + g; z[i,j] = beta[i]*beta[j] + max[i](beta[i])*x[i]*one[j]"
    ),
    (
        "inputs: {x: [i], y: [i]} | z[i] = max(x[i], 0)*min(y[i], x[i]) + atan2(x[i], y[i]) + hypot(x[i], 1)"
        " + clamp(x[i], -0.5, y[i]^2) + mod(x[i], 2) + logaddexp(x[i], 0) + xlogy(0.5, y[i]^2) + pow(2, x[i])"
    ),
    (
        "inputs: {x: [i]} | z[i] = softplus(x[i], 2) + elu(x[i], 0.5) + leaky_relu(x[i]) + mish(x[i]) + silu(x[i])"
        " + gelu(x[i]) + gelu_tanh(x[i]) + logsigmoid(x[i]) + erfinv(x[i]/10) + lgamma(x[i]^2 + 1) + round(x[i])"
        " + digamma(x[i]^2 + 1) + expm1(x[i]) + log2(x[i]^2 + 1) + rsqrt(x[i]^2 + 1) + reciprocal(x[i])"
    ),
    (
        "inputs: {x: [i]} | z[i] = stop_gradient(x[i])*x[i] + scale_gradient(x[i], 3) + clip_gradient(x[i], -1, 1)"
        " + straight_through(round(x[i]), x[i])"
    ),
    "inputs: {x: [b, j]} constants: {k: [1, -2, 1], c: 0.5} | y[b,i] = c*k[i]*x[b,j]*x[b,j]",
)
MATRICES = (
    (
        f"inputs: {{x: {SQUARE}, c: [b, j, m]}}"
        " | y[b,i,m] = solve(x, c)[b,i,m]; d[b] = det(x)[b]; z[b,j,i] = inv(x)[b,j,i]; l[b] = logdet(x)[b]^0"
    ),
    (
        "inputs: {x: {indices: [i, j], domain: well_conditioned}, c: [..., j]} | z[j,i] = inv(x)[j,i];"
        " y[...,i] = z[i,j]*c[...,j]"
    ),
)
CASES = (*SUMS, *REDUCTIONS, *LABELS, *CONDITIONS, *POINTWISE, *MATRICES)
