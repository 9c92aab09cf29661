"""Specs of any number of statements: what the time of a build is held against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping


def spec(name: str, inputs: Mapping[str, str], equations: Iterable[str]) -> str:
    """The text of a spec."""
    given = "".join(f"  {name}: [{indices}]\n" for name, indices in inputs.items())
    body = "".join(f"  {equation}\n" for equation in equations)
    return f"op: {name}\ndoc: A program of many statements.\ninputs:\n{given}equations: |\n{body}"


def elementwise(name: str, count: int) -> str:
    """`y[k] = tanh(y[k-1]) w` and `y[k] = sigmoid(y[k-1]) + w` in turn."""
    lines = ["y1[b,h] = tanh(x[b,h])"]
    for k in range(2, count + 1):
        before = f"y{k - 1}[b,h]"
        lines.append(f"y{k}[b,h] = " + (f"tanh({before})*w[h]" if k % 2 else f"sigmoid({before}) + w[h]"))
    return spec(name, {"x": "b, h", "w": "h"}, lines)


def fan_out(name: str, count: int) -> str:
    """Each statement reads the two before it."""
    lines = ["y1[b,h] = tanh(x[b,h])", "y2[b,h] = sigmoid(x[b,h])"]
    for k in range(3, count + 1):
        one, two = f"y{k - 1}[b,h]", f"y{k - 2}[b,h]"
        lines.append(f"y{k}[b,h] = " + (f"tanh({one})*{two}" if k % 2 else f"{one}*w[h] + sin({two})"))
    return spec(name, {"x": "b, h", "w": "h"}, lines)


def layers(name: str, count: int) -> str:
    """Matrix products with a weight each, two statements a layer."""
    inputs, lines, before = {"x": "b, h"}, list[str](), "x"
    for k in range(1, count // 2 + 1):
        i, o = ("h", "g") if k % 2 else ("g", "h")
        inputs[f"w{k}"] = f"{i}, {o}"
        lines += [f"z{k}[b,{o}] = {before}[b,{i}]*w{k}[{i},{o}]", f"a{k}[b,{o}] = relu(z{k}[b,{o}])"]
        before = f"a{k}"
    return spec(name, inputs, lines)


def residual(name: str, count: int) -> str:
    """Blocks of an RMS norm and two matrix products round a GELU, five statements a block."""
    inputs, lines, before = {"x": "b, h"}, list[str](), "x"
    for k in range(1, count // 5 + 1):
        inputs |= {f"g{k}": "h", f"w{k}": "h, f", f"v{k}": "f, h"}
        lines += [
            f"r{k}[b] = mean[h]({before}[b,h]^2)",
            f"n{k}[b,h] = {before}[b,h]*rsqrt(r{k}[b] + 1e-5)*g{k}[h]",
            f"u{k}[b,f] = n{k}[b,h]*w{k}[h,f]",
            f"e{k}[b,f] = gelu(u{k}[b,f])",
            f"x{k}[b,h] = {before}[b,h] + e{k}[b,f]*v{k}[f,h]",
        ]
        before = f"x{k}"
    return spec(name, inputs, lines)


PROGRAMS: dict[str, Callable[[str, int], str]] = {
    "elementwise chain": elementwise,
    "fan-out": fan_out,
    "matrix products": layers,
    "residual network with norms": residual,
}
