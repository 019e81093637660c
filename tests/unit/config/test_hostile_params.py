"""Whatever stands in params.yaml, it is refused in a few lines that a terminal shows and does not obey."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from nada.errors import LINE_CHARACTERS, MOST_LINES, CheckpointError, InputError, NadaError, ParamsError, PromptsError
from tasks.config.params import load_params
from tasks.config.prompts import load_prompts
from tests.operations import count_calls

PARAMS = """\
night: {{{night}}}
generator: {{weights: {generator}}}
guide:
  {guide}
  models: [{{name: g, weights: {clip}}}]
judge:
  model: {{name: j, weights: tag}}
  {judge}
recipes: {{style: {{}}, {recipe}: {{}}}}
{rest}
"""
ENDLESS = "x" * 5000


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Reads a params.yaml with something else in one place."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.pt").touch()

    def read(**places: str) -> object:
        usual = {
            "night": "",
            "generator": "g.pt",
            "guide": "",
            "clip": "tag",
            "judge": "",
            "recipe": "other",
            "rest": "",
        }
        Path("params.yaml").write_text(PARAMS.format(**{**usual, **places}))
        return load_params(Path("params.yaml"))

    return read


def refusal(load: Callable[..., object], error: type[NadaError] = ParamsError, **places: str) -> list[str]:
    with pytest.raises(error) as caught:
        load(**places)
    return str(caught.value).split("\n")


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "1e400"])
@pytest.mark.parametrize(
    ("place", "text", "key"),
    [
        ("rest", "adapt: {{directional_weight: {}}}", "adapt.directional_weight"),
        ("rest", "adapt: {{global_weight: {}}}", "adapt.global_weight"),
        ("rest", "adapt: {{learning_rate: {}}}", "adapt.learning_rate"),
        ("rest", "samples: {{truncation_psi: {}}}", "samples.truncation_psi"),
        ("guide", "views: {{noise: {}}}", "guide.views.noise"),
        ("night", "checkpoint_minutes: {}", "night.checkpoint_minutes"),
        ("night", "row_timeout_minutes: {}", "night.row_timeout_minutes"),
    ],
)
def test_what_is_no_finite_number_is_refused_by_its_key(
    load: Callable[..., object], number: str, place: str, text: str, key: str
) -> None:
    _, told = refusal(load, **{place: text.format(number)})
    assert told.startswith(f"  {key}: expected a number ") and told.endswith(f"got {float(number.replace('.', ''))}")


@pytest.mark.parametrize("path", [ENDLESS, "/".join(["x"] * 5000), '"a\\0b"', '"a\\ud800b"'])
@pytest.mark.parametrize("place", ["generator", "clip", "config_dir", "inception", "lpips"])
def test_what_can_be_no_path_is_no_file(load: Callable[..., object], path: str, place: str) -> None:
    places = {"config_dir": {"guide": f"config_dir: {path}"}, "inception": {"judge": f"inception: {path}"},
              "lpips": {"judge": f"lpips: {path}"}}.get(place, {place: path})  # fmt: skip
    with suppress(ParamsError, CheckpointError):  # or it is a tag of open_clip, which knows none such
        load(**places)


@pytest.mark.parametrize("path", [ENDLESS, "a\0b", "\ud800"])
def test_what_can_be_no_path_is_no_csv(path: str) -> None:
    with pytest.raises(PromptsError, match=r": cannot be read \("):
        load_prompts(Path(path), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["\\e[31m", "\\n", "\\u202e", "\\u2028", "\\x9b", "\\u200b"])
def test_keys_and_paths_are_shown_and_not_obeyed(load: Callable[..., object], text: str) -> None:
    (_, key) = refusal(load, rest=f'"a{text}b": 1')
    (_, recipe) = refusal(load, rest="", night=f'"a{text}b": 1')
    path = refusal(load, InputError, generator=f'"a{text}b"')[-1]
    for line in (key, recipe, path):
        assert line.isprintable() and "a\\" in line


@pytest.mark.parametrize("text", ["\\e[31m", "\\n", "\\x9b", "\\u2028"])
def test_what_people_name_is_on_one_line(load: Callable[..., object], text: str) -> None:
    value = f'"a{text}b"'
    for key in ("prompts", "device"):
        (_, told) = refusal(load, night=f"{key}: {value}")
        assert told.startswith(f"  night.{key}: expected a text on one line, without control characters, got 'a")
    (_, told) = refusal(load, recipe=value)
    assert told.startswith("  recipes.a") and "expected a text on one line" in told


def test_very_many_mistakes_are_counted_and_the_first_are_told(load: Callable[..., object]) -> None:
    lines = refusal(load, rest="\n".join(f"k{num}: 1" for num in range(1000)))
    assert lines[0] == "params.yaml: 1000 invalid keys"
    assert len(lines) == MOST_LINES + 1 and lines[-1] == f"... and {1001 - MOST_LINES} more such lines"


def test_a_line_without_end_keeps_its_beginning_and_its_end(load: Callable[..., object]) -> None:
    (line,) = refusal(load, CheckpointError, generator=ENDLESS)
    assert line.startswith("xxx") and line.endswith("names it as generator.weights")
    assert len(line) == LINE_CHARACTERS + len(" ... ")


def test_twice_as_many_mistakes_cost_twice_the_work(load: Callable[..., object]) -> None:
    def costs(num: int) -> int:
        rest = "\n".join(f"k{index}: 1" for index in range(num))
        return count_calls(lambda: refusal(load, rest=rest))

    assert costs(800) < 2.5 * costs(400)


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(ParamsError, match=r"^/dev/zero: more than 524,288 bytes; is this the file that was meant\?$"):
        load_params(Path("/dev/zero"))
