"""Each spec in bad_specs/ gets exactly the message in its `.expected` file.

`UPDATE_BAD_SPECS=1 pytest tests/test_bad_specs.py` writes the messages anew; review them as a diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tensorgrad_gen.elaborate import elaborate
from tensorgrad_gen.errors import Report, SpecError, render
from tensorgrad_gen.normalise import normalise
from tensorgrad_gen.normalise.chunk_faults import check_chunk
from tensorgrad_gen.normalise.singular import warn_singular
from tensorgrad_gen.spec import load_text, read_text
from tensorgrad_gen.syntax import parse_spec

FOLDER = Path(__file__).parent / "bad_specs"
SPECS = sorted(FOLDER.glob("*.yaml"))


def messages(path: Path) -> str:
    """What a user sees: all errors of a stage, and of the syntax together with those of the file."""
    report = Report(path.name, "")
    try:
        report.text = read_text(path)
        spec = load_text(report.text, path.name, report)
        parse_spec(spec, report)
        if not report.failed:
            program = normalise(elaborate(spec, report))
            check_chunk(program, spec, report)
            warn_singular(program, spec, report)
    except SpecError as error:
        return str(error).replace(str(path), path.name) + "\n"
    return render(report.diagnostics, report.path, report.text) + "\n"


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_bad_spec_gets_its_message(path: Path) -> None:
    expected = path.with_suffix(".expected")
    found = messages(path)
    if os.environ.get("UPDATE_BAD_SPECS"):
        expected.write_text(found, "utf-8", newline="\n")
    assert found == expected.read_text("utf-8")
    assert found.strip(), "the spec is not bad"


def test_every_expected_message_has_its_spec() -> None:
    assert {p.stem for p in FOLDER.glob("*.expected")} == {p.stem for p in SPECS}
