"""The samples that `verify` runs on show what a spec says."""

from __future__ import annotations

import torch

from tensorgrad_gen.api import load_module
from tensorgrad_gen.pipeline import run
from tensorgrad_gen.verify.extents import extents
from tensorgrad_gen.verify.model import Subject
from tensorgrad_gen.verify.subject import make_subject, on_module

POOL = """\
op: pool
inputs: {x: [b, n]}
params: {kernel: {default: 2, kind: int}, stride: {default: 2, kind: int}}
sizes:
  K: {index: k, extent: kernel}
equations: y[b,i] = max[k](x[b, stride*i + k])
"""
CHOSEN = """\
op: chosen
inputs: {x: [n, v], t: {indices: [n], kind: label, labels: v}}
params: {ignore: {default: -100, kind: int}}
equations: y[n] = [t[n] != ignore]*x[n,t[n]]
"""


def subject(text: str) -> Subject:
    compiled = run(text, "<text>", meta={"spec_path": "<text>", "standalone": True})
    program = compiled["elaborate"]
    return make_subject(program, load_module(program.name, compiled.source))


def test_a_window_has_several_places_so_that_its_stride_is_seen() -> None:
    program = run(POOL, "<text>", until="elaborate")["elaborate"]
    for sample in subject(POOL).samples:
        [x] = sample.tensors
        sizes = extents(program, {"x": x}, sample.params)
        assert sizes["i"] >= 2


def test_whole_numbers_among_the_params_are_moved_too() -> None:
    params = [sample.params for sample in subject(POOL).samples]
    assert params == [{"kernel": 2, "stride": 2}, {"kernel": 3, "stride": 3}]


def test_some_labels_are_those_that_the_spec_ignores_and_some_are_not() -> None:
    for sample in subject(CHOSEN).samples:
        _, labels = sample.tensors
        assert labels is not None
        ignored = labels == sample.params["ignore"]
        assert bool(ignored.any())
        assert not bool(ignored.all())


def test_a_label_that_is_compared_but_looked_up_all_the_same_stays_in_range() -> None:
    text = CHOSEN.replace("[t[n] != ignore]*x[n,t[n]]", "x[n,t[n]] + [t[n] != ignore]")
    for sample in subject(text).samples:
        _, labels = sample.tensors
        assert labels is not None
        assert bool((labels >= 0).all())


def test_another_module_is_put_to_the_same_samples() -> None:
    program = run(POOL, "<text>", until="elaborate")["elaborate"]
    ours = subject(POOL)
    other = run(POOL.replace("max", "sum"), "<text>", meta={"spec_path": "<text>", "standalone": True})
    theirs = on_module(ours, program, load_module("pool", other.source))
    [x] = ours.samples[0].tensors
    assert theirs.samples is ours.samples
    assert not torch.equal(theirs.call((x,), ours.samples[0].params)[0], ours.call((x,), ours.samples[0].params)[0])
