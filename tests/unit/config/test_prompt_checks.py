"""Prompts are compared as CLIP reads them, and hold nothing that it reads and no eye sees."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config import prompt_tokens
from tasks.config.prompt_checks import prompt_problems

FILM = "\ufb01lm"


def problems(source: str, target: str) -> list[str]:
    return list(prompt_problems({"source": source, "target": target}, 77))


@pytest.mark.parametrize(
    ("source", "target", "read"),
    [
        ("caf\u00e9", "cafe\u0301", "caf\u00e9"),
        ("salt & pepper", "salt &amp; pepper", "salt & pepper"),
        ("salt & pepper", "salt &amp;amp; pepper", "salt & pepper"),
        ("an artist's portrait", "an artist\u2019s portrait", "an artist's portrait"),
        ("portrait", "\uff50\uff4f\uff52\uff54\uff52\uff41\uff49\uff54", "portrait"),
        ("film", FILM, "film"),
        ("pencil-sketch", "Pencil - sketch", "pencil - sketch"),
        ("a portrait", "a\u00a0portrait", "a portrait"),
        ("caf\u00e9", "caf&eacute;", "caf\u00e9"),
    ],
    ids=["NFD", "entity", "entity of an entity", "curly", "wide", "ligature", "spaced", "no-break space", "accent"],
)
def test_what_clip_reads_alike_is_no_edit(source: str, target: str, read: str) -> None:
    expected = f"'source' and 'target' are both {read!r} to CLIP; there is no direction between them"
    assert problems(source, target) == problems(source, f" {target}") == [expected]


@pytest.mark.parametrize("target", ["caf\u00e8", "salt &amp pepper!", "\u5199\u771f", "pencilsketch", "don't", "AT&T"])
def test_what_clip_reads_apart_is_an_edit(target: str) -> None:
    assert problems("caf\u00e9", target) == []


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a\u200bb", "U+200B, ZERO WIDTH SPACE"),
        ("a\u202eb", "U+202E, RIGHT-TO-LEFT OVERRIDE"),
        ("a\u2066b", "U+2066, LEFT-TO-RIGHT ISOLATE"),
        ("a\u00adb", "U+00AD, SOFT HYPHEN"),
        ("a\ufeffb", "U+FEFF, ZERO WIDTH NO-BREAK SPACE"),
        ("por\u200dtrait", "U+200D, ZERO WIDTH JOINER"),
        ("por\u200ctrait", "U+200C, ZERO WIDTH NON-JOINER"),
        ("por\ufe0ftrait", "U+FE0F, VARIATION SELECTOR-16"),
        ("a\U000e0041b", "U+E0041, TAG LATIN CAPITAL LETTER A"),
        ("\u3164", "U+3164, HANGUL FILLER"),
        ("a \u2800 b", "U+2800, BRAILLE PATTERN BLANK"),
        ("a&#8203;b", "U+200B, ZERO WIDTH SPACE"),
        ("a&#x202e;b", "U+202E, RIGHT-TO-LEFT OVERRIDE"),
        ("a&shy;b", "U+00AD, SOFT HYPHEN"),
    ],
)
def test_what_no_eye_sees_is_refused_by_name(prompt: str, name: str) -> None:
    assert problems("portrait", prompt) == [f"'target' holds what no eye sees ({name}); remove it"]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x1b", "\x9b", "\r", "\t"])
def test_a_prompt_is_one_line(character: str) -> None:
    told = "'target' holds a line break or another control character; a prompt is one line"
    assert problems("portrait", f"a{character}b") == [told]


@pytest.mark.parametrize(
    "prompt",
    ["an \U0001f469\u200d\U0001f3a8", "\u2764\ufe0f", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
     "\u0915\u094d\u200d\u0937", "#\ufe0f\u20e3", "\U0001f469\U0001f3fd\u200d\U0001f3a8"],
    ids=["artist", "heart", "Persian", "Devanagari", "keycap", "skin"],
)  # fmt: skip
def test_joiners_that_shape_what_stands_beside_them_are_seen(prompt: str) -> None:
    assert problems("portrait", prompt) == []


@pytest.mark.parametrize("mark", ["<end_of_text>", "<START_OF_TEXT>", "&lt;end_of_text&gt;", "\uff1cend_of_text\uff1e"])
def test_clips_own_marks_are_refused(mark: str) -> None:
    token = "<start_of_text>" if "START" in mark else "<end_of_text>"
    told = f"'target' holds {token!r}, which CLIP takes for its own mark; write other words"
    assert problems("portrait", f"a sketch {mark} of a bear") == [told]


def test_a_word_without_end_is_refused_before_the_tokenizer_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_tokens, "_tokenizer", pytest.fail)
    told = "'target' has a word of 513 bytes, and none has more than 512, so write it apart"
    assert problems("portrait", f"a {'x' * 513}") == [told]


def test_a_prompt_of_which_nothing_is_left_is_refused() -> None:
    assert problems("portrait", "&nbsp;") == ["'target' is '&nbsp;', of which CLIP reads nothing; write words"]


@given(st.text(string.printable, max_size=40).filter(prompt_tokens.is_plain))
def test_plain_prompts_are_read_as_is_said_without_the_tokenizer(prompt: str) -> None:
    assume_no_control = "".join(" " if character in string.whitespace else character for character in prompt)
    assert prompt_tokens.read_as(assume_no_control) == prompt_tokens._tokenizer().clean_fn(assume_no_control)


@given(*[st.text("ab1-' .", max_size=5)] * 2)
def test_plain_prompts_are_one_where_their_tokens_are(one: str, other: str) -> None:
    encode = prompt_tokens._tokenizer().encode
    assert prompt_tokens.are_one(one, other) == (encode(one) == encode(other))


def test_plain_prompts_that_differ_need_no_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_tokens, "_tokenizer", pytest.fail)
    assert problems("a portrait, close up", "a pencil sketch (noir)") == []
