"""Which spec makes which file, and what is believed to be unchanged."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tensorgrad_gen.cli.cache import FILE, BuildCache, generator_hash
from tensorgrad_gen.cli.files import SpecFile, same_names, select
from tensorgrad_gen.cli.writing import write_text


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three specs in two groups, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("nn/a", "nn/b", "losses/c"):
        write_text(tmp_path / "specs" / f"{name}.yaml", f"op: {name[-1]}\n")
    return tmp_path


@pytest.mark.parametrize("arguments", [["specs"], ["specs/nn", "specs/losses"], ["specs/nn", "specs/losses/c.yaml"]])
def test_files_and_folders_name_the_same_specs(library: Path, arguments: list[str]) -> None:
    assert [spec.key for spec in select(arguments).specs] == ["losses/c", "nn/a", "nn/b"]


def test_a_spec_named_twice_is_selected_once(library: Path) -> None:
    assert len(select(["specs/nn/a.yaml", "specs/nn", "specs"]).specs) == 3


def test_a_spec_in_a_group_makes_a_file_in_that_group(library: Path) -> None:
    [spec] = select(["specs/nn/a.yaml"]).specs
    assert spec.output(Path("generated")) == Path("generated/nn/a.py")


def test_the_group_does_not_depend_on_how_the_spec_is_named(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(library / "specs" / "nn")
    assert [spec.key for spec in select(["."]).specs] == ["nn/a", "nn/b"]


def test_the_whole_of_a_library_a_group_or_nothing_is_selected(library: Path) -> None:
    assert select(["specs"]).groups is None
    assert select(["specs/nn"]).groups == {"nn"}
    assert select(["specs/nn/a.yaml"]).groups == frozenset()


def test_the_recorded_path_does_not_depend_on_the_current_folder(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = select(["specs/nn/a.yaml"]).specs[0].recorded_path
    monkeypatch.chdir("/")
    far = select([str(library / "specs")]).specs[1].recorded_path
    assert near == far == "specs/nn/a.yaml"


@pytest.mark.parametrize("argument", ["specs", "./specs/nn/a.yaml", "specs/../specs/nn"])
def test_the_recorded_path_does_not_depend_on_how_the_spec_is_named(library: Path, argument: str) -> None:
    assert "specs/nn/a.yaml" in {spec.recorded_path for spec in select([argument]).specs}


@pytest.mark.parametrize("argument", ["nowhere", "specs/nn/missing.yaml", "empty"])
def test_what_names_no_spec_is_a_usage_error(library: Path, argument: str) -> None:
    (library / "empty").mkdir()
    with pytest.raises(click.UsageError, match=argument.rsplit("/", 1)[-1]):
        select([argument])


def test_two_specs_of_one_name_are_found_in_different_groups() -> None:
    one, two, other = (SpecFile(g, n, Path(f"{g}/{n}.yaml")) for g, n in (("a", "x"), ("b", "x"), ("b", "y")))
    assert same_names([one, two, other]) == [(two, one)]


def test_the_cache_believes_only_what_is_on_disk(library: Path) -> None:
    [spec] = select(["specs/nn/a.yaml"]).specs
    out = library / "generated"
    output = spec.output(out)
    write_text(output, "text")
    cache = BuildCache(out, "generator")
    key = cache.spec_key(spec)
    cache.record(output, key, "text", [])
    cache.save()
    assert BuildCache(out, "generator").fresh(output, key)
    assert BuildCache(out, "another").spec_key(spec) != key
    write_text(output, "edited")
    assert not BuildCache(out, "generator").fresh(output, key)
    write_text(output, "text")
    write_text(spec.path, "op: a  # changed\n")
    assert cache.spec_key(spec) != key


@pytest.mark.parametrize("text", ["", "{", "[]", '{"nn/a.py": 3}', '{"nn/a.py": {"key": 1, "output": 2}}'])
def test_a_damaged_cache_is_an_empty_one(library: Path, text: str) -> None:
    out = library / "generated"
    write_text(out / FILE, text)
    write_text(out / "nn" / "a.py", "text")
    assert not BuildCache(out, "generator").fresh(out / "nn" / "a.py", "key")


def test_the_generator_hash_covers_templates(tmp_path: Path) -> None:
    before = generator_hash(tmp_path)
    assert before == generator_hash(tmp_path)
    write_text(tmp_path / "module.py.jinja", "{{ op }}")
    assert generator_hash(tmp_path) != before


def test_writing_leaves_no_other_file(tmp_path: Path) -> None:
    write_text(tmp_path / "folder" / "file.txt", "one")
    write_text(tmp_path / "folder" / "file.txt", "two")
    assert [(p.name, p.read_text()) for p in (tmp_path / "folder").iterdir()] == [("file.txt", "two")]
