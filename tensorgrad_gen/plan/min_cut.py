"""The minimum cut of a small graph.

Law: the capacity of the edges from the source's side to the sink's is the least there is, and of all such cuts
this one has the smallest sink side.  (networkx has it too, but takes longer to import than an op takes to build.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from itertools import pairwise
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def sink_side(edges: Iterable[tuple[Node, Node, int]], source: Node, sink: Node) -> set[Node]:
    """The nodes on the sink's side; `edges` are (from, to, capacity), a pair given twice counts once."""
    residual: dict[Node, dict[Node, int]] = {source: {}, sink: {}}
    for tail, head, capacity in edges:
        residual.setdefault(tail, {})[head] = capacity
        residual.setdefault(head, {}).setdefault(tail, 0)
    while path := _shortest_path(residual, source, sink):
        steps = list(pairwise(path))
        flow = min(residual[tail][head] for tail, head in steps)
        for tail, head in steps:
            residual[tail][head] -= flow
            residual[head][tail] += flow
    return _reaching(residual, sink)


def _shortest_path(residual: dict[Node, dict[Node, int]], source: Node, sink: Node) -> list[Node]:
    """A path of edges with capacity left that has the fewest edges; empty if there is none."""
    before: dict[Node, Node] = {source: source}
    queue = deque([source])
    while queue and sink not in before:
        tail = queue.popleft()
        for head, capacity in residual[tail].items():
            if capacity > 0 and head not in before:
                before[head] = tail
                queue.append(head)
    if sink not in before:
        return []
    path = [sink]
    while path[-1] != source:
        path.append(before[path[-1]])
    return path[::-1]


def _reaching(residual: dict[Node, dict[Node, int]], sink: Node) -> set[Node]:
    """The nodes from which the sink can still be reached."""
    found = {sink}
    queue = deque([sink])
    while queue:
        head = queue.popleft()
        for tail in residual[head]:
            if tail not in found and residual[tail][head] > 0:
                found.add(tail)
                queue.append(tail)
    return found
