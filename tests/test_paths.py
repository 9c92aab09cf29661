"""A header names a spec in one way, whatever the machine and the folder it was built in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorgrad_gen.paths import shown_path


@pytest.mark.parametrize("path", ["/home/user/specs/nn/a.yaml", "/srv/x/../specs/nn/a.yaml", "/specs/nn/a.yaml"])
def test_the_folder_of_the_groups_is_named_and_nothing_above_it(path: str) -> None:
    assert shown_path(Path(path)) == "specs/nn/a.yaml"


def test_a_path_is_shown_the_same_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "specs" / "nn"
    folder.mkdir(parents=True)
    for here, name in ((tmp_path, "specs/nn/a.yaml"), (folder, "a.yaml"), (folder.parent, "./nn/../nn/a.yaml")):
        monkeypatch.chdir(here)
        assert shown_path(Path(name)) == "specs/nn/a.yaml"
