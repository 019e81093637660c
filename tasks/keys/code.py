"""What code a half of a row (making it, evaluating it) really runs, as one hash.

The code is every module of this project that imports reach from the half's entry modules, each by what it computes
(`tasks.keys.source_digest`). A method may live elsewhere below the same root: the package of an entry counts like the
project's. Files elsewhere, comments, docstrings and messages change no hash; a constant in code
that the half runs changes it. Nothing is imported to find out: sources are read and parsed, some milliseconds each.

Imports inside functions count, those under `if TYPE_CHECKING` do not. An import of `nada.judge.scores` reaches that
module and not the package `nada.judge`, unless something imports from the package itself. What no import statement
names, such as a module imported by `importlib`, is not seen: whoever calls names it as a further entry.

**Code that was rewritten and gives the same bytes** need not make finished rows anew. To say so of a change:

1. before it, run a night and note `sha256sum weights/adapted/*/*.safetensors` and, for each method and family in it,
   the hash that its rows have: `tasks.keys.inputs.making_code(find_method("adapt"), family_module("stylegan2"))`, with
   `by_pictures=True` for rows with style pictures;
2. make the change, run the same night on the same machine from no finished rows, and compare the sums: all must agree;
3. write a group of the two hashes to `equal_code.json`, the older first, or add the newer to the group that has the
   older: `{"hashes": ["OLD", "NEW"], "evidence": "what ran, where, and the sums that agreed"}`.

From then on `code_hash` gives the first hash of the group for all of them.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from tasks.caches.known_answers import keep_answers, read_answers
from tasks.config.project import HERE
from tasks.keys import source_digest
from tasks.keys.source_digest import Imported, Source, read_source

ROOT = Path(__file__).parents[2]
PACKAGES = ("nada", "tasks")
OUTSIDE = (
    (r"nada\.config|nada\.(methods|generators)\.(.+\.)?config|tasks\.config", "their values are in the key"),
    (r"nada\.(methods|generators)\.(.+\.)?registry|nada\.generators\.families", "who calls names the one that runs"),
    (r"nada\.errors", "how an error is told changes no result"),
    (r"nada\.methods\.base", "what methods look like to others; it computes nothing"),
)
"""Modules and packages of the project that belong to no half, and why. What only they import does not either."""
EQUAL_CODE = Path(__file__).with_name("equal_code.json")
SHA256 = re.compile("[0-9a-f]{64}")
MOST_KEPT = 2_000
"""Sources whose digests are kept: some versions of all."""
_new: list[str] = []
"""Read by this process alone, and not kept yet."""


def code_hash(entries: Sequence[str]) -> str:
    """Hexadecimal sha256 of the code that the entry modules run; of equal code on record, that of the oldest.

    Read once per process: a process goes on with the code that it loaded.

    Args:
        entries: dotted names of modules of the project, in any order.
    """
    return _code_hash(frozenset(entries), ROOT, EQUAL_CODE)


@cache
def _code_hash(entries: frozenset[str], root: Path, equal_code: Path) -> str:
    sha256 = closure_hash(entries, root)
    if _new:
        keep_answers(HERE.code_cache, _version(), _known(), list(_known())[-MOST_KEPT:])
        _new.clear()
    return _canonical_hashes(equal_code).get(sha256, sha256)


def closure_hash(entries: Iterable[str], root: Path = ROOT) -> str:
    """Hexadecimal sha256 over the closure's modules, by name and by what each computes, as the sources are now."""
    computed = [(name, _read(path).sha256) for name, path in closure(entries, root).items()]
    return hashlib.sha256(json.dumps(computed).encode()).hexdigest()


def closure(entries: Iterable[str], root: Path = ROOT) -> dict[str, Path]:
    """Every module of the project that imports reach from the entries: dotted name -> file, in order of names.

    Args:
        entries: dotted names of modules.
        root: the folder that holds the packages.
    """
    found: dict[str, Path] = {}
    waiting = list(entries)
    is_outside = partial(outside, packages=packages_of(waiting))
    assert waiting and not any(map(is_outside, waiting)), f"no code that a half runs: {waiting}"
    while waiting:
        name = waiting.pop()
        if name in found or is_outside(name):
            continue
        path = _source_file(name, root)
        assert path is not None, f"{name}: no such module below {root}"
        found[name] = path
        ours = [imported for imported in _read(path).imports if not is_outside(imported.module)]
        waiting += [_imported_module(imported, root) for imported in ours]
    return dict(sorted(found.items()))


def packages_of(entries: Iterable[str]) -> tuple[str, ...]:
    """The packages whose code counts: the project's, and those in which the other entries lie.

    >>> packages_of(["nada.clip.losses", "mine.dream.making"])
    ('nada', 'tasks', 'mine.dream')
    """
    elsewhere = {name.rpartition(".")[0] for name in entries if name.partition(".")[0] not in PACKAGES}
    return (*PACKAGES, *sorted(elsewhere - {""}))


@cache
def outside(name: str, packages: tuple[str, ...] = PACKAGES) -> bool:
    """Whether a module, or something in it, by dotted name, belongs to no half: of no such package, or in `OUTSIDE`.

    >>> outside("torch.nn"), outside("nada.methods.mapper.config"), outside("nada.config_like")
    (True, True, False)
    """
    if not any(f"{name}.".startswith(f"{package}.") for package in packages):
        return True
    return any(re.match(rf"({pattern})(\.|$)", name) for pattern, _ in OUTSIDE)


def _imported_module(imported: Imported, root: Path) -> str:
    """`from nada.clip import losses` means the submodule where there is one, else something in the package."""
    inner = f"{imported.module}.{imported.name}"
    return inner if imported.name and _source_file(inner, root) else imported.module


def _source_file(name: str, root: Path) -> Path | None:
    """A package's `__init__.py` or a module's file, as Python would choose."""
    place = root.joinpath(*name.split("."))
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)


def _read(path: Path) -> Source:
    return _read_text(path.read_text(encoding="utf-8"))


@cache
def _read_text(text: str) -> Source:
    sha256, known = hashlib.sha256(text.encode()).hexdigest(), _known()
    try:
        computed, imports = known[sha256]
        return Source(str(computed), tuple(Imported(str(module), name) for module, name in imports))
    except (KeyError, TypeError, ValueError):
        source = read_source(text, outside)
        known[sha256] = [source.sha256, [[imported.module, imported.name] for imported in source.imports]]
        _new.append(sha256)
        return source


@cache
def _known() -> dict[str, Any]:
    """What earlier processes read, by the sha256 of a source's text: parsing it takes a hundred times as long."""
    return read_answers(HERE.code_cache, _version())


@cache
def _version() -> str:
    """Of what reads sources."""
    reading = "".join(Path(file).read_text(encoding="utf-8") for file in (__file__, source_digest.__file__))
    return hashlib.sha256(f"{sys.version_info[:2]} {reading}".encode()).hexdigest()


@cache
def _canonical_hashes(equal_code: Path) -> dict[str, str]:
    """Hash of a closure -> the first of its group. The list is ours, so a mistake in it is a bug."""
    canonical: dict[str, str] = {}
    for group in json.loads(equal_code.read_text(encoding="utf-8")):
        hashes, evidence = group["hashes"], group["evidence"]
        assert set(group) == {"hashes", "evidence"} and evidence.strip(), f"{equal_code}: no evidence for {hashes}"
        assert len(hashes) > 1 and all(map(SHA256.fullmatch, hashes)), f"{equal_code}: no group of sha256: {hashes}"
        assert len({*hashes, *canonical}) == len(hashes) + len(canonical), f"{equal_code}: twice on record: {hashes}"
        canonical |= dict.fromkeys(hashes, hashes[0])
    return canonical
