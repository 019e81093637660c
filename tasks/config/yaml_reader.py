"""A file of settings in YAML 1.2: a mapping, or one line that says what is wrong and where.

Whatever the file holds, reading it runs nothing and costs time and memory in proportion to its size. What could cost
more, and no settings need, is refused: aliases, which unfold a kilobyte to gigabytes, deep nesting, endless numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, StringMark
from ruamel.yaml.events import ScalarEvent
from ruamel.yaml.nodes import MappingNode, Node
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner, ScannerError

from nada.errors import ParamsError, shown
from nada.paths import read_bytes

MOST_BYTES = 1 << 19  # of a file, which thousands of recipes do not fill; this reader takes seconds over so many
MAX_DEPTH = 20  # params.yaml needs five; the reader calls itself a few times a level
MAX_DIGITS = 100  # of a whole number; Python's time to read or print one grows with the square of them
PROBLEM_CHARACTERS = 160  # of what is wrong, where the file's own words are in it
KINDS = ("null", "bool", "int", "float", "timestamp", "str", "seq", "map")


class _RefusedError(MarkedYAMLError):
    """YAML that may be sound, but that no settings need."""


class _Scanner(Scanner):
    """Characters to tokens, without directives."""

    def fetch_directive(self) -> None:
        problem = "directives (%YAML, %TAG) are not read; the file is YAML 1.2 without them"
        raise _RefusedError(None, None, problem, self.reader.get_mark())

    def fetch_more_tokens(self) -> Any:
        try:
            return super().fetch_more_tokens()
        except (ValueError, OverflowError) as err:
            problem = "an escape beyond \\U0010FFFF is no character"
            raise ScannerError(None, None, problem, self.reader.get_mark()) from err


class _Composer(Composer):
    """Tokens to nodes: a tree, not deep, whose keys are plain. No value is made before all of it stands."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        problem = ""
        if event.anchor is not None:
            problem = "anchors and aliases (&name, *name) are not read; write the value out"
        elif self.depth >= MAX_DEPTH:
            problem = f"nested more than {MAX_DEPTH} deep"
        elif isinstance(parent, MappingNode) and index is None and not isinstance(event, ScalarEvent):
            problem = "a list or section is no key; expected a text"
        if problem:
            raise _RefusedError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)


class _Constructor(SafeConstructor):
    """Nodes to values."""

    yaml_constructors = {  # noqa: RUF012  # as ruamel.yaml declares it
        **{f"tag:yaml.org,2002:{kind}": getattr(SafeConstructor, f"construct_yaml_{kind}") for kind in KINDS},
        None: SafeConstructor.construct_undefined,
    }

    def construct_non_recursive_object(self, node: Node, tag: str | None = None) -> Any:
        kind = str(node.tag).rpartition(":")[2]
        try:
            if kind == "int" and len(node.value) > MAX_DIGITS:
                raise ValueError(f"more than {MAX_DIGITS} digits")
            return super().construct_non_recursive_object(node, tag)
        except (ValueError, TypeError, LookupError, OverflowError) as err:
            problem = f"{shown(node.value)} cannot be read as {kind}"
            raise _RefusedError(None, None, problem, node.start_mark) from err

    def flatten_mapping(self, node: Node) -> None:
        """Merge keys (<<) are of YAML 1.1, and of no use without aliases."""

    def check_mapping_key(self, node: Node, key_node: Node, mapping: Any, key: Any, value: Any) -> bool:
        if not isinstance(key, str):
            problem = f"the key {shown(key_node.value)} is read as no text; write it in quotes"
            raise _RefusedError(None, None, problem, key_node.start_mark)
        if key in mapping:
            raise ConstructorError(None, None, f"the key {shown(key_node.value)} is given twice", key_node.start_mark)
        return True


def read_yaml(path: Path, expected: str, way_out: str) -> dict[Any, Any]:
    """A YAML file that holds a mapping, with no key given twice.

    Args:
        path: the file.
        expected: what it should hold, for the message where it holds nothing of the kind.
        way_out: what to do where the file is missing.

    Raises:
        ParamsError: missing, not UTF-8, not YAML, more than settings need, or no mapping.
    """
    try:
        content = _load(read_bytes(path, MOST_BYTES, ParamsError, way_out).decode("utf-8-sig"))
    except UnicodeDecodeError as err:
        raise ParamsError(
            f"{path}: not UTF-8 (byte {err.object[err.start]:#04x} at {err.start}); save it as UTF-8"
        ) from err
    except MarkedYAMLError as err:
        problem = str(err.problem or err.context)[:PROBLEM_CHARACTERS]
        reason = problem if isinstance(err, _RefusedError) else f"not valid YAML ({problem})"
        raise ParamsError(f"{path}:{err.problem_mark.line + 1}: {reason}") from err
    if not isinstance(content, dict):
        kind = "empty" if content is None else f"a {type(content).__name__}"
        raise ParamsError(f"{path}: the file is {kind}; expected {expected}")
    return content


def _load(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = "1.2"
    yaml.Scanner, yaml.Composer, yaml.Constructor = _Scanner, _Composer, _Constructor
    try:
        return yaml.load(text)
    except ReaderError as err:
        line = text.count("\n", 0, err.position)
        mark = StringMark("", err.position, line, 0, None, 0)
        raise ScannerError(None, None, str(err).splitlines()[0], mark) from err
