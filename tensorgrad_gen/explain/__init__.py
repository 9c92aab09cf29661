"""The derivation of an op, printed from the compiler's own steps."""

from tensorgrad_gen.explain.derivation import explain
from tensorgrad_gen.explain.graph import graphs
from tensorgrad_gen.explain.layout import as_data, show
from tensorgrad_gen.explain.model import Explanation, Line, Section

__all__ = ["Explanation", "Line", "Section", "as_data", "explain", "graphs", "show"]
