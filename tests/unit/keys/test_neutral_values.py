"""An option at the value that it had when it came is in no key: new options change none, changed defaults do."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import create_model

from nada.config import ClipConfig, GuideClipConfig, GuideConfig, JudgeConfig, SamplesConfig, Section, ViewsConfig
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.registry import METHODS, find_method
from tasks.keys import row_keys
from tasks.keys.row_keys import neutral_values, options

CLIP = ClipConfig(name="judge", weights="openai")
KEYED = (
    AdaptConfig(),
    SelectionConfig(),
    ViewsConfig(),
    SamplesConfig(),
    CLIP,
    GuideClipConfig(name="guide", weights="openai"),
    GuideConfig(models=(GuideClipConfig(name="guide", weights="openai"),)),
    JudgeConfig(model=CLIP),
)


def place(model: type[Section]) -> str:
    return f"{model.__module__}.{model.__name__}"


def keyed_classes(model: type[Section]) -> set[type[Section]]:
    """A section, and those within it."""
    found = {model}
    for field in model.model_fields.values():
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, Section):
                found |= keyed_classes(inner)
    return found


def test_every_option_of_every_keyed_section_is_on_record() -> None:
    """A new option is added there with its default; of a new method, all of them."""
    models = [GuideConfig, JudgeConfig, SamplesConfig, *(find_method(name).config_model for name in METHODS)]
    classes = set().union(*map(keyed_classes, models))
    expected = {
        place(model): {
            name
            for name, field in model.model_fields.items()
            if not field.is_required() and not isinstance(field.default, Section)
        }
        for model in classes
    }
    assert {name: set(values) for name, values in neutral_values().items()} == expected


def test_the_record_holds_values_that_its_options_may_have() -> None:
    for section in KEYED:
        values = neutral_values()[place(type(section))]
        type(section).model_validate({**section.model_dump(), **values})


def changed(model: type[Section], **fields: Any) -> type[Section]:
    """The class as a later version would have it: with another option, or another default."""
    return create_model(model.__name__, __base__=model, __module__=model.__module__, **fields)


def with_values_of(section: Section, model: type[Section], **more: Any) -> Section:
    return model.model_validate({**section.model_dump(exclude_unset=True), **more})


@pytest.mark.parametrize("section", KEYED, ids=lambda section: type(section).__name__)
def test_a_new_option_with_a_default_changes_no_key(section: Section) -> None:
    model = changed(type(section), fresh=(int, 7))
    assert options(with_values_of(section, model)) == options(section)
    assert options(with_values_of(section, model, fresh=8)) == {**options(section), "fresh": 8}


def test_a_new_section_within_changes_no_key_until_it_says_something() -> None:
    model = changed(AdaptConfig, inner=(ViewsConfig, ViewsConfig()))
    assert options(model()) == options(AdaptConfig()) == {}
    assert options(model.model_validate({"inner": {"noise": 0.5}})) == {"inner": {"noise": 0.5}}


def test_a_changed_default_changes_the_keys_of_rows_that_rely_on_it_alone() -> None:
    model = changed(AdaptConfig, iterations=(int, 500))
    assert options(AdaptConfig()) == {}
    assert options(model()) == {"iterations": 500}
    assert options(model.model_validate({"iterations": 300})) == options(AdaptConfig(iterations=300)) == {}
    assert options(AdaptConfig(iterations=500)) == {"iterations": 500}


def test_an_option_that_is_on_record_keeps_its_value_there(monkeypatch: pytest.MonkeyPatch) -> None:
    model = changed(SamplesConfig, fresh=(int, 9))
    monkeypatch.setattr(row_keys, "neutral_values", lambda: {place(SamplesConfig): {"fresh": 7}})
    assert options(model()) == {"fresh": 9}
    assert options(model.model_validate({"fresh": 7})) == {}


def test_sections_in_a_list_are_told_one_by_one() -> None:
    first, second = (GuideClipConfig(name=name, weights="openai", weight=1.0) for name in ("one", "two"))
    heavy = second.model_copy(update={"weight": 2.0})
    assert options(GuideConfig(models=(first, heavy)), ("weights",)) == {
        "models": [{"name": "one"}, {"name": "two", "weight": 2.0}]
    }
    assert options(GuideConfig(models=(first, second))) != options(GuideConfig(models=(second, first)))
