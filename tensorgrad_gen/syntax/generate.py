"""Write tables.py: the LALR(1) tables that Lark makes of grammar.lark.

The tables are committed, so that building an op imports no parser generator; a test holds them
to the grammar.  Run it with `python -m tensorgrad_gen.syntax.generate` after a change.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
STARTS = ("equation", "expression")


def tables_source() -> str:
    """The text of tables.py for the grammar as it stands."""
    from lark import Lark
    from lark.parsers.lalr_analysis import Shift

    parser = Lark((HERE / "grammar.lark").read_text("utf-8"), parser="lalr", start=list(STARTS), lexer="basic")
    table = parser.parser.parser._parse_table
    used = {rule for row in table.states.values() for action, rule in row.values() if action is not Shift}
    rules = sorted(used, key=lambda rule: (str(rule.origin.name), rule.order))
    number = {rule: -1 - k for k, rule in enumerate(rules)}
    rows: dict[int, dict[str, int]] = {
        state: {str(s): to if action is Shift else number[to] for s, (action, to) in row.items()}
        for state, row in table.states.items()
    }
    order = _order(rows, [table.start_states[name] for name in STARTS])
    described = [(str(rule.origin.name), len(rule.expansion), str(rule.alias or "")) for rule in rules]
    starts = {name: order[table.start_states[name]] for name in STARTS}
    ends = {name: order[table.end_states[name]] for name in STARTS}
    renumbered = [{s: order.get(to, to) for s, to in rows[state].items()} for state in order]
    return _source(described, renumbered, starts, ends)


def _order(rows: dict[int, dict[str, int]], starts: list[int]) -> dict[int, int]:
    """The states numbered as they are met, breadth first: Lark's own numbers change with the hash seed."""
    order: dict[int, int] = {}
    waiting = list(starts)
    for state in waiting:
        if state not in order:
            order[state] = len(order)
            waiting += [to for _, to in sorted(rows[state].items()) if to >= 0]
    return order


def _source(
    rules: list[tuple[str, int, str]], rows: list[dict[str, int]], starts: dict[str, int], ends: dict[str, int]
) -> str:
    lines = [
        '"""LALR(1) tables made from grammar.lark by generate.py; not edited by hand."""',
        "",
        "# ruff: noqa: E501 - a state is one line",
        "# (what the rule makes, how many parts it takes off the stack, the builder's method)",
        "RULES: list[tuple[str, int, str]] = [",
        *(f'    ("{origin}", {length}, "{alias}"),' for origin, length, alias in rules),
        "]",
        "# By state: where to -> the symbols that lead there.  At least 0 is a state to go to, on a token",
        "# or on what a rule made; below 0 is -1 - the number of the rule to reduce by.",
        "STATES: list[dict[int, str]] = [",
        *(f"    {_row(row)},  # {state}" for state, row in enumerate(rows)),
        "]",
        "STARTS: dict[str, int] = {" + ", ".join(f'"{k}": {v}' for k, v in starts.items()) + "}",
        "ENDS: dict[str, int] = {" + ", ".join(f'"{k}": {v}' for k, v in ends.items()) + "}",
    ]
    return "\n".join(lines) + "\n"


def _row(row: dict[str, int]) -> str:
    grouped: dict[int, list[str]] = {}
    for symbol in sorted(row):
        grouped.setdefault(row[symbol], []).append(symbol)
    return "{" + ", ".join(f'{to}: "{" ".join(symbols)}"' for to, symbols in sorted(grouped.items())) + "}"


if __name__ == "__main__":
    (HERE / "tables.py").write_text(tables_source(), "utf-8")
