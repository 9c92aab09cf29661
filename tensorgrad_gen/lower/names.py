"""Names in generated bodies: no two alike, none that hides what a body needs."""

from __future__ import annotations

import builtins
import keyword

_OURS = frozenset({"torch", "math", "ctx", "F", "_runtime", "Tensor"})


def local_name(name: str) -> str:
    """The Python name of a tensor or param: its own, with `_` where Python or a body has that name already."""
    return f"{name}_" if keyword.iskeyword(name) or name in _OURS or hasattr(builtins, name) else name


class Names:
    """The names a body has taken."""

    def __init__(self, taken: frozenset[str]) -> None:
        self._taken = {local_name(name) for name in taken}

    def fresh(self, hint: str) -> str:
        """The hint itself if free, else with the first number that makes it free."""
        base = local_name(hint)
        name, count = base, 1
        while name in self._taken:
            count += 1
            name = f"{base}{count}"
        self._taken.add(name)
        return name
