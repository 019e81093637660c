"""Two sources have one hash where they compute the same, and two where they do not."""

from __future__ import annotations

import pytest

from tasks.keys.source_digest import Imported, read_source

EQUAL = {
    "a docstring": ("def f(): return 1", "def f():\n  'Says.'\n  return 1"),
    "a docstring of a module": ("X = 1", '"""Says."""\nX = 1'),
    "a docstring of an attribute": ("X = 1", "X = 1\n'''Says.'''"),
    "a docstring for a body": ("def f(): ...", "def f():\n  'Says.'"),
    "pass": ("class A: pass", "class A: ..."),
    "a comment": ("X = 1", "# one\nX = 1  # type: ignore"),
    "layout": ("X = f(1, 'a', 1000)", 'X = (f(\n    1,\n    "a",\n    1_000,\n))\n\n'),
    "arguments' types": ("def f(a, *b, c=1, **d): 0", "def f(a: A, *b: B, c: C = 1, **d: D): 0"),
    "a returned type": ("async def f(): 0", "async def f() -> int: 0"),
    "types of a known decorator's": ("@torch.no_grad()\ndef f(a): 0", "@torch.no_grad()\ndef f(a: int) -> int: 0"),
    "a variable's type": ("X = 1", "X: int = 1"),
    "a variable's type in a method": ("class A:\n def f(s): s.x = 1", "class A:\n def f(s): s.x: int = 1"),
    "a type without a value": ("def f(): return 1", "x: int\ndef f():\n  y: str\n  return 1"),
    "a dataclass field's type": ("@dataclass\nclass A:\n  x: int = 1", "@dataclass\nclass A:\n  x: list[str] = 1"),
    "a plain field's type": ("class A(nn.Module):\n  x: int", "class A(nn.Module):\n  x: str"),
    "a variable's type after a class": ("class A(B): x: int\nX = 1", "class A(B): x: int\nX: int = 1"),
    "from __future__": ("X = 1", "from __future__ import annotations\nX = 1"),
    "__all__": ("X = 1", "__all__ = ['X']\nX = 1\n__all__ += ['Y']"),
    "a typed __all__": ("X = 1", "__all__: list[str] = ['X']\nX = 1"),
    "TYPE_CHECKING": ("X = 1", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  from a import B\nX = 1"),
    "typing.TYPE_CHECKING": ("import typing\nX = typing", "import typing\nif typing.TYPE_CHECKING: 1\nX = typing"),
    "else of TYPE_CHECKING": ("X = 1", "if TYPE_CHECKING:\n  X = 2\nelse:\n  X = 1"),
    "the text of an error": ("raise E('a')", "raise E('b')"),
    "a formatted text": ("raise E(f'{a}' 'b') from e", "raise E('of ' + f'{b}') from e"),
    "one of two texts": ("raise E('a' if b else 'c')", "raise E('a')"),
    "a joined text": ("raise E(', '.join(a), x=1)", "raise E('{}'.format(b), x=1, y='z')"),
    "an assertion's text": ("assert a", "assert a, 'must be'"),
    "order of imports": ("import b\nfrom a import c, d", "from a import d\nfrom a import c\nimport b"),
    "the way of an import": ("import a.b as c", "from a import b as c"),
    "imports around a typed one": ("import a\nimport b", "import b\nif TYPE_CHECKING:\n  import c\nimport a"),
    "an import for a type": ("def f(a): 0", "from abc import A\ndef f(a: A[int]): 0"),
    "an import for a field's type": ("class A:\n  x: A", "import abc\nclass A:\n  x: abc.A"),
    "an import for a message": ("raise E('a')", "from nada.errors import shown\nraise E(f'{shown(a)}')"),
}
DIFFERENT = {
    "a number": ("X = 1", "X = 2"),
    "a kind of number": ("X = 1", "X = 1.0"),
    "a truth": ("X = 1", "X = True"),
    "bytes": ("X = 'a'", "X = b'a'"),
    "a sign": ("X = 1", "X = -1"),
    "a name": ("X = 1", "Y = 1"),
    "an operator": ("X = a < b", "X = a <= b"),
    "order of statements": ("f()\ng()", "g()\nf()"),
    "a nested block": ("if a:\n  f()\ng()", "if a:\n  f()\n  g()"),
    "else": ("for a in b: f()\nelse: g()", "for a in b: f()\ng()"),
    "a string that is used": ("f('a')", "f('b')"),
    "a formatted string": ("X = f'{a:.2f}'", "X = f'{a:.3f}'"),
    "a decorator": ("def f(): 0", "@cache\ndef f(): 0"),
    "an argument of a decorator": ("@cache(1)\ndef f(): 0", "@cache(2)\ndef f(): 0"),
    "async": ("def f(): 0", "async def f(): 0"),
    "a default": ("def f(a: int = 1): 0", "def f(a: int = 2): 0"),
    "a default by name": ("def f(*, a, b=1): 0", "def f(*, a=1, b): 0"),
    "an argument by place": ("def f(a, b): 0", "def f(a, /, b): 0"),
    "a lambda": ("X = lambda a: a", "X = lambda a: -a"),
    "a base": ("class A: x = 1", "class A(B): x = 1"),
    "a new function": ("X = 1", "X = 1\ndef f(): ..."),
    "a field": ("@dataclass\nclass A:\n  x: int", "@dataclass\nclass A:\n  y: int"),
    "order of fields": ("@dataclass\nclass A:\n  x: int\n  y: int", "@dataclass\nclass A:\n  y: int\n  x: int"),
    "a field's default": ("@dataclass\nclass A:\n  x: int = 1", "@dataclass\nclass A:\n  x: int = 2"),
    "a field or a constant": ("@dataclass\nclass A:\n  x: int = 1", "@dataclass\nclass A:\n  x = 1"),
    "ClassVar": ("@dataclass\nclass A:\n  x: int = 1", "@dataclass\nclass A:\n  x: ClassVar[int] = 1"),
    "a model's type": ("class A(BaseModel):\n  x: int = 1", "class A(BaseModel):\n  x: float = 1"),
    "an unknown base's type": ("class A(B):\n  x: int", "class A(B):\n  x: str"),
    "a model's type after a method": ("class A(B):\n  def f(): 0\n  x: int", "class A(B):\n  def f(): 0\n  x: str"),
    "a metaclass's type": ("class A(metaclass=M):\n  x: int", "class A(metaclass=M):\n  x: str"),
    "an unknown decorator's type": ("@f.register\ndef g(a: int): 0", "@f.register\ndef g(a: str): 0"),
    "the class of an error": ("raise A('a')", "raise B('a')"),
    "the cause of an error": ("raise A('a')", "raise A('a') from b"),
    "a value in an error": ("raise SystemExit(1)", "raise SystemExit(2)"),
    "a value by name in an error": ("raise E(x=1)", "raise E(x=2)"),
    "what is asserted": ("assert a, 'b'", "assert not a, 'b'"),
    "what is imported": ("from a import b", "from a import c as b"),
    "where from": ("from a import b", "from c import b"),
    "an import inside a function": ("def f():\n  import a", "def f():\n  import b"),
    "which import comes last": ("import a as x\nimport b as x", "import b as x\nimport a as x"),
    "everything": ("from a import *", "from b import *"),
    "everything of two": ("from b import *", "from a import *\nfrom b import *"),
    "a module's module": ("import a", "import a.b"),
    "an unused import": ("X = 1", "import a\nX = 1"),
    "an import of ours for a type": ("def f(a): 0", "from nada.clip import A\ndef f(a: A): 0"),
    "an import for a type and a value": ("def f(a): A()", "from a import A\ndef f(a: A): A()"),
}


def outside(name: str) -> bool:
    return not name.startswith("nada") or name.startswith("nada.errors")


def sha256(text: str) -> str:
    return read_source(text, outside).sha256


@pytest.mark.parametrize("what", EQUAL)
def test_what_computes_nothing_keeps_the_hash(what: str) -> None:
    one, other = EQUAL[what]
    assert sha256(one) == sha256(other)


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_computes_changes_the_hash(what: str) -> None:
    one, other = DIFFERENT[what]
    assert sha256(one) != sha256(other)


def test_imports_are_found_wherever_they_compute() -> None:
    text = (
        "from a import b, c as d\n"
        "if TYPE_CHECKING:\n  import never\n"
        "else:\n  import e.f\n"
        "def g():\n  try:\n    from h import *\n  except ImportError: pass\n"
    )
    expected = [("a", "b"), ("a", "c"), ("e.f", None), ("h", None)]
    assert list(read_source(text, outside).imports) == [Imported(*pair) for pair in expected]


def test_no_version_of_python_or_of_this_code_hashes_otherwise() -> None:
    text = "@cache\ndef f(a, *b, c: int = 1.5, **d) -> str:\n  return f'{a!r:>9} é' 'b' or [x async for x in b'\\0']"
    assert sha256(text) == "f6590d53b606cb09be48bc36c52779f3ac180e3d381056aa217c88a67c79b941"
