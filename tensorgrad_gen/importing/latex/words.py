"""The words of LaTeX that mathematics is written with, and what they mean here."""

from __future__ import annotations

import re

from tensorgrad_gen.elaborate.vocabulary import BOUND, COMPLEX, POINTWISE

_GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi varpi rho "
    "varrho sigma varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi "
    "Psi Omega ell"
)
_FONTS = (
    "mathrm mathbf mathit mathsf mathtt mathcal mathbb mathfrak mathscr boldsymbol bm pmb text textrm textit "
    "textbf textsf texttt mbox"
)
# What is put on a name, and what is put behind it here.
ACCENTS = {
    "hat": "hat", "widehat": "hat", "tilde": "tilde", "widetilde": "tilde", "bar": "bar", "overline": "bar",
    "vec": "vec", "dot": "dot", "ddot": "ddot", "check": "check", "breve": "breve", "underline": "under",
}  # fmt: skip
_SILENT = (
    "quad qquad enspace thinspace left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr "
    "displaystyle textstyle limits nolimits nonumber notag mathstrut hfill strut centering"
)
GREEK, FONTS, SILENT = (frozenset(words.split()) for words in (_GREEK, _FONTS, _SILENT))
ENVIRONMENTS = frozenset(
    name + star
    for name in ("aligned", "align", "equation", "gather", "gathered", "split", "eqnarray", "alignat", "multline")
    for star in ("", "*")
)

# Commands that are functions by another name.
RENAMED = {
    "ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "sgn": "sign", "arsinh": "asinh",
    "arcosh": "acosh", "artanh": "atanh", "swish": "silu",
}  # fmt: skip
_FUNCTIONS = "exp log ln sin cos tan sinh cosh tanh arcsin arccos arctan max min"
FUNCTION_COMMANDS = frozenset(_FUNCTIONS.split())
_CALLED = {name.replace("_", ""): name for name in (*POINTWISE, *BOUND, "size") if name not in (*COMPLEX, "where")}

# Commands that stand for a kind of token each.
COMMANDS = {
    "cdot": "TIMES", "times": "TIMES", "ast": "TIMES", "odot": "TIMES", "circ": "TIMES", "div": "SLASH",
    "le": "REL", "leq": "REL", "leqslant": "REL", "ge": "REL", "geq": "REL", "geqslant": "REL", "ne": "REL",
    "neq": "REL", "lt": "REL", "gt": "REL", "land": "AND", "wedge": "AND", "lor": "OR", "vee": "OR", "lnot": "NOT",
    "neg": "NOT", "frac": "FRAC", "tfrac": "FRAC", "dfrac": "FRAC", "cfrac": "FRAC", "sqrt": "SQRT", "sum": "BIG",
    "prod": "BIG", "ldots": "DOTS", "dots": "DOTS", "cdots": "DOTS", "dotsc": "DOTS", "infty": "NAME",
    "lvert": "LBAR", "rvert": "RBAR", "lVert": "LNORM", "rVert": "RNORM", "lfloor": "LFLOOR", "rfloor": "RFLOOR",
    "lceil": "LCEIL", "rceil": "RCEIL", "coloneqq": "EQUAL", "equiv": "EQUAL", "triangleq": "EQUAL",
    "lbrace": "LPAR", "rbrace": "RPAR", "lbrack": "LSQB", "rbrack": "RSQB", "vert": "BAR", "Vert": "DOUBLE",
}  # fmt: skip
RELATIONS = {
    "<": "<", ">": ">", "=": "==", r"\le": "<=", r"\leq": "<=", r"\leqslant": "<=", r"\ge": ">=", r"\geq": ">=",
    r"\geqslant": ">=", r"\ne": "!=", r"\neq": "!=", r"\lt": "<", r"\gt": ">",
}  # fmt: skip
REMEDIES = {
    "partial": "the compiler finds the derivatives: import what is differentiated",
    "nabla": "the compiler finds the derivatives: import what is differentiated",
    "int": "there are no integrals: write a sum over an index",
    "det": r"index notation has no word for it: import a matrix formula, with --matrix",
    "top": "a transposition is the order of the indices: x_{ji}",
    "intercal": "a transposition is the order of the indices: x_{ji}",
    "otimes": "write the product with the indices of both: a_{ij} b_{kl}",
    "langle": "write the product with its indices: a_i b_i",
    "lim": "there are no limits",
    "in": r"a sum is over all of an index: \sum_{i}",
    "forall": "an equation holds for all values of the indices on its left",
    "underbrace": "remove it",
    "pm": "write two equations",
    "to": "a formula is an equation: y_i = x_i",
}


def function(name: str) -> str | None:
    r"""The language's function that `\operatorname{...}` or a command names, however its words are joined."""
    folded = re.sub(r"\\,|\\_|[\s_-]|\\ ", "", name)
    return RENAMED.get(folded) or _CALLED.get(folded)
