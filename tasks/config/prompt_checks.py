"""What is wrong with the prompts of a row, as CLIP will read them and as an eye sees them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from nada.errors import JOINERS, is_on_one_line, is_unseen, shown
from tasks.config.prompt_tokens import LONGEST_TOKEN, are_one, count_tokens, read_as, special_tokens
from tasks.config.row import EMPTY, OR_PICTURES

BLANKS = "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Letters and marks without a shape."""
MOST_WORD_BYTES = 512  # the tokenizer takes time with the square of them
VIRAMA, ARABIC, SYMBOLS, WORD = 9, "AL", ("So", "Sk"), ("Ll", "Lu", "Lt", "Lm")


def prompt_problems(row: dict[str, str], limit: int) -> Iterator[str]:
    """Both prompts are there, on one line, all to be seen, short enough for CLIP, and different to it.

    Where pictures show the target, it needs no words.
    """
    whole = True
    for column in ("source", "target"):
        if column == "target" and not row[column] and row.get("style_images"):
            return
        if problem := _problem(row[column], limit):
            yield f"{column!r} {problem}{OR_PICTURES if problem == EMPTY and column == 'target' else ''}"
            whole = False
    if whole and are_one(row["source"], row["target"]):
        text = shown(read_as(row["target"]))
        yield f"'source' and 'target' are both {text} to CLIP; there is no direction between them"


def _problem(prompt: str, limit: int) -> str:
    if not prompt:
        return EMPTY
    if not is_on_one_line(prompt):
        return "holds a line break or another control character; a prompt is one line"
    if (num_bytes := len(prompt.encode())) > (most := limit * LONGEST_TOKEN):
        return f"has {num_bytes} bytes, and no {limit} tokens hold more than {most}, so shorten it"
    if (num_bytes := max((len(word.encode()) for word in prompt.split()), default=0)) > MOST_WORD_BYTES:
        return f"has a word of {num_bytes} bytes, and none has more than {MOST_WORD_BYTES}, so write it apart"
    cleaned = read_as(prompt)
    if character := unseen_character(prompt) or unseen_character(cleaned):
        name = unicodedata.name(character, "a character without a name")
        return f"holds what no eye sees (U+{ord(character):04X}, {name}); remove it"
    if not cleaned:
        return f"is {shown(prompt)}, of which CLIP reads nothing; write words"
    if marks := special_tokens(prompt):
        return f"holds {marks[0]!r}, which CLIP takes for its own mark; write other words"
    if limit < (tokens := count_tokens(prompt, limit)):
        return f"has {tokens} tokens inside its longest template; CLIP reads {limit}, so shorten it"
    return ""


def unseen_character(text: str) -> str:
    """The first character that shows in nothing, not even in what stands beside it; empty where there is none.

    >>> unseen_character("a pen\u200bcil"), unseen_character("an \U0001f469\u200d\U0001f3a8, \u2764\ufe0f")
    ('\u200b', '')
    """
    if text.isascii():
        return ""
    beside = zip(" " + text, text, text[1:] + " ", strict=False)
    return next((one for before, one, after in beside if _is_unseen(before, one, after)), "")


def _is_unseen(before: str, character: str, after: str) -> bool:
    if character in JOINERS:
        return not _joined(before, after)
    if "VARIATION SELECTOR" in unicodedata.name(character, ""):
        return before.isspace() or unicodedata.category(before) in WORD
    return is_unseen(character) or character in BLANKS


def _joined(before: str, after: str) -> bool:
    """Whether a joiner between two characters shapes them: in scripts of India, in Arabic, in emoji."""
    if unicodedata.combining(before) == VIRAMA:
        return True
    if unicodedata.bidirectional(before) == unicodedata.bidirectional(after) == ARABIC:
        return True
    return unicodedata.category(after) in SYMBOLS and (before == "\ufe0f" or unicodedata.category(before) in SYMBOLS)
