"""Formulas of einsum: the op that is made has the value of `torch.einsum`, and all its derivatives."""

from __future__ import annotations

import random
import string

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from importing import agree, builds_or_is_refused, refusal

from tensorgrad_gen.importing import import_formula

FORMULAS = [
    "ij,jk->ik",
    "bij,bjk->bik",
    "ij,jk",
    "ji",
    "ba",
    "i,i->i",
    "i,j->ij",
    "i,i->",
    "i->",
    "ij->",
    "bh->h",
    "ii->i",
    "ii->",
    "ii",
    "iij,j->",
    "iij->ij",
    "iji->ij",
    "iii->i",
    "ii,i->i",
    "i,ij,j->",
    ",i->i",
    "->",
    ",->",
    "...ij,...jk->...ik",
    "...i,i->...",
    "...i->",
    "...ij->...ji",
    "...,...",
    " i j , j k -> k i ",
    "Hh,hx->Hx",
    "yx,x->y",
    "xy->",
    "aij,bij->ab",
    "abcd,dcba->",
    "ij,k->j",
]


def operands(formula: str, seed: int = 0, batch: tuple[int, ...] = (2, 3)) -> list[torch.Tensor]:
    """Random tensors that fit the formula."""
    generator = torch.Generator().manual_seed(seed)
    terms = formula.replace(" ", "").split("->")[0].split(",")
    extents = {letter: 2 + k % 3 for k, letter in enumerate(dict.fromkeys("".join(terms)))}

    def shape(term: str) -> list[int]:
        letters = [extents[letter] for letter in term if letter != "."]
        return [*batch, *letters] if "..." in term else letters

    return [torch.randn(shape(term), generator=generator, dtype=torch.float64) for term in terms]


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_op_of_a_formula_is_einsum(formula: str) -> None:
    text = import_formula("einsum", formula).text
    agree(text, lambda *xs: torch.einsum(formula, *xs), operands(formula))


@st.composite
def formulas(draw: st.DrawFn) -> str:
    """Formulas with diagonals, letters that occur once, batch axes, with or without an output."""
    rng = random.Random(draw(st.integers(0, 10**9)))
    pool = rng.sample(string.ascii_letters, 4)
    terms = ["".join(rng.choices(pool, k=rng.randint(0, 3))) for _ in range(rng.randint(1, 3))]
    dots = rng.random() < 0.3
    inputs = [("..." if dots and rng.random() < 0.7 else "") + term for term in terms]
    known = sorted(set("".join(terms)))
    if rng.random() < 0.3:
        return ",".join(inputs)
    output = "".join(rng.sample(known, rng.randint(0, min(3, len(known)))))
    batch = "..." if any("..." in term for term in inputs) and rng.random() < 0.8 else ""
    return f"{','.join(inputs)}->{batch}{output}"


@settings(max_examples=25, derandomize=True)
@given(formulas())
def test_the_op_of_any_formula_is_einsum(formula: str) -> None:
    text = import_formula("einsum", formula).text
    agree(text, lambda *xs: torch.einsum(formula, *xs), operands(formula))


@pytest.mark.parametrize(
    ("formula", "code", "under"),
    [
        ("ij,jk->il", "E205", "l"),
        ("ij,jk->ii", "E202", "i"),
        ("ij->ij->i", "E701", "->"),
        ("i1->i", "E701", "1"),
        ("ij;jk", "E701", ";"),
        ("i...->i", "E901", "..."),
        ("... ...i", "E209", "..."),
        ("i..j", "E701", "."),
        ("ij-jk", "E701", "-"),
        ("ä", "E701", "ä"),
        ("..." + "i," * 60, "E609", ""),
    ],
)
def test_what_is_no_einsum_gets_a_caret_under_it(formula: str, code: str, under: str) -> None:
    found, text, _ = refusal("einsum", formula)
    assert (found, text.strip(",")[: len(under)]) == (code, under)


def test_operands_have_the_names_that_are_given() -> None:
    text = import_formula("einsum", "bi,oi->bo", names=("x", "w")).text
    assert "y[b,o] = x[b,i]*w[o,i]" in text


@pytest.mark.parametrize(
    ("names", "code"),
    [(("x",), "E313"), (("x", "x"), "E315"), (("x", "exp"), "E310"), (("x", "w-1"), "E310"), (("x", "class"), "E310")],
)
def test_bad_names_of_operands_are_refused(names: tuple[str, ...], code: str) -> None:
    assert refusal("einsum", "i,i", names=names)[0] == code


@settings(max_examples=150)
@given(st.text(st.sampled_from("ij.k,-> AZ1é$\n\t\x00\\{"), max_size=14))
def test_any_text_is_built_or_refused(text: str) -> None:
    builds_or_is_refused("einsum", text)
