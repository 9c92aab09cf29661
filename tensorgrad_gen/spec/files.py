"""Reading a spec file: what is not a small text in UTF-8 is refused before anything looks at it."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from tensorgrad_gen.errors import Diagnostic, Report, Span, SpecError

LARGEST = 1 << 20

# What YAML does not allow, line ends to some readers and not to others, and characters that
# reorder what is shown, so that a text would not be what it looks like.
REFUSED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


def read_text(path: str | Path) -> str:
    """The text of a spec file; raises `SpecError` where it is no file, too large, or not UTF-8."""
    name = str(path)
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:  # no pipe may block
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _refusal(name, "E101", "this is no regular file")
            data = file.read(LARGEST + 1)
    except IsADirectoryError:
        raise _refusal(name, "E101", "this is a folder, no spec") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _refusal(name, "E101", f"the file cannot be read: {reason}") from None
    if len(data) > LARGEST:
        raise _too_large(name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(name, data, error.start) from None


def _refusal(path: str, code: str, message: str, help: str | None = None) -> SpecError:
    return SpecError([Diagnostic("error", code, message, None, help)], path, "")


def _too_large(path: str) -> SpecError:
    return _refusal(path, "E608", "the file is larger than 1 MiB", "a spec is a few lines of text")


def _not_utf8(path: str, data: bytes, offset: int) -> SpecError:
    line = data.count(b"\n", 0, offset) + 1
    start = data.rfind(b"\n", 0, offset) + 1
    column = len(data[start:offset].decode("utf-8", "replace").removeprefix("\ufeff" if start == 0 else "")) + 1
    message = f"byte 0x{data[offset]:02x} is not UTF-8"
    diagnostic = Diagnostic("error", "E122", message, Span(line, column, line, column + 1), "save the file as UTF-8")
    return SpecError([diagnostic], path, data.decode("utf-8-sig", "replace"))


def normalised(text: str, report: Report) -> str | None:
    """The text with line feeds as its only line ends, or None where it is too large or has characters YAML refuses."""
    if len(text) > LARGEST or len(text.encode("utf-8", "replace")) > LARGEST:
        raise _too_large(report.path)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    match = REFUSED.search(text)
    if match is None:
        return text
    line = text.count("\n", 0, match.start()) + 1
    column = match.start() - text.rfind("\n", 0, match.start())
    message = f"U+{ord(match[0]):04X} is no character of a spec"
    report.error("E122", message, Span(line, column, line, column + 1), "remove it")
    return None
