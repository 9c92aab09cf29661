"""The minimum cut is as small as networkx finds it, and of the smallest ones the nearest to the sink."""

from __future__ import annotations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from tensorgrad_gen.plan.min_cut import sink_side

NODES = st.integers(0, 7)
EDGES = st.dictionaries(st.tuples(NODES, NODES).filter(lambda e: e[0] != e[1]), st.integers(0, 9), max_size=30)


@given(EDGES)
def test_the_cut_is_the_smallest_and_nearest_to_the_sink(edges: dict[tuple[int, int], int]) -> None:
    graph = nx.DiGraph()
    graph.add_nodes_from((0, 7))
    graph.add_edges_from((a, b, {"capacity": c}) for (a, b), c in edges.items())
    side = sink_side([(a, b, c) for (a, b), c in edges.items()], 0, 7)
    value, (_, nearest) = nx.minimum_cut(graph, 0, 7)
    assert 0 not in side
    assert 7 in side
    assert sum(c for (a, b), c in edges.items() if a not in side and b in side) == value
    assert side == nearest
