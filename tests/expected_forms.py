"""The closed forms that gradients must come out as, where the library's sources give one.

Each is an equation in the spec language: the left side names the input and the free indices of its gradient,
`g` is the cotangent of the op's only output (`g_y` of output `y`, where there are several).  Tensors that the
spec defines may stand on the right.  The simplifier must reach a form equal to it up to names.
"""

from __future__ import annotations

EXPECTED: dict[str, dict[str, str]] = {
    "sum2": {"x1": "grad_x1 = g", "x2": "grad_x2 = g"},
    "broadcast": {"x": "grad_x = one[i]*g[i]"},
    "fan_out": {
        "a": "grad_a[p] = 2*(g_y + 2*g_z)*a[p] + [sqrt(a[i]*a[i]) != 0]*g_y*b*a[p]/sqrt(a[i]*a[i])",
        "b": "grad_b = g_y*sqrt(a[i]*a[i])",
    },
    "pointwise": {"x": "grad_x[p] = g[p]*cos(x[p])"},
    "matmul": {"x": "grad_x[p,q] = g[p,j]*a[q,j]", "a": "grad_a[p,q] = x[i,p]*g[i,q]"},
    "inverse": {"x": "grad_x[b,p,q] = -y[b,n,p]*g[b,n,j]*y[b,q,j]"},
    "softmax_cross_entropy": {"x": "grad_x[n] = g*(s[n] - delta[t,n])"},
    "layer_norm": {
        "x": "grad_x[p,q] = g[p,q]*gamma[q]/sigma[p] - 1/H*g[p,h]*gamma[h]*(1/sigma[p] + mu[p,h]*mu[p,q]/sigma[p]^3)",
        "gamma": "grad_gamma[q] = g[b,q]*mu[b,q]/sigma[b]",
        "beta": "grad_beta[q] = one[b]*g[b,q]",
    },
    "linear_network": {"b": "grad_b[p,q] = g*a[k,p]*(y[k] - t[k])*x[q]"},
    "norm": {"x": "grad_x[p] = [s != 0]*g*x[p]/s"},
    "relu_mlp_loss": {
        "w1": "grad_w1[p,q] = 2/N*g*one[n]*one[k]*[h[n,q] > 0]*w2[q,k]*(y[n,k] - t[n,k])*x[n,p]",
        "b1": "grad_b1[p] = 2/N*g*one[n]*one[k]*[h[n,p] > 0]*w2[p,k]*(y[n,k] - t[n,k])",
        "w2": "grad_w2[p,q] = 2/N*g*h[n,p]*(y[n,q] - t[n,q])",
        "b2": "grad_b2[p] = 2/N*g*one[n]*(y[n,p] - t[n,p])",
    },
    "variance": {"x": "grad_x[p] = 2*g*(x[p] - mean[j](x[j]))/(one[i]*one[i])"},
    "standardize": {"x": "grad_x[p] = (g[p] - mean[j](g[j]) - y[p]*mean[j](g[j]*y[j]))/sqrt(var[j](x[j]) + eps)"},
    "outer": {"a": "grad_a[p] = g[p,j]*b[j]", "b": "grad_b[q] = g[i,q]*a[i]"},
    "dot": {"a": "grad_a[p] = g*b[p]", "b": "grad_b[p] = g*a[p]"},
    "trace": {"x": "grad_x[i,q] = g*delta[i,q]"},
    "hadamard": {"a": "grad_a[p,q] = g[p,q]*b[p,q]"},
    "transpose": {"x": "grad_x[p,q] = g[q,p]"},
    "quotient": {"a": "grad_a[p] = g[p]/b[p]", "b": "grad_b[p] = -g[p]*a[p]/b[p]^2"},
    "partial_trace": {"x": "grad_x[i,q,k] = 22*g[k]*delta[i,q]"},
    "diag_embed": {"v": "grad_v[p] = g[p,p]"},
    "count": {"x": "grad_x = one[n]*one[n]*g"},
    "quadratic_form": {"x": "grad_x[p] = g*(a[p,j]*x[j] + a[i,p]*x[i])", "a": "grad_a[p,q] = g*x[p]*x[q]"},
    "bilinear_form": {"x": "grad_x[p,q] = g*a[p]*b[q]"},
    "gram_form": {"x": "grad_x[p,q] = g*(b[q]*x[p,j]*c[j] + x[p,i]*b[i]*c[q])"},
    "affine_residual": {"x": "grad_x[p] = 2*g*a[i,p]*r[i]"},
    "least_squares_matrix": {"x": "grad_x[p,q] = 2*g*a[i,p]*r[i,l]*b[q,l]"},
    "trace_ax": {"x": "grad_x[p,q] = g*a[q,p]"},
    "trace_axb": {"x": "grad_x[p,q] = g*a[i,p]*b[q,i]"},
    "trace_xta": {"x": "grad_x[p,q] = g*a[p,q]"},
    "trace_x2": {"x": "grad_x[p,q] = 2*g*x[q,p]"},
    "trace_x2b": {"x": "grad_x[p,q] = g*(x[q,k]*b[k,p] + b[q,i]*x[i,p])"},
    "trace_xtbxc": {"x": "grad_x[p,q] = g*(b[p,k]*x[k,l]*c[l,q] + b[j,p]*x[j,i]*c[q,i])"},
    "trace_axbxtc": {"x": "grad_x[p,q] = g*(a[i,p]*b[q,l]*x[m,l]*c[m,i] + a[i,j]*x[j,k]*b[k,q]*c[p,i])"},
    "trace_x3": {"x": "grad_x[p,q] = 3*g*x[q,k]*x[k,p]"},
    "det": {"x": "grad_x[n,p,q] = g[n]*y[n]*inv(x)[n,q,p]"},
    "logdet": {"x": "grad_x[n,p,q] = g[n]*inv(x)[n,q,p]"},
    "trace_inverse": {"x": "grad_x[p,q] = -g*inv(x)[k,p]*a[l,k]*b[i,l]*inv(x)[q,i]"},
    "inverse_quadratic": {"x": "grad_x[p,q] = -g*a[k]*inv(x)[k,p]*inv(x)[q,i]*b[i]"},
    "frobenius": {"x": "grad_x[p,q] = [y != 0]*g*x[p,q]/y"},
    "matrix_factorization": {"u": "grad_u[p,q] = -2*g*r[p,j]*v[j,q]", "v": "grad_v[p,q] = -2*g*r[i,p]*u[i,q]"},
    "symmetric_quadratic": {"x": "grad_x[p] = 2*g*a[p,j]*x[j]"},
    "poisson_regression": {"w": "grad_w[p] = g*one[n]*(exp(eta[n]) - y[n])*x[n,p]"},
    "logistic_nll": {"w": "grad_w[p] = -g*one[i]*y[i]*x[i,p]/(1 + exp(m[i]))"},
    "a_sin_axb": {"x": "grad_x[p,q] = g*a[i]*cos(m[i,j]*x[j,k]*n[k,l])*m[i,p]*n[q,l]*b[l]"},
    "mttkrp": {"x": "grad_x[p,q,s] = g[p,r]*b[q,r]*c[s,r]"},
}
