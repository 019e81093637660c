"""Whatever a file of settings holds, it is read as YAML 1.2 or refused in one line that names the place."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from nada.errors import ParamsError
from tasks.config.yaml_reader import MAX_DEPTH, MAX_DIGITS, read_yaml

NOT_READ = "anchors and aliases (&name, *name) are not read; write the value out"
TAG = "not valid YAML (could not determine a constructor for the tag '{}')"
NO_CHARACTER = "not valid YAML (an escape beyond \\U0010FFFF is no character)"
NO_KEY = "a list or section is no key; expected a text"
DIRECTIVES = "directives (%YAML, %TAG) are not read; the file is YAML 1.2 without them"


def read(folder: Path, text: str) -> object:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path, "sections", "")


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ParamsError) as caught:
        read(folder, text)
    return str(caught.value).removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1e3", 1000.0), ("010", 10), ("0x1f", 31), ("22:30", "22:30"), ("yes", "yes"), ("off", "off"),
        ("true", True), ("~", None), ("", None), ("2026-01-31", date(2026, 1, 31)), ("!!str 5", "5"), ("'a'", "a"),
        ("9" * MAX_DIGITS, int("9" * MAX_DIGITS)), ("[1, {b: 2}]", [1, {"b": 2}]), ("|\n  b\n  c\n", "b\nc\n"),
    ],
)  # fmt: skip
def test_a_value_is_what_yaml_1_2_says(tmp_path: Path, text: str, value: object) -> None:
    assert read(tmp_path, f"a: {text}") == {"a": value}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a: 1\nb: &here 2\n", 2, NOT_READ),
        ("a: 1\nb: *nowhere\n", 2, NOT_READ),
        ("a:\n  <<: {b: 1}\n", 2, TAG.format("tag:yaml.org,2002:merge")),
        ("%YAML 1.1\n---\na: yes\n", 1, DIRECTIVES),
        ("%YAML 1." + "5" * 5000 + "\n---\na: 1\n", 1, DIRECTIVES),
        ("a: 1\n[b]: 2\n", 2, NO_KEY),
        ("? [b, [c]]\n: 2\n", 1, NO_KEY),
        ("a:\n- {{b: 1}: 2}\n", 2, NO_KEY),
        ("a: 1\nb: 2026-13-45\n", 2, "'2026-13-45' cannot be read as timestamp"),
        ("a: 1\n\nb: !!int text\n", 3, "'text' cannot be read as int"),
        ("a: !!int ''\n", 1, "'' cannot be read as int"),
        ("a: !!bool maybe\n", 1, "'maybe' cannot be read as bool"),
        ("a: !!float [1]\n", 1, "not valid YAML (expected a scalar node, but found sequence)"),
        ("a: 0x_\n", 1, "'0x_' cannot be read as int"),
        ("a: !!set {b}\n", 1, TAG.format("tag:yaml.org,2002:set")),
        ("a: !mine {b: 1}\n", 1, TAG.format("!mine")),
        ('a: 1\nb: "\\UFFFFFFFF"\n', 2, NO_CHARACTER),
        ('a: 1\nb: "\\U00110000"\n', 2, NO_CHARACTER),
        *(
            (f"a:\n  {key}: b\n", 2, f"the key '{key}' is read as no text; write it in quotes")
            for key in ("1", "1.5", ".inf", "true", "null", "~", "2026-01-31")
        ),
        ("a: {b: 1,\n  b: 2}\n", 2, "not valid YAML (the key 'b' is given twice)"),
        ("a: 1\nb: \x01\n", 2, "not valid YAML (unacceptable character #x0001: special characters are not allowed)"),
        ("a: 1\n---\nb: 2\n", 2, "not valid YAML (but found another document)"),
    ],
)
def test_what_is_no_setting_is_refused_with_its_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    assert refusal(tmp_path, text) == f"params.yaml:{line}: {reason}"


@pytest.mark.parametrize("digits", ["5" * (MAX_DIGITS + 1), "-" + "5" * 5000, "0x" + "f" * 5000, "!!int " + "5" * 5000])
def test_a_number_of_endless_digits_is_refused(tmp_path: Path, digits: str) -> None:
    message = refusal(tmp_path, f"night:\n  seed: {digits}\n")
    assert message.startswith("params.yaml:2: '") and message.endswith("... cannot be read as int")
    assert len(message) < 150


def test_aliases_that_unfold_to_gigabytes_are_refused_unread(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{num}: &a{num} [{', '.join([f'*a{num - 1}'] * 9)}]" for num in range(1, 12)]
    text = "\n".join(lines)
    assert len(text) < 1000
    assert refusal(tmp_path, text) == f"params.yaml:1: {NOT_READ}"


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: " + "[" * 10_000, 1), ("a: {" * 10_000, 1), ("- " * 10_000, 1), ("a: [\n" * 10_000, MAX_DEPTH // 2 + 1),
     ("".join(" " * depth + "a:\n" for depth in range(1000)), MAX_DEPTH)],
    ids=["lists", "sections", "dashes", "lists in sections", "indented"],
)  # fmt: skip
def test_deep_nesting_is_refused_where_it_becomes_deep(tmp_path: Path, text: str, line: int) -> None:
    assert refusal(tmp_path, text) == f"params.yaml:{line}: nested more than {MAX_DEPTH} deep"


def test_settings_may_nest_as_deep_as_is_said(tmp_path: Path) -> None:
    read(tmp_path, "a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))


def test_long_words_of_a_file_are_cut_in_the_message(tmp_path: Path) -> None:
    for text in ("a: !" + "x" * 5000, "a: !" + "x" * 5000 + "!y 1", f"{'x' * 500}: 1\n{'x' * 500}: 2"):
        assert len(refusal(tmp_path, text)) < 220
