"""What is wrong with a file of settings, a line a key, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pydantic

from nada.errors import nearest, quoted
from tasks.config.annotation_messages import expected_at, known_keys

_VALUE_LENGTH = 60  # longer values are cut in messages
_DOMAIN_VALIDATOR = "value_error"  # pydantic's type of a ValueError raised by our own validators


def problems_of(
    err: pydantic.ValidationError, model: type[pydantic.BaseModel], prefix: Sequence[str], top: Sequence[str] = ()
) -> list[str]:
    """One line per wrong key; the branches of a union are reported once.

    Args:
        err: of the model.
        model: whose annotations say what is expected.
        prefix: where the section stands.
        top: the keys that are allowed at its top, where those are not the model's own.
    """
    lines: dict[str, str] = {}
    places = [expected_at(model, error["loc"])[0] for error in err.errors()]
    for error in err.errors():
        place, text = expected_at(model, error["loc"])
        if error["type"] == "too_short" and any(other[: len(place)] == place != other for other in places):
            continue  # a list counts as short when its items are wrong
        where = _dotted((*prefix, *place))
        last = str(place[-1]) if place else ""
        if error["type"] == "extra_forbidden":
            known = top if top and len(place) == 1 else known_keys(model, place[:-1])
            hint = nearest(last, known) or f"; the keys are {quoted(known)}"
            lines.setdefault(where, f"{where}: unknown key{hint}")
        elif error["type"] == "missing":
            lines.setdefault(where, f"{where}: missing; expected {text}")
        elif error["type"] == _DOMAIN_VALIDATOR:
            lines.setdefault(f"{where}!", ": ".join(filter(None, [where, str(error["ctx"]["error"])])))
        else:
            lines.setdefault(where, f"{where}: expected {text}, got {_shown(error['input'])}")
    return list(lines.values())


def _dotted(place: Iterable[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _VALUE_LENGTH else text[: _VALUE_LENGTH - 3] + "..."
