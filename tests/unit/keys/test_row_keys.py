"""Each key changes with everything that decides its part of a row, and with nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from nada.config import GuideConfig, JudgeConfig, SamplesConfig, Section, ViewsConfig
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.registry import find_method
from tasks.config.model import Params
from tasks.keys import inputs, row_keys
from tasks.keys.row_keys import KeyMaker, retrieval_key

Values = dict[str, Any]
Edit = Callable[[Values], object]


@pytest.fixture
def values(tmp_path: Path) -> Values:
    """Settings whose networks are files of a few bytes."""
    (tmp_path / "judge.safetensors").write_bytes(b"judge")
    (tmp_path / "guide.safetensors").write_bytes(b"guide")
    return {
        "night": {},
        "generator": {"weights": "g.safetensors"},
        "guide": {
            "config_dir": str(tmp_path),
            "models": [{"name": "guide", "weights": str(tmp_path / "guide.safetensors")}],
        },
        "judge": {"model": {"name": "judge", "weights": str(tmp_path / "judge.safetensors")}},
        "samples": {},
        "adapt": {},
        "recipes": {"style": {"iterations": 200}, "same": {"iterations": 200}, "long": {"iterations": 900}},
    }


ROW: Values = {
    "prompts": ("a portrait", "a sketch"),
    "seed": 0,
    "family_module": "nada.generators.stylegan2",
    "base_sha256": "b",
    "on": None,
}
"""What making is told of a row beside its method and settings."""


def making(values: Values, config: Section | None = None, **row: Any) -> str:
    params = Params.model_validate(values)
    method = find_method("adapt")
    return KeyMaker(params).making(method, config or params.methods["adapt"], **{**ROW, **row})


def evaluation(values: Values, of: str = "m", family: str = ROW["family_module"], *pictures: str | None) -> str:
    return KeyMaker(Params.model_validate(values)).evaluation(of, family, *(pictures or [None]))


def write_weights(place: Callable[[Values], Values]) -> Edit:
    return lambda values: Path(place(values)["weights"]).write_bytes(b"other")


def other_value(model: type[Section], name: str) -> Any:
    """A value of an option that is not its default."""
    field = model.model_fields[name]
    allowed: Any = Annotated[(field.annotation, Field(), *field.metadata)]
    adapter: TypeAdapter[Any] = TypeAdapter(allowed)
    numbers = (field.default + 1, field.default / 2, 0.5) if isinstance(field.default, int | float) else ()
    for value in (
        "auto",
        "cosine",
        "rgb",
        "base",
        "modulation",
        "shape",
        "batch",
        "bfloat16",
        "other",
        not field.default,
        *numbers,
    ):
        with suppress(ValidationError):
            if adapter.validate_python(value, strict=True) != field.default:
                return value
    raise AssertionError(f"{model.__name__}.{name}: no other value is known here")


def option_names(model: type[Section]) -> list[str]:
    """Options of a section that have a default and are no section themselves."""
    fields = model.model_fields.items()
    return [name for name, field in fields if not field.is_required() and not isinstance(field.default, Section)]


SECTIONS: dict[tuple[str, ...], type[Section]] = {
    ("adapt",): AdaptConfig,
    ("adapt", "selection"): SelectionConfig,
    ("guide",): GuideConfig,
    ("guide", "views"): ViewsConfig,
    ("judge",): JudgeConfig,
    ("samples",): SamplesConfig,
}
OPTIONS = [(*place, name) for place, model in SECTIONS.items() for name in option_names(model)]
OF_MAKING = [
    option for option in OPTIONS if option[0] in ("adapt", "guide") and option[-1] not in ("config_dir", "together")
]
OF_JUDGING = [option for option in OPTIONS if option[0] in ("judge", "samples")]


COMPANIONS = {"sparsity": {"parameters": "modulation"}, "sparse_from": {"parameters": "modulation", "sparsity": 0.5}}
"""Options without which another cannot have a value of its own."""
VALUES = {**dict.fromkeys(("inception", "efficientnet", "faces", "lpips"), "web"), "latent_bank": 2}
"""Other values of options for which not any will do."""


def with_option(values: Values, option: tuple[str, ...]) -> Values:
    """The settings with another value of one option."""
    *place, name = option
    changed: Values = json.loads(json.dumps(values))
    section = changed
    for part in place:
        section = section.setdefault(part, {})
    section.update(COMPANIONS.get(name, {}))
    section[name] = VALUES.get(name) or other_value(SECTIONS[tuple(place)], name)
    return changed


@pytest.mark.parametrize("option", OF_MAKING, ids=".".join)
def test_every_option_of_the_method_and_its_guides_changes_the_key_of_making(
    values: Values, option: tuple[str, ...]
) -> None:
    assert making(with_option(values, option)) != making(values)


def test_how_many_rows_learn_in_one_batch_changes_no_key(values: Values) -> None:
    several = with_option(values, ("adapt", "together"))
    assert several["adapt"]["together"] > 1
    assert (making(several), evaluation(several)) == (making(values), evaluation(values))


@pytest.mark.parametrize("option", OF_JUDGING, ids=".".join)
def test_no_option_of_the_judge_changes_the_key_of_making(values: Values, option: tuple[str, ...]) -> None:
    assert making(with_option(values, option)) == making(values)


@pytest.mark.parametrize("option", OF_JUDGING, ids=".".join)
def test_every_option_of_the_judge_but_its_speed_changes_the_key_of_evaluating(
    values: Values, option: tuple[str, ...]
) -> None:
    differs = evaluation(with_option(values, option)) != evaluation(values)
    assert differs == (option != ("judge", "batch_size"))


@pytest.mark.parametrize("option", [option for option in OF_MAKING if option != ("guide", "antialias")], ids=".".join)
def test_settings_of_making_change_evaluating_through_its_key_alone(values: Values, option: tuple[str, ...]) -> None:
    assert evaluation(with_option(values, option)) == evaluation(values)
    assert evaluation(values, of="another") != evaluation(values)


def test_how_pictures_reach_the_clips_is_in_both_keys(values: Values) -> None:
    changed = with_option(values, ("guide", "antialias"))
    assert evaluation(changed) != evaluation(values)
    assert making(changed) != making(values)


CHANGES: dict[str, Edit] = {
    "share of a guide": lambda c: c["guide"]["models"][0].update(weight=0.5),
    "bytes of the guide": write_weights(lambda c: c["guide"]["models"][0]),
    "architecture of the guide": lambda c: (Path(c["guide"]["config_dir"]) / "guide.json").write_text("{}"),
    "name of the guide": lambda c: c["guide"]["models"][0].update(name="another"),
    "tag of the guide": lambda c: c["guide"]["models"][0].update(weights="openai"),
    "a second guide": lambda c: c["guide"]["models"].append({"name": "second", "weights": "openai"}),
    "rounding to float16": lambda c: c["night"].update(storage="fp16"),
}
NO_CHANGES: dict[str, Edit] = {
    "device": lambda c: c["night"].update(device="cpu"),
    "workers": lambda c: c["night"].update(workers=3),
    "runner": lambda c: c["night"].update(runner="ray"),
    "whole files for differences": lambda c: c["night"].update(storage="full"),
    "time limit": lambda c: c["night"].update(row_timeout_minutes=3),
    "deadline": lambda c: c["night"].update(deadline="8h"),
    "micro-batch": lambda c: c["night"].update(micro_batch=1),
    "states": lambda c: c["night"].update(checkpoint_minutes=0.5),
    "another recipe": lambda c: c["recipes"]["long"].update(iterations=3),
    "default recipe of the night": lambda c: c["night"].update(recipe="long"),
    "name of the source's file": lambda c: c["generator"].update(weights="elsewhere/g.safetensors"),
}
OF_THE_JUDGE: dict[str, Edit] = {
    "bytes of the judge": write_weights(lambda c: c["judge"]["model"]),
    "name of the judge": lambda c: c["judge"]["model"].update(name="another"),
    "tag of the judge": lambda c: c["judge"]["model"].update(weights="openai"),
    "architecture of the judge": lambda c: (Path(c["guide"]["config_dir"]) / "judge.json").write_text("{}"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_decides_what_is_made_changes_its_key_and_no_other(values: Values, name: str) -> None:
    before = making(values), evaluation(values)
    CHANGES[name](values)
    assert making(values) != before[0]
    assert evaluation(values) == before[1]


@pytest.mark.parametrize("name", NO_CHANGES)
def test_what_decides_no_result_changes_no_key(values: Values, name: str) -> None:
    before = making(values), evaluation(values)
    NO_CHANGES[name](values)
    assert (making(values), evaluation(values)) == before


@pytest.mark.parametrize("name", OF_THE_JUDGE)
def test_a_judge_that_looks_on_decides_what_is_made(values: Values, name: str) -> None:
    watched = AdaptConfig(stop="auto")
    before = making(values), making(values, watched), evaluation(values)
    OF_THE_JUDGE[name](values)
    assert making(values) == before[0]
    assert making(values, watched) != before[1]
    assert evaluation(values) != before[2]


def test_what_a_judge_looks_at_decides_what_is_made_where_it_looks_on(values: Values) -> None:
    watched = AdaptConfig(stop="auto")
    other = {**values, "samples": {"truncation_psi": 0.5}}
    assert making(other, watched) != making(values, watched)
    for name, section in (("samples", {"count": 7}), ("judge", {"num_images": 7, "batch_size": 3, "lpips": "web"})):
        assert making({**values, name: {**values[name], **section}}, watched) == making(values, watched)


@pytest.mark.parametrize(
    "change",
    [
        {"prompts": ("a face", "a sketch")},
        {"prompts": ("a portrait", "a drawing")},
        {"prompts": ("a sketch", "a portrait")},
        {"seed": 5},
        {"family_module": "nada.generators.stylegan3"},
        {"base_sha256": "other"},
        {"on": "a key"},
    ],
    ids=str,
)
def test_prompts_seed_family_generator_and_what_a_row_starts_from_change_the_key(
    values: Values, change: dict[str, Any]
) -> None:
    assert making(values, **change) != making(values)


def test_a_row_that_starts_from_another_one_follows_its_key(values: Values) -> None:
    assert len({making(values, on=on) for on in (None, "one", "other")}) == 3


def test_references_and_the_family_are_of_evaluating(values: Values) -> None:
    pictures = (None,), ("a",), ("b",), (None, "a"), ("a", "b")
    found = {evaluation(values, "m", ROW["family_module"], *one) for one in pictures}
    assert len({*found, evaluation(values, family="nada.generators.stylegan3")}) == 6


def test_style_pictures_are_of_making_and_texts_that_lead_nothing_are_of_evaluating(values: Values) -> None:
    one, other = ({"style_sha256": name} for name in ("one", "other"))
    assert len({making(values), making(values, **one), making(values, **other)}) == 3
    renamed = {"prompts": ("a portrait", "")}
    assert making(values, **one, **renamed) == making(values, **one)
    half = AdaptConfig(style_weight=0.5)
    assert making(values, half, **one, **renamed) != making(values, half, **one)
    maker = KeyMaker(Params.model_validate(values))
    judged = [maker.evaluation("m", ROW["family_module"], None, prompts) for prompts in (None, ("a", "b"), ("a", ""))]
    assert len({*judged}) == 3 and judged[0] == evaluation(values)


def test_code_that_reads_style_pictures_decides_their_rows_alone(
    values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = making(values), making(values, style_sha256="one")
    monkeypatch.setattr(inputs, "STYLE_ENTRIES", ())
    assert making(values) == before[0]
    assert making(values, style_sha256="one") != before[1]


def test_the_version_of_open_clip_is_in_both_keys(values: Values, monkeypatch: pytest.MonkeyPatch) -> None:
    before = making(values), evaluation(values)
    monkeypatch.setattr(row_keys, "open_clip_version", lambda: "9.9.9")
    assert making(values) != before[0]
    assert evaluation(values) != before[1]


def test_the_code_of_each_part_is_in_its_key_alone(values: Values, monkeypatch: pytest.MonkeyPatch) -> None:
    before = making(values), evaluation(values)
    monkeypatch.setattr(row_keys, "making_code", lambda *_, **__: "other code")
    assert making(values) != before[0] and evaluation(values) == before[1]
    monkeypatch.undo()
    monkeypatch.setattr(row_keys, "evaluation_code", lambda *_, **__: "other code")
    assert making(values) == before[0] and evaluation(values) != before[1]


def test_retrieval_depends_on_the_nights_prompts_whatever_their_order_or_number(values: Values) -> None:
    found = retrieval_key("e", ["a sketch", "a robot"])
    assert found == retrieval_key("e", ["a robot", "a sketch", "a robot"])
    assert len({found, retrieval_key("e", ["a sketch"]), retrieval_key("other", ["a sketch", "a robot"])}) == 3


def test_the_keys_are_sha256_and_the_same_every_time(values: Values) -> None:
    for one, again in ((making(values), making(values)), (evaluation(values), evaluation(values))):
        assert one == again
        assert len(one) == 64
    assert making(values) != evaluation(values)


def test_clips_count_by_content_and_not_by_place(values: Values, tmp_path: Path) -> None:
    before = making(values), evaluation(values)
    (tmp_path / "elsewhere").mkdir()
    for clip in (values["guide"]["models"][0], values["judge"]["model"]):
        clip["weights"] = str(Path(clip["weights"]).rename(tmp_path / "elsewhere" / Path(clip["weights"]).name))
    values["guide"]["config_dir"] = str(tmp_path / "elsewhere")
    assert (making(values), evaluation(values)) == before
