"""Public generators by name, each with its addresses, licence and, where known, checksum.

Those of `registry.yaml` beside this come with nada; weights/registry.yaml adds a project's own, or replaces some.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pydantic
from pydantic import Field, field_validator

from nada.config import Name, Section
from nada.errors import ParamsError, nearest
from tasks.config.problems import problems_of
from tasks.config.project import HERE
from tasks.config.row import SLUG
from tasks.config.yaml_reader import read_yaml

SUFFIXES = {"nvidia": ".pkl", "rosinality": ".pt", "nada": ".safetensors", "openvino": ".whl"}
"""Format -> how its files end."""
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]*")  # no separator, and nothing hidden
SHA256 = re.compile(r"[0-9a-f]{64}")
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!]*")  # nothing that pip takes for an option
ORIGINS = ("addresses", "package", "made_from")
DEFAULTS = Path(__file__).with_name("registry.yaml")

Family = Literal["stylegan2", "stylegan3-t", "stylegan3-r", "mobilestylegan"]


class Entry(Section):
    """One public generator: at addresses, in a package index, or made from another entry and a part."""

    addresses: tuple[str, ...] = Field((), min_length=1, strict=False)
    """The same bytes at each; tried in turn."""
    package: str | None = None
    """`name==version` in a package index, whose wheel `file` is."""
    made_from: Name | None = None
    """The name of another entry, whose generator is a `part` of this one."""
    part: Name | None = None
    """The file of the other part: in the project's folder, or beside nada's own registry."""
    file: str
    """Its name in the folder of weights."""
    family: Family
    format: Literal["nvidia", "rosinality", "nada", "openvino"]
    resolution: int = Field(ge=4, le=4096)
    """Pixels a side."""
    dataset: Name
    licence: Name
    """Whose terms hold for the weights."""
    terms: Name | None = None
    """More about them, which is said before anything is fetched."""
    publication: Name | None = None
    sha256: str | None = None
    """Published checksum; without one, that of the first fetch is kept beside the file."""
    notes: Name | None = None

    @property
    def path(self) -> Path:
        """Where the file lies unless it was fetched to another folder."""
        return HERE.weights / self.file

    @field_validator("addresses")
    @classmethod
    def _are_web_addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            try:
                parts = urlsplit(address)
                usable = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
            except ValueError:
                usable = False
            if not usable or not address.isprintable() or " " in address:
                raise ValueError(f"{address!r} is no address to fetch from; expected https://host/path")
        return addresses

    @field_validator("package")
    @classmethod
    def _is_one_version(cls, package: str | None) -> str | None:
        if package is not None and not PACKAGE.fullmatch(package):
            raise ValueError(f"{package!r} is no version of a package; expected name==version")
        return package

    @field_validator("file")
    @classmethod
    def _is_one_name(cls, file: str) -> str:
        if not FILE_NAME.fullmatch(file):
            raise ValueError(f"{file!r} is no plain file name; letters, digits and ._+- alone, without a folder")
        return file

    @field_validator("sha256")
    @classmethod
    def _is_sha256(cls, sha256: str | None) -> str | None:
        if sha256 is not None and not SHA256.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is no sha256; expected 64 hexadecimal digits in lower case, or leave it out")
        return sha256

    @pydantic.model_validator(mode="after")
    def _comes_from_one_place(self) -> Entry:
        given = [origin for origin in ORIGINS if getattr(self, origin)]
        if len(given) != 1:
            raise ValueError(f"it has {' and '.join(given) or 'no origin'}; expected one of {', '.join(ORIGINS)}")
        if (self.made_from is None) != (self.part is None):
            raise ValueError("made_from and part go together")
        if self.package is not None and self.sha256 is None:
            raise ValueError("sha256: missing; a package is fetched by its checksum alone")
        return self

    @pydantic.model_validator(mode="after")
    def _file_ends_as_its_format(self) -> Entry:
        if not self.file.endswith(SUFFIXES[self.format]):
            raise ValueError(f"file {self.file!r} does not end in {SUFFIXES[self.format]}, as format {self.format!r}")
        return self


def load_registry(path: Path = HERE.registry) -> dict[str, Entry]:
    """Every entry by name: the project's in its file's order, if it has one, then those that come with nada.

    Raises:
        ParamsError: not YAML, bad names, unknown keys or wrong values; all in one message.
    """
    own, problems = _read(path) if path.exists() else ({}, [])
    ours, _ = _read(DEFAULTS)
    entries = own | {name: _with_part(entry) for name, entry in ours.items() if name not in own}
    problems += _shared_files(entries) + _endless_origins(entries)
    if problems:
        noun = "key" if len(problems) == 1 else "keys"
        raise ParamsError(f"{path}: {len(problems)} invalid {noun}", *(f"  {problem}" for problem in problems))
    return entries


def _read(path: Path) -> tuple[dict[str, Entry], list[str]]:
    """A file's sound entries, and what is wrong with the others."""
    content = read_yaml(path, "names with addresses, file and so on", "run nada in the project's folder")
    entries: dict[str, Entry] = {}
    problems: list[str] = []
    for key, value in content.items():
        name = str(key)
        if not SLUG.fullmatch(name):
            problems.append(f"{name!r}: not a name; lower-case letters, digits and single dashes alone")
            continue
        try:
            entries[name] = Entry.model_validate(value)
        except pydantic.ValidationError as err:
            problems += problems_of(err, Entry, (name,))
    return entries, problems


def _with_part(entry: Entry) -> Entry:
    """An entry of ours, whose part lies in the package."""
    return entry if entry.part is None else entry.model_copy(update={"part": str(DEFAULTS.parent / entry.part)})


def find_entry(name: str, path: Path = HERE.registry) -> Entry:
    """One entry.

    Raises:
        ParamsError: no entry of that name, or a damaged file.
    """
    registry = load_registry(path)
    if name not in registry:
        hint = nearest(name, registry) or "; see nada weights list"
        raise ParamsError(f"registry: no generator named {name!r}{hint}")
    return registry[name]


def fetch_hint(weights: str) -> str:
    """`; fetch it with: ...` where missing weights are a name of the registry or a file of it; else nothing."""
    try:
        registry = load_registry()
    except ParamsError:
        return ""
    for name, entry in registry.items():
        if weights == name:
            return f"; it is a name of the registry: run nada weights fetch {name}, and write {entry.path}"
        if Path(weights) == entry.path:
            return f"; fetch it with: nada weights fetch {name}"
    return ""


def fetch_command(weights: str) -> str:
    """The command that brings missing weights which the registry has; empty where it has not."""
    try:
        named = {entry.path.as_posix(): name for name, entry in load_registry().items()}
    except ParamsError:
        return ""
    name = named.get(Path(weights).as_posix())
    return f"nada weights fetch {name}" if name else ""


def _endless_origins(entries: Mapping[str, Entry]) -> list[str]:
    made = {name: entry.made_from for name, entry in entries.items() if entry.made_from is not None}
    return [
        f"{name}.made_from: {source!r} is no name of this file that is fetched whole"
        for name, source in made.items()
        if source not in entries or source in made
    ]


def _shared_files(entries: Mapping[str, Entry]) -> list[str]:
    owners: dict[str, str] = {}
    problems = []
    for name, entry in entries.items():
        owner = owners.setdefault(entry.file, name)
        if owner != name:
            problems.append(f"{name}.file: {entry.file!r} is the file of {owner!r} too")
    return problems
