"""Stage `syntax`: equation text -> surface tree with spans."""

from tensorgrad_gen.syntax.parser import parse_equation, parse_expression

__all__ = ["parse_equation", "parse_expression"]
