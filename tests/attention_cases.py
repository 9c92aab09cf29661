"""Programs that compute attention, in many spellings, and some that nearly do."""

from __future__ import annotations

Q, K, V = "[b, h, i, d]", "[b, h, j, d]", "[b, h, j, e]"
FOUR = {"q": Q, "k": K, "v": V}
D = "sizes: {D: d}\n"
S = "s[b,h,i,j] = q[b,h,i,d]*k[b,h,j,d]\n"
Y = "y[b,h,i,e] = p[b,h,i,j]*v[b,h,j,e]"
Case = tuple[str, dict[str, str], str, bool]  # equations, inputs, further sections, causal


def logits(masked: str) -> str:
    """An attention with these logits, made of `s`."""
    return f"{S}p[b,h,i,j] = softmax[j]({masked})\n{Y}"


SPELLINGS: dict[str, Case] = {
    "as defined": (logits("s[b,h,i,j]/sqrt(D)"), FOUR, D, False),
    "in one equation": ("y[b,h,i,e] = softmax[j](q[b,h,i,d]*k[b,h,j,d]/sqrt(D))*v[b,h,j,e]", FOUR, D, False),
    "no scale": (logits("s[b,h,i,j]"), FOUR, "", False),
    "a negative scale": (logits("-3/2*s[b,h,i,j]"), FOUR, "", False),
    "a param": (logits("c*s[b,h,i,j]"), FOUR, "params: {c: {default: -0.7, kind: real}}\n", False),
    "a name for each step": (
        f"{S}t[b,h,i,j] = s[b,h,i,j]/sqrt(D)\nu[b,h,i,j] = 2*t[b,h,i,j]\np[b,h,i,j] = softmax[j](u[b,h,i,j])\n{Y}",
        *(FOUR, D, False),
    ),
    "a query that is scaled": (
        f"u[b,h,i,d] = q[b,h,i,d]/sqrt(D)\np[b,h,i,j] = softmax[j](u[b,h,i,d]*k[b,h,j,d])\n{Y}",
        *(FOUR, D, False),
    ),
    "exponentials over their sum": (
        (
            f"{S}w[b,h,i,j] = exp(s[b,h,i,j]/sqrt(D))\nz[b,h,i] = one[j]*w[b,h,i,j]\n"
            "y[b,h,i,e] = w[b,h,i,j]*v[b,h,j,e]/z[b,h,i]"
        ),
        *(FOUR, D, False),
    ),
    "other names": (
        "a[n,t,c] = x[n,t,m]*y[n,c,m]\nz[n,c,t] = softmax[c](a[n,t,c])\no[n,t,w] = z[n,c,t]*u[n,c,w]",
        *({"x": "[n, t, m]", "y": "[n, c, m]", "u": "[n, c, w]"}, "", False),
    ),
    "axes in another order": (
        "s[i,h,j] = q[i,h,d]*k[h,d,j]\np[j,i,h] = softmax[j](s[i,h,j])\ny[e,i,h] = p[j,i,h]*v[e,j,h]",
        *({"q": "[i, h, d]", "k": "[h, d, j]", "v": "[e, j, h]"}, "", False),
    ),
    "no batch": (
        "p[i,j] = softmax[j](q[i,d]*k[j,d])\ny[i,e] = p[i,j]*v[j,e]",
        *({"q": "[i, d]", "k": "[j, d]", "v": "[j, e]"}, "", False),
    ),
    "any leading axes": (
        "p[...,i,j] = softmax[j](q[...,i,d]*k[...,j,d])\ny[...,i,e] = p[...,i,j]*v[...,j,e]",
        *({"q": "[..., i, d]", "k": "[..., j, d]", "v": "[..., j, e]"}, "", False),
    ),
    "keys shared by heads": (
        "p[b,h,i,j] = softmax[j](where(j <= i, q[b,h,i,d]*k[b,j,d], -inf))\ny[b,h,i,e] = p[b,h,i,j]*v[j,e]",
        *({"q": Q, "k": "[b, j, d]", "v": "[j, e]"}, "", True),
    ),
    "a query shared by the batch": (
        "p[b,h,i,j] = softmax[j](where(j <= i, q[i,d]*k[b,h,j,d], -inf))\ny[b,h,i,e] = p[b,h,i,j]*v[b,h,j,e]",
        *({"q": "[i, d]", "k": K, "v": V}, "", True),
    ),
    "self-attention": (
        (
            "q[i,d] = x[i,a]*f[a,d]\nk[i,d] = x[i,a]*g[a,d]\nv[i,e] = x[i,a]*h[a,e]\n"
            "p[i,j] = softmax[j](q[i,d]*k[j,d]/sqrt(D))\ny[i,e] = p[i,j]*v[j,e]"
        ),
        *({"x": "[i, a]", "f": "[a, d]", "g": "[a, d]", "h": "[a, e]"}, D, False),
    ),
    "causal": (logits("where(j <= i, s[b,h,i,j]/sqrt(D), -inf)"), FOUR, D, True),
    "causal, the other way round": (logits("where(i >= j, s[b,h,i,j], -inf)"), FOUR, "", True),
    "causal, what is masked first": (logits("where(j > i, -inf, s[b,h,i,j])"), FOUR, "", True),
    "causal, by not": (logits("where(not (i < j), s[b,h,i,j], -inf)"), FOUR, "", True),
    "causal, by the next": (logits("where(j < i + 1, s[b,h,i,j], -inf)"), FOUR, "", True),
    "causal, by a difference": (logits("where(2*i - 2*j > -1, s[b,h,i,j], -inf)"), FOUR, "", True),
    "causal, masked exponentials": (
        (
            "w[b,h,i,j] = [j <= i]*exp(q[b,h,i,d]*k[b,h,j,d])\nz[b,h,i] = one[j]*w[b,h,i,j]\n"
            "y[b,h,i,e] = w[b,h,i,j]*v[b,h,j,e]/z[b,h,i]"
        ),
        *(FOUR, "", True),
    ),
}

NEAR: dict[str, Case] = {
    "a softmax over the queries": (f"{S}p[b,h,i,j] = softmax[i](s[b,h,i,j])\n{Y}", FOUR, "", False),
    "weights that are returned": (logits("s[b,h,i,j]"), FOUR, "outputs: [y, p]\n", False),
    "an entropy of the weights": (
        f"{logits('s[b,h,i,j]')}\nn[b,h,i] = -one[j]*xlogy(p[b,h,i,j], p[b,h,i,j])",
        *(FOUR, "outputs: [y, n]\n", False),
    ),
    "logits that are returned": (logits("s[b,h,i,j]"), FOUR, "outputs: [y, s]\n", False),
    "weights that are masked afterwards": (
        f"{S}p[b,h,i,j] = softmax[j](s[b,h,i,j])\ny[b,h,i,e] = [j <= i]*p[b,h,i,j]*v[b,h,j,e]",
        *(FOUR, "", False),
    ),
    "weights that are dropped": (
        f"{S}p[b,h,i,j] = softmax[j](s[b,h,i,j])\ny[b,h,i,e] = r[i,j]*p[b,h,i,j]*v[b,h,j,e]",
        *(FOUR | {"r": "[i, j]"}, "", False),
    ),
    "a large number for infinity": (logits("where(j <= i, s[b,h,i,j], -1000)"), FOUR, "", False),
    "the later keys": (logits("where(j >= i, s[b,h,i,j], -inf)"), FOUR, "", False),
    "not the query's own key": (logits("where(j <= i + 1, s[b,h,i,j], -inf)"), FOUR, "", False),
    "a window": (logits("where(j <= i and i - j < 100, s[b,h,i,j], -inf)"), FOUR, "", False),
    "a slope": (logits("where(6*j <= 7*i, s[b,h,i,j], -inf)"), FOUR, "", False),
    "another index": (logits("where(j <= h, s[b,h,i,j], -inf)"), FOUR, "", False),
    "a bias": (logits("s[b,h,i,j] + r[i,j]"), FOUR | {"r": "[i, j]"}, "", False),
    "a temperature": (logits("s[b,h,i,j]*r[]"), FOUR | {"r": "[]"}, "", False),
    "a function of the logits": (logits("tanh(s[b,h,i,j])"), FOUR, "", False),
    "a function of a param": (
        logits("exp(c)*s[b,h,i,j]"),
        FOUR,
        "params: {c: {default: 0.3, kind: real}}\n",
        False,
    ),
    "two products": (
        f"p[b,h,i,j] = softmax[j](q[b,h,i,d]*k[b,h,j,d]*r[d])\n{Y}",
        *(FOUR | {"r": "[d]"}, "", False),
    ),
    "one query": (
        "p[b,j] = softmax[j](q[b,d]*k[b,j,d])\ny[b,e] = p[b,j]*v[b,j,e]",
        *({"q": "[b, d]", "k": "[b, j, d]", "v": "[b, j, e]"}, "", False),
    ),
    "keys for each query": (
        "p[b,i,j] = softmax[j](q[b,i,d]*k[b,i,j,d])\ny[b,i,e] = p[b,i,j]*v[b,j,e]",
        *({"q": "[b, i, d]", "k": "[b, i, j, d]", "v": "[b, j, e]"}, "", False),
    ),
    "what a default stands for": (
        logits("s[b,h,i,j]"),
        *({"q": Q, "k": K, "v": "{indices: [b, h, j, e], default: 1}"}, "", False),
    ),
    "all is saved": (logits("s[b,h,i,j]"), FOUR, "save: all\n", False),
}
