"""How far a command is, on standard error: a bar where that is a terminal, lines where it is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import click

T = TypeVar("T")


def in_terminal() -> bool:
    """Whether standard error is one."""
    return sys.stderr.isatty()


def say(done: int, total: int, what: str) -> None:
    """One line about what is done, at once."""
    click.echo(f"{done}/{total} {what}", err=True)


def track(items: Iterable[T], total: int, what: str, said: Callable[[T], str] | None = None) -> Iterator[T]:
    """The items, with a bar that counts them; outside of a terminal a line for each, if it is `said` what."""
    if total < 2 or not in_terminal():
        for number, item in enumerate(items, start=1):
            if total > 1 and said is not None and not in_terminal():
                say(number, total, said(item))
            yield item
        return
    from rich.console import Console
    from rich.progress import track as rich_track

    yield from rich_track(items, what, total, console=Console(stderr=True), transient=True)
