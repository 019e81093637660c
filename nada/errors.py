"""Every error that nada raises on purpose.

    NadaError
    ├── InputError             something the user gave cannot be used; exit status 2
    │   ├── ParamsError        params.yaml, or weights/registry.yaml
    │   ├── PromptsError       the prompt CSV
    │   ├── CheckpointError    generator or CLIP weights
    │   │   └── ParentError    what a delta rebuilds from is missing
    │   ├── GuideError         a CLIP that open_clip does not know or cannot build
    │   ├── ImageError         an image or a folder of images
    │   ├── LatentsError       a file of latents
    │   └── OutputError        a place that cannot be written
    ├── ShapeError             a tensor whose shape breaks a documented contract
    ├── FetchError             a file could not be fetched; what arrived is kept, another try goes on from there
    ├── NonFiniteLossError     training left the real numbers; nothing is written
    ├── OutOfMemoryError       memory ran out, even with one picture at a time
    ├── StateError             a saved state of a row in the making cannot be gone on from
    └── WorkerError            a worker process died, hung or failed on its row

Messages read `where: what is wrong (the value); what is allowed, or the next command`. An error of several lines is
raised with several arguments: a line end within one is somebody else's, and is shown as the text that stands for it.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Iterator

SHOWN_CHARACTERS = 80
LINE_CHARACTERS = 1000  # of a line of a message; its middle goes first
MOST_LINES = 50  # of a message

CONTROLS = ("Cc", "Zl", "Zp")
"""Unicode's categories of what moves the cursor or ends a line."""
UNSEEN = (*CONTROLS, "Cf", "Cs")
"""And of what turns the writing round, joins, or is no character."""
JOINERS = "\u200c\u200d"  # of letters in some scripts, and of emoji: they show in what they join


def printable(text: str) -> str:
    r"""Any text on one line, with nothing in it that a terminal or a browser obeys or no eye sees.

    >>> print(printable("a\x1b[31m\nb\u202e.png"))
    a\x1b[31m\nb\u202e.png
    """
    if text.isprintable():
        return text
    return "".join(_escaped(one) if is_unseen(one) and one not in JOINERS else one for one in text)


def is_unseen(character: str) -> bool:
    """Whether it is obeyed by what shows it, rather than shown."""
    return unicodedata.category(character) in UNSEEN


def is_on_one_line(text: str) -> bool:
    """Whether nothing in it ends a line or moves the cursor."""
    return text.isprintable() or not any(unicodedata.category(character) in CONTROLS for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def shown(value: object) -> str:
    r"""A value from somebody else's file, for a message: quoted, on one line, not longer than a line.

    Plain data alone is printed, and no more of it than is shown: a file of a kilobyte may hold tuples within tuples
    whose whole text would fill any memory.

    >>> print(shown("convs.0\nconvs.1"))
    'convs.0\nconvs.1'
    >>> shown({"sizes": (1, 2.5, None)}), shown(object())
    ("{'sizes': (1, 2.5, None)}", 'a object')
    """
    text = ""
    for part in _parts(value):
        text += part
        if len(text) > SHOWN_CHARACTERS:
            return f"{text[: SHOWN_CHARACTERS - 3]}..."
    return text


def _parts(value: object) -> Iterator[str]:
    """The text of a value piece by piece, none of them empty, so that it can be left at any depth."""
    is_short = isinstance(value, int) and value.bit_length() <= 4 * SHOWN_CHARACTERS  # Python is slow to print others
    if isinstance(value, str | bytes):
        yield repr(value[: SHOWN_CHARACTERS + 1])
    elif value is None or is_short or isinstance(value, float):
        yield repr(value)
    elif isinstance(value, list | tuple | dict | set | frozenset):
        is_single = isinstance(value, tuple) and len(value) == 1
        opening, closing = ("[", "]") if isinstance(value, list) else ("(", ")")
        if isinstance(value, dict | set | frozenset):
            opening, closing = "{", "}"
        yield opening
        for index, item in enumerate(value):
            if index:
                yield ", "
            yield from _parts(item)
            if isinstance(value, dict):
                yield ": "
                yield from _parts(value[item])
        yield f",{closing}" if is_single else closing
    else:
        yield f"a {type(value).__name__}"


def _shortened(line: str) -> str:
    """The end stays, for it says what to do."""
    half = LINE_CHARACTERS // 2
    return line if len(line) <= LINE_CHARACTERS else f"{line[:half]} ... {line[-half:]}"


def one_line(err: object) -> str:
    """What another library says of such a file, which may quote it: on one line, not endless."""
    text = repr(str(err))[1:-1]
    return text if len(text) <= 2 * SHOWN_CHARACTERS else f"{text[: 2 * SHOWN_CHARACTERS - 3]}..."


def closest(word: str, known: Iterable[str], count: int = 1, cutoff: float = 0.6) -> list[str]:
    """Known words that are spelt alike, the likest first, whatever their case.

    Args:
        word: what was written.
        known: what could have been meant.
        count: so many at most.
        cutoff: how alike they must be, in [0, 1].

    >>> closest("vit-b-33", ["RN50", "ViT-B-32", "ViT-L-14"], count=2)
    ['ViT-B-32', 'ViT-L-14']
    """
    if len(word) > SHOWN_CHARACTERS:
        return []  # nobody mistypes so long a word, and comparing takes time with the square of its length
    names = {name.lower(): name for name in known}
    return [names[name] for name in difflib.get_close_matches(word.lower(), names, count, cutoff)]


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'iterations'?`, or nothing when no known word is near, or the word is endless.

    >>> nearest("iteratons", ["iterations", "ema"])
    "; did you mean 'iterations'?"
    >>> nearest("zebra", ["iterations", "ema"])
    ''
    """
    return "".join(f"; did you mean {name!r}?" for name in closest(word, known))


def quoted(words: Iterable[str]) -> str:
    """`'a', 'b' and 'c'`.

    >>> quoted(["a", "b", "c"])
    "'a', 'b' and 'c'"
    """
    names = [repr(word) for word in words]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


class NadaError(Exception):
    """Base of all errors raised on purpose; each argument is a line of its own."""

    def __str__(self) -> str:
        """Its lines, each printable and neither endless; nor are they endlessly many."""
        lines = [_shortened(printable(str(line))) for line in self.args]
        if len(lines) > MOST_LINES:
            lines = [*lines[:MOST_LINES], f"... and {len(lines) - MOST_LINES} more such lines"]
        return "\n".join(lines)


class InputError(NadaError):
    """Something that the user supplied cannot be used; found before any training."""


class ParamsError(InputError):
    """A file of settings has unknown keys, wrong types or values out of range, or lacks what was asked for."""


class PromptsError(InputError):
    """The prompt CSV is malformed; the message lists every bad row."""


class CheckpointError(InputError):
    """Weights are missing, truncated, of another format, or unsafe to read."""


class ParentError(CheckpointError):
    """A delta rebuilds from a whole generator that is not there, or no longer the same."""


class GuideError(InputError):
    """open_clip does not know the model, or its weights do not fit it."""


class ImageError(InputError):
    """An image file or a folder of images cannot be used."""


class LatentsError(InputError):
    """A file of latents cannot be used, or is another generator's."""


class OutputError(InputError):
    """The output folder cannot be written."""


class ShapeError(NadaError):
    """A tensor's shape breaks a documented contract."""


class FetchError(NadaError):
    """A file could not be fetched over the network."""


class NonFiniteLossError(NadaError):
    """The loss became NaN or infinite."""


class OutOfMemoryError(NadaError):
    """Memory ran out, however small the micro-batch."""


class StateError(NadaError):
    """A saved state is damaged, or of another adaptation."""


class WorkerError(NadaError):
    """A worker process died, hung past its limit, or failed on its row."""
