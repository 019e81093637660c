"""What a Python source computes, as one hash: equal for two sources that differ only in what computes nothing.

What computes nothing, and is left out: docstrings and other bare constants, comments, layout, annotations, `__all__`,
blocks under `if TYPE_CHECKING`, the text of raised errors and of assertions, and how imports that stand together are
ordered and grouped. Decorators, names, defaults and everything else count.

Some annotations do compute, because somebody reads them. The type of a field counts where its class has a base or a
decorator that is not known to read none, as a pydantic model has; the types of a function's arguments likewise. Of
every other class the fields, their order and their defaults count: they are the arguments of a dataclass.
The text of an error is what is written as a string in `raise X(...)`; an exit status or a variable counts.

Python 3.11, 3.12 and 3.13 agree on the hash: no field of a tree that some of them lack or leave empty enters it.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

BASES = "object ABC Exception Function Generic Module NamedTuple Protocol"
DECORATORS = (
    "abstractmethod cache cached_property classmethod contextmanager dataclass field_validator final inference_mode "
    "lru_cache model_validator no_grad once_differentiable overload override property setter staticmethod wraps"
)
READ_NO_TYPES = frozenset(f"{BASES} {DECORATORS}".split())
"""Bases and decorators, by their last name, for which an annotation is only a remark."""
KINDS_OF_FIELD = ("ClassVar", "InitVar", "KW_ONLY")
"""What a dataclass looks for in its annotations."""


@dataclass(frozen=True)
class Imported:
    """`import module` where `name` is None, else `from module import name`."""

    module: str
    name: str | None


@dataclass(frozen=True)
class Source:
    """A source: the hash of what it computes, and what it imports for that, in order."""

    sha256: str
    imports: tuple[Imported, ...]


def read_source(text: str, outside: Callable[[str], bool]) -> Source:
    r"""Reduce a source to what it computes.

    Args:
        text: the source.
        outside: whether a dotted name (a module, or something in it) is of other code than is being hashed. Such an
            import goes with the annotations and messages that alone use it.

    Raises:
        SyntaxError: it is not Python.

    >>> def is_outside(name: str) -> bool:
    ...     return True
    >>> plain = read_source("def half(x): return x / 2", is_outside)
    >>> plain == read_source("def half(x: float) -> float:\n    'Half of x.'\n    return x/2", is_outside)
    True
    >>> plain == read_source("def half(x): return x / 3", is_outside)
    False
    """
    reduction = _Reduction()
    reduction.visit(ast.parse(text))
    content = " ".join(reduction.tokens(outside))
    return Source(hashlib.sha256(content.encode()).hexdigest(), tuple(reduction.imports))


class _Reduction(ast.NodeVisitor):
    """One walk over a module: what computes as tokens, the names in it, and the names in what was left out."""

    def __init__(self) -> None:
        self.imports: list[Imported] = []
        self._tokens: list[str | tuple[str, str]] = []  # a pair is an import: local name, what it means
        self._used: set[str] = set()
        self._left_out: set[str] = set()
        self._types_are_read = False
        self._in_class = False

    def tokens(self, outside: Callable[[str], bool]) -> Iterator[str]:
        """What was found, but for imports from outside that only what was left out uses."""
        for token in self._tokens:
            if isinstance(token, str):
                yield token
                continue
            local, meaning = token
            name = local.partition(".")[0]
            if name in self._used or name not in self._left_out or not outside(meaning):
                yield f"{local}={meaning}"

    def generic_visit(self, node: ast.AST) -> None:
        self._tokens.append(type(node).__name__ + "(")
        for field in node._fields:
            value = getattr(node, field, None)
            if value is not None and value != [] and field not in ("ctx", "kind", "type_comment", "type_params"):
                self._tokens.append(field)
                self._visit_value(value)
        self._tokens.append(")")

    def _visit_value(self, value: object) -> None:
        if isinstance(value, ast.AST):
            self.visit(value)
        elif isinstance(value, list):
            self._tokens.append("[")
            if isinstance(value[0], ast.stmt):
                self._visit_statements(value)
            else:
                for item in value:
                    self._visit_value(item)
            self._tokens.append("]")
        else:
            self._tokens.append(ascii(value))

    def _visit_statements(self, body: list[ast.stmt]) -> None:
        for are_imports, run in groupby(self._computing(body), _is_import):
            if are_imports:
                bound = dict(pair for statement in run for pair in self._bound(statement))
                self._tokens += sorted(bound.items())
            else:
                for statement in run:
                    self.visit(statement)

    def _computing(self, body: list[ast.stmt]) -> Iterator[ast.stmt]:
        """The statements that compute; an `else` of `if TYPE_CHECKING` takes its place."""
        for statement in body:
            match statement:
                case ast.Pass() | ast.Expr(ast.Constant()) | ast.ImportFrom("__future__"):
                    pass
                case ast.If(test) if _last_name(test) == "TYPE_CHECKING":
                    self._leave_out(test, *statement.body)
                    yield from self._computing(statement.orelse)
                case ast.AnnAssign(value=None) if not self._in_class:
                    self._leave_out(statement.annotation)
                case ast.Assign([ast.Name("__all__")]) | ast.AnnAssign(ast.Name("__all__")):
                    pass
                case ast.AugAssign(ast.Name("__all__")):
                    pass
                case _:
                    yield statement

    def _bound(self, statement: ast.stmt) -> Iterator[tuple[str, str]]:
        """Each local name of an import, and what it stands for; without `as`, `import a.b` is named `a.b`."""
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                self.imports.append(Imported(alias.name, None))
                yield alias.asname or alias.name, alias.name
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0 and statement.module, "a relative import, which this project has none of"
            module = statement.module
            for alias in statement.names:
                everything = alias.name == "*"
                self.imports.append(Imported(module, None if everything else alias.name))
                yield (f"*{module}", module) if everything else (alias.asname or alias.name, f"{module}.{alias.name}")

    def visit_Name(self, node: ast.Name) -> None:
        self._used.add(node.id)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._visit_scope(node, types_are_read=_may_read_types(node.decorator_list), in_class=False)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 (ast.NodeVisitor looks for this name)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        may_read = bool(node.keywords) or _may_read_types(node.decorator_list + node.bases)
        self._visit_scope(node, types_are_read=may_read, in_class=True)

    def _visit_scope(self, node: ast.AST, types_are_read: bool, in_class: bool) -> None:
        before = self._types_are_read, self._in_class
        self._types_are_read, self._in_class = types_are_read, in_class
        self.generic_visit(self._without_types(node, "returns"))
        self._types_are_read, self._in_class = before

    def visit_arg(self, node: ast.arg) -> None:
        self.generic_visit(self._without_types(node, "annotation"))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if self._types_are_read and self._in_class:
            self.generic_visit(node)
        elif self._in_class:
            names = set(map(_last_name, ast.walk(node.annotation)))
            kinds: list[ast.expr] = [ast.Name(kind) for kind in KINDS_OF_FIELD if kind in names]
            self._leave_out(node.annotation)
            self.generic_visit(ast.AnnAssign(node.target, ast.Tuple(kinds), node.value, node.simple))
        else:
            assert node.value is not None, "a statement that computes nothing"
            self._leave_out(node.annotation)
            self.generic_visit(ast.Assign([node.target], node.value))

    def visit_Raise(self, node: ast.Raise) -> None:
        if isinstance(node.exc, ast.Call):
            call = node.exc
            self._leave_out(*filter(_is_text, call.args), *(word for word in call.keywords if _is_text(word.value)))
            arguments = [argument for argument in call.args if not _is_text(argument)]
            keywords = [word for word in call.keywords if not _is_text(word.value)]
            node = ast.Raise(ast.Call(call.func, arguments, keywords), node.cause)
        self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        if node.msg is not None and _is_text(node.msg):
            self._leave_out(node.msg)
            node = ast.Assert(node.test)
        self.generic_visit(node)

    def _without_types(self, node: ast.AST, field: str) -> ast.AST:
        """The node without an annotation, unless somebody may read it."""
        annotation: ast.expr | None = getattr(node, field, None)
        if annotation is None or self._types_are_read:
            return node
        self._leave_out(annotation)
        return type(node)(**{**dict(ast.iter_fields(node)), field: None})

    def _leave_out(self, *nodes: ast.AST) -> None:
        for node in nodes:
            self._left_out |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def _is_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import | ast.ImportFrom)


def _may_read_types(readers: list[ast.expr]) -> bool:
    return not READ_NO_TYPES.issuperset(map(_last_name, readers))


def _last_name(node: ast.AST) -> str:
    """Of `a.b`, `a.b()` and `a.b[c]`: b."""
    match node:
        case ast.Name(name) | ast.Attribute(attr=name):
            return str(name)
        case ast.Call(inner) | ast.Subscript(inner):
            return _last_name(inner)
    return ""


def _is_text(node: ast.AST) -> bool:
    """Whether an expression is written as a string: plain, formatted, joined, or one of two."""
    match node:
        case ast.Constant(value):
            return isinstance(value, str)
        case ast.JoinedStr():
            return True
        case ast.BinOp(left, _, right):
            return _is_text(left) or _is_text(right)
        case ast.IfExp(_, body, orelse):
            return _is_text(body) and _is_text(orelse)
        case ast.Call(ast.Attribute(text)):
            return _is_text(text)
    return False
