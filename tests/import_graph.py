"""Which module of a checkout imports which, read from the sources; nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGES = ("nada", "tasks", "flows")
Graph = Mapping[str, set[str]]
"""Module -> the modules that it imports."""


def sources(root: Path) -> list[Path]:
    """The Python files of the packages."""
    return sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))


def module_name(root: Path, path: Path) -> str:
    """Dotted; a package goes by its folder's name."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph(root: Path) -> Graph:
    """Of the packages' modules among each other, also by imports within functions; without those for types alone."""
    trees = {module_name(root, path): ast.parse(path.read_text(encoding="utf-8")) for path in sources(root)}
    return {name: {found for found in _imported(tree, set(trees)) if found != name} for name, tree in trees.items()}


def circles(graph: Graph) -> list[list[str]]:
    """Groups of modules each of which imports all others of it, by a way however long."""
    reached = {name: _reachable(graph, name) for name in graph}
    groups = {frozenset(other for other in reached[name] if name in reached[other]) for name in graph}
    return sorted(sorted(group) for group in groups if group)


def _reachable(graph: Graph, name: str) -> set[str]:
    found: set[str] = set()
    left = [*graph[name]]
    while left:
        if (other := left.pop()) not in found:
            found.add(other)
            left += graph[other]
    return found


def _imported(tree: ast.AST, known: set[str]) -> Iterator[str]:
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else str(node.module) for name in names)


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those below `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            node = ast.Module(body=node.orelse, type_ignores=[])
        yield node
        yield from _executed(node)
