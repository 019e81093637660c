"""Edits of a source: such as change what it computes, one at a time, and such as do not, all at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator

Mutant = tuple[int, str]
"""The line that was changed, and the whole source with the change."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def computing(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that compute, from one on; a formatted string counts as one, and of an error only its class."""
    match node:
        case ast.Expr(ast.Constant()) | ast.If(ast.Name("TYPE_CHECKING")) | ast.Assign([ast.Name("__all__")]):
            return
        case ast.Raise(ast.Call(inner)) | ast.Assert(inner):
            yield from computing(inner)
            return
    yield node
    if isinstance(node, ast.JoinedStr):
        return
    types = [getattr(node, field, None) for field in ("annotation", "returns")]
    for inner in ast.iter_child_nodes(node):
        if inner not in types:
            yield from computing(inner)


def with_other_constants(text: str) -> Iterator[Mutant]:
    """Another value for each constant of the module, then for each literal in it."""
    tree = ast.parse(text)
    for node in computing(tree):
        if node in tree.body and isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            yield node.lineno, spliced(text, node.value, "('mutated',)")
        elif isinstance(node, ast.JoinedStr):
            yield node.lineno, spliced(text, node, "'mutated'")
        elif isinstance(node, ast.Constant):
            yield node.lineno, spliced(text, node, repr(other_value(node.value)))


def with_other_bodies(text: str) -> Iterator[Mutant]:
    """One more statement at the start of each function's body."""
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, Function):
            first = function.body[0]
            lines = text.splitlines(keepends=True)
            if lines[first.lineno - 1][: first.col_offset].strip():  # `def f(): ...` on one line
                yield function.lineno, spliced(text, first, "mutated = 0")
                continue
            line = min([first.lineno, *(decorator.lineno for decorator in getattr(first, "decorator_list", []))])
            lines.insert(line - 1, " " * first.col_offset + "mutated = 0\n")
            yield function.lineno, "".join(lines)


def spliced(text: str, node: ast.expr | ast.stmt, replacement: str) -> str:
    """A source with other text for one node; Python counts columns in bytes."""
    lines = text.encode().splitlines(keepends=True)
    assert node.end_lineno and node.end_col_offset
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    whole = b"".join(lines)
    return (whole[:start] + replacement.encode() + whole[end:]).decode()


def other_value(value: object) -> object:
    match value:
        case bool():
            return not value
        case int() | float() | complex():
            return 2 * value + 1
        case str():
            return value + "!"
        case bytes():
            return value + b"!"
    return 0  # for None and ...


MUTABLE = (
    *(ast.Name, ast.Attribute, ast.arg, ast.keyword, ast.FunctionDef, ast.ClassDef, ast.BinOp, ast.AugAssign),
    *(ast.BoolOp, ast.UnaryOp, ast.Compare, ast.Constant, ast.If, ast.While, ast.Return, ast.Call),
)


def mutate(node: ast.AST) -> None:
    """Change one node, of a type that is `MUTABLE`, in place."""
    match node:
        case ast.Name(name):
            node.id = f"{name}_"
        case ast.Attribute(attr=name):
            node.attr = f"{name}_"
        case ast.arg(name) | ast.keyword(name):
            node.arg = f"{name}_"
        case ast.FunctionDef(name) | ast.ClassDef(name):
            node.name = f"{name}_"
        case ast.BinOp() | ast.AugAssign():
            node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.UnaryOp(_, ast.Constant() as number):  # a pattern may hold -1, and nothing else in its place
            mutate(number)
        case ast.UnaryOp():
            node.op = ast.Invert() if isinstance(node.op, ast.Not) else ast.Not()
        case ast.Compare():
            node.ops[0] = ast.GtE() if isinstance(node.ops[0], ast.Lt) else ast.Lt()
        case ast.Constant(value):
            node.value = other_value(value)
        case ast.If() | ast.While():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.Return(value):
            node.value = ast.Tuple([value] if value else [])
        case ast.Call():
            node.args = [*node.args, ast.Constant("mutated")]


class _Harmless(ast.NodeTransformer):
    """Other docstrings, other messages, wider types and more of them."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        if isinstance(node.value, ast.Constant):
            node.value = ast.Constant("Told otherwise.")
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        return node  # its arguments can have no types

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = _wider(node.annotation)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = _wider(node.returns)
        node.body.insert(0, ast.Expr(ast.Constant("A new docstring.")))
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        fields = {} if not node.bases else {s: s.annotation for s in node.body if isinstance(s, ast.AnnAssign)}
        self.generic_visit(node)
        for field, annotation in fields.items():  # some base may read it
            field.annotation = annotation
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        node.annotation = _wider(node.annotation)
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        if isinstance(node.exc, ast.Call):
            for text in node.exc.args:
                if isinstance(text, ast.Constant):
                    text.value = other_value(text.value)
                elif isinstance(text, ast.JoinedStr):
                    text.values.append(ast.Constant("!"))
        return node


def _wider(annotation: ast.expr | None) -> ast.expr:
    return ast.BinOp(annotation, ast.BitOr(), ast.Name("Other")) if annotation else ast.Name("Other")


def harmless(text: str) -> str:
    """The source with every edit that computes nothing: comments gone, layout and quotes Python's own."""
    tree = ast.fix_missing_locations(_Harmless().visit(ast.parse(text)))
    return (
        "# A comment.\nfrom typing import TYPE_CHECKING\n"
        + ast.unparse(tree)
        + "\n\nif TYPE_CHECKING:\n    from nada.elsewhere import Other\n__all__ = ['Other']\n"
    )
