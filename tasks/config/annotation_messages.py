"""What a key of params.yaml may hold, in words, read off the models of nada/config.py."""

from __future__ import annotations

import types
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import pydantic
from pydantic.fields import FieldInfo

Place = tuple[str | int, ...]


def expected_at(model: type[pydantic.BaseModel], loc: Sequence[str | int]) -> tuple[Place, str]:
    """Follow an error's location into the model as far as it names keys and positions.

    Returns:
        The location without pydantic's union branches, and what is expected there in words.

    >>> from tasks.config.model import Params
    >>> expected_at(Params, ("night", "workers", "literal['auto']"))
    (('night', 'workers'), "'auto' or a whole number from 1 to 1024")
    """
    place: list[str | int] = []
    current: Any = model
    metadata: Sequence[Any] = ()
    for part in loc:
        section = _section(current)
        if section is not None and isinstance(part, str):
            field = section.model_fields.get(part)
            place.append(part)
            if field is None:
                return tuple(place), "a known key"
            current, metadata = field.annotation, field.metadata
        elif get_origin(current) in (tuple, list) and isinstance(part, int):
            place.append(part)
            current, metadata = get_args(current)[0], ()
        elif get_origin(current) is dict:
            place.append(part)
            current, metadata = get_args(current)[1], ()
        else:
            break
    return tuple(place), _in_words(current, metadata)


def known_keys(model: type[pydantic.BaseModel], place: Sequence[str | int]) -> list[str]:
    """The keys of the section at a place; empty where there is none."""
    current: Any = model
    for part in place:
        section = _section(current)
        if section is not None and isinstance(part, str) and part in section.model_fields:
            current = section.model_fields[part].annotation
        elif get_origin(current) in (tuple, list):
            current = get_args(current)[0]
        else:
            return []
    section = _section(current)
    return [] if section is None else list(section.model_fields)


def _section(annotation: Any) -> type[pydantic.BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, pydantic.BaseModel):
            return candidate if get_origin(annotation) not in (tuple, list) else None
    return None


def _in_words(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    *firsts, last = _alternatives(annotation, metadata)
    return f"{', '.join(firsts)} or {last}" if firsts else last


def _alternatives(annotation: Any, metadata: Iterable[Any]) -> list[str]:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _alternatives(args[0], _flat(args[1:]))
    if origin in (Union, types.UnionType):
        return [words for arg in args for words in _alternatives(arg, metadata)]
    if origin is Literal:
        return [repr(arg) for arg in args]
    if origin in (tuple, list):
        return ["a list of texts" if args[0] is str else "a list of one section or more"]
    if annotation in (int, float):
        return [_number(annotation, metadata)]
    words = {str: "a text", bool: "true or false", type(None): "nothing"}
    return [words.get(annotation, "a section")]


def _flat(metadata: Iterable[Any]) -> list[Any]:
    """Bounds inside pydantic's FieldInfo, beside bare ones."""
    found: list[Any] = []
    for item in metadata:
        found += item.metadata if isinstance(item, FieldInfo) else [item]
    return found


def _number(kind: type, metadata: Iterable[Any]) -> str:
    noun = "a whole number" if kind is int else "a number"
    bounds = list(metadata)
    low = next((bound for bound in bounds if isinstance(bound, annotated_types.Ge | annotated_types.Gt)), None)
    high = next((bound for bound in bounds if isinstance(bound, annotated_types.Le | annotated_types.Lt)), None)
    if isinstance(low, annotated_types.Ge) and isinstance(high, annotated_types.Le):
        return f"{noun} from {low.ge} to {high.le}"
    words = []
    if low is not None:
        words.append(f"of {low.ge} or more" if isinstance(low, annotated_types.Ge) else f"above {low.gt}")
    if high is not None:
        words.append(f"at most {high.le}" if isinstance(high, annotated_types.Le) else f"below {high.lt}")
    return " ".join([noun, ", ".join(words)]).strip()
